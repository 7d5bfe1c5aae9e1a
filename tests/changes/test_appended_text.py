"""Appended text continues a table or a list of its kind; any other begins a paragraph."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from living_reports.changes.apply import appended
from support.small_outline import S1, apply, section_of

MARKDOWN = MarkdownIt("commonmark").enable("table")
TABLE = "| a | b |\n|---|--:|\n| 1 | 2 |"
CONTINUED = [
    (TABLE, "| 3 | 4 |"),
    (TABLE, "| 3 | 4 |\n| 5 | 6 |\n\nAfter it."),
    ("Before it.\n\n| a |\n|:-:|", "| 3 |"),
    (f"Before it:\n{TABLE}", "| 3 | 4 |"),
    (f"- x\n  {TABLE.replace(chr(10), chr(10) + '  ')}", "  | 3 | 4 |"),
    (f"- x\n\n  {TABLE.replace(chr(10), chr(10) + '  ')}", "  | 3 | 4 |"),
    ("- a\n- b", "- c"),
    ("Before it:\n- a", "- c\n- d\n\nAfter it."),
    ("# Before it\n\n* a", "* c"),
    ("+ a", "+ c"),
    ("- [ ] a\n- [x] b", "- [ ] c"),
    ("1. a\n2. b", "3. c"),
    ("1. a\n2. b", "1. c"),
    ("1) a", "2) c"),
    ("Before it:\n1. a", "2. c"),
    ("9. a\n10. b", "11. c"),
    ("- a\n  - b", "- c"),
    ("- a\n  - b", "  - c"),
    ("- a\n  1. b", "  2. c"),
    ("- a\n\t- b", "\t- c"),
    ("1. a\n   - b\n     - c", "2. d"),
    ("- a", "  - b"),
    ("- a", "    - b"),
    (" - a", "- b"),
    ("- a\n  goes on", "- b"),
    ("- a\ngoes on", "- b"),
    ("- a\n  ```\n  code\n  ```", "- b"),
    ("* * a", "* b"),
    ("> - a", "> - b"),
    ("> - a\n\n> - b", "> - c"),
    ("> | a |\n> |---|", "> | 3 |"),
    (">> 1. a", "> > 2. b"),
]
SEPARATE = [
    (TABLE, "Prose with a | in it."),
    (TABLE, TABLE),
    (TABLE, "- a"),
    ("| no table |", "| 3 |"),
    ("|---|", "| 3 |"),
    (f"- a\n{TABLE}", "| 3 | 4 |"),
    (f"> a\n{TABLE}", "| 3 | 4 |"),
    ("> - a\n>\n> - b", "> - c"),
    (f"<div>\n{TABLE}", "| 3 | 4 |"),
    (f"```\n{TABLE}\n```", "| 3 | 4 |"),
    (f"{TABLE}\n\nAfter it.", "| 3 | 4 |"),
    ("- a", "* b"),
    ("- a", "1. b"),
    ("1. a", "2) b"),
    ("- a", "b"),
    ("- a", "- - -"),
    ("- a", "-b"),
    ("- a", "--- b"),
    ("- a\n# A heading", "- b"),
    ("- a\n***", "- b"),
    ("- a\n> b", "- c"),
    ("- a\n\nAfter it.", "- b"),
    ("- a\n\n- b", "- c"),
    ("1. a\n\n2. b", "3. c"),
    ("- a\n\n  More of it.", "- b"),
    ("Paid in\n12. June", "13. July"),
    ("<ul>\n- a", "- b"),
    ("```\n- a\n```", "- b"),
    ("> a", "> b"),
    ("> - a", "- b"),
    ("> - a", ">> - b"),
    ("> - a\n\n- b", "> - c"),
    ("a", "- b"),
    ("a", "b"),
]


@pytest.mark.parametrize(("content", "text"), CONTINUED)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("after", ["", "\n", "\n\n\n", "  \n"])
def test_a_row_and_an_item_continue_their_block(content: str, text: str, end: str, after: str) -> None:
    wanted = f"{content}\n{text}".replace("\n", end)
    assert appended((content + after).replace("\n", end), "\n" + text) == (
        wanted if "\n" in content + after or end == "\n" else f"{content}\n{text}"
    )


@pytest.mark.parametrize(("content", "text"), SEPARATE)
def test_other_texts_begin_a_paragraph(content: str, text: str) -> None:
    assert appended(content, text) == f"{content}\n\n{text}"
    assert appended(content + "\n", text) == f"{content}\n\n{text}"


@pytest.mark.parametrize("content_format", ["plain", "html"])
def test_only_markdown_has_tables_and_lists(content_format: str) -> None:
    given = {"op": "edit_section", "section": S1, "content": "- a"}
    more = {"op": "append_text", "section": S1, "text": "- b"}
    assert section_of(apply(given, more)).content == "- a\n- b"
    other = apply(given | {"content_format": content_format}, more)
    assert section_of(other).content == "- a\n\n- b"


def test_appended_text_takes_the_line_ends_of_the_content() -> None:
    assert appended("a\r\nb\r\n", "c\nd") == "a\r\nb\r\n\r\nc\r\nd"
    assert appended("a\nb", "c\r\nd") == "a\nb\n\nc\nd"
    assert appended("a", "c\r\nd") == "a\r\n\r\nc\r\nd"
    assert appended("", "c\r\nd") == "c\r\nd"


ITEMS = [
    "- a",
    "* b",
    "+ c",
    "1. d",
    "2. e",
    "3) f",
    "  - g",
    "    - h",
    "   1. i",
    "\t- j",
    "10. k",
    "12. l",
]
OTHERS = [
    "| a | b |",
    "|---|---|",
    "| 1 |",
    "> q",
    "> - r",
    "> | s |",
    "> |---|",
    "> ",
    "  > n",
    "- [ ] m",
    " - p",
]
LINES = st.sampled_from(
    [
        *ITEMS,
        *OTHERS,
        "",
        "",
        "12. l",
        "# h",
        "  text",
        "text",
        "    code",
        "- - -",
        "***",
        "=",
        "---",
        "   - o",
        " - p",
        "- [ ] m",
    ]
)
TEXTS = st.lists(LINES, min_size=1, max_size=8).map("\n".join).filter(str.strip)


@given(TEXTS, TEXTS)
@example("- a\n\n  - b", "- c")
@example("- a", "    - h\n- a")
def test_all_other_blocks_stay_as_they_are(content: str, text: str) -> None:
    text = text.lstrip("\n")
    result = appended(content, text)
    if result == content.rstrip("\n") + "\n\n" + text:
        return
    assert result == f"{content.rstrip()}\n{text}"
    marks = text[: len(text) - len(text.lstrip("> "))].strip()
    both = list(blocks(result))
    if text.lstrip("> ").startswith("|"):
        old, new = list(blocks(content)), list(blocks(f"{marks}| x |\n{marks}|---|\n{text}"))
        assert both[: len(old) - 1] == old[:-1]
        assert both[len(old) :] == new[1:]
        assert both[len(old) - 1][0] == old[-1][0]
    else:
        assert both == list(blocks(f"{content.rstrip()}\n{marks}\n{text}")), (
            "only the space between items differs"
        )


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the kind of each outermost block, and its text."""
    kind, words = "", list[str]()
    for token in MARKDOWN.parse(text):
        if token.level == 0 and token.nesting >= 0:
            kind, words = token.type + token.markup, []
        if token.content:
            words.append(token.content)
        if token.level == 0 and token.nesting <= 0:
            yield kind, words


MANY = 1_000_000
LEVELS = "\n".join("  " * level + "- a" for level in range(900))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("- a\n" * (MANY // 4), "- b"),
        ("- a\n\n" * (MANY // 5), "- b"),
        ("| a |\n" * (MANY // 6), "| b |"),
        (">" * MANY + " - a", ">" * MANY + " - b"),
        ("> > " * (MANY // 4), "> - b"),
        ("- " * (MANY // 2), "- " * (MANY // 2)),
        (" " * MANY + "- a", "- b"),
        ("\t" * MANY + "- a", "- b"),
        ("-" * MANY, "- b"),
        ("9" * MANY, "1. b"),
        (LEVELS, "- b"),
        ("\r\n" * (MANY // 2) + "x", "- b"),
        ("- a\n" + "x" * MANY, "- b"),
        ("|" + "-|" * (MANY // 2), "|" + "-|" * (MANY // 2)),
    ],
    ids=range(14),
)
def test_appending_takes_linear_time(content: str, text: str) -> None:
    plain = processor_time(lambda: list(map(ord, content + text)))
    assert processor_time(lambda: appended(content, text)) < 1_000 * plain


def processor_time(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin
