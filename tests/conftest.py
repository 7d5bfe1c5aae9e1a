"""Options and profiles that all tests share.

`pytest` runs what fits into a few minutes; `pytest --full` also runs the tests marked `full`
and gives each property many more examples.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from living_reports.library import Library
from support.node_programs import NODE_VARIABLE, NodeMissingError, NodePrograms, node_programs
from support.search import Finder

# No deadline: a slow machine is not a wrong program.
settings.register_profile("usual", deadline=None)
settings.register_profile("full", deadline=None, max_examples=2000)


FULL_TIMEOUT_SECONDS = 3600
"""How long one test may take with `--full`, instead of `faulthandler_timeout`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run the tests marked full")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("full" if config.getoption("--full") else "usual")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="runs with --full only"))


@pytest.fixture(scope="session")
def node() -> NodePrograms:
    """Node and the programs that tests run on it; without them a test is skipped, in CI it fails."""
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
def _more_time(request: pytest.FixtureRequest) -> None:
    """With `--full`, set the timer again that pytest has set for a test that hangs."""
    if request.config.getoption("--full") and sys.__stderr__:
        faulthandler.dump_traceback_later(FULL_TIMEOUT_SECONDS, file=sys.__stderr__, exit=True)
