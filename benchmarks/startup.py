"""How much later than a trivial server of the same SDK does ours answer its first `tools/list`?

Both are spawned over stdio by turns, so that a busy moment of the machine meets both. A round
is from the spawn to the line that answers `tools/list`. Ours may take 100 ms more at most.

    $ python benchmarks/startup.py --rounds 20
    $ python benchmarks/startup.py --json > startup.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

LIMIT_MS = 100.0

TRIVIAL = """
import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

async def list_tools(context, params):
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    return types.ListToolsResult(tools=[types.Tool(name="echo", input_schema=schema)])

async def call_tool(context, params):
    return types.CallToolResult(content=[types.TextContent(type="text", text=params.arguments["text"])])

async def main():
    server = Server("trivial", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())

anyio.run(main)
"""

COMMANDS = {
    "trivial": [sys.executable, "-c", TRIVIAL],
    "living-reports": [sys.executable, "-m", "living_reports", "serve"],
}

CLIENT = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
MESSAGES: list[dict[str, Any]] = [
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": CLIENT},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
]
INPUT = b"".join(json.dumps(message).encode() + b"\n" for message in MESSAGES)


def measure(command: list[str], root: str) -> float:
    """Milliseconds from the spawn to the answer to `tools/list`."""
    start = time.perf_counter()
    environ = os.environ | {"LIVING_REPORTS_ROOT": root}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(INPUT)
        server.stdin.flush()
        for line in server.stdout:
            if json.loads(line).get("id") == 2:
                elapsed = time.perf_counter() - start
                server.stdin.close()
                return elapsed * 1000
    raise SystemExit(f"{command[:3]} ended without an answer")


def run(rounds: int) -> dict[str, Any]:
    """Measure both by turns; the first round only warms the caches and does not count."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as root:
        for _ in range(rounds + 1):
            for name, command in COMMANDS.items():
                times[name].append(measure(command, root))
    rows = {name: summarise(values[1:]) for name, values in times.items()}
    pairs = zip(times["living-reports"][1:], times["trivial"][1:], strict=True)
    return {
        "rounds": rounds,
        "python": sys.version.split()[0],
        "servers_ms": rows,
        "added_ms": round(statistics.median(ours - theirs for ours, theirs in pairs), 1),
        "limit_ms": LIMIT_MS,
    }


def summarise(values: list[float]) -> dict[str, float]:
    """The median, the middle half and the ends, in milliseconds."""
    low, _, high = statistics.quantiles(values, n=4)
    ends = {"min": min(values), "max": max(values)}
    quarters = {"lower_quartile": low, "median": statistics.median(values), "upper_quartile": high}
    return {name: round(value, 1) for name, value in (ends | quarters).items()}


def table(result: dict[str, Any]) -> str:
    """The result as a person reads it."""
    columns = ("median", "lower_quartile", "upper_quartile", "min", "max")
    lines = [f"spawn to first tools/list, ms ({result['rounds']} rounds, Python {result['python']})", ""]
    lines.append(" " * 16 + "".join(f"{name.replace('_', ' '):>16}" for name in columns))
    for name, row in result["servers_ms"].items():
        lines.append(f"{name:<16}" + "".join(f"{row[column]:>16.1f}" for column in columns))
    verdict = "within" if result["added_ms"] <= result["limit_ms"] else "OVER"
    lines += ["", f"added: {result['added_ms']} ms, {verdict} the limit of {result['limit_ms']:.0f} ms"]
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and fail where the limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=20, help="how often each server is spawned (default: 20)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    result = run(max(options.rounds, 2))
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0 if result["added_ms"] <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
