"""A call made against an older version, carried over what changed since.

Rules:

- What a call leads to is worked out on the outline that its caller saw, and then merged with
  the current one: `three_way(seen, current, seen with the call's changes)`. Where the two do
  not touch the same thing both are in the next version; where they do, nothing is changed and
  the refusal says what clashes.
- Items that a call makes keep the ids they were made with, whichever outline it is made on.
- `rebased_over` are the versions that a call was carried over, oldest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from living_reports.changes import MAX_SECTION_BYTES, MAX_TAGS, Change, Outcome, apply_changes
from living_reports.errors import (
    ItemNotFoundError,
    ReportError,
    TooLargeError,
)
from living_reports.library.conflicts import Asked, Clashing, version_conflict
from living_reports.model.delta import Delta, address, diff, is_bookkeeping
from living_reports.model.merge import three_way
from living_reports.model.report import Outline
from living_reports.model.selectors import find_insight, find_section, quoted
from living_reports.store.files import Edit, Record, State

MAX_REBASED_OVER = 1_000
"""How many versions an answer names, the newest; an event must not grow with the age of what was read."""

Row = dict[str, Any]


# --- Carried over -------------------------------------------------------------------------


def carried_over(edit: Edit, expected_version: int, asked: Asked) -> tuple[Outcome, list[int]]:
    """What a call comes to now that was made against `expected_version`, and what it was carried over.

    An `expected_version` of 0 is not stated: then it is the current one.

    Raises:
        VersionConflictError: It touches what was changed since, or there is no such version.
        ReportError: It cannot be made; see the classes of `errors`.
    """
    current = edit.state.outline
    if expected_version in (0, edit.state.version):
        return asked.made(current), []
    if not 0 < expected_version < edit.state.version:
        raise version_conflict(edit, expected_version, asked, None)
    try:
        seen = edit.outline_at(max(expected_version, asked.least_version))
    except ReportError:
        raise version_conflict(edit, expected_version, asked, None) from None
    outcome = _made_then(edit, asked, seen)
    merged = three_way(seen, current, outcome.outline)
    if merged.conflicts:
        clashing = Clashing(seen, current, outcome.outline, merged.conflicts, seen.outline_version)
        raise version_conflict(edit, expected_version, asked, clashing)
    outline = as_current(merged.outline, edit.state)
    if not content_edits(diff(current, outline)):
        return replace(outcome, outline=outline, created={}, applied=0), []
    _require_limits(current, outline)
    return replace(outcome, outline=outline), _versions_since(edit, seen.outline_version)


def as_current(outline: Outline, state: State) -> Outline:
    """An earlier outline with the bookkeeping of the current one, so that only content differs."""
    current = state.outline
    return outline.model_copy(
        update={"outline_version": current.outline_version, "updated_at": current.updated_at}
    )


def content_edits(delta: Delta) -> Delta:
    """A delta without what every version changes."""
    return [edit for edit in delta if not is_bookkeeping(edit["at"])]


def _versions_since(edit: Edit, version: int) -> list[int]:
    """The newest versions after this one, oldest first."""
    newest_first = takewhile(lambda record: not record.is_ours or record.version > version, edit.events())
    versions = [record.version for record in newest_first if record.makes_version]
    return versions[:MAX_REBASED_OVER][::-1]


def _require_limits(current: Outline, merged: Outline) -> None:
    """Two changes that fit, each by itself, may not fit together."""
    known = {id(section) for section in current.sections}
    for section in merged.sections:
        size = len(f"{section.content or ''}{section.notes or ''}".encode())
        if id(section) not in known and size > MAX_SECTION_BYTES:
            raise TooLargeError(
                f"Together with what changed since, the section {quoted(section.title)} is too long.",
                hint="Read the report again, then split the section.",
                limit=MAX_SECTION_BYTES,
            )
    tags = merged.metadata.get("tags")
    if isinstance(tags, list) and len(tags) > MAX_TAGS and tags != current.metadata.get("tags"):
        raise TooLargeError(
            f"Together with those added since, there would be {len(tags)} tags.",
            hint="Read the report again, then add fewer tags.",
            limit=MAX_TAGS,
        )


# --- What only exists since ---------------------------------------------------------------


def _made_then(edit: Edit, asked: Asked, seen: Outline) -> Outcome:
    """What the call makes of the outline that its caller saw; a refusal says what is different now."""
    try:
        return asked.made(seen)
    except ReportError as error:
        if hint := _since_when(edit, asked, error, seen.outline_version):
            error.hint = f"{hint} {error.hint}".strip()
        raise


def _since_when(edit: Edit, asked: Asked, error: ReportError, expected: int) -> str:
    """What to say of a call that cannot be made on the version it expects, but could be by now."""
    current = edit.state.version
    path = str(error.details.get("path", ""))
    change = next((one for one in asked.changes if path == one.path or path.startswith(f"{one.path}.")), None)
    if isinstance(error, ItemNotFoundError) and change is not None:
        place = _place_now(edit.state.outline, change, path)
        record = _bringing(edit, place) if place else None
        if record is not None and record.version > expected:
            return (
                f"It exists only since version {record.version}, and expected_version says {expected}: "
                f"read the report, then send expected_version={current}."
            )
    try:
        asked.made(edit.state.outline)
    except ReportError:
        return ""
    return (
        f"This is so in version {expected}, which expected_version names; in version {current} it can be "
        f"made: read the report, then send expected_version={current}."
    )


def _place_now(outline: Outline, change: Change, path: str) -> str:
    """The address of the item that a change names by a selector, if there is one now."""
    name = path.rpartition(".")[2]
    stated = change.fields.get(name, "")
    selector = str(getattr(stated, "selector", stated))  # a position names its neighbour
    try:
        if name == "insight" or (name == "position" and "insight" in change.op):
            return address("insights", find_insight(outline, selector, path).insight_id)
        return address("sections", find_section(outline, selector, path).section_id)
    except ReportError:
        return ""


def _bringing(edit: Edit, place: str) -> Record | None:
    """The newest event that the item came with."""
    named = edit.events(naming=[place.partition("/")[2].encode()])
    return next(filter(lambda record: _brought(record, place), named), None)


def _brought(record: Record, place: str) -> bool:
    """True if the item came with this event."""
    return record.is_whole or any(edit.get("at") == place and "new" in edit for edit in record.delta)


# --- What a call asks for -----------------------------------------------------------------


def asked_changes(
    edit: Edit,
    raw: Sequence[Any],
    changes: Sequence[Change],
    reason: str,
    now: str,
    new_id: Callable[[], str],
) -> Asked:
    """What an update wants."""
    ids: list[str] = []

    def made_with(outline: Outline, some: Sequence[Change]) -> Outcome:
        return apply_changes(outline, some, now=now, new_id=_same_ids(ids, new_id))

    again: Row = {"report": edit.state.outline.report_id, "changes": list(raw)}
    again |= {"reason": reason} if reason else {}
    return Asked(lambda outline: made_with(outline, changes), again, tuple(changes), made_with)


def _same_ids(ids: list[str], new_id: Callable[[], str]) -> Callable[[], str]:
    """The ids given out before, from the first; then new ones, kept for the next time."""

    def each() -> Iterator[str]:
        yield from list(ids)
        while True:
            ids.append(new_id())
            yield ids[-1]

    given = each()
    return lambda: next(given)
