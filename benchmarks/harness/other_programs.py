"""Other programs as baselines, each installed once into its own folder.

Versions are pinned; installed programs stay in the user's cache for the next run. `NotInstalledError` says
why an installation fails, and its rows are reported as not measured.

    >>> igloo_python()
    PosixPath('/home/ada/.cache/living-reports-benchmarks/igloo-mcp-0.5.1/bin/python')
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

IGLOO = "igloo-mcp==0.5.1"
BASIC_MEMORY = "basic-memory==0.24.1"
SERVER_MEMORY = "@modelcontextprotocol/server-memory@2026.8.31"
COMPLETE = ".complete"
PYTHONS = ("3.12", "3.13")


class NotInstalledError(Exception):
    """A program cannot be installed here; the message says why."""


def igloo_python() -> Path:
    """Return the interpreter that can import igloo-mcp.

    Raises:
        NotInstalledError: It cannot be installed.
    """
    return _installed(IGLOO, _make_environment) / "bin" / "python"


def basic_memory_command() -> Path:
    """Return the path of the command `basic-memory`.

    Raises:
        NotInstalledError: It cannot be installed.
    """
    return _installed(BASIC_MEMORY, _make_environment) / "bin" / "basic-memory"


def server_memory_command() -> Path:
    """Return the path of the command `mcp-server-memory`.

    Raises:
        NotInstalledError: It cannot be installed.
    """
    return _installed(SERVER_MEMORY, _make_node_folder) / "node_modules" / ".bin" / "mcp-server-memory"


def _installed(package: str, install: Callable[[Path, str], None]) -> Path:
    """Return the folder with this package; an incomplete one is installed again."""
    name = package.rpartition("/")[2].replace("==", "-").replace("@", "-")
    folder = platformdirs.user_cache_path("living-reports-benchmarks") / name
    if not (folder / COMPLETE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        install(folder, package)
        (folder / COMPLETE).touch()
    return folder


def _make_environment(folder: Path, package: str) -> None:
    _run(str(_python_312()), "-m", "venv", str(folder))
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", "-q", package)


def _make_node_folder(folder: Path, package: str) -> None:
    if shutil.which("npm") is None:
        raise NotInstalledError("There is no npm on PATH.")
    _run("npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder), package)


def _python_312() -> str:
    """Return an interpreter of version 3.12 or 3.13: this one, one on PATH, or one of pyenv."""
    for candidate in _pythons():
        version = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
        found = subprocess.run([candidate, "-c", version], capture_output=True, text=True, check=False)
        if found.stdout.strip() in PYTHONS:
            return candidate
    raise NotInstalledError("It needs Python 3.12 or 3.13, which are not on PATH.")


def _pythons() -> Iterator[str]:
    yield sys.executable
    for version in PYTHONS:
        if path := shutil.which(f"python{version}"):
            yield path
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
        yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or error.stdout.strip() or "no message").splitlines()[-1]
        raise NotInstalledError(f"`{' '.join(command)}` failed: {last}") from error
