"""Every trace of several paths once, with the place where it lies, so that it can be read again by itself.

Knows run directories, their partitions, and folders of trace_*.json. Never locks, never writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncgen.core.errors import DataError
from asyncgen.export.trace_folder import read_trace_file, trace_files
from asyncgen.runs.reading import is_trace_folder
from asyncgen.store.layout import Kind, sealed_path
from asyncgen.store.line import encode_line, line_key, parse_line
from asyncgen.store.read import run_directories, stored_lines


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


def placed(paths: Sequence[Path], kind: Kind = "traces") -> Iterator[Placed]:
    """The traces (with `failed`: the failures without a trace) of run directories and of folders of trace_*.json, path
    by path as they lie, each (index, rollout) of a path once. Raises InputError, DataError.
    """
    for source, path in enumerate(paths):
        if is_trace_folder(path):
            yield from _of_folder(source, path) if kind == "traces" else ()
            continue
        for stored in stored_lines(run_directories(path), kind):
            place = Place(source, stored.path, stored.offset, len(stored.line))
            yield Placed(place, line_key(stored.line), stored.line)


def _of_folder(source: int, folder: Path) -> Iterator[Placed]:
    for index, rollout, path in trace_files(folder):
        line = encode_line(read_trace_file(path, index, rollout))
        yield Placed(Place(source, path, 0, 0), (index, rollout), line)


def line_at(place: Place) -> bytes:
    """The line of a place again. Raises DataError where it is gone."""
    if not place.length:
        ((index, rollout, path),) = trace_files(place.path.parent, place.path.name)
        return encode_line(read_trace_file(path, index, rollout))
    for path in (place.path, sealed_path(place.path)):
        try:
            with path.open("rb") as shard:
                shard.seek(place.offset)
                line = shard.read(place.length)
        except FileNotFoundError:
            continue
        if len(line) == place.length:
            return line
    raise DataError(f"{place.path}: the {place.length} bytes from {place.offset} on are gone; run the command again")
