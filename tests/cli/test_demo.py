"""The demo: its output agrees with its files, and a second run shows what has changed.

Between runs the environment is changed as an installer would change it: by folders with metadata
on the path.
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

from living_reports.cli.demo.environment import LICENCES, MISSING, Package, differences, sections, versions


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
    assert [event["action_type"] for event in events(root)] == [
        "create",
        "evolve",
        "evolve",
        "revert",
    ]
    assert outline(root)["outline_version"] == 4
    assert "invalid_input" in first
    assert "changes[1].importance" in first
    assert re.search(r"untouched: version 2", first)
    assert re.search(r"verified +ok, 4 events", first)
    head = (report_folder(root) / "audit.jsonl").read_bytes().splitlines()[-1]
    assert hashlib.sha256(head).hexdigest() in first
    assert str(report_folder(root) / "render" / "report-v4.html") in first
    assert (report_folder(root) / "render" / "report-v4.html").is_file()

    remove(site, "pretend-goes", "2.0")
    remove(site, "pretend-moves", "1.0")
    install(site, "pretend-moves", "1.1")
    install(site, "pretend-comes", "3.0", "pretend-gone>=2", "pretend-never; python_version < '3'")

    second = demo(root, site)
    assert outline(root)["outline_version"] == 5
    assert [event["action_type"] for event in events(root)][4:] == ["evolve"]
    news = second.partition("version 4 compared with version 5")[2].partition("\n\n")[0]
    assert [line.strip() for line in news.splitlines() if line.strip()] == [
        "• pretend-comes 3.0 was installed",
        "• pretend-goes 2.0 was removed",
        "• pretend-moves went from 1.0 to 1.1",
    ]
    assert "pretend-comes requires pretend-gone>=2, which is not installed; 1 in total" in second
    assert re.search(r"verified +ok, 5 events", second)

    third = demo(root, site)
    assert "nothing was installed, removed, upgraded or downgraded" in third
    assert "1 of 7 changes altered something" in third
    assert re.search(r"verified +ok, 6 events", third)


def test_nothing_it_prints_is_wider_than_the_terminal(tmp_path: Path) -> None:
    text = demo(tmp_path / "r", tmp_path / "site")
    long = [line for line in text.splitlines() if len(line) > 100 and str(tmp_path) not in line]
    assert long == []
    assert "\x1b" not in text


def test_every_insight_has_a_citation_and_a_review_date(tmp_path: Path) -> None:
    demo(tmp_path / "r", tmp_path / "site")
    insights = outline(tmp_path / "r")["insights"]
    assert len(insights) == 3
    for insight in insights:
        assert insight["citations"][0]["source"] == "observation"
        assert insight["metadata"]["review_by"]


def test_a_refused_call_ends_the_demo_with_the_error_of_the_server(tmp_path: Path) -> None:
    root, site = tmp_path / "r", tmp_path / "site"
    demo(root, site)
    (report_folder(root) / "outline.json").write_text("{ broken")
    done = run_demo(root, site)
    assert done.returncode == 1
    assert done.stderr.startswith("corrupt_report: ")
    assert "Traceback" not in done.stderr


# --- The sections -------------------------------------------------------------------------


def package(name: str, version: str = "1.0", licence: str = "MIT", requires: tuple[str, ...] = ()) -> Package:
    return Package(name, version, licence, 1000, requires)


def section(title: str, *packages: Package) -> dict[str, Any]:
    return next(each for each in sections(packages, "2026-11-23") if each["title"] == title)


def insight(title: str, *packages: Package) -> tuple[str, int]:
    [found] = section(title, *packages)["insights"]
    return found["summary"], found["importance"]


def test_the_table_of_packages_can_be_parsed() -> None:
    content = section("Installed packages", package("a"), package("b", "2.0rc1"))["content"]
    assert versions(content) == {"a": "1.0", "b": "2.0rc1"}


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
        ("MIT", "Every package declares a licence, and none names a copyleft licence.", 3),
        ("MPL-2.0", "A copyleft licence is named by a.", 5),
        ("", "No licence is declared by a.", 7),
    ],
)
def test_licences(licence: str, summary: str, importance: int) -> None:
    assert insight(LICENCES, package("a", licence=licence)) == (summary, importance)


def test_a_missing_package_has_the_highest_importance() -> None:
    broken = package("a", requires=("b-c[d]>=2", "e"))
    assert insight(MISSING, broken, package("E")) == (
        "a requires b-c[d]>=2, which is not installed; 1 in total.",
        9,
    )
    complete = ("Every unconditional requirement names an installed package.", 2)
    assert insight(MISSING, broken, package("B_c"), package("E")) == complete
