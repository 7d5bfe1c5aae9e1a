"""Finding and replacing in a section's prose.

Rules:

- What is searched for is taken literally, blanks and line breaks included.
- Occurrences that overlap are several: which of them was meant is not guessed.
- Who misses is shown the lines that come nearest; who hits several times is shown where.

    >>> replaced("one two", "two", "three", everywhere=False, path="changes[0].find")
    'one three'
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import Any

from living_reports.changes.values import refuse
from living_reports.errors import ItemNotFoundError
from living_reports.model.selectors import cut, quoted

_MOST_HITS = 5
_MOST_NEAR = 3
_AROUND_CHARS = 30
_COMPARED_CHARS = 80
_LIKENESS = 0.4
"""The share of three-letter pieces that a line needs to have in common with what was sought."""


def replaced(
    content: str, find: str, replace: str, *, everywhere: bool, path: str, if_missed: str = ""
) -> str:
    """The content with the one occurrence of `find` replaced, or all of them.

    `if_missed` is the hint for a caller whose words are not there, if there is a better one
    than to look again.

    Raises:
        ItemNotFoundError: There is none; `near` lists `{line, text}` that are similar.
        InvalidInputError: There are several and `everywhere` is false; `candidates` lists them.
    """
    first = content.find(find)
    if first < 0:
        raise ItemNotFoundError(
            f"{path}: the section's content does not contain {quoted(find)}.",
            hint=if_missed or "Copy the words to find exactly as get_report shows them.",
            path=path,
            near=_similar_lines(content, find),
        )
    if not everywhere and content.find(find, first + 1) >= 0:
        count = max(2, content.count(find))
        raise refuse(
            path,
            f"the section's content contains {quoted(find)} {count} times.",
            hint="Make find longer until it occurs once, or set all to true.",
            candidates=_hits(content, find),
        )
    return content.replace(find, replace)


def appended(content: str, text: str) -> str:
    """The content with `text` as a paragraph of its own: exactly one blank line between them."""
    if not content.strip():
        return text
    return content.rstrip("\r\n") + "\n\n" + text.lstrip("\r\n")


def _hits(content: str, find: str) -> list[dict[str, Any]]:
    """Where `find` occurs: the line number and the words around it."""
    found: list[dict[str, Any]] = []
    at = content.find(find)
    while at >= 0 and len(found) < _MOST_HITS:
        around = content[max(0, at - _AROUND_CHARS) : at + len(find) + _AROUND_CHARS]
        found.append({"line": content.count("\n", 0, at) + 1, "text": cut(around)})
        at = content.find(find, at + 1)
    return found


def _similar_lines(content: str, find: str) -> list[dict[str, Any]]:
    """The lines that share most of their three-letter pieces with the longest line of `find`."""
    sought = max(find.lower().splitlines() or [""], key=len).strip()[:_COMPARED_CHARS]
    if not sought:
        return []
    pieces = [sought[i : i + 3] for i in range(max(1, len(sought) - 2))]
    least = max(1.0, _LIKENESS * len(pieces))
    lines = enumerate(content.splitlines(), start=1)
    scored = ((_shared(line, pieces), -number, line) for number, line in lines)
    best = heapq.nlargest(_MOST_NEAR, (each for each in scored if each[0] >= least))
    return [{"line": -number, "text": cut(line[_start(line, pieces) :])} for _, number, line in best]


def _shared(line: str, pieces: list[str]) -> int:
    folded = line.lower()
    return sum(piece in folded for piece in pieces)


def _start(line: str, pieces: list[str]) -> int:
    """Where in a line the similar words begin: most pieces agree about it."""
    folded = line.lower()
    votes = Counter(at - i for i, piece in enumerate(pieces) if (at := folded.find(piece)) >= 0)
    return max(0, votes.most_common(1)[0][0] - _AROUND_CHARS // 3)
