"""The demo, step by step: what the agent asks, what the server answers, what is on disk.

Rules: a first run creates the report, shows a refusal and a revert; a later run on the same
root finds the report, brings it up to date and says what changed since. Every line that
is printed comes from an answer or from a file, none is staged.

    >>> tell(Path("demo"), Terminal(sys.stdout), "living-reports {verb} --root demo")
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from living_reports.cli.demo.agent import Agent, ToolRefusedError, connect
from living_reports.cli.demo.environment import Environment, look
from living_reports.cli.demo.findings import (
    DISK,
    LICENCES,
    PACKAGES,
    Topic,
    changes,
    differences,
    logged,
    section_of,
    topics,
    versions,
)
from living_reports.cli.terminal import Terminal, size

TITLE = "Python environment health"
TAGS = ["python", "dependencies"]
INDENT = 3
MOST_EVENTS = 8

Answer = dict[str, Any]


def tell(root: Path, terminal: Terminal, command: str) -> None:
    """Run the demo on the reports in `root`; `command` is how to go on, with a place for the `{verb}`.

    Raises:
        ToolRefusedError: The server refused a call that should have worked.
    """
    screen = Screen(terminal)
    report_id = anyio.run(_tell, screen, root)
    show_files(screen, root, report_id)
    terminal.line()
    terminal.line("Go on; the demo, run once more, says what changed since:", "dim")
    terminal.line(f"   {command.format(verb=f'get {report_id[:8]}')}")
    terminal.line(f"   {command.format(verb='demo')}")


async def _tell(screen: Screen, root: Path) -> str:
    """All steps that need the server; the id of the report."""
    terminal = screen.terminal
    terminal.line("Living Reports: an agent keeps a report", "bold", "cyan")
    terminal.paragraph(
        "What follows is real: a client of the MCP SDK spawns the server and speaks to it over stdio. "
        "The report is about the Python environment that runs this. No network is used."
    )
    screen.step("Look at the environment")
    environment, seconds = look_around()
    screen.tell(found=_in_brief(environment), took=f"{seconds:.1f} s")
    screen.step("Spawn the server and connect")
    began = time.monotonic()
    async with connect(root) as agent:
        await greet(screen, agent, root, time.monotonic() - began)
        found = topics(environment, _now()[:10])
        report = await find(agent)
        if report is None:
            report = await first_run(screen, agent, root, found)
        else:
            await later_run(screen, agent, report["report_id"], found)
        await read_back(screen, agent, report["report_id"])
        await show_trail(screen, agent, report["report_id"])
        await verify(screen, agent, root, report["report_id"])
        return str(report["report_id"])


class Screen:
    """Numbered steps, with names and values under them."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.steps = 0

    def step(self, title: str) -> None:
        """A new step."""
        self.steps += 1
        self.terminal.line()
        number = self.terminal.style(f"{self.steps:>2} ", "cyan")
        self.terminal.line(number + self.terminal.style(title, "bold"))

    def tell(self, **rows: str) -> None:
        """What happened, each under a name."""
        self.terminal.fields([(f"{name:<8}", text) for name, text in rows.items()], INDENT)

    def table(self, rows: Sequence[Sequence[str]], styles: Sequence[str], right: Sequence[int] = ()) -> None:
        """Rows in columns."""
        self.terminal.table(rows, styles=styles, indent=INDENT, right=right)


# --- The steps every run has --------------------------------------------------------------


def look_around() -> tuple[Environment, float]:
    """What is installed, and how many seconds it took to see."""
    began = time.monotonic()
    return look(), time.monotonic() - began


def _in_brief(environment: Environment) -> str:
    total = size(sum(package.size or 0 for package in environment.packages))
    conflicts = f"{len(environment.conflicts)} not met" if environment.conflicts else "all met"
    return (
        f"Python {environment.python}, {len(environment.packages)} packages, {total}, "
        f"{environment.requirements} requirements, {conflicts}"
    )


async def greet(screen: Screen, agent: Agent, root: Path, seconds: float) -> None:
    """Say which server answered and what it offers."""
    tools = (await agent.client.list_tools()).tools
    server = agent.client.server_info
    screen.tell(
        command="python -m living_reports serve",
        root=str(root),
        server=f"{server.name} {server.version}, ready in {seconds:.1f} s" if server else "unnamed",
        tools=" ".join(tool.name for tool in tools),
    )


async def find(agent: Agent) -> Answer | None:
    """The report that an earlier run keeps here, if there is one."""
    answer = await agent.call("list_reports", query=TITLE, sort="created")
    return next((entry for entry in answer["reports"] if entry["title"] == TITLE), None)


async def read_back(screen: Screen, agent: Agent, report_id: str) -> None:
    """Show the insights, the most important first."""
    screen.step("Read the insights, the most important first")
    answer = await agent.call("get_report", report=report_id, view="insights")
    ranked = sorted(answer["insights"], key=lambda insight: -int(insight["importance"]))
    for insight in ranked:
        head = f"{' ' * INDENT}{insight['importance']:>2}  "
        sources = ", ".join(_source(citation) for citation in insight.get("citations", []))
        screen.terminal.paragraph(insight["summary"], first=head)
        screen.terminal.paragraph(sources, "dim", first=" " * len(head))


def _source(citation: Answer) -> str:
    return str(citation.get("title") or citation.get("description") or citation["source"])


async def show_trail(screen: Screen, agent: Agent, report_id: str) -> None:
    """Show who did what, when and why."""
    screen.step("Ask the audit trail, newest first")
    answer = await agent.call("audit_report", report=report_id, limit=MOST_EVENTS)
    rows = [
        [
            f"v{event['version']}",
            _minute(event["ts"]),
            event["actor"],
            event["action_type"],
            event.get("reason", ""),
        ]
        for event in answer["events"]
    ]
    screen.table(rows, ["bold", "dim", "", "cyan", ""])
    if answer.get("next_cursor"):
        screen.tell(earlier="there are more events: living-reports audit")


async def verify(screen: Screen, agent: Agent, root: Path, report_id: str) -> None:
    """Have the history checked, and compare with what is on disk."""
    screen.step("Verify the whole history")
    answer = await agent.call("audit_report", report=report_id, verify=True)
    result = answer["verified"]
    number = f"{result['events']} events" + ("" if result["ok"] else f", {len(result['findings'])} findings")
    same = hashlib.sha256(last_line(folder(root, report_id))).hexdigest() == result["head_sha256"]
    screen.tell(
        verified=("ok, " if result["ok"] else "NOT ok, ") + number,
        head=f"sha256 of the last line of audit.jsonl, {'the same' if same else 'ANOTHER'} on disk",
    )
    screen.tell(**{"": result["head_sha256"]})


def last_line(report_folder: Path) -> bytes:
    """The last line of the log, without its newline."""
    return (report_folder / "audit.jsonl").read_bytes().splitlines()[-1]


def folder(root: Path, report_id: str) -> Path:
    """Where the report's files are."""
    return root / "by_id" / report_id


def show_files(screen: Screen, root: Path, report_id: str) -> None:
    """Say what is where."""
    screen.step("The files are yours")
    home = folder(root, report_id)
    backups = [file.stat().st_size for file in (home / "backups").glob("*.bak")]
    screen.terminal.line(f"{' ' * INDENT}{home}")
    rows = [
        ["outline.json", size((home / "outline.json").stat().st_size), "the report as it is now"],
        ["audit.jsonl", size((home / "audit.jsonl").stat().st_size), "every change, one a line"],
        ["backups/", size(sum(backups)), f"{len(backups)} earlier states"],
    ]
    screen.table(rows, ["", "dim", ""], right=[1])


# --- The first run ------------------------------------------------------------------------


async def first_run(screen: Screen, agent: Agent, root: Path, found: Sequence[Topic]) -> Answer:
    """Create the report, update it, show a refusal, and undo a mistake."""
    report = await create(screen, agent, found)
    version = await extend(screen, agent, report, found)
    await bad_call(screen, agent, root, report, version)
    await mistake(screen, agent, report, version)
    return report


async def create(screen: Screen, agent: Agent, found: Sequence[Topic]) -> Answer:
    """Create the report with what an agent would write first."""
    screen.step("Create the report")
    sections = [section_of(topic) for topic in found if topic.title in (PACKAGES, DISK)]
    reason = "First look at this environment"
    screen.tell(call=f'create_report "{TITLE}": {len(sections)} sections, each with a cited insight')
    answer = await agent.call(
        "create_report",
        title=TITLE,
        sections=sections,
        tags=TAGS,
        reason=reason,
        request_id=str(uuid.uuid4()),
    )
    screen.tell(answer=f"version {answer['version']}, report {answer['report_id']}")
    return answer


async def extend(screen: Screen, agent: Agent, report: Answer, found: Sequence[Topic]) -> int:
    """Several changes as one version; the same request sent twice changes nothing twice."""
    screen.step("Update it: several changes, one version")
    known = {PACKAGES: "", DISK: ""}
    rest = [topic for topic in found if topic.title not in known]
    asked = [
        *changes(rest, known),
        logged(f"{_minute(_now())} UTC: first look", known),
        {"op": "add_tags", "tags": ["demo"]},
    ]
    request = {
        "report": report["report_id"],
        "changes": asked,
        "expected_version": report["version"],
        "reason": "Licences and conflicts looked at, too",
        "request_id": str(uuid.uuid4()),
    }
    screen.tell(call=f"update_report expecting version {report['version']}: {_ops(asked)}")
    answer = await agent.call("update_report", **request)
    screen.tell(answer=f"version {answer['version']}, {answer['applied']} changes applied")
    again = await agent.call("update_report", **request)
    screen.tell(again=f"the same request once more: version {again['version']} still, nothing is done twice")
    return int(answer["version"])


def _ops(asked: Sequence[Answer]) -> str:
    names = [change["op"] for change in asked]
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())


async def bad_call(screen: Screen, agent: Agent, root: Path, report: Answer, version: int) -> None:
    """One good change and one that makes no sense: neither happens."""
    screen.step("A bad call is refused, and changes nothing")
    outline = folder(root, report["report_id"]) / "outline.json"
    before = hashlib.sha256(outline.read_bytes()).hexdigest()
    asked = [
        {"op": "set_title", "title": "Overwritten"},
        {"op": "add_insight", "section": DISK, "summary": "Very important", "importance": 11},
    ]
    screen.tell(call="update_report: set_title, and add_insight with importance 11")
    try:
        await agent.call("update_report", report=report["report_id"], changes=asked)
    except ToolRefusedError as refused:
        stated = {name: str(refused.error.get(name, "")) for name in ("path", "message", "allowed", "hint")}
        screen.tell(refused=refused.error["code"], **{name: text for name, text in stated.items() if text})
    after = hashlib.sha256(outline.read_bytes()).hexdigest()
    now = await agent.call("get_report", report=report["report_id"])
    untouched = "untouched" if (before, version) == (after, now["version"]) else "CHANGED"
    screen.tell(report=f"{untouched}: version {now['version']}, outline.json {after[:16]}… before and after")


async def mistake(screen: Screen, agent: Agent, report: Answer, version: int) -> None:
    """Remove a section, regret it, and bring the report back."""
    screen.step("A mistake, and the way back")
    asked = [{"op": "remove_section", "section": LICENCES}]
    screen.tell(call=f'update_report: remove_section "{LICENCES}"')
    gone = await agent.call(
        "update_report", report=report["report_id"], changes=asked, reason="Nobody needs licences"
    )
    screen.tell(answer=f"version {gone['version']}")
    screen.tell(call=f"revert_report to version {version}")
    back = await agent.call(
        "revert_report", report=report["report_id"], to_version=version, reason="The lawyers do need licences"
    )
    screen.tell(
        answer=f"version {back['version']}: the section is back, and the mistake stays in the history"
    )


# --- A later run --------------------------------------------------------------------------


async def later_run(screen: Screen, agent: Agent, report_id: str, found: Sequence[Topic]) -> None:
    """Bring the report up to date, and tell from its history what changed."""
    screen.step("Find the report of an earlier run")
    screen.tell(call=f'list_reports "{TITLE}", then get_report for its summary')
    summary = await agent.call("get_report", report=report_id, view="summary")
    before = int(summary["version"])
    screen.tell(answer=f"version {before} of {_minute(summary['updated_at'])} UTC, report {report_id}")

    screen.step("Bring it up to date")
    known = await known_insights(agent, summary)
    earlier = await packages_at(agent, report_id, before)
    asked = [*changes(found, known), logged(_log_line(earlier, found), known)]
    screen.tell(call=f"update_report expecting version {before}: {_ops(asked)}")
    answer = await agent.call(
        "update_report",
        report=report_id,
        changes=asked,
        expected_version=before,
        reason="Looked again at this environment",
        request_id=str(uuid.uuid4()),
    )
    after = int(answer["version"])
    screen.tell(answer=f"version {after}: {answer['applied']} of {len(asked)} changes altered something")

    screen.step(f"What changed since last time: version {before} beside version {after}")
    tell_news(screen, differences(earlier, await packages_at(agent, report_id, after)))


def tell_news(screen: Screen, news: Sequence[str]) -> None:
    """Say what came, went and moved."""
    if not news:
        screen.tell(packages="nothing was installed, removed, upgraded or downgraded")
    for line in news:
        screen.terminal.paragraph(line, first=f"{' ' * INDENT}• ")


def _log_line(earlier: Mapping[str, str], found: Sequence[Topic]) -> str:
    table = next(topic.content for topic in found if topic.title == PACKAGES)
    news = differences(earlier, versions(table))
    return f"{_minute(_now())} UTC: {'; '.join(news) if news else 'looked again, no package changed'}"


async def known_insights(agent: Agent, summary: Answer) -> dict[str, str]:
    """The titles of the report's sections, each with the id of its insight, or ""."""
    pages = [page async for page in read_pages(agent, report=summary["report_id"], view="insights")]
    insights = {item.get("section_id"): item["insight_id"] for page in pages for item in page["insights"]}
    return {section["title"]: insights.get(section["section_id"], "") for section in summary["sections"]}


async def packages_at(agent: Agent, report_id: str, version: int) -> dict[str, str]:
    """The packages that the report listed at this version; empty where it has no such section."""
    pages = read_pages(agent, report=report_id, version=version, sections=[PACKAGES])
    try:
        items = [item async for page in pages for item in page.get("sections", [])]
    except ToolRefusedError as refused:
        if refused.error["code"] != "item_not_found":
            raise
        return {}
    return versions("".join(item.get("content", "") for item in items))


async def read_pages(agent: Agent, **arguments: Any) -> AsyncIterator[Answer]:
    """Every page of a `get_report`."""
    page = await agent.call("get_report", **arguments)
    yield page
    while cursor := page.get("next_cursor"):
        page = await agent.call("get_report", **arguments, cursor=cursor)
        yield page


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _minute(stamp: str) -> str:
    return stamp[:16].replace("T", " ")
