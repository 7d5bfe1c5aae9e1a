"""Export of a report with its whole history to one file, and its import; hostile files are refused."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from living_reports.errors import CorruptReportError, InvalidInputError, ReportError, TooLargeError
from living_reports.interchange.exporting import export_report
from living_reports.interchange.importing import import_reports
from living_reports.library import Library
from living_reports.library.requests import (
    AuditReport,
    GetReport,
    ListReports,
    RestoreReport,
    TrashReport,
    UpdateReport,
)
from living_reports.model.event import Author
from living_reports.model.report import outline_bytes, sha256_hex
from living_reports.store.files import transfer
from living_reports.store.files.transfer import pack, unpack
from support.command_line import run_json, run_ok, run_refused
from support.library_reports import (
    ANN,
    append_text,
    create_report,
    folder_of,
    folder_store,
    replace_content,
    set_title,
    update_report,
)
from support.stored_reports import require_sound

IGLOO = Path(__file__).parents[1] / "data" / "igloo"
REVIEW = "7c1f0a52-3b0e-4d57-9a41-2f6f5f0b9d10"
CLI = Author("cli", "ann")

Row = dict[str, Any]


@pytest.fixture
def target(tmp_path: Path) -> Library:
    return Library(tmp_path / "target")


@pytest.fixture
def report(library: Library) -> str:
    """A report with some history."""
    report = create_report(library)
    for number in range(12):
        update_report(library, report, append_text(f"Line {number}\n"), reason=f"Reason {number}")
    update_report(library, report, set_title("Shop health"))
    return report


def export(library: Library, report: str, file: Path) -> bytes:
    export_report(library.store, report, file)
    return file.read_bytes()


def bring(library: Library, file: Path) -> Row:
    [row] = import_reports(library.store, file, author=CLI)["imported"]
    return dict(row)


def bring_bytes(library: Library, data: bytes, folder: Path) -> Row:
    (folder / "sent.tar").write_bytes(data)
    return bring(library, folder / "sent.tar")


def leaves_nothing(library: Library) -> bool:
    by_id = folder_store(library).by_id
    return not by_id.exists() or list(by_id.iterdir()) == []


# --- Round trip ---------------------------------------------------------------------------


def test_what_left_comes_back_as_it_was(
    library: Library, target: Library, report: str, tmp_path: Path
) -> None:
    export(library, report, tmp_path / "report.tar")
    assert bring(target, tmp_path / "report.tar") == {
        "report_id": report,
        "title": "Shop health",
        "version": 14,
        "from": "report.tar",
    }
    for name in ("audit.jsonl", "outline.json", ".head"):
        assert (folder_of(target, report) / name).read_bytes() == (
            folder_of(library, report) / name
        ).read_bytes()
    require_sound(folder_store(target), report)


def test_every_version_reads_back_and_the_report_lives_on(
    library: Library, target: Library, report: str, tmp_path: Path
) -> None:
    export(library, report, tmp_path / "report.tar")
    bring(target, tmp_path / "report.tar")
    here, there = library.store.read(report), target.store.read(report)
    for version in range(1, 15):
        one, other = (
            each.store.outline_at(report, version, state)
            for each, state in ((library, here), (target, there))
        )
        assert outline_bytes(one) == outline_bytes(other)
    for number in range(15):
        update_report(target, report, replace_content(f"Text {number} " * 20))
    require_sound(folder_store(target), report)
    assert [row["title"] for row in target.list_reports(ListReports())["reports"]] == ["Shop health"]


def test_the_same_report_gives_the_same_bytes_from_wherever(
    library: Library, target: Library, report: str, tmp_path: Path
) -> None:
    first = export(library, report, tmp_path / "first.tar")
    bring(target, tmp_path / "first.tar")
    assert export(target, report, tmp_path / "second.tar") == first


def test_bytes_that_no_version_has_travel_too(library: Library, target: Library, tmp_path: Path) -> None:
    shutil.copytree(IGLOO, tmp_path / "reports")
    library.update_report(UpdateReport(REVIEW, [{"op": "set_title", "title": "Review"}]), author=ANN)
    export(library, REVIEW, tmp_path / "report.tar")
    bring(target, tmp_path / "report.tar")
    original = (IGLOO / "by_id" / REVIEW / "outline.json").read_bytes()
    backups = [path.read_bytes() for path in (folder_of(target, REVIEW) / "backups").iterdir()]
    assert original in backups
    assert len(backups) == 8, "igloo's own seven, and the one that was adopted"
    assert target.audit_report(AuditReport(REVIEW, verify=True))["verified"]["ok"] is True


def test_another_programs_report_travels_before_it_is_adopted(target: Library, tmp_path: Path) -> None:
    shutil.copytree(IGLOO, tmp_path / "igloo")
    export(Library(tmp_path / "igloo"), REVIEW, tmp_path / "report.tar")
    assert bring(target, tmp_path / "report.tar")["version"] == 8
    answer = target.update_report(UpdateReport(REVIEW, [{"op": "set_title", "title": "Review"}]), author=ANN)
    assert answer["version"] == 10


def test_a_restored_report_with_a_last_event_that_makes_no_version(
    library: Library, target: Library, report: str, tmp_path: Path
) -> None:
    library.trash_report(TrashReport(report), author=CLI)
    library.restore_report(RestoreReport(report), author=CLI)
    export(library, report, tmp_path / "report.tar")
    assert bring(target, tmp_path / "report.tar")["version"] == 14
    require_sound(folder_store(target), report)


def test_the_file_is_a_plain_tar_of_the_folder(library: Library, report: str, tmp_path: Path) -> None:
    export(library, report, tmp_path / "report.tar")
    with tarfile.open(tmp_path / "report.tar") as archive:
        names = archive.getnames()
        log = archive.extractfile(f"{report}/audit.jsonl")
        assert log is not None
        assert log.read() == (folder_of(library, report) / "audit.jsonl").read_bytes()
    assert names == [f"{report}/{name}" for name in ("outline.json", "audit.jsonl", ".head")]


@pytest.mark.skipif(shutil.which("tar") is None, reason="tar is not there")
def test_unpacked_by_hand_it_is_the_report(
    library: Library, target: Library, report: str, tmp_path: Path
) -> None:
    export(library, report, tmp_path / "report.tar")
    folder_store(target).by_id.mkdir(parents=True)
    subprocess.run(["tar", "-xf", tmp_path / "report.tar", "-C", folder_store(target).by_id], check=True)
    assert target.get_report(GetReport("Shop health"))["version"] == 14
    require_sound(folder_store(target), report)


# --- Refusals -----------------------------------------------------------------------------


def test_a_report_that_is_there_is_refused(library: Library, report: str, tmp_path: Path) -> None:
    export(library, report, tmp_path / "report.tar")
    before = (folder_of(library, report) / "audit.jsonl").read_bytes()
    with pytest.raises(InvalidInputError, match=f"{report} is there already"):
        bring(library, tmp_path / "report.tar")
    library.trash_report(TrashReport(report), author=CLI)
    with pytest.raises(InvalidInputError, match="in the trash"):
        bring(library, tmp_path / "report.tar")
    library.restore_report(RestoreReport(report), author=CLI)
    assert (folder_of(library, report) / "audit.jsonl").read_bytes().startswith(before)


def test_a_file_that_is_there_is_not_written_over(library: Library, report: str, tmp_path: Path) -> None:
    file = tmp_path / "report.tar"
    file.write_text("mine")
    for path in (file, tmp_path / "absent" / "report.tar", file / "below", tmp_path):
        with pytest.raises(InvalidInputError):
            export_report(library.store, report, path)
    assert file.read_text() == "mine"


def test_a_damaged_report_does_not_leave(library: Library, report: str, tmp_path: Path) -> None:
    log = folder_of(library, report) / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b"Reason 3", b"Season 3"))
    with pytest.raises(CorruptReportError, match="line"):
        export_report(library.store, report, tmp_path / "report.tar")
    assert not (tmp_path / "report.tar").exists()


def test_what_is_too_large_neither_leaves_nor_comes(
    library: Library, target: Library, report: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = export(library, report, tmp_path / "report.tar")
    monkeypatch.setattr(transfer, "MAX_ARCHIVE_BYTES", len(data) - 1)
    with pytest.raises(TooLargeError):
        unpack(data)
    monkeypatch.setattr(transfer, "MAX_ARCHIVE_BYTES", 1000)
    with pytest.raises(TooLargeError):
        export_report(library.store, report, tmp_path / "again.tar")


# --- Hostile files ------------------------------------------------------------------------

ID = "5f9d3c1e-0a7b-4c2d-8e6f-1234567890ab"


def tar_of(*members: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def member(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


HOSTILE = {
    "outside": tar_of((member(f"{ID}/../../outline.json"), b"x")),
    "absolute": tar_of((member("/etc/outline.json"), b"x")),
    "elsewhere": tar_of((member(f"{ID}/outline.json"), b"x"), (member(f"{ID}/render/page.html"), b"x")),
    "lock": tar_of((member(f"{ID}/.lock"), b"")),
    "symbolic link": tar_of(
        (member(f"{ID}/outline.json", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b"")
    ),
    "hard link": tar_of((member(f"{ID}/outline.json", type=tarfile.LNKTYPE, linkname="/etc/passwd"), b"")),
    "device": tar_of((member(f"{ID}/outline.json", type=tarfile.CHRTYPE), b"")),
    "folder": tar_of((member(f"{ID}/outline.json", type=tarfile.DIRTYPE), b"")),
    "long name": tar_of((member(f"{ID}/{'x' * 300}"), b"x"), kind=tarfile.GNU_FORMAT),
    "other headers": tar_of(
        (member(f"{ID}/outline.json", pax_headers={"path": "x"}), b"x"), kind=tarfile.PAX_FORMAT
    ),
    "two reports": pack(ID, {"outline.json": b"x"})[:1024]
    + pack(ID.replace("5", "6"), {"outline.json": b"x"}),
    "twice": pack(ID, {"outline.json": b"x"})[:1024] + pack(ID, {"outline.json": b"x"}),
    "no outline": pack(ID, {"audit.jsonl": b"x"}),
    "nothing": b"\0" * 257 + b"ustar" + b"\0" * 10_000,
    "an upper-case id": pack(ID.upper(), {"outline.json": b"x"}),
    "something added": pack(ID, {"outline.json": b"x"}) + b"more",
    "more zeros": pack(ID, {"outline.json": b"x"}) + bytes(512),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_only_what_export_writes_is_unpacked(target: Library, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidInputError):
        unpack(data)
    with pytest.raises(InvalidInputError):
        bring_bytes(target, data, tmp_path)
    assert not folder_store(target).reports_root.exists()


def test_a_size_that_is_not_there_is_refused() -> None:
    data = pack(ID, {"outline.json": b"x" * 10})
    header = transfer._header(f"{ID}/outline.json", 8**11 - 1)
    with pytest.raises(InvalidInputError):
        unpack(header + data[512:])


def test_every_cut_and_every_altered_byte_is_found(
    library: Library, target: Library, report: str, tmp_path: Path
) -> None:
    data = export(library, report, tmp_path / "report.tar")

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.integers(0, len(data) - 1), st.integers(1, 255), st.booleans())
    def try_one(position: int, change: int, is_cut: bool) -> None:
        altered = bytearray(data)
        altered[position] ^= change
        with pytest.raises(ReportError):
            bring_bytes(target, data[:position] if is_cut and position > 262 else bytes(altered), tmp_path)
        assert leaves_nothing(target)

    try_one()


def test_every_altered_byte_of_the_head_is_found(
    library: Library, target: Library, report: str, tmp_path: Path
) -> None:
    data = export(library, report, tmp_path / "report.tar")
    start = (data.index(b"/.head") // 512 + 1) * 512
    for position in range(start, data.index(b"\0", start)):
        altered = bytearray(data)
        altered[position] ^= 1
        with pytest.raises(CorruptReportError, match="head"):
            bring_bytes(target, bytes(altered), tmp_path)
        assert leaves_nothing(target)


def rechained(lines: list[Row]) -> bytes:
    """Return the events as a log with a valid chain, like a forger."""
    previous, out = b"", []
    for line in lines:
        line["payload"]["prev_sha256"] = sha256_hex(previous)
        previous = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()
        out.append(previous)
    return b"\n".join(out) + b"\n"


FORGERIES: dict[str, Any] = {
    "a delta that does not fit": lambda p: p.update(delta=[{"at": "title", "old": "No", "new": "Yes"}]),
    "a delta of another version": lambda p: p.update(delta=[{"at": "title", "old": "Health", "new": "Yes"}]),
    "a delta of numbers": lambda p: p.update(delta=[1, 2]),
    "a delta that is text": lambda p: p.update(delta="text"),
    "splices of nonsense": lambda p: p.update(delta=[{"at": "title", "splices": [["x"]]}]),
    "an address of nonsense": lambda p: p.update(delta=[{"at": 5, "new": 1}]),
    "a base that is text": lambda p: p.update(base_at="x"),
    "a backup that is a list": lambda p: p.update(backup_filename=["x"]),
    "warnings that are a number": lambda p: p.update(warnings=7),
    "an outline of nonsense": lambda p: p.update(delta=[{"at": "", "new": {"title": 5}}]),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_event_is_found_though_the_chain_is_whole(
    library: Library, target: Library, tmp_path: Path, forge: Any
) -> None:
    report = create_report(library)
    for number in range(4):
        update_report(library, report, append_text(f"Line {number}\n"))
    report_id, files = unpack(export(library, report, tmp_path / "report.tar"))
    lines = [json.loads(line) for line in files["audit.jsonl"].splitlines()]
    forge(lines[2]["payload"])
    del files[".head"]
    forged = pack(report_id, files | {"audit.jsonl": rechained(lines)})
    with pytest.raises(CorruptReportError):
        bring_bytes(target, forged, tmp_path)
    assert leaves_nothing(target)
    untouched = [json.loads(line) for line in files["audit.jsonl"].splitlines()]
    honest = pack(report_id, files | {"audit.jsonl": rechained(untouched)})
    assert bring_bytes(target, honest, tmp_path)["version"] == 5, "the forger's tools work"


def test_a_report_under_another_reports_id_is_refused(
    library: Library, target: Library, report: str, tmp_path: Path
) -> None:
    _, files = unpack(export(library, report, tmp_path / "report.tar"))
    with pytest.raises(CorruptReportError):
        bring_bytes(target, pack(ID, files), tmp_path)
    assert leaves_nothing(target)


# --- On the command line ------------------------------------------------------------------


def test_the_commands_take_a_report_from_root_to_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = run_json(tmp_path / "one", "create", "Health", "--section", "Errors")["report_id"]
    text = run_ok(tmp_path / "one", "export", "Health")
    assert f"{report}.report.tar" in text
    assert "Imported 1 report" in run_ok(tmp_path / "two", "import", f"{report}.report.tar")
    assert run_json(tmp_path / "two", "get", report)["title"] == "Health"
    code, error = run_refused(tmp_path / "one", "export", "Health", "--output", f"{report}.report.tar")
    assert (code, error["code"]) == (2, "invalid_input")
    code, error = run_refused(tmp_path / "two", "import", f"{report}.report.tar")
    assert (code, error["report_id"]) == (2, report)
