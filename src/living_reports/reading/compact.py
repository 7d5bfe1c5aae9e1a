"""Compact answers: short ids, cut texts, edits and events as rows, and answers of a limited size.

One module, because every answer needs most of it.

Rules for rows:

- An id is cut to its first 8 characters, or to as many as make it unique among the ids of its report,
  sections and insights together.
- A text that was cut ends in an ellipsis. A value that is not a text is kept while it is short; a longer one
  becomes the beginning of its JSON text.

Rules for `changed`, the rows of all answers that show edits:

- A row is `{item, at, old, new}`: the title or the summary of the item, the address with a short id, and both
  values. Rows about the report itself have no `item`. A value that did not exist is left out.
- A value of up to 120 characters is whole. Of a longer text, the line or sentence around the edit is shown,
  with the part that went as `[-old-]` and the part that came as `{+new+}`; a side without such a part is
  left out. A long text that was replaced, added or removed as a whole is shown by its beginning.
- Of tags, citations and other lists, `added` and `removed` contain the values that came and went.
- An item that moved has its own row with its positions: `position 2 in Errors`. A section that was added or
  removed is shown by its content, an insight by its summary.
- Edits that follow from another row, or that every version makes, have no row.

Rules for `fit`:

- The compact JSON text of the whole answer, cursor included, has at most `max_chars` characters.
- An item that fits into an answer of its own is never cut: it waits for the next answer. A longer one is cut
  inside: a text at the end of a line or a word if possible, a list between its elements.
- An item that is cut has `"cut": true`. Its continuation repeats its id and states where it begins:
  `"from": "content/1200"` is character 1200 of its content, `"from": "citations/2"` the third citation.
  Texts and lists joined in order give the item again: nothing is lost or repeated.

    >>> edit_rows([{"at": "insights/5f9dabcd-0000-4000-8000-000000000000/importance", "old": 6, "new": 8}])
    [{'at': 'insights/5f9dabcd/importance', 'old': 6, 'new': 8}]
    >>> body = {"sections": [{"section_id": "ab12cd34", "content": "word " * 200}]}
    >>> answer, rest = fit({"version": 1}, body, [], 500, lambda rest: "…")
    >>> answer["sections"][0]["cut"], rest
    (True, [0, 0, 1, 405])
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from living_reports.errors import InvalidInputError
from living_reports.model import splices
from living_reports.model.delta import DeltaError, Edit, Place, address, content_edits, parts
from living_reports.model.event import AuditEvent
from living_reports.model.fields import DERIVED, ID_FIELDS, ITEMS, LABELS, ORDERS
from living_reports.model.report import ID_CHARS, Insight, Outline, Section, unique_starts
from living_reports.model.splices import Splice
from living_reports.reading.cursor import damaged
from living_reports.store.base import Event

MAX_ANSWER_CHARS = 20_000
"""The limit of most answers, in characters of compact JSON."""

VALUE_CHARS = 200
CLIENT_CHARS = 60
MAX_CLIENT_CHARS = 200
COMMIT_CHARS = 12

NAME_CHARS = 80
"""The characters of a title or a summary that names an item."""
CHANGED_CHARS = 120
"""The length up to which a value in `changed` is whole, and the length of an excerpt of a longer one."""

EVENT_EDITS = 8
EVENT_CHARS = 1_000
"""The edits that the row of an event shows at most, and their size; the others are counted."""

_SIDES = ("old", "new")
_WORDS, _WORD_CHARS = 3, 60
_FIELD_PARTS = 3
"""The number of parts in the address of a field of an item."""

_ID_KEYS = tuple(ID_FIELDS.values())
_CUT = ',"cut":true'

Json = dict[str, Any]
"""A JSON object in an answer."""

Names = Mapping[str, str]
"""The short ids of a report by its whole ids."""

_Move = dict[str, tuple[Place, int]]
"""The places of an item, `old` and `new`: the address of the edit of its list, and its position from 1."""

Rest = list[int]
"""The place where an answer was cut, as a path of counts: the entry, its item, the field, the character."""

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


class EditRow(NamedTuple):
    """A row of `changed`, with the address of its edit and the address of what it shows."""

    edited: Place
    place: Place
    row: Json


def edit_rows(
    delta: Sequence[Edit], before: Outline | None = None, after: Outline | None = None
) -> list[Json]:
    """Return the edits of a delta as rows of `changed`; see the module.

    Args:
        delta: The edits.
        before: The outline before the delta. Without outlines, names and texts come from the delta alone.
        after: The outline after it.
    """
    return [found.row for found in placed_rows(delta, before, after)]


def placed_rows(
    delta: Sequence[Edit],
    before: Outline | None = None,
    after: Outline | None = None,
    excerpt_chars: int = CHANGED_CHARS,
) -> list[EditRow]:
    """Return the rows of `edit_rows` with their addresses.

    Args:
        delta: The edits.
        before: The outline before the delta.
        after: The outline after it.
        excerpt_chars: The length of the excerpts of long texts.
    """
    content = [(tuple(parts(edit["at"])), edit) for edit in content_edits(delta)]
    edits = [(path, edit) for path, edit in content if DERIVED.isdisjoint(path[-1:])]
    shown = _Shown(edits, before, after, excerpt_chars)
    return [row for path, edit in edits for row in shown.rows(path, edit)]


def item_name(item: Any) -> str:
    """Return the title of a section or the summary of an insight, cut; empty if there is none."""
    fields = vars(item) if isinstance(item, Section | Insight) else item
    label = _headline(fields)
    return cut(label, NAME_CHARS) if isinstance(label, str) else ""


def items_of(outline: Outline | None, ids: Collection[str]) -> dict[str, Section | Insight]:
    """Return the sections and insights with these ids."""
    if outline is None or not ids:
        return {}
    found: dict[str, Section | Insight] = {s.section_id: s for s in outline.sections if s.section_id in ids}
    return found | {i.insight_id: i for i in outline.insights if i.insight_id in ids}


def brief_address(path: Sequence[str], names: Names) -> str:
    """Return an address with its id shortened."""
    if _is_item(path):
        path = [path[0], names.get(path[1], path[1][:ID_CHARS]), *path[2:]]
    return address(*path)


def _is_item(path: Sequence[str]) -> bool:
    return len(path) > 1 and path[0] in ITEMS


def _is_order(path: Sequence[str]) -> bool:
    """Return True for the address of a list of ids in order."""
    return (len(path) == 1 and path[0] in ITEMS) or (len(path) == 3 and path[2] in ORDERS)


def _headline(fields: Any) -> Any:
    """Return the title or the summary among the fields of a report, section or insight."""
    labels = (fields.get(name) for name in LABELS) if isinstance(fields, dict) else ()
    return next(filter(None, labels), None)


class _Shown:
    """The edits of one delta between two outlines, with the names and texts that its rows need."""

    def __init__(
        self, edits: Sequence[tuple[Place, Edit]], before: Outline | None, after: Outline | None, chars: int
    ) -> None:
        self._chars = chars
        self._moves = _moves(edits)
        self._moved_by: defaultdict[Place, list[str]] = defaultdict(list)
        for item_id, move in self._moves.items():
            self._moved_by[(move.get("new") or move["old"])[0]].append(item_id)
        self._whole = {
            path[1]: item_name(edit.get("new", edit.get("old")))
            for path, edit in edits
            if _is_item(path) and len(path) == 2
        }
        ids = {path[1] for path, _ in edits if _is_item(path)} | self._moves.keys()
        self._was, self._now = items_of(before, ids), items_of(after, ids)
        self._short = _short_among(ids, before, after)

    def rows(self, path: Place, edit: Edit) -> Iterator[EditRow]:
        """Yield the row of an edit, if it has one, and a row for each item that the edit moved."""
        if not _is_order(path) and (sides := self._sides(path, edit)):
            yield EditRow(path, path, self._named(path) | sides)
        for item_id in self._moved_by.get(path, ()):
            old, new = (self._position(self._moves[item_id].get(side)) for side in _SIDES)
            if item_id not in self._whole and old != new:
                place = ("sections" if path == ("sections",) else "insights", item_id)
                yield EditRow(path, place, self._named(place) | {"old": old, "new": new})

    def _named(self, path: Sequence[str]) -> Json:
        """Return `item` and `at` of a row."""
        item = {"item": name} if _is_item(path) and (name := self._name(path[1])) else {}
        return item | {"at": brief_address(path, self._short)}

    def _name(self, item_id: str) -> str:
        """Return the name of an item after the delta; of a removed item, the name before it."""
        return self._whole.get(item_id) or item_name(self._now.get(item_id) or self._was.get(item_id))

    def _position(self, at: tuple[Place, int] | None) -> str:
        if at is None:
            return "in no section"
        path, position = at
        home = f" in {self._name(path[1]) or path[1][:ID_CHARS]}" if len(path) > 1 else ""
        return f"position {position}{home}"

    def _sides(self, path: Sequence[str], edit: Edit) -> Json:
        """Return the fields of a row that show the effect of an edit; empty if it has no visible effect."""
        old, new, pieces = edit.get("old"), edit.get("new"), edit.get("splices")
        if not path or (_is_item(path) and len(path) == 2):
            return _text_sides(_essence(old), _essence(new), self._chars)
        if pieces is None and all(isinstance(value, list | None) for value in (old, new)):
            pieces = splices.between_lists(old or [], new or [])
        if not pieces:
            return _text_sides(old, new, self._chars)
        if isinstance(pieces[0][1], list):
            return _list_sides(pieces)
        old, new = _text_at(self._was, path), _text_at(self._now, path)
        return _text_sides(old, new, self._chars, pieces) if old and new else _fragments(pieces)


def _text_at(items: Mapping[str, Section | Insight], path: Sequence[str]) -> str:
    """Return the text in a field of an item; empty if it is not known."""
    text = getattr(items.get(path[1]), path[2], None) if len(path) == _FIELD_PARTS else None
    return text if isinstance(text, str) else ""


def _short_among(ids: set[str], *outlines: Outline | None) -> Names:
    """Return the short forms of some ids, unique among these and all ids of the outlines."""
    starts = {item_id[:ID_CHARS] for item_id in ids}
    known = [outline for outline in outlines if outline is not None]
    sections = {
        s.section_id for outline in known for s in outline.sections if s.section_id[:ID_CHARS] in starts
    }
    insights = {
        i.insight_id for outline in known for i in outline.insights if i.insight_id[:ID_CHARS] in starts
    }
    return unique_starts(ids | sections | insights)


# --- Moves -------------------------------------------------------------------------------


def _moves(edits: Iterable[tuple[Place, Edit]]) -> dict[str, _Move]:
    """Return the places that ids in lists left and came to; the order of all insights counts least."""
    of_all: dict[str, _Move] = {}
    moves: dict[str, _Move] = {}
    for path, edit in edits:
        for side, item_id, position in _ids_moved(path, edit):
            (of_all if path == ("insights",) else moves).setdefault(item_id, {})[side] = (path, position)
    return of_all | moves


def _ids_moved(path: Place, edit: Edit) -> Iterator[tuple[str, Any, int]]:
    """Yield the ids that an edit took from a list or put into one, with their positions."""
    if _is_order(path):
        yield from _positions(edit.get("splices") or [[0, edit.get("old") or [], edit.get("new") or []]])
    elif len(path) == 2 and path[0] == "sections":
        items = (edit.get(side) for side in _SIDES)
        ids: list[Any] = [item.get("insight_ids") if isinstance(item, dict) else [] for item in items]
        if all(isinstance(one, list) and all(isinstance(i, str) for i in one) for one in ids):
            yield from _positions([[0, *ids]])


def _positions(pieces: Iterable[Splice]) -> Iterator[tuple[str, Any, int]]:
    """Yield the values that splices of a list removed (`old`) and inserted (`new`), with positions from 1."""
    shift = 0
    for index, removed, inserted in pieces:
        yield from (("old", value, index + n) for n, value in enumerate(removed, 1))
        yield from (("new", value, index + shift + n) for n, value in enumerate(inserted, 1))
        shift += len(inserted) - len(removed)


# --- Values ------------------------------------------------------------------------------


def _essence(item: Any) -> Any:
    """Return the text that stands for a whole item: its summary, its content, or its title."""
    if not isinstance(item, dict):
        return item
    return next((item[name] for name in ("summary", "content", "title") if item.get(name)), item)


def _text_sides(old: Any, new: Any, chars: int, pieces: Sequence[Splice] = ()) -> Json:
    """Return both values, long ones as excerpts. `pieces` are the splices of a text, if they are known."""
    values = {side: value for side, value in zip(_SIDES, (old, new), strict=True) if value not in (None, "")}
    texts = {side: value if isinstance(value, str) else _JSON.encode(value) for side, value in values.items()}
    shown = {side: cut(text, chars) for side, text in texts.items()}
    if len(texts) == 2 and max(map(len, texts.values())) > CHANGED_CHARS:
        pieces = pieces or splices.between_ends(texts["old"], texts["new"])
        marked = splices.excerpts(texts["old"], texts["new"], pieces, chars)
        shown = dict(zip(_SIDES, marked, strict=True))
    shown |= {side: values[side] for side, text in texts.items() if len(text) <= CHANGED_CHARS}
    return {side: value for side, value in shown.items() if value != ""}


def _fragments(pieces: Iterable[Splice]) -> Json:
    """Return the words that splices removed and inserted, where the text around them is not known."""
    sides: dict[str, list[str]] = {side: [] for side in _SIDES}
    for _, removed, inserted in pieces:
        sides["old"] += [removed] if removed else []
        sides["new"] += [inserted] if inserted else []
    return {
        side: "… "
        + " … ".join(splices.marked(cut(word, _WORD_CHARS), side) for word in words[:_WORDS])
        + " …"
        for side, words in sides.items()
        if words
    }


def _list_sides(pieces: Sequence[Splice]) -> Json:
    """Return the values that a list got and lost; if there are none, the positions of those that moved."""
    removed = [value for _, gone, _ in pieces for value in gone]
    inserted = [value for _, _, came in pieces for value in came]
    sides = {"added": _without(inserted, removed), "removed": _without(removed, inserted)}
    if any(sides.values()):
        return {side: _first_values(values) for side, values in sides.items() if values}
    places: dict[str, list[str]] = {side: [] for side in _SIDES}
    for side, value, position in _positions(pieces):
        text = value if isinstance(value, str) else _JSON.encode(value)
        places[side].append(f"{cut(text, _WORD_CHARS)} at position {position}")
    return {side: cut(", ".join(texts), CHANGED_CHARS) for side, texts in places.items()}


def _without(values: Iterable[Any], others: Iterable[Any]) -> list[Any]:
    """Return the values without those that the others contain as often."""
    known = Counter(map(splices.as_json, others))
    left = []
    for value in values:
        key = splices.as_json(value)
        if known[key]:
            known[key] -= 1
        else:
            left.append(value)
    return left


def _first_values(values: Sequence[Any]) -> list[Any]:
    """Return the first values of a list and a count of the others."""
    brief = [_brief(value, CHANGED_CHARS) for value in values]
    shown = first_fitting(brief, 2 * CHANGED_CHARS) or brief[:1]
    more = len(values) - len(shown)
    return [*shown, f"… {more} more"] if more else shown


def _brief(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return cut(value, limit)
    text = _JSON.encode(value)
    return value if len(text) <= limit else cut(text, limit)


# --- Events ------------------------------------------------------------------------------


def event_row(event: AuditEvent, before: Outline | None = None, after: Outline | None = None) -> Json:
    """Return an event as a row of an answer, without empty fields.

    Of many edits, the first are shown, and `changed_more` counts the others.

    Args:
        event: The event.
        before: The outline before it, if it is known.
        after: The outline after it.
    """
    rows = edit_rows(_delta(event), before, after)
    shown = first_fitting(rows[:EVENT_EDITS], EVENT_CHARS) or rows[:1]
    row = _event_fields(event) | {"changed": shown, "changed_more": len(rows) - len(shown)}
    return {key: value for key, value in row.items() if value not in ("", [], 0, None)}


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


def _event_fields(event: AuditEvent) -> Json:
    payload = event.payload
    version = payload.get("outline_version")
    return {
        "version": version if type(version) is int else None,
        **_made_by(event, CLIENT_CHARS),
        "action_type": event.action_type,
        "reason": cut(_text(payload.get("reason"))),
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
    """Return time, actor, client and user of a change; of an imported version, time and author of its commit.

    `imported` then says which commit it is, and who imported it when; without a commit, from which file.
    """
    client = cut(_text(event.payload.get("client")), client_chars)
    user = cut(_text(event.payload.get("user")), client_chars)
    row = {"ts": event.ts, "actor": event.actor, "client": client, "user": user}
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
    """Return the author of a version in one row: version, time, actor, client, user and reason."""
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
    item_id = next((key for key in value if key in _ID_KEYS), None)
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
