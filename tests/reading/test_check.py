"""Each finding is reported where it applies, and only there; its hint is a change that fixes it."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from living_reports.model.report import Insight, Outline, utc_day
from living_reports.reading.check import (
    IMPORTANT,
    SEVERITIES,
    CitedReport,
    as_template,
    cited_documents,
    cited_versions,
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
        ({"citations": [{"source": "url", "url": "https://…"}]}, "bad_reference"),
        ({"citations": [{"source": "url", "url": f"report://{uid(9)}/insights/{uid(3)}"}]}, None),
        ({"importance": 9, "citations": [{"source": "observation", "title": "A talk"}]}, "self_sourced"),
        ({"importance": 10, "citations": []}, "uncited"),
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
    assert finding["item"] == "Finding 1"
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
    long = broken | {"description": "d" * 2_000}
    (finding,) = findings(outline([section(16, 1)], [insight(1, citations=[*CITED, long])]), TODAY)
    assert json.loads(finding["hint"].partition(", then ")[0])["citation"] == broken


SELF = {"source": "url", "url": f"report://{uid(0xFFFF)}/v/1"}
SEEN = {"source": "observation", "description": "I saw it", "observed_at": "2026-11-20"}


@pytest.mark.parametrize(
    ("citations", "is_found"),
    [
        ([SEEN], True),
        ([SEEN, SELF], True),
        ([SELF | {"url": f"report://{uid(0xFFFF)}"}], True),
        ([{"source": "query", "description": "from memory", "provider": "snowflake"}], True),
        ([SEEN, *CITED], False),
        ([SEEN | {"url": "https://example.org/talk"}], False),
        ([SEEN | {"path": "photo.png"}], False),
        ([{"source": "query", "sql_sha256": "0" * 64}], False),
        ([{"source": "query", "execution_id": "01b2"}], False),
        ([{"source": "url", "url": f"report://{uid(9)}/v/1"}], False),
        ([{"source": "document", "path": "run.csv"}], False),
    ],
)
def test_an_important_insight_needs_more_than_the_word_of_its_writer(
    citations: list[dict[str, str]], is_found: bool
) -> None:
    for importance in (IMPORTANT, 10):
        marked = insight(1, importance=importance, citations=citations)
        assert found([section(16, 1)], [marked]) == [("self_sourced", "insights/00000001")] * is_found
    for fields in ({"importance": IMPORTANT - 1}, {"importance": 10, "status": "archived"}):
        assert found([section(16, 1)], [insight(1, citations=citations) | fields]) == []


def test_the_hint_about_a_self_sourced_insight_asks_for_a_source_or_less_importance() -> None:
    report = outline([section(16, 1)], [insight(1, importance=9, citations=[SEEN])])
    [finding] = findings(report, TODAY)
    assert finding["message"] == "Its importance is 9, but its only source is whoever wrote it."
    added, lowered = [json.loads(text) for text in re.findall(r"{.*?}+", finding["hint"])]
    assert added == {"op": "add_citation", "insight": "00000001", "citation": {"url": "https://…"}}
    assert lowered == {"op": "edit_insight", "insight": "00000001", "importance": 7}


def test_each_finding_names_its_item() -> None:
    long = insight(1, summary="Long " * 40, citations=[])
    rows = findings(outline([section(16, 1), section(17, content="")], [long]), TODAY)
    assert [(row["at"], row["item"]) for row in rows] == [
        ("insights/00000001", ("Long " * 40)[:79].rstrip() + "…"),
        ("sections/00000011", "Part 17"),
    ]


def test_sections_cite_like_insights() -> None:
    broken = section(16, metadata={"citations": [{"source": "url", "title": "A page"}]})
    document = {"source": "document", "path": "run.csv", "response_hash": ONE}
    table = section(17, metadata={"citations": [document]})
    weekly = section(18, metadata={"citations": [{"source": "url", "url": f"report://{HERE}/v/4"}]})
    report = outline([broken, table, weekly], [])
    assert cited_documents(report) == {"run.csv"}
    assert cited_versions(report) == {(HERE, 4)}
    rows = findings(report, TODAY, {(HERE, 4): source()}, {"run.csv": TWO})
    assert [(row["code"], row["at"]) for row in rows] == [
        ("bad_reference", "sections/00000010"),
        ("source_changed", "sections/00000011"),
        ("source_moved", "sections/00000012"),
    ]
    assert [json.loads(row["hint"][row["hint"].index("{") :])["section"] for row in rows[1:]] == [
        "00000011",
        "00000012",
    ]


# --- Template text ------------------------------------------------------------------------

TEMPLATE = [
    as_template("Impact", None, "Who was affected, in numbers."),
    as_template("Timeline", "| Time | What |\n| --- | --- |", "From the first sign."),
]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"title": "Impact", "notes": "Who was affected, in numbers."}, "unfilled_template"),
        ({"title": " IMPACT", "notes": "Who was affected, in numbers.\n"}, "unfilled_template"),
        ({"title": "Impact", "notes": "Who was affected, in numbers.", "content": "…"}, "unfilled_template"),
        ({"title": "Impact", "notes": "Who was affected, in numbers.", "content": "200 users."}, None),
        ({"title": "Impact", "notes": "200 users."}, None),
        ({"title": "Costs", "notes": "Who was affected, in numbers."}, None),
        ({"title": "Impact", "notes": "Who was affected, in numbers.", "insight_ids": [uid(1)]}, None),
        ({"title": "Impact", "content": " … "}, "empty_section"),
        (
            {"title": "Timeline", "content": TEMPLATE[1].content, "notes": "From the first sign."},
            "unfilled_template",
        ),
        (
            {
                "title": "Timeline",
                "content": TEMPLATE[1].content + "\n| 1 | 2 |",
                "notes": "From the first sign.",
            },
            None,
        ),
    ],
)
def test_template_text_that_nobody_filled_in(fields: dict[str, Any], code: str | None) -> None:
    insights = [insight(1)] if "insight_ids" in fields else []
    report = outline([section(16, content=None) | fields], insights)
    rows = findings(report, TODAY, templates=TEMPLATE)
    assert [row["code"] for row in rows] == ([code] if code else [])
    for row in rows:
        fill, remove = (json.loads(text) for text in row["hint"].split(" or "))
        assert (fill["op"], remove["op"]) == ("append_text", "remove_section")


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


def source(number: int = 6, then: dict[str, Any] | None = None, **now: Any) -> CitedReport:
    """Return a cited report whose section “Risks” said “Few.” and says “Many.”, if nothing else is given."""
    before = weekly(4, **(then or {}))
    return CitedReport(before, weekly(number, **(now or {"content": "Many."})))


def weekly(
    version: int,
    *,
    content: str = "Few.",
    notes: str | None = None,
    summary: str = "Errors rose",
    more: Any = (),
    title: str = "Weekly",
    metadata: dict[str, Any] | None = None,
    is_short: bool = False,
    **fields: Any,
) -> Outline:
    risks = section(32, 7, title="Risks", content=content, notes=notes)
    costs = section(33, title="Costs", content="Low.")
    made = outline([risks] if is_short else [risks, costs], [insight(7, summary=summary) | fields])
    made = made.model_copy(update={"outline_version": version, "title": title, "metadata": metadata or {}})
    return made.model_copy(update={"insights": [*made.insights, *more]})


def moved(insights: list[dict[str, Any]], **reports: CitedReport) -> list[dict[str, str]]:
    ids = {"here": HERE, "there": THERE}
    report = outline([section(16, *range(1, len(insights) + 1))], insights)
    known = {(ids[name], cited.then.outline_version): cited for name, cited in reports.items()}
    return findings(report, TODAY, known)


def test_a_moved_source_is_reported_once_for_all_insights() -> None:
    insights = [insight(1, **citing(f"report://{HERE}/v/4")), insight(2, **citing(f"report://{HERE}/v/4"))]
    [finding] = moved(insights, here=source(content="Many.", summary="Errors fell"))
    assert (finding["code"], finding["severity"]) == ("source_moved", "info")
    assert (finding["at"], finding["item"]) == ("insights/00000001", "Finding 1")
    assert finding["message"] == (
        "The report “Weekly” is now at version 6; since the cited version 4 it changed “Risks”, "
        "“Errors fell”. Cited by 2 items."
    )
    assert finding["hint"].startswith(
        f"diff_report of {HERE} since 4 shows how. Correct here what no longer holds; if all still holds: "
    )
    assert json.loads(finding["hint"].partition("holds: ")[2]) == {
        "op": "add_citation",
        "insight": "00000001",
        "citation": {"url": f"report://{HERE}/v/6"},
    }


@pytest.mark.parametrize(
    ("now", "is_found"),
    [
        ({"content": "Many."}, True),
        ({"notes": "Ask Ada."}, True),
        ({"summary": "Errors fell"}, True),
        ({"status": "killed"}, True),
        ({"title": "Monthly"}, True),
        ({"more": [Insight.model_validate(insight(8))]}, True),
        ({"is_short": True}, True),
        ({"metadata": {"tags": ["q4"]}}, False),
        ({"importance": 9}, False),
        ({"metadata": {"status": "archived"}}, False),
        ({"citations": []}, False),
    ],
)
def test_a_source_has_moved_if_it_says_something_else(now: dict[str, Any], is_found: bool) -> None:
    rows = moved([insight(1, **citing(f"report://{HERE}/v/4"))], here=source(**now))
    assert [row["code"] for row in rows] == ["source_moved"] * is_found
    assert ("“Costs” (removed)" in str(rows)) is ("is_short" in now)


@pytest.mark.parametrize("field", ["review_by", "as_of"])
def test_a_source_that_was_only_reviewed_has_not_moved(field: str) -> None:
    then = weekly(4)
    insights = [each.model_copy(update={"metadata": {field: "2027-01-01"}}) for each in then.insights]
    now = then.model_copy(update={"outline_version": 5, "insights": insights})
    cited = insight(1, **citing(f"report://{HERE}/v/4"))
    assert moved([cited], here=CitedReport(then, now)) == []
    sections = then.sections[::-1]
    reordered = CitedReport(then, now.model_copy(update={"sections": sections}))
    assert moved([cited], here=reordered) == []


@pytest.mark.parametrize(
    ("part", "now", "is_found"),
    [
        ("#00000020", {"content": "Many."}, True),
        ("#Risks", {"content": "Many."}, True),
        ("#sections/00000020", {"content": "Many."}, True),
        (f"/sections/{uid(32)}", {"content": "Many."}, True),
        ("#risks", {"summary": "Errors fell"}, True),
        ("#Costs", {"content": "Many."}, False),
        ("#00000007", {"content": "Many."}, False),
        ("#insights/00000007", {"summary": "Errors fell"}, True),
        ("#insights/00000007", {"title": "Monthly"}, False),
        ("#no-such-part", {"content": "Many."}, True),
    ],
)
def test_a_cited_section_or_insight_is_compared_alone(part: str, now: dict[str, Any], is_found: bool) -> None:
    rows = moved([insight(1, **citing(f"report://{HERE}/v/4{part}"))], here=source(**now))
    assert [row["code"] for row in rows] == ["source_moved"] * is_found
    for row in rows:
        assert f"report://{HERE}/v/6#{part[1:]}" in row["hint"]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        (citing(f"report://{HERE}/v/4"), 1),
        (citing(f"REPORT://{HERE.upper()}/v/4#risks"), 1),
        (citing(f"report://{HERE}/v/4", f"report://{HERE}/v/5"), 0),
        (citing(f"report://{HERE}/v/4", f"report://{THERE}/v/4"), 2),
        (citing(f"report://{HERE}/v/4#risks", f"report://{HERE}/v/6#risks"), 0),
        (citing(f"report://{HERE}/v/4#risks", f"report://{HERE}/v/6#costs"), 1),
        (citing(f"report://{HERE}/v/4#risks", f"report://{HERE}/v/6"), 0),
        (citing(f"report://{HERE}/v/6", f"report://{HERE}/v/4"), 0),
        (citing(f"report://{HERE}/v/7"), 0),
        (citing(f"report://{HERE}"), 0),
        (citing(f"report://{HERE}/v/4x"), 0),
        (citing(f"report://{HERE}/insights/4"), 0),
        (citing(f"https://example.org/report://{HERE}/v/4"), 0),
        (citing(f"report://{uid(0xCCCC)}/v/4"), 0),
        (citing(f"report://{uid(0xFFFF)}/v/4"), 0),
        (citing(f"report://{HERE}/v/4", status="archived"), 0),
    ],
)
def test_which_citations_have_moved(fields: dict[str, Any], found: int) -> None:
    rows = moved([insight(1, **fields)], here=source(), there=source())
    assert [row["code"] for row in rows] == ["source_moved"] * found


def test_citing_the_newest_version_as_well_fixes_it() -> None:
    first = insight(1, **citing(f"report://{HERE}/v/4"))
    second = insight(2, **citing(f"report://{HERE}/v/4", f"report://{HERE}/v/6"))
    [finding] = moved([second, first], here=source())
    assert finding["at"] == "insights/00000001"


def test_without_their_outlines_other_reports_are_not_checked() -> None:
    report = outline([section(16, 1)], [insight(1, **citing(f"report://{HERE}/v/4"))])
    assert findings(report, TODAY) == []
    assert cited_versions(report) == {(HERE, 4)}


ONE, TWO = "1" * 64, "2" * 64


def documents(*hashes: str, path: str = "run.csv", **fields: Any) -> dict[str, Any]:
    citations = [{"source": "document", "path": path, "response_hash": each} for each in hashes]
    return {"citations": citations} | fields


def test_a_changed_document_is_reported_for_each_insight() -> None:
    report = outline([section(16, 1, 2)], [insight(n, **documents(ONE)) for n in (1, 2)])
    first, second = findings(report, TODAY, {}, {"run.csv": TWO})
    assert (first["at"], second["at"]) == ("insights/00000001", "insights/00000002")
    assert first["message"] == "Its document “run.csv” has changed since it was cited."
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


def test_the_document_describes_every_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
    described = dict(re.findall(r"^\| `(\w+)` \| (error|warning|info) \|", text, re.MULTILINE))
    assert described == SEVERITIES


def test_every_code_has_a_severity() -> None:
    assert set(SEVERITIES.values()) == {"error", "warning", "info"}
