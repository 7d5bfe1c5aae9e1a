"""A server ends after SIGTERM although a call never returns the interpreter's lock."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from living_reports.server.stdio import GRACE_S
from support.http_server import clean_environment, free_port, wait_until_listening
from support.wire import INITIALIZE, INITIALIZED, Wire, environment, tool_call, with_envelope

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

STUCK = """
import re, sys
from pathlib import Path
from living_reports.cli import main
from living_reports.library.library import Library

def never_ends(context, request):
    Path(sys.argv[1]).write_text("begun")
    re.match("(?:a|a)*b", "a" * 100)

Library.list_reports = never_ends
sys.exit(main(["serve", *sys.argv[2:]]))
"""


def start(tmp_path: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", STUCK, str(tmp_path / "begun"), *options]
    environ = clean_environment() | environment(tmp_path / "root")
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ)


def wait_until_stuck(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    while not (tmp_path / "begun").exists():
        assert process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_call_that_keeps_the_lock_does_not_keep_the_process(tmp_path: Path, number: int) -> None:
    with start(tmp_path) as process:
        wire = Wire(process)
        wire.ask(INITIALIZE)
        wire.send(INITIALIZED, tool_call(2, "list_reports"))
        wait_until_stuck(process, tmp_path)
        process.send_signal(number)
        try:
            assert process.wait(timeout=GRACE_S * 6) == -signal.SIGKILL
        finally:
            process.kill()


def test_neither_over_http(tmp_path: Path) -> None:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "list_reports",
    }
    with free_port() as port, start(tmp_path, "--http", str(port)) as process:
        try:
            wait_until_listening(port, process)
            with closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
                call = with_envelope(tool_call(1, "list_reports"))
                client.request("POST", "/mcp", json.dumps(call), headers)
                wait_until_stuck(process, tmp_path)
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=GRACE_S * 6) == -signal.SIGKILL
        finally:
            process.kill()


def watchdogs(parent: int) -> list[str]:
    """The processes whose parent this is."""
    listed = subprocess.run(["ps", "-e", "-o", "ppid=,pid="], capture_output=True, text=True, check=True)
    rows = (line.split() for line in listed.stdout.splitlines())
    return [pid for ppid, pid in rows if int(ppid) == parent]


@pytest.mark.skipif(not os.path.exists("/proc"), reason="needs /proc")
def test_the_watchdog_ends_with_the_process_that_it_watches(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        wire = Wire(process)
        wire.ask(INITIALIZE)
        [watchdog] = watchdogs(process.pid)
        process.kill()
    while os.path.exists(f"/proc/{watchdog}"):
        state = Path(f"/proc/{watchdog}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            break
