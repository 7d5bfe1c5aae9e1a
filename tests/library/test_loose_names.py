"""A read by a part of a name says which report it read; a change by such a name is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from living_reports.errors import AmbiguousSelectorError, ItemNotFoundError, ReportNotFoundError
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport,
    CheckReport,
    CreateReport,
    DiffReport,
    GetReport,
    RenderReport,
    RevertReport,
)
from support.library_reports import ANN, Json, append_text, create_report, set_title, update_report

READS: dict[str, Callable[[Library, str], Json]] = {
    "get": lambda library, name: library.get_report(GetReport(name)),
    "sections": lambda library, name: library.get_report(GetReport(name, sections=["Errors"])),
    "audit": lambda library, name: library.audit_report(AuditReport(name)),
    "verify": lambda library, name: library.audit_report(AuditReport(name, verify=True)),
    "diff": lambda library, name: library.diff_report(DiffReport(name)),
    "check": lambda library, name: library.check_report(CheckReport(name)),
    "render": lambda library, name: library.render_report(RenderReport(name)),
}


@pytest.fixture
def report(library: Library) -> str:
    report = create_report(library, "Health of the shop")
    update_report(library, report, append_text("x"))
    return report


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_read_by_a_part_of_a_name_says_which_report_it_read(
    library: Library, report: str, read: Callable[[Library, str], Json]
) -> None:
    for name in ("health of", "shop", report[:5]):
        answer = read(library, name)
        assert (answer["report_id"], answer["title"]) == (report, "Health of the shop")
        [warning] = answer["warnings"]
        assert f"{name!r} was taken for 'Health of the shop' ({report[:8]})" in warning


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_read_by_a_name_that_a_change_takes_says_nothing(
    library: Library, report: str, read: Callable[[Library, str], Json]
) -> None:
    for name in (report, report[:8], report[:13].upper(), "health OF the shop"):
        answer = read(library, name)
        assert (answer["report_id"], answer["title"]) == (report, "Health of the shop")
        assert "warnings" not in answer


@pytest.mark.parametrize("name", ["health of", "shop", "{id}"])
def test_a_change_by_a_part_of_a_name_is_refused(library: Library, report: str, name: str) -> None:
    name = name.format(id=report[:5])
    with pytest.raises(ReportNotFoundError) as caught:
        update_report(library, name, set_title("x"))
    assert (report[:5] in name) or caught.value.details["near"][0]["report_id"] == report
    with pytest.raises(ReportNotFoundError):
        library.revert_report(RevertReport(name, undo=2), author=ANN)


def test_a_fork_by_a_part_of_a_name_says_of_which_report(library: Library, report: str) -> None:
    answer = library.create_report(CreateReport("Copy", from_reports=["shop"]), author=ANN)
    assert answer["inherited"]["from"][0]["title"] == "Health of the shop"
    assert "was taken for" in answer["warnings"][0]


def test_a_change_names_an_insight_by_its_whole_summary(library: Library, report: str) -> None:
    rise = {"op": "add_insight", "section": "Errors", "summary": "Errors fell", "position": "first"}
    update_report(library, report, rise)
    update_report(library, report, {"op": "edit_insight", "insight": "errors FELL ", "importance": 9})
    move = {"op": "move_insight", "insight": "Errors fell", "position": "after:Errors doubled in May"}
    moved = update_report(library, report, move)["changed"][0]
    assert (moved["item"], moved["new"]) == ("Errors fell", "position 2 in Errors")
    with pytest.raises(ItemNotFoundError) as caught:
        update_report(library, report, {"op": "remove_insight", "insight": "doubled in May"})
    assert caught.value.details["near"][0]["summary"] == "Errors doubled in May"
    assert "whole summary" in caught.value.hint
    undone = library.revert_report(RevertReport(report, to_version=3, item="Errors fell"), author=ANN)
    assert undone["changed"][-1]["new"] == 5


def test_an_insight_and_a_removed_one_of_the_same_summary_are_listed(library: Library, report: str) -> None:
    name = "Errors doubled in May"
    add = {"op": "add_insight", "section": "Errors", "summary": name}
    update_report(library, report, {"op": "remove_insight", "insight": name}, add)
    with pytest.raises(AmbiguousSelectorError) as caught:
        library.revert_report(RevertReport(report, to_version=2, item=name), author=ANN)
    assert len(caught.value.details["candidates"]) == 2
