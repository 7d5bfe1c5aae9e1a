"""How one report names another at one of its versions.

Rules:

- The address is `report://<report id>/v/<version>`. It says what was read, not where the files
  are, and goes into the `url` of a citation of source `url`: a report is read by its address,
  like a page, and no local file with a hash of its own.
- Scheme and dashes are read as a person may have written them; `report_address` writes one form.

    >>> cited_version(Citation(source="url", url="report://5f9d12ab-…/v/4"))
    ('5f9d12ab-…', 4)
"""

from __future__ import annotations

import re

from living_reports.model.report import Citation, parse_uuid

_ADDRESS = re.compile(r"report://([^/#?@]*)(?:/v/([0-9]{1,9})(?=[/#?]|$))?", re.IGNORECASE)


def report_address(report_id: str, version: int) -> str:
    """The address of a report at a version."""
    return f"report://{report_id}/v/{version}"


def is_report_address(url: str) -> bool:
    """Whether the address is one of a report, rightly written or not."""
    return url.partition("://")[0].casefold() == "report" and "://" in url


def report_of(url: str) -> str | None:
    """The id of the report that an address begins with; `None` if it is not the address of one."""
    found = _ADDRESS.match(url)
    try:
        return parse_uuid(found[1]) if found else None
    except ValueError:
        return None


def cited_version(citation: Citation) -> tuple[str, int] | None:
    """The report and the version of it that a citation names; `None` if it names no version."""
    report_id = report_of(url := citation.url or "")
    found = _ADDRESS.match(url)
    return (report_id, int(found[2])) if report_id and found and found[2] else None
