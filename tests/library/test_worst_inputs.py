"""Every tool answers in linear time whatever the text, or refuses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.worst_calls import UNITS, costs, worst_text
from support.worst_inputs import OverBudgetError

SIZE, FULL_SIZE = 8_000, 900_000
SCANS = 25_000
"""The most processor time of a call, in plain scans of its text. The page of four such texts needs most."""
FIXED = 1_000
"""The part of a call on a short text that does not depend on the text, in plain scans of it."""
GROWTH = 3.0
"""The most that twice the text may cost."""


@pytest.mark.parametrize("kind", UNITS)
def test_every_tool_takes_linear_time(kind: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    size = FULL_SIZE if pytestconfig.getoption("--full") else SIZE
    try:
        short = list(costs(tmp_path / "short", worst_text(kind, size // 2), size, SCANS))
        long = list(costs(tmp_path / "long", worst_text(kind, size), size, SCANS))
    except OverBudgetError:
        pytest.fail(f"a call takes more than {SCANS} plain scans of {kind}")
    for number, ((tool, before), (_, after)) in enumerate(zip(short, long, strict=True)):
        assert after <= GROWTH * before + FIXED, f"{tool} (call {number}): {before:.0f}, then {after:.0f}"
