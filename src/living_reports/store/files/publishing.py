"""Steps 6 and 7 of a commit: what the last event of the log says is made visible.

Rules:

- Nothing here decides anything: the event is committed. Recovery comes here to finish what a crash
  left, with what it found in place.
- Only the bytes that the commit began with are replaced. A file that a person saved since then stays
  where it is: it is an edit of an older version now, and the next look takes it in. What is not
  noticed is a save in the microseconds between the last comparison and the renaming.
- The old outline is linked into the backups only now: an editor that saves in place would change
  both names.

    >>> publish(storage, temporary, outline, record, replaced=b"{...}")
    >>> storage.look().is_settled
    True
"""

from __future__ import annotations

from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from living_reports.model.report import Outline
from living_reports.store.files import durable
from living_reports.store.files.audit import Record
from living_reports.store.files.backups import prune

if TYPE_CHECKING:
    from living_reports.store.files.report import ReportStorage


def publish(
    storage: ReportStorage, temporary: Path, new: Outline, record: Record, replaced: bytes | None
) -> None:
    """Put the outline of an event in place, and say so in `.head` and in the index. Takes a held lock.

    Args:
        storage: The report.
        temporary: Where the outline's bytes are, synced.
        new: The outline.
        record: The event.
        replaced: What `outline.json` held when the commit or the recovery began; `None` if nothing.

    Raises:
        OSError: The disk refused.
    """
    is_kept = _keep_replaced(storage, record, replaced)
    if not (is_kept and put_in_place(storage, temporary, replaced)):
        durable.remove(temporary)
    durable.write_hint(storage.head_path, head_of(record))
    storage.announce(new)
    prune(storage.backups_dir, storage.log, record)


def _keep_replaced(storage: ReportStorage, record: Record, replaced: bytes | None) -> bool:
    """Link the bytes that are replaced into the backups; False if they are not there any more."""
    name = record.payload.get("backup_filename")
    if not isinstance(name, str) or replaced is None:
        return True
    if not _is_still(storage, replaced):
        return False
    backup = storage.backups_dir / Path(name).name
    durable.make_folder(storage.backups_dir)
    durable.link(storage.outline_path, backup)
    if "backup_sha256" in record.payload:  # no version has these bytes: they are there only
        durable.sync_folder(storage.backups_dir)
        durable.sync_folder(storage.report_dir)
    if bytes_of(backup) == replaced:
        return True
    durable.remove(backup)  # somebody saved just now; `outline.json` is the name of these bytes
    return False


def put_in_place(storage: ReportStorage, temporary: Path, replaced: bytes | None) -> bool:
    """Let a new outline take its name, unless another was saved there since `replaced` was read."""
    if not _is_still(storage, replaced):
        return False
    durable.replace(temporary, storage.outline_path)
    return True


def head_of(record: Record) -> bytes:
    """What `.head` says of the event that was published last: twice, so that a half-written one shows."""
    return f"{record.version}:{record.sha256}\n".encode() * 2


def _is_still(storage: ReportStorage, outline: bytes | None) -> bool:
    return bytes_of(storage.outline_path) == outline


def bytes_of(path: Path) -> bytes | None:
    """What a file holds; `None` if it is not there."""
    try:
        with FileIO(path) as file:
            return file.readall()
    except FileNotFoundError:
        return None
