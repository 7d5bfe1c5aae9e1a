"""How fast, how small: each figure next to a partner that was measured in the same run.

A benchmark is a module here with a `run` that yields rows; its docstring's first line says what it
asks. What they share is in `harness`. `REGISTRY` names them all, in the order of a full run.

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
