"""Queries to the search database: one page of reports, and the items in them that match.

Rules: a page continues after the last row of the previous one, in the same order, so that reports
that come and go in between neither repeat a row nor hide one. A report that is changed in between
keeps the place that it had when the first page was made. Pages by relevance continue by count,
because the weight of a word changes with every report.

Weighing a report takes longer than finding it. So where a great part of very many reports match, none
is weighed: those with the words in the title come first, then the others, the newest change first.

    >>> fetch(connection, PageRequest(SearchQuery(tags=("risk",), sort="title"), None, 20, updated_by)).total
    3
"""

from __future__ import annotations

import heapq
import json
import sqlite3
import zlib
from collections.abc import Callable, Container, Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from living_reports.model.report import IndexEntry, folded
from living_reports.store.base import PageKey, SearchPage, SearchQuery, SearchRow
from living_reports.store.files.search.content import Item, Text, compared, lines_with, moment
from living_reports.store.files.search.words import SNIPPET_CHARS, Words, best_matches, parse_query

MAX_MATCHES = 3
MAX_DEPENDENTS = 10
"""The number of items of a report that are shown for `cites` and `stale_on`."""

STATUSES = ("active", "archived", "deleted")
TITLE_WEIGHT = 10.0
MAX_WEIGHED = 8_000
"""The number of reports that are weighed within the time of a page."""
_FEW = 1000
"""Up to this many reports, sorting them is faster than reading an index in order."""

_COLUMNS = {"updated": "updated", "created": "created", "title": "folded"}

Match = dict[str, str]

UpdatedBy = Callable[[str, str], str]
"""Returns the `updated_at` that a report (by id) had at a time; empty if it did not exist yet."""


class PageRequest:
    """A request for one page of a search, with the values that the SQL needs.

    Args:
        query: The conditions and the order.
        after: The key after which the page begins.
        limit: The maximum number of rows.
        updated_by: See `UpdatedBy`.
    """

    def __init__(self, query: SearchQuery, after: PageKey | None, limit: int, updated_by: UpdatedBy) -> None:
        self.query = query
        self.after = after
        self.limit = limit
        self.updated_by = updated_by
        self.order = query.sort or ("relevance" if query.text.strip() else "updated")
        self.statuses = STATUSES if query.status == "all" else (query.status,)
        self.tags = sorted({folded(tag) for tag in query.tags} - {""})
        self.source = compared(" ".join(query.cites.split()))
        self.stale_on = query.stale_on

    @cached_property
    def words(self) -> Words | None:
        """The parsed full-text query; `None` if there is none."""
        return parse_query(self.query.text) if self.query.text.strip() else None

    @property
    def needs_texts(self) -> bool:
        """True if the catalogue entries do not suffice to answer it."""
        return bool(self.query.text.strip() or self.source or self.stale_on)

    @property
    def has_phrase(self) -> bool:
        """True if words have to be adjacent."""
        return self.words is not None and any(term.is_phrase for term in self.words.wanted)

    @property
    def is_expensive(self) -> bool:
        """True if matching a report takes more than a look-up in the list of a word."""
        return bool(self.has_phrase or self.tags or self.source or self.stale_on)


class FoundRow(NamedTuple):
    """A row of `reports` that matches: its id, its catalogue entry as JSON, and its key."""

    row: int
    entry: str
    key: PageKey


class _Selection(NamedTuple):
    """The part of a statement from FROM on, and its values.

    Attributes:
        sql: FROM and WHERE. Rows of `reports` are called `r`.
        values: The values of the placeholders.
        updated: The column of the time of the last change.
    """

    sql: str
    values: list[Any]
    updated: str = "r.updated"

    def also(self, condition: str, *values: Any) -> _Selection:
        """Return the selection with another condition."""
        return self._replace(sql=f"{self.sql} AND {condition}", values=[*self.values, *values])


def fetch(connection: sqlite3.Connection, request: PageRequest) -> SearchPage:
    """Return one page; its rows have no version yet."""
    words = request.words
    if (words and not words.expression) or (request.query.cites.strip() and not request.source):
        return SearchPage()  # nothing in the query can be searched for
    page = _fetch(connection, request, words)
    if not page.total and words and words.otherwise:
        page = _fetch(connection, request, words.otherwise)
    return page


def _fetch(connection: sqlite3.Connection, request: PageRequest, words: Words | None) -> SearchPage:
    expression = words.expression if words else ""
    is_ranked = request.order == "relevance" and expression
    total, found = (_by_relevance if is_ranked else _in_order)(connection, request, expression)
    is_cut = bool(is_ranked and found and found[0].key[1])
    matches_of = _stale_matches if request.stale_on else _matches
    rows = [
        SearchRow(IndexEntry.model_validate_json(entry), 0, matches_of(connection, request, words, row), key)
        for row, entry, key in found[: request.limit]
    ]
    return SearchPage(rows, total, rows[-1].key if len(found) > request.limit else None, is_cut=is_cut)


# --- Conditions ---------------------------------------------------------------------------

_OVERDUE = "r.due > '' AND r.due <= ?"
"""Overdue reviews, found by their day."""
_OVERDUE_IN_ORDER = "+r.due > '' AND +r.due <= ?"
"""The same, while rows are read in another order."""


def _tagged(request: PageRequest, row: str) -> tuple[str, list[Any]]:
    """Return the condition that the report of a row has all tags."""
    has_tag = f"t.tag = ? AND t.status IN ({_marks(request.statuses)}) AND t.report = {row}"
    parts = [f"EXISTS (SELECT 1 FROM tags t WHERE {has_tag})" for _ in request.tags]
    return " AND ".join(["1", *parts]), [value for tag in request.tags for value in (tag, *request.statuses)]


def _stale(request: PageRequest, contains: str = "", *values: str) -> tuple[str, list[Any]]:
    """Return the conditions on an insight `v` of `reviews`: it is stale, and it alone meets all others."""
    assert request.stale_on is not None
    parts, given = ["v.day <= ?", contains or "1"], [request.stale_on.isoformat(), *values]
    if request.source:
        cites = "s.report = v.report AND s.item_id = v.insight_id AND instr(s.compared, ?)"
        parts.append(f"EXISTS (SELECT 1 FROM sources s WHERE {cites})")
        given.append(request.source)
    return " AND ".join(parts), given


def _conditions(
    request: PageRequest, row: str, expression: str = "", overdue: str = ""
) -> tuple[str, list[Any]]:
    """Return the conditions on the report of a row, other than its status.

    The full text is one of them if an insight has to contain it.
    """
    where, values = _tagged(request, row)
    if request.stale_on and not (expression or request.source):
        return f"{where} AND {overdue}", [*values, request.stale_on.isoformat()]
    if request.stale_on:
        contains = "v.id IN (SELECT rowid FROM due_texts WHERE due_texts MATCH ?)"
        stale, more = _stale(request, contains, expression) if expression else _stale(request)
        return f"{where} AND +{row} IN (SELECT v.report FROM reviews v WHERE {stale})", values + more
    if request.source:
        where += f" AND +{row} IN (SELECT report FROM sources WHERE instr(compared, ?))"
        values.append(request.source)
    return where, values


def _from_texts(request: PageRequest, expression: str, join: str = "") -> _Selection:
    """Return the rows of `texts` that contain the words and meet all conditions."""
    where, values = _conditions(request, "texts.rowid")
    others = [status for status in STATUSES if status not in request.statuses]
    if others and not request.tags:  # a tag has the status, too
        # These are few, as a rule, or none: cheaper than reading the status of every row.
        other = f"FROM reports WHERE status IN ({_marks(others)})"
        where += f" AND (NOT EXISTS (SELECT 1 {other}) OR texts.rowid NOT IN (SELECT id {other}))"
        values += others * 2
    return _Selection(f"FROM texts {join} WHERE texts MATCH ? AND {where}", [expression, *values])


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _from_entries(request: PageRequest, status: str, count: int, expression: str = "") -> _Selection:
    """Return the reports of one status that meet all conditions."""
    overdue = _OVERDUE if count <= _FEW else _OVERDUE_IN_ORDER
    where, values = _conditions(request, "r.id", expression, overdue)
    if request.tags and (request.order == "updated" or count <= _FEW):
        # The rows of a tag are in the order of `updated`, too.
        tagged = "FROM tags o CROSS JOIN reports r ON r.id = o.report WHERE o.tag = ? AND o.status = ?"
        return _Selection(f"{tagged} AND {where}", [request.tags[0], status, *values], updated="o.updated")
    return _Selection(f"FROM reports r WHERE r.status = ? AND {where}", [status, *values])


# --- Order --------------------------------------------------------------------------------


def _by_relevance(
    connection: sqlite3.Connection, request: PageRequest, expression: str
) -> tuple[int, list[FoundRow]]:
    skipped, *cut = request.after or [0]
    wanted = skipped + request.limit + 1
    is_cut = cut[0] if cut else _is_common(connection, request, expression)
    rows = _rows(connection, request, expression) if is_cut else set()
    is_cut = len(rows) > (0 if cut else _most_weighed(request))
    if is_cut:
        total, ranked = len(rows), _by_title_and_time(connection, request, expression, rows)[:wanted]
    else:
        total, ranked = _ranked(connection, request, expression, wanted)
    entry_of = "SELECT entry FROM reports WHERE id = ?"
    return total, [
        FoundRow(row, connection.execute(entry_of, (row,)).fetchone()[0], [skipped + count, int(is_cut)])
        for count, row in enumerate(ranked[skipped:], start=1)
    ]


def _most_weighed(request: PageRequest) -> int:
    return MAX_WEIGHED // 2 if request.has_phrase else MAX_WEIGHED  # phrases are looked for twice


def _is_common(connection: sqlite3.Connection, request: PageRequest, expression: str) -> bool:
    """Return whether too many reports seem to match to weigh them, judged by the newest tenth of the rows."""
    (last,) = connection.execute("SELECT max(id) FROM reports").fetchone()
    if request.stale_on or not last or last < _most_weighed(request):
        return False
    newest = _from_texts(request, expression).also("texts.rowid > ?", last - last // 10)
    return 10 * _number(connection, newest) > _most_weighed(request)


def _rows(connection: sqlite3.Connection, request: PageRequest, expression: str) -> set[int]:
    selection = _from_texts(request, expression)
    return {row for (row,) in connection.execute(f"SELECT texts.rowid {selection.sql}", selection.values)}


def _by_title_and_time(
    connection: sqlite3.Connection, request: PageRequest, expression: str, rows: set[int]
) -> list[int]:
    """Return rows in their order: those with the words in the title first, then the newest change."""
    titled = _rows(connection, request, f"{{title}} : ({expression})")
    newest = f"WHERE status IN ({_marks(request.statuses)}) ORDER BY updated DESC, report_id DESC"
    found = connection.execute(f"SELECT id FROM reports {newest}", request.statuses)
    ordered = [row for (row,) in found if row in rows]
    return [*(row for row in ordered if row in titled), *(row for row in ordered if row not in titled)]


def _ranked(
    connection: sqlite3.Connection, request: PageRequest, expression: str, limit: int
) -> tuple[int, list[int]]:
    """Return the number of rows, and the most relevant ones."""
    if request.stale_on:
        return _ranked_by_insights(connection, request, expression, limit)
    selection = _from_texts(request, expression)
    scored = f"SELECT bm25(texts, {TITLE_WEIGHT}, 1.0) AS score, rowid {selection.sql}"
    if request.is_expensive:  # finding the rows twice, to count them, costs more than sorting them here
        rows = connection.execute(scored, selection.values).fetchall()
        return len(rows), [row for _, row in heapq.nsmallest(limit, rows)]
    first = connection.execute(f"{scored} ORDER BY score, rowid LIMIT ?", [*selection.values, limit])
    return _number(connection, selection), [row for _, row in first]


def _ranked_by_insights(
    connection: sqlite3.Connection, request: PageRequest, expression: str, limit: int
) -> tuple[int, list[int]]:
    """Rank the reports by the most relevant of their stale insights that meet all conditions."""
    stale, values = _stale(request, "due_texts MATCH ?", expression)
    tagged, tags = _tagged(request, "v.report")
    join = "due_texts CROSS JOIN reviews v ON v.id = due_texts.rowid CROSS JOIN reports r ON r.id = v.report"
    where = f"{stale} AND {tagged} AND r.status IN ({_marks(request.statuses)})"
    found = connection.execute(
        f"SELECT bm25(due_texts), v.report FROM {join} WHERE {where}", [*values, *tags, *request.statuses]
    )
    best: dict[int, float] = {}
    for score, row in found:
        best[row] = min(score, best.get(row, score))
    return len(best), [
        row for _, row in heapq.nsmallest(limit, ((score, row) for row, score in best.items()))
    ]


def _in_order(
    connection: sqlite3.Connection, request: PageRequest, expression: str
) -> tuple[int, list[FoundRow]]:
    if expression and not request.stale_on:
        total = _number(connection, _from_texts(request, expression))
        parts = [_from_texts(request, expression, "CROSS JOIN reports r ON r.id = texts.rowid")]
    else:
        counts = {status: _count(connection, request, status, expression) for status in request.statuses}
        total = sum(counts.values())
        parts = [_from_entries(request, status, n, expression) for status, n in counts.items() if n]
    found = []
    for selection in parts:
        found += _sorted(connection, request, selection)
        if request.order == "updated" and request.query.begun:
            moved, later = _moved(connection, request, selection)
            found, total = found + moved, total - later
    found.sort(key=lambda each: each.key, reverse=request.order != "title")
    return total, found[: request.limit + 1]


def _sorted(connection: sqlite3.Connection, request: PageRequest, selection: _Selection) -> list[FoundRow]:
    column, after = _column(request, selection), request.after
    direction, behind = ("ASC", ">") if request.order == "title" else ("DESC", "<")
    newest = [moment(request.query.begun)] if request.order == "updated" and request.query.begun else []
    if after is not None:
        selection = selection.also(f"({column}, r.report_id) {behind} (?, ?)", *after[:2])
        newest += [after[0]] if column == "o.updated" else []  # where to begin in the order of the tag
    if newest:
        selection = selection.also(f"{column} <= ?", min(newest))
    select = f"SELECT r.id, r.entry, {column}, r.report_id {selection.sql}"
    order = f"ORDER BY {column} {direction}, r.report_id {direction} LIMIT ?"
    rows = connection.execute(f"{select} {order}", [*selection.values, request.limit + 1])
    return [FoundRow(row, entry, list(key)) for row, entry, *key in rows]


def _column(request: PageRequest, selection: _Selection) -> str:
    """Return the column of the order."""
    column = _COLUMNS.get(request.order, "updated")
    return selection.updated if column == "updated" else f"r.{column}"


def _moved(
    connection: sqlite3.Connection, request: PageRequest, selection: _Selection
) -> tuple[list[FoundRow], int]:
    """Return the reports changed since the first page, at their old places, and the number of new reports."""
    found, created_later = [], 0
    begun, after = request.query.begun, request.after
    changed = selection.also(f"{selection.updated} > ?", moment(begun))
    select = f"SELECT r.id, r.entry, r.report_id {changed.sql}"
    for row, entry, report_id in connection.execute(select, changed.values).fetchall():
        updated_at = request.updated_by(report_id, begun)
        key = [moment(updated_at), report_id]
        if not updated_at:
            created_later += 1
        elif after is None or key < after[:2]:
            found.append(FoundRow(row, entry, key))
    return found, created_later


def _count(connection: sqlite3.Connection, request: PageRequest, status: str, expression: str) -> int:
    if request.source or request.stale_on or not request.tags:
        return _number(connection, _from_entries(request, status, _FEW, expression))
    first, *others = request.tags
    has_tag = "EXISTS (SELECT 1 FROM tags t WHERE t.tag = ? AND t.status = r.status AND t.report = r.report)"
    selection = _Selection("FROM tags r WHERE r.tag = ? AND r.status = ?", [first, status])
    for tag in others:
        selection = selection.also(has_tag, tag)
    return _number(connection, selection)


def _number(connection: sqlite3.Connection, selection: _Selection) -> int:
    return int(connection.execute(f"SELECT count(*) {selection.sql}", selection.values).fetchone()[0])


# --- Matches ------------------------------------------------------------------------------


def _matches(
    connection: sqlite3.Connection, request: PageRequest, words: Words | None, row: int
) -> list[Match]:
    """Return the items of a report that match, each once, with a snippet."""
    matches = _text_matches(connection, words, row) if words is not None else []
    if request.source:
        matches += _source_matches(connection, request.source, row)
    return list(_by_item(matches).values())


def _stale_matches(
    connection: sqlite3.Connection, request: PageRequest, words: Words | None, row: int
) -> list[Match]:
    """Return the insights of a report that are stale and meet all other conditions, each with a snippet."""
    contains = "EXISTS (SELECT 1 FROM due_texts WHERE due_texts MATCH ? AND rowid = v.id)"
    stale, values = _stale(request, contains, words.expression) if words else _stale(request)
    found = connection.execute(
        f"SELECT v.item, v.day FROM reviews v WHERE v.report = ? AND {stale} ORDER BY v.day LIMIT ?",
        [row, *values, MAX_DEPENDENTS],
    )
    matches = []
    for text, day in found:
        item = json.loads(text)
        matches.append(_match(item, "insight", f"due for review since {day}: {item['summary']}"))
    shown = _by_item(matches)
    if words is not None:
        shown |= _by_item(_text_matches(connection, words, row, only=shown))
    elif request.source:
        shown |= _by_item(_source_matches(connection, request.source, row, only=shown))
    return list(shown.values())


def _by_item(matches: Iterable[Match]) -> dict[str, Match]:
    """Return the first match of each item by the id of the item."""
    first: dict[str, Match] = {}
    for match in matches:
        first.setdefault(next(iter(match.values())), match)
    return first


def _match(item: Item, kind: str, snippet: str) -> Match:
    return {**item, "kind": kind, "snippet": snippet}


def _text_matches(
    connection: sqlite3.Connection, words: Words, row: int, only: Container[str] | None = None
) -> list[Match]:
    """Return the items that contain the words; `only` names the ids of those that may."""
    packed = connection.execute("SELECT texts FROM items WHERE report = ?", (row,)).fetchone()
    texts = [Text(*each) for each in json.loads(zlib.decompress(packed[0]))] if packed else []
    if only is not None:
        texts = [text for text in texts if next(iter(text.item.values())) in only]
    matches = []
    limit = MAX_MATCHES if only is None else MAX_DEPENDENTS
    for at, begin, snippet in best_matches([text.text for text in texts], words.wanted, limit):
        item = texts[at].item
        kind = "insight" if "insight_id" in item else "prose"
        matches.append(_match(item, "citation" if begin >= texts[at].cited_from else kind, snippet))
    return matches


def _source_matches(
    connection: sqlite3.Connection, wanted: str, row: int, only: Container[str] | None = None
) -> list[Match]:
    """Return the items that depend on a source; `only` names the ids of those that may."""
    found = connection.execute(
        "SELECT item, kind, text FROM sources WHERE report = ? AND instr(compared, ?)", (row, wanted)
    )
    matches: dict[str, Match] = {}
    for text, kind, sources in found:
        item = json.loads(text)
        item_id = next(iter(item.values()))
        if item_id in matches or (only is not None and item_id not in only):
            continue
        snippet = " ".join(lines_with(sources, wanted)[:1])[:SNIPPET_CHARS]
        matches[item_id] = _match(item, kind, snippet)
        if len(matches) == MAX_DEPENDENTS:
            break
    return list(matches.values())
