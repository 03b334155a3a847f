"""SQL conditions over a dataset's columns: of which rows they are true.

Knows DuckDB, shut off from files and network. Loads the columns that are named and never a row: 1.4 M rows cost those
columns and an integer each. Does not know order or limits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from asyncgen.core.errors import InputError
from asyncgen.source.base import Cells
from asyncgen.source.conditions import UNKNOWN_COLUMN, ambiguity, fault, one_condition

SHUT: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "temp_directory": "",
}
"""SQL may compute over the columns given and reach nothing else: no file, no network, no Python variable."""


Arrays = dict[str, NDArray[np.int64]]


def matching(cells: Cells, images: Collection[str], where: str) -> NDArray[np.bool_]:
    """Row by row whether `where` is true. Raises InputError."""
    rows = _Rows(cells, images, [where])
    kept = np.zeros(cells.rows, dtype=np.bool_)
    with rows.opened() as connection:
        kept[rows.true_of(connection, where, "dataset.where")[rows.number]] = True
    return kept


def first_true(
    cells: Cells, images: Collection[str], wheres: Sequence[str], kept: NDArray[np.bool_] | None
) -> NDArray[np.int8]:
    """Row by row the number of the first of `wheres` that is true, -1 for none, and for rows that are not `kept`. A row
    that one of them takes is not looked at by the next. Raises InputError that names the rule.
    """
    rows = _Rows(cells, images, wheres)
    numbers = np.full(cells.rows, -1, dtype=np.int8)
    with rows.opened(kept) as connection:
        for number, where in enumerate(wheres):
            rows.true_of(connection, where, f"rules[{number}].where", "LIMIT 0")
        found = _one_pass(connection, rows, wheres)
    numbers[found[rows.number]] = found["taken_by"]
    return numbers


def _one_pass(connection: duckdb.DuckDBPyConnection, rows: _Rows, wheres: Sequence[str]) -> Arrays:
    """All conditions at once."""
    cases = " ".join(f"WHEN ({where}\n) THEN {number}" for number, where in enumerate(wheres))
    query = f"SELECT {rows.number}, (CASE {cases} ELSE -1 END)::TINYINT AS taken_by FROM data"  # noqa: S608  # the user's own SQL is meant to run
    try:
        found: Arrays = connection.execute(query).fetchnumpy()
    except (
        duckdb.Error
    ) as error:  # a value that it cannot compute with: the first ones alone show which condition it is
        if len(wheres) > 1:
            _one_pass(connection, rows, wheres[:-1])
        raise rows.refused(error, wheres[-1], f"rules[{len(wheres) - 1}].where") from error
    return found


class _Rows:
    """The columns that some conditions name, over all rows, and a column with the row's number."""

    def __init__(self, cells: Cells, images: Collection[str], wheres: Sequence[str]) -> None:
        text = "\n".join(wheres)
        self._images = images
        self._known = [name for name in cells.columns if name not in images]
        self._named = named_columns(text, self._known)
        self.number = "row"
        while self.number in (name.lower() for name in cells.columns) or self.number in text.lower():
            self.number += "_"
        table = cells.table(self._named) if self._named else pa.table({})
        arrays = {name: without_nan(plain(table[name])) for name in self._named}
        self._table = pa.table({**arrays, self.number: np.arange(cells.rows, dtype=np.int64)})

    def opened(self, kept: NDArray[np.bool_] | None = None) -> duckdb.DuckDBPyConnection:
        """A connection that sees them, or those that are `kept`, as `data`, and nothing else."""
        connection = duckdb.connect(":memory:", config=SHUT)
        connection.execute("SET enable_progress_bar = false")  # it would go to stdout
        connection.register("data", self._table if kept is None else self._table.filter(pa.array(kept)))
        connection.execute("SET lock_configuration=true")
        return connection

    def true_of(self, connection: duckdb.DuckDBPyConnection, where: str, place: str, end: str = "") -> Arrays:
        """The numbers of the rows for which it is true. Raises InputError; `place` says where the condition stands."""
        if unclear := ambiguity(where, named_columns(where, self._known)):
            raise InputError(f"{place} {where!r}: {unclear}")
        query = f"SELECT {self.number} FROM data WHERE ({where}\n) {end}"  # noqa: S608  # the user's own SQL is meant to run
        try:
            found: Arrays = connection.execute(one_condition(connection, query, where)).fetchnumpy()
        except duckdb.Error as error:
            raise self.refused(error, where, place) from error
        return found

    def refused(self, error: duckdb.Error, where: str, place: str) -> InputError:
        """One line."""
        unknown = UNKNOWN_COLUMN.search(str(error))
        if unknown and unknown[1] in self._images:
            return InputError(f"{place} {where!r}: {unknown[1]!r} is an image column, which SQL does not see")
        return InputError(f"{place} {where!r}: {fault(error, where, self._known)}")


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


def without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """NaN as null, as a trace has it: for SQL it would be larger than any number."""
    return pc.if_else(pc.is_nan(column), None, column) if pa.types.is_floating(column.type) else column
