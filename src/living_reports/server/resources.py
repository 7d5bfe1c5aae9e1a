"""Reports by their addresses: the list of them, the templates, and what is at an address.

Rules:

- What an address holds is the library's to say (`library.resources`); here it is put into the
  protocol's words.
- A list names each active report once, by its page. The other addresses follow from its id, and
  the templates say how.
- Nothing at an address is an error, as the protocol wants it, with the address in its data.
- `_meta` says the version that was read: what a change states as its `expected_version`.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import mcp_types as types

from living_reports.server.desk import Context, Desk, errors_of_the_protocol

if TYPE_CHECKING:
    from living_reports.library.resources import Resource

PRIORITY = 0.5
"""Of a report's page and its outline: worth a look, and nothing that one cannot do without."""
PRIORITY_OF_LOGS = 0.2

TEMPLATES = (
    types.ResourceTemplate(
        uri_template="report://{id}",
        name="report",
        title="A report",
        description="The whole report as Markdown. id: of a report, or its title.",
        mime_type="text/markdown",
        annotations=types.Annotations(audience=["user", "assistant"], priority=PRIORITY),
    ),
    types.ResourceTemplate(
        uri_template="report://{id}/v/{version}",
        name="report_version",
        title="A report at a version",
        description="The report as it was then, as Markdown. Cite a report by this address.",
        mime_type="text/markdown",
        annotations=types.Annotations(audience=["user", "assistant"], priority=PRIORITY),
    ),
    types.ResourceTemplate(
        uri_template="report://{id}/outline",
        name="report_outline",
        title="A report's outline",
        description="outline.json: every section, insight and citation with its id.",
        mime_type="application/json",
        annotations=types.Annotations(audience=["assistant"], priority=PRIORITY),
    ),
    types.ResourceTemplate(
        uri_template="report://{id}/audit",
        name="report_audit",
        title="A report's log",
        description="audit.jsonl: who changed what, when and why, one event a line, chained by sha256.",
        mime_type="application/jsonl",
        annotations=types.Annotations(audience=["user"], priority=PRIORITY_OF_LOGS),
    ),
)


async def list_resources(
    desk: Desk, context: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourcesResult:
    """A page of the active reports.

    Raises:
        MCPError: The cursor is none of ours.
    """
    cursor = (params and params.cursor) or ""
    with errors_of_the_protocol(context):
        page = await desk.ask(lambda library: library.list_resources(cursor))
    rows = [_resource(row) for row in page["resources"]]
    return types.ListResourcesResult(resources=rows, next_cursor=page.get("next_cursor"))


def _resource(row: dict[str, Any]) -> types.Resource:
    tags = ", ".join(row["tags"])
    return types.Resource(
        uri=row["uri"],
        name=row["name"],
        description=f"Version {row['version']}" + (f"; tags: {tags}" if tags else ""),
        mime_type=row["media_type"],
        size=row.get("size"),
        annotations=types.Annotations(
            audience=["user", "assistant"], priority=PRIORITY, last_modified=row["updated_at"]
        ),
    )


def list_templates() -> types.ListResourceTemplatesResult:
    """All templates, on one page."""
    return types.ListResourceTemplatesResult(resource_templates=list(TEMPLATES))


async def read_resource(
    desk: Desk, context: Context, params: types.ReadResourceRequestParams
) -> types.ReadResourceResult:
    """What is at an address.

    Raises:
        MCPError: Nothing is, or it cannot be read.
    """
    address = params.uri
    with errors_of_the_protocol(context, uri=address):
        found = await desk.ask(lambda library: library.read_resource(address))
    return types.ReadResourceResult(contents=[_contents(address, found)])


def _contents(address: str, found: Resource) -> types.TextResourceContents | types.BlobResourceContents:
    meta: dict[str, Any] = {"report_id": found.report_id, "version": found.version}
    meta |= {"warnings": list(found.warnings)} if found.warnings else {}
    try:
        text = found.data.decode()
    except UnicodeDecodeError:  # a log that was damaged is shown as it is
        blob = base64.b64encode(found.data).decode()
        return types.BlobResourceContents(uri=address, mime_type=found.media_type, blob=blob, meta=meta)
    return types.TextResourceContents(uri=address, mime_type=found.media_type, text=text, meta=meta)
