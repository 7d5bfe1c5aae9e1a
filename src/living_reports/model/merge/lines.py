"""Merging a text line by line.

Rules:

- Each side is compared with the base. What only one side changed is taken from it; what both
  changed in the same way is taken once; what is left, where changes overlap or touch, clashes.
- Changes that touch without a line between them do not clash if neither brings more lines
  than it takes (two rows of a table, two items of a list: every line keeps its place), or if
  one of them is a new paragraph with a blank line towards the other, which replaces line for line.
- Two insertions at one place clash: which comes first is not for a program to say.
- A line is what stands between two "\\n", so that a text grows at its end without changing the
  last line that was there.
- In the merged text, ours stands where the two clash.

    >>> merged_lines("one\\ntwo\\nthree", "ONE\\ntwo\\nthree", "one\\ntwo\\n3")
    ('ONE\\ntwo\\n3', [])
    >>> merged_lines("one", "ours", "theirs")
    ('ours', [Clash(line=1, base='one', ours='ours', theirs='theirs')])
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from living_reports.model import splices

Lines = list[str]


class Clash(NamedTuple):
    """A place that both sides changed differently; `line` counts from 1 in the base."""

    line: int
    base: str
    ours: str
    theirs: str


class _Hunk(NamedTuple):
    """One side puts `lines` where the base has `start` to `stop`."""

    start: int
    stop: int
    side: int
    lines: Lines


def merged_lines(base: str, ours: str, theirs: str) -> tuple[str, list[Clash]]:
    """The text with both sides' changes, and where they clash (there, ours stands)."""
    old = base.split("\n")
    hunks = [*_hunks(0, old, ours.split("\n")), *_hunks(1, old, theirs.split("\n"))]
    merged: Lines = []
    clashing: list[list[_Hunk]] = []
    done = 0
    for group in _groups(sorted(hunks)):
        start, stop = _span(group)
        one, other = (_as_changed(old, _of(side, group), start, stop) for side in (0, 1))
        merged += old[done:start]
        merged += one if _of(0, group) else other
        if one != other and _of(0, group) and _of(1, group):
            if clashing and _span(clashing[-1])[1] == start:
                clashing[-1] += group
            else:
                clashing.append(group)
        done = stop
    merged += old[done:]
    return "\n".join(merged), [_clash(old, group) for group in clashing]


def changed_lines(old: str, new: str) -> tuple[str, str]:
    """Only those lines of the two texts that differ."""
    changes = splices.between_lists(old.split("\n"), new.split("\n"))
    removed = [line for _, lines, _ in changes for line in lines]
    return "\n".join(removed), "\n".join(line for _, _, lines in changes for line in lines)


def _hunks(side: int, old: Lines, new: Lines) -> Iterator[_Hunk]:
    """What the side changed; what it removed, or replaced line for line, a line at a time."""
    for start, removed, inserted in splices.between_lists(old, new):
        if len(inserted) in (0, len(removed)):
            for index in range(len(removed)):
                yield _Hunk(start + index, start + index + 1, side, inserted[index : index + 1])
        else:
            yield _Hunk(start, start + len(removed), side, inserted)


def _groups(hunks: list[_Hunk]) -> Iterator[list[_Hunk]]:
    """The sorted hunks, those together that have to be looked at together."""
    group: list[_Hunk] = []
    last: dict[int, _Hunk] = {}
    stop = 0
    for hunk in hunks:
        if group and hunk.start >= stop and not _clings(hunk, last.get(1 - hunk.side)):
            yield group
            group, last = [], {}
        group.append(hunk)
        last[hunk.side] = hunk
        stop = max(stop, hunk.stop)
    if group:
        yield group


def _clings(hunk: _Hunk, other: _Hunk | None) -> bool:
    """Whether the hunk begins where the other side's last one ends, and they have to do with each other."""
    return other is not None and hunk.start == other.stop and not _apart(other, hunk)


def _apart(first: _Hunk, second: _Hunk) -> bool:
    """Whether two hunks that touch have nothing to do with each other."""
    if all(len(hunk.lines) <= hunk.stop - hunk.start for hunk in (first, second)):
        return True
    if _is_line_for_line(first) and second.start == second.stop:
        return not second.lines[0].strip()
    if _is_line_for_line(second) and first.start == first.stop:
        return not first.lines[-1].strip()
    return False


def _is_line_for_line(hunk: _Hunk) -> bool:
    return len(hunk.lines) == hunk.stop - hunk.start


def _of(side: int, group: list[_Hunk]) -> list[_Hunk]:
    return [hunk for hunk in group if hunk.side == side]


def _span(hunks: list[_Hunk]) -> tuple[int, int]:
    return hunks[0].start, max(hunk.stop for hunk in hunks)


def _as_changed(old: Lines, hunks: list[_Hunk], start: int, stop: int) -> Lines:
    """The lines from `start` to `stop` after these hunks; one that sticks out is taken whole."""
    lines: Lines = []
    for hunk in hunks:
        inserts = hunk.start == hunk.stop and start <= hunk.start <= stop
        if inserts or (hunk.start < stop and hunk.stop > start):
            lines += [*old[start : hunk.start], *hunk.lines]
            start = max(start, hunk.stop)
    return lines + old[start:stop]


def _clash(old: Lines, group: list[_Hunk]) -> Clash:
    """What clashes, seen from the side that changed the shorter stretch."""
    sides = [_of(0, group), _of(1, group)]
    spans = sorted((_span(side) for side in sides), key=lambda span: span[1] - span[0])
    lengths = [stop - start for start, stop in spans]
    start, stop = spans[0] if 0 < lengths[0] < lengths[1] else _span(group)
    ours, theirs = (_as_changed(old, side, start, stop) for side in sides)
    if ours == theirs:
        start, stop = _span(group)
        ours, theirs = (_as_changed(old, side, start, stop) for side in sides)
    return Clash(start + 1, *("\n".join(lines) for lines in (old[start:stop], ours, theirs)))
