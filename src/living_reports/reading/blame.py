"""Who last changed a place of a report, and which events touched it.

Rules:

- A place is an address: `title`, `metadata/tags`, `sections/<id>`, `insights/<id>/citations`. One
  value of a list is named behind its list: `metadata/tags/ops`, or a citation by any of its fields,
  `insights/<id>/citations/https://example.org`.
- A section or an insight may be named by its id, the beginning of its id, its title or a part of
  its summary; alone, or in an address. It may be one that is gone: then the history says which
  one was meant.
- An event touched a place if its delta has an edit there or below, or one that brought or took
  what holds it. What every version changes anyway does not count.

    >>> place = place_of("insights/5f9dabcd/citations", outline, records())
    >>> last_change(place, records(), short_ids(outline))["reason"]
    'checked against the advisory'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from living_reports.errors import ItemNotFoundError
from living_reports.model.delta import DeltaError, is_bookkeeping, parts
from living_reports.model.fields import DERIVED, ID_FIELDS, ITEMS, LABELS
from living_reports.model.report import Outline
from living_reports.model.selectors import find_insight, find_section, folded, quoted
from living_reports.reading.compact import brief_address, by_line
from living_reports.store.base import Event

Row = dict[str, Any]
Path = list[str]

_MIN_PREFIX = 4
_FIELD_PARTS = 3
"""How many parts the address of an item's field has; what comes behind names one of its values."""


# --- Which place -------------------------------------------------------------------------


def place_of(item: str, outline: Outline | None, records: Iterable[Event]) -> Path:
    """The parts of the address that `item` names, its id whole.

    `outline` is the report as it is, if it can be read; `records` are looked through for an item
    that it does not have.

    Raises:
        ItemNotFoundError: Nothing of this name is there or was there.
        AmbiguousSelectorError: Several items answer to it.
    """
    kinds, name, rest, path = _stated(item)
    near: list[Row] = []
    for kind in kinds if outline is not None else ():
        try:
            return [kind, _item_id(outline, kind, name), *rest]
        except ItemNotFoundError as error:
            near += error.details["near"]
    if path:
        return path
    if gone := _gone(kinds, name, records):
        return [*gone, *rest]
    raise ItemNotFoundError(
        f"item: no section or insight answers to {quoted(item)}, now or earlier.",
        hint="Name it by its id, the beginning of its id, a section's title, or an address such as title.",
        path="item",
        near=near,
    )


def _stated(item: str) -> tuple[Sequence[str], str, Path, Path]:
    """The kinds of items that may be meant, by which name; the field; and the address of no item."""
    try:
        path = parts(item.strip())
    except DeltaError:
        path = []
    if not path or path[0] not in Outline.model_fields:
        return ITEMS, item, [], []
    if len(path) == 1 or path[0] not in ITEMS:
        return ITEMS[:1], item, [], path  # a section may have such a title
    rest = path[2:_FIELD_PARTS]
    if len(path) > _FIELD_PARTS:
        rest.append("/".join(path[_FIELD_PARTS:]))  # a link, escaped or not
    return path[:1], path[1], rest, []


def _item_id(outline: Outline | None, kind: str, name: str) -> str:
    assert outline is not None
    if kind == "sections":
        return find_section(outline, name, "item").section_id
    return find_insight(outline, name, "item", reading=True).insight_id


def _gone(kinds: Sequence[str], name: str, records: Iterable[Event]) -> Path | None:
    """The item that last had this id, title or summary."""
    plain, words = name.strip().replace("-", "").casefold(), folded(name)
    for record in records:
        for path, edit in edits(record):
            if len(path) < 2 or path[0] not in kinds:
                continue
            sides = [edit.get("old"), edit.get("new")] if len(path) == 2 or path[2:] == ["title"] else []
            titles = {_title(side) for side in sides}
            starts = len(plain) >= _MIN_PREFIX and path[1].replace("-", "").casefold().startswith(plain)
            if starts or (words and words in titles):
                return path[:2]
    return None


def _title(side: Any) -> str:
    if isinstance(side, dict):
        side = next((side[name] for name in LABELS if side.get(name)), None)
    return folded(side) if isinstance(side, str) else ""


# --- Which events ------------------------------------------------------------------------


def about(place: Path) -> Callable[[Event], bool]:
    """The events that touched a place."""
    return lambda record: next(_touched(record, place), None) is not None


def last_change(place: Path, records: Iterable[Event], names: Mapping[str, str]) -> Row:
    """Who last changed a place: `{version, ts, actor, client, reason, at}`; empty if nobody did.

    `records` come newest first; `names` gives short ids. `at` is what changed of the place, or the
    place itself where that was more than one thing.
    """
    for record in records:
        touched = list(_touched(record, place))
        if touched and record.is_event:
            own = [path for path in touched if DERIVED.isdisjoint(path[-1:])]
            at = own[0] if len(own) == 1 and len(own[0]) > len(place) else place
            return by_line(record) | {"at": brief_address(at, names)}
    return {}


def edits(record: Event) -> Iterator[tuple[Path, Row]]:
    """The edits of an event with the parts of their addresses; another writer's may be anything."""
    for edit in record.delta:
        if isinstance(edit, dict) and isinstance(edit.get("at"), str):
            try:
                yield parts(edit["at"]), edit
            except DeltaError:
                continue


def named_by(place: Path) -> list[str]:
    """Return the ids that an event mentions if it touched the place; none are known for most places."""
    return [place[1]] if len(place) > 1 and place[0] in ITEMS else []


def _touched(record: Event, place: Path) -> Iterator[Path]:
    """Where the event touched the place."""
    if not all(record.mentions(name) for name in named_by(place)):
        return  # spares most lines from being parsed
    for path, edit in edits(record):
        if _touches(path, edit, place):
            yield path


def _touches(path: Path, edit: Row, place: Path) -> bool:
    if not path:
        return _holds(edit.get("new"), place)
    if path[: len(place)] == place:
        return path == place or not is_bookkeeping(edit["at"])
    if place[: len(path)] != path or (path[0] in ITEMS and len(path) == 1):
        return False
    return any(_has(value, place[len(path) :]) for value in _values(edit))


def _values(edit: Row) -> Iterator[Any]:
    """What an edit took and what it brought."""
    yield from (edit[side] for side in ("old", "new") if side in edit)
    splices = edit.get("splices")
    for splice in splices if isinstance(splices, list) else ():
        yield from splice[1:] if isinstance(splice, list) else ()


def _holds(outline: Any, place: Path) -> bool:
    """True if a whole outline, as JSON, has the place."""
    if place[0] not in ITEMS or len(place) == 1:
        return _has(outline, place)
    rows = outline.get(place[0]) if isinstance(outline, dict) else None
    id_field = ID_FIELDS[place[0]]
    found = (row for row in rows or () if isinstance(row, dict) and row.get(id_field) == place[1])
    return any(_has(row, place[2:]) for row in found)


def _has(value: Any, rest: Path) -> bool:
    """True if there is something at the rest of an address, below a value."""
    if not rest:
        return value not in (None, "", [], {})
    if isinstance(value, dict):
        return _has(value.get(rest[0]), rest[1:])
    if isinstance(value, list):
        return any(rest[0] in (item.values() if isinstance(item, dict) else (item,)) for item in value)
    return False
