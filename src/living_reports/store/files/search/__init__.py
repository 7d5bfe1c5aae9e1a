"""Finding reports: full text, sources, overdue reviews, tags and order, over all of a root.

Everything here is derived from `index.jsonl` and the outlines, kept in `.search.sqlite`, and can
be deleted at any time. Imported only when something is listed: SQLite is not loaded before.

Read in this order: `words` (queries and snippets), `content` (what an outline has to find),
`database` (the file), `folders` (which came and went), `follower` (keeping it in step), `queries`
(a page), `search_index`.

    >>> search = SearchIndex(storage, review_day)
    >>> page = search.page(Query(query="log4j", stale_on=date(2026, 11, 23)))
    >>> [row.entry.current_title for row in page.rows]
    ['Health of the environment']
"""

from living_reports.store.files.search.queries import Key, Page, Query, Row
from living_reports.store.files.search.search_index import SearchIndex

__all__ = ["Key", "Page", "Query", "Row", "SearchIndex"]
