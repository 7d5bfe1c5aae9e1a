"""Checks that reports are what their histories say: of one report, or of a whole root; and the repair.

Rules:

- The reports are checked as found: none is opened before, so that nothing recovers.
- Each finding of a root comes with a hint. `ok` is false if there are errors or warnings; remarks
  (`info`) leave it true.
- A repair is a check, a repair of everything that needs no guessing, and a second check. Findings that
  are gone in the second check were repaired.

    >>> verify_report(open_store("reports"), "Health", "12:9f86d0…")["verified"]["ok"]
    True
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from living_reports.changes import MAX_REPORT_BYTES
from living_reports.errors import InvalidInputError
from living_reports.library.context import find_unopened
from living_reports.reading.history import newest_version
from living_reports.store.base import Expected, Finding, Progress, Store

Row = dict[str, Any]

_EXPECTED = re.compile(r"^([1-9]\d{0,17}):([0-9a-f]{64})$")

_REPAIR = "doctor --repair settles it; so does opening the report or listing the root."
_ALTERED = (
    "Something other than this program changed the history. Compare the folder with a copy of your own "
    "(a backup, git, an export); this program cannot tell which of the two is true."
)
_HINTS = {
    "backup_mismatch": "The log still gives every version; restore the file from a copy of your own.",
    "backup_garbled": "Nothing has to be done.",
    "bad_entry": "Nothing has to be done.",
    "busy": "Check again when the other process has finished.",
    "damaged": "Reads give the last good version, if there is one; revert --to-version restores a version.",
    "empty_folder": "If it is really empty and no longer in use, doctor --repair removes it.",
    "entry_without_report": "Restore the report's folder from a copy of your own if it should exist.",
    "foreign": "Nothing has to be done.",
    "leftover": "doctor --repair removes it when it is a minute old and its writer is gone.",
    "set_aside": "Check whether you still need anything in it, then remove it.",
    "stray_file": "Move it elsewhere if it does not belong here.",
    "symlink": "Replace the link by the folder itself.",
    "unsettled": _REPAIR,
    "unreadable": "Repair the permissions or the disk, or remove what is no file; then check again.",
    "version_lost": "The other versions are not affected. Compare the log with a copy of your own.",
    "wrong_report": "A copy of a folder is not a report of its own: move it out of by_id.",
}
"""The hint for a finding, by its code. Other warnings are settled by a repair; other errors show a change."""


# --- One report ---------------------------------------------------------------------------


def verify_report(store: Store, report: str, expect: str = "") -> Row:
    """Verify that a report is what its history says, and that the history still contains a noted head.

    Args:
        store: The store.
        report: A selector. The catalogue is trusted, since no report is opened.
        expect: `VERSION:HASH`, a version and the `head_sha256` noted for it; empty for none.

    Returns:
        `report_id version verified{ok events head_sha256 findings[{line code message}]}`

    Raises:
        InvalidInputError: `expect` is not of this form.
        ReportError: The selector is wrong, or the report cannot be read.
    """
    expected = parse_expected(expect) if expect else None
    report_id = find_unopened(store, report)
    verified = store.verify(report_id, expected)
    version = newest_version(store.events(report_id))
    return {"report_id": report_id, "version": version, "verified": verified}


def parse_expected(text: str) -> Expected:
    """Parse `VERSION:HASH`.

    Raises:
        InvalidInputError: It is not of this form.
    """
    match = _EXPECTED.match(text.strip().lower())
    if match is None:
        raise InvalidInputError(
            "The expected state is a version and the hash that was noted for it.",
            hint="Give VERSION:HASH, such as 12: and the 64 digits that verify gave as its head.",
            path="expect",
        )
    return int(match[1]), match[2]


# --- A whole root -------------------------------------------------------------------------


def check_store(
    store: Store,
    *,
    repair: bool = False,
    deep: bool = False,
    progress: Progress = lambda step, done, total: None,
) -> Row:
    """Check every report of a store, the trash, the catalogue and leftover files.

    Args:
        store: The store.
        repair: Repair what needs no guessing, and check again.
        deep: Replay every version, too.
        progress: Called with the current step, the number of reports done, and their total.

    Returns:
        `ok root reports findings[{code severity file line message hint report_id title}]`, and
        with `repair` also `repaired[]`: the findings of the first check that are gone.

    Raises:
        StorageFailedError: A folder of the root cannot be read.
    """
    reports = 0

    def count(step: str, done: int, total: int) -> None:
        nonlocal reports
        reports = total
        progress(step, done, total)

    findings = store.check(deep=deep, progress=count)
    answer: Row = {"root": store.location}
    if repair:
        before = findings
        if before:
            store.repair(before, progress)
            findings = store.check(deep=deep, progress=count)
        left = {_key(finding) for finding in findings}
        answer["repaired"] = _rows(store, [finding for finding in before if _key(finding) not in left])
    is_ok = all(finding.severity == "info" for finding in findings)
    return {"ok": is_ok, "reports": reports} | answer | {"findings": _rows(store, findings)}


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.report, finding.file, finding.code


def _rows(store: Store, findings: Sequence[Finding]) -> list[Row]:
    trashed = {entry.report_id: entry.current_title for entry in store.trashed()} if findings else {}
    titles = {report: _title(store, report, trashed) for report in {finding.report for finding in findings}}
    return [_row(finding, titles[finding.report]) for finding in findings]


def _title(store: Store, report_id: str, trashed: dict[str, str]) -> str:
    """Return the title of a report; empty if it cannot be read."""
    outline = store.glance(report_id, MAX_REPORT_BYTES) if report_id else None
    if outline is not None and outline.report_id == report_id:
        return outline.title
    return trashed.get(report_id, "")


def _row(finding: Finding, title: str) -> Row:
    row: Row = {
        "code": finding.code,
        "severity": finding.severity,
        "file": finding.file,
        "line": finding.line,
        "message": finding.message,
        "hint": _HINTS.get(finding.code, _REPAIR if finding.severity == "warning" else _ALTERED),
        "report_id": finding.report,
        "title": title,
    }
    return {name: value for name, value in row.items() if value not in ("", 0)}
