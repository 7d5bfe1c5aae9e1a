"""The views of a report: five ways to read an outline, filtered and limited in size.

Rules:

- Every answer begins with `report_id title version status tags updated_at`, and its compact JSON text has
  at most `max_chars` characters; `next_cursor` continues at the same version.
- A summary gives a report of at most `WHOLE_CHARS` characters whole: sections with their texts, and all
  active insights. A longer one is given as sizes and top insights.
- Named sections or insights are shown with their content if no view is stated. Named sections include their
  insights.
- A text to find is counted, and shown with its surroundings (`hits`) wherever it occurs in a long text: as
  much as fits into the answer. Short items are shown as they are. A stated view filters by it in addition.
- Active insights are shown unless `status` is stated; a named insight is always shown, and `full` contains
  everything. `left_out` counts what an answer does not show without being asked to leave it out.
- Ids are short (see `compact`). An insight whose section is not in the answer has its `section_title`.
- `full` leaves out what is empty, what follows from other fields, and times of items that are the report's.

    >>> request = GetReport("Health", view="summary")
    >>> report_view(outline, request, today=date(2026, 11, 23), to_markdown=markdown_text)["sections"]
    [{'section_id': 'ab12cd34', 'title': 'Builds', 'chars': 9840, 'insights': 3, 'stale': 1}]
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from living_reports.errors import InvalidInputError
from living_reports.model.fields import DERIVED, ID_FIELDS, ITEMS, POSITIONS, PROSE, SEARCHED
from living_reports.model.report import ID_CHARS, Insight, Outline, Section, outline_data, queries_of
from living_reports.model.selectors import find_insight, find_section
from living_reports.reading import check, cursor
from living_reports.reading.compact import Json, Rest, cut, fit, short_ids, size, size_bytes, stated
from living_reports.reading.finding import WINDOW_CHARS, Finder, Found
from living_reports.reading.requests import GetReport, require_choice

VIEWS = ("summary", "sections", "insights", "full", "markdown")
STATUSES = ("active", "archived", "killed", "all")

MAX_CHARS = 20_000
MAX_CHARS_RANGE = (500, 200_000)

WHOLE_CHARS = 6_000
"""A report of at most this many characters, in titles, prose and summaries, is whole in its summary."""
TOP_INSIGHTS = 5
SUMMARY_BYTES = 2_500
"""The size to which the summary is reduced by shortening the texts of the top insights, if that suffices."""
SUMMARY_TEXT_CHARS = (200, 160, 120, 80, 40)
NAME_CHARS = 80

FOUND_WHOLE_CHARS = 600
"""An item of at most this many characters is found whole; of a longer one, as many around each hit."""
_HEAD_CHARS, _ROW_CHARS, _HIT_CHARS = 700, 150, 40
"""Room beside the texts that were found: for the head and the hint, and for each item and each window."""
HINTED_IDS = 5

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
    (day, window), start = _resumed(outline, request.cursor, args, today)
    limit = request.max_chars or MAX_CHARS
    view = _View(outline, day, request, to_markdown, last_change, limit, window)

    def cursor_for(rest: Rest) -> str:
        begun = f"{day.isoformat()}/{view.window_chars}" if request.find else day.isoformat()
        return cursor.encode(outline.outline_version, args, [begun, *rest])

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


def _resumed(outline: Outline, text: str, args: Json, today: date) -> tuple[tuple[date, int], Rest]:
    """Return the day, the size of windows (0: not known) and the place that the cursor contains.

    Without a cursor, these are today, 0 and the beginning.
    """
    if not text:
        return (today, 0), []
    version, (begun, *start) = cursor.decode(text, args)
    if version != outline.outline_version:
        raise InvalidInputError(
            f"This cursor continues in version {version}, not in {outline.outline_version}.",
            hint="Leave the version out: the cursor contains it.",
            path="cursor",
        )
    day, _, window = begun.partition("/")
    return (date.fromisoformat(day), int(window or WINDOW_CHARS)), start


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
    limit: int
    window: int
    """The size of the windows of the first answer; 0 in that answer."""

    def body(self) -> Json:
        """Return the view before its size is limited."""
        found = self._counted() if self.request.find else {}
        match self.request.view or ("content" if self.named or self.request.find else "summary"):
            case "summary":
                return found | (self._whole() or self._summary())
            case "sections":
                return found | {"sections": [self._section_row(section) for section in self.sections]}
            case "insights":
                rows = [self._insight_item(insight) for insight in ranked(self.insights)]
                return found | self._left_out() | {"insight_count": len(rows), "insights": rows}
            case "full":
                return found | self._full()
            case "markdown":
                return found | {"text": self.to_markdown(self._selected(), self.today, "all")}
            case _:
                content = self._content()
                return found | self._how_to_read_on(content) | self._left_out() | content

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
        return status in ("all", insight.status) and self._is_wanted(insight)

    def _is_wanted(self, insight: Insight) -> bool:
        return insight.importance >= self.request.min_importance and (
            not self.request.stale or check.is_stale(insight, self.today)
        )

    @cached_property
    def sections(self) -> list[Section]:
        """The sections that the request selects."""
        named = [s for s in self.outline.sections if not self.named or s.section_id in self.named]
        return [s for s in named if self.found[s.section_id].hits] if self.request.find else named

    @cached_property
    def insights(self) -> list[Insight]:
        """The insights that the request selects by their names or those of their sections."""
        everything = not (self.named or self.request.find)
        return [insight for insight in self.visible.values() if everything or self._is_selected(insight)]

    def _is_selected(self, insight: Insight) -> bool:
        places = (insight.insight_id, self.home.get(insight.insight_id))
        return not (self.named and self.named.isdisjoint(places)) and (
            not self.request.find or self.found[insight.insight_id].hits > 0
        )

    def _left_out(self, **more: int) -> Json:
        """Return how many insights only their status hides, by status, and what else is not shown."""
        visible, may_hide = self.visible, not self.request.status
        others = [i for i in self.outline.insights if may_hide and i.insight_id not in visible]
        hidden = Counter(i.status for i in others if self._is_wanted(i) and self._is_selected(i))
        counted = {name: count for name, count in (more | hidden).items() if count}
        return {"left_out": counted} if counted else {}

    def _selected(self) -> Outline:
        """Return the outline with the selected items and the sections that contain them."""
        shown = self.listed
        if self.request.find:
            shown = shown | {self.home.get(insight.insight_id, "") for insight in self.insights}
        sections = [section for section in self.outline.sections if section.section_id in shown]
        return self.outline.model_copy(update={"sections": sections, "insights": self.insights})

    # Rows

    @cached_property
    def short(self) -> dict[str, str]:
        return short_ids(self.outline)

    def _whole(self) -> Json:
        """Return the summary of a short report, with everything in it; empty if that is too long."""
        if self.request.cursor or self._chars() > WHOLE_CHARS:
            return {}
        sections = [
            row | self._section_item(section)
            for row, section in zip(self._section_rows(), self.sections, strict=True)
        ]
        insights = [self._insight_item(insight, self.listed) for insight in ranked(self.insights)]
        body = self._summarised(sections, self._left_out()) | {"top_insights": insights}
        limit = self.request.max_chars or MAX_CHARS
        return body if size(_head(self.outline, limit) | body) <= limit else {}

    def _chars(self) -> int:
        """Return the number of characters of titles, prose and summaries."""
        texts = (getattr(section, name) for section in self.sections for name in SEARCHED["sections"])
        return sum(len(text) for text in texts if text) + sum(len(i.summary) for i in self.insights)

    def _summarised(self, sections: list[Json], left_out: Json) -> Json:
        """Return a summary with its `top_insights` still to come."""
        body: Json = {
            "sections": sections,
            "insight_count": len(self.insights),
            **left_out,
            "top_insights": [],
        }
        if found := check.counts(self.outline, self.today):
            body["findings"] = found
        if self.last_change:
            body["last_change"] = self.last_change
        return body

    def _summary(self) -> Json:
        sections = self._section_rows()
        left_out = self._left_out(
            chars=sum(row["chars"] for row in sections), insights=max(0, len(self.insights) - TOP_INSIGHTS)
        )
        body = self._summarised(sections, left_out)
        rows = [self._top_row(insight, self.listed) for insight in ranked(self.insights)[:TOP_INSIGHTS]]
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
                "chars": _prose_chars(section),
                "insights": len(insights) or None,
                "stale": sum(check.is_stale(insight, self.today) for insight in insights) or None,
            }
            rows.append(stated(row))
        return rows

    def _top_row(self, insight: Insight, shown: Container[str]) -> Json:
        row = {
            "insight_id": self.short[insight.insight_id],
            **self._home(insight, shown),
            "importance": insight.importance,
            "summary": cut(insight.summary, SUMMARY_TEXT_CHARS[0]),
            "stale": check.is_stale(insight, self.today) or None,
        }
        return stated(row)

    def _content(self) -> Json:
        """Return sections and insights with their content; no `sections` if only insights are named."""
        insights = [self._insight_item(insight, self.listed) for insight in self.insights]
        sections = [self._section_item(section) for section in self.sections]
        return (
            {"sections": sections, "insights": insights}
            if sections or self.request.find
            else {"insights": insights}
        )

    def _section_row(self, section: Section) -> Json:
        """Return a section of an answer without its insights, which are named instead."""
        ids = self._insight_ids(section)
        names = {self.short[i]: cut(self.visible[i].summary, NAME_CHARS) for i in ids}
        return self._section_item(section) | ({"insights": names} if names else {})

    def _insight_ids(self, section: Section) -> list[str]:
        home = section.section_id
        return [i for i in section.insight_ids if self.home.get(i) == home and i in self.visible]

    def _section_item(self, section: Section) -> Json:
        surroundings = self._surroundings(section, section.section_id)
        if surroundings:
            surroundings = {"chars": _prose_chars(section)} | surroundings
        row = {
            "section_id": self.short[section.section_id],
            "title": section.title,
            **surroundings,
            "content": section.content,
            "content_format": section.content_format if section.content_format != "markdown" else None,
            "notes": section.notes,
            "citations": _citation_rows(section),
            "insight_ids": [self.short[i] for i in self._insight_ids(section)] or None,
        }
        if self.request.find and not self.request.view:
            row["insight_ids"] = None
            if surroundings:
                row |= dict.fromkeys((*PROSE, "citations"))
        return stated(row)

    def _insight_item(self, insight: Insight, shown: Container[str] = ()) -> Json:
        """Return an insight, with the title of its section unless that is among the ids of those shown."""
        surroundings = self._surroundings(insight, insight.insight_id)
        row = {
            "insight_id": self.short[insight.insight_id],
            **self._home(insight, shown),
            "importance": insight.importance,
            "status": insight.status if insight.status != "active" else None,
            **surroundings,
            "summary": insight.summary,
            "citations": _citation_rows(insight),
            **insight.facts,
            "stale": check.is_stale(insight, self.today) or None,
        }
        if surroundings and not self.request.view:
            row |= {"summary": cut(insight.summary, NAME_CHARS), "citations": None}
        return stated(row)

    def _surroundings(self, item: Section | Insight, item_id: str) -> Json:
        """Return the hits in a long item, each in its window; nothing of a short one."""
        if not self.request.find or _chars_of(item) <= FOUND_WHOLE_CHARS:
            return {}
        found = self.finder.found(_texts(item), self.window_chars)
        return {"hits": found.windows} | ({"hits_more": found.hidden} if found.hidden else {})

    def _home(self, insight: Insight, shown: Container[str]) -> Json:
        """Return the id of the section of an insight, with its title unless the section is shown."""
        home = self.home.get(insight.insight_id)
        if home is None:
            return {}
        row = {"section_id": self.short[home]}
        return row if home in shown else row | {"section_title": cut(self.titles[home], NAME_CHARS)}

    @cached_property
    def titles(self) -> dict[str, str]:
        return {section.section_id: section.title for section in self.outline.sections}

    @cached_property
    def listed(self) -> set[str]:
        """The ids of the sections that the request selects."""
        return {section.section_id for section in self.sections}

    def _full(self) -> Json:
        """Return the whole outline; fields whose names the head uses are renamed."""
        chosen = self.outline.model_copy(update={"sections": self.sections, "insights": self.insights})
        data = outline_data(chosen)
        extra = {key: value for key, value in data.items() if key not in Outline.model_fields}
        mirrors = [queries_of(i.citations) == i.supporting_queries for i in self.insights]
        insights = [
            self._lean(item, DERIVED if is_mirror else frozenset())
            for item, is_mirror in zip(data["insights"], mirrors, strict=True)
        ]
        body = {
            "created_at": data["created_at"],
            "schema_version": data["version"],
            "metadata": data["metadata"] or None,
            "extra": extra or None,
            "sections": [self._lean(item, POSITIONS) for item in data["sections"]],
            "insights": insights,
        }
        return stated(body)

    def _lean(self, item: Json, without: Container[str]) -> Json:
        """Return an item of `full` without these fields, empty ones, and times that are the report's."""
        row = {
            key: value
            for key, value in item.items()
            if value not in ("", [], {})
            and key not in without
            and not (key in ("created_at", "updated_at") and value == getattr(self.outline, key))
        }
        for key in ID_FIELDS.values():
            if key in row:
                row[key] = self.short[row[key]]
        if "insight_ids" in row:
            row["insight_ids"] = [self.short.get(i, i[:ID_CHARS]) for i in row["insight_ids"]]
        return row

    # Finding text

    @cached_property
    def found(self) -> dict[str, Found]:
        """The hits in each item by its id."""
        found = {s.section_id: self.finder.found(_texts(s)) for s in self.outline.sections}
        return found | {i.insight_id: self.finder.found(_texts(i)) for i in self.outline.insights}

    @cached_property
    def finder(self) -> Finder:
        """The text to find."""
        return Finder(self.request.find)

    @cached_property
    def window_chars(self) -> int:
        """The size of windows: as much as fits; later answers keep it, because a cursor counts characters."""
        if self.window or self.request.view:
            return self.window or WINDOW_CHARS
        chars = {s.section_id: _chars_of(s) for s in self.sections}
        chars |= {i.insight_id: _chars_of(i) for i in self.insights}
        windows = sum(len(self.found[key].windows) for key, n in chars.items() if n > FOUND_WHOLE_CHARS)
        whole = sum(n for n in chars.values() if n <= FOUND_WHOLE_CHARS)
        room = self.limit - _HEAD_CHARS - _ROW_CHARS * len(chars) - whole
        return max(WINDOW_CHARS, min(FOUND_WHOLE_CHARS, room // max(1, windows) - _HIT_CHARS))

    def _counted(self) -> Json:
        """Return the number of hits in the items shown, and the fields that were searched."""
        shown = [*self.listed, *(insight.insight_id for insight in self.insights)]
        searched = [*SEARCHED["sections"], *SEARCHED["insights"], "citations"]
        return {"hit_count": sum(self.found[item_id].hits for item_id in shown), "searched": searched}

    def _how_to_read_on(self, answer: Json) -> Json:
        """Return how to read the items whole of which an answer shows only the surroundings of hits."""
        cut_ids = {
            name: [row[ID_FIELDS[name]] for row in answer.get(name, []) if "hits" in row] for name in ITEMS
        }
        arguments = {name: ids[:HINTED_IDS] for name, ids in cut_ids.items() if ids}
        if self.request.view or not arguments:
            return {}
        shown = json.dumps(arguments, separators=(",", ":"))
        return {"hint": f"Long texts are cut around the hits; get_report with {shown} gives them whole."}


def _citation_rows(item: Section | Insight) -> list[Json] | None:
    return [citation.model_dump(exclude_none=True) for citation in item.citations] or None


def ranked(insights: Iterable[Insight]) -> list[Insight]:
    """Return the insights by importance; equal ones keep their order."""
    return sorted(insights, key=lambda insight: -insight.importance)


def _prose_chars(section: Section) -> int:
    return len(section.content or "") + len(section.notes or "")


def _chars_of(item: Section | Insight) -> int:
    """Return the number of characters that a search sees in an item."""
    return sum(map(len, _texts(item).values()))


def _texts(item: Section | Insight) -> dict[str, str]:
    """Return the texts of a section or an insight, and of its citations, by their fields."""
    searched = SEARCHED["sections" if isinstance(item, Section) else "insights"]
    texts = {name: getattr(item, name) for name in searched}
    for number, citation in enumerate(item.citations):
        values = citation.model_dump(exclude_none=True).items()
        texts |= {f"citations/{number}/{name}": value for name, value in values}
    return {field: text for field, text in texts.items() if text}
