"""Writes down what is done to a disk, and lets a process die in the middle of it.

The operations are those that `durable` announces, with paths relative to a base folder and with
what a model needs besides: where a write goes, and each name that goes with a folder.

A death here ends an action the way SIGKILL does, in this process: from that operation on,
whatever the action still tries to do to the disk does not happen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from living_reports.store.files import durable


@dataclass(frozen=True)
class Create:
    """A name for a new, empty file, unless there is one already."""

    path: str


@dataclass(frozen=True)
class Write:
    path: str
    offset: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    path: str
    size: int


@dataclass(frozen=True)
class Sync:
    path: str


@dataclass(frozen=True)
class SyncFolder:
    path: str


@dataclass(frozen=True)
class Rename:
    source: str
    target: str


@dataclass(frozen=True)
class Link:
    source: str
    target: str


@dataclass(frozen=True)
class Remove:
    """A name that goes: of a file, or of an empty folder."""

    path: str


@dataclass(frozen=True)
class MakeFolder:
    path: str


Operation = Create | Write | Truncate | Sync | SyncFolder | Rename | Link | Remove | MakeFolder


class Killed(BaseException):
    """The process is dead: no handler of the program may do anything more to the disk."""


@dataclass(frozen=True)
class Death:
    """The place of a kill: before an operation, or after a write has put `torn` bytes into its file."""

    position: int
    torn: int = 0


class Recorder:
    """An observer for `durable`.

    Attributes:
        operations: What was done so far, across several actions.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._fresh: set[Path] = set()
        self._death: Death | None = None
        self._is_dead = False
        self._begin = 0
        self.operations: list[Operation] = []

    @contextmanager
    def watching(self, death: Death | None = None) -> Iterator[None]:
        """Record the block. A death's position counts from its beginning; it is not raised further."""
        self._death, self._is_dead, self._begin = death, False, len(self.operations)
        before, durable.observer = durable.observer, self
        try:
            yield
        except Killed:
            pass
        finally:
            durable.observer = before

    def __call__(self, name: str, details: tuple[Any, ...]) -> None:
        if self._is_dead:
            raise Killed
        for operation in self._translated(name, details):
            if self._death is not None and len(self.operations) - self._begin == self._death.position:
                self._die(operation, self._death.torn)
            self.operations.append(operation)

    def _die(self, operation: Operation, torn: int) -> None:
        self._is_dead = True
        if torn and isinstance(operation, Write):
            part = operation.data[:torn]
            with (self._base / operation.path).open("r+b") as file:
                file.seek(operation.offset)
                file.write(part)
            self.operations.append(Write(operation.path, operation.offset, part))
        raise Killed

    def _translated(self, name: str, details: tuple[Any, ...]) -> Iterator[Operation]:
        path: Path = details[0]
        if name == "write":
            yield Write(self._relative(path), self._offset_of_write(path), details[1])
        elif name == "rewrite":
            yield Write(self._relative(path), details[1], details[2])
        elif name == "truncate":
            yield Truncate(self._relative(path), details[1])
        elif name == "remove_folder":
            yield from self._removals(path)
        elif name in ("rename", "link"):
            kind = Rename if name == "rename" else Link
            yield kind(self._relative(path), self._relative(details[1]))
        else:
            if name == "create":
                self._fresh.add(path)
            yield _SIMPLE[name](self._relative(path))

    def _offset_of_write(self, path: Path) -> int:
        """After its `create` a file is written from its beginning, else at its end."""
        if path in self._fresh:
            self._fresh.remove(path)
            return 0
        return path.stat().st_size

    def _removals(self, folder: Path) -> Iterator[Operation]:
        for place, folders, files in os.walk(folder, topdown=False):
            for name in sorted(name for name in [*files, *folders] if name != ".lock"):
                yield Remove(self._relative(Path(place) / name))
        yield Remove(self._relative(folder))

    def _relative(self, path: Path) -> str:
        relative = path.relative_to(self._base).as_posix()
        return "" if relative == "." else relative


_SIMPLE: dict[str, Callable[[str], Operation]] = {
    "create": Create,
    "sync": Sync,
    "sync_folder": SyncFolder,
    "remove": Remove,
    "make_folder": MakeFolder,
}
