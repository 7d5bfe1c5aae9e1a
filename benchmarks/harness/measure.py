"""Samples of several actions, taken by turns, so that a busy moment of the machine affects all alike.

- A sample is a number that an action returns. `timed` turns any function into such an action.
- Every round takes one sample of each action; every other round goes backwards, so that no action is
  always first. The first round warms caches and does not count. Earlier writes are synced before it.
- The spread is given by the quartiles.

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
    """Return an action that runs a function and returns the milliseconds that it takes."""

    def run() -> float:
        start = time.perf_counter()
        action()
        return (time.perf_counter() - start) * 1000

    return run


def by_turns(actions: Mapping[str, Action], rounds: int, warm_ups: int = 1) -> dict[str, list[float]]:
    """Return one sample per round for each action; the n-th samples belong to the same round."""
    if hasattr(os, "sync"):
        os.sync()  # else the system might write earlier data during a measurement
    samples: dict[str, list[float]] = {name: [] for name in actions}
    names = list(actions)
    for number in range(warm_ups + rounds):
        for name in names if number % 2 else reversed(names):
            samples[name].append(actions[name]())
    return {name: values[warm_ups:] for name, values in samples.items()}


@dataclass(frozen=True)
class Spread:
    """The median and the quartiles of some samples."""

    median: float
    low: float
    high: float


def spread(samples: Sequence[float]) -> Spread:
    """Return the median and the quartiles; all three are the sample itself if there is only one."""
    if len(samples) == 1:
        return Spread(samples[0], samples[0], samples[0])
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Spread(median, low, high)
