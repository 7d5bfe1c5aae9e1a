"""Tasks at which models stumbled, replayed: those that write.

In each test clients talk to server processes of their own. A client uses only the tool list and what
earlier answers said; where its calls are counted, none of them reads again what it was just told.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from living_reports.reading.compact import size_bytes
from support.mcp_client import PROTOCOL_MODES
from support.scripted import CHURN, agent, create_churn, edit_insight, edit_text, insight_of, replay

# --- Others write at the same time --------------------------------------------------------


@PROTOCOL_MODES
@replay
async def test_a_merged_update_shows_what_the_others_wrote(tmp_path: Path, mode: str) -> None:
    async with (
        agent(tmp_path, "ann", mode=mode) as ann,
        agent(tmp_path, "bob", mode=mode, user="bob@example.org") as bob,
    ):
        insight = insight_of(await create_churn(ann))
        theirs = edit_insight(insight, summary="Monthly churn is 2.4 %")
        await bob("update_report", report="Churn", reason="June figures", changes=[theirs])

        update = {
            "report": "Churn",
            "expected_version": 1,
            "changes": [edit_text("Outlook", "Stable", "Rising")],
        }
        planned = await ann("update_report", **update, dry_run=True)
        answer = await ann("update_report", **update)

        assert answer["version"] == 3
        for merged_answer in (planned, answer):
            assert merged_answer["rebased_over"] == [2]
            [merged] = merged_answer["merged"]
            assert (merged["version"], merged["client"], merged["user"]) == (2, "bob/7", "bob@example.org")
            assert merged["reason"] == "June figures"
            [change] = merged["changed"]
            assert CHURN in (change["item"], change["old"])
            assert (change["old"], change["new"]) == (CHURN, "Monthly churn is 2.4 %")
        assert size_bytes(answer) <= 2_000

        # Version 2 has been seen now, so the next change can build on it without a read.
        last = edit_insight(insight, summary="Monthly churn is 2.4 %, from 2.1 %")
        final = await ann("update_report", report="Churn", expected_version=answer["version"], changes=[last])
        assert "rebased_over" not in final
        assert ann.calls == 4


@replay
async def test_a_change_of_several_authors_names_all_of_them(tmp_path: Path) -> None:
    async with (
        agent(tmp_path, "ann") as ann,
        agent(tmp_path, "bob") as bob,
        agent(tmp_path, "cyd") as cyd,
    ):
        insight = insight_of(await create_churn(ann))
        for caller, figure in ((ann, "2.2"), (bob, "2.3"), (cyd, "2.4")):
            change = edit_insight(insight, summary=f"Monthly churn is {figure} %")
            reason = f"Measured {figure}"
            await caller("update_report", report="Churn", reason=reason, changes=[change])
        await bob("update_report", report="Churn", changes=[edit_text("Outlook", "Stable", "Rising")])

        changed = (await ann("diff_report", report="Churn", since="1"))["changed"]
        summary, outlook = sorted(changed, key=lambda row: "Outlook" in row["item"])
        assert [by["client"] for by in summary["by"]] == ["ann/7", "bob/7", "cyd/7"]
        assert [by["reason"] for by in summary["by"]] == ["Measured 2.2", "Measured 2.3", "Measured 2.4"]
        assert outlook["by"]["client"] == "bob/7"


@PROTOCOL_MODES
@replay
async def test_retry_with_is_as_dry_as_the_call_and_keep_both_is_ready_to_send(
    tmp_path: Path, mode: str
) -> None:
    async with agent(tmp_path, "ann", mode=mode) as ann, agent(tmp_path, "bob", mode=mode) as bob:
        await create_churn(ann)
        theirs = edit_text("Outlook", "Stable.", "Stable until July.")
        await bob("update_report", report="Churn", reason="The board said so", changes=[theirs])

        refused = await ann.refused(
            "update_report",
            report="Churn",
            expected_version=1,
            dry_run=True,
            request_id="outlook-1",
            changes=[edit_text("Outlook", "Stable.", "Rising.")],
        )
        assert refused["code"] == "version_conflict"
        [conflict] = refused["conflicts"]
        assert "Outlook" in conflict["item"]
        assert (conflict["base"], conflict["current"], conflict["yours"]) == (
            "Stable.",
            "Stable until July.",
            "Rising.",
        )
        assert conflict["by"]["client"] == "bob/7"

        for name in ("retry_with", "keep_both"):
            offered = refused[name]
            assert offered["dry_run"] is True
            assert offered["expected_version"] == 2
            assert offered["request_id"] not in ("", "outlook-1")
            assert name in refused["hint"]
        mine = await ann("update_report", **refused["retry_with"])
        assert mine["dry_run"] is True
        assert mine["changed"][0]["new"] == "Rising."

        both = await ann("update_report", **refused["keep_both"] | {"dry_run": False})
        assert both["version"] == 3  # so the retry of the dry run wrote nothing
        assert "Rising." in both["changed"][0]["new"]
        [outlook] = (await ann("get_report", report="Churn", sections=["Outlook"]))["sections"]
        assert outlook["content"].split() == ["Stable", "until", "July.", "Rising."]


@replay
async def test_two_people_with_the_same_client_are_told_apart(tmp_path: Path) -> None:
    name = "claude-desktop"
    async with (
        agent(tmp_path, name, user="ann@example.org") as ann,
        agent(tmp_path, name, user="bob@example.org") as bob,
    ):
        await create_churn(ann)
        await bob("update_report", report="Churn", changes=[edit_text("Outlook", "Stable", "Rising")])
        events = (await ann("audit_report", report="Churn"))["events"]
        assert [(event["client"], event["user"]) for event in events] == [
            ("claude-desktop/7", "bob@example.org"),
            ("claude-desktop/7", "ann@example.org"),
        ]
        [theirs] = (await ann("audit_report", report="Churn", actor="bob@example.org"))["events"]
        assert theirs["version"] == 2
        [changed] = (await ann("diff_report", report="Churn"))["changed"]
        assert changed["by"]["user"] == "bob@example.org"


# --- The answer to a write ----------------------------------------------------------------


@PROTOCOL_MODES
@replay
async def test_changed_shows_whole_values_and_where_they_stand(tmp_path: Path, mode: str) -> None:
    async with agent(tmp_path, mode=mode) as ann:
        insight = insight_of(await create_churn(ann))
        changes = [
            edit_text("Findings", "4 percent", "6 percent"),
            edit_text("Findings", "workspaces.", "workspaces\n\n- and accounts.\n- and keys."),
            {"op": "remove_tags", "tags": ["sales"]},
            {"op": "add_tags", "tags": ["revenue"]},
            edit_insight(insight, importance=9),
        ]
        rows = (await ann("update_report", report="Churn", changes=changes))["changed"]

        content = [row for row in rows if row["at"].endswith("/content")]
        assert {row["item"] for row in content} == {"Findings"}
        texts = " ".join(f"{row['old']} {row['new']}" for row in content)
        assert "Sales rose by" in texts  # the sentence, not the fragment "4" → "6"
        assert "and accounts." in texts
        assert "Customers use workspaces" in texts
        [tags] = [row for row in rows if row["at"].endswith("tags")]
        assert (tags["added"], tags["removed"]) == (["revenue"], ["sales"])
        assert "old" not in tags
        [rank] = [row for row in rows if row["at"].endswith("importance")]
        assert (rank["item"], rank["old"], rank["new"]) == (CHURN, 7, 9)


@replay
async def test_an_undo_says_which_versions_stay_and_takes_an_old_title(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        await create_churn(ann)
        # One change with two places, and two later ones.
        changes = [
            edit_text("Findings", "flat", "thin"),
            {"op": "remove_section", "section": "Outlook"},
        ]
        await ann("update_report", report="Churn", changes=changes)
        await ann("update_report", report="Churn", changes=[{"op": "set_title", "title": "Churn 2026"}])
        await ann("update_report", report="Churn 2026", changes=[{"op": "add_tags", "tags": ["board"]}])

        answer = await ann("revert_report", report="Churn 2026", undo="2", item="Outlook")
        assert answer["version"] == 5
        assert answer["kept"] == [3, 4]
        assert {row["item"] for row in answer["changed"]} == {"Outlook"}  # item selects a part of the change
        rest = await ann("revert_report", report="Churn 2026", undo="2", dry_run=True)
        assert {row["item"] for row in rest["changed"]} == {"Findings"}
        assert ann.calls == 6


@replay
async def test_a_phrase_is_replaced_everywhere_in_one_call(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        sections = [
            {"title": "Plan", "content": "Workspaces first. Then Workspaces again.", "notes": "Workspaces?"},
            {"title": "Risk", "insights": [{"summary": "Workspaces are slow", "importance": 5}]},
        ]
        await ann("create_report", title="Rename", sections=sections)
        change = {"op": "edit_text", "find": "Workspaces", "replace": "Accounts", "all": True}
        answer = await ann("update_report", report="Rename", changes=[change])
        assert answer["replaced"] == 4
        assert {row["item"] for row in answer["changed"]} >= {"Plan"}
        shown = " ".join(str(row) for row in answer["changed"])
        assert "Accounts are slow" in shown
        found = await ann("list_reports", query="Workspaces")
        assert found["reports"] == []


@replay
async def test_a_refused_template_shows_the_shape_of_its_data(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        await ann("create_report", title="Ops")
        add = {"op": "add_section", "title": "Figures", "template": "metrics", "data": {"wrong": 1}}
        refused = await ann.refused("update_report", report="Ops", changes=[add])
        assert refused["path"].startswith("changes[0].data")
        told = json.dumps(refused)
        assert all(name in told for name in ("intro", "metrics", "name", "value", "target", "trend"))


@replay
async def test_a_read_says_what_a_loose_name_meant_and_a_write_by_it_is_refused(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        created = await create_churn(ann)
        for tool in ("get_report", "diff_report", "audit_report", "check_report", "render_report"):
            answer = await ann(tool, report="hurn")
            assert (answer["report_id"], answer["title"]) == (created["report_id"], "Churn")
        change = edit_text("Outlook", "Stable", "Rising")
        refused = await ann.refused("update_report", report="hurn", changes=[change])
        assert refused["code"] == "report_not_found"
        [near] = refused["near"]
        assert (near["report_id"], near["title"]) == (created["report_id"], "Churn")
        await ann("update_report", report=near["report_id"][:8], changes=[change])  # a beginning suffices


# --- Create ------------------------------------------------------------------------------


@PROTOCOL_MODES
@replay
async def test_a_fork_says_what_it_inherited_before_it_is_made(tmp_path: Path, mode: str) -> None:
    async with agent(tmp_path, mode=mode) as ann:
        await create_churn(ann)
        insight = {"summary": "The board wants 2 %", "importance": 9, "review_by": "+2w"}
        fork = {
            "title": "Churn for the board",
            "from_reports": ["Churn"],
            "sections": [{"title": "In short", "content": "Churn rose.", "insights": [insight]}],
            "tags": ["board"],
        }
        planned = await ann("create_report", **fork, dry_run=True)
        assert planned["dry_run"] is True
        assert (await ann("list_reports", query="board"))["reports"] == []
        made = await ann("create_report", **fork)
        for answer in (planned, made):
            inherited = answer["inherited"]
            assert (inherited["sections"], inherited["insights"]) == (2, 1)
            assert [(row["title"], row["version"]) for row in inherited["from"]] == [("Churn", 1)]
            assert "tags" not in inherited  # the given ones replace them
            titles = [row["title"] for row in answer["created"]["sections"]]
            assert titles[0] == "In short"
            due = (datetime.now(UTC) + timedelta(weeks=2)).date()
            assert due.isoformat() in str(answer["created"]["insights"])
        read = await ann("get_report", report="Churn for the board")
        assert [row["title"] for row in read["sections"]] == ["In short", "Findings", "Outlook"]
        assert read["tags"] == ["board"]


@replay
async def test_a_second_report_of_the_same_title_is_noticed(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        first = await create_churn(ann)
        second = await ann("create_report", title="Churn", dry_run=True)
        [warning] = second["warnings"]
        assert first["report_id"][:8] in warning


@replay
async def test_a_fork_inherits_tags_only_where_none_are_given(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        await create_churn(ann)
        fork = await ann("create_report", title="Copy", from_reports=["Churn"])
        assert fork["inherited"]["tags"] == ["sales", "monthly"]


# --- Sources ------------------------------------------------------------------------------


@replay
async def test_a_table_cites(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        source = {"url": "https://example.org/figures", "title": "Figures"}
        table = "| Month | Churn |\n|---|--:|\n| May | 2.1 % |"
        sections = [{"title": "Table", "content": table, "citations": [source]}]
        await ann("create_report", title="Cited", sections=sections)
        [row] = (await ann("get_report", report="Cited", sections=["Table"]))["sections"]
        assert [cited["url"] for cited in row["citations"]] == [source["url"]]
        found = (await ann("list_reports", cites="example.org/figures"))["reports"]
        [match] = found[0]["matches"]
        assert (match["section_title"], match["kind"]) == ("Table", "citation")
        page = await ann("render_report", report="Cited")
        assert source["url"] in page["text"]
        more = {"op": "add_citation", "section": "Table", "citation": {"url": "https://example.org/b"}}
        answer = await ann("update_report", report="Cited", changes=[more])
        assert answer["changed"][0]["item"] == "Table"
