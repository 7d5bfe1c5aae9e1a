"""Import of a Markdown document with its git history: each commit becomes a version of the report.

Rules:

- The id of the report is derived from the document's first commit and its place in the repository, or
  else from its name and its bytes.
- If a document is imported again, its new commits are appended, each as a commit of its own. That needs an
  unchanged beginning of the history and a report that was not edited since; otherwise, and if nothing is
  new, the import is refused.
- The author, time and message of a commit are stored in the event's `imported`; the event's own time is
  the time of the import. The times in the outline are those of the commits.
- A commit that changes nothing makes no version; one whose text cannot be read is left out and reported.
- The present content of the file is the newest version, whether it was committed or not.

    >>> import_document(store, Path("guide.md"), "guide.md", Author("cli", "ann"), announce)
    {'report_id': '5f9d…', 'title': 'Guide', 'version': 12}
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from living_reports.changes import MAX_REPORT_BYTES, MAX_SECTION_BYTES
from living_reports.errors import InvalidInputError, RequestError, TooLargeError
from living_reports.interchange.arrival import imported_row, read_file, refusal, require_new
from living_reports.interchange.headings import Document, read_document, with_document
from living_reports.interchange.revisions import Revision, Texts, read_history, texts_in
from living_reports.library.writing import MAX_REASON_CHARS, new_id
from living_reports.model.event import ActionType, Author
from living_reports.model.report import Outline, sha256_hex
from living_reports.reading.compact import cut
from living_reports.reading.history import as_moment
from living_reports.store.base import Note, Store, utc_now

_MESSAGE_CHARS = 10_000
_DOCUMENTS = uuid.UUID("8d4f0c5e-2b1a-5e6c-9f37-61a2c0d7b945")
"""The namespace of the ids of documents."""

Row = dict[str, Any]
Announce = Callable[[str], None]
"""Called with a description of the current step."""


@dataclass
class _Import:
    """The import of one document."""

    report_id: str
    file: Path
    name: str
    text: str
    author: Author
    announce: Announce
    left_out: list[str] = field(default_factory=list)
    """The reasons for which commits make no version, one line each."""


def import_document(store: Store, file: Path, name: str, author: Author, announce: Announce) -> Row:
    """Create a report from a file and its git history.

    Args:
        store: The target.
        file: The document.
        name: The caller's name for it.
        author: The author of the events.
        announce: Called with a description of each step.

    Raises:
        InvalidInputError: It is no text, or was imported before; or git stopped.
        TooLargeError: It, or a section of it, is over the limit.
        StorageFailedError: The disk refused; nothing was imported.
    """
    file = file.resolve()
    data = read_file(file, MAX_REPORT_BYTES)
    text = _text(data, name)
    _document(text, file.stem, name)
    history = read_history(file)
    report_id = _id_of(name, data, history.revisions)
    task = _Import(report_id, file, name, text, author, announce)
    if history.revisions and store.locate(report_id) == "active":
        with texts_in(file) as reader:
            appended = _append(store, task, history.revisions, reader)
        if appended:
            return imported_row(store, report_id, True) | {"appended": appended} | _warnings(task, "")
    require_new(store, report_id)
    with ExitStack() as stack:
        texts = stack.enter_context(texts_in(file)) if history.revisions else None
        versions = _versions(task, _states(task, history.revisions, texts, None))
        outline, note = next(versions)
        event = store.create(outline, note, versions)
    return imported_row(store, report_id, event is not None) | _warnings(task, history.problem)


def _warnings(task: _Import, problem: str) -> Row:
    warnings = [f"The history was not read, git says: {cut(problem, 200)}"] if problem else []
    if task.left_out:
        warnings.append(f"Commits left out: {len(task.left_out)}. The first: {task.left_out[0]}")
    return {"warnings": warnings} if warnings else {}


def _id_of(name: str, data: bytes, revisions: Sequence[Revision]) -> str:
    """Return an id that no other document has, not even a copy of it, which shares its first commit."""
    origin = f"{revisions[0].commit} {revisions[-1].path}" if revisions else f"{sha256_hex(data)} {name}"
    return str(uuid.uuid5(_DOCUMENTS, origin))


def _text(data: bytes, name: str) -> str:
    """Decode the bytes.

    Raises:
        InvalidInputError, TooLargeError: They are no text, or too many.
    """
    if len(data) > MAX_REPORT_BYTES:
        raise _too_large(name, MAX_REPORT_BYTES)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refusal(f"{name} is not UTF-8: byte {error.start}.", "Save it as UTF-8.") from error
    if "\0" in text:
        raise refusal(f"{name} is no text: it contains a NUL character.", "Give a Markdown file.")
    return text


def _document(text: str, stem: str, name: str) -> Document:
    """Parse the text.

    Raises:
        TooLargeError: A section is over the limit.
    """
    document = read_document(text, stem)
    for title, content in document.sections:
        if len(content.encode()) > MAX_SECTION_BYTES:
            raise _too_large(f"{name}, section {cut(title, 60)!r}", MAX_SECTION_BYTES)
    return document


def _too_large(name: str, limit: int) -> TooLargeError:
    message = f"{name} has more than {limit:,} bytes."
    return TooLargeError(message, hint="Split it into several.", path="path", limit=limit)


# --- Importing again ----------------------------------------------------------------------


def _append(store: Store, task: _Import, revisions: Sequence[Revision], texts: Texts) -> int:
    """Append the commits that came after the imported ones, each as a version; return how many.

    Raises:
        InvalidInputError: The report was edited, or the history does not begin with the imported commits.
    """
    outline, known = _imported_commits(store, task.report_id)
    commits = [commit for commit in known if commit]
    numbers = {revision.commit: number for number, revision in enumerate(revisions, start=1)}
    done = numbers.get(commits[-1], 0) if commits else 0
    past = _versions(task, _states(replace(task, left_out=[]), revisions[:done], texts, None))
    made = [note.extra["imported"].get("commit") for _, note in past]
    expected = [commit for commit in made if commit]
    if not done or not _continues(expected, commits, has_drafts=len(commits) < len(known)):
        raise _refused(task.report_id, "the history of the file is another than the imported one")
    data = texts.at(revisions[done - 1], MAX_REPORT_BYTES) if known[-1] else None
    text = data.decode() if data is not None else None
    count = 0
    for after, note in _versions(task, _states(task, revisions[done:], texts, text), outline):
        with store.edit(task.report_id) as edit:
            if edit.snapshot.version != outline.outline_version + count:
                raise _refused(task.report_id, f"version {edit.snapshot.version} was made meanwhile")
            edit.put(after, note)
        count += 1
    return count


def _imported_commits(store: Store, report_id: str) -> tuple[Outline, list[str]]:
    """Return the current outline, and the commit of each version, oldest first; empty for text without one.

    Raises:
        InvalidInputError: A version was not imported.
    """
    snapshot = store.read(report_id)
    commits = []
    for event in store.events(report_id):
        if not event.makes_version:
            continue
        imported = event.payload.get("imported")
        if not isinstance(imported, dict):
            raise _refused(report_id, f"version {event.version} was not imported")
        commits.append(str(imported.get("commit") or ""))
    return snapshot.outline, commits[::-1]


def _continues(expected: Sequence[str], commits: Sequence[str], *, has_drafts: bool) -> bool:
    """Return True if the imported commits are those that the history begins with.

    A commit of text that had been imported before it was committed made no version.
    """
    rest = iter(expected)
    return list(expected) == list(commits) or (has_drafts and all(commit in rest for commit in commits))


def _refused(report_id: str, reason: str) -> InvalidInputError:
    return refusal(
        f"Report {report_id} is there already, and new commits cannot be appended: {reason}.",
        "Make the new changes with update, or import a copy of the file as a report of its own, "
        "from a folder outside of the repository.",
        report_id=report_id,
    )


# --- Versions -------------------------------------------------------------------------------


def _states(
    task: _Import, revisions: Sequence[Revision], texts: Texts | None, text: str | None
) -> Iterator[tuple[Document, Revision | None]]:
    """Yield the document at each readable commit, and the present document if it differs from the last.

    `text` is the text before the first of the commits.
    """
    for number, revision in enumerate(revisions, start=1):
        task.announce(f"import {task.name}: commit {number} of {len(revisions)}")
        data = texts.at(revision, MAX_REPORT_BYTES + 1) if texts else None
        if data is None:
            continue  # the commit removed it; a later one may restore it
        try:
            text = _text(data, f"{revision.path} in {revision.commit[:10]}")
            yield _document(text, task.file.stem, task.name), revision
        except RequestError as error:
            task.left_out.append(error.message)
    if text is None or _plain_lines(text) != _plain_lines(task.text):
        yield _document(task.text, task.file.stem, task.name), None


def _plain_lines(text: str) -> str:
    """Return the text with plain line ends: git may convert them when it writes a file."""
    return text.replace("\r\n", "\n")


def _versions(
    task: _Import, states: Iterator[tuple[Document, Revision | None]], outline: Outline | None = None
) -> Iterator[tuple[Outline, Note]]:
    """Yield the outline and the note of each version: each state that differs from the previous one.

    The first is compared with `outline`.
    """
    for document, revision in states:
        now = utc_now()
        at = _time_of(revision, outline, now)
        before = outline or _empty(task.report_id, document.title, at)
        after = with_document(before, document, now=at, new_id=new_id)
        if after is outline:
            continue
        action: ActionType = "create" if outline is None else _action(before, after)
        imported = _provenance(task, revision)
        reason = _reason(task, revision, is_first=outline is None)
        yield after, Note(action, task.author, reason, ts=now, extra={"imported": imported})
        outline = after


def _time_of(revision: Revision | None, before: Outline | None, now: str) -> str:
    """Return the time of the commit, but not before that of the previous version, and not in the future."""
    try:
        at = as_moment(revision.at) if revision else as_moment(now)
        at = max(at, as_moment(before.updated_at)) if before else at
    except ValueError:  # git accepts invalid dates
        return now
    return min(at, as_moment(now)).isoformat()


def _empty(report_id: str, title: str, now: str) -> Outline:
    return Outline(
        report_id=report_id, title=title, created_at=now, updated_at=now, metadata={"status": "active"}
    )


def _action(before: Outline, after: Outline) -> ActionType:
    return "rename" if after.sections == before.sections else "evolve"


def _reason(task: _Import, revision: Revision | None, *, is_first: bool) -> str:
    if revision is None:
        return f"imported from {task.name}" if is_first else "changed since the last commit"
    first_line = revision.message.partition("\n")[0].strip()
    return cut(f"{revision.author}: {first_line}", MAX_REASON_CHARS)


def _provenance(task: _Import, revision: Revision | None) -> Row:
    """Return the value of `imported` in the event of a version."""
    if revision is None:
        return {"file": task.name}
    return {
        "author": revision.author,
        "at": revision.at,
        "commit": revision.commit,
        "message": cut(revision.message, _MESSAGE_CHARS),
        "file": revision.path,
    }
