"""Clients that want to hear of changes, and the lookout that is kept for as long as there are any.

Rules:

- What changed is the library's to say (`library.lookout`). It is asked every `SECONDS_BETWEEN`
  and after each call that may have written; never while nobody follows anything.
- On 2026-07-28 a client listens (`subscriptions/listen`) and names what for. Before, it subscribes to
  addresses; that the list has changed is told to whoever has asked for the list.
- Word of a change says only where: two changes may make one. A client that does not take it
  keeps nobody else waiting.
- What is at an address when the subscription is confirmed is what later looks are compared with.
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
from living_reports.server.desk import Context, Desk, defects_logged, errors_of_the_protocol

if TYPE_CHECKING:
    from living_reports.library.watch import ChangeWatcher

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 0.5
MAX_ADDRESSES = 1_000
"""How many addresses are followed at once, by all clients together."""
LIST = None
"""What the lookout calls the list of reports."""


class Subscriptions:
    """Who follows what, in both eras of the protocol."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bus = InMemorySubscriptionBus()
        self._listen = ListenHandler(self._bus)
        self._lookout: ChangeWatcher | None = None
        self._followers: Counter[str | None] = Counter()
        self._subscribers: dict[Connection, _Subscriber] = {}
        self._is_looking = False
        self._has_ended = False
        self._due = anyio.Event()

    def look(self) -> None:
        """Look for changes now: something was written here."""
        self._due.set()

    def end(self) -> None:
        """Answer every `subscriptions/listen`, open or still to come."""
        self._has_ended = True
        self._listen.close()

    # --- 2026-07-28 -----------------------------------------------------------------------

    async def listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Tell the client of what it named, until it leaves or the server does.

        What there is no word of (tools and prompts never change) is not confirmed.
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
            with errors_of_the_protocol(context):
                for address in addresses:
                    if await self._begin(context, address):
                        stack.callback(self._forget, address)
            if self._has_ended:
                return types.SubscriptionsListenResult(meta={SUBSCRIPTION_ID_META_KEY: context.request_id})
            return await self._listen(context, params.model_copy(update={"notifications": honoured}))

    # --- The older protocols --------------------------------------------------------------

    async def subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Tell the client of what changes at an address.

        Raises:
            MCPError: It is none of ours, or what is there cannot be read.
        """
        with errors_of_the_protocol(context, uri=params.uri):
            await self._add(context, params.uri)
        return types.EmptyResult()

    async def unsubscribe(
        self, context: Context, params: types.UnsubscribeRequestParams
    ) -> types.EmptyResult:
        """Tell the client of this address no more."""
        subscriber = self._subscriber(context)
        if params.uri in subscriber.addresses:
            subscriber.addresses.remove(params.uri)
            self._forget(params.uri)
        return types.EmptyResult()

    async def follow_list(self, context: Context) -> None:
        """Tell the client when the list that it has just asked for has changed."""
        with errors_of_the_protocol(context):
            await self._add(context, LIST)

    async def _add(self, context: Context, address: str | None) -> None:
        """Follow an address for this connection, once."""
        addresses = self._subscriber(context).addresses
        if address in addresses:
            return
        await self._follow(context, address)
        if address in addresses:  # the client was in a hurry and sent it twice
            self._forget(address)
        addresses.add(address)

    def _subscriber(self, context: Context) -> _Subscriber:
        """What this connection follows; it follows nothing any more once it has ended."""
        connection = context.session._connection  # the SDK hands it to nobody, though handlers may use it
        if connection not in self._subscribers:
            subscriber = _Subscriber(connection)
            self._subscribers[connection] = subscriber
            connection.exit_stack.callback(self._leave, connection, self._bus.subscribe(subscriber.note))
            context.lifespan_context.start_soon(subscriber.tell)
        return self._subscribers[connection]

    def _leave(self, connection: Connection, unsubscribe: Callable[[], None]) -> None:
        unsubscribe()
        subscriber = self._subscribers.pop(connection)
        subscriber.scope.cancel()
        for address in subscriber.addresses:
            self._forget(address)

    # --- The lookout ----------------------------------------------------------------------

    async def _begin(self, context: Context, address: str | None) -> bool:
        """Follow an address, if there is anything to follow: a stream is opened for the others anyway."""
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
        if self._lookout is None:
            self._lookout = await self._desk.ask(lambda library: library.watch())
        lookout = self._lookout
        self._followers[address] += 1
        try:
            await self._desk.ask(lambda library: lookout.follow(address))
        except BaseException:
            self._forget(address)
            raise
        if not self._is_looking:
            self._is_looking = True
            context.lifespan_context.start_soon(self._look_out, lookout)

    def _forget(self, address: str | None) -> None:
        self._followers[address] -= 1
        if not self._followers[address]:
            del self._followers[address]
            if self._lookout is not None:
                self._lookout.forget(address)

    async def _look_out(self, lookout: ChangeWatcher) -> None:
        """Look for changes, and tell of them, for as long as somebody follows something."""
        try:
            while self._followers:
                with anyio.move_on_after(SECONDS_BETWEEN):
                    await self._due.wait()
                self._due = anyio.Event()
                for address in await self._changes(lookout):
                    await self._bus.publish(_event(address))
        finally:
            self._is_looking = False

    async def _changes(self, lookout: ChangeWatcher) -> list[str | None]:
        try:
            with defects_logged("the lookout"):
                return await self._desk.ask(lambda library: lookout.changed())
        except ReportError as error:
            logger.warning("no changes were looked for: %s", error.message)
            return []


class _Subscriber:
    """A connection of an older protocol: what it follows, and what it has not been told yet."""

    def __init__(self, connection: Connection) -> None:
        self.addresses: set[str | None] = set()
        self.scope = anyio.CancelScope()
        self._connection = connection
        self._untold: dict[ServerEvent, None] = {}
        self._news = anyio.Event()

    def note(self, event: ServerEvent) -> None:
        """There is something to tell, if it is followed here."""
        address = event.uri if isinstance(event, ResourceUpdated) else LIST
        if address in self.addresses:
            self._untold[event] = None
            self._news.set()

    async def tell(self) -> None:
        """Tell the client, whenever there is something to tell, until the connection ends."""
        with self.scope:
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                while self._untold:
                    event = next(iter(self._untold))
                    del self._untold[event]
                    await self._tell(event)

    async def _tell(self, event: ServerEvent) -> None:
        if isinstance(event, ResourceUpdated):
            await self._connection.send_resource_updated(event.uri)
        else:
            await self._connection.send_resource_list_changed()


def _event(address: str | None) -> ServerEvent:
    return ResourcesListChanged() if address is LIST else ResourceUpdated(address)
