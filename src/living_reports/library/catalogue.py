"""What a list says of one report, and which words its arguments may take.

Rule: what is refused is answered with what is allowed, and with the nearest of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from living_reports.changes import parse_text
from living_reports.errors import InvalidInputError
from living_reports.model.report import IndexEntry
from living_reports.reading.brief import cut
from living_reports.reading.paging import size

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
