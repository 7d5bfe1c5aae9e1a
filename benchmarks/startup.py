"""Time from the start of the server to the first `tools/list`, compared with a trivial server.

Measured from the spawn to the answer, in both protocol eras, with one report in the root and with
many. The server must not read the reports before a client asks for one.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness.measure import by_turns
from benchmarks.harness.roots import many_reports, one_report
from benchmarks.harness.rows import Bench, Row, at_most
from benchmarks.harness.wire import ERAS, TRIVIAL, Wire, ours, until


def run(bench: Bench) -> Iterator[Row]:
    one, many = one_report(bench), many_reports(bench)
    samples = {}
    for words, era in ERAS.items():
        actions = {
            "trivial": until(TRIVIAL, Wire.tools, era),
            "one": until(ours(one.root), Wire.tools, era),
            "many": until(ours(many.root), Wire.tools, era),
        }
        samples[words] = by_turns(actions, bench.rounds(20))
    for words, taken in samples.items():
        trivial, baseline = taken["trivial"], "a trivial server"
        yield Row(f"1 report, {words}", taken["one"], baseline, trivial, bound=at_most(1.15))
        yield Row(f"{many.count:,} reports, {words}", taken["many"], baseline, trivial, bound=at_most(1.15))
    for words, taken in samples.items():
        what, baseline = f"{many.count:,} reports, {words}", "ours with 1 report"
        yield Row(what, taken["many"], baseline, taken["one"], bound=at_most(1.05))
