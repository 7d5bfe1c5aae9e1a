"""`install` and `uninstall`: find the file on each platform, edit it safely, start the server with it."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from living_reports import install as installation
from living_reports.cli import main, parser
from living_reports.errors import InvalidInputError, StorageFailedError
from living_reports.install import CLIENTS, install, server_command
from living_reports.install.clients import Client
from living_reports.install.plan import plan_install
from support.disk_faults import outcome_of
from support.folders import file_contents
from support.mcp_client import first_call

WINDOWS = {"APPDATA": "D:\\Roaming", "LOCALAPPDATA": "D:\\Local"}
MSIX = "D:\\Local\\Packages\\Claude_pzs8sxrjxfjjc"


# --- Where ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "platform", "environ", "expected"),
    [
        (
            "claude-desktop",
            "darwin",
            {},
            ["/Users/ada/Library/Application Support/Claude/claude_desktop_config.json"],
        ),
        ("claude-desktop", "linux", {}, ["/Users/ada/.config/Claude/claude_desktop_config.json"]),
        ("claude-desktop", "linux", {"XDG_CONFIG_HOME": "/cfg"}, ["/cfg/Claude/claude_desktop_config.json"]),
        (
            "claude-desktop",
            "win32",
            WINDOWS,
            [
                f"{MSIX}\\LocalCache\\Roaming\\Claude\\claude_desktop_config.json",
                "D:\\Roaming\\Claude\\claude_desktop_config.json",
            ],
        ),
        ("claude-code", "darwin", {}, ["/Users/ada/.claude.json"]),
        ("claude-code", "linux", {"CLAUDE_CONFIG_DIR": "/work/claude"}, ["/work/claude/.claude.json"]),
        ("claude-code", "win32", WINDOWS, ["C:\\Users\\ada\\.claude.json"]),
        ("cursor", "darwin", {}, ["/Users/ada/.cursor/mcp.json"]),
        ("cursor", "linux", {"XDG_CONFIG_HOME": "/cfg"}, ["/Users/ada/.cursor/mcp.json"]),
        ("cursor", "win32", WINDOWS, ["C:\\Users\\ada\\.cursor\\mcp.json"]),
        ("vscode", "darwin", {}, ["/Users/ada/Library/Application Support/Code/User/mcp.json"]),
        ("vscode", "linux", {"XDG_CONFIG_HOME": ""}, ["/Users/ada/.config/Code/User/mcp.json"]),
        ("vscode", "linux", {"XDG_CONFIG_HOME": "/cfg"}, ["/cfg/Code/User/mcp.json"]),
        ("vscode", "win32", WINDOWS, ["D:\\Roaming\\Code\\User\\mcp.json"]),
        ("vscode", "win32", {}, ["C:\\Users\\ada\\AppData\\Roaming\\Code\\User\\mcp.json"]),
        ("codex", "darwin", {}, ["/Users/ada/.codex/config.toml"]),
        ("codex", "linux", {"CODEX_HOME": "/srv/codex"}, ["/srv/codex/config.toml"]),
        ("codex", "win32", WINDOWS, ["C:\\Users\\ada\\.codex\\config.toml"]),
    ],
)
def test_each_client_has_its_file(
    name: str, platform: str, environ: dict[str, str], expected: list[str]
) -> None:
    home = "C:\\Users\\ada" if platform == "win32" else "/Users/ada"
    places = CLIENTS[name].places(platform, environ, home)
    assert [str(place.file) for place in places] == expected
    assert places[-1].sign is None, "the last place needs no folder"


def test_the_package_of_claude_desktop_counts_if_it_is_installed() -> None:
    places = CLIENTS["claude-desktop"].places("win32", WINDOWS, "C:\\Users\\ada")
    assert str(places[0].sign) == MSIX


def test_the_command_line_names_the_same_clients() -> None:
    assert list(CLIENTS) == parser.CLIENTS


# --- On this machine ----------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, without the variables that name other folders."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for variable in ("XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    return tmp_path / "reports"


def entry_in(file: Path, name: str) -> dict[str, Any]:
    """Return the entry of the server that a client finds in its file."""
    text = file.read_text(encoding="utf-8")
    content = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    entry: dict[str, Any] = content[CLIENTS[name].servers]["living-reports"]
    return entry


def test_the_written_entry_starts_the_server(home: Path, reports: Path) -> None:
    entries = {}
    for name, client in CLIENTS.items():
        file = install(name, reports).file
        assert file.is_relative_to(home)
        entries[name] = entry_in(file, name)
        assert entries[name].pop("type", "") == ("stdio" if client.typed else "")
    entry = entries["cursor"]
    assert Path(entry["command"]).is_absolute()
    assert all(other == entry for other in entries.values()), "so starting one starts each"
    answer = first_call(entry, mode="legacy")
    assert answer["version"] == 1
    assert (reports / "by_id" / answer["report_id"] / "outline.json").exists()


def test_without_the_command_the_interpreter_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    expected = [str(tmp_path / "python"), "-m", "living_reports", "serve", "--root", str(reports)]
    assert server_command(reports) == expected


def test_an_install_shows_its_edit_and_a_second_one_changes_nothing(
    home: Path, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text('{\n  "mcpServers": {}\n}\n')
    assert main(["install", "cursor", "--root", str(reports)]) == 0
    shown = capsys.readouterr().out
    [backup] = file.parent.glob("mcp.json.*.bak")
    assert str(file) in shown
    assert str(backup) in shown
    assert '\n-  "mcpServers": {}\n+  "mcpServers": {\n+    "living-reports": {\n' in shown
    assert backup.read_text() == '{\n  "mcpServers": {}\n}\n'
    edited = file_contents(home)
    assert main(["install", "cursor", "--root", str(reports)]) == 0
    assert "already has this server; nothing was changed" in capsys.readouterr().out
    assert file_contents(home) == edited
    assert main(["uninstall", "cursor"]) == 0
    assert file.read_text() == '{\n  "mcpServers": {}\n}\n'
    assert "removed from Cursor" in capsys.readouterr().out
    assert main(["uninstall", "cursor"]) == 0
    assert "does not have this server; nothing was changed" in capsys.readouterr().out


@pytest.mark.parametrize("name", CLIENTS)
def test_a_dry_run_writes_nothing(name: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", name, "--dry-run"]) == 0
    assert main(["uninstall", name, "--dry-run"]) == 0
    assert "A dry run: nothing was written." in capsys.readouterr().out
    assert list(home.rglob("*")) == []


def test_a_file_that_does_not_parse_is_refused_and_untouched(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / ".claude.json"
    file.write_text('{"mcpServers": {},}')
    before = file_contents(home)
    assert main(["install", "claude-code"]) == main(["uninstall", "claude-code"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "invalid_input" in captured.err
    assert str(file) in captured.err
    assert "line 1 column" in captured.err
    assert file_contents(home) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_stay_and_a_new_file_is_private(home: Path, reports: Path) -> None:
    file = home / ".claude.json"
    for permissions in (0o600, 0o664, 0o400):
        file.write_text("{}")
        file.chmod(permissions)
        backup = install("claude-code", reports).backup
        assert backup is not None
        assert [stat.S_IMODE(path.stat().st_mode) for path in (file, backup)] == [permissions] * 2
        file.unlink()
    assert stat.S_IMODE(install("codex", reports).file.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few users make links")
def test_a_link_stays_and_its_target_is_edited(home: Path, reports: Path, tmp_path: Path) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "mcp.json").write_text("{}")
    (home / ".cursor").mkdir()
    link = home / ".cursor" / "mcp.json"
    link.symlink_to(dotfiles / "mcp.json")
    done = install("cursor", reports)
    assert link.is_symlink()
    assert done.backup is not None
    assert done.backup.parent == dotfiles
    assert entry_in(dotfiles / "mcp.json", "cursor")
    # A link to a missing file creates that file.
    (dotfiles / "mcp.json").unlink()
    assert install("cursor", reports).changed
    assert link.is_symlink()
    assert entry_in(dotfiles / "mcp.json", "cursor")


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few users make links")
def test_a_folder_or_a_link_loop_is_refused(home: Path, reports: Path) -> None:
    (home / ".codex" / "config.toml").mkdir(parents=True)
    (home / ".claude.json").symlink_to(home / ".claude.json")
    for name in ("codex", "claude-code"):
        with pytest.raises(StorageFailedError, match="cannot be read"):
            install(name, reports)


def test_a_change_by_another_program_is_not_lost(
    home: Path, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / ".claude.json"
    file.write_text('{"theirs": 1}')

    def plan_while_another_program_writes(
        client: Client, data: bytes, name: str, command: list[str]
    ) -> bytes:
        file.write_text('{"theirs": 2}')
        return plan_install(client, data, name, command)

    monkeypatch.setattr(installation, "plan_install", plan_while_another_program_writes)
    with pytest.raises(InvalidInputError, match="changed by another program"):
        install("claude-code", reports)
    assert file.read_text() == '{"theirs": 2}'


class FailingOs:
    """The `os` module, except that the operation at a position fails as on a full disk."""

    OPERATIONS = ("open", "write", "fsync", "fchmod", "replace")

    def __init__(self, position: int) -> None:
        self._left = position

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        if name not in self.OPERATIONS:
            return function

        def counted(*arguments: Any) -> Any:
            self._left -= 1
            if self._left == -1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*arguments)

        return counted


def test_a_failing_disk_leaves_the_old_file_or_the_new_one(
    home: Path, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each operation fails in turn, and the error says whether the file has changed."""
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    outcomes = []
    for position in range(100):
        file.write_text("{}")
        monkeypatch.setattr(installation, "os", FailingOs(position))
        outcomes.append(outcome_of(install, "cursor", reports))
        now = file.read_text()
        assert ("living-reports" in now) == (outcomes[-1] == "yes")
        assert outcomes[-1] == "yes" or now == "{}"
        assert not list(file.parent.glob(".*"))
        for backup in file.parent.glob("*.bak"):
            assert backup.read_text() == "{}"
            backup.unlink()
        if position > 0 and outcomes[-2:] == ["yes", "yes"]:
            break
    assert outcomes.count("no") >= 8, "the backup and the new file: create, permissions, write and sync"
    assert outcomes[-2:] == ["yes", "yes"], "no operation is left to fail"
