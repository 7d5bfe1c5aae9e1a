"""How things are shortened for a reader: ids, texts, edits and events.

Rules:

- An id is cut to its first 8 characters, or to as many as make it unique among the ids of its
  report, sections and insights together.
- A text that was cut ends in an ellipsis. A value that is not a text stays what it is while it
  is short, and is else the start of its JSON text.
- A row `{at, old, new}` says what an edit did, not how: what every version changes anyway is left
  out, and so is what follows from another row (the order of a list that an item came into).

    >>> brief_edits([{"at": "insights/5f9dabcd-0000-4000-8000-000000000000/importance", "old": 6, "new": 8}])
    [{'at': 'insights/5f9dabcd/importance', 'old': 6, 'new': 8}]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from living_reports.model.delta import DeltaError, address, is_bookkeeping, parts
from living_reports.model.event import AuditEvent
from living_reports.model.fields import DERIVED, ITEMS, LABELS, ORDERS
from living_reports.model.report import Outline
from living_reports.store.files import Record

ID_CHARS = 8
VALUE_CHARS = 200
REASON_CHARS = 200
CLIENT_CHARS = 60

EVENT_BYTES = 400
"""How long the row of an event with one or two edits may be; each further edit adds `EDIT_BYTES`."""
EDIT_BYTES = 80
EVENT_EDITS = 8
"""How many edits the row of an event shows; the rest are counted."""

_EVENT_LIMITS = ((200, 200), (100, 200), (60, 160), (40, 120), (24, 80), (12, 60))
"""How long a value and a reason may be, tried in turn until the row is short enough."""

Row = dict[str, Any]
Names = Mapping[str, str]

_ABSENT: Any = object()


def cut(text: str, limit: int = VALUE_CHARS) -> str:
    """The text in at most `limit` characters, with an ellipsis where it was cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def short_ids(*outlines: Outline) -> dict[str, str]:
    """For each section and insight id of these outlines, its shortest unique start from 8 characters on."""
    sections = (section.section_id for outline in outlines for section in outline.sections)
    return _unique_starts((*sections, *(i.insight_id for outline in outlines for i in outline.insights)))


def _unique_starts(ids: Iterable[str]) -> dict[str, str]:
    known = sorted(set(ids))
    needed = dict.fromkeys(known, ID_CHARS)
    for one, other in pairwise(known):
        if one[:ID_CHARS] == other[:ID_CHARS]:
            differ = (n for n, (a, b) in enumerate(zip(one, other, strict=False), 1) if a != b)
            shared = next(differ, len(other))
            needed[one], needed[other] = max(needed[one], shared), max(needed[other], shared)
    return {item_id: item_id[:length] for item_id, length in needed.items()}


# --- Edits -------------------------------------------------------------------------------


def brief_edits(
    delta: Sequence[Mapping[str, Any]], names: Names | None = None, limit: int = VALUE_CHARS
) -> list[Row]:
    """The edits of a delta as rows `{at, old, new}`, values cut at `limit` characters.

    `names` gives the short ids of the report (`short_ids`); without it, ids are as long as it
    takes to tell those in the delta apart.
    """
    paths = [parts(edit["at"]) for edit in delta]
    if names is None:
        names = _unique_starts(path[1] for path in paths if _is_item(path))
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
    """Whether the place holds ids in their order."""
    return (len(path) == 1 and path[0] in ITEMS) or (len(path) == 3 and path[2] in ORDERS)


def brief_address(path: Sequence[str], names: Names) -> str:
    """The address of a place with its id shortened."""
    if _is_item(path):
        path = [path[0], names.get(path[1], path[1][:ID_CHARS]), *path[2:]]
    return address(*path)


def _sides(edit: Mapping[str, Any], path: Sequence[str], whole: set[str], names: Names) -> tuple[Any, Any]:
    """What a reader should see as old and new; absent where there is nothing to see."""
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
    """A whole report, section or insight is shown by its title or summary."""
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
    """Ids with their places (from 1) that moved; those that came or went whole have a row anyway."""
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
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value if len(text) <= limit else cut(text, limit)


# --- Events ------------------------------------------------------------------------------


def event_row(event: AuditEvent, names: Names | None = None, max_bytes: int = EVENT_BYTES) -> Row:
    """An audit event as a row of an answer; empty fields are left out.

    The row of an event with one or two edits has at most `max_bytes` of JSON wherever its fixed
    fields allow: values are shortened first, then the reason. Of many edits the first are shown,
    and `changed_more` counts the others.
    """
    edits = brief_edits(_delta(event), names)
    shown = edits[:EVENT_EDITS]
    budget = max_bytes + EDIT_BYTES * max(0, len(shown) - 2)
    row: Row = {}
    for value_chars, reason_chars in _EVENT_LIMITS:
        changed = list(_shortened(shown, value_chars))
        row = _event_fields(event, reason_chars) | {
            "changed": changed,
            "changed_more": len(edits) - len(shown),
        }
        row = {key: value for key, value in row.items() if value not in ("", [], 0, None)}
        if len(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()) <= budget:
            break
    return row


def _delta(event: AuditEvent) -> list[Row]:
    """The event's edits, without what is no edit: lines of another writer may hold anything."""
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
    """Whether they have the shape of splices, all of texts or all of lists (of texts, for ids)."""
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


def _shortened(rows: Iterable[Row], limit: int) -> Iterator[Row]:
    for row in rows:
        yield {key: value if key == "at" else _brief(value, limit) for key, value in row.items()}


def _event_fields(event: AuditEvent, reason_chars: int) -> Row:
    payload = event.payload
    version = payload.get("outline_version")
    return {
        "version": version if type(version) is int else None,
        "ts": event.ts,
        "actor": event.actor,
        "client": cut(_text(payload.get("client")), CLIENT_CHARS),
        "action_type": event.action_type,
        "reason": cut(_text(payload.get("reason")), reason_chars),
        "action_id": event.action_id,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def by_line(record: Record) -> Row:
    """Return the author of a version as conflicts show it: version, time, actor, client and reason."""
    event = record.event
    by = {
        "version": record.version,
        "ts": event.ts,
        "actor": event.actor,
        "client": record.payload.get("client"),
        "reason": cut(str(record.payload.get("reason", "")), 100),
    }
    return {key: value for key, value in by.items() if value}
