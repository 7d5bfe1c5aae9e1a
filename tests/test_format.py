"""What docs/format.md says can be checked without this program can be."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from living_reports.library import Library
from living_reports.models import Author

FORMAT = Path(__file__).parents[1] / "docs" / "format.md"
CHECK = re.search(r"<!-- check -->\n```bash\n(.*?)```", FORMAT.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    library = Library(tmp_path)
    author = Author("cli", "ann")
    section = {"title": "Risks", "content": 'say "prev_sha256":"x"'}
    made = library.create_report("Überblick", [section], author=author)
    for number in range(5):
        change = {"op": "append_text", "section": "Risks", "text": f"line {number} \\ “quoted”"}
        library.update_report(made["report_id"], [change], reason="a\nb", author=author)
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


def test_the_document_names_every_field_of_the_models() -> None:
    from living_reports.models import AuditEvent, Citation, Insight, Outline, Section

    text = FORMAT.read_text(encoding="utf-8")
    for model in (Outline, Section, Insight, Citation, AuditEvent):
        missing = [name for name in model.model_fields if name != "payload" and f"`{name}" not in text]
        assert not missing, f"{model.__name__}: {missing}"
