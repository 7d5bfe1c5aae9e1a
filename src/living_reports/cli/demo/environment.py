"""The subject of the demo's report: the packages of the Python environment that runs it.

Facts come from `importlib.metadata` only; nothing is imported or downloaded. Of two distributions
with one name the first on the path counts, as it does for `import`. Each section of the report has
one insight, whose importance says how soon a person should look at it.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from living_reports.cli.terminal import size

PACKAGES, LICENCES, MISSING = "Installed packages", "Licences", "Missing packages"
MAX_NAMES = 12
_NAME = re.compile(r"[\w.-]+")
_SEPARATORS = re.compile(r"[-_.]+")
COPYLEFT = ("GPL", "MPL", "EPL", "CDDL")


@dataclass(frozen=True)
class Package:
    """One installed distribution; `size` is in bytes, 0 if the distribution does not list its files.

    `requires` holds the requirements without an environment marker: those that apply everywhere.
    """

    name: str
    version: str
    licence: str = ""
    size: int = 0
    requires: tuple[str, ...] = ()


def read_packages() -> list[Package]:
    """Return the packages of this environment, sorted by name."""
    packages: dict[str, Package] = {}
    for distribution in distributions():
        # A folder left by an interrupted installation has no name and is not a package.
        if name := _field(distribution, "Name"):
            packages.setdefault(_normalize(name), _package(name, distribution))
    return [packages[name] for name in sorted(packages)]


def _field(distribution: Distribution, name: str) -> str:
    return next(iter(distribution.metadata.get_all(name) or []), "")


def _normalize(requirement: str) -> str:
    match = _NAME.match(requirement.strip())
    return _SEPARATORS.sub("-", match[0]).lower() if match else ""


def _package(name: str, distribution: Distribution) -> Package:
    files = [(file.size, Path(str(file.locate()))) for file in distribution.files or []]
    # RECORD lists compiled files without their size.
    total = sum(listed or (path.stat().st_size if path.is_file() else 0) for listed, path in files)
    requires = tuple(text for text in distribution.requires or [] if ";" not in text)
    return Package(name, distribution.version, _licence(distribution), total, requires)


def _licence(distribution: Distribution) -> str:
    """Return the licence expression, else the licence classifiers, else the start of the licence text."""
    classifiers = [text for text in distribution.metadata.get_all("Classifier") or [] if "License ::" in text]
    names = ", ".join(text.rpartition(" :: ")[2].removesuffix(" License") for text in classifiers)
    text = _field(distribution, "License").strip().partition("\n")[0][:40]
    return _field(distribution, "License-Expression") or names or text


def missing(packages: Sequence[Package]) -> list[tuple[Package, str]]:
    """Return the requirements whose package is not installed; versions are not compared."""
    installed = {_normalize(package.name) for package in packages}
    return [(p, text) for p in packages for text in p.requires if _normalize(text) not in installed]


def in_brief(packages: Sequence[Package]) -> str:
    """Return how many packages and requirements there are."""
    count, required = len(packages), sum(len(package.requires) for package in packages)
    python, total = platform.python_version(), size(sum(package.size for package in packages))
    return f"Python {python}, {count} packages, {total}, {required} unconditional requirements"


def sections(packages: Sequence[Package], observed_at: str) -> list[dict[str, Any]]:
    """Return the sections of the report, in the form of `create_report`, as observed on this day."""
    seen = {"source": "observation", "description": f"importlib.metadata of {sys.prefix}"}
    common = {"citations": [seen | {"observed_at": observed_at}], "as_of": observed_at}
    described = {PACKAGES: _describe_packages, LICENCES: _describe_licences, MISSING: _describe_missing}
    made = []
    for title, describe in described.items():
        content, summary, importance = describe(packages)
        insight = {"summary": summary, "importance": importance, "review_by": "+30d", **common}
        made.append({"title": title, "content": content, "insights": [insight]})
    return made


def _describe_packages(packages: Sequence[Package]) -> tuple[str, str, int]:
    """Return a section's content, and the summary and importance of its insight."""
    rows = [(p.name, p.version, size(p.size) if p.size else "unknown") for p in packages]
    return _table(("Package", "Version", "Size"), rows), f"{in_brief(packages)}.", 4


def _describe_licences(packages: Sequence[Package]) -> tuple[str, str, int]:
    by_licence: dict[str, list[Package]] = {}
    for package in packages:
        by_licence.setdefault(package.licence, []).append(package)
    rows = [(licence or "not declared", _names(found)) for licence, found in sorted(by_licence.items())]
    content = _table(("Licence", "Packages"), rows)
    if "" in by_licence:
        return content, f"No licence is declared by {_names(by_licence[''])}.", 7
    if copyleft := [package for package in packages if any(word in package.licence for word in COPYLEFT)]:
        return content, f"A copyleft licence is named by {_names(copyleft)}.", 5
    return content, "Every package declares a licence, and none names a copyleft licence.", 3


def _describe_missing(packages: Sequence[Package]) -> tuple[str, str, int]:
    note = "Requirements with an environment marker are not counted; versions are not compared."
    found = missing(packages)
    if not found:
        summary = "Every unconditional requirement names an installed package."
        return f"{summary} {note}", summary, 2
    content = _table(("Package", "Requires"), [(package.name, text) for package, text in found])
    summary = f"{found[0][0].name} requires {found[0][1]}, which is not installed; {len(found)} in total."
    return f"{content}\n\n{note}", summary, 9


def _names(packages: Sequence[Package]) -> str:
    more = [f"{len(packages) - MAX_NAMES} more"] if len(packages) > MAX_NAMES else []
    return ", ".join([*(package.name for package in packages[:MAX_NAMES]), *more])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def versions(table: str) -> dict[str, str]:
    """Return the version of each package that an "Installed packages" section lists."""
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]
    return {row[1]: row[2] for row in rows[2:] if len(row) > 3}


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return a line for each package that was installed, removed or changed; none if `old` is empty."""
    added = [f"{name} {new[name]} was installed" for name in new if old and name not in old]
    removed = [f"{name} {old[name]} was removed" for name in old if name not in new]
    changed = [name for name in new if name in old and old[name] != new[name]]
    return [*added, *removed, *(f"{name} went from {old[name]} to {new[name]}" for name in changed)]
