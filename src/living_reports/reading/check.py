"""The checks of a report: freshness, citations and structure.

Rules:

- A finding has a stable code, a severity (`error`: something is broken; `warning`: a reader may be misled;
  `info`: worth a look), the address of the item, a message and a hint. The hint contains the change that
  fixes it, as `update_report` takes it.
- An insight is stale from the UTC day of its `review_by` on, that day included. `is_stale` decides; the
  search of a store has the same rule (`SearchQuery.stale_on`).
- Only active insights become stale or need citations; references must be valid in all of them.
- A source has moved if an active insight cites a report that now has a newer version than any that the
  insight cites. Each cited version is reported once, however many insights cite it.
- A document has changed if its file has none of the hashes with which an active insight cites it. A stated
  hash that is not a sha256 is ignored.
- The current versions of reports and the hashes of files are arguments: this module reads nothing.
- Findings are sorted by severity, then by the order of the document.

    >>> [finding["code"] for finding in findings(outline, date(2026, 11, 24))]
    ['bad_reference', 'stale', 'uncited']
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

from living_reports.model.fields import DAYS, SOURCES
from living_reports.model.references import cited_version, is_report_address, report_address, report_of
from living_reports.model.report import Citation, Insight, Outline, Section, folded, review_day, utc_day
from living_reports.reading.compact import cut, short_ids

Severity = Literal["error", "warning", "info"]

SEVERITIES: dict[str, Severity] = {
    "bad_reference": "error",
    "stale": "warning",
    "source_changed": "warning",
    "unreadable_date": "warning",
    "uncited": "warning",
    "orphaned_insight": "warning",
    "duplicate_title": "warning",
    "empty_section": "info",
    "source_moved": "info",
}
"""Every code with its severity."""

_RANKS: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}

_NEEDS = {"url": ("url",), "document": ("path", "url"), "api": ("endpoint", "url")}
"""The fields of which a citation of each kind needs at least one."""

_NO_VERSIONS: Mapping[str, int] = {}
_NO_HASHES: Mapping[str, str | None] = {}

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


class _Problem(NamedTuple):
    """A finding before its message is written, so that counting is cheap."""

    code: str
    item: Section | Insight
    about: Any = None


class _Moved(NamedTuple):
    """A cited version of a report that has a newer one."""

    report_id: str
    title: str
    cited: int
    current: int
    insights: int


class _Changed(NamedTuple):
    """A cited document, and the hash of its file now; `None` if the file cannot be read."""

    citation: Citation
    sha256: str | None


def findings(
    outline: Outline,
    today: date,
    versions: Mapping[str, int] = _NO_VERSIONS,
    hashes: Mapping[str, str | None] = _NO_HASHES,
) -> list[dict[str, str]]:
    """Return the findings, each as `{code, severity, at, message, hint}`.

    Args:
        outline: The report.
        today: The UTC day on which freshness is judged.
        versions: The current versions of the `cited_reports`, by id. Reports that are missing are not
            checked.
        hashes: The sha256 of the files of the `cited_documents` now, by path; `None` for a file that does not
            exist. Documents that are missing are not checked.
    """
    names = short_ids(outline)
    problems = [*_problems(outline, today), *_changed_documents(outline, hashes)]
    problems += _moved_sources(outline, versions)
    described = [_described(problem, outline, names) for problem in problems]
    return sorted(described, key=lambda finding: _RANKS[SEVERITIES[finding["code"]]])


def counts(outline: Outline, today: date) -> dict[str, int]:
    """Return the number of findings of each code that occurs, worst first."""
    found = Counter(problem.code for problem in _problems(outline, today))
    return {code: found[code] for code in SEVERITIES if found[code]}


def cited_reports(outline: Outline) -> set[str]:
    """Return the ids of the reports of which active insights cite a version."""
    return {report_id for report_id, _ in _citing(outline)}


def cited_documents(outline: Outline) -> set[str]:
    """Return the paths of the documents that active insights cite with a sha256."""
    return {path for _, documents in _documents(outline) for path in documents}


def is_stale(insight: Insight, today: date) -> bool:
    """Return True from the day on which an active insight is due for review; never if it is unreadable."""
    day = review_day(insight)
    return day is not None and day <= today


# --- Finding -----------------------------------------------------------------------------


def _problems(outline: Outline, today: date) -> Iterator[_Problem]:
    """Yield the problems in the order of the document; insights of no section come last."""
    insights = {insight.insight_id: insight for insight in outline.insights}
    titles: dict[str, Section] = {}
    placed: set[str] = set()
    for section in outline.sections:
        first = titles.setdefault(folded(section.title), section)
        if first is not section:
            yield _Problem("duplicate_title", section, first)
        present = [insights[i] for i in section.insight_ids if i in insights]
        if not (present or _has_text(section.content) or _has_text(section.notes)):
            yield _Problem("empty_section", section)
        for missing in section.insight_ids:
            if missing not in insights:
                yield _Problem("bad_reference", section, missing)
        for insight in present:
            if insight.insight_id not in placed:
                yield from _insight_problems(insight, today)
        placed.update(section.insight_ids)
    for insight in outline.insights:
        if insight.insight_id not in placed:
            yield _Problem("orphaned_insight", insight)
            yield from _insight_problems(insight, today)


def _insight_problems(insight: Insight, today: date) -> Iterator[_Problem]:
    if is_stale(insight, today):
        yield _Problem("stale", insight, today)
    for field in DAYS:
        value = insight.metadata.get(field)
        if value and utc_day(value) is None:
            yield _Problem("unreadable_date", insight, field)
    if not insight.citations and insight.status == "active":
        yield _Problem("uncited", insight)
    for citation in insight.citations:
        if not _leads_somewhere(citation):
            yield _Problem("bad_reference", insight, citation)


def _leads_somewhere(citation: Citation) -> bool:
    needed = _NEEDS.get(citation.source)
    if needed and not any(getattr(citation, field) for field in needed):
        return False
    url = citation.url or ""
    return not is_report_address(url) or report_of(url) is not None


def _citing(outline: Outline) -> dict[tuple[str, int], list[tuple[Insight, Citation]]]:
    """Return each cited version of a report, with the active insights of which it is the newest cited."""
    found: dict[tuple[str, int], list[tuple[Insight, Citation]]] = {}
    for insight in outline.insights:
        if insight.status != "active":
            continue
        newest: dict[str, tuple[int, Citation]] = {}
        for citation in insight.citations:
            report_id, version = cited_version(citation) or ("", 0)
            if version > newest.get(report_id, (0, citation))[0]:
                newest[report_id] = (version, citation)
        for report_id, (version, citation) in newest.items():
            found.setdefault((report_id, version), []).append((insight, citation))
    return found


def _moved_sources(outline: Outline, versions: Mapping[str, int]) -> Iterator[_Problem]:
    for (report_id, cited), places in _citing(outline).items():
        current = versions.get(report_id, cited)
        if current > cited:
            insight, citation = places[0]
            moved = _Moved(report_id, citation.title or "", cited, current, len(places))
            yield _Problem("source_moved", insight, moved)


def _documents(outline: Outline) -> Iterator[tuple[Insight, dict[str, list[tuple[str, Citation]]]]]:
    """Yield the active insights, each with the hashes of the documents that it cites, by path."""
    for insight in outline.insights:
        if insight.status != "active":
            continue
        found: dict[str, list[tuple[str, Citation]]] = {}
        for citation in insight.citations:
            stated = _SHA256.fullmatch((citation.response_hash or "").strip())
            if citation.source == "document" and citation.path and stated:
                found.setdefault(citation.path, []).append((stated[1].lower(), citation))
        yield insight, found


def _changed_documents(outline: Outline, hashes: Mapping[str, str | None]) -> Iterator[_Problem]:
    for insight, documents in _documents(outline):
        for path, cited in documents.items():
            if path in hashes and hashes[path] not in [sha256 for sha256, _ in cited]:
                yield _Problem("source_changed", insight, _Changed(cited[-1][1], hashes[path]))


def _has_text(text: str | None) -> bool:
    return bool(text and not text.isspace())


# --- Describing --------------------------------------------------------------------------


def _described(problem: _Problem, outline: Outline, names: dict[str, str]) -> dict[str, str]:
    item = problem.item
    if isinstance(item, Section):
        short = names[item.section_id]
        message, hint = _about_section(problem, item, short, names)
        at = f"sections/{short}"
    else:
        short = names[item.insight_id]
        message, hint = _about_insight(problem, item, short, outline, names)
        at = f"insights/{short}"
    severity = SEVERITIES[problem.code]
    return {"code": problem.code, "severity": severity, "at": at, "message": message, "hint": hint}


def _about_section(problem: _Problem, section: Section, short: str, names: dict[str, str]) -> tuple[str, str]:
    title = cut(section.title, 80)
    if problem.code == "duplicate_title":
        first = names[problem.about.section_id]
        return (
            f"The title “{title}” is also that of section {first}, so it identifies neither.",
            _change("edit_section", section=short, title=cut(section.title, 480) + " (2)"),
        )
    if problem.code == "empty_section":
        return (
            f"The section “{title}” has no content, notes or insights.",
            _change("append_text", section=short, text="…")
            + " or "
            + _change("remove_section", section=short),
        )
    return (
        f"The section “{title}” lists an insight that is not in the report: {cut(problem.about, 40)}.",
        "Restore it with revert_report and its id as item, or take the id out of outline.json.",
    )


def _about_insight(
    problem: _Problem, insight: Insight, short: str, outline: Outline, names: dict[str, str]
) -> tuple[str, str]:
    summary = cut(insight.summary, 80)
    match problem.code:
        case "stale":
            return _about_stale(insight, problem.about, short, summary)
        case "unreadable_date":
            value = cut(str(insight.metadata[problem.about]), 40)
            hint = _change("edit_insight", **{"insight": short, problem.about: "2026-01-31"})
            message = f"{problem.about} is not a day or a time: {value}. It belongs to “{summary}”"
            return message, f"With the right day: {hint}"
        case "uncited":
            hint = _change("add_citation", insight=short, citation={"url": "https://…"})
            return f"This insight has no citation: “{summary}”", hint
        case "orphaned_insight":
            home = names[outline.sections[0].section_id] if outline.sections else ""
            hint = _change("move_insight", insight=short, section=home) if home else "Add a section first."
            return f"This insight is in no section: “{summary}”", hint
        case "source_moved":
            return _about_moved(problem.about, short, summary)
        case "source_changed":
            return _about_changed(problem.about, short, summary)
        case _:
            return _about_citation(problem.about, short, summary)


def _about_stale(insight: Insight, today: date, short: str, summary: str) -> tuple[str, str]:
    """Return the message and the hint: look at the source, then record the result."""
    since = "today" if review_day(insight) == today else f"since {insight.metadata['review_by']}"
    named = (getattr(citation, field) for citation in insight.citations for field in SOURCES)
    source = next((f"Check its source first: {cut(name, 120)}." for name in named if name), "")
    reviewed = _change("edit_insight", insight=short, as_of=today.isoformat(), review_by="+30d")
    outdated = _change("edit_insight", insight=short, status="archived")
    hint = (
        f"{source or 'Find its source first.'} Then record what it says: {reviewed} with a new summary if it "
        f"changed, or {outdated} if it is outdated."
    )
    return f"Due for review {since}: “{summary}”", hint


def _about_moved(moved: _Moved, short: str, summary: str) -> tuple[str, str]:
    title = f" “{cut(moved.title, 80)}”" if moved.title else ""
    more = f" and {moved.insights - 1} more" if moved.insights > 1 else ""
    message = (
        f"The report{title} is now at version {moved.current}, but version {moved.cited} is cited: "
        f"diff_report shows the changes. It is cited by “{summary}”{more}"
    )
    address = report_address(moved.report_id, moved.current)
    return message, _change("add_citation", insight=short, citation={"url": address})


def _about_changed(changed: _Changed, short: str, summary: str) -> tuple[str, str]:
    citation = changed.citation
    name = cut(citation.title or citation.path or "", 80)
    if changed.sha256 is None:
        given = citation.model_dump(include={"path", "page", "response_hash"}, exclude_none=True)
        return (
            f"The document “{name}” is missing or cannot be read. It is cited by “{summary}”",
            f"Restore it, or {_change('remove_citation', insight=short, citation=given)}",
        )
    again = citation.model_dump(include={"source", "path", "page", "title"}, exclude_none=True)
    return (
        f"The document “{name}” has changed since it was cited by “{summary}”",
        f"Read it again; if this still holds: {_change('add_citation', insight=short, citation=again)}",
    )


def _about_citation(citation: Citation, short: str, summary: str) -> tuple[str, str]:
    given = citation.model_dump(exclude_none=True)
    needed = _NEEDS.get(citation.source, ("url",))
    problem = (
        f"the address {cut(citation.url, 80)} does not begin with report:// and the id of a report"
        if citation.url
        else f"a citation of kind {citation.source} needs {' or '.join(needed)}"
    )
    removal = _change("remove_citation", insight=short, citation=given)
    hint = f"{removal}, then {_change('add_citation', insight=short, citation={needed[0]: '…'})}"
    return f"A citation leads nowhere: {problem}. It belongs to “{summary}”", hint


def _change(op: str, **fields: Any) -> str:
    return json.dumps({"op": op, **fields}, ensure_ascii=False, separators=(",", ":"))
