"""What the server says about its tools: names, descriptions, schemas, annotations.

Rules:

- Plain data, trimmed by hand: a client sends all of it to its model with every request.
  No `title`, no `anyOf` or `oneOf`, no `null`, no defaults that say nothing.
- A parameter is named here only once it works. What is named here is all that
  `arguments.check_arguments` lets through.
- Output schemas name top-level fields only. What sits below them is in the answers.
- `CHANGE_FIELDS` has exactly the fields that `changes.OPS` knows; a test holds the two together.
  The ops themselves stand once, each with its fields, in the table of `update_report`'s description:
  naming them again in the schema would cost every client 270 bytes and tell its model nothing.

    >>> [tool["name"] for tool in TOOLS if tool["annotations"]["readOnlyHint"]]
    ['get_report', 'list_reports', 'audit_report']
"""

from __future__ import annotations

from typing import Any

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
        "importance": INTEGER,
        "status": STRING,
        "citations": {"type": "array", "items": CITATION},
        "as_of": STRING,
        "review_by": STRING,
    },
    "required": ["summary"],
}

SECTION: Schema = {
    "type": "object",
    "properties": {
        "title": STRING,
        "content": STRING,
        "notes": STRING,
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
    "content_format": STRING,
    "find": STRING,
    "replace": STRING,
    "all": BOOLEAN,
    "text": STRING,
    "summary": STRING,
    "importance": INTEGER,
    "status": STRING,
    "citations": OBJECTS,
    "citation": CITATION,
    "as_of": STRING,
    "review_by": _string("a day, or +7d, +4w, +3m"),
    "insights": OBJECTS,
    "insights_to": STRING,
    "position": _string("first, last, before:id, after:id"),
    "ref": STRING,
    "template": STRING,
    "data": OBJECT,
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

READ_REPORT = _string("id, title or a unique part of it")
WRITE_REPORT = _string("id or exact title")

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
        "Start a report: sections of prose with insights (one finding each, importance 0-10) and citations. "
        "See list_reports first: one that exists is updated, not made again."
    ),
    "inputSchema": _input(
        ("title",),
        title=STRING,
        sections={"type": "array", "items": SECTION},
        tags=STRINGS,
        template=_one_of("blank"),
        reason=STRING,
        request_id=STRING,
    ),
    "outputSchema": _output(
        **{name: WRITTEN[name] for name in ("report_id", "title", "version", "action_id")},
        created=OBJECT,
        warnings=ARRAY,
    ),
    "annotations": _writes(destructive=False, idempotent=False),
}

UPDATE_REPORT: Tool = {
    "name": "update_report",
    "description": """\
Change a report: all changes in order as one version, or none. Each is a flat object, op and its fields \
(? optional):
set_title title
set_status status (active, archived, deleted: not listed)
add_tags|remove_tags tags
set_metadata key value (null removes)
add_section title content? notes? content_format? insights? position? ref? template? data?
edit_section section title? content? notes? content_format? clear? (replaces whole fields)
edit_text section find replace all? (find: exact text, once unless all)
append_text section text
move_section section position
remove_section section insights_to? (else they go too)
add_insight section summary importance? (0-10) status? citations? as_of? review_by? position? ref?
edit_insight insight summary? importance? status? citations? as_of? review_by? clear?
move_insight insight section? position?
remove_insight insight
add_citation|remove_citation insight citation
section: id or title; insight: id. Its status: active, archived (outdated), killed (wrong).
template (findings, metrics, bullet_list, executive_summary, action_items, methodology) \
writes content from data.
ref names a new item for later changes; clear: fields to empty.
Example: {"report":"Health","expected_version":4,"reason":"May","changes":[\
{"op":"edit_text","section":"Errors","find":"12 %","replace":"15 %"},\
{"op":"add_insight","section":"Errors","summary":"Errors rose","importance":8,"citations":[{"url":"https://…"}]}]}""",
    "inputSchema": _input(
        ("report", "changes"),
        report=WRITE_REPORT,
        changes={"type": "array", "items": CHANGE},
        reason=_string("why, for the audit"),
        expected_version=_integer("the version you read"),
        dry_run=BOOLEAN,
        request_id=_string("makes a retry safe"),
    ),
    "outputSchema": _output(**WRITTEN, created=OBJECT, changed=ARRAY, dry_run=BOOLEAN, warnings=ARRAY),
    "annotations": _writes(destructive=True, idempotent=False),
}

GET_REPORT: Tool = {
    "name": "get_report",
    "description": (
        "Read a report, at any version. Begin with the summary (default): sections with ids and sizes, "
        "top insights, findings. Then name the sections or insights you need, or find a text."
    ),
    "inputSchema": _input(
        ("report",),
        report=READ_REPORT,
        view=_one_of("summary", "sections", "insights", "full", "markdown"),
        version=INTEGER,
        sections=_strings("ids or titles"),
        insights=STRINGS,
        find=STRING,
        min_importance=INTEGER,
        status=_one_of("active", "archived", "killed", "all"),
        stale=BOOLEAN,
        max_chars=INTEGER,
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
        top_insights=ARRAY,
        insights=ARRAY,
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
    "description": "Find reports by title, tags and status; the last changed first.",
    "inputSchema": _input(
        (),
        query=STRING,
        tags=STRINGS,
        status=_one_of("active", "archived", "deleted", "all"),
        sort=_one_of("updated", "created", "title"),
        limit=INTEGER,
        cursor=STRING,
    ),
    "outputSchema": _output(reports=ARRAY, total=INTEGER, next_cursor=STRING),
    "annotations": READS,
}

REVERT_REPORT: Tool = {
    "name": "revert_report",
    "description": (
        "Bring back an earlier version's content, as a new version: nothing is lost. "
        "audit_report lists the versions."
    ),
    "inputSchema": _input(
        ("report", "to_version"),
        report=WRITE_REPORT,
        to_version=INTEGER,
        reason=STRING,
        expected_version=INTEGER,
        dry_run=BOOLEAN,
        request_id=STRING,
    ),
    "outputSchema": _output(**WRITTEN, changed=ARRAY, dry_run=BOOLEAN, warnings=ARRAY),
    "annotations": _writes(destructive=True, idempotent=True),
}

AUDIT_REPORT: Tool = {
    "name": "audit_report",
    "description": (
        "Who changed what in a report, when and why; newest first. verify: are report and history intact?"
    ),
    "inputSchema": _input(
        ("report",),
        report=READ_REPORT,
        since=_string("version, day or time"),
        item=_string("section or insight"),
        text=_string("text that came or went"),
        actor=_string("agent, cli, human or a client"),
        action_type=STRING,
        verify=BOOLEAN,
        limit=INTEGER,
        cursor=STRING,
    ),
    "outputSchema": _output(
        report_id=STRING,
        version=INTEGER,
        events=ARRAY,
        verified=OBJECT,
        next_cursor=STRING,
    ),
    "annotations": READS,
}

TOOLS: tuple[Tool, ...] = (
    CREATE_REPORT,
    UPDATE_REPORT,
    GET_REPORT,
    LIST_REPORTS,
    REVERT_REPORT,
    AUDIT_REPORT,
)
BY_NAME: dict[str, Tool] = {tool["name"]: tool for tool in TOOLS}

INSTRUCTIONS = """\
Living reports are documents that agents and people keep true for months: titled sections of prose, \
insights ranked by importance, citations. Nothing is ever lost: each change makes a version with an event \
that says who, when and why, and any version can be read or brought back.

To work on one: list_reports or get_report (the summary) first, then read only the sections you need. \
Change it with small changes in one update_report: pass the version you read as expected_version, a reason, \
and a request_id so that a retry is safe. Prefer edit_text and append_text to sending whole sections again. \
Give insights citations, and a review_by where they will age. An error changes nothing; its code, path and \
hint say what to do next."""
