"""The contract of reading and writing: versions, events, commits, requests, and other writers."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import islice

import pytest

from living_reports.errors import (
    CorruptReportError,
    LockTimeoutError,
    NoSuchVersionError,
    ReportNotFoundError,
)
from living_reports.model.report import Citation, outline_bytes
from living_reports.store.base import Note, SearchQuery, Store
from support.backends import Backend
from support.contract_reports import (
    ANN,
    BEN,
    INSIGHT,
    OTHER,
    REPORT,
    SECTION,
    by_walk,
    change,
    create,
    current_text,
    deletion,
    insight,
    last_writes,
    long_history,
    outline,
    retitle,
    text_of,
)
from support.processes import run_together

# --- Reading ------------------------------------------------------------------------------


def test_an_empty_store_is_read_without_making_anything(backend: Backend, store: Store) -> None:
    assert store.entries() == []
    assert store.trashed() == []
    assert store.locate(REPORT) == ""
    assert store.templates() == {}
    assert store.glance(REPORT, 1_000) is None
    assert store.creation_of(REPORT) is None
    assert list(store.events(REPORT)) == []
    store.change_token(REPORT)
    store.change_token(None)
    with pytest.raises(ReportNotFoundError):
        store.read(REPORT)
    assert backend.is_untouched()


def test_a_report_is_read_as_it_was_written(store: Store) -> None:
    event = create(store)
    snapshot = store.read(REPORT)
    assert (snapshot.version, snapshot.next_version) == (1, 2)
    assert snapshot.outline == outline()
    assert (snapshot.warnings, snapshot.refusal) == ((), None)
    assert snapshot.head is not None
    assert snapshot.head.sha256 == event.sha256
    assert store.glance(REPORT, 1_000_000) == outline()
    assert store.glance(REPORT, 10) is None
    assert store.locate(REPORT) == "active"
    [entry] = store.entries()
    assert (entry.report_id, entry.current_title, entry.status) == (REPORT, "Health", "active")
    assert [known.report_id for known in store.known_entries()] == [REPORT]


def test_every_version_is_read_back_byte_for_byte(backend: Backend, store: Store) -> None:
    texts = [f"text {number}\n" * (number % 7 + 1) for number in range(1, 31)]
    create(store, *texts[:5])
    for text in texts[5:]:
        change(store, text)
    hashes = [event["payload"]["outline_sha256"] for event in backend.events(REPORT)]
    for reader in (store, backend.open()):
        snapshot = reader.read(REPORT)
        assert snapshot.version == 30
        for version, text in enumerate(texts, start=1):
            then = reader.outline_at(REPORT, version, snapshot)
            assert (then.outline_version, text_of(then)) == (version, text)
            assert sha256(outline_bytes(then)).hexdigest() == hashes[version - 1]
            event = reader.event(REPORT, version, snapshot)
            assert event is not None
            assert (event.version, event.makes_version, event.is_whole) == (version, True, version == 1)
        with pytest.raises(NoSuchVersionError):
            reader.outline_at(REPORT, 31, snapshot)
        assert reader.event(REPORT, 31) is None


def test_the_raw_log_is_what_the_hashes_cover(backend: Backend, store: Store) -> None:
    create(store, "one", "two", "three")
    lines = store.raw_log(REPORT, 1_000_000).splitlines()
    assert lines == backend.lines(REPORT)
    hashes = [sha256(line).hexdigest() for line in lines]
    assert [event.sha256 for event in store.events(REPORT)] == hashes[::-1]
    previous = [json.loads(line)["payload"]["prev_sha256"] for line in lines]
    assert previous == [sha256(b"").hexdigest(), *hashes[:-1]]
    assert store.raw_log(REPORT, 10) == lines[0][:10]


def test_insights_and_free_fields_survive(store: Store) -> None:
    given = outline(insights=[insight("All is well.", metadata={"review_by": "2026-01-01"})])
    given = given.model_copy(update={"metadata": {"tags": ["ops"], "nested": {"a": [1, None, "Ü"]}}})
    assert store.create(given, Note("create", ANN)) is not None
    assert store.create(outline(report_id=OTHER), Note("create", ANN)) is not None
    read = store.read(REPORT).outline
    assert (read.insights, read.metadata) == (given.insights, given.metadata)
    assert read.insights[0].insight_id == INSIGHT
    assert {entry.report_id for entry in store.entries()} == {REPORT, OTHER}


def test_the_newest_event_that_wrote_a_value_is_found(store: Store) -> None:
    assert store.create(outline(insights=[insight("All is well.")]), Note("create", ANN)) is not None
    change(store, "two\n")
    retitle(store, "Sound")
    with store.edit(REPORT) as transaction:
        old = transaction.snapshot.outline
        transaction.put(old.model_copy(update={"insights": []}), Note("evolve", ANN))
    with store.edit(REPORT) as transaction:
        again = transaction.snapshot.outline.model_copy(update={"insights": [insight("All is well.")]})
        transaction.put(again, Note("revert", BEN))
    content, notes = f"sections/{SECTION}/content", f"sections/{SECTION}/notes"
    wanted = {"title": 3, content: 2, notes: 1, f"insights/{INSIGHT}/summary": 5, "metadata/tags": 1}
    assert last_writes(store, {*wanted}) == wanted == by_walk(store, {*wanted})
    assert last_writes(store, set()) == {}


def test_a_value_of_long_ago_is_found_whatever_is_derived(backend: Backend, store: Store) -> None:
    long_history(store)
    content, wanted = f"sections/{SECTION}/content", {}
    for number, another in enumerate((store, backend.open(), store, backend.open())):
        wanted = by_walk(store, {"title", content, "metadata/tags"})
        assert last_writes(another, {*wanted}) == wanted
        change(backend.open(), f"text {number}\n")
        backend.forget_derived()
        assert last_writes(another, {*wanted}) == by_walk(store, {*wanted}) != wanted
        long_history(another, is_new=False)
        retitle(backend.open(), f"Title {number}")


def test_citations_of_a_section_are_kept_in_every_version_and_spliced(backend: Backend, store: Store) -> None:
    cited = [Citation(source="url", url=f"https://example.org/{name}") for name in ("one", "two")]
    create(store)
    for number in (1, 2):
        with store.edit(REPORT) as transaction:
            old = transaction.snapshot.outline
            [section] = old.sections
            new = old.model_copy(update={"sections": [section.with_citations(cited[:number])]})
            transaction.put(new, Note("evolve", ANN))
    snapshot = backend.open().read(REPORT)
    for version, expected in ((1, []), (2, cited[:1]), (3, cited)):
        [section] = backend.open().outline_at(REPORT, version, snapshot).sections
        assert section.citations == expected
    at = f"sections/{SECTION}/metadata/citations"
    first, second = (
        next(edit for edit in event["payload"]["delta"] if edit["at"] == at)
        for event in backend.events(REPORT)[1:]
    )
    assert first == {"at": at, "new": [{"source": "url", "url": "https://example.org/one"}]}
    assert second == {"at": at, "splices": [[1, [], [{"source": "url", "url": "https://example.org/two"}]]]}
    assert backend.open().verify(REPORT)["ok"]
    for text, count in (("example.org/two", 1), ("example.org/three", 0)):
        found = backend.open().search(SearchQuery(cites=text)).rows
        assert [set(match) >= {"section_id"} for row in found for match in row.matches] == [True] * count


def test_ids_that_are_no_uuids_are_refused(backend: Backend, store: Store) -> None:
    for name in ("..", "../../etc", "", "x", f"{REPORT}/.."):
        with pytest.raises((ValueError, ReportNotFoundError)):
            store.read(name)
    assert backend.is_untouched()


# --- Events -------------------------------------------------------------------------------


def test_events_come_newest_first_with_the_fields_that_were_noted(store: Store) -> None:
    create(store, "one")
    change(store, "two", author=BEN, request_id="r-2")
    newest, first = store.events(REPORT)
    assert (newest.version, first.version) == (2, 1)
    assert (newest.event.actor, newest.event.request_id, newest.event.report_id) == ("human", "r-2", REPORT)
    assert (newest.payload["client"], newest.payload["reason"]) == ("ben/2.0", "because")
    assert newest.fields["action_type"] == newest.event.action_type == "evolve"
    assert newest.is_event
    assert newest.is_ours
    assert f"sections/{SECTION}/content" in {edit["at"] for edit in newest.delta}


def test_times_and_ids_of_events_are_those_of_the_note(store: Store) -> None:
    action_id = str(uuid.uuid4())
    note = Note("create", ANN, "why", "r-1", "2026-11-24T10:00:00+00:00", action_id, {"imported": {"a": 1}})
    event = store.create(outline(), note)
    assert event is not None
    assert (event.event.ts, event.event.action_id) == ("2026-11-24T10:00:00+00:00", action_id)
    assert event.payload["imported"] == {"a": 1}


def test_events_are_paged_by_their_positions(backend: Backend, store: Store) -> None:
    create(store, *(f"text {number}" for number in range(25)))
    whole = [event.version for event in store.events(REPORT)]
    assert whole == list(range(25, 0, -1))
    paged: list[int] = []
    before = None
    while page := list(islice(backend.open().events(REPORT, before=before), 7)):
        paged += [event.version for event in page]
        before = json.loads(json.dumps(page[-1].position))  # as a cursor keeps it
        change(store, f"changed after {page[-1].version}")  # newer events do not move the page
    assert paged == whole


@pytest.mark.parametrize("text", ["r-1", 'an id with "quotes", Ü and 🦋', "back\\slash"])
def test_events_that_mention_an_id_are_never_left_out(store: Store, text: str) -> None:
    create(store, "one")
    for number in range(40):
        change(store, f"text {number}", request_id=text if number % 3 == 0 else f"other {number}")
    expected = [event.version for event in store.events(REPORT) if event.fields.get("request_id") == text]
    assert len(expected) == 14
    for events in (store.events(REPORT, mentioning=["no such id", text]), store.events(REPORT)):
        assert [event.version for event in events if event.mentions(text)] == expected


def test_all_events_of_an_item_mention_it(store: Store) -> None:
    create(store, "one", "two", "three")
    assert [event.version for event in store.events(REPORT, mentioning=[SECTION])] == [3, 2, 1]


def test_events_that_edit_an_address_are_never_left_out(store: Store) -> None:
    create(store, "one")
    for number in range(10):
        change(store, f"text {number}")
        if number in (3, 7):
            retitle(store, f"Title {number}")
    edited = frozenset({"title", ""})
    found = [event for event in store.events(REPORT, editing=["title"]) if event.may_edit(edited)]
    assert [event.version for event in found] == [11, 6, 1]
    assert found[-1].is_whole, "a whole outline edits every address"
    both = [event.version for event in store.events(REPORT, mentioning=["no such id"], editing=["title"])]
    assert {11, 6, 1} <= set(both)


def test_the_creation_is_found_wherever_the_report_is(store: Store) -> None:
    created = create(store, "one", "two")
    for _ in range(2):
        found = store.creation_of(REPORT)
        assert found is not None
        assert (found[0].sha256, text_of(found[1])) == (created.sha256, "one")
        if store.locate(REPORT) == "active":
            store.trash(REPORT, deletion())


# --- Writing ------------------------------------------------------------------------------


def test_an_id_is_given_out_once(store: Store) -> None:
    create(store)
    assert store.create(outline("other"), Note("create", BEN)) is None
    assert current_text(store) == "one\n"
    assert len(list(store.events(REPORT))) == 1


def test_a_block_that_ends_cleanly_commits_what_was_put_last(backend: Backend, store: Store) -> None:
    create(store)
    with store.edit(REPORT) as transaction:
        assert transaction.snapshot.version == 1
        transaction.put(outline("two"), Note("evolve", ANN))
        transaction.put(outline("three"), Note("evolve", BEN, "better", extra={"applied": 3}))
        assert transaction.committed is None
    assert transaction.committed is not None
    assert transaction.draft is not None
    assert (transaction.committed.version, transaction.committed.payload["applied"]) == (2, 3)
    assert current_text(backend.open()) == "three"
    assert len(backend.lines(REPORT)) == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_commits_nothing(
    backend: Backend, store: Store, error: type[BaseException]
) -> None:
    create(store)
    before = backend.lines(REPORT)

    def put_and_fail() -> None:
        with store.edit(REPORT) as transaction:
            transaction.put(outline("two"), Note("evolve", ANN))
            raise error

    with pytest.raises(error):
        put_and_fail()
    assert backend.lines(REPORT) == before
    assert change(store, "two").version == 2


def test_a_block_that_puts_nothing_commits_nothing(backend: Backend, store: Store) -> None:
    create(store)
    with store.edit(REPORT) as transaction:
        pass
    assert transaction.committed is None
    assert len(backend.lines(REPORT)) == 1


def test_a_transaction_sees_the_history(store: Store) -> None:
    create(store, "one", "two", "three")
    with store.edit(REPORT) as transaction:
        assert text_of(transaction.outline_at(2)) == "two"
        assert transaction.event(2).version == 2
        assert [event.version for event in transaction.events()] == [3, 2, 1]
        assert [event.version for event in transaction.events(mentioning=[SECTION])] == [3, 2, 1]
        with pytest.raises(NoSuchVersionError):
            transaction.event(4)


def test_a_request_is_remembered_by_every_process(backend: Backend, store: Store) -> None:
    create(store)
    change(store, "two", request_id="r-2")
    for number in range(5):
        change(store, f"later {number}")
    for opened in (store, backend.open()):
        with opened.edit(REPORT) as transaction:
            found = transaction.find_request("r-2")
            assert found is not None
            assert found.version == 2
            assert transaction.find_request("r-3") is None


def test_a_report_that_is_not_there_cannot_be_changed(backend: Backend, store: Store) -> None:
    with pytest.raises(ReportNotFoundError), store.edit(REPORT):
        pytest.fail("there is nothing to hold")
    with pytest.raises(ReportNotFoundError):
        store.trash(REPORT, deletion())
    assert backend.is_untouched()


# --- Other writers ------------------------------------------------------------------------

APPENDING = """
import json, sys
from living_reports.store import open_store
from living_reports.store.base import Note
from support.contract_reports import ANN, REPORT, outline, text_of
url, name, times = sys.argv[1:]
store = open_store(url)
print("ready", flush=True)
sys.stdin.readline()
versions = []
for number in range(int(times)):
    with store.edit(REPORT) as transaction:
        text = text_of(transaction.snapshot.outline)
        transaction.put(outline(f"{text}{name}{number}\\n"), Note("evolve", ANN))
    versions.append(transaction.committed.version)
print(json.dumps(versions))
"""

CREATING = """
import json, sys
from living_reports.store import open_store
from living_reports.store.base import Note
from support.contract_reports import ANN, outline
store = open_store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(store.create(outline(sys.argv[2]), Note("create", ANN)) is not None))
"""


def test_writers_in_several_processes_lose_nothing(backend: Backend, store: Store) -> None:
    create(store, "")
    times = 15
    writers = {name: ["-c", APPENDING, backend.url, name, str(times)] for name in ("a", "b", "c")}
    versions = run_together(writers)
    assert sorted(version for made in versions.values() for version in made) == list(range(2, 3 * times + 2))
    lines = (current_text(backend.open()) or "").split()
    assert len(lines) == 3 * times
    for name in writers:
        own = [line for line in lines if line.startswith(name)]
        assert own == [f"{name}{number}" for number in range(times)]
    assert backend.open().verify(REPORT)["ok"]


def test_threads_of_one_store_lose_nothing(store: Store) -> None:
    create(store, "")

    def append(name: str) -> None:
        for number in range(10):
            with store.edit(REPORT) as transaction:
                text = text_of(transaction.snapshot.outline)
                transaction.put(outline(f"{text}{name}{number}\n"), Note("evolve", ANN))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, "abcd"))
    assert len((current_text(store) or "").split()) == 40
    assert store.read(REPORT).version == 41


def test_a_writer_waits_no_longer_than_it_may(backend: Backend) -> None:
    create(backend.open())
    impatient = backend.open().with_timeout(0.2)
    with backend.hold(REPORT):
        with pytest.raises(LockTimeoutError), impatient.edit(REPORT):
            pytest.fail("another process holds it")
        with pytest.raises(LockTimeoutError):
            impatient.trash(REPORT, deletion())
    assert change(impatient, "two").version == 2


def test_a_creation_by_many_processes_happens_once(backend: Backend) -> None:
    made = run_together({name: ["-c", CREATING, backend.url, name] for name in "abcd"})
    assert sorted(made.values()) == [False, False, False, True]
    [winner] = [name for name, is_made in made.items() if is_made]
    assert current_text(backend.open()) == winner
    assert len(backend.lines(REPORT)) == 1


# --- Damage -------------------------------------------------------------------------------


def test_a_report_with_a_spoiled_outline_is_read_from_its_history_and_refuses_changes(
    backend: Backend, store: Store
) -> None:
    create(store, "one", "two", "three")
    backend.replace_outline(REPORT, b"no outline at all")
    for opened in (store, backend.open()):
        snapshot = opened.read(REPORT)
        assert (snapshot.version, text_of(snapshot.outline)) == (3, "three")
        assert snapshot.refusal is not None
        assert snapshot.warnings
        with pytest.raises(CorruptReportError), opened.edit(REPORT):
            pytest.fail("nothing may be written")
    with store.edit(REPORT, repair=True) as transaction:
        transaction.put(outline("three"), Note("revert", ANN))
    assert transaction.committed is not None
    assert transaction.committed.version == 4
    assert backend.open().read(REPORT).refusal is None
    assert backend.open().verify(REPORT)["ok"]


def test_an_altered_event_never_gives_a_version_that_was_not(backend: Backend, store: Store) -> None:
    create(store, *(f"text {number}" for number in range(1, 9)))
    backend.alter_line(REPORT, 3, b'"3"', b'"X"')
    opened = backend.open()
    snapshot = opened.read(REPORT)
    assert text_of(opened.outline_at(REPORT, 8, snapshot)) == "text 8"
    for version in range(1, 8):
        try:
            then = opened.outline_at(REPORT, version, snapshot)
        except CorruptReportError:
            continue
        assert text_of(then) == f"text {version}"
