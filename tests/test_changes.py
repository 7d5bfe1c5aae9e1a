"""What each change does, what is refused and how, and that a call happens whole or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from living_reports import changes as vocabulary
from living_reports.changes import Outcome, apply_changes, parse_changes, parse_sections
from living_reports.changes.apply import _HANDLERS
from living_reports.errors import (
    AmbiguousSelectorError,
    InvalidInputError,
    ItemNotFoundError,
    ReportError,
    TooLargeError,
)
from living_reports.models import (
    Citation,
    CitationSource,
    Insight,
    Outline,
    Section,
    normalised,
    outline_bytes,
    parse_outline,
)
from strategies import outlines

T = "2026-11-01T10:00:00+00:00"
NOW = "2026-11-23T10:00:00.123456+00:00"
S1 = "aaaa1111-0000-4000-8000-000000000001"
S2 = "bbbb2222-0000-4000-8000-000000000002"
S3 = "cccc3333-0000-4000-8000-000000000003"
I1 = "11110000-0000-4000-8000-000000000011"
I2 = "22220000-0000-4000-8000-000000000012"
I3 = "33330000-0000-4000-8000-000000000013"
LOOSE = "44440000-0000-4000-8000-000000000014"

Fields = dict[str, Any]


def start() -> Outline:
    paper = {"source": "document", "path": "a.pdf", "page": "3"}
    web = {"source": "url", "url": "https://e.org", "accessed_at": T}
    data = {
        "report_id": "99990000-0000-4000-8000-000000000000",
        "title": "Health",
        "created_at": T,
        "updated_at": T,
        "sections": [
            {"section_id": S1, "title": "Findings", "content": "one two\ntwo three", "insight_ids": [I1, I2]},
            {"section_id": S2, "title": "Risks", "notes": "quarterly", "insight_ids": [I3]},
            {"section_id": S3, "title": "Outlook"},
        ],
        "insights": [
            {"insight_id": I1, "importance": 3, "summary": "first", "citations": [paper, web]},
            {"insight_id": I2, "importance": 4, "summary": "second", "metadata": {"as_of": "2026-01-01"}},
            {"insight_id": I3, "importance": 5, "summary": "third"},
            {"insight_id": LOOSE, "importance": 1, "summary": "loose"},
        ],
        "metadata": {"tags": ["a", "b"], "status": "active", "owner": {"team": 1}},
    }
    return normalised(Outline.model_validate(data))


def new_ids() -> Callable[[], str]:
    count = itertools.count(1)
    return lambda: f"ffff0000-0000-4000-8000-{next(count):012}"


def run(*changes: Fields, outline: Outline | None = None) -> Outcome:
    parsed = parse_changes(list(changes))
    return apply_changes(outline or start(), parsed, now=NOW, new_id=new_ids())


def section(outcome: Outcome, section_id: str = S1) -> Section:
    return outcome.outline.get_section(section_id)


def insight(outcome: Outcome, insight_id: str = I1) -> Insight:
    return outcome.outline.get_insight(insight_id)


def order(outcome: Outcome) -> list[str]:
    return [each.title for each in outcome.outline.sections]


def refused(error: type[ReportError], *changes: Fields, outline: Outline | None = None) -> ReportError:
    with pytest.raises(error) as caught:
        run(*changes, outline=outline)
    caught.value.message.encode()
    return caught.value


# --- What each op does --------------------------------------------------------------------

EFFECTS: list[tuple[Fields, Callable[[Outcome], object], object]] = [
    ({"op": "set_title", "title": " Health 2 "}, lambda o: o.outline.title, "Health 2"),
    ({"op": "set_status", "status": "archived"}, lambda o: o.outline.status, "archived"),
    ({"op": "add_tags", "tags": ["c", " a ", "c"]}, lambda o: o.outline.tags, ["a", "b", "c"]),
    ({"op": "remove_tags", "tags": ["a", "zz"]}, lambda o: o.outline.tags, ["b"]),
    ({"op": "set_metadata", "key": "k", "value": False}, lambda o: o.outline.metadata["k"], False),
    ({"op": "set_metadata", "key": "owner", "value": None}, lambda o: "owner" in o.outline.metadata, False),
    (
        {"op": "add_section", "title": "New", "position": "first"},
        order,
        ["New", "Findings", "Risks", "Outlook"],
    ),
    (
        {"op": "add_section", "title": "New", "position": "after: findings"},
        order,
        ["Findings", "New", "Risks", "Outlook"],
    ),
    (
        {"op": "add_section", "title": "New", "content": "c", "notes": "n", "content_format": "plain"},
        lambda o: [
            getattr(o.outline.sections[-1], n) for n in ("content", "notes", "content_format", "order")
        ],
        ["c", "n", "plain", 3],
    ),
    (
        {"op": "edit_section", "section": "risks", "title": "Dangers"},
        lambda o: section(o, S2).title,
        "Dangers",
    ),
    ({"op": "edit_section", "section": S1, "content": "new"}, lambda o: section(o).content, "new"),
    ({"op": "edit_section", "section": S1, "clear": ["content"]}, lambda o: section(o).content, None),
    ({"op": "edit_section", "section": S2, "clear": ["notes"]}, lambda o: section(o, S2).notes, None),
    (
        {"op": "edit_text", "section": S1, "find": "one", "replace": "1"},
        lambda o: section(o).content,
        "1 two\ntwo three",
    ),
    (
        {"op": "edit_text", "section": S1, "find": "two", "replace": "", "all": True},
        lambda o: section(o).content,
        "one \n three",
    ),
    (
        {"op": "append_text", "section": S1, "text": "\nfour\n"},
        lambda o: section(o).content,
        "one two\ntwo three\n\nfour\n",
    ),
    ({"op": "append_text", "section": S2, "text": "four"}, lambda o: section(o, S2).content, "four"),
    (
        {"op": "move_section", "section": S3, "position": "before:Findings"},
        order,
        ["Outlook", "Findings", "Risks"],
    ),
    ({"op": "move_section", "section": S1, "position": "last"}, order, ["Risks", "Outlook", "Findings"]),
    (
        {"op": "remove_section", "section": S1},
        lambda o: [i.insight_id for i in o.outline.insights],
        [I3, LOOSE],
    ),
    (
        {"op": "remove_section", "section": S1, "insights_to": "Risks"},
        lambda o: section(o, S2).insight_ids,
        [I3, I1, I2],
    ),
    (
        {"op": "add_insight", "section": S1, "summary": "s", "position": "after:" + I1},
        lambda o: section(o).insight_ids,
        [I1, "ffff0000-0000-4000-8000-000000000001", I2],
    ),
    (
        {"op": "add_insight", "section": S1, "summary": "s"},
        lambda o: (o.outline.insights[-1].importance, o.outline.insights[-1].status),
        (5, "active"),
    ),
    (
        {"op": "add_insight", "section": S1, "summary": "s", "importance": 0, "review_by": "+2w"},
        lambda o: (o.outline.insights[-1].importance, o.outline.insights[-1].metadata),
        (0, {"review_by": "2026-12-07"}),
    ),
    ({"op": "edit_insight", "insight": "1111", "importance": "9"}, lambda o: insight(o).importance, 9),
    ({"op": "edit_insight", "insight": I1, "summary": "new"}, lambda o: insight(o).summary, "new"),
    ({"op": "edit_insight", "insight": I1, "status": "killed"}, lambda o: insight(o).status, "killed"),
    (
        {"op": "edit_insight", "insight": I1, "citations": [{"execution_id": "e"}]},
        lambda o: [q.execution_id for q in insight(o).supporting_queries],
        ["e"],
    ),
    ({"op": "edit_insight", "insight": I1, "clear": ["citations"]}, lambda o: insight(o).citations, []),
    (
        {"op": "edit_insight", "insight": I2, "clear": ["as_of"], "review_by": "2027-01-31"},
        lambda o: insight(o, I2).metadata,
        {"review_by": "2027-01-31"},
    ),
    (
        {"op": "move_insight", "insight": I1, "position": "last"},
        lambda o: section(o).insight_ids,
        [I2, I1],
    ),
    (
        {"op": "move_insight", "insight": I1, "section": "Risks", "position": "before:3333"},
        lambda o: (section(o).insight_ids, section(o, S2).insight_ids),
        ([I2], [I1, I3]),
    ),
    (
        {"op": "move_insight", "insight": LOOSE, "section": "Risks"},
        lambda o: section(o, S2).insight_ids,
        [I3, LOOSE],
    ),
    (
        {"op": "remove_insight", "insight": I1},
        lambda o: (section(o).insight_ids, [i.insight_id for i in o.outline.insights]),
        ([I2], [I2, I3, LOOSE]),
    ),
    (
        {"op": "add_citation", "insight": I3, "citation": {"endpoint": "/v1"}},
        lambda o: insight(o, I3).citations,
        [Citation(source="api", endpoint="/v1", accessed_at=NOW)],
    ),
    (
        {"op": "remove_citation", "insight": I1, "citation": {"page": "3"}},
        lambda o: [c.source for c in insight(o).citations],
        ["url"],
    ),
]


@pytest.mark.parametrize(
    ("change", "see", "expected"), EFFECTS, ids=lambda v: v.get("op") if isinstance(v, dict) else ""
)
def test_an_op_does_what_its_name_says(
    change: Fields, see: Callable[[Outcome], object], expected: object
) -> None:
    outcome = run(change)
    assert see(outcome) == expected
    assert outcome.applied == 1
    assert normalised(outcome.outline) is outcome.outline
    assert parse_outline(outline_bytes(outcome.outline)) == outcome.outline
    filled = dict.fromkeys(vocabulary.CHANGE_FIELDS, "") | dict.fromkeys(["clear", "tags", "value"]) | change
    assert run(filled).outline == outcome.outline, "fields that are not stated must not matter"


def test_every_op_is_shown_and_has_its_function() -> None:
    assert list(_HANDLERS) == list(vocabulary.OPS)
    assert {change["op"] for change, *_ in EFFECTS} == set(vocabulary.OPS)


NOTHING: list[Fields] = [
    {"op": "set_title", "title": "Health"},
    {"op": "set_status", "status": "active"},
    {"op": "add_tags", "tags": ["b", "a"]},
    {"op": "remove_tags", "tags": ["zz"]},
    {"op": "set_metadata", "key": "owner", "value": {"team": 1}},
    {"op": "set_metadata", "key": "none", "value": None},
    {"op": "edit_section", "section": S1, "title": "Findings", "clear": ["notes"]},
    {"op": "edit_text", "section": S1, "find": "one", "replace": "one"},
    {"op": "move_section", "section": S1, "position": "first"},
    {"op": "move_section", "section": S1, "position": "before:" + S1},
    {"op": "edit_insight", "insight": I2, "importance": 4, "as_of": "2026-01-01", "clear": ["citations"]},
    {"op": "move_insight", "insight": I1, "position": "before:" + I2},
    {"op": "move_insight", "insight": I1, "position": "after:" + I1},
    {
        "op": "add_citation",
        "insight": I1,
        "citation": {"path": "a.pdf", "page": "3"},
    },
]


@pytest.mark.parametrize("change", NOTHING, ids=lambda change: change["op"])
def test_a_change_that_alters_nothing_gives_the_same_outline(change: Fields) -> None:
    outline = start()
    outcome = run(change, outline=outline)
    assert outcome.outline is outline
    assert outcome.applied == 0
    assert outcome.created == {}


def test_one_true_and_a_float_are_different_metadata() -> None:
    outcome = run({"op": "set_metadata", "key": "owner", "value": {"team": True}})
    assert outcome.applied == 1
    assert outcome.outline.metadata["owner"]["team"] is True


def test_changes_that_cancel_out_alter_nothing() -> None:
    outline = start()
    outcome = run(
        {"op": "edit_insight", "insight": I1, "importance": 9},
        {"op": "add_insight", "section": S2, "summary": "x", "ref": "x"},
        {"op": "edit_insight", "insight": I1, "importance": 3},
        {"op": "remove_insight", "insight": "x"},
        outline=outline,
    )
    assert outcome.outline is outline
    assert (outcome.applied, outcome.created) == (0, {})


def test_an_edit_that_states_nothing_is_named_in_a_warning() -> None:
    outcome = run({"op": "edit_section", "section": S1, "content": ""}, {"op": "set_title", "title": "T"})
    assert outcome.applied == 1
    assert outcome.warnings == [
        "changes[0] states nothing to change; to empty a field say clear (notes, content)."
    ]


# --- What is shared, stamped and reported -------------------------------------------------


def test_what_was_not_touched_is_shared_and_keeps_its_time() -> None:
    outline = start()
    before = outline_bytes(outline)
    outcome = run({"op": "edit_insight", "insight": I1, "importance": 9}, outline=outline)
    assert outcome.outline.sections is outline.sections
    assert [new is old for new, old in zip(outcome.outline.insights, outline.insights, strict=True)] == [
        False,
        True,
        True,
        True,
    ]
    assert (insight(outcome).updated_at, insight(outcome).created_at) == (NOW, T)
    assert (outcome.outline.updated_at, outcome.outline.outline_version) == (T, 1)
    assert outline_bytes(outline) == before


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"op": "move_insight", "insight": I1, "section": S2}, {S1, S2}),
        ({"op": "add_insight", "section": S2, "summary": "x"}, {S2}),
        ({"op": "remove_insight", "insight": I1}, {S1}),
        ({"op": "move_section", "section": S3, "position": "first"}, set()),
        ({"op": "remove_section", "section": S1, "insights_to": S3}, {S3}),
    ],
)
def test_a_section_is_touched_by_its_insights_but_not_by_its_place(change: Fields, touched: set[str]) -> None:
    outcome = run(change)
    assert {s.section_id for s in outcome.outline.sections if s.updated_at == NOW} == touched


def test_created_lists_new_items_with_whole_ids() -> None:
    outcome = run(
        {
            "op": "add_section",
            "title": "New",
            "ref": "new",
            "insights": [{"summary": "one", "importance": 7, "ref": "one"}, {"summary": "two"}],
        },
        {"op": "add_insight", "section": "New", "summary": "three", "position": "before:one"},
        {"op": "edit_insight", "insight": "one", "importance": "10"},
        {"op": "edit_section", "section": "new", "title": "Newer"},
    )
    one, two, new, three = (f"ffff0000-0000-4000-8000-{n:012}" for n in range(1, 5))
    assert outcome.created == {
        "sections": [{"section_id": new, "title": "Newer"}],
        "insights": [{"insight_id": each, "section_id": new} for each in (three, one, two)],
    }
    assert insight(outcome, one).importance == 10
    assert insight(outcome, one).updated_at == NOW


def test_a_ref_wins_over_a_title() -> None:
    outcome = run(
        {"op": "add_section", "title": "Risks", "ref": "Findings"},
        {"op": "edit_section", "section": "Findings", "content": "mine"},
    )
    assert outcome.outline.sections[-1].content == "mine"
    assert section(outcome).content == "one two\ntwo three"


@pytest.mark.parametrize(
    ("ops", "action_type"),
    [
        ([{"op": "set_title", "title": "x"}], "rename"),
        ([{"op": "add_tags", "tags": ["x"]}, {"op": "remove_tags", "tags": ["a"]}], "tag_update"),
        ([{"op": "set_status", "status": "deleted"}], "status_change"),
        ([{"op": "set_title", "title": "x"}, {"op": "add_tags", "tags": ["x"]}], "evolve"),
        ([{"op": "edit_section", "section": S1, "title": "x"}], "evolve"),
    ],
)
def test_the_action_type_is_the_one_all_changes_share(ops: list[Fields], action_type: str) -> None:
    assert run(*ops).action_type == action_type


# --- Values -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_as", "kept_as"),
    [
        ("2026-02-28", "2026-02-28"),
        ("2026-02-28T23:30:00-02:00", "2026-03-01T01:30:00+00:00"),
        ("2026-02-28T23:30:00Z", "2026-02-28T23:30:00+00:00"),
        ("2026-02-28 23:30", "2026-02-28T23:30:00+00:00"),
        ("+7d", "2026-11-30"),
        ("+4w", "2026-12-21"),
        ("+3m", "2027-02-23"),
    ],
)
def test_days_times_and_spans(given_as: str, kept_as: str) -> None:
    outcome = run({"op": "edit_insight", "insight": I1, "review_by": given_as})
    assert insight(outcome).metadata == {"review_by": kept_as}


@pytest.mark.parametrize(
    ("now", "span", "day"),
    [
        ("2026-01-31T23:59:00+00:00", "+1m", "2026-02-28"),
        ("2028-01-31T00:00:00+00:00", "+1m", "2028-02-29"),
        ("2026-08-31T00:00:00+00:00", "+18m", "2028-02-29"),
        ("2026-12-15T00:00:00+00:00", "+12m", "2027-12-15"),
    ],
)
def test_months_are_those_of_the_calendar(now: str, span: str, day: str) -> None:
    parsed = parse_changes([{"op": "edit_insight", "insight": I1, "as_of": span}])
    outcome = apply_changes(start(), parsed, now=now, new_id=new_ids())
    assert insight(outcome).metadata["as_of"] == day


@pytest.mark.parametrize(
    ("stated", "source", "dated"),
    [
        ({"url": "https://x.org", "path": "p", "query_id": "q"}, "url", True),
        ({"path": "p", "query_id": "q"}, "document", False),
        ({"query_id": "q", "endpoint": "e"}, "query", False),
        ({"execution_id": "q", "url": ""}, "query", False),
        ({"endpoint": "e"}, "api", True),
        ({"description": "seen"}, "observation", False),
        ({"source": "api", "url": "https://x.org"}, "api", True),
        ({"source": "document", "path": "p", "response_hash": "ab"}, "document", False),
    ],
)
def test_the_source_of_a_citation_is_inferred_and_written(stated: Fields, source: str, dated: bool) -> None:
    [citation] = insight(run({"op": "add_citation", "insight": I3, "citation": stated}), I3).citations
    assert citation.source == source
    assert citation.accessed_at == (NOW if dated else None)


def test_a_stated_access_time_is_kept() -> None:
    citation = {"url": "https://x.org", "accessed_at": T}
    outcome = run({"op": "add_citation", "insight": I3, "citation": citation})
    assert insight(outcome, I3).citations[0].accessed_at == T


@pytest.mark.parametrize("content", ["a", "a\n", "a\n\n", "a\r\n\r\n\r\n"])
def test_appended_text_follows_one_blank_line(content: str) -> None:
    outcome = run(
        {"op": "edit_section", "section": S1, "content": content},
        {"op": "append_text", "section": S1, "text": "\n\nb\n"},
    )
    assert section(outcome).content == "a\n\nb\n"


# --- What is refused ----------------------------------------------------------------------

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
        {"allowed": ["notes", "content"], "did_you_mean": "notes"},
    ),
    ({"op": "edit_section", "section": S1, "notes": "x", "clear": ["notes"]}, ".clear[0]", {}),
    ({"op": "edit_text", "section": S1, "find": "one"}, ".replace", {}),
    ({"op": "edit_text", "section": S1, "find": "", "replace": "x"}, ".find", {}),
    ({"op": "edit_text", "section": S1, "find": "one", "replace": "x", "all": "yes"}, ".all", {}),
    ({"op": "append_text", "section": S1, "text": " \n"}, ".text", {}),
    ({"op": "move_section", "section": S1}, ".position", {}),
    ({"op": "remove_section", "section": S1, "insights_to": "Findings"}, ".insights_to", {}),
    ({"op": "add_insight", "summary": "x"}, ".section", {}),
    ({"op": "add_insight", "section": S1, "summary": "x", "position": "after:" + I3}, ".position", {}),
    ({"op": "move_insight", "insight": I1}, ".position", {}),
    ({"op": "move_insight", "insight": LOOSE, "position": "first"}, ".section", {}),
    (EDIT | {"importance": 11}, ".importance", {"allowed": list(range(11))}),
    (EDIT | {"importance": -1}, ".importance", {}),
    (EDIT | {"importance": "9" * 5000}, ".importance", {}),
    (EDIT | {"importance": "\u0667"}, ".importance", {}),
    (EDIT | {"importance": True}, ".importance", {}),
    (EDIT | {"importance": 7.0}, ".importance", {}),
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
    (CITE | {"citation": {}}, ".citation", {}),
    (CITE | {"citation": {"url": ""}}, ".citation", {}),
    (CITE | {"citation": {"urll": "x"}}, ".citation.urll", {"did_you_mean": "url"}),
    (CITE | {"citation": {"url": 3}}, ".citation.url", {}),
    (CITE | {"citation": {"source": "web"}}, ".citation.source", {"allowed": list(get_args(CitationSource))}),
]


@pytest.mark.parametrize(
    ("change", "path", "details"), REFUSED, ids=lambda v: v if isinstance(v, str) else ""
)
def test_bad_input_is_refused_with_its_path_and_what_is_valid(
    change: Any, path: str, details: Fields
) -> None:
    error = refused(InvalidInputError, {"op": "set_title", "title": "fine"}, change)
    assert error.details["path"] == "changes[1]" + path
    assert error.message.startswith(error.details["path"])
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
def test_what_is_not_there_is_refused_with_what_is_near(change: Fields, path: str, near: Fields) -> None:
    error = refused(ItemNotFoundError, {"op": "set_title", "title": "fine"}, change)
    assert error.details["path"] == "changes[1]" + path
    assert any(row | near == row for row in error.details["near"])


def test_a_missed_find_says_if_the_notes_contain_it() -> None:
    change = {"op": "edit_text", "section": S2, "find": "quarterly", "replace": "yearly"}
    error = refused(ItemNotFoundError, change)
    assert "notes" in error.hint
    assert error.details["near"] == []


def test_a_long_line_is_shown_where_it_is_similar() -> None:
    content = "lorem ipsum " * 50 + "the quick brown fox jumps" + " dolor sit" * 50
    error = refused(
        ItemNotFoundError,
        {"op": "edit_section", "section": S1, "content": content},
        {"op": "edit_text", "section": S1, "find": "the quikc brown fox", "replace": ""},
    )
    [near] = error.details["near"]
    assert "the quick brown fox" in near["text"]
    assert len(near["text"]) <= 100


def test_several_hits_are_shown_with_where_they_are() -> None:
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


def test_the_first_bad_change_stops_the_call_and_nothing_happened() -> None:
    outline = start()
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


def test_what_is_just_within_the_limits_is_accepted() -> None:
    outcome = run(
        {"op": "set_title", "title": "x" * 500},
        {"op": "add_tags", "tags": [f"{n:0100}" for n in range(198)]},
        {"op": "edit_section", "section": S3, "content": BIG},
    )
    assert outcome.applied == 3


def test_a_section_that_came_too_large_can_be_edited_but_not_grow() -> None:
    outline = start()
    outline = outline.model_copy(
        update={"sections": [outline.sections[0].model_copy(update={"content": "end" + BIG})]}
    )
    shorter = {"op": "edit_text", "section": S1, "find": "end", "replace": ""}
    assert run(shorter, {"op": "edit_section", "section": S1, "title": "x"}, outline=outline).applied == 2
    refused(TooLargeError, {"op": "append_text", "section": S1, "text": "more"}, outline=outline)


# --- The sections of a new report ---------------------------------------------------------


def test_the_sections_of_a_new_report_become_add_section_changes() -> None:
    empty = start().model_copy(update={"sections": [], "insights": []})
    parsed = parse_sections(
        [{"title": "A", "content": "a", "insights": [{"summary": "s", "importance": "8"}]}, {"title": "B"}]
    )
    outcome = apply_changes(empty, parsed, now=NOW, new_id=new_ids())
    assert order(outcome) == ["A", "B"]
    assert [i.importance for i in outcome.outline.insights] == [8]
    assert (outcome.applied, len(outcome.created["sections"])) == (2, 2)
    assert parse_sections(None) == parse_sections([]) == []


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
def test_a_bad_section_of_a_new_report_is_refused_with_its_path(raw: object, path: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_sections(raw)
    assert caught.value.details["path"] == path


# --- Any valid call -----------------------------------------------------------------------

WORDS = st.sampled_from(["", "a", "two words", "😀 naïve", "one\n\ntwo\n", "0", "  x"])
LABELS = st.sampled_from(["A", "Überblick", "風險", "a b"])
DAYS = st.sampled_from(["2026-02-28", "+7d", "+1m", "2026-02-28T10:00:00+02:00", ""])
CITED = st.fixed_dictionaries(
    {"title": LABELS}, optional={"url": WORDS, "path": WORDS, "execution_id": WORDS, "accessed_at": DAYS}
)
NEW_INSIGHT = {
    "importance": st.integers(0, 10) | st.integers(0, 10).map(str),
    "status": st.sampled_from(["active", "archived", "killed", ""]),
    "citations": st.lists(CITED, max_size=2),
    "as_of": DAYS,
    "review_by": DAYS,
}
PROSE = {"content": WORDS, "notes": WORDS, "content_format": st.sampled_from(["html", "plain", ""])}
ENDS = st.sampled_from(["first", "last"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | LABELS,
    lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(LABELS, inner, max_size=2),
    max_leaves=4,
)


def fields(op: str, required: Fields, optional: Fields | None = None) -> st.SearchStrategy[Fields]:
    return st.fixed_dictionaries({"op": st.just(op), **required}, optional=optional or {})


def plausible(outline: Outline) -> st.SearchStrategy[Fields]:
    """Changes that are valid in themselves; an earlier one may have taken what they name."""
    new = st.fixed_dictionaries({"summary": LABELS}, optional=NEW_INSIGHT)
    ops = [
        fields("set_title", {"title": LABELS}),
        fields("set_status", {"status": st.sampled_from(["active", "archived", "deleted"])}),
        fields("add_tags", {"tags": st.lists(LABELS, min_size=1)}),
        fields("remove_tags", {"tags": st.lists(LABELS, min_size=1)}),
        fields("set_metadata", {"key": LABELS, "value": JSON}),
        fields(
            "add_section",
            {"title": LABELS},
            {**PROSE, "insights": st.lists(new, max_size=2), "position": ENDS},
        ),
    ]
    if outline.sections:
        ids = st.sampled_from([s.section_id for s in outline.sections])
        spot = ENDS | ids.map("before:{}".format) | ids.map("after:{}".format)
        one = {"section": ids}
        ops += [
            fields("edit_section", one, {**PROSE, "title": LABELS}),
            fields("edit_section", one, {"clear": st.lists(st.sampled_from(["content", "notes"]))}),
            fields("edit_text", {**one, "find": LABELS, "replace": WORDS, "all": st.booleans()}),
            fields("append_text", {**one, "text": LABELS}),
            fields("move_section", {**one, "position": spot}),
            fields("remove_section", one, {"insights_to": ids}),
            fields("add_insight", {**one, "summary": LABELS}, {**NEW_INSIGHT, "position": ENDS}),
        ]
    if outline.insights:
        ids = st.sampled_from([i.insight_id for i in outline.insights])
        spot = ENDS | ids.map("before:{}".format) | ids.map("after:{}".format)
        one = {"insight": ids}
        homes = [s.section_id for s in outline.sections]
        clear = st.lists(st.sampled_from(["as_of", "review_by", "citations"]))
        ops += [
            fields("edit_insight", one, {"summary": LABELS, **NEW_INSIGHT}),
            fields("edit_insight", one, {"clear": clear}),
            fields("move_insight", {**one, "position": spot}, {"section": st.sampled_from([*homes, ""])}),
            fields("remove_insight", one),
            fields("add_citation", {**one, "citation": CITED}),
            fields("remove_citation", {**one, "citation": CITED}),
        ]
    return st.one_of(ops)


@given(st.data(), outlines())
def test_any_valid_call_gives_a_normalised_outline_that_reads_back(
    data: st.DataObject, outline: Outline
) -> None:
    before = outline_bytes(outline)
    for raw in data.draw(st.lists(plausible(outline), min_size=1, max_size=6)):
        try:
            after = run(raw, outline=outline)
        except (ItemNotFoundError, InvalidInputError, AmbiguousSelectorError):
            assert outline_bytes(outline) == before
            continue
        written = outline_bytes(after.outline)
        assert normalised(after.outline) is after.outline
        assert parse_outline(written) == after.outline
        assert outline_bytes(parse_outline(written)) == written
        assert (after.applied == 0) == (after.outline is outline) == (written == before)
        outline, before = after.outline, written


@given(st.data(), outlines())
def test_one_call_leads_where_its_changes_lead_one_by_one(data: st.DataObject, outline: Outline) -> None:
    done: list[Fields] = []
    outcome = None
    for raw in data.draw(st.lists(plausible(outline), min_size=1, max_size=6)):
        try:
            outcome = run(*done, raw, outline=outline)
        except ReportError:
            continue
        done.append(raw)
    if outcome is None:
        return
    ids, step = new_ids(), outline
    for raw in done:
        step = apply_changes(step, parse_changes([raw]), now=NOW, new_id=ids).outline
    assert untimed(step) == untimed(outcome.outline)


def untimed(outline: Outline) -> Outline:
    """Without the times of its items: a detour leaves them on the way, one call does not."""
    items = {
        name: [item.model_copy(update={"updated_at": ""}) for item in getattr(outline, name)]
        for name in ("sections", "insights")
    }
    return outline.model_copy(update=items)
