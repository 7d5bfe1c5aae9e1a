"""Create and change reports through the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import VersionConflictError
from living_reports.library import Library
from living_reports.library.requests import CreateReport, GetReport, UpdateReport
from living_reports.library.writing import bare_event
from living_reports.model.event import AuditEvent, Author
from living_reports.store.files.store import FolderStore

ANN = Author("agent", "ann/1.0")
BEN = Author("agent", "ben/2.0")

Json = dict[str, Any]

SECTIONS = [
    {
        "title": "Errors",
        "content": "12 % of orders fail.\n\nMost of them at night.",
        "insights": [
            {"summary": "Errors doubled in May", "importance": 8, "citations": [{"url": "https://a.b"}]}
        ],
    },
    {"title": "Latency", "content": "p95 is 340 ms."},
]


def create_report(library: Library, title: str = "Health", **more: Any) -> str:
    """Create a small report and return its id."""
    author, sections = more.pop("author", ANN), more.pop("sections", SECTIONS)
    answer = library.create_report(CreateReport(title, sections, **more), author)
    return str(answer["report_id"])


def update_report(library: Library, report: str, *changes: Json, **more: Any) -> Json:
    """Make changes as Ann, or as another `author`."""
    author = more.pop("author", ANN)
    return library.update_report(UpdateReport(report, list(changes), **more), author)


def refused_update(
    library: Library, report: str, *changes: Json, expected_version: int = 1, **more: Any
) -> Json:
    """Update a report and return the error of the version conflict."""
    with pytest.raises(VersionConflictError) as caught:
        update_report(library, report, *changes, expected_version=expected_version, **more)
    error: Json = caught.value.answer()["error"]
    return error


def record_render(library: Library, report: str) -> AuditEvent:
    """Append the event that earlier releases wrote for each page in a file."""
    event = bare_event("render", report, "", ANN, "2026-11-01T00:00:00+00:00")
    event.payload["rendered"] = {"format": "html", "version": 1, "file": "render/report-v1.html"}
    folder_store(library).get_report_storage(report).append_audit_event(event)
    return event


def append_text(text: str, section: str = "Errors") -> Json:
    return {"op": "append_text", "section": section, "text": text}


def replace_content(text: str, section: str = "Errors") -> Json:
    return {"op": "edit_section", "section": section, "content": text}


def set_title(title: str) -> Json:
    return {"op": "set_title", "title": title}


def content_of(library: Library, report: str, section: str = "Errors", **more: Any) -> str:
    """Return the prose of a section."""
    [row] = library.get_report(GetReport(report, sections=[section], **more))["sections"]
    return str(row["content"])


def folder_store(library: Library) -> FolderStore:
    """Return the store of a library that keeps its reports in a folder."""
    assert isinstance(library.store, FolderStore)
    return library.store


def folder_of(library: Library, report: str) -> Path:
    return folder_store(library).by_id / report


def lock_path(root: Path, report: str) -> Path:
    return root / "by_id" / report / ".lock"
