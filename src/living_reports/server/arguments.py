"""Check the raw arguments of a tool call.

Rules:

- The tool's input schema defines the parameters; there is no second list.
- Models fill in flat objects: an argument that is absent, `null`, `""`, `[]` or, for versions, 0 is not
  stated, and is left out.
- An unknown name is refused with the nearest known one, never dropped. A value of another type is refused,
  too; a text of digits counts as a whole number.
- The library checks the meaning of values and the contents of objects.

    >>> check_arguments(BY_NAME["get_report"], {"report": "Health", "version": "3", "find": ""})
    {'report': 'Health', 'version': 3}
    >>> check_arguments(BY_NAME["get_report"], {"report_id": "Health"})
    InvalidInputError: get_report has no parameter "report_id".
    >>> as_declared(BY_NAME["list_reports"], {"tags": "ops", "stale": "true"})
    ({'tags': ['ops'], 'stale': True}, ['stale: sent as text, read as JSON. …', 'tags: …'])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic_core import from_json

from living_reports.errors import InvalidInputError, TooLargeError
from living_reports.server.tools import CITATION, INSIGHT, OBJECTS, Schema, Tool

VERSIONS = frozenset({"version", "expected_version", "to_version", "since", "undo"})
"""Parameters for which 0 is not stated either."""

VERSION_OR_TEXT = frozenset({"since", "undo"})
"""Parameters declared as text, since a schema has one type, that also take a version number."""

MAX_TEXT_CHARS = 1_000_000
"""The size limit of a parameter: that of a section."""
MAX_CALL_CHARS = 16_000_000
"""The size limit of all texts of a call together: that of a report."""
MAX_DIGITS = 18
MAX_QUOTED = 60
MAX_PATHS = 5
"""In one warning."""

ITEMS: dict[str, Schema] = {"citations": CITATION, "insights": INSIGHT}
"""The items of lists whose schema in a change is cut to plain objects, to keep the tool list small."""
JSON_BRACKETS = ("[]", "{}", '""')
JSON_BEGINNINGS = ('["', "['", "[{", '{"')


def as_declared(tool: Tool, raw: dict[str, Any] | None) -> tuple[dict[str, Any], list[str]]:
    """Return the arguments in their declared form where they can be read in it, and warnings that say so.

    Nothing is refused here: any other value stays as it is, and its error names its path.
    """
    reader = _Reader()
    arguments = reader.members("", raw or {}, tool["inputSchema"])
    return arguments, reader.warnings()


class _Reader:
    """Reads values in their declared form, and notes the paths of those that came in another one.

    Attributes:
        texts: The paths at which a text was read as JSON.
        lone: The paths at which a lone item was read as a list.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.lone: list[str] = []

    def members(self, path: str, given: dict[str, Any], schema: Schema) -> dict[str, Any]:
        """Return an object with its declared members read."""
        declared = schema.get("properties", {})
        return {
            name: self.read(f"{path}{name}", value, _full(name, declared[name]))
            if name in declared
            else value
            for name, value in given.items()
        }

    def read(self, path: str, value: Any, schema: Schema) -> Any:
        """Return a value in the form that its schema declares, or else as it is."""
        kind = schema.get("type")
        if kind == "integer":
            return _whole(value)
        if kind in ("array", "object", "boolean") and isinstance(value, str) and value.strip():
            value = self._parsed(path, value, schema)
        if kind == "object" and isinstance(value, dict):
            return self.members(f"{path}.", value, schema)
        return self._listed(path, value, schema["items"]) if kind == "array" else value

    def _parsed(self, path: str, text: str, schema: Schema) -> Any:
        """Return the value of JSON in a text, or the text if its type is not the declared one."""
        try:
            value = from_json(text, allow_inf_nan=False)
        except ValueError:
            return text
        if schema["type"] == "array":
            item = schema["items"]["type"]
            fits = _is_texts(value) if item == "string" else isinstance(value, list | dict)
        else:
            fits = isinstance(value, dict if schema["type"] == "object" else bool)
        if not fits:
            return text
        self.texts.append(path)
        return value

    def _listed(self, path: str, value: Any, items: Schema) -> Any:
        """Return a list with its items read; a lone item is a list of one."""
        if isinstance(value, dict) if items["type"] == "object" else _is_plain(value):
            self.lone.append(path)
            value = [value]
        if not isinstance(value, list):
            return value
        return [self.read(f"{path}[{i}]", item, items) for i, item in enumerate(value)]

    def warnings(self) -> list[str]:
        """Return the warnings, one of each kind."""
        kinds = (
            (self.texts, "sent as text, read as JSON. Send JSON itself where the schema says so."),
            (self.lone, "sent without a list, read as a list of one."),
        )
        return [f"{_paths(paths)}: {what}" for paths, what in kinds if paths]


def _full(name: str, schema: Schema) -> Schema:
    return schema | {"items": ITEMS[name]} if schema == OBJECTS and name in ITEMS else schema


def _whole(value: Any) -> Any:
    """Return the whole number that digits or a number such as 3.0 mean, or else the value as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    number = _digits(value.strip()) if isinstance(value, str) else value
    return number if isinstance(number, int) else value


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_plain(value: Any) -> bool:
    """Return whether the value is a text that cannot be meant as JSON."""
    if not isinstance(value, str) or not (text := value.strip()) or text == "null":
        return False
    return text[0] + text[-1] not in JSON_BRACKETS and not text.startswith(JSON_BEGINNINGS)


def _paths(paths: list[str]) -> str:
    more = len(paths) - MAX_PATHS
    return ", ".join(paths[:MAX_PATHS]) + (f" and {more} more" if more > 0 else "")


def check_arguments(tool: Tool, raw: dict[str, Any] | None) -> dict[str, Any]:
    """Return the given arguments, each of the type in the tool's input schema.

    Raises:
        InvalidInputError: A name is unknown, a type is wrong, or a required one is missing.
            Details: `path`, and where they help `allowed` and `did_you_mean`.
        TooLargeError: There is more text than any call needs. Details: `path`, `limit`.
    """
    properties = tool["inputSchema"]["properties"]
    _require_size(raw or {})
    checked = {}
    for name, value in (raw or {}).items():
        if name not in properties:
            raise _unknown_parameter(tool["name"], name, properties)
        if not _is_blank(value) and not _is_blank(clean := _check(name, value, properties[name])):
            checked[name] = clean
    for name in VERSIONS & checked.keys():
        if checked[name] == 0:
            del checked[name]
    for name in tool["inputSchema"].get("required", ()):
        if name not in checked:
            raise InvalidInputError(
                f"{tool['name']} needs {name}.", hint=f"Call {tool['name']} again with {name}.", path=name
            )
    return checked


def _require_size(raw: dict[str, Any]) -> None:
    """Refuse at once what is sure to be refused later, before it is copied, folded and compared."""
    for name, value in raw.items():
        if isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
            raise _too_large(_quoted(name), MAX_TEXT_CHARS)
    if sum(map(len, _texts(raw))) > MAX_CALL_CHARS:
        raise _too_large("arguments", MAX_CALL_CHARS)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value. It is not nested deeply: the parser saw to that."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)


def _too_large(path: str, limit: int) -> TooLargeError:
    return TooLargeError(
        f"{path}: the limit is {limit:,} characters.", hint="Send less at once.", path=path, limit=limit
    )


def _is_blank(value: Any) -> bool:
    return value is None or value in ("", [])


def _unknown_parameter(tool: str, name: str, properties: Iterable[str]) -> InvalidInputError:
    allowed = list(properties)
    near = _nearest(name, allowed)
    return InvalidInputError(
        f'{tool} has no parameter "{_quoted(name)}".',
        hint=f"Did you mean {near}?" if near else "Leave it out, or use one of the allowed ones.",
        path=_quoted(name) or '""',
        allowed=allowed,
        did_you_mean=near,
    )


def _check(path: str, value: Any, schema: Schema) -> Any:
    if path in VERSION_OR_TEXT and not isinstance(value, str):
        return _integer(path, value, schema)
    return CHECKS[schema["type"]](path, value, schema)


def _string(path: str, value: Any, schema: Schema) -> Any:
    if not isinstance(value, str):
        raise _wrong_type(path, value, "text")
    allowed = schema.get("enum")
    if allowed and value not in allowed:
        near = _nearest(value, allowed)
        raise InvalidInputError(
            f'{path} cannot be "{_quoted(value)}".',
            hint=f"Use one of: {', '.join(allowed)}.",
            path=path,
            allowed=allowed,
            did_you_mean=near,
        )
    return _digits(value) if path in VERSION_OR_TEXT else value


def _digits(text: str) -> int | str:
    """Return the number that these digits are, or the text if it is something else."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    return int(text) if is_number else text


def _integer(path: str, value: Any, schema: Schema) -> int:
    number = _whole(value)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 10**MAX_DIGITS:
        raise _wrong_type(path, value, "a whole number, 0 or more")
    return number


def _boolean(path: str, value: Any, schema: Schema) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(path, value, "true or false")
    return value


def _array(path: str, value: Any, schema: Schema) -> list[Any]:
    items = schema["items"]
    expected = "an array of texts" if items["type"] == "string" else "an array of objects"
    if not isinstance(value, list):
        raise _wrong_type(path, value, expected)
    return [
        CHECKS[items["type"]](f"{path}[{position}]", item, items)
        for position, item in enumerate(value)
        if not _is_blank(item)
    ]


def _object(path: str, value: Any, schema: Schema) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_type(path, value, "an object")
    return value


CHECKS: dict[str, Callable[[str, Any, Schema], Any]] = {
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
    "array": _array,
    "object": _object,
}


def _wrong_type(path: str, value: Any, expected: str) -> InvalidInputError:
    hint = f"Give {path} as {expected}."
    if isinstance(value, str) and expected.startswith("an "):
        hint += " Send JSON itself; this text is not JSON of that type."
    return InvalidInputError(f"{path} must be {expected}, not {_kind(value)}.", hint=hint, path=path)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"{value:.6g}" if isinstance(value, float) else "that number"
        case str():
            return f'the text "{_quoted(value)}"'
        case list():
            return "an array"
        case None:
            return "null"
    return "an object"


def _quoted(text: str) -> str:
    return text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 1]}…"


def _nearest(text: str, known: list[str]) -> str | None:
    import difflib  # only a wrong name needs it

    near = difflib.get_close_matches(text[:MAX_QUOTED].casefold(), known, n=1)
    return near[0] if near else None
