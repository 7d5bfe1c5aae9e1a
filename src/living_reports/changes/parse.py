"""From what a caller sent to changes that make sense in themselves.

Rules:

- A change is one flat object: `op`, and the fields which that op uses. `OPS` is the only
  place that says which op takes which field.
- A field that is absent, `null`, `""` or `[]` is not stated, and then it does not matter
  whether the op knows it. `clear` names the fields to be emptied.
- `template` and `data` become `content` here, so that what follows knows only prose.
- A name that no op knows is refused whatever its value, a stated field of another op too:
  nothing is dropped silently.

    >>> [change] = parse_changes([{"op": "edit_insight", "insight": "5f9d12ab", "importance": "8"}])
    >>> change.op, change.fields
    ('edit_insight', {'insight': '5f9d12ab', 'importance': 8})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from living_reports.changes import values
from living_reports.changes.section_templates import SECTION_TEMPLATES, written
from living_reports.changes.values import Parser, field_name, is_blank, nearest, refuse
from living_reports.model.report import ContentFormat, InsightStatus, ReportStatus
from living_reports.model.selectors import quoted


@dataclass(frozen=True)
class Change:
    """One change that was asked for, checked as far as that goes without the outline.

    `fields` holds only what was stated, `clear` the names of fields to be emptied, and `path`
    says where in the call it stood.
    """

    op: str
    path: str
    fields: Mapping[str, Any]
    clear: frozenset[str] = frozenset()

    def at(self, name: str) -> str:
        """The path of one of its fields."""
        return f"{self.path}.{name}"


@dataclass(frozen=True)
class OpSpec:
    """What an op takes: each field with its parser, those it needs, those it can empty.

    `blanks` are values that are stated here although they would not be elsewhere.
    """

    fields: Mapping[str, Parser]
    required: tuple[str, ...] = ()
    clearable: tuple[str, ...] = ()
    blanks: Mapping[str, object] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All names that may be stated, `clear` among them where something can be emptied."""
        return [*self.fields, *(["clear"] if self.clearable else [])]

    def states(self, name: str, value: object) -> bool:
        """Whether this value of this field counts as stated."""
        return not is_blank(value) or (name in self.blanks and value == self.blanks[name])


def _any(value: object, path: str) -> object:
    """Data as it came: what is right depends on the template, see `_with_content`."""
    return value


def _insights(value: object, path: str) -> list[Change]:
    return [_insight(each, f"{path}[{i}]") for i, each in enumerate(values.items(value, path))]


_INSIGHT: dict[str, Parser] = {
    "summary": values.prose,
    "importance": values.importance,
    "status": values.one_of(get_args(InsightStatus)),
    "citations": values.citations,
    "as_of": values.when,
    "review_by": values.when,
}
_PROSE: dict[str, Parser] = {
    "title": values.title,
    "content": values.text,
    "notes": values.text,
    "content_format": values.one_of(get_args(ContentFormat)),
}
_NEW: dict[str, Parser] = {"position": values.position, "ref": values.ref}
_WRITTEN: dict[str, Parser] = {"template": values.one_of(tuple(SECTION_TEMPLATES)), "data": _any}
_SECTION: dict[str, Parser] = {"section": values.selector}
_WHICH: dict[str, Parser] = {"insight": values.selector}

OPS: dict[str, OpSpec] = {
    "set_title": OpSpec({"title": values.title}, ("title",)),
    "set_status": OpSpec({"status": values.one_of(get_args(ReportStatus))}, ("status",)),
    "add_tags": OpSpec({"tags": values.tags}, ("tags",)),
    "remove_tags": OpSpec({"tags": values.tags}, ("tags",)),
    "set_metadata": OpSpec(
        {"key": values.key, "value": values.json_value}, ("key", "value"), blanks={"value": None}
    ),
    "add_section": OpSpec(_PROSE | {"insights": _insights} | _NEW | _WRITTEN, ("title",)),
    "edit_section": OpSpec(_SECTION | _PROSE, ("section",), ("notes", "content")),
    "edit_text": OpSpec(
        _SECTION | {"find": values.text, "replace": values.text, "all": values.flag},
        ("section", "find", "replace"),
        blanks={"replace": ""},
    ),
    "append_text": OpSpec(_SECTION | {"text": values.prose}, ("section", "text")),
    "move_section": OpSpec(_SECTION | {"position": values.position}, ("section", "position")),
    "remove_section": OpSpec(_SECTION | {"insights_to": values.selector}, ("section",)),
    "add_insight": OpSpec(_SECTION | _INSIGHT | _NEW, ("section", "summary")),
    "edit_insight": OpSpec(_WHICH | _INSIGHT, ("insight",), ("as_of", "review_by", "citations")),
    "move_insight": OpSpec(_WHICH | _SECTION | {"position": values.position}, ("insight",)),
    "remove_insight": OpSpec(_WHICH, ("insight",)),
    "add_citation": OpSpec(_WHICH | {"citation": values.citation}, ("insight", "citation")),
    "remove_citation": OpSpec(_WHICH | {"citation": values.citation}, ("insight", "citation")),
}
"""Every op and its fields: the single source for parsing and for the tools' schemas."""

CHANGE_FIELDS: tuple[str, ...] = ("op", *dict.fromkeys(n for spec in OPS.values() for n in spec.names))
"""Every field that a change may have."""

NEW_INSIGHT = OpSpec(_INSIGHT | {"ref": values.ref}, ("summary",))
"""An insight that comes with its section."""
NEW_SECTION = OpSpec(_PROSE | {"insights": _insights}, ("title",))
"""A section that comes with its report."""


def parse_changes(raw: object, path: str = "changes") -> list[Change]:
    """The changes of one call, at least one.

    Raises:
        InvalidInputError: Something is not as `OPS` says; details `path`, `allowed`, `did_you_mean`.
        TooLargeError: A limit was passed; details `path`, `limit`.
    """
    if is_blank(raw):
        raise refuse(path, "at least one change is needed.", hint="Each is an object with an op.")
    given = values.items(raw, path)
    if len(given) > values.MAX_CHANGES:
        raise values.too_large(path, values.MAX_CHANGES, "changes a call")
    changes = [_change(each, f"{path}[{i}]") for i, each in enumerate(given)]
    _require_own_refs(changes)
    return changes


def parse_sections(raw: object, path: str = "sections") -> list[Change]:
    """The sections of a new report, as `add_section` changes; none is fine.

    Raises:
        InvalidInputError: Something is not as `NEW_SECTION` and `NEW_INSIGHT` say.
        TooLargeError: A limit was passed.
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
    """The change with the content that its template makes of its data, where it states them."""
    fields = dict(change.fields)
    template, data = fields.pop("template", None), fields.pop("data", None)
    if template is None and data is None:
        return change
    if template is None:
        problem, names = "data is written by a template, and none is named.", list(SECTION_TEMPLATES)
        raise refuse(change.at("template"), problem, allowed=names)
    if "content" in fields:
        hint = "State one of the two; append_text adds prose to what a template wrote."
        raise refuse(change.at("content"), "the template writes the content.", hint=hint)
    if fields.get("content_format", "markdown") != "markdown":
        raise refuse(change.at("content_format"), "a template writes Markdown.", allowed=["markdown"])
    fields["content"] = written(template, data, change.at("data"))
    return replace(change, fields=fields)


def _insight(raw: object, path: str) -> Change:
    return _parsed("add_insight", NEW_INSIGHT, _object(raw, path), path, "an insight")


def _object(raw: object, path: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise refuse(path, f"an object is expected, not {quoted(raw)}.")
    return raw


def _parsed(op: str, spec: OpSpec, given: Mapping[str, Any], path: str, what: str) -> Change:
    """The change, with every stated field parsed; `what` names in messages what was being read."""
    for name, value in given.items():
        if name not in spec.names:
            _require_ignorable(name, value, spec, path, what)
    stated = {n: given[n] for n in spec.names if n in given and spec.states(n, given[n])}
    for name in spec.required:
        if name not in stated:
            raise refuse(f"{path}.{name}", f"{what} needs {name}.", hint=_missing_hint(name, spec))
    clear = _cleared(stated.pop("clear", []), stated, spec, f"{path}.clear")
    fields = {n: spec.fields[n](value, f"{path}.{n}") for n, value in stated.items()}
    return Change(op, path, fields, clear)


def _require_ignorable(name: object, value: object, spec: OpSpec, path: str, what: str) -> None:
    """Refuse a name that is not the spec's, unless it is another op's and not stated."""
    where = f"{path}.{field_name(name)}"
    if name not in CHANGE_FIELDS:
        near = nearest(str(name), spec.names) or nearest(str(name), CHANGE_FIELDS)
        raise refuse(where, f"{what} has no such field.", allowed=spec.names, did_you_mean=near)
    if not is_blank(value):
        users = ", ".join(op for op, other in OPS.items() if name in other.names)
        elsewhere = f"it belongs to {users}." if users else "op is for changes."
        near = nearest(str(name), spec.names)
        raise refuse(where, f"{what} does not use {name}; {elsewhere}", allowed=spec.names, did_you_mean=near)


def _missing_hint(name: str, spec: OpSpec) -> str:
    if name not in spec.blanks:
        return ""
    return 'Say "" to delete the text.' if spec.blanks[name] == "" else "Say null to remove the key."


def _cleared(raw: object, stated: Mapping[str, Any], spec: OpSpec, path: str) -> frozenset[str]:
    for i, name in enumerate(values.items(raw, path)):
        values.one_of(spec.clearable)(name, f"{path}[{i}]")
        if name in stated:
            raise refuse(f"{path}[{i}]", f"{name} is stated and cleared at once.")
    return frozenset(values.items(raw, path))


def _require_own_refs(changes: list[Change]) -> None:
    """Each `ref` names one item of the call."""
    taken: dict[str, str] = {}
    for change in changes:
        for item in (change, *change.fields.get("insights", ())):
            name = item.fields.get("ref")
            if name in taken:
                raise refuse(item.at("ref"), f"{quoted(name)} is already the ref of {taken[name]}.")
            if name is not None:
                taken[name] = item.path
