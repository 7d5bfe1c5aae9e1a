"""The commands that look back and go back: diff, check, render, revert, and what create and list take."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from living_reports.cli.show_history import difference
from living_reports.cli.terminal import Terminal
from support.command_line import TerminalStream, run_command, run_json, run_ok, run_refused


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOGNAME", "ann")
    return tmp_path / "reports"


def update(root: Path, *changes: dict[str, Any], options: Sequence[str] = ()) -> dict[str, Any]:
    return run_json(root, "update", "Health", "--changes", "-", *options, stdin=json.dumps(changes))


@pytest.fixture
def health(root: Path) -> str:
    """A report of three versions: made, figures changed, a section and a tag added."""
    insight = {
        "summary": "Errors rose",
        "importance": 8,
        "citations": [{"url": "https://example.org/errors"}],
    }
    sections = [{"title": "Errors", "content": "12 % fail.\n", "insights": [insight]}]
    data = {"title": "Health", "sections": sections}
    created = run_json(root, "create", "--json-input", "-", stdin=json.dumps(data))
    edit = {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "15 %"}
    update(root, edit, options=["--reason", "May"])
    more = {"op": "add_section", "title": "Latency", "content": "Slow.\n"}
    update(root, more, {"op": "add_tags", "tags": ["shop"]}, options=["--reason", "June"])
    report_id: str = created["report_id"]
    return report_id


def short_id(root: Path, title: str) -> str:
    sections = run_json(root, "get", "Health", "--view", "summary")["sections"]
    [section_id] = [section["section_id"] for section in sections if section["title"] == title]
    return str(section_id)


def without_times(text: str) -> list[str]:
    return re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text).splitlines()


# --- diff ---------------------------------------------------------------------------------


def test_a_diff_goes_item_by_item_with_who_and_why(root: Path, health: str) -> None:
    update(root, {"op": "edit_section", "section": "Errors", "title": "Failures"})
    errors, latency = short_id(root, "Failures"), short_id(root, "Latency")
    assert without_times(run_ok(root, "diff", "Health", "--since", "1")) == [
        "Health: version 1 → 4",
        "",
        "The report",
        "  v3 TIME cli ann: June",
        "    + metadata/tags  shop",
        "",
        f"Failures  sections/{errors}",
        "  v4 TIME cli ann",
        "    ~ title  Errors → Failures",
        "  v2 TIME cli ann: May",
        "    ~ content  12 % fail. → 15 % fail.",
        "",
        f"Latency  sections/{latency}",
        "  v3 TIME cli ann: June",
        "    + added",
    ]


def test_a_diff_lists_all_who_made_one_change(root: Path, health: str) -> None:
    for number in range(10):
        edit = {"op": "edit_section", "section": "Errors", "content": f"{number} % fail.\n"}
        update(root, edit, options=["--reason", f"day {number}"])
    lines = without_times(run_ok(root, "diff", "Health", "--since", "10"))
    assert lines[3:6] == ["  v11 ann: day 7", "  v12 ann: day 8", "  v13 ann: day 9"]
    lines = without_times(run_ok(root, "diff", "Health", "--since", "3"))
    assert lines[3:6] == ["  v9 ann: day 5", "  v10 ann: day 6", "  v11 ann: day 7"]
    assert lines[8:10] == ["  … and 5 earlier versions", "    ~ content  15 % fail. → 9 % fail."]


def test_the_user_stands_behind_a_client_that_is_not_named_after_it(
    root: Path, health: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVING_REPORTS_USER", "Ann Müller")
    update(root, {"op": "set_title", "title": "Shop"})
    [event] = run_json(root, "audit", health, "--since", "3")["events"]
    assert (event["client"], event["user"]) == ("ann", "Ann Müller")
    assert "v4 TIME cli ann (Ann Müller)" in "\n".join(without_times(run_ok(root, "diff", health)))
    assert "cli ann (Ann Müller)" in run_ok(root, "audit", health)
    assert "(ann)" not in run_ok(root, "audit", health)


def test_a_diff_names_what_went_by_what_it_was(root: Path, health: str) -> None:
    errors = short_id(root, "Errors")
    update(root, {"op": "remove_section", "section": "Errors"})
    lines = without_times(run_ok(root, "diff", "Health"))
    assert lines[:5] == [
        "Health: version 3 → 4",
        "",
        f"Errors  sections/{errors}",
        "  v4 TIME cli ann",
        "    - removed",
    ]
    assert lines[6].startswith("Errors rose  insights/")


def test_lines_that_do_not_fit_beside_each_other_stand_below(root: Path, health: str) -> None:
    change = {"op": "edit_section", "section": "Errors", "content": "One.\nTwo.\n"}
    update(root, change)
    lines = run_ok(root, "diff", "Health").splitlines()
    assert lines[4:] == ["    ~ content", "      - 15 % fail.", "      + One.", "      + Two."]


def test_where_nothing_differs_that_is_said(root: Path, health: str) -> None:
    assert run_ok(root, "diff", "Health", "--since", "3") == "Health: version 3 → 3\nNothing differs.\n"
    assert run_ok(root, "diff", "Health", "--since", "3", "--format", "text") == ""


def test_a_text_diff_is_piped_as_it_is(root: Path, health: str) -> None:
    text = run_ok(root, "diff", "Health", "--since", "1", "--to-version", "2", "--format", "text")
    assert (
        text
        == run_json(root, "diff", "Health", "--since", "1", "--to-version", "2", "--format", "text")["text"]
    )
    assert {"-12 % fail.", "+15 % fail."} <= set(text.splitlines())


def test_a_text_diff_is_coloured_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = TerminalStream()
    difference(Terminal(screen), {"text": "@@ Errors @@\n ## Errors\n-12\x1b[2J\n+15\n"})
    assert screen.getvalue().splitlines() == [
        "\x1b[36m@@ Errors @@\x1b[0m",
        " ## Errors",
        "\x1b[31m-12\\x1b[2J\x1b[0m",
        "\x1b[32m+15\x1b[0m",
    ]


def test_a_long_diff_comes_whole(root: Path, health: str) -> None:
    sections = [{"op": "add_section", "title": f"Section {n} {'x' * 180}"} for n in range(200)]
    update(root, *sections)
    assert "next_cursor" in run_json(root, "diff", "Health")
    text = run_ok(root, "diff", "Health")
    assert text.count("+ added") == 200
    assert "--cursor" not in text


def test_a_diff_as_json_is_the_answer_alone(root: Path, health: str) -> None:
    shown = run_json(root, "diff", "Health", "--since", "2")
    assert (shown["from_version"], shown["to_version"]) == (2, 3)
    assert shown.keys() == {"report_id", "title", "from_version", "to_version", "changed"}


def test_a_diff_backwards_is_2(root: Path, health: str) -> None:
    code, error = run_refused(root, "diff", "Health", "--since", "3", "--to-version", "1")
    assert (code, error["code"], error["path"]) == (2, "invalid_input", "to_version")


# --- check --------------------------------------------------------------------------------


def test_sources_that_were_not_looked_at_are_shown(root: Path) -> None:
    changes = [{"op": "edit_section", "section": "A", "content": "![x](/etc/y.png)"}]
    run_ok(root, "create", "Plots", "--section", "A")
    run_ok(root, "update", "Plots", "--changes", "-", stdin=json.dumps(changes))
    shown = run_ok(root, "check", "Plots")
    assert "/etc/y.png: outside the folders of LIVING_REPORTS_SOURCES" in shown
    assert "Images not shown: /etc/y.png" in " ".join(
        run_ok(root, "render", "Plots", "--format", "html").split()
    )


def test_a_report_without_findings_is_0(root: Path, health: str) -> None:
    assert run_ok(root, "check", "Health").splitlines() == [
        "ok  Health, version 3: nothing found",
        "",
        "Not looked at:",
        "  1 web address: never opened",
    ]


def test_what_needs_care_is_1_and_comes_with_what_to_do(root: Path, health: str) -> None:
    update(root, {"op": "add_insight", "section": "Latency", "summary": "Slower"})
    done = run_command(root, "check", "Health")
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "not ok  Health, version 4: 1 warning"
    assert lines[2].startswith("warning  uncited  insights/")
    assert lines[3:5] == ["  Slower", "  It has no citation."]
    assert '"op":"add_citation"' in lines[5]
    shown = json.loads(run_command(root, "check", "Health", "--json").stdout)
    assert [finding["code"] for finding in shown["findings"]] == ["uncited"]


def test_what_is_only_worth_a_look_is_0(root: Path, health: str) -> None:
    update(root, {"op": "add_section", "title": "Empty"})
    lines = run_ok(root, "check", "Health").splitlines()
    assert lines[0] == "ok  Health, version 4: 1 hint"


def test_another_day_can_be_asked_for(root: Path, health: str) -> None:
    insight = run_json(root, "get", "Health", "--view", "insights")["insights"][0]["insight_id"]
    update(root, {"op": "edit_insight", "insight": insight, "review_by": "+7d"})
    later = (date.today() + timedelta(days=30)).isoformat()
    run_ok(root, "check", "Health")
    assert run_command(root, "check", "Health", "--on", later).returncode == 1
    assert run_refused(root, "check", "Health", "--on", "soon")[0] == 2


# --- render -------------------------------------------------------------------------------


def test_a_page_is_the_markdown_of_a_version(root: Path, health: str) -> None:
    assert "15 % fail." in run_ok(root, "render", "Health")
    assert "12 % fail." in run_ok(root, "render", "Health", "--version", "1")


@pytest.mark.parametrize("options", [["--format", "html"], ["--to-file"]])
def test_a_page_in_a_file_says_where_it_is(root: Path, health: str, options: list[str]) -> None:
    shown = run_json(root, "render", "Health", *options)
    assert Path(shown["path"]).stat().st_size == shown["bytes"]
    lines = run_ok(root, "render", "Health", *options).splitlines()
    assert lines[0] == f"Health, version 3, as {shown['format']}"
    assert [line.split()[0] for line in lines[1:]] == ["path", "size"]


def test_an_unknown_format_is_2(root: Path, health: str) -> None:
    assert run_refused(root, "render", "Health", "--format", "pdf")[0] == 2


# --- Going back ---------------------------------------------------------------------------


def test_one_change_is_taken_back_and_later_ones_stay(root: Path, health: str) -> None:
    done = run_json(root, "revert", "Health", "--undo", "2", "--reason", "Wrong")
    assert done["version"] == 4
    text = run_ok(root, "get", "Health")
    assert "12 % fail." in text
    assert "## Latency" in text


def test_an_undo_says_what_came_later_and_stays(root: Path, health: str) -> None:
    assert "  kept what came later: version 3" in run_ok(root, "revert", "Health", "--undo", "2").splitlines()


def test_one_item_goes_back(root: Path, health: str) -> None:
    update(root, {"op": "remove_section", "section": "Errors"})
    run_ok(root, "revert", "Health", "--to-version", "2", "--item", "Errors")
    text = run_ok(root, "get", "Health")
    assert "15 % fail." in text
    assert "## Latency" in text


@pytest.mark.parametrize("options", [[], ["--to-version", "1", "--undo", "2"], ["--item", "Errors"]])
def test_one_way_back_has_to_be_named(root: Path, health: str, options: list[str]) -> None:
    done = run_command(root, "revert", "Health", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: living-reports revert" in done.stderr


# --- Merging ------------------------------------------------------------------------------


def test_what_was_merged_is_said(root: Path, health: str) -> None:
    options = ["--set-title", "Shop health", "--expected-version", "1"]
    lines = run_ok(root, "update", "Health", *options).splitlines()
    assert lines == [
        "Shop health is now at version 4: 1 change",
        "  merged with 2 versions, 2 to 3",
        "    v2 ann: May",
        "      ~ Errors: content  12 % fail. → 15 % fail.",
        "    v3 ann: June",
        "      + metadata/tags    shop",
        "      + section Latency  Slow.",
        "  ~ title  Health → Shop health",
    ]


def test_a_conflict_shows_both_sides_and_who_it_was(root: Path, health: str) -> None:
    change = {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "9 %"}
    stdin = json.dumps([change])
    done = run_command(root, "update", "Health", "--changes", "-", "--expected-version", "1", stdin=stdin)
    assert (done.returncode, done.stdout) == (4, "")
    lines = without_times(done.stderr)
    assert lines[0].startswith("version_conflict: ")
    assert "  retry_with and keep_both are in the answer that --json shows" in lines
    assert lines[-5:] == [
        f"  Errors  sections/{short_id(root, 'Errors')}/content",
        "    v2 TIME cli ann: May",
        "    base     12 % fail.",
        "    current  15 % fail.",
        "    yours    9 % fail.",
    ]


# --- Beginning with something, and finding it again ---------------------------------------


def test_a_report_begins_with_a_template(root: Path) -> None:
    created = run_json(root, "create", "Outage", "--template", "incident")
    assert [section["title"] for section in created["created"]["sections"]][:2] == ["Summary", "Impact"]


def test_a_report_begins_with_others(root: Path, health: str) -> None:
    run_ok(root, "create", "Costs", "--section", "Spending")
    created = run_json(root, "create", "Quarter", "--from", "Health", "--from", "Costs")
    titles = [section["title"] for section in created["created"]["sections"]]
    assert titles == ["Errors", "Latency", "Spending"]


def test_the_last_change_of_an_item_comes_first(root: Path, health: str) -> None:
    lines = without_times(run_ok(root, "audit", "Health", "--item", "Errors"))
    assert lines[0] == "last changed v2 TIME cli ann: May"
    assert [line[:2] for line in lines if line.startswith("v")] == ["v2", "v1"]


def test_reports_are_found_by_their_words_with_the_place(root: Path, health: str) -> None:
    run_ok(root, "create", "Another")
    lines = run_ok(root, "list", "slow").splitlines()
    assert lines[0] == f"{health[:8]}  v3  Health #shop"
    assert lines[1].split() == [short_id(root, "Latency"), "Latency", "Slow."]
    assert len(lines) == 2


def test_reports_are_found_by_what_they_cite(root: Path, health: str) -> None:
    run_ok(root, "create", "Another")
    found = run_json(root, "list", "--cites", "example.org")["reports"]
    assert [entry["report_id"] for entry in found] == [health]
    assert run_json(root, "list", "--stale")["reports"] == []
