"""The Markdown format.

Rules:

- Content in Markdown is kept as it is, but an open code fence is closed at its end, so that the rest of the
  page stays outside. HTML and plain text become code blocks.
- The list of sources is at the end.
- A page that is a file begins with front matter in YAML. `head` in it is the sha256 of the event that made
  the version, as its line in the report's log has it.

    >>> print(render(Page(outline, date(2026, 11, 23))).decode())
    # Platform health
    <BLANKLINE>
    *Version 4 · updated 2026-11-20 · active · tags: platform, q4*
    …
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from living_reports.model.report import Insight, Outline, Section
from living_reports.render.page import Page, Source, is_web_address, shown_time

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_TICKS = re.compile(r"`+")
_RUNS_OF_TICKS = re.compile(r"(`+)")


def render(page: Page) -> bytes:
    """Return the page in UTF-8."""
    outline = page.outline
    blocks = [f"# {_one_line(outline.title)}", f"*{_facts(outline)}*"]
    if page.note:
        blocks.append(f"> {_one_line(page.note)}")
    if page.as_file:
        blocks.insert(0, _front_matter(outline, page.head_sha256))
    for part in page.parts:
        blocks += _section(page, part.section) if part.section else [f"## {part.title}"]
        if part.insights:
            blocks.append("\n".join(f"{n}. {_insight(page, i)}" for n, i in enumerate(part.insights, 1)))
    if page.sources:
        blocks += ["## Sources", "\n".join(f"{n}. {_source(s)}" for n, s in enumerate(page.sources, 1))]
    return ("\n\n".join(blocks) + "\n").encode()


def _facts(outline: Outline) -> str:
    facts = [f"Version {outline.outline_version}", f"updated {outline.updated_at[:10]}", outline.status]
    if outline.tags:
        facts.append("tags: " + ", ".join(_one_line(tag) for tag in outline.tags))
    return " · ".join(facts)


def _front_matter(outline: Outline, head_sha256: str) -> str:
    tags = ", ".join(_quoted(tag) for tag in outline.tags)
    lines = [
        f"title: {_quoted(outline.title)}",
        f"report_id: {_quoted(outline.report_id)}",
        f"version: {outline.outline_version}",
        f"status: {outline.status}",
        f"tags: [{tags}]",
        f"updated_at: {_quoted(outline.updated_at)}",
    ]
    if head_sha256:
        lines.append(f"head: {_quoted(head_sha256)}")
    return "\n".join(["---", *lines, "---"])


def _quoted(text: str) -> str:
    """Return the text as a YAML string: quoted as JSON, and with every unprintable character escaped."""
    return "".join(c if c.isprintable() else _escaped(ord(c)) for c in json.dumps(text, ensure_ascii=False))


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


# --- Sections ----------------------------------------------------------------------------


def _section(page: Page, section: Section) -> Iterator[str]:
    yield f"## {_one_line(section.title)}"
    content = (section.content or "").strip("\n")
    if content.strip():
        if section.content_format == "markdown":
            yield _closed(content)
        else:
            yield _code(content, "html" if section.content_format == "html" else "text")
    if marks := _marks(page, section):
        yield f"Sources: {marks}"
    if section.notes and section.notes.strip():
        yield "\n".join(f"> {line}".rstrip() for line in section.notes.strip().splitlines())


def _closed(text: str) -> str:
    """Return the text with its last code fence closed."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if not found:
            continue
        marks, info = found.groups()
        if not fence:
            fence = "" if marks[0] == "`" and "`" in info else marks
        elif marks.startswith(fence) and not info.strip():
            fence = ""
    return f"{text}\n{fence}" if fence else text


def _code(text: str, language: str) -> str:
    """Return the text as a code block whose fence is longer than any in the text."""
    longest = max((len(ticks) for ticks in _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _one_line(text: str) -> str:
    """Return the text on one line, for a heading or a list, without HTML tags.

    In code, `<` needs no escape and would show it. A text with a backslash may escape its backticks.
    """
    line = " ".join(text.split())
    pieces = [line] if "\\" in line else _RUNS_OF_TICKS.split(line)
    last = {ticks: n for n, ticks in enumerate(pieces) if n % 2}
    shown, end = [], 0
    for n, piece in enumerate(pieces):
        if n >= end and last.get(piece, 0) > n:
            end = pieces.index(piece, n + 1) + 1
        shown.append(piece if n < end else piece.replace("<", "\\<"))
    return "".join(shown)


# --- Insights and sources ----------------------------------------------------------------


def _marks(page: Page, item: Section | Insight) -> str:
    """Return the numbers of the sources that an item cites, as they stand beside it."""
    return "".join(f"[{number}]" for number in page.source_numbers(item))


def _insight(page: Page, insight: Insight) -> str:
    lines = [line.strip() for line in insight.summary.strip().splitlines()]
    summary = "\n    ".join(line for line in lines if line)
    status, overdue, labelled = page.freshness(insight)
    facts = [
        status and f"*({status})*",
        *(f"*({label} {_time(value)})*" for label, value in labelled),
        overdue and f"**(stale: due for review since {_time(overdue)})**",
    ]
    rank = f"**[{insight.importance}/10]**"
    return " ".join(text for text in (rank, summary, _marks(page, insight), *facts) if text)


def _time(text: str) -> str:
    return shown_time(text) or text


def _source(source: Source) -> str:
    """Return a source on one line, with the first of the places that it leads to."""
    place = source.link or next((value for _, value in source.places), "")
    kind = f"{source.kind}, {source.provider}" if source.provider else source.kind
    facts = [
        _one_line(source.title),
        _one_line(source.description),
        place and _place(place),
        source.page and f"page {_one_line(source.page)}",
        *(f"{label} {_time(text)}" for label, text in source.times),
    ]
    return " — ".join(fact for fact in facts if fact) + f" ({kind})" if any(facts) else f"({kind})"


def _place(place: str) -> str:
    if is_web_address(place) and not set("<>") & set(place):
        return f"<{place}>"
    return _code_span(" ".join(place.split()))


def _code_span(text: str) -> str:
    longest = max((len(ticks) for ticks in _TICKS.findall(text)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"
