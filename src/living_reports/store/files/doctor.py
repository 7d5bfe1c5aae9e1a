"""Check of a whole root (every report, the trash, the catalogue, leftover files), and its repair.

Rules for a check:

- It only reads: nothing is repaired, created or removed, and no lock file is created.
- Files are judged as found, those of each report under its lock, so that the work of a running
  writer is no finding. An `error` is damage: a promise does not hold. A `warning` is settled by
  opening the report or listing the root (after a crash: a commit to finish, a catalogue entry to
  correct, a file to remove); for the first minute it is an `info`, because a crash that lost nothing
  is no fault. An `info` is harmless.
- A FIFO, a device, a socket or a folder in the place of a file is an `error`; nothing is read from it.
- `deep` also replays every version of every report and compares each with its hash.

Rules for a repair:

- The content of a report is decided by opening it, by the rules of `recovery`. What opening cannot
  settle (an altered log, a damaged outline) stays as it is.
- Removed are only files that a crash left and that no process can be using: the lock of their
  writer is free, or they are older than any writer waits.
- Files of other programs, and files that recovery set aside, stay where they are.
- What cannot be done now (a busy report, a disk error) is logged, and the next check finds it.

    >>> repair(store, check_root(store.reports_root))
    >>> [finding.code for finding in check_root(store.reports_root, deep=True)]
    []
"""

from __future__ import annotations

import logging
import math
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from pydantic import ValidationError

from living_reports.errors import LockTimeoutError, ReportError
from living_reports.model.report import IndexEntry, Outline, as_uuid, parse_outline
from living_reports.regular_files import NotRegularFileError, read_regular
from living_reports.store.base import Finding, Progress, Severity
from living_reports.store.files import durable, recovery
from living_reports.store.files.catalogue import entry_on_disk
from living_reports.store.files.folder import ReportFolder, Root, backup_names
from living_reports.store.files.lock import hold
from living_reports.store.files.log import Record
from living_reports.store.files.recovery import Confirm, Damaged, Foreign, diagnose
from living_reports.store.files.verify import MAX_FINDINGS, find_problems, replay

logger = logging.getLogger(__name__)

_BUSY_SECONDS = 5.0
_ATTEMPTS = 3
"""The number of times that a report is followed to another folder."""
_SETTLED_BY_OPENING = frozenset({"outline_mismatch", "outline_missing", "torn_line"})
"""Problems that `verify` finds while a commit is unfinished, or a person's edit is not merged yet."""

_LEFT_BY_CRASHES = frozenset(
    {
        "bad_line",
        "deletion_unfinished",
        "empty_folder",
        "entry_missing",
        "entry_stale",
        "leftover",
        "outline_mismatch",
        "pending_mark",
        "torn_line",
        "unsettled",
    }
)
FRESH_SECONDS = 60.0
"""How long a store takes what a crash left for information."""

_OURS_IN_ROOT = re.compile(
    r"^(index\.jsonl|\.index\.lock|by_id|templates|\.trash|\.pending|\.search\..*|\.git.*)$"
)
_OURS_IN_REPORT = re.compile(r"^(outline\.json|audit\.jsonl|backups|render|\.head|\.lock)$")
_FILES_IN_ROOT = re.compile(r"^(index\.jsonl|\.index\.lock|\.search\..*)$")
_FILES_IN_REPORT = re.compile(r"^(outline\.json|audit\.jsonl|\.head|\.lock)$")
_FOLDERS_IN_ROOT = frozenset({"by_id", "templates", ".trash", ".pending"})
_PLACES = ("by_id", ".trash")
"""The folders of reports, in this order: a report that is deleted during the check is found in the second."""
_SET_ASIDE = re.compile(r"^(audit\.torn|outline\..*aside\.json)$")
_LEFT_IN_ROOT = re.compile(r"^\.index\..*\.tmp$")
_LEFT_IN_REPORT = re.compile(r"^\.outline\..*\.tmp$")
_LEFT_IN_BACKUPS = re.compile(r"^\.outline\.json\..*\.tmp$")
_LEFT_IN_BY_ID = re.compile(r"^\.new-")
_NOT_OURS = "It does not belong to this program."
_NO_FILE = "It is not a regular file; nothing is read from it."


def check_root(
    root: Path,
    *,
    deep: bool = False,
    progress: Progress | None = None,
    fresh_seconds: float = 0.0,
) -> list[Finding]:
    """Check a root and every report in it.

    Args:
        root: A reports directory; one that is not there has no findings.
        deep: Replay every version, too.
        progress: Called after each report.
        fresh_seconds: The age up to which the traces of a crash are information.

    Raises:
        OSError: A folder of the root cannot be read.
    """
    root = root.resolve()  # the root itself may be reached through a link, its folders may not
    findings = list(_root_findings(root))
    total = sum(len(_report_folders(root / place)) for place in _PLACES)
    folders = chain.from_iterable(_report_folders(root / place) for place in _PLACES)
    for done, folder in enumerate(folders, start=1):
        findings += _check_report(root, folder, deep)
        if progress is not None:
            progress("checking", done, max(done, total))
    return [_graded(root, finding, fresh_seconds) for finding in findings]


def _graded(root: Path, finding: Finding, fresh_seconds: float) -> Finding:
    """Return what a crash left just now as information: the next opening or list settles it."""
    if finding.severity != "warning" or finding.code not in _LEFT_BY_CRASHES:
        return finding
    parts = Path(finding.file).parts
    paths = [] if parts == ("index.jsonl",) else [root / finding.file]
    if finding.report:
        folder = root.joinpath(*parts[:2]) if parts[0] in _PLACES else root / "by_id" / finding.report
        paths += [folder / "audit.jsonl", folder / "outline.json"]
    is_fresh = any(0 <= age < fresh_seconds for age in map(_age_of, paths))
    return replace(finding, severity="info") if is_fresh else finding


def _age_of(path: Path) -> float:
    """Return the seconds since a file was changed; infinity if it is gone."""
    try:
        return time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return math.inf


def _check_report(root: Path, folder: Path, deep: bool) -> list[Finding]:
    """Check the folder of a report, in `by_id` or in the trash; one that moved away has no findings."""
    report = _Report(root, ReportFolder(folder, lock_timeout_seconds=_BUSY_SECONDS), _id_of(folder.name))
    try:
        with _locked_if_possible(report.files):
            return list(_report_findings(report, deep))
    except LockTimeoutError:
        return [report.finding("busy", "warning", "Another process holds it: check again later.")]
    except OSError as error:
        if not folder.exists():
            return []
        why = error.strerror or type(error).__name__
        file = f"{error.filename}: " if isinstance(error, NotRegularFileError) else ""
        return [report.finding("unreadable", "error", f"It cannot be read: {file}{why}.")]


def _locked_if_possible(files: ReportFolder) -> AbstractContextManager[object]:
    """Hold the report if it has a lock file: a check creates none."""
    return files.reading() if files.lock_path.exists() else nullcontext()


@dataclass(frozen=True)
class _Report:
    """The report that findings are about."""

    root: Path
    files: ReportFolder
    report_id: str

    @property
    def folder(self) -> Path:
        return self.files.report_dir

    def finding(self, code: str, severity: Severity, message: str, name: str = "", line: int = 0) -> Finding:
        file = (self.folder / name).relative_to(self.root).as_posix()
        return Finding(self.report_id, file, line, code, severity, message)


# --- The root -----------------------------------------------------------------------------


def _root_findings(root: Path) -> Iterator[Finding]:
    for name in _names(root):
        if _LEFT_IN_ROOT.match(name):
            yield _about_root(name, "leftover", "warning", "An interrupted compaction left it.")
        elif name in _FOLDERS_IN_ROOT and not durable.is_real_folder(root / name):
            yield _about_root(name, "symlink", "error", "It is not a real folder; nothing in it is read.")
        elif _FILES_IN_ROOT.match(name) and _is_no_file(root / name):
            yield _about_root(name, "unreadable", "error", _NO_FILE)
        elif not _OURS_IN_ROOT.match(name):
            yield _about_root(name, "stray_file", "info", _NOT_OURS)
    yield from _template_findings(root)
    yield from _mark_findings(root)
    yield from _by_id_findings(root)
    yield from _trash_findings(root)
    yield from _catalogue_findings(root)


def _template_findings(root: Path) -> Iterator[Finding]:
    for name in _names(root / "templates"):
        if name.endswith(".json") and (root / "templates" / name).is_symlink():
            yield _about_root(
                f"templates/{name}", "symlink", "error", "It is a symbolic link; it is not read."
            )
        elif name.endswith(".json") and _is_no_file(root / "templates" / name):
            yield _about_root(f"templates/{name}", "unreadable", "error", _NO_FILE)


def _is_no_file(path: Path) -> bool:
    """Return whether something that is no regular file has this name, or is the target of this link."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _about_root(name: str, code: str, severity: Severity, message: str) -> Finding:
    return Finding("", name, 0, code, severity, message)


def _mark_findings(root: Path) -> Iterator[Finding]:
    for name in _names(root / ".pending"):
        if _id_of(name) != name:
            yield _about_root(f".pending/{name}", "stray_file", "info", _NOT_OURS)
        elif _is_left(root / ".pending" / name, partial(_folders_of, root, name)):
            message = "A commit of this report was interrupted; the next list settles it."
            yield Finding(name, f".pending/{name}", 0, "pending_mark", "warning", message)


def _folders_of(root: Path, report_id: str) -> list[Path]:
    """Return the folders in which a report is, or is being created."""
    patterns = (f"by_id/{report_id}", f"by_id/.new-{report_id}-*", f".trash/{report_id}_*")
    return [folder for pattern in patterns for folder in root.glob(pattern)]


def _is_left(path: Path, places: Callable[[], list[Path]]) -> bool:
    """Return whether a file exists, and no process that holds one of these folders may remove it."""
    for _ in range(_ATTEMPTS):
        try:
            for folder in places():
                if (folder / ".lock").exists():
                    with ReportFolder(folder, lock_timeout_seconds=0.0).reading():
                        return path.exists()
            return path.exists()
        except LockTimeoutError:
            return False
        except FileNotFoundError:
            continue  # the report moved to another of its folders
    return path.exists()


def _by_id_findings(root: Path) -> Iterator[Finding]:
    for name in _names(root / "by_id"):
        path, file = root / "by_id" / name, f"by_id/{name}"
        if _LEFT_IN_BY_ID.match(name):
            if _is_left(path, partial(list, [path])):
                yield _about_root(file, "leftover", "warning", "An interrupted creation left it.")
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
    """Return the id at the beginning of a folder's name (in the trash, a time follows); empty if none."""
    report_id = as_uuid(name.partition("_")[0])
    return report_id if name.startswith(report_id) else ""


# --- The catalogue ------------------------------------------------------------------------


class _Catalogue:
    """The lines of `index.jsonl`, read again when the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (-1, -1, -1)
        self.bad_lines: list[int] = []
        self.entries: dict[str, tuple[int, IndexEntry]] = {}
        self.follow()

    def follow(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            data = read_regular(self._path) if stamp != self._stamp else None
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


def _catalogue_findings(root: Path) -> Iterator[Finding]:
    if _is_no_file(root / "index.jsonl"):
        return  # which is a finding of its own
    catalogue = _Catalogue(root / "index.jsonl")
    for line in catalogue.bad_lines:
        message = "The line is not an entry: a crash may have torn it. It is skipped."
        yield Finding("", "index.jsonl", line, "bad_entry", "info", message)
    for folder in _report_folders(root / "by_id"):
        if finding := _entry_finding(folder, catalogue) and _entry_finding_under_lock(folder, catalogue):
            yield finding
    for report_id, (line, entry) in catalogue.entries.items():
        if entry.path == f"by_id/{report_id}" and not (root / entry.path).exists():
            message = "The catalogue names a report that does not exist; it is not shown."
            yield Finding(report_id, "index.jsonl", line, "entry_without_report", "info", message)


def _entry_finding_under_lock(folder: Path, catalogue: _Catalogue) -> Finding | None:
    """Compare again when no writer is between its outline and its entry."""
    try:
        with _locked_if_possible(ReportFolder(folder, lock_timeout_seconds=_BUSY_SECONDS)):
            catalogue.follow()
            return _entry_finding(folder, catalogue)
    except (LockTimeoutError, FileNotFoundError):
        return None  # a time-out is a finding of the report itself


def _entry_finding(folder: Path, catalogue: _Catalogue) -> Finding | None:
    actual = entry_on_disk(folder, folder.name, f"by_id/{folder.name}")
    line, entry = catalogue.entries.get(folder.name, (0, None))
    if actual is None or actual == entry:
        return None
    code, state = ("entry_missing", "missing") if entry is None else ("entry_stale", "outdated")
    return Finding(folder.name, "index.jsonl", line, code, "warning", f"Its catalogue entry is {state}.")


# --- A report -----------------------------------------------------------------------------


def _report_findings(report: _Report, deep: bool) -> Iterator[Finding]:
    in_files = list(_file_findings(report))
    yield from in_files
    if any(finding.code == "unreadable" for finding in in_files):
        return
    if not report.files.exists():
        os.stat(report.folder)  # raises an error if the folder moved away
        yield report.finding("empty_folder", "warning", "It contains neither an outline nor a history.")
        return
    if report.folder.parent.name == "by_id" and (last := report.files.log.last_ours()) and last.is_deletion:
        message = "It was deleted; the next process that opens it moves it into the trash."
        yield report.finding("deletion_unfinished", "warning", message)
    findings = list(_state_findings(report))
    is_damaged = any(finding.severity == "error" for finding in findings)
    yield from findings
    problems, garbled = find_problems(report.files)
    for name in garbled:
        message = "A crash left it empty or incomplete. The log has its version; later changes remove it."
        yield report.finding("backup_garbled", "info", message, f"backups/{name}")
    torn = {("bad_line", problem.line) for problem in problems if problem.code == "torn_line"}
    for problem in problems[:MAX_FINDINGS]:
        is_settled = problem.code in _SETTLED_BY_OPENING or (problem.code, problem.line) in torn
        is_minor = is_settled and not is_damaged
        severity: Severity = "warning" if is_minor else "error"
        yield report.finding(problem.code, severity, problem.message, problem.file, problem.line)
    if deep:
        yield from _version_findings(report)


def _left_in_backups(folder: Path) -> list[str]:
    """Return the unfinished files in a folder of backups."""
    return list(filter(_LEFT_IN_BACKUPS.match, _names(folder)))


def _file_findings(report: _Report) -> Iterator[Finding]:
    for name in _names(report.folder):
        if (report.folder / name).is_symlink():
            yield report.finding("symlink", "error", "It is a symbolic link: its bytes are elsewhere.", name)
        elif _FILES_IN_REPORT.match(name) and _is_no_file(report.folder / name):
            yield report.finding("unreadable", "error", _NO_FILE, name)
        elif _SET_ASIDE.match(name):
            yield report.finding("set_aside", "info", "Recovery kept it; it may be removed.", name)
        elif _LEFT_IN_REPORT.match(name):
            yield report.finding("leftover", "warning", "An interrupted commit left it.", name)
        elif not _OURS_IN_REPORT.match(name):
            yield report.finding("stray_file", "warning", _NOT_OURS, name)
    backups = report.folder / "backups"
    unfinished, finished = set(_left_in_backups(backups)), set(backup_names(backups))
    for name in _names(backups):
        place = f"backups/{name}"
        if name in unfinished:
            yield report.finding("leftover", "warning", "It is an unfinished backup.", place)
        elif name not in finished:
            yield report.finding("stray_file", "info", "It is not a backup of this program.", place)
        elif _is_no_file(backups / name):
            yield report.finding("unreadable", "error", _NO_FILE, place)


def _state_findings(report: _Report) -> Iterator[Finding]:
    """Yield the work that opening the report would do first."""
    found = report.files.look()
    if found.is_settled:
        return
    case = diagnose(report.files, found, lambda outline: outline.report_id == report.report_id)
    match case:
        case Damaged():
            yield report.finding("damaged", "error", f"It is damaged: {case.damage}.")
        case Foreign():
            message = "Another program wrote it; the first change made here adopts it."
            yield report.finding("foreign", "info", message)
        case Confirm():
            message = "Its last event is written, but may not be synced; opening it does that."
            yield report.finding("unsettled", "info", message)
        case _:
            message = f"Opening it does some work first ({type(case).__name__})."
            yield report.finding("unsettled", "warning", message)


def _version_findings(report: _Report) -> Iterator[Finding]:
    """Replay the log; if that fails, the version must still be readable in the way of a reader."""
    outline: Outline | None = None
    for line, record in enumerate(report.files.log.forwards(), start=1):
        if not record.makes_version:
            continue
        outline = replay(outline, record) or _read_version(report.files, record)
        if outline is None:
            message = f"Version {record.version} cannot be reconstructed."
            yield report.finding("version_lost", "error", message, "audit.jsonl", line)


def _read_version(files: ReportFolder, record: Record) -> Outline | None:
    try:
        return files.history.outline_at(record.version, _current_outline(files))
    except ReportError:
        return None


def _current_outline(files: ReportFolder) -> Outline | None:
    """Return the outline on disk, if it has the hash that the last event names."""
    found = files.look()
    last = files.log.last_ours()
    if found.outline is None or last is None or found.sha256 != last.outline_sha256:
        return None
    return parse_outline(found.outline)


# --- Repair -------------------------------------------------------------------------------


def repair(root: Root, findings: Sequence[Finding], progress: Progress | None = None) -> None:
    """Repair what the findings name. Another check tells what is left.

    Args:
        root: The root that was checked.
        findings: The findings of the check.
        progress: Called after each folder.

    Raises:
        OSError: A folder of the root cannot be read.
    """
    root.index.remove_leftovers()
    root.sweep()
    root.index.entries()  # read now, so that opening a report compares it with its entry
    folders = _folders_in(root, findings)
    for done, folder in enumerate(folders, start=1):
        try:
            _open(root, folder)
        except (ReportError, OSError) as error:
            logger.info("%s is not repaired: %s", folder.name, error)
        if progress is not None:
            progress("repairing", done, len(folders))
    root.settle_index()


def _folders_in(root: Root, findings: Sequence[Finding]) -> list[Path]:
    """Return the folders of the reports that findings are about, each once."""
    folders = {}
    for finding in findings:
        if finding.report and finding.file.startswith(".trash/"):
            folders[root.trash_dir / finding.file.split("/")[1]] = True
        elif finding.report:
            folders[root.by_id / finding.report] = True
    return list(filter(durable.is_real_folder, folders))


def _open(root: Root, folder: Path) -> None:
    """Let the report recover, which also finishes a move into the trash and corrects its entry."""
    in_trash = folder.parent == root.trash_dir
    files = ReportFolder(folder) if in_trash else root.get_report_storage(folder.name)
    if files.exists():
        if names := _left_in_backups(files.backups_dir):
            with files.lock():
                for name in names:
                    durable.remove(files.backups_dir / name)
        if in_trash:
            recovery.read(files)
        else:
            root.read(folder.name)
    elif not in_trash:
        _remove_empty(folder, root.lock_timeout_seconds)


def _remove_empty(folder: Path, age_seconds: float) -> None:
    """Remove a folder that a first write created and never filled, if it contains nothing at all."""
    if time.time() - folder.lstat().st_mtime < age_seconds or set(os.listdir(folder)) - {".lock"}:
        return
    with hold(folder / ".lock", 0.0):
        if set(os.listdir(folder)) == {".lock"}:
            durable.remove_folder(folder)
