"""Refused changes: the path, the details for the caller, and no effect on the outline."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from living_reports import changes as vocabulary
from living_reports.changes import parse_changes, parse_sections
from living_reports.errors import (
    AmbiguousSelectorError,
    InvalidInputError,
    ItemNotFoundError,
    ReportError,
    TooLargeError,
)
from living_reports.model.report import CitationSource, Outline, outline_bytes
from support.small_outline import I1, I3, LOOSE, S1, S2, S3, Fields, apply, small_outline


def refused(error: type[ReportError], *changes: Fields, outline: Outline | None = None) -> ReportError:
    with pytest.raises(error) as caught:
        apply(*changes, outline=outline)
    caught.value.message.encode()
    return caught.value


# --- Refusals -----------------------------------------------------------------------------

CITE: Fields = {"op": "add_citation", "insight": I1}
EDIT: Fields = {"op": "edit_insight", "insight": I1}
DEEP: Any = "x"
for _ in range(70):
    DEEP = [DEEP]

REFUSED: list[tuple[Any, str, Fields]] = [
    ("set_title", "", {}),
    ({}, ".op", {"allowed": list(vocabulary.OPS)}),
    ({"op": 7}, ".op", {}),
    ({"op": "set_titel"}, ".op", {"did_you_mean": "set_title"}),
    ({"op": "set_title"}, ".title", {}),
    ({"op": "set_title", "title": None}, ".title", {}),
    ({"op": "set_title", "title": "  "}, ".title", {}),
    ({"op": "set_title", "title": 7}, ".title", {}),
    ({"op": "set_title", "title": "a\nb"}, ".title", {}),
    ({"op": "set_title", "title": "a\u2028b"}, ".title", {}),
    ({"op": "set_title", "title": "a\0b"}, ".title", {}),
    ({"op": "set_title", "title": "\ud800"}, ".title", {}),
    ({"op": "set_title", "title": "x", "titel": "y"}, ".titel", {"did_you_mean": "title"}),
    ({"op": "set_title", "title": "x", "titel": None}, ".titel", {"did_you_mean": "title"}),
    ({"op": "set_title", "title": "x", "\ud800": 1}, ".\\ud800", {"allowed": ["title"]}),
    ({"op": "set_title", "title": "x", "tags": ["y"]}, ".tags", {"allowed": ["title"]}),
    ({"op": "set_title", "title": "x", "clear": ["title"]}, ".clear", {}),
    ({"op": "set_status", "status": "killed"}, ".status", {"allowed": ["active", "archived", "deleted"]}),
    ({"op": "set_status", "status": "archive"}, ".status", {"did_you_mean": "archived"}),
    ({"op": "add_tags", "tags": "a"}, ".tags", {}),
    ({"op": "add_tags", "tags": ["a", " "]}, ".tags[1]", {}),
    ({"op": "add_tags", "tags": [3]}, ".tags[0]", {}),
    ({"op": "set_metadata", "value": 1}, ".key", {}),
    ({"op": "set_metadata", "key": "k"}, ".value", {}),
    ({"op": "set_metadata", "key": "tags", "value": ["x"]}, ".key", {}),
    ({"op": "set_metadata", "key": "k", "value": float("nan")}, ".value", {}),
    ({"op": "set_metadata", "key": "k", "value": {"x": ["\ud800"]}}, ".value", {}),
    ({"op": "set_metadata", "key": "k", "value": {"x\0": 1}}, ".value", {}),
    ({"op": "set_metadata", "key": "k", "value": DEEP}, ".value", {}),
    ({"op": "add_section", "title": "x", "content_format": "md"}, ".content_format", {}),
    ({"op": "add_section", "title": "x", "insights": [{"importance": 1}]}, ".insights[0].summary", {}),
    (
        {"op": "add_section", "title": "x", "insights": [{"summary": "s", "importnce": 1}]},
        ".insights[0].importnce",
        {"did_you_mean": "importance"},
    ),
    (
        {"op": "add_section", "title": "x", "insights": [{"summary": "s", "section": S1}]},
        ".insights[0].section",
        {},
    ),
    ({"op": "add_section", "title": "x", "insights": ["s"]}, ".insights[0]", {}),
    ({"op": "add_section", "title": "x", "position": "frist"}, ".position", {"did_you_mean": "first"}),
    ({"op": "add_section", "title": "x", "position": "before:"}, ".position", {}),
    ({"op": "add_section", "title": "x", "template": "t"}, ".template", {}),
    ({"op": "edit_section", "section": S1, "clear": "notes"}, ".clear", {}),
    (
        {"op": "edit_section", "section": S1, "clear": ["note"]},
        ".clear[0]",
        {"allowed": ["notes", "content", "citations"], "did_you_mean": "notes"},
    ),
    ({"op": "edit_section", "section": S1, "notes": "x", "clear": ["notes"]}, ".clear[0]", {}),
    ({"op": "edit_text", "section": S1, "find": "one"}, ".replace", {}),
    ({"op": "edit_text", "find": "one", "replace": "1"}, ".section", {}),
    ({"op": "edit_text", "find": "one", "replace": "1", "all": False}, ".section", {}),
    ({"op": "edit_text", "find": "first", "replace": " ", "all": True}, ".replace", {}),
    ({"op": "edit_text", "section": S1, "find": "", "replace": "x"}, ".find", {}),
    ({"op": "edit_text", "section": S1, "find": "one", "replace": "x", "all": "yes"}, ".all", {}),
    ({"op": "append_text", "section": S1, "text": " \n"}, ".text", {}),
    ({"op": "move_section", "section": S1}, ".position", {}),
    ({"op": "remove_section", "section": S1, "insights_to": "Findings"}, ".insights_to", {}),
    ({"op": "add_insight", "summary": "x"}, ".section", {}),
    ({"op": "add_insight", "section": S1, "summary": "x", "position": "after:" + I3}, ".position", {}),
    ({"op": "move_insight", "insight": I1}, ".position", {}),
    ({"op": "move_insight", "insight": LOOSE, "position": "first"}, ".section", {}),
    (EDIT | {"importance": 11}, ".importance", {"allowed": "0 to 10"}),
    (EDIT | {"importance": -1}, ".importance", {}),
    (EDIT | {"importance": "9" * 5000}, ".importance", {}),
    (EDIT | {"importance": "\u0667"}, ".importance", {}),
    (EDIT | {"importance": True}, ".importance", {}),
    (EDIT | {"importance": 7.5}, ".importance", {}),
    (EDIT | {"importance": float("inf")}, ".importance", {}),
    (EDIT | {"importnce": 7}, ".importnce", {"did_you_mean": "importance"}),
    (EDIT | {"status": "deleted"}, ".status", {"allowed": ["active", "archived", "killed"]}),
    (EDIT | {"as_of": "2026-02-30"}, ".as_of", {}),
    (EDIT | {"as_of": "20260228"}, ".as_of", {}),
    (EDIT | {"as_of": "2026-02-28T25:00"}, ".as_of", {}),
    (EDIT | {"as_of": "0001-01-01T00:00+10:00"}, ".as_of", {}),
    (EDIT | {"review_by": "7d"}, ".review_by", {}),
    (EDIT | {"citations": {"url": "x"}}, ".citations", {}),
    (EDIT | {"citations": [{}]}, ".citations[0]", {}),
    (CITE, ".citation", {}),
    ({"op": "add_citation", "citation": {"url": "x"}}, ".insight", {}),
    (CITE | {"section": "Risks", "citation": {"url": "x"}}, ".insight", {}),
    (CITE | {"citation": {}}, ".citation", {}),
    (CITE | {"citation": {"url": ""}}, ".citation", {}),
    (CITE | {"citation": {"urll": "x"}}, ".citation.urll", {"did_you_mean": "url"}),
    (CITE | {"citation": {"url": 3}}, ".citation.url", {}),
    (CITE | {"citation": {"source": "web"}}, ".citation.source", {"allowed": list(get_args(CitationSource))}),
]


@pytest.mark.parametrize(
    ("change", "path", "details"), REFUSED, ids=lambda v: v if isinstance(v, str) else ""
)
def test_invalid_input_is_refused_with_its_path_and_the_valid_values(
    change: Any, path: str, details: Fields
) -> None:
    error = refused(InvalidInputError, {"op": "set_title", "title": "fine"}, change)
    assert error.details["path"] == "changes[1]" + path
    assert error.message.startswith(error.details["path"])
    assert error.hint
    assert error.details | details == error.details


def test_a_field_of_another_op_is_refused_with_the_op_that_uses_it() -> None:
    error = refused(InvalidInputError, {"op": "edit_section", "section": S1, "insights_to": S2})
    assert "remove_section" in error.message


@pytest.mark.parametrize("raw", [None, [], "", {}, "set_title", 7])
def test_a_call_needs_a_list_of_changes(raw: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_changes(raw)
    assert caught.value.details["path"] == "changes"


@pytest.mark.parametrize(
    ("change", "path", "near"),
    [
        ({"op": "append_text", "section": "Fidnings", "text": "x"}, ".section", {"title": "Findings"}),
        ({"op": "move_section", "section": S1, "position": "before:Rikss"}, ".position", {"title": "Risks"}),
        ({"op": "remove_section", "section": S1, "insights_to": "Rikss"}, ".insights_to", {"title": "Risks"}),
        ({"op": "edit_insight", "insight": "11110001", "importance": 1}, ".insight", {"summary": "first"}),
        (CITE | {"op": "remove_citation", "citation": {"page": "4"}}, ".citation", {"path": "a.pdf"}),
        (
            {"op": "edit_text", "section": S1, "find": "two tree", "replace": ""},
            ".find",
            {"line": 2, "text": "two three"},
        ),
    ],
)
def test_a_missing_item_is_refused_with_similar_ones(change: Fields, path: str, near: Fields) -> None:
    error = refused(ItemNotFoundError, {"op": "set_title", "title": "fine"}, change)
    assert error.details["path"] == "changes[1]" + path
    assert any(row | near == row for row in error.details["near"])


def test_a_failed_find_mentions_notes_that_contain_the_text() -> None:
    change = {"op": "edit_text", "section": S2, "find": "quarterly", "replace": "yearly"}
    error = refused(ItemNotFoundError, change)
    assert "notes" in error.hint
    assert error.details["near"] == []


def test_a_long_line_is_shown_from_the_similar_part() -> None:
    content = "lorem ipsum " * 50 + "the quick brown fox jumps" + " dolor sit" * 50
    error = refused(
        ItemNotFoundError,
        {"op": "edit_section", "section": S1, "content": content},
        {"op": "edit_text", "section": S1, "find": "the quikc brown fox", "replace": ""},
    )
    [near] = error.details["near"]
    assert "the quick brown fox" in near["text"]
    assert len(near["text"]) <= 100


def test_several_hits_are_shown_with_their_lines() -> None:
    change = {"op": "edit_text", "section": S1, "find": "two", "replace": "2"}
    error = refused(InvalidInputError, change)
    assert error.details["path"] == "changes[0].find"
    assert [hit["line"] for hit in error.details["candidates"]] == [1, 2]
    assert "all" in error.hint


def test_overlapping_hits_are_several() -> None:
    error = refused(
        InvalidInputError,
        {"op": "edit_section", "section": S1, "content": "aaa"},
        {"op": "edit_text", "section": S1, "find": "aa", "replace": "b"},
    )
    assert len(error.details["candidates"]) == 2


def test_fields_that_match_several_citations_are_refused_with_them() -> None:
    twice = [{"url": "https://x.org", "title": "a"}, {"url": "https://x.org", "title": "b"}]
    error = refused(
        AmbiguousSelectorError,
        {"op": "edit_insight", "insight": I1, "citations": twice},
        {"op": "remove_citation", "insight": I1, "citation": {"url": "https://x.org"}},
    )
    assert [row["title"] for row in error.details["candidates"]] == ["a", "b"]


def test_a_ref_names_one_item_only() -> None:
    error = refused(
        InvalidInputError,
        {"op": "add_section", "title": "x", "ref": "r"},
        {"op": "add_section", "title": "y", "insights": [{"summary": "z", "ref": "r"}]},
    )
    assert error.details["path"] == "changes[1].insights[0].ref"


def test_the_first_invalid_change_stops_the_call_without_effect() -> None:
    outline = small_outline()
    before = outline_bytes(outline)
    error = refused(
        ItemNotFoundError,
        {"op": "remove_section", "section": S1},
        {"op": "edit_section", "section": "Findings", "content": "too late"},
        outline=outline,
    )
    assert error.details["path"] == "changes[1].section"
    assert outline_bytes(outline) == before


BIG = "ü" * (vocabulary.MAX_SECTION_BYTES // 2)
LIMITS: list[tuple[list[Fields], str, int]] = [
    ([{"op": "set_title", "title": "x" * 501}], "changes[0].title", 500),
    ([{"op": "add_tags", "tags": ["x" * 101]}], "changes[0].tags[0]", 100),
    ([{"op": "add_tags", "tags": [str(n) for n in range(199)]}], "changes[0].tags", 200),
    ([{"op": "add_tags", "tags": [str(n) for n in range(201)]}], "changes[0].tags", 200),
    ([{"op": "set_title", "title": "x"}] * 501, "changes", 500),
    ([{"op": "add_section", "title": "x", "content": BIG, "notes": "n"}], "changes[0].content", 1_000_000),
    ([{"op": "edit_section", "section": S2, "content": BIG}], "changes[0].content", 1_000_000),
    ([{"op": "edit_section", "section": S1, "notes": BIG}], "changes[0].notes", 1_000_000),
    ([{"op": "append_text", "section": S1, "text": BIG}], "changes[0].text", 1_000_000),
    (
        [{"op": "edit_text", "section": S1, "find": "two", "replace": BIG[:400_000], "all": True}],
        "changes[0].replace",
        1_000_000,
    ),
]


@pytest.mark.parametrize(("ops", "path", "limit"), LIMITS, ids=[path for _, path, _ in LIMITS])
def test_each_limit_has_its_error(ops: list[Fields], path: str, limit: int) -> None:
    error = refused(TooLargeError, *ops)
    assert (error.details["path"], error.details["limit"]) == (path, limit)


def test_values_at_the_limits_are_accepted() -> None:
    outcome = apply(
        {"op": "set_title", "title": "x" * 500},
        {"op": "add_tags", "tags": [f"{n:0100}" for n in range(198)]},
        {"op": "edit_section", "section": S3, "content": BIG},
    )
    assert outcome.applied == 3


def test_a_section_above_the_limit_can_be_edited_but_not_grow() -> None:
    outline = small_outline()
    outline = outline.model_copy(
        update={"sections": [outline.sections[0].model_copy(update={"content": "end" + BIG})]}
    )
    shorter = {"op": "edit_text", "section": S1, "find": "end", "replace": ""}
    assert apply(shorter, {"op": "edit_section", "section": S1, "title": "x"}, outline=outline).applied == 2
    refused(TooLargeError, {"op": "append_text", "section": S1, "text": "more"}, outline=outline)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ([{"content": "x"}], "sections[0].title"),
        (
            [{"title": "A"}, {"title": "B", "insights": [{"summary": "s", "importance": 12}]}],
            "sections[1].insights[0].importance",
        ),
        ([{"title": "A", "position": "first"}], "sections[0].position"),
        ([{"title": "A", "op": "add_section"}], "sections[0].op"),
        ({"title": "A"}, "sections"),
    ],
)
def test_an_invalid_section_of_a_new_report_is_refused_with_its_path(raw: object, path: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_sections(raw)
    assert caught.value.details["path"] == path
