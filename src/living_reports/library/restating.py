"""Refused changes, restated against the current version so that the caller's win. Pure.

Rules:

- What they have to come to is the merge in which the caller's side stands wherever the two
  clash: what others changed elsewhere stays.
- First the changes are tried as they are. If they would come to something else, those of long
  texts are said anew, as the lines that have to be replaced in the current text.
- What does not come to just that is not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from living_reports.changes import Change, parse_changes
from living_reports.errors import ReportError
from living_reports.model import splices
from living_reports.model.delta import diff, is_bookkeeping
from living_reports.model.merge import three_way
from living_reports.model.report import Outline, Section
from living_reports.model.selectors import find_section

Row = dict[str, Any]
Made = Callable[[Sequence[Change]], Outline]

_TEXTS = ("content", "notes")
_SECTION_TEXT_OPS = ("edit_text", "append_text", "edit_section")


def restated(
    raw: Sequence[Row],
    changes: Sequence[Change],
    base: Outline,
    current: Outline,
    yours: Outline,
    made: Made,
) -> list[Row] | None:
    """The changes that lead from the current outline to the one in which the caller's side wins.

    `made` applies changes to the current outline. `None` where no such changes were found.
    """
    wanted = three_way(base, yours, current).outline
    if _leads_to(wanted, changes, made):
        return list(raw)
    anew = list(_anew(raw, changes, base, current, wanted))
    try:
        parsed = parse_changes(anew)
    except ReportError:
        return None
    return anew if _leads_to(wanted, parsed, made) else None


def _leads_to(wanted: Outline, changes: Sequence[Change], made: Made) -> bool:
    try:
        outline = made(changes)
    except ReportError:
        return False
    return all(is_bookkeeping(edit["at"]) for edit in diff(outline, wanted))


def _anew(
    raw: Sequence[Row], changes: Sequence[Change], base: Outline, current: Outline, wanted: Outline
) -> Iterator[Row]:
    """The changes without what they do to texts of sections, then what has to be done to those."""
    touched: dict[str, None] = {}
    for row, change in zip(raw, changes, strict=True):
        section = _section(base, change)
        if section is None:
            yield row
            continue
        touched[section.section_id] = None
        if change.op == "edit_section":
            rest = {key: value for key, value in row.items() if key not in (*_TEXTS, "clear")}
            clear = [name for name in sorted(change.clear) if name not in _TEXTS]
            if rest.keys() - {"op", "section"} or clear:
                yield rest | ({"clear": clear} if clear else {})
    now, then = (
        {section.section_id: section for section in outline.sections} for outline in (current, wanted)
    )
    for section_id in touched:
        if section_id in now and section_id in then:
            yield from _texts(now[section_id], then[section_id])


def _section(base: Outline, change: Change) -> Section | None:
    """The section whose text a change edits, if it edits one."""
    stated = {*change.fields, *change.clear}
    if change.op not in _SECTION_TEXT_OPS or (change.op == "edit_section" and not stated & {*_TEXTS}):
        return None
    try:
        return find_section(base, change.fields["section"], change.path)
    except ReportError:
        return None


def _texts(now: Section, then: Section) -> Iterator[Row]:
    for name in _TEXTS:
        old, new = getattr(now, name) or "", getattr(then, name) or ""
        whole: Row = {"op": "edit_section", "section": now.section_id}
        whole |= {name: new} if new else {"clear": [name]}
        if old != new:
            yield from (name == "content" and _line_edits(now.section_id, old, new)) or [whole]


def _line_edits(section_id: str, old: str, new: str) -> list[Row]:
    """The lines to replace; none where they do not name their place, or take more words than all."""
    edits: list[Row] = []
    for _, removed, inserted in splices.between_lists(old.split("\n"), new.split("\n")):
        find, replace = "\n".join(removed), "\n".join(inserted)
        if not find.strip() or not replace or old.count(find) != 1:
            return []
        edits.append({"op": "edit_text", "section": section_id, "find": find, "replace": replace})
    return edits
