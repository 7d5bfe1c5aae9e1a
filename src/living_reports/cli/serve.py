"""`living-reports serve`: hands over to the server, having loaded nothing else."""

from __future__ import annotations

import argparse

from living_reports.settings import load_settings


def run(options: argparse.Namespace) -> int:
    """Serve until the client goes away; 0 at a clean end."""
    from living_reports import server

    settings = load_settings(options.root)
    if options.http is not None:
        server.serve_http(settings, options.http, name=options.name)
    else:
        server.serve_stdio(settings, name=options.name)
    return 0
