"""Every trace of several paths once, with the place where it lies, so that it can be read again by itself.

Knows run directories, their partitions, and folders of trace_*.json. Never locks, never writes.
"""

from __future__ import annotations

import os
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

from asyncgen.core.errors import DataError
from asyncgen.export.trace_folder import read_trace_file, trace_files
from asyncgen.runs.reading import is_trace_folder
from asyncgen.store.index import DoneIndex
from asyncgen.store.layout import OPEN, Kind, catalog_path, present_names
from asyncgen.store.line import check_line, encode_line, line_key, parse_line
from asyncgen.store.read import StoredLine, every_line, run_directories, stored_lines
from asyncgen.store.scan import keyed_lines


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trace lies."""

    source: int
    """The number of the path that it came from, among those that were given."""
    path: Path
    """A shard, or a file of one trace."""
    offset: int
    length: int
    """In bytes, the LF counted; 0: the whole file is one trace of another shape."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A trace as its line, whatever shape it has in its file."""

    place: Place
    key: tuple[int, int]
    """(index, rollout)."""
    line: bytes
    """With `crc` and LF."""

    def trace(self) -> dict[str, Any]:
        """Parsed."""
        return parse_line(self.line)


class Seen:
    """Which ids have come, over several paths: of two traces with one id the first counts."""

    def __init__(self, *, by_job: bool) -> None:
        """`by_job`: ids of two jobs differ though index and rollout are the same."""
        self.by_job = by_job
        self.doubles = 0
        """Traces that came again."""
        self._keys: defaultdict[bytes, DoneIndex] = defaultdict(DoneIndex)

    def is_first(self, key: tuple[int, int], line: bytes) -> bool:
        """Note it; whether it is new. Without `by_job` the line is not looked at."""
        job = line[: line.index(b"/")] if self.by_job else b""
        new = self._keys[job].add(*key)
        self.doubles += not new
        return new


def first_placed(paths: Sequence[Path], seen: Seen) -> Iterator[Placed]:
    """The traces of all paths as `placed` gives them, each id once; `seen` counts the others."""
    return (one for one in placed(paths, doubles=True) if seen.is_first(one.key, one.line))


def placed(paths: Sequence[Path], kind: Kind = "traces", *, doubles: bool = False) -> Iterator[Placed]:
    """The traces (with `failed`: the failures without a trace) of run directories and of folders of trace_*.json, path
    by path as they lie, each (index, rollout) of a path once; with `doubles` as often as it is there. Raises
    InputError, DataError.
    """
    for source, path in enumerate(paths):
        if is_trace_folder(path):
            yield from of_folder(source, path) if kind == "traces" else ()
            continue
        directories = run_directories(path)
        yield from of_lines(source, _every_line(directories, kind) if doubles else stored_lines(directories, kind))


def _every_line(directories: Sequence[Path], kind: Kind) -> Iterator[StoredLine]:
    return chain.from_iterable(every_line(directory, kind) for directory in directories)


def of_lines(source: int, lines: Iterable[StoredLine]) -> Iterator[Placed]:
    """The same as traces of the path of this number."""
    for stored in lines:
        place = Place(source, stored.path, stored.offset, len(stored.line))
        yield Placed(place, line_key(stored.line), stored.line)


def of_folder(source: int, folder: Path) -> Iterator[Placed]:
    """The traces of a folder of trace_*.json, by row and rollout. Raises InputError, DataError."""
    for index, rollout, path in trace_files(folder):
        line = encode_line(read_trace_file(path, index, rollout))
        yield Placed(Place(source, path, 0, 0), (index, rollout), line)


class Places:
    """Lines by their places, read again; the shards that were read last stay open."""

    def __init__(self, keep: int = 64) -> None:
        """`keep`: open files at most."""
        self._keep = keep
        self._open: OrderedDict[Path, int] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Twice is harmless."""
        while self._open:
            os.close(self._open.popitem()[1])

    def line(self, place: Place) -> bytes:
        """With `crc` and LF. Raises DataError where it is gone or has changed."""
        if not place.length and place.path.suffix == ".json":
            ((index, rollout, path),) = trace_files(place.path.parent, place.path.name)
            return encode_line(read_trace_file(path, index, rollout))
        descriptor = self._descriptor(place.path)
        line = b"" if descriptor is None else _bytes_at(descriptor, place)
        if len(line) == place.length and check_line(line):
            return line
        if not place.path.name.endswith(OPEN):
            _refuse_damage(place.path)
            if place.path.exists():
                wrong = f"{catalog_path(place.path)} is not of the lines of its shard"
                raise DataError(f"{wrong}; remove it, and it is made again")
        gone = f"the {place.length} bytes from {place.offset} on are gone"
        raise DataError(f"{place.path}: {gone}; run the command again")

    def _descriptor(self, path: Path) -> int | None:
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        for name in present_names(path):
            with suppress(FileNotFoundError):
                descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
                break
        else:
            return None
        self._open[path] = descriptor
        if len(self._open) > self._keep:
            os.close(self._open.popitem(last=False)[1])
        return descriptor


def _refuse_damage(shard: Path) -> None:
    """Raises DataError at the first bad line of a sealed shard, if it has one."""
    with suppress(FileNotFoundError):
        deque(keyed_lines(shard), maxlen=0)


def _bytes_at(descriptor: int, place: Place) -> bytes:
    """Fewer where they are not there: a place that a catalog says may be any."""
    if place.offset >= 0 and 0 < place.length <= os.fstat(descriptor).st_size - place.offset:
        return os.pread(descriptor, place.length, place.offset)
    return b""
