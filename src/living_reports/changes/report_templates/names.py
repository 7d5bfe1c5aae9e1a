"""Which template a name means: one that comes with the package, or one that a person added.

Rules:

- An added template wins over one of the package with the same name.
- A file is read only when its template is asked for, so that a broken one is in nobody's way.

    >>> find_template("incident").sections[0].fields["title"]
    'Summary'
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources

from living_reports.changes.report_templates.template import Template, parse_template
from living_reports.errors import InvalidInputError
from living_reports.model.selectors import quoted

DEFAULT = "blank"
BUILT_IN = (DEFAULT, "analyst", "deep_dive", "incident", "status", "decision")

_NONE: Mapping[str, Callable[[], bytes]] = {}


def find_template(name: str, added: Mapping[str, Callable[[], bytes]] = _NONE) -> Template:
    """The template of this name; `blank` where the name is empty.

    `added` has the templates that a person added: for each name, what reads its file.

    Raises:
        InvalidInputError: There is none of this name (`allowed`, `did_you_mean`), or its file
            cannot be read or is no template.
    """
    name = name or DEFAULT
    if name in added:
        try:
            return parse_template(name, added[name]())
        except OSError as error:
            raise InvalidInputError(
                f"The template file {name}.json cannot be read: {error.strerror}.",
                hint="Choose another template, or see to that file.",
                path="template",
            ) from error
    if name in BUILT_IN:
        return _built_in(name)
    known = list(dict.fromkeys((*BUILT_IN, *sorted(added))))
    near = difflib.get_close_matches(name[:100].casefold(), known, n=1)
    raise InvalidInputError(
        f"There is no template {quoted(name)}.",
        hint=f"Did you mean {near[0]}?" if near else "Use one of those in allowed.",
        path="template",
        allowed=known,
        did_you_mean=near[0] if near else None,
    )


@cache
def _built_in(name: str) -> Template:
    """A template of the package: part of the program, so it is read once."""
    return parse_template(name, resources.files(__package__).joinpath(f"{name}.json").read_bytes())
