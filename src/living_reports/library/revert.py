"""The use case `revert_report`: go back to a version, or undo changes while later ones stay.

Rules:

- To undo a change is `three_way(after it, current, before it)`; for a range, after its last and before its
  first change. Undoing an undo works the same way and restores the earlier content.
- Limited to one item, the target is the newer outline with that item as the older one has it.
- An item is restored whole: its fields, and its position behind the nearest item before it that still
  exists. Everything else stays the same object.
- A restored insight goes back to its section. A restored section takes back its insights, wherever they
  are now; insights that it got later go back to their former sections, or are removed if they had none.
- There is nothing to undo in a creation, nor in an adoption, which takes over another program's report.
- A removed item may be named by its old title. Where several items have the name, and one of them is gone,
  the caller has to choose.

    >>> revert_report(context, RevertReport("Health", undo="14-17", item="Risks"), author)["applied"]
    3
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from living_reports.changes import Outcome
from living_reports.errors import (
    AmbiguousSelectorError,
    InvalidInputError,
    ItemNotFoundError,
    NoSuchVersionError,
)
from living_reports.library.conflicts import Clashing, Proposal, undo_conflict
from living_reports.library.context import Context
from living_reports.library.merging import as_current, carried_over, content_edits, versions_since
from living_reports.library.requests import RevertReport
from living_reports.library.writing import WriteCall, changed_answer, preview_answer
from living_reports.model.delta import DeltaError, apply, diff, invert
from living_reports.model.event import Author
from living_reports.model.fields import ITEMS
from living_reports.model.merge import three_way
from living_reports.model.report import ID_CHARS, Insight, Outline, Section, folded, normalised, parse_uuid
from living_reports.model.selectors import MAX_CANDIDATES, find_insight, find_section, quoted
from living_reports.reading.compact import cut, edit_rows, item_name, items_of
from living_reports.reading.history import removed_items
from living_reports.store.base import Event, Snapshot, Transaction

_SPAN = re.compile(r"(\d{1,9})(?:\s*(?:-|–|\.\.)\s*(\d{1,9}))?")

Noun = Literal["section", "insight"]

_FINDERS: Mapping[Noun, Callable[[Outline, str], str]] = {
    "section": lambda outline, name: find_section(outline, name, "item").section_id,
    "insight": lambda outline, name: find_insight(outline, name, "item").insight_id,
}
_NOUNS: Mapping[str, Noun] = {"sections": "section", "insights": "insight"}
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
    place = find_item(request.item, (edit.snapshot.outline, target), edit.events())
    if not place.is_in(target):
        raise ItemNotFoundError(
            f"Version {request.to_version} has no such {place.noun}.",
            hint=f"Give a version that has it{place.last_seen}, or remove it with update_report or undo.",
            path="item",
        )
    return Proposal(
        lambda outline: _reverted(edit.snapshot, outline, with_item(outline, target, place)),
        retry | {"item": place.item_id},
        extra=extra | {"item": place.item_id},
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
        place = find_item(request.item, outlines, edit.events())
        before = _limited(undone, place)
        extra |= {"item": place.item_id}
        notes += _left_by(undone, before, place)

    def make(outline: Outline) -> Outcome:
        merged = three_way(undone.after, outline, before)
        if merged.conflicts:
            clashing = Clashing(undone.after, outline, before, merged.conflicts, undone.last)
            raise undo_conflict(edit, undone.name, clashing)
        outcome = _reverted(edit.snapshot, outline, merged.outline)
        return replace(outcome, warnings=[*outcome.warnings, *notes])

    stated = {name: extra[name] for name in ("undo", "item") if name in extra}
    return Proposal(make, retry | stated, least_version=undone.last, extra=extra)


def _limited(undone: UndoRange, place: Place) -> Outline:
    """Return the outline to go back to where only one item is to be undone."""
    if place.is_in(undone.before) or place.is_in(undone.after):
        return with_item(undone.after, undone.before, place)
    return undone.after


def _left_by(undone: UndoRange, limited: Outline, place: Place) -> list[str]:
    """Return a sentence that says what the version changed outside of the one item that is undone."""
    rows = edit_rows(content_edits(diff(limited, undone.before)), limited, undone.before)
    if not rows:
        return []
    items = {"/".join(row["at"].split("/")[:2]): row.get("item", "") for row in rows}
    names = [_named(at, name) for at, name in items.items()]
    more = len(names) - _LEFT_NAMED
    elsewhere = ", ".join(names[:_LEFT_NAMED]) + (f" and {more} more" if more > 0 else "")
    known = items_of(undone.before, {place.item_id}) | items_of(undone.after, {place.item_id})
    own = _named(f"{place.noun}s/{place.item_id[:ID_CHARS]}", item_name(known.get(place.item_id)))
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


# --- One item ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A section or an insight, by its whole id; and the last version that has it, if it was removed."""

    noun: Noun
    item_id: str
    last_version: int = 0

    @property
    def last_seen(self) -> str:
        """The last version that has a removed item, for a hint."""
        return f", such as {self.last_version}" if self.last_version else ""

    def is_in(self, outline: Outline) -> bool:
        """Return True if the outline has it."""
        return self.item_id in (_sections(outline) if self.noun == "section" else _insights(outline))


def find_item(selector: str, outlines: Sequence[Outline], events: Iterable[Event]) -> Place:
    """Return the item that a selector names: of the current report, else of an earlier version.

    Args:
        selector: An id, the beginning of one, an address, the title of a section, or the summary of a removed
            insight.
        outlines: The current outline, and the earlier ones that the call is about.
        events: The history, newest first, for an item that none of the outlines has.

    Raises:
        ItemNotFoundError: None matches; `near` lists similar ones of the current outline.
        AmbiguousSelectorError: Several match, or a removed item has the title, too.
    """
    current = outlines[0]
    near: list[dict[str, str]] = []
    for outline in outlines:
        found = _find_in(outline, selector, near if outline is current else [])
        if found is not None:
            _require_one(selector, found, outlines)
            return found
    removed = [
        (Place(_NOUNS[kind], item_id, version), title)
        for (kind, item_id), title, version in removed_items(selector, events)
    ]
    if gone := [(place, title) for place, title in removed if not place.is_in(current)]:
        if len(gone) > 1:
            raise _ambiguous(selector, [_candidate(*each) for each in gone])
        return gone[0][0]
    raise ItemNotFoundError(
        f"item: no section or insight answers to {quoted(selector)}, now or then.",
        hint="Name it whole, by its id, the beginning of its id, or a section's exact title.",
        path="item",
        near=near,
    )


def _find_in(outline: Outline, selector: str, near: list[dict[str, str]]) -> Place | None:
    """Return the item of an outline; `None` if there is none, with similar ones added to `near`."""
    for noun, name in _possible_items(selector):
        try:
            return Place(noun, _FINDERS[noun](outline, name))
        except ItemNotFoundError as error:
            near += error.details["near"]
        except AmbiguousSelectorError as error:
            for candidate in error.details["candidates"]:
                candidate["version"] = outline.outline_version
            raise
    return None


def _require_one(selector: str, found: Place, outlines: Sequence[Outline]) -> None:
    """Refuse a title that the section found shares with a removed one.

    Raises:
        AmbiguousSelectorError: It does.
    """
    current, title = outlines[0], folded(selector)
    named: dict[str, Json] = {}
    for outline in outlines:
        for section in outline.sections:
            place = Place("section", section.section_id, outline.outline_version)
            is_gone = outline is not current and not place.is_in(current)
            if folded(section.title) == title and (outline is current or is_gone):
                named.setdefault(section.section_id, _candidate(place, section.title))
    if found.item_id in named and len(named) > 1:
        raise _ambiguous(selector, list(named.values()))


def _candidate(place: Place, title: str) -> Json:
    label = "title" if place.noun == "section" else "summary"
    return {f"{place.noun}_id": place.item_id, label: cut(title, 100), "version": place.last_version}


def _ambiguous(selector: str, candidates: list[Json]) -> AmbiguousSelectorError:
    return AmbiguousSelectorError(
        f"item: {len(candidates)} items had the name {quoted(selector)}.",
        hint="Use the id of one of the candidates; version is the last known one that has it.",
        path="item",
        candidates=candidates[:MAX_CANDIDATES],
    )


def _possible_items(selector: str) -> Iterator[tuple[Noun, str]]:
    """Yield the kinds and selectors to try: the selector may be an address, such as `insights/5f9dabcd`."""
    yield "section", selector
    kind, _, name = selector.partition("/")
    if not name or kind not in ITEMS:
        yield "insight", selector
    elif kind == "sections":
        yield "section", name
    else:
        yield "insight", name


def with_item(outline: Outline, source: Outline, place: Place) -> Outline:
    """Return the outline with one item as `source` has it; an item that `source` lacks is removed.

    Raises:
        InvalidInputError: The section that the insight was in is gone.
    """
    if place.noun == "section":
        return _with_section(outline, source, place.item_id)
    return _with_insight(outline, source, place.item_id)


def _with_insight(outline: Outline, source: Outline, insight_id: str) -> Outline:
    members = {section.section_id: list(section.insight_ids) for section in outline.sections}
    now, then = _home(outline, insight_id), _home(source, insight_id)
    if then is not None and then not in members and insight_id in _insights(source):
        if insight_id not in _insights(outline):
            raise InvalidInputError(
                "The section that this insight was in is gone.",
                hint=f"Bring the section back, with item={then}; its insights come with it.",
                path="item",
            )
        then = now
    if now is not None and now != then:
        members[now].remove(insight_id)
    if then is not None and then == _home(source, insight_id):
        members[then] = _placed(members[then], _sections(source)[then].insight_ids, insight_id)
    return _built(outline, source, [insight_id], outline.sections, members)


def _with_section(outline: Outline, source: Outline, section_id: str) -> Outline:
    here, there = _sections(outline), _sections(source)
    ids_now = here[section_id].insight_ids if section_id in here else []
    ids_then = there[section_id].insight_ids if section_id in there else []
    affected = list(dict.fromkeys((*ids_then, *ids_now)))
    sections = dict(here)
    if section_id in there:
        sections[section_id] = there[section_id]
    else:
        sections.pop(section_id, None)
    order = [key for key in here if key in sections]
    if section_id in sections:
        order = _placed(order, list(there), section_id)
    members = {
        key: [i for i in section.insight_ids if i not in affected] for key, section in sections.items()
    }
    if section_id in sections:
        members[section_id] = list(ids_then)
    for insight_id in ids_now:
        home = _home(source, insight_id)
        if insight_id not in _insights(source) or home == section_id:
            continue
        if home in members:
            members[home] = _placed(members[home], there[home].insight_ids, insight_id)
        elif section_id in members:
            members[section_id].append(insight_id)
    return _built(outline, source, affected, [sections[key] for key in order], members)


def _built(
    outline: Outline,
    source: Outline,
    insight_ids: Sequence[str],
    sections: Sequence[Section],
    members: dict[str, list[str]],
) -> Outline:
    """Return the outline with these sections, and these insights as the source has them."""
    then = _insights(source)
    insights: dict[str, Insight] = dict(_insights(outline))
    order = list(insights)
    for insight_id in insight_ids:
        if insight_id in then:
            insights[insight_id] = then[insight_id]
            order = order if insight_id in order else _placed(order, list(then), insight_id)
        elif insight_id in insights:
            del insights[insight_id]
            order.remove(insight_id)
    filled = [
        section
        if section.insight_ids == members[section.section_id]
        else section.model_copy(update={"insight_ids": members[section.section_id]})
        for section in sections
    ]
    items = {"sections": filled, "insights": [insights[key] for key in order]}
    return normalised(outline.model_copy(update=items))


def _placed(ids: Sequence[str], then: Sequence[str], item_id: str) -> list[str]:
    """Return the ids with this one behind the nearest id before it in `then` that still exists."""
    others = [one for one in ids if one != item_id]
    index = then.index(item_id)
    before = [one for one in then[:index] if one in others]
    if item_id in ids:
        ahead = ids[: ids.index(item_id)]
        if {one for one in ahead if one in then} == set(before):
            return list(ids)
    place = others.index(before[-1]) + 1 if before else 0
    return [*others[:place], item_id, *others[place:]]


def _home(outline: Outline, insight_id: str) -> str | None:
    return next((s.section_id for s in outline.sections if insight_id in s.insight_ids), None)


def _sections(outline: Outline) -> dict[str, Section]:
    return {section.section_id: section for section in outline.sections}


def _insights(outline: Outline) -> dict[str, Insight]:
    return {insight.insight_id: insight for insight in outline.insights}
