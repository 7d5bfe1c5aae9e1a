"""Three-way merges of outlines, and the conflicts between their sides.

Rules:

- A value that one side changed is taken from that side. The same change by both is no conflict;
  different changes are, except as follows. In a conflict the merged outline has our value, so
  that it is always complete.
- Fields merge as `fields.RULES` says: as sets, line by line, or as a whole. If both sides
  changed the citations, the supporting queries are derived from the merged citations.
- Additions, removals and moves of sections and insights by both sides are kept. An item that one
  side removed and the other changed is a conflict. An insight also counts as changed when it
  moved to another section, and a section when an insight moved into it.
- Moves by both sides to different places conflict: of an insight to different sections, or of
  a section or an insight within its list. The order of `insights` has no meaning and never does.
- Bookkeeping fields never conflict: if both sides changed one, the later value is taken.
- Conflicts are symmetric: with the sides swapped they are the same, with their values swapped.
- With `keep_both`, a conflict of texts gives both texts, ours first, and one of lists what both added. Other
  conflicts (of numbers, titles, places, removed items) have one result; `keeps_both` says which is which.

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

from living_reports.model.delta import Place, address, field_of, head_data, is_bookkeeping, parts
from living_reports.model.fields import (
    ID_FIELDS,
    MERGED_AS_SETS,
    MERGED_BY_LINES,
    ORDERS,
    POSITIONS,
    SPLICED_TEXTS,
)
from living_reports.model.merge_values import before, changed_lines, merged_lines, merged_order, merged_set
from living_reports.model.report import Insight, Outline, Section, normalised
from living_reports.model.splices import as_json, same

VALUE_CHARS = 300
"""Characters of a value in an answer."""

CONTEXT_CHARS = 40
"""Characters of common text shown before and after a difference."""

_ELLIPSIS = "…"

Data = dict[str, Any]
Item = TypeVar("Item", Section, Insight)
Value = TypeVar("Value")
Other = TypeVar("Other")

_NOT_FIELDS = {*POSITIONS, *ORDERS}
_ABSENT: Any = object()


@dataclass(frozen=True)
class Conflict:
    """A place that both sides changed differently. Values are JSON, `None` where nothing is present.

    `at` is an address, as in a delta:

    - of a field, with its values; of a text, only the clashing lines, and in `line` the number
      (from 1) of the first of them in the base;
    - of a section or insight that one side removed, with the changes of the other side,
      `{field: value}`, and `None` for the side that removed it;
    - of a list of insights in which both sides moved the same one: `{insight_id, section_id}`, or
      `{insight_id, position}` within one section; of `sections`: `{section_id, position}`.
    """

    at: str
    base: Any
    ours: Any
    theirs: Any
    line: int | None = None

    def cut(self, limit: int = VALUE_CHARS) -> Conflict:
        """Return a copy with each value cut to about `limit` characters and 1.5 times as many bytes.

        Texts are cut around their differences; other values become the beginning of their JSON.
        """
        values = [
            value
            if value is None or isinstance(value, str) or len(as_json(value)) <= limit
            else as_json(value)
            for value in (self.base, self.ours, self.theirs)
        ]
        base, ours, theirs = excerpts(values, limit)
        return Conflict(self.at, base, ours, theirs, self.line)


@dataclass(frozen=True)
class Merged:
    """The outline with the changes of both sides; in conflicts ours is used."""

    outline: Outline
    conflicts: list[Conflict]


def three_way(base: Outline, ours: Outline, theirs: Outline, *, keep_both: bool = False) -> Merged:
    """Merge two sides that began with the same base; all three and the result are `normalised`."""
    return _Merge(base, ours, theirs, keep_both).merged()


def keeps_both(outline: Outline, conflict: Conflict) -> bool:
    """Return whether the outline has the words or the list values that both sides of a conflict added."""
    sides = (conflict.ours, conflict.theirs)
    if all(isinstance(side, list) for side in sides):
        have, old = (
            set(map(as_json, values or ())) for values in (_value_at(outline, conflict.at), conflict.base)
        )
        return all(have.issuperset(set(map(as_json, side)) - old) for side in sides)
    if not _is_text(parts(conflict.at)) or not all(isinstance(side, str) and side.strip() for side in sides):
        return False
    words = set(_value_at(outline, conflict.at).split())
    return all(words.issuperset(side.split()) for side in sides)


def _value_at(outline: Outline, at: str) -> Any:
    """Return the JSON value at the address of a field; `None` if there is none."""
    place = parts(at)
    if place[0] not in ID_FIELDS:
        return outline.metadata.get(place[-1]) if len(place) == 2 else None
    items = (item for item in getattr(outline, place[0]) if getattr(item, ID_FIELDS[place[0]]) == place[1])
    value: Any = next(map(_data, items), None)
    for name in place[2:]:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _is_text(place: Sequence[str] | Place) -> bool:
    """Return whether a text stands at this place, which can hold the words of both sides."""
    return len(place) == 3 and place[-1] in SPLICED_TEXTS


class _Side:
    """An outline with its items by id, and the section of each insight."""

    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self.sections = {section.section_id: section for section in outline.sections}
        self.insights = {insight.insight_id: insight for insight in outline.insights}
        self.homes = {i: section.section_id for section in outline.sections for i in section.insight_ids}

    def ids_in(self, section_id: str) -> list[str]:
        """Return the insights of a section in order; none if the section does not exist."""
        section = self.sections.get(section_id)
        return section.insight_ids if section else []


class _Three(NamedTuple, Generic[Value]):
    """One value of each of the three sides."""

    base: Value
    ours: Value
    theirs: Value

    def each(self, function: Callable[[Value], Other]) -> _Three[Other]:
        return _Three(function(self.base), function(self.ours), function(self.theirs))


class _Merge:
    """One merge: its three sides and the conflicts found so far."""

    def __init__(self, base: Outline, ours: Outline, theirs: Outline, keep_both: bool) -> None:
        self._sides = _Three(_Side(base), _Side(ours), _Side(theirs))
        self._keep_both = keep_both
        self._conflicts: list[Conflict] = []

    def merged(self) -> Merged:
        head = self._fields((), self._sides.each(lambda side: head_data(side.outline)))
        sections = self._items("sections", self._sides.each(lambda side: side.sections), _section)
        insights = self._items("insights", self._sides.each(lambda side: side.insights), _insight)
        members = self._members(insights)
        filled = {item_id: self._filled(section, members[item_id]) for item_id, section in sections.items()}
        order, _ = merged_order(*self._sides.each(lambda side: list(side.insights)), members=insights)
        items = {"sections": self._in_order(filled), "insights": [insights[item_id] for item_id in order]}
        outline = Outline.model_validate(head).model_copy(update=items)
        return Merged(normalised(outline), self._conflicts)

    def _report(self, place: Place, values: _Three[Any], line: int | None = None) -> None:
        shown = values.each(lambda value: None if value is _ABSENT else value)
        self._conflicts.append(Conflict(address(*place), shown.base, shown.ours, shown.theirs, line))

    # --- Values ---

    def _fields(self, prefix: Place, sides: _Three[Data]) -> Data:
        """Merge the fields of an object."""
        merged = {}
        for key in _union(*sides):
            value = self._value((*prefix, key), _Three(*(side.get(key, _ABSENT) for side in sides)))
            if value is not _ABSENT:
                merged[key] = value
        return merged

    def _value(self, place: Place, values: _Three[Any]) -> Any:
        base, ours, theirs = values
        if same(ours, theirs) or same(theirs, base):
            return ours
        if same(ours, base):
            return theirs
        if all(value is None or value is _ABSENT for value in (ours, theirs)):
            return _ABSENT  # a key set to null, and a key removed
        if place[-1] == "metadata" and len(place) in (1, 3):
            return self._fields(place, values.each(lambda value: {} if value is _ABSENT else value))
        if is_bookkeeping(address(*place)):
            return max(ours, theirs, key=_moment)
        field = field_of(place)
        lists = values.each(lambda value: [] if value is _ABSENT else value)
        merged: Any
        if field in MERGED_BY_LINES:
            merged = self._text(place, values)
        elif field in MERGED_AS_SETS and all(isinstance(value, list) for value in lists):
            merged = merged_set(*lists)
        else:
            self._report(place, values)
            return self._chosen(place, values)
        return _ABSENT if not merged and (ours is _ABSENT or theirs is _ABSENT) else merged

    def _chosen(self, place: Place, values: _Three[Any]) -> Any:
        """Return the result of a conflict of whole values."""
        base, ours, theirs = values
        if self._keep_both and isinstance(ours, list) and isinstance(theirs, list):
            return merged_set(base if isinstance(base, list) else [], ours, theirs)
        if self._keep_both and _is_text(place) and isinstance(ours, str) and isinstance(theirs, str):
            return merged_lines(base if isinstance(base, str) else "", ours, theirs, keep_both=True)[0]
        return ours

    def _text(self, place: Place, values: _Three[Any]) -> str:
        texts = values.each(lambda value: "" if value is _ABSENT else value)
        merged, clashes = merged_lines(*texts, keep_both=self._keep_both)
        for line, *sides in clashes:
            pairs = zip(values, sides, strict=True)
            self._report(
                place, _Three(*(_ABSENT if value is _ABSENT else text for value, text in pairs)), line
            )
        return merged

    # --- Items ---

    def _items(
        self, name: str, sides: _Three[Mapping[str, Item]], build: Callable[[Data, Data, Data], Item]
    ) -> dict[str, Item]:
        """Return the items of the result with their fields; their places are merged separately."""
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

    def _one_sided(self, place: Place, items: _Three[Item | None]) -> Item | None:
        """Return the result of an item that at least one side lacks."""
        base, ours, theirs = items
        kept = ours or theirs
        if base is None or kept is None:
            return kept
        old, new = self._changes(place, base, kept, self._sides.ours if ours else self._sides.theirs)
        if not old and not new:
            return None
        self._report(place, _Three(old, new if ours else None, new if theirs else None))
        return ours

    def _changes(self, place: Place, base: Item, kept: Item, side: _Side) -> tuple[Data, Data]:
        """Return the old and new values of the fields that a side changed; of prose, the lines."""
        name, item_id = place
        old, new = _data(base), _data(kept)
        for key in _union(old, new):
            if is_bookkeeping(address(*place, key)) or same(old.get(key), new.get(key)):
                old.pop(key, None)
                new.pop(key, None)
            elif (name, key) in MERGED_BY_LINES:
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
        """Return the insights of each section in the result; under `None` those of no section."""
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
        place = ("sections", base, "insight_ids") if base else ("insights", item_id)
        self._report(place, homes.each(lambda home: {"insight_id": item_id, "section_id": home}))
        return ours

    def _filled(self, section: Section, members: set[str]) -> Section:
        """Return the section with these insights in their merged order."""
        place = ("sections", section.section_id, "insight_ids")
        lists = self._sides.each(lambda side: side.ids_in(section.section_id))
        ids = self._order(place, "insight_id", lists, members)
        return section if ids == section.insight_ids else section.model_copy(update={"insight_ids": ids})

    def _in_order(self, sections: Mapping[str, Section]) -> list[Section]:
        lists = self._sides.each(lambda side: list(side.sections))
        return [sections[item_id] for item_id in self._order(("sections",), "section_id", lists, sections)]

    def _order(
        self, place: Place, id_field: str, lists: _Three[list[str]], members: Collection[str]
    ) -> list[str]:
        """Merge the order of the members; an item that both sides moved to different places conflicts."""
        order, clashes = merged_order(*lists, members=members)
        for item_id in clashes:
            places = (_position(ids, item_id) for ids in lists)
            self._report(place, _Three(*({id_field: item_id, "position": place} for place in places)))
        return order


def _union(*sides: Iterable[str]) -> list[str]:
    """Return all keys: those of the first side in its order, then the others sorted."""
    base, *others = sides
    known = dict.fromkeys(base)
    return [*known, *sorted(set().union(*others).difference(known))]


def _data(item: Section | Insight) -> Data:
    """Return the item as JSON data, without the fields that follow from places of items."""
    return item.model_dump(exclude=_NOT_FIELDS, exclude_none=True, by_alias=True)


def _section(data: Data, *_: Data) -> Section:
    return Section.model_validate(data)


def _insight(data: Data, *sides: Data) -> Insight:
    """Build the insight with supporting queries that match its citations."""
    cited = ("citations", "supporting_queries")
    if not data["citations"]:
        data = data | {"supporting_queries": []}
    insight = Insight.model_validate(data)
    if any(all(same(data[key], side[key]) for key in cited) for side in sides):
        return insight
    return insight.with_citations(insight.citations)


def _moment(value: Any) -> Any:
    """Return the sort key of a bookkeeping value; values that are not times come first."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC), value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC), value


def _position(ids: Sequence[str], item_id: str) -> str:
    """Return the position of the item in the form that changes use."""
    previous = before(ids, item_id)
    return "first" if previous is None else f"after:{previous}"


# --- Conflicts ---


def excerpts(values: list[Any], limit: int) -> list[Any]:
    """Return the values with texts cut to their differences and to `limit` characters."""
    texts = [value for value in values if isinstance(value, str) and value]
    if len(texts) < 2 or all(_fits(text, limit) for text in texts):
        return [_cut(value, limit) if isinstance(value, str) else value for value in values]
    start = max(0, _shared(texts) - CONTEXT_CHARS)
    end = max(0, _shared([text[start:][::-1] for text in texts]) - CONTEXT_CHARS)
    return [
        _cut(_ELLIPSIS * (start > 0) + value[start : len(value) - end] + _ELLIPSIS * (end > 0), limit)
        if isinstance(value, str) and value
        else value
        for value in values
    ]


def _shared(texts: list[str]) -> int:
    """Count the characters that all texts share at the beginning."""
    columns = enumerate(zip(*texts, strict=False))
    return next((n for n, column in columns if len(set(column)) > 1), min(map(len, texts)))


def _fits(text: str, limit: int) -> bool:
    return len(text) <= limit and len(as_json(text).encode()) <= limit + limit // 2


def _cut(text: str, limit: int) -> str:
    if _fits(text, limit):
        return text
    kept = text[: limit - 1]
    while not _fits(kept + _ELLIPSIS, limit):
        kept = kept[: len(kept) * 9 // 10]
    return kept.rstrip() + _ELLIPSIS
