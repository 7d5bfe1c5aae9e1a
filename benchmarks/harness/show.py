"""Print results for a person at a terminal, for a program, and for `docs/performance.md`.

Numbers have three significant digits and at most three decimals; a ratio is followed by its quartiles;
a bound is in the line of its figure, with the verdict.

    >>> show_table(Terminal(sys.stdout), "startup", "Time from the start …", rows)
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.measure import Spread, by_turns, spread, timed
from benchmarks.harness.rows import Bound, Missing, Result, Row
from living_reports.cli.terminal import Terminal, cells, cut, pad

HEADS = ("ours", "baseline", "ratio", "quartiles", "bound", "")
MIN_NAME_CELLS = 30
Groups = Mapping[str, Sequence[Result]]


def number(value: float) -> str:
    """Format a number without an exponent: `0`, `0.081`, `1.42`, `23.5`, `12,043`."""
    if not value:
        return "0"
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2 if abs(value) >= 0.9995 else 3
    return f"{value:,.{digits}f}"


def figure(value: float, unit: str) -> str:
    return f"{number(value)} {unit}"


def bound_text(bound: Bound | None, unit: str) -> str:
    """Format a bound: `≤ 1.5 ×`, `≤ +120 MB` (above the baseline), `≤ 20 ms`."""
    if bound is None:
        return ""
    sign = "≥" if bound.is_lower else "≤"
    match bound.about:
        case "ratio":
            return f"{sign} {bound.limit:g} ×"
        case "difference":
            return f"{sign} {bound.limit:+g} {unit}"
        case _:
            return f"{sign} {bound.limit:,g} {unit}"


def verdict(row: Row) -> str:
    return {True: "met", False: "MISSED", None: ""}[row.is_met]


def _cells(row: Row) -> list[str]:
    """Return the texts of a row's columns, except its name."""
    texts = [figure(spread(row.ours).median, row.unit)]
    texts.append(figure(spread(row.theirs).median, row.unit) if row.theirs else "")
    if row.ratio is None:
        texts += ["", ""]
    else:
        texts += [f"{number(row.ratio.median)} ×", f"{number(row.ratio.low)}–{number(row.ratio.high)}"]
    return [*texts, bound_text(row.bound, row.unit), verdict(row)]


# --- For a person -------------------------------------------------------------------------


def show_table(terminal: Terminal, name: str, title: str, results: Sequence[Result]) -> None:
    """Print the rows of a benchmark, grouped by their baseline."""
    terminal.heading(name)
    terminal.line(f"  {title}", "dim")
    terminal.line()
    rows = [result for result in results if isinstance(result, Row)]
    texts = [_cells(row) for row in rows]
    widths = [max(map(cells, column)) for column in zip(HEADS, *texts, strict=True)]
    name_cells = max(MIN_NAME_CELLS, terminal.width - 4 - sum(width + 2 for width in widths))
    terminal.line(" " * (4 + name_cells) + _aligned(HEADS, widths), "dim")
    baseline = None
    for row, columns in zip(rows, texts, strict=True):
        if row.baseline != baseline:
            baseline = row.baseline
            terminal.line(f"  compared with {baseline}" if baseline else "  without a baseline", "dim")
        label = pad(cut(row.what, name_cells), name_cells)
        word = terminal.style(columns[-1], "green" if row.is_met else "red")
        terminal.line(f"    {label}{_aligned(columns[:-1], widths[:-1])}  {word}")
    for result in results:
        if isinstance(result, Missing):
            terminal.paragraph(f"{result.what}: not measured. {result.why}", "yellow", first="    ")


def _aligned(columns: Sequence[str], widths: Sequence[int]) -> str:
    return "".join("  " + pad(text, width, right=True) for text, width in zip(columns, widths, strict=True))


def show_summary(terminal: Terminal, groups: Groups) -> None:
    """Print the number of bounds that are met, and the missed ones."""
    rows = [(name, row) for name, results in groups.items() for row in results if isinstance(row, Row)]
    judged = [(name, row) for name, row in rows if row.bound]
    missed = [f"{name}: {row.what}" for name, row in judged if not row.is_met]
    terminal.line()
    words = f"{len(judged) - len(missed)} of {len(judged)} bounds are met."
    terminal.line(words, "red" if missed else "green")
    for what in missed:
        terminal.line(f"  missed by {what}")


# --- For a program, and for the documentation ---------------------------------------------


def as_json(groups: Groups, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole result with every sample."""
    benchmarks = {name: [_result_json(result) for result in results] for name, results in groups.items()}
    return {"machine": dict(machine), "benchmarks": benchmarks}


def _result_json(result: Result) -> dict[str, Any]:
    if isinstance(result, Missing):
        return {"what": result.what, "missing": result.why}
    answer: dict[str, Any] = {
        "what": result.what,
        "unit": result.unit,
        "ours": _spread_json(spread(result.ours)),
    }
    if result.theirs:
        answer |= {"baseline": result.baseline, "theirs": _spread_json(spread(result.theirs))}
    if result.ratio is not None:
        answer["ratio"] = _spread_json(result.ratio)
    if result.bound is not None:
        bound = {"limit": result.bound.limit, "about": result.bound.about, "is_lower": result.bound.is_lower}
        answer |= {"bound": bound, "is_met": result.is_met}
    return answer | {"samples": {"ours": list(result.ours), "theirs": list(result.theirs)}}


def _spread_json(figures: Spread) -> dict[str, float]:
    return {"median": figures.median, "lower_quartile": figures.low, "upper_quartile": figures.high}


def as_markdown(name: str, title: str, results: Sequence[Result]) -> str:
    """Return the table of a benchmark in the form of `docs/performance.md`."""
    lines = [f"**{name}**: {title}", ""]
    lines += ["| figure | baseline | ours | baseline's | ratio | quartiles | bound | |"]
    lines += ["|---|---|--:|--:|--:|--:|--:|---|"]
    for result in results:
        if isinstance(result, Missing):
            columns = [result.what, f"not measured: {result.why}", *[""] * 6]
        else:
            columns = [result.what, result.baseline, *_cells(result)]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join([*lines, ""])


# --- The machine --------------------------------------------------------------------------


def describe_machine(folder: Path) -> dict[str, Any]:
    """Return the properties of the machine, such as the time that its disk takes to sync 4 KB."""
    path = folder / "sync-probe"

    def sync() -> None:
        with path.open("ab", buffering=0) as file:
            file.write(b"x" * 4096)
            os.fsync(file.fileno())

    syncs = by_turns({"sync": timed(sync)}, 20)["sync"]
    path.unlink()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "sync_ms": round(spread(syncs).median, 3),
    }


def machine_line(machine: Mapping[str, Any]) -> str:
    """Format the properties of the machine on one line."""
    return "Python {python}, {system}, {cores} cores, a sync takes {sync_ms:.3g} ms".format(**machine)
