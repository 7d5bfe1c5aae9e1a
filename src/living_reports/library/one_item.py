"""One section with its insights, or one insight, as another outline has it. Pure.

Rules:

- An item is put back whole: its fields, and its place behind the nearest item before it that
  is still there. What is not part of it stays the same object.
- An insight goes back to the section it was in. A section brings its insights with it, from
  wherever they are now; insights that came into it since go back to where they were, and are
  taken out if they were nowhere.

    >>> place = find_item("Risks", (current, earlier))
    >>> with_item(current, earlier, place)   # the current outline, its risks as they were
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from living_reports.errors import InvalidInputError, ItemNotFoundError
from living_reports.model.report import Insight, Outline, Section, normalised
from living_reports.model.selectors import find_insight, find_section, quoted

Noun = Literal["section", "insight"]

_FINDERS: Mapping[Noun, Callable[[Outline, str], str]] = {
    "section": lambda outline, name: find_section(outline, name, "item").section_id,
    "insight": lambda outline, name: find_insight(outline, name, "item").insight_id,
}


@dataclass(frozen=True)
class Place:
    """A section or an insight, by its whole id."""

    noun: Noun
    item_id: str

    def is_in(self, outline: Outline) -> bool:
        """True if the outline has it."""
        return self.item_id in (_sections(outline) if self.noun == "section" else _insights(outline))


def find_item(selector: str, outlines: Sequence[Outline]) -> Place:
    """The item that a selector names in the first of the outlines that has one.

    Raises:
        ItemNotFoundError: None of them has; `near` lists similar ones of the first.
        AmbiguousSelectorError: Several answer to it.
    """
    near: list[dict[str, str]] = []
    for outline in outlines:
        missed: list[dict[str, str]] = []
        for noun, name in _meant(selector):
            try:
                return Place(noun, _FINDERS[noun](outline, name))
            except ItemNotFoundError as error:
                missed += error.details["near"]
        near = near or missed
    raise ItemNotFoundError(
        f"item: no section or insight answers to {quoted(selector)}, now or then.",
        hint="Name it whole, by its id, the beginning of its id, or a section's exact title.",
        path="item",
        near=near,
    )


def _meant(selector: str) -> Iterator[tuple[Noun, str]]:
    """What a selector may name: also the item of an address, such as `insights/5f9dabcd`."""
    yield "section", selector
    kind, _, name = selector.partition("/")
    if not name or kind not in ("sections", "insights"):
        yield "insight", selector
    elif kind == "sections":
        yield "section", name
    else:
        yield "insight", name


def with_item(outline: Outline, source: Outline, place: Place) -> Outline:
    """The outline with one item as `source` has it, which may be: not at all.

    Raises:
        InvalidInputError: The section that the insight was in is gone.
    """
    if place.noun == "section":
        return _with_section(outline, source, place.item_id)
    return _with_insight(outline, source, place.item_id)


def _with_insight(outline: Outline, source: Outline, insight_id: str) -> Outline:
    members = {section.section_id: list(section.insight_ids) for section in outline.sections}
    now, then = _home(outline, insight_id), _home(source, insight_id)
    if then is not None and then not in members and insight_id in _insights(source):
        if insight_id not in _insights(outline):
            raise InvalidInputError(
                "The section that this insight was in is gone.",
                hint=f"Bring the section back, with item={then}; its insights come with it.",
                path="item",
            )
        then = now
    if now is not None and now != then:
        members[now].remove(insight_id)
    if then is not None and then == _home(source, insight_id):
        members[then] = _placed(members[then], _sections(source)[then].insight_ids, insight_id)
    return _built(outline, source, [insight_id], outline.sections, members)


def _with_section(outline: Outline, source: Outline, section_id: str) -> Outline:
    here, there = _sections(outline), _sections(source)
    ids_now = here[section_id].insight_ids if section_id in here else []
    ids_then = there[section_id].insight_ids if section_id in there else []
    affected = list(dict.fromkeys((*ids_then, *ids_now)))
    sections = dict(here)
    if section_id in there:
        sections[section_id] = there[section_id]
    else:
        sections.pop(section_id, None)
    order = [key for key in here if key in sections]
    if section_id in sections:
        order = _placed(order, list(there), section_id)
    members = {
        key: [i for i in section.insight_ids if i not in affected] for key, section in sections.items()
    }
    if section_id in sections:
        members[section_id] = list(ids_then)
    for insight_id in ids_now:
        home = _home(source, insight_id)
        if insight_id not in _insights(source) or home == section_id:
            continue
        if home in members:
            members[home] = _placed(members[home], there[home].insight_ids, insight_id)
        elif section_id in members:
            members[section_id].append(insight_id)
    return _built(outline, source, affected, [sections[key] for key in order], members)


def _built(
    outline: Outline,
    source: Outline,
    insight_ids: Sequence[str],
    sections: Sequence[Section],
    members: dict[str, list[str]],
) -> Outline:
    """The outline with these sections, and these insights as the source has them."""
    then = _insights(source)
    insights: dict[str, Insight] = dict(_insights(outline))
    order = list(insights)
    for insight_id in insight_ids:
        if insight_id in then:
            insights[insight_id] = then[insight_id]
            order = order if insight_id in order else _placed(order, list(then), insight_id)
        elif insight_id in insights:
            del insights[insight_id]
            order.remove(insight_id)
    filled = [
        section
        if section.insight_ids == members[section.section_id]
        else section.model_copy(update={"insight_ids": members[section.section_id]})
        for section in sections
    ]
    items = {"sections": filled, "insights": [insights[key] for key in order]}
    return normalised(outline.model_copy(update=items))


def _placed(ids: Sequence[str], then: Sequence[str], item_id: str) -> list[str]:
    """The ids with this one where it was then: behind the nearest before it that is still there."""
    others = [one for one in ids if one != item_id]
    index = then.index(item_id)
    before = [one for one in then[:index] if one in others]
    if item_id in ids:
        ahead = ids[: ids.index(item_id)]
        if {one for one in ahead if one in then} == set(before):
            return list(ids)
    place = others.index(before[-1]) + 1 if before else 0
    return [*others[:place], item_id, *others[place:]]


def _home(outline: Outline, insight_id: str) -> str | None:
    return next((s.section_id for s in outline.sections if insight_id in s.insight_ids), None)


def _sections(outline: Outline) -> dict[str, Section]:
    return {section.section_id: section for section in outline.sections}


def _insights(outline: Outline) -> dict[str, Insight]:
    return {insight.insight_id: insight for insight in outline.insights}
