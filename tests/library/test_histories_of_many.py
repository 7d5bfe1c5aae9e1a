"""Eight processes of three kinds work on several reports at once: what they were told adds up.

The log of each report is the order of its changes. Replayed by a model that knows nothing of the
program, it gives every text that anybody was shown; and no answer is older than one given before.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import LockTimeoutError
from living_reports.library import Library
from living_reports.library.requests import GetReport
from living_reports.store.files.doctor import check_root
from support.library_reports import folder_store
from support.processes import locked_by_another_process, start_together
from support.random_caller import SECTION, Call, through_a_server, through_commands, through_the_library
from support.summary import AddToSummary
from support.wire import start_server, tool_call

KINDS = ["library"] * 4 + ["server"] * 2 + ["cli"] * 2
REPORTS = 3
SECONDS, SECONDS_IN_FULL = 6.0, 60.0
BEGIN = [{"title": SECTION, "content": "Begin."}]


# --- Running them -------------------------------------------------------------------------


def some_reports(root: Path) -> tuple[list[str], list[Call]]:
    """Reports to begin with, and what making them was answered."""
    ask, acts = through_the_library(root, "first"), []
    for number in range(REPORTS):
        answer = ask("create_report", title=f"Report {number}", sections=BEGIN, reason=f"first {number}")
        acts.append(Call(0, 0, f"first {number}", "create", answer["report_id"], version=answer["version"]))
    return [act.report for act in acts], acts


def random_callers(root: Path, reports: list[str], seconds: float) -> dict[str, list[Call]]:
    """Return the calls of eight random callers by their names, each in its own order."""
    commands = {
        f"{how}{number}": [
            "-m",
            "support.random_caller",
            str(root),
            how,
            f"{how}{number}",
            str(seconds),
            *reports,
        ]
        for number, how in enumerate(KINDS)
    }
    with ExitStack() as stack:
        started = start_together(commands, stack)
        kill_holders(root, reports)
        told = {name: process.communicate(timeout=seconds + 120)[0] for name, process in started.items()}
    return {name: [Call(**row) for row in json.loads(text)] for name, text in told.items()}


def kill_holders(root: Path, reports: Iterable[str]) -> None:
    """Meanwhile processes that hold a report are killed: the others go on."""
    for report in reports:
        with locked_by_another_process(root / "by_id" / report / ".lock"):
            pass  # it is killed at the end of the block


# --- What must hold -----------------------------------------------------------------------


def require_order(root: Path, report: str, acts: list[Call]) -> None:
    """The log holds exactly what was acknowledged, each once, and explains every text shown."""
    library = Library(root)
    records = list(folder_store(library).get_report_storage(report).log.forwards())
    assert [record.version for record in records] == list(range(1, len(records) + 1))
    made = {act.version: act for act in acts if act.what not in ("read", "nothing") and not act.refused}
    told = [act for act in acts if act.what not in ("read", "nothing") and not act.refused]
    assert len(made) == len(told), "a version was given to two"
    assert {record.version: record.payload["reason"] for record in records} == {
        version: act.token for version, act in made.items()
    }
    texts = replayed(made)
    for act in acts:
        if act.what == "read":
            assert act.shown == texts[act.version], f"{act.token} was shown another text"
    state = library.store.read(report)
    assert (state.version, state.outline.sections[0].content) == (len(records), texts[len(records)])


def replayed(made: dict[int, Call]) -> dict[int, str]:
    """The text at each version, as a model finds it that only knows what was asked for."""
    texts: dict[int, str] = {}
    for version, act in sorted(made.items()):
        before = texts.get(version - 1, "")
        if act.what == "create":
            texts[version] = "Begin."
        elif act.what == "append":
            texts[version] = f"{before}\n\n{act.says}"
        else:
            texts[version] = texts[int(act.says)] if act.what == "revert" else before
    return texts


def require_fresh(acts: list[Call]) -> None:
    """Nothing that was asked after an answer is older than that answer, whoever got it."""
    answered = sorted((act.end, act.version) for act in acts if act.version)
    newest, known = 0, iter(answered)
    end, version = next(known, (sys.maxsize, 0))
    for act in sorted(acts, key=lambda act: act.start):
        while end < act.start:
            newest = max(newest, version)
            end, version = next(known, (sys.maxsize, 0))
        if act.version:
            least = newest if act.what in ("read", "nothing") else newest + 1
            assert act.version >= least, f"{act.token} was told {act.version} after {newest} was known"


def views_of(report: str, told: list[Call]) -> list[Call]:
    """Return the calls on a report, and how lists showed it."""
    seen = [act for act in told if act.report == report]
    for act in told:
        if report in act.listed:
            seen.append(Call(act.start, act.end, act.token, "nothing", report, version=act.listed[report]))
    return seen


def require_listed(told: list[Call]) -> None:
    """A list misses no report whose creation was acknowledged before, as far as it shows all of them."""
    for act in told:
        if act.what == "list" and len(act.listed) < 100:
            made = {other.report for other in told if other.what == "create" and other.end < act.start}
            assert made <= act.listed.keys()


@pytest.mark.parametrize(
    "seconds", [SECONDS, pytest.param(SECONDS_IN_FULL, marks=pytest.mark.full)], ids=["short", "long"]
)
def test_what_eight_processes_are_told_is_one_history(
    tmp_path: Path, seconds: float, add_to_summary: AddToSummary
) -> None:
    reports, first = some_reports(tmp_path)
    told = random_callers(tmp_path, reports, seconds)
    everything = [*first, *(act for acts in told.values() for act in acts)]
    created = [act.report for act in everything if act.what == "create" and not act.refused]
    assert len(set(created)) == len(created)
    for report in created:
        require_order(tmp_path, report, [act for act in everything if act.report == report])
        require_fresh(views_of(report, everything))
    require_listed(everything)
    assert {act.refused for act in everything} == {"", "version_conflict"}
    assert [finding for finding in check_root(tmp_path, deep=True) if finding.severity != "info"] == []
    shares = {name: len(acts) for name, acts in told.items()}
    for kind in ("library", "server"):  # a command is a process of its own each time
        of_kind = [share for name, share in shares.items() if name.startswith(kind)]
        # A few seconds show how the machine was shared; the lock's own fairness is in test_lock.py.
        assert seconds == SECONDS or min(of_kind) * 3 >= max(of_kind), shares
    assert all(shares.values())
    kinds = Counter("refused" if act.refused else act.what for act in everything)
    add_to_summary(f"calls of {len(told)} processes at once", shares)
    add_to_summary("kinds of these calls", kinds)


# --- A report that somebody keeps ---------------------------------------------------------

TIMEOUT_SECONDS = 0.5
DEFAULT_TIMEOUT_SECONDS = 30.0


@contextmanager
def asking(how: str, root: Path) -> Iterator[Any]:
    """Call a tool, with a time-out that is short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIVING_REPORTS_LOCK_TIMEOUT", str(TIMEOUT_SECONDS))
        if how == "cli":
            yield through_commands(root)
        else:
            with ExitStack() as stack:
                yield through_a_server(root, "ann", stack)


@pytest.mark.parametrize("how", ["server", "cli"])
def test_a_kept_report_is_waited_for_and_a_killed_keeper_frees_it(tmp_path: Path, how: str) -> None:
    [kept, free, _], _ = some_reports(tmp_path)
    change = {"op": "append_text", "section": SECTION, "text": "More."}
    with asking(how, tmp_path) as ask:
        with locked_by_another_process(tmp_path / "by_id" / kept / ".lock"):
            refused = ask("update_report", report=kept, changes=[change], reason="")["error"]
            assert (refused["code"], refused["retry"]) == ("lock_timeout", "same")
            assert TIMEOUT_SECONDS <= refused["waited_seconds"] < DEFAULT_TIMEOUT_SECONDS
            assert ask("update_report", report=free, changes=[change], reason="")["version"] == 2
        assert ask("update_report", report=kept, changes=[change], reason="")["version"] == 2


def test_the_library_waits_for_a_kept_report_and_gives_up_in_time(tmp_path: Path) -> None:
    [kept, *_], _ = some_reports(tmp_path)
    library = Library(tmp_path, lock_timeout_s=TIMEOUT_SECONDS)
    with locked_by_another_process(tmp_path / "by_id" / kept / ".lock"):
        for _ in range(2):
            with pytest.raises(LockTimeoutError) as caught:
                library.get_report(GetReport(kept))
            assert TIMEOUT_SECONDS <= caught.value.details["waited_seconds"] < DEFAULT_TIMEOUT_SECONDS
    assert library.get_report(GetReport(kept))["version"] == 1


# --- Many calls on one server -------------------------------------------------------------

CALLS = 64


def test_64_calls_at_once_on_one_server_are_all_answered_and_all_kept(tmp_path: Path) -> None:
    reports, _ = some_reports(tmp_path)
    sent = {}
    for number in range(CALLS):
        report, text = reports[number % REPORTS], f"text {number}"
        change = {"op": "append_text", "section": SECTION, "text": text}
        if number % 4 == 3:
            sent[100 + number] = tool_call(100 + number, "get_report", report=report, sections=[SECTION])
        else:
            sent[100 + number] = tool_call(100 + number, "update_report", report=report, changes=[change])
    with start_server(tmp_path) as wire:
        wire.send(*sent.values())
        messages = [wire.receive() for _ in sent]
        assert {message["id"] for message in messages} == sent.keys()
    answers = {message["id"]: json.loads(message["result"]["content"][0]["text"]) for message in messages}
    assert not any("error" in answer for answer in answers.values())
    for report in reports:
        mine = {
            number: answers[100 + number] for number in range(CALLS) if reports[number % REPORTS] == report
        }
        made = {row["version"]: f"text {number}" for number, row in mine.items() if "applied" in row}
        assert sorted(made) == list(range(2, len(made) + 2))
        lines = ["Begin.", *(made[version] for version in sorted(made))]
        for row in mine.values():
            if "sections" in row:
                assert row["sections"][0]["content"] == "\n\n".join(lines[: row["version"]])
        outline = Library(tmp_path).store.read(report).outline
        assert outline.sections[0].content == "\n\n".join(lines)
