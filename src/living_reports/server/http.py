"""Serve many clients over streamable HTTP: on this machine, or with a token from other machines, too.

Rules:

- Without a token only this machine may connect: any other address to listen on is refused.
- With a token each request carries it as `Authorization: Bearer …`. It is compared in constant time; a wrong
  or missing one is answered with 401, and reaches nothing else of the server. The token is never logged.
- A request names this machine in its `Host`, and no other site in its `Origin`; so a web page cannot reach
  the reports through a host name that it controls. A server bound to all addresses cannot know its names;
  there the token, which no such page has, protects the reports.
- The log goes to stderr. The server ends on SIGTERM and SIGINT, and gives running calls `GRACE_S`.

    $ living-reports serve --http 8765     # http://127.0.0.1:8765/mcp
"""

from __future__ import annotations

import hmac
import ipaddress
import signal
import sys
from typing import TYPE_CHECKING

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from living_reports.errors import InvalidInputError
from living_reports.server.app import MAX_MESSAGE_BYTES, build_server, log_to_stderr
from living_reports.settings import TOKEN_VARIABLE, Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

GRACE_S = 5
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
"""The names by which a client on this machine reaches the server, whatever address it is bound to."""
CHALLENGE = 'Bearer realm="living-reports"'


def serve_http(settings: Settings, port: int, *, host: str, token: str = "", name: str = "") -> None:
    """Serve on `http://<host>:<port>/mcp` until a signal ends it; with a token only those that send it.

    Raises:
        InvalidInputError: Other machines could connect, and there is no token.
        KeyboardInterrupt: SIGINT ended it.
        SystemExit: The address or the port is not available; the log says why.
    """
    require_token_beyond_this_machine(host, token)
    log_to_stderr()
    app = build_server(settings, name).streamable_http_app(
        transport_security=transport_security(host), max_request_body_size=MAX_MESSAGE_BYTES
    )
    config = uvicorn.Config(
        RequireToken(app, token) if token else app,
        host=host,
        port=port,
        ws="none",
        log_config=None,
        timeout_graceful_shutdown=GRACE_S,
    )
    # uvicorn raises the signal again once it is done; SIGTERM has to be a clean end then.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    access = "with a token" if token else "for this machine"
    print(
        f"living-reports: serving http://{in_url(host)}:{port}/mcp {access}, Ctrl-C ends it",
        file=sys.stderr,
        flush=True,
    )
    uvicorn.Server(config).run()


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


def transport_security(host: str) -> TransportSecuritySettings:
    """Return the allowed `Host` and `Origin` of a server bound to this host; ports may be forwarded."""
    address = _address(host)
    if address is not None and address.is_unspecified:
        return TransportSecuritySettings(enable_dns_rebinding_protection=False)
    names = [in_url(name) for name in dict.fromkeys((*THIS_MACHINE, host.lower()))]
    hosts = [pattern for name in names for pattern in (name, f"{name}:*")]
    return TransportSecuritySettings(
        allowed_hosts=hosts, allowed_origins=[f"http://{pattern}" for pattern in hosts]
    )


def in_url(host: str) -> str:
    """Return the host as part of a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


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
