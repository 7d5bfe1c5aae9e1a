"""What changed between two versions of a report, who changed it, and why.

Rules:

- A comparison goes forwards. It begins with a version, with the one that was current at a moment,
  or with the one before the last; with version 0, before the creation, everything came.
- The rows are the delta between the two outlines, so what was changed and changed back is none.
  First what belongs to the whole report, then section after section with its insights, what went
  at the place where it was.
- Of a longer text a row shows the lines that differ, cut around what differs in them.
- `by` is the newest event of the range that touched the address, or what it holds or lies in.
- A cursor holds both versions and the day, so that all pages belong to one comparison.

    >>> difference(storage, report_id, state, DiffReport("Health", since="2026-11-16"), today)["changed"][0]
    {'at': 'sections/5f9dabcd/content', 'old': '12 % fail.', 'new': '15 % fail.', 'by': {'version': 9, …}}
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from living_reports.errors import InvalidInputError, NoSuchVersionError
from living_reports.model.delta import diff, is_bookkeeping, parts
from living_reports.model.fields import ITEMS, SPLICED_TEXTS
from living_reports.model.merge import excerpts
from living_reports.model.merge_values import changed_lines
from living_reports.model.report import Outline, Section, outline_data
from living_reports.reading import blame, trail
from living_reports.reading import cursor as cursors
from living_reports.reading.compact import (
    MAX_ANSWER_CHARS,
    VALUE_CHARS,
    Rest,
    brief_address,
    brief_edits,
    by_line,
    fit,
    short_ids,
)
from living_reports.reading.requests import DiffReport, require_choice
from living_reports.store.base import Event, Snapshot, Store

FORMATS = ("changes", "text")

Row = dict[str, Any]
Path = tuple[str, ...]


PageDiff = Callable[[Outline | None, Outline, date], str]
"""Returns the differences of the pages of two versions as text, empty if there are none."""


class _Span(NamedTuple):
    """Two versions, and the day on which they are looked at. `first` may be 0: nothing was there."""

    first: int
    last: int
    day: date


def difference(
    storage: Store, report_id: str, state: Snapshot, asked: DiffReport, today: date, page_diff: PageDiff
) -> Row:
    """The answer of `diff_report`, or the page of it that the cursor asks for.

    Raises:
        InvalidInputError: An argument is wrong, or the comparison would go backwards.
        NoSuchVersionError: The report never had one of the versions, or it is not known.
        CorruptReportError: One of them cannot be read back.
    """
    kind = asked.format or FORMATS[0]
    require_choice("format", kind, FORMATS)
    since = trail.parse_since(asked.since)
    arguments = {"report": report_id, "since": str(asked.since), "to": asked.to_version, "format": kind}
    start: Rest = []
    if asked.cursor:
        last, (first, day, *start) = cursors.decode(asked.cursor, arguments)
        span = _Span(first, last, date.fromordinal(day))
    else:
        last = asked.to_version or state.version
        span = _Span(_first_version(since, last, storage.events(report_id), state.outline), last, today)
    new = storage.outline_at(report_id, span.last, state)
    old = storage.outline_at(report_id, span.first, state) if span.first else None
    _require_forwards(span, asked)
    head: Row = {"report_id": report_id, "title": new.title}
    head |= {"from_version": span.first, "to_version": span.last}
    head |= {"warnings": list(state.warnings)} if state.warnings else {}
    if kind == "text":
        body: Row = {"text": page_diff(old, new, span.day)}
    else:
        body = {"changed": changed_rows(old, new, storage.events(report_id))}

    def cursor_for(position: Rest) -> str:
        return cursors.encode(span.last, arguments, [span.first, span.day.toordinal(), *position])

    return fit(head, body, start, MAX_ANSWER_CHARS - 1, cursor_for)[0]


def _first_version(
    since: int | datetime | None, last: int, records: Iterable[Event], current: Outline
) -> int:
    """The version that a comparison up to `last` begins with; 0 is before the creation."""
    if isinstance(since, int):
        return since
    oldest: Event | None = None
    for record in records:
        if not record.makes_version:
            continue
        if record.version < last if since is None else not trail.is_after(record, since):
            return record.version
        oldest = record
    if oldest is not None and not oldest.payload.get("adopted"):
        return 0
    return _of_another_program(since, oldest.delta[0].get("new", {}) if oldest else outline_data(current))


def _of_another_program(since: datetime | None, outline: Row) -> int:
    """The same where the history begins with a report that another program had kept until then.

    Raises:
        NoSuchVersionError: What it was before is not known.
    """
    version = int(outline["outline_version"])
    if since is not None and trail.as_moment(outline["updated_at"]) < since:
        return version
    if since is not None and since <= trail.as_moment(outline["created_at"]):
        return 0
    raise NoSuchVersionError(
        f"What the report was before version {version} is not known: another program kept it until then.",
        hint=f"Its history begins with version {version}: compare with since={version}.",
    )


def _require_forwards(span: _Span, asked: DiffReport) -> None:
    if span.first <= span.last:
        return
    raise InvalidInputError(
        f"to_version is {span.last}, and the comparison would begin later, with version {span.first}.",
        hint=f"since is the earlier one: since={span.last}, to_version={span.first}."
        if asked.since
        else "Give a since that is earlier than to_version.",
        path="to_version",
    )


# --- The rows ----------------------------------------------------------------------------


def changed_rows(old: Outline | None, new: Outline, records: Iterable[Event]) -> list[Row]:
    """What differs, in the order of the report: `{at, old, new, by}`; `records` newest first."""
    before = old or new.model_copy(update={"title": "", "sections": [], "insights": [], "metadata": {}})
    delta = diff(before, new)
    names = short_ids(before, new)
    paths = {brief_address(path, names): path for edit in delta if (path := tuple(parts(edit["at"])))}
    first = old.outline_version if old else 0
    authors = _authors(paths.values(), _versions(records, first, new.outline_version))
    places = _places(before, new)
    rows = brief_edits([_in_lines(edit, before, new) for edit in delta], names)
    rows.sort(key=lambda row: _rank(paths[row["at"]], places))
    return [_stated(row) | _by(authors.get(paths[row["at"]])) for row in rows]


def _stated(row: Row) -> Row:
    """The row without an empty text for what was not there."""
    return {key: value for key, value in row.items() if value != ""}


def _by(record: Event | None) -> Row:
    return {"by": by_line(record)} if record else {}


def _in_lines(edit: Row, old: Outline, new: Outline) -> Row:
    """The edit; where it changed a text, with the lines of it that differ."""
    path = parts(edit["at"])
    if len(path) != 3 or path[2] not in SPLICED_TEXTS or ("old" in edit) != ("new" in edit):
        return edit
    before, after = changed_lines(_prose(old, path), _prose(new, path))
    if not before and not after:
        return edit  # an empty line came or went
    short = excerpts([before, after], VALUE_CHARS)
    return {"at": edit["at"]} | {side: text for side, text in zip(("old", "new"), short, strict=True) if text}


def _prose(outline: Outline, path: Sequence[str]) -> str:
    kind, item_id, field = path
    item = outline.get_section(item_id) if kind == "sections" else outline.get_insight(item_id)
    return str(getattr(item, field))


# --- In the order of the report ----------------------------------------------------------


def _rank(path: Sequence[str], places: dict[str, int]) -> int:
    return places[path[1]] if len(path) > 1 and path[0] in ITEMS else -1


def _places(old: Outline, new: Outline) -> dict[str, int]:
    """The sections, each with its insights behind it, of both outlines; by id."""
    was, now = _by_id(old.sections), _by_id(new.sections)
    placed = {insight_id for ids in now.values() for insight_id in ids}
    order: list[str] = []
    for section_id in _interleaved(list(was), list(now)):
        ids = now.get(section_id, [])
        stayed = [i for i in was.get(section_id, []) if i in ids or i not in placed]
        order += [section_id, *_interleaved(stayed, ids)]
    loose = _interleaved([i.insight_id for i in old.insights], [i.insight_id for i in new.insights])
    return {item_id: place for place, item_id in enumerate(dict.fromkeys([*order, *loose]))}


def _by_id(sections: Iterable[Section]) -> dict[str, list[str]]:
    return {section.section_id: section.insight_ids for section in sections}


def _interleaved(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The new ids in their order, each one that went behind the one it stood behind."""
    kept = set(new)
    behind: defaultdict[str, list[str]] = defaultdict(list)
    anchor = ""
    for item_id in old:
        if item_id in kept:
            anchor = item_id
        else:
            behind[anchor].append(item_id)
    return [found for item_id in ("", *new) for found in (item_id, *behind[item_id]) if found]


# --- By whom -----------------------------------------------------------------------------


def _versions(records: Iterable[Event], first: int, last: int) -> Iterator[Event]:
    """The events that made the versions after `first` up to `last`, newest first."""
    for record in records:
        if record.is_ours and record.version <= first:
            return
        if record.makes_version and record.version <= last and record.is_event:
            yield record


def _authors(paths: Iterable[Path], records: Iterable[Event]) -> dict[Path, Event]:
    """For each address the newest of these events that touched it."""
    missing: defaultdict[Path, set[Path]] = defaultdict(set)
    for path in paths:
        missing[path[:2]].add(path)
    found: dict[Path, Event] = {}
    for record in records:
        if not any(missing.values()):
            break
        for edited, edit in blame.edits(record):
            if edited and is_bookkeeping(edit["at"]):
                continue
            groups = [missing[tuple(edited[:2])]] if edited else list(missing.values())
            for group in groups:
                touched = {path for path in group if _related(path, edited)}
                group -= touched
                found |= dict.fromkeys(touched, record)
    return found


def _related(one: Sequence[str], other: Sequence[str]) -> bool:
    """True if the places are the same, or one lies in the other."""
    return all(a == b for a, b in zip(one, other, strict=False))
