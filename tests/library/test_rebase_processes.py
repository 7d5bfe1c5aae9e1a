"""Two processes write different sections of one report, each always against an old version."""

from __future__ import annotations

from pathlib import Path

import pytest

from living_reports.library import Library
from living_reports.library.requests import AuditReport, CreateReport
from support.library_reports import ANN
from support.processes import run_together

UPDATES = 100
SECTIONS = ("Left", "Right")

WRITER = """
import json, sys
from pathlib import Path
from living_reports.library import Library
from living_reports.library.requests import UpdateReport
from living_reports.model.event import Author

root, report, section, updates, how = sys.argv[1:]
library, author = Library(Path(root)), Author("agent", section)
print("ready", flush=True)
sys.stdin.readline()
acknowledged, seen = [], 1
for number in range(int(updates)):
    change = {"op": "append_text", "section": section, "text": f"{section} {number}"}
    if how == "insights":
        change = {"op": "add_insight", "section": section, "summary": f"{section} {number}"}
    answer = library.update_report(UpdateReport(report, [change], expected_version=seen), author)
    acknowledged.append([answer["version"], answer.get("rebased_over", []), seen])
    seen = seen if how == "insights" else answer["version"]
print(json.dumps(acknowledged), flush=True)
"""


def write_at_once(root: Path, report: str, how: str) -> list[tuple[int, list[int], int]]:
    """Return what was acknowledged: the version, the versions it was rebased over, the one it expected."""
    answers = run_together(
        {section: ["-c", WRITER, str(root), report, section, str(UPDATES), how] for section in SECTIONS}
    )
    return sorted((made, over, seen) for answer in answers.values() for made, over, seen in answer)


@pytest.mark.parametrize("how", ["prose", "insights"])
def test_different_sections_never_get_in_each_others_way(tmp_path: Path, how: str) -> None:
    """With prose each expects the version that it made itself; with insights, always the first."""
    library = Library(tmp_path)
    report = library.create_report(
        CreateReport("Shared", [{"title": name} for name in SECTIONS]), author=ANN
    )["report_id"]
    acknowledged = write_at_once(tmp_path, report, how)
    assert [version for version, _, _ in acknowledged] == list(range(2, 2 * UPDATES + 2))
    for version, over, seen in acknowledged:
        assert over == list(range(seen + 1, version))
    assert any(over for _, over, _ in acknowledged)
    outline = library.store.read(report).outline
    summaries = {insight.insight_id: insight.summary for insight in outline.insights}
    for section in outline.sections:
        written = [f"{section.title} {number}" for number in range(UPDATES)]
        kept = [summaries[one] for one in section.insight_ids]
        assert (kept if how == "insights" else (section.content or "").split("\n\n")) == written
    verified = library.audit_report(AuditReport(report, verify=True, limit=1))["verified"]
    assert (verified["ok"], verified["events"]) == (True, 2 * UPDATES + 1)
