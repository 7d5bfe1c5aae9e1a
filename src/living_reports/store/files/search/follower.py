"""Bringing the search database in step with the reports.

Rules:

- What changed is told by the tail of `index.jsonl`, from the byte up to which the database has
  taken it in. An entry is taken as it stands; the texts are read from `outline.json`, which is
  replaced whole, so no report's lock is needed for it.
- An entry older than what is known is not believed: its report is looked at under its lock.
- When `by_id` changed, its names are compared with the reports known: those that went are
  forgotten, those that came are read; see `folders`.
- After a start of the machine every report is compared with its files, because the index is
  never synced. That is done in slices.
- Every step is one transaction and may be cut short: what is left is done by the next one.

    >>> follower = Follower(storage, review_day)
    >>> while follower.is_behind(connection, names, texts=True):
    ...     follower.step(connection, names, texts=True, seconds=0.25)
"""

from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from living_reports.errors import ReportError
from living_reports.model.report import IndexEntry, Outline, parse_outline, parse_uuid
from living_reports.model.selectors import folded
from living_reports.store.files import recovery
from living_reports.store.files.catalogue import boot_id, entry_of
from living_reports.store.files.folder import ReportFolder
from living_reports.store.files.log import AuditLog
from living_reports.store.files.search.content import ReviewDay, compared, content_of, moment
from living_reports.store.files.search.folders import Compared, Names, Root, Sum
from living_reports.store.files.search.words import opening, searchable

logger = logging.getLogger(__name__)

_LOCK_SECONDS = 2.0
_BATCH = 1000
"""So many reports are looked at in a step at most, however many there are and however fast it goes."""
_MARK_BYTES = 256
_KEY_CHARS = 60
"""How much of a title the order goes by, so that a cursor stays short."""

_HEAD_BYTES = 4096
_HEAD = re.compile(rb'^  "(updated_at|outline_version)": "?([^",\n]*)', re.MULTILINE)

SETTLED, TEXTS_TO_READ, DOUBTFUL = 0, 1, 2
"""What is to be done about a report: nothing; read its texts; look at it under its lock."""


class State(NamedTuple):
    """How far the database has come."""

    inode: int
    offset: int
    mark: bytes
    names: int
    boot: str
    comparing: str
    compared: int
    forgotten: int


class _Known(NamedTuple):
    row: int
    entry: str
    updated: str
    todo: int
    stamp: str


class Follower:
    """What keeps a search database in step with the reports of a root."""

    def __init__(self, storage: Root, review_day: ReviewDay) -> None:
        self._storage = storage
        self._index_path = storage.index_path
        self._by_id = storage.by_id
        self._review_day = review_day
        self._compared: Compared | None = None

    def is_behind(self, connection: sqlite3.Connection, names: Names, *, texts: bool) -> bool:
        """Whether there may be something to take in, for a call that sees these names."""
        state = _state(connection)
        return (
            _size_and_inode(self._index_path) != (state.offset, state.inode)
            or names.stamp() not in (state.names, names.compared)
            or _has_todo(connection, TEXTS_TO_READ if texts else DOUBTFUL)
        )

    def is_compared(self, connection: sqlite3.Connection) -> bool:
        """Whether everything was compared with the files since the machine started."""
        return _state(connection).boot == boot_id()

    def step(self, connection: sqlite3.Connection, names: Names, *, texts: bool, seconds: float) -> bool:
        """Take in what can be taken in within about this time; in a transaction of the caller.

        Once that is committed, `remember` the names.

        Returns:
            Whether that brought anything forward.
        """
        deadline = time.monotonic() + seconds
        moved = self._take_index(connection)
        moved |= self._compare_names(connection, names, deadline)
        moved |= self._read_todo(connection, TEXTS_TO_READ if texts else DOUBTFUL, deadline)
        return moved

    def remember(self, names: Names) -> None:
        """What a call found the names to be is committed by now."""
        self._compared = names.comparison or self._compared

    def compare(self, connection: sqlite3.Connection, *, seconds: float) -> None:
        """Compare the next reports with their files for about this time; in a transaction of the caller."""
        self._compare_files(connection, time.monotonic() + seconds)

    # --- The index ------------------------------------------------------------------------

    def _take_index(self, connection: sqlite3.Connection) -> bool:
        state = _state(connection)
        try:
            with self._index_path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                start = state.offset
                if inode != state.inode or not _goes_on(file.fileno(), state):
                    start, state = 0, state._replace(mark=b"")
                file.seek(start)
                data = file.read()
        except FileNotFoundError:
            inode, start, data = -1, 0, b""
        whole = data[: data.rfind(b"\n") + 1]
        for entry in _newest(whole):
            self._take_entry(connection, entry)
        mark = (state.mark + whole)[-_MARK_BYTES:]
        offset = start + len(whole)
        connection.execute("UPDATE state SET inode = ?, offset = ?, mark = ?", (inode, offset, mark))
        return bool(whole)

    def _take_entry(self, connection: sqlite3.Connection, entry: IndexEntry) -> None:
        known = _find(connection, entry.report_id)
        if entry.path.startswith(".trash"):
            if known is not None:
                _forget(connection, known.row)
        elif known is None:
            _save_entry(connection, None, entry, TEXTS_TO_READ, "")
        elif entry.model_dump_json() == known.entry:
            if known.stamp != self._stamp(entry.report_id):
                _set_todo(connection, known.row, max(known.todo, TEXTS_TO_READ))
        elif moment(entry.updated_at) < known.updated:
            _set_todo(connection, known.row, DOUBTFUL)
        else:
            _save_entry(connection, known.row, entry, max(known.todo, TEXTS_TO_READ), known.stamp)

    # --- The folders ----------------------------------------------------------------------

    def _compare_names(self, connection: sqlite3.Connection, names: Names, deadline: float) -> bool:
        if names.stamp() in (_state(connection).names, names.compared):
            return False
        listing = names.listing()
        total = Sum().plus(listing.names)
        others, gone, is_exact = self._others(connection, total), list[_Known](), True
        if others is None:
            missing, others = _differences(connection, listing.names)
            gone = [known for name, known in missing if not os.path.lexists(self._by_id / name)]
            is_exact = len(gone) == len(missing)  # else the index told of some that came after the listing
        for known in gone:
            _forget(connection, known.row)
        moved = bool(gone)
        for name in [name for name in others if name not in names.tried]:
            names.tried.add(name)
            moved |= self._adopt(connection, name)
            if time.monotonic() > deadline:
                return True
        if is_exact:
            others = [name for name in others if _find(connection, name) is None]
            names.comparison = Compared(_state(connection).forgotten, _last_row(connection), total, others)
        names.compared = listing.stamp
        if listing.is_final:
            connection.execute("UPDATE state SET names = ?", (listing.stamp,))
        return moved

    def _others(self, connection: sqlite3.Connection, total: Sum) -> list[str] | None:
        """The folders that were no reports, if nothing came or went that is not known; else `None`."""
        last = self._compared
        if last is None or last.forgotten != _state(connection).forgotten:
            return None
        added = connection.execute("SELECT report_id FROM reports WHERE id > ?", (last.last,))
        return last.others if last.names.plus(name for (name,) in added) == total else None

    def _adopt(self, connection: sqlite3.Connection, report_id: str) -> bool:
        if _find(connection, report_id) is not None:
            return False
        outline, stamp = self._read(report_id)
        if outline is not None:
            self._save(connection, None, outline, report_id, stamp if self.is_compared(connection) else "")
        return outline is not None

    def _compare_files(self, connection: sqlite3.Connection, deadline: float) -> None:
        """Compare the next reports with their files, as far as the time goes."""
        boot, state = boot_id(), _state(connection)
        last = state.compared if state.comparing == boot else 0
        rows = connection.execute(
            "SELECT id, report_id, entry, stamp FROM reports WHERE id > ? ORDER BY id LIMIT ?", (last, _BATCH)
        ).fetchall()
        for last, report_id, entry, stamp in rows:
            self._compare_report(connection, last, report_id, entry, stamp)
            if time.monotonic() > deadline:
                break
        if not rows:
            connection.execute("UPDATE state SET boot = ?", (boot,))
        connection.execute("UPDATE state SET comparing = ?, compared = ?", (boot, last))

    def _compare_report(
        self, connection: sqlite3.Connection, row: int, report_id: str, entry: str, stamp: str
    ) -> None:
        now = self._stamp(report_id)
        if now == stamp:
            return
        if not stamp and self._agrees(report_id, entry):
            connection.execute("UPDATE reports SET stamp = ? WHERE id = ?", (now, row))
        else:
            _set_todo(connection, row, DOUBTFUL)

    def _agrees(self, report_id: str, entry: str) -> bool:
        """Whether outline, log and entry of a report say that they are of the same version."""
        folder = self._by_id / report_id
        try:
            with (folder / "outline.json").open("rb") as file:
                head = dict(_HEAD.findall(file.read(_HEAD_BYTES)))
            last = AuditLog(folder / "audit.jsonl").last()
        except (OSError, ValueError):
            return False
        if head.get(b"updated_at", b"").decode(errors="replace") != json.loads(entry)["updated_at"]:
            return False
        return last is None or not last.is_ours or head.get(b"outline_version") == b"%d" % last.version

    # --- The reports ----------------------------------------------------------------------

    def _read_todo(self, connection: sqlite3.Connection, least: int, deadline: float) -> bool:
        found = "FROM reports WHERE todo > 0 AND todo >= ? ORDER BY todo DESC LIMIT ?"
        # By rows within that: FTS5 writes out what it has gathered whenever a lower row comes.
        rows = connection.execute(
            f"SELECT * FROM (SELECT id, report_id, entry, todo {found}) ORDER BY todo DESC, id",
            (least, _BATCH),
        ).fetchall()
        vouched = self.is_compared(connection)  # else the log may be ahead of the outline
        for row, report_id, entry, todo in rows:
            outline, stamp = self._look(report_id, entry) if todo == DOUBTFUL else self._read(report_id)
            if outline is None:
                _set_todo(connection, row, SETTLED)  # until something happens to it again
            else:
                self._save(connection, row, outline, report_id, stamp if vouched or todo == DOUBTFUL else "")
            if time.monotonic() > deadline:
                break
        return bool(rows)

    def _read(self, report_id: str) -> tuple[Outline | None, str]:
        """The outline as it lies there, and the stamp of the files."""
        stamp = self._stamp(report_id)  # first: a later one could be of a version not yet read
        try:
            outline = parse_outline((self._by_id / report_id / "outline.json").read_bytes())
        except (OSError, ValueError):
            return self._look(report_id)
        return (outline, stamp) if _is_named(outline, report_id) else (None, "")

    def _look(self, report_id: str, entry: str = "") -> tuple[Outline | None, str]:
        """The report under its lock, recovered where a crash or a person left something to do.

        Where it is not what `entry` says of it, the index is told.
        """
        folder = self._by_id / report_id
        storage = ReportFolder(
            folder,
            lock_timeout_seconds=_LOCK_SECONDS,
            index=self._storage.index,
            memory=self._storage.memory,
        )
        try:
            with storage.reading():
                outline = recovery.read(storage).outline
                stamp = self._stamp(report_id)
                if entry and _entry(outline, report_id).model_dump_json() != entry:
                    storage.announce(outline)
        except (ReportError, OSError, ValueError) as error:
            logger.info("report %s cannot be searched: %s", report_id, type(error).__name__)
            return None, ""
        return (outline, stamp) if _is_named(outline, report_id) else (None, "")

    def _stamp(self, report_id: str) -> str:
        """What tells whether a report's files are those that were read."""
        folder = f"{self._by_id}{os.sep}{report_id}{os.sep}"
        try:
            log = os.stat(folder + "audit.jsonl").st_size
        except OSError:
            log = 0
        try:
            outline = os.stat(folder + "outline.json")
        except OSError:
            return "-"
        return f"{outline.st_mtime_ns} {outline.st_size} {outline.st_ino} {log}"

    def _save(
        self, connection: sqlite3.Connection, row: int | None, outline: Outline, report_id: str, stamp: str
    ) -> None:
        """Put everything that can be found in a report into the database."""
        row = _save_entry(connection, row, _entry(outline, report_id), SETTLED, stamp)
        content = content_of(outline, self._review_day)
        _forget_content(connection, row)
        connection.execute(
            "INSERT INTO texts (rowid, title, text) VALUES (?, ?, ?)",
            (row, searchable(outline.title), searchable(*(text.text for text in content.texts))),
        )
        items = json.dumps(content.texts, ensure_ascii=False).encode("utf-8", "replace")
        connection.execute("INSERT INTO items VALUES (?, ?)", (row, zlib.compress(items, 1)))
        connection.executemany(
            "INSERT INTO sources VALUES (?, ?, ?, ?, ?)",
            [(row, *source, compared(source.text)) for source in content.sources],
        )
        connection.executemany(
            "INSERT INTO reviews VALUES (?, ?, ?, ?)",
            [(row, r.insight_id, r.day, opening(r.summary)) for r in content.reviews],
        )
        due = min((review.day for review in content.reviews), default="")
        connection.execute("UPDATE reports SET due = ? WHERE id = ?", (due, row))


def _entry(outline: Outline, report_id: str) -> IndexEntry:
    entry = entry_of(outline, f"by_id/{report_id}")
    return entry if entry.report_id == report_id else entry.model_copy(update={"report_id": report_id})


def _is_named(outline: Outline, report_id: str) -> bool:
    return parse_uuid(outline.report_id) == report_id


def _is_report_name(name: str) -> bool:
    try:
        return parse_uuid(name) == name
    except ValueError:
        return False


# --- The file of the index ----------------------------------------------------------------


def _size_and_inode(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, -1
    return stat.st_size, stat.st_ino


def _goes_on(fd: int, state: State) -> bool:
    """Whether the file is the one that was followed: what lies before the offset is the same."""
    os.lseek(fd, state.offset - len(state.mark), os.SEEK_SET)
    return os.read(fd, len(state.mark)) == state.mark


def _newest(lines: bytes) -> Iterator[IndexEntry]:
    """The last word on each report; lines that are torn or not entries are passed over."""
    newest: dict[str, IndexEntry] = {}
    for line in lines.splitlines():
        try:
            entry = IndexEntry.model_validate_json(line)
        except ValidationError:
            continue
        newest[parse_uuid(entry.report_id)] = entry
    for report_id, entry in newest.items():
        yield entry if entry.report_id == report_id else entry.model_copy(update={"report_id": report_id})


# --- The tables ---------------------------------------------------------------------------


def _state(connection: sqlite3.Connection) -> State:
    return State(*connection.execute("SELECT * FROM state").fetchone())


def _has_todo(connection: sqlite3.Connection, least: int) -> bool:
    (most,) = connection.execute("SELECT max(todo) FROM reports WHERE todo > 0").fetchone()
    return most is not None and most >= least


def _differences(
    connection: sqlite3.Connection, names: list[str]
) -> tuple[list[tuple[str, _Known]], list[str]]:
    """The reports known that are not among the names, and the names like a report's that are not known."""
    # As one text: to fetch a hundred thousand rows takes four times as long.
    (text,) = connection.execute("SELECT group_concat(report_id, '/') FROM reports").fetchone()
    known = set(text.split("/")) if text else set()
    missing = [(name, row) for name in known.difference(names) if (row := _find(connection, name))]
    return missing, sorted(name for name in names if name not in known and _is_report_name(name))


def _last_row(connection: sqlite3.Connection) -> int:
    (last,) = connection.execute("SELECT max(id) FROM reports").fetchone()
    return last or 0


def _find(connection: sqlite3.Connection, report_id: str) -> _Known | None:
    query = "SELECT id, entry, updated, todo, stamp FROM reports WHERE report_id = ?"
    row = connection.execute(query, (report_id,)).fetchone()
    return _Known(*row) if row else None


def _set_todo(connection: sqlite3.Connection, row: int, todo: int) -> None:
    connection.execute("UPDATE reports SET todo = ? WHERE id = ?", (todo, row))


def _save_entry(
    connection: sqlite3.Connection, row: int | None, entry: IndexEntry, todo: int, stamp: str
) -> int:
    """Insert or replace what the list shows of a report; returns its row."""
    values = (
        entry.model_dump_json(),
        entry.status,
        moment(entry.updated_at),
        moment(entry.created_at),
        folded(entry.current_title)[:_KEY_CHARS],
        todo,
        stamp,
    )
    if row is None:
        insert = "INSERT INTO reports VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, '')"
        row = connection.execute(insert, (entry.report_id, *values)).lastrowid or 0
    else:
        columns = "entry = ?, status = ?, updated = ?, created = ?, folded = ?, todo = ?, stamp = ?"
        connection.execute(f"UPDATE reports SET {columns} WHERE id = ?", (*values, row))
        connection.execute("DELETE FROM tags WHERE report = ?", (row,))
    updated = moment(entry.updated_at)
    tags = [(tag, entry.status, updated, row) for tag in {folded(tag) for tag in entry.tags}]
    connection.executemany("INSERT INTO tags VALUES (?, ?, ?, ?)", tags)
    return row


def _forget(connection: sqlite3.Connection, row: int) -> None:
    _forget_content(connection, row)
    connection.execute("DELETE FROM tags WHERE report = ?", (row,))
    connection.execute("DELETE FROM reports WHERE id = ?", (row,))
    connection.execute("UPDATE state SET forgotten = random()")


def _forget_content(connection: sqlite3.Connection, row: int) -> None:
    connection.execute("DELETE FROM texts WHERE rowid = ?", (row,))
    for table in ("items", "sources", "reviews"):
        connection.execute(f"DELETE FROM {table} WHERE report = ?", (row,))
