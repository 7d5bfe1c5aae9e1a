"""Answers and refusals of the use cases: fields, limits, selectors, bad disks, other writers' folders."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import (
    AmbiguousSelectorError,
    InvalidInputError,
    ItemNotFoundError,
    NoSuchVersionError,
    ReportError,
    ReportNotFoundError,
    StorageFailedError,
    TooLargeError,
)
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport,
    CreateReport,
    GetReport,
    ListReports,
    RestoreReport,
    RevertReport,
    TrashReport,
)
from living_reports.store.files import durable
from support.library_reports import (
    ANN,
    BEN,
    SECTIONS,
    append_text,
    content_of,
    create_report,
    folder_of,
    folder_store,
    replace_content,
    set_title,
    update_report,
)

Row = dict[str, Any]


def characters(answer: Row) -> int:
    return len(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))


# --- Answers ------------------------------------------------------------------------------


def test_create_answers_what_the_contract_says(library: Library) -> None:
    answer = library.create_report(CreateReport("Health", SECTIONS, ["ops"], reason="begin"), author=ANN)
    assert list(answer) == ["report_id", "title", "version", "action_id", "tags", "created"]
    assert answer["tags"] == ["ops"]
    assert (answer["title"], answer["version"]) == ("Health", 1)
    assert uuid.UUID(answer["report_id"])
    assert uuid.UUID(answer["action_id"])
    assert [row["title"] for row in answer["created"]["sections"]] == ["Errors", "Latency"]
    [insight] = answer["created"]["insights"]
    assert insight["section_id"] == answer["created"]["sections"][0]["section_id"]
    assert len(insight["insight_id"]) == 36


@pytest.mark.parametrize("letters", ["ab", "ñö", "雨雪"])
def test_the_answer_to_an_edit_of_one_insight_is_short(library: Library, letters: str) -> None:
    first, second = (letter * 400 for letter in letters)
    created = create_report(library, sections=[{"title": "Errors", "insights": [{"summary": first}]}])
    [insight] = library.get_report(GetReport(created, view="insights"))["insights"]
    edit = {"op": "edit_insight", "insight": insight["insight_id"], "summary": second}
    for answer in (
        update_report(library, created, edit, dry_run=True),
        update_report(library, created, edit),
    ):
        [row] = answer["changed"]
        assert row["old"][:20] == first[:20]
        assert row["new"][:20] == second[:20]
        assert row["item"] in (first[:79] + "…", second[:79] + "…")
        assert len(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))) <= 600


def test_update_answers_what_the_contract_says(library: Library) -> None:
    report = create_report(library)
    added = {"op": "add_section", "title": "Costs"}
    answer = update_report(library, report, set_title("Checkout"), added, reason="more")
    assert list(answer) == [
        "report_id", "title", "version", "action_id", "applied", "created", "changed"
    ]  # fmt: skip
    assert (answer["title"], answer["version"], answer["applied"]) == ("Checkout", 2, 2)
    assert {"at": "title", "old": "Health", "new": "Checkout"} in answer["changed"]
    assert set(library.get_report(GetReport(report))) >= {
        "report_id",
        "title",
        "version",
        "status",
        "updated_at",
    }


def test_changes_that_alter_nothing_make_no_version_and_say_so(library: Library) -> None:
    report = create_report(library)
    answer = update_report(library, report, set_title("Health"))
    assert answer == {"report_id": report, "title": "Health", "version": 1, "applied": 0}


def test_a_dry_run_shows_everything_and_changes_nothing(library: Library) -> None:
    report = create_report(library)
    before = (folder_of(library, report) / "audit.jsonl").read_bytes()
    added = {"op": "add_section", "title": "Costs"}
    answer = update_report(library, report, set_title("Checkout"), added, dry_run=True)
    assert list(answer) == [
        "report_id", "title", "version", "applied", "created", "changed", "dry_run", "warnings"
    ]  # fmt: skip
    assert (answer["version"], answer["applied"], answer["dry_run"]) == (1, 2, True)
    assert "other ids" in answer["warnings"][0]
    assert (folder_of(library, report) / "audit.jsonl").read_bytes() == before


def test_an_answer_stays_short_whatever_was_made(library: Library) -> None:
    sections = [
        {"title": f"Section {n}", "insights": [{"summary": f"{i}"} for i in range(20)]} for n in range(100)
    ]
    created = library.create_report(CreateReport("Health", sections, request_id="r1"), author=ANN)
    assert characters(created) < 20_000
    assert "of 2000" in created["warnings"][0]
    assert library.create_report(CreateReport("Health", sections, request_id="r1"), author=ANN) == created
    edits = [replace_content("text " * 100, f"Section {n}") for n in range(100)]
    adds = [{"op": "add_section", "title": "t" * 500, "content": "c" * 500} for _ in range(400)]
    assert characters(update_report(library, "Health", *edits, *adds)) < 20_000


def test_many_warnings_are_cut_and_counted(library: Library) -> None:
    report = create_report(library)
    empty = [{"op": "edit_section", "section": "Errors"}] * 499
    answer = update_report(library, report, *empty, append_text("x"), request_id="r1")
    assert characters(answer) < 20_000
    assert "479 more" in answer["warnings"][-1]
    assert update_report(library, report, *empty, append_text("x"), request_id="r1") == answer


def test_get_reads_any_version_and_pages_in_it(library: Library) -> None:
    report = create_report(library)
    for number in range(5):
        update_report(library, report, append_text(f"Line {number}."))
    assert content_of(library, report, version=3).endswith("Line 1.")
    page = library.get_report(GetReport(report, view="full", max_chars=500, version=3))
    text = json.dumps(page)
    update_report(library, report, append_text("meanwhile"))
    while "next_cursor" in page:
        page = library.get_report(GetReport(report, view="full", max_chars=500, cursor=page["next_cursor"]))
        assert page["version"] == 3
        text += json.dumps(page)
    assert "p95 is 340 ms" in text
    assert "meanwhile" not in text
    with pytest.raises(NoSuchVersionError):
        library.get_report(GetReport(report, version=99))


def test_a_summary_names_the_last_change_of_the_version_it_shows(library: Library) -> None:
    report = create_report(library, reason="begin")
    update_report(library, report, append_text("x"), reason="more", author=BEN)
    assert library.get_report(GetReport(report))["last_change"]["reason"] == "more"
    assert library.get_report(GetReport(report, version=1))["last_change"]["reason"] == "begin"


def test_a_cursor_of_one_version_is_refused_for_another(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("x"))
    cursor = library.get_report(GetReport(report, view="full", max_chars=500))["next_cursor"]
    for asked in ({"version": 1}, {"find": "x"}, {"view": "sections"}):
        with pytest.raises(InvalidInputError) as caught:
            library.get_report(GetReport(report, **({"view": "full"} | asked), cursor=cursor))
        assert caught.value.details["path"] == "cursor"


# --- Limits -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ([set_title("x" * 501)], "changes[0].title"),
        ([append_text("x" * 1_000_001)], "changes[0].text"),
        ([{"op": "add_tags", "tags": [f"{n}" for n in range(201)]}], "changes[0].tags"),
        ([append_text("x")] * 501, "changes"),
    ],
)
def test_what_is_too_large_is_refused_with_the_limit(library: Library, changes: list[Row], path: str) -> None:
    report = create_report(library)
    with pytest.raises(TooLargeError) as caught:
        update_report(library, report, *changes)
    assert caught.value.details["path"] == path
    assert caught.value.details["limit"] in (500, 1_000_000, 200)
    assert library.get_report(GetReport(report))["version"] == 1


def test_a_report_over_its_limit_is_refused_whole(library: Library) -> None:
    sections = [{"title": f"{number}", "content": "x" * 999_000} for number in range(17)]
    with pytest.raises(TooLargeError) as caught:
        library.create_report(CreateReport("Health", sections), author=ANN)
    assert caught.value.details["limit"] == 16_000_000
    assert library.list_reports(ListReports())["total"] == 0
    assert list(folder_store(library).by_id.iterdir()) == []
    report = create_report(library, sections=sections[:15])
    with pytest.raises(TooLargeError):
        update_report(library, report, *({"op": "add_section"} | section for section in sections[15:]))
    assert library.get_report(GetReport(report))["version"] == 1


@pytest.mark.parametrize(
    ("arguments", "path"),
    [({"reason": "x" * 2_001}, "reason"), ({"request_id": "x" * 201}, "request_id")],
)
def test_long_notes_are_refused(library: Library, arguments: Row, path: str) -> None:
    report = create_report(library)
    with pytest.raises(TooLargeError) as caught:
        update_report(library, report, append_text("x"), **arguments)
    assert caught.value.details["path"] == path


BAD = "\ud800"


@pytest.mark.parametrize(
    "call",
    [
        lambda library: library.create_report(CreateReport(BAD, request_id="r"), author=ANN),
        lambda library: library.create_report(
            CreateReport("T", [{"title": "T", "content": BAD}]), author=ANN
        ),
        lambda library: library.create_report(CreateReport("T", reason=BAD), author=ANN),
        lambda library: library.create_report(CreateReport("T", request_id=BAD), author=ANN),
        lambda library: library.create_report(CreateReport("T", template="weekly"), author=ANN),
        lambda library: library.create_report(CreateReport(" "), author=ANN),
        lambda library: update_report(library, "Health", append_text(BAD), request_id="r"),
        lambda library: update_report(
            library, "Health", {"op": "set_metadata", "key": "k", "value": float("nan")}
        ),
        lambda library: update_report(library, "Health", {"op": "set_metadata", "key": "k", "value": {1: 2}}),
        lambda library: library.get_report(GetReport(BAD)),
        lambda library: library.get_report(GetReport("\0")),
        lambda library: library.get_report(GetReport("x" * 1_000_000)),
        lambda library: library.get_report(GetReport("Health", find=BAD, cursor=BAD)),
        lambda library: library.get_report(GetReport("Health", view=BAD)),
        lambda library: library.list_reports(ListReports(status=BAD)),
        lambda library: library.list_reports(ListReports(cursor="x" * 5_000)),
        lambda library: library.audit_report(AuditReport("Health", since=BAD)),
        lambda library: library.audit_report(AuditReport("Health", item=BAD)),
        lambda library: library.audit_report(AuditReport("Health", action_type=BAD)),
        lambda library: library.audit_report(AuditReport("Health", cursor="AAAA")),
    ],
)
def test_nonsense_is_refused_with_a_stable_error_that_can_be_sent(library: Library, call: Any) -> None:
    create_report(library)
    with pytest.raises(ReportError) as caught:
        call(library)
    error = caught.value.answer()["error"]
    assert error["code"] in ("invalid_input", "report_not_found", "item_not_found")
    assert len(json.dumps(error, ensure_ascii=False).encode()) < 3_000
    assert library.list_reports(ListReports())["total"] == 1


# --- Selectors ----------------------------------------------------------------------------


def test_reads_name_a_report_by_id_prefix_title_or_part_of_it(library: Library) -> None:
    report = create_report(library, "Überblick über alles")
    create_report(library, "Other")
    names = (
        report,
        report[:6],
        report.replace("-", "").upper(),
        " ÜBERBLICK U\u0308BER ALLES ",
        "blick über",
    )
    for name in names:
        assert library.get_report(GetReport(name))["report_id"] == report


def test_writes_need_an_id_eight_of_it_or_the_exact_title(library: Library) -> None:
    report = create_report(library, "Überblick")
    for name in (report, report[:8], "überblick"):
        assert update_report(library, name, append_text(name))["report_id"] == report
    for name in (report[:7], "blick"):
        with pytest.raises(ReportNotFoundError):
            update_report(library, name, append_text("x"))


def test_an_active_report_comes_before_an_archived_one(library: Library) -> None:
    old = create_report(library)
    update_report(library, old, {"op": "set_status", "status": "archived"})
    new = create_report(library)
    assert library.get_report(GetReport("Health"))["report_id"] == new
    create_report(library)
    with pytest.raises(AmbiguousSelectorError) as caught:
        update_report(library, "Health", append_text("x"))
    assert len(caught.value.details["candidates"]) == 2


def test_a_title_that_another_process_changed_is_known_at_once(library: Library) -> None:
    report = create_report(library)
    other = Library(folder_store(library).reports_root)
    assert other.get_report(GetReport("Health"))["report_id"] == report
    update_report(library, report, set_title("Checkout"))
    assert other.get_report(GetReport("checkout"))["report_id"] == report
    with pytest.raises(ReportNotFoundError):
        other.get_report(GetReport("Health"))


def test_a_stale_entry_never_leads_a_write_to_a_report_of_another_title(library: Library) -> None:
    report = create_report(library)
    index = folder_store(library).index_path
    old = index.read_bytes()
    update_report(library, report, set_title("Checkout"))
    index.write_bytes(old)
    fresh = Library(folder_store(library).reports_root)
    with pytest.raises(ReportNotFoundError):
        update_report(fresh, "Health", append_text("x"))
    assert update_report(fresh, "Checkout", append_text("x"))["report_id"] == report


def test_an_item_that_is_not_there_is_an_error_with_its_path(library: Library) -> None:
    report = create_report(library)
    with pytest.raises(ItemNotFoundError) as caught:
        update_report(library, report, append_text("x"), append_text("y", "Latenzy"))
    assert caught.value.details["path"] == "changes[1].section"
    assert caught.value.details["near"][0]["title"] == "Latency"
    assert library.get_report(GetReport(report))["version"] == 1


# --- The trash ----------------------------------------------------------------------------


def test_a_report_in_the_trash_is_found_by_nothing_and_comes_back_whole(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("x"))
    before = library.get_report(GetReport(report, view="full"))
    gone = library.trash_report(TrashReport("Health", "no longer needed"), author=ANN)
    assert (gone["report_id"], gone["title"], gone["version"]) == (report, "Health", 2)
    assert gone["path"].startswith(f".trash/{report}_")
    reads: list[Callable[[str], object]] = [
        lambda t: library.get_report(GetReport(t)),
        lambda t: library.audit_report(AuditReport(t)),
    ]
    for call in reads:
        with pytest.raises(ReportNotFoundError):
            call(report)
    with pytest.raises(ReportNotFoundError):
        library.trash_report(TrashReport(report), author=ANN)
    assert library.list_reports(ListReports(status="all"))["total"] == 0
    back = library.restore_report(RestoreReport("Health"), author=ANN)
    assert back == {"report_id": report, "title": "Health", "version": 2}
    assert library.get_report(GetReport(report, view="full")) == before
    assert library.audit_report(AuditReport(report, verify=True))["verified"]["ok"]
    with pytest.raises(ReportNotFoundError):
        library.restore_report(RestoreReport(report), author=ANN)


# --- Disks that refuse --------------------------------------------------------------------


def test_a_full_disk_is_an_error_that_says_that_nothing_happened(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = create_report(library)
    update_report(library, report, append_text("x"))

    def full(operation: str, details: tuple[Any, ...]) -> None:
        if operation == "write":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "observer", full)
    calls: list[Callable[[], Any]] = [
        lambda: update_report(library, report, append_text("x")),
        lambda: library.create_report(CreateReport("Other"), author=ANN),
        lambda: library.revert_report(RevertReport(report, 1), author=ANN),
    ]
    for call in calls:
        with pytest.raises(StorageFailedError, match="No space") as caught:
            call()
        assert caught.value.details["happened"] == "no"
    monkeypatch.undo()
    assert library.get_report(GetReport(report))["version"] == 2
    assert library.list_reports(ListReports())["total"] == 1


def test_a_root_that_is_a_file_is_an_error_not_a_defect(tmp_path: Path) -> None:
    root = tmp_path / "file"
    root.write_text("")
    library = Library(root)
    calls: list[Callable[[], Any]] = [
        lambda: library.create_report(CreateReport("Health"), author=ANN),
        lambda: library.list_reports(ListReports()),
        lambda: library.get_report(GetReport("Health")),
    ]
    for call in calls:
        with pytest.raises((StorageFailedError, ReportNotFoundError)) as caught:
            call()
        assert str(tmp_path) not in str(caught.value.answer())
    assert root.read_text() == ""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_root_that_cannot_be_written_can_be_read(library: Library) -> None:
    report = create_report(library)
    folders = [folder_of(library, report), folder_store(library).by_id, folder_store(library).reports_root]
    for path in (*folders, folders[0] / ".lock"):
        path.chmod(0o500)
    try:
        assert library.get_report(GetReport("Health"))["report_id"] == report
        with pytest.raises(StorageFailedError) as caught:
            update_report(library, report, append_text("x"))
        assert caught.value.details["happened"] == "no"
    finally:
        for path in (*folders, folders[0] / ".lock"):
            path.chmod(0o700)


def test_a_folder_in_the_place_of_a_file_is_an_error_not_a_defect(library: Library) -> None:
    report = create_report(library)
    lock = folder_of(library, report) / ".lock"
    lock.unlink()
    lock.mkdir()
    with pytest.raises(StorageFailedError) as caught:
        update_report(library, report, append_text("x"))
    assert caught.value.details["happened"] == "no"


# --- Folders of another program -----------------------------------------------------------


@pytest.fixture
def foreign(library: Library) -> str:
    """A report as another program keeps it: an outline and events without hashes."""
    report: str = create_report(library)
    folder = folder_of(library, report)
    outline = json.loads((folder / "outline.json").read_bytes()) | {"outline_version": 7}
    (folder / "outline.json").write_text(json.dumps(outline))
    event = {
        "action_id": str(uuid.uuid4()),
        "report_id": report,
        "ts": "2026-01-01T00:00:00+00:00",
        "actor": "cli",
        "action_type": "create",
        "payload": {"initial_title": "Health"},
    }
    (folder / "audit.jsonl").write_text(json.dumps(event) + "\n")
    for name in (".head", ".lock"):
        (folder / name).unlink()
    return report


def test_another_programs_report_is_read_as_it_is(library: Library, foreign: str) -> None:
    folder = folder_of(library, foreign)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
    assert library.get_report(GetReport("Health"))["version"] == 7
    assert library.get_report(GetReport(foreign, version=7))["version"] == 7
    [event] = library.audit_report(AuditReport(foreign))["events"]
    assert event["action_type"] == "create"
    assert "version" not in event
    assert library.audit_report(AuditReport(foreign, verify=True))["verified"]["ok"]
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"} == before


def test_the_first_write_accepts_the_version_that_was_read(library: Library, foreign: str) -> None:
    seen = library.get_report(GetReport(foreign))["version"]
    answer = update_report(library, foreign, append_text("x"), expected_version=seen)
    assert answer["version"] > seen
    assert content_of(library, foreign, version=answer["version"] - 1).startswith("12 %")
    assert update_report(library, foreign, append_text("y"), expected_version=answer["version"])
    assert library.audit_report(AuditReport(foreign, verify=True))["verified"]["ok"]


def test_a_dry_run_adopts_nothing(library: Library, foreign: str) -> None:
    update_report(library, foreign, append_text("x"), dry_run=True)
    assert library.get_report(GetReport(foreign))["version"] == 7
    assert len((folder_of(library, foreign) / "audit.jsonl").read_bytes().splitlines()) == 1
