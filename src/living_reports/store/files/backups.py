"""The prior bytes of an outline, kept as files: their names, and which of them stay.

Rules:

- A backup is a link to the outline that a version replaced. The log can make the same bytes
  again; a backup makes that short, and keeps bytes that no version has (a person's, another
  writer's, damaged ones).
- The newest five stay, and one more whenever the log since the last kept one exceeds the
  outline's size. So all of them together stay under about twice the log, and a version is
  read back through at most one outline's size of deltas.
- Damaged bytes that a revert replaced stay for good: nothing else has what was typed into them.
- Names are times, and they rise: also where the clock does not.

    >>> backup_names(folder / "backups")
    ['outline.json.20261123T100000_000000.bak']
"""

from __future__ import annotations

import errno
import os
import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from living_reports.model.report import parse_outline
from living_reports.store.files import durable
from living_reports.store.files.audit import AuditLog, Record
from living_reports.store.files.state import State

NEWEST_BACKUPS = 5
_PRUNED_EVENTS = 4
_NAME = re.compile(r"^outline\.json\.\d{8}T\d{6}_\d{6}\.bak$")
_NAMED = re.compile(rb'"backup_filename":"(outline\.json\.\d{8}T\d{6}_\d{6}\.bak)"')
_OURS = re.compile(rb'"payload":\{"outline_version":\d+,"outline_sha256":"[0-9a-f]{64}"')
"""A line that looks like one of ours need not be parsed to be counted."""
_TIME = "outline.json.%Y%m%dT%H%M%S_%f.bak"
_VERSION_LINE = re.compile(rb'^  "outline_version": (\d+)', re.MULTILINE)
_HEAD_BYTES = 8192


def is_backup_name(name: str) -> bool:
    """Whether a file of this name is a backup."""
    return _NAME.match(name) is not None


def backup_names(folder: Path) -> list[str]:
    """The backups in a folder, oldest first."""
    try:
        return sorted(filter(is_backup_name, os.listdir(folder)))
    except FileNotFoundError:
        return []


def next_backup(folder: Path, newest: str = "") -> str:
    """A name for one more backup, later than all there are; `newest` is the last, where that is known."""
    now = datetime.now(UTC)
    newest = newest or next(reversed(backup_names(folder)), "")
    if now.strftime(_TIME) <= newest:  # the clock went backwards
        now = max(now, _time_of(newest) + timedelta(microseconds=1))
    return now.strftime(_TIME)


def newest_backup(state: State) -> str:
    """The name of the newest backup, where the last event tells it; with many backups, a list takes long."""
    record = state.record
    if record is None or record is not state.found.last or record.outline_sha256 != state.found.sha256:
        return ""  # another writer, or a person, may have put one there
    return str(record.payload.get("backup_filename", ""))


def _time_of(name: str) -> datetime:
    try:
        return datetime.strptime(name, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def version_in(path: Path) -> int:
    """The `outline_version` that an outline file states, without reading all of it; 0 if none.

    Raises:
        OSError: The process has no descriptor left.
    """
    try:
        with path.open("rb") as file:
            match = _VERSION_LINE.search(file.read(_HEAD_BYTES))
            return int(match[1]) if match else parse_outline(path.read_bytes()).outline_version
    except ValueError:
        return 0
    except OSError as error:
        require_about_file(error)
        return 0


def require_about_file(error: OSError) -> None:
    """Let an error go on that says nothing of the file: the process has no descriptor left to open it.

    Raises:
        OSError: It is such an error.
    """
    if error.errno in (errno.EMFILE, errno.ENFILE):
        raise error


def base_at(state: State, offset: int) -> int:
    """Where replaying starts for versions from here on: the offset of an event in the log.

    It is the event's own offset, and its backup is kept, once the log since the last kept
    one exceeds the outline's size. That bounds what a version costs to read back, and all
    kept backups together by the size of the log.
    """
    record = state.record
    if record is None:
        return offset  # another writer's last bytes: kept for good
    base = record.end if record.is_whole else record.payload.get("base_at", offset)
    is_sound = state.found.sha256 == record.outline_sha256
    if is_sound and offset - base > len(state.found.outline or b""):
        return offset
    return int(base)


def prune(folder: Path, log: AuditLog, newest: Record) -> None:
    """Remove the backups that left the newest ones, unless they are to be kept.

    Usually one has just left; a few more events are looked at, since a crash may have
    prevented this before. The log says which: the folder of a long history holds many that are
    kept. The backups of another writer are not ours to remove.
    """
    named = log.backwards(newest.end, naming=[b'"backup_filename":"'])
    makers = (record for record in named if _OURS.search(record.raw) or record.is_ours)
    for record in islice(makers, NEWEST_BACKUPS, NEWEST_BACKUPS + _PRUNED_EVENTS):
        for name in map(bytes.decode, _NAMED.findall(record.raw)):
            is_there = os.access(f"{folder}/{name}", os.F_OK)
            is_named = is_there and record.is_ours and record.payload.get("backup_filename") == name
            if is_named and not _is_kept(record):
                durable.remove(folder / name)


def _is_kept(record: Record) -> bool:
    """True for the backup of an event at which replaying starts, or of damaged bytes.

    What a person typed into a file that was no outline any more is nowhere else. Where it was one,
    the event took it in.
    """
    is_taken_in = "backup_sha256" not in record.payload or (
        record.is_event and record.event.action_type == "manual_edit_detected"
    )
    return record.payload.get("base_at") == record.offset or not is_taken_in
