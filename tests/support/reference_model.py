"""A second, independent implementation of changes, on plain values.

Tests compare the library with it. It selects items by id only, keeps texts short, and knows nothing of
merges, locks and disks.
"""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

from living_reports.model.report import Outline

Plain = dict[str, Any]
Change = dict[str, Any]

ON_REPORT = ["set_title", "set_status", "add_tags", "remove_tags", "set_metadata", "add_section"]
ON_SECTION = ["edit_section", "edit_text", "append_text", "move_section", "remove_section", "add_insight"]
ON_INSIGHT = ["edit_insight", "move_insight", "remove_insight", "add_citation", "remove_citation"]
OPS = [*ON_REPORT, *ON_SECTION, *ON_INSIGHT]


def to_plain(outline: Outline) -> Plain:
    """Return an outline as plain values."""
    metadata = {key: value for key, value in outline.metadata.items() if key not in ("tags", "status")}
    return {
        "title": outline.title,
        "status": outline.status,
        "tags": sorted(outline.tags),
        "metadata": metadata,
        "sections": [
            {
                "id": section.section_id,
                "title": section.title,
                "content": section.content or "",
                "notes": section.notes or "",
                "insights": list(section.insight_ids),
            }
            for section in outline.sections
        ],
        "insights": {
            insight.insight_id: {
                "summary": insight.summary,
                "importance": insight.importance,
                "status": insight.status,
                "urls": [citation.url for citation in insight.citations],
            }
            for insight in outline.insights
        },
    }


def random_change(old: Plain, op: str, random: Random, word: str) -> Change:
    """Return a random change of this kind, or of another kind if the report has nothing to change."""
    if op in ON_INSIGHT and not old["insights"]:
        op = "add_insight"
    if op in ON_SECTION and not old["sections"]:
        op = "add_section"
    insight = random.choice(sorted(old["insights"])) if op in ON_INSIGHT else ""
    urls = old["insights"][insight]["urls"] if insight else []
    if op == "remove_citation" and not urls:
        op = "add_citation"
    section = random.choice(old["sections"])["id"] if op in ON_SECTION or op == "move_insight" else ""
    content = section_with_id(old, section)["content"] if section else ""
    if op == "edit_text" and not content:
        op = "append_text"
    named = {"section": section} if section else {}
    named |= {"insight": insight} if insight else {}
    return {"op": op} | named | _fields(op, old, random, word, content, urls)


def _fields(op: str, old: Plain, random: Random, word: str, content: str, urls: list[str]) -> Change:
    texts = random.choice([["title"], ["content"], ["notes"], ["content", "notes"]])
    fields: dict[str, Change] = {
        "set_title": {"title": word},
        "set_status": {"status": random.choice(["active", "archived"])},
        "add_tags": {"tags": [random.choice("abc")]},
        "remove_tags": {"tags": [random.choice(old["tags"] or ["none"])]},
        "set_metadata": {"key": random.choice(["team", "area"]), "value": random.choice([word, None])},
        "add_section": {"title": word, "content": f"{word} a", "position": random.choice(["first", "last"])},
        "edit_section": dict.fromkeys(texts, word),
        "edit_text": {"find": content, "replace": word},
        "append_text": {"text": word},
        "move_section": {"position": random.choice(["first", "last"])},
        "remove_section": {},
        "add_insight": {"summary": word, "importance": random.randint(0, 10)},
        "edit_insight": random.choice(
            [{"summary": word}, {"importance": random.randint(0, 10)}, {"status": "archived"}]
        ),
        "move_insight": {"position": random.choice(["first", "last"])},
        "remove_insight": {},
        "add_citation": {"citation": {"url": f"https://example.org/{word.replace(' ', '-')}"}},
        "remove_citation": {"citation": {"url": random.choice(urls or [""])}},
    }
    return fields[op]


def section_with_id(report: Plain, section: str) -> Plain:
    """Return the section with this id."""
    return next(one for one in report["sections"] if one["id"] == section)


def has_section(report: Plain, section: str) -> bool:
    return any(one["id"] == section for one in report["sections"])


def apply_change(old: Plain, change: Change, created: Plain) -> Plain:
    """Return the report after a change; `created` has the ids of new items."""
    new: Plain = deepcopy(old)
    op = change["op"]
    if op in ON_REPORT:
        _change_report(new, op, change, created)
    elif op in ON_SECTION:
        _change_section(new, op, change, created)
    else:
        _change_insight(new, op, change)
    return new


def _change_report(new: Plain, op: str, change: Change, created: Plain) -> None:
    if op == "set_title":
        new["title"] = change["title"]
    elif op == "set_status":
        new["status"] = change["status"]
    elif op == "add_tags":
        new["tags"] = sorted({*new["tags"], *change["tags"]})
    elif op == "remove_tags":
        new["tags"] = [tag for tag in new["tags"] if tag not in change["tags"]]
    elif op == "set_metadata":
        new["metadata"].pop(change["key"], None)
        if change["value"] is not None:
            new["metadata"][change["key"]] = change["value"]
    else:
        [row] = created["sections"]
        section = {"id": row["section_id"], "title": change["title"], "content": change["content"]}
        _insert(new["sections"], section | {"notes": "", "insights": []}, change["position"])


def _change_section(new: Plain, op: str, change: Change, created: Plain) -> None:
    section = section_with_id(new, change["section"])
    if op == "edit_section":
        section.update({key: change[key] for key in ("title", "content", "notes") if key in change})
    elif op == "edit_text":
        section["content"] = change["replace"]
    elif op == "append_text":
        section["content"] = (
            f"{section['content']}\n\n{change['text']}" if section["content"] else change["text"]
        )
    elif op == "move_section":
        new["sections"].remove(section)
        _insert(new["sections"], section, change["position"])
    elif op == "remove_section":
        new["sections"].remove(section)
        for insight in section["insights"]:
            del new["insights"][insight]
    else:
        [row] = created["insights"]
        section["insights"].append(row["insight_id"])
        fields = {"summary": change["summary"], "importance": change["importance"]}
        new["insights"][row["insight_id"]] = fields | {"status": "active", "urls": []}


def _change_insight(new: Plain, op: str, change: Change) -> None:
    insight = change["insight"]
    if op == "edit_insight":
        fields = ("summary", "importance", "status")
        new["insights"][insight].update({key: change[key] for key in fields if key in change})
    elif op == "add_citation":
        new["insights"][insight]["urls"].append(change["citation"]["url"])
    elif op == "remove_citation":
        new["insights"][insight]["urls"].remove(change["citation"]["url"])
    else:
        for section in new["sections"]:
            if insight in section["insights"]:
                section["insights"].remove(insight)
        if op == "move_insight":
            _insert(section_with_id(new, change["section"])["insights"], insight, change["position"])
        else:
            del new["insights"][insight]


def _insert(rows: list[Any], row: Any, position: str) -> None:
    rows.insert(0 if position == "first" else len(rows), row)
