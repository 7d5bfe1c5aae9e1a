"""The refusal of a call that conflicts with later changes, with all that the caller needs to decide.

Rules:

- A conflict shows one place: its value in the version that the caller saw (`base`), its value now
  (`current`), the value that the call asks for (`yours`), and the newest change that gave it the
  conflicting value (`by`). `null` means that it does not exist.
- `item` is the title of the section or the summary of the insight that the place is in, or that was moved.
- Of a text only the conflicting lines are shown. Values are cut until the refusal is short: one
  conflict takes less than 2,000 bytes.
- `retry_with` and `keep_both` are calls ready to send: the same changes restated against the current version,
  so that the caller's side wins where the two conflict, or the words and values of both stand there, theirs
  first. The other side stays everywhere else. Each is left out where it is long, or where no such changes
  are found. Whether to send one is the caller's decision.
- `keep_both` is left out where the lines that conflict are in a code block, a formula or a table of a side.
- A revert is only offered again where it gives just that: the merge in which it wins.
- A call ready to send keeps `dry_run`. It gets a `request_id` of its own if the refused one had one: the old
  one may be recorded, and the content differs.
- The hint compares times only where both sides state one for the same item, and never guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from living_reports.changes import Change, Outcome
from living_reports.errors import ReportError, VersionConflictError
from living_reports.library.restated import aims, is_at, related, restated
from living_reports.library.writing import new_id
from living_reports.model import splices
from living_reports.model.delta import address, content_edits, diff, is_bookkeeping, item_of, parts
from living_reports.model.fields import ID_FIELDS, ITEMS, ORDERS
from living_reports.model.merge import Conflict, keeps_both, three_way
from living_reports.model.merge_values import clashes_in_blocks, merged_lines
from living_reports.model.report import Insight, Outline, Section, utc_day
from living_reports.model.selectors import quoted
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
_NAME_CHARS = 80
_TIMES = ("as_of", "accessed_at", "observed_at")
"""The times by which sides are compared, the most telling first."""

_LISTS = {"sections", *ORDERS}
"""The last parts of the addresses of lists in which items move."""

Item = Section | Insight
Json = dict[str, Any]


@dataclass(frozen=True)
class Proposal:
    """The changes that a call asks for, as a function of the outline that they are applied to.

    Attributes:
        make: Returns the outcome for an outline, or raises a `ReportError`.
        retry: The arguments that ask for the same again.
        changes: The parsed changes of an update.
        make_with: Returns the outcome of other changes for an outline.
        merges: Whether `make` merges by itself, so that it is always made on the current outline: an undo.
        extra: The fields that the event records beside the delta.
    """

    make: Callable[[Outline], Outcome]
    retry: Json
    changes: tuple[Change, ...] = ()
    make_with: Callable[[Outline, Sequence[Change]], Outcome] | None = None
    merges: bool = False
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Clashing:
    """A merge with conflicts: the outline of version `since`, where both sides began, and both results."""

    base: Outline
    current: Outline
    yours: Outline
    conflicts: Sequence[Conflict]
    since: int

    @property
    def sides(self) -> tuple[Outline, Outline, Outline]:
        """The outlines in the order of a merge."""
        return self.base, self.current, self.yours


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
    rows = _Rows(edit, clashing, proposal.changes)
    offers = _offers(proposal, clashing, version)
    if not proposal.make_with and not offers:
        return _fitted(rows, message, _instead_of_revert(proposal, version), details)
    error = _fitted(rows, message, _choices(offers, clashing, version), details | offers)
    if "keep_both" in offers and not rows.fits(error):
        del offers["keep_both"]
        error = _fitted(rows, message, _choices(offers, clashing, version), details | offers)
    return error


def undo_conflict(
    edit: Transaction, undone: str, clashing: Clashing, can_undo_to: Callable[[int], bool]
) -> VersionConflictError:
    """Return the refusal to undo a change that later ones depend on; `yours` is the result of the undo.

    Args:
        edit: The report.
        undone: The version, or the range, that cannot be undone.
        clashing: The failed merge.
        can_undo_to: Returns whether all from the first undone version to a later one can be undone.
    """
    message = f"Version {undone} cannot be undone alone: later changes touch the same; nothing was changed."
    details: Json = {"expected_version": clashing.since, "current_version": edit.snapshot.version}
    rows = _Rows(edit, clashing, ())
    together = _undone_together(undone, rows, clashing.conflicts, can_undo_to)
    hint = f"Undo the change that `by` names first{together}; or change the place with update_report."
    return _fitted(rows, message, hint, details)


def _instead_of_revert(proposal: Proposal, version: int) -> str:
    """Return the hint for a revert that would not give the merge in which it wins."""
    one = "" if "item" in proposal.retry else "bring one place back with item, or "
    return (
        f"With expected_version={version}, the same call takes back all later changes there too. To keep "
        f"them, {one}change the places with update_report."
    )


def _undone_together(
    undone: str, rows: _Rows, conflicts: Sequence[Conflict], can_undo_to: Callable[[int], bool]
) -> str:
    """Return a hint at the range whose undo includes the later changes; empty if none is known."""
    makers = [rows.maker(conflict) for conflict in conflicts[: _CONFLICTS_SHOWN + 1]]
    known = [maker.version for maker in makers if maker]
    if not _CONFLICTS_SHOWN >= len(makers) == len(known):
        return ""
    last = max(known)
    first = undone.partition("-")[0]
    if can_undo_to(last):
        return f', or all up to it with undo="{first}-{last}"'
    return f', or all up to now with undo="{first}-{rows.current_version}"'


def _fitted(rows: _Rows, message: str, hint: str, details: Json) -> VersionConflictError:
    """Return the refusal with its values cut until it is short enough."""
    for value_chars, reason_chars in _LIMITS:
        shown: Json = {"conflicts": rows.all(value_chars, reason_chars)}
        shown |= {"more_conflicts": rows.more} if rows.more else {}
        error = VersionConflictError(message, hint=hint, **details | shown)
        if rows.fits(error):
            break
    return error


# --- The choices ---------------------------------------------------------------------------


def _choices(offers: Json, clashing: Clashing, version: int) -> str:
    """Return the hint: the meaning of each choice, and which side is newer if both say so."""
    theirs = "To keep theirs, leave your changes to these places out"
    if "keep_both" in offers:
        yours = "retry_with lets yours win, " if "retry_with" in offers else ""
        hint = (
            f"Sending {yours}keep_both puts yours after theirs: that is your decision. "
            f"{theirs}, with expected_version={version}."
        )
    else:
        yours = "Sending retry_with lets yours win: that is your decision. " if offers else ""
        is_insight = any(_place(conflict).startswith("insights/") for conflict in clashing.conflicts)
        both = "to keep both, send changes that hold both" + (
            " (add_insight adds yours)" if is_insight else ""
        )
        hint = f"{yours}{theirs}; {both}; either with expected_version={version}."
    if any(conflict.ours is None and _is_item(conflict.at) for conflict in clashing.conflicts):
        hint += (
            f" An item that is null now was removed: revert_report with to_version={clashing.since} and its "
            "id as item brings it back, and then this call can be made."
        )
    return hint + _weighed(clashing)


def _weighed(clashing: Clashing) -> str:
    """Return which side is newer by the first time that both state; empty where they do not."""
    sides = (clashing.current, clashing.yours)
    is_one_of_several = len({item_of(_place(conflict)) for conflict in clashing.conflicts}) > 1
    for conflict in clashing.conflicts[:_CONFLICTS_SHOWN]:
        at = "/".join(parts(_place(conflict))[:2])
        theirs, yours = (_times(_item_at(side, at), _item_at(clashing.base, at)) for side in sides)
        for name in _TIMES:
            days = utc_day(theirs.get(name)), utc_day(yours.get(name))
            if days[0] is not None and days[1] is not None and days[0] != days[1]:
                newer = "theirs" if days[0] > days[1] else "yours"
                stated = f"{name} {cut(theirs[name], 32)}, yours {cut(yours[name], 32)}"
                item = _item_at(clashing.yours, at)
                of = f"For {quoted(_label(item))}, theirs" if item and is_one_of_several else "Theirs"
                return f" {of} states {stated}: {newer} is newer."
    return ""


def _times(item: Item | None, before: Item | None) -> Json:
    """Return the times that a side has stated for an item: its `as_of`, and the newest of new citations."""
    if item is None:
        return {}
    known = _sources(before)
    times = [source for source in _sources(item) if source not in known]
    if item.metadata.get("as_of") != (before.metadata.get("as_of") if before else None):
        times.append({"as_of": item.metadata.get("as_of")})
    stated = ((name, row[name]) for row in times for name in _TIMES if utc_day(row.get(name)))
    return dict(sorted(stated, key=lambda pair: str(utc_day(pair[1]))))


def _sources(item: Item | None) -> list[Json]:
    """Return the citations of an insight or of a section as rows."""
    return [citation.model_dump() for citation in item.citations] if item else []


def _offers(proposal: Proposal, clashing: Clashing, version: int) -> Json:
    """Return the calls that settle the conflicts, each if there is a short one."""
    base, current, yours = clashing.base, clashing.current, clashing.yours
    wanted = {"retry_with": three_way(base, yours, current).outline}
    if both := _with_both(proposal, clashing):
        wanted["keep_both"] = both
    calls = {name: _call(proposal, clashing, version, outline) for name, outline in wanted.items()}
    return {name: call for name, call in calls.items() if call and size_bytes(call) <= MAX_RETRY_BYTES}


def _with_both(proposal: Proposal, clashing: Clashing) -> Outline | None:
    """Return the outline that has what both sides said; `None` where a conflict is not one of texts or lists.

    Appended text is appended again, because a paragraph begins after a blank line.
    """
    base, current, conflicts = clashing.base, clashing.current, clashing.conflicts
    texts = (text for one in conflicts for text in (one.ours, one.theirs) if isinstance(text, str))
    if not proposal.make_with or sum(map(len, texts)) > MAX_RETRY_BYTES:
        return None
    both = three_way(base, current, clashing.yours, keep_both=True)
    if not all(keeps_both(both.outline, one) for one in both.conflicts):
        return None
    places = {conflict.at for conflict in conflicts}
    if any(clashes_in_blocks(*(_text_at(side, at) for side in clashing.sides)) for at in places):
        return None
    outline = both.outline
    for at in places:
        changes = [change for change in proposal.changes if is_at(change, base, [at])]
        if {change.op for change in changes} == {"append_text"}:
            with suppress(ReportError):
                outline = _with_content(outline, proposal.make_with(current, changes).outline, at)
    return outline


def _with_content(outline: Outline, other: Outline, at: str) -> Outline:
    """Return the outline with the content that a section has in another one."""
    content = _text_at(other, at)
    sections = [
        section.model_copy(update={"content": content})
        if address("sections", section.section_id, "content") == at
        else section
        for section in outline.sections
    ]
    return outline.model_copy(update={"sections": sections})


def _call(proposal: Proposal, clashing: Clashing, version: int, wanted: Outline) -> Json | None:
    """Return the call that leads to the wanted outline, if there is one."""
    again = proposal.retry | {"expected_version": version}
    if "request_id" in again:
        again["request_id"] = new_id()
    make_with = proposal.make_with
    if make_with is None:
        try:
            made = proposal.make(clashing.current).outline
        except ReportError:
            return None
        return None if content_edits(diff(made, wanted)) else again

    def make(changes: Sequence[Change]) -> Outline:
        return make_with(clashing.current, changes).outline

    places = [_place(conflict) for conflict in clashing.conflicts]
    changes = restated(again["changes"], proposal.changes, clashing.base, wanted, places, make)
    return None if changes is None else again | {"changes": changes}


# --- Rows ----------------------------------------------------------------------------------


class _Rows:
    """The rows of an answer that show conflicts."""

    def __init__(self, edit: Transaction, clashing: Clashing, changes: Sequence[Change]) -> None:
        self._clashing = clashing
        self._names = short_ids(clashing.current, clashing.base, clashing.yours)
        recent = takewhile(
            lambda record: not record.is_ours or record.version > clashing.since, edit.events()
        )
        self.current_version = edit.snapshot.version
        self._chars_left = _CHARS_COMPARED
        self._events = [record for record, _ in zip(recent, range(_EVENTS_LOOKED_AT), strict=False)]
        self._aims = [(at, change.path) for change in changes for at in aims(change, clashing.base)]
        self._shown = [(one, self.maker(one)) for one in clashing.conflicts[:_CONFLICTS_SHOWN]]

    @property
    def more(self) -> int:
        """The number of conflicts that are not shown."""
        return len(self._clashing.conflicts) - len(self._shown)

    def fits(self, error: VersionConflictError) -> bool:
        """Return True if a refusal with these rows is short enough."""
        return size_bytes(error.answer()) < MAX_BYTES + _MORE_BYTES * (len(self._shown) - 1)

    def all(self, value_chars: int, reason_chars: int) -> list[Json]:
        """Return the rows, with values and reasons cut."""
        return [self._row(conflict, maker, value_chars, reason_chars) for conflict, maker in self._shown]

    def _row(self, conflict: Conflict, maker: Event | None, value_chars: int, reason_chars: int) -> Json:
        """Return a conflict with its values cut; without `by` if no change is known to have caused it."""
        place = _place(conflict)
        sides = (conflict.base, conflict.ours, conflict.theirs)
        cut_one = Conflict(conflict.at, *(self._named(conflict.at, side) for side in sides)).cut(value_chars)
        item = cut(self._label(place), min(_NAME_CHARS, 2 * value_chars))
        row: Json = {"item": item} if item else {}
        row |= {"at": brief_address(parts(conflict.at), self._names)}
        row |= {"base": cut_one.base, "current": cut_one.ours, "yours": cut_one.theirs}
        if path := next((path for aim, path in self._aims if related(aim, place)), None):
            row = {"change": path} | row
        if maker is None:
            return row
        by = author_row(maker)
        texts = {"client": 60, "user": 60, "reason": reason_chars}
        return row | {"by": by | {key: cut(by[key], limit) for key, limit in texts.items() if key in by}}

    def _label(self, at: str) -> str:
        """Return the title or the summary of the item at an address; empty for a place of the report."""
        sides = (self._clashing.current, self._clashing.yours, self._clashing.base)
        return next((_label(item) for side in sides if (item := _item_at(side, at))), "")

    def _named(self, at: str, value: Any) -> Any:
        """Return the value of a place of items with short ids, and with the names of other items in it."""
        if not isinstance(value, dict) or not (_is_item(at) or at.rpartition("/")[2] in _LISTS):
            return value
        named = dict(value)
        for name in ID_FIELDS.values():
            if isinstance(item_id := value.get(name), str):
                named[name] = self._names.get(item_id, item_id)
        if home := self._label(address("sections", str(value.get("section_id")))):
            named["section_title"] = cut(home, _NAME_CHARS)
        side, _, item_id = str(value.get("position", "")).partition(":")
        if item_id:
            named["position"] = f"{side}:{self._names.get(item_id, item_id)}"
            named[side] = cut(self._label(address(_kind(value), item_id)), _NAME_CHARS)
        return named

    def maker(self, conflict: Conflict) -> Event | None:
        """Return the newest change that gave the place its conflicting value."""
        if conflict.line is not None:
            return self._maker_of_lines(conflict)
        place = _place(conflict)
        if place == conflict.at:
            for record in self._events:
                if any(related(at, place) for at in _addresses(record)):
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
            if not any(related(at, conflict.at) for at in _addresses(record)):
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
    return str(getattr(_item_at(outline, at), parts(at)[-1], None) or "")


def _item_at(outline: Outline, at: str) -> Item | None:
    """Return the item that contains an address."""
    kind, *rest = parts(at)
    items = getattr(outline, kind) if rest and kind in ID_FIELDS else ()
    return next((item for item in items if getattr(item, ID_FIELDS[kind]) == rest[0]), None)


def _label(item: Item) -> str:
    return item.title if isinstance(item, Section) else item.summary


def _place(conflict: Conflict) -> str:
    """Return the address of a conflict; for a list of ids, the address of the item that moved."""
    for value in (conflict.base, conflict.ours, conflict.theirs):
        if isinstance(value, dict) and conflict.at.rpartition("/")[2] in _LISTS:
            kind = _kind(value)
            return address(kind, value[ID_FIELDS[kind]])
    return conflict.at


def _kind(moved: Mapping[str, Any]) -> str:
    """Return the kind of the item whose place a value states."""
    return "insights" if "insight_id" in moved else "sections"
