"""A machine that thinks along: the library against plain values in memory, whatever is done in which order.

Its rules are what people, agents and crashes do. After each, every report is what the plain values say.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from living_reports.errors import ReportNotFoundError, RequestIdReusedError, VersionConflictError
from living_reports.library import Library
from living_reports.library.requests import (
    CreateReport,
    GetReport,
    ListReports,
    RestoreReport,
    RevertReport,
    TrashReport,
    UpdateReport,
)
from living_reports.store.files.doctor import check_root
from support.crash.bench import LONG_AGO
from support.disk_faults import killed_before
from support.folders import memory_folder
from support.library_reports import ANN, BEN
from support.reference_model import (
    OPS,
    Change,
    Plain,
    apply_change,
    has_section,
    random_change,
    section_with_id,
    to_plain,
)

Row = dict[str, Any]
IS_FULL = settings.get_current_profile_name() == "full"

seeds = st.integers(0, 2**16)
ops = st.sampled_from(OPS)


@dataclass
class Expected:
    """A report as it should be: what each version says, the first at 0, and where it is."""

    versions: list[Plain]
    is_in_trash: bool = False
    asked: list[tuple[Row, Row]] = field(default_factory=list)
    """Calls with a `request_id`, each with its first answer."""

    @property
    def now(self) -> Plain:
        return self.versions[-1]

    @property
    def version(self) -> int:
        return len(self.versions)


class Reports(RuleBasedStateMachine):
    """The operations that may happen to a root."""

    def __init__(self) -> None:
        super().__init__()
        self._place = memory_folder()
        self.root = Path(self._place.name) / "reports"
        self.library = Library(self.root)
        self.expected: dict[str, Expected] = {}
        self._words = 0

    def _word(self) -> str:
        self._words += 1
        return f"word {self._words}"

    def _pick(self, random: Random, is_in_trash: bool = False) -> tuple[str, Expected]:
        names = [name for name, report in self.expected.items() if report.is_in_trash == is_in_trash]
        name = random.choice(names)
        return name, self.expected[name]

    def _is_any_in(self, trash: bool) -> bool:
        return any(report.is_in_trash == trash for report in self.expected.values())

    # --- What people and agents do --------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.create(1)

    @precondition(lambda self: len(self.expected) < 4)
    @rule(sections=st.integers(0, 3))
    def create(self, sections: int) -> None:
        rows = [{"title": self._word(), "content": self._word()} for _ in range(sections)]
        title = self._word()
        answer = self.library.create_report(CreateReport(title, rows), author=ANN)
        assert answer["version"] == 1
        ids = [row["section_id"] for row in answer.get("created", {}).get("sections", [])]
        self.expected[answer["report_id"]] = Expected([self._first(title, rows, ids)])

    def _first(self, title: str, rows: list[Row], ids: list[str]) -> Plain:
        new: Plain = {"title": title, "status": "active", "tags": [], "metadata": {}, "sections": []}
        for row, section_id in zip(rows, ids, strict=True):
            new["sections"].append({"id": section_id, "notes": "", "insights": []} | row)
        return new | {"insights": {}}

    @precondition(lambda self: self._is_any_in(trash=False))
    @rule(op=ops, seed=seeds, remembered=st.booleans())
    def update(self, op: str, seed: int, remembered: bool) -> None:
        report_id, report = self._pick(Random(seed))
        self._update(report_id, report, op, Random(seed), self._word() if remembered else "")

    def _update(
        self, report_id: str, report: Expected, op: str, random: Random, request_id: str = ""
    ) -> None:
        change = random_change(report.now, op, random, self._word())
        call: Row = {"report": report_id, "changes": [change], "request_id": request_id}
        answer = self.library.update_report(UpdateReport(**call), ANN)
        self._require_made(report, answer, apply_change(report.now, change, answer.get("created", {})))
        if request_id and answer["applied"]:
            report.asked.append((call, answer))

    def _require_made(self, report: Expected, answer: Row, new: Plain) -> None:
        """A change that alters something makes the next version, and one that does not makes none."""
        if new != report.now:
            report.versions.append(new)
        assert answer["version"] == report.version
        assert bool(answer["applied"]) == ("action_id" in answer)

    @precondition(lambda self: self._is_any_in(trash=False))
    @rule(seed=seeds, kinds=st.lists(ops, min_size=2, max_size=5))
    def update_much_at_once(self, seed: int, kinds: list[str]) -> None:
        """Several changes are one version, each made on what the one before left."""
        random = Random(seed)
        report_id, report = self._pick(random)
        changes, new = [], report.now
        for op in kinds:
            change = random_change(new, op, random, self._word())
            if change["op"] not in ("add_section", "add_insight"):  # their ids are not known before
                changes.append(change)
                new = apply_change(new, change, {})
        if new != report.now:  # not where they take each other back
            answer = self.library.update_report(UpdateReport(report_id, changes), author=BEN)
            self._require_made(report, answer, new)

    @precondition(lambda self: self._is_any_in(trash=False))
    @rule(seed=seeds)
    def revert(self, seed: int) -> None:
        random = Random(seed)
        report_id, report = self._pick(random)
        version = random.randint(1, report.version)
        answer = self.library.revert_report(RevertReport(report_id, version), author=BEN)
        self._require_made(report, answer, report.versions[version - 1])

    @precondition(lambda self: self._is_any_in(trash=False))
    @rule(seed=seeds)
    def retitle_an_older_version(self, seed: int) -> None:
        """It is carried over later changes, unless one of them was of the title, too."""
        random = Random(seed)
        report_id, report = self._pick(random)
        version = random.randint(1, report.version)
        change = {"op": "set_title", "title": self._word()}

        def send() -> Row:
            return self.library.update_report(
                UpdateReport(report_id, [change], expected_version=version), author=ANN
            )

        if report.versions[version - 1]["title"] == report.now["title"]:
            self._require_made(report, send(), apply_change(report.now, change, {}))
        else:
            with pytest.raises(VersionConflictError) as caught:
                send()
            assert caught.value.details["current_version"] == report.version

    @precondition(lambda self: self._is_any_in(trash=False))
    @rule(seed=seeds)
    def append_to_an_older_version(self, seed: int) -> None:
        """A section that nobody touched since takes the text, whatever else was changed."""
        random = Random(seed)
        report_id, report = self._pick(random)
        version = random.randint(1, report.version)
        seen = report.versions[version - 1]
        for section in report.now["sections"]:
            if has_section(seen, section["id"]) and section_with_id(seen, section["id"]) == section:
                change = {"op": "append_text", "section": section["id"], "text": self._word()}
                answer = self.library.update_report(
                    UpdateReport(report_id, [change], expected_version=version), author=ANN
                )
                self._require_made(report, answer, apply_change(report.now, change, {}))
                return

    @precondition(lambda self: any(r.asked for r in self.expected.values() if not r.is_in_trash))
    @rule(seed=seeds)
    def repeat(self, seed: int) -> None:
        """The same request again gets the first answer; another one under its id is refused."""
        random = Random(seed)
        asked = [pair for r in self.expected.values() if not r.is_in_trash for pair in r.asked]
        call, answer = random.choice(asked)
        assert self.library.update_report(UpdateReport(**call), ANN) == answer
        other = call | {"changes": [{"op": "set_title", "title": self._word()}]}
        with pytest.raises(RequestIdReusedError):
            self.library.update_report(UpdateReport(**other), ANN)

    @precondition(lambda self: self._is_any_in(trash=False))
    @rule(seed=seeds)
    def read_any_version(self, seed: int) -> None:
        random = Random(seed)
        report_id, report = self._pick(random)
        self._require_version(report_id, random.randint(1, report.version))

    def _require_version(self, report_id: str, version: int) -> None:
        expected = self.expected[report_id].versions[version - 1]
        answer = self.library.get_report(GetReport(report_id, version=version))
        assert (answer["version"], answer["title"]) == (version, expected["title"])
        storage = self.library.store
        assert to_plain(storage.outline_at(report_id, version, storage.read(report_id))) == expected

    @precondition(lambda self: self._is_any_in(trash=False))
    @rule(seed=seeds)
    def throw_away(self, seed: int) -> None:
        report_id, report = self._pick(Random(seed))
        self.library.trash_report(TrashReport(report_id), author=ANN)
        report.is_in_trash = True

    @precondition(lambda self: self._is_any_in(trash=True))
    @rule(seed=seeds)
    def bring_back(self, seed: int) -> None:
        report_id, report = self._pick(Random(seed), is_in_trash=True)
        assert self.library.restore_report(RestoreReport(report_id), author=ANN)["version"] == report.version
        report.is_in_trash = False

    @precondition(lambda self: self._is_any_in(trash=False))
    @rule(seed=seeds, then=st.sampled_from(["read", "update", "revert", "killed reader"]), op=ops)
    def edit_by_hand(self, seed: int, then: str, op: str) -> None:
        """A person saves another outline; whoever comes next takes it in as a version of its own."""
        random = Random(seed)
        report_id, report = self._pick(random)
        change = random_change(report.now, random.choice(["set_title", "append_text"]), random, self._word())
        if change["op"] == "add_section":
            return  # there is no section to type into
        self._type(report_id, change)
        before = report.version
        report.versions.append(apply_change(report.now, change, {}))
        if then == "update":
            self._update(report_id, report, op, random)
        elif then == "revert":
            answer = self.library.revert_report(RevertReport(report_id, before), author=ANN)
            self._require_made(report, answer, report.versions[before - 1])
        elif then == "killed reader":
            killed_before(random.randint(0, 25), lambda: Library(self.root).get_report(GetReport(report_id)))
        assert self.library.get_report(GetReport(report_id))["version"] == report.version

    def _type(self, report_id: str, change: Change) -> None:
        path = self.root / "by_id" / report_id / "outline.json"
        outline = json.loads(path.read_text(encoding="utf-8"))
        if change["op"] == "set_title":
            outline["title"] = change["title"]
        else:
            section = next(row for row in outline["sections"] if row["section_id"] == change["section"])
            before = section.get("content")
            section["content"] = f"{before}\n\n{change['text']}" if before else change["text"]
        path.write_text(json.dumps(outline, indent=1), encoding="utf-8")

    # --- What happens to processes --------------------------------------------------------

    @rule()
    def start_again(self) -> None:
        self.library = Library(self.root)

    @precondition(lambda self: self._is_any_in(trash=False))
    @rule(seed=seeds, position=st.integers(0, 30), again=st.booleans())
    def be_killed_in_an_update(self, seed: int, position: int, again: bool) -> None:
        """It happened or not; sent again, it has happened once."""
        random = Random(seed)
        report_id, report = self._pick(random)
        kinds = ["set_title", "append_text", "edit_section", "set_metadata"]
        change = random_change(report.now, random.choice(kinds), random, self._word())
        if change["op"] == "add_section":
            return  # its id would not be known
        new = apply_change(report.now, change, {})
        call: Row = {"report": report_id, "changes": [change], "request_id": self._word()}
        before = report.version
        self._maybe(
            report, new, position, lambda: Library(self.root).update_report(UpdateReport(**call), ANN)
        )
        if again:
            answer = self.library.update_report(UpdateReport(**call), ANN)
            if report.version == before and new != report.now:
                report.versions.append(new)
            assert answer["version"] == report.version

    @precondition(lambda self: self._is_any_in(trash=False))
    @rule(seed=seeds, position=st.integers(0, 30))
    def be_killed_in_a_revert(self, seed: int, position: int) -> None:
        random = Random(seed)
        report_id, report = self._pick(random)
        version = random.randint(1, report.version)
        new = report.versions[version - 1]
        self._maybe(
            report,
            new,
            position,
            lambda: Library(self.root).revert_report(RevertReport(report_id, version), author=BEN),
        )

    def _maybe(self, report: Expected, new: Plain, position: int, act: Callable[[], object]) -> None:
        """Do it in a process that is killed on the way; then see whether it happened."""
        report_id = next(name for name, one in self.expected.items() if one is report)
        was_killed = killed_before(position, act)
        version = self.library.get_report(GetReport(report_id))["version"]
        if new != report.now:
            assert version in (report.version, report.version + 1)
            assert was_killed or version == report.version + 1
            report.versions += [new] * (version - report.version)

    @precondition(lambda self: self._is_any_in(trash=False))
    @rule(seed=seeds, position=st.integers(0, 20))
    def be_killed_throwing_away(self, seed: int, position: int) -> None:
        report_id, report = self._pick(Random(seed))
        was_killed = killed_before(
            position, lambda: Library(self.root).trash_report(TrashReport(report_id), author=ANN)
        )
        listed = {row["report_id"] for row in self.library.list_reports(ListReports(status="all"))["reports"]}
        assert was_killed or report_id not in listed
        report.is_in_trash = report_id not in listed

    @precondition(lambda self: len(self.expected) < 4)
    @rule(position=st.integers(0, 40))
    def be_killed_in_a_creation(self, position: int) -> None:
        """Sent again, it makes one report."""
        call: Row = {"title": self._word(), "request_id": self._word()}
        killed_before(position, lambda: Library(self.root).create_report(CreateReport(**call), ANN))
        answer = self.library.create_report(CreateReport(**call), ANN)
        assert self.library.create_report(CreateReport(**call), ANN) == answer
        self.expected[answer["report_id"]] = Expected([self._first(call["title"], [], [])])

    # --- What must hold -------------------------------------------------------------------

    @invariant()
    def every_report_is_what_it_should_be(self) -> None:
        for report_id, report in self.expected.items():
            if report.is_in_trash:
                with pytest.raises(ReportNotFoundError):
                    self.library.get_report(GetReport(report_id))
            else:
                state = self.library.store.read(report_id)
                assert (state.version, to_plain(state.outline)) == (report.version, report.now)

    @invariant()
    def the_list_is_right(self) -> None:
        rows = self.library.list_reports(ListReports(status="all"))["reports"]
        listed = {row["report_id"]: (row["title"], row["version"], row["status"]) for row in rows}
        assert listed == {
            report_id: (report.now["title"], report.version, report.now["status"])
            for report_id, report in self.expected.items()
            if not report.is_in_trash
        }

    def teardown(self) -> None:
        try:
            self._require_whole_history()
        finally:
            self._place.cleanup()

    def _require_whole_history(self) -> None:
        self.library = Library(self.root)
        for report_id, report in self.expected.items():
            if report.is_in_trash:
                self.library.restore_report(RestoreReport(report_id), author=ANN)
            for version in range(1, report.version + 1):
                self._require_version(report_id, version)
            made = [r.version for r in self.library.store.events(report_id) if r.makes_version]
            assert made == list(range(report.version, 0, -1))
        for unfinished in (self.root / "by_id").glob(".new-*"):  # of a creation that was killed
            os.utime(unfinished, (LONG_AGO, LONG_AGO))
            self.library.list_reports(ListReports())
        assert [one for one in check_root(self.root, deep=True) if one.severity != "info"] == []


TestReports = Reports.TestCase
TestReports.settings = settings(
    max_examples=100 if IS_FULL else 25,
    stateful_step_count=50 if IS_FULL else 20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
