"""Requirements of the fuzz tests: clear answers, and a root that no refusal changed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from living_reports import errors
from living_reports.library import Library
from living_reports.library.requests import CreateReport, ListReports
from living_reports.model.event import Author
from support.wire import Wire, start_server

Answer = dict[str, Any]

SECRET = "quetzal"
"""A word of a report that no call of the tests may read."""

LEAKS = ("Traceback", 'File "', ".py", "site-packages", "pydantic", "Errno", "object at 0x", SECRET)
"""Texts that no refusal may show: a stack trace, a path, internals of Python, words of another report."""

PATIENCE_SECONDS = 60.0


def known_errors() -> dict[str, type[errors.ReportError]]:
    """Return every error code that a caller may get, with its class."""
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    reports = [each for each in classes if issubclass(each, errors.ReportError)]
    return {each.code: each for each in reports if each.code != "internal"}


KNOWN_ERRORS = known_errors()

PROMISED_FIELDS: dict[str, tuple[str, ...]] = {
    "invalid_input": ("path",),
    "too_large": ("limit",),
    "ambiguous_selector": ("candidates",),
    "item_not_found": ("path",),
    "version_conflict": ("expected_version", "current_version"),
    "lock_timeout": ("waited_seconds",),
    "corrupt_report": ("damaged",),
    "storage_failed": ("happened",),
}


class Reports:
    """A root with an open report and a secret one, and all its files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        library = Library(root)
        ann = Author("cli", "ann")
        insight = {"summary": "Errors rose", "importance": 8, "citations": [{"url": "https://e.org"}]}
        errors_section = {"title": "Errors", "content": "12 % fail.\n\nMost at night.", "insights": [insight]}
        sections = [errors_section, {"title": "Outlook", "content": "Fair."}]
        self.open = library.create_report(CreateReport("Health", sections, tags=["ops"]), author=ann)
        secret = {"title": "Numbers", "content": f"the {SECRET} flies", "insights": [{"summary": SECRET}]}
        self.secret = library.create_report(CreateReport("Ledger", [secret]), author=ann)
        library.list_reports(ListReports())  # the first look after a start may note that it has looked
        self._seen: dict[str, tuple[tuple[int, ...], bytes]] = {}

    @property
    def ids(self) -> list[str]:
        """The ids of all reports, sections and insights."""
        return [value for made in (self.open, self.secret) for value in _ids(made)]

    def files(self) -> dict[str, bytes]:
        """Return the bytes of every file, except the search index, which a query updates.

        One that `stat` says is as before is not read again.
        """
        paths = [
            os.path.join(folder, name)
            for folder, _, names in os.walk(self.root)
            for name in names
            if not name.startswith(".search.")
        ]
        self._seen = {path: self._read(path) for path in paths}
        return {path: data for path, (_, data) in self._seen.items()}

    def _read(self, path: str) -> tuple[tuple[int, ...], bytes]:
        stat = os.stat(path)
        stamp = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
        seen = self._seen.get(path)
        return seen if seen is not None and seen[0] == stamp else (stamp, Path(path).read_bytes())


def _ids(made: Answer) -> Iterator[str]:
    yield made["report_id"]
    for rows in made["created"].values():
        for row in rows:
            yield from (value for name, value in row.items() if name.endswith("_id"))


@contextmanager
def fuzz_server(root: Path, era: str = "legacy") -> Iterator[tuple[Wire, Reports]]:
    """Start a server over two reports. Its log is discarded: the tests check the answers only."""
    reports = Reports(root)
    with start_server(root, stderr=subprocess.DEVNULL, initialized=era == "legacy") as wire:
        yield wire, reports


def receive(wire: Wire) -> Answer:
    """Return the next message; fail if it takes too long."""
    line = wire.line(PATIENCE_SECONDS)
    assert line.endswith(b"\n"), "the server does not answer" if wire.process.poll() is None else "it is gone"
    message: Answer = json.loads(line)
    return message


def check_answer(message: Answer, root: Path) -> tuple[bool, Answer]:
    """Check an answer, and return whether the call was refused, and the answer or the error."""
    if "error" in message:  # of the protocol, before any tool was called
        _require_clear(json.dumps(message["error"], ensure_ascii=False), message["error"]["message"], root)
        return True, message["error"]
    result = message["result"]
    [content] = result["content"]
    assert content["type"] == "text"
    parsed: Answer = json.loads(content["text"])
    assert content["text"] == json.dumps(parsed, ensure_ascii=False, separators=(",", ":"))
    if not result["isError"]:
        assert result["structuredContent"] == parsed
        assert len(content["text"]) < 30_000
        return False, parsed
    assert "structuredContent" not in result
    assert parsed.keys() == {"error"}
    _require_promised(parsed["error"])
    _require_clear(content["text"], parsed["error"]["message"], root)
    return True, parsed["error"]


def _require_promised(error: Answer) -> None:
    code = error["code"]
    assert code in KNOWN_ERRORS, error
    assert error["retry"] == KNOWN_ERRORS[code].retry
    assert error["hint"], error
    for name in PROMISED_FIELDS.get(code, ()):
        assert name in error, error
    if "path" in error:
        assert isinstance(error["path"], str)
        assert error["path"]


def _require_clear(text: str, message: str, root: Path) -> None:
    assert message.strip()
    assert len(text) < 8_000, text[:500]
    assert str(root) not in text
    for leak in LEAKS:
        assert leak not in text, text


def exchange(wire: Wire, message: Answer) -> Answer:
    """Send a request and return the answer. No other request may be under way."""
    wire.send(message)
    return receive(wire)
