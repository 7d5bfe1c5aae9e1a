"""Whose text a change without `expected_version` replaced, and how to bring it back.

Rules:

- Only whole-value edits count (a title, a section's or an insight's text set anew): a caller
  who finds and replaces words has shown that it knows them.
- A warning names the version, the client and the reason of the text that was replaced, and
  the call that brings it back. It is a warning, not a refusal: nothing is ever lost.
- One walk back along the log answers for all texts of a call. A line is only parsed if its
  bytes name one of them, and the walk ends with the last text found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from living_reports.changes import Change
from living_reports.errors import ReportError
from living_reports.model.delta import address
from living_reports.model.event import Author
from living_reports.model.report import Outline
from living_reports.model.selectors import find_insight, find_section
from living_reports.reading.brief import cut
from living_reports.store.files import Edit, Record, State

_WARNINGS = 10
_REASON_CHARS = 80
_AT = re.compile(rb'"at":"([^"]*)"')
_PROSE = ("content", "notes")


@dataclass(frozen=True)
class _Replaced:
    """A text that a whole-value edit set anew: the address of its item, its field, before and after."""

    item: str
    field: str
    old: str
    new: str

    @property
    def at(self) -> str:
        return f"{self.item}/{self.field}" if self.item else self.field

    @property
    def touched_by(self) -> frozenset[str]:
        """The addresses of edits that made this text what it was."""
        return frozenset({self.at, self.item, ""})

    @property
    def named_by(self) -> tuple[bytes, ...]:
        """What a line of the log contains if it may have touched this text: one of these."""
        item_id = self.item.partition("/")[2].encode()
        return (item_id,) if item_id else (f'"at":"{self.field}"'.encode(), b'"at":""')

    @property
    def shrinks(self) -> bool:
        """True for prose that loses more than half of its length."""
        return self.field in _PROSE and len(self.new) < len(self.old) / 2


def overwrite_warnings(edit: Edit, changes: Sequence[Change], new: Outline, author: Author) -> list[str]:
    """One warning for each text that was another client's, or lost more than half of its length."""
    replaced = list(dict.fromkeys(_replaced_texts(edit.state.outline, changes, new)))
    touched = _last_touches(edit, replaced)
    warnings = [_warning(edit.state, text, touched.get(text), author) for text in replaced]
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
                    stated = {*change.fields, *change.clear} & {"title", *_PROSE}
                    yield from _texts(place, section, sections.get(section.section_id), sorted(stated))
                case "edit_insight" if "summary" in change.fields:
                    insight = find_insight(old, change.fields["insight"], change.path)
                    place = address("insights", insight.insight_id)
                    yield from _texts(place, insight, insights.get(insight.insight_id), ("summary",))
        except ReportError:
            continue  # an item that this very call made or renamed


def _texts(item: str, old: object, new: object, fields: Iterable[str]) -> Iterator[_Replaced]:
    for field in fields:
        before, after = getattr(old, field), getattr(new, field, None)
        if new is not None and before and before != after:
            yield _Replaced(item, field, before, after or "")


def _last_touches(edit: Edit, texts: Iterable[_Replaced]) -> dict[_Replaced, Record]:
    """The newest event that touched each text, or brought its item or the whole outline."""
    missing = set(texts)
    found: dict[_Replaced, Record] = {}
    naming = [part for text in missing for part in text.named_by]
    for record in edit.events(naming) if missing else ():
        named = {at.decode("utf-8", "replace") for at in _AT.findall(record.raw)}
        if not any(text.touched_by & named for text in missing):
            continue
        touched = {one.get("at") for one in record.delta if isinstance(one, dict)}
        now = {text for text in missing if text.touched_by & touched}
        found |= dict.fromkeys(now, record)
        missing -= now
        if not missing:
            break
    return found


def _warning(state: State, text: _Replaced, record: Record | None, author: Author) -> str:
    """What to say about one text; nothing where it was the caller's own and much of it is left."""
    whose = _whose(record, author)
    if not whose and not text.shrinks:
        return ""
    what = f"{text.at}: replaced the text" + (f" of version {record.version}" if record else "") + whose
    if text.shrinks:
        what += f"; it shrank from {len(text.old):,} to {len(text.new):,} characters"
    return f"{what}; revert_report with undo={_version_made(state)} brings it back"


def _whose(record: Record | None, author: Author) -> str:
    """By whom the text was, if that was another client than the caller."""
    if record is None or not record.is_event:
        return ""
    client = str(record.payload.get("client", ""))
    if record.payload.get("adopted"):
        return " by another program"
    if (record.event.actor, client) == (author.actor, author.client):
        return ""
    reason = cut(str(record.payload.get("reason", "")), _REASON_CHARS)
    return f" by {client or record.event.actor}" + (f" ({reason})" if reason else "")


def _version_made(state: State) -> int:
    """The version that the change makes; another writer's text gets one before, when it is adopted."""
    return max(state.version, state.floor) + (1 if state.record is not None else 2)
