"""Spawns a server as a client does that has read its configuration, and calls a tool."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import TextContent

INHERITED = ("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "SYSTEMROOT", "TEMP", "TMP")
"""What clients hand on to a server besides what its entry says."""


def first_call(
    entry: Mapping[str, Any],
    *,
    mode: Literal["auto", "legacy"] = "auto",
    folder: str = os.sep,
    **environ: str,
) -> dict[str, Any]:
    """Create a report on the server that an entry of a client's configuration names, and give the answer.

    The server starts in a folder that is not its own and with little of an environment, as from a
    desktop program.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    server = StdioServerParameters(
        command=entry["command"],
        args=list(entry["args"]),
        env=inherited | dict(entry.get("env", {})) | environ,
        cwd=Path(folder),
    )

    async def call() -> dict[str, Any]:
        async with Client(server, mode=mode) as client:
            result = await client.call_tool("create_report", {"title": "First call"})
            [content] = result.content
            assert isinstance(content, TextContent)
            answer: dict[str, Any] = json.loads(content.text)
            return answer

    return anyio.run(call)
