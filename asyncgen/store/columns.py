"""The scalars of stored lines as columns: what a catalog says of each line of its shard.

Knows the parts of a trace that have names of their own, and which column is too long. Does not know files.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from asyncgen.core.types import Json
from asyncgen.store.cells import BIGINT, BOOLEAN, NULL, VARCHAR, cells_of, kind_of, text_of
from asyncgen.store.layout import Kind
from asyncgen.store.line import parse_line

if TYPE_CHECKING:
    import pyarrow as pa

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
INDEX, ATTEMPT, OFFSET, LENGTH = PLACE = ("index", "attempt", "offset", "length")
"""Of each line: the key that its id has, which `sample_index` and `rollout` only repeat, and its bytes in the shard."""
LONG = 32 << 10
"""Characters of a text, or members of a list, in `sample_data` whose column is left out."""
MOST = 1000
"""Columns of a shard: with more, it has no catalog."""


def top_of(kind: Kind) -> dict[str, str]:
    """What every line of a shard has besides its parts, each stored under its own name, and its SQL type."""
    top = {name: TOP[name] for name in TOP if name != "final_response"}
    return {**top, **FAILURE} if kind == "failed" else top


class NoCatalog(Exception):
    """A shard of which no catalog can be made, though it is sound: it is always scanned."""


@dataclass(frozen=True, slots=True)
class Column:
    """A scalar of a part."""

    name: str
    stored: str
    """Its name in the file; `""` where it has none, being `long` or of kind NULL."""
    kind: str
    """Its SQL type; NULL: no trace has a value."""
    long: bool
    """Left out: there is a text of over LONG characters."""


class Columns:
    """Add lines one by one; then a table of them. Memory: the scalars of one shard."""

    def __init__(self, kind: Kind) -> None:
        self.top = top_of(kind)
        self._top = {name: _Growing() for name in self.top}
        self._stop = _Growing()
        self._places: dict[str, array[int]] = {name: array("q") for name in PLACE}
        self._parts: dict[str, dict[str, _Growing]] = {prefix: {} for prefix in PARTS}
        self._offset = 0
        self._rows = 0

    def add(self, key: tuple[int, int], line: bytes) -> None:
        """The next line. Raises DataError where it is no JSON object, NoCatalog."""
        trace = parse_line(line)
        for name, value in zip(PLACE, (*key, self._offset, len(line)), strict=True):
            self._places[name].append(value)
        for name, column in self._top.items():
            column.add(self._rows, trace.get(name))
        for prefix, part in PARTS.items():
            columns, limited = self._parts[prefix], prefix == "data"
            for name, value in _mapping(trace.get(part)).items():
                if name not in columns:
                    columns[name] = _Growing()
                    self._refuse_too_many()
                columns[name].add(self._rows, value, limited=limited)
        self._stop.add(self._rows, _mapping(trace.get("metadata")).get("stop"))
        self._offset += len(line)
        self._rows += 1

    def _refuse_too_many(self) -> None:
        if sum(map(len, self._parts.values())) > MOST:
            raise NoCatalog(f"its traces have over {MOST} different names, and a catalog has no more columns")

    def parts(self, pause: Callable[[], None]) -> Mapping[str, Sequence[Column]]:
        """The columns of each part, in order of appearance, when all lines are there. `pause` is called after each."""
        taken: set[str] = set()
        found: dict[str, list[Column]] = {prefix: [] for prefix in PARTS}
        for prefix, columns in self._parts.items():
            for name, one in columns.items():
                kind = VARCHAR if one.long else kind_of(one.values)
                stored = _stored(f"{prefix}.{name}", taken) if kind != NULL and not one.long else ""
                found[prefix].append(Column(name, stored, kind, one.long))
                pause()
        return found

    def table(self, parts: Mapping[str, Sequence[Column]], pause: Callable[[], None]) -> pa.Table:
        """A row a line, of these columns. `pause` is called after each; what is in it is forgotten here."""
        import pyarrow as pa

        names: list[str] = []
        arrays: list[pa.Array] = []
        for name, values, kind in self._columns(parts):
            names.append(name)
            arrays.append(_array(values, kind))
            pause()
        return pa.Table.from_arrays(arrays, names)

    def _columns(self, parts: Mapping[str, Sequence[Column]]) -> Iterator[tuple[str, Sequence[Json], str]]:
        """Name in the file, values, kind."""
        yield "id", self._top["id"].taken(self._rows), VARCHAR
        for name, places in self._places.items():
            yield name, places, BIGINT
        yield "stop", self._stop.taken(self._rows), VARCHAR
        for name, kind in self.top.items():
            if name != "id":
                yield name, self._top[name].taken(self._rows), kind
        for prefix, columns in parts.items():
            for column in columns:
                if column.stored:
                    yield column.stored, self._parts[prefix][column.name].taken(self._rows), column.kind


@dataclass(slots=True)
class _Growing:
    """The values of a column so far, one a row; rows at its end may be wanting."""

    values: list[Json] | array[float] = field(default_factory=lambda: array("d"))
    """An array as long as all are floats: a quarter of the memory."""
    long: bool = False

    def add(self, row: int, value: Json, *, limited: bool = False) -> None:
        if self.long:
            return
        kind = type(value)
        if kind in {str, list, dict}:
            if limited and len(value) > LONG:
                self.long, self.values = True, []
                return
            if kind is not str:
                value = text_of(value)  # a tenth of its size as objects
        values = self.values
        if isinstance(values, array):
            if kind is float and len(values) == row:
                values.append(value)
                return
            values = self.values = values.tolist()
        if len(values) < row:
            values += [None] * (row - len(values))
        elif row and kind is str and values[-1] == value:
            value = values[-1]  # most often all rows have one text, and then one object
        values.append(value)

    def taken(self, rows: int) -> Sequence[Json]:
        """The values of so many rows; they are forgotten here."""
        values, self.values = self.values, []
        return values if len(values) == rows else [*values, *([None] * (rows - len(values)))]


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _stored(name: str, taken: set[str]) -> str:
    """A name that no other column has, also where case counts for nothing, as in SQL."""
    plain = stored = name.replace("\0", "")
    number = 1
    while stored.lower() in taken:
        number += 1
        stored = f"{plain}~{number}"
    taken.add(stored.lower())
    return stored


def _array(values: Sequence[Json], kind: str) -> pa.Array:
    """From buffers of ours: `pyarrow.array` of a list would load pandas, half a second."""
    import pyarrow as pa

    cells = cells_of(values, kind)
    valid = _bits([cell is not None for cell in cells]) if None in cells else None
    if kind == VARCHAR:
        texts = [b"" if cell is None else cell.encode() for cell in cells]
        return _from_buffers(pa.large_string(), len(cells), valid, _offsets(texts), b"".join(texts))
    if kind == BOOLEAN:
        return _from_buffers(pa.bool_(), len(cells), valid, _bits([cell is True for cell in cells]))
    code, kind_of_numbers = ("q", pa.int64()) if kind == BIGINT else ("d", pa.float64())
    return _from_buffers(
        kind_of_numbers, len(cells), valid, array(code, [0 if cell is None else cell for cell in cells])
    )


def _from_buffers(kind: pa.DataType, length: int, *buffers: Any) -> pa.Array:
    """`buffers` as Arrow lays them out, a None for no nulls."""
    import pyarrow as pa

    return pa.Array.from_buffers(kind, length, [None if one is None else pa.py_buffer(one) for one in buffers])


def _offsets(texts: Sequence[bytes]) -> array[int]:
    return array("q", accumulate(map(len, texts), initial=0))


def _bits(flags: Sequence[bool]) -> bytes:
    """A bit each, the first one lowest."""
    digits = "".join(map("01".__getitem__, reversed(flags)))
    return int(digits or "0", 2).to_bytes((len(flags) + 7) // 8, "little")
