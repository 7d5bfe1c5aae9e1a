"""The clients: where each keeps its configuration, and how a server is named in it.

Rules: nothing here touches the disk. A place is a function of the platform, the environment and
the home directory, so that all three platforms can be tested on any. Where a client may keep its
file in one of several places, the first whose folder is there is the one it reads.

    >>> CLIENTS["cursor"].places("linux", {}, "/home/ada")
    [Place(file=PurePosixPath('/home/ada/.cursor/mcp.json'), sign=None)]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Literal

Environment = Mapping[str, str]
Format = Literal["json", "jsonc", "toml"]

SERVER_NAME = "living-reports"
MSIX_PACKAGE = "Claude_pzs8sxrjxfjjc"
"""The package of Claude Desktop on Windows; what it keeps under %APPDATA% is redirected into it."""


@dataclass(frozen=True)
class Place:
    """A configuration file; it counts where the folder `sign` is there, or always if that is None."""

    file: PurePath
    sign: PurePath | None = None


@dataclass(frozen=True)
class Client:
    """An MCP client: what a person calls it, and the file that it reads its servers from.

    `servers` is the key of the table of servers; `typed` says that an entry names its transport.
    `after` is what the person does to make the client look again.
    """

    title: str
    format: Format
    servers: str
    where: Callable[[str, Environment, PurePath], list[Place]]
    after: str
    typed: bool = False

    def places(self, platform: str, environ: Environment, home: str) -> list[Place]:
        """Where the file may be, the likeliest first; `platform` is that of `sys.platform`."""
        return self.where(platform, environ, path_type(platform)(home))

    def entry(self, command: Sequence[str]) -> dict[str, Any]:
        """What the client's file says of a server that is this command."""
        transport = {"type": "stdio"} if self.typed else {}
        return {**transport, "command": command[0], "args": list(command[1:])}


def path_type(platform: str) -> type[PurePath]:
    """The kind of paths that this platform has."""
    return PureWindowsPath if platform == "win32" else PurePosixPath


def _application_data(platform: str, environ: Environment, home: PurePath) -> PurePath:
    """Where desktop programs built on Electron keep what they know of the user."""
    if platform == "win32":
        return _named(environ, "APPDATA", home / "AppData" / "Roaming")
    if platform == "darwin":
        return home / "Library" / "Application Support"
    return _named(environ, "XDG_CONFIG_HOME", home / ".config")


def _named(environ: Environment, variable: str, otherwise: PurePath) -> PurePath:
    """The path in this variable, of the same kind as the other; an empty one is not stated."""
    path = environ.get(variable, "")
    return type(otherwise)(path) if path else otherwise


def _claude_desktop(platform: str, environ: Environment, home: PurePath) -> list[Place]:
    file = PurePath("Claude", "claude_desktop_config.json").parts
    usual = Place(_application_data(platform, environ, home).joinpath(*file))
    if platform != "win32":
        return [usual]
    local = _named(environ, "LOCALAPPDATA", home / "AppData" / "Local")
    package = local / "Packages" / MSIX_PACKAGE
    return [Place(package.joinpath("LocalCache", "Roaming", *file), sign=package), usual]


def _claude_code(platform: str, environ: Environment, home: PurePath) -> list[Place]:
    return [Place(_named(environ, "CLAUDE_CONFIG_DIR", home) / ".claude.json")]


def _cursor(platform: str, environ: Environment, home: PurePath) -> list[Place]:
    return [Place(home / ".cursor" / "mcp.json")]


def _vscode(platform: str, environ: Environment, home: PurePath) -> list[Place]:
    return [Place(_application_data(platform, environ, home).joinpath("Code", "User", "mcp.json"))]


def _codex(platform: str, environ: Environment, home: PurePath) -> list[Place]:
    return [Place(_named(environ, "CODEX_HOME", home / ".codex") / "config.toml")]


CLIENTS: dict[str, Client] = {
    "claude-desktop": Client(
        "Claude Desktop", "json", "mcpServers", _claude_desktop, "Quit Claude Desktop and open it again."
    ),
    "claude-code": Client(
        "Claude Code", "json", "mcpServers", _claude_code, "Start a new session of Claude Code.", typed=True
    ),
    "cursor": Client("Cursor", "jsonc", "mcpServers", _cursor, "Restart Cursor."),
    "vscode": Client(
        "VS Code",
        "jsonc",
        "servers",
        _vscode,
        "Run “MCP: List Servers” in the Command Palette to start it.",
        typed=True,
    ),
    "codex": Client("Codex", "toml", "mcp_servers", _codex, "Start a new session of Codex."),
}
