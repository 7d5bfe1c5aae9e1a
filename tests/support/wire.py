"""A server process, and the lines of its input and output.

Reading waits on the file descriptor, so no other buffer may hold lines: bytes that came with an earlier
line are kept here.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.processes import SOURCE

COMMAND = [sys.executable, "-m", "living_reports", "serve"]

INITIALIZE_PARAMS = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "wire", "version": "1"},
}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE_PARAMS}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
"""The `_meta` of every request in the protocol without a handshake."""


def environment(root: Path, **variables: str) -> dict[str, str]:
    """Return the environment variables of the server process."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")]))
    return {"PYTHONPATH": path, "LIVING_REPORTS_ROOT": str(root), **variables}


def tool_call(request_id: int, tool: str, /, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}


class Wire:
    """The input and the output of a server process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin, self.stdout = process.stdin, process.stdout
        self._buffer = b""

    def send(self, *messages: dict[str, Any] | bytes) -> None:
        for message in messages:
            self.stdin.write(
                (message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n"
            )
        self.stdin.flush()

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.line())
        return message

    def line(self, timeout_s: float | None = None) -> bytes:
        """Return the next line with its newline, or less if the server ends or takes longer than this."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            if until is not None:
                ready, _, _ = select.select([self.stdout], [], [], max(0.0, until - time.monotonic()))
                if not ready:
                    return self._buffer
            chunk = os.read(self.stdout.fileno(), 65_536)
            if not chunk:
                return self._buffer
            self._buffer += chunk
        line, newline, self._buffer = self._buffer.partition(b"\n")
        return line + newline

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its result. No other request may be under way."""
        self.send(message)
        result: dict[str, Any] = self.receive()["result"]
        return result

    def rest(self) -> list[dict[str, Any]]:
        """Close stdin, wait until the server ends, and return its remaining messages."""
        out, _ = self.process.communicate(timeout=60)
        return [json.loads(line) for line in (self._buffer + out).splitlines()]


def with_envelope(message: dict[str, Any]) -> dict[str, Any]:
    """Return the same request in the protocol without a handshake."""
    return message | {"params": message.get("params", {}) | {"_meta": ENVELOPE}}


@contextmanager
def start_server(
    root: Path, *options: str, stderr: int | None = None, initialized: bool = True, **variables: str
) -> Iterator[Wire]:
    """Start a server; send the handshake unless it is not to be initialized."""
    environ = {**os.environ, **environment(root, **variables)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": stderr}
    with subprocess.Popen([*COMMAND, *options], env=environ, **pipes) as process:  # type: ignore[call-overload]
        try:
            wire = Wire(process)
            if initialized:
                wire.ask(INITIALIZE)
                wire.send(INITIALIZED)
            yield wire
        finally:
            if process.poll() is None:
                process.kill()
