"""What the writing use cases share: their notes, what they remember, their answers and refusals.

Rules:

- Nothing here touches a file: a commit is storage's, and `Edit` is what a writer sees of it.
- What a repeated call needs to be answered again is in the event, and only there.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from living_reports.changes import (
    Outcome,
    parse_text,
)
from living_reports.errors import RequestIdReusedError, TooLargeError
from living_reports.library import answers
from living_reports.model.delta import diff
from living_reports.model.event import ActionType, AuditEvent, Author
from living_reports.store.files import Edit, Record, utc_now

MAX_REASON_CHARS = 2_000
MAX_REQUEST_ID_CHARS = 200

Row = dict[str, Any]


def new_id() -> str:
    """A fresh UUID."""
    return str(uuid.uuid4())


def checked_note(reason: str, request_id: str) -> tuple[str, str]:
    """Reason and request id as events keep them.

    Raises:
        TooLargeError, InvalidInputError: One is too long, or is no text.
    """
    limits = (("reason", reason, MAX_REASON_CHARS), ("request_id", request_id, MAX_REQUEST_ID_CHARS))
    for name, value, limit in limits:
        if len(value) > limit:
            message = f"{name} has {len(value):,} characters; the limit is {limit:,}."
            raise TooLargeError(message, hint="Say it shorter.", path=name, limit=limit)
    reason = parse_text(reason, "reason").strip() if reason.strip() else ""
    return reason, parse_text(request_id, "request_id") if request_id else ""


def remembered(request_id: str, content_hash: str, outcome: Outcome, warnings: Sequence[str]) -> Row:
    """What the event keeps beside its delta: the new items, and what a repeated call needs."""
    kept: Row = {"created": answers.short_created(outcome.created)} if outcome.created else {}
    return kept | (answers.remembered(content_hash, outcome.applied, warnings) if request_id else {})


def require_same_content(record: Record, content_hash: str) -> None:
    """Refuse a `request_id` that answered another content.

    Raises:
        RequestIdReusedError: It did.
    """
    if record.payload.get("request_sha256") != content_hash:
        raise RequestIdReusedError(
            f"This request_id was used for another content, in version {record.version}.",
            hint="Use a new request_id for a new request; repeat one only to send the very same call again.",
            version=record.version,
        )


def first_answer(edit: Edit, request_id: str, content_hash: str) -> Row | None:
    """The answer that this request got before, if it is remembered.

    Raises:
        RequestIdReusedError: Another content got it.
    """
    record = edit.find_request(request_id)
    if record is None:
        return None
    require_same_content(record, content_hash)
    return answers.repeated_answer(record, edit.outline_at(record.version).title)


def preview(
    edit: Edit,
    outcome: Outcome,
    warnings: Sequence[str],
    rebased_over: Sequence[int] = (),
    *,
    dry_run: bool,
) -> Row:
    """The answer of a call that commits nothing."""
    delta = diff(edit.state.outline, outcome.outline)
    created = answers.short_created(outcome.created)
    return answers.preview_answer(
        edit.state.outline,
        outcome.applied,
        created,
        delta,
        warnings,
        rebased_over=list(rebased_over),
        dry_run=dry_run,
    )


def changed(edit: Edit, applied: int, warnings: Sequence[str]) -> Row:
    """The answer after the commit."""
    assert edit.record is not None
    assert edit.draft is not None
    return answers.changed_answer(edit.record, edit.draft[0].title, applied, warnings)


def bare_event(action_type: ActionType, report_id: str, reason: str, author: Author) -> AuditEvent:
    """An event that makes no version; storage fills in its hashes."""
    payload = {key: value for key, value in (("reason", reason), ("client", author.client)) if value}
    return AuditEvent(
        action_id=new_id(),
        report_id=report_id,
        ts=utc_now(),
        actor=author.actor,
        action_type=action_type,
        payload=payload,
    )
