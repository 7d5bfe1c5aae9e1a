"""A reports directory that igloo-mcp wrote opens as it is, and the first write takes it over.

`data/igloo` is in the format of igloo-mcp 0.5.1: a report at version 8 with seven backups and
one line of audit log for each change, an index, and a report in the trash.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from living_reports.errors import VersionConflictError
from living_reports.interchange.exporting import export_report
from living_reports.interchange.importing import import_reports
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport,
    GetReport,
    ListReports,
    RestoreReport,
    TrashReport,
    UpdateReport,
)
from living_reports.model.report import outline_bytes
from living_reports.storage import GlobalStorage
from support.disk_faults import FailOperation, killed_before, observe_disk, operations_of, outcome_of
from support.folders import file_contents
from support.library_reports import folder_store
from support.stored_reports import ANN, copy_root, event_of_type, log_events, log_lines

DATA = Path(__file__).parents[1] / "data" / "igloo"
REVIEW = "7c1f0a52-3b0e-4d57-9a41-2f6f5f0b9d10"
TRASHED = "0d9b6a2e-52f4-4f0e-8a53-6f1f1f0c2b77"
VERSION = 8
TITLE = [{"op": "set_title", "title": "Review"}]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    shutil.copytree(DATA, tmp_path / "reports")
    return Library(tmp_path / "reports")


@pytest.fixture
def folder(library: Library) -> Path:
    return folder_store(library).by_id / REVIEW


def test_reading_takes_the_files_as_they_are(library: Library, folder: Path) -> None:
    before = file_contents(folder)
    report = library.get_report(GetReport("quarterly review", view="sections"))
    assert report["version"] == VERSION
    assert [section["title"] for section in report["sections"]] == ["Revenue", "Churn"], "by their `order`"
    assert [row["title"] for row in library.list_reports(ListReports())["reports"]] == ["Quarterly review"]
    events = library.audit_report(AuditReport(REVIEW, limit=100))["events"]
    assert [event["action_type"] for event in events] == [*["evolve"] * 7, "create"]
    assert len(library.audit_report(AuditReport(REVIEW, action_type="render"))["events"]) == 1
    assert library.audit_report(AuditReport(REVIEW, verify=True))["verified"]["ok"] is True
    assert file_contents(folder) == before


def test_a_lost_index_is_made_from_its_folders(library: Library) -> None:
    (folder_store(library).index_path).unlink()
    assert [row["title"] for row in library.list_reports(ListReports())["reports"]] == ["Quarterly review"]


def test_the_first_write_adopts_with_the_whole_outline_above_all_versions(
    library: Library, folder: Path
) -> None:
    before = file_contents(folder)
    assert library.update_report(UpdateReport(REVIEW, TITLE), author=ANN)["version"] == VERSION + 2
    adoption, change = log_events(folder)[-2:]
    assert adoption["payload"]["outline_version"] == VERSION + 1
    [edit] = adoption["payload"]["delta"]
    assert edit["at"] == ""
    assert change["action_type"] == "rename"
    kept = folder / "backups" / adoption["payload"]["backup_filename"]
    assert kept.read_bytes() == before["outline.json"]
    assert (folder / "audit.jsonl").read_bytes().startswith(before["audit.jsonl"])
    assert library.audit_report(AuditReport(REVIEW, verify=True))["verified"]["findings"] == []


def test_the_version_known_before_the_adoption_is_still_the_one_to_expect(library: Library) -> None:
    answer = library.update_report(UpdateReport(REVIEW, TITLE, expected_version=VERSION), author=ANN)
    assert answer["version"] == VERSION + 2
    with pytest.raises(VersionConflictError) as caught:
        library.update_report(
            UpdateReport(REVIEW, [{"op": "set_title", "title": "Late"}], expected_version=3), author=ANN
        )
    assert caught.value.details["current_version"] == VERSION + 2


def test_another_expected_version_is_refused_and_adopts_nothing(library: Library, folder: Path) -> None:
    before = file_contents(folder)
    with pytest.raises(VersionConflictError):
        library.update_report(UpdateReport(REVIEW, TITLE, expected_version=VERSION - 1), author=ANN)
    library.update_report(UpdateReport(REVIEW, TITLE, dry_run=True), author=ANN)
    assert file_contents(folder) == before


def test_the_version_is_above_those_of_backups_and_events_too(library: Library, folder: Path) -> None:
    outline = folder / "outline.json"
    outline.write_bytes(outline.read_bytes().replace(b'"outline_version": 8', b'"outline_version": 2'))
    assert library.update_report(UpdateReport(REVIEW, TITLE), author=ANN)["version"] == VERSION + 2


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")], ids=["as written", "compact"])
def test_the_original_bytes_and_igloos_own_backups_are_never_pruned(
    library: Library, folder: Path, separators: tuple[str, str]
) -> None:
    log = folder / "audit.jsonl"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    log.write_text(
        "".join(f"{json.dumps(line, separators=separators)}\n" for line in lines), encoding="utf-8"
    )
    original = file_contents(folder)
    for number in range(30):
        library.update_report(
            UpdateReport(REVIEW, [{"op": "set_title", "title": f"Title {number}"}]), author=ANN
        )
    adoption = next(event for event in log_events(folder) if event["payload"].get("adopted"))
    kept = file_contents(folder)
    assert kept[f"backups/{adoption['payload']['backup_filename']}"] == original["outline.json"]
    assert {name for name in original if name.startswith("backups/")} <= set(kept)


def test_every_version_since_the_adoption_reads_back(library: Library, folder: Path) -> None:
    seen = {}
    for number in range(12):
        text = {"op": "append_text", "section": "Churn", "text": f"Line {number}"}
        version = library.update_report(UpdateReport(REVIEW, [text]), author=ANN)["version"]
        seen[version] = (folder / "outline.json").read_bytes()
    history = folder_store(library).get_report_storage(REVIEW).history
    assert {version: outline_bytes(history.outline_at(version)) for version in seen} == seen
    assert history.outline_at(VERSION + 1).title == "Quarterly review"


def test_an_adoption_that_is_refused_can_be_made_again(library: Library, tmp_path: Path) -> None:
    root = folder_store(library)
    count = len(operations_of(lambda: retitle(copy_root(root, tmp_path / "copy"))))
    for position in range(count):
        copy = copy_root(root, tmp_path / "copy")
        with observe_disk(FailOperation(position)):
            answer = outcome_of(retitle, copy)
        title = copy.read(REVIEW).outline.title
        assert title == {"yes": "Review", "no": "Quarterly review"}[answer]
        retitle(copy, "Again")
        assert copy.read(REVIEW).outline.title == "Again"
        assert copy.verify(REVIEW)["findings"] == []


def test_an_adoption_that_is_killed_can_be_made_again(library: Library, tmp_path: Path) -> None:
    position = 0
    copy = copy_root(folder_store(library), tmp_path / "copy")
    while killed_before(position, lambda copy=copy: retitle(copy)):  # type: ignore[misc]
        fresh = GlobalStorage(copy.reports_root)
        assert fresh.read(REVIEW).outline.title in ("Quarterly review", "Review")
        retitle(fresh, "Again")
        assert fresh.read(REVIEW).outline.title == "Again"
        assert fresh.verify(REVIEW)["findings"] == []
        position += 1
        copy = copy_root(folder_store(library), tmp_path / "copy")
    assert position > 15


def retitle(root: GlobalStorage, title: str = "Review") -> None:
    change = [{"op": "set_title", "title": title}]
    Library(root.reports_root).update_report(UpdateReport(REVIEW, change), author=ANN)


def test_a_torn_line_of_igloos_is_kept_and_covered(library: Library, folder: Path) -> None:
    with (folder / "audit.jsonl").open("ab") as log:
        log.write(b'{"action_id": "torn')
    assert library.get_report(GetReport(REVIEW))["version"] == VERSION
    library.update_report(UpdateReport(REVIEW, TITLE), author=ANN)
    assert log_lines(folder)[9] == b'{"action_id": "torn'
    assert library.audit_report(AuditReport(REVIEW, verify=True))["verified"]["findings"] == []


def test_an_event_of_ours_in_its_folder_adopts_it_first(library: Library, folder: Path) -> None:
    folder_store(library).get_report_storage(REVIEW).append_audit_event(event_of_type("render", REVIEW))
    adoption, event = log_events(folder)[-2:]
    assert adoption["payload"]["adopted"] is True
    assert event["payload"]["outline_sha256"] == adoption["payload"]["outline_sha256"]


def test_a_fork_that_holds_the_log_of_its_source_is_sound(library: Library, tmp_path: Path) -> None:
    """igloo-mcp forks a report by copying its folder, the events of its source with it."""
    fork = "5b1c0a52-3b0e-4d57-9a41-2f6f5f0b9d77"
    shutil.copytree(folder_store(library).by_id / REVIEW, folder_store(library).by_id / fork)
    outline = folder_store(library).by_id / fork / "outline.json"
    outline.write_bytes(outline.read_bytes().replace(REVIEW.encode(), fork.encode()))
    assert library.store.verify(fork)["findings"] == []
    library.update_report(UpdateReport(fork, TITLE), author=ANN)
    assert library.store.verify(fork)["findings"] == []
    export_report(library.store, fork, tmp_path / "fork.tar")
    taken = import_reports(GlobalStorage(tmp_path / "other"), tmp_path / "fork.tar", author=ANN)
    assert [row["report_id"] for row in taken["imported"]] == [fork]


def test_it_goes_to_the_trash_and_comes_back(library: Library) -> None:
    library.trash_report(TrashReport(REVIEW), author=ANN)
    assert library.list_reports(ListReports(status="all"))["reports"] == []
    assert library.restore_report(RestoreReport(REVIEW), author=ANN)["version"] == VERSION + 1
    assert library.store.verify(REVIEW)["findings"] == []


def test_what_igloo_put_into_the_trash_comes_back(library: Library) -> None:
    assert library.restore_report(RestoreReport(TRASHED), author=ANN)["title"] == "Old review"
    assert library.get_report(GetReport(TRASHED))["title"] == "Old review"
    assert library.store.verify(TRASHED)["findings"] == []
