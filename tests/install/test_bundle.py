"""The MCPB bundle and the registry entry are valid, agree with the project, and start the server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from living_reports import __version__
from living_reports.install import server_command
from living_reports.server.prompts import PROMPTS
from living_reports.server.tools import TOOLS
from support.mcp_client import first_call
from support.node_programs import NodePrograms

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MANIFEST = json.loads((ROOT / "bundle" / "manifest.json").read_bytes())
REGISTRY_ENTRY = json.loads((ROOT / "server.json").read_bytes())
SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "registry" / "server.schema.json").read_bytes())


def test_names_and_versions_are_those_of_the_project() -> None:
    [package] = REGISTRY_ENTRY["packages"]
    names = [MANIFEST["name"], package["identifier"], REGISTRY_ENTRY["name"].split("/")[1]]
    assert set(names) == {PROJECT["name"]}
    versions = [MANIFEST["version"], package["version"], REGISTRY_ENTRY["version"]]
    assert set(versions) == {__version__}
    assert MANIFEST["compatibility"]["runtimes"]["python"] == PROJECT["requires-python"]
    assert MANIFEST["license"] == PROJECT["license"]


def test_the_bundle_lists_the_tools_with_the_descriptions_of_the_readme() -> None:
    table = re.findall(r"^\| `(\w+)` \| (.*) \|$", README, re.MULTILINE)
    tools = [(tool["name"], tool["description"]) for tool in MANIFEST["tools"]]
    assert tools == [(name, text) for name, text in table if name in {tool["name"] for tool in TOOLS}]
    assert len(tools) == len(TOOLS)
    assert MANIFEST["prompts_generated"] is bool(PROMPTS), "their texts are generated on request"


def test_the_registry_entry_is_valid() -> None:
    assert REGISTRY_ENTRY["$schema"] == SCHEMA["$id"]
    registry = jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
    registry.validate(REGISTRY_ENTRY)
    wrongs: list[dict[str, Any]] = [
        {"description": "x" * 101},
        {"name": "living-reports"},
        {"packages": [{}]},
    ]
    for wrong in wrongs:
        assert not registry.is_valid(REGISTRY_ENTRY | wrong)


def test_the_readme_has_the_name_of_the_registry_entry() -> None:
    """The registry uses this name to check that the package on PyPI belongs to the entry."""
    assert f"<!-- mcp-name: {REGISTRY_ENTRY['name']} -->" in README


def test_the_registry_entry_starts_the_server_as_an_install_does() -> None:
    [package] = REGISTRY_ENTRY["packages"]
    serve, root = package["packageArguments"]
    program, *arguments = server_command(Path("/reports"))
    assert (package["runtimeHint"], Path(program).stem) == ("uvx", package["identifier"])
    assert [serve["value"], root["name"], "/reports"] == arguments
    assert (serve["type"], root["type"]) == ("positional", "named")


@pytest.fixture(scope="session")
def bundle(node: NodePrograms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed bundle."""
    folder = tmp_path_factory.mktemp("bundle")
    stage = [sys.executable, str(ROOT / "bundle" / "stage.py"), str(folder / "staged")]
    subprocess.run(stage, check=True, timeout=60)
    packed = folder / "living-reports.mcpb"
    mcpb = node.command("@anthropic-ai/mcpb", "mcpb")
    subprocess.run([*mcpb, "validate", str(folder / "staged" / "manifest.json")], check=True, timeout=60)
    subprocess.run([*mcpb, "pack", str(folder / "staged"), str(packed)], check=True, timeout=60)
    return packed


def test_the_bundle_contains_the_source_and_nothing_else(bundle: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "src"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    with zipfile.ZipFile(bundle) as archive:
        names = set(archive.namelist())
    assert names == {*listed, "manifest.json", "pyproject.toml", "README.md", "LICENSE"}
    assert MANIFEST["server"]["entry_point"] in names


def test_the_command_of_the_bundle_starts_the_server(bundle: Path, tmp_path: Path) -> None:
    """A client runs uv; the test uses the current interpreter instead of the environment that uv makes."""
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "extension")
    arguments = substituted(MANIFEST["server"]["mcp_config"]["args"], tmp_path)
    run, directory, folder, program, *rest = arguments
    assert [MANIFEST["server"]["mcp_config"]["command"], run, directory] == ["uv", "run", "--directory"]
    assert program in PROJECT["scripts"]
    entry = {
        "command": sys.executable,
        "args": [
            "-P",
            "-c",
            "import sys; sys.path.insert(0, 'src')\nfrom living_reports import cli, __file__ as file\n"
            f"assert file.startswith({folder!r}), file\nsys.exit(cli.main())",
            *rest,
        ],
    }
    assert first_call(entry, folder=folder)["version"] == 1
    assert (tmp_path / "reports" / "by_id").is_dir()


def substituted(arguments: list[str], folder: Path) -> list[str]:
    """Return the arguments with the variables that a client replaces."""
    known: dict[str, Any] = {"__dirname": folder / "extension", "user_config.root": folder / "reports"}
    return [re.sub(r"\$\{([^}]+)\}", lambda match: str(known[match[1]]), text) for text in arguments]
