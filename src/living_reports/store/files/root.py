"""A root: all reports of one place, their index, and the trash.

Rules:

- A report comes into being whole: its folder is built under another name, synced, and
  renamed. Half a report is never seen.
- Deleting moves a folder into the trash; restoring moves it back. The event that says so is
  synced first: a move that a crash prevented is finished by the next one who looks.
- Ids are parsed as UUIDs before they come near a path.
- Nothing is made before the first report is: reading an empty or missing root leaves it so.

    >>> root = GlobalStorage(Path("reports"))
    >>> record = root.create(outline, Note("create", author))
    >>> root.read(outline.report_id).version
    1
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from living_reports.errors import (
    CorruptReportError,
    LockTimeoutError,
    ReportError,
    ReportNotFoundError,
    StorageFailedError,
)
from living_reports.model.delta import apply
from living_reports.model.event import AuditEvent, Author
from living_reports.model.report import IndexEntry, Outline, parse_uuid
from living_reports.store.files import durable
from living_reports.store.files.audit import Note, Record
from living_reports.store.files.backups import version_in
from living_reports.store.files.index import Listing, ReportIndex, entry_of, entry_on_disk
from living_reports.store.files.lock import DEFAULT_TIMEOUT_SECONDS, hold
from living_reports.store.files.making import first_version, later_versions, remove_unfinished, write_files
from living_reports.store.files.pages import write_page
from living_reports.store.files.person_templates import templates_in
from living_reports.store.files.report import (
    UNLOCKED_ATTEMPTS,
    Edit,
    ReportStorage,
    not_found,
    storage_failed,
)
from living_reports.store.files.state import State, outline_on_disk
from living_reports.store.files.transfer import arrived, exported_files, pack
from living_reports.store.files.verify import Expected, Say, verify

logger = logging.getLogger(__name__)

_BUSY_SECONDS = 1.0
_REMEMBERED_FOLDERS = 256
_MOVES_NEED_CLOSED_FILES = sys.platform == "win32"


class GlobalStorage:
    """Every report under `reports_root`.

    Args:
        reports_root: The folder; it is made by the first write.
        lock_timeout_seconds: How long to wait for other writers of a report.
    """

    def __init__(self, reports_root: Path, *, lock_timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        self.reports_root = Path(reports_root)
        self.by_id = self.reports_root / "by_id"
        self.trash_dir = self.reports_root / ".trash"
        self.index_path = self.reports_root / "index.jsonl"
        self.index = ReportIndex(self.index_path)
        self.lock_timeout_seconds = lock_timeout_seconds
        self._storage = lru_cache(_REMEMBERED_FOLDERS)(self._storage_in)

    def get_report_storage(self, report_id: str) -> ReportStorage:
        """The storage of one report, whether it exists or not.

        Raises:
            ValueError: The id is not a UUID.
            CorruptReportError: `by_id` is a symbolic link.
        """
        folder = self.by_id / parse_uuid(report_id)
        if self.by_id.is_symlink():
            raise CorruptReportError(
                "by_id is a symbolic link; nothing is read or written through one.",
                hint="Give the place that it points to as the root.",
                damaged="folder",
            )
        return self._storage(folder)

    def _storage_in(self, folder: Path) -> ReportStorage:
        return ReportStorage(folder, lock_timeout_seconds=self.lock_timeout_seconds, index=self.index)

    def save_index_entry(self, entry: IndexEntry | dict[str, Any]) -> None:
        """Append an entry to the index.

        Raises:
            OSError: The line could not be written.
        """
        durable.make_root(self.reports_root)
        self.index.append(entry if isinstance(entry, IndexEntry) else IndexEntry.model_validate(entry))

    # --- Create ---------------------------------------------------------------------------

    def create(
        self, outline: Outline, note: Note, later: Iterable[tuple[Outline, Note]] = ()
    ) -> Record | None:
        """Make a new report whole, with all its `later` versions; `None` if one with this id is there.

        Returns:
            The event of its first version.

        Raises:
            StorageFailedError: The disk refused; the error says whether it happened.
            TooLargeError: An outline is over the limit.
        """
        made: list[Record] = []

        def fill(storage: ReportStorage) -> Outline:
            durable.touch(storage.audit_path)  # its name is synced with the folder's other ones
            made.append(first_version(storage, outline, note))
            return later_versions(storage, later) or outline

        newest = self._make(parse_uuid(outline.report_id), note.action_id[:8], fill)
        return made[0] if newest is not None else None

    def adopt_folder(self, report_id: str, files: Mapping[str, bytes]) -> Outline | None:
        """Make a report of another root's files, byte for byte; `None` if one with this id is there.

        Nobody sees it before all of it has proved to be what its log says.

        Args:
            report_id: The report that they are said to be.
            files: What each file holds, by its path in the report's folder.

        Raises:
            CorruptReportError: They are not that report, whole.
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        report_id = parse_uuid(report_id)

        def fill(storage: ReportStorage) -> Outline:
            write_files(storage.report_dir, files)
            return arrived(storage, report_id)

        return self._make(report_id, uuid.uuid4().hex[:8], fill)

    def _make(
        self, report_id: str, distinction: str, fill: Callable[[ReportStorage], Outline]
    ) -> Outline | None:
        """A new report of what `fill` puts into its folder; `None` if one with this id is there."""
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
        """Make a folder whole, then give it its name; its lock is held for as long as that goes."""
        storage = ReportStorage(building, lock_timeout_seconds=self.lock_timeout_seconds)
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
        """Rename a finished folder and sync the name: from here on the report exists, and is listed.

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
        """The name may not be on the disk: take it away again, so that nobody relies on it."""
        try:
            durable.move_folder(self.by_id / report_id, building)
            durable.sync_folder(self.by_id)
        except OSError as error:
            raise StorageFailedError(
                f"The disk refused ({cause.strerror}); whether the report was made is unknown.",
                happened="unknown",
                hint="List the reports once the disk is well: the report is there or it is not.",
            ) from error

    def _make_root(self) -> None:
        durable.make_root(self.reports_root)
        self._make_lasting(self.by_id)
        attributes = self.reports_root / ".gitattributes"
        if not attributes.exists():
            durable.write_hint(attributes, b"* -text\naudit.jsonl -merge\n")

    def _make_lasting(self, folder: Path) -> None:
        """Make a folder of the root. While it is empty, its maker may have died before the sync."""
        durable.make_folder(folder)
        if durable.is_empty_folder(folder):
            durable.sync_folder(self.reports_root)

    def sweep(self) -> None:
        """Remove what crashed creations left, once nobody can be working on it any more. Lists do it, too."""
        remove_unfinished(self.by_id.glob(".new-*"), self.lock_timeout_seconds)

    # --- Finding --------------------------------------------------------------------------

    def find_folder(self, report_id: str) -> Path | None:
        """Where a report is: in `by_id`, else in the trash, else nowhere."""
        folder = self.by_id / report_id
        return folder if folder.exists() else self.find_in_trash(report_id)

    def find_in_trash(self, report_id: str) -> Path | None:
        """The newest folder of this report in the trash."""
        return next((folder for name, folder in reversed(self.in_trash()) if name == report_id), None)

    def settle_index(self) -> Listing | None:
        """Look at every report that the index may not know as it is; what `ReportIndex.look` listed."""
        listing = self.index.look()  # the first one after a boot marks them, too
        remove_unfinished(map(self.by_id.joinpath, self.index.unfinished), self.lock_timeout_seconds)
        for report_id in self.index.marked():
            self._settle_entry(report_id)
        for entry in self.index.disagreeing():
            if not self._settle_entry(entry.report_id):
                self.index.note(entry)
        return listing

    def _settle_entry(self, report_id: str) -> bool:
        """Say in the index what a report is; False if it cannot be read for now."""
        try:
            self._announce(self._storage(self.by_id / report_id), _BUSY_SECONDS)
        except FileNotFoundError:
            self._unmark_missing(report_id)
        except (ReportError, OSError) as error:
            logger.info("report %s is not settled yet: %s", report_id, type(error).__name__)
            return False
        return True

    def _announce(self, storage: ReportStorage, timeout_seconds: float | None = None) -> State:
        """Read a report and say in the index what it is, in one go."""
        with storage.lock(timeout_seconds):
            state = storage.read()
            self._refuse_deleted(storage.report_id, state)
            if self.index.is_marked(storage.report_id):
                durable.sync_folder(self.by_id)  # whoever set the mark may have died before that
            storage.announce(state.outline)
            return state

    def _unmark_missing(self, report_id: str) -> None:
        """Take away the mark of a report that is not there, unless it is just being made or restored."""
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
    def edit(self, report_id: str, *, repair: bool = False) -> Iterator[Edit]:
        """Hold a report, and commit what was put; see `ReportStorage.edit`.

        Raises:
            ReportNotFoundError: There is no such report.
        """
        with self._found(report_id), self.get_report_storage(report_id).edit(repair=repair) as edit:
            self._refuse_deleted(report_id, edit.state)
            yield edit
        self.index.tidy()

    def read(self, report_id: str) -> State:
        """A report as it is now; see `ReportStorage.read`. A wrong entry of the index is corrected.

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

    def require_folder(self) -> None:
        """Refuse a root that is something else than a folder; one that is not there yet is fine.

        Raises:
            NotADirectoryError: There is a file of that name.
        """
        if self.reports_root.exists() and not self.reports_root.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "the root is not a folder")

    def exists(self, report_id: str) -> bool:
        """True if there is such a report outside the trash."""
        with self._found(report_id):
            return self.get_report_storage(report_id).exists()

    def outline_at(self, report_id: str, version: int, state: State) -> Outline:
        """The outline as it was at a version; `state` is the report as just read.

        Raises:
            NoSuchVersionError: The report never had this version.
        """
        with self._found(report_id):
            return self.get_report_storage(report_id).outline_at(version, state)

    def event_of(self, report_id: str, version: int, state: State | None = None) -> Record | None:
        """The event that made a version. Where the report was just read, its `state` may spare a look."""
        newest = state.record if state else None
        if newest is not None and newest.makes_version and newest.version == version:
            return newest
        with self._found(report_id):
            return self.get_report_storage(report_id).log.find_version(version)

    def events(
        self, report_id: str, end: int | None = None, naming: Sequence[bytes] = ()
    ) -> Iterator[Record]:
        """The lines of a report's log, newest first, from the one that ends at `end`.

        With `naming`, only lines that contain one of these bytes; see `AuditLog.backwards`.
        """
        return self.get_report_storage(report_id).log.backwards(end, naming)

    def log_bytes(self, report_id: str, limit: int) -> bytes:
        """The first bytes of a report's log, at most `limit`, with no line in the making."""
        storage = self.get_report_storage(report_id)
        with self._found(report_id), storage.reading():
            return storage.log.read(limit)

    def glance(self, report_id: str, limit: int) -> Outline | None:
        """A report as published last, without its lock; `None` if it is over `limit` bytes, or bad."""
        return outline_on_disk(self.by_id / report_id / "outline.json", limit)

    def creation_of(self, report_id: str) -> tuple[Record, Outline] | None:
        """The event that created a report and what it created, the trash included."""
        folder = self.find_folder(report_id)
        if self.index.is_marked(report_id):
            durable.sync_folder(self.by_id)  # who made it may have died before that
        record = ReportStorage(folder).log.first_ours() if folder is not None else None
        return (record, apply(None, record.delta)) if record is not None and record.is_whole else None

    def verify(
        self, report_id: str, expected: Expected | None = None, say: Say | None = None
    ) -> dict[str, Any]:
        """Whether a report's files are whole, as they are found; see `verify.verify`.

        Raises:
            ReportNotFoundError: There is no such report.
        """
        storage = self.get_report_storage(report_id)
        with self._found(report_id):
            if not storage.exists():
                raise FileNotFoundError(report_id)
            with storage.reading():
                return verify(storage, expected, say)

    def export(self, report_id: str, target: Path) -> int:
        """Write a report and its whole history into one new file, and say how many bytes it has.

        Raises:
            ReportNotFoundError: There is no such report.
            CorruptReportError: It is damaged, or not what its log says.
            TooLargeError: It is too much for one file.
            FileExistsError: There is a file of this name.
            OSError: The file could not be written; nothing is left of it.
        """
        storage = self.get_report_storage(report_id)
        with self._found(report_id), storage.reading() as is_locked:
            state = storage.read()
            if state.refusal is not None:
                raise state.refusal
            self._refuse_deleted(report_id, state)
            files = exported_files(storage, attempts=1 if is_locked else UNLOCKED_ATTEMPTS)
        data = pack(report_id, files)
        durable.write_new(target, data)
        return len(data)

    def entries(self) -> list[IndexEntry]:
        """Every report, those in the trash not included."""
        self.settle_index()
        entries = list(self.index.entries().values())
        self.index.tidy()
        return entries

    def trash_entries(self) -> list[IndexEntry]:
        """The reports in the trash, each once, read from their folders."""
        found = {}
        for report_id, folder in self.in_trash():
            if entry := entry_on_disk(folder, report_id, f".trash/{folder.name}"):
                found[report_id] = entry
        return list(found.values())

    def stated_version(self, entry: IndexEntry) -> int:
        """The version that a report's outline states now, read from its first lines."""
        return version_in(self.reports_root / entry.path / "outline.json")

    @contextmanager
    def _found(self, report_id: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise not_found(report_id) from error
        except OSError as error:
            raise storage_failed(error) from error

    def _refuse_deleted(self, report_id: str, state: State) -> None:
        """A last event `delete` in `by_id` means that the move into the trash has to be finished.

        Raises:
            FileNotFoundError: The report is deleted.
            StorageFailedError: Whether it is, this process cannot tell.
        """
        if not state.says_deleted:
            return
        try:
            with self.get_report_storage(report_id).edit() as edit:  # settled: the event is on the disk
                if edit.state.says_deleted:
                    self._move_to_trash(report_id)
        except OSError as error:
            logger.info("report %s is deleted, but not in the trash yet: %s", report_id, error)
        raise FileNotFoundError(report_id)

    # --- Pages and templates --------------------------------------------------------------

    def adopt(self, report_id: str, author: Author) -> State:
        """The report, with a version of ours where only another writer has been at it so far.

        Raises:
            ReportNotFoundError: There is no such report.
            CorruptReportError: It is damaged.
        """
        with self.edit(report_id):
            return self.get_report_storage(report_id).adopted(author)

    def write_page(self, report_id: str, name: str, data: bytes, event: AuditEvent) -> Path:
        """Put a page made of a report into its folder; see `pages.write_page`.

        Returns:
            Where it is now.

        Raises:
            ReportNotFoundError: There is no such report.
            CorruptReportError: It is damaged.
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        with self.edit(report_id):
            return write_page(self.get_report_storage(report_id), name, data, event)

    def templates(self) -> dict[str, Callable[[], bytes]]:
        """The templates that a person added under the root: for each name, what reads its file."""
        return templates_in(self.reports_root / "templates")

    # --- Trash ----------------------------------------------------------------------------

    def trash(self, report_id: str, event: AuditEvent) -> Path:
        """Move a report into the trash, after the `delete` event that says so.

        Returns:
            Where it is now.

        Raises:
            ReportNotFoundError: There is no such report.
        """
        storage = self.get_report_storage(report_id)
        if not storage.exists():
            raise not_found(report_id)
        try:
            self._make_lasting(self.trash_dir)
            with self._found(report_id), storage.lock():
                self._refuse_deleted(report_id, storage.read())
                storage.mark()  # not before: whoever held the report took the mark away
                storage.append_audit_event(event)
                if not _MOVES_NEED_CLOSED_FILES:
                    return self._move_deleted(report_id)
        except OSError as error:
            raise storage_failed(error) from error
        return self._move_deleted(report_id)

    def _move_deleted(self, report_id: str) -> Path:
        try:
            return self._move_to_trash(report_id)
        except OSError as error:
            raise StorageFailedError(
                f"The report is deleted, but the disk refused to move it: {error.strerror}.",
                happened="yes",
                hint="The next look at the report moves it; it is in no list any more then.",
            ) from error

    def _move_to_trash(self, report_id: str) -> Path:
        """The move alone: also when a crash prevented it."""
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
                hint="Read it once the disk is well.",
            ) from error

    def _move_back(self, folder: Path, report_id: str, event: AuditEvent) -> None:
        storage = ReportStorage(folder, lock_timeout_seconds=self.lock_timeout_seconds)
        with storage.lock():
            storage.append_audit_event(event)
            if not _MOVES_NEED_CLOSED_FILES:
                return self._take_name_back(folder, report_id)
        return self._take_name_back(folder, report_id)

    def _take_name_back(self, folder: Path, report_id: str) -> None:
        """Rename a folder, sync the name and list it, before anybody can build on it."""
        self.index.mark(report_id)
        durable.move_folder(folder, self.by_id / report_id)
        try:
            durable.sync_folder(self.by_id)
        except OSError as error:
            raise StorageFailedError(
                f"The disk refused ({error.strerror}); whether the report stays restored is unknown.",
                happened="unknown",
                hint="List the reports once the disk is well: it is there, or still in the trash.",
            ) from error
        try:
            if entry := entry_on_disk(self.by_id / report_id, report_id, f"by_id/{report_id}"):
                self.index.announce(entry, report_id)
        except OSError as error:
            logger.info("the next list looks at %s, which is marked: %s", report_id, error)

    def in_trash(self) -> list[tuple[str, Path]]:
        """Every report in the trash: its id and its folder, newest last."""
        if not durable.is_real_folder(self.trash_dir):
            return []
        names = sorted(os.listdir(self.trash_dir))
        return [(name.partition("_")[0], self.trash_dir / name) for name in names]
