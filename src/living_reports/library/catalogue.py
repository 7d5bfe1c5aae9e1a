"""The rows of `list_reports`."""

from __future__ import annotations

from typing import Any

from living_reports.model.report import IndexEntry
from living_reports.reading.compact import size

STATUSES = ("active", "archived", "deleted", "all")

_TAG_CHARS = 1_000
"""How much room the tags of one row may take."""

Key = list[str]
Row = dict[str, Any]


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
