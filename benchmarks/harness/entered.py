"""A server that can say which source files its calls entered.

Run with the arguments of `living-reports`. SIGUSR1 begins a new list; SIGUSR2 writes the list,
one path a line, to the file named by the environment variable `ENTERED`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import living_reports

PACKAGE = str(Path(living_reports.__file__).parent)
entered: set[str] = set()


def _note(frame: FrameType, event: str, argument: Any) -> None:
    if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
        entered.add(frame.f_code.co_filename)


def _clear(number: int, frame: FrameType | None) -> None:
    entered.clear()


def _write(number: int, frame: FrameType | None) -> None:
    target = Path(os.environ["ENTERED"])
    partial = target.with_suffix(".partial")
    partial.write_text("\n".join(sorted(os.path.relpath(path, PACKAGE) for path in entered)))
    partial.rename(target)


def main() -> int:
    """Run the command with the profile hook set in every thread."""
    signal.signal(signal.SIGUSR1, _clear)
    signal.signal(signal.SIGUSR2, _write)
    threading.setprofile(_note)
    sys.setprofile(_note)
    from living_reports.cli import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
