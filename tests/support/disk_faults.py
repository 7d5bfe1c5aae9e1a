"""Observe and break the only module that writes to the disk.

The observer of `store.files.durable` is called before each operation on the disk. A test can record
the operation, make it fail, or kill the process at that point.
"""

from __future__ import annotations

import errno
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from living_reports.errors import StorageFailedError
from living_reports.store.files import durable


@contextmanager
def observe_disk(observer: durable.Observer) -> Iterator[None]:
    """Let `observer` see everything that is done to the disk, before it is done."""
    durable.observer = observer
    try:
        yield
    finally:
        durable.observer = None


def operations_of(action: Callable[[], object]) -> list[tuple[str, str]]:
    """Return the operations of an action on the disk, with the last part of their (first) path."""
    done = []
    with observe_disk(lambda operation, details: done.append((operation, details[0].name))):
        action()
    return done


class FailOperation:
    """An observer that refuses the operation at a position, or from there on those that `refuses` names."""

    def __init__(
        self, position: int, code: int = errno.ENOSPC, *, refuses: Callable[[str], bool] | None = None
    ):
        self._left = position
        self._code = code
        self._refuses = refuses

    def __call__(self, operation: str, _: tuple[Any, ...]) -> None:
        self._left -= 1
        is_due = self._left == -1 if self._refuses is None else self._left < 0 and self._refuses(operation)
        if is_due:
            raise OSError(self._code, os.strerror(self._code))


def outcome_of(action: Callable[..., object], *arguments: object) -> str:
    """Whether the action happened, by its own account: `yes`, `no` or `unknown`."""
    try:
        action(*arguments)
    except StorageFailedError as error:
        return str(error.details["happened"])
    return "yes"


def needs_space(operation: str) -> bool:
    """The operations that fail on a full disk; taking something away still works."""
    return operation in ("create", "write", "link", "make_folder", "rewrite")


def killed_before(position: int, action: Callable[[], object]) -> bool:
    """Do the action in a process that is killed just before an operation; False if it ended before that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the child uses no other thread
        child = os.fork()
    if child == 0:
        _die_at(position, action)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def _die_at(position: int, action: Callable[[], object]) -> None:
    left = position

    def observer(_operation: str, _details: tuple[Any, ...]) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    try:
        with observe_disk(observer):
            action()
    except BaseException:
        os._exit(1)
    os._exit(0)
