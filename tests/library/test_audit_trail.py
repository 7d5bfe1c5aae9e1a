"""Answers of audit_report: events, their order, the filters, and the result of verify."""

from __future__ import annotations

import json
from typing import Any

import pytest

from living_reports.errors import AmbiguousSelectorError, InvalidInputError, ItemNotFoundError
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport,
    CheckReport,
    DiffReport,
    GetReport,
    ListReports,
    RenderReport,
    RevertReport,
)
from living_reports.model.event import Author
from living_reports.model.report import Outline, sha256_hex
from living_reports.reading.history import Rewinder
from living_reports.reading.views import VIEWS
from living_reports.render import FORMATS
from living_reports.store.base import Snapshot
from support.library_reports import (
    ANN,
    BEN,
    append_text,
    create_report,
    folder_of,
    folder_store,
    record_render,
    replace_content,
    set_title,
    update_report,
)


def found(library: Library, report: str = "Health", **asked: Any) -> list[int]:
    """The versions of the events, as they come."""
    return [row["version"] for row in library.audit_report(AuditReport(report, **asked))["events"]]


def ids(library: Library) -> dict[str, str]:
    """Whole ids by title or summary."""
    full = library.get_report(GetReport("Health", view="full"))
    items = {row["title"]: row["section_id"] for row in full["sections"]}
    return items | {row["summary"]: row["insight_id"] for row in full["insights"]}


# --- Rows and pages -----------------------------------------------------------------------


def test_a_row_says_who_when_why_and_what(library: Library) -> None:
    report = create_report(library)
    answer = update_report(
        library, report, replace_content("15 % of orders fail."), reason="June", author=BEN
    )
    [row] = library.audit_report(AuditReport(report, since=1))["events"]
    assert list(row) == ["version", "ts", "actor", "client", "action_type", "reason", "action_id", "changed"]
    assert (row["version"], row["actor"], row["client"]) == (2, "agent", "ben/2.0")
    assert (row["action_type"], row["reason"]) == ("evolve", "June")
    assert row["action_id"] == answer["action_id"]
    assert [edit["at"].split("/")[0] for edit in row["changed"]] == ["sections"]
    assert set(library.audit_report(AuditReport(report))) == {
        "report_id",
        "title",
        "version",
        "events",
    }


@pytest.mark.parametrize("between", [0, 5, 40])
def test_rows_show_whole_texts_also_where_events_between_them_are_left_out(
    library: Library, between: int
) -> None:
    report = create_report(library)
    for figure in (13, 14, 15):
        update_report(library, report, replace_content(f"{figure} % of orders fail."), author=BEN)
        for number in range(between):
            update_report(library, report, set_title(f"Health {figure} {number}"))
    first = library.audit_report(AuditReport(report, actor="ben", limit=2))
    rows = first["events"]
    rows += library.audit_report(AuditReport(report, actor="ben", limit=2, cursor=first["next_cursor"]))[
        "events"
    ]
    shown = [(edit["item"], edit["old"], edit["new"]) for row in rows for edit in row["changed"]]
    assert shown == [
        ("Errors", "14 % of orders fail.", "15 % of orders fail."),
        ("Errors", "13 % of orders fail.", "14 % of orders fail."),
        ("Errors", "12 % of orders fail.\n\nMost of them at night.", "13 % of orders fail."),
    ]


def test_the_work_for_earlier_versions_is_bounded(library: Library) -> None:
    report = create_report(library)
    for number in range(5):
        update_report(library, report, append_text(f"{number}"))
    snapshot = library.store.read(report)
    read: list[int] = []

    def outline_at(version: int) -> Outline:
        read.append(version)
        return library.store.outline_at(report, version, snapshot)

    rewinder = Rewinder(outline_at, work=800)
    known = [rewinder.around(event)[1] is not None for event in library.store.events(report)]
    assert (known, read) == ([True, *[False] * 5], [6])


def test_edits_that_a_row_does_not_show_can_be_seen(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, *({"op": "add_section", "title": f"Section {n}"} for n in range(30)))
    answer = library.audit_report(AuditReport(report))
    [row] = (row for row in answer["events"] if "changed_more" in row)
    assert len(row["changed"]) + row["changed_more"] == 30
    [warning] = answer["warnings"]
    assert "diff_report with to_version=<version>" in warning
    shown = library.diff_report(DiffReport(report, to_version=row["version"]))["changed"]
    assert len(shown) == 30


def test_without_a_readable_version_rows_show_the_words_of_their_edits(library: Library) -> None:
    report = create_report(library)
    change = {"op": "edit_text", "section": "Errors", "find": "orders", "replace": "all orders"}
    update_report(library, report, replace_content("12 % of orders fail. " * 10), change | {"all": True})
    update_report(library, report, change | {"replace": "payments", "all": True})
    (folder_of(library, report) / "outline.json").write_text("{")
    for backup in (folder_of(library, report) / "backups").iterdir():
        backup.unlink()
    log = folder_of(library, report) / "audit.jsonl"
    log.write_text("\n".join(["{}", *log.read_text().splitlines()[1:]]) + "\n")
    row = library.audit_report(AuditReport(report))["events"][0]
    [edit] = row["changed"]
    assert "item" not in edit
    assert edit["old"].startswith("… [-orders-] … ")
    assert edit["new"].startswith("… {+payments+} … ")


def test_pages_go_from_the_newest_to_the_first_whatever_is_written_meanwhile(library: Library) -> None:
    report = create_report(library)
    for number in range(7):
        update_report(library, report, append_text(f"{number}"))
    first = library.audit_report(AuditReport(report, limit=3))
    update_report(library, report, append_text("meanwhile"))
    second = library.audit_report(AuditReport(report, limit=3, cursor=first["next_cursor"]))
    third = library.audit_report(AuditReport(report, limit=3, cursor=second["next_cursor"]))
    rows = [row["version"] for page in (first, second, third) for row in page["events"]]
    assert rows == [8, 7, 6, 5, 4, 3, 2, 1]
    assert "next_cursor" not in third


def test_a_cursor_refuses_other_arguments(library: Library) -> None:
    one, other = create_report(library), create_report(library, "Other")
    update_report(library, one, append_text("x"))
    cursor = library.audit_report(AuditReport(one, limit=1))["next_cursor"]
    for asked in (
        {"actor": "cli"},
        {"since": 1},
        {"text": "x"},
        {"item": "Errors"},
        {"action_type": "create"},
    ):
        with pytest.raises(InvalidInputError):
            library.audit_report(AuditReport(one, cursor=cursor, **asked))
    with pytest.raises(InvalidInputError):
        library.audit_report(AuditReport(other, cursor=cursor))


def test_long_events_page_before_the_answer_gets_long(library: Library) -> None:
    report = create_report(library)
    for number in range(60):
        adds = [{"op": "add_section", "title": f"{number} {n} " + "😀" * 400} for n in range(20)]
        update_report(library, report, *adds, reason="r" * 2000)
    answer = library.audit_report(AuditReport(report, limit=100))
    assert len(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))) < 20_000
    assert answer["next_cursor"]


# --- Since --------------------------------------------------------------------------------


def test_since_a_version_a_time_or_a_day(library: Library) -> None:
    report = create_report(library)
    for number in range(3):
        update_report(library, report, append_text(f"{number}"))
    rows = library.audit_report(AuditReport(report))["events"]
    assert found(library, since=2) == found(library, since="2") == [4, 3]
    assert found(library, since=rows[1]["ts"]) == [4, 3]
    assert found(library, since=rows[1]["ts"].replace("+00:00", "Z")) == [4, 3]
    assert found(library, since=rows[0]["ts"][:10]) == [4, 3, 2, 1]
    assert found(library, since="2999-01-01") == []
    assert found(library, since=0) == found(library, since="") == [4, 3, 2, 1]


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "-1", "1.5"])
def test_since_something_else_is_refused(library: Library, since: str) -> None:
    create_report(library)
    with pytest.raises(InvalidInputError) as caught:
        library.audit_report(AuditReport("Health", since=since))
    assert caught.value.details["path"] == "since"


def test_older_events_of_another_program_are_not_newer_than_a_time(library: Library) -> None:
    report = create_report(library)
    log = folder_of(library, report) / "audit.jsonl"
    event = json.loads(log.read_bytes()) | {"ts": "2020-01-01T00:00:00+00:00", "payload": {}}
    log.write_text(json.dumps(event) + "\n")
    (folder_of(library, report) / ".head").unlink()
    update_report(library, report, append_text("x"))
    everything = library.audit_report(AuditReport(report))["events"]
    assert [row.get("version") for row in everything] == [3, 2, None]
    assert found(library, since="2021-01-01") == [3, 2]


# --- By author and type -------------------------------------------------------------------


def test_by_kind_of_actor_or_by_client(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("x"), author=BEN)
    update_report(library, report, append_text("y"), author=Author("cli", "agent smith"))
    assert found(library, actor="agent") == [2, 1]
    assert found(library, actor="cli") == [3]
    assert found(library, actor="ben/2.0") == found(library, actor="BEN") == [2]
    assert found(library, actor="nobody") == []


def test_by_type(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, set_title("Checkout"))
    update_report(library, report, {"op": "add_tags", "tags": ["ops"]})
    library.revert_report(RevertReport(report, 1), author=ANN)
    types = [row["action_type"] for row in library.audit_report(AuditReport(report))["events"]]
    assert types == ["revert", "tag_update", "rename", "create"]
    assert found(library, report, action_type="rename") == [2]
    with pytest.raises(InvalidInputError) as caught:
        library.audit_report(AuditReport(report, action_type="renamed"))
    assert caught.value.details["did_you_mean"] == "rename"
    assert caught.value.details["path"] == "action_type"


def test_a_render_is_shown_only_on_request(library: Library) -> None:
    """Earlier releases recorded each page that was written to a file."""
    report = create_report(library)
    update_report(library, report, append_text("x"))
    event = record_render(library, report)
    update_report(library, report, append_text("y", "Latency"), expected_version=2)
    rows = library.audit_report(AuditReport(report))["events"]
    assert [row["action_type"] for row in rows] == ["evolve", "evolve", "create"]
    [render] = library.audit_report(AuditReport(report, action_type="render"))["events"]
    assert (render["action_id"], render["version"]) == (event.action_id, 2)
    assert found(library, report, item="Errors", actor="agent") == [2, 1]
    verified = library.audit_report(AuditReport(report, verify=True))["verified"]
    assert (verified["ok"], verified["events"]) == (True, 4)
    again = Library(folder_store(library).reports_root)
    assert again.get_report(GetReport(report, version=2))["version"] == 2
    assert again.revert_report(RevertReport(report, undo=2, dry_run=True), ANN)["kept"] == [3]


def test_reads_and_renders_write_no_event(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("x"))
    before = (folder_of(library, report) / "audit.jsonl").read_bytes()
    for view in VIEWS:
        library.get_report(GetReport(report, view=view))
    for version in (1, 2):
        for page_format in FORMATS:
            library.render_report(RenderReport(report, page_format, version, to_file=True))
    library.list_reports(ListReports(query="orders"))
    library.check_report(CheckReport(report))
    library.diff_report(DiffReport(report, since=1))
    library.audit_report(AuditReport(report, item="Errors", text="x", verify=True))
    assert (folder_of(library, report) / "audit.jsonl").read_bytes() == before


# --- About which item ---------------------------------------------------------------------


@pytest.fixture
def history(library: Library) -> Library:
    """Errors touched in 1, 2 and 6; its insight in 1 and 3; Costs from 4 on, gone in 5."""
    create_report(library)
    update_report(library, "Health", append_text("More."))
    update_report(
        library,
        "Health",
        {"op": "edit_insight", "insight": ids(library)["Errors doubled in May"], "importance": 9},
    )
    update_report(
        library,
        "Health",
        {
            "op": "add_section",
            "title": "Costs",
            "content": "12 EUR",
            "insights": [{"summary": "Costs are low"}],
        },
    )
    update_report(library, "Health", {"op": "remove_section", "section": "Costs"})
    update_report(library, "Health", {"op": "edit_section", "section": "Errors", "title": "Failures"})
    return library


def test_a_section_by_title_id_prefix_or_address(history: Library) -> None:
    errors = ids(history)["Failures"]
    names = ("failures", errors, errors[:8], errors.upper(), f"sections/{errors}", f"sections/{errors[:8]}")
    for name in names:
        assert found(history, item=name) == [6, 2, 1]
    assert found(history, item=f"sections/{errors}/content") == [2, 1]


def test_an_insight_by_id_prefix_or_a_part_of_its_summary(history: Library) -> None:
    insight = ids(history)["Errors doubled in May"]
    for name in (insight, insight[:8], "doubled in may", f"insights/{insight}"):
        assert found(history, item=name) == [3, 1]


def test_an_address_of_the_report(history: Library) -> None:
    update_report(history, "Health", {"op": "add_tags", "tags": ["ops"]})
    assert found(history, item="metadata/tags") == [7]
    update_report(history, "Health", set_title("Checkout"))
    assert found(history, "Checkout", item="title") == [8, 1]


def test_an_item_that_is_gone_or_renamed_is_found_by_what_it_was(history: Library) -> None:
    assert found(history, item="costs") == [5, 4]
    assert found(history, item="Costs are low") == [5, 4]
    gone = history.audit_report(AuditReport("Health", item="costs", limit=1))["events"][0]["changed"]
    address = next(edit["at"] for edit in gone if edit["at"].startswith("sections/"))
    assert found(history, item=address) == found(history, item=address.split("/")[1]) == [5, 4]
    update_report(history, "Health", {"op": "edit_section", "section": "Latency", "title": "Speed"})
    assert found(history, item="latency") == [7, 1]


def test_an_event_that_came_before_an_item_did_not_touch_it(history: Library) -> None:
    assert 1 not in found(history, item="costs")


def test_an_item_that_never_was_is_an_error_with_what_is_near(history: Library) -> None:
    with pytest.raises(ItemNotFoundError) as caught:
        history.audit_report(AuditReport("Health", item="Latenzy"))
    assert caught.value.details["path"] == "item"
    assert caught.value.details["near"][0]["title"] == "Latency"


def test_an_item_that_several_answer_to_is_an_error(history: Library) -> None:
    update_report(history, "Health", {"op": "add_section", "title": "Latency"})
    with pytest.raises(AmbiguousSelectorError):
        history.audit_report(AuditReport("Health", item="latency"))


# --- About which text ---------------------------------------------------------------------


def test_events_that_brought_or_took_a_text(library: Library) -> None:
    report = create_report(library)
    edit = {"op": "edit_text", "section": "Errors"}
    update_report(library, report, edit | {"find": "12 %", "replace": "15 %"})
    update_report(library, report, edit | {"find": "Most", "replace": "Many"})
    update_report(library, report, edit | {"find": "15 %", "replace": "12 %"})
    assert found(library, text="15 % of orders") == [4, 3, 2]
    assert found(library, text="12 % OF ORDERS") == [4, 2, 1]
    assert found(library, text="many of them at night") == [4, 3]
    assert found(library, text="orders") == [4, 3, 2, 1]
    assert found(library, text="340 ms") == [1], "the other section was not changed"
    assert found(library, text="never") == []


def test_a_change_is_found_by_words_beside_it(library: Library) -> None:
    summary = "Monthly churn is 2.1 %"
    sections = [{"title": "Customers", "insights": [{"summary": summary}, {"summary": "No churn here"}]}]
    report = create_report(library, sections=sections)
    edit = {"op": "edit_insight", "insight": ids(library)[summary]}
    update_report(library, report, edit | {"summary": "Monthly churn is 2.4 %"})
    update_report(library, report, edit | {"importance": 9})
    update_report(library, report, set_title("Churn"))
    assert found(library, report, text="churn") == [4, 2, 1]
    assert found(library, report, text="churn", item="Monthly churn") == [2, 1]
    assert found(library, report, text="churn", action_type="evolve") == [2]


def test_of_a_list_the_elements_count_that_came_or_went(library: Library) -> None:
    report = create_report(library, tags=["sales", "monthly"])
    update_report(library, report, {"op": "add_tags", "tags": ["revenue"]})
    update_report(library, report, {"op": "remove_tags", "tags": ["sales"]})
    cite = {"op": "add_citation", "insight": ids(library)["Errors doubled in May"]}
    update_report(library, report, cite | {"citation": {"url": "https://c.d", "title": "Second"}})
    assert found(library, text="monthly") == [1]
    assert found(library, text="sales") == [3, 1]
    assert found(library, text="https://a.b") == [1]
    cite = {"op": "add_citation", "section": "Latency"}
    update_report(library, report, cite | {"citation": {"url": "https://e.f"}})
    update_report(library, report, cite | {"citation": {"url": "https://g.h"}})
    assert found(library, text="c.d") == [4]
    assert found(library, text="e.f") == [5]
    assert found(library, text="g.h") == [6]


def test_items_that_come_and_go_count_with_all_their_words(library: Library) -> None:
    report = create_report(library)
    costs = {"op": "add_section", "title": "Costs", "content": "12 EUR", "notes": "gross"}
    update_report(library, report, costs)
    update_report(library, report, {"op": "set_metadata", "key": "owner", "value": {"team": ["Gross & Co"]}})
    update_report(library, report, {"op": "remove_section", "section": "Costs"})
    library.revert_report(RevertReport(report, undo=4), author=ANN)
    assert found(library, text="gross") == [5, 4, 3, 2]
    section_id = ids(library)["Costs"]
    assert found(library, text=section_id) == [], "ids are not texts"
    assert found(library, text=report) == []


def test_filters_and_gaps_do_not_hide_what_a_text_matches(library: Library) -> None:
    """The versions are rebuilt one from the next, whichever events the other filters leave out."""
    report = create_report(library)
    for number in range(12):
        edit = {"op": "edit_section", "section": "Errors", "content": f"Line {number} of orders."}
        update_report(library, report, edit, author=(ANN, BEN)[number % 2])
    assert found(library, text="line 3 of", actor="ben") == [5]
    assert found(library, text="line 3 of", actor="ann") == [6]
    assert found(library, text="of orders", since=9, actor="ann") == [12, 10]
    first = library.audit_report(AuditReport(report, text="of orders", actor="ann", limit=2))
    assert [row["version"] for row in first["events"]] == [12, 10]
    rest = AuditReport(report, text="of orders", actor="ann", cursor=first["next_cursor"])
    assert [row["version"] for row in library.audit_report(rest)["events"]] == [8, 6, 4, 2, 1]


def test_a_search_for_a_text_rebuilds_one_version_only(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = create_report(library)
    for number in range(40):
        update_report(library, report, append_text(f"Line {number}."), author=(ANN, BEN)[number % 2])
    rebuilt: list[int] = []
    outline_at = library.store.outline_at

    def counted(report_id: str, version: int, snapshot: Snapshot) -> Outline:
        rebuilt.append(version)
        return outline_at(report_id, version, snapshot)

    monkeypatch.setattr(library.store, "outline_at", counted)
    for asked in ({}, {"actor": "ben"}, {"item": "Latency"}, {"since": 10}):
        rebuilt.clear()
        library.audit_report(AuditReport(report, text="line 3", limit=100, **asked))
        assert len(rebuilt) <= 2, asked  # one for the search, one for the rows


def test_a_delta_that_does_not_fit_is_searched_for_its_words(library: Library) -> None:
    report = create_report(library)
    for number in range(4):
        update_report(library, report, append_text(f"Line {number}."))
    log = folder_of(library, report) / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b"Line 1", b"Lime 1", 1))
    assert found(library, report, text="lime") == [3]
    assert found(library, report, text="line 0") == [5, 4, 2]


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb"])
def test_line_ends_of_the_text_do_not_matter(library: Library, text: str) -> None:
    report = create_report(library)
    update_report(library, report, replace_content("a\r\nb"))
    update_report(library, report, replace_content("a\nb, too", "Latency"))
    assert found(library, text=text) == [3, 2]


def test_a_text_that_moves_was_taken_and_brought(library: Library) -> None:
    report = create_report(library)
    update_report(
        library, report, replace_content("p95 is 340 ms."), replace_content("12 % of orders fail.", "Latency")
    )
    assert found(library, text="p95") == [2, 1]


def test_pages_of_a_text_search_go_on(library: Library) -> None:
    report = create_report(library)
    for number in range(5):
        update_report(library, report, append_text(f"A line, {number} of them."))
    first = library.audit_report(AuditReport(report, text="line, ", limit=2))
    rest = library.audit_report(AuditReport(report, text="line, ", cursor=first["next_cursor"]))
    assert [row["version"] for row in (*first["events"], *rest["events"])] == [6, 5, 4, 3, 2]


# --- Verify -------------------------------------------------------------------------------


def test_verify_answers_for_a_sound_report(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("x"))
    last = (folder_of(library, report) / "audit.jsonl").read_bytes().splitlines()[-1]
    verified = library.audit_report(AuditReport(report, verify=True))["verified"]
    assert verified == {"ok": True, "events": 2, "head_sha256": sha256_hex(last), "findings": []}


def test_verify_sees_an_altered_event_and_says_where(library: Library) -> None:
    report = create_report(library)
    for number in range(3):
        update_report(library, report, append_text(f"{number}"), reason=f"reason {number}")
    log = folder_of(library, report) / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b"reason 1", b"Reason 1"))
    verified = library.audit_report(AuditReport(report, verify=True))["verified"]
    assert not verified["ok"]
    assert {"line", "code", "message"} == set(verified["findings"][0])
    assert verified["findings"][0]["line"] == 4


def test_verify_judges_before_anything_is_mended(library: Library) -> None:
    report = create_report(library)
    outline = folder_of(library, report) / "outline.json"
    outline.write_text(outline.read_text().replace("12 %", "99 %"))
    assert not library.audit_report(AuditReport(report, verify=True))["verified"]["ok"]
    assert library.audit_report(AuditReport(report, verify=True))["verified"]["ok"]
    assert found(library, action_type="manual_edit_detected") == [2]


def test_a_report_of_which_nothing_can_be_read_is_verified_and_its_events_shown(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("x"))
    folder = folder_of(library, report)
    (folder / "outline.json").write_text("{ broken")
    for backup in (folder / "backups").iterdir():
        backup.unlink()
    log = folder / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b"Errors", b"Fehler", 1))
    answer = library.audit_report(AuditReport(report, verify=True))
    assert not answer["verified"]["ok"]
    assert [row["version"] for row in answer["events"]] == [2, 1]
    assert answer["version"] == 2
    assert found(library, report, text="Fehler", actor="agent") == [1]
