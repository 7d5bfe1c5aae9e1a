"""Real histories to replay: documents that many people kept current, as outlines.

The data is not part of the project. It is looked for in the folder that the environment
variable LIVING_REPORTS_HISTORIES names, else in `shared/data` beside the checkout; where it
is absent, the tests that need it skip.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from living_reports.model.report import Outline, normalised

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"
HISTORIES = Path(os.environ.get("LIVING_REPORTS_HISTORIES", BESIDE))
NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


def revisions(name: str) -> Iterator[dict[str, Any]]:
    """Yield the revisions of `<name>.jsonl.xz`, oldest first; skip the test if the file is missing."""
    path = HISTORIES / f"{name}.jsonl.xz"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def outline_of(revision: dict[str, Any], version: int) -> Outline:
    """Return a revision as an outline with a section for each heading; its id follows from its title."""
    sections = []
    seen: dict[str, int] = {}
    for part in re.split(r"(?m)^(?=## )", revision["text"]):
        heading, _, content = part.partition("\n") if part.startswith("## ") else ("Preface", "", part)
        title = heading.strip("# \r") or "Untitled"
        seen[title] = seen.get(title, 0) + 1
        section_id = uuid.uuid5(NAMESPACE, f"{title} {seen[title]}")
        sections.append({"section_id": str(section_id), "title": title, "content": content})
    data = {
        "report_id": str(NAMESPACE),
        "title": "History",
        "created_at": "2021-12-13T00:00:00+00:00",
        "updated_at": revision["at"],
        "outline_version": version,
        "sections": sections,
    }
    return normalised(Outline.model_validate(data))


def split_sections(text: str) -> dict[str, str]:
    """Return the sections of a document in order, with their headings, by unique names."""
    sections: dict[str, str] = {}
    for part in re.split(r"(?m)^(?=## )", text):
        heading = part.partition("\n")[0].strip("# \r") if part.startswith("## ") else "Preface"
        name, number = heading[:400] or "Untitled", 1
        while name in sections:
            number += 1
            name = f"{heading[:400]} ({number})"
        sections[name] = part
    return sections


def changes_between(old: dict[str, str], new: dict[str, str]) -> list[dict[str, Any]]:
    """Return the changes from one revision to the next, with sections named by their titles."""
    gone = [name for name in old if name not in new]
    came = [name for name in new if name not in old]
    changes = [{"op": "remove_section", "section": name} for name in gone]
    changes += [
        {"op": "edit_section", "section": name, "content": text}
        for name, text in new.items()
        if name in old and old[name] != text
    ]
    changes += [{"op": "add_section", "title": name, "content": new[name]} for name in came]
    order = [*(name for name in old if name in new), *came]
    previous = ""
    for place, name in enumerate(new):
        if order[place] != name:
            position = f"after:{previous}" if previous else "first"
            changes.append({"op": "move_section", "section": name, "position": position})
            order.remove(name)
            order.insert(place, name)
        previous = name
    return changes


def reason_of(revision: dict[str, Any]) -> str:
    return f"{revision['author']}: {revision['message']}".strip()
