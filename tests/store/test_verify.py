"""Verification finds tampering and names its place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from living_reports.storage import GlobalStorage
from support.disk_faults import operations_of
from support.stored_reports import REPORT, create_stored_report, event_of_type, log_lines, set_text

Lines = list[bytes]


@pytest.fixture
def root(tmp_path: Path) -> GlobalStorage:
    """A root with one report of nine versions and a tenth event without one."""
    storage = GlobalStorage(tmp_path / "reports")
    create_stored_report(storage)
    for version in range(2, 10):
        set_text(storage, f"text {version}\n")
    storage.get_report_storage(REPORT).append_audit_event(event_of_type("render"))
    return storage


@pytest.fixture
def folder(root: GlobalStorage) -> Path:
    return root.by_id / REPORT


def findings(root: GlobalStorage) -> list[tuple[int, str]]:
    verified: dict[str, Any] = root.verify(REPORT)
    assert verified["ok"] is not bool(verified["findings"])
    return [(finding["line"], finding["code"]) for finding in verified["findings"]]


def rewrite(folder: Path, change: Callable[[Lines], object]) -> None:
    lines = log_lines(folder)
    change(lines)
    (folder / "audit.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def swap(lines: Lines) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def cut_four(lines: Lines) -> None:
    del lines[6:]


def alter(position: int) -> Callable[[Lines], None]:
    def change(lines: Lines) -> None:
        lines[position] = lines[position].replace(b"because", b"becausE")

    return change


def test_a_whole_report_has_no_findings_and_verifying_it_writes_nothing(root: GlobalStorage) -> None:
    assert findings(root) == []
    assert operations_of(lambda: root.verify(REPORT)) == []
    verified = root.verify(REPORT)
    assert verified["events"] == 10
    assert root.get_report_storage(REPORT).look().head == f"9:{verified['head_sha256']}"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(alter(3), (5, "chain_broken"), id="altered"),
        pytest.param(lambda lines: lines.pop(3), (4, "chain_broken"), id="dropped"),
        pytest.param(lambda lines: lines.pop(0), (1, "chain_broken"), id="the first dropped"),
        pytest.param(swap, (4, "chain_broken"), id="swapped"),
        pytest.param(lambda lines: lines.insert(3, lines[3]), (5, "repeated_event"), id="doubled"),
        pytest.param(
            lambda lines: lines.insert(3, event_of_type("render").model_dump_json().encode()),
            (5, "chain_broken"),
            id="inserted",
        ),
        pytest.param(lambda lines: lines.insert(3, b"not json"), (4, "bad_line"), id="garbage inserted"),
        pytest.param(lambda lines: lines.pop(), (9, "head_mismatch"), id="cut by one"),
        pytest.param(cut_four, (0, "outline_mismatch"), id="cut by four"),
        pytest.param(lambda lines: lines.clear(), (0, "head_mismatch"), id="emptied"),
    ],
)
def test_a_log_that_was_tampered_with(
    root: GlobalStorage, folder: Path, change: Callable[[Lines], object], expected: tuple[int, str]
) -> None:
    rewrite(folder, change)
    assert expected in findings(root)


def test_an_altered_last_line_is_located_by_the_head(root: GlobalStorage, folder: Path) -> None:
    rewrite(folder, lambda lines: lines.__setitem__(9, lines[9].replace(b'"cli"', b'"human"')))
    assert findings(root) == [(10, "head_mismatch")]


def test_every_byte_of_the_log_counts(root: GlobalStorage, folder: Path) -> None:
    log = folder / "audit.jsonl"
    data = log.read_bytes()
    for position in range(0, len(data), 41):
        flipped = bytes([data[position] ^ 1])
        log.write_bytes(data[:position] + flipped + data[position + 1 :])
        assert findings(root), f"byte {position}"


def test_a_torn_last_line_is_said_to_be_one(root: GlobalStorage, folder: Path) -> None:
    log = folder / "audit.jsonl"
    log.write_bytes(log.read_bytes()[:-20])
    assert {code for _, code in findings(root)} == {"torn_line", "bad_line", "head_mismatch"}


def test_an_outline_edited_by_hand_is_found_and_then_accounted_for(root: GlobalStorage, folder: Path) -> None:
    outline = folder / "outline.json"
    outline.write_bytes(outline.read_bytes().replace(b"Risks", b"Riscs"))
    assert findings(root) == [(0, "outline_mismatch")]
    root.read(REPORT)
    assert findings(root) == []
    outline.unlink()
    assert findings(root) == [(0, "outline_missing")]


def test_an_edited_backup_is_found(root: GlobalStorage, folder: Path) -> None:
    backup = sorted((folder / "backups").iterdir())[-2]
    data = backup.read_bytes()
    backup.unlink()
    backup.write_bytes(data.replace(b"text", b"tex!"))
    [finding] = root.verify(REPORT)["findings"]
    assert finding["code"] == "backup_mismatch"
    assert backup.name in finding["message"]


def test_the_backup_of_a_persons_bytes_is_watched_too(root: GlobalStorage, folder: Path) -> None:
    outline = folder / "outline.json"
    outline.write_bytes(outline.read_bytes().replace(b"Risks", b"Riscs"))
    root.read(REPORT)
    backup = sorted((folder / "backups").iterdir())[-1]
    backup.write_bytes(backup.read_bytes() + b"\n")
    assert findings(root) == [(0, "backup_mismatch")]


def test_a_head_that_is_behind_or_unreadable_is_no_finding(root: GlobalStorage, folder: Path) -> None:
    for head in (b"", b"nonsense", b"3:" + b"0" * 3):
        (folder / ".head").write_bytes(head)
        assert findings(root) == []


def test_a_dropped_event_does_not_make_its_backup_a_finding(root: GlobalStorage, folder: Path) -> None:
    rewrite(folder, lambda lines: lines.pop(6))
    assert findings(root) == [(7, "chain_broken")]


def test_the_events_of_another_report_are_found(root: GlobalStorage, folder: Path) -> None:
    other = "6a1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef"
    shutil.copytree(folder, root.by_id / other)
    codes = {finding["code"] for finding in root.verify(other)["findings"]}
    assert codes == {"wrong_report"}


def test_many_findings_are_counted_not_all_shown(root: GlobalStorage, folder: Path) -> None:
    rewrite(folder, lambda lines: lines.extend(lines * 20))
    verified = root.verify(REPORT)
    assert len(verified["findings"]) == 50
    assert verified["more_findings"] > 50
