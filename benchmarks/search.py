"""How long does it take to list and to find reports among very many?

Two roots are made as another program would leave them: many reports of 5 KB to search in, and
very many small ones to list. Each figure stands beside a partner that does the same without any
database, measured in the same run: reading all outlines for a search, reading all of
`index.jsonl` and sorting it for a list. A fresh process counts from after its imports.

    $ python benchmarks/search.py
    $ python benchmarks/search.py --reports 1000 --entries 5000 --json
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from living_reports.check import utc_day
from living_reports.library import Library
from living_reports.models import Author, Insight
from living_reports.storage import GlobalStorage
from living_reports.storage.search import Query, SearchIndex

WORDS = 20_000
CHANGES = 100
LIMITS_MS = {
    "search, warm, worst of its queries": 20.0,
    "search after 100 changes elsewhere": 200.0,
    "first list page, fresh process": 500.0,
    "list page, warm": 20.0,
}

FRESH = """
import sys, time
from datetime import date
from pathlib import Path
from living_reports.storage import GlobalStorage
start = time.perf_counter()
from living_reports.storage.search import Query, SearchIndex
search = SearchIndex(GlobalStorage(Path(sys.argv[1])), lambda insight: None)
assert search.page(Query(tags=("tag 1",), sort="updated")).rows
print((time.perf_counter() - start) * 1000)
"""

ELSEWHERE = """
import sys
from pathlib import Path
from living_reports.library import Library
from living_reports.models import Author
library = Library(Path(sys.argv[1]))
for report in sys.argv[2:]:
    change = {"op": "append_text", "section": "Findings 0", "text": "whatever changedhere"}
    library.update_report(report, [change], author=Author("agent", "bench"))
"""


def review_day(insight: Insight) -> date | None:
    return utc_day(insight.metadata.get("review_by")) if insight.status == "active" else None


# --- The roots ----------------------------------------------------------------------------


class Prose:
    """Text whose words are as frequent as in a language: the n-th comes every n-th time or so."""

    def __init__(self) -> None:
        self.random = random.Random(1)
        letters = "abcdefghijklmnopqrstuvwxyz"
        self.words = ["".join(self.random.choices(letters, k=3 + n % 7)) for n in range(WORDS)]
        weights = [1 / (n + 1) for n in range(WORDS)]
        self.sums = [sum(weights[:1])]
        for weight in weights[1:]:
            self.sums.append(self.sums[-1] + weight)

    def text(self, words: int) -> str:
        return " ".join(self.random.choices(self.words, cum_weights=self.sums, k=words))


def make_root(root: Path, number: int, outline: Callable[[int, str], dict[str, Any]]) -> list[str]:
    (root / "by_id").mkdir(parents=True)
    ids = []
    with (root / "index.jsonl").open("w", encoding="utf-8") as index:
        for n in range(number):
            report_id = str(uuid.UUID(int=random.Random(n).getrandbits(128), version=4))
            data = outline(n, report_id)
            folder = root / "by_id" / report_id
            folder.mkdir()
            (folder / "outline.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
            entry = {key: data[key] for key in ("report_id", "created_at", "updated_at")}
            entry |= {"current_title": data["title"], "tags": data["metadata"]["tags"], "status": "active"}
            index.write(json.dumps(entry | {"path": f"by_id/{report_id}"}) + "\n")
            ids.append(report_id)
    return ids


def head(n: int, report_id: str, title: str) -> dict[str, Any]:
    day = f"2026-{1 + n % 12:02}-{1 + n % 28:02}T{n % 24:02}:00:00.{n:06}+00:00"
    return {"report_id": report_id, "title": title, "created_at": day, "updated_at": day, "version": "1.0"}


def long_report(prose: Prose) -> Callable[[int, str], dict[str, Any]]:
    def make(n: int, report_id: str) -> dict[str, Any]:
        insight: dict[str, Any] = {
            "insight_id": str(uuid.UUID(int=n + 1)),
            "importance": 5,
            "summary": prose.text(20),
            "citations": [{"source": "url", "url": f"https://example.com/{n % 500}/{n}"}],
            "metadata": {"review_by": f"2026-{1 + n % 12:02}-01"},
        }
        sections: list[dict[str, Any]] = [
            {"section_id": str(uuid.UUID(int=n * 8 + i)), "title": f"Findings {i}"} for i in range(5)
        ]
        for section in sections:
            section["content"] = prose.text(130)
        body = {"outline_version": 1, "sections": sections, "insights": [insight]}
        return head(n, report_id, prose.text(5)) | body | {"metadata": {"tags": [f"tag {n % 3}"]}}

    return make


def short_report(n: int, report_id: str) -> dict[str, Any]:
    return head(n, report_id, f"Report {n}") | {"outline_version": 1, "metadata": {"tags": [f"tag {n % 3}"]}}


# --- Measuring ----------------------------------------------------------------------------


def milliseconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def times(action: Callable[[], object], rounds: int) -> list[float]:
    action()
    return [milliseconds(action) for _ in range(rounds)]


def read_all(root: Path, word: str) -> int:
    """The partner of a search: look into every outline."""
    return sum(word in path.read_text(encoding="utf-8").lower() for path in root.glob("by_id/*/outline.json"))


def sort_all(root: Path) -> list[str]:
    """The partner of a list: read and sort the whole index."""
    entries = [json.loads(line) for line in (root / "index.jsonl").read_bytes().splitlines()]
    fitting = [entry for entry in entries if "tag 1" in entry["tags"] and entry["status"] == "active"]
    return [entry["report_id"] for entry in sorted(fitting, key=lambda e: e["updated_at"], reverse=True)[:20]]


Figures = dict[str, dict[str, float]]


def figure(values: list[float], partner: list[float]) -> dict[str, float]:
    median, beside = statistics.median(values), statistics.median(partner)
    row = {"median": median, "min": min(values), "max": max(values), "partner": beside}
    return {name: round(value, 2) for name, value in (row | {"ratio": median / beside}).items()}


def measure_search(root: Path, number: int, rounds: int) -> Figures:
    prose = Prose()
    ids = make_root(root, number, long_report(prose))
    search = SearchIndex(GlobalStorage(root), review_day)
    partner = [milliseconds(lambda: read_all(root, prose.words[40])) for _ in range(3)]
    figures = {"first search ever": figure([milliseconds(lambda: search.page(Query(query="any")))], partner)}
    queries = {
        "the commonest word": Query(query=prose.words[0]),
        "a common word": Query(query=prose.words[40]),
        "a rare word": Query(query=prose.words[WORDS // 2]),
        "two words": Query(query=f"{prose.words[3]} {prose.words[60]}"),
        "a phrase": Query(query=f'"{prose.words[1]} {prose.words[2]}"'),
        "a beginning": Query(query=f"{prose.words[50][:3]}*"),
        "a word and a tag": Query(query=prose.words[40], tags=("tag 1",)),
        "a word, by update": Query(query=prose.words[40], sort="updated"),
        "cites": Query(cites="example.com/77/"),
        "stale": Query(stale_on=date(2026, 6, 15)),
    }
    by_query = {name: times(partial(search.page, query), rounds) for name, query in queries.items()}
    figures |= {f"search, warm: {name}": figure(values, partner) for name, values in by_query.items()}
    worst = max(by_query.values(), key=statistics.median)
    figures["search, warm, worst of its queries"] = figure(worst, partner)
    after = []
    for start in range(0, min(number, 3 * CHANGES), CHANGES):
        changed = ids[start : start + CHANGES]
        subprocess.run([sys.executable, "-c", ELSEWHERE, str(root), *changed], check=True)
        after.append(milliseconds(lambda: search.page(Query(query="changedhere"))))
    figures[f"search after {CHANGES} changes elsewhere"] = figure(after, partner)
    return figures


def measure_list(root: Path, number: int, rounds: int) -> Figures:
    make_root(root, number, short_report)
    search = SearchIndex(GlobalStorage(root), review_day)
    query = Query(tags=("tag 1",), sort="updated")
    first = milliseconds(lambda: search.page(query))
    while search.page(query).is_behind:
        pass
    partner = times(lambda: sort_all(root), 3)
    fresh = [
        float(
            subprocess.run([sys.executable, "-c", FRESH, str(root)], check=True, capture_output=True).stdout
        )
        for _ in range(5)
    ]
    figures = {
        "first list page ever": figure([first], partner),
        "first list page, fresh process": figure(fresh, partner),
        "list page, warm": figure(times(lambda: search.page(query), rounds), partner),
    }
    titles, deep = Query(status="all", sort="title"), search.page(query, limit=number // 6).next_key
    figures["list page, warm: by title, any status"] = figure(
        times(lambda: search.page(titles), rounds), partner
    )
    figures["list page, warm: half-way down"] = figure(
        times(lambda: search.page(query, deep), rounds), partner
    )
    library = Library(root)
    made = []
    for n in range(5):
        library.create_report(f"New {n}", author=Author("agent", "bench"))
        made.append(milliseconds(lambda: search.page(query)))
    figures["list page after a report was made"] = figure(made, partner)
    return figures


def table(figures: Figures) -> str:
    columns = ("median", "min", "max", "partner", "ratio")
    lines = [" " * 46 + "".join(f"{name:>11}" for name in columns) + "      limit"]
    for name, row in figures.items():
        limit = LIMITS_MS.get(name)
        verdict = "" if limit is None else f"{limit:>11.0f}{'' if row['median'] <= limit else '  OVER'}"
        lines.append(f"{name:<46}" + "".join(f"{row[column]:>11.2f}" for column in columns) + verdict)
    return "\n".join([*lines, "", "milliseconds; the ratio is to the partner"])


def main() -> int:
    """Measure, print, and fail where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=int, default=10_000, help="reports of 5 KB to search in")
    parser.add_argument("--entries", type=int, default=100_000, help="reports to list")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_search(Path(folder) / "search", options.reports, options.rounds)
        figures |= measure_list(Path(folder) / "list", options.entries, options.rounds)
    print(json.dumps(figures, indent=2) if options.json else table(figures))
    return 0 if all(figures[name]["median"] <= limit for name, limit in LIMITS_MS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
