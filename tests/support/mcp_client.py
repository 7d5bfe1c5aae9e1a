"""The SDK's own client of a server process over stdio, and checks of every answer."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.client.session import MessageHandlerFnT
from mcp.client.stdio import StdioServerParameters, stdio_client

from living_reports.server.tools import BY_NAME
from support.wire import COMMAND, environment

PROTOCOL_MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])


def run_async(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with anyio.fail_after(60):
            await test()

    anyio.run(bounded)


@asynccontextmanager
async def connect(
    root: Path,
    *options: str,
    mode: str = "auto",
    name: str = "",
    on_message: MessageHandlerFnT | None = None,
    **variables: str,
) -> AsyncIterator[Client]:
    """Start a server and connect a client to it; `on_message` gets the notifications of the server."""
    server = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], *options], env=environment(root, **variables)
    )
    info = types.Implementation(name=name, version="7") if name else None
    async with Client(
        stdio_client(server), mode=mode, client_info=info, message_handler=on_message
    ) as client:
        yield client


async def call_tool(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the answer, which is the same as text and as structured content and follows its schema."""
    result = await client.call_tool(tool, arguments)
    [content] = result.content
    assert isinstance(content, types.TextContent)
    assert not result.is_error, content.text
    answer: dict[str, Any] = result.structured_content
    assert content.text == json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    if arguments.get("view") != "full":
        assert answer.keys() <= BY_NAME[tool]["outputSchema"]["properties"].keys()
    return answer


async def call_refused(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the error of a refused call, which has no other content."""
    result = await client.call_tool(tool, arguments)
    [content] = result.content
    assert isinstance(content, types.TextContent)
    assert result.is_error
    assert result.structured_content is None
    parsed = json.loads(content.text)
    assert parsed.keys() == {"error"}
    assert content.text == json.dumps(parsed, ensure_ascii=False, separators=(",", ":"))
    error: dict[str, Any] = parsed["error"]
    assert error.keys() >= {"code", "message", "hint", "retry"}
    return error


INHERITED = ("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "SYSTEMROOT", "TEMP", "TMP")
"""Variables that clients pass to a server in addition to those of its entry."""


def first_call(
    entry: Mapping[str, Any],
    *,
    mode: Literal["auto", "legacy"] = "auto",
    folder: str = os.sep,
    **environ: str,
) -> dict[str, Any]:
    """Start the server that a client's configuration names, create a report, and return the answer.

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
            assert isinstance(content, types.TextContent)
            answer: dict[str, Any] = json.loads(content.text)
            return answer

    return anyio.run(call)
