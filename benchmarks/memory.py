"""Memory of a server after it has opened many reports.

Resident memory, in megabytes, of a server that has answered with the summary of a thousand reports of
50 KB, compared with a trivial server of the same SDK that has answered a thousand echo calls.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.harness.measure import by_turns
from benchmarks.harness.outlines import write_sized_root
from benchmarks.harness.rows import Bench, Missing, Result, Row, at_most
from benchmarks.harness.wire import TRIVIAL, Wire, ours


def run(bench: Bench) -> Iterator[Result]:
    count = bench.scaled(1_000, quick=20)
    what = f"{count:,} reports of 50 KB opened"
    if sys.platform != "linux":
        yield Missing(what, "Only Linux shows the memory of another process in /proc.")
        return
    root = bench.folder / "memory"
    reports = write_sized_root(root, 50_000, count)

    def open_all() -> float:
        with Wire(ours(root)) as wire:
            for report in reports:
                wire.answer("get_report", {"report": report})
            return resident_megabytes(wire.process.pid)

    def echo_all() -> float:
        with Wire(TRIVIAL) as wire:
            for _ in reports:
                wire.call("echo", {"text": "x", "times": 4_000})
            return resident_megabytes(wire.process.pid)

    samples = by_turns({"ours": open_all, "trivial": echo_all}, bench.rounds(3), warm_ups=0)
    baseline = "a trivial server"
    yield Row(what, samples["ours"], baseline, samples["trivial"], "MB", at_most(120, "difference"))


def resident_megabytes(process_id: int) -> float:
    """Return the resident memory of a process."""
    with open(f"/proc/{process_id}/status", encoding="utf-8") as status:
        [kilobytes] = [line.split()[1] for line in status if line.startswith("VmRSS:")]
    return int(kilobytes) / 1000
