"""Reports on disk for the tests of storage: how to make them, look at them, and break their disk.

`disk` is the seam to the only writer of bytes: everything it does is announced before it is
done, and the test may record it, refuse it, or kill the process just there.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from living_reports.errors import StorageFailedError
from living_reports.model.report import AuditEvent, Author, Outline, Section, outline_bytes, sha256_hex
from living_reports.store.files import GlobalStorage, Note, ReportStorage, durable

REPORT = "5f9d3c1e-0a7b-4c2d-8e6f-1234567890ab"
OTHER = "6a1b2c3d-4e5f-4a6b-9c8d-abcdefabcdef"
SECTION = "0b0e7b1a-6a43-4c0e-9a56-3f1d2c4b5a69"
ANN = Author("agent", "ann/1.0")
DAY = "2026-11-23T10:00:00+00:00"

Change = Callable[[GlobalStorage], object]


def outline_with(text: str, title: str = "Health", report_id: str = REPORT) -> Outline:
    section = Section(section_id=SECTION, title="Risks", content=text, created_at=DAY, updated_at=DAY)
    return Outline(report_id=report_id, title=title, created_at=DAY, updated_at=DAY, sections=[section])


def create(root: GlobalStorage, text: str = "one\n", title: str = "Health", report_id: str = REPORT) -> None:
    assert root.create(outline_with(text, title, report_id), Note("create", ANN)) is not None


def say(root: GlobalStorage, text: str, report_id: str = REPORT) -> int:
    """Replace the section's text; the new version."""
    with root.edit(report_id) as edit:
        note = Note("evolve", ANN, "because")
        edit.put(with_text(edit.state.outline, text).model_copy(update={"updated_at": note.ts}), note)
    assert edit.record is not None
    return edit.record.version


def with_text(outline: Outline, text: str) -> Outline:
    [section] = outline.sections
    return outline.model_copy(update={"sections": [section.model_copy(update={"content": text})]})


def text_of(outline: Outline) -> str | None:
    return outline.sections[0].content


def text_now(root: GlobalStorage, report_id: str = REPORT) -> str | None:
    return text_of(root.read(report_id).outline)


def bare_event(action_type: Any, report_id: str = REPORT) -> AuditEvent:
    action_id = str(uuid.uuid4())
    return AuditEvent(action_id=action_id, report_id=report_id, ts=DAY, actor="cli", action_type=action_type)


def lines_of(folder: Path) -> list[bytes]:
    return (folder / "audit.jsonl").read_bytes().splitlines()


def events_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(folder)]


def copy_of(root: GlobalStorage, target: Path) -> GlobalStorage:
    """The same root at another place, as a process that starts now sees it."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root.reports_root, target, symlinks=True)
    return GlobalStorage(target)


def require_sound(root: GlobalStorage, report_id: str = REPORT) -> None:
    """What must hold for a report whenever nobody is just writing it, whatever happened before."""
    storage = root.get_report_storage(report_id)
    state = root.read(report_id)
    assert state.warnings == ()
    assert state.refusal is None
    verified = root.verify(report_id)
    assert verified["findings"] == []
    _require_whole_history(storage, state.version)
    assert {path.name for path in storage.report_dir.iterdir()} <= {
        "outline.json",
        "audit.jsonl",
        "audit.torn",
        "backups",
        ".head",
        ".lock",
    }
    [entry] = [entry for entry in GlobalStorage(root.reports_root).entries() if entry.report_id == report_id]
    assert (entry.current_title, entry.updated_at) == (state.outline.title, state.outline.updated_at)
    pending = root.reports_root / ".pending"
    assert not pending.exists() or not list(pending.iterdir())
    assert not list(root.by_id.glob(".new-*"))


def _require_whole_history(storage: ReportStorage, newest: int) -> None:
    made = [event for event in events_of(storage.report_dir) if event["payload"]["delta"]]
    assert [event["payload"]["outline_version"] for event in made] == list(range(1, newest + 1))
    for event in made:
        outline = storage.history.outline_at(event["payload"]["outline_version"])
        assert sha256_hex(outline_bytes(outline)) == event["payload"]["outline_sha256"]


# --- The disk -----------------------------------------------------------------------------


@contextmanager
def disk(observer: durable.Observer) -> Iterator[None]:
    """Let `observer` see everything that is done to the disk, before it is done."""
    durable.observer = observer
    try:
        yield
    finally:
        durable.observer = None


def recorded(action: Callable[[], object]) -> list[tuple[str, str]]:
    """What the action does to the disk: the operations with the last part of their (first) path."""
    done = []
    with disk(lambda operation, details: done.append((operation, details[0].name))):
        action()
    return done


class Refusing:
    """An observer that refuses the operation at a position, or from there on those that `refuses` names."""

    def __init__(
        self, position: int, code: int = errno.ENOSPC, *, refuses: Callable[[str], bool] | None = None
    ):
        self._left = position
        self._code = code
        self._refuses = refuses

    def __call__(self, operation: str, _: tuple[Any, ...]) -> None:
        self._left -= 1
        is_due = self._left == -1 if self._refuses is None else self._left < 0 and self._refuses(operation)
        if is_due:
            raise OSError(self._code, os.strerror(self._code))


def answer_to(action: Callable[..., object], *arguments: object) -> str:
    """Whether the action happened, by its own account: `yes`, `no` or `unknown`."""
    try:
        action(*arguments)
    except StorageFailedError as error:
        return str(error.details["happened"])
    return "yes"


def needs_room(operation: str) -> bool:
    """The operations that fail on a full disk; taking something away still works."""
    return operation in ("create", "write", "link", "make_folder", "rewrite")


def killed_at(position: int, action: Callable[[], object]) -> bool:
    """Do the action in a process that is killed just before an operation; False if it ended before that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the child uses no other thread
        child = os.fork()
    if child == 0:
        _die_at(position, action)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def _die_at(position: int, action: Callable[[], object]) -> None:
    left = position

    def observer(_operation: str, _details: tuple[Any, ...]) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    try:
        with disk(observer):
            action()
    except BaseException:
        os._exit(1)
    os._exit(0)
