"""Raw arguments become those of the library's method, or one clear refusal."""

from __future__ import annotations

from typing import Any

import pytest

from living_reports.errors import InvalidInputError
from living_reports.server.arguments import check_arguments
from living_reports.server.tools import BY_NAME


def check(tool: str, **arguments: Any) -> dict[str, Any]:
    return check_arguments(BY_NAME[tool], arguments)


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


@pytest.mark.parametrize(("given", "number"), [(7, 7), ("7", 7), (" 7 ", 7), ("007", 7)])
def test_digits_are_numbers(given: object, number: int) -> None:
    assert check("get_report", report="Health", version=given)["version"] == number


@pytest.mark.parametrize("wrong", [True, 3.0, 3.5, -1, "-1", "three", "٣", "9" * 5000, 10**30, [3], {}])
def test_nothing_else_is_a_number(wrong: object) -> None:
    error = refusal("get_report", report="Health", version=wrong)
    assert error["path"] == "version"
    assert "whole number" in error["message"]
    assert len(error["message"]) < 200


@pytest.mark.parametrize(("given", "since"), [(3, 3), ("3", 3), ("2026-11-01", "2026-11-01")])
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
        ("create_report", "tags", "ops"),
        ("update_report", "changes", {"op": "set_title"}),
        ("update_report", "dry_run", "true"),
        ("update_report", "dry_run", 1),
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


def test_json_in_a_text_is_told_from_json() -> None:
    error = refusal("update_report", report="Health", changes='[{"op": "set_title", "title": "x"}]')
    assert "as JSON itself" in error["hint"]


def test_an_unknown_choice_is_refused_with_the_nearest_one() -> None:
    error = refusal("get_report", report="Health", view="sumary")
    assert (error["path"], error["did_you_mean"]) == ("view", "summary")
    assert error["allowed"] == ["summary", "sections", "insights", "full", "markdown"]


def test_objects_are_passed_on_as_they_are() -> None:
    changes = [{"op": "nonsense", "x": None}]
    assert check("update_report", report="Health", changes=changes)["changes"] == changes
