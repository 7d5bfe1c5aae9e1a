"""Looking for reports in tests, as `list_reports` does it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from living_reports.library import Library
from living_reports.library.listing import Asked, list_page, open_search
from living_reports.store.files import GlobalStorage
from support.keeping import keep

TODAY = date(2026, 11, 24)

Row = dict[str, Any]


def prose(text: str, **more: Any) -> list[Row]:
    """The sections of a report that says this."""
    return [{"title": "Findings", "content": text, **more}]


def write(library: Library, title: str, text: str, **more: Any) -> str:
    """A report that says this; its id."""
    return keep(library, title, sections=prose(text), **more)


class Finder:
    """One process's search over a root."""

    def __init__(self, root: Path) -> None:
        self.storage = GlobalStorage(root)
        self.search = open_search(self.storage)

    def answer(self, query: str = "", *, limit: int = 100, cursor: str = "", **asked: Any) -> Row:
        """The whole answer."""
        return list_page(self.storage, self.search, Asked(query=query, **asked), TODAY, limit, cursor)

    def titles(self, query: str = "", **asked: Any) -> list[str]:
        """The titles of the reports found, in order."""
        return [row["title"] for row in self.answer(query, **asked)["reports"]]

    def matches(self, query: str = "", **asked: Any) -> list[Row]:
        """What fits in the one report that is found."""
        [row] = self.answer(query, **asked)["reports"]
        return list(row.get("matches", []))
