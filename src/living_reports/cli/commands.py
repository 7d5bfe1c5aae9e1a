"""What each command asks of the library, and how its answer is shown.

Rules: a command only hands on what it was given; the library judges it. A change is
recorded under actor `cli` and the user's name.

    >>> run(build_parser().parse_args(["list", "--tag", "security"]))
    0
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from typing import Any

from living_reports.cli import show
from living_reports.cli.inputs import read_json, tool_arguments
from living_reports.errors import CorruptReportError
from living_reports.library import Library
from living_reports.models import Author
from living_reports.settings import load_settings
from living_reports.terminal import Terminal, sign_of_life

Answer = dict[str, Any]
LARGEST_ANSWER = 200_000
"""How many characters of a report the library gives at once."""

Command = Callable[[Library, argparse.Namespace], Answer]
Show = Callable[[Terminal, Answer], None]


def run(options: argparse.Namespace) -> int:
    """Run one command that asks the library, and return its exit code.

    Raises:
        ReportError: The library refused.
    """
    settings = load_settings(options.root)
    library = Library(settings.root, lock_timeout_seconds=settings.lock_timeout_seconds)
    command, present = COMMANDS[options.command]
    with sign_of_life(f"{options.command} {getattr(options, 'report', '')}".rstrip()):
        answer = command(library, options)
    if options.json:
        print(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))
    else:
        present(Terminal(sys.stdout), answer)
    return 0 if answer.get("verified", {}).get("ok", True) else CorruptReportError.exit_code


def author() -> Author:
    """Who a change on the command line is by: the user."""
    try:
        return Author("cli", getpass.getuser())
    except (KeyError, OSError):  # a container's user id may have no name
        return Author("cli")


def _create(library: Library, options: argparse.Namespace) -> Answer:
    stated = tool_arguments(read_json(options.json_input, "--json-input")) if options.json_input else {}
    sections = [*stated.pop("sections", []), *({"title": title} for title in options.section)]
    tags = [*stated.pop("tags", []), *options.tag]
    given = {"title": options.title, "reason": options.reason, "request_id": options.request_id}
    stated |= {name: value for name, value in given.items() if value}
    title = stated.pop("title", "")
    return library.create_report(title, sections=sections, tags=tags, **stated, author=author())


def _changes(options: argparse.Namespace) -> Any:
    changes = read_json(options.changes, "--changes") if options.changes else []
    flags: list[tuple[str, str, Any]] = [
        ("set_title", "title", options.set_title),
        ("set_status", "status", options.set_status),
        ("add_tags", "tags", options.add_tag),
        ("remove_tags", "tags", options.remove_tag),
    ]
    asked = [{"op": op, field: value} for op, field, value in flags if value]
    return [*changes, *asked] if isinstance(changes, list) else changes


def _update(library: Library, options: argparse.Namespace) -> Answer:
    return library.update_report(options.report, _changes(options), **_write(options), author=author())


def _revert(library: Library, options: argparse.Namespace) -> Answer:
    return library.revert_report(options.report, options.to_version, **_write(options), author=author())


def _write(options: argparse.Namespace) -> dict[str, Any]:
    names = ("reason", "expected_version", "dry_run", "request_id")
    return {name: getattr(options, name) for name in names}


def _get(library: Library, options: argparse.Namespace) -> Answer:
    names = ("version", "find", "min_importance", "status", "stale", "max_chars", "cursor")
    narrowed = options.json or options.section or options.insight or options.find
    asked: dict[str, Any] = {name: getattr(options, name) for name in names}
    asked |= {"sections": options.section, "insights": options.insight}
    view = options.view or ("" if narrowed else "markdown")
    if view != "markdown" or options.json or options.max_chars or options.cursor:
        return library.get_report(options.report, view=view, **asked)
    return _whole_page(library, options.report, asked)


def _whole_page(library: Library, report: str, asked: dict[str, Any]) -> Answer:
    """The report as one page for a person, who has no use for cursors."""
    asked |= {"view": "markdown", "max_chars": LARGEST_ANSWER}
    answer = library.get_report(report, **asked)
    while cursor := answer.pop("next_cursor", None):
        more = library.get_report(report, **asked | {"cursor": cursor})
        answer = more | {"text": answer["text"] + more["text"]}
    return answer


def _list(library: Library, options: argparse.Namespace) -> Answer:
    names = ("query", "status", "sort", "limit", "cursor")
    return library.list_reports(tags=options.tag, **{name: getattr(options, name) for name in names})


def _audit(library: Library, options: argparse.Namespace) -> Answer:
    names = ("since", "item", "text", "actor", "action_type", "limit", "cursor")
    return library.audit_report(options.report, **{name: getattr(options, name) for name in names})


def _verify(library: Library, options: argparse.Namespace) -> Answer:
    return library.audit_report(options.report, verify=True)


def _delete(library: Library, options: argparse.Namespace) -> Answer:
    return library.delete_report(options.report, options.reason, author=author())


def _restore(library: Library, options: argparse.Namespace) -> Answer:
    return library.restore_report(options.report, author=author())


COMMANDS: dict[str, tuple[Command, Show]] = {
    "create": (_create, show.created),
    "update": (_update, show.updated),
    "get": (_get, show.report),
    "list": (_list, show.reports),
    "revert": (_revert, show.updated),
    "audit": (_audit, show.events),
    "verify": (_verify, show.verified),
    "delete": (_delete, show.deleted),
    "restore": (_restore, show.restored),
}
