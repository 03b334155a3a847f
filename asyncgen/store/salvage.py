"""Sealed shards with bad lines, or with traces whose id stands before: those lines go to `quarantine/`, the others to a
new shard.

Needs the run's LOCK. Every step may be cut short at any system call, and the next salvage ends with the same lines:
the old shard is removed last. Bad lines come first, and good lines that a salvage before has copied are not copied
again; then, with no such pair left, what stands twice. Knows lines and names. Does not know what made them so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asyncgen.store.copy import SealedShards
from asyncgen.store.files import FileLayer
from asyncgen.store.index import DoneIndex
from asyncgen.store.layout import KINDS, QUARANTINE, Kind, catalog_path, sealed_shards
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
    """Lines that are set aside."""
    quarantine: Path
    """Where they are, as they were."""


def salvage(directory: Path, writer: str, files: FileLayer) -> list[Salvaged]:
    """Every sealed shard of a run directory that has such lines. `writer` is a new one's name. Raises OSError."""
    found: list[Salvaged] = []
    shards = {kind: SealedShards(directory, kind, writer, files) for kind in KINDS}
    try:
        for kind in KINDS:
            for shard in sealed_shards(directory, kind):
                if bad := _bad(shard):
                    copied = _copied_before(directory, shard, kind)
                    aside = _Aside(shard, kind, bad, ".bad", copied)
                    found.append(_set_aside(directory, aside, shards[kind], files))
        for shard, doubles in _doubles(directory).items():
            aside = _Aside(shard, "traces", doubles, ".double", set())
            found.append(_set_aside(directory, aside, shards["traces"], files))
    finally:
        for one in shards.values():
            one.abandon()
    return found


@dataclass(frozen=True, slots=True)
class _Aside:
    """What is to be done with a shard."""

    shard: Path
    kind: Kind
    lines: set[int]
    """The numbers of those that go to quarantine, from 0."""
    suffix: str
    copied: set[tuple[int, bytes]]
    """The marks of lines that are copied already."""


def _bad(shard: Path) -> set[int]:
    return {number for number, (_, problem) in enumerate(split_lines(shard)) if problem}


def _doubles(directory: Path) -> dict[Path, set[int]]:
    """The traces whose (index, rollout) stands before, by shard: the first line counts."""
    seen = DoneIndex()
    found: dict[Path, set[int]] = {}
    for shard in sealed_shards(directory, "traces"):
        for number, (line, _) in enumerate(split_lines(shard)):
            if not seen.add(*line_key(line)):
                found.setdefault(shard, set()).add(number)
    return found


def _set_aside(directory: Path, aside: _Aside, shards: SealedShards, files: FileLayer) -> Salvaged:
    quarantine = _quarantine(directory, aside, files)
    kept = 0
    for number, (line, _) in enumerate(split_lines(aside.shard)):
        if number in aside.lines:
            continue
        kept += 1
        if not aside.copied or _mark(line) not in aside.copied:
            shards.add(line)
    shards.seal()
    files.unlink(aside.shard)
    with suppress(FileNotFoundError):
        files.unlink(catalog_path(aside.shard))
    files.sync_directory(aside.shard.parent)
    return Salvaged(aside.shard, aside.kind, kept, len(aside.lines), quarantine)


def _quarantine(directory: Path, aside: _Aside, files: FileLayer) -> Path:
    """Copy the lines, durably; where to."""
    folder = directory / QUARANTINE
    files.make_directories(folder)
    path = folder / f"{aside.shard.name}{aside.suffix}"
    descriptor = files.open(path, create=True, empty=True)
    try:
        for number, (line, _) in enumerate(split_lines(aside.shard)):
            if number in aside.lines:
                files.write_all(descriptor, line)
        files.sync(descriptor)
    finally:
        files.close(descriptor)
    files.sync_directory(folder)
    return path


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
