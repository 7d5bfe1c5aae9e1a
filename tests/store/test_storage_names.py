"""The public names of `living_reports.storage`, and that they keep what they promise."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from living_reports import storage as names
from living_reports.errors import InvalidInputError
from living_reports.model.report import IndexEntry, Outline
from living_reports.storage import GlobalStorage, LockTimeoutError, ReportStorage, StorageError
from support.stored_reports import (
    DAY,
    OTHER,
    REPORT,
    event_of_type,
    log_events,
    outline_with,
    require_sound,
    text_of,
    with_text,
)


@pytest.fixture
def root(tmp_path: Path) -> GlobalStorage:
    return GlobalStorage(tmp_path / "reports")


@pytest.fixture
def report(root: GlobalStorage) -> ReportStorage:
    saved = root.get_report_storage(REPORT)
    saved.save_outline(outline_with("one\n"))
    return saved


def test_the_names_are_there() -> None:
    promised = {"ReportLock", "ReportStorage", "GlobalStorage", "StorageError", "LockTimeoutError"}
    assert promised <= set(names.__all__)
    assert issubclass(LockTimeoutError, StorageError)
    assert issubclass(StorageError, RuntimeError)


def test_asking_for_a_report_makes_nothing(root: GlobalStorage, tmp_path: Path) -> None:
    missing = root.get_report_storage(REPORT)
    assert not missing.exists()
    assert missing.load_audit_events() == []
    assert missing.detect_manual_edits() is False
    with pytest.raises(FileNotFoundError):
        missing.load_outline()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["..", "../../etc", "x", "", "5f9d3c1e\0", f"{REPORT}/..", "{" + REPORT + "}"]
)
def test_only_ids_come_near_a_path(root: GlobalStorage, name: str) -> None:
    with pytest.raises(ValueError, match="not a UUID"):
        root.get_report_storage(name)


def test_ids_have_one_form(root: GlobalStorage) -> None:
    for form in (REPORT.upper(), REPORT.replace("-", "")):
        assert root.get_report_storage(form).report_dir == root.by_id / REPORT


def test_a_save_is_one_commit_with_one_event(root: GlobalStorage, report: ReportStorage) -> None:
    report.save_outline(with_text(report.load_outline(), "two\n"))
    first, second = log_events(report.report_dir)
    assert (first["action_type"], second["action_type"]) == ("backup", "backup")
    assert (first["payload"]["outline_version"], second["payload"]["outline_version"]) == (1, 2)
    assert second["payload"]["delta"]
    assert text_of(report.load_outline()) == "two\n"
    require_sound(root)


def test_what_was_loaded_is_the_callers_own(report: ReportStorage) -> None:
    outline = report.load_outline()
    outline.sections[0].content = "changed in place\n"
    assert text_of(report.load_outline()) == "one\n"
    report.save_outline(outline)
    assert text_of(report.load_outline()) == "changed in place\n"


def test_the_version_is_the_commits_to_give(report: ReportStorage) -> None:
    report.save_outline(report.load_outline().model_copy(update={"outline_version": 99}))
    assert report.load_outline().outline_version == 2


def test_an_outline_of_another_report_is_not_saved_here(root: GlobalStorage, report: ReportStorage) -> None:
    with pytest.raises(InvalidInputError):
        report.save_outline(outline_with("x", report_id=OTHER))
    require_sound(root)


def test_an_invalid_outline_is_a_value_error(report: ReportStorage) -> None:
    report.outline_path.write_text("{}")
    with pytest.raises(ValueError, match="damaged"):
        report.load_outline()


def test_an_event_gets_its_hashes_filled_in(root: GlobalStorage, report: ReportStorage) -> None:
    given = event_of_type("render")
    given.payload = {"format": "html", "prev_sha256": "made up", "outline_version": 77}
    report.append_audit_event(given)
    event = log_events(report.report_dir)[-1]
    assert event["payload"]["format"] == "html"
    assert (event["payload"]["outline_version"], event["payload"]["delta"]) == (1, [])
    assert [known.action_type for known in report.load_audit_events()] == ["backup", "render"]
    require_sound(root)


def test_an_event_may_come_before_any_outline(root: GlobalStorage) -> None:
    early = root.get_report_storage(REPORT)
    early.append_audit_event(event_of_type("create"))
    early.save_outline(outline_with("one\n"))
    assert len(early.load_audit_events()) == 2
    assert root.verify(REPORT)["findings"] == []


def test_lines_that_are_no_events_are_passed_over(report: ReportStorage) -> None:
    with report.audit_path.open("ab") as log:
        log.write(b"\nnot json\n{}\n")
    assert len(report.load_audit_events()) == 1


def test_the_lock_is_reentrant_for_its_thread_and_for_no_other(report: ReportStorage) -> None:
    other = ReportStorage(report.report_dir, lock_timeout_seconds=0.05)
    with report.lock(), ThreadPoolExecutor(1) as pool:
        with report.lock(0.0):
            report.save_outline(with_text(report.load_outline(), "inside\n"))
        with pytest.raises(LockTimeoutError):
            pool.submit(other.save_outline, outline_with("outside\n")).result(10)
    assert text_of(report.load_outline()) == "inside\n"


def test_saves_from_many_threads_are_all_there(root: GlobalStorage, report: ReportStorage) -> None:
    def save(number: int) -> None:
        with report.lock():
            outline = report.load_outline()
            report.save_outline(with_text(outline, f"{text_of(outline)}{number}\n"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(40)))
    lines = (text_of(report.load_outline()) or "").split()
    assert sorted(lines[1:], key=int) == [str(number) for number in range(40)]
    require_sound(root)


def test_a_hand_edit_is_detected_until_it_is_taken_in(report: ReportStorage) -> None:
    assert not report.detect_manual_edits()
    data = json.loads(report.outline_path.read_bytes())
    report.outline_path.write_text(json.dumps(data | {"title": "By hand"}))
    assert report.detect_manual_edits()
    assert report.load_outline().title == "By hand"
    assert not report.detect_manual_edits()


def test_a_folder_without_a_root_works_alone(tmp_path: Path) -> None:
    alone = ReportStorage(tmp_path / "some" / "folder")
    alone.save_outline(outline_with("one\n"))
    alone.save_outline(with_text(alone.load_outline(), "two\n"))
    assert text_of(alone.load_outline()) == "two\n"
    assert isinstance(alone.load_outline(), Outline)
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == ["folder"]


def test_index_entries_are_saved_as_models_or_as_data(root: GlobalStorage, report: ReportStorage) -> None:
    entry = {
        "report_id": REPORT,
        "current_title": "Another",
        "created_at": DAY,
        "updated_at": DAY,
        "path": f"by_id/{REPORT}",
    }
    root.save_index_entry(entry)
    assert [found.current_title for found in root.entries()] == ["Another"]
    root.save_index_entry(IndexEntry.model_validate(entry | {"current_title": "Third"}))
    assert [found.current_title for found in root.entries()] == ["Third"]
    root.index.rebuild_from_filesystem()
    assert [found.current_title for found in root.entries()] == [report.load_outline().title]
