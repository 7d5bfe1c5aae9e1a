"""The demo is real: what it prints agrees with its files, and a second run tells what changed.

The environment is changed between runs as an installer would change it: by folders with
metadata on the path.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from living_reports.cli.demo.environment import Conflict, Environment, Package
from living_reports.cli.demo.findings import CONFLICTS, LICENCES, differences, topics, versions


def run_demo(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "100"}
    command = [sys.executable, "-m", "living_reports", "demo", "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def demo(root: Path, site: Path) -> str:
    done = run_demo(root, site)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def install(site: Path, name: str, version: str, *requires: str) -> None:
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "License-Expression: MIT"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")
    (folder / "RECORD").write_text(f"{folder.name}/METADATA,,100\n{folder.name}/RECORD,,\n")


def remove(site: Path, name: str, version: str) -> None:
    folder = site / f"{name}-{version}.dist-info"
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def report_folder(root: Path) -> Path:
    (folder,) = (path for path in (root / "by_id").iterdir() if not path.name.startswith("."))
    return folder


def events(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (report_folder(root) / "audit.jsonl").read_bytes().splitlines()]


def outline(root: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((report_folder(root) / "outline.json").read_bytes())
    return data


def test_two_runs_keep_one_report(tmp_path: Path) -> None:
    root, site = tmp_path / "reports", tmp_path / "site"
    install(site, "pretend-stays", "1.0")
    install(site, "pretend-moves", "1.0")
    install(site, "pretend-goes", "2.0")

    first = demo(root, site)
    assert [event["action_type"] for event in events(root)] == ["create", "evolve", "evolve", "revert"]
    assert outline(root)["outline_version"] == 4
    assert "invalid_input" in first
    assert "changes[1].importance" in first
    assert re.search(r"untouched: version 2", first)
    assert re.search(r"verified +ok, 4 events", first)
    assert str(report_folder(root)) in first
    head = (report_folder(root) / "audit.jsonl").read_bytes().splitlines()[-1]
    assert hashlib.sha256(head).hexdigest() in first

    remove(site, "pretend-goes", "2.0")
    remove(site, "pretend-moves", "1.0")
    install(site, "pretend-moves", "1.1")
    install(site, "pretend-comes", "3.0", "pretend-moves>=2")

    second = demo(root, site)
    assert outline(root)["outline_version"] == 5
    assert [event["action_type"] for event in events(root)][4:] == ["evolve"]
    news = second.partition("version 4 beside version 5")[2].partition("\n\n")[0]
    assert [line.strip() for line in news.splitlines() if line.strip()] == [
        "• pretend-comes 3.0 was installed",
        "• pretend-goes 2.0 was removed",
        "• pretend-moves went from 1.0 to 1.1",
    ]
    assert "pretend-comes requires pretend-moves>=2, version 1.1 is installed" in " ".join(second.split())
    assert re.search(r"verified +ok, 5 events", second)

    third = demo(root, site)
    assert "nothing was installed, removed, upgraded or downgraded" in third
    assert "1 of 9 changes altered something" in third
    assert re.search(r"verified +ok, 6 events", third)


def test_nothing_it_prints_is_wider_than_the_terminal(tmp_path: Path) -> None:
    text = demo(tmp_path / "r", tmp_path / "site")
    long = [line for line in text.splitlines() if len(line) > 100 and str(tmp_path) not in line]
    assert long == []
    assert "\x1b" not in text


def test_every_insight_has_its_source_and_a_review_day(tmp_path: Path) -> None:
    demo(tmp_path / "r", tmp_path / "site")
    insights = outline(tmp_path / "r")["insights"]
    assert len(insights) == 4
    for insight in insights:
        assert insight["citations"][0]["source"] == "observation"
        assert insight["metadata"]["review_by"]


def test_a_refusal_ends_it_with_what_the_server_said(tmp_path: Path) -> None:
    root, site = tmp_path / "r", tmp_path / "site"
    demo(root, site)
    (report_folder(root) / "outline.json").write_text("{")
    done = run_demo(root, site)
    assert done.returncode == 1
    assert done.stderr.startswith("corrupt_report: ")
    assert "Traceback" not in done.stderr


# --- Findings -----------------------------------------------------------------------------


def package(name: str, version: str = "1.0", licence: str | None = "MIT") -> Package:
    return Package(name, version, licence, 1000, "https://example.org", f"/site/{name}/METADATA", ())


def environment(*packages: Package, conflicts: tuple[Conflict, ...] = ()) -> Environment:
    return Environment("3.11.7", "/usr", packages, len(packages), conflicts)


def topic(title: str, seen: Environment) -> tuple[str, int]:
    found = next(topic for topic in topics(seen, "2026-11-23") if topic.title == title)
    return found.summary, found.importance


def test_the_table_of_packages_reads_back() -> None:
    seen = environment(package("a"), package("b", "2.0rc1"))
    assert versions(topics(seen, "2026-11-23")[0].content) == {"a": "1.0", "b": "2.0rc1"}


def test_differences() -> None:
    assert differences({"a": "1", "b": "1"}, {"b": "2", "c": "1"}) == [
        "c 1 was installed",
        "a 1 was removed",
        "b went from 1 to 2",
    ]
    assert differences({}, {"a": "1"}) == []


@pytest.mark.parametrize(
    ("licence", "summary", "importance"),
    [
        ("MIT", "Every package declares a licence, and none is copyleft.", 3),
        ("MPL-2.0", "Changes to a must stay open: copyleft licences.", 5),
        (None, "No licence is declared by a.", 7),
    ],
)
def test_licences(licence: str | None, summary: str, importance: int) -> None:
    assert topic(LICENCES, environment(package("a", licence=licence))) == (summary, importance)


def test_a_conflict_is_what_matters_most() -> None:
    broken = environment(package("a"), conflicts=(Conflict("a", "b>=2", None),))
    assert topic(CONFLICTS, broken) == ("1 requirement is not met: a requires b>=2, it is not installed.", 9)
