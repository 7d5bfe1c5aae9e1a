"""The parts that writing use cases share: reasons and request ids, events, and JSON-ready answers.

Rules:

- Empty optional fields are left out. An answer stays under 20,000 characters of compact JSON: the ends
  of long lists are left out, and a warning says how to see the rest.
- The event of a call with a `request_id` keeps the parts of the answer that cannot be derived from it, so
  that a repeated call gets the same answer.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from living_reports.changes import Change, Outcome, citation_source, parse_text
from living_reports.errors import RequestIdReusedError, TooLargeError
from living_reports.library.sources import Sources
from living_reports.model.delta import Edit, diff
from living_reports.model.event import ActionType, AuditEvent, Author
from living_reports.model.fields import ITEMS, SOURCES
from living_reports.model.report import Citation, Outline, sha256_hex
from living_reports.reading.compact import (
    MAX_ANSWER_CHARS,
    EditRow,
    cut,
    first_fitting,
    item_name,
    items_of,
    placed_rows,
    size,
    size_bytes,
)
from living_reports.reading.history import Merged, merged, newest_fitting, outline_before
from living_reports.store.base import Event, Note, Transaction

MAX_REASON_CHARS = 2_000
MAX_REQUEST_ID_CHARS = 200
_ANSWER_BYTES = 2_000
"""The size of an answer with merged versions, if all else in it is short."""
_LEAST_MERGED_BYTES = 400
_CREATED_TITLE_CHARS = 80
_WARNINGS_SHOWN = 20
_WARNING_CHARS = 400
_NOW_CHARS = 120
"""The size up to which a row about tags has the whole list of tags after the change."""
_SOURCES_SHOWN, _SOURCE_CHARS = 3, 80
_SPARE_CHARS = 300
"""Room for the warning that something was left out."""
_NEW_IDS = "new items get other ids when this is done and not only tried"

Json = dict[str, Any]
_HashOf = Callable[[str], str | None]


def new_id() -> str:
    """Return a fresh UUID."""
    return str(uuid.uuid4())


# --- Calls that write ----------------------------------------------------------------------


@dataclass(frozen=True)
class WriteCall:
    """The parts of a write that its event records: the reason, the request id, and a hash of the content.

    Attributes:
        reason: The reason, checked.
        request_id: The request id, checked; empty if there is none.
        content: The arguments that make two calls the same request.
    """

    reason: str
    request_id: str
    content: Json

    @classmethod
    def checked(cls, reason: str, request_id: str, content: Json) -> WriteCall:
        """Return the call with its texts checked.

        Raises:
            TooLargeError, InvalidInputError: The reason or the request id is too long, or is no text.
        """
        reason = checked_reason(reason)
        _require_length("request_id", request_id, MAX_REQUEST_ID_CHARS)
        return cls(reason, parse_text(request_id, "request_id") if request_id else "", content)

    def options(self, *, dry_run: bool) -> Json:
        """Return the stated arguments of the call beside its content."""
        stated = {"reason": self.reason, "dry_run": dry_run, "request_id": self.request_id}
        return {name: value for name, value in stated.items() if value}

    @cached_property
    def content_hash(self) -> str:
        """The hash of the content and the reason; empty without a request id.

        Fields that are not stated do not count, nor does the order of fields.
        """
        if not self.request_id:
            return ""
        stated = _stated(self.content | {"reason": self.reason})
        return sha256_hex(json.dumps(stated, sort_keys=True, separators=(",", ":")).encode())

    def require_same_content(self, record: Event) -> None:
        """Refuse a request id that an event records for other content.

        Raises:
            RequestIdReusedError: The contents differ.
        """
        if record.payload.get("request_sha256") != self.content_hash:
            raise RequestIdReusedError(
                f"This request_id was used for other content, in version {record.version}.",
                hint="Use a new request_id for a new request; repeat one only to send the very same call "
                "again.",
                version=record.version,
            )

    def first_answer(self, edit: Transaction) -> Json | None:
        """Return the answer that this request got before, if it is remembered.

        Raises:
            RequestIdReusedError: It was a request for other content.
        """
        record = edit.find_request(self.request_id) if self.request_id else None
        if record is None:
            return None
        self.require_same_content(record)
        return repeated_answer(record, edit.outline_at(record.version), edit.events())

    def note(self, outcome: Outcome, author: Author, ts: str, warnings: Sequence[str], **extra: Any) -> Note:
        """Return the note of the event that records this call; empty `extra` fields are left out."""
        kept: Json = {"created": _short_created(outcome.created), "replaced": outcome.replaced}
        if self.request_id:
            kept |= {"request_sha256": self.content_hash, "applied": outcome.applied}
            kept["warnings"] = _capped(list(warnings))
        kept = {key: value for key, value in (kept | extra).items() if value}
        request_id = self.request_id or None
        return Note(outcome.action_type, author, self.reason, request_id, ts, new_id(), kept)


def checked_reason(reason: str) -> str:
    """Return a reason as events keep it.

    Raises:
        TooLargeError, InvalidInputError: It is too long, or is no text.
    """
    _require_length("reason", reason, MAX_REASON_CHARS)
    return parse_text(reason, "reason").strip() if reason.strip() else ""


def _require_length(name: str, value: str, limit: int) -> None:
    if len(value) > limit:
        message = f"{name} has {len(value):,} characters; the limit is {limit:,}."
        raise TooLargeError(message, hint="Shorten it.", path=name, limit=limit)


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


def with_hashes(changes: Iterable[Change], sources: Sources) -> list[Change]:
    """Return the changes with the current sha256 of each document that they cite.

    The hash is taken before the changes are applied, so that applying stays pure and citing an unchanged
    file again changes nothing. A hash that the caller states is kept: the caller may have read the file
    at another time.
    """
    hash_of = cache(sources.sha256_of)  # a call may cite one file many times
    return [_hashed(change, hash_of) for change in changes]


def _hashed(change: Change, hash_of: _HashOf) -> Change:
    if change.op == "remove_citation":  # its fields say which citation, not what to cite
        return change
    fields: dict[str, Any] = dict(change.fields)
    if "citation" in fields:
        fields["citation"] = _with_hash(fields["citation"], hash_of)
    if "citations" in fields:
        fields["citations"] = [_with_hash(each, hash_of) for each in fields["citations"]]
    if "insights" in fields:
        fields["insights"] = [_hashed(each, hash_of) for each in fields["insights"]]
    return replace(change, fields=fields)


def _with_hash(stated: dict[str, str], hash_of: _HashOf) -> dict[str, str]:
    if "response_hash" in stated or "path" not in stated or citation_source(stated) != "document":
        return stated
    sha256 = hash_of(stated["path"])
    return stated | {"response_hash": sha256} if sha256 else stated


def bare_event(action_type: ActionType, report_id: str, reason: str, author: Author, ts: str) -> AuditEvent:
    """Return an event that makes no version; the store fills in its hashes."""
    stated = {"reason": reason, "client": author.client, "user": author.user}
    payload = {key: value for key, value in stated.items() if value}
    return AuditEvent(
        action_id=new_id(),
        report_id=report_id,
        ts=ts,
        actor=author.actor,
        action_type=action_type,
        payload=payload,
    )


# --- Answers -------------------------------------------------------------------------------


def created_answer(record: Event, outline: Outline, warnings: Iterable[str] = ()) -> Json:
    """Return the answer of `create_report`."""
    inherited = record.payload.get("inherited")
    answer = _head(record, outline.title) | _tags(outline)
    answer |= _created(record.payload.get("created"), outline)
    return _fitted(answer | ({"inherited": inherited} if inherited else {}), list(warnings))


def planned_answer(outcome: Outcome, inherited: Json) -> Json:
    """Return the answer of `create_report` for a dry run: the report has no id yet."""
    outline = outcome.outline
    answer: Json = {"title": outline.title} | _tags(outline) | _created(outcome.created, outline)
    answer |= ({"inherited": inherited} if inherited else {}) | {"dry_run": True}
    return _fitted(answer, [*outcome.warnings, _NEW_IDS] if outcome.created else outcome.warnings)


def changed_answer(
    record: Event,
    before: Outline | None,
    after: Outline,
    applied: int,
    warnings: Iterable[str],
    merged: Merged,
) -> Json:
    """Return the answer of `update_report` and `revert_report` after a commit.

    Args:
        record: The event.
        before: The outline before it; `None` if it is not known.
        after: The outline after it.
        applied: The number of changes that altered something.
        warnings: The warnings.
        merged: The versions that it was merged with.
    """
    answer = _head(record, after.title) | {"applied": applied} | _replaced(record.payload.get("replaced"))
    answer |= _created(record.payload.get("created"), after)
    answer["changed"] = _changed_rows(record.delta, before, after)
    answer |= {"kept": kept} if (kept := record.payload.get("kept")) else {}
    return _fitted(answer, [*warnings, *_show_merged(answer, merged)])


def repeated_answer(record: Event, outline: Outline, events: Iterable[Event] = ()) -> Json:
    """Return the answer that an earlier call with the same `request_id` got.

    Args:
        record: The event of that call.
        outline: The outline after it.
        events: The history, newest first, in which the versions are found that it was merged with.
    """
    warnings = record.payload.get("warnings", [])
    if record.is_whole:
        return created_answer(record, outline, warnings)
    before = outline_before(record, outline)
    others = Merged(versions := record.payload.get("rebased_over", ()))
    others = merged(events, versions, before) if versions and before else others
    return changed_answer(record, before, outline, record.payload.get("applied", 0), warnings, others)


def preview_answer(
    edit: Transaction,
    outcome: Outcome,
    warnings: Sequence[str],
    merged: Merged,
    *,
    dry_run: bool,
) -> Json:
    """Return the answer of a call that commits nothing: a dry run, or changes that alter nothing."""
    outline = edit.snapshot.outline
    answer: Json = {
        "report_id": outline.report_id,
        "title": outline.title,
        "version": outline.outline_version,
        "applied": outcome.applied,
    }
    notes = list(warnings)
    if dry_run:
        answer |= _replaced(outcome.replaced) | _created(outcome.created, outcome.outline)
        answer["changed"] = _changed_rows(diff(outline, outcome.outline), outline, outcome.outline)
        notes += _show_merged(answer, merged)
        answer["dry_run"] = True
        notes += [_NEW_IDS] if outcome.created else []
    return _fitted(answer, notes)


def _show_merged(answer: Json, merged: Merged) -> list[str]:
    """Put the merged versions into an answer; return a warning where not all of them fit."""
    if not merged.versions:
        return []
    answer["rebased_over"] = list(merged.versions)
    room = _ANSWER_BYTES - size_bytes(answer) - _SPARE_CHARS
    rows = list(merged.rows)
    if room >= _LEAST_MERGED_BYTES:
        rows = newest_fitting(reversed(rows), merged.versions, room)
    answer |= {"merged": rows} if rows else {}
    if len(rows) == len(merged.versions) and not any("changed_more" in row for row in rows):
        return []
    first, last = merged.versions[0], merged.versions[-1]
    return [f"merged is cut: diff_report with since={first - 1} and to_version={last} shows all of it"]


def _head(record: Event, title: str) -> Json:
    return {
        "report_id": record.event.report_id,
        "title": title,
        "version": record.version,
        "action_id": record.event.action_id,
    }


def _tags(outline: Outline) -> Json:
    return {"tags": outline.tags} if outline.tags else {}


def _changed_rows(delta: Sequence[Edit], before: Outline | None, after: Outline) -> list[Json]:
    """Return the rows of `changed` with what the report has now: its tags, and the citations of new items."""
    found = placed_rows(delta, before, after)
    items = items_of(after, {row.place[1] for row in found if _is_new_item(row)})
    rows = []
    for each in found:
        more: Json = {}
        if each.place == ("metadata", "tags") and size(after.tags) <= _NOW_CHARS:
            more = {"now": after.tags}
        elif _is_new_item(each) and each.place[1] in items:
            more = _cited(items[each.place[1]].citations)
        rows.append(each.row | more)
    return rows


def _is_new_item(row: EditRow) -> bool:
    return len(row.edited) == 2 and row.edited[0] in ITEMS and "old" not in row.row


def _cited(citations: Sequence[Citation]) -> Json:
    """Return the field with the first sources of the citations of a new item, if it has any."""
    sources = [cut(_source_of(citation), _SOURCE_CHARS) for citation in citations[:_SOURCES_SHOWN]]
    more = len(citations) - len(sources)
    return {"citations": [*sources, f"… {more} more"] if more else sources} if sources else {}


def _source_of(citation: Citation) -> str:
    """Return the address, path or name of a citation's source, else its description or its kind."""
    named = (getattr(citation, field) for field in SOURCES)
    return next(filter(None, named), citation.description or citation.source)


def _replaced(number: Any) -> Json:
    """Return the field of the places in which `edit_text` with `all` replaced a text, if there are any."""
    return {"replaced": number} if number else {}


def _created(created: Any, outline: Outline) -> Json:
    """Return the field of new items with their names, and insights with the names of their sections."""
    if not created:
        return {}
    created = _short_created(created)
    insights = created.get("insights", [])
    named = items_of(outline, {row[key] for row in insights for key in ("insight_id", "section_id")})
    rows = [
        row
        | {"summary": item_name(named.get(row["insight_id"]))}
        | {"section_title": item_name(named.get(row["section_id"]))}
        for row in insights
    ]
    return {"created": created | ({"insights": rows} if rows else {})}


def _short_created(created: dict[str, list[dict[str, str]]]) -> Json:
    """Return new items as answers and events name them: whole ids, titles cut."""
    return {
        kind: [
            row | {"title": cut(row["title"], _CREATED_TITLE_CHARS)} if "title" in row else row
            for row in rows
        ]
        for kind, rows in created.items()
    }


def _fitted(answer: Json, warnings: list[str]) -> Json:
    """Leave out the ends of long lists until the answer is short enough."""
    warnings = _capped(warnings)
    lists: list[tuple[str, Json]] = [("changed", answer)]
    if isinstance(answer.get("created"), dict):
        answer["created"] = dict(answer["created"])
        lists += [(kind, answer["created"]) for kind in ("insights", "sections")]
    for name, holder in lists:
        rows = holder.get(name)
        room = MAX_ANSWER_CHARS - size(answer) - size(warnings) - _SPARE_CHARS
        if rows and room < 0:
            holder[name] = first_fitting(rows, room + size(rows))
            shown = f"{name}: the first {len(holder[name])} of {len(rows)} are shown"
            tool = "diff_report" if name == "changed" and "action_id" in answer else "get_report"
            warnings = [*warnings, f"{shown}; {tool} gives the rest."]
    return answer | ({"warnings": warnings} if warnings else {})


def _capped(warnings: list[str]) -> list[str]:
    """Return the first warnings and a line that counts the rest; a capped list stays as it is."""
    if len(warnings) > _WARNINGS_SHOWN + 1:
        more = len(warnings) - _WARNINGS_SHOWN
        warnings = [*warnings[:_WARNINGS_SHOWN], f"{more} more warnings of this kind"]
    return [cut(warning, _WARNING_CHARS) for warning in warnings]
