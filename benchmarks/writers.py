"""Updates per second of eight processes on one report, and on eight reports.

Baseline: one process that makes as many updates of one report. A sample is the number of updates per
second of all processes together, from the moment when all are ready (each has made one update before)
until the last one is done.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.harness.measure import by_turns
from benchmarks.harness.outlines import write_sized_root
from benchmarks.harness.rows import Bench, Result, Row, at_least

WRITERS = 8
REPORT_BYTES = 5_000
WRITER = [sys.executable, str(Path(__file__).parent / "harness" / "writer.py")]


def run(bench: Bench) -> Iterator[Result]:
    root = bench.folder / "writers"
    reports = write_sized_root(root, REPORT_BYTES, WRITERS)
    updates = bench.scaled(240, quick=16)
    each = updates // WRITERS
    actions = {
        "one": lambda: rate(root, reports[:1], updates),
        "together": lambda: rate(root, reports[:1] * WRITERS, each),
        "apart": lambda: rate(root, reports, each),
    }
    taken = by_turns(actions, bench.rounds(7))
    for who, what, bound in (
        ("together", f"{WRITERS} processes on one report", at_least(0.8)),
        ("apart", f"{WRITERS} processes on {WRITERS} reports", at_least(1.5)),
    ):
        yield Row(what, taken[who], "one process", taken["one"], unit="/s", bound=bound)


def rate(root: Path, reports: Sequence[str], updates: int) -> float:
    """Return the updates per second of one process for each report, which makes so many updates."""
    writers = [
        subprocess.Popen(
            [*WRITER, str(root), report, str(updates)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for report in reports
    ]
    for writer in writers:
        _wait_for(writer, b"ready\n")
    start = time.perf_counter()
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        _wait_for(writer, b"done\n")
    elapsed = time.perf_counter() - start
    for writer in writers:
        writer.communicate()
    return len(reports) * updates / elapsed


def _wait_for(writer: subprocess.Popen[bytes], word: bytes) -> None:
    assert writer.stdout is not None
    if writer.stdout.readline() != word:
        raise RuntimeError("a writer ended early; stderr says why")
