"""One call at a time for each report that calls name, in the order they came.

Rules: a call waits here before it takes a worker thread, so that however many calls wait
for one report, they hold no thread that another report's call needs. It is a courtesy
between the calls of one process; the report's own lock is what keeps writers apart, also
where two calls name one report differently.

    async with gate.turn("Health"):
        await run_in_a_worker_thread()
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from living_reports.errors import LockTimeoutError


@dataclass
class _Queue:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    calls: int = 0


class ReportGate:
    """The queues of the reports that are being asked for right now."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._queues: dict[str, _Queue] = {}

    @asynccontextmanager
    async def turn(self, report: str) -> AsyncIterator[None]:
        """Wait for the calls that named this report earlier, and keep later ones waiting.

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
        with anyio.move_on_after(self._timeout_seconds):
            await lock.acquire()
            return
        raise LockTimeoutError(
            f"Earlier calls to this report were not done after {self._timeout_seconds:g} seconds.",
            hint="Nothing was changed. Send the same call again.",
            waited_seconds=self._timeout_seconds,
        )
