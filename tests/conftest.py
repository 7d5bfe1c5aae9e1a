"""Options, profiles and fixtures that all tests share.

`pytest` runs what fits into a few minutes; `pytest --full` also runs the tests marked `full`
and gives each property many more examples. Both use all cores; `-n 0` runs the tests in one process.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import settings

from living_reports.library import Library
from support.node_programs import NODE_VARIABLE, NodeMissingError, NodePrograms, node_programs
from support.search import Finder
from support.summary import SUMMARY, AddToSummary, summary_lines

# No deadline: a slow machine is not a defect of the program.
settings.register_profile("usual", deadline=None)
settings.register_profile("full", deadline=None, max_examples=2000)

FULL_TIMEOUT_S = 7200
"""How long one test may take with `--full`, instead of `faulthandler_timeout`."""

STDERR = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run the tests marked full")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("full" if config.getoption("--full") else "usual")
    config.stash[STDERR] = os.dup(2)  # during a test, pytest captures what is written to 2


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[STDERR])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="runs with --full only"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts that tests passed to `add_to_summary`."""
    for line in summary_lines(chain.from_iterable(terminalreporter.stats.values())):
        terminalreporter.write_line(line)


@pytest.fixture
def add_to_summary(record_property: Callable[[str, object], None]) -> AddToSummary:
    """Add counts to a line at the end of the run, which sums the counts of all tests by title."""
    return lambda title, counts: record_property(SUMMARY, [title, dict(counts)])


@pytest.fixture(scope="session")
def node() -> NodePrograms:
    """Node and its packages. Without them a test is skipped, or fails if the environment names a Node."""
    try:
        return node_programs()
    except NodeMissingError as error:
        if os.environ.get(NODE_VARIABLE):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of `library`; it does not exist yet."""
    return tmp_path / "reports"


@pytest.fixture
def library(root: Path) -> Library:
    """A library without reports."""
    return Library(root)


@pytest.fixture
def finder(root: Path) -> Finder:
    """A search over the root of `library`, with an index of its own."""
    return Finder(root)


@pytest.fixture(autouse=True)
def _full_timeout(request: pytest.FixtureRequest) -> None:
    """With `--full`, replace the timer that pytest has set for a test that hangs."""
    if request.config.getoption("--full"):
        faulthandler.dump_traceback_later(FULL_TIMEOUT_S, file=request.config.stash[STDERR], exit=True)
