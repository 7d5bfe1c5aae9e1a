"""Which reports there are and what in them fits: a page of `list_reports`.

Rules:

- A page goes on behind the last row it showed, by the same order, so that reports that come
  and go meanwhile neither repeat a row nor hide one. One that is changed between two pages keeps
  the place it had when the first was made.
- A page ends early where the answer would get too long.
- SQLite is loaded when something is listed for the first time.

    >>> answer = list_page(storage, search, ListReports(query="log4j"), today)
    >>> answer["reports"][0]["matches"]
    [{'section_id': 'ab…', 'snippet': '…the update of log4j closes it.'}]
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from living_reports.errors import InvalidInputError
from living_reports.library.catalogue import STATUSES, entry_row
from living_reports.library.context import Context, disk_errors
from living_reports.library.requests import ListReports, checked_limit
from living_reports.model.report import Insight
from living_reports.reading import cursor as cursors
from living_reports.reading import trail
from living_reports.reading.check import utc_day
from living_reports.reading.compact import MAX_ANSWER_CHARS, size
from living_reports.reading.requests import require_choice
from living_reports.store.files import GlobalStorage

if TYPE_CHECKING:
    from living_reports.store.files.search import Key, Page, Query, SearchIndex
    from living_reports.store.files.search import Row as Found

SORTS = ("relevance", "updated", "created", "title")

_CURSOR_CHARS = 1_200
_BEHIND = (
    "The search is still being brought up to date, so the newest changes may be missing: "
    "send the same call again in a moment."
)

Row = dict[str, Any]


def open_search(storage: GlobalStorage) -> SearchIndex:
    """The search over a root, as the library keeps it."""
    from living_reports.store.files.search import SearchIndex  # loads SQLite

    return SearchIndex(storage, review_day)


def review_day(insight: Insight) -> date | None:
    """The last day on which an active insight is not stale; see `check.is_stale`."""
    return utc_day(insight.metadata.get("review_by")) if insight.status == "active" else None


@disk_errors("no")
def list_reports(context: Context, request: ListReports) -> Row:
    """Return the reports that match, a page at a time.

    Raises:
        InvalidInputError: An argument is out of range, or the cursor belongs to another call.
    """
    if context.search is None:
        context.search = open_search(context.storage)
    limit = checked_limit(request.limit)
    return list_page(context.storage, context.search, request, context.today(), limit)


def list_page(
    storage: GlobalStorage,
    search: SearchIndex,
    asked: ListReports,
    today: date,
    limit: int = 20,
) -> Row:
    """One page of the reports that fit.

    Raises:
        InvalidInputError: An argument is none of its choices, or the cursor is not for this call.
    """
    asked = replace(asked, status=asked.status or STATUSES[0])
    require_choice("status", asked.status, STATUSES)
    if asked.sort:
        require_choice("sort", asked.sort, SORTS)
    if asked.sort == "relevance" and not asked.query.strip():
        raise InvalidInputError(
            "Reports are relevant to a query, and there is none.",
            hint="Give a query, or sort by updated, created or title.",
            path="sort",
            allowed=list(SORTS[1:]),
        )
    storage.require_folder()
    arguments = asdict(asked) | {"tags": list(asked.tags), "limit": 0, "cursor": ""}
    begun, after = cursors.decode(asked.cursor, arguments)[1] if asked.cursor else ("", None)
    page = search.page(_query(storage, asked, today, begun), after, limit)
    begun = begun or max((found.entry.updated_at for found in page.rows), default="")
    rows, last = _rows(storage, page)
    answer: Row = {"reports": rows, "total": page.total}
    if last is not None:
        answer["next_cursor"] = cursors.encode(0, arguments, [begun, last])
    return answer | ({"warnings": [_BEHIND]} if page.is_behind else {})


def _query(storage: GlobalStorage, asked: ListReports, today: date, begun: str) -> Query:
    from living_reports.store.files.search import Query

    return Query(
        query=asked.query,
        tags=asked.tags,
        status=asked.status,
        cites=asked.cites,
        stale_on=today if asked.stale else None,
        sort=asked.sort,
        begun=begun,
        earlier=lambda report_id, moment: trail.updated_by(storage.events(report_id), moment),
    )


def _rows(storage: GlobalStorage, page: Page) -> tuple[list[Row], Key | None]:
    """The rows that the answer has room for, and where the next page begins, if there is one."""
    room = MAX_ANSWER_CHARS - _CURSOR_CHARS
    rows: list[Row] = []
    for number, found in enumerate(page.rows):
        row = _row(storage, found)
        room -= size(row) + 1
        if rows and room < 0:
            return rows, page.rows[number - 1].key
        rows.append(row)
    return rows, page.next_key


def _row(storage: GlobalStorage, found: Found) -> Row:
    row = entry_row(found.entry, storage.stated_version(found.entry))
    return row | ({"matches": found.matches} if found.matches else {})
