"""The MCP face of the library: schemas, answers, refusals and transports; no logic.

Rules: `tools` says what there is, `arguments` checks a call against it, `calls` carries it over
the `desk` to the library and back; `app` says what else is answered, and by which module;
`stdio` and `http` move the bytes. The SDK is loaded by what serves, not by the import of this package.

    serve_stdio(load_settings("/srv/reports"), name="nightly")
"""

from __future__ import annotations

from living_reports.settings import Settings


def serve_stdio(settings: Settings, name: str = "") -> None:
    """Serve one client over stdin and stdout; `name` goes in front of the client's in the audit trail.

    Raises:
        KeyboardInterrupt: SIGINT ended it.
    """
    from living_reports.server import stdio

    stdio.serve_stdio(settings, name)


def serve_http(settings: Settings, port: int, *, host: str, token: str = "", name: str = "") -> None:
    """Serve many clients over HTTP, at `http://<host>:<port>/mcp`; with a token only those who send it.

    Raises:
        InvalidInputError: Others than this machine could connect, and there is no token.
        KeyboardInterrupt: SIGINT ended it.
        SystemExit: The address or the port cannot be had.
    """
    from living_reports.server import http

    http.serve_http(settings, port, host=host, token=token, name=name)


__all__ = ["serve_http", "serve_stdio"]
