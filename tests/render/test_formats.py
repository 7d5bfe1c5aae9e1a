"""The registry of page formats: what the tools offer, and what a format needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from living_reports.library import Library
from living_reports.library.requests import RenderReport
from living_reports.render import FORMATS, Format
from living_reports.render.page import Page
from living_reports.server import tools
from support.library_reports import create_report


def test_every_format_has_a_suffix_of_its_own_and_is_offered() -> None:
    assert len({found.suffix for found in FORMATS.values()}) == len(FORMATS)
    assert all(name == found.name for name, found in FORMATS.items())
    offered = tools.BY_NAME["render_report"]["inputSchema"]["properties"]["format"]["enum"]
    assert offered == list(FORMATS)


def test_a_registered_format_can_be_rendered(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def render(page: Page) -> bytes:
        return f"\x00{page.outline.title}, {len(page.parts)} parts".encode()

    monkeypatch.setitem(FORMATS, "pdf", Format("pdf", "pdf", "application/pdf", False, render))
    create_report(library)
    answer = library.render_report(RenderReport("Health", format="pdf"))
    assert answer["format"] == "pdf"
    path = Path(answer["path"])
    assert path.name == "report-v1.pdf"
    assert path.read_bytes().startswith(b"\x00Health, ")
