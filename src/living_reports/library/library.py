"""What can be done with reports: one method for each tool, and the two that are the CLI's alone.

Rules:

- A method takes a request (see `requests`), returns a JSON-ready object and raises `ReportError`s. All
  block: call them from a worker thread.
- A change is decided purely (`changes`, `views`) and made by storage in one commit, or not at
  all. What alters nothing makes no version.
- A repeated `request_id` gives the first answer again; it is looked up under the lock, before
  `expected_version`.

    >>> library = Library(Path("reports"))
    >>> request = CreateReport("Health", [{"title": "Risks"}])
    >>> created = library.create_report(request, Author("cli", "ann"))
    >>> library.get_report(GetReport(created["report_id"]))["sections"][0]["title"]
    'Risks'
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from living_reports.changes import (
    parse_changes,
)
from living_reports.errors import (
    CorruptReportError,
    Happened,
    InvalidInputError,
    StorageFailedError,
)
from living_reports.library import (
    answers,
    creating,
    going_back,
    merging,
    trail,
    writing,
)
from living_reports.library.checking import check_answer
from living_reports.library.finding import find_report, find_unopened
from living_reports.library.overwrites import overwrite_warnings
from living_reports.library.pages import render_answer
from living_reports.library.requests import (
    AuditReport,
    CheckReport,
    CreateReport,
    DiffReport,
    GetReport,
    ListReports,
    RenderReport,
    RestoreReport,
    RevertReport,
    TrashReport,
    UpdateReport,
)
from living_reports.library.sources import Sources
from living_reports.library.sourcing import with_hashes
from living_reports.model.delta import DeltaError
from living_reports.model.event import Author
from living_reports.model.report import Outline
from living_reports.model.selectors import pick_report
from living_reports.reading import blame, differences
from living_reports.reading import cursor as cursors
from living_reports.reading.brief import short_ids
from living_reports.reading.paging import size
from living_reports.reading.views import MAX_CHARS, MAX_CHARS_RANGE, report_view, view_args
from living_reports.reading.wording import Mentions
from living_reports.store.files import Edit, GlobalStorage, Note, Say, State, utc_now

if TYPE_CHECKING:
    from living_reports.library.lookout import Lookout
    from living_reports.library.resources import Resource
    from living_reports.store.files.search import SearchIndex

MAX_LIMIT = 100
RESOURCES_A_PAGE = 50
_DEFAULT_LIMIT = 20
_CURSOR_CHARS = 1_200
"""Room for `next_cursor` and what else goes around the rows of an answer."""
_LOOKOUT_SECONDS = 1.0
"""How long a lookout waits for the writer of a report before it looks again later."""
_REQUESTS = uuid.UUID("6f2d8a52-9f3e-5c0b-8d0e-3b1f6a0c7e11")
"""The namespace in which a `request_id` names the report that it creates."""

Row = dict[str, Any]


@contextmanager
def _disk_errors(happened: Happened) -> Iterator[None]:
    """What the disk refuses outside of a commit, as an answer; `happened` is what is then true."""
    try:
        yield
    except OSError as error:
        outcome = "Nothing was changed." if happened == "no" else "Whether it happened is unknown."
        raise StorageFailedError(
            f"The disk refused: {error.strerror or type(error).__name__}. {outcome}",
            happened=happened,
            hint="Mend the disk or its permissions, then send the same call again.",
        ) from error


class Library:
    """All reports under one root.

    Args:
        root: The reports directory; the first report makes it.
        lock_timeout_seconds: How long a call waits for other writers of its report.
        sources: The folders whose files reports may cite by their hash and show as images.
    """

    def __init__(
        self, root: Path, *, lock_timeout_seconds: float = 30.0, sources: Iterable[Path] = ()
    ) -> None:
        self.storage = GlobalStorage(root, lock_timeout_seconds=lock_timeout_seconds)
        self.sources = Sources(sources)
        self._search: SearchIndex | None = None

    # --- Writing --------------------------------------------------------------------------

    @_disk_errors("unknown")
    def create_report(self, request: CreateReport, author: Author) -> Row:
        """Create a report.

        Raises:
            InvalidInputError: An argument is wrong; `path` says which.
            RequestIdReusedError: The `request_id` made another report.
            ReportError: A report of `from_reports` cannot be found or read; `path` says which.
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        reason, request_id = writing.checked_note(request.reason, request.request_id)
        content_hash = (
            answers.request_hash(creating.stated(request) | {"reason": reason}) if request_id else ""
        )
        report_id = str(uuid.uuid5(_REQUESTS, request_id) if request_id else uuid.uuid4())
        if request_id and (answer := self._first_creation(report_id, content_hash)):
            return answer
        outcome = creating.new_report(self.storage, self.sources, report_id, request)
        outline = outcome.outline
        extra = writing.remembered(request_id, content_hash, outcome, outcome.warnings)
        extra |= creating.provenance(outline)
        note = Note(
            outcome.action_type, author, reason, request_id or None, ts=outline.created_at, extra=extra
        )
        record = self.storage.create(outline, note)
        if record is not None:
            return answers.created_answer(record, outline.title, outcome.warnings)
        if answer := self._first_creation(report_id, content_hash):
            return answer
        raise CorruptReportError(
            "This request_id made a report whose history cannot be read.",
            hint="Verify the report, or use a new request_id to make another one.",
            report_id=report_id,
        )

    def _first_creation(self, report_id: str, content_hash: str) -> Row | None:
        """The answer that the same creation got before, wherever its report is now."""
        try:
            found = self.storage.creation_of(report_id)
        except DeltaError:
            return None  # its log was tampered with
        if found is None:
            return None
        record, outline = found
        writing.require_same_content(record, content_hash)
        return answers.repeated_answer(record, outline.title)

    @_disk_errors("no")
    def update_report(self, request: UpdateReport, author: Author) -> Row:
        """Make all changes as one version, or none.

        Made against an older `expected_version`, they are carried over what changed since.

        Raises:
            VersionConflictError: They touch what changed since `expected_version`.
            ReportError: A selector, a change or the disk; see the classes of `errors`.
        """
        reason, request_id = writing.checked_note(request.reason, request.request_id)
        changes, dry_run = list(request.changes), request.dry_run
        parsed = with_hashes(parse_changes(changes), self.sources)
        stated = {"changes": changes, "reason": reason}
        content_hash = answers.request_hash(stated) if request_id else ""
        with self._edit(request.report, request_id) as edit:
            if request_id and not dry_run and (first := writing.first_answer(edit, request_id, content_hash)):
                return first
            now = utc_now()
            asked = merging.asked_changes(edit, changes, parsed, reason, now, writing.new_id)
            outcome, rebased_over = merging.carried_over(edit, request.expected_version, asked)
            warnings = [*edit.state.warnings, *outcome.warnings]
            if not request.expected_version:
                warnings += overwrite_warnings(edit, parsed, outcome.outline, author)
            if dry_run or not outcome.applied:
                return writing.preview(edit, outcome, warnings, rebased_over, dry_run=dry_run)
            extra = writing.remembered(request_id, content_hash, outcome, warnings)
            extra |= {"rebased_over": rebased_over} if rebased_over else {}
            note = Note(outcome.action_type, author, reason, request_id or None, ts=now, extra=extra)
            edit.put(outcome.outline.model_copy(update={"updated_at": now}), note)
        return writing.changed(edit, outcome.applied, warnings)

    @_disk_errors("no")
    def revert_report(self, request: RevertReport, author: Author) -> Row:
        """Go back, as a new version: to an earlier version, or to before one change but with all later ones.

        Raises:
            InvalidInputError: Not one of `to_version` and `undo` is stated, or there was nothing before it.
            NoSuchVersionError: The report never had the version.
            VersionConflictError: Later changes touch the same.
            ReportError: A selector or the disk; see the classes of `errors`.
        """
        reason, request_id = writing.checked_note(request.reason, request.request_id)
        dry_run = request.dry_run
        back = going_back.checked_back(request.to_version, request.undo, request.item)
        content_hash = answers.request_hash(back.row | {"reason": reason}) if request_id else ""
        with self._edit(request.report, request_id, repair=True) as edit:
            if request_id and not dry_run and (first := writing.first_answer(edit, request_id, content_hash)):
                return first
            asked = going_back.asked_back(edit, back, reason)
            outcome, rebased_over = merging.carried_over(edit, request.expected_version, asked)
            if dry_run or not (outcome.applied or edit.state.refusal):
                return writing.preview(edit, outcome, outcome.warnings, rebased_over, dry_run=dry_run)
            extra = writing.remembered(request_id, content_hash, outcome, outcome.warnings) | asked.said
            extra |= {"rebased_over": rebased_over} if rebased_over else {}
            note = Note("revert", author, reason, request_id or None, extra=extra)
            edit.put(outcome.outline.model_copy(update={"updated_at": note.ts}), note)
        return writing.changed(edit, outcome.applied, outcome.warnings)

    @_disk_errors("unknown")
    def trash_report(self, request: TrashReport, author: Author) -> Row:
        """Move a report into the trash; `restore_report` brings it back.

        Raises:
            ReportError: A selector or the disk; see the classes of `errors`.
        """
        reason, _ = writing.checked_note(request.reason, "")
        report_id = find_report(self.storage, request.report, writing=True)
        state = self.storage.read(report_id)
        path = self.storage.trash(report_id, writing.bare_event("delete", report_id, reason, author))
        place = path.relative_to(self.storage.reports_root).as_posix()
        return _state_row(state) | {"path": place}

    @_disk_errors("unknown")
    def restore_report(self, request: RestoreReport, author: Author) -> Row:
        """Bring a report back from the trash, by its id or a prefix of it.

        Raises:
            ReportNotFoundError: It is not in the trash.
            ReportError: A selector or the disk; see the classes of `errors`.
        """
        report_id = pick_report(self.storage.trash_entries(), request.report, True).report_id
        event = writing.bare_event("status_change", report_id, "restored from the trash", author)
        return _state_row(self.storage.restore(report_id, event))

    # --- Reading --------------------------------------------------------------------------

    @_disk_errors("no")
    def get_report(self, request: GetReport) -> Row:
        """A report, or a part of it, now or at a version; see `views.report_view`.

        Raises:
            NoSuchVersionError: The report never had this version.
            ReportError: A selector, an argument or the disk; see the classes of `errors`.
        """
        report_id, state = self._read(request.report)
        version = request.version
        if request.cursor:
            version = _cursor_version(request.cursor, view_args(state.outline.report_id, request), version)
        outline = self.storage.outline_at(report_id, version or state.version, state)
        record = self.storage.event_of(report_id, outline.outline_version, state)
        warnings = {"warnings": list(state.warnings)} if state.warnings else {}
        answer = report_view(
            outline,
            replace(request, max_chars=_less(request.max_chars, warnings)),
            today=datetime.now(UTC).date(),
            last_change=answers.last_change(record) if record else None,
        )
        return answer | warnings

    @_disk_errors("no")
    def list_reports(self, request: ListReports) -> Row:
        """The reports that fit, a page at a time, with what in them fits.

        Raises:
            InvalidInputError: An argument is out of range, or the cursor is not for this call.
        """
        from living_reports.library import listing  # loads SQLite: only when something is listed

        if self._search is None:
            self._search = listing.open_search(self.storage)
        return listing.list_page(
            self.storage, self._search, request, datetime.now(UTC).date(), _checked_limit(request.limit)
        )

    @_disk_errors("no")
    def audit_report(self, request: AuditReport, progress: Say | None = None) -> Row:
        """What happened to a report, newest first; with `verify` also whether its files are whole.

        `progress` is called with how far that is.

        Raises:
            InvalidInputError: An argument is out of range, or the cursor is not for this call.
            ReportError: A selector or the disk; see the classes of `errors`.
        """
        limit = _checked_limit(request.limit)
        moment = trail.parse_since(request.since)
        wanted = [trail.by_type(request.action_type)] if request.action_type else []
        wanted += [trail.by_actor(request.actor)] if request.actor else []
        if request.verify:
            report_id = find_unopened(self.storage, request.report)
        else:
            report_id = find_report(self.storage, request.report, writing=False)
        verified = (
            self.storage.verify(report_id, say=progress) if request.verify else None
        )  # before any recovery
        state = self._read_if_possible(report_id)
        place: list[str] = []
        if request.item:
            outline = state.outline if state else None
            place = blame.place_of(request.item, outline, self.storage.events(report_id))
            wanted.append(blame.about(place))
        if request.text:
            wanted.append(self._mentions(report_id, request.text, state))
        names = ("report", "item", "text", "actor", "action_type")
        arguments: Row = {name: getattr(request, name) for name in names} | {"since": str(request.since)}
        end = cursors.decode(request.cursor, arguments)[1] if request.cursor else None
        version = state.version if state else trail.newest_version(self.storage.events(report_id))
        answer: Row = {"report_id": report_id, "version": version}
        if verified is not None:
            answer["verified"] = verified
        if state and state.warnings:
            answer["warnings"] = list(state.warnings)
        if place and (change := self._last_change(report_id, place, state)):
            answer["last_change"] = change
        room = answers.MAX_ANSWER_CHARS - size(answer) - _CURSOR_CHARS
        rows, last = trail.page(self.storage.events(report_id, end), wanted, moment, limit, room)
        answer["events"] = rows
        return answer | ({"next_cursor": cursors.encode(version, arguments, last.offset)} if last else {})

    @_disk_errors("no")
    def check_report(self, request: CheckReport) -> Row:
        """What a careful reader would find wrong with a report on a day; see `checking`.

        Raises:
            InvalidInputError: `on` is no day, or the cursor is not for this call.
            ReportError: A selector or the disk; see the classes of `errors`.
        """
        return check_answer(
            self.storage, self.sources, self._read(request.report)[1], request.on, request.cursor
        )

    @_disk_errors("no")
    def render_report(self, request: RenderReport, author: Author, progress: Say | None = None) -> Row:
        """A report as a page: its text, or where its file is; see `pages`.

        Raises:
            NoSuchVersionError: The report never had this version.
            ReportError: A selector, an argument or the disk; see the classes of `errors`.
        """
        state = self._read(request.report)[1]
        return render_answer(self.storage, self.sources, state, request, author, progress)

    @_disk_errors("no")
    def diff_report(self, request: DiffReport) -> Row:
        """What changed between two versions and by whom; without `since`, in the last one.

        Raises:
            NoSuchVersionError: The report never had one of the versions.
            ReportError: A selector, an argument or the disk; see the classes of `errors`.
        """
        report_id, state = self._read(request.report)
        return differences.difference(self.storage, report_id, state, request, datetime.now(UTC).date())

    def _read_if_possible(self, report_id: str) -> State | None:
        """The report, or `None` where no version of it can be read: its events can all the same."""
        try:
            return self.storage.read(report_id)
        except CorruptReportError:
            return None

    def _last_change(self, report_id: str, place: list[str], state: State | None) -> Row:
        names = short_ids(state.outline) if state else {}
        events = self.storage.events(report_id, naming=blame.named_by(place))
        return blame.last_change(place, events, names)

    def _mentions(self, report_id: str, text: str, state: State | None) -> Mentions:
        def outline_at(version: int) -> Outline:
            if state is None:
                raise CorruptReportError("No version of the report can be read.")
            return self.storage.outline_at(report_id, version, state)

        return Mentions(text, outline_at)

    # --- By address -----------------------------------------------------------------------

    @_disk_errors("no")
    def list_resources(self, cursor: str = "") -> Row:
        """The active reports as resources, the newest first; see `resources`.

        Raises:
            InvalidInputError: The cursor is not one of ours.
        """
        from living_reports.library import resources

        page = self.list_reports(ListReports(limit=RESOURCES_A_PAGE, cursor=cursor))
        today = datetime.now(UTC).date()
        page["resources"] = [resources.listed(self.storage, row, today) for row in page.pop("reports")]
        return page

    @_disk_errors("no")
    def read_resource(self, address: str) -> Resource:
        """What is at an address, whole; see `resources`.

        Raises:
            ReportError: Nothing is, or it cannot be read.
        """
        from living_reports.library import resources

        return resources.read(self.storage, address, datetime.now(UTC).date())

    def lookout(self) -> Lookout:
        """A lookout for what changes at the addresses that somebody follows.

        It has a time-out of its own, so that no report that stays locked keeps word of the others back.
        """
        from living_reports.library.lookout import Lookout

        root = self.storage.reports_root
        return Lookout(GlobalStorage(root, lock_timeout_seconds=_LOOKOUT_SECONDS))

    @_disk_errors("no")
    def complete(self, kind: str, text: str, report: str = "") -> Row:
        """Values for what a person is typing; see `completing`.

        Raises:
            ReportError: The report whose sections or versions are wanted cannot be read.
        """
        from living_reports.library import completing

        return completing.complete(self.storage, kind, text, report)

    # --- One report -----------------------------------------------------------------------

    def _read(self, selector: str) -> tuple[str, State]:
        report_id = find_report(self.storage, selector, writing=False)
        return report_id, self.storage.read(report_id)

    @contextmanager
    def _edit(self, selector: str, request_id: str, *, repair: bool = False) -> Iterator[Edit]:
        report_id = find_report(self.storage, selector, writing=True, request_id=request_id)
        with self.storage.edit(report_id, repair=repair) as edit:
            yield edit


def _checked_limit(limit: int) -> int:
    if not 0 <= limit <= MAX_LIMIT:
        raise InvalidInputError(
            f"limit is {limit}.", hint=f"Give 1 to {MAX_LIMIT}.", path="limit", allowed=f"1 to {MAX_LIMIT}"
        )
    return limit or _DEFAULT_LIMIT


def _less(max_chars: int, warnings: Row) -> int:
    """What is left of `max_chars` for the view where warnings come with it."""
    if not warnings or not MAX_CHARS_RANGE[0] <= (limit := max_chars or MAX_CHARS) <= MAX_CHARS_RANGE[1]:
        return max_chars
    return max(MAX_CHARS_RANGE[0], limit - size(warnings))


def _cursor_version(cursor: str, arguments: Row, version: int) -> int:
    held, _ = cursors.decode(cursor, arguments)
    if version and version != held:
        raise InvalidInputError(
            f"This cursor goes on in version {held}, not in {version}.",
            hint="Leave the version out: the cursor holds it.",
            path="cursor",
        )
    return held


def _state_row(state: State) -> Row:
    return {"report_id": state.outline.report_id, "title": state.outline.title, "version": state.version}
