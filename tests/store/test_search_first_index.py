"""The first index of very many reports: read by several processes, answered from meanwhile, resumed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from living_reports.library import Library
from living_reports.store.files.search import workers
from living_reports.store.files.search.follower import Follower
from living_reports.store.files.search.rows import read
from living_reports.store.files.search.workers import Workers
from support.fuzzing import check_answer, exchange
from support.library_reports import append_text, folder_of, folder_store, update_report
from support.processes import start_python
from support.search import Finder, create_with_text, database_of
from support.wire import start_server, tool_call

COUNT = 40
MANY = "living_reports.store.files.catalogue.MANY"
Json = dict[str, Any]
Rows = dict[str, list[tuple[Any, ...]]]


def fill(root: Path, count: int = COUNT) -> None:
    """Write reports as another program would: folders and a catalogue."""
    lines = []
    for number in range(count):
        report_id, item_id = (str(uuid.UUID(int=number + 1, version=version)) for version in (4, 1))
        times = {
            "created_at": f"2026-01-01T00:00:{number % 60:02}+00:00",
            "updated_at": "2026-02-01T00:00:00Z",
        }
        insight: Json = {"insight_id": item_id, "summary": f"pear{number}", "importance": 5}
        insight["metadata"] = {"review_by": "2026-03-01"}
        insight["citations"] = [{"source": "url", "url": "a.example"}]
        section = {"section_id": item_id, "title": "Ä", "content": f"apple Über{number}"}
        tags = ["even"] if number % 2 == 0 else []
        outline: Json = {"report_id": report_id, "title": f"Report {number}", **times}
        outline |= {"sections": [section], "insights": [insight], "metadata": {"tags": tags}}
        folder = root / "by_id" / report_id
        folder.mkdir(parents=True)
        (folder / "outline.json").write_text(json.dumps(outline, indent=2))
        entry: Json = {"report_id": report_id, "current_title": outline["title"], **times}
        entry |= {"tags": tags, "status": "active", "path": f"by_id/{report_id}"}
        lines.append(json.dumps(entry) + "\n")
    (root / "index.jsonl").write_text("".join(lines))


def rows(root: Path) -> Rows:
    """Return everything that the search keeps, apart from numbers that differ from run to run."""
    connection = sqlite3.connect(database_of(root))
    select = connection.execute
    try:
        found = {
            "reports": select("SELECT report_id, entry, status, updated, created, folded, due FROM reports"),
            "todo": select("SELECT report_id, todo, stamp <> '' FROM reports"),
            "texts": select("SELECT report_id, title, text FROM texts JOIN reports ON id = texts.rowid"),
            "items": select("SELECT report_id, texts FROM items JOIN reports ON id = report"),
            "sources": select("SELECT r.report_id, s.* FROM sources s JOIN reports r ON r.id = s.report"),
            "reviews": select(
                "SELECT r.report_id, v.insight_id, v.day, v.item, d.text FROM reviews v "
                "JOIN reports r ON r.id = v.report JOIN due_texts d ON d.rowid = v.id"
            ),
            "tags": select("SELECT report_id, tag FROM tags JOIN reports ON id = report"),
        }
        kept = {name: sorted(each.fetchall(), key=repr) for name, each in found.items()}
    finally:
        connection.close()
    kept["items"] = [(report_id, zlib.decompress(texts)) for report_id, texts in kept["items"]]
    kept["sources"] = sorted((report_id, *rest[1:]) for report_id, *rest in kept["sources"])
    return kept


def answered_in_full(finder: Finder, query: str = "apple", **asked: Any) -> dict[str, Any]:
    """Search until the answer says nothing of missing reports; it never says so without all of them."""
    while "warnings" in (answer := finder.answer(query, **asked)):
        assert answer["total"] <= COUNT
    return answer


def background_threads() -> list[threading.Thread]:
    """Return the threads that make an index just now."""
    return [thread for thread in threading.enumerate() if thread.name == "search-background"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with reports that no search knows yet."""
    fill(tmp_path / "reports")
    return tmp_path / "reports"


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MANY, 10)


@pytest.fixture
def expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    """The rows that one process makes which reads everything itself."""
    alone = tmp_path / "alone"
    fill(alone)
    with monkeypatch.context() as patch:
        patch.setattr(MANY, 1_000_000)
        assert Finder(alone).answer("apple")["total"] == COUNT
    return rows(alone)


def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")


def no_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", None)


def ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_START", "import sys; sys.exit(3)")


def ends_while_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = (
        "import os, sys; sys.path[:] = sys.argv[2:]; from living_reports.store.files.search import workers\n"
        "real, left = workers._send, [15]\n"
        "def send(*message):\n"
        "    left[0] -= 1\n"
        "    real(*message) if left[0] else os._exit(3)\n"
        "workers._send = send\n"
        "workers.main()"
    )
    monkeypatch.setattr(workers, "_START", ending)


def writes_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_START", "print('Traceback (most recent call last):' * 1000)")


def no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_BATCH", 3)


HARM: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    harm.__name__: harm
    for harm in (no_harm, no_process, no_interpreter, ends_at_once, ends_while_it_answers, writes_nonsense)
}


@pytest.mark.parametrize("harm", HARM)
def test_the_first_index_is_what_one_process_makes_of_it(
    root: Path, expected: Rows, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    HARM[harm](monkeypatch)
    assert answered_in_full(Finder(root))["total"] == COUNT
    assert rows(root) == expected
    assert {tuple(row[1:]) for row in expected["todo"]} == {(0, 1)}


def test_nothing_is_missing_without_a_warning(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("living_reports.store.files.search._WAIT_SECONDS", 0.0)
    monkeypatch.setattr("living_reports.store.files.search._FILLED_SECONDS", 0.0)
    finder, totals = Finder(root), []
    while "warnings" in (answer := finder.answer("apple", limit=COUNT)):
        totals.append(answer["total"])
        assert answer["total"] == len(answer["reports"])
    assert answer["total"] == len(answer["reports"]) == COUNT
    assert totals
    assert totals == sorted(totals)


def test_reports_are_listed_before_their_texts_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def held(follower: Follower, *args: Any, real: Any = Follower.save_found, **kwargs: Any) -> Any:
        go_on.wait()
        return real(follower, *args, **kwargs)

    monkeypatch.setattr(Follower, "save_found", held)
    finder = Finder(root)
    try:
        while (answer := finder.answer())["total"] < COUNT:
            assert "warnings" in answer
        assert finder.answer("apple")["total"] == 0
        assert "warnings" in finder.answer("apple")
    finally:
        go_on.set()
    assert answered_in_full(finder)["total"] == COUNT


KILLED = """
import os, sys
from pathlib import Path
import living_reports.store.files.search as search
from living_reports.store.files.search.follower import Follower
from support.search import Finder
search._FILLED_SECONDS = search._WAIT_SECONDS = 0.0
search.follower.catalogue.MANY = 10
real, left = Follower.save_found, [int(sys.argv[2])]
def save(*args, **more):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), 9)
    return real(*args, **more)
Follower.save_found = save
while True:
    Finder(Path(sys.argv[1])).answer("apple")
"""


@pytest.mark.parametrize("chunks", [1, 2, 20])
def test_an_index_whose_process_was_killed_goes_on(root: Path, expected: Rows, chunks: int) -> None:
    with start_python("-c", KILLED, str(root), str(chunks)) as process:
        assert process.wait() == -signal.SIGKILL
    done = [row for row in rows(root)["todo"] if row[1] == 0]
    assert len(done) == chunks - 1
    stamp = max(stamps(root), default="")
    assert answered_in_full(Finder(root))["total"] == COUNT
    assert stamp in {*stamps(root), ""}
    assert rows(root) == expected


def stamps(root: Path) -> list[str]:
    connection = sqlite3.connect(database_of(root))
    found = [stamp for (stamp,) in connection.execute("SELECT stamp FROM reports WHERE todo = 0")]
    connection.close()
    return found


def test_processes_may_make_it_at_once(root: Path, expected: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("living_reports.store.files.search._FILLED_SECONDS", 0.0)
    finders = [Finder(root) for _ in range(3)]
    threads = [threading.Thread(target=answered_in_full, args=(finder,)) for finder in finders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(root) == expected


def test_a_report_that_changed_since_it_was_read_is_read_again(root: Path, tmp_path: Path) -> None:
    library = Library(root)
    report = create_with_text(library, "Changing", "apple before")
    found = read(root / "by_id", report)
    update_report(library, report, append_text("and after", "Findings"))
    follower = Follower(folder_store(library))
    finder = Finder(root)
    assert answered_in_full(finder)["total"] == COUNT + 1
    connection = sqlite3.connect(database_of(root), isolation_level=None)
    [(row,)] = connection.execute("SELECT id FROM reports WHERE report_id = ?", (report,))
    connection.execute("UPDATE reports SET todo = 1 WHERE id = ?", (row,))
    assert follower.save_found(connection, iter([(row, report, found)]), seconds=1.0) == (0, False)
    assert connection.execute("SELECT todo FROM reports WHERE id = ?", (row,)).fetchone() == (1,)
    connection.close()
    assert finder.titles("after") == ["Changing"]


def test_a_report_whose_log_is_ahead_is_settled_first(root: Path) -> None:
    library = Library(root)
    report = create_with_text(library, "Behind", "apple")
    outline = folder_of(library, report) / "outline.json"
    kept = outline.read_bytes()
    update_report(library, report, append_text("more", "Findings"))
    assert answered_in_full(Finder(root))["total"] == COUNT + 1
    for thread in background_threads():
        thread.join()
    outline.write_bytes(kept)
    for path in root.glob(".search.sqlite*"):
        path.unlink()
    finder = Finder(root)
    assert answered_in_full(finder)["total"] == COUNT + 1
    assert finder.titles("more") == ["Behind"]
    assert b"more" in outline.read_bytes()


def test_a_report_that_cannot_be_read_keeps_no_index_from_being_finished(root: Path) -> None:
    first = min(os.listdir(root / "by_id"))
    (root / "by_id" / first / "outline.json").write_text("{")
    assert answered_in_full(Finder(root))["total"] == COUNT - 1
    assert answered_in_full(Finder(root), "")["total"] == COUNT


# --- Processes ----------------------------------------------------------------------------

PARENT = """
import sys, time
from pathlib import Path
from living_reports.store.files.search.workers import Workers
with Workers(Path(sys.argv[1]), 2) as workers:
    next(workers.read(iter([(1, "00000000-0000-4000-8000-000000000001")])))
    print(*(worker._process.pid for worker in workers._started), flush=True)
    sys.stdin.readline()
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("is_killed", [True, False])
def test_workers_end_with_their_parent(tmp_path: Path, is_killed: bool) -> None:
    with start_python("-c", PARENT, str(tmp_path)) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        parent.kill() if is_killed else parent.communicate("\n")
    deadline = time.monotonic() + 30
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline


def test_a_worker_answers_in_the_order_asked_for(root: Path) -> None:
    names = sorted(os.listdir(root / "by_id"))
    wanted = [(row, names[row % COUNT]) for row in range(1000)]
    with Workers(root / "by_id", 2) as started:
        found = list(started.read(iter(wanted)))
    assert [(row, name) for row, name, _ in found] == wanted
    assert {name: report for _, name, report in found} == {name: read(root / "by_id", name) for name in names}


def test_a_server_writes_nothing_but_answers_while_workers_read(tmp_path: Path) -> None:
    fill(tmp_path / "many", 1200)
    with start_server(tmp_path / "many") as wire:
        for number in itertools.count(1):
            refused, answer = check_answer(
                exchange(wire, tool_call(number, "list_reports", query="apple")), tmp_path
            )
            assert not refused
            if "warnings" not in answer:
                break
        assert answer["total"] == 1200


def test_many_changes_and_long_lines_of_few_reports_are_waited_for(tmp_path: Path) -> None:
    library = Library(tmp_path)
    reports = [
        create_with_text(library, f"Report {n}", "apple", tags=[f"{number:0100}" for number in range(20)])
        for n in range(9)
    ]
    index = tmp_path / "index.jsonl"
    index.write_bytes(index.read_bytes() * 100)
    assert Finder(tmp_path).answer("apple")["total"] == len(reports)
    assert "warnings" not in Finder(tmp_path).answer()


def test_no_process_is_started_once_everything_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answered_in_full(Finder(root))["total"] == COUNT
    started: list[Path] = []
    monkeypatch.setattr("living_reports.store.files.search.Workers", started.append)
    monkeypatch.setattr("living_reports.store.files.search.follower.boot_id", lambda: "another boot")
    monkeypatch.setattr("living_reports.store.files.catalogue.boot_id", lambda: "another boot")
    assert answered_in_full(Finder(root))["total"] == COUNT
    assert not started
