"""Prompts: ways of working with a report that a person picks, with the data that a model needs for them.

Rules:

- `prompt_texts` holds the texts; it is loaded with the first one, together with the library.
- An empty argument counts as absent. An unknown or a missing one is refused, and so is a report that does not
  exist.
- Completion serves prompts and resource templates alike: the name of an argument determines its kind, and
  the report is among the arguments that are already given. Where nothing can be offered the answer is
  empty, not an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import mcp_types as types

from living_reports.errors import InvalidInputError
from living_reports.server.calls import Context, protocol_errors
from living_reports.server.worker import Worker

if TYPE_CHECKING:
    from living_reports.library import Library

MAX_SHOWN_CHARS = 200

KINDS = {
    "id": "report",
    "report": "report",
    "section": "section",
    "version": "version",
    "since": "version",
    "expected_version": "version",
    "template": "template",
    "section_template": "section_template",
}
"""The kind of value that each argument of prompts and templates takes."""


def _argument(name: str, description: str, *, required: bool = False) -> types.PromptArgument:
    return types.PromptArgument(name=name, description=description, required=required)


REPORT = _argument("report", "The report: its title, or its id", required=True)

PROMPTS = (
    types.Prompt(
        name="start_report",
        title="Start a report",
        description="Begin a report on a topic, unless there is one that should be continued.",
        arguments=[
            _argument("topic", "What the report is about", required=True),
            _argument("template", "The sections to begin with: incident, status, decision, …"),
        ],
    ),
    types.Prompt(
        name="refresh_report",
        title="Bring a report up to date",
        description="Review stale and unproven findings and recent changes, and bring the report up to date.",
        arguments=[REPORT, _argument("since", "The version or day from which you know it")],
    ),
    types.Prompt(
        name="status_update",
        title="Write a status update",
        description="Tell others what changed in a report lately, from its last changes.",
        arguments=[
            REPORT,
            _argument("since", "The version or day to begin with; else the last ten changes"),
            _argument("audience", "The intended readers"),
        ],
    ),
    types.Prompt(
        name="resolve_conflict",
        title="Resolve a conflict",
        description="Decide what becomes of an edit that conflicts with later changes, and send it again.",
        arguments=[
            REPORT,
            _argument("expected_version", "The version that the edit was made against", required=True),
            _argument("section", "The section that it is about"),
        ],
    ),
    types.Prompt(
        name="review_report",
        title="Review a report",
        description="Read a report as a careful reviewer: is each claim proven, current and well placed?",
        arguments=[REPORT, _argument("section", "Only this section")],
    ),
)
BY_NAME = {prompt.name: prompt for prompt in PROMPTS}


def list_prompts() -> types.ListPromptsResult:
    """Return all prompts, on one page."""
    return types.ListPromptsResult(prompts=list(PROMPTS))


async def get_prompt(
    worker: Worker, context: Context, params: types.GetPromptRequestParams
) -> types.GetPromptResult:
    """Return the prompt's message.

    Raises:
        MCPError: There is no such prompt, an argument is wrong, or the report cannot be read.
    """
    with protocol_errors(context):
        prompt = _named(params.name)
        arguments = _checked(prompt, params.arguments or {})

        def text_of(library: Library) -> str:
            from living_reports.server.prompt_texts import TEXTS

            return TEXTS[prompt.name](library, **arguments)

        text = await worker.run(text_of, arguments.get("report", ""))
    message = types.PromptMessage(role="user", content=types.TextContent(text=text))
    return types.GetPromptResult(description=prompt.description, messages=[message])


def _named(name: str) -> types.Prompt:
    if name not in BY_NAME:
        raise InvalidInputError(
            "There is no prompt of this name.", hint=f"There are {', '.join(BY_NAME)}.", path="name"
        )
    return BY_NAME[name]


def _checked(prompt: types.Prompt, given: dict[str, str]) -> dict[str, str]:
    """Return the stated arguments."""
    known = {argument.name: argument for argument in prompt.arguments or ()}
    for name in given.keys() - known.keys():
        raise InvalidInputError(
            f"{prompt.name} has no argument of this name.",
            hint=f"It has {', '.join(known)}.",
            path=name[:MAX_SHOWN_CHARS],
            allowed=list(known),
        )
    stated = {name: value.strip() for name, value in given.items() if value.strip()}
    for name, argument in known.items():
        if argument.required and name not in stated:
            raise InvalidInputError(
                f"{prompt.name} needs {name}.", hint=f"{argument.description}.", path=name
            )
    return stated


async def complete(
    worker: Worker, context: Context, params: types.CompleteRequestParams
) -> types.CompleteResult:
    """Return values for an argument that is being typed.

    Raises:
        MCPError: The report whose sections or versions are wanted cannot be read.
    """
    kind = KINDS.get(params.argument.name)
    if kind is None:
        return types.CompleteResult(completion=types.Completion(values=[], total=0, has_more=False))
    given = (params.context and params.context.arguments) or {}
    report = given.get("report") or given.get("id") or ""
    with protocol_errors(context):
        found = await worker.run(lambda library: library.complete(kind, params.argument.value, report))
    values, total = found["values"], found["total"]
    more = len(values) < total
    return types.CompleteResult(completion=types.Completion(values=values, total=total, has_more=more))
