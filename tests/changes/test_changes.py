"""The effect of each op, the objects that the result shares with its origin, and the outcome."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from living_reports import changes as vocabulary
from living_reports.changes import Outcome, apply_changes, parse_changes, parse_sections
from living_reports.changes.apply import _HANDLERS
from living_reports.model.report import Citation, normalised, outline_bytes, parse_outline
from support.small_outline import (
    CREATED_AT,
    I1,
    I2,
    I3,
    LOOSE,
    NOW,
    S1,
    S2,
    S3,
    Fields,
    apply,
    counting_ids,
    insight_of,
    section_of,
    section_titles,
    small_outline,
)

# --- Ops ----------------------------------------------------------------------------------

EFFECTS: list[tuple[Fields, Callable[[Outcome], object], object]] = [
    ({"op": "set_title", "title": " Health 2 "}, lambda o: o.outline.title, "Health 2"),
    ({"op": "set_status", "status": "archived"}, lambda o: o.outline.status, "archived"),
    ({"op": "add_tags", "tags": ["c", " a ", "c"]}, lambda o: o.outline.tags, ["a", "b", "c"]),
    ({"op": "remove_tags", "tags": ["a", "zz"]}, lambda o: o.outline.tags, ["b"]),
    ({"op": "set_metadata", "key": "k", "value": False}, lambda o: o.outline.metadata["k"], False),
    ({"op": "set_metadata", "key": "owner", "value": None}, lambda o: "owner" in o.outline.metadata, False),
    (
        {"op": "add_section", "title": "New", "position": "first"},
        section_titles,
        ["New", "Findings", "Risks", "Outlook"],
    ),
    (
        {"op": "add_section", "title": "New", "position": "after: findings"},
        section_titles,
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
        lambda o: section_of(o, S2).title,
        "Dangers",
    ),
    ({"op": "edit_section", "section": S1, "content": "new"}, lambda o: section_of(o).content, "new"),
    ({"op": "edit_section", "section": S1, "clear": ["content"]}, lambda o: section_of(o).content, None),
    ({"op": "edit_section", "section": S2, "clear": ["notes"]}, lambda o: section_of(o, S2).notes, None),
    (
        {"op": "edit_text", "section": S1, "find": "one", "replace": "1"},
        lambda o: section_of(o).content,
        "1 two\ntwo three",
    ),
    (
        {"op": "edit_text", "section": S1, "find": "two", "replace": "", "all": True},
        lambda o: section_of(o).content,
        "one \n three",
    ),
    (
        {"op": "append_text", "section": S1, "text": "\nfour\n"},
        lambda o: section_of(o).content,
        "one two\ntwo three\n\nfour\n",
    ),
    ({"op": "append_text", "section": S2, "text": "four"}, lambda o: section_of(o, S2).content, "four"),
    (
        {"op": "move_section", "section": S3, "position": "before:Findings"},
        section_titles,
        ["Outlook", "Findings", "Risks"],
    ),
    (
        {"op": "move_section", "section": S1, "position": "last"},
        section_titles,
        ["Risks", "Outlook", "Findings"],
    ),
    (
        {"op": "remove_section", "section": S1},
        lambda o: [i.insight_id for i in o.outline.insights],
        [I3, LOOSE],
    ),
    (
        {"op": "remove_section", "section": S1, "insights_to": "Risks"},
        lambda o: section_of(o, S2).insight_ids,
        [I3, I1, I2],
    ),
    (
        {"op": "add_insight", "section": S1, "summary": "s", "position": "after:" + I1},
        lambda o: section_of(o).insight_ids,
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
    ({"op": "edit_insight", "insight": "1111", "importance": "9"}, lambda o: insight_of(o).importance, 9),
    ({"op": "edit_insight", "insight": "1111", "importance": 9.0}, lambda o: insight_of(o).importance, 9),
    ({"op": "edit_insight", "insight": I1, "summary": "new"}, lambda o: insight_of(o).summary, "new"),
    ({"op": "edit_insight", "insight": I1, "status": "killed"}, lambda o: insight_of(o).status, "killed"),
    (
        {"op": "edit_insight", "insight": I1, "citations": [{"execution_id": "e"}]},
        lambda o: [q.execution_id for q in insight_of(o).supporting_queries],
        ["e"],
    ),
    ({"op": "edit_insight", "insight": I1, "clear": ["citations"]}, lambda o: insight_of(o).citations, []),
    (
        {"op": "edit_insight", "insight": I2, "clear": ["as_of"], "review_by": "2027-01-31"},
        lambda o: insight_of(o, I2).metadata,
        {"review_by": "2027-01-31"},
    ),
    (
        {"op": "move_insight", "insight": I1, "position": "last"},
        lambda o: section_of(o).insight_ids,
        [I2, I1],
    ),
    (
        {"op": "move_insight", "insight": I1, "section": "Risks", "position": "before:3333"},
        lambda o: (section_of(o).insight_ids, section_of(o, S2).insight_ids),
        ([I2], [I1, I3]),
    ),
    (
        {"op": "move_insight", "insight": LOOSE, "section": "Risks"},
        lambda o: section_of(o, S2).insight_ids,
        [I3, LOOSE],
    ),
    (
        {"op": "remove_insight", "insight": I1},
        lambda o: (section_of(o).insight_ids, [i.insight_id for i in o.outline.insights]),
        ([I2], [I2, I3, LOOSE]),
    ),
    (
        {"op": "add_citation", "insight": I3, "citation": {"endpoint": "/v1"}},
        lambda o: insight_of(o, I3).citations,
        [Citation(source="api", endpoint="/v1")],
    ),
    (
        {"op": "add_citation", "section": S3, "citation": {"endpoint": "/v1"}},
        lambda o: section_of(o, S3).citations,
        [Citation(source="api", endpoint="/v1")],
    ),
    (
        {"op": "edit_section", "section": S2, "citations": [{"url": "u"}, {"url": "u"}]},
        lambda o: section_of(o, S2).citations,
        [Citation(source="url", url="u")],
    ),
    (
        {"op": "remove_citation", "insight": I1, "citation": {"page": "3"}},
        lambda o: [c.source for c in insight_of(o).citations],
        ["url"],
    ),
]


@pytest.mark.parametrize(
    ("change", "see", "expected"), EFFECTS, ids=lambda v: v.get("op") if isinstance(v, dict) else ""
)
def test_an_op_has_its_effect(change: Fields, see: Callable[[Outcome], object], expected: object) -> None:
    outcome = apply(change)
    assert see(outcome) == expected
    assert outcome.applied == 1
    assert normalised(outcome.outline) is outcome.outline
    assert parse_outline(outline_bytes(outcome.outline)) == outcome.outline
    filled = dict.fromkeys(vocabulary.CHANGE_FIELDS, "") | dict.fromkeys(["clear", "tags", "value"]) | change
    assert apply(filled).outline == outcome.outline, "fields that are not stated must not matter"


def test_every_op_has_an_example_and_a_function() -> None:
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
    outline = small_outline()
    outcome = apply(change, outline=outline)
    assert outcome.outline is outline
    assert outcome.applied == 0
    assert outcome.created == {}


def test_one_true_and_a_float_are_different_metadata() -> None:
    outcome = apply({"op": "set_metadata", "key": "owner", "value": {"team": True}})
    assert outcome.applied == 1
    assert outcome.outline.metadata["owner"]["team"] is True


def test_changes_that_cancel_out_alter_nothing() -> None:
    outline = small_outline()
    outcome = apply(
        {"op": "edit_insight", "insight": I1, "importance": 9},
        {"op": "add_insight", "section": S2, "summary": "x", "ref": "x"},
        {"op": "edit_insight", "insight": I1, "importance": 3},
        {"op": "remove_insight", "insight": "x"},
        outline=outline,
    )
    assert outcome.outline is outline
    assert (outcome.applied, outcome.created) == (0, {})


def test_an_edit_without_fields_is_named_in_a_warning() -> None:
    outcome = apply({"op": "edit_section", "section": S1, "content": ""}, {"op": "set_title", "title": "T"})
    assert outcome.applied == 1
    assert outcome.warnings == [
        "changes[0] has no field to change; to empty a field, name it in clear (notes, content, citations)."
    ]


# --- Shared objects, times and outcomes ---------------------------------------------------


def test_untouched_items_are_shared_and_keep_their_time() -> None:
    outline = small_outline()
    before = outline_bytes(outline)
    outcome = apply({"op": "edit_insight", "insight": I1, "importance": 9}, outline=outline)
    assert outcome.outline.sections is outline.sections
    assert [new is old for new, old in zip(outcome.outline.insights, outline.insights, strict=True)] == [
        False,
        True,
        True,
        True,
    ]
    assert (insight_of(outcome).updated_at, insight_of(outcome).created_at) == (NOW, CREATED_AT)
    assert (outcome.outline.updated_at, outcome.outline.outline_version) == (CREATED_AT, 1)
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
def test_a_section_changes_with_its_insights_but_not_with_its_position(
    change: Fields, touched: set[str]
) -> None:
    outcome = apply(change)
    assert {s.section_id for s in outcome.outline.sections if s.updated_at == NOW} == touched


def test_created_lists_new_items_with_whole_ids() -> None:
    outcome = apply(
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
    assert insight_of(outcome, one).importance == 10
    assert insight_of(outcome, one).updated_at == NOW


def test_a_ref_takes_precedence_over_a_title() -> None:
    outcome = apply(
        {"op": "add_section", "title": "Risks", "ref": "Findings"},
        {"op": "edit_section", "section": "Findings", "content": "mine"},
    )
    assert outcome.outline.sections[-1].content == "mine"
    assert section_of(outcome).content == "one two\ntwo three"


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
    assert apply(*ops).action_type == action_type


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
    outcome = apply({"op": "edit_insight", "insight": I1, "review_by": given_as})
    assert insight_of(outcome).metadata == {"review_by": kept_as}


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
    outcome = apply_changes(small_outline(), parsed, now=now, new_id=counting_ids())
    assert insight_of(outcome).metadata["as_of"] == day


@pytest.mark.parametrize(
    ("stated", "source"),
    [
        ({"url": "https://x.org", "path": "p", "query_id": "q"}, "url"),
        ({"path": "p", "query_id": "q"}, "document"),
        ({"query_id": "q", "endpoint": "e"}, "query"),
        ({"execution_id": "q", "url": ""}, "query"),
        ({"endpoint": "e"}, "api"),
        ({"description": "seen"}, "observation"),
        ({"source": "api", "url": "https://x.org"}, "api"),
        ({"source": "document", "path": "p", "response_hash": "ab"}, "document"),
    ],
)
def test_the_source_of_a_citation_is_inferred_and_no_time_is(stated: Fields, source: str) -> None:
    [citation] = insight_of(apply({"op": "add_citation", "insight": I3, "citation": stated}), I3).citations
    assert citation.source == source
    assert (citation.accessed_at, citation.observed_at) == (None, None)


def test_a_given_access_time_is_kept() -> None:
    citation = {"url": "https://x.org", "accessed_at": CREATED_AT}
    outcome = apply({"op": "add_citation", "insight": I3, "citation": citation})
    assert insight_of(outcome, I3).citations[0].accessed_at == CREATED_AT


@pytest.mark.parametrize(
    ("content", "end"), [("a", "\n"), ("a\n", "\n"), ("a\n\n", "\n"), ("a\r\n\r\n\r\n", "\r\n")]
)
def test_appended_text_follows_one_blank_line(content: str, end: str) -> None:
    outcome = apply(
        {"op": "edit_section", "section": S1, "content": content},
        {"op": "append_text", "section": S1, "text": "\n\nb\n"},
    )
    assert section_of(outcome).content == f"a{end}{end}b{end}"


# --- The sections of a new report ---------------------------------------------------------


def test_the_sections_of_a_new_report_become_add_section_changes() -> None:
    empty = small_outline().model_copy(update={"sections": [], "insights": []})
    parsed = parse_sections(
        [{"title": "A", "content": "a", "insights": [{"summary": "s", "importance": "8"}]}, {"title": "B"}]
    )
    outcome = apply_changes(empty, parsed, now=NOW, new_id=counting_ids())
    assert section_titles(outcome) == ["A", "B"]
    assert [i.importance for i in outcome.outline.insights] == [8]
    assert (outcome.applied, len(outcome.created["sections"])) == (2, 2)
    assert parse_sections(None) == parse_sections([]) == []
