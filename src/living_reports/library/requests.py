"""The request of each use case: the parameters of the tool of the same name, with their defaults.

The server builds a request from checked arguments, the command line from its options, and
`Library` takes it. A value that is empty or 0 is not stated.

    >>> library.get_report(GetReport("Health", view="full"))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from living_reports.errors import InvalidInputError
from living_reports.reading.requests import GetReport

__all__ = [
    "BY_TOOL",
    "AuditReport",
    "CheckReport",
    "CreateReport",
    "DiffReport",
    "GetReport",
    "ListReports",
    "RenderReport",
    "RestoreReport",
    "RevertReport",
    "TrashReport",
    "UpdateReport",
    "checked_limit",
]


@dataclass(frozen=True)
class CreateReport:
    """Create a report: from sections, from a template, as a fork, or from several reports."""

    title: str
    sections: Sequence[Any] = ()
    tags: Sequence[str] = ()
    template: str = ""
    from_reports: Sequence[str] = ()
    reason: str = ""
    dry_run: bool = False
    request_id: str = ""


@dataclass(frozen=True)
class UpdateReport:
    """Apply changes to a report as one version."""

    report: str
    changes: Sequence[Any]
    reason: str = ""
    expected_version: int = 0
    dry_run: bool = False
    request_id: str = ""


@dataclass(frozen=True)
class RevertReport:
    """Bring earlier content back as a new version.

    Attributes:
        report: The report's selector.
        to_version: The version to go back to. On a damaged report this repairs it.
        undo: A version, a range such as `14-17`, or an `action_id`: the only changes to take back.
        item: The section (with its insights) or the insight that either is limited to.
        reason: The reason to record.
        expected_version: The version that the caller has seen.
        dry_run: Whether to answer what would change, without a commit.
        request_id: Makes a repeated call harmless.
    """

    report: str
    to_version: int = 0
    undo: str | int = ""
    item: str = ""
    reason: str = ""
    expected_version: int = 0
    dry_run: bool = False
    request_id: str = ""


@dataclass(frozen=True)
class ListReports:
    """List reports and their matches."""

    query: str = ""
    tags: Sequence[str] = ()
    status: str = ""
    cites: str = ""
    stale: bool = False
    sort: str = ""
    limit: int = 0
    cursor: str = ""


@dataclass(frozen=True)
class AuditReport:
    """List the events of a report, newest first; with `verify` also check its files."""

    report: str
    since: str | int = ""
    item: str = ""
    text: str = ""
    actor: str = ""
    action_type: str = ""
    verify: bool = False
    limit: int = 0
    cursor: str = ""


@dataclass(frozen=True)
class DiffReport:
    """Compare two versions of a report; see `library.diff`.

    Attributes:
        report: The report's selector.
        since: The version to begin with, or the day or time at which it was current.
        to_version: The version to end with; the current one by default.
        format: `changes`, or `text` for a unified diff of the pages.
        cursor: The `next_cursor` of the page before.
    """

    report: str
    since: str | int = ""
    to_version: int = 0
    format: str = ""
    cursor: str = ""


@dataclass(frozen=True)
class CheckReport:
    """Check a report for what is stale, unproven or broken, as of a day."""

    report: str
    on: str = ""
    cursor: str = ""


@dataclass(frozen=True)
class RenderReport:
    """Render a report as a page, as text or into a file. The default format is Markdown."""

    report: str
    format: str = ""
    version: int = 0
    to_file: bool = False


@dataclass(frozen=True)
class TrashReport:
    """Move a report into the trash."""

    report: str
    reason: str = ""


@dataclass(frozen=True)
class RestoreReport:
    """Bring a report back from the trash, by its id or a prefix of it."""

    report: str


MAX_LIMIT = 100
DEFAULT_LIMIT = 20


def checked_limit(limit: int) -> int:
    """Return the number of rows to give at most; the default where it is not stated.

    Raises:
        InvalidInputError: It is out of range.
    """
    if not 0 <= limit <= MAX_LIMIT:
        raise InvalidInputError(
            f"limit is {limit}.", hint=f"Give 1 to {MAX_LIMIT}.", path="limit", allowed=f"1 to {MAX_LIMIT}"
        )
    return limit or DEFAULT_LIMIT


BY_TOOL: dict[str, type] = {
    "create_report": CreateReport,
    "update_report": UpdateReport,
    "get_report": GetReport,
    "list_reports": ListReports,
    "revert_report": RevertReport,
    "audit_report": AuditReport,
    "diff_report": DiffReport,
    "check_report": CheckReport,
    "render_report": RenderReport,
}
"""The request of each MCP tool."""
