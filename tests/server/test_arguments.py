"""Raw arguments become those of the library's method, or one clear refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import InvalidInputError
from living_reports.server.arguments import as_declared, check_arguments
from living_reports.server.tools import BY_NAME
from support.mcp_client import call_refused, call_tool, connect, run_async


def check(tool: str, **arguments: Any) -> dict[str, Any]:
    return check_arguments(BY_NAME[tool], as_declared(BY_NAME[tool], arguments)[0])


def refusal(tool: str, **arguments: Any) -> dict[str, Any]:
    with pytest.raises(InvalidInputError) as caught:
        check(tool, **arguments)
    error: dict[str, Any] = caught.value.answer()["error"]
    assert error["hint"]
    return error


def test_what_is_not_stated_is_left_out() -> None:
    blank = {"view": "", "version": 0, "sections": [], "find": None, "insights": [""], "cursor": ""}
    assert check("get_report", report="Health", **blank) == {"report": "Health"}


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("get_report", "version"),
        ("audit_report", "since"),
        ("diff_report", "since"),
        ("revert_report", "expected_version"),
        ("revert_report", "to_version"),
        ("revert_report", "undo"),
    ],
)
@pytest.mark.parametrize("value", [0, "0"])
def test_version_0_is_not_stated(tool: str, name: str, value: object) -> None:
    assert check(tool, report="Health", **{name: value}) == {"report": "Health"}


def test_no_arguments_are_fine_where_none_is_needed() -> None:
    assert check_arguments(BY_NAME["list_reports"], None) == {}


@pytest.mark.parametrize("blank", [{}, {"report": None}, {"report": ""}])
def test_a_missing_parameter_is_named(blank: dict[str, Any]) -> None:
    error = refusal("get_report", **blank)
    assert (error["code"], error["path"]) == ("invalid_input", "report")


def test_an_unknown_parameter_is_refused_with_the_nearest_one() -> None:
    error = refusal("get_report", report="Health", verson=3)
    assert (error["path"], error["did_you_mean"]) == ("verson", "version")
    assert "max_chars" in error["allowed"]


def test_an_unknown_parameter_is_refused_even_if_blank() -> None:
    error = refusal("list_reports", zzz=None)
    assert error["path"] == "zzz"
    assert "did_you_mean" not in error


@pytest.mark.parametrize("tool", sorted(BY_NAME))
@pytest.mark.parametrize("name", ["author", "client", "names", "sources"])
def test_what_is_no_parameter_is_refused(tool: str, name: str) -> None:
    assert refusal(tool, **{name: "x"})["path"] == name


@pytest.mark.parametrize(("given", "number"), [(7, 7), ("7", 7), (" 7 ", 7), ("007", 7), (7.0, 7)])
def test_digits_and_floats_without_a_fraction_are_numbers(given: object, number: int) -> None:
    assert check("get_report", report="Health", version=given)["version"] == number


@pytest.mark.parametrize(
    "wrong",
    [
        True,
        3.5,
        -1,
        -1.0,
        1e300,
        float("inf"),
        float("nan"),
        "7.0",
        " ",
        "-1",
        "three",
        "٣",
        "9" * 5000,
        10**30,
        [3],
        {},
    ],
)
def test_nothing_else_is_a_number(wrong: object) -> None:
    error = refusal("get_report", report="Health", version=wrong)
    assert error["path"] == "version"
    assert "whole number" in error["message"]
    assert len(error["message"]) < 200


@pytest.mark.parametrize(("given", "since"), [(3, 3), (3.0, 3), ("3", 3), ("2026-11-01", "2026-11-01")])
def test_since_is_a_version_or_a_time(given: object, since: object) -> None:
    assert check("audit_report", report="Health", since=given)["since"] == since


@pytest.mark.parametrize(
    ("given", "undo"), [(14, 14), ("14", 14), ("14-17", "14-17"), ("5f9dabcd-0c1e", "5f9dabcd-0c1e")]
)
def test_undo_is_a_version_a_range_or_an_id(given: object, undo: object) -> None:
    assert check("revert_report", report="Health", undo=given)["undo"] == undo


@pytest.mark.parametrize("wrong", [True, 3.5, [3], -2])
def test_since_is_nothing_else(wrong: object) -> None:
    assert refusal("audit_report", report="Health", since=wrong)["path"] == "since"


@pytest.mark.parametrize(
    ("tool", "name", "wrong"),
    [
        ("create_report", "title", 7),
        ("create_report", "title", ["Health"]),
        ("create_report", "tags", 7),
        ("create_report", "tags", {"a": 1}),
        ("update_report", "changes", "set_title"),
        ("update_report", "changes", '"set_title"'),
        ("update_report", "changes", "7"),
        ("update_report", "dry_run", 1),
        ("update_report", "dry_run", "1"),
        ("update_report", "dry_run", "True"),
        ("update_report", "dry_run", '"true"'),
        ("get_report", "stale", "null"),
        ("get_report", "stale", "no"),
    ],
)
def test_another_type_is_refused(tool: str, name: str, wrong: object) -> None:
    assert refusal(tool, **({"report": "Health"} if tool != "create_report" else {}), **{name: wrong})[
        "path"
    ] == (name)


def test_a_wrong_item_is_located() -> None:
    assert refusal("create_report", title="Health", tags=["ops", 7])["path"] == "tags[1]"
    assert refusal("update_report", report="Health", changes=[{}, "x"])["path"] == "changes[1]"


TITLE = {"op": "set_title", "title": "x"}
CITED = {"url": "https://e.org"}


@pytest.mark.parametrize(
    ("tool", "name", "given", "read"),
    [
        ("create_report", "tags", '["a", "[b]"]', ["a", "[b]"]),
        ("create_report", "tags", "ops", ["ops"]),
        ("create_report", "tags", "2026", ["2026"]),
        ("create_report", "tags", "true", ["true"]),
        ("create_report", "sections", '{"title": "Errors"}', [{"title": "Errors"}]),
        ("create_report", "from_reports", "Health", ["Health"]),
        ("get_report", "sections", "[Draft] Costs", ["[Draft] Costs"]),
        ("get_report", "insights", '["5f9d12ab"]', ["5f9d12ab"]),
        ("get_report", "stale", " true ", True),
        ("list_reports", "stale", "false", False),
        ("update_report", "dry_run", "true", True),
        ("update_report", "changes", TITLE, [TITLE]),
        ("update_report", "changes", json.dumps(TITLE), [TITLE]),
        ("update_report", "changes", json.dumps([TITLE, TITLE]), [TITLE, TITLE]),
        ("update_report", "changes", [json.dumps(TITLE), TITLE], [TITLE, TITLE]),
    ],
)
def test_json_in_a_text_and_a_lone_item_are_read_and_reported(
    tool: str, name: str, given: object, read: object
) -> None:
    arguments, warnings = as_declared(BY_NAME[tool], {name: given})
    assert arguments == {name: read}
    assert warnings
    assert all(warning.startswith(name) for warning in warnings)
    assert as_declared(BY_NAME[tool], arguments) == (arguments, [])


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"tags": '["a", "b"]'}, {"tags": ["a", "b"]}),
        ({"tags": "a"}, {"tags": ["a"]}),
        ({"clear": "notes"}, {"clear": ["notes"]}),
        ({"clear": '["notes"]'}, {"clear": ["notes"]}),
        ({"all": "true"}, {"all": True}),
        ({"citation": json.dumps(CITED)}, {"citation": CITED}),
        ({"citations": json.dumps([CITED])}, {"citations": [CITED]}),
        ({"citations": CITED}, {"citations": [CITED]}),
        ({"data": '{"items": ["a"]}'}, {"data": {"items": ["a"]}}),
        (
            {"insights": {"summary": "s", "citations": json.dumps(CITED)}},
            {"insights": [{"summary": "s", "citations": [CITED]}]},
        ),
    ],
)
def test_so_are_those_inside_a_change(given: dict[str, Any], read: dict[str, Any]) -> None:
    arguments, warnings = as_declared(BY_NAME["update_report"], {"changes": [TITLE, given]})
    assert arguments == {"changes": [TITLE, read]}
    assert all(warning.startswith("changes[1].") for warning in warnings)


@pytest.mark.parametrize("given", [8, 8.0, "8", " 8 "])
def test_numbers_inside_objects_have_one_form(given: object) -> None:
    insight = {"summary": "s", "importance": given}
    section = {"title": "t", "insights": [insight]}
    change = {"op": "add_section", "title": "t", "insights": [insight]}
    for tool, name, value in [("create_report", "sections", section), ("update_report", "changes", change)]:
        arguments, warnings = as_declared(BY_NAME[tool], {name: [value]})
        assert arguments[name][0]["insights"][0] == {"summary": "s", "importance": 8}
        assert type(arguments[name][0]["insights"][0]["importance"]) is int
        assert warnings == []


@pytest.mark.parametrize(
    "given",
    ["[1, 2]", '["a", 1]', "['a', 'b']", '["a", "b"', "[Draft]", '{"a": 1}', "{x}", '"ops"', "null", "[[]]"],
)
def test_a_text_that_could_be_meant_as_json_is_no_list_of_one(given: str) -> None:
    error = refusal("create_report", title="Health", tags=given)
    assert error["path"] == "tags"
    assert "JSON" in error["hint"]


@pytest.mark.parametrize("text", ['["a"]', '{"a": 1}', "true", "null", "7", "8.0", '"x"'])
def test_a_string_and_free_metadata_are_never_parsed(text: str) -> None:
    change = {"op": "set_metadata", "key": text, "value": text, "title": text, "nonsense": text}
    given = {"report": text, "reason": text, "changes": [change]}
    assert as_declared(BY_NAME["update_report"], given) == (given, [])
    assert check("list_reports", query=text, cites=text) == {"query": text, "cites": text}
    free = {"op": "set_metadata", "key": "k", "value": 1.0}
    [kept] = as_declared(BY_NAME["update_report"], {"changes": [free]})[0]["changes"]
    assert type(kept["value"]) is float


def test_json_nested_too_deeply_is_a_text() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert refusal("update_report", report="Health", changes=deep)["path"] == "changes"


def test_a_warning_names_a_few_paths() -> None:
    changes = [{"op": "add_tags", "tags": "a"}] * 400
    [warning] = as_declared(BY_NAME["update_report"], {"changes": changes})[1]
    assert "changes[4].tags and 395 more" in warning
    assert len(warning) < 200


def test_a_client_that_sends_texts_is_served(tmp_path: Path) -> None:
    sections = [{"title": "Errors", "content": "12 %", "insights": {"summary": "s", "importance": 8.0}}]
    change = {"op": "edit_text", "section": "Errors", "find": "2", "replace": "3", "all": "true"}
    call = {"report": "Health", "changes": change, "expected_version": 1.0, "request_id": "r"}

    async def test() -> None:
        async with connect(tmp_path) as client:
            made = await call_tool(
                client, "create_report", title="Health", sections=json.dumps(sections), tags='["a"]'
            )
            assert len(made["warnings"]) == 2
            tried = await call_tool(client, "update_report", **call | {"dry_run": "true"})
            assert (tried["dry_run"], tried["version"]) == (True, 1)
            done = await call_tool(client, "update_report", **call)
            assert done["version"] == 2
            assert "changes[0].all" in done["warnings"][0]
            same = {"changes": [change | {"all": True}], "expected_version": 1}
            again = await call_tool(client, "update_report", **call | same)
            assert again | {"warnings": done["warnings"]} == done
            assert again.get("warnings", []) == []
            listed = await call_tool(client, "list_reports", tags="a")
            assert (listed["total"], len(listed["warnings"])) == (1, 1)
            error = await call_refused(client, "update_report", report="Health", changes={"op": "x"})
            assert error["path"] == "changes[0].op"
            assert error["warnings"][0].startswith("changes: ")

    run_async(test)


def test_an_unknown_choice_is_refused_with_the_nearest_one() -> None:
    error = refusal("get_report", report="Health", view="sumary")
    assert (error["path"], error["did_you_mean"]) == ("view", "summary")
    assert error["allowed"] == ["summary", "sections", "insights", "full", "markdown"]


def test_objects_are_passed_on_as_they_are() -> None:
    changes = [{"op": "nonsense", "x": None}]
    assert check("update_report", report="Health", changes=changes)["changes"] == changes
