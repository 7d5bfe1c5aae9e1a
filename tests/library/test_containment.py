"""No call reaches outside the root, whatever its arguments, and reading makes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import ReportError, TooLargeError
from living_reports.library import Library
from living_reports.library.listing import MAX_QUERY_CHARS
from living_reports.library.requests import (
    AuditReport,
    CreateReport,
    GetReport,
    ListReports,
    RestoreReport,
    RevertReport,
    TrashReport,
)
from support.library_reports import ANN, append_text, create_report, folder_of, folder_store, update_report

Tree = dict[str, tuple[str, bytes]]
NOBODY = "00000000-0000-4000-8000-000000000000"

ADD_INSIGHT = {"op": "add_insight", "section": "Errors", "summary": "Seen"}

HOSTILE = [
    "../outside",
    "../../outside/secret",
    "by_id/../../outside",
    "..\\outside",
    "/etc/passwd",
    "~/outside",
    "%2e%2e/outside",
    "{outside}",
    ".",
    "..",
    ".trash",
    ".new-" + NOBODY,
    NOBODY,
    NOBODY[:8] + "/../../outside",
    f"../{NOBODY}",
    NOBODY + "\0/../outside",
    "\0",
    "a" * 300,
    "é" * 5_000,
    "x\n" * 5_000,
    "$(touch outside)",
]


def tree(folder: Path) -> Tree:
    """Everything below a folder: what it is, and its bytes. The search is derived and left out."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name.startswith(".search."):
            continue
        if path.is_symlink():
            found[name] = ("link", os.readlink(path).encode())
        elif path.is_dir():
            found[name] = ("folder", b"")
        else:
            found[name] = ("file", path.read_bytes())
    return found


def around(tmp_path: Path) -> Tree:
    """Return everything beside the root."""
    return {name: what for name, what in tree(tmp_path).items() if not name.startswith("root")}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """A library in a root that has something of value beside it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("keep")
    return Library(tmp_path / "root")


def attempt(call: Callable[[], Any]) -> None:
    """Whatever the call does, it is an answer or an error of ours."""
    with suppress(ReportError):
        call()


def calls(library: Library, text: str) -> list[Callable[[], Any]]:
    """Every use case, with this text wherever it takes one."""
    return [
        lambda: library.create_report(CreateReport(text, request_id="r" + text[:150]), author=ANN),
        lambda: library.create_report(CreateReport("T", [{"title": text[:500]}], [text[:50]]), author=ANN),
        lambda: library.create_report(CreateReport("T", reason=text[:900]), author=ANN),
        lambda: update_report(library, text, append_text("x")),
        lambda: update_report(library, "Health", append_text(text, text), request_id=text[:150]),
        lambda: update_report(library, "Health", {"op": "set_metadata", "key": text, "value": text}),
        lambda: update_report(library, "Health", ADD_INSIGHT | {"citations": [{"path": text}]}),
        lambda: library.revert_report(RevertReport(text, 1), author=ANN),
        lambda: library.get_report(GetReport(text)),
        lambda: library.get_report(
            GetReport("Health", sections=[text], insights=[text], find=text, cursor=text)
        ),
        lambda: library.list_reports(ListReports(query=text, tags=[text], cursor=text)),
        lambda: library.audit_report(AuditReport(text, verify=True)),
        lambda: library.audit_report(AuditReport("Health", item=text, text=text, actor=text)),
        lambda: library.audit_report(AuditReport("Health", since=text)),
        lambda: library.trash_report(TrashReport(text, text[:900]), author=ANN),
        lambda: library.restore_report(RestoreReport(text), author=ANN),
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_no_argument_reaches_outside_the_root(library: Library, tmp_path: Path, text: str) -> None:
    report = create_report(library)
    before = around(tmp_path)
    for call in calls(library, text):
        attempt(call)
    assert around(tmp_path) == before
    root = folder_store(library).reports_root
    names = {path.name for path in root.iterdir() if not path.name.startswith(".search.")}
    assert names <= {"by_id", "index.jsonl", ".index.lock", ".pending", ".gitattributes", ".trash"}
    assert library.audit_report(AuditReport(report, verify=True))["verified"]["ok"]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_a_read_of_an_unknown_report_makes_nothing(library: Library, tmp_path: Path, text: str) -> None:
    create_report(library)
    library.list_reports(ListReports())  # the first look after a start may note that it has looked
    before = tree(tmp_path)
    reads: list[Callable[[str], object]] = [
        lambda t: library.get_report(GetReport(t)),
        lambda t: library.audit_report(AuditReport(t)),
        lambda t: library.audit_report(AuditReport(t, verify=True)),
    ]
    for call in reads:
        with pytest.raises(ReportError):
            call("no " + text)
        with pytest.raises(ReportError):
            call(text)
    for unknown in (NOBODY, "unknown"):
        with pytest.raises(ReportError):
            update_report(library, unknown, append_text("x"))
        with pytest.raises(ReportError):
            library.trash_report(TrashReport(unknown), author=ANN)
    if len(text) <= MAX_QUERY_CHARS:
        library.list_reports(ListReports(query=text))
    else:
        with pytest.raises(TooLargeError):
            library.list_reports(ListReports(query=text))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("is_there", [True, False])
def test_reading_a_root_without_reports_makes_nothing(tmp_path: Path, is_there: bool) -> None:
    if is_there:
        (tmp_path / "root").mkdir()
    before = tree(tmp_path)
    library = Library(tmp_path / "root")
    library.list_reports(ListReports(status="all"))
    calls: list[Callable[[str], object]] = [
        lambda t: library.get_report(GetReport(t)),
        lambda t: library.audit_report(AuditReport(t)),
        lambda t: library.trash_report(TrashReport(t), author=ANN),
    ]
    for selector in ("Health", NOBODY, NOBODY[:8]):
        for call in calls:
            with pytest.raises(ReportError):
                call(selector)
        with pytest.raises(ReportError):
            library.restore_report(RestoreReport(selector), author=ANN)
    assert tree(tmp_path) == before


# --- Links inside the root ----------------------------------------------------------------


def everything(library: Library, report: str) -> list[Callable[[], Any]]:
    return [
        lambda: library.get_report(GetReport(report)),
        lambda: library.get_report(GetReport("Health")),
        lambda: library.audit_report(AuditReport(report, verify=True)),
        lambda: library.list_reports(ListReports()),
        lambda: update_report(library, report, append_text("x")),
        lambda: library.revert_report(RevertReport(report, 1), author=ANN),
        lambda: library.create_report(CreateReport("Another", request_id="r1"), author=ANN),
        lambda: library.trash_report(TrashReport(report), author=ANN),
        lambda: library.restore_report(RestoreReport(report), author=ANN),
    ]


def moved_outside(path: Path, tmp_path: Path) -> Path:
    """Put the real thing outside, and a link in its place."""
    target = tmp_path / "outside" / path.name
    shutil.move(path, target)
    path.symlink_to(target, target_is_directory=target.is_dir())
    return target


ROOTS_OWN = (".trash", ".pending", "index.jsonl")
REPORTS_OWN = ("backups", "outline.json", "audit.jsonl", ".lock", ".head")


@pytest.mark.parametrize("name", ["folder", "by_id", *ROOTS_OWN, *REPORTS_OWN])
def test_nothing_is_written_through_a_link(library: Library, tmp_path: Path, name: str) -> None:
    report = create_report(library)
    update_report(library, report, append_text("y"))
    library.trash_report(TrashReport(create_report(library, "Gone")), author=ANN)
    folder, root = folder_of(library, report), folder_store(library).reports_root
    places = {"folder": folder, "by_id": root / "by_id"}
    below = root if name in ROOTS_OWN else folder
    moved_outside(places.get(name, below / name), tmp_path)
    before = around(tmp_path)
    fresh = Library(root)
    for call in everything(fresh, report):
        attempt(call)
    assert around(tmp_path) == before


def test_a_lock_or_a_temporary_name_that_is_a_link_is_not_followed(library: Library, tmp_path: Path) -> None:
    report = create_report(library)
    folder = folder_of(library, report)
    for name in (".lock", ".head"):
        (folder / name).unlink()
        (folder / name).symlink_to(tmp_path / "outside" / "made")
    attempt(lambda: update_report(library, report, append_text("x")))
    attempt(lambda: library.get_report(GetReport(report)))
    assert around(tmp_path).keys() == {"outside", "outside/secret"}


def test_a_backup_named_by_a_forged_event_stays_in_its_folder(library: Library, tmp_path: Path) -> None:
    """An event is data: what it says must not become a path outside."""
    report = create_report(library)
    update_report(library, report, append_text("x"))
    folder = folder_of(library, report)
    log = folder / "audit.jsonl"
    [name] = [path.name for path in (folder / "backups").iterdir()]
    log.write_bytes(log.read_bytes().replace(name.encode(), b"../../../outside/secret"))
    (folder / ".head").unlink()
    before = around(tmp_path)
    for _ in range(8):
        attempt(lambda: update_report(library, report, append_text("y")))
    attempt(lambda: library.get_report(GetReport(report, version=1)))
    assert around(tmp_path) == before


def test_an_index_entry_that_points_outside_leads_nowhere(library: Library, tmp_path: Path) -> None:
    report = create_report(library)
    index = folder_store(library).index_path
    index.write_bytes(index.read_bytes().replace(f"by_id/{report}".encode(), b"../outside"))
    before = around(tmp_path)
    fresh = Library(folder_store(library).reports_root)
    for call in everything(fresh, report):
        attempt(call)
    assert around(tmp_path) == before


def test_a_list_makes_nothing_behind_a_link_that_looks_like_a_report_being_made(
    library: Library, tmp_path: Path
) -> None:
    create_report(library)
    library.list_reports(ListReports())
    link = folder_store(library).by_id / f".new-{NOBODY}-0"
    link.symlink_to(tmp_path / "outside", target_is_directory=True)
    os.utime(link, (0, 0), follow_symlinks=False)
    before = around(tmp_path)
    assert len(Library(tmp_path / "root").list_reports(ListReports())["reports"]) == 1
    assert around(tmp_path) == before
    assert link.is_symlink()
