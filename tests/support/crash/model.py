"""A file system in memory that tells which states a crash may leave.

Strict: a change of names (create, rename, link, remove, make) survives only once one of its folders
was synced; those that were not may each have reached the disk or not, whatever became of the
others. Only changes of one and the same name keep their order, and a rename is one change. What
was written to a file survives only once the file was synced; until then the disk may hold what was
there before, any part of the writes, or a longer file with zeros where the data should be.

Ordered, like ext4 with `data=ordered`: names change through one journal that every sync of
anything writes out, so a crash leaves the changes up to a point; a file never shows zeros.

A kill leaves everything as the operations left it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, combinations, product
from pathlib import Path, PurePosixPath
from random import Random

from support.crash.recorder import (
    Create,
    Link,
    MakeFolder,
    Operation,
    Remove,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Write,
)

PAGE = 4096
_UNWATCHED = (".lock", ".search")
"""How names begin that no state holds: lock files, which are empty and opened in passing, and the search
database, which keeps itself whole and is made again where it is missing."""


@dataclass(frozen=True)
class Item:
    """A name in a tree. `content` is `None` for a folder; names of one file share its `inode`."""

    path: str
    inode: int
    content: bytes | None


Tree = tuple[Item, ...]


def read_tree(base: Path) -> Tree:
    """All that is below a folder on a real disk."""
    items = []
    for place, folders, files in os.walk(base):
        for name in [*folders, *(name for name in files if not name.startswith(_UNWATCHED))]:
            path = Path(place) / name
            content = None if path.is_dir() else path.read_bytes()
            items.append(Item(path.relative_to(base).as_posix(), path.stat().st_ino, content))
    return numbered(items)


def write_tree(tree: Tree, base: Path) -> None:
    """Make a folder that holds the tree and nothing else."""
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir(parents=True)
    first: dict[int, Path] = {}
    for item in tree:
        path = base / item.path
        if item.content is None:
            path.mkdir()
        elif item.inode in first:
            os.link(first[item.inode], path)
        else:
            path.write_bytes(item.content)
            first[item.inode] = path


def numbered(items: Iterable[Item]) -> Tree:
    """The items in order, their files numbered as they come: equal trees compare equal."""
    numbers: dict[int, int] = {}
    ordered = sorted(items, key=lambda item: item.path)
    return tuple(Item(i.path, numbers.setdefault(i.inode, len(numbers)), i.content) for i in ordered)


Step = tuple[tuple[int, str, int | None], ...]
"""One change of names: folder, name and what it then names, for each name that it changes at once."""

Edit = tuple[int, bytes | None]
"""Bytes at an offset; or, without bytes, a new size."""


def _edited(content: bytes, edit: Edit) -> bytes:
    offset, data = edit
    padded = content.ljust(offset, b"\0")
    if data is None:
        return padded[:offset]
    return padded[:offset] + data + padded[offset + len(data) :]


@dataclass
class _File:
    kept: bytes = b""
    edits: list[Edit] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        content = self.kept
        for edit in self.edits:
            content = _edited(content, edit)
        return content

    def sync(self) -> None:
        self.kept, self.edits = self.content, []

    def possible(self, *, with_zeros: bool) -> list[bytes]:
        """Return the contents that the disk may have."""
        found = {self.kept: None, self.content: None}
        content = self.kept
        for position, edit in enumerate(self.edits):
            for part in _parts(edit, len(self.kept), with_zeros=with_zeros):
                found[_edited(content, part)] = None
            rest = self.kept
            for other in self.edits[:position] + self.edits[position + 1 :] if with_zeros else ():
                rest = _edited(rest, other)
            if with_zeros:
                found[rest] = None
            content = _edited(content, edit)
            found[content] = None
        return list(found)


def _parts(edit: Edit, kept: int, *, with_zeros: bool) -> Iterator[Edit]:
    """An edit of which only a part reached the disk."""
    offset, data = edit
    if not data:
        return
    pages = range(PAGE - offset % PAGE, len(data), PAGE)
    for length in sorted({1, len(data) // 2, len(data) - 1, *pages} - {0, len(data)}):
        yield offset, data[:length]
        if with_zeros and offset + length >= kept:
            yield offset, data[:length] + bytes(len(data) - length)
            yield offset, bytes(length) + data[length:]
    if with_zeros and offset >= kept:
        yield offset, bytes(len(data))


class FileSystem:
    """A disk on which operations are done one by one; everything in the tree it begins with is synced."""

    def __init__(self, tree: Tree, *, is_ordered: bool = False) -> None:
        self.is_ordered = is_ordered
        self._files: dict[int, _File] = {}
        self._kept: dict[int, dict[str, int]] = {0: {}}
        self._now: dict[int, dict[str, int]] = {0: {}}
        self._steps: list[Step] = []
        self._next_inode = 1
        known: dict[int, int] = {}
        for item in tree:
            folder, name, _ = self._find(item.path)
            if item.inode not in known:
                known[item.inode] = self._new(item.content)
            self._now[folder][name] = known[item.inode]
            self._kept[folder][name] = known[item.inode]

    def _new(self, content: bytes | None) -> int:
        inode, self._next_inode = self._next_inode, self._next_inode + 1
        if content is None:
            self._kept[inode], self._now[inode] = {}, {}
        else:
            self._files[inode] = _File(content)
        return inode

    def _find(self, path: str) -> tuple[int, str, int | None]:
        """The folder, the name in it, and what it names now."""
        *places, name = PurePosixPath(path).parts
        folder = 0
        for place in places:
            folder = self._now[folder][place]
        return folder, name, self._now[folder].get(name)

    def _is_there(self, path: str) -> bool:
        above = PurePosixPath(path).parent.as_posix()
        return (above == "." or self._is_there(above)) and self._find(path)[2] is not None

    def _inode(self, path: str) -> int:
        inode = self._find(path)[2] if path else 0
        assert inode is not None, f"{path} is not there"
        return inode

    # --- Operations -----------------------------------------------------------------------

    def do(self, operation: Operation) -> None:
        """Do one operation; what the real one refuses (a name that is there, or is not) does nothing."""
        match operation:
            case Create(path) | MakeFolder(path):
                self._make(path, b"" if isinstance(operation, Create) else None)
            case Write(path, offset, data):
                self._files[self._inode(path)].edits.append((offset, data))
            case Truncate(path, size):
                self._files[self._inode(path)].edits.append((size, None))
            case Sync(path):
                self._files[self._inode(path)].sync()
                self._keep(self._steps if self.is_ordered else [])
            case SyncFolder(path):
                folder = self._inode(path)
                due = [step for step in self._steps if any(where == folder for where, _, _ in step)]
                self._keep(self._steps if self.is_ordered else due)
            case Rename(source, target):
                self._rename(source, target)
            case Link(source, target):
                folder, name, taken = self._find(target)
                if taken is None:
                    self._change(((folder, name, self._inode(source)),))
            case Remove(path):
                if self._is_there(path):
                    folder, name, _ = self._find(path)
                    self._change(((folder, name, None),))

    def _make(self, path: str, content: bytes | None) -> None:
        folder, name, taken = self._find(path)
        if taken is None:
            self._change(((folder, name, self._new(content)),))

    def _rename(self, source: str, target: str) -> None:
        (folder, name, inode), (to_folder, to_name, taken) = self._find(source), self._find(target)
        if inode == taken or (taken is not None and self._now.get(taken)):
            return  # links to one file stay as they are; a folder with something in it is refused
        self._change(((to_folder, to_name, inode), (folder, name, None)))

    def _change(self, step: Step) -> None:
        self._steps.append(step)
        _apply(step, self._now)

    def _keep(self, due: list[Step]) -> None:
        """Write changes out, and before them those that changed the same names."""
        names: set[tuple[int, str]] = set()
        kept: set[int] = set()
        for position in reversed(range(len(self._steps))):
            step = self._steps[position]
            changed = {(folder, name) for folder, name, _ in step}
            if any(step is one for one in due) or changed & names:
                kept.add(position)
                names |= changed
        for position in sorted(kept):
            _apply(self._steps[position], self._kept)
        self._steps = [step for position, step in enumerate(self._steps) if position not in kept]

    # --- States ---------------------------------------------------------------------------

    def after_kill(self, under_way: Operation | None = None) -> Iterator[Tree]:
        """Yield the states that the next process finds after a kill now, or in the middle of a write."""
        yield self._tree(self._now, {})
        if isinstance(under_way, Write):
            inode = self._inode(under_way.path)
            content = self._files[inode].content
            for part in _parts((under_way.offset, under_way.data), len(content), with_zeros=False):
                yield self._tree(self._now, {inode: _edited(content, part)})

    def after_power_cut(self, random: Random, limit: int) -> Iterator[Tree]:
        """Yield the states after a power cut: all, or `limit` of them drawn at random."""
        possible = {
            inode: file.possible(with_zeros=not self.is_ordered)
            for inode, file in self._files.items()
            if file.edits
        }
        count = len(self._steps) + 1 if self.is_ordered else 2 ** len(self._steps)
        for contents in possible.values():
            count *= len(contents)
        draws = self._all(possible) if count <= limit else self._drawn(possible, random, limit)
        seen = set()
        for steps, contents_now in draws:
            entries = {folder: dict(names) for folder, names in self._kept.items()}
            for step in steps:
                _apply(step, entries)
            tree = self._tree(entries, contents_now)
            if tree not in seen:
                seen.add(tree)
                yield tree

    def _all(self, possible: dict[int, list[bytes]]) -> Iterator[tuple[Iterable[Step], dict[int, bytes]]]:
        for steps in self._survivors():
            for contents in product(*possible.values()):
                yield steps, dict(zip(possible, contents, strict=True))

    def _survivors(self) -> Iterator[tuple[Step, ...]]:
        steps = self._steps
        if self.is_ordered:
            return (tuple(steps[:end]) for end in range(len(steps) + 1))
        return chain.from_iterable(combinations(steps, size) for size in range(len(steps) + 1))

    def _drawn(
        self, possible: dict[int, list[bytes]], random: Random, limit: int
    ) -> Iterator[tuple[Iterable[Step], dict[int, bytes]]]:
        """Half of them plain cases: each change alone lost or kept, with old data everywhere or with new.

        The other half are any combinations of changes, and of what each file may contain.
        """
        steps = self._steps
        plain = [self._steps[:end] for end in range(len(steps) + 1)]
        if not self.is_ordered:
            plain += [[step] for step in steps]
            plain += [[one for one in steps if one is not lost] for lost in steps]
        old = {inode: contents[0] for inode, contents in possible.items()}
        new = {inode: self._files[inode].content for inode in possible}
        cases = [(survivors, contents) for survivors in plain for contents in (old, new)]
        count = min(len(cases), (limit + 1) // 2)
        yield from random.sample(cases, count)
        for _ in range(limit - count):
            if self.is_ordered:
                survivors = steps[: random.randint(0, len(steps))]
            else:
                share = random.choice((0.2, 0.5, 0.8))
                survivors = [step for step in steps if random.random() < share]
            drawn = {inode: random.choice(contents) for inode, contents in possible.items()}
            yield survivors, {inode: random.choice((drawn, old, new))[inode] for inode in possible}

    def _tree(self, entries: dict[int, dict[str, int]], contents: dict[int, bytes]) -> Tree:
        items: list[Item] = []
        places = [("", 0)]
        while places:
            place, folder = places.pop()
            for name, inode in entries[folder].items():
                path = f"{place}{name}"
                if inode in entries:
                    places.append((f"{path}/", inode))
                    items.append(Item(path, inode, None))
                else:
                    content = contents[inode] if inode in contents else self._files[inode].content
                    items.append(Item(path, inode, content))
        return numbered(items)


def _apply(step: Step, entries: dict[int, dict[str, int]]) -> None:
    for folder, name, inode in step:
        if inode is None:
            entries[folder].pop(name, None)
        else:
            entries[folder][name] = inode
