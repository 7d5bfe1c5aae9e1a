"""One change is taken back alone, or one item brought back: all else stays, to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from living_reports.errors import (
    AmbiguousSelectorError,
    CorruptReportError,
    InvalidInputError,
    ItemNotFoundError,
    NoSuchVersionError,
    VersionConflictError,
)
from living_reports.library import Library
from living_reports.library.requests import AuditReport, DiffReport, GetReport, RevertReport
from living_reports.model.report import Insight, Outline, Section
from support.library_reports import (
    ANN,
    BEN,
    Json,
    append_text,
    content_of,
    create_report,
    folder_of,
    replace_content,
    set_title,
    update_report,
)

SECTIONS = [
    {"title": "Errors", "content": "one\n\ntwo\n\nthree", "insights": [{"summary": "A"}, {"summary": "B"}]},
    {"title": "Latency", "content": "fast", "insights": [{"summary": "C"}]},
    {"title": "Costs", "content": "low"},
]


@pytest.fixture
def report(library: Library) -> str:
    return create_report(library, sections=SECTIONS)


def undo(library: Library, report: str, what: str | int, **more: Any) -> Json:
    author = more.pop("author", ANN)
    return library.revert_report(RevertReport(report, undo=what, **more), author)


def now(library: Library, report: str) -> Outline:
    return library.store.read(report).outline


def named(library: Library, report: str, text: str) -> str:
    """The id of the insight with this summary."""
    return next(i.insight_id for i in now(library, report).insights if i.summary == text)


def shape(outline: Outline) -> list[tuple[str, list[str]]]:
    summaries = {insight.insight_id: insight.summary for insight in outline.insights}
    return [(section.title, [summaries[i] for i in section.insight_ids]) for section in outline.sections]


def items(outline: Outline) -> dict[str, Section | Insight]:
    return {s.section_id: s for s in outline.sections} | {i.insight_id: i for i in outline.insights}


# --- One change ---------------------------------------------------------------------------


def test_a_change_is_taken_back_and_later_ones_stay(library: Library, report: str) -> None:
    update_report(
        library, report, set_title("Wrong"), {"op": "add_tags", "tags": ["wrong"]}, append_text("wrong")
    )
    update_report(
        library, report, append_text("right", "Latency"), {"op": "add_tags", "tags": ["right"]}, author=BEN
    )
    before = now(library, report)
    answer = undo(library, report, 2, reason="never mind")
    assert (answer["version"], answer["title"]) == (4, "Health")
    after = now(library, report)
    assert after.metadata["tags"] == ["right"]
    assert content_of(library, report) == "one\n\ntwo\n\nthree"
    assert content_of(library, report, "Latency").endswith("right")
    changed = {row["at"].split("/")[1] for row in answer["changed"] if row["at"].startswith("sections/")}
    old, new = items(before), items(after)
    assert {key[:8] for key in old if old[key] != new[key]} == changed
    [event] = library.audit_report(AuditReport(report, since=3))["events"]
    assert (event["action_type"], event["reason"]) == ("revert", "never mind")
    record = library.store.event(report, 4)
    assert record is not None
    assert record.payload["undo"] == "2"


def test_a_change_is_named_by_its_version_or_its_action_id(library: Library, report: str) -> None:
    made = update_report(library, report, set_title("Wrong"))
    for name in (2, "2", " 2 ", "2-2", made["action_id"], made["action_id"].upper()):
        assert undo(library, report, name, dry_run=True)["changed"] == [
            {"at": "title", "old": "Wrong", "new": "Health"}
        ]


def test_lines_of_one_text_are_taken_back_among_later_ones(library: Library, report: str) -> None:
    update_report(library, report, {"op": "edit_text", "section": "Errors", "find": "one", "replace": "1"})
    update_report(library, report, {"op": "edit_text", "section": "Errors", "find": "three", "replace": "3"})
    undo(library, report, 2)
    assert content_of(library, report) == "one\n\ntwo\n\n3"


def test_the_undo_of_an_undo_restores(library: Library, report: str) -> None:
    update_report(library, report, append_text("x"), {"op": "remove_section", "section": "Latency"})
    update_report(library, report, set_title("Checkout"))
    before = now(library, report)
    undo(library, report, 2)
    assert shape(now(library, report))[1] == ("Latency", ["C"])
    undo(library, report, 4)
    after = now(library, report)
    assert (after.sections, after.insights) == (before.sections, before.insights)


def test_a_range_is_taken_back_as_one(library: Library, report: str) -> None:
    for text in ("a", "b", "c"):
        update_report(library, report, append_text(text))
    update_report(library, report, set_title("Checkout"))
    with pytest.raises(VersionConflictError):
        undo(library, report, "2-3")
    answer = undo(library, report, "2-4")
    assert (answer["version"], answer["title"]) == (6, "Checkout")
    assert content_of(library, report) == "one\n\ntwo\n\nthree"


def test_an_undo_that_alters_nothing_makes_no_version(library: Library, report: str) -> None:
    update_report(library, report, set_title("Other"))
    update_report(library, report, set_title("Health"))
    assert undo(library, report, "2-3")["applied"] == 0
    update_report(library, report, append_text("x"))
    assert undo(library, report, 4, item="Latency")["applied"] == 0


def test_a_later_change_in_the_way_is_named(library: Library, report: str) -> None:
    edit = {"op": "edit_text", "section": "Errors"}
    update_report(library, report, edit | {"find": "two", "replace": "2"})
    update_report(library, report, edit | {"find": "2", "replace": "II"}, author=BEN, reason="Roman")
    update_report(library, report, edit | {"find": "three", "replace": "3"}, author=BEN, reason="elsewhere")
    with pytest.raises(VersionConflictError) as caught:
        undo(library, report, 2)
    error = caught.value.answer()["error"]
    assert "Version 2 cannot be undone alone" in error["message"]
    [row] = error["conflicts"]
    assert (row["base"], row["current"], row["yours"]) == ("2", "II", "two")
    assert (row["by"]["version"], row["by"]["reason"]) == (3, "Roman")
    assert error["current_version"] == 4
    assert 'undo="2-3"' in error["hint"]
    assert undo(library, report, "2-3", dry_run=True)["applied"] == 1
    undo(library, report, 3)
    undo(library, report, 2)
    assert content_of(library, report) == "one\n\ntwo\n\n3"


def test_an_undo_against_an_older_version_is_carried_over(library: Library, report: str) -> None:
    update_report(library, report, set_title("Wrong"))
    update_report(library, report, append_text("x"), author=BEN)
    answer = undo(library, report, 2, expected_version=2)
    assert (answer["version"], answer["rebased_over"], answer["title"]) == (4, [3], "Health")
    with pytest.raises(VersionConflictError) as caught:
        undo(library, report, 2, expected_version=9)
    assert caught.value.details["conflicts"] == []


def test_a_repeated_request_undoes_once(library: Library, report: str) -> None:
    update_report(library, report, append_text("x"))
    first = undo(library, report, 2, request_id="r1")
    assert undo(library, report, 2, request_id="r1") == first
    assert library.get_report(GetReport(report))["version"] == 3


def test_a_dry_run_undoes_nothing(library: Library, report: str) -> None:
    update_report(library, report, append_text("x"))
    before = (folder_of(library, report) / "audit.jsonl").read_bytes()
    tried = undo(library, report, 2, dry_run=True)
    assert (tried["version"], tried["dry_run"]) == (2, True)
    assert (folder_of(library, report) / "audit.jsonl").read_bytes() == before
    assert undo(library, report, 2)["changed"] == tried["changed"]


# --- One item -----------------------------------------------------------------------------


def test_only_one_insight_is_undone(library: Library, report: str) -> None:
    a, b = named(library, report, "A"), named(library, report, "B")
    both = [{"op": "edit_insight", "insight": one, "importance": 9} for one in (a, b)]
    update_report(library, report, *both, append_text("x"))
    [row] = undo(library, report, 2, item=a[:8])["changed"]
    assert row == {"item": "A", "at": f"insights/{a[:8]}/importance", "old": 9, "new": 5}
    assert now(library, report).get_insight(b).importance == 9
    assert content_of(library, report).endswith("x")


def test_a_removed_insight_comes_back_in_its_place(library: Library, report: str) -> None:
    a = named(library, report, "A")
    update_report(library, report, {"op": "remove_insight", "insight": a}, append_text("later"))
    update_report(library, report, {"op": "add_insight", "section": "Errors", "summary": "D"}, author=BEN)
    undo(library, report, 2, item=a)
    assert shape(now(library, report))[0] == ("Errors", ["A", "B", "D"])
    assert content_of(library, report).endswith("later")


def test_a_removed_section_comes_back_in_its_place_with_its_insights(library: Library, report: str) -> None:
    before = items(now(library, report))
    update_report(library, report, {"op": "remove_section", "section": "Latency"}, set_title("Checkout"))
    update_report(library, report, {"op": "add_section", "title": "Last"}, author=BEN)
    answer = library.revert_report(RevertReport(report, 1, item="Latency"), author=ANN)
    assert answer["title"] == "Checkout"
    outline = now(library, report)
    assert [title for title, _ in shape(outline)] == ["Errors", "Latency", "Costs", "Last"]
    assert shape(outline)[1] == ("Latency", ["C"])
    after = items(outline)
    assert {key: after[key] for key in before} == before


def test_a_section_is_brought_back_with_insights_that_moved_away(library: Library, report: str) -> None:
    c = named(library, report, "C")
    update_report(
        library,
        report,
        {"op": "move_insight", "insight": c, "section": "Errors"},
        replace_content("slow", "Latency"),
    )
    update_report(library, report, {"op": "add_insight", "section": "Latency", "summary": "D"})
    library.revert_report(RevertReport(report, 1, item="Latency"), author=ANN)
    assert shape(now(library, report))[:2] == [("Errors", ["A", "B"]), ("Latency", ["C"])]
    assert content_of(library, report, "Latency") == "fast"


def test_the_move_of_an_insight_is_undone_alone(library: Library, report: str) -> None:
    a = named(library, report, "A")
    update_report(library, report, {"op": "move_insight", "insight": a, "section": "Costs"}, append_text("x"))
    undo(library, report, 2, item=a)
    assert shape(now(library, report)) == [("Errors", ["A", "B"]), ("Latency", ["C"]), ("Costs", [])]
    assert content_of(library, report).endswith("x")


def test_what_a_change_brought_is_taken_out_alone(library: Library, report: str) -> None:
    added = {"op": "add_section", "title": "New", "insights": [{"summary": "N"}]}
    created = update_report(library, report, added, append_text("x"))["created"]
    tried = undo(library, report, 2, item=created["insights"][0]["insight_id"], dry_run=True)
    assert [row.get("old") for row in tried["changed"]] == ["N"]
    undo(library, report, 2, item="New")
    assert [title for title, _ in shape(now(library, report))] == ["Errors", "Latency", "Costs"]
    assert "N" not in [insight.summary for insight in now(library, report).insights]
    assert content_of(library, report).endswith("x")


def test_one_insight_goes_back_to_a_version_against_an_older_one(library: Library, report: str) -> None:
    a = named(library, report, "A")
    edit = {"op": "edit_insight", "insight": a}
    update_report(library, report, edit | {"summary": "A2"})
    update_report(library, report, append_text("x"), author=BEN)
    answer = library.revert_report(RevertReport(report, 1, item=a, expected_version=2), author=ANN)
    assert (answer["rebased_over"], len(answer["changed"])) == ([3], 1)
    update_report(library, report, edit | {"summary": "A3"}, author=BEN)
    with pytest.raises(VersionConflictError) as caught:
        library.revert_report(RevertReport(report, 2, item=a, expected_version=4), author=ANN)
    [row] = caught.value.details["conflicts"]
    assert (row["base"], row["current"], row["yours"]) == ("A", "A3", "A2")
    library.revert_report(RevertReport(**caught.value.details["retry_with"]), author=ANN)
    assert now(library, report).get_insight(a).summary == "A2"


def test_an_insight_whose_section_is_gone_says_how_to_bring_both_back(library: Library, report: str) -> None:
    c = named(library, report, "C")
    latency = now(library, report).sections[1].section_id
    update_report(library, report, {"op": "remove_section", "section": "Latency"})
    with pytest.raises(InvalidInputError) as caught:
        library.revert_report(RevertReport(report, 1, item=c), author=ANN)
    assert f"item={latency}" in caught.value.hint
    library.revert_report(RevertReport(report, 1, item=latency), author=ANN)
    assert shape(now(library, report))[1] == ("Latency", ["C"])


def test_an_item_that_is_nowhere_or_was_not_there_yet(library: Library, report: str) -> None:
    update_report(library, report, {"op": "add_section", "title": "New"})
    for arguments in ({"to_version": 1, "item": "New"}, {"undo": 2, "item": "Nowhere"}):
        with pytest.raises(ItemNotFoundError) as caught:
            library.revert_report(RevertReport(report, **arguments), author=ANN)  # type: ignore[arg-type]
        assert caught.value.details["path"] == "item"


def test_an_item_may_be_named_as_answers_name_it(library: Library, report: str) -> None:
    a = named(library, report, "A")
    latency = now(library, report).sections[1].section_id
    update_report(
        library, report, {"op": "remove_insight", "insight": a}, {"op": "remove_section", "section": latency}
    )
    before = library.revert_report(
        RevertReport(report, 1, item=f"insights/{a[:8]}", dry_run=True), author=ANN
    )
    assert [row["at"] for row in before["changed"]] == [f"insights/{a[:8]}"]
    assert undo(library, report, 2, item=f"sections/{latency[:8]}", dry_run=True)["applied"] == 2
    with pytest.raises(InvalidInputError) as caught:
        library.revert_report(RevertReport(report, 1, item=f"insights/{a}/summary"), author=ANN)
    assert f"item=insights/{a[:8]} " in caught.value.hint


# --- One address --------------------------------------------------------------------------


def test_each_address_that_audit_shows_is_undone_alone(library: Library, report: str) -> None:
    a, c = named(library, report, "A"), named(library, report, "C")
    first = now(library, report)
    link = {"source": "url", "provider": "web", "url": "https://example.org/1"}
    update_report(
        library,
        report,
        set_title("Wrong"),
        {"op": "add_tags", "tags": ["ops"]},
        {"op": "set_status", "status": "archived"},
        {"op": "set_metadata", "key": "team/one", "value": "core"},
        append_text("four"),
        {"op": "edit_section", "section": "Errors", "title": "Faults", "notes": "ask", "citations": [link]},
        {"op": "edit_insight", "insight": a, "summary": "AA", "importance": 9, "review_by": "2030-01-01"},
        {"op": "add_citation", "insight": a, "citation": {"query_id": "q1", "execution_id": "e1"}},
        {"op": "move_insight", "insight": c, "section": "Costs"},
        {"op": "move_section", "section": "Costs", "position": "first"},
    )
    update_report(library, report, append_text("later", "Latency"))
    changed = library.diff_report(DiffReport(report, 1, 2))["changed"]
    places = [row["at"] for row in changed]
    assert len(places) == len(set(places)) == 14
    for row in changed:
        at = row["at"] + ("/position" if str(row.get("old")).startswith("position") else "")
        answer = undo(library, report, 2, item=at, dry_run=True)
        [shown] = answer["changed"]
        sides = {side: row[side] for side in ("old", "new", "added", "removed") if side in row}
        turned = {"old": "new", "new": "old", "added": "removed", "removed": "added"}
        assert shown["at"] == row["at"]
        if "{+" not in str(sides):
            assert {turned[side]: value for side, value in sides.items()}.items() <= shown.items()
        [warning] = answer["warnings"]
        assert at in warning
    for at in places:
        undo(library, report, 2, item=at)
    after = now(library, report)
    assert (after.title, after.metadata) == (first.title, first.metadata)
    assert shape(after) == shape(first)
    assert content_of(library, report, "Latency").endswith("later")


def test_an_address_takes_back_one_field_of_an_item(library: Library, report: str) -> None:
    a = named(library, report, "A")
    update_report(library, report, {"op": "edit_insight", "insight": a, "importance": 9, "summary": "AA"})
    for at in (f"insights/{a[:8]}/importance", f"insights/{a}/importance"):
        answer = undo(library, report, 2, item=at, dry_run=True)
        assert answer["changed"] == [{"item": "AA", "at": f"insights/{a[:8]}/importance", "old": 9, "new": 5}]
    assert "summary" in answer["warnings"][0]
    answer = library.revert_report(RevertReport(report, 1, item=f"insights/{a[:8]}/summary"), ANN)
    assert [row["at"] for row in answer["changed"]] == [f"insights/{a[:8]}/summary"]
    assert items(now(library, report))[a].importance == 9  # type: ignore[union-attr]
    record = library.store.event(report, 3)
    assert record is not None
    assert record.payload["item"] == f"insights/{a}/summary"


def test_a_position_is_undone_without_the_fields(library: Library, report: str) -> None:
    a, costs = named(library, report, "A"), now(library, report).sections[2].section_id
    update_report(
        library,
        report,
        {"op": "move_insight", "insight": a, "section": "Costs"},
        {"op": "edit_insight", "insight": a, "importance": 9},
        {"op": "move_section", "section": "Costs", "position": "first"},
        append_text("x", "Costs"),
    )
    undo(library, report, 2, item=f"insights/{a[:8]}/position")
    undo(library, report, 2, item=f"sections/{costs[:8]}/position")
    after = now(library, report)
    assert shape(after) == [("Errors", ["A", "B"]), ("Latency", ["C"]), ("Costs", [])]
    assert items(after)[a].importance == 9  # type: ignore[union-attr]
    assert content_of(library, report, "Costs").endswith("x")


def test_a_later_change_of_the_same_field_is_in_the_way(library: Library, report: str) -> None:
    a = named(library, report, "A")
    edit = {"op": "edit_insight", "insight": a}
    update_report(library, report, edit | {"importance": 9, "summary": "AA"})
    update_report(library, report, edit | {"importance": 2})
    assert undo(library, report, 2, item=f"insights/{a}/summary", dry_run=True)["applied"] == 1
    with pytest.raises(VersionConflictError):
        undo(library, report, 2, item=f"insights/{a}/importance")


def test_what_cannot_be_separated_is_refused_with_the_change(library: Library, report: str) -> None:
    a = named(library, report, "A")
    gone = now(library, report).sections[1].section_id[:8]
    made = update_report(
        library,
        report,
        {"op": "add_section", "title": "New", "content": "x", "insights": [{"summary": "N"}]},
        {"op": "add_tags", "tags": ["ops"]},
        {"op": "add_citation", "insight": a, "citation": {"url": "https://example.org/1"}},
        {"op": "remove_section", "section": "Latency"},
    )["created"]
    new, n = made["sections"][0]["section_id"][:8], made["insights"][0]["insight_id"][:8]
    refused = {
        f"sections/{new}/content": {"op": "edit_section", "section": new, "clear": ["content"]},
        f"insights/{n}/importance": {"op": "edit_insight", "insight": n, "importance": "…"},
        f"sections/{new}/insight_ids": None,
        f"sections/{gone}/content": None,
        "metadata/tags/ops": {"op": "remove_tags", "tags": ["ops"]},
        f"insights/{a[:8]}/citations/https://example.org/1": {"op": "remove_citation", "insight": a[:8]},
    }
    for at, change in refused.items():
        with pytest.raises(InvalidInputError) as caught:
            undo(library, report, 2, item=at)
        assert caught.value.details["path"] == "item"
        assert "item=" in caught.value.hint
        if change:
            [shown] = json.loads(caught.value.hint.split("changes=")[1].rstrip("."))
            assert change.items() <= shown.items()
            if "…" not in shown.values():
                assert update_report(library, report, shown, dry_run=True)["applied"] == 1


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("sections/{}/contents", "sections/{}/content"),
        ("sections/{}/order", "sections/{}/position"),
        ("sections/{}/updated_at", "sections/{}/"),
        ("metadata/tag", "metadata/tags"),
        ("outline_version", ""),
        ("metadata/tags/" + "x" * 100_000, "metadata/tags"),
        ("sections/{}/content" + "/x" * 100_000, "sections/{}/content"),
    ],
)
def test_an_unknown_address_is_answered_with_near_ones(
    library: Library, report: str, address: str, near: str
) -> None:
    errors = now(library, report).sections[0].section_id[:8]
    update_report(library, report, append_text("x"))
    for asked in ({"undo": 2}, {"to_version": 1}):
        with pytest.raises(ItemNotFoundError) as caught:
            library.revert_report(RevertReport(report, item=address.format(errors), **asked), ANN)  # type: ignore[arg-type]
        rows = caught.value.details["near"]
        assert caught.value.details["path"] == "item"
        assert any(row["at"].startswith(near.format(errors)) for row in rows)


def test_a_title_that_looks_like_an_address_is_a_title(library: Library, report: str) -> None:
    update_report(library, report, {"op": "edit_section", "section": "Latency", "title": "metadata/tags"})
    update_report(library, report, append_text("x", "metadata/tags"), {"op": "add_tags", "tags": ["ops"]})
    answer = undo(library, report, 3, item="metadata/tags")
    assert [row["item"] for row in answer["changed"]] == ["metadata/tags"]


# --- What stays ---------------------------------------------------------------------------


def test_an_undo_names_the_later_versions_that_stay(library: Library, report: str) -> None:
    update_report(library, report, append_text("wrong"))
    update_report(library, report, set_title("Checkout"), author=BEN)
    update_report(library, report, append_text("right", "Latency"))
    tried = undo(library, report, 2, dry_run=True)
    answer = undo(library, report, 2, request_id="r1")
    assert tried["kept"] == answer["kept"] == [3, 4]
    assert undo(library, report, 2, request_id="r1") == answer
    assert undo(library, report, "3-4")["kept"] == [5]
    assert "kept" not in undo(library, report, 6)
    assert "kept" not in library.revert_report(RevertReport(report, 1), ANN)


def test_of_many_later_versions_the_last_are_named(library: Library, report: str) -> None:
    update_report(library, report, set_title("Wrong"))
    for number in range(25):
        update_report(library, report, append_text(f"{number}"))
    answer = undo(library, report, 2)
    assert answer["kept"] == list(range(8, 28))
    assert "kept: the last 20 of 25 later versions, which all stay" in answer["warnings"]


def test_an_undo_of_one_item_says_what_of_the_change_stays(library: Library, report: str) -> None:
    a, b = named(library, report, "A"), named(library, report, "B")
    latency = now(library, report).sections[1].section_id
    update_report(
        library,
        report,
        {"op": "edit_insight", "insight": a, "importance": 9},
        {"op": "edit_insight", "insight": b, "importance": 9},
        set_title("Checkout"),
        append_text("x", "Latency"),
        append_text("y", "Costs"),
    )
    [warning] = undo(library, report, 2, item="Latency", dry_run=True)["warnings"]
    assert warning.startswith(f"Only the part of version 2 in sections/{latency[:8]} ('Latency') is undone.")
    assert "The rest stays: title, sections/" in warning
    assert "('Costs')" in warning
    assert warning.endswith(" and 1 more. Without item, all of it is undone.")
    answer = undo(library, report, 2, item=a, request_id="r1")
    assert len(answer["changed"]) == 1
    assert f"Only the part of version 2 in insights/{a[:8]} ('A') is undone." in answer["warnings"][0]
    assert undo(library, report, 2, item=a, request_id="r1") == answer


def test_an_item_that_is_all_of_the_change_needs_no_remark(library: Library, report: str) -> None:
    update_report(library, report, append_text("x", "Latency"))
    assert "warnings" not in undo(library, report, 2, item="Latency")


def test_an_item_that_the_change_left_alone_is_told_from_those_it_changed(
    library: Library, report: str
) -> None:
    update_report(library, report, append_text("x", "Latency"))
    answer = undo(library, report, 2, item="Costs")
    assert answer["applied"] == 0
    [warning] = answer["warnings"]
    assert "Version 2 did not change sections/" in warning
    assert "('Costs'), but sections/" in warning
    assert "('Latency'). Without item" in warning


# --- Removed items by their old names -----------------------------------------------------


def test_a_removed_section_is_named_by_a_title_that_neither_version_has(
    library: Library, report: str
) -> None:
    rename = {"op": "edit_section", "section": "Latency", "title": "Speed"}
    latency = now(library, report).sections[1].section_id
    update_report(library, report, rename)
    update_report(library, report, {"op": "remove_section", "section": "Speed"})
    update_report(library, report, set_title("Checkout"))
    answer = library.revert_report(RevertReport(report, 1, item="speed", dry_run=True), ANN)
    assert f"sections/{latency[:8]}" in [row["at"] for row in answer["changed"]]
    library.revert_report(RevertReport(report, 1, item="speed"), ANN)
    assert [title for title, _ in shape(now(library, report))] == ["Errors", "Latency", "Costs"]


def test_a_removed_insight_is_named_by_its_old_summary(library: Library, report: str) -> None:
    a = named(library, report, "A")
    update_report(library, report, {"op": "remove_insight", "insight": a})
    update_report(library, report, append_text("x"))
    for asked in (RevertReport(report, 1, item="a", dry_run=True), RevertReport(report, undo=2, item="a")):
        answer = library.revert_report(asked, ANN)
        assert [row["new"] for row in answer["changed"] if row["at"].startswith("insights/")] == ["A"]


def test_a_version_that_lacks_a_removed_item_says_which_has_it(library: Library, report: str) -> None:
    update_report(library, report, {"op": "add_section", "title": "New"})
    update_report(library, report, set_title("Checkout"))
    update_report(library, report, {"op": "remove_section", "section": "New"})
    with pytest.raises(ItemNotFoundError) as caught:
        library.revert_report(RevertReport(report, 1, item="New"), ANN)
    assert "Give a version that has it, such as 3" in caught.value.hint


def test_removed_items_of_one_name_are_listed_with_versions(library: Library, report: str) -> None:
    made = []
    for _ in range(2):
        created = update_report(library, report, {"op": "add_section", "title": "New"})["created"]
        made.append(created["sections"][0]["section_id"])
        update_report(library, report, {"op": "remove_section", "section": "New"})
    with pytest.raises(AmbiguousSelectorError) as caught:
        library.revert_report(RevertReport(report, 1, item="new"), ANN)
    assert caught.value.details["candidates"] == [
        {"section_id": made[1], "title": "New", "version": 4},
        {"section_id": made[0], "title": "New", "version": 2},
    ]
    library.revert_report(RevertReport(report, 2, item=made[0]), ANN)
    assert now(library, report).sections[-1].section_id == made[0]


def test_a_removed_section_and_its_successor_are_told_apart(library: Library, report: str) -> None:
    old = now(library, report).sections[1].section_id
    replace = ({"op": "remove_section", "section": "Latency"}, {"op": "add_section", "title": "Latency"})
    [made] = update_report(library, report, *replace)["created"]["sections"]
    for asked in (RevertReport(report, 1, item="Latency"), RevertReport(report, undo=2, item="Latency")):
        with pytest.raises(AmbiguousSelectorError) as caught:
            library.revert_report(asked, ANN)
        assert caught.value.details["candidates"] == [
            {"section_id": made["section_id"], "title": "Latency", "version": 2},
            {"section_id": old, "title": "Latency", "version": 1},
        ]
    undo(library, report, 2, item=old)
    assert [title for title, _ in shape(now(library, report))].count("Latency") == 2


def test_a_title_that_moved_to_another_section_means_the_one_that_has_it(
    library: Library, report: str
) -> None:
    edit = {"op": "edit_section"}
    update_report(library, report, edit | {"section": "Latency", "title": "Old"})
    update_report(library, report, edit | {"section": "Costs", "title": "Latency", "content": "high"})
    library.revert_report(RevertReport(report, 1, item="Latency"), ANN)
    assert [title for title, _ in shape(now(library, report))] == ["Errors", "Old", "Costs"]


# --- Refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({}, "to_version"),
        ({"undo": 0}, "to_version"),
        ({"to_version": 1, "undo": 2}, "undo"),
        ({"undo": "two"}, "undo"),
        ({"undo": "-3"}, "undo"),
        ({"undo": "3-2"}, "undo"),
        ({"undo": 1}, "undo"),
        ({"undo": "1-2"}, "undo"),
    ],
)
def test_what_makes_no_sense_is_refused(library: Library, report: str, arguments: Json, path: str) -> None:
    update_report(library, report, append_text("x"))
    with pytest.raises(InvalidInputError) as caught:
        library.revert_report(RevertReport(report, **arguments), author=ANN)
    assert caught.value.details["path"] == path


@pytest.mark.parametrize("what", [9, "2-9", "6f2d8a52-9f3e-4c0b-8d0e-3b1f6a0c7e11"])
def test_a_version_that_never_was(library: Library, report: str, what: str | int) -> None:
    update_report(library, report, append_text("x"))
    with pytest.raises(NoSuchVersionError):
        undo(library, report, what)


def test_a_damaged_report_is_only_brought_back_whole(library: Library, report: str) -> None:
    update_report(library, report, append_text("x"))
    (folder_of(library, report) / "outline.json").write_text("{ broken")
    asked: list[dict[str, Any]] = [{"undo": 2}, {"to_version": 1, "item": "Errors"}]
    for arguments in asked:
        with pytest.raises(CorruptReportError):
            library.revert_report(RevertReport(report, **arguments), author=ANN)
    assert library.revert_report(RevertReport(report, 2), author=ANN)["version"] == 3


# --- Undoing what was made after the version read -----------------------------------------


def test_the_newest_change_is_undone_by_who_has_not_seen_it(library: Library, report: str) -> None:
    update_report(library, report, append_text("four", section="Errors"))
    update_report(library, report, append_text("slow", section="Latency"), author=BEN)
    tried = undo(library, report, 3, expected_version=2, dry_run=True)
    answer = undo(library, report, 3, expected_version=2)
    assert (answer["version"], answer["rebased_over"]) == (4, [3])
    assert tried["merged"] == answer["merged"]
    assert content_of(library, report, "Latency") == "fast"


def test_an_undo_shows_every_version_that_its_caller_has_not_seen(library: Library, report: str) -> None:
    update_report(library, report, append_text("four", section="Errors"))
    for section, author in (("Latency", BEN), ("Errors", ANN), ("Costs", BEN)):
        update_report(library, report, append_text("more", section=section), author=author)
    answer = undo(library, report, 4, expected_version=2)
    assert answer["rebased_over"] == [3, 4, 5]
    assert [row["version"] for row in answer["merged"]] == [3, 4, 5]


def test_a_refused_undo_names_the_author_of_what_stands_now(library: Library, report: str) -> None:
    for old, new, author in (("two", "TWO", ANN), ("TWO", "2", BEN), ("one", "ONE more", ANN)):
        edit = {"op": "edit_text", "section": "Errors", "find": old, "replace": new}
        update_report(library, report, edit, author=author)
    with pytest.raises(VersionConflictError) as caught:
        undo(library, report, 2, expected_version=3)
    [conflict] = caught.value.details["conflicts"]
    assert (conflict["by"]["version"], conflict["by"]["client"]) == (3, BEN.client)


def test_a_refused_undo_names_a_range_that_can_be_undone(library: Library, report: str) -> None:
    for texts in ({"Errors": "a2"}, {"Errors": "a3", "Costs": "c3"}, {"Costs": "c4"}):
        update_report(library, report, *(replace_content(text, name) for name, text in texts.items()))
    with pytest.raises(VersionConflictError) as caught:
        undo(library, report, 2)
    assert 'undo="2-4"' in caught.value.hint
    assert undo(library, report, "2-4")["applied"] == 2
