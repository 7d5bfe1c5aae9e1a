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
from living_reports.server.http import own_names
from living_reports.server.tools import TOOLS
from living_reports.settings import Settings
from support.http_server import HttpServer, clean_environment, start_http_server
from support.wire import COMMAND, environment

TOKEN = "correct-horse-battery-staple"
WRITERS_OF_EACH_KIND = 2
LINES = 6


def post(server: HttpServer, method: str = "POST", **headers: str) -> HTTPResponse:
    """Return the answer to a plain request."""
    usual = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, "/mcp", body="{}", headers=usual | headers)
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


@pytest.mark.parametrize(("stated", "recorded"), [("", None), ("the team", "the team")])
def test_the_user_of_the_server_is_not_that_of_its_clients(
    tmp_path: Path, stated: str, recorded: str | None
) -> None:
    async def test(url: str) -> None:
        with anyio.fail_after(60):
            async with connected(url, mode="auto", name="maker") as client:
                await client.call_tool("create_report", {"title": "Log"})

    variables = {"LIVING_REPORTS_TOKEN": TOKEN, "LOGNAME": "ann", "LIVING_REPORTS_USER": stated}
    with start_http_server(tmp_path, **variables) as server:
        anyio.run(test, server.url)
    [event] = Library(tmp_path).audit_report(AuditReport("Log"))["events"]
    assert (event["client"], event.get("user")) == ("maker/1", recorded)


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


@pytest.fixture(scope="module")
def friendly_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server that wants a token, and lets the pages of two other origins in."""
    folder = tmp_path_factory.mktemp("friendly")
    options = ["--allow-origin", "https://Notes.example/", "--allow-origin", "http://localhost:6274"]
    with start_http_server(folder, *options, LIVING_REPORTS_TOKEN=TOKEN) as server:
        yield server


def status(server: HttpServer, *headers: str, version: str = "1.1") -> int:
    """Return the status of the answer to these headers; PORT stands for the port of the server."""
    lines = [
        f"POST /mcp HTTP/{version}",
        *(header.replace("PORT", str(server.port)) for header in headers),
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "Content-Length: 2",
        "Connection: close",
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall("\r\n".join([*lines, "", "{}"]).encode("latin-1"))
        with client.makefile("rb") as answer:
            return int(answer.readline().split()[1])


IN = 400
"""The status of a request that got in, and asked for nothing."""


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:PORT", "localhost:PORT", "[::1]:PORT", "127.0.0.1", "localhost", "[::1]"),
        *("LOCALHOST:PORT", "LocalHost", "localhost.:PORT", "[0:0:0:0:0:0:0:1]:PORT", "localhost:0PORT"),
        *("localhost:9", "localhost:"),
    ],
)
def test_a_host_is_a_name_of_this_machine_on_any_port(open_server: HttpServer, host: str) -> None:
    assert status(open_server, f"Host: {host}") == IN


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:PORT", "localhost.evil.example", "127.0.0.1.evil.example:PORT"),
        *(
            "localhost:PORT@evil.example",
            "localhost:80@evil.example",
            "localhost@evil.example",
            "a@localhost",
        ),
        *("evil.example#localhost", "localhost/", "localhost:80:80", "localhost:x", "localhost:99999"),
        *(
            "localhost..",
            "127.1",
            "2130706433",
            "0",
            "0.0.0.0:PORT",
            "[::]:PORT",
            "::1",
            "[::1",
            "[localhost]",
        ),
        *(
            "[::ffff:127.0.0.1]:PORT",
            "[::1%25lo]:PORT",
            "http://localhost:PORT",
            "localhost, evil.example",
            "",
        ),
    ],
)
def test_any_other_host_is_refused(open_server: HttpServer, host: str) -> None:
    assert status(open_server, f"Host: {host}") in ([421, 400] if not host else [421])


def test_a_request_without_a_host_is_refused(open_server: HttpServer) -> None:
    assert status(open_server, version="1.0") == 421
    for hosts in (["localhost", "evil.example"], ["evil.example", "localhost"]):
        # 400: the HTTP parser may refuse two hosts itself; the body never reaches the protocol.
        assert status(open_server, *(f"Host: {host}" for host in hosts)) in (400, 421)


@pytest.mark.parametrize(
    "origin",
    [
        *("http://127.0.0.1:PORT", "http://localhost:PORT", "http://[::1]:PORT", "HTTP://LOCALHOST:PORT"),
        *("http://localhost.:PORT", "http://[0:0::1]:PORT"),
    ],
)
def test_the_own_origin_of_the_server_is_let_in(open_server: HttpServer, origin: str) -> None:
    assert status(open_server, "Host: localhost:PORT", f"Origin: {origin}") == IN


OTHER_ORIGINS = [
    *(
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        "http://[::1]:1",
        "http://localhost",
        "http://localhost:",
    ),
    *(
        "https://localhost:PORT",
        "https://localhost",
        "ws://localhost:PORT",
        "localhost:PORT",
        "//localhost:PORT",
    ),
    *("http://localhost:80@evil.example", "http://localhost:PORT@evil.example", "http://a@localhost:PORT"),
    *("http://evil.example", "http://evil.example:PORT", "http://localhost.evil.example:PORT"),
    *(
        "http://localhost:PORT/",
        "http://localhost:PORT/x",
        "http://localhost:PORT?x",
        "http://localhost:PORT#x",
    ),
    *("http://localhost:PORT http://evil.example", "http://localhost:PORT,http://evil.example"),
    *("http://localhost:PORT.evil.example", "http://evil.example\\@localhost:PORT", "http:/localhost:PORT"),
    *("null", "NULL", "", "*", "http://", "http://:PORT", "file://", "about:blank", "http://127.1:PORT"),
]


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
def test_any_other_origin_is_refused(open_server: HttpServer, origin: str) -> None:
    assert status(open_server, "Host: localhost:PORT", f"Origin: {origin}") == 403


def test_one_foreign_origin_among_several_is_refused(open_server: HttpServer) -> None:
    own, foreign = "Origin: http://localhost:PORT", "Origin: http://evil.example"
    for origins in ([own, foreign], [foreign, own]):
        assert status(open_server, "Host: localhost:PORT", *origins) == 403


@pytest.mark.parametrize("name", ["2001:DB8::7", "Reports.Example."])
def test_the_address_that_it_is_bound_to_is_one_of_its_names(name: str) -> None:
    named = own_names(name)
    assert named == {"127.0.0.1", "localhost", "::1", {"2": "2001:db8::7", "R": "reports.example"}[name[0]]}
    assert own_names("0.0.0.0") == own_names("::") == set()


# --- Pages of other origins --------------------------------------------------------------


@pytest.mark.parametrize(
    "origin", ["https://notes.example", "https://notes.example:443", "http://localhost:6274"]
)
def test_an_allowed_origin_is_let_in(friendly_server: HttpServer, origin: str) -> None:
    headers = ["Host: localhost:PORT", f"Origin: {origin}", f"Authorization: Bearer {TOKEN}"]
    assert status(friendly_server, *headers) == IN
    assert status(friendly_server, *headers[:2]) == 401


@pytest.mark.parametrize(
    "origin",
    [
        "http://notes.example",
        "https://notes.example:8443",
        "http://localhost:3000",
        "https://a.notes.example",
    ],
)
def test_what_is_like_an_allowed_origin_is_refused(friendly_server: HttpServer, origin: str) -> None:
    headers = ["Host: localhost:PORT", f"Origin: {origin}", f"Authorization: Bearer {TOKEN}"]
    assert status(friendly_server, *headers) == 403


def test_a_browser_lets_the_pages_of_an_allowed_origin_read_the_answers(friendly_server: HttpServer) -> None:
    origin = "https://notes.example"
    answer = post(friendly_server, Origin=origin, Authorization=f"Bearer {TOKEN}")
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "Mcp-Session-Id" in answer.headers["Access-Control-Expose-Headers"]
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    asked = post(friendly_server, method="OPTIONS", Origin=origin, **asks)
    assert (asked.status, asked.headers["Access-Control-Allow-Origin"]) == (200, origin)
    assert "authorization" in asked.headers["Access-Control-Allow-Headers"]
    assert post(friendly_server, method="OPTIONS", Origin="https://evil.example", **asks).status == 403


def test_origins_may_come_from_the_environment(tmp_path: Path) -> None:
    allowed = "https://notes.example  http://localhost:6274"
    with start_http_server(tmp_path, LIVING_REPORTS_ALLOWED_ORIGINS=allowed) as server:
        for origin in allowed.split():
            assert status(server, "Host: localhost:PORT", f"Origin: {origin}") == IN
        assert status(server, "Host: localhost:PORT", "Origin: http://localhost:1") == 403


@pytest.mark.parametrize(
    "origin", ["*", "null", "notes.example", "https://notes.example/page", "https://*.example"]
)
def test_a_value_that_is_no_origin_is_refused(tmp_path: Path, origin: str) -> None:
    text = refused(tmp_path, "--http", "0", "--allow-origin", origin)
    assert "is not an origin" in text
    assert "is not an origin" in refused(tmp_path, "--http", "0", LIVING_REPORTS_ALLOWED_ORIGINS=origin)


# --- Tokens ------------------------------------------------------------------------------


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


@pytest.mark.parametrize("option", ["--host", "--token-file", "--allow-origin"])
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
