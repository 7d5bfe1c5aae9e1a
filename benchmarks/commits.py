"""Time of a durable update of one insight.

Baselines: the same file operations in plain calls, with the same bytes and one sync; SQLite
with the same document and events (WAL, `synchronous=FULL`, one transaction with one sync); and the
service of igloo-mcp. `at 0.3 ms a sync` is the measured processor time outside the syncs plus 0.3 ms for
each sync (two if an update keeps a backup for good): the time on the fastest disk for which the bound holds.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.harness.igloo import Igloo
from benchmarks.harness.measure import by_turns, timed
from benchmarks.harness.other_programs import NotInstalledError
from benchmarks.harness.outlines import write_sized_root
from benchmarks.harness.report import BenchReport, RawCommit, SyncClock
from benchmarks.harness.rows import Bench, Missing, Result, Row, at_most

SIZES_KB = {5: (2.0, 0.45, 4.0), 50: (2.5, 0.3, 5.0), 500: (3.0, 0.12, 8.0)}
"""For each report size, the bound as a multiple of the raw operations, of igloo-mcp, and of SQLite."""
SYNC_MS = 0.3
OURS, RAW, SQLITE, IGLOO = "ours", "raw file operations", "SQLite", "igloo-mcp's service"


def run(bench: Bench) -> Iterator[Result]:
    for size_kb, (of_raw, of_igloo, of_sqlite) in SIZES_KB.items():
        folder = bench.folder / f"commits-{size_kb}"
        report = BenchReport(folder / "ours", size_kb * 1000)
        yield from _next_to_files(bench, report, folder, f"{size_kb} KB", of_raw, of_sqlite)
        yield _next_to_igloo(bench, report, folder / "igloo", size_kb, of_igloo)


def _next_to_files(
    bench: Bench, report: BenchReport, folder: Path, name: str, of_raw: float, of_sqlite: float
) -> Iterator[Result]:
    outline, event = report.last_bytes
    raw, database = RawCommit(folder / "raw", outline), Database(folder / "reports.sqlite", outline)
    clocks: dict[str, list[SyncClock]] = {OURS: [], RAW: []}

    def ours() -> float:
        return _sample(clocks[OURS], lambda clock: report.update())

    def theirs() -> float:
        return _sample(clocks[RAW], lambda clock: raw.commit(outline, event, clock))

    transaction = timed(lambda: database.commit(outline, event))
    taken = by_turns({OURS: ours, RAW: theirs, SQLITE: transaction}, bench.rounds(100))
    syncs_ms = statistics.median(clock.syncs_ms for clock in clocks[RAW])
    bound = at_most(of_raw)
    yield Row(name, taken[OURS], RAW, taken[RAW], bound=bound if syncs_ms >= SYNC_MS else None)
    fastest = {who: [clock.beside_ms + clock.syncs * SYNC_MS for clock in clocks[who][1:]] for who in clocks}
    yield Row(f"{name}, at {SYNC_MS} ms a sync", fastest[OURS], RAW, fastest[RAW], bound=bound)
    yield Row(name, taken[OURS], SQLITE, taken[SQLITE], bound=at_most(of_sqlite))


def _sample(clocks: list[SyncClock], action: Callable[[SyncClock], None]) -> float:
    """Return the milliseconds that the action takes, and append its clock to the list."""
    with SyncClock() as clock:
        start = time.perf_counter()
        action(clock)
        elapsed = (time.perf_counter() - start) * 1000
    clocks.append(clock)
    return elapsed


def _next_to_igloo(bench: Bench, report: BenchReport, root: Path, size_kb: int, of_igloo: float) -> Result:
    name = f"{size_kb} KB"
    [theirs] = write_sized_root(root, size_kb * 1000)
    try:
        with Igloo(root) as igloo:
            actions = {OURS: timed(report.update), IGLOO: lambda: igloo.update(theirs, "checked again")}
            taken = by_turns(actions, bench.rounds(50))
    except NotInstalledError as error:
        return Missing(name, str(error))
    return Row(name, taken[OURS], IGLOO, taken[IGLOO], bound=at_most(of_igloo))


class Database:
    """A SQLite database with the same document and its events."""

    def __init__(self, path: Path, outline: bytes) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE reports (id TEXT PRIMARY KEY, outline BLOB)")
        self._connection.execute("CREATE TABLE events (number INTEGER PRIMARY KEY, line BLOB)")
        self._connection.execute("INSERT INTO reports VALUES ('one', ?)", (outline,))

    def commit(self, outline: bytes, event: bytes) -> None:
        """Store the outline and the event in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("UPDATE reports SET outline = ? WHERE id = 'one'", (outline,))
        self._connection.execute("INSERT INTO events (line) VALUES (?)", (event,))
        self._connection.execute("COMMIT")
