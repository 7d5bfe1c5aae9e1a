"""The git history of one file.

Rules:

- The repository is only read, and only through the command `git`, without a shell. Nothing runs that
  the configuration of a repository may define: no hooks, filters, text conversions or signatures.
- Renames are followed. Revisions are sorted oldest first, and the commits of a branch stay together:
  a merged commit is a revision of its own; a merge is one only if its text is none of its parents'.
- Without git, a repository or a commit of the file, the history is empty.

    >>> [(each.commit[:7], each.author) for each in read_history(Path("guide.md")).revisions]
    [('0aba5ee', 'Ann'), ('6bccf9d', 'Ben')]
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from living_reports.errors import InvalidInputError

_BEGIN = "\x01"
_LOG = (
    "log --follow --topo-order -c -z --name-only --no-relative --no-show-signature --no-ext-diff "
    f"--no-textconv --no-color --encoding=UTF-8 --format={_BEGIN}%H%x00%an%x00%aI%x00%B"
)
_FIELDS = 4
_CHUNK = 1_000_000
_CONFIG = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.devnull, "-c", "log.follow=false")


@dataclass(frozen=True)
class Revision:
    """One commit of the file: its author, time (ISO 8601, UTC), message, and the path of the file in it."""

    commit: str
    author: str
    at: str
    message: str
    path: str


@dataclass(frozen=True)
class History:
    """The commits of a file, oldest first. `problem` is the reason if they could not be read."""

    revisions: Sequence[Revision] = ()
    problem: str = ""


def read_history(file: Path) -> History:
    """Return the commits that changed a file."""
    git = shutil.which("git")
    if git is None or not _is_in_repository(file):
        return History()
    command = [git, *_CONFIG, *_LOG.split(), "--", file.name]
    done = subprocess.run(
        command,
        cwd=file.parent,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        errors = done.stderr.decode("utf-8", "replace").strip().splitlines()
        no_commit = any("does not have any commits" in line for line in errors)
        return History(problem="" if no_commit else (errors or ["git gave no reason"])[0])
    return History(list(_parsed(done.stdout.decode("utf-8", "replace")))[::-1])


def _is_in_repository(file: Path) -> bool:
    return any((folder / ".git").exists() for folder in file.parents)


def _environment() -> dict[str, str]:
    """Return an environment in which git stays in this repository and never prompts, fetches or writes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "LC_ALL": "C",
    }


def _parsed(log: str) -> Iterator[Revision]:
    """Parse the output of `git log`: four fields for each commit, then the path of the file."""
    fields = log.split("\0")
    at = 0
    while at + _FIELDS <= len(fields):
        commit, author, when, message = fields[at : at + _FIELDS]
        at += _FIELDS
        paths = []
        while at < len(fields) and not fields[at].startswith(_BEGIN):
            paths.append(fields[at].removeprefix("\n"))
            at += 1
        if path := next(filter(None, paths), ""):
            yield Revision(commit.removeprefix(_BEGIN), author, _in_utc(when), message.strip(), path)


def _in_utc(at: str) -> str:
    try:
        return datetime.fromisoformat(at).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):  # git accepts invalid dates
        return at


@contextmanager
def texts_in(file: Path) -> Iterator[Texts]:
    """Open a reader of the file's revisions; one git process serves all of them.

    Raises:
        InvalidInputError: git stopped answering.
    """
    command = [shutil.which("git") or "git", *_CONFIG, "cat-file", "--batch"]
    try:
        with subprocess.Popen(
            command,
            cwd=file.parent,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            yield Texts(process.stdin, process.stdout)
    except BrokenPipeError as error:
        raise _stopped() from error


def _stopped() -> InvalidInputError:
    return InvalidInputError(
        "git stopped while the history was read. Nothing was imported.",
        hint="Run git fsck in the repository, then import again.",
        path="path",
    )


class Texts:
    """The bytes of a file at each revision, read from `git cat-file --batch`."""

    def __init__(self, requests: IO[bytes], responses: IO[bytes]) -> None:
        self._requests = requests
        self._responses = responses

    def at(self, revision: Revision, limit: int) -> bytes | None:
        """Return the first `limit` bytes of the file after a commit; `None` if the commit removed it.

        Raises:
            InvalidInputError: git stopped answering.
        """
        if "\n" in revision.path:
            return None  # the batch protocol cannot name it
        try:
            self._requests.write(f"{revision.commit}:{revision.path}\n".encode())
            self._requests.flush()
            words = self._responses.readline().split()
            if words[-1:] == [b"missing"]:
                return None
            data = self._read(int(words[-1]), limit)
        except (OSError, ValueError, IndexError) as error:
            raise _stopped() from error
        return data if words[1:2] == [b"blob"] else None

    def _read(self, size: int, limit: int) -> bytes:
        data = self._responses.read(min(size, limit))
        rest = size - len(data) + 1  # git ends its answer with a line break
        while rest > 0 and (skipped := self._responses.read(min(rest, _CHUNK))):
            rest -= len(skipped)
        return data
