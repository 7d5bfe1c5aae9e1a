"""The rules of every field of an outline, its items and their citations.

One table says how the value of a field is written to a delta, how two changes of it merge,
whether searches see it, and how answers and pages name it. Everything that treats fields
differently looks them up in the sets below, which are computed once, at import. A new field
takes one line in its model (`model/report.py`) and one line here; a field that callers can
set also takes its parser in `changes/parse.py` and its schema in `server/tools.py`.

    >>> RULES["insights"]["summary"].kind
    <Kind.TEXT: 'text'>
    >>> ("sections", "content") in MERGED_BY_LINES
    True
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How the value of a field changes."""

    ID = "id"
    """Identifies its item and never changes."""
    TIME = "time"
    """A time that is set once."""
    DAY = "day"
    """A day of the calendar or a time, replaced and merged as a whole."""
    VALUE = "value"
    """Replaced and merged as a whole."""
    LINE = "line"
    """A short text, replaced and merged as a whole."""
    TEXT = "text"
    """A text that deltas splice and merges treat as one value."""
    PROSE = "prose"
    """A text that deltas splice and that merges line by line; null and empty are the same."""
    SET = "set"
    """A list that deltas splice and that merges by what each side added and removed."""
    ORDER = "order"
    """Ids of items in their order, which deltas splice and in which moves merge."""
    ITEMS = "items"
    """A list of items, each with an address of its own; deltas hold the order of its ids."""
    MAP = "map"
    """An object of which each key changes and merges by itself."""
    BOOKKEEPING = "bookkeeping"
    """Changes along with every version and never conflicts: the later value wins."""
    DERIVED = "derived"
    """A list that follows from other fields: in deltas and merges like a set, never in answers."""
    POSITION = "position"
    """Follows from the place in a list and is in no delta."""


@dataclass(frozen=True)
class Field:
    """The rules of one field.

    Attributes:
        kind: How its value changes, is written to deltas and merges.
        is_searched: Full-text search and `find` see it.
        source_rank: Its place among the fields that name the source of a citation; 0 if it names none.
        is_fact: Answers show it under its name beside an insight's summary.
        label: The words before a fact on a page; a fact without a label is on no page.
    """

    kind: Kind
    is_searched: bool = False
    source_rank: int = 0
    is_fact: bool = False
    label: str = ""


_ID, _TIME, _VALUE = Field(Kind.ID), Field(Kind.TIME), Field(Kind.VALUE)
_MAP, _BOOKKEEPING = Field(Kind.MAP), Field(Kind.BOOKKEEPING)

RULES: dict[str, dict[str, Field]] = {
    "": {
        "report_id": _ID,
        "title": Field(Kind.LINE, is_searched=True),
        "created_at": _TIME,
        "updated_at": _BOOKKEEPING,
        "version": _VALUE,
        "outline_version": _BOOKKEEPING,
        "sections": Field(Kind.ITEMS),
        "insights": Field(Kind.ITEMS),
        "metadata": _MAP,
    },
    "metadata": {
        "tags": Field(Kind.SET),
        "status": _VALUE,
    },
    "sections": {
        "section_id": _ID,
        "title": Field(Kind.LINE, is_searched=True),
        "order": Field(Kind.POSITION),
        "insight_ids": Field(Kind.ORDER),
        "content": Field(Kind.PROSE, is_searched=True),
        "notes": Field(Kind.PROSE, is_searched=True),
        "content_format": _VALUE,
        "created_at": _TIME,
        "updated_at": _BOOKKEEPING,
        "metadata": _MAP,
    },
    "sections/metadata": {
        "citations": Field(Kind.SET),
    },
    "insights": {
        "insight_id": _ID,
        "importance": _VALUE,
        "status": _VALUE,
        "summary": Field(Kind.TEXT, is_searched=True),
        "supporting_queries": Field(Kind.DERIVED),
        "citations": Field(Kind.SET),
        "created_at": _TIME,
        "updated_at": _BOOKKEEPING,
        "draft_changes": _VALUE,
        "metadata": _MAP,
    },
    "insights/metadata": {
        "as_of": Field(Kind.DAY, is_fact=True, label="as of"),
        "review_by": Field(Kind.DAY, is_fact=True),
    },
    "citations": {
        "source": _VALUE,
        "title": Field(Kind.LINE, is_searched=True, source_rank=4),
        "description": Field(Kind.LINE, is_searched=True),
        "provider": Field(Kind.LINE, is_searched=True),
        "url": Field(Kind.LINE, is_searched=True, source_rank=1),
        "path": Field(Kind.LINE, is_searched=True, source_rank=2),
        "endpoint": Field(Kind.LINE, is_searched=True, source_rank=3),
        "execution_id": Field(Kind.LINE, is_searched=True, source_rank=5),
        "query_id": Field(Kind.LINE, is_searched=True, source_rank=6),
        "sql_sha256": _VALUE,
        "cache_manifest": _VALUE,
        "accessed_at": _TIME,
        "response_hash": _VALUE,
        "page": _VALUE,
        "observed_at": _TIME,
    },
}
"""The fields of the outline (`""`), of its items, of free-form metadata, and of a citation.

Keys of metadata that are not listed are values. Citations change as a whole; their rules
only say what searches see. The order within a table is the order of search texts.
"""


def _names(holder: str, *kinds: Kind) -> tuple[str, ...]:
    return tuple(name for name, field in RULES[holder].items() if field.kind in kinds)


def _places(*kinds: Kind) -> frozenset[tuple[str, str]]:
    """Return the fields of these kinds that deltas and merges address, as (table, name)."""
    holders = ("metadata", *ITEMS, *(f"{kind}/metadata" for kind in ITEMS))
    return frozenset((holder, name) for holder in holders for name in _names(holder, *kinds))


def _searched(holder: str) -> tuple[str, ...]:
    return tuple(name for name, field in RULES[holder].items() if field.is_searched)


_CONTENT = (Kind.DAY, Kind.VALUE, Kind.LINE, Kind.TEXT, Kind.PROSE, Kind.SET)

ITEMS = _names("", Kind.ITEMS)
"""`sections` and `insights`: the lists of an outline with items that have addresses."""

ID_FIELDS = {kind: _names(kind, Kind.ID)[0] for kind in ITEMS}
"""The id field of a section and of an insight."""

BOOKKEEPING = frozenset(name for kind in ("", *ITEMS) for name in _names(kind, Kind.BOOKKEEPING))
"""The fields that change along with every version, of the outline and of its items."""

DERIVED = frozenset(name for kind in ITEMS for name in _names(kind, Kind.DERIVED))
"""Fields that repeat others, so that answers leave them out."""

POSITIONS = frozenset(name for kind in ITEMS for name in _names(kind, Kind.POSITION))
ORDERS = frozenset(name for kind in ITEMS for name in _names(kind, Kind.ORDER))

SPLICED = _places(Kind.TEXT, Kind.PROSE, Kind.SET, Kind.ORDER, Kind.DERIVED)
"""The fields of which a delta holds splices."""

MERGED_BY_LINES = _places(Kind.PROSE)
MERGED_AS_SETS = _places(Kind.SET, Kind.DERIVED)

WORDS = {kind: _names(kind, Kind.LINE, Kind.TEXT, Kind.PROSE) for kind in ("", *ITEMS)}
"""The texts of the outline, of a section and of an insight."""

RESTORED = {
    kind: tuple(n for n in _names(kind, *_CONTENT) if (kind, n) != ("", "version")) for kind in ("", *ITEMS)
}
"""The fields that a revert can restore alone, beside those of metadata; `version` is that of the format."""

PROSE = _names("sections", Kind.PROSE)
SPLICED_TEXTS = frozenset(name for kind in ITEMS for name in _names(kind, Kind.TEXT, Kind.PROSE))
LABELS = tuple(dict.fromkeys(name for kind in ITEMS for name in _names(kind, Kind.LINE, Kind.TEXT)[:1]))
"""The fields that name an item where it is not shown whole: `title` and `summary`."""

NOT_WORDS = frozenset(
    name
    for kind in ITEMS
    for name in _names(kind, Kind.ID, Kind.TIME, Kind.ORDER, Kind.BOOKKEEPING, Kind.DERIVED)
)
"""The fields of items that hold only ids and times, or repeat others."""

SEARCHED = {holder: _searched(holder) for holder in ("", *ITEMS, "citations")}

SOURCES = tuple(
    sorted(
        (name for name, field in RULES["citations"].items() if field.source_rank),
        key=lambda name: RULES["citations"][name].source_rank,
    )
)
"""The fields that name the source of a citation, the most telling first."""

DAYS = _names("insights/metadata", Kind.DAY)
"""The days in the metadata of an insight."""

FACTS = {
    name: field.label
    for holder in ("insights", "insights/metadata")
    for name, field in RULES[holder].items()
    if field.is_fact
}
"""The facts of an insight with their labels on pages."""
