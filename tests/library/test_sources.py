"""Local files: read inside the allowed folders, and nowhere else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from living_reports.library import sources
from living_reports.library.sources import Sources

SECRET = b"a secret"


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (tmp_path / "evidence-of-others").mkdir()
    (tmp_path / "evidence-of-others" / "b.txt").write_bytes(SECRET)
    folder = tmp_path / "evidence"
    (folder / "deep").mkdir(parents=True)
    (folder / "a b.txt").write_bytes(b"one")
    (folder / "deep" / "c.txt").write_bytes(b"two")
    return folder


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_file_inside_is_read_by_every_way_of_naming_it(allowed: Path) -> None:
    files = Sources([allowed])
    address = (allowed / "a b.txt").as_uri()
    for path in (
        "a b.txt",
        "./a b.txt",
        str(allowed / "a b.txt"),
        address,
        address.replace("///", "//localhost/"),
    ):
        assert files.allows(path)
        assert files.read_image(path) == b"one"
        assert files.sha256_of(path) == sha256(b"one")
    assert files.sha256_of("deep/c.txt") == sha256(b"two")


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../secret.txt",
        "deep/../../secret.txt",
        "deep/../a b.txt",
        "..\\secret.txt",
        "/etc/passwd",
        "~/secret.txt",
        "a b.txt\0.png",
        "file://elsewhere/a%20b.txt",
        "file:///etc/passwd",
        "file:///%2e%2e/etc/passwd",
        "https://example.org/a.png",
        "data:,x",
    ],
)
def test_nothing_else_is_read(allowed: Path, path: str) -> None:
    files = Sources([allowed])
    assert files.read_image(path) is None
    assert files.sha256_of(path) is None


@pytest.mark.parametrize("outside", ["secret.txt", "evidence-of-others/b.txt"])
def test_a_neighbour_is_outside(allowed: Path, outside: str) -> None:
    path = str(allowed.parent / outside)
    assert Path(path).read_bytes() == SECRET
    assert not Sources([allowed]).allows(path)
    assert Sources([allowed]).sha256_of(path) is None
    assert Sources([allowed.parent]).sha256_of(path) == sha256(SECRET)


def test_a_link_is_followed_inside_and_not_out(allowed: Path) -> None:
    (allowed / "in").symlink_to(allowed / "deep" / "c.txt")
    (allowed / "out").symlink_to(allowed.parent / "secret.txt")
    (allowed / "up").symlink_to(allowed.parent)
    (allowed / "loop").symlink_to(allowed / "loop")
    files = Sources([allowed])
    assert files.read_image("in") == b"two"
    for path in ("out", "up/secret.txt", "up/evidence/a b.txt/../../secret.txt", "loop"):
        assert files.read_image(path) is None
        assert files.sha256_of(path) is None


def test_an_allowed_folder_may_be_a_link_itself(allowed: Path) -> None:
    link = allowed.parent / "link"
    link.symlink_to(allowed)
    assert Sources([link]).read_image(str(link / "a b.txt")) == b"one"
    assert Sources([link]).read_image("deep/c.txt") == b"two"


def test_a_folder_that_became_a_link_after_looking_is_noticed(
    allowed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (allowed.parent / "c.txt").write_bytes(SECRET)
    real_open = os.open

    def open_after_the_swap(place: str, flags: int, mode: int) -> int:
        (allowed / "deep").rename(allowed / "away")
        (allowed / "deep").symlink_to(allowed.parent)
        return real_open(place, flags, mode)

    monkeypatch.setattr(os, "open", open_after_the_swap)
    assert Sources([allowed]).read_image("deep/c.txt") is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_plain_files_are_read_and_a_pipe_does_not_wait(allowed: Path) -> None:
    os.mkfifo(allowed / "pipe")
    files = Sources([allowed])
    for path in ("pipe", "deep", "missing.txt"):
        assert files.allows(path)
        assert files.read_image(path) is None
        assert files.sha256_of(path) is None


def test_limits(allowed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_IMAGE_BYTES", 3)
    monkeypatch.setattr(sources, "MAX_HASHED_BYTES", 4)
    files = Sources([allowed])
    assert files.read_image("a b.txt") == b"one"
    (allowed / "a b.txt").write_bytes(b"four")
    assert files.read_image("a b.txt") is None
    assert files.sha256_of("a b.txt") == sha256(b"four")
    (allowed / "a b.txt").write_bytes(b"fives")
    assert files.sha256_of("a b.txt") is None


def test_the_folders_are_asked_in_turn_and_none_means_none(allowed: Path) -> None:
    assert Sources([allowed / "deep", allowed]).read_image("a b.txt") == b"one"
    assert Sources().read_image(str(allowed / "a b.txt")) is None
    assert not Sources().allows("a b.txt")
