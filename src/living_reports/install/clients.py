"""The MCP clients: the location of each configuration file, and the form of a server's entry in it.

Nothing here accesses the disk. A location is a function of the platform, the environment and the
home directory, so all three platforms can be tested on any. Where a client may keep its file in one
of several places, it reads the first whose folder exists.

    >>> CLIENTS["cursor"].places("linux", {}, "/home/ada")
    [Place(file=PurePosixPath('/home/ada/.cursor/mcp.json'), sign=None)]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Literal

Environment = Mapping[str, str]

SERVER_NAME = "living-reports"
MSIX_PACKAGE = "Claude_pzs8sxrjxfjjc"
"""The package of Claude Desktop on Windows, into which its files under %APPDATA% are redirected."""


@dataclass(frozen=True)
class Place:
    """A possible configuration file, which counts if the folder `sign` exists, or always if it is None."""

    file: PurePath
    sign: PurePath | None = None


@dataclass(frozen=True)
class Client:
    """An MCP client and the file from which it reads its servers.

    Attributes:
        title: The name of the client for a person.
        format: The format of the file.
        servers: The key of the table of servers.
        where: The possible files, as a function of the platform, the environment and the home directory.
        after: The action with which a person makes the client read the file again.
        typed: Whether an entry names its transport.
    """

    title: str
    format: Literal["json", "jsonc", "toml"]
    servers: str
    where: Callable[[str, Environment, PurePath], list[Place]]
    after: str
    typed: bool = False

    def places(self, platform: str, environ: Environment, home: str) -> list[Place]:
        """Return the possible files, the preferred one first; `platform` is a `sys.platform`."""
        path_type = PureWindowsPath if platform == "win32" else PurePosixPath
        return self.where(platform, environ, path_type(home))

    def entry(self, command: Sequence[str]) -> dict[str, Any]:
        """Return the entry of a server that is started by this command."""
        transport = {"type": "stdio"} if self.typed else {}
        return {**transport, "command": command[0], "args": list(command[1:])}


def _application_data(platform: str, environ: Environment, home: PurePath) -> PurePath:
    """Return the folder in which programs built on Electron keep the user's data."""
    if platform == "win32":
        return _path_in(environ, "APPDATA", home / "AppData" / "Roaming")
    if platform == "darwin":
        return home / "Library" / "Application Support"
    return _path_in(environ, "XDG_CONFIG_HOME", home / ".config")


def _path_in(environ: Environment, variable: str, default: PurePath) -> PurePath:
    """Return the path in a variable, or the default if the variable is unset or empty."""
    path = environ.get(variable, "")
    return type(default)(path) if path else default


def _claude_desktop(platform: str, environ: Environment, home: PurePath) -> list[Place]:
    file = PurePath("Claude", "claude_desktop_config.json").parts
    usual = Place(_application_data(platform, environ, home).joinpath(*file))
    if platform != "win32":
        return [usual]
    local = _path_in(environ, "LOCALAPPDATA", home / "AppData" / "Local")
    package = local / "Packages" / MSIX_PACKAGE
    return [Place(package.joinpath("LocalCache", "Roaming", *file), sign=package), usual]


def _claude_code(platform: str, environ: Environment, home: PurePath) -> list[Place]:
    return [Place(_path_in(environ, "CLAUDE_CONFIG_DIR", home) / ".claude.json")]


def _cursor(platform: str, environ: Environment, home: PurePath) -> list[Place]:
    return [Place(home / ".cursor" / "mcp.json")]


def _vscode(platform: str, environ: Environment, home: PurePath) -> list[Place]:
    return [Place(_application_data(platform, environ, home).joinpath("Code", "User", "mcp.json"))]


def _codex(platform: str, environ: Environment, home: PurePath) -> list[Place]:
    return [Place(_path_in(environ, "CODEX_HOME", home / ".codex") / "config.toml")]


_RUN_VSCODE = "Run “MCP: List Servers” in the Command Palette to start it."

CLIENTS: dict[str, Client] = {
    "claude-desktop": Client(
        "Claude Desktop", "json", "mcpServers", _claude_desktop, "Quit Claude Desktop and open it again."
    ),
    "claude-code": Client(
        "Claude Code", "json", "mcpServers", _claude_code, "Start a new session of Claude Code.", typed=True
    ),
    "cursor": Client("Cursor", "jsonc", "mcpServers", _cursor, "Restart Cursor."),
    "vscode": Client("VS Code", "jsonc", "servers", _vscode, _RUN_VSCODE, typed=True),
    "codex": Client("Codex", "toml", "mcp_servers", _codex, "Start a new session of Codex."),
}
