"""Addresses by which one report cites a version of another.

Rules:

- The address is `report://<report id>/v/<version>`. It names the version that was read, not the
  place of its files, and is the `url` of a citation of source `url`, like the address of a page.
- A part after `#` names a section or an insight by id, short id or title, and cites this item alone.
- Parsing accepts any case of the scheme and ids without dashes; `report_address` returns one form.

    >>> cited_version(Citation(source="url", url="report://5f9d12ab-…/v/4"))
    ('5f9d12ab-…', 4)
"""

from __future__ import annotations

import re

from living_reports.model.report import Citation, as_uuid

_ADDRESS = re.compile(r"report://([^/#?@]*)(?:/v/([0-9]{1,9})(?=[/#?]|$))?", re.IGNORECASE)


def report_address(report_id: str, version: int) -> str:
    """Return the address of a report at a version."""
    return f"report://{report_id}/v/{version}"


def is_report_address(url: str) -> bool:
    """Return whether the address has the scheme of reports, even if it is malformed."""
    return url.partition("://")[0].casefold() == "report" and "://" in url


def report_of(url: str) -> str | None:
    """Return the report id of an address; `None` if the address is not of a report."""
    found = _ADDRESS.match(url)
    return (as_uuid(found[1]) or None) if found else None


def cited_version(citation: Citation) -> tuple[str, int] | None:
    """Return the report id and version that a citation names; `None` if it names no version."""
    report_id = report_of(url := citation.url or "")
    found = _ADDRESS.match(url)
    return (report_id, int(found[2])) if report_id and found and found[2] else None


def cited_item(citation: Citation) -> str:
    """Return the item of a report that a citation names, as it is written; empty if it cites all of it."""
    found = _ADDRESS.match(url := citation.url or "")
    if found is None:
        return ""
    path, _, part = url[found.end() :].partition("#")
    return part or path.partition("?")[0].strip("/")
