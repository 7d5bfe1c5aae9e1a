"""The local files that a report may cite and show: those inside the folders an operator allowed.

Rules:

- A path is followed to where it really leads; it is read only if that is inside an allowed folder.
  A link that leads out, a `..`, and anything but a plain file are refused.
- What was opened is what is read: a file that is put in its place meanwhile is not.
- Only reads. Where nothing may or can be read the answer is `None`; no error tells a caller what
  there is outside.
- A relative path is looked for in each folder in turn. `file:` addresses are paths.

    >>> Sources([Path("/srv/evidence")]).sha256_of("/etc/passwd") is None
    True
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

MAX_IMAGE_BYTES = 5_000_000
MAX_HASHED_BYTES = 200_000_000

_CHUNK_BYTES = 1 << 20
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe must not wait for a writer
)


class Sources:
    """Reads files inside some folders; without any, none."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._folders = list(folders)

    def allows(self, path: str) -> bool:
        """Whether the path leads into an allowed folder, to a file that is there or might be."""
        return any(True for _ in self._places(path))

    def read_image(self, path: str) -> bytes | None:
        """The file's bytes, or `None` if it may not or cannot be read or is over `MAX_IMAGE_BYTES`."""
        with self._opened(path, MAX_IMAGE_BYTES) as file:
            data = file.read(MAX_IMAGE_BYTES + 1) if file else b""
        return data if 0 < len(data) <= MAX_IMAGE_BYTES else None

    def sha256_of(self, path: str) -> str | None:
        """The sha256 of the file as `sha256sum` prints it, or `None` as for an image.

        The limit is `MAX_HASHED_BYTES`.
        """
        with self._opened(path, MAX_HASHED_BYTES) as file:
            if file is None:
                return None
            digest, size = hashlib.sha256(), 0
            while chunk := file.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > MAX_HASHED_BYTES:  # it grew while it was read
                    return None
                digest.update(chunk)
            return digest.hexdigest()

    @contextmanager
    def _opened(self, path: str, limit_bytes: int) -> Iterator[BinaryIO | None]:
        for place in self._places(path):
            try:
                descriptor = os.open(place, _FLAGS)
            except OSError:
                continue
            if self._is_still(place, descriptor, limit_bytes):
                with open(descriptor, "rb") as file:
                    yield file
            else:
                os.close(descriptor)
                yield None
            return
        yield None

    def _is_still(self, place: str, descriptor: int, limit_bytes: int) -> bool:
        """Whether the open file is a plain one and the one at this place.

        A folder on the way may have become a link between looking and opening.
        """
        opened = os.fstat(descriptor)
        if not stat.S_ISREG(opened.st_mode) or opened.st_size > limit_bytes:
            return False
        try:
            return os.path.realpath(place) == place and os.path.samestat(opened, os.stat(place))
        except OSError:
            return False

    def _places(self, path: str) -> Iterator[str]:
        """Where the path really leads, as far as that is inside an allowed folder."""
        local = _local(path)
        if not local or "\0" in local or ".." in re.split(r"[/\\]", local):
            return
        for folder in self._folders:
            inside = os.path.realpath(folder)
            place = os.path.realpath(os.path.join(inside, local))
            if place != inside and Path(place).is_relative_to(inside):
                yield place


def _local(path: str) -> str:
    """The path that a `file:` address of this machine means; any other text is a path."""
    if path[:5].lower() != "file:":
        return path
    address = urlsplit(path)
    if address.netloc.lower() not in ("", "localhost"):
        return ""
    return re.sub(r"^/(?=[A-Za-z]:)", "", unquote(address.path))
