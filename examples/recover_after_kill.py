"""Kill a server while it writes, and find every acknowledged version afterwards.

    python examples/recover_after_kill.py [--root DIR]

A client sends one change after another and records each version in the answers. At a random moment
the server gets SIGKILL. The next process that opens the report finds all recorded versions.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from living_reports.library import Library
from living_reports.library.requests import AuditReport, GetReport

TITLE = "Interrupted report"


class Server:
    """A server process and a minimal JSON-RPC client for it."""

    def __init__(self, root: str) -> None:
        command = [sys.executable, "-m", "living_reports", "serve", "--root", root]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.requests = 0
        client = {"name": "example", "version": "1"}
        self.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return its result.

        Raises:
            EOFError, BrokenPipeError: The server has ended.
        """
        self.requests += 1
        self.send({"jsonrpc": "2.0", "id": self.requests, "method": method, "params": params})
        assert self.process.stdout
        while line := self.process.stdout.readline():
            message = json.loads(line)
            if message.get("id") == self.requests:
                answer: dict[str, Any] = message["result"]
                return answer
        raise EOFError("the server has ended")

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = self.ask("tools/call", name=tool, arguments=arguments)
        answer: dict[str, Any] = json.loads(result["content"][0]["text"])
        return answer


def write_until_killed(root: str) -> tuple[str, list[int]]:
    """Append lines until the server is killed; return the report's id and the acknowledged versions."""
    server = Server(root)
    created = server.call("create_report", title=TITLE, sections=[{"title": "Lines"}])
    acknowledged = [created["version"]]
    killer = threading.Timer(random.uniform(0.3, 1.0), server.process.kill)  # SIGKILL
    killer.start()
    try:
        while True:
            change = {"op": "append_text", "section": "Lines", "text": f"line {len(acknowledged)}"}
            answer = server.call("update_report", report=created["report_id"], changes=[change])
            acknowledged.append(answer["version"])
    except (EOFError, BrokenPipeError):
        killer.join()
        print(f"killed    after {len(acknowledged)} acknowledged versions (exit {server.process.wait()})")
    return created["report_id"], acknowledged


def main(root: str) -> None:
    report, acknowledged = write_until_killed(root)
    library = Library(Path(root))
    latest = library.get_report(GetReport(report))["version"]
    print(f"reopened  version {latest}: {latest - acknowledged[-1]} more than acknowledged")
    for version in acknowledged:
        answer = library.get_report(GetReport(report, version=version, sections=["Lines"], max_chars=200_000))
        paragraphs = answer["sections"][0].get("content", "").split("\n\n")
        if version > 1 and paragraphs != [f"line {number}" for number in range(1, version)]:
            raise SystemExit(f"version {version} differs from the acknowledged one")
    print(f"read      all {len(acknowledged)} acknowledged versions, each with its lines")
    verified = library.audit_report(AuditReport(report, verify=True))["verified"]
    print(f"verified  {'ok' if verified['ok'] else verified['findings']}, {verified['events']} events")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="", metavar="DIR", help="an empty folder (default: a new one)")
    main(parser.parse_args().root or tempfile.mkdtemp(prefix="living-reports-"))
