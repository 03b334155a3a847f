"""Traces piece by piece: shards with their catalogs, and what has none; which of two lines with one id counts.

Makes the catalogs that are missing: beside their shards, or where a folder takes no file in a temporary one. Never
locks, and changes no shard. Does not know what is asked of the traces.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, compress, islice
from operator import not_
from pathlib import Path

from asyncgen.export.trace_folder import trace_files
from asyncgen.runs.places import Placed, Seen, of_folder, of_lines
from asyncgen.runs.reading import is_trace_folder
from asyncgen.store.catalog import Catalog, NoCatalog, make_catalog, put_catalog, read_catalog, read_catalogs
from asyncgen.store.files import DISK
from asyncgen.store.index import DoneIndex
from asyncgen.store.layout import OPEN, Kind
from asyncgen.store.line import line_key
from asyncgen.store.read import lines_of, run_directories, shards
from asyncgen.store.scan import pack

_FEW = 20_000
"""Keys that are compared without numpy: it takes longer to load."""


@dataclass(slots=True)
class Piece:
    """Traces that lie together: a shard, or a folder of trace_*.json."""

    source: int
    """The number of the path that it came from."""
    path: Path
    is_folder: bool = False
    catalog: Catalog | None = None
    keys: array[int] = field(default_factory=lambda: array("Q"))
    """Packed, one a trace, in order. More may come later, which do not count."""
    dropped: bytearray = field(default_factory=bytearray)
    """1 for each trace that does not count, since its id is another's; empty where all do."""

    def lines(self) -> Iterator[Placed]:
        """The traces that count, as they are stored. Raises DataError."""
        if self.dropped and 0 not in self.dropped:
            return iter(())
        found = of_folder(self.source, self.path) if self.is_folder else of_lines(self.source, lines_of(self.path))
        known = islice(found, len(self.keys))
        return compress(known, map(not_, self.dropped)) if self.dropped else known

    def drop(self, number: int) -> None:
        """The trace of this number does not count."""
        self.dropped = self.dropped or bytearray(len(self.keys))
        self.dropped[number] = 1


def pieces_of(paths: Sequence[Path], kind: Kind, folder: Path, seen: Seen | None = None) -> list[Piece]:
    """The traces (with `failed`: the failures) of run directories and of folders of trace_*.json, in the order in which
    they lie. Of a path each (index, rollout) counts once: the first trace, the last failure without a trace; with
    `seen`, of traces each id of all paths.

    `folder`: for catalogs that cannot stand beside their shards. Raises InputError, DataError.
    """
    pieces = _found(paths, kind)
    _catalogue(pieces, kind, folder)
    for piece in pieces:
        piece.keys = _keys(piece)
    if seen is not None:
        _drop_seen(pieces, seen)
        return pieces
    for source, path in enumerate(paths):
        shards_of = [piece for piece in pieces if piece.source == source and not piece.is_folder]
        if kind == "traces":
            _drop_seen(shards_of, Seen(by_job=False))
        elif any(piece.keys for piece in shards_of):
            _drop_done(shards_of, _done(path))
    return pieces


def _found(paths: Sequence[Path], kind: Kind) -> list[Piece]:
    pieces: list[Piece] = []
    for source, path in enumerate(paths):
        if is_trace_folder(path):
            pieces += [Piece(source, path, is_folder=True)] if kind == "traces" else []
        else:
            there = chain.from_iterable(shards(directory, kind) for directory in run_directories(path))
            pieces += [Piece(source, shard) for shard in there]
    return pieces


def _catalogue(pieces: Sequence[Piece], kind: Kind, folder: Path) -> None:
    sealed = [piece for piece in pieces if not (piece.is_folder or piece.path.name.endswith(OPEN))]
    known = [piece for piece in sealed if _is_text(piece.path)]
    found = read_catalogs([piece.path for piece in known])
    for number, piece in enumerate(known):
        piece.catalog = found.get(piece.path) or _made(piece.path, kind, folder / f"{kind}-{number:05d}.parquet")


def _is_text(path: Path) -> bool:
    """Whether DuckDB can be told of it."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True


def _made(shard: Path, kind: Kind, instead: Path) -> Catalog | None:
    """A new catalog, in the file `instead` where the shard's folder takes none; None where none can be had."""
    try:
        data = make_catalog(shard, kind)
        catalog = read_catalog(shard, io.BytesIO(data))
        with suppress(OSError):
            put_catalog(shard, data, DISK)
            return catalog
        instead.write_bytes(data)
    except (OSError, NoCatalog):
        return None
    return replace(catalog, path=instead) if catalog else None


def _keys(piece: Piece) -> array[int]:
    if piece.catalog:
        return piece.catalog.keys.packed
    if piece.is_folder:
        return array("Q", [pack(index, rollout) for index, rollout, _ in trace_files(piece.path)])
    return _scanned(piece.path)


def _scanned(shard: Path) -> array[int]:
    return array("Q", (pack(*line_key(stored.line)) for stored in lines_of(shard)))


def _drop_seen(pieces: Sequence[Piece], seen: Seen) -> None:
    """Those that came before."""
    if _are_different([piece.keys for piece in pieces]):
        return
    for piece in pieces:
        lines = (one.line for one in piece.lines()) if seen.by_job else [b""] * len(piece.keys)
        for number, (packed, line) in enumerate(zip(piece.keys, lines, strict=False)):
            if not seen.is_first((packed >> 16, packed & 0xFFFF), line):
                piece.drop(number)


def _are_different(keys: Sequence[array[int]]) -> bool:
    total = sum(map(len, keys))
    return total == (len(set(chain.from_iterable(keys))) if total <= _FEW else len(DoneIndex(keys)))


def _drop_done(pieces: Sequence[Piece], done: DoneIndex) -> None:
    """Those that have a trace, or another failure later."""
    last = {packed: (at, number) for at, piece in enumerate(pieces) for number, packed in enumerate(piece.keys)}
    for at, piece in enumerate(pieces):
        for number, packed in enumerate(piece.keys):
            if last[packed] != (at, number) or (packed >> 16, packed & 0xFFFF) in done:
                piece.drop(number)


def _done(path: Path) -> DoneIndex:
    """The traces of a run."""
    there = [shard for directory in run_directories(path) for shard in shards(directory)]
    found = read_catalogs(there, keys_only=True)
    return DoneIndex(found[shard].keys.packed if shard in found else _scanned(shard) for shard in there)
