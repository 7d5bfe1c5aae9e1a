"""`living-reports demo`: the demo, and what it says when the server refuses it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def run(options: argparse.Namespace) -> int:
    """Run the demo; 1 if the server refused what should have worked."""
    from living_reports.cli.show import refusal
    from living_reports.demo.agent import ToolRefusedError
    from living_reports.demo.story import tell
    from living_reports.terminal import Terminal

    try:
        tell(Path(options.root).expanduser().resolve(), Terminal(sys.stdout))
    except ToolRefusedError as refused:
        refusal(Terminal(sys.stderr), refused.error)
        return 1
    return 0
