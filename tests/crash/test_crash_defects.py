"""The defects that the crash bench found: one small state each.

Each of these states was made by a crash, and the program then lost something or said what was
not so. They stay here as they were found.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from living_reports.library import Library
from living_reports.library.requests import GetReport, ListReports, RevertReport, UpdateReport
from living_reports.store.files import catalogue, durable, recovery
from living_reports.store.files.doctor import check_root
from living_reports.store.files.folder import State
from support.crash.scenarios import (
    BY_HAND,
    OTHER,
    REPORT,
    anothers,
    outline_path,
    read,
    rename,
    some_versions,
)
from support.library_reports import ANN, folder_store
from support.stored_reports import event_of_type


@pytest.fixture
def root(tmp_path: Path) -> Path:
    some_versions(tmp_path / "reports")
    return tmp_path / "reports"


def power_cut(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove what was not synced: the marks and the end of the catalogue. The machine starts again."""
    for mark in (root / ".pending").iterdir():
        mark.unlink()
    monkeypatch.setattr(catalogue, "boot_id", lambda: "another boot")


def put_back(path: Path, data: bytes) -> None:
    """The renaming of the outline never reached the disk."""
    path.unlink()
    path.write_bytes(data)


def test_after_a_power_cut_the_list_shows_an_event_whose_outline_is_not_in_place(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, listed = outline_path(root).read_bytes(), (root / "index.jsonl").read_bytes()
    rename("Safety")(Library(root))
    put_back(outline_path(root), before)
    (root / "index.jsonl").write_bytes(listed)
    power_cut(root, monkeypatch)
    titles = {row["report_id"]: row["title"] for row in Library(root).list_reports(ListReports())["reports"]}
    assert titles[REPORT] == "Safety"


def test_after_a_power_cut_a_deleted_report_is_listed_no_more(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event was synced, the move into the trash was not."""
    folder_store(Library(root)).get_report_storage(REPORT).append_audit_event(event_of_type("delete"))
    power_cut(root, monkeypatch)
    assert [row["report_id"] for row in Library(root).list_reports(ListReports())["reports"]] == [OTHER]


def test_a_half_written_head_is_not_taken_for_an_event_that_was_cut(root: Path) -> None:
    head = outline_path(root).parent / ".head"
    old = head.read_bytes()
    rename("Safety")(Library(root))
    new = head.read_bytes()
    for length in range(1, len(new)):
        head.write_bytes(new[:length] + old[length:])
        assert "warnings" not in Library(root).get_report(GetReport(REPORT))


def test_an_append_torn_upon_a_persons_edit_does_not_damage_the_report(root: Path) -> None:
    path = outline_path(root)
    path.write_bytes(path.read_bytes().replace(b"Line 7.", BY_HAND.encode()))
    (path.parent / f".outline.{OTHER}.tmp").write_bytes(b"what was to take its place")
    with (path.parent / "audit.jsonl").open("ab") as log:
        log.write(b'{"action_id":"6a1b')
    answer = Library(root).update_report(
        UpdateReport(REPORT, [{"op": "set_title", "title": "Safety"}]), author=ANN
    )
    assert answer["title"] == "Safety"
    assert BY_HAND in path.read_text(encoding="utf-8")
    assert [f for f in check_root(root, deep=True) if f.severity != "info"] == []


def test_an_append_torn_upon_an_old_editor_buffer_does_not_damage_the_report(root: Path) -> None:
    path = outline_path(root)
    buffer = path.read_bytes().replace(b"Line 7.", BY_HAND.encode())
    rename("Safety")(Library(root))
    path.write_bytes(buffer)
    (path.parent / f".outline.{OTHER}.tmp").write_bytes(b"what was to take its place")
    with (path.parent / "audit.jsonl").open("ab") as log:
        log.write(b'{"action_id":"6a1b')
    answer = Library(root).get_report(GetReport(REPORT, view="full"))
    assert (answer["title"], answer["version"]) == ("Safety", 9)
    assert BY_HAND in path.read_text(encoding="utf-8")
    assert [f for f in check_root(root, deep=True) if f.severity != "info"] == []


def test_a_torn_append_after_an_adoption_whose_outline_is_not_in_place(tmp_path: Path) -> None:
    root = tmp_path / "reports"
    anothers(root)
    before = outline_path(root).read_bytes()
    library = Library(root)
    with library.store.edit(REPORT) as edit:
        assert isinstance(edit.snapshot, State)
        adopted = recovery.adopt(folder_store(library).get_report_storage(REPORT), edit.snapshot, ANN)
    put_back(outline_path(root), before)
    with (outline_path(root).parent / "audit.jsonl").open("ab") as log:
        log.write(b'{"action_id":"6a1b')
    answer = Library(root).get_report(GetReport(REPORT))
    assert (answer["version"], answer.get("warnings")) == (adopted.version, None)


def test_a_repair_whose_outline_is_not_in_place_yet_is_finished(root: Path) -> None:
    """The revert was acknowledged; the damaged bytes that came back are those that it replaced."""
    outline_path(root).write_bytes(b"not an outline")
    repaired = Library(root).revert_report(RevertReport(REPORT, 3), author=ANN)
    put_back(outline_path(root), b"not an outline")
    assert Library(root).get_report(GetReport(REPORT))["version"] == repaired["version"]


def test_the_only_name_of_strange_bytes_is_synced_before_the_outline_is_replaced(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = outline_path(root)
    path.write_bytes(path.read_bytes().replace(b"Line 7.", BY_HAND.encode()))
    done: list[tuple[str, str]] = []
    monkeypatch.setattr(durable, "observer", lambda name, details: done.append((name, details[0].name)))
    read(Library(root))
    replaced = next(at for at, (name, _) in enumerate(done) if name == "rename")
    assert done.index(("link", "outline.json")) < done.index(("sync_folder", "backups")) < replaced
