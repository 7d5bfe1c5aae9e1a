"""One report's folder: reading it, and the commit that changes it.

The commit (under the report's lock, two syncs):

1. The report is settled: the last event of the log is complete, published, and the hash of
   `outline.json` is the one it names. If not, recovery comes first.
2. The new outline and its delta are computed, and `apply(old, delta) == new` is checked.
3. The new outline is written to a temporary file and synced. A full disk shows here.
4. The report is marked in `.pending/`.
5. The event is appended to `audit.jsonl` and synced. *This is the commit.*
6. The old outline is linked into `backups/`, the temporary file takes its name.
7. `.head` and the index are written, the mark goes, backups are pruned.

What fails before the end of step 5 has not happened, and its traces are removed. What fails
after it has happened, and the next one to open the report finishes it.

    >>> with storage.edit() as edit:
    ...     edit.put(edit.state.outline.model_copy(update={"title": "New"}), Note("rename", author))
    >>> edit.record.version
    2
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from living_reports.delta import Delta, apply, diff
from living_reports.errors import CorruptReportError, InternalError, StorageFailedError, TooLargeError
from living_reports.models import (
    AuditEvent,
    Author,
    Outline,
    normalised,
    outline_bytes,
    parse_outline,
    sha256_hex,
)
from living_reports.storage import durable, recovery
from living_reports.storage.audit import EMPTY_SHA256, AuditLog, Note, Record
from living_reports.storage.history import History, backup_names
from living_reports.storage.index import ReportIndex, entry_of
from living_reports.storage.lock import DEFAULT_TIMEOUT_SECONDS, ReportLock, hold, is_held
from living_reports.storage.requests import find_request
from living_reports.storage.state import Found, State

logger = logging.getLogger(__name__)

MAX_REPORT_BYTES = 16_000_000
NEWEST_BACKUPS = 5
_UNLOCKED_ATTEMPTS = 20

_undecided: set[str] = set()
"""Reports whose last append could be neither made nor undone by this process."""


class ReportStorage:
    """The files of one report.

    Args:
        report_dir: The report's folder. A folder that is not there is made by the first write.
        lock_timeout_seconds: How long to wait for other writers.
        index: The catalogue to keep up to date, if the folder belongs to a root.
    """

    def __init__(
        self,
        report_dir: Path,
        *,
        lock_timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        index: ReportIndex | None = None,
    ) -> None:
        self.report_dir = Path(report_dir)
        self.outline_path = self.report_dir / "outline.json"
        self.audit_path = self.report_dir / "audit.jsonl"
        self.backups_dir = self.report_dir / "backups"
        self.lock_path = self.report_dir / ".lock"
        self.head_path = self.report_dir / ".head"
        self.lock_timeout_seconds = lock_timeout_seconds
        self.index = index
        self.log = AuditLog(self.audit_path)
        self.history = History(self.log, self.backups_dir)

    @property
    def report_id(self) -> str:
        """The id that the folder is named after."""
        return self.report_dir.name

    # --- Reading --------------------------------------------------------------------------

    @contextmanager
    def lock(self, timeout_seconds: float | None = None) -> Iterator[ReportLock]:
        """Hold the report for the block. A thread that holds it already goes straight through.

        Raises:
            LockTimeoutError: Another writer kept it for the whole time-out.
            FileNotFoundError: There is no such folder.
        """
        timeout = self.lock_timeout_seconds if timeout_seconds is None else timeout_seconds
        self._require_own_folder()
        with hold(self.lock_path, timeout) as held:
            yield held

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the report for a read; where its lock file cannot be written, go without."""
        try:
            with self.lock():
                yield
        except PermissionError:
            yield

    def _require_own_folder(self) -> None:
        if self.report_dir.is_symlink():
            raise CorruptReportError(
                "The report's folder is a symbolic link; nothing is read or written through one.",
                hint="Put the folder itself into by_id.",
                damaged="folder",
            )

    def exists(self) -> bool:
        """True if the folder holds an outline or a history."""
        return self.outline_path.exists() or self.audit_path.exists()

    def read(self) -> State:
        """The report as it is now, recovered first if a crash or a person left something to do.

        Raises:
            FileNotFoundError: There is no such report.
            CorruptReportError: No version of it can be read.
            LockTimeoutError: Another writer kept it for the whole time-out.
        """
        if not self.exists():
            raise FileNotFoundError(f"Outline not found: {self.outline_path.name}")
        try:
            with self.lock():
                found = self.look()
        except PermissionError:
            return self._read_unlocked()
        except OSError as error:
            if self.exists() and not isinstance(error, FileNotFoundError):
                return self._read_unlocked()
            raise
        if found.is_settled:
            return recovery.settled_state(found)
        with self.lock():
            return self._settle()

    def _settle(self) -> State:
        try:
            return recovery.settle(self)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_failed(error) from error

    def _read_unlocked(self) -> State:
        """Read where the lock file cannot be written: take what agrees, recover nothing."""
        for _ in range(_UNLOCKED_ATTEMPTS):
            found = self.look()
            if found.last is not None and found.last.is_ours and found.last.outline_sha256 == found.sha256:
                return recovery.settled_state(found)
        return recovery.state_without_writing(self)

    def look(self) -> Found:
        """The bytes that say what state the report is in."""
        return Found(
            outline=_read_or_none(self.outline_path),
            last=self.log.last(),
            head=(_read_or_none(self.head_path) or b"").decode("ascii", "replace").strip(),
            log_size=self.log.size(),
        )

    def load_outline(self) -> Outline:
        """The current outline.

        Raises:
            FileNotFoundError: There is none.
            ValueError: It is not a valid outline.
        """
        state = self.read()
        if state.refusal is not None:
            raise state.refusal
        return parse_outline(state.data)  # the caller's own, to do with as it likes

    def outline_at(self, version: int, state: State) -> Outline:
        """The outline as it was at a version; see `History.outline_at`."""
        if version == state.version:
            return state.outline
        return self.history.outline_at(version, state.outline if state.refusal is None else None)

    def load_audit_events(self) -> list[AuditEvent]:
        """Every event of the log, oldest first; lines that are none are passed over."""
        return [record.event for record in self.log.forwards() if record.is_event]

    def detect_manual_edits(self) -> bool:
        """True if `outline.json` is not what the last event left: somebody edited it by hand."""
        data = _read_or_none(self.outline_path)
        if data is None:
            return False
        record = self.log.last_ours()
        if record is not None:
            return record.outline_sha256 != sha256_hex(data)
        try:
            return not parse_outline(data)
        except ValueError:
            return True

    # --- Writing --------------------------------------------------------------------------

    @contextmanager
    def edit(self, *, repair: bool = False) -> Iterator[Edit]:
        """Hold the report, and commit what was `put` when the block ends without an error.

        Args:
            repair: Allow it on a damaged report, too: what is put becomes its next version.

        Raises:
            FileNotFoundError: There is no such report.
            CorruptReportError: The report is damaged, and `repair` was not asked for.
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        if not self.exists():
            raise FileNotFoundError(f"Outline not found: {self.outline_path.name}")
        with self.lock():
            self._refuse_undecided()
            state = self._settle()
            if state.refusal is not None and not repair:
                raise state.refusal
            edit = Edit(self, state)
            yield edit
            if edit.draft is not None:
                edit.record = self.commit(state, *edit.draft)

    def _refuse_undecided(self) -> None:
        if str(self.audit_path) in _undecided:
            raise StorageFailedError(
                "An earlier write of this process has an unknown outcome; it writes this report no more.",
                happened="no",
                hint="Restart the server once the disk is well; opening the report then settles it.",
            )

    def save_outline(self, outline: Outline) -> None:
        """Commit an outline as the next version, with one `backup` event.

        Raises:
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        durable.make_folder(self.report_dir)
        note = Note("backup", Author("cli"), "outline_save")
        with self.lock():
            if self.exists():
                with self.edit() as edit:
                    edit.put(outline, note)
            else:
                self.commit(None, outline, note)
                durable.sync_folder(self.report_dir)
                durable.sync_folder(self.report_dir.parent)

    def append_audit_event(self, event: AuditEvent) -> None:
        """Append an event that makes no version; its hashes are filled in here.

        Raises:
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        durable.make_folder(self.report_dir)
        with self.lock():
            self._refuse_undecided()
            state = self._settle() if self.outline_path.exists() else None
            if state is not None and state.record is None:
                state = self._adopt(state, Author(event.actor))
            self.append_event(state, event)

    def append_event(self, state: State | None, event: AuditEvent) -> Record:
        """Step 5 and `.head` alone, for an event that repeats version and hash. Takes a held lock."""
        if state is not None and state.record is not None:
            last, size = state.last, state.log_size
            carried = {"outline_version": state.record.version, "outline_sha256": state.record.outline_sha256}
            kept = {"base_at": base} if (base := state.record.payload.get("base_at")) is not None else {}
        else:
            last, size, carried, kept = self.log.last(), self.log.size(), {}, {}
        chained = carried | {"prev_sha256": last.sha256 if last else EMPTY_SHA256, "delta": []} | kept
        fields = {key: value for key, value in event.payload.items() if key not in chained}
        full = event.model_copy(update={"payload": chained | fields})
        record = self._append(last, size, full)
        durable.write_hint(self.head_path, recovery.head_of(record))
        return record

    def commit(self, state: State | None, outline: Outline, note: Note) -> Record:
        """Make `outline` the next version; see the module. Takes a held lock.

        `state` is `None` for the first version of a folder that holds nothing yet.
        """
        assert is_held(self.lock_path), "a commit needs the report's lock"
        if state is not None and state.record is None and state.refusal is None:
            state = self._adopt(state, note.author)
        old = state.outline if state is not None else None
        version = outline.outline_version if state is None else max(state.version, state.floor) + 1
        new = normalised(outline).model_copy(update={"outline_version": version})
        return self._write_version(state, new, delta_between(old, new), note)

    def _adopt(self, state: State, author: Author) -> State:
        """The first event in another writer's folder: the whole outline, their bytes kept."""
        version = max(state.version, state.floor) + 1
        new = normalised(state.outline).model_copy(update={"outline_version": version})
        reason = "adopted: written by another program until now"
        note = Note("evolve", author, reason, extra={"adopted": True})
        self._write_version(state, new, diff(None, new), note)
        return self._settle()

    def _write_version(self, state: State | None, new: Outline, delta: Delta, note: Note) -> Record:
        data = outline_bytes(new)
        if len(data) > MAX_REPORT_BYTES:
            raise TooLargeError(
                f"The report would have {len(data):,} bytes; the limit is {MAX_REPORT_BYTES:,}.",
                hint="Split it into several reports, or remove what is no longer needed.",
                limit=MAX_REPORT_BYTES,
            )
        last = state.last if state is not None else self.log.last()
        size = state.log_size if state is not None else self.log.size()
        backup = self._next_backup() if self.outline_path.exists() else None
        payload = {
            "outline_version": new.outline_version,
            "outline_sha256": sha256_hex(data),
            "prev_sha256": last.sha256 if last else EMPTY_SHA256,
            "delta": delta,
            "reason": note.reason,
            "client": note.author.client,
            "backup_filename": backup,
            "base_at": _base_at(state, size + _gap(last)) if state is not None else None,
        }
        event = AuditEvent(
            action_id=note.action_id,
            report_id=new.report_id,
            ts=note.ts,
            actor=note.author.actor,
            action_type=note.action_type,
            request_id=note.request_id,
            payload={k: v for k, v in (payload | note.extra).items() if v not in (None, "")},
        )
        temporary = self.report_dir / f".outline.{note.action_id}.tmp"
        record = self._write_event(temporary, data, last, size, event)
        self._publish(temporary, new, record)
        return record

    def _write_event(
        self, temporary: Path, data: bytes, last: Record | None, size: int, event: AuditEvent
    ) -> Record:
        """Steps 3 to 5, undone if they fail."""
        try:
            durable.write_new(temporary, data)
            if self.index is not None:
                self.index.mark(self.report_id)
            return self._append(last, size, event)
        except StorageFailedError as error:
            if error.details["happened"] == "no":
                self._undo(temporary)
            raise
        except OSError as error:
            self._undo(temporary)
            raise storage_failed(error) from error

    def _append(self, last: Record | None, size: int, event: AuditEvent) -> Record:
        """Step 5: the line, synced, behind a newline where the line before lacks its own."""
        self._require_lock()
        line = event.model_dump_json(exclude_none=True).encode()
        gap = _gap(last)
        try:
            durable.append(self.audit_path, b"\n" * gap + line + b"\n")
        except durable.CutFailedError as error:
            _undecided.add(str(self.audit_path))
            raise StorageFailedError(
                f"The disk refused ({error.strerror}); whether the change was made is unknown.",
                happened="unknown",
                hint="Restart the server once the disk is well, then read the report: its version tells.",
            ) from error
        except OSError as error:
            raise storage_failed(error) from error
        return Record(size + gap, line)

    def _require_lock(self) -> None:
        with hold(self.lock_path) as held:
            if not held.still_held():
                raise StorageFailedError(
                    "The report's lock file was removed while it was held.",
                    happened="no",
                    hint="Nothing was changed. Send the same call again.",
                )

    def _undo(self, temporary: Path) -> None:
        """Take back steps 3 and 4. What cannot be removed is harmless and found by recovery."""
        try:
            durable.remove(temporary)
            if self.index is not None:
                self.index.unmark(self.report_id)
        except OSError as error:
            logger.warning("a temporary file could not be removed: %s", error.strerror)

    def _publish(self, temporary: Path, new: Outline, record: Record) -> None:
        """Steps 6 and 7: make what the event says visible. It is committed, whatever happens here."""
        try:
            self.publish(temporary, new, record)
        except OSError as error:
            logger.warning("version %d is committed but not yet in place: %s", record.version, error.strerror)

    def publish(self, temporary: Path, new: Outline, record: Record) -> None:
        """Put the outline of the last event in place, and say so in `.head` and in the index.

        Recovery comes here, too. The backup is linked only now: an editor that saves in
        place would change both names.
        """
        backup = record.payload.get("backup_filename")
        if isinstance(backup, str) and self.outline_path.exists():
            durable.make_folder(self.backups_dir)
            durable.link(self.outline_path, self.backups_dir / Path(backup).name)
        durable.replace(temporary, self.outline_path)
        durable.write_hint(self.head_path, recovery.head_of(record))
        self.announce(new)
        self._prune(record)

    def announce(self, outline: Outline) -> None:
        """Bring the index up to date."""
        if self.index is not None:
            self.index.append(entry_of(outline, f"{self.report_dir.parent.name}/{self.report_id}"))
            self.index.unmark(self.report_id)

    # --- Backups --------------------------------------------------------------------------

    def _next_backup(self) -> str:
        """A name for the backup of the current outline, later than all there are."""
        now = datetime.now(UTC)
        names = backup_names(self.backups_dir)
        if names:
            newest = datetime.strptime(names[-1], "outline.json.%Y%m%dT%H%M%S_%f.bak").replace(tzinfo=UTC)
            now = max(now, newest + timedelta(microseconds=1))
        return now.strftime("outline.json.%Y%m%dT%H%M%S_%f.bak")

    def _prune(self, newest: Record) -> None:
        """Remove the backup that just left the newest ones, unless it is one to keep.

        An event whose `base_at` is its own offset made a backup that is kept: see `_base_at`.
        """
        spare = set(backup_names(self.backups_dir)[:-NEWEST_BACKUPS])
        versions = 0
        for record in self.log.backwards(newest.end) if spare else ():
            name = record.payload.get("backup_filename")
            if name in spare and record.payload.get("base_at") != record.offset:
                durable.remove(self.backups_dir / str(name))
            versions += record.makes_version
            if versions > NEWEST_BACKUPS:
                return


class Edit:
    """What a writer sees while it holds the report.

    Attributes:
        state: The report as it is.
        record: The event that was committed, after the block ended.
    """

    def __init__(self, storage: ReportStorage, state: State) -> None:
        self._storage = storage
        self.state = state
        self.draft: tuple[Outline, Note] | None = None
        self.record: Record | None = None

    def put(self, outline: Outline, note: Note) -> None:
        """Say what becomes the next version when the block ends."""
        self.draft = (outline, note)

    def outline_at(self, version: int) -> Outline:
        """The outline as it was at a version; see `History.outline_at`."""
        return self._storage.outline_at(version, self.state)

    def events(self) -> Iterator[Record]:
        """The lines of the log, newest first."""
        return self._storage.log.backwards()

    def find_request(self, request_id: str) -> Record | None:
        """The event that answered this request, if it is among those remembered."""
        return find_request(self._storage.log, request_id)


def delta_between(old: Outline | None, new: Outline) -> Delta:
    """The delta from one outline to the next, checked.

    Raises:
        InternalError: Applying it would not give the new outline: nothing may be written.
    """
    delta = diff(old, new)
    if apply(old, delta) != new:
        raise InternalError("The change could not be recorded faithfully, so it was not made.")
    return delta


def _base_at(state: State, offset: int) -> int:
    """Where replaying starts for versions from here on: the offset of an event in the log.

    It is the event's own offset, and its backup is kept, once the log since the last kept
    one exceeds the outline's size. That bounds what a version costs to read back, and all
    kept backups together by the size of the log.
    """
    record = state.record
    if record is None:
        return offset  # another writer's last bytes: kept for good
    base = record.end if record.is_whole else record.payload.get("base_at", offset)
    if state.refusal is None and offset - base > len(state.data):
        return offset
    return int(base)


def _gap(last: Record | None) -> int:
    return int(last is not None and not last.is_complete)


def storage_failed(error: OSError) -> StorageFailedError:
    """The answer to a disk that refused before the change was committed."""
    return StorageFailedError(
        f"The disk refused: {error.strerror or 'unknown error'}. Nothing was changed.",
        happened="no",
        hint="Make room or mend the disk, then send the same call again.",
    )


def _read_or_none(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
