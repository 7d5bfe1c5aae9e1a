"""`living-reports doctor`: check all reports, and repair what can be repaired without guessing.

Rules: findings are grouped by report, the worst first, with one piece of advice for each kind. The exit
code is 6 where an error or a warning is left, else 0.

    >>> run(build_parser().parse_args(["doctor", "--repair"]))
    0
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

from living_reports.cli.commands import open_library
from living_reports.cli.show import SHORT_ID, counted
from living_reports.cli.terminal import Terminal, clean, one_line, print_json, progress_indicator
from living_reports.errors import CorruptReportError
from living_reports.library.integrity import check_store
from living_reports.printable import escape

Answer = dict[str, Any]
Json = dict[str, Any]

_SEVERITIES = ("error", "warning", "info")
_STYLES = {"error": "red", "warning": "yellow", "info": "cyan"}
_MOST_OF_A_KIND = 10
_BAR_CELLS = 24


def run(options: argparse.Namespace) -> int:
    """Check all reports, and return the exit code.

    Raises:
        ReportError: The folder cannot be read.
    """
    storage = open_library(options.root).store
    with progress_indicator("checking") as show_text:
        progress = progress_bar(show_text)
        answer = check_store(storage, repair=options.repair, deep=options.deep, progress=progress)
    if options.json:
        print_json(answer)
    else:
        _show(Terminal(sys.stdout), answer)
    return 0 if answer["ok"] else CorruptReportError.exit_code


def progress_bar(show_text: Callable[[str], None]) -> Callable[[str, int, int], None]:
    """Return a function that shows progress as a bar: the current step, the amount done, and the total."""

    def say(what: str, done: int, total: int) -> None:
        full = _BAR_CELLS * done // max(total, 1)
        show_text(f"{what} {'█' * full}{'░' * (_BAR_CELLS - full)} {done:,}/{total:,}")

    return say


def _show(terminal: Terminal, answer: Answer) -> None:
    rows = answer["findings"]
    ok = terminal.style("ok", "green", "bold") if answer["ok"] else terminal.style("not ok", "red", "bold")
    terminal.line(f"{ok}  {counted(answer['reports'], 'report')}: {_counts(rows)}")
    terminal.fields([("root", answer["root"])])
    if repaired := answer.get("repaired"):
        terminal.line()
        terminal.line(f"repaired  {counted(len(repaired), 'finding')}", "green")
        _kinds(terminal, repaired)
    for report, found in _by_report(rows):
        terminal.line()
        terminal.line(report, "bold")
        for row in islice(found, _MOST_OF_A_KIND):
            _finding(terminal, row)
        if len(found) > _MOST_OF_A_KIND:
            terminal.line(f"  and {len(found) - _MOST_OF_A_KIND:,} more; --json names all", "dim")
    if rows:
        terminal.heading("What to do")
        _advice(terminal, rows)


def _counts(rows: Sequence[Json]) -> str:
    counts = Counter(row["severity"] for row in rows)
    words = {"error": "error", "warning": "warning", "info": "remark"}
    named = [counted(counts[severity], word) for severity, word in words.items() if counts[severity]]
    return ", ".join(named) or "nothing found"


def _kinds(terminal: Terminal, rows: Iterable[Json]) -> None:
    counts = Counter(row["code"] for row in rows)
    terminal.table([[f"{count:,}", code] for code, count in sorted(counts.items())], right=[0])


def _by_report(rows: Sequence[Json]) -> Iterator[tuple[str, list[Json]]]:
    """Yield the findings by report, the worst first; those of no report last."""

    def rank(row: Json) -> int:
        return _SEVERITIES.index(row["severity"])

    worst: dict[str, int] = {}
    for row in rows:
        report = row.get("report_id", "")
        worst[report] = min(rank(row), worst.get(report, len(_SEVERITIES)))
    ordered = sorted(
        rows,
        key=lambda row: (
            not row.get("report_id"),
            worst[row.get("report_id", "")],
            row.get("report_id", ""),
            rank(row),
        ),
    )
    for report, found in groupby(ordered, key=lambda row: row.get("report_id", "")):
        rows_of_it = list(found)
        title = one_line(rows_of_it[0].get("title", ""))
        yield f"{title}  {report[:SHORT_ID]}".strip() if report else "The root", rows_of_it


def _finding(terminal: Terminal, row: Json) -> None:
    place = clean(row["file"]) + (f", line {row['line']}" if "line" in row else "")
    severity = terminal.style(row["severity"], _STYLES[row["severity"]])
    terminal.line(f"  {severity}  {terminal.style(row['code'], 'bold')}  {place}")
    terminal.paragraph(escape(row["message"]), first="    ")


def _advice(terminal: Terminal, rows: Sequence[Json]) -> None:
    """Write each piece of advice once, with its codes."""
    codes: dict[str, dict[str, None]] = {}
    for row in sorted(rows, key=lambda row: _SEVERITIES.index(row["severity"])):
        codes.setdefault(row["hint"], {})[row["code"]] = None
    for hint, about in codes.items():
        terminal.paragraph(f"{', '.join(about)}: {hint}", first="  ", rest="    ")
