"""`list_reports`: the reports that match, with the items in them that match.

Rules:

- A page continues after the last row of the previous one, in the same order, so that reports that
  come and go in between neither repeat a row nor hide one. A report that is changed between two pages
  keeps the place that it had when the first one was made.
- A page ends early if the answer would get too long.
- `stale` with `query` or `cites` asks for insights that are both; see `SearchQuery`.

    >>> answer = list_page(store, ListReports(query="log4j"), today)
    >>> answer["reports"][0]["matches"]
    [{'section_id': 'ab12cd34', 'section_title': 'Risks', 'kind': 'prose', 'snippet': '…of log4j closes it.'}]
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import asdict, replace
from datetime import date
from typing import Any

from living_reports.errors import InvalidInputError, TooLargeError
from living_reports.library.context import Context
from living_reports.library.requests import ListReports, checked_limit
from living_reports.reading import cursor as cursors
from living_reports.reading.compact import MAX_ANSWER_CHARS, size
from living_reports.reading.requests import require_choice
from living_reports.store.base import PageKey, SearchPage, SearchQuery, SearchRow, Store

STATUSES = ("active", "archived", "deleted", "all")
SORTS = ("relevance", "updated", "created", "title")

MAX_QUERY_CHARS = 4_000
MAX_CITES_CHARS = 2_000
MAX_TAGS = 200

_CURSOR_CHARS = 1_200
"""The space for `next_cursor` and everything else around the rows."""
_TAG_CHARS = 1_000
"""The space for the tags of one row."""
_CUT = (
    "So many reports match that they are not weighed by relevance: those with the words in the title come "
    "first, then the newest change. Add a word to narrow the search."
)
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
    return list_page(context.store, request, context.today(), checked_limit(request.limit))


def list_page(store: Store, request: ListReports, today: date, limit: int = 20) -> Row:
    """Return one page of the reports that match.

    Raises:
        InvalidInputError: An argument is none of its choices, or the cursor belongs to another call.
        TooLargeError: A query is longer than a search can compute in reasonable time.
    """
    _require_size("query", request.query, MAX_QUERY_CHARS, "characters")
    _require_size("cites", request.cites, MAX_CITES_CHARS, "characters")
    _require_size("tags", request.tags, MAX_TAGS, "tags")
    request = replace(request, status=request.status or STATUSES[0])
    require_choice("status", request.status, STATUSES)
    if request.sort:
        require_choice("sort", request.sort, SORTS)
    if request.sort == "relevance" and not request.query.strip():
        raise InvalidInputError(
            "Sorting by relevance needs a query.",
            hint="Give a query, or sort by updated, created or title.",
            path="sort",
            allowed=list(SORTS[1:]),
        )
    arguments = asdict(request) | {"tags": list(request.tags), "limit": 0, "cursor": ""}
    begun, after = cursors.decode(request.cursor, arguments)[1] if request.cursor else ("", None)
    page = store.search(_query(request, today, begun), after, limit)
    begun = begun or max((row.entry.updated_at for row in page.rows), default="")
    rows, last_key = _rows(page)
    answer: Row = {"reports": rows, "total": page.total}
    if last_key is not None:
        answer["next_cursor"] = cursors.encode(0, arguments, [begun, last_key])
    warnings = [_BEHIND] * page.is_behind + [_CUT] * page.is_cut
    return answer | ({"warnings": warnings} if warnings else {})


def _require_size(path: str, value: Sized, limit: int, unit: str) -> None:
    if len(value) > limit:
        raise TooLargeError(
            f"{path}: the limit is {limit:,} {unit}.", hint="Search for less at once.", path=path, limit=limit
        )


def _query(request: ListReports, today: date, begun: str) -> SearchQuery:
    return SearchQuery(
        text=request.query,
        tags=request.tags,
        status=request.status,
        cites=request.cites,
        stale_on=today if request.stale else None,
        sort=request.sort,
        begun=begun,
    )


def _rows(page: SearchPage) -> tuple[list[Row], PageKey | None]:
    """Return the rows that fit into the answer, and the key of the next page; `None` on the last one."""
    space = MAX_ANSWER_CHARS - _CURSOR_CHARS
    rows: list[Row] = []
    for number, found in enumerate(page.rows):
        row = _row(found)
        space -= size(row) + 1
        if rows and space < 0:
            return rows, page.rows[number - 1].key
        rows.append(row)
    return rows, page.next_key


def _row(found: SearchRow) -> Row:
    entry = found.entry
    tags = list(entry.tags)
    while size(tags) > _TAG_CHARS:
        tags.pop()
    row = {
        "report_id": entry.report_id,
        "title": entry.current_title,
        "version": found.version,
        "status": entry.status,
        "tags": tags,
        "tags_more": len(entry.tags) - len(tags),
        "updated_at": entry.updated_at,
        "matches": found.matches,
    }
    return {key: value for key, value in row.items() if value not in ("", [], 0)}
