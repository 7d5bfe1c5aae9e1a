"""Two agents write one report at the same time, and no update is lost.

    python examples/two_writers.py [--root DIR]

Each writer is a process of its own with a server of its own. Each reads the version, asks for
its change on that version, and reads again when the other was faster (`version_conflict`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from typing import Any

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

TITLE = "Shared notes"
WRITERS = ("ada", "grace")
LINES = 10


def server(root: str, name: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable, args=["-m", "living_reports", "serve", "--root", root, "--as", name]
    )


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    answer: dict[str, Any] = json.loads(result.content[0].text)
    return answer


async def write(root: str, name: str) -> None:
    """One writer: so many lines, each acknowledged before the next."""
    conflicts = 0
    async with Client(server(root, name)) as client:
        for number in range(1, LINES + 1):
            change = {"op": "append_text", "section": "Lines", "text": f"{name} {number}\n"}
            while True:
                seen = await call(client, "get_report", report=TITLE)
                answer = await call(
                    client, "update_report", report=TITLE, changes=[change], expected_version=seen["version"]
                )
                if "error" not in answer:
                    break
                if answer["error"]["code"] != "version_conflict":
                    raise SystemExit(json.dumps(answer))
                conflicts += 1  # the other was faster: read again, then decide again
    print(f"{name:<6} {LINES} lines written, {conflicts} times the other was faster", flush=True)


async def create(root: str) -> None:
    async with Client(server(root, "editor")) as client:
        await call(client, "create_report", title=TITLE, sections=[{"title": "Lines"}])


async def count(root: str) -> None:
    async with Client(server(root, "editor")) as client:
        answer = await call(client, "get_report", report=TITLE, sections=["Lines"])
        lines = answer["sections"][0]["content"].split("\n")[:-1]
        verified = (await call(client, "audit_report", report=TITLE, verify=True))["verified"]
    expected = {f"{name} {number}" for name in WRITERS for number in range(1, LINES + 1)}
    lost = len(expected - set(lines))
    print(f"report version {answer['version']}, {len(lines)} lines, {lost} lost")
    print(f"audit  {verified['events']} events, {'ok' if verified['ok'] else verified['findings']}")


def main(root: str) -> None:
    anyio.run(create, root)
    command = [sys.executable, __file__, "--root", root, "--writer"]
    writers = [subprocess.Popen([*command, name]) for name in WRITERS]
    codes = [writer.wait() for writer in writers]
    if any(codes):
        raise SystemExit("a writer failed")
    anyio.run(count, root)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="", metavar="DIR", help="an empty folder (default: a new one)")
    parser.add_argument("--writer", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.writer:
        anyio.run(write, options.root, options.writer)
    else:
        main(options.root or tempfile.mkdtemp(prefix="living-reports-"))
