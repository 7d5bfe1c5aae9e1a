"""`living-reports serve`: start the server; nothing else is loaded."""

from __future__ import annotations

import argparse

from living_reports.errors import InvalidInputError
from living_reports.settings import load_origins, load_settings, load_token

LOCALHOST = "127.0.0.1"


def run(options: argparse.Namespace) -> int:
    """Serve until the client leaves or a signal arrives; return 0 at a clean end.

    Raises:
        InvalidInputError: An option or a variable is invalid.
        KeyboardInterrupt: SIGINT ended it.
    """
    from living_reports import server

    settings = load_settings(options.root)
    if options.http is None:
        _refuse_http_options(options)
        server.serve_stdio(settings, name=options.name)
    else:
        server.serve_http(
            settings,
            options.http,
            host=options.host or LOCALHOST,
            token=load_token(options.token_file),
            name=options.name,
            origins=load_origins(options.allow_origin),
        )
    return 0


def _refuse_http_options(options: argparse.Namespace) -> None:
    given = {
        "--host": options.host,
        "--token-file": options.token_file,
        "--allow-origin": options.allow_origin,
    }
    for path, value in given.items():
        if value:
            raise InvalidInputError(f"{path} only works with --http.", hint="Add --http PORT.", path=path)
