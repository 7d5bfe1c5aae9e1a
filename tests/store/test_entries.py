"""The lines of the catalogue: taken in as they stand, and worth what parsing each of them says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from living_reports.model.report import IndexEntry
from living_reports.store.files.catalogue import Entries, entry_line

A, B = (f"0b5ce4b0-1f43-4c2f-8f5c-00000000000{n}" for n in "ab")


def entry(report_id: str, title: str, **more: object) -> IndexEntry:
    values = {"report_id": report_id, "current_title": title, "path": f"by_id/{report_id}"}
    times = {"created_at": "2026-11-23T10:00:00+00:00", "updated_at": "2026-11-23T11:00:00+00:00"}
    return IndexEntry.model_validate(values | times | more)


def taken(*lines: bytes) -> Entries:
    entries = Entries()
    for line in lines:
        entries.take(line)
    return entries


def spaced(made: IndexEntry) -> bytes:
    """A line as another program writes it."""
    return json.dumps(made.model_dump()).encode() + b"\n"


def parsed(lines: bytes) -> dict[str, IndexEntry]:
    """Return the entries of the lines, each parsed alone."""
    found: dict[str, IndexEntry] = {}
    for line in lines.split(b"\n"):
        try:
            made = IndexEntry.model_validate_json(line)
        except ValueError:
            continue
        found.pop(made.report_id, None)
        if made.path == f"by_id/{made.report_id}":
            found[made.report_id] = made
    return found


def test_an_id_that_no_folder_of_a_report_has_is_none_of_them() -> None:
    assert not taken(entry_line(entry(A.upper(), "one")) + spaced(entry(B.replace("-", ""), "two")))


def test_the_last_line_for_a_report_wins_and_its_place() -> None:
    entries = taken(entry_line(entry(A, "one")) + entry_line(entry(B, "two")), entry_line(entry(A, "three")))
    assert [made.current_title for made in entries.values()] == ["two", "three"]
    assert entries.lines == 3


def test_a_report_that_moved_to_the_trash_is_none_of_them() -> None:
    moved = entry(A, "one", status="deleted", path=f".trash/{A}-20261123T110000Z")
    assert A not in taken(entry_line(entry(A, "one")) + entry_line(moved))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        entry_line(entry(A, "one"))[:-3],
        entry_line(entry(A, "one"))[:70] + entry_line(entry(B, "two"))[:-1],
        entry_line(entry(A, "one")).replace(b"one", b"\xff\xfe")[:-1],
        entry_line(entry(A, "one")).replace(b"one", b"o\tne")[:-1],
        entry_line(entry(A, "one")).replace(b'"one"', b'""')[:-1],
        entry_line(entry(A, "one")).replace(b'"active"', b'"lost"')[:-1],
        entry_line(entry(A, "one")).replace(b'"tags":[]', b'"tags":[1]')[:-1],
        entry_line(entry(A, "one"))[:-2] + b',"more":1}',
        entry_line(entry(A, "one"))[:-1] * 2,
    ],
    ids=range(11),
)
def test_a_line_that_is_no_entry_counts_for_nothing(line: bytes) -> None:
    before = entry_line(entry(A, "before"))
    entries = taken(before + line + b"\n" + entry_line(entry(B, "behind")))
    assert dict(entries) == {A: entry(A, "before"), B: entry(B, "behind")}
    assert entries.lines == 3


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
STATUS = st.sampled_from(["active", "archived", "deleted"])
MADE = st.builds(entry, st.sampled_from([A, B]), TEXT, tags=st.lists(TEXT, max_size=3), status=STATUS)
LINE = st.builds(lambda write, made: write(made), st.sampled_from([entry_line, spaced]), MADE)
TORN = st.builds(lambda line, at: line[:at] + b"\n", LINE, st.integers(0, 400))


@given(st.lists(LINE | TORN | st.binary(max_size=30).map(lambda noise: noise + b"\n"), max_size=8))
def test_lines_are_worth_what_parsing_them_says(lines: list[bytes]) -> None:
    entries = taken(*lines)
    assert list(entries.items()) == list(parsed(b"".join(lines)).items())
    assert dict(taken(b"".join(lines))) == dict(entries)
