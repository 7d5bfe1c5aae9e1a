"""The file system that crashes are derived from: what it loses, and what it must keep."""

from __future__ import annotations

from random import Random

from support.crash.model import FileSystem, Tree
from support.crash.recorder import (
    Create,
    Link,
    MakeFolder,
    Operation,
    Remove,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Write,
)

START: list[Operation] = [Create("a"), Write("a", 0, b"old"), Sync("a"), SyncFolder("")]


def states(*operations: Operation, is_ordered: bool = False) -> list[dict[str, bytes | None]]:
    """Return the states that a power cut may leave, on a disk with a file `a` with the text `old`."""
    disk = FileSystem((), is_ordered=is_ordered)
    for operation in [*START, *operations]:
        disk.do(operation)
    return [named(tree) for tree in disk.after_power_cut(Random(1), 10_000)]


def named(tree: Tree) -> dict[str, bytes | None]:
    return {item.path: item.content for item in tree}


def test_what_was_synced_stays() -> None:
    assert states() == [{"a": b"old"}]


def test_a_new_name_is_lost_or_kept_and_its_data_may_be_anything_on_the_way() -> None:
    found = states(Create("b"), Write("b", 0, b"data"))
    assert {"a": b"old"} in found
    contents = {state["b"] for state in found if "b" in state}
    assert {b"", b"d", b"da", b"dat", b"data", bytes(4), b"da\0\0", b"\0\0ta"} <= contents


def test_synced_data_is_whole_wherever_its_name_is() -> None:
    assert states(Create("b"), Write("b", 0, b"data"), Sync("b")) == [
        {"a": b"old"},
        {"a": b"old", "b": b"data"},
    ]


def test_an_overwritten_file_may_be_a_mixture_but_shows_no_zeros() -> None:
    contents = {state["a"] for state in states(Write("a", 0, b"NEW"))}
    assert contents == {b"old", b"Nld", b"NEd", b"NEW"}


def test_a_rename_is_one_change() -> None:
    assert states(Rename("a", "b")) == [{"a": b"old"}, {"b": b"old"}]


def test_a_later_change_may_reach_the_disk_before_an_earlier_one() -> None:
    found = states(Link("a", "b"), Remove("a"))
    assert {"a": b"old", "b": b"old"} in found
    assert {} in found  # the removal came first: nothing but this model allows it


def test_the_ordered_model_keeps_the_order_of_changes() -> None:
    found = states(Link("a", "b"), Remove("a"), is_ordered=True)
    assert found == [{"a": b"old"}, {"a": b"old", "b": b"old"}, {"b": b"old"}]


def test_the_ordered_model_writes_all_changes_out_with_any_sync() -> None:
    operations: list[Operation] = [Create("b"), Write("a", 3, b"er"), Sync("a")]
    assert {"a": b"older"} in states(*operations)
    assert states(*operations, is_ordered=True) == [{"a": b"older", "b": b""}]


def test_a_folders_sync_does_not_keep_the_folder_itself() -> None:
    operations: list[Operation] = [MakeFolder("f"), Create("f/b"), SyncFolder("f")]
    assert states(*operations) == [{"a": b"old"}, {"a": b"old", "f": None, "f/b": b""}]
    assert states(*operations, SyncFolder("")) == [{"a": b"old", "f": None, "f/b": b""}]


def test_a_change_that_was_synced_is_not_taken_back_by_an_earlier_one_of_the_same_name() -> None:
    operations: list[Operation] = [
        MakeFolder("f"),
        SyncFolder(""),
        Create("x"),
        Rename("x", "f/x"),
        SyncFolder("f"),
    ]
    assert states(*operations) == [{"a": b"old", "f": None, "f/x": b""}]


def test_a_cut_that_was_not_synced_may_be_lost() -> None:
    assert {state["a"] for state in states(Truncate("a", 1))} == {b"old", b"o"}


def test_a_kill_leaves_everything_and_may_tear_a_write() -> None:
    disk = FileSystem(())
    for operation in START:
        disk.do(operation)
    found = [named(tree) for tree in disk.after_kill(Write("a", 3, b"er"))]
    assert found == [{"a": b"old"}, {"a": b"olde"}]
