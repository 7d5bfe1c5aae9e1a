"""Search over all reports of a root: full text, sources, overdue reviews, tags and order.

Rules:

- Everything here is derived from the catalogue and the outlines, is kept in `.search.sqlite`, and
  can be deleted at any time. A damaged database is removed and rebuilt; if none can be written,
  one in memory is used.
- A page includes everything that any process committed before the call. If that is not possible in
  reasonable time (very many reports are still being read for the first time, or compared with their
  files after a start of the machine; the disk is full, or another process holds the database), the
  page says that it `is_behind`.
- Very many reports are read in the background of the pages by several processes (`workers`), in large
  transactions. What one of these has saved is kept if the process is killed.
- Reading an empty or missing root leaves it so.
- This package is imported when something is listed for the first time, because it loads SQLite.

Read in this order: `words` (queries and snippets), `content` (the searchable content of an outline),
`rows` (what is kept of a report), `workers` (processes that read reports), `database` (the file),
`writes` (the events that last wrote each value), `follower` (keeping it in step), `queries` (a page),
and this module.

    >>> search = SearchIndex(root)
    >>> page = search.page(SearchQuery(text="log4j", stale_on=date(2026, 11, 23)))
    >>> [row.entry.current_title for row in page.rows]
    ['Health of the environment']
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Set
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice

from living_reports.errors import LockTimeoutError, ReportError
from living_reports.model.report import IndexEntry, folded
from living_reports.store.base import Event, PageKey, SearchPage, SearchQuery
from living_reports.store.files.catalogue import Listing, version_in
from living_reports.store.files.folder import Root
from living_reports.store.files.log import AuditLog, Record
from living_reports.store.files.search.database import (
    Database,
    Handle,
    MovedError,
    is_damage,
    is_temporary,
    loading,
    optimise,
    reading,
)
from living_reports.store.files.search.follower import Follower, Names
from living_reports.store.files.search.queries import PageRequest, fetch
from living_reports.store.files.search.workers import Workers
from living_reports.store.files.search.writes import Writes

__all__ = ["SearchIndex"]

logger = logging.getLogger(__name__)

_SLICE_SECONDS = 0.25
_COMPARING_SECONDS = 0.25
_COMPARED_AT_ONCE_SECONDS = 0.05
_FILLED_SECONDS = 2.0
_WAIT_SECONDS = 0.5
"""The time that a query waits for the background before it answers from what there is."""
_FEW_BYTES = 8_192
"""So much of the catalogue is read again for every title; more is first read into the database."""
_ATTEMPTS = 4


class SearchIndex:
    """Search over the reports of a root."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._database = Database(root.reports_root)
        self._follower = Follower(root)
        self._writes = Writes(self._database)
        self._background: threading.Thread | None = None
        self._damage: sqlite3.DatabaseError | None = None
        self._mutex = threading.Lock()

    def page(self, query: SearchQuery, after: PageKey | None = None, limit: int = 20) -> SearchPage:
        """Return one page of the reports that match.

        Args:
            query: The conditions and the order.
            after: The `next_key` of the previous page.
            limit: The maximum number of rows.

        Raises:
            sqlite3.Error: Not even a database in memory can be used.
        """
        if not (self._root.by_id.exists() or self._root.index_path.exists()):
            return SearchPage()
        request = PageRequest(query, after, limit, self._updated_by)
        if self._root.index.compares_many():
            self._start_background()
            self._wait()
        listing = self._root.settle_index() if self._background is None else None
        for attempt in range(_ATTEMPTS):
            identity = self._database.identity()
            try:
                return self._page(request, listing)
            except MovedError:
                continue
            except LockTimeoutError:
                return SearchPage(
                    is_behind=True
                )  # another process is writing, and kept this one from opening it
            except OSError as error:
                logger.info("searching in memory: %s", type(error).__name__)
                self._database.use_memory()
            except sqlite3.DatabaseError as error:
                logger.info("the search database cannot be used: %s", error)
                if not is_damage(error) or attempt >= _ATTEMPTS - 2:
                    self._database.use_memory()
                else:
                    self._database.discard(identity)
        return self._page(request, listing)

    def last_writes(self, log: AuditLog, report_id: str, addresses: Set[str], end: int) -> dict[str, Record]:
        """Return the newest event before an offset that wrote each value; see `Writes.find`."""
        return self._writes.find(log, report_id, addresses, end)

    def titled(self, title: str, limit: int) -> list[IndexEntry] | None:
        """Return the first active reports with a title, from the catalogue; no folder is looked at.

        Returns:
            The entries; `None` if the database cannot be used at once.
        """
        if not self._root.index_path.exists():
            return []
        try:
            with self._database.borrow(_WAIT_SECONDS) as handle:
                if self._follower.unread_bytes(handle.connection) > _FEW_BYTES:
                    with self._database.writing(handle, _WAIT_SECONDS) as connection:
                        self._follower.read_index(connection)
                with reading(handle.connection):
                    return list(islice(self._follower.titled(handle.connection, folded(title)), limit))
        except (sqlite3.Error, OSError, MovedError, LockTimeoutError) as error:
            logger.info("titles were not compared: %s", type(error).__name__)
            return None

    def _page(self, request: PageRequest, listing: Listing | None) -> SearchPage:
        names = Names(self._root.by_id, listing)
        with self._database.borrow() as handle:
            is_current = self._catch_up(handle, names, texts=request.needs_texts)
            with reading(handle.connection):
                page = fetch(handle.connection, request)
        rows = [replace(row, version=self._version_of(row.entry)) for row in page.rows]
        return replace(page, rows=rows, is_behind=not is_current)

    def _version_of(self, entry: IndexEntry) -> int:
        return version_in(self._root.reports_root / entry.path / "outline.json")

    def _updated_by(self, report_id: str, time_text: str) -> str:
        """Return the `updated_at` of a report at a time (ISO 8601 in UTC); empty if it did not exist yet."""
        for event in AuditLog(self._root.by_id / report_id / "audit.jsonl").backwards():
            if event.is_whole:  # a creation, or the adoption of another program's report
                outline = event.delta[0].get("new")
                ts = str(outline.get("updated_at", "")) if isinstance(outline, dict) else ""
                return ts if ts <= time_text else ""
            if event.makes_version and (ts := _updated_at(event)) <= time_text:
                return ts
        return ""

    # --- Catching up ----------------------------------------------------------------------

    def _catch_up(self, handle: Handle, names: Names, *, texts: bool) -> bool:
        """Read what changed, and compare all reports with their files if that was not done yet.

        Returns:
            Whether the database is up to date.
        """
        try:
            if self._is_left_to_background(handle, texts=texts):
                return False
            self._follow(handle, names, texts=texts)
            if self._follower.is_compared(handle.connection):
                return True
            self._compare(handle, time.monotonic() + _COMPARING_SECONDS)
            self._follow(handle, names, texts=texts)
            if self._follower.is_compared(handle.connection):
                return True
            if handle.identity is not None:
                self._start_background()
        except LockTimeoutError:
            logger.info("another process holds the search database")
        except sqlite3.OperationalError as error:
            if not is_temporary(error):
                raise
        return False

    def _is_left_to_background(self, handle: Handle, *, texts: bool) -> bool:
        """Leave very many reports to the background; return whether there is more to wait for.

        Raises:
            sqlite3.DatabaseError: The background found the database to be damaged.
        """

        def is_much() -> bool:
            return self._follower.has_much_to_read(handle.connection, texts=texts)

        if handle.identity is None:
            return False
        if self._background is None and not (is_much() and self._start_background()):
            return False
        self._wait()
        if (damage := self._damage) is not None:
            self._damage = None
            raise damage
        return self._background is not None or is_much()

    def _follow(self, handle: Handle, names: Names, *, texts: bool) -> None:
        """Read what changed, in slices so that other processes get their turn."""
        advanced = True
        while advanced and self._follower.is_behind(handle.connection, names, texts=texts):
            with self._database.writing(handle) as connection:
                advanced = self._follower.step(connection, names, texts=texts, seconds=_SLICE_SECONDS)
            self._follower.remember(names)

    def _compare(self, handle: Handle, deadline: float) -> None:
        while not self._follower.is_compared(handle.connection) and time.monotonic() < deadline:
            with self._database.writing(handle) as connection:
                self._follower.compare(connection, seconds=_COMPARED_AT_ONCE_SECONDS)

    # --- In the background ----------------------------------------------------------------

    def _start_background(self) -> bool:
        """Let a thread bring everything up to date; return whether there is one now."""
        with self._mutex:
            if self._background is None:
                thread = threading.Thread(target=self._finish, name="search-background", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    logger.info("there is no thread for the search: %s", error)
                    return False
                self._background = thread
        return True

    def _wait(self) -> None:
        background = self._background
        if background is not None:
            background.join(_WAIT_SECONDS)

    def _finish(self) -> None:
        """Bring everything up to date; until then, queries say that they may be behind."""
        try:
            self._root.settle_index()
            with ExitStack() as stack:
                with self._database.borrow():  # stays for a page: none can be opened while this thread writes
                    handle = stack.enter_context(self._database.borrow())
                if self._follower.has_much_to_read(handle.connection, texts=True):
                    self._fill(handle)
                self._compare(handle, math.inf)
        except (OSError, MovedError, ReportError, sqlite3.DatabaseError) as error:
            logger.info("a later query goes on: %s", error)
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                self._damage = error
        finally:
            with self._mutex:
                self._background = None

    def _fill(self, handle: Handle) -> None:
        """Read very many reports: entries first, then texts, in large transactions."""
        with self._database.writing(handle, 0.0):
            pass  # raises if another process is doing this already
        with Workers(self._root.by_id) as workers:  # which start up meanwhile
            self._follow(handle, Names(self._root.by_id), texts=False)
            number, found = 0, workers.read(self._follower.unread(handle.connection))
            is_more = True
            while is_more:
                with self._database.writing(handle) as connection, loading(connection):
                    saved, is_more = self._follower.save_found(connection, found, seconds=_FILLED_SECONDS)
                number += saved
        with self._database.writing(handle) as connection:
            optimise(connection, number)


def _updated_at(event: Event) -> str:
    """Return the `updated_at` of the version that an event made; that of an imported one is not its `ts`."""
    stated = (edit.get("new") for edit in event.delta if edit.get("at") == "updated_at")
    return str(next(stated, event.event.ts))
