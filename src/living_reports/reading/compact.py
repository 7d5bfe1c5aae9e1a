"""Compact answers: short ids, cut texts, edits and events as rows, and answers of a limited size.

One module, because every answer needs most of it.

Rules for rows:

- An id is cut to its first 8 characters, or to as many as make it unique among the ids of its report,
  sections and insights together.
- A text that was cut ends in an ellipsis. A value that is not a text is kept while it is short; a longer one
  becomes the beginning of its JSON text.
- A row `{at, old, new}` shows the effect of an edit. Edits that follow from another row, or that every
  version makes, are left out: an item that was added changes the order of its list, for example.

Rules for `fit`:

- The compact JSON text of the whole answer, cursor included, has at most `max_chars` characters.
- An item that fits into an answer of its own is never cut: it waits for the next answer. A longer one is cut
  inside: a text at the end of a line or a word if possible, a list between its elements.
- An item that is cut has `"cut": true`. Its continuation repeats its id and states where it begins:
  `"from": "content/1200"` is character 1200 of its content, `"from": "citations/2"` the third citation.
  Texts and lists joined in order give the item again: nothing is lost or repeated.

    >>> brief_edits([{"at": "insights/5f9dabcd-0000-4000-8000-000000000000/importance", "old": 6, "new": 8}])
    [{'at': 'insights/5f9dabcd/importance', 'old': 6, 'new': 8}]
    >>> body = {"sections": [{"section_id": "ab12cd34", "content": "word " * 200}]}
    >>> answer, rest = fit({"version": 1}, body, [], 500, lambda rest: "…")
    >>> answer["sections"][0]["cut"], rest
    (True, [0, 0, 1, 405])
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from living_reports.errors import InvalidInputError
from living_reports.model.delta import DeltaError, Edit, address, is_bookkeeping, parts
from living_reports.model.event import AuditEvent
from living_reports.model.fields import DERIVED, ID_FIELDS, ITEMS, LABELS, ORDERS
from living_reports.model.report import ID_CHARS, Outline, unique_starts
from living_reports.reading.cursor import damaged
from living_reports.store.base import Event

MAX_ANSWER_CHARS = 20_000
"""The limit of most answers, in characters of compact JSON."""

VALUE_CHARS = 200
CLIENT_CHARS = 60
MAX_CLIENT_CHARS = 200
COMMIT_CHARS = 12

EVENT_BYTES = 400
"""The size limit of the row of an event with one or two edits; each further edit adds `EDIT_BYTES`."""
EDIT_BYTES = 80
EVENT_EDITS = 8
"""The number of edits that the row of an event shows; the others are counted."""

_EVENT_LIMITS = ((200, 200), (100, 200), (60, 160), (40, 120), (24, 80), (12, 60))
"""The lengths of values and of the reason, tried in turn until the row is short enough."""

_ID_KEYS = tuple(ID_FIELDS.values())
_CUT = ',"cut":true'

Json = dict[str, Any]
"""A JSON object in an answer."""

Names = Mapping[str, str]
"""The short ids of a report by its whole ids."""

Rest = list[int]
"""The place where an answer was cut, as a path of counts: the entry, its item, the field, the character."""

_ABSENT: Any = object()
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


# --- Sizes and ids -----------------------------------------------------------------------


def size(value: Any) -> int:
    """Return the number of characters of the value's compact JSON text."""
    return len(_JSON.encode(value))


def size_bytes(value: Any) -> int:
    """Return the number of bytes of the value's compact JSON text in UTF-8."""
    return len(_JSON.encode(value).encode())


def first_fitting(rows: list[Any], room: int) -> list[Any]:
    """Return as many of the first rows as fit into `room` characters."""
    taken = 2
    for count, row in enumerate(rows):
        taken += size(row) + 1
        if taken > room:
            return rows[:count]
    return rows


def stated(row: Json) -> Json:
    """Return the row without its fields that are `None`."""
    return {key: value for key, value in row.items() if value is not None}


def cut(text: str, limit: int = VALUE_CHARS) -> str:
    """Return the text in at most `limit` characters, with an ellipsis if it was cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def short_ids(*outlines: Outline) -> dict[str, str]:
    """Return the shortest unique prefix, at least 8 characters, of each section and insight id."""
    sections = (section.section_id for outline in outlines for section in outline.sections)
    return unique_starts((*sections, *(i.insight_id for outline in outlines for i in outline.insights)))


# --- Edits -------------------------------------------------------------------------------


def brief_edits(delta: Sequence[Edit], names: Names | None = None, limit: int = VALUE_CHARS) -> list[Json]:
    """Return the edits of a delta as rows `{at, old, new}`.

    Args:
        delta: The edits.
        names: The short ids of the report; without them, ids are unique within the delta only.
        limit: The number of characters after which a value is cut.
    """
    paths = [parts(edit["at"]) for edit in delta]
    if names is None:
        names = unique_starts(path[1] for path in paths if _is_item(path))
    whole = {path[1] for path in paths if _is_item(path) and len(path) == 2}
    rows = []
    for edit, path in zip(delta, paths, strict=True):
        if is_bookkeeping(edit["at"]) or not DERIVED.isdisjoint(path[-1:]):
            continue
        old, new = _sides(edit, path, whole, names)
        row = {
            key: _brief(value, limit) for key, value in (("old", old), ("new", new)) if value is not _ABSENT
        }
        if row:
            rows.append({"at": brief_address(path, names), **row})
    return rows


def _is_item(path: Sequence[str]) -> bool:
    return len(path) > 1 and path[0] in ITEMS


def _is_order(path: Sequence[str]) -> bool:
    """Return True for the address of a list of ids in order."""
    return (len(path) == 1 and path[0] in ITEMS) or (len(path) == 3 and path[2] in ORDERS)


def brief_address(path: Sequence[str], names: Names) -> str:
    """Return an address with its id shortened."""
    if _is_item(path):
        path = [path[0], names.get(path[1], path[1][:ID_CHARS]), *path[2:]]
    return address(*path)


def _sides(edit: Edit, path: Sequence[str], whole: set[str], names: Names) -> tuple[Any, Any]:
    """Return the old and the new value to show; absent where there is nothing to show."""
    if "splices" not in edit:
        if _is_order(path):
            return _order(((0, edit.get("old") or [], edit.get("new") or []),), whole, names)
        old, new = edit.get("old", _ABSENT), edit.get("new", _ABSENT)
        return (_headline(old), _headline(new)) if len(path) in (0, 2) else (old, new)
    splices = edit["splices"]
    if _is_order(path):
        return _order(splices, whole, names)
    removed = [splice[1] for splice in splices if splice[1]]
    inserted = [splice[2] for splice in splices if splice[2]]
    return _joined(removed), _joined(inserted)


def _headline(item: Any) -> Any:
    """Return the title or the summary of a whole report, section or insight."""
    labels = (item.get(name) for name in LABELS) if isinstance(item, dict) else ()
    return next(filter(None, labels), item)


def _joined(pieces: Sequence[Any]) -> Any:
    if not pieces:
        return _ABSENT
    if isinstance(pieces[0], str):
        return " … ".join(piece.strip("\n") for piece in pieces)
    items = [item for piece in pieces for item in piece]
    return items[0] if len(items) == 1 and isinstance(items[0], dict) else items


def _order(splices: Iterable[Sequence[Any]], whole: set[str], names: Names) -> tuple[Any, Any]:
    """Return the ids that moved, with their positions from 1; added and removed items have their own rows."""
    old: list[str] = []
    new: list[str] = []
    shift = 0
    for index, removed, inserted in splices:
        for side, ids, first in ((old, removed, index), (new, inserted, index + shift)):
            side += [
                f"{names.get(i, i[:ID_CHARS])} at {first + n}" for n, i in enumerate(ids, 1) if i not in whole
            ]
        shift += len(inserted) - len(removed)
    return ", ".join(old) or _ABSENT, ", ".join(new) or _ABSENT


def _brief(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return cut(value, limit)
    text = _JSON.encode(value)
    return value if len(text) <= limit else cut(text, limit)


# --- Events ------------------------------------------------------------------------------


def event_row(event: AuditEvent, names: Names | None = None, max_bytes: int = EVENT_BYTES) -> Json:
    """Return an event as a row of an answer, without empty fields.

    The row of an event with one or two edits has at most `max_bytes` bytes of JSON if its fixed fields allow
    that: values are shortened first, then the reason. Of many edits, the first are shown, and `changed_more`
    counts the others.
    """
    edits = brief_edits(_delta(event), names)
    shown = edits[:EVENT_EDITS]
    budget = max_bytes + EDIT_BYTES * max(0, len(shown) - 2)
    row: Json = {}
    for value_chars, reason_chars in _EVENT_LIMITS:
        changed = list(_shortened(shown, value_chars))
        row = _event_fields(event, reason_chars) | {
            "changed": changed,
            "changed_more": len(edits) - len(shown),
        }
        row = {key: value for key, value in row.items() if value not in ("", [], 0, None)}
        if size_bytes(row) <= budget:
            break
    return row


def _delta(event: AuditEvent) -> list[Edit]:
    """Return the valid edits of an event: events of other programs may contain anything."""
    delta = event.payload.get("delta")
    return [edit for edit in delta if _is_edit(edit)] if isinstance(delta, list) else []


def _is_edit(edit: Any) -> bool:
    if not isinstance(edit, dict) or not isinstance(edit.get("at"), str):
        return False
    try:
        path = parts(edit["at"])
    except DeltaError:
        return False
    if "splices" not in edit:
        edit = {"splices": [[0, edit.get("old") or [], edit.get("new") or []]]} if _is_order(path) else {}
    return _are_splices(edit.get("splices", []), _is_order(path))


def _are_splices(splices: Any, of_ids: bool) -> bool:
    """Return True for a list of splices that are all of texts, or all of lists (of texts, for ids)."""
    if not isinstance(splices, list) or not all(_is_splice(splice) for splice in splices):
        return False
    sides = [side for splice in splices for side in splice[1:]]
    if of_ids and any(isinstance(side, str) or not all(isinstance(i, str) for i in side) for side in sides):
        return False
    return len({type(side) for side in sides}) <= 1


def _is_splice(splice: Any) -> bool:
    match splice:
        case [int(), str(), str()] | [int(), list(), list()]:
            return True
    return False


def _shortened(rows: Iterable[Json], limit: int) -> Iterator[Json]:
    for row in rows:
        yield {key: value if key == "at" else _brief(value, limit) for key, value in row.items()}


def _event_fields(event: AuditEvent, reason_chars: int) -> Json:
    payload = event.payload
    version = payload.get("outline_version")
    return {
        "version": version if type(version) is int else None,
        **_made_by(event, CLIENT_CHARS),
        "action_type": event.action_type,
        "reason": cut(_text(payload.get("reason")), reason_chars),
        "action_id": event.action_id,
    }


class Commit(NamedTuple):
    """The commit that a version was imported from: its author, time and hash."""

    author: str
    ts: str
    sha: str


def commit_of(payload: Mapping[str, Any]) -> Commit | None:
    """Return the commit that the event's version was imported from, if it was."""
    imported = payload.get("imported")
    if not isinstance(imported, dict):
        return None
    author, ts, sha = imported.get("author"), imported.get("at"), imported.get("commit")
    if not (isinstance(author, str) and isinstance(ts, str) and isinstance(sha, str)):
        return None
    return Commit(author, ts, sha)


def _made_by(event: AuditEvent, client_chars: int) -> Json:
    """Return time, actor and client of a change; of an imported version, those of its commit.

    `imported` then says which commit it is, and who imported it when; without a commit, from which file.
    """
    client = cut(_text(event.payload.get("client")), client_chars)
    row = {"ts": event.ts, "actor": event.actor, "client": client}
    commit = commit_of(event.payload)
    if commit is None:
        source = event.payload.get("imported")
        file = cut(_text(source.get("file")), client_chars) if isinstance(source, dict) else ""
        return row | ({"imported": {"file": file}} if file else {})
    imported = {"commit": commit.sha[:COMMIT_CHARS], **row}
    author = cut(commit.author, client_chars)
    return {"ts": commit.ts, "client": author, "imported": {k: v for k, v in imported.items() if v}}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def author_row(event: Event) -> Json:
    """Return the author of a version in one row: version, time, actor, client and reason."""
    row = {
        "version": event.version,
        **_made_by(event.event, MAX_CLIENT_CHARS),
        "reason": cut(str(event.payload.get("reason", "")), 100),
    }
    return {key: value for key, value in row.items() if value}


# --- Answers of a limited size ------------------------------------------------------------


def fit(
    head: Json,
    body: Json,
    start: Rest,
    max_chars: int,
    cursor_for: Callable[[Rest], str],
) -> tuple[Json, Rest | None]:
    """Return an answer with as much of the body as fits, and the place where the rest begins.

    Args:
        head: The fields that every answer has.
        body: The fields to cut.
        start: The place where the last answer was cut; empty to begin.
        max_chars: The limit.
        cursor_for: Returns the `next_cursor` of an answer that was cut at a place.

    Raises:
        InvalidInputError: `max_chars` is too small for the next piece, or `start` is no place in the body.
    """
    if not start and size(whole := head | body) <= max_chars:
        return whole, None
    room = whole_room = max_chars - size(head)
    while room > 0:
        part, rest = _part(body, start, room, whole_room)
        answer = head | part
        if rest is not None:
            answer["next_cursor"] = cursor_for(rest)
        excess = size(answer) - max_chars
        if excess <= 0:
            return answer, rest
        room -= excess
    raise _too_small()


def _part(body: Json, start: Rest, room: int, whole_room: int) -> tuple[Json, Rest | None]:
    for uncut in (whole_room, 0):  # if nothing fits, any item may be cut
        taken = _take(body, start, room, uncut)
        if taken is not None:
            return taken.part, taken.rest
    raise _too_small()


def _too_small() -> InvalidInputError:
    return InvalidInputError(
        "max_chars is too small for the next piece of this report.",
        hint="Ask for more characters, for instance 20000; the same cursor continues from here.",
        path="max_chars",
    )


class _Taken(NamedTuple):
    part: Any
    rest: Rest | None
    chars: int
    """The size of the part, or slightly more."""


def _take(value: Any, start: Rest, room: int, uncut: int) -> _Taken | None:
    """Return as much of `value` from `start` as fits into `room` characters; `None` if nothing does.

    Items that need at most `uncut` characters are not cut.
    """
    if isinstance(value, str):
        return _take_text(value, start, room)
    if isinstance(value, dict):
        return _take_fields(value, start, room, uncut)
    if isinstance(value, list):
        return _take_elements(value, start, room, uncut)
    if start:
        raise damaged()
    needed = size(value)
    return _Taken(value, None, needed) if needed <= room else None


def _take_text(text: str, start: Rest, room: int) -> _Taken | None:
    begin = start[0] if start else 0
    if len(start) > 1 or not 0 <= begin <= len(text):
        raise damaged()
    end = begin + _fitting(text[begin : begin + max(0, room)], room)
    if end < len(text):
        end = _boundary(text, begin, end)
    piece = text[begin:end]
    needed = size(piece)
    if needed > room or (not piece and end < len(text)):
        return None
    return _Taken(piece, [end] if end < len(text) else None, needed)


def _fitting(text: str, room: int) -> int:
    """Return how many characters of the text fit, escaped and in quotes."""
    low, high = 0, len(text)
    if size(text) <= room:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if size(text[:middle]) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def _boundary(text: str, begin: int, end: int) -> int:
    """Return the end of the last line, else of the last word, in the second half of the piece; else `end`."""
    middle = begin + (end - begin) // 2
    for mark in ("\n", " "):
        found = text.rfind(mark, middle, end)
        if found >= 0:
            return found + 1
    return end


def _take_fields(value: Json, start: Rest, given: int, uncut: int) -> _Taken | None:
    item_id = next((key for key in _ID_KEYS if key in value), None)
    part: Json = {}
    if start and item_id:
        part = {item_id: value[item_id], "from": _address(value, start)}
    repeated = max(len(part), 1 if item_id else 0)  # an id alone is no progress
    room = given - size(part) - (len(_CUT) if item_id else 0)
    keys = list(value)
    rest: Rest | None = None
    for index, inner in _entries(value, start):
        key = keys[index]
        cost = size(key) + len(":,")
        taken = _take_or_wait(value[key], inner, room - cost, 0 if isinstance(value[key], str) else uncut)
        if taken is None:
            rest = [index]
            break
        part[key] = taken.part
        room -= cost + taken.chars
        if taken.rest is not None:
            rest = [index, *taken.rest]
            break
    if room < 0 or (rest is not None and len(part) <= repeated):
        return None
    if rest is not None and item_id:
        part["cut"] = True
    return _Taken(part, rest, given - room)


def _take_elements(value: list[Any], start: Rest, given: int, uncut: int) -> _Taken | None:
    part: list[Any] = []
    room = given - len("[]")
    rest: Rest | None = None
    for index, inner in _entries(value, start):
        taken = _take_or_wait(value[index], inner, room - len(","), uncut)
        if taken is None:
            rest = [index]
            break
        part.append(taken.part)
        room -= taken.chars + len(",")
        if taken.rest is not None:
            rest = [index, *taken.rest]
            break
    return None if room < 0 or (rest is not None and not part) else _Taken(part, rest, given - room)


def _take_or_wait(value: Any, start: Rest, room: int, uncut: int) -> _Taken | None:
    """Return the value or a part of it; `None` if it should be whole in the next answer.

    A value that is longer than an answer is begun only if a good part of it fits. A list is never whole or
    cut as such: its elements are.
    """
    if start or isinstance(value, list):
        return _take(value, start, room, uncut)
    needed = len(value) if isinstance(value, str) and len(value) > room else size(value)
    if needed <= room:
        return _Taken(value, None, needed)
    return _take(value, [], room, uncut) if needed > uncut and room >= uncut // 4 else None


def _entries(value: Any, start: Rest) -> Iterator[tuple[int, Rest]]:
    """Yield the indexes of a container from `start`, each with the place to begin inside."""
    if not start:
        yield from ((index, []) for index in range(len(value)))
        return
    if not 0 <= start[0] < len(value):
        raise damaged()
    yield start[0], start[1:]
    yield from ((index, []) for index in range(start[0] + 1, len(value)))


def _address(value: Any, start: Rest) -> str:
    """Return the place as a path of field names and counts."""
    names = []
    for count in start:
        if isinstance(value, dict):
            key = list(value)[count]
            names.append(key)
            value = value[key]
        else:
            names.append(str(count))
            value = value[count] if isinstance(value, list) else None
    return "/".join(names)
