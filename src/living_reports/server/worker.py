"""Worker: runs blocking library calls in threads, one at a time for each report. Knows no protocol.

Rules:

- The library is loaded with the first call: a client that only lists the tools does not wait for it.
- A call that has begun is finished, even if its request is cancelled or the client leaves; a call that
  still waits for its turn never begins.
- Calls that name the same report wait for each other before they take a thread, in the order they came. So
  however many calls wait for one report, they hold no thread that another report needs. This only orders
  the calls of one process; the report's lock keeps writers apart, also where two calls name one report
  differently.

    title = await worker.run(lambda library: library.get_report(GetReport("Health"))["title"], "Health")
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from living_reports.errors import LockTimeoutError
from living_reports.settings import Settings

if TYPE_CHECKING:
    from living_reports.library import Library

T = TypeVar("T")

WORKER_THREADS = 32
"""The number of calls that run at once."""


@dataclass
class _Queue:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    calls: int = 0


class Worker:
    """The library over some settings, and the threads that call it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = anyio.CapacityLimiter(WORKER_THREADS)
        self._queues: dict[str, _Queue] = {}
        self._opening = threading.Lock()
        self._library: Library | None = None

    async def run(self, call: Callable[[Library], T], report: str = "") -> T:
        """Return the result of a call of the library.

        Args:
            call: Runs in a thread of its own.
            report: The report that the call names, if any: other calls that name it are waited for.

        Raises:
            ReportError: The error of the call, or a time-out of the wait.
        """
        if not report:
            return await anyio.to_thread.run_sync(self._run, call, limiter=self._threads)
        async with self._turn(report):
            return await anyio.to_thread.run_sync(self._run, call, limiter=self._threads)

    def _run(self, call: Callable[[Library], T]) -> T:
        with self._opening:
            if self._library is None:
                from living_reports.library import Library

                settings = self._settings
                self._library = Library(
                    settings.root,
                    lock_timeout_s=settings.lock_timeout_s,
                    sources=settings.sources,
                )
        return call(self._library)

    @asynccontextmanager
    async def _turn(self, report: str) -> AsyncIterator[None]:
        """Wait for earlier calls of this report, and keep later ones waiting.

        Raises:
            LockTimeoutError: They were not done within the time-out.
        """
        queue = self._queues.setdefault(report, _Queue())
        queue.calls += 1
        try:
            await self._acquire(queue.lock)
            try:
                yield
            finally:
                queue.lock.release()
        finally:
            queue.calls -= 1
            if not queue.calls:
                del self._queues[report]

    async def _acquire(self, lock: anyio.Lock) -> None:
        timeout_s = self._settings.lock_timeout_s
        with anyio.move_on_after(timeout_s):
            await lock.acquire()
            return
        raise LockTimeoutError(
            f"Earlier calls to this report were not done after {timeout_s:g} seconds.",
            hint="Nothing was changed. Send the same call again.",
            waited_seconds=timeout_s,
        )
