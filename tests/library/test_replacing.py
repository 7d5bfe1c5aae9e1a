"""A text is replaced in the whole report with one change, and the answer says how often."""

from __future__ import annotations

import pytest

from living_reports.errors import ItemNotFoundError
from living_reports.library import Library
from living_reports.library.requests import GetReport, UpdateReport
from support.library_reports import (
    ANN,
    BEN,
    Json,
    append_text,
    content_of,
    create_report,
    refused_update,
    replace_content,
    update_report,
)

ORDERS = {"op": "edit_text", "find": "Errors", "replace": "Failures", "all": True}
SECTIONS = [
    {
        "title": "Errors",
        "content": "Errors rose.\n\nErrors fell.",
        "notes": "Errors: see the log.",
        "insights": [{"summary": "Errors doubled in May"}],
    },
    {"title": "Latency", "content": "p95 is 340 ms."},
]


@pytest.fixture
def report(library: Library) -> str:
    return create_report(library, sections=SECTIONS)


def summary_of(library: Library, report: str) -> str:
    return library.store.read(report).outline.insights[0].summary


def test_a_dry_run_counts_and_writes_nothing(library: Library, report: str) -> None:
    tried = update_report(library, report, ORDERS, dry_run=True)
    assert (tried["replaced"], tried["applied"], tried["version"]) == (4, 1, 1)
    assert len(tried["changed"]) == 3
    assert "Errors rose" in content_of(library, report)


def test_the_answer_says_how_often_also_when_it_is_repeated(library: Library, report: str) -> None:
    first = update_report(library, report, ORDERS, request_id="once")
    assert first["replaced"] == 4
    assert content_of(library, report) == "Failures rose.\n\nFailures fell."
    assert summary_of(library, report) == "Failures doubled in May"
    assert update_report(library, report, ORDERS, request_id="once") == first
    with pytest.raises(ItemNotFoundError) as caught:
        update_report(library, report, ORDERS)
    assert "titles" in caught.value.hint


def test_it_merges_with_later_changes_and_names_what_they_brought(library: Library, report: str) -> None:
    update_report(library, report, append_text("Errors at night.", "Latency"), author=BEN)
    answer = update_report(library, report, ORDERS, expected_version=1)
    assert (answer["rebased_over"], answer["replaced"]) == ([2], 4)
    assert any("occurrences: 1" in warning for warning in answer["warnings"])
    assert content_of(library, report, "Latency").endswith("Errors at night.")
    again = update_report(library, report, ORDERS, expected_version=3)
    assert again["replaced"] == 1


@pytest.mark.parametrize(
    "theirs",
    [replace_content("Errors halved.\n\nErrors fell."), {"op": "remove_section", "section": "Errors"}],
)
def test_a_conflict_names_the_change_and_offers_to_send_it_again(
    library: Library, report: str, theirs: Json
) -> None:
    update_report(library, report, theirs, author=BEN)
    error = refused_update(library, report, ORDERS)
    assert error["conflicts"][0]["change"] == "changes[0]"
    assert error["conflicts"][0]["item"] == "Errors"


def test_both_sides_of_a_conflict_can_be_kept(library: Library, report: str) -> None:
    update_report(library, report, replace_content("Errors halved.\n\nErrors fell."), author=BEN)
    error = refused_update(library, report, ORDERS)
    library.update_report(UpdateReport(**error["keep_both"]), author=ANN)
    assert content_of(library, report) == "Errors halved.\nFailures rose.\n\nFailures fell."
    assert summary_of(library, report) == "Failures doubled in May"
    assert library.get_report(GetReport(report))["version"] == 3


def test_a_warning_counts_what_stays_in_titles_tags_and_citations(library: Library) -> None:
    cited = {"summary": "Errors doubled", "citations": [{"url": "https://Errors.example", "title": "Errors"}]}
    sections = [
        {"title": "Errors, Errors", "content": "Errors rose.", "insights": [cited]},
        {"title": "Table", "content": "0", "citations": [{"path": "Errors.csv"}]},
    ]
    report = create_report(library, "Errors", sections=sections, tags=["Errors-2026"])
    for asked in ({"dry_run": True}, {"request_id": "once"}, {"request_id": "once"}):
        answer = update_report(library, report, ORDERS, **asked)
        assert answer["replaced"] == 2
        assert answer["warnings"][0] == (
            "changes[0]: 'Errors' stays 1 in the report's title (set_title), 2 in section titles "
            "(edit_section), 1 in tags (add_tags, remove_tags), 3 in citations (add_citation, "
            "remove_citation)"
        )


def test_a_title_that_the_same_call_changes_is_no_leftover(library: Library, report: str) -> None:
    rename = {"op": "edit_section", "section": "Errors", "title": "Failures"}
    assert "warnings" not in update_report(library, report, ORDERS, rename, expected_version=1)
