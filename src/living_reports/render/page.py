"""The content of a page, whatever its format: parts, ranked insights, numbered sources.

A format decides only how this content is written down.

Rules:

- An insight appears in the first section that lists it; insights of no section come last.
- The insights of a section are ranked by importance, then by the order of the section.
- Citations are numbered in the order of their first mention, those of a section before those of its insights;
  equal ones share a number.

    >>> page = Page(outline, today)
    >>> [(part.title, len(part.insights)) for part in page.parts]
    [('Builds', 2), ('Other insights', 1)]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import NamedTuple

from living_reports.model.fields import FACTS
from living_reports.model.report import Citation, Insight, Outline, Section
from living_reports.reading.check import is_stale
from living_reports.reading.views import ranked

ImageReader = Callable[[str], bytes | None]
"""Returns the bytes of the image at a path, or `None` if it is not allowed or cannot be read."""

Progress = Callable[[str, int, int], None]
"""Called with the current step, the amount done and the total amount."""

_PLACES = {
    "url": "",
    "path": "",
    "endpoint": "",
    "execution_id": "execution",
    "query_id": "query",
    "sql_sha256": "SQL sha256",
    "cache_manifest": "cache",
}
"""The fields that lead to what is cited, the most useful first, each with its label."""
_WEB = re.compile(r"https?://[^\s\x00-\x20]+", re.IGNORECASE)


class Part(NamedTuple):
    """The content under one heading. `section` is `None` for the insights that no section lists."""

    title: str
    section: Section | None
    insights: list[Insight]


class Freshness(NamedTuple):
    """The facts that a reader needs before relying on an insight; empty where none applies.

    Attributes:
        status: The status of an insight that is not active.
        overdue: The day since which a stale insight is due for review.
        facts: The labelled facts, such as the day on which the insight held.
    """

    status: str
    overdue: str
    facts: list[tuple[str, str]]


class Source(NamedTuple):
    """A citation as pages show it; empty where the citation says nothing.

    Attributes:
        title: The title.
        description: The description.
        link: The address on the web.
        places: Labels and values of what leads to the source, the link aside.
        sha256: The hash of the content that was cited.
        kind: The kind of the citation, such as `url` or `query`.
        provider: The system that answered.
        page: The page in a document.
        times: The labelled times that the citation states, such as when the source was accessed.
    """

    title: str
    description: str
    link: str
    places: list[tuple[str, str]]
    sha256: str
    kind: str
    provider: str
    page: str
    times: list[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """One version of a report, prepared for any format.

    Attributes:
        outline: The version.
        today: The UTC day on which freshness is judged.
        status: The status of the insights shown; `all` shows every one.
        head_sha256: The hash of the event that made the version, if it is known.
        as_file: Whether the page must identify itself because it leaves the store.
        images: Reads local images. An image that it does not return is replaced by a note in the text.
        progress: Called after each part.
        note: A sentence to show at the beginning of a page of text.
        left_out: The sources of the images that the page does not show; filled by the format.
    """

    outline: Outline
    today: date
    status: str = "active"
    head_sha256: str = ""
    as_file: bool = False
    images: ImageReader | None = None
    progress: Progress | None = None
    note: str = ""
    left_out: dict[str, None] = field(default_factory=dict, compare=False)

    @cached_property
    def parts(self) -> list[Part]:
        """The parts in the order of the document."""
        insights = {i.insight_id: i for i in self.outline.insights if self.status in ("all", i.status)}
        found = []
        for section in self.outline.sections:
            placed = [insights.pop(i) for i in section.insight_ids if i in insights]
            found.append(Part(section.title, section, ranked(placed)))
        if insights:
            title = "Other insights" if self.outline.sections else "Insights"
            found.append(Part(title, None, ranked(insights.values())))
        return found

    @cached_property
    def insights(self) -> list[Insight]:
        """The insights shown, in the order of the page."""
        return [insight for part in self.parts for insight in part.insights]

    @cached_property
    def sources(self) -> list[Source]:
        """The sources by number: the first is 1."""
        return [_source(citation) for citation in self._citations[0]]

    def source_numbers(self, item: Section | Insight) -> list[int]:
        """Return the numbers of the sources that a section or an insight cites, each once."""
        return self._citations[1][_id_of(item)]

    def freshness(self, insight: Insight) -> Freshness:
        """Return the facts about the status and the age of an insight."""
        return Freshness(
            "" if insight.status == "active" else insight.status,
            str(insight.metadata["review_by"]) if is_stale(insight, self.today) else "",
            [(FACTS[name], str(value)) for name, value in insight.facts.items() if value and FACTS[name]],
        )

    @cached_property
    def _citations(self) -> tuple[list[Citation], dict[str, list[int]]]:
        """The citations by number, and the numbers of each section and insight."""
        numbers: dict[str, int] = {}
        cited: list[Citation] = []
        by_item: dict[str, list[int]] = {}
        for item in self._items():
            found = {citation.model_dump_json(): citation for citation in item.citations}
            cited += [citation for key, citation in found.items() if key not in numbers]
            by_item[_id_of(item)] = [numbers.setdefault(key, len(numbers) + 1) for key in found]
        return cited, by_item

    def _items(self) -> Iterator[Section | Insight]:
        for part in self.parts:
            if part.section:
                yield part.section
            yield from part.insights


def _id_of(item: Section | Insight) -> str:
    return item.section_id if isinstance(item, Section) else item.insight_id


def is_web_address(text: str) -> bool:
    """Return True if the text is one http or https address."""
    return bool(_WEB.fullmatch(text))


def shown_time(text: str) -> str:
    """Return a day, or a time in UTC to the minute; empty if the text is neither."""
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found
    except (ValueError, OverflowError):
        return ""
    return found.strftime("%Y-%m-%d" if len(text) == len("2026-11-23") else "%Y-%m-%d %H:%M UTC")


def _source(citation: Citation) -> Source:
    link = citation.url if citation.url and is_web_address(citation.url) else ""
    fields = (
        (label, getattr(citation, name)) for name, label in _PLACES.items() if name != "url" or not link
    )
    return Source(
        title=citation.title or "",
        description=citation.description or "",
        link=link,
        places=[(label, value) for label, value in fields if value],
        sha256=citation.response_hash or "",
        kind=citation.source,
        provider=citation.provider or "",
        page=citation.page or "",
        times=[
            (label, text)
            for label, text in (("accessed", citation.accessed_at), ("observed", citation.observed_at))
            if text
        ],
    )
