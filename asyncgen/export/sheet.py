"""The scalars of traces as columns, each trace with the place where it lies: catalogs as they are, and files of JSON
lines for the traces that have none.

Knows the type of a column that traces do not agree about. Memory is one batch. Does not know SQL, nor where traces come
from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from asyncgen.core.types import Json
from asyncgen.export.rows import write_rows
from asyncgen.store.cells import DOUBLE, NULL, VARCHAR, both, cells_of, kind_of
from asyncgen.store.columns import FAILURE, LONG, PARTS, TOP, Column

if TYPE_CHECKING:
    from asyncgen.store.catalog import Catalog

OWN = "__"
"""How every column of the files begins: no name of a trace does that in SQL."""
ROW, SOURCE, FILE, OFFSET, LENGTH, INDEX, ROLLOUT = PLACE = tuple(
    f"{OWN}{name}" for name in ("row", "source", "file", "offset", "length", "index", "attempt")
)
"""The number of the trace in the order of reading, its place, its key."""
BATCH = 5000
_BATCH_BYTES = 64 << 20


class Spot(NamedTuple):
    """Where a trace lies: the number of the path that it came from, its file, its bytes there."""

    source: int = 0
    path: Path = Path()
    offset: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class Catalogued:
    """The rows of a catalog, as a piece of a sheet."""

    catalog: Catalog
    source: int
    """The number of the path that it came from."""
    file: int
    """The number of its shard among the sheet's paths."""
    before: int
    """Rows of the sheet before its first."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Pieces that hold a row a trace."""

    folder: Path
    pieces: Sequence[str | Catalogued]
    """In the order of the rows: files of JSON lines in the folder, and catalogs. None where there is no row."""
    rows: int
    top: Mapping[str, str]
    """The kinds of the columns of all traces, `__id` and so on in the files."""
    parts: Mapping[str, Sequence[Column]]
    """In order of appearance, by prefix."""
    paths: Sequence[Path]
    """The files that a place names by number."""
    longest: int = 0
    """Bytes of the longest line."""


def takes(sql: str, name: str) -> bool:
    """Whether a text of SQL may mean the column; `*` names all."""
    return "*" in sql.replace("(*)", "") or name.lower() in sql.lower() or '"' in name


def has_all(catalog: Catalog, sql: str) -> bool:
    """Whether a catalog left out nothing that the SQL may mean."""
    left_out = [one.name for columns in catalog.parts.values() for one in columns if one.long]
    return not any(takes(sql, name) for name in ("final_response", *left_out))


class SheetWriter:
    """Add traces one by one, or a catalog of them; then the sheet of all."""

    def __init__(
        self, folder: Path, *, sql: str = "", failed: bool = False, name: str = "sheet", batch: int = BATCH
    ) -> None:
        """`sql`: what will be asked, for which long texts may be needed; `failed`: failures, with a reason each;
        `name`: how the files begin; `batch`: traces a file, at most.
        """
        self._folder = folder
        self._sql = sql
        self._name = name
        self._most = batch
        self._top = {one: kind for one, kind in TOP.items() if one != "final_response" or takes(sql, one)}
        self._top |= FAILURE if failed else {}
        self._columns: dict[str, dict[str, _Growing]] = {prefix: {} for prefix in PARTS}
        self._pieces: list[_File | Catalogued] = []
        self._paths: dict[Path, int] = {}
        self._rows = 0
        self._longest = 0
        self._batch = _Batch(self._top)

    def add(self, spot: Spot, key: tuple[int, int], trace: Mapping[str, Json]) -> None:
        """Another row."""
        file = self._paths.setdefault(spot.path, len(self._paths))
        place = (self._rows, spot.source, file, spot.offset, spot.length, *key)
        self._batch.add(place, trace, spot.length)
        self._rows += 1
        if len(self._batch.places) >= self._most or self._batch.size >= _BATCH_BYTES:
            self._flush()

    def add_catalog(self, source: int, catalog: Catalog) -> None:
        """The rows of its shard, all of them."""
        self._flush()
        file = self._paths.setdefault(catalog.shard, len(self._paths))
        for prefix, columns in catalog.parts.items():
            for one in columns:
                column = self._column(prefix, one.name)
                column.kind = both(column.kind, one.kind)
                column.long = column.long or one.long
        if catalog.rows:
            self._pieces.append(Catalogued(catalog, source, file, self._rows))
        self._rows += catalog.rows

    def misread(self) -> set[Path]:
        """Shards whose catalogs will not do, since numbers in them turned out to be texts by the traces of others: SQL
        writes a float otherwise than `text_of`."""
        self._flush()
        texts = {
            (prefix, name)
            for prefix, columns in self._columns.items()
            for name, column in columns.items()
            if column.kind == VARCHAR and not column.long
        }
        return {
            piece.catalog.shard
            for piece in self._pieces
            if isinstance(piece, Catalogued)
            for prefix, columns in piece.catalog.parts.items()
            if any(one.kind == DOUBLE and (prefix, one.name) in texts for one in columns)
        }

    def finish(self) -> Sheet:
        """The files are whole, and of one type a column."""
        self._flush()
        for piece in self._pieces:
            if isinstance(piece, _File):
                self._widen(self._folder / piece.name, piece.kinds)
        return Sheet(
            folder=self._folder,
            pieces=[piece.name if isinstance(piece, _File) else piece for piece in self._pieces],
            rows=self._rows,
            top=self._top,
            parts={
                prefix: [
                    Column(name, one.stored, one.kind, long=False) for name, one in columns.items() if not one.long
                ]
                for prefix, columns in self._columns.items()
            },
            paths=list(self._paths),
            longest=self._longest,
        )

    def _flush(self) -> None:
        batch, self._batch = self._batch, _Batch(self._top)
        if not batch.places:
            return
        places = zip(*batch.places, strict=True)
        columns: dict[str, Sequence[Json]] = dict(zip(PLACE, places, strict=True))
        columns |= {OWN + name: cells_of(batch.top[name], kind) for name, kind in self._top.items()}
        kinds: dict[str, str] = {}
        for prefix, rows in batch.parts.items():
            for name in dict.fromkeys(chain.from_iterable(rows)):
                column = self._column(prefix, name)
                values = [row.get(name) for row in rows]
                kind = kind_of(values)
                column.kind = both(column.kind, kind)
                column.long = column.long or (prefix == "data" and _is_long(values) and not takes(self._sql, name))
                if kind != NULL and not column.long:
                    kinds[column.stored] = kind
                    columns[column.stored] = cells_of(values, kind)
        file = _File(f"{self._name}-{len(self._pieces):05d}.jsonl", kinds)
        self._write(columns, self._folder / file.name)
        self._pieces.append(file)

    def _column(self, prefix: str, name: str) -> _Growing:
        columns = self._columns[prefix]
        if name not in columns:
            columns[name] = _Growing(f"{OWN}{prefix}_{len(columns)}")
        return columns[name]

    def _write(self, columns: Mapping[str, Sequence[Json]], path: Path) -> None:
        self._longest = max(self._longest, write_rows(columns, path))

    def _widen(self, path: Path, kinds: Mapping[str, str]) -> None:
        """Write a file again whose columns turned out to be texts by later traces. (A whole number is read as a float
        as it is.)"""
        every = {one.stored: one.kind for columns in self._columns.values() for one in columns.values()}
        texts = [name for name, kind in kinds.items() if kind != every[name] == VARCHAR]
        if not texts:
            return
        rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        self._write(columns | {name: cells_of(columns[name], VARCHAR) for name in texts}, path)


@dataclass(frozen=True, slots=True)
class _File:
    """A file of JSON lines."""

    name: str
    kinds: Mapping[str, str]
    """Of its columns of parts, by stored name."""


@dataclass(slots=True)
class _Growing:
    """What is known of a column so far."""

    stored: str
    kind: str = NULL
    long: bool = False
    """Left out."""


@dataclass(slots=True)
class _Batch:
    """Rows for the next file; of a trace only what may become a column."""

    names: Iterable[str]
    places: list[tuple[int, ...]] = field(default_factory=list)
    size: int = 0
    top: dict[str, list[Json]] = field(init=False)
    parts: dict[str, list[Mapping[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        self.top = {name: [] for name in self.names}
        self.parts = {prefix: [] for prefix in PARTS}

    def add(self, place: tuple[int, ...], trace: Mapping[str, Json], size: int) -> None:
        self.places.append(place)
        self.size += size
        for name, values in self.top.items():
            values.append(trace.get(name))
        for prefix, part in PARTS.items():
            self.parts[prefix].append(trace[part])


def _is_long(values: Iterable[Json]) -> bool:
    return any(type(value) in {str, list, dict} and len(value) > LONG for value in values)
