"""Parquet files as one run of rows: the files in the order given, row numbers over all of them.

Knows row groups. A row can only be had by decoding its row group (of the columns asked for), so the groups used last
are kept: CACHE_BYTES of them, or one group where that is larger.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from asyncgen.source.arrow import count_of, row_of, value_of

CACHE_BYTES = 256 * 2**20

GroupKey: TypeAlias = tuple[int, int, tuple[str, ...]]
"""File, row group in it, columns."""


class GroupCache:
    """The decoded row groups used last. One lock over decoding too: two threads never decode the same group."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[GroupKey, pa.Table] = OrderedDict()
        self._bytes = 0

    def get(self, key: GroupKey, decode: Callable[[GroupKey], pa.Table]) -> pa.Table:
        """The group, decoded if it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            table = decode(key)
            self._kept[key] = table
            self._bytes += table.nbytes
            self._shrink(key)
            return table

    def _shrink(self, latest: GroupKey) -> None:
        """Oldest first; but data and images of one group stay together, or each would push out the other."""
        while self._bytes > self._limit:
            oldest = next(iter(self._kept))
            if oldest[:2] == latest[:2]:
                return
            self._bytes -= self._kept.pop(oldest).nbytes


class ParquetCells:
    """Rows of parquet files. Raises OSError and pa.ArrowException for a file that is none."""

    def __init__(self, files: Sequence[Path], cache_bytes: int = CACHE_BYTES) -> None:
        self._files = tuple(files)
        self._footers = [pq.read_metadata(file) for file in files]
        self._schemas = [footer.schema.to_arrow_schema() for footer in self._footers]
        self.schema: pa.Schema = pa.unify_schemas(self._schemas, promote_options="permissive")
        self.columns: tuple[str, ...] = tuple(self.schema.names)
        self._groups = [
            (number, group) for number, footer in enumerate(self._footers) for group in range(footer.num_row_groups)
        ]
        sizes = [self._footers[number].row_group(group).num_rows for number, group in self._groups]
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self.rows: int = sum(sizes)
        self._cache = GroupCache(cache_bytes)

    def row(self, index: int, columns: Sequence[str]) -> dict[str, Any]:
        """Those columns of one row as Python values; without the columns that its file has not."""
        group, at = self._at(index, columns)
        return row_of(group, at)

    def count(self, index: int, column: str) -> int | None:
        """How many images a cell holds."""
        cell = self._cell(index, column)
        return None if cell is None else count_of(cell)

    def image(self, index: int, column: str, position: int) -> Any:
        """One image of a cell as stored."""
        cell = self._cell(index, column)
        return None if cell is None else value_of(cell, position)

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Those columns over all rows, in memory."""
        schema = pa.schema([self.schema.field(name) for name in columns])
        parts = [self._file_columns(number, schema) for number in range(len(self._files))]
        return pa.concat_tables(parts)

    def _file_columns(self, number: int, schema: pa.Schema) -> pa.Table:
        """One file's columns in the types of all files; nulls for a column that it has not."""
        present = [name for name in schema.names if name in self._schemas[number].names]
        with pq.ParquetFile(self._files[number], metadata=self._footers[number], memory_map=True) as file:
            table = file.read(columns=present)
        rows = self._footers[number].num_rows
        arrays = [
            table[field.name].cast(field.type) if field.name in present else pa.nulls(rows, field.type)
            for field in schema
        ]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _cell(self, index: int, column: str) -> pa.Scalar | None:
        """None where the row's file has no such column."""
        group, at = self._at(index, (column,))
        return group.column(column)[at] if group.num_columns else None

    def _at(self, index: int, columns: Sequence[str]) -> tuple[pa.Table, int]:
        """The row group of a row, and its place in it."""
        place = int(np.searchsorted(self._ends, index, side="right"))
        number, group = self._groups[place]
        first = int(self._ends[place]) - self._footers[number].row_group(group).num_rows
        present = tuple(name for name in columns if name in self._schemas[number].names)
        return self._cache.get((number, group, present), self._decode), index - first

    def _decode(self, key: GroupKey) -> pa.Table:
        number, group, columns = key
        with pq.ParquetFile(self._files[number], metadata=self._footers[number], memory_map=True) as file:
            return file.read_row_group(group, columns=list(columns), use_threads=False)
