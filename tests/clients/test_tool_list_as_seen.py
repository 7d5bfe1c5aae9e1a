"""The tool list as a client receives it says what models had to find out by calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from living_reports.reading.compact import size_bytes
from support.mcp_client import PROTOCOL_MODES
from support.scripted import agent, replay

TOLD: dict[str, tuple[str, ...]] = {
    "create_report": ("+2w", "dry_run", "your tags replace theirs", '"html"'),
    "update_report": (
        "+2w",
        "append_text section text (starts a new paragraph",
        "all without section",
        "a unique beginning of an id suffices",
        "pages drop svg",
        "templates://sections",
        "a version whose content you have seen",
        '"html"',
    ),
    "get_report": (
        "stale: ",
        "lean way",
        "left_out",
        "summary",
        "sections: ",
        "insights: ",
        "full: ",
        "markdown: ",
    ),
    "list_reports": ("stale", "review_by is today or past", "insights that are both", "AND OR NOT"),
    "revert_report": ("kept", "only its part of the change", "old title"),
    "audit_report": ('"evolve"', "in an old or new value", "user"),
    "diff_report": ("all who changed it (by)",),
    "check_report": ("unchecked",),
}


@PROTOCOL_MODES
@replay
async def test_the_tool_list_says_what_models_had_to_find_out(tmp_path: Path, mode: str) -> None:
    async with agent(tmp_path, mode=mode) as ann:
        tools = (await ann.client.list_tools()).tools
    listed: list[dict[str, Any]] = [
        tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in tools
    ]
    seen = [{key: tool[key] for key in ("name", "description", "inputSchema")} for tool in listed]
    assert size_bytes(seen) <= 11_500
    assert size_bytes(listed) <= 15_000
    shown = {tool["name"]: tool["description"] + json.dumps(tool["inputSchema"]) for tool in seen}
    assert [(name, words) for name, told in TOLD.items() for words in told if words not in shown[name]] == []
