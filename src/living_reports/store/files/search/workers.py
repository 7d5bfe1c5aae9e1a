"""Processes that read reports, so that a first index uses all processors.

Rules:

- A worker is a new interpreter, not a fork: the threads of a server may hold locks. Its stdin and
  stdout are pipes of its own. It reads files, takes no lock, and ends with its stdin, so with its
  parent at the latest.
- Where no worker can be started, or one ends, this process reads the reports.
- Little is held at once: a few batches of ids, and the report that each pipe is passing on.

    >>> with Workers(by_id) as workers:
    ...     for row, report_id, found in workers.read(iter([(1, report_id)])):
    ...         ...
"""

from __future__ import annotations

import logging
import marshal
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from typing import IO, Any

from living_reports.store.files.search.rows import EntryRow, Found, ReportRows, read

logger = logging.getLogger(__name__)

_BATCH = 100
_AHEAD = 2
"""The batches that a worker has been given and this process has not taken back."""
_MOST = 4
_LONGEST = 2**28
"""The longest message in bytes: the largest report takes much less."""
_START = f"import sys; sys.path[:] = sys.argv[2:]; from {__name__} import main; main()"

Wanted = tuple[int, str]
"""The row and the id of a report."""


class Workers:
    """The worker processes of one first index.

    Args:
        by_id: The folder of the reports.
        count: The number of processes; else one for each processor, up to a limit.
    """

    def __init__(self, by_id: Path, count: int | None = None) -> None:
        self._by_id = by_id
        self._count = min(_MOST, _processors()) if count is None else count
        self._started: list[_Worker] = []

    def __enter__(self) -> Workers:
        try:
            for _ in range(self._count):
                self._started.append(_Worker(self._by_id))
        except OSError as error:
            logger.info("no worker can be started: %s", error)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._started:
            worker.close()

    def read(self, wanted: Iterator[Wanted]) -> Iterator[tuple[int, str, Found]]:
        """Yield each report as its files are, in the order asked for."""
        if not self._started:
            yield from ((row, report_id, read(self._by_id, report_id)) for row, report_id in wanted)
            return
        asked: deque[tuple[_Worker, list[Wanted]]] = deque()
        for worker in cycle(self._started):
            if batch := [*islice(wanted, _BATCH)]:
                worker.ask([report_id for _, report_id in batch])
                asked.append((worker, batch))
            if not batch and not asked:
                return
            if not batch or len(asked) == _AHEAD * len(self._started):
                first, batch = asked.popleft()
                yield from first.answers(batch)


class _Worker:
    """One worker process, seen from its parent."""

    def __init__(self, by_id: Path) -> None:
        self._by_id = by_id
        self._is_broken = False
        if not sys.executable or getattr(sys, "frozen", False):
            raise OSError("there is no interpreter to start")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, str(by_id), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, names: list[str]) -> None:
        """Send a batch; if the worker has ended, `answers` notices."""
        assert self._process.stdin is not None
        if self._is_broken:
            return
        try:
            _send(self._process.stdin, names)
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            logger.info("a worker has ended: %s", error)

    def answers(self, batch: Sequence[Wanted]) -> Iterator[tuple[int, str, Found]]:
        """Yield the answers to a batch; what the worker does not answer is read here."""
        assert self._process.stdout is not None
        for row, report_id in batch:
            found = None if self._is_broken else _answer(self._process.stdout)
            self._is_broken = found is None
            yield row, report_id, found or read(self._by_id, report_id)

    def close(self) -> None:
        """End the worker. It only reads, so it can be killed."""
        self._process.kill()
        with suppress(OSError):  # the rest of a batch that nobody takes
            self._process.communicate()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- Messages -----------------------------------------------------------------------------


def _send(pipe: IO[bytes], message: Any) -> None:
    data = marshal.dumps(message)
    pipe.write(len(data).to_bytes(4, "big") + data)


def _receive(pipe: IO[bytes]) -> Any:
    """Return the next message; `None` at the end of the pipe."""
    size = int.from_bytes(pipe.read(4), "big")
    data = pipe.read(size) if size <= _LONGEST else b""
    return marshal.loads(data) if size and len(data) == size else None


def _answer(pipe: IO[bytes]) -> Found | None:
    """Return the next report; `None` if the worker has ended, or something else writes into its pipe."""
    try:
        stamp, rows, agrees = _receive(pipe)
        return Found(stamp, ReportRows(EntryRow(*rows[0]), *rows[1:]) if rows else None, agrees)
    except (EOFError, OSError, TypeError, ValueError):
        return None


# --- The worker ---------------------------------------------------------------------------


def main() -> None:
    """Read the reports that the parent asks for, until it asks no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    by_id = Path(sys.argv[1])
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    while (names := _receive(source)) is not None:
        for report_id in names:
            stamp, rows, agrees = read(by_id, report_id)
            _send(target, (stamp, (tuple(rows.entry), *rows[1:]) if rows else None, agrees))
        target.flush()
