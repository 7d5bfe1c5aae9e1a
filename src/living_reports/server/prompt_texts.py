"""The texts of the prompts: the task, and the ids, versions, findings and changes that it needs.

Rules:

- Data of a report is given as JSON, as the tools give it, so that a model can tell it from the task.
- Texts are short: lists are cut to `ROWS`, with a hint how to see the rest. Data that the first step
  would have to read anyway is left out, except in a review, where reading is the task.
- The tools are named with the arguments that matter, and with the version that was read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from living_reports.library import Library
from living_reports.library.requests import AuditReport, CheckReport, DiffReport, GetReport, ListReports

Json = dict[str, Any]

ROWS = 10
ROWS_CHARS = 4_000
SHOWN_CHARS = 200
SECTION_CHARS = 5_000
LAST_CHANGES = 10
MIN_WORD_CHARS = 4

WRITING = (
    "Write with update_report: one call for what belongs together, expected_version={version}, a reason that "
    "will still make sense in months, and a request_id. On version_conflict look at what the others did "
    "before you decide."
)


def start_report(library: Library, topic: str, template: str = "") -> str:
    """Return the prompt to begin a report, or to continue an existing one."""
    similar = _similar(library, topic)
    known = "No report mentions it yet."
    if similar:
        known = f"Reports that may be about it already:\n{_json(similar)}"
    sections = f', template="{template}"' if template else " and a template, if one fits"
    return f"""\
Start a living report on this topic: {topic}

{known}

1. If one of them is about the same, go on with that one, and say so: get_report, then update_report.
2. Else find out what is known. Note where each finding comes from.
3. create_report with a title that says what it is about{sections}, a reason and a request_id. Short prose \
in the sections; each finding an insight with its importance (0-10), its citations, and a review_by where it \
will age.
4. check_report, and fix what it finds.
5. Tell me what the report says, in three sentences, and its id."""


def refresh_report(library: Library, report: str, since: str = "") -> str:
    """Return the prompt to bring a report up to date."""
    summary = library.get_report(GetReport(report, max_chars=SECTION_CHARS))
    check = library.check_report(CheckReport(summary["report_id"]))
    changes = library.diff_report(DiffReport(summary["report_id"], since=since))
    which = f"since {since}" if since else "in the last version"
    return f"""\
Bring this report up to date: {_head(summary)}

Sections and top insights:
{_json({name: summary[name] for name in ("sections", "top_insights") if name in summary})}

What check_report finds:
{_checked(check)}

What changed {which} (from version {changes["from_version"]} to {changes["to_version"]}):
{_rows(changes["changed"], "diff_report")}

1. Go through the findings. Look at the source of each stale or unproven insight again; read the section \
with get_report where you need its words. Do not renew what you did not check.
2. What is still true gets a new as_of and review_by; what changed is edited, with its citation; what was \
overtaken gets status archived, what was wrong killed. Do not remove it: its history is worth something.
3. Add what is new and matters. Change the prose that relies on what you changed: edit_text, append_text.
4. {WRITING.format(version=summary["version"])}
5. Tell me what you changed, and what you could not find out."""


def status_update(library: Library, report: str, since: str = "", audience: str = "") -> str:
    """Return the prompt to tell others what changed."""
    events = library.audit_report(AuditReport(report, since=since, limit=LAST_CHANGES))["events"]
    oldest = events[-1].get("version", "") if len(events) > 1 else ""
    changes = library.diff_report(DiffReport(report, since=since or oldest))
    names = ("version", "ts", "actor", "client", "user", "reason")
    reasons = [{name: event[name] for name in names if name in event} for event in events]
    reader = f" for {audience}" if audience else ""
    return f"""\
Write a status update{reader} from the last changes of this report: {_head(changes)}

Who changed it and why, the newest first:
{_json(reasons)}

What differs between version {changes["from_version"]} and {changes["to_version"]}:
{_rows(changes["changed"], "diff_report")}

Begin with what matters most to the reader. Say what is true now, what it was before, and why it changed; \
leave out what only moved or was reworded. Name what is still open or stale. At most 200 words; cite the \
report as report://{changes["report_id"]}/v/{changes["to_version"]}. Change nothing in it."""


def resolve_conflict(library: Library, report: str, expected_version: str, section: str = "") -> str:
    """Return the prompt to decide about a conflicting edit."""
    changes = library.diff_report(DiffReport(report, since=expected_version))
    rows, tool = changes["changed"], "diff_report"
    if section:
        found = library.audit_report(
            AuditReport(changes["report_id"], since=expected_version, item=section, limit=ROWS)
        )
        rows, tool = found["events"], "audit_report"
    about = f' in "{section}"' if section else ""
    return f"""\
An edit of this report, made against version {expected_version}, conflicts with later changes: \
{_head(changes)}

What others changed{about} since version {expected_version}:
{_rows(rows, tool)}

1. Take the refused call, or what it was to achieve, and find the places that both sides changed. Everything \
else is merged by itself.
2. For each such place: do the others' words already say it? Keep theirs. Do both matter? Write words that \
keep both. Is theirs wrong? Say in the reason why, and replace it.
3. If you cannot tell which is right, ask me, and show me both.
4. Send it again with expected_version={changes["to_version"]}, a reason that names the decision, and a new \
request_id; the error's retry_with is your side whole, and overwrites theirs; its keep_both, if there \
is one, has theirs and then yours.
5. Tell me what you kept from each side. diff_report shows the outcome; revert_report with undo takes it \
back."""


def review_report(library: Library, report: str, section: str = "") -> str:
    """Return the prompt to review a report."""
    summary = library.get_report(GetReport(report, max_chars=SECTION_CHARS))
    report_id = summary["report_id"]
    shown = summary
    if section:
        shown = library.get_report(GetReport(report_id, sections=[section], max_chars=SECTION_CHARS))
    names = ("sections", "top_insights", "insights", "next_cursor")
    check = library.check_report(CheckReport(report_id))
    return f"""\
Review this report{f', only its section "{section}"' if section else ""}: {_head(summary)}

{_json({name: shown[name] for name in names if name in shown})}

What check_report finds in the whole report:
{_checked(check)}

Read what you review with get_report (view sections; goes on with next_cursor). For each claim: does a \
citation prove it, is it still current, do prose and insights agree, is its importance right, and does it \
stand where a reader looks for it? audit_report with item says who wrote it and why.

Give me the problems, the worst first, each with the id of the section or insight and the change that would \
fix it. Change nothing until I agree. Then: {WRITING.format(version=summary["version"])}"""


def _similar(library: Library, topic: str) -> list[Json]:
    """Return the reports that contain all words of a topic, else those that contain the most."""
    found = library.list_reports(ListReports(query=topic[:SHOWN_CHARS], limit=5))["reports"]
    if not found:
        rows: dict[str, tuple[int, Json]] = {}
        for word in [word for word in topic.split() if len(word) >= MIN_WORD_CHARS][:ROWS]:
            for row in library.list_reports(ListReports(query=word[:SHOWN_CHARS], limit=5))["reports"]:
                rows[row["report_id"]] = (rows.get(row["report_id"], (0, row))[0] + 1, row)
        found = [row for _, row in sorted(rows.values(), key=lambda pair: -pair[0])[:5]]
    names = ("report_id", "title", "version", "updated_at")
    return [{name: row[name] for name in names if name in row} for row in found]


def _head(answer: Json) -> str:
    """Return title, id and version of the report as JSON."""
    version = answer.get("version") or answer["to_version"]
    return _json({"title": answer["title"], "report_id": answer["report_id"], "version": version})


def _checked(check: Json) -> str:
    """Return the findings, and the sources that were not compared."""
    found = _rows(check["findings"], "check_report")
    unchecked = check.get("unchecked")
    return f"{found}\nNot compared: {_rows(unchecked, 'check_report')}" if unchecked else found


def _rows(rows: Sequence[Json], tool: str) -> str:
    """Return the first rows, one a line, and the tool that shows the others."""
    if not rows:
        return "nothing"
    lines = [_json(row) for row in rows[:ROWS]]
    while len(lines) > 1 and sum(map(len, lines)) > ROWS_CHARS:
        lines.pop()
    if len(rows) > len(lines):
        lines.append(f"… and {len(rows) - len(lines)} more: {tool} shows them.")
    return "\n".join(lines)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


TEXTS: dict[str, Callable[..., str]] = {
    "start_report": start_report,
    "refresh_report": refresh_report,
    "status_update": status_update,
    "resolve_conflict": resolve_conflict,
    "review_report": review_report,
}
