"""Whatever a tool is called with: an answer, or one clear error that changed nothing, and it lives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from living_reports.changes import CHANGE_FIELDS, OPS
from living_reports.library import Library
from living_reports.library.requests import GetReport
from living_reports.server.tools import BY_NAME
from support.fuzzing import SECRET, Answer, Reports, check_answer, exchange, fuzz_server
from support.wire import Wire

EXAMPLES = settings().max_examples // 2
"""Of each tool: every one is compared with a whole root."""


class Fuzzed:
    """A server over two reports, called with anything at all."""

    def __init__(self, wire: Wire, reports: Reports) -> None:
        self.wire = wire
        self.reports = reports

    def call(self, tool: str, arguments: Any) -> tuple[bool, Answer]:
        """Whether the call was refused, and its answer. A refusal changed nothing; nor did a read."""
        before = self.reports.files()
        params = {"name": tool, "arguments": arguments}
        message = exchange(self.wire, {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
        assert message["id"] == 7
        refused, answer = check_answer(message, self.reports.root)
        if refused or BY_NAME[tool]["annotations"]["readOnlyHint"]:
            assert self.reports.files() == before
        return refused, answer

    def refused(self, tool: str, **arguments: Any) -> Answer:
        """The error of a call that has to be refused."""
        refused, error = self.call(tool, arguments)
        assert refused, error
        return error

    def done(self, tool: str, **arguments: Any) -> Answer:
        """The answer of a call that has to succeed."""
        refused, answer = self.call(tool, arguments)
        assert not refused, answer
        return answer


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """One that keeps what calls at random make of its reports."""
    with fuzz_server(tmp_path_factory.mktemp("root")) as (wire, reports):
        yield Fuzzed(wire, reports)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """One whose report stays as it is."""
    with fuzz_server(tmp_path_factory.mktemp("root")) as (wire, reports):
        yield Fuzzed(wire, reports)


# --- Anything at all ---------------------------------------------------------------------

NASTY_TEXTS = [
    "", " ", "\0", "\x1b[31m", "\r\n", "\u202e", "\ufeff", "\ud800", "a\udfffb", "\U0010ffff", "e\u0301",
    "ß" * 40,
    "../../etc/passwd", "..", "/", "C:\\Windows", "file:///etc/passwd", "${HOME}", "%s%n%d", "'; drop table",
    "[]", "{}", "null", '[{"op":"set_title","title":"x"}]', "NaN", "0", "-1", "1e9", "007", "9" * 30, "True",
    "first", "last", "before:", "after:x", "before:Errors", "+9999m", "+9999d", "+0d", "+99999w",
    "2026-02-30", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-11-23T10:00:00Z",
    "active", "Health", "Errors", "Ledger", "x" * 501, "\U0001f600" * 600,
    "sections/x", "insights", "title", "metadata/tags", "~2", "a/~1b/",
]  # fmt: skip

TEXTS = st.sampled_from(NASTY_TEXTS) | st.text(max_size=12)
NUMBERS = (
    st.integers(-2, 12)
    | st.sampled_from([2**31, 2**63, -(2**64), 10**18, 10**30, 10**400, 1.5, -0.0, 1e308])
    | st.sampled_from([float("nan"), float("inf"), float("-inf")])
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


def nested(depth: int) -> Any:
    value: Any = "deep"
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


ANYTHING = JSON | st.integers(60, 180).map(nested)


def known(reports: Reports) -> st.SearchStrategy[str]:
    """Names of things that are there, whole or in part, and of things that are in the other report."""
    return st.sampled_from([*reports.ids, *(each[:8] for each in reports.ids), "Health", "Errors", "12 %"])


def change(reports: Reports) -> st.SearchStrategy[Any]:
    """A change that may make sense: an op and some fields, its own more often than not."""
    values = known(reports) | ANYTHING
    nothing: st.SearchStrategy[dict[str, Any]] = st.just({})

    def of_op(op: str) -> st.SearchStrategy[Any]:
        own = OPS[op].names if op in OPS else []
        needed = dict.fromkeys(OPS[op].required if op in OPS else (), values)
        likely = {name: values for name in own if name not in needed}
        field = st.sampled_from(CHANGE_FIELDS) | TEXTS
        wrong = nothing | nothing | st.dictionaries(field, values, max_size=1)
        stated = st.fixed_dictionaries(needed, optional=likely)
        return st.tuples(stated, wrong).map(lambda both: {"op": op} | both[0] | both[1])

    return st.sampled_from([*OPS, "nonsense"]).flatmap(of_op) | ANYTHING


def arguments_of(tool: str, reports: Reports) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments by their right names, with values that may be right; sometimes one more."""
    values, report_id = known(reports) | ANYTHING, reports.open["report_id"]
    special = {
        "report": st.just(report_id) | st.just(report_id) | values,
        "changes": st.lists(change(reports), min_size=1, max_size=4) | ANYTHING,
        "sections": st.lists(values, max_size=3) | ANYTHING,
        "to_version": st.integers(0, 3) | ANYTHING,
        "expected_version": st.integers(0, 3) | ANYTHING,
    }
    schema = BY_NAME[tool]["inputSchema"]
    each = {name: special.get(name, values) for name in schema["properties"]}
    required = {name: each.pop(name) for name in schema.get("required", ())}
    nothing: st.SearchStrategy[dict[str, Any]] = st.just({})
    more = nothing | nothing | st.dictionaries(TEXTS, ANYTHING, max_size=2)
    stated = st.fixed_dictionaries(required, optional=each)
    return st.tuples(stated, more).map(lambda both: both[0] | both[1])


@pytest.mark.parametrize("tool", BY_NAME)
def test_no_arguments_break_a_tool(fuzz: Fuzzed, tool: str) -> None:
    @settings(suppress_health_check=[HealthCheck.too_slow], max_examples=EXAMPLES)
    @given(arguments_of(tool, fuzz.reports))
    def hold(arguments: dict[str, Any]) -> None:
        fuzz.call(tool, arguments)

    hold()


@given(tool=st.sampled_from(sorted(BY_NAME)), arguments=ANYTHING)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_in_place_of_the_arguments_breaks_a_tool(fuzz: Fuzzed, tool: str, arguments: Any) -> None:
    fuzz.call(tool, arguments)


# --- Every parameter with every wrong type -----------------------------------------------

WRONG: list[Any] = [
    None, True, False, 0, -1, 7, 10**30, 10**400, 1.5, float("nan"), float("inf"),
    "", " ", "x", "\0", "\ud800", '{"a":1}',
    [], [[]], [None], ["x"], [1], [{}], [[[[]]]], {}, {"a": 1}, {"": {}}, nested(150),
]  # fmt: skip
PARAMETERS = [(tool, name) for tool in BY_NAME for name in BY_NAME[tool]["inputSchema"]["properties"]]


@pytest.mark.parametrize(("tool", "name"), PARAMETERS)
def test_no_parameter_takes_another_type_for_its_own(fuzz: Fuzzed, tool: str, name: str) -> None:
    usual = {
        "report": fuzz.reports.open["report_id"],
        "title": "x",
        "changes": [{"op": "set_title", "title": "Health"}],
        "to_version": 1,
    }
    required = {each: usual[each] for each in BY_NAME[tool]["inputSchema"].get("required", ())}
    if tool == "revert_report" and name != "undo":
        required["to_version"] = 1  # it needs one of the two
    for value in WRONG:
        refused, answer = fuzz.call(tool, required | {name: value})
        if refused and answer["code"] == "invalid_input":
            neither = name == "undo" and answer["path"] == "to_version"  # not stated, and no other either
            assert neither or answer["path"].startswith(name), (value, answer)


USUAL: dict[str, Any] = {
    "section": "Errors", "title": "x", "summary": "x", "text": "x", "find": "12",
    "replace": "12", "status": "active", "tags": ["ops"], "key": "k", "value": 1, "position": "last",
    "citation": {"url": "https://e.org"},
}  # fmt: skip
FIELDS = [(op, name) for op in OPS for name in OPS[op].names]


@pytest.mark.parametrize(("op", "name"), FIELDS)
def test_no_field_of_a_change_takes_another_type_for_its_own(calm: Fuzzed, op: str, name: str) -> None:
    usual = USUAL | {"insight": calm.reports.open["created"]["insights"][0]["insight_id"]}
    required = {each: usual[each] for each in OPS[op].required}
    for value in WRONG:
        change = {"op": op} | required | {name: value}
        refused, answer = calm.call(
            "update_report", {"report": "Health", "changes": [change], "dry_run": True}
        )
        if refused and answer["code"] == "invalid_input":
            assert answer["path"].startswith("changes[0]"), (value, answer)


# --- Limits: at them, and one over -------------------------------------------------------


def one_change(**fields: Any) -> dict[str, Any]:
    return {"report": "Health", "changes": [fields], "dry_run": True}


def section_with(**fields: Any) -> dict[str, Any]:
    return one_change(op="add_section", title="x", **fields)


LIMITS: dict[str, tuple[str, Any, int, str]] = {
    "title": ("create_report", lambda n: {"title": "t" * n}, 500, "title"),
    "tags": ("create_report", lambda n: {"title": "x", "tags": [f"{i}" for i in range(n)]}, 200, "tags"),
    "tag": ("create_report", lambda n: {"title": "x", "tags": ["g" * n]}, 100, "tags[0]"),
    "reason": ("create_report", lambda n: {"title": "x", "reason": "r" * n}, 2_000, "reason"),
    "request_id": ("create_report", lambda n: {"title": "x", "request_id": "i" * n}, 200, "request_id"),
    "section title": ("update_report", lambda n: one_change(op="add_section", title="s" * n), 500, "title"),
    "section": ("update_report", lambda n: section_with(content="c" * n), 1_000_000, "content"),
    "notes": (
        "update_report",
        lambda n: section_with(content="c" * 10, notes="n" * (n - 10)),
        1_000_000,
        "content",
    ),
    "in bytes": (
        "update_report",
        lambda n: section_with(content="é" * (n // 2) + "c" * (n % 2)),
        1_000_000,
        "content",
    ),
    "ref": ("update_report", lambda n: section_with(ref="r" * n), 100, "ref"),
    "key": ("update_report", lambda n: one_change(op="set_metadata", key="k" * n, value=1), 100, "key"),
    "depth": (
        "update_report",
        lambda n: one_change(op="set_metadata", key="k", value=nested(n)),
        63,
        "value",
    ),
    "importance": (
        "update_report",
        lambda n: one_change(op="add_insight", section="Errors", summary="x", importance=n),
        10,
        "importance",
    ),
    "changes": (
        "update_report",
        lambda n: {
            "report": "Health",
            "changes": [{"op": "set_title", "title": "Health"}] * n,
            "dry_run": True,
        },
        500,
        "changes",
    ),
    "limit": ("list_reports", lambda n: {"limit": n}, 100, "limit"),
    "events": ("audit_report", lambda n: {"report": "Health", "limit": n}, 100, "limit"),
    "query": ("list_reports", lambda n: {"query": "q" * n}, 4_000, "query"),
    "text": ("get_report", lambda n: {"report": "Health", "find": "q" * n}, 1_000_000, "find"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_kept_to_the_last_character(calm: Fuzzed, name: str) -> None:
    tool, arguments, limit, path = LIMITS[name]
    calm.done(tool, **arguments(limit))
    error = calm.refused(tool, **arguments(limit + 1))
    assert error["code"] in ("too_large", "invalid_input")
    assert path in error["path"]


def test_ten_thousand_changes_are_refused_as_a_whole(calm: Fuzzed) -> None:
    changes = [{"op": "append_text", "section": "Errors", "text": "x"}] * 10_000
    error = calm.refused("update_report", report="Health", changes=changes)
    assert (error["code"], error["path"], error["limit"]) == ("too_large", "changes", 500)


def test_a_report_over_its_limit_is_refused(calm: Fuzzed) -> None:
    sections = [
        {"title": f"{i}", "content": '"' * 999_999} for i in range(9)
    ]  # each is two bytes in the file
    error = calm.refused("create_report", title="x", sections=sections)
    assert (error["code"], error["limit"]) == ("too_large", 16_000_000)


# --- The other report --------------------------------------------------------------------


def test_ids_of_another_report_lead_nowhere(calm: Fuzzed) -> None:
    secret = calm.reports.secret
    section = secret["created"]["sections"][0]["section_id"]
    insight = secret["created"]["insights"][0]["insight_id"]
    for selector in (section, section[:8], insight, insight[:8], secret["report_id"], "Numbers"):
        calls: list[tuple[str, dict[str, Any]]] = [
            ("get_report", {"sections": [selector]}),
            ("get_report", {"insights": [selector]}),
            ("audit_report", {"item": selector}),
            ("update_report", {"changes": [{"op": "append_text", "section": selector, "text": "x"}]}),
            (
                "update_report",
                {"changes": [{"op": "remove_section", "section": "Errors", "insights_to": selector}]},
            ),
            ("update_report", {"changes": [{"op": "edit_insight", "insight": selector, "importance": 1}]}),
            (
                "update_report",
                {"changes": [{"op": "move_section", "section": "Errors", "position": f"after:{selector}"}]},
            ),
        ]
        for tool, arguments in calls:
            error = calm.refused(tool, report="Health", **arguments)
            assert error["code"] in ("item_not_found", "invalid_input"), error


def test_a_cursor_of_another_report_leads_nowhere(calm: Fuzzed) -> None:
    long = [{"title": f"{i}", "content": f"{SECRET} " * 500} for i in range(20)]
    made = calm.done("create_report", title="Long", sections=long)
    page = calm.done("get_report", report=made["report_id"], view="full", max_chars=5_000)
    error = calm.refused(
        "get_report", report="Health", view="full", max_chars=5_000, cursor=page["next_cursor"]
    )
    assert (error["code"], error["path"]) == ("invalid_input", "cursor")


@given(flips=st.lists(st.tuples(st.integers(0, 200), st.sampled_from("AZaz09-_=")), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=EXAMPLES // 3)
def test_a_damaged_cursor_is_refused_or_harmless(calm: Fuzzed, flips: list[tuple[int, str]]) -> None:
    cursor = calm.done("audit_report", report="Health", limit=1).get("next_cursor", "AAAAAAAA")
    for place, char in flips:
        cursor = cursor[: place % len(cursor)] + char + cursor[place % len(cursor) + 1 :]
    calm.call("audit_report", {"report": "Health", "limit": 1, "cursor": cursor})


def test_the_secret_is_kept_and_the_chains_are_whole_after_all_that(fuzz: Fuzzed) -> None:
    reports = fuzz.reports
    for made in (reports.open, reports.secret):
        assert fuzz.done("audit_report", report=made["report_id"], verify=True)["verified"]["ok"]
    library = Library(reports.root)
    assert SECRET in json.dumps(
        library.get_report(GetReport(reports.secret["report_id"], view="full", version=1))
    )


# --- Two servers that saw the same call --------------------------------------------------


def test_a_refusal_reads_the_same_whatever_the_root_is_called(tmp_path: Path) -> None:
    errors = []
    for name in ("a", "b"):
        with fuzz_server(tmp_path / name) as (wire, reports):
            errors.append(Fuzzed(wire, reports).refused("get_report", report="../b/by_id"))
    assert errors[0]["message"] == errors[1]["message"]
