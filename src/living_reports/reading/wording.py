"""Which events brought or took a text.

Rules:

- A delta holds only the words that changed, and a text that is looked for may reach beyond
  them. So an event is judged by what it made of each item: it brought or took the text if
  the item contains it more or less often than before.
- Versions are read backwards, each from the one after it. An event whose versions cannot be
  read back is judged by the words in its delta alone.
- Case, Unicode form and the space around the text do not matter. Ids and times are no text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from living_reports.errors import ReportError
from living_reports.model.delta import DeltaError, apply, invert
from living_reports.model.fields import NOT_WORDS
from living_reports.model.report import Insight, Outline, Section
from living_reports.model.selectors import folded
from living_reports.store.base import Event

_NO_TEXT = set(NOT_WORDS)


class Mentions:
    """True for a record that brought or took `text`. Ask about the newest record first.

    Args:
        text: What to look for.
        outline_at: The outline at a version; it may raise a `ReportError`.
    """

    def __init__(self, text: str, outline_at: Callable[[int], Outline]) -> None:
        self._text = folded(text)
        self._outline_at = outline_at
        self._after: Outline | None = None

    def __call__(self, record: Event) -> bool:
        if not record.makes_version:
            return False
        try:
            return self._is_changed_by(record)
        except (ReportError, DeltaError):
            return any(self._text in folded(words) for words in _texts(record.delta))

    def _is_changed_by(self, record: Event) -> bool:
        after = self._after
        if after is None or after.outline_version != record.version:
            after = self._outline_at(record.version)
        before = None if record.is_whole else apply(after, invert(record.delta))
        self._after = before
        if before is None:
            return any(self._count(item) for item in _items(after).values())
        old, new = _items(before), _items(after)
        return any(
            self._count(old.get(key)) != self._count(new.get(key))
            for key in old.keys() | new.keys()
            if old.get(key) is not new.get(key)
        )

    def _count(self, item: Any) -> int:
        if isinstance(item, Section | Insight):
            item = item.model_dump(exclude=_NO_TEXT, exclude_none=True)
        return sum(folded(words).count(self._text) for words in _texts(item))


def _items(outline: Outline) -> dict[str, Any]:
    """The items by id, and what else of the report has text."""
    items: dict[str, Any] = {"": [outline.title, outline.metadata, outline.model_extra]}
    items |= {section.section_id: section for section in outline.sections}
    return items | {insight.insight_id: insight for insight in outline.insights}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
