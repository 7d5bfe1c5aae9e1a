"""Plain text as Markdown that shows exactly that text.

Rules:

- A backslash stands only before what Markdown would otherwise take for its own: `2 * 3`,
  `snake_case` and `~5 %` stay as they are, `*so*` and a line that begins with `# ` do not.
- A web address becomes a link to itself. Nothing else in a text becomes a link, an image, a
  tag, an entity, a list, a heading or a table.
- What stands in a line (a cell, a list item) is on one line, whatever breaks the text had.

    >>> print(one_line("a | b, *so* and snake_case"))
    a \\| b, \\*so\\* and snake_case
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

Align = Literal["left", "right"]

_ACTIVE = re.compile(
    r"""
      (?P<url> https?://[^\W_] [^\s<>"\\^`{}|\[\]]* )
    | (?: [`\[\]|]                                      # code, links, cells
        | \\ (?= [!-/:-@\[-`{-~] | \Z )                 # what would escape the next character
        | < (?= [A-Za-z/!?] )                           # tags, comments, links
        | & (?= [A-Za-z][A-Za-z0-9]*; | \# )            # entities
        | \* (?! (?<= \s\* ) \s )                       # emphasis, unless blanks stand around it
        | _ (?! (?<= [^\W_]_ ) [^\W_] | (?<= \s_ ) \s ) # emphasis, unless inside a word or alone
        | ~ (?= ~ ) | (?<= \S ) ~                       # struck out: nothing without a closing one
      )
    """,
    re.VERBOSE,
)
_LINE_START = re.compile(r"[-+](?=\s|$)|[-=]+(?=\s*$)|#(?=#{0,5}(?:\s|$))|>|:(?=-+:?\s*$)")
_CLOSING_SIGNS = re.compile(r"(?<!\S)(#+)$")
_NUMBERED = re.compile(r"([0-9]{1,9})([.)])(?=\s|$)")


def one_line(text: str) -> str:
    """The text in one line, to stand behind other words of that line."""
    return _escaped(" ".join(text.split()))


def heading(text: str, level: int) -> str:
    """The text as a heading; number signs at its end are not taken for the heading's own."""
    return f"{'#' * level} " + _CLOSING_SIGNS.sub(r"\\\1", one_line(text))


def paragraphs(text: str) -> str:
    """The text with its lines and paragraphs."""
    blocks = re.split(r"\n\s*\n", "\n".join(text.strip().splitlines()))
    return "\n\n".join("\n".join(_whole_line(line) for line in block.splitlines()) for block in blocks)


def bullets(texts: Iterable[str]) -> str:
    """A list with one item a text."""
    return "\n".join(f"- {_whole_line(text)}" for text in texts)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], aligns: Sequence[Align]) -> str:
    """A table of texts under a header that is Markdown already."""
    rule = ["---:" if align == "right" else "---" for align in aligns]
    cells = ([one_line(cell) for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *cells))


def _whole_line(text: str) -> str:
    """The text in one line of its own, where the first characters could mean a list or a heading."""
    text = " ".join(text.split())
    if found := _NUMBERED.match(text):
        return f"{found[1]}\\{found[2]}{_escaped(text[found.end() :])}"
    if _LINE_START.match(text):
        return f"\\{text[0]}{_escaped(text[1:])}"
    return _escaped(text)


def _escaped(line: str) -> str:
    return _ACTIVE.sub(lambda found: _link(found[0]) if found["url"] else "\\" + found[0], line)


def _link(url: str) -> str:
    """The address as a link to itself; punctuation that follows it stays outside."""
    end = len(url)
    unopened = url.count(")") - url.count("(")
    while url[end - 1] in ".,;:!?'*_~" or (url[end - 1] == ")" and unopened > 0):
        unopened -= url[end - 1] == ")"
        end -= 1
    return f"<{url[:end]}>{_escaped(url[end:])}"
