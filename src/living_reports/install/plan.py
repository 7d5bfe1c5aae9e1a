"""What an install or an uninstall makes of a configuration file, decided before anything is written.

Rules:

- Only the entry of this server changes, and in it only what has to: what the user added stays.
- A file that does not parse, or is not laid out as the client's, is refused: nobody can say what an
  edit would do to it.
- The edited text is read back by a strict parser, and has to say what was there before and the
  entry, or nothing is written.

    >>> new = plan_install(CLIENTS["cursor"], b'{"mcpServers": {}}', ["/usr/bin/living-reports", "serve"])
    >>> new.decode()
    '{"mcpServers": {"living-reports": {"command": "/usr/bin/living-reports", "args": ["serve"]}}}'
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from living_reports.errors import InternalError, InvalidInputError
from living_reports.install import jsonc, toml
from living_reports.install.clients import SERVER_NAME, Client

_BYTE_ORDER_MARK = "\ufeff"
_BY_HAND = "Nothing was changed. Mend the file and run this again, or add the server by hand (docs/clients)."


@dataclass(frozen=True)
class _Format:
    """How a kind of file is read and edited, and what an empty one says."""

    read: Callable[[str], Any]
    put: Callable[[str, Sequence[str], Any], str]
    remove: Callable[[str, Sequence[str]], str]
    empty: str


_FORMATS = {
    "json": _Format(jsonc.read, jsonc.put, jsonc.remove, "{}\n"),
    "jsonc": _Format(
        partial(jsonc.read, comments=True),
        partial(jsonc.put, comments=True),
        partial(jsonc.remove, comments=True),
        "{}\n",
    ),
    "toml": _Format(toml.read, toml.put, toml.remove, ""),
}


def plan_install(client: Client, data: bytes, command: Sequence[str], file: str = "") -> bytes:
    """The file's bytes with this command as the server; `data` is empty where there is no file.

    `file` is its name, for the messages.

    Raises:
        InvalidInputError: The file cannot be edited, or the command is no Unicode text.
    """
    entry = client.entry(command)
    for word in command:
        if not _is_text(word):
            raise InvalidInputError(
                "A path of this installation is not Unicode text, which no client's file can hold.",
                hint="Give a --root, and a place for the program, that can be written as text.",
            )

    def edit(kind: _Format, text: str, content: dict[str, Any]) -> str:
        servers = _table(content, client.servers)
        server = _table(servers, SERVER_NAME)
        if "url" in server:
            raise ValueError(f"its {SERVER_NAME} is a server reached at a URL; uninstall that first")
        server.update(entry)
        return kind.put(text, [client.servers, SERVER_NAME], entry)

    return _edited(_FORMATS[client.format], data, edit, file)


def plan_uninstall(client: Client, data: bytes, file: str = "") -> bytes:
    """The file's bytes without the server. `file` is its name, for the messages.

    Raises:
        InvalidInputError: The file cannot be edited.
    """

    def edit(kind: _Format, text: str, content: dict[str, Any]) -> str:
        if client.servers not in content or SERVER_NAME not in _table(content, client.servers):
            return text
        del content[client.servers][SERVER_NAME]
        new = kind.remove(text, [client.servers, SERVER_NAME])
        if not content[client.servers] and client.servers not in kind.read(new):
            del content[client.servers]  # TOML needs no word for a table with nothing in it
        return new

    return _edited(_FORMATS[client.format], data, edit, file)


def _edited(
    kind: _Format, data: bytes, edit: Callable[[_Format, str, dict[str, Any]], str], file: str
) -> bytes:
    """The bytes after an edit, which makes the same change to the text and to its content."""
    try:
        whole = data.decode("utf-8")
        mark = _BYTE_ORDER_MARK if whole.startswith(_BYTE_ORDER_MARK) else ""
        text = whole.removeprefix(mark)
        text = text if text.strip() else kind.empty
        content = kind.read(text)
        if not isinstance(content, dict):
            raise ValueError("it should be an object")
        new = edit(kind, text, content)
    except ValueError as error:
        message = f"The configuration cannot be edited: {error}."
        raise InvalidInputError(message, hint=_BY_HAND, file=file or None) from error
    if kind.read(new) != content:
        message = "The edited configuration would not say what it should."
        raise InternalError(message, hint=_BY_HAND, file=file or None)
    return data if new == text else (mark + new).encode("utf-8")


def _table(content: dict[str, Any], key: str) -> dict[str, Any]:
    """The table at this key, made where there is none."""
    table = content.setdefault(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{key} should be an object")
    return table


def _is_text(word: str) -> bool:
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
