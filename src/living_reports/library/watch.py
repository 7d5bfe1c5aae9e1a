"""Watching: which followed addresses have changed, whoever changed them.

Rules:

- A check costs a few stats while nothing changes: of the two files of each followed report, and of the
  catalogue where the list is followed.
- A report whose files changed is read under its lock: a commit that is under way is reported once, when
  it is done, and a person's edit of `outline.json` becomes a version.
- A change is one that a reader would see: a new version of a page or an outline, a new line of a log, a
  report that was removed or came back. The content of an address with a version never changes.
- The list changes when a report is added, removed or renamed, not with each version.
- A report that cannot be read at the moment is checked again later.

    >>> watcher = watch(context)
    >>> watcher.follow(LIST)
    >>> create_report(context, CreateReport("Health"), author)
    >>> watcher.changed()
    [None]
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable
from dataclasses import dataclass

from living_reports.errors import LockTimeoutError, ReportError, ReportNotFoundError, StorageFailedError
from living_reports.library.context import Context, find_report
from living_reports.library.resources import Address, parse_address
from living_reports.model.report import as_uuid, outline_bytes, sha256_hex
from living_reports.store.base import Store

logger = logging.getLogger(__name__)

LIST = None
"""The list of reports, which has no address of its own."""

LOCK_TIMEOUT_S = 1.0
"""The time that a watcher waits for the writer of a report before it checks the others."""


@dataclass
class _Followed:
    """A followed address, the state of its files, and what a reader saw then."""

    address: Address | None
    report_id: str
    token: Hashable
    seen: Hashable


class ChangeWatcher:
    """The followed addresses of one store. Threads may share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mutex = threading.Lock()
        self._followed: dict[str | None, _Followed] = {}

    def follow(self, text: str | None) -> None:
        """Report changes at this address, or of the list, from now on.

        Raises:
            ReportError: It is not an address of a report, or the report cannot be read.
        """
        with self._mutex:
            if text in self._followed:
                return
            address = None if text is LIST else parse_address(text)
            report_id = self._report_id(address) if address else ""
            followed = _Followed(address, report_id, self._store.change_token(report_id or None), None)
            followed.seen = self._visible(followed)
            self._followed[text] = followed

    def forget(self, text: str | None) -> None:
        """Stop reporting changes at this address. Does not wait for a check that is under way."""
        self._followed.pop(text, None)

    def changed(self) -> list[str | None]:
        """Return the addresses at which something changed since the last check."""
        with self._mutex:
            return [text for text, followed in list(self._followed.items()) if self._changed(followed)]

    def _report_id(self, address: Address) -> str:
        """Return the id of the report to follow; a whole id is taken even if there is no such report."""
        return as_uuid(address.report) or find_report(self._store, address.report, writing=False)

    def _changed(self, followed: _Followed) -> bool:
        token = self._store.change_token(followed.report_id or None)
        if token == followed.token:
            return False
        try:
            visible = self._visible(followed)
        except (LockTimeoutError, StorageFailedError) as error:
            logger.info("%s is checked again: %s", followed.report_id or "the list", error)
            return False
        followed.token = token
        is_other = visible != followed.seen
        followed.seen = visible
        return is_other

    def _visible(self, followed: _Followed) -> Hashable:
        """Return a value that stands for what a reader would see."""
        if followed.address is None:
            entries = self._store.entries()
            return frozenset((e.report_id, e.current_title) for e in entries if e.status == "active")
        try:
            snapshot = self._store.read(followed.report_id)
        except ReportNotFoundError:
            return None
        except (LockTimeoutError, StorageFailedError):
            raise
        except ReportError as error:
            return error.code
        if followed.address.version:
            return "there"
        if followed.address.part == "audit":
            newest = next(self._store.events(followed.report_id), None)
            return newest.sha256 if newest is not None else ""
        # Bytes tell versions apart only where no event of ours does: a file that an editor has half
        # written is not what a reader gets.
        return snapshot.version if snapshot.head else sha256_hex(outline_bytes(snapshot.outline))


def watch(context: Context) -> ChangeWatcher:
    """Return a watcher with a lock time-out of its own, so that one locked report delays no others."""
    return ChangeWatcher(context.store.with_timeout(LOCK_TIMEOUT_S))
