"""Changes at the addresses that a client follows: found by comparing, without a server."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from living_reports.errors import AmbiguousSelectorError, ReportNotFoundError
from living_reports.library import Library
from living_reports.library.requests import (
    CreateReport,
    GetReport,
    RenderReport,
    RestoreReport,
    TrashReport,
    UpdateReport,
)
from living_reports.library.watch import LIST, ChangeWatcher
from living_reports.model.event import Author
from living_reports.store.files.lock import hold
from support.library_reports import record_render

ANN = Author("cli", "ann")


@pytest.fixture
def health(library: Library) -> str:
    """A report, as another process made it."""
    created = library.create_report(CreateReport("Health", [{"title": "Log"}]), author=ANN)
    return str(created["report_id"])


def append(root: Path, report: str) -> None:
    """A change by a library of its own, as another process would make it."""
    change = {"op": "append_text", "section": "Log", "text": "more"}
    Library(root).update_report(UpdateReport(report, [change]), author=ANN)


def follow(library: Library, *addresses: str | None) -> ChangeWatcher:
    watcher = library.watch()
    for address in addresses:
        watcher.follow(address)
    return watcher


def test_a_version_changes_page_outline_and_log(root: Path, library: Library, health: str) -> None:
    page, then = f"report://{health}", f"report://{health}/v/1"
    watcher = follow(library, page, f"{page}/outline", f"{page}/audit", then, LIST)
    assert watcher.changed() == []
    append(root, health)
    assert watcher.changed() == [page, f"{page}/outline", f"{page}/audit"]
    assert watcher.changed() == []


def test_an_event_without_a_version_changes_the_log_alone(root: Path, library: Library, health: str) -> None:
    page = f"report://{health}"
    watcher = follow(library, page, f"{page}/audit")
    Library(root).render_report(RenderReport(health, "html"))
    assert watcher.changed() == []
    record_render(Library(root), health)
    assert watcher.changed() == [f"{page}/audit"]


def test_the_list_changes_with_reports_and_titles(root: Path, library: Library, health: str) -> None:
    watcher = follow(library, LIST)
    append(root, health)
    assert watcher.changed() == []
    other = Library(root)
    for change in ({"op": "set_title", "title": "Well"}, {"op": "set_status", "status": "archived"}):
        other.update_report(UpdateReport(health, [change]), author=ANN)
        assert watcher.changed() == [LIST]
    other.create_report(CreateReport("Another"), author=ANN)
    assert watcher.changed() == [LIST]


def test_a_report_that_goes_and_comes_back_changes_each_time(
    root: Path, library: Library, health: str
) -> None:
    watcher = follow(library, f"report://{health}", LIST)
    Library(root).trash_report(TrashReport(health), author=ANN)
    assert watcher.changed() == [f"report://{health}", LIST]
    Library(root).restore_report(RestoreReport(health), author=ANN)
    assert watcher.changed() == [f"report://{health}", LIST]


def test_a_report_may_be_followed_before_it_is_there(root: Path, library: Library, health: str) -> None:
    Library(root).trash_report(TrashReport(health), author=ANN)
    watcher = follow(library, f"report://{health}")
    Library(root).restore_report(RestoreReport(health), author=ANN)
    assert watcher.changed() == [f"report://{health}"]


def test_a_persons_edit_is_a_change(root: Path, library: Library, health: str) -> None:
    watcher = follow(library, f"report://{health}")
    outline = root / "by_id" / health / "outline.json"
    data = json.loads(outline.read_bytes())
    data["title"] = "By hand"
    outline.write_text(json.dumps(data), encoding="utf-8")
    assert watcher.changed() == [f"report://{health}"]
    assert watcher.changed() == []
    assert library.get_report(GetReport(health))["title"] == "By hand"


def test_a_file_that_is_being_written_is_no_change(root: Path, library: Library, health: str) -> None:
    watcher = follow(library, f"report://{health}")
    outline = root / "by_id" / health / "outline.json"
    data = outline.read_bytes()
    outline.write_bytes(data[:100])
    assert watcher.changed() == []
    outline.write_bytes(data.replace(b"Health", b"Edited"))
    assert watcher.changed() == [f"report://{health}"]


def test_files_that_say_the_same_are_no_change(root: Path, library: Library, health: str) -> None:
    watcher = follow(library, f"report://{health}", f"report://{health}/audit")
    for name in ("outline.json", "audit.jsonl"):
        path = root / "by_id" / health / name
        path.write_bytes(path.read_bytes())
    assert watcher.changed() == []


def test_a_title_is_followed_as_the_report_that_has_it(root: Path, library: Library, health: str) -> None:
    watcher = follow(library, "report://Health")
    append(root, health)
    assert watcher.changed() == ["report://Health"]


def test_what_is_forgotten_is_not_looked_at(root: Path, library: Library, health: str) -> None:
    watcher = follow(library, f"report://{health}")
    watcher.forget(f"report://{health}")
    append(root, health)
    assert watcher.changed() == []


def test_a_report_that_is_busy_is_looked_at_again(root: Path, library: Library, health: str) -> None:
    watcher = follow(library, f"report://{health}")
    append(root, health)
    with hold(root / "by_id" / health / ".lock", 5.0), ThreadPoolExecutor() as another:
        assert another.submit(watcher.changed).result() == []
    assert watcher.changed() == [f"report://{health}"]


def test_nothing_that_could_not_be_read_is_followed(library: Library, health: str) -> None:
    library.create_report(CreateReport("Health"), author=ANN)
    for address in ("https://example.org", "report://nope", "report://", "", f"report://{health}/nonsense"):
        with pytest.raises(ReportNotFoundError):
            follow(library, address)
    with pytest.raises(AmbiguousSelectorError):
        follow(library, "report://Health")


def test_following_creates_nothing(root: Path) -> None:
    watcher = follow(Library(root), LIST)
    assert watcher.changed() == []
    assert not root.exists()
