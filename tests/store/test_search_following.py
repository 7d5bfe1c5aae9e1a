"""Search follows the commits of all processes, and survives any damage to its file."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from living_reports.library import Library
from living_reports.library.requests import RestoreReport, RevertReport, TrashReport
from living_reports.storage import GlobalStorage
from living_reports.store.files import catalogue
from living_reports.store.files.catalogue import ReportIndex
from living_reports.store.files.search.follower import Follower
from support.library_reports import ANN, append_text, folder_of, folder_store, set_title, update_report
from support.processes import require_success, start_python
from support.search import Finder, create_with_text, database_of

# --- Following ----------------------------------------------------------------------------


def test_an_empty_root_is_left_empty(tmp_path: Path) -> None:
    finder = Finder(tmp_path / "none")
    assert finder.answer("apple") == {"reports": [], "total": 0}
    assert list(tmp_path.iterdir()) == []


def test_every_change_is_found_at_once(library: Library, finder: Finder) -> None:
    report = create_with_text(library, "Before", "apple")
    assert finder.titles("apple") == ["Before"]
    update_report(library, report, append_text("pear", "Findings"), set_title("After"))
    assert finder.titles("pear") == finder.titles("after") == ["After"]
    assert finder.titles("before") == []
    library.revert_report(RevertReport(report, 1), author=ANN)
    assert finder.titles("apple") == ["Before"]
    assert finder.titles("pear") == []
    library.trash_report(TrashReport(report), author=ANN)
    assert finder.titles("apple", status="all") == []
    library.restore_report(RestoreReport(report), author=ANN)
    assert finder.titles("apple") == ["Before"]


def test_what_keeps_its_time_is_found_all_the_same(library: Library, finder: Finder) -> None:
    report = create_with_text(library, "Saved", "apple")
    assert finder.titles("apple") == ["Saved"]
    storage = folder_store(library).get_report_storage(report)
    outline = storage.load_outline()
    section = outline.sections[0].model_copy(update={"content": "pear"})
    storage.save_outline(outline.model_copy(update={"sections": [section]}))
    assert finder.titles("pear") == ["Saved"]
    assert finder.titles("apple") == []


def test_folders_that_come_and_go_behind_our_back(library: Library, finder: Finder, tmp_path: Path) -> None:
    report = create_with_text(library, "Here", "apple")
    other = Library(tmp_path / "other")
    moved = create_with_text(other, "There", "apple")
    assert finder.titles("apple") == ["Here"]
    shutil.move(folder_of(other, moved), folder_store(library).by_id)
    assert sorted(finder.titles("apple")) == ["Here", "There"]
    shutil.rmtree(folder_of(library, report))
    assert finder.titles("apple") == ["There"]
    assert finder.titles() == ["There"]


@pytest.mark.parametrize("index", ["compacted", "rebuilt", "removed", "emptied", "torn"])
def test_the_index_may_be_replaced(library: Library, finder: Finder, index: str) -> None:
    report = create_with_text(library, "First", "apple")
    create_with_text(library, "Second", "apple")
    assert len(finder.titles("apple")) == 2
    path = folder_store(library).index_path
    if index in ("compacted", "rebuilt"):
        ReportIndex(path).rebuild_from_filesystem()
    elif index == "torn":
        path.write_bytes(path.read_bytes() + b'{"report_id": "5f')
    else:
        path.unlink() if index == "removed" else path.write_bytes(b"")
    assert len(finder.titles("apple")) == 2
    update_report(library, report, append_text("pear", "Findings"))
    assert finder.titles("pear") == ["First"]


def test_an_entry_that_came_late_is_not_believed(library: Library, finder: Finder) -> None:
    report = create_with_text(library, "Old", "apple")
    line = folder_store(library).index_path.read_bytes().splitlines(keepends=True)[-1]
    update_report(library, report, set_title("New"))
    assert finder.titles() == ["New"]
    with folder_store(library).index_path.open("ab") as file:
        file.write(line)
    assert finder.titles() == ["New"]
    assert finder.titles("new") == ["New"]


def test_a_report_that_cannot_be_read_keeps_its_last_good_words(library: Library, finder: Finder) -> None:
    report = create_with_text(library, "Whole", "apple")
    assert finder.titles("apple") == ["Whole"]
    (folder_of(library, report) / "outline.json").write_text("{ broken")
    database_of(folder_store(library).reports_root).unlink()
    assert finder.titles("apple") == ["Whole"]


def test_after_a_start_of_the_machine_everything_is_compared(
    library: Library, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, same = create_with_text(library, "Changed", "apple"), create_with_text(library, "Same", "apple")
    assert len(finder.titles("apple")) == 2
    lines = folder_store(library).index_path.read_bytes()
    update_report(library, changed, append_text("pear", "Findings"), set_title("Newer"))
    folder_store(library).index_path.write_bytes(lines)  # the power cut took the line, which was never synced
    monkeypatch.setattr("living_reports.store.files.search.follower.boot_id", lambda: "another boot")
    assert finder.titles("pear") == ["Newer"]
    assert sorted(finder.titles()) == ["Newer", "Same"]
    assert same in folder_store(library).index_path.read_text()
    assert Finder(folder_store(library).reports_root).titles("pear") == ["Newer"]


@pytest.mark.parametrize("is_kept", [True, False], ids=["database kept", "database lost"])
def test_a_log_that_is_ahead_of_its_outline_is_settled_after_a_start(
    library: Library, finder: Finder, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    report = create_with_text(library, "Behind", "apple")
    assert finder.titles("apple") == ["Behind"]
    outline, index = folder_of(library, report) / "outline.json", folder_store(library).index_path
    kept, lines = outline.read_bytes(), index.read_bytes()
    update_report(library, report, append_text("pear", "Findings"))
    outline.write_bytes(kept)  # the power cut took the rename and the line, but not the event
    index.write_bytes(lines)
    if not is_kept:
        database_of(folder_store(library).reports_root).unlink()
    monkeypatch.setattr("living_reports.store.files.search.follower.boot_id", lambda: "another boot")
    assert finder.titles("pear") == ["Behind"]


def test_a_boot_has_one_name() -> None:
    assert catalogue.boot_id() == catalogue.boot_id() != ""


# --- Folders ------------------------------------------------------------------------------


def outside(root: Path) -> Path:
    """A place on the same disk for folders that are moved away."""
    place = root.parent / "outside"
    place.mkdir(exist_ok=True)
    return place


@pytest.fixture
def others(tmp_path: Path) -> Library:
    """Another root, whose reports are moved here as folders without catalogue entries."""
    return Library(tmp_path / "others")


@pytest.fixture
def here(root: Path) -> Library:
    """A root with two reports."""
    library = Library(root)
    for title in ("One", "Two"):
        create_with_text(library, title, "apple")
    return library


def named(library: Library, title: str) -> Path:
    """Return the folder of the report with this title."""
    [entry] = [entry for entry in library.store.entries() if entry.current_title == title]
    return folder_of(library, entry.report_id)


def titles(finder: Finder) -> list[str]:
    """Return the listed titles, after checking that a search finds the same."""
    listed = sorted(finder.titles())
    assert sorted(finder.titles("apple")) == listed
    return listed


def followed(root: Path, library: Library) -> Finder:
    """Return a finder that knows all names because it saw a report come, and never read the catalogue."""
    assert Finder(root).titles()  # the first look since the machine started does
    finder = Finder(root)
    assert finder.titles()
    create_with_text(library, "Three", "apple")
    assert titles(finder) == ["One", "Three", "Two"]
    return finder


def test_after_a_creation_the_names_are_listed_once_and_the_ids_not_read_again(
    root: Path, here: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = followed(root, here)
    listed: list[str] = []

    def listdir(path: Any, real: Any = os.listdir) -> Any:
        listed.append(Path(path).name)
        return real(path)

    monkeypatch.setattr("living_reports.store.files.search.follower._differences", None)
    monkeypatch.setattr(os, "listdir", listdir)
    for number in range(3):
        report = create_with_text(here, f"Next {number}", "apple")
        listed.clear()
        assert finder.answer(limit=1)["reports"][0]["report_id"] == report
        assert listed.count("by_id") == 1


def test_a_folder_that_another_process_forgot_and_that_came_back_is_found(root: Path, here: Library) -> None:
    finder, other = followed(root, here), Finder(root)
    away = shutil.move(named(here, "One"), outside(root))
    assert titles(other) == ["Three", "Two"]
    shutil.move(away, folder_store(here).by_id)
    assert titles(finder) == titles(other) == ["One", "Three", "Two"]


def test_a_folder_that_comes_for_one_that_goes_is_found(root: Path, here: Library, others: Library) -> None:
    finder = followed(root, here)
    coming = create_with_text(others, "Coming", "apple")
    shutil.move(named(here, "One"), outside(root))
    shutil.move(folder_of(others, coming), folder_store(here).by_id)
    assert titles(finder) == ["Coming", "Three", "Two"]


def test_a_folder_that_comes_beside_a_creation_is_found(root: Path, here: Library, others: Library) -> None:
    finder = followed(root, here)
    coming = create_with_text(others, "Coming", "apple")
    shutil.move(folder_of(others, coming), folder_store(here).by_id)
    create_with_text(here, "Four", "apple")
    assert titles(finder) == ["Coming", "Four", "One", "Three", "Two"]
    shutil.move(named(here, "One"), outside(root))
    create_with_text(here, "Five", "apple")
    assert titles(finder) == ["Coming", "Five", "Four", "Three", "Two"]


def test_an_entry_whose_folder_is_gone_is_not_listed(root: Path, here: Library) -> None:
    finder = followed(root, here)
    line = folder_store(here).index_path.read_bytes().splitlines(keepends=True)[0]
    shutil.move(named(here, "One"), outside(root))
    assert titles(finder) == ["Three", "Two"]
    with folder_store(here).index_path.open("ab") as file:
        file.write(line)
    create_with_text(here, "Four", "apple")
    assert titles(finder) == ["Four", "Three", "Two"]


def test_a_folder_is_read_once_its_outline_is_there(root: Path, here: Library, others: Library) -> None:
    finder = followed(root, here)
    coming = folder_of(others, create_with_text(others, "Coming", "apple"))
    folder = folder_store(here).by_id / coming.name
    folder.mkdir()
    create_with_text(Library(root), "Four", "apple")
    assert titles(finder) == ["Four", "One", "Three", "Two"]
    shutil.copy(coming / "outline.json", folder)
    create_with_text(Library(root), "Five", "apple")
    assert titles(finder) == ["Coming", "Five", "Four", "One", "Three", "Two"]
    create_with_text(Library(root), "Six", "apple")
    assert titles(finder) == ["Coming", "Five", "Four", "One", "Six", "Three", "Two"]


def test_a_report_that_writes_its_id_in_another_form_is_listed_once(
    root: Path, here: Library, others: Library
) -> None:
    coming = folder_of(others, create_with_text(others, "Coming", "apple"))
    folder = outside(root) / coming.name
    folder.mkdir()
    outline = json.loads((coming / "outline.json").read_bytes())
    (folder / "outline.json").write_text(json.dumps(outline | {"report_id": coming.name.upper()}))
    finder = followed(root, here)
    shutil.move(folder, folder_store(here).by_id)
    inode = database_of(root).stat().st_ino
    for number in range(3):
        [row] = [row for row in finder.answer()["reports"] if row["title"] == "Coming"]
        assert row["report_id"] == folder.name
        create_with_text(Library(root), f"Next {number}", "apple")
    assert database_of(root).stat().st_ino == inode, "never made anew"


def test_what_was_not_committed_is_not_remembered(
    root: Path, here: Library, others: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = followed(root, here)
    for title in ("Coming", "Also"):
        shutil.move(folder_of(others, create_with_text(others, title, "apple")), folder_store(here).by_id)

    def failing(follower: Follower, *args: Any, real: Any = Follower.step, **kwargs: Any) -> bool:
        real(follower, *args, **kwargs)
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Follower, "step", failing)
        assert "warnings" in finder.answer()
    assert titles(finder) == ["Also", "Coming", "One", "Three", "Two"]


# --- Damage -------------------------------------------------------------------------------


def remove_with_log(path: Path) -> None:
    for each in path.parent.glob(".search.sqlite*"):
        each.unlink()


def overwrite(path: Path, data: bytes) -> None:
    """Overwrite the file in place."""
    with path.open("r+b") as file:
        file.truncate(len(data))
        file.write(data)


def damage_pages(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    overwrite(path, bytes(data))


def another_schema(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("DROP TABLE sources; DROP TABLE texts; PRAGMA user_version = 99")
    connection.close()


def missing_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("DROP TABLE items")
    connection.close()


HARM: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "removed with its log": remove_with_log,
    "not a database": lambda path: overwrite(path, b"this is no database " * 500),
    "emptied": lambda path: overwrite(path, b""),
    "truncated": lambda path: overwrite(path, path.read_bytes()[:5000]),
    "damaged pages": damage_pages,
    "another version": another_schema,
    "a table is missing": missing_table,
    "replaced by text": lambda path: path.write_text("x"),
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("is_fresh", [True, False], ids=["fresh process", "while it is open"])
def test_a_harmed_database_is_made_again(library: Library, finder: Finder, harm: str, is_fresh: bool) -> None:
    root = folder_store(library).reports_root
    for number in range(20):
        create_with_text(library, f"Report {number}", f"apple pear{number} https://a.example/{number}")
    before = finder.answer("apple"), finder.answer(cites="a.example"), finder.answer()
    if is_fresh:
        finder = Finder(root)
    HARM[harm](database_of(root))
    create_with_text(library, "Later", "apple https://a.example/later")
    assert finder.answer("apple")["total"] == before[0]["total"] + 1
    assert finder.answer(cites="a.example")["total"] == before[1]["total"] + 1
    assert finder.titles("later") == ["Later"]
    assert finder.titles("pear7") == ["Report 7"]
    assert Finder(root).titles("pear7 apple") == ["Report 7"]


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="permissions do not bite")
def test_a_root_that_cannot_be_written_is_searched_in_memory(library: Library) -> None:
    root = folder_store(library).reports_root
    create_with_text(library, "Report", "apple")
    for folder in [root, *root.rglob("*")]:
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    try:
        finder = Finder(root)
        assert finder.titles("apple") == finder.titles() == ["Report"]
        assert not database_of(root).exists()
    finally:
        for folder in [root, *root.rglob("*")]:
            folder.chmod(0o755 if folder.is_dir() else 0o644)


def test_a_place_where_no_file_can_be_made_is_searched_in_memory(library: Library, finder: Finder) -> None:
    root = folder_store(library).reports_root
    database_of(root).mkdir(parents=True)
    (database_of(root) / "in the way").touch()
    report = create_with_text(library, "Report", "apple")
    assert finder.titles("apple") == ["Report"]
    update_report(library, report, append_text("pear", "Findings"))
    assert finder.titles("pear") == ["Report"]


def test_a_database_that_another_holds_is_answered_from_as_it_is(
    library: Library, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("living_reports.store.files.search.database.LOCK_TIMEOUT_SECONDS", 0.1)
    root = folder_store(library).reports_root
    report = create_with_text(library, "Report", "apple")
    assert finder.titles("apple") == ["Report"]
    hold = (
        "import sys, portalocker; file = open(sys.argv[1], 'rb+')\n"
        "portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(root / ".search.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        answered = update_report(library, report, append_text("pear", "Findings"))
        answer = finder.answer("apple")
        holder.communicate()
    assert answered["version"] == 2
    assert [row["title"] for row in answer["reports"]] == ["Report"]
    assert len(answer["warnings"]) == 1
    assert finder.titles("pear") == ["Report"]


# --- Concurrency --------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from living_reports.library import Library
from support.library_reports import append_text, update_report
from support.search import Finder, create_with_text

root, name, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
library, finder = Library(root), Finder(root)
for n in range(number):
    report = create_with_text(library, f"{name} {n}", f"common {name}{n}")
    assert finder.titles(f"{name}{n}") == [f"{name} {n}"], "own report not found"
    update_report(library, report, append_text(f"more{name}{n}", "Findings"))
    assert finder.titles(f"more{name}{n}") == [f"{name} {n}"], "own change not found"
"""


@pytest.mark.parametrize("harm", ["", "removed", "not a database", "removed with its log"])
def test_processes_that_write_and_search_at_once_find_their_own_words(
    library: Library, finder: Finder, harm: str
) -> None:
    root = folder_store(library).reports_root
    create_with_text(library, "First", "common")
    writers = [
        start_python("-c", WRITER, str(root), name, "12", stderr=subprocess.PIPE)
        for name in ("ann", "ben", "eve")
    ]
    seen, harmed = 0, 0
    while any(writer.poll() is None for writer in writers):
        total = finder.answer("common")["total"]
        assert total >= seen
        seen = total
        if harm and total > 5 * (harmed + 1) and harmed < 5 and database_of(root).exists():
            HARM[harm](database_of(root))
            harmed += 1
    require_success(writers)
    assert finder.answer("common")["total"] == 37
    assert bool(harmed) == bool(harm)


def test_threads_share_one_search(library: Library, finder: Finder) -> None:
    for number in range(20):
        create_with_text(library, f"Report {number}", f"apple pear{number}")
    found: dict[int, list[str]] = {}

    def look(number: int) -> None:
        found[number] = finder.titles(f"pear{number}")

    threads = [threading.Thread(target=look, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [f"Report {number}"] for number in range(20)}


def test_sqlite_is_not_loaded_before_something_is_listed() -> None:
    code = "import sys, living_reports.server, living_reports.library; print('sqlite3' in sys.modules)"
    printed, _ = start_python("-c", code).communicate()
    assert printed.split() == ["False"]


def test_times_of_other_writers_sort_as_times(tmp_path: Path) -> None:
    times = ["2026-01-01T12:00:00Z", "2026-01-01T12:30:00+02:00", "2026-01-01T11:00:00.5", "no time"]
    for number, when in enumerate(times):
        report_id = f"00000000-0000-4000-8000-{number:012}"
        folder = tmp_path / "by_id" / report_id
        folder.mkdir(parents=True)
        outline = {"report_id": report_id, "title": f"{number}", "created_at": when, "updated_at": when}
        (folder / "outline.json").write_text(json.dumps(outline))
    assert Finder(tmp_path).titles() == ["3", "0", "2", "1"]
    assert len(GlobalStorage(tmp_path).entries()) == 4


def test_very_many_reports_are_compared_beside_the_queries(
    library: Library, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        create_with_text(library, f"Report {number}", "apple")
    monkeypatch.setattr("living_reports.store.files.search._COMPARING_SECONDS", 0.0)
    monkeypatch.setattr("living_reports.store.files.search._COMPARED_AT_ONCE_SECONDS", 0.0)
    answer = finder.answer("apple")
    assert answer["total"] == 30
    assert len(answer["warnings"]) == 1
    for thread in threading.enumerate():
        if thread.name == "search-background":
            thread.join()
    assert "warnings" not in finder.answer("apple")


def test_reports_are_compared_in_batches(
    library: Library, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(11):
        create_with_text(library, f"Report {number}", "apple")
    monkeypatch.setattr("living_reports.store.files.search.follower._BATCH", 4)
    answer = finder.answer("apple")
    assert (answer["total"], "warnings" in answer) == (11, False)


def test_folders_that_cannot_be_read_do_not_keep_a_list_going(
    library: Library, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("living_reports.store.files.search._SLICE_SECONDS", 0.0)
    create_with_text(library, "Report", "apple")
    for _ in range(3):
        folder = folder_store(library).by_id / str(uuid.uuid4())
        folder.mkdir()
        (folder / "outline.json").write_text("{ broken")
    assert finder.titles("apple") == ["Report"]
    assert finder.titles("apple") == ["Report"]
