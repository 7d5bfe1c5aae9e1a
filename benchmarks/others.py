"""Time, syncs and lost writes of adding a fact, compared with other memory servers.

Measured over stdio, each server with its own files: an observation in the graph of server-memory, a
line in a note of basic-memory, an insight in a report. There are no bounds, because the servers promise
different things. A server that does not sync may lose acknowledged facts in a power cut; strace counts
the syncs. Lost facts are those that eight servers on the same files acknowledged and that are missing
from the files afterwards.
"""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.measure import Action, by_turns, timed
from benchmarks.harness.other_programs import NotInstalledError, basic_memory_command, server_memory_command
from benchmarks.harness.rows import Bench, Missing, Result, Row
from benchmarks.harness.wire import RefusedError, Wire
from benchmarks.harness.wire import ours as our_command

WRITERS = 8
SYNC = re.compile(r"\bf(?:data)?sync\(")


@dataclass(frozen=True)
class Server:
    """A server that keeps its files in a folder, with functions that start it and add facts."""

    name: str
    command: Callable[[Path], list[str]]
    environ: Callable[[Path], dict[str, str]]
    begin: Callable[[Wire], str]
    """Creates the container of the facts and returns its name."""
    put: Callable[[Wire, str, str], object]
    files: str
    """The files with the current facts, as a glob pattern."""

    def start(self, folder: Path, *prefix: str) -> Wire:
        folder.mkdir(parents=True, exist_ok=True)
        return Wire([*prefix, *self.command(folder)], environ=self.environ(folder))


# --- The servers --------------------------------------------------------------------------


def living_reports() -> Server:
    def begin(wire: Wire) -> str:
        section = {"title": "Facts"}
        return str(wire.answer("create_report", {"title": "Health", "sections": [section]})["report_id"])

    def put(wire: Wire, report: str, fact: str) -> object:
        change = {"op": "add_insight", "section": "Facts", "summary": fact, "importance": 5}
        return wire.call("update_report", {"report": report, "changes": [change]})

    return Server("living-reports", our_command, lambda folder: {}, begin, put, "by_id/*/outline.json")


def server_memory() -> Server:
    command = str(server_memory_command())

    def begin(wire: Wire) -> str:
        entity = {"name": "Health", "entityType": "report", "observations": ["begun"]}
        wire.call("create_entities", {"entities": [entity]})
        return "Health"

    def put(wire: Wire, entity: str, fact: str) -> object:
        observation = {"entityName": entity, "contents": [fact]}
        return wire.call("add_observations", {"observations": [observation]})

    def environ(folder: Path) -> dict[str, str]:
        return {"MEMORY_FILE_PATH": str(folder / "memory.jsonl")}

    return Server("server-memory", lambda folder: [command], environ, begin, put, "memory.jsonl")


def basic_memory() -> Server:
    command = str(basic_memory_command())

    def begin(wire: Wire) -> str:
        note = {"title": "Health", "content": "- [fact] begun", "directory": "reports", "project": "main"}
        wire.call("write_note", note)
        return "reports/health"

    def put(wire: Wire, note: str, fact: str) -> object:
        line = {"operation": "append", "content": f"\n- [fact] {fact}", "project": "main"}
        return wire.call("edit_note", {"identifier": note} | line)

    def environ(folder: Path) -> dict[str, str]:
        places = {"HOME": "home", "BASIC_MEMORY_HOME": "notes", "BASIC_MEMORY_CONFIG_DIR": "config"}
        alone = {"BASIC_MEMORY_NO_PROMOS": "1", "BASIC_MEMORY_AUTO_UPDATE": "false"}
        return {name: str(folder / place) for name, place in places.items()} | alone

    return Server("basic-memory", lambda folder: [command, "mcp"], environ, begin, put, "notes/**/*.md")


# --- What is measured ---------------------------------------------------------------------


def run(bench: Bench) -> Iterator[Result]:
    ours = living_reports()
    for name, make in (("server-memory", server_memory), ("basic-memory", basic_memory)):
        try:
            theirs = make()
        except NotInstalledError as error:
            yield Missing(f"one more fact, next to {name}", str(error))
            continue
        folder = bench.folder / "others" / name
        yield time_row(ours, theirs, folder, bench.rounds(50))
        if shutil.which("strace"):
            yield sync_row(ours, theirs, folder, bench.scaled(10, quick=2))
        else:
            yield Missing(f"syncs a fact, next to {name}", "There is no strace on PATH.")
        yield loss_row(ours, theirs, folder, bench.scaled(10, quick=2))


def time_row(ours: Server, theirs: Server, folder: Path, rounds: int) -> Row:
    """Measure one fact on each server by turns, both warm."""

    def one_more(server: Server, wire: Wire) -> Action:
        name, numbers = server.begin(wire), itertools.count()
        return timed(lambda: server.put(wire, name, f"fact {next(numbers)}"))

    with ours.start(folder / "time-ours") as our_wire, theirs.start(folder / "time") as their_wire:
        actions = {"ours": one_more(ours, our_wire), "theirs": one_more(theirs, their_wire)}
        samples = by_turns(actions, rounds)
    return Row("one more fact", samples["ours"], theirs.name, samples["theirs"])


def sync_row(ours: Server, theirs: Server, folder: Path, facts: int) -> Row:
    """Count the syncs of a process that adds facts, minus those of a process that adds none."""

    def syncs(server: Server, place: Path, count: int) -> int:
        trace = place.with_suffix(".strace")
        prefix = ("strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(trace))
        with server.start(place, *prefix) as wire:
            name = server.begin(wire)
            for number in range(count):
                server.put(wire, name, f"fact {number}")
        return len(SYNC.findall(trace.read_text(encoding="utf-8")))

    def each(server: Server, place: Path) -> float:
        return (syncs(server, place / "many", facts) - syncs(server, place / "none", 0)) / facts

    our_syncs, their_syncs = each(ours, folder / "syncs-ours"), each(theirs, folder / "syncs")
    return Row("one more fact", [our_syncs], theirs.name, [their_syncs], "syncs")


def loss_row(ours: Server, theirs: Server, folder: Path, facts: int) -> Row:
    """Measure the share of acknowledged facts that are missing after many servers wrote at once."""
    ours_lost, theirs_lost = lost(ours, folder / "loss-ours", facts), lost(theirs, folder / "loss", facts)
    return Row(f"acknowledged and lost, {WRITERS} writers", [ours_lost], theirs.name, [theirs_lost], "%")


def lost(server: Server, folder: Path, facts: int) -> float:
    with ExitStack() as stack:
        wires = [stack.enter_context(server.start(folder)) for _ in range(WRITERS)]
        name = server.begin(wires[0])

        def put_all(writer: int) -> list[str]:
            kept = []
            for number in range(facts):
                fact = f"fact {number} of writer {writer}."
                try:
                    server.put(wires[writer], name, fact)
                except RefusedError:
                    continue  # refused, so not lost
                kept.append(fact)
            return kept

        with ThreadPoolExecutor(WRITERS) as writers:
            acknowledged = [fact for kept in writers.map(put_all, range(WRITERS)) for fact in kept]
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob(server.files))
    return 100 * sum(fact not in text for fact in acknowledged) / max(len(acknowledged), 1)
