"""Long calls say how far they are, and a cancelled one leaves nothing half done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from mcp.client import Client

from living_reports.library import Library
from living_reports.library.requests import AuditReport, CreateReport
from living_reports.model.event import Author
from living_reports.model.report import Outline
from living_reports.server.app import build_server
from living_reports.server.progress import Progress
from living_reports.settings import Settings
from living_reports.storage import Note
from living_reports.store.files.lock import hold
from support.mcp_client import PROTOCOL_MODES, call_tool, connect, run_async

ANN = Author("cli", "ann")
SECTIONS = 40

Told = list[tuple[float, float | None, str | None]]


@pytest.fixture
def long(tmp_path: Path) -> str:
    """A report whose page takes a while to make."""
    prose = "Some **prose** with a [link](https://example.org) in lines of the usual length.\n\n" * 100
    sections = [{"title": f"Section {number}", "content": prose} for number in range(SECTIONS)]
    return str(Library(tmp_path).create_report(CreateReport("Long", sections), author=ANN)["report_id"])


def with_many_events(root: Path, versions: int) -> str:
    """A report with a long log."""
    library = Library(root)
    created = library.create_report(CreateReport("Model", [{"title": "Log"}]), author=ANN)["report_id"]
    first = library.store.read(created).outline.model_copy(
        update={"report_id": "5f9d12ab-0000-4000-8000-000000000000"}
    )

    def later() -> Any:
        outline: Outline = first
        for number in range(2, versions + 1):
            outline = outline.model_copy(update={"title": f"Title {number}", "outline_version": number})
            yield outline, Note("rename", ANN)

    library.store.create(first, Note("create", ANN), later())
    return first.report_id


@asynccontextmanager
async def hearing(root: Path, mode: str) -> AsyncIterator[tuple[Client, Told, Any]]:
    """A client, what it is told of progress, and what takes that down."""
    told: Told = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with connect(root, mode=mode) as client:
        yield client, told, hear


# --- Progress ----------------------------------------------------------------------------


@PROTOCOL_MODES
def test_a_large_page_says_how_far_it_is(tmp_path: Path, mode: str, long: str) -> None:
    async def test() -> None:
        async with hearing(tmp_path, mode) as (client, told, hear):
            arguments = {"report": long, "format": "html"}
            result = await client.call_tool("render_report", arguments, progress_callback=hear)
            assert not result.is_error
        done = [progress for progress, _, _ in told]
        assert done
        assert done == sorted(set(done))
        assert done[-1] <= SECTIONS
        assert {(total, message) for _, total, message in told} == {(SECTIONS, "rendering the page")}

    run_async(test)


def test_a_check_says_how_much_of_the_log_it_has_read(tmp_path: Path) -> None:
    report_id = with_many_events(tmp_path, 250)
    said: list[tuple[str, int, int]] = []
    answer = Library(tmp_path).audit_report(
        AuditReport(report_id, verify=True),
        progress=lambda what, done, total: said.append((what, done, total)),
    )
    assert answer["verified"] == answer["verified"] | {"ok": True, "events": 250}
    size = (tmp_path / "by_id" / report_id / "audit.jsonl").stat().st_size
    assert [(what, total) for what, _, total in said] == [("checking the log", size)] * 2
    assert 0 < said[0][1] < said[1][1] < size


@PROTOCOL_MODES
def test_who_asks_for_progress_gets_the_same_answer(tmp_path: Path, mode: str) -> None:
    report_id = Library(tmp_path).create_report(CreateReport("Short"), author=ANN)["report_id"]

    async def test() -> None:
        async def hear(progress: float, total: float | None, message: str | None) -> None:
            pass

        async with Client(build_server(Settings(tmp_path)), mode=mode) as client:
            for arguments in ({"report": report_id, "verify": True}, {"report": "Nope", "verify": True}):
                plain = await client.call_tool("audit_report", arguments)
                asked = await client.call_tool("audit_report", arguments, progress_callback=hear)
                assert (asked.content, asked.is_error) == (plain.content, plain.is_error)

    run_async(test)


# --- Cancellation ------------------------------------------------------------------------


def test_a_cancelled_call_that_only_reads_ends_when_it_says_how_far_it_is() -> None:
    async def test() -> None:
        progress, has_begun = Progress(), anyio.Event()

        def read_for_ever() -> None:
            anyio.from_thread.run_sync(has_begun.set)
            while True:
                progress("reading", 1, 2)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, read_for_ever)
            await has_begun.wait()
            tasks.cancel_scope.cancel()

    run_async(test)


@PROTOCOL_MODES
def test_a_cancelled_page_is_not_half_written(tmp_path: Path, mode: str, long: str) -> None:
    folder = tmp_path / "by_id" / long

    async def test() -> None:
        async with connect(tmp_path, mode=mode) as client:
            with anyio.CancelScope() as scope:

                async def cancel(progress: float, total: float | None, message: str | None) -> None:
                    scope.cancel()

                arguments = {"report": long, "format": "html"}
                await client.call_tool("render_report", arguments, progress_callback=cancel)
            assert scope.cancelled_caught
            answer = await call_tool(client, "audit_report", report=long, verify=True)
            assert answer["verified"]["ok"]
            assert [event["action_type"] for event in answer["events"]] == ["create"]
        assert not list(folder.glob("render/*"))

    run_async(test)


@PROTOCOL_MODES
def test_a_cancelled_change_is_there_whole_or_not_at_all(tmp_path: Path, mode: str) -> None:
    library = Library(tmp_path)
    report_id = library.create_report(CreateReport("Busy", [{"title": "Log"}]), author=ANN)["report_id"]
    library.create_report(CreateReport("Free"), author=ANN)
    changes = [{"op": "append_text", "section": "Log", "text": text} for text in ("one", "two")]
    call = {"report": report_id, "changes": changes, "request_id": "r-1"}

    async def test() -> None:
        async with connect(tmp_path, mode=mode) as client:
            with hold(tmp_path / "by_id" / report_id / ".lock", 5.0):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.call_tool, "update_report", call)
                    await call_tool(client, "get_report", report="Free")  # the call before it was read
                    tasks.cancel_scope.cancel()
                await call_tool(client, "get_report", report="Free")  # and now its cancellation
            repeated = await call_tool(client, "update_report", **call)
            assert (repeated["version"], repeated["applied"]) == (2, 2)
            answer = await call_tool(client, "audit_report", report=report_id, verify=True)
            assert answer["verified"] == answer["verified"] | {"ok": True, "events": 2}
            [section] = (await call_tool(client, "get_report", report=report_id, view="sections"))["sections"]
            assert section["content"].split() == ["one", "two"]

    run_async(test)


@PROTOCOL_MODES
def test_a_cancelled_call_that_waits_for_its_turn_never_begins(tmp_path: Path, mode: str) -> None:
    library = Library(tmp_path)
    report_id = library.create_report(CreateReport("Busy", [{"title": "Log"}]), author=ANN)["report_id"]
    library.create_report(CreateReport("Free"), author=ANN)

    def appending(text: str) -> dict[str, Any]:
        return {"report": report_id, "changes": [{"op": "append_text", "section": "Log", "text": text}]}

    async def test() -> None:
        async with connect(tmp_path, mode=mode) as client, anyio.create_task_group() as first:
            with hold(tmp_path / "by_id" / report_id / ".lock", 5.0):
                first.start_soon(client.call_tool, "update_report", appending("first"))
                await call_tool(client, "get_report", report="Free")
                async with anyio.create_task_group() as second:
                    second.start_soon(client.call_tool, "update_report", appending("second"))
                    await call_tool(client, "get_report", report="Free")
                    second.cancel_scope.cancel()
                await call_tool(client, "get_report", report="Free")
            third = await call_tool(client, "update_report", **appending("third"))
            assert third["version"] == 3
            [section] = (await call_tool(client, "get_report", report=report_id, view="sections"))["sections"]
            assert section["content"].split() == ["first", "third"]

    run_async(test)
