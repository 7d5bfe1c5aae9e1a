"""The unified diff of two versions is readable and complete."""

from __future__ import annotations

import re
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from living_reports.model.report import Outline
from living_reports.render.textdiff import text_diff
from support.pages import markdown
from support.strategies import edited_outlines, outlines

TODAY = date(2026, 11, 23)
PAGE = "# Health\n\n*Version 3 · updated 2026-11-20*\n\n## Risks\n\n{}\n\n## Costs\n\n{}\n"


def test_a_hunk_names_its_section_and_shows_context() -> None:
    old, new = PAGE.format("One.\nTwo.\nThree.", "None."), PAGE.format("One.\n2.\nThree.", "None.")
    assert text_diff(old, new) == "@@ Risks @@\n\n One.\n-Two.\n+2.\n Three.\n\n"


def test_closing_marks_of_a_heading_are_ignored() -> None:
    page = "# Health\n\n## C# ##\n\n{}\n"
    assert text_diff(page.format("a"), page.format("b")).startswith("@@ C# @@\n")


def test_added_trailing_spaces_are_shown() -> None:
    assert "-a\n+a  \n" in text_diff(PAGE.format("a", "x"), PAGE.format("a  ", "x"))


def test_distant_changes_are_separate_hunks() -> None:
    filler = "\n".join(f"line {n}" for n in range(9))
    diff = text_diff(PAGE.format(f"a\n{filler}", "x"), PAGE.format(f"b\n{filler}", "y"))
    assert [line for line in diff.splitlines() if line[:1] in "@-+" and line] == [
        "@@ Risks @@",
        "-a",
        "+b",
        "@@ Costs @@",
        "-x",
        "+y",
    ]


def test_the_line_with_version_and_time_is_ignored() -> None:
    page = PAGE.format("One.", "None.")
    assert text_diff(page, page.replace("Version 3", "Version 4")) == ""


def test_prose_that_looks_like_that_line_is_shown() -> None:
    old, new = PAGE.format("*Version 3 is out.*", "x"), PAGE.format("*Version 4 is out.*", "x")
    assert (
        text_diff(old, new)
        == "@@ Risks @@\n ## Risks\n\n-*Version 3 is out.*\n+*Version 4 is out.*\n\n ## Costs\n"
    )


def test_a_change_at_the_top_leaves_no_gap() -> None:
    old = PAGE.format("One.", "x")
    assert text_diff(old, old.replace("## Risks", "## Dangers")).startswith(
        "@@ Health @@\n # Health\n\n-## Risks\n+## Dangers\n"
    )


INSIGHTS = """\
# Health

## Risks

{}

## Sources

{}
"""


def test_a_new_insight_does_not_change_the_ranks_and_sources_below_it() -> None:
    old = INSIGHTS.format(
        "1. **[8/10]** One [1]\n2. **[5/10]** Two [1][2]", "1. <https://a.b>\n2. <https://c.d>"
    )
    new = INSIGHTS.format(
        "1. **[9/10]** New [1]\n2. **[8/10]** One [2]\n3. **[5/10]** Two [2][3]",
        "1. <https://n.e>\n2. <https://a.b>\n3. <https://c.d>",
    )
    assert text_diff(old, new).splitlines() == [
        "@@ Risks @@",
        " ## Risks",
        "",
        "+1. **[9/10]** New [1]",
        " 2. **[8/10]** One [2]",
        " 3. **[5/10]** Two [2][3]",
        "@@ Sources @@",
        " ## Sources",
        "",
        "+1. <https://n.e>",
        " 2. <https://a.b>",
        " 3. <https://c.d>",
    ]


def test_an_insight_that_cites_another_source_is_a_change() -> None:
    sources = "1. <https://a.b>\n2. <https://c.d>"
    old = INSIGHTS.format("1. **[8/10]** One [1]", sources)
    diff = text_diff(old, INSIGHTS.format("1. **[8/10]** One [2]", sources))
    assert "-1. **[8/10]** One [1]\n+1. **[8/10]** One [2]\n" in diff


def test_numbers_in_prose_are_compared() -> None:
    assert "-1. one\n+2. one\n" in text_diff(PAGE.format("1. one", "x"), PAGE.format("2. one", "x"))
    assert "-see [1]\n+see [2]\n" in text_diff(PAGE.format("see [1]", "x"), PAGE.format("see [2]", "x"))


NUMBERS = re.compile(r"^\d+\. |\[\d+\]")


def compared(text: str) -> set[str]:
    """Return the lines of a page without the version and without numbers that depend on other lines."""
    return {NUMBERS.sub("", line.rstrip()) for line in text.splitlines() if not line.startswith("*Version ")}


@given(st.data(), outlines())
def test_every_added_and_removed_line_is_shown(data: st.DataObject, old: Outline) -> None:
    before, after = markdown(old, TODAY), markdown(data.draw(edited_outlines(old)), TODAY)
    lines = text_diff(before, after).splitlines()
    came = compared("\n".join(line[1:] for line in lines if line.startswith("+")))
    went = compared("\n".join(line[1:] for line in lines if line.startswith("-")))
    assert compared(after) - compared(before) <= came
    assert compared(before) - compared(after) <= went
