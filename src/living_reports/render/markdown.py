"""A report as one Markdown page.

Rules:

- The same outline and day always give the same text.
- Prose in Markdown is taken as it is; a code fence that it leaves open is closed, so that it
  swallows nothing. HTML and plain text are shown as code.
- Insights are ranked and citations numbered as `parts` does it; the list of sources is at the end.

    >>> print(markdown(outline, date(2026, 11, 23)))
    # Platform health
    <BLANKLINE>
    *Version 4 · updated 2026-11-20 · active · tags: platform, q4*
    …
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import date

from living_reports.model.report import Citation, Insight, Outline, Section
from living_reports.reading.check import is_stale
from living_reports.render.parts import Citations, labelled_facts, moment, parts

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_TICKS = re.compile(r"`+")

_PLACES = ("url", "path", "endpoint", "execution_id", "query_id", "sql_sha256", "cache_manifest")
"""Where a citation leads, the first that is there."""


def markdown(
    outline: Outline,
    today: date,
    *,
    status: str = "active",
    front_matter: bool = False,
    head_sha256: str = "",
) -> str:
    """The page. `status` limits the insights to those of one status; `all` shows every one.

    With `front_matter` it begins with what identifies it, as YAML; `head` is the sha256 of the
    event that made this version (its line in the report's log), if the caller gives it.
    """
    citations = Citations()
    blocks = [f"# {_one_line(outline.title)}", f"*{_meta(outline)}*"]
    if front_matter:
        blocks.insert(0, _front_matter(outline, head_sha256))
    for part in parts(outline, status):
        blocks += _section(part.section) if part.section else [f"## {part.title}"]
        blocks += _insights(part.insights, today, citations)
    if citations.numbered:
        lines = (f"{number}. {_source(c)}" for number, c in enumerate(citations.numbered, 1))
        blocks += ["## Sources", "\n".join(lines)]
    return "\n\n".join(blocks) + "\n"


def _meta(outline: Outline) -> str:
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
    """The text as YAML in double quotes: JSON's form, and what does not print escaped as well."""
    return "".join(c if c.isprintable() else _escaped(ord(c)) for c in json.dumps(text, ensure_ascii=False))


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


# --- Sections ----------------------------------------------------------------------------


def _section(section: Section) -> Iterator[str]:
    yield f"## {_one_line(section.title)}"
    content = (section.content or "").strip("\n")
    if content.strip():
        if section.content_format == "markdown":
            yield _closed(content)
        else:
            yield _code(content, "html" if section.content_format == "html" else "text")
    if section.notes and section.notes.strip():
        yield "\n".join(f"> {line}".rstrip() for line in section.notes.strip().splitlines())


def _closed(text: str) -> str:
    """The text, with a fence added at its end where it leaves one open."""
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
    """The text as a code block whose fence is longer than any in it."""
    longest = max((len(ticks) for ticks in _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _one_line(text: str) -> str:
    """The text for a heading or a list: on one line, its angle brackets no tags."""
    return " ".join(text.split()).replace("<", "\\<")


# --- Insights ----------------------------------------------------------------------------


def _insights(ranked: Iterable[Insight], today: date, citations: Citations) -> Iterator[str]:
    """The insights as one ranked list, if there are any."""
    lines = [f"{rank}. {_insight(insight, today, citations)}" for rank, insight in enumerate(ranked, 1)]
    if lines:
        yield "\n".join(lines)


def _insight(insight: Insight, today: date, citations: Citations) -> str:
    marks = "".join(f"[{number}]" for number in citations.numbers(insight))
    lines = [line.strip() for line in insight.summary.strip().splitlines()]
    summary = "\n    ".join(line for line in lines if line)
    words = [f"**[{insight.importance}/10]**", summary, marks, *_freshness(insight, today)]
    return " ".join(word for word in words if word)


def _freshness(insight: Insight, today: date) -> Iterator[str]:
    if insight.status != "active":
        yield f"*({insight.status})*"
    for label, value in labelled_facts(insight):
        yield f"*({label} {_moment(value)})*"
    if is_stale(insight, today):
        yield f"**(stale: review was due by {_moment(insight.metadata['review_by'])})**"


def _moment(value: object) -> str:
    return moment(str(value)) or str(value)


def _source(citation: Citation) -> str:
    """A citation in one line: what it is, where it leads, and when it was seen."""
    place = next((value for name in _PLACES if (value := getattr(citation, name))), "")
    seen = citation.accessed_at or citation.observed_at
    kind = f"{citation.source}, {citation.provider}" if citation.provider else citation.source
    facts = [
        citation.title and _one_line(citation.title),
        citation.description and _one_line(citation.description),
        place and _place(place),
        citation.page and f"page {_one_line(citation.page)}",
        seen and f"seen {moment(seen) or seen}",
    ]
    return " — ".join(fact for fact in facts if fact) + f" ({kind})" if any(facts) else f"({kind})"


def _place(place: str) -> str:
    if place.startswith(("http://", "https://")) and not re.search(r"[\s<>]", place):
        return f"<{place}>"
    return _code_span(" ".join(place.split()))


def _code_span(text: str) -> str:
    longest = max((len(ticks) for ticks in _TICKS.findall(text)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"
