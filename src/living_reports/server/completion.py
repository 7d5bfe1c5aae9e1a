"""Completion of what a person types into a prompt's argument or a resource template.

Rules: an argument's name says what it is, in prompts and templates alike, and which report is
meant is among the arguments that are already there. What fits is the library's to say
(`library.completing`). Where nothing can be offered the answer is empty, not an error.
"""

from __future__ import annotations

import mcp_types as types

from living_reports.server.desk import Context, Desk, errors_of_the_protocol

KINDS = {
    "id": "report",
    "report": "report",
    "section": "section",
    "version": "version",
    "since": "version",
    "expected_version": "version",
    "template": "template",
}
"""What the arguments of prompts and templates are."""


async def complete(desk: Desk, context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    """Values for an argument that is being typed.

    Raises:
        MCPError: The report whose sections or versions are wanted cannot be read.
    """
    kind = KINDS.get(params.argument.name)
    if kind is None:
        return types.CompleteResult(completion=types.Completion(values=[], total=0, has_more=False))
    given = (params.context and params.context.arguments) or {}
    report = given.get("report") or given.get("id") or ""
    with errors_of_the_protocol(context):
        found = await desk.ask(lambda library: library.complete(kind, params.argument.value, report))
    values, total = found["values"], found["total"]
    more = len(values) < total
    return types.CompleteResult(completion=types.Completion(values=values, total=total, has_more=more))
