"""Section templates: structured data written as Markdown.

Rules:

- `add_section` takes `template` and `data` instead of `content`. The result is ordinary content;
  `append_text` adds prose to it.
- Data is validated field by field; an error gives the field's path and the valid values. A field
  that is `null`, `""` or `[]` counts as absent. A value may be a number.
- Data is plain text, and Markdown shows exactly that text. A backslash is added only before
  characters that Markdown would interpret: `2 * 3`, `snake_case` and `~5 %` stay unchanged,
  `*so*` and a line that begins with `# ` do not. A web address becomes a link to itself; nothing
  else becomes a link, an image, a tag, an entity, a list, a heading or a table.
- The text of a table cell or a list item is put on one line.

    >>> print(written("metrics", {"metrics": [{"name": "Errors", "value": 0.12, "target": "< 1 %"}]}, "data"))
    | Metric | Value | Target |
    | --- | ---: | ---: |
    | Errors | 0.12 | < 1 % |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Data = dict[str, Any]


@dataclass(frozen=True)
class Fields:
    """The shape of an object: its fields with their shapes, and the names of the required ones."""

    required: tuple[str, ...]
    shapes: Mapping[str, Shape]


Shape = Literal["text", "value", "flag"] | tuple[str, ...] | list[Any] | Fields
"""A text, a text or number, a flag, one of some words, a list of one shape, or an object."""


@dataclass(frozen=True)
class SectionTemplate:
    """A section template.

    Attributes:
        shape: The shape of its data.
        blocks: Yields the Markdown blocks of parsed data.
        example: Valid data.
    """

    shape: Fields
    blocks: Callable[[Data], Iterator[str]]
    example: Mapping[str, Any]


def described(shape: Shape) -> Any:
    """Return a shape as an example of itself: `{"title": "text", "evidence?": ["text"]}`; `?` is optional."""
    if isinstance(shape, Fields):
        names = {name: name if name in shape.required else f"{name}?" for name in shape.shapes}
        return {names[name]: described(inner) for name, inner in shape.shapes.items()}
    if isinstance(shape, list):
        return [described(shape[0])]
    if isinstance(shape, tuple):
        return " | ".join(shape)
    return {"text": "text", "value": "text or number", "flag": "true or false"}[shape]


# --- Escaping -----------------------------------------------------------------------------

Align = Literal["left", "right"]

_ACTIVE = re.compile(
    r"""
      (?P<url> https?://[^\W_] [^\s<>"\\^`{}|\[\]]* )
    | (?: [`\[\]|]                                      # code, links, cells
        | \\ (?= [!-/:-@\[-`{-~] | \Z )                 # a backslash before punctuation
        | < (?= [A-Za-z/!?] )                           # tags, comments, links
        | & (?= [A-Za-z][A-Za-z0-9]*+; | \# )            # entities
        | \* (?! (?<= \s\* ) \s )                       # emphasis, unless between spaces
        | _ (?! (?<= [^\W_]_ ) [^\W_] | (?<= \s_ ) \s ) # emphasis, unless inside a word or alone
        | ~ (?= ~ ) | (?<= \S ) ~                       # strikethrough
      )
    """,
    re.VERBOSE,
)
_LINE_START = re.compile(r"[-+](?=\s|$)|[-=]++(?=\s*+$)|#(?=#{0,5}(?:\s|$))|>|:(?=-++:?\s*+$)")
_CLOSING_SIGNS = re.compile(r"(?<!\S)(#++)$")
_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*+\n)++")
_NUMBERED = re.compile(r"([0-9]{1,9})([.)])(?=\s|$)")


def one_line(text: str) -> str:
    """Return the text in one line, for use after other words of that line."""
    return _escaped(" ".join(text.split()))


def heading(text: str, level: int) -> str:
    """Return the text as a heading, with number signs at its end escaped."""
    return f"{'#' * level} " + _CLOSING_SIGNS.sub(r"\\\1", one_line(text))


def paragraphs(text: str) -> str:
    """Return the text with its lines and paragraphs."""
    blocks = _BLANK_LINES.split("\n".join(text.strip().splitlines()))
    return "\n\n".join("\n".join(_whole_line(line) for line in block.splitlines()) for block in blocks)


def bullets(texts: Iterable[str]) -> str:
    """Return a list with one item per text."""
    return "\n".join(f"- {_whole_line(text)}" for text in texts)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], aligns: Sequence[Align]) -> str:
    """Return a table of texts under a header that is already Markdown."""
    rule = ["---:" if align == "right" else "---" for align in aligns]
    cells = ([one_line(cell) for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *cells))


def _whole_line(text: str) -> str:
    """Return the text in a line of its own, with a leading list or heading mark escaped."""
    text = " ".join(text.split())
    if found := _NUMBERED.match(text):
        return f"{found[1]}\\{found[2]}{_escaped(text[found.end() :])}"
    if _LINE_START.match(text):
        return f"\\{text[0]}{_escaped(text[1:])}"
    return _escaped(text)


def _escaped(line: str) -> str:
    return _ACTIVE.sub(lambda found: _link(found[0]) if found["url"] else "\\" + found[0], line)


def _link(url: str) -> str:
    """Return the address as a link to itself, without the punctuation that follows it."""
    end = len(url)
    unopened = url.count(")") - url.count("(")
    while url[end - 1] in ".,;:!?'*_~" or (url[end - 1] == ")" and unopened > 0):
        unopened -= url[end - 1] == ")"
        end -= 1
    return f"<{url[:end]}>{_escaped(url[end:])}"


# --- Writing ------------------------------------------------------------------------------


def _intro(data: Data) -> Iterator[str]:
    if "intro" in data:
        yield paragraphs(data["intro"])


def _labelled(data: Data, **labels: str) -> Iterator[str]:
    """Yield the present fields under their labels: a list as bullets, a text after its label."""
    for name, label in labels.items():
        value = data.get(name)
        if isinstance(value, str):
            yield f"**{label}:** {one_line(value)}"
        elif value:
            yield f"**{label}**"
            yield bullets(value)


def _findings(data: Data) -> Iterator[str]:
    yield from _intro(data)
    for finding in data["findings"]:
        yield heading(finding["title"], 3)
        if "description" in finding:
            yield paragraphs(finding["description"])
        yield from _labelled(finding, impact="Impact", evidence="Evidence", actions="Actions")


_COLUMNS: dict[str, tuple[str, Align]] = {
    "name": ("Metric", "left"),
    "value": ("Value", "right"),
    "target": ("Target", "right"),
    "trend": ("Trend", "right"),
    "note": ("Note", "left"),
}


def _metrics(data: Data) -> Iterator[str]:
    yield from _intro(data)
    metrics = data["metrics"]
    shown = [name for name in _COLUMNS if any(name in metric for metric in metrics)]
    header, aligns = zip(*(_COLUMNS[name] for name in shown), strict=True)
    yield table(header, ([metric.get(name, "") for name in shown] for metric in metrics), aligns)


def _bullet_list(data: Data) -> Iterator[str]:
    yield from _intro(data)
    yield bullets(data["items"])


def _executive_summary(data: Data) -> Iterator[str]:
    yield f"**{one_line(data['headline'])}**"
    if "context" in data:
        yield paragraphs(data["context"])
    if "key_points" in data:
        yield bullets(data["key_points"])
    yield from _labelled(data, recommendation="Recommendation", conclusion="Conclusion")


def _action_items(data: Data) -> Iterator[str]:
    yield from _intro(data)
    yield "\n".join(_action(each) for each in data["actions"])


def _action(action: Data) -> str:
    facts = [
        f"**{one_line(action['owner'])}**" if "owner" in action else "",
        f"due {one_line(action['due'])}" if "due" in action else "",
        f"{action['priority']} priority" if "priority" in action else "",
    ]
    box = "[x]" if action.get("done") else "[ ]"
    present = ", ".join(fact for fact in facts if fact)
    return f"- {box} {one_line(action['action'])}" + (f" ({present})" if present else "")


def _methodology(data: Data) -> Iterator[str]:
    yield paragraphs(data["approach"])
    labels = {"period": "Period", "sources": "Sources", "assumptions": "Assumptions"}
    yield from _labelled(data, **labels, limitations="Limitations")


# --- The templates ------------------------------------------------------------------------


def _fields(*required: str, **shapes: Shape) -> Fields:
    return Fields(required, shapes)


_FINDING = _fields(
    "title",
    title="text",
    description="text",
    impact="text",
    evidence=["text"],
    actions=["text"],
)
_METRIC = _fields(
    "name",
    "value",
    name="text",
    value="value",
    target="value",
    trend="value",
    note="text",
)
_ACTION = _fields(
    "action",
    action="text",
    owner="text",
    due="text",
    priority=("high", "medium", "low"),
    done="flag",
)

SECTION_TEMPLATES: dict[str, SectionTemplate] = {
    "findings": SectionTemplate(
        _fields("findings", intro="text", findings=[_FINDING]),
        _findings,
        {"findings": [{"title": "Errors rose", "description": "From 2 % to 5 %.", "evidence": ["run 7"]}]},
    ),
    "metrics": SectionTemplate(
        _fields("metrics", intro="text", metrics=[_METRIC]),
        _metrics,
        {"metrics": [{"name": "Errors", "value": "5 %", "target": "< 1 %", "trend": "+3 %"}]},
    ),
    "bullet_list": SectionTemplate(
        _fields("items", intro="text", items=["text"]),
        _bullet_list,
        {"items": ["One thing", "Another"]},
    ),
    "executive_summary": SectionTemplate(
        _fields(
            "headline",
            headline="text",
            context="text",
            key_points=["text"],
            recommendation="text",
            conclusion="text",
        ),
        _executive_summary,
        {"headline": "Errors are back under 1 %", "key_points": ["The patch holds"]},
    ),
    "action_items": SectionTemplate(
        _fields("actions", intro="text", actions=[_ACTION]),
        _action_items,
        {"actions": [{"action": "Rotate the keys", "owner": "Ann", "due": "2026-12-01", "priority": "high"}]},
    ),
    "methodology": SectionTemplate(
        _fields(
            "approach",
            approach="text",
            period="text",
            sources=["text"],
            assumptions=["text"],
            limitations=["text"],
        ),
        _methodology,
        {"approach": "Logs of all hosts, counted by hour.", "sources": ["log archive"]},
    ),
}
"""The section templates by name."""
