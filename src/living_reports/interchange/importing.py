"""Reports that come from elsewhere: another root, an exported file, a Markdown document with its history.

Rules:

- What is imported is there whole, with all its versions, or not at all.
- A report keeps its id. One that is there already is refused, and the others go on.
- Another root's files are taken as they are, byte for byte; nothing is written there.
- A folder is another root, one report's folder, or else a place with Markdown files in it.

    >>> import_reports(open_store("reports"), Path("guide.md"), author=Author("cli", "ann"))
    {'imported': [{'report_id': '5f9d…', 'title': 'Guide', 'version': 12, 'from': 'guide.md'}]}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from living_reports.errors import ReportError
from living_reports.interchange.arrival import read_file, refused, require_new, row_of, unreadable
from living_reports.interchange.documents import Say, bring_document
from living_reports.model.event import Author
from living_reports.model.report import parse_uuid
from living_reports.store.base import Store
from living_reports.store.files.transfer import MAX_BYTES, copied_files, is_archive, unpack

MARKDOWN = (".md", ".markdown", ".mdown")
"""The endings of the files that are taken out of a folder; a single file may have any."""

Row = dict[str, Any]


@dataclass(frozen=True)
class _Source:
    """One thing to import: what a person calls it, and what brings it in."""

    name: str
    bring: Callable[[], Row]


def import_reports(storage: Store, path: Path, *, author: Author, say: Say = lambda words: None) -> Row:
    """Import what is at a path. What cannot be imported from a folder is listed, and the rest goes on.

    Args:
        storage: Where to.
        path: Another root, a report's folder, an exported file, a Markdown file, or a folder of those.
        author: Whom the events of documents are by.
        say: Is told what is being done.

    Returns:
        `imported[{report_id, title, version, from, warnings[]}]` and `refused[{from, code, message, hint}]`.

    Raises:
        ReportError: There is nothing at the path, or it is one thing that cannot be imported.
    """
    sources = _sources(storage, path, author, say)
    answer: dict[str, list[Row]] = {"imported": [], "refused": []}
    for number, source in enumerate(sources, start=1):
        say(f"import {source.name} ({number} of {len(sources)})")
        try:
            answer["imported"].append(source.bring() | {"from": source.name})
        except ReportError as error:
            if len(sources) == 1:
                raise
            answer["refused"].append({"from": source.name} | error.answer()["error"])
    return {key: rows for key, rows in answer.items() if rows}


def _sources(storage: Store, path: Path, author: Author, say: Say) -> list[_Source]:
    try:
        if path.is_file():
            return [_file_source(storage, path, author, say)]
        if not path.is_dir():
            raise refused(f"{path.name or path} is not there.", "Give a file or a folder.")
        if path.resolve() == Path(storage.location).resolve():
            raise refused("This is the root itself.", "Its reports need no import: list shows them.")
        folders = [path] if (path / "outline.json").is_file() else _report_folders(path)
        sources = [_folder_source(storage, folder) for folder in folders]
        if not sources:
            sources = [_document_source(storage, file, path, author, say) for file in _documents(path)]
    except OSError as error:
        raise unreadable(path.name, error) from error
    if not sources:
        raise refused(
            f"There is nothing to import in {path.name or path}.",
            "Give a reports directory (the one with by_id), a Markdown file or a folder of them, or a file "
            "that export wrote.",
        )
    return sources


def _report_folders(path: Path) -> list[Path]:
    by_id = path / "by_id"
    folders = sorted(by_id.iterdir()) if by_id.is_dir() else []
    return [folder for folder in folders if _is_id(folder.name) and _is_own(folder)]


def _is_own(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink()


def _is_id(name: str) -> bool:
    try:
        return bool(parse_uuid(name))
    except ValueError:
        return False


def _documents(path: Path) -> list[Path]:
    """The Markdown files below a folder; hidden ones and links are passed over."""
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in MARKDOWN)
    return [
        file
        for file in found
        if file.is_file()
        and not file.is_symlink()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]


def _file_source(storage: Store, path: Path, author: Author, say: Say) -> _Source:
    with path.open("rb") as file:
        if is_archive(file.read(512)):
            return _Source(path.name, lambda: _bring_archive(storage, path))
    return _document_source(storage, path, path.parent, author, say)


def _folder_source(storage: Store, folder: Path) -> _Source:
    return _Source(folder.name, lambda: _bring_folder(storage, folder))


def _document_source(storage: Store, file: Path, above: Path, author: Author, say: Say) -> _Source:
    name = file.relative_to(above).as_posix()
    return _Source(name, lambda: bring_document(storage, file, name, author, say))


# --- Reports ------------------------------------------------------------------------------


def _bring_archive(storage: Store, path: Path) -> Row:
    report_id, files = unpack(read_file(path, MAX_BYTES))
    require_new(storage, report_id)
    return row_of(storage, report_id, storage.import_(report_id, files))


def _bring_folder(storage: Store, folder: Path) -> Row:
    if not _is_id(folder.name):
        raise refused(f"The folder {folder.name} is not named by a report's id.", "Give it its name back.")
    report_id = parse_uuid(folder.name)
    require_new(storage, report_id)
    try:
        files = copied_files(folder)
    except OSError as error:
        raise unreadable(folder.name, error) from error
    return row_of(storage, report_id, storage.import_(report_id, files))
