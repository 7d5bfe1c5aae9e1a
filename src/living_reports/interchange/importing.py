"""Import of reports: from another root, an exported file, or Markdown documents with their history.

Rules:

- A report is imported with all its versions, or not at all.
- A report keeps its id. If it exists already, here or in the trash, it is refused, and the import
  continues with the next one.
- The files of another root are copied byte for byte; nothing is written there.
- A folder is another root, the folder of one report, or else a folder with Markdown files.
- Messages name no path that the caller did not give.

    >>> import_reports(open_store("reports"), Path("guide.md"), author=Author("cli", "ann"))
    {'imported': [{'report_id': '5f9d…', 'title': 'Guide', 'version': 12, 'from': 'guide.md'}]}
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from living_reports.errors import ReportError
from living_reports.interchange.arrival import imported_row, read_file, refusal, require_new, unreadable
from living_reports.interchange.documents import Announce, import_document
from living_reports.model.event import Author
from living_reports.model.report import as_uuid
from living_reports.store import read_report_folder
from living_reports.store.base import MAX_ARCHIVE_BYTES, Store

MARKDOWN = (".md", ".markdown", ".mdown")
"""The suffixes of the files that are imported from a folder; a single file may have any suffix."""

_TAR_MAGIC = slice(257, 262)

Row = dict[str, Any]
_Source = tuple[str, Callable[[], Row]]
"""The name of a source for a person, and the function that imports it."""


def import_reports(
    store: Store, path: Path, *, author: Author, announce: Announce = lambda step: None
) -> Row:
    """Import everything at a path. Reports of a folder that cannot be imported are listed.

    Args:
        store: The target.
        path: Another root, the folder of a report, an exported file, a Markdown file, or a folder of those.
        author: The author of the events of documents.
        announce: Called with a description of each step.

    Returns:
        `imported[{report_id, title, version, from, warnings[]}]` and `refused[{from, code, message, hint}]`.

    Raises:
        ReportError: There is nothing to import, or only one report, which cannot be imported.
    """
    sources = _find_sources(store, path, author, announce)
    answer: dict[str, list[Row]] = {"imported": [], "refused": []}
    for number, (name, import_source) in enumerate(sources, start=1):
        announce(f"import {name} ({number} of {len(sources)})")
        try:
            answer["imported"].append(import_source() | {"from": name})
        except ReportError as error:
            if len(sources) == 1:
                raise
            answer["refused"].append({"from": name} | error.answer()["error"])
    return {key: rows for key, rows in answer.items() if rows}


def _find_sources(store: Store, path: Path, author: Author, announce: Announce) -> list[_Source]:
    def document(file: Path, root: Path) -> _Source:
        # A file name may hold bytes that are no text.
        name = file.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()
        return name, lambda: import_document(store, file, name, author, announce)

    try:
        if path.is_file():
            is_archive = read_file(path, 512)[_TAR_MAGIC] == b"ustar"
            return [_archive(store, path) if is_archive else document(path, path.parent)]
        if not path.is_dir():
            problem = "is neither a file nor a folder" if path.exists() else "does not exist"
            raise refusal(f"{path.name or path} {problem}.", "Give a file or a folder.")
        if path.resolve() == Path(store.location).resolve():
            raise refusal("This is the root itself.", "Its reports need no import: list shows them.")
        folders = [path] if (path / "outline.json").is_file() else _report_folders(path)
        sources = [_folder(store, folder) for folder in folders]
        sources = sources or [document(file, path) for file in _documents(path)]
    except OSError as error:
        raise unreadable(path.name, error) from error
    if not sources:
        raise refusal(
            f"There is nothing to import in {path.name or path}.",
            "Give a reports directory (the one with by_id), a Markdown file or a folder of them, or a file "
            "that export wrote.",
        )
    return sources


def _report_folders(path: Path) -> list[Path]:
    by_id = path / "by_id"
    folders = sorted(by_id.iterdir()) if by_id.is_dir() else []
    return [each for each in folders if as_uuid(each.name) and each.is_dir() and not each.is_symlink()]


def _documents(path: Path) -> list[Path]:
    """Return the Markdown files below a folder; hidden files and links are skipped."""
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in MARKDOWN)
    return [
        file
        for file in found
        if file.is_file()
        and not file.is_symlink()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]


def _archive(store: Store, path: Path) -> _Source:
    def import_archive() -> Row:
        report_id, is_created = store.import_(read_file(path, MAX_ARCHIVE_BYTES))
        return imported_row(store, report_id, is_created)

    return path.name, import_archive


def _folder(store: Store, folder: Path) -> _Source:
    def import_folder() -> Row:
        report_id = as_uuid(folder.name)
        if not report_id:
            message = f"The folder {folder.name} is not named after the id of a report."
            raise refusal(message, "Rename it to the id of the report.")
        require_new(store, report_id)
        try:
            files = read_report_folder(folder)
        except OSError as error:
            raise unreadable(folder.name, error) from error
        return imported_row(store, report_id, store.import_files(report_id, files))

    return folder.name, import_folder
