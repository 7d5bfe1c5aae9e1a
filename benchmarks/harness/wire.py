"""A server at the other end of two pipes, and what a client of either protocol era says to it.

Rules: nothing of the SDK is on this side, so that a sample holds the server's time and the pipes'.
Answers are matched by id; a server that ends early is an error, with what it wrote to stderr.

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
"""The two eras: one begins with `initialize`, the other says who it is with every request."""

CLIENT = {"name": "bench", "version": "1"}
TRIVIAL = [sys.executable, str(Path(__file__).with_name("trivial_server.py"))]

Json = dict[str, Any]


def ours(root: Path) -> list[str]:
    """The command that serves the reports under this root."""
    return [sys.executable, "-m", "living_reports", "serve", "--root", str(root)]


class RefusedError(Exception):
    """A tool call was answered with an error."""


class Wire:
    """One server and one client, who has said what the era demands before its first request."""

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
        """What `tools/list` answers."""
        tools: list[Json] = self.request("tools/list", {})["tools"]
        return tools

    def call(self, name: str, arguments: Json) -> Json:
        """The result of one tool call.

        Raises:
            RefusedError: It is an error.
        """
        result = self.request("tools/call", {"name": name, "arguments": arguments})
        if result.get("isError"):
            raise RefusedError(f"{name}: {result['content']}")
        return result

    def answer(self, name: str, arguments: Json) -> Json:
        """What a tool of ours answers."""
        answer: Json = self.call(name, arguments)["structuredContent"]
        return answer

    def request(self, method: str, params: Json) -> Json:
        """The result of one request."""
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
    """An action: the milliseconds from the spawn of a server to the answer of what it is asked."""

    def run() -> float:
        start = time.perf_counter()
        with Wire(command, era) as wire:
            ask(wire)
            return (time.perf_counter() - start) * 1000

    return run
