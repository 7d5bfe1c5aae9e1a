"""The MCP server: schemas, answers, refusals and transports; no logic.

`tools` describes the tools, `arguments` checks a call against them, `calls` passes it to the library, which
`worker` runs in threads. `app` declares all other requests and the modules that answer them; `stdio` and
`http` are the transports. The SDK is loaded by serving, not by the import of this package.

    serve_stdio(load_settings("/srv/reports"), name="nightly")
"""

from __future__ import annotations

from collections.abc import Sequence

from living_reports.settings import Settings


def serve_stdio(settings: Settings, name: str = "") -> None:
    """Serve one client over stdin and stdout; `name` precedes the client's name in the audit trail.

    Raises:
        KeyboardInterrupt: SIGINT ended it.
    """
    from living_reports.server import stdio

    stdio.serve_stdio(settings, name)


def serve_http(
    settings: Settings,
    port: int,
    *,
    host: str,
    token: str = "",
    name: str = "",
    origins: Sequence[str] = (),
) -> None:
    """Serve many clients over HTTP, at `http://<host>:<port>/mcp`; with a token only those that send it.

    Web pages of these origins may connect, too.

    Raises:
        InvalidInputError: Other machines could connect, and there is no token; or an origin is invalid.
        KeyboardInterrupt: SIGINT ended it.
        SystemExit: The address or the port is not available.
    """
    from living_reports.server import http

    http.serve_http(settings, port, host=host, token=token, name=name, origins=origins)


__all__ = ["serve_http", "serve_stdio"]
