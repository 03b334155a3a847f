"""Selecting and reading against plain Python."""

from __future__ import annotations

import math
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.source import Selection, open_source
from asyncgen.source.arrow import ArrowCells
from asyncgen.source.rows import json_ready
from asyncgen.source.select import select_rows

numbers = st.lists(st.one_of(st.none(), st.integers(-3, 3).map(float), st.floats(width=32)), min_size=1, max_size=40)
words = st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=3)), min_size=1, max_size=40)
cuts = st.lists(st.integers(0, 40), max_size=4)


def chunked(values: list[Any], kind: pa.DataType, cuts: list[int]) -> ArrowCells:
    """One column in chunks cut anywhere, empty ones too."""
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    chunks = [pa.array(values[low:high], kind) for low, high in pairwise(edges)]
    return ArrowCells(pa.table({"x": pa.chunked_array(chunks, type=kind)}))


def plain_order(values: list[Any], *, descending: bool) -> list[int]:
    """Stable, missing ones last."""

    def missing(value: Any) -> bool:
        return value is None or (isinstance(value, float) and math.isnan(value))

    there = [row for row, value in enumerate(values) if not missing(value)]
    ranked = sorted({values[row] for row in there})
    rank = {value: -place if descending else place for place, value in enumerate(ranked)}
    return sorted(there, key=lambda row: rank[values[row]]) + [r for r, value in enumerate(values) if missing(value)]


@settings(max_examples=100, deadline=None)
@given(values=numbers, cuts=cuts, descending=st.booleans())
def test_numbers_are_ordered_as_python_would_stably_with_missing_ones_last(
    values: list[float | None], cuts: list[int], descending: bool
) -> None:
    selection = Selection(order="easiest_first" if descending else "hardest_first", difficulty="x")
    selected = select_rows(chunked(values, pa.float64(), cuts), (), selection)
    assert selected.indexes.tolist() == plain_order(values, descending=descending)


@settings(max_examples=100, deadline=None)
@given(values=words, cuts=cuts, descending=st.booleans())
def test_strings_are_ordered_by_code_point(values: list[str | None], cuts: list[int], descending: bool) -> None:
    by = "x desc" if descending else "x"
    selected = select_rows(chunked(values, pa.string(), cuts), (), Selection(order_by=by))
    assert selected.indexes.tolist() == plain_order(values, descending=descending)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=40),
    cuts=cuts,
    limit=st.integers(-5, 5),
    number=st.integers(-1, 20),
    parts=st.integers(1, 4),
)
def test_the_partitions_share_what_where_and_number_leave_without_overlap(
    values: list[int | None], cuts: list[int], limit: int, number: int, parts: int
) -> None:
    cells = chunked(values, pa.int64(), cuts)
    expected = [row for row, value in enumerate(values) if value is not None and value > limit]
    expected = expected if number < 0 else expected[:number]
    found = [
        select_rows(cells, (), Selection(where=f"x > {limit}", num_samples=number, partition=(part, parts)))
        for part in range(parts)
    ]
    assert [one.indexes.tolist() for one in found] == [expected[part::parts] for part in range(parts)]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(), st.binary(max_size=9)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(value=json_values)
def test_whatever_a_row_holds_can_be_written_and_a_second_pass_changes_nothing(value: Any) -> None:
    ready = json_ready(value)
    assert orjson.loads(orjson.dumps(ready)) == ready
    assert json_ready(ready) == ready


rows_of_text = st.lists(st.fixed_dictionaries({"n": st.integers(0, 9), "t": st.text(max_size=8)}), min_size=1)


@settings(max_examples=60, deadline=None)
@given(rows=rows_of_text, blanks=st.lists(st.sampled_from(["", "\n", " \t\n", "\r\n"]), min_size=1), last=st.booleans())
def test_a_jsonl_gives_back_its_rows_whatever_blank_lines_lie_between(
    rows: list[dict[str, Any]], blanks: list[str], last: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.jsonl")
        lines = [blanks[at % len(blanks)].encode() + orjson.dumps(row) for at, row in enumerate(rows)]
        path.write_bytes(b"\n".join(lines) + (b"\n" if last else b""))
        source = open_source(str(path))
        assert [dict(source.read(row).data) for row in range(source.rows)] == rows


@settings(max_examples=30, deadline=None)
@given(rows=rows_of_text, cut=st.integers(0, 40), size=st.integers(1, 7))
def test_parquet_row_numbers_run_over_groups_and_files(rows: list[dict[str, Any]], cut: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, part in [("a", rows[:cut]), ("b", rows[cut:])]:
            schema = pa.schema({"n": pa.int64(), "t": pa.string()})
            pq.write_table(pa.Table.from_pylist(part, schema=schema), f"{folder}/{name}.parquet", row_group_size=size)
        source = open_source(folder)
        assert [dict(source.read(row).data) for row in range(source.rows)] == rows
