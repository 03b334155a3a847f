"""What a start does with the open files of writers that died: keep the whole lines, set the torn tail aside, seal.

Every step may be cut short at any system call, and the next start ends with the same files. Needs the run's LOCK.
Knows lines and names. Does not know why the writer died.
"""

from __future__ import annotations

import filecmp
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from asyncgen.store.files import FileLayer
from asyncgen.store.layout import KINDS, QUARANTINE, SEALED, open_shards, sealed_path
from asyncgen.store.scan import whole_lines


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of one `.part`."""

    part: Path
    sealed: Path | None
    """None: it had no whole line."""
    lines: int
    torn: int
    """Bytes that went to quarantine."""


def recover(directory: Path, files: FileLayer) -> list[Recovered]:
    """Seal every `.part` of a run directory. Raises OSError."""
    return [_recover_part(directory, part, files) for kind in KINDS for part in open_shards(directory, kind)]


def _recover_part(directory: Path, part: Path, files: FileLayer) -> Recovered:
    good = lines = 0
    for line in whole_lines(part):
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
        files.sync(descriptor)
    finally:
        files.close(descriptor)
    return len(tail)


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
