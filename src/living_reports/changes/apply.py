"""Applying parsed changes to an outline.

Rules:

- Pure: the argument is not modified; the time and new ids are arguments. If a change fails,
  none is applied.
- Each op is a function from one outline to the next. An op that alters nothing returns the
  same object; untouched items are shared with the argument.
- The `updated_at` of an item is set once, at the end, and only if the item differs from the
  original. An item that was changed and changed back is the original object again. A section
  also differs if its list of insights does.
- The commit sets `updated_at` and `outline_version` of the outline.
- Line ends (LF, CRLF, CR) are alike when a text is sought. New text in a content takes the
  content's line ends, those of the replaced text first.
- Texts are searched and replaced in linear time.

    >>> changes = parse_changes([{"op": "append_text", "section": "Risks", "text": "None new."}])
    >>> apply_changes(outline, changes, now="2026-11-23T10:00:00+00:00", new_id=new_id).applied
    1
"""

from __future__ import annotations

import heapq
import json
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, dropwhile, repeat, takewhile, zip_longest
from operator import attrgetter, is_
from typing import Any, TypeVar

from living_reports.changes.parse import (
    MAX_REPORT_BYTES,
    MAX_SECTION_BYTES,
    MAX_TAGS,
    OPS,
    Change,
    Position,
    complete_citation,
    refuse,
    settled,
    too_large,
)
from living_reports.errors import AmbiguousSelectorError, ItemNotFoundError
from living_reports.model.event import ActionType
from living_reports.model.fields import DAYS, ID_FIELDS, PROSE, SEARCHED
from living_reports.model.report import Citation, Insight, Outline, Section, canonical, normalised
from living_reports.model.selectors import cut, find_insight, find_section, quoted

DEFAULT_IMPORTANCE = 5
_CITATION_CANDIDATES = 10
_REPLACED_IN = (*PROSE, "summary")
"""The fields in which `edit_text` without a section replaces."""
_BREAK = "\n\0\n"
"""The text between two texts that are searched together; no text to find contains it."""
_MOST_HITS = 5
_MOST_NEAR = 3
_AROUND_CHARS = 30
_LABEL_CHARS = 80
_COMPARED_CHARS = 80
_EXACT_CHARS = 1_000
"""The length up to which a text that looks like `find` is shown whole."""
_CRLF = re.compile("\r\n")
_LINE_END = re.compile("\r\n?|\n")
_QUOTE = re.compile(r"(?: {0,3}> ?)*")
_ITEM = re.compile(r" *([-+*]|[0-9]{1,9}[.)])( +|$)")
_RAW = ("<", "```", "~~~")
"""The beginnings of blocks in which a row or an item is none."""
_LOOKS = {**dict.fromkeys("‘’‚‛`´′", "'"), **dict.fromkeys("“”„‟«»″", '"'), "\u2212": "-"}
"""Characters that people and programs put in the place of others, beside those of `_form`."""
_LIKENESS = 0.4
"""The least share of three-letter pieces that a similar line has in common with `find`."""

Item = TypeVar("Item", Section, Insight)
Created = dict[str, list[dict[str, str]]]


@dataclass(frozen=True)
class Outcome:
    """The result of applied changes.

    Attributes:
        outline: The new outline; the given one if all changes together alter nothing.
        created: The full ids of the new items that the outline contains, and the days of new insights
            that were stated relatively.
        applied: The number of changes that altered something; 0 if the outline is the given one.
        action_type: The kind of event that the changes make.
        warnings: The changes that have no field to change, and the texts that were replaced everywhere and
            stay in titles, tags and citations.
        replaced: The number of places in which `edit_text` with `all` replaced a text.
    """

    outline: Outline
    created: Created
    applied: int
    action_type: ActionType
    warnings: list[str]
    replaced: int = 0


def apply_changes(
    outline: Outline, changes: Sequence[Change], *, now: str, new_id: Callable[[], str]
) -> Outcome:
    """Apply all changes in order, or raise at the first that fails.

    Args:
        outline: The outline to change.
        changes: The result of `parse_changes` or `parse_sections`.
        now: The time of the change, ISO 8601 in UTC.
        new_id: Returns a new UUID on each call.

    Raises:
        ItemNotFoundError: A selector or a text matches nothing.
        AmbiguousSelectorError: A selector matches several items.
        InvalidInputError: A change does not fit the outline at its turn.
        TooLargeError: A section or the list of tags would exceed its limit.
    """
    start = normalised(outline)
    run = _Run(start, now, new_id)
    applied = 0
    for change in changes:
        before = run.outline
        run.outline = _HANDLERS[change.op](run, change)
        applied += run.outline is not before
    result = _settle(start, run.outline, now)
    return Outcome(
        outline=result,
        created=_created(result, run.new_sections, run.new_insights, run.new_days),
        applied=0 if result is start else applied,
        action_type=_action_type({change.op for change in changes}),
        warnings=[
            *(_empty_edit_warning(change) for change in changes if _is_empty_edit(change)),
            *filter(None, (_left_over(result, change) for change in changes if change.is_everywhere)),
        ],
        replaced=run.replaced,
    )


@dataclass
class _Run:
    """The outline so far, and the new items that later changes of the call may refer to.

    `new_days` has the days of new insights that were stated relatively, such as `+2w`.
    """

    outline: Outline
    now: str
    new_id: Callable[[], str]
    new_sections: dict[str, str] = field(default_factory=dict)  # id -> ref
    new_insights: dict[str, str] = field(default_factory=dict)
    new_days: dict[str, dict[str, str]] = field(default_factory=dict)
    replaced: int = 0

    def section(self, selector: str, path: str) -> Section:
        return find_section(self.outline, _id_of_ref(selector, self.new_sections) or selector, path)

    def insight(self, selector: str, path: str) -> Insight:
        return find_insight(self.outline, _id_of_ref(selector, self.new_insights) or selector, path)


Handler = Callable[[_Run, Change], Outline]


def _id_of_ref(ref: str, new: dict[str, str]) -> str | None:
    return next((item_id for item_id, name in new.items() if name == ref), None)


# --- The report ---------------------------------------------------------------------------


def _set_title(run: _Run, change: Change) -> Outline:
    title = change.fields["title"]
    return run.outline if title == run.outline.title else run.outline.model_copy(update={"title": title})


def _set_status(run: _Run, change: Change) -> Outline:
    status = change.fields["status"]
    return run.outline if status == run.outline.status else _with_metadata(run.outline, {"status": status})


def _add_tags(run: _Run, change: Change) -> Outline:
    tags = run.outline.tags
    new = [tag for tag in change.fields["tags"] if tag not in tags]
    if new and len(tags) + len(new) > MAX_TAGS:
        raise too_large(change.at("tags"), MAX_TAGS, "tags per report")
    return _with_metadata(run.outline, {"tags": [*tags, *new]}) if new else run.outline


def _remove_tags(run: _Run, change: Change) -> Outline:
    tags = run.outline.tags
    kept = [tag for tag in tags if tag not in change.fields["tags"]]
    if kept == tags:
        return run.outline
    if kept:
        return _with_metadata(run.outline, {"tags": kept})
    rest = {key: value for key, value in run.outline.metadata.items() if key != "tags"}
    return run.outline.model_copy(update={"metadata": rest})


def _set_metadata(run: _Run, change: Change) -> Outline:
    key, value = change.fields["key"], change.fields["value"]
    metadata = run.outline.metadata
    if value is not None:
        same = key in metadata and _same_json(metadata[key], value)
        return run.outline if same else _with_metadata(run.outline, {key: value})
    if key not in metadata:
        return run.outline
    rest = {name: old for name, old in metadata.items() if name != key}
    return run.outline.model_copy(update={"metadata": rest})


def _with_metadata(outline: Outline, values: dict[str, Any]) -> Outline:
    return outline.model_copy(update={"metadata": outline.metadata | values})


def _same_json(one: Any, other: Any) -> bool:
    """Return whether two values are equal as JSON, where 1, 1.0 and true are three values."""
    return json.dumps(canonical(one)) == json.dumps(canonical(other))


# --- Sections -----------------------------------------------------------------------------


def _add_section(run: _Run, change: Change) -> Outline:
    asked = change.fields
    insights = [_new_insight(run, each) for each in asked.get("insights", ())]
    section = Section(
        section_id=run.new_id(),
        insight_ids=[insight.insight_id for insight in insights],
        created_at=run.now,
        updated_at=run.now,
        **_plain_fields(Section, asked),
    )
    section = _cited(section, _complete(asked.get("citations", ())))
    _require_fits(section, 0, change)
    sections = _placed_section(run, change, [*run.outline.sections, section], section)
    run.new_sections[section.section_id] = asked.get("ref", "")
    return run.outline.model_copy(
        update={"sections": sections, "insights": [*run.outline.insights, *insights]}
    )


def _edit_section(run: _Run, change: Change) -> Outline:
    section = _section_of(run, change)
    new = _updated(section, _plain_fields(Section, change.fields, change.clear))
    new = _recited(new, change)
    _require_fits(new, _prose_bytes(section), change)
    return _replaced_item(run.outline, section, new)


def _edit_text(run: _Run, change: Change) -> Outline:
    if change.is_everywhere:
        return _edit_all_texts(run, change)
    section, asked = _section_of(run, change), change.fields
    content, find, replace = section.content or "", asked["find"], asked["replace"]
    before = _prose_bytes(section)
    if before + _least_growth(content, find, replace) > max(before, MAX_SECTION_BYTES):
        raise too_large(change.at("replace"), MAX_SECTION_BYTES, "bytes per section")
    text = replaced(
        content,
        find,
        replace,
        everywhere=asked.get("all", False),
        path=change.at("find"),
        if_missed=_hint_if_missed(section, find),
    )
    run.replaced += _count(content, find) if asked.get("all") else 0
    new = _updated(section, {"content": text or None})
    _require_fits(new, before, change)
    return _replaced_item(run.outline, section, new)


def _edit_all_texts(run: _Run, change: Change) -> Outline:
    """Replace a text in all prose and summaries; titles stay."""
    outline, find = run.outline, change.fields["find"]
    hits = sum(_count(text, find) for _, text in _texts(outline))
    if not hits:
        raise _missed_everywhere(outline, find, change.at("find"))
    growth = sum(_least_growth(text, find, change.fields["replace"]) for _, text in _texts(outline))
    if growth > MAX_REPORT_BYTES:
        raise too_large(change.at("replace"), MAX_REPORT_BYTES, "bytes per report")
    run.replaced += hits
    sections = [_with_texts(section, change) for section in outline.sections]
    insights = [_with_texts(insight, change) for insight in outline.insights]
    return outline.model_copy(update={"sections": sections, "insights": insights})


def _with_texts(item: Item, change: Change) -> Item:
    """Return the item with a text replaced in its prose or its summary."""
    find, replace = _with_lf(change.fields["find"]), change.fields["replace"]
    texts = {name: getattr(item, name) or "" for name in _REPLACED_IN if hasattr(item, name)}
    hits = {name: plain for name, text in texts.items() if find in (plain := _with_lf(text))}
    before = sum(len(text.encode()) for text in texts.values())
    growth = sum(_least_growth(texts[name], find, replace) for name in hits)
    if isinstance(item, Section) and before + growth > max(before, MAX_SECTION_BYTES):
        raise too_large(change.at("replace"), MAX_SECTION_BYTES, "bytes per section")
    new = {name: "".join(_spliced(texts[name], plain, find, replace)) for name, plain in hits.items()}
    if isinstance(item, Section):
        changed = _updated(item, {name: text or None for name, text in new.items()})
        _require_fits(changed, before, change)
        return changed
    if not new.get("summary", item.summary).strip():
        where = f"{quoted(item.summary)} ({item.insight_id[:8]})"
        raise refuse(change.at("replace"), f"nothing would be left of the insight {where}.")
    return _updated(item, new)


def _texts(outline: Outline) -> Iterator[tuple[str, str]]:
    """Yield the texts in which `edit_text` without a section replaces, each after the label of its item."""
    items: Iterable[Section | Insight] = chain(outline.sections, outline.insights)
    for item in items:
        label = item.title if isinstance(item, Section) else item.summary
        yield from ((label, text) for name in _REPLACED_IN if (text := getattr(item, name, None)))


def _count(text: str, find: str) -> int:
    return _with_lf(text).count(_with_lf(find))


def still_there(before: Outline, after: Outline, changes: Iterable[Change]) -> Iterator[str]:
    """Yield a warning for each text that was replaced everywhere and that later changes brought again."""
    for change in changes:
        if change.is_everywhere:
            find = change.fields["find"]
            old, new = (sum(_count(text, find) for _, text in _texts(side)) for side in (before, after))
            if new > old:
                more = f"occurrences: {new - old}"
                yield f"{change.path}: {quoted(find)} stays in what others wrote since ({more})"


def _left_over(outline: Outline, change: Change) -> str:
    """Return a warning where a text that was replaced everywhere stays in what is no prose; else empty."""
    find = change.fields["find"]
    items: Iterable[Section | Insight] = chain(outline.sections, outline.insights)
    citations = [citation for item in items for citation in item.citations]
    holders: dict[str, Iterable[str | None]] = {
        "in the report's title (set_title)": [outline.title],
        "in section titles (edit_section)": [section.title for section in outline.sections],
        "in tags (add_tags, remove_tags)": outline.tags,
        "in citations (add_citation, remove_citation)": [
            getattr(citation, name) for citation in citations for name in SEARCHED["citations"]
        ],
    }
    counts = {where: sum(_count(text or "", find) for text in texts) for where, texts in holders.items()}
    places = ", ".join(f"{count} {where}" for where, count in counts.items() if count)
    return f"{change.path}: {quoted(find)} stays {places}" if places else ""


def _least_growth(content: str, find: str, replace: str) -> int:
    """Return the least number of bytes that replacing all hits adds, without making the result."""
    sought = _with_lf(find)
    longest = len(sought.encode()) + sought.count("\n")
    return _with_lf(content).count(sought) * (len(_with_lf(replace).encode()) - longest)


def _hint_if_missed(section: Section, find: str) -> str:
    """Return the hint for a text that the section's content does not contain."""
    if _with_lf(find) in _with_lf(section.notes or ""):
        return "The notes contain it; edit_section replaces notes as a whole."
    return "" if section.content else "The section has no content; add some with append_text or edit_section."


def _append_text(run: _Run, change: Change) -> Outline:
    section = _section_of(run, change)
    new = _updated(section, {"content": _grown(section, change.fields["text"])})
    _require_fits(new, _prose_bytes(section), change)
    return _replaced_item(run.outline, section, new)


def _grown(section: Section, text: str) -> str:
    content = section.content or ""
    return appended(content, text, is_markdown=section.content_format == "markdown")


def _move_section(run: _Run, change: Change) -> Outline:
    sections = _placed_section(run, change, run.outline.sections, _section_of(run, change))
    if sections is run.outline.sections:
        return run.outline
    return run.outline.model_copy(update={"sections": sections})


def _remove_section(run: _Run, change: Change) -> Outline:
    section = _section_of(run, change)
    if "insights_to" not in change.fields:
        gone = set(section.insight_ids)
        insights = [insight for insight in run.outline.insights if insight.insight_id not in gone]
        outline = run.outline.model_copy(update={"insights": insights}) if gone else run.outline
    else:
        target = run.section(change.fields["insights_to"], change.at("insights_to"))
        if target is section:
            raise refuse(change.at("insights_to"), "this section is the one to be removed.")
        new = _updated(target, {"insight_ids": target.insight_ids + section.insight_ids})
        outline = _replaced_item(run.outline, target, new)
    sections = [each for each in outline.sections if each is not section]
    return outline.model_copy(update={"sections": sections})


def _section_of(run: _Run, change: Change) -> Section:
    return run.section(change.fields["section"], change.at("section"))


def _placed_section(run: _Run, change: Change, sections: list[Section], section: Section) -> list[Section]:
    """Return the sections with this one at the position of the change."""
    ids = [each.section_id for each in sections]
    placed = _placed(ids, section.section_id, change, lambda s, path: run.section(s, path).section_id)
    if placed == ids:
        return sections
    by_id = {each.section_id: each for each in sections}
    return [by_id[section_id] for section_id in placed]


def _prose_bytes(section: Section) -> int:
    return sum(len((getattr(section, name) or "").encode()) for name in PROSE)


def _require_fits(section: Section, before: int, change: Change) -> None:
    """Raise if a section grew beyond its limit; a larger one may still be edited if it does not grow."""
    if before < _prose_bytes(section) > MAX_SECTION_BYTES:
        grown = next((name for name in ("text", "replace", *PROSE) if name in change.fields), PROSE[-1])
        raise too_large(change.at(grown), MAX_SECTION_BYTES, "bytes per section")


# --- Insights -----------------------------------------------------------------------------


def _new_insight(run: _Run, change: Change) -> Insight:
    """Return the insight that the change describes, without adding it to the outline."""
    asked = change.fields
    dates = {name: settled(asked[name], run.now) for name in DAYS if name in asked}
    insight = Insight(
        insight_id=run.new_id(),
        citations=_complete(asked.get("citations", ())),
        created_at=run.now,
        updated_at=run.now,
        metadata=dates,
        **({"importance": DEFAULT_IMPORTANCE} | _plain_fields(Insight, asked)),
    )
    run.new_insights[insight.insight_id] = asked.get("ref", "")
    run.new_days[insight.insight_id] = {name: day for name, day in dates.items() if day != asked[name]}
    return insight


def _add_insight(run: _Run, change: Change) -> Outline:
    section = _section_of(run, change)
    insight = _new_insight(run, change)
    outline = run.outline.model_copy(update={"insights": [*run.outline.insights, insight]})
    ids = _placed_insight(run, change, [*section.insight_ids, insight.insight_id], insight)
    return _replaced_item(outline, section, _updated(section, {"insight_ids": ids}))


def _edit_insight(run: _Run, change: Change) -> Outline:
    insight, asked = _insight_of(run, change), change.fields
    new = _updated(insight, _plain_fields(Insight, asked, change.clear))
    dates = {name: settled(asked[name], run.now) for name in DAYS if name in asked}
    kept = {name: value for name, value in new.metadata.items() if name not in change.clear}
    new = _updated(new, {"metadata": kept | dates})
    return _replaced_item(run.outline, insight, _recited(new, change))


def _move_insight(run: _Run, change: Change) -> Outline:
    if not change.fields.keys() & {"section", "position"}:
        problem = "move_insight needs a position, or the section to move to."
        raise refuse(change.at("position"), problem, allowed=["first", "last", "before:…", "after:…"])
    insight = _insight_of(run, change)
    home = _home(run.outline, insight)
    target = _section_of(run, change) if "section" in change.fields else home
    if target is None:
        raise refuse(change.at("section"), "the insight is in no section; name one.")
    if target is home:
        ids = _placed_insight(run, change, home.insight_ids, insight)
        return _replaced_item(run.outline, home, _updated(home, {"insight_ids": ids}))
    ids = _placed_insight(run, change, [*target.insight_ids, insight.insight_id], insight)
    moved = _updated(target, {"insight_ids": ids})
    return _replaced_item(_detached(run.outline, insight, home), target, moved)


def _remove_insight(run: _Run, change: Change) -> Outline:
    insight = _insight_of(run, change)
    outline = _detached(run.outline, insight, _home(run.outline, insight))
    insights = [each for each in outline.insights if each is not insight]
    return outline.model_copy(update={"insights": insights})


def _insight_of(run: _Run, change: Change) -> Insight:
    return run.insight(change.fields["insight"], change.at("insight"))


def _home(outline: Outline, insight: Insight) -> Section | None:
    wanted = insight.insight_id
    return next((section for section in outline.sections if wanted in section.insight_ids), None)


def _detached(outline: Outline, insight: Insight, home: Section | None) -> Outline:
    """Return the outline with the insight in no section."""
    if home is None:
        return outline
    ids = [each for each in home.insight_ids if each != insight.insight_id]
    return _replaced_item(outline, home, _updated(home, {"insight_ids": ids}))


def _placed_insight(run: _Run, change: Change, ids: list[str], insight: Insight) -> list[str]:
    return _placed(ids, insight.insight_id, change, lambda s, path: run.insight(s, path).insight_id)


# --- Citations ----------------------------------------------------------------------------


def _add_citation(run: _Run, change: Change) -> Outline:
    new = complete_citation(change.fields["citation"])
    return _with_citations(run, change, lambda cited: cited if new in cited else [*cited, new])


def _remove_citation(run: _Run, change: Change) -> Outline:
    return _with_citations(run, change, lambda cited: _without(cited, change))


def _with_citations(run: _Run, change: Change, after: Callable[[list[Citation]], list[Citation]]) -> Outline:
    """Return the outline with other citations of the section or the insight that the change names."""
    if "section" in change.fields:
        section = _section_of(run, change)
        return _replaced_item(run.outline, section, _cited(section, after(section.citations)))
    insight = _insight_of(run, change)
    return _replaced_item(run.outline, insight, _cited(insight, after(insight.citations)))


def _without(citations: list[Citation], change: Change) -> list[Citation]:
    """Return the citations without the one that has the fields of the change."""
    asked, path = change.fields["citation"], change.at("citation")
    matches = [c for c in citations if all(getattr(c, n) == v for n, v in asked.items())]
    holder = "section" if "section" in change.fields else "insight"
    if not matches:
        raise ItemNotFoundError(
            f"{path}: no citation of this {holder} has these fields.",
            hint="Give fields exactly as get_report shows them; near lists the citations.",
            path=path,
            near=_citation_rows(citations),
        )
    if any(match != matches[0] for match in matches):
        raise AmbiguousSelectorError(
            f"{path}: {len(matches)} citations of this {holder} have these fields.",
            hint="Give more fields, so that only one citation matches.",
            path=path,
            candidates=_citation_rows(matches),
        )
    return [citation for citation in citations if citation is not matches[0]]


def _recited(item: Item, change: Change) -> Item:
    """Return the item with the citations that the change states or clears, if it does either."""
    if "citations" not in change.fields and "citations" not in change.clear:
        return item
    return _cited(item, _complete(change.fields.get("citations", ())))


def _cited(item: Item, citations: list[Citation]) -> Item:
    return item if citations == item.citations else item.with_citations(citations)


def _complete(given: Iterable[dict[str, str]]) -> list[Citation]:
    """Return the complete citations without duplicates."""
    found: list[Citation] = []
    for each in given:
        citation = complete_citation(each)
        if citation not in found:
            found.append(citation)
    return found


def _citation_rows(citations: list[Citation]) -> list[dict[str, Any]]:
    return [citation.model_dump(exclude_none=True) for citation in citations[:_CITATION_CANDIDATES]]


# --- Shared by the ops --------------------------------------------------------------------


def _plain_fields(
    model: type[Section | Insight], asked: Mapping[str, Any], clear: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the values of the model's fields that are set as they were asked for."""
    values = {**asked, **dict.fromkeys(clear)}
    return {
        name: value for name, value in values.items() if name in model.model_fields and name != "citations"
    }


def _replaced_item(outline: Outline, old: Item, new: Item) -> Outline:
    """Return the outline with the new item in the place of the old one."""
    if new is old:
        return outline
    kind = "sections" if isinstance(old, Section) else "insights"
    items = [new if item is old else item for item in getattr(outline, kind)]
    return outline.model_copy(update={kind: items})


def _updated(item: Item, values: dict[str, Any]) -> Item:
    """Return the item with these values; the same object if it already has them."""
    changed = {name: value for name, value in values.items() if getattr(item, name) != value}
    return item.model_copy(update=changed) if changed else item


def _placed(ids: list[str], item_id: str, change: Change, find: Callable[[str, str], str]) -> list[str]:
    """Return the ids with this one at the position of the change, by default the last."""
    position: Position = change.fields.get("position", Position("last"))
    others = [each for each in ids if each != item_id]
    if position.where == "first":
        return [item_id, *others]
    if position.where == "last":
        return [*others, item_id]
    path = change.at("position")
    anchor = find(position.selector, path)
    if anchor == item_id:
        return ids
    if anchor not in others:
        raise refuse(path, f"{quoted(position.selector)} is in another section or in none.")
    index = others.index(anchor) + (position.where == "after")
    return [*others[:index], item_id, *others[index:]]


_HANDLERS: dict[str, Handler] = {
    "set_title": _set_title,
    "set_status": _set_status,
    "add_tags": _add_tags,
    "remove_tags": _remove_tags,
    "set_metadata": _set_metadata,
    "add_section": _add_section,
    "edit_section": _edit_section,
    "edit_text": _edit_text,
    "append_text": _append_text,
    "move_section": _move_section,
    "remove_section": _remove_section,
    "add_insight": _add_insight,
    "edit_insight": _edit_insight,
    "move_insight": _move_insight,
    "remove_insight": _remove_insight,
    "add_citation": _add_citation,
    "remove_citation": _remove_citation,
}


# --- Finding and replacing text -----------------------------------------------------------


def replaced(
    content: str, find: str, replace: str, *, everywhere: bool, path: str, if_missed: str = ""
) -> str:
    """Return the content with the only occurrence of `find` replaced, or with all of them.

    Args:
        content: The text to search. Occurrences may overlap and count one by one.
        find: A literal text, including its spaces and line breaks.
        replace: The text that takes its place.
        everywhere: Replace all occurrences.
        path: The path of `find` in the call, for messages.
        if_missed: The hint if `find` does not occur, if a better one than the default is known.

    Raises:
        ItemNotFoundError: `find` does not occur; `near` lists similar lines as `{line, text}`.
        InvalidInputError: It occurs several times and `everywhere` is false; see `candidates`.
    """
    plain, sought = _with_lf(content), _with_lf(find)
    first = plain.find(sought)
    if first < 0:
        raise _missed(plain, sought, path, if_missed)
    if not everywhere and plain.find(sought, first + 1) >= 0:
        count = max(2, plain.count(sought))
        raise refuse(
            path,
            f"the section's content contains {quoted(find)} {count} times.",
            hint="Make find longer until it occurs once, or set all to true.",
            candidates=_hits(plain, sought),
        )
    return "".join(_spliced(content, plain, sought, replace))


def _with_lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _spliced(content: str, plain: str, find: str, replace: str) -> Iterator[str]:
    """Yield the pieces of the content with each hit of `find` replaced.

    Args:
        content: The content with its own line ends.
        plain: The content with LF.
        find: A text with LF that occurs in `plain`.
        replace: The text that takes its place.
    """
    pairs = [found.start() - number for number, found in enumerate(_CRLF.finditer(content))]
    usual, done, at = _line_end(content), 0, plain.find(find)
    while at >= 0:
        after = at + len(find)
        start, end = at + bisect_left(pairs, at), after + bisect_left(pairs, after)
        yield content[done:start]
        yield _with_line_ends(replace, chain(_LINE_END.findall(content[start:end]), repeat(usual)))
        done, at = end, plain.find(find, after)
    yield content[done:]


def _line_end(text: str) -> str:
    """Return the most frequent line end of a text; empty if it has none."""
    found = Counter(_LINE_END.findall(text)).most_common(1)
    return found[0][0] if found else ""


def _with_line_ends(text: str, ends: Iterator[str]) -> str:
    """Return the text with these line ends; an empty one keeps that of the text."""
    return _LINE_END.sub(lambda found: next(ends) or found[0], text)


def _hits(content: str, find: str) -> list[dict[str, Any]]:
    """Return the line number and the surrounding words of the first occurrences."""
    found: list[dict[str, Any]] = []
    at = content.find(find)
    while at >= 0 and len(found) < _MOST_HITS:
        around = content[max(0, at - _AROUND_CHARS) : at + len(find) + _AROUND_CHARS]
        found.append({"line": content.count("\n", 0, at) + 1, "text": cut(around)})
        at = content.find(find, at + 1)
    return found


def _missed_everywhere(outline: Outline, find: str, path: str) -> ItemNotFoundError:
    """Return the error for a text that is in no text of the report; `near` names the item of each line."""
    texts = [(label, _with_lf(text)) for label, text in _texts(outline)]
    titles = [outline.title, *(section.title for section in outline.sections)]
    hint = (
        "Only titles contain it; set_title and edit_section change them."
        if any(find in t for t in titles)
        else ""
    )
    error = _missed(_BREAK.join(text for _, text in texts), _with_lf(find), path, hint, "the report's prose")
    ends = list(accumulate(text.count("\n") + _BREAK.count("\n") for _, text in texts))
    for row in error.details["near"]:
        number = min(bisect_right(ends, row["line"] - 1), len(texts) - 1)
        row["item"] = cut(texts[number][0], _LABEL_CHARS)
        row["line"] -= ends[number - 1] if number else 0
    return error


def _missed(
    content: str, find: str, path: str, if_missed: str, holder: str = "the section's content"
) -> ItemNotFoundError:
    """Return the error for a text that does not occur; all with LF."""
    alike = list(_look_alikes(content, find.strip()))
    hint = if_missed or "Copy the text exactly as get_report shows it."
    if alike:
        hint = f"{_difference(alike[0][1], find.strip())} Copy find from near."
    rows = [{"line": line, "text": _shown(exact, find.strip())} for line, exact in alike]
    return ItemNotFoundError(
        f"{path}: {holder} does not contain {quoted(find)}.",
        hint=hint,
        path=path,
        near=rows or _similar_lines(content, find),
    )


def _look_alikes(content: str, find: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the exact text of the first places that look like `find`."""
    seen, origins = _as_seen(content)
    sought = _as_seen(find)[0].strip()
    at = seen.find(sought) if sought else -1
    for _ in range(_MOST_NEAR):
        if at < 0:
            return
        start, last = origins[at], origins[at + len(sought) - 1]
        yield content.count("\n", 0, start) + 1, content[start : last + 1]
        at = seen.find(sought, at + len(sought))


def _as_seen(text: str) -> tuple[str, list[int]]:
    """Return what a reader sees of a text, with white space as one space, and where each character is from.

    Characters that look alike have one form, invisible ones none; capitals do not count.
    """
    forms = {char: _form(char) for char in set(text)}
    seen: list[str] = []
    origins: list[int] = []
    for index, char in enumerate(text):
        form = forms[char]
        if form != " " or not seen or seen[-1] != " ":
            seen += form
            origins += [index] * len(form)
    return "".join(seen), origins


def _form(char: str) -> str:
    if char.isspace():
        return " "
    if unicodedata.category(char) == "Pd":
        return "-"
    if unicodedata.category(char) == "Cf" or "\ufe00" <= char <= "\ufe0f":
        return ""
    return _LOOKS.get(char) or unicodedata.normalize("NFKD", char).casefold()


def _difference(exact: str, find: str) -> str:
    """Return a sentence about the first difference of a text from the one that was sought."""
    at = _common(exact, find)
    if at == len(exact) == len(find):
        return "The white space around find differs."
    return f"The content has {_named(exact[at : at + 1])} where find has {_named(find[at : at + 1])}."


def _common(one: str, other: str) -> int:
    """Return the length of the common beginning of two texts."""
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)


def _named(char: str) -> str:
    return (
        f"U+{ord(char):04X} ({unicodedata.name(char, 'a control character').lower()})" if char else "nothing"
    )


def _shown(exact: str, find: str) -> str:
    """Return a text that looks like the sought one; of a long one only the first difference."""
    if len(exact) <= _EXACT_CHARS:
        return exact
    at = _common(exact, find)
    return exact[max(0, at - _AROUND_CHARS) : at + _AROUND_CHARS]


def _similar_lines(content: str, find: str) -> list[dict[str, Any]]:
    """Return the lines that share most three-letter pieces with the longest line of `find`."""
    sought = max(find.lower().splitlines() or [""], key=len).strip()[:_COMPARED_CHARS]
    if not sought:
        return []
    pieces = [sought[i : i + 3] for i in range(max(1, len(sought) - 2))]
    least = max(1.0, _LIKENESS * len(pieces))
    lines = enumerate(content.splitlines(), start=1)
    scored = ((_shared(line, pieces), -number, line) for number, line in lines)
    best = heapq.nlargest(_MOST_NEAR, (each for each in scored if each[0] >= least))
    return [{"line": -number, "text": cut(line[_start(line, pieces) :])} for _, number, line in best]


def _shared(line: str, pieces: list[str]) -> int:
    folded = line.lower()
    return sum(piece in folded for piece in pieces)


def _start(line: str, pieces: list[str]) -> int:
    """Return the index in a line at which most of the shared pieces begin."""
    folded = line.lower()
    votes = Counter(at - i for i, piece in enumerate(pieces) if (at := folded.find(piece)) >= 0)
    return max(0, votes.most_common(1)[0][0] - _AROUND_CHARS // 3)


# --- Appending text -----------------------------------------------------------------------


def appended(content: str, text: str, *, is_markdown: bool = True) -> str:
    """Append `text` in the line ends of the content.

    In Markdown, a row continues the table that ends the content, and a list item a list of the same marker,
    on any level and also inside a quotation. Any other text becomes a paragraph of its own, after exactly one
    blank line; so does an item if blank lines separate the items of the list already.
    """
    if not content.strip():
        return text
    end = _line_end(content)
    more = _with_line_ends(text.lstrip("\r\n"), repeat(end))
    end = end or _line_end(more) or "\n"
    if is_markdown and _continues(content, more):
        return content.rstrip() + end + more
    return content.rstrip("\r\n") + end + end + more


@dataclass(frozen=True)
class _Item:
    """The beginning of a list item: the columns of its marker and of its text, and the kind of its list."""

    indent: int
    column: int
    kind: str
    can_follow_prose: bool


def _continues(content: str, text: str) -> bool:
    """Return whether a text goes on with the table or the list that ends a content."""
    head = _with_lf(text).split("\n", 2)
    (depth, first), second = _unquoted(head[0]), _unquoted(head[1])[1] if len(head) > 1 else ""
    lines = [_unquoted(line) for line in reversed(_with_lf(content).rstrip().split("\n"))]
    size = next((at for at, (_, line) in enumerate(lines) if _is_empty(line)), len(lines))
    block = [line for _, line in reversed(lines[:size])]
    if any(each != depth or line.startswith(_RAW) for each, line in lines[:size]):
        return False
    if first.lstrip().startswith("|"):
        return _ends_in_table(block, _indent(first)) and not _is_delimiter(second)
    if not _joins(block, first):
        return False
    above = (line for _, line in takewhile(lambda each: each[0] == depth, lines[size:]))
    earlier = list(takewhile(str.strip, dropwhile(_is_empty, above)))[::-1]
    return not _joins(earlier, block[0])


def _unquoted(line: str) -> tuple[int, str]:
    """Return how many quotations a line is in, and the line without their marks, with spaces for tabs."""
    marks = _QUOTE.match(line)
    assert marks is not None
    return marks[0].count(">"), line[marks.end() :].expandtabs(4)


def _is_empty(line: str) -> bool:
    return not line.strip()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _ends_in_table(block: list[str], indent: int) -> bool:
    """Return whether a block ends in the rows of a table with this indent, its header included."""
    rows = list(takewhile(lambda row: row[indent : indent + 1] == "|" == row.strip()[0], reversed(block)))
    around = _open_items(block[: len(block) - len(rows)])
    return any(map(_is_delimiter, rows[:-1])) and all(item.column <= indent for item in around)


def _is_delimiter(row: str) -> bool:
    return "-" in row and "|" in row and set(row) <= set("|-: ")


def _joins(block: list[str], line: str) -> bool:
    """Return whether a line is an item of a list that is open at the end of a block, or inside its end."""
    item, items = _item(line), _open_items(block)
    if item is None or not items:
        return False
    around = _around(items, item)
    is_beside = len(around) == len(items) or items[len(around)].kind == item.kind
    return is_beside and _is_shallow(item, around)


def _open_items(block: list[str]) -> list[_Item]:
    """Return the items that are open at the end of a block, the outermost first."""
    items: list[_Item] = []
    for number, line in enumerate(block):
        item = _item(line)
        around = _around(items, item) if item else []
        if item and _is_shallow(item, around) and (items or number == 0 or item.can_follow_prose):
            items = [*around, item]
        elif line[0] != " " and not line[0].isalnum():
            items = []
    return items


def _around(items: list[_Item], item: _Item) -> list[_Item]:
    """Return those of the open items that an item is inside of."""
    return list(takewhile(lambda each: each.column <= item.indent, items))


def _is_shallow(item: _Item, around: list[_Item]) -> bool:
    """Return whether the indent of an item leaves it an item: four columns more make it code or prose."""
    return item.indent < (around[-1].column if around else 0) + 4


def _item(line: str) -> _Item | None:
    """Return the list item that a line begins."""
    found = _ITEM.match(line)
    bare = line.replace(" ", "")
    if found is None or (len(bare) > 2 and bare[0] in "-*" and not bare.strip(bare[0])):  # a rule
        return None
    indent, marker, gap = found.start(1), found[1], len(found[2])
    column = found.end(1) + (gap if 0 < gap < 5 and found.end() < len(line) else 1)
    can_follow_prose = found.end() < len(line) and marker[:-1] in ("", "1")
    return _Item(indent, column, marker[-1], can_follow_prose)


# --- After the last change ----------------------------------------------------------------


def _settle(start: Outline, end: Outline, now: str) -> Outline:
    """Return the final outline with its timestamps; `start` itself if nothing differs."""
    sections = _stamped(start.sections, end.sections, now, attrgetter(ID_FIELDS["sections"]))
    insights = _stamped(start.insights, end.insights, now, attrgetter(ID_FIELDS["insights"]))
    same = sections is start.sections and insights is start.insights and end.title == start.title
    if same and (end.metadata is start.metadata or _same_json(end.metadata, start.metadata)):
        return start
    result = end.model_copy(update={"sections": sections, "insights": insights})
    return result if sections is start.sections else normalised(result)


def _stamped(before: list[Item], after: list[Item], now: str, id_of: Callable[[Item], str]) -> list[Item]:
    """Return the items, with the old object for each equal one; `before` if all are equal."""
    if after is before:
        return before
    pairs = list(zip_longest(before, after))
    olds = {id_of(old): old for old, new in pairs if old is not new and old is not None}
    items = [
        new if new is old else _settled_item(olds.get(id_of(new)), new, now)
        for old, new in pairs
        if new is not None
    ]
    return before if len(items) == len(before) and all(map(is_, items, before)) else items


def _settled_item(old: Item | None, item: Item, now: str) -> Item:
    """Return the old item if it is equal, else the new one with its `updated_at`."""
    if old is not None and (item is old or item == old):
        return old
    return item.model_copy(update={"updated_at": now})


def all_created(outcome: Outcome) -> Created:
    """Return all items of a new outline in the form of `Outcome.created`."""
    outline = outcome.outline
    stated = {row["insight_id"]: row for row in outcome.created.get("insights", ())}
    sections = {section.section_id: "" for section in outline.sections}
    insights = {insight.insight_id: "" for insight in outline.insights}
    return _created(outline, sections, insights, stated)


def _created(
    outline: Outline,
    sections: Mapping[str, str],
    insights: Mapping[str, str],
    days: Mapping[str, Mapping[str, str]],
) -> Created:
    """Return the new items that the outline contains, in its order, without empty kinds."""
    new_sections = [
        {"section_id": section.section_id, "title": section.title}
        for section in outline.sections
        if section.section_id in sections
    ]
    new_insights = [
        {"insight_id": insight_id, "section_id": section.section_id} | dict(days.get(insight_id, {}))
        for section in outline.sections
        for insight_id in section.insight_ids
        if insight_id in insights
    ]
    created = {"sections": new_sections, "insights": new_insights}
    return {kind: rows for kind, rows in created.items() if rows}


def _action_type(ops: set[str]) -> ActionType:
    if ops == {"set_title"}:
        return "rename"
    if ops == {"set_status"}:
        return "status_change"
    return "tag_update" if ops and ops <= {"add_tags", "remove_tags"} else "evolve"


def _is_empty_edit(change: Change) -> bool:
    spec = OPS[change.op]
    return bool(spec.clearable) and not change.clear and change.fields.keys() == set(spec.required)


def _empty_edit_warning(change: Change) -> str:
    fields = ", ".join(OPS[change.op].clearable)
    return f"{change.path} has no field to change; to empty a field, name it in clear ({fields})."
