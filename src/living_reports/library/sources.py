"""The local files that reports may cite and show: those inside the folders that an operator allowed.

Rules:

- Links are resolved first; a file is read only if its real path is inside an allowed folder. A link that
  leads out, a `..`, and anything but a plain file are refused.
- The open file is checked against its path, so that a file that is swapped in meanwhile is not read.
- This module only reads. The answer is `None` where nothing may or can be read; no error tells a caller
  what exists outside.
- A relative path is looked up in each folder in turn. `file:` addresses are paths.
- Nothing is recorded or reported about files outside the allowed folders.

    >>> Sources([Path("/srv/evidence")]).sha256_of("/etc/passwd") is None
    True
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from living_reports.model.report import Outline
from living_reports.reading.check import cited_documents
from living_reports.regular_files import open_regular

MAX_IMAGE_BYTES = 5_000_000
MAX_HASHED_BYTES = 200_000_000

_CHUNK_BYTES = 1 << 20
_SEPARATOR = re.compile(r"[/\\]")
_BEFORE_DRIVE = re.compile(r"^/(?=[A-Za-z]:)")


class Sources:
    """Reads files inside some folders; without any folder, it reads none."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._folders = list(folders)

    def allows(self, path: str) -> bool:
        """Return True if the path leads into an allowed folder, whether or not the file exists."""
        return any(True for _ in self._places(path))

    def read_image(self, path: str) -> bytes | None:
        """Return the bytes of a file; `None` if it cannot be read or is over `MAX_IMAGE_BYTES`."""
        with self._opened(path, MAX_IMAGE_BYTES) as file:
            data = file.read(MAX_IMAGE_BYTES + 1) if file else b""
        return data if 0 < len(data) <= MAX_IMAGE_BYTES else None

    def sha256_of(self, path: str) -> str | None:
        """Return the sha256 of a file as `sha256sum` prints it; `None` as for an image.

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

    def can_read(self, path: str, limit_bytes: int = MAX_HASHED_BYTES) -> bool:
        """Return True if there is such a file within the limit, and it may and can be read."""
        with self._opened(path, limit_bytes) as file:
            return file is not None

    @contextmanager
    def _opened(self, path: str, limit_bytes: int) -> Iterator[BinaryIO | None]:
        for place in self._places(path):
            try:
                descriptor, opened = open_regular(place, follow_links=False)
            except OSError:
                continue
            if opened.st_size <= limit_bytes and self._is_still(place, opened):
                with open(descriptor, "rb") as file:
                    yield file
            else:
                os.close(descriptor)
                yield None
            return
        yield None

    def _is_still(self, place: str, opened: os.stat_result) -> bool:
        """Return True if the open file is still the one at this path.

        A folder on the way may have become a link between the check and the opening.
        """
        try:
            return os.path.realpath(place) == place and os.path.samestat(opened, os.stat(place))
        except OSError:
            return False

    def _places(self, path: str) -> Iterator[str]:
        """Yield the real paths that a path stands for, one for each allowed folder that it lies in."""
        local = _local(path)
        if not local or "\0" in local or ".." in _SEPARATOR.split(local):
            return
        for folder in self._folders:
            inside = os.path.realpath(folder)
            place = os.path.realpath(os.path.join(inside, local))
            if place != inside and Path(place).is_relative_to(inside):
                yield place


def _local(path: str) -> str:
    """Return the path of a `file:` address of this machine; any other text is a path already."""
    if path[:5].lower() != "file:":
        return path
    address = urlsplit(path)
    if address.netloc.lower() not in ("", "localhost"):
        return ""
    return _BEFORE_DRIVE.sub("", unquote(address.path))


# --- Cited documents -----------------------------------------------------------------------


def current_hashes(outline: Outline, sources: Sources) -> dict[str, str | None]:
    """Return the current hashes of the cited documents by path; `None` for a missing or unreadable one.

    Documents outside the allowed folders are left out.
    """
    return {path: sources.sha256_of(path) for path in cited_documents(outline) if sources.allows(path)}
