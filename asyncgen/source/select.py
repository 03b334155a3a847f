"""Which rows, in which order: where, order, rules, number, partition, chunk.

Knows sorting and cutting, over columns and never over rows: 1.4 M rows cost the columns named and one integer a row.
Does not know SQL or file formats.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from asyncgen.config.load import nearest
from asyncgen.core.errors import InputError
from asyncgen.source.base import Cells, RowRule, Selected, Selection
from asyncgen.source.matching import SHUT, first_true, matching, named_columns, plain, without_nan

__all__ = ["SHUT", "named_columns", "parse_order_by", "select_rows", "sorted_rows"]

Indexes = NDArray[np.int64]


def select_rows(cells: Cells, images: Collection[str], selection: Selection) -> Selected:
    """The rows of a selection. Raises InputError."""
    indexes, note = _ordered(cells, images, selection)
    notes = [note] if note else []
    filtered, kept = 0, None
    if selection.where and selection.where.strip():
        kept = matching(cells, images, selection.where)
        indexes, filtered = indexes[kept[indexes]], cells.rows - int(kept.sum())
        if not len(indexes):
            notes.append(f"dataset.where {selection.where!r} is true for none of the {cells.rows} rows")
    ruled = _Ruled(indexes=indexes)
    if selection.rules:
        numbers = first_true(cells, images, [rule.where for rule in selection.rules], kept)
        ruled = _ruled(indexes, numbers, selection.rules)
        indexes = ruled.indexes
    if selection.num_samples >= 0:
        indexes = indexes[: selection.num_samples]
    if selection.partition:
        k, parts = selection.partition
        if not 0 <= k < parts:
            raise InputError(f"partition {k}/{parts}: the first number is from 0 to {max(0, parts - 1)}")
        indexes = indexes[k::parts]
    if selection.chunk:
        k, size = selection.chunk
        if k * size >= cells.rows:
            last = max(0, cells.rows - 1) // size
            raise InputError(f"chunk {k} of {size} rows each: the dataset has {cells.rows}; give 0 to {last}")
        indexes = indexes[indexes // size == k]
    return Selected(
        indexes=indexes,
        note="; ".join(notes),
        filtered=filtered,
        taken=ruled.taken,
        left_out=ruled.left_out,
        rules=ruled.numbers,
    )


@dataclass(frozen=True, kw_only=True)
class _Ruled:
    """What the rules left of a selection; as in Selected."""

    indexes: Indexes
    taken: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()
    numbers: NDArray[np.int8] | None = None


def _ruled(indexes: Indexes, numbers: NDArray[np.int8], rules: Sequence[RowRule]) -> _Ruled:
    """Drop and limit, in the order of `indexes`."""
    rule_of = numbers[indexes]
    kept = np.ones(len(indexes), dtype=np.bool_)
    taken, left_out = [], []
    for number, rule in enumerate(rules):
        places = np.flatnonzero(rule_of == number)
        out = places if rule.drop else places[len(places) if rule.limit is None else rule.limit :]
        kept[out] = False
        taken.append(len(places))
        left_out.append(len(out))
    return _Ruled(indexes=indexes[kept], taken=tuple(taken), left_out=tuple(left_out), numbers=numbers)


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
    column = without_nan(column)
    direction = "descending" if descending else "ascending"
    try:
        order = pc.sort_indices(pa.table({"value": column}), sort_keys=[("value", direction)])
    except pa.ArrowException as error:
        raise InputError(
            f"dataset.order_by {name!r}: a column of type {column.type} has no order; name one of numbers or strings"
        ) from error
    indexes: Indexes = order.to_numpy().astype(np.int64)
    return indexes
