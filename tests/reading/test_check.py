"""Each finding is reported where it applies, and only there; its hint is a change that fixes it."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import pytest

from living_reports.model.report import Insight, Outline, utc_day
from living_reports.reading.check import (
    SEVERITIES,
    cited_documents,
    cited_reports,
    counts,
    findings,
    is_stale,
)
from support.small_outline import uid

TODAY = date(2026, 11, 23)
CITED = [{"source": "url", "url": "https://example.org/run/7"}]


def insight(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "insight_id": uid(number),
        "importance": 5,
        "summary": f"Finding {number}",
        "citations": CITED,
    } | fields


def outline(sections: list[dict[str, Any]], insights: list[dict[str, Any]]) -> Outline:
    times = {"created_at": "2026-01-01T00:00:00+00:00", "updated_at": "2026-01-01T00:00:00+00:00"}
    data = {"report_id": uid(0xFFFF), "title": "Health", "sections": sections, "insights": insights}
    return Outline.model_validate(data | times)


def section(number: int, *insight_ids: int, **fields: Any) -> dict[str, Any]:
    base = {"section_id": uid(number), "title": f"Part {number}", "content": "Text."}
    return base | {"insight_ids": [uid(i) for i in insight_ids]} | fields


def found(sections: list[dict[str, Any]], insights: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(finding["code"], finding["at"]) for finding in findings(outline(sections, insights), TODAY)]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"metadata": {"review_by": "2026-11-22"}}, "stale"),
        ({"metadata": {"review_by": "2026-11-23"}}, "stale"),
        ({"metadata": {"review_by": "2026-11-24"}}, None),
        ({"metadata": {"review_by": "2026-11-22"}, "status": "archived"}, None),
        ({"metadata": {"review_by": "soon"}}, "unreadable_date"),
        ({"metadata": {"as_of": 2026}}, "unreadable_date"),
        ({"citations": []}, "uncited"),
        ({"citations": [], "status": "killed"}, None),
        ({"citations": [{"source": "url", "title": "A page"}]}, "bad_reference"),
        ({"citations": [{"source": "document", "page": "3"}]}, "bad_reference"),
        ({"citations": [{"source": "api", "provider": "x"}]}, "bad_reference"),
        ({"citations": [{"source": "observation"}]}, None),
        ({"citations": [{"source": "query", "description": "from memory"}]}, None),
        ({"citations": [{"source": "url", "url": "report://last-week"}]}, "bad_reference"),
        ({"citations": [{"source": "url", "url": f"report://{uid(9)}/insights/{uid(3)}"}]}, None),
    ],
)
def test_findings_about_an_insight(fields: dict[str, Any], code: str | None) -> None:
    expected = [(code, "insights/00000001")] if code else []
    assert found([section(16, 1)], [insight(1, **fields)]) == expected


def test_findings_about_sections() -> None:
    sections = [
        section(16, content=None),
        section(17, content=" \n"),
        section(18, 1, content=None),
        section(19, content=None, notes="Later."),
        section(20, 0xABC),
        section(21, title=" PART 16 "),
    ]
    assert found(sections, [insight(1)]) == [
        ("bad_reference", "sections/00000014"),
        ("duplicate_title", "sections/00000015"),
        ("empty_section", "sections/00000010"),
        ("empty_section", "sections/00000011"),
    ]


def test_an_insight_in_no_section_is_orphaned_whatever_its_status() -> None:
    insights = [insight(1), insight(2), insight(3, status="killed")]
    assert found([section(16, 1)], insights) == [
        ("orphaned_insight", "insights/00000002"),
        ("orphaned_insight", "insights/00000003"),
    ]


def test_findings_come_worst_first_then_as_in_the_document() -> None:
    sections = [section(16, 2, 1), section(17, content=None), section(18, 0xABC)]
    report = outline(sections, [insight(1, citations=[]), insight(2, metadata={"review_by": "2026-01-01"})])
    assert [(f["severity"], f["code"]) for f in findings(report, TODAY)] == [
        ("error", "bad_reference"),
        ("warning", "stale"),
        ("warning", "uncited"),
        ("info", "empty_section"),
    ]
    assert list(counts(report, TODAY)) == ["bad_reference", "stale", "uncited", "empty_section"]


def test_an_insight_in_two_sections_is_checked_once() -> None:
    assert found([section(16, 1), section(17, 1)], [insight(1, citations=[])]) == [
        ("uncited", "insights/00000001")
    ]


def test_hints_are_changes_with_ids_of_this_report() -> None:
    report = outline([section(16, 1), section(17)], [insight(1), insight(2)])
    hints = {finding["code"]: json.loads(finding["hint"]) for finding in findings(report, TODAY)}
    assert hints == {
        "orphaned_insight": {"op": "move_insight", "insight": "00000002", "section": "00000010"},
    }


@pytest.mark.parametrize(
    ("fields", "begins", "when"),
    [
        ({}, "Check its source first: https://example.org/run/7. ", "since 2026-01-01"),
        ({"citations": [{"source": "document", "path": "run.csv"}]}, "Check its source first: run.csv. ", ""),
        ({"citations": [{"source": "observation"}]}, "Find its source first. ", ""),
        ({"metadata": {"review_by": "2026-11-23"}}, "Check its source first: ", "today"),
    ],
)
def test_the_hint_about_a_stale_insight_sends_to_the_source_and_records_what_it_says(
    fields: dict[str, Any], begins: str, when: str
) -> None:
    overdue = insight(1, **({"metadata": {"review_by": "2026-01-01"}} | fields))
    finding = findings(outline([section(16, 1)], [overdue]), TODAY)[0]
    assert finding["message"].startswith(f"Due for review {when}")
    assert finding["message"].endswith("“Finding 1”")
    assert finding["hint"].startswith(begins)
    reviewed, outdated = [json.loads(text) for text in re.findall(r"{.*?}", finding["hint"])]
    assert reviewed == {
        "op": "edit_insight",
        "insight": "00000001",
        "as_of": "2026-11-23",
        "review_by": "+30d",
    }
    assert outdated == {"op": "edit_insight", "insight": "00000001", "status": "archived"}
    assert "with a new summary if it changed" in finding["hint"]


def test_the_hint_about_a_broken_citation_matches_only_that_citation() -> None:
    broken = {"source": "url", "title": "A page"}
    (finding,) = findings(outline([section(16, 1)], [insight(1, citations=[*CITED, broken])]), TODAY)
    removal, _, addition = finding["hint"].partition(", then ")
    assert json.loads(removal) == {"op": "remove_citation", "insight": "00000001", "citation": broken}
    assert json.loads(addition)["citation"] == {"url": "…"}


def test_ids_with_a_common_prefix_are_distinguished() -> None:
    one, other = (f"aaaaaaaa-0000-4000-8000-00000000000{n}" for n in (1, 2))
    bare: dict[str, Any] = {"citations": []}
    report = outline(
        [section(16)], [insight(1, insight_id=one, **bare), insight(2, insight_id=other, **bare)]
    )
    assert {f["at"] for f in findings(report, TODAY)} == {f"insights/{one}", f"insights/{other}"}


@pytest.mark.parametrize(
    ("review_by", "stale"),
    [
        ("2026-11-22T23:59:59+00:00", True),
        ("2026-11-23T00:30:00+02:00", True),
        ("2026-11-22T23:30:00-02:00", True),
        ("2026-11-23T00:00:00Z", True),
        ("2026-11-24T00:30:00+02:00", True),
        ("2026-11-23T23:30:00-02:00", False),
        ("2026-11-24", False),
        ("", False),
        (None, False),
        ([], False),
    ],
)
def test_times_are_compared_as_utc_days(review_by: Any, stale: bool) -> None:
    item = Insight.model_validate(insight(1, metadata={"review_by": review_by}))
    assert is_stale(item, TODAY) is stale


@pytest.mark.parametrize("value", ["", "2026-13-01", "2026-1-1", "0001-01-01T00:00:00+14:00", 20261123, None])
def test_an_invalid_day_is_none(value: Any) -> None:
    assert utc_day(value) is None


# --- Reports that are cited ---------------------------------------------------------------

HERE, THERE = uid(0xAAAA), uid(0xBBBB)


def citing(*addresses: str, **fields: Any) -> dict[str, Any]:
    citations = [{"source": "url", "url": address, "title": "Weekly"} for address in addresses]
    return {"citations": citations} | fields


def moved(insights: list[dict[str, Any]], **versions: int) -> list[dict[str, str]]:
    current = {"here": HERE, "there": THERE}
    report = outline([section(16, *range(1, len(insights) + 1))], insights)
    return findings(report, TODAY, {current[name]: version for name, version in versions.items()})


def test_a_moved_source_is_reported_once_for_all_insights() -> None:
    insights = [insight(1, **citing(f"report://{HERE}/v/4")), insight(2, **citing(f"report://{HERE}/v/4"))]
    [finding] = moved(insights, here=6)
    assert (finding["code"], finding["severity"]) == ("source_moved", "info")
    assert finding["at"] == "insights/00000001"
    assert finding["message"] == (
        "The report “Weekly” is now at version 6, but version 4 is cited: "
        "diff_report shows the changes. It is cited by “Finding 1” and 1 more"
    )
    assert json.loads(finding["hint"]) == {
        "op": "add_citation",
        "insight": "00000001",
        "citation": {"url": f"report://{HERE}/v/6"},
    }


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        (citing(f"report://{HERE}/v/4"), 1),
        (citing(f"REPORT://{HERE.upper()}/v/4#risks"), 1),
        (citing(f"report://{HERE}/v/4", f"report://{HERE}/v/5"), 1),
        (citing(f"report://{HERE}/v/4", f"report://{THERE}/v/1"), 2),
        (citing(f"report://{HERE}/v/6", f"report://{HERE}/v/4"), 0),
        (citing(f"report://{HERE}/v/7"), 0),
        (citing(f"report://{HERE}"), 0),
        (citing(f"report://{HERE}/v/4x"), 0),
        (citing(f"report://{HERE}/insights/4"), 0),
        (citing(f"https://example.org/report://{HERE}/v/4"), 0),
        (citing(f"report://{uid(0xCCCC)}/v/1"), 0),
        (citing(f"report://{HERE}/v/4", status="archived"), 0),
    ],
)
def test_which_citations_have_moved(fields: dict[str, Any], found: int) -> None:
    codes = [finding["code"] for finding in moved([insight(1, **fields)], here=6, there=2)]
    assert codes == ["source_moved"] * found


def test_citing_the_newest_version_as_well_fixes_it() -> None:
    first = insight(1, **citing(f"report://{HERE}/v/4"))
    second = insight(2, **citing(f"report://{HERE}/v/4", f"report://{HERE}/v/6"))
    [finding] = moved([second, first], here=6)
    assert finding["at"] == "insights/00000001"


def test_without_versions_other_reports_are_not_checked() -> None:
    report = outline([section(16, 1)], [insight(1, **citing(f"report://{HERE}/v/4"))])
    assert findings(report, TODAY) == []
    assert cited_reports(report) == {HERE}


ONE, TWO = "1" * 64, "2" * 64


def documents(*hashes: str, path: str = "run.csv", **fields: Any) -> dict[str, Any]:
    citations = [{"source": "document", "path": path, "response_hash": each} for each in hashes]
    return {"citations": citations} | fields


def test_a_changed_document_is_reported_for_each_insight() -> None:
    report = outline([section(16, 1, 2)], [insight(n, **documents(ONE)) for n in (1, 2)])
    first, second = findings(report, TODAY, {}, {"run.csv": TWO})
    assert (first["at"], second["at"]) == ("insights/00000001", "insights/00000002")
    assert first["message"] == "The document “run.csv” has changed since it was cited by “Finding 1”"
    assert json.loads(first["hint"].partition(": ")[2]) == {
        "op": "add_citation",
        "insight": "00000001",
        "citation": {"source": "document", "path": "run.csv"},
    }


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        (documents(TWO), 1),
        (documents(ONE), 0),
        (documents(ONE.upper()), 0),
        (documents(f"SHA256:{ONE}"), 0),
        (documents(ONE, TWO), 0),
        (documents(TWO, "3" * 64), 1),
        (documents("md5:7f"), 0),
        (documents(TWO, path="other.csv"), 0),
        (documents(TWO, path="gone.csv"), 1),
        (documents(TWO, status="killed"), 0),
        ({"citations": [{"source": "url", "url": "u", "path": "run.csv", "response_hash": TWO}]}, 0),
    ],
)
def test_which_documents_have_changed(fields: dict[str, Any], found: int) -> None:
    report = outline([section(16, 1)], [insight(1, **fields)])
    codes = [f["code"] for f in findings(report, TODAY, {}, {"run.csv": ONE, "gone.csv": None})]
    assert codes == ["source_changed"] * found


def test_the_documents_that_are_cited_with_a_hash() -> None:
    cited = documents(ONE)["citations"] + documents("?", path="b")["citations"]
    insights = [insight(1, citations=cited), insight(2, **documents(ONE, path="c", status="killed"))]
    assert cited_documents(outline([section(16, 1, 2)], insights)) == {"run.csv"}


def test_a_valid_report_has_no_findings() -> None:
    report = outline([section(16, 1)], [insight(1)])
    assert findings(report, TODAY) == []
    assert counts(report, TODAY) == {}


def test_every_code_has_a_severity() -> None:
    assert set(SEVERITIES.values()) == {"error", "warning", "info"}
