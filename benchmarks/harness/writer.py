"""Update a report so many times after a line on stdin; the first update is made before.

$ python benchmarks/harness/writer.py ROOT REPORT 30
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from living_reports.library import Library
from living_reports.library.requests import UpdateReport
from living_reports.model.event import Author


def main() -> None:
    root, report, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    library, author = Library(root), Author("agent", f"writer {os.getpid()}")
    insight = library.store.read(report).outline.insights[0].insight_id

    def update(number: int) -> None:
        change = {"op": "edit_insight", "insight": insight, "summary": f"found by {os.getpid()}: {number}"}
        library.update_report(UpdateReport(report, [change]), author=author)

    update(0)  # the first update imports modules
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        update(number + 1)
    print("done", flush=True)


if __name__ == "__main__":
    main()
