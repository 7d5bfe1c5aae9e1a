"""A call that is repeated with its `request_id` gives the first answer again and changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import (
    InvalidInputError,
    ReportNotFoundError,
    RequestIdReusedError,
    VersionConflictError,
)
from living_reports.library import Library
from support.keeping import ANN, BEN, SECTIONS, Row, append, change, content, keep, retitle, write


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def versions(library: Library, report: str) -> int:
    return int(library.get_report(report)["version"])


# --- Create -------------------------------------------------------------------------------


def create(library: Library, title: str = "Health", **more: Any) -> Row:
    return library.create_report(
        title, SECTIONS, ["ops"], reason="begin", request_id="r1", author=ANN, **more
    )


def test_a_creation_sent_twice_makes_one_report(library: Library) -> None:
    first = create(library)
    assert create(library) == first
    assert library.list_reports()["total"] == 1


def test_a_creation_is_remembered_after_changes_and_another_title(library: Library) -> None:
    first = create(library)
    change(library, "Health", retitle("Checkout"), append("More."))
    assert create(Library(library.storage.reports_root)) == first


def test_a_creation_is_remembered_in_the_trash(library: Library) -> None:
    first = create(library)
    library.delete_report("Health", author=ANN)
    assert create(library) == first
    assert library.list_reports(status="all")["total"] == 0


def test_a_creation_with_other_content_is_refused(library: Library) -> None:
    create(library)
    with pytest.raises(RequestIdReusedError) as caught:
        create(library, "Other")
    assert caught.value.details == {"version": 1}
    assert library.list_reports()["total"] == 1


def test_creations_at_the_same_time_make_one_report(library: Library) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = [future.result() for future in [threads.submit(create, library) for _ in range(8)]]
    assert all(answer == answers[0] for answer in answers)
    assert library.list_reports()["total"] == 1


# --- Update -------------------------------------------------------------------------------


def test_an_update_sent_twice_is_made_once(library: Library) -> None:
    report = keep(library)
    item = {"op": "add_insight", "section": "Errors", "summary": "Night jobs fail"}
    first = change(library, report, append("Once."), item, request_id="r2", reason="June")
    again = change(library, report, append("Once."), item, request_id="r2", reason="June")
    assert again == first
    assert first["created"]["insights"]
    assert versions(library, report) == 2


def test_an_update_is_remembered_after_later_changes_and_in_another_process(library: Library) -> None:
    report = keep(library)
    first = change(library, report, append("Once."), request_id="r2")
    for number in range(30):
        change(library, report, append(f"{number}"), request_id=f"later {number}")
    change(library, report, retitle("Checkout"))
    assert change(Library(library.storage.reports_root), report, append("Once."), request_id="r2") == first
    assert first["title"] == "Health"
    assert versions(library, report) == 33


def test_a_repeated_update_is_answered_before_its_expected_version_is_compared(library: Library) -> None:
    report = keep(library)
    first = change(library, report, append("Once."), request_id="r2", expected_version=1)
    change(library, report, append("Twice."))
    assert change(library, report, append("Once."), request_id="r2", expected_version=1) == first


def test_warnings_are_part_of_the_first_answer(library: Library) -> None:
    report = keep(library)
    first = change(library, report, write("Mine."), author=BEN, request_id="r2")
    assert first["warnings"]
    assert change(library, report, write("Mine."), author=BEN, request_id="r2") == first


def test_the_order_of_fields_and_what_is_not_stated_make_no_other_content(library: Library) -> None:
    report = keep(library)
    first = change(library, report, append("Once."), request_id="r2")
    same: Row = {
        "text": "Once.",
        "op": "append_text",
        "section": "Errors",
        "notes": "",
        "tags": [],
        "clear": None,
    }
    assert change(library, report, same, request_id="r2") == first


@pytest.mark.parametrize("other", [append("Other."), write("Once.")])
def test_an_update_with_other_content_is_refused(library: Library, other: dict[str, str]) -> None:
    report = keep(library)
    change(library, report, append("Once."), request_id="r2")
    with pytest.raises(RequestIdReusedError):
        change(library, report, other, request_id="r2")
    assert versions(library, report) == 2


def test_null_and_empty_are_different_values_of_metadata(library: Library) -> None:
    report = keep(library)
    setting = {"op": "set_metadata", "key": "owner", "value": {"name": ""}}
    change(library, report, setting, request_id="r2")
    with pytest.raises(RequestIdReusedError):
        change(library, report, setting | {"value": {"name": None}}, request_id="r2")


def test_a_request_id_belongs_to_its_report(library: Library) -> None:
    one, other = keep(library, "One"), keep(library, "Other")
    assert change(library, one, append("x"), request_id="r2")["report_id"] == one
    assert change(library, other, append("x"), request_id="r2")["report_id"] == other


def test_what_made_no_version_is_not_remembered(library: Library) -> None:
    report = keep(library)
    assert change(library, report, append("x"), request_id="r2", dry_run=True)["dry_run"]
    assert change(library, report, retitle("Health"), request_id="r2")["applied"] == 0
    with pytest.raises(VersionConflictError):
        change(library, report, append("x"), request_id="r2", expected_version=9)
    with pytest.raises(InvalidInputError):
        change(library, report, {"op": "add_tags", "tags": [1]}, request_id="r2")
    assert change(library, report, append("y"), request_id="r2")["version"] == 2


def test_a_dry_run_with_a_used_request_id_is_still_a_dry_run(library: Library) -> None:
    report = keep(library)
    change(library, report, append("x"), request_id="r2")
    assert change(library, report, append("x"), request_id="r2", dry_run=True)["dry_run"]
    assert versions(library, report) == 2


def test_a_report_that_the_call_itself_renamed_is_found_by_its_former_title(library: Library) -> None:
    report = keep(library)
    first = change(library, "Health", retitle("Checkout"), request_id="r2")
    assert change(library, "Health", retitle("Checkout"), request_id="r2") == first
    first = change(library, "Checkout", append("x"), request_id="r3")
    change(library, report, retitle("Payments"), author=BEN)
    assert change(library, " CHECKOUT", append("x"), request_id="r3") == first
    assert versions(library, report) == 4


def test_a_request_id_of_another_report_does_not_lead_to_it(library: Library) -> None:
    keep(library)
    change(library, "Health", append("x"), request_id="r2")
    with pytest.raises(ReportNotFoundError):
        change(library, "Unknown", append("x"), request_id="r2")


# --- Revert -------------------------------------------------------------------------------


def test_a_revert_sent_twice_is_made_once(library: Library) -> None:
    report = keep(library)
    change(library, report, append("Wrong."))
    first = library.revert_report(report, 1, reason="wrong", request_id="r4", author=ANN)
    change(library, report, append("Later."))
    assert library.revert_report(report, 1, reason="wrong", request_id="r4", author=ANN) == first
    assert content(library, report).endswith("Later.")


def test_a_revert_with_other_content_is_refused(library: Library) -> None:
    report = keep(library)
    change(library, report, append("Wrong."))
    library.revert_report(report, 1, request_id="r4", author=ANN)
    with pytest.raises(RequestIdReusedError):
        library.revert_report(report, 2, request_id="r4", author=ANN)
    with pytest.raises(RequestIdReusedError):
        change(library, report, append("x"), request_id="r4")
