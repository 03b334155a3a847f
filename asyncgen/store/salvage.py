"""Sealed shards with bad lines: the good ones go to a new shard, the bad ones to `quarantine/`.

Needs the run's LOCK. Every step may be cut short at any system call, and the next salvage ends with the same lines:
the bad shard is removed last, and good lines that a salvage before has copied are not copied again.
Knows lines and names. Does not know what made them bad.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asyncgen.store.copy import SealedShards
from asyncgen.store.files import FileLayer
from asyncgen.store.layout import KINDS, QUARANTINE, Kind, sealed_shards
from asyncgen.store.line import line_key
from asyncgen.store.scan import pack, split_lines


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What came of one shard."""

    shard: Path
    kind: Kind
    kept: int
    """Good lines."""
    bad: int
    quarantine: Path
    """Where the bad lines are, as they were."""


def salvage(directory: Path, writer: str, files: FileLayer) -> list[Salvaged]:
    """Every sealed shard of a run directory that has bad lines. `writer` is a new one's name. Raises OSError."""
    found: list[Salvaged] = []
    for kind in KINDS:
        shards = SealedShards(directory, kind, writer, files)
        try:
            for shard in sealed_shards(directory, kind):
                if any(problem for _, problem in split_lines(shard)):
                    found.append(_salvage(directory, shard, kind, shards, files))  # noqa: PERF401  # the next reads it
        finally:
            shards.abandon()
    return found


def _salvage(directory: Path, shard: Path, kind: Kind, shards: SealedShards, files: FileLayer) -> Salvaged:
    quarantine, bad = _quarantine(directory, shard, files)
    copied = _copied_before(directory, shard, kind)
    kept = 0
    for line, problem in split_lines(shard):
        if problem:
            continue
        kept += 1
        if _mark(line) not in copied:
            shards.add(line)
    shards.seal()
    files.unlink(shard)
    files.sync_directory(shard.parent)
    return Salvaged(shard, kind, kept, bad, quarantine)


def _quarantine(directory: Path, shard: Path, files: FileLayer) -> tuple[Path, int]:
    """Copy the bad lines, durably; where to, and how many."""
    folder = directory / QUARANTINE
    files.make_directories(folder)
    path = folder / f"{shard.name}.bad"
    bad = 0
    descriptor = files.open(path, create=True, empty=True)
    try:
        for line, problem in split_lines(shard):
            if problem:
                files.write_all(descriptor, line)
                bad += 1
        files.sync(descriptor)
    finally:
        files.close(descriptor)
    files.sync_directory(folder)
    return path, bad


def _copied_before(directory: Path, shard: Path, kind: Kind) -> set[tuple[int, bytes]]:
    """The good lines of the shard that stand, byte for byte, in another one: a salvage was cut short."""
    mine = {_mark(line) for line, problem in split_lines(shard) if not problem}
    others = [other for other in sealed_shards(directory, kind) if other != shard]
    return mine & set(_marks(others))


def _marks(shards: list[Path]) -> Iterator[tuple[int, bytes]]:
    for shard in shards:
        for line, problem in split_lines(shard):
            if not problem:
                yield _mark(line)


def _mark(line: bytes) -> tuple[int, bytes]:
    """What tells a line from every other: its key and its checksum."""
    return pack(*line_key(line)), line[-11:-3]
