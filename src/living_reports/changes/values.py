"""Parsers for the values of a change, one function per kind of value.

Rules:

- Every parser takes the raw value and its path and returns the value in the form that the
  program uses, or raises an `InvalidInputError` with the path and the valid values.
- Numbers are not accepted as text. Integers are also accepted as digits.
- No text contains a lone surrogate or a NUL; a text of one line contains no control character.

    >>> importance("7", "changes[0].importance")
    7
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, get_args

from living_reports.errors import InvalidInputError, TooLargeError
from living_reports.model.report import Citation, CitationSource, canonical
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
    """Parse the name of an item: its id, the beginning of its id, its title, or a `ref`."""
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
    """Parse an importance from 0 to 10, as an integer or as digits."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,9}", value.strip()):
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
    stated = {n: text(v, f"{path}.{n}") for n, v in value.items() if not is_blank(v)}
    if not stated:
        raise refuse(path, "the citation is empty.", allowed=list(CITATION_FIELDS))
    if "source" in stated:
        one_of(get_args(CitationSource))(stated["source"], f"{path}.source")
    return stated


def citations(value: object, path: str) -> list[dict[str, str]]:
    """Parse a list of citations."""
    return [citation(each, f"{path}[{i}]") for i, each in enumerate(items(value, path))]


def complete_citation(stated: dict[str, str], now: str) -> Citation:
    """Return the citation with its `source`, and with `accessed_at` for a URL or an API."""
    source = citation_source(stated)
    dated = {"accessed_at": now} if source in ("url", "api") else {}
    return Citation(**(dated | stated | {"source": source}))  # type: ignore[arg-type]


def citation_source(stated: dict[str, str]) -> str:
    """Return the source of a citation: the given one, else the one that its fields imply."""
    if "source" in stated:
        return stated["source"]
    if "url" in stated:
        return "url"
    if "path" in stated:
        return "document"
    if "query_id" in stated or "execution_id" in stated:
        return "query"
    return "api" if "endpoint" in stated else "observation"


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
