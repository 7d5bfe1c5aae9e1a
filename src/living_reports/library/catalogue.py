"""Which reports there are: filtered, sorted, a page at a time. Pure functions over index entries.

Rules: a page goes on behind the last row it showed, by the same order, so that reports that
come and go meanwhile neither repeat a row nor hide one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from living_reports.changes import parse_text
from living_reports.errors import InvalidInputError
from living_reports.models import IndexEntry
from living_reports.selectors import folded

SORTS = ("updated", "created", "title")
STATUSES = ("active", "archived", "deleted", "all")

Key = list[str]


def require_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is not among those allowed.

    Raises:
        InvalidInputError: It is not.
    """
    if value not in allowed:
        raise InvalidInputError(
            f"There is no {name} {parse_text(value, name)[:40]!r}.",
            hint=f"One of: {', '.join(allowed)}.",
            path=name,
            allowed=list(allowed),
        )


def matching(
    entries: Iterable[IndexEntry], *, query: str, tags: Sequence[str], status: str
) -> list[IndexEntry]:
    """The entries that have every tag, the status, and every word of the query in their title."""
    words = folded(query).split()
    wanted_tags = {folded(tag) for tag in tags}
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
    value = {"title": folded(entry.current_title), "created": entry.created_at}.get(sort, entry.updated_at)
    return [value, entry.report_id]


def page(
    entries: Sequence[IndexEntry], sort: str, after: Key | None, limit: int
) -> tuple[list[IndexEntry], Key | None]:
    """The entries of one page, and where the next one goes on: newest first, titles from A."""
    newest_first = sort != "title"
    ordered = sorted(entries, key=lambda entry: sort_key(entry, sort), reverse=newest_first)
    if after is not None:
        ordered = [
            e for e in ordered if (sort_key(e, sort) < after if newest_first else sort_key(e, sort) > after)
        ]
    shown = ordered[:limit]
    return shown, sort_key(shown[-1], sort) if len(ordered) > limit else None


def entry_row(entry: IndexEntry, version: int) -> dict[str, Any]:
    """An entry as a row of `list_reports`."""
    row = {
        "report_id": entry.report_id,
        "title": entry.current_title,
        "version": version,
        "status": entry.status,
        "tags": entry.tags,
        "updated_at": entry.updated_at,
    }
    return {key: value for key, value in row.items() if value not in ("", [], 0)}
