"""Is a report what its log says? A check of the files as they are found, before any recovery.

Rules:

- Covered: every line's form and its place in the chain, the run of versions, the outline, the
  kept backups and the head. Replaying every version is another, longer check.
- Each finding names the line of `audit.jsonl` (from 1) where it shows, or 0 for another file.
- A chain alone cannot show that everything was rewritten, or that the end was cut off
  together with the outline. `.head` shows it, unless it was rewritten, too: note
  `head_sha256` elsewhere and `expect` it to be sure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from living_reports.model.report import parse_uuid, sha256_hex
from living_reports.store.base import Expected
from living_reports.store.base import Progress as Say
from living_reports.store.files.folder import ReportFolder, backup_names
from living_reports.store.files.log import EMPTY_SHA256, Record

MAX_FINDINGS = 50
_LINES_BETWEEN = 100
"""After how many lines it is said again how far the check is."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be; `file` is the path in the report's folder."""

    line: int
    code: str
    message: str
    file: str = "audit.jsonl"


@dataclass
class _Walk:
    """What is known of the lines so far."""

    lines: int = 0
    events: int = 0
    previous: Record | None = None
    newest: Record | None = None
    seen: dict[str, int] = field(default_factory=dict)
    """The hash of every line, and the version after it; 0 before the first event of ours."""
    action_ids: set[str] = field(default_factory=set)
    backups: dict[str, str] = field(default_factory=dict)
    """The hash that each backup of ours must have."""
    lines_of: dict[int, int] = field(default_factory=dict)
    """The last line of each version."""


def verify(storage: ReportFolder, expected: Expected | None = None, say: Say | None = None) -> dict[str, Any]:
    """Check one report. The answer is JSON-ready: `ok events head_sha256 findings[{line code message}]`.

    With `expected`, the log must still hold the event with this hash that made this version the newest.
    `say` is told how many bytes of the log are checked.
    """
    walk, findings = _walked(storage, say)
    if expected is not None:
        findings += _expectation_findings(walk, *expected)
    verified: dict[str, Any] = {
        "ok": not findings,
        "events": walk.events,
        "head_sha256": walk.previous.sha256 if walk.previous else EMPTY_SHA256,
        "findings": [_row(finding) for finding in findings[:MAX_FINDINGS]],
    }
    if len(findings) > MAX_FINDINGS:
        verified["more_findings"] = len(findings) - MAX_FINDINGS
    return verified


def _row(finding: Finding) -> dict[str, Any]:
    return {"line": finding.line, "code": finding.code, "message": finding.message}


def findings_in(storage: ReportFolder) -> list[Finding]:
    """What `verify` finds, each with its file."""
    return _walked(storage)[1]


def _walked(storage: ReportFolder, say: Say | None = None) -> tuple[_Walk, list[Finding]]:
    walk = _Walk()
    findings: list[Finding] = []
    size = storage.log.size()
    for record in storage.log.forwards():
        findings += _line_findings(walk, record, storage)
        if say is not None and walk.lines % _LINES_BETWEEN == 0:
            say("checking the log", record.end, size)
    for check in (_outline_findings, _head_findings, _backup_findings):
        findings += check(walk, storage)
    return walk, findings


def _line_findings(walk: _Walk, record: Record, storage: ReportFolder) -> Iterator[Finding]:
    walk.lines += 1
    line, previous = walk.lines, walk.previous
    walk.previous = record
    walk.seen[record.sha256] = record.version or (walk.newest.version if walk.newest else 0)
    if not record.is_complete:
        yield Finding(line, "torn_line", "The last line has no end: a write was cut short.")
    if not record.is_event:
        if record.is_ours or (record.data is None and walk.newest is not None):
            yield Finding(line, "bad_line", "The line is not an audit event.")
        return
    walk.events += 1
    yield from _identity_findings(walk, record, storage, line)
    if record.is_ours:
        follows = record.payload.get("prev_sha256") == (previous.sha256 if previous else EMPTY_SHA256)
        if not follows:
            message = f"The line does not follow line {line - 1}: one of the two was altered."
            yield Finding(line, "chain_broken", message)
        yield from _version_findings(walk, record, line)
        _note_backup(walk, record, follows)
        walk.newest = record
        walk.lines_of[record.version] = line


def _identity_findings(walk: _Walk, record: Record, storage: ReportFolder, line: int) -> Iterator[Finding]:
    event = record.event
    if event.action_id in walk.action_ids:
        yield Finding(line, "repeated_event", f"Event {event.action_id} occurs twice.")
    walk.action_ids.add(event.action_id)
    if not record.is_ours:
        return  # igloo-mcp takes the log of its source along when it forks a report
    folder = storage.report_id.partition("_")[0]  # in the trash, a time follows the id
    if _is_uuid(folder) and parse_uuid(event.report_id) != parse_uuid(folder):
        yield Finding(line, "wrong_report", f"The event belongs to report {event.report_id}.")


def _is_uuid(text: str) -> bool:
    try:
        return bool(parse_uuid(text))
    except ValueError:
        return False


def _version_findings(walk: _Walk, record: Record, line: int) -> Iterator[Finding]:
    newest, version = walk.newest, record.version
    if not record.makes_version:
        if newest is not None and (version, record.outline_sha256) != (newest.version, newest.outline_sha256):
            yield Finding(
                line, "version_gap", f"The event makes no version, but names another one ({version})."
            )
        return
    if newest is not None and version <= newest.version:
        yield Finding(line, "version_gap", f"Version {version} follows version {newest.version}.")
    if lost := record.payload.get("head_was"):
        message = (
            f"When this was written, .head named an event that the log lacked ({lost}): it had been cut."
        )
        yield Finding(line, "log_cut", message)


def _note_backup(walk: _Walk, record: Record, follows: bool) -> None:
    """Which bytes the event put aside: those it names, else those of the version that it replaced."""
    replaced = walk.newest.outline_sha256 if walk.newest is not None and follows else None
    if record.makes_version and (sha256 := record.payload.get("backup_sha256", replaced)) is not None:
        walk.backups[str(record.payload.get("backup_filename"))] = str(sha256)


def _outline_findings(walk: _Walk, storage: ReportFolder) -> Iterator[Finding]:
    if walk.newest is None:
        return
    try:
        sha256 = sha256_hex(storage.outline_path.read_bytes())
    except FileNotFoundError:
        yield Finding(0, "outline_missing", "outline.json is missing.", "outline.json")
        return
    if sha256 != walk.newest.outline_sha256:
        message = f"outline.json is not what version {walk.newest.version} left."
        yield Finding(0, "outline_mismatch", message, "outline.json")


def _head_findings(walk: _Walk, storage: ReportFolder) -> Iterator[Finding]:
    head = storage.look().head_event
    if head is not None and head[1] not in walk.seen:
        line = walk.lines_of.get(head[0], walk.lines)
        message = f".head names an event of version {head[0]} that the log lacks: it was altered or cut."
        yield Finding(line, "head_mismatch", message)


def _expectation_findings(walk: _Walk, version: int, sha256: str) -> Iterator[Finding]:
    if walk.seen.get(sha256) not in (version, 0):  # 0: another writer's line, noted before we came
        message = f"No event of version {version} has the hash that was noted: what led there was rewritten."
        line = walk.lines_of.get(version, walk.lines)
        yield Finding(line, "head_expected", message)


def _backup_findings(walk: _Walk, storage: ReportFolder) -> Iterator[Finding]:
    """Only the backups that our events name: another writer's are its own affair."""
    for name in backup_names(storage.backups_dir):
        path = storage.backups_dir / name
        if name in walk.backups and walk.backups[name] != sha256_hex(path.read_bytes()):
            message = f"backups/{name} is not what was put there."
            yield Finding(0, "backup_mismatch", message, f"backups/{name}")
