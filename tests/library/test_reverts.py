"""Reverting to an earlier version makes a new version and repairs a damaged report."""

from __future__ import annotations

import json

import pytest

from living_reports.errors import (
    CorruptReportError,
    InvalidInputError,
    NoSuchVersionError,
)
from living_reports.library import Library
from living_reports.library.requests import AuditReport, GetReport, RevertReport
from living_reports.model.report import outline_data
from support.library_reports import (
    ANN,
    BEN,
    append_text,
    content_of,
    create_report,
    folder_of,
    replace_content,
    set_title,
    update_report,
)


def without_bookkeeping(library: Library, report: str, version: int) -> dict[str, object]:
    data = outline_data(library.store.outline_at(report, version, library.store.read(report)))
    return {key: value for key, value in data.items() if key not in ("outline_version", "updated_at")}


def test_a_revert_is_a_new_version_with_the_old_content(library: Library) -> None:
    report = create_report(library, tags=["ops"])
    changes = [
        set_title("Checkout"),
        {"op": "remove_section", "section": "Errors"},
        {"op": "add_tags", "tags": ["q4"]},
        {"op": "set_metadata", "key": "owner", "value": {"name": "ann"}},
    ]
    update_report(library, report, *changes)
    answer = library.revert_report(RevertReport(report, 1, reason="wrong report"), author=BEN)
    assert (answer["title"], answer["version"]) == ("Health", 3)
    assert answer["applied"] == len(answer["changed"]) > 0
    assert without_bookkeeping(library, report, 3) == without_bookkeeping(library, report, 1)
    [event] = library.audit_report(AuditReport(report, since=2))["events"]
    assert (event["action_type"], event["reason"], event["client"]) == ("revert", "wrong report", "ben/2.0")
    assert library.audit_report(AuditReport(report, verify=True))["verified"]["ok"]


def test_a_revert_can_be_reverted(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("Later."))
    library.revert_report(RevertReport(report, 1), author=ANN)
    library.revert_report(RevertReport(report, 2), author=ANN)
    assert content_of(library, report).endswith("Later.")
    assert library.get_report(GetReport(report))["version"] == 4


def test_a_revert_that_alters_nothing_makes_no_version(library: Library) -> None:
    report = create_report(library)
    answer = library.revert_report(RevertReport(report, 1), author=ANN)
    assert answer == {"report_id": report, "title": "Health", "version": 1, "applied": 0}
    update_report(library, report, set_title("Other"))
    update_report(library, report, set_title("Health"))
    assert library.revert_report(RevertReport(report, 1), author=ANN)["applied"] == 0


def test_a_dry_run_shows_what_would_change_and_changes_nothing(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, replace_content("Wrong."))
    before = (folder_of(library, report) / "audit.jsonl").read_bytes()
    tried = library.revert_report(RevertReport(report, 1, dry_run=True), author=ANN)
    assert (tried["version"], tried["dry_run"]) == (2, True)
    assert (folder_of(library, report) / "audit.jsonl").read_bytes() == before
    assert library.revert_report(RevertReport(report, 1), author=ANN)["changed"] == tried["changed"]


def test_a_version_that_never_was_is_an_error_that_says_which_there_are(library: Library) -> None:
    report = create_report(library)
    with pytest.raises(NoSuchVersionError) as caught:
        library.revert_report(RevertReport(report, 9), author=ANN)
    assert "1" in caught.value.hint
    for unstated in (0, -1):
        with pytest.raises(InvalidInputError) as refused:
            library.revert_report(RevertReport(report, unstated), author=ANN)
        assert refused.value.details["path"] == "to_version"


def test_against_an_older_version_a_revert_keeps_what_changed_since(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("x"))
    update_report(library, report, append_text("y", "Latency"), author=BEN)
    answer = library.revert_report(RevertReport(report, 1, expected_version=2), author=ANN)
    assert (answer["version"], answer["rebased_over"]) == (4, [3])
    assert "x" not in content_of(library, report)
    assert content_of(library, report, "Latency").endswith("y")


def test_a_revert_to_the_version_that_was_seen_alters_nothing(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("x"))
    assert library.revert_report(RevertReport(report, 1, expected_version=1), author=ANN)["applied"] == 0
    assert library.revert_report(RevertReport(report, 1, expected_version=2), author=ANN)["version"] == 3


# --- Damage -------------------------------------------------------------------------------


def test_a_damaged_report_is_read_with_a_warning_and_not_written(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("Later."))
    (folder_of(library, report) / "outline.json").write_text("{ broken")
    answer = library.get_report(GetReport(report, max_chars=1_000))
    assert answer["version"] == 2
    assert "damaged" in answer["warnings"][0]
    assert len(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))) <= 1_000
    with pytest.raises(CorruptReportError) as caught:
        update_report(library, report, append_text("x"))
    assert caught.value.details["newest_good_version"] == 2
    assert "to_version=2" in caught.value.hint


@pytest.mark.parametrize("to_version", [1, 2])
def test_a_revert_repairs_a_damaged_report(library: Library, to_version: int) -> None:
    report = create_report(library)
    update_report(library, report, append_text("Later."))
    (folder_of(library, report) / "outline.json").write_text("{ broken")
    answer = library.revert_report(RevertReport(report, to_version, reason="repair"), author=ANN)
    assert answer["version"] == 3
    assert content_of(library, report).endswith("Later.") is (to_version == 2)
    update_report(library, report, append_text("Goes on."))
    assert library.audit_report(AuditReport(report, verify=True))["verified"]["ok"]


def test_a_repair_can_be_tried_first(library: Library) -> None:
    report = create_report(library)
    outline = folder_of(library, report) / "outline.json"
    outline.write_text("{ broken")
    assert library.revert_report(RevertReport(report, 1, dry_run=True), author=ANN)["dry_run"]
    assert outline.read_text() == "{ broken"
