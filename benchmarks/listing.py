"""Time of a page of `list_reports` among many reports, in a fresh process and later.

Measured over stdio: twenty of a hundred thousand reports, with a tag, last change first. The baseline
of a page does the same without a database: it reads the whole catalogue (`index.jsonl`) and sorts it.
The first page of a fresh process is compared with its start, up to the answer to `tools/list`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.measure import Action, by_turns, timed
from benchmarks.harness.roots import many_reports
from benchmarks.harness.rows import Bench, Row, at_most
from benchmarks.harness.wire import Json, Wire, ours, until

PAGE: Json = {"tags": ["tag 1"], "sort": "updated", "limit": 20}
Pages = tuple[str, list[float], list[float]]


def run(bench: Bench) -> Iterator[Row]:
    many = many_reports(bench)
    sorting = f"sorting the {many.count:,} lines of index.jsonl"
    sort = timed(lambda: sort_all(many.root))
    first = by_turns({"ours": timed(lambda: index_all(many.root)), "sort": sort}, 1, warm_ups=0)
    yield Row("spawn, and all reports indexed", first["ours"], sorting, first["sort"])

    with Wire(ours(many.root)) as wire:
        pages_down, rounds = bench.scaled(100, quick=2), bench.rounds(20)
        for name, page, baseline in warm_pages(wire, sort, pages_down, rounds):
            bound = None if "made" in name else at_most(20, "value")
            yield Row(name, page, sorting, baseline, bound=bound)

    fresh = {
        "page": until(ours(many.root), lambda wire: wire.answer("list_reports", PAGE)),
        "start": until(ours(many.root), Wire.tools),
    }
    samples = by_turns(fresh, bench.rounds(10))
    bound = at_most(500, "difference")
    yield Row("spawn to first page", samples["page"], "spawn to tools/list", samples["start"], bound=bound)


def warm_pages(wire: Wire, sort: Action, pages_down: int, rounds: int) -> Iterator[Pages]:
    """Return several pages of a running server: name, samples, samples of the baseline."""

    def page(**more: object) -> Action:
        return timed(lambda: wire.answer("list_reports", PAGE | more))

    far: Json = {}
    for _ in range(pages_down):
        far = {"cursor": wire.answer("list_reports", PAGE | {"limit": 100} | far)["next_cursor"]}
    numbers = itertools.count()

    def page_after_create() -> float:
        wire.answer("create_report", {"title": f"New {next(numbers)}", "tags": PAGE["tags"]})
        return page()()

    pages = {
        "page": page(),
        "page by title, any status": page(sort="title", status="all"),
        f"page {pages_down:,} hundreds down": page(**far),
        "page after a report was made": page_after_create,
    }
    samples = by_turns(pages | {"sort": sort}, rounds)
    return ((name, samples[name], samples["sort"]) for name in pages)


def index_all(root: Path) -> None:
    """Call `list_reports` until the search holds all reports."""
    with Wire(ours(root)) as wire:
        while "warnings" in wire.answer("list_reports", PAGE):
            pass


def sort_all(root: Path) -> list[str]:
    """Return the first page, computed from the catalogue alone."""
    entries = [json.loads(line) for line in (root / "index.jsonl").read_bytes().splitlines()]
    fitting = [entry for entry in entries if "tag 1" in entry["tags"] and entry["status"] == "active"]
    return [entry["report_id"] for entry in sorted(fitting, key=lambda e: e["updated_at"], reverse=True)[:20]]
