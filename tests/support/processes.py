"""Child processes of tests: scripts that start together, and a process that holds a lock."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src"

HOLD_LOCK = """
import sys
from pathlib import Path
from living_reports.storage import ReportLock
with ReportLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
print("free", flush=True)
"""


def child_environment() -> dict[str, str]:
    """Return this environment with `src` and `tests` on the import path."""
    path = os.pathsep.join(filter(None, [str(SOURCE), str(TESTS), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path}


def start_python(*arguments: str, stderr: int | None = None) -> subprocess.Popen[str]:
    """Start Python with these arguments, with pipes to its input and from its output."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def run_together(commands: Mapping[str, Sequence[str]], *, timeout_s: float = 300) -> dict[str, Any]:
    """Run Python commands at the same time and return what each prints, parsed as JSON.

    Each command prints `ready` when it is set up, then waits for a line on its input, so that all
    begin together.
    """
    with ExitStack() as stack:
        started = start_together(commands, stack)
        return {
            name: json.loads(process.communicate(timeout=timeout_s)[0]) for name, process in started.items()
        }


def start_together(
    commands: Mapping[str, Sequence[str]], stack: ExitStack
) -> dict[str, subprocess.Popen[str]]:
    """Start Python commands as `run_together` does; leaving the stack kills those that still run."""
    started = {}
    for name, command in commands.items():
        started[name] = stack.enter_context(start_python(*command))
        stack.callback(started[name].kill)
    for process in started.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started.values():
        send_line(process)
    return started


def require_success(processes: Iterable[subprocess.Popen[str]]) -> None:
    """Wait for processes whose errors are piped; fail if one of them failed."""
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold a report's lock in another process; `release_lock` makes it release the lock."""
    with start_python("-c", HOLD_LOCK, str(path)) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def release_lock(process: subprocess.Popen[str]) -> None:
    """Let the process of `locked_by_another_process` release its lock and end."""
    send_line(process)


def send_line(process: subprocess.Popen[str]) -> None:
    """Send an empty line to a process that waits for one."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def wait_until_blocked(pid: int) -> None:
    """Wait until the kernel lists a process as blocked by a file lock. Works on Linux only."""
    while not re.search(rf"-> FLOCK +ADVISORY +WRITE {pid} ", Path("/proc/locks").read_text("ascii")):
        os.kill(pid, 0)  # fails if the process has ended
