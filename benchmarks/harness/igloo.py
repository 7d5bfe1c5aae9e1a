"""The baseline igloo-mcp: its service, in its own process, on a root written by the benchmark.

A sample is measured inside that process, around the service alone and without the pipe. The server of
igloo-mcp is not measured, because it needs a Snowflake connection to start.

    >>> [report] = write_sized_root(root, 50_000)
    >>> with Igloo(root) as igloo:
    ...     igloo.update(report, "what is known now")
    8.31
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.harness.other_programs import igloo_python

WORKER = Path(__file__).with_name("igloo_worker.py")


class Igloo:
    """A process with the service on one root.

    Raises:
        NotInstalledError: igloo-mcp cannot be installed here.
    """

    def __init__(self, root: Path, prefix: tuple[str, ...] = ()) -> None:
        command = [*prefix, str(igloo_python()), str(WORKER), str(root)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def update(self, report_id: str, words: str) -> float:
        """Put these words into the report's first insight and return the milliseconds."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{report_id} {words}\n")
        self.process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("igloo-mcp's service ended; stderr says why")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate()
