r"""A unified diff of the Markdown pages of two versions.

Rules:

- Removed lines begin with `-`, added lines with `+`, and up to two unchanged lines around them with a space.
- The head of a hunk names its section, as `diff -p` names functions: line numbers mean nothing to a reader
  of a report.
- The line with version and time, which every version changes, is left out.
- Ranks of insights and numbers of sources are ignored, because they follow from the lines above: a new
  insight at the top is one added line. Unchanged lines are shown as in the new version.

    >>> print(text_diff("# Health\n\n## Risks\n\nOne.\n", "# Health\n\n## Risks\n\nTwo.\n"))
    @@ Risks @@
     ## Risks
    <BLANKLINE>
    -One.
    +Two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from living_reports.model.report import Outline
from living_reports.model.splices import between_lists
from living_reports.render.markdown import render
from living_reports.render.page import Page

CONTEXT_LINES = 2
_VERSION_LINE = "*Version "
_SOURCES = "## Sources"
_NUMBERED = re.compile(r"\d+\. ")
_INSIGHT = re.compile(r"\d+\. (?=\*\*\[\d+/10\]\*\* )")
_CLOSING = re.compile(r"\s+#+\s*$")
_MARK = re.compile(r"\[(\d+)\]")


class _Replacement(NamedTuple):
    """Lines of the old text from `start`, and the lines of the new text from `start_new` in their place."""

    start: int
    removed: list[str]
    start_new: int
    inserted: list[str]

    @property
    def end(self) -> int:
        return self.start + len(self.removed)

    @property
    def end_new(self) -> int:
        return self.start_new + len(self.inserted)


def page_diff(old: Outline | None, new: Outline, today: date) -> str:
    """Return the unified diff of the pages of two versions; empty if they are equal.

    The pages show insights of every status, so that no change is missed.
    """
    before, after = (_page(outline, today) for outline in (old, new))
    diff = text_diff(before, after)
    return f"--- {_named(old)}\n+++ {_named(new)}\n{diff}" if diff else ""


def _page(outline: Outline | None, today: date) -> str:
    return render(Page(outline, today, status="all")).decode() if outline else ""


def _named(outline: Outline | None) -> str:
    if outline is None:
        return "nothing"
    return f"{' '.join(outline.title.split())}, version {outline.outline_version}"


def text_diff(old: str, new: str) -> str:
    """Return the unified diff of two Markdown pages; empty if nothing differs."""
    before, after = _lines(old), _lines(new)
    hunks = _hunks(_replacements(before, after))
    return "".join(f"{line}\n" for hunk in hunks for line in _shown(before, after, hunk))


def _lines(text: str) -> list[str]:
    """Return the lines of a page without the one below its title that every version changes."""
    lines = text.splitlines()
    return lines[:2] + lines[4:] if "".join(lines[2:3]).startswith(_VERSION_LINE) else lines


def _replacements(before: list[str], after: list[str]) -> Iterator[_Replacement]:
    shift = 0
    for start, removed, inserted in between_lists(list(_unnumbered(before)), list(_unnumbered(after))):
        end, start_new = start + len(removed), start + shift
        end_new = start_new + len(inserted)
        yield _Replacement(start, before[start:end], start_new, after[start_new:end_new])
        shift += len(inserted) - len(removed)


def _unnumbered(lines: list[str]) -> Iterator[str]:
    """Yield the lines as they are compared: without ranks, and with sources instead of their numbers."""
    first = max((n for n, line in enumerate(lines) if line == _SOURCES), default=len(lines))
    sources = dict(line.split(". ", 1) for line in lines[first:] if _NUMBERED.match(line))
    for number, line in enumerate(lines):
        if number > first:
            yield _NUMBERED.sub("", line, count=1) if _NUMBERED.match(line) else line
        elif _INSIGHT.match(line):
            named = _MARK.sub(lambda mark: f"[{sources.get(mark[1], mark[1])}]", line)
            yield _INSIGHT.sub("", named, count=1)
        else:
            yield line


def _hunks(replacements: Iterable[_Replacement]) -> Iterator[list[_Replacement]]:
    """Group the replacements whose context lines touch."""
    hunk: list[_Replacement] = []
    for replacement in replacements:
        if hunk and replacement.start - hunk[-1].end > 2 * CONTEXT_LINES:
            yield hunk
            hunk = []
        hunk.append(replacement)
    if hunk:
        yield hunk


def _shown(before: list[str], after: list[str], hunk: list[_Replacement]) -> Iterator[str]:
    heading = _section_at(before, hunk[0].start) or _section_at(after, hunk[0].start_new)
    yield f"@@ {heading} @@" if heading else "@@ @@"
    at = max(0, hunk[0].start_new - CONTEXT_LINES)
    for replacement in hunk:
        yield from _marked(" ", after[at : replacement.start_new])
        yield from _marked("-", replacement.removed)
        yield from _marked("+", replacement.inserted)
        at = replacement.end_new
    yield from _marked(" ", after[at : at + CONTEXT_LINES])


def _marked(mark: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines after their mark. Changed lines keep trailing spaces, which may be the difference."""
    return (f"{mark}{line}" if mark.strip() else f"{mark}{line}".rstrip() for line in lines)


def _section_at(lines: list[str], index: int) -> str:
    """Return the heading of the report or section that a line belongs to."""
    headings = (line for line in reversed(lines[:index]) if line.startswith(("# ", "## ")))
    return _CLOSING.sub("", next(headings, "")).lstrip("# ")
