"""Lines from stdin, read by a thread of its own, so that the wait for them holds up nothing.

Rules:

- The thread is a daemon and reads the descriptor itself: a process that leaves does not wait
  for it, and no buffer of Python's is locked by it meanwhile.
- A line over `MAX_LINE_BYTES` is thrown away while it is read, and logged.
- Lines stay bytes: what is no UTF-8 is for the parser to refuse, not for us to mend.

    >>> list(split_lines([b'{"a":', b'1}\\n{"b"', b":2}"]))
    [b'{"a":1}', b'{"b":2}']
"""

from __future__ import annotations

import concurrent.futures
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectSendStream

logger = logging.getLogger(__name__)

MAX_LINE_BYTES = 32_000_000
CHUNK_BYTES = 65_536
STDIN = 0

LEAVING = (
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
    anyio.RunFinishedError,
    concurrent.futures.CancelledError,
)
"""What the thread meets where nobody wants its lines any more."""


def read_stdin(lines: MemoryObjectSendStream[bytes]) -> None:
    """Start the thread that sends the lines of stdin, and closes the stream behind the last."""
    token = anyio.lowlevel.current_token()
    threading.Thread(target=_send_lines, args=(lines, token), name="stdin", daemon=True).start()


def _send_lines(lines: MemoryObjectSendStream[bytes], token: anyio.lowlevel.EventLoopToken) -> None:
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


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines in these bytes, without their newlines; empty and over-long ones are left out."""
    line = _Line()
    for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line.add(end)
            if whole := line.take():
                yield whole
        line.add(rest)
    if whole := line.take():
        yield whole


class _Line:
    """The line that is being read. Beyond the limit it is counted and no longer kept."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._length = 0

    def add(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length > MAX_LINE_BYTES:
            self._kept.clear()
        else:
            self._kept += piece

    def take(self) -> bytes:
        if self._length > MAX_LINE_BYTES:
            logger.warning(
                "a line of %d bytes was thrown away: %d are the most", self._length, MAX_LINE_BYTES
            )
        line = bytes(self._kept).strip()
        self._kept.clear()
        self._length = 0
        return line
