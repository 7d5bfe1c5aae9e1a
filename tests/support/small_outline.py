"""A small report, and changes to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from living_reports.changes import Outcome, apply_changes, parse_changes
from living_reports.model.report import Insight, Outline, Section, normalised

CREATED_AT = "2026-11-01T10:00:00+00:00"
NOW = "2026-11-23T10:00:00.123456+00:00"
S1 = "aaaa1111-0000-4000-8000-000000000001"
S2 = "bbbb2222-0000-4000-8000-000000000002"
S3 = "cccc3333-0000-4000-8000-000000000003"
I1 = "11110000-0000-4000-8000-000000000011"
I2 = "22220000-0000-4000-8000-000000000012"
I3 = "33330000-0000-4000-8000-000000000013"
LOOSE = "44440000-0000-4000-8000-000000000014"

Fields = dict[str, Any]


def small_outline() -> Outline:
    paper = {"source": "document", "path": "a.pdf", "page": "3"}
    web = {"source": "url", "url": "https://e.org", "accessed_at": CREATED_AT}
    data = {
        "report_id": "99990000-0000-4000-8000-000000000000",
        "title": "Health",
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
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


def uid(number: int) -> str:
    """Return an id that begins with a number."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def counting_ids() -> Callable[[], str]:
    count = itertools.count(1)
    return lambda: f"ffff0000-0000-4000-8000-{next(count):012}"


def apply(*changes: Fields, outline: Outline | None = None, ids: Callable[[], str] | None = None) -> Outcome:
    parsed = parse_changes(list(changes))
    return apply_changes(outline or small_outline(), parsed, now=NOW, new_id=ids or counting_ids())


def section_of(outcome: Outcome, section_id: str = S1) -> Section:
    return outcome.outline.get_section(section_id)


def insight_of(outcome: Outcome, insight_id: str = I1) -> Insight:
    return outcome.outline.get_insight(insight_id)


def section_titles(outcome: Outcome) -> list[str]:
    return [each.title for each in outcome.outline.sections]
