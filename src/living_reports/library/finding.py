"""Which report a caller means, and whether the index is right about it.

Rules:

- A whole id is believed without the index. A title or a prefix is looked up in the index and
  then compared with the report itself: a wrong entry is corrected, and the look-up begins anew.
- Who judges the files as they are found believes the index: opening a report would let it recover.
- A read that finds an entry wrong corrects it, under the report's lock, so that it cannot
  overwrite the entry of a change made meanwhile. A process that has not read the index yet, since
  all its calls came with ids, finds out with its first list.
- A repeated call may name its report by a title that the first one changed: what had this
  title when the call was made is found by its `request_id`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from living_reports.errors import ReportError, ReportNotFoundError
from living_reports.model.report import IndexEntry, parse_uuid
from living_reports.model.selectors import folded, pick_report
from living_reports.store.files import GlobalStorage, Record
from living_reports.store.files.index import entry_of

_CORRECTIONS = 5
_RETRY_REPORTS = 100
_RETRY_EVENTS = 1_000


def find_report(storage: GlobalStorage, selector: str, *, writing: bool, request_id: str = "") -> str:
    """The id of the report that a selector names.

    Raises:
        ReportNotFoundError, AmbiguousSelectorError: None answers to it, or several.
    """
    try:
        report_id = parse_uuid(selector.strip())
    except ValueError:
        pass
    else:
        if storage.exists(report_id):
            return report_id
    try:
        return _look_up(storage, selector, writing)
    except ReportNotFoundError:
        report_id = _renamed_since(storage, selector, request_id) if request_id else ""
        if not report_id:
            raise
        return report_id


def find_unopened(storage: GlobalStorage, selector: str) -> str:
    """The id of the report that a selector names, without a look into any: what is there stays as found.

    Raises:
        ReportNotFoundError, AmbiguousSelectorError: None answers to it, or several.
    """
    try:
        report_id = parse_uuid(selector.strip())
    except ValueError:
        pass
    else:
        if storage.exists(report_id):
            return report_id
    return pick_report(storage.index.entries().values(), selector, writing=False).report_id


def living(storage: GlobalStorage) -> list[IndexEntry]:
    """The entries of all reports but those in the trash."""
    return [entry for entry in storage.entries() if not entry.path.startswith(".trash")]


def _look_up(storage: GlobalStorage, selector: str, writing: bool) -> str:
    for _ in range(_CORRECTIONS):
        entry = pick_report(living(storage), selector, writing)
        try:
            state = storage.read(entry.report_id)  # corrects the entry
        except ReportNotFoundError:
            raise
        except ReportError:
            break  # damaged, or busy: the call itself says so
        if state.refusal is not None or entry_of(state.outline, entry.path) == entry:
            break
    return entry.report_id


def _renamed_since(storage: GlobalStorage, selector: str, request_id: str) -> str:
    """The report that had this title when it was asked for this request; `""` if none had."""
    newest_first = sorted(living(storage), key=lambda entry: entry.updated_at, reverse=True)
    for entry in newest_first[:_RETRY_REPORTS]:
        record = next(_requests(storage, entry.report_id, request_id), None)
        if record is not None and folded(selector) in _titles(storage, entry.report_id, record):
            return entry.report_id
    return ""


def _requests(storage: GlobalStorage, report_id: str, request_id: str) -> Iterator[Record]:
    for record in islice(storage.events(report_id), _RETRY_EVENTS):
        if b'"request_id":' in record.raw and (record.data or {}).get("request_id") == request_id:
            yield record


def _titles(storage: GlobalStorage, report_id: str, record: Record) -> set[str]:
    """The report's title before an event and after it."""
    before = [str(edit.get("old")) for edit in record.delta if edit.get("at") == "title"]
    try:
        after = storage.outline_at(report_id, record.version, storage.read(report_id)).title
    except ReportError:
        return {folded(title) for title in before}
    return {folded(title) for title in (*before, after)}
