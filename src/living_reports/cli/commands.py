"""The commands that call the library, and how their answers are shown.

Rules: a command passes on its options; the library judges them. A change is recorded under actor `cli`,
with the login name as the client, and as the user unless the settings state another one.

    >>> run(build_parser().parse_args(["list", "--tag", "security"]))
    0
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from living_reports.cli import show, show_history
from living_reports.cli.terminal import Terminal, print_json, progress_indicator
from living_reports.errors import CorruptReportError, InvalidInputError
from living_reports.library import Library
from living_reports.library.integrity import verify_report
from living_reports.library.requests import BY_TOOL, CreateReport, GetReport, RestoreReport, TrashReport
from living_reports.model.event import Author
from living_reports.model.selectors import name_line
from living_reports.regular_files import read_regular
from living_reports.server.arguments import check_arguments
from living_reports.server.tools import BY_NAME
from living_reports.settings import load_settings, load_user, login

Answer = dict[str, Any]
LARGEST_ANSWER = 200_000
"""The most characters of a report that the library gives at once."""
FOUND = 1
"""The exit code of a check that found errors or warnings."""

Command = Callable[[Library, argparse.Namespace], Answer]
Show = Callable[[Terminal, Answer], None]


def run(options: argparse.Namespace) -> int:
    """Run one command that calls the library, and return its exit code.

    Raises:
        ReportError: The library refused.
    """
    library = open_library(options.root)
    command, present = COMMANDS[options.command]
    with progress_indicator(f"{options.command} {getattr(options, 'report', '')}".rstrip()):
        answer = command(library, options)
    if options.json:
        print_json(answer)
    else:
        present(Terminal(sys.stdout), answer)
    if not answer.get("verified", {}).get("ok", True):
        return CorruptReportError.exit_code
    return 0 if answer.get("ok", True) else FOUND


def open_library(root: str) -> Library:
    """Return the library over the reports in a folder, with the settings of the environment."""
    settings = load_settings(root)
    return Library(settings.root, lock_timeout_s=settings.lock_timeout_s, sources=settings.sources)


def author() -> Author:
    """Return the author of changes on the command line.

    Raises:
        InvalidInputError: The settings state no usable name.
    """
    return Author("cli", name_line(login()), name_line(load_user() or login()))


def _request(options: argparse.Namespace, **more: Any) -> Any:
    """Return the request that the options state; `more` wins."""
    request = BY_TOOL[options.tool]
    names = {field.name for field in fields(request)}
    return request(**{name: value for name, value in vars(options).items() if name in names} | more)


def _read(library: Library, options: argparse.Namespace) -> Answer:
    answer: Answer = getattr(library, options.tool)(_request(options))
    return answer


def _write(library: Library, options: argparse.Namespace) -> Answer:
    answer: Answer = getattr(library, options.tool)(_request(options), author())
    return answer


def _create(library: Library, options: argparse.Namespace) -> Answer:
    stated = _json_input(options) if options.json_input else {}
    sections = [*stated.pop("sections", []), *({"title": title} for title in options.sections)]
    stated |= {name: [*stated.get(name, []), *getattr(options, name)] for name in ("tags", "from_reports")}
    names = ("title", "template", "reason", "dry_run", "request_id")
    stated |= {name: value for name in names if (value := getattr(options, name))}
    return library.create_report(CreateReport(stated.pop("title", ""), sections, **stated), author())


def _json_input(options: argparse.Namespace) -> Answer:
    data = read_json(options.json_input, "--json-input")
    if not isinstance(data, dict):
        raise InvalidInputError(
            "--json-input must be a JSON object.",
            hint='Give create_report\'s arguments, such as {"title": "Health"}.',
            path="--json-input",
        )
    title = options.title or data.get("title")
    return check_arguments(BY_NAME["create_report"], data | {"title": title})


def _update(library: Library, options: argparse.Namespace) -> Answer:
    changes = read_json(options.changes, "--changes") if options.changes else []
    flags: list[tuple[str, str, Any]] = [
        ("set_title", "title", options.set_title),
        ("set_status", "status", options.set_status),
        ("add_tags", "tags", options.add_tag),
        ("remove_tags", "tags", options.remove_tag),
    ]
    stated = [{"op": op, field: value} for op, field, value in flags if value]
    changes = [changes] if isinstance(changes, dict) else changes
    changes = [*changes, *stated] if isinstance(changes, list) else changes
    return library.update_report(_request(options, changes=changes), author())


def _get(library: Library, options: argparse.Namespace) -> Answer:
    request: GetReport = _request(options)
    if not (request.view or options.json or request.sections or request.insights or request.find):
        request = replace(request, view="markdown")
    if request.view != "markdown" or options.json or request.max_chars or request.cursor:
        return library.get_report(request)
    return _whole(library.get_report, replace(request, max_chars=LARGEST_ANSWER), "text")


def _diff(library: Library, options: argparse.Namespace) -> Answer:
    request = _request(options)
    if options.json or request.cursor:
        return library.diff_report(request)
    if request.format == "text":
        return _whole(library.diff_report, request, "text")
    answer = _whole(library.diff_report, request, "changed")
    return answer | {"names": _names(library, answer)}


def _names(library: Library, answer: Answer) -> dict[str, str]:
    """Return the titles and summaries of the items in a comparison by their ids."""
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
    request = _request(options)
    if options.json or request.cursor:
        return library.check_report(request)
    return _whole(library.check_report, request, "findings")


def _whole(method: Callable[[Any], Answer], request: Any, field: str) -> Answer:
    """Return all pages of an answer as one: a person has no use for cursors."""
    answer = method(request)
    while cursor := answer.pop("next_cursor", None):
        more = method(replace(request, cursor=cursor))
        answer = more | {field: answer[field] + more[field]}
    return answer


def read_json(file: str, option: str) -> Any:
    """Return the JSON in a file; `-` is stdin.

    Raises:
        InvalidInputError: The file cannot be read, or is not JSON.
    """
    try:
        text = sys.stdin.read() if file == "-" else read_regular(file).decode("utf-8-sig")
        return json.loads(text.removeprefix("\ufeff"))
    except OSError as error:
        raise InvalidInputError(
            f"{option}: {file} cannot be read: {error.strerror}.",
            hint="Give a file, or - for stdin.",
            path=option,
        ) from error
    except ValueError as error:
        raise InvalidInputError(
            f"{option}: {'stdin' if file == '-' else file} is not JSON: {error}.",
            hint="Give JSON in UTF-8, as the tool takes it.",
            path=option,
        ) from error


COMMANDS: dict[str, tuple[Command, Show]] = {
    "create": (_create, show.created),
    "update": (_update, show.updated),
    "get": (_get, show.report),
    "list": (_read, show.reports),
    "revert": (_write, show.updated),
    "audit": (_read, show.events),
    "diff": (_diff, show_history.difference),
    "check": (_check, show_history.findings),
    "render": (_read, show_history.page),
    "verify": (
        lambda library, options: verify_report(library.store, options.report, options.expect),
        show.verified,
    ),
    "delete": (
        lambda library, options: library.trash_report(TrashReport(options.report, options.reason), author()),
        show.deleted,
    ),
    "restore": (
        lambda library, options: library.restore_report(RestoreReport(options.report), author()),
        show.restored,
    ),
}
