"""The templates that a person added under the root, as files.

Rules: a template is a file `NAME.json`; hidden files are none. A folder that cannot be read is an
error, not an empty one.

    >>> templates_in(root / "templates")["weekly"]()
    b'{"sections": [...]}'
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def templates_in(folder: Path) -> dict[str, Callable[[], bytes]]:
    """For each template's name, what reads its file.

    Raises:
        OSError: The folder is there and cannot be read.
    """
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    files = (folder / name for name in sorted(names) if not name.startswith("."))
    return {path.stem: path.read_bytes for path in files if path.suffix == ".json"}
