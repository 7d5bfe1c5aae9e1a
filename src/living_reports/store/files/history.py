"""Reading any version of a report back, byte for byte.

Rules:

- Version N is the nearest outline at hand (the current one, a kept backup, or an event that
  holds a whole outline) with the deltas between applied or taken back.
- What comes out must have the `outline_sha256` of its event, or it is an error, never a
  guess. A backup whose bytes do not have the hash of its version is passed over.
- Backups are named by time and their versions rise with their names, so the nearest one is
  found by bisection; nothing here opens all of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from living_reports.errors import CorruptReportError, NoSuchVersionError
from living_reports.model.delta import DeltaError, apply, invert
from living_reports.model.report import Outline, outline_bytes, parse_outline, sha256_hex
from living_reports.store.files.audit import AuditLog, Record
from living_reports.store.files.backups import backup_names, version_in

_BACKUPS_TRIED = 8


@dataclass(frozen=True)
class _Base:
    """An outline at hand. Replaying starts behind its event: at `offset` in the log."""

    outline: Outline
    version: int
    offset: int


class History:
    """The versions that the log and the backups of one report hold."""

    def __init__(self, log: AuditLog, backups_dir: Path) -> None:
        self.log = log
        self.backups_dir = backups_dir

    def find(self, version: int) -> Record:
        """The event that made a version.

        Raises:
            NoSuchVersionError: There is none.
        """
        record = self.log.find_version(version)
        if record is None:
            first, last = self.log.first_ours(), self.log.last_ours()
            span = f"Versions run from {first.version} to {last.version}." if first and last else ""
            raise NoSuchVersionError(f"There is no version {version}.", hint=span)
        return record

    def outline_at(self, version: int, current: Outline | None = None) -> Outline:
        """The outline as it was at a version.

        Args:
            version: Which one.
            current: The newest outline, if it is at hand and known to be whole.

        Raises:
            NoSuchVersionError: The report never had this version.
            CorruptReportError: What the log and the backups give does not have its hash.
        """
        record = self.find(version)
        if current is not None and current.outline_version == version:
            return current
        for base in self._bases(record, current):
            try:
                outline = self._replay(base, record)
            except (DeltaError, ValueError):
                continue
            if sha256_hex(outline_bytes(outline)) == record.outline_sha256:
                return outline
        raise CorruptReportError(
            f"Version {version} cannot be read back: what the log and the backups give is not what it was.",
            hint="Verify the report; versions after the damage can still be read.",
            damaged="history",
        )

    def _bases(self, record: Record, current: Outline | None) -> Iterator[_Base]:
        """The outlines at hand, nearest first by the bytes of log between; whole events last."""
        near = [*self._current_base(current), *self._backup_bases(record.version)]
        yield from sorted(near, key=lambda base: abs(record.end - base.offset))
        whole = self._whole_before(record)
        if whole is not None:
            yield _Base(apply(None, whole.delta), whole.version, whole.end)

    def _current_base(self, current: Outline | None) -> Iterator[_Base]:
        if current is not None:
            newest = self.log.find_version(current.outline_version)
            if newest is not None:
                yield _Base(current, newest.version, newest.end)

    def _backup_bases(self, version: int) -> Iterator[_Base]:
        """The nearest sound backup at or below a version, and the nearest above it."""
        names = backup_names(self.backups_dir)
        split = bisect_right(names, version, key=lambda name: version_in(self.backups_dir / name))
        for side in (reversed(names[:split]), iter(names[split:])):
            tried = map(self._sound, islice(side, _BACKUPS_TRIED))
            base = next(filter(None, tried), None)
            if base is not None:
                yield base

    def _sound(self, name: str) -> _Base | None:
        try:
            data = (self.backups_dir / name).read_bytes()
            outline = parse_outline(data)
        except (OSError, ValueError):
            return None
        event = self.log.find_version(outline.outline_version)
        if event is None or event.outline_sha256 != sha256_hex(data):
            return None
        return _Base(outline, event.version, event.end)

    def _whole_before(self, record: Record) -> Record | None:
        """The newest event at or before this one that holds a whole outline."""
        first = self.log.first_ours()
        if first is not None and first.is_whole and first.version == record.version:
            return first
        return next((r for r in self.log.backwards(record.end) if r.is_whole), None)

    def _replay(self, base: _Base, record: Record) -> Outline:
        outline = base.outline
        if base.offset <= record.end:
            for step in self.log.forwards(base.offset, record.end):
                if step.makes_version:
                    outline = apply(outline, step.delta)
        else:
            for step in self.log.backwards(base.offset):
                if step.offset < record.end:
                    break
                if step.makes_version:
                    outline = apply(outline, invert(step.delta))
        return outline
