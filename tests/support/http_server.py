"""A server process that listens on HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import portalocker

from living_reports.settings import TOKEN_VARIABLE
from support.wire import COMMAND, environment

START_SECONDS = 120


@dataclass(frozen=True)
class HttpServer:
    """A server process and its port."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"


def clean_environment() -> dict[str, str]:
    """Return this environment without the token of the person who runs the tests."""
    return {**os.environ, TOKEN_VARIABLE: ""}


@contextmanager
def free_port() -> Iterator[int]:
    """A port that no process listens on.

    No other test gets a port until the block ends, which should be when a server listens on this one.
    Otherwise two tests that run at the same time could get the same port.
    """
    folder = platformdirs.user_cache_path("living-reports-tests", appauthor=False, ensure_exists=True)
    with portalocker.Lock(folder / "port.lock", timeout=START_SECONDS, check_interval=0.02):
        yield _unused_port()


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def start_http_server(root: Path, *options: str, **variables: str) -> Iterator[HttpServer]:
    """Start a server and wait until it listens; fail if it ends instead."""
    environ = clean_environment() | environment(root, **variables)
    with ExitStack() as stack:
        with free_port() as port:
            command = [*COMMAND, "--http", str(port), *options]
            process = stack.enter_context(subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL))
            stack.callback(process.kill)
            wait_until_listening(port, process)
        yield HttpServer(process, port)


def wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process listens on a port; fail if it ends instead."""
    deadline = time.monotonic() + START_SECONDS
    while not is_open(port):
        assert process.poll() is None, f"the server has ended: {_errors(process)}"
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.02)


def _errors(process: subprocess.Popen[bytes]) -> str:
    return process.communicate()[1].decode() if process.stderr else ""
