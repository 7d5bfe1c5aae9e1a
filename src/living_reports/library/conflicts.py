"""The refusal of a call that conflicts with later changes, with all that the caller needs to decide.

Rules:

- A conflict shows one place: its value in the version that the caller saw (`base`), its value now
  (`current`), the value that the call asks for (`yours`), and the newest change that gave it the
  conflicting value (`by`). `null` means that it does not exist.
- Of a text only the conflicting lines are shown. Values are cut until the refusal is short: one
  conflict takes less than 2,000 bytes.
- `retry_with` holds the same changes restated against the current version, so that the caller's side
  wins where the two conflict, and the other side stays everywhere else. It is left out where it is long,
  or where no such changes are found. Whether to send it is the caller's decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from living_reports.changes import Change, Outcome, parse_changes
from living_reports.errors import ReportError, VersionConflictError
from living_reports.model import splices
from living_reports.model.delta import address, diff, is_bookkeeping, item_of, parts
from living_reports.model.fields import ID_FIELDS, ITEMS, ORDERS, PROSE
from living_reports.model.merge import Conflict, three_way
from living_reports.model.merge_values import merged_lines
from living_reports.model.report import Outline, Section
from living_reports.model.selectors import find_insight, find_section
from living_reports.reading.compact import author_row, brief_address, cut, short_ids, size_bytes
from living_reports.store.base import Event, Transaction

MAX_BYTES = 2_000
MAX_RETRY_BYTES = 1_000
_CONFLICTS_SHOWN = 8
_MORE_BYTES = 500
"""The room for each further conflict."""
_EVENTS_LOOKED_AT = 1_000
_CHARS_COMPARED = 1_000_000_000
"""The size of the texts that are merged again to find who changed conflicting lines."""
_LIMITS = ((300, 100), (200, 100), (120, 80), (60, 60), (30, 30), (15, 15))
"""The lengths of values and reasons, tried in turn until the refusal is short enough."""

_SECTION_TEXT_OPS = ("edit_text", "append_text", "edit_section")

Json = dict[str, Any]
_Make = Callable[[Sequence[Change]], Outline]


@dataclass(frozen=True)
class Proposal:
    """The changes that a call asks for, as a function of the outline that they are applied to.

    Attributes:
        make: Returns the outcome for an outline, or raises a `ReportError`.
        retry: The arguments that ask for the same again.
        changes: The parsed changes of an update.
        make_with: Returns the outcome of other changes for an outline.
        least_version: The oldest version that the proposal makes sense for.
        extra: The fields that the event records beside the delta.
    """

    make: Callable[[Outline], Outcome]
    retry: Json
    changes: tuple[Change, ...] = ()
    make_with: Callable[[Outline, Sequence[Change]], Outcome] | None = None
    least_version: int = 0
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Clashing:
    """A merge with conflicts: the outline of version `since`, where both sides began, and both results."""

    base: Outline
    current: Outline
    yours: Outline
    conflicts: Sequence[Conflict]
    since: int


def version_conflict(
    edit: Transaction, expected: int, proposal: Proposal, clashing: Clashing | None
) -> VersionConflictError:
    """Return the refusal of a call against an older version.

    Args:
        edit: The report.
        expected: The version that the call expects.
        proposal: The changes that the call asks for.
        clashing: The failed merge; `None` if there is no such version, or it cannot be read.
    """
    version = edit.snapshot.version
    message = f"The report is at version {version}, not {expected}; nothing was changed."
    details: Json = {"expected_version": expected, "current_version": version}
    if expected > version:
        hint = f"There is no version {expected} yet. Read the report again."
        return VersionConflictError(message, hint=hint, **details, conflicts=[])
    if clashing is None:
        hint = (
            f"Version {expected} cannot be read back. Read the report, then send expected_version={version}."
        )
        return VersionConflictError(message, hint=hint, **details, conflicts=[])
    hint = (
        "To keep theirs, leave your changes to these places out; to keep both, send changes that hold both; "
        f"either with expected_version={version}."
    )
    if any(conflict.ours is None and _is_item(conflict.at) for conflict in clashing.conflicts):
        hint += (
            f" An item that is null now was removed: revert_report with to_version={clashing.since} and its "
            "id as item brings it back, and then this call can be made."
        )
    if retry_with := _retry(proposal, clashing, version):
        details["retry_with"] = retry_with
        hint += " Sending retry_with lets yours win: that is your decision."
    return _fitted(_Rows(edit, clashing, proposal.changes), message, hint, details, clashing)


def undo_conflict(edit: Transaction, undone: str, clashing: Clashing) -> VersionConflictError:
    """Return the refusal to undo a change that later ones depend on; `yours` is the result of the undo."""
    message = f"Version {undone} cannot be undone alone: later changes touch the same; nothing was changed."
    details: Json = {"expected_version": clashing.since, "current_version": edit.snapshot.version}
    rows = _Rows(edit, clashing, ())
    together = _undone_together(undone, rows, clashing.conflicts)
    hint = f"Undo the change that `by` names first{together}; or change the place with update_report."
    return _fitted(rows, message, hint, details, clashing)


def _undone_together(undone: str, rows: _Rows, conflicts: Sequence[Conflict]) -> str:
    """Return a hint at the range whose undo includes the later changes; empty if one of them is unknown."""
    makers = [rows.maker(conflict) for conflict in conflicts[: _CONFLICTS_SHOWN + 1]]
    known = [maker.version for maker in makers if maker]
    if not _CONFLICTS_SHOWN >= len(makers) == len(known):
        return ""
    return f', or all up to it with undo="{undone.partition("-")[0]}-{max(known)}"'


def _fitted(rows: _Rows, message: str, hint: str, details: Json, clashing: Clashing) -> VersionConflictError:
    shown = clashing.conflicts[:_CONFLICTS_SHOWN]
    makers = [rows.maker(conflict) for conflict in shown]
    more = {"more_conflicts": len(clashing.conflicts) - len(shown)}
    for value_chars, reason_chars in _LIMITS:
        conflicts = [
            rows.row(conflict, maker, value_chars, reason_chars)
            for conflict, maker in zip(shown, makers, strict=True)
        ]
        details |= {"conflicts": conflicts} | (more if more["more_conflicts"] else {})
        error = VersionConflictError(message, hint=hint, **details)
        if size_bytes(error.answer()) < MAX_BYTES + _MORE_BYTES * (len(shown) - 1):
            break
    return error


def _retry(proposal: Proposal, clashing: Clashing, version: int) -> Json | None:
    """Return the call that lets the caller's side win, if there is a short one."""
    again = proposal.retry | {"expected_version": version}
    make_with = proposal.make_with
    if make_with is not None:

        def make(changes: Sequence[Change]) -> Outline:
            return make_with(clashing.current, changes).outline

        changes = _restated(again["changes"], proposal.changes, clashing, make)
        if changes is None:
            return None
        again |= {"changes": changes}
    return again if size_bytes(again) <= MAX_RETRY_BYTES else None


class _Rows:
    """The rows of an answer that show conflicts."""

    def __init__(self, edit: Transaction, clashing: Clashing, changes: Sequence[Change]) -> None:
        self._clashing = clashing
        self._names = short_ids(clashing.current, clashing.base, clashing.yours)
        recent = takewhile(
            lambda record: not record.is_ours or record.version > clashing.since, edit.events()
        )
        self._chars_left = _CHARS_COMPARED
        self._events = [record for record, _ in zip(recent, range(_EVENTS_LOOKED_AT), strict=False)]
        self._aims = [(at, change.path) for change in changes for at in _aims(change, clashing.base)]

    def row(self, conflict: Conflict, maker: Event | None, value_chars: int, reason_chars: int) -> Json:
        """Return a conflict with its values cut; without `by` if no change is known to have caused it."""
        cut_one = conflict.cut(value_chars)
        row: Json = {"at": brief_address(parts(conflict.at), self._names)}
        row |= {"base": cut_one.base, "current": cut_one.ours, "yours": cut_one.theirs}
        place = _place(conflict)
        if path := next((path for aim, path in self._aims if _related(aim, place)), None):
            row = {"change": path} | row
        if maker is None:
            return row
        by = author_row(maker)
        texts = {"client": 60, "reason": reason_chars}
        return row | {"by": by | {key: cut(by[key], limit) for key, limit in texts.items() if key in by}}

    def maker(self, conflict: Conflict) -> Event | None:
        """Return the newest change that gave the place its conflicting value."""
        if conflict.line is not None:
            return self._maker_of_lines(conflict)
        place = _place(conflict)
        if place == conflict.at:
            for record in self._events:
                if any(_related(at, place) for at in _addresses(record)):
                    return record
        item_id = item_of(place)
        return next((r for r in self._events if item_id and _places(r, item_id)), None)

    def _maker_of_lines(self, conflict: Conflict) -> Event | None:
        """Return the newest change before which other lines of the text conflicted, or none did."""
        base, text, yours = (
            _text_at(side, conflict.at)
            for side in (self._clashing.base, self._clashing.current, self._clashing.yours)
        )
        found = None
        for record in self._events:
            if not any(_related(at, conflict.at) for at in _addresses(record)):
                continue
            found = record
            edit = next((edit for edit in record.delta if edit["at"] == conflict.at), None)
            if edit is None:
                return record  # the whole section came or went
            text = _earlier(text, edit)
            self._chars_left -= len(base) + len(text) + len(yours)
            if self._chars_left < 0:
                return None
            clashes = merged_lines(base, text, yours)[1]
            if not any(
                clash.line == conflict.line and clash.ours == (conflict.ours or "") for clash in clashes
            ):
                return record
        return found


def _earlier(text: str, edit: Mapping[str, Any]) -> str:
    """Return the text before an edit of it."""
    if "splices" in edit:
        return str(splices.apply(text, splices.invert(edit["splices"])))
    return str(edit.get("old") or "")


def _addresses(record: Event) -> Iterator[str]:
    """Yield the addresses that an event changed, without bookkeeping and the order of all items."""
    return (at for edit in record.delta if not is_bookkeeping(at := edit["at"]) and at not in ITEMS)


def _is_item(at: str) -> bool:
    """Return True if the address is that of a whole section or insight."""
    return item_of(at) is not None and len(parts(at)) == 2


def _places(record: Event, item_id: str) -> bool:
    """Return True if an event moved the item, or added or removed its section."""
    return record.mentions(item_id) and any(
        item_id in str(edit) for edit in record.delta if edit["at"].partition("/")[0] == "sections"
    )


def _text_at(outline: Outline, at: str) -> str:
    kind, item_id, name = parts(at)
    items = getattr(outline, kind)
    item = next((one for one in items if getattr(one, ID_FIELDS[kind]) == item_id), None)
    return str(getattr(item, name, None) or "")


def _place(conflict: Conflict) -> str:
    """Return the address of a conflict; for a list of ids, the address of the item that moved."""
    for value in (conflict.base, conflict.ours, conflict.theirs):
        if isinstance(value, dict) and conflict.at.rpartition("/")[2] in {"sections", *ORDERS}:
            if "insight_id" in value:
                return address("insights", value["insight_id"])
            return address("sections", value["section_id"])
    return conflict.at


def _related(one: str, other: str) -> bool:
    """Return True if the places are the same, or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _aims(change: Change, outline: Outline) -> Iterator[str]:
    """Yield the places that a change names; new items and lost ones have none."""
    match change.op:
        case "set_title":
            yield "title"
        case "set_status":
            yield "metadata/status"
        case "add_tags" | "remove_tags":
            yield "metadata/tags"
        case "set_metadata":
            yield address("metadata", change.fields["key"])
    try:
        if "insight" in change.fields:
            yield address("insights", find_insight(outline, change.fields["insight"], change.path).insight_id)
        if "section" in change.fields:
            section = find_section(outline, change.fields["section"], change.path)
            yield address("sections", section.section_id)
            if change.op == "remove_section":
                yield from (address("insights", insight_id) for insight_id in section.insight_ids)
    except ReportError:
        return


# --- Restated changes ------------------------------------------------------------------------


def _restated(
    raw: Sequence[Json],
    changes: Sequence[Change],
    clashing: Clashing,
    make: _Make,
) -> list[Json] | None:
    """Return changes that lead from the current outline to the one in which the caller's side wins.

    The result has to be the merge in which the caller's side stands wherever the two conflict. First the
    changes are tried as they are; then those of long texts are replaced by edits of the lines that differ.

    Args:
        raw: The changes as they were sent.
        changes: The same, parsed.
        clashing: The failed merge.
        make: Applies changes to the current outline.

    Returns:
        The changes; `None` where none were found.
    """
    base, current = clashing.base, clashing.current
    wanted = three_way(base, clashing.yours, current).outline
    if _leads_to(wanted, changes, make):
        return list(raw)
    anew = list(_anew(raw, changes, base, current, wanted))
    try:
        parsed = parse_changes(anew)
    except ReportError:
        return None
    return anew if _leads_to(wanted, parsed, make) else None


def _leads_to(wanted: Outline, changes: Sequence[Change], make: _Make) -> bool:
    try:
        outline = make(changes)
    except ReportError:
        return False
    return all(is_bookkeeping(edit["at"]) for edit in diff(outline, wanted))


def _anew(
    raw: Sequence[Json], changes: Sequence[Change], base: Outline, current: Outline, wanted: Outline
) -> Iterator[Json]:
    """Yield the changes without their edits of section texts, then new edits of those texts."""
    touched: dict[str, None] = {}
    for row, change in zip(raw, changes, strict=True):
        section = _section(base, change)
        if section is None:
            yield row
            continue
        touched[section.section_id] = None
        if change.op == "edit_section":
            rest = {key: value for key, value in row.items() if key not in (*PROSE, "clear")}
            clear = [name for name in sorted(change.clear) if name not in PROSE]
            if rest.keys() - {"op", "section"} or clear:
                yield rest | ({"clear": clear} if clear else {})
    now, then = (
        {section.section_id: section for section in outline.sections} for outline in (current, wanted)
    )
    for section_id in touched:
        if section_id in now and section_id in then:
            yield from _texts(now[section_id], then[section_id])


def _section(base: Outline, change: Change) -> Section | None:
    """Return the section whose text a change edits, if it edits one."""
    stated = {*change.fields, *change.clear}
    if change.op not in _SECTION_TEXT_OPS or (change.op == "edit_section" and not stated & {*PROSE}):
        return None
    try:
        return find_section(base, change.fields["section"], change.path)
    except ReportError:
        return None


def _texts(now: Section, then: Section) -> Iterator[Json]:
    for name in PROSE:
        old, new = getattr(now, name) or "", getattr(then, name) or ""
        whole: Json = {"op": "edit_section", "section": now.section_id}
        whole |= {name: new} if new else {"clear": [name]}
        if old != new:
            yield from (name == "content" and _line_edits(now.section_id, old, new)) or [whole]


def _line_edits(section_id: str, old: str, new: str) -> list[Json]:
    """Return edits of the differing lines; none where a line does not occur exactly once, or is removed."""
    edits: list[Json] = []
    for _, removed, inserted in splices.between_lists(old.split("\n"), new.split("\n")):
        find, replace = "\n".join(removed), "\n".join(inserted)
        if not find.strip() or not replace or old.count(find) != 1:
            return []
        edits.append({"op": "edit_text", "section": section_id, "find": find, "replace": replace})
    return edits
