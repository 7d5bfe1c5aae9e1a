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
from dataclasses import replace
from typing import Any

from living_reports.cli import show, show_history
from living_reports.cli.inputs import read_json, tool_arguments
from living_reports.cli.terminal import Terminal, sign_of_life
from living_reports.errors import CorruptReportError
from living_reports.library import Library
from living_reports.library.integrity import verify_report
from living_reports.library.requests import (
    AuditReport,
    CheckReport,
    CreateReport,
    DiffReport,
    GetReport,
    ListReports,
    RenderReport,
    RestoreReport,
    RevertReport,
    TrashReport,
    UpdateReport,
)
from living_reports.model.event import Author
from living_reports.settings import load_settings

Answer = dict[str, Any]
LARGEST_ANSWER = 200_000
"""How many characters of a report the library gives at once."""
FOUND = 1
"""The exit code of a check that found errors or warnings."""

Command = Callable[[Library, argparse.Namespace], Answer]
Show = Callable[[Terminal, Answer], None]


def run(options: argparse.Namespace) -> int:
    """Run one command that asks the library, and return its exit code.

    Raises:
        ReportError: The library refused.
    """
    settings = load_settings(options.root)
    library = Library(
        settings.root, lock_timeout_seconds=settings.lock_timeout_seconds, sources=settings.sources
    )
    command, present = COMMANDS[options.command]
    with sign_of_life(f"{options.command} {getattr(options, 'report', '')}".rstrip()):
        answer = command(library, options)
    if options.json:
        print(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))
    else:
        present(Terminal(sys.stdout), answer)
    return _exit_code(answer)


def _exit_code(answer: Answer) -> int:
    if not answer.get("verified", {}).get("ok", True):
        return CorruptReportError.exit_code
    return 0 if answer.get("ok", True) else FOUND


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
    from_reports = [*stated.pop("from_reports", []), *options.from_reports]
    names = ("title", "template", "reason", "request_id")
    stated |= {name: value for name in names if (value := getattr(options, name))}
    title = stated.pop("title", "")
    request = CreateReport(title, sections, tags, from_reports=from_reports, **stated)
    return library.create_report(request, author())


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
    return library.update_report(UpdateReport(options.report, _changes(options), **_write(options)), author())


def _revert(library: Library, options: argparse.Namespace) -> Answer:
    way = {name: getattr(options, name) for name in ("to_version", "undo", "item")}
    return library.revert_report(RevertReport(options.report, **way, **_write(options)), author())


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
        return library.get_report(GetReport(options.report, view=view, **asked))
    asked |= {"view": "markdown", "max_chars": LARGEST_ANSWER}
    return _whole(library.get_report, GetReport(options.report, **asked), "text")


def _whole(ask: Callable[[Any], Answer], request: Any, field: str) -> Answer:
    """All pages of an answer as one, for a person, who has no use for cursors."""
    answer = ask(request)
    while cursor := answer.pop("next_cursor", None):
        more = ask(replace(request, cursor=cursor))
        answer = more | {field: answer[field] + more[field]}
    return answer


def _list(library: Library, options: argparse.Namespace) -> Answer:
    names = ("query", "status", "cites", "stale", "sort", "limit", "cursor")
    return library.list_reports(
        ListReports(tags=options.tag, **{name: getattr(options, name) for name in names})
    )


def _audit(library: Library, options: argparse.Namespace) -> Answer:
    names = ("since", "item", "text", "actor", "action_type", "limit", "cursor")
    return library.audit_report(
        AuditReport(options.report, **{name: getattr(options, name) for name in names})
    )


def _diff(library: Library, options: argparse.Namespace) -> Answer:
    names = ("since", "to_version", "format")
    request = DiffReport(options.report, **{name: getattr(options, name) for name in names})
    if options.json or options.cursor:
        return library.diff_report(replace(request, cursor=options.cursor))
    if options.format == "text":
        return _whole(library.diff_report, request, "text")
    answer = _whole(library.diff_report, request, "changed")
    return answer | {"names": _names(library, answer)}


def _names(library: Library, answer: Answer) -> dict[str, str]:
    """What the sections and insights of a comparison are called: the answer itself has their ids only."""
    request = GetReport(
        answer["report_id"],
        view="summary",
        version=answer["to_version"],
        max_chars=LARGEST_ANSWER,
        status="all",
    )
    summary = _whole(library.get_report, request, "sections")
    insights = _whole(library.get_report, replace(request, view="insights"), "insights")["insights"]
    titles = {section["section_id"]: section["title"] for section in summary["sections"]}
    return titles | {insight["insight_id"]: insight["summary"] for insight in insights}


def _check(library: Library, options: argparse.Namespace) -> Answer:
    request = CheckReport(options.report, options.on, options.cursor)
    if options.json or options.cursor:
        return library.check_report(request)
    return _whole(library.check_report, request, "findings")


def _render(library: Library, options: argparse.Namespace) -> Answer:
    names = ("format", "version", "to_file")
    asked = {name: getattr(options, name) for name in names}
    return library.render_report(RenderReport(options.report, **asked), author())


def _verify(library: Library, options: argparse.Namespace) -> Answer:
    return verify_report(library.storage, options.report, options.expect)


def _delete(library: Library, options: argparse.Namespace) -> Answer:
    return library.trash_report(TrashReport(options.report, options.reason), author())


def _restore(library: Library, options: argparse.Namespace) -> Answer:
    return library.restore_report(RestoreReport(options.report), author())


COMMANDS: dict[str, tuple[Command, Show]] = {
    "create": (_create, show.created),
    "update": (_update, show.updated),
    "get": (_get, show.report),
    "list": (_list, show.reports),
    "revert": (_revert, show.updated),
    "audit": (_audit, show.events),
    "diff": (_diff, show_history.difference),
    "check": (_check, show_history.findings),
    "render": (_render, show_history.page),
    "verify": (_verify, show.verified),
    "delete": (_delete, show.deleted),
    "restore": (_restore, show.restored),
}
