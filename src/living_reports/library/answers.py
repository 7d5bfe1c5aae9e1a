"""What the use cases answer: pure functions from what happened to JSON-ready objects.

Rules:

- Empty optional fields are left out. An answer stays under 20,000 characters of compact
  JSON: what does not fit is left out from the end, and a warning says how to see it.
- The values of one edit or two are cut until the answer has at most `EDIT_ANSWER_BYTES`: the
  caller knows them, since it has just sent one side and read the other.
- The answer to a repeated call is made of the event, so that it is the first one again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from living_reports.model.report import Outline, sha256_hex
from living_reports.reading.brief import VALUE_CHARS, brief_edits, cut
from living_reports.reading.paging import size
from living_reports.store.files import Record

MAX_ANSWER_CHARS = 20_000
EDIT_ANSWER_BYTES = 600
_VALUE_CHARS = (VALUE_CHARS, 150, 100, 60, 40, 24)
"""How long a value may be, tried in turn until the answer is short enough."""
_CREATED_TITLE_CHARS = 80
_WARNINGS_SHOWN = 20
_WARNING_CHARS = 400
_SPARE_CHARS = 300
"""Room for the words that say what was left out."""
_NEW_IDS = "new items get other ids when this is done and not only tried"

Row = dict[str, Any]


def request_hash(arguments: Row) -> str:
    """What tells one content from another under the same `request_id`.

    What is not stated does not count, nor does the order in which fields are.
    """
    text = json.dumps(_stated(arguments), sort_keys=True, separators=(",", ":"))
    return sha256_hex(text.encode())


def _stated(value: Any) -> Any:
    if isinstance(value, list):
        return [_stated(item) for item in value]
    if not isinstance(value, dict):
        return value
    free = "value"  # of set_metadata: any JSON, where null and "" are values
    return {
        key: inner if key == free else _stated(inner)
        for key, inner in value.items()
        if key == free or inner not in (None, "", [])
    }


def created_answer(record: Record, title: str, warnings: Iterable[str] = ()) -> Row:
    """What `create_report` answers."""
    return _fitted(_head(record, title) | _created(record), list(warnings))


def changed_answer(record: Record, title: str, applied: int, warnings: Iterable[str] = ()) -> Row:
    """What `update_report` and `revert_report` answer after a commit."""
    answer = _head(record, title) | {"applied": applied} | _created(record)
    answer = _with_edits(answer, record.delta)
    if rebased_over := record.payload.get("rebased_over"):
        answer["rebased_over"] = rebased_over
    return _fitted(answer, list(warnings))


def remembered(content_hash: str, applied: int, warnings: Iterable[str]) -> Row:
    """What the event of a call with a `request_id` keeps, so that a repeated call gets the same answer."""
    kept: Row = {"request_sha256": content_hash, "applied": applied, "warnings": _capped(list(warnings))}
    return {key: value for key, value in kept.items() if value}


def repeated_answer(record: Record, title: str) -> Row:
    """The answer that an earlier call with the same `request_id` got."""
    warnings = record.payload.get("warnings", [])
    if record.is_whole:
        return created_answer(record, title, warnings)
    return changed_answer(record, title, record.payload.get("applied", 0), warnings)


def preview_answer(
    outline: Outline,
    applied: int,
    created: Row,
    delta: list[Row],
    warnings: Iterable[str],
    *,
    rebased_over: list[int],
    dry_run: bool,
) -> Row:
    """What they answer when nothing was committed: a dry run, or changes that alter nothing."""
    answer: Row = {
        "report_id": outline.report_id,
        "title": outline.title,
        "version": outline.outline_version,
        "applied": applied,
    }
    notes = list(warnings)
    if dry_run:
        answer |= {"created": created} if created else {}
        answer = _with_edits(answer, delta)
        answer |= {"rebased_over": rebased_over} if rebased_over else {}
        answer["dry_run"] = True
        notes += [_NEW_IDS] if created else []
    return _fitted(answer, notes)


def _head(record: Record, title: str) -> Row:
    return {
        "report_id": record.event.report_id,
        "title": title,
        "version": record.version,
        "action_id": record.event.action_id,
    }


def _created(record: Record) -> Row:
    created = record.payload.get("created")
    return {"created": created} if created else {}


def _with_edits(answer: Row, delta: list[Row]) -> Row:
    """The answer with what its edits did."""
    for value_chars in _VALUE_CHARS:
        changed = brief_edits(delta, limit=value_chars)
        full = answer | {"changed": changed}
        if len(changed) > 2 or _size_bytes(full) <= EDIT_ANSWER_BYTES:
            break
    return full


def _size_bytes(value: Row) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def short_created(created: dict[str, list[dict[str, str]]]) -> Row:
    """New items as answers and events name them: whole ids, titles cut."""
    return {
        kind: [
            row | {"title": cut(row["title"], _CREATED_TITLE_CHARS)} if "title" in row else row
            for row in rows
        ]
        for kind, rows in created.items()
    }


def _fitted(answer: Row, warnings: list[str]) -> Row:
    """Leave out the ends of long lists until the answer is short enough."""
    warnings = _capped(warnings)
    lists: list[tuple[str, Row]] = [("changed", answer)]
    if isinstance(answer.get("created"), dict):
        answer["created"] = dict(answer["created"])
        lists += [(kind, answer["created"]) for kind in ("insights", "sections")]
    for name, holder in lists:
        rows = holder.get(name)
        room = MAX_ANSWER_CHARS - size(answer) - size(warnings) - _SPARE_CHARS
        if rows and room < 0:
            holder[name] = first_fitting(rows, room + size(rows))
            shown = f"{name}: the first {len(holder[name])} of {len(rows)} are shown"
            warnings = [*warnings, f"{shown}; get_report gives the rest."]
    return answer | ({"warnings": warnings} if warnings else {})


def _capped(warnings: list[str]) -> list[str]:
    """The first warnings and a line that counts the rest; a capped list stays as it is."""
    if len(warnings) > _WARNINGS_SHOWN + 1:
        more = len(warnings) - _WARNINGS_SHOWN
        warnings = [*warnings[:_WARNINGS_SHOWN], f"{more} more warnings of this kind"]
    return [cut(warning, _WARNING_CHARS) for warning in warnings]


def first_fitting(rows: list[Any], room: int) -> list[Any]:
    """The rows from the first on that fit into `room` characters."""
    taken = 2
    for count, row in enumerate(rows):
        taken += size(row) + 1
        if taken > room:
            return rows[:count]
    return rows


def by_line(record: Record) -> Row:
    """Who made a version, as conflicts name it."""
    event = record.event
    by = {
        "version": record.version,
        "ts": event.ts,
        "actor": event.actor,
        "client": record.payload.get("client"),
        "reason": cut(str(record.payload.get("reason", "")), 100),
    }
    return {key: value for key, value in by.items() if value}


def last_change(record: Record) -> Row:
    """The newest change, as a summary names it."""
    return by_line(record) | {"action_type": record.event.action_type}
