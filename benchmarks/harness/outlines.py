"""Reports of a given size: sections of prose, and insights with a citation each.

The size is that of `outline.json`, within a few percent. The same arguments give the same outline, so
that every baseline works on the same document.

    >>> outline = sized_outline(50_000)
    >>> len(outline_bytes(outline))
    49894
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from benchmarks.harness.roots import Prose, head, report_id, write_root

INSIGHT_WORDS = 20
MAX_SECTIONS = 12

Json = dict[str, Any]
_PROSE = Prose(seed=7)


def sized_outline(size_bytes: int, n: int = 0, name: str = "") -> Json:
    """Return the n-th report of about this size: an insight per 1.5 KB, and prose in up to 12 sections."""
    name = name or report_id(n)
    outline = head(n, name, f"Report {n}")
    insights = [_insight(outline, n, number) for number in range(max(2, size_bytes // 1500))]
    count = min(MAX_SECTIONS, max(2, size_bytes // 3000))
    ids = [insight["insight_id"] for insight in insights]
    sections = [_section(outline, n, number, ids[number::count]) for number in range(count)]
    outline |= {"sections": sections, "insights": insights}
    room = size_bytes - len(outline_bytes(outline))
    for section in sections:
        section["content"] = _paragraphs(max(room // count, 0))
    return outline


def outline_bytes(outline: Json) -> bytes:
    """Return the outline as the bytes of `outline.json`."""
    return (json.dumps(outline, indent=2, ensure_ascii=False) + "\n").encode()


def write_sized_root(root: Path, size_bytes: int, count: int = 1) -> list[str]:
    """Write a new root with so many reports of this size, and return their ids."""
    write_root(root, count, lambda n, name: sized_outline(size_bytes, n, name))
    return [report_id(n) for n in range(count)]


def _section(outline: Json, n: int, number: int, insight_ids: list[str]) -> Json:
    section = {"section_id": _id(n, "section", number), "title": f"Findings {number}", "order": number}
    return section | {"insight_ids": insight_ids, "content_format": "markdown"} | _times(outline)


def _insight(outline: Json, n: int, number: int) -> Json:
    insight = {"insight_id": _id(n, "insight", number), "importance": number % 11, "status": "active"}
    citation = {"source": "url", "url": f"https://example.com/{n}/{number}", "title": _PROSE.text(4)}
    text = {"summary": _PROSE.text(INSIGHT_WORDS), "supporting_queries": [], "citations": [citation]}
    return insight | text | _times(outline)


def _times(outline: Json) -> Json:
    return {key: outline[key] for key in ("created_at", "updated_at")} | {"metadata": {}}


def _paragraphs(chars: int) -> str:
    """Return prose of so many characters, in paragraphs of about sixty words."""
    text = ""
    while len(text) < chars:
        text += _PROSE.text(60) + "\n\n"
    return text[:chars].strip()


def _id(n: int, kind: str, number: int) -> str:
    return str(uuid.uuid5(uuid.UUID(report_id(n)), f"{kind} {number}"))
