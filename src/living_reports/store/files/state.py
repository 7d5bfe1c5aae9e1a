"""A report as it was found on disk, and what has to happen to it: decided here, done elsewhere.

Rules:

- The log is the truth. `outline.json` follows from it; where they disagree, the log wins,
  unless the outline is a person's valid edit of the current version.
- What cannot be explained is never guessed at and never cut: the report is damaged, reads
  give the last good version with a warning, and writes are refused.
- `.head` is written after its event was synced, so no crash leaves it naming an event that the
  log lacks. Where it does, the log was cut or rewritten; a line is then never taken for torn.
- This module reads what it is given and the log; it changes nothing.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from living_reports.errors import CorruptReportError
from living_reports.model.report import Outline, parse_outline, sha256_hex
from living_reports.store.files.audit import AuditLog, Record

MAX_TORN_BYTES = 64 * 1024 * 1024
_HEAD = re.compile(r"^([1-9]\d{0,17}):([0-9a-f]{64})$")


@dataclass(frozen=True)
class Found:
    """The bytes of a report as one look under the lock found them."""

    outline: bytes | None
    last: Record | None
    head: str
    log_size: int
    strays: tuple[str, ...] = ()
    """Temporary files that commits left when their process died."""

    @cached_property
    def sha256(self) -> str:
        """The sha256 of `outline.json`; empty where there is none."""
        return hashes.of(self.outline) if self.outline is not None else ""

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
class State:
    """A report that is ready to be read, and to be written unless `refusal` says why not.

    `record` is the newest event of ours, `None` in a folder that only another writer has
    written. `floor` is the highest version number ever seen in the folder. `found` is what is
    on disk; `outline` differs from it where a person's edit or damage is being dealt with.
    """

    outline: Outline
    record: Record | None
    found: Found
    floor: int
    warnings: tuple[str, ...] = ()
    refusal: CorruptReportError | None = None

    @property
    def version(self) -> int:
        """The current version."""
        return self.outline.outline_version

    @property
    def says_deleted(self) -> bool:
        """True if its last event says that it belongs into the trash."""
        return self.record is not None and self.record.is_deletion


# --- Outlines already hashed, and parsed ---------------------------------------------------

_CACHE_BYTES = 8_000_000
_HASHED = 4
_HASHED_BYTES = range(16_000, 2_000_000)


class Hashes:
    """The sha256 of outlines. Of the last few long ones it is known: to compare costs a tenth of hashing."""

    def __init__(self) -> None:
        self._known: deque[tuple[bytes, str]] = deque(maxlen=_HASHED)

    def of(self, data: bytes) -> str:
        """The sha256 of these bytes."""
        for known, sha256 in tuple(self._known):
            if known == data:
                return sha256
        sha256 = sha256_hex(data)
        if len(data) in _HASHED_BYTES:
            self._known.append((data, sha256))
        return sha256


hashes = Hashes()


class OutlineCache:
    """The outlines read or written last, by the hash of their bytes. They are values: nobody changes them."""

    def __init__(self, limit_bytes: int = _CACHE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._outlines: OrderedDict[str, tuple[Outline, int]] = OrderedDict()
        self._mutex = threading.Lock()

    def parse(self, data: bytes, sha256: str) -> Outline:
        """The outline of these bytes.

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


outlines = OutlineCache()


def outline_on_disk(path: Path, limit: int) -> Outline | None:
    """The outline in a file as it is now; `None` where that is over `limit` bytes, or none."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        return outlines.parse(data, hashes.of(data)) if len(data) <= limit else None
    except (OSError, ValueError):
        return None


# --- What to do: one class for each case --------------------------------------------------


@dataclass(frozen=True)
class Foreign:
    """Only another writer's files: taken as they are until the first write adopts them."""

    outline: Outline


@dataclass(frozen=True)
class Torn:
    """The last line was never finished: put it aside and cut it off."""

    line: Record


@dataclass(frozen=True)
class Confirm:
    """The log's end may not be on the disk yet: write it again from here, then look again."""

    record: Record


@dataclass(frozen=True)
class RollForward:
    """The last event is committed, its outline not yet in place: make it from the one before.

    `before` is `None` where what is in place is no version: a person's bytes, or another writer's.
    """

    record: Record
    before: Outline | None


@dataclass(frozen=True)
class LogWins:
    """The outline is an old or a missing one: put the log's version in place.

    `why` is empty where nothing odd happened: the very first commit was cut short.
    """

    record: Record
    why: str
    keep: bool


@dataclass(frozen=True)
class HandEdit:
    """A person edited a version: what that changed becomes a version of its own, if it still fits."""

    record: Record
    outline: Outline


@dataclass(frozen=True)
class Damaged:
    """Nothing explains what is there. `record` is the newest good event, if any."""

    record: Record | None
    damage: str
    floor: int = 0


Case = Foreign | Torn | Confirm | RollForward | LogWins | HandEdit | Damaged


def diagnose(found: Found, log: AuditLog, is_outline_of: Callable[[Outline], bool]) -> Case:
    """What has to be done with a report that is not settled.

    `is_outline_of` tells whether an outline belongs into this folder.

    Raises:
        FileNotFoundError: There is neither an outline nor a history.
    """
    record = log.last_ours()
    outline, problem = _parsed(found.outline, is_outline_of)
    if record is None:
        return _diagnose_foreign(found, outline, problem)
    if found.last is not None and found.last.data is None:
        return _diagnose_bad_end(found, found.last, log, record)
    if not record.is_event:
        return Damaged(record, "the last event of audit.jsonl is damaged")
    if found.sha256 == record.outline_sha256:
        return Confirm(record)
    if found.outline is None:
        is_first = next(log.forwards()).offset == record.offset
        return LogWins(record, "" if is_first else "outline.json was missing", keep=False)
    if (newest := _replaced_by_newest(found, log, record)) is not None:
        return RollForward(newest, None)
    if outline is None:
        return Damaged(record, f"outline.json is not a valid outline ({problem})")
    return _diagnose_outline(found, log, record, outline)


def _parsed(data: bytes | None, is_outline_of: Callable[[Outline], bool]) -> tuple[Outline | None, str]:
    if data is None:
        return None, "the file is missing"
    try:
        outline = outlines.parse(data, hashes.of(data))
    except ValueError as error:
        return None, str(error)
    if not is_outline_of(outline):
        return None, f"it belongs to report {outline.report_id}"
    return outline, ""


def _diagnose_foreign(found: Found, outline: Outline | None, problem: str) -> Case:
    if outline is not None:
        return Foreign(outline)
    if found.outline is None:
        raise FileNotFoundError("no outline.json and no history of it")
    return Damaged(None, f"outline.json is not a valid outline ({problem})")


def _diagnose_bad_end(found: Found, line: Record, log: AuditLog, record: Record) -> Case:
    """A last line that does not parse was torn, if what is there shows that nobody built on it.

    That is an outline of an event before it, or the one that the newest event replaced. Or it is
    anything at all (a person's edit, an old editor buffer, no outline) with the temporary file that was
    to take the place of it: a commit upon these bytes had not come to the renaming.
    """
    version = version_of(found.outline)
    event = log.find_version(version)
    is_known = event is not None and event.outline_sha256 == found.sha256
    is_explained = is_known or bool(found.strays) or _replaced_by_newest(found, log, record) is not None
    if is_explained and len(line.raw) <= MAX_TORN_BYTES and not is_head_lost(found, log):
        return Torn(line)
    return Damaged(record, "the last line of audit.jsonl is damaged", version)


def _replaced_by_newest(found: Found, log: AuditLog, record: Record) -> Record | None:
    """The event of the newest version, if what is in place are the strange bytes that it replaces."""
    newest = log.find_version(record.version)
    if newest is None or not found.sha256 or newest.payload.get("backup_sha256") != found.sha256:
        return None
    return newest


def version_of(data: bytes | None) -> int:
    """The version that an outline states; 0 if it is none."""
    outline, _ = _parsed(data, lambda _: True)
    return outline.outline_version if outline is not None else 0


def said_in(head: bytes) -> str:
    """What `.head` says; empty where its lines differ: it was being written over when the power went."""
    lines = set(head.decode("ascii", "replace").split())
    return lines.pop() if len(lines) == 1 else ""


def is_head_lost(found: Found, log: AuditLog) -> bool:
    """True if `.head` names an event that the log lacks, which no crash can bring about."""
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


def _diagnose_outline(found: Found, log: AuditLog, record: Record, outline: Outline) -> Case:
    """A valid outline that is not the one of the last event."""
    version = outline.outline_version
    event = log.find_version(version)
    if event is not None and event.outline_sha256 == found.sha256:
        newest = log.find_version(record.version)
        if newest is not None and _version_before(log, newest) == version:
            return RollForward(newest, outline)
        return LogWins(record, f"outline.json was version {version}, an older one", keep=True)
    last = found.last
    explained = last is not None and not last.is_ours
    if event is not None or version == record.version or (version > record.version and explained):
        return HandEdit(record, outline)
    if version > record.version:
        damage = f"outline.json says version {version}, but the log ends at {record.version}"
        return Damaged(record, damage, version)
    return LogWins(record, f"outline.json was an edit of version {version}, which never was", keep=True)


def _version_before(log: AuditLog, event: Record) -> int:
    for record in log.backwards(event.offset):
        if record.is_ours:
            return record.version
    return 0
