"""The scalars of traces as columns in files of JSON lines, each trace with the place where it lies.

Knows the parts of a trace that have names of their own, and the type of a column that traces do not agree about. Memory
is one batch. Does not know SQL, nor where traces come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from asyncgen.core.types import Json
from asyncgen.export.cells import BIGINT, NULL, VARCHAR, both, cells_of, kind_of, write_rows

PARTS: Mapping[str, str] = {"reward": "reward_score", "meta": "metadata", "data": "sample_data"}
"""By the prefix that names them, first the one whose name counts where two have it."""
TOP: Mapping[str, str] = {
    "id": VARCHAR,
    "sample_index": BIGINT,
    "rollout": BIGINT,
    "answer": VARCHAR,
    "final_response": VARCHAR,
    "config_id": VARCHAR,
    "dataset_path": VARCHAR,
}
FAILURE: Mapping[str, str] = {"reason": VARCHAR, "error": VARCHAR}
"""What a failure has besides."""
OWN = "__"
"""How every column of the files begins: no name of a trace does that in SQL."""
ROW, SOURCE, FILE, OFFSET, LENGTH, INDEX, ROLLOUT = PLACE = tuple(
    f"{OWN}{name}" for name in ("row", "source", "file", "offset", "length", "index", "attempt")
)
"""The number of the trace in the order of reading, its place, its key."""
BATCH = 5000
_BATCH_BYTES = 64 << 20
LONG = 32 << 10
"""Characters of a text whose column is left out, unless the SQL names it."""


class Spot(NamedTuple):
    """Where a trace lies: the number of the path that it came from, its file, its bytes there."""

    source: int = 0
    path: Path = Path()
    offset: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """A scalar of a part."""

    name: str
    stored: str
    """Its name in the files."""
    kind: str
    """Its SQL type; NULL: no trace has a value, and no file has it."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Files that hold a row a trace, as JSON lines."""

    folder: Path
    files: Sequence[str]
    """None where there is no row."""
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


class SheetWriter:
    """Add traces one by one; then the sheet of them."""

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
        self._files: list[dict[str, str]] = []
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

    def finish(self) -> Sheet:
        """The files are whole, and of one type a column."""
        if self._batch.places:
            self._flush()
        for number, kinds in enumerate(self._files):
            self._widen(self._folder / self._file(number), kinds)
        return Sheet(
            folder=self._folder,
            files=[self._file(number) for number in range(len(self._files))],
            rows=self._rows,
            top=self._top,
            parts={
                prefix: [Column(name, one.stored, one.kind) for name, one in columns.items() if not one.long]
                for prefix, columns in self._columns.items()
            },
            paths=list(self._paths),
            longest=self._longest,
        )

    def _file(self, number: int) -> str:
        return f"{self._name}-{number:05d}.jsonl"

    def _flush(self) -> None:
        batch, self._batch = self._batch, _Batch(self._top)
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
        self._write(columns, self._folder / self._file(len(self._files)))
        self._files.append(kinds)

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
