"""Time of calls on a report with a long history, and among many reports.

Each figure is compared with the same call on a report with ten versions, or in a root with one report.
The hundred thousand reports look as if another program had written them; the measured calls are on
reports that the library wrote. `in a fresh process` is the first call of a process, without start and
imports. A cold insight is one that no update has changed: its author is searched in the whole log.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.harness.measure import Action, by_turns, timed
from benchmarks.harness.report import AUTHOR, BenchReport, Json
from benchmarks.harness.roots import Root, many_reports, one_report
from benchmarks.harness.rows import Bench, Bound, Result, Row, at_most
from living_reports.library import Library
from living_reports.library.requests import AuditReport, CreateReport, GetReport, UpdateReport

REPORT_BYTES = 50_000
SHORT, LONG = 10, 10_000
FRESH = [sys.executable, str(Path(__file__).parent / "harness" / "first_call.py")]
CALLS = ("update", "get", "create")


def run(bench: Bench) -> Iterator[Result]:
    yield from _by_history(bench)
    yield from _by_reports(bench)


# --- Long histories -----------------------------------------------------------------------


def _by_history(bench: Bench) -> Iterator[Result]:
    long, short = (_kept(bench, versions) for versions in (bench.scaled(LONG, quick=200), SHORT))
    baseline = f"the same at {SHORT} versions"

    def beside(what: str, call: Callable[[BenchReport], object], bound: Bound, most_rounds: int = 60) -> Row:
        rounds = min(bench.rounds(most_rounds), most_rounds)
        taken = by_turns({"long": _timed(call, long), "short": _timed(call, short)}, rounds)
        what = f"{what} at {long.version:,} versions"
        return Row(what, taken["long"], baseline, taken["short"], bound=bound)

    page = short.version - 1  # the same number of events on both sides, without the creation
    yield beside(f"{page} newest events", lambda report: _events(report, page), at_most(1.2))
    yield beside("summary", lambda k: k.library.get_report(GetReport(k.report_id)), at_most(1.2))
    middle = long.version // 2
    read_back = by_turns({"long": timed(lambda: _outline_at(long, middle))}, bench.rounds(30))["long"]
    yield Row(f"version {middle:,} of {long.version:,}", read_back, bound=at_most(50, "value"))
    verify = timed(lambda: long.library.store.verify(long.report_id))
    verified = by_turns({"long": verify}, bench.rounds(10))["long"]
    yield Row(f"verify {long.version:,} events", verified, bound=at_most(500, "value"))
    yield beside("update", BenchReport.update, at_most(1.15))
    yield beside("update, another insight", BenchReport.update_another, at_most(1.15))
    yield beside("update, cold insight", BenchReport.update_cold, at_most(1.15), 10)


def _timed(call: Callable[[BenchReport], object], report: BenchReport) -> Action:
    return timed(lambda: call(report))


def _events(report: BenchReport, limit: int) -> object:
    return report.library.audit_report(AuditReport(report.report_id, limit=limit))


def _kept(bench: Bench, versions: int) -> BenchReport:
    report = BenchReport(bench.folder / f"growth-{versions}", REPORT_BYTES)
    report.grow(versions)
    return report


def _outline_at(report: BenchReport, version: int) -> object:
    state = report.library.store.read(report.report_id)
    return report.library.store.outline_at(report.report_id, version, state)


# --- Many reports -------------------------------------------------------------------------


def _by_reports(bench: Bench) -> Iterator[Result]:
    many, one = (_Ours(root) for root in (many_reports(bench), one_report(bench)))
    for call in CALLS:
        actions = {"many": timed(getattr(many, call)), "one": timed(getattr(one, call))}
        yield _row(call, many, by_turns(actions, bench.rounds(60)))
    for call in CALLS:
        fresh = {"many": many.first(call), "one": one.first(call)}
        yield _row(f"{call} in a fresh process", many, by_turns(fresh, bench.rounds(10)))


def _row(call: str, many: _Ours, taken: dict[str, list[float]]) -> Row:
    what = f"{call} among {many.count:,} reports"
    return Row(what, taken["many"], "the same in a root of one", taken["one"], bound=at_most(1.2))


class _Ours:
    """A report that the library wrote, among the others of a root."""

    def __init__(self, root: Root) -> None:
        self.count = root.count
        self._root = root.root
        self._library = Library(root.root)
        created = self._new("Ours")
        self._report_id, self._insight_id = (
            created["report_id"],
            created["created"]["insights"][0]["insight_id"],
        )
        self._numbers = itertools.count(1)

    def update(self) -> None:
        change = {
            "op": "edit_insight",
            "insight": self._insight_id,
            "summary": f"found {next(self._numbers)}",
        }
        self._library.update_report(UpdateReport(self._report_id, [change]), author=AUTHOR)

    def get(self) -> None:
        self._library.get_report(GetReport(self._report_id))

    def create(self) -> None:
        self._new("Another")

    def first(self, call: str) -> Action:
        """Return an action that makes the first call of a fresh process."""
        command = [*FRESH, str(self._root), call, self._report_id, self._insight_id]
        return lambda: float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def _new(self, title: str) -> Json:
        section = {
            "title": "Findings",
            "content": "what is known",
            "insights": [{"summary": "found nothing"}],
        }
        return self._library.create_report(CreateReport(title, [section]), author=AUTHOR)
