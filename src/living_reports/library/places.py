"""The part of a report that a revert is limited to: one item, or one field at an address.

Rules:

- An item is restored whole: its fields, and its position behind the nearest item before it that still
  exists. Everything else stays the same object.
- A restored insight goes back to its section. A restored section takes back its insights, wherever they
  are now; insights that it got later go back to their former sections, or are removed if they had none.
- A removed item may be named by its old title. Where several items have the name, and one of them is gone,
  the caller has to choose.
- An address is one of those that `audit_report` shows in `at`, such as `insights/5f9dabcd/importance`, or the
  position of an item, such as `sections/ab12cd34/position`. Only the edits there are restored.
- A field of an item that came or went as a whole, the order of insights and one value of a list cannot be
  separated from the rest of a change. The error says which change has the same effect.

    >>> place = find_place("insights/5f9dabcd/importance", (current, after, before), events)
    >>> with_place(after, before, place).insights[0].importance
    6
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from living_reports.changes import OPS
from living_reports.errors import AmbiguousSelectorError, InvalidInputError, ItemNotFoundError
from living_reports.model.delta import address, apply, diff
from living_reports.model.fields import DERIVED, ITEMS, ORDERS, RESTORED, RULES
from living_reports.model.report import ID_CHARS, Insight, Outline, Section, folded, normalised
from living_reports.model.selectors import MAX_CANDIDATES, MAX_NEAR, find_insight, find_section, quoted
from living_reports.reading.compact import cut, items_of
from living_reports.reading.history import parse_item, removed_items
from living_reports.store.base import Event

Noun = Literal["section", "insight", "report"]

_FINDERS: Mapping[Noun, Callable[[Outline, str], str]] = {
    "section": lambda outline, name: find_section(outline, name, "item").section_id,
    "insight": lambda outline, name: find_insight(outline, name, "item").insight_id,
}
_NOUNS: Mapping[str, Noun] = {"sections": "section", "insights": "insight"}
_POSITION = ("position",)
_KEYS = {kind: tuple(RULES[f"{kind}/metadata".lstrip("/")]) for kind in ("", *ITEMS)}
_NEAR_CHARS = 60

Json = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A section or an insight by its whole id, or one field of it or of the report.

    Attributes:
        noun: The kind of the item; `report` for a field of the report.
        item_id: The id of the item; empty for a field of the report.
        last_version: The last version that has the item, if it was removed.
        field: The parts of the address behind the item; none for the item as a whole.
    """

    noun: Noun
    item_id: str
    last_version: int = 0
    field: tuple[str, ...] = ()

    @property
    def last_seen(self) -> str:
        """The last version that has a removed item, for a hint."""
        return f", such as {self.last_version}" if self.last_version else ""

    @property
    def name(self) -> str:
        """The id of the item, or the address of the field with the whole id."""
        return self.at(self.item_id) if self.field else self.item_id

    @property
    def brief(self) -> str:
        """The address with a short id."""
        return self.at(self.item_id[:ID_CHARS])

    def at(self, item_id: str, *field: str) -> str:
        """Return the address with this form of the id, or that of another field of the item."""
        item = (f"{self.noun}s", item_id) if self.item_id else ()
        return address(*item, *(field or self.field))

    def is_in(self, outline: Outline) -> bool:
        """Return True if the outline has the item."""
        if self.noun == "report":
            return True
        return self.item_id in (_sections(outline) if self.noun == "section" else _insights(outline))


def find_place(selector: str, outlines: Sequence[Outline], events: Callable[[], Iterable[Event]]) -> Place:
    """Return the item or the field that a selector names; a title that looks like an address is a title.

    Args:
        selector: A selector of `find_item`, or an address.
        outlines: The current outline, and the earlier ones that the call is about.
        events: Returns the history, newest first.

    Raises:
        InvalidInputError: It names what cannot be restored without the rest of its item.
        ItemNotFoundError: Nothing matches; `near` lists similar items or addresses.
        AmbiguousSelectorError: Several items match.
    """
    try:
        return find_item(selector, outlines, events())
    except ItemNotFoundError:
        (kind, *_), name, field, of_report = parse_item(selector)
        if not (field or of_report):
            raise
    place = Place("report", "", field=tuple(of_report))
    if field:
        place = replace(find_item(f"{kind}/{name}", outlines, events()), field=tuple(field))
    _require_field(place, outlines)
    return place


def _require_field(place: Place, outlines: Sequence[Outline]) -> None:
    """Refuse an address that is not that of a field, with the change that has the effect if there is one."""
    known = _fields_of(place, outlines)
    if place.field in known:
        return
    if place.field[-1:] and place.field[-1] in ORDERS:
        raise _inseparable(
            "The order of insights can only be restored insight by insight.",
            "Name one of them, as in item=insights/<id>/position",
            {"op": "move_insight", "insight": "…", "section": place.item_id[:ID_CHARS], "position": "…"},
        )
    if place.field[:-1] in known and (change := _list_change(place, outlines)):
        raise _inseparable(
            f"{cut(place.brief)} is one value of a list, and a revert restores the list as a whole.",
            f"Use item={place.at(place.item_id[:ID_CHARS], *place.field[:-1])}",
            change,
        )
    names = {"/".join(field): field for field in known}
    like = difflib.get_close_matches("/".join(place.field)[:_NEAR_CHARS], names, MAX_NEAR, 0.5)
    shown = [names[name] for name in like] or known[:MAX_CANDIDATES]
    raise ItemNotFoundError(
        f"item: nothing can be restored at {quoted(place.brief)}.",
        hint="Give a section, an insight, or an address as audit_report shows it in at; near lists some.",
        path="item",
        near=[{"at": place.at(place.item_id[:ID_CHARS], *field)} for field in shown],
    )


def _fields_of(place: Place, outlines: Sequence[Outline]) -> list[tuple[str, ...]]:
    """Return the fields at which a revert can be made, of the report or of the item of a place."""
    kind = f"{place.noun}s" if place.item_id else ""
    holders = [items_of(outline, {place.item_id}).get(place.item_id) for outline in outlines]
    used = [holder.metadata for holder in (holders if kind else outlines) if holder is not None]
    keys = dict.fromkeys((*_KEYS[kind], *(key for data in used for key in data)))
    own = [(name,) for name in RESTORED[kind]]
    return [*own, *([_POSITION] if kind else []), *(("metadata", key) for key in keys)]


def _list_change(place: Place, outlines: Sequence[Outline]) -> Json | None:
    """Return the change that removes a value from a list of the current report, or adds it there."""
    name, value = place.field[-2:]
    held = [one for outline in outlines for one in _values(place, outline) if value in _texts(one)]
    if not held:
        return None
    verb = "remove" if any(value in _texts(one) for one in _values(place, outlines[0])) else "add"
    if name == "tags":
        return {"op": f"{verb}_tags", "tags": [value]}
    return {"op": f"{verb}_citation", place.noun: place.item_id[:ID_CHARS], "citation": held[0]}


def _values(place: Place, outline: Outline) -> list[Any]:
    """Return the tags or the citations, if a place is in a list of these."""
    if place.noun == "report":
        values = outline.metadata.get("tags")
        return values if place.field[-2] == "tags" and isinstance(values, list) else []
    if place.field[-2] != "citations":
        return []
    item = items_of(outline, {place.item_id}).get(place.item_id)
    return [one.model_dump(exclude_none=True) for one in item.citations] if item else []


def _texts(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else [value]


def require_separable(place: Place, newer: Outline, older: Outline) -> None:
    """Refuse a field of an item that only one of two outlines has.

    Raises:
        InvalidInputError: Only one of them has the item.
    """
    if not place.field or place.is_in(newer) == place.is_in(older):
        return
    item = f"{place.noun}s/{place.item_id[:ID_CHARS]}"
    if place.is_in(newer):
        raise _inseparable(
            f"{item} was added as a whole: before, there was nothing at {place.brief}.",
            f"Use item={item} to take all of it out",
            _field_change(place),
        )
    raise _inseparable(
        f"{item} was removed as a whole: {place.brief} cannot come back without the rest.",
        f"Use item={item} to bring all of it back",
    )


def _field_change(place: Place) -> Json | None:
    """Return the change that clears or sets a field of an item, if there is one."""
    name = place.field[-1]
    item: Json = {place.noun: place.item_id[:ID_CHARS]}
    if place.field == _POSITION:
        return {"op": f"move_{place.noun}", **item, "position": "…"}
    spec = OPS[f"edit_{place.noun}"]
    change = {"op": f"edit_{place.noun}", **item}
    if name in spec.clearable:
        return change | {"clear": [name]}
    return change | {name: "…"} if name in spec.fields else None


def _inseparable(problem: str, instead: str, change: Json | None = None) -> InvalidInputError:
    shown = json.dumps([change], ensure_ascii=False, separators=(",", ":"))
    hint = f"{instead}, or update_report with changes={shown}." if change else f"{instead}."
    return InvalidInputError(problem, hint=hint, path="item")


def find_item(selector: str, outlines: Sequence[Outline], events: Iterable[Event]) -> Place:
    """Return the item that a selector names: of the current report, else of an earlier version.

    Args:
        selector: An id, the beginning of one, an address, the title of a section, or the summary of an
            insight.
        outlines: The current outline, and the earlier ones that the call is about.
        events: The history, newest first, for an item that none of the outlines has.

    Raises:
        ItemNotFoundError: None matches; `near` lists similar ones of the current outline.
        AmbiguousSelectorError: Several match, or a removed item has the title, too.
    """
    current = outlines[0]
    near: list[dict[str, str]] = []
    for outline in outlines:
        found = _find_in(outline, selector, near if outline is current else [])
        if found is not None:
            _require_one(selector, found, outlines)
            return found
    removed = [
        (Place(_NOUNS[kind], item_id, version), title)
        for (kind, item_id), title, version in removed_items(selector, events)
    ]
    if gone := [(place, title) for place, title in removed if not place.is_in(current)]:
        if len(gone) > 1:
            raise _ambiguous(selector, [_candidate(*each) for each in gone])
        return gone[0][0]
    raise ItemNotFoundError(
        f"item: no section or insight answers to {quoted(selector)}, now or then.",
        hint="Name it whole, by its id, the beginning of its id, or its exact title or summary.",
        path="item",
        near=near,
    )


def _find_in(outline: Outline, selector: str, near: list[dict[str, str]]) -> Place | None:
    """Return the item of an outline; `None` if there is none, with similar ones added to `near`."""
    for noun, name in _possible_items(selector):
        try:
            return Place(noun, _FINDERS[noun](outline, name))
        except ItemNotFoundError as error:
            near += error.details["near"]
        except AmbiguousSelectorError as error:
            for candidate in error.details["candidates"]:
                candidate["version"] = outline.outline_version
            raise
    return None


def _require_one(selector: str, found: Place, outlines: Sequence[Outline]) -> None:
    """Refuse a title that the item found shares with a removed one of its kind.

    Raises:
        AmbiguousSelectorError: It does.
    """
    current, title = outlines[0], folded(selector)
    named: dict[str, Json] = {}
    for outline in outlines:
        for item_id, name in _names(outline, found.noun):
            place = Place(found.noun, item_id, outline.outline_version)
            is_gone = outline is not current and not place.is_in(current)
            if folded(name) == title and (outline is current or is_gone):
                named.setdefault(item_id, _candidate(place, name))
    if found.item_id in named and len(named) > 1:
        raise _ambiguous(selector, list(named.values()))


def _names(outline: Outline, noun: Noun) -> Iterator[tuple[str, str]]:
    """Yield the ids of the items of a kind with their titles or summaries."""
    if noun == "section":
        yield from ((section.section_id, section.title) for section in outline.sections)
    else:
        yield from ((insight.insight_id, insight.summary) for insight in outline.insights)


def _candidate(place: Place, title: str) -> Json:
    label = "title" if place.noun == "section" else "summary"
    return {f"{place.noun}_id": place.item_id, label: cut(title, 100), "version": place.last_version}


def _ambiguous(selector: str, candidates: list[Json]) -> AmbiguousSelectorError:
    return AmbiguousSelectorError(
        f"item: {len(candidates)} items had the name {quoted(selector)}.",
        hint="Use the id of one of the candidates; version is the last known one that has it.",
        path="item",
        candidates=candidates[:MAX_CANDIDATES],
    )


def _possible_items(selector: str) -> Iterator[tuple[Noun, str]]:
    """Yield the kinds and selectors to try: the selector may be an address, such as `insights/5f9dabcd`."""
    yield "section", selector
    kind, _, name = selector.partition("/")
    if not name or kind not in ITEMS:
        yield "insight", selector
    elif kind == "sections":
        yield "section", name
    else:
        yield "insight", name


def with_place(outline: Outline, source: Outline, place: Place) -> Outline:
    """Return the outline with one place as `source` has it; an item that `source` lacks is removed.

    Raises:
        InvalidInputError: The section that the insight was in is gone.
    """
    if place.field and not (place.is_in(outline) and place.is_in(source)):
        return outline
    if place.field == _POSITION:
        return _with_position(outline, source, place)
    if place.field:
        follows = {place.at(place.item_id, name) for name in DERIVED if place.field == ("citations",)}
        edits = diff(outline, source)
        return apply(outline, [edit for edit in edits if edit["at"] in {place.name, *follows}])
    if place.noun == "section":
        return _with_section(outline, source, place.item_id)
    return _with_insight(outline, source, place.item_id)


def _with_position(outline: Outline, source: Outline, place: Place) -> Outline:
    """Return the outline with one item where `source` has it; its fields stay."""
    if place.noun == "section":
        here = _sections(outline)
        order = _placed(list(here), list(_sections(source)), place.item_id)
        return normalised(outline.model_copy(update={"sections": [here[key] for key in order]}))
    kept = _insights(outline)[place.item_id]
    insights = [kept if one.insight_id == place.item_id else one for one in source.insights]
    return _with_insight(outline, source.model_copy(update={"insights": insights}), place.item_id)


def _with_insight(outline: Outline, source: Outline, insight_id: str) -> Outline:
    members = {section.section_id: list(section.insight_ids) for section in outline.sections}
    now, then = _home(outline, insight_id), _home(source, insight_id)
    if then is not None and then not in members and insight_id in _insights(source):
        if insight_id not in _insights(outline):
            raise InvalidInputError(
                "The section that this insight was in is gone.",
                hint=f"Bring the section back, with item={then}; its insights come with it.",
                path="item",
            )
        then = now
    if now is not None and now != then:
        members[now].remove(insight_id)
    if then is not None and then == _home(source, insight_id):
        members[then] = _placed(members[then], _sections(source)[then].insight_ids, insight_id)
    return _built(outline, source, [insight_id], outline.sections, members)


def _with_section(outline: Outline, source: Outline, section_id: str) -> Outline:
    here, there = _sections(outline), _sections(source)
    ids_now = here[section_id].insight_ids if section_id in here else []
    ids_then = there[section_id].insight_ids if section_id in there else []
    affected = list(dict.fromkeys((*ids_then, *ids_now)))
    sections = dict(here)
    if section_id in there:
        sections[section_id] = there[section_id]
    else:
        sections.pop(section_id, None)
    order = [key for key in here if key in sections]
    if section_id in sections:
        order = _placed(order, list(there), section_id)
    members = {
        key: [i for i in section.insight_ids if i not in affected] for key, section in sections.items()
    }
    if section_id in sections:
        members[section_id] = list(ids_then)
    for insight_id in ids_now:
        home = _home(source, insight_id)
        if insight_id not in _insights(source) or home == section_id:
            continue
        if home in members:
            members[home] = _placed(members[home], there[home].insight_ids, insight_id)
        elif section_id in members:
            members[section_id].append(insight_id)
    return _built(outline, source, affected, [sections[key] for key in order], members)


def _built(
    outline: Outline,
    source: Outline,
    insight_ids: Sequence[str],
    sections: Sequence[Section],
    members: dict[str, list[str]],
) -> Outline:
    """Return the outline with these sections, and these insights as the source has them."""
    then = _insights(source)
    insights: dict[str, Insight] = dict(_insights(outline))
    order = list(insights)
    for insight_id in insight_ids:
        if insight_id in then:
            insights[insight_id] = then[insight_id]
            order = order if insight_id in order else _placed(order, list(then), insight_id)
        elif insight_id in insights:
            del insights[insight_id]
            order.remove(insight_id)
    filled = [
        section
        if section.insight_ids == members[section.section_id]
        else section.model_copy(update={"insight_ids": members[section.section_id]})
        for section in sections
    ]
    items = {"sections": filled, "insights": [insights[key] for key in order]}
    return normalised(outline.model_copy(update=items))


def _placed(ids: Sequence[str], then: Sequence[str], item_id: str) -> list[str]:
    """Return the ids with this one behind the nearest id before it in `then` that still exists."""
    others = [one for one in ids if one != item_id]
    index = then.index(item_id)
    before = [one for one in then[:index] if one in others]
    if item_id in ids:
        ahead = ids[: ids.index(item_id)]
        if {one for one in ahead if one in then} == set(before):
            return list(ids)
    place = others.index(before[-1]) + 1 if before else 0
    return [*others[:place], item_id, *others[place:]]


def _home(outline: Outline, insight_id: str) -> str | None:
    return next((s.section_id for s in outline.sections if insight_id in s.insight_ids), None)


def _sections(outline: Outline) -> dict[str, Section]:
    return {section.section_id: section for section in outline.sections}


def _insights(outline: Outline) -> dict[str, Insight]:
    return {insight.insight_id: insight for insight in outline.insights}
