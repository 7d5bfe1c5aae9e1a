"""How far a long call is, told to the client that asked.

Rules:

- The worker thread only notes how far it is, and never waits for the client: it may hold a
  report's lock. What it noted last is sent every `SECONDS_BETWEEN`, so a short call sends nothing.
- Saying how far it is, a call learns that it was cancelled, and ends there. Calls say it only while
  they read: one that has begun to write is finished.

    async with telling(session) as progress:
        await ask(lambda library: library.audit_report("Health", verify=True, say=progress))
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.from_thread
from mcp.server.session import ServerSession

SECONDS_BETWEEN = 0.2


class Progress:
    """What a call said last: what it does, how much is done, and of how much."""

    def __init__(self) -> None:
        self.newest: tuple[str, int, int] | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Note how far the call is. Called by its worker thread, which ends here if it was cancelled."""
        anyio.from_thread.check_cancelled()
        self.newest = what, done, total


@asynccontextmanager
async def telling(session: ServerSession) -> AsyncIterator[Progress]:
    """Tell the client of this session what the call notes, until the block ends."""
    progress = Progress()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_tell, session, progress)
        yield progress
        tasks.cancel_scope.cancel()


async def _tell(session: ServerSession, progress: Progress) -> None:
    told = 0
    while True:
        await anyio.sleep(SECONDS_BETWEEN)
        if progress.newest is None:
            continue
        what, done, total = progress.newest
        if done > told:  # the protocol wants it to grow
            await session.report_progress(done, total, what)
            told = done
