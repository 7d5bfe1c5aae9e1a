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
from bisect import bisect_left
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
    headings = _Headings(before), _Headings(after)
    hunks = _hunks(_replacements(before, after))
    return "".join(f"{line}\n" for hunk in hunks for line in _shown(after, hunk, headings))


def _lines(text: str) -> list[str]:
    """Return the lines of a page without the one below its title that every version changes."""
    lines = text.splitlines()
    return lines[:2] + lines[4:] if "".join(lines[2:3]).startswith(_VERSION_LINE) else lines


def _replacements(before: list[str], after: list[str]) -> Iterator[_Replacement]:
    shift = 0
    known: dict[str, int] = {}
    old, new = (list(_unnumbered(lines, known)) for lines in (before, after))
    for start, removed, inserted in between_lists(old, new):
        end, start_new = start + len(removed), start + shift
        end_new = start_new + len(inserted)
        yield _Replacement(start, before[start:end], start_new, after[start_new:end_new])
        shift += len(inserted) - len(removed)


def _unnumbered(lines: list[str], known: dict[str, int]) -> Iterator[str]:
    """Yield the lines as they are compared: without ranks, and with equal numbers for equal sources.

    Args:
        lines: The lines of a page.
        known: The numbers of sources that both pages share; new ones are added.
    """
    first = max((n for n, line in enumerate(lines) if line == _SOURCES), default=len(lines))
    listed = (line.split(". ", 1) for line in lines[first:] if _NUMBERED.match(line))
    sources = {number: known.setdefault(source, len(known)) for number, source in listed}
    for number, line in enumerate(lines):
        if number > first:
            rank = _NUMBERED.match(line)
            yield line[rank.end() :] if rank else line
        elif rank := _INSIGHT.match(line):
            yield _MARK.sub(
                lambda mark: f"[\0{sources[mark[1]]}]" if mark[1] in sources else mark[0], line[rank.end() :]
            )
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


def _shown(
    after: list[str], hunk: list[_Replacement], headings: tuple[_Headings, _Headings]
) -> Iterator[str]:
    heading = headings[0].above(hunk[0].start) or headings[1].above(hunk[0].start_new)
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


class _Headings:
    """The headings of the report and of its sections in the lines of a page."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = [n for n, line in enumerate(lines) if line.startswith(("# ", "## "))]

    def above(self, index: int) -> str:
        """Return the title of the report or section that a line belongs to; empty if there is none."""
        count = bisect_left(self._at, index)
        return _title(self._lines[self._at[count - 1]]) if count else ""


def _title(heading: str) -> str:
    """Return the text of a heading, without the number signs before and after it."""
    text = heading.rstrip()
    bare = text.rstrip("#")
    if bare != text and bare[-1:].isspace():
        heading = bare.rstrip()
    return heading.lstrip("# ")
