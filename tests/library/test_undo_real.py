"""Each change in the life of a real document undone in turn, with all later ones kept.

Whatever the undone change did not touch stays as it is now, to the byte. Where later changes
stand on it, the refusal names the one in the way: right before it, something else clashed.
Version 320 took out the list that nearly all others had edited; so the same is tried before it.
`pytest -s --full tests/test_undo_real.py` goes through all 332 and prints how many go cleanly.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from living_reports.errors import InvalidInputError, VersionConflictError
from living_reports.library import Library
from living_reports.library.merging import carried_over
from living_reports.library.requests import CreateReport, RevertReport, UpdateReport
from living_reports.library.revert import proposed_revert
from living_reports.model.delta import item_of
from living_reports.model.merge import three_way
from living_reports.model.merge_values import changed_lines
from living_reports.model.report import Outline
from support.histories import changes_between, reason_of, revisions, split_sections
from support.library_reports import ANN


@dataclass
class Kept:
    """The document as a report, and its outline at each version."""

    library: Library
    report: str
    versions: dict[int, Outline]

    @property
    def current(self) -> Outline:
        return self.versions[max(self.versions)]

    def touched(self, version: int) -> set[str]:
        """The sections that a version changed."""
        record = self.library.store.event(self.report, version)
        assert record is not None
        return {item for edit in record.delta if (item := item_of(edit["at"]))}


@pytest.fixture(scope="module", params=[333, 319], ids=["whole", "before its list went"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    sent = list(revisions("log4j-guidance"))[: request.param]
    library = Library(tmp_path_factory.mktemp("root"))
    before = split_sections(sent[0]["text"])
    sections = [{"title": name, "content": text} for name, text in before.items()]
    report = library.create_report(CreateReport("Guidance", sections), author=ANN)["report_id"]
    versions = {1: library.store.read(report).outline}
    for version, revision in enumerate(sent[1:], 2):
        after = split_sections(revision["text"])
        changes = changes_between(before, after)
        library.update_report(UpdateReport(report, changes, reason_of(revision), version - 1), author=ANN)
        versions[version] = library.store.read(report).outline
        before = after
    return Kept(library, report, versions)


def undone(kept: Kept, version: int) -> Outline:
    """The outline that undoing a version would make; nothing is committed."""
    with kept.library.store.edit(kept.report) as edit:
        outcome, _ = carried_over(
            edit, 0, proposed_revert(edit, RevertReport(kept.report, undo=str(version)), {})
        )
    return outcome.outline


def lines(outline: Outline, ids: set[str]) -> Counter[str]:
    """How often each line is there; which of many blank ones came or went cannot be told."""
    texts = (section.content or "" for section in outline.sections if section.section_id in ids)
    return Counter(line for text in texts for line in text.split("\n") if line.strip())


def edited_lines(kept: Kept, version: int, touched: set[str]) -> set[str]:
    """The lines that a version took out, put in or moved."""
    before, after = (
        {section.section_id: section.content or "" for section in kept.versions[number].sections}
        for number in (version - 1, version)
    )
    texts = (changed_lines(before.get(name, ""), after.get(name, "")) for name in touched)
    return {line for pair in texts for text in pair for line in text.split("\n")}


def assert_all_else_is_unchanged(kept: Kept, version: int, result: Outline) -> None:
    touched = kept.touched(version)
    now = {section.section_id: section for section in kept.current.sections}
    then = {section.section_id: section for section in result.sections}
    untouched = {name for name in (*now, *then) if name not in touched}
    assert {name: then[name].content for name in untouched} == {name: now[name].content for name in untouched}
    assert [name for name in then if name in untouched] == [name for name in now if name in untouched]
    current, made = lines(kept.current, touched), lines(result, touched)
    differing = {line for line in current | made if current[line] != made[line]}
    assert differing <= edited_lines(kept, version, touched)


def assert_names_what_is_in_the_way(kept: Kept, version: int, conflicts: list[dict[str, Any]]) -> None:
    before, after = kept.versions[version - 1], kept.versions[version]
    assert conflicts
    for conflict in conflicts:
        by = conflict["by"]["version"]
        assert version < by <= max(kept.versions)
        short = conflict["at"].split("/")[1]
        assert any(item.startswith(short) for item in kept.touched(by))
    by = conflicts[0]["by"]["version"]
    there, earlier = (three_way(after, kept.versions[number], before).conflicts for number in (by, by - 1))
    assert there != earlier


def try_to_undo(kept: Kept, version: int) -> bool:
    """True if it goes cleanly."""
    try:
        answer = kept.library.revert_report(RevertReport(kept.report, undo=version, dry_run=True), author=ANN)
    except VersionConflictError as error:
        assert_names_what_is_in_the_way(kept, version, error.details["conflicts"])
        return False
    touched = {item[:8] for item in kept.touched(version)}
    places = [row["at"] for row in answer["changed"]]
    assert all(at == "sections" or at.split("/")[1][:8] in touched for at in places)
    assert_all_else_is_unchanged(kept, version, undone(kept, version))
    return True


@pytest.mark.parametrize(
    "step", [pytest.param(32, id="sample"), pytest.param(1, id="all", marks=pytest.mark.full)]
)
def test_undoing_a_change_leaves_all_else_or_names_what_is_in_the_way(kept: Kept, step: int) -> None:
    versions = range(max(kept.versions), 1, -step)
    clean = sum(try_to_undo(kept, version) for version in versions)
    print(f"\n{len(versions)} undone: {clean} cleanly, {len(versions) - clean} in conflict")
    assert 0 < clean < len(versions)
    assert kept.library.store.read(kept.report).version == max(kept.versions)


def test_undoing_the_creation_is_refused(kept: Kept) -> None:
    with pytest.raises(InvalidInputError) as caught:
        kept.library.revert_report(RevertReport(kept.report, undo=1), author=ANN)
    assert caught.value.details["path"] == "undo"
