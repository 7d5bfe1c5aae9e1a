"""What is asked of the search database: one page of reports, and what in them fits.

Rules: a page goes on behind the last row it showed, by the same order, so that reports that come
and go meanwhile neither repeat a row nor hide one; a report that is changed meanwhile stays where
it stood when the listing began. By relevance it goes on by count, because the
weight of a word changes with every report.

    >>> fetch(connection, Query(tags=("risk",), sort="title"), after=None, limit=20).total
    3
"""

from __future__ import annotations

import heapq
import json
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from living_reports.model.report import IndexEntry
from living_reports.model.selectors import folded
from living_reports.store.files.search.content import compared, lines_with, moment
from living_reports.store.files.search.words import SNIPPET_CHARS, Words, best_matches, parse_query

MAX_MATCHES = 3
MAX_DEPENDENTS = 10
"""How many items of a report are shown for `cites` and `stale`."""

STATUSES = ("active", "archived", "deleted")
TITLE_WEIGHT = 10.0
_FEW = 1000
"""So many reports are sorted faster than they are found in sorted order."""

_FROM_TAG = "FROM tags o"
_COLUMNS = {"updated": "updated", "created": "created", "title": "folded"}

Key = list[Any]
Match = dict[str, str]


@dataclass(frozen=True)
class Query:
    """What a report has to be to be listed, and in which order; what is empty is not asked for.

    Attributes:
        query: Full text; see `words`.
        tags: Tags that it has, all of them.
        status: active, archived, deleted or all.
        cites: A part of a source that it depends on; see `content`.
        stale_on: A day on which the review of one of its insights is overdue.
        sort: relevance, updated, created (both newest first) or title; empty: relevance with a
            query, else updated.
        begun: For the pages after the first by `updated`: the newest `updated_at` of the first.
        earlier: What `updated_at` a report (by id) had at a time; empty if it was not there yet.
    """

    query: str = ""
    tags: Sequence[str] = ()
    status: str = "active"
    cites: str = ""
    stale_on: date | None = None
    sort: str = ""
    begun: str = ""
    earlier: Callable[[str, str], str] | None = field(default=None, compare=False)

    @property
    def order(self) -> str:
        """The order that is meant."""
        return self.sort or ("relevance" if self.query.strip() else "updated")

    @property
    def needs_texts(self) -> bool:
        """Whether the entries of the index do not suffice to answer it."""
        return bool(self.query.strip() or self.source or self.stale_on)

    @cached_property
    def wanted_tags(self) -> list[str]:
        """The tags, in compared form."""
        return sorted({folded(tag) for tag in self.tags} - {""})

    @cached_property
    def words(self) -> Words | None:
        """The full-text query, taken apart; `None` where none is stated."""
        return parse_query(self.query) if self.query.strip() else None

    @property
    def is_dear(self) -> bool:
        """Whether it takes more than a look at a word's list to find a report."""
        has_phrase = self.words is not None and any(term.is_phrase for term in self.words.wanted)
        return bool(has_phrase or self.wanted_tags or self.source or self.stale_on)

    @cached_property
    def source(self) -> str:
        """What is cited, in compared form."""
        return compared(" ".join(self.cites.split()))


@dataclass(frozen=True)
class Row:
    """A report on a page.

    Attributes:
        entry: What the index says of it.
        matches: What in it fits: `section_id` or `insight_id`, and a `snippet`.
        key: Where a page goes on behind it.
    """

    entry: IndexEntry
    matches: list[Match]
    key: Key


@dataclass(frozen=True)
class Page:
    """A page of reports.

    Attributes:
        rows: The reports.
        total: How many there are on all pages.
        next_key: The `after` of the next page; `None` on the last one.
        is_behind: True if the newest changes may be missing.
    """

    rows: list[Row] = field(default_factory=list)
    total: int = 0
    next_key: Key | None = None
    is_behind: bool = False


def fetch(connection: sqlite3.Connection, query: Query, after: Key | None, limit: int) -> Page:
    """One page, and the number of reports on all of them."""
    words = query.words
    if (words and not words.expression) or (query.cites.strip() and not query.source):
        return Page()  # asked for, but nothing that could be found
    if words is None:
        return _fetch(connection, query, "", after, limit)
    try:
        return _fetch(connection, query, words.expression, after, limit)
    except sqlite3.OperationalError:
        return _fetch(connection, query, words.plain, after, limit)


def _fetch(
    connection: sqlite3.Connection, query: Query, expression: str, after: Key | None, limit: int
) -> Page:
    if query.order == "relevance" and expression:
        total, found = _by_relevance(connection, query, expression, after, limit)
    else:
        total, found = _in_order(connection, query, expression, after, limit)
    rows = [
        Row(IndexEntry.model_validate_json(entry), _matches(connection, query, row), key)
        for row, entry, key in found[:limit]
    ]
    return Page(rows, total, rows[-1].key if len(found) > limit else None)


_Found = list[tuple[int, str, Key]]
"""Rows of `reports` with their entries and keys."""


_OVERDUE = "r.due > '' AND r.due < ?"
_OVERDUE_IN_ORDER = "+r.due > '' AND +r.due < ?"
_OVERDUE_TEXT = "EXISTS (SELECT 1 FROM reports r WHERE r.id = texts.rowid AND r.due > '' AND r.due < ?)"
"""What says that a review is overdue: found by its day, while going by another order, of a text."""


def _conditions(query: Query, row: str, overdue: str) -> tuple[str, list[Any]]:
    """What a report of this row has to fulfil, beside its status and the full text."""
    parts, values = ["1"], list[Any]()
    statuses = _statuses(query)
    has_tag = f"t.tag = ? AND t.status IN ({_marks(statuses)}) AND t.report = {row}"
    for tag in query.wanted_tags:
        parts.append(f"EXISTS (SELECT 1 FROM tags t WHERE {has_tag})")
        values += [tag, *statuses]
    if query.source:
        parts.append(f"+{row} IN (SELECT report FROM sources WHERE instr(compared, ?))")
        values.append(query.source)
    if query.stale_on:
        parts.append(overdue)
        values.append(query.stale_on.isoformat())
    return " AND ".join(parts), values


def _statuses(query: Query) -> tuple[str, ...]:
    return STATUSES if query.status == "all" else (query.status,)


def _from_texts(query: Query, expression: str) -> tuple[str, list[Any]]:
    """The rows of `texts` that have the words, and everything else that is asked for."""
    where, values = _conditions(query, "texts.rowid", _OVERDUE_TEXT)
    others = [status for status in STATUSES if status not in _statuses(query)]
    if others and not query.wanted_tags:  # a tag has the status, too
        # These are few, as a rule, or none: cheaper than a look at every row's own.
        found = f"FROM reports WHERE status IN ({_marks(others)})"
        where += f" AND (NOT EXISTS (SELECT 1 {found}) OR texts.rowid NOT IN (SELECT id {found}))"
        values += others * 2
    return f"FROM texts WHERE texts MATCH ? AND {where}", [expression, *values]


def _from_reports_with_texts(query: Query, expression: str) -> tuple[str, list[Any]]:
    """The same, with their rows of `reports`."""
    source, values = _from_texts(query, expression)
    return source.replace("FROM texts", "FROM texts CROSS JOIN reports r ON r.id = texts.rowid", 1), values


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _from_entries(query: Query, status: str, count: int) -> tuple[str, list[Any]]:
    """The reports of one status that have what is asked for."""
    where, values = _conditions(query, "r.id", _OVERDUE if count <= _FEW else _OVERDUE_IN_ORDER)
    if query.wanted_tags and (query.order == "updated" or count <= _FEW):  # a tag knows that order, too
        source = f"{_FROM_TAG} CROSS JOIN reports r ON r.id = o.report WHERE o.tag = ? AND o.status = ?"
        return f"{source} AND {where}", [query.wanted_tags[0], status, *values]
    return f"FROM reports r WHERE r.status = ? AND {where}", [status, *values]


# --- Order --------------------------------------------------------------------------------


def _by_relevance(
    connection: sqlite3.Connection, query: Query, expression: str, after: Key | None, limit: int
) -> tuple[int, _Found]:
    skipped = after[0] if after else 0
    total, ranked = _ranked(connection, query, expression, skipped + limit + 1)
    entry_of = "SELECT entry FROM reports WHERE id = ?"
    return total, [
        (row, connection.execute(entry_of, (row,)).fetchone()[0], [skipped + count])
        for count, (_, row) in enumerate(ranked[skipped:], start=1)
    ]


def _ranked(
    connection: sqlite3.Connection, query: Query, expression: str, limit: int
) -> tuple[int, list[tuple[float, int]]]:
    """How many rows there are, and the first of them by relevance, with their scores."""
    source, values = _from_texts(query, expression)
    scored = f"SELECT bm25(texts, {TITLE_WEIGHT}, 1.0) AS score, rowid {source}"
    if query.is_dear:  # finding the rows twice, to count them, costs more than sorting them here
        rows = connection.execute(scored, values).fetchall()
        return len(rows), heapq.nsmallest(limit, rows)
    first = connection.execute(f"{scored} ORDER BY score, rowid LIMIT ?", [*values, limit]).fetchall()
    return _number(connection, source, values), first


def _in_order(
    connection: sqlite3.Connection, query: Query, expression: str, after: Key | None, limit: int
) -> tuple[int, _Found]:
    if expression:
        total = _number(connection, *_from_texts(query, expression))
        parts = [_from_reports_with_texts(query, expression)]
    else:
        counts = {status: _count(connection, query, status) for status in _statuses(query)}
        total = sum(counts.values())
        parts = [_from_entries(query, status, count) for status, count in counts.items() if count]
    found, unborn = [], 0
    for source, values in parts:
        found += _sorted(connection, query, source, values, after, limit)
        if query.order == "updated" and query.begun and query.earlier:
            moved, late = _moved(connection, query, source, values, after)
            found, unborn = found + moved, unborn + late
    found.sort(key=lambda each: each[2], reverse=query.order != "title")
    return total - unborn, found[: limit + 1]


def _sorted(
    connection: sqlite3.Connection,
    query: Query,
    source: str,
    values: list[Any],
    after: Key | None,
    limit: int,
) -> _Found:
    column = _column(query, source)
    direction, behind = ("ASC", ">") if query.order == "title" else ("DESC", "<")
    if after is not None:
        source, values = f"{source} AND ({column}, r.report_id) {behind} (?, ?)", [*values, *after[:2]]
    newest = [moment(query.begun)] if query.order == "updated" and query.begun else []
    newest += [after[0]] if after and column == "o.updated" else []  # where to begin in the tag's order
    if newest:
        source, values = f"{source} AND {column} <= ?", [*values, min(newest)]
    select = f"SELECT r.id, r.entry, {column}, r.report_id {source}"
    order = f"ORDER BY {column} {direction}, r.report_id {direction} LIMIT ?"
    return [
        (row, entry, list(key))
        for row, entry, *key in connection.execute(f"{select} {order}", [*values, limit + 1])
    ]


def _column(query: Query, source: str) -> str:
    """What the order goes by; a tag that the reports are found by has `updated`, too."""
    column = _COLUMNS.get(query.order, "updated")
    return f"o.{column}" if column == "updated" and source.startswith(_FROM_TAG) else f"r.{column}"


def _moved(
    connection: sqlite3.Connection, query: Query, source: str, values: list[Any], after: Key | None
) -> tuple[_Found, int]:
    """The reports changed since the listing began, where they stood then; how many were not there."""
    found, unborn = [], 0
    select = f"SELECT r.id, r.entry, r.report_id {source} AND {_column(query, source)} > ?"
    for row, entry, report_id in connection.execute(select, [*values, moment(query.begun)]).fetchall():
        updated_at = query.earlier(report_id, query.begun) if query.earlier else ""
        key = [moment(updated_at), report_id]
        if not updated_at:
            unborn += 1
        elif after is None or key < after[:2]:
            found.append((row, entry, key))
    return found, unborn


def _count(connection: sqlite3.Connection, query: Query, status: str) -> int:
    if query.source or query.stale_on or not query.wanted_tags:
        return _number(connection, *_from_entries(query, status, _FEW))
    first, *others = query.wanted_tags
    has_tag = "EXISTS (SELECT 1 FROM tags t WHERE t.tag = ? AND t.status = r.status AND t.report = r.report)"
    conditions = "".join(f" AND {has_tag}" for _ in others)
    return _number(
        connection, f"FROM tags r WHERE r.tag = ? AND r.status = ?{conditions}", [first, status, *others]
    )


def _number(connection: sqlite3.Connection, source: str, values: list[Any]) -> int:
    return int(connection.execute(f"SELECT count(*) {source}", values).fetchone()[0])


# --- Matches ------------------------------------------------------------------------------


def _matches(connection: sqlite3.Connection, query: Query, row: int) -> list[Match]:
    """The items of a report that fit, each once, and why."""
    matches: list[Match] = []
    if query.words is not None:
        matches += _text_matches(connection, query.words, row)
    if query.source:
        matches += _source_matches(connection, query.source, row)
    if query.stale_on:
        matches += _stale_matches(connection, query.stale_on, row)
    first: dict[str, Match] = {}
    for match in matches:
        first.setdefault(next(iter(match.values())), match)
    return list(first.values())


def _text_matches(connection: sqlite3.Connection, words: Words, row: int) -> list[Match]:
    packed = connection.execute("SELECT texts FROM items WHERE report = ?", (row,)).fetchone()
    items = json.loads(zlib.decompress(packed[0])) if packed else []
    best = best_matches([text for _, _, text in items], words.wanted, MAX_MATCHES)
    return [{items[at][0]: items[at][1], "snippet": snippet} for at, snippet in best]


def _source_matches(connection: sqlite3.Connection, wanted: str, row: int) -> list[Match]:
    found = connection.execute(
        "SELECT kind, item_id, text FROM sources WHERE report = ? AND instr(compared, ?) LIMIT ?",
        (row, wanted, MAX_DEPENDENTS),
    )
    return [
        {kind: item_id, "snippet": " ".join(lines_with(text, wanted)[:1])[:SNIPPET_CHARS]}
        for kind, item_id, text in found
    ]


def _stale_matches(connection: sqlite3.Connection, day: date, row: int) -> list[Match]:
    found = connection.execute(
        "SELECT insight_id, day, summary FROM reviews WHERE report = ? AND day < ? ORDER BY day LIMIT ?",
        (row, day.isoformat(), MAX_DEPENDENTS),
    )
    return [{"insight_id": i, "snippet": f"review was due by {due}: {summary}"} for i, due, summary in found]
