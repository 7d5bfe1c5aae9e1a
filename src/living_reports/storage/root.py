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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from living_reports.delta import apply
from living_reports.errors import LockTimeoutError, ReportNotFoundError
from living_reports.models import AuditEvent, IndexEntry, Outline, parse_uuid
from living_reports.storage import durable
from living_reports.storage.audit import Note, Record
from living_reports.storage.history import version_in
from living_reports.storage.index import ReportIndex, entry_of, entry_on_disk
from living_reports.storage.lock import DEFAULT_TIMEOUT_SECONDS, hold
from living_reports.storage.report import Edit, ReportStorage, storage_failed
from living_reports.storage.state import State
from living_reports.storage.verify import verify

logger = logging.getLogger(__name__)

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

    def get_report_storage(self, report_id: str) -> ReportStorage:
        """The storage of one report, whether it exists or not.

        Raises:
            ValueError: The id is not a UUID.
        """
        return self._storage(self.by_id / parse_uuid(report_id))

    def _storage(self, folder: Path) -> ReportStorage:
        return ReportStorage(folder, lock_timeout_seconds=self.lock_timeout_seconds, index=self.index)

    def save_index_entry(self, entry: IndexEntry | dict[str, Any]) -> None:
        """Append an entry to the index.

        Raises:
            OSError: The line could not be written.
        """
        durable.make_root(self.reports_root)
        self.index.append(entry if isinstance(entry, IndexEntry) else IndexEntry.model_validate(entry))

    # --- Create ---------------------------------------------------------------------------

    def create(self, outline: Outline, note: Note) -> Record | None:
        """Make a new report whole; `None` if one with this id is there already.

        Raises:
            StorageFailedError: The disk refused; the error says whether it happened.
            TooLargeError: The outline is over the limit.
        """
        report_id = parse_uuid(outline.report_id)
        try:
            self._make_root()
            building = self.by_id / f".new-{report_id}-{note.action_id[:8]}"
            durable.make_folder(building)
            record = self._build(building, outline, note)
            self.index.mark(report_id)
            if not self._take_name(building, report_id):
                return None
        except OSError as error:
            raise storage_failed(error) from error
        self._announce(report_id, entry_of(outline, f"by_id/{report_id}"))
        self.sweep()
        return record

    def _build(self, building: Path, outline: Outline, note: Note) -> Record:
        storage = ReportStorage(building, lock_timeout_seconds=self.lock_timeout_seconds)
        try:
            with storage.lock():
                record = storage.commit(None, outline, note)
                durable.sync_folder(building)
        except BaseException:
            durable.remove_folder(building)
            raise
        return record

    def _take_name(self, building: Path, report_id: str) -> bool:
        """Rename a finished folder and sync the name: from here on the report exists."""
        try:
            if self.find_in_trash(report_id) is not None:
                raise FileExistsError
            durable.move_folder(building, self.by_id / report_id)
        except OSError as error:
            durable.remove_folder(building)
            if isinstance(error, FileExistsError) or error.errno == errno.ENOTEMPTY:
                return False
            raise
        durable.sync_folder(self.by_id)
        return True

    def _make_root(self) -> None:
        durable.make_root(self.reports_root)
        if not durable.is_real_folder(self.by_id):
            durable.make_folder(self.by_id)
            durable.sync_folder(self.reports_root)
        attributes = self.reports_root / ".gitattributes"
        if not attributes.exists():
            durable.write_hint(attributes, b"* -text\naudit.jsonl -merge\n")

    def _announce(self, report_id: str, entry: IndexEntry) -> None:
        """The report is there, whatever happens to its entry: the mark tells the next reader."""
        try:
            self.index.append(entry)
            self.index.unmark(report_id)
        except OSError as error:
            logger.warning("the index does not list %s yet: %s", report_id, error.strerror)

    def sweep(self) -> None:
        """Remove what crashed creations left, once nobody can be working on it any more."""
        for folder in self.by_id.glob(".new-*"):
            if time.time() - folder.lstat().st_mtime < self.lock_timeout_seconds:
                continue
            try:
                with hold(folder / ".lock", 0.0):
                    durable.remove_folder(folder)
            except (LockTimeoutError, OSError):
                continue

    # --- Finding --------------------------------------------------------------------------

    def find_folder(self, report_id: str) -> Path | None:
        """Where a report is: in `by_id`, else in the trash, else nowhere."""
        folder = self.by_id / report_id
        if folder.exists():
            return folder
        return self.find_in_trash(report_id)

    def find_in_trash(self, report_id: str) -> Path | None:
        """The newest folder of this report in the trash."""
        if not durable.is_real_folder(self.trash_dir):
            return None
        return max(self.trash_dir.glob(f"{report_id}_*"), default=None)

    def storage_anywhere(self, report_id: str) -> ReportStorage | None:
        """The storage of a report, the trash included."""
        folder = self.find_folder(report_id)
        return self._storage(folder) if folder is not None else None

    def settle_index(self) -> None:
        """Look at every report whose commit may not have reached the index."""
        for report_id in self.index.marked():
            storage = self._storage(self.by_id / report_id)
            try:
                if storage.exists():
                    storage.announce(storage.read().outline)
                else:
                    self.index.unmark(report_id)
            except (LockTimeoutError, OSError, ValueError) as error:
                logger.info("report %s is not settled yet: %s", report_id, type(error).__name__)

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

    def read(self, report_id: str) -> State:
        """A report as it is now; see `ReportStorage.read`.

        Raises:
            ReportNotFoundError: There is no such report.
        """
        with self._found(report_id):
            state = self.get_report_storage(report_id).read()
            self._refuse_deleted(report_id, state)
            return state

    def exists(self, report_id: str) -> bool:
        """True if there is such a report outside the trash."""
        return self.get_report_storage(report_id).exists()

    def outline_at(self, report_id: str, version: int, state: State) -> Outline:
        """The outline as it was at a version; `state` is the report as just read.

        Raises:
            NoSuchVersionError: The report never had this version.
        """
        return self.get_report_storage(report_id).outline_at(version, state)

    def event_of(self, report_id: str, version: int) -> Record | None:
        """The event that made a version."""
        return self.get_report_storage(report_id).log.find_version(version)

    def events(self, report_id: str, end: int | None = None) -> Iterator[Record]:
        """The lines of a report's log, newest first, from the one that ends at `end`."""
        return self.get_report_storage(report_id).log.backwards(end)

    def creation_of(self, report_id: str) -> tuple[Record, Outline] | None:
        """The event that created a report and what it created, the trash included."""
        folder = self.find_folder(report_id)
        record = ReportStorage(folder).log.first_ours() if folder is not None else None
        return (record, apply(None, record.delta)) if record is not None and record.is_whole else None

    def verify(self, report_id: str) -> dict[str, Any]:
        """Whether a report's files are whole, as they are found; see `verify.verify`.

        Raises:
            ReportNotFoundError: There is no such report.
        """
        storage = self.get_report_storage(report_id)
        with self._found(report_id):
            if not storage.exists():
                raise FileNotFoundError(report_id)
            with storage.reading():
                return verify(storage)

    def entries(self) -> list[IndexEntry]:
        """Every report that the index knows, those in the trash included."""
        self.settle_index()
        return list(self.index.entries().values())

    def trash_entries(self) -> list[IndexEntry]:
        """The reports in the trash, each once, read from their folders."""
        found = {}
        for report_id, folder in self.in_trash():
            entry = entry_on_disk(folder, report_id, f".trash/{folder.name}")
            if entry is not None:
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

    def _refuse_deleted(self, report_id: str, state: State) -> None:
        if state.record is not None and state.record.event.action_type == "delete":
            self._finish_trash(report_id)
            raise FileNotFoundError(report_id)

    # --- Trash ----------------------------------------------------------------------------

    def trash(self, report_id: str, event: AuditEvent) -> Path:
        """Move a report into the trash, after the `delete` event that says so.

        Returns:
            Where it is now.

        Raises:
            ReportNotFoundError: There is no such report.
        """
        storage = self.get_report_storage(report_id)
        with self._found(report_id), storage.lock():
            if not storage.exists():
                raise FileNotFoundError(report_id)
            storage.append_audit_event(event)
            if not _MOVES_NEED_CLOSED_FILES:
                return self._finish_trash(report_id)
        return self._finish_trash(report_id)

    def _finish_trash(self, report_id: str) -> Path:
        """The move alone: also when a crash prevented it."""
        if not durable.is_real_folder(self.trash_dir):
            durable.make_folder(self.trash_dir)
            durable.sync_folder(self.reports_root)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S_%f")
        target = self.trash_dir / f"{report_id}_{stamp}"
        entry = self.index.get_entry(report_id)
        durable.move_folder(self.by_id / report_id, target)
        if entry is not None:
            gone = entry.model_copy(update={"status": "deleted", "path": f".trash/{target.name}"})
            self._announce(report_id, gone)
        return target

    def restore(self, report_id: str, event: AuditEvent) -> State:
        """Move a report back from the trash, after the event that says so.

        Raises:
            ReportNotFoundError: It is not in the trash.
        """
        folder = self.find_in_trash(report_id)
        if folder is None or (self.by_id / report_id).exists():
            raise ReportNotFoundError(f"Report {report_id} is not in the trash.", hint="Nothing was changed.")
        storage = ReportStorage(folder, lock_timeout_seconds=self.lock_timeout_seconds)
        with storage.lock():
            storage.append_audit_event(event)
            if not _MOVES_NEED_CLOSED_FILES:
                durable.move_folder(folder, self.by_id / report_id)
        if _MOVES_NEED_CLOSED_FILES:
            durable.move_folder(folder, self.by_id / report_id)
        durable.sync_folder(self.by_id)
        state = self.read(report_id)
        self._announce(report_id, entry_of(state.outline, f"by_id/{report_id}"))
        return state

    def in_trash(self) -> list[tuple[str, Path]]:
        """Every report in the trash: its id and its folder, newest last."""
        if not durable.is_real_folder(self.trash_dir):
            return []
        names = sorted(os.listdir(self.trash_dir))
        return [(name.partition("_")[0], self.trash_dir / name) for name in names]


def not_found(selector: str) -> ReportNotFoundError:
    """The error for a report that is not there."""
    return ReportNotFoundError(
        f"There is no report {selector!r}.", hint="list_reports shows the reports with their ids."
    )
