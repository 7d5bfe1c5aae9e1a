"""Combine the content of one report (a fork) or several into that of a new report.

Rules:

- Pure: the sources stay as they are; time and ids come in as arguments.
- Every section and insight is copied, in the order of the sources, with a new id and the current time. Of
  the report as a whole only the tags are copied, not the title, status and other metadata.
- Where sections of several sources have the same title, each gets its source's title in brackets. Titles
  that occur twice in one source are left alone.
- Each copied insight also cites the version of the report that it was copied from (see `references`): its
  text may change later, its origin does not.

    >>> combined = combine([health, costs], now="2026-11-23T10:00:00+00:00", new_id=new_id)
    >>> [section.title for section in combined.sections]
    ['Risks (Health)', 'Errors', 'Risks (Costs)']
    >>> combined.from_reports
    [{'report_id': '5f9d12ab-…', 'version': 4}, {'report_id': '0c1e77d0-…', 'version': 9}]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from living_reports.changes import MAX_TITLE_CHARS
from living_reports.errors import InvalidInputError
from living_reports.model.references import report_address
from living_reports.model.report import Citation, Insight, Outline, Section, folded, normalised
from living_reports.reading.compact import cut

PATH = "from_reports"
_LABEL_CHARS = 100
_SHORT_ID_CHARS = 8


@dataclass(frozen=True)
class Combined:
    """The content of the new report and its sources.

    `from_reports` has `{report_id, version}` for each source, in order; it belongs into the new
    outline's metadata and into its first event.
    """

    sections: list[Section]
    insights: list[Insight]
    tags: list[str]
    from_reports: list[dict[str, Any]]


def combine(sources: Sequence[Outline], *, now: str, new_id: Callable[[], str]) -> Combined:
    """Return the content of a new report that combines these reports.

    `now` is ISO 8601 in UTC; `new_id` returns a new UUID each time.

    Raises:
        InvalidInputError: A report is named twice; `path` says where for the second time.
    """
    _require_different(sources)
    tags = list(dict.fromkeys(tag for source in sources for tag in source.tags))
    sections: list[Section] = []
    insights: list[Insight] = []
    titles = _titles(sources)
    for source in map(normalised, sources):
        copies = [_copied_insight(insight, source, now, new_id()) for insight in source.insights]
        ids = {old.insight_id: new.insight_id for old, new in zip(source.insights, copies, strict=True)}
        sections += [_copied_section(each, next(titles), ids, now, new_id()) for each in source.sections]
        insights += copies
    from_reports = [{"report_id": each.report_id, "version": each.outline_version} for each in sources]
    numbered = [section.model_copy(update={"order": i}) for i, section in enumerate(sections)]
    return Combined(numbered, insights, tags, from_reports)


def _require_different(sources: Sequence[Outline]) -> None:
    first: dict[str, int] = {}
    for i, source in enumerate(sources):
        if first.setdefault(source.report_id, i) != i:
            raise InvalidInputError(
                f"{PATH}[{i}]: this is the same report as {PATH}[{first[source.report_id]}].",
                hint="Name each report once.",
                path=f"{PATH}[{i}]",
            )


# --- Items -------------------------------------------------------------------------------


def _copied_section(section: Section, title: str, ids: dict[str, str], now: str, new_id: str) -> Section:
    """Return the section with the new ids of its insights, without the ids of missing insights."""
    return section.model_copy(
        update={
            "section_id": new_id,
            "title": title,
            "insight_ids": [ids[each] for each in section.insight_ids if each in ids],
            "created_at": now,
            "updated_at": now,
        }
    )


def _copied_insight(insight: Insight, source: Outline, now: str, new_id: str) -> Insight:
    copy = insight.model_copy(update={"insight_id": new_id, "created_at": now, "updated_at": now})
    address = report_address(source.report_id, source.outline_version)
    if any(citation.url == address for citation in insight.citations):
        return copy
    origin = Citation(source="url", url=address, title=source.title)
    return copy.with_citations([*insight.citations, origin])


# --- Titles ------------------------------------------------------------------------------


def _titles(sources: Sequence[Outline]) -> Iterator[str]:
    """Yield the titles of all sections in order, with a label where several sources have the same title."""
    users = Counter(title for source in sources for title in {folded(s.title) for s in source.sections})
    for source, label in zip(sources, _labels(sources), strict=True):
        for section in source.sections:
            shared = users[folded(section.title)] > 1
            yield _bracketed(section.title, label) if shared else section.title


def _labels(sources: Sequence[Outline]) -> Iterator[str]:
    """Yield the label of each source: its title, with the start of its id if others have that title."""
    users = Counter(folded(source.title) for source in sources)
    for source in sources:
        label = cut(source.title, _LABEL_CHARS)
        unique = users[folded(source.title)] == 1
        yield label if unique else f"{label}, {source.report_id[:_SHORT_ID_CHARS]}"


def _bracketed(title: str, label: str) -> str:
    """`title (label)`, within the limit of a title."""
    return f"{cut(title.strip(), MAX_TITLE_CHARS - len(label) - len(' ()'))} ({label})"
