"""Callers that know only what they were told, for replays of tasks through the SDK's client."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec

from mcp.client import Client

from support.mcp_client import call_refused, call_tool, connect, run_async

P = ParamSpec("P")
Answer = dict[str, Any]

CHURN = "Monthly churn is 2.1 %"
CONTENT = "Sales rose by 4 percent in May. Margins were flat.\n\nCustomers use workspaces."


class Agent:
    """A client of a server process of its own; it counts its calls."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.calls = 0

    async def __call__(self, tool: str, **arguments: Any) -> Answer:
        self.calls += 1
        return await call_tool(self.client, tool, **arguments)

    async def refused(self, tool: str, **arguments: Any) -> Answer:
        """Make a call that has to be refused; return its error."""
        self.calls += 1
        return await call_refused(self.client, tool, **arguments)


@asynccontextmanager
async def agent(root: Path, name: str = "ann", *, mode: str = "auto", user: str = "") -> AsyncIterator[Agent]:
    """Start a server for a user, by default the login, and connect a client with this name to it."""
    variables = {"LIVING_REPORTS_USER": user} if user else {}
    async with connect(root, mode=mode, name=name, on_message=None, **variables) as client:
        yield Agent(client)


def replay(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Make a test of an async function; a failure is raised without the groups around it."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            run_async(functools.partial(test, *args, **kwargs))
        except BaseExceptionGroup as group:
            raise _first(group) from None

    return run


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def unnamed_items(answer: Any) -> Iterator[str]:
    """Yield the ids and addresses of sections and insights beside which the answer gives no name.

    A name is the title or the summary in the same object, or in the row of that item in the same answer.
    """
    objects = list(_objects(answer))
    named = {
        one[key]
        for one in objects
        for key, names in (("section_id", ("title",)), ("insight_id", ("summary",)))
        if key in one and any(name in one for name in names)
    }
    for one in objects:
        for key, names in (
            ("section_id", ("title", "section_title")),
            ("insight_id", ("summary",)),
        ):
            if key in one and one[key] not in named and not any(one.get(name) for name in names):
                yield f"{key} {one[key]}"
        at = one.get("at", "")
        if at.startswith(("sections/", "insights/")) and not one.get("item"):
            yield at


def _objects(value: Any) -> Iterator[Answer]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _objects(each)


# --- A report and changes -------------------------------------------------------------------


async def create_churn(caller: Agent, **more: object) -> Answer:
    """Create the report of most replays; return its answer."""
    cited = [{"url": "https://example.org/churn"}]
    insight = {"summary": CHURN, "importance": 7, "citations": cited, "as_of": "2026-05-31"}
    sections = [
        {"title": "Findings", "content": CONTENT, "insights": [insight]},
        {"title": "Outlook", "content": "Stable."},
    ]
    return await caller("create_report", title="Churn", sections=sections, tags=["sales", "monthly"], **more)


def insight_of(created: Answer) -> str:
    """Return the id of the first insight that an answer names as created."""
    insight_id: str = created["created"]["insights"][0]["insight_id"]
    return insight_id


def edit_text(section: str, find: str, replace: str) -> Answer:
    return {"op": "edit_text", "section": section, "find": find, "replace": replace}


def edit_insight(insight: str, **fields: object) -> Answer:
    return {"op": "edit_insight", "insight": insight, **fields}
