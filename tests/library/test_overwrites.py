"""Without `expected_version` a caller may overwrite, and is told whose text it replaced."""

from __future__ import annotations

import time
from typing import Any

import pytest

from living_reports.library import Library
from living_reports.library.requests import GetReport, RevertReport
from living_reports.model.event import Author
from support.library_reports import (
    ANN,
    BEN,
    SECTIONS,
    Json,
    append_text,
    content_of,
    create_report,
    folder_of,
    replace_content,
    set_title,
    update_report,
)


def warnings(library: Library, report: str, *changes: Json, **more: Any) -> list[str]:
    return list(update_report(library, report, *changes, **({"author": BEN} | more)).get("warnings", []))


def test_another_clients_text_is_named_with_the_call_that_brings_it_back(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("A sentence of Ann's."), reason="June figures")
    [warning] = warnings(
        library, report, replace_content("Ben's text, which is about as long as what was there before.")
    )
    assert "version 2 by ann/1.0 (June figures)" in warning
    assert "revert_report with undo=3 brings it back" in warning
    update_report(library, report, append_text("Later, elsewhere.", "Latency"))
    library.revert_report(RevertReport(report, undo=3), author=BEN)
    assert content_of(library, report, "Latency").endswith("Later, elsewhere.")
    assert content_of(library, report).endswith("A sentence of Ann's.")


def test_every_kind_of_whole_text_counts(library: Library) -> None:
    report = create_report(library)
    insight = library.get_report(GetReport(report, view="insights"))["insights"][0]["insight_id"]
    changes: tuple[Json, ...] = (
        set_title("Checkout"),
        {"op": "edit_section", "section": "Latency", "title": "Speed"},
        {"op": "edit_section", "section": "Errors", "clear": ["content"]},
        {"op": "edit_insight", "insight": insight, "summary": "Errors trebled"},
    )
    said = warnings(library, report, *changes)
    assert [warning.split(":")[0].split("/")[-1] for warning in said] == [
        "title",
        "title",
        "content",
        "summary",
    ]


@pytest.mark.parametrize(
    "harmless",
    [
        append_text("More."),
        {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "15 %"},
        {"op": "edit_section", "section": "Errors", "content_format": "plain"},
        {"op": "add_section", "title": "New", "content": "Text."},
    ],
)
def test_words_that_the_caller_knew_are_no_overwriting(library: Library, harmless: Json) -> None:
    assert warnings(library, create_report(library), harmless) == []


def test_only_what_was_set_anew_counts(library: Library) -> None:
    """A text that another change of the same call only added to is not named."""
    report = create_report(library)
    [warning] = warnings(library, report, replace_content("p95 is 350 ms.", "Latency"), append_text("More."))
    assert "12 %" not in warning
    latency = library.get_report(GetReport(report, sections=["Latency"]))["sections"][0]["section_id"]
    assert warning.startswith(f"sections/{latency}")


def test_ones_own_text_may_be_replaced(library: Library) -> None:
    assert (
        warnings(
            library,
            create_report(library),
            replace_content("15 % of orders fail; most at night."),
            author=ANN,
        )
        == []
    )


def test_own_prose_that_shrinks_by_more_than_half_is_named(library: Library) -> None:
    [warning] = warnings(library, create_report(library), replace_content("Some fail."), author=ANN)
    assert "shrank from 44 to 10 characters" in warning
    assert "undo=2" in warning


def test_with_an_expected_version_nothing_is_said(library: Library) -> None:
    assert warnings(library, create_report(library), replace_content("x"), expected_version=1) == []


def test_a_dry_run_warns_too(library: Library) -> None:
    report = create_report(library)
    assert warnings(library, report, replace_content("x"), dry_run=True) == warnings(
        library, report, replace_content("x")
    )


def test_the_one_who_wrote_the_text_is_named_not_the_one_who_touched_the_item_last(library: Library) -> None:
    report = create_report(library)
    cid = Author("human", "cid")
    update_report(
        library, report, {"op": "add_insight", "section": "Errors", "summary": "A new one"}, author=cid
    )
    [warning] = warnings(library, report, replace_content("Ben's text, which is about as long as what was."))
    assert "version 1 by ann/1.0" in warning


def test_a_text_that_was_brought_back_belongs_to_who_brought_it_back(library: Library) -> None:
    report = create_report(library)
    update_report(
        library, report, replace_content("Ben's text, of about the same length as before."), author=BEN
    )
    library.revert_report(RevertReport(report, 1), author=Author("human", "cid"))
    [warning] = warnings(library, report, replace_content("Once more, of about the same length as before."))
    assert "version 3 by cid" in warning


def test_a_text_from_long_ago_is_found_without_reading_every_line(library: Library) -> None:
    report = create_report(library)
    for number in range(300):
        update_report(library, report, append_text(f"Line {number}.", "Latency"), author=BEN)
    start = time.thread_time()
    said = warnings(
        library, report, replace_content("Ben's text, which is about as long as what was."), dry_run=True
    )
    took = time.thread_time() - start
    assert "version 1 by ann/1.0" in said[0]
    assert took < 0.5


def test_many_replaced_texts_are_named_shortly(library: Library) -> None:
    sections = [{"title": f"Section {number}", "content": f"Text {number}."} for number in range(150)]
    report = create_report(library, sections=sections)
    said = warnings(library, report, *(replace_content(f"Other {n}.", f"Section {n}") for n in range(150)))
    assert len(said) == 11
    assert "140 more texts" in said[10]


def test_text_of_another_program_is_named_when_it_is_first_replaced_and_later(library: Library) -> None:
    report = create_report(library, sections=SECTIONS)
    (folder_of(library, report) / "audit.jsonl").unlink()
    (folder_of(library, report) / ".head").unlink()
    update_report(library, report, append_text("Ben adopts it.", "Latency"), author=BEN)
    [warning] = warnings(
        library, report, replace_content("Ben's text, which is about as long as what was there.")
    )
    assert "by another program" in warning


def test_the_change_that_comes_with_an_adoption_is_named_by_the_version_it_gets(library: Library) -> None:
    report = create_report(library)
    (folder_of(library, report) / "audit.jsonl").unlink()
    (folder_of(library, report) / ".head").unlink()
    [warning] = warnings(library, report, replace_content("x"))
    assert "undo=3 brings it back" in warning
    library.revert_report(RevertReport(report, undo=3), author=BEN)
    assert content_of(library, report).startswith("12 %")
