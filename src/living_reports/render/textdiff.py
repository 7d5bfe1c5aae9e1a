"""How two versions of a report differ, as a unified diff of their Markdown.

Rules:

- Lines that went begin with `-`, lines that came with `+`, up to two lines around them with a
  blank.
- A hunk is headed by the section it lies in, as `diff -p` does with functions: the numbers of
  lines mean nothing to a reader of a report.
- What every version changes (the line with version and time) is left out.

    >>> print(text_diff("# Health\\n\\n## Risks\\n\\nOne.\\n", "# Health\\n\\n## Risks\\n\\nTwo.\\n"))
    @@ Risks @@
     ## Risks
    <BLANKLINE>
    -One.
    +Two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from living_reports.splices import between_lists

CONTEXT_LINES = 2
_VERSION_LINE = "*Version "


class _Edit(NamedTuple):
    """Lines of the old text that give way to others, from `start` on."""

    start: int
    removed: list[str]
    inserted: list[str]

    @property
    def end(self) -> int:
        return self.start + len(self.removed)


def text_diff(old: str, new: str) -> str:
    """The unified diff of two Markdown texts; empty if they say the same."""
    before, after = _lines(old), _lines(new)
    edits = [_Edit(*splice) for splice in between_lists(before, after)]
    return "".join(f"{line}\n" for hunk in _hunks(edits) for line in _shown(before, hunk))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(_VERSION_LINE)]


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


def _shown(before: list[str], hunk: list[_Edit]) -> Iterator[str]:
    yield f"@@ {_section_at(before, hunk[0].start)} @@"
    at = max(0, hunk[0].start - CONTEXT_LINES)
    for edit in hunk:
        yield from _marked(" ", before[at : edit.start])
        yield from _marked("-", edit.removed)
        yield from _marked("+", edit.inserted)
        at = edit.end
    yield from _marked(" ", before[at : at + CONTEXT_LINES])


def _marked(mark: str, lines: Iterable[str]) -> Iterator[str]:
    return (f"{mark}{line}".rstrip() for line in lines)


def _section_at(lines: list[str], index: int) -> str:
    """The heading of a report or a section that a line stands under."""
    headings = (line for line in reversed(lines[:index]) if line.startswith(("# ", "## ")))
    return next(headings, "").lstrip("# ")
