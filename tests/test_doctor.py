"""The checker of a whole root: it names what is wrong, where, and how bad, and touches nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from crash.model import read_tree
from crash.scenarios import OTHER, REPORT, anothers, append, delete, outline_path, some_versions
from living_reports.library import Library
from living_reports.storage.doctor import check_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    some_versions(tmp_path / "reports")
    return tmp_path / "reports"


def found(root: Path, *, deep: bool = False) -> list[tuple[str, str, str, int]]:
    """Severity, code, place and line of each finding; nothing may be changed by looking."""
    before = read_tree(root)
    findings = check_root(root, deep=deep)
    assert read_tree(root) == before
    return [(finding.severity, finding.code, finding.file, finding.line) for finding in findings]


def test_a_sound_root_has_no_findings(root: Path) -> None:
    delete(Library(root))
    assert found(root, deep=True) == []


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


def test_progress_is_told_report_by_report(root: Path) -> None:
    told: list[tuple[int, int]] = []
    check_root(root, deep=True, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_a_commit_under_way_is_waited_for(root: Path) -> None:
    with Library(root).storage.get_report_storage(REPORT).lock():
        append("Line 8.")(Library(root))
        assert [f for f in check_root(root) if f.severity == "error"] == []
