r"""The searchable content of an outline: its texts, the sources that it depends on, and the reviews due.

Rules:

- The text of a section is its title, content, notes and citations; the text of an insight is its summary
  and citations.
- An item depends on a source if one of its citations names it (url, path, endpoint, title, the ids
  of a query) or if its prose links to it. Case, `http://`, `https://` and a trailing slash are ignored.

    >>> content_of(outline).texts[0]
    Text(item={'section_id': 'ab12cd34', 'section_title': 'Risks'}, text='Risks\nAll of them.', cited_from=18)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from living_reports.model.fields import PROSE, SEARCHED, SOURCES
from living_reports.model.report import (
    Citation,
    Insight,
    Outline,
    Section,
    normal_form,
    review_day,
    unique_starts,
)

_TAG = re.compile(r"<[^<>]*+>")
_LINKS = {
    "](": re.compile(r"\]\(\s*+<?([^\s()<>]++(?:\([^\s()<>]*+\)[^\s()<>]*+)*+)"),
    "]:": re.compile(r"^\s{0,3}\[[^\]\n]++\]:\s*+<?([^\s<>]++)", re.MULTILINE),
    "=": re.compile(r"""(?:href|src)\s*+=\s*+["']([^"']++)["']""", re.IGNORECASE),
    "://": re.compile(r"""(https?://[^\s<>"'`|\\]*[^\s<>"'`|\\.,;:!?)\]}*_])""", re.IGNORECASE),
}
"""Patterns of links in Markdown, HTML and plain text, by a string that must be present for a match."""


Item = dict[str, str]
"""An item as matches show it, with short ids: a section as `section_id section_title`; an insight as
`insight_id`, those of its section, `summary`, and `status` and `review_by` where they matter."""

_NAME_CHARS = 80


class Text(NamedTuple):
    """The searchable text of an item; its citations begin at the character `cited_from`."""

    item: Item
    text: str
    cited_from: int


class Source(NamedTuple):
    """Sources that an item depends on, one a line; `kind` is `citation` or `link`."""

    item: Item
    item_id: str
    kind: str
    text: str


class Review(NamedTuple):
    """The day from which an active insight is due for review, and the searchable text of the insight."""

    item: Item
    insight_id: str
    day: str
    text: str


class Content(NamedTuple):
    """Everything searchable in an outline."""

    texts: list[Text]
    sources: list[Source]
    reviews: list[Review]


def content_of(outline: Outline) -> Content:
    """Return the searchable content of an outline."""
    sections, insights = _items(outline)
    texts = [_text(sections[s.section_id], _section_prose(s), s.citations) for s in outline.sections]
    reviews = []
    for insight in outline.insights:
        item = insights[insight.insight_id]
        text = _text(item, _values(insight, SEARCHED["insights"]), insight.citations)
        texts.append(text)
        if (day := review_day(insight)) is not None:
            reviews.append(Review(item, insight.insight_id, day.isoformat(), text.text))
    return Content(texts, list(_sources(outline, sections, insights)), reviews)


def _items(outline: Outline) -> tuple[dict[str, Item], dict[str, Item]]:
    """Return the sections and the insights as matches show them, by their whole ids."""
    ids = [*(s.section_id for s in outline.sections), *(i.insight_id for i in outline.insights)]
    short = unique_starts(ids)
    sections = {
        s.section_id: {"section_id": short[s.section_id], "section_title": _name(s.title)}
        for s in outline.sections
    }
    homes: dict[str, Item] = {}
    for section in outline.sections:
        for insight_id in section.insight_ids:
            homes.setdefault(insight_id, sections[section.section_id])
    insights = {}
    for insight in outline.insights:
        item = {"insight_id": short[insight.insight_id]} | homes.get(insight.insight_id, {})
        item["summary"] = _name(insight.summary)
        if insight.status != "active":
            item["status"] = insight.status
        elif review_day(insight) is not None:
            item["review_by"] = insight.metadata["review_by"]
        insights[insight.insight_id] = item
    return sections, insights


def _name(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _NAME_CHARS else flat[: _NAME_CHARS - 1].rstrip() + "…"


def _text(item: Item, prose: list[str], citations: Iterable[Citation]) -> Text:
    words = "\n".join(prose)
    cited = (" ".join(_values(citation, SEARCHED["citations"])) for citation in citations)
    return Text(item, "\n".join([words, *cited]), len(words) + 1)


def _section_prose(section: Section) -> list[str]:
    texts = _values(section, SEARCHED["sections"])
    if section.content_format == "html" and section.content:
        html = _TAG.sub(" ", section.content)
        texts = [html if text is section.content else text for text in texts]
    return texts


def _values(holder: Section | Insight | Citation, fields: Iterable[str]) -> list[str]:
    return [value for field in fields if (value := getattr(holder, field))]


def _sources(outline: Outline, sections: dict[str, Item], insights: dict[str, Item]) -> Iterator[Source]:
    for section in outline.sections:
        links = [link for name in PROSE for link in _links(getattr(section, name))]
        yield from _named(sections[section.section_id], section.section_id, section.citations, links)
    for insight in outline.insights:
        links = _links(insight.summary)
        yield from _named(insights[insight.insight_id], insight.insight_id, insight.citations, links)


def _named(item: Item, item_id: str, citations: Iterable[Citation], links: list[str]) -> Iterator[Source]:
    cited = [value for citation in citations for value in _values(citation, SOURCES)]
    for kind, named in (("citation", cited), ("link", links)):
        if named:
            yield Source(item, item_id, kind, _lines(named))


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
