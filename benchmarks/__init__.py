"""Benchmarks of speed and size: each figure is compared with a baseline from the same run.

A benchmark is a module of this package with a `run` function that yields rows; the first line of its
docstring is its title. `harness` has the shared code. `REGISTRY` lists the benchmarks in the order
of a full run.

    $ python -m benchmarks                 # all
    $ python -m benchmarks startup --quick # one, on a small scale
"""

from __future__ import annotations

REGISTRY = (
    "sizes",
    "commits",
    "growth",
    "writers",
    "roundtrip",
    "startup",
    "listing",
    "search",
    "memory",
    "others",
)
