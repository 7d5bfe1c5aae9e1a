"""A report that the library updates, and a clock for the syncs of an update.

An update changes the summary of one insight. A long history is made by the library itself, only without
its syncs, so the files are the same byte for byte.

    >>> report = BenchReport(bench.folder / "root", 50_000)
    >>> report.update()
    >>> with SyncClock() as clock:
    ...     report.update()
    >>> clock.syncs_ms, clock.beside_ms
    (1.31, 0.92)
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.harness.outlines import write_sized_root
from living_reports.library import Library
from living_reports.library.requests import UpdateReport
from living_reports.model.event import Author
from living_reports.store.files import durable

AUTHOR = Author("agent", "bench")
Json = dict[str, Any]

_WARM_INSIGHTS = 16


class BenchReport:
    """A report of a given size in its own root, which the library has written once."""

    def __init__(self, root: Path, size_bytes: int) -> None:
        [self.report_id] = write_sized_root(root, size_bytes)
        self.library = Library(root)
        self.folder = root / "by_id" / self.report_id
        outline = self.library.store.read(self.report_id).outline
        self._insights = [insight.insight_id for insight in outline.insights]
        self._numbers = itertools.count(1)
        self._cold = self._insights[_WARM_INSIGHTS:]
        self.update()

    def update(self, insight: int = 0) -> None:
        """Make a version that changes one insight."""
        number = next(self._numbers)
        summary = f"checked again, number {number}: no important change has been found since the last check"
        change: Json = {"op": "edit_insight", "insight": self._insights[insight], "summary": summary}
        self.library.update_report(
            UpdateReport(self.report_id, [change], reason="checked again"), author=AUTHOR
        )

    def update_another(self) -> None:
        """Make a version that changes the next of a few insights."""
        self.update(next(self._numbers) % min(_WARM_INSIGHTS, len(self._insights)))

    def update_cold(self) -> None:
        """Make a version that changes an insight for the first time."""
        self.update(self._insights.index(self._cold.pop()))

    def grow(self, versions: int) -> None:
        """Extend the history to this number of versions."""
        with without_syncs():
            for _ in range(self.version, versions):
                self.update_another()

    @property
    def version(self) -> int:
        return self.library.store.read(self.report_id).version

    @property
    def last_bytes(self) -> tuple[bytes, bytes]:
        """The bytes of the outline and of the event that the last update wrote."""
        outline = (self.folder / "outline.json").read_bytes()
        return outline, (self.folder / "audit.jsonl").read_bytes().splitlines(keepends=True)[-1]


# --- Syncs --------------------------------------------------------------------------------


@contextmanager
def without_syncs() -> Iterator[None]:
    """Skip the syncs in the block: for preparation, not for measurement."""
    sync, durable._sync = durable._sync, lambda fd, path: None
    try:
        yield
    finally:
        durable._sync = sync


class SyncClock:
    """A clock of the file syncs in a block, and of the processor time outside them.

    `syncs` is the number of the syncs, `syncs_ms` their duration. `beside_ms` is the processor time of this
    thread outside the syncs, which does not depend on how busy the machine is.
    """

    def __init__(self) -> None:
        self.syncs = 0
        self.syncs_ms = self.beside_ms = 0.0
        self._sync = durable._sync

    def sync(self, fd: int, path: Path) -> None:
        start, worked = time.perf_counter(), time.thread_time()
        self._sync(fd, path)
        self.syncs += 1
        self.syncs_ms += (time.perf_counter() - start) * 1000
        self.beside_ms -= (time.thread_time() - worked) * 1000

    def __enter__(self) -> Self:
        durable._sync = self.sync
        self.beside_ms -= time.thread_time() * 1000
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.beside_ms += time.thread_time() * 1000
        durable._sync = self._sync


# --- The same in plain calls --------------------------------------------------------------


class RawCommit:
    """The file operations of a commit in plain calls, without decisions, checks or locks."""

    def __init__(self, folder: Path, outline: bytes) -> None:
        self._folder = str(folder)
        self._kept: list[str] = []
        os.makedirs(f"{folder}/backups")
        with open(f"{folder}/outline.json", "wb") as file:
            file.write(outline)

    def commit(self, outline: bytes, event: bytes, clock: SyncClock) -> None:
        """Run the steps of a commit of the folder store with these bytes."""
        folder = self._folder
        temporary, backup = f"{folder}/.tmp", f"{folder}/backups/{time.time_ns()}"
        _write(temporary, outline, os.O_EXCL)
        _write(f"{folder}/mark", b"")
        _write(f"{folder}/audit.jsonl", event, os.O_APPEND, clock)
        os.link(f"{folder}/outline.json", backup)
        os.rename(temporary, f"{folder}/outline.json")
        _write(f"{folder}/.head", b"x" * 140)
        _write(f"{folder}/index.jsonl", b"x" * 280 + b"\n", os.O_APPEND)
        os.unlink(f"{folder}/mark")
        self._kept.append(backup)
        if len(self._kept) > 5:
            os.unlink(self._kept.pop(0))


def _write(path: str, data: bytes, how: int = 0, clock: SyncClock | None = None) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o666)
    os.write(fd, data)
    if clock is not None:
        clock.sync(fd, Path(path))
    os.close(fd)
