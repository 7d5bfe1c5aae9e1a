"""The Markdown format: one complete page, and the rules for any content."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from markdown_it import MarkdownIt

from living_reports.model.report import Outline
from support.pages import markdown
from support.small_outline import uid

TODAY = date(2026, 11, 23)
PAGE = {
    "source": "url",
    "url": "https://example.org/ci",
    "title": "CI dashboard",
    "accessed_at": "2026-11-20",
}
QUERY = {"source": "query", "provider": "snowflake", "execution_id": "01b2"}


def insight(number: int, importance: int, **fields: Any) -> dict[str, Any]:
    return {"insight_id": uid(number), "importance": importance, "summary": f"Finding {number}."} | fields


def outline(sections: list[dict[str, Any]], insights: list[dict[str, Any]] | None = None) -> Outline:
    head = {"report_id": uid(0xFFFF), "title": "Platform <health>", "outline_version": 4}
    times = {"created_at": "2026-01-01T00:00:00+00:00", "updated_at": "2026-11-20T08:00:00+00:00"}
    sections = [{"section_id": uid(0x100 + n), "title": "Part"} | s for n, s in enumerate(sections)]
    data = head | times | {"metadata": {"tags": ["a", "b"]}, "sections": sections, "insights": insights or []}
    return Outline.model_validate(data)


EXPECTED = """\
# Platform \\<health>

*Version 4 · updated 2026-11-20 · active · tags: a, b*

## Builds

Builds are *slow*.

> Ask Ada.
>
> Soon.

1. **[9/10]** Finding 2. [1][2] **(stale: due for review since 2026-11-01)**
2. **[5/10]** Finding 1. [2] *(as of 2026-10-01)*

## Other insights

1. **[7/10]** First line
    second line [1]

## Sources

1. CI dashboard — <https://example.org/ci> — accessed 2026-11-20 (url)
2. `01b2` (query, snowflake)
"""


def test_the_whole_page() -> None:
    section = {"title": "Builds", "content": "Builds are *slow*.\n", "notes": "Ask Ada.\n\nSoon."}
    insights = [
        insight(1, 5, citations=[QUERY], metadata={"as_of": "2026-10-01"}),
        insight(2, 9, citations=[PAGE, QUERY], metadata={"review_by": "2026-11-01"}),
        insight(3, 10, status="killed", citations=[{"source": "document", "path": "gone.pdf"}]),
        insight(4, 7, summary="First line\n\n  second line", citations=[PAGE]),
    ]
    report = outline([section | {"insight_ids": [uid(1), uid(2), uid(3), uid(99)]}], insights)
    assert markdown(report, TODAY) == EXPECTED
    assert markdown(report, TODAY) == markdown(report, TODAY)


def test_sources_of_a_section_stand_below_its_content_and_are_numbered_first() -> None:
    cited = {"citations": [QUERY, PAGE, QUERY]}
    section = {"title": "Builds", "content": "| a |\n| --- |", "notes": "Soon.", "metadata": cited}
    report = outline([section | {"insight_ids": [uid(1)]}], [insight(1, 5, citations=[PAGE])])
    page = markdown(report, TODAY)
    assert "| --- |\n\nSources: [1][2]\n\n> Soon.\n\n1. **[5/10]** Finding 1. [2]" in page
    assert "\n1. `01b2` (query, snowflake)\n2. CI dashboard" in page


def test_other_insights_are_shown_on_request_with_their_status() -> None:
    report = outline([{"insight_ids": [uid(1), uid(2)]}], [insight(1, 5), insight(2, 9, status="killed")])
    assert "1. **[9/10]** Finding 2. *(killed)*\n2. **[5/10]** Finding 1." in markdown(
        report, TODAY, status="all"
    )
    assert "1. **[9/10]** Finding 2. *(killed)*" in markdown(report, TODAY, status="killed")
    assert "Finding 1" not in markdown(report, TODAY, status="killed")


@pytest.mark.parametrize(
    ("content", "closing"),
    [
        ("```\ncode", "```"),
        ("~~~~ text\n~~~\n```", "~~~~"),
        ("```\ncode\n```", ""),
        ("```python\na\n```` \nfine", ""),
        ("``` not `a` fence", ""),
        ("    ```\nindented", ""),
    ],
)
def test_an_open_fence_is_closed_before_the_next_heading(content: str, closing: str) -> None:
    text = markdown(outline([{"content": content}, {"title": "Next"}]), TODAY)
    assert f"\n{content}\n{closing}\n\n## Next".replace("\n\n\n", "\n\n") in text


@pytest.mark.parametrize(("content_format", "language"), [("html", "html"), ("plain", "text")])
def test_other_content_is_shown_as_code(content_format: str, language: str) -> None:
    content = "<b>bold</b>\n```\n# no heading"
    text = markdown(outline([{"content": content, "content_format": content_format}]), TODAY)
    assert f"````{language}\n{content}\n````" in text


def test_a_title_stays_a_heading_of_one_line() -> None:
    text = markdown(outline([{"title": "One\n# two <script>"}]), TODAY)
    assert "\n## One # two \\<script>\n" in text


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ("`Vec<T>` or <T>", "`Vec<T>` or \\<T>"),
        ("a ``x ` <b>`` <c> `d", "a ``x ` <b>`` \\<c> `d"),
        ("`` <a> ` <b>", "`` \\<a> ` \\<b>"),
        ("\\`<script>`", "\\`\\<script>`"),
    ],
)
def test_code_in_a_title_stays_as_it_is(title: str, line: str) -> None:
    assert f"\n## {line}\n" in markdown(outline([{"title": title}]), TODAY)


def test_links_are_resolved_over_the_whole_page() -> None:
    insights = [insight(1, 5, summary="As [docs] say.")]
    sections: list[dict[str, Any]] = [
        {"content": "Read [docs].", "notes": "And [docs].", "insight_ids": [uid(1)]},
        {"content": "[docs]: https://example.org/docs"},
    ]
    html = MarkdownIt().render(markdown(outline(sections, insights), TODAY))
    assert html.count('<a href="https://example.org/docs">docs</a>') == 3


@pytest.mark.parametrize(
    ("citation", "line"),
    [
        ({"source": "url", "url": "javascript:alert(1)"}, "1. `javascript:alert(1)` (url)"),
        ({"source": "url", "url": "https://a.b/<c"}, "1. `https://a.b/<c` (url)"),
        ({"source": "document", "path": "a `b`.pdf", "page": "3"}, "1. ``a `b`.pdf`` — page 3 (document)"),
        ({"source": "observation"}, "1. (observation)"),
        (
            {"source": "url", "url": "https://a.b", "accessed_at": "2026-11-23T10:00:59.123456+01:00"},
            "1. <https://a.b> — accessed 2026-11-23 09:00 UTC (url)",
        ),
        ({"source": "observation", "observed_at": "at noon"}, "1. observed at noon (observation)"),
        (
            {"source": "api", "endpoint": "e", "accessed_at": "2026-11-20", "observed_at": "2026-11-19"},
            "1. `e` — accessed 2026-11-20 — observed 2026-11-19 (api)",
        ),
        ({"source": "api", "provider": "x", "endpoint": "/v1", "description": "d"}, "1. d — `/v1` (api, x)"),
    ],
)
def test_a_source_in_one_line(citation: dict[str, str], line: str) -> None:
    text = markdown(outline([{"insight_ids": [uid(1)]}], [insight(1, 5, citations=[citation])]), TODAY)
    assert text.endswith(f"## Sources\n\n{line}\n")


def test_an_empty_report_has_only_a_title() -> None:
    assert markdown(outline([]), TODAY).count("\n") == 3


def test_front_matter_identifies_the_report() -> None:
    report = outline([]).model_copy(update={"title": 'A: "b" # \u2028\x7f 日本 🙂'})
    head, page = markdown(report, TODAY, as_file=True, head_sha256="ab" * 32).split("\n---\n\n")
    assert head.splitlines() == [
        "---",
        'title: "A: \\"b\\" # \\u2028\\u007f 日本 🙂"',
        f'report_id: "{uid(0xFFFF)}"',
        "version: 4",
        "status: active",
        'tags: ["a", "b"]',
        'updated_at: "2026-11-20T08:00:00+00:00"',
        f'head: "{"ab" * 32}"',
    ]
    assert page == markdown(report, TODAY)
    assert "head:" not in markdown(report, TODAY, as_file=True)
