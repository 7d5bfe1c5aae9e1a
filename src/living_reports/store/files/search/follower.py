"""Synchronises the search database with the reports.

Rules:

- The tail of the catalogue tells which reports changed, from the byte up to which the database has
  read it. An entry is taken as it is; the texts are read from `outline.json`, which is replaced
  atomically, so no lock of a report is needed.
- An entry older than the known one is not trusted: its report is read under its lock.
- When `by_id` changed, its names are compared with the known reports: missing ones are removed, new
  ones are read. Among very many reports, reading all known ids from the database takes most of that
  time. So a process remembers the sum of the names at its last comparison. As long as no report was
  removed since, and the names are those and the reports added since, nothing else came or went.
- After a start of the machine every report is compared with its files, because the catalogue is
  never synced. This is done in slices.
- Every step is one transaction and may be cut short: the next step continues.

    >>> follower = Follower(root)
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
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from living_reports.errors import ReportError
from living_reports.model.report import IndexEntry, Outline, folded, parse_outline, parse_uuid
from living_reports.regular_files import read_regular
from living_reports.store.files import catalogue, recovery
from living_reports.store.files.catalogue import (
    Listing,
    Tail,
    boot_id,
    is_report_name,
    list_names,
    names_many,
    read_tail,
    size_and_inode,
    usual_id,
)
from living_reports.store.files.folder import ReportFolder, Root
from living_reports.store.files.log import AuditLog
from living_reports.store.files.search.content import moment
from living_reports.store.files.search.rows import (
    KEY_CHARS,
    EntryRow,
    Found,
    ReportRows,
    entry_row,
    is_named,
    named_entry,
    rows_of,
    stamp_of,
)
from living_reports.store.files.search.writes import forget

logger = logging.getLogger(__name__)

_LOCK_SECONDS = 2.0
_BATCH = 1000
"""The maximum number of reports that one step reads."""
_TITLES = 100
"""The number of reports looked at whose titles begin alike."""
_NEVER = -2
"""The stamp of no listing."""

_HEAD_BYTES = 4096
_HEAD = re.compile(rb'^  "(updated_at|outline_version)": "?([^",\n]*)', re.MULTILINE)

SETTLED, TEXTS_TO_READ, DOUBTFUL = 0, 1, 2
"""The work left for a report: none; read its texts; read it under its lock."""


class _Sum(NamedTuple):
    """An order-independent sum of a set of names; valid in this process only."""

    number: int = 0
    hashes: int = 0

    def plus(self, names: Iterable[str]) -> _Sum:
        """Return the sum with these names added."""
        hashes = list(map(hash, names))
        return _Sum(self.number + len(hashes), self.hashes + sum(hashes))


class _Comparison(NamedTuple):
    """A comparison of the names with the known reports.

    Attributes:
        removed: The state's value for the reports removed so far.
        last: The last row.
        names: The sum of all names in the folder.
        others: Names of reports that could not be read.
    """

    removed: int
    last: int
    names: _Sum
    others: list[str]


class Names:
    """The names in `by_id`, as one call with one database sees them.

    Attributes:
        tried: Unknown names that this call tried to read: an unreadable report is not tried twice.
        compared: The stamp up to which this call compared them.
        comparison: The result, to be remembered once it is committed.
    """

    def __init__(self, by_id: Path, listing: Listing | None = None) -> None:
        self._by_id = by_id
        self._listing = listing
        self.tried: set[str] = set()
        self.compared = _NEVER
        self.comparison: _Comparison | None = None

    def stamp(self) -> int:
        """Return a value that changes when a folder comes or goes; -1 if there is no `by_id`."""
        try:
            return self._by_id.stat().st_mtime_ns
        except FileNotFoundError:
            return -1

    def listing(self) -> Listing:
        """Return the names; a listing of this call is reused while the stamp is the same."""
        stamp = self.stamp()
        if self._listing is None or self._listing.stamp != stamp:
            self._listing = list_names(self._by_id) if stamp >= 0 else Listing(stamp, [], is_final=True)
        return self._listing


class _SyncState(NamedTuple):
    """The row of the table `state`: the point up to which the database is synchronised."""

    inode: int
    offset: int
    mark: bytes
    names: int
    boot: str
    comparing: str
    compared: int
    removed: int


class _KnownReport(NamedTuple):
    row: int
    entry: str
    updated: str
    todo: int
    stamp: str


class Follower:
    """Keeps a search database in step with the reports of a root."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._index_path = root.index_path
        self._by_id = root.by_id
        self._last_comparison: _Comparison | None = None

    def is_behind(self, connection: sqlite3.Connection, names: Names, *, texts: bool) -> bool:
        """Return whether there may be something to read, for a call that sees these names."""
        state = _state(connection)
        return (
            size_and_inode(self._index_path) != (state.offset, state.inode)
            or names.stamp() not in (state.names, names.compared)
            or _has_todo(connection, TEXTS_TO_READ if texts else DOUBTFUL)
        )

    def is_compared(self, connection: sqlite3.Connection) -> bool:
        """Return whether everything was compared with the files since the machine started."""
        return _state(connection).boot == boot_id()

    def step(self, connection: sqlite3.Connection, names: Names, *, texts: bool, seconds: float) -> bool:
        """Read what changed, for about this time. Runs in a transaction of the caller.

        Once the transaction is committed, call `remember` with the names.

        Returns:
            Whether it made progress.
        """
        deadline = time.monotonic() + seconds
        advanced = self.read_index(connection)
        advanced |= self._compare_names(connection, names, deadline)
        advanced |= self._read_todo(connection, TEXTS_TO_READ if texts else DOUBTFUL, deadline)
        return advanced

    def remember(self, names: Names) -> None:
        """Remember the comparison of a call, which is now committed."""
        self._last_comparison = names.comparison or self._last_comparison

    # --- The catalogue --------------------------------------------------------------------

    def read_index(self, connection: sqlite3.Connection) -> bool:
        """Take in what the catalogue has that is new; return whether there was anything."""
        tail, lines = self._unread(connection)
        for entry in _newest(lines):
            self._apply_entry(connection, entry)
        connection.execute("UPDATE state SET inode = ?, offset = ?, mark = ?", tail)
        return bool(lines)

    def _unread(self, connection: sqlite3.Connection) -> tuple[Tail, bytes]:
        state = _state(connection)
        try:
            return read_tail(self._index_path, Tail(state.inode, state.offset, state.mark))[:2]
        except FileNotFoundError:
            return Tail(), b""

    def unread_bytes(self, connection: sqlite3.Connection) -> int:
        """Return the size of the part of the catalogue that the database has not taken in."""
        state = _state(connection)
        size, inode = size_and_inode(self._index_path)
        return size - (state.offset if inode == state.inode else 0)

    def titled(self, connection: sqlite3.Connection, title: str) -> Iterator[IndexEntry]:
        """Yield active reports whose folded title is this one, in the catalogue as it is now."""
        unread = {entry.report_id: entry for entry in _newest(self._unread(connection)[1])}
        query = "SELECT report_id, entry FROM reports WHERE status = 'active' AND folded = ? LIMIT ?"
        rows = connection.execute(query, (title[:KEY_CHARS], _TITLES))
        known = (IndexEntry.model_validate_json(entry) for name, entry in rows if name not in unread)
        for entry in chain(unread.values(), known):
            is_listed = entry.status == "active" and not entry.path.startswith(".trash")
            if is_listed and folded(entry.current_title) == title:
                yield entry

    def _apply_entry(self, connection: sqlite3.Connection, entry: IndexEntry) -> None:
        known = _find(connection, entry.report_id)
        if entry.path.startswith(".trash"):
            if known is not None:
                _remove(connection, known.row)
        elif known is None:
            _save_entry(connection, None, entry.report_id, entry_row(entry), TEXTS_TO_READ, "")
        elif entry.model_dump_json() == known.entry:
            if known.stamp != self._stamp(entry.report_id):
                _set_todo(connection, known.row, max(known.todo, TEXTS_TO_READ))
        elif moment(entry.updated_at) < known.updated:
            _set_todo(connection, known.row, DOUBTFUL)
        else:
            todo = max(known.todo, TEXTS_TO_READ)
            _save_entry(connection, known.row, entry.report_id, entry_row(entry), todo, known.stamp)

    # --- The folders ----------------------------------------------------------------------

    def _compare_names(self, connection: sqlite3.Connection, names: Names, deadline: float) -> bool:
        if names.stamp() in (_state(connection).names, names.compared):
            return False
        listing = names.listing()
        total = _Sum().plus(listing.names)
        others, gone, is_exact = self._others(connection, total), list[_KnownReport](), True
        if others is None:
            missing, others = _differences(connection, listing.names)
            gone = [known for name, known in missing if not os.path.lexists(self._by_id / name)]
            is_exact = len(gone) == len(missing)  # else the catalogue named reports newer than the listing
        for known in gone:
            _remove(connection, known.row)
        advanced = bool(gone)
        for name in [name for name in others if name not in names.tried]:
            names.tried.add(name)
            advanced |= self._add(connection, name)
            if time.monotonic() > deadline:
                return True
        if is_exact:
            others = [name for name in others if _find(connection, name) is None]
            names.comparison = _Comparison(_state(connection).removed, _last_row(connection), total, others)
        names.compared = listing.stamp
        if listing.is_final:
            connection.execute("UPDATE state SET names = ?", (listing.stamp,))
        return advanced

    def _others(self, connection: sqlite3.Connection, total: _Sum) -> list[str] | None:
        """Return the folders that were no reports; `None` if an unknown folder came or a known one went."""
        last = self._last_comparison
        if last is None or last.removed != _state(connection).removed:
            return None
        added = connection.execute("SELECT report_id FROM reports WHERE id > ?", (last.last,))
        return last.others if last.names.plus(name for (name,) in added) == total else None

    def _add(self, connection: sqlite3.Connection, report_id: str) -> bool:
        if _find(connection, report_id) is not None:
            return False
        outline, stamp = self._read(report_id)
        if outline is not None:
            stamp = stamp if self.is_compared(connection) else ""
            _save(connection, None, report_id, rows_of(outline, report_id), stamp)
        return outline is not None

    def compare(self, connection: sqlite3.Connection, *, seconds: float) -> None:
        """Compare the next reports with their files for about this time, in a transaction of the caller."""
        deadline = time.monotonic() + seconds
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
        """Return whether outline, log and entry of a report name the same version."""
        folder = self._by_id / report_id
        try:
            head = dict(_HEAD.findall(read_regular(folder / "outline.json", _HEAD_BYTES)))
            last = AuditLog(folder / "audit.jsonl").last()
        except (OSError, ValueError):
            return False
        if head.get(b"updated_at", b"").decode(errors="replace") != json.loads(entry)["updated_at"]:
            return False
        return last is None or not last.is_ours or head.get(b"outline_version") == b"%d" % last.version

    # --- The reports ----------------------------------------------------------------------

    def has_much_to_read(self, connection: sqlite3.Connection, *, texts: bool) -> bool:
        """Return whether so much is to be read that a query does not wait for all of it.

        The texts of reports count if `texts` are needed, or if the reports have to be compared anyway.
        """
        state = _state(connection)
        _, inode = size_and_inode(self._index_path)
        if names_many(self._index_path, state.offset if inode == state.inode else 0):
            return True
        if not texts and state.boot == boot_id():
            return False
        many = "SELECT count(*) FROM (SELECT 1 FROM reports WHERE todo > 0 LIMIT ?)"
        return int(connection.execute(many, (catalogue.MANY,)).fetchone()[0]) == catalogue.MANY

    def unread(self, connection: sqlite3.Connection) -> Iterator[tuple[int, str]]:
        """Yield the row and the id of each report whose texts are to be read."""
        last = 0
        select = "SELECT id, report_id FROM reports WHERE todo = ? AND id > ? ORDER BY id LIMIT ?"
        while rows := connection.execute(select, (TEXTS_TO_READ, last, _BATCH)).fetchall():
            yield from rows
            last = rows[-1][0]

    def save_found(
        self, connection: sqlite3.Connection, found: Iterator[tuple[int, str, Found]], *, seconds: float
    ) -> tuple[int, bool]:
        """Save reports that were read outside this transaction, for about this time.

        Returns:
            The number of reports saved, and whether more may come.
        """
        deadline = time.monotonic() + seconds
        saved = 0
        for row, report_id, report in found:
            known = _find(connection, report_id)
            if known is None or known.row != row or known.todo != TEXTS_TO_READ:
                continue  # another process was faster
            if report.stamp != self._stamp(report_id):
                continue  # it changed since it was read, and is read again
            if report.rows is None or not report.agrees or report.rows.entry.entry != known.entry:
                _set_todo(connection, row, DOUBTFUL)
            else:
                _save(connection, row, report_id, report.rows, report.stamp)
                saved += 1
            if time.monotonic() > deadline:
                return saved, True
        return saved, False

    def _read_todo(self, connection: sqlite3.Connection, least: int, deadline: float) -> bool:
        found = "FROM reports WHERE todo > 0 AND todo >= ? ORDER BY todo DESC LIMIT ?"
        # By rows within that: FTS5 flushes its buffer whenever a lower row comes.
        rows = connection.execute(
            f"SELECT * FROM (SELECT id, report_id, entry, todo {found}) ORDER BY todo DESC, id",
            (least, _BATCH),
        ).fetchall()
        is_compared = self.is_compared(connection)  # else the log may be ahead of the outline
        for row, report_id, entry, todo in rows:
            is_doubtful = todo == DOUBTFUL
            outline, stamp = self._read_locked(report_id, entry) if is_doubtful else self._read(report_id)
            if outline is None:
                _set_todo(connection, row, SETTLED)  # until it changes again
            else:
                stamp = stamp if is_compared or is_doubtful else ""
                _save(connection, row, report_id, rows_of(outline, report_id), stamp)
            if time.monotonic() > deadline:
                break
        return bool(rows)

    def _read(self, report_id: str) -> tuple[Outline | None, str]:
        """Return the outline without taking the lock, and the stamp of the files."""
        stamp = self._stamp(report_id)  # first: a later one could be of a version not yet read
        try:
            outline = parse_outline(read_regular(self._by_id / report_id / "outline.json"))
        except (OSError, ValueError):
            return self._read_locked(report_id)
        return (outline, stamp) if is_named(outline, report_id) else (None, "")

    def _read_locked(self, report_id: str, entry: str = "") -> tuple[Outline | None, str]:
        """Return the outline, read under the lock after any recovery, and the stamp of the files.

        The catalogue is corrected if the report differs from `entry`.
        """
        report = ReportFolder(
            self._by_id / report_id,
            lock_timeout_seconds=_LOCK_SECONDS,
            index=self._root.index,
            memory=self._root.memory,
        )
        try:
            with report.reading():
                outline = recovery.read(report).outline
                stamp = self._stamp(report_id)
                if entry and named_entry(outline, report_id).model_dump_json() != entry:
                    report.announce(outline)
        except (ReportError, OSError, ValueError) as error:
            logger.info("report %s cannot be searched: %s", report_id, type(error).__name__)
            return None, ""
        return (outline, stamp) if is_named(outline, report_id) else (None, "")

    def _stamp(self, report_id: str) -> str:
        return stamp_of(self._by_id, report_id)


def _newest(lines: bytes) -> Iterator[IndexEntry]:
    """Yield the last entry of each report; torn lines and lines that are no entries are skipped."""
    newest: dict[str, bytes] = {}  # lines, because very many entries would take ten times the memory
    for line in lines.splitlines():
        try:
            newest[parse_uuid(usual_id(line) or IndexEntry.model_validate_json(line).report_id)] = line
        except ValidationError:
            continue
    for report_id, line in newest.items():
        entry = IndexEntry.model_validate_json(line)
        yield entry if entry.report_id == report_id else entry.model_copy(update={"report_id": report_id})


# --- The tables ---------------------------------------------------------------------------


def _state(connection: sqlite3.Connection) -> _SyncState:
    return _SyncState(*connection.execute("SELECT * FROM state").fetchone())


def _has_todo(connection: sqlite3.Connection, least: int) -> bool:
    (most,) = connection.execute("SELECT max(todo) FROM reports WHERE todo > 0").fetchone()
    return most is not None and most >= least


def _differences(
    connection: sqlite3.Connection, names: list[str]
) -> tuple[list[tuple[str, _KnownReport]], list[str]]:
    """Return the known reports that are not among the names, and the names of unknown reports."""
    # As one text: fetching a hundred thousand rows takes four times as long.
    (text,) = connection.execute("SELECT group_concat(report_id, '/') FROM reports").fetchone()
    known = set(text.split("/")) if text else set()
    missing = [(name, row) for name in known.difference(names) if (row := _find(connection, name))]
    return missing, sorted(name for name in names if name not in known and is_report_name(name))


def _last_row(connection: sqlite3.Connection) -> int:
    (last,) = connection.execute("SELECT max(id) FROM reports").fetchone()
    return last or 0


def _find(connection: sqlite3.Connection, report_id: str) -> _KnownReport | None:
    query = "SELECT id, entry, updated, todo, stamp FROM reports WHERE report_id = ?"
    row = connection.execute(query, (report_id,)).fetchone()
    return _KnownReport(*row) if row else None


def _set_todo(connection: sqlite3.Connection, row: int, todo: int) -> None:
    connection.execute("UPDATE reports SET todo = ? WHERE id = ?", (todo, row))


def _save(
    connection: sqlite3.Connection, row: int | None, report_id: str, rows: ReportRows, stamp: str
) -> None:
    """Insert or replace everything that is kept of a report."""
    row = _save_entry(connection, row, report_id, rows.entry, SETTLED, stamp)
    _remove_content(connection, row)
    connection.execute(
        "INSERT INTO texts (rowid, title, text) VALUES (?, ?, ?)", (row, rows.title, rows.text)
    )
    connection.execute("INSERT INTO items VALUES (?, ?)", (row, rows.items))
    if rows.sources:
        sources = [(row, *source) for source in rows.sources]
        connection.executemany("INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?)", sources)
    for *columns, text in rows.reviews:
        number = connection.execute(
            "INSERT INTO reviews VALUES (NULL, ?, ?, ?, ?)", (row, *columns)
        ).lastrowid
        connection.execute("INSERT INTO due_texts (rowid, text) VALUES (?, ?)", (number, text))
    due = min((day for _, day, _, _ in rows.reviews), default="")
    connection.execute("UPDATE reports SET due = ? WHERE id = ? AND due <> ?", (due, row, due))


def _save_entry(
    connection: sqlite3.Connection, row: int | None, report_id: str, entry: EntryRow, todo: int, stamp: str
) -> int:
    """Insert or replace the catalogue entry of a report, and return its row."""
    *values, tags = entry
    if row is None:
        insert = "INSERT INTO reports VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, '')"
        row = connection.execute(insert, (report_id, *values, todo, stamp)).lastrowid or 0
    else:
        columns = "entry = ?, status = ?, updated = ?, created = ?, folded = ?, todo = ?, stamp = ?"
        connection.execute(f"UPDATE reports SET {columns} WHERE id = ?", (*values, todo, stamp, row))
        connection.execute("DELETE FROM tags WHERE report = ?", (row,))
    if tags:
        rows = [(tag, entry.status, entry.updated, row) for tag in tags]
        connection.executemany("INSERT INTO tags VALUES (?, ?, ?, ?)", rows)
    return row


def _remove(connection: sqlite3.Connection, row: int) -> None:
    _remove_content(connection, row)
    connection.execute("DELETE FROM tags WHERE report = ?", (row,))
    (report_id,) = connection.execute("SELECT report_id FROM reports WHERE id = ?", (row,)).fetchone()
    forget(connection, report_id)
    connection.execute("DELETE FROM reports WHERE id = ?", (row,))
    connection.execute("UPDATE state SET forgotten = random()")


def _remove_content(connection: sqlite3.Connection, row: int) -> None:
    if not connection.execute("DELETE FROM items WHERE report = ?", (row,)).rowcount:
        return  # its texts were never read
    connection.execute("DELETE FROM texts WHERE rowid = ?", (row,))
    reviews = "SELECT id FROM reviews WHERE report = ?"
    connection.execute(f"DELETE FROM due_texts WHERE rowid IN ({reviews})", (row,))
    for table in ("sources", "reviews"):
        connection.execute(f"DELETE FROM {table} WHERE report = ?", (row,))
