"""What every page of a report has in common: which insights stand where, and how citations count.

Rules:

- An insight stands in the first section that names it; insights of no section come last.
- The insights of a section are ranked: by importance, then in the section's order.
- Citations are numbered as the page first mentions them; equal ones share a number.

    >>> [(part.title, len(part.insights)) for part in parts(outline, "active")]
    [('Builds', 2), ('Other insights', 1)]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from living_reports.model.fields import FACTS
from living_reports.model.report import Citation, Insight, Outline, Section


class Part(NamedTuple):
    """What stands under one heading; without a section, the insights that have none."""

    title: str
    section: Section | None
    insights: list[Insight]


def parts(outline: Outline, status: str) -> list[Part]:
    """The page's parts, with the insights of one status; `all` means every one."""
    insights = {i.insight_id: i for i in outline.insights if status in ("all", i.status)}
    found = []
    for section in outline.sections:
        placed = [insights.pop(i) for i in section.insight_ids if i in insights]
        found.append(Part(section.title, section, ranked(placed)))
    if insights:
        title = "Other insights" if outline.sections else "Insights"
        found.append(Part(title, None, ranked(insights.values())))
    return found


def ranked(insights: Iterable[Insight]) -> list[Insight]:
    """The insights, the most important first; equal ones stay in order."""
    return sorted(insights, key=lambda insight: -insight.importance)


def labelled_facts(insight: Insight) -> Iterator[tuple[str, Any]]:
    """Yield the stated facts of an insight that a page shows, with their labels."""
    for name, value in insight.facts.items():
        if value and FACTS[name]:
            yield FACTS[name], value


def moment(text: str) -> str | None:
    """A day, or a time in UTC to the minute, as a reader sees it; `None` if it cannot be read as one."""
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None
    return found.strftime("%Y-%m-%d" if len(text) == len("2026-11-23") else "%Y-%m-%d %H:%M UTC")


class Citations:
    """The citations of a page by number: the first is 1."""

    def __init__(self) -> None:
        self.numbered: list[Citation] = []
        self._numbers: dict[str, int] = {}

    def numbers(self, insight: Insight) -> list[int]:
        """The numbers of an insight's citations, each once; new ones get the next."""
        return list(dict.fromkeys(self._number(citation) for citation in insight.citations))

    def _number(self, citation: Citation) -> int:
        key = citation.model_dump_json()
        if key not in self._numbers:
            self.numbered.append(citation)
            self._numbers[key] = len(self.numbered)
        return self._numbers[key]
