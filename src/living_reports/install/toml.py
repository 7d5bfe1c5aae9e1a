"""Edits in the text of a TOML file that keep its comments, order and formatting.

tomlkit makes them; the strict parser of the standard library judges the file before.

    >>> print(put("# mine\\nmodel = 'o3'\\n", ["mcp_servers", "x", "command"], "y"), end="")
    # mine
    model = 'o3'
    <BLANKLINE>
    [mcp_servers.x]
    command = "y"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import MutableMapping, Sequence
from typing import Any

_LONE_LINE_FEED = re.compile(r"(?<!\r)\n")


def read(text: str) -> Any:
    """The data that the text says; fractions stay the text that they are, so that nan equals itself.

    Raises:
        ValueError: It is not TOML; the message says where.
    """
    try:
        return tomllib.loads(text, parse_float=str)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def put(text: str, path: Sequence[str], value: Any) -> str:
    """The text with this value at this path; a table that is there keeps its other keys.

    Raises:
        ValueError: It is not TOML, or what lies on the path is no table.
    """
    import tomlkit

    read(text)
    document = tomlkit.parse(text)
    for missing in reversed(path[1:]):
        value = {missing: value}
    _merge(document, {path[0]: value})
    return _with_its_line_ends(tomlkit.dumps(document), text)


def _merge(table: MutableMapping[str, Any], new: dict[str, Any]) -> None:
    import tomlkit

    for key, value in new.items():
        old = table.get(key)
        if isinstance(value, dict) and isinstance(old, MutableMapping):
            _merge(old, value)
        elif isinstance(value, dict) and old is not None:
            raise ValueError(f"{key} should be a table")
        elif isinstance(value, dict):
            only_tables = all(isinstance(part, dict) for part in value.values())
            inline = isinstance(table, tomlkit.items.InlineTable)
            inner = tomlkit.inline_table() if inline else tomlkit.table(is_super_table=only_tables)
            _merge(inner, value)
            table[key] = inner
        elif old != value:
            table[key] = value


def remove(text: str, path: Sequence[str]) -> str:
    """The text without the key at this path, if it is there.

    Raises:
        ValueError: It is not TOML, or what lies on the path is no table.
    """
    import tomlkit

    read(text)
    table: Any = (document := tomlkit.parse(text))
    for key in path[:-1]:
        table = table.get(key, {})
        if not isinstance(table, MutableMapping):
            raise ValueError(f"{key} should be a table")
    if path[-1] not in table:
        return text
    del table[path[-1]]
    return _with_its_line_ends(tomlkit.dumps(document), text)


def _with_its_line_ends(new: str, old: str) -> str:
    """Lines that came end as those that were there do."""
    if "\r\n" in old and not _LONE_LINE_FEED.search(old):
        return _LONE_LINE_FEED.sub("\r\n", new)
    return new
