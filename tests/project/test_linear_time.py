"""No pattern of the source takes more than linear time, whatever the text.

Each pattern is run with the methods that the source calls, on runs of blanks, of its own literals and of
near-misses. The budget is processor time, in plain scans of the same text by the same process.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest

import living_reports
from support.worst_inputs import OverBudgetError, budget, worst_texts

METHODS: dict[str, Callable[[re.Pattern[Any], Any], object]] = {
    "match": lambda pattern, text: pattern.match(text),
    "fullmatch": lambda pattern, text: pattern.fullmatch(text),
    "search": lambda pattern, text: pattern.search(text),
    "findall": lambda pattern, text: sum(1 for _ in pattern.finditer(text)),
    "finditer": lambda pattern, text: sum(1 for _ in pattern.finditer(text)),
    "split": lambda pattern, text: pattern.split(text),
    "sub": lambda pattern, text: pattern.sub(pattern.pattern[:0], text),
}
SIZE, FULL_SIZE = 20_000, 1_000_000
SCANS = 100
"""A linear pattern takes less than 20 scans of a loop in Python."""


class Found(NamedTuple):
    """A compiled pattern, its place in the source, and the methods that are called there."""

    place: str
    pattern: re.Pattern[Any]
    methods: frozenset[str]


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(living_reports.__path__, "living_reports."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


@cache
def patterns() -> list[Found]:
    """Every pattern that is an attribute of a module, or part of one."""
    found: dict[re.Pattern[Any], Found] = {}
    for module in modules():
        for name, value in vars(module).items():
            for pattern in _patterns_in(value):
                place = f"{module.__name__.removeprefix('living_reports.')}.{name}"
                methods = _methods_called(module.__file__, name)
                known = found.get(pattern, Found(place, pattern, frozenset()))
                found[pattern] = known._replace(methods=known.methods | methods)
    return sorted(found.values(), key=lambda each: each.place)


def _patterns_in(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _patterns_in(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _patterns_in(inner)


@cache
def _calls(file: str) -> frozenset[tuple[str, str]]:
    """The names and methods of all attributes in a file; a name that is no plain one is empty."""
    with open(file, encoding="utf-8") as source:
        tree = ast.parse(source.read())
    return frozenset(
        (node.value.id if isinstance(node.value, ast.Name) else "", node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in METHODS
    )


def _methods_called(file: str, name: str) -> frozenset[str]:
    calls = _calls(file)
    own = {method for owner, method in calls if owner == name}
    return frozenset(own or {method for _, method in calls if method != "split"})


def slow_texts(found: Found, size: int) -> Iterator[str]:
    for text in worst_texts(found.pattern, size):
        for method in found.methods:
            try:
                with budget(SCANS, size):
                    METHODS[method](found.pattern, text)
            except OverBudgetError:
                yield f"{method}({text[:30]!r}…{text[-30:]!r})"


def test_every_pattern_was_found() -> None:
    assert len(patterns()) > 80
    assert {"cli.page._HEADING", "store.files.search.content._LINKS"} <= {found.place for found in patterns()}


@pytest.mark.parametrize("found", patterns(), ids=lambda found: found.place)
def test_a_pattern_takes_linear_time(found: Found, pytestconfig: pytest.Config) -> None:
    size = FULL_SIZE if pytestconfig.getoption("--full") else SIZE
    slow = list(slow_texts(found, size))
    assert not slow, f"{found.pattern.pattern!r}\n" + "\n".join(slow[:5])


BACKTRACKING = [
    r"\s+#+\s*$",
    r"(#{1,6})\s+(.*?)\s*#*$",
    r"\|?[\s:|-]*-[\s:|-]*$",
    r"\s*text-align\s*:\s*(left|right|center)\s*;?\s*",
    r"<(?P<url>https?://[^>\s]+)>",
    r'"(?:[^"\\]|\\.)*"|(?P<blank>//[^\r\n]*|/\*.*?\*/)',
    r"^title[ \t]*:[ \t]*(\S.*?)[ \t\r]*$",
]


@pytest.mark.parametrize("source", BACKTRACKING)
def test_a_pattern_that_backtracks_is_found(source: str) -> None:
    pattern = re.compile(source, re.MULTILINE | re.DOTALL)
    methods = frozenset({"search", "match", "fullmatch", "finditer"})
    assert next(slow_texts(Found("", pattern, methods), SIZE), None)
