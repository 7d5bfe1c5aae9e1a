"""Two people who use the same client are different authors, in every event and every answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from living_reports.interchange.importing import import_reports
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport,
    DiffReport,
    GetReport,
    RestoreReport,
    RevertReport,
    TrashReport,
)
from living_reports.model.event import Author
from living_reports.server.prompt_texts import status_update
from support.library_reports import (
    append_text,
    create_report,
    folder_store,
    refused_update,
    replace_content,
    set_title,
    update_report,
)

ANN = Author("agent", "claude-desktop/1", "ann")
BEN = Author("agent", "claude-desktop/1", "ben")
UNKNOWN = Author("agent", "claude-desktop/1")


def users(library: Library, report: str) -> list[str]:
    """The users in the log, oldest first."""
    payloads = [event.payload for event in library.store.events(report)]
    return [payload.get("user", "") for payload in payloads][::-1]


def test_every_event_records_the_user(library: Library, tmp_path: Path) -> None:
    report = create_report(library, author=ANN)
    update_report(library, report, append_text("x"), author=BEN)
    library.revert_report(RevertReport(report, undo=2), ANN)
    library.trash_report(TrashReport(report), BEN)
    library.restore_report(RestoreReport(report), ANN)
    update_report(library, report, append_text("y"), author=UNKNOWN)
    assert users(library, report) == ["ann", "ben", "ann", "ben", "ann", ""]
    assert library.audit_report(AuditReport(report, verify=True))["verified"]["ok"]
    (tmp_path / "guide.md").write_text("# Guide\n\nText.\n")
    [imported] = import_reports(library.store, tmp_path / "guide.md", author=BEN)["imported"]
    assert users(library, imported["report_id"]) == ["ben"]


def test_the_first_event_in_the_folder_of_another_program_records_it_too(library: Library) -> None:
    report = create_report(library)
    folder = folder_store(library).by_id / report
    for name in ("audit.jsonl", ".head"):
        (folder / name).unlink()
    library.trash_report(TrashReport(report), ANN)
    library.restore_report(RestoreReport(report), BEN)
    assert users(library, report) == ["ann", "ann", "ben"]


def test_answers_show_the_user_beside_the_client(library: Library) -> None:
    report = create_report(library, author=ANN)
    update_report(library, report, replace_content("15 % fail."), author=BEN, reason="May")
    [row] = library.audit_report(AuditReport(report, since=1))["events"]
    assert list(row)[:6] == ["version", "ts", "actor", "client", "user", "action_type"]
    by = {"version": 2, "ts": row["ts"], "actor": "agent", "client": "claude-desktop/1", "user": "ben"}
    by |= {"reason": "May"}
    [changed] = library.diff_report(DiffReport(report))["changed"]
    [conflict] = refused_update(library, report, replace_content("9 % fail."), author=ANN)["conflicts"]
    last = library.audit_report(AuditReport(report, item="Errors"))["last_change"]
    summary = library.get_report(GetReport(report))["last_change"]
    assert changed["by"] == conflict["by"] == by
    assert by.items() <= last.items()
    assert by.items() <= summary.items()
    assert '"user":"ben"' in status_update(library, report).replace(" ", "")


def test_events_are_found_by_their_user(library: Library) -> None:
    report = create_report(library, author=ANN)
    update_report(library, report, append_text("x"), author=BEN)

    def versions(actor: str) -> list[int]:
        events = library.audit_report(AuditReport(report, actor=actor))["events"]
        return [event["version"] for event in events]

    assert versions("BEN") == [2]
    assert versions("ann") == [1]
    assert versions("claude-desktop") == [2, 1]


LONG = "A text of about the same length as the one that was there before."


@pytest.mark.parametrize(
    ("writer", "caller", "named"),
    [
        (ANN, BEN, "by ann with claude-desktop/1 (May)"),
        (ANN, ANN, ""),
        (ANN, UNKNOWN, ""),
        (UNKNOWN, ANN, ""),
        (ANN, Author("agent", "cursor/2", "ann"), "by ann with claude-desktop/1 (May)"),
        (Author("cli", "ann", "ann"), BEN, "by ann (May)"),
        (Author("agent", "", "ann"), BEN, "by ann with agent (May)"),
        (Author("agent", "claude-desktop/1"), Author("agent", "x"), "by claude-desktop/1 (May)"),
    ],
)
def test_whose_text_was_replaced(library: Library, writer: Author, caller: Author, named: str) -> None:
    report = create_report(library, author=Author("human", "cid"))
    update_report(library, report, replace_content(LONG), author=writer, reason="May")
    answer = update_report(library, report, replace_content(LONG[::-1]), author=caller)
    warnings: list[str] = answer.get("warnings", [])
    assert len(warnings) == bool(named)
    assert all(named in warning for warning in warnings)


def test_a_user_is_cut_where_a_client_is(library: Library) -> None:
    report = create_report(library, author=Author("agent", "c" * 100, "u" * 100))
    [row] = library.audit_report(AuditReport(report))["events"]
    assert (len(row["client"]), len(row["user"])) == (60, 60)


def test_a_log_with_a_user_that_is_no_text_is_shown(library: Library) -> None:
    report = create_report(library, author=ANN)
    log = folder_store(library).by_id / report / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"user":"ann"', b'"user":[7]'))
    answer: dict[str, Any] = library.audit_report(AuditReport(report))
    assert "user" not in answer["events"][0]
    assert library.audit_report(AuditReport(report, actor="7"))["events"]


def test_two_versions_of_one_change_name_both_users(library: Library) -> None:
    report = create_report(library, author=ANN)
    update_report(library, report, set_title("Shop"), author=ANN, reason="short")
    update_report(library, "Shop", set_title("Checkout"), author=BEN)
    [row] = library.diff_report(DiffReport(report, since=1))["changed"]
    assert row["by"] == [
        {"version": 2, "client": "claude-desktop/1", "user": "ann", "reason": "short"},
        {"version": 3, "client": "claude-desktop/1", "user": "ben"},
    ]
