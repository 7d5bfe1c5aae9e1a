"""Two things at the same moment: a person's save and a commit, a list and a deletion, a check and writers.

Each test holds one of the two at the point where the other may harm it.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import LockTimeoutError, ReportNotFoundError
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport,
    GetReport,
    ListReports,
    RestoreReport,
    RevertReport,
    TrashReport,
)
from living_reports.model.report import sha256_hex
from living_reports.regular_files import read_regular
from living_reports.store.files import transfer
from living_reports.store.files.doctor import check_root
from living_reports.store.files.lock import hold
from living_reports.store.files.transfer import exported_files
from support.crash.scenarios import OTHER, REPORT, anothers, outline_path, read, some_versions
from support.disk_faults import observe_disk
from support.library_reports import (
    ANN,
    append_text,
    content_of,
    create_report,
    folder_of,
    folder_store,
    set_title,
    update_report,
)
from support.processes import start_python, wait_until_blocked

Save = Callable[[Path, bytes], object]

TYPED = "typed while the agent wrote"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "root", lock_timeout_s=5.0)


def save_by_rename(path: Path, data: bytes) -> None:
    beside = path.with_name(f"{path.name}~")
    beside.write_bytes(data)
    beside.replace(path)


SAVES = [Path.write_bytes, save_by_rename]
each_save = pytest.mark.parametrize("save", SAVES, ids=["in place", "by renaming"])


class Meanwhile:
    """Does something once, just before the first operation of a kind on a file whose name begins so."""

    def __init__(self, operation: str, name: str, action: Callable[[], object]) -> None:
        self._point = (operation, name)
        self._action = action
        self.is_done = False

    def __call__(self, operation: str, details: tuple[Any, ...]) -> None:
        kind, name = self._point
        if not self.is_done and operation == kind and details[0].name.startswith(name):
            self.is_done = True
            self._action()


def sound(root: Path) -> bool:
    return not [finding for finding in check_root(root, deep=True) if finding.severity != "info"]


# --- A person saves while a change is being committed --------------------------------------

POINTS = [("create", ".outline"), ("write", ".outline"), ("sync", "audit"), ("link", "outline")]
each_point = pytest.mark.parametrize("point", POINTS, ids=[" ".join(point) for point in POINTS])


@each_point
@each_save
def test_a_save_during_a_commit_is_merged_by_the_next_look(
    library: Library, save: Save, point: tuple[str, str]
) -> None:
    report = create_report(library)
    path = folder_of(library, report) / "outline.json"
    buffer = path.read_bytes().replace(b"p95 is 340 ms.", TYPED.encode())
    meanwhile = Meanwhile(*point, lambda: save(path, buffer))
    with observe_disk(meanwhile):
        assert update_report(library, report, append_text("by the agent"))["version"] == 2
    assert meanwhile.is_done
    assert library.get_report(GetReport(report))["version"] == 3
    assert content_of(library, report, "Latency") == TYPED
    assert content_of(library, report).endswith("by the agent")
    events = library.audit_report(AuditReport(report))["events"]
    assert [event["actor"] for event in events] == ["human", "agent", "agent"]
    assert sound(folder_store(library).reports_root)


@each_point
@each_save
def test_a_save_of_the_same_size_a_moment_after_another_version_is_noticed(
    library: Library, save: Save, point: tuple[str, str]
) -> None:
    """Only the time of the file tells, and the version that it replaces is as young as can be."""
    report = create_report(library)
    path = folder_of(library, report) / "outline.json"
    for number in range(5):
        update_report(library, report, set_title(f"Title {number}"))
        version = library.get_report(GetReport(report))["version"]
        old = f"p95 is 34{number} ms.".encode()
        buffer = path.read_bytes().replace(old, f"p95 is 34{number + 1} ms.".encode())
        assert buffer != path.read_bytes()
        with observe_disk(Meanwhile(*point, lambda buffer=buffer: save(path, buffer))):  # type: ignore[misc]
            update_report(library, report, append_text(f"by the agent {number}"))
        assert library.get_report(GetReport(report))["version"] == version + 2
        assert content_of(library, report, "Latency") == f"p95 is 34{number + 1} ms."
    assert sound(folder_store(library).reports_root)


@each_point
@each_save
def test_a_save_during_the_taking_in_of_an_earlier_one_is_taken_in_too(
    tmp_path: Path, save: Save, point: tuple[str, str]
) -> None:
    root = tmp_path / "root"
    some_versions(root)
    path = outline_path(root)
    first = path.read_bytes().replace(b"Line 7.", b"Line seven.")
    path.write_bytes(first)
    meanwhile = Meanwhile(*point, lambda: save(path, first.replace(b'"Health"', f'"{TYPED}"'.encode())))
    with observe_disk(meanwhile):
        read(Library(root))
    assert meanwhile.is_done
    assert Library(root).get_report(GetReport(REPORT))["title"] == TYPED
    assert "Line seven." in content_of(Library(root), REPORT, "Risks")
    assert sound(root)


@each_save
def test_a_save_while_an_older_file_is_set_aside_is_kept(tmp_path: Path, save: Save) -> None:
    root = tmp_path / "root"
    some_versions(root)
    path = outline_path(root)
    typed = path.read_bytes().replace(b"Line 7.", TYPED.encode())
    older = next(path.parent.glob("backups/*")).read_bytes()
    save_by_rename(path, older)
    meanwhile = Meanwhile("write", ".outline", lambda: save(path, typed))
    with observe_disk(meanwhile):
        read(Library(root))
    assert meanwhile.is_done
    assert TYPED in content_of(Library(root), REPORT, "Risks")
    assert sound(root)


def test_a_save_during_an_adoption_is_kept_beside_the_report(tmp_path: Path) -> None:
    root = tmp_path / "root"
    anothers(root)
    path = outline_path(root)
    typed = path.read_bytes().replace(b"Line 1.", TYPED.encode())
    meanwhile = Meanwhile("sync", "audit", lambda: save_by_rename(path, typed))
    with observe_disk(meanwhile):
        update_report(Library(root), REPORT, set_title("Safety"))
    assert meanwhile.is_done
    [aside] = path.parent.glob("outline.*.aside.json")
    assert aside.read_bytes() == typed
    assert Library(root).get_report(GetReport(REPORT))["title"] == "Safety"
    assert sound(root)


def test_half_a_save_during_a_commit_is_waited_for(library: Library) -> None:
    """An editor that writes in place shows a part of its text for a moment."""
    report = create_report(library)
    path = folder_of(library, report) / "outline.json"
    buffer = path.read_bytes().replace(b"p95 is 340 ms.", TYPED.encode())
    half = buffer[: buffer.index(TYPED.encode()) + 10]
    with observe_disk(Meanwhile("sync", "audit", lambda: path.write_bytes(half))):
        assert update_report(library, report, append_text("by the agent"))["version"] == 2
    answer = library.get_report(GetReport(report))
    assert (answer["version"], path.read_bytes()) == (2, half)
    assert "not a valid outline" in answer["warnings"][0]
    path.write_bytes(buffer)
    assert content_of(library, report, "Latency") == TYPED
    assert content_of(library, report).endswith("by the agent")
    assert sound(folder_store(library).reports_root)


@pytest.mark.parametrize("length", [0, 200])
def test_a_save_that_looks_like_a_crash_is_set_aside_until_it_is_finished(
    library: Library, length: int
) -> None:
    """So far the person's file holds nothing but the beginning of a version."""
    report = create_report(library)
    path = folder_of(library, report) / "outline.json"
    buffer = path.read_bytes().replace(b"p95 is 340 ms.", TYPED.encode())
    with observe_disk(Meanwhile("sync", "audit", lambda: path.write_bytes(buffer[:length]))):
        assert update_report(library, report, append_text("by the agent"))["version"] == 2
    [warning] = library.get_report(GetReport(report))["warnings"]
    [aside] = path.parent.glob("outline.*.aside.json")
    assert aside.name in warning
    assert aside.read_bytes() == buffer[:length]
    path.write_bytes(buffer)
    assert content_of(library, report, "Latency") == TYPED
    assert content_of(library, report).endswith("by the agent")
    assert sound(folder_store(library).reports_root)


def test_bytes_that_no_version_has_are_never_pruned(library: Library) -> None:
    """The text that a person typed into a file that is no outline any more stands nowhere else."""
    report = create_report(library)
    folder = folder_of(library, report)
    path = folder / "outline.json"
    update_report(library, report, append_text("by the agent"))
    broken = path.read_bytes().replace(b'"p95 is 340 ms."', TYPED.encode())
    save_by_rename(path, broken)
    library.revert_report(RevertReport(report, 2), author=ANN)
    for number in range(20):
        update_report(library, report, set_title(f"Title {number}"))
    assert broken in [backup.read_bytes() for backup in folder.glob("backups/*")]
    assert sound(folder_store(library).reports_root)


# --- Lists --------------------------------------------------------------------------------


def listed(root: Path) -> dict[str, str]:
    return {row["report_id"]: row["title"] for row in Library(root).list_reports(ListReports())["reports"]}


def test_who_writes_an_entry_holds_the_report(library: Library) -> None:
    """Else the first entry of a new report may overtake that of its first change."""
    root, was_busy = folder_store(library).reports_root, []

    def try_to_hold(folder: Path) -> None:
        try:
            with hold(folder / ".lock", 0.0):
                was_busy.append(False)
        except LockTimeoutError:
            was_busy.append(True)

    def observer(operation: str, details: tuple[Any, ...]) -> None:
        if (operation, details[0].name) == ("write", "index.jsonl"):
            [folder] = [*root.glob("by_id/[0-9a-f]*"), *root.glob(".trash/*")]
            other = threading.Thread(target=try_to_hold, args=[folder])
            other.start()
            other.join()

    with observe_disk(observer):
        report = create_report(library)
        update_report(library, report, set_title("Changed"))
        library.trash_report(TrashReport(report), author=ANN)
        library.restore_report(RestoreReport(report), author=ANN)
    assert was_busy == [True] * 4


DELETING = """
import os, signal, sys
from pathlib import Path
from living_reports.storage import GlobalStorage
from living_reports.store.files import durable
from support.stored_reports import event_of_type

def die_before_the_move(operation, details):
    if (operation, details[0].name) == ("rename", report):
        os.kill(os.getpid(), signal.SIGKILL)

root, report = sys.argv[1:]
durable.observer = die_before_the_move
GlobalStorage(Path(root)).trash(report, event_of_type("delete", report))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel who waits")
def test_a_deletion_that_waited_for_a_change_is_marked_when_it_begins(library: Library) -> None:
    """The change takes the mark away that it finds; the deletion is killed before its move."""
    report, root = create_report(library), folder_store(library).reports_root
    assert listed(root) == {report: "Health"}  # the look that follows a start is over
    with ExitStack() as stack:
        with folder_store(library).get_report_storage(report).lock():
            deleting = stack.enter_context(start_python("-c", DELETING, str(root), report))
            wait_until_blocked(deleting.pid)
            update_report(library, report, set_title("Changed"))
        assert deleting.wait() == -signal.SIGKILL
    assert listed(root) == {}
    with pytest.raises(ReportNotFoundError):
        library.get_report(GetReport(report))


# --- Reading and checking what moves -------------------------------------------------------


def test_a_reader_of_a_report_on_its_way_to_the_trash_gets_it_or_is_told_that_it_is_gone(
    library: Library,
) -> None:
    report, root = create_report(library), folder_store(library).reports_root
    done, failures = threading.Event(), []
    answers: set[str] = set()

    def look() -> None:
        reader = Library(root)
        while not done.is_set():
            try:
                assert reader.get_report(GetReport(report))["title"] == "Health"
                assert reader.audit_report(AuditReport(report, verify=True))["verified"]["ok"]
                answers.add("there")
            except ReportNotFoundError:
                answers.add("gone")
            except Exception as error:
                failures.append(error)
                return

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(20):
        library.trash_report(TrashReport(report), author=ANN)
        library.restore_report(RestoreReport(report), author=ANN)
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert answers == {"there", "gone"}
    assert sound(root)


@pytest.mark.parametrize("name", ["outline.json", "audit.jsonl"])
def test_an_export_that_cannot_hold_the_lock_is_of_one_moment(
    library: Library, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = create_report(library)
    writes = [lambda: update_report(library, report, set_title("Changed"))]

    def read_after_a_write(path: Path) -> bytes:
        """Read a file that somebody else writes just before, once."""
        if path.name == name and writes:
            writes.pop()()
        return read_regular(path)

    monkeypatch.setattr(transfer, "read_regular", read_after_a_write)
    files = exported_files(folder_store(library).get_report_storage(report), attempts=2)
    assert not writes
    newest = json.loads(files["audit.jsonl"].splitlines()[-1])
    assert newest["payload"]["outline_sha256"] == sha256_hex(files["outline.json"])


MOMENTS = ["create", "write", "sync", "sync_folder", "rename", "link", "remove"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_check_beside_writers_finds_nothing_wrong(tmp_path: Path, moment: str) -> None:
    """A check begins before each operation of a writer, and goes on while that is held up."""
    root = tmp_path / "root"
    some_versions(root)
    library, found = Library(root), []

    def check_beside(operation: str, details: tuple[Any, ...]) -> None:
        if operation != moment:
            return
        other = threading.Thread(target=lambda: found.extend(check_root(root)))
        other.start()
        other.join(0.05)  # where it waits for the writer it goes on later
        checks.append(other)

    checks: list[threading.Thread] = []
    with observe_disk(check_beside):
        made = create_report(library, "New")
        update_report(library, REPORT, set_title("Safety"))
        library.trash_report(TrashReport(made), author=ANN)
        library.restore_report(RestoreReport(made), author=ANN)
        library.trash_report(TrashReport(OTHER), author=ANN)
    for check in checks:
        check.join()
    assert checks
    assert [finding for finding in found if finding.severity != "info"] == []
