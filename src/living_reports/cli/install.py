"""`living-reports install` and `living-reports uninstall`.

Rules: the change of the client's file is shown as a unified diff, in a dry run too, with the place of the
backup.

    >>> run(build_parser().parse_args(["install", "cursor", "--dry-run"]))
    0
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterator

from living_reports.cli.terminal import Terminal, clean, cut
from living_reports.install import SERVER_NAME, Edited, install, uninstall
from living_reports.settings import load_settings

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def run(options: argparse.Namespace) -> int:
    """Edit one client's configuration, and return the exit code.

    Raises:
        ReportError: It was refused; the file is as it was.
    """
    terminal = Terminal(sys.stdout)
    if options.command == "install":
        root = load_settings(options.root).root
        edited = install(options.client, root, dry_run=options.dry_run)
    else:
        edited = uninstall(options.client, dry_run=options.dry_run)
    _show(terminal, edited, options)
    return 0


def _show(terminal: Terminal, edited: Edited, options: argparse.Namespace) -> None:
    title = terminal.style(edited.client.title, "bold")
    if not edited.changed:
        state = "already has this server" if options.command == "install" else "does not have this server"
        terminal.line(f"{title} {state}; nothing was changed")
        terminal.fields([("file", _where(edited))])
        return
    verb = "added to" if options.command == "install" else "removed from"
    terminal.line(f"{SERVER_NAME} {'would be ' if options.dry_run else ''}{verb} {title}")
    kept = [("backup", str(edited.backup))] if edited.backup else []
    terminal.fields([("file", _where(edited)), *kept])
    terminal.line()
    for line in _difference(edited):
        cut_line = cut(line, terminal.width) if line.startswith(" ") else line
        terminal.line(cut_line, *([_STYLES[line[0]]] if line[0] in _STYLES else []))
    terminal.line()
    terminal.line("A dry run: nothing was written." if options.dry_run else edited.client.after)


def _where(edited: Edited) -> str:
    """Return the file, and its target where it is a link."""
    real = os.path.realpath(edited.file)
    return str(edited.file) if real == str(edited.file) else f"{edited.file} -> {real}"


def _difference(edited: Edited) -> Iterator[str]:
    """Yield the lines of a unified diff, without the two that name files."""
    old, new = (data.decode("utf-8", "replace").splitlines() for data in (edited.old, edited.new))
    lines = difflib.unified_diff(old, new, lineterm="")
    yield from (clean(line) for number, line in enumerate(lines) if number >= 2)
