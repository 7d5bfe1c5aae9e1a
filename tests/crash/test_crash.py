"""No crash breaks a promise: every state that a kill or a power cut may leave is opened and checked.

The short version draws a few states behind every operation of every run; `--full` draws more,
crashes the recoveries, too, and recoveries of recoveries. `CRASH_DRAWN` (30, which takes minutes) sets how
many states are drawn behind an operation, and with them the share of crashes whose recovery is crashed:
all at 300, in hours. `CRASH_SEED` sets which.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import product
from math import ceil
from pathlib import Path
from random import Random

import pytest

from support.crash.bench import Bench
from support.crash.model import FileSystem
from support.crash.recorder import Death, Link, Operation, Rename, SyncFolder, Write
from support.crash.scenarios import (
    REPORT,
    SCENARIOS,
    SEED,
    Action,
    Scenario,
    carry_on,
    look,
    look_and_carry_on,
    name_of,
    with_deaths,
)
from support.folders import memory_folder
from support.summary import AddToSummary

EVERYTHING = 300
DRAWN, DRAWN_IN_FULL = 2, int(os.environ.get("CRASH_DRAWN", "30"))
SHARE = min(1.0, DRAWN_IN_FULL / EVERYTHING)
DEATHS = 1
PLAIN = 140
"""Enough for each change of names to be lost alone."""
DYING = [scenario for scenario in SCENARIOS if len(scenario.acts) == 1]
NEXT: list[tuple[Scenario, Action]] = [
    *((scenario, look) for scenario in DYING),
    *((scenario, carry_on) for scenario in DYING if scenario.name != "damage reverted"),
]
"""Who dies, and what the next process does; a damaged report cannot be changed."""

MakeBench = Callable[[int], Bench]


@pytest.fixture
def make_bench(add_to_summary: AddToSummary) -> Iterator[MakeBench]:
    """A bench that draws so many states; its trees are in memory where there is such a place."""
    place = memory_folder()
    benches: list[Bench] = []

    def make(limit: int) -> Bench:
        benches.append(Bench(Path(place.name), SEED, limit))
        return benches[-1]

    yield make
    for bench in benches:
        add_to_summary(f"crash states with seed {SEED}", bench.tally)
    place.cleanup()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
def test_no_crash_breaks_a_promise(scenario: Scenario, make_bench: MakeBench) -> None:
    bench = make_bench(DRAWN)
    bench.run(scenario)
    assert bench.tally["kill"] > 2
    assert bench.tally["power cut"] > 2


def test_one_sync_leaves_outlines_and_young_backups_in_any_condition(make_bench: MakeBench) -> None:
    """The states that the runs draw from: each condition of the outline with each of the newest backup."""
    [scenario] = [scenario for scenario in SCENARIOS if scenario.name == "updates of a long report"]
    recording = make_bench(1).record(scenario)
    disk = FileSystem(recording.base)
    for operation in recording.operations:
        disk.do(operation)
    versions = [data for (owner, _), data in sorted(recording.versions.items()) if owner == REPORT]
    backup = max(one.target for one in recording.operations if isinstance(one, Link))
    found = set()
    for tree in disk.after_power_cut(Random(SEED), 3000):
        content = {item.path: item.content for item in tree}
        outline = next(data for path, data in content.items() if path.endswith(f"{REPORT}/outline.json"))
        found.add((condition(outline, versions), condition(content.get(backup), versions[:-1])))
    garbled = ("whole", "empty", "short", "zeros")
    assert found >= set(product((*garbled, "older"), (*garbled, "missing")))


def condition(data: bytes | None, versions: list[bytes]) -> str:
    """Return the condition in which a file is that should be the last of these versions."""
    if not data:
        return "missing" if data is None else "empty"
    if b"\0" in data:
        return "zeros"
    if data in versions:
        return "whole" if data == versions[-1] else "older"
    assert any(whole.startswith(data) for whole in versions)
    return "short"


@pytest.mark.parametrize("scenario", DYING, ids=name_of)
def test_no_crash_of_a_recovery_breaks_a_promise(scenario: Scenario, make_bench: MakeBench) -> None:
    """A process is killed, the next one recovers, and the power is cut behind any of its operations."""
    bench = make_bench(1)
    deaths = deaths_in(bench.operations_of(scenario))
    for dying in with_deaths(scenario, Random(SEED).sample(deaths, DEATHS)):
        bench.run(dying)


@pytest.mark.parametrize(("name", "then"), [("create a second", carry_on), ("restore", look_and_carry_on)])
def test_nobody_builds_on_a_name_that_a_power_cut_takes_away(
    name: str, then: Action, make_bench: MakeBench
) -> None:
    """Killed between giving a folder its name and the sync of that; then others change the report."""
    bench = make_bench(PLAIN)
    [scenario] = [scenario for scenario in SCENARIOS if scenario.name == name]
    operations = bench.operations_of(scenario)
    named = next(at for at, one in enumerate(operations) if isinstance(one, Rename) and is_report(one.target))
    assert isinstance(operations[named + 1], SyncFolder)
    [dying] = with_deaths(scenario, [Death(named + 1)], then)
    recording = bench.record(dying)
    for state in bench.states(recording):
        if state.position == len(recording.operations):
            bench.look_at(recording, state)


def is_report(path: str) -> bool:
    """True for a report's folder itself."""
    return re.fullmatch(r".*/by_id/[0-9a-f-]{36}", path) is not None


def deaths_in(operations: list[Operation]) -> list[Death]:
    """Before each operation, and with a part of each write done."""
    deaths = []
    for position, operation in enumerate(operations):
        deaths.append(Death(position))
        if isinstance(operation, Write):
            size = len(operation.data)
            deaths += [Death(position, torn) for torn in {1, size // 2, size - 1} if 0 < torn < size]
    return deaths


@pytest.mark.full
@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
def test_no_crash_breaks_a_promise_in_full(scenario: Scenario, make_bench: MakeBench) -> None:
    make_bench(DRAWN_IN_FULL).run(scenario)


@pytest.mark.full
@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
def test_no_crash_of_a_recovery_after_a_power_cut_breaks_a_promise(
    scenario: Scenario, make_bench: MakeBench
) -> None:
    """The recovery from a power cut is crashed; its states are drawn from states that were drawn."""
    make_bench(DRAWN).run(scenario, deeper=SHARE / 4)


@pytest.mark.full
@pytest.mark.parametrize(
    ("scenario", "then"), NEXT, ids=lambda each: getattr(each, "name", "") or each.__name__
)
def test_no_crash_of_a_recovery_breaks_a_promise_in_full(
    scenario: Scenario, then: Action, make_bench: MakeBench
) -> None:
    bench = make_bench(max(1, DRAWN_IN_FULL // 15))
    deaths = deaths_in(bench.operations_of(scenario))
    drawn = Random(SEED).sample(deaths, ceil(SHARE * len(deaths)))
    for dying in with_deaths(scenario, drawn, then):
        bench.run(dying)
