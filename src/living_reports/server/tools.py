"""The tool list of the server: names, descriptions, schemas, annotations.

Rules:

- Plain data, kept short: a client sends all of it to its model with every request. No `title`, no `anyOf`
  or `oneOf`, no `null`, no defaults without meaning.
- `arguments.check_arguments` accepts exactly the parameters named here, the requests of the library have the
  same fields, and the options of the command line are generated from these schemas.
- Output schemas name top-level fields only.
- `CHANGE_FIELDS` has exactly the fields of `changes.OPS`; a test compares the two. The ops are listed once,
  with their fields, in the description of `update_report`: listing them in the schema, too, would cost every
  client 270 bytes and give its model no information.
- Names that people can add (templates for a report) are not an enum but part of the description.

    >>> [tool["name"] for tool in TOOLS if tool["annotations"]["readOnlyHint"]]
    ['get_report', 'list_reports', 'audit_report', 'diff_report', 'check_report']
"""

from __future__ import annotations

from typing import Any

from living_reports.render import FORMATS

Schema = dict[str, Any]
Tool = dict[str, Any]

# --- Words that schemas are made of ------------------------------------------------------

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
ARRAY: Schema = {"type": "array"}
OBJECT: Schema = {"type": "object"}
STRINGS: Schema = {"type": "array", "items": STRING}
OBJECTS: Schema = {"type": "array", "items": OBJECT}


def _string(description: str) -> Schema:
    return STRING | {"description": description}


def _strings(description: str) -> Schema:
    return STRINGS | {"description": description}


def _integer(description: str) -> Schema:
    return INTEGER | {"description": description}


def _one_of(*values: str, description: str = "") -> Schema:
    schema = STRING | {"enum": list(values)}
    return schema | {"description": description} if description else schema


def _input(required: tuple[str, ...], **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | {"required": list(required)} if required else schema


def _output(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def _writes(*, destructive: bool, idempotent: bool) -> dict[str, bool]:
    return {
        "readOnlyHint": False,
        "destructiveHint": destructive,
        "idempotentHint": idempotent,
        "openWorldHint": False,
    }


READS = {"readOnlyHint": True, "openWorldHint": False}

# --- Sections, insights, citations, changes ----------------------------------------------

CONTENT_FORMAT = _one_of("markdown", "html", "plain")
IMPORTANCE = _integer("0-10, else 5")
AS_OF = _string("the day on which it held")
REVIEW_BY = _string("a day, or +7d, +2w, +3m from now: stale from then on")

CITATION: Schema = {
    "type": "object",
    "properties": {
        "source": STRING,
        "url": STRING,
        "title": STRING,
        "path": STRING,
        "description": STRING,
    },
    "additionalProperties": STRING,
}

INSIGHT: Schema = {
    "type": "object",
    "properties": {
        "summary": STRING,
        "importance": IMPORTANCE,
        "status": STRING,
        "citations": {"type": "array", "items": CITATION},
        "as_of": AS_OF,
        "review_by": REVIEW_BY,
    },
    "required": ["summary"],
}

SECTION: Schema = {
    "type": "object",
    "properties": {
        "title": STRING,
        "content": STRING,
        "notes": STRING,
        "content_format": CONTENT_FORMAT,
        "citations": OBJECTS,
        "insights": {"type": "array", "items": INSIGHT},
    },
    "required": ["title"],
}

CHANGE_FIELDS: dict[str, Schema] = {
    "op": STRING,
    "section": STRING,
    "insight": STRING,
    "title": STRING,
    "content": STRING,
    "notes": STRING,
    "content_format": CONTENT_FORMAT,
    "find": STRING,
    "replace": STRING,
    "all": BOOLEAN,
    "text": STRING,
    "summary": STRING,
    "importance": IMPORTANCE,
    "status": STRING,
    "citations": OBJECTS,
    "citation": CITATION,
    "as_of": AS_OF,
    "review_by": REVIEW_BY,
    "insights": OBJECTS,
    "insights_to": STRING,
    "position": _string("first, last, before:id, after:id"),
    "ref": STRING,
    "template": STRING,
    "data": OBJECT
    | {
        "description": "metrics: {metrics:[{name,value,target?,trend?,note?}]}; "
        "findings: {findings:[{title,description?,impact?,evidence?:[],actions?:[]}]}"
    },
    "tags": STRINGS,
    "key": STRING,
    "value": {"description": "any JSON"},
    "clear": STRINGS,
}

CHANGE: Schema = {
    "type": "object",
    "properties": CHANGE_FIELDS,
    "required": ["op"],
}

# --- Parameters and answers that several tools share -------------------------------------

REPORT = _string("id or title; a unique beginning suffices")
CHANGED_REPORT = _string("id (8 characters suffice) or whole title")

ACTION_TYPES = (
    "create",
    "evolve",
    "revert",
    "rename",
    "tag_update",
    "render",
    "manual_edit_detected",
    "backup",
    "status_change",
    "fork",
    "synthesize",
    "archive",
    "delete",
)

WRITTEN: dict[str, Schema] = {
    "report_id": STRING,
    "title": STRING,
    "version": INTEGER,
    "action_id": STRING,
    "applied": INTEGER,
}

# --- The tools ---------------------------------------------------------------------------

CREATE_REPORT: Tool = {
    "name": "create_report",
    "description": (
        "Start a report: titled sections of Markdown, with insights (one finding each) and citations. "
        "See list_reports first: update what exists. "
        "template gives sections to fill: analyst, deep_dive, incident, status, decision. "
        "from_reports: copy one, or combine several; your sections come first, your tags replace theirs. "
        "Answers with the ids of all that is new (created), and what was inherited."
    ),
    "inputSchema": _input(
        ("title",),
        title=STRING,
        sections={"type": "array", "items": SECTION},
        tags=STRINGS,
        template=STRING,
        from_reports=STRINGS,
        reason=STRING,
        dry_run=BOOLEAN,
        request_id=STRING,
    ),
    "outputSchema": _output(
        **{name: WRITTEN[name] for name in ("report_id", "title", "version", "action_id")},
        tags=ARRAY,
        created=OBJECT,
        inherited=OBJECT,
        dry_run=BOOLEAN,
        warnings=ARRAY,
    ),
    "annotations": _writes(destructive=False, idempotent=False),
}

UPDATE_REPORT: Tool = {
    "name": "update_report",
    "description": """\
Change a report: all changes, in order, as one version, or none. Each is flat: op and its fields \
(? optional):
set_title title
set_status status (active, archived, deleted: not listed)
add_tags|remove_tags tags
set_metadata key value (null removes)
add_section title content? notes? content_format? citations? insights? position? ref? template? data?
edit_section section title? content? notes? content_format? citations? clear? (replaces whole fields)
edit_text section? find replace all? (exact text that occurs once; all: each; \
all without section: in all prose, notes and summaries)
append_text section text (starts a new paragraph; a table row or list item continues the one at the end)
move_section section position
remove_section section insights_to? (a section; else they go too)
add_insight section summary importance? status? citations? as_of? review_by? position? ref?
edit_insight insight summary? importance? status? citations? as_of? review_by? clear?
move_insight insight section? position?
remove_insight insight
add_citation|remove_citation citation insight? section? (one of the two)
section: title or id; insight: id or whole summary; a unique beginning of an id suffices (8 characters). \
Insight status: active, archived (outdated), killed (wrong).
template (findings, metrics, bullet_list, executive_summary, action_items, methodology) \
writes content from data; shapes: resource templates://sections. content_format html: for what Markdown \
cannot lay out; pages drop svg, scripts, styles.
ref names a new item for later changes of this call; clear: fields to empty.
Answers with each edit (changed). Changes of others since expected_version are merged and shown (merged); \
version_conflict shows what both sides changed.
Example: {"report":"Health","expected_version":4,"changes":[\
{"op":"edit_text","section":"Errors","find":"12 %","replace":"15 %"},\
{"op":"add_insight","section":"Errors","summary":"Errors rose","importance":8,"citations":[{"url":"https://…"}]}]}""",
    "inputSchema": _input(
        ("report", "changes"),
        report=CHANGED_REPORT,
        changes={"type": "array", "items": CHANGE},
        reason=_string("why"),
        expected_version=_integer("a version whose content you have seen"),
        dry_run=BOOLEAN,
        request_id=_string("makes a retry safe"),
    ),
    "outputSchema": _output(
        **WRITTEN,
        replaced=INTEGER,
        created=OBJECT,
        changed=ARRAY,
        rebased_over=ARRAY,
        merged=ARRAY,
        dry_run=BOOLEAN,
        warnings=ARRAY,
    ),
    "annotations": _writes(destructive=True, idempotent=False),
}

GET_REPORT: Tool = {
    "name": "get_report",
    "description": (
        "Read a report, at any version. view summary (default): a report of up to 6,000 characters whole; "
        "of a longer one the sections with sizes, the top insights, and counts: findings of check_report, "
        "left_out. sections: the prose. insights: by importance, with citations. full: every stored field. "
        "markdown: the page. To read on, sections=[…] or insights=[…] without view is the lean way: those, "
        "whole. find: each hit with the text around it. "
        "stale: only insights due for review (review_by is today or past)."
    ),
    "inputSchema": _input(
        ("report",),
        report=REPORT,
        view=_one_of("summary", "sections", "insights", "full", "markdown"),
        version=INTEGER,
        sections=_strings("titles or ids"),
        insights=_strings("ids, or words of summaries"),
        find=_string("a text, in any case"),
        min_importance=INTEGER,
        status=_one_of(
            "active", "archived", "killed", "all", description="of insights, else active; rows name others"
        ),
        stale=BOOLEAN,
        max_chars=_integer("else 20,000; next_cursor goes on"),
        cursor=STRING,
    ),
    "outputSchema": _output(
        report_id=STRING,
        title=STRING,
        version=INTEGER,
        status=STRING,
        tags=ARRAY,
        updated_at=STRING,
        sections=ARRAY,
        insight_count=INTEGER,
        top_insights=ARRAY,
        insights=ARRAY,
        left_out=OBJECT,
        hit_count=INTEGER,
        searched=ARRAY,
        hint=STRING,
        text=STRING,
        findings=OBJECT,
        last_change=OBJECT,
        warnings=ARRAY,
        next_cursor=STRING,
    ),
    "annotations": READS,
}

LIST_REPORTS: Tool = {
    "name": "list_reports",
    "description": (
        "Find reports, newest change first, and what in them matches (kind: prose, insight, citation, link), "
        "by full text, tags, status, cited source or stale insights (due for review: review_by is today or "
        "past). stale with query or cites: insights that are both."
    ),
    "inputSchema": _input(
        (),
        query=_string('words (all of them), "a phrase", begin*, AND OR NOT; else searched as plain words'),
        tags=STRINGS,
        status=_one_of("active", "archived", "deleted", "all"),
        cites=_string("part of a url, path, id or title"),
        stale=BOOLEAN,
        sort=_one_of("relevance", "updated", "created", "title"),
        limit=INTEGER,
        cursor=STRING,
    ),
    "outputSchema": _output(reports=ARRAY, total=INTEGER, warnings=ARRAY, next_cursor=STRING),
    "annotations": READS,
}

REVERT_REPORT: Tool = {
    "name": "revert_report",
    "description": (
        "Bring earlier content back as a new version; nothing is lost. to_version: all as it was then. "
        "undo: takes back that change alone; later versions stay (kept). item: only this, with undo "
        "only its part of the change; audit_report shows addresses (at); a removed item by its old title."
    ),
    "inputSchema": _input(
        ("report",),
        report=CHANGED_REPORT,
        to_version=INTEGER,
        undo=_string("version, range 14-17 or action_id"),
        item=_string("section, insight or address"),
        reason=STRING,
        expected_version=INTEGER,
        dry_run=BOOLEAN,
        request_id=STRING,
    ),
    "outputSchema": _output(
        **WRITTEN,
        changed=ARRAY,
        rebased_over=ARRAY,
        merged=ARRAY,
        kept=ARRAY,
        dry_run=BOOLEAN,
        warnings=ARRAY,
    ),
    "annotations": _writes(destructive=True, idempotent=True),
}

AUDIT_REPORT: Tool = {
    "name": "audit_report",
    "description": (
        "Who changed what in a report, when and why; newest first. item: its changes, and the last of them "
        "(last_change). verify: is the history intact?"
    ),
    "inputSchema": _input(
        ("report",),
        report=REPORT,
        since=_string("version, day or time"),
        item=_string("section, insight or address"),
        text=_string("in an old or new value"),
        actor=_string("agent, cli, human, a client or user"),
        action_type=_one_of(*ACTION_TYPES),
        verify=BOOLEAN,
        limit=INTEGER,
        cursor=STRING,
    ),
    "outputSchema": _output(
        report_id=STRING,
        title=STRING,
        version=INTEGER,
        events=ARRAY,
        last_change=OBJECT,
        verified=OBJECT,
        warnings=ARRAY,
        next_cursor=STRING,
    ),
    "annotations": READS,
}

DIFF_REPORT: Tool = {
    "name": "diff_report",
    "description": (
        "What changed in a report, by whom and why: since a version or time, else in the last change. "
        "Each place is shown once, with all who changed it (by). format text: a unified diff."
    ),
    "inputSchema": _input(
        ("report",),
        report=REPORT,
        since=_string("version, day or time"),
        to_version=INTEGER,
        format=_one_of("changes", "text"),
        cursor=STRING,
    ),
    "outputSchema": _output(
        report_id=STRING,
        title=STRING,
        from_version=INTEGER,
        to_version=INTEGER,
        changed=ARRAY,
        text=STRING,
        warnings=ARRAY,
        next_cursor=STRING,
    ),
    "annotations": READS,
}

CHECK_REPORT: Tool = {
    "name": "check_report",
    "description": (
        "Is a report still true and whole? Findings: stale or unproven insights, changed sources, unfilled "
        "sections, structure; each hint shows the change that fixes it. ok: no errors or warnings. "
        "unchecked: sources that could not be compared."
    ),
    "inputSchema": _input(
        ("report",),
        report=REPORT,
        on=_string("a day; default today"),
        cursor=STRING,
    ),
    "outputSchema": _output(
        report_id=STRING,
        title=STRING,
        version=INTEGER,
        ok=BOOLEAN,
        findings=ARRAY,
        unchecked=ARRAY,
        warnings=ARRAY,
        next_cursor=STRING,
    ),
    "annotations": READS,
}

RENDER_REPORT: Tool = {
    "name": "render_report",
    "description": (
        "Make a page: Markdown as text (a long one as a file), or one self-contained HTML file, "
        "whose path you get."
    ),
    "inputSchema": _input(
        ("report",),
        report=REPORT,
        format=_one_of(*FORMATS),
        version=INTEGER,
        to_file=BOOLEAN,
    ),
    "outputSchema": _output(
        report_id=STRING,
        title=STRING,
        format=STRING,
        version=INTEGER,
        text=STRING,
        path=STRING,
        bytes=INTEGER,
        uri=STRING,
        warnings=ARRAY,
    ),
    "annotations": _writes(destructive=False, idempotent=True),
}

TOOLS: tuple[Tool, ...] = (
    CREATE_REPORT,
    UPDATE_REPORT,
    GET_REPORT,
    LIST_REPORTS,
    REVERT_REPORT,
    AUDIT_REPORT,
    DIFF_REPORT,
    CHECK_REPORT,
    RENDER_REPORT,
)
BY_NAME: dict[str, Tool] = {tool["name"]: tool for tool in TOOLS}

INSTRUCTIONS = """\
Living reports are documents that agents and people keep accurate for months: titled sections of prose, \
insights (one finding each, importance 0-10), citations. Each change makes a version \
with an event that says who, when and why; any version can be read, any change undone.

How to work on one:
1. See list_reports before you start another. Read the summary with get_report; of a long report, then only \
the sections you need. Coming back, ask diff_report what changed since the version you know, and \
check_report what is stale or unproven.
2. Make small changes, what belongs together in one update_report; edit_text and append_text rather than \
whole sections. State expected_version (a version whose content you have seen), a reason that will make \
sense in months, and a request_id, so that the call can be sent again safely. dry_run shows the answer, \
writes nothing and leaves the request_id unused.
3. Others may write at the same time. Changes to other places are merged, and `merged` shows them: read it \
before you take the new version as seen. On version_conflict read its conflicts, decide for each place, and \
send (without dry_run, to write) retry_with (yours wins), keep_both (yours after theirs) or your own words \
against current_version; ask \
the user where you cannot tell.
4. Give insights citations, and a review_by where they will age. Set the status of an outdated insight to \
archived, of a wrong one to killed, rather than remove it.
5. Before you call it done, fix what check_report finds: its hints show the changes. Renew a stale insight \
only after a look at its source.

An error changes nothing; its code, path and hint say what to do next. An answer to a change needs no read \
to confirm it: `changed` is what was written; of long texts, the part around each \
edit: [-old-]{+new+}. revert_report with undo takes one change back. A long answer \
goes on with next_cursor: the same call with it as cursor. report://<id> is the whole report; cite it as \
report://<id>/v/<version>."""
