"""Completion of a text that a person is typing: titles of reports, their sections, versions, templates.

Rules:

- Values that begin with the text come before values that contain it. Case is ignored.
- Each value is unambiguous: if several reports have the same title, their ids are offered.
- Reports are sorted like in `list_reports`, the newest first, without deleted ones; versions the
  newest first; sections in their order.
- At most `MAX_VALUES` values are returned, and their number; versions of the last `_EVENTS` events.

    >>> complete(context, "report", "hea")
    {'values': ['Health of the platform'], 'total': 1}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from living_reports.changes.report_templates import BUILT_IN
from living_reports.changes.section_templates import SECTION_TEMPLATES
from living_reports.errors import NotFoundError
from living_reports.library.context import Context, find_report
from living_reports.model.report import folded
from living_reports.reading.compact import short_ids
from living_reports.store.base import Store

MAX_VALUES = 100

_EVENTS = 1_000
"""The number of the newest events in which versions are searched."""

Row = dict[str, Any]


def complete(context: Context, kind: str, text: str, report: str = "") -> Row:
    """Return the values of a kind that match a typed text.

    Args:
        context: The context.
        kind: report, section, version, template or section_template.
        text: The typed text.
        report: The report of the sections or versions. If none matches, there are no values.

    Raises:
        CorruptReportError, LockTimeoutError: The report cannot be read.
    """
    try:
        values = _matching(_KINDS[kind](context.store, report), text)
    except NotFoundError:
        values = []
    return {"values": values[:MAX_VALUES], "total": len(values)}


def _matching(values: Iterable[str], text: str) -> list[str]:
    """Return the values that contain the text, those that begin with it first."""
    wanted = folded(text)
    found = [value for value in values if wanted in folded(value)]
    return sorted(found, key=lambda value: not folded(value).startswith(wanted))


def _reports(store: Store, _: str) -> Iterable[str]:
    entries = [entry for entry in store.entries() if entry.status != "deleted"]
    entries.sort(key=lambda entry: (entry.status == "active", entry.updated_at), reverse=True)
    titles = Counter(folded(entry.current_title) for entry in entries)
    for entry in entries:
        is_unique = titles[folded(entry.current_title)] == 1
        yield entry.current_title if is_unique else entry.report_id


def _sections(store: Store, report: str) -> Iterable[str]:
    outline = store.read(find_report(store, report, writing=False)).outline
    titles = Counter(folded(section.title) for section in outline.sections)
    short = short_ids(outline)
    for section in outline.sections:
        yield section.title if titles[folded(section.title)] == 1 else short[section.section_id]


def _versions(store: Store, report: str) -> Iterable[str]:
    report_id = find_report(store, report, writing=False)
    newest = islice(store.events(report_id), _EVENTS)
    made = [str(record.version) for record in newest if record.makes_version]
    return made or [str(store.read(report_id).version)]


def _templates(store: Store, _: str) -> Iterable[str]:
    return dict.fromkeys((*BUILT_IN, *sorted(store.templates())))


def _section_templates(store: Store, _: str) -> Iterable[str]:
    return SECTION_TEMPLATES


_KINDS: dict[str, Callable[[Store, str], Iterable[str]]] = {
    "report": _reports,
    "section": _sections,
    "version": _versions,
    "template": _templates,
    "section_template": _section_templates,
}
