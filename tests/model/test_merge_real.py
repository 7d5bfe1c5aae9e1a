"""222 real merges of documents that both sides had edited, compared with the results of git.

`pytest -s tests/test_merge_real.py` prints the figures; `docs/merging.md` has them as a table.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest

from living_reports.model.merge import three_way
from living_reports.model.report import Outline
from support.histories import outline_of, revisions

SIDES = ("base", "ours", "theirs")


@cache
def cases() -> list[dict[str, str]]:
    """Return merges with `path`, `merge`, the three texts, and `merged`, the result made by people."""
    return list(revisions("log4j-merges"))


def by_headings(text: str) -> Outline:
    return outline_of({"text": text, "at": "2021-12-14T00:00:00+00:00"}, 1)


def as_one_section(text: str) -> Outline:
    outline = by_headings("")
    return outline.model_copy(update={"sections": [outline.sections[0].model_copy(update={"content": text})]})


def contents(outline: Outline) -> list[tuple[str, str | None]]:
    return [(section.title, section.content) for section in outline.sections]


def text_of(outline: Outline) -> str:
    """Return all of the prose, with titles as headings."""
    return "".join(f"## {title}\n{content}" for title, content in contents(outline))


@dataclass
class Result:
    """One merge: whether it was clean, whether its result is that of people, and the texts."""

    clean: bool
    equal: bool
    texts: list[str]


def merged_as(outline_from: Callable[[str], Outline]) -> list[Result]:
    results = []
    for case in cases():
        base, ours, theirs, people = (outline_from(case[name]) for name in (*SIDES, "merged"))
        merged = three_way(base, ours, theirs)
        equal = contents(merged.outline) == contents(people)
        texts = [text_of(outline) for outline in (base, ours, theirs, merged.outline)]
        results.append(Result(not merged.conflicts, equal, texts))
    return results


@cache
def merged_by_headings() -> list[Result]:
    return merged_as(by_headings)


@cache
def merged_as_one() -> list[Result]:
    return merged_as(as_one_section)


@pytest.fixture(scope="module")
def merged_by_git(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    folder = tmp_path_factory.mktemp("git")
    results = []
    for case in cases():
        for name in SIDES:
            (folder / name).write_bytes(case[name].encode())
        command = ["git", "merge-file", "-p", "ours", "base", "theirs"]
        run = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        text = run.stdout.decode()
        texts = [*(case[name] for name in SIDES), text]
        results.append(Result(run.returncode == 0, text == case["merged"], texts))
    return results


def lost_or_revived(result: Result) -> list[str]:
    """Return lines that one side added and the result lacks, or that one side removed and it has.

    A blank line says nothing, and which of many came or went cannot be counted.
    """
    base, ours, theirs, merged = (Counter(filter(str.strip, text.split("\n"))) for text in result.texts)
    wrong = []
    for line in base.keys() | ours.keys() | theirs.keys() | merged.keys():
        for side, other in ((ours, theirs), (theirs, ours)):
            only_one = other[line] == base[line]
            lost = side[line] > base[line] and merged[line] < side[line]
            revived = side[line] < base[line] and merged[line] > side[line]
            if only_one and (lost or revived):
                wrong.append(line)
    return wrong


def figures(results: list[Result]) -> dict[str, int]:
    clean = [result for result in results if result.clean]
    equal = sum(result.equal for result in clean)
    return {"clean": len(clean), "as people did": equal, "otherwise": len(clean) - equal}


BOTH_WAYS = pytest.mark.parametrize("way", [merged_by_headings, merged_as_one], ids=lambda way: way.__name__)


@BOTH_WAYS
def test_a_clean_merge_neither_loses_nor_restores_lines(way: Callable[[], list[Result]]) -> None:
    for result in way():
        if result.clean:
            assert lost_or_revived(result) == []


@BOTH_WAYS
def test_no_count_is_worse_than_that_of_git(
    way: Callable[[], list[Result]], merged_by_git: list[Result]
) -> None:
    ours, git = way(), merged_by_git
    mine, its = figures(ours), figures(git)
    print(f"\n{way.__name__}: {mine}\ngit merge-file: {its}")
    assert mine["clean"] >= its["clean"]
    assert mine["as people did"] >= its["as people did"]
    assert mine["otherwise"] <= its["otherwise"]
    for here, there in zip(ours, git, strict=True):
        assert here.clean >= there.clean
        assert here.equal >= there.equal
