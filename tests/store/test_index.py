"""The index: followed at its tail, replaced under its readers, torn, compacted, rebuilt, corrected."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from living_reports.model.report import IndexEntry
from living_reports.storage import GlobalStorage, Note, ReportIndex
from living_reports.store.files import catalogue
from living_reports.store.files.lock import hold
from support.disk_faults import observe_disk
from support.stored_reports import ANN, DAY, OTHER, REPORT, create_stored_report, event_of_type, set_text


@pytest.fixture
def root(tmp_path: Path) -> GlobalStorage:
    storage = GlobalStorage(tmp_path / "reports")
    create_stored_report(storage)
    create_stored_report(storage, title="Other", report_id=OTHER)
    return storage


def titles(root: GlobalStorage) -> list[str]:
    return sorted(entry.current_title for entry in root.entries())


def rename(root: GlobalStorage, title: str, report_id: str = REPORT) -> None:
    with root.edit(report_id) as edit:
        note = Note("rename", ANN)
        edit.put(edit.snapshot.outline.model_copy(update={"title": title, "updated_at": note.ts}), note)


def entry(title: str, report_id: str = REPORT) -> IndexEntry:
    return IndexEntry(
        report_id=report_id, current_title=title, created_at=DAY, updated_at=DAY, path=f"by_id/{report_id}"
    )


def test_the_last_line_of_a_report_wins(root: GlobalStorage) -> None:
    rename(root, "Newer")
    assert titles(root) == ["Newer", "Other"]
    assert (root.index_path).read_bytes().count(b"\n") == 3


def test_a_reader_follows_what_another_process_appends(root: GlobalStorage) -> None:
    reader = GlobalStorage(root.reports_root)
    assert titles(reader) == ["Health", "Other"]
    for title in ("A", "B"):
        rename(root, title)
        assert titles(reader) == [title, "Other"]


def test_a_reader_starts_over_when_the_file_was_replaced(root: GlobalStorage) -> None:
    reader = GlobalStorage(root.reports_root)
    titles(reader)
    rename(root, "New")
    root.index.rebuild_from_filesystem()
    assert titles(reader) == ["New", "Other"]


def test_an_inode_number_that_was_given_out_again_fools_nobody(root: GlobalStorage) -> None:
    reader = GlobalStorage(root.reports_root)
    titles(reader)
    longer = b"".join(catalogue.entry_line(entry(f"Title {number}")) for number in range(50))
    root.index_path.write_bytes(longer + catalogue.entry_line(entry("Other", OTHER)))  # the same inode
    assert titles(reader) == ["Other", "Title 49"]


def test_a_torn_line_is_passed_over_and_ended_by_the_next(root: GlobalStorage) -> None:
    reader = GlobalStorage(root.reports_root)
    titles(reader)
    with root.index_path.open("ab") as file:
        file.write(b'{"report_id": "5f9d')
    assert titles(reader) == ["Health", "Other"]
    rename(root, "New")
    assert titles(reader) == ["New", "Other"]
    assert titles(GlobalStorage(root.reports_root)) == ["New", "Other"]


def test_a_lost_index_is_made_again_by_the_next_look(root: GlobalStorage) -> None:
    root.index_path.unlink()
    assert titles(root) == ["Health", "Other"]
    assert root.index_path.read_bytes().count(b"\n") == 2


def test_a_folder_that_came_or_went_behind_our_back_is_noticed(root: GlobalStorage, tmp_path: Path) -> None:
    assert titles(root) == ["Health", "Other"]
    (root.by_id / OTHER).rename(tmp_path / OTHER)
    assert titles(root) == ["Health"]
    (tmp_path / OTHER).rename(root.by_id / OTHER)
    assert titles(root) == ["Health", "Other"]


def test_after_a_power_cut_the_first_look_compares_the_index_with_the_folders(root: GlobalStorage) -> None:
    """The end of the index was never synced, and the marks were not either."""
    before = root.index_path.read_bytes()
    titles(root)
    rename(root, "New")
    root.index_path.write_bytes(before)
    assert titles(GlobalStorage(root.reports_root)) == ["Health", "Other"], "believed within one boot"
    (root.reports_root / ".index.lock").write_text("another boot\n")
    assert titles(GlobalStorage(root.reports_root)) == ["New", "Other"]
    assert root.index_path.read_bytes().count(b"\n") == 3


def test_a_read_that_finds_an_entry_wrong_corrects_it(root: GlobalStorage) -> None:
    assert titles(root) == ["Health", "Other"]
    with root.index_path.open("ab") as file:
        file.write(catalogue.entry_line(entry("Wrong")))
    assert titles(root) == ["Other", "Wrong"]
    root.read(REPORT)
    assert titles(GlobalStorage(root.reports_root)) == ["Health", "Other"]


def test_a_wrong_entry_that_was_seen_while_its_report_is_busy_is_corrected_later(root: GlobalStorage) -> None:
    titles(root)
    before = root.index_path.read_bytes()
    rename(root, "New")
    root.index_path.write_bytes(before)
    reader = GlobalStorage(root.reports_root)
    assert reader.read(REPORT).outline.title == "New"
    with hold(root.by_id / REPORT / ".lock"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(titles, reader).result(10) == ["Health", "Other"]
    assert titles(reader) == ["New", "Other"]


def test_a_mark_of_a_report_in_the_making_stays(root: GlobalStorage) -> None:
    new = str(uuid.uuid4())
    (root.by_id / f".new-{new}-1234abcd").mkdir()
    root.index.mark(new)
    assert titles(root) == ["Health", "Other"]
    assert root.index.marked() == [new]


def test_a_marked_report_is_looked_at_before_its_entry_is_believed(root: GlobalStorage) -> None:
    before = root.index_path.read_bytes()
    rename(root, "New")
    root.index_path.write_bytes(before)
    root.index.mark(REPORT)
    assert titles(root) == ["New", "Other"]
    assert root.index.marked() == []


def test_a_mark_of_a_report_that_is_being_written_does_not_hold_up_a_list(root: GlobalStorage) -> None:
    titles(root)
    root.index.mark(REPORT)
    with hold(root.by_id / REPORT / ".lock"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(titles, root).result(10) == ["Health", "Other"]
    assert root.index.marked() == [REPORT]


def test_a_mark_of_nothing_is_removed(root: GlobalStorage) -> None:
    root.index.mark(str(uuid.uuid4()))
    assert titles(root) == ["Health", "Other"]
    assert root.index.marked() == []


def test_an_index_that_cannot_be_written_fails_no_commit(root: GlobalStorage) -> None:
    def observer(_: str, details: tuple[Path, ...]) -> None:
        if details[0].name == "index.jsonl":
            raise OSError(30, "read-only")

    with observe_disk(observer):
        rename(root, "New")
    assert root.index.marked() == [REPORT]
    assert titles(root) == ["New", "Other"]


def test_an_index_lock_that_hangs_fails_no_commit(
    root: GlobalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_LOCK_TIMEOUT_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as pool, hold(root.reports_root / ".index.lock"):
        pool.submit(rename, root, "New").result(10)
    assert titles(root) == ["New", "Other"]


def test_an_entry_that_points_elsewhere_is_not_shown(root: GlobalStorage) -> None:
    outside = entry("Outside", str(uuid.uuid4())).model_copy(update={"path": "../../etc"})
    root.save_index_entry(outside)
    assert titles(root) == ["Health", "Other"]


def test_a_trashed_report_is_in_no_list_and_a_restored_one_is(root: GlobalStorage) -> None:
    root.trash(OTHER, event_of_type("delete", OTHER))
    assert titles(root) == titles(GlobalStorage(root.reports_root)) == ["Health"]
    root.index.rebuild_from_filesystem()
    assert titles(root) == ["Health"]
    root.restore(OTHER, event_of_type("status_change", OTHER))
    assert titles(root) == titles(GlobalStorage(root.reports_root)) == ["Health", "Other"]


# --- Compacting ---------------------------------------------------------------------------


def test_a_long_index_is_compacted(root: GlobalStorage) -> None:
    for number in range(1200):
        root.save_index_entry(entry(f"Title {number}"))
    rename(root, "Last")
    assert titles(root) == ["Last", "Other"]
    assert root.index_path.read_bytes().count(b"\n") <= 3
    assert titles(GlobalStorage(root.reports_root)) == ["Last", "Other"]


def test_a_short_index_or_one_without_superseded_lines_is_left_alone(root: GlobalStorage) -> None:
    before = root.index_path.stat().st_ino
    assert not root.index.compact()
    assert root.index_path.stat().st_ino == before


def test_what_is_appended_while_the_new_file_is_written_is_not_lost(root: GlobalStorage) -> None:
    for number in range(1200):
        root.save_index_entry(entry(f"Title {number}"))
    late = str(uuid.uuid4())

    def observer(operation: str, details: tuple[Path, ...]) -> None:
        if operation == "sync" and details[0].name.startswith(".index."):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(ReportIndex(root.index_path).append, entry("Late", late)).result(10)

    with observe_disk(observer):
        assert root.index.compact()
    assert b"Late" in root.index_path.read_bytes()
    assert root.index_path.read_bytes().count(b"\n") == 3


def test_a_compaction_that_another_one_overtook_is_called_off(root: GlobalStorage) -> None:
    for number in range(1200):
        root.save_index_entry(entry(f"Title {number}"))
    done = threading.Event()

    def observer(operation: str, details: tuple[Path, ...]) -> None:
        if operation == "sync" and details[0].name.startswith(".index.") and not done.is_set():
            done.set()
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(ReportIndex(root.index_path).compact).result(10)

    with observe_disk(observer):
        assert not root.index.compact()
    assert root.index_path.read_bytes().count(b"\n") == 2
    assert not list(root.reports_root.glob(".index.*.tmp"))


WRITER = """
import sys
from pathlib import Path
from living_reports.model.report import IndexEntry
from living_reports.storage import ReportIndex
index, report_id = ReportIndex(Path(sys.argv[1])), sys.argv[2]
for number in range(700):
    index.append(IndexEntry(report_id=report_id, current_title=f"Title {number}", created_at="a",
                            updated_at="b", path=f"by_id/{report_id}"))
    if number % 100 == 99:
        index.compact()
"""


def test_no_entry_is_lost_when_several_append_and_compact(root: GlobalStorage) -> None:
    reports = [str(uuid.uuid4()) for _ in range(3)]
    command = [sys.executable, "-c", WRITER, str(root.index_path)]
    writers = [subprocess.Popen([*command, report]) for report in reports]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    lines = [IndexEntry.model_validate_json(line) for line in root.index_path.read_bytes().splitlines()]
    last = {found.report_id: found.current_title for found in lines}
    assert [last[report] for report in reports] == ["Title 699"] * 3
    assert len(lines) < 2100


def test_rebuilding_leaves_out_what_cannot_be_read(root: GlobalStorage) -> None:
    (root.by_id / OTHER / "outline.json").write_bytes(b"{ broken")
    root.index.rebuild_from_filesystem()
    [line] = root.index_path.read_bytes().splitlines()
    assert IndexEntry.model_validate_json(line).current_title == "Health"


def test_rebuilding_loses_no_commit_that_comes_meanwhile(root: GlobalStorage) -> None:
    def observer(operation: str, details: tuple[Path, ...]) -> None:
        if operation == "sync" and details[0].name.startswith(".index."):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(rename, GlobalStorage(root.reports_root), "Meanwhile").result(10)

    with observe_disk(observer):
        root.index.rebuild_from_filesystem()
    assert titles(root) == ["Meanwhile", "Other"]


def test_a_reader_of_many_reports_sees_all_of_them(tmp_path: Path) -> None:
    root = GlobalStorage(tmp_path / "reports")
    reports = [str(uuid.uuid4()) for _ in range(30)]
    for report in reports:
        create_stored_report(root, report_id=report)
    set_text(root, "new\n", reports[7])
    assert {found.report_id for found in GlobalStorage(root.reports_root).entries()} == set(reports)
