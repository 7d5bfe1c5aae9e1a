"""What a person may be about to type: titles of reports, their sections, versions, templates.

Rules:

- What begins with the typed text comes before what contains it. Case does not matter.
- Each value names one thing: a title that several reports have is offered as their ids.
- Reports come as `list_reports` shows them, the newest first, without deleted ones; versions the
  newest first; sections in their order.
- At most `MAX_VALUES` values, and how many there are; versions of the last `_EVENTS` events.

    >>> complete(context, "report", "hea")
    {'values': ['Health of the platform'], 'total': 1}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from living_reports.changes.report_templates import BUILT_IN
from living_reports.errors import NotFoundError
from living_reports.library.context import Context, find_report
from living_reports.model.selectors import folded
from living_reports.store.base import Store

MAX_VALUES = 100

_EVENTS = 1_000
"""Among how many of the newest events versions are looked for."""

Row = dict[str, Any]


def complete(context: Context, kind: str, text: str, report: str = "") -> Row:
    """Values of a kind (`report`, `section`, `version`, `template`) for a typed text.

    `report` names the report whose sections and versions are meant; none answers to it: no values.

    Raises:
        CorruptReportError, LockTimeoutError: The report cannot be read.
    """
    try:
        values = list(_fitting(_KINDS[kind](context.storage, report), text))
    except NotFoundError:
        values = []
    return {"values": values[:MAX_VALUES], "total": len(values)}


def _fitting(values: Iterable[str], text: str) -> list[str]:
    """The values that contain the text, those that begin with it first."""
    wanted = folded(text)
    found = [value for value in values if wanted in folded(value)]
    return sorted(found, key=lambda value: not folded(value).startswith(wanted))


def _reports(storage: Store, _: str) -> Iterable[str]:
    entries = [entry for entry in storage.entries() if entry.status != "deleted"]
    entries.sort(key=lambda entry: (entry.status == "active", entry.updated_at), reverse=True)
    titles = Counter(folded(entry.current_title) for entry in entries)
    for entry in entries:
        is_unique = titles[folded(entry.current_title)] == 1
        yield entry.current_title if is_unique else entry.report_id


def _sections(storage: Store, report: str) -> Iterable[str]:
    outline = storage.read(find_report(storage, report, writing=False)).outline
    titles = Counter(folded(section.title) for section in outline.sections)
    for section in outline.sections:
        yield section.title if titles[folded(section.title)] == 1 else section.section_id


def _versions(storage: Store, report: str) -> Iterable[str]:
    report_id = find_report(storage, report, writing=False)
    newest = islice(storage.events(report_id), _EVENTS)
    made = [str(record.version) for record in newest if record.makes_version]
    return made or [str(storage.read(report_id).version)]


def _templates(storage: Store, _: str) -> Iterable[str]:
    return dict.fromkeys((*BUILT_IN, *sorted(storage.templates())))


_KINDS: dict[str, Callable[[Store, str], Iterable[str]]] = {
    "report": _reports,
    "section": _sections,
    "version": _versions,
    "template": _templates,
}
