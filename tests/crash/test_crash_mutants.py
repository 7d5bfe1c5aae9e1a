"""The bench is worth what it catches: each step that is left out shows as a broken promise.

A mutant is the real program with one step missing. Where nothing crashes it works, which is
checked first; then its crash states are looked at until one shows it. A mutant that survives
is a hole in the bench.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from living_reports.model.report import Outline, parse_outline
from living_reports.storage import ReportIndex
from living_reports.store.files import commit, durable, recovery
from living_reports.store.files.folder import Found, History, ReportFolder, _Base
from living_reports.store.files.log import Record
from living_reports.store.files.recovery import Case, RollForward, Torn, diagnose
from support.crash.bench import Bench, BrokenError, State
from support.crash.model import FileSystem
from support.crash.recorder import Death, Operation, Sync
from support.crash.scenarios import SCENARIOS, SEED, Scenario, with_deaths
from support.folders import memory_folder

Patch = pytest.MonkeyPatch
Mutation = Callable[[Patch], None]

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
DRAWN = 8


@pytest.fixture
def bench() -> Iterator[Bench]:
    with memory_folder() as place:
        yield Bench(Path(place), SEED, DRAWN)


# --- The mutants --------------------------------------------------------------------------


def event_not_synced(patch: Patch) -> None:
    patch.setattr(durable, "append", durable.append_hint)


def outline_renamed_before_the_event(patch: Patch) -> None:
    append, replace_name = commit._append, durable.replace

    def rename_first(folder: ReportFolder, last: Record | None, size: int, line: bytes) -> Record:
        backup = json.loads(line)["payload"].get("backup_filename")
        for name in folder.look().strays if backup else ():
            durable.link(folder.outline_path, folder.backups_dir / backup)
            replace_name(folder.report_dir / name, folder.outline_path)
        return append(folder, last, size, line)

    def replace_if_there(source: Path, target: Path) -> None:
        if source.exists():
            replace_name(source, target)

    patch.setattr(commit, "_append", rename_first)
    patch.setattr(durable, "replace", replace_if_there)


def torn_tail_passed_over(patch: Patch) -> None:
    look = ReportFolder.look

    def look_past(self: ReportFolder, **more: bool) -> Found:
        found = look(self, **more)
        if found.last is None or found.last.data is not None:
            return found
        return replace(found, last=next((r for r in self.log.backwards() if r.data is not None), None))

    patch.setattr(ReportFolder, "look", look_past)


def no_mark(patch: Patch) -> None:
    patch.setattr(ReportIndex, "mark", lambda self, report_id: None)


def folders_not_synced(is_meant: Callable[[Path], bool]) -> Mutation:
    sync_folder = durable.sync_folder

    def sync_others(path: Path) -> None:
        if not is_meant(path):
            sync_folder(path)

    return lambda patch: patch.setattr(durable, "sync_folder", sync_others)


def line_not_confirmed(patch: Patch) -> None:
    patch.setattr(recovery, "_confirm", lambda storage, record: None)


def whole_line_cut(patch: Patch) -> None:
    """An event whose outline is not in place yet is taken for one that was never finished."""

    def cut_it(*found: Any) -> Case:
        case = diagnose(*found)
        return Torn(case.record) if isinstance(case, RollForward) else case

    patch.setattr(recovery, "diagnose", cut_it)


def garbled_outline_not_made_again(patch: Patch) -> None:
    patch.setattr(recovery, "_is_outline_garbled", lambda *_: False)


def unfinished_edit_taken_for_a_crash(patch: Patch) -> None:
    patch.setattr(recovery, "_is_outline_garbled", lambda *_: True)


def base_not_compared(patch: Patch) -> None:
    """The outline is made again from the nearest base, whatever its hash and that of the result are."""
    log_wins = recovery._log_wins

    def sound(self: History, name: str) -> _Base | None:
        try:
            outline = parse_outline((self.backups_dir / name).read_bytes())
        except ValueError:
            return None
        event = self.log.find_version(outline.outline_version)
        return _Base(outline, event.version, event.end) if event is not None else None

    def outline_at(self: History, version: int, current: Outline | None = None) -> Outline:
        record = self.find(version)
        return self._replay(next(self._bases(record, current)), record)

    def without_comparing(*arguments: Any) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(History, "_sound", sound)
            inner.setattr(History, "outline_at", outline_at)
            return log_wins(*arguments)

    patch.setattr(recovery, "_log_wins", without_comparing)


def replaced_bytes_thrown_away(patch: Patch) -> None:
    patch.setattr(recovery, "_set_aside", lambda folder: "")


def kept_backup_not_synced(patch: Patch) -> None:
    patch.setattr(durable, "sync_file", lambda path: None)


def strange_bytes_not_synced(patch: Patch) -> None:
    folders_not_synced(lambda path: path.name == "backups")(patch)


# --- Who catches them ---------------------------------------------------------------------


MUTANTS: dict[str, tuple[Mutation, str]] = {
    "the event is not synced": (event_not_synced, "two updates"),
    "the outline is renamed before the event": (outline_renamed_before_the_event, "update"),
    "a torn tail is passed over": (torn_tail_passed_over, "update"),
    "no mark is set": (no_mark, "update"),
    "a new report's folder is not synced": (
        folders_not_synced(lambda path: path.name.startswith(".new-")),
        "create a second",
    ),
    "by_id is not synced at a create": (
        folders_not_synced(lambda path: path.name == "by_id"),
        "create a second",
    ),
    "by_id is not synced at a restore": (folders_not_synced(lambda path: path.name == "by_id"), "restore"),
    "the root's name is not synced": (folders_not_synced(lambda path: path.name == "below"), "create"),
    "an acknowledged line is cut as if torn": (whole_line_cut, "two updates"),
    "a garbled outline is not made again": (garbled_outline_not_made_again, "updates of a long report"),
    "an outline is made again from a wrong base": (base_not_compared, "update behind a spoiled backup"),
    "an unfinished edit is taken for a crash": (unfinished_edit_taken_for_a_crash, "damage reverted"),
    "what recovery replaces is thrown away": (replaced_bytes_thrown_away, "updates of a long report"),
    "a kept backup is not synced": (kept_backup_not_synced, "two updates"),
    "another writer's bytes are not kept first": (strange_bytes_not_synced, "adoption"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_bench_catches(name: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate, scenario = MUTANTS[name]
    mutate(monkeypatch)
    require_works_without_crash(bench, BY_NAME[scenario])
    with pytest.raises(BrokenError):
        bench.run(BY_NAME[scenario])


def test_the_bench_catches_a_line_published_that_recovery_did_not_sync(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes two crashes: a kill between the line and its sync, and a power cut after the recovery."""
    update = BY_NAME["update"]
    operations = bench.operations_of(update)
    [death] = [Death(at) for at, operation in enumerate(operations) if is_sync_of_log(operation)]
    [run] = with_deaths(update, [death])
    line_not_confirmed(monkeypatch)
    require_works_without_crash(bench, update)
    with pytest.raises(BrokenError):
        bench.run(run)


def is_sync_of_log(operation: Operation) -> bool:
    return isinstance(operation, Sync) and operation.path.endswith("audit.jsonl")


def require_works_without_crash(bench: Bench, scenario: Scenario) -> None:
    """A mutant that is broken anyhow would prove nothing."""
    recording = bench.record(scenario)
    disk = FileSystem(recording.base)
    for operation in recording.operations:
        disk.do(operation)
    [tree] = disk.after_kill()
    bench.look_at(recording, State(len(recording.operations), tree, is_power_cut=False))
