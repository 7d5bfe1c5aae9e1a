"""Runs a scenario, and looks at every state that a crash may leave of it.

A state is opened by the library as by a process that starts now, listed, read, changed, and
checked with the checker that `doctor` uses: what was acknowledged before the crash is there, what
was under way is there whole or not at all, and everything works on.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from living_reports.errors import ReportError, ReportNotFoundError
from living_reports.library import Library
from living_reports.library.requests import (
    CreateReport,
    GetReport,
    ListReports,
    RestoreReport,
    TrashReport,
    UpdateReport,
)
from living_reports.model.report import Outline, outline_bytes, outline_data, parse_outline, sha256_hex
from living_reports.storage import ReportStorage
from living_reports.store.files.catalogue import version_in
from living_reports.store.files.doctor import check_root
from support.crash.model import FileSystem, Item, Tree, numbered, read_tree, write_tree
from support.crash.recorder import Operation, Recorder
from support.crash.scenarios import ANN, Act, Scenario, look
from support.disk_faults import killed_before
from support.library_reports import folder_store

BOOT = Path("/proc/sys/kernel/random/boot_id")
OTHER_BOOT = b"00000000-1111-4222-8333-444444444444"
ROOT = "below/reports"
SEARCH = ".search*"
LONG_AGO = 1_600_000_000

Place = str
"""Where a report is: `by_id`, `trash`, or nowhere (the empty text)."""


class BrokenError(AssertionError):
    """A promise does not hold in a state."""


@dataclass(frozen=True)
class Known:
    """The state when an act had been answered, after a number of operations."""

    position: int
    reports: dict[str, tuple[Place, int]]
    """Place and version of each report."""


@dataclass
class Recording:
    """A run that was recorded."""

    scenario: Scenario
    base: Tree
    operations: list[Operation]
    known: list[Known]
    search: dict[str, bytes]
    """The search database as it was at the beginning: what a crash may leave of it."""
    begin: int = 0
    """Where to begin to look: behind the operations of an act that died."""
    versions: dict[tuple[str, int], bytes] = field(default_factory=dict)
    """The bytes of every version that the log tells of when all is over."""

    def around(self, position: int) -> tuple[Known, Known]:
        """The acknowledged state at a position, and the state that the act under way leads to."""
        before = [known for known in self.known if known.position <= position]
        after = [known for known in self.known if known.position > position]
        return before[-1], after[0] if after else before[-1]


@dataclass(frozen=True)
class State:
    """The state that a crash leaves after a number of operations."""

    position: int
    tree: Tree
    is_power_cut: bool


class Bench:
    """A place for the trees, and a seed for every draw.

    Args:
        place: An empty folder, best in memory.
        seed: What to draw from.
        limit: How many states of one kind to look at after each operation.
    """

    def __init__(self, place: Path, seed: int, limit: int) -> None:
        self._place = place
        self._limit = limit
        self._random = Random(seed)
        self._boot = BOOT.read_bytes().strip() if BOOT.exists() else b""
        self.tally: Counter[str] = Counter()

    # --- Recording ------------------------------------------------------------------------

    def record(self, scenario: Scenario, start: Tree | None = None) -> Recording:
        """Do all acts of a scenario, from its own beginning or from a given one."""
        base = self._place / "run"
        write_tree(start or (Item("below", 0, None),), base)
        if start is None:
            scenario.begin(base / ROOT)
            Library(base / ROOT).list_reports(
                ListReports()
            )  # the search database knows what there is to begin with
        search = {path.name: path.read_bytes() for path in (base / ROOT).glob(SEARCH)}
        tree = read_tree(base)
        recorder, begin = Recorder(base), 0
        known = [Known(0, _known_reports(base / ROOT))]
        for act in scenario.acts:
            with recorder.watching(act.death):
                act.do(Library(base / ROOT))
            if act.death is None:
                known.append(Known(len(recorder.operations), _known_reports(base / ROOT)))
            else:
                begin = len(recorder.operations)
        recording = Recording(scenario, tree, recorder.operations, known, search, begin)
        recording.versions = _all_versions(base / ROOT)
        _require_faithful(recording, base)
        return recording

    def operations_of(self, scenario: Scenario) -> list[Operation]:
        """Return the operations of the first act of a scenario."""
        recording = self.record(Scenario(scenario.name, scenario.begin, scenario.acts[:1]))
        return recording.operations

    # --- States ---------------------------------------------------------------------------

    def states(self, recording: Recording) -> Iterator[State]:
        """Every state that is worth a look, each once for the same expectation."""
        seen: set[tuple[int, bool, Tree]] = set()
        for state in self._states_from(recording):
            key = (recording.around(state.position)[0].position, state.is_power_cut, state.tree)
            if key not in seen:
                seen.add(key)
                yield state

    def _states_from(self, recording: Recording) -> Iterator[State]:
        strict, ordered = FileSystem(recording.base), FileSystem(recording.base, is_ordered=True)
        for position, operation in enumerate([*recording.operations, None]):
            if position >= recording.begin:
                whole, *torn = strict.after_kill(operation)
                for tree in [whole, *self._random.sample(torn, min(self._limit, len(torn)))]:
                    yield State(position, tree, is_power_cut=False)
                for disk in (strict, ordered):
                    for tree in disk.after_power_cut(self._random, self._limit):
                        yield State(position, tree, is_power_cut=True)
            if operation is not None:
                strict.do(operation)
                ordered.do(operation)

    def states_of_kills(self, scenario: Scenario) -> Iterator[tuple[Recording, Path]]:
        """The first act, really killed just before each of its operations: the root that is left."""
        [act] = scenario.acts
        recording = self.record(scenario)
        recording.versions = _versions_of(recording.known[0], recording)  # the others get other ids each time
        place = self._place / "state"
        for position in count():
            write_tree(recording.base, place)
            self._put_search(recording, place / ROOT, is_power_cut=False)
            if not killed_before(position, lambda: act.do(Library(place / ROOT))):
                return
            yield recording, place / ROOT

    def look_at_root(self, recording: Recording, root: Path) -> None:
        """Check a root that a killed process left, as `look_at` does a state that was derived.

        Raises:
            BrokenError: A promise does not hold.
        """
        self.tally["real kill"] += 1
        state = State(0, read_tree(root.parent.parent), is_power_cut=False)
        _make_old(root)
        self._check(recording, state, root)

    def run(self, scenario: Scenario, deeper: float = 0.0) -> None:
        """Look at every state of a scenario; and for a share of them, at those of the recovery from it.

        Raises:
            BrokenError: A promise does not hold; the message says in which state.
        """
        recording = self.record(scenario)
        for state in self.states(recording):
            self.look_at(recording, state)
            if self._random.random() < deeper:
                self._look_deeper(recording, state)

    def _look_deeper(self, recording: Recording, state: State) -> None:
        """Crash the recovery from a state, too."""
        tree = self._rebooted(state)
        again = self.record(
            Scenario(f"recovery after {recording.scenario.name}", _nothing, [Act(look)]), tree
        )
        before, after = recording.around(state.position)
        again.known = [
            Known(0, before.reports),
            Known(len(again.operations) + 1, after.reports),
        ]
        again.versions |= recording.versions
        again.scenario = replace(recording.scenario, name=again.scenario.name)
        for deep in self.states(again):
            self.look_at(again, deep)

    # --- Looking --------------------------------------------------------------------------

    def look_at(self, recording: Recording, state: State) -> None:
        """Open a state, and check it.

        Raises:
            BrokenError: A promise does not hold.
        """
        self.tally["power cut" if state.is_power_cut else "kill"] += 1
        place = self._place / "state"
        write_tree(self._rebooted(state) if state.is_power_cut else state.tree, place)
        self._put_search(recording, place / ROOT, is_power_cut=state.is_power_cut)
        _make_old(place / ROOT)
        self._check(recording, state, place / ROOT)

    def _put_search(self, recording: Recording, root: Path, *, is_power_cut: bool) -> None:
        """A kill leaves the search database; a power cut leaves it from before, or none."""
        if not root.is_dir() or (is_power_cut and self._random.random() < 0.5):
            return
        for name, data in recording.search.items():
            (root / name).write_bytes(data.replace(self._boot, OTHER_BOOT) if is_power_cut else data)

    def _check(self, recording: Recording, state: State, root: Path) -> None:
        try:
            Look(recording, state, root, self._random).check()
        except (AssertionError, ReportError, OSError, RecursionError, ValueError) as error:
            raise BrokenError(_describe(recording, state, error)) from error

    def _rebooted(self, state: State) -> Tree:
        """After a power cut, what names the boot names an earlier one."""
        return tuple(
            replace(item, content=item.content.replace(self._boot, OTHER_BOOT))
            if item.content is not None and self._boot
            else item
            for item in state.tree
        )


class Look:
    """One look at one state."""

    def __init__(self, recording: Recording, state: State, root: Path, random: Random) -> None:
        self._recording = recording
        self._root = root
        self._library = Library(root, lock_timeout_s=5.0)
        self._random = random
        self._before, self._after = recording.around(state.position)

    def check(self) -> None:
        check_root(self._root)  # finds what it finds, and fails at nothing
        garbled = list(_garbled_outlines(self._root))
        self._recording.scenario.first(self._library)
        checks = [self._check_reports, self._check_list]
        if self._recording.scenario.lists_at_once and self._random.random() < 0.5:
            checks.reverse()
        for check in checks:
            check()
        if self._root.is_dir():
            self._recording.scenario.requires(self._root, self._before is self._after)
        kept = [path.read_bytes() for path in self._root.rglob("*outline*")] if garbled else []
        assert all(data in kept for data in garbled), "what was replaced is nowhere any more"
        self._go_on()
        self._check_list()
        found = [finding for finding in check_root(self._root, deep=True) if finding.severity != "info"]
        findings = [finding for finding in found if finding.code not in self._recording.scenario.allows]
        assert not findings, findings
        assert _listed(Library(self._root)) == _listed(self._library)

    def _check_reports(self) -> None:
        for report_id in self._before.reports.keys() | self._after.reports.keys():
            before = self._before.reports.get(report_id, NOWHERE)
            after = self._after.reports.get(report_id, NOWHERE)
            self._check_report(report_id, before, after)

    def _check_report(self, report_id: str, before: tuple[Place, int], after: tuple[Place, int]) -> None:
        outline = self._opened(report_id)
        place, folder = self._place_of(report_id)
        assert place in (before[0], after[0]), f"the report is in {place or 'no place'}"
        assert (outline is None) == (place != "by_id")
        if folder is None:
            return
        now = outline or ReportStorage(folder).read().outline  # in the trash nothing has opened it yet
        assert version_in(folder / "outline.json") == now.outline_version
        lowest, highest = sorted((before[1], after[1]))
        assert lowest <= now.outline_version <= highest, f"it is at version {now.outline_version}"
        self._check_versions(report_id, folder, before[1], now)

    def _check_versions(self, report_id: str, folder: Path, acknowledged: int, now: Outline) -> None:
        storage = ReportStorage(folder)
        hashes = {record.version: record.outline_sha256 for record in storage.log.forwards()}
        acknowledged_here = {
            version: data
            for (owner, version), data in self._recording.versions.items()
            if owner == report_id and version <= acknowledged
        }
        for version, data in acknowledged_here.items():
            assert hashes.get(version) == sha256_hex(data), f"version {version} is another, or gone"
        if acknowledged_here:  # the checker reads all of them back
            version, data = self._random.choice(list(acknowledged_here.items()))
            assert outline_bytes(storage.history.outline_at(version)) == data, f"version {version}"
        expected = self._recording.versions.get((report_id, now.outline_version))
        if expected is not None:
            assert _words(now) == _words(parse_outline(expected)), "its words are others"

    def _opened(self, report_id: str) -> Outline | None:
        try:
            answer = self._library.get_report(GetReport(report_id))
        except ReportNotFoundError:
            return None
        state = self._library.store.read(report_id)
        assert state.refusal is None, state.warnings
        assert answer["version"] == state.version
        return state.outline

    def _place_of(self, report_id: str) -> tuple[Place, Path | None]:
        trashed = folder_store(self._library).find_in_trash(report_id)
        if (self._root / "by_id" / report_id).exists():
            assert trashed is None
            return "by_id", self._root / "by_id" / report_id
        return ("trash", trashed) if trashed is not None else ("", None)

    def _check_list(self) -> None:
        rows = _listed(self._library)
        folders = _known_reports(self._root)
        assert rows.keys() == {name for name, (place, _) in folders.items() if place == "by_id"}
        for report_id, row in rows.items():
            answer = self._library.get_report(GetReport(report_id))
            for key in ("title", "version", "updated_at"):
                assert row.get(key) == answer[key], (
                    f"the list says {key} {row.get(key)}, the report {answer[key]}"
                )

    def _go_on(self) -> None:
        """The next call of everybody works."""
        made = self._library.create_report(CreateReport("After"), author=ANN)
        for report_id, (place, version) in _known_reports(self._root).items():
            if place == "trash":
                self._library.restore_report(RestoreReport(report_id), author=ANN)
            change = {"op": "set_metadata", "key": "after", "value": "the crash"}
            answer = self._library.update_report(UpdateReport(report_id, [change]), author=ANN)
            assert answer["version"] > version
            assert self._library.get_report(GetReport(report_id))["version"] == answer["version"]
        self._library.trash_report(TrashReport(made["report_id"]), author=ANN)
        assert made["report_id"] not in _listed(self._library)


NOWHERE = ("", 0)


def _garbled_outlines(root: Path) -> Iterator[bytes]:
    """Yield the outlines that nobody can read."""
    for pattern in ("by_id/[0-9a-f]*/outline.json", ".trash/*/outline.json"):
        for path in root.glob(pattern):
            data = path.read_bytes()
            try:
                parse_outline(data)
            except ValueError:
                yield data


def _nothing(root: Path) -> None:
    """The tree is given."""


def _listed(library: Library) -> dict[str, dict[str, Any]]:
    return {row["report_id"]: row for row in library.list_reports(ListReports(status="all"))["reports"]}


def _known_reports(root: Path) -> dict[str, tuple[Place, int]]:
    """Place and version of each report, as its folder says."""
    reports = {}
    for place, name in (("trash", ".trash"), ("by_id", "by_id")):
        for path in (root / name).glob("[0-9a-f]*/outline.json"):
            reports[path.parent.name.partition("_")[0]] = (place, version_in(path))
    return reports


def _all_versions(root: Path) -> dict[tuple[str, int], bytes]:
    versions = {}
    for folder in (*(root / "by_id").glob("[0-9a-f]*"), *(root / ".trash").glob("*")):
        storage = ReportStorage(folder)
        for record in storage.log.forwards():
            if record.makes_version:
                data = outline_bytes(storage.history.outline_at(record.version))
                versions[folder.name.partition("_")[0], record.version] = data
    return versions


def _versions_of(known: Known, recording: Recording) -> dict[tuple[str, int], bytes]:
    """The versions that were there already."""
    newest = {report_id: version for report_id, (_, version) in known.reports.items()}
    return {key: data for key, data in recording.versions.items() if key[1] <= newest.get(key[0], 0)}


def _words(outline: Outline) -> Any:
    """Return the outline's content, without the times of changes."""
    return _without_times(outline_data(outline))


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        times = ("updated_at", "created_at")
        return {key: _without_times(inner) for key, inner in value.items() if key not in times}
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value


def _require_faithful(recording: Recording, base: Path) -> None:
    """The model must have come to what is really there: else something was not announced."""
    disk = FileSystem(recording.base)
    for operation in recording.operations:
        disk.do(operation)
    [tree] = disk.after_kill()
    assert _announced(tree) == _announced(read_tree(base)), "something was written without being announced"


def _announced(tree: Tree) -> Tree:
    """The tree without a lock file that was opened, but never written to."""
    return numbered(item for item in tree if item.content or not item.path.endswith(".index.lock"))


def _make_old(root: Path) -> None:
    """Half-made folders are removed only when their maker cannot be at work any more."""
    for folder in (root / "by_id").glob(".new-*"):
        os.utime(folder, (LONG_AGO, LONG_AGO))


def _describe(recording: Recording, state: State, error: BaseException) -> str:
    done = recording.operations[max(0, state.position - 3) : state.position]
    kind = "a power cut" if state.is_power_cut else "a kill"
    files = [f"{i.path} ({'folder' if i.content is None else len(i.content)})" for i in state.tree]
    return "\n".join(
        [
            f"{recording.scenario.name}: after {kind} behind operation {state.position}: "
            f"{type(error).__name__}: {error}",
            *(f"  done: {str(operation)[:150]}" for operation in done),
            *(f"  there: {file}" for file in files),
        ]
    )
