"""A change made against another version is refused with what it takes to decide and try again."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from living_reports.errors import VersionConflictError
from living_reports.library import Library
from living_reports.library.requests import AuditReport, GetReport, RevertReport, UpdateReport
from support.library_reports import (
    ANN,
    BEN,
    append_text,
    content_of,
    create_report,
    refused_update,
    replace_content,
    set_title,
    update_report,
)

Row = dict[str, Any]
TEN = {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "10 %"}
NINE = {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "9 %"}


def size(error: Row) -> int:
    return len(json.dumps({"error": error}, ensure_ascii=False, separators=(",", ":")).encode())


def test_one_clash_is_told_whole_and_short(library: Library) -> None:
    report = create_report(library)
    made = update_report(library, report, TEN, reason="June", author=BEN)
    error = refused_update(library, report, append_text("x", "Latency"), NINE, reason="July")
    assert (error["code"], error["retry"]) == ("version_conflict", "changed")
    assert (error["expected_version"], error["current_version"]) == (1, 2)
    [conflict] = error["conflicts"]
    ts = library.audit_report(AuditReport(report, limit=1))["events"][0]["ts"]
    by = {"version": 2, "ts": ts, "actor": "agent", "client": "ben/2.0", "reason": "June"}
    assert list(conflict) == ["change", "item", "at", "base", "current", "yours", "by"]
    assert conflict == {
        "change": "changes[1]",
        "item": "Errors",
        "at": made["changed"][0]["at"],
        "base": "12 % of orders fail.",
        "current": "10 % of orders fail.",
        "yours": "9 % of orders fail.",
        "by": by,
    }
    assert size(error) < 2_000
    assert library.get_report(GetReport(report))["version"] == 2


def test_of_a_long_text_the_lines_that_clash_are_shown(library: Library) -> None:
    lines = [f"| vendor {number} | product | 1.{number} |" for number in range(200)]
    report = create_report(library, sections=[{"title": "Errors", "content": "\n".join(lines)}])
    edit = {"op": "edit_text", "section": "Errors"}
    theirs = (
        edit | {"find": "| 1.7 |", "replace": "| 1.8 |"},
        edit | {"find": "vendor 7 ", "replace": "V7 "},
    )
    update_report(library, report, *theirs, edit | {"find": "| 1.99 |", "replace": "| 2.0 |"}, author=BEN)
    error = refused_update(
        library, report, edit | {"find": "vendor 7 | product", "replace": "vendor 7 | tool"}
    )
    [conflict] = error["conflicts"]
    assert conflict["base"] == lines[7]
    assert conflict["current"] == "| V7 | product | 1.8 |"
    assert conflict["yours"] == "| vendor 7 | tool | 1.7 |"


def test_retry_with_is_the_same_call_against_the_current_version(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, replace_content("10 % fail."), author=BEN)
    error = refused_update(library, report, replace_content("9 % fail."), reason="July")
    again = error["retry_with"]
    assert again == {
        "report": report,
        "changes": [replace_content("9 % fail.")],
        "reason": "July",
        "expected_version": 2,
    }
    assert library.update_report(UpdateReport(**again), author=ANN)["version"] == 3
    assert content_of(library, report) == "9 % fail."


@pytest.mark.parametrize(
    ("mine", "is_given"),
    [
        (NINE, True),
        (replace_content("x" * 1_000), False),
        (replace_content("ü" * 450), False),
        (replace_content("ü" * 350), True),
    ],
)
def test_retry_with_is_left_out_where_it_is_long(library: Library, mine: Row, is_given: bool) -> None:
    report = create_report(library)
    update_report(library, report, TEN, author=BEN)
    error = refused_update(library, report, mine)
    assert ("retry_with" in error) is is_given
    assert size(error) < 2_000


def test_who_is_named_is_who_last_changed_the_lines_that_clash(library: Library) -> None:
    report = create_report(library, sections=[{"title": "Errors", "content": "one\n\ntwo\n\nthree\n\nfour"}])
    edit = {"op": "edit_text", "section": "Errors"}
    update_report(library, report, edit | {"find": "two", "replace": "2"}, author=BEN, reason="first")
    update_report(library, report, edit | {"find": "2", "replace": "II"}, author=BEN, reason="in the way")
    update_report(library, report, edit | {"find": "four", "replace": "4"}, author=BEN, reason="elsewhere")
    update_report(library, report, set_title("Checkout"), author=BEN)
    [conflict] = refused_update(library, report, edit | {"find": "two", "replace": "zwei"})["conflicts"]
    assert conflict["by"]["reason"] == "in the way"


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        (set_title("Theirs"), set_title("Mine")),
        ({"op": "set_status", "status": "archived"}, {"op": "set_status", "status": "deleted"}),
        ({"op": "set_metadata", "key": "a/b", "value": 1}, {"op": "set_metadata", "key": "a/b", "value": 2}),
        ({"op": "remove_section", "section": "Errors"}, append_text("x")),
        (append_text("x"), {"op": "remove_section", "section": "Errors"}),
    ],
)
def test_what_clashes_is_shown_with_the_change_that_it_clashes_with(
    library: Library, theirs: Row, mine: Row
) -> None:
    report = create_report(library)
    update_report(library, report, theirs, author=BEN)
    error = refused_update(library, report, mine)
    assert error["conflicts"][0]["change"] == "changes[0]"
    assert size(error) < 2_500


def test_what_was_removed_is_brought_back_as_the_refusal_says(library: Library) -> None:
    report = create_report(library)
    insight = library.store.read(report).outline.insights[0].insight_id
    update_report(library, report, {"op": "remove_insight", "insight": insight}, author=BEN)
    mine = {"op": "edit_insight", "insight": insight, "importance": 9}
    error = refused_update(library, report, mine)
    [conflict] = error["conflicts"]
    assert conflict["current"] is None
    assert "retry_with" not in error
    assert "revert_report with to_version=1" in error["hint"]
    library.revert_report(RevertReport(report, to_version=1, item=conflict["at"]), author=ANN)
    assert update_report(library, report, mine, expected_version=1)["version"] == 4


def test_a_conflict_in_long_text_of_many_bytes_stays_short(library: Library) -> None:
    sections = [{"title": "Errors", "content": "風" * 5_000}]
    report = create_report(library, sections=sections)
    update_report(library, report, replace_content("險" * 5_000), author=BEN, reason="因" * 1_000)
    error = refused_update(library, report, replace_content("為" * 5_000))
    assert size(error) < 2_000
    assert error["conflicts"][0]["yours"].startswith("為")


def test_many_conflicts_are_counted_and_the_answer_stays_short(library: Library) -> None:
    sections = [{"title": f"Section {number}", "content": "12 %"} for number in range(100)]
    report = create_report(library, sections=sections)
    update_report(
        library, report, *(replace_content("10 % " * 80, f"Section {n}") for n in range(100)), author=BEN
    )
    error = refused_update(
        library, report, *(replace_content("9 % " * 80, f"Section {n}") for n in range(100))
    )
    assert len(error["conflicts"]) == 8
    assert error["more_conflicts"] == 92
    assert size(error) < 6_000


def test_a_version_that_is_not_there_yet_or_never_was(library: Library) -> None:
    report = create_report(library)
    error = refused_update(library, report, append_text("x"), expected_version=7)
    assert error["conflicts"] == []
    assert "no version 7 yet" in error["hint"]
    assert "retry_with" not in error
    assert refused_update(library, report, append_text("x"), expected_version=-3)["conflicts"] == []


def test_a_revert_is_refused_in_the_same_way(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, replace_content("10 % fail."))
    update_report(library, report, append_text("Ben's."), author=BEN)
    with pytest.raises(VersionConflictError) as caught:
        library.revert_report(RevertReport(report, 1, expected_version=2), author=ANN)
    error = caught.value.answer()["error"]
    assert error["conflicts"][0]["by"]["client"] == "ben/2.0"
    assert "yours" in error["conflicts"][0] or "current" in error["conflicts"][0]
    assert library.revert_report(RevertReport(**error["retry_with"]), author=ANN)["version"] == 4
    assert size(error) < 2_000


@pytest.mark.parametrize("what", [{"undo": 2}, {"to_version": 1}, {"to_version": 1, "item": "Errors"}])
def test_a_revert_that_would_not_keep_the_rest_is_not_offered_again(library: Library, what: Row) -> None:
    report = create_report(library)
    update_report(library, report, replace_content("First.\n\nMost of them at night."))
    late = replace_content("Ben first.\n\nMost of them at night.\n\nBen's.")
    update_report(library, report, late, append_text("Ben's.", "Latency"), author=BEN)
    with pytest.raises(VersionConflictError) as caught:
        library.revert_report(RevertReport(report, expected_version=2, **what), author=ANN)
    error = caught.value.answer()["error"]
    assert "retry_with" not in error
    assert "retry_with" not in error["hint"]
    assert "update_report" in error["hint"]
    assert error["conflicts"][0]["by"]["version"] == 3


# --- Calls that are ready to send ----------------------------------------------------------


def keep_both(library: Library, report: str, *changes: Row, **more: Any) -> Row:
    """Make the refused update keep both sides, and return the call that was sent."""
    error = refused_update(library, report, *changes, **more)
    call: Row = error["keep_both"]
    assert size(error) < 2_000 + 500 * (len(error["conflicts"]) - 1)
    library.update_report(UpdateReport(**call), author=ANN)
    return call


def test_both_sides_of_a_text_can_be_kept_theirs_first(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, TEN, author=BEN)
    call = keep_both(library, report, NINE, reason="July")
    assert list(call) == ["report", "changes", "reason", "expected_version"]
    assert content_of(library, report) == (
        "10 % of orders fail.\n9 % of orders fail.\n\nMost of them at night."
    )


def test_two_paragraphs_at_the_same_end_can_both_be_kept(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("Ben's."), author=BEN)
    keep_both(library, report, append_text("Ann's."), set_title("Checkout"))
    assert content_of(library, report).endswith("Most of them at night.\n\nBen's.\n\nAnn's.")
    assert library.get_report(GetReport(report))["title"] == "Checkout"


@pytest.mark.parametrize(
    ("base", "theirs", "mine", "together"),
    [
        ("", "Ben's.", "Ann's.", "Ben's.\n\nAnn's."),
        ("- one", "- two", "- three", "- one\n- two\n- three"),
    ],
)
def test_texts_appended_by_both_sides_are_appended_one_after_the_other(
    library: Library, base: str, theirs: str, mine: str, together: str
) -> None:
    report = create_report(library, sections=[{"title": "Errors", "content": base}])
    update_report(library, report, append_text(theirs), author=BEN)
    keep_both(library, report, append_text(mine))
    assert content_of(library, report) == together


def test_both_summaries_lists_tags_and_citations_can_be_kept(library: Library) -> None:
    report = create_report(library, tags=["ops"])
    insight = library.store.read(report).outline.insights[0].insight_id
    edit = {"op": "edit_insight", "insight": insight}
    owners = {"op": "set_metadata", "key": "owners"}
    update_report(library, report, owners | {"value": ["ann", "cy"]})
    theirs = (
        edit | {"summary": "Errors doubled in June", "citations": [{"url": "https://theirs"}]},
        owners | {"value": ["ann", "cy", "ben"]},
        {"op": "add_tags", "tags": ["june"]},
    )
    update_report(library, report, *theirs, author=BEN)
    mine = (
        edit | {"summary": "Errors doubled in July", "citations": [{"url": "https://mine"}]},
        owners | {"value": ["ann", "dee"]},
        {"op": "add_tags", "tags": ["july"]},
    )
    keep_both(library, report, *mine, expected_version=2)
    outline = library.store.read(report).outline
    [kept] = outline.insights
    assert kept.summary == "Errors doubled in June\nErrors doubled in July"
    assert [citation.url for citation in kept.citations] == ["https://theirs", "https://mine"]
    assert sorted(outline.metadata["owners"]) == ["ann", "ben", "dee"]
    assert outline.tags == ["ops", "june", "july"]


def both_move(library: Library, report: str) -> tuple[Row, Row]:
    insight = library.store.read(report).outline.insights[0].insight_id
    move = {"op": "move_insight", "insight": insight}
    return move | {"section": "Latency"}, move | {"section": "Costs"}


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        (set_title("Theirs"), set_title("Mine")),
        (set_title("Mine too"), set_title("Mine")),
        ({"op": "edit_section", "section": "Errors", "clear": ["content"]}, TEN),
        (TEN, {"op": "edit_section", "section": "Errors", "clear": ["content"]}),
        ({"op": "remove_section", "section": "Errors"}, TEN),
        ({"op": "set_metadata", "key": "k", "value": "a"}, {"op": "set_metadata", "key": "k", "value": "b"}),
    ],
)
def test_what_has_one_value_is_not_offered_as_both(library: Library, theirs: Row, mine: Row) -> None:
    report = create_report(library)
    update_report(library, report, theirs, author=BEN)
    error = refused_update(library, report, mine)
    assert "keep_both" not in error
    assert "keep_both" not in error["hint"]


def test_citations_of_both_sides_stay_beside_texts_that_are_both_kept(library: Library) -> None:
    report = create_report(library)
    cite = {"op": "add_citation", "section": "Errors"}
    update_report(library, report, TEN, cite | {"citation": {"url": "https://theirs"}}, author=BEN)
    dated = {"url": "https://mine", "accessed_at": "2026-11-27"}
    keep_both(library, report, NINE, cite | {"citation": dated})
    section = library.store.read(report).outline.sections[0]
    assert [citation.url for citation in section.citations] == ["https://theirs", "https://mine"]


def test_both_sides_of_a_chart_are_not_offered(library: Library) -> None:
    chart = '```vega-lite\n{"mark": "bar"}\n```\n\nErrors by month.'
    report = create_report(library, sections=[{"title": "Errors", "content": chart}])
    edit = {"op": "edit_text", "section": "Errors"}
    update_report(library, report, edit | {"find": "bar", "replace": "line"}, author=BEN)
    assert "keep_both" not in refused_update(library, report, edit | {"find": "bar", "replace": "point"})
    update_report(library, report, edit | {"find": "month", "replace": "week"}, author=BEN)
    mine = edit | {"find": "month", "replace": "day"}
    assert "keep_both" in refused_update(library, report, mine, expected_version=2)


def test_what_merged_stays_where_an_appended_text_is_kept_beside_another(library: Library) -> None:
    lines = "b1\nb2\nb3\nb4\nb5"
    sections = [
        {"title": "Errors", "content": "a"},
        {"title": "Costs", "content": lines, "citations": [{"url": "https://1"}]},
    ]
    report = create_report(library, sections=sections)
    theirs = (
        append_text("Ben's."),
        {"op": "edit_text", "section": "Costs", "find": "b1", "replace": "b1 Ben"},
        {"op": "add_citation", "section": "Costs", "citation": {"url": "https://ben"}},
    )
    update_report(library, report, *theirs, author=BEN)
    cited_by_ann = {"citations": [{"url": "https://1"}, {"url": "https://ann"}]}
    keep_both(library, report, append_text("Ann's."), replace_content(f"{lines} Ann", "Costs") | cited_by_ann)
    assert content_of(library, report) == "a\n\nBen's.\n\nAnn's."
    costs = library.store.read(report).outline.sections[1]
    assert costs.content == "b1 Ben\nb2\nb3\nb4\nb5 Ann"
    assert [citation.url for citation in costs.citations] == ["https://1", "https://ben", "https://ann"]


def test_a_line_that_one_side_replaced_does_not_come_back(library: Library) -> None:
    report = create_report(library, sections=[{"title": "Errors", "content": "l1\nl2\nl3"}])
    update_report(library, report, replace_content("l1\nl2 ben\nl3"), author=BEN)
    keep_both(library, report, replace_content("l1\nl3 ann"))
    assert content_of(library, report) == "l1\nl2 ben\nl3 ann"


PYTHON = "```python\nprint({})\n```"


@pytest.mark.parametrize(
    ("base", "theirs", "mine"),
    [
        ("intro", *(f'intro\n\n```vega-lite\n{{"data": {{"values": [{n}]}}}}\n```' for n in (1, 2))),
        ("intro", *(f"intro\n\n{PYTHON.format(n)}" for n in (1, 2))),
        ("intro", *(f"intro\n\n> ```\n> {n}\n> ```" for n in (1, 2))),
        ("intro", *(f"intro\n\n- ~~~\n  {n}\n  ~~~" for n in (1, 2))),
        ("intro", *(f"intro\n\n$$\n{n}\n$$" for n in (1, 2))),
        ("$$\na\n$$", "$$\nb\n$$", "$$\nc\n$$"),
        ("intro", *(f"intro\n\n| a |\n|---|\n| {n} |" for n in (1, 2))),
        ("| a |\n|---|\n| 0 |", "| a |\n|---|\n| 1 |", "| a |\n|---|\n| 2 |"),
        ("~~~\n```\n~~~\na", "~~~\n```\nb\n~~~\na", "~~~\n```\nc\n~~~\na"),
        ("one\n\ntwo\n\nthree", "```\none\n\ntwo b\n\nthree\n```", "one\n\ntwo c\n\nthree"),
    ],
)
def test_both_sides_of_code_formulas_and_tables_are_not_offered(
    library: Library, base: str, theirs: str, mine: str
) -> None:
    report = create_report(library, sections=[{"title": "Errors", "content": base}])
    update_report(library, report, replace_content(theirs), author=BEN)
    error = refused_update(library, report, replace_content(mine))
    assert "keep_both" not in error
    assert "keep_both" not in error["hint"]
    library.update_report(UpdateReport(**error["retry_with"]), author=ANN)


def test_prose_beside_blocks_can_be_kept_of_both_sides(library: Library) -> None:
    blocks = f"{PYTHON.format(1)}\n\n$$\nx\n$$\n\n| a |\n|---|\n\n~~~\n```\n~~~\n\n"
    report = create_report(library, sections=[{"title": "Errors", "content": f"{blocks}old"}])
    update_report(library, report, replace_content(f"First.\n\n{blocks}theirs"), author=BEN)
    keep_both(library, report, replace_content(f"{blocks}mine"))
    assert content_of(library, report) == f"First.\n\n{blocks}theirs\nmine"


def test_an_item_that_both_moved_has_one_place_and_both_names(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, {"op": "add_section", "title": "Costs"})
    theirs, mine = both_move(library, report)
    update_report(library, report, theirs, author=BEN)
    error = refused_update(library, report, mine, expected_version=2)
    assert "keep_both" not in error
    [row] = error["conflicts"]
    assert row["item"] == "Errors doubled in May"
    assert [row[side]["section_title"] for side in ("base", "current", "yours")] == [
        "Errors", "Latency", "Costs",
    ]  # fmt: skip
    assert all(len(row["base"][name]) == 8 for name in ("insight_id", "section_id"))


@pytest.mark.parametrize("choice", ["retry_with", "keep_both"])
def test_a_call_ready_to_send_keeps_dry_run_and_has_a_request_id_of_its_own(
    library: Library, choice: str
) -> None:
    report = create_report(library)
    update_report(library, report, TEN, author=BEN)
    error = refused_update(library, report, NINE, dry_run=True, request_id="june")
    call = error[choice]
    assert call["dry_run"] is True
    assert call["expected_version"] == 2
    ids = {error[name]["request_id"] for name in ("retry_with", "keep_both")} | {"june"}
    assert len(ids) == 3
    assert library.update_report(UpdateReport(**call), author=ANN)["dry_run"]
    assert library.get_report(GetReport(report))["version"] == 2
    written = library.update_report(UpdateReport(**call | {"dry_run": False}), author=ANN)
    assert written["version"] == 3
    assert library.update_report(UpdateReport(**call | {"dry_run": False}), author=ANN) == written


def test_a_refused_revert_keeps_dry_run_and_has_a_request_id_of_its_own(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, replace_content("10 % fail."))
    update_report(library, report, append_text("Ben's."), author=BEN)
    with pytest.raises(VersionConflictError) as caught:
        library.revert_report(
            RevertReport(report, 1, expected_version=2, dry_run=True, request_id="back"), author=ANN
        )
    again = caught.value.details["retry_with"]
    assert again["dry_run"] is True
    assert again["request_id"] not in ("", "back")
    assert library.revert_report(RevertReport(**again), author=ANN)["dry_run"]


def test_only_the_conflicting_change_is_restated(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, TEN, author=BEN)
    added = {"op": "add_insight", "section": "Latency", "summary": "Slow", "ref": "slow"}
    more = (added, {"op": "edit_insight", "insight": "slow", "importance": 9}, append_text("x", "Latency"))
    call = keep_both(library, report, NINE, *more)
    assert call["changes"][:3] == list(more)
    outline = library.store.read(report).outline
    assert (outline.insights[-1].summary, outline.insights[-1].importance) == ("Slow", 9)
    assert content_of(library, report, "Latency").endswith("x")


# --- Calls that are ready to send, compared with the words of both sides --------------------


def lines_changed(rng: random.Random, base: list[str], word: str) -> list[str]:
    """Return lines with some prose replaced or removed, and lines or a code block of new words inserted."""
    lines: list[str] = []
    for number, line in enumerate([*base, ""]):
        in_code = line == "code" or lines[-1:] == ["code"]
        if not in_code and rng.random() < 0.25:
            new = [f"{word}{number}{letter}" for letter in "ab"[: rng.randint(1, 2)]]
            lines += ["```", *new, "```"] if rng.random() < 0.2 else new
        is_prose = line.startswith("base")
        if is_prose and rng.random() < 0.4:
            lines += [f"{word}{number}r"] if rng.random() < 0.6 else []
        elif line:
            lines.append(line)
    return lines


def code_blocks(lines: list[str]) -> list[str]:
    return "\n".join(lines).split("```")[1::2]


def sections_of(library: Library, report: str) -> list[list[str]]:
    outline = library.store.read(report).outline
    return [[line for line in (s.content or "").split("\n") if line] for s in outline.sections]


def in_order(lines: list[str], others: list[str]) -> bool:
    words, known = ([line for line in side if line != "```"] for side in (lines, others))
    return [line for line in words if line in known] == [line for line in known if line in words]


@pytest.mark.parametrize("choice", ["retry_with", "keep_both"])
@pytest.mark.parametrize("seed", range(4))
def test_an_offered_call_gives_what_it_says_and_the_merge_elsewhere(
    library: Library, choice: str, seed: int
) -> None:
    rng, offered = random.Random(seed), 0
    for _ in range(30):
        base = [*(f"base{n}" for n in range(3)), "```", "code", "```", *(f"base{n}" for n in range(3, 6))]
        theirs, mine = lines_changed(rng, base, "theirs"), lines_changed(rng, base, "mine")
        elsewhere = [f"other{n}" for n in range(5)]
        sections = [
            {"title": title, "content": "\n".join(lines), "citations": [{"url": "https://base"}]}
            for title, lines in (("Errors", base), ("Costs", elsewhere))
        ]
        report = create_report(library, sections=sections)
        by_theirs = replace_content("\n".join(["theirs", *elsewhere[1:]]), "Costs")
        cite = {"op": "add_citation", "section": "Costs", "citation": {"url": "https://theirs"}}
        theirs += ["theirs at the end"]
        update_report(library, report, replace_content("\n".join(theirs)), by_theirs, cite, author=BEN)
        by_mine = replace_content("\n".join([*elsewhere[:4], "mine"]), "Costs")
        by_mine["citations"] = [{"url": "https://base"}, {"url": "https://mine"}]
        appended = rng.random() < 0.3
        mine = [*base, "mine at the end"] if appended else [*mine, "mine at the end"]
        change = append_text("mine at the end") if appended else replace_content("\n".join(mine))
        try:
            update_report(library, report, change, by_mine, expected_version=1)
            continue
        except VersionConflictError as refused:
            if choice not in refused.details:
                continue
            library.update_report(UpdateReport(**refused.details[choice]), author=ANN)
        offered += 1
        text, costs = sections_of(library, report)
        assert costs == ["theirs", *elsewhere[1:4], "mine"]
        cited = [citation.url for citation in library.store.read(report).outline.sections[1].citations]
        assert len(cited) == 3
        assert set(cited) == {"https://base", "https://mine", "https://theirs"}
        added = {line for line in mine if line.startswith("mine")}
        kept = {line for line in base if line in theirs and line in mine}
        if choice == "keep_both":
            added |= {line for line in theirs if line.startswith("theirs")}
            assert set(text) - {"```"} == (added | kept) - {"```"}
            assert in_order(text, theirs)
        assert added | kept <= set(text)
        assert set(text).isdisjoint(set(base) - set(mine))
        assert in_order(text, mine)
        assert len([line for line in text if line != "```"]) == len(set(text) - {"```"})
        assert set(code_blocks(text)) <= {*code_blocks(theirs), *code_blocks(mine)}
    assert offered


# --- Which side is newer -------------------------------------------------------------------


def refused_summaries(library: Library, theirs: Row, mine: Row) -> str:
    report = create_report(library)
    insight = library.store.read(report).outline.insights[0].insight_id
    edit = {"op": "edit_insight", "insight": insight}
    update_report(library, report, edit | {"summary": "Errors doubled in June"} | theirs, author=BEN)
    error = refused_update(library, report, edit | {"summary": "Errors doubled in July"} | mine)
    return str(error["hint"])


def cited(**times: str) -> Row:
    return {"citations": [{"url": "https://a.b", **times}]}


@pytest.mark.parametrize(
    ("theirs", "mine", "said"),
    [
        ({"as_of": "2026-11-20"}, {"as_of": "2026-11-27"}, "as_of 2026-11-20, yours 2026-11-27"),
        ({"as_of": "2026-11-28"}, {"as_of": "2026-11-27"}, "theirs is newer"),
        (cited(accessed_at="2026-11-20"), cited(accessed_at="2026-11-27T08:00:00Z"), "yours is newer"),
        (cited(observed_at="2026-11-20"), cited(observed_at="2026-11-21"), "yours is newer"),
    ],
)
def test_the_hint_says_which_side_is_newer_where_both_say_so(
    library: Library, theirs: Row, mine: Row, said: str
) -> None:
    assert said in refused_summaries(library, theirs, mine)


def test_the_times_of_sources_of_a_section_are_compared(library: Library) -> None:
    report = create_report(library)
    cite = {"op": "add_citation", "section": "Errors"}
    days = [{"citation": {"url": f"https://{day}", "accessed_at": f"2026-11-{day}"}} for day in (20, 27)]
    update_report(library, report, TEN, cite | days[0], author=BEN)
    hint = refused_update(library, report, NINE, cite | days[1])["hint"]
    assert "Theirs states accessed_at 2026-11-20, yours 2026-11-27: yours is newer." in hint


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        ({}, {}),
        ({"as_of": "2026-11-20"}, {}),
        ({}, {"as_of": "2026-11-20"}),
        ({"as_of": "2026-11-20"}, cited(accessed_at="2026-11-27")),
        ({"as_of": "2026-11-20"}, {"as_of": "2026-11-20"}),
        (cited(accessed_at="last week"), cited(accessed_at="2026-11-27")),
    ],
)
def test_the_hint_compares_nothing_that_one_side_did_not_state(
    library: Library, theirs: Row, mine: Row
) -> None:
    assert "newer" not in refused_summaries(library, theirs, mine)


def test_an_undo_that_conflicts_names_the_item(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, TEN, author=BEN)
    update_report(library, report, TEN | {"find": "10 %", "replace": "8 %"}, author=BEN)
    with pytest.raises(VersionConflictError) as caught:
        library.revert_report(RevertReport(report, undo=2), author=ANN)
    [row] = caught.value.details["conflicts"]
    assert row["item"] == "Errors"
