"""Text of others on a terminal: through every command, no byte of it moves the cursor or hides anything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest

from living_reports.cli import main, terminal
from living_reports.cli.parser import OTHERS, TOOLS
from living_reports.library import Library
from living_reports.library.requests import CreateReport, UpdateReport
from living_reports.model.event import Author
from living_reports.model.selectors import name_line
from living_reports.printable import escape, escape_json
from support.command_line import TerminalStream, run_command, run_json
from support.wire import COMMAND, INITIALIZE, INITIALIZE_PARAMS, environment, start_server, tool_call

DIRECTIONS = [*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))]
MARKS = ["\u061c", "\u200e", "\u200f"]
CONTROLS = [*map(chr, range(1, 0x20)), *map(chr, range(0x7F, 0xA0))]
SEQUENCES = ["\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x1b[7mEVIL", "\x9b35mEVIL", "\r\nv9 ok", "\x1bPq\x1b\\"]
TITLE = "T" + "x".join([*DIRECTIONS, *MARKS]) + "end"
"""Titles have no control characters, but may change the direction of text."""
NASTY = "N" + "x".join([*CONTROLS, *DIRECTIONS, *MARKS, "\u2028", "\u2029", *SEQUENCES]) + "end"
FILE_NAME = ("F" + "x".join([*CONTROLS, *DIRECTIONS, "\u2028"])).replace("/", "")[:100] + "\udcff"

UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
COLOUR = re.compile(r"\x1b\[(?:0|1|2|31|32|33|36|1;36|32;1|31;1)m")


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """A root with such text in every place where others may write."""
    root = tmp_path / "reports"
    library, author = Library(root), Author("agent", NASTY)
    insight = {
        "summary": TITLE,
        "importance": 5,
        "citations": [{"source": "url", "url": "https://a.example"}],
    }
    section = {"title": TITLE, "content": NASTY, "insights": [insight]}
    create = CreateReport(TITLE, [section], tags=[TITLE[:40]], reason=NASTY)
    report = library.create_report(create, author)["report_id"]
    for text in (f"# {NASTY}\n\n- {NASTY}\n\n| {NASTY} |\n|---|\n| a |\n\n> {NASTY}", f"```\n{NASTY}\n```"):
        change = {"op": "edit_section", "section": TITLE, "content": text}
        library.update_report(UpdateReport(report, [change], reason=NASTY), author)
    places = [
        root,
        root / "by_id",
        root / "by_id" / report,
        root / "by_id" / report / "backups",
        root / "templates",
    ]
    for place in places:
        place.mkdir(exist_ok=True)
        (place / FILE_NAME).write_text("{", encoding="utf-8")
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / f"good{FILE_NAME[:80]}.md").write_text(f"# {NASTY}\n\n## {NASTY}\n", encoding="utf-8")
    (documents / f"bad{FILE_NAME[:80]}.md").write_bytes(b"\xff")
    client = tmp_path / "claude.json"
    client.write_text(
        json.dumps({"mcpServers": {NASTY: {"command": NASTY}}}, ensure_ascii=False), encoding="utf-8"
    )
    return root


def commands_of(root: Path, report: str) -> dict[str, list[list[str]]]:
    """Return calls of every command, right and wrong ones."""
    wrong = [NASTY, TITLE]
    output = root.parent / f"out{FILE_NAME[:60]}"
    return {
        "list": [[], ["--query", "x"], ["x"], ["--sort", NASTY], [NASTY]],
        "get": [[report], *([report, "--view", view] for view in ("full", "summary", "insights")), wrong[:1]],
        "audit": [[report], [report, "--actor", NASTY], [NASTY]],
        "diff": [
            [report, "--since", "1"],
            [report, "--since", "1", "--format", "text"],
            [report, "--since", NASTY],
        ],
        "check": [[report], [NASTY]],
        "render": [[report], [report, "--format", "html"], [report, "--format", NASTY]],
        "verify": [[report], [report, "--expect", NASTY], [NASTY]],
        "update": [
            [report, "--set-title", TITLE + "2", "--reason", NASTY],
            [report, "--set-title", NASTY],
            [report, "--changes", str(root / FILE_NAME)],
            [report, "--changes", NASTY],
            [report, "--set-status", NASTY],
        ],
        "create": [
            [TITLE + "3", "--section", TITLE, "--tag", "a"],
            [NASTY],
            ["x", "--template", NASTY],
            ["x", "--template", FILE_NAME],
            ["x", "--from", NASTY],
        ],
        "revert": [
            [report, "--to-version", "1", "--reason", NASTY],
            [report, "--undo", NASTY],
            [report, NASTY],
        ],
        "doctor": [[], ["--deep"], ["--repair"], [NASTY]],
        "import": [[str(root.parent / "documents")], [str(root / FILE_NAME)], [NASTY]],
        "export": [[report, "--output", str(output)], [NASTY], [report, "--output", str(root / FILE_NAME)]],
        "install": [["claude-code", "--dry-run"], [NASTY]],
        "uninstall": [["claude-code", "--dry-run"], [NASTY]],
        "delete": [[report, "--reason", NASTY], [NASTY]],
        "restore": [[report], [NASTY]],
        "demo": [[NASTY]],
        "serve": [["--http", NASTY], ["--http", "0", "--host", NASTY], ["--token-file", NASTY], [NASTY]],
    }


def shown(root: Path, *arguments: str) -> str:
    """Return all that a command writes to a terminal."""
    out, err = TerminalStream(), TerminalStream()
    with redirect_stdout(out), redirect_stderr(err), suppress(SystemExit):
        main(arguments)
    return out.getvalue() + err.getvalue()


@pytest.mark.parametrize("colour", [True, False])
def test_no_command_writes_control_characters(
    reports: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, colour: bool
) -> None:
    monkeypatch.setenv("LIVING_REPORTS_ROOT", str(reports))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "" if colour else "1")
    monkeypatch.setenv("LOGNAME", NASTY)
    monkeypatch.setattr(terminal, "INDICATOR_DELAY_S", 600)
    [report] = [entry["report_id"] for entry in run_json(reports, "list")["reports"]]
    commands = commands_of(reports, report)
    assert set(commands) == {"serve", *TOOLS, *(name for name, _, _ in OTHERS)}
    for command, calls in commands.items():
        for arguments in calls:
            text = shown(reports, command, *arguments)
            assert text, (command, arguments)
            left = COLOUR.sub("", text) if colour else text
            assert not UNSAFE.findall(left), (command, arguments, left)


def test_piped_only_the_texts_of_reports_are_exact(reports: Path) -> None:
    [report] = [entry["report_id"] for entry in run_json(reports, "list")["reports"]]
    for command in ("list", "audit", "check", "doctor", "diff", "verify"):
        done = run_command(reports, command, *([report] if command not in ("list", "doctor") else []))
        assert not UNSAFE.findall(done.stdout + done.stderr), command
    page = run_json(reports, "get", report, "--view", "markdown")["text"]
    assert run_command(reports, "get", report).stdout == page.removesuffix("\n") + "\n"


@pytest.mark.parametrize("command", ["list", "get", "audit", "diff", "check", "doctor"])
def test_json_has_the_same_texts_in_escapes(reports: Path, command: str) -> None:
    [report] = [entry["report_id"] for entry in run_json(reports, "list")["reports"]]
    named = [] if command in ("list", "doctor") else [report]
    view = ["--view", "full"] if command == "get" else []
    done = run_command(reports, command, *named, *view, "--json")
    assert not UNSAFE.findall(done.stdout)
    answer = json.loads(done.stdout)
    texts = list(strings(answer))
    assert any(text.startswith((TITLE[:20], NASTY[:20], FILE_NAME[:20])) for text in texts), texts


def strings(data: Any) -> list[str]:
    if isinstance(data, dict):
        return [text for item in data.values() for text in strings(item)]
    if isinstance(data, list):
        return [text for item in data for text in strings(item)]
    return [data] if isinstance(data, str) else []


@pytest.mark.skipif(sys.platform == "win32", reason="a file name with control characters")
def test_doctor_names_a_file_by_its_escapes(tmp_path: Path) -> None:
    folder = tmp_path / "by_id"
    folder.mkdir()
    (folder / "a\n  ok  b\x1b[2J\udcff").write_text("", encoding="utf-8")
    text = run_command(tmp_path, "doctor").stdout
    assert r"a\n  ok  b\x1b[2J\udcff" in text


# --- The server --------------------------------------------------------------------------


def client_named(name: str, version: str) -> dict[str, Any]:
    info = {"name": name, "version": version, "title": NASTY}
    params: dict[str, Any] = {**INITIALIZE_PARAMS, "clientInfo": info}
    return INITIALIZE | {"params": params}


def test_the_name_of_a_client_is_cleaned_when_it_arrives(tmp_path: Path) -> None:
    with start_server(tmp_path, "--as", f"ann\x1b[2J\n{TITLE}", initialized=False) as wire:
        wire.ask(client_named(f"evil\x1b[2J\nclient\u202e {NASTY}", NASTY))
        wire.ask(tool_call(2, "create_report", title="Health"))
        wire.rest()
    [event] = run_json(tmp_path, "audit", "Health")["events"]
    assert event["client"].startswith("ann[2J T")
    assert len(event["client"]) <= 100
    assert event["client"].isprintable()


def test_the_log_of_the_server_is_one_line_a_record(tmp_path: Path) -> None:
    requests = [client_named(NASTY, "1"), {"jsonrpc": "2.0", "id": 3, "method": NASTY}, tool_call(4, NASTY)]
    lines = [json.dumps(request).encode() for request in requests]
    lines += [b"\x1b[2Jx", b'{"method":"\\u001b[2J\xc2\x9b\\n"}', NASTY.encode()]
    environ = os.environ | environment(tmp_path)
    done = subprocess.run(COMMAND, input=b"\n".join(lines), env=environ, capture_output=True, timeout=60)
    text = done.stderr.decode()
    assert not UNSAFE.findall(text)
    assert text
    assert all(line.startswith(("living-reports: WARNING: ", "  ")) for line in text.splitlines())


def test_a_defect_is_logged_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import logging; from living_reports.server.app import log_to_stderr; log_to_stderr()\n"
        "try: raise ValueError(NASTY)\n"
        "except ValueError: logging.getLogger('x').exception('failed %s', NASTY)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"NASTY = {NASTY!a}\n{program}"], capture_output=True, timeout=60, check=True
    )
    text = done.stderr.decode()
    assert not UNSAFE.findall(text)
    first, *others = text.splitlines()
    assert first == f"living-reports: ERROR: failed {escape(NASTY)}"
    assert all(line.startswith("  ") for line in others)


# --- The escape --------------------------------------------------------------------------


@pytest.mark.parametrize("char", [*CONTROLS, "\0", *DIRECTIONS, *MARKS, "\u2028", "\u2029", "\ud800"])
def test_everything_that_controls_a_terminal_is_escaped(char: str) -> None:
    text = escape(f"a{char}b")
    assert text == ("ab" if char in MARKS else f"a{repr(char)[1:-1]}b")
    assert text.isprintable()
    quoted = escape_json(json.dumps(f"a{char}b", ensure_ascii=False))
    assert json.loads(quoted) == f"a{char}b"
    assert quoted.isprintable()
    assert name_line(f"a{char}b") in ("ab", "a b")


@pytest.mark.parametrize("text", ["Ünïcode 日本語 שלום مرحبا 😀 👩\u200d💻 e\u0301 —…", ""])
def test_other_text_is_shown_as_it_is(text: str) -> None:
    assert escape(text) == text
    assert escape_json(text) == text
