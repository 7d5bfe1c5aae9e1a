"""Add this server to the configuration file of an MCP client, or remove it.

`plan` computes the new text of a configuration file; this module finds, reads and writes the file:

- Nothing is written unless it changes something. The old file is kept next to the new one as a
  backup, and the new one replaces it atomically, with the same permissions.
- A symbolic link to a file elsewhere (a folder of dotfiles) stays a link; its target is edited.
- A file that has changed since it was read is left alone. The client may write it at any time and
  takes no lock, so a change that it makes between the last check and the replacement is lost.

The files belong to the clients and not to a store, so this module has its own writer for them.

    >>> done = install("cursor", Path("/home/ada/reports"), dry_run=True)
    >>> done.file, done.old, done.changed
    (PosixPath('/home/ada/.cursor/mcp.json'), b'', True)
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from living_reports.errors import InvalidInputError, StorageFailedError
from living_reports.install.clients import CLIENTS, SERVER_NAME, Client
from living_reports.install.plan import plan_install, plan_uninstall
from living_reports.regular_files import read_regular

if sys.platform == "darwin":
    import fcntl

__all__ = ["CLIENTS", "SERVER_NAME", "Edited", "install", "server_command", "uninstall"]

OWNER_ONLY = 0o600
"""The permissions of a new file: clients keep secrets in these files."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_SHARING_RETRIES = 50 if sys.platform == "win32" else 0
_SHARING_PAUSE_S = 0.02


@dataclass(frozen=True)
class Edited:
    """A client's configuration file before and after an edit, which a dry run only computes."""

    client: Client
    file: Path
    old: bytes
    new: bytes
    backup: Path | None = None

    @property
    def changed(self) -> bool:
        """Whether the edit changes the file."""
        return self.old != self.new


def install(name: str, root: Path, *, dry_run: bool = False) -> Edited:
    """Add the server, with the reports at `root`, to the configuration of a client.

    Raises:
        InvalidInputError: The file cannot be edited; it is unchanged.
        StorageFailedError: The disk failed; `happened` says whether the file has changed.
    """
    return _edit(name, partial(plan_install, command=server_command(root)), dry_run)


def uninstall(name: str, *, dry_run: bool = False) -> Edited:
    """Remove the server from the configuration of a client.

    Raises:
        InvalidInputError: The file cannot be edited; it is unchanged.
        StorageFailedError: The disk failed; `happened` says whether the file has changed.
    """
    return _edit(name, plan_uninstall, dry_run)


def server_command(root: Path) -> list[str]:
    """Return the command that starts this installation of the server, with absolute paths.

    Clients start it in any folder, with their own `PATH`.
    """
    program = Path(sys.executable).with_name("living-reports.exe" if os.name == "nt" else "living-reports")
    start = [str(program)] if program.is_file() else [sys.executable, "-m", "living_reports"]
    return [*start, "serve", "--root", str(root)]


def _edit(name: str, plan: Callable[[Client, bytes, str], bytes], dry_run: bool) -> Edited:
    """Replace a client's file by what `plan` makes of it, unless that is the same or this is a dry run."""
    client, file = CLIENTS[name], _find_file(CLIENTS[name])
    old = _read(file)
    data = old or b""
    new = plan(client, data, str(file))
    backup = None if dry_run or new == data else _replace(file, old, new)
    return Edited(client, file, data, new, backup)


def _find_file(client: Client) -> Path:
    """Return the path of the file that the client reads on this machine; the file may not exist."""
    try:
        home = str(Path.home())
    except RuntimeError as error:
        hint = "Set HOME (on Windows USERPROFILE) to the home directory."
        raise InvalidInputError("The home directory is not known.", hint=hint) from error
    places = client.places(sys.platform, os.environ, home)
    found = next(place for place in places if place.sign is None or Path(place.sign).is_dir())
    return Path(found.file).absolute()


def _read(file: Path) -> bytes | None:
    try:
        return read_regular(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(file, "read", error) from error


def _failed(file: Path, verb: str, error: OSError) -> StorageFailedError:
    message = f"{file} cannot be {verb}: {error.strerror or error}."
    return StorageFailedError(message, happened="no", hint="The file is unchanged.")


# --- Writing ------------------------------------------------------------------------------


def _replace(file: Path, old: bytes | None, new: bytes) -> Path | None:
    """Replace the file atomically and return the path of its backup, if there was a file."""
    target = Path(os.path.realpath(file))
    name = f"{target.name}.{datetime.now(UTC):%Y%m%dT%H%M%S_%f}.bak"
    backup = None if old is None else target.with_name(name)
    unfinished = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        _make_folder(target.parent)
        permissions = stat.S_IMODE(target.stat().st_mode) if old is not None else OWNER_ONLY
        if backup and old is not None:
            _write_new(backup, old, permissions)
        if _read(target) != old:
            raise InvalidInputError(f"{file} has been changed by another program.", hint="Run this again.")
        _write_new(unfinished, new, permissions)
        _rename(unfinished, target)
        _sync_folder(target.parent)
    except OSError as error:
        if _read(target) == new:
            message = f"{file} has been written, but may not survive a power cut: {error.strerror}."
            raise StorageFailedError(message, happened="yes") from error
        raise _failed(file, "written", error) from error
    return backup


def _write_new(path: Path, data: bytes, permissions: int) -> None:
    """Create a synced file that has these permissions before it has content; remove it on failure."""
    fd = os.open(path, _NEW_FILE, OWNER_ONLY)
    try:
        if sys.platform != "win32":
            os.fchmod(fd, permissions)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        _sync(fd)
    except BaseException:
        os.close(fd)
        path.unlink()
        raise
    os.close(fd)


def _rename(source: Path, target: Path) -> None:
    """Rename a file; on Windows, wait up to a second for a program that holds the target open."""
    try:
        for _ in range(_SHARING_RETRIES):
            try:
                return os.replace(source, target)
            except PermissionError:
                time.sleep(_SHARING_PAUSE_S)
        os.replace(source, target)
    except BaseException:
        source.unlink()
        raise


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        _make_folder(path.parent)
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    if sys.platform != "win32":  # Windows cannot sync a folder, and NTFS journals the names in it.
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _sync(fd)
        finally:
            os.close(fd)


def _sync(fd: int) -> None:
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync does not reach the disk there
    else:
        os.fsync(fd)
