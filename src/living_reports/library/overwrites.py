"""Whose text a change without `expected_version` replaced, and how to bring it back.

Rules:

- Only whole-value edits count (a title, a section's or an insight's text set anew): a caller
  who finds and replaces words has shown that it knows them.
- A warning names the version, the client and the reason of the text that was replaced, and
  the call that brings it back. It is a warning, not a refusal: nothing is ever lost.
- An item says when it was last touched, so the search for who did it stops there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from living_reports.changes import Change
from living_reports.models import Author, Outline
from living_reports.storage import Edit, Record

_WHOLE_VALUE_OPS = frozenset({"set_title", "edit_section", "edit_insight"})
_TEXTS = ("title", "content", "notes", "summary")
_EVENTS_LOOKED_AT = 200
_WARNINGS = 10


def overwrite_warnings(edit: Edit, changes: Sequence[Change], new: Outline, author: Author) -> list[str]:
    """One warning for each text that was another client's, or lost more than half of its length."""
    if not any(change.op in _WHOLE_VALUE_OPS for change in changes):
        return []
    replaced = list(_replaced_texts(edit.state.outline, new))
    warnings = (_warning(edit, at, old, text, author) for at, old, text in replaced)
    return list(islice((warning for warning in warnings if warning), _WARNINGS))


def _replaced_texts(old: Outline, new: Outline) -> Iterator[tuple[str, str, str]]:
    """Address, old and new text of every text that differs and was there before."""
    if old.title != new.title:
        yield "title", old.title, new.title
    pairs: list[tuple[str, dict[str, Any], Sequence[Any]]] = [
        ("sections", {section.section_id: section for section in old.sections}, new.sections),
        ("insights", {insight.insight_id: insight for insight in old.insights}, new.insights),
    ]
    for kind, before, after in pairs:
        for item in after:
            item_id = getattr(item, f"{kind[:-1]}_id")
            was = before.get(item_id, item)
            for name in _TEXTS if was is not item else ():
                text, now = getattr(was, name, None), getattr(item, name, None)
                if text and text != now:
                    yield f"{kind}/{item_id}/{name}", text, now or ""


def _warning(edit: Edit, at: str, old: str, new: str, author: Author) -> str:
    record = _last_touch(edit, at)
    client = str(record.payload.get("client", "")) if record else ""
    is_anothers = record is not None and (record.event.actor, client) != (author.actor, author.client)
    shrinks = len(new) < len(old) / 2
    if not is_anothers and not shrinks:
        return ""
    whose = f" of version {record.version}" if record else ""
    if record and is_anothers:
        reason = str(record.payload.get("reason", ""))
        whose += f" by {client or record.event.actor}" + (f" ({reason[:80]})" if reason else "")
    what = f"replaced {at}{whose}" if is_anothers else f"{at} shrank from {len(old)} to {len(new)} characters"
    return f"{what}; revert_report with to_version={edit.state.version} brings it back"


def _last_touch(edit: Edit, at: str) -> Record | None:
    """The newest event that touched an address, or brought the item or the whole outline."""
    above = {at, at.rpartition("/")[0], ""}
    for record in islice(edit.events(), _EVENTS_LOOKED_AT):
        if any(one.get("at") in above for one in record.delta if isinstance(one, dict)):
            return record
    return None
