"""Going back: to a version, or to before one change while later ones stay; whole, or one item alone.

Rules:

- To undo a change is `three_way(after it, current, before it)`; of a range, after its last and
  before its first. Undoing an undo is that, too, and restores what was.
- Limited to one item, what is gone back to is the newer outline with that item as the older
  one has it; see `one_item`.
- A creation has nothing before it. Nor has an adoption: what another program had written.

    >>> back = checked_back(0, "14-17", "Risks")
    >>> asked_back(edit, back, "were better before").made(edit.state.outline).applied
    3
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from living_reports.changes import Outcome
from living_reports.errors import InvalidInputError, ItemNotFoundError, NoSuchVersionError
from living_reports.library.conflicts import Asked, Clashing, undo_conflict
from living_reports.library.merging import as_current, content_edits
from living_reports.library.one_item import Place, find_item, with_item
from living_reports.model.delta import DeltaError, apply, diff, invert
from living_reports.model.merge import three_way
from living_reports.model.report import Outline, parse_uuid
from living_reports.model.selectors import quoted
from living_reports.reading.brief import brief_edits, cut
from living_reports.store.files import Edit, State

_SPAN = re.compile(r"(\d{1,9})(?:\s*(?:-|–|\.\.)\s*(\d{1,9}))?")

Row = dict[str, Any]


@dataclass(frozen=True)
class Back:
    """What a revert asks for: the content of a version, or of all but some; `item` limits it."""

    to_version: int = 0
    undo: str = ""
    item: str = ""

    @property
    def row(self) -> Row:
        """Its arguments, as far as they are stated."""
        return {key: value for key, value in vars(self).items() if value}


def checked_back(to_version: int, undo: str | int, item: str) -> Back:
    """The arguments of a revert.

    Raises:
        InvalidInputError: Not exactly one of `to_version` and `undo` is stated, or one is wrong.
    """
    undo = "" if undo in (0, "0") else str(undo).strip()
    if to_version < 1 and not undo:
        raise InvalidInputError(
            "Neither to_version nor undo says what to go back to.",
            hint="to_version brings a whole version back, undo takes one change out and keeps later ones; "
            "audit_report lists the versions.",
            path="to_version",
        )
    if to_version and undo:
        raise InvalidInputError(
            "to_version and undo are two things: all that changed since, or one change alone.",
            hint="State one of them.",
            path="undo",
        )
    return Back(to_version, undo, item.strip())


def asked_back(edit: Edit, back: Back, reason: str) -> Asked:
    """What a revert wants.

    Raises:
        InvalidInputError: What is to be undone is a creation, or made no version.
        NoSuchVersionError: The report never had the version.
        ItemNotFoundError: Nothing answers to `item`.
    """
    again: Row = {"report": edit.state.outline.report_id, **back.row} | ({"reason": reason} if reason else {})
    if back.undo:
        if edit.state.refusal is not None:
            raise edit.state.refusal
        return _asked_undo(edit, back, again)
    target = edit.outline_at(back.to_version)
    if not back.item:
        said = {"reverted_to": back.to_version}
        return Asked(lambda outline: _reverted(edit.state, outline, target), again, said=said)
    if edit.state.refusal is not None:
        raise edit.state.refusal
    place = find_item(back.item, (edit.state.outline, target))
    if not place.is_in(target):
        raise ItemNotFoundError(
            f"Version {back.to_version} has no such {place.noun}.",
            hint="Give a version that has it, or take it out with update_report or undo.",
            path="item",
        )
    return Asked(
        lambda outline: _reverted(edit.state, outline, with_item(outline, target, place)),
        again | {"item": place.item_id},
        said={"reverted_to": back.to_version, "item": place.item_id},
    )


def _reverted(state: State, old: Outline, new: Outline) -> Outcome:
    """What going back comes to; what every version changes does not count."""
    edits = content_edits(diff(old, new))
    applied = max(1, len(brief_edits(edits))) if edits else 0
    return Outcome(as_current(new, state), {}, applied, "revert", list(state.warnings))


# --- Undo ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Undone:
    """Versions to take back: the outline before the first of them and the one after the last."""

    first: int
    last: int
    before: Outline
    after: Outline

    @property
    def name(self) -> str:
        return str(self.last) if self.first == self.last else f"{self.first}-{self.last}"


def _asked_undo(edit: Edit, back: Back, again: Row) -> Asked:
    undone = _undone(edit, back.undo)
    again |= {"undo": undone.name}
    before = undone.before
    if back.item:
        place = find_item(back.item, (edit.state.outline, undone.after, before))
        before = _limited(undone, place)
        again |= {"item": place.item_id}

    def made(outline: Outline) -> Outcome:
        merged = three_way(undone.after, outline, before)
        if merged.conflicts:
            clashing = Clashing(undone.after, outline, before, merged.conflicts, undone.last)
            raise undo_conflict(edit, undone.name, clashing)
        return _reverted(edit.state, outline, merged.outline)

    said: Row = {key: again[key] for key in ("undo", "item") if key in again}
    return Asked(made, again, least_version=undone.last, said=said)


def _limited(undone: Undone, place: Place) -> Outline:
    """What to go back to where only one item is to be undone."""
    if place.is_in(undone.before) or place.is_in(undone.after):
        return with_item(undone.after, undone.before, place)
    return undone.after


def _undone(edit: Edit, undo: str) -> Undone:
    first, last = _span(edit, undo)
    record = edit.record_of(first)
    if record.is_whole:
        what = (
            "adopted the report from another program" if record.payload.get("adopted") else "made the report"
        )
        raise InvalidInputError(
            f"Version {first} {what}: there is nothing before it to go back to.",
            hint="Undo a later version; set_status deleted hides a report.",
            path="undo",
        )
    after = edit.outline_at(first)
    try:
        before = apply(after, invert(record.delta))
    except DeltaError:
        before = edit.outline_at(first - 1)
    return Undone(first, last, before, after if first == last else edit.outline_at(last))


def _span(edit: Edit, undo: str) -> tuple[int, int]:
    """The first and the last version that `undo` names."""
    if found := _SPAN.fullmatch(undo):
        first = int(found[1])
        last = int(found[2] or first)
        if not 1 <= first <= last:
            raise InvalidInputError(
                f"undo is {quoted(undo)}, and a range goes from the older version to the newer one.",
                hint="For example 14-17.",
                path="undo",
            )
        edit.record_of(last)
        return first, last
    version = _version_of_action(edit, undo)
    return version, version


def _version_of_action(edit: Edit, undo: str) -> int:
    try:
        action_id = parse_uuid(undo)
    except ValueError:
        raise InvalidInputError(
            f"undo is {quoted(undo)}, neither a version, a range of them nor an action_id.",
            hint="Give a version such as 14, a range such as 14-17, or the action_id that a change answered.",
            path="undo",
        ) from None
    named = edit.events(naming=[action_id.encode()])
    record = next((r for r in named if (r.data or {}).get("action_id") == action_id), None)
    if record is None:
        raise NoSuchVersionError(
            f"No change of this report has the action_id {cut(undo, 40)}.",
            hint="audit_report lists the changes.",
            path="undo",
        )
    if not record.makes_version:
        raise InvalidInputError(
            "This event made no version: there is nothing to undo.",
            hint="audit_report lists the changes; undo one that changed something.",
            path="undo",
        )
    return record.version
