"""The settings of a process: from an argument, the environment, or else the platform."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from living_reports.errors import InvalidInputError
from living_reports.settings import Settings, load_settings, load_token


def test_the_argument_wins_over_the_environment(tmp_path: Path) -> None:
    environ = {"LIVING_REPORTS_ROOT": "/elsewhere"}
    assert load_settings(tmp_path, environ).root == tmp_path
    assert load_settings("", environ).root == Path("/elsewhere").absolute()


def test_the_default_root_is_the_user_data_folder_of_the_platform() -> None:
    settings = load_settings(environ={"LIVING_REPORTS_ROOT": "", "LIVING_REPORTS_LOCK_TIMEOUT": " "})
    assert settings == Settings(platformdirs.user_data_path("living-reports", appauthor=False), 30.0)


def test_a_root_is_absolute_and_may_begin_with_the_home_directory() -> None:
    assert load_settings("reports", {}).root == Path.cwd() / "reports"
    assert load_settings("~/reports", {}).root == Path.home() / "reports"


def test_nothing_is_created(tmp_path: Path) -> None:
    load_settings(tmp_path / "new", {})
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", ["a\0b", "${user_config.root}", "~no-such-user-here/x", __file__])
def test_a_root_that_is_invalid_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_settings(wrong, {})
    assert caught.value.details["path"] == "--root"
    with pytest.raises(InvalidInputError) as caught:
        load_settings("", {"LIVING_REPORTS_ROOT": wrong})
    assert caught.value.details["path"] == "LIVING_REPORTS_ROOT"


def test_the_lock_timeout_is_a_number_of_seconds() -> None:
    assert load_settings("r", {"LIVING_REPORTS_LOCK_TIMEOUT": "2.5"}).lock_timeout_s == 2.5


@pytest.mark.parametrize("wrong", ["soon", "0", "-1", "nan", "inf", "1e9", "30s"])
def test_a_lock_timeout_that_is_invalid_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInputError, match="LIVING_REPORTS_LOCK_TIMEOUT") as caught:
        load_settings("r", {"LIVING_REPORTS_LOCK_TIMEOUT": wrong})
    assert caught.value.hint


def test_sources_are_folders_in_a_list(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    text = os.pathsep.join([str(one), "", f" {two} ", str(one), "~"])
    assert load_settings("r", {"LIVING_REPORTS_SOURCES": text}).sources == (one, two, Path.home())
    for nothing in ({}, {"LIVING_REPORTS_SOURCES": ""}, {"LIVING_REPORTS_SOURCES": f" {os.pathsep} "}):
        assert load_settings("r", nothing).sources == ()


@pytest.mark.parametrize(
    "wrong", ["docs", "/no/such/folder", __file__, "${user_config.sources}", "~no-such-user-here", "/\0"]
)
def test_invalid_sources_are_refused(tmp_path: Path, wrong: str) -> None:
    for text in (wrong, f"{tmp_path}{os.pathsep}{wrong}"):
        with pytest.raises(InvalidInputError) as caught:
            load_settings("r", {"LIVING_REPORTS_SOURCES": text})
        assert caught.value.details["path"] == "LIVING_REPORTS_SOURCES"
        assert wrong not in caught.value.message


def test_the_user_is_the_one_that_is_stated() -> None:
    assert load_settings("r", {"LIVING_REPORTS_USER": "Ann"}).user == "Ann"
    assert load_settings("r", {"LOGNAME": "ann"}).user == ""


def test_a_user_that_everybody_would_be_is_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_settings("r", {"LIVING_REPORTS_USER": "${USER}"})
    assert caught.value.details["path"] == "LIVING_REPORTS_USER"


# --- The token ---------------------------------------------------------------------------

TOKEN = "correct-horse-battery-staple"


def test_a_token_is_read_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o640)
    environ = {"LIVING_REPORTS_TOKEN": "another-one-that-is-long"}
    assert load_token(str(file), environ) == TOKEN
    assert load_token("", environ) == "another-one-that-is-long"
    assert load_token("", {}) == load_token("", {"LIVING_REPORTS_TOKEN": " "}) == ""


@pytest.mark.parametrize("wrong", ["", "too-short", f"{TOKEN}\n{TOKEN}", f"{TOKEN} x", "ü" * 30, "x" * 3000])
def test_an_invalid_token_is_refused(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "token"
    file.write_text(wrong, encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises(InvalidInputError) as caught:
        load_token(str(file), {})
    assert caught.value.details["path"] == "--token-file"
    if wrong:
        with pytest.raises(InvalidInputError) as caught:
            load_token("", {"LIVING_REPORTS_TOKEN": wrong})
        assert caught.value.details["path"] == "LIVING_REPORTS_TOKEN"


def test_a_token_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff" * 40)
    for file in (tmp_path / "none", tmp_path, tmp_path / "binary", "a\0b"):
        with pytest.raises(InvalidInputError, match="--token-file cannot be read"):
            load_token(str(file), {})


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666])
def test_a_token_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(mode)
    with pytest.raises(InvalidInputError, match="open to every user"):
        load_token(str(file), {})
