"""The protocol's conformance suites over HTTP: what applies to this server passes.

docs/conformance.md lists each check that does not pass, with the reason why it does not apply. That list is
the data of this test: a check that fails and is not in it is a defect; one that is in it and passes, or is
no longer made, is noticed, too.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from living_reports.library import Library
from living_reports.library.requests import CreateReport
from living_reports.model.event import Author
from support.http_server import start_http_server
from support.node_programs import PACKAGES, NodePrograms

DOCUMENT = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
SUITES = {
    "2025-11-25": ["--suite", "all"],
    "2026-07-28": ["--suite", "all", "--spec-version", "2026-07-28"],
}
"""The revisions of the protocol, and what of their suites is run: all but extensions of the protocol."""
PASSED = ("SUCCESS", "INFO")
SCENARIO_FOLDER = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z")

Checks = set[tuple[str, str]]
"""Checks, each as its scenario and its name there."""


def listed(revision: str) -> dict[tuple[str, str], str]:
    """Return the checks that the document lists as not applicable to a revision, with the reasons."""
    section = DOCUMENT.split(f"\n## {revision}")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return {
        (scenario, check): reason
        for scenario, checks, reason in rows
        for check in re.findall(r"`(.+?)`", checks)
    }


def run_suite(node: NodePrograms, revision: str, url: str, folder: Path) -> tuple[Checks, Checks]:
    """The checks that passed and those that did not, of all scenarios of this revision."""
    command = node.command(f"conformance-{revision}", "conformance")
    options = ["server", "--url", url, *SUITES[revision], "--output-dir", str(folder)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=240)
    passed: Checks = set()
    others: Checks = set()
    seen = set()
    for file in folder.glob("*/checks.json"):
        match = SCENARIO_FOLDER.fullmatch(file.parent.name)
        assert match, file
        seen.add(match[1])
        for check in json.loads(file.read_bytes()):
            (passed if check["status"] in PASSED else others).add((match[1], check["id"]))
    assert seen == set(re.findall(r"^=== Running scenario: (.+) ===$", done.stdout, re.MULTILINE)), (
        done.stdout
    )
    return passed - others, others


@pytest.mark.parametrize("revision", SUITES)
def test_what_applies_passes(node: NodePrograms, tmp_path: Path, revision: str) -> None:
    root = tmp_path / "reports"
    insights = [{"summary": "Errors rose", "citations": [{"url": "https://status.example/errors"}]}]
    sections = [{"title": "Errors", "content": "15 %", "insights": insights}]
    Library(root).create_report(CreateReport("Health", sections=sections), author=Author("cli", "ann"))
    with start_http_server(root) as server:
        passed, others = run_suite(node, revision, server.url, tmp_path / "results")
    expected = set(listed(revision))
    assert others - expected == set(), "these fail, and are not listed as not applying"
    assert expected - others == set(), "these are listed as not applying, and pass or are not made"
    assert ("tools-list", "tools-list") in passed


@pytest.mark.parametrize("revision", SUITES)
def test_the_document_names_the_suite_that_is_run(revision: str) -> None:
    pin = json.loads(PACKAGES.read_bytes())["dependencies"][f"conformance-{revision}"]
    assert f"\n## {revision}: conformance {pin.split('@')[-1]}\n" in DOCUMENT
    assert all(listed(revision).values())
