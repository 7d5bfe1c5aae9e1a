"""Opening of files that have to be regular ones.

Opening a FIFO waits for its other end, and reading a device may never end. So every file that this
program reads, and every existing file that it writes, is opened here: without waiting, and only
accepted if the open file is a regular one.

    >>> read_regular("/dev/zero")
    Traceback (most recent call last):
    living_reports.regular_files.NotRegularFileError: [Errno 22] it is not a regular file: 'zero'
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)
_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)
_NOT_OPENED = (errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP)
"""The errors for sockets, FIFOs without a reader, and devices without a driver."""
_IS_LINK = (errno.ELOOP, errno.EMLINK)
_BLOCK = 4096


class NotRegularFileError(OSError):
    """A FIFO, a device, a socket, a folder or an unwanted link is in the place of a file.

    `filename` is the last part of its path.
    """

    def __init__(self, path: str | Path, kind: str = "not a regular file") -> None:
        super().__init__(errno.EINVAL, f"it is {kind}", os.path.basename(path))


def open_regular(
    path: str | Path, flags: int = os.O_RDONLY, *, follow_links: bool = True
) -> tuple[int, os.stat_result]:
    """Open a file without waiting; return its descriptor and the status of the open file.

    Raises:
        NotRegularFileError: It is not a regular file.
        OSError: It cannot be opened.
    """
    if not follow_links and not _NO_LINKS and os.path.islink(path):
        raise NotRegularFileError(path, "a symbolic link")
    flags |= _FLAGS if follow_links else _FLAGS | _NO_LINKS
    try:
        descriptor = _opened(path, flags)
    except OSError as error:
        if error.errno in _NOT_OPENED:
            raise NotRegularFileError(path) from error
        if error.errno in _IS_LINK and not follow_links:
            raise NotRegularFileError(path, "a symbolic link") from error
        if isinstance(error, IsADirectoryError):
            raise NotRegularFileError(path, "a folder") from error
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise NotRegularFileError(path)
    return descriptor, status


def _opened(path: str | Path, flags: int) -> int:
    try:
        return os.open(path, flags | _NO_WAITING, 0o666)
    except BlockingIOError:  # a file server or another machine holds a lease, which it gives back
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise
        return os.open(path, flags, 0o666)


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Return the bytes of an open file at an offset, `size` of them unless the file ends before."""
    if sys.platform != "win32":
        return os.pread(descriptor, size, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def reader_of(path: str | Path) -> BinaryIO:
    """Open a regular file for reading; see `open_regular`."""
    return open(open_regular(path)[0], "rb")


def read_regular(path: str | Path, limit: int = sys.maxsize, *, follow_links: bool = True) -> bytes:
    """Return the bytes of a regular file, at most `limit` of them; see `open_regular`."""
    return read_with_status(path, limit, follow_links=follow_links)[0]


def read_with_status(
    path: str | Path, limit: int = sys.maxsize, *, follow_links: bool = True
) -> tuple[bytes, os.stat_result]:
    """Return the bytes of a regular file, and the status that it had before they were read."""
    descriptor, status = open_regular(path, follow_links=follow_links)
    try:
        pieces, left = [], status.st_size + 1
        while limit > 0 and (piece := os.read(descriptor, min(limit, max(left, _BLOCK)))):
            pieces.append(piece)
            limit -= len(piece)
            left -= len(piece)
            if left == 1:
                break  # all that the status says, and less than was asked for: this is the end
        return b"".join(pieces), status
    finally:
        os.close(descriptor)
