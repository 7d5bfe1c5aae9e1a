"""The table of field rules covers every field, and a new field needs no code beyond it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

import living_reports
from living_reports.model import fields
from living_reports.model.fields import RULES, Kind
from living_reports.model.report import Citation, Insight, Outline, Section

MODELS: dict[str, type[BaseModel]] = {
    "": Outline,
    "sections": Section,
    "insights": Insight,
    "citations": Citation,
}

NEW_FIELD = {
    "model/report.py": (
        "    summary: str = Field(min_length=1)\n",
        "    confidence: str | None = None\n",
    ),
    "model/fields.py": (
        '        "summary": Field(Kind.TEXT, is_searched=True),\n',
        '        "confidence": Field(Kind.PROSE, is_searched=True, is_fact=True, label="confidence"),\n',
    ),
    "changes/parse.py": (
        '    "summary": prose,\n',
        '    "confidence": text,\n',
    ),
    "server/tools.py": (
        '    "summary": STRING,\n',
        '    "confidence": STRING,\n',
    ),
}
"""For each file to edit, a line of an existing field and the line that adds a field after it."""

USE_NEW_FIELD = """
import sys
from pathlib import Path

from living_reports.errors import VersionConflictError
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport, CreateReport, DiffReport, GetReport, ListReports, RenderReport, RevertReport, UpdateReport,
)
from living_reports.model.delta import apply, diff, invert
from living_reports.model.event import Author
from living_reports.model.report import parse_outline

ANN, BEN = Author("agent", "ann"), Author("agent", "ben")
folder = Path(sys.argv[1])
library = Library(folder)
insight = {"summary": "Errors rose", "confidence": "Two sources.\\nNo counter-example."}
section = {"title": "Errors", "insights": [insight]}
report = library.create_report(CreateReport("Health", [section]), ANN)["report_id"]
[row] = library.get_report(GetReport(report, view="insights"))["insights"]
assert row["confidence"] == insight["confidence"], row
[outline_file] = folder.rglob("outline.json")
first = parse_outline(outline_file.read_bytes())

def update(author, expected, text):
    change = {"op": "edit_insight", "insight": row["insight_id"], "confidence": text}
    return library.update_report(UpdateReport(report, [change], "checked", expected), author)

update(ANN, 1, "Three sources.\\nNo counter-example.")
answer = update(BEN, 1, "Two sources.\\nOne counter-example.")  # merged line by line
second = parse_outline(outline_file.read_bytes())
assert second.insights[0].confidence == "Three sources.\\nOne counter-example."
try:
    update(ANN, 1, "Four sources.\\nNo counter-example.")
except VersionConflictError as error:
    [conflict] = error.details["conflicts"]
    assert conflict["at"].endswith("/confidence") and conflict["by"]["client"] == "ann", conflict
else:
    raise AssertionError("no conflict")

[edit] = [edit for edit in diff(first, second) if edit["at"].endswith("/confidence")]
assert "splices" in edit, edit
assert apply(second, invert(diff(first, second))) == first
[warning] = update(ANN, 0, "None.")["warnings"]
assert "/confidence" in warning and "by ben" in warning, warning
library.revert_report(RevertReport(report, undo=answer["version"] + 1), author=ANN)
assert parse_outline(outline_file.read_bytes()).insights[0].confidence == second.insights[0].confidence

assert library.get_report(GetReport(report, view="insights", find="counter-example"))["insights"]
assert library.list_reports(ListReports("counter-example"))["reports"]
assert library.audit_report(AuditReport(report, item=f"insights/{row['insight_id']}/confidence"))["events"]
assert library.audit_report(AuditReport(report, text="Two sources"))["events"]
assert "/confidence" in str(library.diff_report(DiffReport(report, 1)))
for suffix, format in (("md", "markdown"), ("html", "html")):
    library.render_report(RenderReport(report, format, to_file=True))
    [page] = folder.rglob(f"*.{suffix}")
    assert "confidence Three sources." in page.read_text(), page
"""


@pytest.mark.parametrize("holder", MODELS)
def test_every_field_has_a_rule(holder: str) -> None:
    assert RULES[holder].keys() == MODELS[holder].model_fields.keys()


def test_every_kind_of_rule_is_used_and_decides_how_a_field_changes() -> None:
    used = {field.kind for table in RULES.values() for field in table.values()}
    assert used == set(Kind)
    in_deltas = {("metadata", "tags"), ("sections/metadata", "citations")} | {
        (holder, name)
        for holder in fields.ITEMS
        for name, field in RULES[holder].items()
        if field.kind in {Kind.TEXT, Kind.PROSE, Kind.SET, Kind.ORDER, Kind.DERIVED}
    }
    assert in_deltas == fields.SPLICED
    assert {("sections", "content"), ("sections", "notes")} == fields.MERGED_BY_LINES
    assert fields.MERGED_AS_SETS < fields.SPLICED
    assert {"outline_version", "updated_at"} == fields.BOOKKEEPING


def test_fields_that_carry_meaning_are_searched_or_are_no_words() -> None:
    for kind in fields.ITEMS:
        words = {name for name in fields.WORDS[kind] if name not in fields.NOT_WORDS}
        assert words == set(fields.SEARCHED[kind])
    assert set(fields.SOURCES) < set(fields.SEARCHED["citations"])


def test_a_new_field_needs_one_line_in_each_of_four_files(tmp_path: Path) -> None:
    package = tmp_path / "source" / "living_reports"
    shutil.copytree(
        Path(living_reports.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    for name, (line, added) in NEW_FIELD.items():
        source = (package / name).read_text(encoding="utf-8")
        assert line in source, f"{name} has no line {line!r}"
        (package / name).write_text(source.replace(line, line + added), encoding="utf-8")
    (tmp_path / "reports").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", USE_NEW_FIELD, str(tmp_path / "reports")],
        env=os.environ | {"PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
