"""What two sides changed differently, and how it is shown.

>>> Conflict("insights/5f9d…/importance", base=6, ours=8, theirs=3)
Conflict(at='insights/5f9d…/importance', base=6, ours=8, theirs=3, line=None)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from living_reports.model.splices import as_json

VALUE_CHARS = 300
"""How many characters of a value an answer shows."""

CONTEXT_CHARS = 40
"""How much of what all texts share is shown before and after what differs."""

_ELLIPSIS = "…"


@dataclass(frozen=True)
class Conflict:
    """A place that both sides changed differently. Values are JSON, `None` where there is nothing.

    `at` is an address, as in a delta:

    - of a field, with its values; of a text, only the lines that clash, and in `line` the number
      (from 1) of the first of them in the base;
    - of a whole section or insight that one side removed: the values are what the other side
      changed in it, `{field: value}`, and `None` for the side that removed it;
    - of a list of insights, where both moved one elsewhere: `{insight_id, section_id}`, or
      `{insight_id, position}` within one section; of `sections`: `{section_id, position}`.
    """

    at: str
    base: Any
    ours: Any
    theirs: Any
    line: int | None = None

    def cut(self, limit: int = VALUE_CHARS) -> Conflict:
        """The same with each value in about `limit` characters, and no more than half as many again in bytes.

        Texts are cut around what differs; what is no text becomes the start of its JSON.
        """
        values = [
            value
            if value is None or isinstance(value, str) or len(as_json(value)) <= limit
            else as_json(value)
            for value in (self.base, self.ours, self.theirs)
        ]
        base, ours, theirs = excerpts(values, limit)
        return Conflict(self.at, base, ours, theirs, self.line)


def _short(value: Any, limit: int) -> Any:
    """The value, or its JSON text where that has to be cut."""
    if value is None or isinstance(value, str):
        return value
    text = as_json(value)
    return value if _fits(text, limit) else text


def excerpts(values: list[Any], limit: int) -> list[Any]:
    """The texts among the values without most of what they share, and short enough."""
    texts = [value for value in values if isinstance(value, str) and value]
    if len(texts) < 2 or all(_fits(text, limit) for text in texts):
        return [_cut(value, limit) if isinstance(value, str) else value for value in values]
    start = max(0, _shared(texts) - CONTEXT_CHARS)
    end = max(0, _shared([text[start:][::-1] for text in texts]) - CONTEXT_CHARS)
    return [
        _cut(_ELLIPSIS * (start > 0) + value[start : len(value) - end] + _ELLIPSIS * (end > 0), limit)
        if isinstance(value, str) and value
        else value
        for value in values
    ]


def _shared(texts: list[str]) -> int:
    """How many characters all texts begin with."""
    columns = enumerate(zip(*texts, strict=False))
    return next((n for n, column in columns if len(set(column)) > 1), min(map(len, texts)))


def _fits(text: str, limit: int) -> bool:
    return len(text) <= limit and len(as_json(text).encode()) <= limit + limit // 2


def _cut(text: str, limit: int) -> str:
    if _fits(text, limit):
        return text
    kept = text[: limit - 1]
    while not _fits(kept + _ELLIPSIS, limit):
        kept = kept[: len(kept) * 9 // 10]
    return kept.rstrip() + _ELLIPSIS
