"""What a power loss may leave of a folder after any prefix of what was done to it.

Of a file: all that was there at its last sync, and of what came since nothing, a piece, zeroes in its place, any of its
512-byte sectors, or everything; a truncate may be undone while what was written after it stays. Of names: those of the
folder's last sync, and any subset of the operations since, each whole: a rename leaves the old name or the new one. A
file that is synced may lack its name. What was unsynced at a sync that failed is never safe again.
Knows operations. Does not know what the files mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import PurePosixPath
from random import Random

from support.crash_files import Image, Operation

SECTOR = 512
STYLES = ("lost", "kept", "cut", "zeroed", "sectors", "untruncated")
"""What may have become of the unsynced changes of a file."""
CHOICES = ("none", "all", "first", "any")
"""Which of the unsynced operations on names have reached the disk."""
_TRIES = 4
"""To draw a state that was not drawn before."""


@dataclass(slots=True)
class _Change:
    at: int
    data: bytes | None
    """None: the file is cut or grown to `at`."""
    sure: bool = False
    """A sync succeeded after it, and one failed before it."""

    def apply(self, image: bytearray) -> None:
        if self.data is None:
            _resize(image, self.at)
        else:
            _resize(image, max(len(image), self.at))
            image[self.at : self.at + len(self.data)] = self.data


def _resize(image: bytearray, size: int) -> None:
    del image[size:]
    image.extend(bytes(size - len(image)))


@dataclass(slots=True)
class _File:
    safe: bytes = b""
    """As of the last sync."""
    pending: list[_Change] = field(default_factory=list[_Change])
    doomed: int = 0
    """The first so many of `pending` were there at a sync that failed."""

    def sync(self) -> None:
        if self.doomed:
            for change in self.pending[self.doomed :]:
                change.sure = True
            return
        image = bytearray(self.safe)
        for change in self.pending:
            change.apply(image)
        self.safe = bytes(image)
        self.pending.clear()

    def left(self, style: str, rng: Random) -> bytes:
        """What a power loss leaves."""
        image = bytearray(self.safe)
        total = sum(len(change.data or b"") for change in self.pending)
        budget = {"lost": -1, "kept": total, "cut": rng.randint(0, total), "zeroed": rng.randint(0, total)}
        spent = budget.get(style, total)
        for change in self.pending:
            if change.data is None:
                if spent >= 0 and not (style == "untruncated" and rng.random() < 0.5):
                    change.apply(image)
                continue
            whole, kept = len(change.data), max(0, min(spent, len(change.data)))
            spent -= whole
            if kept == whole:
                change.apply(image)
            elif style == "zeroed":
                _Change(change.at, change.data[:kept] + bytes(whole - kept)).apply(image)
            elif kept:
                _Change(change.at, change.data[:kept]).apply(image)
        if style == "sectors":
            self._drop_sectors(image, rng)
        for change in self.pending:
            if change.sure:
                change.apply(image)
        return bytes(image)

    def _drop_sectors(self, image: bytearray, rng: Random) -> None:
        """Any of those that changed is as it was before."""
        start = min([change.at for change in self.pending], default=len(image))
        for at in range(start - start % SECTOR, len(image), SECTOR):
            if rng.random() < 0.5:
                end = min(at + SECTOR, len(image))
                image[at:end] = self.safe[at:end].ljust(end - at, b"\0")


@dataclass(slots=True)
class _Naming:
    """An operation on names that is not safe yet."""

    operation: Operation
    unsynced: set[str]
    """Folders that it touches and that were not synced since."""

    def apply(self, names: dict[str, int]) -> None:
        one = self.operation
        if one.name in {"create", "make_directory"}:
            names[one.path] = one.inode
            return
        if names.get(one.path) == one.inode:
            del names[one.path]
        if one.name == "rename":
            names[one.target] = one.inode


class Disk:
    """What is safe and what is not, after some operations."""

    def __init__(self, base: Image) -> None:
        """`base`: what was there before, all of it safe; its files have the inodes that `RecordingFiles` gives them."""
        self._names = {name: number for number, name in enumerate(base, 1)}
        self._files = {self._names[name]: _File(data) for name, data in base.items() if data is not None}
        self._folders = {self._names[name] for name, data in base.items() if data is None}
        self._pending: list[_Naming] = []

    def take(self, one: Operation) -> None:
        """This was done."""
        match one.name:
            case "write":
                self._files[one.inode].pending.append(_Change(one.at, one.data))
            case "truncate":
                self._files[one.inode].pending.append(_Change(one.at, None))
            case "sync":
                self._files[one.inode].sync()
            case "lost_sync":
                file = self._files[one.inode]
                file.doomed = len(file.pending)
            case "sync_directory":
                self._sync_names(one.path)
            case _:
                if one.name == "create":
                    self._files[one.inode] = _File()
                elif one.name == "make_directory":
                    self._folders.add(one.inode)
                touched = {str(PurePosixPath(name).parent) for name in (one.path, one.target) if name}
                self._pending.append(_Naming(one, touched))

    def _sync_names(self, folder: str) -> None:
        waiting: list[_Naming] = []
        for one in self._pending:
            one.unsynced.discard(folder)
            if one.unsynced:
                waiting.append(one)
            else:
                one.apply(self._names)
        self._pending = waiting

    def left(self, rng: Random, styles: Sequence[str], choice: str) -> Image:
        """One of the states that a power loss may leave; of each file one of these styles."""
        names = dict(self._names)
        for one in self._chosen(rng, choice):
            one.apply(names)
        folders = {name for name, inode in names.items() if inode in self._folders}
        image: dict[str, bytes | None] = {}
        for name in sorted(names):  # a folder comes before what is in it
            parent = str(PurePosixPath(name).parent)
            if parent != "." and parent not in image:
                continue
            image[name] = None if name in folders else self._files[names[name]].left(rng.choice(styles), rng)
        return image

    def _chosen(self, rng: Random, choice: str) -> list[_Naming]:
        match choice:
            case "none":
                return []
            case "all":
                return self._pending
            case "first":
                return self._pending[: rng.randint(0, len(self._pending))]
            case _:
                return [one for one in self._pending if rng.random() < 0.5]


def crash_states(
    base: Image, operations: Sequence[Operation], final: object, rng: Random, prefixes: Sequence[int]
) -> Iterator[tuple[Image, object]]:
    """A state for each of these prefixes (how many operations were done), by length; each with what was promised by
    then, and hardly one of them twice. `final`: what is promised after the last operation."""
    picks = Counter(prefixes)
    seen: set[int] = set()
    for disk, number, promised in _prefixes(base, operations, final):
        for _ in range(picks[number]):
            for _ in range(_TRIES):
                styles = STYLES if rng.random() < 0.5 else (rng.choice(STYLES),)
                image = disk.left(rng, styles, rng.choice(CHOICES))
                mark = hash((id(promised), *image.items()))
                if mark not in seen:
                    break
            seen.add(mark)
            yield image, promised


def every_crash(
    base: Image, operations: Sequence[Operation], final: object, rng: Random
) -> Iterator[tuple[Image, object]]:
    """At every prefix one state of each style with each choice of names, and none twice."""
    seen: set[int] = set()
    for disk, _, promised in _prefixes(base, operations, final):
        for style, choice in product(STYLES, CHOICES):
            image = disk.left(rng, (style,), choice)
            if (mark := hash((id(promised), *image.items()))) not in seen:
                seen.add(mark)
                yield image, promised


def _prefixes(base: Image, operations: Sequence[Operation], final: object) -> Iterator[tuple[Disk, int, object]]:
    """(disk, how many operations were done, what was promised by then)."""
    disk = Disk(base)
    for number, one in enumerate(operations):
        yield disk, number, one.promised
        disk.take(one)
    yield disk, len(operations), final
