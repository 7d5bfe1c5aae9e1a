"""Mending what a check of a root found, as far as nothing has to be guessed.

Rules:

- Nothing here decides what a report says: opening it does, by the rules of `recovery`. What
  opening cannot settle (an altered log, a damaged outline) stays as it is.
- Removed are only files that a crash left and that nobody can be working on: the lock that their
  writer would hold is free, or they are older than any writer waits.
- What is not ours, and what recovery set aside, is left where it is.
- What cannot be done now (a busy report, a disk that refuses) is logged, and the next check finds it.

    >>> repair(root, check_root(root.reports_root))
    >>> check_root(root.reports_root)
    []
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from living_reports.errors import ReportError
from living_reports.store.base import Finding, Snapshot
from living_reports.store.files import durable, recovery
from living_reports.store.files.catalogue import Listing, ReportIndex
from living_reports.store.files.doctor import Progress, left_in_backups
from living_reports.store.files.folder import ReportFolder
from living_reports.store.files.lock import hold

logger = logging.getLogger(__name__)


class Root(Protocol):
    """What a repair uses of the folder store."""

    reports_root: Path
    by_id: Path
    trash_dir: Path
    index: ReportIndex
    lock_timeout_seconds: float

    def get_report_storage(self, report_id: str) -> ReportFolder:
        """Return the folder of a report."""

    def read(self, report_id: str) -> Snapshot:
        """Let a report recover, and correct its entry."""

    def sweep(self) -> None:
        """Remove what crashed creations left."""

    def settle_index(self) -> Listing | None:
        """Look at every report that the index may not know as it is."""


def repair(root: Root, findings: Sequence[Finding], progress: Progress | None = None) -> None:
    """Mend what `findings` tell of. What came of it, another check tells.

    Args:
        root: The root that was checked.
        findings: What the check found.
        progress: Called with the folders done and their number, after each folder.

    Raises:
        OSError: A folder of the root cannot be read.
    """
    root.index.remove_leftovers()
    root.sweep()
    root.index.entries()  # read now, so that opening a report compares it with its entry
    folders = _folders(root, findings)
    for done, folder in enumerate(folders, start=1):
        try:
            _open(root, folder)
        except (ReportError, OSError) as error:
            logger.info("%s is not mended: %s", folder.name, error)
        if progress is not None:
            progress(done, len(folders))
    root.settle_index()


def _folders(root: Root, findings: Sequence[Finding]) -> list[Path]:
    """The reports' folders that findings are about, each once."""
    places = {}
    for finding in findings:
        if finding.report and finding.file.startswith(".trash/"):
            places[root.reports_root / ".trash" / finding.file.split("/")[1]] = True
        elif finding.report:
            places[root.by_id / finding.report] = True
    return [folder for folder in places if durable.is_real_folder(folder)]


def _open(root: Root, folder: Path) -> None:
    """Let the report recover, which finishes a move into the trash and corrects its entry, too."""
    in_trash = folder.parent == root.trash_dir
    storage = ReportFolder(folder) if in_trash else root.get_report_storage(folder.name)
    if storage.exists():
        _remove_unfinished_backups(storage)
        if in_trash:
            recovery.read(storage)
        else:
            root.read(folder.name)
    elif not in_trash:
        _remove_empty(folder, root.lock_timeout_seconds)


def _remove_unfinished_backups(storage: ReportFolder) -> None:
    if names := left_in_backups(storage.backups_dir):
        with storage.lock():
            for name in names:
                durable.remove(storage.backups_dir / name)


def _remove_empty(folder: Path, age_seconds: float) -> None:
    """Remove a folder that a first write made and never filled; only if there is nothing in it at all."""
    if time.time() - folder.lstat().st_mtime < age_seconds or set(os.listdir(folder)) - {".lock"}:
        return
    with hold(folder / ".lock", 0.0):
        if set(os.listdir(folder)) == {".lock"}:
            durable.remove_folder(folder)
