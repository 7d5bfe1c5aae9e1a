"""Samples, taken by turns: what is measured and its partner meet the same busy moments of a machine.

Rules:

- A sample is a number that an action returns. `timed` makes such an action of any other.
- Every round takes one sample of each action; every other round goes backwards, so that none
  always comes first. The first round warms caches and does not count. What was written before is on
  the disk by then.
- The spread is that of the middle half: quartiles.

    >>> samples = by_turns({"ours": timed(update), "raw": timed(write)}, rounds=20)
    >>> spread(samples["ours"]).median
    0.84
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Action = Callable[[], float]


def timed(action: Callable[[], object]) -> Action:
    """An action whose sample is how many milliseconds it takes."""

    def run() -> float:
        start = time.perf_counter()
        action()
        return (time.perf_counter() - start) * 1000

    return run


def by_turns(actions: Mapping[str, Action], rounds: int, warm_ups: int = 1) -> dict[str, list[float]]:
    """For each action as many samples as there are rounds; the n-th ones belong to the same round."""
    if hasattr(os, "sync"):
        os.sync()  # what was made for it: the system would write that while one of them is measured
    samples: dict[str, list[float]] = {name: [] for name in actions}
    names = list(actions)
    for number in range(warm_ups + rounds):
        for name in names if number % 2 else reversed(names):
            samples[name].append(actions[name]())
    return {name: values[warm_ups:] for name, values in samples.items()}


@dataclass(frozen=True)
class Spread:
    """The median of some samples, and where their middle half lies."""

    median: float
    low: float
    high: float


def spread(samples: Sequence[float]) -> Spread:
    """Median and quartiles; of a single sample they are the sample itself."""
    if len(samples) == 1:
        return Spread(samples[0], samples[0], samples[0])
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Spread(median, low, high)
