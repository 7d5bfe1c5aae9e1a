"""The places where reports are kept: the protocol in `base`, and the stores that satisfy it.

`files` keeps each report in a folder of its own. It is the store for one machine. Two functions for files
outside any store come from there, too: `read_report_folder`, which reads a report of another root without
opening it, and `write_new_file`, which writes a file durably or not at all.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from living_reports.errors import InvalidInputError
from living_reports.store.base import Store
from living_reports.store.files.durable import write_new as write_new_file
from living_reports.store.files.store import FolderStore
from living_reports.store.files.transfer import read_report_folder

__all__ = ["open_store", "read_report_folder", "write_new_file"]

DEFAULT_LOCK_TIMEOUT_S = 30.0


def open_store(url: str | Path, *, lock_timeout_s: float = DEFAULT_LOCK_TIMEOUT_S) -> Store:
    """Return the store at a path or URL. Nothing is created before the first report is.

    Args:
        url: A path or a `file://` URL: a folder of reports.
        lock_timeout_s: How long to wait for other writers of a report.

    Raises:
        InvalidInputError: No store understands the URL.
    """
    if isinstance(url, Path):
        return FolderStore(url, lock_timeout_seconds=lock_timeout_s)
    scheme, separator, _ = url.partition("://")
    if not separator:
        return FolderStore(Path(url), lock_timeout_seconds=lock_timeout_s)
    if scheme.lower() == "file":
        return FolderStore(Path(_path_in(url)), lock_timeout_seconds=lock_timeout_s)
    if scheme.lower() in ("postgresql", "postgres"):
        raise InvalidInputError(
            "The PostgreSQL store is not built into this version.",
            hint="Give the path of a folder.",
            path="root",
        )
    raise InvalidInputError(
        f"There is no store for {scheme}:// URLs.", hint="Give the path of a folder.", path="root"
    )


def _path_in(url: str) -> str:
    parts = urlsplit(url)
    path = unquote(parts.path)
    is_drive = len(path) > 2 and path[0] == "/" and path[2] == ":"  # file:///C:/reports
    return path[1:] if is_drive else path
