"""A server process that listens on HTTP, and what a client needs to reach it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from living_reports.settings import TOKEN_VARIABLE
from support.wire import COMMAND, environment

START_SECONDS = 60


@dataclass(frozen=True)
class HttpServer:
    """A process that listens at a port of this machine."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"


def clean_environment() -> dict[str, str]:
    """What the server finds in its environment beside its root: no token of whoever runs the tests."""
    return {**os.environ, TOKEN_VARIABLE: ""}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def start_http_server(root: Path, *options: str, **variables: str) -> Iterator[HttpServer]:
    """A server that listens; an error if it leaves instead."""
    port = free_port()
    environ = clean_environment() | environment(root, **variables)
    command = [*COMMAND, "--http", str(port), *options]
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not is_open(port):
                assert process.poll() is None, "the server has left"
                assert time.monotonic() < deadline, "the server does not listen"
                time.sleep(0.02)
            yield HttpServer(process, port)
        finally:
            process.kill()
