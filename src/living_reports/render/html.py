"""The HTML format: one file that needs nothing else, without scripts, fonts or requests.

Rules:

- Content of a report enters the page in two ways only: through `Prose`, whose last step is the sanitiser,
  and through `escape`. An address becomes a link only if it is http or https.
- Anchors of the page itself contain a dot (`source.3`); anchors made from headings never do.
- The style and the frame of the page are data files beside this module.

    >>> render(Page(outline, date(2026, 11, 23), head_sha256="5e3c…"))
    b'<!doctype html>…'
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import escape
from string import Template

from living_reports.model.report import Insight, Section
from living_reports.reading.check import is_stale
from living_reports.reading.compact import short_ids
from living_reports.reading.views import ranked
from living_reports.render.page import Page, Part, Source, shown_time
from living_reports.render.prose import Prose

KEY_FINDINGS = 5
"""The number of insights at the front of a report that has more."""

_LEVELS = ((9, "top"), (7, "high"), (4, "medium"), (0, "low"))


def render(page: Page) -> bytes:
    """Return the page in UTF-8."""
    writer = _Writer(page)
    text = Template(_data("page.html")).substitute(
        title=escape(writer.title),
        style=_data("page.css"),
        header=writer.header(),
        contents=writer.contents(),
        main="\n".join(writer.main()),
        footer=writer.footer(),
    )
    return text.encode()


@lru_cache(4)
def _data(name: str) -> str:
    data = pkgutil.get_data(__name__, name)
    if data is None:
        raise FileNotFoundError(name)
    return data.decode()


class _Writer:
    """The state of writing one page: the headings, the anchors taken, and the marks of each source."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.prose = Prose(page.images, page.left_out, page.outline)
        self.heading, self.title = self.prose.heading(page.outline.title)
        self.headings = [self.prose.heading(part.title) for part in page.parts]
        self.anchors = [self.prose.anchor(plain) for _, plain in self.headings]
        self.short = short_ids(page.outline)
        self.mentions: dict[int, int] = {}
        self.is_numbered = not any(plain[:1].isdecimal() for _, plain in self.headings)

    # Front

    def header(self) -> str:
        outline = self.page.outline
        facts = [
            f"Version {outline.outline_version}",
            f"updated {_time(outline.updated_at)}",
            _counted(len(self.page.insights), "insight"),
        ]
        if stale := self._count_stale(self.page.insights):
            facts.append(f'<span class="stale">{stale} stale</span>')
        if outline.status != "active":
            facts.append(f'<span class="status">{outline.status}</span>')
        lines = [
            f'<h1 dir="auto">{self.heading}</h1>',
            f'<p class="facts">{_dotted(facts)}</p>',
        ]
        if outline.tags:
            tags = "".join(f"<li>{escape(tag)}</li>" for tag in outline.tags)
            lines.append(f'<ul class="tags" role="list" aria-label="Tags">{tags}</ul>')
        return "\n".join(["<header>", *lines, "</header>"])

    def contents(self) -> str:
        """Return the table of contents; empty for fewer than two entries."""
        lines = [
            self._contents_line(self.headings[n][1], self.anchors[n], self._number(n), part.insights)
            for n, part in enumerate(self.page.parts)
        ]
        if self.page.sources:
            lines.append(self._contents_line("Sources", "page.sources", "", []))
        if len(lines) < 2:
            return ""
        head = '<nav class="contents" aria-labelledby="page.contents">\n<h2 id="page.contents">Contents</h2>'
        return "\n".join([head, '<ol role="list">', *lines, "</ol>", "</nav>"])

    def _contents_line(self, title: str, anchor: str, number: str, insights: list[Insight]) -> str:
        stale = self._count_stale(insights)
        mark = f' <span class="stale">{stale} stale</span>' if stale else ""
        return f'<li><a href="#{anchor}">{number}<span dir="auto">{escape(title)}</span></a>{mark}</li>'

    def _number(self, position: int) -> str:
        return f'<span class="number">{position + 1}</span> ' if self.is_numbered else ""

    def _count_stale(self, insights: Iterable[Insight]) -> int:
        return sum(is_stale(insight, self.page.today) for insight in insights)

    # Main

    def main(self) -> Iterator[str]:
        current = [insight for insight in self.page.insights if insight.status == "active"]
        if len(current) > KEY_FINDINGS:
            yield self._key_findings(ranked(current)[:KEY_FINDINGS])
        for position, part in enumerate(self.page.parts):
            yield f'<section id="{self.anchors[position]}">'
            yield f'<h2 dir="auto">{self._number(position)}{self.headings[position][0]}</h2>'
            yield from self._part(part)
            yield "</section>"
            if self.page.progress is not None:
                self.page.progress("rendering the page", position + 1, len(self.page.parts))
        if self.page.sources:
            yield self._sources()

    def _key_findings(self, insights: Iterable[Insight]) -> str:
        lines = ['<section class="key" aria-labelledby="page.key">', '<h2 id="page.key">Key findings</h2>']
        lines.append('<ol class="insights" role="list">')
        for insight in insights:
            more = f'<a class="more" href="#{self._anchor(insight)}" aria-label="Go to this insight">↓</a>'
            summary = f'<p dir="auto">{self.prose.line(insight.summary)}&nbsp;{more}</p>'
            lines.append(f"<li>{_badge(insight)}<div>{summary}{self._freshness(insight)}</div></li>")
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
        if marks := self._marks(section):
            yield f'<p class="facts">Sources {marks}</p>'
        if section.notes and section.notes.strip():
            notes = self.prose.block(section.notes, "markdown", top=3)
            yield '<div class="notes prose" role="note" aria-label="Notes" dir="auto">'
            yield f'<p class="facts">Notes</p>\n{notes}</div>'

    def _insight(self, insight: Insight) -> str:
        summary = f'<p dir="auto">{self.prose.line(insight.summary)}{self._marks(insight)}</p>'
        kind = "" if insight.status == "active" else f' class="{insight.status}"'
        body = f"{_badge(insight)}<div>{summary}{self._freshness(insight)}</div>"
        return f'<li id="{self._anchor(insight)}"{kind}>{body}</li>'

    def _anchor(self, insight: Insight) -> str:
        return f"insight.{self.short[insight.insight_id]}"

    def _marks(self, item: Section | Insight) -> str:
        """Return the numbers of the sources that an item cites; empty if it cites none."""
        marks = "".join(self._mark(number) for number in self.page.source_numbers(item))
        return f'<span class="cites">{marks}</span>' if marks else ""

    def _mark(self, number: int) -> str:
        """Return the number of a source beside what cites it, with an anchor for the link back."""
        self.mentions[number] = mention = self.mentions.get(number, 0) + 1
        return (
            f'<a id="cite.{number}.{mention}" href="#source.{number}" role="doc-noteref" '
            f'aria-label="Source {number}">{number}</a>'
        )

    def _freshness(self, insight: Insight) -> str:
        status, overdue, labelled = self.page.freshness(insight)
        facts = [
            status and f'<span class="status">{status}</span>',
            overdue and f'<span class="stale">Stale</span> due for review since {_time(overdue)}',
            *(f"{label} {_time(value)}" for label, value in labelled),
        ]
        return f'<p class="facts">{_dotted(facts)}</p>' if any(facts) else ""

    # Back

    def _sources(self) -> str:
        lines = ['<section class="sources" id="page.sources" role="doc-endnotes">', "<h2>Sources</h2>"]
        lines.append('<ol role="list">')
        for number, source in enumerate(self.page.sources, 1):
            count = self.mentions[number]
            back = "".join(_link_back(number, mention, count) for mention in range(1, count + 1))
            body = f'<span class="number">{number}</span><div>{_source(source)} {back}</div>'
            lines.append(f'<li id="source.{number}">{body}</li>')
        return "\n".join([*lines, "</ol>", "</section>"])

    def footer(self) -> str:
        outline, head_sha256 = self.page.outline, self.page.head_sha256
        entries = {
            "Report": f"<code>{escape(outline.report_id)}</code>",
            "Version": str(outline.outline_version),
            "Log head": f"<code>{escape(head_sha256)}</code>" if head_sha256 else "",
            "Updated": _time(outline.updated_at),
            "Freshness": f"judged on {self.page.today.isoformat()}",
        }
        facts = "\n".join(
            f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in entries.items() if value
        )
        return f"<footer>\n<dl>\n{facts}\n</dl>\n</footer>"


# --- Pieces ------------------------------------------------------------------------------


def _badge(insight: Insight) -> str:
    level = next(name for least, name in _LEVELS if insight.importance >= least)
    label = f"Importance {insight.importance} of 10"
    named = f'role="img" aria-label="{label}" title="{label}"'
    return f'<span class="badge {level}" {named}>{insight.importance}</span>'


def _link_back(number: int, mention: int, count: int) -> str:
    """Return the link from a source to one of the marks that cite it."""
    several = f"<sup>{mention}</sup>" if count > 1 else ""
    label = f"Back to where source {number} is cited" + (f", {mention}" if several else "")
    return (
        f'<a class="back" href="#cite.{number}.{mention}" role="doc-backlink" '
        f'aria-label="{label}">↩\ufe0e{several}</a>'
    )


def _source(source: Source) -> str:
    title, link = escape(source.title), escape(source.link)
    if title and link:
        title = f'<a href="{link}" rel="noopener noreferrer">{title}</a>'
    lead = [title and f"<cite>{title}</cite>", escape(source.description)]
    if link:
        address = f'<a class="bare" href="{link}" rel="noopener noreferrer">{link}</a>'
        lead.append(f'<span class="place">{address}</span>')
    lead += [_place(label, value) for label, value in source.places]
    if source.sha256:
        lead.append(_place("sha256", source.sha256))
    facts = [
        source.kind,
        escape(source.provider),
        source.page and f"page {escape(source.page)}",
        *(f"{label} {_time(text)}" for label, text in source.times),
    ]
    return f'{_spaced(lead)} <span class="facts">{_dotted(facts)}</span>'


def _place(label: str, value: str) -> str:
    return f'<span class="place">{_spaced((label, f"<code>{escape(value)}</code>"))}</span>'


def _time(text: str) -> str:
    """Return a day or a time as an element; a text that is neither stays as it is."""
    shown = shown_time(text)
    return f'<time datetime="{escape(text)}">{shown}</time>' if shown else escape(text)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _dotted(facts: Iterable[str]) -> str:
    return '<span class="dot"> · </span>'.join(fact for fact in facts if fact)


def _spaced(texts: Iterable[str]) -> str:
    return " ".join(text for text in texts if text)
