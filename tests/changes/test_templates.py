"""Report templates: built-in ones, added ones, and filling them with sections."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from living_reports.changes import Change, apply_changes, parse_sections
from living_reports.changes.report_templates import BUILT_IN, find_template, parse_template
from living_reports.errors import InvalidInputError
from living_reports.model.report import Outline, utc_day
from living_reports.reading.check import findings
from support.small_outline import NOW, counting_ids, small_outline

PLAN = {
    "about": "A plan.",
    "sections": [
        {"title": "Goal", "notes": "One line."},
        {"title": "Steps", "notes": "In order.", "content": "1. …", "content_format": "markdown"},
        {"title": "Risks", "insights": [{"summary": "It may rain", "review_by": "+7d"}]},
    ],
}


def bytes_of(content: object) -> bytes:
    return json.dumps(content).encode()


def filled(*sections: dict[str, Any]) -> list[Change]:
    return parse_template("plan", bytes_of(PLAN)).filled(parse_sections(list(sections)))


def titles(changes: list[Change]) -> list[str]:
    return [change.fields["title"] for change in changes]


def made_of(changes: list[Change]) -> Outline:
    empty = small_outline().model_copy(update={"sections": [], "insights": []})
    return apply_changes(empty, changes, now=NOW, new_id=counting_ids()).outline


# --- Built-in templates -------------------------------------------------------------------


def test_the_files_of_the_package_are_the_built_in_templates() -> None:
    files = resources.files("living_reports.changes.report_templates").iterdir()
    assert sorted(f.name for f in files if f.name.endswith(".json")) == sorted(f"{n}.json" for n in BUILT_IN)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_template_makes_a_valid_report_with_notes(name: str) -> None:
    outline = made_of(find_template(name).filled([]))
    today = utc_day(NOW)
    assert today
    assert findings(outline, today) == []
    assert all(section.notes and "\n" not in section.notes for section in outline.sections)
    assert (not outline.sections) == (name == "blank")


def test_without_a_name_the_template_is_blank() -> None:
    assert find_template("") == find_template("blank")
    assert find_template("").filled([]) == []


def test_an_unknown_name_is_refused_with_the_known_names() -> None:
    with pytest.raises(InvalidInputError) as caught:
        find_template("Incidnet", {"postmortem": lambda: bytes_of(PLAN)})
    details = caught.value.details
    assert details["path"] == "template"
    assert details["allowed"] == [*BUILT_IN, "postmortem"]
    assert details["did_you_mean"] == "incident"


# --- Added templates ----------------------------------------------------------------------


def test_an_added_template_replaces_a_built_in_one() -> None:
    added = {"incident": lambda: bytes_of(PLAN)}
    assert titles(find_template("incident", added).filled([])) == ["Goal", "Steps", "Risks"]


def test_a_folder_of_files_can_be_passed_in_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(b"\xef\xbb\xbf" + bytes_of(PLAN))
    (tmp_path / "broken.json").write_bytes(b"{")
    added = {path.stem: path.read_bytes for path in tmp_path.glob("*.json")}
    assert titles(find_template("plan", added).filled([])) == ["Goal", "Steps", "Risks"]
    assert find_template("blank", added).sections == ()


BROKEN: list[tuple[bytes, str]] = [
    (b"", "not JSON"),
    (b"{'sections': []}", "not JSON"),
    (b"\xff\xfe\xfd", "not JSON"),
    (b"[" * 100_000, "not JSON"),
    (b"[]", "object"),
    (bytes_of({"section": []}), "'section'"),
    (bytes_of({"about": 7}), "about: text is expected"),
    (bytes_of({"sections": {"title": "x"}}), "sections: a list is expected"),
    (bytes_of({"sections": [{"notes": "x"}]}), "sections[0].title"),
    (bytes_of({"sections": [{"title": "x", "note": "y"}]}), "sections[0].note"),
    (bytes_of({"sections": [{"title": "x" * 501}]}), "sections[0].title"),
    (bytes_of({"sections": [{"title": "Risks"}, {"title": " RISKS "}]}), "sections[1]"),
]


@pytest.mark.parametrize(("data", "problem"), BROKEN, ids=[problem for _, problem in BROKEN])
def test_an_invalid_file_is_named_with_its_defect(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        find_template("mine", {"mine": lambda: data})
    assert caught.value.message.startswith("The template file mine.json cannot be used: ")
    assert problem in caught.value.message
    assert caught.value.details["path"] == "template"


def test_a_file_that_cannot_be_read_is_named_without_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mine.json"
    folder.mkdir()
    with pytest.raises(InvalidInputError) as caught:
        find_template("mine", {"mine": folder.read_bytes})
    assert "mine.json" in caught.value.message
    assert str(tmp_path) not in json.dumps(caught.value.answer())


# --- Filling ------------------------------------------------------------------------------


def test_a_template_alone_gives_its_sections() -> None:
    outline = made_of(filled())
    assert [s.title for s in outline.sections] == ["Goal", "Steps", "Risks"]
    assert [s.notes for s in outline.sections] == ["One line.", "In order.", None]
    assert outline.sections[1].content == "1. …"
    assert outline.insights[0].metadata == {"review_by": "2026-11-30"}


FILLED: list[tuple[dict[str, Any], Callable[[Change], object], object]] = [
    (
        {"title": " steps", "content": "1. Go"},
        lambda c: dict(c.fields),
        {"title": "steps", "content": "1. Go"},
    ),
    (
        {"title": "STEPS", "insights": [{"summary": "s"}]},
        lambda c: {name: c.fields[name] for name in ("title", "notes", "content")},
        {"title": "STEPS", "notes": "In order.", "content": "1. …"},
    ),
    (
        {"title": "Steps", "notes": "Mine."},
        lambda c: (c.fields["notes"], c.fields["content"]),
        ("Mine.", "1. …"),
    ),
    (
        {"title": "Steps", "content_format": "html"},
        lambda c: dict(c.fields),
        {"title": "Steps", "content_format": "html"},
    ),
]


@pytest.mark.parametrize(("given", "see", "expected"), FILLED)
def test_a_given_section_fills_the_one_of_its_title(
    given: dict[str, Any], see: Callable[[Change], object], expected: object
) -> None:
    changes = filled(given)
    assert titles(changes) == ["Goal", given["title"].strip(), "Risks"]
    assert see(changes[1]) == expected
    assert changes[1].path == "sections[0]"


def test_other_sections_follow_in_their_order() -> None:
    changes = filled({"title": "Cost"}, {"title": "Risks"}, {"title": "cost"}, {"title": "risks"})
    assert titles(changes) == ["Goal", "Steps", "Risks", "Cost", "cost", "risks"]
