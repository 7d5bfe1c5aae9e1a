"""What a new report begins with: the sections given, its template's, and those of other reports.

Rules:

- A report that is forked or combined begins as its sources are at that moment; each is read on
  its own, one after the other, and stays as it is. Given sections follow theirs.
- A template gives a new report its sections; reports that are combined bring their own. So the
  two are not used together.
- Where it all came from is in the metadata (`template`, `from_reports`) and in the first event.

    >>> outcome = new_report(storage, sources, report_id, CreateReport("Week 47", template="status"))
    >>> [section.title for section in outcome.outline.sections]
    ['Overall', 'Done', 'Next', 'Risks and blockers', 'Milestones', 'Decisions needed']
"""

from __future__ import annotations

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
from living_reports.errors import InvalidInputError, ReportError, TooLargeError
from living_reports.library.combine import Combined, combine
from living_reports.library.finding import find_report
from living_reports.library.requests import CreateReport
from living_reports.library.sources import Sources
from living_reports.library.sourcing import with_hashes
from living_reports.library.writing import new_id
from living_reports.model.event import ActionType
from living_reports.model.report import Outline
from living_reports.reading.brief import cut
from living_reports.store.files import GlobalStorage, State, utc_now

DEFAULT_TEMPLATE = "blank"

_NOTHING = Combined([], [], [], [])
_LABEL_CHARS = 60


def stated_template(name: str) -> str:
    """The template's name, empty where it is the default one."""
    return "" if name == DEFAULT_TEMPLATE else name


def stated(request: CreateReport) -> dict[str, Any]:
    """Return the arguments that identify the content of a request."""
    return {
        "title": request.title,
        "sections": list(request.sections),
        "tags": list(request.tags),
        "template": stated_template(request.template),
        "from_reports": list(request.from_reports),
    }


def new_report(storage: GlobalStorage, sources: Sources, report_id: str, request: CreateReport) -> Outcome:
    """The first version of a report, all its items as created, and what to call the event.

    Raises:
        InvalidInputError, TooLargeError: An argument is wrong; `path` says which.
        ReportError: A source cannot be found or read; `path` says which.
    """
    own_tags = parse_tags(list(request.tags), "tags") if request.tags else []
    title = parse_title(request.title, "title")
    given = parse_sections(list(request.sections)) if request.sections else []
    from_reports = request.from_reports
    chosen = _template(storage, stated_template(request.template), from_reports)
    states = [_source(storage, name, f"from_reports[{i}]") for i, name in enumerate(from_reports)]
    now = utc_now()
    outlines = [state.outline for state in states]
    origin = combine(outlines, now=now, new_id=new_id) if outlines else _NOTHING
    start = Outline(
        report_id=report_id,
        title=title,
        created_at=now,
        updated_at=now,
        sections=origin.sections,
        insights=origin.insights,
        metadata=_metadata(origin, own_tags, chosen),
    )
    outcome = apply_changes(start, with_hashes(chosen.filled(given), sources), now=now, new_id=new_id)
    return replace(
        outcome,
        created=all_created(outcome.outline),
        action_type=_action_type(states),
        warnings=[*_warnings(states), *outcome.warnings],
    )


def provenance(outline: Outline) -> dict[str, Any]:
    """What the first event says of where the report comes from."""
    return {name: outline.metadata[name] for name in ("from_reports",) if name in outline.metadata}


def _template(storage: GlobalStorage, name: str, from_reports: Sequence[str]) -> Template:
    if from_reports and stated_template(name):
        raise InvalidInputError(
            "template: a report made of others has their sections, not those of a template.",
            hint="Leave template out, or from_reports.",
            path="template",
            allowed=[DEFAULT_TEMPLATE],
        )
    return find_template(name, storage.templates() if name else {})


def _source(storage: GlobalStorage, selector: str, path: str) -> State:
    try:
        return storage.read(find_report(storage, parse_text(selector, path), writing=False))
    except ReportError as error:
        error.details["path"] = path
        raise


def _metadata(origin: Combined, own_tags: list[str], template: Template) -> dict[str, Any]:
    tags = list(dict.fromkeys([*origin.tags, *own_tags]))
    if len(tags) > MAX_TAGS:
        raise TooLargeError(
            f"tags: with those of the reports it is made of, there would be {len(tags)} tags.",
            hint=f"The limit is {MAX_TAGS}: give fewer, or none.",
            path="tags",
            limit=MAX_TAGS,
        )
    stated = {
        "tags": tags,
        "template": template.name if template.sections else "",
        "from_reports": origin.from_reports,
    }
    return {"status": "active"} | {name: value for name, value in stated.items() if value}


def _action_type(states: Sequence[State]) -> ActionType:
    if not states:
        return "create"
    return "fork" if len(states) == 1 else "synthesize"


def _warnings(states: Sequence[State]) -> list[str]:
    """What has to be said of the sources, each time with the source's title."""
    return [
        f"{cut(state.outline.title, _LABEL_CHARS)}: {warning}"
        for state in states
        for warning in state.warnings
    ]
