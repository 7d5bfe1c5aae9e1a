"""Bringing a report back to a settled state after a crash, a restored copy, or a person's edit.

Rules:

- `state.diagnose` decides, this module acts, under the report's lock.
- Before anything is published, answered or chained to, the end of the log is written again
  in place and synced: a line that can be read may still be missing on the disk.
- Nothing is thrown away: a torn line goes to `audit.torn`, an outline that loses to the log
  is set aside beside it, and the answer says where.
- The log decides. What recovery puts in place has the hash that its event names.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import replace as replaced
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from living_reports.errors import CorruptReportError, TooLargeError
from living_reports.model.delta import DeltaError, apply
from living_reports.model.event import Author
from living_reports.model.merge import three_way
from living_reports.model.report import Outline, normalised, outline_bytes, parse_uuid, sha256_hex
from living_reports.store.files import durable
from living_reports.store.files.audit import Note, Record
from living_reports.store.files.backups import backup_names, is_backup_name, version_in
from living_reports.store.files.publishing import head_of, publish, put_in_place
from living_reports.store.files.state import (
    Case,
    Confirm,
    Damaged,
    Foreign,
    Found,
    HandEdit,
    LogWins,
    RollForward,
    State,
    Torn,
    diagnose,
    is_head_lost,
    outlines,
)

if TYPE_CHECKING:
    from living_reports.store.files.report import ReportStorage

logger = logging.getLogger(__name__)

_OLDER_VERSIONS_TRIED = 50


def settled_state(storage: ReportStorage, found: Found) -> State:
    """The state of a report whose outline is the one its last event names.

    Raises:
        CorruptReportError: The folder is a copy of another report's.
    """
    assert found.outline is not None
    assert found.last is not None
    _require_own_history(storage, found.last)
    outline = outlines.parse(found.outline, found.sha256)
    return State(outline, found.last, found, floor=found.last.version)


def _require_own_history(storage: ReportStorage, record: Record) -> None:
    """A folder copied by hand under a second id would write as the report it was copied from."""
    named = (record.data or {}).get("report_id")
    if isinstance(named, str) and not _is_id_of(storage, named):
        raise CorruptReportError(
            f"The folder {storage.report_id} holds the history of another report, {named}.",
            hint="A copy of a folder is not a report of its own: take it out of by_id.",
            damaged="folder",
        )


def settle(storage: ReportStorage) -> State:
    """Do what has to be done, and give the state that follows. Takes a held lock.

    Raises:
        FileNotFoundError: There is no such report.
        CorruptReportError: No version of it can be read.
        OSError: The disk refused.
    """
    found = storage.look()
    if found.is_settled:
        _remove_strays(storage, found)
        return settled_state(storage, found)
    case = diagnose(found, storage.log, lambda outline: _belongs(storage, outline))
    logger.info("recovering %s: %s", storage.report_id, type(case).__name__)
    if (record := storage.log.last_ours()) is not None:
        _require_own_history(storage, record)
        if isinstance(case, HandEdit | LogWins | Damaged):
            _drop_spoiled_backup(storage, record)
    try:
        return _act(storage, found, case)
    except CorruptReportError as error:
        if isinstance(case, Foreign | Damaged | Torn):
            raise
        return _damaged(storage, found, Damaged(case.record, error.message))


def _drop_spoiled_backup(storage: ReportStorage, record: Record) -> None:
    """Take away a backup that is still the same file as `outline.json`, into which somebody saved since.

    Its commit was killed between linking and renaming. The log can make the bytes again that it was
    to keep.
    """
    name = record.payload.get("backup_filename")
    if isinstance(name, str) and is_backup_name(name):  # a log may say anything
        backup = storage.backups_dir / name
        with suppress(OSError):  # it stays, then, and `verify` tells of it
            if os.path.samestat(os.lstat(backup), os.lstat(storage.outline_path)):
                durable.remove(backup)


def _act(storage: ReportStorage, found: Found, case: Case) -> State:
    match case:
        case Foreign():
            return _foreign(storage, found, case)
        case Damaged():
            return _damaged(storage, found, case)
        case Torn():
            _cut_torn(storage, case.line)
            return settle(storage)
        case Confirm():
            _confirm(storage, case.record)
            return _published(storage, found, case.record)
        case RollForward():
            _confirm(storage, case.record)
            return _roll_forward(storage, found, case)
        case LogWins():
            _confirm(storage, case.record)
            return _log_wins(storage, found, case)
        case HandEdit():
            _confirm(storage, case.record)
            return _commit_hand_edit(storage, found, case)


def state_without_writing(storage: ReportStorage) -> State:
    """The state of a report in a place that cannot be written: what the log gives, nothing mended.

    Raises:
        FileNotFoundError: There is no such report.
        CorruptReportError: No version of it can be read.
    """
    found = storage.look()
    case = diagnose(found, storage.log, lambda outline: _belongs(storage, outline))
    match case:
        case Foreign():
            return _foreign(storage, found, case)
        case Damaged():
            return _damaged(storage, found, case)
        case Confirm() if found.outline is not None:
            return State(outlines.parse(found.outline, found.sha256), case.record, found, case.record.version)
        case _:
            unfinished = "the last change is not finished, and cannot be finished here"
            return _damaged(storage, found, Damaged(storage.log.last_ours(), unfinished))


def _belongs(storage: ReportStorage, outline: Outline) -> bool:
    return _is_id_of(storage, outline.report_id)


def _is_id_of(storage: ReportStorage, report_id: str) -> bool:
    try:
        return storage.report_id == report_id or parse_uuid(storage.report_id) == parse_uuid(report_id)
    except ValueError:
        return True  # a folder that is not named by an id


# --- Reading only -------------------------------------------------------------------------


def _foreign(storage: ReportStorage, found: Found, case: Foreign) -> State:
    """Another writer's report: its sections in the order of their `order`, as that writer shows them."""
    outline = case.outline
    sections = sorted(outline.sections, key=lambda section: section.order)
    return State(
        outline=outline.model_copy(update={"sections": sections}),
        record=None,
        found=found,
        floor=_highest_version(storage, found, outline),
        warnings=_lost_head_warning(storage, found),
    )


def _highest_version(storage: ReportStorage, found: Found, outline: Outline) -> int:
    said = (record.payload.get("outline_version") for record in storage.log.forwards())
    named = [version for version in said if isinstance(version, int)]
    kept = [version_in(storage.backups_dir / name) for name in backup_names(storage.backups_dir)]
    return max([outline.outline_version, found.head_version, *kept, *named])


def _lost_head_warning(storage: ReportStorage, found: Found) -> tuple[str, ...]:
    if not is_head_lost(found, storage.log):
        return ()
    return (
        f"The audit log lacks an event of version {found.head_version} that it once had: it was cut, "
        "rewritten, or an older copy was put in its place.",
    )


def _damaged(storage: ReportStorage, found: Found, case: Damaged) -> State:
    """The newest version that can still be read, with the reason why nothing may be written."""
    good = _newest_good(storage, case.record)
    damage = f"The report is damaged: {case.damage}."
    refusal = CorruptReportError(
        damage,
        hint=_restore_hint(good),
        damaged=case.damage,
        newest_good_version=good.outline_version if good else None,
    )
    if good is None or case.record is None:
        raise refusal
    return State(
        outline=good,
        record=case.record,
        found=found,
        floor=max(case.floor, case.record.version, found.head_version),
        warnings=(f"{damage} This is version {good.outline_version}, the last good one.",),
        refusal=refusal,
    )


def _restore_hint(good: Outline | None) -> str:
    if good is None:
        return "No version can be read back from the log. Restore the folder from a backup of your own."
    version = good.outline_version
    return f"Reads give version {version}; revert_report with to_version={version} puts it in place again."


def _newest_good(storage: ReportStorage, record: Record | None) -> Outline | None:
    version = record.version if record is not None else 0
    for candidate in range(version, max(0, version - _OLDER_VERSIONS_TRIED), -1):
        if storage.log.find_version(candidate) is not None:
            try:
                return storage.history.outline_at(candidate)
            except CorruptReportError:
                continue
    return None


# --- Acting -------------------------------------------------------------------------------


def _cut_torn(storage: ReportStorage, line: Record) -> None:
    durable.append(storage.report_dir / "audit.torn", line.raw + b"\n")
    durable.cut(storage.audit_path, line.offset)


def _confirm(storage: ReportStorage, record: Record) -> None:
    """Write the log again from our last event on, the newline it may lack included, and sync it."""
    lines = b"".join(line.raw + b"\n" for line in storage.log.forwards(record.offset))
    durable.rewrite(storage.audit_path, record.offset, lines)


def _published(storage: ReportStorage, before: Found, record: Record, *warnings: str) -> State:
    """Say in `.head` and in the index what the log says, and look again.

    A `.head` that names an event which the log lacks is left as it is: it is the only trace of
    that event until the next commit takes it into the log.
    """
    lost = _lost_head_warning(storage, before)
    if not lost:
        durable.write_hint(storage.head_path, head_of(record))
    found = storage.look()
    if found.outline is None or found.sha256 != record.outline_sha256:
        return settle(storage)  # somebody saved meanwhile: another case by now
    state = State(
        outline=outlines.parse(found.outline, found.sha256),
        record=record,
        found=found,
        floor=max(record.version, before.head_version),
        warnings=(*warnings, *lost),
    )
    storage.announce(state.outline)
    _remove_strays(storage, found)
    return state


def _remove_strays(storage: ReportStorage, found: Found) -> None:
    """Remove what commits left that never came to be. We hold the lock: nobody is working on it."""
    for name in found.strays:
        durable.remove(storage.report_dir / name)


def _roll_forward(storage: ReportStorage, found: Found, case: RollForward) -> State:
    """Finish a commit: the event is there, its outline follows from the one before."""
    try:
        outline = apply(case.before, case.record.delta)
    except DeltaError:
        outline = storage.history.outline_at(case.record.version)
    data = outline_bytes(outline)
    if sha256_hex(data) != case.record.outline_sha256:
        outline = storage.history.outline_at(case.record.version)
        data = outline_bytes(outline)
    publish(storage, _temporary(storage, data, case.record), outline, case.record, found.outline)
    return settle(storage)


def _temporary(storage: ReportStorage, data: bytes, record: Record) -> Path:
    """The outline of an event under the name that its commit gave it; a full disk may still hold it."""
    path = storage.report_dir / f".outline.{record.event.action_id}.tmp"
    if path.name in storage.look().strays and path.read_bytes() == data:
        durable.rewrite(path, 0, data)
        return path
    durable.remove(path)
    durable.write_new(path, data)
    return path


def _log_wins(storage: ReportStorage, found: Found, case: LogWins) -> State:
    """Put the log's version in place of an outline that is older or missing."""
    outline = storage.history.outline_at(case.record.version)
    temporary = _temporary(storage, outline_bytes(outline), case.record)
    where = _set_aside(storage) if case.keep else ""
    if not put_in_place(storage, temporary, found.outline):
        return settle(storage)  # somebody saved meanwhile: another case by now
    why = (f"{case.why}; the log's version was put in place.{where}",) if case.why else ()
    return _published(storage, found, case.record, *why)


def _set_aside(storage: ReportStorage) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S_%f")
    name = f"outline.{stamp}.aside.json"
    durable.link(storage.outline_path, storage.report_dir / name)
    durable.sync_folder(storage.report_dir)  # the other name of these bytes is about to go
    return f" The file that was found is kept as {name} in the report's folder."


def _commit_hand_edit(storage: ReportStorage, before: Found, case: HandEdit) -> State:
    """Commit what a person saved as a version of its own; their bytes become its backup."""
    found = storage.look()  # the end of the log may have got its newline
    if found.outline != before.outline:
        return settle(storage)  # they saved again
    current = storage.history.outline_at(case.record.version)
    edited = _carried_over(storage, current, normalised(case.outline))
    if edited is None:
        why = f"outline.json was an edit of version {case.outline.outline_version}"
        clashes = LogWins(case.record, f"{why}, and later changes touched the same", keep=True)
        return _log_wins(storage, found, clashes)
    if _same_content(current, edited):
        formatted = LogWins(case.record, "outline.json was only formatted anew", keep=False)
        return _log_wins(storage, found, formatted)
    floor = max(case.record.version, edited.outline_version, found.head_version)
    state = State(outline=current, record=case.record, found=found, floor=floor)
    note = Note("manual_edit_detected", Author("human"), "outline.json was edited by hand")
    try:
        storage.commit(state, edited.model_copy(update={"updated_at": note.ts}), note)
    except TooLargeError as error:
        damage = f"outline.json was edited by hand and is too large: {error.message}"
        raise CorruptReportError(damage) from error
    warning = "outline.json was edited by hand; the edit is a version of its own."
    return replaced(settle(storage), warnings=(warning,))


def _carried_over(storage: ReportStorage, current: Outline, edited: Outline) -> Outline | None:
    """What a person saved, with the changes made since the version they began with; `None` in conflict."""
    if edited.outline_version >= current.outline_version:
        return edited
    base = storage.history.outline_at(edited.outline_version)
    merged = three_way(base, current, edited)
    return None if merged.conflicts else merged.outline


def _same_content(current: Outline, edited: Outline) -> bool:
    version = {"outline_version": current.outline_version}
    return edited.model_copy(update=version) == current
