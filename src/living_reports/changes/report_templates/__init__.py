"""Templates for whole reports: the sections that a report of its kind begins with.

Those of the package are the JSON files in this folder; a person adds others, or replaces one of
them, under the reports root as `templates/<name>.json`. `find_template` finds one by its name,
and `Template.filled` puts the given sections into it. Templates for a single section are
`changes.section_templates`.
"""

from living_reports.changes.report_templates.names import BUILT_IN, find_template
from living_reports.changes.report_templates.template import Template, parse_template

__all__ = ["BUILT_IN", "Template", "find_template", "parse_template"]
