"""Which reports there are and what in them fits: a page of `list_reports`.

Rules:

- A page goes on behind the last row it showed, by the same order, so that reports that come
  and go meanwhile neither repeat a row nor hide one. One that is changed between two pages keeps
  the place it had when the first was made.
- A page ends early where the answer would get too long.
- SQLite is loaded when something is listed for the first time.

    >>> answer = list_page(storage, ListReports(query="log4j"), today)
    >>> answer["reports"][0]["matches"]
    [{'section_id': 'ab…', 'snippet': '…the update of log4j closes it.'}]
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date
from typing import Any

from living_reports.errors import InvalidInputError
from living_reports.library.catalogue import STATUSES, entry_row
from living_reports.library.context import Context
from living_reports.library.requests import ListReports, checked_limit
from living_reports.reading import cursor as cursors
from living_reports.reading.compact import MAX_ANSWER_CHARS, size
from living_reports.reading.requests import require_choice
from living_reports.store.base import PageKey, SearchPage, SearchQuery, SearchRow, Store

SORTS = ("relevance", "updated", "created", "title")

_CURSOR_CHARS = 1_200
_BEHIND = (
    "The search is still being brought up to date, so the newest changes may be missing: "
    "send the same call again in a moment."
)

Row = dict[str, Any]


def list_reports(context: Context, request: ListReports) -> Row:
    """Return the reports that match, a page at a time.

    Raises:
        InvalidInputError: An argument is out of range, or the cursor belongs to another call.
    """
    return list_page(context.storage, request, context.today(), checked_limit(request.limit))


def list_page(storage: Store, asked: ListReports, today: date, limit: int = 20) -> Row:
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
    arguments = asdict(asked) | {"tags": list(asked.tags), "limit": 0, "cursor": ""}
    begun, after = cursors.decode(asked.cursor, arguments)[1] if asked.cursor else ("", None)
    page = storage.search(_query(asked, today, begun), after, limit)
    begun = begun or max((found.entry.updated_at for found in page.rows), default="")
    rows, last = _rows(page)
    answer: Row = {"reports": rows, "total": page.total}
    if last is not None:
        answer["next_cursor"] = cursors.encode(0, arguments, [begun, last])
    return answer | ({"warnings": [_BEHIND]} if page.is_behind else {})


def _query(asked: ListReports, today: date, begun: str) -> SearchQuery:
    return SearchQuery(
        text=asked.query,
        tags=asked.tags,
        status=asked.status,
        cites=asked.cites,
        stale_on=today if asked.stale else None,
        sort=asked.sort,
        begun=begun,
    )


def _rows(page: SearchPage) -> tuple[list[Row], PageKey | None]:
    """The rows that the answer has room for, and where the next page begins, if there is one."""
    room = MAX_ANSWER_CHARS - _CURSOR_CHARS
    rows: list[Row] = []
    for number, found in enumerate(page.rows):
        row = _row(found)
        room -= size(row) + 1
        if rows and room < 0:
            return rows, page.rows[number - 1].key
        rows.append(row)
    return rows, page.next_key


def _row(found: SearchRow) -> Row:
    row = entry_row(found.entry, found.version)
    return row | ({"matches": found.matches} if found.matches else {})
