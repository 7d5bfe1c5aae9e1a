"""One report's folder: its files, and reading them without changing anything.

Rules:

- The log is the truth. `outline.json` follows from it; `recovery` brings the two in step where they differ.
- `.head` is written after its event was synced, so no crash leaves it naming an event that the log
  lacks. Where it does, the log was cut or rewritten.
- Version N is the nearest outline at hand (the current one, a kept backup, or an event that holds a
  whole outline) with the deltas between applied or taken back. The result must have the
  `outline_sha256` of its event, or it is an error, never a guess.
- Backups are named by time, and their versions rise with their names, so the nearest one is found by
  bisection; they are never all opened.
- Outlines and most backups are not synced: after a power cut they may be garbled (empty, cut short, with
  zeros). A garbled backup is no base; the log, or an older backup, makes the same bytes.
- Outlines are values: a cached one is never changed.

    >>> folder = ReportFolder(root / "by_id" / report_id)
    >>> with folder.lock():
    ...     found = folder.look()
    >>> found.is_settled
    True
"""

from __future__ import annotations

import os
import re
import threading
import time
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

from living_reports.errors import (
    CorruptReportError,
    NoSuchVersionError,
    ReportNotFoundError,
    StorageFailedError,
)
from living_reports.model.delta import DeltaError, apply, invert
from living_reports.model.report import (
    Insight,
    Outline,
    Section,
    outline_bytes,
    parse_outline,
    parse_uuid,
    sha256_hex,
)
from living_reports.regular_files import NotRegularFileError, read_regular, read_with_status
from living_reports.store.base import Snapshot
from living_reports.store.files import durable
from living_reports.store.files.catalogue import Listing, ReportIndex, entry_of, version_in
from living_reports.store.files.lock import DEFAULT_TIMEOUT_SECONDS, ReportLock, hold
from living_reports.store.files.log import AuditLog, Record, RequestCache, Tail

_HEAD = re.compile(r"^([1-9]\d{0,17}):([0-9a-f]{64})$")
_TEMPORARY = re.compile(r"^\.outline\..*\.tmp$")
_BACKUP = re.compile(r"^outline\.json\.\d{8}T\d{6}_\d{6}\.bak$")
_BACKUPS_TRIED = 8
_COARSE_NS = 3_000_000_000
_BEGINNING, _END = b'{\n  "report_id": "', b"\n}\n"
"""Those of the bytes of an outline. No part of one has this end: inner lines are indented, and texts have
no raw newlines."""
_CACHE_BYTES = 8_000_000
_HASHED = 4
_HASHED_BYTES = range(16_000, 2_000_000)
_REMEMBERED_BYTES = 4_000_000


# --- The state of a report ----------------------------------------------------------------


class Stamp(NamedTuple):
    """The status of an outline, by which a later save of it is noticed."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return the stamp of a file."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)

    def is_older_than(self, now_ns: int) -> bool:
        """Return whether a write from now on gives the file another time: then equal stamps mean equal bytes.

        File systems with times in whole seconds have a coarse clock.
        """
        slack_ns = durable.CLOCK_SLACK_NS if self.mtime_ns % 1_000_000_000 else _COARSE_NS
        return self.mtime_ns + slack_ns <= now_ns


@dataclass(frozen=True)
class Found:
    """The files of a report, read at one moment under its lock. `sha256` is that of `outline`."""

    outline: bytes | None
    sha256: str
    stamp: Stamp | None
    last: Record | None
    head: str
    tail: Tail
    strays: tuple[str, ...] = ()
    """Temporary files that commits left when their process died."""

    @property
    def log_size(self) -> int:
        """The bytes in the log."""
        return self.tail.end

    @property
    def is_settled(self) -> bool:
        """True if the last event was made and published: nothing has to be recovered."""
        last = self.last
        if last is None or not last.is_complete or not last.is_ours or not last.is_event:
            return False
        return last.outline_sha256 == self.sha256 and self._is_published(last)

    @cached_property
    def head_event(self) -> tuple[int, str] | None:
        """Version and sha256 of the event that `.head` names; `None` where it is absent or unreadable."""
        match = _HEAD.match(self.head)
        return (int(match[1]), match[2]) if match else None

    @property
    def head_version(self) -> int:
        """The version that `.head` names; 0 where it is absent or unreadable."""
        return self.head_event[0] if self.head_event else 0

    def _is_published(self, last: Record) -> bool:
        if self.head_event == (last.version, last.sha256):
            return True
        # The outline takes its name after the event is synced, so an outline that matches a
        # version-making event proves that it was; an event without a version needs its head.
        is_behind = self.head_event is None or self.head_event[1] == last.payload.get("prev_sha256")
        return is_behind and last.makes_version


@dataclass(frozen=True)
class State(Snapshot):
    """A report that is ready to be read, and to be written unless `refusal` says why not.

    Attributes:
        found: The files; `outline` differs from them where an edit by hand or damage is being dealt with.
        floor: The highest version number ever seen in the folder.
    """

    head: Record | None
    found: Found = field(kw_only=True)
    floor: int = field(kw_only=True)

    @classmethod
    def of(
        cls,
        outline: Outline,
        record: Record | None,
        found: Found,
        floor: int,
        warnings: tuple[str, ...] = (),
        refusal: CorruptReportError | None = None,
    ) -> State:
        """Return the state with this newest event of ours; an adoption takes a version of its own."""
        following = max(outline.outline_version, floor) + (1 if record is not None else 2)
        return cls(
            outline, outline.outline_version, following, record, warnings, refusal, found=found, floor=floor
        )

    @property
    def record(self) -> Record | None:
        """The newest event of ours, `None` in a folder that only another program has written."""
        return self.head

    @property
    def says_deleted(self) -> bool:
        """True if its last event says that it belongs in the trash."""
        return self.head is not None and self.head.is_deletion


# --- Caches -------------------------------------------------------------------------------


class Hashes:
    """The sha256 of outlines. The last few long ones are kept: comparing costs a tenth of hashing."""

    def __init__(self) -> None:
        self._known: deque[tuple[bytes, str]] = deque(maxlen=_HASHED)

    def of(self, data: bytes) -> str:
        """Return the sha256 of these bytes."""
        for known, sha256 in tuple(self._known):
            if known == data:
                return sha256
        sha256 = sha256_hex(data)
        if len(data) in _HASHED_BYTES:
            self._known.append((data, sha256))
        return sha256


class OutlineCache:
    """The outlines read or written last, by the hash of their bytes. Outlines are never changed in place."""

    def __init__(self, limit_bytes: int = _CACHE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._outlines: OrderedDict[str, tuple[Outline, int]] = OrderedDict()
        self._mutex = threading.Lock()

    def parse(self, data: bytes, sha256: str) -> Outline:
        """Return the outline of these bytes.

        Raises:
            ValueError: They are not one.
        """
        with self._mutex:
            if sha256 in self._outlines:
                self._outlines.move_to_end(sha256)
                return self._outlines[sha256][0]
        outline = parse_outline(data)
        self.put(outline, sha256, len(data))
        return outline

    def put(self, outline: Outline, sha256: str, size: int) -> None:
        """Remember an outline, and forget the oldest where there are too many."""
        with self._mutex:
            if size > self._limit_bytes or sha256 in self._outlines:
                return
            self._outlines[sha256] = (outline, size)
            self._held_bytes += size
            while self._held_bytes > self._limit_bytes:
                self._held_bytes -= self._outlines.popitem(last=False)[1][1]


class ItemBytes:
    """The bytes of the items that were written last."""

    def __init__(self) -> None:
        self._pieces: OrderedDict[int, tuple[Section | Insight, bytes]] = OrderedDict()
        self._held_bytes = 0
        self._mutex = threading.Lock()

    def of(self, items: Sequence[Section | Insight]) -> list[bytes]:
        """Return the bytes of each item, indented as `outline.json` has it."""
        with self._mutex:
            pieces = [self._piece(item) for item in items]
            while self._held_bytes > _REMEMBERED_BYTES:
                self._held_bytes -= len(self._pieces.popitem(last=False)[1][1])
        return pieces

    def _piece(self, item: Section | Insight) -> bytes:
        known = self._pieces.get(id(item))
        if known is not None:
            self._pieces.move_to_end(id(item))
            return known[1]
        text = item.model_dump_json(indent=2, exclude_none=True, by_alias=True)
        piece = b"    " + text.replace("\n", "\n    ").encode()
        self._pieces[id(item)] = (item, piece)
        self._held_bytes += len(piece)
        return piece


class Memory:
    """The caches of one store, and the reports that it must not write any more.

    Attributes:
        undecided: The logs whose last append could be neither made nor undone by this store.
    """

    def __init__(self) -> None:
        self.hashes = Hashes()
        self.outlines = OutlineCache()
        self.items = ItemBytes()
        self.requests = RequestCache()
        self.undecided: set[str] = set()

    def outline_at_path(self, path: Path, limit_bytes: int) -> Outline | None:
        """Return the outline in a file as it is now; `None` where it is larger, or none."""
        try:
            data = read_regular(path, limit_bytes + 1)
            return self.outlines.parse(data, self.hashes.of(data)) if len(data) <= limit_bytes else None
        except (OSError, ValueError):
            return None


# --- The folder ---------------------------------------------------------------------------


class ReportFolder:
    """The files of one report.

    Args:
        report_dir: The report's folder. A folder that is not there is made by the first write.
        lock_timeout_seconds: How long to wait for other writers.
        index: The catalogue to keep up to date, if the folder belongs to a root.
        memory: The caches of the store that the folder belongs to.

    Attributes:
        is_clean: Whether the folder was listed; who leaves a temporary file since then leaves a mark, too.
        is_pruned: Whether the backups that crashes left were removed.
    """

    def __init__(
        self,
        report_dir: Path,
        *,
        lock_timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        index: ReportIndex | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.report_dir = Path(report_dir)
        self.outline_path = self.report_dir / "outline.json"
        self.audit_path = self.report_dir / "audit.jsonl"
        self.backups_dir = self.report_dir / "backups"
        self.lock_path = self.report_dir / ".lock"
        self.head_path = self.report_dir / ".head"
        self.lock_timeout_seconds = lock_timeout_seconds
        self.index = index
        self.memory = memory or Memory()
        self.is_clean = self.is_pruned = False
        self.log = AuditLog(self.audit_path)
        self.history = History(self.log, self.backups_dir)

    @property
    def report_id(self) -> str:
        """The id that the folder is named after."""
        return self.report_dir.name

    @contextmanager
    def lock(self, timeout_seconds: float | None = None) -> Iterator[ReportLock]:
        """Hold the report for the block. A thread that holds it already does not wait.

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
        """Hold the report for a read. If its lock file cannot be opened, go on without it and yield False.

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
        """Return whether the folder holds an outline or a history."""
        return self.outline_path.exists() or self.audit_path.exists()

    def look(self, *, is_left_alone: bool = False) -> Found:
        """Return the bytes that say which state the report is in.

        Args:
            is_left_alone: No commit can have left a temporary file: the folder is not listed.
        """
        tail = self.log.tail()
        last = next(self.log.backwards(tail=tail), None)
        outline, stamp = self._outline_and_stamp()
        return Found(
            outline=outline,
            stamp=stamp,
            sha256=self.memory.hashes.of(outline) if outline is not None else "",
            last=last,
            head=parse_head(bytes_of(self.head_path) or b""),
            tail=tail,
            strays=() if is_left_alone else tuple(filter(_TEMPORARY.match, os.listdir(self.report_dir))),
        )

    def _outline_and_stamp(self) -> tuple[bytes | None, Stamp | None]:
        """Return the bytes of the outline; and its stamp, unless a later write could leave it as it is."""
        now_ns = time.time_ns()
        try:
            outline, status = read_with_status(self.outline_path)
        except FileNotFoundError:
            return None, None
        stamp = Stamp.of(status)
        return outline, stamp if stamp.is_older_than(now_ns) else None

    def look_if_settled(self) -> Found | None:
        """Return the files if no process died at work and nothing has to be recovered, else `None`.

        The caller holds the lock. A process that died leaves a mark with its temporary file, and a power cut
        that takes the mark ends this process, too. So the folder is listed once, and then only for a mark.
        """
        is_marked = self.index is None or self.index.is_marked(self.report_id)
        found = self.look(is_left_alone=self.is_clean and not is_marked)
        self.is_clean = found.is_settled and not found.strays
        return found if self.is_clean and not (is_marked and self.index is not None) else None

    def settled_state(self, found: Found) -> State:
        """Return the state of a report whose outline is the one that its last event names.

        Raises:
            CorruptReportError: The folder is a copy of another report's.
        """
        assert found.outline is not None
        assert found.last is not None
        self.require_own_history(found.last)
        outline = self.memory.outlines.parse(found.outline, found.sha256)
        return State.of(outline, found.last, found, floor=found.last.version)

    def require_own_history(self, record: Record) -> None:
        """Refuse a folder that was copied by hand under a second id: it would write as the original.

        Raises:
            CorruptReportError: The history is that of another report.
        """
        named = record.fields.get("report_id")
        if isinstance(named, str) and not self.is_id(named):
            raise CorruptReportError(
                f"The folder {self.report_id} holds the history of another report, {named}.",
                hint="A copy of a folder is not a report of its own: take it out of by_id.",
                damaged="folder",
            )

    def is_id(self, report_id: str) -> bool:
        """Return whether the folder is that of this report; any id is right for a folder not named by one."""
        try:
            return self.report_id == report_id or parse_uuid(self.report_id) == parse_uuid(report_id)
        except ValueError:
            return True

    def outline_at(self, version: int, state: State) -> Outline:
        """Return the outline of a version; see `History.outline_at`."""
        if version == state.version:
            return state.outline
        return self.history.outline_at(version, state.outline if state.refusal is None else None)

    def announce(self, outline: Outline) -> None:
        """Append the catalogue entry. The caller holds the lock, so that entries stay in order."""
        if self.index is not None:
            entry = entry_of(outline, f"{self.report_dir.parent.name}/{self.report_id}")
            self.index.announce(entry, self.report_id)


class Root(Protocol):
    """The parts of the folder store that its search and its repair use."""

    reports_root: Path
    by_id: Path
    trash_dir: Path
    index_path: Path
    index: ReportIndex
    memory: Memory
    lock_timeout_seconds: float

    def get_report_storage(self, report_id: str) -> ReportFolder:
        """Return the folder of a report."""

    def read(self, report_id: str) -> Snapshot:
        """Return a report after any recovery, and correct its catalogue entry."""

    def sweep(self) -> None:
        """Remove what interrupted creations left."""

    def settle_index(self) -> Listing | None:
        """Read every report whose catalogue entry may be wrong."""


def is_backup_name(name: str) -> bool:
    """Return whether a file of this name is a backup."""
    return _BACKUP.match(name) is not None


def backup_names(folder: Path) -> list[str]:
    """Return the backups in a folder, oldest first."""
    try:
        return sorted(filter(is_backup_name, os.listdir(folder)))
    except FileNotFoundError:
        return []


def parse_head(head: bytes) -> str:
    """Return the line in `.head`; empty if its two lines differ because a write was interrupted."""
    lines = set(head.decode("ascii", "replace").split())
    return lines.pop() if len(lines) == 1 else ""


def is_head_lost(found: Found, log: AuditLog) -> bool:
    """Return whether `.head` names an event that the log lacks, which no crash can cause."""
    if found.head_event is None:
        return False
    version, sha256 = found.head_event
    if found.last is not None and sha256 in (found.last.sha256, found.last.payload.get("prev_sha256")):
        return False
    first = log.find_version(version)
    if first is None:
        return True
    for record in log.forwards(first.offset):
        if record.sha256 == sha256:
            return False
        if record.version > version:
            break
    return True


def is_still(path: Path, found: Found) -> bool:
    """Return whether a file holds the outline that was found: by its status, or else by its bytes."""
    try:
        if found.stamp is not None and Stamp.of(os.lstat(path)) == found.stamp:
            return True
    except FileNotFoundError:
        return found.outline is None
    return bytes_of(path) == found.outline


def bytes_of(path: Path) -> bytes | None:
    """Return the bytes of a file; `None` if it does not exist."""
    try:
        return read_regular(path)
    except FileNotFoundError:
        return None


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raise what the disk refuses as a `StorageFailedError`; a missing file stays a `FileNotFoundError`."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_failed(error) from error


def storage_failed(error: OSError) -> StorageFailedError:
    """Return the error for a disk that refused before the change was committed."""
    if isinstance(error, NotRegularFileError):
        return StorageFailedError(
            f"{error.filename} cannot be used: {error.strerror}. Nothing was changed.",
            happened="no",
            hint="Replace it by the file itself, or remove it; doctor names its place.",
        )
    return StorageFailedError(
        f"The disk refused: {error.strerror or 'unknown error'}. Nothing was changed.",
        happened="no",
        hint="Make room or repair the disk, then send the same call again.",
    )


def not_found(report_id: str) -> ReportNotFoundError:
    """Return the error for a report that is not there."""
    hint = "list_reports shows the reports with their ids."
    return ReportNotFoundError(f"There is no report {report_id!r}.", hint=hint)


def is_garbled(data: bytes, history: History, versions: Iterable[int]) -> bool:
    """Return whether bytes are what a power cut leaves of an outline that was not synced.

    That is nothing, something with zeros (JSON has none), or the beginning of one of these versions.
    Anything else was written by somebody.
    """
    if not data or b"\0" in data:
        return True
    if data.endswith(_END) or not (data.startswith(_BEGINNING) or _BEGINNING.startswith(data)):
        return False
    return any(history.is_part_of(data, version) for version in versions)


# --- Any version --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Base:
    """An available outline. Replaying starts behind its event, at `offset` in the log."""

    outline: Outline
    version: int
    offset: int


class History:
    """The versions that the log and the backups of one report hold."""

    def __init__(self, log: AuditLog, backups_dir: Path) -> None:
        self.log = log
        self.backups_dir = backups_dir

    def find(self, version: int) -> Record:
        """Return the event that made a version.

        Raises:
            NoSuchVersionError: There is none.
        """
        record = self.log.find_version(version)
        if record is None:
            first, last = self.log.first_ours(), self.log.last_ours()
            span = f"Versions run from {first.version} to {last.version}." if first and last else ""
            raise NoSuchVersionError(f"There is no version {version}.", hint=span)
        return record

    def outline_at(self, version: int, current: Outline | None = None) -> Outline:
        """Return the outline as it was at a version.

        Args:
            version: Which one.
            current: The newest outline, if it is at hand and known to be whole.

        Raises:
            NoSuchVersionError: The report never had this version.
            CorruptReportError: What the log and the backups give does not have its hash.
        """
        record = self.find(version)
        if current is not None and current.outline_version == version:
            return current
        for base in self._bases(record, current):
            try:
                outline = self._replay(base, record)
            except (DeltaError, ValueError):
                continue
            if sha256_hex(outline_bytes(outline)) == record.outline_sha256:
                return outline
        raise CorruptReportError(
            f"Version {version} cannot be read back: the log and the backups give different bytes.",
            hint="Verify the report; versions after the damage can still be read.",
            damaged="history",
        )

    def is_part_of(self, data: bytes, version: int) -> bool:
        """Return whether bytes are the beginning of a version's outline, and not all of it."""
        try:
            whole = outline_bytes(self.outline_at(version))
        except (CorruptReportError, NoSuchVersionError):
            return False
        return len(data) < len(whole) and whole.startswith(data)

    def _bases(self, record: Record, current: Outline | None) -> Iterator[_Base]:
        """Yield the available outlines, nearest first by the bytes of log between; earlier events last."""
        if record.is_whole:
            yield from self._whole_base(record)
        near = [*self._current_base(current), *self._backup_bases(record.version)]
        yield from sorted(near, key=lambda base: abs(record.end - base.offset))
        whole = self._whole_before(record)
        if whole is not None:
            yield from self._whole_base(whole)

    def _whole_base(self, event: Record) -> Iterator[_Base]:
        """Yield the outline that an event holds whole, unless it was tampered with."""
        with suppress(DeltaError, ValueError):
            yield _Base(apply(None, event.delta), event.version, event.end)

    def _current_base(self, current: Outline | None) -> Iterator[_Base]:
        if current is not None:
            newest = self.log.find_version(current.outline_version)
            if newest is not None:
                yield _Base(current, newest.version, newest.end)

    def _backup_bases(self, version: int) -> Iterator[_Base]:
        """Yield the nearest sound backup at or below a version, and the nearest above it."""
        names = backup_names(self.backups_dir)
        split = bisect_right(names, version, key=lambda name: version_in(self.backups_dir / name))
        for side in (reversed(names[:split]), iter(names[split:])):
            tried = map(self._sound, islice(side, _BACKUPS_TRIED))
            base = next(filter(None, tried), None)
            if base is not None:
                yield base

    def _sound(self, name: str) -> _Base | None:
        try:
            data = read_regular(self.backups_dir / name)
            outline = parse_outline(data)
        except (OSError, ValueError):
            return None
        event = self.log.find_version(outline.outline_version)
        if event is None or event.outline_sha256 != sha256_hex(data):
            return None
        return _Base(outline, event.version, event.end)

    def _whole_before(self, record: Record) -> Record | None:
        """Return the newest event at or before this one that holds a whole outline."""
        first = self.log.first_ours()
        if first is not None and first.is_whole and first.version == record.version:
            return first
        return next((r for r in self.log.backwards(record.end) if r.is_whole), None)

    def _replay(self, base: _Base, record: Record) -> Outline:
        outline = base.outline
        if base.offset <= record.end:
            for step in self.log.forwards(base.offset, record.end):
                if step.makes_version:
                    outline = apply(outline, step.delta)
        else:
            for step in self.log.backwards(base.offset):
                if step.offset < record.end:
                    break
                if step.makes_version:
                    outline = apply(outline, invert(step.delta))
        return outline
