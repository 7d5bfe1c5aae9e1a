"""Show the library's answers to a person.

Rules: an answer is shown without additions; ids are cut to a length that a person types; where something was
cut, the option that continues is named.

    >>> updated(Terminal(sys.stdout), {"title": "Health", "version": 4, "applied": 1, …})
    Health is now at version 4: 1 change
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from living_reports.cli.page import show_markdown
from living_reports.cli.terminal import Terminal, cells, clean, cut, one_line, pad
from living_reports.printable import escape

Answer = dict[str, Any]
SHORT_ID = 8
MOST_CHANGED = 12
MOST_NAME_CELLS = 40
READY_CALLS = ("retry_with", "keep_both")
"""The fields of an error that are calls ready to send."""


def short_time(stamp: str) -> str:
    """Return an ISO timestamp to the second, in UTC: `2026-11-23 10:00:00`."""
    return stamp[:19].replace("T", " ")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 change`, `2 changes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# --- Writing ------------------------------------------------------------------------------


def created(terminal: Terminal, answer: Answer) -> None:
    """Show the answer of `create_report`, with the ids of new items and what was inherited."""
    title = terminal.style(clean(answer["title"]), "bold")
    if answer.get("dry_run"):
        terminal.line(f"{title}: a dry run; nothing was written")
    else:
        terminal.line(terminal.style("Created ", "green") + title)
        terminal.fields([("report", answer["report_id"]), ("version", str(answer["version"]))])
    if inherited := answer.get("inherited"):
        sources = ", ".join(one_line(source["title"]) for source in inherited["from"])
        kinds = [counted(inherited.get(f"{kind}s", 0), kind) for kind in ("section", "insight")]
        kinds += [f"tags {one_line(', '.join(inherited['tags']))}"] if "tags" in inherited else []
        terminal.line(f"  from {sources}: {', '.join(kinds)}", "dim")
    _new_items(terminal, answer.get("created", {}))
    warnings(terminal, answer)


def updated(terminal: Terminal, answer: Answer) -> None:
    """Show the answer of `update_report` or `revert_report`."""
    title = terminal.style(one_line(answer["title"]), "bold")
    changes = counted(answer.get("applied", len(answer.get("changed", []))), "change")
    if answer.get("dry_run"):
        terminal.line(f"{title}: a dry run of {changes}; nothing was written")
    elif answer.get("applied") == 0:
        terminal.line(f"{title} stays at version {answer['version']}: it already is as asked")
    else:
        terminal.line(f"{title} is now at version {answer['version']}: {changes}")
    if replaced := answer.get("replaced"):
        terminal.line(f"  replaced in {counted(replaced, 'place')}", "dim")
    if versions := answer.get("rebased_over"):
        terminal.line(f"  merged with {_versions(versions)}", "dim")
        for row in answer.get("merged", []):
            _merged(terminal, row)
    if kept := answer.get("kept"):
        terminal.line(f"  kept what came later: {_versions(kept)}", "dim")
    changed(terminal, answer.get("changed", []))
    _new_items(terminal, answer.get("created", {}))
    warnings(terminal, answer)


def _versions(versions: Sequence[int]) -> str:
    if len(versions) == 1:
        return f"version {versions[0]}"
    return f"{len(versions)} versions, {versions[0]} to {versions[-1]}"


def _merged(terminal: Terminal, row: Mapping[str, Any]) -> None:
    """Show a version that a change was merged with: its author, its reason, and what it changed."""
    terminal.paragraph(by_line(row), "dim", first="    ")
    changed(terminal, row.get("changed", []), indent=6)
    if hidden := row.get("changed_more"):
        terminal.line(f"      … and {hidden} more", "dim")


def deleted(terminal: Terminal, answer: Answer) -> None:
    """Show the place of a report in the trash."""
    terminal.line(f"{terminal.style(one_line(answer['title']), 'bold')} is in the trash")
    terminal.fields([("path", answer["path"]), ("back", f"living-reports restore {answer['report_id']}")])


def restored(terminal: Terminal, answer: Answer) -> None:
    """Show a restored report."""
    title = terminal.style(one_line(answer["title"]), "bold")
    terminal.line(f"{title} is back, at version {answer['version']}")
    terminal.fields([("report", answer["report_id"])])
    warnings(terminal, answer)


def changed(terminal: Terminal, rows: Sequence[Mapping[str, Any]], indent: int = 2) -> None:
    """Show the edits of a version: `~ Errors: title  Old → New`, or the two sides below if they are long."""
    places = [_place(row) for row in rows[:MOST_CHANGED]]
    wide = max(map(cells, places), default=0)
    for row, place in zip(rows, places, strict=False):
        mark, style = mark_of(row)
        head = f"{' ' * indent}{mark} {pad(place, wide)}  "
        room = max(terminal.width - len(head), 20)
        text = sides_of(row) if sides_of(row) != row.get("item") else ""
        if cells(text) > room and {"old", "new"} <= row.keys():
            terminal.line(head.rstrip(), style)
            two_sides(terminal, value(row["old"]), value(row["new"]), indent + 2)
        else:
            terminal.line(terminal.style(head, style) + cut(text, room))
    if len(rows) > MOST_CHANGED:
        terminal.line(f"{' ' * indent}… and {len(rows) - MOST_CHANGED} more", "dim")


def two_sides(terminal: Terminal, old: str, new: str, indent: int) -> None:
    """Show what was there and what is there now below each other; an empty side is left out."""
    for sign, text, colour in (("-", old, "red"), ("+", new, "green")):
        if text:
            first = f"{' ' * indent}{sign} "
            terminal.paragraph(text.rstrip("\n"), colour, first=first, rest=first)


def sides_of(row: Mapping[str, Any]) -> str:
    """Return both sides of an edit on one line."""
    if "added" in row or "removed" in row:
        both = "added" in row and "removed" in row
        signs = (("+ ", "added"), ("- ", "removed"))
        return "  ".join(f"{sign if both else ''}{listed(row[side])}" for sign, side in signs if side in row)
    return " → ".join(value(row[side]) for side in ("old", "new") if side in row)


def _place(row: Mapping[str, Any]) -> str:
    """Return the place of an edit: a field with the name of its item, an item, or a field of the report."""
    if "item" not in row:
        return clean(row["at"]) or "the report"
    kind, _, rest = str(row["at"]).partition("/")
    field = clean(rest.partition("/")[2])
    name = cut(one_line(row["item"]), MOST_NAME_CELLS)
    return f"{name}: {field}" if field else f"{kind.removesuffix('s')} {name}"


def mark_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the sign of an edit and its colour: added, changed or removed."""
    came, went = not row.keys().isdisjoint(("new", "added")), not row.keys().isdisjoint(("old", "removed"))
    if came and went:
        return "~", "yellow"
    return ("+", "green") if came else ("-", "red")


def listed(values: Sequence[Any]) -> str:
    """Return the values that a list got or lost on one line."""
    return ", ".join(map(value, values))


def value(data: Any) -> str:
    """Return a value on one line: text as it is, an item by its title or summary, else JSON."""
    if isinstance(data, str):
        return one_line(data)
    if isinstance(data, dict) and (name := data.get("title") or data.get("summary")):
        return one_line(str(name))
    return one_line(json.dumps(data, ensure_ascii=False))


def _new_items(terminal: Terminal, items: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
    rows = [["section", item["section_id"][:SHORT_ID], item["title"]] for item in items.get("sections", [])]
    rows += [
        ["insight", item["insight_id"][:SHORT_ID], f"{item['summary']}, in {item['section_title']}"]
        for item in items.get("insights", [])
    ]
    if rows:
        terminal.table(rows, styles=["dim", "cyan", ""])


def warnings(terminal: Terminal, answer: Answer) -> None:
    """Show the warnings of an answer."""
    for warning in answer.get("warnings", []):
        text = warning if isinstance(warning, str) else value(warning)
        terminal.paragraph(text, "yellow", first="warning: ")


# --- Reading ------------------------------------------------------------------------------


def reports(terminal: Terminal, answer: Answer) -> None:
    """Show the list of reports, one a line."""
    rows = [_report_row(entry) for entry in answer["reports"]]
    if not rows:
        terminal.line("No report matches.")
    elif any(entry.get("matches") for entry in answer["reports"]):
        _matches(terminal, answer["reports"])
    else:
        heads = ["ID", "VERSION", "STATUS", "UPDATED (UTC)", "TITLE"]
        terminal.table(rows, heads, ["cyan", "", "dim", "dim", "bold"], indent=0, right=[1])
    if rows and answer.get("total", len(rows)) > len(rows):
        terminal.line(f"{len(rows)} of {answer['total']} reports", "dim")
    warnings(terminal, answer)
    more(terminal, answer)


def _matches(terminal: Terminal, entries: Sequence[Mapping[str, Any]]) -> None:
    """Show each report with the items that match."""
    for entry in entries:
        report_id, version, _, _, title = _report_row(entry)
        head = terminal.style(report_id, "cyan") + f"  v{version}  "
        terminal.line(head + terminal.style(one_line(title), "bold"))
        rows = [_match_row(match) for match in entry.get("matches", [])]
        if rows:
            terminal.table(rows, styles=["dim"])


def _match_row(match: Mapping[str, str]) -> list[str]:
    item_id = match.get("insight_id") or match.get("section_id", "")
    title = match.get("section_title", "")
    snippet = match.get("snippet", "").removeprefix(title).lstrip()
    return [item_id[:SHORT_ID], cut(title, MOST_NAME_CELLS), snippet]


def _report_row(entry: Mapping[str, Any]) -> list[str]:
    tags = "".join(f" #{tag}" for tag in entry.get("tags", []))
    updated_at = short_time(entry["updated_at"])[:16]
    return [
        entry["report_id"][:SHORT_ID],
        str(entry.get("version", "?")),  # a damaged report may not know it
        entry.get("status", "active"),
        updated_at,
        entry["title"] + tags,
    ]


def events(terminal: Terminal, answer: Answer) -> None:
    """Show the audit trail, newest first."""
    rows = answer["events"]
    if last := answer.get("last_change"):
        terminal.line(terminal.style("last changed ", "dim") + by_line(last))
    if not rows:
        terminal.line("No event matches.")
    names = [_name(row) for row in rows]
    wide = min(max(map(cells, names), default=0), MOST_NAME_CELLS)
    for row, name in zip(rows, names, strict=True):
        version = terminal.style(_version(row).ljust(5), "bold")
        when = terminal.style(short_time(row["ts"]), "dim")
        action = terminal.style(row["action_type"], "cyan")
        terminal.line(f"{version} {when}  {pad(cut(clean(name), wide), wide)}  {action}")
        if row.get("reason"):
            terminal.paragraph(row["reason"], first="      ")
        if row.get("imported"):
            terminal.paragraph(_imported(row), "dim", first="      ")
        changed(terminal, row.get("changed", []), indent=6)
        if hidden := row.get("changed_more"):
            terminal.line(f"      … and {hidden} more", "dim")
    more(terminal, answer)


def by_line(row: Mapping[str, Any]) -> str:
    """Return author, time and reason on one line: `v3 2026-11-23 10:00:00 cli ann: New figures`."""
    who = " ".join(filter(None, [_version(row), short_time(row.get("ts", "")), _name(row)]))
    who += f" ({_imported(row)})" if row.get("imported") else ""
    return one_line(f"{who}: {row['reason']}" if row.get("reason") else who)


def _name(row: Mapping[str, Any]) -> str:
    """Return actor, client and user; of an imported version, the author of its commit."""
    client, user = row.get("client", ""), row.get("user", "")
    name = f"{client} ({user})" if user != client and client and user else client or user
    return f"{row.get('actor', '')} {name}".strip()


def _imported(row: Mapping[str, Any]) -> str:
    """Return the commit of an imported version, and who imported it when; or the file that it came from."""
    imported = row["imported"]
    if "file" in imported:
        return f"imported from {imported['file']}"
    return f"imported by {_name(imported)} on {imported['ts'][:10]} from commit {imported['commit']}"


def _version(row: Mapping[str, Any]) -> str:
    """Return the version after an event; events of other programs may have none."""
    return f"v{row['version']}" if "version" in row else "-"


def verified(terminal: Terminal, answer: Answer) -> None:
    """Show the result of a verification."""
    result = answer["verified"]
    number = counted(result["events"], "event")
    if result["ok"]:
        terminal.line(terminal.style("ok", "green", "bold") + f"  {number}, every one in its place")
    else:
        found = counted(len(result["findings"]), "finding")
        terminal.line(terminal.style("not ok", "red", "bold") + f"  {found} in {number}")
    terminal.fields([("report", answer["report_id"]), ("head", result["head_sha256"])])
    for finding in result["findings"]:
        place = f"line {finding['line']}  " if finding.get("line") else ""
        terminal.line("  " + terminal.style(place, "bold") + terminal.style(finding["code"], "red"))
        terminal.paragraph(finding["message"], first="    ")


def report(terminal: Terminal, answer: Answer) -> None:
    """Show a report in any view; the markdown view as a page."""
    if (text := answer.get("text")) is not None:
        show_markdown(terminal, text)
    else:
        _heading(terminal, answer)
        _items(terminal, answer)
    warnings(terminal, answer)
    more(terminal, answer)


def _heading(terminal: Terminal, answer: Answer) -> None:
    terminal.line(clean(answer["title"]), "bold")
    rows = [("report", answer["report_id"]), ("version", f"{answer['version']}, {answer['status']}")]
    rows.append(("updated", short_time(answer["updated_at"])))
    if answer.get("tags"):
        rows.append(("tags", ", ".join(answer["tags"])))
    terminal.fields(rows)


HEADING_FIELDS = {"report_id", "title", "version", "status", "updated_at", "tags", "next_cursor", "warnings"}


def _items(terminal: Terminal, answer: Answer) -> None:
    for name, data in answer.items():
        if name in HEADING_FIELDS:
            continue
        terminal.heading(name.replace("_", " "))
        tree(terminal, data, 2)


def tree(terminal: Terminal, data: Any, indent: int) -> None:
    """Show any JSON data, indented, with dim names and wrapped text."""
    if isinstance(data, dict):
        plain = [(name, item) for name, item in data.items() if not isinstance(item, dict | list)]
        terminal.fields([(name, _scalar(item)) for name, item in plain], indent)
        for name, item in data.items():
            if isinstance(item, dict | list) and item:
                terminal.line(" " * indent + clean(name), "dim")
                tree(terminal, item, indent + 2)
    elif isinstance(data, list) and _are_rows(data, terminal.width - indent):
        names = list(dict.fromkeys(name for row in data for name in row))
        heads = [name.replace("_", " ").upper() for name in names]
        terminal.table([[_scalar(row.get(name, "")) for name in names] for row in data], heads, indent=indent)
    elif isinstance(data, list):
        for number, item in enumerate(data):
            if isinstance(item, dict) and number:
                terminal.line()
            tree(terminal, item, indent)
    else:
        terminal.paragraph(_scalar(data), first=" " * indent)


def _are_rows(data: Sequence[Any], width: int) -> bool:
    """Return True if these are flat objects that fit into a table uncut."""
    if not data or not all(isinstance(row, dict) for row in data):
        return False
    columns: dict[str, int] = {}
    for row in data:
        for name, item in row.items():
            if isinstance(item, dict | list) or "\n" in (text := _scalar(item)):
                return False
            columns[name] = max(columns.get(name, cells(name)), cells(text))
    return sum(columns.values()) + 2 * len(columns) <= width


def _scalar(data: Any) -> str:
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


def more(terminal: Terminal, answer: Answer) -> None:
    """Show that an answer was cut, and the option that continues."""
    if cursor := answer.get("next_cursor"):
        terminal.line(f"There is more: --cursor {cursor}", "dim")


# --- Errors -------------------------------------------------------------------------------


def refusal(terminal: Terminal, error: Mapping[str, Any]) -> None:
    """Show an error: the message, the hint, and the details."""
    terminal.line(terminal.style(f"{error['code']}: ", "red", "bold") + escape(error["message"]))
    if error.get("hint"):
        terminal.paragraph(escape(error["hint"]), first="  ")
    if calls := [name for name in READY_CALLS if name in error]:
        verb = "is" if len(calls) == 1 else "are"
        terminal.line(f"  {' and '.join(calls)} {verb} in the answer that --json shows", "dim")
    for name, data in error.items():
        if name in ("code", "message", "hint", "retry", *READY_CALLS) or data in ("", [], {}):
            continue
        if name == "conflicts":
            _conflicts(terminal, data)
            continue
        if isinstance(data, list) and data and isinstance(data[0], dict):
            terminal.line(f"  {name.replace('_', ' ')}", "dim")
            _candidates(terminal, data)
        else:
            text = ", ".join(map(_scalar, data)) if isinstance(data, list) else _scalar(data)
            terminal.fields([(name.replace("_", " "), text)])


def _conflicts(terminal: Terminal, conflicts: Sequence[Mapping[str, Any]]) -> None:
    """Show the conflicting places: the value before, now, and as the command would have it."""
    for conflict in conflicts:
        place = [str(conflict[name]) for name in ("item", "at") if name in conflict]
        terminal.line("  " + terminal.style("  ".join(map(one_line, place)), "bold"))
        if by := conflict.get("by"):
            terminal.paragraph(by_line(by), "dim", first="    ")
        names = [name for name in ("base", "current", "yours") if name in conflict]
        terminal.fields([(name, _text(conflict[name])) for name in names], indent=4)


def _text(data: Any) -> str:
    return data if isinstance(data, str) else value(data)


def _candidates(terminal: Terminal, rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    terminal.table([[value(row.get(name, "")) for name in names] for row in rows], indent=4)
