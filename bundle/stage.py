"""Copy the files of an MCPB bundle into a folder, from which the bundle is packed.

The bundle has the source of the program and no dependencies: the client that opens it installs them
with uv, as declared in `pyproject.toml`.

    python bundle/stage.py build/bundle
    npx -y @anthropic-ai/mcpb@2.1.2 pack build/bundle living-reports.mcpb
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = ("bundle/manifest.json", "pyproject.toml", "README.md", "LICENSE")


def stage(folder: Path) -> None:
    """Create a folder and copy the files of the bundle into it.

    Raises:
        FileExistsError: The folder exists, and may have other files.
    """
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.py[co]"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="a new folder")
    stage(parser.parse_args().folder)
