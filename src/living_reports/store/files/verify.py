"""Verification that a report is what its log says: the files are checked as found, before any recovery.

Rules:

- Checked are the form of every line and its place in the chain, the sequence of versions, the
  outline, the kept backups and the head. Replaying every version is a separate, longer check.
- Each problem names the line of `audit.jsonl` (from 1) where it shows, or 0 for another file.
- A power cut may garble a backup that is not kept for good. That is no problem: the log has its version.
- A chain alone cannot show that everything was rewritten, or that its end was cut off together with
  the outline. `.head` shows it, unless it was rewritten, too: to be sure, note `head_sha256`
  elsewhere and `expect` it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from living_reports.model.delta import DeltaError, apply
from living_reports.model.report import Outline, as_uuid, outline_bytes, parse_uuid, sha256_hex
from living_reports.regular_files import NotRegularFileError, read_regular
from living_reports.store.base import Expected, Progress
from living_reports.store.files.folder import ReportFolder, backup_names, is_garbled
from living_reports.store.files.log import EMPTY_SHA256, Record

MAX_FINDINGS = 50
_LINES_PER_PROGRESS = 100
"""The number of lines between two calls of `progress`."""


@dataclass(frozen=True)
class Problem:
    """One problem of a report; `file` is the path in its folder."""

    line: int
    code: str
    message: str
    file: str = "audit.jsonl"


@dataclass(frozen=True)
class _Backup:
    """A backup as the log describes it; `version` is 0 if it was synced, so that no crash garbles it."""

    sha256: str
    version: int


@dataclass
class _Walk:
    """The state of the check after a line of the log."""

    lines: int = 0
    events: int = 0
    previous: Record | None = None
    newest: Record | None = None
    seen: dict[str, int] = field(default_factory=dict)
    """The version after each line, by its hash; 0 before the first event of this program."""
    action_ids: set[str] = field(default_factory=set)
    backups: dict[str, _Backup] = field(default_factory=dict)
    """The backups of this program by their names."""
    garbled: list[str] = field(default_factory=list)
    """The backups that a power cut garbled."""
    lines_of: dict[int, int] = field(default_factory=dict)
    """The last line of each version."""


def verify(
    report: ReportFolder, expected: Expected | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Check one report.

    Args:
        report: The report.
        expected: An event that the log must still contain: the version that it made the newest, and its hash.
        progress: Called with the number of bytes of the log that are checked.

    Returns:
        `ok events head_sha256 findings[{line code message}] more_findings`, JSON-ready.
    """
    walk, problems = _check(report, progress)
    if expected is not None:
        problems += _expectation_problems(walk, *expected)
    verified: dict[str, Any] = {
        "ok": not problems,
        "events": walk.events,
        "head_sha256": walk.previous.sha256 if walk.previous else EMPTY_SHA256,
        "findings": [{"line": p.line, "code": p.code, "message": p.message} for p in problems[:MAX_FINDINGS]],
    }
    if len(problems) > MAX_FINDINGS:
        verified["more_findings"] = len(problems) - MAX_FINDINGS
    return verified


def find_problems(report: ReportFolder) -> tuple[list[Problem], list[str]]:
    """Return the problems that `verify` finds, each with its file; and the backups that a crash garbled."""
    walk, problems = _check(report)
    return problems, walk.garbled


def replay(before: Outline | None, record: Record) -> Outline | None:
    """Return the outline after an event; `None` unless it has the hash that the event names."""
    if before is None and not record.is_whole:
        return None
    try:
        outline = apply(None if record.is_whole else before, record.delta)
    except (DeltaError, ValueError):
        return None
    return outline if sha256_hex(outline_bytes(outline)) == record.outline_sha256 else None


def _check(report: ReportFolder, progress: Progress | None = None) -> tuple[_Walk, list[Problem]]:
    walk = _Walk()
    problems: list[Problem] = []
    size = report.log.size()
    for record in report.log.forwards():
        problems += _line_problems(walk, record, report)
        if progress is not None and walk.lines % _LINES_PER_PROGRESS == 0:
            progress("checking the log", record.end, size)
    for check in (_outline_problems, _head_problems, _backup_problems):
        problems += check(walk, report)
    return walk, problems


def _line_problems(walk: _Walk, record: Record, report: ReportFolder) -> Iterator[Problem]:
    walk.lines += 1
    line, previous = walk.lines, walk.previous
    walk.previous = record
    walk.seen[record.sha256] = record.version or (walk.newest.version if walk.newest else 0)
    if not record.is_complete:
        yield Problem(line, "torn_line", "The last line has no end: a write was cut short.")
    if not record.is_event:
        if record.is_ours or (record.data is None and walk.newest is not None):
            yield Problem(line, "bad_line", "The line is not an audit event.")
        return
    walk.events += 1
    yield from _identity_problems(walk, record, report, line)
    if record.is_ours:
        follows = record.payload.get("prev_sha256") == (previous.sha256 if previous else EMPTY_SHA256)
        if not follows:
            message = f"The line does not follow line {line - 1}: one of the two was altered."
            yield Problem(line, "chain_broken", message)
        yield from _version_problems(walk, record, line)
        _note_backup(walk, record, follows)
        walk.newest = record
        walk.lines_of[record.version] = line


def _identity_problems(walk: _Walk, record: Record, report: ReportFolder, line: int) -> Iterator[Problem]:
    event = record.event
    if event.action_id in walk.action_ids:
        yield Problem(line, "repeated_event", f"Event {event.action_id} occurs twice.")
    walk.action_ids.add(event.action_id)
    if not record.is_ours:
        return  # igloo-mcp copies the log of the source when it forks a report
    report_id = as_uuid(report.report_id.partition("_")[0])  # in the trash, a time follows the id
    if report_id and parse_uuid(event.report_id) != report_id:
        yield Problem(line, "wrong_report", f"The event belongs to report {event.report_id}.")


def _version_problems(walk: _Walk, record: Record, line: int) -> Iterator[Problem]:
    newest, version = walk.newest, record.version
    if not record.makes_version:
        if newest is not None and (version, record.outline_sha256) != (newest.version, newest.outline_sha256):
            yield Problem(
                line, "version_gap", f"The event makes no version, but names another one ({version})."
            )
        return
    if newest is not None and version <= newest.version:
        yield Problem(line, "version_gap", f"Version {version} follows version {newest.version}.")
    if lost := record.payload.get("head_was"):
        message = (
            f"When this was written, .head named an event that the log lacked ({lost}): the log had been cut."
        )
        yield Problem(line, "log_cut", message)


def _note_backup(walk: _Walk, record: Record, follows: bool) -> None:
    """Note the hash of the event's backup: the one it names, else that of the version that it replaced."""
    replaced = walk.newest.outline_sha256 if walk.newest is not None and follows else None
    if record.makes_version and (sha256 := record.payload.get("backup_sha256", replaced)) is not None:
        is_synced = record.keeps_backup or "backup_sha256" in record.payload
        version = 0 if is_synced or walk.newest is None else walk.newest.version
        walk.backups[str(record.payload.get("backup_filename"))] = _Backup(str(sha256), version)


def _outline_problems(walk: _Walk, report: ReportFolder) -> Iterator[Problem]:
    if walk.newest is None:
        return
    try:
        sha256 = sha256_hex(read_regular(report.outline_path))
    except FileNotFoundError:
        yield Problem(0, "outline_missing", "outline.json is missing.", "outline.json")
        return
    if sha256 != walk.newest.outline_sha256:
        message = f"outline.json is not the outline of version {walk.newest.version}."
        yield Problem(0, "outline_mismatch", message, "outline.json")


def _head_problems(walk: _Walk, report: ReportFolder) -> Iterator[Problem]:
    head = report.look().head_event
    if head is not None and head[1] not in walk.seen:
        line = walk.lines_of.get(head[0], walk.lines)
        message = f".head names an event of version {head[0]} that the log lacks: it was altered or cut."
        yield Problem(line, "head_mismatch", message)


def _expectation_problems(walk: _Walk, version: int, sha256: str) -> Iterator[Problem]:
    if walk.seen.get(sha256) not in (version, 0):  # 0: another program's line, noted before the adoption
        message = f"No event of version {version} has the hash that was noted: the history was rewritten."
        line = walk.lines_of.get(version, walk.lines)
        yield Problem(line, "head_expected", message)


def _backup_problems(walk: _Walk, report: ReportFolder) -> Iterator[Problem]:
    """Check only the backups that events of this program name; those of other programs are ignored."""
    for name in backup_names(report.backups_dir):
        if (backup := walk.backups.get(name)) is None:
            continue
        data = _regular_bytes(report.backups_dir / name)
        if data is not None and sha256_hex(data) == backup.sha256:
            continue
        if data is not None and backup.version and is_garbled(data, report.history, [backup.version]):
            walk.garbled.append(name)
            continue
        message = f"backups/{name} was changed since it was made."
        yield Problem(0, "backup_mismatch", message, f"backups/{name}")


def _regular_bytes(path: Path) -> bytes | None:
    """Return the bytes of a file; `None` for what is no regular file."""
    try:
        return read_regular(path)
    except NotRegularFileError:
        return None
