"""How two versions of a report differ, as a unified diff of their Markdown.

Rules:

- Lines that went begin with `-`, lines that came with `+`, up to two lines around them with a
  blank.
- A hunk is headed by the section it lies in, as `diff -p` does with functions: the numbers of
  lines mean nothing to a reader of a report.
- What every version changes (the line with version and time) is left out.
- Ranks of insights and numbers of sources follow from what stands above them: one new insight at
  the top is one line that came, not all below it changed. What is not changed is shown as it is now.

    >>> print(text_diff("# Health\\n\\n## Risks\\n\\nOne.\\n", "# Health\\n\\n## Risks\\n\\nTwo.\\n"))
    @@ Risks @@
     ## Risks
    <BLANKLINE>
    -One.
    +Two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from living_reports.model.splices import between_lists

CONTEXT_LINES = 2
_VERSION_LINE = "*Version "
_SOURCES = "## Sources"
_NUMBERED = re.compile(r"\d+\. ")
_INSIGHT = re.compile(r"\d+\. (?=\*\*\[\d+/10\]\*\* )")
_CLOSING = re.compile(r"\s+#+\s*$")
_MARK = re.compile(r"\[(\d+)\]")


class _Edit(NamedTuple):
    """Lines from `start` of the old text on that give way to others, from `start_new` of the new one on."""

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


def text_diff(old: str, new: str) -> str:
    """The unified diff of two Markdown texts; empty if they say the same."""
    before, after = _lines(old), _lines(new)
    edits = list(_edits(before, after))
    return "".join(f"{line}\n" for hunk in _hunks(edits) for line in _shown(before, after, hunk))


def _lines(text: str) -> list[str]:
    """The lines of a page, without the one below its title that every version changes."""
    lines = text.splitlines()
    return lines[:2] + lines[4:] if "".join(lines[2:3]).startswith(_VERSION_LINE) else lines


def _edits(before: list[str], after: list[str]) -> Iterator[_Edit]:
    shift = 0
    for start, removed, inserted in between_lists(list(_unnumbered(before)), list(_unnumbered(after))):
        end, start_new = start + len(removed), start + shift
        yield _Edit(start, before[start:end], start_new, after[start_new : start_new + len(inserted)])
        shift += len(inserted) - len(removed)


def _unnumbered(lines: list[str]) -> Iterator[str]:
    """The lines as they are compared: without ranks, and with sources in the place of their numbers."""
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


def _hunks(edits: Iterable[_Edit]) -> Iterator[list[_Edit]]:
    """Edits whose surroundings touch belong together."""
    hunk: list[_Edit] = []
    for edit in edits:
        if hunk and edit.start - hunk[-1].end > 2 * CONTEXT_LINES:
            yield hunk
            hunk = []
        hunk.append(edit)
    if hunk:
        yield hunk


def _shown(before: list[str], after: list[str], hunk: list[_Edit]) -> Iterator[str]:
    heading = _section_at(before, hunk[0].start) or _section_at(after, hunk[0].start_new)
    yield f"@@ {heading} @@" if heading else "@@ @@"
    at = max(0, hunk[0].start_new - CONTEXT_LINES)
    for edit in hunk:
        yield from _marked(" ", after[at : edit.start_new])
        yield from _marked("-", edit.removed)
        yield from _marked("+", edit.inserted)
        at = edit.end_new
    yield from _marked(" ", after[at : at + CONTEXT_LINES])


def _marked(mark: str, lines: Iterable[str]) -> Iterator[str]:
    """The lines behind their mark. Blanks at the end of one that came or went may be what differs."""
    return (f"{mark}{line}" if mark.strip() else f"{mark}{line}".rstrip() for line in lines)


def _section_at(lines: list[str], index: int) -> str:
    """The heading of a report or a section that a line stands under."""
    headings = (line for line in reversed(lines[:index]) if line.startswith(("# ", "## ")))
    return _CLOSING.sub("", next(headings, "")).lstrip("# ")
