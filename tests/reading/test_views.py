"""The views: content, filters, sizes, and pages that neither lose nor repeat anything."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from living_reports.errors import AmbiguousSelectorError, InvalidInputError, ItemNotFoundError
from living_reports.model.event import AuditEvent
from living_reports.model.report import Outline, outline_data
from living_reports.reading import cursor, views
from living_reports.reading.compact import event_row, short_ids, size, size_bytes
from living_reports.reading.requests import GetReport
from living_reports.reading.views import view_args
from support.pages import markdown
from support.small_outline import uid

TODAY = date(2026, 11, 23)
HEAD = ["report_id", "title", "version", "status", "tags", "updated_at"]
CREATED = "2026-01-01T00:00:00.000000+00:00"


def report_view(
    outline: Outline, *, today: date, last_change: dict[str, Any] | None = None, **arguments: Any
) -> dict[str, Any]:
    """Return the view that these arguments of `get_report` ask for."""
    request = GetReport(outline.report_id, **arguments)
    return views.report_view(outline, request, today=today, to_markdown=markdown, last_change=last_change)


def insight(number: int, importance: int = 5, **fields: Any) -> dict[str, Any]:
    cited = [{"source": "url", "url": f"https://example.org/{number}"}]
    base = {"insight_id": uid(number), "importance": importance, "summary": f"Finding {number}"}
    return base | {"citations": cited} | fields


def section(number: int, *insight_ids: int, **fields: Any) -> dict[str, Any]:
    base = {"section_id": uid(number), "title": f"Part {number}", "content": f"Text of part {number}."}
    return base | {"insight_ids": [uid(i) for i in insight_ids]} | fields


def outline(sections: list[dict[str, Any]], insights: list[dict[str, Any]], **fields: Any) -> Outline:
    head = {"report_id": uid(0xFFFF), "title": "Health", "outline_version": 4, "metadata": {"tags": ["q4"]}}
    times = {"created_at": CREATED, "updated_at": "2026-11-20T08:00:00.000000+00:00"}
    return Outline.model_validate(head | times | {"sections": sections, "insights": insights} | fields)


@pytest.fixture
def report() -> Outline:
    sections = [
        section(0x10, 1, 2, notes="Ask Ada."),
        section(0x11, 3, content="Straße der Ströme", content_format="plain"),
        section(0x12, content=None),
    ]
    insights = [
        insight(1, 5),
        insight(2, 9, metadata={"review_by": "2026-11-01", "as_of": "2026-10-01"}),
        insight(3, 9, status="archived"),
        insight(4, 7, citations=[]),
    ]
    return outline(sections, insights)


def view(report: Outline, **arguments: Any) -> dict[str, Any]:
    answer = report_view(report, today=TODAY, **arguments)
    assert list(answer)[: len(HEAD)] == HEAD
    return {key: value for key, value in answer.items() if key not in HEAD}


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [int((row.get("insight_id") or row["section_id"])[:8], 16) for row in rows]


def test_a_section_shows_its_citations_and_is_found_by_them() -> None:
    cited = [{"source": "url", "url": "https://example.org/table"}]
    report = outline([section(0x10, metadata={"citations": cited}), section(0x11)], [])
    assert [row.get("citations") for row in view(report, view="sections")["sections"]] == [cited, None]
    assert ids(view(report, find="ORG/Table")["sections"]) == [0x10]


# --- The views ---------------------------------------------------------------------------


def test_the_head_is_that_of_the_outline(report: Outline) -> None:
    answer = report_view(report, today=TODAY)
    assert [answer[key] for key in HEAD] == [uid(0xFFFF), "Health", 4, "active", ["q4"], report.updated_at]


LONG = section(0x13, content="x" * 6_000)
CHANGE = {"version": 4, "reason": "weekly"}


def lengthened(report: Outline, **fields: Any) -> Outline:
    """Return the report with a section that is too long for a summary with texts."""
    data = outline_data(report)
    return Outline.model_validate(data | {"sections": [*data["sections"], LONG | fields]})


def test_summary_of_a_long_report(report: Outline) -> None:
    assert view(lengthened(report), last_change=CHANGE) == {
        "sections": [
            {
                "section_id": "00000010",
                "title": "Part 16",
                "chars": 24,
                "insights": 2,
                "stale": 1,
            },
            {"section_id": "00000011", "title": "Part 17", "chars": 17},
            {"section_id": "00000012", "title": "Part 18", "chars": 0},
            {"section_id": "00000013", "title": "Part 19", "chars": 6000},
        ],
        "insight_count": 3,
        "left_out": {"chars": 6041, "archived": 1},
        "top_insights": [
            {
                "insight_id": "00000002",
                "section_id": "00000010",
                "importance": 9,
                "summary": "Finding 2",
                "stale": True,
            },
            {"insight_id": "00000004", "importance": 7, "summary": "Finding 4"},
            {"insight_id": "00000001", "section_id": "00000010", "importance": 5, "summary": "Finding 1"},
        ],
        "findings": {"stale": 1, "uncited": 1, "orphaned_insight": 1, "empty_section": 1},
        "last_change": CHANGE,
    }


def test_a_summary_counts_what_it_leaves_out() -> None:
    insights = [insight(n, status="killed" if n == 9 else "active") for n in range(1, 10)]
    answer = view(outline([section(0x10, *range(1, 10), content="x" * 7_000)], insights))
    assert (answer["insight_count"], len(answer["top_insights"])) == (8, 5)
    assert answer["left_out"] == {"chars": 7_000, "insights": 3, "killed": 1}
    killed = view(outline([section(0x10, *range(1, 10))], insights), status="killed")
    assert (killed["insight_count"], "left_out" in killed) == (1, False)


def test_a_short_report_is_whole_in_its_summary(report: Outline) -> None:
    answer = view(report, last_change=CHANGE)
    assert answer["sections"] == [
        {
            "section_id": "00000010",
            "title": "Part 16",
            "chars": 24,
            "insights": 2,
            "stale": 1,
            "content": "Text of part 16.",
            "notes": "Ask Ada.",
            "insight_ids": ["00000001", "00000002"],
        },
        {
            "section_id": "00000011",
            "title": "Part 17",
            "chars": 17,
            "content": "Straße der Ströme",
            "content_format": "plain",
        },
        {"section_id": "00000012", "title": "Part 18", "chars": 0},
    ]
    whole = view(report, view="insights")["insights"]
    assert view(report, view="insights")["insight_count"] == len(whole)
    assert answer["top_insights"] == [
        {name: value for name, value in row.items() if name != "section_title"} for row in whole
    ]
    assert (answer["insight_count"], answer["left_out"]) == (3, {"archived": 1})
    assert list(answer["findings"]) == ["stale", "uncited", "orphaned_insight", "empty_section"]
    assert answer["last_change"] == CHANGE


@pytest.mark.parametrize(("chars", "is_whole"), [(5_986, True), (5_987, False)])
def test_six_thousand_characters_are_whole(chars: int, is_whole: bool) -> None:
    report = outline([section(0x10, 1, title="Title", content="é" * chars)], [insight(1)])
    [row] = view(report)["sections"]
    assert row["chars"] == chars
    assert ("content" in row) == is_whole
    assert "content" not in view(report, max_chars=6_000)["sections"][0]


def test_summary_of_an_empty_report() -> None:
    assert view(outline([], [])) == {"sections": [], "insight_count": 0, "top_insights": []}


def test_sections(report: Outline) -> None:
    assert view(report, view="sections")["sections"] == [
        {
            "section_id": "00000010",
            "title": "Part 16",
            "content": "Text of part 16.",
            "notes": "Ask Ada.",
            "insight_ids": ["00000001", "00000002"],
            "insights": {"00000001": "Finding 1", "00000002": "Finding 2"},
        },
        {
            "section_id": "00000011",
            "title": "Part 17",
            "content": "Straße der Ströme",
            "content_format": "plain",
        },
        {"section_id": "00000012", "title": "Part 18"},
    ]


def test_insights_are_ranked(report: Outline) -> None:
    assert view(report, view="insights", status="all")["insights"] == [
        {
            "insight_id": "00000002",
            "section_id": "00000010",
            "section_title": "Part 16",
            "importance": 9,
            "summary": "Finding 2",
            "citations": [{"source": "url", "url": "https://example.org/2"}],
            "as_of": "2026-10-01",
            "review_by": "2026-11-01",
            "stale": True,
        },
        {
            "insight_id": "00000003",
            "section_id": "00000011",
            "section_title": "Part 17",
            "importance": 9,
            "status": "archived",
            "summary": "Finding 3",
            "citations": [{"source": "url", "url": "https://example.org/3"}],
        },
        {"insight_id": "00000004", "importance": 7, "summary": "Finding 4"},
        {
            "insight_id": "00000001",
            "section_id": "00000010",
            "section_title": "Part 16",
            "importance": 5,
            "summary": "Finding 1",
            "citations": [{"source": "url", "url": "https://example.org/1"}],
        },
    ]


def test_full_contains_every_field_that_says_something(report: Outline) -> None:
    odd = report.model_copy(update={"metadata": {"tags": ["q4"], "owner": "ada"}})
    odd = Outline.model_validate(outline_data(odd) | {"next_cursor": "kept", "order": [1]})
    times = {"updated_at": CREATED}
    cited = [{"source": "url", "url": f"https://example.org/{n}"} for n in range(5)]
    assert view(odd, view="full") == {
        "created_at": CREATED,
        "schema_version": "1.0",
        "metadata": {"tags": ["q4"], "owner": "ada"},
        "extra": {"next_cursor": "kept", "order": [1]},
        "sections": [
            {
                "section_id": "00000010",
                "title": "Part 16",
                "insight_ids": ["00000001", "00000002"],
                "notes": "Ask Ada.",
                "content": "Text of part 16.",
                "content_format": "markdown",
                **times,
            },
            {
                "section_id": "00000011",
                "title": "Part 17",
                "insight_ids": ["00000003"],
                "content": "Straße der Ströme",
                "content_format": "plain",
                **times,
            },
            {"section_id": "00000012", "title": "Part 18", "content_format": "markdown", **times},
        ],
        "insights": [
            {
                "insight_id": f"0000000{n}",
                "importance": importance,
                "status": "archived" if n == 3 else "active",
                "summary": f"Finding {n}",
                **({"citations": [cited[n]]} if n != 4 else {}),
                **times,
                **({"metadata": {"as_of": "2026-10-01", "review_by": "2026-11-01"}} if n == 2 else {}),
            }
            for n, importance in ((1, 5), (2, 9), (3, 9), (4, 7))
        ],
    }


def test_full_shows_times_of_items_only_if_they_differ_from_those_of_the_report() -> None:
    times = {"created_at": CREATED, "updated_at": "2026-11-20T08:00:00.000000+00:00"}
    later = {"created_at": "2026-02-01T00:00:00+00:00", "updated_at": "2026-03-01T00:00:00+00:00"}
    answer = view(outline([section(0x10, **times), section(0x11, **later)], []), view="full")
    assert [{n: row[n] for n in times if n in row} for row in answer["sections"]] == [{}, later]


def test_full_shows_queries_only_if_they_are_no_mirror_of_the_citations() -> None:
    query = {"source": "query", "provider": "snowflake", "execution_id": "01B2"}
    known = {"execution_id": "01B2", "cache_only": False, "warehouse": "W"}
    report = outline(
        [], [insight(1, citations=[query]), insight(2, citations=[query], supporting_queries=[known])]
    )
    first, second = view(report, view="full")["insights"]
    assert "supporting_queries" not in first
    assert second["supporting_queries"] == [known]
    assert first["citations"] == second["citations"] == [query]


def test_markdown_is_the_rendered_page(report: Outline) -> None:
    assert view(report, view="markdown") == {"text": markdown(report, TODAY)}
    assert view(report, view="markdown", status="all") == {"text": markdown(report, TODAY, status="all")}


def test_markdown_of_one_section_excludes_the_others(report: Outline) -> None:
    text = view(report, view="markdown", sections=["Part 16"])["text"]
    assert "## Part 16" in text
    assert "Finding 2" in text
    assert "Part 17" not in text
    assert "Finding 4" not in text


# --- Selection ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sections", "insights"),
    [
        ({"sections": ["Part 16"]}, [0x10], [1, 2]),
        ({"sections": ["00000011", "part 16"]}, [0x10, 0x11], [1, 2]),
        ({"sections": ["Part 17"], "status": "all"}, [0x11], [3]),
        ({"insights": ["00000004"]}, None, [4]),
        ({"insights": ["00000003"]}, None, [3]),
        ({"insights": ["00000003"], "status": "active"}, None, []),
        ({"insights": ["finding 4"]}, None, [4]),
        ({"sections": ["Part 18"], "insights": ["00000001"]}, [0x12], [1]),
        ({"find": "STRASSE"}, [0x11], []),
        ({"find": "Stro\u0308me"}, [0x11], []),
        ({"find": "ask ada"}, [0x10], []),
        ({"find": "finding"}, [], [1, 2, 4]),
        ({"find": "finding", "min_importance": 7}, [], [2, 4]),
        ({"find": "example.org/1"}, [], [1]),
        ({"find": "part", "sections": ["Part 18"]}, [0x12], []),
        ({"find": "nowhere"}, [], []),
        ({"view": "sections", "find": "16"}, [0x10], None),
        ({"view": "sections", "sections": ["Part 17"]}, [0x11], None),
        ({"view": "insights", "sections": ["Part 16"]}, None, [2, 1]),
        ({"view": "insights", "min_importance": 7}, None, [2, 4]),
        ({"view": "insights", "status": "archived"}, None, [3]),
        ({"view": "insights", "stale": True}, None, [2]),
        ({"view": "full", "sections": ["Part 17"]}, [0x11], [3]),
        ({"view": "full", "status": "active"}, [0x10, 0x11, 0x12], [1, 2, 4]),
    ],
)
def test_selected_items(
    report: Outline, arguments: dict[str, Any], sections: list[int] | None, insights: list[int] | None
) -> None:
    answer = view(report, **arguments)
    assert (ids(answer["sections"]) if "sections" in answer else None) == sections
    assert (ids(answer["insights"]) if "insights" in answer else None) == insights


def test_sections_list_only_insights_that_are_shown(report: Outline) -> None:
    (item,) = view(report, view="sections", sections=["Part 16"], min_importance=7)["sections"]
    assert item["insight_ids"] == ["00000002"]


@pytest.mark.parametrize(
    ("arguments", "path", "extra"),
    [
        ({"view": "sumary"}, "view", {"did_you_mean": "summary"}),
        ({"view": "x"}, "view", {}),
        ({"status": "Archive"}, "status", {"did_you_mean": "archived"}),
        ({"max_chars": 499}, "max_chars", {}),
        ({"max_chars": 200_001}, "max_chars", {}),
        ({"min_importance": 11}, "min_importance", {}),
        ({"cursor": "nonsense"}, "cursor", {}),
    ],
)
def test_values_out_of_range(
    report: Outline, arguments: dict[str, Any], path: str, extra: dict[str, str]
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        view(report, **arguments)
    details = dict(refused.value.details)
    assert details.pop("path") == path
    assert bool(details.pop("allowed", None)) is (path != "cursor")
    assert details == extra


def test_unknown_and_ambiguous_items_are_refused_with_their_path(report: Outline) -> None:
    with pytest.raises(ItemNotFoundError) as missing:
        view(report, sections=["Part 16", "Part 99"])
    with pytest.raises(AmbiguousSelectorError) as several:
        view(report, insights=["finding"])
    assert (missing.value.details["path"], several.value.details["path"]) == ("sections[1]", "insights[0]")


def test_ids_are_as_long_as_needed() -> None:
    same = "aaaaaaaa-0000-4000-8000-00000000000"
    report = outline([section(1, section_id=same + "1")], [insight(2, insight_id=same + "2"), insight(3)])
    assert short_ids(report) == {same + "1": same + "1", same + "2": same + "2", uid(3): "00000003"}


def test_an_insight_shown_without_its_section_names_it(report: Outline) -> None:
    [alone] = view(report, insights=["00000001"])["insights"]
    assert (alone["section_id"], alone["section_title"]) == ("00000010", "Part 16")
    both = view(report, sections=["Part 16"], insights=["00000003"])["insights"]
    assert [row.get("section_title") for row in both] == [None, None, "Part 17"]


def test_insights_that_only_their_status_hides_are_counted(report: Outline) -> None:
    assert view(report, sections=["Part 17"])["left_out"] == {"archived": 1}
    assert view(report, view="insights")["left_out"] == {"archived": 1}
    assert view(report, find="finding 3")["left_out"] == {"archived": 1}
    for asked in ({"sections": ["Part 16"]}, {"find": "finding 1"}, {"view": "insights", "status": "active"}):
        assert "left_out" not in view(report, **asked)


# --- Finding text ------------------------------------------------------------------------


def test_a_hit_at_the_end_of_a_long_section_is_in_the_answer() -> None:
    content = "Lorem ipsum dolor sit amet. " * 2_000 + "The needle is **here**,\nat the end."
    report = outline([section(0x10, 1, content=content), section(0x11)], [insight(1)])
    answer = view(report, find="NEEDLE", max_chars=1_500)
    [row] = answer["sections"]
    assert list(answer) == ["hit_count", "searched", "hint", "sections", "insights"]
    assert (answer["hit_count"], answer["insights"]) == (1, [])
    assert answer["searched"] == ["title", "content", "notes", "summary", "citations"]
    assert row == {
        "section_id": "00000010",
        "title": "Part 16",
        "chars": len(content),
        "hits": [{"field": "content", "text": row["hits"][0]["text"]}],
    }
    assert row["hits"][0]["text"].endswith("sit amet. The needle is **here**,\nat the end.")
    assert row["hits"][0]["text"].startswith("…")
    assert 250 < len(row["hits"][0]["text"]) <= 601
    arguments = json.loads(re.findall(r"{.*}", answer["hint"])[0])
    assert view(report, **arguments, max_chars=200_000)["sections"][0]["content"] == content


def test_the_whole_paragraph_of_a_hit_is_in_a_short_answer() -> None:
    filler = "\n\n".join(
        f"Paragraph {n} says nothing about it. " + "Lorem ipsum dolor. " * 25 for n in range(25)
    )
    paragraph = "The rule has a reason. " + "It was made long ago. " * 20 + "The needle is here. It stays."
    content = f"{filler}\n\n{paragraph}\n\nLast words."
    assert len(content) > 13_000
    answer = view(outline([section(0x10, content=content)], []), find="needle", max_chars=1_500)
    [row] = answer["sections"]
    assert row["hits"] == [{"field": "content", "text": f"…{paragraph}…"}]
    assert "hint" in answer
    assert "next_cursor" not in answer


@pytest.mark.parametrize("words", ["Lorem ipsum dolor. ", "Lorem ipsum dolor "])
def test_many_hits_fit_into_an_answer_each_with_less(words: str) -> None:
    content = "\n\n".join(f"{words * 40}The needle {n} is here. {words * 40}" for n in range(6))
    report = outline([section(0x10, content=content)], [])
    sizes = []
    for limit in (3_000, 4_000, 20_000):
        answer = view(report, find="needle", max_chars=limit)
        hits = answer["sections"][0]["hits"]
        assert [f"The needle {n} is here." in hit["text"] for n, hit in enumerate(hits)] == [True] * 6
        assert "next_cursor" not in answer
        sizes.append(max(len(hit["text"]) for hit in hits))
    assert 200 < sizes[0] < sizes[1] < sizes[2] <= 602


def test_a_cursor_keeps_the_size_of_windows() -> None:
    content = "\n\n".join(f"{'Lorem ipsum. ' * 60}A needle {n}. {'Dolor sit. ' * 60}" for n in range(19))
    report = outline([section(0x10, content=content)], [])
    whole = view(report, find="needle", max_chars=6_000)["sections"][0]["hits"]
    answer = view(report, find="needle", max_chars=1_000)
    shown = answer["sections"][0]["hits"]
    limits = iter([20_000, 700, 5_000, *[20_000] * 20])
    first = len(max(hit["text"] for hit in shown))
    while "next_cursor" in answer:
        answer = view(report, find="needle", max_chars=next(limits), cursor=answer["next_cursor"])
        shown += answer["sections"][0]["hits"]
    assert len(whole) == 19
    assert "".join(hit.get("text", "") for hit in shown).count("needle") == 19
    assert max(len(hit.get("text", "")) for hit in shown) <= max(first, 202)


@pytest.mark.parametrize("name", ["sections", "insights"])
def test_a_stated_view_shows_the_hits_before_the_text(name: str) -> None:
    words = "Lorem ipsum dolor sit amet. " * 200 + "needle"
    report = outline([section(0x10, 1, content=words)], [insight(1, summary=words)])
    [row] = view(report, view=name, find="needle", max_chars=1_500)[name]
    assert row["hits"][0]["text"].endswith("needle")
    [whole] = view(report, view=name, find="needle")[name]
    assert whole["content" if name == "sections" else "summary"] == words


def test_a_hit_in_a_citation_names_insight_section_and_field() -> None:
    cited = [{"source": "url", "url": "https://example.org/" + "x" * 700, "title": "A needle"}]
    report = outline([section(0x10, 1)], [insight(1, summary="S" * 200, citations=cited)])
    answer = view(report, find="needle")
    assert answer["insights"] == [
        {
            "insight_id": "00000001",
            "section_id": "00000010",
            "section_title": "Part 16",
            "importance": 5,
            "hits": [{"field": "citations/0/title", "text": "A needle"}],
            "summary": "S" * 79 + "…",
        }
    ]


def test_hits_are_counted_and_short_items_are_whole(report: Outline) -> None:
    answer = view(report, find="part 1")
    assert answer["hit_count"] == 4
    assert [row.get("content") for row in answer["sections"]] == [
        "Text of part 16.",
        "Straße der Ströme",
        None,
    ]
    assert "hint" not in answer
    assert view(report, find="nowhere") | {"searched": []} == {
        "hit_count": 0,
        "searched": [],
        "sections": [],
        "insights": [],
    }


def test_the_hits_of_a_text_full_of_them_are_counted() -> None:
    report = outline([section(0x10, content=("needle " + "word " * 100) * 50)], [])
    [row] = view(report, find="needle")["sections"]
    assert (len(row["hits"]), row["hits_more"]) == (20, 30)


# --- Size and pages ----------------------------------------------------------------------


def usual_report(sections: int, words: int = 500) -> Outline:
    parts, found = [], []
    for n in range(sections):
        numbers = [100 + n * 3 + k for k in range(3)]
        parts.append(section(0x10 + n, *numbers, title=f"Section about topic {n}", content="word " * words))
        review = {"metadata": {"review_by": "2026-11-01"}}
        found += [insight(k, k % 10, summary="Ένα εύρημα " * 30, **review) for k in numbers]
    return outline(
        parts, found, title="Platform health, fourth quarter", metadata={"tags": ["platform", "q4"]}
    )


def test_a_summary_of_twelve_sections_is_small() -> None:
    event = AuditEvent(
        action_id=uid(1),
        report_id=uid(0xFFFF),
        ts=CREATED,
        actor="agent",
        action_type="evolve",
        payload={"reason": "Weekly update", "client": "claude-desktop 1.2", "outline_version": 4},
    )
    answer = report_view(usual_report(12), today=TODAY, last_change=event_row(event))
    assert len(answer["sections"]) == 12
    assert len(answer["top_insights"]) == 5
    assert (answer["insight_count"], answer["left_out"]) == (36, {"chars": 12 * 2_500, "insights": 31})
    assert size_bytes(answer) <= 3_000


def pages(report: Outline, **arguments: Any) -> list[dict[str, Any]]:
    """Return all pages of a view, each within its size; the day changes between them."""
    limit = arguments.get("max_chars", 20_000)
    answers = [report_view(report, today=TODAY, **arguments)]
    while text := answers[-1].get("next_cursor"):
        answers.append(report_view(report, today=date(2026, 11, 24), cursor=text, **arguments))
        assert len(answers) < 3_000
    assert all(size(answer) <= limit for answer in answers)
    return answers


def joined(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the pages as a reader would: by id and by `from`."""
    whole: dict[str, Any] = {}
    for answer in answers:
        for key, value in answer.items():
            if key in HEAD or key == "next_cursor":
                continue
            if isinstance(value, list) and key in ("sections", "insights", "top_insights"):
                for item in value:
                    add_item(whole.setdefault(key, []), dict(item))
                whole.setdefault(key, [])
            elif isinstance(value, list | str):
                whole[key] = whole[key] + value if key in whole else value
            else:
                assert key not in whole
                whole[key] = value
    return whole


def add_item(items: list[dict[str, Any]], item: dict[str, Any]) -> None:
    path = item.pop("from", None)
    if items and items[-1].pop("cut", None):
        key = next(iter(item))
        assert items[-1][key] == item.pop(key)
        join(items[-1], item, path.split("/"))
    else:
        assert path is None
        items.append(item)


def join(held: Any, more: Any, path: list[str]) -> None:
    """Append `more` to `held`; `path` is where it begins."""
    first, *inner = path
    if isinstance(held, list):
        assert int(first) == len(held) - bool(inner)
        if inner:
            append_to(held, len(held) - 1, more.pop(0), inner)
        held += more
        return
    for key, value in more.items():
        if key == first and inner:
            append_to(held, key, value, inner)
        else:
            assert key not in held or key == "cut"
            held[key] = value


def append_to(holder: Any, key: Any, value: Any, inner: list[str]) -> None:
    if isinstance(value, str):
        assert int(inner[0]) == len(holder[key])
        holder[key] += value
    else:
        join(holder[key], value, inner)


words = st.text(st.sampled_from('ab \n"\\\t\u0001é漢🙂'), max_size=900)
long_text = words.map(lambda text: text * 3)


@st.composite
def outlines(draw: st.DrawFn) -> Outline:
    count = draw(st.integers(0, 6))
    homes = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    insights = []
    for n in range(count):
        citation = st.fixed_dictionaries(
            {"source": st.just("url"), "title": words, "url": st.just("https://a.b")}
        )
        fields = {"summary": "S" + draw(long_text), "citations": draw(st.lists(citation, max_size=4))}
        insights.append(insight(n, draw(st.integers(0, 10)), **fields))
    sections = []
    for n in range(draw(st.integers(0, 3))):
        held = [i for i, home in enumerate(homes) if home == n]
        texts = {"content": draw(st.none() | long_text), "notes": draw(st.none() | long_text)}
        sections.append(section(0x100 + n, *held, title="T" + draw(words)[:400], **texts))
    return outline(sections, insights, title="R" + draw(words)[:400])


@pytest.mark.parametrize(
    "name", ["summary", "sections", "insights", "markdown", "full", "content"], ids="{} view".format
)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(report=outlines(), limit=st.sampled_from([500, 600, 900, 1_500, 4_000]))
def test_pages_together_are_the_whole(name: str, report: Outline, limit: int) -> None:
    arguments: dict[str, Any] = {"find": "a", "status": "all"} if name == "content" else {"view": name}
    report = lengthened(report) if name == "summary" else report
    (whole,) = pages(report, max_chars=200_000, **arguments)
    whole = {key: value for key, value in whole.items() if key not in HEAD}
    assert joined(pages(report, max_chars=limit, **arguments)) == whole


def test_an_item_that_fits_a_page_is_never_cut() -> None:
    answers = pages(usual_report(12, words=1_000), view="sections")
    assert len(answers) > 2
    assert not any("cut" in item for answer in answers for item in answer["sections"])


def test_a_long_content_is_cut_at_the_end_of_a_line() -> None:
    lines = "".join(f"Line {n} of a long story.\n" for n in range(3_000))
    answers = pages(outline([section(0x10, content=lines), section(0x11)], []), view="sections")
    assert all(answer["sections"][0]["content"].endswith("story.\n") for answer in answers)
    first, second = answers[0]["sections"][0], answers[1]["sections"][0]
    assert first["cut"] is True
    assert second["from"] == f"content/{len(first['content'])}"
    assert size(answers[0]) > 19_500


def test_max_chars_may_change_between_pages() -> None:
    report = usual_report(12)
    first = report_view(report, today=TODAY, view="sections", max_chars=4_000)
    rest = report_view(report, today=TODAY, view="sections", max_chars=200_000, cursor=first["next_cursor"])
    assert ids(first["sections"] + rest["sections"]) == list(range(0x10, 0x1C))


def test_a_cursor_contains_its_version_and_refuses_another() -> None:
    report = usual_report(12)
    text = report_view(report, today=TODAY, view="sections", max_chars=4_000)["next_cursor"]
    assert cursor.decode(text, view_args(report.report_id, GetReport("Health", view="sections")))[0] == 4
    with pytest.raises(InvalidInputError, match="version 4"):
        report_view(
            report.model_copy(update={"outline_version": 5}), today=TODAY, view="sections", cursor=text
        )
    with pytest.raises(InvalidInputError, match="other arguments"):
        report_view(report, today=TODAY, view="sections", find="word", cursor=text)


def test_max_chars_below_an_indivisible_value_is_refused() -> None:
    report = outline([], [], metadata={"k" * 600: 1})
    with pytest.raises(InvalidInputError, match="too small") as refused:
        pages(report, view="full", max_chars=500)
    assert refused.value.details["path"] == "max_chars"


def test_every_answer_is_json(report: Outline) -> None:
    for name in ("summary", "sections", "insights", "full", "markdown"):
        answer = report_view(report, today=TODAY, view=name)
        assert json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize(("kept", "find"), [("a\r\nb", "A\nB"), ("a\nb", "a\r\nb"), ("a\r\nb", "a\r\nb")])
def test_line_ends_of_a_text_to_find_do_not_matter(kept: str, find: str) -> None:
    found = report_view(outline([section(0x10, content=kept)], []), today=TODAY, find=find)
    assert [row["content"] for row in found["sections"]] == [kept]
