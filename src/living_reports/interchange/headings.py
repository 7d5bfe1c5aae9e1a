r"""Conversion of a Markdown document to a report: headings become sections.

Rules:

- Headings are those of CommonMark, with number signs or underlined; text that looks like a heading
  inside a fence, a comment, a quote or a list is none. Front matter is text.
- The first heading of level 1 is the title of the report; every other heading of level 1 or 2
  begins a section. Deeper headings stay in the content.
- Text before the first section becomes a section `Introduction`, unless it is blank.
- Nothing is lost or added: the parts of a text, joined, are the text, byte for byte.
- From one revision of a document to the next, a section is identified by its title; sections with
  the same title are identified by their order.

    >>> document = read_document("# Health\n\nAll well.\n\n## Risks\nNone.\n", "health")
    >>> document.title, [title for title, _ in document.sections]
    ('Health', ['Introduction', 'Risks'])
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt

from living_reports.changes import MAX_TITLE_CHARS
from living_reports.model.report import Outline, Section, normalised

INTRODUCTIONS = ("Introduction", "Preface", "Before the first heading")
"""Titles for the text before the first section: the first of these that no section has is used."""
UNTITLED = "Untitled"

_DIVIDING = ("h1", "h2")
_LINE = re.compile(r"[^\r\n]*+(?:\r\n?|\n)|[^\r\n]++\Z")
_FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*+\r?\n(?=[\w\"'-]++[ \t]*+:)")
_FRONT_MATTER_END = re.compile(r"^(?:---|\.\.\.)[ \t]*+(?:\r?\n|\Z)", re.MULTILINE)
_STATED_TITLE = re.compile(r"^title[ \t]*+:[ \t]*+(\S.*+)", re.MULTILINE)

_blocks = MarkdownIt("commonmark")
_blocks.core.ruler.enableOnly(["normalize", "block"])


@dataclass(frozen=True)
class Part:
    """A heading as written, and the text up to the next one.

    `level` is 1 or 2; 0 for the text before the first heading, which has no heading.
    """

    level: int
    heading: str
    title: str
    content: str


@dataclass(frozen=True)
class Document:
    """A parsed document: the title of the report, and the title and content of each section."""

    title: str
    sections: tuple[tuple[str, str], ...]


def split(text: str) -> list[Part]:
    """Split a text into its parts."""
    front = _front_matter(text)
    hidden = len(front) if front else int(text.startswith("\ufeff"))
    lines = _LINE.findall(text)
    blank = "".join("\n" for _ in _LINE.finditer(text[:hidden])) if front else ""
    cuts = list(_headings(blank + text[hidden:]))
    first = cuts[0][0] if cuts else len(lines)
    parts = [Part(0, "", "", "".join(lines[:first]))] if first else []
    ends = [*(begin for begin, *_ in cuts[1:]), len(lines)]
    for (begin, behind, level, title), end in zip(cuts, ends, strict=False):
        parts.append(Part(level, "".join(lines[begin:behind]), title, "".join(lines[behind:end])))
    return parts


def _front_matter(text: str) -> str:
    """Return the front matter that a text begins with; empty if there is none."""
    begin = _FRONT_MATTER.match(text)
    end = _FRONT_MATTER_END.search(text, begin.end()) if begin else None
    return text[: end.end()] if end else ""


def _headings(text: str) -> Iterator[tuple[int, int, int, str]]:
    """Yield the headings that divide: first line, line after it, level, title. Lines count from 0."""
    tokens = _blocks.parse(text)
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.tag in _DIVIDING and token.map:
            yield token.map[0], token.map[1], int(token.tag[1]), one_line(inline.content)


def one_line(text: str) -> str:
    """Return the text as a title: on one line, without control characters, cut to the limit."""
    shown = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)
    words = " ".join(shown.split())
    return words if len(words) <= MAX_TITLE_CHARS else words[: MAX_TITLE_CHARS - 1] + "…"


def read_document(text: str, name: str) -> Document:
    """Parse a text; `name` is its title if the text states none."""
    parts = split(text)
    headed = [part for part in parts if part.level]
    titled = next((part for part in headed if part.level == 1), None)
    leads = titled is not None and titled is headed[0]
    before = [part for part in parts if part.level == 0 or (leads and part is titled)]
    sections = [(part.title or UNTITLED, part.content) for part in parts if part not in before]
    opening = "".join(part.content for part in before)
    if opening.strip("\ufeff \t\r\n"):
        taken = {title.casefold() for title, _ in sections}
        free = (title for title in INTRODUCTIONS if title.casefold() not in taken)
        sections.insert(0, (next(free, INTRODUCTIONS[0]), opening))
    title = (titled.title if titled else _stated_title(text)) or one_line(name) or UNTITLED
    return Document(title, tuple(sections))


def _stated_title(text: str) -> str:
    stated = _STATED_TITLE.search(_front_matter(text))
    return one_line(stated[1].rstrip(" \t\r").strip("\"'")) if stated else ""


def with_document(outline: Outline, document: Document, *, now: str, new_id: Callable[[], str]) -> Outline:
    """Return the outline with the document's title and sections; the same object if nothing changes.

    Args:
        outline: The previous version.
        document: The document.
        now: The time of the change, ISO 8601 in UTC.
        new_id: Returns a new UUID.
    """
    titles = (section.title for section in outline.sections)
    known = dict(zip(_numbered(titles), outline.sections, strict=True))
    sections = []
    numbered = _numbered(title for title, _ in document.sections)
    for key, (title, content) in zip(numbered, document.sections, strict=True):
        section = known.get(key) or Section(
            section_id=new_id(), title=title, content=content or None, created_at=now, updated_at=now
        )
        if (section.content or "") != content:
            section = section.model_copy(update={"content": content or None, "updated_at": now})
        sections.append(section)
    is_same = len(sections) == len(outline.sections) and all(
        new is old for new, old in zip(sections, outline.sections, strict=True)
    )
    if is_same and outline.title == document.title:
        return outline
    changed = {"title": document.title, "sections": sections, "updated_at": now}
    return normalised(outline.model_copy(update=changed))


def _numbered(titles: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield each title with the number of equal titles before it."""
    seen: dict[str, int] = {}
    for title in titles:
        seen[title] = seen.get(title, -1) + 1
        yield title, seen[title]
