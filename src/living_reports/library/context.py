"""The context of every use case: a store, the files that reports may cite, and how a report is found.

Rules:

- A whole id is used without the catalogue. A title or a prefix is looked up there, and the entry is
  compared with the report itself: reading the report corrects a wrong entry, and the look-up is repeated.
- A read by a name that a change would refuse, such as a part of the title, says in `warnings` which report
  it is.
- `verify` trusts the catalogue instead: opening a report could start a recovery and change its files.
- A repeated write may name its report by a title that the first call changed. The report is then found
  by the `request_id`, and by the titles that it had before and after that request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

from living_reports.errors import ReportError, ReportNotFoundError
from living_reports.library.sources import Sources
from living_reports.model.report import ID_CHARS, IndexEntry, as_uuid, folded
from living_reports.model.selectors import is_whole_name, pick_report, quoted
from living_reports.store import open_store
from living_reports.store.base import Event, Snapshot, Store, Transaction

_CORRECTIONS = 5
_RETRY_REPORTS = 100
_RETRY_EVENTS = 1_000


class Context:
    """A store of reports and its surroundings.

    Args:
        store: The store, or its path or URL; the first report creates it.
        lock_timeout_s: How long a call waits for other writers of its report, where `store` is a
            path or URL.
        sources: The folders whose files reports may cite by their hash and show as images.
    """

    def __init__(
        self, store: Store | Path | str, *, lock_timeout_s: float = 30.0, sources: Iterable[Path] = ()
    ) -> None:
        if isinstance(store, str | Path):
            store = open_store(store, lock_timeout_s=lock_timeout_s)
        self.store: Store = store
        self.sources = Sources(sources)

    def today(self) -> date:
        """Return the current day in UTC."""
        return datetime.now(UTC).date()

    def now(self) -> str:
        """Return the current time in the form that events and items carry."""
        return datetime.now(UTC).isoformat()

    def read(self, selector: str, *, writing: bool = False) -> tuple[str, Snapshot]:
        """Return the id and the current state of the report that a selector names.

        Args:
            selector: The id, a prefix of it, or the title; a read also takes a part of the title.
            writing: Whether a change follows, for which a selector has to be more exact.

        Raises:
            ReportNotFoundError, AmbiguousSelectorError: No report matches, or several do.
            ReportError: It cannot be read.
        """
        if report_id := _whole_id(self.store, selector):
            return report_id, self.store.read(report_id)
        for entry in _candidates(self.store, selector, writing):
            snapshot = self.store.read(entry.report_id)  # corrects the entry
            if _agrees(entry, snapshot):
                break
        return entry.report_id, snapshot if writing else with_name(snapshot, selector)

    @contextmanager
    def edit(self, selector: str, request_id: str = "", *, repair: bool = False) -> Iterator[Transaction]:
        """Hold the report that a selector names; what is put is committed on a clean exit.

        Raises:
            ReportNotFoundError, AmbiguousSelectorError: No report matches, or several do.
            ReportError: It cannot be changed.
        """
        with ExitStack() as held:
            try:
                edit = self._hold(held, selector, repair)
            except ReportNotFoundError:
                report_id = _renamed_since(self.store, selector, request_id) if request_id else ""
                if not report_id:
                    raise
                edit = held.enter_context(self.store.edit(report_id, repair=repair))
            yield edit

    def _hold(self, held: ExitStack, selector: str, repair: bool) -> Transaction:
        if report_id := as_uuid(selector.strip()):
            with suppress(ReportNotFoundError):  # a title may look like an id
                return held.enter_context(self.store.edit(report_id, repair=repair))
        for entry in _candidates(self.store, selector, writing=True):
            with ExitStack() as attempt:
                edit = attempt.enter_context(self.store.edit(entry.report_id, repair=repair))
                if _agrees(entry, edit.snapshot):
                    held.enter_context(attempt.pop_all())
                    return edit
            self.store.read(entry.report_id)  # corrects the entry
        return held.enter_context(self.store.edit(entry.report_id, repair=repair))


# --- Finding a report ----------------------------------------------------------------------


def find_report(store: Store, selector: str, *, writing: bool) -> str:
    """Return the id of the report that a selector names.

    Raises:
        ReportNotFoundError, AmbiguousSelectorError: No report matches, or several do.
    """
    if report_id := _whole_id(store, selector):
        return report_id
    for entry in _candidates(store, selector, writing):
        try:
            if _agrees(entry, store.read(entry.report_id)):
                break
        except ReportNotFoundError:
            raise
        except ReportError:
            break  # damaged or locked: the call itself reports that
    return entry.report_id


def find_unopened(store: Store, selector: str) -> str:
    """Return the id of the report that a selector names without opening any report.

    Raises:
        ReportNotFoundError, AmbiguousSelectorError: No report matches, or several do.
    """
    if report_id := _whole_id(store, selector):
        return report_id
    return pick_report(store.known_entries(), selector, writing=False).report_id


def _whole_id(store: Store, selector: str) -> str:
    """Return the id that the selector is, if there is such a report."""
    report_id = as_uuid(selector.strip())
    return report_id if report_id and store.locate(report_id) == "active" else ""


def _candidates(store: Store, selector: str, writing: bool) -> Iterator[IndexEntry]:
    """Yield the matching entry, and again after each correction of the catalogue."""
    for _ in range(_CORRECTIONS):
        yield pick_report(store.entries(), selector, writing)


def _agrees(entry: IndexEntry, snapshot: Snapshot) -> bool:
    """Return True if the selector that picked the entry would pick this report, too."""
    outline = snapshot.outline
    return snapshot.refusal is not None or (outline.title, outline.status) == (
        entry.current_title,
        entry.status,
    )


def with_name(snapshot: Snapshot, selector: str) -> Snapshot:
    """Return the snapshot, with a warning that names the report if the selector is only part of a name."""
    outline = snapshot.outline
    if is_whole_name(outline, selector):
        return snapshot
    name = f"{quoted(outline.title)} ({outline.report_id[:ID_CHARS]})"
    warning = f"{quoted(selector)} was taken for {name}; to change it, send the whole title or the id"
    return replace(snapshot, warnings=(warning, *snapshot.warnings))


def _renamed_since(store: Store, selector: str, request_id: str) -> str:
    """Return the report that had this title when a request was made; empty if there is none."""
    newest_first = sorted(store.entries(), key=lambda entry: entry.updated_at, reverse=True)
    for entry in newest_first[:_RETRY_REPORTS]:
        record = next(_requests(store, entry.report_id, request_id), None)
        if record is not None and folded(selector) in _titles(store, entry.report_id, record):
            return entry.report_id
    return ""


def _requests(store: Store, report_id: str, request_id: str) -> Iterator[Event]:
    for record in islice(store.events(report_id), _RETRY_EVENTS):
        if record.mentions(request_id) and record.fields.get("request_id") == request_id:
            yield record


def _titles(store: Store, report_id: str, record: Event) -> set[str]:
    """Return the report's titles before and after an event."""
    before = [str(edit.get("old")) for edit in record.delta if edit.get("at") == "title"]
    try:
        after = store.outline_at(report_id, record.version, store.read(report_id)).title
    except ReportError:
        return {folded(title) for title in before}
    return {folded(title) for title in (*before, after)}
