"""The use case `audit_report`: the events of a report, filtered and in pages.

Rules:

- Newest first, read from the end of the history: an event older than the page, or than `since`, is never
  read.
- A filter is a predicate over one event. It is given all that it needs to know about the report. The one
  for a text comes first, because it rebuilds each version from the next one.
- Renders are left out unless they are asked for: this release records none, earlier ones did.
- `verify` judges the files as they are found, before anything is recovered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from living_reports.errors import CorruptReportError
from living_reports.library.context import Context, find_report, find_unopened, with_name
from living_reports.library.requests import AuditReport, checked_limit
from living_reports.model.report import Outline
from living_reports.reading import cursor as cursors
from living_reports.reading.compact import MAX_ANSWER_CHARS, event_row, size
from living_reports.reading.history import (
    EventFilter,
    Rewinder,
    TextFilter,
    by_actor,
    by_place,
    by_type,
    ids_in,
    is_after,
    is_change,
    is_last_after,
    last_change,
    newest_version,
    parse_since,
    place_of,
)
from living_reports.store.base import Event, Progress, Snapshot, Store

_CURSOR_CHARS = 1_200
"""Room for `next_cursor` and everything else around the events."""
_MORE = "changed_more counts edits not shown: diff_report with to_version=<version> shows all of that version"

Json = dict[str, Any]


def audit_report(context: Context, request: AuditReport, progress: Progress | None = None) -> Json:
    """Return the events of a report, newest first; with `verify` also whether its files are intact.

    Args:
        context: The store.
        request: The report and the filters.
        progress: Called with what was verified so far.

    Raises:
        InvalidInputError: An argument is out of range, or the cursor belongs to another call.
        ReportError: The selector is wrong, or the report cannot be read.
    """
    store = context.store
    limit, moment = checked_limit(request.limit), parse_since(request.since)
    wanted = [by_type(request.action_type) if request.action_type else is_change]
    wanted += [by_actor(request.actor)] if request.actor else []
    if moment is not None:
        wanted.append(lambda event: is_after(event, moment))
    verified = None
    selector = request.report
    if request.verify:
        selector = find_unopened(store, selector)
        verified = store.verify(selector, progress=progress)
    report_id, snapshot = _read_if_possible(context, selector)
    snapshot = with_name(snapshot, request.report) if snapshot and request.verify else snapshot
    place: list[str] = []
    if request.item:
        place = place_of(request.item, snapshot.outline if snapshot else None, store.events(report_id))
        wanted.append(by_place(place))
    if request.text:
        wanted.insert(0, TextFilter(request.text, _versions(store, report_id, snapshot)))
    arguments = _cursor_arguments(request)
    before = cursors.decode(request.cursor, arguments)[1] if request.cursor else None
    version = snapshot.version if snapshot else newest_version(store.events(report_id))
    answer: Json = {"report_id": report_id}
    answer |= {"title": snapshot.outline.title} if snapshot else {}
    answer["version"] = version
    answer |= {"verified": verified} if verified is not None else {}
    answer |= {"warnings": list(snapshot.warnings)} if snapshot and snapshot.warnings else {}
    if place and (change := _last_change(store, report_id, place, snapshot)):
        answer["last_change"] = change
    room = MAX_ANSWER_CHARS - size(answer) - _CURSOR_CHARS
    rewinder = Rewinder(_versions(store, report_id, snapshot))
    events = store.events(report_id, before=before)
    rows, last = _page(events, wanted, moment, limit, room, rewinder)
    answer["events"] = rows
    if any("changed_more" in row for row in rows):
        answer["warnings"] = [*answer.get("warnings", []), _MORE]
    return answer | ({"next_cursor": cursors.encode(version, arguments, last.position)} if last else {})


def _cursor_arguments(request: AuditReport) -> Json:
    names = ("report", "item", "text", "actor", "action_type")
    return {name: getattr(request, name) for name in names} | {"since": str(request.since)}


def _read_if_possible(context: Context, selector: str) -> tuple[str, Snapshot | None]:
    """Return the id and the report; `None` where no version, but only the events, can be read."""
    try:
        return context.read(selector)
    except CorruptReportError:
        return find_report(context.store, selector, writing=False), None


def _last_change(store: Store, report_id: str, place: list[str], snapshot: Snapshot | None) -> Json:
    events = store.events(report_id, mentioning=ids_in(place))
    return last_change(place, events, snapshot.outline if snapshot else None)


def _versions(store: Store, report_id: str, snapshot: Snapshot | None) -> Callable[[int], Outline]:
    """Return a function that returns the outline of a version, or raises a `ReportError`."""

    def outline_at(version: int) -> Outline:
        if snapshot is None:
            raise CorruptReportError("No version of the report can be read.")
        return store.outline_at(report_id, version, snapshot)

    return outline_at


def _page(
    records: Iterator[Event],
    wanted: Sequence[EventFilter],
    since: int | datetime | None,
    limit: int,
    room: int,
    rewinder: Rewinder,
) -> tuple[list[Json], Event | None]:
    """Return the rows of one page, and the last event on it if there may be more."""
    rows: list[Json] = []
    last: Event | None = None
    for record in records:
        if since is not None and is_last_after(record, since):
            return rows, None
        if not record.is_event or not all(want(record) for want in wanted):
            rewinder.pass_by(record)
            continue
        row = event_row(record.event, *rewinder.around(record))
        room -= size(row) + 1
        if len(rows) == limit or (room < 0 and rows):
            return rows, last
        rows.append(row)
        last = record
    return rows, None
