"""Maintain a report with an agent: pydantic-ai spawns the server, and a model calls its tools.

    pip install 'pydantic-ai-slim[mcp]'
    python examples/agent_pipeline.py [--root DIR]

The model is scripted, so that the example runs anywhere with the same result; give `Agent` the name of a
real model instead. The model reads the summary of the report and updates a sentence. The update is refused
because a colleague has changed the same sentence in the meantime (`version_conflict`). The model combines
both changes and sends the update again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from typing import Any

import anyio
from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

TITLE = "Service health"
START_SECONDS = 60
Answer = dict[str, Any]
Script = Generator[tuple[str, dict[str, Any]], Answer, str]
"""Yields each tool call with its arguments, receives the answer, and returns the model's final text."""


def server(root: str) -> MCPToolset:
    """Return the tools of the server. Their errors go to the model, which decides how to continue."""
    command = ["-m", "living_reports", "serve", "--root", root, "--as", "nightly"]
    spawned = StdioTransport(sys.executable, command, env=dict(os.environ))
    return MCPToolset(spawned, tool_error_behavior="failed", init_timeout=START_SECONDS)


def nightly_run(colleague: Callable[[], None]) -> Script:
    """Yield the calls of a careful model; `colleague` changes the report between two of them."""
    seen = yield "get_report", {"report": TITLE}
    colleague()
    call = {
        "report": TITLE,
        "expected_version": seen["version"],
        "reason": "Measured last night",
        "request_id": "nightly-2026-11-28",  # the same in each attempt, so that a retry is applied once
    }
    mine = {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "15 %"}
    answer = yield "update_report", call | {"changes": [mine]}
    while answer.get("error", {}).get("code") == "version_conflict":
        # Keep both changes: the colleague added a date, the measurement a number.
        error = answer["error"]
        [conflict] = error["conflicts"]
        theirs = conflict["current"]
        both = {"op": "edit_text", "section": "Errors", "find": theirs, "replace": theirs.replace("12", "15")}
        call["expected_version"] = error["current_version"]
        answer = yield "update_report", call | {"changes": [both]}
    return f"{TITLE} is at version {answer['version']}."


def scripted(script: Script) -> FunctionModel:
    """Return a model that follows the script and prints its calls."""

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        answer = last_answer(messages)
        try:
            tool, arguments = script.send(answer) if answer else next(script)
        except StopIteration as end:
            return ModelResponse(parts=[TextPart(end.value)])
        assert tool in {definition.name for definition in info.function_tools}
        print(f"call      {tool}")
        return ModelResponse(parts=[ToolCallPart(tool, arguments)])

    return FunctionModel(respond)


def last_answer(messages: list[ModelMessage]) -> Answer:
    """Return the answer to the last tool call; empty before the first call."""
    part = messages[-1].parts[-1]
    if not isinstance(part, ToolReturnPart):
        return {}
    content: Any = part.content
    answer: Answer = json.loads(content) if isinstance(content, str) else content
    if error := answer.get("error"):
        print(f"refused   {error['code']}: {error['message']}")
        for conflict in error.get("conflicts", []):
            print(f"          theirs {conflict['current']!r}, by {conflict['by']['client']}")
    else:
        print(f"answer    version {answer['version']}")
    return answer


def person(root: str, *words: str, changes: list[dict[str, Any]] | None = None) -> str:
    """Run a command as a person does, and return its output."""
    command = [sys.executable, "-m", "living_reports", *words, "--root", root]
    done = subprocess.run(command, input=json.dumps(changes), stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


async def main(root: str) -> None:
    first = {"op": "append_text", "section": "Errors", "text": "12 % of requests fail."}
    since = {"op": "edit_text", "section": "Errors", "find": "fail", "replace": "fail, since Tuesday"}
    update = ("update", TITLE, "--changes", "-", "--reason", "Seen in the logs")
    person(root, "create", TITLE, "--section", "Errors")
    person(root, *update, changes=[first])

    script = nightly_run(colleague=lambda: print(person(root, *update, changes=[since]), end=""))
    agent = Agent(scripted(script), toolsets=[server(root)])
    result = await agent.run("Bring the report on service health up to date.")
    print(f"done      {result.output}\n")
    print(person(root, "audit", TITLE))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="", metavar="DIR", help="an empty folder (default: a new one)")
    anyio.run(main, parser.parse_args().root or tempfile.mkdtemp(prefix="living-reports-"))
