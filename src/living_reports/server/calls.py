"""Tool calls: a call in, the library's answer or its refusal out.

Rules:

- No logic: what a tool does is the library's method of the same name.
- An answer is compact JSON, the same object as text and as structured content, since some
  clients show their model only one of them. A refusal is the error's JSON as text, marked as
  an error. It is returned, not raised: what is raised arrives with words put in front.
- The actor is always `agent`, with the name that the client gave: no parameter can say otherwise.
- A client that asks how far a long call is, is told; see `progress`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

from living_reports.errors import ReportError
from living_reports.server.arguments import check_arguments
from living_reports.server.desk import Context, Desk, defects_logged
from living_reports.server.tools import BY_NAME, TOOLS, Tool

if TYPE_CHECKING:
    from living_reports.library import Library
    from living_reports.server.progress import Progress

MAX_CLIENT_CHARS = 200
LONG = frozenset({"audit_report", "render_report"})
"""The tools whose methods `say` how far they are."""


class ToolCalls:
    """The two requests that a tool server answers: which tools there are, and a call of one.

    Args:
        desk: Where the library is asked.
        name: What `serve --as` says that changes are made by.
        written: Called after each call of a tool that may have changed something.
    """

    def __init__(self, desk: Desk, name: str, written: Callable[[], None]) -> None:
        self._desk = desk
        self._name = name
        self._written = written

    async def list_tools(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """All tools, on one page."""
        return types.ListToolsResult(tools=[types.Tool.model_validate(tool) for tool in TOOLS])

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """The answer, or the refusal, of one call.

        Raises:
            MCPError: There is no tool of this name.
        """
        tool = BY_NAME.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool. There are {', '.join(BY_NAME)}.")
        if tool["name"] in LONG and context.meta and "progress_token" in context.meta:
            from living_reports.server.progress import telling

            async with telling(context.session) as progress:
                return await self._call(tool, params.arguments, context, progress)
        return await self._call(tool, params.arguments, context)

    async def _call(
        self, tool: Tool, raw: dict[str, Any] | None, context: Context, progress: Progress | None = None
    ) -> types.CallToolResult:
        try:
            with defects_logged(tool["name"]):
                arguments = check_arguments(tool, raw)
                client = client_name(context, self._name)
                question = partial(_ask, tool, arguments, client, progress)
                return _answer(await self._desk.ask(question, arguments.get("report", "")))
        except ReportError as error:
            return _refusal(error)
        finally:
            if not tool["annotations"]["readOnlyHint"]:
                self._written()


def _ask(
    tool: Tool, arguments: dict[str, Any], client: str, progress: Progress | None, library: Library
) -> dict[str, Any]:
    from living_reports.library.requests import BY_TOOL
    from living_reports.model.event import Author

    also: dict[str, Any] = {"progress": progress} if progress else {}
    if not tool["annotations"]["readOnlyHint"]:
        also["author"] = Author("agent", client)
    answer: dict[str, Any] = getattr(library, tool["name"])(BY_TOOL[tool["name"]](**arguments), **also)
    return answer


def client_name(context: Context, name: str = "") -> str:
    """Who calls, as the audit trail has it: `name/version` of the client, behind the given name.

    The handshake of older protocols and the envelope of newer ones come out the same here. A
    client that does not say who it is has an empty name.
    """
    params = context.session.client_params
    client = ""
    if params is not None:
        info = params.client_info
        client = _clean(f"{info.name}/{info.version}" if info.version else info.name)
    if name:
        client = f"{name} ({client})" if client else name
    return _clean(client)


def _clean(text: str) -> str:
    """One line without control characters, of a length that an event can carry."""
    return "".join(char for char in text if char.isprintable())[:MAX_CLIENT_CHARS].strip()


def _answer(answer: dict[str, Any]) -> types.CallToolResult:
    return types.CallToolResult(content=[_text(answer)], structured_content=answer)


def _refusal(error: ReportError) -> types.CallToolResult:
    return types.CallToolResult(content=[_text(error.answer())], is_error=True)


def _text(value: dict[str, Any]) -> types.TextContent:
    compact = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return types.TextContent(type="text", text=compact)
