"""The checks without this program that docs/format.md describes."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from living_reports.library import Library
from living_reports.library.requests import (
    CreateReport,
    ListReports,
    RevertReport,
    UpdateReport,
)
from living_reports.model.event import Author

FORMAT = Path(__file__).parents[2] / "docs" / "format.md"
IGLOO = Path(__file__).parents[1] / "data" / "igloo"
CHECK = re.search(r"<!-- check -->\n```bash\n(.*?)```", FORMAT.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    library = Library(tmp_path)
    author = Author("cli", "ann")
    section = {"title": "Risks", "content": 'say "prev_sha256":"x"'}
    made = library.create_report(CreateReport("Überblick", [section]), author=author)
    for number in range(5):
        change = {"op": "append_text", "section": "Risks", "text": f"line {number} \\ “quoted”"}
        library.update_report(UpdateReport(made["report_id"], [change], reason="a\nb"), author=author)
    return tmp_path / "by_id" / str(made["report_id"])


def check(folder: Path) -> str:
    assert CHECK is not None
    done = subprocess.run(["bash", "-c", CHECK[1]], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_shell_of_the_docs_accepts_a_whole_chain(folder: Path) -> None:
    last = (folder / "audit.jsonl").read_bytes().splitlines()[-1]
    assert check(folder) == f"6 lines, head {hashlib.sha256(last).hexdigest()}\n"


def test_the_shell_of_the_docs_finds_an_altered_line(folder: Path) -> None:
    path = folder / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"line 1", b"line X", 1))
    assert "line 4 does not follow line 3" in check(folder)


def test_sha256sum_of_the_outline_is_in_the_last_event(folder: Path) -> None:
    command = ["sha256sum", "outline.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    last = json.loads((folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert done.stdout.split()[0] == last["payload"]["outline_sha256"]


def payload_fields(root: Path) -> set[str]:
    lines = [line for log in root.glob("by_id/*/audit.jsonl") for line in log.read_text("utf-8").splitlines()]
    payloads = [json.loads(line)["payload"] for line in lines]
    return {name for payload in payloads if "outline_sha256" in payload for name in payload}


def test_the_document_names_every_field_of_a_payload(tmp_path: Path) -> None:
    library, author = Library(tmp_path), Author("cli", "ann", "ann")
    shutil.copytree(IGLOO / "by_id", tmp_path / "by_id")
    [adopted] = [entry["report_id"] for entry in library.list_reports(ListReports(status="all"))["reports"]]
    library.update_report(UpdateReport(adopted, [{"op": "add_tags", "tags": ["ours"]}]), author=author)
    made = library.create_report(
        CreateReport("Health", [{"title": "Risks", "content": "One."}]), author=author
    )
    report = made["report_id"]
    library.create_report(CreateReport("Copy", from_reports=[report]), author=author)
    library.update_report(
        UpdateReport(report, [{"op": "set_title", "title": "Shop"}], request_id="once"), author=author
    )
    change = {"op": "append_text", "section": "Risks", "text": "Two."}
    library.update_report(UpdateReport(report, [change], reason="more", expected_version=1), author=author)
    library.revert_report(RevertReport(report, undo=2), author=author)
    library.revert_report(RevertReport(report, 1, item="Risks"), author=author)
    text = FORMAT.read_text(encoding="utf-8")
    fields = payload_fields(tmp_path)
    assert {
        "adopted",
        "backup_sha256",
        "from_reports",
        "rebased_over",
        "undo",
        "kept",
        "item",
        "user",
    } <= fields
    assert [name for name in sorted(fields) if f"`payload.{name}`" not in text] == []


def test_the_document_names_every_field_of_the_models() -> None:
    from living_reports.model.event import AuditEvent
    from living_reports.model.report import Citation, Insight, Outline, Section

    text = FORMAT.read_text(encoding="utf-8")
    for model in (Outline, Section, Insight, Citation, AuditEvent):
        missing = [name for name in model.model_fields if name != "payload" and f"`{name}" not in text]
        assert not missing, f"{model.__name__}: {missing}"
