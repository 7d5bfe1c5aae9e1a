"""The command line: every command, its arguments and their types.

Rules: an option that names a tool's parameter has the parameter's name with hyphens. What
is not given is not stated. Types are checked here, values by the library.

    >>> build_parser().parse_args(["get", "Log4j guidance", "--version", "3"]).version
    3
"""

from __future__ import annotations

import argparse

from living_reports import __version__
from living_reports.render import FORMATS

ROOT_HELP = "where the reports are (default: LIVING_REPORTS_ROOT, else the user data folder)"
DEMO_ROOT = "living-reports-demo"
CLIENTS = ["claude-desktop", "claude-code", "cursor", "vscode", "codex"]
VIEWS = ["summary", "sections", "insights", "full", "markdown"]
EPILOG = """\
A report is named by its id, the beginning of its id, or its title; commands that only read
also take a part of a title.

exit codes: 0 done, 1 check found errors or warnings, 2 mend the command, 3 no such thing,
            4 somebody else changed the same, 5 the report stayed locked,
            6 damaged files or a disk that refused
"""

Commands = argparse._SubParsersAction  # argparse has no public name for it


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command `living-reports`."""
    parser = argparse.ArgumentParser(
        prog="living-reports",
        description="Reports that agents and people keep true for months.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"living-reports {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")
    for add in COMMANDS:
        add(commands)
    return parser


def _command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    summary: str,
    root: str = "",
    root_help: str = ROOT_HELP,
    has_root: bool = True,
) -> argparse.ArgumentParser:
    description = f"{summary[0].upper()}{summary[1:]}."
    parser = commands.add_parser(name, help=summary, description=description, allow_abbrev=False)
    if has_root:
        parser.add_argument("--root", default=root, metavar="DIR", help=root_help)
    return parser


def _json_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the whole answer as one line of JSON")


def _paging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="at most so many (default: 20)")
    parser.add_argument("--cursor", default="", help="go on where an earlier answer was cut")


def _writing(parser: argparse.ArgumentParser, *, versioned: bool) -> None:
    parser.add_argument("--reason", default="", help="why; kept in the audit trail")
    parser.add_argument("--request-id", default="", metavar="ID", help="makes a repeated command harmless")
    if versioned:
        parser.add_argument(
            "--expected-version",
            type=int,
            default=0,
            metavar="N",
            help="the version that was read: later changes are merged, or the command is refused",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would change, change nothing")
    _json_flag(parser)


def _serve(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "serve", "serve the tools over MCP, on stdin and stdout")
    parser.add_argument("--http", type=int, metavar="PORT", help="serve streamable HTTP instead")
    parser.add_argument(
        "--host",
        default="",
        metavar="ADDRESS",
        help="with --http: where to listen (default: 127.0.0.1; any other needs a token)",
    )
    parser.add_argument(
        "--token-file",
        default="",
        metavar="FILE",
        help="with --http: serve only those who send the token in it (default: LIVING_REPORTS_TOKEN)",
    )
    parser.add_argument("--as", dest="name", default="", metavar="NAME", help="whom changes are by")


def _create(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "create", "create a report")
    parser.add_argument("title", nargs="?", default="", help="its title")
    parser.add_argument(
        "--section", action="append", default=[], metavar="TITLE", help="an empty section; may be repeated"
    )
    parser.add_argument("--tag", action="append", default=[], help="a tag; may be repeated")
    parser.add_argument(
        "--template",
        default="",
        metavar="NAME",
        help="blank (default), analyst, deep_dive, incident, status, decision, or one of your own",
    )
    parser.add_argument(
        "--from",
        dest="from_reports",
        action="append",
        default=[],
        metavar="REPORT",
        help="begin with a copy of this report; repeated, with all of them",
    )
    parser.add_argument(
        "--json-input", metavar="FILE", help="create_report's arguments, a JSON object; - is stdin"
    )
    _writing(parser, versioned=False)


def _update(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "update", "change a report; all changes apply, or none does")
    parser.add_argument("report")
    parser.add_argument("--changes", metavar="FILE", help="update_report's changes, a JSON array; - is stdin")
    parser.add_argument("--set-title", default="", metavar="TITLE")
    parser.add_argument("--set-status", default="", metavar="STATUS", help="active, archived or deleted")
    parser.add_argument("--add-tag", action="append", default=[], metavar="TAG", help="may be repeated")
    parser.add_argument("--remove-tag", action="append", default=[], metavar="TAG", help="may be repeated")
    _writing(parser, versioned=True)


def _get(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "get", "read a report, as it is or as it was")
    parser.add_argument("report")
    parser.add_argument("--view", choices=VIEWS, help="default: markdown, or what the filters ask for")
    parser.add_argument("--version", type=int, default=0, metavar="N", help="as it was at version N")
    parser.add_argument(
        "--section", action="append", default=[], metavar="NAME", help="only this section; may be repeated"
    )
    parser.add_argument(
        "--insight", action="append", default=[], metavar="NAME", help="only this insight; may be repeated"
    )
    parser.add_argument("--find", default="", metavar="TEXT", help="only what contains this text")
    parser.add_argument("--min-importance", type=int, default=0, metavar="N")
    parser.add_argument("--status", default="", help="of the insights: active, archived, killed or all")
    parser.add_argument("--stale", action="store_true", help="only insights that are due for review")
    parser.add_argument("--max-chars", type=int, default=0, metavar="N", help="how long an answer may be")
    parser.add_argument("--cursor", default="", help="go on where an earlier answer was cut")
    _json_flag(parser)


def _list(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "list", "list the reports")
    parser.add_argument("query", nargs="?", default="", help='words to look for: word, "a phrase", begin*')
    parser.add_argument("--tag", action="append", default=[], help="only with this tag; may be repeated")
    parser.add_argument("--status", default="", help="active (default), archived, deleted or all")
    parser.add_argument(
        "--cites",
        default="",
        metavar="SOURCE",
        help="that depend on this source: a part of a url, path, title",
    )
    parser.add_argument("--stale", action="store_true", help="with insights that are due for review")
    parser.add_argument(
        "--sort", default="", help="relevance (default with a query), updated, created or title"
    )
    _paging(parser)
    _json_flag(parser)


def _revert(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "revert", "go back to an earlier version, or take one change back")
    parser.add_argument("report")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--to-version", type=int, default=0, metavar="N", help="all as it was at version N")
    way.add_argument(
        "--undo",
        default="",
        metavar="CHANGE",
        help="take back this change alone: a version, a range such as 14-17, or an action id",
    )
    parser.add_argument(
        "--item", default="", metavar="NAME", help="only this section with its insights, or this insight"
    )
    _writing(parser, versioned=True)


def _audit(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "audit", "show who changed what, when and why, newest first")
    parser.add_argument("report")
    parser.add_argument("--since", default="", metavar="VERSION|TIME", help="after this version or time")
    parser.add_argument(
        "--item", default="", metavar="NAME", help="who last changed this, and what touched it"
    )
    parser.add_argument("--text", default="", help="only what brought or took this text")
    parser.add_argument("--actor", default="", help="cli, agent, human, or a client's name")
    parser.add_argument("--action-type", default="", metavar="TYPE", help="create, evolve, revert, …")
    _paging(parser)
    _json_flag(parser)


def _diff(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "diff", "show what changed between two versions, who did it and why")
    parser.add_argument("report")
    parser.add_argument(
        "--since",
        default="",
        metavar="VERSION|TIME",
        help="after this version or time (default: the last change)",
    )
    parser.add_argument("--to-version", type=int, default=0, metavar="N", help="up to version N")
    parser.add_argument("--format", default="", help="changes (default), or text: a unified diff")
    parser.add_argument("--cursor", default="", help="go on where an earlier answer was cut")
    _json_flag(parser)


def _check(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "check", "find what is stale, unproven or broken; 1 if a report needs care")
    parser.add_argument("report")
    parser.add_argument("--on", default="", metavar="DAY", help="as of this day (default: today, in UTC)")
    parser.add_argument("--cursor", default="", help="go on where an earlier answer was cut")
    _json_flag(parser)


def _render(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "render", "make a page: Markdown, or one HTML file")
    parser.add_argument("report")
    parser.add_argument("--format", default="", help=f"{', '.join(FORMATS)}; the first is the default")
    parser.add_argument("--version", type=int, default=0, metavar="N", help="as it was at version N")
    parser.add_argument(
        "--to-file", action="store_true", help="into the report's folder; html and long pages always go there"
    )
    _json_flag(parser)


def _verify(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "verify", "check the whole history of a report; 6 if anything is wrong")
    parser.add_argument("report")
    parser.add_argument(
        "--expect",
        default="",
        metavar="VERSION:HASH",
        help="the head noted elsewhere when the report was at this version: it must still lead there",
    )
    _json_flag(parser)


def _delete(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "delete", "move a report to the trash")
    parser.add_argument("report")
    parser.add_argument("--reason", default="", help="why; kept in the audit trail")
    _json_flag(parser)


def _restore(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "restore", "bring a report back from the trash")
    parser.add_argument("report")
    _json_flag(parser)


def _import(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "import another reports directory, an exported report, or Markdown with its git history"
    parser = _command(commands, "import", summary)
    parser.add_argument(
        "path", help="a directory with by_id/, a Markdown file or a folder of them, or what export wrote"
    )
    _json_flag(parser)


def _export(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "export", "write a report and its whole history into one file")
    parser.add_argument("report")
    parser.add_argument(
        "--output", default="", metavar="FILE", help="a new file (default: REPORT-ID.report.tar, right here)"
    )
    _json_flag(parser)


def _doctor(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands, "doctor", "check all reports, the index and the trash; 6 if anything is wrong"
    )
    parser.add_argument(
        "--repair", action="store_true", help="mend what can be mended without guessing, then check again"
    )
    parser.add_argument("--deep", action="store_true", help="also read back every version of every report")
    _json_flag(parser)


def _install(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "install", "add this server to the configuration of an MCP client")
    _editing(parser)


def _uninstall(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "take this server out of the configuration of an MCP client"
    _editing(_command(commands, "uninstall", summary, has_root=False))


def _editing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client", choices=CLIENTS, metavar="CLIENT", help=", ".join(CLIENTS))
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")


def _demo(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "keep a report about this Python environment, through a real client and server"
    _command(
        commands, "demo", summary, root=DEMO_ROOT, root_help=f"its reports (default: {DEMO_ROOT}, right here)"
    )


COMMANDS = (
    _serve,
    _create,
    _update,
    _get,
    _list,
    _revert,
    _audit,
    _diff,
    _check,
    _render,
    _verify,
    _delete,
    _restore,
    _import,
    _export,
    _doctor,
    _install,
    _uninstall,
    _demo,
)
"""What adds each command, in the order of the help."""
