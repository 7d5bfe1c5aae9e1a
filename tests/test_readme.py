"""What README.md says is so: its links lead somewhere, its tools are the server's, its JSON is JSON.

The two commands themselves are run by `.ci/run`, as they stand there.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from living_reports.server.tools import TOOLS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(((?!https?:)[^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_tool_table_names_the_tools_of_the_server() -> None:
    table = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert table == [tool["name"] for tool in TOOLS]


def test_client_configurations_are_json_with_absolute_paths() -> None:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]
    servers = [next(iter(block.values()))["living-reports"] for block in blocks]
    assert len(servers) == 2
    for server in servers:
        assert server["command"].startswith("/")
        assert server["args"][:2] == ["serve", "--root"]
        assert server["args"][2].startswith("/")


@pytest.mark.parametrize("name", ["run", "test"])
def test_a_command_for_ci_follows_its_mark(name: str) -> None:
    assert re.search(rf"^<!-- {name} -->\n```sh\npython3 -m venv .+\n```$", README, re.MULTILINE)
