"""Time of a new user from the clone to the first tool call, with each client.

Each method is set up from a clone of this repository (as committed), with an empty home directory and
empty caches; then the server is started as the written configuration says, and creates a report. A
method that cannot run here reports what it needs. Needs git and a package index.

    $ python -m benchmarks.newcomer
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.wire import Wire

REPOSITORY = Path(__file__).parent.parent
CLIENTS = ("claude-desktop", "claude-code", "cursor", "vscode", "codex")
SCRIPTS = "Scripts" if os.name == "nt" else "bin"


@dataclass(frozen=True)
class Way:
    """A method from the clone to the first call: seconds for each step, or a missing requirement."""

    name: str
    clone: float = 0.0
    set_up: float = 0.0
    configure: float = 0.0
    first_call: float = 0.0
    needs: str = ""

    @property
    def total(self) -> float:
        return self.clone + self.set_up + self.configure + self.first_call


class Newcomer:
    """A user with an empty home directory, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clone = folder / "living-reports"
        self.reports = folder / "reports"
        unset = (
            "LIVING_",
            "VIRTUAL_ENV",
            "XDG_",
            "CLAUDE_CONFIG_DIR",
            "CODEX_HOME",
            "APPDATA",
            "LOCALAPPDATA",
        )
        self.environ = {name: text for name, text in os.environ.items() if not name.startswith(unset)}
        self.environ |= {"PIP_NO_CACHE_DIR": "1", "UV_CACHE_DIR": str(folder / "uv-cache")}
        self.environ |= {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / SCRIPTS)}
        self.move(folder / "home")

    def move(self, home: Path) -> None:
        """Switch to another empty home directory."""
        home.mkdir(parents=True)
        self.home = home
        self.environ |= {"HOME": str(home), "USERPROFILE": str(home)}

    def run(self, *command: str | Path) -> float:
        """Run a command, in the clone if it exists, and return the seconds that it took."""
        where = self.clone if self.clone.exists() else self.folder
        start = time.perf_counter()
        subprocess.run(
            [str(word) for word in command],
            cwd=where,
            env=self.environ,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - start

    def get_clone(self) -> float:
        return self.run("git", "-c", "advice.detachedHead=false", "clone", "-q", REPOSITORY, self.clone)

    def call(self, command: Sequence[str]) -> float:
        """Start a server and create a report, as a client does; return the seconds."""
        start = time.perf_counter()
        with Wire(command, environ=self.environ) as wire:
            wire.answer("create_report", {"title": "First report"})
            return time.perf_counter() - start

    def configured(self) -> list[str]:
        """Return the server's command from the only configuration file in the home directory."""
        [file] = [path for path in self.home.rglob("*") if path.suffix in (".json", ".toml")]
        text = file.read_text(encoding="utf-8")
        content = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
        [servers] = content.values()
        return [servers["living-reports"]["command"], *servers["living-reports"]["args"]]


def with_install(newcomer: Newcomer) -> Iterator[Way]:
    """Yield the methods with `install`: one environment, and a home directory for each client."""
    clone = newcomer.get_clone()
    program = newcomer.clone / ".venv" / SCRIPTS
    set_up = newcomer.run(sys.executable, "-m", "venv", ".venv")
    set_up += newcomer.run(program / "pip", "install", "-q", ".")
    for client in CLIENTS:
        newcomer.move(newcomer.folder / client)
        configure = newcomer.run(program / "living-reports", "install", client, "--root", newcomer.reports)
        call = newcomer.call(newcomer.configured())
        yield Way(f"`install {client}`", clone, set_up, configure, call)


def with_a_click(newcomer: Newcomer) -> Way:
    clone = newcomer.get_clone()
    set_up = newcomer.run("uv", "tool", "install", "-q", ".")
    call = newcomer.call([str(newcomer.folder / SCRIPTS / "living-reports"), "serve"])
    return Way("`uv tool install .`, then the link for Cursor or VS Code", clone, set_up, first_call=call)


def with_the_bundle(newcomer: Newcomer) -> Way:
    """Start the bundle as a client does after its user has chosen a folder."""
    clone = newcomer.get_clone()
    staged = newcomer.folder / "staged"
    set_up = newcomer.run(sys.executable, "bundle/stage.py", staged)
    server = json.loads((staged / "manifest.json").read_bytes())["server"]["mcp_config"]
    known = {"${__dirname}": str(staged), "${user_config.root}": str(newcomer.reports)}
    call = newcomer.call([server["command"], *(known.get(word, word) for word in server["args"])])
    return Way(
        "the bundle, unpacked (uv fetches the rest at the first start)", clone, set_up, first_call=call
    )


def with_docker(newcomer: Newcomer) -> Way:
    clone = newcomer.get_clone()
    set_up = newcomer.run("docker", "build", "-q", "-t", "living-reports-newcomer", ".")
    call = newcomer.call(["docker", "run", "--rm", "-i", "living-reports-newcomer"])
    return Way("the container", clone, set_up, first_call=call)


def ways(folder: Path) -> Iterator[Way]:
    """Run each method and yield its result."""
    yield from with_install(Newcomer(folder / "install"))
    for name, check, go in (
        ("the link for Cursor or VS Code", ["uv", "--version"], with_a_click),
        ("the bundle", ["uv", "--version"], with_the_bundle),
        ("the container", ["docker", "info"], with_docker),
    ):
        if is_usable(check):
            yield go(Newcomer(folder / go.__name__))
        else:
            yield Way(name, needs=f"`{' '.join(check)}` fails here")


def is_usable(check: Sequence[str]) -> bool:
    """Return whether a program is installed and its check succeeds."""
    return bool(shutil.which(check[0])) and subprocess.run(check, capture_output=True).returncode == 0


def line(way: Way) -> str:
    """Return a line of the table in docs/clients/README.md."""
    steps = (way.clone, way.set_up, way.configure, way.first_call, way.total)
    cells = [way.needs, *[""] * 4] if way.needs else [f"{step:.1f} s" if step else "" for step in steps]
    return f"| {way.name} | " + " | ".join(cells) + " |"


def main() -> int:
    print("| from a clone | clone | set up | configure | first call | together |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for way in ways(Path(folder)):
            print(line(way), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
