"""The use case `revert_report`: go back to a version, or undo changes while later ones stay.

Rules:

- To undo a change is `three_way(after it, current, before it)`; for a range, after its last and before its
  first change. Undoing an undo works the same way and restores the earlier content.
- Limited to one item, or to one field at an address, the target is the newer outline with that place as the
  older one has it (see `places`).
- There is nothing to undo in a creation, nor in an adoption, which takes over another program's report.

    >>> revert_report(context, RevertReport("Health", undo="14-17", item="Risks"), author)["applied"]
    3
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from living_reports.changes import Outcome
from living_reports.errors import InvalidInputError, ItemNotFoundError, NoSuchVersionError
from living_reports.library.conflicts import Clashing, Proposal, undo_conflict
from living_reports.library.context import Context
from living_reports.library.merging import as_current, carried_over, versions_since
from living_reports.library.places import Place, find_place, require_separable, with_place
from living_reports.library.requests import RevertReport
from living_reports.library.writing import WriteCall, changed_answer, preview_answer
from living_reports.model.delta import DeltaError, apply, content_edits, diff, invert
from living_reports.model.event import Author
from living_reports.model.merge import three_way
from living_reports.model.report import Outline, parse_uuid
from living_reports.model.selectors import quoted
from living_reports.reading.compact import cut, edit_rows, item_name, items_of
from living_reports.store.base import Snapshot, Transaction

_SPAN = re.compile(r"(\d{1,9})(?:\s*(?:-|–|\.\.)\s*(\d{1,9}))?")

_KEPT_SHOWN = 20
_LEFT_NAMED = 3

Json = dict[str, Any]


def revert_report(context: Context, request: RevertReport, author: Author) -> Json:
    """Bring earlier content back as a new version. On a damaged report, `to_version` repairs it.

    Raises:
        InvalidInputError: Not exactly one of `to_version` and `undo` is stated, or there is nothing to undo.
        NoSuchVersionError: The report never had the version.
        VersionConflictError: Later changes touch the same places.
        ReportError: The selector is wrong, or the store failed.
    """
    request = _checked(request)
    call = WriteCall.checked(request.reason, request.request_id, _stated(request))
    with context.edit(request.report, call.request_id, repair=True) as edit:
        if not request.dry_run and (first := call.first_answer(edit)):
            return first
        proposal = proposed_revert(edit, request, call.options(dry_run=request.dry_run))
        outcome, merged = carried_over(edit, request.expected_version, proposal)
        if request.dry_run or not (outcome.applied or edit.snapshot.refusal):
            answer = preview_answer(edit, outcome, outcome.warnings, merged, dry_run=request.dry_run)
            return answer | {name: proposal.extra[name] for name in ("kept",) if proposal.extra.get(name)}
        now = context.now()
        extra = proposal.extra | {"rebased_over": merged.versions}
        note = call.note(outcome, author, now, outcome.warnings, **extra)
        edit.put(outcome.outline.model_copy(update={"updated_at": now}), note)
    assert edit.committed is not None
    before, after = edit.snapshot.outline, outcome.outline
    return changed_answer(edit.committed, before, after, outcome.applied, outcome.warnings, merged)


def _checked(request: RevertReport) -> RevertReport:
    undo = "" if request.undo in (0, "0") else str(request.undo).strip()
    if request.to_version < 1 and not undo:
        raise InvalidInputError(
            "Neither to_version nor undo says what to go back to.",
            hint="to_version brings a whole version back, undo takes back one change and keeps later ones; "
            "audit_report lists the versions.",
            path="to_version",
        )
    if request.to_version and undo:
        raise InvalidInputError(
            "to_version and undo exclude each other: one takes back all later changes, the other one change.",
            hint="State one of them.",
            path="undo",
        )
    return replace(request, undo=undo, item=request.item.strip())


def _stated(request: RevertReport) -> Json:
    """Return the stated arguments that say what to bring back."""
    named = {"to_version": request.to_version, "undo": request.undo, "item": request.item}
    return {name: value for name, value in named.items() if value}


def proposed_revert(edit: Transaction, request: RevertReport, options: Json) -> Proposal:
    """Return the proposal of a checked request.

    Raises:
        InvalidInputError: The change to undo is a creation, or made no version.
        NoSuchVersionError: The report never had the version.
        ItemNotFoundError: No item matches `item`.
    """
    retry: Json = {"report": edit.snapshot.outline.report_id, **_stated(request), **options}
    if edit.snapshot.refusal is not None and (request.undo or request.item):
        raise edit.snapshot.refusal
    if request.undo:
        return _proposed_undo(edit, request, retry)
    target = edit.outline_at(request.to_version)
    extra: Json = {"reverted_to": request.to_version}
    if not request.item:
        return Proposal(lambda outline: _reverted(edit.snapshot, outline, target), retry, extra=extra)
    place = find_place(request.item, (edit.snapshot.outline, target), edit.events)
    if not place.is_in(target):
        raise ItemNotFoundError(
            f"Version {request.to_version} has no such {place.noun}.",
            hint=f"Give a version that has it{place.last_seen}, or remove it with update_report or undo.",
            path="item",
        )
    require_separable(place, edit.snapshot.outline, target)
    return Proposal(
        lambda outline: _reverted(edit.snapshot, outline, with_place(outline, target, place)),
        retry | {"item": place.name},
        extra=extra | {"item": place.name},
    )


def _reverted(snapshot: Snapshot, old: Outline, new: Outline) -> Outcome:
    """Return the outcome of a revert; bookkeeping does not count."""
    edits = content_edits(diff(old, new))
    applied = max(1, len(edit_rows(edits, old, new))) if edits else 0
    return Outcome(as_current(new, snapshot), {}, applied, "revert", list(snapshot.warnings))


# --- Undo ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class UndoRange:
    """The versions to undo, with the outlines before the first and after the last of them."""

    first: int
    last: int
    before: Outline
    after: Outline

    @property
    def name(self) -> str:
        """The version, or the first and the last one."""
        return str(self.last) if self.first == self.last else f"{self.first}-{self.last}"


def _proposed_undo(edit: Transaction, request: RevertReport, retry: Json) -> Proposal:
    undone = _undo_range(edit, str(request.undo))
    later = versions_since(edit, undone.last)
    extra: Json = {"undo": undone.name, "kept": later[-_KEPT_SHOWN:]}
    notes = []
    if len(later) > _KEPT_SHOWN:
        notes.append(f"kept: the last {_KEPT_SHOWN} of {len(later)} later versions, which all stay")
    before = undone.before
    if request.item:
        outlines = (edit.snapshot.outline, undone.after, before)
        place = find_place(request.item, outlines, edit.events)
        require_separable(place, undone.after, before)
        before = _limited(undone, place)
        extra |= {"item": place.name}
        notes += _left_by(undone, before, place)

    def can_undo_to(last: int) -> bool:
        return not three_way(edit.outline_at(last), edit.snapshot.outline, undone.before).conflicts

    def make(outline: Outline) -> Outcome:
        merged = three_way(undone.after, outline, before)
        if merged.conflicts:
            clashing = Clashing(undone.after, outline, before, merged.conflicts, undone.last)
            raise undo_conflict(edit, undone.name, clashing, can_undo_to)
        outcome = _reverted(edit.snapshot, outline, merged.outline)
        return replace(outcome, warnings=[*outcome.warnings, *notes])

    stated = {name: extra[name] for name in ("undo", "item") if name in extra}
    return Proposal(make, retry | stated, merges=True, extra=extra)


def _limited(undone: UndoRange, place: Place) -> Outline:
    """Return the outline to go back to where only one place is to be undone."""
    if place.is_in(undone.before) or place.is_in(undone.after):
        return with_place(undone.after, undone.before, place)
    return undone.after


def _left_by(undone: UndoRange, limited: Outline, place: Place) -> list[str]:
    """Return a sentence that says what the version changed outside of the one place that is undone."""
    rows = edit_rows(content_edits(diff(limited, undone.before)), limited, undone.before)
    if not rows:
        return []
    shown = None if place.field else 2  # the rest of the same item is named by its fields
    items = {"/".join(row["at"].split("/")[:shown]): row.get("item", "") for row in rows}
    names = [_named(at, name) for at, name in items.items()]
    more = len(names) - _LEFT_NAMED
    elsewhere = ", ".join(names[:_LEFT_NAMED]) + (f" and {more} more" if more > 0 else "")
    known = items_of(undone.before, {place.item_id}) | items_of(undone.after, {place.item_id})
    own = _named(place.brief, item_name(known.get(place.item_id)))
    if content_edits(diff(undone.after, limited)):
        what = f"Only the part of version {undone.name} in {own} is undone. The rest stays: {elsewhere}."
    else:
        what = f"Version {undone.name} did not change {own}, but {elsewhere}."
    return [f"{what} Without item, all of it is undone."]


def _named(at: str, name: str) -> str:
    """Return an address with the title or summary of its item."""
    return f"{at} ({quoted(name)})" if name else at


def _undo_range(edit: Transaction, undo: str) -> UndoRange:
    first, last = _span(edit, undo)
    record = edit.event(first)
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
    return UndoRange(first, last, before, after if first == last else edit.outline_at(last))


def _span(edit: Transaction, undo: str) -> tuple[int, int]:
    """Return the first and the last version that `undo` names."""
    if found := _SPAN.fullmatch(undo):
        first = int(found[1])
        last = int(found[2] or first)
        if not 1 <= first <= last:
            raise InvalidInputError(
                f"undo is {quoted(undo)}, and a range goes from the older version to the newer one.",
                hint="For example 14-17.",
                path="undo",
            )
        edit.event(last)
        return first, last
    version = _version_of_action(edit, undo)
    return version, version


def _version_of_action(edit: Transaction, undo: str) -> int:
    try:
        action_id = parse_uuid(undo)
    except ValueError:
        raise InvalidInputError(
            f"undo is {quoted(undo)}, neither a version, a range of them nor an action_id.",
            hint="Give a version such as 14, a range such as 14-17, or the action_id that a change answered.",
            path="undo",
        ) from None
    named = edit.events(mentioning=[action_id])
    record = next((r for r in named if r.fields.get("action_id") == action_id), None)
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
