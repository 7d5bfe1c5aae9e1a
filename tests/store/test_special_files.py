"""FIFOs, sockets and devices in the places of files: no call waits for them, and doctor names them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import InvalidInputError, ReportError, StorageFailedError
from living_reports.install import install
from living_reports.interchange.importing import import_reports
from living_reports.library import Library
from living_reports.library.integrity import check_store
from living_reports.library.requests import (
    AuditReport,
    CheckReport,
    CreateReport,
    DiffReport,
    GetReport,
    ListReports,
    RenderReport,
    RevertReport,
    TrashReport,
)
from living_reports.settings import load_token
from living_reports.store import open_store
from support.fuzzing import check_answer, exchange
from support.library_reports import ANN, append_text, create_report, folder_of, folder_store, update_report
from support.processes import child_environment
from support.wire import start_server, tool_call

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="special files of POSIX")

LIMIT_S = 60.0
"""How long a call may take before the test takes it for hanging."""


# --- Special files ------------------------------------------------------------------------


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with chdir(path.parent), socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)


def make_device(path: Path) -> None:
    """Make the device of endless zeros."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        path.open("rb").close()
    except PermissionError:
        path.unlink(missing_ok=True)
        pytest.skip("only root may make devices, and not everywhere")


Make = Callable[[Path], None]
each_kind = pytest.mark.parametrize("make", [make_fifo, make_socket, make_device])


def put_in_place(make: Make, path: Path) -> None:
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    make(path)


def outcome(call: Callable[[], Any]) -> Any:
    """Return the answer or the error of a call; fail if it does not return."""
    returned: list[Any] = []

    def run() -> None:
        try:
            returned.append(call())
        except Exception as error:
            returned.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    assert not thread.is_alive(), "the call hangs"
    return returned[0]


# --- In the store -------------------------------------------------------------------------


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path / "root", lock_timeout_s=5.0)
    report = create_report(library)
    for text in ("one", "two", "three"):
        update_report(library, report, append_text(text))
    library.list_reports(ListReports("Errors"))
    return library


def report_of(library: Library) -> str:
    [folder] = folder_store(library).by_id.iterdir()
    return folder.name


def calls(library: Library, report: str) -> dict[str, Callable[[], Any]]:
    return {
        "doctor": lambda: check_store(library.store, deep=True),
        "get": lambda: library.get_report(GetReport(report, view="full")),
        "get old": lambda: library.get_report(GetReport(report, version=2)),
        "list": lambda: library.list_reports(ListReports()),
        "search": lambda: library.list_reports(ListReports("Errors")),
        "audit": lambda: library.audit_report(AuditReport(report, verify=True)),
        "diff": lambda: library.diff_report(DiffReport(report, 1)),
        "check": lambda: library.check_report(CheckReport(report)),
        "export": lambda: library.store.export(report),
        "update": lambda: update_report(library, report, append_text("four")),
        "revert": lambda: library.revert_report(RevertReport(report, to_version=2), ANN),
        "render": lambda: library.render_report(RenderReport(report, to_file=True)),
        "create": lambda: create_report(library, "Another"),
        "doctor --repair": lambda: check_store(library.store, repair=True),
        "trash": lambda: library.trash_report(TrashReport(report), ANN),
    }


IN_ROOT = (
    "index.jsonl",
    ".index.lock",
    ".pending/{report}",
    ".search.sqlite",
    ".search.sqlite-journal",
    ".search.sqlite-wal",
    ".search.lock",
)
IN_REPORT = ("outline.json", "audit.jsonl", ".head", ".lock", "backups/{backup}")


@each_kind
@pytest.mark.parametrize("place", [*IN_ROOT, *(f"by_id/{{report}}/{name}" for name in IN_REPORT)])
def test_no_call_waits_for_what_is_in_the_place_of_a_file(library: Library, make: Make, place: str) -> None:
    root, report = folder_store(library).reports_root, report_of(library)
    backup = max(os.listdir(folder_of(library, report) / "backups"))
    place = place.format(report=report, backup=backup)
    put_in_place(make, root / place)
    again = Library(root, lock_timeout_s=5.0)  # which remembers nothing
    outcomes = {name: outcome(call) for name, call in calls(again, report).items()}
    errors = {name: error for name, error in outcomes.items() if isinstance(error, Exception)}
    for name, error in errors.items():
        assert isinstance(error, ReportError), (name, error)
        assert error.code in ("storage_failed", "corrupt_report", "report_not_found"), (name, error)
        assert str(root) not in error.message
    [finding] = [row for row in outcomes["doctor"]["findings"] if row["file"] == place]
    if "pending" in place:
        assert finding["code"] == "pending_mark"
    else:
        assert (finding["code"], finding["severity"]) == ("unreadable", "error")
        assert not outcomes["doctor"]["ok"]
    if "by_id" not in place or "backups" in place:
        assert "get" not in errors


def test_the_error_names_the_file_and_nothing_is_changed(library: Library) -> None:
    folder = folder_of(library, report_of(library))
    log = (folder / "audit.jsonl").read_bytes()
    put_in_place(make_fifo, folder / "outline.json")
    for name in ("get", "update"):
        error = outcome(calls(library, folder.name)[name])
        assert isinstance(error, StorageFailedError)
        assert error.details["happened"] == "no"
        assert error.message == "outline.json cannot be used: it is not a regular file. Nothing was changed."
    assert (folder / "audit.jsonl").read_bytes() == log
    (folder / "outline.json").unlink()  # the log still has everything
    answer = outcome(calls(library, folder.name)["get"])
    assert "three" in json.dumps(answer)


@pytest.mark.parametrize("place", ["index.jsonl", "by_id/{report}/outline.json"])
def test_a_server_answers_and_goes_on(library: Library, place: str) -> None:
    root, report = folder_store(library).reports_root, report_of(library)
    put_in_place(make_fifo, root / place.format(report=report))
    with start_server(root) as wire:
        for tool, arguments in (("list_reports", {"query": "Errors"}), ("get_report", {"report": report})):
            refused, answer = check_answer(exchange(wire, tool_call(7, tool, **arguments)), root)
            assert not refused or answer["code"] == "storage_failed"
        refused, _ = check_answer(exchange(wire, tool_call(8, "create_report", title="New")), root)
        assert not refused


def test_everything_works_again_without_it(library: Library) -> None:
    root, report = folder_store(library).reports_root, report_of(library)
    put_in_place(make_fifo, root / "index.jsonl")
    assert isinstance(outcome(calls(library, report)["list"]), StorageFailedError)
    assert "version" in outcome(calls(library, report)["update"])
    (root / "index.jsonl").unlink()
    [row] = outcome(calls(library, report)["search"])["reports"]
    assert (row["report_id"], row["version"]) == (report, 5)
    assert outcome(calls(library, report)["doctor --repair"])["ok"]


@each_kind
def test_a_change_does_not_wait_for_a_mark(library: Library, make: Make) -> None:
    report = report_of(library)
    put_in_place(make, folder_store(library).reports_root / ".pending" / report)
    error = outcome(calls(library, report)["update"])
    assert isinstance(error, StorageFailedError)
    assert error.details["happened"] == "no"
    outcome(calls(library, report)["list"])  # removes it
    assert outcome(calls(library, report)["update"])["version"] == 5


def test_a_link_to_a_device_is_not_read_for_good(library: Library) -> None:
    report = report_of(library)
    path = folder_of(library, report) / "outline.json"
    path.unlink()
    path.symlink_to("/dev/zero")
    for name, call in calls(library, report).items():
        assert outcome(call) is not None, name


# --- Templates ----------------------------------------------------------------------------

TEMPLATE = b'{"sections": [{"title": "Secret plan"}]}'


def link_to_a_template(path: Path) -> None:
    outside = path.parents[2] / "outside.json"
    outside.write_bytes(TEMPLATE)
    path.symlink_to(outside)


@pytest.mark.parametrize("make", [make_fifo, make_socket, make_device, link_to_a_template, Path.mkdir])
def test_a_template_has_to_be_a_regular_file(library: Library, make: Make) -> None:
    templates = folder_store(library).reports_root / "templates"
    templates.mkdir()
    (templates / "good.json").write_bytes(TEMPLATE)
    make(templates / "bad.json")
    error = outcome(lambda: library.create_report(CreateReport("A", template="bad"), ANN))
    assert isinstance(error, InvalidInputError)
    assert (error.details["path"], "Secret" in error.message) == ("template", False)
    assert "bad.json cannot be read: it is" in error.message
    assert "report_id" in outcome(lambda: library.create_report(CreateReport("B", template="good"), ANN))
    found = [(row["file"], row["severity"]) for row in check_store(library.store)["findings"]]
    assert found == [("templates/bad.json", "error")]


def test_a_folder_of_templates_that_is_a_link_is_not_read(library: Library, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "bad.json").write_bytes(TEMPLATE)
    (folder_store(library).reports_root / "templates").symlink_to(outside)
    error = outcome(lambda: library.create_report(CreateReport("A", template="bad"), ANN))
    assert isinstance(error, InvalidInputError)
    assert "report_id" in outcome(lambda: library.create_report(CreateReport("B"), ANN))
    found = [(row["file"], row["code"]) for row in check_store(library.store)["findings"]]
    assert found == [("templates", "symlink")]


# --- Imports, the command line, settings --------------------------------------------------


@each_kind
def test_what_is_imported_has_to_be_a_regular_file(library: Library, tmp_path: Path, make: Make) -> None:
    store = open_store(tmp_path / "other")
    make(tmp_path / "guide.md")
    error = outcome(lambda: import_reports(store, tmp_path / "guide.md", author=ANN))
    assert isinstance(error, InvalidInputError)
    assert error.message == "guide.md is neither a file nor a folder."
    for name in ("audit.jsonl", "outline.json", ".head"):
        source = tmp_path / name / report_of(library)
        shutil.copytree(folder_of(library, report_of(library)), source)
        put_in_place(make, source / name)
        error = outcome(partial(import_reports, store, source, author=ANN))
        assert isinstance(error, InvalidInputError), name
        assert store.locate(source.name) == ""


@each_kind
def test_a_file_given_to_a_command_has_to_be_a_regular_one(
    library: Library, tmp_path: Path, make: Make
) -> None:
    make(tmp_path / "given")
    root = folder_store(library).reports_root
    for arguments in (
        ["update", report_of(library), "--changes", str(tmp_path / "given"), "--json"],
        ["serve", "--http", "0", "--token-file", str(tmp_path / "given")],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "living_reports", *arguments],
            env=child_environment() | {"LIVING_REPORTS_ROOT": str(root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 2, done
        assert "cannot be read: it is not a regular file" in done.stdout + done.stderr


@each_kind
def test_a_token_and_a_configuration_have_to_be_regular_files(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cursor").mkdir()
    make(tmp_path / ".cursor" / "mcp.json")
    error = outcome(lambda: install("cursor", tmp_path / "root"))
    assert isinstance(error, StorageFailedError)
    assert error.details["happened"] == "no"
    make(tmp_path / "token")
    assert isinstance(outcome(lambda: load_token(str(tmp_path / "token"), {})), InvalidInputError)
