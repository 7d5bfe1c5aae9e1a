"""A diff of two versions reads like a unified diff, and says all of what changed."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from living_reports.models import Outline
from living_reports.render.markdown import markdown
from living_reports.render.textdiff import text_diff
from strategies import edited, outlines

TODAY = date(2026, 11, 23)
PAGE = "# Health\n\n*Version 3 · updated 2026-11-20*\n\n## Risks\n\n{}\n\n## Costs\n\n{}\n"


def test_a_hunk_is_headed_by_its_section_and_shows_what_is_around() -> None:
    old, new = PAGE.format("One.\nTwo.\nThree.", "None."), PAGE.format("One.\n2.\nThree.", "None.")
    assert text_diff(old, new) == "@@ Risks @@\n\n One.\n-Two.\n+2.\n Three.\n\n"


def test_changes_far_apart_are_hunks_of_their_own() -> None:
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


def test_the_line_with_version_and_time_is_no_difference() -> None:
    page = PAGE.format("One.", "None.")
    assert text_diff(page, page.replace("Version 3", "Version 4")) == ""


@given(st.data(), outlines())
def test_it_names_every_line_that_came_and_went(data: st.DataObject, old: Outline) -> None:
    before, after = markdown(old, TODAY), markdown(data.draw(edited(old)), TODAY)
    lines = text_diff(before, after).splitlines()
    came = {line[1:] for line in lines if line.startswith("+")}
    went = {line[1:] for line in lines if line.startswith("-")}
    stripped = [
        {line.rstrip() for line in text.splitlines() if not line.startswith("*Version ")}
        for text in (before, after)
    ]
    assert stripped[1] - stripped[0] <= came
    assert stripped[0] - stripped[1] <= went
