"""Find a text in the texts of an item: how often it occurs, and the surroundings of each hit.

Rules:

- Case, Unicode form and line ends do not count.
- The surroundings (a window) are the whole paragraph if it fits, else whole sentences or lines, else they are
  cut between words if possible; the hit is whole. Hits that are near each other share a window.
- A window has the text as it is, apart from line ends and Unicode form, so that an edit can quote it.

    >>> Finder("fails").found({"content": "One in eight orders fails."})
    Found(hits=1, windows=[{'field': 'content', 'text': 'One in eight orders fails.'}], hidden=0)
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from living_reports.model.report import normal_form

WINDOW_CHARS = 200
"""The least size of a window with a short hit; a caller with room allows more."""
MAX_WINDOWS = 20
"""The number of windows of an item; the hits behind them are counted."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*")

Span = tuple[int, int]


class Found(NamedTuple):
    """The hits in an item: their number, windows `{field, text}`, and the number of hits in no window."""

    hits: int
    windows: list[dict[str, str]]
    hidden: int


class Finder:
    """A text to find."""

    def __init__(self, find: str) -> None:
        self._wanted = _compared(_readable(find))

    def found(self, fields: Mapping[str, str], chars: int = WINDOW_CHARS) -> Found:
        """Return the hits in the texts of an item.

        Args:
            fields: The texts by the names of their fields.
            chars: The greatest size of a window, unless its hit is longer.
        """
        windows: list[dict[str, str]] = []
        count = shown = 0
        for field, text in fields.items():
            readable = _readable(text)
            for left, right, hits in _windows(readable, self._spans(readable), chars):
                count += hits
                if len(windows) < MAX_WINDOWS:
                    windows.append({"field": field, "text": _window(readable, left, right)})
                    shown += hits
        return Found(count, windows, count - shown)

    def _spans(self, text: str) -> Iterator[Span]:
        """Yield the spans of the hits in a text."""
        compared, length = _compared(text), len(self._wanted)
        at = compared.find(self._wanted)
        if at < 0:
            return
        places: Sequence[int] = range(len(text) + 1)
        if len(compared) != len(text):
            places = list(accumulate(map(_compared_length, text), initial=0))
        while at >= 0:
            yield bisect_left(places, at + 1) - 1, bisect_left(places, at + length)
            at = compared.find(self._wanted, at + length)


def _readable(text: str) -> str:
    text = text.replace("\r\n", "\n")
    return text if text.isascii() else normal_form("NFC", text)


def _compared(text: str) -> str:
    return text.lower() if text.isascii() else normal_form("NFC", text.casefold())


@lru_cache(maxsize=10_000)
def _compared_length(char: str) -> int:
    return len(_compared(char))


def _windows(text: str, spans: Iterable[Span], chars: int) -> Iterator[tuple[int, int, int]]:
    """Yield the spans of the windows, each with the number of hits that are in it and in no earlier one."""
    left = right = hits = 0
    for begin, end in spans:
        if hits and end <= right:
            hits += 1
            continue
        if hits:
            yield left, right, hits
        left, right = _bounds(text, begin, end, chars, right)
        hits = 1
    if hits:
        yield left, right, hits


def _bounds(text: str, begin: int, end: int, chars: int, taken: int) -> Span:
    """Return the span of the window of a hit; the window before ends at `taken`."""
    first, last = _paragraph(text, begin, end, chars)
    least, most = (max(0, size - (end - begin)) // 2 for size in (WINDOW_CHARS, chars))
    is_whole = last - first <= chars
    if is_whole and (first < begin - least or last > end + least):
        return first, last
    margin = least if is_whole else most  # a short paragraph is shown with its neighbours
    left = min(begin, max(begin - margin, taken))
    return _beginning(text, left, begin), _ending(text, end, min(len(text), end + margin))


def _paragraph(text: str, begin: int, end: int, chars: int) -> Span:
    """Return the span of the paragraph of a hit; a longer span than `chars` may end anywhere."""
    first = text.rfind("\n\n", max(0, begin - chars), begin)
    last = text.find("\n\n", end, end + chars)
    return (
        first + 2 if first >= 0 else max(0, begin - chars - 1),
        last if last >= 0 else min(len(text), end + chars + 1),
    )


def _beginning(text: str, left: int, begin: int) -> int:
    """Return the beginning of a sentence or line near that of a window, if there is one, else of a word."""
    found = _SENTENCE_END.search(text, left, (left + begin) // 2) if left else None
    return found.end() if found else _after_space(text, left, begin)


def _ending(text: str, end: int, right: int) -> int:
    """Return the end of a sentence or line near the end of a window, if there is one, else of a word."""
    if right == len(text):
        return right
    found = [match.start() for match in _SENTENCE_END.finditer(text, (end + right) // 2, right)]
    return found[-1] if found else _before_space(text, end, right)


def _window(text: str, left: int, right: int) -> str:
    return ("…" if left else "") + text[left:right] + ("…" if right < len(text) else "")


def _after_space(text: str, left: int, begin: int) -> int:
    """Return the beginning of a word near that of a window, if there is one; the hit is at `begin`."""
    middle = (left + begin) // 2
    return left and next((n + 1 for n in range(left, middle) if text[n].isspace()), left)


def _before_space(text: str, end: int, right: int) -> int:
    """Return the end of a word near the end of a window, if there is one; the hit ends at `end`."""
    if right == len(text):
        return right
    return next((n for n in range(right, (end + right) // 2, -1) if text[n].isspace()), right)
