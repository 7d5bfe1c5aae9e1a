"""Run commands of `living-reports`."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from living_reports.cli import main


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of a command."""

    returncode: int
    stdout: str
    stderr: str


class TerminalStream(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def run_command(root: Path, *arguments: str, stdin: str = "") -> CommandResult:
    """Run one command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("LIVING_REPORTS_ROOT", str(root))
        patch.setenv("COLUMNS", "100")
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
    return CommandResult(code, out.getvalue(), err.getvalue())


def run_ok(root: Path, *arguments: str, stdin: str = "") -> str:
    done = run_command(root, *arguments, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def run_json(root: Path, *arguments: str, stdin: str = "") -> dict[str, Any]:
    text = run_ok(root, *arguments, "--json", stdin=stdin)
    assert text.count("\n") == 1
    data: dict[str, Any] = json.loads(text)
    return data


def run_refused(root: Path, *arguments: str, stdin: str = "") -> tuple[int, dict[str, Any]]:
    done = run_command(root, *arguments, "--json", stdin=stdin)
    assert done.stderr == ""
    error: dict[str, Any] = json.loads(done.stdout)["error"]
    return done.returncode, error
