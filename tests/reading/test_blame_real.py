"""The author of each change in a real history agrees with the revisions.

The 333 revisions of a document that 67 people kept are replayed, each with its own author. Who
last changed a section, and who wrote a line of it, is computed a second time from the revisions
alone, as `git blame` does it: by comparing each text with the one before, line by line.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import pytest

from living_reports.library import Library
from living_reports.library.requests import AuditReport, CreateReport, DiffReport, UpdateReport
from living_reports.model.event import Author
from support.histories import changes_between, reason_of, revisions, split_sections

Row = dict[str, Any]
Revision = dict[str, Any]

POINTS = 3


def replayed(library: Library, sent: list[Revision]) -> Iterator[tuple[int, str]]:
    """Replay the revisions; yield the revision number and the report at each point in time."""
    report = ""
    before: dict[str, str] = {}
    for number, revision in enumerate(sent, 1):
        author, reason = Author("agent", revision["author"]), reason_of(revision)
        after = split_sections(revision["text"])
        if not report:
            sections = [{"title": name, "content": text} for name, text in after.items()]
            report = library.create_report(CreateReport("Guidance", sections, reason=reason), author=author)[
                "report_id"
            ]
        else:
            library.update_report(UpdateReport(report, changes_between(before, after), reason), author=author)
        before = after
        if number % (len(sent) // POINTS) == 0:
            yield number, report


class Blame:
    """The revision that last changed each section, and the revision of each of its lines."""

    def __init__(self) -> None:
        self.sections: dict[str, int] = {}
        self.lines: dict[str, list[int]] = {}
        self._texts: dict[str, str] = {}

    def advance(self, number: int, text: str) -> None:
        now = split_sections(text)
        for name, new in now.items():
            old = self._texts.get(name)
            if old != new:
                self.sections[name] = number
                self.lines[name] = self._lines_after(name, old or "", new, number)
        for name in self._texts.keys() - now.keys():
            del self.sections[name], self.lines[name]
        self._texts = now

    def _lines_after(self, name: str, old: str, new: str, number: int) -> list[int]:
        before, after = old.splitlines(), new.splitlines()
        known = self.lines.get(name, [])
        matcher = SequenceMatcher(None, before, after, autojunk=False)
        found = [number] * len(after)
        for i, j, length in matcher.get_matching_blocks():
            found[j : j + length] = known[i : i + length]
        return found


def all_events(library: Library, report: str, item: str) -> tuple[Row, list[Row]]:
    """Return the last change and all events of a section, from all pages."""
    events: list[Row] = []
    cursor = ""
    while True:
        answer = library.audit_report(AuditReport(report, item=item, limit=100, cursor=cursor))
        events += answer["events"]
        cursor = answer.get("next_cursor", "")
        if not cursor:
            return answer["last_change"], events


class Replayed(NamedTuple):
    """The whole history in a library, and its answers about each section at each point in time."""

    library: Library
    report: str
    sent: list[Revision]
    answers: dict[int, dict[str, tuple[Row, list[Row]]]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    sent = list(revisions("log4j-guidance"))
    library = Library(tmp_path_factory.mktemp("reports"))
    answers = {}
    report = ""
    for number, report in replayed(library, sent):
        sections = library.store.read(report).outline.sections
        answers[number] = {s.title: all_events(library, report, s.section_id) for s in sections}
    return Replayed(library, report, sent, answers)


def test_blame_agrees_with_the_revisions_at_three_points_in_time(history: Replayed) -> None:
    blame = Blame()
    for number, revision in enumerate(history.sent, 1):
        blame.advance(number, revision["text"])
        if number not in history.answers:
            continue
        sections = history.answers[number]
        assert sections.keys() == blame.sections.keys()
        for name, (last, events) in sections.items():
            changed_in = blame.sections[name]
            blamed = history.sent[changed_in - 1]
            assert last["version"] == events[0]["version"] == changed_in
            assert last["client"] == blamed["author"]
            assert reason_of(blamed).startswith(last["reason"].rstrip("…"))
            assert set(blame.lines[name]) <= {row["version"] for row in events}
    assert list(history.answers) == [111, 222, 333]
    assert all(len(sections) > 1 for sections in history.answers.values())


def last_by(row: dict[str, Any]) -> int:
    """Return the version of the last of the changes that a row of a difference names."""
    by = row["by"]
    return int((by[-1] if isinstance(by, list) else by)["version"])


@pytest.mark.parametrize("since", [111, 222, 300])
def test_the_author_of_a_difference_is_the_last_to_change_it(history: Replayed, since: int) -> None:
    """`by` is the last revision that touched a section whose text differs."""
    blame = Blame()
    for number, revision in enumerate(history.sent, 1):
        blame.advance(number, revision["text"])
    old, new = split_sections(history.sent[since - 1]["text"]), split_sections(history.sent[-1]["text"])
    sections = history.library.store.read(history.report).outline.sections
    titles = {section.section_id[:8]: section.title for section in sections}
    changed = history.library.diff_report(DiffReport(history.report, since=since))["changed"]
    items = [(row["at"].split("/")[1], last_by(row)) for row in changed if "/" in row["at"]]
    expected = {name: blame.sections[name] for name, text in new.items() if old.get(name) != text}
    assert {titles[item]: version for item, version in items if item in titles} == expected
    assert expected
