"""The bytes of `outline.json`, without writing every item out again for every version.

Rules:

- The bytes are those of `models.outline_bytes`, always: its sections and insights are written out one
  by one here, and what an item came to is remembered as long as it is among those written last.
- Items are values. One that is the same object has the same bytes; the memory holds the object, so
  that no other one can have its identity meanwhile.

    >>> saved_bytes(outline) == outline_bytes(outline)
    True
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from living_reports.model.report import Insight, Outline, Section, outline_bytes

_REMEMBERED_BYTES = 4_000_000

Item = Section | Insight


class _Pieces:
    """The bytes of the items that were written last."""

    def __init__(self) -> None:
        self._pieces: OrderedDict[int, tuple[Item, bytes]] = OrderedDict()
        self._held_bytes = 0
        self._mutex = threading.Lock()

    def of(self, items: Sequence[Item]) -> list[bytes]:
        """The bytes of each item, indented as `outline.json` has it."""
        with self._mutex:
            pieces = [self._piece(item) for item in items]
            while self._held_bytes > _REMEMBERED_BYTES:
                self._held_bytes -= len(self._pieces.popitem(last=False)[1][1])
        return pieces

    def _piece(self, item: Item) -> bytes:
        known = self._pieces.get(id(item))
        if known is not None:
            self._pieces.move_to_end(id(item))
            return known[1]
        text = item.model_dump_json(indent=2, exclude_none=True, by_alias=True)
        piece = b"    " + text.replace("\n", "\n    ").encode()
        self._pieces[id(item)] = (item, piece)
        self._held_bytes += len(piece)
        return piece


_pieces = _Pieces()


def saved_bytes(outline: Outline) -> bytes:
    """The bytes of `outline.json` for this outline."""
    rest = outline_bytes(outline.model_copy(update={"sections": [], "insights": []}))
    parts: list[bytes] = []
    for name, items in (("sections", outline.sections), ("insights", outline.insights)):
        # A line that begins so, with two spaces, is there once: text has no raw newlines in JSON.
        before, empty, rest = rest.partition(b'\n  "%s": []' % name.encode())
        lines = [part for piece in _pieces.of(items) for part in (b",\n", piece)]
        parts += (before, empty[:-1], b"\n", *lines[1:], b"\n  ]") if lines else (before, empty)
    return b"".join((*parts, rest))
