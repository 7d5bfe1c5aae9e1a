"""Show differences, findings and pages to a person.

Rules:

- Changes are grouped by section or insight, and within it by author, time and reason.
- A unified diff is coloured on a terminal; piped, it is exactly the text of the answer.
- A finding is shown with its hint.

    >>> difference(Terminal(sys.stdout), {"title": "Health", "from_version": 2, "to_version": 3, …})
    Health: version 2 → 3
    <BLANKLINE>
    Errors  sections/5f9dabcd
      v3 2026-11-23 10:00:00 cli ann: New figures
        ~ content  12 % fail. → 15 % fail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from living_reports.cli.page import show_markdown
from living_reports.cli.show import (
    Answer,
    by_line,
    counted,
    listed,
    mark_of,
    more,
    sides_of,
    two_sides,
    value,
    warnings,
)
from living_reports.cli.terminal import Terminal, cells, clean, one_line, size
from living_reports.model.fields import ITEMS

_LINE_STYLES = {"@": "cyan", "+": "green", "-": "red"}
_SEVERITY_STYLES = {"error": "red", "warning": "yellow", "info": "cyan"}

Json = Mapping[str, Any]


# --- Differences --------------------------------------------------------------------------


def difference(terminal: Terminal, answer: Answer) -> None:
    """Show the answer of `diff_report`, item by item or as a unified diff."""
    if (text := answer.get("text")) is not None:
        _unified(terminal, text)
    else:
        title = terminal.style(one_line(answer["title"]), "bold")
        terminal.line(f"{title}: version {answer['from_version']} → {answer['to_version']}")
        _by_item(terminal, answer["changed"])
    warnings(terminal, answer)
    more(terminal, answer)


def _unified(terminal: Terminal, text: str) -> None:
    if not terminal.is_tty:
        terminal.stream.write(text)
        return
    for line in clean(text).splitlines():
        terminal.line(line, *([_LINE_STYLES[line[0]]] if line[:1] in _LINE_STYLES else []))


def _by_item(terminal: Terminal, rows: Sequence[Json]) -> None:
    if not rows:
        terminal.line("Nothing differs.")
    for item, group in groupby(rows, key=lambda row: _item_of(row["at"])):
        item_rows = list(group)
        terminal.line()
        terminal.line(_item_head(terminal, item, item_rows[0].get("item", "")))
        for (by, earlier), edits in groupby(item_rows, key=_authors):
            for author in by:
                terminal.paragraph(by_line(author), "dim", first="  ")
            if earlier:
                terminal.line(f"  … and {counted(earlier, 'earlier version')}", "dim")
            for row in edits:
                _edit(terminal, row, row["at"].removeprefix(item).removeprefix("/"))


def _authors(row: Json) -> tuple[list[Json], int]:
    """Return the authors of a change, and the number of earlier ones that are not named."""
    by = row.get("by", [])
    return (by if isinstance(by, list) else [by]), row.get("by_more", 0)


def _item_of(at: str) -> str:
    """Return the address of the section or insight that an address lies in; empty for the report itself."""
    kind, _, rest = at.partition("/")
    return f"{kind}/{rest.partition('/')[0]}" if kind in ITEMS and rest else ""


def _item_head(terminal: Terminal, item: str, name: str) -> str:
    if not item:
        return terminal.style("The report", "bold")
    return "  ".join(filter(None, [terminal.style(one_line(name), "bold"), terminal.style(item, "dim")]))


def _edit(terminal: Terminal, row: Json, field: str) -> None:
    mark, style = mark_of(row)
    if not field and not {"old", "new"} <= row.keys():  # the item as a whole
        terminal.line(f"    {mark} {'added' if mark == '+' else 'removed'}", style)
        return
    head = f"    {mark} {clean(field) or 'moved'}"
    old, new = (_side(row[side]) if side in row else "" for side in ("old", "new"))
    line = sides_of(row)
    if "\n" not in old + new and cells(head) + 2 + cells(line) <= terminal.width:
        terminal.line(f"{terminal.style(head, style)}  {line}")
        return
    if "old" not in row and "new" not in row:
        old, new = (listed(row.get(side, ())) for side in ("removed", "added"))
    terminal.line(head, style)
    two_sides(terminal, old, new, indent=6)


def _side(data: Any) -> str:
    return clean(data).rstrip("\n") if isinstance(data, str) else value(data)


# --- Findings ----------------------------------------------------------------------------


def findings(terminal: Terminal, answer: Answer) -> None:
    """Show the findings of `check_report`, the worst first, each with its hint."""
    rows = answer["findings"]
    title = terminal.style(one_line(answer["title"]), "bold")
    verdict = (
        terminal.style("ok", "green", "bold") if answer["ok"] else terminal.style("not ok", "red", "bold")
    )
    terminal.line(f"{verdict}  {title}, version {answer['version']}: {_counts(rows)}")
    for row in rows:
        severity = terminal.style(row["severity"], _SEVERITY_STYLES[row["severity"]])
        terminal.line()
        terminal.line(f"{severity}  {terminal.style(row['code'], 'bold')}  {clean(row['at'])}")
        terminal.paragraph(one_line(row["item"]), "bold", first="  ")
        terminal.paragraph(row["message"], first="  ")
        if row.get("hint"):
            terminal.paragraph(row["hint"], "dim", first="  ")
    unchecked = answer.get("unchecked", [])
    if unchecked:
        terminal.line()
        terminal.line("Not looked at:", "bold")
    for row in unchecked:
        terminal.paragraph(f"{one_line(row['source'])}: {row['reason']}", first="  ")
    warnings(terminal, answer)
    more(terminal, answer)


def _counts(rows: Sequence[Json]) -> str:
    counts = Counter(row["severity"] for row in rows)
    words = {"error": "error", "warning": "warning", "info": "hint"}
    named = [counted(counts[severity], word) for severity, word in words.items() if counts[severity]]
    return ", ".join(named) or "nothing found"


# --- Pages --------------------------------------------------------------------------------


def page(terminal: Terminal, answer: Answer) -> None:
    """Show a page, or the place of its file."""
    if (text := answer.get("text")) is not None:
        show_markdown(terminal, text)
    else:
        title = terminal.style(one_line(answer["title"]), "bold")
        terminal.line(f"{title}, version {answer['version']}, as {answer['format']}")
        terminal.fields([("path", answer["path"]), ("size", size(answer["bytes"]))])
    warnings(terminal, answer)
