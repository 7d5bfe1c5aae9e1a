"""The differences between two versions of a report, with their authors.

Rules:

- A comparison goes forwards. It begins with a version, with the version that was current at a moment, or with
  the one before the last; version 0 is the time before the creation.
- The rows are the delta between the two outlines: a change that was taken back does not appear.
- Rows about the whole report come first, then those of each section and its insights. Removed items are shown
  where they were.
- A row shows its edit as in all answers; see `compact`.
- `by` is the author of the one version of the range that touched the address, a part of it, or what contains
  it; of several versions, a list of their authors, oldest first. Of many, the newest are named and `by_more`
  counts the others: `audit_report` with the address as `item` lists them.

    >>> changed_rows(old, new, events)[0]
    {'item': 'Errors', 'at': 'sections/5f9dabcd/content', 'old': '12 % fail.', 'new': '15 % fail.', 'by': …}
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from living_reports.errors import NoSuchVersionError
from living_reports.model.delta import address, diff, is_bookkeeping
from living_reports.model.fields import ITEMS
from living_reports.model.report import Outline, Section, outline_data
from living_reports.reading.compact import EditRow, Json, author_row, cut, placed_rows
from living_reports.reading.history import as_moment, edits, is_after, is_last_after
from living_reports.store.base import Event

EXCERPT_CHARS = 400
"""The length of excerpts: a comparison may cover many edits of one text."""

_AUTHORS_NAMED = 5
_REASON_CHARS = 60

_MOST_NAMED = 30
"""The number of names that are looked for in each event before it is parsed."""

PlaceKey = tuple[str, ...]
"""A place that can be a key."""

EventsOf = Callable[[Sequence[str], Sequence[str]], Iterable[Event]]
"""Returns the events that mention one of these ids, or edit one of these addresses."""


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


def changed_rows(old: Outline | None, new: Outline, events: EventsOf) -> list[Json]:
    """Return the differences in the order of the report, as rows of `changed` with `by`.

    Args:
        old: The earlier version; `None` before the creation.
        new: The later version.
        events: Returns the history, newest first; events that mention none of the ids and edit none of the
            addresses may be left out.
    """
    before = old or new.model_copy(update={"title": "", "sections": [], "insights": [], "metadata": {}})
    found = placed_rows(diff(before, new), before, new, EXCERPT_CHARS)
    first = old.outline_version if old else 0
    edited = [one.edited for one in found]
    authors = _authors(edited, _versions(events(*_named(edited)), first, new.outline_version))
    places = _places(before, new)
    found.sort(key=lambda one: _rank(one.place, places))
    return [one.row | _by(_makers(one, authors[one.edited])) for one in found]


def _makers(row: EditRow, events: list[Event]) -> list[Event]:
    """Return those of the events that made a change; of a move, those that moved this item, if any did."""
    if row.edited == row.place:
        return events
    own = [event for event in events if _moves(event, row.edited, row.place[1])]
    return own or events


def _moves(event: Event, order: PlaceKey, item_id: str) -> bool:
    return any(tuple(path) == order and item_id in str(edit) for path, edit in edits(event))


def _by(events: Sequence[Event]) -> Json:
    """Return the authors of the versions that made a change, given newest first."""
    if len(events) < 2:
        return {"by": author_row(events[0])} if events else {}
    named = [_brief_author(event) for event in reversed(events[:_AUTHORS_NAMED])]
    more = len(events) - len(named)
    return {"by": named} | ({"by_more": more} if more else {})


def _brief_author(event: Event) -> Json:
    """Return version, client, user and reason; the actor where no name is known."""
    row = author_row(event)
    names = ("client", "user") if row.keys() & {"client", "user"} else ("actor",)
    row = {name: row[name] for name in ("version", *names, "reason") if name in row}
    return row | ({"reason": cut(row["reason"], _REASON_CHARS)} if "reason" in row else {})


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


def _named(paths: Iterable[PlaceKey]) -> tuple[list[str], list[str]]:
    """Return the ids and the addresses that events about these places name; none where there are many."""
    ids = list({path[1]: None for path in paths if len(path) > 1 and path[0] in ITEMS})
    addresses = [address(*path) for path in paths if len(path) == 1 or path[0] not in ITEMS]
    return (ids, addresses) if len(ids) + len(addresses) <= _MOST_NAMED else ([], [])


def _authors(paths: Iterable[PlaceKey], events: Iterable[Event]) -> defaultdict[PlaceKey, list[Event]]:
    """Return for each place the events that touched it, newest first."""
    groups: defaultdict[PlaceKey, list[PlaceKey]] = defaultdict(list)
    for path in paths:
        groups[path[:2]].append(path)
    found: defaultdict[PlaceKey, list[Event]] = defaultdict(list)
    for event in events:
        touched: dict[PlaceKey, None] = {}
        for edited, edit in edits(event):
            if edited and is_bookkeeping(edit["at"]):
                continue
            near = groups.get(tuple(edited[:2]), ()) if edited else chain(*groups.values())
            touched |= dict.fromkeys(path for path in near if _related(path, edited))
        for path in touched:
            found[path].append(event)
    return found


def _related(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return True if one place is the other or contains it."""
    return all(a == b for a, b in zip(one, other, strict=False))
