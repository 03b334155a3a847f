"""A file layer that does what it is told on a real folder and keeps the list of it, for `crash_states` to replay.

Knows operations and which file a descriptor belongs to. Does not know what a crash leaves, nor what the files mean.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from asyncgen.store.files import DISK, FileLayer

Image: TypeAlias = Mapping[str, bytes | None]
"""A folder: relative path → bytes; None for a folder in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that was done to the disk."""

    name: str
    """create, write, truncate, sync, lost_sync (it failed), rename, unlink, make_directory, remove_directory,
    sync_directory."""
    path: str
    """Relative to the root; of a file that is open the name under which it was opened."""
    inode: int = 0
    """Which file, whatever its name."""
    at: int = 0
    """Offset of a write, size of a truncate."""
    data: bytes = b""
    target: str = ""
    """The new name of a rename."""
    promised: object = None
    """What the store had said to be durable when this began."""


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is such a place, for there a state is written and read in no time."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield Path(name)


def read_image(root: Path) -> dict[str, bytes | None]:
    """All that is in a folder."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes() for path in sorted(root.rglob("*"))
    }


def lay_out(image: Image, root: Path) -> None:
    """Make the folder, which does not exist yet."""
    root.mkdir()
    for name in sorted(image):  # a folder sorts before what is in it
        data = image[name]
        if data is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(data)


class RecordingFiles(FileLayer):
    """What the layer `below` does in the folder `root`, kept in order. `watch` is asked before each operation what the
    store has promised by then."""

    def __init__(self, root: Path, below: FileLayer = DISK, watch: Callable[[], object] = lambda: None) -> None:
        self.base = read_image(root)
        """What was there before."""
        self.operations: list[Operation] = []
        self.inodes = {name: number for number, name in enumerate(self.base, 1)}
        """Of the names that there are now."""
        self.base_inodes = dict(self.inodes)
        self._last = len(self.inodes)
        self._root = root
        self._below = below
        self._watch = watch
        self._opened: dict[int, tuple[str, int]] = {}
        self._lock = threading.RLock()  # the journal is written by the loop, all else by the writer's thread

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root))

    def _add(self, promised: object, name: str, path: str, inode: int = 0, **more: object) -> None:
        self.operations.append(Operation(name=name, path=path, inode=inode, promised=promised, **more))  # type: ignore[arg-type]  # as the callers below give them

    def _new(self, name: str) -> int:
        self._last += 1
        self.inodes[name] = self._last
        return self._last

    def create(self, path: Path) -> int:
        with self._lock:
            promised = self._watch()
            descriptor = self._below.create(path)
            self._opened[descriptor] = (self._name(path), self._new(self._name(path)))
            self._add(promised, "create", *self._opened[descriptor])
            return descriptor

    def open(self, path: Path, *, create: bool = False, empty: bool = False) -> int:
        with self._lock:
            promised, name = self._watch(), self._name(path)
            size = path.stat().st_size if path.exists() else 0
            descriptor = self._below.open(path, create=create, empty=empty)
            if name not in self.inodes:
                self._add(promised, "create", name, self._new(name))
            self._opened[descriptor] = (name, self.inodes[name])
            if size and empty:
                self._add(promised, "truncate", *self._opened[descriptor])
            return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        with self._lock:
            promised, before = self._watch(), os.fstat(descriptor).st_size
            try:
                return self._below.write(descriptor, data)
            finally:  # what a failed write has taken stands there as well
                taken = os.fstat(descriptor).st_size - before
                if taken:
                    self._add(promised, "write", *self._opened[descriptor], at=before, data=bytes(data[:taken]))

    def truncate(self, descriptor: int, size: int) -> None:
        with self._lock:
            promised = self._watch()
            self._below.truncate(descriptor, size)
            self._add(promised, "truncate", *self._opened[descriptor], at=size)

    def sync(self, descriptor: int) -> None:
        with self._lock:
            promised = self._watch()
            try:
                self._below.sync(descriptor)
            except OSError:
                self._add(promised, "lost_sync", *self._opened[descriptor])
                raise
            self._add(promised, "sync", *self._opened[descriptor])

    def close(self, descriptor: int) -> None:
        with self._lock:
            del self._opened[descriptor]
            self._below.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        with self._lock:
            promised = self._watch()
            self._below.rename(old, new)
            inode = self.inodes.pop(self._name(old))
            self.inodes[self._name(new)] = inode
            self._add(promised, "rename", self._name(old), inode, target=self._name(new))

    def unlink(self, path: Path) -> None:
        with self._lock:
            promised = self._watch()
            self._below.unlink(path)
            self._add(promised, "unlink", self._name(path), self.inodes.pop(self._name(path)))

    def make_directory(self, path: Path) -> None:
        with self._lock:
            promised = self._watch()
            self._below.make_directory(path)
            self._add(promised, "make_directory", self._name(path), self._new(self._name(path)))

    def remove_directory(self, path: Path) -> None:
        with self._lock:
            promised = self._watch()
            self._below.remove_directory(path)
            self._add(promised, "remove_directory", self._name(path), self.inodes.pop(self._name(path)))

    def sync_directory(self, path: Path) -> None:
        with self._lock:
            promised = self._watch()
            self._below.sync_directory(path)
            self._add(promised, "sync_directory", self._name(path))

    def free(self, path: Path) -> int:
        return self._below.free(path)


def without(
    operations: Sequence[Operation],
    forgotten: Callable[[Operation | None, Operation, Operation | None], bool],
) -> tuple[list[Operation], list[int]]:
    """The operations of a store that forgets some, `forgotten(before, this, after)` says which; and after how many of
    them each is missing."""
    kept: list[Operation] = []
    missing: list[int] = []
    for before, one, after in zip([None, *operations], operations, [*operations[1:], None], strict=False):
        if forgotten(before, one, after):
            missing.append(len(kept))
        else:
            kept.append(one)
    return kept, missing
