"""`python -m living_reports`: the same as the command `living-reports`."""

from __future__ import annotations

import sys

from living_reports.cli import main

if __name__ == "__main__":
    sys.exit(main())
