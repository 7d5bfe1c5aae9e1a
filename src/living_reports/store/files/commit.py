"""The commit: one new version of a report, or one event that makes none.

Steps (under the report's lock, one sync):

1. The report is settled: the last event of the log is complete, published, and the hash of
   `outline.json` is the one it names. If not, recovery comes first.
2. The new outline and its delta are computed, and `apply(old, delta) == new` is checked.
3. The new outline is written to a temporary file, not synced. A full disk normally shows here.
4. The report is marked in `.pending/`.
5. The event is appended to `audit.jsonl` and synced. *This is the commit.*
6. The old outline is linked into `backups/`, the temporary file takes its name.
7. `.head` and the index are written, the mark goes, backups are pruned.

What fails before the end of step 5 has not happened, and its traces are removed. What fails
after it has happened, and the next process to open the report finishes it.

The log is the truth and the only file that is synced. After a power cut the outline and young backups may
be empty, cut short or filled with zeros; `recovery` makes the outline again from the log.

Rules for steps 6 and 7:

- Only the bytes that the commit began with are replaced: they are read once, and compared by the status of
  their file after that, or again byte for byte where the status may not show a save. A file that a person
  saved since then stays where it is: it is an edit of an older version now, and the next read takes it in.
  A save in the microseconds between the last comparison and the renaming is not noticed.
- The old outline is linked into the backups only now: an editor that saves in place would change
  both names.
- A backup is a link to the outline that a version replaced. The newest five stay, and one more
  whenever the log since the last kept one exceeds the outline's size. So all of them together stay under
  about twice the log, and a version is read back through at most one outline's size of deltas.
- Damaged bytes that a revert replaced stay for good: no other file holds them.
- What is kept for good is synced before the event that says so, and so is what other programs and persons
  wrote: a backup of these that does not have its hash was changed by somebody.
- Names of backups are times, and they rise even where the clock does not.

    >>> with folder.lock():
    ...     record = commit(folder, state, outline, Note("rename", author))
    >>> record.version
    2
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from living_reports.errors import InternalError, InvalidInputError, StorageFailedError, TooLargeError
from living_reports.model.delta import Delta, apply, diff
from living_reports.model.event import AuditEvent
from living_reports.model.report import Outline, as_uuid, normalised, outline_bytes, parse_uuid
from living_reports.store.base import Note
from living_reports.store.files import durable
from living_reports.store.files.folder import (
    Found,
    Memory,
    ReportFolder,
    State,
    backup_names,
    is_head_lost,
    is_still,
    storage_failed,
)
from living_reports.store.files.lock import is_held, is_still_held
from living_reports.store.files.log import EMPTY_SHA256, Record, Tail

logger = logging.getLogger(__name__)

MAX_REPORT_BYTES = 16_000_000
NEWEST_BACKUPS = 5
_PRUNED_EVENTS = 4
_NAMED = re.compile(rb'"backup_filename":"(outline\.json\.\d{8}T\d{6}_\d{6}\.bak)"')
_OURS = re.compile(rb'"payload":\{"outline_version":\d+,"outline_sha256":"[0-9a-f]{64}"')
"""A line that looks like one of ours need not be parsed to be counted."""
_TIME = "outline.json.%Y%m%dT%H%M%S_%f.bak"


# --- Steps 2 to 5 -------------------------------------------------------------------------


def append_event(folder: ReportFolder, state: State | None, event: AuditEvent) -> Record:
    """Do step 5 and write `.head`, for an event that repeats version and hash. The caller holds the lock."""
    if state is not None and state.record is not None:
        last, size = state.found.last, state.found.log_size
        carried = {"outline_version": state.record.version, "outline_sha256": state.record.outline_sha256}
        kept = {"base_at": base} if (base := state.record.payload.get("base_at")) is not None else {}
    else:
        last, size, carried, kept = folder.log.last(), folder.log.size(), {}, {}
    chained = carried | {"prev_sha256": last.sha256 if last else EMPTY_SHA256, "delta": []} | kept
    fields = {key: value for key, value in event.payload.items() if key not in chained}
    full = event.model_copy(update={"payload": chained | fields})
    record = _append(folder, last, size, _line_of(full))
    _after_commit(folder, record, lambda: durable.write_hint(folder.head_path, head_of(record)))
    return record


def commit(folder: ReportFolder, state: State | None, outline: Outline, note: Note) -> Record:
    """Make `outline` the next version; see the module. The caller holds the lock.

    `state` is `None` for the first version of a folder that holds nothing yet.
    """
    assert is_held(folder.lock_path), "a commit needs the report's lock"
    _require_id(outline, folder.report_id)
    old = state.outline if state is not None else None
    version = outline.outline_version if state is None else max(state.version, state.floor) + 1
    new = normalised(outline).model_copy(update={"outline_version": version})
    return write_version(folder, state, new, delta_between(old, new), note)


def write_version(
    folder: ReportFolder, state: State | None, new: Outline, delta: Delta, note: Note
) -> Record:
    """Write a version whose outline and delta are known, and return its event."""
    data = saved_bytes(new, folder.memory)
    if len(data) > MAX_REPORT_BYTES:
        raise TooLargeError(
            f"The report would have {len(data):,} bytes; the limit is {MAX_REPORT_BYTES:,}.",
            hint="Split it into several reports, or remove what is no longer needed.",
            limit=MAX_REPORT_BYTES,
        )
    last = state.found.last if state is not None else folder.log.last()
    size = state.found.log_size if state is not None else folder.log.size()
    payload = {
        "outline_version": new.outline_version,
        "outline_sha256": folder.memory.hashes.of(data),
        "prev_sha256": last.sha256 if last else EMPTY_SHA256,
        "delta": delta,
        "reason": note.reason,
        "client": note.author.client,
        "user": note.author.user,
    }
    if state is not None:
        payload |= _provenance(folder, state, size + _gap(last))
    event = AuditEvent(
        action_id=note.action_id,
        report_id=new.report_id,
        ts=note.ts,
        actor=note.author.actor,
        action_type=note.action_type,
        request_id=note.request_id,
        payload={k: v for k, v in (payload | note.extra).items() if v not in (None, "")},
    )
    temporary = folder.report_dir / f".outline.{note.action_id}.tmp"
    record = _write_event(folder, temporary, data, last, size, event)
    found = state.found if state is not None else None
    _after_commit(folder, record, lambda: publish(folder, temporary, new, record, found))
    folder.memory.outlines.put(new, record.outline_sha256, len(data))
    return record


def _provenance(folder: ReportFolder, state: State, offset: int) -> dict[str, Any]:
    """Return the fields that describe the bytes replaced; `offset` is the place of the event in the log.

    `backup_sha256` is set if they are not those of the version before: another program's, an edit by
    hand, or damaged ones. `head_was` is the content of `.head` if it names an event that the log lacks.
    """
    found, record = state.found, state.record
    is_foreign = record is None or found.sha256 != record.outline_sha256
    backup = next_backup(folder.backups_dir, newest_backup(state)) if found.outline is not None else None
    return {
        "backup_filename": backup,
        "backup_sha256": found.sha256 if is_foreign else None,
        "base_at": base_at(state, offset),
        "head_was": found.head if is_head_lost(found, folder.log) else None,
    }


def _write_event(
    folder: ReportFolder, temporary: Path, data: bytes, last: Record | None, size: int, event: AuditEvent
) -> Record:
    """Do steps 3 to 5; undo them if one fails."""
    try:
        if "backup_filename" in event.payload:
            durable.make_folder(folder.backups_dir)
        durable.write_derived(temporary, data)
        is_foreign = "backup_sha256" in event.payload
        if is_foreign or event.payload.get("base_at") == size + _gap(last):
            durable.sync_file(folder.outline_path)  # it becomes a backup that is kept
        if is_foreign:  # a torn line can only be recognised by the name of the temporary file
            durable.sync_folder(folder.report_dir)
        mark(folder)
        return _append(folder, last, size, _line_of(event))
    except StorageFailedError as error:
        if error.details["happened"] == "no":
            _undo(folder, temporary)
        raise
    except OSError as error:
        _undo(folder, temporary)
        raise storage_failed(error) from error


def secure_name(folder: ReportFolder) -> None:
    """Ensure that a power cut cannot lose the folder's name together with what is written now.

    An existing mark was left by a process that died, perhaps between renaming the folder and syncing
    that name.
    """
    if folder.index is not None and folder.index.is_marked(folder.report_id):
        try:
            durable.sync_folder(folder.report_dir.parent)
        except OSError as error:
            raise storage_failed(error) from error


def mark(folder: ReportFolder) -> None:
    """Do step 4. The caller holds the lock."""
    if folder.index is not None and folder.index.mark(folder.report_id):
        secure_name(folder)


def _append(folder: ReportFolder, last: Record | None, size: int, line: bytes) -> Record:
    """Do step 5: append the line, synced, behind a newline if the line before lacks its own."""
    _require_lock(folder)
    gap = _gap(last)
    try:
        durable.append(folder.audit_path, b"\n" * gap + line + b"\n")
    except durable.CutFailedError as error:
        folder.memory.undecided.add(str(folder.audit_path))
        raise StorageFailedError(
            f"The disk refused ({error.strerror}); whether the change was made is unknown.",
            happened="unknown",
            hint="Restart the server once the disk works, then read the report to see its version.",
        ) from error
    except OSError as error:
        raise storage_failed(error) from error
    return Record(size + gap, line)


def _require_lock(folder: ReportFolder) -> None:
    if not is_still_held(folder.lock_path):
        raise StorageFailedError(
            "The report's lock file was removed while it was held.",
            happened="no",
            hint="Nothing was changed. Send the same call again.",
        )


def _undo(folder: ReportFolder, temporary: Path) -> None:
    """Undo steps 3 and 4. A file that cannot be removed is harmless; recovery removes it."""
    try:
        durable.remove(temporary)
        if folder.index is not None:
            folder.index.unmark(folder.report_id)
    except OSError as error:
        folder.is_clean = False
        logger.warning("a temporary file could not be removed: %s", error.strerror)


def _after_commit(folder: ReportFolder, record: Record, publish: Callable[[], None]) -> None:
    """Do steps 6 and 7. The event is committed, whatever happens here."""
    try:
        publish()
    except OSError as error:
        logger.warning("version %d is committed but not yet in place: %s", record.version, error.strerror)


def delta_between(old: Outline | None, new: Outline) -> Delta:
    """Return the delta from one outline to the next, checked.

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
    """Refuse an outline that has the id of another report."""
    expected = as_uuid(folder)
    if expected and parse_uuid(outline.report_id) != expected:
        raise InvalidInputError(
            f"The outline belongs to report {outline.report_id}, the folder to {folder}.",
            hint="Save an outline where it belongs.",
            path="report_id",
        )


def _gap(last: Record | None) -> int:
    return int(last is not None and not last.is_complete)


def saved_bytes(outline: Outline, memory: Memory) -> bytes:
    """Return `outline_bytes(outline)` without writing every item out again for every version."""
    rest = outline_bytes(outline.model_copy(update={"sections": [], "insights": []}))
    parts: list[bytes] = []
    for name, items in (("sections", outline.sections), ("insights", outline.insights)):
        # A line that begins so, with two spaces, is there once: text has no raw newlines in JSON.
        before, empty, rest = rest.partition(b'\n  "%s": []' % name.encode())
        lines = [part for piece in memory.items.of(items) for part in (b",\n", piece)]
        parts += (before, empty[:-1], b"\n", *lines[1:], b"\n  ]") if lines else (before, empty)
    return b"".join((*parts, rest))


# --- Steps 6 and 7 ------------------------------------------------------------------------


def publish(folder: ReportFolder, temporary: Path, new: Outline, record: Record, found: Found | None) -> None:
    """Put the outline of an event in place; update `.head` and the index. The caller holds the lock.

    Args:
        folder: The report.
        temporary: The file with the outline's bytes.
        new: The outline.
        record: The event.
        found: The files when the commit or the recovery began; `None` in a folder that held nothing.

    Raises:
        OSError: The disk refused.
    """
    is_kept = _keep_replaced(folder, record, found)
    if not (is_kept and put_in_place(folder, temporary, found)):
        durable.remove(temporary)
    durable.write_hint(folder.head_path, head_of(record))
    folder.announce(new)
    prune(folder, record, found.tail if found is not None else None)


def _keep_replaced(folder: ReportFolder, record: Record, found: Found | None) -> bool:
    """Link the replaced bytes into the backups; return False if they are no longer in place."""
    name = record.payload.get("backup_filename")
    if not isinstance(name, str) or found is None or found.outline is None:
        return True
    backup = folder.backups_dir / Path(name).name
    try:
        durable.link(folder.outline_path, backup)
    except FileNotFoundError:
        durable.make_folder(folder.backups_dir)  # after a crash it may be missing
        if not is_still(folder.outline_path, found):
            return False
        durable.link(folder.outline_path, backup)
    if "backup_sha256" in record.payload:  # no version has these bytes: they are there only
        durable.sync_folder(folder.backups_dir)
        durable.sync_folder(folder.report_dir)
    if is_still(backup, found):
        return True
    durable.remove(backup)  # somebody saved just now; `outline.json` is the name of these bytes
    return False


def put_in_place(folder: ReportFolder, temporary: Path, found: Found | None) -> bool:
    """Rename a new outline into place, unless another was saved there since the files were read."""
    is_free = found is None and not folder.outline_path.exists()
    if not (is_free or (found is not None and is_still(folder.outline_path, found))):
        return False
    durable.replace(temporary, folder.outline_path)
    return True


def head_of(record: Record) -> bytes:
    """Return the content of `.head`: its line twice, so that a half-written file is recognised."""
    return f"{record.version}:{record.sha256}\n".encode() * 2


# --- Backups ------------------------------------------------------------------------------


def next_backup(folder: Path, newest: str = "") -> str:
    """Return a name for a backup that sorts after all others; `newest` is the last one, if it is known."""
    now = datetime.now(UTC)
    newest = newest or next(reversed(backup_names(folder)), "")
    if now.strftime(_TIME) <= newest:  # the clock went backwards
        now = max(now, _time_of(newest) + timedelta(microseconds=1))
    return now.strftime(_TIME)


def newest_backup(state: State) -> str:
    """Return the name of the newest backup if the last event has it: listing many backups takes long."""
    record = state.record
    if record is None or record is not state.found.last or record.outline_sha256 != state.found.sha256:
        return ""  # another writer, or a person, may have put one there
    return str(record.payload.get("backup_filename", ""))


def _time_of(name: str) -> datetime:
    try:
        return datetime.strptime(name, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def base_at(state: State, offset: int) -> int:
    """Return the offset of the event in the log at which a replay of later versions starts.

    It is the event's own offset, and its backup is kept, once the log since the last kept
    one exceeds the outline's size. Behind a whole outline it is the newline that ends that event.
    That bounds what a version costs to read back, and all
    kept backups together by the size of the log.
    """
    record = state.record
    if record is None:
        return offset  # another writer's last bytes: kept for good
    base = record.end - 1 if record.is_whole else record.payload.get("base_at", offset)
    is_sound = state.found.sha256 == record.outline_sha256
    if is_sound and offset - base > len(state.found.outline or b""):
        return offset
    return int(base)


def prune(folder: ReportFolder, newest: Record, tail: Tail | None) -> None:
    """Remove the backups that are no longer among the newest, unless they are kept for good.

    One has just left. The first time a few more events are looked at, since a crash may have prevented
    this before. The log says which (`tail` is its end before the newest event): the folder of a long
    history holds many that are kept. The backups of another writer are not ours to remove.
    """
    gap = newest.offset - tail.end if tail is not None else -1
    tail = tail.and_then(b"\n" * gap + newest.raw + b"\n") if tail is not None and gap >= 0 else None
    named = folder.log.backwards(newest.end, [b'"backup_filename":"'], tail=tail)
    makers = (record for record in named if _OURS.search(record.raw) or record.is_ours)
    count = 1 if folder.is_pruned else _PRUNED_EVENTS
    for record in islice(makers, NEWEST_BACKUPS, NEWEST_BACKUPS + count):
        for name in map(bytes.decode, _NAMED.findall(record.raw)):
            is_named = record.is_ours and record.payload.get("backup_filename") == name
            if is_named and not record.keeps_backup:
                durable.remove(folder.backups_dir / name)
    folder.is_pruned = True
