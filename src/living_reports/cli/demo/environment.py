"""What is installed in the Python environment that runs this, and whether it fits together.

Rules: facts only, read from `importlib.metadata`; no network, and nothing is imported. Of
two distributions with one name the first on the path counts, as it does for `import`.

    >>> environment = look()
    >>> environment.packages[0].name, environment.packages[0].version
    ('annotated-types', '0.8.0')
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

LONGEST_LICENCE = 40
SHORT_NAMES = {
    "Apache Software License": "Apache",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF",
}


@dataclass(frozen=True)
class Package:
    """One installed distribution. `size` is in bytes, `None` where nothing lists its files."""

    name: str
    version: str
    licence: str | None
    size: int | None
    home_page: str | None
    metadata_file: str | None
    requires: tuple[str, ...]


@dataclass(frozen=True)
class Conflict:
    """A requirement that is not met. `found` is the installed version, `None` where absent."""

    package: str
    requirement: str
    found: str | None


@dataclass(frozen=True)
class Environment:
    """All of it, packages in the order of their names."""

    python: str
    prefix: str
    packages: tuple[Package, ...]
    requirements: int
    conflicts: tuple[Conflict, ...]


def look() -> Environment:
    """Look at the environment this runs in."""
    packages = _packages(distributions())
    requirements = _active_requirements(packages)
    conflicts = [conflict for pair in requirements if (conflict := _conflict(*pair, packages))]
    return Environment(
        python=platform.python_version(),
        prefix=sys.prefix,
        packages=tuple(packages[name] for name in sorted(packages)),
        requirements=len(requirements),
        conflicts=tuple(conflicts),
    )


def _packages(found: Iterable[Distribution]) -> dict[str, Package]:
    packages: dict[str, Package] = {}
    for distribution in found:
        # A folder that an interrupted installation left has no name: it is no package.
        if name := _field(distribution, "Name"):
            packages.setdefault(canonicalize_name(name), _package(name, distribution))
    return packages


def _package(name: str, distribution: Distribution) -> Package:
    return Package(
        name=name,
        version=distribution.version,
        licence=_licence(distribution),
        size=_size(distribution),
        home_page=_home_page(distribution),
        metadata_file=_metadata_file(distribution),
        requires=tuple(distribution.requires or ()),
    )


def _field(distribution: Distribution, name: str) -> str | None:
    values = distribution.metadata.get_all(name)
    return values[0] if values else None


def _licence(distribution: Distribution) -> str | None:
    """What the package declares: the expression, else the classifiers, else a short text."""
    if expression := _field(distribution, "License-Expression"):
        return expression
    classifiers = [c for c in distribution.metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    names = [classifier.rpartition(" :: ")[2] for classifier in classifiers]
    if names:
        return ", ".join(SHORT_NAMES.get(name, name) for name in names)
    text = (_field(distribution, "License") or "").strip()
    return text if 0 < len(text) <= LONGEST_LICENCE and "\n" not in text else None


def _size(distribution: Distribution) -> int | None:
    """The bytes of the files that RECORD lists; compiled files are listed without a size."""
    files = distribution.files
    if files is None:
        return None
    return sum(_size_on_disk(Path(file.locate())) if file.size is None else file.size for file in files)


def _size_on_disk(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _home_page(distribution: Distribution) -> str | None:
    urls = dict[str, str]()
    for entry in distribution.metadata.get_all("Project-URL") or []:
        label, _, url = entry.partition(",")
        urls.setdefault(label.strip().lower(), url.strip())
    known = [_field(distribution, "Home-page"), *map(urls.get, ("homepage", "source", "repository"))]
    return next((url for url in [*known, *urls.values()] if url and url.startswith("http")), None)


def _metadata_file(distribution: Distribution) -> str | None:
    names = ("METADATA", "PKG-INFO")
    listed = [file for file in distribution.files or [] if file.name in names]
    return str(Path(listed[0].locate()).resolve()) if listed else None


def _active_requirements(packages: Mapping[str, Package]) -> list[tuple[Package, Requirement]]:
    """The requirements that apply here, with the extras that a requirement asks for."""
    todo = [(name, "") for name in sorted(packages)]
    seen = set(todo)
    active: dict[tuple[str, str], tuple[Package, Requirement]] = {}
    for name, extra in todo:  # grows while it is walked
        package = packages[name]
        for text in package.requires:
            requirement = _requirement(text, extra)
            if requirement is None:
                continue
            active.setdefault((name, text), (package, requirement))
            wanted = canonicalize_name(requirement.name)
            asked = {(wanted, e) for e in requirement.extras if wanted in packages} - seen
            todo.extend(sorted(asked))
            seen |= asked
    return list(active.values())


def _requirement(text: str, extra: str) -> Requirement | None:
    """The requirement, or `None` where it does not apply here or cannot be read."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    applies = requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    return requirement if applies else None


def _conflict(package: Package, requirement: Requirement, packages: Mapping[str, Package]) -> Conflict | None:
    wanted = f"{requirement.name}{requirement.specifier}"
    installed = packages.get(canonicalize_name(requirement.name))
    if installed is None:
        return Conflict(package.name, wanted, None)
    try:
        met = requirement.specifier.contains(installed.version, prereleases=True)
    except InvalidVersion:
        met = False
    return None if met else Conflict(package.name, wanted, installed.version)
