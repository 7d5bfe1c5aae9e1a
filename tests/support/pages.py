"""Pages of outlines, as text."""

from __future__ import annotations

from datetime import date
from typing import Any

from living_reports.model.report import Outline
from living_reports.render import FORMATS
from living_reports.render.page import Page


def markdown(outline: Outline, today: date, status: str = "active", **options: Any) -> str:
    return FORMATS["markdown"].render(Page(outline, today, status, **options)).decode()


def html(outline: Outline, today: date, status: str = "active", **options: Any) -> str:
    return FORMATS["html"].render(Page(outline, today, status, **options)).decode()
