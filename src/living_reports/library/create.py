"""The use case `create_report`: from given sections, a template, one other report, or several.

Rules:

- A fork or a combination has the content that its sources have at that moment; each is read on its own, and
  stays as it is. Given sections come before theirs, and given tags replace theirs; `inherited` says what came
  from the sources.
- A template and `from_reports` exclude each other: both would give the report its sections.
- The origin is recorded in the metadata (`template`, `from_reports`) and in the first event.
- A `request_id` determines the id of the report, so that a repeated call finds the first one.
- A title that an active report has is allowed, with a warning that names that report.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from living_reports.changes import (
    MAX_TAGS,
    Outcome,
    all_created,
    apply_changes,
    parse_sections,
    parse_tags,
    parse_text,
    parse_title,
)
from living_reports.changes.report_templates import Template, find_template
from living_reports.errors import CorruptReportError, InvalidInputError, ReportError, TooLargeError
from living_reports.library.combine import Combined, combine
from living_reports.library.context import Context
from living_reports.library.requests import CreateReport
from living_reports.library.writing import (
    WriteCall,
    created_answer,
    new_id,
    planned_answer,
    repeated_answer,
    with_hashes,
)
from living_reports.model.event import ActionType, Author
from living_reports.model.report import ID_CHARS, Outline, normalised
from living_reports.model.selectors import quoted
from living_reports.reading.compact import cut
from living_reports.store.base import Snapshot, Store

DEFAULT_TEMPLATE = "blank"
_REQUESTS = uuid.UUID("6f2d8a52-9f3e-5c0b-8d0e-3b1f6a0c7e11")
"""The namespace in which a `request_id` determines the id of the report that it creates."""

_NOTHING = Combined([], [], [], [])
_LABEL_CHARS = 60
_TITLES_NAMED = 3

Json = dict[str, Any]


def create_report(context: Context, request: CreateReport, author: Author) -> Json:
    """Create a report.

    Raises:
        InvalidInputError: An argument is wrong; `path` names it.
        RequestIdReusedError: The `request_id` created another report.
        ReportError: A report of `from_reports` is not found or cannot be read; `path` names it.
        StorageFailedError: The disk refused; `happened` says whether the report was created.
    """
    call = WriteCall.checked(request.reason, request.request_id, _stated(request))
    report_id = str(uuid.uuid5(_REQUESTS, call.request_id)) if call.request_id else new_id()
    if call.request_id and not request.dry_run and (answer := _first_answer(context, report_id, call)):
        return answer
    outcome, inherited = _new_report(context, report_id, request)
    outline = outcome.outline
    if request.dry_run:
        return planned_answer(outcome, inherited)
    from_reports = outline.metadata.get("from_reports")
    extra = {"from_reports": from_reports, "inherited": inherited}
    note = call.note(outcome, author, outline.created_at, outcome.warnings, **extra)
    record = context.store.create(outline, note)
    if record is not None:
        return created_answer(record, outline, outcome.warnings)
    if answer := _first_answer(context, report_id, call):
        return answer
    raise CorruptReportError(
        "This request_id created a report whose history cannot be read.",
        hint="Verify the report, or use a new request_id to create another one.",
        report_id=report_id,
    )


def _stated(request: CreateReport) -> Json:
    """Return the arguments that make two calls the same request."""
    return {
        "title": request.title,
        "sections": list(request.sections),
        "tags": list(request.tags),
        "template": _template_name(request),
        "from_reports": list(request.from_reports),
    }


def _template_name(request: CreateReport) -> str:
    """Return the name of the template; empty for the default one."""
    return "" if request.template == DEFAULT_TEMPLATE else request.template


def _first_answer(context: Context, report_id: str, call: WriteCall) -> Json | None:
    """Return the answer that the same request got before, wherever its report is now."""
    found = context.store.creation_of(report_id)
    if found is None:
        return None
    record, outline = found
    call.require_same_content(record)
    return repeated_answer(record, outline)


def _new_report(context: Context, report_id: str, request: CreateReport) -> tuple[Outcome, Json]:
    """Return the first version of a report, with all its items as created, and what is inherited.

    Raises:
        InvalidInputError, TooLargeError: An argument is wrong; `path` names it.
        ReportError: A source is not found or cannot be read; `path` names it.
    """
    own_tags = parse_tags(list(request.tags), "tags") if request.tags else []
    title = parse_title(request.title, "title")
    given = parse_sections(list(request.sections)) if request.sections else []
    template = _template(context.store, request)
    snapshots = [_source(context, name, f"from_reports[{i}]") for i, name in enumerate(request.from_reports)]
    now = context.now()
    outlines = [snapshot.outline for snapshot in snapshots]
    origin = combine(outlines, now=now, new_id=new_id) if outlines else _NOTHING
    start = Outline(
        report_id=report_id,
        title=title,
        created_at=now,
        updated_at=now,
        metadata=_metadata(origin, own_tags, template),
    )
    changes = with_hashes(template.filled(given), context.sources)
    outcome = _followed_by(apply_changes(start, changes, now=now, new_id=new_id), origin)
    warnings = [*_same_title(context.store, title), *_warnings(snapshots), *outcome.warnings]
    outcome = replace(outcome, action_type=_action_type(snapshots), warnings=warnings)
    return outcome, _inherited(outlines, origin, [] if own_tags else origin.tags)


def _followed_by(outcome: Outcome, origin: Combined) -> Outcome:
    """Return the outcome with the items of the sources behind the given ones."""
    outline = outcome.outline
    items = {
        "sections": [*outline.sections, *origin.sections],
        "insights": [*outline.insights, *origin.insights],
    }
    outcome = replace(outcome, outline=normalised(outline.model_copy(update=items)))
    return replace(outcome, created=all_created(outcome))


def _inherited(sources: Sequence[Outline], origin: Combined, tags: Sequence[str]) -> Json:
    """Return what a report has from its sources, without empty fields; empty if it has none."""
    if not sources:
        return {}
    stated = {"sections": len(origin.sections), "insights": len(origin.insights), "tags": list(tags)}
    rows = [
        {
            "report_id": source.report_id[:ID_CHARS],
            "title": cut(source.title, _LABEL_CHARS),
            "version": source.outline_version,
        }
        for source in sources
    ]
    return {name: value for name, value in stated.items() if value} | {"from": rows}


def _same_title(store: Store, title: str) -> list[str]:
    """Return a warning for each active report that has this title, for the first few."""
    same = store.titled(title, _TITLES_NAMED)
    if same is None:
        return ["Whether an active report has this title is unknown: the search is busy. See list_reports."]
    return [
        f"An active report has this title: {quoted(entry.current_title)} ({entry.report_id[:ID_CHARS]}). To "
        f"continue that one, send what is new to update_report with report={entry.report_id[:ID_CHARS]}."
        for entry in same
    ]


def _template(store: Store, request: CreateReport) -> Template:
    name = _template_name(request)
    if request.from_reports and name:
        raise InvalidInputError(
            "template: a report made from other reports takes its sections from them, not from a template.",
            hint="Leave template out, or from_reports.",
            path="template",
            allowed=[DEFAULT_TEMPLATE],
        )
    return find_template(name, store.templates() if name else {})


def _source(context: Context, selector: str, path: str) -> Snapshot:
    try:
        return context.read(parse_text(selector, path))[1]
    except ReportError as error:
        error.details["path"] = path
        raise


def _metadata(origin: Combined, own_tags: list[str], template: Template) -> dict[str, Any]:
    tags = own_tags or origin.tags
    if len(tags) > MAX_TAGS:
        raise TooLargeError(
            f"from_reports: together these reports have {len(tags)} tags; the limit is {MAX_TAGS}.",
            hint="Give tags: they replace those of the reports.",
            path="from_reports",
            limit=MAX_TAGS,
        )
    stated = {
        "tags": tags,
        "template": template.name if template.sections else "",
        "from_reports": origin.from_reports,
    }
    return {"status": "active"} | {name: value for name, value in stated.items() if value}


def _action_type(snapshots: Sequence[Snapshot]) -> ActionType:
    if not snapshots:
        return "create"
    return "fork" if len(snapshots) == 1 else "synthesize"


def _warnings(snapshots: Sequence[Snapshot]) -> list[str]:
    """Return the warnings of the sources, each with the source's title."""
    return [
        f"{cut(snapshot.outline.title, _LABEL_CHARS)}: {warning}"
        for snapshot in snapshots
        for warning in snapshot.warnings
    ]
