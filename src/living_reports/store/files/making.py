"""Filling the folder of a report that nobody sees yet, and sweeping up after those who died at it.

Rules:

- What fails in such a folder has not happened, whatever it was: the whole folder goes. So a disk
  that refused after a commit is as good as one that refused before it.
- What a crash left of one is removed once nobody can be working on it any more.
- The bytes are synced here, and the names below the folder; its own names are its maker's to sync.

    >>> with storage.lock():
    ...     first_version(storage, outline, Note("create", author))
    ...     newest = later_versions(storage, [(outline_2, note_2), (outline_3, note_3)])
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from living_reports.errors import LockTimeoutError, StorageFailedError
from living_reports.model.report import Outline
from living_reports.store.files import durable
from living_reports.store.files.audit import Note, Record
from living_reports.store.files.lock import hold
from living_reports.store.files.report import ReportStorage

logger = logging.getLogger(__name__)


def first_version(storage: ReportStorage, outline: Outline, note: Note) -> Record:
    """Commit into a folder that nobody sees yet: what fails there has not happened, whatever it was."""
    try:
        record = storage.commit(None, outline, note)
    except StorageFailedError as error:
        raise OSError(errno.EIO, error.message) from error
    if not storage.outline_path.exists():
        raise OSError(errno.EIO, "the outline could not be put in place")
    return record


def later_versions(storage: ReportStorage, later: Iterable[tuple[Outline, Note]]) -> Outline | None:
    """Commit these one after the other, and give the last; `None` if there are none."""
    newest: Outline | None = None
    try:
        for newest, note in later:
            with storage.edit() as edit:
                edit.put(newest, note)
    except StorageFailedError as error:
        raise OSError(errno.EIO, error.message) from error
    if newest is not None and not storage.look().is_settled:
        raise OSError(errno.EIO, "the outline could not be put in place")
    return newest


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put files into a new folder; they and their names are synced, but for those of the folder itself.

    Raises:
        ValueError: A path leads elsewhere.
    """
    folders = set()
    for name, data in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{name!r} is no path in a folder")
        for above in reversed(path.parents[:-1]):
            durable.make_folder(folder / above)
            folders.add(folder / above)
        durable.write_new(folder / path, data)
    for each in folders:
        durable.sync_folder(each)


def remove_unfinished(folders: Iterable[Path], after_seconds: float) -> None:
    """Remove those folders that are older than this, and that nobody is working on. A link is no folder."""
    for folder in filter(durable.is_real_folder, folders):
        try:
            if time.time() - folder.lstat().st_mtime < after_seconds:
                continue
            with hold(folder / ".lock", 0.0):
                durable.remove_folder(folder)
        except FileNotFoundError:
            continue  # it has its name by now
        except (LockTimeoutError, OSError) as error:
            logger.info("%s was not removed: %s", folder.name, error)
