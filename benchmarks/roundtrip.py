"""Time of a call over stdio.

The baseline is the `echo` tool of a trivial server of the same SDK. Reading a summary is compared with
an echo whose answer has as many bytes, an update with the same update through the library plus an echo
as long as its answer. All processes are warm, so only the call is measured.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from benchmarks.harness.measure import by_turns, timed
from benchmarks.harness.outlines import write_sized_root
from benchmarks.harness.rows import Bench, Row, at_most
from benchmarks.harness.wire import ERAS, TRIVIAL, Json, Wire, ours
from living_reports.library import Library
from living_reports.library.requests import GetReport, UpdateReport
from living_reports.model.event import Author

REPORT_BYTES = 50_000
WARM_UPS = 10


def run(bench: Bench) -> Iterator[Row]:
    rounds = bench.rounds(200)
    rows = []
    for words, era in ERAS.items():
        root = bench.folder / f"roundtrip-{era}"
        [served, direct] = write_sized_root(root, REPORT_BYTES, 2)
        with Wire(ours(root), era) as wire, Wire(TRIVIAL, era) as trivial:
            what = f"update, 50 KB, {words}"
            rows.append(_update(what, wire, trivial, Library(root), served, direct, rounds))
            rows.append(_summary(f"get summary, 50 KB, {words}", wire, trivial, served, rounds))
    yield from sorted(rows, key=lambda row: row.baseline)


def _summary(what: str, wire: Wire, trivial: Wire, report: str, rounds: int) -> Row:
    def read() -> Json:
        return wire.call("get_report", {"report": report})

    # The same number of bytes on the wire: our answer is sent twice, as text and as an object.
    echo = {"text": "x", "times": _bytes(read()) - _bytes(trivial.call("echo", {"text": ""}))}
    actions = {"ours": timed(read), "echo": timed(lambda: trivial.call("echo", echo))}
    samples = by_turns(actions, rounds, WARM_UPS)
    return Row(what, samples["ours"], "an echo of the same size", samples["echo"], bound=at_most(1.5))


def _update(
    what: str, wire: Wire, trivial: Wire, library: Library, served: str, direct: str, rounds: int
) -> Row:
    """Compare two equal reports: the server updates one, the library the other."""
    numbers = itertools.count()
    author = Author("agent", "bench/1")
    insights = {
        report: library.get_report(GetReport(report, view="insights"))["insights"][0]["insight_id"]
        for report in (served, direct)
    }

    def arguments(report: str) -> Json:
        summary = f"What is known now, {next(numbers)}"
        edit = {"op": "edit_insight", "insight": insights[report], "summary": summary}
        return {"report": report, "changes": [edit], "reason": "Weekly check"}

    echo = {"text": "x", "times": _bytes(wire.call("update_report", arguments(served)))}
    actions = {
        "ours": timed(lambda: wire.call("update_report", arguments(served))),
        "library": timed(lambda: library.update_report(UpdateReport(**arguments(direct)), author=author)),
        "echo": timed(lambda: trivial.call("echo", echo)),
    }
    samples = by_turns(actions, rounds, WARM_UPS)
    pairs = zip(samples["library"], samples["echo"], strict=True)
    both = [library_ms + echo_ms for library_ms, echo_ms in pairs]
    return Row(what, samples["ours"], "the library call plus an echo", both, bound=at_most(2))


def _bytes(result: Json) -> int:
    return len(json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode())
