"""Search over all reports of a root: follow what changed, then answer.

Rules:

- A page is made of what was committed before it was asked for, by whichever process. Where that
  cannot be had in reasonable time (very many reports are still compared with their files after a
  start of the machine, a full disk, another process that holds the database and does not go on),
  the page says that it `is_behind`.
- Nothing here is worth keeping: a damaged database is removed and made again, and where none can
  be written, one in memory is used.
- Reading an empty or missing root leaves it so.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time

from living_reports.errors import LockTimeoutError
from living_reports.store.files.catalogue import Listing
from living_reports.store.files.search.content import ReviewDay
from living_reports.store.files.search.database import (
    Database,
    Handle,
    MovedError,
    is_damage,
    is_passing,
    reading,
)
from living_reports.store.files.search.folders import Names, Root
from living_reports.store.files.search.follower import Follower
from living_reports.store.files.search.queries import Key, Page, Query, fetch

logger = logging.getLogger(__name__)

_SLICE_SECONDS = 0.25
_COMPARING_SECONDS = 0.25
_COMPARED_AT_ONCE_SECONDS = 0.05
_ATTEMPTS = 4


class SearchIndex:
    """Search over the reports of a root.

    Args:
        storage: The root.
        review_day: The last day on which an insight holds without a review.
    """

    def __init__(self, storage: Root, review_day: ReviewDay) -> None:
        self._storage = storage
        self._database = Database(storage.reports_root)
        self._follower = Follower(storage, review_day)
        self._comparing: threading.Thread | None = None

    def page(self, query: Query, after: Key | None = None, limit: int = 20) -> Page:
        """One page of the reports that fit.

        Args:
            query: What is asked for.
            after: The `next_key` of the page before.
            limit: How many rows at most.

        Raises:
            sqlite3.Error: Not even a database in memory can be had.
        """
        if not (self._storage.by_id.exists() or self._storage.index_path.exists()):
            return Page()
        listing = self._storage.settle_index()
        for attempt in range(_ATTEMPTS):
            identity = self._database.identity()
            try:
                return self._page(query, after, limit, listing)
            except MovedError:
                continue
            except (OSError, LockTimeoutError) as error:
                logger.info("searching in memory: %s", type(error).__name__)
                self._database.use_memory()
            except sqlite3.DatabaseError as error:
                logger.info("the search database cannot be used: %s", error)
                if not is_damage(error) or attempt >= _ATTEMPTS - 2:
                    self._database.use_memory()
                else:
                    self._database.discard(identity)
        return self._page(query, after, limit, listing)

    def _page(self, query: Query, after: Key | None, limit: int, listing: Listing | None) -> Page:
        names = Names(self._storage.by_id, listing)
        with self._database.borrow() as handle:
            is_current = self._catch_up(handle, names, texts=query.needs_texts)
            with reading(handle.connection):
                page = fetch(handle.connection, query, after, limit)
        return page if is_current else Page(page.rows, page.total, page.next_key, is_behind=True)

    def _catch_up(self, handle: Handle, names: Names, *, texts: bool) -> bool:
        """Take in what changed, and compare everything with its files if that was not done yet.

        Returns:
            Whether everything was taken in.
        """
        try:
            self._follow(handle, names, texts=texts)
            if self._follower.is_compared(handle.connection):
                return True
            if self._comparing is None or handle.identity is None:
                self._compare(handle, time.monotonic() + _COMPARING_SECONDS)
                self._follow(handle, names, texts=texts)
            if self._follower.is_compared(handle.connection):
                return True
            if self._comparing is None and handle.identity is not None:
                self._comparing = threading.Thread(
                    target=self._finish_comparing, name="search-comparison", daemon=True
                )
                self._comparing.start()
        except LockTimeoutError:
            logger.info("another process holds the search database")
        except sqlite3.OperationalError as error:
            if not is_passing(error):
                raise
        return False

    def _follow(self, handle: Handle, names: Names, *, texts: bool) -> None:
        """Take in what changed, a slice at a time so that others get their turn."""
        moved = True
        while moved and self._follower.is_behind(handle.connection, names, texts=texts):
            with self._database.writing(handle) as connection:
                moved = self._follower.step(connection, names, texts=texts, seconds=_SLICE_SECONDS)
            self._follower.remember(names)

    def _compare(self, handle: Handle, deadline: float) -> None:
        while not self._follower.is_compared(handle.connection) and time.monotonic() < deadline:
            with self._database.writing(handle) as connection:
                self._follower.compare(connection, seconds=_COMPARED_AT_ONCE_SECONDS)

    def _finish_comparing(self) -> None:
        """What takes longer goes on beside the queries, which say meanwhile that they may be behind."""
        try:
            with self._database.borrow() as handle:
                self._compare(handle, math.inf)
        except (sqlite3.Error, OSError, MovedError, LockTimeoutError) as error:
            logger.info("the comparison goes on with a later query: %s", error)
        finally:
            self._comparing = None
