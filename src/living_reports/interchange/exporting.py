"""Export of a report and its whole history into one file, which `import` reads.

Rules: the log's bytes are those of the report, so that the chain and all versions stay the same. An
existing file is not overwritten. A damaged report is refused, because no import would accept it.

    >>> export_report(open_store("reports"), "Log4j guidance")
    {'report_id': '5f9d…', 'title': 'Log4j guidance', 'version': 12, 'path': '5f9d….report.tar', …}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from living_reports.errors import InvalidInputError, StorageFailedError
from living_reports.library.context import find_report
from living_reports.store import write_new_file
from living_reports.store.base import Store

SUFFIX = ".report.tar"

Row = dict[str, Any]


def export_report(store: Store, report: str, output: Path | None = None) -> Row:
    """Write a report to a file: `output`, else one in the current folder that is named after its id.

    Raises:
        InvalidInputError: The file exists already, or its folder does not.
        CorruptReportError: The report is damaged, or differs from its log.
        StorageFailedError: The disk refused; nothing is left of the file.
        ReportError: The selector; see `find_report`.
    """
    report_id = find_report(store, report, writing=False)
    snapshot = store.read(report_id)
    data = store.export(report_id)
    path = output or Path(report_id + SUFFIX)
    try:
        write_new_file(path, data)
    except (FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise InvalidInputError(
            f"{path} cannot be written: {(error.strerror or '').lower()}.",
            hint="Name a new file in an existing folder.",
            path="output",
        ) from error
    except OSError as error:
        raise StorageFailedError(
            f"{path} could not be written: {error.strerror}. Nothing is left of it.",
            happened="no",
            hint="Make room or repair the permissions, then export again.",
        ) from error
    row: Row = {"report_id": report_id, "title": snapshot.outline.title, "version": snapshot.version}
    return row | {"path": str(path), "bytes": len(data)}
