"""Forks and combinations of reports: complete content, new ids, and citations of the sources."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from living_reports.changes import MAX_TITLE_CHARS
from living_reports.errors import InvalidInputError
from living_reports.library.combine import Combined, combine
from living_reports.model.references import cited_version
from living_reports.model.report import (
    Citation,
    Insight,
    Outline,
    Section,
    normalised,
    outline_bytes,
    parse_outline,
)
from living_reports.reading.check import findings
from support.small_outline import CREATED_AT, I1, NOW, S1, counting_ids, small_outline
from support.strategies import outlines

HEALTH = small_outline().model_copy(update={"outline_version": 4})


def costs(**fields: Any) -> Outline:
    data = {
        "report_id": "77770000-0000-4000-8000-000000000000",
        "title": "Costs",
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
        "outline_version": 9,
        "sections": [
            {"section_id": S1, "title": "RISKS ", "content": "high", "insight_ids": [I1, "gone"]},
            {"section_id": I1, "title": "Prices"},
        ],
        "insights": [{"insight_id": I1, "importance": 7, "summary": "dear", "status": "killed"}],
        "metadata": {"tags": ["c", "b"], "status": "archived", "owner": "ann"},
    }
    return Outline.model_validate(data | fields)


def combined(*sources: Outline) -> Combined:
    return combine(sources, now=NOW, new_id=counting_ids())


def as_outline(content: Combined) -> Outline:
    """Return the new report after a round trip through its file."""
    outline = Outline(
        report_id="12340000-0000-4000-8000-000000000000",
        title="New",
        created_at=NOW,
        updated_at=NOW,
        sections=content.sections,
        insights=content.insights,
        metadata={"tags": content.tags, "from_reports": content.from_reports},
    )
    assert normalised(outline) is outline
    return parse_outline(outline_bytes(outline))


# --- Copies -------------------------------------------------------------------------------


def test_a_fork_has_all_of_its_source_in_order_under_new_ids() -> None:
    before = outline_bytes(HEALTH)
    fork = as_outline(combined(HEALTH))
    assert outline_bytes(HEALTH) == before
    assert [(s.title, s.content, s.notes) for s in fork.sections] == [
        (s.title, s.content, s.notes) for s in HEALTH.sections
    ]
    assert [(i.summary, i.importance, i.metadata) for i in fork.insights] == [
        (i.summary, i.importance, i.metadata) for i in HEALTH.insights
    ]
    assert [[fork.get_insight(i).summary for i in s.insight_ids] for s in fork.sections] == [
        ["first", "second"],
        ["third"],
        [],
    ]
    old = {s.section_id for s in HEALTH.sections} | {i.insight_id for i in HEALTH.insights}
    new = [s.section_id for s in fork.sections] + [i.insight_id for i in fork.insights]
    assert len(set(new)) == len(new)
    assert old.isdisjoint(new)
    items: list[Section | Insight] = [*fork.sections, *fork.insights]
    assert {time for item in items for time in (item.created_at, item.updated_at)} == {NOW}


def test_a_combination_has_one_source_after_the_other() -> None:
    both = combined(HEALTH, costs())
    outline = as_outline(both)
    assert [s.title for s in outline.sections] == [
        "Findings",
        "Risks (Health)",
        "Outlook",
        "RISKS (Costs)",
        "Prices",
    ]
    assert [i.summary for i in outline.insights] == ["first", "second", "third", "loose", "dear"]
    assert outline.insights[-1].status == "killed"
    assert outline.sections[3].insight_ids == [outline.insights[-1].insight_id]
    assert both.tags == ["a", "b", "c"]
    assert both.from_reports == [
        {"report_id": HEALTH.report_id, "version": 4},
        {"report_id": costs().report_id, "version": 9},
    ]


def test_an_insight_that_two_sections_of_an_old_file_name_stays_in_the_first() -> None:
    source = costs()
    sections = [s.model_copy(update={"insight_ids": [I1]}) for s in source.sections]
    copy = combined(source.model_copy(update={"sections": sections}))
    assert [len(section.insight_ids) for section in copy.sections] == [1, 0]


def test_an_empty_report_can_be_forked() -> None:
    assert as_outline(combined(costs(sections=[], insights=[]))).sections == []


# --- Titles -------------------------------------------------------------------------------


def test_a_title_twice_in_one_report_stays_unchanged() -> None:
    sections = [{"section_id": S1, "title": "A"}, {"section_id": I1, "title": "A"}]
    assert [s.title for s in combined(costs(sections=sections)).sections] == ["A", "A"]
    other = costs(report_id=S1, title="Other", sections=[{"section_id": S1, "title": "B"}])
    assert [s.title for s in combined(costs(sections=sections), other).sections] == ["A", "A", "B"]


def test_reports_of_the_same_title_are_told_apart_by_the_start_of_their_ids() -> None:
    titles = [s.title for s in combined(costs(), costs(report_id=S1, title="costs")).sections]
    assert titles == [
        "RISKS (Costs, 77770000)",
        "Prices (Costs, 77770000)",
        "RISKS (costs, aaaa1111)",
        "Prices (costs, aaaa1111)",
    ]


def test_a_title_in_brackets_stays_within_the_limit() -> None:
    sections = [{"section_id": S1, "title": "x" * MAX_TITLE_CHARS}]
    sources = [costs(report_id=i, title="y" * MAX_TITLE_CHARS, sections=sections) for i in (S1, I1)]
    titles = [section.title for section in combined(*sources).sections]
    assert {len(title) for title in titles} == {MAX_TITLE_CHARS}
    assert len(set(titles)) == 2


# --- Sources ------------------------------------------------------------------------------


def test_each_insight_also_cites_the_version_that_it_was_copied_from() -> None:
    fork = combined(HEALTH)
    origin = Citation(source="url", url=f"report://{HEALTH.report_id}/v/4", title="Health")
    for old, new in zip(HEALTH.insights, fork.insights, strict=True):
        assert new.citations == [*old.citations, origin]
        assert new.supporting_queries == old.supporting_queries
    assert cited_version(origin) == (HEALTH.report_id, 4)


def test_a_fork_of_a_fork_cites_both() -> None:
    child = as_outline(combined(HEALTH))
    grandchild = combined(child)
    assert [cited_version(c) for c in grandchild.insights[1].citations] == [
        (HEALTH.report_id, 4),
        (child.report_id, 1),
    ]


def test_an_insight_that_cites_its_source_already_does_not_cite_it_twice() -> None:
    citations = [{"source": "url", "url": f"report://{costs().report_id}/v/9", "title": "mine"}]
    insights = [{"insight_id": I1, "importance": 1, "summary": "s", "citations": citations}]
    [insight] = combined(costs(insights=insights)).insights
    assert [c.title for c in insight.citations] == ["mine"]


def test_every_copy_has_a_valid_citation() -> None:
    fork = as_outline(combined(HEALTH))
    codes = {finding["code"] for finding in findings(fork, date(2026, 11, 23))}
    assert codes == {"orphaned_insight", "empty_section"}, "as in the source, but for its uncited ones"


# --- Refusals -----------------------------------------------------------------------------


def test_a_report_named_twice_is_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        combined(HEALTH, costs(), HEALTH)
    assert caught.value.details["path"] == "from_reports[2]"
    assert "from_reports[0]" in caught.value.message


# --- Properties ---------------------------------------------------------------------------


@given(st.lists(outlines(), min_size=1, max_size=3, unique_by=lambda outline: outline.report_id))
def test_nothing_is_lost_or_added(sources: list[Outline]) -> None:
    outline = as_outline(combined(*sources))
    assert [s.content for s in outline.sections] == [s.content for o in sources for s in o.sections]
    assert [i.summary for i in outline.insights] == [i.summary for o in sources for i in o.insights]
    placed = sum(len(section.insight_ids) for section in outline.sections)
    known = [{i.insight_id for i in o.insights} for o in sources]
    normal = [normalised(o) for o in sources]
    assert placed == sum(
        i in ids for o, ids in zip(normal, known, strict=True) for s in o.sections for i in s.insight_ids
    )
