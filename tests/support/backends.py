"""Stores for the contract suite, each with a view of what it keeps that bypasses the store.

To put a store under the contract, add a subclass of `Backend` to `BACKENDS`. Everything but `open` and
`url` works from outside: it reads, damages or locks what is stored without the store's own code.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from living_reports.store import open_store
from living_reports.store.base import Store
from support.processes import locked_by_another_process


class Backend(ABC):
    """A place for one store, and its back door."""

    def __init__(self, place: Path) -> None:
        self.place = place

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL at which any process opens the store."""

    def open(self, lock_timeout_s: float = 30.0) -> Store:
        """Return a new store object, as a process that starts now has it."""
        return open_store(self.url, lock_timeout_s=lock_timeout_s)

    @abstractmethod
    def is_untouched(self) -> bool:
        """Return whether nothing at all is stored."""

    @abstractmethod
    def lines(self, report_id: str) -> list[bytes]:
        """Return the stored events of a report, oldest first, as their exact bytes."""

    @abstractmethod
    def replace_line(self, report_id: str, number: int, line: bytes) -> None:
        """Overwrite a stored event; the first one has the number 1."""

    @abstractmethod
    def remove_last_line(self, report_id: str) -> None:
        """Take the newest stored event away."""

    @abstractmethod
    def replace_outline(self, report_id: str, data: bytes) -> None:
        """Overwrite the stored current outline with bytes that are no outline of the history."""

    @abstractmethod
    def add_template(self, name: str, data: bytes) -> None:
        """Add a template as people do."""

    @abstractmethod
    def forget_derived(self) -> None:
        """Remove what the store can make again from the reports and their histories."""

    @abstractmethod
    def hold(self, report_id: str) -> AbstractContextManager[object]:
        """Hold a report in another process for the block, as a writer does."""

    def events(self, report_id: str) -> list[dict[str, Any]]:
        """Return the stored events of a report as JSON, oldest first."""
        return [json.loads(line) for line in self.lines(report_id)]

    def alter_line(self, report_id: str, number: int, old: bytes, new: bytes) -> None:
        """Replace a part of a stored event."""
        line = self.lines(report_id)[number - 1]
        assert old in line
        self.replace_line(report_id, number, line.replace(old, new, 1))


class FilesBackend(Backend):
    """The folder store."""

    @property
    def root(self) -> Path:
        """The reports directory."""
        return self.place / "reports"

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def is_untouched(self) -> bool:
        return not self.root.exists()

    def lines(self, report_id: str) -> list[bytes]:
        return (self._folder(report_id) / "audit.jsonl").read_bytes().splitlines()

    def replace_line(self, report_id: str, number: int, line: bytes) -> None:
        lines = self.lines(report_id)
        lines[number - 1] = line
        self._write_lines(report_id, lines)

    def remove_last_line(self, report_id: str) -> None:
        self._write_lines(report_id, self.lines(report_id)[:-1])

    def replace_outline(self, report_id: str, data: bytes) -> None:
        (self._folder(report_id) / "outline.json").write_bytes(data)

    def add_template(self, name: str, data: bytes) -> None:
        folder = self.root / "templates"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_bytes(data)

    def forget_derived(self) -> None:
        for path in (*self.root.glob(".search.sqlite*"), self.root / "index.jsonl"):
            path.unlink(missing_ok=True)

    def hold(self, report_id: str) -> AbstractContextManager[object]:
        return locked_by_another_process(self._folder(report_id) / ".lock")

    def _folder(self, report_id: str) -> Path:
        [folder] = [*self.root.glob(f"by_id/{report_id}"), *self.root.glob(f".trash/{report_id}_*")]
        return folder

    def _write_lines(self, report_id: str, lines: list[bytes]) -> None:
        (self._folder(report_id) / "audit.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


BACKENDS: tuple[type[Backend], ...] = (FilesBackend,)
"""The stores that the contract suite runs against."""
