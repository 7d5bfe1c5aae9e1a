"""What a person sets: where the reports live and how long a call waits for one.

Rules: an argument wins over the environment, the environment over the platform's place
for user data. Nothing is created here. Nonsense is refused, never guessed at.

    >>> load_settings("/srv/reports", {}).root
    PosixPath('/srv/reports')
    >>> load_settings(environ={"LIVING_REPORTS_LOCK_TIMEOUT": "soon"})
    Traceback (most recent call last):
    living_reports.errors.InvalidInputError: LIVING_REPORTS_LOCK_TIMEOUT is not a number of seconds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from living_reports.errors import InvalidInputError

ROOT_VARIABLE = "LIVING_REPORTS_ROOT"
LOCK_TIMEOUT_VARIABLE = "LIVING_REPORTS_LOCK_TIMEOUT"
DEFAULT_LOCK_TIMEOUT_SECONDS = 30.0
MAX_LOCK_TIMEOUT_SECONDS = 86_400.0


@dataclass(frozen=True)
class Settings:
    """The directory that holds the reports, and how long a call waits for a report's lock."""

    root: Path
    lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS


def load_settings(root: str | Path = "", environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings for this process; an empty `root` or variable is not stated.

    Raises:
        InvalidInputError: A value makes no sense. `path` is `--root` or the variable's name.
    """
    return Settings(root=_root(str(root), environ), lock_timeout_seconds=_lock_timeout(environ))


def _root(argument: str, environ: Mapping[str, str]) -> Path:
    path, text = ("--root", argument) if argument else (ROOT_VARIABLE, environ.get(ROOT_VARIABLE, ""))
    if not text:
        import platformdirs  # only here: most clients name a root

        return platformdirs.user_data_path("living-reports", appauthor=False)
    hint = "Give the path of a directory; it is made when the first report is."
    if "\0" in text or "${" in text:
        # A client that does not fill in "${…}" passes it on; a directory of that name helps nobody.
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
