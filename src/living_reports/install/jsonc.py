"""Edits in the text of a JSON file that leave every other character as it is.

Rules:

- Comments, the order of members, indentation, line ends and how numbers are written stay. What is
  inserted follows the style around it; a comment beside what is removed stays.
- Only objects are edited, by a path of keys. A key on that path that occurs twice is refused: which
  of the two counts depends on the reader.
- With `comments`, `//` and `/* */` and a comma after the last member are allowed (JSONC, as VS Code
  reads it); without, the text has to be strict JSON.

A text is read three ways at the same offsets: as it is, with its comments blanked, and with
trailing commas blanked too. The last is strict JSON, so the strict parser of the standard library
judges the file and finds where each value ends.

    >>> put('{"a": 1}', ["b", "c"], 2)
    '{"a": 1, "b": {"c": 2}}'
    >>> remove('{"a": 1, "b": {"c": 2}}', ["b", "c"])
    '{"a": 1, "b": {}}'
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_STRING = r'"(?:[^"\\]|\\.)*"'
_COMMENT = re.compile(rf"{_STRING}|(?P<blank>//[^\r\n]*|/\*.*?\*/)", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"{_STRING}|(?P<blank>,)(?=\s*[}}\]])", re.DOTALL)
_NOT_A_LINE_END = re.compile(r"[^\r\n]")
_BLANKS = " \t\r\n"
_INDENT = re.compile(r"^([ \t]+)\"", re.MULTILINE)
_EMPTY_OBJECT = re.compile(r"\{\s*\}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# Numbers stay the text that they are: they are compared, never computed with.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_constant)


@dataclass(frozen=True)
class _Member:
    """Where a key begins, where its value begins, and where that ends."""

    key: str
    start: int
    value: int
    end: int


@dataclass(frozen=True)
class _Reading:
    """One text; the same without its comments; the same without trailing commas, too."""

    text: str
    plain: str
    strict: str

    def after_blanks(self, at: int) -> int:
        while self.strict[at : at + 1] in tuple(_BLANKS):
            at += 1
        return at


@dataclass(frozen=True)
class _Object:
    """An object in a text: its members, and where its braces stand."""

    start: int
    members: tuple[_Member, ...]
    close: int


def read(text: str, *, comments: bool = False) -> Any:
    """The data that the text says.

    Raises:
        ValueError: It is not JSON; the message says where.
    """
    reading = _reading(text, comments)
    try:
        data, end = _DECODER.raw_decode(reading.strict, reading.after_blanks(0))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if reading.after_blanks(end) != len(text):
        raise json.JSONDecodeError("Extra data", text, reading.after_blanks(end))
    return data


def put(text: str, path: Sequence[str], value: Any, *, comments: bool = False) -> str:
    """The text with this value at this path; an object that is there keeps its other members.

    Raises:
        ValueError: It is not JSON, or what lies on the path is no object.
    """
    old: Any = read(text, comments=comments)
    reading = _reading(text, comments)
    at, member = reading.after_blanks(0), None
    for depth, key in enumerate(path):
        member = _find(_object(reading, at), key, text)
        if member is None:
            for missing in reversed(path[depth + 1 :]):
                value = {missing: value}
            return _insert(reading, _object(reading, at), key, value)
        at, old = member.value, old[key]
    if isinstance(old, dict) and isinstance(value, dict):
        for key, part in value.items():
            text = put(text, [*path, key], part, comments=comments)
        return text
    if member is None or old == _DECODER.decode(json.dumps(value)):
        return text
    in_lines = "\n" in text[member.value : member.end]
    return text[:at] + _written(text, value, _indent(text, at), in_lines) + text[member.end :]


def remove(text: str, path: Sequence[str], *, comments: bool = False) -> str:
    """The text without the member at this path, if it is there.

    Raises:
        ValueError: It is not JSON, or what lies on the path is no object.
    """
    read(text, comments=comments)
    reading = _reading(text, comments)
    at = reading.after_blanks(0)
    for key in path[:-1]:
        member = _find(_object(reading, at), key, text)
        if member is None:
            return text
        at = member.value
    found = _object(reading, at)
    member = _find(found, path[-1], text)
    return text if member is None else _cut_out(reading, found, member)


# --- Reading ------------------------------------------------------------------------------


def _reading(text: str, comments: bool) -> _Reading:
    if not comments:
        return _Reading(text, text, text)
    plain = _COMMENT.sub(_blanked, text)
    return _Reading(text, plain, _TRAILING_COMMA.sub(_blanked_after_a_value, plain))


def _blanked(match: re.Match[str]) -> str:
    return _NOT_A_LINE_END.sub(" ", match[0]) if match["blank"] else match[0]


def _blanked_after_a_value(match: re.Match[str]) -> str:
    before = match.string[: match.start()].rstrip()[-1:]
    return match[0] if before in ("", "{", "[", ",", ":") else _blanked(match)


def _object(reading: _Reading, at: int) -> _Object:
    """The object that begins here, in a text that has been read."""
    if reading.strict[at : at + 1] != "{":
        raise ValueError(f"what stands at {_place(reading.text, at)} should be an object")
    members: list[_Member] = []
    here = reading.after_blanks(at + 1)
    while reading.strict[here] != "}":
        start = reading.after_blanks(here + 1) if reading.strict[here] == "," else here
        key, end = _DECODER.raw_decode(reading.strict, start)
        value = reading.after_blanks(reading.after_blanks(end) + 1)
        _, end = _DECODER.raw_decode(reading.strict, value)
        members.append(_Member(key, start, value, end))
        here = reading.after_blanks(end)
    return _Object(at, tuple(members), here)


def _find(found: _Object, key: str, text: str) -> _Member | None:
    named = [member for member in found.members if member.key == key]
    if len(named) > 1:
        raise ValueError(f"{json.dumps(key)} is there twice, again at {_place(text, named[1].start)}")
    return named[0] if named else None


def _place(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1} column {at - text.rfind(chr(10), 0, at)}"


# --- Writing ------------------------------------------------------------------------------


def _insert(reading: _Reading, found: _Object, key: str, value: Any) -> str:
    """One member more, after the last one and what a comment says about that."""
    text, close = reading.text, found.close
    last = found.members[-1].end if found.members else found.start + 1
    body = len(text[:close].rstrip(_BLANKS))
    has_comma = "," in reading.plain[last:close]
    before = "," if found.members and not has_comma else ""
    after = "," if has_comma else ""
    head = text[:last] + before + text[last:body]
    in_lines = "\n" in (text[found.start : close] if found.members else text)
    if not in_lines:
        blank = " " if body > found.start + 1 else ""
        return head + blank + _member(key, _written(text, value, "", False)) + after + text[body:]
    outer = _indent(text, close if _begins_its_line(text, close) else found.start)
    inner = outer + _unit(text)
    if found.members and _begins_its_line(text, found.members[0].start):
        inner = _indent(text, found.members[0].start)
    new = _line_end(text) + inner + _member(key, _written(text, value, inner, True)) + after
    rest = text[body:close] if "\n" in text[body:close] else _line_end(text) + outer
    return head + new + rest + text[close:]


def _cut_out(reading: _Reading, found: _Object, member: _Member) -> str:
    """The text without this member, without a comma too many, and without the line it stood on."""
    text, plain = reading.text, reading.plain
    index = found.members.index(member)
    following = found.members[index + 1].start if index + 1 < len(found.members) else found.close
    comma = plain.find(",", member.end, following)
    left, right = text[: member.start], text[member.end :]
    if comma >= 0:
        right = text[member.end : comma] + text[comma + 1 :]
    elif index > 0:
        comma = plain.index(",", found.members[index - 1].end)
        left = text[:comma] + text[comma + 1 : member.start]
    text = "".join(_closed_up(left, right))
    empty = _EMPTY_OBJECT.match(text, found.start)
    return text[: found.start] + "{}" + text[empty.end() :] if empty else text


def _closed_up(left: str, right: str) -> tuple[str, str]:
    """Two parts of a text, without the blanks that what stood between them leaves."""
    stripped, rest = left.rstrip(" \t"), right.lstrip(" \t")
    if stripped.endswith("\n"):
        alone = rest[:1] in ("\r", "\n")
        return (stripped.removesuffix("\n").removesuffix("\r"), right) if alone else (left, rest)
    return (left, rest) if stripped == left else (stripped, right)


def _member(key: str, value: str) -> str:
    return f"{json.dumps(key, ensure_ascii=False)}: {value}"


def _written(text: str, value: Any, indent: str, in_lines: bool) -> str:
    """A value as it is written into this text, over several lines or in one."""
    if not in_lines:
        return json.dumps(value, ensure_ascii=False)
    lines = json.dumps(value, ensure_ascii=False, indent=_unit(text)).split("\n")
    return (_line_end(text) + indent).join(lines)


def _unit(text: str) -> str:
    """By how much this text indents."""
    match = _INDENT.search(text)
    return match[1] if match else "  "


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _indent(text: str, at: int) -> str:
    """The blanks that begin the line on which this stands."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _begins_its_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip(" \t")
