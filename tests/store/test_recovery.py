"""Recovery of a report's folder after a crash, a restored copy or an edit by a person."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import CorruptReportError, StorageFailedError
from living_reports.model.report import outline_bytes, parse_outline
from living_reports.storage import GlobalStorage, Note, State
from living_reports.store.files import catalogue
from support.disk_faults import operations_of
from support.stored_reports import (
    ANN,
    OTHER,
    REPORT,
    copy_root,
    create_stored_report,
    current_text,
    event_of_type,
    log_events,
    log_lines,
    outline_with,
    require_sound,
    set_text,
    text_of,
)

TEXTS = ["one\n", "two\n", "three\n", "four\n"]


@pytest.fixture
def root(tmp_path: Path) -> GlobalStorage:
    """A root with one report at version 4."""
    storage = GlobalStorage(tmp_path / "reports")
    create_stored_report(storage, TEXTS[0])
    for text in TEXTS[1:]:
        set_text(storage, text)
    return storage


@pytest.fixture
def folder(root: GlobalStorage) -> Path:
    return root.by_id / REPORT


def cut_tail(folder: Path, lines: int) -> bytes:
    """Take the last lines off the log, and give them."""
    log = folder / "audit.jsonl"
    kept = log_lines(folder)[:-lines]
    tail = log.read_bytes()[sum(len(line) + 1 for line in kept) :]
    log.write_bytes(log.read_bytes()[: -len(tail)])
    return tail


def put_back_outline(root: GlobalStorage, version: int) -> bytes:
    """Put the outline of an earlier version in place, as a crash or a restored copy leaves it."""
    data = outline_bytes(root.get_report_storage(REPORT).history.outline_at(version))
    (root.by_id / REPORT / "outline.json").write_bytes(data)
    return data


def forget_last(root: GlobalStorage) -> bytes:
    """Undo everything but the log's last line of the newest version: the line, for a test to put back."""
    folder = root.by_id / REPORT
    put_back_outline(root, 3)
    tail = cut_tail(folder, 1)
    set_head(folder)
    return tail


def set_head(folder: Path) -> None:
    event, line = log_events(folder)[-1], log_lines(folder)[-1]
    digest = subprocess.run(["sha256sum"], input=line, capture_output=True, check=True).stdout[:64].decode()
    (folder / ".head").write_text(f"{event['payload']['outline_version']}:{digest}\n")


def edit_by_hand(folder: Path, change: Callable[[dict[str, Any]], object]) -> bytes:
    data = json.loads((folder / "outline.json").read_bytes())
    change(data)
    written = json.dumps(data).encode()
    (folder / "outline.json").write_bytes(written)
    return written


# --- Torn and unsynced lines --------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 10, 4, 300])
def test_a_torn_last_line_is_put_aside_and_cut_off(root: GlobalStorage, folder: Path, cut: int) -> None:
    torn = forget_last(root)[:cut]
    with (folder / "audit.jsonl").open("ab") as log:
        log.write(torn)
    assert current_text(root) == "three\n"
    assert (folder / "audit.torn").read_bytes() == torn + b"\n"
    require_sound(root)
    assert set_text(root, "again\n") == 4


def test_a_last_line_of_zeros_is_torn(root: GlobalStorage, folder: Path) -> None:
    zeros = b"\0" * (len(forget_last(root)) - 1) + b"\n"
    with (folder / "audit.jsonl").open("ab") as log:
        log.write(zeros)
    assert current_text(root) == "three\n"
    require_sound(root)


def test_a_last_line_without_its_newline_gets_one(root: GlobalStorage, folder: Path) -> None:
    line = forget_last(root)
    with (folder / "audit.jsonl").open("ab") as log:
        log.write(line.rstrip(b"\n"))
    assert current_text(root) == "four\n"
    assert (folder / "audit.jsonl").read_bytes().endswith(line)
    require_sound(root)


def test_a_line_that_was_not_synced_is_written_again_before_it_is_believed(
    root: GlobalStorage, folder: Path
) -> None:
    line = forget_last(root)
    with (folder / "audit.jsonl").open("ab") as log:
        log.write(line)
    operations = operations_of(lambda: current_text(root))
    assert operations[:2] == [("rewrite", "audit.jsonl"), ("sync", "audit.jsonl")]
    require_sound(root)


def test_an_event_without_a_version_is_not_believed_without_its_head(
    root: GlobalStorage, folder: Path
) -> None:
    before = (folder / ".head").read_bytes()
    root.get_report_storage(REPORT).append_audit_event(event_of_type("render"))
    (folder / ".head").write_bytes(before)
    assert operations_of(lambda: root.read(REPORT))[:2] == [
        ("rewrite", "audit.jsonl"),
        ("sync", "audit.jsonl"),
    ]
    assert operations_of(lambda: root.read(REPORT)) == []


@pytest.mark.parametrize("head", [None, b"", b"\0" * 40, b"4:abc", b"garbage\xff", b"3"])
def test_a_head_that_is_absent_or_unreadable_does_no_harm(
    root: GlobalStorage, folder: Path, head: bytes | None
) -> None:
    (folder / ".head").unlink()
    if head is not None:
        (folder / ".head").write_bytes(head)
    require_sound(root)
    assert set_text(root, "five\n") == 5
    require_sound(root)


def test_an_acknowledged_last_line_is_not_taken_for_torn(root: GlobalStorage, folder: Path) -> None:
    """Its version never matches a surviving event, and `.head` names it."""
    log = folder / "audit.jsonl"
    log.write_bytes(log.read_bytes()[:-3] + b"\0\0\n")
    before = log.read_bytes()
    state = root.read(REPORT)
    assert state.refusal is not None
    assert state.version == 3
    assert log.read_bytes() == before


def test_a_damaged_last_line_without_a_version_is_not_cut_either(root: GlobalStorage, folder: Path) -> None:
    """The outline matches the event before it; only `.head` shows that the line was whole once."""
    root.get_report_storage(REPORT).append_audit_event(event_of_type("render"))
    log = folder / "audit.jsonl"
    log.write_bytes(log.read_bytes()[:-3])
    before = log.read_bytes()
    state = root.read(REPORT)
    assert state.refusal is not None
    assert text_of(state.outline) == "four\n"
    assert log.read_bytes() == before


def test_a_last_event_that_is_none_any_more_is_not_cut(root: GlobalStorage, folder: Path) -> None:
    log = folder / "audit.jsonl"
    lines = log_lines(folder)
    lines[-1] = lines[-1].replace(b'"actor":"agent"', b'"actor":"ghost"')
    log.write_bytes(b"\n".join(lines) + b"\n")
    before = log.read_bytes()
    assert root.read(REPORT).refusal is not None
    assert log.read_bytes() == before


# --- An outline that is behind ------------------------------------------------------------


def test_an_outline_one_event_behind_is_made_from_the_event(root: GlobalStorage) -> None:
    put_back_outline(root, 3)
    assert root.read(REPORT).warnings == ()
    assert current_text(root) == "four\n"
    require_sound(root)


def test_an_outline_several_events_behind_is_set_aside(root: GlobalStorage, folder: Path) -> None:
    found = put_back_outline(root, 1)
    [warning] = root.read(REPORT).warnings
    [aside] = folder.glob("outline.*.aside.json")
    assert aside.name in warning
    assert aside.read_bytes() == found
    aside.unlink()
    require_sound(root)
    assert current_text(root) == "four\n"


def test_a_missing_outline_is_made_again(root: GlobalStorage, folder: Path) -> None:
    (folder / "outline.json").unlink()
    shutil.rmtree(folder / "backups")
    [warning] = root.read(REPORT).warnings
    assert "missing" in warning
    require_sound(root)


# --- An outline that a power cut garbled --------------------------------------------------

GARBLED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "zeros at the end": lambda data: data[:300] + bytes(len(data) - 300),
    "a page of zeros": lambda data: data[:200] + bytes(50) + data[250:],
    "one byte": lambda data: data[:1],
    "a short beginning": lambda data: data[:60],
    "half": lambda data: data[: len(data) // 2],
    "all but the newline": lambda data: data[:-1],
}
each_garbled = pytest.mark.parametrize("garbled", GARBLED.values(), ids=GARBLED.keys())


@each_garbled
@pytest.mark.parametrize("version", [4, 3, 2])
def test_a_garbled_outline_is_made_again_and_set_aside(
    root: GlobalStorage, folder: Path, garbled: Callable[[bytes], bytes], version: int
) -> None:
    whole = (folder / "outline.json").read_bytes()
    data = garbled(put_back_outline(root, version))
    (folder / "outline.json").write_bytes(data)
    [warning] = root.read(REPORT).warnings
    [aside] = folder.glob("outline.*.aside.json")
    assert aside.read_bytes() == data
    assert aside.name in warning
    assert "empty or incomplete by a crash" in warning
    assert (folder / "outline.json").read_bytes() == whole
    aside.unlink()
    require_sound(root)
    assert set_text(root, "five\n") == 5


@each_garbled
def test_a_garbled_outline_is_made_again_by_a_writer_and_without_any_backup(
    root: GlobalStorage, folder: Path, garbled: Callable[[bytes], bytes]
) -> None:
    data = garbled((folder / "outline.json").read_bytes())
    for path in [folder / "outline.json", *(folder / "backups").iterdir()]:
        path.write_bytes(garbled(path.read_bytes()))
    assert set_text(root, "five\n") == 5
    [aside] = folder.glob("outline.*.aside.json")
    assert aside.read_bytes() == data
    aside.unlink()
    shutil.rmtree(folder / "backups")
    require_sound(root)


@each_garbled
def test_a_line_torn_behind_a_garbled_outline_is_cut_off(
    root: GlobalStorage, folder: Path, garbled: Callable[[bytes], bytes]
) -> None:
    (folder / "outline.json").write_bytes(garbled((folder / "outline.json").read_bytes()))
    with (folder / "audit.jsonl").open("ab") as log:
        log.write(b'{"action_id":"6a1b')
    assert current_text(root) == "four\n"
    assert (folder / "audit.torn").read_bytes() == b'{"action_id":"6a1b\n'
    for aside in folder.glob("outline.*.aside.json"):
        aside.unlink()
    require_sound(root)


def test_an_acknowledged_line_that_is_damaged_is_not_cut_behind_a_garbled_outline(
    root: GlobalStorage, folder: Path
) -> None:
    (folder / "outline.json").write_bytes(b"")
    log = folder / "audit.jsonl"
    log.write_bytes(log.read_bytes()[:-3])
    before = log.read_bytes()
    assert root.read(REPORT).refusal is not None
    assert log.read_bytes() == before


def test_an_outline_is_made_again_from_the_newest_sound_base(root: GlobalStorage, folder: Path) -> None:
    """A backup that is a valid outline, but not the one that its event names, is passed over."""
    newest = max((folder / "backups").iterdir())
    data = newest.read_bytes()
    newest.unlink()
    newest.write_bytes(data.replace(b"Health", b"Wealth"))
    (folder / "outline.json").write_bytes(b"")
    state = root.read(REPORT)
    assert (state.version, state.outline.title, text_of(state.outline)) == (4, "Health", "four\n")


def test_a_garbled_outline_is_not_taken_from_a_log_that_does_not_give_it(
    root: GlobalStorage, folder: Path
) -> None:
    """No base leads to the hash that the last event names: nothing is put in place."""
    lines = log_lines(folder)
    lines[0] = lines[0].replace(b"Health", b"Wealth")
    (folder / "audit.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    shutil.rmtree(folder / "backups")
    (folder / "outline.json").write_bytes(b"")
    with pytest.raises(CorruptReportError):
        root.read(REPORT)
    assert (folder / "outline.json").read_bytes() == b""


def test_a_list_shows_a_report_with_a_garbled_outline_after_a_power_cut(
    root: GlobalStorage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue and the marks were lost; the beginning of the outline still names its version."""
    set_text(root, "long " * 100)
    with root.edit(REPORT) as edit:
        edit.put(edit.snapshot.outline.model_copy(update={"title": "Safety"}), Note("rename", ANN))
    outline = folder / "outline.json"
    outline.write_bytes(outline.read_bytes()[:-20])
    lines = root.index_path.read_bytes().splitlines(keepends=True)
    root.index_path.write_bytes(b"".join(lines[:-1]))
    monkeypatch.setattr(catalogue, "boot_id", lambda: "another boot")
    [entry] = GlobalStorage(root.reports_root).entries()
    assert entry.current_title == "Safety"


@each_garbled
def test_a_report_in_the_trash_is_listed_and_restored_whatever_became_of_its_outline(
    root: GlobalStorage, garbled: Callable[[bytes], bytes]
) -> None:
    root.trash(REPORT, event_of_type("delete"))
    folder = root.find_in_trash(REPORT)
    assert folder is not None
    path = folder / "outline.json"
    path.write_bytes(garbled(path.read_bytes()))
    [entry] = root.trashed()
    assert (entry.report_id, entry.current_title) == (REPORT, "Health")
    root.restore(REPORT, event_of_type("status_change"))
    assert current_text(root) == "four\n"


@each_garbled
def test_young_backups_that_a_power_cut_garbled_are_no_damage(
    root: GlobalStorage, folder: Path, garbled: Callable[[bytes], bytes]
) -> None:
    for number in range(12):
        set_text(root, f"{number}\n" + "a long text\n" * 200)
    events = {
        event.payload.get("backup_filename"): event
        for event in root.get_report_storage(REPORT).log.forwards()
    }
    young = [path for path in (folder / "backups").iterdir() if not events[path.name].keeps_backup]
    kept = [path for path in (folder / "backups").iterdir() if events[path.name].keeps_backup]
    assert len(young) > 2
    assert kept
    for path in young:
        data = garbled(path.read_bytes())
        path.unlink()
        path.write_bytes(data)
    require_sound(root)
    assert {finding.code for finding in root.check(deep=True)} == {"backup_garbled"}
    assert all(finding.severity == "info" for finding in root.check(deep=True))
    target = GlobalStorage(root.reports_root.parent / "imported")
    assert target.import_(root.export(REPORT))[1]
    require_sound(target)
    data = garbled(kept[0].read_bytes())
    kept[0].unlink()
    kept[0].write_bytes(data)
    assert [finding["code"] for finding in root.verify(REPORT)["findings"]] == ["backup_mismatch"]


def test_a_young_backup_that_somebody_changed_is_still_a_finding(root: GlobalStorage, folder: Path) -> None:
    for number in range(12):
        set_text(root, f"{number}\n" + "a long text\n" * 200)
    newest = max((folder / "backups").iterdir())
    data = newest.read_bytes()
    newest.unlink()
    newest.write_bytes(data.replace(b"long", b"lone")[:-100])
    assert [finding["code"] for finding in root.verify(REPORT)["findings"]] == ["backup_mismatch"]


# --- Hand edits ---------------------------------------------------------------------------


def test_an_edit_of_the_current_version_becomes_a_version_of_its_own(
    root: GlobalStorage, folder: Path
) -> None:
    written = edit_by_hand(folder, lambda data: data.update(title="By hand"))
    state = root.read(REPORT)
    assert (state.version, state.outline.title) == (5, "By hand")
    assert "edited by hand" in state.warnings[0]
    event = log_events(folder)[-1]
    assert (event["action_type"], event["actor"]) == ("manual_edit_detected", "human")
    assert (folder / "backups" / event["payload"]["backup_filename"]).read_bytes() == written
    require_sound(root)


def test_an_edit_is_found_by_a_writer_too(root: GlobalStorage, folder: Path) -> None:
    edit_by_hand(folder, lambda data: data.update(title="By hand"))
    assert set_text(root, "six\n") == 6
    assert root.read(REPORT).outline.title == "By hand"
    require_sound(root)


def test_a_file_that_was_only_formatted_anew_makes_no_version(root: GlobalStorage, folder: Path) -> None:
    edit_by_hand(folder, lambda _: None)
    assert root.read(REPORT).version == 4
    require_sound(root)


def test_an_old_editor_buffer_is_merged_and_erases_nothing(root: GlobalStorage, folder: Path) -> None:
    put_back_outline(root, 2)
    edit_by_hand(folder, lambda data: data.update(title="Old buffer"))
    state = root.read(REPORT)
    assert (state.version, state.outline.title, text_of(state.outline)) == (5, "Old buffer", "four\n")
    assert not list(folder.glob("outline.*.aside.json"))
    require_sound(root)


def test_an_old_editor_buffer_that_clashes_is_set_aside(root: GlobalStorage, folder: Path) -> None:
    put_back_outline(root, 2)
    written = edit_by_hand(folder, lambda data: data["sections"][0].update(content="by hand\n"))
    state = root.read(REPORT)
    assert (state.version, text_of(state.outline)) == (4, "four\n")
    assert "later changes touched the same" in state.warnings[0]
    [aside] = folder.glob("outline.*.aside.json")
    assert aside.read_bytes() == written


def test_kept_backups_stay_sound_across_hand_edits(root: GlobalStorage, folder: Path) -> None:
    for number in range(12):
        edit_by_hand(folder, lambda data, number=number: data.update(title=f"By hand {number}"))  # type: ignore[misc]
        set_text(root, f"text {number}\n")
    require_sound(root)


@pytest.mark.parametrize("data", [b"{ broken", b" ", b"null", b'{"report_id": "x"}', b"\xff\xfe"])
def test_an_invalid_outline_is_read_as_the_last_good_version_and_not_written(
    root: GlobalStorage, folder: Path, data: bytes
) -> None:
    (folder / "outline.json").write_bytes(data)
    state = root.read(REPORT)
    assert text_of(state.outline) == "four\n"
    assert "damaged" in state.warnings[0]
    with pytest.raises(CorruptReportError) as caught:
        set_text(root, "five\n")
    assert caught.value.details["newest_good_version"] == 4
    assert (folder / "outline.json").read_bytes() == data


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "../../outline.json", ""])
def test_the_last_good_version_is_read_whatever_the_log_calls_its_backup(
    root: GlobalStorage, folder: Path, name: str
) -> None:
    *lines, last = log_lines(folder)
    event = json.loads(last)
    event["payload"]["backup_filename"] = name
    whole = [*lines, json.dumps(event).encode()]
    (folder / "audit.jsonl").write_bytes(b"".join(line + b"\n" for line in whole))
    (folder / "outline.json").write_text("{ broken")
    state = root.read(REPORT)
    assert state.refusal is not None
    assert state.version in (3, 4)


def test_a_revert_repairs_a_damaged_report_and_keeps_the_damaged_bytes(
    root: GlobalStorage, folder: Path
) -> None:
    (folder / "outline.json").write_bytes(b"{ broken")
    repair(root)
    assert current_text(root) == "two\n"
    event = log_events(folder)[-1]
    assert (folder / "backups" / event["payload"]["backup_filename"]).read_bytes() == b"{ broken"
    require_sound(root)


def repair(root: GlobalStorage) -> None:
    with root.edit(REPORT, repair=True) as edit:
        edit.put(edit.outline_at(2), Note("revert", ANN))


def test_an_outline_ahead_of_the_log_is_never_adopted(root: GlobalStorage, folder: Path) -> None:
    edit_by_hand(folder, lambda data: data.update(title="Ahead", outline_version=9))
    state = root.read(REPORT)
    assert state.refusal is not None
    assert (state.version, state.outline.title) == (4, "Health")
    repair(root)
    assert root.read(REPORT).version == 10, "no version number is given out twice"


def test_an_outline_with_another_id_is_not_adopted(root: GlobalStorage, folder: Path) -> None:
    edit_by_hand(folder, lambda data: data.update(report_id=OTHER))
    assert root.read(REPORT).refusal is not None
    assert [entry.report_id for entry in root.entries()] == [REPORT]


def test_an_outline_too_large_to_keep_does_not_keep_the_report_from_being_read(
    root: GlobalStorage, folder: Path
) -> None:
    edit_by_hand(folder, lambda data: data.update(x_notes="x" * 17_000_000))
    state = root.read(REPORT)
    assert state.refusal is not None
    assert text_of(state.outline) == "four\n"


# --- Lines of others, heads without events, copies ----------------------------------------


def test_lines_of_another_writer_after_ours_are_kept_and_covered(root: GlobalStorage, folder: Path) -> None:
    line = event_of_type("render").model_dump_json().encode() + b"\n"
    with (folder / "audit.jsonl").open("ab") as log:
        log.write(line)
    assert current_text(root) == "four\n"
    assert set_text(root, "five\n") == 5
    require_line = log_lines(folder)[-2]
    assert require_line + b"\n" == line
    assert root.verify(REPORT)["findings"] == []


def test_a_line_of_a_kind_we_do_not_know_is_not_torn(root: GlobalStorage, folder: Path) -> None:
    line = b'{"action_type": "from the future"}\n'
    with (folder / "audit.jsonl").open("ab") as log:
        log.write(line)
    assert current_text(root) == "four\n"
    set_text(root, "five\n")
    assert log_lines(folder)[-2] + b"\n" == line
    assert root.verify(REPORT)["findings"] == []


def test_a_version_made_by_another_writer_is_taken_in(root: GlobalStorage, folder: Path) -> None:
    edit_by_hand(folder, lambda data: data.update(title="By igloo", outline_version=5))
    with (folder / "audit.jsonl").open("ab") as log:
        log.write(event_of_type("evolve").model_dump_json().encode() + b"\n")
    state = root.read(REPORT)
    assert (state.version, state.outline.title) == (6, "By igloo")


def test_a_log_that_was_cut_together_with_its_outline_shows_and_stays_shown(
    root: GlobalStorage, folder: Path
) -> None:
    put_back_outline(root, 2)
    cut_tail(folder, 2)
    for _ in range(2):  # reading does not wipe the trace away
        state = root.read(REPORT)
        assert "lacks an event of version 4" in state.warnings[0]
        assert [finding["code"] for finding in root.verify(REPORT)["findings"]] == ["head_mismatch"]
    assert set_text(root, "new\n") == 5, "no version number is given out twice"
    assert root.read(REPORT).warnings == ()
    assert [finding["code"] for finding in root.verify(REPORT)["findings"]] == ["log_cut"]


def test_a_log_that_is_gone_shows_too(root: GlobalStorage, folder: Path) -> None:
    (folder / "audit.jsonl").unlink()
    assert "lacks an event of version 4" in root.read(REPORT).warnings[0]
    assert set_text(root, "new\n") == 6  # adopted as 5


def test_a_folder_copied_by_hand_is_no_report_of_its_own(root: GlobalStorage, folder: Path) -> None:
    shutil.copytree(folder, root.by_id / OTHER)
    for use in (lambda: root.read(OTHER), lambda: set_text(root, "x", OTHER)):
        with pytest.raises(CorruptReportError, match="another report"):
            use()
    assert [entry.path for entry in root.entries()] == [f"by_id/{REPORT}"]
    require_sound(root)


# --- Places that cannot be written --------------------------------------------------------

AS_NOBODY = """
import os, sys
from pathlib import Path
from living_reports.errors import ReportError
from living_reports.storage import GlobalStorage
os.setgid(65534), os.setuid(65534)
root, report = GlobalStorage(Path(sys.argv[1])), sys.argv[2]
state = root.read(report)
print(state.version, state.outline.title, len(root.entries()), len(state.warnings))
print(root.verify(report)["ok"])
try:
    with root.edit(report):
        pass
except ReportError as error:
    print(error.code, error.details["happened"])
"""


def read_as_nobody(root: GlobalStorage) -> list[str]:
    command = [sys.executable, "-c", AS_NOBODY, str(root.reports_root), REPORT]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to become somebody else")
def test_a_root_that_cannot_be_written_is_read_and_left_alone(root: GlobalStorage) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        copy = copy_root(root, Path(name) / "reports")
        before = {path: path.stat().st_mtime_ns for path in copy.reports_root.rglob("*")}
        assert read_as_nobody(copy) == ["4 Health 1 0", "True", "storage_failed no"]
        put_back_outline(copy, 3)
        assert read_as_nobody(copy)[0] == "4 Health 1 1"
        changed = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
        assert changed == {copy.by_id / REPORT / "outline.json"}


def test_a_lock_that_cannot_be_opened_refuses_writes_and_lets_reads_through(
    root: GlobalStorage, folder: Path
) -> None:
    (folder / ".lock").unlink()
    (folder / ".lock").mkdir()
    assert current_text(root) == "four\n"
    with pytest.raises(StorageFailedError) as caught:
        set_text(root, "five\n")
    assert caught.value.details["happened"] == "no"


def test_a_symbolic_link_is_not_a_report(root: GlobalStorage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.move(root.by_id / REPORT, outside)
    (root.by_id / REPORT).symlink_to(outside)
    before = sorted(path.name for path in outside.iterdir())
    for use in (lambda: root.read(REPORT), lambda: set_text(root, "x")):
        with pytest.raises(CorruptReportError, match="symbolic link"):
            use()
    assert root.entries() == []
    assert sorted(path.name for path in outside.iterdir()) == before


def test_nothing_is_written_through_a_linked_by_id(root: GlobalStorage, tmp_path: Path) -> None:
    shutil.move(root.by_id, tmp_path / "outside")
    root.by_id.symlink_to(tmp_path / "outside")
    with pytest.raises(CorruptReportError, match="symbolic link"):
        set_text(root, "x")
    with pytest.raises(StorageFailedError):
        create_stored_report(root, report_id=OTHER)


@pytest.mark.parametrize("name", ["backups", "audit.jsonl", ".head"])
def test_nothing_is_written_through_a_link_in_the_folder(
    root: GlobalStorage, folder: Path, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    shutil.move(folder / name, outside)
    (folder / name).symlink_to(outside)
    before = contents(outside)
    try:
        set_text(root, "five\n")
    except StorageFailedError as error:
        happened = error.details["happened"]
    else:
        happened = "yes"
    assert contents(outside) == before
    assert current_text(root) == ("five\n" if happened == "yes" else "four\n")


def contents(path: Path) -> dict[str, bytes]:
    files = path.iterdir() if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


def test_a_state_knows_its_version(root: GlobalStorage) -> None:
    state: State = root.read(REPORT)
    assert state.version == parse_outline((root.by_id / REPORT / "outline.json").read_bytes()).outline_version
    assert outline_with("x").outline_version == 1
