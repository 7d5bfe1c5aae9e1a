"""Subscriptions: notify clients of changes at the addresses that they follow.

Rules:

- `library.watch` detects the changes. It is called every `INTERVAL_S` and after each call that may have
  written, but not while nothing is followed.
- In 2026-07-28 a client sends `subscriptions/listen` with the addresses. In older protocols it subscribes to
  addresses, and is notified of changes of the list once it has asked for the list.
- A notification names only the address: two changes may become one notification. A client that does not
  read its notifications delays no other client.
- Later checks are compared with the content at the time when the subscription is confirmed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import anyio
import mcp_types as types
from mcp.server.connection import Connection
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
)

from living_reports.errors import NotFoundError, ReportError, TooLargeError
from living_reports.server.calls import Context, defects_logged, protocol_errors
from living_reports.server.worker import Worker

if TYPE_CHECKING:
    from living_reports.library.watch import ChangeWatcher

logger = logging.getLogger(__name__)

INTERVAL_S = 0.5
MAX_ADDRESSES = 1_000
"""The number of addresses that all clients together may follow at once."""
LIST = None
"""The list of reports, as `library.watch` names it."""


class Subscriptions:
    """The followed addresses of all clients, in old protocols and in 2026-07-28."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._bus = InMemorySubscriptionBus()
        self._listen = ListenHandler(self._bus)
        self._watcher: ChangeWatcher | None = None
        self._followers: Counter[str | None] = Counter()
        self._subscribers: dict[Connection, _Subscriber] = {}
        self._is_watching = False
        self._has_ended = False
        self._due = anyio.Event()

    def check(self) -> None:
        """Check for changes now: this process has written something."""
        self._due.set()

    def end(self) -> None:
        """Answer every `subscriptions/listen`, open or still to come."""
        self._has_ended = True
        self._listen.close()

    # --- 2026-07-28 -----------------------------------------------------------------------

    async def listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Notify the client of the changes it asks for, until it leaves or the server shuts down.

        Changes that never happen (of tools and prompts) are not confirmed.
        """
        wanted = params.notifications
        honoured = types.SubscriptionFilter(
            resources_list_changed=wanted.resources_list_changed,
            resource_subscriptions=wanted.resource_subscriptions,
        )
        addresses: dict[str | None, None] = dict.fromkeys(wanted.resource_subscriptions or ())
        if wanted.resources_list_changed:
            addresses[LIST] = None
        with ExitStack() as stack:
            with protocol_errors(context):
                for address in addresses:
                    if await self._begin(context, address):
                        stack.callback(self._forget, address)
            if self._has_ended:
                return types.SubscriptionsListenResult(meta={SUBSCRIPTION_ID_META_KEY: context.request_id})
            return await self._listen(context, params.model_copy(update={"notifications": honoured}))

    # --- The older protocols --------------------------------------------------------------

    async def subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Notify the client of changes at an address.

        Raises:
            MCPError: It is not an address of a report, or the report cannot be read.
        """
        with protocol_errors(context, uri=params.uri):
            await self._add(context, params.uri)
        return types.EmptyResult()

    async def unsubscribe(
        self, context: Context, params: types.UnsubscribeRequestParams
    ) -> types.EmptyResult:
        """Stop notifying the client of this address."""
        subscriber = self._subscriber(context)
        if params.uri in subscriber.addresses:
            subscriber.addresses.remove(params.uri)
            self._forget(params.uri)
        return types.EmptyResult()

    async def follow_list(self, context: Context) -> None:
        """Notify the client of changes of the list, which it has just asked for."""
        with protocol_errors(context):
            await self._add(context, LIST)

    async def _add(self, context: Context, address: str | None) -> None:
        """Follow an address for this connection, once."""
        addresses = self._subscriber(context).addresses
        if address in addresses:
            return
        await self._follow(context, address)
        if address in addresses:  # the client sent it twice at once
            self._forget(address)
        addresses.add(address)

    def _subscriber(self, context: Context) -> _Subscriber:
        """Return the subscriber of this connection; it is removed when the connection ends."""
        connection = context.session._connection  # SDK (mcp 2.3): there is no public access
        if connection not in self._subscribers:
            subscriber = _Subscriber(connection)
            self._subscribers[connection] = subscriber
            connection.exit_stack.callback(self._leave, connection, self._bus.subscribe(subscriber.note))
            context.lifespan_context.start_soon(subscriber.send_all)
        return self._subscribers[connection]

    def _leave(self, connection: Connection, unsubscribe: Callable[[], None]) -> None:
        unsubscribe()
        subscriber = self._subscribers.pop(connection)
        subscriber.scope.cancel()
        for address in subscriber.addresses:
            self._forget(address)

    # --- The watcher ----------------------------------------------------------------------

    async def _begin(self, context: Context, address: str | None) -> bool:
        """Follow an address; False if nothing is there: the stream is opened for the others anyway."""
        try:
            await self._follow(context, address)
        except NotFoundError:
            return False
        return True

    async def _follow(self, context: Context, address: str | None) -> None:
        if address not in self._followers and len(self._followers) >= MAX_ADDRESSES:
            raise TooLargeError(
                f"{MAX_ADDRESSES:,} addresses are followed already.",
                hint="Unsubscribe from some, or follow the list.",
                limit=MAX_ADDRESSES,
            )
        if self._watcher is None:
            self._watcher = await self._worker.run(lambda library: library.watch())
        watcher = self._watcher
        self._followers[address] += 1
        try:
            await self._worker.run(lambda library: watcher.follow(address))
        except BaseException:
            self._forget(address)
            raise
        if not self._is_watching:
            self._is_watching = True
            context.lifespan_context.start_soon(self._watch, watcher)

    def _forget(self, address: str | None) -> None:
        self._followers[address] -= 1
        if not self._followers[address]:
            del self._followers[address]
            if self._watcher is not None:
                self._watcher.forget(address)

    async def _watch(self, watcher: ChangeWatcher) -> None:
        """Check for changes and publish them for as long as anything is followed."""
        try:
            while self._followers:
                with anyio.move_on_after(INTERVAL_S):
                    await self._due.wait()
                self._due = anyio.Event()
                for address in await self._changes(watcher):
                    await self._bus.publish(_event(address))
        finally:
            self._is_watching = False

    async def _changes(self, watcher: ChangeWatcher) -> list[str | None]:
        try:
            with defects_logged("watching"):
                return await self._worker.run(lambda library: watcher.changed())
        except ReportError as error:
            logger.warning("changes could not be checked: %s", error.message)
            return []


class _Subscriber:
    """A connection of an older protocol: its addresses, and the notifications still to send."""

    def __init__(self, connection: Connection) -> None:
        self.addresses: set[str | None] = set()
        self.scope = anyio.CancelScope()
        self._connection = connection
        self._pending: dict[ServerEvent, None] = {}
        self._added = anyio.Event()

    def note(self, event: ServerEvent) -> None:
        """Add a notification, if its address is followed here."""
        address = event.uri if isinstance(event, ResourceUpdated) else LIST
        if address in self.addresses:
            self._pending[event] = None
            self._added.set()

    async def send_all(self) -> None:
        """Send notifications until the connection ends."""
        with self.scope:
            while True:
                await self._added.wait()
                self._added = anyio.Event()
                while self._pending:
                    event = next(iter(self._pending))
                    del self._pending[event]
                    await self._send(event)

    async def _send(self, event: ServerEvent) -> None:
        if isinstance(event, ResourceUpdated):
            await self._connection.send_resource_updated(event.uri)
        else:
            await self._connection.send_resource_list_changed()


def _event(address: str | None) -> ServerEvent:
    return ResourcesListChanged() if address is LIST else ResourceUpdated(address)
