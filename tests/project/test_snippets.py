"""Run or check every fenced block of README.md and docs/.

- `sh` and `bash`: the blocks of a page run one after another in their own folder, with their own home
  directory and this project's command on PATH.
- `python`: runs in the same folder.
- `json`, `toml`: are parsed by a strict parser; a client configuration must start the server.
- `text` after a command, without a heading between them: is compared with the output of the command.
  Times, ids, hashes, byte counts and the paths of the reader may differ.
- `text` elsewhere, and blocks without a language, are illustrations.

A block under `<!-- serves -->` ends with a server: it runs until the server listens on the port in the
block. A block that is not run or not compared has a comment above it: `<!-- not run: why -->`,
`<!-- not compared: why -->`, or the mark under which something else runs it (`ELSEWHERE`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from support.http_server import free_port, wait_until_listening
from support.mcp_client import first_call

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = ("sh", "bash", "python")
DATA = ("json", "toml")
ILLUSTRATIONS = ("", "text")
ELSEWHERE = {
    "run": (".ci/run", "readme_command run"),
    "test": (".ci/run", "readme_command test"),
    "check": ("tests/model/test_format.py", "<!-- check -->"),
}
"""The marks of blocks that something else runs: the file, and the text in it that shows this."""
MOST_EXEMPT = 8
TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the comment above it, and the command above it."""

    page: str
    line: int
    language: str
    text: str
    comment: str = ""
    command: Block | None = None

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def reason(self) -> str:
        """The reason on the page why the block is not run or not compared."""
        match = re.fullmatch(r"not (run|compared): (.+)", self.comment)
        return match[2] if match else ""

    @property
    def is_run(self) -> bool:
        return self.language in COMMANDS and not self.reason and self.comment not in ELSEWHERE


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    blocks: list[Block] = []
    comment, command = "", None
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "heading_open":
            command = None
        if token.type == "fence":
            line = (token.map or [0])[0] + 1
            under = command if token.info.strip() == "text" else None
            block = Block(
                page.relative_to(ROOT).as_posix(), line, token.info.strip(), token.content, comment, under
            )
            command = block if block.language in COMMANDS else None
            blocks.append(block)
        match = re.fullmatch(r"<!-- (.+?) -->\s*", token.content) if token.type == "html_block" else None
        comment = match[1] if match else ""
    return blocks


BLOCKS = {page: blocks_of(page) for page in PAGES}
ALL = [block for blocks in BLOCKS.values() for block in blocks]


# --- Running a page ------------------------------------------------------------------------


@dataclass
class Sandbox:
    """A folder in which the commands of a page run, with its own home directory and environment."""

    folder: Path
    printed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir()
        self.work.mkdir()
        (self.home / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
        shutil.copytree(ROOT / "tests" / "data" / "igloo", self.home / "igloo-reports")
        shutil.copytree(ROOT / "bundle", self.work / "bundle")

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def environment(self) -> dict[str, str]:
        kept = {
            name: os.environ[name] for name in ("LANG", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ
        }
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return kept | {"HOME": str(self.home), "PATH": programs, "COLUMNS": "100", "GIT_CONFIG_NOSYSTEM": "1"}

    def run(self, block: Block) -> None:
        """Run a block; the next block starts with the folder and the variables in which this one ends."""
        if block.comment == "serves":
            self.serve(block)
            return
        state = self.folder / "state"
        if block.language == "python":
            command = [sys.executable, "-c", block.text]
        else:
            shell = f'if [ -f "{state}" ]; then . "{state}"; fi\n{self.at_home(block.text)}\n'
            shell += f'{{ export -p; printf "cd %q\\n" "$PWD"; }} >"{state}"'
            command = ["bash", "-euo", "pipefail", "-c", shell]
        done = subprocess.run(
            command, cwd=self.work, env=self.environment(), capture_output=True, timeout=TIMEOUT_SECONDS
        )
        assert done.returncode == 0, f"{block.name}\n{done.stdout.decode()}{done.stderr.decode()}"
        self.printed[block.name] = done.stdout.decode()

    def serve(self, block: Block) -> None:
        """Run a block that ends with a server until it listens, on a free port instead of the page's."""
        [page_port] = re.findall(r"--http (\d+)", block.text)
        with free_port() as port:
            text = self.at_home(block.text).replace(page_port, str(port))
            command = ["bash", "-euo", "pipefail", "-c", text]
            server = subprocess.Popen(
                command, cwd=self.work, env=self.environment(), stderr=subprocess.PIPE, start_new_session=True
            )
            try:
                wait_until_listening(port, server)
            finally:
                if server.poll() is None:
                    os.killpg(server.pid, signal.SIGTERM)
                server.communicate()

    def at_home(self, text: str) -> str:
        """Return the text with the paths of this machine instead of those of the page."""
        program = str(Path(sys.executable).with_name("living-reports"))
        text = text.replace("/home/ada/living-reports/.venv/bin/living-reports", program)
        return text.replace("/home/ada", str(self.home))

    def plain(self, text: str) -> str:
        """Return the text without the parts that differ in each run."""
        program = str(Path(sys.executable).with_name("living-reports"))
        text = text.replace(program, "/home/ada/living-reports/.venv/bin/living-reports")
        text = text.replace(str(self.home), "/home/ada")
        for pattern in (
            r"[0-9a-f]{64}",
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            r"\d{8}T\d{6}_\d{6}",
            r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?",
            r"(?<=  )[0-9a-f]{8}(?=  )",
        ):
            text = re.sub(pattern, "…", text)
        return text


@pytest.mark.skipif(os.name == "nt", reason="the commands of the pages are for a POSIX shell")
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.is_run for block in BLOCKS[page])],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_the_commands_of_a_page_run_and_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    for block in BLOCKS[page]:
        if block.is_run:
            sandbox.run(block)
        elif block.command and not block.reason and block.command.is_run:
            printed = sandbox.printed[block.command.name]
            assert sandbox.plain(block.text) == sandbox.plain(printed), block.name


# --- Data ---------------------------------------------------------------------------------


@cache
def starts(command: str, arguments: tuple[str, ...]) -> bool:
    answer = first_call({"command": command, "args": arguments})
    return bool(answer["version"] == 1)


def servers_in(content: Any) -> list[dict[str, Any]]:
    """Return the server entries of a client configuration; none of other data."""
    keys = ("mcpServers", "servers", "mcp_servers")
    named = [content[key] for key in keys if isinstance(content, dict) and key in content]
    return [entry for servers in named for entry in servers.values()]


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.mark.parametrize("block", [b for b in ALL if b.language in DATA], ids=lambda block: block.name)
def test_data_parses_and_a_configuration_starts_the_server(block: Block, reports: Path) -> None:
    content = json.loads(block.text) if block.language == "json" else tomllib.loads(block.text)
    for entry in servers_in(content):
        assert Path(entry["command"]).is_absolute()
        program = str(Path(sys.executable).with_name(Path(entry["command"]).name))
        arguments = tuple(argument.replace("/home/ada/reports", str(reports)) for argument in entry["args"])
        assert str(reports) in arguments
        assert starts(program, arguments)


# --- Completeness -------------------------------------------------------------------


def test_all_pages_are_read() -> None:
    assert len(ALL) > 20
    assert {block.page for block in ALL} >= {"README.md", "docs/pipelines.md", "docs/clients/codex.md"}


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.name)
def test_each_block_is_checked_or_says_why_not(block: Block) -> None:
    assert block.language in (*COMMANDS, *DATA, *ILLUSTRATIONS), "name the language"
    if block.comment in ELSEWHERE and block.language in COMMANDS:
        file, words = ELSEWHERE[block.comment]
        assert words in (ROOT / file).read_text(encoding="utf-8")
    elif block.comment.startswith("not "):
        assert len(block.reason.split()) >= 4, "say why"
    if block.command and not block.command.is_run:
        assert block.reason, "its command is not run here: say why it is not compared"


def test_few_blocks_are_exempt() -> None:
    exempt = [block.name for block in ALL if block.reason]
    assert len(exempt) <= MOST_EXEMPT, exempt
