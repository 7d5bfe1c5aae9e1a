"""Edit the text of a JSON file and leave every other character as it is.

- Comments, the order of members, indentation, line ends and the notation of numbers stay. Inserted
  text follows the style around it; a comment next to a removed member stays.
- Only objects are edited, at a path of keys. A key on that path that occurs twice is refused,
  because readers differ in which of the two counts.
- With `comments`, the text may have `//` and `/* */` comments and a comma after the last member
  (JSONC, as VS Code reads it); without, it must be strict JSON.

Comments and trailing commas are replaced by blanks, so that the strict parser of the standard
library can check the text and find the end of each value at the same offsets.

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

_STRING = r'"(?:[^"\\]++|\\.)*+"?'
_COMMENT = re.compile(rf"{_STRING}|(?P<blank>//[^\r\n]*|/\*.*?\*/)|/\*.*+", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"{_STRING}|(?P<blank>,)(?=\s*+[}}\]])", re.DOTALL)
_NOT_A_LINE_END = re.compile(r"[^\r\n]")
_BLANKS = " \t\r\n"
_INDENT = re.compile(r"^([ \t]++)\"", re.MULTILINE)
_EMPTY_OBJECT = re.compile(r"\{\s*+\}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# Numbers stay text: they are compared and never computed with.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_constant)


@dataclass(frozen=True)
class _Member:
    """The key of a member, the offsets of the key and of the value, and the end of the value."""

    key: str
    start: int
    value: int
    end: int


@dataclass(frozen=True)
class _Object:
    """The members of an object, and the offsets of its braces."""

    start: int
    members: tuple[_Member, ...]
    close: int


class _Source:
    """A text (`text`), the same without comments (`plain`), and without trailing commas too (`strict`)."""

    def __init__(self, text: str, comments: bool) -> None:
        self.text = text
        self.plain = _COMMENT.sub(_blanked, text) if comments else text
        self.strict = _TRAILING_COMMA.sub(_blanked_after_a_value, self.plain) if comments else text

    def after_blanks(self, at: int) -> int:
        while self.strict[at : at + 1] in tuple(_BLANKS):
            at += 1
        return at

    def parse(self) -> Any:
        """Return the parsed text."""
        try:
            data, end = _DECODER.raw_decode(self.strict, self.after_blanks(0))
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if self.after_blanks(end) != len(self.text):
            raise json.JSONDecodeError("Extra data", self.text, self.after_blanks(end))
        return data

    def object(self, at: int) -> _Object:
        """Return the object that begins at an offset of a text that parses."""
        if self.strict[at : at + 1] != "{":
            raise ValueError(f"the value at {self.place(at)} should be an object")
        members: list[_Member] = []
        here = self.after_blanks(at + 1)
        while self.strict[here] != "}":
            start = self.after_blanks(here + 1) if self.strict[here] == "," else here
            key, end = _DECODER.raw_decode(self.strict, start)
            value = self.after_blanks(self.after_blanks(end) + 1)
            _, end = _DECODER.raw_decode(self.strict, value)
            members.append(_Member(key, start, value, end))
            here = self.after_blanks(end)
        return _Object(at, tuple(members), here)

    def member(self, at: int, key: str) -> _Member | None:
        """Return the member with this key of the object at an offset."""
        named = [member for member in self.object(at).members if member.key == key]
        if len(named) > 1:
            raise ValueError(f"{json.dumps(key)} occurs twice, again at {self.place(named[1].start)}")
        return named[0] if named else None

    def place(self, at: int) -> str:
        """Return the line and column of an offset."""
        return f"line {self.text.count(chr(10), 0, at) + 1} column {at - self.text.rfind(chr(10), 0, at)}"


def _blanked(match: re.Match[str]) -> str:
    return _NOT_A_LINE_END.sub(" ", match[0]) if match["blank"] else match[0]


def _blanked_after_a_value(match: re.Match[str]) -> str:
    at = match.start()
    while at and match.string[at - 1].isspace():
        at -= 1
    return match[0] if at == 0 or match.string[at - 1] in "{[,:" else _blanked(match)


def read(text: str, *, comments: bool = False) -> Any:
    """Return the parsed text.

    Raises:
        ValueError: It is not JSON; the message says where.
    """
    return _Source(text, comments).parse()


def put(text: str, path: Sequence[str], value: Any, *, comments: bool = False) -> str:
    """Return the text with this value at this path; an existing object keeps its other members.

    Raises:
        ValueError: It is not JSON, or the path leads through something other than objects.
    """
    source = _Source(text, comments)
    old = source.parse()
    at, member = source.after_blanks(0), None
    for depth, key in enumerate(path):
        member = source.member(at, key)
        if member is None:
            for missing in reversed(path[depth + 1 :]):
                value = {missing: value}
            return _insert(source, source.object(at), key, value)
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
    """Return the text without the member at this path.

    Raises:
        ValueError: It is not JSON, or the path leads through something other than objects.
    """
    source = _Source(text, comments)
    source.parse()
    at = source.after_blanks(0)
    for key in path[:-1]:
        member = source.member(at, key)
        if member is None:
            return text
        at = member.value
    member = source.member(at, path[-1])
    return text if member is None else _cut_out(source, source.object(at), member)


# --- Writing ------------------------------------------------------------------------------


def _insert(source: _Source, found: _Object, key: str, value: Any) -> str:
    """Return the text with a new member after the last one and the comments that follow it."""
    text, close = source.text, found.close
    last = found.members[-1].end if found.members else found.start + 1
    body = len(text[:close].rstrip(_BLANKS))
    has_comma = "," in source.plain[last:close]
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


def _cut_out(source: _Source, found: _Object, member: _Member) -> str:
    """Return the text without this member, its comma, and its line if that is then empty."""
    text, plain = source.text, source.plain
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
    """Return two parts of a text without the blanks that surrounded the removed text between them."""
    stripped, rest = left.rstrip(" \t"), right.lstrip(" \t")
    if stripped.endswith("\n"):
        alone = rest[:1] in ("\r", "\n")
        return (stripped.removesuffix("\n").removesuffix("\r"), right) if alone else (left, rest)
    return (left, rest) if stripped == left else (stripped, right)


def _member(key: str, value: str) -> str:
    return f"{json.dumps(key, ensure_ascii=False)}: {value}"


def _written(text: str, value: Any, indent: str, in_lines: bool) -> str:
    """Return a value in the style of this text, on several lines or on one."""
    if not in_lines:
        return json.dumps(value, ensure_ascii=False)
    lines = json.dumps(value, ensure_ascii=False, indent=_unit(text)).split("\n")
    return (_line_end(text) + indent).join(lines)


def _unit(text: str) -> str:
    """Return the indentation of one level in this text."""
    match = _INDENT.search(text)
    return match[1] if match else "  "


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _indent(text: str, at: int) -> str:
    """Return the blanks at the start of the line that holds this offset."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _begins_its_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip(" \t")
