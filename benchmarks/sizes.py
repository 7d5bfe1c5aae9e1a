"""Bytes that a model has to read.

Sizes of compact JSON in UTF-8, as the server sends it: the tool list once per session, an answer per
call. Sizes do not vary between runs, so a test checks these bounds too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from benchmarks.harness.outlines import sized_outline, write_sized_root
from benchmarks.harness.roots import Prose
from benchmarks.harness.rows import Bench, Row, at_most
from benchmarks.harness.wire import Wire, ours

REPORT_BYTES = 50_000
SEEN_BY_MODELS = ("name", "description", "inputSchema")
SUMMARY_WORDS = 60
"""The number of words of a long insight: three sentences, more than an answer shows of a value."""


def run(bench: Bench) -> Iterator[Row]:
    root = bench.folder / "sizes"
    [long] = write_sized_root(root, REPORT_BYTES)
    prose = Prose(seed=3)
    with Wire(ours(root)) as wire:
        tools = wire.tools()
        seen_by_models = [{key: tool[key] for key in SEEN_BY_MODELS} for tool in tools]
        yield _row("list of all nine tools", tools, 15_000)
        yield _row("the part of it that models see", seen_by_models, 11_500)
        for tool in seen_by_models:
            yield Row(f"… {tool['name']}", [_bytes(tool)], unit="bytes")
        created = wire.answer("create_report", _creation(prose))
        yield _row("answer to a create", created, 600)
        report, insight = created["report_id"], created["created"]["insights"][0]["insight_id"]
        change = {"op": "edit_insight", "insight": insight, "summary": prose.text(SUMMARY_WORDS)}
        reason = "Weekly check of the figures of the payment service"
        updated = wire.answer("update_report", {"report": report, "changes": [change], "reason": reason})
        yield _row("answer to a one-insight update", updated, 600)
        yield _row("the same, merged with three changes", _merged(wire, report, change, reason, prose), 2_000)
        summary = wire.answer("get_report", {"report": long})
        yield _row(f"summary of {len(summary['sections'])} sections", summary, 3_000)
        for number in range(5):
            change |= {"summary": sized_outline(5_000, number)["insights"][0]["summary"]}
            wire.answer("update_report", {"report": report, "changes": [change], "reason": reason})
        events = wire.answer("audit_report", {"report": report})["events"]
        yield _row("longest row of an audit page", max(events, key=_bytes), 700)


def _merged(wire: Wire, report: str, change: dict[str, Any], reason: str, prose: Prose) -> Any:
    """Return the answer to a change that is merged with three long ones made since."""
    seen = wire.answer("get_report", {"report": report})
    section = seen["sections"][0]["section_id"]
    for _ in range(3):
        new = {"op": "add_section", "title": prose.text(4), "content": prose.text(SUMMARY_WORDS)}
        more = {"op": "append_text", "section": section, "text": prose.text(SUMMARY_WORDS)}
        wire.answer("update_report", {"report": report, "changes": [new, more], "reason": reason})
    late = change | {"summary": prose.text(SUMMARY_WORDS)}
    call = {"report": report, "changes": [late], "reason": reason, "expected_version": seen["version"]}
    return wire.answer("update_report", call)


def _creation(prose: Prose) -> dict[str, Any]:
    citation = {"url": "https://example.com/status", "title": prose.text(4)}
    insight = {"summary": prose.text(SUMMARY_WORDS), "importance": 8, "citations": [citation]}
    section = {"title": prose.text(4), "content": prose.text(100), "insights": [insight]}
    return {"title": prose.text(5), "sections": [section], "tags": ["weekly"], "reason": "First look"}


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _row(what: str, value: Any, limit: int) -> Row:
    return Row(what, [_bytes(value)], unit="bytes", bound=at_most(limit, "value"))
