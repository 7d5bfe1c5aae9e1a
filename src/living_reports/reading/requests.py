"""The requests that this package answers itself; `library.requests` lists all of them.

A value that is empty or 0 is not stated.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from living_reports.changes import parse_text
from living_reports.errors import InvalidInputError
from living_reports.reading.compact import cut


@dataclass(frozen=True)
class GetReport:
    """Read a report, or a part of it, now or at a version; see `reading.views`."""

    report: str
    view: str = ""
    version: int = 0
    sections: Sequence[str] = ()
    insights: Sequence[str] = ()
    find: str = ""
    min_importance: int = 0
    status: str = ""
    stale: bool = False
    max_chars: int = 0
    cursor: str = ""


@dataclass(frozen=True)
class DiffReport:
    """Compare two versions of a report; see `reading.differences`.

    Attributes:
        report: The report's selector.
        since: The version to begin with, or the day or time at which it was current.
        to_version: The version to end with; the current one by default.
        format: `changes`, or `text` for a unified diff of the pages.
        cursor: The `next_cursor` of the page before.
    """

    report: str
    since: str | int = ""
    to_version: int = 0
    format: str = ""
    cursor: str = ""


def require_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is not allowed; the error names the allowed ones, and the nearest of them.

    Raises:
        InvalidInputError: It is not allowed.
    """
    if value not in allowed:
        near = difflib.get_close_matches(value[:60].casefold(), allowed, 1)
        raise InvalidInputError(
            f"There is no {name} {cut(parse_text(value, name), 40)!r}.",
            hint=f"One of: {', '.join(allowed)}.",
            path=name,
            allowed=list(allowed),
            did_you_mean=near[0] if near else None,
        )
