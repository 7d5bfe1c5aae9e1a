"""Resources: reports and their parts by address.

| address | content | media type |
|---|---|---|
| `report://<id>` | the page, as it is now | `text/markdown` |
| `report://<id>/v/<version>` | the page at a version | `text/markdown` |
| `report://<id>/outline` | `outline.json` | `application/json` |
| `report://<id>/audit` | `audit.jsonl` | `application/jsonl` |
| `templates://sections` | the data of each section template: its shape and an example | `application/json` |
| `templates://sections/<name>` | the same of one template | `application/json` |

Rules:

- The id may be shortened, or be the title, percent-encoded, as in every tool that reads. Answers and lists
  name the whole id.
- A part after `#`, with which a citation names a section or an insight, does not change what is read.
- A page is whole, however long: addresses have no cursor. `MAX_BYTES` is the limit.
- The media type is `application/jsonl` and not `application/x-ndjson`, which names the same format: neither
  is registered, the file is a `.jsonl`, and new types no longer take an `x-` (RFC 6648).

    >>> read_resource(context, "report://5f9d12ab-…/v/4").data.decode()
    '# Platform health …'
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from living_reports.changes.section_templates import SECTION_TEMPLATES, described
from living_reports.errors import ReportNotFoundError, TooLargeError
from living_reports.library.context import Context
from living_reports.library.requests import ListReports
from living_reports.model.report import outline_bytes
from living_reports.model.selectors import quoted
from living_reports.render import FORMATS
from living_reports.render.page import Page
from living_reports.store.base import Snapshot

MARKDOWN = FORMATS["markdown"]
JSON = "application/json"
JSON_LINES = "application/jsonl"

RESOURCES_A_PAGE = 50
MAX_BYTES = 16_000_000
"""The size limit of a report; a longer log is paged by `audit_report`."""

_MEASURED_BYTES = 200_000
"""The largest outline that is rendered for a list, to give the size of its page."""

_ADDRESS = re.compile(
    r"(?i:report)://(?P<report>[^/?#]+)(?:/(?:(?P<part>outline|audit)|v/(?P<version>[1-9][0-9]{0,8})))?"
    r"(?:#.*)?"
)

_SECTION_TEMPLATES = re.compile(r"templates://sections(?:/(?P<name>[a-z_]{1,100}))?")

Part = Literal["page", "outline", "audit"]
Json = dict[str, Any]


@dataclass(frozen=True)
class Address:
    """An address, parsed: a selector of a report, a part of it, and a version or 0."""

    report: str
    part: Part = "page"
    version: int = 0


@dataclass(frozen=True)
class Resource:
    """The content at an address; without id and version if it is not that of a report."""

    report_id: str
    version: int
    media_type: str
    data: bytes
    warnings: tuple[str, ...] = ()


def parse_address(text: str) -> Address:
    """Parse an address.

    Raises:
        ReportNotFoundError: It is not an address of a report.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ReportNotFoundError(
            f"There is nothing at {quoted(text)}.",
            hint="report://<id>, report://<id>/outline, report://<id>/audit, report://<id>/v/<version> and "
            "templates://sections.",
        )
    part: Any = found["part"] or "page"
    return Address(unquote(found["report"]), part, int(found["version"] or 0))


def list_resources(context: Context, cursor: str = "") -> Json:
    """Return the active reports as resources, newest first.

    Raises:
        InvalidInputError: The cursor is invalid.
    """
    from living_reports.library.listing import list_reports

    page = list_reports(context, ListReports(limit=RESOURCES_A_PAGE, cursor=cursor))
    page["resources"] = [_listed(context, row) for row in page.pop("reports")]
    return page


def read_resource(context: Context, text: str) -> Resource:
    """Return the whole content at an address.

    Raises:
        ReportNotFoundError, NoSuchVersionError: There is nothing.
        AmbiguousSelectorError: Several reports have this title.
        TooLargeError: It is over `MAX_BYTES`.
        CorruptReportError, LockTimeoutError: It cannot be read.
    """
    if found := _SECTION_TEMPLATES.fullmatch(text):
        return _section_templates(found["name"] or "")
    address = parse_address(text)
    report_id, snapshot = context.read(address.report)
    version = address.version or snapshot.version
    media_type, data = _content(context, snapshot, address.part, version)
    if len(data) > MAX_BYTES:
        raise TooLargeError(
            f"It has {len(data):,} bytes; the limit is {MAX_BYTES:,}.",
            hint="Read it with the tools, a page at a time.",
            limit=MAX_BYTES,
        )
    return Resource(report_id, version, media_type, data, snapshot.warnings)


def _section_templates(name: str) -> Resource:
    """Return the shape and the example of the data of one section template, or of all.

    Raises:
        ReportNotFoundError: There is no such template.
    """
    if name and name not in SECTION_TEMPLATES:
        raise ReportNotFoundError(
            f"There is no section template {quoted(name)}.", hint=f"There are {', '.join(SECTION_TEMPLATES)}."
        )
    rows = {
        one: {"data": described(template.shape), "example": template.example}
        for one, template in SECTION_TEMPLATES.items()
    }
    text = json.dumps(rows[name] if name else rows, ensure_ascii=False, indent=2)
    return Resource("", 0, JSON, f"{text}\n".encode())


def _content(context: Context, snapshot: Snapshot, part: Part, version: int) -> tuple[str, bytes]:
    store = context.store
    if part == "audit":
        return JSON_LINES, store.raw_log(snapshot.outline.report_id, MAX_BYTES + 1)
    outline = store.outline_at(snapshot.outline.report_id, version, snapshot)
    if part == "outline":
        return JSON, outline_bytes(outline)
    return MARKDOWN.media_type, MARKDOWN.render(Page(outline, context.today()))


def _listed(context: Context, row: Json) -> Json:
    """Return a row of `list_reports` as a resource; with `size` where that is cheap."""
    report_id = row["report_id"]
    resource = {
        "uri": f"report://{report_id}",
        "name": row["title"],
        "media_type": MARKDOWN.media_type,
        "updated_at": row["updated_at"],
        "tags": row.get("tags", []),
        "version": row.get("version", 0),
    }
    outline = context.store.glance(report_id, _MEASURED_BYTES)
    return resource | ({"size": len(MARKDOWN.render(Page(outline, context.today())))} if outline else {})
