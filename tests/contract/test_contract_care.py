"""The contract beyond one report's history: trash, search, watching, exchange, templates and care."""

from __future__ import annotations

import sqlite3
import uuid
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from living_reports.errors import (
    CorruptReportError,
    InvalidInputError,
    ReportError,
    ReportNotFoundError,
)
from living_reports.store import open_store
from living_reports.store.base import Note, PageKey, SearchQuery, Store
from support.backends import Backend
from support.contract_reports import (
    ANN,
    OTHER,
    REPORT,
    SECTION,
    change,
    create,
    current_text,
    deletion,
    insight,
    outline,
    restoration,
    retitle,
    text_of,
)

# --- Trash --------------------------------------------------------------------------------


def test_a_report_in_the_trash_is_gone_until_it_is_restored(backend: Backend, store: Store) -> None:
    create(store, "one", "two")
    create(store, report_id=OTHER, title="Other")
    assert isinstance(store.trash(REPORT, deletion()), str)
    for opened in (store, backend.open()):
        assert [entry.report_id for entry in opened.entries()] == [OTHER]
        assert [(entry.report_id, entry.current_title) for entry in opened.trashed()] == [(REPORT, "Health")]
        assert opened.locate(REPORT) == "trash"
        for use in (opened.read, opened.verify, opened.export):
            with pytest.raises(ReportNotFoundError):
                use(REPORT)
        with pytest.raises(ReportNotFoundError), opened.edit(REPORT):
            pytest.fail("it is in the trash")
    assert backend.events(REPORT)[-1]["action_type"] == "delete"
    assert store.create(outline("another"), Note("create", ANN)) is None, "its id is taken"
    snapshot = store.restore(REPORT, restoration())
    assert (snapshot.version, text_of(snapshot.outline)) == (2, "two")
    assert backend.open().locate(REPORT) == "active"
    assert store.trashed() == []
    types = [event.event.action_type for event in store.events(REPORT)]
    assert types == ["status_change", "delete", "evolve", "create"]
    assert change(backend.open(), "three").version == 3
    assert store.verify(REPORT)["ok"]


def test_what_is_not_in_the_trash_is_not_restored(store: Store) -> None:
    create(store)
    for report_id in (REPORT, OTHER):
        with pytest.raises(ReportNotFoundError):
            store.restore(report_id, restoration(report_id))
    assert len(list(store.events(REPORT))) == 1


# --- Titles -------------------------------------------------------------------------------


def titled(store: Store, title: str) -> list[tuple[str, str]]:
    found = store.titled(title, 3)
    assert found is not None
    return sorted((entry.report_id, entry.current_title) for entry in found)


def test_active_reports_are_found_by_their_whole_title(backend: Backend, store: Store) -> None:
    assert titled(store, "Health") == []
    create(store, "one", title="Straße 1")
    create(store, report_id=OTHER, title="STRASSE 1")
    both = sorted([(REPORT, "Straße 1"), (OTHER, "STRASSE 1")])
    for opened in (store, backend.open()):
        assert titled(opened, " strasse 1 ") == both
        assert titled(opened, "strasse") == []
        assert len(opened.titled("Straße 1", 1) or ()) == 1
    store.trash(OTHER, deletion())
    assert titled(store, "Straße 1") == [(REPORT, "Straße 1")]
    retitle(store, "Health")
    assert titled(store, "Straße 1") == []
    assert titled(store, "health") == [(REPORT, "Health")]


def test_a_title_is_found_after_a_search_and_after_many_changes(backend: Backend, store: Store) -> None:
    create(store, title="Health")
    store.search(SearchQuery())
    for number in range(300):
        retitle(store, f"Health {number} {'x' * 200}")
    assert titled(store, "Health") == []
    assert titled(backend.open(), f"Health 299 {'x' * 200}") == [(REPORT, f"Health 299 {'x' * 200}")]
    assert titled(store, f"Health 298 {'x' * 200}") == []


# --- Search -------------------------------------------------------------------------------


def many(store: Store, number: int) -> list[str]:
    """Create so many reports; their ids."""
    ids = [f"5f9d3c1e-0a7b-4c2d-8e6f-{each:012d}" for each in range(number)]
    for each, report_id in enumerate(ids):
        tags = {"metadata": {"tags": ["even"] if each % 2 == 0 else ["odd"]}}
        created = outline(f"The butterfly number {each}.", f"Report {each:03}", report_id, **tags)
        assert store.create(created, Note("create", ANN)) is not None
    return ids


def found(store: Store, query: SearchQuery, limit: int = 100) -> list[str]:
    """Return the titles of all pages."""
    titles: list[str] = []
    after: PageKey | None = None
    while True:
        page = store.search(query, after, limit)
        assert not page.is_behind
        titles += [row.entry.current_title for row in page.rows]
        if (after := page.next_key) is None:
            assert page.total == len(titles)
            return titles


def test_a_search_finds_what_was_committed_before(backend: Backend, store: Store) -> None:
    many(store, 12)
    reader = backend.open()
    assert found(reader, SearchQuery("butterfly 7")) == ["Report 007"]
    change(store, "A caterpillar.", report_id="5f9d3c1e-0a7b-4c2d-8e6f-000000000007")
    assert found(reader, SearchQuery("butterfly 7")) == []
    assert found(reader, SearchQuery("caterpillar")) == ["Report 007"]
    [row] = reader.search(SearchQuery("caterpillar")).rows
    assert row.version == 2
    [match] = row.matches
    assert "caterpillar" in match["snippet"]
    store.trash("5f9d3c1e-0a7b-4c2d-8e6f-000000000007", deletion("5f9d3c1e-0a7b-4c2d-8e6f-000000000007"))
    assert found(reader, SearchQuery("caterpillar")) == []


def test_pages_of_a_search_neither_repeat_nor_hide(store: Store) -> None:
    many(store, 23)
    titles = [f"Report {number:03}" for number in range(23)]
    assert found(store, SearchQuery(sort="title"), limit=5) == titles
    assert sorted(found(store, SearchQuery(sort="updated"), limit=4)) == titles
    assert found(store, SearchQuery(tags=["even"], sort="title"), limit=5) == titles[::2]
    assert store.search(SearchQuery(tags=["even"]), limit=1).total == 12


def test_a_search_knows_reviews_sources_and_status(store: Store) -> None:
    cited = insight(
        "All is well.",
        metadata={"review_by": "2026-01-01"},
        citations=[{"source": "url", "url": "https://example.org/advisory"}],
    )
    assert store.create(outline(insights=[cited]), Note("create", ANN)) is not None
    archived = outline(title="Old", report_id=OTHER, metadata={"status": "archived"})
    assert store.create(archived, Note("create", ANN)) is not None
    assert found(store, SearchQuery(stale_on=date(2025, 12, 31))) == []
    assert found(store, SearchQuery(stale_on=date(2026, 1, 1))) == ["Health"]
    assert found(store, SearchQuery(stale_on=date(2026, 1, 2))) == ["Health"]
    assert found(store, SearchQuery(cites="example.org/advisory")) == ["Health"]
    assert found(store, SearchQuery(cites="example.com")) == []
    assert found(store, SearchQuery(status="archived")) == ["Old"]
    assert sorted(found(store, SearchQuery(status="all"))) == ["Health", "Old"]


def test_stale_with_text_or_source_asks_for_one_insight(store: Store) -> None:
    stale = {"metadata": {"review_by": "2026-01-01"}}
    cites = {"citations": [{"source": "url", "url": "https://example.org/advisory"}]}
    other = insight("Orders fail.", **stale).model_copy(update={"insight_id": str(uuid.UUID(int=1))})
    apart = [other, insight("Payments fail.", **cites)]
    together = [insight("Payments fail.", **stale, **cites)]
    for report_id, title, insights in ((REPORT, "Apart", apart), (OTHER, "Together", together)):
        made = outline(report_id=report_id, title=title, insights=insights)
        placed = made.sections[0].model_copy(update={"insight_ids": [each.insight_id for each in insights]})
        made = made.model_copy(update={"sections": [placed]})
        assert store.create(made, Note("create", ANN)) is not None
    day = date(2026, 1, 1)
    for sort in ("relevance", "updated", "title"):
        both = SearchQuery("payments", cites="example.org", stale_on=day, sort=sort)
        assert found(store, both, limit=1) == ["Together"]
        assert found(store, SearchQuery("payments", stale_on=day, sort=sort), limit=1) == ["Together"]
        fails = SearchQuery("fail", stale_on=day, sort=sort)
        assert sorted(found(store, fails, limit=1)) == ["Apart", "Together"]
    assert found(store, SearchQuery(cites="example.org", stale_on=day)) == ["Together"]
    assert found(store, SearchQuery("payments", cites="example.org", stale_on=date(2025, 12, 31))) == []
    [row] = store.search(SearchQuery(cites="example.org", stale_on=day)).rows
    [match] = row.matches
    assert match.pop("snippet") == "https://example.org/advisory"
    assert match == {
        "insight_id": together[0].insight_id[:8],
        "section_id": SECTION[:8],
        "section_title": "Risks",
        "summary": "Payments fail.",
        "review_by": "2026-01-01",
        "kind": "citation",
    }


def test_a_match_says_what_fits(store: Store) -> None:
    cited = insight("Orders fail.", citations=[{"source": "url", "url": "https://example.org/advisory"}])
    made = outline("A butterfly at https://example.com/garden", insights=[cited])
    assert store.create(made, Note("create", ANN)) is not None
    for query, kind in (
        (SearchQuery("butterfly"), "prose"),
        (SearchQuery("orders"), "insight"),
        (SearchQuery("advisory"), "citation"),
        (SearchQuery(cites="example.org"), "citation"),
        (SearchQuery(cites="example.com"), "link"),
    ):
        [row] = store.search(query).rows
        [match] = row.matches
        item = {"section_id", "section_title"} if kind in ("prose", "link") else {"insight_id", "summary"}
        assert match["kind"] == kind
        assert match.keys() == item | {"kind", "snippet"}


def test_queries_have_operators_and_quotes_or_are_words(store: Store) -> None:
    many(store, 4)
    titles = [f"Report {number:03}" for number in range(4)]
    for text, wanted in (
        ('"butterfly number" NOT 3', titles[:3]),
        ("1 OR 2", titles[1:3]),
        ("butterfly AND 2", titles[2:3]),
        ('"number butterfly"', []),
        ("NOT butterfly AND (2", titles[2:3]),
        ('OR "butterfly 2', titles[2:3]),
    ):
        assert found(store, SearchQuery(text, sort="title")) == wanted, text


def test_an_empty_store_is_searched_without_making_anything(backend: Backend, store: Store) -> None:
    assert found(store, SearchQuery("anything")) == []
    assert backend.is_untouched()


# --- Watching -----------------------------------------------------------------------------


def test_a_token_tells_of_every_change(backend: Backend, store: Store) -> None:
    watcher = backend.open()
    create(store)
    tokens = [watcher.change_token(REPORT)]
    assert tokens[0] == watcher.change_token(REPORT), "nothing has changed"
    for act in (
        lambda: change(store, "two"),
        lambda: retitle(store, "Other"),
        lambda: store.trash(REPORT, deletion()),
        lambda: store.restore(REPORT, restoration()),
    ):
        act()
        tokens.append(watcher.change_token(REPORT))
    assert len(set(tokens)) == len(tokens)


def test_the_token_of_the_list_tells_of_reports_that_come_go_and_are_renamed(
    backend: Backend, store: Store
) -> None:
    watcher = backend.open()
    tokens = [watcher.change_token(None)]
    for act in (
        lambda: create(store),
        lambda: create(store, report_id=OTHER, title="Other"),
        lambda: retitle(store, "New"),
        lambda: store.trash(OTHER, deletion(OTHER)),
        lambda: store.restore(OTHER, restoration(OTHER)),
    ):
        act()
        tokens.append(watcher.change_token(None))
    assert len(set(tokens)) == len(tokens)


def test_a_store_that_notifies_names_the_reports_that_change(backend: Backend, store: Store) -> None:
    create(store)
    told: list[str | None] = []
    stop = backend.open().watch(told.append)
    if stop is None:
        return  # no notifications: callers compare tokens
    change(store, "two")
    stop()
    assert REPORT in told


# --- Exchange -----------------------------------------------------------------------------


def parts_of(archive: bytes) -> tuple[str, dict[str, bytes]]:
    from living_reports.store.files.transfer import unpack  # the format that all stores exchange

    return unpack(archive)


def test_a_report_travels_with_its_whole_history(backend: Backend, store: Store, tmp_path: Path) -> None:
    create(store, *(f"text {number}\n" for number in range(1, 10)))
    archive = store.export(REPORT)
    assert archive == backend.open().export(REPORT), "the same report gives the same bytes"
    other = type(backend)(tmp_path / "elsewhere")
    other.place.mkdir()
    target = other.open()
    assert target.import_(archive) == (REPORT, True)
    assert other.lines(REPORT) == backend.lines(REPORT)
    snapshot = target.read(REPORT)
    assert [text_of(target.outline_at(REPORT, n, snapshot)) for n in (1, 5, 9)] == [
        "text 1\n",
        "text 5\n",
        "text 9\n",
    ]
    assert target.export(REPORT) == archive
    assert target.import_(archive) == (REPORT, False), "it is there already"
    with pytest.raises(InvalidInputError):
        target.import_(archive[:-1])
    assert change(target, "further").version == 10


def test_only_whole_reports_arrive(backend: Backend, store: Store, tmp_path: Path) -> None:
    create(store, "one", "two", "three")
    _, parts = parts_of(store.export(REPORT))
    other = type(backend)(tmp_path / "elsewhere")
    other.place.mkdir()
    lines = parts["audit.jsonl"].splitlines(keepends=True)
    for wrong in (
        parts | {"audit.jsonl": b"".join(lines[:-1])},
        parts | {"audit.jsonl": b"".join(lines[1:])},
        parts
        | {"audit.jsonl": parts["audit.jsonl"].replace(b"because", b"becuase").replace(b"to 'two'", b"x")},
        parts | {"outline.json": parts["outline.json"].replace(b"three", b"thief")},
    ):
        with pytest.raises(CorruptReportError):
            other.open().import_files(REPORT, wrong)
        assert other.open().entries() == []
        assert other.open().locate(REPORT) == ""


def test_a_damaged_report_is_not_exported(backend: Backend, store: Store) -> None:
    create(store, "one", "two", "three")
    backend.alter_line(REPORT, 2, b"evolve", b"revert")
    with pytest.raises(CorruptReportError):
        backend.open().export(REPORT)


# --- Pages and templates ------------------------------------------------------------------


def test_a_page_is_stored_beside_the_history(backend: Backend, store: Store) -> None:
    create(store)
    before = backend.lines(REPORT)
    for data in (b"# Health\n", b"# Health, again\n"):
        stored = store.write_page(REPORT, "report-v1.md", data)
        assert stored.uri
        if stored.path:
            assert Path(stored.path).read_bytes() == data
    assert backend.lines(REPORT) == before
    assert store.read(REPORT).version == 1
    assert store.verify(REPORT)["ok"]
    with pytest.raises(ReportNotFoundError):
        store.write_page(OTHER, "report-v1.md", b"x")


def test_templates_of_people_are_found(backend: Backend, store: Store) -> None:
    backend.add_template("weekly", b'{"sections": []}')
    backend.add_template("another", b"{}")
    templates = store.templates()
    assert sorted(templates) == ["another", "weekly"]
    assert templates["weekly"]() == b'{"sections": []}'


# --- Care ---------------------------------------------------------------------------------


def test_a_sound_report_verifies_to_its_head(backend: Backend, store: Store) -> None:
    create(store, "one", "two", "three")
    head = sha256(backend.lines(REPORT)[-1]).hexdigest()
    assert store.verify(REPORT) == {"ok": True, "events": 3, "head_sha256": head, "findings": []}
    assert store.verify(REPORT, expected=(3, head))["ok"]
    change(store, "four")
    assert store.verify(REPORT, expected=(3, head))["ok"], "it was the head of version 3"
    [finding] = store.verify(REPORT, expected=(2, head))["findings"]
    assert finding["code"] == "head_expected"
    steps: list[tuple[str, int, int]] = []
    store.verify(REPORT, progress=lambda *step: steps.append(step))
    assert all(done <= total for _, done, total in steps)
    with pytest.raises(ReportNotFoundError):
        store.verify(OTHER)


@pytest.mark.parametrize("number", range(1, 8))
def test_verify_locates_an_altered_event(backend: Backend, store: Store, number: int) -> None:
    create(store, *(f"text {each}" for each in range(7)))
    backend.alter_line(REPORT, number, b'"client":"ann', b'"client":"ben')
    verified = backend.open().verify(REPORT)
    assert not verified["ok"]
    lines = {finding["line"] for finding in verified["findings"]}
    assert lines & {number, number + 1}
    found = [each for each in backend.open().check(deep=True) if each.severity == "error"]
    assert {finding.report for finding in found} == {REPORT}


def test_verify_sees_what_is_gone_or_spoiled(backend: Backend, store: Store) -> None:
    create(store, "one", "two", "three")
    create(store, report_id=OTHER)
    backend.replace_outline(OTHER, b"spoiled")
    backend.remove_last_line(REPORT)
    for report_id in (REPORT, OTHER):
        assert not backend.open().verify(report_id)["ok"]
    assert {finding.report for finding in backend.open().check()} == {REPORT, OTHER}


def test_a_check_of_a_sound_store_finds_nothing_and_changes_nothing(backend: Backend, store: Store) -> None:
    create(store, "one", "two")
    create(store, report_id=OTHER)
    store.trash(OTHER, deletion(OTHER))
    before = {report_id: backend.lines(report_id) for report_id in (REPORT, OTHER)}
    assert store.check(deep=True) == []
    store.repair([])
    assert store.check() == []
    assert {report_id: backend.lines(report_id) for report_id in (REPORT, OTHER)} == before
    assert current_text(store) == "two"


def test_a_repair_never_touches_what_cannot_be_explained(backend: Backend, store: Store) -> None:
    create(store, "one", "two", "three")
    backend.alter_line(REPORT, 2, b"evolve", b"revert")
    before = backend.lines(REPORT)
    opened = backend.open()
    findings = opened.check()
    assert findings
    opened.repair(findings)
    assert backend.lines(REPORT) == before
    assert {finding.code for finding in opened.check()} >= {
        finding.code for finding in findings if finding.severity == "error"
    }


# --- Errors, and opening ------------------------------------------------------------------


def test_only_errors_of_the_program_cross_the_protocol(backend: Backend, store: Store) -> None:
    create(store, "one", "two")
    backend.replace_line(REPORT, 2, b"\xff\x00 no event")
    opened = backend.open()
    for use in (
        lambda: opened.read(REPORT),
        lambda: opened.export(REPORT),
        lambda: opened.verify(REPORT),
        lambda: opened.search(SearchQuery("one")),
        lambda: list(opened.events(REPORT)),
        lambda: change(opened, "three"),
        lambda: opened.trash(REPORT, deletion()),
    ):
        try:
            use()
        except ReportError:
            pass
        except (OSError, sqlite3.Error) as error:
            pytest.fail(f"{error!r} crossed the protocol")


def test_a_store_is_opened_by_its_url(backend: Backend, store: Store) -> None:
    create(store)
    assert current_text(open_store(backend.url)) == "one\n"
    assert store.location


@pytest.mark.parametrize("url", ["postgresql://localhost/reports", "ftp://localhost/reports"])
def test_a_url_without_a_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        open_store(url)
