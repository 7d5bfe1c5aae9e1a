"""Search over reports made of real documents, compared with an oracle that reads every text.

The revisions of two documents that many people maintained are cut into reports. Search must find what
the oracle finds: at first, after the search file is deleted, and while other processes write.
"""

from __future__ import annotations

import random
import re
import subprocess
import uuid
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from living_reports.model.report import Insight, Outline, Section, outline_bytes
from living_reports.storage import GlobalStorage
from living_reports.store.base import SearchQuery
from support.histories import NAMESPACE, revisions
from support.processes import require_success, start_python
from support.search import Finder

SAMPLE = 300
ALL = 10_000
REPORT_CHARS = 5_000
QUERIES = 60
DAY = "2026-11-23T10:00:00+00:00"

Texts = dict[str, str]
"""The text of each report, by its title."""


def pieces() -> Iterator[str]:
    """Yield pieces of the documents' revisions, of the size of a report, each from a different line on."""
    documents = ("log4j-guidance", "log4j-software-list")
    texts = [revision["text"] for name in documents for revision in revisions(name)]
    for turn in count():
        for number, text in enumerate(texts):
            start = (turn * 7 + number * 3) * 997 % max(1, len(text) - REPORT_CHARS)
            begin = text.find("\n", start) + 1
            yield text[begin : begin + REPORT_CHARS]


def outline_of(number: int, text: str) -> Outline:
    """Return a report with the piece as its prose, except for the last line, which is an insight."""
    ids = [str(uuid.uuid5(NAMESPACE, f"{kind} {number}")) for kind in ("report", "section", "insight")]
    body, _, last = text.rpartition("\n")
    insight = Insight(insight_id=ids[2], importance=5, summary=last.strip() or "nothing")
    section = Section(section_id=ids[1], title="Text", content=body, insight_ids=[ids[2]])
    return Outline(
        report_id=ids[0],
        title=f"History {number:05}",
        created_at=DAY,
        updated_at=DAY,
        sections=[section],
        insights=[insight],
    )


def make(root: Path, number: int) -> Texts:
    """Create reports without a log, like another program: ten thousand of them are created quickly."""
    texts = {}
    for n, text in zip(range(number), pieces(), strict=False):
        outline = outline_of(n, text)
        folder = root / "by_id" / outline.report_id
        folder.mkdir(parents=True)
        (folder / "outline.json").write_bytes(outline_bytes(outline))
        texts[outline.title] = text
    GlobalStorage(root).index.rebuild_from_filesystem()
    return texts


def words_of(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def spoken(title: str, text: str) -> str:
    """Return all words of a report for the oracle; no phrase spans two items."""
    body, _, last = text.rpartition("\n")
    items = (title, f"Text {body}", last.strip() or "nothing")
    return f" {' | '.join(map(words_of, items))} "


def questions(texts: Texts) -> dict[str, set[str]]:
    """Return words, pairs of words, phrases and prefixes that occur, and the reports that contain them."""
    dice = random.Random(4)
    said = {title: spoken(title, text) for title, text in texts.items()}

    def having(part: str) -> set[str]:
        return {title for title, words in said.items() if part in words}

    asked: dict[str, set[str]] = {}
    for number in range(QUERIES):
        words = [word for word in dice.choice(list(said.values())).split() if word.isascii()]
        at = dice.randrange(len(words) - 1)
        first, second, other = words[at], words[at + 1], dice.choice(words)
        if "|" in (first, second, other):
            continue
        match number % 4:
            case 0:
                asked[first] = having(f" {first} ")
            case 1:
                asked[f"{first} {other}"] = having(f" {first} ") & having(f" {other} ")
            case 2:
                asked[f'"{first} {second}"'] = having(f" {first} {second} ")
            case _:
                asked[f"{first[:4]}*"] = having(f" {first[:4]}")
    return asked


def found(finder: Finder, query: str) -> set[str]:
    page = finder.storage.search(SearchQuery(text=query), limit=2 * ALL)
    titles = {row.entry.current_title for row in page.rows}
    assert len(titles) == page.total
    return titles


def check(finder: Finder, asked: dict[str, set[str]]) -> None:
    for query, expected in asked.items():
        assert found(finder, query) == expected, query


WRITER = """
import sys
from pathlib import Path
from support.library_reports import ANN, append_text
from living_reports.library import Library
from living_reports.library.requests import UpdateReport

library, name = Library(Path(sys.argv[1])), sys.argv[2]
for number, title in enumerate(sys.argv[3:]):
    library.update_report(UpdateReport(title, [append_text(f"xx{name}xx xx{name}{number}xx", "Text")]), ANN)
"""


@pytest.mark.parametrize("number", [SAMPLE, pytest.param(ALL, marks=pytest.mark.full)])
def test_what_stands_in_real_documents_is_found(tmp_path: Path, number: int) -> None:
    texts = make(tmp_path, number)
    asked = questions(texts)
    assert len(asked) > QUERIES // 2
    finder = Finder(tmp_path)
    check(finder, asked)
    (tmp_path / ".search.sqlite").unlink()
    check(finder, asked)
    check(Finder(tmp_path), asked)

    titles = list(texts)
    ids = {n: str(uuid.uuid5(NAMESPACE, f"report {n}")) for n in range(number)}
    halves = {"ann": [ids[n] for n in range(0, 100, 2)], "ben": [ids[n] for n in range(1, 100, 2)]}
    writers = [
        start_python("-c", WRITER, str(tmp_path), name, *reports, stderr=subprocess.PIPE)
        for name, reports in halves.items()
    ]
    rounds = 0
    while any(writer.poll() is None for writer in writers) or not rounds:
        query = list(asked)[rounds % len(asked)]
        assert found(finder, query) == asked[query]
        rounds += 1
    require_success(writers)
    check(finder, asked)
    assert found(finder, "xxannxx") == set(titles[0:100:2])
    assert found(finder, "xxben7xx") == {titles[15]}
