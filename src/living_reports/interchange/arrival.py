"""Shared by all imports: reading the source, refusing reports that exist, and the row of the answer.

>>> require_new(store, report_id)
InvalidInputError: Report 5f9d12ab-… is in the trash.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from living_reports.errors import InvalidInputError
from living_reports.regular_files import read_regular
from living_reports.store.base import Store

Row = dict[str, Any]


def require_new(store: Store, report_id: str) -> None:
    """Refuse a report that exists already.

    Raises:
        InvalidInputError: It exists, here or in the trash.
    """
    place = store.locate(report_id)
    if not place:
        return
    where, command = ("in the trash", "restore") if place == "trash" else ("there already", "get")
    raise refusal(
        f"Report {report_id} is {where}.",
        f"{command} {report_id} shows what is there; nothing was changed.",
        report_id=report_id,
    )


def imported_row(store: Store, report_id: str, is_created: bool) -> Row:
    """Return the row of an imported report.

    Raises:
        InvalidInputError: It was not created, because it exists already.
    """
    if not is_created:
        require_new(store, report_id)
    snapshot = store.read(report_id)
    row: Row = {"report_id": report_id, "title": snapshot.outline.title, "version": snapshot.version}
    return row | ({"warnings": list(snapshot.warnings)} if snapshot.warnings else {})


def refusal(message: str, hint: str, **details: str) -> InvalidInputError:
    """Return the error for a source that cannot be imported."""
    return InvalidInputError(message, hint=hint, path="path", **details)


def unreadable(name: str, error: OSError) -> InvalidInputError:
    """Return the error for a source that cannot be read."""
    return refusal(f"{name} cannot be read: {error.strerror}.", "Repair that, then import it again.")


def read_file(path: Path, limit: int) -> bytes:
    """Return the first `limit + 1` bytes of a file.

    Raises:
        InvalidInputError: It cannot be read.
    """
    try:
        return read_regular(path, limit + 1)
    except OSError as error:
        raise unreadable(path.name, error) from error
