"""A real document's life, replayed through the server: 333 revisions that 67 people made.

Each revision becomes one `update_report` over stdio, asked for by the SDK's own client: the
sections that changed are edited, new ones added, lost ones removed, moved ones moved. A
section holds its heading too, so that the contents of a version, joined, are the revision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio

from living_reports.library import Library
from living_reports.library.requests import AuditReport, GetReport
from support.histories import changes_between, reason_of, revisions, split_sections
from support.mcp_client import call_tool, connect


async def replay(root: Path, sent: list[dict[str, Any]]) -> str:
    """Send every revision; the id of the report."""
    async with connect(root) as client:
        before = split_sections(sent[0]["text"])
        sections = [{"title": name, "content": text} for name, text in before.items()]
        created = await call_tool(
            client, "create_report", title="Guidance", sections=sections, reason=reason_of(sent[0])
        )
        for version, revision in enumerate(sent[1:], 1):
            after = split_sections(revision["text"])
            answer = await call_tool(
                client,
                "update_report",
                report=created["report_id"],
                changes=changes_between(before, after),
                reason=reason_of(revision),
                expected_version=version,
            )
            assert answer["version"] == version + 1
            before = after
    report_id: str = created["report_id"]
    return report_id


def text_at(library: Library, report: str, version: int) -> str:
    """The document as `get_report` gives it at a version, page by page."""
    text, cursor = "", ""
    while True:
        page = library.get_report(
            GetReport(report, view="full", version=version, max_chars=200_000, cursor=cursor)
        )
        text += "".join(section.get("content", "") for section in page["sections"])
        cursor = page.get("next_cursor", "")
        if not cursor:
            return text


def assert_kept(root: Path, report: str, sent: list[dict[str, Any]]) -> None:
    """Each revision is one version and one event, and each version is what was sent."""
    library = Library(root)
    state = library.store.read(report)
    events = [record for record in library.store.events(report) if record.makes_version]
    assert [record.version for record in events] == list(range(len(sent), 0, -1))
    assert [record.payload["reason"] for record in reversed(events)] == [reason_of(r) for r in sent]
    for version, revision in enumerate(sent, 1):
        outline = library.store.outline_at(report, version, state)
        assert "".join(section.content or "" for section in outline.sections) == revision["text"]
    for version in (1, len(sent) // 3, len(sent)):
        assert text_at(library, report, version) == sent[version - 1]["text"]
    verified = library.audit_report(AuditReport(report, verify=True, limit=1))["verified"]
    assert verified["ok"]
    assert verified["events"] == len(sent)


def bytes_kept(folder: Path) -> int:
    """The audit log and the backups together."""
    return sum(path.stat().st_size for path in (folder / "audit.jsonl", *(folder / "backups").iterdir()))


def test_every_revision_of_a_real_document_is_a_version_that_reads_back(tmp_path: Path) -> None:
    sent = list(revisions("log4j-guidance"))
    report = anyio.run(replay, tmp_path, sent)
    assert_kept(tmp_path, report, sent)
    revised = sum(len(revision["text"].encode()) for revision in sent)
    assert bytes_kept(tmp_path / "by_id" / report) < revised / 5
