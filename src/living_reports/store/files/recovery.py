"""Bringing a report back to a settled state after a crash, a restored copy, or a person's edit.

Rules:

- The log is the truth. `outline.json` follows from it; where they disagree, the log wins,
  unless the outline is a person's valid edit of the current version. What recovery puts in place has the
  hash that its event names.
- `diagnose` decides and changes nothing; the functions below it act, under the report's lock.
- Before anything is published, answered or chained to, the end of the log is written again
  in place and synced: a line that can be read may still be missing on the disk.
- The outline is not synced: after a power cut it may be empty, cut short or filled with zeros. Exactly these
  are recognised, and the outline is made again from the log.
- What cannot be explained is never guessed at and never cut (another invalid outline is a person's
  unfinished edit): the report is damaged, reads give the last good version with a warning, and writes are
  refused.
- Nothing is thrown away: a torn line goes to `audit.torn`, an outline that loses to the log
  is set aside beside it, synced, and the answer says where. Where `.head` names an event that the log lacks,
  a line is never taken for torn.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from living_reports.errors import CorruptReportError, StorageFailedError, TooLargeError
from living_reports.model.delta import DeltaError, apply, diff
from living_reports.model.event import Author
from living_reports.model.merge import three_way
from living_reports.model.report import Outline, normalised, outline_bytes, sha256_hex
from living_reports.regular_files import read_regular
from living_reports.store.base import Note
from living_reports.store.files import durable
from living_reports.store.files.catalogue import version_in
from living_reports.store.files.commit import commit, head_of, publish, put_in_place, write_version
from living_reports.store.files.folder import (
    Found,
    ReportFolder,
    State,
    backup_names,
    disk_errors,
    is_backup_name,
    is_garbled,
    is_head_lost,
)
from living_reports.store.files.log import AuditLog, Record

logger = logging.getLogger(__name__)

MAX_TORN_BYTES = 64 * 1024 * 1024
UNLOCKED_ATTEMPTS = 20
_UNLOCKED_PAUSE_SECONDS = 0.005
_OLDER_VERSIONS_TRIED = 50
_VERSION_LINE = re.compile(rb'^  "outline_version": (\d{1,18}),$', re.MULTILINE)


# --- Reading and preparing a write ---------------------------------------------------------


def read(folder: ReportFolder) -> State:
    """Return the report as it is now, recovered first if a crash or a person left something to do.

    Raises:
        FileNotFoundError: There is no such report.
        CorruptReportError: No version of it can be read.
        LockTimeoutError: Another writer kept it for the whole time-out.
        StorageFailedError: The disk refused.
    """
    if not folder.exists():
        raise FileNotFoundError(f"Outline not found: {folder.outline_path.name}")
    with disk_errors():
        with folder.reading() as is_locked:
            found = folder.look() if is_locked else None
        if found is None or str(folder.audit_path) in folder.memory.undecided:
            return _read_unlocked(folder)
        if found.is_settled and not found.strays:
            return folder.settled_state(found)
        with folder.lock():
            return settle(folder)


def _read_unlocked(folder: ReportFolder) -> State:
    """Read without the lock and without recovery: use files that agree, else read them again."""
    for _ in range(UNLOCKED_ATTEMPTS):
        found = folder.look()
        if found.last is None or not found.last.is_ours:
            break
        if found.last.is_event and found.last.outline_sha256 == found.sha256:
            return folder.settled_state(found)
        time.sleep(_UNLOCKED_PAUSE_SECONDS)  # a writer is between its event and its outline
    return _state_without_writing(folder)


def adopt(folder: ReportFolder, state: State, author: Author) -> State:
    """Commit the first event of ours in another program's folder: the whole outline, their bytes kept.

    Returns:
        The state that follows.
    """
    version = max(state.version, state.floor) + 1
    new = normalised(state.outline).model_copy(update={"outline_version": version})
    reason = "adopted: written by another program until now"
    write_version(
        folder, state, new, diff(None, new), Note("evolve", author, reason, extra={"adopted": True})
    )
    return settled(folder)


def settled(folder: ReportFolder) -> State:
    """Return the state to start a write from; recovery comes first. The caller holds the lock.

    Raises:
        FileNotFoundError: There is no such report.
        StorageFailedError: The disk refused, or an earlier write has an unknown outcome.
    """
    if str(folder.audit_path) in folder.memory.undecided:
        raise StorageFailedError(
            "An earlier write of this process has an unknown outcome, so it no longer writes this report.",
            happened="no",
            hint="Restart the server once the disk works; opening the report then settles it.",
        )
    with disk_errors():
        return settle(folder)


# --- Recovery -----------------------------------------------------------------------------


def settle(folder: ReportFolder) -> State:
    """Recover the report and return the resulting state. The caller holds the lock.

    Raises:
        FileNotFoundError: There is no such report.
        CorruptReportError: No version of it can be read.
        OSError: The disk refused.
    """
    found = folder.look()
    if found.is_settled:
        _remove_strays(folder, found)
        return folder.settled_state(found)
    case = diagnose(folder, found, lambda outline: folder.is_id(outline.report_id))
    logger.info("recovering %s: %s", folder.report_id, type(case).__name__)
    if (record := folder.log.last_ours()) is not None:
        folder.require_own_history(record)
        if isinstance(case, HandEdit | LogWins | Damaged):
            _drop_spoiled_backup(folder, record)
    try:
        return _act(folder, found, case)
    except CorruptReportError as error:
        if isinstance(case, Foreign | Damaged | Torn):
            raise
        return _damaged(folder, found, Damaged(case.record, error.message))


def _drop_spoiled_backup(folder: ReportFolder, record: Record) -> None:
    """Remove a backup that is still the same file as `outline.json`, into which somebody saved since.

    Its commit was killed between linking and renaming. The log can make the bytes again that it was
    to keep.
    """
    name = record.payload.get("backup_filename")
    if isinstance(name, str) and is_backup_name(name):  # a log may say anything
        backup = folder.backups_dir / name
        with suppress(OSError):  # it stays, then, and `verify` tells of it
            if os.path.samestat(os.lstat(backup), os.lstat(folder.outline_path)):
                durable.remove(backup)


def _act(folder: ReportFolder, found: Found, case: Case) -> State:
    match case:
        case Foreign():
            return _foreign(folder, found, case)
        case Damaged():
            return _damaged(folder, found, case)
        case Torn():
            _cut_torn(folder, case.line)
            return settle(folder)
        case Confirm():
            _confirm(folder, case.record)
            return _published(folder, found, case.record)
        case RollForward():
            _confirm(folder, case.record)
            return _roll_forward(folder, found, case)
        case LogWins():
            _confirm(folder, case.record)
            return _log_wins(folder, found, case)
        case HandEdit():
            _confirm(folder, case.record)
            return _commit_hand_edit(folder, found, case)


def _state_without_writing(folder: ReportFolder) -> State:
    """Return the state of a report that cannot be written: what the log gives, without repairs.

    Raises:
        FileNotFoundError: There is no such report.
        CorruptReportError: No version of it can be read.
    """
    found = folder.look()
    case = diagnose(folder, found, lambda outline: folder.is_id(outline.report_id))
    match case:
        case Foreign():
            return _foreign(folder, found, case)
        case Damaged():
            return _damaged(folder, found, case)
        case Confirm() if found.outline is not None:
            return State.of(
                folder.memory.outlines.parse(found.outline, found.sha256),
                case.record,
                found,
                case.record.version,
            )
        case _:
            unfinished = "the last change is not finished, and cannot be finished here"
            return _damaged(folder, found, Damaged(folder.log.last_ours(), unfinished))


# --- Reading only -------------------------------------------------------------------------


def _foreign(folder: ReportFolder, found: Found, case: Foreign) -> State:
    """Return the state of another program's report, its sections sorted by `order` as it shows them."""
    outline = case.outline
    sections = sorted(outline.sections, key=lambda section: section.order)
    return State.of(
        outline=outline.model_copy(update={"sections": sections}),
        record=None,
        found=found,
        floor=_highest_version(folder, found, outline),
        warnings=_lost_head_warning(folder, found),
    )


def _highest_version(folder: ReportFolder, found: Found, outline: Outline) -> int:
    versions = (record.payload.get("outline_version") for record in folder.log.forwards())
    named = [version for version in versions if isinstance(version, int)]
    kept = [version_in(folder.backups_dir / name) for name in backup_names(folder.backups_dir)]
    return max([outline.outline_version, found.head_version, *kept, *named])


def _lost_head_warning(folder: ReportFolder, found: Found) -> tuple[str, ...]:
    if not is_head_lost(found, folder.log):
        return ()
    return (
        f"The audit log lacks an event of version {found.head_version} that it once had: it was cut, "
        "rewritten, or an older copy was put in its place.",
    )


def _damaged(folder: ReportFolder, found: Found, case: Damaged) -> State:
    """Return the newest version that can still be read, with the reason why nothing may be written."""
    good = _newest_good(folder, case.record)
    damage = f"The report is damaged: {case.damage}."
    refusal = CorruptReportError(
        damage,
        hint=_restore_hint(good),
        damaged=case.damage,
        newest_good_version=good.outline_version if good else None,
    )
    if good is None or case.record is None:
        raise refusal
    return State.of(
        outline=good,
        record=case.record,
        found=found,
        floor=max(case.floor, case.record.version, found.head_version),
        warnings=(f"{damage} This is version {good.outline_version}, the last good one.",),
        refusal=refusal,
    )


def _restore_hint(good: Outline | None) -> str:
    if good is None:
        return "No version can be read back from the log. Restore the folder from your own backup."
    version = good.outline_version
    return f"Reads give version {version}; revert_report with to_version={version} restores it."


def _newest_good(folder: ReportFolder, record: Record | None) -> Outline | None:
    version = record.version if record is not None else 0
    for candidate in range(version, max(0, version - _OLDER_VERSIONS_TRIED), -1):
        if folder.log.find_version(candidate) is not None:
            try:
                return folder.history.outline_at(candidate)
            except CorruptReportError:
                continue
    return None


# --- Acting -------------------------------------------------------------------------------


def _cut_torn(folder: ReportFolder, line: Record) -> None:
    durable.append(folder.report_dir / "audit.torn", line.raw + b"\n")
    durable.cut(folder.audit_path, line.offset)


def _confirm(folder: ReportFolder, record: Record) -> None:
    """Write the log again from our last event on, with the newline it may lack, and sync it."""
    lines = b"".join(line.raw + b"\n" for line in folder.log.forwards(record.offset))
    durable.rewrite(folder.audit_path, record.offset, lines)


def _published(folder: ReportFolder, before: Found, record: Record, *warnings: str) -> State:
    """Bring `.head` and the index in line with the log, and read the files again.

    A `.head` that names an event which the log lacks is left as it is: it is the only trace of
    that event until the next commit takes it into the log.
    """
    lost = _lost_head_warning(folder, before)
    if not lost:
        durable.write_hint(folder.head_path, head_of(record))
    found = folder.look()
    if found.outline is None or found.sha256 != record.outline_sha256:
        return settle(folder)  # somebody saved meanwhile: another case by now
    state = State.of(
        outline=folder.memory.outlines.parse(found.outline, found.sha256),
        record=record,
        found=found,
        floor=max(record.version, before.head_version),
        warnings=(*warnings, *lost),
    )
    folder.announce(state.outline)
    _remove_strays(folder, found)
    return state


def _remove_strays(folder: ReportFolder, found: Found) -> None:
    """Remove the temporary files of interrupted commits. The lock is held, so no commit is using them."""
    for name in found.strays:
        durable.remove(folder.report_dir / name)


def _roll_forward(folder: ReportFolder, found: Found, case: RollForward) -> State:
    """Finish a commit: the event is there, its outline follows from the one before."""
    try:
        outline = apply(case.before, case.record.delta)
    except DeltaError:
        outline = folder.history.outline_at(case.record.version)
    data = outline_bytes(outline)
    if sha256_hex(data) != case.record.outline_sha256:
        outline = folder.history.outline_at(case.record.version)
        data = outline_bytes(outline)
    publish(folder, _temporary(folder, data, case.record), outline, case.record, found)
    return settle(folder)


def _temporary(folder: ReportFolder, data: bytes, record: Record) -> Path:
    """Write an event's outline under the temporary name of its commit, or use the existing file."""
    path = folder.report_dir / f".outline.{record.event.action_id}.tmp"
    if path.name not in folder.look().strays or read_regular(path) != data:
        durable.remove(path)
        durable.write_derived(path, data)
    return path


def _log_wins(folder: ReportFolder, found: Found, case: LogWins) -> State:
    """Put the log's version in place of an outline that is older or missing."""
    outline = folder.history.outline_at(case.record.version)
    temporary = _temporary(folder, outline_bytes(outline), case.record)
    where = _set_aside(folder) if case.keep else ""
    if not put_in_place(folder, temporary, found):
        return settle(folder)  # somebody saved meanwhile: another case by now
    why = (f"{case.why}; the log's version was put in place.{where}",) if case.why else ()
    return _published(folder, found, case.record, *why)


def _set_aside(folder: ReportFolder) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S_%f")
    name = f"outline.{stamp}.aside.json"
    durable.sync_file(folder.outline_path)
    durable.link(folder.outline_path, folder.report_dir / name)
    durable.sync_folder(folder.report_dir)  # the other name of these bytes is about to go
    return f" The file that was found is kept as {name} in the report's folder."


def _commit_hand_edit(folder: ReportFolder, before: Found, case: HandEdit) -> State:
    """Commit an edit by hand as a version of its own; the bytes as saved become its backup."""
    found = folder.look()  # the end of the log may have got its newline
    if found.outline != before.outline:
        return settle(folder)  # they saved again
    current = folder.history.outline_at(case.record.version)
    edited = _carried_over(folder, current, normalised(case.outline))
    if edited is None:
        why = f"outline.json was an edit of version {case.outline.outline_version}"
        clashes = LogWins(case.record, f"{why}, and later changes touched the same", keep=True)
        return _log_wins(folder, found, clashes)
    if _same_content(current, edited):
        formatted = LogWins(case.record, "outline.json was only formatted anew", keep=False)
        return _log_wins(folder, found, formatted)
    floor = max(case.record.version, edited.outline_version, found.head_version)
    state = State.of(outline=current, record=case.record, found=found, floor=floor)
    note = Note("manual_edit_detected", Author("human"), "outline.json was edited by hand")
    try:
        commit(folder, state, edited.model_copy(update={"updated_at": note.ts}), note)
    except TooLargeError as error:
        damage = f"outline.json was edited by hand and is too large: {error.message}"
        raise CorruptReportError(damage) from error
    warning = "outline.json was edited by hand; the edit is a version of its own."
    return replace(settle(folder), warnings=(warning,))


def _carried_over(folder: ReportFolder, current: Outline, edited: Outline) -> Outline | None:
    """Merge an edit by hand with the changes since the version it was based on; `None` in conflict."""
    if edited.outline_version >= current.outline_version:
        return edited
    base = folder.history.outline_at(edited.outline_version)
    merged = three_way(base, current, edited)
    return None if merged.conflicts else merged.outline


def _same_content(current: Outline, edited: Outline) -> bool:
    version = {"outline_version": current.outline_version}
    return edited.model_copy(update=version) == current


# --- The cases ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Foreign:
    """Only another program's files: used as they are until the first write adopts them."""

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
    """A version edited by hand: the edit becomes a version of its own, unless it conflicts."""

    record: Record
    outline: Outline


@dataclass(frozen=True)
class Damaged:
    """Nothing explains what is there. `record` is the newest good event, if any."""

    record: Record | None
    damage: str
    floor: int = 0


Case = Foreign | Torn | Confirm | RollForward | LogWins | HandEdit | Damaged


def diagnose(folder: ReportFolder, found: Found, is_outline_of: Callable[[Outline], bool]) -> Case:
    """Return the case of a report that is not settled.

    `is_outline_of` says whether an outline belongs in this folder.

    Raises:
        FileNotFoundError: There is neither an outline nor a history.
    """
    log = folder.log
    record = log.last_ours()
    outline, problem = _parsed(folder, found, is_outline_of)
    if record is None:
        return _diagnose_foreign(found, outline, problem)
    if found.last is not None and found.last.data is None:
        return _diagnose_bad_end(folder, found, found.last, record)
    if not record.is_event:
        return Damaged(record, "the last event of audit.jsonl is damaged")
    if found.sha256 == record.outline_sha256:
        return Confirm(record)
    if found.outline is None:
        is_first = next(log.forwards()).offset == record.offset
        return LogWins(record, "" if is_first else "outline.json was missing", keep=False)
    if (newest := _replaced_by_newest(found, log, record)) is not None:
        return RollForward(newest, None)
    if _is_outline_garbled(folder, found, record):
        return LogWins(record, "outline.json was left empty or incomplete by a crash", keep=True)
    if outline is None:
        return Damaged(record, f"outline.json is not a valid outline ({problem})")
    return _diagnose_outline(found, log, record, outline)


def _parsed(
    folder: ReportFolder, found: Found, is_outline_of: Callable[[Outline], bool]
) -> tuple[Outline | None, str]:
    if found.outline is None:
        return None, "the file is missing"
    try:
        outline = folder.memory.outlines.parse(found.outline, found.sha256)
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


def _diagnose_bad_end(folder: ReportFolder, found: Found, line: Record, record: Record) -> Case:
    """Decide about a last line that does not parse: torn, if the other files show that nothing followed.

    That is an outline of an event before it, the one that the newest event replaced, or one that a power
    cut garbled. Or it is anything at all (a person's edit, an old editor buffer, no outline) with the
    temporary file that was to take the place of it: a commit upon these bytes had not come to the renaming.
    """
    log, version = folder.log, _stated_version(folder, found)
    event = log.find_version(version)
    is_explained = (
        (event is not None and event.outline_sha256 == found.sha256)
        or bool(found.strays)
        or _replaced_by_newest(found, log, record) is not None
        or _is_outline_garbled(folder, found, record)
    )
    if is_explained and len(line.raw) <= MAX_TORN_BYTES and not is_head_lost(found, log):
        return Torn(line)
    return Damaged(record, "the last line of audit.jsonl is damaged", version)


def _replaced_by_newest(found: Found, log: AuditLog, record: Record) -> Record | None:
    """Return the event of the newest version, if the bytes in place are the foreign ones that it replaces."""
    newest = log.find_version(record.version)
    if newest is None or not found.sha256 or newest.payload.get("backup_sha256") != found.sha256:
        return None
    return newest


def _is_outline_garbled(folder: ReportFolder, found: Found, record: Record) -> bool:
    """Return whether `outline.json` is what a power cut left of a version; `record` is the newest event."""
    if found.outline is None:
        return False
    newest = record.version
    versions: Iterable[int] = range(newest, max(0, newest - _OLDER_VERSIONS_TRIED), -1)
    if (stated := _VERSION_LINE.search(found.outline)) is not None:
        versions = [int(stated[1])]
    return is_garbled(found.outline, folder.history, versions)


def _stated_version(folder: ReportFolder, found: Found) -> int:
    """Return the version that `outline.json` states; 0 if it is no outline."""
    outline, _ = _parsed(folder, found, lambda _: True)
    return outline.outline_version if outline is not None else 0


def _diagnose_outline(found: Found, log: AuditLog, record: Record, outline: Outline) -> Case:
    """Decide about a valid outline that is not the one of the last event."""
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
        damage = f"outline.json names version {version}, but the log ends at {record.version}"
        return Damaged(record, damage, version)
    return LogWins(record, f"outline.json was an edit of version {version}, which does not exist", keep=True)


def _version_before(log: AuditLog, event: Record) -> int:
    for record in log.backwards(event.offset):
        if record.is_ours:
            return record.version
    return 0
