"""Where the protocol's questions are put to the library, and where its errors come back.

Rules:

- The library is loaded with the first question: a client that only lists the tools does not wait.
- It blocks, so each question runs in a worker thread. One that has begun is finished, even if
  its request is cancelled or the client goes away; one that still waits for its turn never begins.
- Whatever goes wrong comes back as a `ReportError`. A defect of ours is logged whole and comes back
  as `internal`: it must not end the session of a client, nor show it our insides.

    title = await desk.ask(lambda library: library.get_report("Health")["title"], "Health")
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
import mcp_types as types
from anyio.abc import TaskGroup
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from living_reports.errors import (
    InternalError,
    NoSuchVersionError,
    ReportError,
    ReportNotFoundError,
    RequestError,
)
from living_reports.server.gate import ReportGate
from living_reports.settings import Settings

if TYPE_CHECKING:
    from living_reports.library import Library

logger = logging.getLogger(__name__)

T = TypeVar("T")

Context = ServerRequestContext[TaskGroup, Any]
"""A request; what it leaves running is started in its `lifespan_context`."""

WORKER_THREADS = 32
"""How many reports may be worked on at once."""

MAX_SHOWN_CHARS = 1_000
"""How much of what was asked for an error repeats."""

RESOURCE_NOT_FOUND = -32002
"""What the protocol said of a missing resource before 2026-07-28; since then it is invalid params."""


class Desk:
    """The library over these settings, and the threads that ask it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._gate = ReportGate(settings.lock_timeout_seconds)
        self._threads = anyio.CapacityLimiter(WORKER_THREADS)
        self._opening = threading.Lock()
        self._opened: Library | None = None

    async def ask(self, question: Callable[[Library], T], report: str = "") -> T:
        """What the library answers. Questions that name the same `report` wait for each other.

        Raises:
            ReportError: What the library raised, or a time-out of the wait.
        """
        put = partial(self._put, question)
        if not report:
            return await anyio.to_thread.run_sync(put, limiter=self._threads)
        async with self._gate.turn(report):
            return await anyio.to_thread.run_sync(put, limiter=self._threads)

    def _put(self, question: Callable[[Library], T]) -> T:
        return question(self._library())

    def _library(self) -> Library:
        with self._opening:
            if self._opened is None:
                from living_reports.library import Library

                settings = self._settings
                self._opened = Library(
                    settings.root,
                    lock_timeout_seconds=settings.lock_timeout_seconds,
                    sources=settings.sources,
                )
            return self._opened


@contextmanager
def defects_logged(what: str) -> Iterator[None]:
    """Turn a defect of ours into an answer; `what` is the request that it failed.

    Raises:
        InternalError: There was one. The log has the whole story.
    """
    try:
        yield
    except (ReportError, MCPError):
        raise
    except Exception:
        # The only place that catches everything.
        logger.exception("%s failed", what)
        hint = "This is a defect of the server; its log on stderr has the details."
        raise InternalError("The server failed.", hint=hint) from None


@contextmanager
def errors_of_the_protocol(context: Context, **about: str) -> Iterator[None]:
    """Let what goes wrong reach the client as an error of the protocol: for all requests but tool calls.

    Its `data` is what a tool would have answered, and `about`: what was asked for.

    Raises:
        MCPError: Something went wrong.
    """
    try:
        with defects_logged(context.method):
            yield
    except ReportError as error:
        data = error.answer()["error"] | {name: value[:MAX_SHOWN_CHARS] for name, value in about.items()}
        raise MCPError(_code(error, context), error.message, data) from None


def _code(error: ReportError, context: Context) -> int:
    is_missing = isinstance(error, ReportNotFoundError | NoSuchVersionError)
    if is_missing and context.method.startswith("resources/"):
        is_new = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        return types.INVALID_PARAMS if is_new else RESOURCE_NOT_FOUND
    return types.INVALID_PARAMS if isinstance(error, RequestError) else types.INTERNAL_ERROR
