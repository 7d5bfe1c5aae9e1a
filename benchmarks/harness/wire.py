"""A client for a server at the other end of two pipes, in either protocol era.

The client does not use the SDK, so a sample has only the time of the server and of the pipes. Answers
are matched by id; a server that ends early raises an error with its stderr.

    with Wire(ours(root), era="2025-06-18") as wire:
        wire.tools()
        wire.call("get_report", {"report": "Health"})
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.harness.measure import Action

HANDSHAKE, STATELESS = "2025-06-18", "2026-07-28"
ERAS = {"with a handshake": HANDSHAKE, "stateless": STATELESS}
"""The two eras: in one a client begins with `initialize`, in the other it names itself in every request."""

CLIENT = {"name": "bench", "version": "1"}
TRIVIAL = [sys.executable, str(Path(__file__).with_name("trivial_server.py"))]

Json = dict[str, Any]


def ours(root: Path) -> list[str]:
    """Return the command that serves the reports under this root."""
    return [sys.executable, "-m", "living_reports", "serve", "--root", str(root)]


class RefusedError(Exception):
    """A tool call was answered with an error."""


class Wire:
    """A server process and its client, after the handshake if the era has one."""

    def __init__(self, command: Sequence[str], era: str = HANDSHAKE, environ: dict[str, str] | None = None):
        self._era = era
        self._ids = itertools.count(1)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | (environ or {}),
        )
        if era != STATELESS:
            params = {"protocolVersion": era, "capabilities": {}, "clientInfo": CLIENT}
            self.request("initialize", params)
            self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def tools(self) -> list[Json]:
        """Return the answer to `tools/list`."""
        tools: list[Json] = self.request("tools/list", {})["tools"]
        return tools

    def call(self, name: str, arguments: Json) -> Json:
        """Call a tool and return the result.

        Raises:
            RefusedError: The result is an error.
        """
        result = self.request("tools/call", {"name": name, "arguments": arguments})
        if result.get("isError"):
            raise RefusedError(f"{name}: {result['content']}")
        return result

    def answer(self, name: str, arguments: Json) -> Json:
        """Call a tool of Living Reports and return its structured answer."""
        answer: Json = self.call(name, arguments)["structuredContent"]
        return answer

    def request(self, method: str, params: Json) -> Json:
        """Send a request and return its result."""
        if self._era == STATELESS:
            params = params | {"_meta": _envelope(self._era)}
        number = next(self._ids)
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: Json = answer["result"]
                return result
        self._errors.seek(0)
        raise RuntimeError(f"{method}: the server ended: {self._errors.read().decode()[-2000:]}")

    def _send(self, message: Json) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        self.process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self._errors.close()


def _envelope(era: str) -> Json:
    prefix = "io.modelcontextprotocol/"
    return {f"{prefix}protocolVersion": era, f"{prefix}clientInfo": CLIENT, f"{prefix}clientCapabilities": {}}


def until(command: Sequence[str], ask: Callable[[Wire], object], era: str = HANDSHAKE) -> Action:
    """Return an action that measures the milliseconds from the spawn of a server to its first answer."""

    def run() -> float:
        start = time.perf_counter()
        with Wire(command, era) as wire:
            ask(wire)
            return (time.perf_counter() - start) * 1000

    return run
