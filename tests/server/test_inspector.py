"""The MCP Inspector's command line as a client over stdio, in both eras of the protocol.

Each call starts an Inspector of its own, and that a server of its own: none of the two remembers anything.
The steps of a report's life are shared out between the eras, since each costs a second or two.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from living_reports.library import Library
from living_reports.library.requests import AuditReport, CreateReport, GetReport
from living_reports.model.event import Author
from living_reports.server.tools import TOOLS
from support.node_programs import NodePrograms
from support.wire import COMMAND, environment

ANN = Author("cli", "ann")
ERAS = ("legacy", "modern")
IS_ERROR = 5
"""What the Inspector exits with where a tool's answer is an error."""
LOAD = ("--load", "--load-requests", "24", "--load-concurrency", "6")

LIFE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "create_report",
        {"title": "Health", "sections": [{"title": "Errors", "content": "12 %"}]},
        {"title": "Health", "version": 1},
    ),
    (
        "update_report",
        {
            "report": "Health",
            "expected_version": 1,
            "reason": "November",
            "changes": [{"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "15 %"}],
        },
        {"version": 2, "applied": 1},
    ),
    ("get_report", {"report": "Health", "view": "sections", "find": "15"}, {"version": 2}),
    ("list_reports", {"query": "15", "limit": 5}, {"total": 1}),
    (
        "diff_report",
        {"report": "Health", "since": "1", "format": "text"},
        {"from_version": 1, "to_version": 2},
    ),
    ("check_report", {"report": "Health"}, {"version": 2}),
    ("render_report", {"report": "Health", "format": "html"}, {"format": "html", "version": 2}),
    ("revert_report", {"report": "Health", "undo": "2"}, {"version": 3}),
    ("audit_report", {"report": "Health", "verify": True}, {"version": 3}),
]
"""Every tool once, in an order that makes sense: its arguments, and some of what it answers."""


class Inspector:
    """The Inspector's command line, and a server under this root for it to start."""

    def __init__(self, node: NodePrograms, root: Path, home: Path) -> None:
        self._command = [*node.command("@modelcontextprotocol/inspector", "mcp-inspector"), "--cli"]
        self._server_environ = [
            word for name, value in environment(root).items() for word in ("-e", f"{name}={value}")
        ]
        self._environ = os.environ | {"HOME": str(home), "USERPROFILE": str(home)}

    def run(self, era: str, method: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *self._command,
                *("--method", method, "--protocol-era", era, "--format", "json"),
                *("--connect-timeout", "60000"),
                *options,
                *self._server_environ,
                *COMMAND,
            ],
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def call(
        self, era: str, tool: str, arguments: dict[str, Any], *options: str
    ) -> subprocess.CompletedProcess[str]:
        given = ("--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        return self.run(era, "tools/call", *given, *options)


@pytest.fixture
def inspector(node: NodePrograms, root: Path, tmp_path: Path) -> Inspector:
    return Inspector(node, root, tmp_path)


@pytest.mark.parametrize("era", ERAS)
def test_its_strict_lint_finds_no_error_in_our_schemas(inspector: Inspector, era: str) -> None:
    done = inspector.run(era, "tools/list", "--strict")
    assert done.returncode == 0, done.stderr
    names = [tool["name"] for tool in json.loads(done.stdout)["result"]["tools"]]
    assert names == [tool["name"] for tool in TOOLS]
    # `set_metadata` takes any JSON as its value, and says so: the one thing that the lint warns of.
    assert re.findall(r"^ *Path: (.+)$", done.stderr, re.MULTILINE) == [
        "inputSchema.properties.changes.items.properties.value"
    ]
    assert "0 errors, 1 warning across 1 tool." in done.stderr


def test_it_calls_every_tool(inspector: Inspector, root: Path) -> None:
    assert sorted(tool for tool, _, _ in LIFE) == sorted(tool["name"] for tool in TOOLS)
    for number, (tool, arguments, expected) in enumerate(LIFE):
        done = inspector.call(ERAS[number % 2], tool, arguments)
        assert (done.returncode, done.stderr) == (0, ""), tool
        result = json.loads(done.stdout)["result"]
        assert result["structuredContent"] == json.loads(result["content"][0]["text"])
        assert result["structuredContent"].items() >= expected.items()
    events = Library(root).audit_report(AuditReport("Health"))["events"]
    assert {event["client"] for event in events} == {"inspector-cli/2.12.0"}


@pytest.mark.parametrize("era", ERAS)
def test_it_sees_our_errors(inspector: Inspector, root: Path, era: str) -> None:
    done = inspector.call(era, "update_report", {"report": "Nope", "changes": [{"op": "set_title"}]})
    assert done.returncode == IS_ERROR
    result = json.loads(done.stdout)["result"]
    assert result["isError"]
    assert json.loads(result["content"][0]["text"])["error"]["code"] == "invalid_input"
    assert "structuredContent" not in result
    assert not root.exists()


def test_it_reads_a_resource_and_gets_a_prompt(inspector: Inspector, root: Path) -> None:
    created = Library(root).create_report(CreateReport("Health", sections=[{"title": "Errors"}]), author=ANN)
    done = inspector.run("modern", "resources/read", "--uri", f"report://{created['report_id']}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["contents"][0]["text"].startswith("# Health\n")
    # `-e` follows: it ends the list of arguments, which would take the server's command, too.
    prompt = ("--prompt-name", "refresh_report", "--prompt-args", "report=Health")
    done = inspector.run("legacy", "prompts/get", *prompt)
    assert done.returncode == 0, done.stderr
    assert "Health" in json.loads(done.stdout)["result"]["messages"][0]["content"]["text"]


def test_its_load_mode_loses_nothing(inspector: Inspector, root: Path) -> None:
    library = Library(root)
    library.create_report(CreateReport("Log", sections=[{"title": "Lines"}]), author=ANN)
    change = {"op": "append_text", "section": "Lines", "text": "line"}
    done = inspector.call("modern", "update_report", {"report": "Log", "changes": [change]}, *LOAD)
    assert done.returncode == 0, done.stderr
    load = json.loads(done.stdout)["result"]
    assert (load["ok"], load["toolErrors"], load["errors"]) == (24, 0, 0)
    assert (
        library.get_report(GetReport("Log", sections=["Lines"]))["sections"][0]["content"].count("line") == 24
    )
    verified = library.audit_report(AuditReport("Log", verify=True))["verified"]
    assert (verified["ok"], verified["events"]) == (True, 25)
