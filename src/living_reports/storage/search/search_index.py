"""Search over all reports of a root: follow what changed, then answer.

Rules:

- A page is made of what was committed before it was asked for, by whichever process. Where that
  cannot be had in reasonable time (the first comparison of very many reports after a start of the
  machine, a full disk, another process that holds the database and does not go on), the page says
  that it `is_behind`.
- Nothing here is worth keeping: a damaged database is removed and made again, and where none can
  be written, one in memory is used.
- Reading an empty or missing root leaves it so.
"""

from __future__ import annotations

import logging
import sqlite3
import time

from living_reports.errors import LockTimeoutError
from living_reports.storage.root import GlobalStorage
from living_reports.storage.search.content import ReviewDay
from living_reports.storage.search.database import Database, Handle, MovedError, is_busy, is_damage, reading
from living_reports.storage.search.follower import Follower
from living_reports.storage.search.queries import Key, Page, Query, fetch

logger = logging.getLogger(__name__)

_SLICE_SECONDS = 0.25
_COMPARING_SECONDS = 0.25
_ATTEMPTS = 4


class SearchIndex:
    """Search over the reports of a root.

    Args:
        storage: The root.
        review_day: The last day on which an insight holds without a review.
    """

    def __init__(self, storage: GlobalStorage, review_day: ReviewDay) -> None:
        self._storage = storage
        self._database = Database(storage.reports_root)
        self._review_day = review_day

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
        self._storage.settle_index()
        for attempt in range(_ATTEMPTS):
            identity = self._database.identity()
            try:
                return self._page(query, after, limit)
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
        return self._page(query, after, limit)

    def _page(self, query: Query, after: Key | None, limit: int) -> Page:
        with self._database.borrow() as handle:
            is_current = self._catch_up(handle, texts=query.needs_texts)
            with reading(handle.connection):
                page = fetch(handle.connection, query, after, limit)
        return page if is_current else Page(page.rows, page.total, page.next_key, is_behind=True)

    def _catch_up(self, handle: Handle, *, texts: bool) -> bool:
        """Take in what changed, a slice at a time so that others get their turn.

        Returns:
            Whether everything was taken in.
        """
        follower = Follower(self._storage, self._review_day)
        end_of_comparing = time.monotonic() + _COMPARING_SECONDS
        while follower.is_behind(handle.connection, texts=texts):
            if time.monotonic() > end_of_comparing and follower.is_only_comparing(handle.connection):
                return False
            try:
                with self._database.writing(handle) as connection:
                    moved = follower.step(connection, texts=texts, seconds=_SLICE_SECONDS)
            except LockTimeoutError:
                return False
            except sqlite3.OperationalError as error:
                if is_busy(error) or error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                    return False
                raise
            if not moved:
                break
        return True
