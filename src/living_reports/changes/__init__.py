"""The change vocabulary: parsing requested changes and applying them to an outline.

`parse_changes` parses the changes of a call and `apply_changes` makes a new outline; both are
pure. Modules: `parse` (parsers of values, and the fields of each op), `section_templates` (data
written as Markdown), `apply` (the effect of each op).
"""

from living_reports.changes.apply import Outcome, all_created, apply_changes, still_there
from living_reports.changes.parse import (
    CHANGE_FIELDS,
    CITATION_FIELDS,
    MAX_CHANGES,
    MAX_REPORT_BYTES,
    MAX_SECTION_BYTES,
    MAX_TAG_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
    NEW_INSIGHT,
    NEW_SECTION,
    OPS,
    Change,
    OpSpec,
    citation_source,
    is_blank,
    parse_changes,
    parse_sections,
)
from living_reports.changes.parse import tags as parse_tags
from living_reports.changes.parse import text as parse_text
from living_reports.changes.parse import title as parse_title

__all__ = [
    "CHANGE_FIELDS",
    "CITATION_FIELDS",
    "MAX_CHANGES",
    "MAX_REPORT_BYTES",
    "MAX_SECTION_BYTES",
    "MAX_TAGS",
    "MAX_TAG_CHARS",
    "MAX_TITLE_CHARS",
    "NEW_INSIGHT",
    "NEW_SECTION",
    "OPS",
    "Change",
    "OpSpec",
    "Outcome",
    "all_created",
    "apply_changes",
    "citation_source",
    "is_blank",
    "parse_changes",
    "parse_sections",
    "parse_tags",
    "parse_text",
    "parse_title",
    "still_there",
]
