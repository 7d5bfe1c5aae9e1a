"""Report templates: the sections with which a new report begins.

Rules:

- A template is JSON: `{"about": …, "sections": […]}`, with sections in the form of `create_report`.
  `about` is one line for readers of the file. The templates of the package are the JSON files in
  this folder.
- A template in the reports root (`templates/<name>.json`) replaces one of the package with the
  same name. Its file is read only when the template is used, so that a broken file does not affect
  other calls.
- The `notes` of a section describe its purpose. A given section with content replaces the
  template's section of the same title; one without content gets the template's content and notes
  unless it has its own. Given sections of other titles follow in their order.

    >>> template = parse_template("plan", b'{"sections": [{"title": "Goal", "notes": "One line."}]}')
    >>> [change.fields["title"] for change in template.filled(parse_sections([{"title": "Cost"}]))]
    ['Goal', 'Cost']
    >>> find_template("incident").sections[0].fields["title"]
    'Summary'
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from living_reports.changes import Change, parse_sections, parse_text
from living_reports.errors import InvalidInputError, RequestError
from living_reports.model.report import folded
from living_reports.model.selectors import cut, quoted

DEFAULT = "blank"
BUILT_IN = (DEFAULT, "analyst", "deep_dive", "incident", "status", "decision")

_NONE: Mapping[str, Callable[[], bytes]] = {}
_FIELDS = ("about", "sections")


@dataclass(frozen=True)
class Template:
    """A valid template: its name, and its sections as `add_section` changes."""

    name: str
    sections: tuple[Change, ...]

    def filled(self, given: Sequence[Change]) -> list[Change]:
        """Return the sections of a new report: those of the template, filled with the given ones."""
        rest = list(given)
        begin = []
        for section in self.sections:
            title = folded(section.fields["title"])
            same = next((change for change in rest if folded(change.fields["title"]) == title), None)
            rest = [change for change in rest if change is not same]
            begin.append(_joined(section, same) if same else section)
        return [*begin, *rest]


def _joined(section: Change, given: Change) -> Change:
    if given.fields.keys() & {"content", "content_format"}:
        return given
    return replace(given, fields={**section.fields, **given.fields})


def parse_template(name: str, data: bytes) -> Template:
    """Parse the bytes of `<name>.json`.

    Raises:
        InvalidInputError: They are not a template; the message names the file and the defect.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _broken(name, f"it is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise _broken(name, "a JSON object is expected.")
    for field in content:
        if field not in _FIELDS:
            raise _broken(name, f"unknown field {cut(field)!r}; a template has {' and '.join(_FIELDS)}.")
    try:
        parse_text(content.get("about", ""), "about")
        sections = parse_sections(content.get("sections"))
    except RequestError as error:
        raise _broken(name, error.message) from error
    _require_different_titles(name, sections)
    return Template(name, tuple(sections))


def _require_different_titles(name: str, sections: Sequence[Change]) -> None:
    seen: set[str] = set()
    for section in sections:
        title = section.fields["title"]
        if folded(title) in seen:
            raise _broken(name, f"{section.path}: an earlier section has the same title, {cut(title)!r}.")
        seen.add(folded(title))


def _broken(name: str, problem: str) -> InvalidInputError:
    return InvalidInputError(
        f"The template file {cut(name)}.json cannot be used: {problem}",
        hint="Fix that file or choose another template.",
        path="template",
    )


def find_template(name: str, added: Mapping[str, Callable[[], bytes]] = _NONE) -> Template:
    """Return the template of this name; `blank` if the name is empty.

    Args:
        name: The name of a template.
        added: A function for each template in the reports root that reads its file.

    Raises:
        InvalidInputError: No template has this name (`allowed`, `did_you_mean`), or its file
            cannot be read or is not a template.
    """
    name = name or DEFAULT
    if name in added:
        try:
            return parse_template(name, added[name]())
        except OSError as error:
            raise InvalidInputError(
                f"The template file {name}.json cannot be read: {error.strerror}.",
                hint="Choose another template, or make that file readable.",
                path="template",
            ) from error
    if name in BUILT_IN:
        return _built_in(name)
    known = list(dict.fromkeys((*BUILT_IN, *sorted(added))))
    near = difflib.get_close_matches(name[:100].casefold(), known, n=1)
    raise InvalidInputError(
        f"There is no template {quoted(name)}.",
        hint=f"Did you mean {near[0]}?" if near else "Use one of the names in allowed.",
        path="template",
        allowed=known,
        did_you_mean=near[0] if near else None,
    )


@cache
def _built_in(name: str) -> Template:
    """Read a template of the package, once per process."""
    return parse_template(name, resources.files(__package__).joinpath(f"{name}.json").read_bytes())
