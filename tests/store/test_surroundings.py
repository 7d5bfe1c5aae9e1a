"""Hostile and merely unusual surroundings: each has a defined behaviour, said in docs/surroundings.md."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import living_reports.library.library  # noqa: F401  a child without rights cannot import it any more
from living_reports.errors import (
    AmbiguousSelectorError,
    ReportError,
    StorageFailedError,
)
from living_reports.library import Library, context
from living_reports.library.requests import (
    AuditReport,
    CreateReport,
    GetReport,
    ListReports,
    RevertReport,
    TrashReport,
)
from living_reports.model.report import parse_outline
from living_reports.storage import Note
from living_reports.store import base
from living_reports.store.files import commit
from support.fuzzing import Answer, check_answer, exchange
from support.library_reports import (
    ANN,
    BEN,
    append_text,
    content_of,
    create_report,
    folder_of,
    folder_store,
    replace_content,
    set_title,
    update_report,
)
from support.wire import Wire, start_server, tool_call

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="owners and modes of POSIX")
NOBODY = 65534


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "root", lock_timeout_s=5.0)


def outline_of(library: Library, report: str) -> Path:
    return folder_of(library, report) / "outline.json"


def versions(library: Library, report: str) -> list[int]:
    """The versions in the log, newest first; the chain is found whole on the way."""
    answer = library.audit_report(AuditReport(report, verify=True, limit=100))
    assert answer["verified"]["ok"], answer["verified"]
    return [event["version"] for event in answer["events"]]


def tell(wire: Wire, tool: str, **arguments: Any) -> Answer:
    """The answer of a call that has to succeed."""
    refused, answer = check_answer(exchange(wire, tool_call(7, tool, **arguments)), Path("/nowhere"))
    assert not refused, answer
    return answer


def refuse(wire: Wire, root: Path, tool: str, **arguments: Any) -> Answer:
    """The error of a call that has to be refused. It does not say where the root is."""
    refused, error = check_answer(exchange(wire, tool_call(7, tool, **arguments)), root)
    assert refused, error
    return error


# --- Links that lead out -----------------------------------------------------------------


@POSIX
def test_a_report_folder_that_is_a_link_is_neither_read_nor_written(library: Library, tmp_path: Path) -> None:
    report, root = create_report(library), folder_store(library).reports_root
    outside = tmp_path / "outside"
    shutil.move(folder_of(library, report), outside)
    folder_of(library, report).symlink_to(outside, target_is_directory=True)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    with start_server(root) as wire:
        for tool, arguments in (
            ("get_report", {}),
            ("audit_report", {"verify": True}),
            ("update_report", {"changes": [append_text("x")]}),
            ("revert_report", {"to_version": 1}),
        ):
            error = refuse(wire, tmp_path, tool, report=report, **arguments)
            assert (error["code"], error["damaged"]) == ("corrupt_report", "folder")
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before


@POSIX
@pytest.mark.parametrize("name", ["audit.jsonl", ".head", ".lock", "backups"])
def test_a_file_of_a_report_that_is_a_link_is_not_written_through(
    library: Library, tmp_path: Path, name: str
) -> None:
    report = create_report(library)
    update_report(library, report, append_text("y"))
    folder, outside = folder_of(library, report), tmp_path / "outside"
    shutil.move(folder / name, outside)
    (folder / name).symlink_to(outside, target_is_directory=outside.is_dir())
    before = outside.read_bytes() if outside.is_file() else sorted(os.listdir(outside))
    with start_server(folder_store(library).reports_root) as wire:
        message = exchange(wire, tool_call(7, "update_report", report=report, changes=[append_text("x")]))
        refused, answer = check_answer(message, tmp_path)
        assert not refused or answer["code"] in ("storage_failed", "corrupt_report")
    assert before == (outside.read_bytes() if outside.is_file() else sorted(os.listdir(outside)))


# --- Somebody else's files ---------------------------------------------------------------


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that other users may look into, unlike those of `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def without_rights(function: Callable[[], Any]) -> Any:
    """Return the result of a function in a process of an ordinary user, also if the tests run as root."""
    # What is loaded lazily is loaded now: the user may not be able to read the interpreter's own files.
    with tempfile.TemporaryDirectory() as folder:
        create_report(Library(Path(folder)), "Warm")
        Library(Path(folder)).list_reports(ListReports())
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the child uses no other thread
        child = os.fork()
    if child == 0:  # pragma: no cover - it leaves without a report
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(writer, json.dumps(function()).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    assert data, "the child failed"
    return json.loads(data)


def attempt(call: Callable[[], Any]) -> Any:
    """The answer, or the error as a caller gets it."""
    try:
        return call()
    except ReportError as error:
        return error.answer()


def everything(root: Path, report: str) -> dict[str, Any]:
    """Each use case once, as an ordinary user."""
    library = Library(root, lock_timeout_s=1.0)
    return {
        "get": attempt(lambda: library.get_report(GetReport(report))),
        "old": attempt(lambda: library.get_report(GetReport(report, version=1, sections=["Errors"]))),
        "list": attempt(lambda: library.list_reports(ListReports())),
        "audit": attempt(lambda: library.audit_report(AuditReport(report, verify=True))),
        "update": attempt(lambda: update_report(library, report, append_text("x"))),
        "dry run": attempt(lambda: update_report(library, report, append_text("x"), dry_run=True)),
        "revert": attempt(lambda: library.revert_report(RevertReport(report, 1), author=ANN)),
        "create": attempt(lambda: library.create_report(CreateReport("Another"), author=ANN)),
        "delete": attempt(lambda: library.trash_report(TrashReport(report), author=ANN)),
    }


def make_read_only(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


@POSIX
def test_a_read_only_root_can_be_read_and_says_so_to_writers(open_place: Path) -> None:
    root = open_place / "root"
    library = Library(root)
    report = create_report(library)
    update_report(library, report, append_text("y"))
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    make_read_only(root)
    done = without_rights(lambda: everything(root, report))
    assert (done["get"]["version"], done["old"]["version"]) == (2, 1)
    assert [row["report_id"] for row in done["list"]["reports"]] == [report]
    assert done["audit"]["verified"]["ok"]
    for tool in ("update", "revert", "create", "delete"):
        assert done[tool]["error"]["code"] == "storage_failed", done[tool]
        assert done[tool]["error"]["happened"] == "no"
        assert str(root) not in json.dumps(done[tool])
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)  # so that it can be removed


ROOT = pytest.mark.skipif(getattr(os, "geteuid", lambda: -1)() != 0, reason="needs files of two users")


@POSIX
@ROOT
@pytest.mark.parametrize(("mode", "is_read"), [(0o755, True), (0o700, False)])
def test_a_report_of_somebody_else_leaves_the_others_alone(
    open_place: Path, mode: int, is_read: bool
) -> None:
    root = open_place / "root"
    library = Library(root)
    report, own = create_report(library), create_report(library, "Own")
    folder = folder_of(library, report)
    for path in [root, *root.rglob("*")]:
        if path != folder and folder not in path.parents:
            os.chown(path, NOBODY, NOBODY)
    folder.chmod(mode)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def both() -> dict[str, Any]:
        return {"theirs": everything(root, report), "mine": everything(root, own)}

    done = without_rights(both)
    theirs, mine = done["theirs"], done["mine"]
    for tool in ("update", "revert", "delete") + (() if is_read else ("get", "old", "audit", "dry run")):
        assert theirs[tool]["error"]["code"] == "storage_failed", (tool, theirs[tool])
        assert theirs[tool]["error"]["happened"] == "no"
    if is_read:
        assert theirs["get"]["version"] == 1
        assert theirs["audit"]["verified"]["ok"]
    assert "error" not in mine["update"]
    assert "error" not in mine["create"]
    assert own in [row["report_id"] for row in theirs["list"]["reports"]]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


# --- The clock ---------------------------------------------------------------------------


def set_clock(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Clock:
            return cls.fromtimestamp(now.timestamp(), tz)

    for module in (base, commit, context):
        monkeypatch.setattr(module, "datetime", Clock)


def test_a_clock_that_goes_backwards_keeps_versions_and_backups_in_order(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = datetime(2026, 11, 23, 10, tzinfo=UTC)
    set_clock(monkeypatch, start)
    report = create_report(library)
    for step in range(1, 9):
        set_clock(monkeypatch, start - timedelta(days=step))
        update_report(library, report, replace_content(f"step {step}"))
    assert versions(library, report) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    for version in range(2, 10):
        assert content_of(library, report, version=version) == f"step {version - 1}"
    names = sorted(os.listdir(folder_of(library, report) / "backups"))
    kept = [parse_outline((folder_of(library, report) / "backups" / name).read_bytes()) for name in names]
    stated = [outline.outline_version for outline in kept]
    assert stated == sorted(stated)
    stamps = [event["ts"] for event in library.audit_report(AuditReport(report))["events"]]
    assert stamps == sorted(stamps)  # newest first, and each is older than the one before it
    assert library.revert_report(RevertReport(report, 2), author=ANN)["version"] == 10


def test_a_clock_that_goes_backwards_only_changes_the_order_of_a_list(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, datetime(2030, 1, 1, tzinfo=UTC))
    early = create_report(library, "Made first, by a clock that was ahead")
    set_clock(monkeypatch, datetime(2026, 1, 1, tzinfo=UTC))
    late = create_report(library, "Made second")
    rows = Library(folder_store(library).reports_root).list_reports(ListReports())["reports"]
    assert [row["report_id"] for row in rows] == [early, late]


# --- Two roots, equal titles -------------------------------------------------------------


def test_two_roots_know_nothing_of_each_other(tmp_path: Path) -> None:
    with start_server(tmp_path / "a") as one, start_server(tmp_path / "b") as two:
        made = tell(one, "create_report", title="Health", request_id="r1")
        again = tell(two, "create_report", title="Other", request_id="r1")
        assert made["report_id"] == again["report_id"]  # the id follows from the request, not from the root
        assert tell(one, "get_report", report="Health")["title"] == "Health"
        assert refuse(two, tmp_path, "get_report", report="Health")["code"] == "report_not_found"
        tell(one, "update_report", report="Health", changes=[set_title("Changed")])
        assert tell(two, "get_report", report="Other")["version"] == 1
        assert tell(two, "list_reports")["total"] == 1


@pytest.mark.parametrize("title", ["HEALTH", " health ", "Ｈealth".replace("Ｈ", "H"), "hea\u200dlth"])
def test_titles_that_differ_in_case_are_told_apart_by_id(library: Library, title: str) -> None:
    first = create_report(library, "Health")
    second = create_report(library, title)
    assert first != second
    clash = title.strip().casefold() == "health"
    if not clash:
        assert update_report(library, "Health", append_text("x"))["report_id"] == first
        return
    with pytest.raises(AmbiguousSelectorError) as caught:
        update_report(library, "Health", append_text("x"))
    assert {row["report_id"] for row in caught.value.details["candidates"]} == {first, second}
    for report in (first, second):
        assert update_report(library, report, append_text("x"))["report_id"] == report
    update_report(library, second, {"op": "set_status", "status": "archived"})
    assert update_report(library, "Health", append_text("y"))["report_id"] == first


def test_titles_that_look_alike_clash_in_every_form_of_unicode(library: Library) -> None:
    create_report(library, "Caf\u00e9")
    create_report(library, "CAFE\u0301")
    with pytest.raises(AmbiguousSelectorError):
        library.get_report(GetReport("caf\u00e9"))


# --- Folders that people copied, locks that people removed --------------------------------


def test_a_folder_copied_to_a_second_id_is_refused_and_harms_nobody(library: Library, tmp_path: Path) -> None:
    report = create_report(library)
    update_report(library, report, append_text("y"))
    copy = "7c4e8a52-1d3b-4e5f-9a6b-0123456789ab"
    shutil.copytree(folder_of(library, report), folder_of(library, copy))
    before = {path: path.read_bytes() for path in folder_of(library, copy).rglob("*") if path.is_file()}
    with start_server(folder_store(library).reports_root) as wire:
        for tool, arguments in (
            ("get_report", {}),
            ("update_report", {"changes": [append_text("x")]}),
            ("revert_report", {"to_version": 1}),
        ):
            error = refuse(wire, tmp_path, tool, report=copy, **arguments)
            assert error["code"] == "corrupt_report", error
        assert [row["report_id"] for row in tell(wire, "list_reports")["reports"]] == [report]
        assert tell(wire, "update_report", report="Health", changes=[append_text("x")])["version"] == 3
    after = {path: path.read_bytes() for path in folder_of(library, copy).rglob("*") if path.is_file()}
    assert after == before
    assert versions(library, report) == [3, 2, 1]


@POSIX
def test_a_lock_removed_under_a_live_server_is_made_again(library: Library) -> None:
    report = create_report(library)
    lock = folder_of(library, report) / ".lock"
    with start_server(folder_store(library).reports_root) as wire:
        for version in range(2, 6):
            assert (
                tell(wire, "update_report", report=report, changes=[append_text("x")])["version"] == version
            )
            lock.unlink()
        assert tell(wire, "get_report", report=report)["version"] == 5
        lock.unlink()
        update_report(library, report, append_text("y"))
        assert tell(wire, "update_report", report=report, changes=[append_text("x")])["version"] == 7
    assert versions(library, report) == [7, 6, 5, 4, 3, 2, 1]


@POSIX
def test_a_lock_removed_while_it_is_held_stops_that_commit_alone(library: Library) -> None:
    report = create_report(library)
    storage = folder_store(library).get_report_storage(report)

    def commit_without_a_lock() -> None:
        with storage.edit() as edit:
            (folder_of(library, report) / ".lock").unlink()
            outline = edit.snapshot.outline.model_copy(update={"title": "Torn"})
            edit.put(outline, Note("rename", ANN))

    with pytest.raises(StorageFailedError) as caught:
        commit_without_a_lock()
    assert caught.value.details["happened"] == "no"
    assert update_report(library, report, append_text("x"))["version"] == 2
    assert versions(library, report) == [2, 1]


# --- A person and an editor --------------------------------------------------------------


def edited(path: Path, old: str, new: str) -> str:
    text = path.read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new)


def save_in_place(path: Path, text: str) -> None:
    """As nano and vim with backupcopy=yes do: the same file, new bytes."""
    path.write_text(text, encoding="utf-8")


def save_by_rename(path: Path, text: str) -> None:
    """As vim, VS Code and sed -i do: another file under the same name."""
    other = path.with_name("outline.json.swp")
    other.write_text(text, encoding="utf-8")
    other.replace(path)


SAVE = pytest.mark.parametrize("save", [save_in_place, save_by_rename])
Save = Callable[[Path, str], None]


@SAVE
def test_an_edit_in_an_editor_becomes_a_version_while_the_server_runs(library: Library, save: Save) -> None:
    report = create_report(library)
    with start_server(folder_store(library).reports_root) as wire:
        tell(wire, "update_report", report=report, changes=[append_text("by the agent")])
        save(outline_of(library, report), edited(outline_of(library, report), "12 %", "13 %"))
        answer = tell(wire, "get_report", report=report, sections=["Errors"])
        assert answer["version"] == 3
        assert "13 %" in answer["sections"][0]["content"]
        assert "by hand" in answer["warnings"][0]
        assert tell(wire, "update_report", report=report, changes=[append_text("later")])["version"] == 4
        newest = tell(wire, "audit_report", report=report)["events"]
    assert [(event["actor"], event["action_type"]) for event in newest[:2]] == [
        ("agent", "evolve"),
        ("human", "manual_edit_detected"),
    ]
    assert versions(library, report) == [4, 3, 2, 1]
    assert "12 %" in content_of(library, report, version=2)


@SAVE
def test_an_edit_that_is_no_outline_stops_writes_until_a_revert(
    library: Library, save: Save, tmp_path: Path
) -> None:
    report = create_report(library)
    update_report(library, report, append_text("y"))
    with start_server(folder_store(library).reports_root) as wire:
        save(outline_of(library, report), "{ half an edit")
        answer = tell(wire, "get_report", report=report)
        assert answer["version"] == 2
        assert "damaged" in answer["warnings"][0]
        error = refuse(wire, tmp_path, "update_report", report=report, changes=[append_text("x")])
        assert (error["code"], error["newest_good_version"]) == ("corrupt_report", 2)
        assert outline_of(library, report).read_text(encoding="utf-8") == "{ half an edit"
        assert tell(wire, "revert_report", report=report, to_version=2)["version"] == 3
        assert tell(wire, "update_report", report=report, changes=[append_text("x")])["version"] == 4
    assert versions(library, report) == [4, 3, 2, 1]


@SAVE
def test_an_old_buffer_saved_over_later_versions_erases_nothing(library: Library, save: Save) -> None:
    report = create_report(library)
    buffer = edited(outline_of(library, report), "p95 is 340 ms.", "p95 is 350 ms.")
    update_report(library, report, append_text("a later word"), author=BEN)
    update_report(
        library, report, {"op": "add_insight", "section": "Latency", "summary": "a later find"}, author=BEN
    )
    save(outline_of(library, report), buffer)
    answer = library.get_report(GetReport(report, view="full"))
    shown = json.dumps(answer)
    assert "a later word" in shown
    assert "a later find" in shown
    kept = [
        path.read_text(encoding="utf-8")
        for path in folder_of(library, report).rglob("outline*")
        if path.is_file()
    ]
    assert buffer in kept
    assert answer["warnings"]
    assert update_report(library, report, append_text("and on"))["version"] >= 4
    assert versions(library, report)[-1] == 1
    assert "a later word" in content_of(library, report)


@SAVE
def test_an_old_version_copied_over_the_current_one_is_set_aside(library: Library, save: Save) -> None:
    report = create_report(library)
    first = outline_of(library, report).read_text(encoding="utf-8")
    update_report(library, report, append_text("later"))
    update_report(library, report, append_text("and later"))
    save(outline_of(library, report), first)
    answer = library.get_report(GetReport(report))
    assert answer["version"] == 3
    [warning] = answer["warnings"]
    assert "an older one" in warning
    [aside] = folder_of(library, report).glob("outline.*.aside.json")
    assert aside.name in warning
    assert aside.read_text(encoding="utf-8") == first
    assert versions(library, report) == [3, 2, 1]


def test_a_file_that_was_only_formatted_anew_makes_no_version(library: Library) -> None:
    report = create_report(library)
    path = outline_of(library, report)
    usual = path.read_text(encoding="utf-8")
    path.write_text(json.dumps(json.loads(usual), ensure_ascii=True), encoding="utf-8")
    assert library.get_report(GetReport(report))["version"] == 1
    assert path.read_text(encoding="utf-8") == usual
    assert versions(library, report) == [1]


# --- Things that went away ---------------------------------------------------------------


def test_a_root_removed_under_a_live_server_is_an_empty_root(library: Library, tmp_path: Path) -> None:
    report = create_report(library)
    root = folder_store(library).reports_root
    with start_server(root) as wire:
        assert tell(wire, "get_report", report=report)["version"] == 1
        shutil.rmtree(root)
        assert refuse(wire, tmp_path, "get_report", report=report)["code"] == "report_not_found"
        assert tell(wire, "list_reports") == {"reports": [], "total": 0}
        assert tell(wire, "create_report", title="New")["version"] == 1


def test_an_outline_that_was_removed_comes_back_from_the_log(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("y"))
    before = outline_of(library, report).read_bytes()
    outline_of(library, report).unlink()
    assert "missing" in library.get_report(GetReport(report))["warnings"][0]
    assert outline_of(library, report).read_bytes() == before


def test_a_log_that_was_removed_is_noticed_and_the_versions_go_on(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("y"))
    (folder_of(library, report) / "audit.jsonl").unlink()
    verified = library.audit_report(AuditReport(report, verify=True))["verified"]
    assert [finding["code"] for finding in verified["findings"]] == ["head_mismatch"]
    assert library.get_report(GetReport(report))["version"] == 2
    assert (
        update_report(library, report, append_text("x"))["version"] == 4
    )  # the third takes in what was found
    assert "y" in content_of(library, report, version=3)
