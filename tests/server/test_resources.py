"""Reports by their addresses: the list, the templates, what is read, and what is not there."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from living_reports.changes.section_templates import SECTION_TEMPLATES
from living_reports.library import Library
from living_reports.library.requests import CreateReport, TrashReport, UpdateReport
from living_reports.library.resources import MAX_BYTES
from living_reports.model.event import Author
from living_reports.model.references import report_address
from living_reports.server.app import build_server
from living_reports.server.resources import TEMPLATES
from living_reports.settings import Settings
from support.mcp_client import PROTOCOL_MODES, connect, run_async
from support.pages import markdown

ANN = Author("cli", "ann")


def kept(root: Path, title: str = "Service health") -> str:
    """A report of two versions."""
    library = Library(root)
    created = library.create_report(
        CreateReport(title, [{"title": "Errors", "content": "12 % – fail."}], ["ops"]), author=ANN
    )
    change = {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "15 %"}
    library.update_report(UpdateReport(created["report_id"], [change]), author=ANN)
    return str(created["report_id"])


async def read(client: Client, address: str) -> tuple[str, str, dict[str, Any]]:
    """Media type, text and `_meta` of what is at an address."""
    [contents] = (await client.read_resource(address)).contents
    assert isinstance(contents, types.TextResourceContents)
    assert contents.uri == address
    return str(contents.mime_type), contents.text, dict(contents.meta or {})


@PROTOCOL_MODES
def test_a_report_is_listed_and_read(tmp_path: Path, mode: str) -> None:
    report_id = kept(tmp_path)
    folder = tmp_path / "by_id" / report_id

    async def test() -> None:
        async with connect(tmp_path, mode=mode) as client:
            [listed] = (await client.list_resources()).resources
            assert (listed.uri, listed.name) == (f"report://{report_id}", "Service health")
            media_type, page, meta = await read(client, listed.uri)
            assert (media_type, meta["version"]) == ("text/markdown", 2)
            assert (listed.mime_type, listed.size) == (media_type, len(page.encode()))
            today = datetime.now(UTC).date()
            outline = Library(tmp_path).store.read(report_id).outline
            assert page == markdown(outline, today)
            assert listed.annotations
            assert listed.annotations.last_modified == outline.updated_at
            assert listed.annotations.audience == ["user", "assistant"]
            media_type, text, _ = await read(client, f"{listed.uri}/outline")
            assert (media_type, text) == ("application/json", (folder / "outline.json").read_text("utf-8"))
            media_type, text, _ = await read(client, f"{listed.uri}/audit")
            assert (media_type, text) == ("application/jsonl", (folder / "audit.jsonl").read_text("utf-8"))
            _, before, meta = await read(client, report_address(report_id, 1))
            assert meta == {"report_id": report_id, "version": 1}
            cited = await read(client, report_address(report_id, 1) + "#Errors")
            assert cited[1] == before, "a citation may name an item"
            assert "12 %" in before
            assert "15 %" in page

    run_async(test)


@PROTOCOL_MODES
def test_templates_say_how_addresses_are_made(tmp_path: Path, mode: str) -> None:
    report_id = kept(tmp_path)

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path)), mode=mode) as client:
            templates = (await client.list_resource_templates()).resource_templates
            assert [t.uri_template for t in templates] == [t.uri_template for t in TEMPLATES]
            for template in templates:
                if not template.uri_template.startswith("report://"):
                    continue
                for name in (
                    report_id,
                    report_id.upper(),
                    report_id[:8],
                    "Service%20health",
                    "service%20HEALTH",
                ):
                    address = template.uri_template.replace("{id}", name).replace("{version}", "1")
                    media_type, _, meta = await read(client, address)
                    assert (media_type, meta["report_id"]) == (template.mime_type, report_id)

    run_async(test)


@PROTOCOL_MODES
def test_the_data_of_section_templates_can_be_read(tmp_path: Path, mode: str) -> None:
    library = Library(tmp_path)
    report_id = kept(tmp_path)

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path)), mode=mode) as client:
            media_type, text, meta = await read(client, "templates://sections")
            assert (media_type, meta) == ("application/json", {})
            everything = json.loads(text)
            assert list(everything) == list(SECTION_TEMPLATES)
            for name, found in everything.items():
                assert json.loads((await read(client, f"templates://sections/{name}"))[1]) == found
                change = {"op": "add_section", "title": name, "template": name, "data": found["example"]}
                library.update_report(UpdateReport(report_id, [change]), author=ANN)
            assert everything["metrics"]["data"] == {
                "intro?": "text",
                "metrics": [
                    {
                        "name": "text",
                        "value": "text or number",
                        "target?": "text or number",
                        "trend?": "text or number",
                        "note?": "text",
                    }
                ],
            }
            with pytest.raises(MCPError) as caught:
                await client.read_resource("templates://sections/fidnings")
            assert "findings" in caught.value.data["hint"]

    run_async(test)


def test_the_list_is_paged_and_holds_what_is_active(tmp_path: Path) -> None:
    library = Library(tmp_path)
    for number in range(60):
        library.create_report(CreateReport(f"Report {number}"), author=ANN)
    for number, status in enumerate(("archived", "deleted")):
        library.update_report(
            UpdateReport(f"Report {number}", [{"op": "set_status", "status": status}]), author=ANN
        )
    library.trash_report(TrashReport("Report 2"), author=ANN)

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path))) as client:
            names, cursor = [], None
            while True:
                page = await client.list_resources(cursor=cursor)
                names += [resource.name for resource in page.resources]
                if not (cursor := page.next_cursor):
                    break
            assert names == [f"Report {number}" for number in range(59, 2, -1)]
            with pytest.raises(MCPError) as caught:
                await client.list_resources(cursor="nonsense")
            assert caught.value.code == types.INVALID_PARAMS
            archived = await read(client, "report://Report%200")
            assert archived[2]["version"] == 2

    run_async(test)


@PROTOCOL_MODES
@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("report://{id}/v/9", "no_such_version"),
        ("report://5f9d12ab-0000-4000-8000-000000000000", "report_not_found"),
        ("report://Nope/outline", "report_not_found"),
        ("report://{id}/nonsense", "report_not_found"),
        ("report://{id}/v/0", "report_not_found"),
        ("report://{id}/v/1/outline", "report_not_found"),
        ("report://{id}/../../index.jsonl", "report_not_found"),
        ("report://", "report_not_found"),
        ("file:///etc/passwd", "report_not_found"),
    ],
)
def test_nothing_at_an_address_is_an_error(tmp_path: Path, mode: str, address: str, code: str) -> None:
    address = address.replace("{id}", kept(tmp_path))

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path)), mode=mode) as client:
            with pytest.raises(MCPError) as caught:
                await client.read_resource(address)
            # -32002 until 2025-11-25, and -32602 since: SEP-2164.
            assert caught.value.code == (-32602 if client.protocol_version >= "2026" else -32002)
            assert (caught.value.data["uri"], caught.value.data["code"]) == (address, code)

    run_async(test)


def test_a_title_that_several_reports_have_is_no_address(tmp_path: Path) -> None:
    ids = {kept(tmp_path), kept(tmp_path)}

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path)), mode="legacy") as client:
            with pytest.raises(MCPError) as caught:
                await client.read_resource("report://Service%20health")
            assert caught.value.code == types.INVALID_PARAMS
            assert {row["report_id"] for row in caught.value.data["candidates"]} == ids

    run_async(test)


def test_a_log_that_is_no_text_is_shown_as_it_is(tmp_path: Path) -> None:
    report_id = kept(tmp_path)
    log = tmp_path / "by_id" / report_id / "audit.jsonl"
    damaged = log.read_bytes().replace(b"ann", b"a\xffn", 1)
    log.write_bytes(damaged)

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path))) as client:
            [contents] = (await client.read_resource(f"report://{report_id}/audit")).contents
            assert isinstance(contents, types.BlobResourceContents)
            assert base64.b64decode(contents.blob) == damaged

    run_async(test)


def test_a_damaged_report_is_read_as_it_was_with_a_warning(tmp_path: Path) -> None:
    report_id = kept(tmp_path)
    (tmp_path / "by_id" / report_id / "outline.json").write_text("{ broken", encoding="utf-8")

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path))) as client:
            _, page, meta = await read(client, f"report://{report_id}")
            assert "15 %" in page
            assert meta["warnings"]
            [listed] = (await client.list_resources()).resources
            assert listed.size is None

    run_async(test)


def test_a_log_over_the_limit_is_refused(tmp_path: Path) -> None:
    report_id = kept(tmp_path)
    log = tmp_path / "by_id" / report_id / "audit.jsonl"
    lines = log.read_bytes()
    foreign = json.dumps({"note": "x" * MAX_BYTES}).encode() + b"\n"
    log.write_bytes(foreign + lines)

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path))) as client:
            with pytest.raises(MCPError) as caught:
                await client.read_resource(f"report://{report_id}/audit")
            assert caught.value.data["code"] == "too_large"

    run_async(test)


def test_a_list_says_how_long_a_page_is_where_that_takes_little(tmp_path: Path) -> None:
    library = Library(tmp_path)
    library.create_report(CreateReport("Long", [{"title": "Log", "content": "words " * 50_000}]), author=ANN)
    library.create_report(CreateReport("Short"), author=ANN)
    short, long = library.list_resources()["resources"]
    assert ("size" in short, "size" in long) == (True, False)
