"""Changes reach the clients that follow them, whoever made them: over real stdio, in both eras."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPError

from living_reports.library import Library
from living_reports.library.requests import CreateReport, TrashReport, UpdateReport
from living_reports.model.event import Author
from living_reports.server import subscriptions
from living_reports.server.app import build_server
from living_reports.settings import Settings
from support.http_server import start_http_server
from support.mcp_client import PROTOCOL_MODES, call_tool, connect, run_async
from support.wire import Wire, start_server, with_envelope

pytestmark = pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed")

ANN = Author("cli", "ann")
LIST = "the list"


class Ear:
    """The notifications of changes that a client receives: addresses, or `LIST`."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._has_a_stream = False  # its client says there what it says to the handler as well

    async def older(self, message: Any) -> None:
        """Takes what a server of the older protocols says unasked."""
        if self._has_a_stream:
            return
        if isinstance(message, types.ResourceUpdatedNotification):
            self._heard.put_nowait(message.params.uri)
        elif isinstance(message, types.ResourceListChangedNotification):
            self._heard.put_nowait(LIST)

    @asynccontextmanager
    async def following(self, client: Client, *addresses: str, of_list: bool = False) -> AsyncIterator[None]:
        """Follow addresses, and the list, in the way of the client's era."""
        if client.protocol_version < "2026":
            for address in addresses:
                await client.subscribe_resource(address)
            if of_list:
                await client.list_resources()
            yield
            return
        self._has_a_stream = True
        wanted = {"resource_subscriptions": addresses, "resources_list_changed": of_list}
        async with client.listen(**wanted) as events, anyio.create_task_group() as tasks:  # type: ignore[arg-type]

            async def hear() -> None:
                async for event in events:
                    self._heard.put_nowait(event.uri if isinstance(event, ResourceUpdated) else LIST)

            tasks.start_soon(hear)
            yield
            tasks.cancel_scope.cancel()

    async def next(self) -> str:
        return await self._heard.get()


def health(root: Path, title: str = "Health") -> str:
    """The address of a new report."""
    created = Library(root).create_report(CreateReport(title, [{"title": "Log"}]), author=ANN)
    return f"report://{created['report_id']}"


def appending(address: str) -> dict[str, Any]:
    change = {"op": "append_text", "section": "Log", "text": "more"}
    return {"report": address.removeprefix("report://"), "changes": [change]}


@PROTOCOL_MODES
def test_changes_are_heard_whoever_made_them(tmp_path: Path, mode: str) -> None:
    page = health(tmp_path)

    async def test() -> None:
        ear = Ear()
        async with connect(tmp_path, mode=mode, on_message=ear.older) as client, connect(tmp_path) as other:
            async with ear.following(client, f"{page}/v/1", page, of_list=True):
                for writer in (other, client, other):
                    await call_tool(writer, "update_report", **appending(page))
                    assert await ear.next() == page
                edit_by_hand(tmp_path, page)
                assert {await ear.next(), await ear.next()} == {page, LIST}  # it has another title, too
                await call_tool(other, "create_report", title="Another")
                assert await ear.next() == LIST
                Library(tmp_path).trash_report(TrashReport("Another"), author=ANN)
                assert await ear.next() == LIST
            [contents] = (await client.read_resource(page)).contents
            assert isinstance(contents, types.TextResourceContents)
            assert contents.text.startswith("# By hand\n\n*Version 5")

    run_async(test)


def edit_by_hand(root: Path, page: str) -> None:
    """Give the report another title, as a person with an editor would."""
    outline = root / "by_id" / page.removeprefix("report://") / "outline.json"
    outline.write_text(outline.read_text("utf-8").replace('"Health"', '"By hand"'), encoding="utf-8")


def test_who_unsubscribes_hears_no_more(tmp_path: Path) -> None:
    first, second = health(tmp_path, "First"), health(tmp_path, "Second")

    async def test() -> None:
        ear = Ear()
        server = build_server(Settings(tmp_path))
        async with Client(server, mode="legacy", message_handler=ear.older) as client:
            await client.subscribe_resource(first)
            await client.subscribe_resource(second)
            await client.unsubscribe_resource(first)
            await client.unsubscribe_resource("report://never")
            await call_tool(client, "update_report", **appending(first))
            await call_tool(client, "update_report", **appending(second))
            assert await ear.next() == second

    run_async(test)


def test_nothing_can_be_subscribed_to_that_is_not_there(tmp_path: Path) -> None:
    async def test() -> None:
        async with Client(build_server(Settings(tmp_path)), mode="legacy") as client:
            for address in ("report://nope", "https://example.org", "report://", ""):
                with pytest.raises(MCPError) as caught:
                    await client.subscribe_resource(address)
                assert (caught.value.code, caught.value.data["uri"]) == (-32002, address)

    run_async(test)


def test_a_stream_is_opened_for_what_is_there_too(tmp_path: Path) -> None:
    page = health(tmp_path)

    async def test() -> None:
        ear = Ear()
        async with (
            Client(build_server(Settings(tmp_path))) as client,
            ear.following(client, "report://nope", page),
        ):
            await call_tool(client, "update_report", **appending(page))
            assert await ear.next() == page

    run_async(test)


def test_only_so_many_addresses_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_ADDRESSES", 1)
    first, second = health(tmp_path, "First"), health(tmp_path, "Second")

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path)), mode="legacy") as client:
            await client.subscribe_resource(first)
            await client.subscribe_resource(first)
            with pytest.raises(MCPError) as caught:
                await client.subscribe_resource(second)
            assert caught.value.data["code"] == "too_large"
            await client.unsubscribe_resource(first)
            await client.subscribe_resource(second)

    run_async(test)


@PROTOCOL_MODES
def test_nobody_looks_while_nobody_follows(tmp_path: Path, mode: str) -> None:
    page = health(tmp_path)
    server = build_server(Settings(tmp_path))

    async def test() -> None:
        ear = Ear()
        async with Client(server, mode=mode, message_handler=ear.older) as client:
            for _ in range(2):
                async with ear.following(client, page):
                    assert server._subscriptions._is_watching
                    await call_tool(client, "update_report", **appending(page))
                    assert await ear.next() == page
                if mode == "legacy":
                    await client.unsubscribe_resource(page)
                while server._subscriptions._is_watching:
                    await anyio.sleep(0.01)

    run_async(test)


def test_who_leaves_is_forgotten(tmp_path: Path) -> None:
    page = health(tmp_path)
    server = build_server(Settings(tmp_path))

    async def test() -> None:
        async with Client(server, mode="legacy") as client:
            await client.subscribe_resource(page)
            await client.list_resources()
        while server._subscriptions._followers:
            await anyio.sleep(0.01)

    run_async(test)


# --- On the wire -------------------------------------------------------------------------


def listen(wire: Wire, **wanted: Any) -> dict[str, Any]:
    """Open a stream, and say what the server confirms."""
    request = {"jsonrpc": "2.0", "id": "ears", "method": "subscriptions/listen"}
    wire.send(with_envelope(request | {"params": {"notifications": wanted}}))
    confirmed = wire.receive()
    assert confirmed["method"] == "notifications/subscriptions/acknowledged"
    notifications: dict[str, Any] = confirmed["params"]["notifications"]
    return notifications


def test_a_stream_confirms_what_can_change_and_says_where_it_did(tmp_path: Path) -> None:
    page = health(tmp_path)
    with start_server(tmp_path, initialized=False) as wire:
        wanted = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
        assert listen(wire, **wanted, resourceSubscriptions=[page]) == {
            "resourcesListChanged": True,
            "resourceSubscriptions": [page],
        }
        append_elsewhere(tmp_path, page)
        heard = wire.receive()
        assert (heard["method"], heard["params"]["uri"]) == ("notifications/resources/updated", page)
        assert heard["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "ears"
        [answer] = wire.rest()  # stdin ends: so does the stream
        assert (answer["id"], answer["result"]["resultType"]) == ("ears", "complete")
        assert wire.process.returncode == 0


def test_a_stream_that_is_asked_for_at_the_very_end_is_answered_too(tmp_path: Path) -> None:
    with start_server(tmp_path, initialized=False) as wire:
        request = {"jsonrpc": "2.0", "id": "ears", "method": "subscriptions/listen"}
        wire.send(with_envelope(request | {"params": {"notifications": {"resourcesListChanged": True}}}))
        *_, answer = wire.rest()
        assert (answer["id"], answer["result"]["resultType"]) == ("ears", "complete")
        assert answer["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "ears"
        assert wire.process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_stream_is_ended_with_its_answer_on_sigterm(tmp_path: Path) -> None:
    with start_server(tmp_path, initialized=False) as wire:
        listen(wire, resourcesListChanged=True)
        wire.process.send_signal(signal.SIGTERM)
        assert wire.receive()["id"] == "ears"
        assert wire.process.wait(timeout=60) == 0


def test_a_server_that_is_followed_in_the_older_way_leaves_when_stdin_ends(tmp_path: Path) -> None:
    with start_server(tmp_path) as wire:
        wire.ask({"jsonrpc": "2.0", "id": 2, "method": "resources/list"})
        assert wire.rest() == []
        assert wire.process.returncode == 0


# --- Over HTTP ---------------------------------------------------------------------------


@PROTOCOL_MODES
def test_changes_are_heard_over_http(tmp_path: Path, mode: str) -> None:
    page = health(tmp_path)

    async def test(url: str) -> None:
        ear = Ear()
        with anyio.fail_after(60):
            async with (
                Client(url, mode=mode, message_handler=ear.older) as client,
                ear.following(client, page, of_list=True),
            ):
                heard = ""
                while heard != page:  # the older protocol opens the stream for it in its own time
                    await anyio.to_thread.run_sync(append_elsewhere, tmp_path, page)
                    with anyio.move_on_after(2):
                        heard = await ear.next()

    with start_http_server(tmp_path) as server:
        anyio.run(test, server.url)


def append_elsewhere(root: Path, page: str) -> None:
    """A change by another process than the server's."""
    Library(root).update_report(UpdateReport(**appending(page)), author=ANN)
