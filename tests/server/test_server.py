"""The server as clients meet it: the SDK's own client over real stdio, in both protocol eras."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import anyio
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from living_reports import __version__
from living_reports.library import Library
from living_reports.library.requests import CreateReport, GetReport
from living_reports.model.event import Author
from living_reports.model.selectors import MAX_NAME_CHARS
from living_reports.server.app import DESCRIPTION, build_server
from living_reports.server.tools import BY_NAME, INSTRUCTIONS
from living_reports.server.worker import WORKER_THREADS
from living_reports.settings import Settings
from living_reports.store.files.lock import hold
from support.library_reports import lock_path
from support.mcp_client import PROTOCOL_MODES, call_refused, call_tool, connect, run_async

ANN = Author("cli", "ann")


@PROTOCOL_MODES
def test_the_client_sees_the_tools_as_they_are_written(tmp_path: Path, mode: str) -> None:
    async def test() -> None:
        async with connect(tmp_path, mode=mode) as client:
            listed = (await client.list_tools()).tools
            as_sent = [tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in listed]
            assert as_sent == list(BY_NAME.values())
            assert client.instructions == INSTRUCTIONS
            assert client.server_info is not None
            assert client.server_info.name == "living-reports"

    run_async(test)


@PROTOCOL_MODES
def test_a_report_is_kept_through_all_tools(tmp_path: Path, mode: str) -> None:
    async def test() -> None:
        async with connect(tmp_path, mode=mode) as client:
            insight = {
                "summary": "Errors rose",
                "importance": 8,
                "citations": [{"url": "https://example.org"}],
            }
            section = {"title": "Errors", "content": "12 % fail.", "insights": [insight]}
            created = await call_tool(
                client, "create_report", title="Health", sections=[section], tags=["ops"]
            )
            change = {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "15 %"}
            updated = await call_tool(
                client, "update_report", report="Health", expected_version="1", reason="May", changes=[change]
            )
            assert (updated["version"], updated["applied"]) == (2, 1)
            for view in ("summary", "sections", "insights", "full", "markdown"):
                assert (await call_tool(client, "get_report", report="Health", view=view))["version"] == 2
            [row] = (await call_tool(client, "list_reports", query="health", tags=["ops"]))["reports"]
            assert row["report_id"] == created["report_id"]
            [edit] = (await call_tool(client, "diff_report", report="Health", since="1"))["changed"]
            assert (edit["new"], edit["by"]["reason"]) == ("15 % fail.", "May")
            assert (await call_tool(client, "check_report", report="Health"))["ok"]
            reverted = await call_tool(client, "revert_report", report="Health", undo=2)
            assert reverted["version"] == 3
            page = await call_tool(client, "render_report", report="Health", format="html")
            assert Path(page["path"]).stat().st_size == page["bytes"]
            audit = await call_tool(client, "audit_report", report="Health", item="Errors", verify=True)
            assert [event["version"] for event in audit["events"]] == [3, 2, 1]
            assert audit["last_change"]["version"] == 3
            assert audit["verified"]["ok"]
            copy = await call_tool(
                client, "create_report", title="Copy", from_reports=["Health"], template="blank"
            )
            assert copy["version"] == 1

    run_async(test)


@PROTOCOL_MODES
def test_an_edit_of_another_place_is_merged_and_of_the_same_refused(tmp_path: Path, mode: str) -> None:
    async def test() -> None:
        async with connect(tmp_path, mode=mode) as client:
            sections = [{"title": "Errors", "content": "12 %"}, {"title": "Latency", "content": "Fast."}]
            await call_tool(client, "create_report", title="Health", sections=sections)

            def write(section: str, content: str) -> dict[str, Any]:
                changes = [{"op": "edit_section", "section": section, "content": content}]
                return {"report": "Health", "changes": changes, "expected_version": 1}

            await call_tool(client, "update_report", **write("Errors", "15 %"))
            merged = await call_tool(client, "update_report", **write("Latency", "Slow."))
            assert (merged["version"], merged["rebased_over"]) == (3, [2])
            error = await call_refused(client, "update_report", **write("Errors", "9 %"))
            [conflict] = error["conflicts"]
            assert (error["code"], error["current_version"]) == ("version_conflict", 3)
            assert [conflict[side] for side in ("base", "current", "yours")] == ["12 %", "15 %", "9 %"]
            won = await call_tool(client, "update_report", **error["retry_with"])
            assert won["version"] == 4

    run_async(test)


@PROTOCOL_MODES
def test_bad_calls_get_one_clear_error_and_change_nothing(tmp_path: Path, mode: str) -> None:
    async def test() -> None:
        async with connect(tmp_path, mode=mode) as client:
            await call_tool(client, "create_report", title="Health", sections=[{"title": "Errors"}])
            before = await call_tool(client, "get_report", report="Health", view="full")
            error = await call_refused(client, "update_report", report="Health", chnges=[])
            assert (error["code"], error["path"], error["did_you_mean"]) == (
                "invalid_input", "chnges", "changes",
            )  # fmt: skip
            changes = [{"op": "append_text", "section": "Errors", "text": "x"}, {"op": "nonsense"}]
            error = await call_refused(client, "update_report", report="Health", changes=changes)
            assert error["path"] == "changes[1].op"
            error = await call_refused(
                client, "update_report", report="Health", changes=changes[:1], expected_version=9
            )
            assert error["code"] == "version_conflict"
            assert (await call_refused(client, "get_report", report="Nope"))["code"] == "report_not_found"
            assert await call_tool(client, "get_report", report="Health", view="full") == before

    run_async(test)


@PROTOCOL_MODES
def test_an_unknown_tool_is_an_error_of_the_protocol(tmp_path: Path, mode: str) -> None:
    async def test() -> None:
        async with connect(tmp_path, mode=mode) as client:
            with pytest.raises(MCPError, match="Unknown tool") as caught:
                await client.call_tool("delete_report", {"report": "Health"})
            assert caught.value.code == types.INVALID_PARAMS

    run_async(test)


@PROTOCOL_MODES
@pytest.mark.parametrize(
    ("options", "name", "recorded"),
    [
        ((), "editor", "editor/7"),
        (("--as", "nightly"), "editor", "nightly (editor/7)"),
        ((), "bad\n\x1b[31mname\u202e", "bad [31mname/7"),
        ((), "x" * 900, "x" * MAX_NAME_CHARS),
    ],
)
def test_the_actor_is_an_agent_with_the_name_of_its_client(
    tmp_path: Path, mode: str, options: tuple[str, ...], name: str, recorded: str
) -> None:
    async def test() -> None:
        async with connect(tmp_path, *options, mode=mode, name=name) as client:
            await call_tool(client, "create_report", title="Health")
            [event] = (await call_tool(client, "audit_report", report="Health"))["events"]
            assert event["actor"] == "agent"
        stored = next(tmp_path.glob("by_id/*/audit.jsonl")).read_text(encoding="utf-8")
        assert json.loads(stored)["payload"]["client"] == recorded

    run_async(test)


@PROTOCOL_MODES
@pytest.mark.parametrize(
    ("variables", "recorded"),
    [
        ({"LOGNAME": "ann"}, "ann"),
        ({"LOGNAME": "ann", "LIVING_REPORTS_USER": "Ben Müller"}, "Ben Müller"),
        ({"LOGNAME": "ann", "LIVING_REPORTS_USER": " two\nlines\x1b "}, "two lines"),
        ({"LOGNAME": "ann", "LIVING_REPORTS_USER": "x" * 900}, "x" * MAX_NAME_CHARS),
    ],
)
def test_the_user_is_the_login_unless_the_settings_state_one(
    tmp_path: Path, mode: str, variables: dict[str, Any], recorded: str
) -> None:
    async def test() -> None:
        async with connect(tmp_path, mode=mode, name="editor", **variables) as client:
            await call_tool(client, "create_report", title="Health")
            [event] = (await call_tool(client, "audit_report", report="Health"))["events"]
            assert event["client"] == "editor/7"
            assert event["user"] == recorded[:59] + "…" * (len(recorded) > 60)

    run_async(test)
    stored = next(tmp_path.glob("by_id/*/audit.jsonl")).read_text(encoding="utf-8")
    assert json.loads(stored)["payload"]["user"] == recorded


def test_a_read_creates_nothing(tmp_path: Path) -> None:
    root = tmp_path / "reports"

    async def test() -> None:
        async with connect(root) as client:
            await call_tool(client, "list_reports")
            await call_refused(client, "get_report", report="../../etc/passwd")

    run_async(test)
    assert not root.exists()


# --- Many calls at once ------------------------------------------------------------------


def test_a_stuck_report_starves_no_other(tmp_path: Path) -> None:
    library = Library(tmp_path)
    stuck = library.create_report(CreateReport("Stuck", [{"title": "Log"}]), author=ANN)["report_id"]
    library.create_report(CreateReport("Free"), author=ANN)

    async def test() -> None:
        async with connect(tmp_path) as client, anyio.create_task_group() as tasks:

            async def append() -> None:
                change = {"op": "append_text", "section": "Log", "text": "x"}
                await call_tool(client, "update_report", report=stuck, changes=[change])

            with hold(lock_path(tmp_path, stuck), 5.0):
                for _ in range(WORKER_THREADS * 2):
                    tasks.start_soon(append)
                for _ in range(3):
                    assert (await call_tool(client, "get_report", report="Free"))["version"] == 1
        assert library.get_report(GetReport(stuck))["version"] == 1 + WORKER_THREADS * 2

    run_async(test)


def test_waiting_calls_time_out_with_an_error(tmp_path: Path) -> None:
    stuck = Library(tmp_path).create_report(CreateReport("Stuck"), author=ANN)["report_id"]

    async def test() -> None:
        variables: dict[str, Any] = {"LIVING_REPORTS_LOCK_TIMEOUT": "0.3"}
        async with connect(tmp_path, **variables) as client, anyio.create_task_group() as tasks:

            async def retitle(title: str) -> None:
                change = {"op": "set_title", "title": title}
                error = await call_refused(client, "update_report", report=stuck, changes=[change])
                assert (error["code"], error["retry"]) == ("lock_timeout", "same")
                assert error["waited_seconds"] >= 0.25

            with hold(lock_path(tmp_path, stuck), 5.0):
                async with anyio.create_task_group() as calls:
                    for title in ("one", "two", "three"):
                        calls.start_soon(retitle, title)
            tasks.cancel_scope.cancel()

    run_async(test)


# --- A defect of ours --------------------------------------------------------------------


def test_a_defect_is_answered_without_its_insides_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Library, *arguments: Any) -> dict[str, Any]:
        raise RuntimeError("the insides")

    monkeypatch.setattr(Library, "list_reports", fail)

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path))) as client:
            error = await call_refused(client, "list_reports")
            assert (error["code"], error["retry"]) == ("internal", "no")
            assert "insides" not in json.dumps(error)

    with caplog.at_level(logging.ERROR):
        run_async(test)
    assert "the insides" in caplog.text


# --- What is loaded, and said once --------------------------------------------------------

LOADED = """
import sys, anyio
from pathlib import Path
from mcp.client import Client
from living_reports.server.app import DESCRIPTION, build_server
from living_reports.settings import Settings

async def main():
    async with Client(build_server(Settings(Path(sys.argv[1]))), mode=sys.argv[2]) as client:
        await client.list_tools()
        print("library" if "living_reports.library" in sys.modules else "")
        await client.call_tool("create_report", {"title": "Health"})
        ours = ("living_reports.server.", "living_reports.library.")
        print(*sorted(name.removeprefix("living_reports.") for name in sys.modules if name.startswith(ours)))

anyio.run(main)
"""


@PROTOCOL_MODES
def test_what_answers_other_requests_is_not_loaded_for_tools(tmp_path: Path, mode: str) -> None:
    command = [sys.executable, "-c", LOADED, str(tmp_path), mode]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    library, loaded = output.split("\n")[:2]
    assert library == ""
    others = {f"server.{name}" for name in ("resources", "subscriptions", "prompts", "progress")}
    others |= {f"library.{name}" for name in ("resources", "watch", "completing")}
    assert not others & set(loaded.split())
    assert "server.calls" in loaded.split()


@PROTOCOL_MODES
def test_what_the_server_declares_is_what_it_does(tmp_path: Path, mode: str) -> None:
    async def test() -> None:
        async with Client(build_server(Settings(tmp_path)), mode=mode) as client:
            declared = client.server_capabilities.model_dump(exclude_none=True)
            assert declared == {
                "tools": {"list_changed": False},
                "prompts": {"list_changed": False},
                "resources": {"subscribe": True, "list_changed": True},
                "completions": {},
            }
            assert client.server_info is not None
            said_once = (client.server_info.title, client.server_info.description)
            assert said_once == ("Living Reports", DESCRIPTION)
            [icon] = client.server_info.icons or []
            assert icon.mime_type == "image/svg+xml"
            picture = ElementTree.fromstring(unquote(icon.src.removeprefix("data:image/svg+xml,")))
            assert picture.tag == "{http://www.w3.org/2000/svg}svg"
            assert len(icon.src) < 500
            said = (await client.list_tools()).meta or {}
            assert said == (
                {types.SERVER_INFO_META_KEY: {"name": "living-reports", "version": __version__}}
                if client.protocol_version >= "2026"
                else {}
            )

    run_async(test)


@PROTOCOL_MODES
def test_a_defect_in_other_requests_is_answered_without_its_insides(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Library, *arguments: Any) -> dict[str, Any]:
        raise RuntimeError("the insides")

    monkeypatch.setattr(Library, "read_resource", fail)

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path)), mode=mode) as client:
            with pytest.raises(MCPError) as caught:
                await client.read_resource("report://Health")
            assert caught.value.code == types.INTERNAL_ERROR
            assert caught.value.data["code"] == "internal"
            assert "insides" not in caught.value.message + json.dumps(caught.value.data)

    with caplog.at_level(logging.ERROR):
        run_async(test)
    assert "the insides" in caplog.text
