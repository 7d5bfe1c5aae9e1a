"""The pages made of a report, in its folder `render/`.

Rules:

- A page is there whole or not at all, and a newer one of the same name takes its place at once.
- It comes with one event that makes no version. The event is there before the page has its name:
  a page that nobody can account for is never seen.
- Pages can be made again: their names are not synced.

    >>> write_page(storage, "report-v4.html", page, event).name
    'report-v4.html'
"""

from __future__ import annotations

from pathlib import Path

from living_reports.errors import ReportError, StorageFailedError
from living_reports.model.event import AuditEvent
from living_reports.store.files import durable
from living_reports.store.files.report import ReportStorage

PAGES_FOLDER = "render"


def write_page(report: ReportStorage, name: str, data: bytes, event: AuditEvent) -> Path:
    """Put a page into the report's folder and append its event. Takes a held lock.

    Raises:
        OSError: The page could not be written; nothing was changed.
        StorageFailedError: The event or the renaming failed; the error says whether it happened.
    """
    folder = report.report_dir / PAGES_FOLDER
    durable.make_folder(folder)
    unfinished = folder / f".{name}.tmp"
    durable.remove(unfinished)  # of one who died on the way
    durable.write_new(unfinished, data)
    try:
        report.append_audit_event(event)
    except ReportError:
        durable.remove(unfinished)
        raise
    try:
        durable.replace(unfinished, folder / name)
    except OSError as error:
        raise StorageFailedError(
            f"The page was recorded, but the disk refused to put it in place: {error.strerror}.",
            happened="unknown",
            hint="Mend the disk or its permissions, then render it again.",
        ) from error
    return folder / name
