"""The log of one report: `audit.jsonl`, append-only, one event a line, chained.

Rules:

- A line of ours carries in its payload `outline_version`, `outline_sha256`, `prev_sha256`
  and `delta`. The chain is over raw bytes: `prev_sha256` is the sha256 of the line before,
  without its newline, whoever wrote it.
- A line without `outline_sha256` is another writer's (igloo-mcp's). It is kept, shown and
  covered by our next line, and otherwise passed over.
- Versions never fall along the log, so a version is found by bisecting the file: no question about
  a part of the log is answered by reading all of it.
- The log is also the memory that makes retries safe: `RequestCache` only remembers where its newest
  events stand.
- This module only reads. Events are appended by `commit`.

    >>> log = AuditLog(folder / "audit.jsonl")
    >>> log.find_version(17).event.payload["reason"]
    'checked against the advisory'
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pydantic_core
from pydantic import ValidationError

from living_reports.model.delta import item_of, writing_places
from living_reports.model.event import AuditEvent
from living_reports.model.report import describe, sha256_hex
from living_reports.regular_files import open_regular, read_at, read_regular, reader_of

_BLOCK = 8192
_MAX_BLOCK = 32_768  # larger ones cost more in fresh memory than they save in calls
_NEWLINE = ord("\n")
_AT = re.compile(rb'"at":"([^"]*)"')
EMPTY_SHA256 = sha256_hex(b"")
REMEMBERED_EVENTS = 1000
_REMEMBERED_REPORTS = 64


@dataclass(frozen=True)
class Record:
    """One line of the log: an event, as `store.base.Event` describes it, with its offset and its bytes.

    `raw` is without the newline. `data` is `None` where the line is not a JSON object.
    """

    offset: int
    raw: bytes
    is_complete: bool = True

    @property
    def position(self) -> int:
        """The token for paging; see `store.base.Event`."""
        return self.offset

    @property
    def end(self) -> int:
        """The offset behind the line and its newline."""
        return self.offset + len(self.raw) + self.is_complete

    @cached_property
    def sha256(self) -> str:
        """The hash that the next line must carry as `prev_sha256`."""
        return sha256_hex(self.raw)

    @cached_property
    def data(self) -> dict[str, Any] | None:
        """The line as JSON, or `None`."""
        try:
            data = pydantic_core.from_json(self.raw)
        except ValueError:
            return None
        return data if isinstance(data, dict) else None

    @property
    def fields(self) -> dict[str, Any]:
        """The line as JSON, empty where it is no JSON object."""
        return self.data or {}

    @cached_property
    def payload(self) -> dict[str, Any]:
        """The event's payload, empty where the line has none."""
        payload = self.fields.get("payload")
        return payload if isinstance(payload, dict) else {}

    @cached_property
    def event(self) -> AuditEvent:
        """The line as an event.

        Raises:
            ValueError: It is not one.
        """
        try:
            return AuditEvent.model_validate(self.data)
        except ValidationError as error:
            raise ValueError(describe(error)) from error

    @property
    def is_event(self) -> bool:
        """True if the line parses as an event."""
        try:
            return bool(self.event)
        except ValueError:
            return False

    @property
    def is_ours(self) -> bool:
        """True if the line takes part in the history: it names a version and its hash."""
        return isinstance(self.payload.get("outline_sha256"), str) and isinstance(
            self.payload.get("outline_version"), int
        )

    @property
    def version(self) -> int:
        """The report's version after this event; 0 in another writer's line."""
        return self.payload["outline_version"] if self.is_ours else 0

    @property
    def outline_sha256(self) -> str:
        """The sha256 of `outline.json` after this event; empty in another writer's line."""
        return self.payload["outline_sha256"] if self.is_ours else ""

    @property
    def delta(self) -> list[dict[str, Any]]:
        """The edits that made this version; empty if the event made none, or if they are malformed."""
        delta = self.payload.get("delta")
        if isinstance(delta, list) and all(isinstance(edit, dict) for edit in delta):
            return delta
        return []

    @property
    def makes_version(self) -> bool:
        """True for the one event that made its version."""
        return self.is_ours and bool(self.delta)

    @property
    def is_deletion(self) -> bool:
        """True for the event after which the report belongs in the trash."""
        return not self.makes_version and self.fields.get("action_type") == "delete"

    @property
    def is_whole(self) -> bool:
        """True if the delta is a whole outline, so that nothing before it is needed."""
        return self.makes_version and self.delta[0].get("at") == ""

    @property
    def keeps_backup(self) -> bool:
        """True if the event's backup is kept for good: replaying starts at it, or it holds damaged bytes.

        What a person typed into a file that was no outline any more is nowhere else. Where it was one,
        the event took it in.
        """
        is_taken_in = "backup_sha256" not in self.payload or (
            self.is_event and self.event.action_type == "manual_edit_detected"
        )
        return self.payload.get("base_at") == self.offset or not is_taken_in

    def mentions(self, text: str) -> bool:
        """Return False if no value of the line contains the text; nothing is parsed for it."""
        return any(form in self.raw for form in _forms(text))

    def may_edit(self, addresses: frozenset[str]) -> bool:
        """Return False if no edit of the line is at one of these addresses; nothing is parsed for it."""
        return not addresses.isdisjoint(self.addresses())

    def addresses(self) -> list[str]:
        """Return the addresses of the edits, and perhaps others; nothing is parsed for it."""
        return [at.decode("utf-8", "replace") for at in _AT.findall(self.raw)]

    def edits(self, addresses: frozenset[str]) -> bool:
        """Return whether an edit of the event is at one of these addresses."""
        return any(edit.get("at") in addresses for edit in self.delta)


@dataclass(frozen=True)
class Tail:
    """The last bytes of a log, from `offset` on."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """The size of the log."""
        return self.offset + len(self.data)

    def and_then(self, appended: bytes) -> Tail:
        """Return the tail after bytes were appended to the log."""
        return Tail(self.offset, self.data + appended)


def _forms(text: str) -> set[bytes]:
    """Return the text as it may stand in a JSON string: with and without escapes of other alphabets."""
    return {pydantic_core.to_json(text)[1:-1], json.dumps(text)[1:-1].encode()}


def line_filter(mentioning: Sequence[str], editing: Sequence[str]) -> list[bytes]:
    """Return the bytes of which a line contains one if it mentions an id or edits an address.

    A whole outline edits every address. Empty if there is no id and no address.
    """
    forms = {form for text in mentioning for form in _forms(text)}
    forms |= {b'"at":"%b"' % form for at in editing for form in _forms(at)}
    return [*forms, b'"at":""'] if editing else [*forms]


class AuditLog:
    """A reader of the log at `path`; a log that does not exist is empty."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def size(self) -> int:
        """Return the bytes in the log."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, limit: int) -> bytes:
        """Return the log's first bytes, at most `limit`, as they are."""
        try:
            return read_regular(self.path, limit)
        except FileNotFoundError:
            return b""

    def last(self) -> Record | None:
        """Return the last line, complete or not; `None` in an empty log."""
        return next(self.backwards(), None)

    def tail(self) -> Tail:
        """Return the last bytes of the log, so that its newest lines are read from the disk once."""
        try:
            with _Source(self.path) as source:
                start = max(0, source.size - _BLOCK)
                return Tail(start, source.read(start, source.size))
        except FileNotFoundError:
            return Tail(0, b"")

    def backwards(
        self,
        end: int | None = None,
        naming: Sequence[bytes] = (),
        start: int = 0,
        tail: Tail | None = None,
    ) -> Iterator[Record]:
        """Yield the lines from the last (or the last that ends at or before `end`) to the one at `start`.

        With `naming`, only lines that contain one of these bytes: what does not is passed over a
        block at a time. With `tail`, its bytes are not read again: nothing was appended since.
        """
        try:
            source = _Source(self.path, tail)
        except FileNotFoundError:
            return
        with source:
            begin = source.size if end is None else min(end, source.size)
            held, step = b"", _BLOCK  # the beginning of what follows, up to its first newline
            while begin > start:
                here = max(start, begin - step)
                data = source.read(here, begin)
                begin, step = here, min(2 * step, max(_MAX_BLOCK, len(held)))
                first = data.find(b"\n") + 1 if begin > start else 0
                if begin > start and not first:
                    held = data + held
                    continue
                lines, held = data[first:] + held, data[:first]
                named = [name for name in naming if name in lines]
                if named or not naming:
                    yield from _lines_backwards(lines, begin + first, named)

    def forwards(self, start: int = 0, end: int | None = None) -> Iterator[Record]:
        """Yield the lines from the one that starts at `start` up to `end` or the last."""
        try:
            file = reader_of(self.path)
        except FileNotFoundError:
            return
        with file:
            file.seek(start)
            while (end is None or start < end) and (line := file.readline()):
                yield Record(start, line.removesuffix(b"\n"), line.endswith(b"\n"))
                start += len(line)

    def line_start(self, offset: int) -> int:
        """Return the offset at which the line begins that contains the byte before this offset."""
        with reader_of(self.path) as file:
            return _line_start(file, offset)

    def last_writes(
        self,
        addresses: Collection[str],
        start: int = 0,
        end: int | None = None,
        tail: Tail | None = None,
    ) -> dict[str, Record]:
        """Return the newest event between two offsets that wrote each value, found by a walk back.

        An event is only parsed if it mentions a value that is still missing; see `backwards` for `tail`.
        """
        missing = {at: writing_places(at) for at in addresses}
        found: dict[str, Record] = {}
        ids = [item for at in missing if (item := item_of(at))]
        naming = line_filter(ids, [at for at in missing if not item_of(at)])
        wanted = frozenset().union(*missing.values())
        for record in self.backwards(end, naming, start, tail) if missing else ():
            if not record.may_edit(wanted):
                continue
            written = [at for at, places in missing.items() if record.edits(places)]
            found |= dict.fromkeys(written, record)
            for at in written:
                del missing[at]
            if not missing:
                break
            wanted = frozenset().union(*missing.values()) if written else wanted
        return found

    def last_ours(self) -> Record | None:
        """Return the newest line that takes part in the history."""
        return next((record for record in self.backwards() if record.is_ours), None)

    def first_ours(self) -> Record | None:
        """Return the oldest line that takes part in the history."""
        return next((record for record in self.forwards() if record.is_ours), None)

    def find_version(self, version: int) -> Record | None:
        """Return the event that made a version, found by bisection; `None` if there is none."""
        last = self.last()
        if last is None or (last.version == version and last.makes_version):
            return last
        low, high = 0, last.end  # the wanted line starts in [low, high)
        found: Record | None = None
        with reader_of(self.path) as file:
            while low < high:
                middle = (low + high) // 2
                record = _first_ours_from(file, middle, high)
                if record is None:
                    high = _line_start(file, middle)
                elif record.version >= version:
                    found, high = record, min(high - 1, _line_start(file, middle))
                else:
                    low = record.end
        if found is None or found.version != version or not found.makes_version:
            return None
        return found


class _Source:
    """The bytes of a log: those of a tail that was read before, and the others from the file."""

    def __init__(self, path: Path, tail: Tail | None = None) -> None:
        self._path = path
        self._tail = tail
        self._descriptor = -1
        self.size = tail.end if tail is not None else self._open()

    def _open(self) -> int:
        self._descriptor, status = open_regular(self._path)
        return status.st_size

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`."""
        if self._tail is not None and start >= self._tail.offset:
            return self._tail.data[start - self._tail.offset : stop - self._tail.offset]
        if self._descriptor < 0:
            self._open()
        return read_at(self._descriptor, stop - start, start)

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _lines_backwards(lines: bytes, offset: int, naming: Sequence[bytes]) -> Iterator[Record]:
    """Yield the whole lines in these bytes of the log, last first; only the last may lack its newline."""
    stop = len(lines)
    while stop > 0:
        is_complete = lines[stop - 1] == _NEWLINE
        start = lines.rfind(b"\n", 0, stop - is_complete) + 1
        raw = lines[start : stop - is_complete]
        if not naming or any(name in raw for name in naming):
            yield Record(offset + start, raw, is_complete)
        stop = start


def _line_start(file: Any, position: int) -> int:
    """Return the start of the line to which the byte before `position` belongs."""
    while position > 0:
        begin = max(0, position - _BLOCK)
        file.seek(begin)
        newline = file.read(position - begin).rfind(b"\n")
        if newline >= 0:
            return int(begin + newline + 1)
        position = begin
    return 0


def _first_ours_from(file: Any, position: int, limit: int) -> Record | None:
    """Return the first line of ours that starts before `limit`, from the line at `position` on."""
    start = _line_start(file, position)
    file.seek(start)
    while start < limit and (line := file.readline()):
        record = Record(start, line.removesuffix(b"\n"), line.endswith(b"\n"))
        if record.is_ours:
            return record
        start = record.end
    return None


# --- Requests -----------------------------------------------------------------------------


@dataclass
class _Seen:
    """The newest line of a log that was read, and the offsets of requests."""

    last: Record
    offsets: dict[str, int] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Add the next line."""
        request_id = record.fields.get("request_id")
        if isinstance(request_id, str) and record.is_ours:
            self.offsets[request_id] = record.offset
        self.last = record


class RequestCache:
    """The offsets of the newest requests in the logs that were searched last.

    At least the last 1,000 events of a log are known, more while the process lives. A look-up reads only
    the lines appended since the one before. A cached answer is never trusted: its line is read again, and
    if the line that was seen last is gone, the cache starts over.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._mutex = threading.Lock()

    def find(self, log: AuditLog, request_id: str) -> Record | None:
        """Return the event that answered this request, if it is remembered. The caller holds the lock."""
        key = str(log.path)
        with self._mutex:
            seen = self._seen.pop(key, None)
        seen = _follow(log, seen) if seen is not None and _still_there(log, seen.last) else _scan(log)
        if seen is None:
            return None
        with self._mutex:
            self._seen[key] = seen
            while len(self._seen) > _REMEMBERED_REPORTS:
                self._seen.popitem(last=False)
        offset = seen.offsets.get(request_id)
        return None if offset is None else next(log.forwards(offset), None)


def _still_there(log: AuditLog, record: Record) -> bool:
    found = next(log.forwards(record.offset, record.end), None)
    return found is not None and found.raw == record.raw


def _follow(log: AuditLog, seen: _Seen) -> _Seen:
    for record in log.forwards(seen.last.end):
        seen.add(record)
    while len(seen.offsets) > 2 * REMEMBERED_EVENTS:
        del seen.offsets[next(iter(seen.offsets))]
    return seen


def _scan(log: AuditLog) -> _Seen | None:
    newest = list(islice(log.backwards(), REMEMBERED_EVENTS))
    if not newest:
        return None
    seen = _Seen(newest[-1])
    for record in reversed(newest):
        seen.add(record)
    return seen
