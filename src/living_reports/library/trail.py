"""Questions about a report's history: which events, since when, about what.

Rules:

- Newest first, a page at a time, read from the end of the log: an event that is not asked
  for and not older than the page is never looked at.
- Filters are pure predicates over one record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, get_args

from living_reports.brief import event_row
from living_reports.delta import DeltaError, parts
from living_reports.errors import InvalidInputError
from living_reports.library.answers import size
from living_reports.models import ActionType, Outline
from living_reports.selectors import folded
from living_reports.storage import Record

Wanted = Callable[[Record], bool]
Row = dict[str, Any]


def parse_since(since: str | int) -> int | datetime | None:
    """A version, a moment, or `None` where it is not stated.

    Raises:
        InvalidInputError: It is neither a version nor an ISO date or time.
    """
    text = str(since).strip()
    if text in ("", "0"):
        return None
    if text.isdecimal() and len(text) < 8:
        return int(text)
    try:
        return as_moment(text)
    except ValueError:
        raise InvalidInputError(
            f"since is {text[:40]!r}, neither a version nor a date.",
            hint="Give a version such as 12, a day such as 2026-11-01, or an ISO time.",
            path="since",
        ) from None


def as_moment(text: str) -> datetime:
    """An ISO day (its beginning) or time, in UTC where it names no zone.

    Raises:
        ValueError: It is neither.
    """
    if len(text) == 10:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def filters(
    *, outline: Outline, item: str = "", text: str = "", actor: str = "", action_type: str = ""
) -> list[Wanted]:
    """The predicates that these arguments ask for.

    Raises:
        InvalidInputError: There is no such action type.
    """
    wanted: list[Wanted] = []
    if action_type:
        if action_type not in get_args(ActionType):
            raise InvalidInputError(
                f"There is no action type {action_type[:40]!r}.",
                hint="Leave action_type out to see all events.",
                path="action_type",
                allowed=list(get_args(ActionType)),
            )
        wanted.append(
            lambda record: record.data is not None and record.data.get("action_type") == action_type
        )
    if actor:
        wanted.append(lambda record: _is_by(record, folded(actor)))
    if item:
        address = _address_of(outline, item)
        wanted.append(lambda record: any(_touches(edit, address) for edit in record.delta))
    if text:
        wanted.append(lambda record: any(_mentions(edit, text) for edit in record.delta))
    return wanted


def _is_by(record: Record, actor: str) -> bool:
    kind = (record.data or {}).get("actor")
    client = record.payload.get("client")
    return kind == actor or (isinstance(client, str) and actor in folded(client))


def _address_of(outline: Outline, item: str) -> list[str]:
    """The parts that an address must begin with; ids may be prefixes, and items may be gone."""
    wanted = folded(item)
    for section in outline.sections:
        if folded(section.title) == wanted or section.section_id == item:
            return ["sections", section.section_id]
    try:
        path = parts(item)
    except DeltaError:
        path = [item]
    return path if path[0] in Outline.model_fields else ["*", item]


def _touches(edit: Any, wanted: Sequence[str]) -> bool:
    if not isinstance(edit, dict) or not isinstance(edit.get("at"), str):
        return False
    try:
        path = parts(edit["at"])
    except DeltaError:
        return False
    if path == [""] or not path:
        return True  # the whole outline
    return len(path) >= len(wanted) and all(
        want in ("*", have) or (index == 1 and have.startswith(want))
        for index, (want, have) in enumerate(zip(wanted, path, strict=False))
    )


def _mentions(edit: Any, text: str) -> bool:
    """True if the edit brought or took text that contains this one."""
    if not isinstance(edit, dict):
        return False
    values = [edit.get("old"), edit.get("new"), *(part for s in edit.get("splices") or () for part in s[1:])]
    return any(folded(text) in folded(words) for value in values for words in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def is_after(record: Record, since: int | datetime) -> bool:
    """True if the event came after the version, or not before the moment."""
    if isinstance(since, int):
        return record.version > since or not record.is_ours
    try:
        return as_moment(str((record.data or {}).get("ts"))) >= since
    except ValueError:
        return True


def page(
    records: Iterator[Record], wanted: Sequence[Wanted], since: int | datetime | None, limit: int, room: int
) -> tuple[list[Row], Record | None]:
    """The rows of one page, and the last record on it if there may be more."""
    rows: list[Row] = []
    last: Record | None = None
    for record in records:
        if since is not None and record.is_ours and not is_after(record, since):
            return rows, None
        if not record.is_event or not all(want(record) for want in wanted):
            continue
        row = event_row(record.event)
        room -= size(row) + 1
        if len(rows) == limit or (room < 0 and rows):
            return rows, last
        rows.append(row)
        last = record
    return rows, None
