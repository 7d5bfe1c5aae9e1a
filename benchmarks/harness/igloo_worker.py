"""Call the service of igloo-mcp over pipes: run with its own interpreter, `igloo_worker.py ROOT`.

A line `REPORT_ID WORDS` puts the words into the report's first insight by reading, changing and
updating the outline, as the callers of the service do. The answer is a line with the milliseconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from igloo_mcp.living_reports.service import ReportService  # type: ignore[import-not-found]


def main() -> None:
    service = ReportService(reports_root=Path(sys.argv[1]))
    print("ready", flush=True)
    for line in sys.stdin:
        report_id, _, words = line.rstrip("\n").partition(" ")
        start = time.perf_counter()
        outline = service.get_report_outline(report_id)
        outline.insights[0].summary = words
        service.update_report_outline(report_id, outline, actor="agent")
        print((time.perf_counter() - start) * 1000, flush=True)


if __name__ == "__main__":
    main()
