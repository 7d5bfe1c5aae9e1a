"""The answers to changes show what the report has now: all of its tags, and what new items cite."""

from __future__ import annotations

from living_reports.library import Library
from living_reports.library.requests import RevertReport
from support.library_reports import ANN, Json, create_report, update_report


def tags(op: str, *names: str) -> Json:
    return {"op": op, "tags": list(names)}


def test_a_row_of_tags_has_all_tags_after_the_change(library: Library) -> None:
    report = create_report(library, tags=["ops"])
    for asked in ({"dry_run": True}, {"request_id": "once"}, {"request_id": "once"}):
        [row] = update_report(library, report, tags("add_tags", "weekly"), **asked)["changed"]
        assert row == {"at": "metadata/tags", "added": ["weekly"], "now": ["ops", "weekly"]}
    [row] = library.revert_report(RevertReport(report, undo=2), ANN)["changed"]
    assert (row["removed"], row["now"]) == (["weekly"], ["ops"])
    [row] = update_report(library, report, tags("remove_tags", "ops"))["changed"]
    assert row["now"] == []


def test_a_long_list_of_tags_is_not_repeated(library: Library) -> None:
    report = create_report(library, tags=["x" * 40, "y" * 40])
    for name, is_shown in (("z" * 29, True), ("a", False)):  # 120 characters of JSON, and more
        [row] = update_report(library, report, tags("add_tags", name))["changed"]
        assert ("now" in row) is is_shown


def test_the_row_of_a_new_item_shows_what_it_cites(library: Library) -> None:
    report = create_report(library)
    cited = {"summary": "They rise", "citations": [{"url": "https://a.b/c"}, {"path": "costs.csv"}]}
    sources = [{"url": f"https://a.b/{n}"} for n in range(5)]
    add: Json = {"op": "add_section", "title": "Costs", "citations": sources}
    add["insights"] = [cited, {"summary": "They fall"}]
    for asked in ({"dry_run": True}, {}):
        rows = {row["item"]: row for row in update_report(library, report, add, **asked)["changed"]}
        assert rows["Costs"]["citations"] == [*(f"https://a.b/{n}" for n in range(3)), "… 2 more"]
        assert rows["They rise"]["citations"] == ["https://a.b/c", "costs.csv"]
        assert "citations" not in rows["They fall"]
    removed = update_report(library, report, {"op": "remove_section", "section": "Costs"})["changed"]
    assert not any("citations" in row for row in removed)
    back = library.revert_report(RevertReport(report, undo=3), ANN)["changed"]
    [row] = [row for row in back if row.get("item") == "They rise"]
    assert row["citations"] == ["https://a.b/c", "costs.csv"]
