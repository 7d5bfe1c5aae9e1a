"""The use cases of the trash: move a report there, and bring it back."""

from __future__ import annotations

from typing import Any

from living_reports.library.answers import bare_event, checked_reason
from living_reports.library.context import Context, disk_errors, find_report
from living_reports.library.requests import RestoreReport, TrashReport
from living_reports.model.event import Author
from living_reports.model.selectors import pick_report
from living_reports.store.files import State

Row = dict[str, Any]


@disk_errors("unknown")
def trash_report(context: Context, request: TrashReport, author: Author) -> Row:
    """Move a report into the trash.

    Raises:
        ReportError: The selector is wrong, or the store failed.
    """
    storage = context.storage
    reason = checked_reason(request.reason)
    report_id = find_report(storage, request.report, writing=True)
    state = storage.read(report_id)
    path = storage.trash(report_id, bare_event("delete", report_id, reason, author))
    return _row(state) | {"path": path.relative_to(storage.reports_root).as_posix()}


@disk_errors("unknown")
def restore_report(context: Context, request: RestoreReport, author: Author) -> Row:
    """Bring a report back from the trash, by its id or a prefix of it.

    Raises:
        ReportNotFoundError: It is not in the trash.
        ReportError: The selector is wrong, or the store failed.
    """
    storage = context.storage
    report_id = pick_report(storage.trash_entries(), request.report, True).report_id
    event = bare_event("status_change", report_id, "restored from the trash", author)
    return _row(storage.restore(report_id, event))


def _row(state: State) -> Row:
    return {"report_id": state.outline.report_id, "title": state.outline.title, "version": state.version}
