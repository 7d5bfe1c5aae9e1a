"""What a template for a report says, and how given sections fill it.

Rules:

- A template is JSON: `{"about": …, "sections": […]}`, its sections written as `create_report`
  takes them. `about` is one line for whoever opens the file.
- `notes` of a template's section say what belongs there. A section that is given with content
  takes the place of the template's of the same title, which has then served; one without content
  gets the template's content and notes where it states none.
- Given sections of other titles follow in their order.

    >>> template = parse_template("plan", b'{"sections": [{"title": "Goal", "notes": "One line."}]}')
    >>> [change.fields["title"] for change in template.filled(parse_sections([{"title": "Cost"}]))]
    ['Goal', 'Cost']
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from living_reports.changes import Change, parse_sections, parse_text
from living_reports.errors import InvalidInputError, RequestError
from living_reports.model.selectors import cut, folded

_FIELDS = ("about", "sections")


@dataclass(frozen=True)
class Template:
    """A checked template: its name, and its sections as `add_section` changes."""

    name: str
    sections: tuple[Change, ...]

    def filled(self, given: Sequence[Change]) -> list[Change]:
        """The sections of a new report: the template's, filled with those that were given."""
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
    """The template that these bytes of `<name>.json` hold.

    Raises:
        InvalidInputError: They hold none; the message names the file and what is wrong with it.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _broken(name, f"it is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise _broken(name, "a JSON object is expected.")
    for field in content:
        if field not in _FIELDS:
            raise _broken(name, f"there is no field {cut(field)!r}; a template has {' and '.join(_FIELDS)}.")
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
            raise _broken(name, f"{section.path}: an earlier section has the title {cut(title)!r} too.")
        seen.add(folded(title))


def _broken(name: str, problem: str) -> InvalidInputError:
    return InvalidInputError(
        f"The template file {cut(name)}.json cannot be used: {problem}",
        hint="Mend that file, or choose another template.",
        path="template",
    )
