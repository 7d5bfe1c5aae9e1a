"""`list_reports`: filters, order, pages that neither repeat nor hide rows, sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import InvalidInputError
from living_reports.library import Library
from living_reports.library.requests import AuditReport, GetReport, ListReports, TrashReport
from support.library_reports import (
    ANN,
    Json,
    append_text,
    create_report,
    folder_of,
    folder_store,
    set_title,
    update_report,
)


def titles(library: Library, **asked: Any) -> list[str]:
    return [row["title"] for row in library.list_reports(ListReports(**asked))["reports"]]


def pages(library: Library, **asked: Any) -> list[list[str]]:
    found, cursor = [], ""
    while True:
        answer = library.list_reports(ListReports(**asked, cursor=cursor))
        found.append([row["title"] for row in answer["reports"]])
        cursor = answer.get("next_cursor", "")
        if not cursor:
            return found


def test_a_row_says_what_a_reader_needs(library: Library) -> None:
    report = create_report(library, tags=["ops"])
    answer = update_report(library, report, append_text("x"))
    [row] = library.list_reports(ListReports())["reports"]
    updated_at = row.pop("updated_at")
    assert updated_at == library.get_report(GetReport(report))["updated_at"]
    expected = {"report_id": report, "title": "Health", "version": 2, "status": "active", "tags": ["ops"]}
    assert row == expected
    assert answer["version"] == 2


def test_an_empty_root_lists_nothing_and_stays_empty(tmp_path: Path) -> None:
    assert Library(tmp_path / "none").list_reports(ListReports()) == {"reports": [], "total": 0}
    assert list(tmp_path.iterdir()) == []


def test_the_last_changed_comes_first(library: Library) -> None:
    for title in "abc":
        create_report(library, title)
    update_report(library, "b", append_text("x"))
    assert titles(library) == ["b", "c", "a"]
    assert titles(library, sort="created") == ["c", "b", "a"]
    assert titles(library, sort="title") == ["a", "b", "c"]


def test_filters(library: Library) -> None:
    create_report(library, "Überblick Q3", tags=["ops", "Q3"])
    create_report(library, "Overview Q4", tags=["ops"])
    create_report(library, "Old overview", tags=["ops"])
    update_report(library, "Old overview", {"op": "set_status", "status": "archived"})
    create_report(library, "Gone overview")
    update_report(library, "Gone overview", {"op": "set_status", "status": "deleted"})
    assert titles(library, query="überblick") == ["Überblick Q3"]
    assert titles(library, query="Q4 over*") == ["Overview Q4"]
    assert titles(library, tags=["q3", "ops"]) == ["Überblick Q3"]
    assert titles(library, tags=[""], query="Q4") == ["Overview Q4"]
    assert titles(library, status="archived") == ["Old overview"]
    assert titles(library, status="deleted") == ["Gone overview"]
    assert len(titles(library, status="all")) == 4


@pytest.mark.parametrize("sort", ["updated", "created", "title"])
def test_pages_hold_every_report_once(library: Library, sort: str) -> None:
    for number in range(7):
        create_report(library, f"Report {number}")
    whole = titles(library, sort=sort)
    assert pages(library, sort=sort, limit=3) == [whole[:3], whole[3:6], whole[6:]]


def test_reports_changed_between_pages_are_neither_repeated_nor_hidden(library: Library) -> None:
    for number in range(6):
        create_report(library, f"Report {number}")
    first = library.list_reports(ListReports(limit=2))
    update_report(library, "Report 5", append_text("shown already"))
    update_report(library, "Report 0", append_text("not shown yet"))
    update_report(library, "Report 0", append_text("not shown yet"))
    create_report(library, "Report 6")
    rest = library.list_reports(ListReports(limit=9, cursor=first["next_cursor"]))
    shown = [row["title"] for row in (*first["reports"], *rest["reports"])]
    assert shown == [f"Report {number}" for number in (5, 4, 3, 2, 1, 0)]
    assert rest["total"] == 6


def test_reports_that_go_between_pages_do_no_harm(library: Library) -> None:
    for number in range(6):
        create_report(library, f"Report {number}")
    first = library.list_reports(ListReports(limit=3, sort="title"))
    library.trash_report(TrashReport("Report 2"), author=ANN)
    library.trash_report(TrashReport("Report 4"), author=ANN)
    rest = library.list_reports(ListReports(sort="title", cursor=first["next_cursor"]))
    assert [row["title"] for row in rest["reports"]] == ["Report 3", "Report 5"]


def test_a_cursor_refuses_other_arguments(library: Library) -> None:
    for number in range(3):
        create_report(library, f"Report {number}")
    cursor = library.list_reports(ListReports(limit=1))["next_cursor"]
    for other in ({"query": "x"}, {"tags": ["x"]}, {"status": "all"}, {"sort": "title"}):
        with pytest.raises(InvalidInputError) as caught:
            library.list_reports(ListReports(cursor=cursor, **other))
        assert caught.value.details["path"] == "cursor"
    assert library.list_reports(ListReports(cursor=cursor, limit=5))["reports"]


@pytest.mark.parametrize("name", ["status", "sort"])
def test_a_wrong_choice_is_told_the_right_ones(library: Library, name: str) -> None:
    asked: Json = {name: "activ" if name == "status" else "titel"}
    with pytest.raises(InvalidInputError) as caught:
        library.list_reports(ListReports(**asked))
    assert caught.value.details["path"] == name
    assert caught.value.details["did_you_mean"] in ("active", "title")
    assert caught.value.details["did_you_mean"] in caught.value.details["allowed"]


@pytest.mark.parametrize("limit", [-1, 101])
def test_a_limit_out_of_range_is_refused(library: Library, limit: int) -> None:
    with pytest.raises(InvalidInputError):
        library.list_reports(ListReports(limit=limit))


def test_long_titles_and_many_tags_stay_within_an_answer_and_page_on(library: Library) -> None:
    tags = [f"{number:0100}" for number in range(200)]
    for number in range(40):
        create_report(library, "😀" * 498 + f"{number:02}", tags=tags, sections=[])
    for sort in ("updated", "title"):
        shown, cursor = [], ""
        while True:
            answer = library.list_reports(ListReports(sort=sort, limit=100, cursor=cursor))
            assert len(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))) < 20_000
            shown += [row["report_id"] for row in answer["reports"]]
            cursor = answer.get("next_cursor", "")
            if not cursor:
                break
        assert len(shown) == len(set(shown)) == 40
    assert answer["reports"][0]["tags_more"] > 0


def test_an_entry_that_is_behind_is_corrected_by_a_read(library: Library) -> None:
    report = create_report(library)
    index = folder_store(library).index_path
    old = index.read_bytes()
    update_report(library, report, set_title("Checkout"))
    index.write_bytes(old)  # like after a power cut, or when an old copy is restored
    fresh = Library(folder_store(library).reports_root)
    fresh.get_report(GetReport(report))
    assert titles(fresh) == ["Checkout"]
    assert titles(Library(folder_store(library).reports_root)) == ["Checkout"]


def test_reading_does_not_touch_an_index_that_is_right(library: Library) -> None:
    report = create_report(library)
    before = folder_store(library).index_path.read_bytes()
    library.get_report(GetReport(report))
    library.get_report(GetReport("Health"))
    library.audit_report(AuditReport("Heal"))
    library.list_reports(ListReports())
    assert folder_store(library).index_path.read_bytes() == before


def test_a_report_that_cannot_be_read_keeps_its_row(library: Library) -> None:
    report = create_report(library)
    (folder_of(library, report) / "outline.json").write_text("{ broken")
    [row] = library.list_reports(ListReports())["reports"]
    assert row["report_id"] == report
    assert "version" not in row


@pytest.mark.parametrize("few", [0, 1000])
@pytest.mark.parametrize("sort", ["updated", "created", "title"])
def test_pages_of_a_tag_are_what_one_page_would_be(
    library: Library, monkeypatch: pytest.MonkeyPatch, sort: str, few: int
) -> None:
    for number in range(20):
        create_report(library, f"Report {number % 7}", tags=["even", "all"] if number % 2 == 0 else ["all"])
    monkeypatch.setattr("living_reports.store.files.search.queries._FEW", few)
    asked: dict[str, Any] = {"tags": ["all", "even"], "sort": sort}
    whole = library.list_reports(ListReports(limit=50, **asked))
    assert whole["total"] == 10
    rows: list[Json] = []
    cursor = ""
    while len(rows) < 10:
        page = library.list_reports(ListReports(limit=3, cursor=cursor, **asked))
        rows += page["reports"]
        cursor = page.get("next_cursor", "")
    assert (rows, cursor) == (whole["reports"], "")
    names = [row["title" if sort == "title" else "updated_at"] for row in rows]  # none was changed
    assert names == sorted(names, reverse=sort != "title")
