"""Questions about the events of a report: since when, by whom, of which type.

Rules: events come newest first. A filter is a predicate over one event; it is given all that it needs to
know about the report.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time
from typing import get_args

from living_reports.errors import InvalidInputError
from living_reports.model.event import ActionType, Actor
from living_reports.model.selectors import folded, quoted
from living_reports.store.base import Event

Wanted = Callable[[Event], bool]


# --- Since when --------------------------------------------------------------------------


def parse_since(since: str | int) -> int | datetime | None:
    """Parse a version or a moment; `None` where it is not stated.

    Raises:
        InvalidInputError: It is neither a version nor an ISO date or time.
    """
    text = str(since).strip()
    if text in ("", "0"):
        return None
    if text.isascii() and text.isdecimal() and len(text) < 8:
        return int(text)
    try:
        return as_moment(text)
    except ValueError:
        raise InvalidInputError(
            f"since is {quoted(text)}, neither a version nor a date.",
            hint="Give a version such as 12, a day such as 2026-11-01, or an ISO time.",
            path="since",
        ) from None


def as_moment(text: str) -> datetime:
    """Parse an ISO day (as its beginning) or time, in UTC where it names no zone.

    Raises:
        ValueError: It is neither.
    """
    if len(text) == 10:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def is_after(record: Event, since: int | datetime) -> bool:
    """Return True if the event came after the version, or not before the moment."""
    if isinstance(since, int):
        return record.version > since or not record.is_ours
    try:
        return as_moment(str(record.fields.get("ts"))) >= since
    except ValueError:
        return True  # another program's idea of a time


# --- By whom, of which type --------------------------------------------------------------


def by_type(action_type: str) -> Wanted:
    """Return the filter for the events of one type.

    Raises:
        InvalidInputError: There is no such type.
    """
    known = get_args(ActionType)
    if action_type not in known:
        near = difflib.get_close_matches(action_type[:40].casefold(), known, 1)
        raise InvalidInputError(
            f"There is no action type {quoted(action_type)}.",
            hint="Leave action_type out to see all events.",
            path="action_type",
            allowed=list(known),
            did_you_mean=near[0] if near else None,
        )
    return lambda record: record.fields.get("action_type") == action_type


def by_actor(actor: str) -> Wanted:
    """Return the filter for one kind of actor, else for the clients whose name contains the word."""
    word = folded(actor)
    if word in get_args(Actor):
        return lambda record: record.fields.get("actor") == word
    return lambda record: word in folded(str(record.payload.get("client", "")))


# --- Versions ----------------------------------------------------------------------------


def newest_version(records: Iterable[Event]) -> int:
    """Return the version of the newest event; 0 where no event has one."""
    return next((record.version for record in records if record.is_ours), 0)
