"""A report on its way to another root: what is taken along, the file it travels in, and the check on arrival.

Rules:

- The file is a tar archive of one folder, named by the report's id: `outline.json`,
  `audit.jsonl`, `.head`, and the backups that the log cannot make again. The same report always
  gives the same bytes. Unpacked by hand into `by_id/`, it is the report.
- Only what `pack` writes is unpacked: each header must be, byte for byte, the one that `pack`
  gives to this name and size. So there is no link, no other path, no other kind of entry.
- What arrives is checked whole before anybody sees it: the chain, whose report each line says it
  is, and every version by its hash. A chain cannot show that all of it was rewritten.

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
from living_reports.model.delta import DeltaError, apply
from living_reports.model.report import Outline, outline_bytes, parse_outline, parse_uuid, sha256_hex
from living_reports.store.files.commit import head_of
from living_reports.store.files.folder import ReportFolder, backup_names
from living_reports.store.files.log import Record
from living_reports.store.files.verify import verify

MAX_BYTES = 512 * 1024 * 1024
"""What a report may come to, all its files together, to travel."""

_PAUSE_SECONDS = 0.005
_BLOCK = 512
_RECORD = 20 * _BLOCK
_MAGIC = b"ustar\x0000"
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
    "request_sha256": str,
    "applied": int,
    "created": dict,
    "warnings": list,
    "delta": list,
}
"""What the fields of a payload are that storage and library rely on."""
_UNFINISHED = re.compile(r"\.lock|\.outline\..*\.tmp")


# --- What is taken along ------------------------------------------------------------------


def exported_files(storage: ReportFolder, *, attempts: int = 1) -> dict[str, bytes]:
    """The files that make up a report and its history. Takes a held lock, a settled report.

    Args:
        storage: The report.
        attempts: How often to look where the lock cannot be held, so that another may be writing.

    Raises:
        CorruptReportError: What is there is not what the log says, so nobody could import it.
        TooLargeError: It is too much for one file.
    """
    for _ in range(attempts - 1):
        try:
            return _files_of_one_moment(storage)
        except (CorruptReportError, FileNotFoundError):
            time.sleep(_PAUSE_SECONDS)
    return _files_of_one_moment(storage)


def _files_of_one_moment(storage: ReportFolder) -> dict[str, bytes]:
    length = storage.log.size()
    _require_verified(storage)
    _require_size(_sizes(storage.report_dir))
    files = {"outline.json": storage.outline_path.read_bytes()}
    if not storage.audit_path.exists():  # another program's folder may lack it
        return files
    files["audit.jsonl"] = storage.audit_path.read_bytes()
    if (last := storage.log.last_ours()) is not None:
        files[".head"] = head_of(last)
    known = {record.outline_sha256 for record in storage.log.forwards() if record.makes_version}
    for name in backup_names(storage.backups_dir):
        data = (storage.backups_dir / name).read_bytes()
        if sha256_hex(data) not in known:
            files[f"backups/{name}"] = data
    if storage.log.size() != length:
        raise _unsound("it was written meanwhile")
    return files


def copied_files(folder: Path) -> dict[str, bytes]:
    """Every file of another root's report by its path in there, but locks, temporary files and links.

    Its lock is held meanwhile if it has one; nothing is written there.

    Raises:
        TooLargeError: They are too much to be held at once.
        LockTimeoutError: Another writer kept the report.
        OSError: A file cannot be read.
    """
    storage = ReportFolder(folder)
    with storage.reading() if storage.lock_path.exists() else nullcontext():
        _require_size(_sizes(folder))
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):  # links to folders are not followed
        for name in names:
            path = Path(above, name)
            if path.is_file() and not path.is_symlink() and not _UNFINISHED.fullmatch(name):
                yield path


def _sizes(folder: Path) -> int:
    return sum(path.stat().st_size for path in _files(folder))


def _require_size(size: int) -> None:
    if size > MAX_BYTES:
        raise TooLargeError(
            f"The report's files have {size:,} bytes; the limit is {MAX_BYTES:,}.",
            hint="Copy the report's folder itself into by_id of the other root.",
            limit=MAX_BYTES,
        )


# --- The file -----------------------------------------------------------------------------


def pack(report_id: str, files: Mapping[str, bytes]) -> bytes:
    """The files of a report as one archive."""
    blocks = []
    for name, data in files.items():
        blocks += [_header(f"{report_id}/{name}", len(data)), data, bytes(-len(data) % _BLOCK)]
    end = 2 * _BLOCK
    size = sum(map(len, blocks)) + end
    return b"".join([*blocks, bytes(end + -size % _RECORD)])


def _header(name: str, size: int) -> bytes:
    """The header of a plain file (POSIX ustar) that belongs to nobody and has no time."""
    fields = [name.encode().ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0"]
    fields += [b"%011o\0" % size, b"%011o\0" % 0, b" " * 8, b"0", bytes(100), _MAGIC]
    header = b"".join(fields).ljust(_BLOCK, b"\0")
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def is_archive(beginning: bytes) -> bool:
    """True if a file that begins so (512 bytes are enough) is a tar archive."""
    return beginning[257:262] == _MAGIC[:5]


def unpack(data: bytes) -> tuple[str, dict[str, bytes]]:
    """The id of a report and its files, out of an archive that `pack` made.

    Raises:
        InvalidInputError: It is no such archive.
        TooLargeError: It is larger than one may be.
    """
    _require_size(len(data))
    files: dict[str, bytes] = {}
    ids = set()
    offset = 0
    while any(header := data[offset : offset + _BLOCK]):
        report_id, name, size = _read_header(header)
        offset += _BLOCK
        if name in files or offset + size > len(data):
            raise _no_archive(f"{name} comes twice or is cut off")
        ids.add(report_id)
        files[name] = data[offset : offset + size]
        offset += size + -size % _BLOCK
    if len(ids) != 1 or "outline.json" not in files:
        raise _no_archive("it holds no report, or more than one")
    [report_id] = ids
    if pack(report_id, files) != data:
        raise _no_archive("it is cut off, or something was added to it")
    return report_id, files


def _read_header(header: bytes) -> tuple[str, str, int]:
    """The report's id, the name of the file in its folder, and its size."""
    path = header[:100].rstrip(b"\0").decode("ascii", "replace")
    match = _NAME.fullmatch(path)
    digits = header[124:135]
    if match is None or not re.fullmatch(rb"[0-7]{11}", digits):
        raise _no_archive("it holds what is no file of a report")
    size = int(digits, 8)
    if header != _header(path, size):
        raise _no_archive(f"the entry {match[2]} is not as export writes it")
    return match[1], match[2], size


def _no_archive(why: str) -> InvalidInputError:
    return InvalidInputError(
        f"This is not a file that export wrote: {why}.",
        hint="Import the file as it was exported; a report's folder is put into by_id by hand.",
        path="path",
    )


# --- On arrival ---------------------------------------------------------------------------


def arrived(storage: ReportFolder, report_id: str) -> Outline:
    """The outline of a report that came from elsewhere, once all of it has proved sound.

    Raises:
        CorruptReportError: Something is not what the log says; the message says what.
    """
    _require_verified(storage)
    try:
        outline = parse_outline(storage.outline_path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unsound("outline.json is missing or not a valid outline") from error
    if parse_uuid(outline.report_id) != report_id:
        raise _unsound(f"outline.json belongs to report {outline.report_id}")
    if storage.log.last_ours() is None:
        return outline  # another program's: adopted as it is, with its first change
    before: Outline | None = None
    for line, record in enumerate(storage.log.forwards(), start=1):
        _require_own_line(record, report_id, line)
        if record.makes_version:
            before = _replayed(before, record)
    return outline


def _require_verified(storage: ReportFolder) -> None:
    """Refuse files that are not what the log says; another program's log says nothing of them."""
    if not storage.outline_path.exists():
        raise _unsound("outline.json is missing")
    if storage.log.last_ours() is None:
        return
    if findings := verify(storage)["findings"]:
        first = findings[0]
        where = f"line {first['line']} of audit.jsonl: " if first["line"] else ""
        raise _unsound(f"{where}{first['message'].rstrip('.')}")


def _require_own_line(record: Record, report_id: str, line: int) -> None:
    if record.is_ours and record.is_event and parse_uuid(record.event.report_id) != report_id:
        raise _unsound(f"line {line} of audit.jsonl belongs to report {record.event.report_id}")
    if not record.is_ours:
        return
    fields = record.payload
    is_typed = all(isinstance(fields[name], kind) for name, kind in _TYPES.items() if name in fields)
    if not is_typed or not all(isinstance(edit, dict) for edit in record.delta):
        raise _unsound(f"line {line} of audit.jsonl is not an event as it is written here")


def _replayed(before: Outline | None, record: Record) -> Outline:
    """The outline after an event, which must be what its hash says."""
    problem = f"version {record.version} cannot be read back from the log"
    if before is None and not record.is_whole:
        raise _unsound(problem)
    try:
        outline = apply(None if record.is_whole else before, record.delta)
    except (DeltaError, ValueError) as error:
        raise _unsound(problem) from error
    if sha256_hex(outline_bytes(outline)) != record.outline_sha256:
        raise _unsound(problem)
    return outline


def _unsound(why: str) -> CorruptReportError:
    return CorruptReportError(
        f"The report is not whole: {why}.",
        hint="verify, asked where the report was made, says what is wrong; a damaged report does not travel.",
        damaged=why,
    )
