"""How a server over stdio ends, and what it lets neither in nor out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from living_reports.library import Library
from living_reports.library.requests import CreateReport, GetReport
from living_reports.model.event import Author
from living_reports.server.stdio import END_BYTES, GRACE_S, MAX_LINE_BYTES, Unparsed, split_lines
from living_reports.store.files.lock import hold
from support.library_reports import lock_path
from support.wire import COMMAND, INITIALIZE, INITIALIZED, Wire, environment, start_server, tool_call

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
SIGNALS = pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])


@pytest.fixture
def report(tmp_path: Path) -> str:
    created = Library(tmp_path).create_report(
        CreateReport("Health", [{"title": "Log"}]), author=Author("cli", "ann")
    )
    return str(created["report_id"])


def append(request_id: int, report: str) -> dict[str, object]:
    change = {"op": "append_text", "section": "Log", "text": f"{request_id}"}
    return tool_call(request_id, "update_report", report=report, changes=[change])


def version_of(root: Path, report: str) -> int:
    return int(Library(root).get_report(GetReport(report))["version"])


def wait_until_read(wire: Wire) -> None:
    """Until the server has taken in all that was sent: it answers in the order it reads."""
    assert "tools" in wire.ask({"jsonrpc": "2.0", "id": "read", "method": "tools/list"})


# --- End of stdin ------------------------------------------------------------------------


def test_the_end_of_stdin_is_a_clean_end(tmp_path: Path) -> None:
    with start_server(tmp_path, stderr=subprocess.PIPE) as wire:
        _, log = wire.process.communicate(timeout=30)
    assert (wire.process.returncode, log) == (0, b"")


def test_everything_asked_for_is_answered_before_it_ends(tmp_path: Path, report: str) -> None:
    with start_server(tmp_path) as wire:
        wire.send(*(append(request_id, report) for request_id in range(10, 30)))
        answers = wire.rest()
    assert wire.process.returncode == 0
    assert sorted(answer["id"] for answer in answers) == list(range(10, 30))
    assert version_of(tmp_path, report) == 21


def test_a_call_that_waits_when_stdin_ends_is_finished(tmp_path: Path, report: str) -> None:
    with start_server(tmp_path) as wire:
        with hold(lock_path(tmp_path, report), 5.0):
            wire.send(append(2, report))
            wait_until_read(wire)
            wire.stdin.close()
        assert wire.receive()["result"]["structuredContent"]["version"] == 2
        assert wire.process.wait(timeout=30) == 0


def test_a_call_that_has_begun_is_finished_though_it_is_cancelled(tmp_path: Path, report: str) -> None:
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}
    with start_server(tmp_path) as wire:
        with hold(lock_path(tmp_path, report), 5.0):
            wire.send(append(2, report))
            wait_until_read(wire)
            wire.send(cancelled)
            wait_until_read(wire)
        assert wire.rest() == []  # who takes a request back gets no answer
        assert wire.process.returncode == 0
    assert version_of(tmp_path, report) == 2


def test_no_input_at_all_is_a_clean_end(tmp_path: Path) -> None:
    environ = {**os.environ, **environment(tmp_path)}
    done = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, env=environ, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_client_that_stops_listening_is_a_clean_end(tmp_path: Path, report: str) -> None:
    with start_server(tmp_path, stderr=subprocess.PIPE) as wire:
        wire.stdout.close()
        wire.send(append(2, report))
        assert wire.process.wait(timeout=30) == 0
        assert wire.process.stderr is not None
        assert wire.process.stderr.read() == b""
    assert version_of(tmp_path, report) == 2


# --- Signals, and a parent that is gone --------------------------------------------------


@POSIX
@SIGNALS
def test_a_signal_ends_it_though_stdin_is_open(tmp_path: Path, number: int, code: int) -> None:
    with start_server(tmp_path, stderr=subprocess.PIPE) as wire:
        wire.process.send_signal(number)
        assert wire.process.wait(timeout=30) == code
        assert wire.process.stderr is not None
        assert wire.process.stderr.read() == b""


@POSIX
@SIGNALS
def test_what_runs_at_a_signal_is_finished_and_answered(
    tmp_path: Path, report: str, number: int, code: int
) -> None:
    with start_server(tmp_path) as wire:
        with hold(lock_path(tmp_path, report), 5.0):
            wire.send(append(2, report))
            wait_until_read(wire)
            wire.process.send_signal(number)
        assert wire.receive()["result"]["structuredContent"]["version"] == 2
        assert wire.process.wait(timeout=30) == code
    assert version_of(tmp_path, report) == 2


@POSIX
def test_what_is_stuck_at_a_signal_does_not_keep_it(tmp_path: Path, report: str) -> None:
    with start_server(tmp_path) as wire, hold(lock_path(tmp_path, report), 5.0):
        wire.send(append(2, report))
        wait_until_read(wire)
        wire.process.send_signal(signal.SIGTERM)
        assert wire.process.wait(timeout=GRACE_S * 4) == 0
    assert version_of(tmp_path, report) == 1


@POSIX
def test_it_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    # A parent that leaves without closing the server's stdin: we hold the other end of it.
    parent = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    kept_open, ours = os.pipe()
    environ = {**os.environ, **environment(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", parent, *COMMAND], stdin=kept_open, stdout=subprocess.PIPE, env=environ
    ) as process:
        os.write(ours, b"".join(json.dumps(m).encode() + b"\n" for m in (INITIALIZE, INITIALIZED)))
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["id"] == 1
        process.kill()
        assert process.stdout.read() == b""  # the end comes when the server has gone, too
    os.close(kept_open)
    os.close(ours)


# --- What is not a message ------------------------------------------------------------------


def test_lines_that_are_no_messages_do_not_end_it(tmp_path: Path) -> None:
    half_an_emoji = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\\ud83d"}}'
    no_utf8 = b'{"jsonrpc":"2.0","id":"8","method":"\xff"}'
    with start_server(tmp_path, stderr=subprocess.PIPE) as wire:
        wire.send(
            b"no json", b"", b"\xff\xfe\x00", b"[" * 5_000, b'{"jsonrpc":"2.0"}', half_an_emoji, no_utf8
        )
        wire.send(tool_call(9, "list_reports"))
        out, log = wire.process.communicate(timeout=30)
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["id"] for answer in answers] == [7, "8", 9]
    assert [answer["error"]["code"] for answer in answers[:2]] == [-32700, -32700]
    assert "result" in answers[2]
    assert log.count(b"is not a message") == 6
    assert b"Traceback" not in log


def test_a_byte_order_mark_before_a_line_is_skipped(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    with start_server(tmp_path, stderr=subprocess.PIPE, initialized=False) as wire:
        wire.send(mark + json.dumps(INITIALIZE).encode())
        assert wire.receive()["result"]["serverInfo"]["name"] == "living-reports"
        wire.send(mark, b" " + mark + b" " + json.dumps(INITIALIZED).encode())
        wire.send(mark + json.dumps(tool_call(2, "list_reports")).encode())
        assert wire.receive()["id"] == 2
        _, log = wire.process.communicate(timeout=30)
    assert log == b""


def test_a_line_over_the_limit_is_thrown_away(tmp_path: Path) -> None:
    with start_server(tmp_path, stderr=subprocess.PIPE) as wire:
        wire.send(json.dumps(tool_call(2, "get_report", report="x" * MAX_LINE_BYTES)).encode())
        wire.send(tool_call(3, "list_reports"))
        out, log = wire.process.communicate(timeout=60)
    answers = {answer["id"]: answer for answer in map(json.loads, out.splitlines())}
    assert answers.keys() == {2, 3}
    assert "32,000,000" in answers[2]["error"]["message"]
    assert b"is not a message" in log


def test_of_a_long_line_only_the_ends_are_kept() -> None:
    piece = b"x" * 1_000_000
    chunks = [b"the beginning", *[piece] * 40, b"the end\nnext\n"]
    long, following = split_lines(chunks)
    assert isinstance(long, Unparsed)
    assert long.ends.startswith(b"the beginning")
    assert long.ends.endswith(b"the end")
    assert len(long.ends) == 2 * END_BYTES
    assert following == b"next"


def test_a_line_at_the_limit_is_read() -> None:
    line = b"x" * MAX_LINE_BYTES
    assert list(split_lines([line, b"\n", b"tail"])) == [line, b"tail"]


# --- stdout ------------------------------------------------------------------------------


def test_stdout_has_nothing_but_messages(tmp_path: Path, report: str) -> None:
    with start_server(tmp_path, stderr=subprocess.DEVNULL) as wire:
        wire.send(
            append(2, report),
            tool_call(3, "get_report", report=report, view="markdown"),
            tool_call(4, "get_report", report="Nope"),
            tool_call(5, "nope"),
            {"jsonrpc": "2.0", "id": 6, "method": "no/such"},
        )
        answers = wire.rest()
    assert {answer["jsonrpc"] for answer in answers} == {"2.0"}
    assert sorted(answer["id"] for answer in answers) == [2, 3, 4, 5, 6]
