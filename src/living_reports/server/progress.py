"""Progress of a long call, reported to the client that asked for it.

Rules:

- The worker thread only stores its progress and never waits for the client: it may hold a report's lock.
  The newest value is sent every `INTERVAL_S`, so a short call sends nothing.
- Storing progress also ends a call whose request was cancelled. Calls report only while they read: a call
  that has begun to write is finished.

    async with reported(session) as progress:
        await worker.run(lambda library: library.audit_report(request, progress))
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.from_thread
from mcp.server.session import ServerSession

INTERVAL_S = 0.2


class Progress:
    """The newest progress of a call: the current step, the amount done, and the total amount."""

    def __init__(self) -> None:
        self.newest: tuple[str, int, int] | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Store the progress. Called by the worker thread, which ends here if the call was cancelled."""
        anyio.from_thread.check_cancelled()
        self.newest = what, done, total


@asynccontextmanager
async def reported(session: ServerSession) -> AsyncIterator[Progress]:
    """Report the progress that is stored to the client of this session, until the block ends."""
    progress = Progress()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_report, session, progress)
        yield progress
        tasks.cancel_scope.cancel()


async def _report(session: ServerSession, progress: Progress) -> None:
    reported_amount = 0
    while True:
        await anyio.sleep(INTERVAL_S)
        if progress.newest is None:
            continue
        what, done, total = progress.newest
        if done > reported_amount:  # the protocol requires growing values
            await session.report_progress(done, total, what)
            reported_amount = done
