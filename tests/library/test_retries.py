"""A call that is repeated with its `request_id` gives the first answer again and changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from living_reports.errors import (
    InvalidInputError,
    ReportNotFoundError,
    RequestIdReusedError,
    VersionConflictError,
)
from living_reports.library import Library
from living_reports.library.requests import CreateReport, GetReport, ListReports, RevertReport, TrashReport
from support.library_reports import (
    ANN,
    BEN,
    SECTIONS,
    Json,
    append_text,
    content_of,
    create_report,
    folder_store,
    replace_content,
    set_title,
    update_report,
)


def versions(library: Library, report: str) -> int:
    return int(library.get_report(GetReport(report))["version"])


# --- Create -------------------------------------------------------------------------------


def create(library: Library, title: str = "Health", **more: Any) -> Json:
    return library.create_report(
        CreateReport(title, SECTIONS, ["ops"], reason="begin", request_id="r1", **more), author=ANN
    )


def test_a_creation_sent_twice_makes_one_report(library: Library) -> None:
    first = create(library)
    assert create(library) == first
    assert library.list_reports(ListReports())["total"] == 1


def test_a_creation_is_remembered_after_changes_and_another_title(library: Library) -> None:
    first = create(library)
    update_report(library, "Health", set_title("Checkout"), append_text("More."))
    assert create(Library(folder_store(library).reports_root)) == first


def test_a_creation_is_remembered_in_the_trash(library: Library) -> None:
    first = create(library)
    library.trash_report(TrashReport("Health"), author=ANN)
    assert create(library) == first
    assert library.list_reports(ListReports(status="all"))["total"] == 0


def test_a_creation_with_other_content_is_refused(library: Library) -> None:
    create(library)
    with pytest.raises(RequestIdReusedError) as caught:
        create(library, "Other")
    assert caught.value.details == {"version": 1}
    assert library.list_reports(ListReports())["total"] == 1


def test_creations_at_the_same_time_make_one_report(library: Library) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = [future.result() for future in [threads.submit(create, library) for _ in range(8)]]
    assert all(answer == answers[0] for answer in answers)
    assert library.list_reports(ListReports())["total"] == 1


# --- Update -------------------------------------------------------------------------------


def test_an_update_sent_twice_is_made_once(library: Library) -> None:
    report = create_report(library)
    item = {"op": "add_insight", "section": "Errors", "summary": "Night jobs fail"}
    first = update_report(library, report, append_text("Once."), item, request_id="r2", reason="June")
    again = update_report(library, report, append_text("Once."), item, request_id="r2", reason="June")
    assert again == first
    assert first["created"]["insights"]
    assert versions(library, report) == 2


def test_an_update_is_remembered_after_later_changes_and_in_another_process(library: Library) -> None:
    report = create_report(library)
    first = update_report(library, report, append_text("Once."), request_id="r2")
    for number in range(30):
        update_report(library, report, append_text(f"{number}"), request_id=f"later {number}")
    update_report(library, report, set_title("Checkout"))
    assert (
        update_report(
            Library(folder_store(library).reports_root), report, append_text("Once."), request_id="r2"
        )
        == first
    )
    assert first["title"] == "Health"
    assert versions(library, report) == 33


def test_a_repeated_update_is_answered_before_its_expected_version_is_compared(library: Library) -> None:
    report = create_report(library)
    first = update_report(library, report, append_text("Once."), request_id="r2", expected_version=1)
    update_report(library, report, append_text("Twice."))
    assert update_report(library, report, append_text("Once."), request_id="r2", expected_version=1) == first


def test_warnings_are_part_of_the_first_answer(library: Library) -> None:
    report = create_report(library)
    first = update_report(library, report, replace_content("Mine."), author=BEN, request_id="r2")
    assert first["warnings"]
    assert update_report(library, report, replace_content("Mine."), author=BEN, request_id="r2") == first


def test_the_order_of_fields_and_what_is_not_stated_make_no_other_content(library: Library) -> None:
    report = create_report(library)
    first = update_report(library, report, append_text("Once."), request_id="r2")
    same: Json = {
        "text": "Once.",
        "op": "append_text",
        "section": "Errors",
        "notes": "",
        "tags": [],
        "clear": None,
    }
    assert update_report(library, report, same, request_id="r2") == first


@pytest.mark.parametrize("other", [append_text("Other."), replace_content("Once.")])
def test_an_update_with_other_content_is_refused(library: Library, other: dict[str, str]) -> None:
    report = create_report(library)
    update_report(library, report, append_text("Once."), request_id="r2")
    with pytest.raises(RequestIdReusedError):
        update_report(library, report, other, request_id="r2")
    assert versions(library, report) == 2


def test_null_and_empty_are_different_values_of_metadata(library: Library) -> None:
    report = create_report(library)
    setting = {"op": "set_metadata", "key": "owner", "value": {"name": ""}}
    update_report(library, report, setting, request_id="r2")
    with pytest.raises(RequestIdReusedError):
        update_report(library, report, setting | {"value": {"name": None}}, request_id="r2")


def test_a_request_id_belongs_to_its_report(library: Library) -> None:
    one, other = create_report(library, "One"), create_report(library, "Other")
    assert update_report(library, one, append_text("x"), request_id="r2")["report_id"] == one
    assert update_report(library, other, append_text("x"), request_id="r2")["report_id"] == other


def test_what_made_no_version_is_not_remembered(library: Library) -> None:
    report = create_report(library)
    assert update_report(library, report, append_text("x"), request_id="r2", dry_run=True)["dry_run"]
    assert update_report(library, report, set_title("Health"), request_id="r2")["applied"] == 0
    with pytest.raises(VersionConflictError):
        update_report(library, report, append_text("x"), request_id="r2", expected_version=9)
    with pytest.raises(InvalidInputError):
        update_report(library, report, {"op": "add_tags", "tags": [1]}, request_id="r2")
    assert update_report(library, report, append_text("y"), request_id="r2")["version"] == 2


def test_a_dry_run_with_a_used_request_id_is_still_a_dry_run(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("x"), request_id="r2")
    assert update_report(library, report, append_text("x"), request_id="r2", dry_run=True)["dry_run"]
    assert versions(library, report) == 2


def test_a_report_that_the_call_itself_renamed_is_found_by_its_former_title(library: Library) -> None:
    report = create_report(library)
    first = update_report(library, "Health", set_title("Checkout"), request_id="r2")
    assert update_report(library, "Health", set_title("Checkout"), request_id="r2") == first
    first = update_report(library, "Checkout", append_text("x"), request_id="r3")
    update_report(library, report, set_title("Payments"), author=BEN)
    assert update_report(library, " CHECKOUT", append_text("x"), request_id="r3") == first
    assert versions(library, report) == 4


def test_a_request_id_of_another_report_does_not_lead_to_it(library: Library) -> None:
    create_report(library)
    update_report(library, "Health", append_text("x"), request_id="r2")
    with pytest.raises(ReportNotFoundError):
        update_report(library, "Unknown", append_text("x"), request_id="r2")


# --- Revert -------------------------------------------------------------------------------


def test_a_revert_sent_twice_is_made_once(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("Wrong."))
    first = library.revert_report(RevertReport(report, 1, reason="wrong", request_id="r4"), author=ANN)
    update_report(library, report, append_text("Later."))
    assert (
        library.revert_report(RevertReport(report, 1, reason="wrong", request_id="r4"), author=ANN) == first
    )
    assert content_of(library, report).endswith("Later.")


def test_a_revert_with_other_content_is_refused(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("Wrong."))
    library.revert_report(RevertReport(report, 1, request_id="r4"), author=ANN)
    with pytest.raises(RequestIdReusedError):
        library.revert_report(RevertReport(report, 2, request_id="r4"), author=ANN)
    with pytest.raises(RequestIdReusedError):
        update_report(library, report, append_text("x"), request_id="r4")
