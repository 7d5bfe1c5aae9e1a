"""The file `.search.sqlite`: derived from the reports, and rebuilt if it is damaged.

Rules:

- SQLite writes this file (WAL mode), not `durable`. Only queries depend on it; no writer of a
  report ever waits for it.
- `.search.lock` is held while the file is created, opened or written, so that a removed, damaged
  or outdated file is never replaced while another process is writing to it.
- A connection belongs to one file. It is closed when the path names another file.
- If the root is not writable, the database is kept in memory, one for the process.

    >>> with Database(root).borrow() as handle:
    ...     handle.connection.execute("SELECT count(*) FROM reports").fetchone()
    (3,)
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from living_reports.store.files import durable
from living_reports.store.files.lock import hold
from living_reports.store.files.search.words import TOKENIZER

SCHEMA_VERSION = 8
LOCK_TIMEOUT_SECONDS = 10.0
_BUSY_SECONDS = 5.0

_FTS_TABLES = ("texts", "due_texts")
_HASH_BYTES = 1_048_576
"""The default of FTS5."""
_COLLECTED_BYTES = 16_777_216
_SORTED_BY = ("updated", "created", "folded")
_SCHEMA = f"""
CREATE TABLE state (
    inode INTEGER NOT NULL, offset INTEGER NOT NULL, mark BLOB NOT NULL,
    names INTEGER NOT NULL, boot TEXT NOT NULL, comparing TEXT NOT NULL, compared INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
);
INSERT INTO state VALUES (-1, 0, x'', -1, '', '', 0, random());
CREATE TABLE reports (
    id INTEGER PRIMARY KEY, report_id TEXT NOT NULL UNIQUE, entry TEXT NOT NULL, status TEXT NOT NULL,
    updated TEXT NOT NULL, created TEXT NOT NULL, folded TEXT NOT NULL,
    todo INTEGER NOT NULL, stamp TEXT NOT NULL, due TEXT NOT NULL DEFAULT ''
);
{"".join(f"CREATE INDEX by_{key} ON reports (status, {key}, report_id);" for key in _SORTED_BY)}
CREATE INDEX by_due ON reports (status, due) WHERE due > '';
CREATE INDEX by_todo ON reports (todo) WHERE todo > 0;
CREATE TABLE tags (
    tag TEXT, status TEXT, updated TEXT, report INTEGER, PRIMARY KEY (tag, status, updated, report)
) WITHOUT ROWID;
CREATE INDEX tags_by_report ON tags (report, tag, status);
CREATE VIRTUAL TABLE texts USING fts5 (title, text, tokenize = "{TOKENIZER}");
CREATE TABLE items (report INTEGER PRIMARY KEY, texts BLOB NOT NULL);
CREATE TABLE sources (report INTEGER, item_id TEXT, item TEXT, kind TEXT, text TEXT, compared TEXT);
CREATE INDEX sources_by_report ON sources (report);
CREATE TABLE reviews (id INTEGER PRIMARY KEY, report INTEGER, insight_id TEXT, day TEXT, item TEXT);
CREATE INDEX reviews_by_report ON reviews (report);
CREATE VIRTUAL TABLE due_texts USING fts5 (text, tokenize = "{TOKENIZER}");
CREATE TABLE logs (
    report_id TEXT PRIMARY KEY, last INTEGER NOT NULL, covered INTEGER NOT NULL, sha256 TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE writes (
    report_id TEXT, at TEXT, offset INTEGER NOT NULL, PRIMARY KEY (report_id, at)
) WITHOUT ROWID;
"""

Identity = tuple[int, int]


class MovedError(Exception):
    """The path now names another database."""


class Handle(NamedTuple):
    """A connection and the identity of its file; `None` for a database in memory."""

    connection: sqlite3.Connection
    identity: Identity | None


class Database:
    """The search database of a root; see the module."""

    def __init__(self, root: Path) -> None:
        self._path = root / ".search.sqlite"
        self._lock_path = root / ".search.lock"
        self._mutex = threading.RLock()
        self._idle: list[Handle] = []
        self._memory: Handle | None = None
        weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def borrow(self, timeout_seconds: float | None = None) -> Iterator[Handle]:
        """Lend a connection for the block. After an error it is closed.

        Raises:
            LockTimeoutError: There was none yet, and other processes were writing for the whole time-out.
            sqlite3.Error: The file cannot be used.
            OSError: The root cannot be written.
        """
        if self._memory is not None:
            with self._mutex:
                yield self._memory
            return
        handle = self._take() or self._open(timeout_seconds)
        try:
            yield handle
        except BaseException:
            handle.connection.close()
            raise
        with self._mutex:
            self._idle.append(handle)

    @contextmanager
    def writing(self, handle: Handle, timeout_seconds: float | None = None) -> Iterator[sqlite3.Connection]:
        """Run the block in one transaction; other processes queue for their turn.

        Raises:
            MovedError: The handle's file was replaced.
            LockTimeoutError: Other processes were writing for the whole time-out.
        """
        if handle.identity is None:
            with _transaction(handle.connection):
                yield handle.connection
            return
        with self._held(timeout_seconds):
            if _identity(self._path) != handle.identity:
                raise MovedError
            with _transaction(handle.connection):
                yield handle.connection

    def use_memory(self) -> None:
        """Switch to a database in memory."""
        with self._mutex:
            if self._memory is None:
                connection = _connect(":memory:")
                connection.executescript(_SCHEMA)
                self._memory = Handle(connection, None)
                weakref.finalize(self, connection.close)

    def discard(self, identity: Identity | None) -> None:
        """Remove a damaged file, unless it was already replaced."""
        with hold(self._lock_path, LOCK_TIMEOUT_SECONDS):
            if identity is None or _identity(self._path) == identity:
                self._remove()

    def identity(self) -> Identity | None:
        """Return the identity of the file that the path names now."""
        return _identity(self._path)

    def _held(self, timeout_seconds: float | None) -> AbstractContextManager[object]:
        return hold(self._lock_path, LOCK_TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds)

    def _take(self) -> Handle | None:
        identity = _identity(self._path)
        with self._mutex:
            while self._idle:
                handle = self._idle.pop()
                if handle.identity == identity:
                    return handle
                handle.connection.close()
        return None

    def _open(self, timeout_seconds: float | None) -> Handle:
        with self._held(timeout_seconds):
            try:
                connection = self._existing() or self._create()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                connection = self._create()
            return Handle(connection, _identity(self._path))

    def _existing(self) -> sqlite3.Connection | None:
        """Return a connection to the file, if it exists and has the current schema version."""
        if not (self._path.exists() and all(map(_is_usable, self._files()))):
            return None
        connection = _connect(str(self._path))
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _create(self) -> sqlite3.Connection:
        self._remove()
        connection = _connect(str(self._path))
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _remove(self) -> None:
        """Remove the file first: processes that have it open keep its content, and see that it is gone."""
        for path in self._files():
            durable.remove(path)

    def _files(self) -> list[Path]:
        return [self._path.with_name(self._path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether the error says that the file is damaged."""
    return not isinstance(error, sqlite3.OperationalError) or _primary_code(error) in (
        sqlite3.SQLITE_ERROR,  # a table is missing
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_IOERR,
    )


def is_temporary(error: sqlite3.DatabaseError) -> bool:
    """Return whether the database cannot be written for now but can be read."""
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)


def _primary_code(error: sqlite3.DatabaseError) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    # NORMAL: a power cut loses the last transactions, which are repeated, and damages nothing.
    connection.executescript(
        "PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000"
    )
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.execute("COMMIT")


@contextmanager
def loading(connection: sqlite3.Connection) -> Iterator[None]:
    """Let FTS5 collect more before it writes a part of its index, so that it merges less."""
    connection.execute("PRAGMA cache_size = -32000")
    _collect(connection, _COLLECTED_BYTES)
    try:
        yield
    finally:
        connection.execute("PRAGMA cache_size = -8000")
    _collect(connection, _HASH_BYTES)


def _collect(connection: sqlite3.Connection, limit_bytes: int) -> None:
    for table in _FTS_TABLES:
        connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('hashsize', ?)", (limit_bytes,))


def optimise(connection: sqlite3.Connection, added: int) -> None:
    """Merge all parts of the full-text index if most reports were added just now; else it takes too long."""
    (count,) = connection.execute("SELECT count(*) FROM reports").fetchone()
    if 2 * added > count:
        for table in _FTS_TABLES:
            connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """Let all queries of the block see the same state of the database."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


def _is_usable(path: Path) -> bool:
    """Return False if SQLite might wait for something that is no file, or follow a link."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return True


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _close_all(handles: list[Handle]) -> None:
    for handle in handles:
        handle.connection.close()
