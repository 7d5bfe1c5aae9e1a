"""The use case `check_report`: the findings as of a day, in pages.

Rules:

- A report is `ok` if there is no error and no warning, whichever page this is; `info` does not count.
- A cursor holds the version and the day of the first page. Documents and cited reports are looked at
  again for each page.
- A cited report that is missing or damaged has no version to compare with, and gives no finding here.
"""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

from living_reports.errors import InvalidInputError, ReportError
from living_reports.library.context import Context
from living_reports.library.requests import CheckReport
from living_reports.library.sources import current_hashes
from living_reports.model.report import Outline, utc_day
from living_reports.model.selectors import quoted
from living_reports.reading import cursor as cursors
from living_reports.reading.check import cited_reports, findings
from living_reports.reading.compact import MAX_ANSWER_CHARS, cut, first_fitting, size
from living_reports.store.base import Store

logger = logging.getLogger(__name__)

_TEXT_CHARS = 1_000
"""The longest message or hint, so that each finding fits on a page."""
_CURSOR_CHARS = 300

Json = dict[str, Any]


def check_report(context: Context, request: CheckReport) -> Json:
    """Return what is stale, unproven or broken in a report as of a day.

    Raises:
        InvalidInputError: `on` is not a day, or the cursor belongs to another call.
        ReportError: The selector is wrong, or the report cannot be read.
    """
    store = context.store
    report_id, snapshot = context.read(request.report)
    arguments = {"tool": "check_report", "report": report_id, "on": request.on}
    version, day, begin = snapshot.version, _day(context, request.on), 0
    if request.cursor:
        version, (day_text, begin) = cursors.decode(request.cursor, arguments)
        day = date.fromisoformat(day_text)
    outline = store.outline_at(report_id, version, snapshot)
    found = findings(outline, day, _versions(store, outline), current_hashes(outline, context.sources))
    answer: Json = {"report_id": report_id, "title": outline.title, "version": version}
    answer["ok"] = all(finding["severity"] == "info" for finding in found)
    if snapshot.warnings:
        answer["warnings"] = list(snapshot.warnings)
    rest = [_short(finding) for finding in found[begin:]]
    rows = first_fitting(rest, MAX_ANSWER_CHARS - size(answer) - _CURSOR_CHARS)
    answer["findings"] = rows
    if len(rows) < len(rest):
        position = [day.isoformat(), begin + len(rows)]
        answer["next_cursor"] = cursors.encode(version, arguments, position)
    return answer


def _day(context: Context, on: str) -> date:
    if not on.strip():
        return context.today()
    day = utc_day(on.strip())
    if day is None:
        raise InvalidInputError(
            f"on: {quoted(on)} is not a day.", hint="Give a day such as 2026-11-23.", path="on"
        )
    return day


def _versions(store: Store, outline: Outline) -> dict[str, int]:
    """Return the current versions of the reports that this one cites."""
    versions = {}
    for report_id in sorted(cited_reports(outline)):
        try:
            snapshot = store.read(report_id)
        except ReportError as error:
            logger.info("cited report %s is not looked at: %s", report_id, error.code)
            continue
        if snapshot.refusal is None:
            versions[report_id] = snapshot.version
    return versions


def _short(finding: dict[str, str]) -> dict[str, str]:
    return {name: cut(value, _TEXT_CHARS) for name, value in finding.items()}
