"""The search file knows which event last wrote a text, and is never believed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from living_reports.store.base import Note, SearchQuery, Store
from living_reports.store.files.log import AuditLog, Record
from support.backends import FilesBackend
from support.contract_reports import (
    ANN,
    REPORT,
    SECTION,
    by_walk,
    change,
    deletion,
    last_writes,
    long_history,
    restoration,
    retitle,
)
from support.processes import locked_by_another_process
from support.search import database_of

TITLE, CONTENT = "title", f"sections/{SECTION}/content"
ASKED = {TITLE, CONTENT, f"sections/{SECTION}/notes"}


@pytest.fixture
def backend(tmp_path: Path) -> FilesBackend:
    return FilesBackend(tmp_path)


@pytest.fixture
def store(backend: FilesBackend) -> Store:
    """A store with one report whose log is long."""
    store = backend.open()
    long_history(store)
    return store


def rows(backend: FilesBackend) -> list[tuple[str, int]]:
    with sqlite3.connect(database_of(backend.root)) as connection:
        found = connection.execute("SELECT at, offset FROM writes ORDER BY at").fetchall()
    connection.close()
    return found


def walked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many bytes each walk may read."""
    noted: list[int] = []
    real = AuditLog.last_writes

    def noting(
        log: AuditLog, addresses: set[str], start: int = 0, end: int | None = None, **more: Any
    ) -> dict[str, Record]:
        noted.append((log.size() if end is None else end) - start if addresses else 0)
        return real(log, addresses, start, end, **more)

    monkeypatch.setattr(AuditLog, "last_writes", noting)
    return noted


def test_a_text_of_long_ago_is_found_without_a_walk_through_the_log(
    backend: FilesBackend, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not database_of(backend.root).exists()
    assert last_writes(store, ASKED) == by_walk(store, ASKED)
    assert rows(backend)
    noted = walked(monkeypatch)
    for reader in (store, backend.open()):
        assert last_writes(reader, ASKED) == by_walk(reader, ASKED)
    assert 0 < max(noted) < 150_000 < AuditLog(backend.root / "by_id" / REPORT / "audit.jsonl").size() / 2


def test_what_was_written_since_is_found(store: Store, backend: FilesBackend) -> None:
    first = last_writes(store, ASKED)
    retitle(backend.open(), "Another title")
    change(backend.open(), "another text")
    later = last_writes(store, ASKED)
    assert later == by_walk(store, ASKED)
    assert later != first
    long_history(backend.open(), is_new=False)
    assert last_writes(store, ASKED) == by_walk(store, ASKED)


def wrong_events(connection: sqlite3.Connection) -> None:
    """Let every row name an event that wrote something else."""
    connection.execute("UPDATE writes SET offset = (SELECT max(offset) FROM writes)")


def no_events(connection: sqlite3.Connection) -> None:
    """Let every row name an offset at which no line begins."""
    connection.execute("UPDATE writes SET offset = offset + 7")


def some_missing(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM writes WHERE at IN ('', 'title')")


def another_log(connection: sqlite3.Connection) -> None:
    """Let the rows be those of a log that ended with another line."""
    connection.execute("UPDATE logs SET sha256 = 'x'")
    connection.execute("UPDATE writes SET offset = 0")


def a_longer_log(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE logs SET last = last + 100000000, covered = covered + 100000000")
    connection.execute("UPDATE writes SET offset = 0")


HARM: dict[str, Callable[[sqlite3.Connection], object]] = {
    harm.__name__: harm for harm in (wrong_events, no_events, some_missing, another_log, a_longer_log)
}


@pytest.mark.parametrize("harm", HARM)
def test_a_row_is_never_believed(store: Store, backend: FilesBackend, harm: str) -> None:
    right = last_writes(store, ASKED)
    with sqlite3.connect(database_of(backend.root)) as connection:
        HARM[harm](connection)
    connection.close()
    for reader in (store, backend.open()):
        assert last_writes(reader, ASKED) == right == by_walk(reader, ASKED)


def test_a_key_of_metadata_that_looks_like_an_edit_is_none(store: Store) -> None:
    with store.edit(REPORT) as transaction:
        old = transaction.snapshot.outline
        new = old.model_copy(update={"metadata": {"made": {"at": "title"}}})
        transaction.put(new, Note("evolve", ANN))
    long_history(store, is_new=False)
    assert last_writes(store, ASKED) == by_walk(store, ASKED)


def test_a_history_that_was_replaced_is_read_again(store: Store, backend: FilesBackend) -> None:
    last_writes(store, ASKED)
    folder = backend.root / "by_id" / REPORT
    other = FilesBackend(backend.place / "other")
    long_history(other.open(), "Another story")
    for name in ("audit.jsonl", "outline.json", ".head"):
        (folder / name).write_bytes((other.root / "by_id" / REPORT / name).read_bytes())
    assert last_writes(backend.open(), ASKED) == by_walk(backend.open(), ASKED)


def test_a_database_that_is_being_written_is_not_waited_for(store: Store, backend: FilesBackend) -> None:
    lock = backend.root / ".search.lock"
    lock.touch()
    with locked_by_another_process(lock):
        assert last_writes(store, ASKED) == by_walk(store, ASKED)
        assert not database_of(backend.root).exists()
    last_writes(store, ASKED)
    change(store, "another text")
    with locked_by_another_process(lock):
        assert last_writes(store, ASKED) == by_walk(store, ASKED)


def test_a_place_where_no_database_can_be_made(store: Store, backend: FilesBackend) -> None:
    (database_of(backend.root) / "in the way").mkdir(parents=True)
    assert last_writes(store, ASKED) == by_walk(store, ASKED)


def test_rows_go_with_their_report(store: Store, backend: FilesBackend) -> None:
    last_writes(store, ASKED)
    store.search(SearchQuery())
    assert rows(backend)
    store.trash(REPORT, deletion())
    store.search(SearchQuery())
    assert not rows(backend)
    store.restore(REPORT, restoration())
    assert last_writes(store, ASKED) == by_walk(store, ASKED)
