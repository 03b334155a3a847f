"""A file layer that ends its own process with SIGKILL at a named point: before, after or half-way through the nth call
of an operation on a kind of file.

Knows the names of the files of a run directory. Does not know what is written.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from asyncgen.store.files import FileLayer

When = Literal["before", "half", "after"]


@dataclass(frozen=True, slots=True)
class Point:
    """Where a process dies."""

    kind: str
    """Of the file, as `kind_of` says."""
    operation: str
    """A method of the file layer."""
    when: When
    """`half`: of a write's bytes, half are written."""
    most: int = 1
    """So often at least a start of a small job comes here."""
    past: tuple[tuple[str, int], ...] = ()
    """The points, each with its n, at which the starts before have died: what this one needs to come that far."""


TORN: Final = (("write-half", 2),)
"""A shard with a whole line and half of one."""
BARE: Final = (("shard-created", 1),)
"""A shard without a whole line."""
BEGUN: Final = (("journal-append", 5),)
"""Turns of unfinished episodes."""

POINTS: Final[Mapping[str, Point]] = {
    "lock-taken": Point("LOCK", "truncate", "before", most=2),
    "lock-half": Point("LOCK", "write", "half"),
    "lock-signed": Point("LOCK", "write", "after"),
    "run-half": Point("run.json", "write", "half"),
    "run-synced": Point("run.json", "sync", "after"),
    "run-renamed": Point("run.json", "rename", "after"),
    "card-half": Point("README.md", "write", "half"),
    "events-half": Point("events", "write", "half", most=2),
    "events-write": Point("events", "write", "after", most=2),
    "shard-created": Point("traces", "create", "after"),
    "write-before": Point("traces", "write", "before", most=2),
    "write-half": Point("traces", "write", "half", most=2),
    "write": Point("traces", "write", "after", most=2),
    "failed-half": Point("failed", "write", "half"),
    "failed-write": Point("failed", "write", "after"),
    "commit": Point("traces", "sync", "before"),
    "committed": Point("traces", "sync", "after"),
    "seal-before-rename": Point("traces", "rename", "before"),
    "seal-after-rename": Point("traces", "rename", "after"),
    "failed-sealed": Point("failed", "rename", "after"),
    "recovery-quarantine-half": Point("quarantine", "write", "half", past=TORN),
    "recovery-quarantine": Point("quarantine", "rename", "after", past=TORN),
    "recovery-truncate": Point("traces", "truncate", "before", past=TORN),
    "recovery-truncated": Point("traces", "truncate", "after", past=TORN),
    "recovery-rename": Point("traces", "rename", "before", most=2, past=TORN),
    "recovery-renamed": Point("traces", "rename", "after", most=2, past=TORN),
    "recovery-unlink": Point("traces", "unlink", "before", past=BARE),
    "recovery-unlinked": Point("traces", "unlink", "after", past=BARE),
    "journal-created": Point("journal", "create", "after"),
    "journal-half": Point("journal", "write", "half", most=3),
    "journal-append": Point("journal", "write", "after", most=3),
    "journal-commit": Point("journal", "sync", "before", past=BEGUN),
    "journal-adopt-half": Point("journal", "write", "half", most=3, past=BEGUN),
    "journal-adopt": Point("journal", "write", "after", most=3, past=BEGUN),
    "journal-adopted": Point("journal", "sync", "after", past=BEGUN),
    "journal-unlink": Point("journal", "unlink", "before", most=2, past=BEGUN),
    "journal-unlinked": Point("journal", "unlink", "after", most=2, past=BEGUN),
    "catalog-half": Point("catalog", "write", "half", most=2),
    "catalog-rename": Point("catalog", "rename", "before", most=2),
    "catalog-renamed": Point("catalog", "rename", "after", most=2),
}

_FOLDERS = ("traces", "failed", "journal", "quarantine")


def kind_of(path: Path) -> str:
    """What a file of a run directory is, also under its temporary name; for a folder, its own."""
    name = path.name.removeprefix(".").removesuffix(".tmp")
    if name.endswith(".catalog.parquet"):
        return "catalog"
    if name in _FOLDERS:
        return name
    if path.parent.name in _FOLDERS:
        return path.parent.name
    return name.removesuffix(".jsonl")


def _half(data: memoryview) -> int:
    """Bytes of it; never whole lines, though the half of two lines of one length is one."""
    return max(1, len(data) // 2 - 3)


class KillingFiles(FileLayer):
    """The real disk, up to the `nth` call (from 1) that the point names."""

    def __init__(self, point: Point, nth: int) -> None:
        self._point = point
        self._left = nth
        self._kinds: dict[int, str] = {}

    def _is_it(self, operation: str, kind: str) -> bool:
        if (operation, kind) != (self._point.operation, self._point.kind):
            return False
        self._left -= 1
        return self._left == 0

    def _call(self, operation: str, kind: str, call: Callable[[], int | None]) -> int:
        dies = self._is_it(operation, kind)
        if dies and self._point.when == "before":
            _die()
        found = call()
        if dies:
            _die()
        return found or 0

    def create(self, path: Path) -> int:
        opened = self._call("create", kind_of(path), lambda: FileLayer.create(self, path))
        self._kinds[opened] = kind_of(path)
        return opened

    def open(self, path: Path, *, create: bool = False, empty: bool = False) -> int:
        opened = super().open(path, create=create, empty=empty)
        self._kinds[opened] = kind_of(path)
        return opened

    def write(self, descriptor: int, data: memoryview) -> int:
        dies = self._is_it("write", self._kinds[descriptor])
        if dies and self._point.when != "before":
            super().write(descriptor, data[: _half(data)] if self._point.when == "half" else data)
        if dies:
            _die()
        return super().write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        self._call("truncate", self._kinds[descriptor], lambda: FileLayer.truncate(self, descriptor, size))

    def sync(self, descriptor: int) -> None:
        self._call("sync", self._kinds[descriptor], lambda: FileLayer.sync(self, descriptor))

    def rename(self, old: Path, new: Path) -> None:
        self._call("rename", kind_of(new), lambda: FileLayer.rename(self, old, new))

    def unlink(self, path: Path) -> None:
        self._call("unlink", kind_of(path), lambda: FileLayer.unlink(self, path))

    def sync_directory(self, path: Path) -> None:
        self._call("sync_directory", kind_of(path), lambda: FileLayer.sync_directory(self, path))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
