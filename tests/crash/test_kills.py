"""Processes are really killed: before every operation in turn, and at random moments under load.

Whatever a process had acknowledged is there afterwards; what was under way is there whole or not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from living_reports.library import Library
from living_reports.library.requests import CreateReport, ListReports
from living_reports.model.event import Author
from living_reports.store.files.doctor import check_root
from support.crash.bench import Bench
from support.crash.scenarios import SCENARIOS, SEED, Scenario, name_of
from support.folders import memory_folder
from support.wire import Wire, start_server, tool_call

SERVERS = 4
DEATHS_IN_FULL = 40
UPDATES = 6
LONGEST_WAIT_SECONDS = 0.02


@pytest.fixture
def place() -> Iterator[Path]:
    with memory_folder() as folder:
        yield Path(folder)


ALWAYS = ("create a second", "update", "delete", "restore", "adoption", "hand edit and update")
KILLED = [
    pytest.param(scenario, marks=[] if scenario.name in ALWAYS else pytest.mark.full)
    for scenario in SCENARIOS
    if len(scenario.acts) == 1
]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a fork of itself")
@pytest.mark.parametrize("scenario", KILLED, ids=name_of)
def test_a_kill_before_any_operation_breaks_no_promise(scenario: Scenario, place: Path) -> None:
    bench = Bench(place, SEED, limit=1)
    for recording, root in bench.states_of_kills(scenario):
        bench.look_at_root(recording, root)
    assert bench.tally["real kill"] > 5


# --- Under load ---------------------------------------------------------------------------


@dataclass
class Claims:
    """The answers of the servers, and the calls that were under way when they were killed.

    Attributes:
        acknowledged: Report and version of each text that a server said is there.
        in_doubt: Texts that a server was asked to add when it was killed.
    """

    acknowledged: dict[str, tuple[str, int]] = field(default_factory=dict)
    in_doubt: set[str] = field(default_factory=set)


@dataclass
class Client:
    """Keeps one server at work, kills it at a random moment, and starts the next."""

    root: Path
    reports: list[str]
    name: str
    claims: Claims = field(default_factory=Claims)

    def live(self, deaths: int) -> Claims:
        random = Random(f"{SEED} {self.name}")
        for death in range(deaths):
            with start_server(self.root) as wire:
                for number in range(random.randint(1, UPDATES)):
                    self._update(wire, random, f"{self.name} {death} {number}")
                self._die(wire, random, f"{self.name} {death} last")
        return self.claims

    def _update(self, wire: Wire, random: Random, text: str) -> None:
        report = random.choice(self.reports)
        answer = json.loads(wire.ask(addition(report, text))["content"][0]["text"])
        self.claims.acknowledged[text] = (report, answer["version"])

    def _die(self, wire: Wire, random: Random, text: str) -> None:
        """Kill the server while it works on a call; it may just have answered."""
        report = random.choice(self.reports)
        wire.send(addition(report, text))
        line = wire.line(random.uniform(0, LONGEST_WAIT_SECONDS))
        wire.process.kill()
        if line.endswith(b"\n"):
            answer = json.loads(json.loads(line)["result"]["content"][0]["text"])
            self.claims.acknowledged[text] = (report, answer["version"])
        else:
            self.claims.in_doubt.add(text)


def addition(report: str, text: str) -> dict[str, Any]:
    change = {"op": "append_text", "section": "Lines", "text": text}
    return tool_call(7, "update_report", report=report, changes=[change])


def test_servers_killed_under_load_lose_nothing_that_they_acknowledged(place: Path) -> None:
    kill_servers(place / "reports", deaths=2)


@pytest.mark.full
def test_many_servers_killed_under_load_lose_nothing_that_they_acknowledged(tmp_path: Path) -> None:
    kill_servers(tmp_path / "reports", deaths=DEATHS_IN_FULL)


def kill_servers(root: Path, deaths: int) -> None:
    library = Library(root)
    sections = [{"title": "Lines", "content": "Begin."}]
    made = [
        library.create_report(CreateReport(title, sections), author=Author("cli", "ann"))
        for title in ("One", "Two")
    ]
    reports = [answer["report_id"] for answer in made]
    clients = [Client(root, reports, f"client{number}") for number in range(SERVERS)]
    with ThreadPoolExecutor(SERVERS) as threads:
        claims = list(threads.map(lambda client: client.live(deaths), clients))
    acknowledged = {text: where for claim in claims for text, where in claim.acknowledged.items()}
    in_doubt = set().union(*(claim.in_doubt for claim in claims))
    for report in reports:
        require_kept(root, report, acknowledged, in_doubt)
    assert [finding for finding in check_root(root, deep=True) if finding.severity != "info"] == []


def require_kept(
    root: Path, report: str, acknowledged: dict[str, tuple[str, int]], in_doubt: set[str]
) -> None:
    library = Library(root)
    newest = {row["report_id"]: row["version"] for row in library.list_reports(ListReports())["reports"]}[
        report
    ]
    state = library.store.read(report)
    assert state.version == newest
    texts = str(state.outline.sections[0].content).split("\n\n")[1:]
    assert len(texts) == len(set(texts)) == newest - 1  # each version added one text
    for text, (where, version) in acknowledged.items():
        if where == report:
            assert texts[version - 2] == text
    assert set(texts) <= acknowledged.keys() | in_doubt
