"""The change vocabulary: what may be asked for, and the outline that it leads to.

`parse_changes` reads what a caller sent and `apply_changes` makes a new outline of it. Both
are pure. The modules, each with its rules: `values` (one kind of value each), `parse` (which op
takes which field), `section_templates` and `markdown` (data written as prose), `text` (finding and
replacing in prose), `apply` (what each op does).
"""

from living_reports.changes.apply import Outcome, all_created, apply_changes
from living_reports.changes.parse import (
    CHANGE_FIELDS,
    NEW_INSIGHT,
    NEW_SECTION,
    OPS,
    Change,
    OpSpec,
    parse_changes,
    parse_sections,
)
from living_reports.changes.values import (
    CITATION_FIELDS,
    MAX_CHANGES,
    MAX_REPORT_BYTES,
    MAX_SECTION_BYTES,
    MAX_TAG_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
    citation_source,
    is_blank,
)
from living_reports.changes.values import tags as parse_tags
from living_reports.changes.values import text as parse_text
from living_reports.changes.values import title as parse_title

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
]
