"""Serving many clients over streamable HTTP, on this machine only.

Rules: it binds to the loopback address and refuses requests that name another host or come
from another origin, so that a web page cannot reach the reports by a name that it controls.
There is no authentication: whoever may open a local port may use the tools. The log is on
stderr. It leaves on SIGTERM and SIGINT, with `GRACE_SECONDS` for what is running.

    $ living-reports serve --http 8765     # http://127.0.0.1:8765/mcp
"""

from __future__ import annotations

import signal
import sys

import uvicorn

from living_reports.server.app import build_server, log_to_stderr
from living_reports.server.lines import MAX_LINE_BYTES
from living_reports.settings import Settings

HOST = "127.0.0.1"
GRACE_SECONDS = 5


def serve_http(settings: Settings, port: int, name: str = "") -> None:
    """Serve on `http://127.0.0.1:<port>/mcp` until a signal ends it.

    Raises:
        KeyboardInterrupt: SIGINT ended it.
        SystemExit: The port cannot be had; the log says why.
    """
    log_to_stderr()
    app = build_server(settings, name).streamable_http_app(host=HOST, max_request_body_size=MAX_LINE_BYTES)
    config = uvicorn.Config(
        app, host=HOST, port=port, log_config=None, timeout_graceful_shutdown=GRACE_SECONDS
    )
    # uvicorn raises the signal again once it is done; SIGTERM is a clean end then, not a death.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    print(f"living-reports: serving http://{HOST}:{port}/mcp, Ctrl-C ends it", file=sys.stderr, flush=True)
    uvicorn.Server(config).run()
