"""Resources of the protocol: the list of reports, the templates, and the content at an address.

Rules:

- `library.resources` defines the addresses and their content; this module translates to the protocol.
- The list names each active report once, by its page. The templates describe the other addresses.
- A missing address is an error, with the address in its data.
- `_meta` holds the version that was read: the `expected_version` of a change.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import mcp_types as types

from living_reports.render import FORMATS
from living_reports.server.calls import Context, protocol_errors
from living_reports.server.worker import Worker

if TYPE_CHECKING:
    from living_reports.library.resources import Resource

PRIORITY = 0.5
"""The priority of pages and outlines: useful, but not required."""
PRIORITY_OF_LOGS = 0.2

TEMPLATES = (
    types.ResourceTemplate(
        uri_template="report://{id}",
        name="report",
        title="A report",
        description="The whole report as Markdown. id: of a report, or its title.",
        mime_type=FORMATS["markdown"].media_type,
        annotations=types.Annotations(audience=["user", "assistant"], priority=PRIORITY),
    ),
    types.ResourceTemplate(
        uri_template="report://{id}/v/{version}",
        name="report_version",
        title="A report at a version",
        description="The report as it was then, as Markdown. Cite a report by this address.",
        mime_type=FORMATS["markdown"].media_type,
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
    types.ResourceTemplate(
        uri_template="templates://sections/{section_template}",
        name="section_template",
        title="A section template",
        description="The shape of its data, with an example. Without a name: of all section templates.",
        mime_type="application/json",
        annotations=types.Annotations(audience=["assistant"], priority=PRIORITY),
    ),
)


async def list_resources(
    worker: Worker, context: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourcesResult:
    """Return a page of the active reports.

    Raises:
        MCPError: The cursor is invalid.
    """
    cursor = (params and params.cursor) or ""
    with protocol_errors(context):
        page = await worker.run(lambda library: library.list_resources(cursor))
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
    """Return all templates, on one page."""
    return types.ListResourceTemplatesResult(resource_templates=list(TEMPLATES))


async def read_resource(
    worker: Worker, context: Context, params: types.ReadResourceRequestParams
) -> types.ReadResourceResult:
    """Return the content at an address.

    Raises:
        MCPError: There is none, or it cannot be read.
    """
    address = params.uri
    with protocol_errors(context, uri=address):
        found = await worker.run(lambda library: library.read_resource(address))
    return types.ReadResourceResult(contents=[_contents(address, found)])


def _contents(address: str, found: Resource) -> types.TextResourceContents | types.BlobResourceContents:
    meta: dict[str, Any] = {"report_id": found.report_id, "version": found.version} if found.report_id else {}
    meta |= {"warnings": list(found.warnings)} if found.warnings else {}
    try:
        text = found.data.decode()
    except UnicodeDecodeError:  # a damaged log is shown as it is
        blob = base64.b64encode(found.data).decode()
        return types.BlobResourceContents(uri=address, mime_type=found.media_type, blob=blob, meta=meta)
    return types.TextResourceContents(uri=address, mime_type=found.media_type, text=text, meta=meta)
