"""Filling the folder of a report that nobody sees yet.

Rules:

- What fails in such a folder has not happened, whatever it was: the whole folder goes. So a disk
  that refused after a commit is as good as one that refused before it.
- The bytes are synced here, and the names below the folder; its own names are its maker's to sync.

    >>> with storage.lock():
    ...     first_version(storage, outline, Note("create", author))
    ...     newest = later_versions(storage, [(outline_2, note_2), (outline_3, note_3)])
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from living_reports.errors import StorageFailedError
from living_reports.models import Outline
from living_reports.storage import durable
from living_reports.storage.audit import Note, Record
from living_reports.storage.report import ReportStorage


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
