"""What a start does with the open files of writers that died: keep the whole lines, set the torn tail aside, seal; and
copy the whole lines of a file whose sync has failed.

Every step may be cut short at any system call, and the next start ends with the same files. Needs the run's LOCK.
Knows lines and names. Does not know why the writer died.
"""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeAlias

from asyncgen.store.files import FileLayer
from asyncgen.store.layout import KINDS, OPEN, QUARANTINE, SEALED, is_suspect, open_shards, sealed_path
from asyncgen.store.scan import split_lines, whole_lines
from asyncgen.store.shard import set_apart

Lines: TypeAlias = Callable[[Path], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of one `.part`."""

    part: Path
    sealed: Path | None
    """None: it had no whole line."""
    lines: int
    torn: int
    """Bytes that went to quarantine."""


def recover(directory: Path, files: FileLayer, lines: Lines = whole_lines) -> list[Recovered]:
    """Seal every `.part` of a run directory; `lines` says how far one is whole. Raises OSError."""
    return [
        _rescue(directory, part, files) if is_suspect(part) else _recover_part(directory, part, files, lines)
        for kind in KINDS
        for part in open_shards(directory, kind)
    ]


def _recover_part(directory: Path, part: Path, files: FileLayer, whole: Lines) -> Recovered:
    good = lines = 0
    for line in whole(part):
        good += len(line)
        lines += 1
    torn = cut_tail(directory, part, good, files)
    if lines:
        sealed = _seal(part, files)
    else:
        sealed = None
        files.unlink(part)
    files.sync_directory(part.parent)
    return Recovered(part, sealed, lines, torn)


def cut_tail(directory: Path, path: Path, good: int, files: FileLayer) -> int:
    """Keep the first `good` bytes, durably; the rest goes to `quarantine/<name>.<offset>.torn` first. Bytes cut."""
    with path.open("rb") as file:
        file.seek(good)
        tail = file.read()
    if tail:
        quarantine = directory / QUARANTINE
        files.make_directories(quarantine)
        files.atomic_write(quarantine / f"{path.name}.{good}.torn", tail)
    descriptor = files.open(path)
    try:
        if tail:
            files.truncate(descriptor, good)
        _sync(path, descriptor, files)
    finally:
        files.close(descriptor)
    return len(tail)


def _sync(path: Path, descriptor: int, files: FileLayer) -> None:
    try:
        files.sync(descriptor)
    except OSError:
        if path.name.endswith(OPEN):
            set_apart(path, files)
        raise


def _seal(part: Path, files: FileLayer) -> Path:
    """Rename to `.jsonl`; a sealed file that has the name already is never replaced."""
    target = sealed_path(part)
    if target.exists() and filecmp.cmp(part, target, shallow=False):
        files.unlink(part)  # the two names of one file: a rename that was cut short
        return target
    stem = target.name.removesuffix(SEALED)
    for number in count(1):
        if not target.exists():
            break
        target = target.with_name(f"{stem}.{number}{SEALED}")
    files.rename(part, target)
    return target


def _rescue(directory: Path, suspect: Path, files: FileLayer) -> Recovered:
    """Copy the whole lines of a suspect part, wherever they stand, to where it would have been sealed; then the part
    itself goes to `quarantine/`. A sealed file of that name is the copy that a start before has made."""
    target = sealed_path(suspect)
    size = suspect.stat().st_size
    if not target.exists():
        files.sync_directory(target.parent)  # the old name must not come back beside a copy
        _copy(suspect, target, files)
    files.sync_directory(target.parent)
    copied = target.stat().st_size if target.exists() else 0
    lines = sum(1 for _ in whole_lines(target)) if copied else 0
    quarantine = directory / QUARANTINE
    files.make_directories(quarantine)
    files.rename(suspect, quarantine / suspect.name)
    files.sync_directory(quarantine)
    files.sync_directory(suspect.parent)
    return Recovered(suspect, target if copied else None, lines, size - copied)


def _copy(suspect: Path, target: Path, files: FileLayer) -> None:
    """Without any whole line there is no copy."""
    temporary = target.with_name(f".{target.name}.tmp")
    with suppress(FileNotFoundError):
        files.unlink(temporary)  # not taken over: it may be there because its own sync has failed
    descriptor = files.create(temporary)
    copied = False
    try:
        for line, problem in split_lines(suspect):
            if not problem:
                files.write_all(descriptor, line)
                copied = True
        files.sync(descriptor)
    except OSError:
        with suppress(OSError):
            files.unlink(temporary)  # or it keeps the room that the next start needs
        raise
    finally:
        files.close(descriptor)
    if copied:
        files.rename(temporary, target)
    else:
        files.unlink(temporary)
