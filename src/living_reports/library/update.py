"""The use case `update_report`, and its warnings about replaced text.

Rules:

- A warning concerns only edits that replace a whole value (a title, or the text of a section or insight):
  a caller who finds and replaces words has shown that it knows them. Calls with an `expected_version` get
  no warnings.
- A warning names the version, the author and the reason of the replaced text, and the call that brings
  it back. It is not a refusal: nothing is ever lost.
- A text is the caller's own if its client wrote it for the same user. An unknown user may be the same.
- The store finds the events that wrote the replaced texts, all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from living_reports.changes import Change, Outcome, apply_changes, parse_changes
from living_reports.errors import ReportError
from living_reports.library.conflicts import Proposal
from living_reports.library.context import Context
from living_reports.library.merging import carried_over
from living_reports.library.requests import UpdateReport
from living_reports.library.writing import (
    WriteCall,
    changed_answer,
    new_id,
    preview_answer,
    with_hashes,
)
from living_reports.model.delta import address, parts
from living_reports.model.event import Author
from living_reports.model.fields import PROSE, WORDS
from living_reports.model.report import Outline
from living_reports.model.selectors import find_insight, find_section, quoted
from living_reports.reading.compact import brief_address, commit_of, cut, item_name, short_ids
from living_reports.reading.history import Merged
from living_reports.store.base import Event, Snapshot, Transaction

_WARNINGS = 10
_REASON_CHARS = 80

Json = dict[str, Any]


def update_report(context: Context, request: UpdateReport, author: Author) -> Json:
    """Make all changes as one version, or none. Changes to an older version are merged with later ones.

    Raises:
        VersionConflictError: They conflict with changes after `expected_version`.
        ReportError: A selector or a change is wrong, or the store failed.
    """
    changes = list(request.changes)
    call = WriteCall.checked(request.reason, request.request_id, {"changes": changes})
    parsed = with_hashes(parse_changes(changes), context.sources)
    with context.edit(request.report, call.request_id) as edit:
        if not request.dry_run and (first := call.first_answer(edit)):
            return first
        now = context.now()
        proposal = _proposal(edit, parsed, call.content | call.options(dry_run=request.dry_run), now)
        merged = Merged()
        if request.expected_version in (0, edit.snapshot.version):
            outcome = proposal.make(edit.snapshot.outline)
        else:
            outcome, merged = carried_over(edit, request.expected_version, proposal)
        warnings = [*edit.snapshot.warnings, *outcome.warnings]
        if not request.expected_version:
            warnings += _overwrite_warnings(edit, parsed, outcome.outline, author)
        if request.dry_run or not outcome.applied:
            return preview_answer(edit, outcome, warnings, merged, dry_run=request.dry_run)
        note = call.note(outcome, author, now, warnings, rebased_over=merged.versions)
        edit.put(outcome.outline.model_copy(update={"updated_at": now}), note)
    assert edit.committed is not None
    before, after = edit.snapshot.outline, outcome.outline
    return changed_answer(edit.committed, before, after, outcome.applied, warnings, merged)


def _proposal(edit: Transaction, changes: Sequence[Change], stated: Json, now: str) -> Proposal:
    """Return the proposal of an update: the changes parsed, and the arguments as they were sent."""
    ids: list[str] = []

    def make_with(outline: Outline, some: Sequence[Change]) -> Outcome:
        return apply_changes(outline, some, now=now, new_id=_same_ids(ids))

    retry = {"report": edit.snapshot.outline.report_id} | stated
    return Proposal(lambda outline: make_with(outline, changes), retry, tuple(changes), make_with)


def _same_ids(ids: list[str]) -> Callable[[], str]:
    """Return a function that gives out the ids in the list, then new ones, which it adds to the list."""

    def each() -> Iterator[str]:
        yield from list(ids)
        while True:
            ids.append(new_id())
            yield ids[-1]

    given = each()
    return lambda: next(given)


# --- Warnings about replaced text ----------------------------------------------------------


@dataclass(frozen=True)
class _Replaced:
    """A text that an edit replaced: the address and the name of its item, its field, and both texts."""

    item: str
    name: str
    field: str
    old: str
    new: str

    @property
    def at(self) -> str:
        return f"{self.item}/{self.field}" if self.item else self.field

    @property
    def shrinks(self) -> bool:
        """True for prose that loses more than half of its length."""
        return self.field in PROSE and len(self.new) < len(self.old) / 2


def _overwrite_warnings(
    edit: Transaction, changes: Sequence[Change], new: Outline, author: Author
) -> list[str]:
    """Return a warning for each text that another author wrote, or that lost more than half of its length."""
    replaced = list(dict.fromkeys(_replaced_texts(edit.snapshot.outline, changes, new)))
    writes = edit.last_writes({text.at for text in replaced})
    warnings = [_warning(edit.snapshot, text, writes.get(text.at), author) for text in replaced]
    stated = [warning for warning in warnings if warning]
    more = len(stated) - _WARNINGS
    return stated if more <= 0 else [*stated[:_WARNINGS], f"{more} more texts were replaced like that"]


def _replaced_texts(old: Outline, changes: Iterable[Change], new: Outline) -> Iterator[_Replaced]:
    sections = {section.section_id: section for section in new.sections}
    insights = {insight.insight_id: insight for insight in new.insights}
    for change in changes:
        try:
            match change.op:
                case "set_title":
                    yield from _texts("", old, new, ("title",))
                case "edit_section":
                    section = find_section(old, change.fields["section"], change.path)
                    place = address("sections", section.section_id)
                    stated = {*change.fields, *change.clear} & {*WORDS["sections"]}
                    yield from _texts(place, section, sections.get(section.section_id), sorted(stated))
                case "edit_insight":
                    insight = find_insight(old, change.fields["insight"], change.path)
                    place = address("insights", insight.insight_id)
                    stated = change.fields.keys() & {*WORDS["insights"]}
                    yield from _texts(place, insight, insights.get(insight.insight_id), stated)
        except ReportError:
            continue  # an item that this very call made or renamed


def _texts(item: str, old: object, new: object, fields: Iterable[str]) -> Iterator[_Replaced]:
    for field in fields:
        before, after = getattr(old, field), getattr(new, field, None)
        if new is not None and before and before != after:
            yield _Replaced(item, item_name(old), field, before, after or "")


def _warning(snapshot: Snapshot, text: _Replaced, record: Event | None, author: Author) -> str:
    """Return the warning about one text; empty if the caller wrote it and much of it is left."""
    other = _other_author(record, author)
    if not other and not text.shrinks:
        return ""
    at = brief_address(parts(text.at), short_ids(snapshot.outline))
    where = f" in {quoted(text.name)}" if text.item else ""
    what = f"{at}: replaced the text{where}" + (f" of version {record.version}" if record else "") + other
    if text.shrinks:
        what += f"; it shrank from {len(text.old):,} to {len(text.new):,} characters"
    return f"{what}; revert_report with undo={_version_made(snapshot)} brings it back"


def _other_author(record: Event | None, author: Author) -> str:
    """Return ` by <author>` for a text of another author; empty for one of the caller."""
    if record is None or not record.is_event:
        return ""
    commit = commit_of(record.payload)
    client, user = (str(record.payload.get(name, "")) for name in ("client", "user"))
    if record.payload.get("adopted"):
        return " by another program"
    is_same_user = not (user and author.user) or user == author.user
    if commit is None and is_same_user and (record.event.actor, client) == (author.actor, author.client):
        return ""
    program = client or record.event.actor
    name = f"{user} with {program}" if user and user != program else program
    reason = cut(str(record.payload.get("reason", "")), _REASON_CHARS)
    return f" by {commit.author if commit else name}" + (f" ({reason})" if reason else "")


def _version_made(snapshot: Snapshot) -> int:
    """Return the version that the change makes; adopting another program's report makes one before it."""
    return snapshot.next_version
