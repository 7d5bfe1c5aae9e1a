r"""Merging of values: texts line by line, lists by their order, and lists as sets.

Texts:

- Each side is compared with the base. A change of one side is used; the same change of both
  sides is used once; different changes that overlap or touch clash. In the merged text ours
  is used for a clash.
- Adjacent changes without a line between them do not clash if neither adds more lines than it
  removes (two rows of a table, two items of a list), or if one of them inserts a paragraph with
  a blank line towards the other, and the other replaces lines one for one.
- Two insertions at the same place clash: no rule says which comes first.
- With `keep_both`, a clash has the lines that either side added, ours first; a line of the base that one
  side removed does not come back. Blocks (code, formulas, tables) break: see `clashes_in_blocks`.
- A line is the text between two "\n", so that appending does not change the last line.

Lists:

- The moved items are those outside the longest common series of a side and the base. Items
  that neither side moved keep the order of the base. An item that a side moved or added follows
  the same unmoved item as on that side; at one place ours come first.
- An item that both sides moved to different places clashes, and ours is used. Following the
  same item counts as the same place.
- As a set, a list contains a value if a side added it or if neither removed it. After changes of
  both sides each value occurs once.

    >>> merged_lines("one\ntwo\nthree", "ONE\ntwo\nthree", "one\ntwo\n3")
    ('ONE\ntwo\n3', [])
    >>> merged_lines("one", "ours", "theirs")
    ('ours', [Clash(line=1, base='one', ours='ours', theirs='theirs')])
    >>> merged_order("abcd", "bcda", "xabcd", members="abcdx")
    (['x', 'b', 'c', 'd', 'a'], [])
    >>> merged_set(["ops", "q3"], ["ops", "q4"], ["draft", "ops", "q3"])
    ['draft', 'ops', 'q4']
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from living_reports.model import splices
from living_reports.model.splices import as_json

Lines = list[str]


class Clash(NamedTuple):
    """Lines that both sides changed differently; `line` is the first in the base, counted from 1."""

    line: int
    base: str
    ours: str
    theirs: str


class _Hunk(NamedTuple):
    """A change of one side: `lines` replace the lines `start` to `stop` of the base."""

    start: int
    stop: int
    side: int
    lines: Lines


class _Region(NamedTuple):
    """The lines `start` to `stop` of the base, and the changes of one or both sides to them."""

    start: int
    stop: int
    hunks: list[_Hunk]
    is_clash: bool


def merged_lines(base: str, ours: str, theirs: str, *, keep_both: bool = False) -> tuple[str, list[Clash]]:
    """Return the text with the changes of both sides, and the clashes.

    In a clash ours is used; with `keep_both`, what ours added followed by what theirs added.
    """
    old = base.split("\n")
    regions = _regions(old, ours.split("\n"), theirs.split("\n"))
    merged: Lines = []
    done = 0
    for start, stop, hunks, is_clash in regions:
        merged += old[done:start]
        if is_clash and keep_both:
            merged += _both(*(_added(_of(side, hunks)) for side in (0, 1)))
        else:
            merged += _as_changed(old, _of(0, hunks) or hunks, start, stop)
        done = stop
    text = "\n".join([*merged, *old[done:]])
    return text, [_clash(old, region.hunks) for region in regions if region.is_clash]


def clashes_in_blocks(base: str, ours: str, theirs: str) -> bool:
    """Return whether lines that clash are in a block, which is broken where lines of both sides are kept."""
    texts = [text.split("\n") for text in (base, ours, theirs)]
    flags = [_in_blocks(lines) for lines in texts]
    longer = [0, 0]
    for start, stop, hunks, is_clash in _regions(*texts):
        spans = [(start, stop)]
        for side in (0, 1):
            first = start + longer[side]
            longer[side] += sum(len(hunk.lines) - hunk.stop + hunk.start for hunk in _of(side, hunks))
            spans.append((first, stop + longer[side]))
        if is_clash and any(any(of[first:last]) for of, (first, last) in zip(flags, spans, strict=True)):
            return True
    return False


def _in_blocks(lines: Lines) -> list[bool]:
    """Return for each line whether it is in a code block, a formula or a table, or begins or ends one."""
    flags = []
    fence, is_formula = "", False
    for line in lines:
        bare = line.lstrip(" \t>-*+0123456789.)")  # also in a quotation or an item of a list
        mark = bare[: len(bare) - len(bare.lstrip(bare[0]))] if bare.startswith(("```", "~~~")) else ""
        flags.append(bool(fence or is_formula or mark or "$$" in line or bare.startswith("|")))
        if fence:
            closing = line.strip(" \t\r>")
            fence = "" if closing.startswith(fence) and not closing.strip(fence[0]) else fence
        elif mark and "`" not in bare[len(mark) :]:
            fence = mark
        else:
            is_formula ^= line.count("$$") % 2 == 1
    return flags


def _regions(old: Lines, ours: Lines, theirs: Lines) -> list[_Region]:
    """Return the changed regions of the base in order; clashes that touch are one region."""
    regions: list[_Region] = []
    for group in _groups(sorted([*_hunks(0, old, ours), *_hunks(1, old, theirs)])):
        start, stop = _span(group)
        sides = [_of(side, group) for side in (0, 1)]
        one, other = (_as_changed(old, side, start, stop) for side in sides)
        is_clash = all(sides) and one != other
        last = regions[-1] if regions else None
        if last and last.is_clash and is_clash and last.stop == start:
            last.hunks.extend(group)
            regions[-1] = last._replace(stop=stop)
        else:
            regions.append(_Region(start, stop, group, is_clash))
    return regions


def _added(hunks: list[_Hunk]) -> Lines:
    """Return the lines that the hunks of a side add; in a clash, both sides together leave no other."""
    return [line for hunk in hunks for line in hunk.lines]


def _both(ours: Lines, theirs: Lines) -> Lines:
    """Return the lines of both sides, ours first; lines that both have stand once, unless all are blank."""
    together: Lines = []
    shared: Lines = []
    done = 0
    for start, removed, inserted in splices.between_lists(ours, theirs):
        shared += ours[done:start]
        together += [*ours[done:start], *removed, *inserted]
        done = start + len(removed)
    shared += ours[done:]
    return [*together, *ours[done:]] if any(map(str.strip, shared)) else [*ours, *theirs]


def changed_lines(old: str, new: str) -> tuple[str, str]:
    """Return only the lines that differ, of the old and of the new text."""
    changes = splices.between_lists(old.split("\n"), new.split("\n"))
    removed = [line for _, lines, _ in changes for line in lines]
    return "\n".join(removed), "\n".join(line for _, _, lines in changes for line in lines)


def _hunks(side: int, old: Lines, new: Lines) -> Iterator[_Hunk]:
    """Yield the changes of a side; removals and one-to-one replacements line by line."""
    for start, removed, inserted in splices.between_lists(old, new):
        if len(inserted) in (0, len(removed)):
            for index in range(len(removed)):
                yield _Hunk(start + index, start + index + 1, side, inserted[index : index + 1])
        else:
            yield _Hunk(start, start + len(removed), side, inserted)


def _groups(hunks: list[_Hunk]) -> Iterator[list[_Hunk]]:
    """Group the sorted hunks that overlap or depend on each other.

    Hunks of both sides at one place are looked at together: the groups do not depend on which side is first.
    """
    group: list[_Hunk] = []
    last: dict[int, _Hunk] = {}
    stop = 0
    for (start, _), alike in groupby(hunks, key=lambda hunk: (hunk.start, hunk.stop)):
        same = list(alike)
        if group and start >= stop and not any(_touches(hunk, last.get(1 - hunk.side)) for hunk in same):
            yield group
            group, last = [], {}
        group += same
        last |= {hunk.side: hunk for hunk in same}
        stop = max(stop, same[-1].stop)
    if group:
        yield group


def _touches(hunk: _Hunk, other: _Hunk | None) -> bool:
    """Return whether the hunk begins where the other side's last one ends, and depends on it."""
    return other is not None and hunk.start == other.stop and not _are_independent(other, hunk)


def _are_independent(first: _Hunk, second: _Hunk) -> bool:
    """Return whether two adjacent hunks can both be applied."""
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
    """Return the lines `start` to `stop` after these hunks; a hunk that reaches beyond is applied whole."""
    lines: Lines = []
    for hunk in hunks:
        inserts = hunk.start == hunk.stop and start <= hunk.start <= stop
        if inserts or (hunk.start < stop and hunk.stop > start):
            lines += [*old[start : hunk.start], *hunk.lines]
            start = max(start, hunk.stop)
    return lines + old[start:stop]


def _clash(old: Lines, group: list[_Hunk]) -> Clash:
    """Return the clash within the lines of the side that changed fewer."""
    sides = [_of(0, group), _of(1, group)]
    spans = sorted((_span(side) for side in sides), key=lambda span: span[1] - span[0])
    lengths = [stop - start for start, stop in spans]
    start, stop = spans[0] if 0 < lengths[0] < lengths[1] else _span(group)
    ours, theirs = (_as_changed(old, side, start, stop) for side in sides)
    if ours == theirs:
        start, stop = _span(group)
        ours, theirs = (_as_changed(old, side, start, stop) for side in sides)
    return Clash(start + 1, *("\n".join(lines) for lines in (old[start:stop], ours, theirs)))


# --- Lists ---

_FIRST = -1


def merged_order(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str], *, members: Collection[str]
) -> tuple[list[str], list[str]]:
    """Return the members in the order after both sides' moves, and the members that clash.

    Ids are unique in each list, and each member is in the list of at least one side.
    """
    old, one, other = ([item for item in items if item in members] for items in (base, ours, theirs))
    moved_by_one, moved_by_other = _moved(old, one), _moved(old, other)
    rank = {item: n for n, item in enumerate(i for i in old if i not in moved_by_one | moved_by_other)}
    added = set(one).union(other).difference(old)
    placed = _placed(one, rank, added | moved_by_one)
    placed_by_other = _placed(other, rank, added | moved_by_other)
    clashes = [
        item
        for item in old
        if item in moved_by_one & moved_by_other
        and placed[item] != placed_by_other[item]
        and before(ours, item) != before(theirs, item)
    ]
    at: dict[int, list[str]] = {_FIRST: [], **{n: [item] for item, n in rank.items()}}
    for item, n in (placed | {i: n for i, n in placed_by_other.items() if i not in placed}).items():
        at[n].append(item)
    return [item for items in at.values() for item in items], clashes


def before(items: Sequence[str], item: str) -> str | None:
    """Return the item right before this one; `None` before the first."""
    index = items.index(item)
    return items[index - 1] if index else None


def _moved(old: list[str], new: list[str]) -> set[str]:
    """Return the smallest set of common items whose moves explain the new order."""
    in_old, in_new = set(old), set(new)
    common = [item for item in old if item in in_new], [item for item in new if item in in_old]
    return {item for _, removed, _ in splices.between_lists(*common) for item in removed}


def _placed(items: list[str], rank: dict[str, int], loose: set[str]) -> dict[str, int]:
    """Return for each loose item the rank of the item that it follows."""
    placed = {}
    last = _FIRST
    for item in items:
        if item in rank:
            last = rank[item]
        elif item in loose:
            placed[item] = last
    return placed


def merged_set(base: list[Any], ours: list[Any], theirs: list[Any]) -> list[Any]:
    """Return the values after both sides' additions and removals; values are equal if their JSON is."""
    values = {as_json(value): value for value in (*base, *theirs, *ours)}
    old, one, other = (list(dict.fromkeys(map(as_json, items))) for items in (base, ours, theirs))
    kept = set(one).intersection(other) | set(one).symmetric_difference(other).difference(old)
    order, _ = merged_order(old, one, other, members=kept)
    return [values[key] for key in order]
