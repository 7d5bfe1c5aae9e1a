"""Which call a `request_id` belongs to: the memory that makes retries safe.

Rules:

- The log is the memory; this is a cache of its tail. At least the last 1,000 events are
  known, more while the process lives.
- On the usual path a look-up reads only what was appended since the last one.
- A cached answer is never believed: the line it points at is read again, and if the line
  that was last seen is not there any more, the cache starts over.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from living_reports.store.files.audit import AuditLog, Record

REMEMBERED_EVENTS = 1000
_REMEMBERED_REPORTS = 64


@dataclass
class _Seen:
    last: Record
    offsets: dict[str, int] = field(default_factory=dict)


_seen: OrderedDict[str, _Seen] = OrderedDict()
_mutex = threading.Lock()


def find_request(log: AuditLog, request_id: str) -> Record | None:
    """The event that answered this request, if it is remembered. Call it under the report's lock."""
    key = str(log.path)
    with _mutex:
        seen = _seen.pop(key, None)
    seen = _follow(log, seen) if seen is not None and _still_there(log, seen.last) else _scan(log)
    if seen is None:
        return None
    with _mutex:
        _seen[key] = seen
        while len(_seen) > _REMEMBERED_REPORTS:
            _seen.popitem(last=False)
    offset = seen.offsets.get(request_id)
    return None if offset is None else next(log.forwards(offset), None)


def _still_there(log: AuditLog, record: Record) -> bool:
    found = next(log.forwards(record.offset, record.end), None)
    return found is not None and found.raw == record.raw


def _follow(log: AuditLog, seen: _Seen) -> _Seen:
    for record in log.forwards(seen.last.end):
        _remember(seen, record)
        seen.last = record
    while len(seen.offsets) > 2 * REMEMBERED_EVENTS:
        del seen.offsets[next(iter(seen.offsets))]
    return seen


def _scan(log: AuditLog) -> _Seen | None:
    newest = []
    for record in log.backwards():
        newest.append(record)
        if len(newest) == REMEMBERED_EVENTS:
            break
    if not newest:
        return None
    seen = _Seen(newest[0])
    for record in reversed(newest):
        _remember(seen, record)
    return seen


def _remember(seen: _Seen, record: Record) -> None:
    request_id = record.data.get("request_id") if record.data else None
    if isinstance(request_id, str) and record.is_ours:
        seen.offsets[request_id] = record.offset
