"""Export and import of reports: the files of a report, its archive, and the verification of both.

Rules:

- An archive is a tar file of one folder, named by the id of the report: `outline.json`,
  `audit.jsonl`, `.head`, and the backups that cannot be rebuilt from the log. The same report
  always gives the same bytes. Unpacked by hand into `by_id/`, it is the report.
- Only the output of `pack` is unpacked: each header must be, byte for byte, the one that `pack`
  writes for this name and size. So there is no link, no other path, and no other kind of entry.
- An imported report is verified completely before it becomes visible: the chain, the report id in
  each line, and every version by its hash. A chain cannot show that all of it was rewritten.

    >>> data = pack(report_id, {"outline.json": outline, "audit.jsonl": log})
    >>> unpack(data) == (report_id, {"outline.json": outline, "audit.jsonl": log})
    True
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path

from living_reports.errors import CorruptReportError, InvalidInputError, TooLargeError
from living_reports.model.report import Outline, parse_outline, parse_uuid, sha256_hex
from living_reports.regular_files import read_regular
from living_reports.store.base import MAX_ARCHIVE_BYTES
from living_reports.store.files.commit import head_of
from living_reports.store.files.folder import ReportFolder, backup_names, bytes_of
from living_reports.store.files.log import Record
from living_reports.store.files.verify import find_problems, replay, verify

_PAUSE_SECONDS = 0.005
_BLOCK = 512
_RECORD = 20 * _BLOCK
_NAME = re.compile(
    r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"/(outline\.json|audit\.jsonl|\.head|backups/outline\.json\.\d{8}T\d{6}_\d{6}\.bak)"
)
_TYPES: dict[str, type] = {
    "base_at": int,
    "backup_filename": str,
    "backup_sha256": str,
    "head_was": str,
    "reason": str,
    "client": str,
    "user": str,
    "request_sha256": str,
    "applied": int,
    "created": dict,
    "warnings": list,
    "delta": list,
}
"""The types of the payload fields that store and library rely on."""
_OCTAL = re.compile(rb"[0-7]{11}")
_UNFINISHED = re.compile(r"\.lock|\.outline\..*\.tmp")


# --- The files of a report ----------------------------------------------------------------


def exported_files(report: ReportFolder, *, attempts: int = 1) -> dict[str, bytes]:
    """Return the files that make up a settled report and its history. The caller holds the lock.

    Args:
        report: The report.
        attempts: The number of attempts; more than one if the lock cannot be held, so that another
            process may be writing.

    Raises:
        CorruptReportError: The files differ from the log, so that no store could import them.
        TooLargeError: They are too much for one archive.
    """
    for _ in range(attempts - 1):
        try:
            return _consistent_files(report)
        except (CorruptReportError, FileNotFoundError):
            time.sleep(_PAUSE_SECONDS)
    return _consistent_files(report)


def _consistent_files(report: ReportFolder) -> dict[str, bytes]:
    length = report.log.size()
    _require_verified(report)
    _require_size(_total_size(report.report_dir))
    files = {"outline.json": read_regular(report.outline_path)}
    if not report.audit_path.exists():  # the folder of another program may lack it
        return files
    files["audit.jsonl"] = read_regular(report.audit_path)
    if (last := report.log.last_ours()) is not None:
        files[".head"] = head_of(last)
    known = {record.outline_sha256 for record in report.log.forwards() if record.makes_version}
    backups = {name: read_regular(report.backups_dir / name) for name in backup_names(report.backups_dir)}
    unknown = {name: data for name, data in backups.items() if sha256_hex(data) not in known}
    garbled = find_problems(report)[1] if unknown else ()
    files |= {f"backups/{name}": data for name, data in unknown.items() if name not in garbled}
    if report.log.size() != length:
        raise _incomplete("it was written while it was read")
    return files


def read_report_folder(folder: Path) -> dict[str, bytes]:
    """Return the files in a report's folder of another root by their paths there.

    Locks, temporary files and links are left out. The report is locked meanwhile if it has a lock file.
    Nothing is written or recovered.

    Raises:
        TooLargeError: The files are too much to be held in memory.
        LockTimeoutError: Another writer held the report for too long.
        OSError: A file cannot be read.
    """
    report = ReportFolder(folder)
    with report.reading() if report.lock_path.exists() else nullcontext():
        _require_size(_total_size(folder))
        return {path.relative_to(folder).as_posix(): read_regular(path) for path in _files_in(folder)}


def _files_in(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):  # links to folders are not followed
        for name in names:
            path = Path(above, name)
            if not path.is_symlink() and not _UNFINISHED.fullmatch(name):
                yield path


def _total_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in _files_in(folder))


def _require_size(size: int) -> None:
    if size > MAX_ARCHIVE_BYTES:
        raise TooLargeError(
            f"The report's files have {size:,} bytes; the limit is {MAX_ARCHIVE_BYTES:,}.",
            hint="Copy the report's folder itself into by_id of the other root.",
            limit=MAX_ARCHIVE_BYTES,
        )


# --- The archive --------------------------------------------------------------------------


def pack(report_id: str, files: Mapping[str, bytes]) -> bytes:
    """Return the files of a report as one archive."""
    blocks = []
    for name, data in files.items():
        blocks += [_header(f"{report_id}/{name}", len(data)), data, bytes(-len(data) % _BLOCK)]
    end = 2 * _BLOCK
    size = sum(map(len, blocks)) + end
    return b"".join([*blocks, bytes(end + -size % _RECORD)])


def _header(name: str, size: int) -> bytes:
    """Return the header of a plain file without owner and time."""
    from tarfile import USTAR_FORMAT, TarInfo  # here: most servers never export anything

    member = TarInfo(name)  # mode 0644, all else 0 or empty
    member.size = size
    return member.tobuf(USTAR_FORMAT)


def unpack(data: bytes) -> tuple[str, dict[str, bytes]]:
    """Return the id of a report and its files from an archive that `pack` made.

    Raises:
        InvalidInputError: This is no such archive.
        TooLargeError: It is too large.
    """
    _require_size(len(data))
    files: dict[str, bytes] = {}
    ids = set()
    offset = 0
    while any(header := data[offset : offset + _BLOCK]):
        report_id, name, size = _read_header(header)
        offset += _BLOCK
        if name in files or offset + size > len(data):
            raise _no_archive(f"{name} occurs twice or is cut off")
        ids.add(report_id)
        files[name] = data[offset : offset + size]
        offset += size + -size % _BLOCK
    if len(ids) != 1 or "outline.json" not in files:
        raise _no_archive("it contains no report, or more than one")
    [report_id] = ids
    if pack(report_id, files) != data:
        raise _no_archive("it is cut off, or something was added to it")
    return report_id, files


def _read_header(header: bytes) -> tuple[str, str, int]:
    """Return the id of the report, the name of the file in its folder, and its size."""
    path = header[:100].rstrip(b"\0").decode("ascii", "replace")
    match = _NAME.fullmatch(path)
    digits = header[124:135]
    if match is None or not _OCTAL.fullmatch(digits):
        raise _no_archive("it contains something else than the files of a report")
    size = int(digits, 8)
    if header != _header(path, size):
        raise _no_archive(f"the entry {match[2]} is not as export writes it")
    return match[1], match[2], size


def _no_archive(why: str) -> InvalidInputError:
    return InvalidInputError(
        f"This is not a file that export wrote: {why}.",
        hint="Import the file exactly as it was exported; a report's folder is put into by_id by hand.",
        path="path",
    )


# --- Verification of imported files -------------------------------------------------------


def verified_outline(report: ReportFolder, report_id: str) -> Outline:
    """Return the outline of imported files once all of them are verified.

    Raises:
        CorruptReportError: Something differs from the log; the message says what.
    """
    _require_verified(report)
    try:
        outline = parse_outline(read_regular(report.outline_path))
    except (OSError, ValueError) as error:
        raise _incomplete("outline.json is missing or not a valid outline") from error
    if parse_uuid(outline.report_id) != report_id:
        raise _incomplete(f"outline.json belongs to report {outline.report_id}")
    if report.log.last_ours() is None:
        return outline  # written by another program: adopted with its first change
    before: Outline | None = None
    for line, record in enumerate(report.log.forwards(), start=1):
        _require_own_line(record, report_id, line)
        if record.makes_version:
            before = replay(before, record)
            if before is None:
                raise _incomplete(f"version {record.version} cannot be reconstructed from the log")
    return outline


def _require_verified(report: ReportFolder) -> None:
    """Refuse files that differ from the log; the log of another program cannot be compared."""
    if not report.outline_path.exists():
        raise _incomplete("outline.json is missing")
    if report.log.last_ours() is None:
        return
    if findings := verify(report)["findings"]:
        first = findings[0]
        where = f"line {first['line']} of audit.jsonl: " if first["line"] else ""
        raise _incomplete(f"{where}{first['message'].rstrip('.')}")


def require_archived(report: ReportFolder) -> None:
    """Refuse the files of an archive with a `.head` that names another event than the log ends with.

    Raises:
        CorruptReportError: It does.
    """
    last = report.log.last_ours()
    if last is not None and bytes_of(report.head_path) not in (None, head_of(last)):
        raise _incomplete(".head differs from the last event of audit.jsonl")


def _require_own_line(record: Record, report_id: str, line: int) -> None:
    if not record.is_ours:
        return
    if record.is_event and parse_uuid(record.event.report_id) != report_id:
        raise _incomplete(f"line {line} of audit.jsonl belongs to report {record.event.report_id}")
    fields = record.payload
    is_typed = all(isinstance(fields[name], kind) for name, kind in _TYPES.items() if name in fields)
    if not is_typed or not all(isinstance(edit, dict) for edit in record.delta):
        raise _incomplete(f"line {line} of audit.jsonl is not an event as this program writes it")


def _incomplete(why: str) -> CorruptReportError:
    return CorruptReportError(
        f"The report is incomplete or damaged: {why}.",
        hint="Run verify where the report was made to see what is wrong; a damaged report cannot be copied.",
        damaged=why,
    )
