"""What changed at the addresses that somebody follows, whoever changed it.

Rules:

- A look costs a few stats while nothing changes: of the followed reports' two files, and of the
  catalogue where the list is followed. Nobody looks while nobody follows.
- What a stat shows is then read, under the report's lock: a commit that is under way is told of once,
  when it is done, and a person's edit of `outline.json` becomes a version.
- Told of is what a reader would see: a new version of a page or an outline, a new line of a log, a
  report that went or came back. What an address with a version holds never changes.
- The list changes when a report comes, goes or gets another title, not with each version.
- A report that cannot be read just now is looked at again.

    >>> lookout.follow(LIST)
    >>> library.create_report(CreateReport("Health"), author)
    >>> lookout.look()
    [None]
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from living_reports.errors import LockTimeoutError, ReportError, ReportNotFoundError, StorageFailedError
from living_reports.library.finding import find_report
from living_reports.library.resources import Address, parse_address
from living_reports.model.report import parse_uuid
from living_reports.store.files import GlobalStorage

logger = logging.getLogger(__name__)

LIST = None
"""Stands for the list of reports, which has no address of its own."""


@dataclass
class _Followed:
    """What is known of an address: what the files looked like, and what a reader saw."""

    address: Address | None
    report_id: str
    stamps: Hashable
    seen: Hashable


class Lookout:
    """The followed addresses of one root. Threads may use it side by side."""

    def __init__(self, storage: GlobalStorage) -> None:
        self._storage = storage
        self._mutex = threading.Lock()
        self._followed: dict[str | None, _Followed] = {}

    def follow(self, text: str | None) -> None:
        """Tell of what changes at this address, or of the list, from now on.

        Raises:
            ReportError: It is none of ours, or what is there cannot be read.
        """
        with self._mutex:
            if text in self._followed:
                return
            address = None if text is LIST else parse_address(text)
            report_id = self._report_id(address) if address else ""
            followed = _Followed(address, report_id, self._stamps(report_id), None)
            followed.seen = self._sight(followed)
            self._followed[text] = followed

    def forget(self, text: str | None) -> None:
        """Tell of this address no more. Waits for nobody."""
        self._followed.pop(text, None)

    def look(self) -> list[str | None]:
        """The addresses at which something changed since the last look."""
        with self._mutex:
            return [text for text, followed in list(self._followed.items()) if self._changed(followed)]

    def _report_id(self, address: Address) -> str:
        """The report that is followed: also one that is not there, if its whole id is given."""
        try:
            return parse_uuid(address.report)
        except ValueError:
            return find_report(self._storage, address.report, writing=False)

    def _changed(self, followed: _Followed) -> bool:
        stamps = self._stamps(followed.report_id)
        if stamps == followed.stamps:
            return False
        try:
            sight = self._sight(followed)
        except (OSError, LockTimeoutError, StorageFailedError) as error:
            logger.info("%s is looked at again: %s", followed.report_id or "the list", error)
            return False
        followed.stamps = stamps
        is_other = sight != followed.seen
        followed.seen = sight
        return is_other

    def _stamps(self, report_id: str) -> Hashable:
        """What the files look like; what is written while they are looked at shows at the next look."""
        root = self._storage.reports_root
        if not report_id:
            return tuple(_stamp(root / name) for name in ("index.jsonl", "by_id", ".pending"))
        folder = root / "by_id" / report_id
        return tuple(_stamp(folder / name) for name in ("audit.jsonl", "outline.json"))

    def _sight(self, followed: _Followed) -> Hashable:
        """What a reader would see of it."""
        if followed.address is None:
            entries = self._storage.entries()
            return frozenset((e.report_id, e.current_title) for e in entries if e.status == "active")
        try:
            state = self._storage.read(followed.report_id)
        except ReportNotFoundError:
            return None
        except (LockTimeoutError, StorageFailedError):
            raise
        except ReportError as error:
            return error.code
        if followed.address.version:
            return "there"
        if followed.address.part == "audit":
            return state.found.log_size
        # Bytes tell versions apart only where no event of ours does: a file that an editor has half
        # written is not what a reader gets.
        return state.version if state.record else state.found.sha256


def _stamp(path: Path) -> Hashable:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
