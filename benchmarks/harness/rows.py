"""A row of the result: our samples, those of a partner, and the bound that they have to keep.

Rules:

- The samples of a row and its partner's are pairs, one of each a round. The ratio is ours by the
  partner's in each pair, and what is reported is the median of those.
- A bound is about the `ratio`, about the `difference` to the partner, or about our own `value`.
- What could not be measured is a row too, and says why.

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
    """What a figure may be at most, or has to be at least."""

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
    """One figure: `what` was measured, our samples, and the partner's, taken by turns with ours."""

    what: str
    ours: Sequence[float]
    partner: str = ""
    theirs: Sequence[float] = ()
    unit: str = "ms"
    bound: Bound | None = None

    def __post_init__(self) -> None:
        if not self.ours or bool(self.partner) != bool(self.theirs):
            raise ValueError(f"{self.what}: samples are missing")
        if self.theirs and len(self.theirs) != len(self.ours):
            raise ValueError(f"{self.what}: the samples are no pairs")
        if self.bound and self.bound.about != "value" and not self.theirs:
            raise ValueError(f"{self.what}: a bound on the {self.bound.about} needs a partner")

    @property
    def ratio(self) -> Spread | None:
        """How many times the partner's figure ours is; None where that is nothing."""
        if not self.theirs or not all(self.theirs):
            return None
        return spread([ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)])

    @property
    def difference(self) -> Spread | None:
        """How much more than the partner's figure ours is."""
        if not self.theirs:
            return None
        return spread([ours - theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)])

    @property
    def is_met(self) -> bool | None:
        """Whether the bound is kept; None where there is none."""
        if self.bound is None:
            return None
        by = {"ratio": self.ratio, "difference": self.difference, "value": spread(self.ours)}
        figure = by[self.bound.about]
        assert figure is not None, "checked when the row was made"
        return self.bound.is_kept_by(figure.median)


@dataclass(frozen=True)
class Missing:
    """What could not be measured here, and what stops it."""

    what: str
    why: str


@dataclass(frozen=True)
class Bench:
    """What a run gives to each benchmark: a folder for its files, and how much to do."""

    folder: Path
    asked_rounds: int = 0
    is_quick: bool = False

    def rounds(self, usual: int) -> int:
        """How many rounds to measure: as asked for, else two in a quick run, else as many as are usual."""
        return self.asked_rounds or (2 if self.is_quick else usual)

    def scaled(self, usual: int, quick: int) -> int:
        """A number of reports, events and so on: the usual one, or the one for a quick run."""
        return quick if self.is_quick else usual

    def made_once(self, name: str, make: Callable[[Path], None]) -> Path:
        """A folder that several benchmarks may share; the first one to ask for it makes it."""
        path = self.folder / name
        if not path.exists():
            make(path)
        return path


Result = Row | Missing
Run = Callable[[Bench], Iterable[Result]]
