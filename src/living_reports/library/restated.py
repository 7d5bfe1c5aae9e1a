"""Changes that settle a conflict: the same intent, restated against the current version.

Rules:

- Pure. The outline to reach is given: the merge in which the caller's side wins, or has both sides.
- Changes are only returned if applying them to the current outline gives exactly that outline.
- First the changes are tried as they were sent. Then those that edit what conflicts are replaced by edits
  of what differs, and at last all edits of items and of the report; changes that add, move or remove items
  always stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from living_reports.changes import Change, parse_changes
from living_reports.errors import ReportError
from living_reports.model import splices
from living_reports.model.delta import address, content_edits, diff
from living_reports.model.fields import DAYS, PROSE
from living_reports.model.report import Citation, Insight, Outline, Section
from living_reports.model.selectors import find_insight, find_section
from living_reports.model.splices import same
from living_reports.reading.compact import short_ids

_ADDING = ("add_section", "move_section", "remove_section", "add_insight", "move_insight", "remove_insight")
"""The ops that add, move or remove items; all others edit what is there."""
_MOST_LINE_EDITS = 10
"""More edits than this make a call that is too long to be offered."""

Json = dict[str, Any]
Make = Callable[[Sequence[Change]], Outline]


def restated(
    raw: Sequence[Json],
    changes: Sequence[Change],
    base: Outline,
    wanted: Outline,
    places: Sequence[str],
    make: Make,
) -> list[Json] | None:
    """Return changes that lead from the current outline to the wanted one.

    Args:
        raw: The changes as they were sent.
        changes: The same, parsed.
        base: The outline that they were made for.
        wanted: The outline to reach.
        places: The addresses that conflict.
        make: Applies changes to the current outline.

    Returns:
        The changes; `None` where none were found.
    """
    if _leads_to(wanted, changes, make):
        return list(raw)
    for among in (places, ("title", "metadata", "sections", "insights")):
        kept = [
            (row, change)
            for row, change in zip(raw, changes, strict=True)
            if change.op in _ADDING or not is_at(change, base, among)
        ]
        if found := _completed([row for row, _ in kept], [change for _, change in kept], wanted, make):
            return found
    return None


def is_at(change: Change, outline: Outline, places: Sequence[str]) -> bool:
    """Return whether a change names one of these places, or something in it."""
    return any(related(aim, place) for aim in aims(change, outline) for place in places)


def _completed(rows: list[Json], kept: list[Change], wanted: Outline, make: Make) -> list[Json] | None:
    """Return the kept changes, and edits of what then still differs from the wanted outline."""
    try:
        edits = list(_edits(make(kept), wanted))
        changes = [*kept, *(parse_changes(edits) if edits else ())]
    except ReportError:
        return None
    return [*rows, *edits] if changes and _leads_to(wanted, changes, make) else None


def _leads_to(wanted: Outline, changes: Sequence[Change], make: Make) -> bool:
    try:
        outline = make(changes)
    except ReportError:
        return False
    return not content_edits(diff(outline, wanted))


# --- The places of changes -----------------------------------------------------------------


def related(one: str, other: str) -> bool:
    """Return True if the places are the same, or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def aims(change: Change, outline: Outline) -> Iterator[str]:
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
        case "edit_text" if change.is_everywhere:
            yield from ("sections", "insights")
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


# --- Edits between two outlines --------------------------------------------------------------


def _edits(now: Outline, then: Outline) -> Iterator[Json]:
    """Yield edits of the fields that differ; added, moved and removed items have none."""
    if now.title != then.title:
        yield {"op": "set_title", "title": then.title}
    yield from _metadata_edits(now, then)
    names = short_ids(now)
    sections = {section.section_id: section for section in then.sections}
    for section in now.sections:
        if section.section_id in sections:
            yield from _section_edits(section, sections[section.section_id], names[section.section_id])
    insights = {insight.insight_id: insight for insight in then.insights}
    for insight in now.insights:
        if insight.insight_id in insights:
            yield from _insight_edits(insight, insights[insight.insight_id], names[insight.insight_id])


def _metadata_edits(now: Outline, then: Outline) -> Iterator[Json]:
    for key in dict.fromkeys((*now.metadata, *then.metadata)):
        value = then.metadata.get(key)
        if same(now.metadata.get(key), value):
            continue
        if key == "status":
            yield {"op": "set_status", "status": then.status}
        elif key != "tags":
            yield {"op": "set_metadata", "key": key, "value": value}
    if gone := [tag for tag in now.tags if tag not in then.tags]:
        yield {"op": "remove_tags", "tags": gone}
    if new := [tag for tag in then.tags if tag not in now.tags]:
        yield {"op": "add_tags", "tags": new}


def _section_edits(now: Section, then: Section, section: str) -> Iterator[Json]:
    whole: Json = {}
    for name in ("title", *PROSE, "content_format"):
        old, new = getattr(now, name) or "", getattr(then, name) or ""
        lines = _line_edits(section, old, new) if name == "content" and old != new else []
        yield from lines
        if old != new and not lines:
            whole |= {name: new} if new else {"clear": [*whole.get("clear", ()), name]}
    if whole:
        yield {"op": "edit_section", "section": section} | whole
    yield from _citation_edits(now, then, "section", section)


def _line_edits(section: str, old: str, new: str) -> list[Json]:
    """Return edits of the differing lines; none where they are many, or cannot be found by their words."""
    edits: list[Json] = []
    lines, done = old.split("\n"), 0
    for start, removed, inserted in splices.between_lists(lines, new.split("\n")):
        last = start + len(removed)
        first = max(done, start - (not "".join(removed).strip() or not inserted))
        find, replace = "\n".join(lines[first:last]), "\n".join([*lines[first:start], *inserted])
        if len(edits) == _MOST_LINE_EDITS or not find.strip() or not replace or old.count(find) != 1:
            return []
        edits.append({"op": "edit_text", "section": section, "find": find, "replace": replace})
        done = last
    return edits


def _insight_edits(now: Insight, then: Insight, insight: str) -> Iterator[Json]:
    whole: Json = {
        name: getattr(then, name)
        for name in ("summary", "importance", "status")
        if getattr(now, name) != getattr(then, name)
    }
    days = [name for name in DAYS if now.metadata.get(name) != then.metadata.get(name)]
    whole |= {name: then.metadata[name] for name in days if name in then.metadata}
    clear = [name for name in days if name not in then.metadata]
    whole |= {"clear": clear} if clear else {}
    if whole:
        yield {"op": "edit_insight", "insight": insight} | whole
    yield from _citation_edits(now, then, "insight", insight)


def _citation_edits(
    now: Section | Insight, then: Section | Insight, noun: str, item_id: str
) -> Iterator[Json]:
    """Yield an edit for each new citation; where others went, one that states all of them."""
    new = then.citations[len(now.citations) :]
    if now.citations + new == then.citations:
        yield from ({"op": "add_citation", noun: item_id, "citation": _stated(each)} for each in new)
    elif then.citations:
        yield {"op": f"edit_{noun}", noun: item_id, "citations": list(map(_stated, then.citations))}
    else:
        yield {"op": f"edit_{noun}", noun: item_id, "clear": ["citations"]}


def _stated(citation: Citation) -> Json:
    return citation.model_dump(exclude_none=True)
