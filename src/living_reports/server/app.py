"""The MCP server: a tool call in, the library's answer or its refusal out.

Rules:

- No logic: what a tool does is the library's method of the same name.
- An answer is compact JSON, the same object as text and as structured content, since some
  clients show their model only one of them. A refusal is the error's JSON as text, marked as
  an error. It is returned, not raised: what is raised arrives with words put in front.
- Library calls block, so each runs in a worker thread. One that has begun is finished, even if
  its request is cancelled or the client goes away.
- The actor is always `agent`, with the name that the client gave: no parameter can say otherwise.
- The library is loaded with the first call: a client that only lists the tools does not wait.

    server = build_server(load_settings())
    app = server.streamable_http_app()
"""

from __future__ import annotations

import json
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from living_reports import __version__
from living_reports.errors import InternalError, ReportError
from living_reports.server.arguments import check_arguments
from living_reports.server.gate import ReportGate
from living_reports.server.tools import BY_NAME, INSTRUCTIONS, TOOLS, Tool
from living_reports.settings import Settings

if TYPE_CHECKING:
    from living_reports.library import Library

logger = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Any]

MAX_CLIENT_CHARS = 200
WORKER_THREADS = 32
"""How many reports may be worked on at once."""


def log_to_stderr() -> None:
    """Send warnings and worse to stderr: with stdio, stdout is the protocol's alone."""
    logging.basicConfig(level=logging.WARNING, format="living-reports: %(levelname)s: %(message)s")


def build_server(settings: Settings, name: str = "") -> Server[Any]:
    """The server over these settings; `name` is what `serve --as` says its changes are made by."""
    calls = ToolCalls(settings, name)
    return Server(
        "living-reports",
        title="Living Reports",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=calls.list_tools,
        on_call_tool=calls.call_tool,
    )


class ToolCalls:
    """The two requests that a tool server answers: which tools there are, and a call of one."""

    def __init__(self, settings: Settings, name: str = "") -> None:
        self._settings = settings
        self._name = name
        self._gate = ReportGate(settings.lock_timeout_seconds)
        self._threads = anyio.CapacityLimiter(WORKER_THREADS)
        self._opening = threading.Lock()
        self._opened: Library | None = None

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
        try:
            return _answer(await self._ask(tool, params.arguments, context))
        except ReportError as error:
            return _refusal(error)
        except Exception:
            # The only place that catches everything: a defect of ours must not end the session of
            # a client, nor show it our insides. The log has the whole story.
            logger.exception("%s failed", params.name)
            hint = "This is a defect of the server; its log on stderr has the details."
            return _refusal(InternalError("The server failed.", hint=hint))

    async def _ask(self, tool: Tool, raw: dict[str, Any] | None, context: Context) -> dict[str, Any]:
        arguments = check_arguments(tool, raw)
        call = partial(self._call, tool, arguments, client_name(context, self._name))
        if "report" not in arguments:
            return await anyio.to_thread.run_sync(call, limiter=self._threads)
        async with self._gate.turn(arguments["report"]):
            return await anyio.to_thread.run_sync(call, limiter=self._threads)

    def _call(self, tool: Tool, arguments: dict[str, Any], client: str) -> dict[str, Any]:
        from living_reports.models import Author

        author = {} if tool["annotations"]["readOnlyHint"] else {"author": Author("agent", client)}
        answer: dict[str, Any] = getattr(self._library(), tool["name"])(**arguments, **author)
        return answer

    def _library(self) -> Library:
        with self._opening:
            if self._opened is None:
                from living_reports.library import Library

                settings = self._settings
                self._opened = Library(
                    settings.root,
                    lock_timeout_seconds=settings.lock_timeout_seconds,
                    sources=settings.sources,
                )
            return self._opened


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
