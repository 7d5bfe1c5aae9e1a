"""Lines from stdin, read by a thread of its own, so that the wait for them holds up nothing.

Rules:

- The thread is a daemon and reads the descriptor itself: a process that leaves does not wait
  for it, and no buffer of Python's is locked by it meanwhile.
- A line that would cost too much memory to parse is not parsed: one over `MAX_LINE_BYTES` is
  thrown away while it is read, and one of more than `MAX_WEIGHT` values once it is there. Its two
  ends are kept, since the id of a request stands in one of them.
- Lines stay bytes: what is no UTF-8 is for the parser to refuse, not for us to mend.

    >>> list(split_lines([b'{"a":', b'1}\\n{"b"', b":2}"]))
    [b'{"a":1}', b'{"b":2}']
"""

from __future__ import annotations

import concurrent.futures
import logging
import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectSendStream

logger = logging.getLogger(__name__)

MAX_LINE_BYTES = 32_000_000
MAX_WEIGHT = 1_500_000
"""How many values a line may hold. A list or an object counts for `CONTAINER_WEIGHT`: `[],` has
three bytes, and what is made of it two hundred."""
CONTAINER_WEIGHT = 5
END_BYTES = 4_096
"""What is kept of either end of a line that is not parsed."""
CHUNK_BYTES = 65_536
STDIN = 0

_VALUES = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{,]', re.DOTALL)

LEAVING = (
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
    anyio.RunFinishedError,
    concurrent.futures.CancelledError,
)
"""What the thread meets where nobody wants its lines any more."""


@dataclass(frozen=True)
class Unparsed:
    """A line that costs too much to be parsed: its two ends, and why it does."""

    ends: bytes
    problem: str


Line = bytes | Unparsed


def read_stdin(lines: MemoryObjectSendStream[Line]) -> None:
    """Start the thread that sends the lines of stdin, and closes the stream behind the last."""
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
        # A terminal that went away, or no stdin at all: the same to us as its end.
        logger.warning("stdin cannot be read any more: %s", error.strerror)


def split_lines(chunks: Iterable[bytes]) -> Iterator[Line]:
    """The lines in these bytes, without their newlines; empty ones are left out."""
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
    """The line that is being read. Of one that gets too long only the ends are kept."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._length = 0

    def add(self, piece: bytes) -> None:
        self._length += len(piece)
        self._kept += piece
        if self._length > MAX_LINE_BYTES:
            del self._kept[END_BYTES:-END_BYTES]

    def take(self) -> Line:
        line, length = bytes(self._kept).strip(), self._length
        self._kept.clear()
        self._length = 0
        if length > MAX_LINE_BYTES:
            return Unparsed(line, f"the line has {length:,} bytes, and the most is {MAX_LINE_BYTES:,}")
        if _is_too_heavy(line):
            return Unparsed(line[:END_BYTES] + line[-END_BYTES:], "the line holds too many values")
        return line


def _is_too_heavy(line: bytes) -> bool:
    """True if the values of a line weigh more than `MAX_WEIGHT`; what a text says counts nothing."""
    containers = line.count(b"[") + line.count(b"{")
    if CONTAINER_WEIGHT * containers + line.count(b",") + line.count(b'"') <= MAX_WEIGHT:
        return False
    weight = 0
    for match in _VALUES.finditer(line):
        weight += CONTAINER_WEIGHT if line[match.start()] in b"[{" else 1
        if weight > MAX_WEIGHT:
            return True
    return False
