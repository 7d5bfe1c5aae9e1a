"""The use case `diff_report`: the changes between two versions, with their authors.

A cursor contains both versions and the day, so that all answers belong to one comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from living_reports.errors import InvalidInputError
from living_reports.library.context import Context
from living_reports.library.requests import DiffReport
from living_reports.reading import cursor as cursors
from living_reports.reading.compact import MAX_ANSWER_CHARS, Rest, fit
from living_reports.reading.differences import changed_rows, first_version
from living_reports.reading.history import parse_since
from living_reports.reading.requests import require_choice
from living_reports.render.textdiff import page_diff
from living_reports.store.base import Event

DIFF_FORMATS = ("changes", "text")

Json = dict[str, Any]


def diff_report(context: Context, request: DiffReport) -> Json:
    """Return the differences between two versions; without `since`, those of the last one.

    Raises:
        InvalidInputError: An argument is wrong, or the comparison would go backwards.
        NoSuchVersionError: The report never had one of the versions, or it is not known.
        ReportError: The selector is wrong, or a version cannot be read.
    """
    store = context.store
    report_id, snapshot = context.read(request.report)
    kind = request.format or DIFF_FORMATS[0]
    require_choice("format", kind, DIFF_FORMATS)
    since = parse_since(request.since)
    arguments = {"report": report_id, "since": str(request.since), "to": request.to_version, "format": kind}
    start: Rest = []
    if request.cursor:
        last, (first, ordinal, *start) = cursors.decode(request.cursor, arguments)
        day = date.fromordinal(ordinal)
    else:
        last, day = request.to_version or snapshot.version, context.today()
        first = first_version(since, last, store.events(report_id), snapshot.outline)
    new = store.outline_at(report_id, last, snapshot)
    old = store.outline_at(report_id, first, snapshot) if first else None
    _require_forwards(first, last, request)

    def events_of(ids: Sequence[str], addresses: Sequence[str]) -> Iterator[Event]:
        return store.events(report_id, mentioning=ids, editing=addresses)

    head: Json = {"report_id": report_id, "title": new.title, "from_version": first, "to_version": last}
    head |= {"warnings": list(snapshot.warnings)} if snapshot.warnings else {}
    if kind == "text":
        body: Json = {"text": page_diff(old, new, day)}
    else:
        body = {"changed": changed_rows(old, new, events_of)}

    def cursor_for(rest: Rest) -> str:
        return cursors.encode(last, arguments, [first, day.toordinal(), *rest])

    return fit(head, body, start, MAX_ANSWER_CHARS - 1, cursor_for)[0]


def _require_forwards(first: int, last: int, request: DiffReport) -> None:
    if first <= last:
        return
    raise InvalidInputError(
        f"to_version is {last}, but the comparison would begin with the later version {first}.",
        hint=f"since is the earlier version: since={last}, to_version={first}."
        if request.since
        else "Give a since that is earlier than to_version.",
        path="to_version",
    )
