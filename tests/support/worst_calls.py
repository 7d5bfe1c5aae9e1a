"""Every use of a library with a text on which parsers take longest, and the processor time of each."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from living_reports.cli.page import show_markdown
from living_reports.cli.terminal import Terminal
from living_reports.errors import ReportError
from living_reports.install import jsonc
from living_reports.interchange.headings import read_document
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport,
    CheckReport,
    CreateReport,
    DiffReport,
    GetReport,
    ListReports,
    RenderReport,
    RevertReport,
    UpdateReport,
)
from living_reports.model.event import Author
from support.worst_inputs import budget, scans

ANN = Author("cli", "ann")

UNITS = {
    "emoji": "\U0001f600",
    "family": "\U0001f468\u200d",
    "combining": "e\u0301\u0327",
    "marks": "\u0301\u0327",
    "ideographs": "中",
    "words": "a ",
    "word": "a",
    "digits": "1",
    "numbers": "1.1,",
    "blanks": " ",
    "lines": "a\n",
    "empty lines": "\n",
    "carriage returns": "a\r",
    "hard breaks": "a  \n",
    "tabs": "\t",
    "headings": "# a\n",
    "section headings": "## a\n\n",
    "underlined": "a\n=\n",
    "rules": "-\n",
    "hashes": "#",
    "heading with blanks": "## a" + " " * 500 + "b\n",
    "closed heading": "## a ##" + " " * 500 + "b\n",
    "brackets": "[",
    "pairs": "[]",
    "images": "![",
    "links": "[a](",
    "links in links": "[a[b](c",
    "images in links": "[![",
    "definitions": "[a]: b\n",
    "references": "[a][",
    "backticks": "`",
    "unequal backticks": "`a``b```c",
    "asterisks": "*",
    "emphasis": "*a",
    "mixed emphasis": "**a *b_ ",
    "underscores": "_a",
    "strikethrough": "~~a",
    "less": "<",
    "comments": "<!--",
    "inline comments": "b <!-- ",
    "instructions": "b <? ",
    "character data": "b <![CDATA[ ",
    "tags": "<b>",
    "divisions": "<div>\n",
    "attributes": "<a b='",
    "open attributes": "<a x ",
    "end tags": "</",
    "scripts": "<script>",
    "styles": "<b style='text-align:left" + " " * 500 + "x'>",
    "ampersands": "&",
    "entities": "&amp;",
    "quotes": ">",
    "quoted lines": "> a\n",
    "nested quotes": "> > ",
    "nested lists": "- ",
    "items": "- a\n",
    "numbered": "1. a\n",
    "indented items": "* a\n ",
    "pipes": "|",
    "table": "|a|b|\n|-|-|\n",
    "rows": "|a|b|\n",
    "ruler": "|-",
    "fences": "```\n",
    "other fences": "~~~a\n",
    "backslashes": "\\",
    "parentheses": "(",
    "addresses": "http://a.",
    "angle addresses": "<http://a",
    "mail": "<a@",
    "text quotes": '"',
    "escaped quotes": '\\"',
    "braces": "{",
    "json": '{"a":',
    "json commas": "[1,]",
    "code comments": "/*",
    "front matter": "a: b\r\n",
    "citations": "[1]",
    "controls": "\x1b",
    "private": "\ue000",
}
"""What worst texts are made of."""

STARTS = {"inline comments": "a ", "front matter": "---\n", "escaped quotes": '"', "ruler": "|" * 200 + "\n"}
"""The beginning of a text, where it needs one."""


def worst_text(name: str, size_bytes: int) -> str:
    """Return a text of this kind and about this size."""
    start, unit = STARTS.get(name, ""), UNITS[name]
    return start + unit * ((size_bytes - len(start)) // len(unit.encode()))


Call = Callable[[], object]


def calls(library: Library, text: str) -> Iterator[tuple[str, Call]]:
    """Yield the name of each tool, and a call of it with the text; a later call may need an earlier one."""
    part, middle = text[: len(text) // 3], len(text) // 2
    piece = text[middle : middle + 100]
    sections = [
        {"title": "markdown", "content": text},
        {"title": "html", "content": text, "content_format": "html"},
        {"title": "plain", "content": text, "content_format": "plain"},
    ]

    def update(*changes: dict[str, object], seen: int = 0, dry: bool = False) -> Call:
        request = UpdateReport("Worst", list(changes), expected_version=seen, dry_run=dry)
        return lambda: library.update_report(request, author=ANN)

    yield "create_report", lambda: library.create_report(CreateReport("Worst", sections), author=ANN)
    insight: dict[str, object] = {"op": "add_insight", "section": "markdown", "summary": f"a {text}"}
    yield "update_report", update({**insight, "citations": [{"url": f"http://{text}"}, {"path": text}]})
    yield "update_report", update(insight)
    yield "update_report", update({**insight, "citations": [{"url": f"http://{text[:1000]}"}]})
    yield (
        "update_report",
        update({"op": "add_section", "title": f"w {text[:400]}", "position": f"after:{part}"}),
    )
    edit: dict[str, object] = {"op": "edit_section", "section": "html"}
    yield "update_report", update({"op": "append_text", "section": "plain", "text": part[:-2]})
    yield "update_report", update({**edit, "content": f"b{part}c{part[1:]}d{part}"})
    yield "update_report", update({"op": "edit_text", "section": "plain", "find": piece, "replace": "x"})
    yield "update_report", update({"op": "edit_text", "section": "html", "find": f"{piece}!", "replace": "x"})
    everywhere: dict[str, object] = {
        "op": "edit_text",
        "section": "html",
        "find": piece,
        "replace": "x",
        "all": True,
    }
    yield "update_report", update(everywhere, dry=True)
    in_all: dict[str, object] = {"op": "edit_text", "replace": "x", "all": True}
    yield "update_report", update({**in_all, "find": piece}, dry=True)
    yield "update_report", update({**in_all, "find": f"{piece}!"}, dry=True)
    yield "update_report", update({**edit, "content": f"c{part}b{part[1:]}e{part}"}, seen=1)
    yield "update_report", update({**edit, "notes": part}, {"op": "remove_section", "section": text[:500]})
    yield "update_report", update({"op": "set_title", "title": "Worst" + text[:200]}, dry=True)
    for view in ("summary", "sections", "insights", "full", "markdown"):
        yield "get_report", lambda view=view: library.get_report(GetReport("Worst", view=view))  # type: ignore[misc]
    for find in (f"{piece}!", f"{text[:-1]}!"):
        yield "get_report", lambda find=find: library.get_report(GetReport("Worst", find=find))  # type: ignore[misc]
    yield "get_report", lambda: library.get_report(GetReport("Worst", sections=[f"{text[:500]}!"]))
    yield "get_report", lambda: library.get_report(GetReport("Worst", insights=[f"{text[:5000]}!"]))
    yield "get_report", lambda: library.get_report(GetReport(f"{text[:-1]}!"))
    joined = "*".join(text[:10].split() or "a") + "*"
    queries = (text[:10], text[:20] + " z", f'"{text[:3000]}!"', text[:4000], f"{text[:400]}* OR a")
    for query in (*queries, "a " + joined * (3_900 // len(joined)), f"{text[:10]} OR " * 190 + "a"):
        yield "list_reports", lambda query=query: library.list_reports(ListReports(query=query))  # type: ignore[misc]
    yield "list_reports", lambda: library.list_reports(ListReports(cites=text[:2000], tags=[text[:100]]))
    yield "diff_report", lambda: library.diff_report(DiffReport("Worst", since=1))
    yield "diff_report", lambda: library.diff_report(DiffReport("Worst", since=1, format="text"))
    yield "check_report", lambda: library.check_report(CheckReport("Worst"))
    for name in ("markdown", "html"):
        request = RenderReport("Worst", format=name, to_file=True)
        yield "render_report", lambda request=request: library.render_report(request)  # type: ignore[misc]
    yield "audit_report", lambda: library.audit_report(AuditReport("Worst", text=piece, verify=True))
    yield "audit_report", lambda: library.audit_report(AuditReport("Worst", item=text, actor=piece))
    yield "revert_report", lambda: library.revert_report(RevertReport("Worst", undo=3), author=ANN)
    yield "revert_report", lambda: library.revert_report(RevertReport("Worst", to_version=1), author=ANN)
    yield "revert_report", lambda: library.revert_report(RevertReport("Worst", undo=text), author=ANN)
    yield "import", lambda: read_document(text, "worst")
    yield "show", lambda: show_markdown(_Tty(), text)
    yield "install", lambda: jsonc.put(text, ["a", "b"], 1, comments=True)


class _Tty(Terminal):
    """A terminal that prints nothing."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.is_tty = True


def costs(root: Path, text: str, size: int, most: float) -> Iterator[tuple[str, float]]:
    """Yield the tool and the processor time of each call, in plain scans; stop one that takes too many.

    Raises:
        OverBudgetError: A call took more than `most` plain scans of such a text.
    """
    library = Library(root)
    for tool, call in calls(library, text):

        def tried(call: Call = call) -> None:
            with suppress(ReportError, ValueError), budget(most, size):
                call()

        yield tool, scans(tried, size)
