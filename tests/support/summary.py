"""Counts that tests report at the end of a run, also when they run in several processes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest

SUMMARY = "summary"
"""The name of the properties of a test that hold counts."""

AddToSummary = Callable[[str, Mapping[str, int]], None]
"""The type of the fixture `add_to_summary`."""


def summary_lines(reports: Iterable[object]) -> Iterator[str]:
    """Yield a line for each title, with the sums of the counts of all tests."""
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for title, counts in _counts_of(reports):
        totals[title].update(counts)
    for title, total in totals.items():
        yield f"{title}: {', '.join(f'{number} {name}' for name, number in sorted(total.items()))}"


def _counts_of(reports: Iterable[object]) -> Iterator[tuple[str, Mapping[str, int]]]:
    for report in reports:
        if isinstance(report, pytest.TestReport) and report.when == "teardown":
            yield from (value for name, value in report.user_properties if name == SUMMARY)  # type: ignore[misc]
