"""The context of every use case: a store, the files that reports may cite, and how a report is found.

Rules:

- A whole id is used without the catalogue. A title or a prefix is looked up there, and the entry is
  compared with the report itself: reading the report corrects a wrong entry, and the look-up is repeated.
- `verify` trusts the catalogue instead: opening a report could start a recovery and change its files.
- A repeated write may name its report by a title that the first call changed. The report is then found
  by the `request_id`, and by the titles that it had before and after that request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from living_reports.errors import Happened, ReportError, ReportNotFoundError, StorageFailedError
from living_reports.library.sources import Sources
from living_reports.model.report import IndexEntry, parse_uuid
from living_reports.model.selectors import folded, pick_report
from living_reports.store.files import Edit, GlobalStorage, Record, State

_CORRECTIONS = 5
_RETRY_REPORTS = 100
_RETRY_EVENTS = 1_000


class Context:
    """A store of reports and its surroundings.

    Args:
        root: The reports directory; the first report creates it.
        lock_timeout_seconds: How long a call waits for other writers of its report.
        sources: The folders whose files reports may cite by their hash and show as images.
    """

    def __init__(
        self, root: Path, *, lock_timeout_seconds: float = 30.0, sources: Iterable[Path] = ()
    ) -> None:
        self.storage = GlobalStorage(root, lock_timeout_seconds=lock_timeout_seconds)
        self.sources = Sources(sources)
        self.search: Any = None

    def today(self) -> date:
        """Return the current day in UTC."""
        return datetime.now(UTC).date()

    def read(self, selector: str) -> tuple[str, State]:
        """Return the id and the current state of the report that a selector names.

        Raises:
            ReportNotFoundError, AmbiguousSelectorError: No report matches, or several do.
            ReportError: It cannot be read.
        """
        if report_id := _whole_id(self.storage, selector):
            return report_id, self.storage.read(report_id)
        for entry in _candidates(self.storage, selector, writing=False):
            state = self.storage.read(entry.report_id)  # corrects the entry
            if _agrees(entry, state):
                break
        return entry.report_id, state

    @contextmanager
    def edit(self, selector: str, request_id: str = "", *, repair: bool = False) -> Iterator[Edit]:
        """Hold the report that a selector names; what is put is committed on a clean exit.

        Raises:
            ReportNotFoundError, AmbiguousSelectorError: No report matches, or several do.
            ReportError: It cannot be changed.
        """
        with ExitStack() as held:
            try:
                edit = self._hold(held, selector, repair)
            except ReportNotFoundError:
                report_id = _renamed_since(self.storage, selector, request_id) if request_id else ""
                if not report_id:
                    raise
                edit = held.enter_context(self.storage.edit(report_id, repair=repair))
            yield edit

    def _hold(self, held: ExitStack, selector: str, repair: bool) -> Edit:
        if report_id := _whole_id(self.storage, selector):
            return held.enter_context(self.storage.edit(report_id, repair=repair))
        for entry in _candidates(self.storage, selector, writing=True):
            with ExitStack() as attempt:
                edit = attempt.enter_context(self.storage.edit(entry.report_id, repair=repair))
                if _agrees(entry, edit.state):
                    held.enter_context(attempt.pop_all())
                    return edit
            self.storage.read(entry.report_id)  # corrects the entry
        return held.enter_context(self.storage.edit(entry.report_id, repair=repair))


@contextmanager
def disk_errors(happened: Happened) -> Iterator[None]:
    """Raise `StorageFailedError` for an error of the disk outside of a commit.

    Args:
        happened: Whether the call has taken effect at that moment.
    """
    try:
        yield
    except OSError as error:
        outcome = "Nothing was changed." if happened == "no" else "Whether it happened is unknown."
        raise StorageFailedError(
            f"The disk refused: {error.strerror or type(error).__name__}. {outcome}",
            happened=happened,
            hint="Fix the disk or its permissions, then send the same call again.",
        ) from error


# --- Finding a report ----------------------------------------------------------------------


def find_report(storage: GlobalStorage, selector: str, *, writing: bool) -> str:
    """Return the id of the report that a selector names.

    Raises:
        ReportNotFoundError, AmbiguousSelectorError: No report matches, or several do.
    """
    if report_id := _whole_id(storage, selector):
        return report_id
    for entry in _candidates(storage, selector, writing):
        try:
            if _agrees(entry, storage.read(entry.report_id)):
                break
        except ReportNotFoundError:
            raise
        except ReportError:
            break  # damaged or locked: the call itself reports that
    return entry.report_id


def find_unopened(storage: GlobalStorage, selector: str) -> str:
    """Return the id of the report that a selector names without opening any report.

    Raises:
        ReportNotFoundError, AmbiguousSelectorError: No report matches, or several do.
    """
    if report_id := _whole_id(storage, selector):
        return report_id
    return pick_report(storage.index.entries().values(), selector, writing=False).report_id


def active_entries(storage: GlobalStorage) -> list[IndexEntry]:
    """Return the catalogue entries of all reports that are not in the trash."""
    return [entry for entry in storage.entries() if not entry.path.startswith(".trash")]


def _whole_id(storage: GlobalStorage, selector: str) -> str:
    """Return the id that the selector is, if there is such a report."""
    try:
        report_id = parse_uuid(selector.strip())
    except ValueError:
        return ""
    return report_id if storage.exists(report_id) else ""


def _candidates(storage: GlobalStorage, selector: str, writing: bool) -> Iterator[IndexEntry]:
    """Yield the matching entry, and again after each correction of the catalogue."""
    for _ in range(_CORRECTIONS):
        yield pick_report(active_entries(storage), selector, writing)


def _agrees(entry: IndexEntry, state: State) -> bool:
    """Return True if the selector that picked the entry would pick this report, too."""
    outline = state.outline
    return state.refusal is not None or (outline.title, outline.status) == (entry.current_title, entry.status)


def _renamed_since(storage: GlobalStorage, selector: str, request_id: str) -> str:
    """Return the report that had this title when a request was made; empty if there is none."""
    newest_first = sorted(active_entries(storage), key=lambda entry: entry.updated_at, reverse=True)
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
    """Return the report's titles before and after an event."""
    before = [str(edit.get("old")) for edit in record.delta if edit.get("at") == "title"]
    try:
        after = storage.outline_at(report_id, record.version, storage.read(report_id)).title
    except ReportError:
        return {folded(title) for title in before}
    return {folded(title) for title in (*before, after)}
