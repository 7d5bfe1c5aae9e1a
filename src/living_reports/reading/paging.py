"""An answer that fits: whole items first, and a cursor for the rest.

Rules:

- The compact JSON text of the whole answer, cursor included, has at most `max_chars`
  characters.
- An item that fits on a page of its own is never cut: it waits for the next page. Only what is
  longer than a page is cut inside: a text at a line or word boundary where there is one, a list
  between its elements.
- An item that is cut says `"cut": true`. The part that goes on repeats its id and says where it
  begins: `"from": "content/1200"` is character 1200 of its content, `"from": "citations/2"` the
  third citation. Texts and lists joined in order give the item again: nothing is lost or repeated.
- A position is a path of counts: which entry, which item of it, which field, which character.

    >>> body = {"sections": [{"section_id": "ab12cd34", "content": "word " * 200}]}
    >>> answer, rest = fit({"version": 1}, body, [], 500, lambda position: "…")
    >>> answer["sections"][0]["cut"], rest
    (True, [0, 0, 1, 405])
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from living_reports.errors import InvalidInputError
from living_reports.model.fields import ID_FIELDS
from living_reports.reading.cursor import damaged

Position = list[int]

ID_KEYS = tuple(ID_FIELDS.values())

CUT = ',"cut":true'

MAX_ANSWER_CHARS = 20_000
"""The limit of most answers, in characters of compact JSON."""

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def size(value: Any) -> int:
    """The number of characters of the value's compact JSON text."""
    return len(_JSON.encode(value))


def size_bytes(value: Any) -> int:
    """The number of bytes of that text in UTF-8."""
    return len(_JSON.encode(value).encode())


def fit(
    head: dict[str, Any],
    body: dict[str, Any],
    start: Position,
    max_chars: int,
    cursor_for: Callable[[Position], str],
) -> tuple[dict[str, Any], Position | None]:
    """The answer made of `head` and as much of `body` from `start` as fits, and where the rest begins.

    With a rest, the answer has its `next_cursor`.

    Raises:
        InvalidInputError: `max_chars` is too small for the next piece, or `start` leads nowhere.
    """
    if not start and size(whole := head | body) <= max_chars:
        return whole, None
    room = page = max_chars - size(head)
    while room > 0:
        part, rest = _part(body, start, room, page)
        answer = head | part
        if rest is not None:
            answer["next_cursor"] = cursor_for(rest)
        excess = size(answer) - max_chars
        if excess <= 0:
            return answer, rest
        room -= excess
    raise _too_small()


def _part(
    body: dict[str, Any], start: Position, room: int, page: int
) -> tuple[dict[str, Any], Position | None]:
    for waits in (page, 0):  # where nothing fits, an item shorter than a page is cut as well
        taken = _take(body, start, room, waits)
        if taken is not None:
            return taken.part, taken.rest
    raise _too_small()


def _too_small() -> InvalidInputError:
    return InvalidInputError(
        "max_chars is too small for the next piece of this report.",
        hint="Ask for more characters, 20000 for instance; the same cursor goes on from here.",
        path="max_chars",
    )


class _Taken(NamedTuple):
    part: Any
    rest: Position | None
    chars: int
    """The size of the part, or a little more."""


def _take(value: Any, start: Position, room: int, waits: int) -> _Taken | None:
    """As much of `value` from `start` as fits in `room` characters; `None` if nothing does.

    What needs no more than `waits` characters is not cut.
    """
    if isinstance(value, str):
        return _take_text(value, start, room)
    if isinstance(value, dict):
        return _take_fields(value, start, room, waits)
    if isinstance(value, list):
        return _take_elements(value, start, room, waits)
    if start:
        raise damaged()
    needed = size(value)
    return _Taken(value, None, needed) if needed <= room else None


def _take_text(text: str, start: Position, room: int) -> _Taken | None:
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
    """How many characters of the text fit, escaped and in quotes."""
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
    """The end of the last whole line before `end`, else of the last word, in the piece's second half."""
    middle = begin + (end - begin) // 2
    for mark in ("\n", " "):
        found = text.rfind(mark, middle, end)
        if found >= 0:
            return found + 1
    return end


def _take_fields(value: dict[str, Any], start: Position, given: int, waits: int) -> _Taken | None:
    item_id = next((key for key in ID_KEYS if key in value), None)
    part: dict[str, Any] = {}
    if start and item_id:
        part = {item_id: value[item_id], "from": _address(value, start)}
    repeated = max(len(part), 1 if item_id else 0)  # an id alone brings nobody further
    room = given - size(part) - (len(CUT) if item_id else 0)
    keys = list(value)
    rest: Position | None = None
    for index, inner in _entries(value, start):
        key = keys[index]
        cost = size(key) + len(":,")
        taken = _take_or_wait(value[key], inner, room - cost, 0 if isinstance(value[key], str) else waits)
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


def _take_elements(value: list[Any], start: Position, given: int, waits: int) -> _Taken | None:
    part: list[Any] = []
    room = given - len("[]")
    rest: Position | None = None
    for index, inner in _entries(value, start):
        taken = _take_or_wait(value[index], inner, room - len(","), waits)
        if taken is None:
            rest = [index]
            break
        part.append(taken.part)
        room -= taken.chars + len(",")
        if taken.rest is not None:
            rest = [index, *taken.rest]
            break
    return None if room < 0 or (rest is not None and not part) else _Taken(part, rest, given - room)


def _take_or_wait(value: Any, start: Position, room: int, waits: int) -> _Taken | None:
    """The value whole, else a part of it; `None` if it should stand whole on the next page.

    What is longer than a page is begun only where a good part of it has room. A list has no
    size of its own here: its elements wait one by one.
    """
    if start or isinstance(value, list):
        return _take(value, start, room, waits)
    needed = len(value) if isinstance(value, str) and len(value) > room else size(value)
    if needed <= room:
        return _Taken(value, None, needed)
    return _take(value, [], room, waits) if needed > waits and room >= waits // 4 else None


def _entries(value: Any, start: Position) -> Iterator[tuple[int, Position]]:
    """The positions in a container from `start`, each with where to begin inside it."""
    if not start:
        yield from ((index, []) for index in range(len(value)))
        return
    if not 0 <= start[0] < len(value):
        raise damaged()
    yield start[0], start[1:]
    yield from ((index, []) for index in range(start[0] + 1, len(value)))


def _address(value: Any, start: Position) -> str:
    """The position as a path of field names and counts."""
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


def first_fitting(rows: list[Any], room: int) -> list[Any]:
    """Return the rows from the first on that fit into `room` characters."""
    taken = 2
    for count, row in enumerate(rows):
        taken += size(row) + 1
        if taken > room:
            return rows[:count]
    return rows
