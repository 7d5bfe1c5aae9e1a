"""The trash: out of sight, never lost, and back again whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from living_reports.errors import ReportNotFoundError, StorageFailedError
from living_reports.storage import GlobalStorage, Note
from support.disk_faults import FailOperation, killed_before, observe_disk, operations_of, outcome_of
from support.stored_reports import (
    ANN,
    REPORT,
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
    storage = GlobalStorage(tmp_path / "reports")
    create_stored_report(storage)
    set_text(storage, "two\n")
    return storage


@pytest.fixture
def trashed(root: GlobalStorage) -> GlobalStorage:
    root.trash(REPORT, event_of_type("delete"))
    return root


def restore(root: GlobalStorage) -> object:
    return root.restore(REPORT, event_of_type("status_change"))


def move_is_refused(operation: str, details: tuple[Path, ...]) -> None:
    if operation == "rename" and details[0].name == REPORT:
        raise OSError(5, "refused")


def test_a_report_moves_with_all_its_files_and_the_event_that_says_so(root: GlobalStorage) -> None:
    place = root.reports_root / root.trash(REPORT, event_of_type("delete"))
    assert place.parent == root.trash_dir
    assert place.name.startswith(f"{REPORT}_")
    assert log_events(place)[-1]["action_type"] == "delete"
    assert not (root.by_id / REPORT).exists()


@pytest.mark.parametrize(
    "use",
    [
        lambda root: root.read(REPORT),
        lambda root: set_text(root, "x"),
        lambda root: root.verify(REPORT),
        lambda root: root.trash(REPORT, event_of_type("delete")),
    ],
)
def test_a_report_in_the_trash_is_not_found(
    trashed: GlobalStorage, use: Callable[[GlobalStorage], object]
) -> None:
    with pytest.raises(ReportNotFoundError):
        use(trashed)


def test_a_restored_report_is_what_it_was_and_goes_on(trashed: GlobalStorage) -> None:
    restore(trashed)
    assert current_text(trashed) == "two\n"
    require_sound(trashed)
    assert [event["action_type"] for event in log_events(trashed.by_id / REPORT)[-2:]] == [
        "delete",
        "status_change",
    ]
    assert set_text(trashed, "three\n") == 3
    assert list(trashed.trash_dir.iterdir()) == []


def test_what_is_not_in_the_trash_is_not_restored(root: GlobalStorage) -> None:
    with pytest.raises(ReportNotFoundError):
        restore(root)
    require_sound(root)


def test_a_create_does_not_take_the_id_of_a_report_in_the_trash(trashed: GlobalStorage) -> None:
    assert trashed.create(outline_with("new\n"), Note("create", ANN)) is None
    assert not (trashed.by_id / REPORT).exists()
    found = trashed.creation_of(REPORT)
    assert found is not None
    assert found[1].sections[0].content == "one\n"


def test_a_move_that_was_refused_is_finished_by_the_next_look(root: GlobalStorage) -> None:
    with observe_disk(move_is_refused), pytest.raises(StorageFailedError) as caught:
        root.trash(REPORT, event_of_type("delete"))
    assert caught.value.details["happened"] == "yes"
    with pytest.raises(ReportNotFoundError):
        set_text(root, "x")
    assert root.find_in_trash(REPORT) is not None
    assert not (root.by_id / REPORT).exists()


def test_a_list_finishes_the_move_too(root: GlobalStorage) -> None:
    with observe_disk(move_is_refused), pytest.raises(StorageFailedError):
        root.trash(REPORT, event_of_type("delete"))
    assert GlobalStorage(root.reports_root).entries() == []
    assert root.find_in_trash(REPORT) is not None


def test_a_deleted_report_that_cannot_be_moved_is_still_not_found(root: GlobalStorage) -> None:
    with observe_disk(move_is_refused):
        assert outcome_of(root.trash, REPORT, event_of_type("delete")) == "yes"
        with pytest.raises(ReportNotFoundError):
            root.read(REPORT)


def test_restoring_that_is_refused_says_truly_whether_it_happened(
    trashed: GlobalStorage, tmp_path: Path
) -> None:
    operations = operations_of(lambda: restore(copy_root(trashed, tmp_path / "copy")))
    for position in range(len(operations)):
        copy = copy_root(trashed, tmp_path / "copy")
        with observe_disk(FailOperation(position)):
            answer = outcome_of(restore, copy)
        is_there = copy.locate(REPORT) == "active"
        assert is_there in {"yes": [True], "no": [False], "unknown": [True, False]}[answer]
        if not is_there:
            restore(copy)
        require_sound(copy)


def test_restoring_that_is_killed_happened_or_not(trashed: GlobalStorage, tmp_path: Path) -> None:
    position = 0
    copy = copy_root(trashed, tmp_path / "copy")
    while killed_before(position, lambda copy=copy: restore(copy)):  # type: ignore[misc]
        fresh = GlobalStorage(copy.reports_root)
        assert (fresh.locate(REPORT) == "active") != (fresh.find_in_trash(REPORT) is not None)
        if fresh.locate(REPORT) != "active":
            restore(fresh)
        require_sound(fresh)
        position += 1
        copy = copy_root(trashed, tmp_path / "copy")
    assert position > 4


def test_a_list_while_a_report_is_restored_leaves_its_mark(trashed: GlobalStorage) -> None:
    """A process that finds the mark syncs the folder's name before it depends on it."""
    marked: list[bool] = []

    def list_before_the_move(operation: str, details: tuple[Path, ...]) -> None:
        if operation == "rename" and details[1] == trashed.by_id / REPORT:
            other = GlobalStorage(trashed.reports_root)
            lister = threading.Thread(target=other.entries)
            lister.start()
            lister.join()
            marked.append(other.index.is_marked(REPORT))

    with observe_disk(list_before_the_move):
        restore(trashed)
    assert marked == [True]
    require_sound(trashed)


def test_the_mark_of_a_restoring_that_was_killed_before_the_move_goes(trashed: GlobalStorage) -> None:
    trashed.index.mark(REPORT)
    assert trashed.entries() == []
    assert not trashed.index.is_marked(REPORT)


def test_a_linked_trash_is_not_written_through(root: GlobalStorage, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    root.trash_dir.symlink_to(tmp_path / "outside")
    assert outcome_of(root.trash, REPORT, event_of_type("delete")) == "no"
    assert list((tmp_path / "outside").iterdir()) == []
    require_sound(root)
