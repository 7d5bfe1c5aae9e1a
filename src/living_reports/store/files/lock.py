"""One writer at a time: the lock of a report.

Rules:

- Every operation takes a new `ReportLock`. One thread of a process goes for the file lock
  at a time, the others queue in front of it: a file lock is held by a process, not by a
  thread, and one lock object shared by two threads lets both in.
- A waiter really waits, for the whole time-out, and gets a freed lock at once: after one
  plain attempt a helper thread blocks in the kernel's own queue, which is fair. A wait that was
  given up is taken up by the next one for the same lock; a lock that comes while nobody waits is
  released at once.
- The lock belongs to the folder, not to the path: after acquiring, the file behind the
  descriptor is compared with the one behind the path, and if the folder was moved or the
  lock file replaced meanwhile, the lock is taken again on what is there now.
- The lock file is never deleted. The kernel frees the lock of a process that dies.
- The queues of waiting threads belong to the process, not to a store object: so does a file lock. They
  are the only state of the folder store that all stores of a process share.

    >>> with hold(folder / ".lock", timeout_seconds=5.0):
    ...     ...  # the only writer of this report, in this process and any other
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import portalocker

from living_reports.errors import LockTimeoutError
from living_reports.regular_files import open_regular
from living_reports.store.files.durable import LOCK_FLAGS

DEFAULT_TIMEOUT_SECONDS = 30.0
_AT_ONCE = portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING


class _Gate:
    """The threads of this process that wait in front of one file lock, first come, first served."""

    def __init__(self) -> None:
        self.waiting: deque[threading.Lock] = deque()


_gates: dict[str, _Gate] = {}
"""One for each file lock that a thread of this process is going for, or holds."""
_gates_mutex = threading.Lock()


def _enter_gate(key: str, timeout_seconds: float) -> bool:
    with _gates_mutex:
        if key not in _gates:
            _gates[key] = _Gate()
            return True
        gate, turn = _gates[key], threading.Lock()
        turn.acquire()
        gate.waiting.append(turn)
    try:
        if turn.acquire(timeout=max(timeout_seconds, 0.0)):
            return True
    except BaseException:  # an interrupt from the keyboard
        if not _gave_up(gate, turn):
            _leave_gate(key)
        raise
    return not _gave_up(gate, turn)


def _gave_up(gate: _Gate, turn: threading.Lock) -> bool:
    """Return False if it was this thread's turn just now."""
    with _gates_mutex:
        is_waiting = turn in gate.waiting
        if is_waiting:
            gate.waiting.remove(turn)
        return is_waiting


def _leave_gate(key: str) -> None:
    with _gates_mutex:
        gate = _gates[key]
        if gate.waiting:
            gate.waiting.popleft().release()
        else:
            del _gates[key]


class _Waiter:
    """A blocking wait for a file lock that its owner can give up, and the next owner can take up."""

    def __init__(self, key: str, fd: int) -> None:
        self.fd = fd
        self._key = key
        self._mutex = threading.Lock()
        self._done = threading.Event()
        self._abandoned = False
        self._error: OSError | None = None
        threading.Thread(target=self._block, name="report-lock", daemon=True).start()

    def wait(self, timeout_seconds: float) -> bool:
        """Return whether the lock is held now; if not, the descriptor is or will be closed."""
        try:
            self._done.wait(timeout_seconds)
        except BaseException:  # an interrupt from the keyboard
            self._give_up()
            raise
        if not self._done.is_set() and self._give_up():
            return False
        if self._error is not None:
            os.close(self.fd)
            raise self._error
        return True

    def _give_up(self) -> bool:
        """Return False if the wait had already ended."""
        with self._mutex:
            self._abandoned = not self._done.is_set()
            if self._abandoned:
                _given_up[self._key] = self
        return self._abandoned

    def take_up(self) -> bool:
        """Continue the wait for another owner; return False if it has ended."""
        with self._mutex:
            if self._done.is_set():
                return False
            self._abandoned = False
            return True

    def _block(self) -> None:
        try:
            portalocker.lock(self.fd, portalocker.LockFlags.EXCLUSIVE)
        except portalocker.exceptions.LockException as error:
            self._error = _no_lock(error)
        with self._mutex:
            self._done.set()
            if self._abandoned:
                os.close(self.fd)  # which releases a lock that came too late
                if _given_up.get(self._key) is self:
                    del _given_up[self._key]


_given_up: dict[str, _Waiter] = {}
"""Waits that are still in the kernel's queue, by lock: one that is stuck costs one thread, not one a call."""


def _waiter_for(key: str, path: Path, fd: int) -> _Waiter:
    """Return the wait that was given up last, if it is for the same file, else a new one."""
    waiter = _given_up.pop(key, None)
    if waiter is not None and waiter.take_up():
        if _is_for(waiter, path):
            os.close(fd)
            return waiter
        if waiter.wait(0.0):  # no use any more: the file was replaced
            os.close(waiter.fd)
    return _Waiter(key, fd)


def _is_for(waiter: _Waiter, path: Path) -> bool:
    """Return whether the wait is for the file that the path names now; errors are left to the next open."""
    try:
        return _is_at(os.fstat(waiter.fd), path)
    except OSError:
        return False


class ReportLock:
    """The exclusive lock on one report, across threads and processes.

    Args:
        lock_path: The report's `.lock`. It is made where it is missing; its folder is not.
        timeout_seconds: How long `acquire` waits.
    """

    def __init__(self, lock_path: Path, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        self.lock_path = Path(lock_path)
        self.timeout_seconds = timeout_seconds
        self._key = _key(self.lock_path)
        self._fd = -1
        self._status: os.stat_result | None = None

    def acquire(self) -> None:
        """Wait for the lock.

        Raises:
            LockTimeoutError: Another holder kept it for the whole time-out.
            OSError: The lock file cannot be opened: the folder is gone, or not writable.
        """
        start = time.monotonic()
        if not _enter_gate(self._key, self.timeout_seconds):
            raise self._timeout(start)
        try:
            while self._fd < 0:
                self._fd = self._attempt(start)
        except BaseException:
            _leave_gate(self._key)
            raise

    def _attempt(self, start: float) -> int:
        """Return a locked descriptor of the file that the path names now; -1 if it moved meanwhile."""
        fd, status = open_regular(self.lock_path, LOCK_FLAGS, follow_links=False)
        if not _locked_at_once(fd):
            left = self.timeout_seconds - (time.monotonic() - start)
            if left <= 0:
                os.close(fd)
                raise self._timeout(start)
            waiter = _waiter_for(self._key, self.lock_path, fd)
            if not waiter.wait(left):
                raise self._timeout(start)
            fd, status = waiter.fd, os.fstat(waiter.fd)
        try:
            is_current = _is_at(status, self.lock_path)
        except OSError:
            os.close(fd)
            raise
        if is_current:
            self._status = status
            return fd
        os.close(fd)
        return -1

    def _timeout(self, start: float) -> LockTimeoutError:
        waited = round(time.monotonic() - start, 3)
        return LockTimeoutError(
            f"The report was busy for {waited:g} seconds: another writer holds it.",
            hint="Nothing was changed. Send the same call again.",
            waited_seconds=waited,
        )

    def still_held(self) -> bool:
        """Return False if the lock file was deleted or replaced meanwhile."""
        return self._fd >= 0 and self._status is not None and _is_at(self._status, self.lock_path)

    def release(self) -> None:
        """Release the lock. Does nothing if it is not held."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)  # the kernel drops the lock with its only descriptor
            _leave_gate(self._key)

    def __enter__(self) -> ReportLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _locked_at_once(fd: int) -> bool:
    """Try once without waiting. On an error the descriptor is closed."""
    try:
        portalocker.lock(fd, _AT_ONCE)
    except portalocker.exceptions.AlreadyLocked:
        return False
    except portalocker.exceptions.LockException as error:
        os.close(fd)
        raise _no_lock(error) from error
    return True


def _no_lock(error: portalocker.exceptions.LockException) -> OSError:
    return OSError(errno.ENOLCK, f"the file system gives no lock ({error.strerror or 'no reason given'})")


def _is_at(status: os.stat_result, path: Path) -> bool:
    """Return whether the path names the file with this status."""
    try:
        return os.path.samestat(status, os.lstat(path))
    except FileNotFoundError:
        return False


def _key(lock_path: Path) -> str:
    """Return the key of a lock file in this process."""
    is_plain = lock_path.is_absolute() and ".." not in lock_path.parts
    return str(lock_path) if is_plain else os.path.abspath(lock_path)


class _Held(threading.local):
    """The locks that the current thread holds, by path, with the number of times it acquired each."""

    def __init__(self) -> None:
        self.locks: dict[str, tuple[ReportLock, int]] = {}


_held = _Held()


@contextmanager
def hold(lock_path: Path, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> Iterator[ReportLock]:
    """Hold the lock for the block; a thread that holds it already does not wait.

    Raises:
        LockTimeoutError: Another holder kept it for the whole time-out.
        OSError: The lock file cannot be opened.
    """
    key = _key(lock_path)
    lock, depth = _held.locks.get(key) or (ReportLock(lock_path, timeout_seconds), 0)
    if depth == 0:
        lock.acquire()
    _held.locks[key] = (lock, depth + 1)
    try:
        yield lock
    finally:
        if depth == 0:
            del _held.locks[key]
            lock.release()
        else:
            _held.locks[key] = (lock, depth)


def is_held(lock_path: Path) -> bool:
    """Return whether the current thread holds the lock."""
    return _key(lock_path) in _held.locks


def is_still_held(lock_path: Path) -> bool:
    """Return whether the current thread holds the lock and its file was neither deleted nor replaced."""
    lock, _ = _held.locks.get(_key(lock_path), (None, 0))
    return lock is not None and lock.still_held()
