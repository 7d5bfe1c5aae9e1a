"""Prompts: ways of working with a report that a person picks, with what a model needs for them.

Rules:

- What a prompt says is in `prompt_texts`; here are its name, its arguments and the protocol.
- An empty argument is not stated. An unknown or a missing one is refused, and so is a report that
  does not answer to its name: nobody begins with a prompt about nothing.
"""

from __future__ import annotations

import mcp_types as types

from living_reports.errors import InvalidInputError
from living_reports.server import prompt_texts
from living_reports.server.desk import Context, Desk, errors_of_the_protocol


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
        description="Go through what is stale or unproven and what changed, and make the report true again.",
        arguments=[REPORT, _argument("since", "The version or day that you know it at")],
    ),
    types.Prompt(
        name="status_update",
        title="Write a status update",
        description="Tell others what changed in a report lately, from its last changes.",
        arguments=[
            REPORT,
            _argument("since", "The version or day to begin with; else the last ten changes"),
            _argument("audience", "Whom it is for"),
        ],
    ),
    types.Prompt(
        name="resolve_conflict",
        title="Resolve a conflict",
        description="Decide what becomes of an edit that others were faster than, and send it again.",
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
    """All prompts, on one page."""
    return types.ListPromptsResult(prompts=list(PROMPTS))


async def get_prompt(
    desk: Desk, context: Context, params: types.GetPromptRequestParams
) -> types.GetPromptResult:
    """The prompt's message.

    Raises:
        MCPError: There is no such prompt, an argument is wrong, or the report cannot be read.
    """
    with errors_of_the_protocol(context):
        prompt = _named(params.name)
        arguments = _checked(prompt, params.arguments or {})
        make = prompt_texts.TEXTS[prompt.name]
        text = await desk.ask(lambda library: make(library, **arguments), arguments.get("report", ""))
    message = types.PromptMessage(role="user", content=types.TextContent(text=text))
    return types.GetPromptResult(description=prompt.description, messages=[message])


def _named(name: str) -> types.Prompt:
    if name not in BY_NAME:
        raise InvalidInputError(
            "There is no prompt of this name.", hint=f"There are {', '.join(BY_NAME)}.", path="name"
        )
    return BY_NAME[name]


def _checked(prompt: types.Prompt, given: dict[str, str]) -> dict[str, str]:
    """The stated arguments."""
    known = {argument.name: argument for argument in prompt.arguments or ()}
    for name in given.keys() - known.keys():
        raise InvalidInputError(
            f"{prompt.name} has no argument of this name.",
            hint=f"It has {', '.join(known)}.",
            path=name[: prompt_texts.SHOWN_CHARS],
            allowed=list(known),
        )
    stated = {name: value.strip() for name, value in given.items() if value.strip()}
    for name, argument in known.items():
        if argument.required and name not in stated:
            raise InvalidInputError(
                f"{prompt.name} needs {name}.", hint=f"{argument.description}.", path=name
            )
    return stated
