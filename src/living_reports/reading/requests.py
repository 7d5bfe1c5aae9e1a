"""The request that `views` answers, and checks of arguments; `library.requests` lists all requests."""

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
