"""Eight processes write one report at once: whatever was acknowledged is there, once, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from living_reports.library import Library
from living_reports.library.requests import AuditReport, CreateReport
from living_reports.model.event import Author
from support.processes import run_together

PROCESSES = 8

THROUGH_THE_LIBRARY = """
from living_reports.errors import VersionConflictError
from living_reports.library import Library
from living_reports.library.requests import GetReport, UpdateReport
from living_reports.model.event import Author

library, author = Library(Path(root)), Author("agent", name)

def version():
    return library.get_report(GetReport(report))["version"]

def update(change, expected):
    try:
        answer = library.update_report(UpdateReport(report, [change], name, expected), author)
    except VersionConflictError:
        return 0
    return answer["version"]
"""

THROUGH_SERVERS = """
import atexit
from contextlib import ExitStack
from support.wire import tool_call, start_server

stack = ExitStack()
atexit.register(stack.close)
wire = stack.enter_context(start_server(Path(root), "--as", name))
ids = iter(range(10, 1_000_000))

def ask(tool, **arguments):
    return json.loads(wire.ask(tool_call(next(ids), tool, **arguments))["content"][0]["text"])

def version():
    return ask("get_report", report=report)["version"]

def update(change, expected):
    answer = ask("update_report", report=report, changes=[change], reason=name, expected_version=expected)
    if "error" in answer and answer["error"]["code"] == "version_conflict":
        return 0
    return answer["version"]
"""

WRITER = """
import json, sys
from pathlib import Path
root, report, name, updates = sys.argv[1:]
{how}
print("ready", flush=True)
sys.stdin.readline()
acknowledged, conflicts = [], 0
for number in range(int(updates)):
    change = {{"op": "append_text", "section": "Lines", "text": f"{{name}} {{number}}"}}
    while not (made := update(change, version())):
        conflicts += 1  # another was faster: read again, then decide again
    acknowledged.append([made, f"{{name}} {{number}}"])
print(json.dumps([acknowledged, conflicts]), flush=True)
"""


def write_at_once(root: Path, report: str, how: str, updates: int) -> tuple[dict[int, str], int]:
    """Return the acknowledged texts by version, and how often a writer was refused."""
    script = WRITER.format(how=how)
    names = [f"writer{number}" for number in range(PROCESSES)]
    answers = run_together({name: ["-c", script, str(root), report, name, str(updates)] for name in names})
    made = [row for acknowledged, _ in answers.values() for row in acknowledged]
    assert len({version for version, _ in made}) == len(made)
    return dict(made), sum(conflicts for _, conflicts in answers.values())


def assert_nothing_lost(library: Library, report: str, acknowledged: dict[int, str], total: int) -> None:
    assert sorted(acknowledged) == list(range(2, total + 2))
    state = library.store.read(report)
    assert state.version == total + 1
    lines = [acknowledged[version] for version in sorted(acknowledged)]
    assert state.outline.sections[0].content == "\n\n".join(["Begin.", *lines])
    events: list[dict[str, Any]] = [record.payload for record in library.store.events(report)]
    assert [event["outline_version"] for event in events] == list(range(total + 1, 0, -1))
    assert [event["reason"] for event in reversed(events[:-1])] == [line.split()[0] for line in lines]
    verified = library.audit_report(AuditReport(report, verify=True))["verified"]
    assert verified["ok"]
    assert verified["events"] == total + 1


@pytest.mark.parametrize(
    ("how", "updates"),
    [
        pytest.param(THROUGH_THE_LIBRARY, 50, id="library"),
        pytest.param(THROUGH_SERVERS, 10, id="servers"),
        pytest.param(THROUGH_SERVERS, 50, id="servers, longer", marks=pytest.mark.full),
    ],
)
def test_many_writers_lose_nothing(tmp_path: Path, how: str, updates: int) -> None:
    library = Library(tmp_path)
    sections = [{"title": "Lines", "content": "Begin."}]
    report = library.create_report(CreateReport("Shared", sections), author=Author("cli", "ann"))["report_id"]
    acknowledged, conflicts = write_at_once(tmp_path, report, how, updates)
    assert conflicts > 0  # they did get in each other's way
    assert_nothing_lost(library, report, acknowledged, PROCESSES * updates)
