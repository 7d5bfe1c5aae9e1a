"""The command line as a person and as a script meet it: words, answers, errors, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from living_reports import __version__
from support.command_line import run_command, run_json, run_ok, run_refused


@pytest.fixture
def health(root: Path) -> str:
    """The id of a report with one section and one tag."""
    created = run_json(root, "create", "Checkout health", "--section", "Errors", "--tag", "shop")
    report_id: str = created["report_id"]
    return report_id


# --- The tools' verbs ---------------------------------------------------------------------


def test_a_report_from_flags(root: Path) -> None:
    text = run_ok(root, "create", "Checkout health", "--section", "Errors", "--section", "Latency")
    lines = text.splitlines()
    assert lines[0] == "Created Checkout health"
    assert lines[2].split() == ["version", "1"]
    assert [line.split()[-1] for line in lines[3:]] == ["Errors", "Latency"]


def test_a_report_from_json(root: Path) -> None:
    insight = {"summary": "Errors doubled", "importance": 8}
    data = {"title": "From a file", "sections": [{"title": "Errors", "insights": [insight]}], "tags": ["a"]}
    created = run_json(root, "create", "--json-input", "-", "--tag", "b", stdin=json.dumps(data))
    shown = run_json(root, "get", created["report_id"], "--view", "full")
    assert (shown["title"], shown["tags"]) == ("From a file", ["a", "b"])
    assert shown["insights"][0]["summary"] == "Errors doubled"


def test_changes_from_flags_and_from_a_file(root: Path, health: str, tmp_path: Path) -> None:
    changes = tmp_path / "changes.json"
    changes.write_text(json.dumps([{"op": "append_text", "section": "Errors", "text": "12 %\n"}]))
    done = run_json(root, "update", health, "--changes", str(changes), "--add-tag", "may", "--reason", "May")
    assert (done["version"], done["applied"]) == (2, 2)
    shown = run_json(root, "get", health, "--section", "Errors")
    assert shown["sections"][0]["content"] == "12 %\n"
    assert shown["tags"] == ["shop", "may"]


def test_a_single_change_needs_no_list(root: Path, health: str) -> None:
    change = {"op": "set_status", "status": "archived"}
    options = ("--changes", "-", "--add-tag", "may")
    done = run_json(root, "update", health, *options, stdin=json.dumps(change))
    assert done["applied"] == 2


def test_an_update_says_what_changed(root: Path, health: str) -> None:
    lines = run_ok(root, "update", health, "--set-title", "Shop health").splitlines()
    assert lines == ["Shop health is now at version 2: 1 change", "  ~ title  Checkout health → Shop health"]


def test_a_dry_run_writes_nothing(root: Path, health: str) -> None:
    text = run_ok(root, "update", health, "--set-title", "Shop health", "--dry-run")
    assert "dry run" in text.splitlines()[0]
    assert run_json(root, "get", health)["version"] == 1


def test_what_is_already_so_makes_no_version(root: Path, health: str) -> None:
    text = run_ok(root, "update", health, "--add-tag", "shop")
    assert text == "Checkout health stays at version 1: it already is as asked\n"


def test_a_repeated_request_id_is_harmless(root: Path, health: str) -> None:
    arguments = ("update", health, "--set-title", "Shop health", "--request-id", "once")
    assert run_json(root, *arguments) == run_json(root, *arguments)
    assert run_json(root, "get", health)["version"] == 2


def test_revert_and_read_an_old_version(root: Path, health: str) -> None:
    run_ok(root, "update", health, "--set-title", "Shop health")
    reverted = run_json(root, "revert", health, "--to-version", "1", "--reason", "No")
    assert (reverted["version"], reverted["title"]) == (3, "Checkout health")
    assert run_json(root, "get", health, "--version", "2")["title"] == "Shop health"


def test_list_finds_by_tag(root: Path, health: str) -> None:
    run_ok(root, "create", "Another", "--tag", "other")
    entries = run_json(root, "list", "--tag", "shop")["reports"]
    assert [entry["report_id"] for entry in entries] == [health]
    heads, row = run_ok(root, "list", "--tag", "shop").splitlines()
    assert heads.split()[:2] == ["ID", "VERSION"]
    assert row.startswith(health[:8])
    assert row.endswith("Checkout health #shop")


def test_an_empty_list_says_so(root: Path) -> None:
    assert run_ok(root, "list") == "No report matches.\n"
    assert not root.exists()


def test_piped_a_report_is_its_markdown(root: Path, health: str) -> None:
    text = run_ok(root, "get", health)
    assert text.startswith("# Checkout health\n")
    assert "\n## Errors\n" in text
    assert "\x1b" not in text


def test_a_long_report_comes_whole(root: Path, health: str) -> None:
    lines = [f"line {number} " + "x" * 90 for number in range(6000)]
    change = {"op": "edit_section", "section": "Errors", "content": "\n".join(lines)}
    run_ok(root, "update", health, "--changes", "-", stdin=json.dumps([change]))
    text = run_ok(root, "get", health)
    assert "\n".join(lines) in text
    assert "--cursor" not in text


@pytest.mark.parametrize("given", ["stdin", "file"])
def test_json_may_begin_with_a_byte_order_mark(root: Path, health: str, tmp_path: Path, given: str) -> None:
    text = "\ufeff" + json.dumps([{"op": "add_tags", "tags": ["marked"]}])
    file = tmp_path / "changes.json"
    file.write_text(text, encoding="utf-8")
    run_ok(root, "update", health, "--changes", "-" if given == "stdin" else str(file), stdin=text)
    assert run_json(root, "get", health)["tags"][-1] == "marked"


def test_imported_markdown_may_begin_with_a_byte_order_mark(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "plan.md"
    file.write_bytes(b"\xef\xbb\xbf---\r\ntitle: Plan\r\n---\r\n\r\n## Risks\r\n\r\nNone.\r\n")
    run_ok(root, "import", str(file))
    sections = run_json(root, "get", "Plan", "--view", "full")["sections"]
    assert [section["title"] for section in sections] == ["Introduction", "Risks"]


def test_a_summary_for_a_person(root: Path, health: str) -> None:
    text = run_ok(root, "get", health, "--view", "summary")
    assert text.splitlines()[0] == "Checkout health"
    assert health in text
    assert "Errors" in text


def test_the_audit_trail_names_the_user_and_the_reason(root: Path, health: str) -> None:
    run_ok(root, "update", health, "--set-title", "Shop health", "--reason", "It is all of the shop")
    lines = run_ok(root, "audit", health).splitlines()
    assert lines[0].startswith("v2")
    assert lines[0].endswith("rename")
    assert " cli " in lines[0]
    assert lines[1].strip() == "It is all of the shop"
    assert lines[2].strip() == "~ title  Checkout health → Shop health"
    assert lines[-1].strip() == "+ the report  Checkout health"


def test_the_events_of_another_program_need_no_version(root: Path) -> None:
    shutil.copytree(Path(__file__).parents[1] / "data" / "igloo", root)
    lines = run_ok(root, "audit", "Quarterly review").splitlines()
    assert lines[-1].split() == ["-", "2026-03-02", "09:00:00", "agent", "create"]
    assert lines[-2].startswith("v2 ")


def test_verify_says_ok_and_where_it_is_not(root: Path, health: str) -> None:
    run_ok(root, "update", health, "--set-title", "Shop health")
    assert run_ok(root, "verify", health).startswith("ok  2 events")
    log = root / "by_id" / health / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b"Checkout", b"Chequers", 1))
    done = run_command(root, "verify", health)
    assert done.returncode == 6
    assert done.stdout.startswith("not ok")
    assert "line 1" in done.stdout
    assert json.loads(run_command(root, "verify", health, "--json").stdout)["verified"]["ok"] is False


def test_delete_and_restore(root: Path, health: str) -> None:
    text = run_ok(root, "delete", health, "--reason", "Not needed")
    assert text.splitlines()[0] == "Checkout health is in the trash"
    assert run_json(root, "list", "--status", "all")["reports"] == []
    assert run_ok(root, "restore", health).startswith("Checkout health is back")
    assert run_json(root, "get", health)["title"] == "Checkout health"


# --- Errors -------------------------------------------------------------------------------


def test_a_creation_can_be_tried(root: Path) -> None:
    run_ok(root, "create", "Checkout health", "--section", "Errors", "--tag", "shop")
    lines = run_ok(root, "create", "Copy", "--from", "Checkout health", "--dry-run").splitlines()
    assert lines[:2] == [
        "Copy: a dry run; nothing was written",
        "  from Checkout health: 1 section, 0 insights, tags shop",
    ]
    assert "Copy" not in run_ok(root, "list")


def test_replacing_in_the_whole_report_says_how_often(root: Path) -> None:
    run_ok(root, "create", "Checkout health", "--section", "Errors")
    change = {"op": "append_text", "section": "Errors", "text": "twice and twice"}
    everywhere = {"op": "edit_text", "find": "twice", "replace": "2", "all": True}
    stdin = json.dumps([change, everywhere])
    text = run_ok(root, "update", "Checkout health", "--changes", "-", stdin=stdin)
    assert "  replaced in 2 places" in text.splitlines()


def test_nothing_found_is_3_and_creates_nothing(root: Path) -> None:
    code, error = run_refused(root, "get", "No such report")
    assert (code, error["code"]) == (3, "report_not_found")
    assert not root.exists()


def test_a_conflict_is_4(root: Path, health: str) -> None:
    run_ok(root, "update", health, "--set-title", "Shop health")
    code, error = run_refused(root, "update", health, "--set-title", "Mine", "--expected-version", "1")
    assert (code, error["code"], error["current_version"]) == (4, "version_conflict", 2)


def test_several_matches_are_listed_for_a_person(root: Path, health: str) -> None:
    run_ok(root, "create", "Checkout health")
    done = run_command(root, "get", "Checkout health")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("ambiguous_selector: ")
    assert health in done.stderr


def test_a_wrong_change_names_its_place(root: Path, health: str) -> None:
    change = {"op": "add_insight", "section": "Errors", "summary": "x", "importance": 11}
    code, error = run_refused(root, "update", health, "--changes", "-", stdin=json.dumps([change]))
    assert (code, error["code"], error["path"]) == (2, "invalid_input", "changes[0].importance")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{", "--json-input"),
        ("[]", "--json-input"),
        ('{"titel": "x"}', "titel"),
        ('{"title": "x", "tags": "a"}', "tags"),
    ],
)
def test_bad_json_input_is_2(root: Path, text: str, path: str) -> None:
    code, error = run_refused(root, "create", "--json-input", "-", stdin=text)
    assert (code, error["code"], error["path"]) == (2, "invalid_input", path)
    assert not root.exists()


def test_a_missing_file_is_2(root: Path, health: str) -> None:
    done = run_command(root, "update", health, "--changes", str(root / "none.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be read" in done.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("frobnicate",), ("get",), ("revert", "x"), ("get", "x", "--version", "two")]
)
def test_a_command_line_that_makes_no_sense_is_2(root: Path, arguments: tuple[str, ...]) -> None:
    done = run_command(root, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: living-reports" in done.stderr


# --- The command itself -------------------------------------------------------------------


def test_root_wins_over_the_environment(root: Path, health: str, tmp_path: Path) -> None:
    assert run_json(root, "list", "--root", str(tmp_path / "other"))["reports"] == []


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "living_reports", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"living-reports {__version__}\n")


def test_a_reader_that_goes_away_is_no_error_message(root: Path, health: str) -> None:
    change = {"op": "edit_section", "section": "Errors", "content": "many words\n" * 50_000}
    run_ok(root, "update", health, "--changes", "-", stdin=json.dumps([change]))
    environment = {**os.environ, "LIVING_REPORTS_ROOT": str(root)}
    command = [sys.executable, "-m", "living_reports", "get", health]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"# Checkout health\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_the_command_line_alone_loads_no_library() -> None:
    """`serve` and `--help` do not load what they do not need."""
    program = (
        "import sys; from living_reports.cli.parser import build_parser\n"
        "build_parser().parse_args(['serve'])\n"
        "print(sorted({'pydantic', 'mcp', 'anyio', 'living_reports.library'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")
