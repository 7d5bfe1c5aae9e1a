"""Whether files are what their logs say: of one report, or of a whole root; and what can be mended.

Rules:

- The files are judged as they are found: no report is opened, so nothing recovers, before that.
- Each finding of a root says what to do about it. `ok` is false where there are errors or
  warnings; what is only worth knowing (`info`) leaves it true.
- A repair is a check, what can be mended without guessing, and a second check: what is gone
  from the findings was repaired.

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
    "The history was changed by something else than this program. Compare the folder with a copy of "
    "your own (a backup, git, an export); nothing here can tell which of the two is true."
)
_HINTS = {
    "backup_mismatch": "The log can still make every version; put the file back from a copy of your own.",
    "bad_entry": "Nothing has to be done.",
    "busy": "Look again once the other process is done.",
    "damaged": "Reads give the last good version, if any; revert --to-version puts one in place again.",
    "deletion_unfinished": _REPAIR,
    "empty_folder": "If it is truly empty and no longer in use, doctor --repair removes it.",
    "entry_missing": _REPAIR,
    "entry_stale": _REPAIR,
    "entry_without_report": "Restore the report's folder from a copy of your own if it should be there.",
    "foreign": "Nothing has to be done.",
    "leftover": "doctor --repair removes it once it is a minute old and its writer is gone.",
    "pending_mark": _REPAIR,
    "set_aside": "Look whether anything in it is still wanted, then remove it.",
    "stray_file": "Move it elsewhere if it does not belong here.",
    "symlink": "Put the folder itself into its place.",
    "unreadable": "Mend the permissions or the disk, then look again.",
    "unsettled": _REPAIR,
    "version_lost": "The other versions are not affected. Compare the log with a copy of your own.",
    "wrong_report": "A copy of a folder is not a report of its own: take it out of by_id.",
}
"""What to do about a finding, by its code; other codes tell of an altered history."""


# --- One report ---------------------------------------------------------------------------


def verify_report(storage: Store, report: str, expect: str = "") -> Row:
    """Whether a report's files are whole, and, with `expect`, still lead to a noted head.

    Args:
        storage: The root.
        report: A selector; the index is believed, since no report is opened.
        expect: `VERSION:HASH`, the version and the `head_sha256` once noted; empty for none.

    Returns:
        `report_id version verified{ok events head_sha256 findings[{line code message}]}`

    Raises:
        InvalidInputError: `expect` is not of this form.
        ReportError: The selector or the disk.
    """
    expected = parse_expected(expect) if expect else None
    report_id = find_unopened(storage, report)
    verified = storage.verify(report_id, expected)
    return {
        "report_id": report_id,
        "version": newest_version(storage.events(report_id)),
        "verified": verified,
    }


def parse_expected(text: str) -> Expected:
    """The version and the hash in `VERSION:HASH`.

    Raises:
        InvalidInputError: It is not of this form.
    """
    match = _EXPECTED.match(text.strip().lower())
    if match is None:
        raise InvalidInputError(
            "What to expect is a version and the hash noted for it.",
            hint="Give VERSION:HASH, such as 12: and the 64 digits that verify named as head then.",
            path="expect",
        )
    return int(match[1]), match[2]


# --- A whole root -------------------------------------------------------------------------


def check_storage(
    storage: Store,
    *,
    mend: bool = False,
    deep: bool = False,
    say: Progress = lambda what, done, total: None,
) -> Row:
    """Check every report of a root, its trash, its index and what lies about.

    Args:
        storage: The root.
        mend: Repair what can be repaired without guessing, and check again.
        deep: Replay every version, too.
        say: Called with what is being done, the folders done, and their number.

    Returns:
        `ok root reports findings[{code severity file line message hint report_id title}]`, and
        with `mend` also `repaired[]`: what was found at first and is no more.

    Raises:
        StorageFailedError: A folder of the root cannot be read.
    """
    count = 0

    def told(step: str, done: int, total: int) -> None:
        nonlocal count
        count = total
        say(step, done, total)

    found = storage.check(deep=deep, progress=told)
    answer: Row = {"root": storage.location}
    if mend and found:
        storage.repair(found, say)
        left = storage.check(deep=deep, progress=told)
        answer["repaired"] = _rows(storage, _gone(found, left))
        found = left
    elif mend:
        answer["repaired"] = []
    is_ok = all(finding.severity == "info" for finding in found)
    return {"ok": is_ok, "reports": count} | answer | {"findings": _rows(storage, found)}


def _gone(before: Sequence[Finding], after: Sequence[Finding]) -> list[Finding]:
    left = {_key(finding) for finding in after}
    return [finding for finding in before if _key(finding) not in left]


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.report, finding.file, finding.code


def _rows(storage: Store, findings: Sequence[Finding]) -> list[Row]:
    trashed = {entry.report_id: entry.current_title for entry in storage.trashed()} if findings else {}
    titles = {report: _title(storage, report, trashed) for report in {finding.report for finding in findings}}
    return [_row(finding, titles[finding.report]) for finding in findings]


def _title(storage: Store, report_id: str, trashed: dict[str, str]) -> str:
    """Return the title of a report; empty where it cannot be read."""
    outline = storage.glance(report_id, MAX_REPORT_BYTES) if report_id else None
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
        "hint": _hint(finding),
        "report_id": finding.report,
        "title": title,
    }
    return {name: value for name, value in row.items() if value not in ("", 0)}


def _hint(finding: Finding) -> str:
    if finding.code in _HINTS:
        return _HINTS[finding.code]
    return _REPAIR if finding.severity == "warning" else _ALTERED
