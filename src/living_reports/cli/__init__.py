"""The command `living-reports`: the tools for a person, the server, and the demo.

Rules:

- Commands and options are named like the tools: `revert_report(to_version=3)` is `revert --to-version 3`.
- The output is readable text; with `--json` it is the library's answer, or its error, as one line of JSON
  on stdout.
- The exit code tells what to do next: 0 done; 2 correct the command; 3 not found; 4 conflict with another
  change; 5 the report stayed locked; 6 the files are damaged, or the disk refused; 1 anything else, and
  findings of `check`.
- Each command only loads what it needs.

    $ living-reports create "Log4j guidance" --section Summary --tag security
    $ living-reports get "Log4j guidance" --version 1 --json
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from living_reports.errors import ReportError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Raises:
        SystemExit: The command line is invalid (code 2), or asks for help (code 0).
    """
    from living_reports.cli.parser import build_parser

    options = build_parser().parse_args(arguments)
    try:
        code = _command(options.command)(options)
        sys.stdout.flush()
    except ReportError as error:
        _show_error(error, as_json=getattr(options, "json", False))
        return error.exit_code
    except BrokenPipeError:
        # The reader (head, less) is gone: print nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _command(name: str) -> Callable[[Namespace], int]:
    if name == "serve":
        from living_reports.cli.serve import run
    elif name == "demo":
        from living_reports.cli.demo import run
    elif name == "doctor":
        from living_reports.cli.doctor import run
    elif name in ("install", "uninstall"):
        from living_reports.cli.install import run
    elif name in ("import", "export"):
        from living_reports.cli.transfer import run
    else:
        from living_reports.cli.commands import run
    return run


def _show_error(error: ReportError, *, as_json: bool) -> None:
    from living_reports.cli.terminal import Terminal, print_json

    if as_json:
        print_json(error.answer())
        return
    from living_reports.cli.show import refusal

    refusal(Terminal(sys.stderr), error.answer()["error"])
