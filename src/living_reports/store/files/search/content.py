r"""The searchable content of an outline: its texts, the sources that it depends on, and the reviews due.

Rules:

- The text of a section is its title, content and notes; the text of an insight is its summary and
  citations.
- An item depends on a source if one of its citations names it (url, path, endpoint, title, the ids
  of a query) or if its prose links to it. Case, `http://`, `https://` and a trailing slash are ignored.

    >>> content_of(outline).texts[0]
    Text(kind='section_id', item_id='ab…', text='Risks\nWhat could go wrong.')
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from living_reports.model.fields import PROSE, SEARCHED, SOURCES
from living_reports.model.report import Citation, Insight, Outline, Section, normal_form, review_day

_TAG = re.compile(r"<[^<>]*+>")
_LINKS = {
    "](": re.compile(r"\]\(\s*+<?([^\s()<>]++(?:\([^\s()<>]*+\)[^\s()<>]*+)*+)"),
    "]:": re.compile(r"^\s{0,3}\[[^\]\n]++\]:\s*+<?([^\s<>]++)", re.MULTILINE),
    "=": re.compile(r"""(?:href|src)\s*+=\s*+["']([^"']++)["']""", re.IGNORECASE),
    "://": re.compile(r"""(https?://[^\s<>"'`|\\]*[^\s<>"'`|\\.,;:!?)\]}*_])""", re.IGNORECASE),
}
"""Patterns of links in Markdown, HTML and plain text, by a string that must be present for a match."""


class Text(NamedTuple):
    """The searchable text of an item; `kind` is `section_id` or `insight_id`."""

    kind: str
    item_id: str
    text: str


class Review(NamedTuple):
    """The day from which an active insight is due for review."""

    insight_id: str
    day: str
    summary: str


class Content(NamedTuple):
    """Everything searchable in an outline."""

    texts: list[Text]
    sources: list[Text]
    reviews: list[Review]


def content_of(outline: Outline) -> Content:
    """Return the searchable content of an outline."""
    texts = [Text("section_id", section.section_id, _section_text(section)) for section in outline.sections]
    texts += [Text("insight_id", insight.insight_id, _insight_text(insight)) for insight in outline.insights]
    days = [(insight, review_day(insight)) for insight in outline.insights]
    reviews = [Review(i.insight_id, day.isoformat(), i.summary) for i, day in days if day is not None]
    return Content(texts, list(_sources(outline)), reviews)


def _section_text(section: Section) -> str:
    texts = _values(section, SEARCHED["sections"])
    if section.content_format == "html" and section.content:
        html = _TAG.sub(" ", section.content)
        texts = [html if text is section.content else text for text in texts]
    return "\n".join(texts)


def _insight_text(insight: Insight) -> str:
    cited = (_values(citation, SEARCHED["citations"]) for citation in insight.citations)
    return "\n".join([*_values(insight, SEARCHED["insights"]), *(" ".join(values) for values in cited)])


def _values(holder: Section | Insight | Citation, fields: Iterable[str]) -> list[str]:
    return [value for field in fields if (value := getattr(holder, field))]


def _sources(outline: Outline) -> Iterator[Text]:
    for section in outline.sections:
        links = [link for name in PROSE for link in _links(getattr(section, name))]
        if links:
            yield Text("section_id", section.section_id, _lines(links))
    for insight in outline.insights:
        named = [value for citation in insight.citations for value in _values(citation, SOURCES)]
        named += _links(insight.summary)
        if named:
            yield Text("insight_id", insight.insight_id, _lines(named))


def _links(prose: str | None) -> list[str]:
    if not prose:
        return []
    return [link for sign, pattern in _LINKS.items() if sign in prose for link in pattern.findall(prose)]


def _lines(values: Iterable[str]) -> str:
    return "\n".join(dict.fromkeys(" ".join(value.split()) for value in values))


def compared(source: str) -> str:
    """Return sources, one on each line, in the form in which they are compared."""
    plain = normal_form("NFC", source).casefold()
    return "\n".join(
        line.strip().removeprefix("https://").removeprefix("http://").rstrip("/")
        for line in plain.split("\n")
    )


def lines_with(sources: str, wanted: str) -> list[str]:
    """Return the sources, as written, that contain `wanted` (in compared form)."""
    return [line for line in sources.split("\n") if wanted in compared(line)]


def moment(time_text: str) -> str:
    """Return an ISO time in a form that sorts as text; any other text is returned unchanged."""
    if len(time_text) == len("2026-11-23T10:00:00.123456+00:00") and time_text.endswith("+00:00"):
        return time_text
    try:
        moment = datetime.fromisoformat(time_text)
    except ValueError:
        return time_text
    aware = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.isoformat(timespec="microseconds")
