"""What `check_report` answers: the findings of a day, a page at a time.

Rules:

- A report is `ok` if there is no error and no warning, whichever page this is. What is only worth
  a look (`info`) does not count.
- A cursor holds the version and the day that it began with. Documents and cited reports are
  looked at again for each page.
- A cited report that is damaged, or is not there, has no version to compare with: nothing is
  said of it here.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from typing import Any

from living_reports.errors import InvalidInputError, ReportError
from living_reports.library.answers import MAX_ANSWER_CHARS, first_fitting
from living_reports.library.sources import Sources
from living_reports.library.sourcing import current_hashes
from living_reports.model.report import Outline
from living_reports.model.selectors import quoted
from living_reports.reading import cursor as cursors
from living_reports.reading.brief import cut
from living_reports.reading.check import cited_reports, findings, utc_day
from living_reports.reading.paging import size
from living_reports.store.files import GlobalStorage, State

logger = logging.getLogger(__name__)

_TEXT_CHARS = 1_000
"""How long a message or a hint may be, so that each finding fits on a page."""
_CURSOR_CHARS = 300

Row = dict[str, Any]


def check_answer(
    storage: GlobalStorage, sources: Sources, state: State, on: str = "", cursor: str = ""
) -> Row:
    """The findings of a report that was just read, from the cursor on.

    Raises:
        InvalidInputError: `on` is no day, or the cursor is not for this call.
    """
    report_id = state.outline.report_id
    arguments = {"tool": "check_report", "report": report_id, "on": on}
    version, day, begin = state.version, _day(on), 0
    if cursor:
        version, (day_text, begin) = cursors.decode(cursor, arguments)
        day = date.fromisoformat(day_text)
    outline = storage.outline_at(report_id, version, state)
    found = findings(outline, day, _versions(storage, outline), current_hashes(outline, sources))
    answer: Row = {"report_id": report_id, "title": outline.title, "version": version}
    answer["ok"] = all(finding["severity"] == "info" for finding in found)
    if state.warnings:
        answer["warnings"] = list(state.warnings)
    rest = [_short(finding) for finding in found[begin:]]
    rows = first_fitting(rest, MAX_ANSWER_CHARS - size(answer) - _CURSOR_CHARS)
    answer["findings"] = rows
    if len(rows) < len(rest):
        position = [day.isoformat(), begin + len(rows)]
        answer["next_cursor"] = cursors.encode(version, arguments, position)
    return answer


def _day(on: str) -> date:
    if not on.strip():
        return datetime.now(UTC).date()
    day = utc_day(on.strip())
    if day is None:
        raise InvalidInputError(
            f"on: {quoted(on)} is not a day.", hint="Give a day such as 2026-11-23.", path="on"
        )
    return day


def _versions(storage: GlobalStorage, outline: Outline) -> dict[str, int]:
    """The current versions of the reports that this one cites."""
    versions = {}
    for report_id in sorted(cited_reports(outline)):
        try:
            state = storage.read(report_id)
        except ReportError as error:
            logger.info("cited report %s is not looked at: %s", report_id, error.code)
            continue
        if state.refusal is None:
            versions[report_id] = state.version
    return versions


def _short(finding: dict[str, str]) -> dict[str, str]:
    return {name: cut(value, _TEXT_CHARS) for name, value in finding.items()}
