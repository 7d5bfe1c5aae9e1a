"""What was seen in an environment, worded as the sections and insights of a report.

Rules: pure functions of an `Environment` and of what the report says already. Each topic is
one section with one insight; its importance says how soon a person should look.

    >>> topics(environment, "2026-11-23")[3].summary
    'All 60 requirements that apply here are met.'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from living_reports.cli.demo.environment import Conflict, Environment, Package
from living_reports.cli.terminal import size

PACKAGES, LICENCES, DISK, CONFLICTS, LOG = (
    "Installed packages",
    "Licences",
    "Disk use",
    "Requirement conflicts",
    "What changed",
)
MOST_SHOWN = 12
COPYLEFT = ("GPL", "MPL", "EPL", "CDDL")

Change = dict[str, Any]


@dataclass(frozen=True)
class Topic:
    """One section and its insight."""

    title: str
    content: str
    summary: str
    importance: int
    citations: list[Change]


def topics(environment: Environment, observed_at: str) -> list[Topic]:
    """What there is to say about this environment on a day, in the order of the report."""
    seen = {
        "source": "observation",
        "description": f"importlib.metadata of {environment.prefix}",
        "observed_at": observed_at,
    }
    return [
        _packages(environment, seen),
        _licences(environment, seen),
        _disk_use(environment, seen),
        _conflicts(environment, seen),
    ]


def _packages(environment: Environment, seen: Change) -> Topic:
    rows = [
        [p.name, p.version, _shown(p.size), f"<{p.home_page}>" if p.home_page else ""]
        for p in environment.packages
    ]
    count, needed = len(environment.packages), environment.requirements
    return Topic(
        PACKAGES,
        _table(["Package", "Version", "Size", "Home page"], rows),
        f"Python {environment.python} has {count} packages with {needed} requirements between them.",
        4,
        [seen],
    )


def _licences(environment: Environment, seen: Change) -> Topic:
    by_licence: dict[str, list[Package]] = {}
    for package in environment.packages:
        by_licence.setdefault(package.licence or "not declared", []).append(package)
    ranked = sorted(by_licence.items(), key=lambda item: (-len(item[1]), item[0]))
    rows = [[name, str(len(found)), _names(found)] for name, found in ranked]
    silent = by_licence.get("not declared", [])
    copyleft = [p for p in environment.packages if any(word in (p.licence or "") for word in COPYLEFT)]
    if silent:
        summary, importance = f"No licence is declared by {_names(silent)}.", 7
    elif copyleft:
        summary, importance = f"Changes to {_names(copyleft)} must stay open: copyleft licences.", 5
    else:
        summary, importance = "Every package declares a licence, and none is copyleft.", 3
    citations = [seen, *map(_cited, (silent or copyleft)[:3])]
    return Topic(LICENCES, _table(["Licence", "Packages", "Which"], rows), summary, importance, citations)


def _disk_use(environment: Environment, seen: Change) -> Topic:
    total = sum(p.size or 0 for p in environment.packages)
    ranked = sorted(environment.packages, key=lambda p: (-(p.size or 0), p.name))
    rows = [[p.name, _shown(p.size), _share(p.size or 0, total)] for p in ranked[:MOST_SHOWN]]
    largest = ranked[:3]
    part = _share(sum(p.size or 0 for p in largest), total)
    return Topic(
        DISK,
        f"{size(total)} in all; the largest:\n\n" + _table(["Package", "Size", "Share"], rows),
        f"{_names(largest)} take {part} of the {size(total)} on disk.",
        4 if total < 500_000_000 else 6,
        [seen, *map(_cited, largest)],
    )


def _conflicts(environment: Environment, seen: Change) -> Topic:
    conflicts = environment.conflicts
    if not conflicts:
        met = f"All {environment.requirements} requirements that apply here are met."
        return Topic(CONFLICTS, met, met, 2, [seen])
    rows = [[c.package, c.requirement, c.found or "not installed"] for c in conflicts]
    count = f"{len(conflicts)} requirements are" if len(conflicts) > 1 else "1 requirement is"
    guilty = {p.name: p for p in environment.packages}
    return Topic(
        CONFLICTS,
        _table(["Package", "Requires", "Found"], rows),
        f"{count} not met: {_worded(conflicts[0])}" + (" and others." if len(conflicts) > 1 else "."),
        9,
        [seen, *(_cited(guilty[name]) for name in dict.fromkeys(c.package for c in conflicts[:3]))],
    )


def _worded(conflict: Conflict) -> str:
    found = f"version {conflict.found} is installed" if conflict.found else "it is not installed"
    return f"{conflict.package} requires {conflict.requirement}, {found}"


def _cited(package: Package) -> Change:
    """The file that says so, with where the project lives."""
    citation = {"source": "document", "title": f"{package.name} {package.version}"}
    stated = {"path": package.metadata_file, "url": package.home_page}
    return citation | {name: text for name, text in stated.items() if text}


def _names(packages: Sequence[Package]) -> str:
    names = [package.name for package in packages]
    if len(names) > MOST_SHOWN:
        names = [*names[:MOST_SHOWN], f"{len(names) - MOST_SHOWN} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _shown(count: int | None) -> str:
    return "unknown" if count is None else size(count)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# --- Bringing the report up to date -------------------------------------------------------


def section_of(topic: Topic) -> Change:
    """The topic as a section of `create_report`, its insight in it."""
    return {"title": topic.title, "content": topic.content, "insights": [_insight(topic)]}


def _insight(topic: Topic) -> Change:
    fields = {"summary": topic.summary, "importance": topic.importance, "citations": topic.citations}
    return fields | {"as_of": topic.citations[0]["observed_at"], "review_by": "+30d"}


def changes(found: Sequence[Topic], known: Mapping[str, str]) -> list[Change]:
    """The changes that make the report say what was found.

    `known` has the titles of the report's sections, each with the id of its insight, or ""
    where it has none; a section that somebody removed is added again.
    """
    asked: list[Change] = []
    for topic in found:
        if topic.title not in known:
            asked.append({"op": "add_section", **section_of(topic)})
            continue
        asked.append({"op": "edit_section", "section": topic.title, "content": topic.content})
        if insight := known[topic.title]:
            asked.append({"op": "edit_insight", "insight": insight, **_insight(topic)})
        else:
            asked.append({"op": "add_insight", "section": topic.title, **_insight(topic)})
    return asked


def logged(line: str, known: Mapping[str, str]) -> Change:
    """The change that adds a line to the report's own log."""
    text = f"- {line}"
    if LOG in known:
        return {"op": "append_text", "section": LOG, "text": text}
    return {"op": "add_section", "title": LOG, "content": text}


# --- What changed since -------------------------------------------------------------------


def versions(table: str) -> dict[str, str]:
    """The packages and versions that an "Installed packages" section lists."""
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]
    return {row[1]: row[2] for row in rows[2:] if len(row) > 3}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """One line for each package that came, went or changed its version.

    Nothing known of before is nothing to compare with.
    """
    if not before:
        return []
    came = [f"{name} {after[name]} was installed" for name in after if name not in before]
    went = [f"{name} {before[name]} was removed" for name in before if name not in after]
    moved = [
        f"{name} went from {before[name]} to {after[name]}"
        for name in after
        if name in before and before[name] != after[name]
    ]
    return [*came, *went, *moved]
