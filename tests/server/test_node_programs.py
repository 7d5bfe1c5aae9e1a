"""Node is found, its packages are the pinned ones, and where it is missing a test says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.node_programs import NODE_VARIABLE, PACKAGES, NodeMissingError, NodePrograms, find_node


def test_the_packages_are_those_that_are_pinned(node: NodePrograms) -> None:
    pinned = json.loads(PACKAGES.read_bytes())["dependencies"]
    for name, pin in pinned.items():
        manifest = json.loads((node.folder / "node_modules" / name / "package.json").read_bytes())
        assert pin.split("@")[-1] == manifest["version"], name


def test_a_program_runs(node: NodePrograms) -> None:
    command = [*node.command("@modelcontextprotocol/inspector", "mcp-inspector"), "--version"]
    assert subprocess.run(command, capture_output=True, timeout=60).stdout.decode().strip() == "2.12.0"


def test_where_node_is_named_its_absence_is_a_failure(tmp_path: Path) -> None:
    test = f"{__file__}::{test_a_program_runs.__name__}"
    environ = {**os.environ, NODE_VARIABLE: str(tmp_path / "node")}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "does not run" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a script with its interpreter in the first line")
def test_an_old_node_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "node.py"
    old.write_text(f"#!{sys.executable}\nprint('v20.20.2')\n")
    old.chmod(0o700)
    monkeypatch.setenv(NODE_VARIABLE, str(old))
    with pytest.raises(NodeMissingError, match=r"Node 20\.20\.2 is older than 22\.19"):
        find_node()


def test_a_node_that_is_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NODE_VARIABLE, str(tmp_path / "node"))
    with pytest.raises(NodeMissingError, match="does not run"):
        find_node()
