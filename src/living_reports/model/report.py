"""The models of a report, and their serialised form.

Rules:

- Field names and enums are those of igloo-mcp's living reports, so that each program can
  read the folders of the other. Unknown top-level keys of an outline are kept.
- An outline always serialises to the same bytes: keys in model order, keys of free-form
  objects (`metadata`) sorted, absent optional fields omitted, two spaces of indent, unescaped
  UTF-8, one newline at the end.
- Models are values and are never modified in place. A change makes a copy that shares all
  unchanged parts, so that comparing two versions is cheap.
- No clock, disk or random ids: an item without a timestamp gets the `created_at` of its outline.
- The rules of each field are in `fields.RULES`.

    >>> outline = parse_outline(b'{"report_id": "5f9d…", "title": "Health", …}')
    >>> outline_bytes(outline) == outline_bytes(parse_outline(outline_bytes(outline)))
    True
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
import uuid
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from living_reports.model.fields import FACTS

ReportStatus = Literal["active", "archived", "deleted"]
InsightStatus = Literal["active", "archived", "killed"]
ContentFormat = Literal["markdown", "html", "plain"]
CitationSource = Literal["query", "api", "url", "observation", "document"]

MAX_DEPTH = 64
"""The maximum nesting of a free-form value; deeper ones are refused."""

ID_CHARS = 8
"""The number of characters to which answers cut the id of a section or an insight."""

_PIECE_CHARS = 256
"""The length of the pieces in which `normal_form` converts a text."""

_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def parse_uuid(text: str) -> str:
    """Return the canonical form of a UUID (lower case, with dashes).

    Raises:
        ValueError: `text` is not a UUID in its usual form, with or without dashes.
    """
    if _CANONICAL_UUID.fullmatch(text):
        return text
    plain = text.replace("-", "")
    if len(plain) != 32 or not all(c in "0123456789abcdefABCDEF" for c in plain):
        raise ValueError("not a UUID")
    return str(uuid.UUID(plain))


def as_uuid(text: str) -> str:
    """Return the canonical form of a UUID; empty if the text is not one."""
    try:
        return parse_uuid(text)
    except ValueError:
        return ""


def unique_starts(ids: Iterable[str]) -> dict[str, str]:
    """Return the shortest beginning of each id, at least `ID_CHARS` long, that none of the others has."""
    known = sorted(set(ids))
    needed = dict.fromkeys(known, ID_CHARS)
    for one, other in pairwise(known):
        if one[:ID_CHARS] == other[:ID_CHARS]:
            differ = (n for n, (a, b) in enumerate(zip(one, other, strict=False), 1) if a != b)
            shared = next(differ, len(other))
            needed[one], needed[other] = max(needed[one], shared), max(needed[other], shared)
    return {item_id: item_id[:length] for item_id, length in needed.items()}


def folded(text: str) -> str:
    """Return the form in which titles are compared: NFC, trimmed, casefolded."""
    if text.isascii():
        return text.strip().lower()
    return normal_form("NFC", normal_form("NFC", text.strip()).casefold())


def normal_form(form: Literal["NFC", "NFD", "NFKC"], text: str) -> str:
    """Return the text in a Unicode normal form, in time linear to its length.

    The standard library sorts a run of combining characters in quadratic time, so the text is converted in
    pieces. They begin at an ASCII character, which combines with nothing before it, where there is one.
    """
    if len(text) <= _PIECE_CHARS:
        return unicodedata.normalize(form, text)
    pieces = []
    start = 0
    while start < len(text):
        last = start + _PIECE_CHARS
        nearby = range(min(last, len(text)), last - _PIECE_CHARS // 2, -1)
        end = next((at for at in nearby if at == len(text) or text[at].isascii()), last)
        pieces.append(unicodedata.normalize(form, text[start:end]))
        start = end
    return "".join(pieces)


def canonical(value: Any, depth: int = 0) -> Any:
    """Return a free-form JSON value with the keys of every object sorted.

    Raises:
        ValueError: The value is not JSON (another type, a number that is not finite, text that
            is not Unicode), or it is nested deeper than `MAX_DEPTH`.
    """
    if isinstance(value, str):
        value.encode()  # a lone surrogate has no UTF-8 form
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number must be finite")
    elif depth >= MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    elif isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError("the keys of an object must be text")
            key.encode()
        return {key: canonical(value[key], depth + 1) for key in sorted(value)}
    elif isinstance(value, list | tuple):
        return [canonical(item, depth + 1) for item in value]
    elif value is not None and not isinstance(value, bool | int):
        raise ValueError(f"{type(value).__name__} is not a JSON value")
    return value


def _none_is(default: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: default if value is None else value)


Uuid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$")]
JsonObject = Annotated[
    dict[str, Any],
    AfterValidator(canonical),
    PlainSerializer(canonical, return_type=dict[str, Any]),
]


class Model(BaseModel):
    """The base of all serialised models; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class DatasetSource(Model):
    """A legacy reference to a query, derived from the query citations of its insight."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, populate_by_name=True)

    execution_id: str | None = None
    sql_sha256: str | None = None
    cache_manifest: str | None = None
    cache_only: bool = False
    profile: str | None = None
    warehouse: str | None = None
    database: str | None = None
    db_schema: str | None = Field(default=None, alias="schema")
    role: str | None = None


class Citation(Model):
    """The source of an insight or a section. `source` determines which other fields are used."""

    source: CitationSource
    provider: str | None = None
    description: str | None = None
    execution_id: str | None = None
    query_id: str | None = None
    sql_sha256: str | None = None
    cache_manifest: str | None = None
    url: str | None = None
    title: str | None = None
    accessed_at: str | None = None
    endpoint: str | None = None
    response_hash: str | None = None
    path: str | None = None
    page: str | None = None
    observed_at: str | None = None


def queries_of(citations: Iterable[Citation], known: Iterable[DatasetSource] = ()) -> list[DatasetSource]:
    """Return the legacy `supporting_queries` for these citations.

    An entry of `known` for the same query is reused with all its fields.
    """
    by_query = {(q.execution_id, q.sql_sha256, q.cache_manifest): q for q in known}
    cited = [
        (c.execution_id, c.sql_sha256, c.cache_manifest)
        for c in citations
        if c.source == "query" and (c.execution_id or c.sql_sha256 or c.cache_manifest)
    ]
    return [
        by_query.get(key) or DatasetSource(execution_id=key[0], sql_sha256=key[1], cache_manifest=key[2])
        for key in dict.fromkeys(cited)
    ]


class Insight(Model):
    """A finding with its importance and its citations."""

    insight_id: Uuid
    importance: int = Field(ge=0, le=10)
    status: InsightStatus = "active"
    summary: str = Field(min_length=1)
    supporting_queries: list[DatasetSource] = Field(default_factory=list)
    citations: list[Citation] = Field(default_factory=list)
    created_at: str = ""
    updated_at: str = ""
    draft_changes: JsonObject | None = None
    metadata: JsonObject = Field(default_factory=dict)

    @model_validator(mode="after")
    def _keep_citations_in_step(self) -> Self:
        if self.supporting_queries and not self.citations:
            fields = ("execution_id", "sql_sha256", "cache_manifest")
            self.__dict__["citations"] = [
                Citation(source="query", provider="snowflake", **{f: getattr(query, f) for f in fields})
                for query in self.supporting_queries
            ]
        elif self.citations and not self.supporting_queries:
            self.__dict__["supporting_queries"] = queries_of(self.citations)
        return self

    @property
    def facts(self) -> dict[str, Any]:
        """The facts beside the summary that answers and pages show, by name; `None` for absent ones."""
        return {name: vars(self).get(name, self.metadata.get(name)) for name in FACTS}

    def with_citations(self, citations: list[Citation]) -> Insight:
        """Return a copy with these citations and the matching legacy queries."""
        queries = queries_of(citations, self.supporting_queries)
        return self.model_copy(update={"citations": citations, "supporting_queries": queries})


class Section(Model):
    """A titled text with its insights in order."""

    section_id: Uuid
    title: str = Field(min_length=1)
    order: int = Field(default=0, ge=0)
    insight_ids: list[str] = Field(default_factory=list)
    notes: str | None = None
    content: str | None = None
    content_format: Annotated[ContentFormat, _none_is("markdown")] = "markdown"
    created_at: str = ""
    updated_at: str = ""
    metadata: JsonObject = Field(default_factory=dict)

    @property
    def citations(self) -> list[Citation]:
        """The citations in the metadata; values that are no citations, of other programs, are left out."""
        return [each for each in map(_as_citation, self.cited_values) if each is not None]

    @property
    def cited_values(self) -> list[Any]:
        """The values at the place of the citations, whatever they are."""
        values = self.metadata.get("citations") or []
        return values if isinstance(values, list) else [values]

    def with_citations(self, citations: list[Citation]) -> Section:
        """Return a copy with these citations, followed by the values that are no citations."""
        values = [citation.model_dump(exclude_none=True) for citation in citations]
        values += [value for value in self.cited_values if _as_citation(value) is None]
        metadata = {key: value for key, value in self.metadata.items() if key != "citations"}
        metadata |= {"citations": values} if values else {}
        return self.model_copy(update={"metadata": metadata})


def _as_citation(value: Any) -> Citation | None:
    try:
        return Citation.model_validate(value)
    except ValidationError:
        return None


class Outline(Model):
    """The complete content of a report at one version."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)

    report_id: Uuid
    title: str = Field(min_length=1)
    created_at: str
    updated_at: str
    version: str = "1.0"
    outline_version: int = Field(default=1, ge=1)
    sections: list[Section] = Field(default_factory=list)
    insights: list[Insight] = Field(default_factory=list)
    metadata: JsonObject = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        _require_unique("section_id", (section.section_id for section in self.sections))
        _require_unique("insight_id", (insight.insight_id for insight in self.insights))
        items: list[Section | Insight] = [*self.sections, *self.insights]
        for item in items:
            created_at = item.created_at or self.created_at
            item.__dict__.update(created_at=created_at, updated_at=item.updated_at or created_at)
        if self.__pydantic_extra__:
            extra = canonical({k: v for k, v in self.__pydantic_extra__.items() if v is not None})
            object.__setattr__(self, "__pydantic_extra__", extra)
        return self

    @property
    def tags(self) -> list[str]:
        """The tags of the report in the order in which they were added."""
        tags = self.metadata.get("tags")
        return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []

    @property
    def status(self) -> ReportStatus:
        """`active`, `archived` or `deleted`; any other value in the file counts as active."""
        status = self.metadata.get("status")
        return status if status in ("active", "archived", "deleted") else "active"

    def get_section(self, section_id: str) -> Section:
        """Return the section with this id.

        Raises:
            ValueError: No section has this id.
        """
        for section in self.sections:
            if section.section_id == section_id:
                return section
        raise ValueError(f"Section not found: {section_id}")

    def get_insight(self, insight_id: str) -> Insight:
        """Return the insight with this id.

        Raises:
            ValueError: No insight has this id.
        """
        for insight in self.insights:
            if insight.insight_id == insight_id:
                return insight
        raise ValueError(f"Insight not found: {insight_id}")


def _require_unique(name: str, ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for item_id in ids:
        if item_id in seen:
            raise ValueError(f"{name} {item_id} occurs twice")
        seen.add(item_id)


def normalised(outline: Outline) -> Outline:
    """Return the outline in its saved form: `order` is the position, each insight in one section.

    An insight that several sections name stays in the first. Unchanged parts are shared with the
    argument, not copied.
    """
    placed: set[str] = set()
    sections = []
    for position, section in enumerate(outline.sections):
        ids = [i for i in dict.fromkeys(section.insight_ids) if i not in placed]
        placed.update(ids)
        if ids != section.insight_ids:
            section = section.model_copy(update={"insight_ids": ids})
        if section.order != position:
            section = section.model_copy(update={"order": position})
        sections.append(section)
    if all(new is old for new, old in zip(sections, outline.sections, strict=True)):
        return outline
    return outline.model_copy(update={"sections": sections})


def outline_bytes(outline: Outline) -> bytes:
    """Return the bytes of `outline.json` for this outline."""
    return outline.model_dump_json(indent=2, exclude_none=True, by_alias=True).encode() + b"\n"


def outline_data(outline: Outline) -> dict[str, Any]:
    """Return the outline as JSON data, in the form of the log."""
    return outline.model_dump(exclude_none=True, by_alias=True)


def parse_outline(data: bytes) -> Outline:
    """Parse the bytes of `outline.json`.

    Raises:
        ValueError: The bytes are not JSON or not an outline.
    """
    try:
        return Outline.model_validate_json(data)
    except ValidationError as error:
        raise ValueError(describe(error)) from error


def describe(error: ValidationError) -> str:
    """Return the first defect in one line: its place and the expected value."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = "/".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def sha256_hex(data: bytes) -> str:
    """Return the sha256 of the bytes in the form of `sha256sum`."""
    return hashlib.sha256(data).hexdigest()


class IndexEntry(Model):
    """One line of `index.jsonl`: the facts of a report that lists show."""

    report_id: Uuid
    current_title: str = Field(min_length=1)
    created_at: str
    updated_at: str
    tags: list[str] = Field(default_factory=list)
    status: ReportStatus = "active"
    path: str


def review_day(insight: Insight) -> date | None:
    """Return the UTC day from which an active insight is due for review; `None` if it has none."""
    return utc_day(insight.metadata.get("review_by")) if insight.status == "active" else None


def utc_day(value: Any) -> date | None:
    """Return the UTC day of an ISO 8601 day or time; `None` if it cannot be parsed."""
    return _day_of(value) if isinstance(value, str) else None


@lru_cache(4096)  # a summary asks for each insight's day several times
def _day_of(value: str) -> date | None:
    try:
        if len(value) == len("2026-11-23"):
            return date.fromisoformat(value)
        moment = datetime.fromisoformat(value)
        return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
    except (ValueError, OverflowError):
        return None
