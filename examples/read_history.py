"""Read the history of a report with the library and from its files, without a server.

    python examples/read_history.py [--root DIR] [--report NAME]

Without `--report`, the example writes a small report first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

from living_reports.library import Library
from living_reports.library.requests import AuditReport, CreateReport, GetReport, RevertReport, UpdateReport
from living_reports.model.event import Author

WRITER = Author("agent", "example")
TITLE = "Reading list"


def write(library: Library) -> str:
    """Create a report with four versions and return its id."""
    section = {"title": "To read", "content": "A paper on version control.\n"}
    report: str = library.create_report(CreateReport(TITLE, sections=[section]), author=WRITER)["report_id"]
    for book in ("A book on glaciers", "A book on bridges"):
        change = {"op": "append_text", "section": "To read", "text": f"{book}.\n"}
        library.update_report(UpdateReport(report, [change], reason=f"{book} was recommended"), author=WRITER)
    library.revert_report(RevertReport(report, 2, reason="Bridges can wait"), author=WRITER)
    return report


def main(root: str, report: str) -> None:
    library = Library(Path(root))
    report_id = report or write(library)

    # Every version can be read, and the audit trail has its author and reason.
    events = library.audit_report(AuditReport(report_id, limit=100))["events"]
    for event in reversed(events):
        page = library.get_report(
            GetReport(report_id, version=event["version"], view="markdown", max_chars=200_000)
        )
        words = len(page["text"].split())
        what = f"{event['ts'][:19]}  {event['action_type']:<7} {words:>4} words"
        print(f"v{event['version']}  {what}  {event.get('reason', '-')}")

    # The log is a chain of SHA-256 hashes, and its last line has the hash of outline.json.
    folder = Path(root) / "by_id" / library.get_report(GetReport(report_id))["report_id"]
    lines = (folder / "audit.jsonl").read_bytes().splitlines()
    previous = b""
    for number, line in enumerate(lines, 1):
        if json.loads(line)["payload"]["prev_sha256"] != hashlib.sha256(previous).hexdigest():
            raise SystemExit(f"line {number} does not follow from the line before")
        previous = line
    outline = hashlib.sha256((folder / "outline.json").read_bytes()).hexdigest()
    same = outline == json.loads(previous)["payload"]["outline_sha256"]
    print(f"chain   {len(lines)} lines, each follows from the one before")
    print(f"outline sha256 {outline[:16]}… {'is' if same else 'IS NOT'} what the last line says")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="", metavar="DIR", help="the reports (default: a new folder)")
    parser.add_argument("--report", default="", metavar="NAME", help="an existing report")
    options = parser.parse_args()
    main(options.root or tempfile.mkdtemp(prefix="living-reports-"), options.report)
