"""Two people changed the same outline: one outline with both changes, or what clashes.

    lines.py      texts, line by line
    order.py      lists: where things moved to, and values as sets
    conflict.py   a clash, and its short form for an answer
    outline.py    the whole outline: `three_way`

Who needs to merge imports from here.
"""

from living_reports.model.merge.conflict import Conflict
from living_reports.model.merge.outline import Merged, three_way

__all__ = ["Conflict", "Merged", "three_way"]
