"""The rows of a result: our samples, those of a baseline, and a bound.

- The samples of a row and of its baseline are pairs, one pair per round. The reported ratio is the
  median of the ratios of the pairs.
- A bound limits the `ratio`, the `difference` to the baseline, or our own `value`.
- A figure that could not be measured is a row with the reason.

    >>> Row("update, 5 KB", ours, "raw file operations", raw, bound=at_most(1.5)).is_met
    True
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.harness.measure import Spread, spread

About = Literal["ratio", "difference", "value"]


@dataclass(frozen=True)
class Bound:
    """The upper or lower limit of a figure."""

    limit: float
    about: About
    is_lower: bool = False

    def is_kept_by(self, figure: float) -> bool:
        return figure >= self.limit if self.is_lower else figure <= self.limit


def at_most(limit: float, about: About = "ratio") -> Bound:
    return Bound(limit, about)


def at_least(limit: float, about: About = "ratio") -> Bound:
    return Bound(limit, about, is_lower=True)


@dataclass(frozen=True)
class Row:
    """A figure: its name `what`, our samples, and those of the baseline, taken by turns with ours."""

    what: str
    ours: Sequence[float]
    baseline: str = ""
    theirs: Sequence[float] = ()
    unit: str = "ms"
    bound: Bound | None = None

    def __post_init__(self) -> None:
        if not self.ours or bool(self.baseline) != bool(self.theirs):
            raise ValueError(f"{self.what}: samples are missing")
        if self.theirs and len(self.theirs) != len(self.ours):
            raise ValueError(f"{self.what}: the samples are not pairs")
        if self.bound and self.bound.about != "value" and not self.theirs:
            raise ValueError(f"{self.what}: a bound on the {self.bound.about} needs a baseline")

    @property
    def ratio(self) -> Spread | None:
        """Our figure divided by the baseline's; None without a baseline or if the baseline's is zero."""
        if not self.theirs or not all(self.theirs):
            return None
        return spread([ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)])

    @property
    def difference(self) -> Spread | None:
        """Our figure minus the baseline's; None without a baseline."""
        if not self.theirs:
            return None
        return spread([ours - theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)])

    @property
    def is_met(self) -> bool | None:
        """Whether the bound is met; None without a bound."""
        if self.bound is None:
            return None
        by = {"ratio": self.ratio, "difference": self.difference, "value": spread(self.ours)}
        figure = by[self.bound.about]
        assert figure is not None, "checked when the row was made"
        return self.bound.is_kept_by(figure.median)


@dataclass(frozen=True)
class Missing:
    """A figure that could not be measured here, and the reason."""

    what: str
    why: str


@dataclass(frozen=True)
class Bench:
    """The options of a run for each benchmark: a folder for its files, and the scale."""

    folder: Path
    asked_rounds: int = 0
    is_quick: bool = False

    def rounds(self, usual: int) -> int:
        """Return the number of rounds: the requested one, else two in a quick run, else the usual one."""
        return self.asked_rounds or (2 if self.is_quick else usual)

    def scaled(self, usual: int, quick: int) -> int:
        """Return a number of reports, events and so on: the usual one, or the one for a quick run."""
        return quick if self.is_quick else usual

    def made_once(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return a folder that several benchmarks share; the first call makes it."""
        path = self.folder / name
        if not path.exists():
            make(path)
        return path


Result = Row | Missing
Run = Callable[[Bench], Iterable[Result]]
