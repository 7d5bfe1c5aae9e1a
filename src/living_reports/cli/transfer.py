"""`living-reports import` and `living-reports export`.

Rules: refused reports are listed beside imported ones, and make the exit code 1.

    >>> run(build_parser().parse_args(["import", "docs"]))
    0
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from living_reports.cli.commands import author, open_library
from living_reports.cli.show import SHORT_ID, counted
from living_reports.cli.terminal import Terminal, clean, one_line, print_json, progress_indicator, size
from living_reports.errors import ReportError
from living_reports.interchange.exporting import export_report
from living_reports.interchange.importing import import_reports
from living_reports.printable import escape

Answer = dict[str, Any]


def run(options: argparse.Namespace) -> int:
    """Import or export, and return the exit code.

    Raises:
        ReportError: It was refused.
    """
    storage = open_library(options.root).store
    is_import = options.command == "import"
    with progress_indicator(options.command) as say:
        if is_import:
            path = Path(options.path).expanduser()
            answer = import_reports(storage, path, author=author(), announce=say)
        else:
            output = Path(options.output).expanduser() if options.output else None
            answer = export_report(storage, options.report, output)
    if options.json:
        print_json(answer)
    elif is_import:
        _show_imported(Terminal(sys.stdout), answer)
    else:
        _show_exported(Terminal(sys.stdout), answer)
    return ReportError.exit_code if answer.get("refused") else 0


def _show_imported(terminal: Terminal, answer: Answer) -> None:
    rows = answer.get("imported", [])
    refused = answer.get("refused", [])
    terminal.line(
        f"Imported {counted(len(rows), 'report')}" + (f", refused {len(refused)}" if refused else "")
    )
    if rows:
        cells = [[row["report_id"][:SHORT_ID], _version(row), row["title"], row["from"]] for row in rows]
        terminal.table(cells, styles=["cyan", "dim", "bold", "dim"])
    for row in rows:
        for warning in row.get("warnings", []):
            terminal.paragraph(escape(f"{row['from']}: {warning}"), "yellow", first="  ")
    for row in refused:
        terminal.paragraph(escape(f"{row['from']}: {row['message']}"), "red", first="  ")
        terminal.paragraph(escape(row["hint"]), "dim", first="    ")


def _version(row: Answer) -> str:
    """Return the version, with the number of versions that were appended to an earlier import."""
    return f"v{row['version']}" + (f" (+{row['appended']})" if row.get("appended") else "")


def _show_exported(terminal: Terminal, answer: Answer) -> None:
    title = terminal.style(one_line(answer["title"]), "bold")
    terminal.line(f"{title}, version {answer['version']} with its whole history, is in")
    terminal.line(f"  {clean(answer['path'])}  ({size(answer['bytes'])})")
