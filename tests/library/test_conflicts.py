"""A change made against another version is refused with what it takes to decide and try again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from living_reports.errors import VersionConflictError
from living_reports.library import Library
from living_reports.library.requests import AuditReport, GetReport, RevertReport, UpdateReport
from support.library_reports import (
    ANN,
    BEN,
    append_text,
    content_of,
    create_report,
    refused_update,
    replace_content,
    set_title,
    update_report,
)

Row = dict[str, Any]
TEN = {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "10 %"}
NINE = {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "9 %"}


def size(error: Row) -> int:
    return len(json.dumps({"error": error}, ensure_ascii=False, separators=(",", ":")).encode())


def test_one_clash_is_told_whole_and_short(library: Library) -> None:
    report = create_report(library)
    made = update_report(library, report, TEN, reason="June", author=BEN)
    error = refused_update(library, report, append_text("x", "Latency"), NINE, reason="July")
    assert (error["code"], error["retry"]) == ("version_conflict", "changed")
    assert (error["expected_version"], error["current_version"]) == (1, 2)
    [conflict] = error["conflicts"]
    ts = library.audit_report(AuditReport(report, limit=1))["events"][0]["ts"]
    by = {"version": 2, "ts": ts, "actor": "agent", "client": "ben/2.0", "reason": "June"}
    assert list(conflict) == ["change", "at", "base", "current", "yours", "by"]
    assert conflict == {
        "change": "changes[1]",
        "at": made["changed"][0]["at"],
        "base": "12 % of orders fail.",
        "current": "10 % of orders fail.",
        "yours": "9 % of orders fail.",
        "by": by,
    }
    assert size(error) < 2_000
    assert library.get_report(GetReport(report))["version"] == 2


def test_of_a_long_text_the_lines_that_clash_are_shown(library: Library) -> None:
    lines = [f"| vendor {number} | product | 1.{number} |" for number in range(200)]
    report = create_report(library, sections=[{"title": "Errors", "content": "\n".join(lines)}])
    edit = {"op": "edit_text", "section": "Errors"}
    theirs = (
        edit | {"find": "| 1.7 |", "replace": "| 1.8 |"},
        edit | {"find": "vendor 7 ", "replace": "V7 "},
    )
    update_report(library, report, *theirs, edit | {"find": "| 1.99 |", "replace": "| 2.0 |"}, author=BEN)
    error = refused_update(
        library, report, edit | {"find": "vendor 7 | product", "replace": "vendor 7 | tool"}
    )
    [conflict] = error["conflicts"]
    assert conflict["base"] == lines[7]
    assert conflict["current"] == "| V7 | product | 1.8 |"
    assert conflict["yours"] == "| vendor 7 | tool | 1.7 |"


def test_retry_with_is_the_same_call_against_the_current_version(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, replace_content("10 % fail."), author=BEN)
    error = refused_update(library, report, replace_content("9 % fail."), reason="July")
    again = error["retry_with"]
    assert again == {
        "report": report,
        "changes": [replace_content("9 % fail.")],
        "reason": "July",
        "expected_version": 2,
    }
    assert library.update_report(UpdateReport(**again), author=ANN)["version"] == 3
    assert content_of(library, report) == "9 % fail."


@pytest.mark.parametrize(
    ("mine", "is_given"),
    [
        (NINE, True),
        (replace_content("x" * 1_000), False),
        (replace_content("ü" * 450), False),
        (replace_content("ü" * 350), True),
    ],
)
def test_retry_with_is_left_out_where_it_is_long(library: Library, mine: Row, is_given: bool) -> None:
    report = create_report(library)
    update_report(library, report, TEN, author=BEN)
    error = refused_update(library, report, mine)
    assert ("retry_with" in error) is is_given
    assert size(error) < 2_000


def test_who_is_named_is_who_last_changed_the_lines_that_clash(library: Library) -> None:
    report = create_report(library, sections=[{"title": "Errors", "content": "one\n\ntwo\n\nthree\n\nfour"}])
    edit = {"op": "edit_text", "section": "Errors"}
    update_report(library, report, edit | {"find": "two", "replace": "2"}, author=BEN, reason="first")
    update_report(library, report, edit | {"find": "2", "replace": "II"}, author=BEN, reason="in the way")
    update_report(library, report, edit | {"find": "four", "replace": "4"}, author=BEN, reason="elsewhere")
    update_report(library, report, set_title("Checkout"), author=BEN)
    [conflict] = refused_update(library, report, edit | {"find": "two", "replace": "zwei"})["conflicts"]
    assert conflict["by"]["reason"] == "in the way"


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        (set_title("Theirs"), set_title("Mine")),
        ({"op": "set_status", "status": "archived"}, {"op": "set_status", "status": "deleted"}),
        ({"op": "set_metadata", "key": "a/b", "value": 1}, {"op": "set_metadata", "key": "a/b", "value": 2}),
        ({"op": "remove_section", "section": "Errors"}, append_text("x")),
        (append_text("x"), {"op": "remove_section", "section": "Errors"}),
    ],
)
def test_what_clashes_is_shown_with_the_change_that_it_clashes_with(
    library: Library, theirs: Row, mine: Row
) -> None:
    report = create_report(library)
    update_report(library, report, theirs, author=BEN)
    error = refused_update(library, report, mine)
    assert error["conflicts"][0]["change"] == "changes[0]"
    assert size(error) < 2_500


def test_what_was_removed_is_brought_back_as_the_refusal_says(library: Library) -> None:
    report = create_report(library)
    insight = library.store.read(report).outline.insights[0].insight_id
    update_report(library, report, {"op": "remove_insight", "insight": insight}, author=BEN)
    mine = {"op": "edit_insight", "insight": insight, "importance": 9}
    error = refused_update(library, report, mine)
    [conflict] = error["conflicts"]
    assert conflict["current"] is None
    assert "retry_with" not in error
    assert "revert_report with to_version=1" in error["hint"]
    library.revert_report(RevertReport(report, to_version=1, item=conflict["at"]), author=ANN)
    assert update_report(library, report, mine, expected_version=1)["version"] == 4


def test_a_conflict_in_long_text_of_many_bytes_stays_short(library: Library) -> None:
    sections = [{"title": "Errors", "content": "風" * 5_000}]
    report = create_report(library, sections=sections)
    update_report(library, report, replace_content("險" * 5_000), author=BEN, reason="因" * 1_000)
    error = refused_update(library, report, replace_content("為" * 5_000))
    assert size(error) < 2_000
    assert error["conflicts"][0]["yours"].startswith("為")


def test_many_conflicts_are_counted_and_the_answer_stays_short(library: Library) -> None:
    sections = [{"title": f"Section {number}", "content": "12 %"} for number in range(100)]
    report = create_report(library, sections=sections)
    update_report(
        library, report, *(replace_content("10 % " * 80, f"Section {n}") for n in range(100)), author=BEN
    )
    error = refused_update(
        library, report, *(replace_content("9 % " * 80, f"Section {n}") for n in range(100))
    )
    assert len(error["conflicts"]) == 8
    assert error["more_conflicts"] == 92
    assert size(error) < 6_000


def test_a_version_that_is_not_there_yet_or_never_was(library: Library) -> None:
    report = create_report(library)
    error = refused_update(library, report, append_text("x"), expected_version=7)
    assert error["conflicts"] == []
    assert "no version 7 yet" in error["hint"]
    assert "retry_with" not in error
    assert refused_update(library, report, append_text("x"), expected_version=-3)["conflicts"] == []


def test_a_revert_is_refused_in_the_same_way(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, replace_content("10 % fail."))
    update_report(library, report, append_text("Ben's."), author=BEN)
    with pytest.raises(VersionConflictError) as caught:
        library.revert_report(RevertReport(report, 1, expected_version=2), author=ANN)
    error = caught.value.answer()["error"]
    assert error["conflicts"][0]["by"]["client"] == "ben/2.0"
    assert "yours" in error["conflicts"][0] or "current" in error["conflicts"][0]
    assert library.revert_report(RevertReport(**error["retry_with"]), author=ANN)["version"] == 4
    assert size(error) < 2_000
