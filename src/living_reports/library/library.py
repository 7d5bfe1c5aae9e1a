"""What can be done with reports: one method for each tool, and the two that are the CLI's alone.

Rules:

- A method takes plain values, returns a JSON-ready object and raises `ReportError`s. All
  block: call them from a worker thread.
- A change is decided purely (`changes`, `views`) and made by storage in one commit, or not at
  all. What alters nothing makes no version.
- A repeated `request_id` gives the first answer again; it is looked up under the lock, before
  `expected_version`.

    >>> library = Library(Path("reports"))
    >>> created = library.create_report("Health", [{"title": "Risks"}], author=Author("cli", "ann"))
    >>> library.get_report(created["report_id"])["sections"][0]["title"]
    'Risks'
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from living_reports import cursor as cursors
from living_reports.brief import brief_edits
from living_reports.changes import (
    Outcome,
    apply_changes,
    parse_changes,
    parse_sections,
    parse_tags,
    parse_text,
    parse_title,
)
from living_reports.delta import diff
from living_reports.errors import InvalidInputError, RequestIdReusedError, TooLargeError
from living_reports.library import answers, catalogue, trail
from living_reports.library.overwrites import overwrite_warnings
from living_reports.models import AuditEvent, Author, IndexEntry, Outline, parse_uuid
from living_reports.selectors import pick_report
from living_reports.storage import Edit, GlobalStorage, Note, Record, State, utc_now
from living_reports.views import report_view, view_args

MAX_REASON_CHARS = 2_000
MAX_REQUEST_ID_CHARS = 200
MAX_LIMIT = 100
_DEFAULT_LIMIT = 20
_CONFLICT_EVENTS = 20
_REQUESTS = uuid.UUID("6f2d8a52-9f3e-5c0b-8d0e-3b1f6a0c7e11")
"""The namespace in which a `request_id` names the report that it creates."""

Row = dict[str, Any]


class Library:
    """All reports under one root.

    Args:
        root: The reports directory; the first report makes it.
        lock_timeout_seconds: How long a call waits for other writers of its report.
    """

    def __init__(self, root: Path, *, lock_timeout_seconds: float = 30.0) -> None:
        self.storage = GlobalStorage(root, lock_timeout_seconds=lock_timeout_seconds)

    # --- Writing --------------------------------------------------------------------------

    def create_report(
        self,
        title: str,
        sections: Sequence[Any] = (),
        tags: Sequence[str] = (),
        template: str = "",
        reason: str = "",
        request_id: str = "",
        *,
        author: Author,
    ) -> Row:
        """Make a report.

        Raises:
            InvalidInputError: An argument is wrong; `path` says which.
            RequestIdReusedError: The `request_id` made another report.
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        reason, request_id = _checked_note(reason, request_id)
        catalogue.require_choice("template", template or "blank", ("blank",))
        arguments = {"title": title, "sections": list(sections), "tags": list(tags), "reason": reason}
        content_hash = answers.request_hash(arguments)
        report_id = str(uuid.uuid5(_REQUESTS, request_id) if request_id else uuid.uuid4())
        outline, outcome = _new_outline(report_id, title, sections, tags)
        if request_id and (answer := self._first_creation(report_id, content_hash)):
            return answer
        extra = _remembered(request_id, content_hash, outcome)
        note = Note("create", author, reason, request_id or None, ts=outline.created_at, extra=extra)
        record = self.storage.create(outline, note)
        if record is None:
            return self._first_creation(report_id, content_hash) or {}
        return answers.created_answer(record, outline, outcome.warnings)

    def _first_creation(self, report_id: str, content_hash: str) -> Row | None:
        """The answer that the same creation got before, wherever its report is now."""
        found = self.storage.creation_of(report_id)
        if found is None:
            return None
        record, outline = found
        _require_same_content(record, content_hash)
        return answers.created_answer(record, outline)

    def update_report(
        self,
        report: str,
        changes: Sequence[Any],
        reason: str = "",
        expected_version: int = 0,
        dry_run: bool = False,
        request_id: str = "",
        *,
        author: Author,
    ) -> Row:
        """Make all changes as one version, or none.

        Raises:
            VersionConflictError: The report is not at `expected_version`.
            ReportError: A selector, a change or the disk; see the classes of `errors`.
        """
        reason, request_id = _checked_note(reason, request_id)
        parsed = parse_changes(list(changes))
        content_hash = answers.request_hash({"changes": list(changes), "reason": reason})
        with self._edit(report) as edit:
            if request_id and not dry_run and (first := _first_answer(edit, request_id, content_hash)):
                return first
            _require_version(edit, expected_version)
            now = utc_now()
            outcome = apply_changes(edit.state.outline, parsed, now=now, new_id=_new_id)
            warnings = [*edit.state.warnings, *outcome.warnings]
            if not expected_version:
                warnings += overwrite_warnings(edit, parsed, outcome.outline, author)
            if dry_run or not outcome.applied:
                return _preview(edit, outcome, warnings, dry_run=dry_run)
            extra = _remembered(request_id, content_hash, outcome, warnings)
            note = Note(outcome.action_type, author, reason, request_id or None, ts=now, extra=extra)
            edit.put(outcome.outline.model_copy(update={"updated_at": now}), note)
        return _changed(edit, warnings)

    def revert_report(
        self,
        report: str,
        to_version: int,
        reason: str = "",
        expected_version: int = 0,
        dry_run: bool = False,
        request_id: str = "",
        *,
        author: Author,
    ) -> Row:
        """Make the content of an earlier version the newest one. On a damaged report this repairs it.

        Raises:
            NoSuchVersionError: The report never had `to_version`.
            VersionConflictError: The report is not at `expected_version`.
            ReportError: A selector or the disk; see the classes of `errors`.
        """
        reason, request_id = _checked_note(reason, request_id)
        if to_version < 1:
            raise InvalidInputError(
                "to_version says which version to go back to.",
                hint="audit_report lists the versions; give one of them.",
                path="to_version",
            )
        content_hash = answers.request_hash({"to_version": to_version, "reason": reason})
        with self._edit(report, repair=True) as edit:
            if request_id and not dry_run and (first := _first_answer(edit, request_id, content_hash)):
                return first
            _require_version(edit, expected_version)
            outline = _as_current(edit.outline_at(to_version), edit.state)
            delta = diff(edit.state.outline, outline)
            applied = len(brief_edits(delta))
            outcome = Outcome(outline, {}, applied, "revert", list(edit.state.warnings))
            if dry_run or not (applied or edit.state.refusal):
                return _preview(edit, outcome, outcome.warnings, dry_run=dry_run)
            extra = _remembered(request_id, content_hash, outcome) | {"reverted_to": to_version}
            note = Note("revert", author, reason, request_id or None, extra=extra)
            edit.put(outline.model_copy(update={"updated_at": note.ts}), note)
        return _changed(edit, outcome.warnings)

    def delete_report(self, report: str, reason: str = "", *, author: Author) -> Row:
        """Move a report into the trash; `restore_report` brings it back.

        Raises:
            ReportError: A selector or the disk; see the classes of `errors`.
        """
        reason, _ = _checked_note(reason, "")
        report_id = self._resolve(report, writing=True)
        state = self.storage.read(report_id)
        path = self.storage.trash(report_id, _bare_event("delete", report_id, reason, author))
        place = path.relative_to(self.storage.reports_root).as_posix()
        return _state_row(state) | {"path": place}

    def restore_report(self, report: str, *, author: Author) -> Row:
        """Bring a report back from the trash, by its id or a prefix of it.

        Raises:
            ReportNotFoundError: It is not in the trash.
            ReportError: A selector or the disk; see the classes of `errors`.
        """
        report_id = pick_report(self.storage.trash_entries(), report, True).report_id
        event = _bare_event("status_change", report_id, "restored from the trash", author)
        return _state_row(self.storage.restore(report_id, event))

    # --- Reading --------------------------------------------------------------------------

    def get_report(
        self,
        report: str,
        view: str = "",
        version: int = 0,
        sections: Sequence[str] = (),
        insights: Sequence[str] = (),
        find: str = "",
        min_importance: int = 0,
        status: str = "",
        stale: bool = False,
        max_chars: int = 0,
        cursor: str = "",
    ) -> Row:
        """A report, or a part of it, now or at a version; see `views.report_view`.

        Raises:
            NoSuchVersionError: The report never had this version.
            ReportError: A selector, an argument or the disk; see the classes of `errors`.
        """
        report_id, state = self._read(report)
        asked: Row = {
            "view": view,
            "sections": sections,
            "insights": insights,
            "find": find,
            "min_importance": min_importance,
            "status": status,
            "stale": stale,
        }
        if cursor:
            version = _cursor_version(cursor, view_args(state.outline.report_id, **asked), version)
        outline = self.storage.outline_at(report_id, version or state.version, state)
        record = self.storage.event_of(report_id, outline.outline_version)
        answer = report_view(
            outline,
            **asked,
            today=datetime.now(UTC).date(),
            max_chars=max_chars,
            cursor=cursor,
            last_change=answers.last_change(record) if record else None,
        )
        return answer | ({"warnings": list(state.warnings)} if state.warnings else {})

    def list_reports(
        self,
        query: str = "",
        tags: Sequence[str] = (),
        status: str = "",
        sort: str = "",
        limit: int = 0,
        cursor: str = "",
    ) -> Row:
        """The reports that fit, a page at a time.

        Raises:
            InvalidInputError: An argument is out of range, or the cursor is not for this call.
        """
        status, sort = status or "active", sort or "updated"
        catalogue.require_choice("status", status, catalogue.STATUSES)
        catalogue.require_choice("sort", sort, catalogue.SORTS)
        limit = _checked_limit(limit)
        arguments = {"query": query, "tags": list(tags), "status": status, "sort": sort}
        after = cursors.decode(cursor, arguments)[1] if cursor else None
        entries = self.storage.entries()
        fitting = catalogue.matching(entries, query=query, tags=tags, status=status)
        shown, position = catalogue.page(fitting, sort, after, limit)
        rows = [catalogue.entry_row(entry, self.storage.stated_version(entry)) for entry in shown]
        answer: Row = {"reports": rows, "total": len(fitting)}
        return answer | ({"next_cursor": cursors.encode(0, arguments, position)} if position else {})

    def audit_report(
        self,
        report: str,
        since: str | int = "",
        item: str = "",
        text: str = "",
        actor: str = "",
        action_type: str = "",
        verify: bool = False,
        limit: int = 0,
        cursor: str = "",
    ) -> Row:
        """What happened to a report, newest first; with `verify` also whether its files are whole.

        Raises:
            InvalidInputError: An argument is out of range, or the cursor is not for this call.
            ReportError: A selector or the disk; see the classes of `errors`.
        """
        limit = _checked_limit(limit)
        moment = trail.parse_since(since)
        report_id = self._resolve(report, writing=False)
        verified = self.storage.verify(report_id) if verify else None  # before any recovery
        state = self.storage.read(report_id)
        wanted = trail.filters(
            outline=state.outline, item=item, text=text, actor=actor, action_type=action_type
        )
        arguments: Row = {"report": report_id, "since": str(since), "item": item, "text": text}
        arguments |= {"actor": actor, "action_type": action_type}
        version, end = cursors.decode(cursor, arguments) if cursor else (state.version, None)
        answer: Row = {"report_id": state.outline.report_id, "version": state.version}
        if verified is not None:
            answer["verified"] = verified
        room = answers.MAX_ANSWER_CHARS - answers.size(answer) - 200
        rows, last = trail.page(self.storage.events(report_id, end), wanted, moment, limit, room)
        answer["events"] = rows
        return answer | ({"next_cursor": cursors.encode(version, arguments, last.offset)} if last else {})

    # --- Selectors ------------------------------------------------------------------------

    def _resolve(self, selector: str, *, writing: bool) -> str:
        """The id of the report that a selector names; a whole id is believed without the index.

        Raises:
            ReportNotFoundError, AmbiguousSelectorError: None answers to it, or several.
        """
        try:
            report_id = parse_uuid(selector.strip())
        except ValueError:
            return pick_report(self._living(), selector, writing).report_id
        if self.storage.exists(report_id):
            return report_id
        return pick_report(self._living(), selector, writing).report_id

    def _living(self) -> list[IndexEntry]:
        return [entry for entry in self.storage.entries() if not entry.path.startswith(".trash")]

    def _read(self, selector: str) -> tuple[str, State]:
        report_id = self._resolve(selector, writing=False)
        return report_id, self.storage.read(report_id)

    @contextmanager
    def _edit(self, selector: str, *, repair: bool = False) -> Iterator[Edit]:
        with self.storage.edit(self._resolve(selector, writing=True), repair=repair) as edit:
            yield edit


def _new_id() -> str:
    return str(uuid.uuid4())


def _checked_note(reason: str, request_id: str) -> tuple[str, str]:
    limits = (("reason", reason, MAX_REASON_CHARS), ("request_id", request_id, MAX_REQUEST_ID_CHARS))
    for name, value, limit in limits:
        if len(value) > limit:
            message = f"{name} has {len(value):,} characters; the limit is {limit:,}."
            raise TooLargeError(message, hint="Say it shorter.", path=name, limit=limit)
    reason = parse_text(reason, "reason").strip() if reason.strip() else ""
    return reason, parse_text(request_id, "request_id") if request_id else ""


def _checked_limit(limit: int) -> int:
    if not 0 <= limit <= MAX_LIMIT:
        raise InvalidInputError(
            f"limit is {limit}.", hint=f"Give 1 to {MAX_LIMIT}.", path="limit", allowed=f"1 to {MAX_LIMIT}"
        )
    return limit or _DEFAULT_LIMIT


def _new_outline(
    report_id: str, title: str, sections: Sequence[Any], tags: Sequence[str]
) -> tuple[Outline, Outcome]:
    now = utc_now()
    clean_tags = parse_tags(list(tags), "tags") if tags else []
    metadata = {"status": "active"} | ({"tags": clean_tags} if clean_tags else {})
    empty = Outline(
        report_id=report_id,
        title=parse_title(title, "title"),
        created_at=now,
        updated_at=now,
        metadata=metadata,
    )
    outcome = apply_changes(
        empty, parse_sections(list(sections)) if sections else [], now=now, new_id=_new_id
    )
    return outcome.outline, outcome


def _remembered(request_id: str, content_hash: str, outcome: Outcome, warnings: Sequence[str] = ()) -> Row:
    """What the event keeps so that a repeated call gets the first answer again."""
    kept: Row = {"created": answers.short_created(outcome.created)} if outcome.created else {}
    if request_id:
        kept |= {"request_sha256": content_hash, "applied": outcome.applied}
        if warnings or outcome.warnings:
            kept["warnings"] = list(warnings or outcome.warnings)
    elif outcome.applied:
        kept["applied"] = outcome.applied
    return kept


def _require_same_content(record: Record, content_hash: str) -> None:
    if record.payload.get("request_sha256") != content_hash:
        raise RequestIdReusedError(
            f"This request_id was used for another content, in version {record.version}.",
            hint="Use a new request_id for a new request; repeat one only to send the very same call again.",
            version=record.version,
        )


def _first_answer(edit: Edit, request_id: str, content_hash: str) -> Row | None:
    record = edit.find_request(request_id)
    if record is None:
        return None
    _require_same_content(record, content_hash)
    return answers.changed_answer(record, edit.outline_at(record.version))


def _require_version(edit: Edit, expected_version: int) -> None:
    current = edit.state.version
    if not expected_version or expected_version == current:
        return
    newer = (record for record in edit.events() if record.makes_version)
    since = []
    for record in islice(newer, _CONFLICT_EVENTS):
        if record.version <= expected_version:
            break
        since.append((record, brief_edits(record.delta)))
    raise answers.version_conflict(expected_version, edit.state.outline, since)


def _as_current(outline: Outline, state: State) -> Outline:
    """An earlier outline with the bookkeeping of the current one, so that only content differs."""
    current = state.outline
    return outline.model_copy(
        update={"outline_version": current.outline_version, "updated_at": current.updated_at}
    )


def _preview(edit: Edit, outcome: Outcome, warnings: Sequence[str], *, dry_run: bool) -> Row:
    delta = diff(edit.state.outline, outcome.outline)
    created = answers.short_created(outcome.created)
    return answers.preview_answer(
        edit.state.outline, outcome.applied, created, delta, warnings, dry_run=dry_run
    )


def _changed(edit: Edit, warnings: Sequence[str]) -> Row:
    assert edit.record is not None
    assert edit.draft is not None
    return answers.changed_answer(edit.record, edit.draft[0], warnings)


def _cursor_version(cursor: str, arguments: Row, version: int) -> int:
    held, _ = cursors.decode(cursor, arguments)
    if version and version != held:
        raise InvalidInputError(
            f"This cursor goes on in version {held}, not in {version}.",
            hint="Leave the version out: the cursor holds it.",
            path="cursor",
        )
    return held


def _bare_event(action_type: Any, report_id: str, reason: str, author: Author) -> AuditEvent:
    payload = {key: value for key, value in (("reason", reason), ("client", author.client)) if value}
    return AuditEvent(
        action_id=_new_id(),
        report_id=report_id,
        ts=utc_now(),
        actor=author.actor,
        action_type=action_type,
        payload=payload,
    )


def _state_row(state: State) -> Row:
    return {"report_id": state.outline.report_id, "title": state.outline.title, "version": state.version}
