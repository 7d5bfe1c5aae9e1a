"""Write one report from two agents at the same time without losing an update.

    python examples/two_writers.py [--root DIR]

Each writer is a process with its own server. It reads the version, sends a change that expects that
version, and reads again if the other writer was faster (`version_conflict`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import TextContent

TITLE = "Shared notes"
WRITERS = ("ada", "grace")
LINES = 10


def server(root: str, name: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "living_reports", "serve", "--root", root, "--as", name],
        env=dict(os.environ),
    )


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    [content] = result.content
    assert isinstance(content, TextContent)
    answer: dict[str, Any] = json.loads(content.text)
    return answer


async def write(root: str, name: str) -> None:
    """Append the lines of one writer, each after the previous one is acknowledged."""
    conflicts = 0
    async with Client(server(root, name)) as client:
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(1, LINES + 1):
            change = {"op": "append_text", "section": "Lines", "text": f"{name} {number}"}
            while True:
                seen = await call(client, "get_report", report=TITLE)
                answer = await call(
                    client, "update_report", report=TITLE, changes=[change], expected_version=seen["version"]
                )
                if "error" not in answer:
                    break
                if answer["error"]["code"] != "version_conflict":
                    raise SystemExit(json.dumps(answer))
                conflicts += 1  # the other writer was faster: read again
    print(f"{name:<6} {LINES} lines written, {conflicts} times the other was faster", flush=True)


async def create(root: str) -> None:
    async with Client(server(root, "editor")) as client:
        await call(client, "create_report", title=TITLE, sections=[{"title": "Lines"}])


async def count(root: str) -> None:
    async with Client(server(root, "editor")) as client:
        answer = await call(client, "get_report", report=TITLE, sections=["Lines"])
        lines = answer["sections"][0]["content"].split("\n\n")
        verified = (await call(client, "audit_report", report=TITLE, verify=True))["verified"]
    expected = {f"{name} {number}" for name in WRITERS for number in range(1, LINES + 1)}
    lost = len(expected - set(lines))
    print(f"report version {answer['version']}, {len(lines)} lines, {lost} lost")
    print(f"audit  {verified['events']} events, {'ok' if verified['ok'] else verified['findings']}")


def main(root: str) -> None:
    anyio.run(create, root)
    command = [sys.executable, __file__, "--root", root, "--writer"]
    pipe = subprocess.PIPE
    writers = [subprocess.Popen([*command, name], stdin=pipe, stdout=pipe, text=True) for name in WRITERS]
    for writer in writers:
        assert writer.stdout
        writer.stdout.readline()  # "ready": both writers start together
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        print(writer.communicate()[0], end="")
        if writer.returncode:
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
