r"""Edit the text of a TOML file and keep its comments, order and formatting.

tomlkit makes the edits; the strict parser of the standard library checks the file before.

    >>> print(put("# mine\nmodel = 'o3'\n", ["mcp_servers", "x", "command"], "y"), end="")
    # mine
    model = 'o3'
    <BLANKLINE>
    [mcp_servers.x]
    command = "y"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

_LONE_LINE_FEED = re.compile(r"(?<!\r)\n")


def read(text: str) -> Any:
    """Return the parsed text; floats stay text, so that nan equals itself.

    Raises:
        ValueError: It is not TOML; the message says where.
    """
    try:
        return tomllib.loads(text, parse_float=str)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def put(text: str, path: Sequence[str], value: Any) -> str:
    """Return the text with this value at this path; an existing table keeps its other keys.

    Raises:
        ValueError: It is not TOML, or the path leads through something other than tables.
    """
    for key in reversed(path[1:]):
        value = {key: value}
    return _edit(text, lambda document: _merge(document, {path[0]: value}))


def remove(text: str, path: Sequence[str]) -> str:
    """Return the text without the key at this path.

    Raises:
        ValueError: It is not TOML, or the path leads through something other than tables.
    """
    return _edit(text, lambda document: _remove(document, path))


def _edit(text: str, edit: Callable[[MutableMapping[str, Any]], None]) -> str:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    read(text)
    try:
        document = tomlkit.parse(text)
        edit(document)
        new = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ValueError(f"it is written in a way that cannot be edited: {error}") from error
    if "\r\n" in text and not _LONE_LINE_FEED.search(text):  # give new lines the same line end
        new = _LONE_LINE_FEED.sub("\r\n", new)
    return new


def _remove(table: MutableMapping[str, Any], path: Sequence[str]) -> None:
    for key in path[:-1]:
        table = table.get(key, {})
        if not isinstance(table, MutableMapping):
            raise ValueError(f"{key} should be a table")
    table.pop(path[-1], None)


def _merge(table: MutableMapping[str, Any], new: dict[str, Any]) -> None:
    import tomlkit

    for key, value in new.items():
        old = table.get(key)
        if not isinstance(value, dict):
            if old != value:
                table[key] = value
        elif isinstance(old, MutableMapping):
            _merge(old, value)
        elif old is not None:
            raise ValueError(f"{key} should be a table")
        else:
            only_tables = all(isinstance(part, dict) for part in value.values())
            inline = isinstance(table, tomlkit.items.InlineTable)
            inner = tomlkit.inline_table() if inline else tomlkit.table(is_super_table=only_tables)
            _merge(inner, value)
            table[key] = inner
