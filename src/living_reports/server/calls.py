"""Tool calls, and how errors of the library become answers of the protocol.

Rules:

- There is no logic here: a tool is the method of `Library` with the same name.
- An answer is compact JSON, the same object as text and as structured content, since some clients show
  their model only one of the two. A refusal is the error's JSON as text, marked as an error. It is returned
  and not raised, since the SDK puts words in front of a raised one.
- The actor of a tool call is always `agent`, with the client's own name and the user of the server; no
  parameter can change that.
- A defect of this program is logged whole and answered as `internal`: it must not end the session of a
  client, nor show the client any internals.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import mcp_types as types
from anyio.abc import TaskGroup
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from living_reports.errors import (
    InternalError,
    NoSuchVersionError,
    ReportError,
    ReportNotFoundError,
    RequestError,
)
from living_reports.model.selectors import name_line
from living_reports.server.arguments import as_declared, check_arguments
from living_reports.server.tools import BY_NAME, TOOLS, Tool
from living_reports.server.worker import Worker

if TYPE_CHECKING:
    from living_reports.library import Library
    from living_reports.model.event import Author
    from living_reports.server.progress import Progress

logger = logging.getLogger(__name__)

Context = ServerRequestContext[TaskGroup, Any]
"""A request. Tasks that outlive it are started in its `lifespan_context`."""

MAX_SHOWN_CHARS = 1_000
"""The length to which an error cuts the request that it repeats."""
LONG_TOOLS = frozenset({"audit_report", "render_report"})
"""The tools whose methods take `progress`."""
UNRECORDED_TOOLS = frozenset({"render_report"})
"""The tools that write files but no event, so that they take no author."""
RESOURCE_NOT_FOUND = -32002
"""The code of a missing resource before protocol 2026-07-28; since then it is invalid params."""


class ToolCalls:
    """The two requests of a tool server: the list of tools, and a call of one.

    Attributes:
        written: Called after each call of a tool that may have changed something.
    """

    def __init__(self, worker: Worker, name: str, user: str) -> None:
        self.written: Callable[[], None] | None = None
        self._worker = worker
        self._name = name
        self._user = name_line(user)

    async def list_tools(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """Return all tools, on one page."""
        return types.ListToolsResult(tools=[types.Tool.model_validate(tool) for tool in TOOLS])

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """Return the answer or the refusal of one call. A client that asks for progress gets it.

        Raises:
            MCPError: There is no tool of this name.
        """
        tool = BY_NAME.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool. There are {', '.join(BY_NAME)}.")
        if tool["name"] in LONG_TOOLS and context.meta and "progress_token" in context.meta:
            from living_reports.server.progress import reported

            async with reported(context.session) as progress:
                return await self._call(tool, params.arguments, context, progress)
        return await self._call(tool, params.arguments, context)

    async def _call(
        self, tool: Tool, raw: dict[str, Any] | None, context: Context, progress: Progress | None = None
    ) -> types.CallToolResult:
        is_write = not tool["annotations"]["readOnlyHint"]
        is_event = is_write and tool["name"] not in UNRECORDED_TOOLS
        warnings: list[str] = []
        try:
            with defects_logged(tool["name"]):
                declared, warnings = as_declared(tool, raw)
                arguments = check_arguments(tool, declared)
                also: dict[str, Any] = {"author": self._author(context)} if is_event else {}
                also |= {"progress": progress} if progress else {}

                def call(library: Library) -> dict[str, Any]:
                    from living_reports.library.requests import BY_TOOL

                    request = BY_TOOL[tool["name"]](**arguments)
                    answer: dict[str, Any] = getattr(library, tool["name"])(request, **also)
                    return answer

                answer = await self._worker.run(call, arguments.get("report", ""))
                answer = _with_warnings(answer, warnings)
                return types.CallToolResult(content=[_text(answer)], structured_content=answer)
        except ReportError as error:
            refusal = {"error": _with_warnings(error.answer()["error"], warnings)}
            return types.CallToolResult(content=[_text(refusal)], is_error=True)
        finally:
            if is_write and self.written is not None:
                self.written()

    def _author(self, context: Context) -> Author:
        """Return the author of the changes of a call. Once clients sign in, the subject is the user."""
        from living_reports.model.event import Author

        return Author("agent", client_name(context, self._name), self._user)


def _with_warnings(answer: dict[str, Any], warnings: list[str]) -> dict[str, Any]:
    """Return an answer or an error with warnings about the arguments in front of its own."""
    return answer | {"warnings": warnings + answer.get("warnings", [])} if warnings else answer


def client_name(context: Context, name: str = "") -> str:
    """Return the author of a call for the audit trail: the given name, then `name/version` of the client.

    The handshake of older protocols and the envelope of newer ones give the same result. A client that does
    not name itself has an empty name.
    """
    params = context.session.client_params
    client = ""
    if params is not None:
        info = params.client_info
        client = name_line(f"{info.name}/{info.version}" if info.version else info.name)
    if name:
        client = f"{name} ({client})" if client else name
    return name_line(client)


def _text(value: dict[str, Any]) -> types.TextContent:
    compact = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return types.TextContent(type="text", text=compact)


# --- Errors --------------------------------------------------------------------------------


@contextmanager
def defects_logged(what: str) -> Iterator[None]:
    """Log a defect of this program and raise an error for the client instead; `what` names the request.

    Raises:
        InternalError: There was a defect.
    """
    try:
        yield
    except (ReportError, MCPError):
        raise
    except Exception:
        # The only place that catches everything.
        logger.exception("%s failed", what)
        hint = "This is a defect of the server; its log on stderr has the details."
        raise InternalError("The server failed.", hint=hint) from None


@contextmanager
def protocol_errors(context: Context, **about: str) -> Iterator[None]:
    """Raise every error as an error of the protocol: for all requests but tool calls.

    Its `data` is the answer that a tool would give, together with `about`: the object of the request.

    Raises:
        MCPError: There was an error.
    """
    try:
        with defects_logged(context.method):
            yield
    except ReportError as error:
        data = error.answer()["error"] | {name: value[:MAX_SHOWN_CHARS] for name, value in about.items()}
        raise MCPError(_code(error, context), error.message, data) from None


def _code(error: ReportError, context: Context) -> int:
    is_missing = isinstance(error, ReportNotFoundError | NoSuchVersionError)
    if is_missing and context.method.startswith("resources/"):
        is_new = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        return types.INVALID_PARAMS if is_new else RESOURCE_NOT_FOUND
    return types.INVALID_PARAMS if isinstance(error, RequestError) else types.INTERNAL_ERROR
