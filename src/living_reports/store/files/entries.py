"""The entries of the catalogue by report: read as lines, parsed when one is asked for.

Rules:

- The last line for an id wins, and its place in the order. A line that is torn or no entry counts
  for nothing.
- A line in the usual form is valid as it stands and is kept as it is: a hundred thousand of them
  are taken in within a third of the time that parsing them takes. Any other line is parsed at once.

    >>> entries = Entries()
    >>> entries.take(b'{"report_id":"0b5ce4b0-…","current_title":"Health", … ,"path":"by_id/0b5ce4b0-…"}\\n')
    >>> len(entries), entries.lines
    (1, 1)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, KeysView, Mapping, Set

from pydantic import ValidationError

from living_reports.model.report import IndexEntry, parse_uuid

_TEXT = rb'"[^"\\\x00-\x1f]*"'
_USUAL = (
    rb'\{"report_id": ?"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"'
    rb', ?"current_title": ?"[^"\\\x00-\x1f]+"'
    rb', ?"created_at": ?%(text)s, ?"updated_at": ?%(text)s'
    rb', ?"tags": ?\[(?:%(text)s(?:, ?%(text)s)*)?\]'
    rb', ?"status": ?"(?:active|archived|deleted)", ?"path": ?"by_id/\1"\}'
) % {b"text": _TEXT}
_LINES = re.compile(rb"^(?:%s|.*)$" % _USUAL, re.MULTILINE)


class Entries(Mapping[str, IndexEntry]):
    """Every report in `by_id` that the lines taken in tell of."""

    def __init__(self) -> None:
        self._known: dict[str, bytes | IndexEntry] = {}
        self.lines = 0
        """How many lines were taken in, superseded ones too."""

    def take(self, lines: bytes) -> None:
        """Take in whole lines, in their order."""
        if not lines:
            return
        known = self._known
        is_text = _is_utf8(lines)
        for match in _LINES.finditer(lines, 0, len(lines) - 1):  # without the last newline
            self.lines += 1
            if is_text and match[1]:
                report_id = match[1].decode()
                known.pop(report_id, None)
                known[report_id] = match[0]
            else:
                self._take_unusual(match[0])

    def _take_unusual(self, line: bytes) -> None:
        try:
            entry = IndexEntry.model_validate_json(line)
        except ValidationError:
            return  # torn by a crash; its report is marked, or found by its folder
        self._known.pop(entry.report_id, None)
        is_canonical = parse_uuid(entry.report_id) == entry.report_id  # no other folder is a report's
        if is_canonical and entry.path == f"by_id/{entry.report_id}":
            self._known[entry.report_id] = entry

    def put(self, entry: IndexEntry) -> None:
        """Take in an entry that no line tells of yet."""
        self._known[entry.report_id] = entry

    def remove(self, report_ids: Set[str]) -> None:
        """Forget these reports."""
        for report_id in report_ids & self._known.keys():
            del self._known[report_id]

    def __getitem__(self, report_id: str) -> IndexEntry:
        known = self._known[report_id]
        if isinstance(known, bytes):
            known = self._known[report_id] = IndexEntry.model_validate_json(known)
        return known

    def __contains__(self, report_id: object) -> bool:
        return report_id in self._known

    def keys(self) -> KeysView[str]:
        return self._known.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
