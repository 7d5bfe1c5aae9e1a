"""The commit: its order, its syncs, and what is true after it was refused or killed at any step."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from living_reports.errors import CorruptReportError, StorageFailedError, TooLargeError
from living_reports.storage import GlobalStorage, Note
from living_reports.store.files import commit
from support.disk_faults import (
    FailOperation,
    killed_before,
    needs_space,
    observe_disk,
    operations_of,
    outcome_of,
)
from support.stored_reports import (
    ANN,
    OTHER,
    REPORT,
    Change,
    copy_root,
    create_stored_report,
    current_text,
    event_of_type,
    log_events,
    outline_with,
    require_sound,
    set_text,
)


@pytest.fixture
def root(tmp_path: Path) -> GlobalStorage:
    """A root with one report at version 7."""
    storage = GlobalStorage(tmp_path / "reports")
    create_stored_report(storage)
    for version in range(2, 8):
        assert set_text(storage, f"text {version}\n") == version
    return storage


def update(root: GlobalStorage) -> object:
    return set_text(root, "eight\n")


def delete(root: GlobalStorage) -> object:
    return root.trash(REPORT, event_of_type("delete"))


def make(root: GlobalStorage) -> object:
    return root.create(outline_with("other\n", "Other", OTHER), Note("create", ANN))


# --- The order and the syncs --------------------------------------------------------------


def test_an_update_writes_in_the_order_that_makes_the_event_the_commit(root: GlobalStorage) -> None:
    operations = operations_of(lambda: update(root))
    outline = next(name for _, name in operations if name.endswith(".tmp"))
    steps = [step for step in operations if step[0] != "write" and step != ("sync", "outline.json")]
    assert steps[: steps.index(("remove", REPORT)) + 1] == [
        ("create", outline),
        ("create", REPORT),
        ("sync", "audit.jsonl"),
        ("link", "outline.json"),
        ("rename", outline),
        ("create", ".head"),
        ("remove", REPORT),
    ]


def syncs(operations: list[tuple[str, str]]) -> list[str]:
    return [name for what, name in operations if what in ("sync", "sync_folder")]


def test_an_update_takes_one_sync_and_one_more_for_a_backup_that_is_kept(root: GlobalStorage) -> None:
    set_text(root, "a long text\n" * 500)
    taken = {True: 0, False: 0}
    for number in range(50):
        names = syncs(operations_of(lambda number=number: set_text(root, f"{number}\n" + "text\n" * 500)))  # type: ignore[misc]
        newest = root.get_report_storage(REPORT).log.last()
        assert newest is not None
        assert names == ["outline.json"] * newest.keeps_backup + ["audit.jsonl"]
        taken[newest.keeps_backup] += 1
    assert taken[True] > 2
    assert taken[False] > 20


def test_a_create_takes_three_syncs_and_nothing_is_seen_before_the_last(root: GlobalStorage) -> None:
    operations = operations_of(lambda: make(root))
    log, building, by_id = syncs(operations)
    assert (log, by_id) == ("audit.jsonl", "by_id")
    assert building.startswith(f".new-{OTHER}")
    assert [name for what, name in operations if what == "rename"][-1] == building


def test_the_first_create_also_syncs_the_names_of_the_folders_it_makes(tmp_path: Path) -> None:
    root = GlobalStorage(tmp_path / "a" / "reports")
    folders = [tmp_path.parent.name, tmp_path.name, "a", "reports"]
    assert syncs(operations_of(lambda: make(root)))[:4] == folders


def test_a_folder_whose_maker_died_before_the_sync_has_its_name_synced(tmp_path: Path) -> None:
    (tmp_path / "reports" / "by_id").mkdir(parents=True)
    assert "reports" in syncs(operations_of(lambda: make(GlobalStorage(tmp_path / "reports"))))


def test_trash_takes_one_sync(root: GlobalStorage) -> None:
    create_stored_report(root, report_id=OTHER)
    root.trash(OTHER, event_of_type("delete"))
    assert syncs(operations_of(lambda: delete(root))) == ["audit.jsonl"]


def test_reading_a_settled_report_writes_nothing(root: GlobalStorage) -> None:
    assert operations_of(lambda: root.read(REPORT)) == []


def test_a_read_of_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    root = GlobalStorage(tmp_path / "reports")
    with pytest.raises(Exception, match="no report"):
        root.read(REPORT)
    assert root.entries() == []
    assert list(tmp_path.iterdir()) == []


def test_every_event_names_the_outline_that_is_in_place_after_it(root: GlobalStorage) -> None:
    storage = root.get_report_storage(REPORT)
    for text in ("a\n", "b\n"):
        set_text(root, text)
        found = storage.look()
        assert found.last is not None
        assert found.last.outline_sha256 == found.sha256
        assert found.head == f"{found.last.version}:{found.last.sha256}"


def test_an_outline_over_the_limit_is_refused_and_nothing_is_written(root: GlobalStorage) -> None:
    with pytest.raises(TooLargeError):
        set_text(root, "x" * (commit.MAX_REPORT_BYTES + 1))
    require_sound(root)


# --- Refused by the disk, at every operation in turn --------------------------------------


def copies(root: GlobalStorage, target: Path, action: Change) -> Iterator[GlobalStorage]:
    """A copy of the root for each operation of the action."""
    count = len(operations_of(lambda: action(copy_root(root, target))))
    assert count > 5
    for _ in range(count):
        yield copy_root(root, target)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_an_update_that_is_refused_once_says_truly_whether_it_happened(
    root: GlobalStorage, tmp_path: Path, code: int
) -> None:
    happened = []
    for position, copy in enumerate(copies(root, tmp_path / "copy", update)):
        with observe_disk(FailOperation(position, code)):
            happened.append(outcome_of(update, copy))
        assert current_text(copy) == ("eight\n" if happened[-1] == "yes" else "text 7\n")
        require_sound(copy)
        assert set_text(copy, "next\n") == (9 if happened[-1] == "yes" else 8)
        require_sound(copy)
    assert "".join(sorted(set(happened))) == "noyes"
    assert happened == sorted(happened), "once it is committed, it is reported as committed"


def test_on_a_full_disk_nothing_is_left_behind_and_the_next_call_works(
    root: GlobalStorage, tmp_path: Path
) -> None:
    for position, copy in enumerate(copies(root, tmp_path / "copy", update)):
        before = snapshot(copy)
        with observe_disk(FailOperation(position, refuses=needs_space)):
            answer = outcome_of(update, copy)
        assert answer in ("yes", "no")
        assert answer == "yes" or snapshot(copy) == before
        require_sound(copy)
        set_text(copy, "next\n")
        require_sound(copy)


def snapshot(root: GlobalStorage) -> dict[str, bytes]:
    files = (path for path in root.reports_root.rglob("*") if path.is_file())
    return {str(path.relative_to(root.reports_root)): path.read_bytes() for path in files}


def test_a_disk_that_refuses_everything_from_a_point_on_leaves_the_outcome_unknown_at_worst(
    root: GlobalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = set()
    for position, copy in enumerate(copies(root, tmp_path / "copy", update)):
        with observe_disk(FailOperation(position, errno.EIO, refuses=lambda _: True)):
            answer = outcome_of(update, copy)
        answers.add(answer)
        if answer == "unknown":
            with pytest.raises(StorageFailedError, match="no longer writes this report"):
                update(copy)
            copy = GlobalStorage(copy.reports_root)  # a new process
        expected = {"yes": ["eight\n"], "no": ["text 7\n"], "unknown": ["text 7\n", "eight\n"]}[answer]
        assert current_text(copy) in expected
        require_sound(copy)
        set_text(copy, "next\n")
        require_sound(copy)
    assert answers == {"yes", "no", "unknown"}


def test_a_process_with_an_unknown_outcome_still_reads_and_writes_nothing(root: GlobalStorage) -> None:
    with (
        observe_disk(fails_at("sync", "audit.jsonl", and_then="truncate")),
        pytest.raises(StorageFailedError) as caught,
    ):
        update(root)
    assert caught.value.details["happened"] == "unknown"
    assert operations_of(lambda: root.read(REPORT)) == []


def fails_at(operation: str, name: str, and_then: str = "") -> Callable[[str, tuple[Path, ...]], None]:
    def observer(done: str, details: tuple[Path, ...]) -> None:
        if done in (operation, and_then) and details[0].name == name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    return observer


def test_a_failed_sync_is_not_taken_for_success_by_the_next_process(root: GlobalStorage) -> None:
    """The line is there, its sync failed, and so did the cut: whoever comes next writes it again first."""
    with observe_disk(fails_at("sync", "audit.jsonl", and_then="truncate")):
        assert outcome_of(update, root) == "unknown"
    other = GlobalStorage(root.reports_root)
    position = {}

    def read_elsewhere() -> None:
        assert current_text(other) == "eight\n"

    operations = operations_of(read_elsewhere)
    for wanted in (("rewrite", "audit.jsonl"), ("sync", "audit.jsonl"), ("link", "outline.json")):
        position[wanted] = operations.index(wanted)
    assert list(position.values()) == sorted(position.values())


def test_a_create_that_is_refused_says_truly_whether_it_happened(root: GlobalStorage, tmp_path: Path) -> None:
    answers = set()
    for position, copy in enumerate(copies(root, tmp_path / "copy", make)):
        with observe_disk(FailOperation(position)):
            answers.add(answer := outcome_of(make, copy))
        assert (copy.locate(OTHER) == "active") == (answer == "yes")
        if copy.locate(OTHER) != "active":
            make(copy)
        require_sound(copy, OTHER)
    assert answers == {"yes", "no"}


def test_a_create_on_a_disk_that_refuses_everything_leaves_the_outcome_unknown_at_worst(
    root: GlobalStorage, tmp_path: Path
) -> None:
    for position, copy in enumerate(copies(root, tmp_path / "copy", make)):
        with observe_disk(FailOperation(position, errno.EIO, refuses=lambda _: True)):
            answer = outcome_of(make, copy)
        possible = {"yes": ["active"], "no": [""], "unknown": ["active", ""]}
        assert copy.locate(OTHER) in possible[answer]


def test_a_first_save_that_was_refused_can_be_made_again(tmp_path: Path) -> None:
    count = len(operations_of(lambda: first_save(tmp_path / "model")))
    for position in range(count):
        folder = tmp_path / str(position)
        with observe_disk(FailOperation(position)):
            answer = outcome_of(first_save, folder)
        assert answer in ("yes", "no")
        if answer == "no":
            first_save(folder)
        require_sound(GlobalStorage(folder))


def first_save(folder: Path) -> None:
    GlobalStorage(folder).get_report_storage(REPORT).save_outline(outline_with("one\n"))


def test_deleting_is_refused_truly_and_can_be_finished(root: GlobalStorage, tmp_path: Path) -> None:
    answers = set()
    for position, copy in enumerate(copies(root, tmp_path / "copy", delete)):
        with observe_disk(FailOperation(position)):
            answer = outcome_of(delete, copy)
        answers.add(answer)
        assert [entry.report_id for entry in copy.entries()] == ([] if answer == "yes" else [REPORT])
        if answer == "no":
            require_sound(copy)
            delete(copy)
        assert copy.find_in_trash(REPORT) is not None
    assert answers == {"yes", "no"}


def test_an_event_without_a_version_is_refused_truly(root: GlobalStorage, tmp_path: Path) -> None:
    def note_it(copy: GlobalStorage) -> None:
        copy.get_report_storage(REPORT).append_audit_event(event_of_type("render"))

    count = len(operations_of(lambda: note_it(copy_root(root, tmp_path / "copy"))))
    for position in range(count):
        copy = copy_root(root, tmp_path / "copy")
        with observe_disk(FailOperation(position)):
            answer = outcome_of(note_it, copy)
        require_sound(copy)
        assert len(log_events(copy.by_id / REPORT)) == {"yes": 8, "no": 7}[answer]


# --- Killed, at every operation in turn ---------------------------------------------------


def deaths(root: GlobalStorage, target: Path, action: Change) -> Iterator[GlobalStorage]:
    """The root as a process left it that was killed before each operation of the action."""
    position = 0
    while True:
        copy = copy_root(root, target)
        if not killed_before(position, lambda copy=copy: action(copy)):  # type: ignore[misc]
            break
        yield GlobalStorage(target)
        position += 1
    assert position > 5


def test_an_update_that_is_killed_happened_or_not(root: GlobalStorage, tmp_path: Path) -> None:
    seen = []
    for copy in deaths(root, tmp_path / "copy", update):
        seen.append(current_text(copy) or "")
        require_sound(copy)
        set_text(copy, "next\n")
        require_sound(copy)
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {"text 7\n", "eight\n"}


SAVED = {
    "an edit that fits": lambda old: old.replace(b'"title": "Health"', b'"title": "By a person"'),
    "an edit that clashes": lambda old: old.replace(b"text 7", b"text of a person"),
    "no outline": lambda old: old[:-20],
}


@pytest.mark.parametrize("saved", SAVED.values(), ids=SAVED.keys())
def test_a_person_who_saves_in_place_after_a_kill_spoils_no_backup(
    root: GlobalStorage, tmp_path: Path, saved: Callable[[bytes], bytes]
) -> None:
    old = (root.by_id / REPORT / "outline.json").read_bytes()
    assert saved(old) != old
    for copy in deaths(root, tmp_path / "copy", update):
        with (copy.by_id / REPORT / "outline.json").open("r+b") as file:
            file.truncate(file.write(saved(old)))
        with suppress(CorruptReportError):
            copy.read(REPORT)
        assert [one for one in copy.verify(REPORT)["findings"] if "backup" in one["code"]] == []


def test_after_a_kill_the_list_is_right_without_the_report_being_opened(
    root: GlobalStorage, tmp_path: Path
) -> None:
    def rename(copy: GlobalStorage) -> None:
        with copy.edit(REPORT) as edit:
            edit.put(edit.snapshot.outline.model_copy(update={"title": "New"}), Note("rename", ANN))

    for copy in deaths(root, tmp_path / "copy", rename):
        [entry] = copy.entries()
        assert entry.current_title == copy.read(REPORT).outline.title


def test_a_create_that_is_killed_happened_or_not(root: GlobalStorage, tmp_path: Path) -> None:
    seen = []
    for copy in deaths(root, tmp_path / "copy", make):
        seen.append(copy.locate(OTHER) == "active")
        assert {entry.report_id for entry in copy.entries()} == ({REPORT, OTHER} if seen[-1] else {REPORT})
        if not seen[-1]:
            copy.create(outline_with("other\n", "Other", OTHER), Note("create", ANN))
            GlobalStorage(copy.reports_root, lock_timeout_seconds=0.0).entries()  # sweeps up at once
        require_sound(copy, OTHER)
    assert set(seen) == {True, False}


def test_deleting_that_is_killed_is_finished_or_did_not_happen(root: GlobalStorage, tmp_path: Path) -> None:
    seen = set()
    for copy in deaths(root, tmp_path / "copy", delete):
        is_listed = bool(copy.entries())
        assert is_listed == (copy.locate(REPORT) == "active")
        assert is_listed == (copy.find_in_trash(REPORT) is None)
        seen.add(is_listed)
        if is_listed:
            require_sound(copy)
    assert seen == {True, False}


def test_recovery_that_is_killed_is_done_again(root: GlobalStorage, tmp_path: Path) -> None:
    """Kill an update between its event and its outline, then kill whoever finishes it, at every operation."""
    operations = operations_of(lambda: update(copy_root(root, tmp_path / "model")))
    half = copy_root(root, tmp_path / "half")
    assert killed_before([what for what, _ in operations].index("link"), lambda: update(half))
    for copy in deaths(half, tmp_path / "copy", lambda copy: copy.read(REPORT)):
        assert current_text(copy) == "eight\n"
        require_sound(copy)
