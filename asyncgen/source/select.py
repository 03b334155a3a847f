"""Which rows, in which order: where, order, number, partition.

Knows SQL (DuckDB, shut off from files and network) and sorting, over columns and never over rows: 1.4 M rows cost the
columns named and one integer a row. Does not know file formats.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from asyncgen.config.load import nearest
from asyncgen.core.errors import InputError
from asyncgen.source.base import Cells, Selected, Selection
from asyncgen.source.conditions import UNKNOWN_COLUMN, ambiguity, fault, one_condition

SHUT: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "temp_directory": "",
}
"""SQL may compute over the columns given and reach nothing else: no file, no network, no Python variable."""

Indexes = NDArray[np.int64]


def select_rows(cells: Cells, images: Collection[str], selection: Selection) -> Selected:
    """The rows of a selection. Raises InputError."""
    indexes, note = _ordered(cells, images, selection)
    notes = [note] if note else []
    filtered = 0
    if selection.where and selection.where.strip():
        kept = matching(cells, images, selection.where)
        indexes, filtered = indexes[kept[indexes]], cells.rows - int(kept.sum())
        if not len(indexes):
            notes.append(f"dataset.where {selection.where!r} is true for none of the {cells.rows} rows")
    if selection.num_samples >= 0:
        indexes = indexes[: selection.num_samples]
    if selection.partition:
        k, parts = selection.partition
        if not 0 <= k < parts:
            raise InputError(f"partition {k}/{parts}: the first number is from 0 to {max(0, parts - 1)}")
        indexes = indexes[k::parts]
    return Selected(indexes=indexes, note="; ".join(notes), filtered=filtered)


def _ordered(cells: Cells, images: Collection[str], selection: Selection) -> tuple[Indexes, str]:
    """All rows in order, and a note."""
    known = [name for name in cells.columns if name not in images]
    if selection.order_by:
        column, descending = parse_order_by(selection.order_by, known)
        return sorted_rows(cells.table([column])[column], column, descending=descending), ""
    if selection.order == "dataset":
        return np.arange(cells.rows, dtype=np.int64), ""
    column = selection.difficulty
    if column not in known:
        why = f"the dataset has no column {column!r}" if column else "the task names no difficulty column"
        return np.arange(cells.rows, dtype=np.int64), f"order {selection.order}: {why}; rows stay in dataset order"
    descending = selection.order == "easiest_first"
    return sorted_rows(cells.table([column])[column], column, descending=descending), ""


def parse_order_by(text: str, known: Sequence[str]) -> tuple[str, bool]:
    """`COL`, `COL asc` or `COL desc` as (column, descending); a column may itself have blanks, or quotes around it.

    Raises InputError for a column that is not known.
    """
    name, direction = text.strip(), "asc"
    if name not in known:
        head, _, tail = name.rpartition(" ")
        if tail.lower() in {"asc", "desc"}:
            name, direction = head.strip(), tail.lower()
        if name not in known and len(name) > 2 and name[0] == name[-1] == '"':
            name = name[1:-1]
    if name not in known:
        raise InputError(f"dataset.order_by {text!r}: no column {name!r} to order by{nearest(name, known)}")
    return name, direction == "desc"


def sorted_rows(column: pa.ChunkedArray, name: str, *, descending: bool) -> Indexes:
    """Row numbers by value; stable in both directions; null and NaN last. Raises InputError for an unorderable type."""
    column = plain(column)
    if pa.types.is_null(column.type):
        return np.arange(len(column), dtype=np.int64)
    column = _without_nan(column)
    direction = "descending" if descending else "ascending"
    try:
        order = pc.sort_indices(pa.table({"value": column}), sort_keys=[("value", direction)])
    except pa.ArrowException as error:
        raise InputError(
            f"dataset.order_by {name!r}: a column of type {column.type} has no order; name one of numbers or strings"
        ) from error
    indexes: Indexes = order.to_numpy().astype(np.int64)
    return indexes


def matching(cells: Cells, images: Collection[str], where: str) -> NDArray[np.bool_]:
    """Row by row whether `where` is true. Raises InputError."""
    named = named_columns(where, [name for name in cells.columns if name not in images])
    number = "row"
    while number in (name.lower() for name in cells.columns) or number in where.lower():
        number += "_"
    table = cells.table(named) if named else pa.table({})
    arrays = {name: _without_nan(plain(table[name])) for name in named}
    rows = pa.table({**arrays, number: np.arange(cells.rows, dtype=np.int64)})
    if unclear := ambiguity(where, named):
        raise InputError(f"dataset.where {where!r}: {unclear}")
    kept = np.zeros(cells.rows, dtype=np.bool_)
    try:
        kept[_query(rows, number, where)] = True
    except duckdb.Error as error:
        known = [name for name in cells.columns if name not in images]
        raise InputError(f"dataset.where {where!r}: {_image(error, images) or fault(error, where, known)}") from error
    return kept


def _query(rows: pa.Table, number: str, where: str) -> Indexes:
    with duckdb.connect(":memory:", config=SHUT) as connection:
        connection.register("data", rows)
        connection.execute("SET lock_configuration=true")
        query = f"SELECT {number} FROM data WHERE ({where}\n)"  # noqa: S608  # the user's own SQL is meant to run
        found: Indexes = connection.execute(one_condition(connection, query, where)).fetchnumpy()[number]
    return found


def named_columns(where: str, known: Sequence[str]) -> list[str]:
    """The columns whose name stands in the text, so at least those that it means; all for COLUMNS(...)."""
    lowered = where.lower()
    if "columns" in lowered:
        return list(known)
    return [name for name in known if name.lower() in lowered or '"' in name]


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same values in a type that can be sorted and queried: no dictionary, no half float, no string view."""
    if pa.types.is_dictionary(column.type):
        return plain(column.cast(column.type.value_type))
    if pa.types.is_float16(column.type):
        return column.cast(pa.float32())
    if column.type == pa.string_view():
        return column.cast(pa.large_string())
    return column


def _without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """NaN as null, as a trace has it: for SQL it would be larger than any number."""
    return pc.if_else(pc.is_nan(column), None, column) if pa.types.is_floating(column.type) else column


def _image(error: duckdb.Error, images: Collection[str]) -> str:
    unknown = UNKNOWN_COLUMN.search(str(error))
    return f"{unknown[1]!r} is an image column, which SQL does not see" if unknown and unknown[1] in images else ""
