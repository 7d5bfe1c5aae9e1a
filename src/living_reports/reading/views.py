"""What a reader of a report gets: five views of an outline, filtered, cut to size and paged.

Rules:

- Every answer begins with `report_id title version status tags updated_at`, and its compact
  JSON text has at most `max_chars` characters; `next_cursor` goes on at the same version.
- Naming sections, insights or a text to find without a view gives their content. Sections that
  are named bring their insights along.
- Active insights are shown unless `status` says otherwise; one that is named is shown in any
  case, and `full` holds everything.
- Ids are short (see `brief`), in `full` whole.

    >>> report_view(outline, GetReport("Health", view="summary"), today=date(2026, 11, 23))["sections"]
    [{'section_id': 'ab12cd34', 'title': 'Builds', 'chars': 1840, 'insights': 3, 'stale': 1}]
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from living_reports.errors import InvalidInputError
from living_reports.model.fields import SEARCHED
from living_reports.model.report import Insight, Outline, Section, outline_data
from living_reports.model.selectors import find_insight, find_section
from living_reports.reading import check, cursor, paging
from living_reports.reading.brief import brief_edits, cut, event_row, short_ids
from living_reports.reading.requests import GetReport
from living_reports.render.markdown import markdown

__all__ = ["brief_edits", "event_row", "report_view", "short_ids", "view_args"]

VIEWS = ("summary", "sections", "insights", "full", "markdown")
STATUSES = ("active", "archived", "killed", "all")

MAX_CHARS = 20_000
MAX_CHARS_RANGE = (500, 200_000)

TOP_INSIGHTS = 5
SUMMARY_BYTES = 2_500
"""The summary of a usual report stays within this, if shorter texts of the top insights do it."""
SUMMARY_TEXT_CHARS = (200, 160, 120, 80, 40)

Row = dict[str, Any]


def report_view(outline: Outline, request: GetReport, *, today: date, last_change: Row | None = None) -> Row:
    """The answer of `get_report`, but for its warnings.

    With a cursor, `outline` has to be the version that the cursor holds: see `view_args`.
    `today` is a UTC day; a cursor goes on with the day it began with.

    Raises:
        InvalidInputError: An argument is out of range, or the cursor is not for this call.
        ItemNotFoundError: A selector names nothing.
        AmbiguousSelectorError: A selector names several items.
    """
    _check_values(request)
    args = view_args(outline.report_id, request)
    today, start = _resumed(outline, request.cursor, args, today)
    reading = _Reading(outline, today, request, last_change)
    reading.name(request.sections, request.insights)
    limit = request.max_chars or MAX_CHARS
    answer, _ = paging.fit(
        _head(outline, limit), reading.body(), start, limit, _cursors(outline, args, today)
    )
    return answer


def view_args(report_id: str, request: GetReport) -> Row:
    """What a cursor of `report_view` is bound to: `cursor.decode(text, view_args(…))` gives its version.

    The size of a page is not part of it: it may change from page to page.
    """
    names = ("view", "find", "min_importance", "status", "stale")
    return {
        "tool": "get_report",
        "report_id": report_id,
        "sections": list(request.sections),
        "insights": list(request.insights),
    } | {name: getattr(request, name) for name in names}


# --- Arguments ---------------------------------------------------------------------------


def _check_values(request: GetReport) -> None:
    _check_choice("view", request.view, VIEWS)
    _check_choice("status", request.status, STATUSES)
    _check_range("min_importance", request.min_importance, 0, 10)
    if request.max_chars:
        _check_range("max_chars", request.max_chars, *MAX_CHARS_RANGE)


def _check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    if not value or value in allowed:
        return
    near = difflib.get_close_matches(value.casefold()[:40], allowed, 1)
    raise InvalidInputError(
        f"There is no {name} {cut(value, 40)!r}.",
        hint=f"One of: {', '.join(allowed)}.",
        path=name,
        allowed=list(allowed),
        did_you_mean=near[0] if near else None,
    )


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidInputError(
            f"{name} is {value}, outside {low} to {high}.",
            hint=f"Give a whole number from {low} to {high}, or leave it out.",
            path=name,
            allowed=f"{low} to {high}",
        )


def _resumed(outline: Outline, text: str, args: Row, today: date) -> tuple[date, paging.Position]:
    """The day and the position that the cursor holds; today and the start without one."""
    if not text:
        return today, []
    version, (day, *start) = cursor.decode(text, args)
    if version != outline.outline_version:
        raise InvalidInputError(
            f"This cursor goes on in version {version}, not in {outline.outline_version}.",
            hint="Leave the version out: the cursor holds it.",
            path="cursor",
        )
    return date.fromisoformat(day), start


def _cursors(outline: Outline, args: Row, today: date) -> Callable[[paging.Position], str]:
    return lambda rest: cursor.encode(outline.outline_version, args, [today.isoformat(), *rest])


def _head(outline: Outline, max_chars: int) -> Row:
    """What every answer begins with; title and tags are cut where they would leave no room for more."""
    head = {
        "report_id": outline.report_id,
        "title": outline.title,
        "version": outline.outline_version,
        "status": outline.status,
        "tags": outline.tags,
        "updated_at": outline.updated_at,
    }
    if paging.size(head) <= max_chars * 2 // 5:
        return head
    return head | {"title": cut(outline.title, 40), "tags": [cut(", ".join(outline.tags), 20)]}


# --- Reading -----------------------------------------------------------------------------


@dataclass
class _Reading:
    """One look at an outline: which of its items are asked for, and how each is shown."""

    outline: Outline
    today: date
    request: GetReport
    last_change: Row | None
    named: set[str] = field(default_factory=set)
    """The ids of the items that were named; empty: all are asked for."""

    def name(self, sections: Sequence[str], insights: Sequence[str]) -> None:
        """Look up the items that the caller names."""
        found_sections = [find_section(self.outline, s, f"sections[{n}]") for n, s in enumerate(sections)]
        found_insights = [
            find_insight(self.outline, s, f"insights[{n}]", reading=True) for n, s in enumerate(insights)
        ]
        self.named = {s.section_id for s in found_sections} | {i.insight_id for i in found_insights}

    def body(self) -> Row:
        """The view, before it is cut to size."""
        match self.request.view or ("content" if self.named or self.request.find else "summary"):
            case "summary":
                return self._summary()
            case "sections":
                return {"sections": [self._section_item(section) for section in self.sections]}
            case "insights":
                return {"insights": [self._insight_item(insight) for insight in _ranked(self.insights)]}
            case "full":
                return self._full()
            case "markdown":
                return {"text": markdown(self._chosen(), self.today, status="all")}
            case _:
                return self._content()

    # Which items

    @cached_property
    def home(self) -> dict[str, str]:
        """The section of each insight that has one, in the order of the document."""
        known = {insight.insight_id for insight in self.outline.insights}
        homes: dict[str, str] = {}
        for section in self.outline.sections:
            for insight_id in section.insight_ids:
                if insight_id in known:
                    homes.setdefault(insight_id, section.section_id)
        return homes

    @cached_property
    def visible(self) -> dict[str, Insight]:
        """The insights that pass the filters, in the order of the document."""
        by_id = {insight.insight_id: insight for insight in self.outline.insights}
        ordered = {insight_id: by_id[insight_id] for insight_id in self.home} | by_id
        return {insight_id: insight for insight_id, insight in ordered.items() if self._passes(insight)}

    def _passes(self, insight: Insight) -> bool:
        everything = self.request.view == "full" or insight.insight_id in self.named
        status = self.request.status or ("all" if everything else "active")
        return (
            status in ("all", insight.status)
            and insight.importance >= self.request.min_importance
            and (not self.request.stale or check.is_stale(insight, self.today))
        )

    @cached_property
    def sections(self) -> list[Section]:
        """The sections asked for."""
        named = [s for s in self.outline.sections if not self.named or s.section_id in self.named]
        contains = _containing(self.request.find)
        return (
            [s for s in named if contains(getattr(s, name) for name in SEARCHED["sections"])]
            if self.request.find
            else named
        )

    @cached_property
    def insights(self) -> list[Insight]:
        """The insights asked for: named, or in a section that is named."""
        named = list(self.visible.values())
        if self.named:
            named = [
                i for i in named if not self.named.isdisjoint((i.insight_id, self.home.get(i.insight_id)))
            ]
        contains = _containing(self.request.find)
        return [insight for insight in named if contains(_texts(insight))] if self.request.find else named

    def _chosen(self) -> Outline:
        """The outline with only the items asked for, and the sections that they sit in."""
        shown = {section.section_id for section in self.sections}
        if self.request.find:
            shown |= {self.home.get(insight.insight_id, "") for insight in self.insights}
        sections = [section for section in self.outline.sections if section.section_id in shown]
        return self.outline.model_copy(update={"sections": sections, "insights": self.insights})

    # How they are shown

    @cached_property
    def short(self) -> dict[str, str]:
        return short_ids(self.outline)

    def _summary(self) -> Row:
        body: Row = {"sections": self._section_rows(), "top_insights": []}
        if found := check.counts(self.outline, self.today):
            body["findings"] = found
        if self.last_change:
            body["last_change"] = self.last_change
        rows = [self._top_row(insight) for insight in _ranked(self.insights)[:TOP_INSIGHTS]]
        spare = SUMMARY_BYTES - paging.size_bytes(_head(self.outline, MAX_CHARS) | body)
        tried = ([row | {"summary": cut(row["summary"], n)} for row in rows] for n in SUMMARY_TEXT_CHARS)
        body["top_insights"] = next((short for short in tried if paging.size_bytes(short) <= spare), rows)
        return body

    def _section_rows(self) -> list[Row]:
        placed: dict[str, list[Insight]] = {}
        for insight_id, insight in self.visible.items():
            placed.setdefault(self.home.get(insight_id, ""), []).append(insight)
        rows = []
        for section in self.sections:
            insights = placed.get(section.section_id, [])
            row = {
                "section_id": self.short[section.section_id],
                "title": section.title,
                "chars": len(section.content or "") + len(section.notes or ""),
                "insights": len(insights) or None,
                "stale": sum(check.is_stale(insight, self.today) for insight in insights) or None,
            }
            rows.append(_stated(row))
        return rows

    def _top_row(self, insight: Insight) -> Row:
        row = {
            "insight_id": self.short[insight.insight_id],
            "section_id": self._home_id(insight),
            "importance": insight.importance,
            "summary": cut(insight.summary, SUMMARY_TEXT_CHARS[0]),
            "stale": check.is_stale(insight, self.today) or None,
        }
        return _stated(row)

    def _content(self) -> Row:
        """Sections and insights with everything a reader needs; without sections if none is meant."""
        insights = [self._insight_item(insight) for insight in self.insights]
        sections = [self._section_item(section) for section in self.sections]
        return (
            {"sections": sections, "insights": insights}
            if sections or self.request.find
            else {"insights": insights}
        )

    def _section_item(self, section: Section) -> Row:
        ids = [i for i in section.insight_ids if self.home.get(i) == section.section_id and i in self.visible]
        row = {
            "section_id": self.short[section.section_id],
            "title": section.title,
            "content": section.content,
            "content_format": section.content_format if section.content_format != "markdown" else None,
            "notes": section.notes,
            "insight_ids": [self.short[insight_id] for insight_id in ids] or None,
        }
        return _stated(row)

    def _insight_item(self, insight: Insight) -> Row:
        row = {
            "insight_id": self.short[insight.insight_id],
            "section_id": self._home_id(insight),
            "importance": insight.importance,
            "status": insight.status if insight.status != "active" else None,
            "summary": insight.summary,
            "citations": [citation.model_dump(exclude_none=True) for citation in insight.citations] or None,
            **insight.facts,
            "stale": check.is_stale(insight, self.today) or None,
        }
        return _stated(row)

    def _home_id(self, insight: Insight) -> str | None:
        home = self.home.get(insight.insight_id)
        return self.short[home] if home else None

    def _full(self) -> Row:
        """Everything in the outline; what the head says otherwise comes under another name."""
        chosen = self.outline.model_copy(update={"sections": self.sections, "insights": self.insights})
        data = outline_data(chosen)
        extra = {key: value for key, value in data.items() if key not in Outline.model_fields}
        body = {
            "created_at": data["created_at"],
            "schema_version": data["version"],
            "metadata": data["metadata"],
            "extra": extra or None,
            "sections": data["sections"],
            "insights": data["insights"],
        }
        return _stated(body)


def _ranked(insights: Iterable[Insight]) -> list[Insight]:
    return sorted(insights, key=lambda insight: -insight.importance)


def _stated(row: Row) -> Row:
    """The row without what it leaves open."""
    return {key: value for key, value in row.items() if value is not None}


# --- Finding text ------------------------------------------------------------------------


def _containing(find: str) -> Callable[[Iterable[str | None]], bool]:
    """Whether one of some texts contains this one, case and Unicode form aside."""
    wanted = _comparable(find)
    return lambda texts: any(wanted in _comparable(text) for text in texts if text)


def _comparable(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _texts(insight: Insight) -> list[str | None]:
    cited = (value for citation in insight.citations for value in citation.model_dump().values())
    return [*(getattr(insight, name) for name in SEARCHED["insights"]), *cited]
