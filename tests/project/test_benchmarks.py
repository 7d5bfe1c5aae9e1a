"""The benchmarks run, and the bounds that do not depend on the machine are met."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_a_benchmark_runs_and_every_size_is_within_its_bound() -> None:
    command = [sys.executable, "-m", "benchmarks", "sizes", "--quick", "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout)["benchmarks"]["sizes"]
    assert [row["what"] for row in rows if row.get("is_met") is False] == []
    assert len([row for row in rows if row.get("is_met")]) == 7


def test_an_unknown_benchmark_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks", "speed"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "sizes" in done.stderr
