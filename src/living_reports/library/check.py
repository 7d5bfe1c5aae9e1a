"""The use case `check_report`: the findings as of a day, in pages.

Rules:

- A report is `ok` if there is no error and no warning, whichever page this is; `info` does not count.
- A cursor holds the version and the day of the first page. Documents and cited reports are looked at
  again for each page.
- `unchecked` lists the sources that were not compared: files that may or can not be read, documents cited
  without a hash, and reports or versions of them that cannot be read. Web addresses, APIs and queries are
  never opened, and only counted. The first page contains it.
- The templates that a section is compared with are the built-in ones, and the one that the report names.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import unquote

from living_reports.changes.report_templates import BUILT_IN, find_template
from living_reports.errors import InvalidInputError, ReportError
from living_reports.library.context import Context
from living_reports.library.requests import CheckReport
from living_reports.library.sources import MAX_IMAGE_BYTES, Sources, current_hashes
from living_reports.model.fields import SOURCES
from living_reports.model.references import cited_version, is_report_address, report_address, report_of
from living_reports.model.report import Citation, Outline, utc_day
from living_reports.model.selectors import quoted
from living_reports.reading import cursor as cursors
from living_reports.reading.check import (
    CitedReport,
    TemplateSection,
    as_template,
    cited_documents,
    cited_versions,
    citing_items,
    findings,
)
from living_reports.reading.compact import MAX_ANSWER_CHARS, cut, first_fitting, size
from living_reports.render.prose import local_images
from living_reports.store.base import Snapshot, Store

logger = logging.getLogger(__name__)

_TEXT_CHARS = 1_000
"""The longest message or hint, so that each finding fits on a page."""
_CURSOR_CHARS = 300
_MAX_UNCHECKED = 20
_OUTSIDE = "outside the folders of LIVING_REPORTS_SOURCES"
_NOT_READABLE = "missing, too large or not readable"
_NO_REPORT = "there is no such report, or it cannot be read"
_NO_VERSION = "there is no such version, or it cannot be read"
_UNOPENED = {
    "url": ("web address", "web addresses"),
    "api": ("API", "APIs"),
    "query": ("query", "queries"),
}
"""The kinds of sources that are never opened, one and many."""

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
    reports, missing = _reports(store, outline)
    hashes = current_hashes(outline, context.sources)
    found = findings(outline, day, reports, hashes, set(_templates(store, outline)))
    answer: Json = {"report_id": report_id, "title": outline.title, "version": version}
    answer["ok"] = all(finding["severity"] == "info" for finding in found)
    if snapshot.warnings:
        answer["warnings"] = list(snapshot.warnings)
    if not request.cursor:
        answer |= _unchecked(context.sources, outline, missing)
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


def _reports(store: Store, outline: Outline) -> tuple[dict[tuple[str, int], CitedReport], dict[str, str]]:
    """Return the cited reports that have a newer version, and why others cannot be compared, by address."""
    cited = sorted(cited_versions(outline))
    snapshots = {report_id: _snapshot(store, report_id) for report_id in {each for each, _ in cited}}
    found: dict[tuple[str, int], CitedReport] = {}
    missing: dict[str, str] = {}
    for report_id, version in cited:
        snapshot = snapshots[report_id]
        if snapshot is None:
            missing[f"report://{report_id}"] = _NO_REPORT
        elif version != snapshot.version:
            try:
                then = store.outline_at(report_id, version, snapshot)
                found[report_id, version] = CitedReport(then, snapshot.outline)
            except ReportError:
                missing[report_address(report_id, version)] = _NO_VERSION
    return found, missing


def _snapshot(store: Store, report_id: str) -> Snapshot | None:
    try:
        snapshot = store.read(report_id)
    except ReportError as error:
        logger.info("cited report %s is not looked at: %s", report_id, error.code)
        return None
    return snapshot if snapshot.refusal is None else None


def _templates(store: Store, outline: Outline) -> Iterator[TemplateSection]:
    """Yield the sections with which the report may have begun."""
    named = outline.metadata.get("template")
    for name in dict.fromkeys([*BUILT_IN, *([named] if isinstance(named, str) else [])]):
        try:
            template = find_template(name, store.templates())
        except InvalidInputError:
            continue  # it is gone or broken; creating a report with it says so
        for section in template.sections:
            fields = section.fields
            yield as_template(fields["title"], fields.get("content"), fields.get("notes"))


def _unchecked(sources: Sources, outline: Outline, missing: dict[str, str]) -> Json:
    """Return `unchecked[{source, reason}]`; the last of many counts the rest. Nothing if all were checked."""
    reasons: dict[str, str] = {}
    cited = [citation for item in citing_items(outline) for citation in item.citations]
    hashed = cited_documents(outline)
    for path in (c.path for c in cited if c.source == "document" and c.path):
        if not sources.allows(path):
            reasons[path] = _OUTSIDE
        elif path not in hashed:
            reasons[path] = "cited without its sha256" if sources.can_read(path) else _NOT_READABLE
    reasons |= {c.url: "cited without a version" for c in cited if c.url and _is_without_version(c)}
    reasons |= missing
    for image in local_images(outline):
        path = unquote(image)
        if not sources.allows(path):
            reasons[image] = _OUTSIDE
        elif not sources.can_read(path, MAX_IMAGE_BYTES):
            reasons[image] = _NOT_READABLE
    rows = [{"source": cut(source, 200), "reason": reason} for source, reason in reasons.items()]
    if more := len(rows[_MAX_UNCHECKED:]):
        rows[_MAX_UNCHECKED:] = [{"source": f"{more} more", "reason": "not listed here"}]
    if unopened := _unopened(cited):
        rows.append({"source": unopened, "reason": "never opened"})
    return {"unchecked": rows} if rows else {}


def _is_without_version(citation: Citation) -> bool:
    return cited_version(citation) is None and report_of(citation.url or "") is not None


def _unopened(citations: list[Citation]) -> str:
    """Return the numbers of the web addresses, APIs and queries that are cited, each counted once."""
    named: dict[str, set[str]] = {kind: set() for kind in _UNOPENED}
    for citation in citations:
        kind = "url" if citation.source == "document" and not citation.path else citation.source
        if kind in named and not is_report_address(citation.url or ""):
            named[kind] |= set([value for field in SOURCES if (value := getattr(citation, field))][:1])
    counts = ((len(named[kind]), nouns) for kind, nouns in _UNOPENED.items())
    return ", ".join(f"{count} {nouns[count > 1]}" for count, nouns in counts if count)


def _short(finding: dict[str, str]) -> dict[str, str]:
    return {name: cut(value, _TEXT_CHARS) for name, value in finding.items()}
