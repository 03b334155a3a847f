"""A folder written by `datasets.save_to_disk`, read through a memory map.

Knows state.json, dataset_info.json and Arrow's stream files. `datasets` itself is not needed, which saves 0.8 s of
start-up; nothing is decoded and nothing is written into the folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

STATE = "state.json"
INFO = "dataset_info.json"


class ArrowCells:
    """Rows of a memory-mapped table: a row costs its own pages and no more."""

    def __init__(self, table: pa.Table) -> None:
        self.rows: int = table.num_rows
        self.columns: tuple[str, ...] = tuple(table.column_names)
        self._table = table
        self._batches = table.to_batches()
        self._ends = np.cumsum([batch.num_rows for batch in self._batches], dtype=np.int64)

    def row(self, index: int, columns: Sequence[str]) -> dict[str, Any]:
        """Those columns of one row as Python values."""
        batch, at = self._at(index)
        return row_of(batch.select(list(columns)), at)

    def count(self, index: int, column: str) -> int | None:
        """How many images a cell holds."""
        return count_of(self._cell(index, column))

    def image(self, index: int, column: str, position: int) -> Any:
        """One image of a cell as stored."""
        return value_of(self._cell(index, column), position)

    @property
    def schema(self) -> pa.Schema:
        """The table's."""
        return self._table.schema

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Those columns over all rows, still on disk."""
        return self._table.select(list(columns))

    def _cell(self, index: int, column: str) -> pa.Scalar:
        batch, at = self._at(index)
        return batch.column(column)[at]

    def _at(self, index: int) -> tuple[pa.RecordBatch, int]:
        """The batch of a row, and its place in it. A table with thousands of chunks would search them one by one."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        batch = self._batches[number]
        return batch, index - int(self._ends[number]) + batch.num_rows


def row_of(rows: pa.Table | pa.RecordBatch, at: int) -> dict[str, Any]:
    """One row as Python values."""
    if not rows.num_columns:
        return {}
    found: dict[str, Any] = rows.slice(at, 1).to_pylist()[0]
    return found


def count_of(cell: pa.Scalar) -> int | None:
    """A list's length, 1 for anything else, None for null; looks at offsets only."""
    if not cell.is_valid:
        return None
    return len(cell.values) if isinstance(cell, pa.ListScalar) else 1


def value_of(cell: pa.Scalar, position: int) -> Any:
    """The Python value of one element of a list, or of the cell that is none."""
    return cell.values[position].as_py() if cell.is_valid and isinstance(cell, pa.ListScalar) else cell.as_py()


def open_table(folder: Path, state: Mapping[str, Any]) -> pa.Table:
    """All data files of the folder as one memory-mapped table, in the order in which state.json names them.

    An indices mapping of an old version is not looked at, and neither does `load_from_disk` (5.2): row numbers agree.
    Raises OSError, pa.ArrowException, KeyError, TypeError.
    """
    return pa.concat_tables([_map(folder / file["filename"]) for file in state["_data_files"]])


def _map(file: Path) -> pa.Table:
    with pa.memory_map(str(file)) as mapped, pa.ipc.open_stream(mapped) as stream:
        return stream.read_all()  # its buffers keep the mapping; the file itself can be closed


def read_state(folder: Path) -> dict[str, Any]:
    """state.json. Raises OSError, ValueError."""
    state = json.loads((folder / STATE).read_bytes())
    if not isinstance(state, dict) or not isinstance(state.get("_data_files"), list):
        raise ValueError(f"{STATE} names no _data_files")  # noqa: TRY004  # a file's content, not an argument's type
    return state


def read_features(folder: Path, schema: pa.Schema) -> Mapping[str, Any]:
    """The features in dataset_info.json, else those in the schema's own metadata. Raises OSError, ValueError."""
    info = folder / INFO
    features = json.loads(info.read_bytes()).get("features") if info.is_file() else None
    return features if isinstance(features, dict) else schema_features(schema)


def schema_features(schema: pa.Schema) -> Mapping[str, Any]:
    """The features that `datasets` writes into a schema's metadata; empty where there are none."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}
