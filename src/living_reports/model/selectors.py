"""Which report, section or insight a caller means.

Rules:

- A whole id wins over everything. Then come the items whose id begins with the selector and
  those whose title is the selector; titles are compared in NFC, trimmed and casefolded.
- Several matches, or a prefix and a title that name different items, are never guessed
  between: the error lists them. Among reports an active one comes before an archived one,
  and that before a deleted one.
- Reads may also name an insight or a report by a part of its summary or title. Writes may
  not, and they need more of a report's id.
- Ids are written as in the file; dashes and case of the selector do not matter.

    >>> find_section(outline, "key findings", "changes[0].section").title
    'Key findings'
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from living_reports.errors import AmbiguousSelectorError, ItemNotFoundError, ReportNotFoundError
from living_reports.model.report import IndexEntry, Insight, Outline, Section

MIN_PREFIX = 4
"""Characters of an id that a prefix needs at least."""
MIN_REPORT_PREFIX_TO_WRITE = 8

MAX_CANDIDATES = 10
MAX_NEAR = 5
_SHOWN_CHARS = 100
_STATUS_ORDER = ("active", "archived", "deleted")

T = TypeVar("T")
Row = dict[str, Any]


def find_section(outline: Outline, selector: str, path: str) -> Section:
    """The section that `selector` names by id, prefix or title.

    Raises:
        AmbiguousSelectorError: Several answer to it; `candidates` lists them.
        ItemNotFoundError: None does; `near` lists similar ones.
    """
    ids = [section.section_id for section in outline.sections]
    if selector in ids:
        return outline.sections[ids.index(selector)]
    begins, wanted = _begins_with(selector), folded(selector)
    named = zip(ids, outline.sections, strict=True)
    matches = [section for i, section in named if begins(i) or folded(section.title) == wanted]
    if matches:
        return _only(matches, selector, path, "sections", _section_row)
    near = _nearest(selector, outline.sections, lambda s: s.section_id, lambda s: s.title)
    raise ItemNotFoundError(
        f"{path}: no section answers to {quoted(selector)}.",
        hint="Name a section by its id, the beginning of its id, or its exact title.",
        path=path,
        near=[_section_row(section) for section in near],
    )


def find_insight(outline: Outline, selector: str, path: str, reading: bool = False) -> Insight:
    """The insight that `selector` names by id or prefix; `reading` allows a part of its summary.

    Raises:
        AmbiguousSelectorError: Several answer to it; `candidates` lists them.
        ItemNotFoundError: None does; `near` lists similar ones.
    """
    ids = [insight.insight_id for insight in outline.insights]
    if selector in ids:
        return outline.insights[ids.index(selector)]
    begins = _begins_with(selector)
    matches = [insight for i, insight in zip(ids, outline.insights, strict=True) if begins(i)]
    if reading and not matches and (wanted := folded(selector)):
        matches = [insight for insight in outline.insights if wanted in folded(insight.summary)]
    if matches:
        return _only(matches, selector, path, "insights", _insight_row)
    near = _nearest(selector, outline.insights, lambda i: i.insight_id, lambda i: i.summary)
    also = ", or a part of its summary that no other has" if reading else ""
    raise ItemNotFoundError(
        f"{path}: no insight answers to {quoted(selector)}.",
        hint=f"Name an insight by its id or the beginning of its id{also}.",
        path=path,
        near=[_insight_row(insight) for insight in near],
    )


def pick_report(entries: Iterable[IndexEntry], selector: str, writing: bool) -> IndexEntry:
    """The report that `selector` names.

    Raises:
        AmbiguousSelectorError: Several answer to it; `candidates` lists them.
        ReportNotFoundError: None does; `near` lists similar ones.
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
        return _only(list(matches.values()), selector, "report", "reports", _report_row)
    near = _nearest(selector, known, lambda e: e.report_id, lambda e: e.current_title)
    needs = f"at least {MIN_REPORT_PREFIX_TO_WRITE} characters" if writing else "the beginning"
    raise ReportNotFoundError(
        f"No report answers to {quoted(selector)}.",
        hint=f"Name it by its id, {needs} of its id, or its exact title; list_reports shows them.",
        near=[_report_row(entry) for entry in near],
    )


def folded(text: str) -> str:
    """The form in which titles are compared: NFC, trimmed, casefolded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).casefold())


def quoted(value: object) -> str:
    """The caller's own value as a message may show it: printable, one line, cut."""
    text = repr(value[: _SHOWN_CHARS + 1] if isinstance(value, str) else value)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def cut(text: str) -> str:
    """The beginning of the text, where it is too long to be shown whole."""
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def _begins_with(selector: str, least: int = MIN_PREFIX) -> Callable[[str], bool]:
    """Whether an id begins with the selector; never, where that is too short or no hex."""
    plain = selector.strip().replace("-", "").lower()
    if not least <= len(plain) <= 32 or not _is_hex(plain):
        return lambda item_id: False
    groups = (plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:])
    prefix = "-".join(group for group in groups if group)
    return lambda item_id: item_id.startswith(prefix)


def _is_hex(text: str) -> bool:
    return all(c in "0123456789abcdef" for c in text)


def _only(matches: Sequence[T], selector: str, path: str, noun: str, row: Callable[[T], Row]) -> T:
    if len(matches) == 1:
        return matches[0]
    raise AmbiguousSelectorError(
        f"{path}: {len(matches)} {noun} answer to {quoted(selector)}.",
        hint="Use the id of the one you mean.",
        path=path,
        candidates=[row(match) for match in matches[:MAX_CANDIDATES]],
    )


def _foremost(entries: list[IndexEntry]) -> list[IndexEntry]:
    """Those with the best status among them."""
    for status in _STATUS_ORDER:
        if found := [entry for entry in entries if entry.status == status]:
            return found
    return []


def _nearest(
    selector: str, items: Sequence[T], item_id: Callable[[T], str], label: Callable[[T], str]
) -> list[T]:
    """What the caller may have meant: labels that contain the selector, else similar labels and ids."""
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


def _section_row(section: Section) -> Row:
    return {"section_id": section.section_id, "title": cut(section.title)}


def _insight_row(insight: Insight) -> Row:
    return {"insight_id": insight.insight_id, "summary": cut(insight.summary)}


def _report_row(entry: IndexEntry) -> Row:
    return {"report_id": entry.report_id, "title": cut(entry.current_title), "status": entry.status}
