"""Compute the new text of a client's configuration file, without access to the disk.

- Only the entry of this server changes, and only the parts of it that have to; what the user added
  to the entry stays.
- A file that does not parse, or does not have the layout of the client's files, is refused: the
  effect of an edit would be unknown.
- The edited text is parsed again by a strict parser and must contain the old content and the entry;
  otherwise nothing is written.

    >>> new = plan_install(CLIENTS["cursor"], b'{"mcpServers": {}}', "mcp.json", ["/bin/lr", "serve"])
    >>> new.decode()
    '{"mcpServers": {"living-reports": {"command": "/bin/lr", "args": ["serve"]}}}'
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
_BY_HAND = "Nothing was changed. Fix the file and run this again, or add the server by hand (docs/clients)."


@dataclass(frozen=True)
class _Format:
    """The functions that read and edit one file format, and the text of an empty file."""

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


def plan_install(client: Client, data: bytes, file: str, command: Sequence[str]) -> bytes:
    """Return the bytes of the file with this command as the server.

    Args:
        client: The client that reads the file.
        data: The bytes of the file; empty if it does not exist.
        file: The path of the file, for error messages.
        command: The program that starts the server, and its arguments.

    Raises:
        InvalidInputError: The file cannot be edited, or the command is not Unicode text.
    """
    if not all(map(_is_unicode, command)):
        raise InvalidInputError(
            "A path of this installation is not Unicode text, as a configuration file requires.",
            hint="Use a --root and an installation folder whose paths are Unicode text.",
        )
    entry = client.entry(command)

    def edit(kind: _Format, text: str, content: dict[str, Any]) -> str:
        server = _table(_table(content, client.servers), SERVER_NAME)
        if "url" in server:
            raise ValueError(f"its {SERVER_NAME} is a server at a URL; uninstall that first")
        server.update(entry)
        return kind.put(text, [client.servers, SERVER_NAME], entry)

    return _edit(_FORMATS[client.format], data, edit, file)


def plan_uninstall(client: Client, data: bytes, file: str) -> bytes:
    """Return the bytes of the file without the server; `file` is its path, for error messages.

    Raises:
        InvalidInputError: The file cannot be edited.
    """

    def edit(kind: _Format, text: str, content: dict[str, Any]) -> str:
        if client.servers not in content or SERVER_NAME not in _table(content, client.servers):
            return text
        del content[client.servers][SERVER_NAME]
        new = kind.remove(text, [client.servers, SERVER_NAME])
        if not content[client.servers] and client.servers not in kind.read(new):
            del content[client.servers]  # an empty TOML table may not appear in the text
        return new

    return _edit(_FORMATS[client.format], data, edit, file)


def _edit(
    kind: _Format, data: bytes, edit: Callable[[_Format, str, dict[str, Any]], str], file: str
) -> bytes:
    """Return the bytes after an edit, which changes the text and its parsed content alike."""
    try:
        decoded = data.decode("utf-8")
        text = decoded.removeprefix(_BYTE_ORDER_MARK)
        mark = decoded[: len(decoded) - len(text)]
        text = text if text.strip() else kind.empty
        content = kind.read(text)
        if not isinstance(content, dict):
            raise ValueError("it should be an object")
        new = edit(kind, text, content)
    except ValueError as error:
        message = f"The configuration cannot be edited: {error}."
        raise InvalidInputError(message, hint=_BY_HAND, file=file) from error
    if kind.read(new) != content:
        message = "The edited configuration would not have the expected content."
        raise InternalError(message, hint=_BY_HAND, file=file)
    return data if new == text else (mark + new).encode("utf-8")


def _table(content: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the table at this key, which is added if it is missing."""
    table = content.setdefault(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{key} should be an object")
    return table


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
