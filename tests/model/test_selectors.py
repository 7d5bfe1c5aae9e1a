"""Selectors of reports, sections and insights, and the errors for none or several matches."""

from __future__ import annotations

import unicodedata

import pytest

from living_reports.errors import AmbiguousSelectorError, ItemNotFoundError, ReportNotFoundError
from living_reports.model.report import IndexEntry, Insight, Outline, Section
from living_reports.model.selectors import find_insight, find_section, pick_report, quoted

T = "2026-11-01T10:00:00+00:00"
FINDINGS = "aaaa1111-0000-4000-8000-000000000001"
RISKS = "aaaa2222-0000-4000-8000-000000000002"
TWIN_A = "bbbb0000-0000-4000-8000-000000000003"
TWIN_B = "cccc0000-0000-4000-8000-000000000004"
HEX_TITLE = "dddd0000-0000-4000-8000-000000000005"
CHURN = "eeee1111-0000-4000-8000-000000000006"
COST = "eeee2222-0000-4000-8000-000000000007"

OUTLINE = Outline(
    report_id="12340000-0000-4000-8000-000000000000",
    title="Health",
    created_at=T,
    updated_at=T,
    sections=[
        Section(section_id=FINDINGS, title="Key Findings"),
        Section(section_id=RISKS, title="Überblick"),
        Section(section_id=TWIN_A, title="Twin"),
        Section(section_id=TWIN_B, title="twin "),
        Section(section_id=HEX_TITLE, title="aaaa1111"),
    ],
    insights=[
        Insight(insight_id=CHURN, importance=8, summary="Churn fell to 3% in Q3"),
        Insight(insight_id=COST, importance=5, summary="Costs fell as well"),
    ],
)


@pytest.mark.parametrize(
    ("selector", "section_id"),
    [
        (RISKS, RISKS),
        (RISKS.upper(), RISKS),
        (RISKS.replace("-", ""), RISKS),
        ("aaaa2", RISKS),
        ("aaaa2222-0", RISKS),
        ("aaaa22220", RISKS),
        ("  key findings ", FINDINGS),
        (unicodedata.normalize("NFD", "ÜBERBLICK"), RISKS),
        (TWIN_A, TWIN_A),
    ],
)
def test_a_section_matches_by_id_prefix_and_title(selector: str, section_id: str) -> None:
    assert find_section(OUTLINE, selector, "p").section_id == section_id


@pytest.mark.parametrize(
    ("selector", "candidates"),
    [
        ("twin", ["bbbb0000", "cccc0000"]),
        ("aaaa", [FINDINGS, "aaaa2222"]),
        ("aaaa1111", [FINDINGS, "dddd0000"]),
    ],
    ids=["one title twice", "one prefix twice", "a prefix and a title"],
)
def test_several_sections_are_listed(selector: str, candidates: list[str]) -> None:
    with pytest.raises(AmbiguousSelectorError) as caught:
        find_section(OUTLINE, selector, "changes[1].section")
    assert [row["section_id"] for row in caught.value.details["candidates"]] == candidates
    assert caught.value.details["path"] == "changes[1].section"
    for candidate in candidates:
        assert find_section(OUTLINE, candidate, "p").section_id.startswith(candidate)


@pytest.mark.parametrize(
    ("selector", "near"),
    [("key findigns", [FINDINGS]), ("findings", [FINDINGS]), ("aaaa3222", ["aaaa2222"]), ("", [])],
)
def test_the_error_for_no_section_lists_similar_ones(selector: str, near: list[str]) -> None:
    with pytest.raises(ItemNotFoundError) as caught:
        find_section(OUTLINE, selector, "section")
    assert {row["section_id"] for row in caught.value.details["near"]} >= set(near)
    assert caught.value.hint


def test_a_prefix_of_less_than_four_characters_matches_nothing() -> None:
    with pytest.raises(ItemNotFoundError):
        find_section(OUTLINE, "bbb", "section")


def test_an_insight_matches_by_a_part_of_its_summary_for_reads_only() -> None:
    assert find_insight(OUTLINE, "churn FELL", "insights[0]", reading=True).insight_id == CHURN
    with pytest.raises(AmbiguousSelectorError):
        find_insight(OUTLINE, "fell", "insights[0]", reading=True)
    with pytest.raises(ItemNotFoundError) as caught:
        find_insight(OUTLINE, "churn FELL", "insights[0]")
    assert caught.value.details["near"] == [{"insight_id": "eeee1111", "summary": "Churn fell to 3% in Q3"}]


@pytest.mark.parametrize("reading", [False, True])
def test_an_insight_matches_by_its_whole_summary(reading: bool) -> None:
    for name in ("Costs fell as well", "  costs FELL as well\n"):
        assert find_insight(OUTLINE, name, "p", reading).insight_id == COST
    other = Insight(insight_id=TWIN_A, importance=1, summary="Costs fell")
    longer = OUTLINE.model_copy(update={"insights": [*OUTLINE.insights, other]})
    assert find_insight(longer, "costs fell", "p", reading) is other  # though it is a part of another one


@pytest.mark.parametrize("reading", [False, True])
def test_insights_of_the_same_summary_are_listed(reading: bool) -> None:
    twin = Insight(insight_id=TWIN_A, importance=1, summary="costs fell AS WELL ")
    named = Insight(insight_id=TWIN_B, importance=1, summary="eeee1111")
    twice = OUTLINE.model_copy(update={"insights": [*OUTLINE.insights, twin, named]})
    for selector, ids in (
        ("Costs fell as well", ["eeee2222", "bbbb0000"]),
        ("EEEE1111", [CHURN, "cccc0000"]),
    ):
        with pytest.raises(AmbiguousSelectorError) as caught:
            find_insight(twice, selector, "changes[0].insight", reading)
        assert [row["insight_id"] for row in caught.value.details["candidates"]] == ids
        assert caught.value.details["path"] == "changes[0].insight"
        assert all(find_insight(twice, each, "p").insight_id.startswith(each) for each in ids)


def test_an_insight_matches_by_id_and_prefix() -> None:
    assert find_insight(OUTLINE, "EEEE1", "p") is OUTLINE.insights[0]
    assert find_insight(OUTLINE, COST, "p") is OUTLINE.insights[1]
    with pytest.raises(AmbiguousSelectorError) as caught:
        find_insight(OUTLINE, "eeee", "p")
    assert [row["insight_id"] for row in caught.value.details["candidates"]] == ["eeee1111", "eeee2222"]


def entry(start: str, title: str, status: str = "active") -> IndexEntry:
    report_id = f"{start}-0000-4000-8000-000000000000"
    fields = {"current_title": title, "created_at": T, "updated_at": T, "status": status, "path": "p"}
    return IndexEntry.model_validate({"report_id": report_id} | fields)


ENTRIES = [
    entry("11110000", "Old health", "archived"),
    entry("22220000", "Health"),
    entry("33330000", "Health", "archived"),
    entry("44440000", "Weekly costs"),
    entry("55550000", "Weekly churn", "deleted"),
    entry("66660000", "Twin"),
    entry("77770000", "Twin"),
    entry("88880000", "Gone", "deleted"),
    entry("99990000", "Gone", "archived"),
    entry("aaaa0000", "22220000"),
]


@pytest.mark.parametrize(
    ("selector", "writing", "start"),
    [
        ("33330000-0000-4000-8000-000000000000", True, "33330000"),
        ("33330000000040008000000000000000", True, "33330000"),
        ("33330000", True, "33330000"),
        ("3333", False, "33330000"),
        ("HEALTH ", True, "22220000"),
        ("gone", True, "99990000"),
        ("weekly", False, "44440000"),
        ("churn", False, "55550000"),
    ],
)
def test_a_report_matches_by_id_prefix_title_and_part(selector: str, writing: bool, start: str) -> None:
    assert pick_report(ENTRIES, selector, writing).report_id.startswith(start)


@pytest.mark.parametrize("selector", ["3333", "weekly costs and more", "weekly", "", "old"])
def test_a_write_needs_a_longer_report_prefix_than_a_read(selector: str) -> None:
    with pytest.raises(ReportNotFoundError) as caught:
        pick_report(ENTRIES, selector, writing=True)
    assert "8 characters" in caught.value.hint


def test_the_error_for_no_report_lists_similar_ones() -> None:
    with pytest.raises(ReportNotFoundError) as caught:
        pick_report(ENTRIES, "weekly cost", writing=True)
    [near] = caught.value.details["near"]
    assert near == {"report_id": ENTRIES[3].report_id, "title": "Weekly costs", "status": "active"}


@pytest.mark.parametrize(("selector", "count"), [("twin", 2), ("22220000", 2)])
def test_several_reports_are_listed(selector: str, count: int) -> None:
    with pytest.raises(AmbiguousSelectorError) as caught:
        pick_report(ENTRIES, selector, writing=False)
    assert len(caught.value.details["candidates"]) == count


@pytest.mark.parametrize("value", ["\ud800", "x" * 10_000, {"a": ["\udfff"]}, "line\nbreak", None])
def test_a_quoted_value_is_one_short_printable_line(value: object) -> None:
    shown = quoted(value)
    assert shown.encode()
    assert len(shown) <= 100
    assert "\n" not in shown
