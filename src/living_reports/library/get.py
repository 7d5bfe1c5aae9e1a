"""The use case `get_report`: a report, or a part of it, now or at a version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from living_reports.errors import InvalidInputError
from living_reports.library.context import Context
from living_reports.library.render import markdown_text
from living_reports.library.requests import GetReport
from living_reports.reading import cursor as cursors
from living_reports.reading.compact import author_row, size
from living_reports.reading.views import MAX_CHARS, MAX_CHARS_RANGE, report_view, view_args

Json = dict[str, Any]


def get_report(context: Context, request: GetReport) -> Json:
    """Return a view of a report; see `reading.views`.

    Raises:
        NoSuchVersionError: The report never had this version.
        ReportError: A selector or an argument is wrong, or the report cannot be read.
    """
    store = context.store
    report_id, snapshot = context.read(request.report)
    version = _cursor_version(request, report_id) if request.cursor else request.version
    outline = store.outline_at(report_id, version or snapshot.version, snapshot)
    event = store.event(report_id, outline.outline_version, snapshot)
    warnings = {"warnings": list(snapshot.warnings)} if snapshot.warnings else {}
    answer = report_view(
        outline,
        replace(request, max_chars=_without(request.max_chars, warnings)) if warnings else request,
        today=context.today(),
        to_markdown=markdown_text,
        last_change=author_row(event) | {"action_type": event.event.action_type} if event else None,
    )
    return answer | warnings


def _without(max_chars: int, warnings: Json) -> int:
    """Return the part of `max_chars` that is left for the view beside the warnings."""
    if not MAX_CHARS_RANGE[0] <= (limit := max_chars or MAX_CHARS) <= MAX_CHARS_RANGE[1]:
        return max_chars
    return max(MAX_CHARS_RANGE[0], limit - size(warnings))


def _cursor_version(request: GetReport, report_id: str) -> int:
    version, _ = cursors.decode(request.cursor, view_args(report_id, request))
    if request.version and request.version != version:
        raise InvalidInputError(
            f"This cursor continues in version {version}, not in {request.version}.",
            hint="Leave the version out: the cursor contains it.",
            path="cursor",
        )
    return version
