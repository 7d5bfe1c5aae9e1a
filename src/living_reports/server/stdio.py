"""Serve one client over stdin and stdout, and shut down cleanly.

Rules:

- Only protocol messages go to stdout; the log goes to stderr.
- Every request that was read is answered before the process ends, also when stdin ends right behind it.
- The process ends when stdin ends, on SIGTERM, on SIGINT, and when its parent process is gone. In the last
  three cases it stops reading and gives running calls `GRACE_S`; a second signal ends it at once. Even then
  nothing is lost: a commit is either whole or absent. The exit code is 0, after SIGINT 130. A process that
  cannot even react is killed by its watchdog a second after the grace.
- Requests are read one after the other and answered side by side; those over `HEAVY_LINE_BYTES`, whose
  memory adds up, are served one at a time.
- A line that is not a message is logged, and refused under its id where it has one: without an answer its
  sender would wait for a time-out. A cut emoji is enough for that: JavaScript writes half of one as a lone
  surrogate, which is not valid Unicode. Neither the answer nor the log repeats the line.
- A byte order mark at the beginning of a line is skipped: some shells write one before the first line.
- A line that would need too much memory to parse is not parsed: one over `MAX_LINE_BYTES` is discarded while
  it is read, one of more than `MAX_WEIGHT` values afterwards. Its two ends are kept, since clients write the
  id of a request there.

The transport of the SDK (mcp 2.3, `mcp.server.stdio`) is used for writing only. This module replaces its
reader, and the reasons are marked SDK below:

- It decodes text, so that invalid UTF-8 becomes U+FFFD, and it reads lines of any length.
- It sends a line that is not a message into the session as an exception, where it gets no answer.
- Its reader thread keeps a process that shuts down waiting for the next line.
- When its input ends, the session drops the requests that have no answer yet.

    $ living-reports serve < requests.jsonl > answers.jsonl
"""

from __future__ import annotations

import asyncio
import codecs
import concurrent.futures
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
import mcp_types as types
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from living_reports.server.app import MAX_MESSAGE_BYTES, LivingServer, build_server, log_to_stderr
from living_reports.server.watchdog import start_watchdog
from living_reports.settings import Settings, login

logger = logging.getLogger(__name__)

MAX_LINE_BYTES = MAX_MESSAGE_BYTES
HEAVY_LINE_BYTES = 1_000_000
MAX_WEIGHT = 1_500_000
"""The number of values that a line may hold. A list or an object counts for `CONTAINER_WEIGHT`: `[],` has
three bytes, and takes two hundred once it is parsed."""
CONTAINER_WEIGHT = 5
END_BYTES = 4_096
"""The part of either end that is kept of a line that is not parsed."""
CHUNK_BYTES = 65_536
STDIN = 0
GRACE_S = 5.0
PARENT_POLL_S = 1.0
INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
LEAVING = (
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
    anyio.RunFinishedError,
    concurrent.futures.CancelledError,
)
"""The errors that the reading thread meets when the lines are no longer wanted."""

_VALUES = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{,]', re.DOTALL)

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_ID = rb'"id"\s*+:\s*+(?P<id>-?\d{1,4000}|' + _STRING + rb")\s*+"
_TEXT = _STRING + rb"\s*+:\s*+" + _STRING + rb"\s*+"
_AT_THE_BEGINNING = re.compile(rb"\{\s*+(?:(?!\"id\")" + _TEXT + rb",\s*+)*+" + _ID + rb"[,}]", re.DOTALL)
_AT_THE_END = re.compile(rb'"jsonrpc"\s*+:\s*+"2\.0"\s*+,\s*+' + _ID + rb"\}\Z", re.DOTALL)


@dataclass(frozen=True)
class Unparsed:
    """A line that is too expensive to parse: its two ends, and the reason."""

    ends: bytes
    problem: str


Line = bytes | Unparsed


def serve_stdio(settings: Settings, name: str = "") -> None:
    """Serve the client at stdin and stdout until one of the two sides leaves.

    Raises:
        KeyboardInterrupt: SIGINT ended it.
    """
    log_to_stderr()
    settings = replace(settings, user=settings.user or login())
    if anyio.run(_serve, build_server(settings, name)) == INTERRUPTED:
        raise KeyboardInterrupt


async def _serve(server: LivingServer) -> int:
    """Serve, and return the exit code."""
    sender, lines = anyio.create_memory_object_stream[Line]()
    shutdown = Shutdown(sender.close)
    shutdown.watch_signals()
    read_stdin(sender)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shutdown.watch_parent)
            await _serve_lines(server, lines)
            tasks.cancel_scope.cancel()
    except* BrokenPipeError:
        # The client no longer reads; all its requests are done. SDK: its writer still holds the answer,
        # and would report the broken pipe when it is finalised, so the interpreter is not shut down.
        logger.info("stdout was closed")
        os._exit(shutdown.code)
    return shutdown.code


async def _serve_lines(server: LivingServer, lines: MemoryObjectReceiveStream[Line]) -> None:
    """Serve the requests in the lines until they end and every request is answered."""
    to_server, requests = anyio.create_memory_object_stream[SessionMessage | Exception]()
    answers, from_server = anyio.create_memory_object_stream[SessionMessage]()
    unanswered = Unanswered()
    async with _stdout() as outgoing, anyio.create_task_group() as tasks:
        pass_in = partial(_pass_in, lines, to_server, answers.clone(), unanswered)
        tasks.start_soon(pass_in, server.end_subscriptions)
        tasks.start_soon(_pass_out, from_server, outgoing, unanswered)
        # SDK: it points descriptor 1 at stderr while it serves. Text in the buffer of `sys.stdout` would
        # be flushed to the client at the end, when the descriptor is restored.
        with redirect_stdout(sys.stderr):
            await server.run(requests, answers, server.create_initialization_options())


@asynccontextmanager
async def _stdout() -> AsyncIterator[Any]:
    """Enter the transport of the SDK and yield its writer; its reader gets an empty stream."""
    sender, nothing = anyio.create_memory_object_stream[str]()
    sender.close()
    async with (
        stdio_server(stdin=cast("anyio.AsyncFile[str]", nothing)) as (incoming, outgoing),
        nothing,
        incoming,
    ):
        yield outgoing


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
            except NotAMessageError as error:
                logger.warning("a line on stdin is not a message: %s", error.problem)
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


# --- Shutdown ------------------------------------------------------------------------------


class Shutdown:
    """The end of the process before its client leaves: it stops reading, with a deadline for the rest."""

    def __init__(self, stop_reading: Callable[[], None]) -> None:
        self._stop_reading = stop_reading
        self._watch = start_watchdog(GRACE_S + 1)
        self.code = 0

    def begin(self, code: int = 0) -> None:
        """Stop reading, and end the process after `GRACE_S` even if a call still runs."""
        self.code = code
        self._stop_reading()
        # A thread and a hard exit, since the event loop's own worker threads may be stuck.
        deadline = threading.Timer(GRACE_S, os._exit, [code])
        deadline.daemon = True
        deadline.start()

    def watch_signals(self) -> None:
        """Shut down on SIGINT and SIGTERM; a second signal has its usual, immediate effect."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            if sys.platform == "win32":  # its event loop takes no signal handlers
                signal.signal(number, lambda n, _: loop.call_soon_threadsafe(self._signalled, n))
            else:
                loop.add_signal_handler(number, self._signalled, number)
                self._watch(number)

    def _signalled(self, number: int) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self.begin(INTERRUPTED if number == signal.SIGINT else 0)

    async def watch_parent(self) -> None:
        """Shut down when the process that started this one is gone."""
        parent = os.getppid()
        while os.getppid() == parent:
            await anyio.sleep(PARENT_POLL_S)
        self.begin()


# --- Requests without an answer ------------------------------------------------------------


class Unanswered:
    """The requests that were read and have no answer yet. SDK: it drops them when its input ends."""

    def __init__(self) -> None:
        self._ids: set[str] = set()  # as text: the SDK takes 7 and "7" for the same request
        self._heavy_ids: set[str] = set()
        self._stream_ids: set[str] = set()  # answered only when one side ends them
        self._settled = anyio.Event()

    def note_incoming(self, message: types.JSONRPCMessage, *, is_heavy: bool = False) -> None:
        """Add a request; remove one that the client cancels."""
        if isinstance(message, types.JSONRPCRequest):
            ids = self._stream_ids if message.method == "subscriptions/listen" else self._ids
            ids.add(str(message.id))
            if is_heavy:
                self._heavy_ids.add(str(message.id))
        elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            self._settle((message.params or {}).get("requestId"))

    def note_outgoing(self, message: types.JSONRPCMessage) -> None:
        """Remove the request that an answer or an error belongs to."""
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError):
            self._settle(message.id)

    def _settle(self, request_id: object) -> None:
        self._ids.discard(str(request_id))
        self._heavy_ids.discard(str(request_id))
        self._stream_ids.discard(str(request_id))
        self._settled.set()

    async def all_settled(self) -> None:
        """Wait until every request has its answer, except those that stay open until the end."""
        await self._empty(self._ids)

    async def streams_settled(self) -> None:
        """Wait until the requests that stay open until the end have their answers."""
        await self._empty(self._stream_ids)

    async def heavy_settled(self) -> None:
        """Wait until every heavy request has its answer."""
        await self._empty(self._heavy_ids)

    async def _empty(self, ids: set[str]) -> None:
        while ids:
            self._settled = anyio.Event()
            await self._settled.wait()


# --- Lines ---------------------------------------------------------------------------------


def read_stdin(lines: MemoryObjectSendStream[Line]) -> None:
    """Start the thread that sends the lines of stdin, and closes the stream after the last one.

    It is a daemon and reads the descriptor itself: a process that ends does not wait for it, and it holds no
    lock of a Python buffer.
    """
    token = anyio.lowlevel.current_token()
    threading.Thread(target=_send_lines, args=(lines, token), name="stdin", daemon=True).start()


def _send_lines(lines: MemoryObjectSendStream[Line], token: anyio.lowlevel.EventLoopToken) -> None:
    with suppress(*LEAVING):
        for line in split_lines(_chunks()):
            anyio.from_thread.run(lines.send, line, token=token)
        anyio.from_thread.run_sync(lines.close, token=token)


def _chunks() -> Iterator[bytes]:
    try:
        while chunk := os.read(STDIN, CHUNK_BYTES):
            yield chunk
    except OSError as error:
        # A terminal that is gone, or no stdin at all: treated as its end.
        logger.warning("stdin cannot be read any more: %s", error.strerror)


def split_lines(chunks: Iterable[bytes]) -> Iterator[Line]:
    r"""Yield the lines in these bytes, without newlines and byte order marks; empty lines are skipped.

    >>> list(split_lines([b'{"a":', b'1}\n{"b"', b":2}"]))
    [b'{"a":1}', b'{"b":2}']
    """
    line = _LineInParts()
    for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line.add(end)
            if whole := line.take():
                yield whole
        line.add(rest)
    if whole := line.take():
        yield whole


class _LineInParts:
    """The line that is being read. Only the ends of one that gets too long are kept."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._length = 0

    def add(self, piece: bytes) -> None:
        self._length += len(piece)
        self._kept += piece
        if self._length > MAX_LINE_BYTES:
            del self._kept[END_BYTES:-END_BYTES]

    def take(self) -> Line:
        line, length = bytes(self._kept).strip().removeprefix(codecs.BOM_UTF8).lstrip(), self._length
        self._kept.clear()
        self._length = 0
        if length > MAX_LINE_BYTES:
            return Unparsed(line, f"the line has {length:,} bytes, and the most is {MAX_LINE_BYTES:,}")
        if _is_too_heavy(line):
            return Unparsed(line[:END_BYTES] + line[-END_BYTES:], "the line holds too many values")
        return line


def _is_too_heavy(line: bytes) -> bool:
    """Return True if the values of a line weigh more than `MAX_WEIGHT`; the contents of texts are free."""
    containers = line.count(b"[") + line.count(b"{")
    if CONTAINER_WEIGHT * containers + line.count(b",") + line.count(b'"') <= MAX_WEIGHT:
        return False
    weight = 0
    for match in _VALUES.finditer(line):
        weight += CONTAINER_WEIGHT if line[match.start()] in b"[{" else 1
        if weight > MAX_WEIGHT:
            return True
    return False


# --- Messages ------------------------------------------------------------------------------


class NotAMessageError(ValueError):
    """A line that is not a message of the protocol, with its id if it has one."""

    def __init__(self, problem: str, code: int, request_id: int | str | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.code = code
        self.request_id = request_id

    def refusal(self) -> types.JSONRPCError | None:
        """Return the answer to the line; `None` where it has no id to answer to."""
        if self.request_id is None:
            return None
        error = types.ErrorData(code=self.code, message=self.problem)
        return types.JSONRPCError(jsonrpc="2.0", id=self.request_id, error=error)


def read_message(line: Line) -> types.JSONRPCMessage:
    """Parse a line.

    Raises:
        NotAMessageError: It is not a message, or may not be parsed.
    """
    if isinstance(line, Unparsed):
        raise NotAMessageError(f"Too large: {line.problem}.", types.INVALID_REQUEST, _request_id(line.ends))
    try:
        return types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        is_json = first["type"] != "json_invalid"
        code = types.INVALID_REQUEST if is_json else types.PARSE_ERROR
        problem = "This is JSON, but no message of the protocol." if is_json else first["msg"]
        raise NotAMessageError(problem, code, _request_id(line)) from None


def _request_id(line: bytes) -> int | str | None:
    """Return the id of a request, if it stands before all objects and lists of the line or behind them.

    A line that could not be parsed is not parsed again. Only a whole number or a text is an id.
    """
    match = _AT_THE_BEGINNING.match(line[:END_BYTES]) or _AT_THE_END.search(line[-END_BYTES:])
    if match is None:
        return None
    try:
        found: int | str = json.loads(match["id"])
        str(found).encode()  # an id that has no UTF-8 form cannot be answered
    except ValueError:
        return None
    return found
