"""Maintain a report through the MCP server, as an agent does.

    python examples/keep_a_report.py [--root DIR]

Spawns the server over stdio, then creates, updates, reverts and audits a report.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from typing import Any

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import TextContent


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool and return its answer. Answers and errors are JSON text."""
    result = await client.call_tool(tool, arguments)
    [content] = result.content
    assert isinstance(content, TextContent)
    answer: dict[str, Any] = json.loads(content.text)
    return answer


async def keep(root: str) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "living_reports", "serve", "--root", root],
        env=dict(os.environ),
    )
    async with Client(server) as client:
        # A report has a title and sections; a section holds prose and insights with citations.
        insight = {
            "summary": "Errors doubled after the May release",
            "importance": 8,
            "citations": [{"url": "https://status.example.org/may"}],
            "review_by": "+4w",
        }
        created = await call(
            client,
            "create_report",
            title="Checkout health",
            sections=[{"title": "Errors", "content": "12 % of orders fail.", "insights": [insight]}],
        )
        report = created["report_id"]
        print(f"created   version {created['version']}")

        # Several changes make one version: all of them are applied, or none.
        updated = await call(
            client,
            "update_report",
            report=report,
            expected_version=created["version"],
            reason="June figures",
            changes=[
                {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "6 %"},
                {"op": "add_section", "title": "Latency", "content": "p95 is 340 ms."},
            ],
        )
        print(f"updated   version {updated['version']}, {updated['applied']} changes")

        # An invalid call is refused with a code and a hint, and changes nothing.
        refused = await call(
            client,
            "update_report",
            report=report,
            changes=[{"op": "append_text", "section": "Costs", "text": "?"}],
        )
        print(f"refused   {refused['error']['code']}: {refused['error']['message']}")

        # Any version can be restored as a new version.
        reverted = await call(
            client, "revert_report", report=report, to_version=created["version"], reason="Figures were wrong"
        )
        print(f"reverted  version {reverted['version']}")

        # The audit trail has the author and the reason of each version, and verifies the history.
        audit = await call(client, "audit_report", report=report)
        for event in audit["events"]:
            print(f"event     version {event['version']}: {event['action_type']}, {event.get('reason', '-')}")
        verified = (await call(client, "audit_report", report=report, verify=True))["verified"]
        print(f"verified  {'ok' if verified['ok'] else verified['findings']}, {verified['events']} events")
    print(f"files     {root}/by_id/{report}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--root", default="", metavar="DIR", help="where to keep the report (default: a new folder)"
    )
    anyio.run(keep, parser.parse_args().root or tempfile.mkdtemp(prefix="living-reports-"))
