"""The rows of `changed`: names, whole short values, excerpts with marks, lists, moves, and rows of events."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from living_reports.model import splices
from living_reports.model.delta import apply, diff
from living_reports.model.event import AuditEvent
from living_reports.model.report import Outline, outline_data
from living_reports.reading.compact import edit_rows, event_row, placed_rows, size
from support.small_outline import I1, I2, I3, LOOSE, S1, S2, S3, small_outline, uid
from support.small_outline import apply as apply_changes
from support.strategies import edited_outlines, outlines

Row = dict[str, Any]

PARAGRAPH = (
    "Monthly churn is 2.1 %. We had 1,240 customers at the end of May, of which 14 % were on the trial plan. "
    "Revenue per account rose to 81 EUR, which is 4 % more than in April."
)


def changed_outline(outline: Outline, *changes: Row) -> Outline:
    return apply_changes(*changes, outline=outline).outline


def rows(*changes: Row, outline: Outline | None = None) -> list[Row]:
    """Return the rows of these changes to the small report."""
    before = outline or small_outline()
    after = changed_outline(before, *changes)
    return edit_rows(diff(before, after), before, after)


def with_content(text: str) -> Outline:
    return changed_outline(small_outline(), {"op": "edit_section", "section": S1, "content": text})


def replaced(find: str, replace: str, text: str = PARAGRAPH) -> Row:
    """Return the row of an edit of words in the content of a section."""
    change = {"op": "edit_text", "section": S1, "find": find, "replace": replace}
    [row] = rows(change, outline=with_content(text))
    assert (row.pop("item"), row.pop("at")) == ("Findings", f"sections/{S1[:8]}/content")
    return row


# --- Values ------------------------------------------------------------------------------


def test_a_short_value_is_whole_and_the_item_has_its_name() -> None:
    assert rows({"op": "edit_insight", "insight": I1, "importance": 8}) == [
        {"item": "first", "at": f"insights/{I1[:8]}/importance", "old": 3, "new": 8}
    ]
    assert rows({"op": "edit_text", "section": S1, "find": "three", "replace": "3"}) == [
        {
            "item": "Findings",
            "at": f"sections/{S1[:8]}/content",
            "old": "one two\ntwo three",
            "new": "one two\ntwo 3",
        }
    ]


def test_a_row_about_the_report_itself_has_no_item() -> None:
    assert rows({"op": "set_title", "title": "Checkout"}) == [
        {"at": "title", "old": "Health", "new": "Checkout"}
    ]


def test_an_item_is_named_by_its_name_after_the_change_and_cut() -> None:
    [row] = rows({"op": "edit_section", "section": S1, "title": "F" * 200})
    assert row["item"] == "F" * 79 + "…"
    assert (row["old"], row["new"]) == ("Findings", "F" * 119 + "…")


def test_words_in_a_long_text_are_shown_in_their_sentence_with_the_change_marked() -> None:
    assert replaced("2.1 %", "2.4 %") == {
        "old": "Monthly churn is [-2.1-] %.…",
        "new": "Monthly churn is {+2.4+} %.…",
    }
    row = replaced("4 % more", "6 % more")
    assert row["new"] == "…Revenue per account rose to 81 EUR, which is {+6+} % more than in April."


def test_a_number_never_stands_alone() -> None:
    row = replaced("14 %", "16 %")
    assert re.search(r"of which \[-14-\] % were", row["old"])
    assert re.search(r"of which \{\+16\+\} % were", row["new"])


def test_a_line_of_a_table_is_shown_whole() -> None:
    table = "| plan | accounts |\n|---|---|\n" + "".join(f"| plan {n} | {n}74 |\n" for n in range(20))
    assert replaced("| plan 5 | 574 |", "| plan 5 | 580 |", table) == {
        "old": "| plan 5 | [-574-] |",
        "new": "| plan 5 | {+580+} |",
    }


def test_an_inserted_text_has_no_old_side_and_shows_the_end_of_the_text_before_it() -> None:
    [row] = rows(
        {"op": "append_text", "section": S1, "text": "And on Sundays."}, outline=with_content(PARAGRAPH)
    )
    assert "old" not in row
    assert row["new"].endswith("than in April.{+\n\nAnd on Sundays.+}")
    assert "new" not in replaced("\n\nAnd on Sundays.", "", PARAGRAPH + "\n\nAnd on Sundays.")


def test_a_long_inserted_text_is_cut_inside_the_marks() -> None:
    row = replaced("81 EUR", "81 EUR, after " + "many " * 200 + "corrections")
    assert len(row["new"]) <= 180
    assert re.search(r"\{\+after many .*…\+\}", row["new"])


def test_edits_far_apart_are_shown_with_an_ellipsis_between() -> None:
    text = "\n".join(f"Line {n} says that figure {n} is {n}{n}." for n in range(40))
    after = text.replace("figure 3 ", "number 3 ").replace("figure 30 ", "number 30 ")
    outline = with_content(text)
    [row] = rows({"op": "edit_section", "section": S1, "content": after}, outline=outline)
    assert row["new"] == ("Line 3 says that {+number+} 3 is 33. … Line 30 says that {+number+} 30 is 3030.")


def test_a_text_replaced_as_a_whole_is_shown_by_its_beginning_without_marks() -> None:
    outline = with_content("ä" * 300)
    [row] = rows({"op": "edit_section", "section": S1, "content": "ö" * 300}, outline=outline)
    assert (row["old"], row["new"]) == ("ä" * 119 + "…", "ö" * 119 + "…")


def test_a_long_value_that_is_no_text_is_shown_as_json_with_the_change_marked() -> None:
    value = {"unit": "EUR", "accounts": list(range(1000, 1040)), "limit": 5}
    old = changed_outline(small_outline(), {"op": "set_metadata", "key": "k", "value": value})
    [row] = rows({"op": "set_metadata", "key": "k", "value": value | {"limit": 6}}, outline=old)
    assert row["at"] == "metadata/k"
    assert row["old"].endswith('"limit":[-5-],"unit":"EUR"}')
    assert row["new"].endswith('"limit":{+6+},"unit":"EUR"}')


@pytest.mark.parametrize("text", ["12 %", "", "x " * 500])
def test_a_value_that_did_not_exist_has_no_side(text: str) -> None:
    old = changed_outline(small_outline(), {"op": "edit_section", "section": S2, "content": "here"})
    found = rows({"op": "edit_section", "section": S3, "content": text}, outline=old)
    assert all("old" not in row for row in found)
    assert len(found) == bool(text)


# --- Lists -------------------------------------------------------------------------------


def test_tags_and_citations_come_and_go() -> None:
    outline = changed_outline(small_outline(), {"op": "add_tags", "tags": ["sales", "monthly"]})
    more = {"op": "add_tags", "tags": ["revenue"]}
    assert rows(more, {"op": "remove_tags", "tags": ["sales"]}, outline=outline) == [
        {"at": "metadata/tags", "added": ["revenue"], "removed": ["sales"]}
    ]
    cited = {"source": "url", "url": "https://a.b", "title": "Export"}
    assert rows({"op": "add_citation", "insight": I2, "citation": cited}) == [
        {"item": "second", "at": f"insights/{I2[:8]}/citations", "added": [cited]}
    ]


def test_a_list_that_was_only_reordered_shows_positions() -> None:
    delta = [{"at": "metadata/tags", "splices": [[0, ["a"], []], [3, [], ["a"]]]}]
    assert edit_rows(delta) == [{"at": "metadata/tags", "old": "a at position 1", "new": "a at position 3"}]


def test_of_a_long_list_the_first_values_are_shown_and_the_others_counted() -> None:
    [row] = rows({"op": "add_tags", "tags": [f"tag {n} {'x' * 30}" for n in range(50)]})
    assert row["added"][0].startswith("tag 0 ")
    shown = len(row["added"]) - 1
    assert row["added"][-1] == f"… {50 - shown} more"
    assert size(row) < 500


# --- Items -------------------------------------------------------------------------------


def test_an_added_item_needs_one_row() -> None:
    before = small_outline()
    after = changed_outline(
        before,
        {"op": "add_insight", "section": S2, "summary": "They rise"},
        {"op": "add_section", "title": "Costs", "content": "12 EUR"},
    )
    shown = edit_rows(diff(before, after), before, after)
    assert [{k: row[k] for k in row if k != "at"} for row in shown] == [
        {"item": "Costs", "new": "12 EUR"},
        {"item": "They rise", "new": "They rise"},
    ]
    back = edit_rows(diff(after, before), after, before)
    assert [(row["item"], row.get("old"), row.get("new")) for row in back] == [
        ("Costs", "12 EUR", None),
        ("They rise", "They rise", None),
    ]


def test_a_moved_insight_has_one_row_with_both_places() -> None:
    assert rows({"op": "move_insight", "insight": I2, "section": S2, "position": "first"}) == [
        {
            "item": "second",
            "at": f"insights/{I2[:8]}",
            "old": "position 2 in Findings",
            "new": "position 1 in Risks",
        }
    ]
    assert rows({"op": "move_section", "section": S3, "position": "first"}) == [
        {"item": "Outlook", "at": f"sections/{S3[:8]}", "old": "position 3", "new": "position 1"}
    ]


def test_insights_of_a_removed_section_show_where_they_went() -> None:
    removed, *moved = rows({"op": "remove_section", "section": S1, "insights_to": S2})
    assert removed == {"item": "Findings", "at": f"sections/{S1[:8]}", "old": "one two\ntwo three"}
    assert [(row["item"], row["old"], row["new"]) for row in moved] == [
        ("first", "position 1 in Findings", "position 2 in Risks"),
        ("second", "position 2 in Findings", "position 3 in Risks"),
    ]


def test_an_insight_that_was_in_no_section_says_so() -> None:
    [row] = rows({"op": "move_insight", "insight": LOOSE, "section": S3})
    assert (row["old"], row["new"]) == ("in no section", "position 1 in Outlook")


def test_ids_are_as_long_as_the_report_needs() -> None:
    data = outline_data(small_outline())
    twin = I1[:12] + "1" + I1[13:]
    data["insights"].append(data["insights"][0] | {"insight_id": twin})
    before = Outline.model_validate(data)
    after = changed_outline(before, {"op": "edit_insight", "insight": I1, "importance": 9})
    [row] = edit_rows(diff(before, after), before, after)
    assert row["at"] == f"insights/{I1[:13]}/importance"


@given(st.data(), outlines())
def test_every_edit_has_a_row_that_names_its_item(data: st.DataObject, old: Outline) -> None:
    new = data.draw(edited_outlines(old))
    delta = diff(old, new)
    found = placed_rows(delta, old, new)
    for one in found:
        assert one.row.keys() & {"old", "new", "added", "removed"}
        assert ("item" in one.row) == (one.place[0] in ("sections", "insights"))
        assert size(one.row) < 2_500
    assert edit_rows(delta, old, new) == edit_rows(delta, old, apply(old, delta))


# --- Without outlines --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "row"),
    [
        (
            {"at": f"insights/{I1}/importance", "old": 6, "new": 8},
            {"at": f"insights/{I1[:8]}/importance", "old": 6, "new": 8},
        ),
        ({"at": "outline_version", "old": 1, "new": 2}, None),
        ({"at": f"insights/{I1}/updated_at", "old": "a", "new": "b"}, None),
        ({"at": f"insights/{I1}/supporting_queries", "splices": [[0, [], [{"execution_id": "x"}]]]}, None),
        (
            {"at": f"insights/{I1}", "new": {"summary": "Up"}},
            {"item": "Up", "at": f"insights/{I1[:8]}", "new": "Up"},
        ),
        ({"at": "", "new": {"title": "Health"}}, {"at": "", "new": "Health"}),
        (
            {"at": f"insights/{I1}/summary", "splices": [[0, "old", "new"], [9, "", "more"]]},
            {
                "at": f"insights/{I1[:8]}/summary",
                "old": "… [-old-] …",
                "new": "… {+new+} … {+more+} …",
            },
        ),
        ({"at": "metadata/a~1b", "new": {"x": [1]}}, {"at": "metadata/a~1b", "new": {"x": [1]}}),
        ({"at": "metadata/k", "old": ["x" * 300]}, {"at": "metadata/k", "removed": ["x" * 119 + "…"]}),
        (
            {"at": "sections", "splices": [[0, [S2], []], [3, [], [S2]]]},
            {"at": f"sections/{S2[:8]}", "old": "position 1", "new": "position 3"},
        ),
    ],
)
def test_a_delta_alone_is_shown_as_far_as_it_goes(edit: Row, row: Row | None) -> None:
    assert edit_rows([edit]) == ([row] if row else [])


def test_ids_of_any_shape_are_distinguished() -> None:
    delta = [{"at": f"insights/{i}/importance", "old": 1, "new": 2} for i in ("a" * 8, "a" * 9, "b")]
    assert [row["at"].split("/")[1] for row in edit_rows(delta)] == ["a" * 8, "a" * 9, "b"]


# --- Excerpts ----------------------------------------------------------------------------


@given(st.text("ab. \n", max_size=400), st.text("ab. \n", max_size=400), st.integers(60, 200))
def test_an_excerpt_contains_only_the_text_and_its_marks(old: str, new: str, limit: int) -> None:
    pieces = splices.between_texts(old, new)
    for text, shown in zip((old, new), splices.excerpts(old, new, pieces, limit), strict=True):
        assert len(shown) <= limit + 60
        for part in re.split(r"…| … |\[-|-\]|\{\+|\+\}", shown):
            assert part.strip() in text
        assert shown.count("[-") == shown.count("-]")
        assert shown.count("{+") == shown.count("+}")


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_splice_between_the_common_ends_applies(old: str, new: str) -> None:
    assert splices.apply(old, splices.between_ends(old, new)) == new


# --- Events ------------------------------------------------------------------------------

AT = f"insights/{I3}"


def event(delta: Any, **payload: Any) -> AuditEvent:
    ts = "2026-11-23T10:00:00.123456+00:00"
    base = {"delta": delta, "outline_version": 12, "client": "claude-desktop 1.2.3"} | payload
    return AuditEvent(
        action_id=uid(7), report_id=uid(0xFFFF), ts=ts, actor="agent", action_type="evolve", payload=base
    )  # fmt: skip


def insight(number: int, **fields: Any) -> Row:
    return {"insight_id": uid(number), "importance": 5, "summary": f"Finding {number}"} | fields


def test_an_event_as_a_row() -> None:
    delta = [{"at": AT + "/importance", "old": 6, "new": 8}, {"at": "outline_version", "old": 11, "new": 12}]
    assert event_row(event(delta, reason="New figures", prev_sha256="0")) == {
        "version": 12,
        "ts": "2026-11-23T10:00:00.123456+00:00",
        "actor": "agent",
        "client": "claude-desktop 1.2.3",
        "action_type": "evolve",
        "reason": "New figures",
        "action_id": uid(7),
        "changed": [{"at": f"insights/{I3[:8]}/importance", "old": 6, "new": 8}],
    }


@pytest.mark.parametrize(
    "delta",
    [
        [{"at": AT + "/summary", "old": "a" * 5_000, "new": "é" * 5_000}],
        [{"at": AT + "/summary", "splices": [[n * 9, "old", "new"] for n in range(100)]}],
        [
            {"at": AT, "new": insight(1, summary="s" * 9_000)},
            {"at": AT + "/metadata/as_of", "new": "2026-11-23"},
        ],
    ],
)
def test_the_row_of_an_edit_to_one_insight_is_short(delta: list[Row]) -> None:
    row = event_row(event(delta, reason="Because the weekly figures came in. " * 20))
    assert size(row) <= 1_000
    assert row["changed"][0]["at"].startswith(f"insights/{I3[:8]}")


def test_the_row_of_a_large_change_counts_the_omitted_edits() -> None:
    delta = [{"at": f"insights/{uid(n)}", "new": insight(n, summary="s" * 500)} for n in range(500)]
    row = event_row(event(delta, reason="r" * 9_000, client="c" * 500))
    assert len(row["changed"]) + row["changed_more"] == 500
    assert len(row["changed"]) >= 3
    assert size(row) <= 1_600


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"delta": "x", "reason": 5, "client": None, "outline_version": True},
        {"delta": [1, {}, {"at": 3}, {"at": "a~x", "new": 1}, {"at": "title", "splices": [[0, "a"]]}]},
        {"delta": [{"at": "sections", "splices": "no"}, {"at": "sections/a/insight_ids", "new": [3]}]},
        {"delta": [{"at": "sections/a/insight_ids", "splices": [[0, ["x"], [{}]]]}]},
        {
            "delta": [
                {"at": "sections", "splices": [[0, [{}], [{}]]]},
                {"at": "title", "splices": [[0, [{}], ["a"]], [4, "a", "b"]]},
            ]
        },
        {"delta": [{"at": "title", "splices": []}, {"at": "title", "old": None, "new": ""}]},
    ],
)
def test_events_of_other_programs_are_shown_as_far_as_they_parse(payload: Row) -> None:
    other = event([]).model_copy(update={"payload": payload})
    assert list(event_row(other)) == ["ts", "actor", "action_type", "action_id"]


@pytest.mark.parametrize("value", [5, None, "x", ["a"], {"insight_ids": 3}, {"title": ["a"]}, {"summary": 1}])
def test_items_of_other_programs_may_be_anything(value: Any) -> None:
    delta = [{"at": f"sections/{S1}", "new": value}, {"at": f"sections/{S2}", "old": value, "new": 4}]
    assert "changed" in event_row(event(delta))
