"""Every manipulation of a report's files is detected and located.

A real history is written through the library and then manipulated in every known way. Each mutation
must be found in the files as they are, before any recovery: by `audit_report` with `verify`, and by
the check of the whole root.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from living_reports.library import Library
from living_reports.library.requests import AuditReport, RevertReport
from living_reports.model.report import outline_bytes, sha256_hex
from living_reports.storage import ReportStorage
from living_reports.store.files.doctor import check_root
from living_reports.store.files.verify import verify
from support.command_line import run_command, run_ok, run_refused
from support.library_reports import (
    ANN,
    BEN,
    append_text,
    create_report,
    record_render,
    replace_content,
    set_title,
    update_report,
)
from support.stored_reports import event_of_type

SEED = 20261123
SAMPLED = 400
COPIED = 60
"""The number of positions that CI tries, and of those tried in a copy of the whole root."""

Lines = list[bytes]
Places = set[tuple[str, int]]


@dataclass(frozen=True)
class Kept:
    """A root with one report, whose log has 32 lines; the last one makes version 31."""

    root: Path
    report: str

    @property
    def folder(self) -> Path:
        return self.root / "by_id" / self.report

    @property
    def log(self) -> Path:
        return self.folder / "audit.jsonl"

    @property
    def lines(self) -> Lines:
        return self.log.read_bytes().splitlines()

    def put_lines(self, lines: Lines) -> None:
        self.log.write_bytes(b"".join(line + b"\n" for line in lines))

    def copy(self, target: Path) -> Kept:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.root, target)
        return Kept(target, self.report)

    def storage(self) -> ReportStorage:
        return ReportStorage(self.folder)

    def outline_of(self, version: int) -> bytes:
        """Return the original bytes of the outline."""
        return outline_bytes(self.storage().history.outline_at(version))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Create thirty-one versions and a rendering by two writers: long and short prose, insights, reverts."""
    root = tmp_path_factory.mktemp("tampering") / "reports"
    library = Library(root)
    report = create_report(library)
    for number in range(2, 11):
        update_report(library, report, append_text(f"Line {number}: {number * 7} % of orders fail.\n"))
    update_report(
        library, report, replace_content("".join(f"Row {row} is steady.\n" for row in range(200)), "Latency")
    )
    library.revert_report(RevertReport(report, to_version=5), author=BEN)
    update_report(library, report, set_title("Health of the shop"), author=BEN, reason="says more")
    record_render(library, report)
    for number in range(14, 24):
        update_report(
            library, report, {"op": "add_insight", "section": "Errors", "summary": f"Seen {number}"}
        )
    library.revert_report(RevertReport(report, undo="17"), author=ANN)
    update_report(library, report, {"op": "set_status", "status": "archived"}, author=BEN)
    update_report(library, report, {"op": "set_status", "status": "active"}, author=BEN)
    for number in range(27, 31):
        update_report(library, report, append_text(f"Line {number}.\n", "Latency"))
    update_report(library, report, set_title("Health"))
    kept = Kept(root, report)
    assert len(kept.lines) == 32
    return kept


@pytest.fixture
def kept(original: Kept, tmp_path: Path) -> Kept:
    return original.copy(tmp_path / "reports")


# --- What finds it ------------------------------------------------------------------------


def audited(kept: Kept, selector: str = "") -> Places:
    """Return the findings of `audit_report`: code and line."""
    answer = Library(kept.root).audit_report(AuditReport(selector or kept.report, verify=True))
    assert answer["verified"]["ok"] is not bool(answer["verified"]["findings"])
    return {(finding["code"], finding["line"]) for finding in answer["verified"]["findings"]}


def verified(kept: Kept) -> Places:
    return {(finding["code"], finding["line"]) for finding in verify(kept.storage())["findings"]}


def doctored(kept: Kept, *, deep: bool = False) -> set[tuple[str, str, int]]:
    """Return the warnings and errors that the check of the root finds: code, file and line."""
    findings = [finding for finding in check_root(kept.root, deep=deep) if finding.severity != "info"]
    prefix = f"by_id/{kept.report}"
    return {
        (finding.code, finding.file.removeprefix(prefix).lstrip("/"), finding.line) for finding in findings
    }


def test_a_history_that_nobody_touched_has_no_findings(kept: Kept) -> None:
    assert doctored(kept, deep=True) == set()
    assert audited(kept) == set()


# --- Bytes --------------------------------------------------------------------------------


@pytest.fixture
def is_full(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--full"))


def positions(data: bytes, how_many: int, is_full: bool) -> list[int]:
    """Return every position, or a sample that contains both ends."""
    if is_full or len(data) <= how_many:
        return list(range(len(data)))
    edges = {0, 1, len(data) - 2, len(data) - 1}
    return sorted(edges | set(Random(SEED).sample(range(len(data)), how_many)))


def flips(path: Path, how_many: int, is_full: bool) -> Iterator[int]:
    """Flip one bit of each byte in turn; the byte is restored before the next one."""
    data = path.read_bytes()
    path.unlink()  # a backup may share its bytes with the outline
    for position in positions(data, how_many, is_full):
        flipped = data[position] ^ (1 << position % 8)
        path.write_bytes(data[:position] + bytes([flipped]) + data[position + 1 :])
        yield position
    path.write_bytes(data)


def line_at(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def located(places: Places, line: int) -> bool:
    """Return whether the findings name an altered line, or the next one, which does not follow it."""
    return any(at in (line, line + 1) for code, at in places)


def test_every_byte_of_the_log_counts_and_its_line_is_found(kept: Kept, is_full: bool) -> None:
    data = kept.log.read_bytes()
    for position in flips(kept.log, SAMPLED, is_full):
        assert located(verified(kept), line_at(data, position)), f"byte {position}"


def test_every_byte_of_the_last_line_counts(kept: Kept) -> None:
    data = kept.log.read_bytes()
    start = data.rindex(b"\n", 0, -1) + 1
    for position in range(start, len(data)):
        flipped = bytes([data[position] ^ 1])
        kept.log.write_bytes(data[:position] + flipped + data[position + 1 :])
        assert located(verified(kept), 32), f"byte {position}"


def test_the_check_of_the_root_finds_the_line_of_a_byte_too(kept: Kept, is_full: bool) -> None:
    data = kept.log.read_bytes()
    for position in flips(kept.log, COPIED, False) if not is_full else flips(kept.log, 4_000, False):
        places = {(code, line) for code, file, line in doctored(kept) if file == "audit.jsonl"}
        assert located(places, line_at(data, position)), f"byte {position}"


def test_audit_report_answers_for_a_log_with_any_byte_flipped(
    original: Kept, tmp_path: Path, is_full: bool
) -> None:
    data = original.log.read_bytes()
    for position in positions(data, 1_500 if is_full else COPIED, False):
        kept = original.copy(tmp_path / "reports")
        flipped = bytes([data[position] ^ (1 << position % 7)])
        kept.log.write_bytes(data[:position] + flipped + data[position + 1 :])
        assert located(audited(kept), line_at(data, position)), f"byte {position}"


def test_every_byte_of_the_outline_counts(kept: Kept, is_full: bool) -> None:
    for position in flips(kept.folder / "outline.json", SAMPLED, is_full):
        assert ("outline_mismatch", 0) in verified(kept), f"byte {position}"
        if position % 20 == 0:
            assert ("outline_mismatch", "outline.json", 0) in doctored(kept), f"byte {position}"


def test_every_byte_of_a_backup_counts(kept: Kept, is_full: bool) -> None:
    backup = sorted((kept.folder / "backups").iterdir())[-2]
    for position in flips(backup, SAMPLED, is_full):
        assert verified(kept) == {("backup_mismatch", 0)}, f"byte {position}"
        if position % 20 == 0:
            assert doctored(kept) == {("backup_mismatch", f"backups/{backup.name}", 0)}


# --- Lines --------------------------------------------------------------------------------

Mutation = Callable[[Kept], object]


def on_lines(change_lines: Callable[[Lines], object]) -> Mutation:
    def mutate(kept: Kept) -> None:
        lines = kept.lines
        change_lines(lines)
        kept.put_lines(lines)

    return mutate


def forged(lines: Lines, after: int, **payload: Any) -> bytes:
    """Return a well-formed event that is chained to the line before it."""
    event = json.loads(event_of_type("evolve", json.loads(lines[0])["report_id"]).model_dump_json())
    last = json.loads(lines[after - 1])["payload"]
    event["payload"] = {
        "outline_version": last["outline_version"],
        "outline_sha256": last["outline_sha256"],
        "prev_sha256": sha256_hex(lines[after - 1]),
        "delta": [],
        "reason": "forged",
    } | payload
    return json.dumps(event).encode()


def altered(line: bytes, **fields: Any) -> bytes:
    event = json.loads(line)
    event["payload"] |= fields.pop("payload", {})
    return json.dumps(event | fields, ensure_ascii=False, separators=(",", ":")).encode()


def insert(at: int, **payload: Any) -> Mutation:
    return on_lines(lambda lines: lines.insert(at, forged(lines, at, **payload)))


def swap(first: int, second: int) -> Mutation:
    def change_lines(lines: Lines) -> None:
        lines[first - 1], lines[second - 1] = lines[second - 1], lines[first - 1]

    return on_lines(change_lines)


def alter(line: int, **fields: Any) -> Mutation:
    return on_lines(lambda lines: lines.__setitem__(line - 1, altered(lines[line - 1], **fields)))


def rechain(lines: Lines, start: int) -> None:
    """Rebuild the chain of all lines, like an attacker who knows the format."""
    for at in range(start, len(lines)):
        lines[at] = altered(lines[at], payload={"prev_sha256": sha256_hex(lines[at - 1])})


def rewrite_from(line: int, **fields: Any) -> Mutation:
    def change_lines(lines: Lines) -> None:
        lines[line - 1] = altered(lines[line - 1], **fields)
        rechain(lines, line)

    return on_lines(change_lines)


def forget(line: int) -> Mutation:
    """Drop an event, and rebuild the chain of the rest."""

    def change_lines(lines: Lines) -> None:
        del lines[line - 1]
        rechain(lines, line - 1)

    return on_lines(change_lines)


def cut_log(lines_left: int) -> Mutation:
    return on_lines(lambda lines: lines.__delitem__(slice(lines_left, None)))


def cut_with_outline(lines_left: int) -> Mutation:
    """Cut the end of the log, and put the outline of the remaining last version in place."""

    def mutate(kept: Kept) -> None:
        version = json.loads(kept.lines[lines_left - 1])["payload"]["outline_version"]
        replace(kept.folder / "outline.json", kept.outline_of(version))
        cut_log(lines_left)(kept)

    return mutate


def replace(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)  # another name of these bytes keeps them
    path.write_bytes(data)


def old_outline(kept: Kept) -> None:
    backup = sorted((kept.folder / "backups").iterdir())[-3]
    replace(kept.folder / "outline.json", backup.read_bytes())


def edited(name: str, old: bytes, new: bytes) -> Mutation:
    def mutate(kept: Kept) -> None:
        data = (kept.folder / name).read_bytes()
        assert old in data
        replace(kept.folder / name, data.replace(old, new, 1))

    return mutate


def other_backup(kept: Kept) -> None:
    first, second = sorted((kept.folder / "backups").iterdir())[-2:]
    replace(first, second.read_bytes())


ANOTHER_TITLE = {"delta": [{"at": "title", "old": "Health", "new": "Wealth"}], "outline_sha256": "0" * 64}

MUTATIONS: list[tuple[str, Mutation, str, int]] = [
    ("the actor altered", alter(7, actor="human"), "chain_broken", 8),
    ("the time altered", alter(20, ts="2020-01-01T00:00:00+00:00"), "chain_broken", 21),
    ("the reason altered", alter(13, payload={"reason": "none"}), "chain_broken", 14),
    ("the delta altered", alter(4, payload={"delta": [{"at": "title", "new": "x"}]}), "chain_broken", 5),
    ("the delta emptied", alter(4, payload={"delta": []}), "version_gap", 4),
    ("the version raised", alter(9, payload={"outline_version": 19}), "chain_broken", 10),
    ("the version lowered", alter(9, payload={"outline_version": 2}), "version_gap", 9),
    ("the hash of the outline altered", alter(9, payload={"outline_sha256": "0" * 64}), "chain_broken", 10),
    ("the id altered", alter(9, action_id="6a1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef"), "chain_broken", 10),
    ("the report altered", alter(9, report_id="6a1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef"), "wrong_report", 9),
    ("a line made no event", alter(9, action_type="nothing"), "bad_line", 9),
    ("the first altered", alter(1, actor="human"), "chain_broken", 2),
    ("the last altered", alter(32, actor="human"), "head_mismatch", 32),
    ("the last one's version raised", alter(32, payload={"outline_version": 40}), "head_mismatch", 32),
    ("written anew with blanks", on_lines(lambda lines: rewrite_blanks(lines, 11)), "chain_broken", 12),
    ("the first dropped", on_lines(lambda lines: lines.pop(0)), "chain_broken", 1),
    ("one dropped", on_lines(lambda lines: lines.pop(16)), "chain_broken", 17),
    ("ten dropped", on_lines(lambda lines: lines.__delitem__(slice(9, 19))), "chain_broken", 10),
    ("the rendering dropped", on_lines(lambda lines: lines.pop(13)), "chain_broken", 14),
    ("the last but one dropped", on_lines(lambda lines: lines.pop(30)), "chain_broken", 31),
    ("neighbours swapped", swap(6, 7), "chain_broken", 6),
    ("the ends swapped", swap(1, 32), "chain_broken", 1),
    ("the last two swapped", swap(31, 32), "chain_broken", 31),
    ("all turned round", on_lines(lambda lines: lines.reverse()), "chain_broken", 1),
    ("doubled", on_lines(lambda lines: lines.insert(12, lines[11])), "repeated_event", 13),
    ("doubled far away", on_lines(lambda lines: lines.insert(25, lines[3])), "repeated_event", 26),
    ("the last doubled", on_lines(lambda lines: lines.append(lines[31])), "repeated_event", 33),
    ("inserted, well chained", insert(15), "chain_broken", 17),
    ("a version inserted", insert(15, delta=[{"at": "title", "new": "x"}]), "version_gap", 16),
    (
        "inserted in the form of another writer",
        on_lines(lambda lines: foreign(lines, 15)),
        "chain_broken",
        17,
    ),
    ("no JSON inserted", on_lines(lambda lines: lines.insert(15, b"x")), "bad_line", 16),
    ("an empty line inserted", on_lines(lambda lines: lines.insert(15, b"")), "bad_line", 16),
    ("a version appended", insert(32, outline_version=32, **ANOTHER_TITLE), "outline_mismatch", 0),
    ("appended without a chain", insert(32, prev_sha256="0" * 64), "chain_broken", 33),
    ("rewritten from a line on", rewrite_from(9, actor="human"), "head_mismatch", 32),
    ("one forgotten, the rest chained anew", forget(14), "head_mismatch", 31),
    ("cut by one", cut_log(31), "head_mismatch", 31),
    ("cut by ten", cut_log(22), "outline_mismatch", 0),
    ("cut, the outline with it", cut_with_outline(29), "head_mismatch", 29),
    ("cut to the first", cut_with_outline(1), "head_mismatch", 1),
    ("emptied", lambda kept: kept.log.write_bytes(b""), "head_mismatch", 0),
    ("the log removed", lambda kept: kept.log.unlink(), "head_mismatch", 0),
    ("cut within a line", lambda kept: kept.log.write_bytes(kept.log.read_bytes()[:-9]), "torn_line", 32),
    ("the outline edited", edited("outline.json", b"Line 3:", b"Line 4:"), "outline_mismatch", 0),
    ("the outline's version", edited("outline.json", b'n": 31', b'n": 41'), "outline_mismatch", 0),
    ("an old outline", old_outline, "outline_mismatch", 0),
    ("no outline", lambda kept: (kept.folder / "outline.json").unlink(), "outline_missing", 0),
    ("a backup exchanged", other_backup, "backup_mismatch", 0),
]


def rewrite_blanks(lines: Lines, line: int) -> None:
    lines[line - 1] = json.dumps(json.loads(lines[line - 1])).encode()


def foreign(lines: Lines, at: int) -> None:
    event = json.loads(forged(lines, at))
    event["payload"] = {"note": "not ours"}
    lines.insert(at, json.dumps(event).encode())


@pytest.mark.parametrize(
    ("mutate", "code", "line"), [row[1:] for row in MUTATIONS], ids=[row[0] for row in MUTATIONS]
)
def test_what_was_done_is_found_and_located(kept: Kept, mutate: Mutation, code: str, line: int) -> None:
    mutate(kept)
    assert (code, line) in {(code, line) for code, _, line in doctored(kept, deep=True)}
    assert (code, line) in audited(kept)


@pytest.mark.parametrize("selector", ["Health", "healt"])
def test_a_report_that_is_named_by_its_title_is_judged_as_found_too(kept: Kept, selector: str) -> None:
    edited("outline.json", b"Line 3:", b"Line 4:")(kept)
    assert audited(kept, selector) == {("outline_mismatch", 0)}


# --- Lines that make no sense -------------------------------------------------------------

NONSENSE: list[tuple[str, dict[str, Any]]] = [
    ("edits that are none", {"delta": ["x"]}),
    ("an order that says nothing", {"delta": [{"at": "sections", "splicez": []}]}),
    ("an order that is none", {"delta": [{"at": "insights", "old": 7, "new": {"a": 1}}]}),
    ("an edit without a place", {"delta": [{}]}),
    ("a place that is none", {"delta": [{"at": 7, "new": 1}]}),
    ("a splice that is none", {"delta": [{"at": "sections", "splices": [[1]]}]}),
    ("a whole that is none", {"delta": [{"at": "", "new": "x"}]}),
    ("a delta that is none", {"delta": {"at": "title"}}),
    ("no version", {"outline_version": "31"}),
    ("a version below zero", {"outline_version": -31}),
    ("a huge version", {"outline_version": 10**30}),
    ("a truth for a version", {"outline_version": True}),
    ("no hash", {"outline_sha256": None}),
    ("a backup elsewhere", {"backup_filename": "../../outline.json", "backup_sha256": "0"}),
    ("a backup that is no name", {"backup_filename": 7}),
    ("a base far away", {"base_at": 10**12}),
    ("a base that is none", {"base_at": "x"}),
    ("a head that is none", {"head_was": {"a": 1}}),
]


@pytest.mark.parametrize("line", [1, 12, 32])
@pytest.mark.parametrize("payload", [row[1] for row in NONSENSE], ids=[row[0] for row in NONSENSE])
def test_lines_that_make_no_sense_are_findings_and_no_trouble(
    kept: Kept, payload: dict[str, Any], line: int
) -> None:
    alter(line, payload=payload)(kept)
    assert located({(code, line) for code, _, line in doctored(kept, deep=True)}, line)
    assert located(audited(kept), line)


# --- What a chain alone cannot show -------------------------------------------------------


def republish(kept: Kept) -> None:
    """Make `.head` agree with the log, like an attacker who rewrites everything."""
    last = kept.lines[-1]
    version = json.loads(last)["payload"]["outline_version"]
    (kept.folder / ".head").write_bytes(f"{version}:{sha256_hex(last)}\n".encode() * 2)


def noted(kept: Kept, line: int) -> str:
    """Return the version and the head that a person could have noted when this line was the last one."""
    raw = kept.lines[line - 1]
    return f"{json.loads(raw)['payload']['outline_version']}:{sha256_hex(raw)}"


PERFECT: list[tuple[str, Mutation, int]] = [
    ("everything rewritten", rewrite_from(9, actor="human"), 32),
    ("an event forgotten", forget(14), 31),
    ("the end cut with the outline", cut_with_outline(29), 29),
]


@pytest.mark.parametrize(("mutate", "line"), [row[1:] for row in PERFECT], ids=[row[0] for row in PERFECT])
def test_a_perfect_forgery_shows_only_against_a_head_noted_elsewhere(
    kept: Kept, mutate: Mutation, line: int
) -> None:
    before = noted(kept, 32)
    mutate(kept)
    republish(kept)
    assert verified(kept) == set()
    done = run_command(kept.root, "verify", kept.report, "--expect", before, "--json")
    findings = json.loads(done.stdout)["verified"]["findings"]
    assert [(finding["code"], finding["line"]) for finding in findings] == [("head_expected", line)]
    assert done.returncode == 6


def test_what_was_noted_before_the_forgery_began_still_holds(kept: Kept) -> None:
    early = noted(kept, 8)
    rewrite_from(9, actor="human")(kept)
    republish(kept)
    assert run_ok(kept.root, "verify", kept.report, "--expect", early).startswith("ok")


def test_an_event_appended_in_good_form_is_what_any_writer_does(kept: Kept) -> None:
    """The limit of a chain: it does not prove who wrote a line, so lines added at the end are accepted."""
    insert(32)(kept)
    assert verified(kept) == set()
    before = noted(kept, 32)
    assert run_ok(kept.root, "verify", kept.report, "--expect", before).startswith("ok")


# --- verify --expect ----------------------------------------------------------------------


def test_every_head_that_was_ever_noted_still_leads_here(kept: Kept) -> None:
    for line in range(1, 33):
        assert run_ok(kept.root, "verify", kept.report, "--expect", noted(kept, line)).startswith("ok")


def test_the_head_that_verify_names_can_be_noted_and_expected_later(kept: Kept) -> None:
    answer = json.loads(run_ok(kept.root, "verify", "Health", "--json"))
    head = f"{answer['version']}:{answer['verified']['head_sha256']}"
    update_report(Library(kept.root), kept.report, append_text("More."))
    assert run_ok(kept.root, "verify", "Health", "--expect", head.upper()).startswith("ok")


def test_a_hash_of_another_version_is_not_what_was_noted(kept: Kept) -> None:
    version, _, sha256 = noted(kept, 20).partition(":")
    done = run_command(kept.root, "verify", kept.report, "--expect", f"{int(version) + 1}:{sha256}")
    assert done.returncode == 6
    assert "head_expected" in done.stdout


@pytest.mark.parametrize("expect", ["31", "31:", "31:abc", "0:" + "0" * 64, "x:" + "0" * 64, "0" * 64])
def test_what_to_expect_has_one_form(kept: Kept, expect: str) -> None:
    code, error = run_refused(kept.root, "verify", kept.report, "--expect", expect)
    assert (code, error["code"], error["path"]) == (2, "invalid_input", "expect")


def test_verifying_on_the_command_line_leaves_everything_as_it_was_found(kept: Kept) -> None:
    edited("outline.json", b"Line 3:", b"Line 4:")(kept)
    for _ in range(2):
        assert run_command(kept.root, "verify", "Health").returncode == 6
    assert len(kept.lines) == 32


# --- The index ----------------------------------------------------------------------------


def in_index(change_lines: Callable[[Lines], object]) -> Mutation:
    def mutate(kept: Kept) -> None:
        path = kept.root / "index.jsonl"
        lines = path.read_bytes().splitlines()
        change_lines(lines)
        path.write_bytes(b"".join(line + b"\n" for line in lines))

    return mutate


def entry_with(**fields: Any) -> Mutation:
    return in_index(lambda lines: lines.append(json.dumps(json.loads(lines[-1]) | fields).encode()))


INDEX: list[tuple[str, Mutation, str]] = [
    ("another title", entry_with(current_title="Wealth"), "entry_stale"),
    ("another time", entry_with(updated_at="2020-01-01T00:00:00+00:00"), "entry_stale"),
    ("other tags", entry_with(tags=["secret"]), "entry_stale"),
    ("another status", entry_with(status="deleted"), "entry_stale"),
    ("another path", entry_with(path=".trash/x"), "entry_stale"),
    ("the newest word dropped", in_index(lambda lines: lines.pop()), "entry_stale"),
    ("emptied", in_index(lambda lines: lines.clear()), "entry_missing"),
    ("removed", lambda kept: (kept.root / "index.jsonl").unlink(), "entry_missing"),
]


@pytest.mark.parametrize(("mutate", "code"), [row[1:] for row in INDEX], ids=[row[0] for row in INDEX])
def test_an_edited_index_is_found_and_the_line_named(kept: Kept, mutate: Mutation, code: str) -> None:
    mutate(kept)
    path = kept.root / "index.jsonl"
    line = len(path.read_bytes().splitlines()) if path.exists() else 0
    [finding] = [finding for finding in check_root(kept.root) if finding.severity != "info"]
    assert (finding.code, finding.file, finding.line) == (code, "index.jsonl", line)
    assert finding.report == kept.report


@pytest.mark.full
def test_every_byte_of_an_entry_counts(kept: Kept) -> None:
    path = kept.root / "index.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[-1])
    for position in flips(path, 1, True):
        assert check_root(kept.root), f"byte {position}"
