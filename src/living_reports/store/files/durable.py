"""The only writer of bytes: every write, rename, link, cut and sync of the package is here.

Rules:

- Each helper says what it guarantees when it returns, and what it leaves to its caller.
- "Synced" means: handed to the disk, so that it survives a power cut. On Linux that is
  `fdatasync` for files and `fsync` for folders, on macOS `fcntl(F_FULLFSYNC)` (where
  `fsync` does not reach the disk), on Windows `FlushFileBuffers` (no folder sync there).
- No helper follows a symbolic link in the last part of a path it writes to, or opens anything but a
  regular file: see `regular_files`.
- A failed sync is reported and never tried again: the kernel may have dropped the pages,
  and a second call would say "fine" about bytes that are not there.
- Nothing here is "best effort": what fails raises `OSError`.

Every operation is announced to `observer` before it happens. Tests set it, to record
what is done, to make an operation fail, or to die just before it.

    >>> write_derived(folder / "a.tmp", b"text")      # not synced
    >>> replace(folder / "a.tmp", folder / "a.json")  # atomic; the folder is not synced
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from living_reports.regular_files import open_regular, read_at, read_regular

if sys.platform == "darwin":
    import fcntl

Observer = Callable[[str, tuple[Any, ...]], None]
observer: Observer | None = None

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_FLAGS = _NOFOLLOW | _BINARY | _CLOEXEC

LOCK_FLAGS = os.O_RDWR | os.O_CREAT
"""The flags with which a lock file is opened; it is made where it is missing."""

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
CLOCK_SLACK_NS = 50_000_000
"""More than the step of the clock from which a file system takes the times of files."""
_SHARING_RETRIES = 50
_SHARING_PAUSE_SECONDS = 0.02


def _announce(operation: str, *details: Any) -> None:
    if observer is not None:
        observer(operation, details)


# --- Syncs --------------------------------------------------------------------------------


def _sync(fd: int, path: Path) -> None:
    _announce("sync", path)
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif sys.platform == "win32":
        os.fsync(fd)
    else:
        os.fdatasync(fd)


def sync_file(path: Path) -> None:
    """Sync the bytes of an existing file, whoever wrote them. Its name is left to the caller."""
    flags = os.O_RDWR if sys.platform == "win32" else os.O_RDONLY
    fd, _ = open_regular(path, flags, follow_links=False)
    try:
        _sync(fd, path)
    finally:
        os.close(fd)


def sync_folder(path: Path) -> None:
    """Sync the names in a folder: what was created, renamed or removed in it before.

    On Windows folders cannot be synced; NTFS journals its names.
    """
    _announce("sync_folder", path)
    if sys.platform == "win32":
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _CLOEXEC)
    try:
        if sys.platform == "darwin":
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fsync(fd)
    finally:
        os.close(fd)


# --- Whole files --------------------------------------------------------------------------


def _write_all(fd: int, data: bytes, path: Path) -> None:
    view = memoryview(data)
    while view:
        _announce("write", path, bytes(view) if observer is not None else None)
        view = view[os.write(fd, view) :]


def write_new(path: Path, data: bytes) -> None:
    """Create a file with these bytes, synced. Refuses an existing one.

    If anything fails, the file is removed again. The caller syncs the folder if the name has to survive
    a power cut.
    """
    _create(path, data, is_synced=True)


def write_derived(path: Path, data: bytes) -> None:
    """Create a file with bytes that can be made again from synced ones. Refuses an existing one.

    If anything fails, the file is removed again. Not synced: after a power cut the file may be empty,
    cut short or filled with zeros, whatever its name is by then. Its time is a moment ago, so that a save
    that follows at once gives it another time.
    """
    _create(path, data, is_synced=False)


def _create(path: Path, data: bytes, *, is_synced: bool) -> None:
    _announce("create", path)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)
    try:
        _write_all(fd, data, path)
        if is_synced:
            _sync(fd, path)
        elif os.utime in os.supports_fd:
            earlier = time.time_ns() - CLOCK_SLACK_NS
            os.utime(fd, ns=(earlier, earlier))
    except BaseException:
        os.close(fd)
        remove(path)
        raise
    os.close(fd)


def write_hint(path: Path, data: bytes) -> None:
    """Overwrite a small advisory file in place, neither synced nor atomic.

    For files whose reader treats anything unexpected as absent.
    """
    _announce("create", path)
    fd, status = open_regular(path, os.O_WRONLY | os.O_CREAT, follow_links=False)
    try:
        _write_all(fd, data, path)
        if status.st_size > len(data):
            _announce("truncate", path, len(data))
            os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def touch(path: Path) -> bool:
    """Ensure that a file exists; a new one is empty. Return whether it was there. Not synced."""
    _announce("create", path)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666))
        return False
    except FileExistsError:
        os.close(open_regular(path, os.O_WRONLY, follow_links=False)[0])
        return True


# --- Logs ---------------------------------------------------------------------------------


class CutFailedError(OSError):
    """An append failed and could not be taken back: its outcome is unknown."""


def append(path: Path, data: bytes) -> None:
    """Append to a log, synced; a log that did not exist has its name synced too.

    If the write or the sync fails, the log is cut back to where it was and the cut synced
    before the error goes on; a log that did not exist is gone again. Leaves to its caller:
    holding the lock that makes this process the only writer.

    Raises:
        CutFailedError: The append failed and so did the cut.
        OSError: The append failed and nothing of it is left.
    """
    fd, size, is_new = _opened_log(path, os.O_WRONLY)
    try:
        try:
            _write_all(fd, data, path)
            _sync(fd, path)
            if is_new:
                sync_folder(path.parent)
        except OSError as error:
            _cut_back(fd, path, size, error)
            if is_new:
                remove(path)
            raise
    finally:
        os.close(fd)


def _opened_log(path: Path, how: int) -> tuple[int, int, bool]:
    """Return a descriptor that appends, the size of the log, and whether it did not exist before."""
    how |= os.O_APPEND
    try:
        fd, status = open_regular(path, how, follow_links=False)
        is_new = False
    except FileNotFoundError:
        _announce("create", path)
        fd, status = open_regular(path, how | os.O_CREAT, follow_links=False)
        is_new = True
    return fd, status.st_size, is_new


def _cut_back(fd: int, path: Path, size: int, cause: OSError) -> None:
    try:
        _announce("truncate", path, size)
        os.ftruncate(fd, size)
        _sync(fd, path)
    except OSError as error:
        message = "an append could be neither made nor undone"
        raise CutFailedError(error.errno or errno.EIO, message) from cause


def append_hint(path: Path, data: bytes) -> int:
    """Append to a derived file that can be rebuilt; return its length before.

    What stands there is ended by a newline first, if it lacks one: a crash may have torn it. Not
    synced, may tear in a crash.
    """
    fd, size, _ = _opened_log(path, os.O_RDWR)
    try:
        if size:
            data = data if read_at(fd, 1, size - 1) == b"\n" else b"\n" + data
        _write_all(fd, data, path)
        return size
    finally:
        os.close(fd)


def rewrite(path: Path, offset: int, data: bytes) -> None:
    """Write bytes into an existing file at an offset, synced.

    Recovery uses it to write again what it found, because a line that can be read may
    still be missing on the disk: a process may have died, or a sync failed, before it.
    """
    fd, _ = open_regular(path, os.O_WRONLY, follow_links=False)
    try:
        os.lseek(fd, offset, os.SEEK_SET)
        _announce("rewrite", path, offset, data)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        _sync(fd, path)
    finally:
        os.close(fd)


def cut(path: Path, size: int) -> None:
    """Shorten a file to `size` bytes, synced."""
    fd, _ = open_regular(path, os.O_WRONLY, follow_links=False)
    try:
        _announce("truncate", path, size)
        os.ftruncate(fd, size)
        _sync(fd, path)
    finally:
        os.close(fd)


# --- Names --------------------------------------------------------------------------------


def replace(source: Path, target: Path) -> None:
    """Give `source` the name `target`, atomically, whatever had that name before.

    Guarantees that a reader of `target` sees the old file or the new one. Leaves to its caller what has
    to survive a power cut: syncing the source's bytes before, and the folder after. Both names must not
    be links to one file: the kernel then does nothing.
    """
    _announce("rename", source, target)
    _past_sharing_violations(lambda: os.replace(source, target))


def _past_sharing_violations(rename: Callable[[], None]) -> None:
    """Retry for a second: on Windows a scanner or an editor may hold the file open for a moment."""
    for _ in range(_SHARING_RETRIES if sys.platform == "win32" else 0):
        try:
            return rename()
        except PermissionError:
            time.sleep(_SHARING_PAUSE_SECONDS)
    return rename()


def move_folder(source: Path, target: Path) -> None:
    """Rename a folder; an existing non-empty target is refused. Leaves the syncs to its caller."""
    _announce("rename", source, target)
    _past_sharing_violations(lambda: os.rename(source, target))


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it if the file system has no hard links.

    An existing target stays as it is. The name is not synced; the bytes of a copy are, and
    a copy is whole as soon as it has its name.
    """
    _announce("link", source, target)
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    unfinished = target.with_name(f".{target.name}.tmp")
    remove(unfinished)
    write_new(unfinished, read_regular(source))
    replace(unfinished, target)


def remove(path: Path) -> None:
    """Remove a file if it is there. Not synced."""
    _announce("remove", path)
    path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it. Links in it are removed, not followed."""
    _announce("remove_folder", path)
    shutil.rmtree(path)


# --- Folders ------------------------------------------------------------------------------


def make_folder(path: Path) -> None:
    """Ensure that a folder exists and is no symbolic link. Its name is not synced.

    Raises:
        NotADirectoryError: The name belongs to a file or to a symbolic link.
    """
    if not is_real_folder(path):
        _announce("make_folder", path)
        try:
            os.mkdir(path)
        except FileExistsError:
            if not is_real_folder(path):
                raise NotADirectoryError(errno.ENOTDIR, "not a folder of its own", path.name) from None


def make_root(path: Path) -> None:
    """Ensure that a folder and those above it exist, with names that are synced.

    A name is synced before anything is put into its folder; so an empty folder may be one
    whose maker died before that, and its name is synced now.
    """
    if path.is_dir():
        if is_empty_folder(path):
            _sync_known_folder(path.parent)
        return
    make_root(path.parent)
    make_folder(path)
    sync_folder(path.parent)


def _sync_known_folder(path: Path) -> None:
    """Sync a folder, unless it must not be opened: then nothing was put into it, either."""
    try:
        sync_folder(path)
    except PermissionError:
        return


def is_real_folder(path: Path) -> bool:
    """Return whether this is a folder, and not a symbolic link."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_empty_folder(path: Path) -> bool:
    """Return whether a folder is empty, reading no more than one name."""
    with os.scandir(path) as found:
        return next(found, None) is None
