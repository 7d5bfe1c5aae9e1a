"""Templates for one section: data of a known shape, written as Markdown.

Rules:

- `add_section` takes `template` and `data` instead of `content`: prose of one's own is added
  afterwards, with `append_text`. What is written is content like any other.
- Data is checked field by field; a refusal names the field's path and what would be valid. A
  field that is absent, `null`, `""` or `[]` is not stated.
- Data is plain text, not Markdown: a reader sees the very words (see `markdown`). Numbers may be
  given where a value is meant.

    >>> print(written("metrics", {"metrics": [{"name": "Errors", "value": 0.12, "target": "< 1 %"}]}, "data"))
    | Metric | Value | Target |
    | --- | ---: | ---: |
    | Errors | 0.12 | < 1 % |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from living_reports.changes import values
from living_reports.changes.markdown import Align, bullets, heading, one_line, paragraphs, table
from living_reports.changes.values import (
    MAX_SECTION_BYTES,
    Parser,
    field_name,
    is_blank,
    nearest,
    refuse,
    too_large,
)
from living_reports.model.selectors import quoted

Data = dict[str, Any]

_MAX_NUMBER = 1e300
"""A larger number is nobody's measurement; what is not a number or infinite is not below it either."""


@dataclass(frozen=True)
class SectionTemplate:
    """What its data looks like and how it is written, block by block; `example` is data that is right."""

    check: Parser
    blocks: Callable[[Data], Iterator[str]]
    example: Mapping[str, Any]


def written(name: str, data: object, path: str) -> str:
    """The Markdown that the template of this name makes of the data.

    Raises:
        InvalidInputError: The data does not have the template's shape; `path` says where.
        TooLargeError: A section would not hold what came out.
    """
    template = SECTION_TEMPLATES[name]
    if not isinstance(data, dict) or not data:
        example = json.dumps(template.example, ensure_ascii=False)
        raise refuse(path, f"{name} needs data, an object.", hint=f"For example {example}")
    content = "\n\n".join(template.blocks(template.check(data, path)))
    if len(content.encode()) > MAX_SECTION_BYTES:
        raise too_large(path, MAX_SECTION_BYTES, "bytes a section")
    return content


# --- Checking -----------------------------------------------------------------------------


def _object(*required: str, **fields: Parser) -> Parser:
    """A parser for an object with these fields, some of them required."""

    def parse(value: object, path: str) -> Data:
        if not isinstance(value, dict):
            raise refuse(path, f"an object is expected, not {quoted(value)}.", allowed=list(fields))
        for name in value:
            if name not in fields:
                near = nearest(str(name), fields)
                where = f"{path}.{field_name(name)}"
                raise refuse(where, "there is no such field.", allowed=list(fields), did_you_mean=near)
        stated = {name: value[name] for name in fields if not is_blank(value.get(name))}
        for name in required:
            if name not in stated:
                hint = f"Add {name}; the fields there are stand in allowed."
                raise refuse(f"{path}.{name}", f"{name} is needed.", hint=hint, allowed=list(fields))
        return {name: fields[name](stated[name], f"{path}.{name}") for name in stated}

    return parse


def _list(of: Parser) -> Parser:
    def parse(value: object, path: str) -> list[Any]:
        return [of(each, f"{path}[{i}]") for i, each in enumerate(values.items(value, path))]

    return parse


def _value(value: object, path: str) -> str:
    """One value as text: words, or a number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER:
        return str(value)
    if isinstance(value, str):
        return values.prose(value, path)
    raise refuse(path, f"a text or a number is expected, not {quoted(value)}.")


_texts = _list(values.prose)

# --- Writing ------------------------------------------------------------------------------


def _intro(data: Data) -> Iterator[str]:
    if "intro" in data:
        yield paragraphs(data["intro"])


def _labelled(data: Data, **labels: str) -> Iterator[str]:
    """Those fields that are stated, each under its label: a list as bullets, a text behind it."""
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
    stated = ", ".join(fact for fact in facts if fact)
    return f"- {box} {one_line(action['action'])}" + (f" ({stated})" if stated else "")


def _methodology(data: Data) -> Iterator[str]:
    yield paragraphs(data["approach"])
    labels = {"period": "Period", "sources": "Sources", "assumptions": "Assumptions"}
    yield from _labelled(data, **labels, limitations="Limitations")


# --- The templates ------------------------------------------------------------------------

_FINDING = _object(
    "title",
    title=values.prose,
    description=values.prose,
    impact=values.prose,
    evidence=_texts,
    actions=_texts,
)
_METRIC = _object(
    "name",
    "value",
    name=values.prose,
    value=_value,
    target=_value,
    trend=_value,
    note=values.prose,
)
_ACTION = _object(
    "action",
    action=values.prose,
    owner=values.prose,
    due=values.prose,
    priority=values.one_of(("high", "medium", "low")),
    done=values.flag,
)

SECTION_TEMPLATES: dict[str, SectionTemplate] = {
    "findings": SectionTemplate(
        _object("findings", intro=values.prose, findings=_list(_FINDING)),
        _findings,
        {"findings": [{"title": "Errors rose", "description": "From 2 % to 5 %.", "evidence": ["run 7"]}]},
    ),
    "metrics": SectionTemplate(
        _object("metrics", intro=values.prose, metrics=_list(_METRIC)),
        _metrics,
        {"metrics": [{"name": "Errors", "value": "5 %", "target": "< 1 %", "trend": "+3 %"}]},
    ),
    "bullet_list": SectionTemplate(
        _object("items", intro=values.prose, items=_texts),
        _bullet_list,
        {"items": ["One thing", "Another"]},
    ),
    "executive_summary": SectionTemplate(
        _object(
            "headline",
            headline=values.prose,
            context=values.prose,
            key_points=_texts,
            recommendation=values.prose,
            conclusion=values.prose,
        ),
        _executive_summary,
        {"headline": "Errors are back under 1 %", "key_points": ["The patch holds"]},
    ),
    "action_items": SectionTemplate(
        _object("actions", intro=values.prose, actions=_list(_ACTION)),
        _action_items,
        {"actions": [{"action": "Rotate the keys", "owner": "Ann", "due": "2026-12-01", "priority": "high"}]},
    ),
    "methodology": SectionTemplate(
        _object(
            "approach",
            approach=values.prose,
            period=values.prose,
            sources=_texts,
            assumptions=_texts,
            limitations=_texts,
        ),
        _methodology,
        {"approach": "Logs of all hosts, counted by hour.", "sources": ["log archive"]},
    ),
}
"""Every section template by its name."""
