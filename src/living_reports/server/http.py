"""Serve many clients over streamable HTTP: on this machine, or with a token from other machines, too.

Rules:

- Without a token only this machine may connect: any other address to listen on is refused.
- With a token each request carries it as `Authorization: Bearer …`. It is compared in constant time; a wrong
  or missing one is answered with 401, and reaches nothing else of the server. The token is never logged.
- A request names this machine in its `Host`; so a web page cannot reach the reports through a host name that
  it controls. The port may differ, because ports are forwarded. A server bound to all addresses cannot know
  its names; there the token, which no such page has, protects the reports.
- A web page in a browser has an `Origin`: it must be the server's own, with the same port, or an allowed one.
  Both headers are parsed. SDK (mcp 2.3): it compares the beginnings of texts, so its check is off here.
- The log goes to stderr. The server ends on SIGTERM and SIGINT, and gives running calls `GRACE_S`.

    $ living-reports serve --http 8765     # http://127.0.0.1:8765/mcp
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse

from living_reports.errors import InvalidInputError
from living_reports.printable import escape
from living_reports.server.app import MAX_MESSAGE_BYTES, build_server, log_to_stderr
from living_reports.server.watchdog import start_watchdog
from living_reports.settings import ORIGINS_VARIABLE, TOKEN_VARIABLE, Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger(__name__)

Origin = tuple[str, str, int]
"""A scheme, the name of a host, and a port; 0 for the default port of a scheme other than HTTP."""

GRACE_S = 5
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
"""The names by which a client on this machine reaches the server, whatever address it is bound to."""
CHALLENGE = 'Bearer realm="living-reports"'
DEFAULT_PORTS = {"http": 80, "https": 443}

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]|[A-Za-z0-9_.-]+)(?::([0-9]{0,6}))?")


def serve_http(
    settings: Settings,
    port: int,
    *,
    host: str,
    token: str = "",
    name: str = "",
    origins: Sequence[str] = (),
) -> None:
    """Serve on `http://<host>:<port>/mcp` until a signal ends it; with a token only those that send it.

    Args:
        settings: The settings.
        port: The port to listen on.
        host: The address to listen on.
        token: The token that clients must send; empty for none.
        name: The author name to record.
        origins: The origins whose web pages may connect, too.

    Raises:
        InvalidInputError: Other machines could connect, and there is no token; or an origin is invalid.
        KeyboardInterrupt: SIGINT ended it.
        SystemExit: The address or the port is not available; the log says why.
    """
    require_token_beyond_this_machine(host, token)
    allowed = [require_origin(origin) for origin in origins]
    log_to_stderr()
    app: ASGIApp = build_server(settings, name).streamable_http_app(
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        max_request_body_size=MAX_MESSAGE_BYTES,
    )
    if token:
        app = RequireToken(app, token)
    if allowed:
        # Outside the token: a browser asks without it whether a page may send it.
        app = CORSMiddleware(
            app,
            allow_origins=[origin_text(origin) for origin in allowed],
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=["Mcp-Session-Id"],
        )
    if names := own_names(host):
        app = RequireOwnOrigin(app, names, allowed)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        ws="none",
        log_config=None,
        timeout_graceful_shutdown=GRACE_S,
    )
    # uvicorn raises the signal again once it is done; SIGTERM has to be a clean end then.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    access = "with a token" if token else "for this machine"
    banner = f"living-reports: serving http://{in_url(host)}:{port}/mcp {access}, Ctrl-C ends it"
    print(escape(banner), file=sys.stderr, flush=True)
    _Server(config).run()


class _Server(uvicorn.Server):
    """A server whose watchdog knows the signals that uvicorn has set its handlers for."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and watch the signals."""
        watch = start_watchdog(GRACE_S + 1)
        for number in (signal.SIGTERM, signal.SIGINT):
            watch(number)
        await super().startup(sockets)


# --- Access --------------------------------------------------------------------------------


def require_token_beyond_this_machine(host: str, token: str) -> None:
    """Refuse to serve other machines without a token.

    Raises:
        InvalidInputError: The host is not an address of this machine only, and there is no token.
    """
    if not token and not is_this_machine(host):
        raise InvalidInputError(
            f"Without a token only this machine may connect, and {host!r} lets other machines in.",
            hint=f"Give --token-file or {TOKEN_VARIABLE}, or leave --host out.",
            path="--host",
        )


def is_this_machine(host: str) -> bool:
    """Return True if only this machine can reach the host; names other than localhost may lead anywhere.

    >>> is_this_machine("127.0.0.1"), is_this_machine("0.0.0.0")
    (True, False)
    """
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def own_names(host: str) -> set[str]:
    """Return the names of a server bound to this host; none if it is bound to all addresses.

    >>> sorted(own_names("127.0.0.1"))
    ['127.0.0.1', '::1', 'localhost']
    """
    address = _address(host)
    if address is not None and address.is_unspecified:
        return set()
    return {*THIS_MACHINE, _name(host)}


def require_origin(text: str) -> Origin:
    """Return the origin of web pages that may connect.

    Raises:
        InvalidInputError: The text is not an origin.
    """
    origin = parse_origin(text.removesuffix("/"))
    if origin is None:
        raise InvalidInputError(
            f"{text!r} is not an origin.",
            hint=f"Give --allow-origin (or {ORIGINS_VARIABLE}) a scheme, a host and a port, "
            "such as https://notes.example or http://localhost:6274.",
            path="--allow-origin",
        )
    return origin


def parse_origin(text: str) -> Origin | None:
    """Parse the origin of a web page; return `None` for any other text, and for `null`.

    >>> parse_origin("https://Notes.example"), parse_origin("http://localhost:80@evil.example")
    (('https', 'notes.example', 443), None)
    """
    scheme, _, authority = text.partition("://")
    scheme = scheme.lower()
    host = parse_host(authority, DEFAULT_PORTS.get(scheme, 0))
    return (scheme, *host) if host and _SCHEME.fullmatch(scheme) else None


def parse_host(text: str, default_port: int = 80) -> tuple[str, int] | None:
    """Parse a host with an optional port; return `None` for any other text.

    >>> parse_host("LOCALHOST.:8000"), parse_host("[0::1]"), parse_host("me@localhost")
    (('localhost', 8000), ('::1', 80), None)
    """
    match = _AUTHORITY.fullmatch(text)
    port = int(match[2] or default_port) if match else 0
    return (_name(match[1]), port) if match and port < 65_536 else None


def _name(host: str) -> str:
    """Return a host in the one form that is compared: lower case, an IPv6 address in its short form."""
    address = _address(host.removeprefix("[").removesuffix("]"))
    return str(address) if address else host.lower().removesuffix(".")


def origin_text(origin: Origin) -> str:
    """Return the origin as browsers send it."""
    scheme, name, port = origin
    shown = "" if port == DEFAULT_PORTS.get(scheme, 0) else f":{port}"
    return f"{scheme}://{in_url(name)}{shown}"


def in_url(host: str) -> str:
    """Return the host as part of a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class RequireOwnOrigin:
    """Refuses requests for other hosts, and those of web pages of other origins."""

    def __init__(self, app: ASGIApp, names: Iterable[str], origins: Iterable[Origin]) -> None:
        self._app = app
        self._names = frozenset(names)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request for this server that no other site's page sends; refuse any other."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        parsed = parse_host(hosts[0]) if len(hosts) == 1 else None
        if parsed is None or parsed[0] not in self._names:
            logger.warning("a request was refused, because its Host is %s", hosts)
            return PlainTextResponse("Host is not a name of this server.\n", status_code=421)
        if not all(self._is_allowed(parse_origin(origin), scope["server"][1]) for origin in origins):
            logger.warning("a request was refused, because its Origin is %s", origins)
            return PlainTextResponse("Origin is another site: see serve --allow-origin.\n", status_code=403)
        return None

    def _is_allowed(self, origin: Origin | None, port: int) -> bool:
        is_own = origin is not None and origin[1] in self._names and origin[::2] == ("http", port)
        return is_own or origin in self._origins


class RequireToken:
    """Passes requests with the token to the application, and answers all others with 401."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request that has the token; refuse any other."""
        if scope["type"] == "lifespan" or self._has_token(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
            return
        answer = PlainTextResponse(
            "Send the server's token: Authorization: Bearer TOKEN\n",
            status_code=401,
            headers={"WWW-Authenticate": CHALLENGE},
        )
        await answer(scope, receive, send)

    def _has_token(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token)
