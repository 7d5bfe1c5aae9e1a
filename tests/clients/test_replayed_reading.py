"""Tasks at which models stumbled, replayed: those that read. See `test_replayed_writing`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from living_reports.server.tools import BY_NAME
from support.mcp_client import PROTOCOL_MODES
from support.scripted import (
    CHURN,
    Answer,
    agent,
    create_churn,
    edit_insight,
    edit_text,
    insight_of,
    replay,
    unnamed_items,
)

TODAY = datetime.now(UTC).date()


def in_days(days: int) -> str:
    return (TODAY + timedelta(days=days)).isoformat()


def insight(summary: str, importance: int = 5, **fields: object) -> Answer:
    return {"summary": summary, "importance": importance, **fields}


# --- Names ------------------------------------------------------------------------------------


@PROTOCOL_MODES
@replay
async def test_every_id_comes_with_a_name(tmp_path: Path, mode: str) -> None:
    async with agent(tmp_path, "ann", mode=mode) as ann, agent(tmp_path, "bob", mode=mode) as bob:
        created = await create_churn(ann)
        churn = insight_of(created)
        late = {"op": "add_insight", "section": "Outlook", "summary": "July is late", "review_by": in_days(0)}
        answers = [created]

        async def ask(tool: str, **arguments: object) -> None:
            answers.append(await ann(tool, **arguments))

        await ask("update_report", report="Churn", changes=[late, edit_text("Outlook", "Stable", "Rising")])
        await bob("update_report", report="Churn", changes=[edit_insight(churn, summary="Churn: 2.4 %")])
        await ask(
            "update_report",
            report="Churn",
            expected_version=2,
            changes=[
                edit_text("Findings", "flat", "thin"),
                {"op": "move_insight", "insight": churn, "section": "Outlook"},
            ],
        )
        for view in ("summary", "sections", "insights"):
            await ask("get_report", report="Churn", view=view)
        await ask("get_report", report="Churn", find="July")
        await ask("list_reports", query="July")
        await ask("list_reports", cites="example.org/churn")
        await ask("list_reports", stale=True)
        await ask("audit_report", report="Churn")
        await ask("audit_report", report="Churn", item="Outlook")
        await ask("diff_report", report="Churn", since="1")
        await ask("check_report", report="Churn")
        await ask("revert_report", report="Churn", to_version=1, dry_run=True)
        answers.append(
            await ann.refused(
                "update_report",
                report="Churn",
                expected_version=1,
                changes=[edit_insight(churn, summary="Churn: 2.5 %")],
            )
        )
        assert [sorted(unnamed_items(answer)) for answer in answers] == [[]] * len(answers)


@replay
async def test_a_match_names_its_section(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        await create_churn(ann)
        [report] = (await ann("list_reports", query="workspaces"))["reports"]
        [match] = report["matches"]
        assert (match["section_title"], match["kind"]) == ("Findings", "prose")
        # The name is enough for the change.
        change = edit_text(match["section_title"], "workspaces", "accounts")
        await ann("update_report", report=report["title"], changes=[change])
        assert ann.calls == 3


# --- What a read shows ------------------------------------------------------------------------


@PROTOCOL_MODES
@replay
async def test_find_shows_each_hit_of_a_long_section(tmp_path: Path, mode: str) -> None:
    async with agent(tmp_path, mode=mode) as ann:
        filler = [f"Paragraph {n} says nothing about it." for n in range(200)]
        filler[60] = "The quota of accounts is 40."
        filler[180] = "Nobody knows the quota of keys."
        sections = [{"title": "Long", "content": "\n\n".join(filler)}]
        await ann("create_report", title="Limits", sections=sections)
        answer = await ann("get_report", report="Limits", find="quota", max_chars=1_500)
        assert len(str(answer)) <= 2_000
        [section] = answer["sections"]
        assert (section["title"], answer["hit_count"]) == ("Long", 2)
        shown = [hit["text"] for hit in section["hits"]]
        assert "The quota of accounts is 40." in shown[0]
        assert "Nobody knows the quota of keys." in shown[1]


@replay
async def test_full_has_no_empty_fields_and_no_repeated_times(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        await create_churn(ann)
        answer = await ann("get_report", report="Churn", view="full")
        objects = [answer, *answer["sections"], *answer["insights"]]
        assert not [
            (one, key) for one in objects for key, value in one.items() if value in (None, "", [], {})
        ]
        assert not [key for item in objects[1:] for key in item if key in ("created_at", "updated_at")]
        assert all("supporting_queries" not in item for item in answer["insights"])


@replay
async def test_a_short_report_is_read_with_one_call(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        insights = [insight(f"Finding {n}", n) for n in range(1, 8)]
        sections = [{"title": "Facts", "content": "Churn is **2.1 %**.", "insights": insights}]
        await ann("create_report", title="Short", sections=sections)
        read = await ann("get_report", report="Short")
        [section] = read["sections"]
        assert section["content"] == "Churn is **2.1 %**."
        assert [row["summary"] for row in read["top_insights"]] == [f"Finding {n}" for n in range(7, 0, -1)]
        assert (read["insight_count"], "left_out" in read) == (7, False)
        # It can be edited with what was read.
        changes = [
            edit_text("Facts", "**2.1 %**", "**2.4 %**"),
            {"op": "edit_insight", "insight": read["top_insights"][6]["insight_id"], "importance": 2},
        ]
        await ann("update_report", report="Short", changes=changes, expected_version=read["version"])
        assert ann.calls == 3


@replay
async def test_a_long_report_says_what_its_summary_leaves_out(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        insights = [insight(f"Finding {n}") for n in range(7)] + [insight("Outdated", status="archived")]
        sections = [{"title": "Facts", "content": "words " * 2_000, "insights": insights}]
        await ann("create_report", title="Long", sections=sections)
        read = await ann("get_report", report="Long")
        assert (read["insight_count"], len(read["top_insights"])) == (7, 5)
        assert read["left_out"] == {"chars": 12_000, "insights": 2, "archived": 1}


@replay
async def test_a_text_is_found_at_the_end_of_a_long_section_and_can_be_edited(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        content = "Lorem ipsum dolor sit amet.\n\n" * 900 + "In the end **churn** fell to 2.1 %."
        await ann("create_report", title="Long", sections=[{"title": "Facts", "content": content}])
        found = await ann("get_report", report="Long", find="churn", max_chars=1_500)
        [section] = found["sections"]
        [hit] = section["hits"]
        assert (found["hit_count"], section["title"], hit["field"]) == (1, "Facts", "content")
        assert "summary" in found["searched"]
        sentence = hit["text"].splitlines()[-1]
        change = edit_text(section["title"], sentence, sentence.replace("2.1", "2.4"))
        await ann("update_report", report="Long", changes=[change])
        assert ann.calls == 3


@replay
async def test_insights_shown_alone_name_their_section(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        await create_churn(ann)
        [row] = (await ann("get_report", report="Churn", view="insights"))["insights"]
        assert (row["summary"], row["section_title"]) == (CHURN, "Findings")
        [findings, _] = (await ann("get_report", report="Churn", view="sections"))["sections"]
        assert findings["insights"] == {row["insight_id"]: CHURN}
        for asked in (
            {},
            {"view": "insights"},
            {"view": "full"},
            {"sections": ["Findings"]},
            {"insights": ["churn"]},
            {"find": "churn"},
            {"find": "workspaces"},
        ):
            answer = await ann("get_report", report="Churn", **asked)
            assert list(unnamed_items(answer)) == [], asked
        for query in ("churn", "stable"):
            assert list(unnamed_items(await ann("list_reports", query=query))) == []


# --- What became stale ------------------------------------------------------------------------


@PROTOCOL_MODES
@replay
async def test_an_insight_is_stale_on_its_day_and_the_hint_sends_to_the_source(
    tmp_path: Path, mode: str
) -> None:
    async with agent(tmp_path, mode=mode) as ann:
        source = [{"url": "https://example.org/churn"}]
        due = insight("Churn is 2.1 %", 7, citations=source, review_by=in_days(0))
        later = insight("Prices hold", 6, citations=source, review_by=in_days(2))
        sections = [{"title": "Facts", "insights": [due, later]}]
        await ann("create_report", title="Watch", sections=sections)

        [report] = (await ann("list_reports", stale=True))["reports"]
        [match] = report["matches"]
        assert (match["summary"], match["section_title"]) == ("Churn is 2.1 %", "Facts")
        assert match["review_by"] == in_days(0)
        [read] = (await ann("get_report", report="Watch", view="insights", stale=True))["insights"]
        assert read["summary"] == "Churn is 2.1 %"
        [finding] = (await ann("check_report", report="Watch"))["findings"]
        assert finding["code"] == "stale"
        hint = finding["hint"]
        assert hint.index("https://example.org/churn") < hint.index("edit_insight")
        assert '"as_of"' in hint
    assert "stale" in BY_NAME["list_reports"]["description"]


@replay
async def test_stale_and_cites_ask_for_the_same_insight(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        here, there = ([{"url": f"https://example.org/{name}"}] for name in ("here", "there"))
        insights = [
            insight("Stale and cites it", citations=here, review_by=in_days(-1)),
            insight("Stale and cites another", citations=there, review_by=in_days(-1)),
            insight("Fresh and cites it", citations=here, review_by=in_days(30)),
        ]
        await ann("create_report", title="Both", sections=[{"title": "Facts", "insights": insights}])
        only = [{"title": "Facts", "insights": insights[1:]}]
        await ann("create_report", title="Never both", sections=only)
        [report] = (await ann("list_reports", stale=True, cites="example.org/here"))["reports"]
        assert report["title"] == "Both"
        assert [match["summary"] for match in report["matches"]] == ["Stale and cites it"]


@replay
async def test_a_source_has_moved_only_if_what_was_cited_changed(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        created = await create_churn(ann)
        churn = insight_of(created)
        cited = [{"url": f"report://{created['report_id']}/v/1"}]
        sections = [{"title": "Short", "insights": [insight("Churn rose", citations=cited)]}]
        await ann("create_report", title="Board", sections=sections)
        await ann("update_report", report="Churn", changes=[edit_insight(churn, review_by="+2w")])
        assert "source_moved" not in str(await ann("check_report", report="Board"))
        await ann("update_report", report="Churn", changes=[edit_insight(churn, summary="Churn is 3 %")])
        [finding] = (await ann("check_report", report="Board"))["findings"]
        assert finding["code"] == "source_moved"
        assert "Churn rose" in str(finding)


@replay
async def test_an_important_claim_needs_another_source_than_its_author(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        own = [{"source": "observation", "description": "Seen by ann"}]
        other = [{"url": "https://example.org/a"}]
        insights = [
            insight("Nobody leaves", 8, citations=own),
            insight("Some leave", 7, citations=own),
            insight("All leave", 9, citations=other),
        ]
        await ann("create_report", title="Claims", sections=[{"title": "Facts", "insights": insights}])
        [finding] = (await ann("check_report", report="Claims"))["findings"]
        assert "Nobody leaves" in str(finding)


@replay
async def test_a_check_says_what_it_did_not_look_at(tmp_path: Path) -> None:
    async with agent(tmp_path / "root") as ann:
        cited = [{"source": "document", "path": str(tmp_path / "elsewhere.csv")}]
        sections = [
            {"title": "Facts", "content": "Text.", "insights": [insight("A claim", 5, citations=cited)]}
        ]
        await ann("create_report", title="Checked", sections=sections)
        answer = await ann("check_report", report="Checked")
        assert "elsewhere.csv" in str(answer["unchecked"])


@replay
async def test_a_source_that_was_only_reviewed_has_not_moved(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        cited = [{"url": "https://example.org/churn"}]
        sections = [{"title": "Facts", "insights": [insight("Churn is 2.1 %", citations=cited)]}]
        await ann("create_report", title="Source", sections=sections)
        await ann("create_report", title="Built", from_reports=["Source"])
        [row] = (await ann("get_report", report="Source", view="insights"))["insights"]
        reviewed = {"op": "edit_insight", "insight": row["insight_id"], "review_by": in_days(30)}
        await ann("update_report", report="Source", changes=[reviewed])
        assert (await ann("check_report", report="Built"))["findings"] == []
        changed = reviewed | {"summary": "Churn is 2.4 %"}
        await ann("update_report", report="Source", changes=[changed])
        [finding] = (await ann("check_report", report="Built"))["findings"]
        assert finding["code"] == "source_moved"
        assert (finding["item"], "“Churn is 2.4 %”" in finding["message"]) == ("Churn is 2.1 %", True)


@replay
async def test_a_table_cites_and_an_important_insight_needs_a_source(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        seen = insight("Churn doubles", 9, citations=[{"source": "observation", "description": "I saw it"}])
        table = {"title": "Numbers", "content": "| a |\n| --- |", "citations": [{"url": "https://e.org/csv"}]}
        await ann("create_report", title="Churn", sections=[table | {"insights": [seen]}])
        [section] = (await ann("get_report", report="Churn", sections=["Numbers"]))["sections"]
        assert section["citations"] == [{"source": "url", "url": "https://e.org/csv"}]
        [finding] = (await ann("check_report", report="Churn"))["findings"]
        assert (finding["code"], finding["item"]) == ("self_sourced", "Churn doubles")
        [report] = (await ann("list_reports", cites="e.org/csv"))["reports"]
        assert [match["section_title"] for match in report["matches"]] == ["Numbers"]


# --- History ------------------------------------------------------------------------------


@replay
async def test_audit_finds_a_text_that_an_edit_kept(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        churn = insight_of(await create_churn(ann))
        changes = [edit_insight(churn, summary="Monthly churn is 2.4 %")]
        await ann("update_report", report="Churn", changes=changes)
        await ann("update_report", report="Churn", changes=[edit_text("Outlook", "Stable", "Rising")])
        for text in ("churn is", "2.1 %", "2.4 %"):
            versions = [
                row["version"] for row in (await ann("audit_report", report="Churn", text=text))["events"]
            ]
            assert 2 in versions
            assert 3 not in versions


@replay
async def test_a_render_is_no_event(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        await create_churn(ann)
        for _ in range(3):
            await ann("render_report", report="Churn", format="html")
        events = (await ann("audit_report", report="Churn"))["events"]
        assert [event["action_type"] for event in events] == ["create"]
    offered = BY_NAME["audit_report"]["inputSchema"]["properties"]["action_type"]["enum"]
    assert {"create", "evolve", "revert", "render"} <= set(offered)


@replay
async def test_an_event_of_many_changes_says_how_to_see_the_rest(tmp_path: Path) -> None:
    async with agent(tmp_path) as ann:
        await create_churn(ann)
        changes = [{"op": "add_section", "title": f"Part {n}", "content": f"Text {n}."} for n in range(40)]
        await ann("update_report", report="Churn", changes=changes)
        answer = await ann("audit_report", report="Churn")
        event = answer["events"][0]
        assert event["version"] == 2
        assert 0 < len(event["changed"]) == 40 - event["changed_more"]
        [warning] = answer["warnings"]
        assert "changed_more" in warning
        assert "diff_report" in warning
        changed = (await ann("diff_report", report="Churn", to_version=event["version"]))["changed"]
        assert {row["item"] for row in changed} >= {"Part 0", "Part 39"}
