"""The rows that the search keeps of a report, read from its files without a lock.

Rules: an outline is replaced atomically, so that it can be read at any time. A stamp is taken before: if
the files have the same one later, the rows are still right. Nothing here knows the database, so that
a worker process can do it.

    >>> found = read(by_id, report_id)
    >>> found.rows.updated, found.agrees
    ('2026-11-23T10:00:00.123456+00:00', True)
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import NamedTuple

from pydantic_core import to_json

from living_reports.model.report import IndexEntry, Outline, folded, parse_outline, parse_uuid
from living_reports.regular_files import read_regular
from living_reports.store.files.catalogue import entry_of
from living_reports.store.files.log import AuditLog
from living_reports.store.files.search.content import compared, content_of, moment
from living_reports.store.files.search.words import searchable

KEY_CHARS = 60
"""The number of characters of a title that the order uses, so that a cursor stays short."""


class EntryRow(NamedTuple):
    """The columns of a report that follow from its catalogue entry."""

    entry: str
    status: str
    updated: str
    created: str
    folded: str
    tags: list[str]


class ReportRows(NamedTuple):
    """Everything that the search keeps of a report, in values that `marshal` writes.

    Attributes:
        entry: The columns of its catalogue entry.
        title: The title as FTS5 takes it.
        text: The texts of all items as FTS5 takes them.
        items: The items with their texts, compressed.
        sources: The columns of `sources` for each item and kind, but the report.
        reviews: The columns of `reviews` for each insight that has to be reviewed, but the report; and its
            text as FTS5 takes it.
    """

    entry: EntryRow
    title: str
    text: str
    items: bytes
    sources: list[tuple[str, str, str, str, str]]
    reviews: list[tuple[str, str, str, str]]


class Found(NamedTuple):
    """A report as its files were at one moment.

    Attributes:
        stamp: The stamp of the files, taken before they were read.
        rows: The rows; `None` if it cannot be read without its lock.
        agrees: Whether the last event of the log is in the outline.
    """

    stamp: str
    rows: ReportRows | None
    agrees: bool


def read(by_id: Path, report_id: str) -> Found:
    """Read a report without its lock."""
    stamp = stamp_of(by_id, report_id)
    folder = by_id / report_id
    try:
        outline = parse_outline(read_regular(folder / "outline.json"))
        last = AuditLog(folder / "audit.jsonl").last()
    except (OSError, ValueError):
        return Found(stamp, None, False)
    if not is_named(outline, report_id):
        return Found(stamp, None, False)
    agrees = last is None or not last.is_ours or last.version == outline.outline_version
    return Found(stamp, rows_of(outline, report_id), agrees)


def stamp_of(by_id: Path, report_id: str) -> str:
    """Return a value that changes when the files of a report change."""
    folder = f"{by_id}{os.sep}{report_id}{os.sep}"
    try:
        log = os.stat(folder + "audit.jsonl").st_size
    except OSError:
        log = 0
    try:
        outline = os.stat(folder + "outline.json")
    except OSError:
        return "-"
    return f"{outline.st_mtime_ns} {outline.st_size} {outline.st_ino} {log}"


def is_named(outline: Outline, report_id: str) -> bool:
    """Return whether the outline has the id that its folder is named after."""
    return parse_uuid(outline.report_id) == report_id


def named_entry(outline: Outline, report_id: str) -> IndexEntry:
    """Return the catalogue entry with the id in its canonical form."""
    entry = entry_of(outline, f"by_id/{report_id}")
    return entry if entry.report_id == report_id else entry.model_copy(update={"report_id": report_id})


def entry_row(entry: IndexEntry) -> EntryRow:
    """Return the columns of a catalogue entry."""
    return EntryRow(
        entry.model_dump_json(),
        entry.status,
        moment(entry.updated_at),
        moment(entry.created_at),
        folded(entry.current_title)[:KEY_CHARS],
        [*{folded(tag) for tag in entry.tags}],
    )


def rows_of(outline: Outline, report_id: str) -> ReportRows:
    """Return all rows of an outline."""
    content = content_of(outline)
    return ReportRows(
        entry_row(named_entry(outline, report_id)),
        searchable(outline.title),
        searchable(*(text.text for text in content.texts)),
        zlib.compress(to_json(content.texts), 1),
        [(s.item_id, json.dumps(s.item), s.kind, s.text, compared(s.text)) for s in content.sources],
        [(r.insight_id, r.day, json.dumps(r.item), searchable(r.text)) for r in content.reviews],
    )
