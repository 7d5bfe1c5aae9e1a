"""No call of a tool and no reading of a resource takes more than linear time, whatever the text.

The calls are drawn with a seed. `LIVING_REPORTS_FUZZ_SECONDS` says for how long, and
`LIVING_REPORTS_FUZZ_SEED` which calls.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from living_reports.changes import OPS
from living_reports.errors import ReportError
from living_reports.library import Library
from living_reports.library.requests import BY_TOOL, CreateReport
from living_reports.model.event import Author
from living_reports.server.arguments import check_arguments
from living_reports.server.tools import BY_NAME
from support.summary import AddToSummary
from support.worst_calls import STARTS, UNITS
from support.worst_inputs import OverBudgetError, budget, scan_seconds

SECONDS = float(os.environ.get("LIVING_REPORTS_FUZZ_SECONDS", "10"))
SECONDS_IN_FULL = float(os.environ.get("LIVING_REPORTS_FUZZ_SECONDS", "3600"))
SEED = int(os.environ.get("LIVING_REPORTS_FUZZ_SEED", "20261129"))
SIZES = (100, 1_000, 4_000, 10_000)
LARGE_SIZES = (*SIZES, 50_000, 200_000)
SCANS = 25_000
"""The most processor time of a call, in plain scans of the text of its report."""
LEAST_SIZE = 20_000
"""A shorter report counts as one of this size: a call has costs that do not depend on the text."""
CALLS_PER_REPORT = 30
ANN = Author("cli", "ann")
VIEWS = ("summary", "sections", "insights", "full", "markdown", "")
CHOICES: dict[str, tuple[Any, ...]] = {
    "view": VIEWS,
    "format": ("markdown", "html", "text", "changes", ""),
    "sort": ("relevance", "updated", "created", "title", ""),
    "status": ("active", "all", "archived", ""),
    "expected_version": (0, 0, 1, 2),
    "version": (0, 0, 1),
    "to_version": (0, 1, 2),
    "since": ("", "1", "2"),
    "undo": ("", "2", "3", "2-3"),
    "importance": (0, 5, 10),
    "min_importance": (0, 0, 5),
    "limit": (0, 1, 20),
    "max_chars": (0, 500, 20_000),
    "on": ("", "2026-11-29"),
    "action_type": ("", "evolve"),
    "cursor": ("",),
    "review_by": ("+30d", "2026-11-29"),
    "as_of": ("2026-11-29",),
    "url": ("e.org", "e.org"),
    "content_format": ("markdown", "html", "plain"),
    "position": ("first", "last", "after:first"),
}


NAMES = {
    "section": ("first", "second"),
    "sections": ("first", "second"),
    "insight": ("",),
    "insights": ("an insight",),
    "item": ("first", "title", "an insight"),
    "find": ("a", "first", " "),
}
"""Selectors that match; the id of the insight is only known later."""


class Calls:
    """A library with one report, and calls at random of its tools and resources."""

    def __init__(self, root: Path, drawn: random.Random, sizes: tuple[int, ...]) -> None:
        self._drawn = drawn
        self._sizes = sizes
        self._library = Library(root)
        sections = [{"title": "first", "content": self._text()}, {"title": "second", "content": self._text()}]
        insights = [{"summary": "an insight", "citations": [{"url": "https://e.org"}]}]
        created = self._library.create_report(
            CreateReport("Worst", [{**sections[0], "insights": insights}, sections[1]]), author=ANN
        )
        self._report = str(created["report_id"])
        self._insight = str(created["created"]["insights"][0]["insight_id"])
        self._size = LEAST_SIZE + 4 * max(sizes)

    def _text(self) -> str:
        """Return some runs of units, often of one kind, and often with a beginning and an end."""
        drawn = self._drawn
        size = drawn.choice(self._sizes)
        kinds = drawn.sample(list(UNITS), drawn.choice((1, 1, 1, 2, 3)))
        unit = "".join(UNITS[kind] * drawn.choice((1, 1, 2, 7)) for kind in kinds)
        start = drawn.choice(("", "", STARTS.get(kinds[0], ""), UNITS[drawn.choice(list(UNITS))], "a "))
        end = drawn.choice(("", "", "b", UNITS[drawn.choice(list(UNITS))]))
        return start + unit * max(1, size // len(unit.encode())) + end

    def _value(self, name: str) -> Any:
        drawn = self._drawn
        if name in CHOICES and drawn.random() < 0.9:
            return drawn.choice(CHOICES[name])
        if name in NAMES and drawn.random() < 0.85:
            return drawn.choice(NAMES[name]) or self._insight
        text = self._text()
        if name in ("title", "tag", "key", "ref", "reason") and drawn.random() < 0.9:
            return "w" + " ".join("".join(filter(str.isprintable, text)).split())[:90]
        return text[: drawn.choice((10, 150, 450, 1_000, 4_000, len(text)))]

    def _change(self) -> dict[str, Any]:
        op = self._drawn.choice(list(OPS))
        spec = OPS[op]
        names = {*spec.required, *(name for name in spec.names if self._drawn.random() < 0.2)}
        change = {name: self._field(name) for name in sorted(names)}
        return {"op": op, **change}

    def _field(self, name: str) -> Any:
        match name:
            case "citation":
                return {"url": f"https://{self._value('url')}", "title": self._value("text")}
            case "citations":
                return [{"url": f"https://{self._value('url')}"}]
            case "tags" | "clear":
                return [self._value("tag")[:100]]
            case "all":
                return self._drawn.random() < 0.5
            case "importance":
                return self._drawn.randint(0, 10)
            case "insights":
                return [{"summary": self._value("summary")}]
        return self._value(name)

    def arguments(self, tool: str) -> dict[str, Any]:
        """Return arguments of the right types."""
        schema = BY_NAME[tool]["inputSchema"]
        chosen = {}
        for name, one in schema["properties"].items():
            if name in schema.get("required", ()) or self._drawn.random() < 0.35:
                chosen[name] = self._argument(name, one)
        if tool == "revert_report":
            chosen.pop(self._drawn.choice(("undo", "to_version")), None)
        if tool == "create_report":
            chosen.pop("from_reports", None)
            chosen.pop("template", None)
        return chosen

    def _argument(self, name: str, schema: dict[str, Any]) -> Any:
        if name == "report":
            return self._report if self._drawn.random() < 0.95 else self._value("report")
        if name == "changes":
            return [self._change() for _ in range(self._drawn.choice((1, 1, 2, 4)))]
        match schema["type"]:
            case "boolean":
                return self._drawn.random() < 0.5
            case "integer":
                return self._drawn.choice(CHOICES.get(name, (0, 1, 5)))
            case "array" if schema["items"]["type"] == "object":
                return [{"title": self._value("section"), "content": self._text()}]
            case "array":
                return [self._value(name)]
        return self._value(name)

    def one(self) -> tuple[str, Callable[[], object], object]:
        """Return the name of a call, the call, and what it is about."""
        kind = self._drawn.choice([*BY_NAME, "resource", "completion"])
        if kind == "resource":
            address = self._drawn.choice((f"report://{self._report}", f"report://{self._value('address')}"))
            return kind, lambda: self._library.read_resource(address), address
        if kind == "completion":
            text = self._value("text")
            return kind, lambda: self._library.complete("report", text), text
        arguments = self.arguments(kind)

        def call() -> object:
            request = BY_TOOL[kind](**check_arguments(BY_NAME[kind], arguments))
            method = getattr(self._library, kind)
            writes = not BY_NAME[kind]["annotations"]["readOnlyHint"] and kind != "render_report"
            return method(request, author=ANN) if writes else method(request)

        return kind, call, arguments

    def run(self) -> Iterator[tuple[str, float]]:
        """Make the calls, and yield the name and the processor time of each, in plain scans."""
        for _ in range(CALLS_PER_REPORT):
            name, call, about = self.one()
            begun = time.process_time()
            try:
                with suppress(ReportError), budget(SCANS, self._size):
                    call()
            except OverBudgetError:
                pytest.fail(f"{name} takes over {SCANS} plain scans, seed {SEED}: {about!r:.1000}")
            yield name, (time.process_time() - begun) / scan_seconds(self._size)


def fuzz(root: Path, seconds: float, sizes: tuple[int, ...]) -> tuple[Counter[str], dict[str, float]]:
    """Make calls for so many seconds; return their number and the largest cost of each kind."""
    calls: Counter[str] = Counter()
    most: dict[str, float] = {}
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        number += 1
        drawn = random.Random(f"{SEED}-{number}")
        run = Calls(root / str(number), drawn, sizes)
        for name, cost in run.run():
            calls[name] += 1
            most[name] = max(most.get(name, 0.0), cost)
        shutil.rmtree(root / str(number))
        if number % 20 == 0:
            print(f"seed {SEED}, report {number}: {calls.total()} calls; most: {_rounded(most)}", flush=True)
    return calls, most


def _rounded(most: dict[str, float]) -> dict[str, int]:
    return {name: round(cost) for name, cost in sorted(most.items())}


def test_no_call_exceeds_its_budget(tmp_path: Path, add_to_summary: AddToSummary) -> None:
    calls, most = fuzz(tmp_path, SECONDS, SIZES)
    print(f"seed {SEED}: {calls.total()} calls; most: {_rounded(most)}")
    add_to_summary(f"calls with worst texts, seed {SEED}", calls)


@pytest.mark.full
def test_no_call_exceeds_its_budget_for_an_hour(tmp_path: Path, add_to_summary: AddToSummary) -> None:
    calls, most = fuzz(tmp_path, SECONDS_IN_FULL, LARGE_SIZES)
    print(f"seed {SEED}: {calls.total()} calls; most: {_rounded(most)}")
    add_to_summary(f"calls with worst texts, seed {SEED}", calls)
