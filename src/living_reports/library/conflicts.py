"""The refusal of a call that clashes with what changed since, with what it takes to try again.

Rules:

- A conflict says of one place what it was in the version that the caller saw (`base`), what it
  is now (`current`), what the call would have made of it (`yours`), and who was faster (`by`):
  the newest change that made of the place what clashes. `null` is: not there.
- Of a text only the lines that clash are shown. Values are cut until the refusal is short:
  one conflict takes less than 2,000 bytes.
- `retry_with` are the same changes restated against the current version, so that the caller's
  win where they clash and theirs stay everywhere else. It is left out where it is long, or
  where it would not come to just that. Sending it is the caller's decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from living_reports.changes import Change, Outcome
from living_reports.errors import ReportError, VersionConflictError
from living_reports.library.answers import by_line
from living_reports.library.restating import restated
from living_reports.model import splices
from living_reports.model.delta import address, is_bookkeeping, item_of, parts
from living_reports.model.merge import Conflict
from living_reports.model.merge.lines import merged_lines
from living_reports.model.report import Outline
from living_reports.model.selectors import find_insight, find_section
from living_reports.reading.brief import brief_address, cut, short_ids
from living_reports.reading.paging import size_bytes
from living_reports.store.files import Edit, Record

MAX_BYTES = 2_000
MAX_RETRY_BYTES = 1_000
_CONFLICTS_SHOWN = 8
_MORE_BYTES = 500
"""What each further conflict may add."""
_EVENTS_LOOKED_AT = 1_000
_LIMITS = ((300, 100), (200, 100), (120, 80), (60, 60), (30, 30), (15, 15))
"""How long a value and a reason may be, tried in turn until the refusal is short enough."""

_ORDERS = ("sections", "insights")

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a call wants.

    `made` gives what it comes to on an outline, or raises a `ReportError`; `made_with` does the
    same with other changes. `again` holds the arguments that ask for it once more, `said` what its
    event says of it. It makes no sense on an outline before `least_version`.
    """

    made: Callable[[Outline], Outcome]
    again: Row
    changes: tuple[Change, ...] = ()
    made_with: Callable[[Outline, Sequence[Change]], Outcome] | None = None
    least_version: int = 0
    said: Row = field(default_factory=dict)


@dataclass(frozen=True)
class Clashing:
    """A merge that was not clean: what both sides began with at version `since`, what they made of it."""

    base: Outline
    current: Outline
    yours: Outline
    conflicts: Sequence[Conflict]
    since: int


def version_conflict(
    edit: Edit, expected: int, asked: Asked, clashing: Clashing | None
) -> VersionConflictError:
    """The refusal of a call against an older version; without `clashing` that version cannot be read."""
    version = edit.state.version
    message = f"The report is at version {version}, not {expected}; nothing was changed."
    details: Row = {"expected_version": expected, "current_version": version}
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
            f" What is null now was removed: revert_report with to_version={clashing.since} and its id as "
            "item brings it back, and then this call can be made."
        )
    if retry_with := _retry(asked, clashing, version):
        details["retry_with"] = retry_with
        hint += " Sending retry_with lets yours win: that is your decision."
    return _fitted(_Rows(edit, clashing, asked.changes), message, hint, details, clashing)


def undo_conflict(edit: Edit, undone: str, clashing: Clashing) -> VersionConflictError:
    """The refusal to undo what later changes built on; in its rows `yours` is what undoing would bring."""
    message = f"Version {undone} cannot be undone alone: later changes touch the same; nothing was changed."
    details: Row = {"expected_version": clashing.since, "current_version": edit.state.version}
    rows = _Rows(edit, clashing, ())
    together = _undone_together(undone, rows, clashing.conflicts)
    hint = f"Undo the change that `by` names first{together}; or change the place with update_report."
    return _fitted(rows, message, hint, details, clashing)


def _undone_together(undone: str, rows: _Rows, conflicts: Sequence[Conflict]) -> str:
    """The undo that takes along what is in the way, where that is known of all conflicts."""
    makers = [rows.maker(conflict) for conflict in conflicts[: _CONFLICTS_SHOWN + 1]]
    known = [maker.version for maker in makers if maker]
    if not _CONFLICTS_SHOWN >= len(makers) == len(known):
        return ""
    return f', or all up to it with undo="{undone.partition("-")[0]}-{max(known)}"'


def _fitted(rows: _Rows, message: str, hint: str, details: Row, clashing: Clashing) -> VersionConflictError:
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


def _retry(asked: Asked, clashing: Clashing, version: int) -> Row | None:
    """The call that lets the caller's side win, if there is a short one."""
    again = asked.again | {"expected_version": version}
    made_with = asked.made_with
    if made_with is not None:

        def made(changes: Sequence[Change]) -> Outline:
            return made_with(clashing.current, changes).outline

        changes = restated(
            again["changes"], asked.changes, clashing.base, clashing.current, clashing.yours, made
        )
        if changes is None:
            return None
        again |= {"changes": changes}
    return again if size_bytes(again) <= MAX_RETRY_BYTES else None


class _Rows:
    """Conflicts as rows of an answer."""

    def __init__(self, edit: Edit, clashing: Clashing, changes: Sequence[Change]) -> None:
        self._clashing = clashing
        self._names = short_ids(clashing.current, clashing.base, clashing.yours)
        recent = takewhile(
            lambda record: not record.is_ours or record.version > clashing.since, edit.events()
        )
        self._events = [record for record, _ in zip(recent, range(_EVENTS_LOOKED_AT), strict=False)]
        self._aims = [(at, change.path) for change in changes for at in _aims(change, clashing.base)]

    def row(self, conflict: Conflict, maker: Record | None, value_chars: int, reason_chars: int) -> Row:
        """A conflict with its values cut; what nobody is known to have changed names nobody."""
        cut_one = conflict.cut(value_chars)
        row: Row = {"at": brief_address(parts(conflict.at), self._names)}
        row |= {"base": cut_one.base, "current": cut_one.ours, "yours": cut_one.theirs}
        place = _place(conflict)
        if path := next((path for aim, path in self._aims if _related(aim, place)), None):
            row = {"change": path} | row
        if maker is None:
            return row
        by = by_line(maker)
        texts = {"client": 60, "reason": reason_chars}
        return row | {"by": by | {key: cut(by[key], limit) for key, limit in texts.items() if key in by}}

    def maker(self, conflict: Conflict) -> Record | None:
        """The newest change that made of the place what clashes now."""
        if conflict.line is not None:
            return self._maker_of_lines(conflict)
        place = _place(conflict)
        if place == conflict.at:
            for record in self._events:
                if any(_related(at, place) for at in _addresses(record)):
                    return record
        item_id = item_of(place)
        return next((r for r in self._events if item_id and _places(r, item_id)), None)

    def _maker_of_lines(self, conflict: Conflict) -> Record | None:
        """The newest change before which other lines clashed there, or none."""
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
            clashes = merged_lines(base, text, yours)[1]
            if not any(
                clash.line == conflict.line and clash.ours == (conflict.ours or "") for clash in clashes
            ):
                return record
        return found


def _is_ours(record: Record) -> bool:
    return record.is_ours


def _earlier(text: str, edit: Mapping[str, Any]) -> str:
    """The text before an edit of it."""
    if "splices" in edit:
        return str(splices.apply(text, splices.invert(edit["splices"])))
    return str(edit.get("old") or "")


def _addresses(record: Record) -> Iterator[str]:
    """What an event changed, but for what every event does, and for the order of all items."""
    return (at for edit in record.delta if not is_bookkeeping(at := edit["at"]) and at not in _ORDERS)


def _is_item(at: str) -> bool:
    """True if the address is that of a whole section or insight."""
    return item_of(at) is not None and len(parts(at)) == 2


def _places(record: Record, item_id: str) -> bool:
    """True if an event put the item somewhere else, or what holds it came or went."""
    return item_id.encode() in record.raw and any(
        item_id in str(edit) for edit in record.delta if edit["at"].partition("/")[0] == "sections"
    )


def _text_at(outline: Outline, at: str) -> str:
    _, section_id, name = parts(at)
    section = next((one for one in outline.sections if one.section_id == section_id), None)
    return str(getattr(section, name, None) or "")


def _place(conflict: Conflict) -> str:
    """The address that a conflict is about: of the item that moved, where it is about a list."""
    for value in (conflict.base, conflict.ours, conflict.theirs):
        if isinstance(value, dict) and conflict.at.rpartition("/")[2] in ("sections", "insight_ids"):
            if "insight_id" in value:
                return address("insights", value["insight_id"])
            return address("sections", value["section_id"])
    return conflict.at


def _related(one: str, other: str) -> bool:
    """True if the places are the same, or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _aims(change: Change, outline: Outline) -> Iterator[str]:
    """The places that a change names; new items and lost ones have none."""
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
