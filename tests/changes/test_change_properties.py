"""Any valid call on any outline: the result is normalised, readable, and independent of grouping."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from living_reports.changes.parse import OPS
from living_reports.errors import AmbiguousSelectorError, InvalidInputError, ItemNotFoundError, ReportError
from living_reports.model.report import Outline, normalised, outline_bytes, parse_outline
from support.small_outline import Fields, apply, counting_ids
from support.strategies import outlines

WORDS = st.sampled_from(["", "a", "two words", "😀 naïve", "one\n\ntwo\n", "0", "  x"])
LABELS = st.sampled_from(["A", "Überblick", "風險", "a b"])
DAYS = st.sampled_from(["2026-02-28", "+7d", "+1m", "2026-02-28T10:00:00+02:00", ""])
CITED = st.fixed_dictionaries(
    {"title": LABELS}, optional={"url": WORDS, "path": WORDS, "execution_id": WORDS, "accessed_at": DAYS}
)
NEW_INSIGHT = {
    "importance": st.integers(0, 10) | st.integers(0, 10).map(str),
    "status": st.sampled_from(["active", "archived", "killed", ""]),
    "citations": st.lists(CITED, max_size=2),
    "as_of": DAYS,
    "review_by": DAYS,
}
PROSE = {
    "content": WORDS,
    "notes": WORDS,
    "content_format": st.sampled_from(["html", "plain", ""]),
    "citations": st.lists(CITED, max_size=2),
}
ENDS = st.sampled_from(["first", "last"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | LABELS,
    lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(LABELS, inner, max_size=2),
    max_leaves=4,
)


def fields(op: str, required: Fields, optional: Fields | None = None) -> st.SearchStrategy[Fields]:
    return st.fixed_dictionaries({"op": st.just(op), **required}, optional=optional or {})


def plausible(outline: Outline) -> st.SearchStrategy[Fields]:
    """Draw changes that are valid alone; an earlier one may have removed the item of a later one."""
    new = st.fixed_dictionaries({"summary": LABELS}, optional=NEW_INSIGHT)
    ops = [
        fields("set_title", {"title": LABELS}),
        fields("set_status", {"status": st.sampled_from(["active", "archived", "deleted"])}),
        fields("add_tags", {"tags": st.lists(LABELS, min_size=1)}),
        fields("remove_tags", {"tags": st.lists(LABELS, min_size=1)}),
        fields("set_metadata", {"key": LABELS, "value": JSON}),
        fields(
            "add_section",
            {"title": LABELS},
            {**PROSE, "insights": st.lists(new, max_size=2), "position": ENDS},
        ),
    ]
    if outline.sections:
        ids = st.sampled_from([s.section_id for s in outline.sections])
        spot = ENDS | ids.map("before:{}".format) | ids.map("after:{}".format)
        one = {"section": ids}
        ops += [
            fields("edit_section", one, {**PROSE, "title": LABELS}),
            fields("edit_section", one, {"clear": st.lists(st.sampled_from(OPS["edit_section"].clearable))}),
            fields("add_citation", {**one, "citation": CITED}),
            fields("remove_citation", {**one, "citation": CITED}),
            fields("edit_text", {**one, "find": LABELS, "replace": WORDS, "all": st.booleans()}),
            fields("append_text", {**one, "text": LABELS}),
            fields("move_section", {**one, "position": spot}),
            fields("remove_section", one, {"insights_to": ids}),
            fields("add_insight", {**one, "summary": LABELS}, {**NEW_INSIGHT, "position": ENDS}),
        ]
    if outline.insights:
        ids = st.sampled_from([i.insight_id for i in outline.insights])
        spot = ENDS | ids.map("before:{}".format) | ids.map("after:{}".format)
        one = {"insight": ids}
        homes = [s.section_id for s in outline.sections]
        clear = st.lists(st.sampled_from(["as_of", "review_by", "citations"]))
        ops += [
            fields("edit_insight", one, {"summary": LABELS, **NEW_INSIGHT}),
            fields("edit_insight", one, {"clear": clear}),
            fields("move_insight", {**one, "position": spot}, {"section": st.sampled_from([*homes, ""])}),
            fields("remove_insight", one),
            fields("add_citation", {**one, "citation": CITED}),
            fields("remove_citation", {**one, "citation": CITED}),
        ]
    return st.one_of(ops)


@given(st.data(), outlines())
def test_any_valid_call_gives_a_normalised_outline_that_reads_back(
    data: st.DataObject, outline: Outline
) -> None:
    before, ids = outline_bytes(outline), counting_ids()
    for raw in data.draw(st.lists(plausible(outline), min_size=1, max_size=6)):
        try:
            after = apply(raw, outline=outline, ids=ids)
        except (ItemNotFoundError, InvalidInputError, AmbiguousSelectorError):
            assert outline_bytes(outline) == before
            continue
        written = outline_bytes(after.outline)
        assert normalised(after.outline) is after.outline
        assert parse_outline(written) == after.outline
        assert outline_bytes(parse_outline(written)) == written
        assert (after.applied == 0) == (after.outline is outline) == (written == before)
        outline, before = after.outline, written


@given(st.data(), outlines())
def test_one_call_equals_its_changes_one_by_one(data: st.DataObject, outline: Outline) -> None:
    done: list[Fields] = []
    outcome = None
    for raw in data.draw(st.lists(plausible(outline), min_size=1, max_size=6)):
        try:
            outcome = apply(*done, raw, outline=outline)
        except ReportError:
            continue
        done.append(raw)
    if outcome is None:
        return
    ids, step = counting_ids(), outline
    for raw in done:
        step = apply(raw, outline=step, ids=ids).outline
    assert untimed(step) == untimed(outcome.outline)


def untimed(outline: Outline) -> Outline:
    """Return the outline without item times, which depend on the grouping of the changes."""
    items = {
        name: [item.model_copy(update={"updated_at": ""}) for item in getattr(outline, name)]
        for name in ("sections", "insights")
    }
    return outline.model_copy(update=items)
