"""The differences between two versions of a report, with their authors.

Rules:

- A comparison goes forwards. It begins with a version, with the version that was current at a moment, or with
  the one before the last; version 0 is the time before the creation.
- The rows are the delta between the two outlines: a change that was taken back does not appear.
- Rows about the whole report come first, then those of each section and its insights. Removed items are shown
  where they were.
- A row shows its edit as in all answers; see `compact`.
- `by` is the newest event of the range that touched the address, a part of it, or what contains it.

    >>> changed_rows(old, new, events)[0]
    {'item': 'Errors', 'at': 'sections/5f9dabcd/content', 'old': '12 % fail.', 'new': '15 % fail.', 'by': …}
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from living_reports.errors import NoSuchVersionError
from living_reports.model.delta import diff, is_bookkeeping
from living_reports.model.fields import ITEMS
from living_reports.model.report import Outline, Section, outline_data
from living_reports.reading.compact import Json, author_row, placed_rows
from living_reports.reading.history import as_moment, edits, is_after, is_last_after
from living_reports.store.base import Event

EXCERPT_CHARS = 400
"""The length of excerpts: a comparison may cover many edits of one text."""

PlaceKey = tuple[str, ...]
"""A place that can be a key."""


def first_version(since: int | datetime | None, last: int, events: Iterable[Event], current: Outline) -> int:
    """Return the version that a comparison begins with; 0 is the time before the creation.

    Args:
        since: A version or a moment; `None` for the version before `last`.
        last: The version that the comparison ends with.
        events: The history, newest first.
        current: The current report.

    Raises:
        NoSuchVersionError: The report did not exist here at that moment, but in another program.
    """
    if isinstance(since, int):
        return since
    oldest: Event | None = None
    current_then = 0
    for event in events:
        if not event.makes_version:
            continue
        oldest = event
        if since is None:
            if event.version < last:
                return event.version
        elif is_after(event, since):
            current_then = 0
        else:
            current_then = current_then or event.version
            if is_last_after(event, since):
                break
    if current_then:
        return current_then
    if oldest is not None and not oldest.payload.get("adopted"):
        return 0
    return _version_before_adoption(
        since, oldest.delta[0].get("new", {}) if oldest else outline_data(current)
    )


def _version_before_adoption(since: datetime | None, outline: Json) -> int:
    """Return the first version for a history that begins with a report of another program."""
    version = int(outline["outline_version"])
    if since is not None and as_moment(outline["updated_at"]) < since:
        return version
    if since is not None and since <= as_moment(outline["created_at"]):
        return 0
    raise NoSuchVersionError(
        f"Versions of the report before {version} are unknown: another program wrote them.",
        hint=f"The history begins with version {version}: compare with since={version}.",
    )


# --- Rows --------------------------------------------------------------------------------


def changed_rows(old: Outline | None, new: Outline, events: Iterable[Event]) -> list[Json]:
    """Return the differences in the order of the report, as rows of `changed` with `by`.

    Args:
        old: The earlier version; `None` before the creation.
        new: The later version.
        events: The history, newest first.
    """
    before = old or new.model_copy(update={"title": "", "sections": [], "insights": [], "metadata": {}})
    found = placed_rows(diff(before, new), before, new, EXCERPT_CHARS)
    first = old.outline_version if old else 0
    authors = _authors((one.edited for one in found), _versions(events, first, new.outline_version))
    places = _places(before, new)
    found.sort(key=lambda one: _rank(one.place, places))
    return [one.row | _by(authors.get(one.edited)) for one in found]


def _by(event: Event | None) -> Json:
    return {"by": author_row(event)} if event else {}


# --- In the order of the report ----------------------------------------------------------


def _rank(path: Sequence[str], places: dict[str, int]) -> int:
    return places[path[1]] if len(path) > 1 and path[0] in ITEMS else -1


def _places(old: Outline, new: Outline) -> dict[str, int]:
    """Return the positions by id: each section of both outlines, followed by its insights."""
    was, now = _insight_ids(old.sections), _insight_ids(new.sections)
    placed = {insight_id for ids in now.values() for insight_id in ids}
    order: list[str] = []
    for section_id in _interleaved(list(was), list(now)):
        ids = now.get(section_id, [])
        stayed = [i for i in was.get(section_id, []) if i in ids or i not in placed]
        order += [section_id, *_interleaved(stayed, ids)]
    loose = _interleaved([i.insight_id for i in old.insights], [i.insight_id for i in new.insights])
    return {item_id: place for place, item_id in enumerate(dict.fromkeys([*order, *loose]))}


def _insight_ids(sections: Iterable[Section]) -> dict[str, list[str]]:
    return {section.section_id: section.insight_ids for section in sections}


def _interleaved(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Return the new ids in order, with each removed id after the id that it followed."""
    kept = set(new)
    behind: defaultdict[str, list[str]] = defaultdict(list)
    anchor = ""
    for item_id in old:
        if item_id in kept:
            anchor = item_id
        else:
            behind[anchor].append(item_id)
    return [found for item_id in ("", *new) for found in (item_id, *behind[item_id]) if found]


# --- Authors -----------------------------------------------------------------------------


def _versions(events: Iterable[Event], first: int, last: int) -> Iterator[Event]:
    """Yield the events that made the versions after `first` up to `last`, newest first."""
    for event in events:
        if event.is_ours and event.version <= first:
            return
        if event.makes_version and event.version <= last and event.is_event:
            yield event


def _authors(paths: Iterable[PlaceKey], events: Iterable[Event]) -> dict[PlaceKey, Event]:
    """Return for each place the newest of the events that touched it."""
    missing: defaultdict[PlaceKey, set[PlaceKey]] = defaultdict(set)
    for path in paths:
        missing[path[:2]].add(path)
    found: dict[PlaceKey, Event] = {}
    for event in events:
        if not any(missing.values()):
            break
        for edited, edit in edits(event):
            if edited and is_bookkeeping(edit["at"]):
                continue
            groups = [missing[tuple(edited[:2])]] if edited else list(missing.values())
            for group in groups:
                touched = {path for path in group if _related(path, edited)}
                group -= touched
                found |= dict.fromkeys(touched, event)
    return found


def _related(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return True if one place is the other or contains it."""
    return all(a == b for a, b in zip(one, other, strict=False))
