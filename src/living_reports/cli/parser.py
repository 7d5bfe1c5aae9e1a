"""The command line: every command with its options.

Rules:

- The options of the commands that call a tool are generated from the tool's schema: the parameter
  `to_version` is the option `--to-version`, an array is an option that may be repeated, and descriptions
  become help. `OPTIONS` holds the exceptions, and the help that schemas leave out to stay small.
- An option that is not given is not stated in the request. Types are checked here, values by the library,
  whose errors name the allowed ones.

    >>> build_parser().parse_args(["get", "Log4j guidance", "--version", "3"]).version
    3
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from living_reports import __version__
from living_reports.printable import escape
from living_reports.server.tools import BY_NAME, Schema

ROOT_HELP = "folder of the reports (default: LIVING_REPORTS_ROOT, else the user data folder)"
DEMO_ROOT = "living-reports-demo"
CLIENTS = ["claude-desktop", "claude-code", "cursor", "vscode", "codex"]
EPILOG = """\
A report is named by its id, the beginning of its id, or its title; commands that only read
also accept a part of the title.

exit codes: 0 done, 1 check found errors or warnings, 2 correct the command, 3 not found,
            4 conflict with another change, 5 the report stayed locked,
            6 damaged files, or the disk refused
"""

Options = dict[str, Any]


class Parser(argparse.ArgumentParser):
    """A parser whose errors repeat the command line without its control characters."""

    def error(self, message: str) -> NoReturn:
        """Print the error, and exit with code 2."""
        super().error(escape(message))


TOOLS = {
    "create": "create a report",
    "update": "change a report; all changes apply, or none does",
    "get": "read a report, as it is or as it was",
    "list": "list the reports",
    "revert": "go back to an earlier version, or take one change back",
    "audit": "show who changed what, when and why, newest first",
    "diff": "show what changed between two versions, who did it and why",
    "check": "find what is stale, unproven or broken; exit code 1 if there is anything",
    "render": "make a page: Markdown, or one HTML file",
}
"""The commands that call a tool."""

OPTIONS: dict[str, Options] = {
    "create.title": {"flag": "title", "nargs": "?"},
    "create.sections": {"flag": "--section", "metavar": "TITLE", "help": "an empty section"},
    "create.template": {
        "metavar": "NAME",
        "help": "blank (default), analyst, deep_dive, incident, status, decision, or one of your own",
    },
    "create.from_reports": {
        "flag": "--from",
        "metavar": "REPORT",
        "help": "begin with a copy of this report",
    },
    "update.changes": {
        "flag": "--changes",
        "action": "store",
        "default": None,
        "metavar": "FILE",
        "help": "update_report's changes, a JSON array; - is stdin",
    },
    "get.sections": {"flag": "--section", "help": "only this section"},
    "get.insights": {"flag": "--insight", "help": "only this insight"},
    "get.find": {"help": "only sections and insights that contain this text"},
    "get.status": {"help": "status of the insights"},
    "get.stale": {"help": "only insights that are due for review"},
    "get.min_importance": {"help": "only insights of this importance or more"},
    "list.query": {"flag": "query", "nargs": "?"},
    "list.stale": {"help": "only reports with insights that are due for review"},
    "list.cites": {"metavar": "SOURCE"},
    "list.status": {"help": "default: active"},
    "list.sort": {"help": "default: relevance with a query, else updated"},
    "revert.to_version": {"help": "everything as it was at version N"},
    "revert.undo": {"metavar": "CHANGE"},
    "revert.item": {"help": "only this section with its insights, or this insight"},
    "diff.to_version": {"help": "up to version N"},
    "render.to_file": {"help": "into the report's folder; html and long pages always go there"},
    "report": {"flag": "report"},
    "tags": {"flag": "--tag"},
    "version": {"help": "as it was at version N"},
    "max_chars": {"help": "the longest answer, in characters"},
    "limit": {"help": "at most N rows (default: 20)"},
    "cursor": {"help": "continue where an earlier answer was cut"},
    "reason": {"help": "reason of the change, kept in the audit trail"},
    "request_id": {"metavar": "ID", "help": "makes a repeated command harmless"},
    "expected_version": {
        "help": "version that was read: later changes are merged, or the command is refused"
    },
    "dry_run": {"help": "show what would change, change nothing"},
    "since": {"metavar": "VERSION|TIME"},
    "action_type": {"metavar": "TYPE", "help": "create, evolve, revert, …"},
}
"""Exceptions for a parameter of one command, or of all: the flag, and arguments of `add_argument`."""

LEFT_OUT = {"audit.verify"}
"""Parameters that have a command of their own."""


def build_parser() -> Parser:
    """Return the parser of the command `living-reports`."""
    parser = Parser(
        prog="living-reports",
        description="Reports that agents and people keep accurate for months.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"living-reports {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")

    def add(name: str, summary: str) -> Parser:
        description = f"{summary[0].upper()}{summary[1:]}."
        return commands.add_parser(name, help=summary, description=description, allow_abbrev=False)

    _serve(add("serve", "serve the tools over MCP, on stdin and stdout"))
    for name, summary in TOOLS.items():
        _tool(add(name, summary), name)
    for name, summary, complete in OTHERS:
        complete(add(name, summary))
    return parser


# --- Commands that call a tool -------------------------------------------------------------


def _tool(parser: Parser, name: str) -> None:
    _root(parser)
    [tool] = [tool for tool in BY_NAME if tool.startswith(f"{name}_")]
    parser.set_defaults(tool=tool)
    way = parser.add_mutually_exclusive_group(required=True) if name == "revert" else parser
    for parameter, schema in BY_NAME[tool]["inputSchema"]["properties"].items():
        if f"{name}.{parameter}" not in LEFT_OUT:
            is_way = parameter in ("to_version", "undo")
            _option(way if is_way else parser, parameter, schema, f"{name}.{parameter}")
    if name == "create":
        parser.add_argument(
            "--json-input", metavar="FILE", help="create_report's arguments, a JSON object; - is stdin"
        )
    if name == "update":
        parser.add_argument("--set-title", default="", metavar="TITLE")
        parser.add_argument("--set-status", default="", metavar="STATUS", help="active, archived or deleted")
        for flag in ("--add-tag", "--remove-tag"):
            parser.add_argument(flag, action="append", default=[], metavar="TAG", help="may be repeated")
    _json(parser)


def _option(parser: argparse._ActionsContainer, name: str, schema: Schema, key: str) -> None:
    """Add the option of one parameter of a tool."""
    known: Options = {"help": schema.get("description")} | OPTIONS.get(name, {}) | OPTIONS.get(key, {})
    flag: str = known.pop("flag", f"--{name.replace('_', '-')}")
    match schema["type"]:
        case "boolean":
            options: Options = {"action": "store_true"}
        case "integer":
            options = {"type": int, "default": 0, "metavar": "N"}
        case "array":
            options = {"action": "append", "default": [], "metavar": flag.lstrip("-").upper()}
            known["help"] = "; ".join(filter(None, [known.get("help"), "may be repeated"]))
        case _:
            options = {"default": ""}
            if "enum" in schema:
                options["metavar"] = f"{{{','.join(schema['enum'])}}}"
    if known.get("action") == "store":
        known["help"] = known["help"].removesuffix("; may be repeated")
    if not flag.startswith("-"):
        options = {name: value for name, value in options.items() if known.get("nargs") and name == "default"}
        parser.add_argument(flag, **options, **known)
    else:
        parser.add_argument(flag, dest=name, **options | known)


# --- Other commands ------------------------------------------------------------------------


def _root(parser: Parser, default: str = "", text: str = ROOT_HELP) -> None:
    parser.add_argument("--root", default=default, metavar="DIR", help=text)


def _json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="the whole answer as one line of JSON")


def _serve(parser: Parser) -> None:
    _root(parser)
    parser.add_argument("--http", type=int, metavar="PORT", help="serve streamable HTTP instead")
    parser.add_argument(
        "--host",
        default="",
        metavar="ADDRESS",
        help="with --http: the address to listen on (default: 127.0.0.1; any other needs a token)",
    )
    parser.add_argument(
        "--token-file",
        default="",
        metavar="FILE",
        help="with --http: serve only clients that send the token in it (default: LIVING_REPORTS_TOKEN)",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="with --http: web pages of this origin may connect, too; may be repeated "
        "(default: LIVING_REPORTS_ALLOWED_ORIGINS, with blanks between them)",
    )
    parser.add_argument("--as", dest="name", default="", metavar="NAME", help="author name to record")


def _report(parser: Parser) -> None:
    _root(parser)
    parser.add_argument("report")
    _json(parser)


def _verify(parser: Parser) -> None:
    _report(parser)
    parser.add_argument(
        "--expect",
        default="",
        metavar="VERSION:HASH",
        help="a version and the head noted elsewhere at that version: the history must still lead there",
    )


def _delete(parser: Parser) -> None:
    _report(parser)
    parser.add_argument("--reason", default="", help="reason of the change, kept in the audit trail")


def _import(parser: Parser) -> None:
    _root(parser)
    parser.add_argument(
        "path",
        help="a directory with by_id/, a Markdown file or a folder of them, or a file that export wrote",
    )
    _json(parser)


def _export(parser: Parser) -> None:
    _report(parser)
    parser.add_argument(
        "--output",
        default="",
        metavar="FILE",
        help="a new file (default: REPORT-ID.report.tar in the current folder)",
    )


def _doctor(parser: Parser) -> None:
    _root(parser)
    parser.add_argument(
        "--repair", action="store_true", help="repair what can be repaired without guessing, then check again"
    )
    parser.add_argument("--deep", action="store_true", help="also read back every version of every report")
    _json(parser)


def _client(parser: Parser) -> None:
    parser.add_argument("client", choices=CLIENTS, metavar="CLIENT", help=", ".join(CLIENTS))
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")


def _install(parser: Parser) -> None:
    _root(parser)
    _client(parser)


def _demo(parser: Parser) -> None:
    _root(parser, DEMO_ROOT, f"folder of its reports (default: {DEMO_ROOT} in the current folder)")


OTHERS: tuple[tuple[str, str, Callable[[Parser], None]], ...] = (
    ("verify", "check the whole history of a report; exit code 6 if anything is wrong", _verify),
    ("delete", "move a report to the trash", _delete),
    ("restore", "bring a report back from the trash", _report),
    (
        "import",
        "import another reports directory, an exported report, or Markdown with its git history",
        _import,
    ),
    ("export", "write a report and its whole history into one file", _export),
    ("doctor", "check all reports, the catalogue and the trash; exit code 6 if anything is wrong", _doctor),
    ("install", "add this server to the configuration of an MCP client", _install),
    ("uninstall", "remove this server from the configuration of an MCP client", _client),
    ("demo", "keep a report about this Python environment, through a real client and server", _demo),
)
"""The commands that call no tool: name, summary, and the function that adds the options."""
