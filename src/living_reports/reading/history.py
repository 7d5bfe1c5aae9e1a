"""Questions about the history of a report: filters of events, and the last change of a place.

Rules:

- Events come newest first. A filter is a predicate over one event and is given all that it needs to know
  about the report.
- A place is an address as a list of its parts: `title`, `metadata/tags`, `sections/<id>`,
  `insights/<id>/citations`. One value of a list is named after its list: `metadata/tags/ops`, or a citation
  by any of its fields, `insights/<id>/citations/https://example.org`. The citations of a section are at
  `sections/<id>/metadata/citations`, and also found without `metadata`.
- A section or an insight may be named by its id, a prefix of its id, its title or a part of its summary;
  alone, or in an address. Its name may come from the history if it is no longer in the report.
- An event touched a place if its delta has an edit there or below, or an edit that added or removed what
  contains the place. The fields that every version changes do not count.
- An event matches a text if a value that it changed has the text before or after it: the whole text of a
  field, a whole item that came or went, an element of a list. A delta contains only the words that changed,
  so the values are rebuilt backwards, each from the next one; if that fails, the words in the delta decide.
- Case, Unicode form and surrounding space of texts are ignored. Ids and times are not texts.

    >>> place = place_of("insights/5f9dabcd/citations", outline, events)
    >>> last_change(place, events, outline)["reason"]
    'checked against the advisory'
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, get_args

from living_reports.errors import InvalidInputError, ItemNotFoundError, ReportError
from living_reports.model.delta import DeltaError, Draft, Edit, apply, invert, is_bookkeeping, parts
from living_reports.model.event import ActionType, Actor
from living_reports.model.fields import DERIVED, ID_FIELDS, ITEMS, LABELS, NOT_WORDS
from living_reports.model.report import Outline, folded
from living_reports.model.selectors import MIN_PREFIX, find_insight, find_section, quoted
from living_reports.model.splices import as_json
from living_reports.reading.compact import (
    Json,
    author_row,
    brief_address,
    commit_of,
    cut,
    event_row,
    item_name,
    items_of,
    short_ids,
    size_bytes,
)
from living_reports.store.base import Event

EventFilter = Callable[[Event], bool]

Place = list[str]
"""The parts of an address."""

MERGED_BYTES = 1_500
"""The size of all rows that show merged versions."""
_REASON_CHARS = 100
_MERGED_FIELDS = ("version", "client", "user", "reason", "changed", "changed_more")

REWIND_CHARS = 50_000_000
"""The work that one answer spends on outlines of earlier versions."""
_ITEM_CHARS, _STEP_CHARS = 400, 10
"""The work for each item: to read it from the store, beside its text, and to take a delta back."""
_NEAR_EVENTS = 32
"""The number of deltas that are taken back before a version is read from the store instead."""

_FIELD_PARTS = 3
"""The number of parts in the address of a field of an item."""

_NOT_WORDS_OF_REPORT = frozenset(Outline.model_fields) - {"title", "metadata"}
_REBUILT = 20
"""How often a search for a text may rebuild a version: a damaged history could need it for each event."""


# --- Times, authors and types ------------------------------------------------------------


def parse_since(since: str | int) -> int | datetime | None:
    """Parse a version or a moment; `None` if it is not stated.

    Raises:
        InvalidInputError: It is neither a version nor an ISO date or time.
    """
    text = str(since).strip()
    if text in ("", "0"):
        return None
    if text.isascii() and text.isdecimal() and len(text) < 8:
        return int(text)
    try:
        return as_moment(text)
    except ValueError:
        raise InvalidInputError(
            f"since is {quoted(text)}, neither a version nor a date.",
            hint="Give a version such as 12, a day such as 2026-11-01, or an ISO time.",
            path="since",
        ) from None


def as_moment(text: str) -> datetime:
    """Parse an ISO day (as its beginning) or time, in UTC where it names no zone.

    Raises:
        ValueError: It is neither.
    """
    if len(text) == 10:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def is_after(event: Event, since: int | datetime) -> bool:
    """Return True if the event came after the version, or not before the moment."""
    if isinstance(since, int):
        return event.version > since or not event.is_ours
    moment = made_at(event)
    return moment is None or moment >= since


def made_at(event: Event) -> datetime | None:
    """Return the time of an event; of an imported version, that of its commit. `None` if it is not valid."""
    recorded, commit = recorded_at(event), commit_of(event.payload)
    try:
        committed = as_moment(commit.ts) if commit else recorded
    except ValueError:
        return recorded  # git accepts invalid dates
    return min(committed, recorded) if committed and recorded else recorded


def recorded_at(event: Event) -> datetime | None:
    """Return the time at which the event was appended; `None` if another program wrote no valid time."""
    try:
        return as_moment(str(event.fields.get("ts")))
    except ValueError:
        return None


def is_last_after(event: Event, since: int | datetime) -> bool:
    """Return True if no earlier event can be after `since`. Times of imported commits are in no order."""
    if isinstance(since, int):
        return event.is_ours and event.version <= since
    recorded = recorded_at(event)
    return event.is_ours and recorded is not None and recorded < since


def by_type(action_type: str) -> EventFilter:
    """Return the filter for the events of one type.

    Raises:
        InvalidInputError: There is no such type.
    """
    known = get_args(ActionType)
    if action_type not in known:
        near = difflib.get_close_matches(action_type[:40].casefold(), known, 1)
        raise InvalidInputError(
            f"There is no action type {quoted(action_type)}.",
            hint="Leave action_type out to see all events but renders.",
            path="action_type",
            allowed=list(known),
            did_you_mean=near[0] if near else None,
        )
    return lambda event: event.fields.get("action_type") == action_type


def is_change(event: Event) -> bool:
    """Return False for a render, which changes nothing: earlier releases and other programs record them."""
    return event.makes_version or event.fields.get("action_type") != "render"


def by_actor(actor: str) -> EventFilter:
    """Return the filter for one kind of actor, else for clients and users whose name contains the word."""
    word = folded(actor)
    if word in get_args(Actor):
        return lambda event: event.fields.get("actor") == word
    return lambda event: any(word in folded(name) for name in _names(event))


def _names(event: Event) -> list[str]:
    """Return the client and the user of an event, and the author of the commit that it imported."""
    commit = commit_of(event.payload)
    names = [str(event.payload.get(name, "")) for name in ("client", "user")]
    return [*names, commit.author if commit else ""]


def newest_version(events: Iterable[Event]) -> int:
    """Return the version of the newest event; 0 if no event has one."""
    return next((event.version for event in events if event.is_ours), 0)


# --- Places ------------------------------------------------------------------------------


def place_of(item: str, outline: Outline | None, events: Iterable[Event]) -> Place:
    """Return the place that `item` names, with its whole id.

    Args:
        item: An address, or the selector of a section or an insight.
        outline: The current report, if it can be read.
        events: The history, for an item that the report does not have.

    Raises:
        ItemNotFoundError: No item has or had this name.
        AmbiguousSelectorError: Several items match.
    """
    kinds, name, field, place = parse_item(item)
    near: list[Json] = []
    for kind in kinds if outline is not None else ():
        try:
            return [kind, _item_id(outline, kind, name), *field]
        except ItemNotFoundError as error:
            near += error.details["near"]
    if place:
        return place
    is_named = _naming(kinds, name)
    found = (path[:2] for event in events for path, edit in edits(event) if is_named(path, edit))
    if removed := next(found, None):
        return [*removed, *field]
    raise ItemNotFoundError(
        f"item: no section or insight matches {quoted(item)}, now or earlier.",
        hint="Use its id, a prefix of its id, the title of a section, or an address such as title.",
        path="item",
        near=near,
    )


def parse_item(item: str) -> tuple[Sequence[str], str, Place, Place]:
    """Return the kinds of items that may be meant, the selector, the field, and a place outside of items."""
    try:
        path = parts(item.strip())
    except DeltaError:
        path = []
    if not path or path[0] not in Outline.model_fields:
        return ITEMS, item, [], []
    if len(path) == 1 or path[0] not in ITEMS:
        return ITEMS[:1], item, [], path  # a section may have such a title
    field = path[2:]
    if path[0] == "sections" and field[:1] == ["citations"]:
        field = ["metadata", *field]  # the place of a section's citations
    size = 2 if field[:1] == ["metadata"] else 1
    value = ["/".join(field[size:])] if field[size:] else []  # a link, escaped or not
    return path[:1], path[1], [*field[:size], *value], []


def _item_id(outline: Outline | None, kind: str, name: str) -> str:
    assert outline is not None
    if kind == "sections":
        return find_section(outline, name, "item").section_id
    return find_insight(outline, name, "item", reading=True).insight_id


def removed_items(item: str, events: Iterable[Event]) -> list[tuple[Place, str, int]]:
    """Return the items that had this id, title or summary and were removed; they may have come back since.

    Args:
        item: An id, the beginning of one, a title or a summary; or the address of an item.
        events: The history, newest first.

    Returns:
        The place of each, its title or summary when it was removed, and the last version that has it.
    """
    kinds, name, field, _ = parse_item(item)
    if field:
        return []
    is_named = _naming(kinds, name)
    named: dict[tuple[str, ...], None] = {}
    removed: dict[tuple[str, ...], tuple[Place, str, int]] = {}
    for event in events:
        for path, edit in edits(event):
            if len(path) == 2 and "old" in edit and "new" not in edit:
                removed.setdefault(tuple(path), (path, _title(edit["old"]), event.version - 1))
            if is_named(path, edit):
                named[tuple(path[:2])] = None
    return [removed[place] for place in named if place in removed]


def _naming(kinds: Sequence[str], name: str) -> Callable[[Place, Edit], bool]:
    """Return a test whether an edit says that an item had this id, title or summary."""
    plain, words = name.strip().replace("-", "").casefold(), folded(name)

    def is_named(path: Place, edit: Edit) -> bool:
        if len(path) < 2 or path[0] not in kinds:
            return False
        if len(plain) >= MIN_PREFIX and path[1].replace("-", "").casefold().startswith(plain):
            return True
        is_title = len(path) == 2 or path[2:] == ["title"]
        return is_title and bool(words) and words in {folded(_title(edit.get(s))) for s in ("old", "new")}

    return is_named


def _title(side: Any) -> str:
    """Return the title or summary of an item, as JSON, or of a field; empty if there is none."""
    if isinstance(side, dict):
        side = next((side[name] for name in LABELS if side.get(name)), None)
    return side if isinstance(side, str) else ""


def by_place(place: Place) -> EventFilter:
    """Return the filter for the events that touched a place."""
    return lambda event: next(_touched(event, place), None) is not None


def last_change(place: Place, events: Iterable[Event], outline: Outline | None) -> Json:
    """Return the last change of a place; empty if there was none.

    It is `{version, ts, actor, client, user, reason, item, at}`; `at` is the part of the place that changed,
    or the place itself if several parts changed.

    Args:
        place: The place.
        events: The history, newest first.
        outline: The current report, if it can be read.
    """
    names = short_ids(outline) if outline else {}
    for event in events:
        touched = list(_touched(event, place))
        if touched and event.is_event:
            own = [path for path in touched if DERIVED.isdisjoint(path[-1:])]
            at = own[0] if len(own) == 1 and len(own[0]) > len(place) else place
            item = {"item": name} if (name := _name_of(place, event, outline)) else {}
            return author_row(event) | item | {"at": brief_address(at, names)}
    return {}


def _name_of(place: Place, event: Event, outline: Outline | None) -> str:
    """Return the title or the summary of the item of a place, which may be the one that an event removed."""
    ids = ids_in(place)
    removed = (edit.get("old") for path, edit in edits(event) if path == place[:2])
    items = [*items_of(outline, ids).values(), *removed]
    return next(filter(None, map(item_name, items)), "") if ids else ""


def edits(event: Event) -> Iterator[tuple[Place, Edit]]:
    """Yield the edits of an event with their places; invalid edits of other programs are skipped."""
    for edit in event.delta:
        if isinstance(edit, dict) and isinstance(edit.get("at"), str):
            try:
                yield parts(edit["at"]), edit
            except DeltaError:
                continue


def ids_in(place: Place) -> list[str]:
    """Return the ids that an event must mention to touch the place; empty for places outside of items."""
    return [place[1]] if len(place) > 1 and place[0] in ITEMS else []


def _touched(event: Event, place: Place) -> Iterator[Place]:
    """Yield the places of the edits that touched the place."""
    if not all(event.mentions(item_id) for item_id in ids_in(place)):
        return  # saves parsing most events
    for path, edit in edits(event):
        if _touches(path, edit, place):
            yield path


def _touches(path: Place, edit: Edit, place: Place) -> bool:
    if not path:
        return _holds(edit.get("new"), place)
    if path[: len(place)] == place:
        return path == place or not is_bookkeeping(edit["at"])
    if place[: len(path)] != path or (path[0] in ITEMS and len(path) == 1):
        return False
    return any(_has(value, place[len(path) :]) for value in _values(edit))


def _values(edit: Edit) -> Iterator[Any]:
    """Yield the values that an edit removed or added."""
    yield from (edit[side] for side in ("old", "new") if side in edit)
    splices = edit.get("splices")
    for splice in splices if isinstance(splices, list) else ():
        yield from splice[1:] if isinstance(splice, list) else ()


def _holds(outline: Any, place: Place) -> bool:
    """Return True if a whole outline, as JSON, has the place."""
    if place[0] not in ITEMS or len(place) == 1:
        return _has(outline, place)
    rows = outline.get(place[0]) if isinstance(outline, dict) else None
    id_field = ID_FIELDS[place[0]]
    found = (row for row in rows or () if isinstance(row, dict) and row.get(id_field) == place[1])
    return any(_has(row, place[2:]) for row in found)


def _has(value: Any, rest: Place) -> bool:
    """Return True if a value has something at the rest of a place."""
    if not rest:
        return value not in (None, "", [], {})
    if isinstance(value, dict):
        return _has(value.get(rest[0]), rest[1:])
    if isinstance(value, list):
        return any(rest[0] in (item.values() if isinstance(item, dict) else (item,)) for item in value)
    return False


# --- Versions before events --------------------------------------------------------------


def outline_before(event: Event, after: Outline) -> Outline | None:
    """Return the outline before an event; `None` if there is none, or the event does not fit."""
    try:
        return None if event.is_whole else apply(after, invert(event.delta))
    except DeltaError:
        return None


class Rewinder:
    """Gives the outlines around the events of a walk from the newest event to older ones.

    An outline is computed only if it is asked for: from the one before in the walk if it is near, else from
    the store. The work is bounded, since a report may be large and the events far apart.

    Args:
        outline_at: Returns the outline of a version, or raises a `ReportError`.
        work: The limit, in characters of outlines.
    """

    def __init__(self, outline_at: Callable[[int], Outline], work: int = REWIND_CHARS) -> None:
        self._outline_at = outline_at
        self._work = work
        self._known: Outline | None = None
        self._passed: list[Event] = []

    def pass_by(self, event: Event) -> None:
        """Continue the walk with an event whose outlines are not needed."""
        if event.makes_version and len(self._passed) <= _NEAR_EVENTS:
            self._passed.append(event)

    def around(self, event: Event) -> tuple[Outline | None, Outline | None]:
        """Return the outlines before and after an event; `None` for those that are not known."""
        if not event.makes_version or self._work < 0:
            return None, None
        try:
            after = self._after(event.version)
        except ReportError:
            return None, None
        self._known, self._passed = self._before(event, after), []
        return self._known, after

    def _after(self, version: int) -> Outline:
        known = self._known if len(self._passed) <= _NEAR_EVENTS else None
        for event in self._passed:
            known = self._before(event, known) if known and known.outline_version == event.version else None
        if known is None or known.outline_version != version:
            known = self._outline_at(version)
            self._work -= sum(len(s.content or "") + _ITEM_CHARS for s in known.sections)
            self._work -= sum(len(i.summary) + _ITEM_CHARS for i in known.insights)
        return known

    def _before(self, event: Event, after: Outline) -> Outline | None:
        self._work -= _STEP_CHARS * (len(after.sections) + len(after.insights))
        return outline_before(event, after)


# --- Merged versions ---------------------------------------------------------------------


@dataclass(frozen=True)
class Merged:
    """The versions that a change was merged with, oldest first, and rows that show what they changed."""

    versions: Sequence[int] = ()
    rows: Sequence[Json] = ()


def merged(events: Iterable[Event], versions: Sequence[int], outline: Outline) -> Merged:
    """Return these versions with their authors and changes, as far as `MERGED_BYTES` allow.

    Args:
        events: The history, newest first.
        versions: The versions, oldest first.
        outline: The outline of the newest of them.
    """
    rows = _merged_rows(events, versions, outline)
    return Merged(versions, newest_fitting(rows, versions, MERGED_BYTES))


def _merged_rows(events: Iterable[Event], versions: Sequence[int], outline: Outline) -> Iterator[Json]:
    """Yield the rows of the versions, newest first; the outlines before are computed one by one."""
    after: Outline | None = outline
    left = set(versions)
    for event in events:
        if event.version in left and event.makes_version and event.is_event:
            known = after if after is not None and after.outline_version == event.version else None
            after = outline_before(event, known) if known else None
            row = event_row(event.event, after, known)
            reason = {"reason": cut(row["reason"], _REASON_CHARS)} if "reason" in row else {}
            yield {name: row[name] for name in _MERGED_FIELDS if name in row} | reason
            left.remove(event.version)
        if not left:
            return


def newest_fitting(rows: Iterable[Json], versions: Sequence[int], room: int) -> list[Json]:
    """Return as many rows as fit into `room` bytes of JSON, oldest first.

    Args:
        rows: The rows of the versions, newest first. A row keeps one edit, and more in its share of the room.
        versions: The versions.
        room: The limit.
    """
    share = room // len(versions)
    shown: list[Json] = []
    for row in rows:
        while size_bytes(row) > (share if len(row.get("changed", ())) > 1 else room) and row.get("changed"):
            row = row | {"changed": row["changed"][:-1], "changed_more": row.get("changed_more", 0) + 1}
        room -= size_bytes(row) + len(",")
        if room < 0 or row.get("changed") == []:
            break
        shown.append(row)
    return shown[::-1]


# --- Texts -------------------------------------------------------------------------------


class TextFilter:
    """A filter for the events that changed a value with a text. It expects every event, newest first.

    Args:
        text: The text.
        outline_at: Returns the outline of a version, or raises a `ReportError`.
    """

    def __init__(self, text: str, outline_at: Callable[[int], Outline]) -> None:
        self._text = _comparable(text)
        self._outline_at = outline_at
        self._past: Draft | None = None
        """The report before the event that was seen last."""
        self._rebuilt = 0
        self._known: dict[str, tuple[str, bool]] = {}
        """The values at addresses that were searched last, and whether they have the text."""

    def __call__(self, event: Event) -> bool:
        """Return True if a value that the event changed had the text before or after it."""
        if not event.makes_version:
            return False
        if event.is_whole:
            self._past = None
            return self._is_in(_report_words(event.delta[0].get("new")))
        try:
            return self._is_in_values(event)
        except (ReportError, DeltaError):
            self._past = None
            return self._is_in(event.delta)

    def _is_in_values(self, event: Event) -> bool:
        past = self._before(event.version)
        found = False
        for undo in invert(event.delta):
            place = parts(undo["at"])
            if not _has_words(place):
                past.edit(place, undo)
                continue
            found = found or self._is_in_value(place, undo, past)
            past.edit(place, undo)
            found = found or self._is_in_value(place, undo, past)
        return found

    def _before(self, version: int) -> Draft:
        """Return the report at a version, which later events lead back to."""
        if self._past is None or self._past.value(["outline_version"]) != version:
            if self._rebuilt == _REBUILT:
                raise DeltaError("the history has too many gaps")
            self._rebuilt += 1
            self._past = Draft(self._outline_at(version))
        return self._past

    def _is_in_value(self, place: Place, edit: Edit, report: Draft) -> bool:
        """Return True if the value at the place has the text; of a list, one of the changed elements."""
        value = report.value(place)
        if isinstance(value, list):
            return self._is_in(_changed_elements(edit))
        if not isinstance(value, str):
            return self._is_in(_item_words(place, value))
        known = self._known.get(edit["at"])
        if known is None or known[0] is not value:
            known = self._known[edit["at"]] = value, self._is_in(value)
        return known[1]

    def _is_in(self, value: Any) -> bool:
        return any(self._text in _comparable(words) for words in _all_texts(value))


def _comparable(text: str) -> str:
    return folded(text.replace("\r\n", "\n"))


def _changed_elements(edit: Edit) -> list[Any]:
    """Return the elements that an edit of a list removed or added."""
    if "splices" in edit:
        return list(edit["splices"])
    lists = [value if isinstance(value := edit.get(side), list) else [] for side in ("old", "new")]
    old, new = ({as_json(one): one for one in values} for values in lists)
    return [one for key, one in (old | new).items() if (key in old) != (key in new)]


def _has_words(place: Place) -> bool:
    """Return False for ids, times and the order of items."""
    if len(place) == 1:
        return place[0] not in _NOT_WORDS_OF_REPORT
    return len(place) != _FIELD_PARTS or place[-1] not in NOT_WORDS


def _report_words(outline: Any) -> Any:
    """Return the texts of a whole outline, as JSON."""
    if not isinstance(outline, dict):
        return outline
    head = {name: value for name, value in outline.items() if name not in _NOT_WORDS_OF_REPORT}
    lists = ((kind, outline.get(kind)) for kind in ITEMS)
    items = [_item_words([kind, ""], item) for kind, rows in lists if isinstance(rows, list) for item in rows]
    return [head, items]


def _item_words(place: Place, value: Any) -> Any:
    """Return the texts of an item, as JSON; any other value as it is."""
    if len(place) != 2 or place[0] not in ITEMS or not isinstance(value, dict):
        return value
    return {name: inner for name, inner in value.items() if name not in NOT_WORDS}


def _all_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _all_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _all_texts(inner)
