"""Serving many clients over streamable HTTP: on this machine, or with a token on others.

Rules: `access` says who may connect. The log is on stderr; the token is in none of it. It leaves
on SIGTERM and SIGINT, with `GRACE_SECONDS` for what is running.

    $ living-reports serve --http 8765     # http://127.0.0.1:8765/mcp
"""

from __future__ import annotations

import signal
import sys

import uvicorn

from living_reports.server.access import (
    RequireToken,
    in_url,
    require_token_beyond_this_machine,
    transport_security,
)
from living_reports.server.app import build_server, log_to_stderr
from living_reports.server.lines import MAX_LINE_BYTES
from living_reports.settings import Settings

GRACE_SECONDS = 5


def serve_http(settings: Settings, port: int, *, host: str, token: str = "", name: str = "") -> None:
    """Serve on `http://<host>:<port>/mcp` until a signal ends it; with a token only those who send it.

    Raises:
        InvalidInputError: Others than this machine could connect, and there is no token.
        KeyboardInterrupt: SIGINT ended it.
        SystemExit: The address or the port cannot be had; the log says why.
    """
    require_token_beyond_this_machine(host, token)
    log_to_stderr()
    app = build_server(settings, name).streamable_http_app(
        transport_security=transport_security(host), max_request_body_size=MAX_LINE_BYTES
    )
    config = uvicorn.Config(
        RequireToken(app, token) if token else app,
        host=host,
        port=port,
        ws="none",
        log_config=None,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    # uvicorn raises the signal again once it is done; SIGTERM is a clean end then, not a death.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    whom = "with a token" if token else "for this machine"
    print(
        f"living-reports: serving http://{in_url(host)}:{port}/mcp {whom}, Ctrl-C ends it",
        file=sys.stderr,
        flush=True,
    )
    uvicorn.Server(config).run()
