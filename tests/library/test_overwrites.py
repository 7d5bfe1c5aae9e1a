"""Without `expected_version` a caller may overwrite, and is told whose text it replaced."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from living_reports.library import Library
from living_reports.model.report import Author
from support.keeping import ANN, BEN, SECTIONS, Row, append, change, content, folder_of, keep, retitle, write


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def warnings(library: Library, report: str, *changes: Row, **more: Any) -> list[str]:
    return list(change(library, report, *changes, **({"author": BEN} | more)).get("warnings", []))


def test_another_clients_text_is_named_with_the_call_that_brings_it_back(library: Library) -> None:
    report = keep(library)
    change(library, report, append("A sentence of Ann's."), reason="June figures")
    [warning] = warnings(
        library, report, write("Ben's text, which is about as long as what was there before.")
    )
    assert "version 2 by ann/1.0 (June figures)" in warning
    assert "revert_report with undo=3 brings it back" in warning
    change(library, report, append("Later, elsewhere.", "Latency"))
    library.revert_report(report, undo=3, author=BEN)
    assert content(library, report, "Latency").endswith("Later, elsewhere.")
    assert content(library, report).endswith("A sentence of Ann's.")


def test_every_kind_of_whole_text_counts(library: Library) -> None:
    report = keep(library)
    insight = library.get_report(report, view="insights")["insights"][0]["insight_id"]
    changes: tuple[Row, ...] = (
        retitle("Checkout"),
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
        append("More."),
        {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "15 %"},
        {"op": "edit_section", "section": "Errors", "content_format": "plain"},
        {"op": "add_section", "title": "New", "content": "Text."},
    ],
)
def test_words_that_the_caller_knew_are_no_overwriting(library: Library, harmless: Row) -> None:
    assert warnings(library, keep(library), harmless) == []


def test_only_what_was_set_anew_counts(library: Library) -> None:
    """A text that another change of the same call only added to is not named."""
    report = keep(library)
    [warning] = warnings(library, report, write("p95 is 350 ms.", "Latency"), append("More."))
    assert "12 %" not in warning
    latency = library.get_report(report, sections=["Latency"])["sections"][0]["section_id"]
    assert warning.startswith(f"sections/{latency}")


def test_ones_own_text_may_be_replaced(library: Library) -> None:
    assert warnings(library, keep(library), write("15 % of orders fail; most at night."), author=ANN) == []


def test_own_prose_that_shrinks_by_more_than_half_is_named(library: Library) -> None:
    [warning] = warnings(library, keep(library), write("Some fail."), author=ANN)
    assert "shrank from 44 to 10 characters" in warning
    assert "undo=2" in warning


def test_with_an_expected_version_nothing_is_said(library: Library) -> None:
    assert warnings(library, keep(library), write("x"), expected_version=1) == []


def test_a_dry_run_warns_too(library: Library) -> None:
    report = keep(library)
    assert warnings(library, report, write("x"), dry_run=True) == warnings(library, report, write("x"))


def test_the_one_who_wrote_the_text_is_named_not_the_one_who_touched_the_item_last(library: Library) -> None:
    report = keep(library)
    cid = Author("human", "cid")
    change(library, report, {"op": "add_insight", "section": "Errors", "summary": "A new one"}, author=cid)
    [warning] = warnings(library, report, write("Ben's text, which is about as long as what was."))
    assert "version 1 by ann/1.0" in warning


def test_a_text_that_was_brought_back_belongs_to_who_brought_it_back(library: Library) -> None:
    report = keep(library)
    change(library, report, write("Ben's text, of about the same length as before."), author=BEN)
    library.revert_report(report, 1, author=Author("human", "cid"))
    [warning] = warnings(library, report, write("Once more, of about the same length as before."))
    assert "version 3 by cid" in warning


def test_a_text_from_long_ago_is_found_without_reading_every_line(library: Library) -> None:
    report = keep(library)
    for number in range(300):
        change(library, report, append(f"Line {number}.", "Latency"), author=BEN)
    start = time.perf_counter()
    said = warnings(library, report, write("Ben's text, which is about as long as what was."), dry_run=True)
    took = time.perf_counter() - start
    assert "version 1 by ann/1.0" in said[0]
    assert took < 0.5


def test_many_replaced_texts_are_named_shortly(library: Library) -> None:
    sections = [{"title": f"Section {number}", "content": f"Text {number}."} for number in range(200)]
    report = keep(library, sections=sections)
    said = warnings(library, report, *(write(f"Other {n}.", f"Section {n}") for n in range(200)))
    assert len(said) == 11
    assert "190 more texts" in said[10]


def test_text_of_another_program_is_named_when_it_is_first_replaced_and_later(library: Library) -> None:
    report = keep(library, sections=SECTIONS)
    (folder_of(library, report) / "audit.jsonl").unlink()
    (folder_of(library, report) / ".head").unlink()
    change(library, report, append("Ben adopts it.", "Latency"), author=BEN)
    [warning] = warnings(library, report, write("Ben's text, which is about as long as what was there."))
    assert "by another program" in warning


def test_the_change_that_comes_with_an_adoption_is_named_by_the_version_it_gets(library: Library) -> None:
    report = keep(library)
    (folder_of(library, report) / "audit.jsonl").unlink()
    (folder_of(library, report) / ".head").unlink()
    [warning] = warnings(library, report, write("x"))
    assert "undo=3 brings it back" in warning
    library.revert_report(report, undo=3, author=BEN)
    assert content(library, report).startswith("12 %")
