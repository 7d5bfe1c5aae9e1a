"""A report as one HTML file that needs nothing else: no script, no font, no request.

Rules:

- The same outline, day, head and images always give the same text.
- What a report says comes in by two doors only: `Prose`, whose last step is the sanitiser, and
  `escape`. An address becomes a link only if it is http or https.
- The insights are ranked and the citations numbered as in Markdown (`parts`). Our own anchors hold
  a dot (`source.3`), which those made from headings never do.
- The style and the frame of the page are data files beside this one; they are part of the program.

    >>> html(outline, today=date(2026, 11, 23), head_sha256="5e3c…")
    '<!doctype html>…'
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import lru_cache
from html import escape
from string import Template

from living_reports.model.report import Citation, Insight, Outline, Section
from living_reports.reading.brief import short_ids
from living_reports.reading.check import is_stale
from living_reports.render.parts import Citations, Part, labelled_facts, moment, parts, ranked
from living_reports.render.prose import ImageReader, Prose

Say = Callable[[str, int, int], None]
"""Told what is being done, how much is done, and of how much."""

KEY_FINDINGS = 5
"""How many insights are named at the front of a report that has more."""

_WEB = re.compile(r"https?://[^\s\x00-\x20]+", re.IGNORECASE)
_LEVELS = ((9, "top"), (7, "high"), (4, "medium"), (0, "low"))
_PLACES = {
    "url": "",
    "path": "",
    "endpoint": "",
    "execution_id": "execution",
    "query_id": "query",
    "sql_sha256": "SQL sha256",
    "cache_manifest": "cache",
    "response_hash": "sha256",
}
"""What a citation can lead to, with the word that explains it."""


def html(
    outline: Outline,
    *,
    today: date,
    head_sha256: str = "",
    images: ImageReader | None = None,
    status: str = "active",
    say: Say | None = None,
) -> str:
    """The page.

    `today` (UTC) decides what is stale. `head_sha256` is that of the event that made
    this version: its line in the report's log.
    `images` gives the bytes of a local image; what it does not give is named by its words.
    `status` limits the insights to those of one status; `all` shows every one.
    `say` is told after each part how far the page is.
    """
    page = _Page(outline, today, Prose(images), parts(outline, status))
    main = "\n".join(page.main(say))
    return Template(_data("page.html")).substitute(
        title=escape(outline.title),
        style=_data("page.css"),
        header=page.header(),
        contents=page.contents(),
        main=main,
        footer=page.footer(head_sha256),
    )


@lru_cache(4)
def _data(name: str) -> str:
    """A data file of this package, which comes with it as its modules do."""
    data = pkgutil.get_data(__name__, name)
    if data is None:
        raise FileNotFoundError(name)
    return data.decode()


class _Page:
    """One page in the making."""

    def __init__(self, outline: Outline, today: date, prose: Prose, found: list[Part]) -> None:
        self.outline = outline
        self.today = today
        self.prose = prose
        self.parts = found
        self.insights = [insight for part in found for insight in part.insights]
        self.anchors = [prose.anchor(part.title) for part in found]
        self.short = short_ids(outline)
        self.citations = Citations()
        self.mentions: dict[int, int] = {}
        self.numbered = not any(part.title[:1].isdecimal() for part in found)

    # Front

    def header(self) -> str:
        facts = [
            f"Version {self.outline.outline_version}",
            f"updated {_moment(self.outline.updated_at)}",
            _counted(len(self.insights), "insight"),
        ]
        if stale := self._stale(self.insights):
            facts.append(f'<span class="stale">{stale} stale</span>')
        if self.outline.status != "active":
            facts.append(f'<span class="status">{self.outline.status}</span>')
        lines = [
            f'<h1 dir="auto">{escape(self.outline.title)}</h1>',
            f'<p class="facts">{_dotted(facts)}</p>',
        ]
        if self.outline.tags:
            tags = "".join(f"<li>{escape(tag)}</li>" for tag in self.outline.tags)
            lines.append(f'<ul class="tags" role="list" aria-label="Tags">{tags}</ul>')
        return "\n".join(["<header>", *lines, "</header>"])

    def contents(self) -> str:
        rows = [
            (part.title, self.anchors[n], self._number(n), part.insights) for n, part in enumerate(self.parts)
        ]
        if any(insight.citations for insight in self.insights):
            rows.append(("Sources", "page.sources", "", []))
        if len(rows) < 2:
            return ""
        lines = (self._contents_row(*row) for row in rows)
        head = '<nav class="contents" aria-labelledby="page.contents">\n<h2 id="page.contents">Contents</h2>'
        return "\n".join([head, '<ol role="list">', *lines, "</ol>", "</nav>"])

    def _contents_row(self, title: str, anchor: str, number: str, insights: list[Insight]) -> str:
        stale = self._stale(insights)
        mark = f' <span class="stale">{stale} stale</span>' if stale else ""
        return f'<li><a href="#{anchor}">{number}<span dir="auto">{escape(title)}</span></a>{mark}</li>'

    def _number(self, position: int) -> str:
        return f'<span class="number">{position + 1}</span> ' if self.numbered else ""

    def _stale(self, insights: Iterable[Insight]) -> int:
        return sum(is_stale(insight, self.today) for insight in insights)

    # Main

    def main(self, say: Say | None) -> Iterator[str]:
        current = [insight for insight in self.insights if insight.status == "active"]
        if len(current) > KEY_FINDINGS:
            yield self._key_findings(ranked(current)[:KEY_FINDINGS])
        for position, part in enumerate(self.parts):
            yield f'<section id="{self.anchors[position]}">'
            yield f'<h2 dir="auto">{self._number(position)}{escape(part.title)}</h2>'
            yield from self._part(part)
            yield "</section>"
            if say is not None:
                say("making the page", position + 1, len(self.parts))
        if self.citations.numbered:
            yield self._sources()

    def _key_findings(self, insights: Iterable[Insight]) -> str:
        lines = ['<section class="key" aria-labelledby="page.key">', '<h2 id="page.key">Key findings</h2>']
        lines.append('<ol class="insights" role="list">')
        for insight in insights:
            more = f'<a class="more" href="#{self._anchor(insight)}" aria-label="Go to this insight">↓</a>'
            words = f'<p dir="auto">{self.prose.line(insight.summary)}&nbsp;{more}</p>'
            lines.append(f"<li>{_badge(insight)}<div>{words}{self._marks(insight)}</div></li>")
        return "\n".join([*lines, "</ol>", "</section>"])

    def _part(self, part: Part) -> Iterator[str]:
        if part.section:
            yield from self._section(part.section)
        if part.insights:
            yield '<ol class="insights" role="list" aria-label="Insights, the most important first">'
            yield from (self._insight(insight) for insight in part.insights)
            yield "</ol>"

    def _section(self, section: Section) -> Iterator[str]:
        if section.content and section.content.strip():
            content = self.prose.block(section.content.strip("\n"), section.content_format, top=3)
            yield f'<div class="prose" dir="auto">\n{content}</div>'
        if section.notes and section.notes.strip():
            notes = self.prose.block(section.notes, "markdown", top=3)
            yield '<div class="notes prose" role="note" aria-label="Notes" dir="auto">'
            yield f'<p class="facts">Notes</p>\n{notes}</div>'

    def _insight(self, insight: Insight) -> str:
        marks = "".join(self._mark(number) for number in self.citations.numbers(insight))
        cited = f'<span class="cites">{marks}</span>' if marks else ""
        words = f'<p dir="auto">{self.prose.line(insight.summary)}{cited}</p>'
        kind = "" if insight.status == "active" else f' class="{insight.status}"'
        body = f"{_badge(insight)}<div>{words}{self._marks(insight)}</div>"
        return f'<li id="{self._anchor(insight)}"{kind}>{body}</li>'

    def _anchor(self, insight: Insight) -> str:
        return f"insight.{self.short[insight.insight_id]}"

    def _mark(self, number: int) -> str:
        """A citation's number beside the insight, to be found again from the sources."""
        self.mentions[number] = mention = self.mentions.get(number, 0) + 1
        return (
            f'<a id="cite.{number}.{mention}" href="#source.{number}" role="doc-noteref" '
            f'aria-label="Source {number}">{number}</a>'
        )

    def _marks(self, insight: Insight) -> str:
        """What a reader should know before relying on an insight."""
        facts = []
        if insight.status != "active":
            facts.append(f'<span class="status">{insight.status}</span>')
        if is_stale(insight, self.today):
            due = _moment(insight.metadata["review_by"])
            facts.append(f'<span class="stale">Stale</span> review was due by {due}')
        facts += [f"{label} {_moment(value)}" for label, value in labelled_facts(insight)]
        return f'<p class="facts">{_dotted(facts)}</p>' if facts else ""

    # Back

    def _sources(self) -> str:
        lines = ['<section class="sources" id="page.sources" role="doc-endnotes">', "<h2>Sources</h2>"]
        lines.append('<ol role="list">')
        for number, citation in enumerate(self.citations.numbered, 1):
            back = "".join(self._way_back(number, mention) for mention in range(1, self.mentions[number] + 1))
            body = f'<span class="number">{number}</span><div>{_source(citation)} {back}</div>'
            lines.append(f'<li id="source.{number}">{body}</li>')
        return "\n".join([*lines, "</ol>", "</section>"])

    def _way_back(self, number: int, mention: int) -> str:
        several = f"<sup>{mention}</sup>" if self.mentions[number] > 1 else ""
        label = f"Back to where source {number} is cited" + (f", {mention}" if several else "")
        return (
            f'<a class="back" href="#cite.{number}.{mention}" role="doc-backlink" '
            f'aria-label="{label}">↩\ufe0e{several}</a>'
        )

    def footer(self, head_sha256: str) -> str:
        rows = [
            ("Report", f"<code>{escape(self.outline.report_id)}</code>"),
            ("Version", str(self.outline.outline_version)),
            ("Updated", _moment(self.outline.updated_at)),
            ("Freshness", f"judged on {self.today.isoformat()}"),
        ]
        if head_sha256:
            rows.insert(2, ("Log head", f"<code>{escape(head_sha256)}</code>"))
        facts = "\n".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
        return f"<footer>\n<dl>\n{facts}\n</dl>\n</footer>"


# --- Pieces ------------------------------------------------------------------------------


def _badge(insight: Insight) -> str:
    level = next(name for least, name in _LEVELS if insight.importance >= least)
    label = f"Importance {insight.importance} of 10"
    named = f'role="img" aria-label="{label}" title="{label}"'
    return f'<span class="badge {level}" {named}>{insight.importance}</span>'


def _source(citation: Citation) -> str:
    """A citation: what it is, where it leads, and how it was found."""
    places = {name: value for name in _PLACES if (value := getattr(citation, name))}
    url = places.get("url", "")
    is_web = bool(_WEB.fullmatch(url))
    title = escape(citation.title or "")
    if title and is_web:
        title = f'<a href="{escape(url)}" rel="noopener noreferrer">{title}</a>'
    lead = [title and f"<cite>{title}</cite>", escape(citation.description or "")]
    if is_web:
        places["url"] = ""
        address = f'<a class="bare" href="{escape(url)}" rel="noopener noreferrer">{escape(url)}</a>'
        lead.append(f'<span class="place">{address}</span>')
    lead += [f'<span class="place">{_place(name, value)}</span>' for name, value in places.items() if value]
    facts = [
        citation.source,
        escape(citation.provider or ""),
        citation.page and f"page {escape(citation.page)}",
    ]
    seen = citation.accessed_at or citation.observed_at
    facts.append(seen and f"seen {_moment(seen)}")
    return f'{_spaced(lead)} <span class="facts">{_dotted(facts)}</span>'


def _place(name: str, value: str) -> str:
    return " ".join(word for word in (_PLACES[name], f"<code>{escape(value)}</code>") if word)


def _moment(value: object) -> str:
    """A day or time in UTC to the minute; what cannot be read as one stays as it is."""
    text = str(value)
    shown = moment(text)
    return f'<time datetime="{escape(text)}">{shown}</time>' if shown else escape(text)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _dotted(facts: Iterable[str | None]) -> str:
    return '<span class="dot"> · </span>'.join(fact for fact in facts if fact)


def _spaced(words: Iterable[str | None]) -> str:
    return " ".join(word for word in words if word)
