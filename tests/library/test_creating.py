"""A report made of a template, of one other report, or of several: what it holds and where that is from."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import (
    AmbiguousSelectorError,
    InvalidInputError,
    ReportError,
    ReportNotFoundError,
    RequestIdReusedError,
    TooLargeError,
)
from living_reports.library import Library
from living_reports.library.requests import CheckReport, CreateReport, ListReports, TrashReport
from living_reports.store.files.doctor import check_root
from support.library_reports import (
    ANN,
    Json,
    append_text,
    content_of,
    create_report,
    folder_of,
    folder_store,
    set_title,
    update_report,
)


def create(library: Library, title: str = "New", **more: Any) -> Json:
    return library.create_report(CreateReport(title, **more), author=ANN)


def outline(library: Library, report: str) -> Json:
    data: Json = json.loads((folder_of(library, report) / "outline.json").read_bytes())
    return data


def events(library: Library, report: str) -> list[Json]:
    lines = (folder_of(library, report) / "audit.jsonl").read_bytes().splitlines()
    return [json.loads(line) for line in lines]


def titles(answer: Json) -> list[str]:
    return [section["title"] for section in answer["created"]["sections"]]


# --- Templates ----------------------------------------------------------------------------


def test_a_template_gives_its_sections_and_is_remembered(library: Library) -> None:
    answer = create(library, template="incident")
    made = outline(library, answer["report_id"])
    assert titles(answer) == [section["title"] for section in made["sections"]]
    assert len(made["sections"]) > 2
    assert made["metadata"] == {"status": "active", "template": "incident"}
    assert events(library, answer["report_id"])[0]["action_type"] == "create"


def test_given_sections_fill_those_of_the_template(library: Library) -> None:
    first, second = titles(create(library, template="incident"))[:2]
    given = [{"title": "Own", "content": "Mine."}, {"title": second.upper(), "content": "Filled."}]
    answer = create(library, "Filled", template="incident", sections=given)
    assert titles(answer)[:2] == [first, second.upper()]
    assert titles(answer)[-1] == "Own"
    assert content_of(library, answer["report_id"], second) == "Filled."


@pytest.mark.parametrize("name", ["", "blank"])
def test_a_blank_template_leaves_no_trace(library: Library, name: str) -> None:
    answer = create(library, template=name)
    assert "created" not in answer
    assert outline(library, answer["report_id"])["metadata"] == {"status": "active"}


def test_a_template_under_the_root_can_be_used_and_wins(library: Library, root: Path) -> None:
    folder = root / "templates"
    folder.mkdir(parents=True)
    (folder / "retro.json").write_text('{"sections": [{"title": "Keep"}, {"title": "Stop"}]}')
    (folder / "incident.json").write_text('{"sections": [{"title": "Ours"}]}')
    (folder / "broken.json").write_text("{")
    assert titles(create(library, template="retro")) == ["Keep", "Stop"]
    assert check_root(folder_store(library).reports_root) == []
    assert titles(create(library, template="incident")) == ["Ours"]
    with pytest.raises(InvalidInputError, match=r"broken\.json"):
        create(library, template="broken")
    with pytest.raises(InvalidInputError) as caught:
        create(library, template="retrospective")
    assert {"retro", "incident", "blank"} <= set(caught.value.details["allowed"])


def test_an_unknown_template_makes_nothing(library: Library, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        create(library, template="incidnet")
    assert (caught.value.details["path"], caught.value.details["did_you_mean"]) == ("template", "incident")
    assert not any(tmp_path.iterdir())


# --- Fork and combine ---------------------------------------------------------------------


def test_a_fork_has_all_of_its_source_under_new_ids(library: Library) -> None:
    report = create_report(library, tags=["ops"])
    update_report(library, report, append_text("More."))
    before = (folder_of(library, report) / "outline.json").read_bytes()
    answer = create(library, "Fork", from_reports=["Health"], tags=["copy", "ops"], reason="try")
    fork, source = outline(library, answer["report_id"]), json.loads(before)
    provenance = [{"report_id": report, "version": 2}]
    assert fork["metadata"] == {"status": "active", "tags": ["copy", "ops"], "from_reports": provenance}
    assert titles(answer) == ["Errors", "Latency"]
    assert [s["content"] for s in fork["sections"]] == [s["content"] for s in source["sections"]]
    ids = {s["section_id"] for s in fork["sections"]} | {i["insight_id"] for i in fork["insights"]}
    assert not ids & {s["section_id"] for s in source["sections"]}
    assert {row["insight_id"] for row in answer["created"]["insights"]} <= ids
    assert fork["insights"][0]["citations"][-1]["url"] == f"report://{report}/v/2"
    [event] = events(library, answer["report_id"])
    assert (event["action_type"], event["payload"]["from_reports"]) == ("fork", provenance)
    assert event["payload"]["reason"] == "try"
    assert (folder_of(library, report) / "outline.json").read_bytes() == before
    assert len(events(library, report)) == 2


def test_several_are_combined_in_order_behind_given_sections(library: Library) -> None:
    health = create_report(library)
    costs = create_report(library, "Costs", sections=[{"title": "errors"}, {"title": "Prices"}])
    answer = create(
        library, "Both", from_reports=["Costs", health[:8]], sections=[{"title": "Verdict", "content": "Go."}]
    )
    expected = ["Verdict", "errors (Costs)", "Prices", "Errors (Health)", "Latency"]
    assert titles(answer) == expected
    assert [section["order"] for section in outline(library, answer["report_id"])["sections"]] == [*range(5)]
    [event] = events(library, answer["report_id"])
    assert event["action_type"] == "synthesize"
    assert [each["report_id"] for each in event["payload"]["from_reports"]] == [costs, health]


def test_a_fork_is_made_of_the_newest_version_and_does_not_follow_it(library: Library) -> None:
    report = create_report(library)
    fork = create(library, "Fork", from_reports=["Health"])["report_id"]
    update_report(library, report, append_text("Later."))
    assert "Later." not in content_of(library, fork)
    [finding] = [
        f for f in library.check_report(CheckReport(fork))["findings"] if f["code"] == "source_moved"
    ]
    assert "version 2" in finding["message"]


def test_provenance_is_not_set_by_hand(library: Library) -> None:
    report = create_report(library)
    with pytest.raises(InvalidInputError, match="from_reports"):
        update_report(library, report, {"op": "set_metadata", "key": "from_reports", "value": 1})


@pytest.mark.parametrize(
    ("names", "error", "path"),
    [
        (["Health", "Nowhere"], ReportNotFoundError, "from_reports[1]"),
        (["Costs"], AmbiguousSelectorError, "from_reports[0]"),
        (["Health", "Health"], InvalidInputError, "from_reports[1]"),
        ([7], InvalidInputError, "from_reports[0]"),
    ],
)
def test_a_source_that_cannot_be_used_is_named(
    library: Library, names: list[Any], error: type[Exception], path: str
) -> None:
    create_report(library)
    create_report(library, "Costs 1")
    create_report(library, "Costs 2")
    with pytest.raises(error) as caught:
        create(library, from_reports=names)
    assert caught.value.details["path"] == path  # type: ignore[attr-defined]
    assert library.list_reports(ListReports())["total"] == 3


def test_a_template_and_other_reports_do_not_go_together(library: Library) -> None:
    create_report(library)
    with pytest.raises(InvalidInputError) as caught:
        create(library, from_reports=["Health"], template="status")
    assert caught.value.details["path"] == "template"
    assert titles(create(library, from_reports=["Health"], template="blank")) == ["Errors", "Latency"]


def test_all_inherited_tags_keep_the_limit_and_given_ones_replace_them(library: Library) -> None:
    for name in ("t", "u"):
        create_report(library, name, tags=[f"{name}{i}" for i in range(150)])
    with pytest.raises(TooLargeError) as caught:
        create(library, from_reports=["t", "u"])
    assert caught.value.details == {"path": "from_reports", "limit": 200}
    answer = create(library, from_reports=["t", "u"], tags=["own"])
    assert outline(library, answer["report_id"])["metadata"]["tags"] == ["own"]
    assert "tags" not in answer["inherited"]


def test_the_answer_says_what_was_inherited_also_when_it_is_repeated(library: Library) -> None:
    health = create_report(library, tags=["ops"])
    costs = create_report(library, "Costs", sections=[{"title": "Prices"}], tags=["q3"])
    asked: Json = {
        "title": "Both",
        "from_reports": ["Costs", "Health"],
        "sections": [{"title": "Verdict", "insights": [{"summary": "Go"}]}],
        "request_id": "r1",
    }
    answer = create(library, **asked)
    assert answer["inherited"] == {
        "sections": 3,
        "insights": 1,
        "tags": ["q3", "ops"],
        "from": [
            {"report_id": costs[:8], "title": "Costs", "version": 1},
            {"report_id": health[:8], "title": "Health", "version": 1},
        ],
    }
    assert create(library, **asked) == answer
    assert "inherited" not in create(library, "Alone")


def test_what_is_odd_about_a_source_is_said(library: Library) -> None:
    report = create_report(library)
    update_report(library, report, append_text("More."))
    (folder_of(library, report) / "outline.json").write_text("{ broken")
    answer = create(library, "Fork", from_reports=[report])
    assert answer["warnings"]
    assert all(warning.startswith("Health: ") for warning in answer["warnings"])
    assert "More." in content_of(library, answer["report_id"])


def test_a_fork_of_a_large_report_has_a_short_answer(library: Library) -> None:
    many = [{"title": f"Part {i}", "insights": [{"summary": "x"}] * 3} for i in range(150)]
    create_report(library, sections=many)
    answer = create(library, "Fork", from_reports=["Health"])
    assert len(json.dumps(answer, separators=(",", ":"))) <= 20_000
    assert "are shown" in answer["warnings"][0]


# --- Trying, days, titles -----------------------------------------------------------------


def kept_files(root: Path) -> list[Path]:
    """Return all files but those of the search, which can be deleted at any time."""
    return sorted(path for path in root.rglob("*") if not path.name.startswith(".search"))


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(library: Library, root: Path) -> None:
    create_report(library, tags=["ops"])
    files = kept_files(root)
    asked: Json = {
        "from_reports": ["Health"],
        "sections": [{"title": "Verdict", "insights": [{"summary": "Go", "review_by": "+2w"}]}],
        "request_id": "r1",
    }
    tried = create(library, dry_run=True, **asked)
    assert tried["dry_run"] is True
    assert not tried.keys() & {"report_id", "version", "action_id"}
    assert kept_files(root) == files
    made = create(library, **asked)
    assert titles(tried) == titles(made) == ["Verdict", "Errors", "Latency"]
    assert tried["inherited"] == made["inherited"]
    assert create(library, dry_run=True, **asked)["dry_run"] is True


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"title": "New", "template": "nothing"},
        {"title": "New", "from_reports": ["nothing"]},
        {"title": "New", "sections": [{"title": "x", "insights": [{"summary": "y", "importance": 11}]}]},
    ],
)
def test_a_dry_run_refuses_what_the_call_would_refuse(library: Library, root: Path, wrong: Json) -> None:
    with pytest.raises(ReportError) as caught:
        create(library, dry_run=True, **wrong)
    with pytest.raises(type(caught.value)):
        create(library, **wrong)
    assert not root.exists()


def test_relative_days_are_answered_as_the_days_that_they_mean(library: Library) -> None:
    insights = [
        {"summary": "relative", "review_by": "+2w", "as_of": "+0d"},
        {"summary": "stated", "review_by": "2027-01-31"},
    ]
    asked: Json = {"sections": [{"title": "Errors", "insights": insights}], "request_id": "r1"}
    answer = create(library, **asked)
    today = datetime.now(UTC).date()
    relative, stated = answer["created"]["insights"]
    assert (relative["as_of"], relative["review_by"]) == (str(today), str(today + timedelta(weeks=2)))
    assert stated.keys() == {"insight_id", "section_id", "summary", "section_title"}
    assert create(library, **asked) == answer
    added = {"op": "add_insight", "section": "Errors", "summary": "later", "review_by": "+1d"}
    [row] = update_report(library, answer["report_id"], added)["created"]["insights"]
    assert row["review_by"] == str(today + timedelta(days=1))


@pytest.mark.parametrize("title", ["Health", "  HEALTH "])
def test_an_active_report_with_the_same_title_is_named(library: Library, title: str) -> None:
    report = create_report(library)
    assert "warnings" not in create(library, "Healthy")
    answer = create(library, title, request_id="r1")
    [warning] = answer["warnings"]
    assert "'Health'" in warning
    assert f"update_report with report={report[:8]}" in warning
    assert create(library, title, request_id="r1") == answer
    assert create(library, title, dry_run=True)["warnings"][0] == warning


def test_an_archived_report_with_the_same_title_is_not_named(library: Library) -> None:
    update_report(library, create_report(library), {"op": "set_status", "status": "archived"})
    assert "warnings" not in create(library, "Health")


# --- Retries ------------------------------------------------------------------------------


def test_a_repeated_fork_is_the_first_one_whatever_became_of_its_source(library: Library) -> None:
    report = create_report(library)
    first = create(library, "Fork", from_reports=["Health"], request_id="r1")
    update_report(library, report, set_title("Checkout"), append_text("More."))
    library.trash_report(TrashReport("Checkout"), author=ANN)
    assert create(library, "Fork", from_reports=["Health"], request_id="r1") == first
    assert create(library, "Fork", from_reports=["Health"], template="blank", request_id="r1") == first


def test_another_template_or_source_under_the_same_request_is_refused(library: Library) -> None:
    create_report(library)
    create(library, request_id="r1")
    for more in ({"template": "status"}, {"from_reports": ["Health"]}):
        with pytest.raises(RequestIdReusedError):
            create(library, request_id="r1", **more)


# --- Documents ----------------------------------------------------------------------------


def test_a_document_cited_in_a_new_report_has_its_hash(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    (evidence / "run.csv").write_bytes(b"test")
    library = Library(tmp_path / "root", sources=[evidence])
    cited = [{"path": "run.csv"}, {"path": "/etc/hostname"}, {"path": "run.csv", "response_hash": "mine"}]
    insight = {"summary": "Measured", "citations": cited}
    report = create_report(library, sections=[{"title": "Errors", "insights": [insight]}])
    citations = outline(library, report)["insights"][0]["citations"]
    assert citations == [
        {
            "source": "document",
            "response_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "path": "run.csv",
        },
        {"source": "document", "path": "/etc/hostname"},
        {"source": "document", "response_hash": "mine", "path": "run.csv"},
    ]


def test_all_answers_name_the_tags(library: Library) -> None:
    create_report(library, "Source", tags=["ops", "weekly"])
    request = CreateReport("Copy", from_reports=["Source"], request_id="once")
    tried = library.create_report(replace(request, dry_run=True), ANN)
    first, again = (library.create_report(request, ANN) for _ in range(2))
    assert tried["tags"] == first["tags"] == again["tags"] == ["ops", "weekly"]
    assert "tags" not in library.create_report(CreateReport("Bare"), ANN)
