"""The merge of whole outlines.

Rules:

- A place that one side changed is as that side has it; changed by both in the same way is
  fine; changed by both differently is a conflict, except as follows. Where there is a
  conflict ours stands in the merged outline, so that it is an outline in any case.
- Tags, citations and supporting queries merge as sets. Where both sides had a part in the
  citations, the supporting queries follow from them.
- `content` and `notes` merge by lines; a summary is one value.
- Both sides' additions, removals and moves of sections and insights are kept. Removed by one
  side and changed by the other is a conflict; an insight also counts as changed when it was
  moved to another section, a section when an insight came into it.
- What both moved, to different places, is a conflict too: an insight to different sections, or
  a section or an insight within its list. The order of `insights` means nothing and is never one.
- `outline_version` and `updated_at`, of the outline and of items, never conflict: where both
  sides have another than the base, the later is taken. `order` follows from the position.
- Neither side is preferred in what counts as a conflict: with the sides swapped the conflicts
  are the same, with their values swapped.

    >>> merged = three_way(outline_at_7, current, outline_at_7_with_my_changes)
    >>> merged.conflicts
    []
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from living_reports.model.delta import address, is_bookkeeping
from living_reports.model.merge.conflict import Conflict
from living_reports.model.merge.lines import changed_lines, merged_lines
from living_reports.model.merge.order import before, merged_order, merged_set
from living_reports.model.report import Insight, Outline, Section, normalised
from living_reports.model.splices import same

Data = dict[str, Any]
Path = tuple[str, ...]
Item = TypeVar("Item", Section, Insight)
Value = TypeVar("Value")
Other = TypeVar("Other")

_TEXTS = frozenset({("sections", "content"), ("sections", "notes")})
_SETS = frozenset({("metadata", "tags"), ("insights", "citations"), ("insights", "supporting_queries")})

_ABSENT: Any = object()


@dataclass(frozen=True)
class Merged:
    """The outline with both sides' changes; where there are conflicts, ours stands in them."""

    outline: Outline
    conflicts: list[Conflict]


def three_way(base: Outline, ours: Outline, theirs: Outline) -> Merged:
    """What both sides made of the base; all three are `normalised`, and so is the result."""
    return _Merge(base, ours, theirs).merged()


class _Side:
    """An outline with its items by id, and for each insight the section it is in."""

    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self.sections = {section.section_id: section for section in outline.sections}
        self.insights = {insight.insight_id: insight for insight in outline.insights}
        self.homes = {i: section.section_id for section in outline.sections for i in section.insight_ids}

    def ids_in(self, section_id: str) -> list[str]:
        """The insights of a section, in order; none where there is no such section."""
        section = self.sections.get(section_id)
        return section.insight_ids if section else []


class _Three(NamedTuple, Generic[Value]):
    """The same thing of all three sides."""

    base: Value
    ours: Value
    theirs: Value

    def each(self, function: Callable[[Value], Other]) -> _Three[Other]:
        return _Three(function(self.base), function(self.ours), function(self.theirs))


class _Merge:
    """One merge: its three sides, and the conflicts found so far."""

    def __init__(self, base: Outline, ours: Outline, theirs: Outline) -> None:
        self._sides = _Three(_Side(base), _Side(ours), _Side(theirs))
        self._conflicts: list[Conflict] = []

    def merged(self) -> Merged:
        head = self._fields((), self._sides.each(lambda side: _head(side.outline)))
        sections = self._items("sections", self._sides.each(lambda side: side.sections), _section)
        insights = self._items("insights", self._sides.each(lambda side: side.insights), _insight)
        members = self._members(insights)
        filled = {item_id: self._filled(section, members[item_id]) for item_id, section in sections.items()}
        order, _ = merged_order(*self._sides.each(lambda side: list(side.insights)), members=insights)
        items = {"sections": self._in_order(filled), "insights": [insights[item_id] for item_id in order]}
        outline = Outline.model_validate(head).model_copy(update=items)
        return Merged(normalised(outline), self._conflicts)

    def _report(self, path: Path, values: _Three[Any], line: int | None = None) -> None:
        shown = values.each(lambda value: None if value is _ABSENT else value)
        self._conflicts.append(Conflict(address(*path), shown.base, shown.ours, shown.theirs, line))

    # --- Values ---

    def _fields(self, prefix: Path, sides: _Three[Data]) -> Data:
        """The merged fields of an object."""
        merged = {}
        for key in _union(*sides):
            value = self._value((*prefix, key), _Three(*(side.get(key, _ABSENT) for side in sides)))
            if value is not _ABSENT:
                merged[key] = value
        return merged

    def _value(self, path: Path, values: _Three[Any]) -> Any:
        base, ours, theirs = values
        if same(ours, theirs) or same(theirs, base):
            return ours
        if same(ours, base):
            return theirs
        if all(value is None or value is _ABSENT for value in (ours, theirs)):
            return _ABSENT  # a key set to null, and a key removed
        if path[-1] == "metadata" and len(path) in (1, 3):
            return self._fields(path, values.each(lambda value: {} if value is _ABSENT else value))
        if is_bookkeeping(address(*path)):
            return max(ours, theirs, key=_moment)
        place = (path[0], path[-1]) if len(path) < 4 else ()
        lists = values.each(lambda value: [] if value is _ABSENT else value)
        merged: Any
        if place in _TEXTS:
            merged = self._text(path, values)
        elif place in _SETS and all(isinstance(value, list) for value in lists):
            merged = merged_set(*lists)
        else:
            self._report(path, values)
            return ours
        return _ABSENT if not merged and (ours is _ABSENT or theirs is _ABSENT) else merged

    def _text(self, path: Path, values: _Three[Any]) -> str:
        merged, clashes = merged_lines(*values.each(lambda value: "" if value is _ABSENT else value))
        for line, *texts in clashes:
            pairs = zip(values, texts, strict=True)
            self._report(
                path, _Three(*(_ABSENT if value is _ABSENT else text for value, text in pairs)), line
            )
        return merged

    # --- Items ---

    def _items(
        self, name: str, sides: _Three[Mapping[str, Item]], build: Callable[[Data, Data, Data], Item]
    ) -> dict[str, Item]:
        """The items that are in the result, with their fields; who is where comes later."""
        merged = {}
        for item_id in _union(*sides):
            items = _Three(*(side.get(item_id) for side in sides))
            if items.ours is None or items.theirs is None:
                item = self._one_sided((name, item_id), items)
            elif items.theirs is items.base or items.ours is items.theirs:
                item = items.ours
            elif items.ours is items.base:
                item = items.theirs
            else:
                datas = items.each(lambda item: _data(item) if item else {})
                data = self._fields((name, item_id), datas)
                item = items.ours if same(data, datas.ours) else build(data, datas.ours, datas.theirs)
            if item is not None:
                merged[item_id] = item
        return merged

    def _one_sided(self, path: Path, items: _Three[Item | None]) -> Item | None:
        """What becomes of an item that at least one of the two sides does not have."""
        base, ours, theirs = items
        kept = ours or theirs
        if base is None or kept is None:
            return kept
        old, new = self._changes(path, base, kept, self._sides.ours if ours else self._sides.theirs)
        if not old and not new:
            return None
        self._report(path, _Three(old, new if ours else None, new if theirs else None))
        return ours

    def _changes(self, path: Path, base: Item, kept: Item, side: _Side) -> tuple[Data, Data]:
        """What a side changed in an item, as the old and the new fields; of a text, the lines."""
        name, item_id = path
        old, new = _data(base), _data(kept)
        for key in _union(old, new):
            if is_bookkeeping(address(*path, key)) or same(old.get(key), new.get(key)):
                old.pop(key, None)
                new.pop(key, None)
            elif (name, key) in _TEXTS:
                old[key], new[key] = changed_lines(old.get(key, ""), new.get(key, ""))
        if name == "insights":
            places = self._sides.base.homes.get(item_id), side.homes.get(item_id)
            if places[1] not in (None, places[0]):
                old["section_id"], new["section_id"] = places
        elif came := [i for i in side.ids_in(item_id) if self._sides.base.homes.get(i) != item_id]:
            new["insight_ids"] = came
        return old, new

    # --- Places ---

    def _members(self, insights: Mapping[str, Insight]) -> defaultdict[str | None, set[str]]:
        """For each section the insights of the result that are in it; under `None`, those in none."""
        sides = self._sides.each(lambda side: side.homes)
        known = {item_id for side in self._sides for item_id in side.insights}
        members = defaultdict[str | None, set[str]](set)
        for item_id in _union(*sides):
            if item_id in insights or item_id not in known:
                home = self._home(item_id, _Three(*(side.get(item_id) for side in sides)))
                members[home].add(item_id)
        return members

    def _home(self, item_id: str, homes: _Three[str | None]) -> str | None:
        base, ours, theirs = homes
        in_ours, in_theirs = item_id in self._sides.ours.insights, item_id in self._sides.theirs.insights
        if in_ours is not in_theirs:
            return ours if in_ours else theirs
        if ours == theirs or theirs == base:
            return ours
        if ours == base:
            return theirs
        path = ("sections", base, "insight_ids") if base else ("insights", item_id)
        self._report(path, homes.each(lambda home: {"insight_id": item_id, "section_id": home}))
        return ours

    def _filled(self, section: Section, members: set[str]) -> Section:
        """The section with these insights."""
        path = ("sections", section.section_id, "insight_ids")
        lists = self._sides.each(lambda side: side.ids_in(section.section_id))
        ids = self._order(path, "insight_id", lists, members)
        return section if ids == section.insight_ids else section.model_copy(update={"insight_ids": ids})

    def _in_order(self, sections: Mapping[str, Section]) -> list[Section]:
        lists = self._sides.each(lambda side: list(side.sections))
        return [sections[item_id] for item_id in self._order(("sections",), "section_id", lists, sections)]

    def _order(
        self, path: Path, id_field: str, lists: _Three[list[str]], members: Collection[str]
    ) -> list[str]:
        """The members in order; an item that both sides moved, to different places, is a conflict."""
        order, clashes = merged_order(*lists, members=members)
        for item_id in clashes:
            places = (_position(ids, item_id) for ids in lists)
            self._report(path, _Three(*({id_field: item_id, "position": place} for place in places)))
        return order


def _union(*sides: Iterable[str]) -> list[str]:
    """All keys: those of the first side in its order, then the others in theirs, whichever side has them."""
    base, *others = sides
    known = dict.fromkeys(base)
    return [*known, *sorted(set().union(*others).difference(known))]


def _head(outline: Outline) -> Data:
    """Everything but the items, as JSON."""
    return outline.model_dump(exclude={"sections", "insights"}, exclude_none=True, by_alias=True)


def _data(item: Section | Insight) -> Data:
    """The item as JSON, without what follows from the places of items."""
    return item.model_dump(exclude={"order", "insight_ids"}, exclude_none=True, by_alias=True)


def _section(data: Data, *_: Data) -> Section:
    return Section.model_validate(data)


def _insight(data: Data, *sides: Data) -> Insight:
    """The insight, with its supporting queries in step with its citations."""
    cited = ("citations", "supporting_queries")
    if not data["citations"]:
        data = data | {"supporting_queries": []}
    insight = Insight.model_validate(data)
    if any(all(same(data[key], side[key]) for key in cited) for side in sides):
        return insight
    return insight.with_citations(insight.citations)


def _moment(value: Any) -> Any:
    """What makes one value of a bookkeeping field later than another; what is no time comes first."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC), value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC), value


def _position(ids: Sequence[str], item_id: str) -> str:
    """Where the item is in the list, as a change would say it."""
    previous = before(ids, item_id)
    return "first" if previous is None else f"after:{previous}"
