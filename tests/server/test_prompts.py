"""Prompts and completion: what a person picks and types, with what a model needs to begin."""

from __future__ import annotations

import re
from pathlib import Path

import mcp_types as types
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from living_reports.changes import OPS
from living_reports.library import Library
from living_reports.library.requests import CreateReport, UpdateReport
from living_reports.model.event import Author
from living_reports.server.app import build_server
from living_reports.server.prompt_texts import TEXTS
from living_reports.server.prompts import KINDS, PROMPTS
from living_reports.server.resources import TEMPLATES
from living_reports.server.tools import BY_NAME
from living_reports.settings import Settings
from support.mcp_client import PROTOCOL_MODES, connect, run_async

ANN = Author("cli", "ann")
FREE = {"topic", "audience"}
"""Arguments in which one may write anything."""


def kept(root: Path, title: str = "Service health") -> str:
    """A report of three versions, with something to find in it."""
    library = Library(root)
    insight = {"summary": "Errors rose", "importance": 8, "review_by": "2026-01-01"}
    sections = [{"title": "Errors", "content": "12 %", "insights": [insight]}, {"title": "Latency"}]
    report_id = str(library.create_report(CreateReport(title, sections), author=ANN)["report_id"])
    change = {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "15 %"}
    library.update_report(UpdateReport(report_id, [change], "May figures"), author=ANN)
    library.update_report(
        UpdateReport(report_id, [{"op": "append_text", "section": "Latency", "text": "Fast."}]), author=ANN
    )
    return report_id


async def message(client: Client, name: str, **arguments: str) -> str:
    result = await client.get_prompt(name, arguments)
    [message] = result.messages
    assert isinstance(message.content, types.TextContent)
    return message.content.text


ARGUMENTS = {
    "start_report": {"topic": "health of services", "template": "status"},
    "refresh_report": {"report": "Service health", "since": "1"},
    "status_update": {"report": "Service health", "audience": "the board"},
    "resolve_conflict": {"report": "Service health", "expected_version": "1", "section": "Errors"},
    "review_report": {"report": "Service health", "section": "Errors"},
}
HOLD = {
    "start_report": ["health of services", 'template="status"', '"title":"Service health"'],
    "refresh_report": ['"code":"stale"', "15 %", "May figures", "Fast.", "expected_version=3", "Errors rose"],
    "status_update": ["for the board", "May figures", "Fast.", "/v/3"],
    "resolve_conflict": ["made against version 1", "May figures", "expected_version=3"],
    "review_report": ["15 %", "Errors rose", '"code":"uncited"', "expected_version=3"],
}


@PROTOCOL_MODES
def test_each_prompt_holds_what_its_task_needs(tmp_path: Path, mode: str) -> None:
    report_id = kept(tmp_path)

    async def test() -> None:
        async with connect(tmp_path, mode=mode) as client:
            listed = (await client.list_prompts()).prompts
            assert [prompt.name for prompt in listed] == list(ARGUMENTS) == list(TEXTS)
            for prompt in listed:
                assert prompt.title
                assert prompt.description
                assert {a.name for a in prompt.arguments or ()} >= ARGUMENTS[prompt.name].keys()
                text = await message(client, prompt.name, **ARGUMENTS[prompt.name])
                for words in (report_id, *HOLD[prompt.name]):
                    assert words in text, prompt.name

    run_async(test)


def test_prompts_stay_short_however_long_the_report(tmp_path: Path) -> None:
    library = Library(tmp_path)
    insights = [{"summary": "Something that was found " * 20, "importance": 5} for _ in range(60)]
    sections = [
        {"title": f"Section {n}", "content": "words " * 2_000, "insights": insights} for n in range(8)
    ]
    report_id = library.create_report(CreateReport("Long", sections), author=ANN)["report_id"]
    for number in range(30):
        changes = [{"op": "edit_section", "section": f"Section {n}", "notes": f"{number}"} for n in range(8)]
        library.update_report(UpdateReport(report_id, changes, "why " * 40), author=ANN)
    for name, arguments in ARGUMENTS.items():
        stated = dict(arguments)
        stated |= {"report": report_id} if "report" in stated else {}
        stated |= {"section": "Section 1"} if "section" in stated else {}
        assert len(TEXTS[name](library, **stated)) < 10_000, name


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_prompt_names_is_there(tmp_path: Path, name: str) -> None:
    kept(tmp_path)
    text = TEXTS[name](Library(tmp_path), **ARGUMENTS[name])
    named = set(re.findall(r"\b[a-z]+_report(?:s)?\b", text))
    assert named <= BY_NAME.keys()
    assert set(re.findall(r"\b(?:edit|append|add|remove|set)_[a-z]+\b", text)) <= OPS.keys()


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "start_report"])
def test_a_report_of_one_version_is_enough(tmp_path: Path, name: str) -> None:
    Library(tmp_path).create_report(CreateReport("Service health", [{"title": "Errors"}]), author=ANN)
    arguments = {key: value for key, value in ARGUMENTS[name].items() if key != "since"}
    assert "Service health" in TEXTS[name](Library(tmp_path), **arguments)


def test_a_topic_that_no_report_mentions_is_said_to_be_new(tmp_path: Path) -> None:
    kept(tmp_path)
    for topic in ("Gardening", "?", 'a "quoted (topic'):
        assert "No report mentions it yet." in TEXTS["start_report"](Library(tmp_path), topic)


@PROTOCOL_MODES
@pytest.mark.parametrize(
    ("name", "arguments", "code", "path"),
    [
        ("nonsense", {}, "invalid_input", "name"),
        ("review_report", {}, "invalid_input", "report"),
        ("review_report", {"report": " "}, "invalid_input", "report"),
        ("review_report", {"report": "Service health", "sction": "Errors"}, "invalid_input", "sction"),
        ("review_report", {"report": "Nope"}, "report_not_found", None),
        ("review_report", {"report": "Service health", "section": "Nope"}, "item_not_found", "sections[0]"),
        ("refresh_report", {"report": "Service health", "since": "Nope"}, "invalid_input", "since"),
        ("resolve_conflict", {"report": "Service health", "expected_version": "9"}, "no_such_version", None),
    ],
)
def test_a_wrong_argument_is_refused(
    tmp_path: Path, mode: str, name: str, arguments: dict[str, str], code: str, path: str | None
) -> None:
    kept(tmp_path)

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path)), mode=mode) as client:
            with pytest.raises(MCPError) as caught:
                await client.get_prompt(name, arguments)
            assert caught.value.code == types.INVALID_PARAMS
            assert (caught.value.data["code"], caught.value.data.get("path")) == (code, path)

    run_async(test)


# --- Completion --------------------------------------------------------------------------


def test_every_argument_is_completed_or_free() -> None:
    names = {argument.name for prompt in PROMPTS for argument in prompt.arguments or ()}
    names |= {name for template in TEMPLATES for name in re.findall(r"{(\w+)}", template.uri_template)}
    assert names == KINDS.keys() | FREE


PROMPT = types.PromptReference(name="review_report")
TEMPLATE = types.ResourceTemplateReference(uri="report://{id}/v/{version}")


@PROTOCOL_MODES
def test_what_is_typed_is_completed(tmp_path: Path, mode: str) -> None:
    kept(tmp_path)
    Library(tmp_path).create_report(CreateReport("Health of the nation"), author=ANN)

    async def test() -> None:
        async with connect(tmp_path, mode=mode) as client:

            async def values(
                ref: types.PromptReference | types.ResourceTemplateReference,
                name: str,
                typed: str,
                **given: str,
            ) -> list[str]:
                argument = {"name": name, "value": typed}
                result = await client.complete(ref, argument, context_arguments=given or None)
                assert result.completion.total == len(result.completion.values)
                return result.completion.values

            both = ["Health of the nation", "Service health"]
            assert await values(PROMPT, "report", "HEALTH") == both
            assert await values(PROMPT, "report", "") == both
            assert await values(TEMPLATE, "id", "serv") == ["Service health"]
            assert await values(PROMPT, "section", "lat", report="Service health") == ["Latency"]
            assert await values(PROMPT, "section", "", report="Nope") == []
            assert await values(PROMPT, "section", "") == []
            assert await values(TEMPLATE, "version", "", id="Service health") == ["3", "2", "1"]
            assert await values(PROMPT, "template", "a") == ["analyst", "blank", "status"]
            assert await values(PROMPT, "topic", "x") == []

    run_async(test)


def test_what_would_be_ambiguous_is_completed_with_ids(tmp_path: Path) -> None:
    ids = {kept(tmp_path), kept(tmp_path)}
    library = Library(tmp_path)
    assert set(library.complete("report", "")["values"]) == ids
    report_id = ids.pop()
    library.update_report(UpdateReport(report_id, [{"op": "add_section", "title": "errors"}]), author=ANN)
    first, latency, second = library.complete("section", "", report_id)["values"]
    assert latency == "Latency"
    assert all(re.fullmatch(r"[0-9a-f]{8}", section_id) for section_id in (first, second))


def test_at_most_a_hundred_values_are_offered(tmp_path: Path) -> None:
    library = Library(tmp_path)
    sections = [{"title": f"Section {number}"} for number in range(120)]
    report_id = library.create_report(CreateReport("Long", sections), author=ANN)["report_id"]

    async def test() -> None:
        async with Client(build_server(Settings(tmp_path))) as client:
            argument = {"name": "section", "value": ""}
            found = (await client.complete(PROMPT, argument, {"report": report_id})).completion
            assert (len(found.values), found.total, found.has_more) == (100, 120, True)

    run_async(test)
