"""The store protocol: everything that the rest of the program may ask of the place where reports are kept.

Rules:

- Only models, classes of `errors` and the values below cross this boundary: no paths, file names, byte
  offsets, raw log lines, locks, SQL or `OSError`.
- A store has passed the contract suite (`tests/contract`) before it is offered to anybody.
- All methods block: call them from a worker thread. A store may be used by several threads at once.
- Positions and change tokens are opaque. They may be compared for equality, kept in a cursor (a position
  is a JSON value) and given back to the same store; nothing may be computed from them.

    >>> store = open_store("reports")
    >>> store.create(outline, Note("create", author))
    >>> with store.edit(outline.report_id) as transaction:
    ...     transaction.put(changed, Note("evolve", author, "checked against the advisory"))
    >>> transaction.committed.version
    2
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal, Protocol

from living_reports.errors import CorruptReportError
from living_reports.model.event import ActionType, AuditEvent, Author
from living_reports.model.report import IndexEntry, Outline

Progress = Callable[[str, int, int], None]
"""Called with the current step, the amount done, and the total amount."""

Position = int | str
"""The place of an event in the history of its report. Opaque; a JSON value."""

PageKey = list[Any]
"""The place in a search result behind which the next page begins. Opaque; a JSON value."""

Expected = tuple[int, str]
"""A version, and the `head_sha256` that was noted while it was the newest one."""

Severity = Literal["error", "warning", "info"]

MAX_ARCHIVE_BYTES = 512 * 1024 * 1024
"""The maximum size of a report, with all its files, that can be exported or imported."""


def utc_now() -> str:
    """Return the current time in the form that events and items carry."""
    return datetime.now(UTC).isoformat()


# --- Histories ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Note:
    """The part of an event that its author decides: everything but the delta and the hashes."""

    action_type: ActionType
    author: Author
    reason: str = ""
    request_id: str | None = None
    ts: str = field(default_factory=utc_now)
    action_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    extra: dict[str, Any] = field(default_factory=dict)


class Event(Protocol):
    """One event of a history, parsed when a field is first read.

    A history may contain events that another program wrote. Those are kept and shown, carry no version,
    and may lack any field: `is_ours` is false for them, and `is_event` if they do not parse.
    """

    @property
    def position(self) -> Position:
        """The token for `Store.events(before=...)`."""

    @property
    def sha256(self) -> str:
        """The hash of the event, which the next event must carry as `prev_sha256`."""

    @property
    def is_event(self) -> bool:
        """True if `event` can be read."""

    @property
    def is_ours(self) -> bool:
        """True if the event names a version and the hash of its outline."""

    @property
    def event(self) -> AuditEvent:
        """The validated fields.

        Raises:
            ValueError: This is not an event.
        """

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields without validation; empty where the event does not parse."""

    @property
    def payload(self) -> dict[str, Any]:
        """The payload without validation; empty where there is none."""

    @property
    def version(self) -> int:
        """The version of the report after this event; 0 in an event of another program."""

    @property
    def delta(self) -> list[dict[str, Any]]:
        """The edits that made this version; empty if the event made none."""

    @property
    def makes_version(self) -> bool:
        """True for the one event that made its version."""

    @property
    def is_whole(self) -> bool:
        """True if the delta is a whole outline, as in a creation or an adoption."""

    def mentions(self, text: str) -> bool:
        """Return False if no value of the event contains the text. Cheap: nothing is parsed."""

    def may_edit(self, addresses: frozenset[str]) -> bool:
        """Return False if no edit of the event is at one of the addresses. Cheap: nothing is parsed."""


# --- Reports ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Snapshot:
    """A report as it was at the moment of reading.

    Attributes:
        outline: The current outline, or the last good one of a damaged report.
        version: The version of the outline.
        next_version: The version that the next change makes.
        head: The newest event of this program; `None` while only another program has written the report.
        warnings: Sentences to show with everything that is answered about the report.
        refusal: The error that a write raises; `None` where the report can be changed.
    """

    outline: Outline
    version: int
    next_version: int
    head: Event | None
    warnings: tuple[str, ...] = ()
    refusal: CorruptReportError | None = None


class Transaction(Protocol):
    """A report that is held for a change: nobody else can change it until the block ends."""

    @property
    def snapshot(self) -> Snapshot:
        """The report as the change finds it."""

    @property
    def draft(self) -> tuple[Outline, Note] | None:
        """The arguments of the last `put`."""

    @property
    def committed(self) -> Event | None:
        """The event that was committed; set when the block has ended."""

    def put(self, outline: Outline, note: Note) -> None:
        """Set the outline that becomes the next version when the block ends without an error."""

    def outline_at(self, version: int) -> Outline:
        """Return the outline of a version; see `Store.outline_at`."""

    def event(self, version: int) -> Event:
        """Return the event that made a version.

        Raises:
            NoSuchVersionError: The report never had this version.
        """

    def events(self, *, mentioning: Sequence[str] = (), editing: Sequence[str] = ()) -> Iterator[Event]:
        """Yield the events, newest first; see `Store.events`."""

    def last_writes(self, addresses: Collection[str]) -> Mapping[str, Event]:
        """Return the newest event that wrote the value at each address, however long ago that was.

        An event writes a value by an edit of it, of its item, or of the whole outline. Values that no event
        wrote are left out.
        """

    def find_request(self, request_id: str) -> Event | None:
        """Return the event that answered a request, if it is remembered (at least the last 1,000 are)."""


@dataclass(frozen=True)
class StoredFile:
    """A file that was put beside a report: its address, and its local path where it has one."""

    uri: str
    path: str


# --- Search -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SearchQuery:
    """A condition on reports, and an order. Empty fields do not restrict.

    With `stale_on`, one and the same insight has to be stale, contain the `text` and cite what `cites` says;
    such insights are the matches, and the best of a report is what relevance ranks it by.

    Attributes:
        text: Full text.
        tags: Tags that the report carries, all of them.
        status: active, archived, deleted or all.
        cites: A part of a source that the report depends on.
        stale_on: A day on which an insight is stale: an active one is from the UTC day of its `review_by` on.
        sort: relevance, updated, created (both newest first) or title; empty: relevance with a text,
            else updated.
        begun: For the pages after the first by `updated`: the newest `updated_at` of the first.
    """

    text: str = ""
    tags: Sequence[str] = ()
    status: str = "active"
    cites: str = ""
    stale_on: date | None = None
    sort: str = ""
    begun: str = ""


@dataclass(frozen=True)
class SearchRow:
    """A report that fits.

    Attributes:
        entry: The catalogue entry.
        version: The current version; 0 where it cannot be read.
        matches: The items that fit, each once: a section (`section_id section_title`) or an insight
            (`insight_id`, those of its section, `summary`, `status` unless active, `review_by` of an active
            one), with a `snippet` and the `kind` of the text that fits: prose, insight, citation or link.
            Ids are cut as in `unique_starts`, titles and summaries to 80 characters.
        key: The key for a page that begins behind this row.
    """

    entry: IndexEntry
    version: int
    matches: list[dict[str, str]]
    key: PageKey


@dataclass(frozen=True)
class SearchPage:
    """A page of reports that fit.

    Attributes:
        rows: The reports.
        total: The number of reports on all pages.
        next_key: The key of the next page; `None` on the last one.
        is_behind: True if the newest changes may be missing.
        is_cut: True if so many reports match that they are not in the order of their relevance: those with
            the words in the title come first, then the newest.
    """

    rows: Sequence[SearchRow] = ()
    total: int = 0
    next_key: PageKey | None = None
    is_behind: bool = False
    is_cut: bool = False


# --- Care ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    Attributes:
        report: The id of the report; empty where the finding is about the store itself.
        file: The place of the damage, in the terms of the store (for a folder store, a path below the root).
        line: The line in that place, from 1; 0 where it is about the whole of it.
        code: The kind of finding, in one stable word.
        severity: `error` is damage, `warning` is settled by the next use or a repair, `info` is harmless.
        message: The same for a person.
    """

    report: str
    file: str
    line: int
    code: str
    severity: Severity
    message: str


# --- The store ----------------------------------------------------------------------------


class Store(Protocol):
    """A place where reports are kept.

    Every method may raise `StorageFailedError`. Every method that takes the id of a report raises
    `ReportNotFoundError` where there is none, `CorruptReportError` where no version of it can be read,
    and `LockTimeoutError` where another writer holds it for too long, unless its docstring says otherwise.
    """

    @property
    def location(self) -> str:
        """The place of the store, for people: a path, or a URL without secrets."""

    def with_timeout(self, lock_timeout_s: float) -> Store:
        """Return the same store with another limit for waiting for other writers."""

    # Reading

    def entries(self) -> list[IndexEntry]:
        """Return the catalogue entries of all reports, those in the trash not included."""

    def trashed(self) -> list[IndexEntry]:
        """Return the catalogue entries of the reports in the trash, each report once."""

    def titled(self, title: str, limit: int) -> Sequence[IndexEntry] | None:
        """Return the first active reports with a title; `None` if that would have to wait for others.

        Titles are compared as selectors compare them. The cost does not depend on the number of reports.
        """

    def known_entries(self) -> Iterable[IndexEntry]:
        """Return the catalogue entries without looking at any report, so that none recovers."""

    def locate(self, report_id: str) -> Literal["active", "trash", ""]:
        """Return the place of a report; empty where there is none of this id. Nothing is read."""

    def read(self, report_id: str) -> Snapshot:
        """Return a report as it is now. Unfinished changes are finished first."""

    def glance(self, report_id: str, limit_bytes: int) -> Outline | None:
        """Return the outline published last, without waiting; `None` if it is larger, or cannot be read."""

    def outline_at(self, report_id: str, version: int, snapshot: Snapshot) -> Outline:
        """Return the outline of a version, byte for byte as it was.

        Args:
            report_id: The report.
            version: The version.
            snapshot: The report as it was just read.

        Raises:
            NoSuchVersionError: The report never had this version.
            CorruptReportError: The history does not give the outline that its event names.
        """

    def event(self, report_id: str, version: int, snapshot: Snapshot | None = None) -> Event | None:
        """Return the event that made a version. A `snapshot` that was just read may spare a look-up."""

    def events(
        self,
        report_id: str,
        *,
        before: Position | None = None,
        mentioning: Sequence[str] = (),
        editing: Sequence[str] = (),
    ) -> Iterator[Event]:
        """Yield the events of a report, newest first; none if there is no such report.

        Args:
            report_id: The report.
            before: The position of an event: only older events are yielded.
            mentioning: Ids, such as those of items. With `mentioning` or `editing`, events that neither
                mention one of the ids nor edit one of the addresses may be left out. This is a filter for
                speed: others may be yielded, too.
            editing: Addresses of edits, such as `title`; a whole outline edits every address.
        """

    def creation_of(self, report_id: str) -> tuple[Event, Outline] | None:
        """Return the event that created a report and the outline it created; the trash is included."""

    def raw_log(self, report_id: str, limit_bytes: int) -> bytes:
        """Return the beginning of the history in its exported form, the bytes that the hashes cover."""

    def search(self, query: SearchQuery, after: PageKey | None = None, limit: int = 20) -> SearchPage:
        """Return one page of the reports that fit, from the key `after` on."""

    def templates(self) -> dict[str, Callable[[], bytes]]:
        """Return the templates that people added: for each name, a function that reads it."""

    # Watching

    def change_token(self, report_id: str | None) -> Hashable:
        """Return a value that differs after a change of the report, or of the list of reports (`None`).

        It is cheap, and may differ without a change. No error is raised for a report that is not there.
        """

    def watch(self, callback: Callable[[str | None], None]) -> Callable[[], None] | None:
        """Call `callback` with the id of each report that changes, until the returned function is called.

        Returns:
            The function that ends it, or `None` where the store sends no notifications and callers have
            to compare `change_token` from time to time.
        """

    # Writing

    def create(
        self, outline: Outline, note: Note, later_versions: Iterable[tuple[Outline, Note]] = ()
    ) -> Event | None:
        """Create a report with all its later versions, or nothing of it.

        Returns:
            The event of the first version; `None` if there is a report of this id.
        """

    def edit(self, report_id: str, *, repair: bool = False) -> AbstractContextManager[Transaction]:
        """Hold a report, and commit what was `put` when the block ends without an error.

        Args:
            report_id: The report.
            repair: Allow a damaged report, too: what is put becomes its next version.

        Raises:
            CorruptReportError: The report is damaged, and `repair` was not asked for.
            StorageFailedError: The commit failed; `happened` says whether it took place.
        """

    def trash(self, report_id: str, event: AuditEvent) -> str:
        """Append the event and move the report into the trash.

        Returns:
            The place in the trash, for people.
        """

    def restore(self, report_id: str, event: AuditEvent) -> Snapshot:
        """Bring a report back from the trash, and append the event.

        Raises:
            ReportNotFoundError: It is not in the trash, or a report of this id exists outside.
        """

    def write_page(self, report_id: str, name: str, data: bytes) -> StoredFile:
        """Put a rendered page beside a report, without an event; a page of the same name is replaced."""

    def export(self, report_id: str) -> bytes:
        """Return a report and its whole history as one archive; the same report always gives the same bytes.

        Raises:
            CorruptReportError: It is damaged, or differs from its history.
            TooLargeError: It is too much for one archive.
        """

    def import_(self, archive: bytes) -> tuple[str, bool]:
        """Create a report from an archive of any store, byte for byte, once all of it has been verified.

        Returns:
            The id of the report, and whether it was created: False if there is one of this id.

        Raises:
            InvalidInputError: This is no archive.
            CorruptReportError: It does not hold one whole, sound report.
        """

    def import_files(self, report_id: str, files: Mapping[str, bytes]) -> bool:
        """Create a report from the files of a folder, such as one of igloo-mcp, once all are verified.

        Args:
            report_id: The report.
            files: The content of each file by its path in the folder: `outline.json`, `audit.jsonl`, ...

        Returns:
            Whether it was created: False if there is one of this id.

        Raises:
            CorruptReportError: This is not the whole, sound report of this id.
        """

    # Care

    def verify(
        self, report_id: str, expected: Expected | None = None, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Return whether a report is what its history says; nothing is recovered before.

        Returns:
            `ok events head_sha256 findings[{line code message}] more_findings`
        """

    def check(self, *, deep: bool = False, progress: Progress | None = None) -> list[Finding]:
        """Check every report, the trash and the catalogue; `deep` replays every version. Changes nothing."""

    def repair(self, findings: Sequence[Finding], progress: Progress | None = None) -> None:
        """Repair what the findings name, where nothing has to be guessed."""
