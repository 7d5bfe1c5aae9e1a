"""`living-reports demo`: a real MCP client keeps a report on this Python environment.

The client starts the server and calls its tools over stdio. The first run creates the report and
shows an update, a refused call and a revert. A later run on the same root updates the report and
says what has changed. Every printed line comes from an answer of the server or from a file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import Implementation, TextContent

import living_reports.cli.demo.environment as env
from living_reports import __version__
from living_reports.cli.show import refusal
from living_reports.cli.terminal import Terminal, size
from living_reports.regular_files import read_regular
from living_reports.settings import ROOT_VARIABLE

TITLE, LOG = "Python environment health", "What changed"
INDENT = 3

Json = dict[str, Any]


class ToolRefusedError(Exception):
    """The server refused a call; the only argument is the error object of its answer."""


def run(options: argparse.Namespace) -> int:
    """Run the demo; return 1 if the server refuses a call that should succeed, else 0."""
    root, terminal = Path(options.root).expanduser(), Terminal(sys.stdout)
    demo = Demo(terminal, root.resolve())
    try:
        anyio.run(demo.run)
    except ToolRefusedError as refused:
        refusal(Terminal(sys.stderr), refused.args[0])
        return 1
    program = "python -m living_reports" if sys.argv[0].endswith("__main__.py") else quote(sys.argv[0])
    terminal.line()
    terminal.line("Continue with these commands; the next run of the demo says what has changed:", "dim")
    for command in (f"get {demo.report_id[:8]}", "demo"):
        terminal.line(f"   {program} {command} --root {quote(str(root))}")
    return 0


class Demo:
    """The steps of the demo, each of which calls tools and prints their answers."""

    def __init__(self, terminal: Terminal, root: Path) -> None:
        self.terminal, self.root = terminal, root
        self.report_id, self.steps = "", 0

    async def run(self) -> None:
        """Run all steps; raise `ToolRefusedError` if the server refuses a call that should succeed."""
        self.terminal.line("Living Reports: an agent keeps a report", "bold", "cyan")
        self.terminal.paragraph(
            "A client of the MCP SDK starts the server and calls its tools over stdio. The report is about "
            "the Python environment that runs this. No network is used."
        )
        self._step("Look at the environment")
        packages = env.read_packages()
        self._show(found=f"{env.in_brief(packages)}, {len(env.missing(packages)) or 'none'} missing")
        self._step("Start the server and connect")
        command, environ = ["-m", "living_reports", "serve"], {**os.environ, ROOT_VARIABLE: str(self.root)}
        server = StdioServerParameters(command=sys.executable, args=command, env=environ)
        name = Implementation(name="living-reports-demo", version=__version__)
        failure: Exception | None = None
        async with Client(server, client_info=name) as self.client:
            try:
                await self._use_server(env.sections(packages, _minute()[:10]))
            except (ToolRefusedError, BrokenPipeError) as error:
                failure = error  # raised here, it would leave the client inside an exception group
        if failure:
            raise failure

    async def _use_server(self, found: list[Json]) -> None:
        tools = [tool.name for tool in (await self.client.list_tools()).tools]
        self._show(command="python -m living_reports serve", root=str(self.root), tools=" ".join(tools))
        reports = (await self._call("list_reports", query=TITLE, sort="created"))["reports"]
        self.report_id = next((entry["report_id"] for entry in reports if entry["title"] == TITLE), "")
        if self.report_id:
            await self._update(found)
        else:
            version = await self._create(found)
            await self._make_bad_call(version)
            await self._undo_mistake(version)
        await self._read_back()
        await self._show_files()

    async def _call(self, tool: str, **arguments: Any) -> Json:
        """Call a tool, on the demo's report once there is one, and return its answer."""
        if self.report_id:
            arguments["report"] = self.report_id
        result = await self.client.call_tool(tool, arguments)
        text = next(block.text for block in result.content if isinstance(block, TextContent))
        answer: Json = json.loads(text)
        if result.is_error:
            raise ToolRefusedError(answer["error"])
        return answer

    def _step(self, title: str) -> None:
        self.steps += 1
        number = self.terminal.style(f"{self.steps:>2} ", "cyan")
        self.terminal.line()
        self.terminal.line(f"{number}{self.terminal.style(title, 'bold')}")

    def _show(self, **rows: str) -> None:
        self.terminal.fields([(f"{name:<8}", text) for name, text in rows.items()], INDENT)

    def _read(self, name: str) -> bytes:
        return read_regular(self.root / "by_id" / self.report_id / name)

    async def _create(self, found: list[Json]) -> int:
        """Create the report with two sections, add the others, and return the version."""
        self._step("Create the report")
        first = [section for section in found if section["title"] != env.LICENCES]
        self._show(call=f'create_report "{TITLE}": {len(first)} sections, each with a cited insight')
        reason = "First look at this environment"
        answer = await self._call("create_report", title=TITLE, sections=first, reason=reason)
        self.report_id, version = answer["report_id"], answer["version"]
        self._show(answer=f"version {version}, report {self.report_id}")
        self._step("Update it: several changes, one version")
        added = [section for section in found if section not in first]
        changes = [{"op": "add_section", **section} for section in added]
        changes += [_log_change("first look", is_new=True), {"op": "add_tags", "tags": ["demo"]}]
        request = {"changes": changes, "expected_version": version, "request_id": str(uuid.uuid4())}
        self._show(call=f"update_report expecting version {version}: {_operations(changes)}")
        answer = await self._call("update_report", **request, reason="Licences added")
        self._show(answer=f"version {answer['version']}, {answer['applied']} changes applied")
        again = await self._call("update_report", **request, reason="Licences added")
        self._show(again=f"the same request once more: still version {again['version']}, applied only once")
        return int(answer["version"])

    async def _make_bad_call(self, version: int) -> None:
        """Send one valid and one invalid change: neither is applied."""
        self._step("A bad call is refused and changes nothing")
        before = hashlib.sha256(self._read("outline.json")).hexdigest()
        invalid = {"op": "add_insight", "section": env.PACKAGES, "summary": "Important", "importance": 11}
        self._show(call="update_report: set_title, and add_insight with importance 11")
        try:
            await self._call("update_report", changes=[{"op": "set_title", "title": "Overwritten"}, invalid])
        except ToolRefusedError as refused:
            error = refused.args[0]
            details = {key: str(error[key]) for key in ("path", "message", "allowed", "hint")}
            self._show(refused=error["code"], **details)
        after = hashlib.sha256(self._read("outline.json")).hexdigest()
        now = (await self._call("get_report"))["version"]
        state = "untouched" if (before, version) == (after, now) else "CHANGED"
        self._show(report=f"{state}: version {now}, outline.json {after[:16]}… before and after")

    async def _undo_mistake(self, version: int) -> None:
        self._step("Undo a mistake")
        change = {"op": "remove_section", "section": env.LICENCES}
        self._show(call=f'update_report: remove_section "{env.LICENCES}"')
        answer = await self._call("update_report", changes=[change], reason="Nobody needs licences")
        self._show(answer=f"version {answer['version']}", call=f"revert_report to version {version}")
        answer = await self._call("revert_report", to_version=version, reason="The lawyers need licences")
        kept = "the section is restored, and the mistake stays in the history"
        self._show(answer=f"version {answer['version']}: {kept}")

    async def _update(self, found: list[Json]) -> None:
        """Update the report of an earlier run and print which packages have changed since."""
        self._step("Find the report of an earlier run")
        self._show(call=f'list_reports "{TITLE}", then get_report')
        report = await self._call("get_report", view="full", max_chars=200_000)
        before, stamp = report["version"], _minute(report["updated_at"])
        self._show(answer=f"version {before} of {stamp} UTC, report {self.report_id}")
        self._step("Update it")
        known = {section["title"]: section for section in report["sections"]}
        earlier = known.get(env.PACKAGES, {}).get("content", "")
        news = env.differences(env.versions(earlier), env.versions(found[0]["content"]))
        changes = [_log_change("; ".join(news) or "no package has changed", is_new=LOG not in known)]
        for section in found:
            title, content, [insight] = section["title"], section["content"], section["insights"]
            if title not in known:
                changes.append({"op": "add_section", **section})
                continue
            changes.append({"op": "edit_section", "section": title, "content": content})
            if ids := known[title].get("insight_ids"):
                changes.append({"op": "edit_insight", "insight": ids[0], **insight})
        self._show(call=f"update_report expecting version {before}: {_operations(changes)}")
        request = {"changes": changes, "expected_version": before, "reason": "Checked again"}
        answer = await self._call("update_report", **request)
        after, applied = answer["version"], answer["applied"]
        self._show(answer=f"version {after}: {applied} of {len(changes)} changes altered something")
        self._step(f"What changed since last time: version {before} compared with version {after}")
        for text in news or ["nothing was installed, removed, upgraded or downgraded"]:
            self.terminal.paragraph(text, first=f"{' ' * INDENT}• ")

    async def _read_back(self) -> None:
        self._step("Read the insights, the most important first")
        insights = (await self._call("get_report", view="insights"))["insights"]
        for insight in sorted(insights, key=lambda insight: -int(insight["importance"])):
            self.terminal.paragraph(insight["summary"], first=f"{insight['importance']:>{INDENT + 2}}  ")
            cited = [str(source.get("description", "")) for source in insight.get("citations", [])]
            self.terminal.paragraph(", ".join(cited), "dim", first=" " * (INDENT + 4))
        self._step("Read the audit trail, newest first")
        events = (await self._call("audit_report", limit=8))["events"]
        rows = [
            (f"v{e['version']}", _minute(e["ts"]), e["actor"], e["action_type"], e.get("reason", ""))
            for e in events
        ]
        self.terminal.table(rows, styles=["bold", "dim", "", "cyan", ""], indent=INDENT)
        self._step("Verify the whole history")
        verified = (await self._call("audit_report", verify=True))["verified"]
        head = hashlib.sha256(self._read("audit.jsonl").splitlines()[-1]).hexdigest()
        same = "the same" if head == verified["head_sha256"] else "ANOTHER"
        self._show(
            verified=f"{'ok' if verified['ok'] else 'NOT ok'}, {verified['events']} events",
            head=f"sha256 of the last line of audit.jsonl, {same} on disk\n{verified['head_sha256']}",
        )

    async def _show_files(self) -> None:
        self._step("The files are yours")
        page = await self._call("render_report", format="html")
        self._show(call="render_report as html", answer=page["path"])
        files = {"outline.json": "the report as it is now", "audit.jsonl": "every change, one a line"}
        rows = [[name, size(len(self._read(name))), text] for name, text in files.items()]
        self.terminal.table(rows, styles=["", "dim", ""], indent=INDENT, right=[1])


def _log_change(text: str, is_new: bool) -> Json:
    line = f"- {_minute()} UTC: {text}"
    if is_new:
        return {"op": "add_section", "title": LOG, "content": line}
    return {"op": "append_text", "section": LOG, "text": line}


def _operations(changes: list[Json]) -> str:
    counts = Counter(change["op"] for change in changes)
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _minute(stamp: str = "") -> str:
    return (stamp or datetime.now(UTC).isoformat())[:16].replace("T", " ")
