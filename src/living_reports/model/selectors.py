"""Finding the report, section or insight that a selector names.

Rules:

- A complete id takes precedence. Otherwise items match whose id begins with the selector or
  whose title equals it; the title of an insight is its whole summary. Titles are compared in
  NFC, trimmed and casefolded.
- Several matches are an error that lists them, also if one matches by id and another by title.
  Among reports, active ones take precedence over archived ones, and those over deleted ones.
- Reads also accept a part of an insight's summary or of a report's title. Writes do not, and
  they need more characters of a report's id.
- Dashes and case of ids in a selector are ignored.

    >>> find_section(outline, "key findings", "changes[0].section").title
    'Key findings'
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from living_reports.errors import AmbiguousSelectorError, ItemNotFoundError, ReportNotFoundError
from living_reports.model.report import IndexEntry, Insight, Outline, Section, folded, unique_starts

MIN_PREFIX = 4
"""The least number of characters of an id prefix."""
MIN_REPORT_PREFIX_TO_WRITE = 8

MAX_CANDIDATES = 10
MAX_NEAR = 5
MAX_NAME_CHARS = 100
_SHOWN_CHARS = 100
_STATUS_ORDER = ("active", "archived", "deleted")

T = TypeVar("T")
Match = dict[str, Any]


def find_section(outline: Outline, selector: str, path: str) -> Section:
    """Return the section that `selector` names by id, prefix or title.

    Raises:
        AmbiguousSelectorError: Several sections match; `candidates` lists them.
        ItemNotFoundError: No section matches; `near` lists similar ones.
    """
    ids = [section.section_id for section in outline.sections]
    if selector in ids:
        return outline.sections[ids.index(selector)]
    begins, wanted = _begins_with(selector), folded(selector)
    named = zip(ids, outline.sections, strict=True)
    matches = [section for i, section in named if begins(i) or folded(section.title) == wanted]
    if matches:
        return _only(matches, selector, path, "sections", partial(_section_matches, outline))
    near = _nearest(selector, outline.sections, lambda s: s.section_id, lambda s: s.title)
    raise ItemNotFoundError(
        f"{path}: no section matches {quoted(selector)}.",
        hint="Name a section by its id, the beginning of its id, or its exact title.",
        path=path,
        near=_section_matches(outline, near),
    )


def find_insight(outline: Outline, selector: str, path: str, reading: bool = False) -> Insight:
    """Return the insight that `selector` names by id, prefix or summary; `reading` allows a part of that.

    Raises:
        AmbiguousSelectorError: Several insights match; `candidates` lists them.
        ItemNotFoundError: No insight matches; `near` lists similar ones.
    """
    ids = [insight.insight_id for insight in outline.insights]
    if selector in ids:
        return outline.insights[ids.index(selector)]
    begins, wanted = _begins_with(selector), folded(selector)
    named = zip(ids, outline.insights, strict=True)
    matches = [insight for i, insight in named if begins(i) or folded(insight.summary) == wanted]
    if reading and not matches and wanted:
        matches = [insight for insight in outline.insights if wanted in folded(insight.summary)]
    if matches:
        return _only(matches, selector, path, "insights", partial(_insight_matches, outline))
    near = _nearest(selector, outline.insights, lambda i: i.insight_id, lambda i: i.summary)
    summary = "a unique part of its summary" if reading else "its whole summary"
    raise ItemNotFoundError(
        f"{path}: no insight matches {quoted(selector)}.",
        hint=f"Name an insight by its id, the beginning of its id, or {summary}.",
        path=path,
        near=_insight_matches(outline, near),
    )


def pick_report(entries: Iterable[IndexEntry], selector: str, writing: bool) -> IndexEntry:
    """Return the report that `selector` names.

    Raises:
        AmbiguousSelectorError: Several reports match; `candidates` lists them.
        ReportNotFoundError: No report matches; `near` lists similar ones.
    """
    known = list(entries)
    begins = _begins_with(selector, MIN_REPORT_PREFIX_TO_WRITE if writing else MIN_PREFIX)
    wanted = folded(selector)
    by_id = [entry for entry in known if begins(entry.report_id)]
    if by_id and len(selector.strip().replace("-", "")) == 32:
        return by_id[0]
    by_title = _foremost([entry for entry in known if folded(entry.current_title) == wanted])
    matches = {entry.report_id: entry for entry in (*_foremost(by_id), *by_title)}
    if not matches and not writing and wanted:
        parts = _foremost([entry for entry in known if wanted in folded(entry.current_title)])
        matches = {entry.report_id: entry for entry in parts}
    if matches:
        return _only(list(matches.values()), selector, "report", "reports", _report_matches)
    near = _nearest(selector, known, lambda e: e.report_id, lambda e: e.current_title)
    needs = f"at least {MIN_REPORT_PREFIX_TO_WRITE} characters" if writing else "the beginning"
    raise ReportNotFoundError(
        f"No report matches {quoted(selector)}.",
        hint=f"Name it by its id, {needs} of its id, or its exact title; list_reports shows them.",
        near=_report_matches(near),
    )


def quoted(value: object) -> str:
    """Return a value from the caller in a form for messages: printable, one line, cut."""
    text = repr(value[: _SHOWN_CHARS + 1] if isinstance(value, str) else value)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def cut(text: str, limit: int = _SHOWN_CHARS) -> str:
    """Return the text, cut if it is too long for a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def name_line(text: str) -> str:
    """Return a name as it is recorded: printable, on one line, of at most `MAX_NAME_CHARS` characters."""
    shown = "".join(char if char.isprintable() else " " * char.isspace() for char in text)
    return " ".join(shown.split())[:MAX_NAME_CHARS].rstrip()


def is_whole_name(outline: Outline, selector: str) -> bool:
    """Return whether a selector is exact enough to change the report that it found."""
    begins = _begins_with(selector, MIN_REPORT_PREFIX_TO_WRITE)
    return begins(outline.report_id) or folded(selector) == folded(outline.title)


def _begins_with(selector: str, least: int = MIN_PREFIX) -> Callable[[str], bool]:
    """Return a test whether an id begins with the selector; false if that is too short or not hex."""
    plain = selector.strip().replace("-", "").lower()
    if not least <= len(plain) <= 32 or not _is_hex(plain):
        return lambda item_id: False
    groups = (plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:])
    prefix = "-".join(group for group in groups if group)
    return lambda item_id: item_id.startswith(prefix)


def _is_hex(text: str) -> bool:
    return all(c in "0123456789abcdef" for c in text)


def _only(
    matches: Sequence[T], selector: str, path: str, noun: str, rows: Callable[[Sequence[T]], list[Match]]
) -> T:
    if len(matches) == 1:
        return matches[0]
    raise AmbiguousSelectorError(
        f"{path}: {len(matches)} {noun} match {quoted(selector)}.",
        hint="Use the id of one of the candidates.",
        path=path,
        candidates=rows(matches[:MAX_CANDIDATES]),
    )


def _foremost(entries: list[IndexEntry]) -> list[IndexEntry]:
    """Return the entries with the first status that occurs, in the order of precedence."""
    for status in _STATUS_ORDER:
        if found := [entry for entry in entries if entry.status == status]:
            return found
    return []


def _nearest(
    selector: str, items: Sequence[T], item_id: Callable[[T], str], label: Callable[[T], str]
) -> list[T]:
    """Return items whose label contains the selector, else items with a similar label or id."""
    wanted = folded(selector)[:_SHOWN_CHARS]
    if not wanted:
        return []
    labels = [(folded(label(item)), item) for item in items]
    if inside := [item for text, item in labels if wanted in text]:
        return inside[:MAX_NEAR]
    known = {text[:_SHOWN_CHARS]: item for text, item in labels}
    if _is_hex(wanted.replace("-", "")):
        known |= {item_id(item)[: len(wanted)]: item for item in items}
    close = [known[text] for text in difflib.get_close_matches(wanted, known, MAX_NEAR, 0.6)]
    return list({item_id(item): item for item in close}.values())


def _section_matches(outline: Outline, sections: Sequence[Section]) -> list[Match]:
    short = _short_ids(outline)
    return [{"section_id": short[section.section_id], "title": cut(section.title)} for section in sections]


def _insight_matches(outline: Outline, insights: Sequence[Insight]) -> list[Match]:
    short = _short_ids(outline)
    return [{"insight_id": short[each.insight_id], "summary": cut(each.summary)} for each in insights]


def _short_ids(outline: Outline) -> dict[str, str]:
    """Return short ids as answers use them; one that is also a name stays whole, because it is ambiguous."""
    sections = (section.section_id for section in outline.sections)
    short = unique_starts([*sections, *(insight.insight_id for insight in outline.insights)])
    names = {folded(section.title) for section in outline.sections}
    names |= {folded(insight.summary) for insight in outline.insights}
    return {item_id: item_id if start in names else start for item_id, start in short.items()}


def _report_matches(entries: Sequence[IndexEntry]) -> list[Match]:
    return [
        {"report_id": entry.report_id, "title": cut(entry.current_title), "status": entry.status}
        for entry in entries
    ]
