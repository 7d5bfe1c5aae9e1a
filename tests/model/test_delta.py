"""Deltas restore the other outline in both directions, to the byte, and verify everything."""

from __future__ import annotations

import copy
import json
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from living_reports.model import splices
from living_reports.model.delta import (
    Delta,
    DeltaError,
    address,
    apply,
    diff,
    invert,
    is_bookkeeping,
    item_of,
    parts,
)
from living_reports.model.report import (
    Citation,
    Insight,
    Outline,
    Section,
    normalised,
    outline_bytes,
    outline_data,
)
from support.histories import outline_of, revisions
from support.strategies import KEYS, LINES, edited_outlines, outlines

A, B, C = (f"{n}0000000-0000-4000-8000-000000000000" for n in "abc")
X, Y = (f"{n}0000000-0000-4000-8000-000000000000" for n in "12")
DAY_1, DAY_2 = "2026-11-01T10:00:00+00:00", "2026-11-02T10:00:00+00:00"


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def through_json(delta: Delta) -> Delta:
    read: Delta = json.loads(compact(delta))
    return read


def a_report(**fields: Any) -> Outline:
    data = {
        "report_id": C,
        "title": "Health",
        "created_at": DAY_1,
        "updated_at": DAY_1,
        "sections": [
            {"section_id": A, "title": "Builds", "content": "They take 14 minutes.\n", "insight_ids": [X, Y]},
            {"section_id": B, "title": "Costs"},
        ],
        "insights": [
            {"insight_id": X, "importance": 6, "summary": "Builds are slow"},
            {
                "insight_id": Y,
                "importance": 3,
                "summary": "Caches are cold",
                "metadata": {"as_of": "2026-11-01"},
            },
        ],
        "metadata": {"tags": ["ops", "q4"], "status": "active"},
    }
    return normalised(Outline.model_validate(data | fields))


def with_section(outline: Outline, section_id: str, **fields: Any) -> Outline:
    sections = [s.model_copy(update=fields) if s.section_id == section_id else s for s in outline.sections]
    return normalised(outline.model_copy(update={"sections": sections}))


def with_insight(outline: Outline, insight_id: str, **fields: Any) -> Outline:
    insights = [i.model_copy(update=fields) if i.insight_id == insight_id else i for i in outline.insights]
    return outline.model_copy(update={"insights": insights})


def assert_leads_there_and_back(old: Outline, new: Outline) -> Delta:
    delta = through_json(diff(old, new))
    assert outline_bytes(apply(old, delta)) == outline_bytes(new)
    assert outline_bytes(apply(new, invert(delta))) == outline_bytes(old)
    return delta


# --- Properties ----------------------------------------------------------------------------


@given(st.data(), outlines(), st.booleans())
def test_the_delta_of_a_change_applies_in_both_directions(
    data: st.DataObject, old: Outline, commits: bool
) -> None:
    new = data.draw(edited_outlines(old))
    if commits:
        new = new.model_copy(update={"outline_version": old.outline_version + 1, "updated_at": DAY_2})
    delta = assert_leads_there_and_back(old, new)
    assert invert(invert(delta)) == delta
    assert not any("order" in parts(edit["at"])[::2] for edit in delta)
    assert [list(edit) for edit in delta if list(edit) not in SHAPES] == []


SHAPES = [["at", "old", "new"], ["at", "old"], ["at", "new"], ["at", "splices"]]


@given(outlines(), outlines(max_items=3))
def test_a_delta_between_unrelated_outlines_applies(a: Outline, b: Outline) -> None:
    assert_leads_there_and_back(a, b)


@given(outlines())
def test_a_create_holds_the_whole_outline(outline: Outline) -> None:
    delta = diff(None, outline)
    assert delta == [{"at": "", "new": outline_data(outline)}]
    assert outline_bytes(apply(None, through_json(delta))) == outline_bytes(outline)
    with pytest.raises(DeltaError):
        invert(delta)


@given(outlines())
def test_without_a_change_there_is_no_edit(outline: Outline) -> None:
    read_again = Outline.model_validate_json(outline_bytes(outline))
    assert diff(outline, outline) == diff(outline, read_again) == []
    assert apply(outline, []) is outline


@given(st.data(), outlines())
def test_concatenated_deltas_apply_like_one(data: st.DataObject, first: Outline) -> None:
    second = data.draw(edited_outlines(first))
    third = data.draw(edited_outlines(second))
    way = through_json(diff(first, second) + diff(second, third))
    kept = copy.deepcopy(way)
    assert outline_bytes(apply(first, way)) == outline_bytes(third)
    assert outline_bytes(apply(third, invert(way))) == outline_bytes(first)
    assert outline_bytes(apply(None, diff(None, first) + way)) == outline_bytes(third)
    assert way == kept


@given(st.data(), outlines())
def test_untouched_items_stay_the_same_objects(data: st.DataObject, old: Outline) -> None:
    new = data.draw(edited_outlines(old))
    delta = diff(old, new)
    touched = {item_of(edit["at"]) for edit in delta}
    after = apply(old, delta)
    known = {id(item) for item in (*old.sections, *old.insights)}
    for insight in after.insights:
        assert insight.insight_id in touched or id(insight) in known
    for before, section in zip(old.sections, after.sections, strict=False):
        if section.section_id == before.section_id and section.section_id not in touched:
            assert section is before


@given(st.lists(KEYS, min_size=1, max_size=4))
def test_addresses_are_read_as_they_were_written(path: list[str]) -> None:
    if path != ["", ""]:  # its text is "/", the address of the key ""
        assert parts(address(*path)) == path


@given(st.lists(LINES, max_size=30), st.lists(LINES, max_size=30))
def test_splices_of_lists_and_texts_apply_in_both_directions(old: list[str], new: list[str]) -> None:
    for one, other, found in (
        (old, new, splices.between_lists(old, new)),
        ("\n".join(old), "\n".join(new), splices.between_texts("\n".join(old), "\n".join(new))),
    ):
        if one == other:
            assert found == []
            continue
        assert splices.apply(one, found) == other
        assert splices.apply(other, splices.invert(found)) == one
        assert all(a[0] + len(a[1]) < b[0] for a, b in pairwise(found))


# --- Documented forms --------------------------------------------------------------------


def test_a_changed_value_has_old_and_new() -> None:
    old = a_report()
    assert diff(old, with_insight(old, X, importance=8)) == [
        {"at": f"insights/{X}/importance", "old": 6, "new": 8}
    ]


def test_an_added_field_has_no_old_and_a_removed_one_no_new() -> None:
    old = a_report()
    new = with_section(old, B, notes="to do")
    assert diff(old, new) == [{"at": f"sections/{B}/notes", "new": "to do"}]
    assert diff(new, old) == [{"at": f"sections/{B}/notes", "old": "to do"}]


def test_an_added_section_is_in_the_order_and_complete() -> None:
    old = a_report()
    section = Section(section_id=C, title="Risks", created_at=DAY_2, updated_at=DAY_2)
    new = normalised(old.model_copy(update={"sections": [section, *old.sections]}))
    came = {
        "section_id": C,
        "title": "Risks",
        "insight_ids": [],
        "content_format": "markdown",
        "created_at": DAY_2,
        "updated_at": DAY_2,
        "metadata": {},
    }
    assert assert_leads_there_and_back(old, new) == [
        {"at": "sections", "splices": [[0, [], [C]]]},
        {"at": f"sections/{C}", "new": came},
    ]


def test_a_moved_insight_is_two_splices() -> None:
    old = a_report()
    new = with_section(with_section(old, A, insight_ids=[Y]), B, insight_ids=[X])
    assert assert_leads_there_and_back(old, new) == [
        {"at": f"sections/{A}/insight_ids", "splices": [[0, [X], []]]},
        {"at": f"sections/{B}/insight_ids", "splices": [[0, [], [X]]]},
    ]


def test_moved_sections_are_edits_of_the_order_only() -> None:
    old = a_report()
    new = normalised(old.model_copy(update={"sections": old.sections[::-1]}))
    assert [edit["at"] for edit in assert_leads_there_and_back(old, new)] == ["sections"]


def test_a_long_text_is_spliced() -> None:
    text = "| product | status |\n" * 300
    old = a_report(sections=[{"section_id": A, "title": "Table", "content": text + "old words\n" + text}])
    new = with_section(old, A, content=text + "new words\n" + text)
    assert diff(old, new) == [{"at": f"sections/{A}/content", "splices": [[len(text), "old", "new"]]}]


@pytest.mark.parametrize(
    ("old", "new", "splice"),
    [
        ("Rate is 12 %.", "Rate is 15 %.", [8, "12", "15"]),
        ("at 12.5 %", "at 12.7 %", [3, "12.5", "12.7"]),
        ("1,200 of 3", "1,250 of 3", [0, "1,200", "1,250"]),
        ("25 fail", "15 fail", [0, "25", "15"]),
        ("errors rose", "Errors rose", [0, "errors", "Errors"]),
        ("one", "one two", [3, "", " two"]),
        ("x" * 200, "x" * 100 + "y" + "x" * 100, [70, "x" * 60, "x" * 30 + "y" + "x" * 30]),
    ],
)
def test_splices_hold_whole_words_and_numbers(old: str, new: str, splice: list[Any]) -> None:
    assert splices.between_texts(old, new) == [splice]


def test_offsets_count_code_points_of_the_old_text() -> None:
    assert splices.between_texts("😀 b — a longer way — d", "😀 B — a longer way — D!") == [
        [2, "b", "B"],
        [21, "d", "D!"],
    ]


def test_a_text_is_given_whole_if_that_is_shorter() -> None:
    old = a_report()
    assert diff(old, with_insight(old, X, summary="Queues")) == [
        {"at": f"insights/{X}/summary", "old": "Builds are slow", "new": "Queues"}
    ]


def test_tags_are_spliced_and_other_metadata_changes_as_a_whole() -> None:
    old = a_report()
    metadata = {"tags": ["ops", "new", "q4"], "status": "archived", "a/b~": [1]}
    assert assert_leads_there_and_back(old, a_report(metadata=metadata)) == [
        {"at": "metadata/a~1b~0", "new": [1]},
        {"at": "metadata/status", "old": "active", "new": "archived"},
        {"at": "metadata/tags", "splices": [[1, [], ["new"]]]},
    ]


def test_tags_that_are_not_strings_change_as_a_whole() -> None:
    old, new = a_report(metadata={"tags": ["a", 1]}), a_report(metadata={"tags": ["a"]})
    assert diff(old, new) == [{"at": "metadata/tags", "old": ["a", 1], "new": ["a"]}]


def test_citations_are_spliced_as_objects() -> None:
    old = a_report()
    cited = Citation(source="url", url="https://example.org")
    new = with_insight(old, X, citations=[cited])
    assert assert_leads_there_and_back(old, new) == [
        {
            "at": f"insights/{X}/citations",
            "splices": [[0, [], [{"source": "url", "url": "https://example.org"}]]],
        }
    ]


def test_a_number_with_another_serialisation_is_a_change() -> None:
    for old, new in ((1, 1.0), (1, True), (0.0, -0.0)):
        before, after = a_report(metadata={"n": [old]}), a_report(metadata={"n": [new]})
        assert len(assert_leads_there_and_back(before, after)) == 1


def test_unknown_keys_have_their_own_addresses() -> None:
    old = a_report(**{"": 1, "a/b": {"c": 2}, "content": "text " * 9})
    new = a_report(**{"": 2, "content": "text " * 9 + "!", "x": None, "y": []})
    assert assert_leads_there_and_back(old, new) == [
        {"at": "/", "old": 1, "new": 2},
        {"at": "a~1b", "old": {"c": 2}},
        {"at": "content", "old": "text " * 9, "new": "text " * 9 + "!"},
        {"at": "y", "new": []},
    ]


def test_bookkeeping_is_distinguished_from_content() -> None:
    kept = ["outline_version", "updated_at", f"sections/{A}/updated_at", f"insights/{X}/updated_at"]
    told = ["", "title", "metadata/updated_at", f"insights/{X}", f"insights/{X}/metadata/updated_at"]
    assert [is_bookkeeping(at) for at in kept + told] == [True] * 4 + [False] * 5


def test_an_address_belongs_to_its_item() -> None:
    assert item_of(f"sections/{A}") == item_of(f"sections/{A}/metadata/x") == A
    assert [item_of(at) for at in ("", "sections", "metadata/x", "title")] == [None] * 4


# --- Invalid deltas ----------------------------------------------------------------------

OUTLINE_DATA = outline_data(a_report())

NOT_SPLICES: list[Any] = [
    None,
    [],
    {},
    "ab",
    [None],
    [[0, ["ops"]]],
    [[0.0, ["ops"], []]],
    [[True, ["q4"], []]],
    [["0", ["ops"], []]],
    [[0, ["ops"], ""]],
    [[0, None, None]],
    [[-1, [], ["x"]]],
    [[1, ["q4"], []], [0, ["ops"], []]],
    [[0, ["ops", "q4"], []], [1, ["q4"], []]],
]

NOT_DELTAS: list[Any] = [
    None,
    {},
    "title",
    [None],
    [[]],
    [{}],
    [{"at": 1, "old": 1, "new": 2}],
    [{"at": "title"}],
    [{"at": "title", "old": "Health", "splices": []}],
    [{"at": "title", "old": "Health", "new": "x", "by": "me"}],
    [{"at": "ti~2tle", "new": 1}],
    *([{"at": "metadata/tags", "splices": not_splices}] for not_splices in NOT_SPLICES),
]


@pytest.mark.parametrize("delta", NOT_DELTAS, ids=repr)
def test_malformed_deltas_are_neither_applied_nor_inverted(delta: Any) -> None:
    with pytest.raises(DeltaError):
        apply(a_report(), delta)
    with pytest.raises(DeltaError):
        invert(delta)


DO_NOT_FIT: list[tuple[str, dict[str, Any]]] = [
    ("title", {"old": "Wealth", "new": "x"}),
    ("metadata/status", {"old": "active", "new": {"\ud800": 1}}),
    ("title", {"new": "x"}),
    ("title", {"old": "Health"}),
    ("title", {"old": "Health", "new": ""}),
    ("title", {"old": "Health", "new": None}),
    ("title", {"splices": [[0, ["H"], []]]}),
    ("outline_version", {"old": True, "new": 2}),
    ("outline_version", {"old": 1.0, "new": 2}),
    ("outline_version", {"old": 1, "new": "2"}),
    ("outline_version", {"old": 1, "new": 0}),
    ("outline_version", {"splices": [[0, [], []]]}),
    ("", {"new": OUTLINE_DATA}),
    ("", {"splices": [[0, "", "x"]]}),
    ("/", {"old": 1}),
    ("title/x", {"new": 1}),
    ("metadata/tags/0", {"old": "ops"}),
    ("metadata", {"old": {"tags": ["ops", "q4"], "status": "active"}, "new": 5}),
    ("metadata/tags", {"splices": [[2, ["q5"], []]]}),
    ("metadata/tags", {"splices": [[3, [], ["q5"]]]}),
    ("metadata/tags", {"splices": [[0, ["q4"], []]]}),
    ("metadata/none", {"old": None}),
    ("metadata/status", {"old": "active", "new": "\ud800"}),
    ("metadata/status", {"old": "active", "new": float("nan")}),
    ("x", {"new": None}),
    ("sections", {"old": [A, B], "new": [B, A]}),
    ("sections", {"splices": [[0, [A], []]]}),
    ("sections", {"splices": [[0, [], [A]]]}),
    ("sections", {"splices": [[0, [], [{}]]]}),
    ("sections", {"splices": [[0, "a", "b"]]}),
    (f"sections/{A}", {"old": {}}),
    (f"sections/{C}", {"new": {"section_id": C, "title": "not in the order"}}),
    (f"sections/{A}", {"splices": [[0, "", ""]]}),
    (f"sections/{A}/title", {"old": "Builds", "new": ""}),
    (f"sections/{A}/order", {"new": 1}),
    (f"sections/{A}/section_id", {"old": A, "new": C}),
    (f"sections/{A}/unknown", {"new": 1}),
    (f"sections/{A}/content", {"splices": [[0, "Those", "These"]]}),
    (f"sections/{A}/content", {"splices": [[23, "", "beyond the end"]]}),
    (f"sections/{A}/content_format", {"old": "markdown", "new": None}),
    (f"sections/{A}/insight_ids", {"splices": [[0, [X], [1]]]}),
    (f"sections/{A}/metadata/a/b", {"new": 1}),
    (f"sections/{B}/content", {"splices": [[0, "", "x"]]}),
    (f"sections/{C}/title", {"new": "nobody"}),
    (f"insights/{X}/importance", {"old": 6, "new": 11}),
    (f"insights/{X}/importance", {"old": 6, "new": "8"}),
    (f"insights/{X}/importance", {"old": 6, "new": 8.0}),
    (f"insights/{X}/status", {"old": "active", "new": "lost"}),
    (f"insights/{X}/citations", {"splices": [[0, [], [{"url": "no source"}]]]}),
    (f"insights/{X}/citations", {"splices": [[0, [], [{"source": "url", "title": None}]]]}),
    (f"insights/{X}/citations", {"splices": [[0, [], [{"source": "query", "query_id": "q", "x": 1}]]]}),
    (f"insights/{X}", {"old": OUTLINE_DATA["insights"][0], "new": 5}),
    (f"insights/{X}", {"old": OUTLINE_DATA["insights"][0], "new": OUTLINE_DATA["insights"][1]}),
    (f"insights/{X}", {"old": OUTLINE_DATA["insights"][0]}),
]


@pytest.mark.parametrize(("at", "edit"), DO_NOT_FIT, ids=repr)
def test_an_edit_that_does_not_fit_is_refused_with_its_address(at: str, edit: dict[str, Any]) -> None:
    outline = a_report()
    before = outline_bytes(outline)
    with pytest.raises(DeltaError) as refusal:
        apply(outline, [{"at": at, **edit}])
    assert at.split("/")[0] in str(refusal.value) or "the outline" in str(refusal.value)
    assert outline_bytes(outline) == before


@pytest.mark.parametrize(
    "delta",
    [
        [],
        [{"at": "title", "old": "a", "new": "b"}],
        [{"at": "", "old": OUTLINE_DATA}],
        [{"at": "", "new": None}],
        [{"at": "", "new": {}}],
        [{"at": "", "new": OUTLINE_DATA | {"outline_version": "1"}}],
        [{"at": "", "new": OUTLINE_DATA | {"sections": OUTLINE_DATA["sections"] * 2}}],
        [{"at": "", "new": OUTLINE_DATA}, {"at": "", "new": OUTLINE_DATA}],
    ],
    ids=repr,
)
def test_a_create_without_an_outline_is_refused(delta: Delta) -> None:
    with pytest.raises(DeltaError):
        apply(None, delta)


@pytest.mark.parametrize("depth", [65, 500, 900, 100_000])
def test_unlimited_nesting_is_refused(depth: int) -> None:
    deep: Any = 1
    for _ in range(depth):
        deep = [deep]
    tags = [{"at": "metadata/tags", "splices": [[0, [deep], []]]}, {"at": "metadata/tags", "old": deep}]
    for edit in ({"at": "metadata/x", "new": deep}, {"at": "title", "old": deep, "new": "x"}, *tags):
        with pytest.raises(DeltaError):
            apply(a_report(), [edit])
    with pytest.raises(DeltaError):
        apply(None, [{"at": "", "new": OUTLINE_DATA | {"x": deep}}])


def test_a_deep_value_that_occurs_twice_is_refused() -> None:
    one: list[Any] = []
    other: list[Any] = []
    for _ in range(50_000):
        one, other = [one], [other]
    with pytest.raises(DeltaError):
        apply(a_report(), [{"at": "x", "new": one}, {"at": "x", "old": other, "new": 1}])


@given(st.data(), outlines())
def test_a_damaged_delta_is_refused_or_leads_to_a_valid_outline(data: st.DataObject, old: Outline) -> None:
    delta = through_json(diff(old, data.draw(edited_outlines(old))))
    text = compact(delta)
    position = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:position] + data.draw(st.sampled_from('01"[]{},:~/ex')) + text[position + 1 :]
    try:
        tampered = json.loads(damaged)
    except ValueError:
        return
    try:
        after = apply(old, tampered)
    except DeltaError:
        return
    assert Outline.model_validate_json(outline_bytes(after)) == after


# --- Size and speed -----------------------------------------------------------------------


def test_a_small_change_of_a_large_report_leaves_the_rest_shared() -> None:
    insights = [
        Insight(insight_id=f"{n:08x}-0000-4000-8000-000000000000", importance=5, summary="word " * 100)
        for n in range(1000)
    ]
    old = Outline.model_validate(a_report(sections=[]).model_copy(update={"insights": insights}).model_dump())
    new = with_insight(old, insights[700].insight_id, importance=9, updated_at=DAY_2)
    delta = diff(old, new)
    after = apply(old, delta)
    assert after == new
    # Shared objects are neither validated again nor compared in depth.
    assert [n for n in range(1000) if after.insights[n] is not old.insights[n]] == [700]


def awkward_texts() -> list[tuple[str, str]]:
    """Return pairs of texts of half a megabyte on which a naive search takes minutes."""
    pick = random.Random(1)
    rows = [f"| vendor{n % 50} | product{n} |  | Affected | | no |\n" for n in range(10_000)]
    shuffled = pick.sample(rows, len(rows))
    coins = ["".join(pick.choice("ab") + "\n" for _ in range(200_000)) for _ in range(2)]
    return [
        ("".join(rows), "".join(shuffled)),
        ("".join(rows), "".join(rows[::-1])),
        ("".join(rows).replace("\n", " "), "".join(rows[1:]).replace("\n", " ")),
        ("| | | |\n" * 60_000, "| | | |\n" * 30_000 + "x" + "| | | |\n" * 30_000),
        ("a" * 1_000_000, "a" * 500_000 + "b" + "a" * 500_000),
        (coins[0], coins[1]),
    ]


@pytest.mark.parametrize(("old", "new"), awkward_texts(), ids=range(6))
def test_the_search_for_splices_takes_linear_time(old: str, new: str) -> None:
    found = splices.between_texts(old, new)  # an exponential search exceeds the time-out of the suite
    assert splices.apply(old, found) == new


def test_a_real_history_takes_a_tenth_of_its_revisions() -> None:
    versions = [outline_of(revision, n) for n, revision in enumerate(revisions("log4j-guidance"), start=1)]
    total = sum(len(outline_bytes(outline)) for outline in versions)
    deltas = [diff(old, new) for old, new in pairwise(versions)]
    for n in range(0, len(deltas), 16):
        assert_leads_there_and_back(versions[n], versions[n + 1])
    log = sum(len(compact(delta).encode()) + 600 for delta in deltas)
    assert log < total / 10
    way = [edit for delta in deltas for edit in delta]
    assert outline_bytes(apply(versions[0], way)) == outline_bytes(versions[-1])
    assert outline_bytes(apply(versions[-1], invert(way))) == outline_bytes(versions[0])
