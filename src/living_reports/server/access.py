"""Who may connect over HTTP: from where, by which name of this machine, with which token.

Rules:

- Without a token only this machine may connect: any other address to listen on is refused.
- A request names this machine in its `Host`, and comes from no page of another site in its `Origin`;
  so a web page cannot reach the reports through a name that it controls. Bound to all addresses the
  server cannot know its names; then the token, which no such page has, is what keeps pages out.
- With a token each request carries it as `Authorization: Bearer …`. It is compared in constant time; a
  wrong or missing one is answered with 401, and nothing else of the server is reached.

    >>> is_this_machine("127.0.0.1"), is_this_machine("0.0.0.0")
    (True, False)
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import TYPE_CHECKING

from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from living_reports.errors import InvalidInputError
from living_reports.settings import TOKEN_VARIABLE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
"""The names by which a client here calls the server, whatever address it is bound to."""
CHALLENGE = 'Bearer realm="living-reports"'


def require_token_beyond_this_machine(host: str, token: str) -> None:
    """Refuse to serve other machines without a token.

    Raises:
        InvalidInputError: The host is not this machine's own address, and there is no token.
    """
    if not token and not is_this_machine(host):
        raise InvalidInputError(
            f"Without a token only this machine may connect, and {host!r} lets others in.",
            hint=f"Give --token-file or {TOKEN_VARIABLE}, or leave --host out.",
            path="--host",
        )


def is_this_machine(host: str) -> bool:
    """Whether only this machine reaches what listens there. Names but localhost might lead anywhere."""
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def transport_security(host: str) -> TransportSecuritySettings:
    """What `Host` and `Origin` may name where the server is bound to this host. Ports may be forwarded."""
    address = _address(host)
    if address is not None and address.is_unspecified:
        return TransportSecuritySettings(enable_dns_rebinding_protection=False)
    names = [in_url(name) for name in dict.fromkeys((*THIS_MACHINE, host.lower()))]
    hosts = [pattern for name in names for pattern in (name, f"{name}:*")]
    return TransportSecuritySettings(
        allowed_hosts=hosts, allowed_origins=[f"http://{pattern}" for pattern in hosts]
    )


def in_url(host: str) -> str:
    """The host as a URL has it: an IPv6 address stands in brackets."""
    return f"[{host}]" if ":" in host else host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class RequireToken:
    """Lets requests with the token through to the application, and no others."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
