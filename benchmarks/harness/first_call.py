"""Print the milliseconds of the first library call of a process, without imports.

$ python benchmarks/harness/first_call.py ROOT update REPORT INSIGHT
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from living_reports.library import Library
from living_reports.library.requests import CreateReport, GetReport, UpdateReport
from living_reports.model.event import Author

AUTHOR = Author("agent", "bench")


def main() -> None:
    root, call, report, insight = sys.argv[1:]
    start = time.perf_counter()
    library = Library(Path(root))
    match call:
        case "update":
            change = {"op": "edit_insight", "insight": insight, "summary": f"found at {time.time()}"}
            library.update_report(UpdateReport(report, [change]), author=AUTHOR)
        case "get":
            library.get_report(GetReport(report))
        case "create":
            library.create_report(CreateReport("Another"), author=AUTHOR)
    print((time.perf_counter() - start) * 1000)


if __name__ == "__main__":
    main()
