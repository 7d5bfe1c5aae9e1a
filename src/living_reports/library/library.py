"""The facade: every use case as a method of one object.

Rules:

- A use case is a function of its own module that takes the context and a request (see `requests`). The
  class only binds these functions, so that a call enters no code of the facade.
- A method returns a JSON-ready object and raises `ReportError`s. All block: call them from a worker thread.
- A change is decided purely (`changes`, `model`) and made by the store in one commit, or not at all. A
  request that changes nothing makes no version.
- A repeated `request_id` gets the first answer again; it is looked up before `expected_version`.

    >>> library = Library(Path("reports"))
    >>> request = CreateReport("Health", [{"title": "Risks"}])
    >>> created = library.create_report(request, Author("cli", "ann"))
    >>> library.get_report(GetReport(created["report_id"]))["sections"][0]["title"]
    'Risks'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from living_reports.library.audit import audit_report
from living_reports.library.check import check_report
from living_reports.library.context import Context
from living_reports.library.create import create_report
from living_reports.library.diff import diff_report
from living_reports.library.get import get_report
from living_reports.library.listing import list_reports
from living_reports.library.render import render_report
from living_reports.library.revert import revert_report
from living_reports.library.trash import restore_report, trash_report
from living_reports.library.update import update_report

if TYPE_CHECKING:
    from living_reports.library.resources import Resource
    from living_reports.library.watch import ChangeWatcher


class Library(Context):
    """All use cases over one store."""

    create_report = create_report
    update_report = update_report
    revert_report = revert_report
    trash_report = trash_report
    restore_report = restore_report

    get_report = get_report
    list_reports = list_reports
    audit_report = audit_report
    diff_report = diff_report
    check_report = check_report
    render_report = render_report

    # Loaded with the first call: most clients only use tools.

    def list_resources(self, cursor: str = "") -> dict[str, Any]:
        """Return the active reports as resources; see `resources`."""
        from living_reports.library import resources

        return resources.list_resources(self, cursor)

    def read_resource(self, address: str) -> Resource:
        """Return the whole content at an address; see `resources`."""
        from living_reports.library import resources

        return resources.read_resource(self, address)

    def complete(self, kind: str, text: str, report: str = "") -> dict[str, Any]:
        """Return values for a text that a person is typing; see `completing`."""
        from living_reports.library import completing

        return completing.complete(self, kind, text, report)

    def watch(self) -> ChangeWatcher:
        """Return a watcher of followed addresses; see `watch`."""
        from living_reports.library import watch

        return watch.watch(self)
