"""Every example runs as its docstring says, and its output agrees with its files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, root: Path) -> str:
    command = [sys.executable, str(EXAMPLES / name), "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def log_of(root: Path) -> list[dict[str, Any]]:
    (log,) = root.glob("by_id/*/audit.jsonl")
    return [json.loads(line) for line in log.read_bytes().splitlines()]


def outline_of(root: Path) -> dict[str, Any]:
    (file,) = root.glob("by_id/*/outline.json")
    data: dict[str, Any] = json.loads(file.read_bytes())
    return data


def test_keep_a_report(tmp_path: Path) -> None:
    text = run("keep_a_report.py", tmp_path)
    assert re.search(r"^updated +version 2, 2 changes$", text, re.MULTILINE)
    assert re.search(r"^refused +item_not_found: ", text, re.MULTILINE)
    assert re.search(r"^verified +ok, 3 events$", text, re.MULTILINE)
    assert [event["action_type"] for event in log_of(tmp_path)] == ["create", "evolve", "revert"]
    assert [section["title"] for section in outline_of(tmp_path)["sections"]] == ["Errors"]


def test_two_writers(tmp_path: Path) -> None:
    text = run("two_writers.py", tmp_path)
    assert "report version 21, 20 lines, 0 lost" in text
    assert "audit  21 events, ok" in text
    clients = [event["payload"]["client"] for event in log_of(tmp_path)[1:]]
    assert sum("ada" in client for client in clients) == 10
    assert sum("grace" in client for client in clients) == 10
    lines = outline_of(tmp_path)["sections"][0]["content"].split("\n\n")
    assert [line for line in lines if line.startswith("ada")] == [f"ada {n}" for n in range(1, 11)]


def test_recover_after_kill(tmp_path: Path) -> None:
    text = run("recover_after_kill.py", tmp_path)
    killed = re.search(r"^killed +after (\d+) acknowledged versions", text, re.MULTILINE)
    assert killed
    acknowledged = int(killed[1])
    assert f"all {acknowledged} acknowledged versions" in text
    assert re.search(r"^verified +ok", text, re.MULTILINE)
    assert acknowledged <= outline_of(tmp_path)["outline_version"] <= acknowledged + 1
    assert len(log_of(tmp_path)) == outline_of(tmp_path)["outline_version"]


def test_read_history(tmp_path: Path) -> None:
    text = run("read_history.py", tmp_path)
    assert [line.split()[0] for line in text.splitlines()[:4]] == ["v1", "v2", "v3", "v4"]
    assert "chain   4 lines, each follows from the one before" in text
    assert "is what the last line says" in text


def test_agent_pipeline(tmp_path: Path) -> None:
    text = run("agent_pipeline.py", tmp_path)
    assert re.search(r"^refused +version_conflict: The report is at version 3, not 2", text, re.MULTILINE)
    assert "theirs '12 % of requests fail, since Tuesday.'" in text
    assert re.search(r"^done +Service health is at version 4\.$", text, re.MULTILINE)
    assert outline_of(tmp_path)["sections"][0]["content"] == "15 % of requests fail, since Tuesday."
    event = log_of(tmp_path)[-1]
    assert (event["actor"], event["request_id"]) == ("agent", "nightly-2026-11-28")
    assert event["payload"]["client"].startswith("nightly (fastmcp/")
