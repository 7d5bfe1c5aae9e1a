"""The commands that look back and go back: diff, check, render, revert, and what create and list take."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from command_line import answer, ok, refused, run
from living_reports.cli.show_history import difference
from living_reports.terminal import Terminal


class Screen(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "reports"


def update(root: Path, *changes: dict[str, Any], options: Sequence[str] = ()) -> dict[str, Any]:
    return answer(root, "update", "Health", "--changes", "-", *options, stdin=json.dumps(changes))


@pytest.fixture
def health(root: Path) -> str:
    """A report of three versions: made, figures changed, a section and a tag added."""
    insight = {"summary": "Errors rose", "importance": 8, "citations": [{"url": "https://example.org/errors"}]}
    sections = [{"title": "Errors", "content": "12 % fail.\n", "insights": [insight]}]
    data = {"title": "Health", "sections": sections}
    created = answer(root, "create", "--json-input", "-", stdin=json.dumps(data))
    edit = {"op": "edit_text", "section": "Errors", "find": "12 %", "replace": "15 %"}
    update(root, edit, options=["--reason", "May"])
    more = {"op": "add_section", "title": "Latency", "content": "Slow.\n"}
    update(root, more, {"op": "add_tags", "tags": ["shop"]}, options=["--reason", "June"])
    report_id: str = created["report_id"]
    return report_id


def short_id(root: Path, title: str) -> str:
    sections = answer(root, "get", "Health", "--view", "summary")["sections"]
    [section_id] = [section["section_id"] for section in sections if section["title"] == title]
    return str(section_id)


def without_times(text: str) -> list[str]:
    """The lines; of those with a time only what stands before and behind it."""
    lines = []
    for line in text.splitlines():
        words = line.split(" ")
        times = [n for n, word in enumerate(words) if len(word) == 10 and word.startswith("20")]
        lines.append(" ".join(words[: times[0]] + words[times[0] + 2 :]) if times else line)
    return lines


# --- diff ---------------------------------------------------------------------------------


def test_a_diff_goes_item_by_item_with_who_and_why(
    root: Path, health: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    update(root, {"op": "edit_section", "section": "Errors", "title": "Failures"})
    lines = without_times(ok(root, "diff", "Health", "--since", "1"))
    assert [line for line in lines if "cli ann" not in line and " v4 " not in line] == [
        "Health: version 1 → 4",
        "",
        "The report",
        lines[3],
        '    + metadata/tags  ["shop"]',
        "",
        f"Failures  sections/{short_id(root, 'Failures')}",
        lines[7],
        "    ~ content  12 % fail. → 15 % fail.",
        "    ~ title  Errors → Failures",
        "",
        f"Latency  sections/{short_id(root, 'Latency')}",
        lines[-2],
        "    + added",
    ]
    assert lines[3].startswith("  v3 cli ")
    assert lines[3].endswith(": June")
    assert lines[7].endswith(": May")
