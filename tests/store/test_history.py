"""Any version is read back byte for byte: through backups, through the log alone, past what is damaged."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from living_reports.errors import CorruptReportError, NoSuchVersionError
from living_reports.model.report import outline_bytes
from living_reports.storage import GlobalStorage
from living_reports.store.files.commit import next_backup
from living_reports.store.files.folder import backup_names
from support.stored_reports import REPORT, create_stored_report, log_events, log_lines, set_text

VERSIONS = 60


def text(version: int) -> str:
    """Forty lines, of which a few differ from one version to the next."""
    changed = {number: version for number in range(40) if number % 7 == version % 7}
    return "\n".join(f"line {number} of version {changed.get(number, 0)}" for number in range(40))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[GlobalStorage, list[bytes]]:
    """A root, and the bytes that `outline.json` had at each of its report's versions."""
    root = GlobalStorage(tmp_path_factory.mktemp("history") / "reports")
    create_stored_report(root, text(1))
    seen = [(root.by_id / REPORT / "outline.json").read_bytes()]
    for version in range(2, VERSIONS + 1):
        set_text(root, text(version))
        seen.append((root.by_id / REPORT / "outline.json").read_bytes())
    return root, seen


@pytest.fixture
def root(written: tuple[GlobalStorage, list[bytes]], tmp_path: Path) -> GlobalStorage:
    shutil.copytree(written[0].reports_root, tmp_path / "reports")
    return GlobalStorage(tmp_path / "reports")


@pytest.fixture
def seen(written: tuple[GlobalStorage, list[bytes]]) -> list[bytes]:
    return written[1]


def read_back(root: GlobalStorage, version: int) -> bytes:
    return outline_bytes(root.outline_at(REPORT, version, root.read(REPORT)))


def test_every_version_reads_back_byte_for_byte(root: GlobalStorage, seen: list[bytes]) -> None:
    assert [read_back(root, version) for version in range(1, VERSIONS + 1)] == seen


def test_the_log_alone_is_enough(root: GlobalStorage, seen: list[bytes]) -> None:
    shutil.rmtree(root.by_id / REPORT / "backups")
    history = root.get_report_storage(REPORT).history
    assert [outline_bytes(history.outline_at(version)) for version in range(1, VERSIONS + 1)] == seen


def test_the_newest_outline_and_the_log_are_enough_where_the_beginning_is_damaged(
    root: GlobalStorage, seen: list[bytes]
) -> None:
    log = root.by_id / REPORT / "audit.jsonl"
    state = root.read(REPORT)
    log.write_bytes(log.read_bytes().replace(b'"created_at"', b'"xreated_at"', 1))
    shutil.rmtree(root.by_id / REPORT / "backups")
    history = root.get_report_storage(REPORT).history
    assert outline_bytes(history.outline_at(2, state.outline)) == seen[1]


def test_backups_that_were_altered_are_passed_over(root: GlobalStorage, seen: list[bytes]) -> None:
    folder = root.by_id / REPORT / "backups"
    for name in backup_names(folder)[::2]:
        (folder / name).write_bytes((folder / name).read_bytes().replace(b"line", b"LINE"))
    for name in backup_names(folder)[1::4]:
        (folder / name).write_bytes(b"")
    assert [read_back(root, version) for version in range(1, VERSIONS + 1)] == seen


def test_what_cannot_be_read_back_is_an_error_not_a_guess(root: GlobalStorage) -> None:
    """A delta altered so that it still applies: only the hash tells."""
    folder = root.by_id / REPORT
    lines = log_lines(folder)
    assert lines[29].count(b'"0","30"') > 1
    lines[29] = lines[29].replace(b'"0","30"', b'"0","90"')
    (folder / "audit.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    shutil.rmtree(folder / "backups")
    history = root.get_report_storage(REPORT).history
    for version in (30, 35):
        with pytest.raises(CorruptReportError):
            history.outline_at(version)
    assert history.outline_at(29).outline_version == 29


def test_a_version_that_never_was_is_named_as_such(root: GlobalStorage) -> None:
    for version in (0, VERSIONS + 1, 10**9):
        with pytest.raises(NoSuchVersionError) as caught:
            root.get_report_storage(REPORT).history.outline_at(version)
        assert f"1 to {VERSIONS}" in caught.value.hint


def test_the_newest_five_backups_stay_and_one_for_each_outline_of_log(root: GlobalStorage) -> None:
    folder = root.by_id / REPORT
    names = backup_names(folder / "backups")
    events = log_events(folder)
    newest = [event["payload"]["backup_filename"] for event in events[-5:]]
    assert names[-5:] == newest
    offsets, offset = {}, 0
    for line, event in zip(log_lines(folder), events, strict=True):
        offsets[event["payload"].get("backup_filename")] = offset
        offset += len(line) + 1
    size = (folder / "outline.json").stat().st_size
    places = [offsets[name] for name in names[:-5]]
    assert len(places) > 2
    for before, after in pairwise(places):
        assert size < after - before < 2 * size


def test_all_backups_together_stay_under_twice_the_log(root: GlobalStorage) -> None:
    for version in range(VERSIONS + 1, 3 * VERSIONS):
        set_text(root, text(version))
    folder = root.by_id / REPORT
    backups = sum(path.stat().st_size for path in (folder / "backups").iterdir())
    assert backups < 2 * (folder / "audit.jsonl").stat().st_size


def test_a_backup_that_a_crash_left_is_removed_later(root: GlobalStorage) -> None:
    folder = root.by_id / REPORT
    gone = next(
        event["payload"]["backup_filename"]
        for event in reversed(log_events(folder)[:-6])
        if not (folder / "backups" / event["payload"]["backup_filename"]).exists()
    )
    (folder / "backups" / gone).write_bytes(b"left over")
    set_text(root, "new\n")
    assert not (folder / "backups" / gone).exists()


def test_names_of_backups_rise_although_the_clock_goes_back(tmp_path: Path) -> None:
    for name in ("outline.json.29991231T235959_999998.bak", "notes.txt", "outline.json.2026.bak"):
        (tmp_path / name).touch()
    assert next_backup(tmp_path) == "outline.json.29991231T235959_999999.bak"
    assert len(backup_names(tmp_path)) == 1


def test_a_name_that_is_no_time_stops_nobody(root: GlobalStorage) -> None:
    (root.by_id / REPORT / "backups" / "outline.json.99999999T999999_000000.bak").touch()
    assert set_text(root, "new\n") == VERSIONS + 1
