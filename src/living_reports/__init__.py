"""Living Reports: documents that agents and people keep accurate for months.

Importing this package is cheap: it loads nothing but this file. The library is
`living_reports.library.Library`, the server `living_reports.server`, and the command
`living-reports`, which is also `python -m living_reports`.

    >>> import living_reports
    >>> living_reports.__version__
    '0.1.0'
"""

from __future__ import annotations

__version__ = "0.1.0"
