"""Which folders came and went since all of them were compared with the reports known.

Rules:

- Only a listing tells. It is made once for a call, and shared with the index, which looks for
  what crashed creations left.
- Among very many reports most of the time would go into reading all their ids. So a process
  remembers the sum of the names that it compared last. While no report was forgotten since, and
  the names now are those and the reports added since, nothing else came or went.
- What is remembered was committed, and is believed for that database only.

    >>> names = Names(by_id, listing=storage.settle_index())
    >>> names.listing().stamp == names.stamp()
    True
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from living_reports.store.files.catalogue import Listing, ReportIndex, list_names
from living_reports.store.files.folder import Memory

NEVER = -2
"""The stamp of no listing."""


class Root(Protocol):
    """The part of the folder store that the search uses."""

    reports_root: Path
    by_id: Path
    index_path: Path
    index: ReportIndex
    memory: Memory

    def settle_index(self) -> Listing | None:
        """Look at every report that the index may not know as it is."""


class Sum(NamedTuple):
    """What tells a set of names from another, whatever their order; of this process only."""

    number: int = 0
    hashes: int = 0

    def plus(self, names: Iterable[str]) -> Sum:
        """The sum with these names added."""
        hashes = list(map(hash, names))
        return Sum(self.number + len(hashes), self.hashes + sum(hashes))


class Compared(NamedTuple):
    """A comparison that was made.

    Attributes:
        forgotten: What the state said then of the reports forgotten so far.
        last: The last row then.
        names: The sum of all names in the folder.
        others: Those that look like reports, and could not be read.
    """

    forgotten: int
    last: int
    names: Sum
    others: list[str]


class Names:
    """The names in `by_id`, as one call sees them that follows one database.

    Attributes:
        tried: What it tried to read that was not known: what cannot be read is not tried twice.
        compared: The stamp up to which this call compared them.
        comparison: What it found, to be remembered once that is committed.
    """

    def __init__(self, by_id: Path, listing: Listing | None = None) -> None:
        self._by_id = by_id
        self._listing = listing
        self.tried: set[str] = set()
        self.compared = NEVER
        self.comparison: Compared | None = None

    def stamp(self) -> int:
        """What changes when a folder comes or goes; -1 where there are none."""
        try:
            return self._by_id.stat().st_mtime_ns
        except FileNotFoundError:
            return -1

    def listing(self) -> Listing:
        """The names now, or as they were a moment ago in this call."""
        stamp = self.stamp()
        if self._listing is None or self._listing.stamp != stamp:
            self._listing = list_names(self._by_id) if stamp >= 0 else Listing(stamp, [], is_final=True)
        return self._listing
