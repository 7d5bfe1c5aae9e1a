"""Text for a person at a terminal: colour, columns, wrapping, and a progress indicator.

Rules:

- There is colour only where the stream is a terminal, `NO_COLOR` is unset and `TERM` is not `dumb`; piped or
  redirected output is plain text.
- Nothing is wider than the terminal, or than `MAX_WIDTH`; the widest column of a table is narrowed. Widths
  count terminal cells: a CJK character takes two, a combining mark none.
- Control characters never reach the terminal: `Terminal.line` escapes all text that is not its own colour.

    >>> terminal = Terminal(sys.stdout)
    >>> terminal.table([["v2", "evolve", "new figures"]], styles=["bold"])
    v2  evolve  new figures
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, TextIO

from living_reports.printable import escape, escape_json

MAX_WIDTH = 100
NARROWEST = 12
CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
INDICATOR_DELAY_S = 1.0


class Terminal:
    """The stream that a command writes readable text to."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.is_tty = stream.isatty()
        self.colour = self.is_tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._mark = f"\x1b{os.urandom(8).hex()}:"
        """Begins a style until the line is written; no text from elsewhere can contain it."""
        self.width = min(shutil.get_terminal_size((MAX_WIDTH, 24)).columns, MAX_WIDTH)

    def style(self, text: str, *names: str) -> str:
        """Return the text in these styles for `line`, or as it is where there is no colour."""
        if not (self.colour and names and text):
            return text
        return f"{self._mark}{';'.join(CODES[name] for name in names)}m{text}{self._mark}0m"

    def line(self, text: str = "", *names: str) -> None:
        """Write one line, whatever its width. Control characters are escaped, line breaks, too."""
        first, *styled = self.style(text, *names).split(self._mark)
        pieces = [escape(first)]
        for code, _, words in (piece.partition("m") for piece in styled):
            pieces += [f"\x1b[{code}m", escape(words)]
        print("".join(pieces), file=self.stream)

    def heading(self, text: str) -> None:
        """Write a heading, after an empty line."""
        self.line()
        self.line(clean(text), "bold")

    def paragraph(self, text: str, *names: str, first: str = "", rest: str | None = None) -> None:
        """Write wrapped text; `first` precedes the first line, `rest` the others."""
        follow = " " * cells(first) if rest is None else rest
        for number, piece in enumerate(wrap(clean(text), self.width - cells(first))):
            self.line((follow if number else first) + self.style(piece, *names) if piece else first.rstrip())

    def fields(self, rows: Sequence[tuple[str, str]], indent: int = 2) -> None:
        """Write names in a dim column, with values beside them."""
        wide = max((cells(name) for name, _ in rows), default=0)
        for name, value in rows:
            label = " " * indent + pad(clean(name), wide) + "  "
            pieces = wrap(clean(value), self.width - cells(label))
            self.line(self.style(label, "dim") + pieces[0])
            for piece in pieces[1:]:
                self.line(" " * cells(label) + piece)

    def table(
        self,
        rows: Sequence[Sequence[str]],
        heads: Sequence[str] = (),
        styles: Sequence[str] = (),
        indent: int = 2,
        right: Sequence[int] = (),
        whole: bool = False,
    ) -> None:
        """Write aligned columns; the widest one is narrowed where the line is too short.

        Args:
            rows: The cells.
            heads: The column headings.
            styles: One style per column ("" for none).
            indent: The blanks before each line.
            right: The columns that are aligned to the right.
            whole: Wrap a cell that does not fit, instead of cutting it.
        """
        texts = [[one_line(cell) for cell in row] for row in rows]
        widths = self._widths([list(heads), *texts] if heads else texts, indent)
        if heads:
            self._row(heads, widths, ["dim"] * len(heads), indent, right)
        for row in texts:
            for line in _lines(row, widths) if whole else [row]:
                self._row(line, widths, styles, indent, right)

    def _widths(self, rows: Sequence[Sequence[str]], indent: int) -> list[int]:
        widths = [max(cells(cell) for cell in column) for column in zip(*rows, strict=True)]
        while (excess := indent + sum(widths) + 2 * (len(widths) - 1) - self.width) > 0:
            widest = max(range(len(widths)), key=widths.__getitem__)
            if widths[widest] <= NARROWEST:
                break
            widths[widest] = max(widths[widest] - excess, NARROWEST)
        return widths

    def _row(
        self, row: Sequence[str], widths: list[int], styles: Sequence[str], indent: int, right: Sequence[int]
    ) -> None:
        parts = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            text = pad(cut(cell, width), width, right=column in right)
            style = styles[column] if column < len(styles) else ""
            parts.append(self.style(text, style) if style else text)
        self.line((" " * indent + "  ".join(parts)).rstrip())


def _lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[Sequence[str]]:
    """Yield the row as lines of cells, with each cell wrapped."""
    columns = [wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    yield from zip_longest(*columns, fillvalue="")


def clean(text: str) -> str:
    """Return the text with control characters as escapes; line breaks stay, and tabs become spaces."""
    lines = text.replace("\r\n", "\n").replace("\t", "    ").split("\n")
    return "\n".join(map(escape, lines))


def one_line(text: str) -> str:
    """Return the text on one line, with runs of blanks as one."""
    return " ".join(clean(text).split())


def cells(text: str) -> int:
    """Return the number of terminal cells that the text takes."""
    if text.isascii():
        return len(text)
    return sum(_cell(char) for char in text)


def _cell(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def pad(text: str, width: int, right: bool = False) -> str:
    """Return the text with blanks up to this width."""
    blanks = " " * max(width - cells(text), 0)
    return blanks + text if right else text + blanks


def cut(text: str, width: int) -> str:
    """Return the text, or its beginning and an ellipsis where it is too wide."""
    if cells(text) <= width:
        return text
    kept, used = [], 1
    for char in text:
        used += _cell(char)
        if used > width:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…"


def wrap(text: str, width: int) -> list[str]:
    """Return the text in lines of at most this width where its words allow; line breaks stay."""
    lines = []
    for line in text.split("\n"):
        blanks = line[: len(line) - len(line.lstrip())][: max(width, 12) // 2]
        current = blanks
        for word in line.split():
            joined = f"{current} {word}" if current.strip() else current + word
            if cells(joined) > max(width, 12) and current.strip():
                lines.append(current)
                joined = blanks + word
            current = joined
        lines.append(current)
    return lines


def size(count: int) -> str:
    """Return a number of bytes for a person: `1.2 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"


def print_json(answer: Any) -> None:
    """Print an answer as one line of JSON."""
    print(escape_json(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))), flush=True)


@contextmanager
def progress_indicator(what: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr how long the work has taken, once it takes over a second.

    The block gets a function that changes the text. Nothing is shown where stderr is not a terminal.
    """
    words = [what]
    done = threading.Event()
    ticker = threading.Thread(target=_tick, args=(words, done), daemon=True)
    if sys.stderr.isatty():
        ticker.start()
    try:
        yield lambda text: words.__setitem__(0, text)
    finally:
        done.set()
        if ticker.ident is not None:
            ticker.join()


def _tick(words: Sequence[str], done: threading.Event) -> None:
    began = time.monotonic()
    if done.wait(INDICATOR_DELAY_S):
        return
    while not done.wait(0.2):
        what = cut(one_line(words[0]), MAX_WIDTH - 20)
        print(f"\r{what} … {time.monotonic() - began:.0f} s\x1b[K", end="", file=sys.stderr, flush=True)
    print("\r\x1b[K", end="", file=sys.stderr, flush=True)
