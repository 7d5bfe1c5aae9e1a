"""Put together the folder that an MCPB bundle is packed from.

The bundle holds the program's source and no dependencies: the client that opens it installs them,
with uv, as `pyproject.toml` says.

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
    """Fill a new folder with what belongs into the bundle.

    Raises:
        FileExistsError: The folder is there already, with what may not belong into it.
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
