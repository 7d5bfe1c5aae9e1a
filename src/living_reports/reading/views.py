"""The views of a report: five ways to read an outline, filtered and limited in size.

Rules:

- Every answer begins with `report_id title version status tags updated_at`, and its compact JSON text has
  at most `max_chars` characters; `next_cursor` continues at the same version.
- Named sections or insights, or a text to find, are shown with their content if no view is stated. Named
  sections include their insights.
- Active insights are shown unless `status` is stated; a named insight is always shown, and `full` contains
  everything.
- Ids are short (see `compact`), except in `full`.

    >>> request = GetReport("Health", view="summary")
    >>> report_view(outline, request, today=date(2026, 11, 23), to_markdown=markdown_text)["sections"]
    [{'section_id': 'ab12cd34', 'title': 'Builds', 'chars': 1840, 'insights': 3, 'stale': 1}]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from living_reports.errors import InvalidInputError
from living_reports.model.fields import SEARCHED
from living_reports.model.report import Insight, Outline, Section, normal_form, outline_data
from living_reports.model.selectors import find_insight, find_section
from living_reports.reading import check, cursor
from living_reports.reading.compact import Json, Rest, cut, fit, short_ids, size, size_bytes, stated
from living_reports.reading.requests import GetReport, require_choice

VIEWS = ("summary", "sections", "insights", "full", "markdown")
STATUSES = ("active", "archived", "killed", "all")

MAX_CHARS = 20_000
MAX_CHARS_RANGE = (500, 200_000)

TOP_INSIGHTS = 5
SUMMARY_BYTES = 2_500
"""The size to which the summary is reduced by shortening the texts of the top insights, if that suffices."""
SUMMARY_TEXT_CHARS = (200, 160, 120, 80, 40)

Renderer = Callable[[Outline, date, str], str]
"""Returns the page of an outline with insights of a status, as judged on a day."""


def report_view(
    outline: Outline,
    request: GetReport,
    *,
    today: date,
    to_markdown: Renderer,
    last_change: Json | None = None,
) -> Json:
    """Return the answer of `get_report`, except for its warnings.

    Args:
        outline: The version to show; with a cursor, the version that the cursor names (see `view_args`).
        request: The arguments.
        today: The UTC day on which freshness is judged; a cursor keeps the day of the first answer.
        to_markdown: Renders the `markdown` view.
        last_change: The row of the newest event, for the summary.

    Raises:
        InvalidInputError: An argument is out of range, or the cursor belongs to another call.
        ItemNotFoundError: A selector matches nothing.
        AmbiguousSelectorError: A selector matches several items.
    """
    _check_values(request)
    args = view_args(outline.report_id, request)
    day, start = _resumed(outline, request.cursor, args, today)
    view = _View(outline, day, request, to_markdown, last_change)
    limit = request.max_chars or MAX_CHARS

    def cursor_for(rest: Rest) -> str:
        return cursor.encode(outline.outline_version, args, [day.isoformat(), *rest])

    return fit(_head(outline, limit), view.body(), start, limit, cursor_for)[0]


def view_args(report_id: str, request: GetReport) -> Json:
    """Return the arguments that a cursor belongs to, for `cursor.decode`.

    `max_chars` is not one of them: it may differ from answer to answer.
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
    if request.view:
        require_choice("view", request.view, VIEWS)
    if request.status:
        require_choice("status", request.status, STATUSES)
    _check_range("min_importance", request.min_importance, 0, 10)
    if request.max_chars:
        _check_range("max_chars", request.max_chars, *MAX_CHARS_RANGE)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidInputError(
            f"{name} is {value}, outside {low} to {high}.",
            hint=f"Give a whole number from {low} to {high}, or leave it out.",
            path=name,
            allowed=f"{low} to {high}",
        )


def _resumed(outline: Outline, text: str, args: Json, today: date) -> tuple[date, Rest]:
    """Return the day and the place that the cursor contains; without a cursor, today and the beginning."""
    if not text:
        return today, []
    version, (day, *start) = cursor.decode(text, args)
    if version != outline.outline_version:
        raise InvalidInputError(
            f"This cursor continues in version {version}, not in {outline.outline_version}.",
            hint="Leave the version out: the cursor contains it.",
            path="cursor",
        )
    return date.fromisoformat(day), start


def _head(outline: Outline, max_chars: int) -> Json:
    """Return the first fields of every answer; title and tags are cut if they would take most of the room."""
    head = {
        "report_id": outline.report_id,
        "title": outline.title,
        "version": outline.outline_version,
        "status": outline.status,
        "tags": outline.tags,
        "updated_at": outline.updated_at,
    }
    if size(head) <= max_chars * 2 // 5:
        return head
    return head | {"title": cut(outline.title, 40), "tags": [cut(", ".join(outline.tags), 20)]}


# --- Views -------------------------------------------------------------------------------


@dataclass
class _View:
    """A view of an outline: the items that the request selects, and how each is shown."""

    outline: Outline
    today: date
    request: GetReport
    to_markdown: Renderer
    last_change: Json | None

    def body(self) -> Json:
        """Return the view before its size is limited."""
        match self.request.view or ("content" if self.named or self.request.find else "summary"):
            case "summary":
                return self._summary()
            case "sections":
                return {"sections": [self._section_item(section) for section in self.sections]}
            case "insights":
                return {"insights": [self._insight_item(insight) for insight in ranked(self.insights)]}
            case "full":
                return self._full()
            case "markdown":
                return {"text": self.to_markdown(self._selected(), self.today, "all")}
            case _:
                return self._content()

    # Selection

    @cached_property
    def named(self) -> set[str]:
        """The ids of the items that the request names; empty if it names none."""
        found = [
            find_section(self.outline, selector, f"sections[{n}]").section_id
            for n, selector in enumerate(self.request.sections)
        ]
        found += [
            find_insight(self.outline, selector, f"insights[{n}]", reading=True).insight_id
            for n, selector in enumerate(self.request.insights)
        ]
        return set(found)

    @cached_property
    def home(self) -> dict[str, str]:
        """The first section of each insight that has one, in the order of the document."""
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
        """The sections that the request selects."""
        named = [s for s in self.outline.sections if not self.named or s.section_id in self.named]
        contains = _containing(self.request.find)
        return [section for section in named if contains(_texts(section))] if self.request.find else named

    @cached_property
    def insights(self) -> list[Insight]:
        """The insights that the request selects by their names or those of their sections."""
        named = list(self.visible.values())
        if self.named:
            named = [
                i for i in named if not self.named.isdisjoint((i.insight_id, self.home.get(i.insight_id)))
            ]
        contains = _containing(self.request.find)
        return [insight for insight in named if contains(_texts(insight))] if self.request.find else named

    def _selected(self) -> Outline:
        """Return the outline with the selected items and the sections that contain them."""
        shown = {section.section_id for section in self.sections}
        if self.request.find:
            shown |= {self.home.get(insight.insight_id, "") for insight in self.insights}
        sections = [section for section in self.outline.sections if section.section_id in shown]
        return self.outline.model_copy(update={"sections": sections, "insights": self.insights})

    # Rows

    @cached_property
    def short(self) -> dict[str, str]:
        return short_ids(self.outline)

    def _summary(self) -> Json:
        body: Json = {"sections": self._section_rows(), "top_insights": []}
        if found := check.counts(self.outline, self.today):
            body["findings"] = found
        if self.last_change:
            body["last_change"] = self.last_change
        rows = [self._top_row(insight) for insight in ranked(self.insights)[:TOP_INSIGHTS]]
        spare = SUMMARY_BYTES - size_bytes(_head(self.outline, MAX_CHARS) | body)
        tried = ([row | {"summary": cut(row["summary"], n)} for row in rows] for n in SUMMARY_TEXT_CHARS)
        body["top_insights"] = next((short for short in tried if size_bytes(short) <= spare), rows)
        return body

    def _section_rows(self) -> list[Json]:
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
            rows.append(stated(row))
        return rows

    def _top_row(self, insight: Insight) -> Json:
        row = {
            "insight_id": self.short[insight.insight_id],
            "section_id": self._home_id(insight),
            "importance": insight.importance,
            "summary": cut(insight.summary, SUMMARY_TEXT_CHARS[0]),
            "stale": check.is_stale(insight, self.today) or None,
        }
        return stated(row)

    def _content(self) -> Json:
        """Return sections and insights with their content; no `sections` if only insights are named."""
        insights = [self._insight_item(insight) for insight in self.insights]
        sections = [self._section_item(section) for section in self.sections]
        return (
            {"sections": sections, "insights": insights}
            if sections or self.request.find
            else {"insights": insights}
        )

    def _section_item(self, section: Section) -> Json:
        ids = [i for i in section.insight_ids if self.home.get(i) == section.section_id and i in self.visible]
        row = {
            "section_id": self.short[section.section_id],
            "title": section.title,
            "content": section.content,
            "content_format": section.content_format if section.content_format != "markdown" else None,
            "notes": section.notes,
            "citations": _citation_rows(section),
            "insight_ids": [self.short[insight_id] for insight_id in ids] or None,
        }
        return stated(row)

    def _insight_item(self, insight: Insight) -> Json:
        row = {
            "insight_id": self.short[insight.insight_id],
            "section_id": self._home_id(insight),
            "importance": insight.importance,
            "status": insight.status if insight.status != "active" else None,
            "summary": insight.summary,
            "citations": _citation_rows(insight),
            **insight.facts,
            "stale": check.is_stale(insight, self.today) or None,
        }
        return stated(row)

    def _home_id(self, insight: Insight) -> str | None:
        home = self.home.get(insight.insight_id)
        return self.short[home] if home else None

    def _full(self) -> Json:
        """Return the whole outline; fields whose names the head uses are renamed."""
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
        return stated(body)


def _citation_rows(item: Section | Insight) -> list[Json] | None:
    return [citation.model_dump(exclude_none=True) for citation in item.citations] or None


def ranked(insights: Iterable[Insight]) -> list[Insight]:
    """Return the insights by importance; equal ones keep their order."""
    return sorted(insights, key=lambda insight: -insight.importance)


# --- Finding text ------------------------------------------------------------------------


def _containing(find: str) -> Callable[[Iterable[str | None]], bool]:
    """Return a test for texts of which one contains this text, in any case, Unicode form and line ends."""
    wanted = _comparable(find)
    return lambda texts: any(wanted in _comparable(text) for text in texts if text)


def _comparable(text: str) -> str:
    text = text.replace("\r\n", "\n")
    if text.isascii():
        return text.lower()
    return normal_form("NFC", normal_form("NFC", text).casefold())


def _texts(item: Section | Insight) -> list[str | None]:
    cited = (value for citation in item.citations for value in citation.model_dump().values())
    searched = SEARCHED["sections" if isinstance(item, Section) else "insights"]
    return [*(getattr(item, name) for name in searched), *cited]
