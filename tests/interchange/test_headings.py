"""Conversion of Markdown to titled sections, without losing a byte."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from living_reports.changes import MAX_TITLE_CHARS
from living_reports.interchange.headings import INTRODUCTIONS, Document, read_document, split, with_document
from living_reports.model.report import Outline, outline_bytes, parse_outline

NOW = "2026-11-23T10:00:00+00:00"
LATER = "2026-11-24T10:00:00+00:00"

LINES = st.sampled_from(
    [
        "# Title",
        "## Risks",
        "## Risks ##",
        "### Deeper",
        "##",
        "Underlined\n===",
        "Underlined\nin two\n---",
        "---",
        "title: Stated",
        "```",
        "~~~~ python",
        "    ## code",
        "<!--",
        "-->",
        "> ## quoted",
        "- ## listed",
        "words",
        "\ufeff# Marked",
        "\x0b## not a line \u2028## of its own \x00",
        "",
    ]
)
TEXTS = st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r", ""])), max_size=12).map(
    lambda lines: "".join(itertools.chain(*lines))
) | st.text(st.sampled_from("# -=`~>\r\n\t\ufeffaé\x00"), max_size=40)


def titles(text: str) -> list[str]:
    return [title for title, _ in read_document(text, "name").sections]


def empty() -> Outline:
    return Outline(
        report_id="5f9d3c1e-0a7b-4c2d-8e6f-1234567890ab", title="Health", created_at=NOW, updated_at=NOW
    )


def new_ids() -> itertools.count[int]:
    return itertools.count(1)


def outline_after(*texts: str) -> Outline:
    ids = new_ids()
    outline = empty()
    for text in texts:
        document = read_document(text, "health")
        outline = with_document(
            outline, document, now=NOW, new_id=lambda: f"00000000-0000-4000-8000-{next(ids):012}"
        )
    return outline


# --- Nothing is lost ----------------------------------------------------------------------


@given(TEXTS)
def test_the_parts_joined_are_the_text(text: str) -> None:
    parts = split(text)
    assert "".join(part.heading + part.content for part in parts) == text
    assert all(part.level == 0 for part in parts[:1] if not part.heading)
    assert all(part.level in (1, 2) for part in parts[1:])


@given(TEXTS)
def test_the_contents_are_the_text_without_its_dividing_headings(text: str) -> None:
    kept = "".join(part.content for part in split(text))
    told = "".join(content for _, content in read_document(text, "name").sections)
    assert told == kept or kept.replace(told, "", 1).strip("\ufeff \t\r\n") == ""


@given(TEXTS)
def test_every_text_makes_a_report_that_reads_back(text: str) -> None:
    outline = outline_after(text)
    assert parse_outline(outline_bytes(outline)) == outline


# --- Headings that divide -----------------------------------------------------------------


def test_headings_become_title_and_sections() -> None:
    text = "# Health\n\nAll well.\n\n## Risks\nNone.\n### Open\nOne.\n## Costs\n"
    assert read_document(text, "name") == Document(
        "Health",
        (("Introduction", "\nAll well.\n\n"), ("Risks", "None.\n### Open\nOne.\n"), ("Costs", "")),
    )


def test_underlined_headings_divide_too() -> None:
    text = "Health\n======\n\nRisks of\nthe shop\n---\nNone.\n"
    assert read_document(text, "name") == Document("Health", (("Risks of the shop", "None.\n"),))


@pytest.mark.parametrize(
    "text",
    [
        "```\n## no\n```\n",
        "~~~~ md\n```\n## no\n~~~~\n",
        "    ## no\n",
        "> ## no\n",
        "- ## no\n",
        "<!--\n## no\n-->\n",
        "<pre>\n## no\n</pre>\n",
        "##no\n",
        "\\## no\n",
        "- - -\n",
        "```\n## never closed\n",
    ],
)
def test_what_only_looks_like_a_heading_divides_nothing(text: str) -> None:
    assert titles(f"# Health\n\n## Yes\n{text}") == ["Yes"]


def test_windows_line_ends_and_a_byte_order_mark_stay_where_they_were() -> None:
    assert read_document("\ufeff# Health\r\n\r\n## Risks\r\nNone.\r\n", "name") == Document(
        "Health", (("Risks", "None.\r\n"),)
    )


def test_more_headings_of_the_first_level_are_sections() -> None:
    assert titles("# Health\n# One\n## Two\n# Three\n") == ["One", "Two", "Three"]


def test_a_title_below_other_headings_is_a_section_as_well() -> None:
    document = read_document("## Risks\nNone.\n# Health\nWell.\n", "name")
    assert document == Document("Health", (("Risks", "None.\n"), ("Health", "Well.\n")))


# --- Titles -------------------------------------------------------------------------------


def test_without_a_heading_the_front_matter_or_else_the_name_is_the_title() -> None:
    front = '---\ntitle: "Shop health"\ntags: [a]\n---\n\n## Risks\n'
    assert read_document(front, "name").title == "Shop health"
    assert read_document("## Risks\n", "name").title == "name"
    assert read_document("", " \n").title == "Untitled"


def test_front_matter_is_text_and_no_underlined_heading() -> None:
    front = "---\ntitle: Shop\n---\n"
    assert read_document(f"{front}## Risks\n", "n").sections == (("Introduction", front), ("Risks", ""))


def test_two_rules_are_no_front_matter() -> None:
    assert read_document("---\n\n# Health\n\n---\n", "name").title == "Health"


def test_the_introduction_takes_a_name_that_no_section_has() -> None:
    assert titles("Words.\n\n## introduction\n") == [INTRODUCTIONS[1], "introduction"]


def test_a_title_is_one_line_within_the_limit() -> None:
    document = read_document(f"# {'long ' * 200}\n## \n## a\tb\n", "name")
    assert len(document.title) == MAX_TITLE_CHARS
    assert [title for title, _ in document.sections] == ["Untitled", "a b"]


# --- Revisions ----------------------------------------------------------------------------


def test_sections_are_known_by_their_title() -> None:
    before = outline_after("## A\none\n## B\ntwo\n")
    after = outline_after("## A\none\n## B\ntwo\n", "## C\nnew\n## B\nTWO\n## A\none\n")
    assert [section.title for section in after.sections] == ["C", "B", "A"]
    ids = {section.title: section.section_id for section in after.sections}
    assert {section.title: section.section_id for section in before.sections}.items() <= ids.items()
    assert [section.order for section in after.sections] == [0, 1, 2]


def test_sections_of_one_title_are_known_by_their_order() -> None:
    before, after = (
        outline_after("## A\n1\n## A\n2\n"),
        outline_after("## A\n1\n## A\n2\n", "## A\n1\n## A\n3\n"),
    )
    assert [s.section_id for s in before.sections] == [s.section_id for s in after.sections]
    assert len({section.section_id for section in after.sections}) == 2


def test_only_what_changed_is_dated_anew() -> None:
    before = outline_after("# Health\n## A\none\n## B\ntwo\n")
    document = read_document("# Health\n## A\none\n## B\nTWO\n", "health")
    after = with_document(before, document, now=LATER, new_id=lambda: "")
    assert [section.updated_at for section in after.sections] == [NOW, LATER]
    assert after.sections[0] is before.sections[0]


@given(TEXTS)
def test_the_same_text_again_is_the_same_outline(text: str) -> None:
    outline = outline_after(text)
    document = read_document(text, "health")
    assert with_document(outline, document, now=LATER, new_id=lambda: "") is outline
