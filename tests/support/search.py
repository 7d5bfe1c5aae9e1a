"""Search for reports as `list_reports` does."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from living_reports.library import Library
from living_reports.library.listing import list_page
from living_reports.library.requests import ListReports
from living_reports.storage import GlobalStorage
from support.library_reports import create_report

TODAY = date(2026, 11, 24)

Json = dict[str, Any]


def sections_with_text(text: str, **more: Any) -> list[Json]:
    """Return the sections of a report with this text."""
    return [{"title": "Findings", "content": text, **more}]


def create_with_text(library: Library, title: str, text: str, **more: Any) -> str:
    """Create a report with this text and return its id."""
    return create_report(library, title, sections=sections_with_text(text), **more)


def database_of(root: Path) -> Path:
    return root / ".search.sqlite"


class Finder:
    """The search of one process over a root."""

    def __init__(self, root: Path) -> None:
        self.storage = GlobalStorage(root)

    def answer(self, query: str = "", *, limit: int = 100, cursor: str = "", **asked: Any) -> Json:
        """Return the whole answer."""
        request = ListReports(query, cursor=cursor, **asked)
        return list_page(self.storage, request, TODAY, limit)

    def titles(self, query: str = "", **asked: Any) -> list[str]:
        """Return the titles of the reports found, in order."""
        return [row["title"] for row in self.answer(query, **asked)["reports"]]

    def matches(self, query: str = "", **asked: Any) -> list[Json]:
        """Return the matches of the only report that is found."""
        [row] = self.answer(query, **asked)["reports"]
        return list(row.get("matches", []))
