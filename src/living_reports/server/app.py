"""The MCP server: its handlers for all requests, and its self-description.

Rules:

- Each kind of request is answered by a module of its own, which is loaded with the first such request: a
  client that only uses tools does not wait for the others.
- Only real capabilities are declared: the list of resources changes, those of tools and prompts do not.

    server = build_server(load_settings())
    app = server.streamable_http_app()
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
from anyio.abc import TaskGroup
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from living_reports import __version__
from living_reports.printable import escape
from living_reports.server.calls import Context, ToolCalls
from living_reports.server.tools import INSTRUCTIONS
from living_reports.server.worker import Worker
from living_reports.settings import Settings

if TYPE_CHECKING:
    from living_reports.server.subscriptions import Subscriptions

MAX_MESSAGE_BYTES = 32_000_000
"""The size limit of one message of a client."""

DESCRIPTION = "Reports that agents and people keep accurate: every change is atomic, visible and undoable."
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' "
    "stroke='%232f855a' stroke-width='2' stroke-linecap='round'%3E%3Cpath d='M6 2h9l4 4v16H6z'/%3E"
    "%3Cpath d='M9 14h1.5l1.5-4 2 7 1.5-3H17'/%3E%3C/svg%3E"
)
"""A page with a pulse line."""


def log_to_stderr() -> None:
    """Log warnings and errors to stderr: with stdio, only protocol messages go to stdout."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter("living-reports: %(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class LogFormatter(logging.Formatter):
    """Writes a record on one line, and a traceback indented below it, without control characters.

    Messages repeat what clients send; none of it can look like another record or reach the terminal.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, and its traceback."""
        record.message = record.getMessage()
        lines = [escape(self.formatMessage(record))]
        if record.exc_info:
            lines += [f"  {escape(line)}" for line in self.formatException(record.exc_info).split("\n")]
        return "\n".join(lines)


def build_server(settings: Settings, name: str = "") -> LivingServer:
    """Return the server over these settings; `name` is the author name of `serve --as`."""
    return LivingServer(Worker(settings), name, settings.user)


@asynccontextmanager
async def _running(server: Server[TaskGroup]) -> AsyncIterator[TaskGroup]:
    """Hold the tasks that outlive their requests for as long as the server runs."""
    async with anyio.create_task_group() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()


class LivingServer(Server[TaskGroup]):
    """The server for the old protocols and for 2026-07-28.

    SDK (mcp 2.3): for 2026-07-28 it would declare that the lists of tools and prompts change, and would
    describe the server with its icon in every result. `_discover` and `server_info_stamp` correct that.
    """

    def __init__(self, worker: Worker, name: str = "", user: str = "") -> None:
        self._worker = worker
        self._is_leaving = False
        self._calls = calls = ToolCalls(worker, name, user)
        super().__init__(
            "living-reports",
            title="Living Reports",
            description=DESCRIPTION,
            version=__version__,
            instructions=INSTRUCTIONS,
            icons=[types.Icon(src=ICON, mime_type="image/svg+xml", sizes=["any"])],
            lifespan=_running,
            on_list_tools=calls.list_tools,
            on_call_tool=calls.call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_resource_templates,
            on_read_resource=self._read_resource,
            on_subscribe_resource=self._subscribe,
            on_unsubscribe_resource=self._unsubscribe,
            on_subscriptions_listen=self._listen,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_completion=self._complete,
        )
        self.add_request_handler("server/discover", types.RequestParams, self._discover)

    # --- Self-description ---------------------------------------------------------------

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """Return the capabilities for the handshake of the older protocols."""
        options = notification_options or NotificationOptions(resources_changed=True)
        return super().create_initialization_options(options, experimental_capabilities, extensions)

    @property
    def server_info_stamp(self) -> dict[str, Any]:
        """The short description that 2026-07-28 puts into every result."""
        return {"name": self.name, "version": self.version}

    async def _discover(self, context: Context, params: types.RequestParams) -> types.DiscoverResult:
        capabilities = self.get_capabilities(protocol_version=context.protocol_version)
        capabilities.tools = types.ToolsCapability(list_changed=False)
        capabilities.prompts = types.PromptsCapability(list_changed=False)
        info = self.server_info.model_dump(by_alias=True, mode="json", exclude_none=True)
        return types.DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=capabilities,
            instructions=self.instructions,
            meta={types.SERVER_INFO_META_KEY: info},
        )

    # --- Resources ------------------------------------------------------------------------

    async def _list_resources(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        from living_reports.server import resources

        if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            await self._subscriptions.follow_list(context)  # first, so that no change is missed
        return await resources.list_resources(self._worker, context, params)

    async def _list_resource_templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        from living_reports.server import resources

        return resources.list_templates()

    async def _read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        from living_reports.server import resources

        return await resources.read_resource(self._worker, context, params)

    # --- Subscriptions --------------------------------------------------------------------

    @cached_property
    def _subscriptions(self) -> Subscriptions:
        from living_reports.server.subscriptions import Subscriptions

        subscriptions = Subscriptions(self._worker)
        self._calls.written = subscriptions.check
        if self._is_leaving:
            subscriptions.end()
        return subscriptions

    def end_subscriptions(self) -> None:
        """Answer every `subscriptions/listen`, open or still to come: the server is shutting down."""
        self._is_leaving = True
        if "_subscriptions" in self.__dict__:
            self._subscriptions.end()

    async def _subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        return await self._subscriptions.subscribe(context, params)

    async def _unsubscribe(
        self, context: Context, params: types.UnsubscribeRequestParams
    ) -> types.EmptyResult:
        return await self._subscriptions.unsubscribe(context, params)

    async def _listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        return await self._subscriptions.listen(context, params)

    # --- Prompts --------------------------------------------------------------------------

    async def _list_prompts(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        from living_reports.server import prompts

        return prompts.list_prompts()

    async def _get_prompt(
        self, context: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        from living_reports.server import prompts

        return await prompts.get_prompt(self._worker, context, params)

    async def _complete(self, context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        from living_reports.server import prompts

        return await prompts.complete(self._worker, context, params)
