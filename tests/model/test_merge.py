"""Three-way merges: one outline with the changes of both sides, or precise conflicts."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from living_reports.model.delta import diff, item_of, parts
from living_reports.model.merge import Conflict, Merged, keeps_both, three_way
from living_reports.model.merge_values import Clash, merged_lines, merged_order, merged_set
from living_reports.model.report import (
    Citation,
    Insight,
    Outline,
    Section,
    normalised,
    outline_bytes,
    parse_outline,
)
from support.strategies import edited_outlines, outlines

A, B, C, D, E = (f"{n}0000000-0000-4000-8000-000000000000" for n in "abcde")
X, Y, Z = (f"{n}0000000-0000-4000-8000-000000000000" for n in "123")
DAY_1, DAY_2, DAY_3 = (f"2026-11-0{n}T10:00:00+00:00" for n in "123")
PROSE = "Builds take 14 minutes.\n\nCaches are cold.\n\nNobody minds."


def a_report(**fields: Any) -> Outline:
    data = {
        "report_id": C,
        "title": "Health",
        "created_at": DAY_1,
        "updated_at": DAY_1,
        "sections": [
            {"section_id": A, "title": "Builds", "content": PROSE, "insight_ids": [X, Y]},
            {"section_id": B, "title": "Costs"},
            {"section_id": D, "title": "Risks"},
            {"section_id": E, "title": "Next"},
        ],
        "insights": [
            {"insight_id": X, "importance": 6, "summary": "Builds are slow"},
            {"insight_id": Y, "importance": 3, "summary": "Caches are cold"},
        ],
        "metadata": {"tags": ["ops", "q3"], "status": "active"},
    }
    return normalised(Outline.model_validate(data | fields))


BASE = a_report()


def section(section_id: str, outline: Outline = BASE, **fields: Any) -> Outline:
    sections = [s.model_copy(update=fields) if s.section_id == section_id else s for s in outline.sections]
    return normalised(outline.model_copy(update={"sections": sections}))


def insight(insight_id: str, outline: Outline = BASE, **fields: Any) -> Outline:
    insights = [i.model_copy(update=fields) if i.insight_id == insight_id else i for i in outline.insights]
    return outline.model_copy(update={"insights": insights})


def report(outline: Outline = BASE, **fields: Any) -> Outline:
    return outline.model_copy(update=fields)


def tagged(*tags: str) -> Outline:
    return report(metadata=BASE.metadata | {"tags": list(tags)})


def ordered(*section_ids: str, outline: Outline = BASE) -> Outline:
    return normalised(report(outline, sections=[outline.get_section(i) for i in section_ids]))


def with_section(section_id: str, outline: Outline = BASE, **fields: Any) -> Outline:
    new = Section(section_id=section_id, title="New", created_at=DAY_2, updated_at=DAY_2, **fields)
    return normalised(report(outline, sections=[*outline.sections, new]))


def with_insight(insight_id: str, section_id: str, outline: Outline = BASE) -> Outline:
    new = Insight(insight_id=insight_id, importance=5, summary="New", created_at=DAY_2, updated_at=DAY_2)
    outline = report(outline, insights=[*outline.insights, new])
    return section(
        section_id, outline, insight_ids=[*outline.get_section(section_id).insight_ids, insight_id]
    )


def moved(insight_id: str, section_id: str, outline: Outline = BASE) -> Outline:
    sections = [
        s.model_copy(update={"insight_ids": [i for i in s.insight_ids if i != insight_id]})
        for s in outline.sections
    ]
    outline = report(outline, sections=sections)
    return section(
        section_id, outline, insight_ids=[*outline.get_section(section_id).insight_ids, insight_id]
    )


def without_section(section_id: str, outline: Outline = BASE) -> Outline:
    gone = outline.get_section(section_id)
    sections = [s for s in outline.sections if s is not gone]
    insights = [i for i in outline.insights if i.insight_id not in gone.insight_ids]
    return normalised(report(outline, sections=sections, insights=insights))


def without_insight(insight_id: str, outline: Outline = BASE) -> Outline:
    sections = [
        s.model_copy(update={"insight_ids": [i for i in s.insight_ids if i != insight_id]})
        for s in outline.sections
    ]
    insights = [i for i in outline.insights if i.insight_id != insight_id]
    return report(outline, sections=sections, insights=insights)


def clean(ours: Outline, theirs: Outline, base: Outline = BASE) -> Outline:
    merged = three_way(base, ours, theirs)
    assert merged.conflicts == []
    return merged.outline


def the_conflict(ours: Outline, theirs: Outline, base: Outline = BASE) -> Conflict:
    (conflict,) = three_way(base, ours, theirs).conflicts
    return conflict


def swapped(conflict: Conflict) -> Conflict:
    return replace(conflict, ours=conflict.theirs, theirs=conflict.ours)


def ids(outline: Outline) -> set[str]:
    return {s.section_id for s in outline.sections} | {i.insight_id for i in outline.insights}


def fresh(outline: Outline) -> Outline:
    """Return a deep copy of the outline."""
    return parse_outline(outline_bytes(outline))


# --- Values ------------------------------------------------------------------------------


def test_both_sides_changes_to_different_fields_are_kept() -> None:
    ours = insight(X, importance=9)
    theirs = insight(X, insight(Y, status="killed"), summary="Builds were slow")
    merged = clean(report(ours, title="Ours"), theirs)
    assert merged.title == "Ours"
    assert (merged.get_insight(X).importance, merged.get_insight(X).summary) == (9, "Builds were slow")
    assert merged.get_insight(Y).status == "killed"


def test_the_same_change_on_both_sides_is_made_once() -> None:
    ours = insight(X, section(A, content="Short."), importance=9)
    assert clean(ours, fresh(ours)) == ours


def test_one_value_changed_differently_is_a_conflict_in_which_ours_is_used() -> None:
    merged = three_way(BASE, insight(X, importance=9), insight(X, importance=1))
    assert merged.conflicts == [Conflict(f"insights/{X}/importance", 6, 9, 1)]
    assert merged.outline.get_insight(X).importance == 9


def test_metadata_merges_by_key() -> None:
    ours = insight(X, metadata={"as_of": DAY_1, "review_by": DAY_2})
    theirs = insight(X, metadata={"review_by": DAY_3, "": {"a": None}})
    conflict = the_conflict(ours, theirs)
    assert (conflict.at, conflict.base) == (f"insights/{X}/metadata/review_by", None)
    merged = clean(ours, insight(X, metadata={"": {"a": None}}))
    assert merged.get_insight(X).metadata == {"as_of": DAY_1, "review_by": DAY_2, "": {"a": None}}


def test_a_key_set_to_null_and_removed_is_removed() -> None:
    assert clean(report(metadata=BASE.metadata | {"status": None}), report(metadata={})).metadata == {}


def test_an_edit_and_a_change_of_status_go_together() -> None:
    merged = clean(report(metadata=BASE.metadata | {"status": "archived"}), section(A, content="New."))
    assert (merged.status, merged.get_section(A).content) == ("archived", "New.")


def test_keys_of_another_writer_merge_by_key() -> None:
    base = a_report(x_owner="Ann", x_team="ops")
    ours, theirs = a_report(x_owner="Bo", x_team="ops"), a_report(x_owner="Ann", x_new=[1])
    assert clean(ours, theirs, base) == a_report(x_owner="Bo", x_new=[1])
    assert the_conflict(ours, a_report(x_owner=1, x_team="ops"), base) == Conflict("x_owner", "Ann", "Bo", 1)


def test_tags_merge_as_a_set() -> None:
    assert clean(tagged("ops", "q4"), tagged("draft", "ops", "q3")).tags == ["draft", "ops", "q4"]
    assert clean(tagged("q3"), report(metadata={"status": "active"})).metadata == {"status": "active"}


def test_citations_of_a_section_merge_as_a_set() -> None:
    first, one, other = (Citation(source="url", url=f"https://example.org/{n}") for n in range(3))
    base = section(A, metadata={"owner": "ann"})
    cited = section(A, base, metadata=base.get_section(A).with_citations([first]).metadata)
    for start, left in ((base, []), (cited, [first])):
        ours, theirs = (
            section(A, start, metadata=start.get_section(A).with_citations([*left, each]).metadata)
            for each in (one, other)
        )
        merged = three_way(start, ours, theirs)
        assert merged.conflicts == []
        assert merged.outline.get_section(A).citations == [*left, one, other]
        assert merged.outline.get_section(A).metadata["owner"] == "ann"
    gone = section(A, cited, metadata={"owner": "ann"})
    added = section(A, cited, metadata=cited.get_section(A).with_citations([first, one]).metadata)
    assert three_way(cited, gone, added).outline.get_section(A).citations == [one]


def test_citations_merge_as_a_set_and_the_queries_follow() -> None:
    base = fresh(insight(X, citations=[Citation(source="query", execution_id="q1")]))
    assert [query.execution_id for query in base.get_insight(X).supporting_queries] == ["q1"]
    one = base.get_insight(X).with_citations([Citation(source="query", execution_id="q2")])
    two = [*base.get_insight(X).citations, Citation(source="query", execution_id="q1", title="again")]
    other = base.get_insight(X).with_citations(two)
    ours, theirs = (report(base, insights=[each, base.get_insight(Y)]) for each in (one, other))
    merged = clean(ours, theirs, base).get_insight(X)
    assert [(c.execution_id, c.title) for c in merged.citations] == [("q2", None), ("q1", "again")]
    assert [query.execution_id for query in merged.supporting_queries] == ["q2", "q1"]


def test_bookkeeping_never_conflicts_and_the_later_value_is_used() -> None:
    ours = report(section(A, updated_at=DAY_3), updated_at=DAY_3, outline_version=9)
    theirs = report(section(A, updated_at="2026-11-02T10:00:00Z"), updated_at=DAY_2, outline_version=2)
    for one, other in ((ours, theirs), (theirs, ours)):
        merged = clean(one, other)
        assert (merged.updated_at, merged.outline_version) == (DAY_3, 9)
        assert merged.get_section(A).updated_at == DAY_3


def test_an_item_that_one_side_changed_keeps_its_time() -> None:
    later = report(section(A, updated_at=DAY_3), updated_at=DAY_3)
    assert clean(section(B, later, title="More"), BASE, base=later).get_section(A).updated_at == DAY_1


# --- Items -------------------------------------------------------------------------------


def test_additions_and_removals_of_both_sides_are_kept() -> None:
    ours = with_insight(Z, B, with_section(X))
    theirs = without_section(D, without_insight(Y))
    merged = clean(ours, theirs)
    assert [s.section_id for s in merged.sections] == [A, B, E, X]
    assert [i.insight_id for i in merged.insights] == [X, Z]
    assert [s.order for s in merged.sections] == [0, 1, 2, 3]
    assert merged.get_section(A).insight_ids == [X]


def test_removed_on_both_sides_is_gone() -> None:
    assert clean(without_section(A), without_section(A)) == without_section(A)


def test_removed_on_one_side_and_changed_on_the_other_is_a_conflict() -> None:
    edit = section(A, content=PROSE.replace("14", "9"), title="Fast builds")
    conflict = the_conflict(without_section(A), edit)
    assert conflict.at == f"sections/{A}"
    assert conflict.base == {"title": "Builds", "content": "Builds take 14 minutes."}
    assert (conflict.ours, conflict.theirs) == (
        None,
        {"title": "Fast builds", "content": "Builds take 9 minutes."},
    )
    assert the_conflict(without_insight(X), insight(X, importance=9)) == Conflict(
        f"insights/{X}", {"importance": 6}, None, {"importance": 9}
    )


def test_an_insight_moved_into_a_removed_section_is_not_lost() -> None:
    assert the_conflict(with_insight(Z, D), without_section(D)) == Conflict(
        f"sections/{D}", {}, {"insight_ids": [Z]}, None
    )


def test_a_section_can_be_removed_if_its_insights_were_moved_and_edited() -> None:
    ours = moved(Y, B, moved(X, B))
    merged = clean(without_section(A, ours), insight(X, importance=9))
    assert merged.get_section(B).insight_ids == [X, Y]
    assert merged.get_insight(X).importance == 9


def test_an_insight_moved_to_different_sections_is_a_conflict() -> None:
    merged = three_way(BASE, moved(X, B), moved(X, D))
    base, ours, theirs = ({"insight_id": X, "section_id": i} for i in (A, B, D))
    assert merged.conflicts == [Conflict(f"sections/{A}/insight_ids", base, ours, theirs)]
    assert merged.outline.get_section(B).insight_ids == [X]


def test_an_insight_removed_by_one_and_moved_by_the_other_is_a_conflict() -> None:
    assert the_conflict(without_insight(X), moved(X, D)) == Conflict(
        f"insights/{X}", {"section_id": A}, None, {"section_id": D}
    )


def test_each_insight_is_in_one_section() -> None:
    merged = clean(moved(X, B, with_insight(Z, A)), section(A, insight_ids=[Y, X]))
    assert [s.insight_ids for s in merged.sections] == [[Y, Z], [X], [], []]


def test_the_same_new_item_on_both_sides_is_one_and_differing_ones_conflict() -> None:
    one, other = with_section(X, content="One."), with_section(X, content="Two.")
    assert clean(one, fresh(one)) == one
    assert the_conflict(one, other) == Conflict(f"sections/{X}/content", None, "One.", "Two.", line=1)


# --- Order -------------------------------------------------------------------------------


def test_moves_of_different_sections_both_hold() -> None:
    merged = clean(ordered(E, A, B, D), ordered(B, D, E, A))
    assert [s.section_id for s in merged.sections] == [E, B, D, A]


def test_the_same_move_of_a_section_by_both_sides_is_applied() -> None:
    assert clean(ordered(E, A, B, D), section(A, ordered(E, A, B, D), title="T")) == section(
        A, ordered(E, A, B, D), title="T"
    )


def test_a_section_moved_to_different_places_is_a_conflict_with_the_places() -> None:
    conflict = the_conflict(ordered(E, A, B, D), ordered(A, E, B, D))
    assert conflict.at == "sections"
    positions = [value["position"] for value in (conflict.base, conflict.ours, conflict.theirs)]
    assert positions == [f"after:{D}", "first", f"after:{A}"]


def test_new_items_stay_after_the_same_item() -> None:
    assert merged_order("abc", "axbc", "aybzc", members="abcxyz") == (list("axybzc"), [])
    assert merged_order("abc", "bca", "abxc", members="abcx") == (list("bxca"), [])


@given(st.permutations("abcdef"), st.permutations("abcdef"))
def test_an_order_has_each_member_once(one: list[str], other: list[str]) -> None:
    merged, clashes = merged_order("abcdef", one, other, members="abcdef")
    assert sorted(merged) == list("abcdef")
    assert merged_order("abcdef", other, one, members="abcdef")[1] == clashes
    assert merged_order("abcdef", one, list("abcdef"), members="abcdef") == (one, [])


@given(*[st.lists(st.sampled_from([1, 1.0, True, "1", None, {"a": 1}]), max_size=5)] * 3)
def test_a_set_has_what_was_added_and_not_what_was_removed(b: list[Any], o: list[Any], t: list[Any]) -> None:
    old, ours, theirs = ({json.dumps(value) for value in values} for values in (b, o, t))
    merged = [json.dumps(value) for value in merged_set(b, o, t)]
    assert len(merged) == len(set(merged))
    assert set(merged) == (old & ours & theirs) | (ours - old) | (theirs - old)


# --- Prose -------------------------------------------------------------------------------


def test_prose_merges_by_lines() -> None:
    merged = clean(
        section(A, content=PROSE.replace("14", "9")), section(A, content=PROSE + "\n\nBut one does.")
    )
    assert merged.get_section(A).content == PROSE.replace("14", "9") + "\n\nBut one does."


def test_a_clash_in_prose_shows_the_lines_and_their_number() -> None:
    ours, theirs = (section(A, content=PROSE.replace("cold", word)) for word in ("warm", "hot"))
    assert the_conflict(ours, theirs) == Conflict(
        f"sections/{A}/content", "Caches are cold.", "Caches are warm.", "Caches are hot.", line=3
    )


def test_cleared_prose_against_edited_prose_is_a_conflict() -> None:
    conflict = the_conflict(section(A, content=None), section(A, content=PROSE.replace("cold", "warm")))
    assert (conflict.base, conflict.ours, conflict.theirs) == ("Caches are cold.", None, "Caches are warm.")


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ("| a |\n| b |", "| A |\n| b |", "| a |\n| B |", "| A |\n| B |"),
        ("a\nb\nc", "A\nB\nC", "a\nB\nc", "A\nB\nC"),
        ("a\nb\nc", "b\nc", "a\nB\nc", "B\nc"),
        ("a\nb\nc\nd", "a\nd", "a\nb\nd", "a\nd"),
        ("a\nlast", "a\nLAST", "a\nlast\n\nmore", "a\nLAST\n\nmore"),
        ("first\nb", "FIRST\nb", "more\n\nfirst\nb", "more\n\nFIRST\nb"),
        ("a", "", "", ""),
        ("", "a", "", "a"),
        ("a\r\nb\r\n", "A\r\nb\r\n", "a\r\nb\r\nc\r\n", "A\r\nb\r\nc\r\n"),
    ],
    ids=lambda text: text.replace("\n", "/").replace("\r", ""),
)
def test_lines_that_do_not_clash(base: str, ours: str, theirs: str, merged: str) -> None:
    assert merged_lines(base, ours, theirs) == (merged, [])
    assert merged_lines(base, theirs, ours) == (merged, [])


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "clash"),
    [
        ("a\nb", "a\nx\nb", "a\ny\nb", Clash(2, "", "x", "y")),
        ("a", "a\nx", "a\ny", Clash(2, "", "x", "y")),
        ("a\nb\nc", "a\nB\nc", "a\nb\nx\nc", Clash(2, "b", "B", "b\nx")),
        ("a\nb\nc", "a\nc", "a\nB\nc", Clash(2, "b", "", "B")),
        ("a\nb\nc\nd", "w\nx\ny\nz\n5", "a\nb\nC\nd", Clash(3, "c", "w\nx\ny\nz\n5", "C")),
        ("a\nb\nc", "x\ny\nc", "1\n2\nc", Clash(1, "a\nb", "x\ny", "1\n2")),
        ("a\nb\nc\nd", "x\nd", "a\nB\nc\ny\nd", Clash(2, "b\nc", "x", "B\nc\ny")),
    ],
)
def test_lines_that_clash(base: str, ours: str, theirs: str, clash: Clash) -> None:
    text, clashes = merged_lines(base, ours, theirs)
    assert (text, clashes) == (ours, [clash])
    assert merged_lines(base, theirs, ours)[1] == [clash._replace(ours=clash.theirs, theirs=clash.ours)]


@st.composite
def edited_lines(draw: Any, lines: list[str], mark: str) -> list[str]:
    """Draw lines after replacements, removals and insertions; every new line is unique."""
    names = (f"{mark}{n}" for n in range(1000))
    edits = draw(st.lists(st.tuples(*[st.integers(0, 12)] * 2, st.integers(0, 2)), max_size=3))
    for start, stop, count in edits:
        lines = [*lines[:start], *(next(names) for _ in range(count)), *lines[max(start, stop) :]]
    return lines


@given(st.data())
def test_a_clean_merge_neither_loses_nor_restores_lines(data: st.DataObject) -> None:
    base = [f"line {n}" for n in range(12)]
    ours, theirs = data.draw(edited_lines(base, "o")), data.draw(edited_lines(base, "t"))
    text, clashes = merged_lines(*map("\n".join, (base, ours, theirs)))
    if clashes:
        return
    merged = [line for line in text.split("\n") if line]
    old, one, other = set(base), set(ours), set(theirs)
    assert sorted(merged) == sorted((old & one & other) | (one - old) | (other - old))
    for side in (ours, theirs):
        assert [line for line in side if line in merged] == [line for line in merged if line in side]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "both"),
    [
        ("a", "A", "X", "A\nX"),
        ("a\nb", "A\nB", "X\nY", "A\nB\nX\nY"),
        ("a", "a\n\nA", "a\n\nX", "a\n\nA\n\nX"),
        ("- a", "- a\n- A", "- a\n- X", "- a\n- A\n- X"),
        ("a\nb\nc", "A\nb\nC", "X\nb\nc", "A\nX\nb\nC"),
        ("a\nb\nc", "A\nmore\nc", "X\nb\nC", "A\nX\nmore\nC"),
        ("a\nb", "A\nA2\nA3\nb", "X\nA2\nb", "A\nX\nA2\nA3\nb"),
        ("", "A", "X", "A\nX"),
    ],
)
def test_the_lines_of_both_sides_can_be_kept_ours_first(base: str, ours: str, theirs: str, both: str) -> None:
    assert merged_lines(base, ours, theirs, keep_both=True)[0] == both


def test_long_tables_of_similar_rows_merge_quickly() -> None:
    base = ["| Vendor | Product | Unknown | | |" if n % 3 else f"| {n} | | | | |" for n in range(6000)]
    ours = [line.replace("Unknown", "Fixed") if n % 7 == 0 else line for n, line in enumerate(base)]
    theirs = [line for n, line in enumerate(base) if n % 500 != 3]
    start = time.thread_time()
    merged_lines(*map("\n".join, (base, ours, theirs)))
    assert time.thread_time() - start < 2


# --- Values in answers -------------------------------------------------------------------


def as_row(conflict: Conflict) -> bytes:
    row = {"at": conflict.at, "base": conflict.base, "ours": conflict.ours, "theirs": conflict.theirs}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("filler", ["word ", "風險", "\\", "\x01"])
def test_a_cut_conflict_is_short_and_still_shows_the_difference(filler: str) -> None:
    long = filler * 400
    conflict = Conflict(
        f"insights/{X}/summary", f"{long}old{long}", f"{long}ours{long}", f"{long}theirs{long}"
    )
    cut = conflict.cut()
    assert len(as_row(cut)) < 1_500
    assert all(len(value) <= 300 for value in (cut.base, cut.ours, cut.theirs))
    assert ("old" in cut.base, "ours" in cut.ours, "theirs" in cut.theirs) == (True, True, True)


def test_a_short_conflict_is_not_cut() -> None:
    conflict = the_conflict(without_section(A), section(A, content="Other."))
    assert conflict.cut() == conflict


def test_other_values_than_texts_are_cut_as_json() -> None:
    cut = Conflict("metadata/x", None, {"a": "x" * 1000}, ["y" * 1000]).cut(100)
    assert cut.ours.startswith('{"a":"xxx')
    assert (cut.base, len(cut.ours), len(cut.theirs)) == (None, 100, 100)


# --- Properties --------------------------------------------------------------------------


@st.composite
def cases(draw: Any) -> tuple[Outline, Outline, Outline]:
    """Draw an outline and two changed versions, sometimes deep copies."""
    base = draw(outlines())
    ours, theirs = draw(edited_outlines(base)), draw(edited_outlines(base))
    return (fresh(base), ours, fresh(theirs)) if draw(st.booleans()) else (base, ours, theirs)


@given(st.data(), outlines())
def test_with_one_side_unchanged_the_other_is_the_result(data: st.DataObject, base: Outline) -> None:
    side = data.draw(edited_outlines(base))
    for again in (base, fresh(base)):
        assert three_way(base, side, again) == Merged(side, [])
        assert three_way(base, again, side) == Merged(side, [])
    assert three_way(base, side, fresh(side)) == Merged(side, [])
    assert outline_bytes(three_way(fresh(base), side, base).outline) == outline_bytes(side)


def test_clashes_of_lines_do_not_depend_on_which_side_is_first() -> None:
    rule = "| --- | --- | --- |"
    base, table = f"\n\n{rule}\n0", f"| a | b | c |\n{rule}\n\n"
    clashes = merged_lines(base, "", table)[1]
    assert [clash._replace(ours=clash.theirs, theirs=clash.ours) for clash in clashes] == merged_lines(
        base, table, ""
    )[1]


@given(cases())
def test_conflicts_are_symmetric(case: tuple[Outline, Outline, Outline]) -> None:
    base, ours, theirs = case
    conflicts = three_way(base, ours, theirs).conflicts
    assert three_way(base, theirs, ours).conflicts == [swapped(conflict) for conflict in conflicts]


@given(cases())
def test_the_result_is_normalised(case: tuple[Outline, Outline, Outline]) -> None:
    merged = three_way(*case).outline
    assert normalised(merged) is merged
    assert parse_outline(outline_bytes(merged)) == merged
    homes = list(chain.from_iterable(s.insight_ids for s in merged.sections))
    assert len(homes) == len(set(homes))


@given(cases())
def test_no_item_is_invented_or_dropped(case: tuple[Outline, Outline, Outline]) -> None:
    base, ours, theirs = case
    merged = three_way(base, ours, theirs)
    kept = ids(base) & ids(ours) & ids(theirs)
    added = (ids(ours) | ids(theirs)) - ids(base)
    if merged.conflicts:
        assert kept | added <= ids(merged.outline) <= ids(ours) | ids(theirs)
    else:
        assert ids(merged.outline) == kept | added


@given(cases())
def test_no_insight_is_lost_from_its_section(case: tuple[Outline, Outline, Outline]) -> None:
    base, ours, theirs = case
    merged = three_way(base, ours, theirs)
    in_both = set.intersection(
        *({i for s in side.sections for i in s.insight_ids} for side in (ours, theirs))
    )
    placed = {i for s in merged.outline.sections for i in s.insight_ids}
    assert merged.conflicts or in_both & ids(merged.outline) <= placed


@given(cases())
def test_a_conflict_is_at_an_address_and_says_what_differs(case: tuple[Outline, Outline, Outline]) -> None:
    known = set().union(*map(ids, case))
    for conflict in three_way(*case).conflicts:
        assert parts(conflict.at)
        assert item_of(conflict.at) in {None, *known}
        if conflict.line is None or (
            conflict.ours or conflict.theirs
        ):  # an absent line looks like a blank one
            assert json.dumps(conflict.ours) != json.dumps(conflict.theirs)


@given(cases())
def test_keeping_both_differs_only_where_both_sides_conflict(case: tuple[Outline, Outline, Outline]) -> None:
    merged, kept = three_way(*case), three_way(*case, keep_both=True)
    assert kept.conflicts == merged.conflicts
    places = {conflict.at for conflict in kept.conflicts if keeps_both(kept.outline, conflict)}
    edits = {edit["at"] for edit in diff(merged.outline, kept.outline)}
    assert edits <= {conflict.at for conflict in kept.conflicts}
    assert parse_outline(outline_bytes(kept.outline)) == kept.outline
    for conflict in kept.conflicts:
        if conflict.at in places and isinstance(conflict.theirs, str):
            value = str(value_at(kept.outline, conflict.at))
            assert all(word in value for word in f"{conflict.ours} {conflict.theirs}".split())


def value_at(outline: Outline, at: str) -> Any:
    kind, item_id, name = parts(at)
    items = {item.section_id: item for item in outline.sections} | {i.insight_id: i for i in outline.insights}
    assert kind in ("sections", "insights")
    return getattr(items[item_id], name)


@given(st.data(), outlines())
def test_edits_of_different_items_commute(data: st.DataObject, base: Outline) -> None:
    ours, theirs = data.draw(edited_outlines(base)), data.draw(edited_outlines(base))
    if touched(base, ours) & touched(base, theirs):
        return
    one, other = three_way(base, ours, theirs), three_way(base, theirs, ours)
    assert not one.conflicts
    assert contents(one.outline) == contents(other.outline)


def touched(base: Outline, side: Outline) -> set[str]:
    """Return the ids of the items that a side touched, and other changed addresses."""
    homes = [{(i, s.section_id) for s in outline.sections for i in s.insight_ids} for outline in (base, side)]
    moved_ids = chain.from_iterable(homes[0] ^ homes[1])
    return {item_of(edit["at"]) or edit["at"] for edit in diff(base, side)} | set(moved_ids)


def contents(outline: Outline) -> tuple[Any, ...]:
    """Return the outline in a form that ignores the order of its items."""
    items = [*outline.sections, *outline.insights]
    dumps = [item.model_dump(exclude={"order", "insight_ids"}) for item in items]
    homes = {i: s.section_id for s in outline.sections for i in s.insight_ids}
    head = outline.model_dump(exclude={"sections", "insights"})
    return head, homes, sorted(json.dumps(dump) for dump in dumps)
