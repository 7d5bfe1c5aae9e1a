"""Search: matches, their order, and pages."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from living_reports.errors import InvalidInputError
from living_reports.library import Library
from living_reports.library.requests import GetReport
from living_reports.model.report import Insight, review_day
from living_reports.reading.check import is_stale
from living_reports.store.files.search.content import compared
from living_reports.store.files.search.words import (
    MAX_WORDS,
    TOKENIZER,
    Words,
    best_matches,
    folded,
    parse_query,
    searchable,
)
from support.library_reports import append_text, create_report, set_title, update_report
from support.search import TODAY, Finder, create_with_text, sections_with_text

# --- Words --------------------------------------------------------------------------------

TEXTS = {
    "German": "Die Straße nach Köln, naïve Café",
    "Russian": "Зелёная ёлка и йод",
    "Greek": "Η Ελλάδα και ο κόσμος",
    "Japanese": "日本語の全文検索は難しい。東京都",
    "Chinese": "我们在北京大学学习",
    "Korean": "한국어 검색에서 찾기",
    "Thai": "การค้นหาภาษาไทย",
    "Hindi": "हिन्दी में खोज",
    "Arabic": "قَالَ مُحَمَّدٌ: أَهْلاً بِكُم إِلَى الـمـكـتـبة، وَٱلْقُرْآنُ شُؤُون",
    "Persian": "گزارش یک سالهٔ کتابخانه",
    "Hebrew": "שָׁלוֹם עֲלֵיכֶם וּבְרָכָה",
    "Soft": "Donau\u00addampf\u00adschiff",
    "Emoji": "launched🚀🔥 and shipped ❤️",
    "Wide": "ＦＵＬＬ width ﬁle",
    "Code": "log4j-core 2.17.1, C++ and CVE-2021-44228 (jndiLookup)",
}

FOUND = [
    ("strasse", "German"),
    ("KÖLN cafe", "German"),
    ("naive", "German"),
    ("ЁЛКА", "Russian"),
    ("елка", "Russian"),
    ("зелен*", "Russian"),
    ("ΕΛΛΑΔΑ", "Greek"),
    ("κοσμοσ", "Greek"),
    ("検索", "Japanese"),
    ("難", "Japanese"),
    ("東京", "Japanese"),
    ("北京", "Chinese"),
    ("大学 北京", "Chinese"),
    ("검색", "Korean"),
    ("ภาษา", "Thai"),
    ("हिन्दी", "Hindi"),
    ("محمد", "Arabic"),
    ("قال", "Arabic"),
    ("اهلا بكم", "Arabic"),
    ("الى المكتبه", "Arabic"),
    ("والقران", "Arabic"),
    ("شوون", "Arabic"),
    ("مُحَمَّد", "Arabic"),
    ("يك ساله", "Persian"),
    ("كتاب*", "Persian"),
    ("שלום", "Hebrew"),
    ("וברכה עליכם", "Hebrew"),
    ("עֲלֵיכֶם", "Hebrew"),
    ("donaudampfschiff", "Soft"),
    ("🚀", "Emoji"),
    ("🔥 shipped", "Emoji"),
    ("❤", "Emoji"),
    ("full file", "Wide"),
    ("c++", "Code"),
    ("CVE-2021-44228", "Code"),
    ("jndi*", "Code"),
    ('"and cve 2021"', "Code"),
    ("core OR køln", "Code"),
    ("2.17.1", "Code"),
]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Finder:
    root = tmp_path_factory.mktemp("scripts")
    for title, text in TEXTS.items():
        create_with_text(Library(root), title, text)
    return Finder(root)


@pytest.mark.parametrize(("query", "title"), FOUND)
def test_words_in_any_script_are_found_and_shown(scripts: Finder, query: str, title: str) -> None:
    assert scripts.titles(query) == [title]
    [match] = scripts.matches(query)
    assert match["snippet"] in f"Findings {TEXTS[title]}"


@pytest.mark.parametrize("query", ["нет", "京北", "jndi", '"cve and"', "launch", "!!!", '""', "***", " — "])
def test_what_is_not_there_is_not_found(scripts: Finder, query: str) -> None:
    assert scripts.answer(query) == {"reports": [], "total": 0}


UNPARSABLE = [
    '"and',
    "and AND (",
    "OR and",
    "NOT",
    "and NOT",
    "NEAR(and",
    "a:b:and",
    "and) OR (",
    "-and",
    "^and*",
]


@pytest.mark.parametrize(
    "query", [*UNPARSABLE, "and " * 1000, "and OR " * 100, "\x00and", "'; DROP TABLE texts"]
)
def test_a_query_that_makes_no_sense_is_searched_as_plain_words(scripts: Finder, query: str) -> None:
    assert set(scripts.titles(query)) <= {"Emoji", "Code"}
    assert scripts.titles("and NOT cve") == ["Emoji"]


BROKEN = [
    '"jndiLookup',
    "C++ (jndiLookup",
    '"jndiLookup core',
    "core:jndiLookup",
    "NEAR(jndiLookup core)",
    "NEAR(jndiLookup core, 5)",
    "NEAR (jndiLookup core",
    "jndiLookup AND (",
    "jndiLookup AND OR core",
    "NOT jndiLookup",
    "jndiLookup AND, core",
    "jndiLookup OR NOT core",
    "((jndiLookup) core",
    "jndiLookup()",
    "core{jndiLookup}",
    "jndiLookup^core^2",
    '"jndiLookup" "core',
    'jndiLookup" 17 "core',
    "jndiLookup-core*",
    "(" * 500 + "jndiLookup" + ")" * 500,
    "jndiLookup AND OR " * 200,
]


@pytest.mark.parametrize("query", BROKEN)
def test_a_broken_query_still_finds_its_words_and_shows_them(scripts: Finder, query: str) -> None:
    assert scripts.titles(query) == ["Code"]
    [match] = scripts.matches(query)
    assert match["snippet"] in f"Findings {TEXTS['Code']}"


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("(naive OR jndiLookup) AND core", ["Code"]),
        ("and NOT (launched OR shipped)", ["Code"]),
        ("and AND NOT launched", ["Code"]),
        ("and NOT launched OR naive", ["Code", "German"]),
        ('("core 2" OR zebra) version', []),
        ('("core 2" OR zebra) cve', ["Code"]),
        ("core-and NOT shipped", ["Code"]),
        ("core-and NOT cve", []),
        ('"core and" jndiLookup', []),
    ],
)
def test_operators_brackets_and_quotes_are_understood(scripts: Finder, query: str, titles: list[str]) -> None:
    assert sorted(scripts.titles(query)) == titles


def test_words_joined_by_punctuation_are_a_phrase_if_a_report_has_it(
    library: Library, finder: Finder
) -> None:
    create_with_text(library, "Joined", "a log4j-core release")
    create_with_text(library, "Apart", "the core of log4j")
    assert finder.titles("log4j-core") == ["Joined"]
    assert sorted(finder.titles("core/log4j")) == ["Apart", "Joined"]
    pages = [finder.answer("core/log4j", limit=1)]
    pages.append(finder.answer("core/log4j", limit=1, cursor=pages[0]["next_cursor"]))
    assert sorted(page["reports"][0]["title"] for page in pages) == ["Apart", "Joined"]


LETTERS = st.characters(categories=["L", "N"]) | st.sampled_from("aéßёΆأةىשָ漢字ไทย🔥")
WORD = st.text(LETTERS, min_size=1, max_size=6).filter(
    lambda word: folded(word).strip() and word not in ("AND", "OR", "NOT", "NEAR")
)
STRAY = st.text("()[]{}:;,.!?*^-+/|&'~@#$%=<>\\ ", max_size=3)
BETWEEN = st.sampled_from(
    [" ", "  ", ":", "-", " AND ", " OR ", " (", ") ", " AND (", " NEAR(", " OR OR ", "\n"]
)


@st.composite
def texts_and_queries(draw: st.DrawFn) -> tuple[str, str]:
    """A text of words, and a query of some of them with anything between."""
    words = draw(st.lists(WORD, min_size=1, max_size=8))
    text = "".join(word + draw(st.sampled_from([" ", ", ", "\n", "; "])) for word in words)
    wanted = draw(st.lists(st.sampled_from(words), min_size=1, max_size=5))
    query = draw(st.sampled_from(["", "NOT ", '"', "NEAR("]))
    for word in wanted:
        query += draw(STRAY) + word + draw(STRAY) + draw(BETWEEN)
    quote = "" if '"' in query else ' "'
    return text, query + draw(st.sampled_from(["", " NOT", " AND", ")", "]", quote]))


@given(texts_and_queries())
@settings(max_examples=300)
@example(("צה״ל של מח״ט", 'מח"ט צה"ל'))
def test_any_query_made_of_the_words_of_a_text_finds_it(pair: tuple[str, str]) -> None:
    text, query = pair
    words = parse_query(query)
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(f'CREATE VIRTUAL TABLE texts USING fts5 (text, tokenize = "{TOKENIZER}")')
        connection.execute("INSERT INTO texts VALUES (?)", (searchable(text),))
        found = matching(connection, words)
    finally:
        connection.close()
    assert found is not None
    assert best_matches([text], found.wanted, 1)


@pytest.mark.parametrize(
    "query",
    [
        "a " + "*a" * 2_000,
        "-".join(map(str, range(800))),
        "( " + "-".join(map(str, range(800))),
        "a-a OR " * 99 + "b",
    ],
    ids=["joined", "different", "no query", "repeated"],
)
def test_a_search_has_a_limited_number_of_terms(query: str) -> None:
    """FTS5 takes the product of the number of terms and that of their occurrences."""
    words: Words | None = parse_query(query)
    while words is not None:
        assert 0 < words.expression.count('"') <= 2 * (MAX_WORDS + 20)
        words = words.otherwise


def matching(connection: sqlite3.Connection, words: Words | None) -> Words | None:
    """The query, or what it falls back to, that finds something."""
    while words is not None and words.expression:
        query = "SELECT count(*) FROM texts WHERE texts MATCH ?"
        if connection.execute(query, (words.expression,)).fetchone()[0]:
            return words
        words = words.otherwise
    return None


PARTS = [*'()" :^\0-', "AND", "OR", "NOT", " NOT ", " OR ", " (", ") ", "NEAR(", "a", "b*"]


@given(st.text(max_size=40) | st.lists(st.sampled_from(PARTS), max_size=300).map("".join))
def test_any_text_is_a_query(text: str) -> None:
    words = parse_query(text)
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE texts USING fts5 (text)")
        assert matching(connection, words) is None
    finally:
        connection.close()
    assert bool(words.expression) >= bool(words.wanted)


@pytest.mark.parametrize(
    "query",
    [
        "(" * 1900 + "zz" + ")" * 1900,
        "zz (b " * 60 + ")" * 60,
        "zz (b " * 40 + ")" * 40,
        "zz NOT " * 500 + "zz",
        "zz OR (and AND " * 48 + "zz" + ")" * 48,
        "zz OR " * 600 + "zx",
        "zz (b) " * 40,
        "(zz OR zx) " * 45 + "NOT and",
        "a" * 4000,
        "zz:" * 1300,
    ],
)
def test_queries_of_any_depth_are_answered(scripts: Finder, query: str) -> None:
    assert scripts.answer(query)["total"] == 0


@given(st.text(max_size=300), st.text(min_size=1, max_size=5))
def test_a_snippet_comes_from_the_text(text: str, query: str) -> None:
    for position, begin, snippet in best_matches([text], parse_query(query).wanted, 3):
        assert position == 0
        assert 0 <= begin <= len(text)
        assert " ".join(snippet.strip("…").split()) in " ".join(text.split())


def test_folding_twice_is_folding_once() -> None:
    for text in TEXTS.values():
        assert folded(folded(text)) == folded(text)


NEWER_POINTS = "\u0897\u0898\u0899\U00010efc\U00010efd\U00010efe\U00010eff"
"""Points without ARABIC in front of their name, or that the oldest supported interpreter does not know."""


def defined(text: str) -> str:
    """Return the folded form by its definition."""
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    plain = "".join(char for char in plain if not is_unwritten(char))
    plain = plain.translate(str.maketrans("ٱىیةک", "اييهك"))
    plain = re.sub("([a-z\u0370-\u03ff])[\u0300-\u036f]+", r"\1", plain)
    return unicodedata.normalize("NFC", plain).replace("ё", "е")


def is_unwritten(char: str) -> bool:
    """Whether the sign is usually left out in typing: points, tatweel, soft hyphens, marks of direction."""
    script = unicodedata.name(char, "").split()[0:1]
    is_point = unicodedata.category(char) == "Mn" and script in (["ARABIC"], ["HEBREW"])
    return (
        is_point
        or char in NEWER_POINTS
        or char in "\u00ad\u0640"
        or unicodedata.bidirectional(char) in DIRECTIONS
        or char in "\u061c\u200e\u200f"
    )


DIRECTIONS = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")


def test_every_character_is_folded_by_the_rule() -> None:
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    assert [char for char in every if folded(char) != defined(char)] == []


FOLDED_LETTERS = "aeéÉñßёйЁΆΐά\u0301\u0308\u0327\u0345語각ㅎ\u1112\u1161ﬁİ .أةىיְּשׁ\u0654ـ\u00ad"


@given(st.text(st.sampled_from(FOLDED_LETTERS) | st.characters()))
def test_every_text_is_folded_by_the_rule(text: str) -> None:
    assert folded(text) == defined(text)


BEFORE = ("Straße ", "ﬁne ", "İ ", "ё ", "e\u0308 ", "ＡＢＣ ", "日本語 ", "plain ")


@given(st.lists(st.sampled_from(BEFORE), max_size=60), st.sampled_from(["needle", "ёлка", "検索", "Größe"]))
def test_the_word_is_in_its_snippet_however_long_the_folded_text_is(before: list[str], word: str) -> None:
    text = "".join(before) + word + " after" * 40
    [(_, begin, snippet)] = best_matches([text], parse_query(word).wanted, 1)
    assert 0 <= begin < len(text)
    assert word in snippet


@pytest.mark.parametrize(
    ("query", "text", "is_there"),
    [
        ("log", "log4j and logs", False),
        ("log", "dialog", False),
        ("log", "dialog log", True),
        ("log", "log", True),
        ("log*", "a logger", True),
        ("log*", "dialogue", False),
        ('"a b"', "aa b a  b", True),
        ('"a b"', "aa b", False),
    ],
)
def test_a_snippet_shows_whole_words(query: str, text: str, is_there: bool) -> None:
    assert bool(best_matches([text], parse_query(query).wanted, 1)) == is_there


# --- Matches ------------------------------------------------------------------------------


def test_titles_prose_notes_insights_and_citations_are_searched(library: Library, finder: Finder) -> None:
    citation = {"url": "https://vendor.example/advisory", "description": "thirdword", "path": ""}
    insight = {"summary": "fifthword doubled", "importance": 5, "citations": [citation]}
    sections = sections_with_text("firstword here", notes="secondword there", insights=[insight])
    create_report(library, "Fourthword", sections=sections)
    for word in ("firstword", "secondword", "thirdword", "fourthword", "fifthword", "findings"):
        assert finder.titles(word) == ["Fourthword"]
    assert finder.matches("fourthword") == []


def test_a_match_names_the_item_and_says_what_fits(library: Library, finder: Finder) -> None:
    found = {
        "summary": "pear " * 30,
        "importance": 5,
        "review_by": "2027-01-01",
        "citations": [{"url": "https://a.b/plum"}],
    }
    killed = {"summary": "quince and [more](https://c.d)", "importance": 1, "status": "killed"}
    content = "apple, see [this](https://e.f/x)"
    report = create_report(library, "Fruit", sections=sections_with_text(content, insights=[found, killed]))
    shown = library.get_report(GetReport(report, view="insights", status="all"))["insights"]
    first, second = (row["insight_id"] for row in shown)
    home = {"section_id": shown[0]["section_id"], "section_title": "Findings"}
    pear = {"insight_id": first, **home, "summary": ("pear " * 16)[:79] + "…", "review_by": "2027-01-01"}
    quince = {
        "insight_id": second,
        **home,
        "summary": "quince and [more](https://c.d)",
        "status": "killed",
    }
    assert [len(each) for each in (first, second, home["section_id"])] == [8, 8, 8]
    for asked, item, kind in (
        ({"query": "apple"}, home, "prose"),
        ({"query": "findings"}, home, "prose"),
        ({"query": "pear"}, pear, "insight"),
        ({"query": "plum"}, pear, "citation"),
        ({"query": "quince"}, quince, "insight"),
        ({"cites": "a.b/plum"}, pear, "citation"),
        ({"cites": "c.d"}, quince, "link"),
        ({"cites": "e.f"}, home, "link"),
    ):
        [match] = finder.matches(**asked)
        assert match.pop("snippet")
        assert match == item | {"kind": kind}, asked
    [match] = Finder(finder.storage.reports_root).matches("pear", cites="a.b")
    assert match["kind"] == "insight"


def test_the_words_may_stand_in_different_items(library: Library, finder: Finder) -> None:
    insight = {"summary": "banana", "importance": 5}
    create_report(library, "Cherry", sections=sections_with_text("apple", insights=[insight]))
    assert finder.titles("apple banana cherry") == ["Cherry"]
    assert finder.titles('"apple banana"') == []


def test_a_word_in_the_title_weighs_more(library: Library, finder: Finder) -> None:
    create_with_text(library, "Other", "latency " * 3 + "and more words about something else entirely")
    create_with_text(library, "Latency", "nothing")
    create_with_text(library, "Third", "one mention of latency in a longer text about many things")
    assert finder.titles("latency")[0] == "Latency"
    assert finder.titles("latency", sort="title") == ["Latency", "Other", "Third"]


def test_reports_too_many_to_weigh_come_by_title_and_by_time(
    library: Library, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("living_reports.store.files.search.queries.MAX_WEIGHED", 12)
    by_time: list[str] = []
    for number in range(20):
        title = f"Apple {number}" if number % 9 == 4 else f"Report {number}"
        create_with_text(library, title, f"apple pear {'apple ' * (number % 5)}{'rare' * (number > 15)}")
        by_time.insert(0, title)
    wanted = sorted(by_time, key=lambda title: title.startswith("Report"))
    orders = {
        "apple": wanted,
        "app*": wanted,
        "apple OR pear": wanted,
        '"apple pear"': by_time,
        "pear": by_time,
    }
    for query, order in orders.items():
        answer = finder.answer(query, limit=100)
        assert ([row["title"] for row in answer["reports"]], answer["total"]) == (order, 20)
        [warning] = answer["warnings"]
        assert "not weighed by relevance" in warning
    shown: list[str] = []
    cursor = ""
    while len(shown) < 20:
        page = finder.answer("apple", limit=3, cursor=cursor)
        shown += [row["title"] for row in page["reports"]]
        cursor = page.get("next_cursor", "")
    assert (shown, cursor) == (wanted, "")
    assert "warnings" not in finder.answer("rare")
    assert "warnings" not in finder.answer("apple", sort="updated")


def test_three_matches_at_most_the_best_first(library: Library, finder: Finder) -> None:
    sections = [{"title": f"Part {n}", "content": "apple" + " pear" * (n == 4)} for n in range(6)]
    create_report(library, "Fruit", sections=sections)
    matches = finder.matches("apple pear")
    assert len(matches) == 3
    assert matches[0]["snippet"] == "Part 4 apple pear"


def test_a_snippet_is_short_and_holds_the_word(library: Library, finder: Finder) -> None:
    create_with_text(library, "Long", "Lorem ipsum. " * 2000 + "needle ñ " + "dolor sit. " * 2000)
    [match] = finder.matches("needle")
    assert "needle" in match["snippet"]
    assert match["snippet"].startswith("…")
    assert match["snippet"].endswith("…")
    assert len(match["snippet"]) <= 170


def test_markup_of_html_is_not_searched(library: Library, finder: Finder) -> None:
    content = '<div class="wrapper">visible</div>'
    create_report(library, "Page", sections=sections_with_text(content, content_format="html"))
    assert finder.titles("visible") == ["Page"]
    assert finder.titles("wrapper") == []


# --- Sources and reviews ------------------------------------------------------------------

CITED = [
    ("HTTP://A.example/Report/", "url"),
    ("a.example/report", "url"),
    ("docs/Budget.xlsx", "path"),
    ("api.example/v2/orders", "endpoint"),
    ("annual report", "title"),
    ("01b2-exec", "execution"),
    ("linked.example/page", "prose"),
    ("notes/local.md", "prose"),
    ("https://bare.example", "prose"),
    ("ref.example/x", "prose"),
    ("attr.example", "html"),
]


@pytest.mark.parametrize(("source", "title"), CITED)
def test_reports_and_items_that_depend_on_a_source(tmp_path: Path, source: str, title: str) -> None:
    library, finder = Library(tmp_path), Finder(tmp_path)
    citations = {
        "url": {"url": "https://a.example/report/"},
        "path": {"path": "/data/docs/budget.xlsx"},
        "endpoint": {"endpoint": "https://API.example/v2/orders/"},
        "title": {"url": "https://x.example", "title": "Annual Report 2026"},
        "execution": {"source": "query", "execution_id": "01B2-EXEC-77"},
    }
    for name, citation in citations.items():
        insight = {"summary": "something", "importance": 1, "citations": [citation]}
        create_report(library, name, sections=sections_with_text("text", insights=[insight]))
    text = (
        "See [this](https://linked.example/page/), [that](notes/local.md), http://bare.example.\n\n"
        "[r]: https://ref.example/x\n"
    )
    create_with_text(library, "prose", text)
    create_report(
        library,
        "html",
        sections=sections_with_text('<a href="http://attr.example/">x</a>', content_format="html"),
    )
    assert finder.titles(cites=source) == [title]
    [match] = finder.matches(cites=source)
    assert match["kind"] == ("link" if title in ("prose", "html") else "citation")
    assert ("insight_id" in match) == (match["kind"] == "citation")
    assert compared(source) in compared(match["snippet"])


def test_a_scheme_alone_is_no_source(library: Library, finder: Finder) -> None:
    create_with_text(library, "Linked", "http://bare.example")
    assert finder.titles(cites="https://") == []
    assert finder.titles(cites="  ") == ["Linked"]


def insight_due(day: str, status: str = "active") -> dict[str, Any]:
    return {"summary": f"holds until {day}", "importance": 5, "review_by": day, "status": status}


def test_reports_with_an_overdue_insight(library: Library, finder: Finder) -> None:
    for title, insights in {
        "overdue": [insight_due("2026-11-23"), insight_due("2026-11-20"), insight_due("2027-01-01")],
        "due today": [insight_due("2026-11-24")],
        "due tomorrow": [insight_due("2026-11-25")],
        "archived": [insight_due("2020-01-01", "archived")],
        "none": [],
    }.items():
        create_report(library, title, sections=sections_with_text("text", insights=insights))
    assert finder.titles(stale=True) == ["due today", "overdue"]
    matches = finder.answer(stale=True, sort="title")["reports"][1]["matches"]
    assert [match["snippet"].split()[-1] for match in matches] == ["2026-11-20", "2026-11-23"]


@pytest.mark.parametrize(
    "due", ["2026-11-23", "2026-11-24", "2026-11-24T00:30:00+02:00", "soon", "", None, 5]
)
@pytest.mark.parametrize("status", ["active", "archived", "killed"])
def test_overdue_means_the_same_as_in_a_check(due: Any, status: Any) -> None:
    metadata = {"review_by": due}
    insight = Insight(
        insight_id="5f9d3c1e-0a7b-4c2d-8e6f-1234567890ab",
        importance=1,
        status=status,
        summary="x",
        metadata=metadata,
    )
    day = review_day(insight)
    assert (day is not None and day <= TODAY) == is_stale(insight, TODAY)


def test_conditions_combine(library: Library, finder: Finder) -> None:
    cited = {
        "summary": "s",
        "importance": 1,
        "review_by": "2020-01-01",
        "citations": [{"url": "https://a.b"}],
    }
    apple = cited | {"summary": "an apple"}
    create_report(library, "Both", sections=sections_with_text("apple", insights=[apple]), tags=["Ops", "q3"])
    create_report(library, "Cites", sections=sections_with_text("pear", insights=[cited]), tags=["ops"])
    create_with_text(library, "Apple", "apple", tags=["ops"])
    assert finder.titles("apple", cites="a.b", stale=True, tags=["OPS"]) == ["Both"]
    assert sorted(finder.titles(cites="a.b", tags=["ops"])) == ["Both", "Cites"]
    assert finder.titles("apple", tags=["ops", "Q3"]) == ["Both"]
    assert finder.titles("apple", status="archived") == []
    update_report(library, "Both", {"op": "set_status", "status": "archived"})
    assert finder.titles("apple", status="archived") == ["Both"]
    assert finder.titles("apple") == ["Apple"]
    assert finder.titles("apple", status="all", sort="title") == ["Apple", "Both"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Finder:
    """Create reports 0 to 23: the properties of report n depend on the divisors of n."""
    root = tmp_path_factory.mktemp("mixed")
    library = Library(root)
    for n in range(24):
        text = "pear " * (n + 1) + "apple pie"
        cited = {"summary": text, "importance": 1, "citations": [{"url": f"https://a.b/{n % 2}"}]}
        if n % 3 == 0:
            cited["review_by"] = f"2026-{1 + n % 12:02}-01"
        tags = [tag for tag, at in (("two", 2), ("five", 5)) if n % at == 0]
        report = create_report(
            library,
            f"R{n:02}",
            sections=sections_with_text(text, insights=[cited]),
            tags=tags,
        )
        if n % 4 == 0:
            update_report(library, report, status_of("deleted" if n % 8 else "archived"))
    return Finder(root)


@pytest.mark.parametrize("few", [0, 1000])
@pytest.mark.parametrize("query", ["", "pear", '"apple pie"', "pear NOT quince", "app*"])
@pytest.mark.parametrize("sort", ["", "updated", "title"])
def test_every_combination_finds_all_and_counts_them(
    mixed: Finder, monkeypatch: pytest.MonkeyPatch, query: str, sort: str, few: int
) -> None:
    monkeypatch.setattr("living_reports.store.files.search.queries._FEW", few)
    for tags, cites, stale, status in itertools.product(
        ([], ["two"], ["five", "two"]), ("", "a.b/1"), (False, True), ("active", "archived", "deleted", "all")
    ):
        wanted = [
            f"R{n:02}"
            for n in range(24)
            if all(n % {"two": 2, "five": 5}[tag] == 0 for tag in tags)
            and (not cites or n % 2 == 1)
            and (not stale or (n % 3 == 0 and n % 12 < 11))
            and (status == "all" or status == ("active" if n % 4 else "deleted" if n % 8 else "archived"))
        ]
        asked: dict[str, Any] = {"tags": tags, "cites": cites, "stale": stale, "status": status, "sort": sort}
        whole = mixed.titles(query, **asked)
        assert sorted(whole) == wanted
        assert pages(mixed, limit=5, query=query, **asked) == [
            whole[n : n + 5] for n in range(0, max(len(whole), 1), 5)
        ]
        assert mixed.answer(query, limit=1, **asked)["total"] == len(wanted)


def test_a_review_that_was_put_off_is_not_overdue_any_more(library: Library, finder: Finder) -> None:
    insights = [insight_due("2026-11-20"), insight_due("2026-11-10")]
    report = create_report(library, "Put off", sections=sections_with_text("text", insights=insights))
    assert finder.titles(stale=True) == finder.titles("holds", stale=True) == ["Put off"]
    for insight in library.get_report(GetReport(report, view="full"))["insights"]:
        update_report(
            library,
            report,
            {"op": "edit_insight", "insight": insight["insight_id"], "review_by": "2027-01-01"},
        )
    assert finder.titles(stale=True) == finder.titles("holds", stale=True) == []


FLAGS = [
    set(each) for number in range(4) for each in itertools.combinations(("stale", "cites", "query"), number)
]


def flagged(flags: set[str], name: str) -> dict[str, Any]:
    """Return an insight that is stale, cites the source and contains the words, or not."""
    return {
        "summary": f"{name}: " + ("pear and plum" if "query" in flags else "pear alone"),
        "importance": 5,
        "review_by": "2026-11-24" if "stale" in flags else "2026-11-25",
        "citations": [{"url": "https://a.b/1" if "cites" in flags else "https://a.b/2"}],
    }


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finder, dict[str, list[set[str]]]]:
    """Create a report for each two sets of flags; the flags of its insights by its title."""
    root = tmp_path_factory.mktemp("pairs")
    library, made = Library(root), {}
    for number, both in enumerate(itertools.combinations_with_replacement(FLAGS, 2)):
        insights = [flagged(flags, f"insight {at}") for at, flags in enumerate(both)]
        links = [{"title": "Links", "content": "plum https://a.b/1"}] if number % 2 else []
        title = f"R{number:02}"
        create_report(library, title, sections=[*sections_with_text("text", insights=insights), *links])
        made[title] = list(both)
    return Finder(root), made


@pytest.mark.parametrize("sort", ["", "updated", "created", "title"])
@pytest.mark.parametrize("asked", [{"cites"}, {"query"}, {"cites", "query"}])
def test_one_insight_has_to_be_stale_and_meet_all_other_conditions(
    pairs: tuple[Finder, dict[str, list[set[str]]]], asked: set[str], sort: str
) -> None:
    finder, made = pairs
    wanted = {
        title: [f"insight {at}" for at, flags in enumerate(both) if flags >= asked | {"stale"}]
        for title, both in made.items()
    }
    conditions = {"query": 'plum AND "pear and"', "cites": "a.b/1"}
    given: dict[str, Any] = {name: conditions[name] for name in asked} | {"stale": True, "sort": sort}
    answer = finder.answer(**given)
    found = {
        row["title"]: sorted(match["summary"].partition(":")[0] for match in row["matches"])
        for row in answer["reports"]
    }
    assert found == {title: names for title, names in wanted.items() if names}
    assert answer["total"] == len(found)
    shown = [match for row in answer["reports"] for match in row["matches"]]
    assert {match["kind"] for match in shown} == {"insight" if "query" in asked else "citation"}
    assert {match["review_by"] for match in shown} == {"2026-11-24"}
    whole = list(found)
    assert pages(finder, limit=3, **given) == [whole[n : n + 3] for n in range(0, len(whole), 3)]


def test_stale_insights_are_ranked_by_their_own_words(library: Library, finder: Finder) -> None:
    for title, words in (("Much", "pear pear pear"), ("Little", "one pear among many other words here")):
        due = insight_due("2026-11-20") | {"summary": words}
        create_report(library, title, sections=sections_with_text("text", insights=[due]))
    create_with_text(library, "Pear", "pear " * 50)
    assert finder.titles("pear", stale=True) == ["Much", "Little"]


def test_not_excludes_words_of_the_stale_insight_alone(library: Library, finder: Finder) -> None:
    due = [insight_due("2026-11-20") | {"summary": words} for words in ("pear", "pear and plum")]
    create_report(library, "Fruit", sections=sections_with_text("plum", insights=due))
    [match] = finder.matches("pear NOT plum", stale=True)
    assert match["summary"] == "pear"


# --- Pages --------------------------------------------------------------------------------


def pages(finder: Finder, **asked: Any) -> list[list[str]]:
    found, cursor = [], ""
    while True:
        answer = finder.answer(cursor=cursor, **asked)
        found.append([row["title"] for row in answer["reports"]])
        cursor = answer.get("next_cursor", "")
        if not cursor:
            return found


@pytest.mark.parametrize("sort", ["", "relevance", "updated", "created", "title"])
@pytest.mark.parametrize("status", ["active", "all"])
@pytest.mark.parametrize("query", ["", "word*"])
def test_pages_hold_every_report_once(
    library: Library, finder: Finder, sort: str, status: str, query: str
) -> None:
    for number in range(7):
        create_with_text(library, f"Report {number % 4}", "wordy " * (number + 1), tags=["t"])
    update_report(
        library,
        finder.answer(sort="created")["reports"][3]["report_id"],
        set_title("B"),
        status_of("deleted"),
    )
    if sort == "relevance" and not query:
        with pytest.raises(InvalidInputError):
            finder.answer(sort=sort)
        return
    asked: dict[str, Any] = {"sort": sort, "status": status, "query": query, "tags": ["t"]}
    whole = finder.titles(**asked)
    assert len(whole) == (7 if status == "all" else 6)
    assert pages(finder, limit=2, **asked) == [whole[n : n + 2] for n in range(0, len(whole), 2)]
    assert finder.answer(limit=2, **asked)["total"] == len(whole)


def status_of(status: str) -> dict[str, Any]:
    return {"op": "set_status", "status": status}


def test_reports_changed_between_pages_are_neither_repeated_nor_hidden(
    library: Library, finder: Finder
) -> None:
    for number in range(6):
        create_with_text(library, f"Report {number}", "apple")
    for query in ("", "apple"):
        asked: dict[str, Any] = {"query": query, "sort": "updated"}
        first = finder.answer(limit=2, **asked)
        shown = [row["title"] for row in first["reports"]]
        expected = finder.titles(**asked)
        update_report(library, shown[0], append_text("shown already", "Findings"))
        update_report(library, expected[-1], append_text("not shown yet", "Findings"))
        create_with_text(library, f"New {query}", "apple")
        rest = finder.answer(cursor=first["next_cursor"], **asked)
        assert shown + [row["title"] for row in rest["reports"]] == expected
        assert rest["total"] == len(expected)


def test_a_cursor_refuses_other_arguments(library: Library, finder: Finder) -> None:
    for number in range(3):
        create_with_text(library, f"Report {number}", "apple")
    cursor = finder.answer("apple", limit=1)["next_cursor"]
    for other in ({"query": "pear"}, {"cites": "x"}, {"stale": True}, {"sort": "title"}):
        with pytest.raises(InvalidInputError):
            finder.answer(cursor=cursor, **({"query": "apple"} | other))


def test_a_long_page_ends_early_and_goes_on(library: Library, finder: Finder) -> None:
    for number in range(30):
        create_with_text(library, f"{number} " + "😀" * 490, "apple")
    asked: dict[str, Any] = {"query": "apple", "limit": 100}
    answer = finder.answer(**asked)
    assert len(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))) < 20_000
    found = [title for page in pages(finder, **asked) for title in page]
    assert len(found) == len(set(found)) == 30
