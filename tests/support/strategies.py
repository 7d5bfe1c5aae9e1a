"""Hypothesis strategies: outlines as they are saved, and plausible edits of them.

`outlines()` gives normalised outlines with awkward content: empty texts, any Unicode, keys
with "/" and "~", insights in no section, nested metadata, top-level keys of other writers.
`edited(outline)` gives what somebody made of it with a few changes; as everywhere in the
package, what the edit left alone is the same object in both. Neither touches `updated_at` or
`outline_version`, which a commit sets.

    @given(st.data(), outlines())
    def test_something(data, outline):
        changed = data.draw(edited(outline))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from living_reports.model.report import Outline, normalised, outline_data

Data = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

IDS = st.uuids(version=4).map(str)
TIMES = st.sampled_from([f"2026-11-{day:02}T10:00:00.{day:06}+00:00" for day in range(1, 29)])
TITLES = st.text(min_size=1, max_size=12) | st.sampled_from(["Health", "Risks", "Überblick", "風險"])
KEYS = st.sampled_from(["", "/", "~", "a/b", "~1", "as_of", "tags", "status", "metadata"]) | st.text(
    max_size=4
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | TITLES
)
VALUES = st.recursive(
    SCALARS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(KEYS, values, max_size=3),
    max_leaves=5,
)
METADATA = st.dictionaries(KEYS, VALUES, max_size=3)
TAGS = st.lists(st.sampled_from(["ops", "q4", "draft", "ünïcode"]) | st.text(max_size=3), max_size=5)

LINES = st.sampled_from(
    ["", "| a | b | c |", "| --- | --- | --- |", "| a | x | c |", "The build takes 14 minutes.", "😀 naïve"]
) | st.text(max_size=8)
PROSE = st.lists(LINES, max_size=12).map("\n".join)
SUMMARIES = PROSE.filter(bool) | TITLES

CITATIONS = st.fixed_dictionaries(
    {"source": st.sampled_from(["query", "api", "url", "observation", "document"])},
    optional={
        "execution_id": st.sampled_from(["e1", "e2", ""]),
        "url": st.sampled_from(["https://example.org/a", "https://example.org/b"]),
        "title": TITLES,
        "accessed_at": TIMES,
    },
)
SECTION_CITATIONS = st.lists(CITATIONS | VALUES, max_size=3) | VALUES
"""What may stand at the place of a section's citations: other programs may store anything there."""
QUERIES = st.fixed_dictionaries({}, optional={"execution_id": st.just("e1"), "schema": TITLES})

KEYS_OF_OTHERS = st.sampled_from(["x_owner", "", "/", "~", "a/b", "tags", "content"])


def sections() -> st.SearchStrategy[Data]:
    """Return a section as JSON, without insights."""
    return st.fixed_dictionaries(
        {"section_id": IDS, "title": TITLES},
        optional={
            "content": PROSE,
            "notes": PROSE,
            "content_format": st.sampled_from(["markdown", "html", "plain"]),
            "created_at": TIMES,
            "updated_at": TIMES,
            "metadata": METADATA | st.fixed_dictionaries({"citations": SECTION_CITATIONS}),
        },
    )


def insights() -> st.SearchStrategy[Data]:
    """Return an insight as JSON."""
    return st.fixed_dictionaries(
        {"insight_id": IDS, "importance": st.integers(0, 10), "summary": SUMMARIES},
        optional={
            "status": st.sampled_from(["active", "archived", "killed"]),
            "citations": st.lists(CITATIONS, max_size=3),
            "supporting_queries": st.lists(QUERIES, max_size=2),
            "created_at": TIMES,
            "updated_at": TIMES,
            "draft_changes": METADATA,
            "metadata": METADATA,
        },
    )


@st.composite
def outlines(draw: Draw, max_items: int = 3) -> Outline:
    """Return a normalised outline with up to `max_items` sections and as many insights."""
    data = {
        "report_id": draw(IDS),
        "title": draw(TITLES),
        "created_at": draw(TIMES),
        "updated_at": draw(TIMES),
        "outline_version": draw(st.integers(1, 400)),
        "sections": draw(st.lists(sections(), max_size=max_items, unique_by=lambda s: s["section_id"])),
        "insights": draw(st.lists(insights(), max_size=max_items, unique_by=lambda i: i["insight_id"])),
        "metadata": draw(METADATA),
    } | draw(st.dictionaries(KEYS_OF_OTHERS, VALUES, max_size=2))
    for insight in data["insights"]:
        _place(draw, data, insight["insight_id"])
    return normalised(Outline.model_validate(data))


@st.composite
def edited_outlines(draw: Draw, outline: Outline, max_edits: int = 4) -> Outline:
    """Return the outline after up to `max_edits` edits, each of which may also change nothing."""
    data = outline_data(outline)
    for edit in draw(st.lists(st.sampled_from(EDITS), min_size=1, max_size=max_edits)):
        edit(draw, data)
    return _sharing(outline, normalised(Outline.model_validate(data)))


def _sharing(before: Outline, after: Outline) -> Outline:
    """Return the later outline, with the items that stayed the same taken from the earlier one."""
    known = {item.model_dump_json(): item for item in (*before.sections, *before.insights)}
    return after.model_copy(
        update={
            "sections": [known.get(item.model_dump_json(), item) for item in after.sections],
            "insights": [known.get(item.model_dump_json(), item) for item in after.insights],
        }
    )


# --- Edits: each changes the JSON of an outline in place ----------------------------------


def _place(draw: Draw, data: Data, insight_id: str) -> None:
    """Put an insight into a random section, or into none."""
    if data["sections"] and draw(st.integers(0, 4)):
        ids = draw(st.sampled_from(data["sections"])).setdefault("insight_ids", [])
        ids.insert(draw(st.integers(0, len(ids))), insight_id)


def _take_out(data: Data, insight_id: str) -> None:
    for section in data["sections"]:
        section["insight_ids"] = [i for i in section.get("insight_ids", []) if i != insight_id]


def _set_or_remove(draw: Draw, holder: Data, key: str, values: st.SearchStrategy[Any]) -> None:
    if key in holder and draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = draw(values)


def set_title(draw: Draw, data: Data) -> None:
    data["title"] = draw(TITLES)


def set_tags(draw: Draw, data: Data) -> None:
    _set_or_remove(draw, data["metadata"], "tags", TAGS)


def set_metadata(draw: Draw, data: Data) -> None:
    holder = draw(st.sampled_from([data, *data["sections"], *data["insights"]]))
    _set_or_remove(draw, holder["metadata"] if "metadata" in holder else data["metadata"], draw(KEYS), VALUES)


def set_key_of_others(draw: Draw, data: Data) -> None:
    _set_or_remove(draw, data, draw(KEYS_OF_OTHERS), VALUES)


def add_section(draw: Draw, data: Data) -> None:
    data["sections"].insert(draw(st.integers(0, len(data["sections"]))), draw(sections()))


def edit_prose(draw: Draw, data: Data) -> None:
    if data["sections"]:
        section = draw(st.sampled_from(data["sections"]))
        field = draw(st.sampled_from(["content", "notes"]))
        lines = section.get(field, "").split("\n")
        start, stop = sorted(draw(st.tuples(*[st.integers(0, len(lines))] * 2)))
        lines[start:stop] = draw(st.lists(LINES, max_size=3))
        _set_or_remove(draw, section, field, st.just("\n".join(lines)))


def edit_section(draw: Draw, data: Data) -> None:
    if data["sections"]:
        section = draw(st.sampled_from(data["sections"]))
        section.update(draw(sections()), section_id=section["section_id"])


def move_section(draw: Draw, data: Data) -> None:
    data["sections"] = draw(st.permutations(data["sections"]))


def remove_section(draw: Draw, data: Data) -> None:
    if data["sections"]:
        section = data["sections"].pop(draw(st.integers(0, len(data["sections"]) - 1)))
        if draw(st.booleans()):
            gone = set(section.get("insight_ids", []))
            data["insights"] = [i for i in data["insights"] if i["insight_id"] not in gone]


def add_insight(draw: Draw, data: Data) -> None:
    insight = draw(insights())
    data["insights"].append(insight)
    _place(draw, data, insight["insight_id"])


def edit_insight(draw: Draw, data: Data) -> None:
    if data["insights"]:
        insight = draw(st.sampled_from(data["insights"]))
        insight.update(draw(insights()), insight_id=insight["insight_id"])


def edit_citations(draw: Draw, data: Data) -> None:
    if data["sections"]:
        metadata = draw(st.sampled_from(data["sections"])).setdefault("metadata", {})
        if isinstance(cited := metadata.get("citations", []), list):
            metadata["citations"] = [*cited[1:], *draw(st.lists(CITATIONS, max_size=2))]
    if data["insights"]:
        insight = draw(st.sampled_from(data["insights"]))
        insight["citations"] = [*insight.get("citations", [])[1:], *draw(st.lists(CITATIONS, max_size=2))]


def move_insight(draw: Draw, data: Data) -> None:
    if data["insights"]:
        insight_id = draw(st.sampled_from(data["insights"]))["insight_id"]
        _take_out(data, insight_id)
        _place(draw, data, insight_id)


def reorder_insights(draw: Draw, data: Data) -> None:
    data["insights"] = draw(st.permutations(data["insights"]))


def remove_insight(draw: Draw, data: Data) -> None:
    if data["insights"]:
        insight = data["insights"].pop(draw(st.integers(0, len(data["insights"]) - 1)))
        _take_out(data, insight["insight_id"])


EDITS = [
    set_title,
    set_tags,
    set_metadata,
    set_key_of_others,
    add_section,
    edit_prose,
    edit_section,
    move_section,
    remove_section,
    add_insight,
    edit_insight,
    edit_citations,
    move_insight,
    reorder_insights,
    remove_insight,
]
