r"""Show a Markdown page at a terminal.

Rules: piped or redirected, the Markdown is printed exactly as it is. On a terminal, headings are highlighted,
prose is wrapped, tables are aligned, and fenced text is left alone. This is not a complete Markdown parser:
unknown syntax stays as written.

    >>> show_markdown(Terminal(sys.stdout), "# Health\n\nAll **well**.")
    Health
    <BLANKLINE>
    All well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from living_reports.cli.terminal import Terminal, cells, clean, wrap

_HEADING = re.compile(r"(#{1,6})\s++(.*)")
_ITEM = re.compile(r"(\s*+)([-*+]|\d++[.)])(\s++)(.*)")
_RULE = re.compile(r"(?=[\s:|]*+-)[\s:|-]++$")
_MARKS = re.compile(r"\*\*(?P<bold>[^*\n]++)\*\*|`(?P<code>[^`\n]++)`|<(?P<url>https?://[^<>\s]++)>")
_BAR = re.compile(r"(?<!\\)\|")
MAX_COLUMNS = 100
MAX_CELLS = 100_000
"""The size of a table, filled up to a rectangle, up to which its columns are aligned."""


def show_markdown(terminal: Terminal, text: str) -> None:
    """Print the page; unchanged where the stream is not a terminal."""
    if not terminal.is_tty:
        print(text.removesuffix("\n"), file=terminal.stream)
        return
    fenced = False
    lines = clean(text).removesuffix("\n").split("\n")
    for is_table, group in groupby(lines, key=lambda line: line.startswith("|")):
        block = list(group)
        if is_table and not fenced:
            _table(terminal, block)
            continue
        for line in block:
            if line.lstrip().startswith("```"):
                fenced = not fenced
            elif fenced:
                terminal.line("    " + line, "dim")
            else:
                _prose(terminal, line)


def _prose(terminal: Terminal, line: str) -> None:
    if heading := _HEADING.match(line):
        terminal.line(
            heading[2].rstrip("#").rstrip(), *(("bold", "cyan") if len(heading[1]) == 1 else ("bold",))
        )
    elif item := _ITEM.match(line):
        _wrapped(terminal, item[4], f"{item[1]}{item[2]}{item[3]}")
    elif line.startswith("> "):
        _wrapped(terminal, line[2:], "  │ ", rest="  │ ")
    else:
        _wrapped(terminal, line, "")


def _wrapped(terminal: Terminal, text: str, first: str, rest: str | None = None) -> None:
    follow = " " * cells(first) if rest is None else rest
    for number, piece in enumerate(wrap(text, terminal.width - cells(first))):
        terminal.line((follow if number else first) + _styled(terminal, piece))


def _styled(terminal: Terminal, text: str) -> str:
    def show(mark: re.Match[str]) -> str:
        if mark["bold"]:
            return terminal.style(mark["bold"], "bold")
        return terminal.style(mark["code"], "cyan") if mark["code"] else mark["url"]

    return _MARKS.sub(show, text)


def _table(terminal: Terminal, lines: Sequence[str]) -> None:
    rows = [_cells(line) for line in lines if not _RULE.match(line)]
    columns = max(len(row) for row in rows) if rows else 0
    if columns > MAX_COLUMNS or columns * len(rows) > MAX_CELLS:
        for line in lines:
            terminal.line(line)
        return
    filled = [row + [""] * (columns - len(row)) for row in rows]
    if filled:
        terminal.table(filled[1:], heads=filled[0], whole=True)


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    parts = _BAR.split(inner)
    return [_plain(part.strip()).replace("\\|", "|") for part in parts]


def _plain(text: str) -> str:
    return _MARKS.sub(lambda mark: mark[mark.lastgroup or 0], text)
