"""What the use cases answer: pure functions from what happened to JSON-ready objects.

Rules:

- Empty optional fields are left out. An answer stays under 20,000 characters of compact
  JSON: what does not fit is left out from the end, and a warning says how to see it.
- The answer to a repeated call is made of the event alone, so that it is the first one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pydantic_core

from living_reports.brief import brief_edits, cut
from living_reports.errors import VersionConflictError
from living_reports.models import Outline, sha256_hex
from living_reports.storage import Record

MAX_ANSWER_CHARS = 20_000
_CREATED_TITLE_CHARS = 80
_CONFLICTS_SHOWN = 8
_CONFLICT_CHARS = 120

Row = dict[str, Any]


def size(value: Any) -> int:
    """The characters of the compact JSON text."""
    return len(pydantic_core.to_json(value).decode())


def request_hash(arguments: Row) -> str:
    """What tells one content from another under the same `request_id`."""
    canonical = sorted((key, value) for key, value in arguments.items() if value not in (None, "", [], 0))
    return sha256_hex(pydantic_core.to_json(canonical))


def created_answer(record: Record, outline: Outline, warnings: Iterable[str] = ()) -> Row:
    """What `create_report` answers."""
    return _fitted(_head(record, outline) | _created(record), list(warnings) or _kept_warnings(record))


def changed_answer(record: Record, outline: Outline, warnings: Iterable[str] = ()) -> Row:
    """What `update_report` and `revert_report` answer after a commit."""
    changed = brief_edits(record.delta)
    answer = _head(record, outline) | {"applied": record.payload.get("applied", len(changed))}
    return _fitted(answer | _created(record) | {"changed": changed}, list(warnings) or _kept_warnings(record))


def preview_answer(
    outline: Outline, applied: int, created: Row, delta: list[Row], warnings: Iterable[str], *, dry_run: bool
) -> Row:
    """What they answer when nothing was committed: a dry run, or changes that alter nothing."""
    answer: Row = {
        "report_id": outline.report_id,
        "title": outline.title,
        "version": outline.outline_version,
        "applied": applied,
    }
    if dry_run:
        answer |= {"created": created} if created else {}
        answer |= {"changed": brief_edits(delta), "dry_run": True}
    return _fitted(answer, list(warnings))


def _head(record: Record, outline: Outline) -> Row:
    return {
        "report_id": outline.report_id,
        "title": outline.title,
        "version": record.version,
        "action_id": record.event.action_id,
    }


def _created(record: Record) -> Row:
    created = record.payload.get("created")
    return {"created": created} if created else {}


def _kept_warnings(record: Record) -> list[str]:
    return list(record.payload.get("warnings", ()))


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
    lists: list[tuple[str, Row, str]] = [("changed", answer, "diff them with get_report and audit_report")]
    if isinstance(answer.get("created"), dict):
        answer["created"] = dict(answer["created"])
        lists += [(kind, answer["created"], "get_report lists them all") for kind in ("insights", "sections")]
    for name, holder, where in lists:
        rows = holder.get(name)
        if not rows or size(answer) + size(warnings) <= MAX_ANSWER_CHARS:
            continue
        holder[name] = _first_fitting(
            rows, MAX_ANSWER_CHARS - (size(answer) - size(rows)) - size(warnings) - 200
        )
        warnings = [*warnings, f"{name}: the first {len(holder[name])} of {len(rows)}; {where}."]
    return answer | ({"warnings": warnings} if warnings else {})


def _first_fitting(rows: list[Any], room: int) -> list[Any]:
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


def version_conflict(
    expected: int, current: Outline, since: list[tuple[Record, list[Row]]]
) -> VersionConflictError:
    """The refusal of a change that was made against another version.

    `since` holds the events after the expected version with their brief edits, newest first.
    """
    conflicts = []
    for record, edits in since:
        for edit in edits:
            sides = {
                "at": edit["at"],
                "base": edit.get("old"),
                "current": edit.get("new"),
                "by": by_line(record),
            }
            conflicts.append({key: _short(value) for key, value in sides.items() if value is not None})
    version = current.outline_version
    ahead = expected > version
    return VersionConflictError(
        f"The report is at version {version}, not {expected}; nothing was changed.",
        hint=f"There is no version {expected} yet; read the report again."
        if ahead
        else f"Read what changed, then send your changes again with expected_version={version}.",
        expected_version=expected,
        current_version=version,
        conflicts=conflicts[:_CONFLICTS_SHOWN],
        more_conflicts=max(0, len(conflicts) - _CONFLICTS_SHOWN) or None,
    )


def _short(value: Any) -> Any:
    return cut(value, _CONFLICT_CHARS) if isinstance(value, str) else value
