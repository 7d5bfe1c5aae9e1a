"""Folders of reports, written as files: a hundred thousand of them in seconds.

The files are those that another program would write: an outline and a line of the catalogue for each
report, without a log. The first write through the library starts the log. The same number gives the
same bytes.

    >>> root = many_reports(bench).root
"""

from __future__ import annotations

import json
import os
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.rows import Bench

VOCABULARY = 20_000

Json = dict[str, Any]
Make = Callable[[int, str], Json]
"""The outline of the n-th report, which has this id."""


class Prose:
    """Text with the word frequencies of a natural language: the n-th word has frequency 1/n."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        letters = "abcdefghijklmnopqrstuvwxyz"
        self.words = ["".join(self._random.choices(letters, k=3 + n % 7)) for n in range(VOCABULARY)]
        self._sums = [1.0]
        for n in range(1, VOCABULARY):
            self._sums.append(self._sums[-1] + 1 / (n + 1))

    def text(self, words: int) -> str:
        return " ".join(self._random.choices(self.words, cum_weights=self._sums, k=words))


# --- Roots --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Root:
    """A root and the number of reports that were written into it."""

    root: Path
    count: int


def report_id(n: int) -> str:
    """Return the id of the n-th report of any root written here."""
    return str(uuid.UUID(int=random.Random(n).getrandbits(128), version=4))


def write_root(root: Path, count: int, make: Make) -> None:
    """Write a new root with so many reports."""
    by_id = root / "by_id"
    by_id.mkdir(parents=True)
    with (root / "index.jsonl").open("w", encoding="utf-8") as index:
        for n in range(count):
            name = report_id(n)
            outline = make(n, name)
            folder = f"{by_id}/{name}"
            os.mkdir(folder)
            with open(f"{folder}/outline.json", "w", encoding="utf-8") as file:
                file.write(json.dumps(outline, indent=2, ensure_ascii=False) + "\n")
            index.write(json.dumps(_index_entry(outline)) + "\n")


def _index_entry(outline: Json) -> Json:
    name = outline["report_id"]
    entry = {"report_id": name, "current_title": outline["title"]}
    entry |= {key: outline[key] for key in ("created_at", "updated_at")}
    return entry | {"tags": outline["metadata"]["tags"], "status": "active", "path": f"by_id/{name}"}


def head(n: int, name: str, title: str) -> Json:
    """Return an outline without sections and insights; a third of the outlines has the tag `tag 1`."""
    day = f"2026-{1 + n % 12:02}-{1 + n % 28:02}T{n % 24:02}:00:00.{n:06}+00:00"
    times = {"created_at": day, "updated_at": day}
    body: Json = {"version": "1.0", "outline_version": 1, "metadata": {"tags": [f"tag {n % 3}"]}}
    return {"report_id": name, "title": title} | times | body


def short_report(n: int, name: str) -> Json:
    """Return a report that has little more than a title."""
    return head(n, name, f"Report {n}")


def one_report(bench: Bench) -> Root:
    return Root(bench.made_once("root-of-one", lambda root: write_root(root, 1, short_report)), 1)


def many_reports(bench: Bench) -> Root:
    """Return a root of a hundred thousand short reports, shared by all benchmarks: add only a few."""
    count = bench.scaled(100_000, quick=1_000)
    return Root(bench.made_once("root-of-many", lambda root: write_root(root, count, short_report)), count)
