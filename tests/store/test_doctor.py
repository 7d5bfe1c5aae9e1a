"""Check and repair of a whole root: findings name problem, place and severity; a check changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from living_reports.cli.doctor import progress_bar
from living_reports.library import Library
from living_reports.library.requests import (
    CreateReport,
    GetReport,
    ListReports,
    RenderReport,
    RestoreReport,
    TrashReport,
)
from living_reports.store.files import durable
from living_reports.store.files.doctor import check_root
from support.command_line import run_command, run_ok, run_refused
from support.crash.model import read_tree
from support.crash.scenarios import ANN, OTHER, REPORT, anothers, append, delete, outline_path, some_versions
from support.library_reports import folder_store
from support.stored_reports import event_of_type


@pytest.fixture
def root(tmp_path: Path) -> Path:
    some_versions(tmp_path / "reports")
    return tmp_path / "reports"


def found(root: Path, *, deep: bool = False) -> list[tuple[str, str, str, int]]:
    """Return severity, code, place and line of each finding; the check may change nothing."""
    before = read_tree(root)
    findings = check_root(root, deep=deep)
    assert read_tree(root) == before
    return [(finding.severity, finding.code, finding.file, finding.line) for finding in findings]


def test_a_sound_root_has_no_findings(root: Path) -> None:
    delete(Library(root))
    assert found(root, deep=True) == []


def test_what_a_search_leaves_is_ours(root: Path) -> None:
    Library(root).list_reports(ListReports("anything"))
    assert (root / ".search.sqlite").exists()
    assert found(root) == []


def test_a_root_that_is_not_there_has_no_findings(tmp_path: Path) -> None:
    assert found(tmp_path / "nowhere") == []


FOLDER = f"by_id/{REPORT}"

Harm = Callable[[Path], object]


def write(name: str, data: bytes = b"x") -> Harm:
    return lambda root: (root / name).write_bytes(data)


def change(name: str, old: bytes, new: bytes) -> Harm:
    def harm(root: Path) -> None:
        data = (root / name).read_bytes()
        assert old in data
        (root / name).write_bytes(data.replace(old, new, 1))

    return harm


def drop_line(name: str, line: int) -> Harm:
    def harm(root: Path) -> None:
        lines = (root / name).read_bytes().splitlines(keepends=True)
        (root / name).write_bytes(b"".join(lines[: line - 1] + lines[line:]))

    return harm


def empty_folder(root: Path) -> None:
    (root / "by_id" / "7b1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef").mkdir()


def linked_folder(root: Path) -> None:
    (root / "by_id" / "7b1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef").symlink_to(root / "by_id" / OTHER)


def copied_folder(root: Path) -> None:
    shutil.copytree(root / FOLDER, root / "by_id" / "7b1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef")


HARMS: list[tuple[Harm, tuple[str, str, str, int]]] = [
    (write("notes.txt"), ("info", "stray_file", "notes.txt", 0)),
    (write(".index.7-8.tmp"), ("warning", "leftover", ".index.7-8.tmp", 0)),
    (write(f".pending/{REPORT}"), ("warning", "pending_mark", f".pending/{REPORT}", 0)),
    (lambda root: (root / "by_id/.new-x").mkdir(), ("warning", "leftover", "by_id/.new-x", 0)),
    (write("by_id/notes"), ("warning", "stray_file", "by_id/notes", 0)),
    (linked_folder, ("error", "symlink", "by_id/7b1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef", 0)),
    (empty_folder, ("warning", "empty_folder", "by_id/7b1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef", 0)),
    (copied_folder, ("error", "wrong_report", "by_id/7b1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef/audit.jsonl", 1)),
    (write("index.jsonl", b"{torn"), ("info", "bad_entry", "index.jsonl", 1)),
    (write("index.jsonl", b""), ("warning", "entry_missing", "index.jsonl", 0)),
    (change("index.jsonl", b'"Other"', b'"Another"'), ("warning", "entry_stale", "index.jsonl", 2)),
    (lambda root: shutil.rmtree(root / "by_id" / OTHER), ("info", "entry_without_report", "index.jsonl", 2)),
    (write(f"{FOLDER}/notes"), ("warning", "stray_file", f"{FOLDER}/notes", 0)),
    (write(f"{FOLDER}/audit.torn"), ("info", "set_aside", f"{FOLDER}/audit.torn", 0)),
    (write(f"{FOLDER}/.outline.x.tmp"), ("warning", "leftover", f"{FOLDER}/.outline.x.tmp", 0)),
    (write(f"{FOLDER}/backups/mine"), ("info", "stray_file", f"{FOLDER}/backups/mine", 0)),
    (drop_line(f"{FOLDER}/audit.jsonl", 3), ("error", "chain_broken", f"{FOLDER}/audit.jsonl", 3)),
    (drop_line(f"{FOLDER}/audit.jsonl", 7), ("error", "head_mismatch", f"{FOLDER}/audit.jsonl", 6)),
    (
        change(f"{FOLDER}/outline.json", b"Line 7.", b"Line 8."),
        ("warning", "outline_mismatch", f"{FOLDER}/outline.json", 0),
    ),
    (write(f"{FOLDER}/outline.json"), ("error", "damaged", FOLDER, 0)),
]


@pytest.mark.parametrize(("harm", "expected"), HARMS, ids=[expected[1] for _, expected in HARMS])
def test_harm_is_found_and_located(root: Path, harm: Harm, expected: tuple[str, str, str, int]) -> None:
    harm(root)
    assert expected in found(root)


def test_a_version_that_cannot_be_read_back_is_found_by_the_deep_check(root: Path) -> None:
    log = outline_path(root).parent / "audit.jsonl"
    for backup in (log.parent / "backups").iterdir():
        backup.unlink()
    altered = log.read_bytes().replace(b"Line 3.", b"Line X.").replace(b"Line 5.", b"Line Y.")
    log.write_bytes(altered)
    lost = [(line, code) for _, code, _, line in found(root, deep=True) if code == "version_lost"]
    assert lost == [(3, "version_lost"), (4, "version_lost")]  # the others are reached from either end
    assert "version_lost" not in [code for _, code, _, _ in found(root)]


def test_another_writers_report_is_named_and_is_no_damage(tmp_path: Path) -> None:
    anothers(tmp_path / "reports")
    findings = found(tmp_path / "reports", deep=True)
    assert ("info", "foreign", FOLDER, 0) in findings
    assert [code for severity, code, _, _ in findings if severity == "error"] == []


def test_reports_in_the_trash_are_checked_too(root: Path) -> None:
    delete(Library(root))
    [folder] = (root / ".trash").iterdir()
    (folder / "outline.json").write_bytes(b"x")
    findings = found(root)
    assert ("error", "damaged", f".trash/{folder.name}", 0) in findings


def replaced_by_a_link(name: str) -> Harm:
    def harm(root: Path) -> None:
        (root / name).rename(root.parent / "elsewhere")
        (root / name).symlink_to(root.parent / "elsewhere")

    return harm


@pytest.mark.parametrize("name", ["by_id", FOLDER, f"{FOLDER}/outline.json", f"{FOLDER}/backups"])
def test_a_part_that_lies_elsewhere_is_an_error(root: Path, name: str) -> None:
    replaced_by_a_link(name)(root)
    assert ("error", "symlink", name, 0) in found(root)


def test_a_root_may_be_reached_through_a_link(root: Path, tmp_path: Path) -> None:
    write(f"{FOLDER}/notes")(root)
    write("notes.txt")(root)
    (tmp_path / "link").symlink_to(root)
    assert check_root(tmp_path / "link") == check_root(root)
    assert len(check_root(root)) == 2


def test_progress_is_told_report_by_report(root: Path) -> None:
    told: list[tuple[str, int, int]] = []
    check_root(root, deep=True, progress=lambda *step: told.append(step))
    assert told == [("checking", 1, 2), ("checking", 2, 2)]


def test_a_commit_under_way_is_waited_for(root: Path) -> None:
    with folder_store(Library(root)).get_report_storage(REPORT).lock():
        append("Line 8.")(Library(root))
        assert [f for f in check_root(root) if f.severity == "error"] == []


# --- The command --------------------------------------------------------------------------


def doctor(root: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the answer of `living-reports doctor`."""
    done = run_command(root, "doctor", *options, "--json")
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    return done.returncode, json.loads(done.stdout)


def codes(rows: list[dict[str, Any]]) -> set[str]:
    return {row["code"] for row in rows}


def age(path: Path) -> None:
    """Make a file look as if its writer had died an hour ago."""
    stat = path.stat()
    os.utime(path, (stat.st_atime - 3600, stat.st_mtime - 3600))


def wait_for_no_writer(root: Path) -> None:
    """Make everything look an hour older."""
    for left in root.rglob("*"):
        age(left)


def unfinished_deletion(root: Path) -> None:
    """Simulate a kill between the event and the move."""
    storage = folder_store(Library(root)).get_report_storage(REPORT)
    storage.append_audit_event(event_of_type("delete", REPORT))


def unfinished_commit(root: Path) -> None:
    """Simulate a kill after the event was synced: the outline is still the previous one."""
    outline = outline_path(root)
    before, head = outline.read_bytes(), (outline.parent / ".head").read_bytes()
    append("Line 8.")(Library(root))
    outline.unlink()
    outline.write_bytes(before)
    (outline.parent / ".head").write_bytes(head)


def marked(name: str) -> Harm:
    def harm(root: Path) -> None:
        (root / ".pending").mkdir(exist_ok=True)
        (root / ".pending" / name).touch()

    return harm


def torn_line(root: Path) -> None:
    with (outline_path(root).parent / "audit.jsonl").open("ab") as log:
        log.write(b'{"action_id": "6a1b')


def crashed_creation(root: Path) -> None:
    (root / "by_id" / ".new-x").mkdir()
    (root / "by_id" / ".new-x" / "outline.json").write_bytes(b"{ broken")


MENDED: list[tuple[Harm, str]] = [
    (write(".index.7-8.tmp"), "leftover"),
    (crashed_creation, "leftover"),
    (write(f"{FOLDER}/.outline.x.tmp"), "leftover"),
    (write(f"{FOLDER}/backups/.outline.json.20261123T100000_000000.bak.tmp"), "leftover"),
    (marked(REPORT), "pending_mark"),
    (marked("7b1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef"), "pending_mark"),
    (empty_folder, "empty_folder"),
    (write("index.jsonl", b""), "entry_missing"),
    (lambda root: (root / "index.jsonl").unlink(), "entry_missing"),
    (change("index.jsonl", b'"Other"', b'"Another"'), "entry_stale"),
    (unfinished_commit, "unsettled"),
    (unfinished_deletion, "deletion_unfinished"),
    (torn_line, "torn_line"),
    (change(f"{FOLDER}/outline.json", b"Line 7.", b"Line 8."), "outline_mismatch"),
    (lambda root: outline_path(root).unlink(), "outline_missing"),
]


@pytest.mark.parametrize(("harm", "code"), MENDED, ids=[f"{i} {row[1]}" for i, row in enumerate(MENDED)])
def test_what_needs_no_guessing_is_repaired(root: Path, harm: Harm, code: str) -> None:
    harm(root)
    wait_for_no_writer(root)
    exit_code, answer = doctor(root)
    assert (exit_code, answer["ok"]) == (6, False)
    assert code in codes(answer["findings"])
    exit_code, answer = doctor(root, "--repair", "--deep")
    assert (exit_code, answer["ok"]) == (0, True), answer["findings"]
    assert code in codes(answer["repaired"])
    assert {row["severity"] for row in answer["findings"]} <= {"info"}
    assert doctor(root, "--deep")[0] == 0


UNMENDED: list[tuple[Harm, str]] = [
    (drop_line(f"{FOLDER}/audit.jsonl", 3), "chain_broken"),
    (change(f"{FOLDER}/audit.jsonl", b"ann/1.0", b"ben/1.0"), "chain_broken"),
    (write(f"{FOLDER}/outline.json"), "damaged"),
    (linked_folder, "symlink"),
    (copied_folder, "wrong_report"),
    (write("by_id/notes"), "stray_file"),
    (write(f"{FOLDER}/notes"), "stray_file"),
]


@pytest.mark.parametrize(("harm", "code"), UNMENDED, ids=[row[1] for row in UNMENDED])
def test_what_would_need_guessing_stays_and_is_said(root: Path, harm: Harm, code: str) -> None:
    harm(root)
    before = read_tree(root / "by_id")
    exit_code, answer = doctor(root, "--repair")
    assert (exit_code, answer["ok"]) == (6, False)
    assert code in codes(answer["findings"])
    assert read_tree(root / "by_id") == before


def test_a_writer_that_may_still_be_at_work_is_left_alone(root: Path) -> None:
    write(".index.7-8.tmp")(root)
    crashed_creation(root)
    empty_folder(root)
    code, answer = doctor(root, "--repair")
    assert (code, answer["repaired"]) == (0, [])
    assert codes(answer["findings"]) == {"leftover", "empty_folder"}
    assert {row["severity"] for row in answer["findings"]} == {"info"}


LEFT_BY_CRASHES = [row for row in MENDED if row[1] not in ("entry_missing", "entry_stale", "outline_missing")]


@pytest.mark.parametrize(
    ("harm", "code"), LEFT_BY_CRASHES, ids=[f"{i} {row[1]}" for i, row in enumerate(LEFT_BY_CRASHES)]
)
def test_what_a_crash_left_just_now_is_no_error_yet(root: Path, harm: Harm, code: str) -> None:
    wait_for_no_writer(root)
    harm(root)
    exit_code, answer = doctor(root)
    assert (exit_code, answer["ok"]) == (0, True), answer["findings"]
    assert code in codes(answer["findings"])
    assert {row["severity"] for row in answer["findings"]} == {"info"}
    wait_for_no_writer(root)
    assert doctor(root)[0] == 6


def test_a_loss_is_an_error_at_once(root: Path) -> None:
    for harm in (unfinished_commit, crashed_creation, drop_line(f"{FOLDER}/audit.jsonl", 3)):
        harm(root)
    assert doctor(root)[0] == 6


def killed_at(operation: int, action: Callable[[], object]) -> bool:
    """Run an action in a process that dies before this operation on the disk; False if it came to its end."""
    child = os.fork()
    if child == 0:
        done = []

        def die_in_time(*_: object) -> None:
            done.append(1)
            if len(done) == operation:
                os.kill(os.getpid(), signal.SIGKILL)

        durable.observer = die_in_time
        try:
            action()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


KILLED: dict[str, Callable[[Path], object]] = {
    "create": lambda root: Library(root).create_report(CreateReport("Third"), author=ANN),
    "update": lambda root: append("Line 8.")(Library(root)),
    "render": lambda root: Library(root).render_report(RenderReport(REPORT, to_file=True)),
    "delete": lambda root: delete(Library(root)),
    "list": lambda root: Library(root).list_reports(ListReports("Line")),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("action", KILLED.values(), ids=KILLED)
def test_a_kill_is_no_error_wherever_it_came(root: Path, action: Callable[[Path], object]) -> None:
    wait_for_no_writer(root)
    operation, is_over = 0, False
    while not is_over:
        operation += 1
        copy = root.with_name(f"copy{operation}")
        shutil.copytree(root, copy)
        is_over = not killed_at(operation, partial(action, copy))
        exit_code, answer = doctor(copy)
        assert exit_code == 0, (operation, answer["findings"])


def test_a_repaired_deletion_is_in_the_trash_and_can_be_restored(root: Path) -> None:
    unfinished_deletion(root)
    assert doctor(root, "--repair")[0] == 0
    assert not (root / FOLDER).exists()
    [folder] = (root / ".trash").iterdir()
    assert folder.name.startswith(REPORT)
    Library(root).restore_report(RestoreReport(REPORT), author=ANN)
    assert found(root, deep=True) == []


def test_a_report_in_the_trash_is_mended_where_it_is(root: Path) -> None:
    delete(Library(root))
    [folder] = (root / ".trash").iterdir()
    (folder / ".outline.x.tmp").write_bytes(b"x")
    wait_for_no_writer(root)
    assert doctor(root)[0] == 6
    assert doctor(root, "--repair")[0] == 0
    assert [path.name for path in (root / ".trash").iterdir()] == [folder.name]


def test_a_root_broken_in_many_ways_is_mended_as_far_as_can_be(root: Path) -> None:
    library = Library(root)
    third = library.create_report(CreateReport("Third"), author=ANN)["report_id"]
    library.trash_report(
        TrashReport(library.create_report(CreateReport("Fourth"), author=ANN)["report_id"]), author=ANN
    )
    for harm in (unfinished_commit, crashed_creation, marked(OTHER), write(".index.7-8.tmp")):
        harm(root)
    change("index.jsonl", b'"Other"', b'"Another"')(root)
    drop_line(f"by_id/{third}/audit.jsonl", 1)(root)
    wait_for_no_writer(root)
    code, answer = doctor(root)
    assert (code, answer["reports"]) == (6, 4)
    code, answer = doctor(root, "--repair", "--deep")
    assert code == 6
    assert codes(answer["repaired"]) >= {"leftover", "pending_mark", "unsettled", "entry_stale"}
    left = [row for row in answer["findings"] if row["severity"] != "info"]
    assert {row["report_id"] for row in left} == {third}
    assert Library(root).get_report(GetReport(REPORT))["version"] == 8


def test_a_check_without_repair_writes_nothing_and_a_second_repair_finds_nothing_to_do(root: Path) -> None:
    unfinished_commit(root)
    wait_for_no_writer(root)
    before = read_tree(root)
    assert doctor(root, "--deep")[0] == 6
    assert read_tree(root) == before
    assert doctor(root, "--repair")[1]["repaired"] != []
    before = read_tree(root)
    assert doctor(root, "--repair")[1]["repaired"] == []
    assert read_tree(root) == before


def test_a_sound_root_and_one_that_is_not_there_are_ok(root: Path, tmp_path: Path) -> None:
    assert run_ok(root, "doctor").startswith("ok  2 reports: nothing found")
    assert run_ok(tmp_path / "nowhere", "doctor", "--repair").startswith("ok  0 reports: nothing found")
    assert not (tmp_path / "nowhere").exists()


def test_a_person_is_told_what_is_wrong_where_and_what_to_do(root: Path) -> None:
    drop_line(f"{FOLDER}/audit.jsonl", 3)(root)
    marked(OTHER)(root)
    wait_for_no_writer(root)
    done = run_command(root, "doctor")
    assert done.returncode == 6
    assert (
        done.stdout
        == f"""\
not ok  2 reports: 1 error, 1 warning
  root  {root}

Health  {REPORT[:8]}
  error  chain_broken  {FOLDER}/audit.jsonl, line 3
    The line does not follow line 2: one of the two was altered.

Other  {OTHER[:8]}
  warning  pending_mark  .pending/{OTHER}
    A commit of this report was interrupted; the next list settles it.

What to do
  chain_broken: Something other than this program changed the history. Compare the folder with a
    copy of your own (a backup, git, an export); this program cannot tell which of the two is true.
  pending_mark: doctor --repair settles it; so does opening the report or listing the root.
"""
    )


def test_a_repair_says_what_it_mended(root: Path) -> None:
    marked(OTHER)(root)
    text = run_ok(root, "doctor", "--repair")
    assert text.startswith("ok  2 reports: nothing found")
    assert "repaired  1 finding\n  1  pending_mark\n" in text


def test_a_kind_found_often_is_counted_not_all_shown(root: Path) -> None:
    for number in range(30):
        write(f"{FOLDER}/notes{number}")(root)
    text = run_command(root, "doctor").stdout
    assert text.count("stray_file  by_id") == 10
    assert "and 20 more" in text


def test_progress_is_shown_as_a_bar() -> None:
    told: list[str] = []
    bar = progress_bar(told.append)
    for done in (0, 500, 1000):
        bar("checking", done, 1000)
    assert told == [
        f"checking {'░' * 24} 0/1,000",
        f"checking {'█' * 12}{'░' * 12} 500/1,000",
        f"checking {'█' * 24} 1,000/1,000",
    ]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_root_that_cannot_be_read_is_an_error_not_a_sound_root(root: Path) -> None:
    (root / "by_id").chmod(0)
    try:
        code, error = run_refused(root, "doctor")
    finally:
        (root / "by_id").chmod(0o755)
    assert (code, error["code"]) == (6, "storage_failed")
