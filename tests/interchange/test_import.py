"""Import from another root, and from Markdown with its git history."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from living_reports.changes import MAX_SECTION_BYTES
from living_reports.errors import InvalidInputError, ReportError, TooLargeError
from living_reports.interchange.headings import Document, read_document
from living_reports.interchange.importing import import_reports
from living_reports.interchange.revisions import read_history
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport,
    DiffReport,
    GetReport,
    ListReports,
    RenderReport,
    TrashReport,
    UpdateReport,
)
from living_reports.model.event import Author
from support.command_line import run_command, run_json, run_ok
from support.disk_faults import FailOperation, killed_before, observe_disk, operations_of, outcome_of
from support.folders import file_contents
from support.histories import revisions
from support.library_reports import (
    ANN,
    create_report,
    folder_store,
    record_render,
    replace_content,
    update_report,
)
from support.stored_reports import log_events, require_sound

IGLOO = Path(__file__).parents[1] / "data" / "igloo"
REVIEW = "7c1f0a52-3b0e-4d57-9a41-2f6f5f0b9d10"
CLI = Author("cli", "ann")
TEXT = "# Guide\n\n## Setup\nOne.\n\n## Use\nTwo.\n"

Row = dict[str, Any]

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not there")


def bring(library: Library, path: Path) -> Row:
    return import_reports(library.store, path, author=CLI)


def bring_one(library: Library, path: Path) -> str:
    """Import one source, and return the id of its report."""
    found = bring(library, path)
    assert "refused" not in found
    [row] = found["imported"]
    return str(row["report_id"])


def folder_of(library: Library, report: str) -> Path:
    return folder_store(library).by_id / report


def leaves_nothing(library: Library) -> bool:
    by_id = folder_store(library).by_id
    return not by_id.exists() or list(by_id.iterdir()) == []


class Repository:
    """A git repository with one branch, and a way to commit into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self("init", "--quiet", "--initial-branch=main")

    def __call__(self, *arguments: str, author: str = "Ann", at: str = "2026-03-01T12:00:00+02:00") -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        person = {"GIT_AUTHOR_NAME": author, "GIT_COMMITTER_NAME": author, "GIT_AUTHOR_DATE": at}
        mail = {"GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_EMAIL": "a@example.org"}
        apart = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_COMMITTER_DATE": at}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=kept | person | mail | apart,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, text: str | bytes, message: str = "Edit", name: str = "guide.md", **more: str) -> str:
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        self("add", name)
        self("commit", "--quiet", "--allow-empty", "-m", message, **more)
        return self("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def document_at(library: Library, report: str, version: int) -> str:
    """Return the sections of a version with their headings, without the title."""
    outline = library.store.outline_at(report, version, library.store.read(report))
    return "".join(f"## {section.title}\n{section.content or ''}" for section in outline.sections)


def imported_of(library: Library, report: str) -> list[Row]:
    return [event["payload"]["imported"] for event in log_events(folder_of(library, report))]


# --- Another root -------------------------------------------------------------------------


def test_a_reports_directory_of_igloo_comes_in_byte_for_byte(library: Library) -> None:
    before = file_contents(IGLOO)
    assert bring_one(library, IGLOO) == REVIEW
    assert file_contents(folder_of(library, REVIEW)) == file_contents(IGLOO / "by_id" / REVIEW)
    assert file_contents(IGLOO) == before
    assert [row["title"] for row in library.list_reports(ListReports())["reports"]] == ["Quarterly review"]


def test_its_first_change_adopts_it(library: Library) -> None:
    bring(library, IGLOO)
    updated = library.update_report(
        UpdateReport(REVIEW, [{"op": "set_title", "title": "Review"}]), author=ANN
    )
    assert updated["version"] == 10
    adoption = log_events(folder_of(library, REVIEW))[-2]
    assert adoption["payload"]["adopted"] is True
    assert library.audit_report(AuditReport(REVIEW, verify=True))["verified"]["ok"] is True


def test_a_root_of_ours_comes_in_with_every_version(library: Library, tmp_path: Path) -> None:
    other = Library(tmp_path / "other")
    report = create_report(other)
    for number in range(20):
        update_report(other, report, replace_content(f"Text {number}"))
    bring(library, tmp_path / "other")
    assert file_contents(folder_of(library, report)) == file_contents(folder_of(other, report))
    require_sound(folder_store(library), report)


def test_a_report_that_is_there_is_refused_and_the_others_go_on(library: Library, tmp_path: Path) -> None:
    other = Library(tmp_path / "other")
    shutil.copytree(IGLOO / "by_id", tmp_path / "other" / "by_id")
    costs = create_report(other, "Costs")
    bring(library, IGLOO)
    found = bring(library, tmp_path / "other")
    assert [row["report_id"] for row in found["imported"]] == [costs]
    [refused] = found["refused"]
    assert (refused["from"], refused["code"], refused["report_id"]) == (REVIEW, "invalid_input", REVIEW)


def test_a_report_in_the_trash_is_there(library: Library) -> None:
    bring(library, IGLOO)
    library.trash_report(TrashReport(REVIEW), author=CLI)
    with pytest.raises(InvalidInputError, match="in the trash"):
        bring(library, IGLOO)


def test_a_damaged_report_stays_outside(library: Library, tmp_path: Path) -> None:
    other = Library(tmp_path / "other")
    report = create_report(other)
    update_report(other, report, replace_content("New."))
    log = folder_of(other, report) / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b"12 % of orders", b"99 % of orders", 1))
    with pytest.raises(ReportError) as caught:
        bring(library, tmp_path / "other")
    assert caught.value.code == "corrupt_report"
    assert leaves_nothing(library)


def test_another_reports_outline_stays_outside(library: Library, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong" / "by_id" / "00000000-0000-4000-8000-000000000001"
    shutil.copytree(IGLOO / "by_id" / REVIEW, wrong)
    with pytest.raises(ReportError, match="belongs to report"):
        bring(library, tmp_path / "wrong")
    assert leaves_nothing(library)


def test_links_are_not_followed(library: Library, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(IGLOO, source)
    (tmp_path / "secret").write_text("secret")
    (source / "by_id" / REVIEW / "secret").symlink_to(tmp_path / "secret")
    (source / "by_id" / "00000000-0000-4000-8000-000000000001").symlink_to(source / "by_id" / REVIEW)
    bring(library, source)
    assert [folder.name for folder in folder_store(library).by_id.iterdir()] == [REVIEW]
    assert not (folder_of(library, REVIEW) / "secret").exists()


def test_the_root_itself_and_nothing_at_all_are_refused(library: Library, tmp_path: Path) -> None:
    create_report(library)
    (tmp_path / "empty").mkdir()
    for path in (folder_store(library).reports_root, tmp_path / "empty", tmp_path / "absent"):
        with pytest.raises(InvalidInputError):
            bring(library, path)


# --- A Markdown file ----------------------------------------------------------------------


def test_a_file_becomes_a_report_of_one_version(library: Library, tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text(TEXT)
    report = bring_one(library, tmp_path / "guide.md")
    shown = library.get_report(GetReport(report, view="full"))
    assert (shown["title"], shown["version"]) == ("Guide", 1)
    assert [(row["title"], row["content"]) for row in shown["sections"]] == [
        ("Setup", "One.\n\n"),
        ("Use", "Two.\n"),
    ]
    [event] = log_events(folder_of(library, report))
    assert event["payload"]["imported"] == {"file": "guide.md"}
    assert (event["actor"], event["payload"]["client"]) == ("cli", "ann")
    require_sound(folder_store(library), report)


def test_the_same_file_again_is_refused(library: Library, tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text(TEXT)
    report = bring_one(library, tmp_path / "guide.md")
    with pytest.raises(InvalidInputError, match=f"{report} is there already"):
        bring(library, tmp_path / "guide.md")


def test_a_folder_gives_a_report_for_each_file(library: Library, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    for name in ("a.md", "deep/a.markdown", "deep/notes.txt", ".hidden/b.md", "c.md"):
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text(TEXT)
    (docs / "c.md").write_bytes(b"\xff\xfe")
    found = bring(library, docs)
    assert [row["from"] for row in found["imported"]] == ["a.md", "deep/a.markdown"]
    assert [(row["from"], row["code"]) for row in found["refused"]] == [("c.md", "invalid_input")]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\xff\xfeno text", InvalidInputError),
        (b"a\0b", InvalidInputError),
        (b"## A\n" + b"x" * (MAX_SECTION_BYTES + 1), TooLargeError),
        (b"x\n" * 8_000_001, TooLargeError),
    ],
)
def test_what_is_no_document_changes_nothing(
    library: Library, tmp_path: Path, data: bytes, error: type[ReportError]
) -> None:
    (tmp_path / "guide.md").write_bytes(data)
    with pytest.raises(error):
        bring(library, tmp_path / "guide.md")
    assert not folder_store(library).reports_root.exists()


# --- Its history --------------------------------------------------------------------------


@needs_git
def test_each_commit_is_a_version_with_its_author_time_and_message(
    library: Library, repository: Repository
) -> None:
    texts = [TEXT, TEXT.replace("One.", "1."), TEXT.replace("One.", "1.") + "\n## Limits\nNone.\n"]
    commits = [
        repository.commit(texts[0], "Begin"),
        repository.commit(
            texts[1], "Numbers\n\nThey are shorter.", author="Bén", at="2026-03-02T01:00:00+02:00"
        ),
        repository.commit(texts[2], "Limits"),
    ]
    began = datetime.now().astimezone()
    report = bring_one(library, repository.path / "guide.md")
    events = log_events(folder_of(library, report))
    assert [event["payload"]["reason"] for event in events] == ["Ann: Begin", "Bén: Numbers", "Ann: Limits"]
    assert [event["action_type"] for event in events] == ["create", "evolve", "evolve"]
    assert events[1]["payload"]["imported"] == {
        "author": "Bén",
        "at": "2026-03-01T23:00:00+00:00",
        "commit": commits[1],
        "message": "Numbers\n\nThey are shorter.",
        "file": "guide.md",
    }
    assert all(datetime.fromisoformat(event["ts"]) >= began for event in events)
    for version, text in enumerate(texts, 1):
        assert f"# Guide\n\n{document_at(library, report, version)}" == text
    require_sound(folder_store(library), report)


@needs_git
def test_a_section_keeps_its_identity_by_its_title(library: Library, repository: Repository) -> None:
    repository.commit("# Guide\n## A\none\n## B\ntwo\n")
    repository.commit("# Guide\n## B\ntwo\n## C\nthree\n## A\nONE\n")
    report = bring_one(library, repository.path / "guide.md")
    change = log_events(folder_of(library, report))[1]["payload"]["delta"]
    came = [edit["at"] for edit in change if edit["at"].startswith("sections/") and "old" not in edit]
    assert len([edit for edit in change if edit["at"].count("/") == 1 and "new" in edit]) == 1
    assert not [edit for edit in change if "old" in edit and "new" not in edit], "nothing went"
    assert "sections" in {edit["at"] for edit in change}, "the order changed"
    assert came


@needs_git
def test_renames_are_followed(library: Library, repository: Repository) -> None:
    repository.commit(TEXT, "Begin", name="old name.md")
    repository("mv", "old name.md", "new é.md")
    repository("commit", "--quiet", "-m", "Rename")
    repository.commit(TEXT + "More.\n", "More", name="new é.md")
    report = bring_one(library, repository.path / "new é.md")
    assert [row["file"] for row in imported_of(library, report)] == ["old name.md", "new é.md"]


@needs_git
def test_commits_that_alter_nothing_make_no_version(library: Library, repository: Repository) -> None:
    repository.commit(TEXT)
    repository.commit(TEXT, "Empty")
    repository.commit("other", name="other.md")
    (repository.path / "guide.md").chmod(0o755)
    repository("commit", "--quiet", "-am", "Mode")
    assert bring(library, repository.path / "guide.md")["imported"][0]["version"] == 1


@needs_git
def test_a_changed_title_is_a_rename(library: Library, repository: Repository) -> None:
    repository.commit(TEXT)
    repository.commit(TEXT.replace("# Guide", "# Handbook"))
    report = bring_one(library, repository.path / "guide.md")
    assert [event["action_type"] for event in log_events(folder_of(library, report))] == ["create", "rename"]


@needs_git
def test_what_is_not_committed_yet_is_the_newest_version(library: Library, repository: Repository) -> None:
    repository.commit(TEXT, "Begin")
    (repository.path / "guide.md").write_text(TEXT + "Now.\n")
    report = bring_one(library, repository.path / "guide.md")
    assert document_at(library, report, 2).endswith("Now.\n")
    assert imported_of(library, report)[1] == {"file": "guide.md"}


@needs_git
def test_a_file_that_was_away_for_a_while_comes_back(library: Library, repository: Repository) -> None:
    repository.commit(TEXT, "Begin")
    repository("rm", "--quiet", "guide.md")
    repository("commit", "--quiet", "-m", "Gone")
    repository.commit(TEXT + "Back.\n", "Back")
    report = bring_one(library, repository.path / "guide.md")
    assert [row["message"] for row in imported_of(library, report)] == ["Begin", "Back"]


@needs_git
def test_both_sides_of_a_merge_and_the_merge_itself_are_there(
    library: Library, repository: Repository
) -> None:
    repository.commit("# Guide\n\n## A\none\n\n## B\ntwo\n\n## C\nthree\n", "Begin")
    repository("checkout", "--quiet", "-b", "side")
    repository.commit("# Guide\n\n## A\nONE\n\n## B\ntwo\n\n## C\nthree\n", "Side", author="Ben")
    repository("checkout", "--quiet", "main")
    repository.commit("# Guide\n\n## A\none\n\n## B\ntwo\n\n## C\nTHREE\n", "Main")
    repository("merge", "--quiet", "-m", "Merge", "side")
    report = bring_one(library, repository.path / "guide.md")
    messages = [row["message"] for row in imported_of(library, report)]
    assert sorted(messages[1:3]) == ["Main", "Side"]
    assert (messages[0], messages[3]) == ("Begin", "Merge")
    merged = (repository.path / "guide.md").read_text()
    assert f"# Guide\n\n{document_at(library, report, 4)}" == merged


@needs_git
def test_a_commit_that_is_no_text_is_left_out_and_said(library: Library, repository: Repository) -> None:
    repository.commit(TEXT, "Begin")
    bad = repository.commit(b"\xff\xfe", "Broken")
    repository.commit(TEXT + "Mended.\n", "Mended")
    [row] = bring(library, repository.path / "guide.md")["imported"]
    assert row["version"] == 2
    assert row["warnings"] == [
        f"Commits left out: 1. The first: guide.md in {bad[:10]} is not UTF-8: byte 0."
    ]


@needs_git
def test_only_the_document_with_new_commits_is_imported_again(
    library: Library, repository: Repository
) -> None:
    repository.commit(TEXT, "Begin")
    repository.commit(TEXT, "Copy", name="copy.md")
    first = bring(library, repository.path)
    assert len({row["report_id"] for row in first["imported"]}) == 2
    repository.commit(TEXT + "More.\n", "More")
    again = bring(library, repository.path)
    assert [(row["from"], row["version"]) for row in again["imported"]] == [("guide.md", 2)]
    assert [row["from"] for row in again["refused"]] == ["copy.md"]


@needs_git
def test_names_and_messages_of_any_kind_are_taken_as_they_are(
    library: Library, repository: Repository
) -> None:
    name = "a b\t'\"$(touch x);*é#.md"
    repository.commit(TEXT, "--not an option \x01 $(touch y)", name=name, author="O'Neil É")
    report = bring_one(library, repository.path / name)
    [row] = imported_of(library, report)
    assert (row["file"], row["author"]) == (name, "O'Neil É")
    assert row["message"] == "--not an option \x01 $(touch y)"


@needs_git
def test_a_file_that_git_does_not_know_has_one_version(library: Library, repository: Repository) -> None:
    (repository.path / "guide.md").write_text(TEXT)
    assert read_history(repository.path / "guide.md").revisions == ()
    assert bring(library, repository.path / "guide.md")["imported"][0]["version"] == 1


def test_without_git_there_is_one_version(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "guide.md").write_text(TEXT)
    monkeypatch.setenv("PATH", str(tmp_path))
    [row] = bring(library, tmp_path / "guide.md")["imported"]
    assert (row["version"], "warnings" in row) == (1, False)


@needs_git
def test_a_repository_that_git_cannot_read_is_said(library: Library, tmp_path: Path) -> None:
    (tmp_path / "docs" / ".git").mkdir(parents=True)
    (tmp_path / "docs" / ".git" / "HEAD").write_text("nothing")
    (tmp_path / "docs" / "guide.md").write_text(TEXT)
    [row] = bring(library, tmp_path / "docs" / "guide.md")["imported"]
    assert row["version"] == 1
    assert row["warnings"][0].startswith("The history was not read")


@needs_git
def test_a_git_that_stops_leaves_nothing(
    library: Library, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(TEXT)
    (tmp_path / "bin").mkdir()
    git = tmp_path / "bin" / "git"
    git.write_text(
        f'#!/bin/sh\ncase "$*" in *cat-file*) read line; exit 1;; esac\nexec {shutil.which("git")} "$@"\n'
    )
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(InvalidInputError, match="git stopped"):
        bring(library, repository.path / "guide.md")
    assert not folder_store(library).reports_root.exists()


@needs_git
def test_it_says_how_far_it_is(library: Library, repository: Repository) -> None:
    repository.commit(TEXT)
    repository.commit(TEXT + "More.\n")
    said: list[str] = []
    import_reports(library.store, repository.path, author=CLI, announce=said.append)
    assert said == [
        "import guide.md (1 of 1)",
        "import guide.md: commit 1 of 2",
        "import guide.md: commit 2 of 2",
    ]


@needs_git
def test_a_repository_runs_nothing(library: Library, repository: Repository, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch '{tmp_path}/sprung'\n")
    trap.chmod(0o755)
    (repository.path / ".gitattributes").write_text("*.md diff=trap filter=trap\n")
    repository.commit(TEXT)
    for key in ("core.fsmonitor", "core.pager", "diff.external", "diff.trap.textconv", "filter.trap.smudge"):
        repository("config", key, str(trap))
    repository("config", "gpg.program", str(trap))
    repository("config", "log.showSignature", "true")
    bring(library, repository.path / "guide.md")
    assert not (tmp_path / "sprung").exists()


@needs_git
def test_a_real_document_comes_in_with_its_revisions(
    library: Library, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    sent = list(revisions("log4j-guidance"))[:: 1 if pytestconfig.getoption("--full") else 6]
    repository = Repository(tmp_path / "repository")
    stream = b"".join(fast_import(sent))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repository.path, input=stream, check=True)
    repository("checkout", "--quiet", "main")
    report = bring_one(library, repository.path / "guide.md")
    altering = [
        new for old, new in zip([None, *sent], sent, strict=False) if not old or old["text"] != new["text"]
    ]
    assert [row["author"] for row in imported_of(library, report)] == [each["author"] for each in altering]
    state = library.store.read(report)
    for version, revision in enumerate(altering, 1):
        outline = library.store.outline_at(report, version, state)
        sections = tuple((section.title, section.content or "") for section in outline.sections)
        assert Document(outline.title, sections) == read_document(revision["text"], "guide")
    assert library.audit_report(AuditReport(report, verify=True))["verified"]["ok"] is True


def fast_import(sent: list[Row]) -> list[bytes]:
    parts = []
    for number, revision in enumerate(sent, 1):
        text, message = revision["text"].encode(), (revision["message"] or "-").encode()
        person = f"{revision['author'].strip('<>')} <a@example.org> {1_640_000_000 + number} +0000"
        parts += [b"commit refs/heads/main\n", f"author {person}\ncommitter {person}\n".encode()]
        parts += [b"data %d\n" % len(message), message, b"\nM 100644 inline guide.md\n"]
        parts += [b"data %d\n" % len(text), text, b"\n"]
    return parts


# --- Authors and times of commits -----------------------------------------------------------


@pytest.fixture
def dated(library: Library, repository: Repository) -> str:
    """A report imported from three commits by two authors, on three days."""
    repository.commit(TEXT, "Begin", at="2026-03-01T12:00:00+00:00")
    more = TEXT.replace("One.", "1.")
    repository.commit(more, "Numbers", author="Bén", at="2026-03-05T12:00:00+00:00")
    repository.commit(more + "Three.\n", "More", at="2026-03-09T12:00:00+00:00")
    return bring_one(library, repository.path / "guide.md")


@needs_git
def test_answers_name_the_author_and_the_time_of_each_commit(
    library: Library, repository: Repository, dated: str
) -> None:
    rows = library.audit_report(AuditReport(dated))["events"]
    assert [(row["client"], row["ts"][:10]) for row in rows] == [
        ("Ann", "2026-03-09"),
        ("Bén", "2026-03-05"),
        ("Ann", "2026-03-01"),
    ]
    events = log_events(folder_of(library, dated))
    assert [row["imported"] for row in rows] == [
        {"commit": e["payload"]["imported"]["commit"][:12], "ts": e["ts"], "actor": "cli", "client": "ann"}
        for e in reversed(events)
    ]
    blamed = library.audit_report(AuditReport(dated, item="Setup"))["last_change"]
    assert (blamed["client"], blamed["ts"][:10], "actor" in blamed) == ("Bén", "2026-03-05", False)
    changed = library.diff_report(DiffReport(dated, since=1))["changed"]
    assert {row["by"]["client"] for row in changed} == {"Ann", "Bén"}
    replaced = update_report(library, dated, replace_content("New.", "Setup"))
    assert any("by Bén" in warning for warning in replaced["warnings"])


@needs_git
def test_since_is_about_the_times_of_the_commits(library: Library, dated: str) -> None:
    def versions(since: str) -> list[int]:
        return [row["version"] for row in library.audit_report(AuditReport(dated, since=since))["events"]]

    assert versions("2026-03-04") == [3, 2]
    assert versions("2026-03-06") == [3]
    assert versions(datetime.now().astimezone().isoformat()) == []
    for since, first in (("2026-02-01", 0), ("2026-03-04", 1), ("2026-03-06", 2), ("2026-03-10", 3)):
        assert library.diff_report(DiffReport(dated, since=since))["from_version"] == first
    assert library.audit_report(AuditReport(dated, actor="bén"))["events"][0]["version"] == 2
    assert len(library.audit_report(AuditReport(dated, actor="cli"))["events"]) == 3


@needs_git
def test_since_covers_a_commit_that_is_dated_before_an_earlier_one(
    library: Library, repository: Repository
) -> None:
    for number, day in enumerate(("01", "09", "05"), 1):
        repository.commit(f"{TEXT}{number}\n", f"No. {number}", at=f"2026-03-{day}T12:00:00+00:00")
    report = bring_one(library, repository.path / "guide.md")
    rows = library.audit_report(AuditReport(report, since="2026-03-07"))["events"]
    assert [row["version"] for row in rows] == [2]
    assert library.diff_report(DiffReport(report, since="2026-03-07"))["from_version"] == 1
    assert library.diff_report(DiffReport(report, since="2026-03-04"))["from_version"] == 1


@needs_git
def test_pages_and_lists_show_the_time_of_the_newest_commit(library: Library, dated: str) -> None:
    assert "updated 2026-03-09" in library.render_report(RenderReport(dated))["text"]
    assert "updated 2026-03-05" in library.render_report(RenderReport(dated, version=2))["text"]
    [row] = library.list_reports(ListReports())["reports"]
    assert row["updated_at"].startswith("2026-03-09")
    outline = library.store.read(dated).outline
    assert (outline.created_at[:10], outline.sections[0].updated_at[:10]) == ("2026-03-01", "2026-03-05")


@needs_git
def test_a_list_of_imported_reports_keeps_its_order_over_its_pages(
    library: Library, repository: Repository
) -> None:
    for number in range(6):
        for day in (number + 1, number + 11):
            text = f"# Guide {number}\n\n## A\n{day}\n"
            repository.commit(text, name=f"g{number}.md", at=f"2026-03-{day:02}T12:00:00+00:00")
    bring(library, repository.path)
    titles, cursor = [], ""
    while True:
        answer = library.list_reports(ListReports(limit=2, cursor=cursor))
        titles += [row["title"] for row in answer["reports"]]
        first = answer["reports"][0]["report_id"]
        update_report(library, first, replace_content("Changed meanwhile.", "A"))
        if not (cursor := answer.get("next_cursor", "")):
            break
    assert titles == [f"Guide {number}" for number in reversed(range(6))]


@needs_git
def test_the_commands_name_the_author_and_the_importer(tmp_path: Path, repository: Repository) -> None:
    repository.commit(TEXT, "Begin", author="Bén")
    run_ok(tmp_path / "reports", "import", str(repository.path / "guide.md"))
    shown = run_ok(tmp_path / "reports", "audit", "Guide")
    assert "2026-03-01 10:00:00  Bén" in shown
    assert "imported by" in shown


# --- Importing again ------------------------------------------------------------------------


def test_a_version_of_a_file_without_history_is_marked(library: Library, tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text(TEXT)
    report = bring_one(library, tmp_path / "guide.md")
    [row] = library.audit_report(AuditReport(report))["events"]
    assert (row["client"], row["imported"]) == ("ann", {"file": "guide.md"})


@needs_git
def test_the_command_counts_appended_versions(tmp_path: Path, repository: Repository) -> None:
    for text in (TEXT, TEXT + "More.\n"):
        repository.commit(text)
        shown = run_ok(tmp_path / "reports", "import", str(repository.path / "guide.md"))
    assert "v2 (+1)" in shown


@needs_git
def test_new_commits_are_appended(library: Library, repository: Repository) -> None:
    repository.commit(TEXT, "Begin")
    report = bring_one(library, repository.path / "guide.md")
    record_render(library, report)  # an event, but no version
    repository.commit(TEXT + "More.\n", "More", author="Bén")
    repository.commit(TEXT + "More.\nAnd more.\n", "And more")
    [row] = bring(library, repository.path / "guide.md")["imported"]
    assert (row["report_id"], row["version"], row["appended"]) == (report, 3, 2)
    for version, end in ((1, "Two.\n"), (2, "More.\n"), (3, "And more.\n")):
        assert document_at(library, report, version).endswith(end)
    row = library.audit_report(AuditReport(report))["events"][1]
    assert (row["client"], row["reason"]) == ("Bén", "Bén: More")
    assert library.audit_report(AuditReport(report, verify=True))["verified"]["ok"] is True
    with pytest.raises(InvalidInputError, match="there already"):
        bring(library, repository.path / "guide.md")


@needs_git
def test_uncommitted_text_is_appended_and_then_the_commit_after_it(
    library: Library, repository: Repository
) -> None:
    file = repository.path / "guide.md"
    repository.commit(TEXT, "Begin")
    file.write_text(TEXT + "Draft.\n")
    report = bring_one(library, file)
    repository.commit(TEXT + "Draft.\n", "Same as imported")
    with pytest.raises(InvalidInputError, match="there already"):
        bring(library, file)
    repository.commit(TEXT + "Draft.\nMore.\n", "More")
    assert bring(library, file)["imported"][0]["version"] == 3
    file.write_text(TEXT + "Draft 2.\n")
    assert bring(library, file)["imported"][0]["version"] == 4
    repository.commit(TEXT + "End.\n", "End")
    assert bring(library, file)["imported"][0]["version"] == 5
    assert document_at(library, report, 5).endswith("End.\n")


@needs_git
def test_nothing_is_appended_to_a_report_that_was_edited(library: Library, repository: Repository) -> None:
    repository.commit(TEXT, "Begin")
    report = bring_one(library, repository.path / "guide.md")
    update_report(library, report, replace_content("Edited.", "Setup"))
    repository.commit(TEXT + "More.\n", "More")
    with pytest.raises(InvalidInputError, match="version 2 was not imported") as caught:
        bring(library, repository.path / "guide.md")
    assert "a copy of the file" in caught.value.hint
    assert library.store.read(report).version == 2
    (repository.path.parent / "copy.md").write_bytes((repository.path / "guide.md").read_bytes())
    assert bring_one(library, repository.path.parent / "copy.md") != report


@needs_git
def test_nothing_is_appended_after_a_rewritten_history(library: Library, repository: Repository) -> None:
    repository.commit(TEXT, "Begin")
    repository.commit(TEXT + "More.\n", "More")
    report = bring_one(library, repository.path / "guide.md")
    repository("commit", "--quiet", "--amend", "-m", "Reworded")
    with pytest.raises(InvalidInputError, match="history of the file is another"):
        bring(library, repository.path / "guide.md")
    assert library.store.read(report).version == 2


@needs_git
@pytest.mark.parametrize("branch", ["main", "side"])
def test_a_merge_is_appended_only_to_the_branch_that_comes_first(
    library: Library, repository: Repository, branch: str
) -> None:
    file = repository.path / "guide.md"
    repository.commit("# Guide\n\n## A\none\n\n## B\ntwo\n\n## C\nthree\n", "Begin")
    repository("checkout", "--quiet", "-b", "side")
    repository.commit("# Guide\n\n## A\nONE\n\n## B\ntwo\n\n## C\nthree\n", "side")
    repository("checkout", "--quiet", "main")
    repository.commit("# Guide\n\n## A\none\n\n## B\ntwo\n\n## C\nTHREE\n", "main")
    repository("checkout", "--quiet", branch)
    report = bring_one(library, file)
    repository("checkout", "--quiet", "main")
    repository("merge", "--quiet", "-m", "Merge", "side")
    if read_history(file).revisions[1].message == branch:
        assert bring(library, file)["imported"][0]["appended"] == 2
        assert f"# Guide\n\n{document_at(library, report, 4)}" == file.read_text()
    else:
        with pytest.raises(InvalidInputError, match="history of the file is another"):
            bring(library, file)
        assert library.store.read(report).version == 2


# --- Atomicity ----------------------------------------------------------------------------


@pytest.fixture
def brought_in(library: Library, tmp_path: Path, repository: Repository) -> Callable[[], Row]:
    repository.commit(TEXT, "Begin")
    repository.commit(TEXT + "More.\n", "More")
    return lambda: bring(Library(tmp_path / "reports"), repository.path / "guide.md")


@needs_git
def test_a_disk_that_refuses_leaves_nothing_or_all(
    library: Library, brought_in: Callable[[], Row], tmp_path: Path
) -> None:
    steps = len(operations_of(brought_in))
    assert steps > 30
    for position in range(steps):
        shutil.rmtree(tmp_path / "reports", ignore_errors=True)
        with observe_disk(FailOperation(position)):
            happened = outcome_of(brought_in)
        entries = Library(tmp_path / "reports").store.entries()
        assert (happened, len(entries)) in (("no", 0), ("yes", 1))
        for entry in entries:
            assert library.store.read(entry.report_id).version == 2
            require_sound(folder_store(library), entry.report_id)


@needs_git
def test_a_killed_import_leaves_nothing_or_all(
    library: Library, brought_in: Callable[[], Row], tmp_path: Path
) -> None:
    position = 0
    while killed_before(position, brought_in):
        for entry in library.store.entries():
            assert library.store.read(entry.report_id).version == 2
            assert library.audit_report(AuditReport(entry.report_id, verify=True))["verified"]["ok"] is True
        shutil.rmtree(tmp_path / "reports", ignore_errors=True)
        library = Library(tmp_path / "reports")
        position += 1
    assert position > 30


@needs_git
def test_a_killed_append_leaves_whole_versions_and_is_completed(
    library: Library, brought_in: Callable[[], Row], repository: Repository, tmp_path: Path
) -> None:
    report = brought_in()["imported"][0]["report_id"]
    shutil.copytree(tmp_path / "reports", tmp_path / "before")
    for number in (3, 4):
        repository.commit(f"{TEXT}{number}\n", str(number))
    position, versions = 0, set()
    while killed_before(position, brought_in):
        versions.add(library.store.read(report).version)
        require_sound(folder_store(library), report)
        if versions and library.store.read(report).version < 4:
            assert brought_in()["imported"][0]["version"] == 4
        shutil.rmtree(tmp_path / "reports")
        shutil.copytree(tmp_path / "before", tmp_path / "reports")
        library = Library(tmp_path / "reports")
        position += 3
    assert versions == {2, 3, 4}


# --- On the command line ------------------------------------------------------------------


def test_the_command_says_what_came_in_and_what_did_not(tmp_path: Path) -> None:
    root, docs = tmp_path / "reports", tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text(TEXT)
    (docs / "b.md").write_text("# Other\n")
    lines = run_ok(root, "import", str(docs)).splitlines()
    assert lines[0] == "Imported 2 reports"
    assert [line.split()[1:] for line in lines[1:]] == [["v1", "Guide", "a.md"], ["v1", "Other", "b.md"]]
    again = run_command(root, "import", str(docs))
    assert again.returncode == 1
    assert again.stdout.count("is there already") == 2
    (docs / "c.md").write_text("# Third\n")
    assert run_command(root, "import", str(docs / "a.md")).returncode == 2
    found = run_json(root, "import", str(docs / "c.md"))
    assert [row["title"] for row in found["imported"]] == ["Third"]
