"""Texts are found whatever their line ends, and a near miss is answered with the exact text."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from living_reports.changes import MAX_REPORT_BYTES, MAX_SECTION_BYTES
from living_reports.changes.apply import replaced
from living_reports.errors import InvalidInputError, ItemNotFoundError, ReportError, TooLargeError
from support.small_outline import I1, S1, S2, S3, Fields, apply, insight_of, section_of, section_titles

ENDS = ("\n", "\r\n", "\r")


def edited(content: str, find: str, replace: str, *, everywhere: bool = False) -> str:
    return replaced(content, find, replace, everywhere=everywhere, path="find")


def missed(content: str, find: str) -> ItemNotFoundError:
    with pytest.raises(ItemNotFoundError) as caught:
        edited(content, find, "x")
    return caught.value


# --- Line ends ----------------------------------------------------------------------------


@pytest.mark.parametrize(("kept", "sought", "given_as"), list(product(ENDS, ENDS, ENDS)))
def test_line_ends_match_alike_and_the_replacement_takes_those_of_the_content(
    kept: str, sought: str, given_as: str
) -> None:
    content = kept.join(["one", "two", "three", ""])
    new = edited(content, f"one{sought}two", f"1{given_as}{given_as}2")
    assert new == kept.join(["1", "", "2", "three", ""])
    assert edited(content, "three", f"3{given_as}4") == kept.join(["one", "two", "3", "4", ""])
    assert edited(content, sought, given_as, everywhere=True) == content
    assert edited(content, f"o{sought}", "o!", everywhere=True) == content.replace(f"o{kept}", "o!")


def test_a_content_of_one_line_takes_the_line_ends_of_the_replacement() -> None:
    assert edited("one", "one", "1\r\n2") == "1\r\n2"


def test_mixed_line_ends_stay_where_they_are() -> None:
    content = "a\r\nb\nc\r\na\nb\r\n"
    assert edited(content, "c\na", "C\nA") == "a\r\nb\nC\r\nA\nb\r\n"
    assert edited(content, "a\nb", "A\nB", everywhere=True) == "A\r\nB\nc\r\nA\nB\r\n"
    with pytest.raises(InvalidInputError) as caught:
        edited(content, "a\nb", "x")
    assert [hit["line"] for hit in caught.value.details["candidates"]] == [1, 4]


@given(
    st.lists(st.sampled_from(["a", "b", "ä", "\n", "\r\n"])).map("".join),
    st.lists(st.sampled_from(["a", "b", "\n"]), min_size=1).map("".join),
    st.lists(st.sampled_from(["a", "\r\n"])).map("".join),
)
def test_an_edit_with_any_line_ends_is_the_edit_with_line_feeds(content: str, find: str, new: str) -> None:
    def plain(text: str) -> str:
        return text.replace("\r\n", "\n")

    try:
        result = edited(content, find, new, everywhere=True)
    except ItemNotFoundError:
        assert find not in plain(content)
        return
    assert plain(result) == plain(content).replace(find, plain(new))
    if "\r" not in content and "\n" in content:
        assert "\r" not in result


def test_a_replacement_with_longer_line_ends_is_within_the_limit() -> None:
    lines = {"op": "edit_section", "section": S1, "content": "a\r\n" * 250_000}
    grow: Fields = {"op": "edit_text", "section": S1, "find": "a", "all": True}
    assert apply(lines, grow | {"replace": "b"}).applied == 2
    for more in ("bb\n", "b" * 1_000):
        with pytest.raises(TooLargeError) as caught:
            apply(lines, grow | {"replace": more})
        assert caught.value.details == {"path": "changes[1].replace", "limit": MAX_SECTION_BYTES}


def test_notes_that_contain_the_text_with_other_line_ends_are_mentioned() -> None:
    notes = {"op": "edit_section", "section": S1, "notes": "a\r\nb"}
    with pytest.raises(ItemNotFoundError) as caught:
        apply(notes, {"op": "edit_text", "section": S1, "find": "a\nb", "replace": "x"})
    assert "notes" in caught.value.hint


# --- Near misses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exact", "find", "named"),
    [
        ("12\u00a0% fail", "12 % fail", "U+00A0 (no-break space)"),
        ("12\u202f%", "12 %", "U+202F"),
        ("he said \u201cyes\u201d", 'he said "yes"', "U+201C"),
        ("don\u2019t", "don't", "U+2019"),
        ("2024\u20132026", "2024-2026", "U+2013"),
        ("a \u2014 b", "a - b", "U+2014"),
        ("\u22125 %", "-5 %", "U+2212"),
        ("wait\u2026 what", "wait... what", "U+2026"),
        ("co\u00adoperate", "cooperate", "U+00AD"),
        ("zero\u200bwidth", "zerowidth", "U+200B"),
        ("caf\u00e9 au lait", "cafe\u0301 au lait", "U+00E9"),
        ("e\ufb03cient", "efficient", "U+FB03"),
        ("some  wide\tspace", "some wide space", "U+0020"),
        ("wrapped\nat another\nplace", "wrapped at another place", "U+000A"),
        ("Errors ROSE", "errors rose", "U+0045"),
        ("plain 'quotes'", "plain \u2018quotes\u2019", "U+0027"),
    ],
)
def test_a_text_that_looks_alike_is_answered_exactly(exact: str, find: str, named: str) -> None:
    content = f"before\r\n{exact} after"
    error = missed(content, find)
    [row] = error.details["near"]
    assert row == {"line": 2, "text": exact}
    assert named in error.hint
    assert edited(content, row["text"], "x") == "before\r\nx after"


def test_each_text_that_looks_alike_is_shown_up_to_three() -> None:
    error = missed("a\u00a0b\n" * 9, "a b")
    assert error.details["near"] == [{"line": n, "text": "a\u00a0b"} for n in (1, 2, 3)]


def test_of_a_long_text_the_first_difference_is_shown() -> None:
    exact = "word " * 500 + "12\u00a0% " + "word " * 500
    error = missed(exact, exact.replace("\u00a0", " "))
    [row] = error.details["near"]
    assert "word 12\u00a0% word" in row["text"]
    assert row["text"] in exact
    assert len(row["text"]) < 200


def test_white_space_around_a_text_is_no_riddle() -> None:
    error = missed("one two three", "two  \n")
    assert error.details["near"] == [{"line": 1, "text": "two"}]
    assert "white space" in error.hint


def test_other_texts_are_answered_with_similar_lines_as_before() -> None:
    error = missed("one two\ntwo three", "two tree")
    assert error.details["near"][0] == {"line": 2, "text": "two three"}
    assert missed("abc", "\u200b").details["near"] == []


# --- Time ---------------------------------------------------------------------------------

MANY = 1_000_000
WORST: list[tuple[str, str, str]] = [
    ("\r\n" * (MANY // 2), "\n", "\n"),
    ("a\r\n" * (MANY // 3), "a\n", "b\n"),
    ("a" * MANY, "a" * (MANY // 2) + "b", ""),
    ("\r\n" * (MANY // 2), "\n" * (MANY // 4) + "b", ""),
    ("a\u00a0" * (MANY // 2), "a " * (MANY // 4) + "b", ""),
    (" \n" * (MANY // 2), " " * 1_000 + "x", ""),
    ("\ufdfa" * (MANY // 3), "\ufdfa" * 9 + " x", ""),
]


@pytest.mark.parametrize(("content", "find", "new"), WORST, ids=range(len(WORST)))
def test_an_edit_takes_linear_time(content: str, find: str, new: str) -> None:
    def edit() -> None:
        with suppress(ReportError):
            edited(content, find, new, everywhere=True)

    assert processor_time(edit) < 1_000 * processor_time(lambda: list(map(ord, content)))


def processor_time(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


# --- In the whole report ------------------------------------------------------------------

EVERYWHERE: Fields = {"op": "edit_text", "all": True}


def test_without_a_section_all_prose_notes_and_summaries_are_edited_and_titles_stay() -> None:
    words = {"op": "edit_section", "section": S1, "title": "two", "content": "two\r\ntwo", "notes": "two"}
    outcome = apply(
        words,
        {"op": "edit_section", "section": S3, "content": "none"},
        {"op": "edit_insight", "insight": I1, "summary": "two of two"},
        EVERYWHERE | {"find": "two", "replace": "2"},
    )
    section = section_of(outcome)
    assert (section.title, section.content, section.notes) == ("two", "2\r\n2", "2")
    assert insight_of(outcome).summary == "2 of 2"
    assert section_of(outcome, S3).content == "none"
    assert section_titles(outcome) == ["two", "Risks", "Outlook"]
    assert outcome.replaced == 5


def test_items_without_the_text_are_left_alone_and_emptied_prose_is_absent() -> None:
    outcome = apply(EVERYWHERE | {"find": "quarterly", "replace": ""})
    assert section_of(outcome, S2).notes is None
    assert section_of(outcome).updated_at != section_of(outcome, S2).updated_at
    assert (outcome.applied, outcome.replaced) == (1, 1)


def test_all_hits_of_one_section_are_counted() -> None:
    edit: Fields = {"op": "edit_text", "section": S1, "replace": "2"}
    assert apply(edit | {"find": "two", "all": True}).replaced == 2
    assert apply(edit | {"find": "one"}).replaced == 0


def missed_everywhere(find: str) -> ItemNotFoundError:
    with pytest.raises(ItemNotFoundError) as caught:
        apply(
            {"op": "edit_section", "section": S2, "content": "a\nsome\u00a0words\nb"},
            EVERYWHERE | {"find": find, "replace": "x"},
        )
    return caught.value


def test_a_text_that_is_nowhere_is_refused_with_the_items_that_have_similar_ones() -> None:
    error = missed_everywhere("some words")
    assert error.details["path"] == "changes[1].find"
    assert error.details["near"] == [{"item": "Risks", "line": 2, "text": "some\u00a0words"}]
    assert "U+00A0" in error.hint
    [near] = missed_everywhere("seconds").details["near"]
    assert (near["item"], near["line"], near["text"]) == ("second", 1, "second")


def test_a_text_that_only_titles_have_says_so() -> None:
    assert "titles" in missed_everywhere("Outlook").hint


@pytest.mark.parametrize("prose", ["content", "notes"])
def test_each_section_keeps_within_its_limit(prose: str) -> None:
    long = {"op": "edit_section", "section": S1, prose: "a" * 1_000}
    with pytest.raises(TooLargeError) as caught:
        apply(long, EVERYWHERE | {"find": "a", "replace": "b" * 2_000})
    assert caught.value.details == {"path": "changes[1].replace", "limit": MAX_SECTION_BYTES}


def test_all_texts_together_keep_within_the_limit_of_a_report() -> None:
    long = {"op": "edit_insight", "insight": I1, "summary": "a" * 10_000}
    with pytest.raises(TooLargeError) as caught:
        apply(long, EVERYWHERE | {"find": "a", "replace": "b" * 2_000})
    assert caught.value.details == {"path": "changes[1].replace", "limit": MAX_REPORT_BYTES}
