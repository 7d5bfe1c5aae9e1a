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
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from living_reports.errors import InvalidInputError, TooLargeError
from living_reports.server.tools import Schema, Tool

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
    number = _digits(value.strip()) if isinstance(value, str) else value
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
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        hint = f"Give {path} as JSON itself, not as text that holds JSON."
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
