"""Time of a full-text search of all reports, warm and after another process changed many.

Measured over stdio: `list_reports` with a query, over ten thousand reports of 5 KB whose word
frequencies are those of a natural language. The baseline searches the word in every `outline.json`.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.measure import Action, by_turns, timed
from benchmarks.harness.roots import VOCABULARY, Json, Make, Prose, head, report_id, write_root
from benchmarks.harness.rows import Bench, Row, at_most
from benchmarks.harness.wire import Wire, ours

CHANGES = 100

OTHER_PROCESS = """
import sys
from pathlib import Path
from living_reports.library import Library
from living_reports.library.requests import UpdateReport
from living_reports.model.event import Author
library = Library(Path(sys.argv[1]))
change = {"op": "append_text", "section": "Findings 0", "text": "whatever changedhere"}
for report in sys.argv[2:]:
    library.update_report(UpdateReport(report, [change]), Author("agent", "bench"))
"""


def run(bench: Bench) -> Iterator[Row]:
    root, count = bench.folder / "search", bench.scaled(10_000, quick=200)
    prose = Prose()
    write_root(root, count, long_report(prose))
    looking = f"looking into {count:,} files"
    look = timed(lambda: read_all(root, prose.words[40]))
    with Wire(ours(root)) as wire:
        first = by_turns({"ours": timed(lambda: index_all(wire)), "look": look}, 1, warm_ups=0)
        yield Row("all reports indexed", first["ours"], looking, first["look"])

        queries = {name: search(wire, query) for name, query in usual_queries(prose).items()}
        samples = by_turns(queries | {"look": look}, bench.rounds(20))
        for name in queries:
            yield Row(name, samples[name], looking, samples["look"], bound=at_most(20, "value"))

        changed = search_after_changes(wire, root, count)
        samples = by_turns({"ours": changed, "look": look}, bench.rounds(5))
        what = f"a word, after {CHANGES} changes"
        yield Row(what, samples["ours"], looking, samples["look"], bound=at_most(200, "value"))


def usual_queries(prose: Prose) -> dict[str, Json]:
    words = prose.words
    return {
        "the commonest word": {"query": words[0]},
        "a common word": {"query": words[40]},
        "a rare word": {"query": words[VOCABULARY // 2]},
        "two words": {"query": f"{words[3]} {words[60]}"},
        "a phrase": {"query": f'"{words[1]} {words[2]}"'},
        "a beginning": {"query": f"{words[50][:3]}*"},
        "a word and a tag": {"query": words[40], "tags": ["tag 1"]},
        "a word, newest change first": {"query": words[40], "sort": "updated"},
        "what cites an address": {"cites": "example.com/77/"},
        "what is stale": {"stale": True},
    }


def search(wire: Wire, query: Json) -> Action:
    return timed(lambda: wire.answer("list_reports", query))


def search_after_changes(wire: Wire, root: Path, count: int) -> Action:
    """Return an action that searches after another process has changed reports, others each time."""
    numbers = itertools.cycle(range(count))

    def run() -> float:
        changed = [report_id(n) for n in itertools.islice(numbers, CHANGES)]
        subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(root), *changed], check=True)
        return search(wire, {"query": "changedhere"})()

    return run


def index_all(wire: Wire) -> None:
    """Call `list_reports` until the search holds all reports."""
    while "warnings" in wire.answer("list_reports", {"query": "any"}):
        pass


def read_all(root: Path, word: str) -> int:
    """Count the reports that contain a word, from the files alone."""
    return sum(word in path.read_text(encoding="utf-8").lower() for path in root.glob("by_id/*/outline.json"))


def long_report(prose: Prose) -> Make:
    """Return a maker of 5 KB reports: five sections of prose, and one insight with a review date."""

    def make(n: int, name: str) -> Json:
        insight: Json = {
            "insight_id": str(uuid.UUID(int=n + 1)),
            "importance": 5,
            "summary": prose.text(20),
            "citations": [{"source": "url", "url": f"https://example.com/{n % 500}/{n}"}],
            "metadata": {"review_by": f"2026-{1 + n % 12:02}-01"},
        }
        sections = [{"section_id": str(uuid.UUID(int=n * 8 + i)), "title": f"Findings {i}"} for i in range(5)]
        for section in sections:
            section["content"] = prose.text(130)
        return head(n, name, prose.text(5)) | {"sections": sections, "insights": [insight]}

    return make
