"""What `render_report` answers: a page as text, or where its file is.

Rules:

- A text is a read: it writes nothing. A file is written with one event, which makes no version.
- HTML always goes into a file. Markdown does where that was asked for, or where the answer would
  be over 20,000 characters; such a file begins with front matter that says what it is.
- A page belongs to a version: it names it, and carries the sha256 of the event that made it. The
  same version rendered again replaces its file.
- A report that only another writer has written gets its first event of ours first, so that the
  version that the page names is one that can be read back.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from living_reports.library.answers import MAX_ANSWER_CHARS
from living_reports.library.catalogue import require_choice
from living_reports.library.requests import RenderReport
from living_reports.library.sources import Sources
from living_reports.library.writing import bare_event
from living_reports.model.event import AuditEvent, Author
from living_reports.model.report import Outline, sha256_hex
from living_reports.reading.paging import size
from living_reports.render.html import html
from living_reports.render.markdown import markdown
from living_reports.store.files import GlobalStorage, Say, State
from living_reports.store.files.pages import PAGES_FOLDER

FORMATS = ("markdown", "html")
_SUFFIXES = {"markdown": "md", "html": "html"}

Row = dict[str, Any]


def render_answer(
    storage: GlobalStorage,
    sources: Sources,
    state: State,
    request: RenderReport,
    author: Author,
    progress: Say | None,
) -> Row:
    """The page of a report that was just read, or where its file is.

    Raises:
        InvalidInputError: There is no such format.
        NoSuchVersionError: The report never had this version.
        CorruptReportError: The report is damaged; pages as text can be had all the same.
        StorageFailedError: The file could not be written; the error says whether it happened.
    """
    page_format = request.format or "markdown"
    require_choice("format", page_format, FORMATS)
    report_id, version = state.outline.report_id, request.version or state.version
    outline = storage.outline_at(report_id, version, state)
    if page_format == "markdown" and not request.to_file:
        answer = _answer(state, outline, page_format)
        answer["text"] = markdown(outline, datetime.now(UTC).date())
        if size(answer) <= MAX_ANSWER_CHARS:
            return answer
    if state.record is None and state.refusal is None:
        is_current = version == state.version
        state = storage.adopt(report_id, author)
        outline = state.outline if is_current else outline
    return _file_answer(storage, sources, state, outline, page_format, author, progress)


def _file_answer(
    storage: GlobalStorage,
    sources: Sources,
    state: State,
    outline: Outline,
    page_format: str,
    author: Author,
    say: Say | None,
) -> Row:
    page = _page(storage, sources, outline, page_format, say).encode()
    name = f"report-v{outline.outline_version}.{_SUFFIXES[page_format]}"
    path = storage.write_page(
        outline.report_id, name, page, _event(outline, page_format, name, page, author)
    ).absolute()
    return _answer(state, outline, page_format) | {
        "path": str(path),
        "bytes": len(page),
        "uri": path.as_uri(),
    }


def _page(
    storage: GlobalStorage, sources: Sources, outline: Outline, page_format: str, say: Say | None
) -> str:
    """The whole page, with the hash of the event that made its version."""
    today = datetime.now(UTC).date()
    record = storage.event_of(outline.report_id, outline.outline_version)
    head_sha256 = record.sha256 if record else ""
    if page_format == "html":
        return html(outline, today=today, head_sha256=head_sha256, images=sources.read_image, say=say)
    return markdown(outline, today, front_matter=True, head_sha256=head_sha256)


def _event(outline: Outline, page_format: str, name: str, page: bytes, author: Author) -> AuditEvent:
    event = bare_event("render", outline.report_id, "", author)
    rendered = {
        "format": page_format,
        "version": outline.outline_version,
        "file": f"{PAGES_FOLDER}/{name}",
        "sha256": sha256_hex(page),
    }
    return event.model_copy(update={"payload": event.payload | {"rendered": rendered}})


def _answer(state: State, outline: Outline, page_format: str) -> Row:
    answer: Row = {
        "report_id": outline.report_id,
        "title": outline.title,
        "format": page_format,
        "version": outline.outline_version,
    }
    return answer | ({"warnings": list(state.warnings)} if state.warnings else {})
