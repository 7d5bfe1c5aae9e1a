"""The use case `check_report`: the findings as of a day, in pages.

Rules:

- A report is `ok` if there is no error and no warning, whichever page this is; `info` does not count.
- A cursor holds the version and the day of the first page. Documents and cited reports are looked at
  again for each page.
- A cited report that is missing or damaged has no version to compare with, and gives no finding here.
- `unchecked` lists the sources that were not compared: files that may or can not be read, documents cited
  without a hash, and reports that cannot be read. The first page contains it. Web addresses are never opened,
  and are not listed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import unquote

from living_reports.errors import InvalidInputError, ReportError
from living_reports.library.context import Context
from living_reports.library.requests import CheckReport
from living_reports.library.sources import MAX_IMAGE_BYTES, Sources, current_hashes
from living_reports.model.report import Outline, utc_day
from living_reports.model.selectors import quoted
from living_reports.reading import cursor as cursors
from living_reports.reading.check import cited_documents, cited_reports, findings
from living_reports.reading.compact import MAX_ANSWER_CHARS, cut, first_fitting, size
from living_reports.render.prose import local_images
from living_reports.store.base import Store

logger = logging.getLogger(__name__)

_TEXT_CHARS = 1_000
"""The longest message or hint, so that each finding fits on a page."""
_CURSOR_CHARS = 300
_MAX_UNCHECKED = 20
_OUTSIDE = "outside the folders of LIVING_REPORTS_SOURCES"
_NOT_READABLE = "missing, too large or not readable"

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
    versions = _versions(store, outline)
    found = findings(outline, day, versions, current_hashes(outline, context.sources))
    answer: Json = {"report_id": report_id, "title": outline.title, "version": version}
    answer["ok"] = all(finding["severity"] == "info" for finding in found)
    if snapshot.warnings:
        answer["warnings"] = list(snapshot.warnings)
    if not request.cursor:
        answer |= _unchecked(context.sources, outline, versions)
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


def _unchecked(sources: Sources, outline: Outline, versions: Mapping[str, int]) -> Json:
    """Return `unchecked[{source, reason}]`; the last of many counts the rest. Nothing if all were checked."""
    reasons: dict[str, str] = {}
    hashed = cited_documents(outline)
    for path in _documents(outline):
        if not sources.allows(path):
            reasons[path] = _OUTSIDE
        elif path not in hashed:
            reasons[path] = "cited without its sha256" if sources.can_read(path) else _NOT_READABLE
    unreadable = sorted(cited_reports(outline) - versions.keys())
    reasons |= {f"report://{each}": "there is no such report, or it cannot be read" for each in unreadable}
    for image in local_images(outline):
        path = unquote(image)
        if not sources.allows(path):
            reasons[image] = _OUTSIDE
        elif not sources.can_read(path, MAX_IMAGE_BYTES):
            reasons[image] = _NOT_READABLE
    rows = [{"source": cut(source, 200), "reason": reason} for source, reason in reasons.items()]
    if more := len(rows[_MAX_UNCHECKED:]):
        rows[_MAX_UNCHECKED:] = [{"source": f"{more} more", "reason": "not listed here"}]
    return {"unchecked": rows} if rows else {}


def _documents(outline: Outline) -> list[str]:
    """Return the paths of the documents that active insights cite, each once."""
    active = (insight for insight in outline.insights if insight.status == "active")
    cited = (citation for insight in active for citation in insight.citations)
    return list(dict.fromkeys(c.path for c in cited if c.source == "document" and c.path))


def _short(finding: dict[str, str]) -> dict[str, str]:
    return {name: cut(value, _TEXT_CHARS) for name, value in finding.items()}
