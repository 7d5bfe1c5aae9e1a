"""The events that last wrote the values of a report with a long log.

Rules:

- A row names the newest event that has an edit at an address, in the part of the log that is covered.
  Rows follow from the log, cover more of it when a look-up finds too much that is not covered, and may
  be missing: `AuditLog.last_writes` finds the same by a walk.
- Nothing is believed. The covered part must end with the line that was its last one; what comes after
  it is walked; and an event that a row names must have such an edit. Else the log is walked.
- A look-up happens under the report's lock and never waits for the database.

    >>> Writes(database).find(log, report_id, ["insights/02f9…/summary"], log.size())
    {'insights/02f9…/summary': Record(offset=0, …)}
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Set
from contextlib import suppress

from living_reports.errors import LockTimeoutError
from living_reports.model.delta import writing_places
from living_reports.store.files.log import AuditLog, Record
from living_reports.store.files.search.database import Database, Handle, MovedError

logger = logging.getLogger(__name__)

_WALKED_BYTES = 65_536
"""The rows are extended if more of the log than this is not covered."""


class Writes:
    """The rows of all reports of a root."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, log: AuditLog, report_id: str, addresses: Set[str], end: int) -> dict[str, Record]:
        """Return the newest event before `end` that wrote each value. The caller holds the report's lock."""
        found: dict[str, Record] = {}
        walked = end
        try:
            with self._database.borrow(0.0) as handle:
                walked = min(self._covered(handle, log, report_id, end), end)
                found = log.last_writes(addresses, walked, end)
                found |= _named(handle.connection, log, report_id, addresses - found.keys())
        except (sqlite3.Error, OSError, MovedError, LockTimeoutError) as error:
            logger.info("the log of %s is walked: %s", report_id, type(error).__name__)
        return found | log.last_writes(addresses - found.keys(), end=walked)

    def _covered(self, handle: Handle, log: AuditLog, report_id: str, end: int) -> int:
        """Return the offset up to which rows cover the log, after extending them if a walk would be long."""
        covered = _covered(handle.connection, log, report_id)
        if end - covered <= _WALKED_BYTES:
            return covered
        with suppress(LockTimeoutError), self._database.writing(handle, 0.0) as connection:
            _extend(connection, log, report_id, covered, end)
            return end
        return covered


def _covered(connection: sqlite3.Connection, log: AuditLog, report_id: str) -> int:
    """Return the offset up to which rows cover the log; 0 if it is no longer the log that they cover."""
    known = connection.execute(
        "SELECT last, covered, sha256 FROM logs WHERE report_id = ?", (report_id,)
    ).fetchone()
    if known is None:
        return 0
    last, covered, sha256 = known
    line = next(log.forwards(last, covered), None)
    is_same = line is not None and line.end == covered and line.sha256 == sha256
    return covered if is_same else 0


def _extend(connection: sqlite3.Connection, log: AuditLog, report_id: str, start: int, end: int) -> None:
    if not start:
        forget(connection, report_id)
    newest: dict[str, int] = {}
    last: Record | None = None
    for last in log.forwards(start, end):
        newest |= dict.fromkeys(last.addresses(), last.offset)
    if last is None:
        return
    connection.executemany(
        "INSERT OR REPLACE INTO writes VALUES (?, ?, ?)",
        [(report_id, at, offset) for at, offset in newest.items()],
    )
    values = (report_id, last.offset, last.end, last.sha256)
    connection.execute("INSERT OR REPLACE INTO logs VALUES (?, ?, ?, ?)", values)


def _named(
    connection: sqlite3.Connection, log: AuditLog, report_id: str, addresses: Set[str]
) -> dict[str, Record]:
    """Return the events that rows name, without those that have no such edit."""
    found: dict[str, Record] = {}
    read: dict[int, Record | None] = {}
    for at in addresses:
        places = writing_places(at)
        marks = ", ".join("?" * len(places))
        newest = f"SELECT max(offset) FROM writes WHERE report_id = ? AND at IN ({marks})"
        (offset,) = connection.execute(newest, (report_id, *places)).fetchone()
        if offset is None:
            continue
        if offset not in read:
            read[offset] = next(log.forwards(offset), None)
        record = read[offset]
        if record is not None and record.edits(places):
            found[at] = record
    return found


def forget(connection: sqlite3.Connection, report_id: str) -> None:
    """Remove the rows of a report."""
    for table in ("writes", "logs"):
        connection.execute(f"DELETE FROM {table} WHERE report_id = ?", (report_id,))
