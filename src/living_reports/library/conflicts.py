"""The refusal of a change that was made against another version, with what it takes to try again.

Rules:

- A conflict says of one place what it was at the version the caller expected (`base`), what it
  is now (`current`), what the call would have made of it (`yours`), and who was faster (`by`).
- Places that the call touches come first; what else changed since follows, as far as it fits.
- Of a text its lines that differ are shown, whole, so that they can be read.
- Values are cut until the refusal is short: one conflict takes less than 2,000 bytes.
- `retry_with` are the same changes against the current version, so that the caller's win. It
  is left out where it is long, or where they cannot be made there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from living_reports.brief import brief_edits, cut, short_ids
from living_reports.changes import Change
from living_reports.delta import Delta, address, diff, parts
from living_reports.errors import ReportError, VersionConflictError
from living_reports.library.answers import by_line
from living_reports.models import Outline
from living_reports.paging import size_bytes
from living_reports.selectors import find_insight, find_section
from living_reports.storage import Edit, Record

MAX_BYTES = 2_000
MAX_RETRY_BYTES = 1_000
_CONFLICTS_SHOWN = 8
_MORE_BYTES = 500
"""What each further conflict may add."""
_EVENTS_LOOKED_AT = 200
_LIMITS = ((300, 100), (200, 100), (120, 80), (60, 60), (30, 30), (15, 15))
"""How long a value and a reason may be, tried in turn until the refusal is short enough."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a refused call wanted.

    `made` gives the outline that it leads to from another one, or raises a `ReportError`.
    `again` holds the arguments that would ask for the same against the current version.
    """

    made: Callable[[Outline], Outline]
    again: Row
    changes: Sequence[Change] = ()


def version_conflict(edit: Edit, expected: int, asked: Asked) -> VersionConflictError:
    """The refusal of `asked`, which expected another version than the current one."""
    version = edit.state.version
    details: Row = {"expected_version": expected, "current_version": version}
    if expected > version:
        hint = f"There is no version {expected} yet. Read the report again."
        return _refusal(details | {"conflicts": []}, hint)
    again = asked.again | {"expected_version": version}
    can_retry = size_bytes(again) <= MAX_RETRY_BYTES and _made(asked, edit.state.outline) is not None
    hint = f"Read what changed, then send changes that keep it, with expected_version={version}."
    if can_retry:
        details["retry_with"] = again
        hint += " Sending retry_with as it is lets yours win over what is current: that is your decision."
    history = _History.since(edit, expected, asked)
    for value_chars, reason_chars in _LIMITS:
        rows = list(history.conflicts(value_chars, reason_chars)) if history else []
        shown = rows[:_CONFLICTS_SHOWN]
        more = {"more_conflicts": len(rows) - len(shown)} if len(rows) > len(shown) else {}
        error = _refusal(details | {"conflicts": shown} | more, hint)
        if size_bytes(error.answer()) < MAX_BYTES + _MORE_BYTES * max(0, len(shown) - 1):
            break
    return error


def _refusal(details: Row, hint: str) -> VersionConflictError:
    version, expected = details["current_version"], details["expected_version"]
    message = f"The report is at version {version}, not {expected}; nothing was changed."
    return VersionConflictError(message, hint=hint, **details)


def _made(asked: Asked, outline: Outline) -> Outline | None:
    try:
        return asked.made(outline)
    except ReportError:
        return None


@dataclass(frozen=True)
class _History:
    """What happened since the expected version, and what the call would have done there."""

    theirs: Delta
    yours: Delta
    names: Mapping[str, str]
    events: Sequence[tuple[Record, frozenset[str]]]
    """Newest first, each with the short addresses that it touched."""
    aims: Sequence[tuple[str, str]]
    """Where each change is aimed: a short address, and the path of the change."""

    @classmethod
    def since(cls, edit: Edit, expected: int, asked: Asked) -> _History | None:
        """None where the expected version cannot be read back."""
        current = edit.state.outline
        try:
            base = edit.outline_at(expected)
        except ReportError:
            return None
        names = short_ids(current) | short_ids(base)
        events = []
        for record, _ in zip(edit.events(), range(_EVENTS_LOOKED_AT), strict=False):
            if record.is_ours and record.version <= expected:
                break
            events.append((record, frozenset(row["at"] for row in brief_edits(record.delta, names))))
        made = _made(asked, base)
        yours = diff(base, made) if made is not None else []
        aims = [(at, change.path) for change in asked.changes for at in _aims(change, base, names)]
        theirs = diff(base, current)
        if made is not None:
            yours = list(_in_whole_lines(yours, base, made))
        return cls(list(_in_whole_lines(theirs, base, current)), yours, names, events, aims)

    def conflicts(self, value_chars: int, reason_chars: int) -> Iterator[Row]:
        """A row for each place that differs now; first those that the call touches, too."""
        rows = brief_edits(self.theirs, self.names, value_chars)
        mine = brief_edits(self.yours, self.names, value_chars)
        clashing = [(row, [own for own in mine if _related(own["at"], row["at"])]) for row in rows]
        for row, own in sorted(clashing, key=lambda pair: not pair[1]):
            conflict = {
                "change": self._change(row["at"]) if own else None,
                "at": row["at"],
                "base": row.get("old"),
                "current": row.get("new"),
                "yours": own[0].get("new") if own else None,
                "by": self._by(row["at"], reason_chars),
            }
            yield {key: value for key, value in conflict.items() if value is not None}

    def _change(self, at: str) -> str | None:
        return next((path for aim, path in self.aims if _related(aim, at)), None)

    def _by(self, at: str, reason_chars: int) -> Row | None:
        for record, touched in self.events:
            if any(_related(one, at) for one in touched):
                by = by_line(record)
                texts = {"client": 60, "reason": reason_chars}
                return by | {key: cut(by[key], limit) for key, limit in texts.items() if key in by}
        return None


def _in_whole_lines(delta: Delta, old: Outline, new: Outline) -> Iterator[Row]:
    """The edits, with those of long texts as the lines that differ."""
    for edit in delta:
        splices = edit.get("splices", [])
        if splices and isinstance(splices[0][1], str):
            at = edit["at"]
            before, after = _differing_lines(_text_at(old, at), _text_at(new, at), splices)
            yield {"at": at, "old": before, "new": after}
        else:
            yield edit


def _text_at(outline: Outline, at: str) -> str:
    kind, item_id, field = parts(at)
    item = outline.get_section(item_id) if kind == "sections" else outline.get_insight(item_id)
    return str(getattr(item, field))


def _differing_lines(old: str, new: str, splices: Sequence[Sequence[Any]]) -> tuple[str, str]:
    """The lines of the old text that splices touch, and what stands in their place in the new one."""
    befores, afters = [], []
    shift, start, end, shift_before = 0, 0, -1, 0
    for index, removed, inserted in [*splices, (len(old) + 1, "", "")]:
        if index > end:
            if end >= 0:
                befores.append(old[start:end])
                afters.append(new[start + shift_before : end + shift])
            start, shift_before = old.rfind("\n", 0, index) + 1, shift
        stop = old.find("\n", index + len(removed))
        end = stop if stop >= 0 else len(old)
        shift += len(inserted) - len(removed)
    return "\n".join(befores), "\n".join(afters)


def _related(one: str, other: str) -> bool:
    """True if the places are the same, or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _aims(change: Change, outline: Outline, names: Mapping[str, str]) -> Iterator[str]:
    """The places that a change names, as short addresses; new items and lost ones have none."""
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
            insight = find_insight(outline, change.fields["insight"], change.path)
            yield address("insights", names[insight.insight_id])
        if "section" in change.fields:
            section = find_section(outline, change.fields["section"], change.path)
            yield address("sections", names[section.section_id])
    except ReportError:
        return
