"""What is read by its address: `report://<report id>`, and what lies below it.

| address | what it is | media type |
|---|---|---|
| `report://<id>` | the page, as it is now | `text/markdown` |
| `report://<id>/v/<version>` | the page, as it was at a version | `text/markdown` |
| `report://<id>/outline` | `outline.json` | `application/json` |
| `report://<id>/audit` | `audit.jsonl` | `application/jsonl` |

Rules:

- The id may be its beginning or the title, percent-encoded, as every tool takes it to read. Answers
  and lists name the id.
- A page is whole, however long: addresses know no cursor. `MAX_BYTES` is the limit.
- `application/jsonl` and not `application/x-ndjson`, which names the same format: no registry knows
  either, the file is a `.jsonl`, and new types no longer take an `x-` (RFC 6648).

    >>> read(storage, "report://5f9d12ab-…/v/4", today).data.decode()
    '# Platform health …'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from urllib.parse import unquote

from living_reports.errors import ReportNotFoundError, TooLargeError
from living_reports.library.finding import find_report
from living_reports.model.report import outline_bytes
from living_reports.model.selectors import quoted
from living_reports.render.markdown import markdown
from living_reports.store.files import GlobalStorage, State

MARKDOWN = "text/markdown"
JSON = "application/json"
JSON_LINES = "application/jsonl"

MAX_BYTES = 16_000_000
"""What a report may hold; a longer log is paged by `audit_report`."""

_MEASURED_BYTES = 200_000
"""An outline up to this size is rendered for a list, to say how long its page is."""

_ADDRESS = re.compile(
    r"(?i:report)://(?P<report>[^/?#]+)(?:/(?:(?P<part>outline|audit)|v/(?P<version>[1-9][0-9]{0,8})))?"
)

Part = Literal["page", "outline", "audit"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Address:
    """What an address says: the report as its caller names it, a part of it, a version or 0."""

    report: str
    part: Part = "page"
    version: int = 0


@dataclass(frozen=True)
class Resource:
    """What was found at an address."""

    report_id: str
    version: int
    media_type: str
    data: bytes
    warnings: tuple[str, ...] = ()


def parse_address(text: str) -> Address:
    """What an address says.

    Raises:
        ReportNotFoundError: It is none of ours.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ReportNotFoundError(
            f"There is nothing at {quoted(text)}.",
            hint="report://<id>, report://<id>/outline, report://<id>/audit and report://<id>/v/<version>.",
        )
    part: Any = found["part"] or "page"
    return Address(unquote(found["report"]), part, int(found["version"] or 0))


def read(storage: GlobalStorage, text: str, today: date) -> Resource:
    """What is at an address.

    Raises:
        ReportNotFoundError, NoSuchVersionError: Nothing is.
        AmbiguousSelectorError: Several reports have this title.
        TooLargeError: It is over `MAX_BYTES`.
        CorruptReportError, LockTimeoutError: It cannot be read.
    """
    address = parse_address(text)
    report_id = find_report(storage, address.report, writing=False)
    state = storage.read(report_id)
    version = address.version or state.version
    media_type, data = _content(storage, state, address.part, version, today)
    if len(data) > MAX_BYTES:
        raise TooLargeError(
            f"It has {len(data):,} bytes; the limit is {MAX_BYTES:,}.",
            hint="Read it with the tools, a page at a time.",
            limit=MAX_BYTES,
        )
    return Resource(report_id, version, media_type, data, state.warnings)


def _content(
    storage: GlobalStorage, state: State, part: Part, version: int, today: date
) -> tuple[str, bytes]:
    if part == "audit":
        return JSON_LINES, storage.log_bytes(state.outline.report_id, MAX_BYTES + 1)
    outline = storage.outline_at(state.outline.report_id, version, state)
    if part == "outline":
        return JSON, outline_bytes(outline)
    return MARKDOWN, markdown(outline, today).encode()


def listed(storage: GlobalStorage, row: Row, today: date) -> Row:
    """A row of `list_reports` as a resource; `size` where it takes little to know it."""
    report_id = row["report_id"]
    resource = {
        "uri": f"report://{report_id}",
        "name": row["title"],
        "media_type": MARKDOWN,
        "updated_at": row["updated_at"],
        "tags": row.get("tags", []),
        "version": row.get("version", 0),
    }
    outline = storage.glance(report_id, _MEASURED_BYTES)
    return resource | ({"size": len(markdown(outline, today).encode())} if outline else {})
