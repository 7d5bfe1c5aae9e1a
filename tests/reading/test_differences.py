"""The answers of `diff_report`: versions, rows in order, authors, and text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from living_reports.errors import InvalidInputError, NoSuchVersionError
from living_reports.library import Library
from living_reports.library.requests import AuditReport, DiffReport, GetReport, RevertReport
from living_reports.model.event import Author
from living_reports.model.report import Outline
from living_reports.reading.differences import changed_rows
from living_reports.store.base import Event
from support.library_reports import (
    ANN,
    BEN,
    append_text,
    create_report,
    replace_content,
    set_title,
    update_report,
)
from support.strategies import edited_outlines, outlines

Row = dict[str, Any]

ADOPTED = "7c1f0a52-3b0e-4d57-9a41-2f6f5f0b9d10"
"""The report in `data/igloo`, which another program wrote."""


def compared(library: Library, **arguments: Any) -> tuple[int, int]:
    answer = library.diff_report(DiffReport("Health", **arguments))
    return answer["from_version"], answer["to_version"]


def rows(library: Library, **arguments: Any) -> list[Row]:
    changed: list[Row] = library.diff_report(DiffReport("Health", **arguments))["changed"]
    return changed


def versions_of(row: Row) -> list[int]:
    """The versions that made a change."""
    by = row["by"]
    return [one["version"] for one in (by if isinstance(by, list) else [by])]


def times(library: Library) -> dict[int, str]:
    return {
        row["version"]: row["ts"] for row in library.audit_report(AuditReport("Health", limit=100))["events"]
    }


def full_id(library: Library, name: str) -> str:
    view = library.get_report(GetReport("Health", view="full"))
    items = {row["title"]: row["section_id"] for row in view["sections"]}
    items |= {row["summary"]: row["insight_id"] for row in view["insights"]}
    return str(items[name])


@pytest.fixture
def history(library: Library) -> Library:
    """A report by Ann; Ben edits Errors in version 2, Ann its insight in 3, Ben Errors again in 4."""
    create_report(library)
    update_report(
        library,
        "Health",
        replace_content("15 % of orders fail.\n\nMost of them at night."),
        author=BEN,
        reason="June",
    )
    insight = {"op": "edit_insight", "insight": full_id(library, "Errors doubled in May"), "importance": 9}
    update_report(library, "Health", insight, reason="it got worse")
    update_report(library, "Health", append_text("And on Sundays."), author=BEN, reason="July")
    return library


# --- Versions -----------------------------------------------------------------------------


def test_it_compares_the_current_version_with_the_one_before(history: Library) -> None:
    assert compared(history) == (3, 4)
    assert compared(history, to_version=3) == (2, 3)
    assert compared(history, since=1) == compared(history, since="1") == (1, 4)
    assert compared(history, since=1, to_version=2) == (1, 2)


def test_since_a_moment_begins_with_the_version_that_was_current(history: Library) -> None:
    ts = times(history)
    assert compared(history, since=ts[3]) == (2, 4)
    assert compared(history, since="2999-01-01") == (4, 4)
    assert rows(history, since="2999-01-01") == []
    for since in ("2020-01-01", ts[1][:10], ts[1]):
        assert compared(history, since=since) == (0, 4)


def test_from_before_the_creation_everything_is_added(history: Library) -> None:
    changed = rows(history, since="2020-01-01")
    came = {row["item"]: versions_of(row) for row in changed if "item" in row}
    assert came == {"Errors": [1, 2, 4], "Errors doubled in May": [1, 3], "Latency": [1]}
    assert not any("old" in row for row in changed)
    by_place = {row["at"]: row for row in changed}
    assert (by_place["title"]["new"], by_place["metadata/status"]["new"]) == ("Health", "active")


def test_an_unchanged_report_has_one_version(library: Library) -> None:
    create_report(library)
    assert compared(library) == (0, 1)


def test_an_unknown_version_is_refused(history: Library) -> None:
    wrong: list[dict[str, Any]] = [{"since": 9}, {"to_version": 9}, {"since": 1, "to_version": -1}]
    for arguments in wrong:
        with pytest.raises(NoSuchVersionError):
            history.diff_report(DiffReport("Health", **arguments))


def test_a_backward_comparison_is_refused_with_the_forward_call(history: Library) -> None:
    with pytest.raises(InvalidInputError) as caught:
        history.diff_report(DiffReport("Health", since=4, to_version=2))
    assert caught.value.details["path"] == "to_version"
    assert "since=2, to_version=4" in str(caught.value.hint)
    with pytest.raises(InvalidInputError):
        history.diff_report(DiffReport("Health", since="2999-01-01", to_version=2))


@pytest.mark.parametrize("arguments", [{"since": "last week"}, {"format": "html"}, {"cursor": "x"}])
def test_an_invalid_argument_is_refused(history: Library, arguments: Row) -> None:
    with pytest.raises(InvalidInputError) as caught:
        history.diff_report(DiffReport("Health", **arguments))
    assert caught.value.details["path"] == next(iter(arguments))


def test_a_version_does_not_differ_from_itself(history: Library) -> None:
    assert rows(history, since=4) == []
    assert history.diff_report(DiffReport("Health", since=4, format="text"))["text"] == ""


def test_an_adopted_report_is_known_from_its_last_version_on(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[1] / "data" / "igloo", tmp_path / "igloo")
    library = Library(tmp_path / "igloo")
    kept = library.store.read(ADOPTED).outline
    version = kept.outline_version
    for _ in range(2):  # as it was found, and after the first change
        assert library.diff_report(DiffReport(ADOPTED, since="2026-03-03"))["from_version"] == version
        assert library.diff_report(DiffReport(ADOPTED, since=kept.created_at[:10]))["from_version"] == 0
        for arguments in ({"since": kept.updated_at}, {"to_version": version}):
            with pytest.raises(NoSuchVersionError) as caught:
                library.diff_report(DiffReport(ADOPTED, **arguments))
            assert f"since={version}" in str(caught.value.hint)
        update_report(library, ADOPTED, set_title("Review"))
        version = kept.outline_version + 1
    assert [row["old"] for row in library.diff_report(DiffReport(ADOPTED))["changed"]] == [kept.title]


# --- Rows ---------------------------------------------------------------------------------


def test_a_row_has_the_change_the_author_and_the_reason(history: Library) -> None:
    answer = history.diff_report(DiffReport("Health", since=1))
    assert list(answer) == ["report_id", "title", "from_version", "to_version", "changed"]
    prose, importance = answer["changed"]
    assert prose["at"] == f"sections/{full_id(history, 'Errors')[:8]}/content"
    assert prose["item"] == "Errors"
    assert prose["old"] == "12 % of orders fail.\n\nMost of them at night."
    assert prose["new"] == "15 % of orders fail.\n\nMost of them at night.\n\nAnd on Sundays."
    assert prose["by"] == [
        {"version": 2, "client": "ben/2.0", "reason": "June"},
        {"version": 4, "client": "ben/2.0", "reason": "July"},
    ]
    assert (importance["old"], importance["new"]) == (8, 9)
    assert importance["by"]["reason"] == "it got worse"
    assert importance["by"]["ts"] == times(history)[3]


def test_by_is_limited_to_the_range(history: Library) -> None:
    [prose] = rows(history, since=1, to_version=2)
    assert prose["by"]["version"] == 2
    assert "Sundays" not in prose["new"]


def test_all_versions_that_made_one_change_are_named(library: Library) -> None:
    create_report(library)
    for number in range(11):
        author = (ANN, Author("human"))[number % 2]
        update_report(library, "Health", append_text(f"{number}"), author=author, reason="why " * 40)
    [prose] = rows(library, since=1)
    assert versions_of(prose) == list(range(8, 13))
    assert prose["by_more"] == 6
    assert prose["by"][0].keys() == {"version", "client", "reason"}
    assert prose["by"][1].keys() == {"version", "actor", "reason"}
    assert max(len(by["reason"]) for by in prose["by"]) == 60
    [prose] = rows(library, since=7)
    assert (versions_of(prose), "by_more" in prose) == (list(range(8, 13)), False)
    [prose] = rows(library, since=11)
    assert (prose["by"]["version"], prose["by"]["ts"][:2]) == (12, "20")


def test_an_item_that_came_was_made_by_all_who_worked_on_it(library: Library) -> None:
    create_report(library)
    update_report(library, "Health", {"op": "add_section", "title": "Costs"}, author=BEN)
    update_report(library, "Health", append_text("12 EUR", "Costs"))
    update_report(library, "Health", append_text("elsewhere"))
    [_, costs] = rows(library, since=1)
    assert [(by["version"], by["client"]) for by in costs["by"]] == [(2, "ben/2.0"), (3, "ann/1.0")]


def test_a_move_is_by_those_who_moved_the_item(library: Library) -> None:
    create_report(library)
    for title in ("Costs", "Staff"):
        update_report(library, "Health", {"op": "add_section", "title": title})
    move = {"op": "move_section", "section": "Staff", "position": "first"}
    update_report(library, "Health", move, author=BEN)
    update_report(library, "Health", {"op": "add_section", "title": "Last"})
    [moved] = [row for row in rows(library, since=3) if row["item"] == "Staff"]
    assert (moved["new"], versions_of(moved)) == ("position 1", [4])


def test_a_key_of_metadata_with_quotes_has_an_author(library: Library) -> None:
    create_report(library)
    for key in ('a"b', "a/b", "schlüssel"):
        update_report(library, "Health", {"op": "set_metadata", "key": key, "value": 1})
    assert sorted(row["by"]["version"] for row in rows(library, since=1)) == [2, 3, 4]


def test_a_change_that_was_taken_back_is_no_difference(history: Library) -> None:
    update_report(history, "Health", set_title("Checkout"))
    update_report(history, "Checkout", set_title("Health"))
    assert rows(history, since=4) == []


def test_rows_follow_the_report_and_removed_items_keep_their_position(library: Library) -> None:
    titles = ("A", "B", "C", "D")
    sections = [{"title": t, "content": t, "insights": [{"summary": f"in {t}"}]} for t in titles]
    create_report(library, sections=sections)
    in_c = full_id(library, "in C")
    update_report(
        library,
        "Health",
        {"op": "add_section", "title": "E", "position": "first"},
        {"op": "remove_section", "section": "B"},
        replace_content("dd", "D"),
        {"op": "edit_insight", "insight": in_c, "importance": 1},
        replace_content("aa", "A"),
        {"op": "add_tags", "tags": ["ops"]},
    )
    shown = [row.get("added") or (row["item"], row.get("old"), row.get("new")) for row in rows(library)]
    assert shown == [
        ["ops"],
        ("E", None, "E"),
        ("A", "A", "aa"),
        ("B", "B", None),
        ("in B", "in B", None),
        ("in C", 5, 1),
        ("D", "D", "dd"),
    ]


def test_a_moved_insight_is_listed_in_its_new_section(library: Library) -> None:
    create_report(library)
    insight = full_id(library, "Errors doubled in May")
    move = {"op": "move_insight", "insight": insight, "section": "Latency"}
    raise_it = {"op": "edit_insight", "insight": insight, "importance": 2}
    update_report(library, "Health", move, raise_it, replace_content("x"), replace_content("y", "Latency"))
    shown = rows(library)
    assert [row["item"] for row in shown] == ["Errors", "Latency", *["Errors doubled in May"] * 2]
    moved, raised = shown[2:]
    assert moved["at"] == f"insights/{insight[:8]}"
    assert (moved["old"], moved["new"]) == ("position 1 in Errors", "position 1 in Latency")
    assert (raised["old"], raised["new"]) == (8, 2)


def test_a_long_text_is_reduced_to_the_lines_that_differ(library: Library) -> None:
    line = "word " * 100
    create_report(library, sections=[{"title": "Errors", "content": f"one\n{line}12 %{line}\nthree"}])
    update_report(
        library, "Health", {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "15 %"}
    )
    [row] = rows(library)
    assert "[-12-] %" in row["old"]
    assert "{+15+} %" in row["new"]
    assert max(len(row["old"]), len(row["new"])) <= 200
    assert "three" not in row["new"]


def test_many_edits_of_one_text_are_shown_together(library: Library) -> None:
    lines = [f"Figure {n} of the report is {n * 11}." for n in range(12)]
    create_report(library, sections=[{"title": "Errors", "content": "\n".join(lines)}])
    for n in (1, 5, 9):
        lines[n] = f"Figure {n} of the report is unknown."
    update_report(library, "Health", replace_content("\n".join(lines)))
    [row] = rows(library)
    assert row["new"] == " … ".join(f"Figure {n} of the report is {{+unknown+}}." for n in (1, 5, 9))


def no_events(ids: Sequence[str], addresses: Sequence[str]) -> list[Event]:
    return []


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(st.data(), outlines())
def test_any_two_outlines_can_be_compared(data: st.DataObject, old: Outline) -> None:
    new = data.draw(edited_outlines(old))
    found = changed_rows(old, new, no_events)
    places = [row["at"] for row in found]
    assert len(set(places)) == len(places)
    assert not changed_rows(new, new, no_events)
    assert all(row.keys() <= {"item", "at", "old", "new", "added", "removed"} for row in found)


# --- As text ------------------------------------------------------------------------------


def test_text_is_a_unified_diff_of_the_pages(history: Library) -> None:
    answer = history.diff_report(DiffReport("Health", since=1, format="text"))
    assert list(answer) == ["report_id", "title", "from_version", "to_version", "text"]
    lines = answer["text"].splitlines()
    assert lines[0].startswith("--- ")
    assert lines[0].endswith(", version 1")
    assert lines[1].endswith(f", version {answer['to_version']}")
    assert lines[2] == "@@ Errors @@"
    assert "-12 % of orders fail." in lines
    assert "+15 % of orders fail." in lines
    assert "+And on Sundays." in lines
    assert "-1. **[8/10]** Errors doubled in May [1]" in lines


def test_text_shows_an_insight_that_is_no_longer_active(history: Library) -> None:
    insight = full_id(history, "Errors doubled in May")
    update_report(history, "Health", {"op": "edit_insight", "insight": insight, "status": "killed"})
    assert "+1. **[9/10]** Errors doubled in May [1] *(killed)*" in (
        history.diff_report(DiffReport("Health", format="text"))["text"].splitlines()
    )


def test_text_from_nothing_is_the_page(library: Library) -> None:
    create_report(library)
    text = library.diff_report(DiffReport("Health", format="text"))["text"]
    assert text.startswith("--- nothing\n+++ Health, version 1\n@@ @@\n+# Health\n")
    assert all(line.startswith(("+", "@@")) for line in text.splitlines()[1:])


# --- Pages --------------------------------------------------------------------------------


def all_pages(library: Library, field: str, **arguments: Any) -> list[Any]:
    pages, cursor = [], ""
    while True:
        answer = library.diff_report(DiffReport("Health", cursor=cursor, **arguments))
        assert len(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))) < 20_000
        assert (answer["from_version"], answer["to_version"]) == (1, 3)
        pages.append(answer[field])
        cursor = answer.get("next_cursor", "")
        if not cursor:
            return pages
        update_report(library, "Health", append_text("meanwhile"))


@pytest.fixture
def long_history(library: Library) -> Library:
    create_report(library)
    for half in range(2):
        adds = [
            {"op": "add_section", "title": f"{half} {n}", "content": f"{half} {n} words\n" * 40}
            for n in range(60)
        ]
        update_report(library, "Health", *adds, reason="why " * 30)
    return library


def test_pages_of_rows_belong_to_one_comparison(long_history: Library) -> None:
    pages = all_pages(long_history, "changed", since=1)
    assert len(pages) > 1
    came = [row["item"] for page in pages for row in page]
    assert came == [f"{half} {n}" for half in range(2) for n in range(60)]


def test_pages_of_a_text_can_be_joined(long_history: Library) -> None:
    pages = all_pages(long_history, "text", since=1, format="text")
    assert len(pages) > 1
    lines = "".join(pages).splitlines()
    for half, n in ((0, 0), (0, 59), (1, 59)):
        assert lines.count(f"+{half} {n} words") == 40


def test_a_cursor_refuses_other_arguments(long_history: Library) -> None:
    cursor = long_history.diff_report(DiffReport("Health", since=1))["next_cursor"]
    for arguments in ({"since": 2}, {"since": 1, "format": "text"}, {"since": 1, "to_version": 2}):
        with pytest.raises(InvalidInputError):
            long_history.diff_report(DiffReport("Health", cursor=cursor, **arguments))


# --- Last changes -------------------------------------------------------------------------


def last(library: Library, item: str, **arguments: Any) -> Row:
    row: Row = library.audit_report(AuditReport("Health", item=item, **arguments))["last_change"]
    return row


def test_the_last_change_of_an_item_has_its_author_reason_and_place(history: Library) -> None:
    errors = full_id(history, "Errors")
    row = last(history, "Errors")
    assert list(row) == ["version", "ts", "actor", "client", "reason", "item", "at"]
    assert row["item"] == "Errors"
    assert (row["version"], row["client"], row["reason"]) == (4, "ben/2.0", "July")
    assert row["at"] == f"sections/{errors[:8]}/content"
    assert last(history, "Latency")["at"] == f"sections/{full_id(history, 'Latency')[:8]}"
    assert "last_change" not in history.audit_report(AuditReport("Health"))


def test_filters_do_not_hide_the_last_change(history: Library) -> None:
    answer = history.audit_report(AuditReport("Health", item="Errors", actor="ann", limit=1))
    assert [row["version"] for row in answer["events"]] == [1]
    assert answer["last_change"]["version"] == 4
    assert history.audit_report(AuditReport("Health", item="Errors", since=4))["last_change"]["version"] == 4


def test_a_field_was_added_with_its_item(history: Library) -> None:
    update_report(history, "Health", {"op": "add_section", "title": "Costs", "content": "12 EUR"}, author=BEN)
    update_report(history, "Health", {"op": "edit_section", "section": "Costs", "title": "Cost"})
    assert last(history, "sections/Cost/content")["version"] == 5
    assert last(history, "sections/Cost")["version"] == 6
    assert "last_change" not in history.audit_report(AuditReport("Health", item="sections/Cost/notes"))


def test_citations_by_id_short_id_and_summary(history: Library) -> None:
    insight = full_id(history, "Errors doubled in May")
    cite = {"op": "add_citation", "insight": insight, "citation": {"url": "https://c.d/e"}}
    update_report(history, "Health", cite, author=BEN, reason="a second source")
    for name in (insight, insight[:8], insight.upper(), "doubled in May"):
        row = last(history, f"insights/{name}/citations")
        assert (row["version"], row["reason"]) == (5, "a second source")
        assert row["at"] == f"insights/{insight[:8]}/citations"
    assert last(history, insight[:8])["at"] == f"insights/{insight[:8]}/citations"
    assert last(history, f"insights/{insight}/importance")["version"] == 3


def test_one_citation_by_its_link(history: Library) -> None:
    insight = full_id(history, "Errors doubled in May")
    cite = {"op": "add_citation", "insight": insight, "citation": {"url": "https://c.d/e"}}
    update_report(history, "Health", cite, author=BEN)
    citations = f"insights/{insight[:8]}/citations"
    assert last(history, f"{citations}/https://a.b")["version"] == 1
    row = last(history, f"{citations}/https://c.d/e")
    assert row["version"] == 5
    assert last(history, row["at"])["version"] == 5
    update_report(
        history, "Health", {"op": "remove_citation", "insight": insight, "citation": {"url": "https://a.b"}}
    )
    assert last(history, f"{citations}/https://a.b")["version"] == 6
    assert last(history, f"{citations}/https://c.d/e")["version"] == 5


def test_one_tag(history: Library) -> None:
    update_report(history, "Health", {"op": "add_tags", "tags": ["ops"]}, author=BEN)
    update_report(history, "Health", {"op": "add_tags", "tags": ["web"]})
    assert last(history, "metadata/tags/ops")["version"] == 5
    assert last(history, "metadata/tags")["version"] == 6


def test_a_removed_item_was_last_changed_by_its_removal(history: Library) -> None:
    insight = full_id(history, "Errors doubled in May")
    update_report(
        history, "Health", {"op": "remove_section", "section": "Errors"}, author=BEN, reason="moved"
    )
    for name in ("Errors", insight[:8], f"insights/{insight[:8]}/citations", "sections/errors/content"):
        assert last(history, name)["reason"] == "moved"


def test_a_changed_time_alone_does_not_count(history: Library) -> None:
    """A revert to version 1 changes only the times of items whose content is the same again."""
    update_report(history, "Health", replace_content("p95 is 900 ms.", "Latency"))
    update_report(history, "Health", replace_content("p95 is 340 ms.", "Latency"))
    history.revert_report(RevertReport("Health", 1), author=ANN)
    assert last(history, "Latency")["version"] == 6
    assert last(history, "Errors")["version"] == 7
