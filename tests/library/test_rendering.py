"""`render_report`: pages as text, pages as files, and their events."""

from __future__ import annotations

import hashlib
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from living_reports.errors import (
    CorruptReportError,
    InvalidInputError,
    LockTimeoutError,
    NoSuchVersionError,
    StorageFailedError,
)
from living_reports.library import Library
from living_reports.library.requests import AuditReport, GetReport, RenderReport
from living_reports.store.files import durable
from support.library_reports import (
    Json,
    append_text,
    create_report,
    folder_of,
    folder_store,
    replace_content,
    update_report,
)

LONG = "A line of prose that goes on.\n\n" * 1_000
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001"
    "e221bc330000000049454e44ae426082"
)


def render(library: Library, report: str = "Health", **more: Any) -> Json:
    return library.render_report(RenderReport(report, **more))


def log(library: Library, report: str) -> list[Json]:
    lines = (folder_of(library, report) / "audit.jsonl").read_bytes().splitlines()
    return [json.loads(line) | {"sha256": hashlib.sha256(line).hexdigest()} for line in lines]


# --- Text ---------------------------------------------------------------------------------


def test_markdown_is_answered_as_text_and_writes_nothing(library: Library) -> None:
    report = create_report(library)
    answer = render(library)
    assert answer.pop("text").startswith("# Health\n")
    assert answer == {"report_id": report, "title": "Health", "format": "markdown", "version": 1}
    assert len(log(library, report)) == 1
    assert not (folder_of(library, report) / "render").exists()


def test_an_earlier_version_can_be_rendered(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("Later."))
    assert "Later." in render(library)["text"]
    answer = render(library, version=1)
    assert answer["version"] == 1
    assert "Later." not in answer["text"]
    with pytest.raises(NoSuchVersionError):
        render(library, version=9)


def test_an_unknown_format_is_refused(library: Library) -> None:
    create_report(library)
    with pytest.raises(InvalidInputError) as caught:
        render(library, format="htm")
    assert caught.value.details["path"] == "format"
    assert caught.value.details["allowed"] == ["markdown", "html"]


# --- Files --------------------------------------------------------------------------------


def test_html_is_a_file_that_leaves_the_history_alone(library: Library) -> None:
    report = create_report(library)
    before = (folder_of(library, report) / "audit.jsonl").read_bytes()
    answer = render(library, format="html")
    assert (folder_of(library, report) / "audit.jsonl").read_bytes() == before
    path = folder_of(library, report) / "render" / "report-v1.html"
    page = path.read_bytes()
    assert answer == {
        "report_id": report,
        "title": "Health",
        "format": "html",
        "version": 1,
        "path": str(path.absolute()),
        "bytes": len(page),
        "uri": path.absolute().as_uri(),
    }
    [made] = log(library, report)
    assert page.startswith(b"<!doctype html>")
    assert made["sha256"].encode() in page
    assert library.audit_report(AuditReport(report, verify=True))["verified"]["ok"]


def test_the_uri_opens_the_file(tmp_path: Path) -> None:
    library = Library(tmp_path / "Berichte für #1")
    create_report(library)
    answer = render(library, format="html")
    assert Path(unquote(urlsplit(answer["uri"]).path)).read_bytes() == Path(answer["path"]).read_bytes()


def test_markdown_is_written_to_a_file_on_request(library: Library) -> None:
    report = create_report(library)
    answer = render(library, to_file=True)
    text = Path(answer["path"]).read_text(encoding="utf-8")
    assert Path(answer["path"]).name == "report-v1.md"
    assert "text" not in answer
    head, _, page = text.removeprefix("---\n").partition("---\n\n")
    assert f'head: "{log(library, report)[0]["sha256"]}"' in head
    assert page == render(library)["text"]


def test_long_markdown_is_written_to_a_file(library: Library) -> None:
    create_report(library, sections=[{"title": "Errors", "content": LONG}])
    answer = render(library)
    assert answer["bytes"] == Path(answer["path"]).stat().st_size > 20_000
    assert "text" not in answer


def test_text_stays_within_the_limit_of_an_answer(library: Library) -> None:
    report = create_report(library, sections=[{"title": "Errors", "content": "x" * 19_000}])
    assert "text" in render(library)
    update_report(library, report, replace_content('"' * 15_000))  # short as a page, long as JSON
    assert "path" in render(library)


def test_rendering_again_replaces_the_file_of_the_same_version_only(library: Library) -> None:
    report = create_report(library)
    first = render(library, format="html")
    Path(first["path"]).write_text("spoilt")
    assert render(library, format="html") == first
    assert b"<!doctype" in Path(first["path"]).read_bytes()
    update_report(library, report, append_text("Later."))
    render(library, format="html")
    assert render(library, format="html", version=1) == first
    names = sorted(path.name for path in (folder_of(library, report) / "render").iterdir())
    assert names == ["report-v1.html", "report-v2.html"]
    assert [event["payload"]["outline_version"] for event in log(library, report)] == [1, 2]
    assert library.get_report(GetReport(report))["version"] == 2


def test_images_come_from_allowed_folders_only(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    (evidence / "plot.png").write_bytes(PIXEL)
    prose = [{"title": "Plot", "content": f"![a plot]({evidence}/plot.png)"}]
    pages = {}
    for name, folders in (("with", [evidence]), ("without", [])):
        library = Library(tmp_path / name, sources=folders)
        create_report(library, sections=prose)
        pages[name] = Path(render(library, format="html")["path"]).read_text(encoding="utf-8")
    assert "data:image/png;base64," in pages["with"]
    assert "data:image" not in pages["without"]


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "plot.png").write_bytes(PIXEL)
    return folder


PLOT = [{"title": "Plot", "content": "![a plot](plot.png)"}]


@pytest.fixture
def illustrated(tmp_path: Path, evidence: Path) -> Library:
    return Library(tmp_path / "illustrated", sources=[evidence])


def test_the_page_of_an_old_version_does_not_show_the_image_of_today(
    illustrated: Library, evidence: Path
) -> None:
    report = create_report(illustrated, sections=PLOT)
    complete = Path(render(illustrated, format="html")["path"])
    before = complete.read_bytes()
    assert b"data:image/png" in before
    update_report(illustrated, report, append_text("Later.", "Plot"))
    (evidence / "plot.png").write_bytes(PIXEL + b"another")
    answer = render(illustrated, format="html", version=1)
    page = Path(answer["path"]).read_text(encoding="utf-8")
    assert "data:image" not in page
    assert "[image not shown: a plot]" in page
    assert answer["warnings"] == [
        "Images not shown: plot.png (the files may have changed since version 1). "
        "The file name says so; a complete page made earlier is kept."
    ]
    assert complete.read_bytes() == before


def test_markdown_of_an_old_version_says_that_its_images_may_be_newer(illustrated: Library) -> None:
    report = create_report(illustrated, sections=PLOT)
    assert "warnings" not in render(illustrated)
    update_report(illustrated, report, append_text("Later.", "Plot"))
    for to_file in (False, True):
        answer = render(illustrated, version=1, to_file=to_file)
        [warning] = answer["warnings"]
        assert warning == "The image files may have changed since version 1: plot.png."
        text = answer.get("text") or Path(answer["path"]).read_text(encoding="utf-8")
        assert f"> {warning}" in text


def test_a_page_without_an_image_does_not_replace_the_page_with_it(
    illustrated: Library, evidence: Path
) -> None:
    report = create_report(illustrated, sections=PLOT)
    complete = render(illustrated, format="html")
    assert "warnings" not in complete
    before = Path(complete["path"]).read_bytes()
    elsewhere = Library(folder_store(illustrated).reports_root)
    answer = render(elsewhere, format="html")
    assert Path(complete["path"]).read_bytes() == before
    assert Path(answer["path"]).name == "report-v1-1-image-missing.html"
    assert answer["warnings"] == [
        "Images not shown: plot.png (outside the folders of LIVING_REPORTS_SOURCES). "
        "The file name says so; a complete page made earlier is kept."
    ]
    (evidence / "plot.png").unlink()
    [warning] = render(illustrated, format="html")["warnings"]
    assert "missing, too large or of another type" in warning
    assert Path(complete["path"]).read_bytes() == before
    assert illustrated.audit_report(AuditReport(report, verify=True))["verified"]["ok"]


def test_images_outside_and_missing_ones_are_told_apart(illustrated: Library) -> None:
    prose = "".join(f"![]({name})" for name in ("/etc/a.png", "gone.png", "b.png", "c.png", "d.png"))
    create_report(illustrated, sections=[{"title": "Plot", "content": prose + "![](https://a.b/c.png)"}])
    assert render(illustrated, format="html")["warnings"] == [
        "Images not shown: /etc/a.png (outside the folders of LIVING_REPORTS_SOURCES); "
        "gone.png, b.png, c.png and 1 more (missing, too large or of another type). "
        "The file name says so; a complete page made earlier is kept."
    ]


# --- Errors -------------------------------------------------------------------------------


def test_a_page_waits_for_the_lock(library: Library) -> None:
    report = create_report(library)
    impatient = Library(folder_store(library).reports_root, lock_timeout_s=0.05)

    def hold_and_render(operation: str, details: tuple[Any, ...]) -> None:
        """Render again while the first call is at work."""
        if operation == "create" and details[0].name == ".report-v1.html.tmp":
            durable.observer = None
            with ThreadPoolExecutor(1) as threads, pytest.raises(LockTimeoutError):
                threads.submit(render, impatient, format="html").result()

    durable.observer = hold_and_render
    try:
        render(library, format="html")
    finally:
        durable.observer = None
    assert len(log(library, report)) == 1


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("create", ".report-v1.html.tmp"),
        ("write", ".report-v1.html.tmp"),
        ("rename", ".report-v1.html.tmp"),
    ],
)
def test_a_disk_error_leaves_no_partial_page(library: Library, operation: str, name: str) -> None:
    report = create_report(library)

    def refuse(current: str, details: tuple[Any, ...]) -> None:
        if current == operation and details[0].name == name:
            raise OSError(28, "No space left on device")

    durable.observer = refuse
    try:
        with pytest.raises(StorageFailedError) as caught:
            render(library, format="html")
    finally:
        durable.observer = None
    assert caught.value.details["happened"] == "no"
    assert list((folder_of(library, report) / "render").iterdir()) == []
    assert render(library, format="html")["bytes"] > 1_000
    assert [path.name for path in (folder_of(library, report) / "render").iterdir()] == ["report-v1.html"]


def test_a_page_is_not_written_through_a_link(library: Library, tmp_path: Path) -> None:
    report = create_report(library)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder_of(library, report) / "render").symlink_to(elsewhere)
    with pytest.raises(StorageFailedError):
        render(library, format="html")
    assert not any(elsewhere.iterdir())
    (folder_of(library, report) / "render").unlink()
    path = Path(render(library, format="html")["path"])
    target = tmp_path / "target"
    target.write_text("mine")
    path.unlink()
    path.symlink_to(target)
    render(library, format="html")
    assert (target.read_text(), stat.S_ISREG(path.lstat().st_mode)) == ("mine", True)


def test_a_damaged_report_gives_text_but_no_file(library: Library) -> None:
    report = create_report(library)
    (folder_of(library, report) / "outline.json").write_text("{ broken")
    answer = render(library)
    assert answer["warnings"]
    assert "12 % of orders fail" in answer["text"]
    with pytest.raises(CorruptReportError):
        render(library, format="html")
    assert not (folder_of(library, report) / "render").exists()


# --- Reports of other programs ------------------------------------------------------------


@pytest.mark.parametrize("stated", [0, 3])
def test_a_page_of_a_report_of_another_program_adopts_nothing(library: Library, stated: int) -> None:
    report = create_report(library)
    folder = folder_of(library, report)
    outline = json.loads((folder / "outline.json").read_bytes())
    for name in ("audit.jsonl", ".head"):
        (folder / name).unlink()
    (folder / "outline.json").write_text(json.dumps(outline | {"outline_version": 3}))
    before = {path: path.read_bytes() for path in folder.rglob("*.json*")}
    answer = render(library, format="html", version=stated)
    assert (answer["version"], Path(answer["path"]).name) == (3, "report-v3.html")
    assert "Log head" not in Path(answer["path"]).read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in folder.rglob("*.json*")} == before
    assert not (folder / "audit.jsonl").exists()
    update_report(library, report, append_text("Ours."))
    assert library.audit_report(AuditReport(report, verify=True))["verified"]["ok"]
    assert render(library, format="html")["version"] == 5, "adopted as 4 by the first change"
    assert answer["bytes"] == Path(answer["path"]).stat().st_size, "the page of version 3 is still there"
