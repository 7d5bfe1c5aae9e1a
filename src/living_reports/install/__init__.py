"""Adding this server to the configuration of an MCP client, and taking it out again.

Rules: the deciding parts (`clients`, `jsonc`, `toml`, `plan`) know no disk; only `files` touches it,
through the package's one writer. All of this is for the command line, whose user owns the files.

    >>> done = install("cursor", Path("/home/ada/reports"), dry_run=True)
    >>> done.file, done.old, done.changed
    (PosixPath('/home/ada/.cursor/mcp.json'), b'', True)
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from living_reports.install.clients import CLIENTS, SERVER_NAME, Client
from living_reports.install.files import find_file, read_bytes, save
from living_reports.install.plan import plan_install, plan_uninstall

__all__ = ["CLIENTS", "SERVER_NAME", "Edited", "install", "server_command", "uninstall"]


@dataclass(frozen=True)
class Edited:
    """What became of a client's configuration file, or would have in a dry run."""

    client: Client
    file: Path
    old: bytes
    new: bytes
    backup: Path | None = None

    @property
    def changed(self) -> bool:
        return self.old != self.new


def install(name: str, root: Path, *, dry_run: bool = False) -> Edited:
    """Add the server, with these reports, to the configuration of the client of this name.

    Raises:
        InvalidInputError: The file cannot be edited; it is untouched.
        StorageFailedError: The disk refused; `happened` says what became of the file.
    """
    client, file = CLIENTS[name], find_file(CLIENTS[name])
    old = read_bytes(file)
    new = plan_install(client, old or b"", server_command(root), str(file))
    return _save(client, file, old, new, dry_run)


def uninstall(name: str, *, dry_run: bool = False) -> Edited:
    """Take the server out of the configuration of the client of this name.

    Raises:
        InvalidInputError: The file cannot be edited; it is untouched.
        StorageFailedError: The disk refused; `happened` says what became of the file.
    """
    client, file = CLIENTS[name], find_file(CLIENTS[name])
    old = read_bytes(file)
    return _save(client, file, old, plan_uninstall(client, old or b"", str(file)), dry_run)


def _save(client: Client, file: Path, old: bytes | None, new: bytes, dry_run: bool) -> Edited:
    before = old or b""
    backup = None if dry_run or before == new else save(file, old=old, new=new)
    return Edited(client, file, before, new, backup)


def server_command(root: Path) -> list[str]:
    """The command that starts the server as it is installed here, in absolute paths.

    Clients start it from anywhere, with a `PATH` of their own.
    """
    program = Path(sys.executable).with_name("living-reports.exe" if os.name == "nt" else "living-reports")
    start = [str(program)] if program.is_file() else [sys.executable, "-m", "living_reports"]
    return [*start, "serve", "--root", str(root)]
