"""The use case `render_report`: a page as text, or the place of its file.

Rules:

- Text is a read: it writes nothing. A file is written with one event, which makes no version.
- HTML always goes into a file. Markdown does where `to_file` is stated, or where the answer would exceed
  20,000 characters; such a file begins with front matter that describes it.
- A page belongs to a version: it names the version and the sha256 of its event. Rendering the same
  version again replaces its file.
- A report that only another program has written is adopted before a file is written, so that the version
  named on the page can be read back.
"""

from __future__ import annotations

from typing import Any

from living_reports.library.answers import bare_event
from living_reports.library.context import Context, disk_errors
from living_reports.library.requests import RenderReport
from living_reports.model.event import AuditEvent, Author
from living_reports.model.report import Outline, sha256_hex
from living_reports.reading.paging import MAX_ANSWER_CHARS, size
from living_reports.reading.requests import require_choice
from living_reports.render.markdown import markdown
from living_reports.store.files import Say, State
from living_reports.store.files.pages import PAGES_FOLDER

FORMATS = ("markdown", "html")
_SUFFIXES = {"markdown": "md", "html": "html"}

Row = dict[str, Any]


@disk_errors("no")
def render_report(
    context: Context, request: RenderReport, author: Author, progress: Say | None = None
) -> Row:
    """Render a report as a page; return its text, or the place of its file.

    Args:
        context: The store.
        request: The report, the format and the version.
        author: The author of the event that records a file.
        progress: Called with what was done of the page.

    Raises:
        InvalidInputError: There is no such format.
        NoSuchVersionError: The report never had this version.
        CorruptReportError: The report is damaged; pages as text can be had all the same.
        StorageFailedError: The file could not be written; `happened` says whether it was.
        ReportError: The selector is wrong, or the report cannot be read.
    """
    storage, (_, state) = context.storage, context.read(request.report)
    page_format = request.format or "markdown"
    require_choice("format", page_format, FORMATS)
    report_id, version = state.outline.report_id, request.version or state.version
    outline = storage.outline_at(report_id, version, state)
    if page_format == "markdown" and not request.to_file:
        answer = _answer(state, outline, page_format)
        answer["text"] = markdown(outline, context.today())
        if size(answer) <= MAX_ANSWER_CHARS:
            return answer
    if state.record is None and state.refusal is None:
        is_current = version == state.version
        state = storage.adopt(report_id, author)
        outline = state.outline if is_current else outline
    page = _page(context, outline, page_format, progress).encode()
    name = f"report-v{outline.outline_version}.{_SUFFIXES[page_format]}"
    path = storage.write_page(
        outline.report_id, name, page, _event(outline, page_format, name, page, author)
    ).absolute()
    return _answer(state, outline, page_format) | {
        "path": str(path),
        "bytes": len(page),
        "uri": path.as_uri(),
    }


def _page(context: Context, outline: Outline, page_format: str, progress: Say | None) -> str:
    """Return the whole page, with the hash of the event that made its version."""
    today = context.today()
    record = context.storage.event_of(outline.report_id, outline.outline_version)
    head_sha256 = record.sha256 if record else ""
    if page_format == "html":
        from living_reports.render.html import html

        images = context.sources.read_image
        return html(outline, today=today, head_sha256=head_sha256, images=images, say=progress)
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
