"""The use cases of the trash: move a report there, and bring it back."""

from __future__ import annotations

from typing import Any

from living_reports.library.answers import bare_event, checked_reason
from living_reports.library.context import Context, find_report
from living_reports.library.requests import RestoreReport, TrashReport
from living_reports.model.event import Author
from living_reports.model.selectors import pick_report
from living_reports.store.base import Snapshot

Row = dict[str, Any]


def trash_report(context: Context, request: TrashReport, author: Author) -> Row:
    """Move a report into the trash.

    Raises:
        ReportError: The selector is wrong, or the store failed.
    """
    storage = context.storage
    reason = checked_reason(request.reason)
    report_id = find_report(storage, request.report, writing=True)
    state = storage.read(report_id)
    place = storage.trash(report_id, bare_event("delete", report_id, reason, author))
    return _row(state) | {"path": place}


def restore_report(context: Context, request: RestoreReport, author: Author) -> Row:
    """Bring a report back from the trash, by its id or a prefix of it.

    Raises:
        ReportNotFoundError: It is not in the trash.
        ReportError: The selector is wrong, or the store failed.
    """
    storage = context.storage
    report_id = pick_report(storage.trashed(), request.report, True).report_id
    event = bare_event("status_change", report_id, "restored from the trash", author)
    return _row(storage.restore(report_id, event))


def _row(state: Snapshot) -> Row:
    return {"report_id": state.outline.report_id, "title": state.outline.title, "version": state.version}
