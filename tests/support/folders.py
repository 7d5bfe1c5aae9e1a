"""Temporary folders, and the contents of folders."""

from __future__ import annotations

import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder in memory, or on disk if the system has no folder in memory."""
    return tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None)


def file_contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder, by its path; lock files are left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }
