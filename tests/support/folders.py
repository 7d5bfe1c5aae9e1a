"""Temporary folders."""

from __future__ import annotations

import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder in memory, or on disk if the system has no folder in memory."""
    return tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None)
