"""JSON values as the cells of a column: its SQL type, its Arrow array, its file.

Knows four types: whole numbers stay so where all are, numbers where all are numbers; a column of two other types is
text, and so are lists and mappings, as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asyncgen.core.errors import TemporaryError
from asyncgen.core.types import Json
from asyncgen.store.line import dump

BOOLEAN, BIGINT, DOUBLE, VARCHAR, NULL = "BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR", "NULL"
_KINDS = {bool: BOOLEAN, int: BIGINT, float: DOUBLE, type(None): NULL}
_NUMBERS = {BIGINT, DOUBLE}
_WIDEST = 2**63
_EXACT = 2.0**53


def kind_of(values: Sequence[Json]) -> str:
    """The SQL type of a column of these values; NULL where all are null. What is over 64 bits counts as a float."""
    kind = NULL
    for one in set(map(type, values)):
        kind = both(kind, _KINDS.get(one, VARCHAR))
    if kind == BIGINT and not all(value is None or -_WIDEST <= value < _WIDEST for value in values):
        return DOUBLE
    return kind


def both(one: str, other: str) -> str:
    """The type of a column that has values of both."""
    kinds = {one, other} - {NULL}
    if len(kinds) < 2:
        return kinds.pop() if kinds else NULL
    return DOUBLE if kinds == _NUMBERS else VARCHAR


def array_of(values: Sequence[Json], kind: str) -> Any:
    """A pyarrow.Array; null for null, for NaN, and for what does not fit."""
    import pyarrow as pa

    types = {BOOLEAN: pa.bool_(), BIGINT: pa.int64(), DOUBLE: pa.float64(), VARCHAR: pa.string()}
    try:
        return pa.array(values, type=types[kind], from_pandas=True)
    except (pa.ArrowException, OverflowError):  # of several types, or too large for one
        return pa.array([_cell(value, kind) for value in values], type=types[kind], from_pandas=True)


def _cell(value: Json, kind: str) -> Json:
    own = _KINDS.get(type(value), VARCHAR)
    if own == NULL:
        return None
    if kind == VARCHAR:
        return text_of(value)
    if kind == DOUBLE and own in _NUMBERS:
        return _float(value)
    fits = own == kind and (own != BIGINT or -_WIDEST <= value < _WIDEST)
    return value if fits else None


def _float(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:  # an integer of over 308 digits
        return None


def text_of(value: Json) -> str:
    """The same text whether a number was stored as whole or as a float: the other rows of its batch decide that."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    return dump(value).decode()


def write_table(columns: Mapping[str, Any], path: Path) -> None:
    """One Parquet file. Raises TemporaryError where the disk takes it not."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.write_table(pa.table(dict(columns)), path, compression="zstd")
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise TemporaryError(
            f"{path.parent} takes no temporary file: {reason}; set TMPDIR to a folder with room"
        ) from error
