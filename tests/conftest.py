"""Options and profiles that all tests share.

`pytest` runs what fits into a few minutes; `pytest --full` also runs the tests marked `full`
and gives each property many more examples.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

# No deadline: a slow machine is not a wrong program.
settings.register_profile("usual", deadline=None)
settings.register_profile("full", deadline=None, max_examples=2000)


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
