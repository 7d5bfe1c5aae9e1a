"""The use case `diff_report`: the changes between two versions, with their authors."""

from __future__ import annotations

from typing import Any

from living_reports.library.context import Context
from living_reports.library.requests import DiffReport
from living_reports.reading.differences import difference
from living_reports.render.textdiff import page_diff


def diff_report(context: Context, request: DiffReport) -> dict[str, Any]:
    """Return the differences between two versions; without `since`, those of the last one.

    Raises:
        NoSuchVersionError: The report never had one of the versions.
        ReportError: A selector or an argument is wrong, or the report cannot be read.
    """
    report_id, state = context.read(request.report)
    return difference(context.storage, report_id, state, request, context.today(), page_diff)
