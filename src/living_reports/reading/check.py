"""The checks of a report: freshness, sources and structure.

Rules:

- A finding has a stable code, a severity (`error`: something is broken; `warning`: a reader may be misled;
  `info`: worth a look), the title or summary of the item, its address, a message and a hint. The hint
  contains the change that fixes it, as `update_report` takes it.
- An insight is stale from the UTC day of its `review_by` on, that day included. `is_stale` decides; the
  search of a store has the same rule (`SearchQuery.stale_on`).
- Sources of sections and of active insights are compared; only active insights become stale or need
  citations. References must be valid in all of them.
- An insight is self-sourced if it is active, its importance is `IMPORTANT` or more, and it has citations, but
  each is either an observation or a query without anything that another could look up (an address, a path, an
  id, a hash), or an address of the report itself. Without citations it is uncited.
- A cited report has moved if its current version says something else than the cited one: another title of
  the report or of a section, other content or notes, another summary or status of an insight, or an item more
  or less. Days, importance, tags, order and citations do not count. If the citation names a section or an
  insight, only that counts, a section with its insights. A citation of a newer version replaces an older one
  of the same. Each cited version is reported once, however many items cite it.
- A document has changed if its file has none of the hashes with which an item cites it. A stated hash that is
  not a sha256 is ignored.
- An address that is only an ellipsis, as in hints, leads nowhere.
- A section is as its template left it if it has no insight, and its title, content and notes are the
  template's. A text that is only an ellipsis, as in hints, counts as none.
- Cited reports, the hashes of files and the sections of templates are arguments: this module reads nothing.
- Findings are sorted by severity, then by the order of the document.

    >>> [finding["code"] for finding in findings(outline, date(2026, 11, 24))]
    ['bad_reference', 'stale', 'uncited']
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from living_reports.model.fields import DAYS, SOURCES, WORDS
from living_reports.model.references import (
    cited_item,
    cited_version,
    is_report_address,
    report_address,
    report_of,
)
from living_reports.model.report import Citation, Insight, Outline, Section, folded, review_day, utc_day
from living_reports.reading.compact import NAME_CHARS, cut, item_name, short_ids

Severity = Literal["error", "warning", "info"]
Item = Section | Insight

SEVERITIES: dict[str, Severity] = {
    "bad_reference": "error",
    "stale": "warning",
    "source_changed": "warning",
    "unreadable_date": "warning",
    "uncited": "warning",
    "self_sourced": "warning",
    "orphaned_insight": "warning",
    "duplicate_title": "warning",
    "unfilled_template": "warning",
    "empty_section": "info",
    "source_moved": "info",
}
"""Every code with its severity."""

IMPORTANT = 8
"""The importance from which on an insight needs another source than the one who wrote it."""

_RANKS: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}
_MOVED_SHOWN = 2
_FIELD_CHARS = 200
"""The longest field by which a hint names a citation, so that the hint is not cut."""

_NEEDS = {"url": ("url",), "document": ("path", "url"), "api": ("endpoint", "url")}
"""The fields of which a citation of each kind needs at least one."""
_OWN_KINDS = ("observation", "query")
"""The kinds of citations that need no field, and may have none that leads anywhere."""
_LEADS = ("url", "path", "endpoint", "execution_id", "query_id", "sql_sha256", "cache_manifest")
"""The fields of a citation that lead to what is cited."""

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


class CitedReport(NamedTuple):
    """A cited report: the outline of the cited version, and the current one."""

    then: Outline
    now: Outline


class TemplateSection(NamedTuple):
    """The words with which a template begins a section; `as_template` makes them comparable."""

    title: str
    content: str
    notes: str


_NO_REPORTS: Mapping[tuple[str, int], CitedReport] = {}
_NO_HASHES: Mapping[str, str | None] = {}


class _Problem(NamedTuple):
    """A finding before its message is written, so that counting is cheap."""

    code: str
    item: Item
    about: Any = None


class _Cite(NamedTuple):
    """A citation of a version of a report; `part` is the item that it names, or empty."""

    report_id: str
    version: int
    part: str


class _Moved(NamedTuple):
    """A cited version of a report that now says something else.

    Attributes:
        cite: The citation.
        title: The current title of the report.
        current: Its current version.
        changed: The quoted titles and summaries of what changed.
        citing: The number of the items that cite it.
    """

    cite: _Cite
    title: str
    current: int
    changed: list[str]
    citing: int


class _Changed(NamedTuple):
    """A cited document, and the hash of its file now; `None` if the file cannot be read."""

    citation: Citation
    sha256: str | None


def findings(
    outline: Outline,
    today: date,
    reports: Mapping[tuple[str, int], CitedReport] = _NO_REPORTS,
    hashes: Mapping[str, str | None] = _NO_HASHES,
    templates: Collection[TemplateSection] = (),
) -> list[dict[str, str]]:
    """Return the findings, each as `{code, severity, item, at, message, hint}`.

    Args:
        outline: The report.
        today: The UTC day on which freshness is judged.
        reports: The reports of the `cited_versions`, by id and cited version. Those that are missing are not
            checked.
        hashes: The sha256 of the files of the `cited_documents` now, by path; `None` for a file that does not
            exist. Documents that are missing are not checked.
        templates: The sections of the templates that the report may have been made from.
    """
    problems = [*_problems(outline, today, templates), *_changed_documents(outline, hashes)]
    problems += _moved_sources(outline, reports)
    names = short_ids(outline)
    described = [_described(problem, outline, today, names) for problem in problems]
    return sorted(described, key=lambda finding: _RANKS[SEVERITIES[finding["code"]]])


def counts(outline: Outline, today: date) -> dict[str, int]:
    """Return the number of findings of each code that occurs, worst first."""
    found = Counter(problem.code for problem in _problems(outline, today))
    return {code: found[code] for code in SEVERITIES if found[code]}


def cited_versions(outline: Outline) -> set[tuple[str, int]]:
    """Return the reports of which sections or active insights cite a version, with the newest cited one."""
    return {(cite.report_id, cite.version) for cite in _citing(outline)}


def cited_documents(outline: Outline) -> set[str]:
    """Return the paths of the documents that sections and active insights cite with a sha256."""
    return {path for _, documents in _documents(outline) for path in documents}


def citing_items(outline: Outline) -> list[Item]:
    """Return the items whose sources are compared: the sections and the active insights."""
    return [*outline.sections, *(insight for insight in outline.insights if insight.status == "active")]


def is_stale(insight: Insight, today: date) -> bool:
    """Return True from the day on which an active insight is due for review; never if it is unreadable."""
    day = review_day(insight)
    return day is not None and day <= today


def as_template(title: str, content: str | None, notes: str | None) -> TemplateSection:
    """Return the words of a section in the form in which they are compared."""
    texts = ((text or "").strip() if _has_text(text) else "" for text in (content, notes))
    return TemplateSection(folded(title), *texts)


# --- Finding -----------------------------------------------------------------------------


def _problems(
    outline: Outline, today: date, templates: Collection[TemplateSection] = ()
) -> Iterator[_Problem]:
    """Yield the problems in the order of the document; insights of no section come last."""
    insights = {insight.insight_id: insight for insight in outline.insights}
    titles: dict[str, Section] = {}
    placed: set[str] = set()
    for section in outline.sections:
        first = titles.setdefault(folded(section.title), section)
        if first is not section:
            yield _Problem("duplicate_title", section, first)
        present = [insights[i] for i in section.insight_ids if i in insights]
        if not present:
            yield from _unwritten(section, templates)
        for missing in section.insight_ids:
            if missing not in insights:
                yield _Problem("bad_reference", section, missing)
        yield from _bad_citations(section)
        for insight in present:
            if insight.insight_id not in placed:
                yield from _insight_problems(insight, today, outline.report_id)
        placed.update(section.insight_ids)
    for insight in outline.insights:
        if insight.insight_id not in placed:
            yield _Problem("orphaned_insight", insight)
            yield from _insight_problems(insight, today, outline.report_id)


def _unwritten(section: Section, templates: Collection[TemplateSection]) -> Iterator[_Problem]:
    if not _has_text(section.content) and not _has_text(section.notes):
        yield _Problem("empty_section", section)
    elif as_template(section.title, section.content, section.notes) in templates:
        yield _Problem("unfilled_template", section)


def _insight_problems(insight: Insight, today: date, report_id: str) -> Iterator[_Problem]:
    is_active = insight.status == "active"
    if is_stale(insight, today):
        yield _Problem("stale", insight)
    for field in DAYS:
        value = insight.metadata.get(field)
        if value and utc_day(value) is None:
            yield _Problem("unreadable_date", insight, field)
    if is_active and not insight.citations:
        yield _Problem("uncited", insight)
    elif is_active and _is_self_sourced(insight, report_id):
        yield _Problem("self_sourced", insight)
    yield from _bad_citations(insight)


def _is_self_sourced(insight: Insight, report_id: str) -> bool:
    own = (_is_own_word(citation, report_id) for citation in insight.citations)
    return insight.importance >= IMPORTANT and all(own)


def _is_own_word(citation: Citation, report_id: str) -> bool:
    """Return True if a citation leads to nothing but the word of its writer."""
    places = [place for name in _LEADS if (place := getattr(citation, name))]
    if not places:
        return citation.source in _OWN_KINDS
    return all(report_of(place) == report_id for place in places)


def _bad_citations(item: Item) -> Iterator[_Problem]:
    for citation in item.citations:
        if not _leads_somewhere(citation):
            yield _Problem("bad_reference", item, citation)


def _leads_somewhere(citation: Citation) -> bool:
    needed = _NEEDS.get(citation.source)
    if needed and not any(getattr(citation, field) for field in needed):
        return False
    url = citation.url or ""
    if is_report_address(url):
        return report_of(url) is not None
    return not url or url.removeprefix("https://").strip("…") != ""


def _has_text(text: str | None) -> bool:
    return bool(text and text.strip().strip("…"))


# --- Cited reports and documents ----------------------------------------------------------


def _citing(outline: Outline) -> dict[_Cite, list[Item]]:
    """Return each cited version of another report, with the items that cite no newer one of the same."""
    found: dict[_Cite, list[Item]] = {}
    for item in citing_items(outline):
        newest: dict[tuple[str, str], int] = {}
        for citation in item.citations:
            report_id, version = cited_version(citation) or ("", 0)
            if report_id not in ("", outline.report_id):
                place = report_id, cited_item(citation)
                newest[place] = max(version, newest.get(place, 0))
        for (report_id, part), version in newest.items():
            if not part or version > newest.get((report_id, ""), 0):
                found.setdefault(_Cite(report_id, version, part), []).append(item)
    return found


def _moved_sources(outline: Outline, reports: Mapping[tuple[str, int], CitedReport]) -> Iterator[_Problem]:
    compared = {place: _Comparison(report) for place, report in reports.items()}
    for cite, items in _citing(outline).items():
        report = compared.get((cite.report_id, cite.version))
        if report and (changed := report.changed(cite.part)):
            moved = _Moved(cite, report.now.title, report.now.outline_version, changed, len(items))
            yield _Problem("source_moved", items[0], moved)


class _Comparison:
    """A cited version of a report beside the current one: what now says something else."""

    def __init__(self, report: CitedReport) -> None:
        self.now = report.now
        self._then = {section.section_id: section for section in report.then.sections}
        self._current = {section.section_id: section for section in report.now.sections}
        before, after = _words(report.then), _words(report.now)
        self._changed = {
            item_id: f"“{cut(words[0], NAME_CHARS)}”" + (" (removed)" if item_id not in after else "")
            for item_id, words in (before | after).items()
            if before.get(item_id) != after.get(item_id)
        }
        self._ids = {folded(section.title): section.section_id for section in report.then.sections}
        self._ids |= {short: item_id for item_id, short in short_ids(report.then).items()}
        self._ids |= {item_id: item_id for item_id in before if item_id}

    def changed(self, part: str) -> list[str]:
        """Return the quoted names of what changed in the report, or in a part of it that is known."""
        name = folded(unquote(part))
        item_id = self._ids.get(name) or self._ids.get(name.rpartition("/")[2])
        if item_id is None:
            return list(self._changed.values())
        sections = [known[item_id] for known in (self._then, self._current) if item_id in known]
        ids = dict.fromkeys([item_id, *(i for section in sections for i in section.insight_ids)])
        return [self._changed[each] for each in ids if each in self._changed]


def _words(outline: Outline) -> dict[str, tuple[str, ...]]:
    """Return what the report and each of its items say, by id, beginning with the title or the summary."""
    words: dict[str, tuple[str, ...]] = {"": (outline.title,)}
    for section in outline.sections:
        texts = (getattr(section, name) or "" for name in WORDS["sections"])
        words[section.section_id] = (*texts,)
    for insight in outline.insights:
        words[insight.insight_id] = (insight.summary, insight.status)
    return words


def _documents(outline: Outline) -> Iterator[tuple[Item, dict[str, list[tuple[str, Citation]]]]]:
    """Yield the citing items, each with the hashes of the documents that it cites, by path."""
    for item in citing_items(outline):
        found: dict[str, list[tuple[str, Citation]]] = {}
        for citation in item.citations:
            stated = _SHA256.fullmatch((citation.response_hash or "").strip())
            if citation.source == "document" and citation.path and stated:
                found.setdefault(citation.path, []).append((stated[1].lower(), citation))
        yield item, found


def _changed_documents(outline: Outline, hashes: Mapping[str, str | None]) -> Iterator[_Problem]:
    for item, documents in _documents(outline):
        for path, cited in documents.items():
            if path in hashes and hashes[path] not in [sha256 for sha256, _ in cited]:
                yield _Problem("source_changed", item, _Changed(cited[-1][1], hashes[path]))


# --- Describing --------------------------------------------------------------------------


def _described(problem: _Problem, outline: Outline, today: date, names: dict[str, str]) -> dict[str, str]:
    item = problem.item
    if isinstance(item, Section):
        kind, short = "section", names[item.section_id]
        said = _about_section(problem, item, names)
    else:
        kind, short = "insight", names[item.insight_id]
        said = _about_insight(problem, item, outline, today, names)
    message, hint = said or _about_source(problem, {kind: short})
    return {
        "code": problem.code,
        "severity": SEVERITIES[problem.code],
        "item": item_name(item),
        "at": f"{kind}s/{short}",
        "message": message,
        "hint": hint,
    }


def _about_section(problem: _Problem, section: Section, names: dict[str, str]) -> tuple[str, str] | None:
    short = names[section.section_id]
    filled = (
        _change("append_text", section=short, text="…") + " or " + _change("remove_section", section=short)
    )
    match problem.code:
        case "duplicate_title":
            first = names[problem.about.section_id]
            hint = _change("edit_section", section=short, title=cut(section.title, 480) + " (2)")
            return f"Section {first} has the same title, so it identifies neither.", hint
        case "empty_section":
            return "It has no content, notes or insights.", filled
        case "unfilled_template":
            return "It is as its template left it: nobody has filled it in.", filled
        case "bad_reference" if isinstance(problem.about, str):
            message = f"It lists an insight that is not in the report: {cut(problem.about, 40)}."
            return (
                message,
                "Restore it with revert_report and its id as item, or take the id out of outline.json.",
            )
    return None


def _about_insight(
    problem: _Problem, insight: Insight, outline: Outline, today: date, names: dict[str, str]
) -> tuple[str, str] | None:
    short = names[insight.insight_id]
    match problem.code:
        case "stale":
            return _about_stale(insight, today, short)
        case "unreadable_date":
            value = cut(str(insight.metadata[problem.about]), 40)
            hint = _change("edit_insight", **{"insight": short, problem.about: "2026-01-31"})
            return f"{problem.about} is not a day or a time: {value}", f"With the right day: {hint}"
        case "uncited":
            return "It has no citation.", _change(
                "add_citation", insight=short, citation={"url": "https://…"}
            )
        case "self_sourced":
            hint = _change("add_citation", insight=short, citation={"url": "https://…"})
            return (
                f"Its importance is {insight.importance}, but its only source is whoever wrote it.",
                f"With a source that others can look at: {hint}, or "
                + _change("edit_insight", insight=short, importance=IMPORTANT - 1),
            )
        case "orphaned_insight":
            home = names[outline.sections[0].section_id] if outline.sections else ""
            hint = _change("move_insight", insight=short, section=home) if home else "Add a section first."
            return "It is in no section.", hint
    return None


def _about_stale(insight: Insight, today: date, short: str) -> tuple[str, str]:
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
    return f"Due for review {since}.", hint


def _about_source(problem: _Problem, target: dict[str, str]) -> tuple[str, str]:
    """Return the message and the hint of a finding that sections and insights may have."""
    match problem.code:
        case "source_moved":
            return _about_moved(problem.about, target)
        case "source_changed":
            return _about_changed(problem.about, target)
    return _about_citation(problem.about, target)


def _about_moved(moved: _Moved, target: dict[str, str]) -> tuple[str, str]:
    report_id, version, part = moved.cite
    shown = ", ".join(moved.changed[:_MOVED_SHOWN])
    more = f" and {len(moved.changed) - _MOVED_SHOWN} more" if len(moved.changed) > _MOVED_SHOWN else ""
    others = f" Cited by {moved.citing} items." if moved.citing > 1 else ""
    message = (
        f"The report “{cut(moved.title, NAME_CHARS)}” is now at version {moved.current}; since the cited "
        f"version {version} it changed {shown}{more}.{others}"
    )
    address = report_address(report_id, moved.current) + (f"#{part}" if part else "")
    again = _change("add_citation", **target, citation={"url": address})
    hint = f"diff_report of {report_id} since {version} shows how. Correct here what no longer holds"
    return message, f"{hint}; if all still holds: {again}"


def _about_changed(changed: _Changed, target: dict[str, str]) -> tuple[str, str]:
    citation = changed.citation
    name = cut(citation.title or citation.path or "", NAME_CHARS)
    if changed.sha256 is None:
        given = citation.model_dump(include={"path", "page", "response_hash"}, exclude_none=True)
        return (
            f"Its document “{name}” is missing or cannot be read.",
            f"Restore it, or {_change('remove_citation', **target, citation=given)}",
        )
    again = citation.model_dump(include={"source", "path", "page", "title"}, exclude_none=True)
    return (
        f"Its document “{name}” has changed since it was cited.",
        f"Read it again; if this still holds: {_change('add_citation', **target, citation=again)}",
    )


def _about_citation(citation: Citation, target: dict[str, str]) -> tuple[str, str]:
    whole = citation.model_dump(exclude_none=True)
    given = {name: value for name, value in whole.items() if len(value) <= _FIELD_CHARS} or whole
    needed = _NEEDS.get(citation.source, ("url",))
    problem = f"a citation of kind {citation.source} needs {' or '.join(needed)}"
    if citation.url:
        wanted = "does not begin with report:// and the id of a report"
        wanted = wanted if is_report_address(citation.url) else "is only the one of a hint"
        problem = f"the address {cut(citation.url, 80)} {wanted}"
    removal = _change("remove_citation", **target, citation=given)
    hint = f"{removal}, then {_change('add_citation', **target, citation={needed[0]: '…'})}"
    return f"A citation leads nowhere: {problem}.", hint


def _change(op: str, **fields: Any) -> str:
    return json.dumps({"op": op, **fields}, ensure_ascii=False, separators=(",", ":"))
