"""The agent's side of the demo: a real client that spawns the real server over stdio.

Rules: what is asked and what is answered goes over the wire as any client's would; a
refusal is an exception with the error that the server gave.

    >>> async with connect(root) as agent:
    ...     answer = await agent.call("list_reports", query="health")
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import Implementation, TextContent

from living_reports import __version__
from living_reports.settings import ROOT_VARIABLE

CLIENT_NAME = "living-reports-demo"


class ToolRefusedError(Exception):
    """The server refused a call; `error` is what it said: `code`, `message`, `hint`, …"""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error


class Agent:
    """A client that has connected."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its answer.

        Raises:
            ToolRefusedError: The server refused.
        """
        result = await self.client.call_tool(tool, arguments)
        text = next(block.text for block in result.content if isinstance(block, TextContent))
        answer: dict[str, Any] = json.loads(text)
        if result.is_error:
            raise ToolRefusedError(answer["error"])
        return answer


@asynccontextmanager
async def connect(root: Path) -> AsyncIterator[Agent]:
    """Spawn a server that keeps its reports in `root`, and connect to it.

    Raises:
        ToolRefusedError: What was done with the agent raised it.
    """
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "living_reports", "serve"],
        env={**os.environ, ROOT_VARIABLE: str(root)},
    )
    refused = None
    async with Client(server, client_info=Implementation(name=CLIENT_NAME, version=__version__)) as client:
        try:
            yield Agent(client)
        except ToolRefusedError as error:
            refused = error  # raised in here, the client's task groups would wrap it up
    if refused:
        raise refused
