"""A disk that refuses, through the library: every call says truly whether it happened, and goes on after.

Each of create, update, revert, delete and restore meets each fault at each of its operations in turn:
a full disk, a broken one, no descriptor left, an interrupted call, a write that comes short, and on
Linux a small file system that is really full. Refusals of single commits are in `test_commit.py`.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from living_reports.errors import StorageFailedError
from living_reports.library import Library
from living_reports.library.requests import AuditReport, GetReport, ListReports, UpdateReport
from living_reports.model.report import Outline, parse_outline
from living_reports.store.files.doctor import check_root
from support.crash.bench import LONG_AGO
from support.crash.model import Tree, read_tree, write_tree
from support.crash.scenarios import (
    ANN,
    REPORT,
    Action,
    append,
    create,
    delete,
    edited_by_hand,
    in_the_trash,
    look,
    read,
    restore,
    revert,
    some_versions,
)
from support.disk_faults import FailOperation, killed_before, observe_disk, operations_of, outcome_of
from support.folders import memory_folder
from support.library_reports import folder_store

Begin = Callable[[Path], None]
Fault = Callable[[int], AbstractContextManager[object]]
Words = list[Any]

update, update_over_an_edit = append("Line 8."), append("Line 8.")
ACTS: dict[str, tuple[Begin, Action]] = {
    "create": (some_versions, create),
    "update": (some_versions, update),
    "revert": (some_versions, revert),
    "delete": (some_versions, delete),
    "restore": (in_the_trash, restore),
    "update after a hand edit": (edited_by_hand, update_over_an_edit),
}
CODES = [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EINTR]
each_act = pytest.mark.parametrize("name", ACTS)
each_code = pytest.mark.parametrize("code", CODES, ids=lambda code: errno.errorcode[code])


@pytest.fixture
def place() -> Iterator[Path]:
    with memory_folder() as folder:
        yield Path(folder)


# --- What there is ------------------------------------------------------------------------


def words(outline: Outline) -> Words:
    """Return the outline's texts, without the ids and times that differ between runs."""
    sections = [[section.title, section.content] for section in outline.sections]
    return [outline.title, outline.status, outline.tags, sections, [i.summary for i in outline.insights]]


def reports_of(library: Library) -> dict[str, Words]:
    """Place, version and words of every report, as a reader of this library finds them."""
    found: dict[str, Words] = {}
    rows = library.list_reports(ListReports(status="all"))["reports"]  # finishes a move into the trash, too
    for report_id, folder in folder_store(library).in_trash():
        outline = parse_outline((folder / "outline.json").read_bytes())
        found[report_id] = ["trash", outline.outline_version, words(outline)]
    for row in rows:
        state = library.store.read(row["report_id"])
        assert state.refusal is None
        assert row["report_id"] not in found
        assert (row["version"], row["title"]) == (state.version, state.outline.title)
        found[row["report_id"]] = ["by_id", state.version, words(state.outline)]
    return found


def require_sound(root: Path) -> None:
    """Everything is in order and every version can be read, for whoever looks next."""
    library = Library(root)
    look(library)
    for unfinished in (root / "by_id").glob(".new-*"):  # what a disk did not let go is swept up later
        os.utime(unfinished, (LONG_AGO, LONG_AGO))
    look(library)
    assert [finding for finding in check_root(root, deep=True) if finding.severity != "info"] == []


# --- An act that meets a fault ------------------------------------------------------------


class Trial:
    """An act, what it starts from, and what it leads to when nothing goes wrong."""

    def __init__(self, place: Path, name: str) -> None:
        begin, self.act = ACTS[name]
        self.root = place / "reports"
        begin(self.root)
        self.start: Tree = read_tree(self.root)
        look(Library(self.root))  # takes in what a person typed: that is no part of the act
        self.before = reports_of(Library(self.root))
        write_tree(self.start, self.root)
        self.act(Library(self.root))
        self.after = reports_of(Library(self.root))
        assert self.before != self.after

    def meet(self, fault: AbstractContextManager[object], looks_itself: bool) -> str:
        """Do the act while the fault is there; check its answer, and that all goes on. The answer.

        Whether it happened is seen by the process that was refused, or by another one.
        """
        write_tree(self.start, self.root)
        library = Library(self.root)
        with fault:
            answer = outcome_of(self.act, library)
        if answer == "unknown":
            library = Library(self.root)
        looker = library if looks_itself else Library(self.root)
        if self.act is update_over_an_edit:
            look(looker)  # a list does not look into the files for what a person typed
        now = reports_of(looker)
        expected = {"yes": [self.after], "no": [self.before], "unknown": [self.before, self.after]}
        assert now in expected[answer], f"it said {answer}"
        self._go_on(library, happened=now == self.after)
        require_sound(self.root)
        return answer

    def _go_on(self, library: Library, *, happened: bool) -> None:
        """The next call works: the same one if it did not happen yet, else another one."""
        if not happened:
            self.act(library)
        assert reports_of(library) == self.after
        if self.after[REPORT][0] == "trash":
            restore(library)
        answer = library.update_report(
            UpdateReport(REPORT, [{"op": "set_title", "title": "Next"}]), author=ANN
        )
        assert answer["version"] == self.after[REPORT][1] + 1

    def meet_everywhere(self, fault: Fault) -> list[str]:
        """Meet the fault at one operation after the other, until the act comes through without it."""
        answers = []
        for position in count():
            watched = Watched(fault(position))
            answers.append(self.meet(watched, looks_itself=position % 2 == 0))
            if not watched.struck:
                assert answers.pop() == "yes"
                break
        assert len(answers) > 2
        return answers


class Watched:
    """A fault that remembers whether anything ran into it."""

    def __init__(self, fault: AbstractContextManager[object]) -> None:
        self._fault = fault
        self.struck = False

    def __enter__(self) -> None:
        self._refusal = self._fault.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._fault.__exit__(*error)
        self.struck = bool(getattr(self._refusal, "struck", False))


class Strike:
    """A fault, and whether it has happened."""

    struck = False


def test_every_act_leads_somewhere_and_goes_on_without_a_fault(place: Path) -> None:
    for name in ACTS:
        write_tree((), place)
        assert Trial(place / name, name).meet(observe_disk(lambda *_: None), looks_itself=True) == "yes"


# --- One operation is refused -------------------------------------------------------------


@contextmanager
def refused_once(position: int, code: int) -> Iterator[Strike]:
    strike, refusing = Strike(), FailOperation(position, code)

    def observer(operation: str, details: tuple[Any, ...]) -> None:
        try:
            refusing(operation, details)
        except OSError:
            strike.struck = True
            raise

    with observe_disk(observer):
        yield strike


@each_code
@each_act
def test_one_refusal_is_answered_truly_and_nothing_is_lost(place: Path, name: str, code: int) -> None:
    answers = Trial(place, name).meet_everywhere(lambda position: refused_once(position, code))
    assert {"yes", "no"} <= set(answers)
    assert "unknown" not in answers or name == "restore"  # a name that could not be synced may go


@contextmanager
def refused_from(position: int, code: int) -> Iterator[Strike]:
    strike, refusing = Strike(), FailOperation(position, code, refuses=lambda _: True)

    def observer(operation: str, details: tuple[Any, ...]) -> None:
        try:
            refusing(operation, details)
        except OSError:
            strike.struck = True
            raise

    with observe_disk(observer):
        yield strike


@each_act
def test_a_disk_that_breaks_for_good_is_answered_truly_and_mended_by_the_next(place: Path, name: str) -> None:
    answers = Trial(place, name).meet_everywhere(lambda position: refused_from(position, errno.EIO))
    assert {"no", "unknown"} <= set(answers)


# --- Writes that come short ---------------------------------------------------------------


@contextmanager
def short_write(position: int, code: int = 0) -> Iterator[Strike]:
    """One write takes half of its bytes; the rest goes through, or fails if a code is given."""
    strike, write, left = Strike(), os.write, [position]

    def half(fd: int, data: memoryview) -> int:
        left[0] -= 1
        if left[0] == -1 and len(data) > 1:
            strike.struck = True
            return write(fd, data[: len(data) // 2])
        if left[0] == -2 and strike.struck and code:
            raise OSError(code, os.strerror(code))
        return write(fd, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", half)
        yield strike


@each_act
def test_a_write_that_comes_short_is_carried_on(place: Path, name: str) -> None:
    answers = Trial(place, name).meet_everywhere(short_write)
    assert set(answers) == {"yes"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=lambda code: errno.errorcode[code])
@each_act
def test_a_write_of_which_only_half_fits_is_answered_truly(place: Path, name: str, code: int) -> None:
    answers = Trial(place, name).meet_everywhere(lambda position: short_write(position, code))
    assert "unknown" not in answers


# --- No descriptor left -------------------------------------------------------------------


class Opening:
    """Sees every file and folder that Python opens under a root; one of them is refused."""

    root: str = ""
    position = 0
    strike = Strike()

    @classmethod
    def hook(cls, event: str, details: tuple[Any, ...]) -> None:
        if (
            cls.root
            and event in ("open", "os.listdir", "os.scandir")
            and str(details[0]).startswith(cls.root)
        ):
            cls.position -= 1
            if cls.position == -1:
                cls.strike.struck = True
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.fixture(scope="module")
def _openings_are_seen() -> None:
    sys.addaudithook(Opening.hook)  # for the life of the process; it does nothing without a root


@contextmanager
def cannot_open(root: Path, position: int) -> Iterator[Strike]:
    Opening.root, Opening.position, Opening.strike = str(root), position, Strike()
    try:
        yield Opening.strike
    finally:
        Opening.root = ""


@pytest.mark.usefixtures("_openings_are_seen")
@each_act
def test_a_file_that_cannot_be_opened_is_answered_truly(place: Path, name: str) -> None:
    trial = Trial(place, name)
    answers = trial.meet_everywhere(lambda position: cannot_open(trial.root, position))
    assert {"yes", "no"} <= set(answers)


READS: dict[str, Action] = {
    "get": read,
    "get a version": lambda library: library.get_report(GetReport(REPORT, version=2))["version"],
    "get by title": lambda library: library.get_report(GetReport("Health"))["version"],
    "audit": lambda library: library.audit_report(AuditReport(REPORT))["events"],
    "verify": lambda library: library.audit_report(AuditReport(REPORT, verify=True))["verified"],
    "list": lambda library: library.list_reports(ListReports())["reports"],
}


@pytest.mark.usefixtures("_openings_are_seen")
@pytest.mark.parametrize("name", READS)
def test_a_read_that_cannot_open_a_file_answers_rightly_or_says_so(place: Path, name: str) -> None:
    root = place / "reports"
    some_versions(root)
    expected, answers = READS[name](Library(root)), []
    said: list[object] = []
    for position in count():
        with cannot_open(root, position) as strike:
            answer = outcome_of(lambda: said.append(READS[name](Library(root))))
        answers.append(answer)
        assert answer == "no" or said.pop() == expected
        if not strike.struck:
            break
    assert set(answers) == {"yes", "no"}
    assert READS[name](Library(root)) == expected


# --- A sync that failed is never taken for success ----------------------------------------

LOG = "audit.jsonl"


def log_cannot_be_synced(operation: str, details: tuple[Any, ...]) -> None:
    """The event's sync fails, and so does the cut that would take the event back."""
    if operation in ("sync", "truncate") and details[0].name == LOG:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def published(operations: list[tuple[str, str]]) -> list[int]:
    """Return the positions of the operations that depend on earlier ones, such as writing a head."""
    told = (".head", "index.jsonl", "outline.json")
    return [
        at
        for at, (what, name) in enumerate(operations)
        if what in ("link", "rename") or name in told or (what, name) == ("write", LOG)
    ]


def require_rewritten_first(operations: list[tuple[str, str]]) -> None:
    """The line was written again and synced before anything else was done."""
    written, synced = operations.index(("rewrite", LOG)), operations.index(("sync", LOG))
    assert written < synced < min(published(operations), default=len(operations))


UNSURE = ["update", "revert", "delete", "restore"]


def left_unsure(place: Path, name: str) -> Path:
    """A root where the event of an act is in the log, and is not known to be on the disk."""
    begin, act = ACTS[name]
    root = place / "reports"
    begin(root)
    with observe_disk(log_cannot_be_synced):
        assert outcome_of(act, Library(root)) == "unknown"
    return root


@pytest.mark.parametrize("name", UNSURE)
def test_after_a_failed_sync_another_process_writes_the_line_again_first(place: Path, name: str) -> None:
    root = left_unsure(place, name)
    again = restore if name == "restore" else look
    require_rewritten_first(operations_of(lambda: again(Library(root))))
    require_sound(root)


@pytest.mark.parametrize("name", UNSURE)
def test_after_a_failed_sync_the_same_process_does_not_try_again(place: Path, name: str) -> None:
    begin, act = ACTS[name]
    root = place / "reports"
    begin(root)
    library = Library(root)
    with observe_disk(log_cannot_be_synced):
        assert outcome_of(act, library) == "unknown"
    log = next(root.glob(f"*/{REPORT}*/{LOG}"))
    before = log.read_bytes()
    for again in (act, act):
        with pytest.raises(StorageFailedError, match="no longer writes this report"):
            again(library)
    assert log.read_bytes() == before
    assert ("sync", LOG) not in operations_of(lambda: library.list_reports(ListReports()))


@pytest.mark.parametrize("name", UNSURE)
def test_the_line_of_a_process_that_died_before_its_sync_is_written_again_first(
    place: Path, name: str
) -> None:
    begin, act = ACTS[name]
    begin(place / "reports")
    start = read_tree(place / "reports")
    operations = operations_of(lambda: act(Library(place / "reports")))
    root = place / "reports"
    write_tree(start, root)
    assert killed_before(operations.index(("sync", LOG)), lambda: act(Library(root)))
    again = restore if name == "restore" else look
    require_rewritten_first(operations_of(lambda: again(Library(root))))
    require_sound(root)


def test_recovery_whose_own_sync_fails_is_not_believed_either(place: Path) -> None:
    root = left_unsure(place, "update")
    for _ in range(3):
        with observe_disk(log_cannot_be_synced), pytest.raises(StorageFailedError):
            read(Library(root))
    require_rewritten_first(operations_of(lambda: read(Library(root))))
    assert Library(root).get_report(GetReport(REPORT))["version"] == 8
    require_sound(root)


# --- Really full --------------------------------------------------------------------------

PAGE = 4096
PAGES = 24


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux, to mount a small file system")
    target = tmp_path / "disk"
    target.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(target)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"mount is refused here: {mounted.stderr.strip()}")
    try:
        yield target
    finally:
        subprocess.run(["umount", "--lazy", str(target)], check=True)


@contextmanager
def only_free(folder: Path, pages: int) -> Iterator[Strike]:
    """The disk is filled up, but for so many pages."""
    ballast, strike = folder / "ballast", Strike()
    with ballast.open("wb", buffering=0) as file:
        stat = os.statvfs(folder)
        file.write(bytes(max(0, stat.f_bavail * stat.f_frsize - pages * PAGE)))
    strike.struck = os.statvfs(folder).f_bavail == pages
    try:
        yield strike
    finally:
        ballast.unlink()


@each_act
def test_a_disk_that_is_really_full_is_answered_truly(small_disk: Path, name: str) -> None:
    trial = Trial(small_disk, name)
    answers = []
    for pages in range(PAGES):
        full = Watched(only_free(small_disk, pages))
        answers.append(trial.meet(full, looks_itself=pages % 2 == 0))
        assert full.struck
    assert answers == sorted(answers)
    assert answers[-1] == "yes"
    assert answers[0] == "no" or name in ("delete", "restore")  # their line fits into the log's last page
