"""The settings of a process: the folder of the reports, the lock time-out, citable folders, user, token.

An argument takes precedence over the environment, and the environment over the platform's folder for
user data. Nothing is created here. An invalid value is refused, never guessed at.

    >>> load_settings("/srv/reports", {}).root
    PosixPath('/srv/reports')
    >>> load_settings(environ={"LIVING_REPORTS_LOCK_TIMEOUT": "soon"})
    Traceback (most recent call last):
    living_reports.errors.InvalidInputError: LIVING_REPORTS_LOCK_TIMEOUT is not a number of seconds.
"""

from __future__ import annotations

import getpass
import math
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from living_reports.errors import InvalidInputError
from living_reports.regular_files import open_regular

ROOT_VARIABLE = "LIVING_REPORTS_ROOT"
LOCK_TIMEOUT_VARIABLE = "LIVING_REPORTS_LOCK_TIMEOUT"
DEFAULT_LOCK_TIMEOUT_SECONDS = 30.0
MAX_LOCK_TIMEOUT_SECONDS = 86_400.0
SOURCES_VARIABLE = "LIVING_REPORTS_SOURCES"
USER_VARIABLE = "LIVING_REPORTS_USER"
TOKEN_VARIABLE = "LIVING_REPORTS_TOKEN"
ORIGINS_VARIABLE = "LIVING_REPORTS_ALLOWED_ORIGINS"
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,1000}")
"""The characters and the length of a bearer token that cannot be guessed."""

MAX_TOKEN_FILE_CHARS = 2_000


@dataclass(frozen=True)
class Settings:
    """The settings of a process.

    Attributes:
        root: The folder of the reports.
        lock_timeout_s: How long a call waits for the lock of a report.
        sources: The folders whose files reports may cite by their hash and show as images.
        user: The person to record with each change; empty if none is stated.
    """

    root: Path
    lock_timeout_s: float = DEFAULT_LOCK_TIMEOUT_SECONDS
    sources: tuple[Path, ...] = ()
    user: str = ""


def load_settings(root: str | Path = "", environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of this process; an empty `root` or variable counts as unset.

    Raises:
        InvalidInputError: A value is invalid. `path` is `--root` or the variable's name.
    """
    return Settings(
        root=_root(str(root), environ),
        lock_timeout_s=_lock_timeout(environ),
        sources=_sources(environ),
        user=load_user(environ),
    )


def _root(argument: str, environ: Mapping[str, str]) -> Path:
    path, text = ("--root", argument) if argument else (ROOT_VARIABLE, environ.get(ROOT_VARIABLE, ""))
    if not text:
        import platformdirs  # only here: most clients name a root

        return platformdirs.user_data_path("living-reports", appauthor=False)
    hint = "Give the path of a directory; it is created with the first report."
    if "\0" in text or "${" in text:
        # A client that does not replace "${…}" passes it on; no user wants a directory of that name.
        raise InvalidInputError(f"{path} is not a usable path.", hint=hint, path=path)
    try:
        root = Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise InvalidInputError(f"{path} names an unknown home directory.", hint=hint, path=path) from error
    if root.exists() and not root.is_dir():
        raise InvalidInputError(f"{path} is a file, not a directory.", hint=hint, path=path)
    return root


def _lock_timeout(environ: Mapping[str, str]) -> float:
    text = environ.get(LOCK_TIMEOUT_VARIABLE, "").strip()
    if not text:
        return DEFAULT_LOCK_TIMEOUT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MAX_LOCK_TIMEOUT_SECONDS:
        raise InvalidInputError(
            f"{LOCK_TIMEOUT_VARIABLE} is not a number of seconds.",
            hint=f"Give a number above 0 and at most {MAX_LOCK_TIMEOUT_SECONDS:.0f}, such as 30.",
            path=LOCK_TIMEOUT_VARIABLE,
        )
    return seconds


def _sources(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the folders in the variable, each once."""
    names = environ.get(SOURCES_VARIABLE, "").split(os.pathsep)
    return tuple(dict.fromkeys(_source(name.strip()) for name in names if name.strip()))


def _source(name: str) -> Path:
    """Return a folder of citable files; a missing one is refused, because it is probably a typing error."""
    folder = Path(os.path.expanduser(name))  # an unknown home directory stays relative
    if "\0" in name or not folder.is_absolute() or not folder.is_dir():
        raise InvalidInputError(
            f"{SOURCES_VARIABLE} must name existing folders by absolute paths.",
            hint=f"Give the folders with {os.pathsep!r} between them.",
            path=SOURCES_VARIABLE,
        )
    return folder


def load_user(environ: Mapping[str, str] = os.environ) -> str:
    """Return the person to record with each change, as stated; empty if none is.

    Raises:
        InvalidInputError: It is a placeholder that a client did not replace: everybody would have this name.
    """
    user = environ.get(USER_VARIABLE, "")
    if "${" in user:
        raise InvalidInputError(
            f"{USER_VARIABLE} is a placeholder, not a name.",
            hint="Give the name itself, or leave the variable out: the login of the system is used then.",
            path=USER_VARIABLE,
        )
    return user


def login() -> str:
    """Return the login name of the user of this process; empty if it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return ""


def load_origins(given: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> Sequence[str]:
    """Return the origins whose web pages may connect over HTTP, as stated."""
    return given or environ.get(ORIGINS_VARIABLE, "").split()


def load_token(file: str = "", environ: Mapping[str, str] = os.environ) -> str:
    """Return the token that clients must send over HTTP; empty if there is none.

    Raises:
        InvalidInputError: The token is invalid, or its file cannot be read or is open to every user.
    """
    path, text = (
        ("--token-file", _secret(file)) if file else (TOKEN_VARIABLE, environ.get(TOKEN_VARIABLE, ""))
    )
    token = text.strip()
    if not file and not token:
        return ""
    if not TOKEN.fullmatch(token):
        raise InvalidInputError(
            f"{path} has no valid token.",
            hint="Give one line of at least 16 letters and digits. This command makes one: "
            'python3 -c "import secrets; print(secrets.token_urlsafe())"',
            path=path,
        )
    return token


def _secret(name: str) -> str:
    """Return the text of a file that other users of this machine cannot read.

    A token that every user can read protects nothing, so such a file is refused, as ssh refuses such a
    key. A group may read the file, because services get their secrets that way.
    """
    try:
        descriptor, status = open_regular(os.path.expanduser(name))
        with open(descriptor, encoding="utf-8-sig") as file:
            text = file.read(MAX_TOKEN_FILE_CHARS)
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InvalidInputError(
            f"--token-file cannot be read: {problem}.",
            hint="Give the path of a file that contains only the token.",
            path="--token-file",
        ) from error
    if os.name == "posix" and status.st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise InvalidInputError(
            "--token-file is open to every user of this machine.",
            hint=f"Run `chmod 600 {name}`, and make a new token, because the old one may be known.",
            path="--token-file",
        )
    return text
