"""Serving one client over stdin and stdout, and leaving cleanly.

Rules:

- Nothing but protocol on stdout; the log is on stderr.
- Every request that was read is answered before the process goes, also when stdin ends right
  behind it.
- The process leaves when stdin ends, on SIGTERM, on SIGINT, and when its parent is gone. In the
  last three cases it stops reading and has `GRACE_SECONDS` for what is running; a second signal
  ends it at once. Even then nothing is lost: a commit is whole, or it is not there.
- It leaves with code 0, after SIGINT with 130.
- A line that is no message is logged, and refused where it has an id.
- A subscription is answered when the server is about to leave; nothing waits for it.
- Requests are read one behind the other and answered side by side; of those over
  `HEAVY_LINE_BYTES`, whose memory adds up, one at a time.

    $ living-reports serve < requests.jsonl > answers.jsonl
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, redirect_stdout
from functools import partial
from typing import Any, cast

import anyio
import mcp_types as types
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from anyio.streams.memory import MemoryObjectReceiveStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

from living_reports.server.app import LivingServer, build_server, log_to_stderr
from living_reports.server.lines import Line, read_stdin
from living_reports.server.messages import NoMessageError, read_message
from living_reports.settings import Settings

logger = logging.getLogger(__name__)

HEAVY_LINE_BYTES = 1_000_000
GRACE_SECONDS = 5.0
PARENT_POLL_SECONDS = 1.0
INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve_stdio(settings: Settings, name: str = "") -> None:
    """Serve the client at stdin and stdout until one of the two sides leaves.

    Raises:
        KeyboardInterrupt: SIGINT ended it.
    """
    log_to_stderr()
    if anyio.run(_serve, build_server(settings, name)) == INTERRUPTED:
        raise KeyboardInterrupt


async def _serve(server: LivingServer) -> int:
    """Serve, and return the exit code."""
    sender, lines = anyio.create_memory_object_stream[Line]()
    way_out = WayOut(sender.close)
    way_out.watch_signals()
    read_stdin(sender)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(way_out.watch_parent)
            await _serve_lines(server, lines)
            tasks.cancel_scope.cancel()
    except* BrokenPipeError:
        # The client no longer listens. What it asked for is done; there is nobody to tell. But the
        # SDK's writer still holds the answer, and would complain of the pipe when it is finalised.
        logger.info("stdout was closed")
        os._exit(way_out.code)
    return way_out.code


class WayOut:
    """How the process leaves before its client does: it stops reading, with a deadline for the rest."""

    def __init__(self, stop_reading: Callable[[], None]) -> None:
        self._stop_reading = stop_reading
        self.code = 0

    def leave(self, code: int = 0) -> None:
        """Stop reading, and end the process after `GRACE_SECONDS` even if a call still runs."""
        self.code = code
        self._stop_reading()
        # A thread and a hard exit, since what is stuck may be the event loop's own worker threads.
        deadline = threading.Timer(GRACE_SECONDS, os._exit, [code])
        deadline.daemon = True
        deadline.start()

    def watch_signals(self) -> None:
        """Leave on SIGINT and SIGTERM; a second one has its usual, immediate effect."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            if sys.platform == "win32":  # its event loop takes no signal handlers
                signal.signal(number, lambda n, _: loop.call_soon_threadsafe(self._signalled, n))
            else:
                loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self.leave(INTERRUPTED if number == signal.SIGINT else 0)

    async def watch_parent(self) -> None:
        """Leave when the process that started this one is gone."""
        parent = os.getppid()
        while os.getppid() == parent:
            await anyio.sleep(PARENT_POLL_SECONDS)
        self.leave()


async def _serve_lines(server: LivingServer, lines: MemoryObjectReceiveStream[Line]) -> None:
    """Serve what the lines ask for, until they end and everything asked for is answered."""
    to_server, requests = anyio.create_memory_object_stream[SessionMessage | Exception]()
    answers, from_server = anyio.create_memory_object_stream[SessionMessage]()
    unanswered = Unanswered()
    async with _stdout() as outgoing, anyio.create_task_group() as tasks:
        way_in = partial(_pass_in, lines, to_server, answers.clone(), unanswered)
        tasks.start_soon(way_in, server.end_subscriptions)
        tasks.start_soon(_pass_out, from_server, outgoing, unanswered)
        # The SDK points descriptor 1 at stderr meanwhile; but what waits in Python's own buffer
        # would come out on the wire at the end, when it has put the descriptor back.
        with redirect_stdout(sys.stderr):
            await server.run(requests, answers, server.create_initialization_options())


@asynccontextmanager
async def _stdout() -> AsyncIterator[Any]:
    """The SDK's writer of messages. Its reader gets nothing: it would decode text and read without limits."""
    sender, nothing = anyio.create_memory_object_stream[str]()
    sender.close()
    async with (
        stdio_server(stdin=cast("anyio.AsyncFile[str]", nothing)) as (incoming, outgoing),
        nothing,
        incoming,
    ):
        yield outgoing


class Unanswered:
    """The requests that were read and have no answer yet: the SDK drops them when its input ends."""

    def __init__(self) -> None:
        self._ids: set[str] = set()  # as text: the SDK takes 7 and "7" for the same request, too
        self._heavy_ids: set[str] = set()
        self._stream_ids: set[str] = set()  # answered only when one side ends them
        self._settled = anyio.Event()

    def note_incoming(self, message: types.JSONRPCMessage, *, is_heavy: bool = False) -> None:
        """A request waits for its answer, unless the client takes it back."""
        if isinstance(message, types.JSONRPCRequest):
            ids = self._stream_ids if message.method == "subscriptions/listen" else self._ids
            ids.add(str(message.id))
            if is_heavy:
                self._heavy_ids.add(str(message.id))
        elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            self._settle((message.params or {}).get("requestId"))

    def note_outgoing(self, message: types.JSONRPCMessage) -> None:
        """An answer or an error settles its request."""
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError):
            self._settle(message.id)

    def _settle(self, request_id: object) -> None:
        self._ids.discard(str(request_id))
        self._heavy_ids.discard(str(request_id))
        self._stream_ids.discard(str(request_id))
        self._settled.set()

    async def all_settled(self) -> None:
        """Wait until every request has its answer, but for those that are answered at the end."""
        await self._empty(self._ids)

    async def streams_settled(self) -> None:
        """Wait until the requests that were open until the end have their answers."""
        await self._empty(self._stream_ids)

    async def heavy_settled(self) -> None:
        """Wait until every heavy request has its answer."""
        await self._empty(self._heavy_ids)

    async def _empty(self, ids: set[str]) -> None:
        while ids:
            self._settled = anyio.Event()
            await self._settled.wait()


async def _pass_in(
    lines: MemoryObjectReceiveStream[Line],
    to_server: ObjectSendStream[SessionMessage | Exception],
    answers: ObjectSendStream[SessionMessage],
    unanswered: Unanswered,
    end_subscriptions: Callable[[], None],
) -> None:
    async with lines, to_server, answers:
        async for line in lines:
            is_heavy = isinstance(line, bytes) and len(line) > HEAVY_LINE_BYTES
            if is_heavy:
                await unanswered.heavy_settled()
            try:
                message = read_message(line)
            except NoMessageError as error:
                logger.warning("a line on stdin is no message: %s", error.problem)
                if refusal := error.refusal():
                    await answers.send(SessionMessage(refusal))
                continue
            unanswered.note_incoming(message, is_heavy=is_heavy)
            await to_server.send(SessionMessage(message))
        await unanswered.all_settled()
        end_subscriptions()
        await unanswered.streams_settled()


async def _pass_out(
    from_server: ObjectReceiveStream[SessionMessage], outgoing: Any, unanswered: Unanswered
) -> None:
    async with from_server, outgoing:
        async for item in from_server:
            await outgoing.send(item)
            unanswered.note_outgoing(item.message)
