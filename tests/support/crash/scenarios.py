"""The runs whose crashes are looked at: a root to begin with, and what is then done to it.

Each act is one call that is answered, or one that dies half-way. `begin` may use what it likes:
what it leaves is on the disk for good.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from living_reports.errors import ReportNotFoundError
from living_reports.interchange.importing import import_reports
from living_reports.library import Library
from living_reports.library.integrity import check_store
from living_reports.library.requests import (
    CreateReport,
    GetReport,
    ListReports,
    RenderReport,
    RestoreReport,
    RevertReport,
    TrashReport,
    UpdateReport,
)
from living_reports.model.event import Author
from living_reports.model.report import Outline, Section
from living_reports.storage import Note
from support.crash.recorder import Death
from support.library_reports import folder_store

SEED = int(os.environ.get("CRASH_SEED", "20261123"))
ANN = Author("agent", "ann/1.0")
REPORT = "5f9d3c1e-0a7b-4c2d-8e6f-1234567890ab"
DAY = "2026-11-23T10:00:00+00:00"
OTHER = "6a1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef"
BY_HAND = "typed by a person"

Action = Callable[[Library], object]


@dataclass(frozen=True)
class Act:
    """Something that is done to a root; with a `death`, only up to there."""

    do: Action
    death: Death | None = None


@dataclass(frozen=True)
class Scenario:
    """A run.

    Attributes:
        begin: Makes the root that the run starts from, in a folder that does not exist yet.
        acts: What is done then, each by a process of its own.
        requires: Raises AssertionError if something that this run promises besides does not hold in
            a root after a crash and the recovery from it; the flag says whether all acts were answered.
        lists_at_once: Whether a list is right before the report was opened. A list does not look
            into the files for what a person typed.
        first: What a person does after a crash before anything is checked.
        allows: The codes of what the checker may find when all is over.
    """

    name: str
    begin: Callable[[Path], None]
    acts: Sequence[Act]
    lists_at_once: bool = True
    requires: Callable[[Path, bool], None] = field(default=lambda root, is_over: None)
    first: Action = field(default=lambda library: None)
    allows: frozenset[str] = frozenset()


# --- What to begin with -------------------------------------------------------------------


def nothing(root: Path) -> None:
    """The root is not even there."""


def some_versions(root: Path) -> None:
    """A report with versions enough for backups to be pruned, and another one."""
    library = Library(root)
    for report_id, title in ((REPORT, "Health"), (OTHER, "Other")):
        section = Section(section_id=OTHER, title="Risks", content="Line 1.")
        outline = Outline(
            report_id=report_id, title=title, created_at=DAY, updated_at=DAY, sections=[section]
        )
        library.store.create(outline, Note("create", ANN))
    for number in range(2, 8):
        append(f"Line {number}.")(library)


def long_report(root: Path) -> None:
    """A report so long that the next backups are not kept for good, and so not synced."""
    some_versions(root)
    append(LONG)(Library(root))
    append("Line 9.")(Library(root))


def spoiled_backup(root: Path) -> None:
    """The nearest base of the next version is a valid outline, but not the one that its event names."""
    long_report(root)
    newest = max(outline_path(root).parent.glob("backups/*"))
    data = newest.read_bytes()
    newest.unlink()
    newest.write_bytes(data.replace(b"Line 7.", BY_HAND.encode()))


def in_the_trash(root: Path) -> None:
    some_versions(root)
    delete(Library(root))


def edited_by_hand(root: Path) -> None:
    some_versions(root)
    path = outline_path(root)
    path.write_bytes(path.read_bytes().replace(b"Line 7.", BY_HAND.encode()))


def old_buffer(root: Path) -> None:
    """An editor that was opened two versions ago was saved now."""
    some_versions(root)
    path = outline_path(root)
    buffer = path.read_bytes().replace(b'"Health"', f'"{BY_HAND}"'.encode())
    append("Line 8.")(Library(root))
    append("Line 9.")(Library(root))
    look(Library(root))  # the next list is not the first after a start, which opens what seems unfinished
    path.write_bytes(buffer)


def older_file(root: Path) -> None:
    """An older version was copied over the current one."""
    some_versions(root)
    path = outline_path(root)
    older = path.read_bytes()
    append("Line 8.")(Library(root))
    append("Line 9.")(Library(root))
    look(Library(root))  # the next list is not the first after a start, which opens what seems unfinished
    path.write_bytes(older)


def damaged_by_hand(root: Path) -> None:
    """Replace the outline by a text of a person that is no outline."""
    some_versions(root)
    path = outline_path(root)
    path.write_bytes(path.read_bytes().replace(b'"Line 1.', BY_HAND.encode()))


def exported(root: Path) -> None:
    """A file that export wrote lies beside a root that is not there yet."""
    elsewhere = root.parent / "elsewhere"
    some_versions(elsewhere)
    (root.parent / "report.tar").write_bytes(Library(elsewhere).store.export(REPORT))
    shutil.rmtree(elsewhere)


def torn(root: Path) -> None:
    """An append that a crash tore; it was never acknowledged."""
    some_versions(root)
    with (outline_path(root).parent / "audit.jsonl").open("ab") as log:
        log.write(b'{"action_id":"6a1b2c3d-4e5f-4a6b-9c8d-abcd')


def anothers(root: Path) -> None:
    """Make a report of igloo-mcp: its outline, one of its lines in the log, no hashes."""
    outline = {
        "report_id": REPORT,
        "title": "Health",
        "created_at": "2025-11-01T10:00:00+00:00",
        "updated_at": "2025-11-02T10:00:00+00:00",
        "outline_version": 3,
        "sections": [{"section_id": OTHER, "title": "Risks", "order": 0, "content": "Line 1."}],
    }
    event = {
        "action_id": OTHER,
        "report_id": REPORT,
        "ts": "2025-11-02T10:00:00+00:00",
        "actor": "agent",
        "action_type": "evolve",
        "payload": {"note": "not ours"},
    }
    outline_path(root).parent.mkdir(parents=True)
    outline_path(root).write_text(json.dumps(outline), encoding="utf-8")
    (outline_path(root).parent / "audit.jsonl").write_text(json.dumps(event) + "\n", encoding="utf-8")


def outline_path(root: Path) -> Path:
    return root / "by_id" / REPORT / "outline.json"


# --- What is done -------------------------------------------------------------------------


def create(library: Library) -> object:
    sections = [{"title": "Risks", "content": "Line 1.", "insights": [{"summary": "It grows."}]}]
    return library.create_report(CreateReport("New", sections, request_id="the first"), author=ANN)


def update(*changes: dict[str, object]) -> Action:
    return lambda library: library.update_report(UpdateReport(REPORT, list(changes)), author=ANN)


def append(text: str) -> Action:
    return update({"op": "append_text", "section": "Risks", "text": text})


def rename(title: str) -> Action:
    return update({"op": "set_title", "title": title})


archive = update({"op": "set_status", "status": "archived"})


def revert(library: Library) -> object:
    return library.revert_report(RevertReport(REPORT, 3), author=ANN)


def revert_if_damaged(library: Library) -> object:
    """As a person does who has read the warning. Until then the unfinished edit is refused, not replaced."""
    state = library.store.read(REPORT)
    if state.refusal is None:
        assert state.version > 7
        return None
    assert BY_HAND in outline_path(folder_store(library).reports_root).read_text(encoding="utf-8")
    return revert(library)


def undo(library: Library) -> object:
    return library.revert_report(RevertReport(REPORT, undo="7"), author=ANN)


def fork(library: Library) -> object:
    return library.create_report(
        CreateReport("Fork", from_reports=[REPORT], request_id="the fork"), author=ANN
    )


def bring_in(library: Library) -> object:
    return import_reports(
        folder_store(library), folder_store(library).reports_root.parent / "report.tar", author=ANN
    )


def render(library: Library) -> object:
    return library.render_report(RenderReport(REPORT, format="html"))


def repair(library: Library) -> object:
    return check_store(library.store, repair=True)


def read(library: Library) -> object:
    return library.get_report(GetReport(REPORT))


def delete(library: Library) -> object:
    return library.trash_report(TrashReport(REPORT), author=ANN)


def restore(library: Library) -> object:
    return library.restore_report(RestoreReport(REPORT), author=ANN)


# --- What some promise besides ------------------------------------------------------------


def keeps_the_edit(root: Path, is_over: bool) -> None:
    """A person's words are in the report, and their bytes are kept once they were taken in."""
    assert BY_HAND in outline_path(root).read_text(encoding="utf-8")
    assert not is_over or any(BY_HAND.encode() in data for data in kept_bytes(root))


def keeps_what_was_typed(root: Path, is_over: bool) -> None:
    """The bytes that a person left are somewhere in the folder."""
    assert any(BY_HAND.encode() in data for data in kept_bytes(root))


def keeps_the_older_file(root: Path, is_over: bool) -> None:
    """Require that the outline that was set aside is version 7, byte for byte."""
    assert any(b'"outline_version": 7' in data for data in kept_bytes(root))


def keeps_anothers_bytes(root: Path, is_over: bool) -> None:
    """The bytes that another program wrote are still there, whatever became of the report."""
    assert any(b'"outline_version": 3, "sections"' in data for data in kept_bytes(root))


def kept_bytes(root: Path) -> list[bytes]:
    folder = outline_path(root).parent
    paths = [outline_path(root), *folder.glob("*.aside.json"), *folder.glob("backups/*")]
    return [path.read_bytes() for path in paths]


LONG = "\n".join(f"Line {number} of a text that takes several pages." for number in range(300))

SCENARIOS = [
    Scenario("create", nothing, [Act(create)]),
    Scenario("create a second", some_versions, [Act(create)]),
    Scenario("update", some_versions, [Act(rename("Safety"))]),
    Scenario("long update", some_versions, [Act(append(LONG))]),
    Scenario("revert", some_versions, [Act(revert)]),
    Scenario("undo", some_versions, [Act(undo)]),
    Scenario("set status", some_versions, [Act(archive)]),
    Scenario("fork", some_versions, [Act(fork)]),
    Scenario("import", exported, [Act(bring_in)]),
    Scenario("render", some_versions, [Act(render)]),
    Scenario("two updates", some_versions, [Act(append("Line 8.")), Act(rename("Safety"))]),
    Scenario(
        "updates of a long report",
        long_report,
        [Act(append("Line 10.")), Act(rename("Safety")), Act(append("Line 11."))],
    ),
    Scenario(
        "update behind a spoiled backup",
        spoiled_backup,
        [Act(rename("Safety"))],
        allows=frozenset({"backup_mismatch"}),
    ),
    Scenario("delete", some_versions, [Act(delete)]),
    Scenario("restore", in_the_trash, [Act(restore)]),
    Scenario("delete, restore, update", some_versions, [Act(delete), Act(restore), Act(rename("Safety"))]),
    Scenario("hand edit read", edited_by_hand, [Act(read)], False, keeps_the_edit),
    Scenario("hand edit and update", edited_by_hand, [Act(rename("Safety"))], False, keeps_the_edit),
    Scenario("old buffer read", old_buffer, [Act(read)], False, keeps_the_edit),
    Scenario("older file read", older_file, [Act(read)], False, keeps_the_older_file),
    Scenario(
        "damage reverted", damaged_by_hand, [Act(revert)], False, keeps_what_was_typed, revert_if_damaged
    ),
    Scenario("adoption", anothers, [Act(rename("Safety"))], True, keeps_anothers_bytes),
    Scenario("torn tail read", torn, [Act(read)]),
    Scenario("torn tail and update", torn, [Act(rename("Safety"))]),
    Scenario("torn tail and repair", torn, [Act(repair)]),
]


def with_deaths(scenario: Scenario, deaths: Sequence[Death], then: Action | None = None) -> list[Scenario]:
    """The scenario's first act dying at each of these points, and what the next process does: it reads."""
    first, then = scenario.acts[0], then or look
    return [
        Scenario(
            f"{scenario.name}, killed at {death.position}{f' + {death.torn} bytes' if death.torn else ''}",
            scenario.begin,
            [Act(first.do, death), Act(then)],
            scenario.lists_at_once,
            scenario.requires,
            scenario.first,
            scenario.allows,
        )
        for death in deaths
    ]


def carry_on(library: Library) -> object:
    """Change every report that has a folder, without a list that might settle it first."""
    change = {"op": "set_metadata", "key": "next", "value": "process"}
    for folder in sorted(folder_store(library).by_id.glob("[0-9a-f]*")):
        with suppress(ReportNotFoundError):  # its deletion had begun, and is finished now
            library.update_report(UpdateReport(folder.name, [change]), author=ANN)
    return None


def look_and_carry_on(library: Library) -> object:
    look(library)
    return carry_on(library)


def look(library: Library) -> object:
    """List, and read what can be read."""
    rows = library.list_reports(ListReports(status="all"))["reports"]
    return [library.get_report(GetReport(row["report_id"])) for row in rows]


def name_of(each: Scenario | Action) -> str:
    """Return the name of a scenario or of an action, for the ids of parametrised tests."""
    return each.name if isinstance(each, Scenario) else each.__name__
