"""`check_report`: what it finds on which day, and that a document or a report has moved on since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import InvalidInputError
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport,
    CheckReport,
    CreateReport,
    GetReport,
    ListReports,
    RenderReport,
    TrashReport,
)
from support.library_reports import ANN, Json, append_text, create_report, folder_of, update_report


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    folder.mkdir()
    return folder


@pytest.fixture
def library(tmp_path: Path, evidence: Path) -> Library:
    return Library(tmp_path / "root", sources=[evidence])


def codes(library: Library, report: str = "Health", **more: Any) -> list[str]:
    return [finding["code"] for finding in library.check_report(CheckReport(report, **more))["findings"]]


def citing(library: Library, *citations: Json) -> str:
    insight = {"summary": "Measured", "citations": list(citations)}
    return create_report(library, sections=[{"title": "Errors", "insights": [insight]}])


def cite(library: Library, path: Path | str) -> Json:
    citation = {"path": str(path)}
    return update_report(
        library, "Health", {"op": "add_citation", "insight": only(library), "citation": citation}
    )


def only(library: Library) -> str:
    [insight] = library.get_report(GetReport("Health", view="insights"))["insights"]
    return str(insight["insight_id"])


def cited(library: Library) -> list[Json]:
    outline = json.loads(
        (
            folder_of(library, library.get_report(GetReport("Health"))["report_id"]) / "outline.json"
        ).read_bytes()
    )
    citations: list[Json] = outline["insights"][0]["citations"]
    return citations


# --- The answer ---------------------------------------------------------------------------


def test_a_report_without_findings_is_ok(library: Library) -> None:
    report = create_report(library)
    expected = {"report_id": report, "title": "Health", "version": 1, "ok": True, "findings": []}
    unopened = {"source": "1 web address", "reason": "never opened"}
    assert library.check_report(CheckReport("Health")) == expected | {"unchecked": [unopened]}


def test_what_is_only_worth_a_look_is_ok(library: Library) -> None:
    create_report(library, sections=[{"title": "Errors"}])
    answer = library.check_report(CheckReport("Health"))
    assert [(f["code"], f["severity"]) for f in answer["findings"]] == [("empty_section", "info")]
    assert answer["ok"] is True


def test_a_warning_is_not_ok(library: Library) -> None:
    create_report(library, sections=[{"title": "Errors", "insights": [{"summary": "They doubled"}]}])
    answer = library.check_report(CheckReport("Health"))
    [finding] = answer["findings"]
    assert (answer["ok"], finding["code"]) == (False, "uncited")
    assert finding.keys() == {"code", "severity", "item", "at", "message", "hint"}
    assert finding["item"] == "They doubled"


def test_a_check_writes_nothing(library: Library) -> None:
    report = create_report(library)
    before = {path: path.read_bytes() for path in folder_of(library, report).iterdir() if path.is_file()}
    library.check_report(CheckReport(report))
    assert {p: p.read_bytes() for p in folder_of(library, report).iterdir() if p.is_file()} == before


# --- Another day --------------------------------------------------------------------------


def test_an_insight_is_stale_from_its_review_day_on(library: Library) -> None:
    due = {"summary": "Holds", "citations": [{"url": "https://a.b"}], "review_by": "2031-05-01"}
    create_report(library, sections=[{"title": "Errors", "insights": [due]}])
    assert codes(library) == []
    assert codes(library, on="2031-04-30") == []
    assert codes(library, on="2031-04-30T23:30:00-02:00") == ["stale"]
    assert codes(library, on="2031-05-01") == ["stale"]


class LibraryOn(Library):
    """A library on another day."""

    day = date(2031, 5, 1)

    def today(self) -> date:
        return self.day


@pytest.mark.parametrize(("later", "is_due"), [(-1, False), (0, True), (1, True)])
def test_all_answers_and_pages_agree_on_what_is_stale(tmp_path: Path, later: int, is_due: bool) -> None:
    library = LibraryOn(tmp_path)
    due = {"summary": "Holds", "citations": [{"url": "https://a.b"}], "review_by": "2031-05-01"}
    report = create_report(library, sections=[{"title": "Errors", "insights": [due]}])
    library.day += timedelta(days=later)
    summary = library.get_report(GetReport(report))
    [row] = summary["top_insights"]
    [shown] = library.get_report(GetReport(report, view="insights"))["insights"]
    chosen = library.get_report(GetReport(report, view="insights", stale=True))["insights"]
    listed = library.list_reports(ListReports(stale=True))["reports"]
    cited = library.list_reports(ListReports(stale=True, cites="a.b", query="holds"))["reports"]
    page = library.render_report(RenderReport(report))["text"]
    path = library.render_report(RenderReport(report, format="html"))["path"]
    said = {
        "summary": row.get("stale", False),
        "section": bool(summary["sections"][0].get("stale")),
        "counted": "stale" in summary.get("findings", {}),
        "insights": shown.get("stale", False),
        "only stale": bool(chosen),
        "check": codes(library) == ["stale"],
        "list": [each["report_id"] for each in listed] == [report],
        "list of what cites": [each["report_id"] for each in cited] == [report],
        "markdown": "stale: due for review since 2031-05-01" in page,
        "html": "due for review since" in Path(path).read_text(),
        "markdown view": "stale:" in library.get_report(GetReport(report, view="markdown"))["text"],
        "resource": b"stale:" in library.read_resource(f"report://{report}").data,
    }
    assert said == dict.fromkeys(said, is_due)


@pytest.mark.parametrize("wrong", ["tomorrow", "2026-02-30", "26-11-23", "\ud800"])
def test_what_is_no_day_is_refused(library: Library, wrong: str) -> None:
    create_report(library)
    with pytest.raises(InvalidInputError) as caught:
        library.check_report(CheckReport("Health", on=wrong))
    assert caught.value.details["path"] == "on"


# --- Pages --------------------------------------------------------------------------------


def test_many_findings_come_in_pages_of_one_version_and_day(library: Library) -> None:
    insights = [{"summary": f"Finding {i} " + "x" * 100, "review_by": "2031-05-01"} for i in range(150)]
    report = create_report(library, sections=[{"title": "Errors", "insights": insights}])
    answer = library.check_report(CheckReport(report, on="2031-06-01"))
    update_report(library, report, {"op": "remove_section", "section": "Errors"})
    rows, pages = answer["findings"], 1
    while cursor := answer.get("next_cursor"):
        answer = library.check_report(CheckReport(report, on="2031-06-01", cursor=cursor))
        assert (answer["version"], answer["ok"]) == (1, False)
        assert len(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))) <= 20_000
        rows += answer["findings"]
        pages += 1
    assert pages > 2
    assert [row["code"] for row in rows] == ["stale", "uncited"] * 150
    assert len({(row["code"], row["at"]) for row in rows}) == 300


def test_a_cursor_is_for_the_same_call_only(library: Library) -> None:
    insights = [{"summary": f"Finding {i} " + "x" * 100} for i in range(150)]
    report = create_report(library, sections=[{"title": "Errors", "insights": insights}])
    cursor = library.check_report(CheckReport(report))["next_cursor"]
    other = create_report(library, "Other")
    calls: list[Callable[[], Json]] = [
        lambda: library.check_report(CheckReport(report, on="2031-06-01", cursor=cursor)),
        lambda: library.audit_report(AuditReport(report, cursor=cursor)),
        lambda: library.check_report(CheckReport(other, cursor=cursor)),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError, match="cursor"):
            call()


# --- Documents ----------------------------------------------------------------------------


def test_a_document_that_changed_after_it_was_cited_is_found(library: Library, evidence: Path) -> None:
    file = evidence / "run.csv"
    file.write_bytes(b"a,b\n")
    citing(library, {"path": str(file), "page": "2"})
    assert codes(library) == []
    file.write_bytes(b"a,c\n")
    answer = library.check_report(CheckReport("Health"))
    [finding] = answer["findings"]
    assert (finding["code"], finding["severity"], answer["ok"]) == ("source_changed", "warning", False)
    update_report(library, "Health", json.loads(finding["hint"].partition(": ")[2]))
    assert codes(library) == []
    assert [c["response_hash"] for c in cited(library)] == [
        hashlib.sha256(data).hexdigest() for data in (b"a,b\n", b"a,c\n")
    ]
    file.write_bytes(b"a,b\n")  # as it was cited first
    assert codes(library) == []


def test_a_document_that_is_gone_is_found_and_its_citation_can_be_removed(
    library: Library, evidence: Path
) -> None:
    (evidence / "run.csv").write_bytes(b"x")
    citing(library, {"path": "run.csv"}, {"url": "https://a.b"})
    (evidence / "run.csv").unlink()
    [finding] = library.check_report(CheckReport("Health"))["findings"]
    assert finding["code"] == "source_changed"
    update_report(library, "Health", json.loads(finding["hint"].partition(", or ")[2]))
    assert codes(library) == []


def test_every_way_of_citing_takes_the_hash(library: Library, evidence: Path) -> None:
    file = evidence / "run.csv"
    file.write_bytes(b"one")
    citing(library)
    cite(library, file)
    assert [c["response_hash"] for c in cited(library)] == [hashlib.sha256(b"one").hexdigest()]
    file.write_bytes(b"two")
    edit = {"op": "edit_insight", "insight": only(library), "citations": [{"path": file.as_uri()}]}
    update_report(library, "Health", edit)
    assert [c["response_hash"] for c in cited(library)] == [hashlib.sha256(b"two").hexdigest()]
    new = {"op": "add_insight", "section": "Errors", "summary": "More", "citations": [{"path": "run.csv"}]}
    section = {
        "op": "add_section",
        "title": "New",
        "insights": [{"summary": "In it", "citations": [{"path": "run.csv"}]}],
    }
    update_report(library, "Health", new, section)
    file.write_bytes(b"three")
    assert codes(library).count("source_changed") == 3


def test_citing_the_same_file_again_alters_nothing_until_it_changes(library: Library, evidence: Path) -> None:
    file = evidence / "run.csv"
    file.write_bytes(b"one")
    citing(library, {"path": str(file)})
    assert cite(library, file)["applied"] == 0
    restated = {"op": "edit_insight", "insight": only(library), "citations": [{"path": str(file)}]}
    assert update_report(library, "Health", restated)["applied"] == 0
    file.write_bytes(b"two")
    assert cite(library, file)["applied"] == 1


def test_a_document_is_removed_by_its_path(library: Library, evidence: Path) -> None:
    (evidence / "run.csv").write_bytes(b"one")
    citing(library, {"path": "run.csv"})
    (evidence / "run.csv").write_bytes(b"two")
    gone = {"op": "remove_citation", "insight": only(library), "citation": {"path": "run.csv"}}
    assert update_report(library, "Health", gone)["applied"] == 1


def test_nothing_is_said_of_files_outside_the_allowed_folders(
    library: Library, evidence: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_bytes(b"secret")
    (evidence / "way-out").symlink_to(outside)
    paths = [str(outside), str(evidence / "way-out"), f"{evidence}/../secret.txt"]
    stated = "0" * 64
    citing(library, *({"path": p} for p in paths), *({"path": p, "response_hash": stated} for p in paths))
    assert [c.get("response_hash") for c in cited(library)] == [None] * 3 + [stated] * 3
    assert codes(library) == []
    unchecked = library.check_report(CheckReport("Health"))["unchecked"]
    assert unchecked == [{"source": path, "reason": OUTSIDE} for path in paths]


def test_without_allowed_folders_no_file_is_looked_at(tmp_path: Path) -> None:
    library = Library(tmp_path / "root")
    file = tmp_path / "run.csv"
    file.write_bytes(b"one")
    citing(library, {"path": str(file)})
    assert "response_hash" not in cited(library)[0]
    assert codes(library) == []


# --- Sources that were not looked at --------------------------------------------------------

OUTSIDE = "outside the folders of LIVING_REPORTS_SOURCES"


def test_sources_that_were_not_looked_at_are_listed(library: Library, evidence: Path, tmp_path: Path) -> None:
    (evidence / "fine.csv").write_bytes(b"fine")
    (evidence / "plot.png").write_bytes(b"plot")
    gone, bare = (f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2))
    content = "![a](plot.png) ![b](gone.png) ![c](/etc/c.png) ![d](https://a.b/d.png) ![e](my%20plot.png)"
    citations = [{"path": "fine.csv"}, {"path": "/etc/run.csv"}, {"path": "late.csv"}]
    citations += [{"url": f"report://{gone}/v/1"}, {"url": f"report://{bare}"}, {"url": "https://a.b"}]
    citations += [{"endpoint": "/v1"}, {"query_id": "q"}, {"query_id": "r"}, {"description": "seen"}]
    insight = {"summary": "Measured ![f](f.png)", "citations": citations}
    create_report(library, sections=[{"title": "Errors", "content": content, "insights": [insight]}])
    (evidence / "late.csv").write_bytes(b"it was not there when it was cited")
    answer = library.check_report(CheckReport("Health"))
    assert answer["findings"] == []
    missing = "missing, too large or not readable"
    assert [(row["source"], row["reason"]) for row in answer["unchecked"]] == [
        ("/etc/run.csv", OUTSIDE),
        ("late.csv", "cited without its sha256"),
        (f"report://{bare}", "cited without a version"),
        (f"report://{gone}", "there is no such report, or it cannot be read"),
        ("gone.png", missing),
        ("/etc/c.png", OUTSIDE),
        ("my%20plot.png", missing),
        ("f.png", missing),
        ("1 web address, 1 API, 2 queries", "never opened"),
    ]


def test_many_unchecked_sources_leave_room_for_findings(library: Library) -> None:
    citations = [{"path": f"/etc/{number}/" + "x" * 400} for number in range(100)]
    insights = [{"summary": f"Finding {number}", "citations": citations} for number in range(30)]
    create_report(library, sections=[{"title": "Errors", "insights": [*insights, {"summary": "Uncited"}]}])
    answer = library.check_report(CheckReport("Health"))
    assert len(answer["unchecked"]) == 21
    assert answer["unchecked"][20] == {"source": "80 more", "reason": "not listed here"}
    assert len(json.dumps(answer, ensure_ascii=False, separators=(",", ":"))) <= 20_000
    assert answer["findings"]


def test_an_archived_insight_needs_no_sources(library: Library) -> None:
    insight = {"summary": "Measured", "status": "archived", "citations": [{"path": "/etc/run.csv"}]}
    create_report(library, sections=[{"title": "Errors", "insights": [insight]}])
    assert "unchecked" not in library.check_report(CheckReport("Health"))


# --- Other reports ------------------------------------------------------------------------


def test_a_source_that_was_only_reviewed_has_not_moved(library: Library) -> None:
    source = create_report(library, "Weekly")
    insight = library.get_report(GetReport(source, view="insights"))["insights"][0]["insight_id"]
    section = {"title": "Part", "content": "Text.", "citations": [{"url": f"report://{source}/v/1#Latency"}]}
    create_report(library, sections=[section])
    copy = library.create_report(CreateReport("Copy", from_reports=[source]), ANN)["report_id"]
    reviewed = {"op": "edit_insight", "insight": insight, "review_by": "2031-01-01", "importance": 7}
    update_report(library, source, reviewed)
    assert codes(library) == codes(library, copy) == []
    update_report(library, source, append_text("Most of them on Monday.", "Errors"))
    assert (codes(library), codes(library, copy)) == ([], ["source_moved"])
    update_report(library, source, append_text("p99 is 2 s.", "Latency"))
    [finding] = library.check_report(CheckReport("Health"))["findings"]
    assert "since the cited version 1 it changed “Latency”" in finding["message"]
    update_report(library, "Health", json.loads(finding["hint"].partition("holds: ")[2]))
    assert codes(library) == []


def test_versions_that_are_not_there_are_not_compared(library: Library) -> None:
    source = create_report(library, "Weekly")
    citing(library, {"url": f"report://{source}/v/9"})
    answer = library.check_report(CheckReport("Health"))
    assert answer["findings"] == []
    reason = "there is no such version, or it cannot be read"
    assert answer["unchecked"] == [{"source": f"report://{source}/v/9", "reason": reason}]


# --- Templates ----------------------------------------------------------------------------


def test_template_text_that_was_never_filled_in_is_found(library: Library) -> None:
    report = library.create_report(CreateReport("Outage", template="incident"), ANN)["report_id"]
    answer = library.check_report(CheckReport(report))
    rows = answer["findings"]
    assert {row["code"] for row in rows} == {"unfilled_template"}
    assert [row["item"] for row in rows][:3] == ["Summary", "Impact", "Timeline"]
    assert (len(rows), answer["ok"]) == (7, False)
    for row in rows:
        change = json.loads(row["hint"].partition(" or ")[0])
        update_report(library, report, change | {"text": "| 10:00 | it broke |"})
    assert codes(library, report) == []


def test_a_template_of_the_root_is_compared_too(library: Library) -> None:
    folder = folder_of(library, create_report(library)).parents[1] / "templates"
    folder.mkdir()
    (folder / "plan.json").write_text('{"sections": [{"title": "Goal", "content": "Say why."}]}')
    report = library.create_report(CreateReport("Plan", template="plan"), ANN)["report_id"]
    assert codes(library, report) == ["unfilled_template"]
    (folder / "plan.json").write_text("{")
    assert codes(library, report) == [], "without the template there is nothing to compare with"


def test_a_cited_report_that_cannot_be_read_is_passed_over(library: Library) -> None:
    reports = [create_report(library, title) for title in ("Moved", "Damaged", "Gone")]
    for report in reports:
        update_report(library, report, append_text("More."))
    citing(library, *({"url": f"report://{report}/v/1"} for report in reports))
    assert codes(library) == ["source_moved"] * 3
    (folder_of(library, reports[1]) / "outline.json").write_text("{ broken")
    library.trash_report(TrashReport(reports[2]), author=ANN)
    [finding] = library.check_report(CheckReport("Health"))["findings"]
    assert f"report://{reports[0]}/v/2" in finding["hint"]
