"""Merging lists: ids in their order, and values as sets.

Rules:

- What moved is what does not lie on the longest common series of a side and the base. What
  neither side moved keeps the order of the base, and all else is put between it: an item that
  one side moved or added comes after the same unmoved item as it does on that side. Of several
  at one place ours come first, each side's in its own order.
- An item that both sides moved, to different places, is a clash; in the result ours stands. Right
  after the same item is the same place.
- As sets: a value is there if a side added it, or if neither removed it. After two sides have
  changed a list, each value is there once.

    >>> merged_order("abcd", "bcda", "xabcd", members="abcdx")
    (['x', 'b', 'c', 'd', 'a'], [])
    >>> merged_set(["ops", "q3"], ["ops", "q4"], ["draft", "ops", "q3"])
    ['draft', 'ops', 'q4']
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from living_reports.model import splices
from living_reports.model.splices import as_json

_FIRST = -1


def merged_order(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str], *, members: Collection[str]
) -> tuple[list[str], list[str]]:
    """The members in the order that both sides' moves lead to, and those that clash.

    Ids are unique in each list, and each member is in one side's list at least.
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
    """What comes right before the item; `None` where it is the first."""
    index = items.index(item)
    return items[index - 1] if index else None


def _moved(old: list[str], new: list[str]) -> set[str]:
    """What both lists have, but in another order: as few items as explain it."""
    in_old, in_new = set(old), set(new)
    common = [item for item in old if item in in_new], [item for item in new if item in in_old]
    return {item for _, removed, _ in splices.between_lists(*common) for item in removed}


def _placed(items: list[str], rank: dict[str, int], loose: set[str]) -> dict[str, int]:
    """For each of the loose items, after which of the ranked ones it comes."""
    placed = {}
    last = _FIRST
    for item in items:
        if item in rank:
            last = rank[item]
        elif item in loose:
            placed[item] = last
    return placed


def merged_set(base: list[Any], ours: list[Any], theirs: list[Any]) -> list[Any]:
    """The values that both sides' additions and removals lead to, equal ones by their JSON."""
    values = {as_json(value): value for value in (*base, *theirs, *ours)}
    old, one, other = (list(dict.fromkeys(map(as_json, items))) for items in (base, ours, theirs))
    kept = set(one).intersection(other) | set(one).symmetric_difference(other).difference(old)
    order, _ = merged_order(old, one, other, members=kept)
    return [values[key] for key in order]
