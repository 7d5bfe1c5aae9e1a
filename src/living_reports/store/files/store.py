"""The folder store: all reports of one place, their catalogue, and the trash.

Rules:

- A report comes into being whole: its folder is built under another name, synced, and
  renamed. Half a report is never seen. A failure while it is built leaves nothing behind, and what a
  crash leaves of it is removed as soon as it is older than any writer waits.
- Deleting moves a folder into the trash; restoring moves it back. The event that says so is
  synced first: a move that a crash prevented is finished by the next process that looks.
- Ids are parsed as UUIDs before they come near a path.
- Nothing is made before the first report is: reading an empty or missing root leaves it so.
- A page in `render/` is there whole or not at all. It belongs to no event.
  Pages can be made again: their names are not synced.
- Every error that leaves a method of `FolderStore` is one of `errors`, but for a wrong id (`ValueError`).

    >>> store = FolderStore(Path("reports"))
    >>> event = store.create(outline, Note("create", author))
    >>> store.read(outline.report_id).version
    1
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from living_reports.errors import (
    CorruptReportError,
    LockTimeoutError,
    NoSuchVersionError,
    ReportError,
    ReportNotFoundError,
    StorageFailedError,
)
from living_reports.model.delta import DeltaError, apply
from living_reports.model.event import AuditEvent, Author
from living_reports.model.report import (
    IndexEntry,
    Outline,
    parse_outline,
    parse_uuid,
    sha256_hex,
)
from living_reports.regular_files import read_regular
from living_reports.store.base import (
    Event,
    Expected,
    Finding,
    Note,
    PageKey,
    Position,
    Progress,
    SearchPage,
    SearchQuery,
    Snapshot,
    StoredFile,
)
from living_reports.store.files import durable, recovery
from living_reports.store.files.catalogue import Listing, ReportIndex, entry_of, entry_on_disk
from living_reports.store.files.commit import append_event, commit, mark, secure_name
from living_reports.store.files.doctor import FRESH_SECONDS, check_root, repair
from living_reports.store.files.folder import (
    Memory,
    ReportFolder,
    State,
    bytes_of,
    disk_errors,
    not_found,
    storage_failed,
)
from living_reports.store.files.lock import DEFAULT_TIMEOUT_SECONDS, hold
from living_reports.store.files.log import AuditLog, Record, line_filter
from living_reports.store.files.recovery import UNLOCKED_ATTEMPTS
from living_reports.store.files.transfer import (
    exported_files,
    pack,
    require_archived,
    unpack,
    verified_outline,
)
from living_reports.store.files.verify import verify

if TYPE_CHECKING:
    from living_reports.store.files.search import SearchIndex

logger = logging.getLogger(__name__)

PAGES_FOLDER = "render"
_BUSY_SECONDS = 1.0
_REMEMBERED_FOLDERS = 256
_WALKED_BYTES = 131_072
"""The end of a log in which a walk finds the writer of a text sooner than the search index."""
_MOVES_NEED_CLOSED_FILES = sys.platform == "win32"


# --- One report ---------------------------------------------------------------------------


class ReportStorage(ReportFolder):
    """The files of one report, with the reads that recover and the writes that commit."""

    def read(self) -> State:
        """Return the report as it is now; see `recovery.read`, which does the rest if there is any."""
        if not self.exists():
            raise FileNotFoundError(f"Outline not found: {self.outline_path.name}")
        with disk_errors(), self.reading() as is_locked:
            state = self._state_if_settled() if is_locked else None
        return state or recovery.read(self)

    def _state_if_settled(self) -> State | None:
        """Return the state where recovery has nothing to do, else `None`. The caller holds the lock."""
        if str(self.audit_path) in self.memory.undecided:
            return None
        found = self.look_if_settled()
        return self.settled_state(found) if found is not None else None

    def load_outline(self) -> Outline:
        """Return the current outline, a copy that the caller may change.

        Raises:
            FileNotFoundError: There is none.
            ValueError: It is not a valid outline.
        """
        state = self.read()
        if state.refusal is not None:
            raise state.refusal
        return parse_outline(state.found.outline or b"")

    def load_audit_events(self) -> list[AuditEvent]:
        """Return every event of the log, oldest first; lines that are none are passed over."""
        return [record.event for record in self.log.forwards() if record.is_event]

    def detect_manual_edits(self) -> bool:
        """Return whether `outline.json` is not what the last event left: somebody edited it by hand."""
        data = bytes_of(self.outline_path)
        if data is None:
            return False
        record = self.log.last_ours()
        if record is not None:
            return record.outline_sha256 != sha256_hex(data)
        try:
            return not parse_outline(data)
        except ValueError:
            return True

    @contextmanager
    def edit(self, *, repair: bool = False) -> Iterator[FolderTransaction]:
        """Hold the report, and commit what was `put` when the block ends without an error.

        Args:
            repair: Allow it on a damaged report, too: what is put becomes its next version.

        Raises:
            FileNotFoundError: There is no such report.
            CorruptReportError: The report is damaged, and `repair` was not asked for.
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        with self._writing():
            state = self._settled()
            if state.refusal is not None and not repair:
                raise state.refusal
            transaction = FolderTransaction(self, state)
            yield transaction
            if transaction.draft is not None:
                transaction.committed = self._commit(state, *transaction.draft)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the report for a write; a lock file that cannot be opened refuses it."""
        with ExitStack() as stack:
            with disk_errors():
                stack.enter_context(self.lock())
            yield

    def _settled(self) -> State:
        """Return the state to start a write from. The caller holds the lock."""
        with disk_errors():
            state = self._state_if_settled()
        if state is None:
            secure_name(self)
            state = recovery.settled(self)
        return state

    def _commit(self, state: State | None, outline: Outline, note: Note) -> Record:
        if state is not None and state.record is None and state.refusal is None:
            state = recovery.adopt(self, state, note.author)
        return commit(self, state, outline, note)

    def save_outline(self, outline: Outline) -> None:
        """Commit an outline as the next version, with one `backup` event.

        Raises:
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        outline = outline.model_copy(deep=True)  # the caller may go on changing its own
        note = Note("backup", Author("cli"), "outline_save")
        self._make_own_folder()
        with self._writing():
            state = self._state_if_any()
            if state is not None and state.refusal is not None:
                raise state.refusal
            self._commit(state, outline, note)

    def append_audit_event(self, event: AuditEvent, *, marks: bool = False) -> None:
        """Append an event that makes no version; its hashes are filled in here.

        Args:
            event: The event.
            marks: Mark the report before, because its folder is moved after.

        Raises:
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        self._make_own_folder()
        with self._writing():
            state = self._state_if_any()
            if state is not None and state.record is None:
                names = (str(event.payload.get(name, "")) for name in ("client", "user"))
                state = recovery.adopt(self, state, Author(event.actor, *names))
            if marks:
                with disk_errors():
                    mark(self)
            append_event(self, state, event)

    def _make_own_folder(self) -> None:
        with disk_errors():
            durable.make_root(self.report_dir)

    def _state_if_any(self) -> State | None:
        """Return the state to start from; `None` in a folder that holds no outline and no version of one."""
        try:
            return self._settled()
        except FileNotFoundError:
            return None


class FolderTransaction:
    """A report that is held for a change; see `store.base.Transaction`."""

    def __init__(self, report: ReportStorage, snapshot: State) -> None:
        self._report = report
        self.snapshot = snapshot
        self.draft: tuple[Outline, Note] | None = None
        self.committed: Record | None = None
        self.search_index: Callable[[], SearchIndex] | None = None

    def put(self, outline: Outline, note: Note) -> None:
        """Set the outline that becomes the next version when the block ends."""
        self.draft = (outline, note)

    def outline_at(self, version: int) -> Outline:
        """Return the outline of a version; see `History.outline_at`."""
        return self._report.outline_at(version, self.snapshot)

    def event(self, version: int) -> Record:
        """Return the event that made a version; see `History.find`."""
        return self._report.history.find(version)

    def events(self, *, mentioning: Sequence[str] = (), editing: Sequence[str] = ()) -> Iterator[Record]:
        """Yield the events, newest first; see `store.base.Store.events`."""
        found = self.snapshot.found
        return self._report.log.backwards(naming=line_filter(mentioning, editing), tail=found.tail)

    def last_writes(self, addresses: Collection[str]) -> dict[str, Record]:
        """Return the newest event that wrote each value: a recent one, or one that the search index knows."""
        log, tail = self._report.log, self.snapshot.found.tail
        near = log.line_start(tail.end - _WALKED_BYTES) if tail.end > 2 * _WALKED_BYTES else 0
        found = log.last_writes(addresses, near, tail=tail)
        missing = set(addresses) - found.keys()
        if missing and near and self.search_index is not None:
            return found | self.search_index().last_writes(log, self._report.report_id, missing, near)
        return found | (log.last_writes(missing, end=near) if near else {})

    def find_request(self, request_id: str) -> Record | None:
        """Return the event that answered this request, if it is remembered."""
        return self._report.memory.requests.find(self._report.log, request_id)


# --- All reports --------------------------------------------------------------------------


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Raise every error of the disk as an error of the store."""
    try:
        yield
    except OSError as error:
        raise storage_failed(error) from error


class FolderStore:
    """Every report under `reports_root`; see `store.base.Store`.

    Args:
        reports_root: The folder; it is made by the first write.
        lock_timeout_seconds: How long to wait for other writers of a report.
        index: The catalogue that another store object of the same root uses.
        memory: The caches that another store object of the same root uses.
    """

    def __init__(
        self,
        reports_root: Path,
        *,
        lock_timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        index: ReportIndex | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.reports_root = Path(reports_root)
        self.by_id = self.reports_root / "by_id"
        self.trash_dir = self.reports_root / ".trash"
        self.index_path = self.reports_root / "index.jsonl"
        self.index = index or ReportIndex(self.index_path)
        self.memory = memory or Memory()
        self.lock_timeout_seconds = lock_timeout_seconds
        self._search: SearchIndex | None = None
        report = partial(
            ReportStorage, lock_timeout_seconds=lock_timeout_seconds, index=self.index, memory=self.memory
        )
        self._report = lru_cache(_REMEMBERED_FOLDERS)(report)

    @property
    def location(self) -> str:
        """The path of the root."""
        return str(self.reports_root)

    def with_timeout(self, lock_timeout_s: float) -> FolderStore:
        """Return the same store with another limit for waiting for other writers."""
        return FolderStore(
            self.reports_root, lock_timeout_seconds=lock_timeout_s, index=self.index, memory=self.memory
        )

    def get_report_storage(self, report_id: str) -> ReportStorage:
        """Return the files of one report, whether it exists or not.

        Raises:
            ValueError: The id is not a UUID.
            CorruptReportError: `by_id` is a symbolic link.
        """
        folder = self.by_id / parse_uuid(report_id)
        if self.by_id.is_symlink():
            raise CorruptReportError(
                "by_id is a symbolic link; nothing is read or written through one.",
                hint="Use the folder that it points to as the root.",
                damaged="folder",
            )
        return self._report(folder)

    def save_index_entry(self, entry: IndexEntry | dict[str, Any]) -> None:
        """Append an entry to the index.

        Raises:
            OSError: The line could not be written.
        """
        durable.make_root(self.reports_root)
        self.index.append(entry if isinstance(entry, IndexEntry) else IndexEntry.model_validate(entry))

    # --- Create ---------------------------------------------------------------------------

    def create(
        self, outline: Outline, note: Note, later_versions: Iterable[tuple[Outline, Note]] = ()
    ) -> Record | None:
        """Create a report with all its later versions; see `store.base.Store.create`."""
        made: list[Record] = []

        def fill(report: ReportStorage) -> Outline:
            durable.touch(report.audit_path)  # its name is synced with the folder's other ones
            made.append(_first_version(report, outline, note))
            return _later_versions(report, later_versions) or outline

        newest = self._make(parse_uuid(outline.report_id), note.action_id[:8], fill)
        return made[0] if newest is not None else None

    def import_(self, archive: bytes) -> tuple[str, bool]:
        """Create a report from an archive; see `store.base.Store.import_`."""
        report_id, files = unpack(archive)
        return report_id, self._import(report_id, files, require_archived)

    def import_files(self, report_id: str, files: Mapping[str, bytes]) -> bool:
        """Create a report from the files of its folder; see `store.base.Store.import_files`."""
        return self._import(parse_uuid(report_id), files, lambda report: None)

    def _import(
        self, report_id: str, files: Mapping[str, bytes], require: Callable[[ReportStorage], None]
    ) -> bool:
        """Create a report from files. It gets its name only when all of it is verified."""
        if self.locate(report_id):
            return False

        def fill(report: ReportStorage) -> Outline:
            _write_files(report.report_dir, files)
            outline = verified_outline(report, report_id)
            require(report)
            return outline

        return self._make(report_id, uuid.uuid4().hex[:8], fill) is not None

    def _make(
        self, report_id: str, distinction: str, fill: Callable[[ReportStorage], Outline]
    ) -> Outline | None:
        """Create a report of what `fill` puts into its folder; `None` if one with this id is there."""
        building = self.by_id / f".new-{report_id}-{distinction}"
        try:
            self._make_root()
            durable.make_folder(building)
            outline = self._build(building, report_id, fill)
        except OSError as error:
            self._unmark_missing(report_id)
            raise storage_failed(error) from error
        except ReportError:
            self._unmark_missing(report_id)
            raise
        self.index.tidy()
        return outline

    def _build(
        self, building: Path, report_id: str, fill: Callable[[ReportStorage], Outline]
    ) -> Outline | None:
        """Fill a hidden folder, then rename it; its lock is held meanwhile."""
        storage = ReportStorage(building, lock_timeout_seconds=self.lock_timeout_seconds, memory=self.memory)
        try:
            with storage.lock():
                outline = fill(storage)
                durable.sync_folder(building)
                if not _MOVES_NEED_CLOSED_FILES:
                    return outline if self._take_name(building, outline, report_id) else None
            return outline if self._take_name(building, outline, report_id) else None
        except BaseException:
            if durable.is_real_folder(building):
                durable.remove_folder(building)
            raise

    def _take_name(self, building: Path, outline: Outline, report_id: str) -> bool:
        """Rename a finished folder and sync the name: from then on the report exists, and is listed.

        The lock came along with the folder: the first entry is there before anybody can change it.
        """
        try:
            if self.find_in_trash(report_id) is not None:
                raise FileExistsError
            self.index.mark(report_id)  # not before: a list takes the mark of a missing report away
            durable.move_folder(building, self.by_id / report_id)
        except OSError as error:
            if isinstance(error, FileExistsError) or error.errno == errno.ENOTEMPTY:
                durable.remove_folder(building)
                return False
            raise
        try:
            durable.sync_folder(self.by_id)
        except OSError as error:
            self._give_name_back(building, report_id, error)
            raise
        self.index.announce(entry_of(outline, f"by_id/{report_id}"), report_id)
        return True

    def _give_name_back(self, building: Path, report_id: str, cause: OSError) -> None:
        """Undo a renaming that may not be on the disk, so that no process relies on it."""
        try:
            durable.move_folder(self.by_id / report_id, building)
            durable.sync_folder(self.by_id)
        except OSError as error:
            raise StorageFailedError(
                f"The disk refused ({cause.strerror}); whether the report was created is unknown.",
                happened="unknown",
                hint="List the reports once the disk works: the report is listed if it was created.",
            ) from error

    def _make_root(self) -> None:
        durable.make_root(self.reports_root)
        self._make_lasting(self.by_id)
        attributes = self.reports_root / ".gitattributes"
        if not attributes.exists():
            durable.write_hint(attributes, b"* -text\naudit.jsonl -merge\n")

    def _make_lasting(self, folder: Path) -> None:
        """Create a folder of the root. While it is empty, its name may not be synced yet."""
        durable.make_folder(folder)
        if durable.is_empty_folder(folder):
            durable.sync_folder(self.reports_root)

    def sweep(self) -> None:
        """Remove what crashed creations left, once it is older than any writer waits. Lists do it, too."""
        _remove_unfinished(self.by_id.glob(".new-*"), self.lock_timeout_seconds)

    # --- Finding --------------------------------------------------------------------------

    def locate(self, report_id: str) -> Literal["active", "trash", ""]:
        """Return the place of a report; empty where there is none of this id."""
        with self._found(report_id):
            if (self.by_id / report_id).exists():
                return "active"
            return "trash" if self.find_in_trash(report_id) is not None else ""

    def find_folder(self, report_id: str) -> Path | None:
        """Return the folder of a report: in `by_id`, else in the trash; `None` if there is none."""
        folder = self.by_id / report_id
        return folder if folder.exists() else self.find_in_trash(report_id)

    def find_in_trash(self, report_id: str) -> Path | None:
        """Return the newest folder of this report in the trash."""
        return next((folder for name, folder in reversed(self.in_trash()) if name == report_id), None)

    def settle_index(self) -> Listing | None:
        """Read every report whose entry may be wrong; return the listing of `ReportIndex.look`."""
        listing = self.index.look()  # the first one after a boot marks them, too
        _remove_unfinished(map(self.by_id.joinpath, self.index.unfinished), self.lock_timeout_seconds)
        for report_id in self.index.marked():
            self._settle_entry(report_id)
        for entry in self.index.disagreeing():
            if not self._settle_entry(entry.report_id):
                self.index.note(entry)
        return listing

    def _settle_entry(self, report_id: str) -> bool:
        """Correct the entry of a report; return False if the report cannot be read now."""
        try:
            self._announce(self._report(self.by_id / report_id), _BUSY_SECONDS)
        except FileNotFoundError:
            self._unmark_missing(report_id)
        except (ReportError, OSError) as error:
            logger.info("report %s is not settled yet: %s", report_id, type(error).__name__)
            return False
        return True

    def _announce(self, storage: ReportStorage, timeout_seconds: float | None = None) -> State:
        """Read a report and append its entry, under one lock."""
        with storage.lock(timeout_seconds):
            state = storage.read()
            self._refuse_deleted(storage.report_id, state)
            if self.index.is_marked(storage.report_id):
                durable.sync_folder(self.by_id)  # the process that set the mark may have died before
            storage.announce(state.outline)
            return state

    def _unmark_missing(self, report_id: str) -> None:
        """Remove the mark of a missing report, unless it is just being created or restored."""
        is_made = any(self.by_id.glob(f".new-{report_id}-*"))  # first: it is renamed when it is done
        trashed = self.find_in_trash(report_id)
        try:
            with hold(trashed / ".lock", 0.0) if trashed else nullcontext():
                if not (is_made or (self.by_id / report_id).exists()):
                    self.index.unmark(report_id)
        except (OSError, LockTimeoutError) as error:
            logger.info("the mark of %s stays: %s", report_id, error)

    # --- Use cases ------------------------------------------------------------------------

    @contextmanager
    def edit(self, report_id: str, *, repair: bool = False) -> Iterator[FolderTransaction]:
        """Hold a report, and commit what was put; see `store.base.Store.edit`."""
        report = self.get_report_storage(report_id)
        with self._found(report_id), report.edit(repair=repair) as transaction:
            self._refuse_deleted(report_id, transaction.snapshot)
            transaction.search_index = self._search_index
            yield transaction
        self.index.tidy()

    def read(self, report_id: str) -> State:
        """Return a report as it is now. A wrong entry of the index is corrected.

        Raises:
            ReportNotFoundError: There is no such report.
        """
        with self._found(report_id):
            storage = self.get_report_storage(report_id)
            state = storage.read()
            self._refuse_deleted(report_id, state)
            if self.index.differs_from(entry_of(state.outline, f"by_id/{report_id}")):
                return self._corrected(storage, state)
            return state

    def _corrected(self, storage: ReportStorage, state: State) -> State:
        try:
            return self._announce(storage, _BUSY_SECONDS)
        except (LockTimeoutError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            logger.info("the entry of %s is corrected later: %s", storage.report_id, error)
            return state

    def outline_at(self, report_id: str, version: int, snapshot: Snapshot) -> Outline:
        """Return the outline of a version; `snapshot` is the report as just read.

        Raises:
            NoSuchVersionError: The report never had this version.
        """
        if version == snapshot.version:
            return snapshot.outline
        with self._found(report_id):
            current = snapshot.outline if snapshot.refusal is None else None
            return self.get_report_storage(report_id).history.outline_at(version, current)

    def event(self, report_id: str, version: int, snapshot: Snapshot | None = None) -> Event | None:
        """Return the event that made a version. A `snapshot` that was just read may spare a look-up."""
        newest = snapshot.head if snapshot else None
        if newest is not None and newest.makes_version and newest.version == version:
            return newest
        with self._found(report_id):
            return self.get_report_storage(report_id).log.find_version(version)

    def events(
        self,
        report_id: str,
        *,
        before: Position | None = None,
        mentioning: Sequence[str] = (),
        editing: Sequence[str] = (),
    ) -> Iterator[Record]:
        """Yield the events of a report, newest first; see `store.base.Store.events`."""
        log = self.get_report_storage(report_id).log
        end = None if before is None else int(before)
        with self._found(report_id):
            yield from log.backwards(end, line_filter(mentioning, editing))

    def raw_log(self, report_id: str, limit_bytes: int) -> bytes:
        """Return the first bytes of a report's log, without a line that is being written."""
        storage = self.get_report_storage(report_id)
        with self._found(report_id), storage.reading():
            return storage.log.read(limit_bytes)

    def glance(self, report_id: str, limit_bytes: int) -> Outline | None:
        """Return the outline published last, without the lock; see `store.base.Store.glance`."""
        return self.memory.outline_at_path(self.by_id / report_id / "outline.json", limit_bytes)

    def creation_of(self, report_id: str) -> tuple[Record, Outline] | None:
        """Return the event that created a report and the outline it created; the trash is included."""
        with self._found(report_id):
            folder = self.find_folder(report_id)
            if self.index.is_marked(report_id):
                durable.sync_folder(self.by_id)  # the process that created it may have died before
            record = AuditLog(folder / "audit.jsonl").first_ours() if folder is not None else None
        if record is None or not record.is_whole:
            return None
        try:
            return record, apply(None, record.delta)
        except DeltaError:
            return None  # the log was tampered with

    def entries(self) -> list[IndexEntry]:
        """Return the entries of all reports, those in the trash not included."""
        with _disk_errors():
            self.settle_index()
            entries = list(self.index.entries().values())
        self.index.tidy()
        return entries

    def known_entries(self) -> list[IndexEntry]:
        """Return the entries of all reports without looking at any report, so that none recovers."""
        with _disk_errors():
            return list(self.index.entries().values())

    def trashed(self) -> list[IndexEntry]:
        """Return the entries of the reports in the trash, each once, read from their folders."""
        found = {}
        with _disk_errors():
            for report_id, folder in self.in_trash():
                if entry := self._trash_entry(report_id, folder):
                    found[report_id] = entry
        return list(found.values())

    def _trash_entry(self, report_id: str, folder: Path) -> IndexEntry | None:
        """Return the entry of a report in the trash, from its log if a power cut garbled its outline."""
        path = f".trash/{folder.name}"
        if (entry := entry_on_disk(folder, report_id, path)) is not None:
            return entry
        report = self._report(folder)
        last = report.log.last_ours()
        try:
            return entry_of(report.history.outline_at(last.version), path) if last is not None else None
        except (CorruptReportError, NoSuchVersionError) as error:
            logger.info("%s is not listed: %s", path, error.message)
            return None

    def titled(self, title: str, limit: int) -> list[IndexEntry] | None:
        """Return the first active reports with a title; see `store.base.Store.titled`."""
        return self._search_index().titled(title, limit)

    def search(self, query: SearchQuery, after: PageKey | None = None, limit: int = 20) -> SearchPage:
        """Return one page of the reports that fit; see `store.base.Store.search`."""
        with _disk_errors():
            self._require_folder()
            return self._search_index().page(query, after, limit)

    def _search_index(self) -> SearchIndex:
        if self._search is None:
            from living_reports.store.files.search import SearchIndex  # loads SQLite

            # Not `self`: a reference cycle would keep the database open.
            self._search = SearchIndex(self.with_timeout(self.lock_timeout_seconds))
        return self._search

    def _require_folder(self) -> None:
        """Refuse a root that is not a folder; one that does not exist yet is accepted."""
        if self.reports_root.exists() and not self.reports_root.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "the root is not a folder")

    @contextmanager
    def _found(self, report_id: str) -> Iterator[None]:
        """Raise errors of the disk as errors of the store; a missing file means a missing report."""
        try:
            yield
        except FileNotFoundError as error:
            raise not_found(report_id) from error
        except OSError as error:
            raise storage_failed(error) from error

    def _refuse_deleted(self, report_id: str, state: State) -> None:
        """Finish the move into the trash of a report in `by_id` whose last event is `delete`.

        Raises:
            FileNotFoundError: The report is deleted.
            StorageFailedError: Whether it is, this process cannot tell.
        """
        if not state.says_deleted:
            return
        try:
            with self.get_report_storage(report_id).edit() as edit:  # settled: the event is on the disk
                if edit.snapshot.says_deleted:
                    self._move_to_trash(report_id)
        except OSError as error:
            logger.info("report %s is deleted, but not in the trash yet: %s", report_id, error)
        raise FileNotFoundError(report_id)

    # --- Watching -------------------------------------------------------------------------

    def change_token(self, report_id: str | None) -> Hashable:
        """Return the sizes and times of the files that a change of the report, or of the list, touches."""
        if report_id is None:
            return tuple(_stamp(self.reports_root / name) for name in ("index.jsonl", "by_id", ".pending"))
        folder = self.by_id / report_id
        return tuple(_stamp(folder / name) for name in ("audit.jsonl", "outline.json"))

    def watch(self, callback: Callable[[str | None], None]) -> None:
        """Return `None`: files send no notifications, so `change_token` has to be compared."""

    # --- Pages and templates --------------------------------------------------------------

    def write_page(self, report_id: str, name: str, data: bytes) -> StoredFile:
        """Put a rendered page into the report's folder.

        Raises:
            ReportNotFoundError: There is no such report.
            CorruptReportError: It is damaged.
            StorageFailedError: The disk refused; nothing was changed.
        """
        with self.edit(report_id), _disk_errors():
            path = _write_page(self.by_id / report_id / PAGES_FOLDER, name, data).absolute()
        return StoredFile(path.as_uri(), str(path))

    def templates(self) -> dict[str, Callable[[], bytes]]:
        """Return a reader for each file `templates/NAME.json` that is not hidden."""
        folder = self.reports_root / "templates"
        if folder.is_symlink():
            return {}
        try:
            names = os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise storage_failed(error) from error
        files = (folder / name for name in sorted(names) if not name.startswith("."))
        read = partial(read_regular, follow_links=False)
        return {path.stem: partial(read, path) for path in files if path.suffix == ".json"}

    # --- Export and care ------------------------------------------------------------------

    def export(self, report_id: str) -> bytes:
        """Return a report and its whole history as one archive; see `store.base.Store.export`."""
        report = self.get_report_storage(report_id)
        with self._found(report_id), report.reading() as is_locked:
            state = report.read()
            if state.refusal is not None:
                raise state.refusal
            self._refuse_deleted(report_id, state)
            files = exported_files(report, attempts=1 if is_locked else UNLOCKED_ATTEMPTS)
        return pack(report_id, files)

    def verify(
        self, report_id: str, expected: Expected | None = None, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Return whether a report's files are whole, as they are found; see `verify.verify`.

        Raises:
            ReportNotFoundError: There is no such report.
        """
        report = self.get_report_storage(report_id)
        with self._found(report_id):
            if not report.exists():
                raise FileNotFoundError(report_id)
            with report.reading():
                return verify(report, expected, progress)

    def check(self, *, deep: bool = False, progress: Progress | None = None) -> list[Finding]:
        """Check every report, the trash, the catalogue and leftover files; see `doctor.check_root`."""
        with _disk_errors():
            return check_root(self.reports_root, deep=deep, progress=progress, fresh_seconds=FRESH_SECONDS)

    def repair(self, findings: Sequence[Finding], progress: Progress | None = None) -> None:
        """Repair what the findings name, where nothing has to be guessed; see `doctor.repair`."""
        with _disk_errors():
            repair(self, findings, progress)

    # --- Trash ----------------------------------------------------------------------------

    def trash(self, report_id: str, event: AuditEvent) -> str:
        """Move a report into the trash, after the `delete` event that says so.

        Returns:
            The folder below the root.

        Raises:
            ReportNotFoundError: There is no such report.
        """
        report = self.get_report_storage(report_id)
        if not report.exists():
            raise not_found(report_id)
        try:
            self._make_lasting(self.trash_dir)
            with self._found(report_id), report.lock():
                self._refuse_deleted(report_id, report.read())
                report.append_audit_event(event, marks=True)
                if not _MOVES_NEED_CLOSED_FILES:
                    return self._move_deleted(report_id)
        except OSError as error:
            raise storage_failed(error) from error
        return self._move_deleted(report_id)

    def _move_deleted(self, report_id: str) -> str:
        try:
            return self._move_to_trash(report_id).relative_to(self.reports_root).as_posix()
        except OSError as error:
            raise StorageFailedError(
                f"The report is deleted, but the disk refused to move it: {error.strerror}.",
                happened="yes",
                hint="The next read of the report moves it; until then it may still be listed.",
            ) from error

    def _move_to_trash(self, report_id: str) -> Path:
        """Move a deleted report into the trash, now or after a crash prevented it."""
        self._make_lasting(self.trash_dir)
        target = self.trash_dir / f"{report_id}_{datetime.now(UTC).strftime('%Y%m%dT%H%M%S_%f')}"
        durable.move_folder(self.by_id / report_id, target)
        gone = entry_on_disk(target, report_id, f".trash/{target.name}")
        if gone is not None:
            self.index.announce(gone.model_copy(update={"status": "deleted"}), report_id)
        return target

    def restore(self, report_id: str, event: AuditEvent) -> State:
        """Move a report back from the trash, after the event that says so.

        Raises:
            ReportNotFoundError: It is not in the trash, or there is one of this id outside.
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        with _disk_errors():
            folder = self.find_in_trash(report_id)
        if folder is None or (self.by_id / report_id).exists():
            raise ReportNotFoundError(f"Report {report_id} is not in the trash.", hint="Nothing was changed.")
        try:
            self._make_root()
            with self._found(report_id):
                self._move_back(folder, report_id, event)
        except OSError as error:
            raise storage_failed(error) from error
        try:
            return self.read(report_id)
        except (StorageFailedError, LockTimeoutError) as error:
            raise StorageFailedError(
                "The report is restored, but could not be read just now.",
                happened="yes",
                hint="Read it once the disk works.",
            ) from error

    def _move_back(self, folder: Path, report_id: str, event: AuditEvent) -> None:
        storage = ReportStorage(folder, lock_timeout_seconds=self.lock_timeout_seconds, memory=self.memory)
        with storage.lock():
            storage.append_audit_event(event)
            if not _MOVES_NEED_CLOSED_FILES:
                return self._take_name_back(folder, report_id)
        return self._take_name_back(folder, report_id)

    def _take_name_back(self, folder: Path, report_id: str) -> None:
        """Rename a folder, sync the name and list the report, before another process can use it."""
        self.index.mark(report_id)
        durable.move_folder(folder, self.by_id / report_id)
        try:
            durable.sync_folder(self.by_id)
        except OSError as error:
            raise StorageFailedError(
                f"The disk refused ({error.strerror}); whether the report stays restored is unknown.",
                happened="unknown",
                hint="List the reports once the disk works: it is listed, or still in the trash.",
            ) from error
        try:
            if entry := entry_on_disk(self.by_id / report_id, report_id, f"by_id/{report_id}"):
                self.index.announce(entry, report_id)
        except OSError as error:
            logger.info("the next list looks at %s, which is marked: %s", report_id, error)

    def in_trash(self) -> list[tuple[str, Path]]:
        """Return the id and the folder of every report in the trash, newest last."""
        if not durable.is_real_folder(self.trash_dir):
            return []
        names = sorted(os.listdir(self.trash_dir))
        return [(name.partition("_")[0], self.trash_dir / name) for name in names]


# --- Filling a new folder -----------------------------------------------------------------


def _first_version(report: ReportStorage, outline: Outline, note: Note) -> Record:
    """Commit the first version into a hidden folder; every failure there means that nothing happened."""
    try:
        record = commit(report, None, outline, note)
    except StorageFailedError as error:
        raise OSError(errno.EIO, error.message) from error
    if not report.outline_path.exists():
        raise OSError(errno.EIO, "the outline could not be put in place")
    return record


def _later_versions(report: ReportStorage, later: Iterable[tuple[Outline, Note]]) -> Outline | None:
    """Commit these one after the other and return the last; `None` if there are none."""
    newest: Outline | None = None
    try:
        for newest, note in later:
            with report.edit() as transaction:
                transaction.put(newest, note)
    except StorageFailedError as error:
        raise OSError(errno.EIO, error.message) from error
    if newest is not None and not report.look().is_settled:
        raise OSError(errno.EIO, "the outline could not be put in place")
    return newest


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a new folder, synced; the names directly in the folder are left to the caller.

    Raises:
        ValueError: A path leads elsewhere.
    """
    folders = set()
    for name, data in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{name!r} is not a path in a folder")
        for above in reversed(path.parents[:-1]):
            durable.make_folder(folder / above)
            folders.add(folder / above)
        durable.write_new(folder / path, data)
    for each in folders:
        durable.sync_folder(each)


def _remove_unfinished(folders: Iterable[Path], after_seconds: float) -> None:
    """Remove the folders that are older than this and not locked. Links are ignored."""
    for folder in filter(durable.is_real_folder, folders):
        try:
            if time.time() - folder.lstat().st_mtime < after_seconds:
                continue
            with hold(folder / ".lock", 0.0):
                durable.remove_folder(folder)
        except FileNotFoundError:
            continue  # it has its name by now
        except (LockTimeoutError, OSError) as error:
            logger.info("%s was not removed: %s", folder.name, error)


# --- Pages, stamps, reviews ---------------------------------------------------------------


def _write_page(folder: Path, name: str, data: bytes) -> Path:
    """Put a page into the folder. The caller holds the lock of the report.

    Raises:
        OSError: The page could not be written; nothing was changed.
    """
    durable.make_folder(folder)
    unfinished = folder / f".{name}.tmp"
    durable.remove(unfinished)  # left by a process that died
    durable.write_new(unfinished, data)
    try:
        durable.replace(unfinished, folder / name)
    except OSError:
        durable.remove(unfinished)
        raise
    return folder / name


def _stamp(path: Path) -> Hashable:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
