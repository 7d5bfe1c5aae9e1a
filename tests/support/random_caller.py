"""A process that makes random calls on reports at the same time as others, and records the answers.

    python -m support.random_caller ROOT HOW NAME SECONDS REPORT…

`HOW` is `library`, `server` (a server of its own over stdio) or `cli` (a command for each call). It
prints `ready`, waits for a line, works for so long, and prints its acts as one line of JSON. Times
are `time.monotonic_ns`, which on one machine is the same clock for all processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from living_reports.errors import ReportError
from living_reports.library import Library
from living_reports.library.requests import BY_TOOL
from living_reports.model.event import Author
from support.wire import environment, start_server, tool_call

SECTION = "Lines"
Answer = dict[str, Any]
Ask = Callable[..., Answer]


@dataclass
class Call:
    """One call and its answer.

    Attributes:
        start, end: When it was sent and when it was answered, in nanoseconds.
        token: The reason it gave: no other call has the same.
        what: `create`, `append`, `revert`, `status`, `read` or `list`; `nothing` if it altered nothing.
        says: The text added, the version gone back to, or the status.
        version: What was answered; 0 if it was refused.
        shown: What a read showed of the section; of a list, the version of each report.
    """

    start: int
    end: int
    token: str
    what: str
    report: str
    says: str = ""
    version: int = 0
    refused: str = ""
    shown: str = ""
    listed: dict[str, int] = field(default_factory=dict)


class RandomCaller:
    """Makes random calls and records them."""

    def __init__(self, ask: Ask, name: str, reports: list[str]) -> None:
        self._ask = ask
        self._name = name
        self._reports = reports
        self._random = Random(name)
        self._numbers = count(1)
        self._seen = dict.fromkeys(reports, 1)
        self.acts: list[Call] = []

    def work(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        kinds = [self._append, self._append, self._append_to_seen, self._revert, self._status, self._read]
        while time.monotonic() < until:
            number = next(self._numbers)
            if number % 25 == 1:
                self._create()
            elif number % 10 == 0:
                self._list()
            else:
                self._random.choice(kinds)(self._random.choice(self._reports))

    def _do(self, what: str, report: str, tool: str, says: str = "", /, **arguments: Any) -> Answer:
        token = f"{self._name} {len(self.acts)}"
        if what not in ("read", "list"):
            arguments["reason"] = token
        start = time.monotonic_ns()
        answer = self._ask(tool, **arguments)
        end = time.monotonic_ns()
        act = Call(start, end, token, what, report or str(answer.get("report_id", "")), says)
        if "error" in answer:
            act.refused = answer["error"]["code"]
        else:
            act.version = answer.get("version", 0)
            if what == "read":
                act.shown = answer["sections"][0].get("content", "")
            elif answer.get("applied") == 0:
                act.what = "nothing"
        self.acts.append(act)
        if report and act.version:
            self._seen[report] = act.version
        return answer

    def _change(self, what: str, report: str, change: Answer, says: str, expected_version: int = 0) -> None:
        more = {"expected_version": expected_version} if expected_version else {}
        self._do(what, report, "update_report", says, report=report, changes=[change], **more)

    def _append(self, report: str, expected_version: int = 0) -> None:
        text = f"{self._name} {len(self.acts)}"
        change = {"op": "append_text", "section": SECTION, "text": text}
        self._change("append", report, change, text, expected_version)

    def _append_to_seen(self, report: str) -> None:
        self._append(report, self._seen[report])

    def _status(self, report: str) -> None:
        status = self._random.choice(["active", "archived"])
        self._change("status", report, {"op": "set_status", "status": status}, status)

    def _revert(self, report: str) -> None:
        version = self._random.randint(1, self._seen[report])
        self._do("revert", report, "revert_report", str(version), report=report, to_version=version)

    def _read(self, report: str) -> None:
        self._do("read", report, "get_report", report=report, sections=[SECTION], max_chars=100_000)

    def _create(self) -> None:
        title = f"{self._name} {len(self.acts)}"
        sections = [{"title": SECTION, "content": "Begin."}]
        self._do("create", "", "create_report", title=title, sections=sections)

    def _list(self) -> None:
        answer = self._do("list", "", "list_reports", status="all", limit=100)
        self.acts[-1].listed = {row["report_id"]: row["version"] for row in answer["reports"]}


# --- Three ways to ask --------------------------------------------------------------------


def through_the_library(root: Path, name: str) -> Ask:
    library, author = Library(root), Author("agent", name)

    def ask(tool: str, **arguments: Any) -> Answer:
        also = [author] if tool in ("create_report", "update_report", "revert_report") else []
        try:
            answer: Answer = getattr(library, tool)(BY_TOOL[tool](**arguments), *also)
        except ReportError as error:
            return error.answer()
        return answer

    return ask


def through_a_server(root: Path, name: str, stack: ExitStack) -> Ask:
    wire, ids = stack.enter_context(start_server(root, "--as", name)), count(10)

    def ask(tool: str, **arguments: Any) -> Answer:
        answer: Answer = json.loads(wire.ask(tool_call(next(ids), tool, **arguments))["content"][0]["text"])
        return answer

    return ask


def through_commands(root: Path) -> Ask:
    env = {**os.environ, **environment(root)}

    def ask(tool: str, **arguments: Any) -> Answer:
        command = [sys.executable, "-m", "living_reports", *_command(tool, arguments), "--json"]
        done = subprocess.run(command, env=env, input=_stdin(tool, arguments), capture_output=True, text=True)
        answer: Answer = json.loads(done.stdout)
        return answer

    return ask


def _stdin(tool: str, arguments: Answer) -> str:
    return json.dumps(arguments["changes"] if tool == "update_report" else arguments)


def _command(tool: str, arguments: Answer) -> list[str]:
    if tool == "create_report":
        return ["create", "--json-input", "-"]
    if tool == "list_reports":
        return ["list", "--status", arguments["status"], "--limit", str(arguments["limit"])]
    if tool == "get_report":
        return ["get", arguments["report"], "--section", arguments["sections"][0], "--max-chars", "100000"]
    written = [arguments["report"], "--reason", arguments["reason"]]
    if tool == "revert_report":
        return ["revert", *written, "--to-version", str(arguments["to_version"])]
    if expected := arguments.get("expected_version"):
        written += ["--expected-version", str(expected)]
    return ["update", *written, "--changes", "-"]


def main() -> None:
    where, how, name, seconds, *reports = sys.argv[1:]
    root = Path(where)
    with ExitStack() as stack:
        if how == "library":
            ask = through_the_library(root, name)
        else:
            ask = through_a_server(root, name, stack) if how == "server" else through_commands(root)
        caller = RandomCaller(ask, name, reports)
        print("ready", flush=True)
        sys.stdin.readline()
        caller.work(float(seconds))
    print(json.dumps([asdict(act) for act in caller.acts]), flush=True)


if __name__ == "__main__":
    main()
