"""JSON values as the cells of a column: its SQL type, its Arrow array, its file.

Knows four types: whole numbers stay so where all are, numbers where all are numbers; a column of two other types is
text, and so are lists and mappings, as JSON.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from asyncgen.core.errors import TemporaryError
from asyncgen.core.types import Json
from asyncgen.store.line import dump

BOOLEAN, BIGINT, DOUBLE, VARCHAR, NULL = "BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR", "NULL"
_KINDS = {bool: BOOLEAN, int: BIGINT, float: DOUBLE, type(None): NULL}
_NUMBERS = {BIGINT, DOUBLE}
_PLAIN: Mapping[str, set[type]] = {
    BOOLEAN: {bool, type(None)},
    BIGINT: {int, type(None)},
    DOUBLE: {int, float, type(None)},
    VARCHAR: {str, type(None)},
}
"""What a column of a type takes as it is."""
_BLANK: Mapping[str, Any] = {BOOLEAN: False, BIGINT: 0, DOUBLE: 0.0, VARCHAR: ""}
"""What lies where there is null."""
_MAY_LACK = {type(None), float}
"""What may stand for null: float, since NaN does."""
_CODES = {BIGINT: "q", DOUBLE: "d"}
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
    if not _PLAIN[kind].issuperset(map(type, values)):
        values = [_cell(value, kind) for value in values]
    try:
        return _array(values, kind)
    except OverflowError:
        return _array([_cell(value, kind) for value in values], kind)


def _array(cells: Sequence[Any], kind: str) -> Any:
    """Of cells of one type, from buffers: given a list, pyarrow first imports pandas, and that takes longer than a
    question about a small run. Raises OverflowError."""
    import pyarrow as pa

    types = {BOOLEAN: pa.bool_(), BIGINT: pa.int64(), DOUBLE: pa.float64(), VARCHAR: pa.large_string()}
    buffers: list[Any] = [None]
    known: list[bool] = []
    if not _MAY_LACK.isdisjoint(map(type, cells)):
        known = [cell is not None and cell == cell for cell in cells]  # noqa: PLR0124  # NaN is not
    if not all(known):
        buffers = [_bits(known)]
        cells = [cell if there else _BLANK[kind] for cell, there in zip(cells, known, strict=True)]
    if kind == VARCHAR:
        buffers += _texts(cells)
    else:
        buffers.append(_bits(cells) if kind == BOOLEAN else array(_CODES[kind], cells))
    wrapped = [one if one is None else pa.py_buffer(one) for one in buffers]
    return pa.Array.from_buffers(types[kind], len(cells), wrapped)


def _texts(texts: Sequence[str]) -> list[Any]:
    """Where each begins, and their bytes."""
    data = "".join(texts).encode()
    parts: Sequence[str | bytes] = texts if data.isascii() else [text.encode() for text in texts]
    return [array("q", accumulate(map(len, parts), initial=0)), data]


def _bits(flags: Sequence[bool]) -> Any:
    import numpy as np

    return np.packbits(np.array(flags, dtype=bool), bitorder="little")


def _cell(value: Json, kind: str) -> Json:
    own = _KINDS.get(type(value), VARCHAR)
    if own == NULL:
        return None
    if kind == VARCHAR:
        return text_of(value)
    if kind == DOUBLE and own in _NUMBERS:
        return _float(value)
    if kind == BIGINT and own == DOUBLE and value.is_integer():
        value, own = int(value), BIGINT
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
