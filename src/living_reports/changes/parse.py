"""Parsing the changes of a call, without the outline that they apply to.

Rules:

- A change is one flat object: `op` and the fields of that op. `OPS` alone defines the fields
  of each op.
- A field that is `null`, `""` or `[]` counts as absent, even if the op does not have it.
  `clear` names the fields to be emptied.
- `template` and `data` are converted to `content` here, so that applying handles prose only.
- A name that no op has is refused whatever its value, and so is a present field of another
  op: nothing is dropped silently.

    >>> [change] = parse_changes([{"op": "edit_insight", "insight": "5f9d12ab", "importance": "8"}])
    >>> change.op, change.fields
    ('edit_insight', {'insight': '5f9d12ab', 'importance': 8})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from living_reports.changes import values
from living_reports.changes.section_templates import SECTION_TEMPLATES, write_markdown
from living_reports.changes.values import Parser, field_name, is_blank, nearest, refuse
from living_reports.model.report import ContentFormat, InsightStatus, ReportStatus
from living_reports.model.selectors import quoted


@dataclass(frozen=True)
class Change:
    """One requested change, validated as far as possible without the outline.

    Attributes:
        op: The name of the op.
        path: The path of the change in the call.
        fields: The present fields, parsed.
        clear: The names of the fields to be emptied.
    """

    op: str
    path: str
    fields: Mapping[str, Any]
    clear: frozenset[str] = frozenset()

    def at(self, name: str) -> str:
        """Return the path of one of its fields."""
        return f"{self.path}.{name}"


@dataclass(frozen=True)
class OpSpec:
    """The fields of an op.

    Attributes:
        fields: Each field with its parser.
        required: The fields that have to be present.
        clearable: The fields that `clear` can name.
        blanks: Empty values that count as present in this op.
    """

    fields: Mapping[str, Parser]
    required: tuple[str, ...] = ()
    clearable: tuple[str, ...] = ()
    blanks: Mapping[str, object] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All names that the op accepts, including `clear` if a field can be emptied."""
        return [*self.fields, *(["clear"] if self.clearable else [])]

    def states(self, name: str, value: object) -> bool:
        """Return whether the value of the field counts as present."""
        return not is_blank(value) or (name in self.blanks and value == self.blanks[name])


def _any(value: object, path: str) -> object:
    """Return data unchanged; the template parses it, see `_with_content`."""
    return value


def _insights(value: object, path: str) -> list[Change]:
    return [_insight(each, f"{path}[{i}]") for i, each in enumerate(values.items(value, path))]


_INSIGHT_FIELDS: dict[str, Parser] = {
    "summary": values.prose,
    "importance": values.importance,
    "status": values.one_of(get_args(InsightStatus)),
    "citations": values.citations,
    "as_of": values.when,
    "review_by": values.when,
}
_SECTION_FIELDS: dict[str, Parser] = {
    "title": values.title,
    "content": values.text,
    "notes": values.text,
    "content_format": values.one_of(get_args(ContentFormat)),
}
_NEW: dict[str, Parser] = {"position": values.position, "ref": values.ref}
_TEMPLATE: dict[str, Parser] = {"template": values.one_of(tuple(SECTION_TEMPLATES)), "data": _any}
_OF_SECTION: dict[str, Parser] = {"section": values.selector}
_OF_INSIGHT: dict[str, Parser] = {"insight": values.selector}

OPS: dict[str, OpSpec] = {
    "set_title": OpSpec({"title": values.title}, ("title",)),
    "set_status": OpSpec({"status": values.one_of(get_args(ReportStatus))}, ("status",)),
    "add_tags": OpSpec({"tags": values.tags}, ("tags",)),
    "remove_tags": OpSpec({"tags": values.tags}, ("tags",)),
    "set_metadata": OpSpec(
        {"key": values.key, "value": values.json_value}, ("key", "value"), blanks={"value": None}
    ),
    "add_section": OpSpec(_SECTION_FIELDS | {"insights": _insights} | _NEW | _TEMPLATE, ("title",)),
    "edit_section": OpSpec(_OF_SECTION | _SECTION_FIELDS, ("section",), ("notes", "content")),
    "edit_text": OpSpec(
        _OF_SECTION | {"find": values.text, "replace": values.text, "all": values.flag},
        ("section", "find", "replace"),
        blanks={"replace": ""},
    ),
    "append_text": OpSpec(_OF_SECTION | {"text": values.prose}, ("section", "text")),
    "move_section": OpSpec(_OF_SECTION | {"position": values.position}, ("section", "position")),
    "remove_section": OpSpec(_OF_SECTION | {"insights_to": values.selector}, ("section",)),
    "add_insight": OpSpec(_OF_SECTION | _INSIGHT_FIELDS | _NEW, ("section", "summary")),
    "edit_insight": OpSpec(_OF_INSIGHT | _INSIGHT_FIELDS, ("insight",), ("as_of", "review_by", "citations")),
    "move_insight": OpSpec(_OF_INSIGHT | _OF_SECTION | {"position": values.position}, ("insight",)),
    "remove_insight": OpSpec(_OF_INSIGHT, ("insight",)),
    "add_citation": OpSpec(_OF_INSIGHT | {"citation": values.citation}, ("insight", "citation")),
    "remove_citation": OpSpec(_OF_INSIGHT | {"citation": values.citation}, ("insight", "citation")),
}
"""Every op and its fields, for parsing and for the schemas of the tools."""

CHANGE_FIELDS: tuple[str, ...] = ("op", *dict.fromkeys(n for spec in OPS.values() for n in spec.names))
"""Every field that a change may have."""

NEW_INSIGHT = OpSpec(_INSIGHT_FIELDS | {"ref": values.ref}, ("summary",))
"""An insight within a new section."""
NEW_SECTION = OpSpec(_SECTION_FIELDS | {"insights": _insights}, ("title",))
"""A section within a new report."""


def parse_changes(raw: object, path: str = "changes") -> list[Change]:
    """Parse the changes of one call, at least one.

    Raises:
        InvalidInputError: A change does not match `OPS`; details `path`, `allowed`, `did_you_mean`.
        TooLargeError: A limit is exceeded; details `path`, `limit`.
    """
    if is_blank(raw):
        raise refuse(path, "at least one change is needed.", hint="Each is an object with an op.")
    given = values.items(raw, path)
    if len(given) > values.MAX_CHANGES:
        raise values.too_large(path, values.MAX_CHANGES, "changes per call")
    changes = [_change(each, f"{path}[{i}]") for i, each in enumerate(given)]
    _require_own_refs(changes)
    return changes


def parse_sections(raw: object, path: str = "sections") -> list[Change]:
    """Parse the sections of a new report, if any, as `add_section` changes.

    Raises:
        InvalidInputError: A section does not match `NEW_SECTION` and `NEW_INSIGHT`.
        TooLargeError: A limit is exceeded.
    """
    given = [] if is_blank(raw) else values.items(raw, path)
    changes = [
        _parsed("add_section", NEW_SECTION, _object(each, at := f"{path}[{i}]"), at, "a section")
        for i, each in enumerate(given)
    ]
    _require_own_refs(changes)
    return changes


def _change(raw: object, path: str) -> Change:
    given = dict(_object(raw, path))
    op = given.pop("op", None)
    if not isinstance(op, str) or op not in OPS:
        problem = "each change needs an op." if is_blank(op) else f"there is no op {quoted(op)}."
        near = nearest(op, OPS) if isinstance(op, str) else None
        raise refuse(f"{path}.op", problem, allowed=list(OPS), did_you_mean=near)
    return _with_content(_parsed(op, OPS[op], given, path, op))


def _with_content(change: Change) -> Change:
    """Return the change with `template` and `data` replaced by the content that they produce."""
    fields = dict(change.fields)
    template, data = fields.pop("template", None), fields.pop("data", None)
    if template is None and data is None:
        return change
    if template is None:
        problem, names = "data needs a template, and none is given.", list(SECTION_TEMPLATES)
        raise refuse(change.at("template"), problem, allowed=names)
    if "content" in fields:
        hint = "Give either content or a template; append_text adds prose after the content of a template."
        raise refuse(change.at("content"), "the template already provides the content.", hint=hint)
    if fields.get("content_format", "markdown") != "markdown":
        raise refuse(change.at("content_format"), "a template produces Markdown.", allowed=["markdown"])
    fields["content"] = write_markdown(template, data, change.at("data"))
    return replace(change, fields=fields)


def _insight(raw: object, path: str) -> Change:
    return _parsed("add_insight", NEW_INSIGHT, _object(raw, path), path, "an insight")


def _object(raw: object, path: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise refuse(path, f"an object is expected, not {quoted(raw)}.")
    return raw


def _parsed(op: str, spec: OpSpec, given: Mapping[str, Any], path: str, what: str) -> Change:
    """Return the change with every present field parsed; `what` names it in messages."""
    for name, value in given.items():
        if name not in spec.names:
            _require_ignorable(name, value, spec, path, what)
    present = {n: given[n] for n in spec.names if n in given and spec.states(n, given[n])}
    for name in spec.required:
        if name not in present:
            raise refuse(f"{path}.{name}", f"{what} needs {name}.", hint=_missing_hint(name, spec))
    clear = _cleared(present.pop("clear", []), present, spec, f"{path}.clear")
    fields = {n: spec.fields[n](value, f"{path}.{n}") for n, value in present.items()}
    return Change(op, path, fields, clear)


def _require_ignorable(name: object, value: object, spec: OpSpec, path: str, what: str) -> None:
    """Refuse a name that the op does not have, unless another op has it and the value is blank."""
    where = f"{path}.{field_name(name)}"
    if name not in CHANGE_FIELDS:
        near = nearest(str(name), spec.names) or nearest(str(name), CHANGE_FIELDS)
        raise refuse(where, f"{what} has no such field.", allowed=spec.names, did_you_mean=near)
    if not is_blank(value):
        users = ", ".join(op for op, other in OPS.items() if name in other.names)
        elsewhere = f"it belongs to {users}." if users else "only a change has an op."
        near = nearest(str(name), spec.names)
        raise refuse(where, f"{what} does not use {name}; {elsewhere}", allowed=spec.names, did_you_mean=near)


def _missing_hint(name: str, spec: OpSpec) -> str:
    if name not in spec.blanks:
        return ""
    return 'Give "" to delete the text.' if spec.blanks[name] == "" else "Give null to remove the key."


def _cleared(raw: object, present: Mapping[str, Any], spec: OpSpec, path: str) -> frozenset[str]:
    for i, name in enumerate(values.items(raw, path)):
        values.one_of(spec.clearable)(name, f"{path}[{i}]")
        if name in present:
            raise refuse(f"{path}[{i}]", f"{name} is both given and cleared.")
    return frozenset(values.items(raw, path))


def _require_own_refs(changes: list[Change]) -> None:
    """Raise if two items of the call have the same `ref`."""
    taken: dict[str, str] = {}
    for change in changes:
        for item in (change, *change.fields.get("insights", ())):
            name = item.fields.get("ref")
            if name in taken:
                raise refuse(item.at("ref"), f"{quoted(name)} is already the ref of {taken[name]}.")
            if name is not None:
                taken[name] = item.path
