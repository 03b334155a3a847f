"""Whatever a shard holds, its catalog's cells are those of its lines."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalogs import catalog_of, rows_of, shard_of
from support.traces import trace_line

from asyncgen.store.catalog import read_catalogs
from asyncgen.store.cells import NULL, cells_of, kind_of
from asyncgen.store.columns import PARTS
from asyncgen.store.line import encode_line, parse_line
from asyncgen.store.scan import pack

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=5)
    | st.lists(st.integers(0, 3), max_size=3)
)
names = st.sampled_from(["a", "A", "b", "", "a~2", "ä", "Ä", "x y", 'q"', "a\0", "index", "score"]) | st.text(
    max_size=3
)
mappings = st.dictionaries(names, scalars, max_size=6)
traces = st.lists(st.tuples(st.integers(0, 2**48 - 1), st.integers(0, 2**16 - 1), mappings, mappings), max_size=8)


@settings(max_examples=100, deadline=None)
@given(traces)
def test_a_catalog_has_the_cells_of_every_line(found: list[tuple[int, int, dict[str, Any], dict[str, Any]]]):
    lines = [
        encode_line({**trace_line(index, rollout, data=data), "reward_score": scores})
        for index, rollout, scores, data in found
    ]
    with tempfile.TemporaryDirectory() as folder:
        shard = shard_of(Path(folder), *lines)
        catalog = catalog_of(shard)
        rows = rows_of(shard)
        assert read_catalogs([shard]) == {shard: catalog}
    parsed = [parse_line(line) for line in lines]
    assert list(catalog.keys.packed) == [pack(index, rollout) for index, rollout, *_ in found]
    assert [(row["index"], row["attempt"]) for row in rows] == [(index, rollout) for index, rollout, *_ in found]
    for prefix, part in PARTS.items():
        assert [one.name for one in catalog.parts[prefix]] == list(
            dict.fromkeys(name for one in parsed for name in one[part])
        )
        for column in catalog.parts[prefix]:
            values = [one[part].get(column.name) for one in parsed]
            assert column.kind == kind_of(values)
            if column.kind != NULL:
                assert [row[column.stored] for row in rows] == list(cells_of(values, column.kind))
