"""What all imports share: reading what is given, refusing what is there, and what is said afterwards.

Rules: a report that is there already, here or in the trash, is never imported over. No refusal
names a path that the caller did not give.

    >>> require_new(storage, report_id)
    InvalidInputError: Report 5f9d12ab-… is in the trash.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from living_reports.errors import InvalidInputError
from living_reports.store.base import Store

Row = dict[str, Any]


def require_new(storage: Store, report_id: str) -> None:
    """Refuse a report that is there already.

    Raises:
        InvalidInputError: It is, here or in the trash.
    """
    place = storage.locate(report_id)
    if not place:
        return
    in_trash = place == "trash"
    raise refused(
        f"Report {report_id} is {'in the trash' if in_trash else 'there already'}.",
        f"{'restore' if in_trash else 'get'} {report_id} shows what is there; nothing was changed.",
        report_id=report_id,
    )


def row_of(storage: Store, report_id: str, is_created: bool) -> Row:
    """Return the row of an imported report; one that was not created was brought in by another process."""
    if not is_created:
        require_new(storage, report_id)
    state = storage.read(report_id)
    row: Row = {"report_id": report_id, "title": state.outline.title, "version": state.version}
    return row | ({"warnings": list(state.warnings)} if state.warnings else {})


def refused(message: str, hint: str, **details: str) -> InvalidInputError:
    """The refusal of what was given."""
    return InvalidInputError(message, hint=hint, path="path", **details)


def unreadable(name: str, error: OSError) -> InvalidInputError:
    """The refusal of what the disk does not give."""
    return refused(f"{name} cannot be read: {error.strerror}.", "Mend that, then import it again.")


def read_file(path: Path, limit: int) -> bytes:
    """What a file holds; one byte too many where that is more than `limit` bytes.

    Raises:
        InvalidInputError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise unreadable(path.name, error) from error
