"""The catalogue of a root: `index.jsonl`, one entry a line, the last line for an id wins.

Rules:

- A line that is torn or no entry is passed over. A line in the usual form is kept as it is until its
  entry is asked for: a hundred thousand lines are read within a third of the time that parsing takes.

- The index is derived: every line can be made again from the reports. It is appended to
  after a commit, under the report's lock, and never synced. What fails here fails no commit.
- A report whose commit is under way has an empty file in `.pending/`. Whoever finds such a
  mark looks at that report under its lock before using the entry.
- After a power cut the end of the index may be missing, and the marks, too. So the first look
  after a boot compares every entry with its folder, and marks the reports whose last event is not
  in place; `.index.lock` holds the id of that boot.
- Readers take no lock. They follow the tail of the file and start over when it was
  replaced. Appending and replacing happen under `.index.lock`, held briefly and last.
- A folder in `by_id` that has no entry gets one when the index is read next; an entry without a
  folder is not shown. A symbolic link is not a folder.

    >>> index = ReportIndex(root / "index.jsonl")
    >>> [entry.current_title for entry in index.entries().values()]
    ['Health of the environment']
"""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator, KeysView, Mapping, Set
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from living_reports.errors import LockTimeoutError
from living_reports.model.report import IndexEntry, Outline, as_uuid, parse_outline, parse_uuid
from living_reports.regular_files import open_regular, read_regular
from living_reports.store.files import durable
from living_reports.store.files.lock import hold
from living_reports.store.files.log import AuditLog

logger = logging.getLogger(__name__)

_COMPACT_ABOVE_LINES = 1000
_COMPACT_ABOVE_BYTES = 256_000
_LOCK_TIMEOUT_SECONDS = 2.0
_LEFTOVER_SECONDS = 60.0
_MAX_UNCHECKED = 1000
MANY = 1000
"""So many reports are too many for a page to wait until all are read."""
_SHORT_LINE_BYTES = 250
_COUNTED_BYTES = 4_000_000
_NAMED = re.compile(rb'"report_id": ?"([^"]*)"')
_MARK_BYTES = 256
_HEAD_BYTES = 8192
_UPDATED_LINE = re.compile(rb'^  "updated_at": "([^"\\]*)"', re.MULTILINE)
_UNFINISHED = ".new-"
_FRESH_SECONDS = 0.1
"""A folder changed so lately may change again without its time telling."""
_CLOCK_SLACK_SECONDS = 600
_VERSION_LINE = re.compile(rb'^  "outline_version": (\d+)', re.MULTILINE)
_TEXT = rb'"[^"\\\x00-\x1f]*"'
_USUAL = (
    rb'\{"report_id": ?"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"'
    rb', ?"current_title": ?"[^"\\\x00-\x1f]+"'
    rb', ?"created_at": ?%(text)s, ?"updated_at": ?%(text)s'
    rb', ?"tags": ?\[(?:%(text)s(?:, ?%(text)s)*)?\]'
    rb', ?"status": ?"(?:active|archived|deleted)", ?"path": ?"by_id/\1"\}'
) % {b"text": _TEXT}
_LINES = re.compile(rb"^(?:%s|.*)$" % _USUAL, re.MULTILINE)


class Listing(NamedTuple):
    """The names in `by_id`.

    Attributes:
        stamp: The time of its last change.
        names: All of them, in no order.
        is_final: Whether no other names can have that stamp: the next change gets a later one.
    """

    stamp: int
    names: list[str]
    is_final: bool


def list_names(by_id: Path) -> Listing:
    """Return the names in a folder. The stamp is read first: a later one could belong to names not listed."""
    stamp = by_id.stat().st_mtime_ns
    is_final = time.time() - stamp / 1e9 > _FRESH_SECONDS
    return Listing(stamp, os.listdir(by_id), is_final)


class Tail(NamedTuple):
    """The point up to which a reader has read the catalogue.

    Attributes:
        inode: The file; -1 if nothing was read.
        offset: The number of bytes read.
        mark: The last bytes before the offset, because an inode number may be reused.
    """

    inode: int = -1
    offset: int = 0
    mark: bytes = b""


def read_tail(path: Path, tail: Tail) -> tuple[Tail, bytes, bool]:
    """Read the whole lines that were appended since the last reading, or all lines of a new file.

    Returns:
        The new point, the lines, and whether this is the file that was read before.

    Raises:
        OSError: The file cannot be read.
    """
    descriptor, stat = open_regular(path)
    with open(descriptor, "rb") as file:
        is_same = stat.st_ino == tail.inode and stat.st_size >= tail.offset
        if is_same:
            file.seek(tail.offset - len(tail.mark))
            is_same = file.read(len(tail.mark)) == tail.mark
        start = tail if is_same else Tail()
        file.seek(start.offset)
        data = file.read()
    lines = data[: data.rfind(b"\n") + 1]
    return Tail(stat.st_ino, start.offset + len(lines), (start.mark + lines)[-_MARK_BYTES:]), lines, is_same


def names_many(path: Path, offset: int) -> bool:
    """Return whether the lines from an offset on are about more reports than a page waits for."""
    if size_and_inode(path)[0] - offset < MANY * _SHORT_LINE_BYTES:
        return False
    try:
        data = read_regular(path, offset + _COUNTED_BYTES)[offset:]
    except OSError:
        return False
    return len({*_NAMED.findall(data)}) >= MANY


def entry_of(outline: Outline, path: str) -> IndexEntry:
    """Return the catalogue entry of an outline. `path` is relative to the root."""
    return IndexEntry(
        report_id=outline.report_id,
        current_title=outline.title,
        created_at=outline.created_at,
        updated_at=outline.updated_at,
        tags=outline.tags,
        status=outline.status,
        path=path,
    )


def entry_line(entry: IndexEntry) -> bytes:
    """Return the entry as a line of `index.jsonl`."""
    return entry.model_dump_json().encode() + b"\n"


def entry_on_disk(folder: Path, report_id: str, path: str) -> IndexEntry | None:
    """Return the entry of the report in a folder; `None` where its outline cannot be read or is another's.

    Raises:
        OSError: The process has no descriptor left.
    """
    try:
        outline = parse_outline(read_regular(folder / "outline.json"))
    except ValueError:
        return None
    except OSError as error:
        require_about_file(error)
        return None
    return entry_of(outline, path) if outline.report_id == report_id else None


def version_in(path: Path) -> int:
    """Return the `outline_version` that an outline file states, reading its beginning only; 0 if none.

    Raises:
        OSError: The process has no descriptor left.
    """
    try:
        match = _VERSION_LINE.search(read_regular(path, _HEAD_BYTES))
        return int(match[1]) if match else parse_outline(read_regular(path)).outline_version
    except ValueError:
        return 0
    except OSError as error:
        require_about_file(error)
        return 0


def require_about_file(error: OSError) -> None:
    """Raise an error that says nothing about the file: the process has no descriptor left to open it.

    Raises:
        OSError: It is such an error.
    """
    if error.errno in (errno.EMFILE, errno.ENFILE):
        raise error


@cache
def boot_id() -> str:
    """Return a name for the time since the machine started, the same in every process.

    Linux and macOS give one. Elsewhere it is the time of the start, rounded: a clock that is set makes
    it another one, which costs one comparison of the catalogue with the folders.
    """
    return _system_boot_id() or f"near {round((time.time() - time.monotonic()) / _CLOCK_SLACK_SECONDS)}"


def _system_boot_id() -> str:
    if sys.platform == "darwin":
        return _sysctl(b"kern.bootsessionuuid")
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _sysctl(name: bytes) -> str:
    import ctypes

    buffer = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(buffer))
    failed = ctypes.CDLL(None).sysctlbyname(name, buffer, ctypes.byref(size), None, ctypes.c_size_t(0))
    return "" if failed else buffer.value.decode("ascii", "replace")


def usual_id(line: bytes) -> str:
    """Return the report id in a line of the usual form, which is an entry; empty for any other line."""
    match = _LINES.fullmatch(line)
    return match[1].decode() if match and match[1] and _is_utf8(line) else ""


class Entries(Mapping[str, IndexEntry]):
    """The entries of all reports in `by_id`, from the lines read so far."""

    def __init__(self) -> None:
        self._known: dict[str, bytes | IndexEntry] = {}
        self.lines = 0
        """How many lines were taken in, superseded ones too."""

    def take(self, lines: bytes) -> None:
        """Add the entries of whole lines, in their order."""
        if not lines:
            return
        known = self._known
        is_text = _is_utf8(lines)
        for match in _LINES.finditer(lines, 0, len(lines) - 1):  # without the last newline
            self.lines += 1
            if is_text and match[1]:
                report_id = match[1].decode()
                known.pop(report_id, None)
                known[report_id] = match[0]
            else:
                self._take_unusual(match[0])

    def _take_unusual(self, line: bytes) -> None:
        try:
            entry = IndexEntry.model_validate_json(line)
        except ValidationError:
            return  # torn by a crash; its report is marked, or found by its folder
        self._known.pop(entry.report_id, None)
        is_canonical = parse_uuid(entry.report_id) == entry.report_id  # no other folder is a report's
        if is_canonical and entry.path == f"by_id/{entry.report_id}":
            self._known[entry.report_id] = entry

    def updated_at(self, report_id: str) -> str:
        """Return the time of a report's last change, without keeping its entry parsed."""
        known = self._known[report_id]
        return (IndexEntry.model_validate_json(known) if isinstance(known, bytes) else known).updated_at

    def put(self, entry: IndexEntry) -> None:
        """Add an entry that no line holds yet."""
        self._known[entry.report_id] = entry

    def remove(self, report_ids: Set[str]) -> None:
        """Forget these reports."""
        for report_id in report_ids & self._known.keys():
            del self._known[report_id]

    def __getitem__(self, report_id: str) -> IndexEntry:
        known = self._known[report_id]
        if isinstance(known, bytes):
            known = self._known[report_id] = IndexEntry.model_validate_json(known)
        return known

    def __contains__(self, report_id: object) -> bool:
        return report_id in self._known

    def keys(self) -> KeysView[str]:
        """Return the ids of the reports."""
        return self._known.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class ReportIndex:
    """The catalogue at `index_path`, which lies directly in the root."""

    def __init__(self, index_path: Path) -> None:
        self.index_path = Path(index_path)
        self.root = self.index_path.parent
        self._lock_path = self.root / ".index.lock"
        self._pending = self.root / ".pending"
        self._mutex = threading.RLock()
        self._is_due = False
        self._tried_bytes = 0
        self.unfinished: list[str] = []
        """The folders of creations, under way or crashed, that the last look at all names found."""
        self._unchecked: dict[str, IndexEntry] = {}
        self._is_compared = False
        self._forget()

    def _forget(self) -> None:
        self._entries = Entries()
        self._tail = Tail()
        self._by_id_stamp = self._unfinished_stamp = -1

    # --- Reading --------------------------------------------------------------------------

    def entries(self) -> dict[str, IndexEntry]:
        """Return the entry of every report in `by_id` by its id, as the index has it now."""
        with self._mutex:
            self._read()
            return dict(self._entries)

    def look(self) -> Listing | None:
        """Follow what was added and removed since the last call, as `entries` does.

        Returns:
            The names in `by_id`, where only they had to be listed for that.

        While nothing hangs on an entry, the index is not read for it: among very many reports that
        takes most of the time of a process's first list, which finds them in the search database.
        """
        with self._mutex:
            if self._tail.inode == -1 and self._is_left_alone():
                return self._see_unfinished()
            self._read()
            return None

    def _read(self) -> None:
        self._follow()
        self._reconcile()

    def _is_left_alone(self) -> bool:
        """Return whether the index was compared since the boot, and no report was noted as different."""
        is_there = self.index_path.exists() and (self.root / "by_id").exists()
        return is_there and not self._unchecked and not self._boot_to_note()

    def compares_many(self) -> bool:
        """Return whether the next look compares very many reports with their folders: once after a boot."""
        return not self._is_compared and bool(self._boot_to_note()) and names_many(self.index_path, 0)

    def _see_unfinished(self) -> Listing | None:
        by_id = self.root / "by_id"
        if by_id.stat().st_mtime_ns == self._unfinished_stamp:
            return None
        listing = list_names(by_id)
        self.unfinished = _unfinished_in(listing.names)
        self._unfinished_stamp = listing.stamp
        return listing

    def differs_from(self, entry: IndexEntry) -> bool:
        """Return whether the index, read again, has another entry for this report.

        Looking up one report never loads the whole catalogue: an index that was not read yet is taken to
        be right, and the entry is noted for `disagreeing`.
        """
        with self._mutex:
            if self._tail.inode == -1:
                self.note(entry)
            elif self._entries.get(entry.report_id) != entry:
                self._follow()
                return self._entries.get(entry.report_id) != entry
        return False

    def note(self, entry: IndexEntry) -> None:
        """Remember the entry that a report should have, for `disagreeing`."""
        with self._mutex:
            if len(self._unchecked) < _MAX_UNCHECKED:
                self._unchecked[entry.report_id] = entry

    def disagreeing(self) -> list[IndexEntry]:
        """Return the noted entries that differ from the index, now that it is read.

        Clears the list; callers `note` entries again that they could not reconcile.
        """
        with self._mutex:
            if self._tail.inode == -1:
                return []  # noted since the last look, which did not read it: the next one does
            seen, self._unchecked = self._unchecked, {}
            return [entry for entry in seen.values() if self._entries.get(entry.report_id) != entry]

    def _follow(self) -> None:
        """Read the lines appended since the last call, or all lines if the file was replaced."""
        try:
            tail, lines, is_same = read_tail(self.index_path, self._tail)
        except OSError:
            self._forget()
            return
        if not is_same:
            self._forget()
        self._tail = tail
        self._entries.take(lines)
        self._is_due |= self._is_mostly_superseded() and tail.offset >= 2 * self._tried_bytes

    def _is_mostly_superseded(self) -> bool:
        lines = self._entries.lines
        return lines >= _COMPACT_ABOVE_LINES and lines >= 2 * len(self._entries)

    def _reconcile(self) -> None:
        """Bring entries and folders in step: after a boot, and when a folder came or went."""
        by_id = self.root / "by_id"
        try:
            stamp = by_id.stat().st_mtime_ns
        except FileNotFoundError:
            self._entries.remove(self._entries.keys())
            return
        boot = "" if self._is_compared else self._boot_to_note()
        if stamp == self._by_id_stamp and not boot:
            return
        folders = set(_folder_names(by_id))
        self.unfinished = _unfinished_in(folders)
        self._entries.remove(self._entries.keys() - folders)
        wrong = set(filter(is_report_name, folders - self._entries.keys()))
        if boot:
            self._mark_unfinished(wrong | self._entries.keys())
            wrong |= {name for name in self._entries if not self._is_up_to_date(name)}
        for name in sorted(wrong):
            self._correct(name)
        self._by_id_stamp = stamp
        if boot:
            self._note_boot(boot)
        self._is_compared = True

    def _mark_unfinished(self, names: set[str]) -> None:
        """Mark the reports whose last event is not in place: a power cut may have taken their marks."""
        for name in sorted(names):
            if _is_unfinished(self.root / "by_id" / name):
                try:
                    self.mark(name)
                except OSError as error:
                    logger.info("%s is listed as it was before its last event: %s", name, error)

    def _is_up_to_date(self, name: str) -> bool:
        try:
            head = read_regular(self.root / "by_id" / name / "outline.json", _HEAD_BYTES)
        except OSError:
            return True  # nothing to compare with
        match = _UPDATED_LINE.search(head)
        return match is not None and match[1].decode("utf-8", "replace") == self._entries.updated_at(name)

    def _boot_to_note(self) -> str:
        """Return the id of this boot if the index was not compared since it began; else empty."""
        boot = boot_id()
        try:
            noted = read_regular(self._lock_path).decode("utf-8", "replace").strip()
        except OSError:
            return boot
        return "" if noted == boot else boot

    def _note_boot(self, boot: str) -> None:
        try:
            with hold(self._lock_path, _LOCK_TIMEOUT_SECONDS):
                durable.write_hint(self._lock_path, f"{boot}\n".encode())
        except (OSError, LockTimeoutError) as error:
            logger.info("the next process compares the index again: %s", error)

    def _correct(self, name: str) -> None:
        """Make the entry of a report from its folder, and append it unless a writer is just doing so."""
        folder = self.root / "by_id" / name
        if not (folder / "outline.json").exists():
            return
        try:
            with hold(folder / ".lock", 0.0):
                entry = entry_on_disk(folder, name, f"by_id/{name}")
                if entry is not None:
                    self.append(entry)
        except (OSError, LockTimeoutError) as error:
            logger.info("the index does not list %s for others: %s", name, error)
            entry = entry_on_disk(folder, name, f"by_id/{name}")
        if entry is not None:
            self._entries.put(entry)

    # --- Writing --------------------------------------------------------------------------

    def append(self, entry: IndexEntry) -> None:
        """Append the newest entry of a report.

        Raises:
            OSError, LockTimeoutError: It could not be written; the report itself is not affected.
        """
        line = entry_line(entry)
        with hold(self._lock_path, _LOCK_TIMEOUT_SECONDS):
            size = durable.append_hint(self.index_path, line)
        self._is_due |= _doublings(size) < _doublings(size + len(line))

    def announce(self, entry: IndexEntry, report_id: str) -> None:
        """Append the newest entry of a report and remove its mark. The caller holds the report's lock.

        The report itself is what it is: if this fails, the mark tells the next reader.
        """
        try:
            self.append(entry)
            self.unmark(report_id)
        except (OSError, LockTimeoutError) as error:
            logger.warning("the index does not list %s as it is yet: %s", report_id, error)

    def tidy(self) -> None:
        """Compact the index if that may be due. Called outside any commit; a failure is only logged.

        A reader knows when it is. A writer has not read the index: it tries whenever its line has
        doubled the length, so that the cost of reading it all is spread over that many lines.
        """
        if not self._is_due:
            return
        self._is_due = False
        self._tried_bytes = size_and_inode(self.index_path)[0]
        try:
            self.compact()
        except (OSError, LockTimeoutError) as error:
            logger.info("the index was not compacted: %s", error)

    def compact(self) -> bool:
        """Drop superseded lines if they are most of a long index. Return whether it was done.

        The new file is written outside the lock; the lines that came meanwhile are added
        under it, just before the replacement.
        """
        with self._mutex:
            self._follow()
            if not self._is_mostly_superseded():
                return False
            inode, seen, _ = self._tail
            data = b"".join(entry_line(entry) for entry in self._entries.values())
        return self._swap(data, seen, inode)

    def rebuild_from_filesystem(self) -> None:
        """Rebuild the index from the folders in `by_id`. Unreadable reports are left out."""
        is_made = False
        while not is_made:
            seen, inode = size_and_inode(self.index_path)
            is_made = self._swap(b"".join(self._lines_on_disk()), seen, inode)
        with self._mutex:
            self._forget()

    def _lines_on_disk(self) -> Iterator[bytes]:
        by_id = self.root / "by_id"
        for name in sorted(filter(is_report_name, _folder_names(by_id))) if by_id.is_dir() else ():
            entry = entry_on_disk(by_id / name, name, f"by_id/{name}")
            if entry is not None:
                yield entry_line(entry)

    def _swap(self, data: bytes, seen: int, inode: int) -> bool:
        """Replace the index by `data` and the lines after `seen`; False if it was replaced meanwhile."""
        self.remove_leftovers()
        temporary = self.root / f".index.{os.getpid()}-{threading.get_ident()}.tmp"
        durable.remove(temporary)
        durable.write_new(temporary, data)
        try:
            with hold(self._lock_path, _LOCK_TIMEOUT_SECONDS):
                tail = self._after(seen, inode)
                if tail is None:
                    return False
                durable.append_hint(temporary, tail)
                durable.replace(temporary, self.index_path)
                return True
        finally:
            durable.remove(temporary)

    def _after(self, offset: int, inode: int) -> bytes | None:
        """Return the bytes appended after `offset`; `None` if the file was replaced meanwhile."""
        if size_and_inode(self.index_path)[1] != inode:
            return None
        try:
            return read_regular(self.index_path)[offset:]
        except FileNotFoundError:
            return b""

    def remove_leftovers(self) -> None:
        """Remove the temporary files of interrupted compactions."""
        for path in self.root.glob(".index.*.tmp"):
            if time.time() - path.lstat().st_mtime > _LEFTOVER_SECONDS:
                durable.remove(path)

    # --- Marks ----------------------------------------------------------------------------

    def mark(self, report_id: str) -> bool:
        """Mark that a commit of this report is under way; return whether it was marked."""
        durable.make_folder(self._pending)
        return durable.touch(self._pending / report_id)

    def is_marked(self, report_id: str) -> bool:
        """Return whether a commit of this report is under way, or was never finished."""
        return (self._pending / report_id).exists()

    def unmark(self, report_id: str) -> None:
        """Remove the mark: the entry of this report is up to date."""
        durable.remove(self._pending / report_id)

    def marked(self) -> list[str]:
        """Return the reports whose entries may be wrong until the report itself is read."""
        try:
            return sorted(name for name in os.listdir(self._pending) if is_report_name(name))
        except FileNotFoundError:
            return []


def _unfinished_in(names: Iterable[str]) -> list[str]:
    """Return the names that belong to unfinished creations."""
    if f"/{_UNFINISHED}" not in "/" + "/".join(names):  # none, as a rule, among very many
        return []
    return [name for name in names if name.startswith(_UNFINISHED)]


def _is_unfinished(folder: Path) -> bool:
    """Return whether the log holds a version or a deletion that the folder does not show yet.

    A power cut may also have left an outline that states its version, but is not whole.
    """
    try:
        last = AuditLog(folder / "audit.jsonl").last_ours()
    except OSError:
        return False
    if last is None:
        return False
    outline = folder / "outline.json"
    return last.is_deletion or last.version != version_in(outline) or not _is_whole(outline)


def _is_whole(outline: Path) -> bool:
    try:
        data = read_regular(outline)
    except OSError:
        return True  # opening it does not help, either
    return data.endswith(b"\n}\n") and b"\0" not in data


def _doublings(size: int) -> int:
    return (size // _COMPACT_ABOVE_BYTES).bit_length()


def size_and_inode(path: Path) -> tuple[int, int]:
    """Return the size and the inode number of a file; 0 and -1 if it does not exist."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, -1
    return stat.st_size, stat.st_ino


def _folder_names(by_id: Path) -> list[str]:
    """Return the folders; a symbolic link is none."""
    with os.scandir(by_id) as found:
        return [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]


def is_report_name(name: str) -> bool:
    """Return whether a folder has the name of a report: a UUID in its canonical form."""
    return bool(name) and as_uuid(name) == name
