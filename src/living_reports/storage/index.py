"""The catalogue of a root: `index.jsonl`, one entry a line, the last line for an id wins.

Rules:

- The index is derived: every line can be made again from the reports. It is appended to
  after a commit and never synced, so after a power cut it may be behind.
- A report whose commit is under way has an empty file in `.pending/`. Whoever finds such a
  mark looks at that report under its lock before believing the entry.
- Readers take no lock. They follow the tail of the file and start over when it was
  replaced. Appending and replacing happen under `.index.lock`, held briefly and last.
- A folder in `by_id` that has no entry gets one at the next look; an entry without a folder
  is not shown.

    >>> index = ReportIndex(root / "index.jsonl")
    >>> [entry.current_title for entry in index.entries().values()]
    ['Health of the environment']
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from living_reports.models import IndexEntry, Outline, parse_outline, parse_uuid
from living_reports.storage import durable
from living_reports.storage.lock import hold

logger = logging.getLogger(__name__)

_COMPACT_ABOVE_LINES = 1000


def entry_of(outline: Outline, path: str) -> IndexEntry:
    """What the index says of an outline. `path` is relative to the root."""
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
    """The entry as a line of `index.jsonl`."""
    return entry.model_dump_json().encode() + b"\n"


def entry_on_disk(folder: Path, report_id: str, path: str) -> IndexEntry | None:
    """The entry of the report in a folder; `None` where its outline cannot be read or is another's."""
    try:
        outline = parse_outline((folder / "outline.json").read_bytes())
    except (OSError, ValueError):
        return None
    return entry_of(outline, path) if outline.report_id == report_id else None


class ReportIndex:
    """The catalogue at `index_path`, which lies directly in the root."""

    def __init__(self, index_path: Path) -> None:
        self.index_path = Path(index_path)
        self.root = self.index_path.parent
        self._lock_path = self.root / ".index.lock"
        self._pending = self.root / ".pending"
        self._mutex = threading.RLock()
        self._forget()

    def _forget(self) -> None:
        self._entries: dict[str, IndexEntry] = {}
        self._inode = -1
        self._offset = 0
        self._lines = 0
        self._by_id_stamp = -1

    # --- Reading --------------------------------------------------------------------------

    def entries(self) -> dict[str, IndexEntry]:
        """Every report by id, as the index knows it now."""
        with self._mutex:
            self._follow()
            self._reconcile()
            return dict(self._entries)

    def get_entry(self, report_id: str) -> IndexEntry | None:
        """The entry of one report."""
        return self.entries().get(report_id)

    def _follow(self) -> None:
        """Take in what was appended since the last look, or all of it if the file is another."""
        try:
            with self.index_path.open("rb") as file:
                stat = os.fstat(file.fileno())
                if stat.st_ino != self._inode or stat.st_size < self._offset:
                    self._forget()
                    self._inode = stat.st_ino
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            self._forget()
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        self._lines += 1
        try:
            entry = IndexEntry.model_validate_json(line)
        except ValidationError:
            return  # torn by a crash; its report is marked, or found by its folder
        self._entries[entry.report_id] = entry

    def _reconcile(self) -> None:
        """Bring entries and folders in step when a folder came or went."""
        by_id = self.root / "by_id"
        try:
            stamp = by_id.stat().st_mtime_ns
        except FileNotFoundError:
            self._entries.clear()
            return
        if stamp == self._by_id_stamp:
            return
        names = {name for name in os.listdir(by_id) if _is_report_name(name)}
        listed = {i for i, entry in self._entries.items() if entry.path == f"by_id/{i}"}
        for report_id in listed - names:
            del self._entries[report_id]
        for name in sorted(names - listed):
            self._adopt(name)
        self._by_id_stamp = stamp

    def _adopt(self, name: str) -> None:
        entry = self._entry_on_disk(name)
        if entry is not None:
            self._entries[name] = entry
            self.offer(entry)

    def _entry_on_disk(self, name: str) -> IndexEntry | None:
        return entry_on_disk(self.root / "by_id" / name, name, f"by_id/{name}")

    # --- Writing --------------------------------------------------------------------------

    def append(self, entry: IndexEntry) -> None:
        """Add the newest word on a report.

        Raises:
            OSError: The line could not be written; the report itself is not affected.
        """
        line = entry_line(entry)
        with hold(self._lock_path):
            if not self._ends_whole():
                line = b"\n" + line
            durable.append_hint(self.index_path, line)

    def offer(self, entry: IndexEntry) -> None:
        """Append a correction found while reading; in a root that cannot be written, do without."""
        try:
            self.append(entry)
        except OSError as error:
            logger.info("the index was not corrected: %s", error.strerror)

    def _ends_whole(self) -> bool:
        try:
            with self.index_path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                if size == 0:
                    return True
                file.seek(size - 1)
                return file.read(1) == b"\n"
        except FileNotFoundError:
            return True

    def compact(self) -> bool:
        """Drop superseded lines if they are most of a long index. True if it did.

        The new file is written outside the lock; the lines that came meanwhile are added
        under it, just before the replacement.
        """
        with self._mutex:
            self._follow()
            if self._lines < _COMPACT_ABOVE_LINES or self._lines < 2 * len(self._entries):
                return False
            seen, inode = self._offset, self._inode
            data = b"".join(entry_line(entry) for entry in self._entries.values())
        return self._swap(data, lambda: self._lines_after(seen, inode))

    def rebuild_from_filesystem(self) -> None:
        """Make the index anew from the folders in `by_id`. Unreadable reports are left out."""
        seen, inode = _size_and_inode(self.index_path)
        by_id = self.root / "by_id"
        names = sorted(os.listdir(by_id)) if by_id.is_dir() else []
        entries = [self._entry_on_disk(name) for name in names if _is_report_name(name)]
        data = b"".join(entry_line(entry) for entry in entries if entry)
        self._swap(data, lambda: self._lines_after(seen, inode) or b"")
        with self._mutex:
            self._forget()

    def _lines_after(self, offset: int, inode: int) -> bytes | None:
        """What was appended after `offset`; `None` if the file is another one by now."""
        try:
            with self.index_path.open("rb") as file:
                if os.fstat(file.fileno()).st_ino != inode:
                    return None
                file.seek(offset)
                return file.read()
        except FileNotFoundError:
            return None

    def _swap(self, data: bytes, tail: Callable[[], bytes | None]) -> bool:
        """Replace the index by `data` and what `tail` gives under the lock; `None` calls it off."""
        temporary = self.root / f".index.{os.getpid()}-{threading.get_ident()}.tmp"
        durable.remove(temporary)
        durable.write_new(temporary, data)
        try:
            with hold(self._lock_path):
                rest = tail()
                if rest is None:
                    return False
                durable.append_hint(temporary, rest)
                durable.replace(temporary, self.index_path)
                return True
        finally:
            durable.remove(temporary)

    # --- Marks ----------------------------------------------------------------------------

    def mark(self, report_id: str) -> None:
        """Say that a commit of this report is under way."""
        durable.make_folder(self._pending)
        durable.touch(self._pending / report_id)

    def unmark(self, report_id: str) -> None:
        """Say that the entry of this report is up to date."""
        durable.remove(self._pending / report_id)

    def marked(self) -> list[str]:
        """The reports whose entries cannot be believed before a look at them."""
        try:
            return sorted(name for name in os.listdir(self._pending) if _is_report_name(name))
        except FileNotFoundError:
            return []


def _size_and_inode(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, -1
    return stat.st_size, stat.st_ino


def _is_report_name(name: str) -> bool:
    try:
        return parse_uuid(name) == name
    except ValueError:
        return False
