"""The use cases of the trash: move a report there, and bring it back."""

from __future__ import annotations

from typing import Any

from living_reports.library.context import Context
from living_reports.library.requests import RestoreReport, TrashReport
from living_reports.library.writing import bare_event, checked_reason
from living_reports.model.event import Author
from living_reports.model.selectors import pick_report
from living_reports.store.base import Snapshot

Json = dict[str, Any]


def trash_report(context: Context, request: TrashReport, author: Author) -> Json:
    """Move a report into the trash.

    Raises:
        ReportError: The selector is wrong, or the store failed.
    """
    store = context.store
    reason = checked_reason(request.reason)
    report_id, snapshot = context.read(request.report, writing=True)
    place = store.trash(report_id, bare_event("delete", report_id, reason, author, context.now()))
    return _row(snapshot) | {"path": place}


def restore_report(context: Context, request: RestoreReport, author: Author) -> Json:
    """Bring a report back from the trash, by its id or a prefix of it.

    Raises:
        ReportNotFoundError: It is not in the trash.
        ReportError: The selector is wrong, or the store failed.
    """
    store = context.store
    report_id = pick_report(store.trashed(), request.report, True).report_id
    event = bare_event("status_change", report_id, "restored from the trash", author, context.now())
    return _row(store.restore(report_id, event))


def _row(snapshot: Snapshot) -> Json:
    return {
        "report_id": snapshot.outline.report_id,
        "title": snapshot.outline.title,
        "version": snapshot.version,
    }
