"""`living-reports demo`: the demo, and what it says when the server refuses it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from shlex import quote


def run(options: argparse.Namespace) -> int:
    """Run the demo; 1 if the server refused what should have worked."""
    from living_reports.cli.demo.agent import ToolRefusedError
    from living_reports.cli.demo.story import tell
    from living_reports.cli.show import refusal
    from living_reports.cli.terminal import Terminal

    root = Path(options.root).expanduser()
    try:
        tell(root.resolve(), Terminal(sys.stdout), command=f"{_program()} {{verb}} --root {quote(str(root))}")
    except ToolRefusedError as refused:
        refusal(Terminal(sys.stderr), refused.error)
        return 1
    return 0


def _program() -> str:
    """How this program was called, so that what the demo proposes can be pasted."""
    return "python -m living_reports" if sys.argv[0].endswith("__main__.py") else quote(sys.argv[0])
