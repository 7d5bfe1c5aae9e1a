"""The configuration file on the disk: where it is, what it says, and how it gets new bytes.

Rules:

- Nothing is written unless it changes something. What was there before is kept beside it as a
  backup; the new bytes come atomically, with the permissions that the file had.
- A link to a file somewhere else (a folder of dotfiles) stays a link: what it leads to is edited.
- A file that somebody else changed since it was read is left alone. The client itself may be
  writing it, and takes no lock that we could take; so a moment remains, between the last look and
  the replacement, in which its change would be lost from the file (never from the backup's side).

    >>> file = find_file(CLIENTS["cursor"])
    >>> save(file, old=read_bytes(file), new=b"{}")
"""

from __future__ import annotations

import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

from living_reports.errors import InvalidInputError, StorageFailedError
from living_reports.install.clients import Client
from living_reports.store.files import durable

OWNER_ONLY = 0o600
"""The permissions of a new file: clients keep secrets in these."""


def find_file(client: Client) -> Path:
    """The file that the client of this user on this machine reads, whether it is there or not.

    Raises:
        InvalidInputError: There is no home directory to look in.
    """
    try:
        home = str(Path.home())
    except RuntimeError as error:
        hint = "Set HOME (on Windows USERPROFILE) to the home directory."
        raise InvalidInputError("The home directory is not known.", hint=hint) from error
    places = client.places(sys.platform, os.environ, home)
    found = next(place for place in places if place.sign is None or Path(place.sign).is_dir())
    return Path(found.file).absolute()


def read_bytes(file: Path) -> bytes | None:
    """What the file says; `None` where there is none.

    Raises:
        StorageFailedError: It is there but cannot be read.
    """
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(file, "read", error) from error


def save(file: Path, *, old: bytes | None, new: bytes) -> Path | None:
    """Give the file its new bytes, and say where the old ones are kept (`None` if there were none).

    Raises:
        InvalidInputError: The file has changed since `old` was read.
        StorageFailedError: The disk refused; `happened` says whether the file is new all the same.
    """
    target = Path(os.path.realpath(file))
    try:
        durable.make_root(target.parent)
        permissions = stat.S_IMODE(target.stat().st_mode) if old is not None else OWNER_ONLY
        backup = None if old is None else _back_up(target, old, permissions)
        if read_bytes(target) != old:
            raise InvalidInputError(f"{file} has just been changed by somebody else.", hint="Run this again.")
        durable.overwrite(target, new, permissions)
    except OSError as error:
        if read_bytes(target) == new:
            message = f"{file} has been written, but may not survive a power cut: {error.strerror}."
            raise StorageFailedError(message, happened="yes") from error
        raise _failed(file, "written", error) from error
    return backup


def _back_up(target: Path, data: bytes, permissions: int) -> Path:
    backup = target.with_name(f"{target.name}.{datetime.now(UTC):%Y%m%dT%H%M%S_%f}.bak")
    durable.write_new(backup, data, permissions)
    return backup


def _failed(file: Path, verb: str, error: OSError) -> StorageFailedError:
    message = f"{file} cannot be {verb}: {error.strerror or error}."
    return StorageFailedError(message, happened="no", hint="The file is as it was.")
