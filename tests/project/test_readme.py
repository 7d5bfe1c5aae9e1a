"""README.md is correct: its links lead to files, its tools are those of the server, its install links work.

The two commands themselves are run by `.ci/run`, as they stand there.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from living_reports.server.tools import TOOLS
from support.mcp_client import first_call

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(((?!https?:)[^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_tool_table_names_the_tools_of_the_server() -> None:
    table = re.findall(r"^\| `([a-z_]+)` \|", README, re.MULTILINE)
    assert table == [tool["name"] for tool in TOOLS]


def test_descriptions_are_as_short_as_the_client_pages_say() -> None:
    assert "is longer than 2,000 characters" in (ROOT / "docs/clients/README.md").read_text(encoding="utf-8")
    assert max(len(tool["description"]) for tool in TOOLS) <= 2000


def linked(address: str) -> dict[str, str]:
    """Return the parameters of README's link to this address."""
    [query] = re.findall(rf"\]\({re.escape(address)}\?([^)]+)\)", README)
    return dict(parse_qsl(query, strict_parsing=True))


def test_a_click_adds_a_server_that_starts(tmp_path: Path) -> None:
    cursor = linked("https://cursor.com/en/install-mcp")
    vscode = linked("https://insiders.vscode.dev/redirect/mcp/install")
    assert cursor["name"] == vscode["name"] == "living-reports"
    entry = json.loads(base64.b64decode(cursor["config"], validate=True))
    assert entry == json.loads(vscode["config"])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    answer = first_call(entry, PATH=path, LIVING_REPORTS_ROOT=str(tmp_path / "reports"))
    assert answer["version"] == 1


@pytest.mark.parametrize("name", ["run", "test"])
def test_a_command_for_ci_follows_its_mark(name: str) -> None:
    assert re.search(rf"^<!-- {name} -->\n```sh\npython3 -m venv .+\n```$", README, re.MULTILINE)
