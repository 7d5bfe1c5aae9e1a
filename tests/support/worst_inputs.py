"""Texts on which patterns and parsers take longest, and a budget of processor time for reading them."""

from __future__ import annotations

import gc
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import FrameType
from typing import Any

BLANKS = (" ", "\t", "\n", "\r\n", "\u00a0")
OTHERS = (
    "a",
    "0",
    "é",
    "e\u0301",
    "e\u0301\u0327",
    "\U0001f600",
    "中",
    "_",
    "#",
    "|",
    "\\",
    '"',
    "'",
    "<",
    "[",
)
SAMPLES = {"WORD": "a", "DIGIT": "0", "SPACE": " ", "NOT_WORD": "-", "NOT_DIGIT": "x", "NOT_SPACE": "y"}


class OverBudgetError(Exception):
    """A call took more processor time than a linear algorithm needs."""


@lru_cache
def scan_seconds(size: int) -> float:
    """Return the processor time of a plain loop over a text of this length in this process."""
    text = "a" * size
    times = []
    for _ in range(5):
        begun = time.process_time()
        for char in text:
            if char == "b":
                raise AssertionError
        times.append(time.process_time() - begun)
    return sorted(times)[2]


@contextmanager
def _without_collection() -> Iterator[None]:
    """Leave out the garbage collector: a full collection costs what the tests before have on the heap."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def budget(scans: float, size: int) -> Iterator[None]:
    """Stop the block when it has taken as much processor time as this many plain scans of such a text.

    Raises:
        OverBudgetError: It took more.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise OverBudgetError

    before = signal.signal(signal.SIGPROF, stop)
    try:
        with _without_collection():
            signal.setitimer(signal.ITIMER_PROF, scans * scan_seconds(size))
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def scans(call: Callable[[], object], size: int) -> float:
    """Return the processor time of a call in plain scans of a text of this length."""
    with _without_collection():
        begun = time.process_time()
        call()
        taken = time.process_time() - begun
    return taken / scan_seconds(size)


# --- For a pattern ------------------------------------------------------------------------


@dataclass(frozen=True)
class Pieces:
    """The parts of a pattern: the texts that it contains, and one text that begins like a match."""

    texts: tuple[str, ...]
    match: str


def pieces(pattern: re.Pattern[Any]) -> Pieces:
    """Return the literal texts and sample characters of a pattern."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    found: dict[str, None] = {}
    match = _sample(parser.parse(source, pattern.flags & ~re.UNICODE & ~re.DEBUG), found)
    return Pieces(tuple(text for text in found if text), match)


def _sample(nodes: Any, found: dict[str, None]) -> str:
    """Return a text that the nodes match where they are simple, and note the literals in them."""
    whole, run = [], ""
    for op, value in nodes:
        if op is ops.LITERAL:
            run += chr(value)
            whole.append(chr(value))
            continue
        found[run], run = None, ""
        whole.append(_sample_of(op, value, found))
    found[run] = None
    return "".join(whole)


def _sample_of(op: Any, value: Any, found: dict[str, None]) -> str:
    match op:
        case ops.IN:
            return _member(value, found)
        case ops.NOT_LITERAL:
            return "x"
        case ops.ANY:
            return "y"
        case ops.BRANCH:
            samples: list[str] = [_sample(branch, found) for branch in value[1]]
            return samples[0]
        case ops.SUBPATTERN:
            return _sample(value[3], found)
        case ops.ATOMIC_GROUP:
            return _sample(value, found)
        case ops.MAX_REPEAT | ops.MIN_REPEAT | ops.POSSESSIVE_REPEAT:
            return _sample(value[2], found) * int(max(1, min(value[0], 50)))
        case ops.ASSERT | ops.ASSERT_NOT:
            _sample(value[1], found)
    return ""


def _member(members: Any, found: dict[str, None]) -> str:
    """Return a character of a set; note those that the set names."""
    chars = []
    for op, value in members:
        if op is ops.LITERAL:
            chars.append(chr(value))
        elif op is ops.RANGE:
            chars.append(chr(value[0]))
        elif op is ops.CATEGORY:
            chars.append(SAMPLES.get(str(value).removeprefix("CATEGORY_"), "a"))
    found.update(dict.fromkeys(chars[:8]))
    negated = members[0][0] is ops.NEGATE
    return "z" if negated else chars[0] if chars else ""


def worst_texts(pattern: re.Pattern[Any], size: int) -> Iterator[str | bytes]:
    """Yield texts of about this length: runs of blanks, literals and near-misses, and nested openers."""
    known = pieces(pattern)
    units = list(dict.fromkeys([*known.texts, *BLANKS, *OTHERS]))
    units += [known.match, *(f"{text} " for text in known.texts), *(f"{text}\n" for text in known.texts)]
    units += [f"{known.match} ", f"{known.match}\n"] + [known.match[:-1]] * bool(known.match[:-1])
    units += [one + other for one in known.texts[:6] for other in known.texts[:6] if one != other]
    starts = list(
        dict.fromkeys(
            [
                "",
                known.match,
                *(known.match[: n + 1] for n in range(min(6, len(known.match)))),
                *known.texts[:4],
            ]
        )
    )
    for unit in dict.fromkeys(filter(None, units)):
        run = (unit * (size // len(unit) + 1))[:size]
        for start in starts:
            for end in ("", "\x01"):
                text = f"{start}{run}{end}"
                yield text.encode() if isinstance(pattern.pattern, bytes) else text
