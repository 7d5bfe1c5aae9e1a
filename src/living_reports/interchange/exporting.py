"""A report and its whole history as one file, which `import` takes back.

Rules: the log's bytes are those of the report, so the chain and every version stay what they
are. A file that is there is not written over. A report that is damaged is refused: nobody could
import it.

    >>> export_report(open_store("reports"), "Log4j guidance")
    {'report_id': '5f9d…', 'title': 'Log4j guidance', 'version': 12, 'path': '5f9d….report.tar', …}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from living_reports.errors import InvalidInputError, StorageFailedError
from living_reports.library.context import find_report
from living_reports.store.base import Store
from living_reports.store.files import durable

ENDING = ".report.tar"

Row = dict[str, Any]


def export_report(storage: Store, report: str, output: Path | None = None) -> Row:
    """Write a report into a file: `output`, else one that its id names, right here.

    Raises:
        InvalidInputError: The file is there already, or its folder is not.
        CorruptReportError: The report is damaged, or not what its log says.
        StorageFailedError: The disk refused; nothing is left of the file.
        ReportError: The selector; see `find_report`.
    """
    report_id = find_report(storage, report, writing=False)
    state = storage.read(report_id)
    data = storage.export(report_id)
    path = output or Path(report_id + ENDING)
    try:
        durable.write_new(path, data)
    except (FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise InvalidInputError(
            f"{path} cannot be written: {(error.strerror or '').lower()}.",
            hint="Name a new file, in a folder that is there.",
            path="output",
        ) from error
    except OSError as error:
        raise StorageFailedError(
            f"{path} could not be written: {error.strerror}. Nothing is left of it.",
            happened="no",
            hint="Make room or mend the permissions, then export again.",
        ) from error
    row: Row = {"report_id": report_id, "title": state.outline.title, "version": state.version}
    return row | {"path": str(path), "bytes": len(data)}
