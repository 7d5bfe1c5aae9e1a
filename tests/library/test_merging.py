"""A change made against an older version is carried over what does not touch it, or refused."""

from __future__ import annotations

import json

import pytest

from living_reports.errors import ItemNotFoundError, ReportError, TooLargeError
from living_reports.library import Library
from living_reports.library.requests import AuditReport, GetReport, RevertReport, UpdateReport
from support.library_reports import (
    ANN,
    BEN,
    Json,
    append_text,
    content_of,
    create_report,
    folder_of,
    refused_update,
    replace_content,
    set_title,
    update_report,
)

TWO = [
    {
        "title": "Errors",
        "content": "one\n\ntwo\n\nthree",
        "insights": [{"summary": "First", "importance": 3}],
    },
    {"title": "Latency", "content": "p95 is 340 ms."},
]


def edit_text(find: str, replace: str, section: str = "Errors") -> Json:
    return {"op": "edit_text", "section": section, "find": find, "replace": replace}


def insight_of(library: Library, report: str) -> str:
    return str(library.get_report(GetReport(report, view="full"))["insights"][0]["insight_id"])


# --- Clean --------------------------------------------------------------------------------


def test_changes_to_different_things_are_both_kept(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, append_text("Ben's.", "Latency"), author=BEN)
    update_report(library, report, set_title("Checkout"), author=BEN)
    answer = update_report(library, report, append_text("Ann's."), expected_version=1)
    assert list(answer)[-3:] == ["changed", "rebased_over", "merged"]
    assert (answer["version"], answer["applied"], answer["rebased_over"]) == (4, 1, [2, 3])
    assert answer["title"] == "Checkout"
    assert content_of(library, report).endswith("Ann's.")
    assert content_of(library, report, "Latency").endswith("Ben's.")
    assert [row["at"].split("/")[0] for row in answer["changed"]] == ["sections"]


def test_different_lines_of_one_section_are_both_kept(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, edit_text("one", "1"), author=BEN)
    update_report(library, report, replace_content("one\n\ntwo\n\n3"), expected_version=1)
    assert content_of(library, report) == "1\n\ntwo\n\n3"


def test_with_the_current_version_nothing_is_carried_over(library: Library) -> None:
    report = create_report(library)
    assert "rebased_over" not in update_report(library, report, append_text("x"), expected_version=1)
    assert "rebased_over" not in update_report(library, report, append_text("y"))


def test_new_items_keep_their_ids_and_can_be_found_by_them(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, set_title("Checkout"), author=BEN)
    added = {"op": "add_section", "title": "Costs", "insights": [{"summary": "They rise"}]}
    created = update_report(library, report, added, expected_version=1)["created"]
    outline = library.store.read(report).outline
    [section] = created["sections"]
    [insight] = created["insights"]
    assert outline.get_section(section["section_id"]).insight_ids == [insight["insight_id"]]
    assert outline.get_insight(insight["insight_id"]).summary == "They rise"


def test_a_selector_means_what_the_caller_saw(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(
        library, report, {"op": "edit_section", "section": "Errors", "title": "Failures"}, author=BEN
    )
    update_report(library, report, append_text("Ann's."), expected_version=1)
    assert content_of(library, report, "Failures").endswith("Ann's.")


def test_what_another_has_already_done_makes_no_version(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, set_title("Checkout"), author=BEN)
    answer = update_report(library, report, set_title("Checkout"), expected_version=1)
    assert answer == {"report_id": report, "title": "Checkout", "version": 2, "applied": 0}


def test_a_dry_run_tells_what_it_would_be_carried_over(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, append_text("Ben's.", "Latency"), author=BEN)
    before = (folder_of(library, report) / "audit.jsonl").read_bytes()
    tried = update_report(library, report, append_text("Ann's."), expected_version=1, dry_run=True)
    assert (tried["version"], tried["rebased_over"], tried["dry_run"]) == (2, [2], True)
    assert (folder_of(library, report) / "audit.jsonl").read_bytes() == before
    made = update_report(library, report, append_text("Ann's."), expected_version=1)
    for field in ("changed", "rebased_over", "merged"):
        assert made[field] == tried[field]


def test_a_repeated_request_gets_the_same_answer(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, append_text("Ben's.", "Latency"), author=BEN)
    first = update_report(library, report, append_text("Ann's."), expected_version=1, request_id="r1")
    update_report(library, report, set_title("Checkout"), author=BEN)
    assert (
        update_report(library, report, append_text("Ann's."), expected_version=1, request_id="r1")
        | {"title": "Health"}
        == first
    )
    assert first["rebased_over"] == [2]
    [event] = library.audit_report(AuditReport(report, since=2, item="Errors"))["events"]
    assert event["version"] == 3


# --- Merged changes are shown -------------------------------------------------------------


def characters(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def test_the_changes_of_others_are_shown_with_author_and_reason(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, edit_text("340", "390", "Latency"), author=BEN, reason="June figures")
    update_report(library, report, {"op": "add_tags", "tags": ["ops"]}, author=BEN)
    answer = update_report(library, report, append_text("Ann's."), expected_version=1)
    [latency, tags] = answer["merged"]
    [row] = latency.pop("changed")
    assert latency.items() >= {"version": 2, "client": "ben/2.0", "reason": "June figures"}.items()
    assert (row["item"], row["old"], row["new"]) == ("Latency", "p95 is 340 ms.", "p95 is 390 ms.")
    assert (tags["version"], tags["changed"]) == (3, [{"at": "metadata/tags", "added": ["ops"]}])
    assert "warnings" not in answer


def test_each_merged_version_shows_its_own_text(library: Library) -> None:
    report = create_report(library, sections=TWO)
    for number in range(3):
        update_report(library, report, replace_content(f"p95 is {number} ms.", "Latency"), author=BEN)
    merged = update_report(library, report, append_text("Ann's."), expected_version=1)["merged"]
    assert [row["changed"][0]["new"] for row in merged] == [f"p95 is {n} ms." for n in range(3)]
    assert [row["changed"][0]["old"] for row in merged][1:] == [f"p95 is {n} ms." for n in range(2)]


@pytest.mark.parametrize("letter", ["x", "ö", "雨"])
def test_an_update_of_one_insight_with_the_merged_changes_is_short(library: Library, letter: str) -> None:
    report = create_report(library, sections=TWO)
    insight = insight_of(library, report)
    for number in range(20):
        adds = [
            {"op": "add_section", "title": f"{number} {n} " + letter * 90, "content": letter * 900}
            for n in range(10)
        ]
        update_report(library, report, *adds, author=BEN, reason=letter * 500)
    edit = {"op": "edit_insight", "insight": insight, "summary": "Trials convert at 16 %", "importance": 5}
    answer = update_report(library, report, edit, expected_version=1, request_id="r1")
    assert characters(answer["merged"]) <= 1_500
    assert characters(answer) <= len(json.dumps(answer, ensure_ascii=False).encode()) <= 2_000
    assert answer["merged"][-1]["version"] == 21
    assert answer["merged"][-1]["changed"]
    [warning] = answer["warnings"]
    assert "diff_report with since=1 and to_version=21" in warning
    assert update_report(library, report, edit, expected_version=1, request_id="r1") == answer


def test_an_event_does_not_grow_with_the_changes_it_was_merged_with(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(
        library, report, replace_content("word " * 200, "Latency"), author=BEN, reason="June figures"
    )
    update_report(library, report, append_text("Ann's."), expected_version=1, request_id="r1")
    event = (folder_of(library, report) / "audit.jsonl").read_text().splitlines()[-1]
    assert "June figures" not in event
    assert '"rebased_over":[2]' in event


def test_an_undo_that_is_merged_shows_what_it_was_merged_with(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, edit_text("one", "1"))
    update_report(library, report, replace_content("p95 is 390 ms.", "Latency"), author=BEN)
    answer = library.revert_report(RevertReport(report, undo=2, expected_version=2, dry_run=True), ANN)
    [row] = answer["merged"]
    assert row["changed"][0]["new"] == "p95 is 390 ms."


# --- The history --------------------------------------------------------------------------


def test_the_history_stays_whole(library: Library) -> None:
    report = create_report(library, sections=TWO)
    for number in range(5):
        update_report(library, report, append_text(f"Ben's {number}.", "Latency"), author=BEN)
        update_report(library, report, append_text(f"Ann's {number}."), expected_version=2 * number + 1)
    assert library.audit_report(AuditReport(report, verify=True))["verified"]["ok"]
    assert library.get_report(GetReport(report))["version"] == 11


# --- In conflict --------------------------------------------------------------------------


def test_an_importance_that_both_set_is_told(library: Library) -> None:
    report = create_report(library, sections=TWO)
    insight = insight_of(library, report)
    ask = {"op": "edit_insight", "insight": insight}
    update_report(library, report, ask | {"importance": 8}, author=BEN, reason="worse")
    update_report(library, report, append_text("x", "Latency"), author=BEN)
    error = refused_update(library, report, append_text("y", "Latency"), ask | {"importance": 2})
    rows = {row["at"].split("/")[-1]: row for row in error["conflicts"]}
    row = rows["importance"]
    assert (row["change"], row["base"], row["current"], row["yours"]) == ("changes[1]", 3, 8, 2)
    assert (row["by"]["version"], row["by"]["reason"]) == (2, "worse")
    assert rows["content"]["by"]["version"] == 3
    assert len(json.dumps(error)) < 2_500


def test_what_is_gone_is_told_as_null(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, {"op": "remove_section", "section": "Latency"}, author=BEN, reason="moot")
    [row] = refused_update(library, report, append_text("x", "Latency"))["conflicts"]
    assert (row["change"], row["current"]) == ("changes[0]", None)
    assert "x" in row["yours"]["content"]
    assert row["by"]["reason"] == "moot"


def test_what_both_moved_names_the_move(library: Library) -> None:
    report = create_report(library, sections=[*TWO, {"title": "Costs"}])
    ask = {"op": "move_insight", "insight": insight_of(library, report)}
    update_report(library, report, ask | {"section": "Latency"}, author=BEN, reason="belongs there")
    update_report(library, report, append_text("x", "Latency"), author=BEN)
    [row] = refused_update(library, report, ask | {"section": "Costs"})["conflicts"]
    assert row["change"] == "changes[0]"
    assert row["by"]["reason"] == "belongs there"


def test_retry_with_keeps_what_does_not_clash(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, replace_content("1\n\n2\n\nthree"), author=BEN)
    error = refused_update(library, report, replace_content("one\n\nzwei\n\nthree"), set_title("Checkout"))
    assert "your decision" in error["hint"]
    assert library.update_report(UpdateReport(**error["retry_with"]), author=ANN)["version"] == 3
    assert content_of(library, report) == "1\n\nzwei\n\nthree"
    assert library.get_report(GetReport(report))["title"] == "Checkout"


def test_nothing_is_changed_by_a_refusal(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, set_title("Theirs"), author=BEN)
    before = (folder_of(library, report) / "audit.jsonl").read_bytes()
    refused_update(library, report, set_title("Mine"), append_text("x"))
    assert (folder_of(library, report) / "audit.jsonl").read_bytes() == before


# --- What only exists since ---------------------------------------------------------------


def test_an_item_that_is_newer_than_the_version_says_so(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, set_title("Checkout"), author=BEN)
    added = {"op": "add_section", "title": "Costs", "insights": [{"summary": "They rise"}]}
    created = update_report(library, report, added, author=BEN)["created"]
    update_report(library, report, append_text("x"), author=BEN)
    insight = created["insights"][0]["insight_id"]
    asked: tuple[Json, ...] = (
        append_text("x", "Costs"),
        {"op": "add_insight", "section": "Costs", "summary": "s"},
        {"op": "edit_insight", "insight": insight[:8], "importance": 3},
        {"op": "move_section", "section": "Errors", "position": "after:Costs"},
    )
    for one in asked:
        with pytest.raises(ItemNotFoundError) as caught:
            update_report(library, report, one, expected_version=1)
        assert "only since version 3" in caught.value.hint
        assert "expected_version=4" in caught.value.hint


def test_words_that_are_newer_than_the_version_say_so(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, append_text("four"), author=BEN)
    with pytest.raises(ReportError) as caught:
        update_report(library, report, edit_text("four", "4"), expected_version=1)
    assert "in version 2 it can be made" in caught.value.hint
    with pytest.raises(ReportError) as missing:
        update_report(library, report, edit_text("five", "5"), expected_version=1)
    assert "can be made" not in missing.value.hint


def test_two_changes_that_fit_alone_may_not_fit_together(library: Library) -> None:
    report = create_report(library, sections=TWO)
    update_report(library, report, {"op": "add_tags", "tags": [f"b{n}" for n in range(150)]}, author=BEN)
    with pytest.raises(TooLargeError):
        update_report(
            library, report, {"op": "add_tags", "tags": [f"a{n}" for n in range(150)]}, expected_version=1
        )
    half = "x" * 600_000
    update_report(library, report, edit_text("one", f"one {half}"), author=BEN)
    with pytest.raises(TooLargeError):
        update_report(library, report, edit_text("three", f"three {half}"), expected_version=1)
