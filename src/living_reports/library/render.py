"""The use case `render_report`: a page as text, or the place of its file.

Rules:

- Text is a read: it writes nothing. A file is a copy beside the report, and not part of its history: it is
  written without an event.
- A page in a text format is answered, unless `to_file` is stated or the answer would exceed 20,000
  characters. All other pages are written to files, and identify themselves.
- To add a format, see `living_reports.render`.
- A page belongs to a version: it names the version and the sha256 of its event. Rendering the same
  version again replaces its file.
- Images are read from the files of today, so the page of an older version shows none of them: a note stands
  in their place. A page without some of its images is written under another name than the complete one,
  which it therefore never replaces.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import unquote

from living_reports.library.context import Context
from living_reports.library.requests import RenderReport
from living_reports.model.report import Outline
from living_reports.reading.compact import MAX_ANSWER_CHARS, cut, size
from living_reports.reading.requests import require_choice
from living_reports.render import FORMATS, Format
from living_reports.render.page import Page
from living_reports.render.prose import local_images
from living_reports.store.base import Progress, Snapshot

Json = dict[str, Any]

_NAMED = 3
"""The number of images that a warning names."""


def render_report(context: Context, request: RenderReport, progress: Progress | None = None) -> Json:
    """Render a report as a page; return its text, or the place of its file.

    Args:
        context: The store.
        request: The report, the format and the version.
        progress: Called with what was done of the page.

    Raises:
        InvalidInputError: There is no such format.
        NoSuchVersionError: The report never had this version.
        CorruptReportError: The report is damaged; pages as text can be had all the same.
        StorageFailedError: The file could not be written.
        ReportError: The selector is wrong, or the report cannot be read.
    """
    store, (_, snapshot) = context.store, context.read(request.report)
    name = request.format or next(iter(FORMATS))
    require_choice("format", name, tuple(FORMATS))
    page_format = FORMATS[name]
    report_id, version = snapshot.outline.report_id, request.version or snapshot.version
    outline = store.outline_at(report_id, version, snapshot)
    is_current = version == snapshot.version
    images = context.sources.read_image if is_current else None
    page = Page(outline, context.today(), images=images, progress=progress)
    if page_format.is_text and not is_current and (changing := local_images(outline)):
        note = f"The image files may have changed since version {version}: {_named(changing)}."
        page = replace(page, note=note)
    if page_format.is_text and not request.to_file:
        text = page_format.render(page).decode()
        answer = _answer(snapshot, outline, page_format, _warnings(context, page))
        answer["text"] = text
        if size(answer) <= MAX_ANSWER_CHARS:
            return answer
    record = store.event(report_id, outline.outline_version)
    head_sha256 = record.sha256 if record else ""
    page = replace(page, outline=outline, head_sha256=head_sha256, as_file=True)
    data = page_format.render(page)
    file = f"{_file_name(page)}.{page_format.suffix}"
    stored = store.write_page(report_id, file, data)
    return _answer(snapshot, outline, page_format, _warnings(context, page)) | {
        "path": stored.path,
        "bytes": len(data),
        "uri": stored.uri,
    }


def markdown_text(outline: Outline, today: date, status: str = "active") -> str:
    """Return the Markdown page with the insights of one status; `all` means every one."""
    return FORMATS["markdown"].render(Page(outline, today, status)).decode()


def _file_name(page: Page) -> str:
    """Return the name of the file without its suffix; it says how many images the page lacks."""
    name, count = f"report-v{page.outline.outline_version}", len(page.left_out)
    return name + (f"-{count}-image{'s' * (count > 1)}-missing" if count else "")


def _warnings(context: Context, page: Page) -> list[str]:
    """Return the sentences that say which images of the version the page does not show."""
    warnings = [page.note] if page.note else []
    if not page.left_out:
        return warnings
    if page.images is None:
        version = page.outline.outline_version
        reasons = {f"the files may have changed since version {version}": list(page.left_out)}
    else:
        outside = [each for each in page.left_out if not context.sources.allows(unquote(each))]
        reasons = {
            "outside the folders of LIVING_REPORTS_SOURCES": outside,
            "missing, too large or of another type": [e for e in page.left_out if e not in outside],
        }
    shown = "; ".join(f"{_named(images)} ({reason})" for reason, images in reasons.items() if images)
    kept = "The file name says so; a complete page made earlier is kept."
    return [*warnings, f"Images not shown: {shown}. {kept}"]


def _named(sources: Iterable[str]) -> str:
    names = [cut(" ".join(source.split()), 80) for source in sources]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _answer(snapshot: Snapshot, outline: Outline, page_format: Format, warnings: list[str]) -> Json:
    answer: Json = {
        "report_id": outline.report_id,
        "title": outline.title,
        "format": page_format.name,
        "version": outline.outline_version,
    }
    warnings = [*snapshot.warnings, *warnings]
    return answer | ({"warnings": warnings} if warnings else {})
