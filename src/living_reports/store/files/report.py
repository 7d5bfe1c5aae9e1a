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
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from living_reports.errors import (
    CorruptReportError,
    InternalError,
    InvalidInputError,
    ReportNotFoundError,
    StorageFailedError,
    TooLargeError,
)
from living_reports.model.delta import Delta, apply, diff
from living_reports.model.event import AuditEvent, Author
from living_reports.model.report import Outline, normalised, parse_outline, parse_uuid, sha256_hex
from living_reports.store.files import durable, recovery
from living_reports.store.files.audit import EMPTY_SHA256, AuditLog, Note, Record
from living_reports.store.files.backups import base_at, newest_backup, next_backup
from living_reports.store.files.history import History
from living_reports.store.files.index import ReportIndex, entry_of
from living_reports.store.files.lock import DEFAULT_TIMEOUT_SECONDS, ReportLock, hold, is_held, is_still_held
from living_reports.store.files.publishing import bytes_of, head_of, publish
from living_reports.store.files.requests import find_request
from living_reports.store.files.saved import saved_bytes
from living_reports.store.files.state import Found, State, hashes, is_head_lost, outlines, said_in

logger = logging.getLogger(__name__)

MAX_REPORT_BYTES = 16_000_000
UNLOCKED_ATTEMPTS = 20
_UNLOCKED_PAUSE_SECONDS = 0.005
_TEMPORARY = re.compile(r"^\.outline\..*\.tmp$")

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
    def reading(self) -> Iterator[bool]:
        """Hold the report for a read. Where its lock file cannot be opened: go without, and yield False.

        Raises:
            FileNotFoundError: There is no such folder.
            LockTimeoutError: Another writer kept it for the whole time-out.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(self.lock())
                is_locked = True
            except FileNotFoundError:
                raise
            except OSError:
                is_locked = False
            yield is_locked

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
            with self.reading() as is_locked:
                found = self.look() if is_locked else None
            if found is None or str(self.audit_path) in _undecided:
                return self._read_unlocked()
            if found.is_settled and not found.strays:
                return recovery.settled_state(self, found)
            with self.lock():
                return recovery.settle(self)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_failed(error) from error

    def _settle(self) -> State:
        """The state to start a write from; recovery comes first. Takes a held lock."""
        if str(self.audit_path) in _undecided:
            raise StorageFailedError(
                "An earlier write of this process has an unknown outcome; it writes this report no more.",
                happened="no",
                hint="Restart the server once the disk is well; opening the report then settles it.",
            )
        try:
            return recovery.settle(self)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_failed(error) from error

    def _read_unlocked(self) -> State:
        """Read without the lock, and without recovery: take what agrees, else look again."""
        for _ in range(UNLOCKED_ATTEMPTS):
            found = self.look()
            if found.last is None or not found.last.is_ours:
                break
            if found.last.is_event and found.last.outline_sha256 == found.sha256:
                return recovery.settled_state(self, found)
            time.sleep(_UNLOCKED_PAUSE_SECONDS)  # a writer is between its event and its outline
        return recovery.state_without_writing(self)

    def look(self) -> Found:
        """The bytes that say what state the report is in."""
        last = self.log.last()
        return Found(
            outline=bytes_of(self.outline_path),
            last=last,
            head=said_in(bytes_of(self.head_path) or b""),
            log_size=last.end if last is not None else 0,
            strays=tuple(filter(_TEMPORARY.match, os.listdir(self.report_dir))),
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
        return parse_outline(state.found.outline or b"")  # the caller's own, to do with as it likes

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
        with self._writing():
            self._secure_name()
            state = self._settle()
            if state.refusal is not None and not repair:
                raise state.refusal
            edit = Edit(self, state)
            yield edit
            if edit.draft is not None:
                edit.record = self.commit(state, *edit.draft)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the report for a write; where the lock file cannot be opened, nothing can be written."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self.lock())
            except FileNotFoundError:
                raise
            except OSError as error:
                raise storage_failed(error) from error
            yield

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
            self.commit(state, outline, note)

    def append_audit_event(self, event: AuditEvent) -> None:
        """Append an event that makes no version; its hashes are filled in here.

        Raises:
            StorageFailedError: The disk refused; the error says whether it happened.
        """
        self._make_own_folder()
        with self._writing():
            state = self._state_if_any()
            if state is not None and state.record is None:
                state = self._adopt(state, Author(event.actor))
            self.append_event(state, event)

    def adopted(self, author: Author) -> State:
        """The report, after a first event of ours where only another writer has been at it so far."""
        with self._writing():
            state = self._settle()
            return self._adopt(state, author) if state.record is None else state

    def _make_own_folder(self) -> None:
        try:
            durable.make_root(self.report_dir)
        except OSError as error:
            raise storage_failed(error) from error

    def _state_if_any(self) -> State | None:
        """The state to start from; `None` in a folder that holds no outline and no version of one."""
        try:
            return self._settle()
        except FileNotFoundError:
            return None

    def append_event(self, state: State | None, event: AuditEvent) -> Record:
        """Step 5 and `.head` alone, for an event that repeats version and hash. Takes a held lock."""
        if state is not None and state.record is not None:
            last, size = state.found.last, state.found.log_size
            carried = {"outline_version": state.record.version, "outline_sha256": state.record.outline_sha256}
            kept = {"base_at": base} if (base := state.record.payload.get("base_at")) is not None else {}
        else:
            last, size, carried, kept = self.log.last(), self.log.size(), {}, {}
        chained = carried | {"prev_sha256": last.sha256 if last else EMPTY_SHA256, "delta": []} | kept
        fields = {key: value for key, value in event.payload.items() if key not in chained}
        full = event.model_copy(update={"payload": chained | fields})
        record = self._append(last, size, _line_of(full))
        self._after_commit(record, lambda: durable.write_hint(self.head_path, head_of(record)))
        return record

    def commit(self, state: State | None, outline: Outline, note: Note) -> Record:
        """Make `outline` the next version; see the module. Takes a held lock.

        `state` is `None` for the first version of a folder that holds nothing yet.
        """
        assert is_held(self.lock_path), "a commit needs the report's lock"
        _require_id(outline, self.report_id)
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
        data = saved_bytes(new)
        if len(data) > MAX_REPORT_BYTES:
            raise TooLargeError(
                f"The report would have {len(data):,} bytes; the limit is {MAX_REPORT_BYTES:,}.",
                hint="Split it into several reports, or remove what is no longer needed.",
                limit=MAX_REPORT_BYTES,
            )
        last = state.found.last if state is not None else self.log.last()
        size = state.found.log_size if state is not None else self.log.size()
        payload = {
            "outline_version": new.outline_version,
            "outline_sha256": hashes.of(data),
            "prev_sha256": last.sha256 if last else EMPTY_SHA256,
            "delta": delta,
            "reason": note.reason,
            "client": note.author.client,
        }
        if state is not None:
            payload |= self._provenance(state, size + _gap(last))
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
        replaced = state.found.outline if state is not None else None
        self._after_commit(record, lambda: publish(self, temporary, new, record, replaced))
        outlines.put(new, record.outline_sha256, len(data))
        return record

    def _provenance(self, state: State, offset: int) -> dict[str, Any]:
        """What the event says of the bytes that it replaces; `offset` is where it will stand.

        `backup_sha256` is there where they are not those of the version before: another writer's,
        a person's, or damaged ones. `head_was` is what `.head` said of an event that the log lacks.
        """
        found, record = state.found, state.record
        is_stranger = record is None or found.sha256 != record.outline_sha256
        backup = next_backup(self.backups_dir, newest_backup(state)) if found.outline is not None else None
        return {
            "backup_filename": backup,
            "backup_sha256": found.sha256 if is_stranger else None,
            "base_at": base_at(state, offset),
            "head_was": found.head if is_head_lost(found, self.log) else None,
        }

    def _write_event(
        self, temporary: Path, data: bytes, last: Record | None, size: int, event: AuditEvent
    ) -> Record:
        """Steps 3 to 5, undone if they fail."""
        try:
            if self.outline_path.exists():
                durable.make_folder(self.backups_dir)
            durable.write_new(temporary, data)
            if "backup_sha256" in event.payload:  # torn, the line can only be told by this name
                durable.sync_folder(self.report_dir)
            self.mark()
            return self._append(last, size, _line_of(event))
        except StorageFailedError as error:
            if error.details["happened"] == "no":
                self._undo(temporary)
            raise
        except OSError as error:
            self._undo(temporary)
            raise storage_failed(error) from error

    def _secure_name(self) -> None:
        """Make sure that a power cut cannot take the folder's name away from what is written now.

        A mark that is there already was left by one who died, perhaps between giving the folder its
        name and the sync of that.
        """
        if self.index is not None and self.index.is_marked(self.report_id):
            try:
                durable.sync_folder(self.report_dir.parent)
            except OSError as error:
                raise storage_failed(error) from error

    def mark(self) -> None:
        """Step 4. Takes a held lock."""
        if self.index is not None:
            self._secure_name()
            self.index.mark(self.report_id)

    def _append(self, last: Record | None, size: int, line: bytes) -> Record:
        """Step 5: the line, synced, behind a newline where the line before lacks its own."""
        self._require_lock()
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
        if not is_still_held(self.lock_path):
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

    def _after_commit(self, record: Record, publish: Callable[[], None]) -> None:
        """Steps 6 and 7: make what the event says visible. It is committed, whatever happens here."""
        try:
            publish()
        except OSError as error:
            logger.warning("version %d is committed but not yet in place: %s", record.version, error.strerror)

    def announce(self, outline: Outline) -> None:
        """Bring the index up to date. Takes a held lock: two entries must not overtake each other."""
        if self.index is not None:
            entry = entry_of(outline, f"{self.report_dir.parent.name}/{self.report_id}")
            self.index.announce(entry, self.report_id)


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

    def record_of(self, version: int) -> Record:
        """The event that made a version; see `History.find`."""
        return self._storage.history.find(version)

    def events(self, naming: Sequence[bytes] = ()) -> Iterator[Record]:
        """The lines of the log, newest first; see `AuditLog.backwards`."""
        return self._storage.log.backwards(naming=naming)

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


def _line_of(event: AuditEvent) -> bytes:
    return event.model_dump_json(exclude_none=True).encode()


def _require_id(outline: Outline, folder: str) -> None:
    """An outline under another report's id would be taken for that report."""
    try:
        expected = parse_uuid(folder)
    except ValueError:
        return  # a folder that is not named by an id
    if parse_uuid(outline.report_id) != expected:
        raise InvalidInputError(
            f"The outline belongs to report {outline.report_id}, the folder to {folder}.",
            hint="Save an outline where it belongs.",
            path="report_id",
        )


def _gap(last: Record | None) -> int:
    return int(last is not None and not last.is_complete)


def storage_failed(error: OSError) -> StorageFailedError:
    """The answer to a disk that refused before the change was committed."""
    return StorageFailedError(
        f"The disk refused: {error.strerror or 'unknown error'}. Nothing was changed.",
        happened="no",
        hint="Make room or mend the disk, then send the same call again.",
    )


def not_found(report_id: str) -> ReportNotFoundError:
    """The error for a report that is not there."""
    hint = "list_reports shows the reports with their ids."
    return ReportNotFoundError(f"There is no report {report_id!r}.", hint=hint)
