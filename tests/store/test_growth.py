"""Nothing grows with the history, or with the number of reports, that does not have to."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from living_reports.library import Library
from living_reports.library.requests import AuditReport, CreateReport, GetReport, ListReports
from living_reports.model.report import Outline, outline_bytes, parse_outline
from living_reports.storage import GlobalStorage
from living_reports.store.files import durable
from living_reports.store.files.commit import NEWEST_BACKUPS, saved_bytes
from living_reports.store.files.folder import Hashes, History, Memory, backup_names
from living_reports.store.files.log import AuditLog
from support.library_reports import ANN, create_report, folder_of, folder_store, update_report
from support.processes import child_environment
from support.stored_reports import REPORT, SECTION, create_stored_report, event_of_type, log_events, set_text
from support.strategies import outlines

UPDATES = """
import os
import sys
from pathlib import Path
from living_reports.library import Library
from living_reports.library.requests import UpdateReport
from living_reports.model.event import Author

library = Library(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    os.getppid()  # which nothing else calls: it separates the updates in a trace
    changes = [{"op": "append_text", "section": "Errors", "text": f"Looked again, {number}."}]
    library.update_report(UpdateReport(sys.argv[2], changes), Author("agent", "ann"))
"""


CREATES = """
import os
import sys
from pathlib import Path
from living_reports.library import Library
from living_reports.library.requests import CreateReport
from living_reports.model.event import Author

library = Library(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    os.getppid()
    sections = [{"title": "Errors", "content": "Some text."}]
    library.create_report(CreateReport(f"Report {number}", sections), Author("agent", "ann"))
"""
SYNCS = "fsync,fdatasync,sync,syncfs,msync"


# --- The disk -----------------------------------------------------------------------------


needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed: it counts the system calls"
)


def kernel_calls(tmp_path: Path, calls: str, program: str, *arguments: str) -> list[str]:
    """Return the names of the system calls of these kinds that a Python program makes, in order."""
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={calls}"]
    subprocess.run([*strace, sys.executable, "-c", program, *arguments], check=True, env=child_environment())
    return [line.split(maxsplit=1)[1].partition("(")[0] for line in trace.read_text().splitlines()]


@needs_strace
def test_the_kernel_sees_one_sync_an_update(library: Library, tmp_path: Path) -> None:
    sections = [{"title": "Errors", "content": "A line of a long report.\n" * 400}]
    report = create_report(library, sections=sections)
    root = str(folder_store(library).reports_root)
    assert kernel_calls(tmp_path, SYNCS, UPDATES, root, report, "5") == ["fdatasync"] * 5
    assert library.get_report(GetReport(report))["version"] == 6


@needs_strace
def test_the_kernel_sees_three_syncs_a_create(library: Library, tmp_path: Path) -> None:
    """Those of the log, of the names in the new folder, and of the folder's name.

    SQLite syncs, too, when the first create opens the search file and the end of the process closes it.
    """
    create_report(library)
    root = str(folder_store(library).reports_root)
    calls = kernel_calls(tmp_path, f"getppid,{SYNCS}", CREATES, root, "5")
    first, second, *_, last = [place for place, name in enumerate(calls) if name == "getppid"]
    assert calls[second:last] == ["getppid", "fdatasync", "fsync", "fsync"] * 3, calls[first:]


@needs_strace
def test_an_update_of_five_kilobytes_makes_at_most_55_system_calls(library: Library, tmp_path: Path) -> None:
    """Usually; to sync a backup that is kept takes four more."""
    sections = [{"title": "Errors", "content": "A line of a report.\n" * 200}]
    report = create_report(library, sections=sections)
    root = str(folder_store(library).reports_root)
    calls = kernel_calls(tmp_path, "all", UPDATES, root, report, "20")
    marks = [place for place, name in enumerate(calls) if name == "getppid"]
    counts = [end - begin - 1 for begin, end in pairwise(marks)][3:]  # the first ones load modules and list
    assert sorted(counts)[len(counts) // 2] <= 55, counts
    assert max(counts) <= 65, counts


def test_a_thousand_updates_of_one_insight_of_fifty_kilobytes_take_less_than_four_megabytes(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_sync", lambda fd, path: None)  # what is there counts, not how safely
    prose = "".join(f"Line {number} of what is known about the environment.\n" for number in range(190))
    insights = [{"summary": f"finding {number} " + "that matters " * 12} for number in range(5)]
    sections = [{"title": f"Part {n}", "content": prose[:8000], "insights": insights} for n in range(5)]
    created = library.create_report(CreateReport("Environment", sections), author=ANN)
    report, [first, *_] = created["report_id"], created["created"]["insights"]
    for number in range(1000):
        edit = {"op": "edit_insight", "insight": first["insight_id"], "importance": number % 11}
        update_report(
            library, report, edit | {"summary": f"looked for the {number}. time: " + "still true " * 8}
        )
    folder = folder_of(library, report)
    assert (folder / "outline.json").stat().st_size > 50_000
    assert len(log_events(folder)) == 1001
    assert sum(path.stat().st_blocks * 512 for path in folder.rglob("*")) < 4_000_000


def test_a_version_is_read_back_through_less_than_an_outline_of_deltas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = GlobalStorage(tmp_path / "reports")
    create_stored_report(root, "".join(f"line {number}\n" for number in range(200)))
    for version in range(2, 151):
        lines = (f"line {number}{' changed' * (version % 9 == number % 9)}\n" for number in range(200))
        set_text(root, "".join(lines))
    replayed: dict[int, int] = {}
    replay = History._replay

    def measured(self: History, base: Any, record: Any) -> Outline:
        replayed[record.version] = abs(record.end - base.offset)
        return replay(self, base, record)

    monkeypatch.setattr(History, "_replay", measured)
    state = root.read(REPORT)
    for version in range(1, 150):
        root.outline_at(REPORT, version, state)
    assert sorted(replayed) == list(range(1, 150))
    assert max(replayed.values()) <= len(state.found.outline or b"")
    assert min(replayed.values()) == 0


def test_backups_are_pruned_although_pages_are_rendered_between(library: Library) -> None:
    report = create_report(library)
    for number in range(15):
        update_report(library, report, {"op": "set_title", "title": f"Title {number}"})
        for _ in range(4):
            storage = folder_store(library).get_report_storage(report)
            storage.append_audit_event(event_of_type("render", report))
    folder = folder_of(library, report)
    kept = [
        e for e in log_events(folder) if e["payload"].get("base_at") is not None and e["payload"]["delta"]
    ]
    own = len({event["payload"]["base_at"] for event in kept})
    assert NEWEST_BACKUPS <= len(backup_names(folder / "backups")) <= NEWEST_BACKUPS + own


# --- What is looked at --------------------------------------------------------------------


_seen: list[tuple[str, str]] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and event in ("open", "os.listdir", "os.scandir"):
        _seen.append((event, str(arguments[0])))


sys.addaudithook(_hook)


@contextmanager
def watched() -> Iterator[list[tuple[str, str]]]:
    """Which files are opened in the block, and which folders are listed."""
    global _seen
    _seen = []
    try:
        yield _seen
    finally:
        _seen = None


def test_a_call_by_id_reads_neither_the_index_nor_other_reports(library: Library) -> None:
    report, _ = create_report(library), create_report(library, "Another")
    calls: list[Callable[[Library], object]] = [
        lambda fresh: fresh.get_report(GetReport(report)),
        lambda fresh: fresh.audit_report(AuditReport(report)),
        lambda fresh: update_report(fresh, report, {"op": "set_title", "title": "New"}),
    ]
    root = folder_store(library).reports_root
    for call in calls:
        fresh = Library(root)
        with watched() as seen:
            call(fresh)
        own = str(root / "by_id" / report)
        shared = {(what, path) for what, path in seen if path.startswith(str(root)) and own not in path}
        marks = {("open", str(root / ".pending" / report)), ("open", str(root / ".index.lock"))}
        assert shared <= marks | {("open", str(root / "index.jsonl"))}
        assert folder_store(fresh).index.unfinished == []
        assert not folder_store(fresh).index._entries, "only appended to, never read"


def test_a_report_of_another_program_is_parsed_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = create_report(library)
    outline = folder_of(library, report) / "outline.json"
    other = json.loads(outline.read_bytes()) | {"title": "By another program"}
    for path in [*outline.parent.glob("audit.jsonl"), *outline.parent.glob(".head")]:
        path.unlink()
    outline.write_text(json.dumps(other))
    parsed: list[bytes] = []

    def counting(data: bytes) -> Outline:
        parsed.append(data)
        return parse_outline(data)

    monkeypatch.setattr("living_reports.store.files.folder.parse_outline", counting)
    assert [library.get_report(GetReport(report))["title"] for _ in range(3)] == ["By another program"] * 3
    assert len(parsed) == 1


def test_the_first_list_of_a_process_reads_only_the_reports_it_shows(library: Library) -> None:
    for number in range(30):
        create_report(library, f"Report {number}")
    library.list_reports(ListReports())
    fresh = Library(folder_store(library).reports_root)
    with watched() as seen:
        assert len(fresh.list_reports(ListReports(limit=5))["reports"]) == 5
    assert len({path for what, path in seen if what == "open" and path.endswith("outline.json")}) == 5
    assert not folder_store(fresh).index._entries, "only followed by the search, never read"


def test_an_update_of_a_long_history_opens_no_more_than_one_of_a_short_history(library: Library) -> None:
    report = create_report(library)
    counts = []
    for number in range(60):
        with watched() as seen:
            update_report(library, report, {"op": "set_title", "title": f"Title {number}"})
        counts.append(len(seen))
    assert not [path for what, path in seen if what == "os.listdir" and path.endswith("backups")]
    assert len(backup_names(folder_of(library, report) / "backups")) > NEWEST_BACKUPS + 2
    assert min(counts[10:35]) == min(counts[35:])
    assert max(counts[10:]) - min(counts) <= 1  # a backup that is kept is opened to be synced


# --- Reading the log ----------------------------------------------------------------------


PIECES = {"": b"", "a": b"a", "name": b"name", "long": b"x" * 5000, "longer than a block": b"y" * 30_000}


@given(
    lines=st.lists(st.tuples(st.sampled_from(sorted(PIECES)), st.binary(max_size=20)), max_size=30),
    is_torn=st.booleans(),
    naming=st.lists(st.sampled_from(sorted({*PIECES} - {""})), max_size=2),
)
def test_the_log_reads_backwards_as_it_reads_forwards(
    lines: list[tuple[str, bytes]], is_torn: bool, naming: list[str], tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("log") / "audit.jsonl"
    data = b"\n".join(PIECES[name] + rest.replace(b"\n", b"") for name, rest in lines)
    path.write_bytes(data if is_torn else data + b"\n")
    log, names = AuditLog(path), [PIECES[name] for name in naming]
    forwards = list(log.forwards())
    assert list(log.backwards())[::-1] == forwards
    named = [record for record in forwards if not names or any(name in record.raw for name in names)]
    assert list(log.backwards(naming=names))[::-1] == named
    for record in forwards[:-1]:
        assert next(log.backwards(record.end)) == record


# --- Writing an outline -------------------------------------------------------------------


@given(outlines(), st.data())
def test_pieces_that_are_remembered_give_the_same_bytes(outline: Outline, data: st.DataObject) -> None:
    memory = Memory()
    assert saved_bytes(outline, memory) == outline_bytes(outline)
    sections: list[Any] = list(outline.sections)
    insights: list[Any] = list(outline.insights)
    for items in (sections, insights):
        if items:
            position = data.draw(st.integers(0, len(items) - 1))
            items[position] = items[position].model_copy(update={"metadata": {"b": "\n  ]", "a": [{}, []]}})
            del items[data.draw(st.integers(0, len(items) - 1))]
    changed = outline.model_copy(
        update={"sections": sections, "insights": insights, "title": '"sections": []'}
    )
    assert saved_bytes(changed, memory) == outline_bytes(changed)
    assert saved_bytes(outline, memory) == outline_bytes(outline)


def test_an_outline_that_its_caller_changes_after_saving_it_is_saved_as_it_was(tmp_path: Path) -> None:
    root = GlobalStorage(tmp_path / "reports")
    create_stored_report(root)
    storage = root.get_report_storage(REPORT)
    outline = storage.load_outline()
    for text in ("first", "second"):
        outline.get_section(SECTION).content = text
        storage.save_outline(outline)
    shutil.rmtree(storage.backups_dir)
    read_back = [storage.history.outline_at(version).get_section(SECTION).content for version in (2, 3)]
    assert read_back == ["first", "second"]
    assert root.verify(REPORT)["findings"] == []


def test_long_outlines_that_are_known_are_not_hashed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []

    def counting(data: bytes) -> str:
        hashed.append(data)
        return sha256(data).hexdigest()

    monkeypatch.setattr("living_reports.store.files.folder.sha256_hex", counting)
    hashes = Hashes()
    long = [bytes([number]) * 20_000 for number in range(6)]
    for data in [*long, *(bytes(list(data)) for data in long[2:]), b"short", b"short"]:
        assert hashes.of(data) == sha256(data).hexdigest()
    assert hashed == [*long, b"short", b"short"]
    hashes.of(long[0])
    assert len(hashed) == 9, "only the last few are kept"
