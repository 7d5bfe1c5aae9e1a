"""Parsing the changes of a call, without the outline that they apply to.

Rules:

- A change is one flat object: `op` and the fields of that op. `OPS` alone defines the fields
  of each op.
- A field that is `null`, `""` or `[]` counts as absent, even if the op does not have it.
  `clear` names the fields to be emptied.
- `template` and `data` are converted to `content` here, so that applying handles prose only.
- A name that no op has is refused whatever its value, and so is a present field of another
  op: nothing is dropped silently.
- Every parser takes the raw value and its path and returns the value in the form that the
  program uses, or raises an `InvalidInputError` with the path and the valid values.
- Numbers are not accepted as text. Integers are also accepted as digits, and as numbers such as 8.0.
- No text contains a lone surrogate or a NUL; a text of one line contains no control character.

    >>> [change] = parse_changes([{"op": "edit_insight", "insight": "5f9d12ab", "importance": "8"}])
    >>> change.op, change.fields
    ('edit_insight', {'insight': '5f9d12ab', 'importance': 8})
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, get_args

from living_reports.changes.section_templates import SECTION_TEMPLATES, Fields, Shape, described
from living_reports.errors import InvalidInputError, TooLargeError
from living_reports.model.report import (
    Citation,
    CitationSource,
    ContentFormat,
    InsightStatus,
    ReportStatus,
    canonical,
)
from living_reports.model.selectors import quoted

MAX_TITLE_CHARS = 500
MAX_SECTION_BYTES = 1_000_000
"""The limit of content and notes of a section together, as UTF-8."""
MAX_REPORT_BYTES = 16_000_000
MAX_CHANGES = 500
MAX_TAGS = 200
MAX_TAG_CHARS = 100
MAX_REF_CHARS = 100
MAX_KEY_CHARS = 100

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")
_MAX_NUMBER = 1e300
"""The limit of numbers in data; it also excludes infinity and NaN."""

RESERVED_KEYS = {
    "tags": "add_tags or remove_tags",
    "status": "set_status",
    "template": "",
    "from_reports": "",
}
"""The keys of a report's metadata that `set_metadata` refuses, with the ops that set them."""

Parser = Callable[[Any, str], Any]


@dataclass(frozen=True)
class Position:
    """The place of an item: at an end, or next to the item that `selector` names."""

    where: Literal["first", "last", "before", "after"]
    selector: str = ""


def is_blank(value: object) -> bool:
    """Return whether the value counts as absent."""
    return value is None or value == "" or value == []


def refuse(path: str, problem: str, *, hint: str = "", **details: Any) -> InvalidInputError:
    """Return the error for an invalid value; its message begins with the path."""
    if near := details.get("did_you_mean"):
        hint = hint or f"Did you mean {near}?"
    elif "allowed" in details:
        hint = hint or "Use one of the values in allowed."
    return InvalidInputError(
        f"{path}: {problem}", hint=hint or "Correct this field and send the call again.", path=path, **details
    )


def too_large(path: str, limit: int, what: str) -> TooLargeError:
    """Return the error for a value above a limit; `what` is the unit of the limit."""
    return TooLargeError(
        f"{path}: the limit is {limit:,} {what}.",
        hint="Make it shorter, or split it.",
        path=path,
        limit=limit,
    )


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the known name that is most similar to `name`, if one is similar."""
    known = {known_name.casefold(): known_name for known_name in names}
    close = difflib.get_close_matches(name[:100].casefold(), known, 1)
    return known[close[0]] if close else None


# --- Text ---------------------------------------------------------------------------------


def text(value: object, path: str) -> str:
    """Parse any text, unchanged."""
    if not isinstance(value, str):
        raise refuse(path, f"text is expected, not {quoted(value)}.")
    _require_characters(value, path)
    return value


def prose(value: object, path: str) -> str:
    """Parse a text with at least one visible character, unchanged."""
    words = text(value, path)
    if not words.strip():
        raise refuse(path, "the text is blank.")
    return words


def line(value: object, path: str, limit: int | None = None) -> str:
    """Parse one line of text: trimmed, not blank, of at most `limit` characters."""
    words = prose(value, path).strip()
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in words):
        raise refuse(path, "line breaks and control characters are not allowed here.")
    if limit is not None and len(words) > limit:
        raise too_large(path, limit, "characters")
    return words


def title(value: object, path: str) -> str:
    """Parse the title of a report or a section."""
    return line(value, path, MAX_TITLE_CHARS)


def ref(value: object, path: str) -> str:
    """Parse the name of a new item within one call."""
    return line(value, path, MAX_REF_CHARS)


def selector(value: object, path: str) -> str:
    """Parse the name of an item: its id, the beginning of its id, its title or summary, or a `ref`."""
    return prose(value, path).strip()


def tags(value: object, path: str) -> list[str]:
    """Parse tags: trimmed, without duplicates, in the given order."""
    found = [line(tag, f"{path}[{i}]", MAX_TAG_CHARS) for i, tag in enumerate(items(value, path))]
    if len(found) > MAX_TAGS:
        raise too_large(path, MAX_TAGS, "tags")
    return list(dict.fromkeys(found))


def _require_characters(words: str, path: str) -> None:
    if "\0" in words:
        raise refuse(path, "the text contains a NUL character.")
    try:
        words.encode()
    except UnicodeEncodeError as error:
        raise refuse(path, f"character {error.start} is half of a surrogate pair.") from None


# --- Numbers, choices, lists, JSON --------------------------------------------------------


def importance(value: object, path: str) -> int:
    """Parse an importance from 0 to 10, as an integer, as a number such as 8.0, or as digits."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 10:
        problem = f"an integer from 0 to 10 is expected, not {quoted(value)}."
        raise refuse(path, problem, hint="Give a whole number from 0 to 10.", allowed="0 to 10")
    return value


def flag(value: object, path: str) -> bool:
    """Parse true or false."""
    if not isinstance(value, bool):
        raise refuse(path, f"true or false is expected, not {quoted(value)}.", allowed=[True, False])
    return value


def one_of(options: Sequence[str]) -> Parser:
    """Return a parser for one of a few words."""

    def parse(value: object, path: str) -> str:
        if isinstance(value, str) and value in options:
            return value
        problem = f"{quoted(value)} is not one of {', '.join(options)}."
        near = nearest(value, options) if isinstance(value, str) else None
        raise refuse(path, problem, allowed=list(options), did_you_mean=near)

    return parse


def items(value: object, path: str) -> list[Any]:
    """Parse a list of anything."""
    if not isinstance(value, list):
        raise refuse(path, f"a list is expected, not {quoted(value)}.")
    return value


def key(value: object, path: str) -> str:
    """Parse a key of the report's metadata that has no op of its own."""
    name = line(value, path, MAX_KEY_CHARS)
    if name in RESERVED_KEYS:
        ops = RESERVED_KEYS[name]
        hint = f"Use {ops}." if ops else "It is set when the report is created."
        raise refuse(path, f"set_metadata cannot set {name}.", hint=hint)
    return name


def json_value(value: object, path: str) -> Any:
    """Parse any JSON value, with the keys of its objects sorted."""
    try:
        checked = canonical(value, depth=1)  # it will be inside the report's metadata
    except UnicodeEncodeError:
        raise refuse(path, "a text in it contains half of a surrogate pair.") from None
    except ValueError as error:
        raise refuse(path, f"{error}.") from None
    if any("\0" in words for words in _texts(checked)):
        raise refuse(path, "a text in it contains a NUL character.")
    return checked


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)


# --- Citations ----------------------------------------------------------------------------

CITATION_FIELDS = tuple(Citation.model_fields)


def citation(value: object, path: str) -> dict[str, str]:
    """Parse the present fields of a citation, at least one."""
    if not isinstance(value, dict):
        raise refuse(path, f"an object is expected, not {quoted(value)}.", allowed=list(CITATION_FIELDS))
    for name in value:
        if name not in CITATION_FIELDS:
            where, near = f"{path}.{field_name(name)}", nearest(str(name), CITATION_FIELDS)
            problem = "a citation has no such field."
            raise refuse(where, problem, allowed=list(CITATION_FIELDS), did_you_mean=near)
    given = {n: text(v, f"{path}.{n}") for n, v in value.items() if not is_blank(v)}
    if not given:
        raise refuse(path, "the citation is empty.", allowed=list(CITATION_FIELDS))
    if "source" in given:
        one_of(get_args(CitationSource))(given["source"], f"{path}.source")
    return given


def citations(value: object, path: str) -> list[dict[str, str]]:
    """Parse a list of citations."""
    return [citation(each, f"{path}[{i}]") for i, each in enumerate(items(value, path))]


def complete_citation(given: dict[str, str]) -> Citation:
    """Return the citation with its `source`. No time is added: nothing shows that the source was read."""
    return Citation(**(given | {"source": citation_source(given)}))  # type: ignore[arg-type]


def citation_source(given: dict[str, str]) -> str:
    """Return the source of a citation: the given one, else the one that its fields imply."""
    if "source" in given:
        return given["source"]
    if "url" in given:
        return "url"
    if "path" in given:
        return "document"
    if "query_id" in given or "execution_id" in given:
        return "query"
    return "api" if "endpoint" in given else "observation"


def field_name(name: object) -> str:
    """Return an unknown name from the caller in a form that is safe in a path."""
    return str(name)[:60].encode("utf-8", "backslashreplace").decode()


# --- Days and positions -------------------------------------------------------------------

_RELATIVE = re.compile(r"\+([0-9]{1,4})([dwm])")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(_DAY.pattern + r"[T ][0-9].*")


def when(value: object, path: str) -> str:
    """Parse a day, a time (returned in UTC), or a span such as `+3m` that `settled` resolves later."""
    words = text(value, path).strip()
    if _RELATIVE.fullmatch(words):
        return words
    try:
        if _DAY.fullmatch(words):
            return date.fromisoformat(words).isoformat()
        if _TIME.fullmatch(words):
            time = datetime.fromisoformat(words)
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        pass  # the right form, but no such day or time
    problem = f"a day or a time is expected, not {quoted(words)}."
    raise refuse(path, problem, allowed=["2026-11-23", "2026-11-23T10:00:00Z", "+7d", "+4w", "+3m"])


def settled(moment: str, now: str) -> str:
    """Return a result of `when` with a span replaced by the day that it means at `now`."""
    span = _RELATIVE.fullmatch(moment)
    if span is None:
        return moment
    count, unit = int(span[1]), span[2]
    today = datetime.fromisoformat(now).astimezone(UTC).date()
    if unit == "m":
        return _months_after(today, count).isoformat()
    return (today + timedelta(days=count * (7 if unit == "w" else 1))).isoformat()


def _months_after(day: date, count: int) -> date:
    years, month = divmod(day.month - 1 + count, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def position(value: object, path: str) -> Position:
    """Parse `first`, `last`, `before:<selector>` or `after:<selector>`."""
    words = text(value, path).strip()
    side, _, anchor = words.partition(":")
    match side, anchor.strip():
        case ("first" | "last") as end, "" if words == end:
            return Position(end)
        case ("before" | "after") as side, anchor if anchor:
            return Position(side, anchor)
    allowed = ["first", "last", "before:<selector>", "after:<selector>"]
    near = nearest(words, ("first", "last"))
    raise refuse(path, f"{quoted(words)} is not a position.", allowed=allowed, did_you_mean=near)


# --- Data of section templates ------------------------------------------------------------


def write_markdown(name: str, data: object, path: str) -> str:
    """Return the Markdown that the section template of this name makes of the data.

    Raises:
        InvalidInputError: The data does not fit the template; `path` says where, `shape` and `example`
            what fits.
        TooLargeError: The result exceeds the limit of a section.
    """
    template = SECTION_TEMPLATES[name]
    try:
        if not isinstance(data, dict) or not data:
            example = json.dumps(template.example, ensure_ascii=False)
            raise refuse(path, f"{name} needs data, an object.", hint=f"For example {example}")
        parsed = _shaped(template.shape, data, path)
    except InvalidInputError as error:
        error.hint += " Fields with ? may be left out."
        error.details |= {"shape": described(template.shape), "example": template.example}
        raise
    content = "\n\n".join(template.blocks(parsed))
    if len(content.encode()) > MAX_SECTION_BYTES:
        raise too_large(path, MAX_SECTION_BYTES, "bytes per section")
    return content


def _shaped(shape: Shape, value: object, path: str) -> Any:
    """Parse a value of this shape."""
    if isinstance(shape, Fields):
        return _shaped_object(shape, value, path)
    if isinstance(shape, list):
        return [_shaped(shape[0], each, f"{path}[{i}]") for i, each in enumerate(items(value, path))]
    if isinstance(shape, tuple):
        return one_of(shape)(value, path)
    return {"text": prose, "value": _text_or_number, "flag": flag}[shape](value, path)


def _shaped_object(shape: Fields, value: object, path: str) -> dict[str, Any]:
    names = list(shape.shapes)
    if not isinstance(value, dict):
        raise refuse(path, f"an object is expected, not {quoted(value)}.", allowed=names)
    for name in value:
        if name not in shape.shapes:
            near = nearest(str(name), names)
            where = f"{path}.{field_name(name)}"
            raise refuse(where, "there is no such field.", allowed=names, did_you_mean=near)
    present = {name: value[name] for name in names if not is_blank(value.get(name))}
    for name in shape.required:
        if name not in present:
            hint = f"Add {name}; allowed lists all fields."
            raise refuse(f"{path}.{name}", f"{name} is needed.", hint=hint, allowed=names)
    return {name: _shaped(shape.shapes[name], present[name], f"{path}.{name}") for name in present}


def _text_or_number(value: object, path: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER:
        return str(value)
    if isinstance(value, str):
        return prose(value, path)
    raise refuse(path, f"a text or a number is expected, not {quoted(value)}.")


# --- Changes ------------------------------------------------------------------------------


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

    @property
    def is_everywhere(self) -> bool:
        """True for an `edit_text` in all texts of the report."""
        return self.op == "edit_text" and "section" not in self.fields and bool(self.fields.get("all"))

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
        either: The fields of which exactly one has to be present.
    """

    fields: Mapping[str, Parser]
    required: tuple[str, ...] = ()
    clearable: tuple[str, ...] = ()
    blanks: Mapping[str, object] = field(default_factory=dict)
    either: tuple[str, ...] = ()

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
    return [_insight(each, f"{path}[{i}]") for i, each in enumerate(items(value, path))]


_INSIGHT_FIELDS: dict[str, Parser] = {
    "summary": prose,
    "importance": importance,
    "status": one_of(get_args(InsightStatus)),
    "citations": citations,
    "as_of": when,
    "review_by": when,
}
_SECTION_FIELDS: dict[str, Parser] = {
    "title": title,
    "content": text,
    "notes": text,
    "content_format": one_of(get_args(ContentFormat)),
    "citations": citations,
}
_NEW: dict[str, Parser] = {"position": position, "ref": ref}
_TEMPLATE: dict[str, Parser] = {"template": one_of(tuple(SECTION_TEMPLATES)), "data": _any}
_OF_SECTION: dict[str, Parser] = {"section": selector}
_OF_INSIGHT: dict[str, Parser] = {"insight": selector}
_CITED: dict[str, Parser] = _OF_INSIGHT | _OF_SECTION | {"citation": citation}

OPS: dict[str, OpSpec] = {
    "set_title": OpSpec({"title": title}, ("title",)),
    "set_status": OpSpec({"status": one_of(get_args(ReportStatus))}, ("status",)),
    "add_tags": OpSpec({"tags": tags}, ("tags",)),
    "remove_tags": OpSpec({"tags": tags}, ("tags",)),
    "set_metadata": OpSpec({"key": key, "value": json_value}, ("key", "value"), blanks={"value": None}),
    "add_section": OpSpec(_SECTION_FIELDS | {"insights": _insights} | _NEW | _TEMPLATE, ("title",)),
    "edit_section": OpSpec(_OF_SECTION | _SECTION_FIELDS, ("section",), ("notes", "content", "citations")),
    "edit_text": OpSpec(
        _OF_SECTION | {"find": text, "replace": text, "all": flag},
        ("find", "replace"),
        blanks={"replace": ""},
    ),
    "append_text": OpSpec(_OF_SECTION | {"text": prose}, ("section", "text")),
    "move_section": OpSpec(_OF_SECTION | {"position": position}, ("section", "position")),
    "remove_section": OpSpec(_OF_SECTION | {"insights_to": selector}, ("section",)),
    "add_insight": OpSpec(_OF_SECTION | _INSIGHT_FIELDS | _NEW, ("section", "summary")),
    "edit_insight": OpSpec(_OF_INSIGHT | _INSIGHT_FIELDS, ("insight",), ("as_of", "review_by", "citations")),
    "move_insight": OpSpec(_OF_INSIGHT | _OF_SECTION | {"position": position}, ("insight",)),
    "remove_insight": OpSpec(_OF_INSIGHT, ("insight",)),
    "add_citation": OpSpec(_CITED, ("citation",), either=("insight", "section")),
    "remove_citation": OpSpec(_CITED, ("citation",), either=("insight", "section")),
}
"""Every op and its fields, for parsing and for the schemas of the tools."""

CHANGE_FIELDS: tuple[str, ...] = ("op", *dict.fromkeys(n for spec in OPS.values() for n in spec.names))
"""Every field that a change may have."""

NEW_INSIGHT = OpSpec(_INSIGHT_FIELDS | {"ref": ref}, ("summary",))
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
    given = items(raw, path)
    if len(given) > MAX_CHANGES:
        raise too_large(path, MAX_CHANGES, "changes per call")
    changes = [_change(each, f"{path}[{i}]") for i, each in enumerate(given)]
    _require_own_refs(changes)
    return changes


def parse_sections(raw: object, path: str = "sections") -> list[Change]:
    """Parse the sections of a new report, if any, as `add_section` changes.

    Raises:
        InvalidInputError: A section does not match `NEW_SECTION` and `NEW_INSIGHT`.
        TooLargeError: A limit is exceeded.
    """
    given = [] if is_blank(raw) else items(raw, path)
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
    change = _with_content(_parsed(op, OPS[op], given, path, op))
    if op == "edit_text" and not change.is_everywhere and "section" not in change.fields:
        hint = "Name the section, or set all to true to replace in all texts of the report."
        raise refuse(change.at("section"), "edit_text needs section.", hint=hint)
    return change


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
    if spec.either and len(present.keys() & {*spec.either}) != 1:
        problem = f"{what} needs either {' or '.join(spec.either)}."
        raise refuse(f"{path}.{spec.either[0]}", problem, hint="Name the one item that cites.")
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
    for i, name in enumerate(items(raw, path)):
        one_of(spec.clearable)(name, f"{path}[{i}]")
        if name in present:
            raise refuse(f"{path}[{i}]", f"{name} is both given and cleared.")
    return frozenset(items(raw, path))


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
