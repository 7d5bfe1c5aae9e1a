"""Citations of a section: every way to give and read them, merged as a set, undone, blamed and compared."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from living_reports.errors import InvalidInputError, ItemNotFoundError
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport,
    CheckReport,
    CreateReport,
    DiffReport,
    GetReport,
    ListReports,
    RenderReport,
    RevertReport,
)
from living_reports.model.report import Citation, Outline, parse_outline
from support.library_reports import (
    ANN,
    BEN,
    Json,
    append_text,
    create_report,
    folder_of,
    refused_update,
    update_report,
)

TABLE = "| Month | Orders |\n| --- | --- |\n| May | 412 |"
RUN, WIKI = {"path": "run.csv"}, {"url": "https://wiki.example/orders", "title": "Orders"}


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "run.csv").write_bytes(b"May,412\n")
    return folder


@pytest.fixture
def library(tmp_path: Path, evidence: Path) -> Library:
    return Library(tmp_path / "root", sources=[evidence])


@pytest.fixture
def report(library: Library) -> str:
    sections = [{"title": "Orders", "content": TABLE, "citations": [RUN]}, {"title": "Risks"}]
    return create_report(library, sections=sections)


def stored(library: Library, report: str) -> Outline:
    return parse_outline((folder_of(library, report) / "outline.json").read_bytes())


def shown(library: Library, report: str, section: str = "Orders", version: int = 0) -> list[Json]:
    [row] = library.get_report(GetReport(report, sections=[section], version=version))["sections"]
    citations: list[Json] = row.get("citations", [])
    return citations


def add(citation: Json, section: str = "Orders") -> Json:
    return {"op": "add_citation", "section": section, "citation": citation}


def remove(citation: Json, section: str = "Orders") -> Json:
    return {"op": "remove_citation", "section": section, "citation": citation}


def test_every_way_of_citing_completes_and_hashes_the_citation(library: Library, report: str) -> None:
    sha256 = hashlib.sha256(b"May,412\n").hexdigest()
    expected = {"source": "document", "path": "run.csv", "response_hash": sha256}
    update_report(
        library,
        report,
        add(RUN, "Risks"),
        {"op": "add_section", "title": "New", "citations": [RUN, RUN]},
    )
    for title in ("Orders", "Risks", "New"):
        assert shown(library, report, title) == [expected]
    update_report(library, report, {"op": "edit_section", "section": "New", "citations": [WIKI]})
    assert shown(library, report, "New") == [{"source": "url", **WIKI}]
    update_report(library, report, {"op": "edit_section", "section": "New", "clear": ["citations"]})
    assert shown(library, report, "New") == []
    assert stored(library, report).sections[0].metadata == {"citations": [expected]}
    assert "citations" not in stored(library, report).sections[2].metadata


def test_citing_the_same_again_alters_nothing(library: Library, report: str) -> None:
    assert update_report(library, report, add(RUN))["applied"] == 0
    again = {"op": "edit_section", "section": "Orders", "citations": [RUN]}
    assert update_report(library, report, again)["applied"] == 0


def test_a_citation_is_removed_by_any_of_its_fields(library: Library, report: str) -> None:
    update_report(library, report, add(WIKI))
    update_report(library, report, remove({"title": "Orders"}))
    assert [row["path"] for row in shown(library, report)] == ["run.csv"]
    with pytest.raises(ItemNotFoundError, match="no citation of this section has these fields") as caught:
        update_report(library, report, remove({"url": "https://other.example"}))
    assert [row["path"] for row in caught.value.details["near"]] == ["run.csv"]


@pytest.mark.parametrize("named", [{}, {"section": "Orders", "insight": "5f9dabcd"}])
@pytest.mark.parametrize("op", ["add_citation", "remove_citation"])
def test_exactly_one_item_is_named(library: Library, report: str, op: str, named: Json) -> None:
    with pytest.raises(InvalidInputError, match="needs either insight or section"):
        update_report(library, report, {"op": op, "citation": WIKI, **named})


def test_citations_of_both_sides_are_merged(library: Library, report: str) -> None:
    other = {"url": "https://other.example"}
    update_report(library, report, add(WIKI))
    answer = update_report(library, report, add(other), remove(RUN), author=BEN, expected_version=1)
    assert answer["rebased_over"] == [2]
    assert {row["url"] for row in shown(library, report)} == {WIKI["url"], other["url"]}
    first = {"url": "https://first.example"}
    update_report(library, report, add(first, "Risks"))
    update_report(library, report, add(other, "Risks"), author=BEN, expected_version=1)
    assert len(shown(library, report, "Risks")) == 2, "where neither side began with any"


def test_a_conflict_of_the_prose_does_not_involve_the_citations(library: Library, report: str) -> None:
    edit = {"op": "edit_section", "section": "Risks", "content": "None."}
    update_report(library, report, edit, add(WIKI, "Risks"))
    other = edit | {"content": "Many.", "citations": [RUN]}
    error = refused_update(library, report, other)
    assert [row["at"].rpartition("/")[2] for row in error["conflicts"]] == ["content"]


def test_citations_are_undone_restored_and_read_at_any_version(library: Library, report: str) -> None:
    update_report(library, report, add(WIKI))
    update_report(library, report, append_text("| June | 430 |", "Orders"))
    library.revert_report(RevertReport(report, undo=2), ANN)
    assert [row["source"] for row in shown(library, report)] == ["document"]
    assert "430" in library.get_report(GetReport(report, sections=["Orders"]))["sections"][0]["content"]
    assert len(shown(library, report, version=2)) == 2
    library.revert_report(RevertReport(report, to_version=2, item="Orders"), ANN)
    assert len(shown(library, report)) == 2


def test_who_cited_what_is_found_by_the_link(library: Library, report: str) -> None:
    update_report(library, report, add(WIKI), author=BEN, reason="where the numbers are from")
    update_report(library, report, append_text("More.", "Orders"))
    at = f"sections/{stored(library, report).sections[0].section_id[:8]}"
    for item in (f"{at}/metadata/citations", f"{at}/citations", f"sections/Orders/citations/{WIKI['url']}"):
        row = library.audit_report(AuditReport(report, item=item))["last_change"]
        assert (row["version"], row["client"]) == (2, BEN.client), item
        assert row["at"].startswith(f"{at}/metadata/citations")
    [event] = library.audit_report(AuditReport(report, text=WIKI["url"]))["events"]
    assert event["version"] == 2
    rows = library.diff_report(DiffReport(report, since=1))["changed"]
    assert f"{at}/metadata/citations" in [row["at"] for row in rows]
    [edit] = [edit for edit in last_delta(library, report, 2) if edit["at"].endswith("/citations")]
    assert [splice[:2] for splice in edit["splices"]] == [[1, []]]


def last_delta(library: Library, report: str, version: int) -> list[Json]:
    lines = (folder_of(library, report) / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    delta: list[Json] = json.loads(lines[version - 1])["payload"]["delta"]
    return delta


def test_citations_are_searched(library: Library, report: str) -> None:
    update_report(library, report, add(WIKI | {"description": "a marmalade of numbers"}))
    [found] = library.list_reports(ListReports(cites="wiki.example/orders"))["reports"]
    [match] = found["matches"]
    assert "section_id" in match
    [found] = library.list_reports(ListReports(query="marmalade"))["reports"]
    assert [section["title"] for section in find(library, report, "MARMALADE")] == ["Orders"]
    update_report(library, report, remove({"url": WIKI["url"]}))
    assert library.list_reports(ListReports(cites="wiki.example/orders"))["reports"] == []
    assert find(library, report, "marmalade") == []


def find(library: Library, report: str, text: str) -> list[Json]:
    sections: list[Json] = library.get_report(GetReport(report, find=text))["sections"]
    return sections


def test_a_page_numbers_them_with_the_others(library: Library, report: str) -> None:
    insight = {"op": "add_insight", "section": "Orders", "summary": "Orders rose", "citations": [WIKI, RUN]}
    update_report(library, report, insight)
    page = library.render_report(RenderReport(report))["text"]
    assert f"{TABLE}\n\nSources: [1]\n\n1. **[5/10]** Orders rose [2][1]" in page
    assert page.endswith("1. `run.csv` (document)\n2. Orders — <https://wiki.example/orders> (url)\n")


def test_a_changed_document_of_a_section_is_found_and_fixed(
    library: Library, report: str, evidence: Path
) -> None:
    update_report(library, report, append_text("None.", "Risks"))
    assert library.check_report(CheckReport(report))["findings"] == []
    (evidence / "run.csv").write_bytes(b"May,413\n")
    [finding] = library.check_report(CheckReport(report))["findings"]
    assert (finding["code"], finding["item"]) == ("source_changed", "Orders")
    assert finding["at"] == f"sections/{stored(library, report).sections[0].section_id[:8]}"
    update_report(library, report, json.loads(finding["hint"].partition(": ")[2]))
    assert library.check_report(CheckReport(report))["findings"] == []
    (evidence / "run.csv").unlink()
    [finding] = library.check_report(CheckReport(report))["findings"]
    update_report(library, report, json.loads(finding["hint"].partition(", or ")[2]))
    assert len(shown(library, report)) == 1, "the other version of the file is cited still"


def test_a_copy_keeps_them(library: Library, report: str) -> None:
    copy = library.create_report(CreateReport("Copy", from_reports=[report]), ANN)["report_id"]
    assert shown(library, copy) == shown(library, report)


def test_what_another_program_stored_there_is_kept_and_not_shown(library: Library, report: str) -> None:
    path = folder_of(library, report) / "outline.json"
    data = json.loads(path.read_bytes())
    data["sections"][1]["metadata"] = {"citations": ["see the wiki", {"url": "https://a.example"}]}
    path.write_text(json.dumps(data))
    assert shown(library, report, "Risks") == []
    update_report(library, report, add(WIKI, "Risks"))
    assert shown(library, report, "Risks") == [{"source": "url", **WIKI}]
    kept = stored(library, report).sections[1].metadata["citations"]
    assert kept[1:] == ["see the wiki", {"url": "https://a.example"}]
    update_report(library, report, remove(WIKI, "Risks"))
    assert stored(library, report).sections[1].metadata["citations"] == kept[1:]
    assert stored(library, report).sections[1].with_citations([Citation(source="observation")]).citations
