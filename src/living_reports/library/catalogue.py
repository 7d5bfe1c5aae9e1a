"""Which reports there are: filtered, sorted, a page at a time. Pure functions over index entries.

Rules:

- A page goes on behind the last row it showed, by the same order, so that reports that come
  and go meanwhile neither repeat a row nor hide one.
- A report that is changed between two pages keeps the place it had when the first was made:
  the library says what its `updated_at` was then.
- A page ends early where the answer would get too long.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from living_reports.brief import cut
from living_reports.changes import parse_text
from living_reports.errors import InvalidInputError
from living_reports.models import IndexEntry
from living_reports.paging import size
from living_reports.selectors import folded

SORTS = ("updated", "created", "title")
STATUSES = ("active", "archived", "deleted", "all")

_KEY_CHARS = 60
"""How much of a title the order goes by, so that a cursor stays short."""
_TAG_CHARS = 1_000
"""How much room the tags of one row may take."""

Key = list[str]
Row = dict[str, Any]


def require_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is not among those allowed.

    Raises:
        InvalidInputError: It is not.
    """
    if value not in allowed:
        near = difflib.get_close_matches(value[:_KEY_CHARS].casefold(), allowed, 1)
        raise InvalidInputError(
            f"There is no {name} {cut(parse_text(value, name), 40)!r}.",
            hint=f"One of: {', '.join(allowed)}.",
            path=name,
            allowed=list(allowed),
            did_you_mean=near[0] if near else None,
        )


def matching(
    entries: Iterable[IndexEntry], *, query: str, tags: Sequence[str], status: str
) -> list[IndexEntry]:
    """The entries that have every tag, the status, and every word of the query in their title."""
    words = folded(query).split()
    wanted_tags = {folded(tag) for tag in tags} - {""}
    return [
        entry
        for entry in entries
        if (status == "all" or entry.status == status)
        and not entry.path.startswith(".trash")
        and wanted_tags <= {folded(tag) for tag in entry.tags}
        and all(word in folded(entry.current_title) for word in words)
    ]


def sort_key(entry: IndexEntry, sort: str) -> Key:
    """What the order goes by; the id makes it total."""
    title = folded(entry.current_title)[:_KEY_CHARS]
    value = {"title": title, "created": entry.created_at}.get(sort, entry.updated_at)
    return [value, entry.report_id]


def in_order(keyed: Iterable[tuple[Key, IndexEntry]], sort: str, after: Key | None) -> list[IndexEntry]:
    """The entries behind the one with this key: newest first, titles from A."""
    newest_first = sort != "title"
    ordered = sorted(keyed, key=lambda pair: pair[0], reverse=newest_first)
    if after is not None:
        ordered = [pair for pair in ordered if (pair[0] < after if newest_first else pair[0] > after)]
    return [entry for _, entry in ordered]


def page(
    entries: Sequence[IndexEntry], row_of: Callable[[IndexEntry], Row], limit: int, room: int
) -> tuple[list[Row], IndexEntry | None]:
    """The rows of one page within `room` characters, and the last entry on it if there are more."""
    rows: list[Row] = []
    for entry in entries:
        if len(rows) == limit:
            return rows, entries[limit - 1]
        row = row_of(entry)
        room -= size(row) + 1
        if rows and room < 0:
            return rows, entries[len(rows) - 1]
        rows.append(row)
    return rows, None


def entry_row(entry: IndexEntry, version: int) -> Row:
    """An entry as a row of `list_reports`."""
    tags = list(entry.tags)
    while size(tags) > _TAG_CHARS:
        tags.pop()
    row = {
        "report_id": entry.report_id,
        "title": entry.current_title,
        "version": version,
        "status": entry.status,
        "tags": tags,
        "tags_more": len(entry.tags) - len(tags),
        "updated_at": entry.updated_at,
    }
    return {key: value for key, value in row.items() if value not in ("", [], 0)}
