"""Is everything under a root as it should be? Every report, the trash, the index, the leftovers.

Rules:

- Pure reading: nothing is mended, made or removed here, and no lock file is made.
- Files are judged as they are found, each report's under its lock: what a writer is just doing is no
  finding. An `error` is damage: what was promised does not hold. A
  `warning` is settled by the next one who opens the report or lists the root (a crash left a
  commit to finish, an index entry to correct, a file to remove). An `info` is worth knowing.
- `deep` also replays every version of every report and compares each with its hash.

    >>> [finding.code for finding in check_root(Path("reports"), deep=True)]
    []
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from pydantic import ValidationError

from living_reports.errors import LockTimeoutError, ReportError
from living_reports.model.delta import DeltaError, apply
from living_reports.model.report import (
    IndexEntry,
    Outline,
    outline_bytes,
    parse_outline,
    parse_uuid,
    sha256_hex,
)
from living_reports.store.base import Finding, Severity
from living_reports.store.files import durable
from living_reports.store.files.catalogue import entry_on_disk
from living_reports.store.files.folder import ReportFolder, backup_names
from living_reports.store.files.log import Record
from living_reports.store.files.recovery import Confirm, Damaged, Foreign, diagnose
from living_reports.store.files.verify import MAX_FINDINGS, findings_in

Progress = Callable[[int, int], None]

_BUSY_SECONDS = 5.0
_MOVES_FOLLOWED = 3
_MENDED = frozenset({"outline_mismatch", "outline_missing", "torn_line"})
"""What `verify` finds while a commit waits to be finished, or a person's edit to be taken in."""

_OURS_IN_ROOT = re.compile(
    r"^(index\.jsonl|\.index\.lock|by_id|templates|\.trash|\.pending|\.search\..*|\.git.*)$"
)
_OURS_IN_REPORT = re.compile(r"^(outline\.json|audit\.jsonl|backups|render|\.head|\.lock)$")
_FOLDERS_IN_ROOT = frozenset({"by_id", ".trash", ".pending"})
_PLACES = ("by_id", ".trash")
"""Where reports are, in this order: one that is deleted meanwhile is found in the second."""
_SET_ASIDE = re.compile(r"^(audit\.torn|outline\..*aside\.json)$")
_LEFT_IN_ROOT = re.compile(r"^\.index\..*\.tmp$")
_LEFT_IN_REPORT = re.compile(r"^\.outline\..*\.tmp$")
_LEFT_IN_BACKUPS = re.compile(r"^\.outline\.json\..*\.tmp$")
_LEFT_IN_BY_ID = re.compile(r"^\.new-")


def check_root(root: Path, *, deep: bool = False, progress: Progress | None = None) -> list[Finding]:
    """Check a root and every report in it.

    Args:
        root: A reports directory; one that is not there has no findings.
        deep: Replay every version, too.
        progress: Called with the reports done and their number, after each report.

    Raises:
        OSError: A folder of the root cannot be read.
    """
    root = root.resolve()  # a root may be reached through a link, what is in it may not
    findings = list(_root_findings(root))
    total = sum(len(_report_folders(root / place)) for place in _PLACES)
    folders = chain.from_iterable(_report_folders(root / place) for place in _PLACES)
    for done, folder in enumerate(folders, start=1):
        findings += check_report(root, folder, deep=deep)
        if progress is not None:
            progress(done, max(done, total))
    return findings


def check_report(root: Path, folder: Path, *, deep: bool = False) -> list[Finding]:
    """Check one report's folder, in `by_id` or in the trash; one that moved away has no findings."""
    storage = ReportFolder(folder, lock_timeout_seconds=_BUSY_SECONDS)
    report = _Report(root, folder, _id_of(folder.name))
    try:
        with storage.reading() if storage.lock_path.exists() else nullcontext():
            return list(_report_findings(report, storage, deep))
    except LockTimeoutError:
        return [report.finding("busy", "warning", "Another process holds it: look again later.")]
    except OSError as error:
        if not folder.exists():
            return []
        why = error.strerror or type(error).__name__
        return [report.finding("unreadable", "error", f"It cannot be read: {why}.")]


@dataclass(frozen=True)
class _Report:
    """The report that findings are about."""

    root: Path
    folder: Path
    report_id: str

    def finding(self, code: str, severity: Severity, message: str, name: str = "", line: int = 0) -> Finding:
        file = (self.folder / name).relative_to(self.root).as_posix()
        return Finding(self.report_id, file, line, code, severity, message)


# --- The root -----------------------------------------------------------------------------


def _root_findings(root: Path) -> Iterator[Finding]:
    for name in _names(root):
        if _LEFT_IN_ROOT.match(name):
            yield _about_root(name, "leftover", "warning", "A compaction of the index left it.")
        elif name in _FOLDERS_IN_ROOT and not durable.is_real_folder(root / name):
            yield _about_root(name, "symlink", "error", "It is no folder of its own; nothing in it is read.")
        elif not _OURS_IN_ROOT.match(name):
            yield _about_root(name, "stray_file", "info", "It is none of ours.")
    yield from _mark_findings(root)
    yield from _by_id_findings(root)
    yield from _trash_findings(root)
    yield from _index_findings(root)


def _about_root(name: str, code: str, severity: Severity, message: str) -> Finding:
    return Finding("", name, 0, code, severity, message)


def _mark_findings(root: Path) -> Iterator[Finding]:
    for name in _names(root / ".pending"):
        if _id_of(name) != name:
            yield _about_root(f".pending/{name}", "stray_file", "info", "It is none of ours.")
        elif _is_left(root / ".pending" / name, partial(_folders_of, root, name)):
            message = "A commit of this report was under way; the next list looks at it."
            yield Finding(name, f".pending/{name}", 0, "pending_mark", "warning", message)


def _folders_of(root: Path, report_id: str) -> list[Path]:
    """Where a report is, or is being made."""
    patterns = (f"by_id/{report_id}", f"by_id/.new-{report_id}-*", f".trash/{report_id}_*")
    return [folder for pattern in patterns for folder in root.glob(pattern)]


def _is_left(path: Path, places: Callable[[], list[Path]]) -> bool:
    """True if it is there, and nobody who holds one of these folders is about to take it away."""
    for _ in range(_MOVES_FOLLOWED):
        try:
            for folder in places():
                if (folder / ".lock").exists():
                    with ReportFolder(folder, lock_timeout_seconds=0.0).reading():
                        return path.exists()
            return path.exists()
        except LockTimeoutError:
            return False
        except FileNotFoundError:
            continue  # it moved to another of its places
    return path.exists()


def _by_id_findings(root: Path) -> Iterator[Finding]:
    for name in _names(root / "by_id"):
        path, file = root / "by_id" / name, f"by_id/{name}"
        if _LEFT_IN_BY_ID.match(name):
            if _is_left(path, partial(list, [path])):
                yield _about_root(file, "leftover", "warning", "A creation that was never finished left it.")
        elif path.is_symlink():
            yield _about_root(file, "symlink", "error", "It is a symbolic link; nothing is read through it.")
        elif _is_no_report(path) or _id_of(name) != name:
            yield _about_root(file, "stray_file", "warning", "It is not the folder of a report.")


def _trash_findings(root: Path) -> Iterator[Finding]:
    for name in _names(root / ".trash"):
        if not _id_of(name) or _is_no_report(root / ".trash" / name):
            yield _about_root(f".trash/{name}", "stray_file", "warning", "It is not the folder of a report.")


def _is_no_report(path: Path) -> bool:
    return not durable.is_real_folder(path) and os.path.lexists(path)


def _report_folders(parent: Path) -> list[Path]:
    folders = (parent / name for name in _names(parent) if _id_of(name))
    return [folder for folder in folders if durable.is_real_folder(folder)]


def _names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if durable.is_real_folder(folder) else []


def _id_of(name: str) -> str:
    """The id that a folder's name begins with (in the trash, a time follows); empty if none."""
    try:
        report_id = parse_uuid(name.partition("_")[0])
    except ValueError:
        return ""
    return report_id if name.startswith(report_id) else ""


# --- The index ----------------------------------------------------------------------------


class _Index:
    """The lines of `index.jsonl`, read again where the file has changed since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (-1, -1, -1)
        self.bad_lines: list[int] = []
        self.entries: dict[str, tuple[int, IndexEntry]] = {}
        self.follow()

    def follow(self) -> None:
        try:
            stat = self._path.stat()
            stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            data = self._path.read_bytes() if stamp != self._stamp else None
        except FileNotFoundError:
            stamp, data = (0, 0, 0), b""
        if data is None:
            return
        self._stamp, self.bad_lines, self.entries = stamp, [], {}
        for line, text in enumerate(data.splitlines(), start=1):
            try:
                entry = IndexEntry.model_validate_json(text)
            except ValidationError:
                self.bad_lines += [line] if text else []
                continue
            self.entries[entry.report_id] = line, entry


def _index_findings(root: Path) -> Iterator[Finding]:
    index = _Index(root / "index.jsonl")
    for line in index.bad_lines:
        message = "The line is not an entry: a crash may tear one. It is passed over."
        yield Finding("", "index.jsonl", line, "bad_entry", "info", message)
    for folder in _report_folders(root / "by_id"):
        if finding := _entry_finding(folder, index) and _entry_finding_if_still(folder, index):
            yield finding
    for report_id, (line, entry) in index.entries.items():
        if entry.path == f"by_id/{report_id}" and not (root / entry.path).exists():
            message = "The index names a report that is not there; it is not shown."
            yield Finding(report_id, "index.jsonl", line, "entry_without_report", "info", message)


def _entry_finding_if_still(folder: Path, index: _Index) -> Finding | None:
    """Look again when no writer is between its outline and its entry."""
    storage = ReportFolder(folder, lock_timeout_seconds=_BUSY_SECONDS)
    try:
        with storage.reading() if storage.lock_path.exists() else nullcontext():
            index.follow()
            return _entry_finding(folder, index)
    except (LockTimeoutError, FileNotFoundError):
        return None  # the first is said of the report itself


def _entry_finding(folder: Path, index: _Index) -> Finding | None:
    actual = entry_on_disk(folder, folder.name, f"by_id/{folder.name}")
    line, entry = index.entries.get(folder.name, (0, None))
    if actual is None or actual == entry:
        return None
    code = "entry_missing" if entry is None else "entry_stale"
    message = "The index does not list it." if entry is None else "The index does not list it as it is."
    return Finding(folder.name, "index.jsonl", line, code, "warning", message)


# --- A report -----------------------------------------------------------------------------


def _report_findings(report: _Report, storage: ReportFolder, deep: bool) -> Iterator[Finding]:
    yield from _file_findings(report)
    if not storage.exists():
        os.stat(report.folder)  # one that moved away is not an empty one
        yield report.finding("empty_folder", "warning", "It holds neither an outline nor a history.")
        return
    if report.folder.parent.name == "by_id" and (last := storage.log.last_ours()) and last.is_deletion:
        message = "It was deleted; the next one who looks at it moves it into the trash."
        yield report.finding("deletion_unfinished", "warning", message)
    findings = list(_state_findings(report, storage))
    is_damaged = any(finding.severity == "error" for finding in findings)
    yield from findings
    for found in findings_in(storage)[:MAX_FINDINGS]:
        severity: Severity = "warning" if found.code in _MENDED and not is_damaged else "error"
        yield report.finding(found.code, severity, found.message, found.file, found.line)
    if deep:
        yield from _version_findings(report, storage)


def left_in_backups(folder: Path) -> list[str]:
    """The files in a folder of backups that a crash kept from being finished."""
    return list(filter(_LEFT_IN_BACKUPS.match, _names(folder)))


def _file_findings(report: _Report) -> Iterator[Finding]:
    for name in _names(report.folder):
        if (report.folder / name).is_symlink():
            yield report.finding("symlink", "error", "It is a symbolic link: its bytes are elsewhere.", name)
        elif _SET_ASIDE.match(name):
            yield report.finding("set_aside", "info", "Recovery kept it; remove it at will.", name)
        elif _LEFT_IN_REPORT.match(name):
            yield report.finding("leftover", "warning", "A commit that never came to be left it.", name)
        elif not _OURS_IN_REPORT.match(name):
            yield report.finding("stray_file", "warning", "It is none of ours.", name)
    backups = report.folder / "backups"
    ours = set(backup_names(backups))
    for name in _names(backups):
        place = f"backups/{name}"
        if _LEFT_IN_BACKUPS.match(name):
            yield report.finding("leftover", "warning", "A backup that was never finished.", place)
        elif name not in ours:
            yield report.finding("stray_file", "info", "It is not a backup of ours.", place)


def _state_findings(report: _Report, storage: ReportFolder) -> Iterator[Finding]:
    """What opening the report would have to do first."""
    found = storage.look()
    if found.is_settled:
        return
    case = diagnose(storage, found, lambda outline: outline.report_id == report.report_id)
    match case:
        case Damaged():
            yield report.finding("damaged", "error", f"It is damaged: {case.damage}.")
        case Foreign():
            message = "Another program wrote it; the first change made here adopts it."
            yield report.finding("foreign", "info", message)
        case Confirm():
            message = "Its last event is in place, but may not be on the disk; opening it sees to that."
            yield report.finding("unsettled", "info", message)
        case _:
            message = f"Opening it has something to do first ({type(case).__name__})."
            yield report.finding("unsettled", "warning", message)


def _version_findings(report: _Report, storage: ReportFolder) -> Iterator[Finding]:
    """Replay the log; where that fails, the version must still be readable as a reader would read it."""
    outline: Outline | None = None
    for line, record in enumerate(storage.log.forwards(), start=1):
        if not record.makes_version:
            continue
        outline = _next_version(outline, record) or _read_back(storage, record)
        if outline is None:
            message = f"Version {record.version} cannot be read back."
            yield report.finding("version_lost", "error", message, "audit.jsonl", line)


def _next_version(outline: Outline | None, record: Record) -> Outline | None:
    if outline is None and not record.is_whole:
        return None
    try:
        new = apply(None if record.is_whole else outline, record.delta)
    except (DeltaError, ValueError):
        return None
    return new if sha256_hex(outline_bytes(new)) == record.outline_sha256 else None


def _read_back(storage: ReportFolder, record: Record) -> Outline | None:
    try:
        return storage.history.outline_at(record.version, _outline_in_place(storage))
    except ReportError:
        return None


def _outline_in_place(storage: ReportFolder) -> Outline | None:
    """The outline on disk, if it is the one that the last event left."""
    found = storage.look()
    last = storage.log.last_ours()
    if found.outline is None or last is None or found.sha256 != last.outline_sha256:
        return None
    return parse_outline(found.outline)
