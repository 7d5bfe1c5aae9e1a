"""Merging: a call made against an older version is carried over to the current one.

Rules:

- The proposal is applied to the outline that its caller saw, and the result is merged with the current
  one: `three_way(seen, current, seen with the changes)`. Where both sides touched different things, both
  are in the next version; where they touched the same thing, nothing changes and the refusal shows it.
- New items keep the ids that they got first, whichever outline the proposal is applied to.
- `rebased_over` are the versions that a call was merged with, oldest first; `merged` shows them, so that the
  caller has seen what the new version contains.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import Any

from living_reports.changes import MAX_SECTION_BYTES, MAX_TAGS, Change, Outcome, still_there
from living_reports.errors import (
    ItemNotFoundError,
    ReportError,
    TooLargeError,
)
from living_reports.library.conflicts import Clashing, Proposal, version_conflict
from living_reports.model.delta import address, content_edits, diff
from living_reports.model.merge import three_way
from living_reports.model.report import Outline
from living_reports.model.selectors import find_insight, find_section, quoted
from living_reports.reading.history import Merged, merged
from living_reports.store.base import Event, Snapshot, Transaction

MAX_REBASED_OVER = 1_000
"""The most versions that an answer names: an event must not grow with the age of the version read."""

Json = dict[str, Any]


# --- Carried over -------------------------------------------------------------------------


def carried_over(edit: Transaction, expected_version: int, proposal: Proposal) -> tuple[Outcome, Merged]:
    """Return the outcome of a proposal for the current version, and the versions it was merged with.

    Args:
        edit: The report.
        expected_version: The version that the caller has seen; 0 stands for the current one.
        proposal: The changes that the call asks for.

    Raises:
        VersionConflictError: It touches what was changed since, or there is no such version.
        ReportError: It cannot be made; see the classes of `errors`.
    """
    current = edit.snapshot.outline
    if expected_version in (0, edit.snapshot.version):
        return proposal.make(current), Merged()
    if not 0 < expected_version < edit.snapshot.version:
        raise version_conflict(edit, expected_version, proposal, None)
    outcome = proposal.make(current) if proposal.merges else _merged(edit, expected_version, proposal)
    if not content_edits(diff(current, outcome.outline)):
        return replace(outcome, created={}, applied=0, replaced=0), Merged()
    _require_limits(current, outcome.outline)
    versions = versions_since(edit, expected_version)[-MAX_REBASED_OVER:]
    return outcome, merged(edit.events(), versions, current)


def _merged(edit: Transaction, expected_version: int, proposal: Proposal) -> Outcome:
    """Return the outcome of a proposal for the version that its caller saw, merged with the current one."""
    current = edit.snapshot.outline
    try:
        seen = edit.outline_at(expected_version)
    except ReportError:
        raise version_conflict(edit, expected_version, proposal, None) from None
    outcome = _apply_to_seen(edit, proposal, seen)
    both = three_way(seen, current, outcome.outline)
    if both.conflicts:
        clashing = Clashing(seen, current, outcome.outline, both.conflicts, expected_version)
        raise version_conflict(edit, expected_version, proposal, clashing)
    outline = as_current(both.outline, edit.snapshot)
    warnings = [*outcome.warnings, *still_there(outcome.outline, outline, proposal.changes)]
    return replace(outcome, outline=outline, warnings=warnings)


def as_current(outline: Outline, snapshot: Snapshot) -> Outline:
    """Return an earlier outline with the bookkeeping of the current one, so that only content differs."""
    current = snapshot.outline
    return outline.model_copy(
        update={"outline_version": current.outline_version, "updated_at": current.updated_at}
    )


def versions_since(edit: Transaction, version: int) -> list[int]:
    """Return the versions after this one, oldest first."""
    newest_first = takewhile(lambda record: not record.is_ours or record.version > version, edit.events())
    return [record.version for record in newest_first if record.makes_version][::-1]


def _require_limits(current: Outline, merged: Outline) -> None:
    """Refuse a merge that is too large, although each side is not."""
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


# --- Items that only later versions have ---------------------------------------------------------------


def _apply_to_seen(edit: Transaction, proposal: Proposal, seen: Outline) -> Outcome:
    """Apply the proposal to the outline that its caller saw; a refusal says if it would be possible now."""
    try:
        return proposal.make(seen)
    except ReportError as error:
        if hint := _hint_at_later_version(edit, proposal, error, seen.outline_version):
            error.hint = f"{hint} {error.hint}".strip()
        raise


def _hint_at_later_version(edit: Transaction, proposal: Proposal, error: ReportError, expected: int) -> str:
    """Return a hint for a call that fails on the version it expects, but not on the current one."""
    current = edit.snapshot.version
    path = str(error.details.get("path", ""))
    change = next(
        (one for one in proposal.changes if path == one.path or path.startswith(f"{one.path}.")), None
    )
    if isinstance(error, ItemNotFoundError) and change is not None:
        place = _place_now(edit.snapshot.outline, change, path)
        record = _bringing(edit, place) if place else None
        if record is not None and record.version > expected:
            return (
                f"It exists only since version {record.version}, and expected_version says {expected}: "
                f"read the report, then send expected_version={current}."
            )
    try:
        proposal.make(edit.snapshot.outline)
    except ReportError:
        return ""
    return (
        f"This is so in version {expected}, which expected_version names; in version {current} it can be "
        f"made: read the report, then send expected_version={current}."
    )


def _place_now(outline: Outline, change: Change, path: str) -> str:
    """Return the current address of the item that a change names; empty if there is none."""
    name = path.rpartition(".")[2]
    stated = change.fields.get(name, "")
    selector = str(getattr(stated, "selector", stated))  # a position names its neighbour
    try:
        if name == "insight" or (name == "position" and "insight" in change.op):
            return address("insights", find_insight(outline, selector, path).insight_id)
        return address("sections", find_section(outline, selector, path).section_id)
    except ReportError:
        return ""


def _bringing(edit: Transaction, place: str) -> Event | None:
    """Return the newest event that added the item."""
    named = edit.events(mentioning=[place.partition("/")[2]])
    return next(filter(lambda record: _brought(record, place), named), None)


def _brought(record: Event, place: str) -> bool:
    """Return True if this event added the item."""
    return record.is_whole or any(edit.get("at") == place and "new" in edit for edit in record.delta)
