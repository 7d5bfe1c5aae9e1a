"""The server over streamable HTTP: the same tools, for this machine only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import anyio
import pytest
from mcp.client import Client

from living_reports.library import Library
from living_reports.server.tools import TOOLS
from wire import COMMAND, environment


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving_http(root: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server process that listens, and its port."""
    port = free_port()
    environ = {**os.environ, **environment(root)}
    command = [*COMMAND, "--http", str(port)]
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as process:
        try:
            while not is_open(port):
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(timeout=0.05)
            yield process, port
        finally:
            process.kill()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_report_is_kept_over_http(tmp_path: Path, mode: str) -> None:
    async def test(url: str) -> None:
        async with Client(url, mode=mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert names == [tool["name"] for tool in TOOLS]
            created = await client.call_tool("create_report", {"title": "Health"})
            assert not created.is_error
            refused = await client.call_tool("get_report", {"report": "Nope"})
            assert refused.is_error

    with serving_http(tmp_path) as (_, port):
        anyio.run(test, f"http://127.0.0.1:{port}/mcp")
    assert Library(tmp_path).get_report("Health")["version"] == 1


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "127.0.0.1:1", "Origin": "http://evil.example"}]
)
def test_a_web_page_elsewhere_cannot_reach_it(tmp_path: Path, headers: dict[str, str]) -> None:
    usual = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    with serving_http(tmp_path) as (_, port):
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/mcp", body="{}", headers=usual | headers)
        assert connection.getresponse().status in (403, 421)
        connection.close()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it(tmp_path: Path, number: int, code: int) -> None:
    with serving_http(tmp_path) as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=30) == code


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*COMMAND, "--http", str(taken.getsockname()[1])]
        environ = {**os.environ, **environment(tmp_path)}
        done = subprocess.run(command, env=environ, capture_output=True, timeout=60)
    assert done.returncode not in (0, None)
    assert b"address already in use" in done.stderr
    assert b"Traceback" not in done.stderr
