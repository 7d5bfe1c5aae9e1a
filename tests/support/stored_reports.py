"""Create, change and inspect reports in a folder store, below the library."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from living_reports.model.event import AuditEvent, Author
from living_reports.model.report import Outline, Section, outline_bytes, sha256_hex
from living_reports.storage import GlobalStorage, Note, ReportStorage

REPORT = "5f9d3c1e-0a7b-4c2d-8e6f-1234567890ab"
OTHER = "6a1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef"
SECTION = "0b0e7b1a-6a43-4c0e-9a56-3f1d2c4b5a69"
ANN = Author("agent", "ann/1.0")
DAY = "2026-11-23T10:00:00+00:00"

Change = Callable[[GlobalStorage], object]


def outline_with(text: str, title: str = "Health", report_id: str = REPORT) -> Outline:
    section = Section(section_id=SECTION, title="Risks", content=text, created_at=DAY, updated_at=DAY)
    return Outline(report_id=report_id, title=title, created_at=DAY, updated_at=DAY, sections=[section])


def create_stored_report(
    root: GlobalStorage, text: str = "one\n", title: str = "Health", report_id: str = REPORT
) -> None:
    assert root.create(outline_with(text, title, report_id), Note("create", ANN)) is not None


def set_text(root: GlobalStorage, text: str, report_id: str = REPORT) -> int:
    """Replace the section's text and return the new version."""
    with root.edit(report_id) as edit:
        note = Note("evolve", ANN, "because")
        edit.put(with_text(edit.snapshot.outline, text).model_copy(update={"updated_at": note.ts}), note)
    assert edit.committed is not None
    return edit.committed.version


def with_text(outline: Outline, text: str) -> Outline:
    [section] = outline.sections
    return outline.model_copy(update={"sections": [section.model_copy(update={"content": text})]})


def text_of(outline: Outline) -> str | None:
    return outline.sections[0].content


def current_text(root: GlobalStorage, report_id: str = REPORT) -> str | None:
    return text_of(root.read(report_id).outline)


def event_of_type(action_type: Any, report_id: str = REPORT) -> AuditEvent:
    action_id = str(uuid.uuid4())
    return AuditEvent(action_id=action_id, report_id=report_id, ts=DAY, actor="cli", action_type=action_type)


def log_lines(folder: Path) -> list[bytes]:
    return (folder / "audit.jsonl").read_bytes().splitlines()


def log_events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_lines(folder)]


def copy_root(root: GlobalStorage, target: Path) -> GlobalStorage:
    """Copy the root and return it as a new process sees it."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root.reports_root, target, symlinks=True)
    return GlobalStorage(target)


def require_sound(root: GlobalStorage, report_id: str = REPORT) -> None:
    """Require what holds for every report that no process is writing, whatever happened before."""
    storage = root.get_report_storage(report_id)
    state = root.read(report_id)
    assert state.warnings == ()
    assert state.refusal is None
    verified = root.verify(report_id)
    assert verified["findings"] == []
    _require_whole_history(storage, state.version)
    assert {path.name for path in storage.report_dir.iterdir()} <= {
        "outline.json",
        "audit.jsonl",
        "audit.torn",
        "backups",
        ".head",
        ".lock",
    }
    [entry] = [entry for entry in GlobalStorage(root.reports_root).entries() if entry.report_id == report_id]
    assert (entry.current_title, entry.updated_at) == (state.outline.title, state.outline.updated_at)
    pending = root.reports_root / ".pending"
    assert not pending.exists() or not list(pending.iterdir())
    assert not list(root.by_id.glob(".new-*"))


def _require_whole_history(storage: ReportStorage, newest: int) -> None:
    made = [event for event in log_events(storage.report_dir) if event["payload"]["delta"]]
    assert [event["payload"]["outline_version"] for event in made] == list(range(1, newest + 1))
    for event in made:
        outline = storage.history.outline_at(event["payload"]["outline_version"])
        assert sha256_hex(outline_bytes(outline)) == event["payload"]["outline_sha256"]
