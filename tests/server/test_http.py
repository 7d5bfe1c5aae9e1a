"""The server over streamable HTTP: the same tools and the same locks, for many clients at once."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import anyio
import httpx2
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from living_reports.errors import InvalidInputError
from living_reports.library import Library
from living_reports.library.requests import AuditReport, GetReport
from living_reports.server import serve_http
from living_reports.server.http import transport_security
from living_reports.server.tools import TOOLS
from living_reports.settings import Settings
from support.http_server import HttpServer, clean_environment, start_http_server
from support.wire import COMMAND, environment

TOKEN = "correct-horse-battery-staple"
WRITERS_OF_EACH_KIND = 2
LINES = 6


def post(server: HttpServer, **headers: str) -> HTTPResponse:
    """Return the answer to a plain request."""
    usual = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/mcp", body="{}", headers=usual | headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def refused(root: Path, *options: str, **variables: str) -> str:
    """Why the server does not start: what it says, with code 2."""
    environ = clean_environment() | environment(root, **variables)
    done = subprocess.run([*COMMAND, *options], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


@asynccontextmanager
async def connected(url: str, *, mode: str, name: str, token: str = TOKEN) -> AsyncIterator[Client]:
    """A client that says who it is and sends the token."""
    info = types.Implementation(name=name, version="1")
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, client_info=info) as client,
    ):
        yield client


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

    with start_http_server(tmp_path) as server:
        anyio.run(test, server.url)
    assert Library(tmp_path).get_report(GetReport("Health"))["version"] == 1


# --- Many at once ------------------------------------------------------------------------


async def write_lines(client: Client, name: str) -> None:
    """Add lines to a section of one's own, each against the version that the last answer gave."""
    version = 1
    for number in range(LINES):
        change = {"op": "append_text", "section": name, "text": f"{name} {number}"}
        arguments = {"report": "Log", "changes": [change], "expected_version": version}
        result = await client.call_tool("update_report", arguments)
        assert not result.is_error, result.content
        version = result.structured_content["version"]


def test_clients_of_both_eras_and_of_stdio_write_one_report_at_once(tmp_path: Path) -> None:
    modes = ["auto", "legacy"] * WRITERS_OF_EACH_KIND
    names = [f"{mode}-{number}" for number, mode in enumerate(modes)]

    async def over_http(url: str, mode: str, name: str) -> None:
        async with connected(url, mode=mode, name=name) as client:
            await write_lines(client, name)

    async def over_stdio() -> None:
        server = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=environment(tmp_path))
        info = types.Implementation(name="stdio", version="1")
        async with Client(stdio_client(server), client_info=info) as client:
            await write_lines(client, "stdio")

    async def test(url: str) -> None:
        with anyio.fail_after(120):
            async with connected(url, mode="auto", name="maker") as client:
                sections = [{"title": name} for name in (*names, "stdio")]
                await client.call_tool("create_report", {"title": "Log", "sections": sections})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(over_stdio)
                for mode, name in zip(modes, names, strict=True):
                    tasks.start_soon(over_http, url, mode, name)

    with start_http_server(tmp_path, LIVING_REPORTS_TOKEN=TOKEN) as server:
        anyio.run(test, server.url)

    library = Library(tmp_path)
    written = len((*names, "stdio")) * LINES
    audit = library.audit_report(AuditReport("Log", verify=True, limit=written + 1))
    assert audit["version"] == written + 1
    assert audit["verified"]["ok"]
    clients = [event["client"] for event in audit["events"]]
    for name in (*names, "stdio"):
        assert clients.count(f"{name}/1") == LINES
        section = library.get_report(GetReport("Log", sections=[name]))["sections"][0]
        assert section["content"].split("\n\n") == [f"{name} {number}" for number in range(LINES)]


# --- Who may connect ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    with start_http_server(tmp_path_factory.mktemp("open")) as server:
        yield server


@pytest.fixture(scope="module")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server that listens to others, too, and wants a token."""
    folder = tmp_path_factory.mktemp("guarded")
    file = token_file(folder)
    with start_http_server(folder / "root", "--host", "0.0.0.0", "--token-file", str(file)) as server:
        yield server


def token_file(folder: Path, text: str = f"{TOKEN}\n", mode: int = 0o600) -> Path:
    file = folder / "token"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


FOREIGN = [{"Host": "evil.example"}, {"Host": "127.0.0.1:1", "Origin": "http://evil.example"}]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_web_page_elsewhere_cannot_reach_it(open_server: HttpServer, headers: dict[str, str]) -> None:
    assert post(open_server, **headers).status in (403, 421)


def test_an_address_that_it_is_bound_to_is_one_of_its_names() -> None:
    security = transport_security("2001:DB8::7")
    assert security.enable_dns_rebinding_protection
    assert {"[2001:db8::7]", "[2001:db8::7]:*", "localhost:*", "127.0.0.1"} < set(security.allowed_hosts)
    assert set(security.allowed_origins) == {f"http://{host}" for host in security.allowed_hosts}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:80", "localhost", "localhost:9", "[::1]:80"])
def test_this_machine_has_several_names(open_server: HttpServer, host: str) -> None:
    # 400: it got in, and asked for nothing.
    assert post(open_server, Host=host, Origin=f"http://{host}").status == 400


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_lets_in(guarded_server: HttpServer, scheme: str) -> None:
    for host in ("127.0.0.1", "reports.example:8000"):
        assert post(guarded_server, Host=host, Authorization=f"{scheme} {TOKEN}").status == 400


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer ü",
    ],
)
def test_without_the_token_nobody_gets_in(guarded_server: HttpServer, authorization: str) -> None:
    response = post(guarded_server, Authorization=authorization)
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="living-reports"'


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "reports.example", "0", "127.1"])
def test_other_machines_need_a_token(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidInputError, match="Without a token only this machine may connect"):
        serve_http(Settings(tmp_path), 0, host=host)


def test_the_refusal_says_what_to_do(tmp_path: Path) -> None:
    text = refused(tmp_path, "--http", "0", "--host", "0.0.0.0")
    assert "Without a token only this machine may connect, and '0.0.0.0' lets other machines in." in text
    assert "--token-file or LIVING_REPORTS_TOKEN" in text


@pytest.mark.parametrize("option", ["--host", "--token-file"])
def test_options_of_http_say_nothing_to_stdio(tmp_path: Path, option: str) -> None:
    assert f"{option} only works with --http." in refused(tmp_path, option, "localhost")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_token_file_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    file = token_file(tmp_path, mode=0o644)
    text = refused(tmp_path, "--http", "0", "--token-file", str(file))
    assert "--token-file is open to every user of this machine." in text
    assert f"chmod 600 {file}" in text
    assert TOKEN not in text


def test_a_token_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = token_file(tmp_path, f"\ufeff{TOKEN}\r\n")
    with start_http_server(tmp_path, "--token-file", str(file)) as server:
        assert post(server, Authorization=f"Bearer {TOKEN}").status == 400


# --- How it ends -------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it(tmp_path: Path, number: int, code: int) -> None:
    with start_http_server(tmp_path) as server:
        server.process.send_signal(number)
        assert server.process.wait(timeout=30) == code


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*COMMAND, "--http", str(taken.getsockname()[1])]
        environ = clean_environment() | environment(tmp_path)
        done = subprocess.run(command, env=environ, capture_output=True, timeout=60)
    assert done.returncode not in (0, None)
    assert b"address already in use" in done.stderr
    assert b"Traceback" not in done.stderr
