"""Rules over rows: the first that is true takes a row; limits in order; then number and partition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.source_data import photos, write_jsonl

from asyncgen.core.errors import InputError
from asyncgen.source import Selection, open_source
from asyncgen.source.arrow import ArrowCells
from asyncgen.source.base import RowRule, Selected
from asyncgen.source.select import select_rows


def chosen(columns: dict[str, Any], *rules: RowRule, **selection: Any) -> Selected:
    return select_rows(ArrowCells(pa.table(columns)), ("photo",), Selection(rules=rules, **selection))


def rule(where: str, limit: int | None = None, *, drop: bool = False) -> RowRule:
    return RowRule(where=where, limit=limit, drop=drop)


SCORES = {"score": [0.1, 0.9, 0.3, 0.15, None, 0.35, 0.05, 0.5]}


def test_the_first_rule_that_is_true_takes_the_row() -> None:
    selected = chosen(SCORES, rule("score < 0.2"), rule("score < 0.4"), rule("score is null", drop=True))
    assert selected.rules is not None
    assert selected.rules.tolist() == [0, -1, 1, 0, 2, 1, 0, -1]
    assert selected.indexes.tolist() == [0, 1, 2, 3, 5, 6, 7]
    assert (selected.taken, selected.left_out, selected.filtered) == ((3, 2, 1), (0, 0, 1), 0)


def test_a_limit_keeps_the_first_in_the_order_of_the_selection() -> None:
    rules = (rule("score < 0.2", 2), rule("score < 0.4", 1), rule("true", drop=True))
    dataset = chosen(SCORES, *rules)
    assert dataset.indexes.tolist() == [0, 2, 3]
    hardest = chosen(SCORES, *rules, order="hardest_first", difficulty="score")
    assert hardest.indexes.tolist() == [6, 0, 2]
    assert (hardest.taken, hardest.left_out) == ((3, 2, 3), (1, 1, 3))


def test_where_comes_before_the_rules_and_number_and_partition_after_them() -> None:
    rules = (rule("score < 0.2", 2), rule("score < 0.6"))
    selection = {"where": "score <> 0.05", "order": "hardest_first", "difficulty": "score"}
    assert chosen(SCORES, *rules, **selection).indexes.tolist() == [0, 3, 2, 5, 7, 1]
    assert chosen(SCORES, *rules, **selection).filtered == 2
    assert chosen(SCORES, *rules, **selection, num_samples=4, partition=(1, 2)).indexes.tolist() == [3, 5]


def test_a_rule_does_not_look_at_rows_that_another_one_or_where_has_taken() -> None:
    columns = {"year": ["n/a", "1999", "2001", "bad"]}
    selected = chosen(columns, rule("year = 'n/a'", drop=True), rule("year::int > 2000"), where="year <> 'bad'")
    assert selected.rules is not None
    assert selected.rules.tolist() == [0, -1, 1, -1]
    assert selected.indexes.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (("score < 0.2", "scor < 0.4"), "rules[1].where 'scor < 0.4': no column 'scor': did you mean 'score'?"),
        (("score <", "true"), "rules[0].where 'score <': the condition ends too early"),
        (
            ("true", "count(*) > 1"),
            "rules[1].where 'count(*) > 1': Binder Error: WHERE clause cannot contain aggregates",
        ),
        (("true", "photo is null"), "rules[1].where 'photo is null': 'photo' is an image column"),
        (("score > 5", "name::int = 1", "true"), "rules[1].where 'name::int = 1': Conversion Error"),
        (("name::int = 1",), "rules[0].where 'name::int = 1': Conversion Error"),
        (("true) THEN 0 WHEN (true",), 'syntax error at or near "THEN"'),
    ],
)
def test_what_is_wrong_names_the_rule(rules: tuple[str, ...], text: str) -> None:
    columns = {"score": [0.1, 0.2], "name": ["x", "y"], "photo": [b"", b""]}
    with pytest.raises(InputError) as caught:
        chosen(columns, *map(rule, rules))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_rules_nobody_is_told_of_any() -> None:
    selected = chosen(SCORES)
    assert (selected.rules, selected.taken, selected.left_out) == (None, (), ())


def test_a_million_rows_cost_a_byte_each() -> None:
    scores = np.linspace(0, 1, 1_000_000)
    selected = chosen({"score": scores}, rule("score < 0.2", 1000), rule("score < 0.4"), rule("true", drop=True))
    assert selected.rules is not None
    assert (selected.rules.dtype, selected.rules.nbytes) == (np.int8, 1_000_000)
    assert len(selected.indexes) == 1000 + np.count_nonzero((scores >= 0.2) & (scores < 0.4))


def test_the_kinds_of_columns_are_those_of_the_data_in_a_trace(tmp_path: Path) -> None:
    photos(7).save_to_disk(str(tmp_path / "hf"))
    assert open_source(str(tmp_path / "hf")).kinds == {"city": "VARCHAR", "score": "DOUBLE"}
    photos(7).to_parquet(str(tmp_path / "one.parquet"))
    assert open_source(str(tmp_path / "one.parquet")).kinds == {"city": "VARCHAR", "score": "DOUBLE"}
    rows = [{"n": 1, "x": None, "flag": True, "name": "a", "list": [1], "map": {"a": 1}, "image": "a.jpg"}]
    kinds = open_source(str(write_jsonl(tmp_path / "rows.jsonl", rows))).kinds
    assert kinds == {"n": "DOUBLE", "x": "VARCHAR", "flag": "BOOLEAN", "name": "VARCHAR"}


def test_every_arrow_type_has_the_kind_of_what_json_ready_makes_of_it() -> None:
    from asyncgen.source.rows import json_ready, sql_kind

    types = {"BOOLEAN": bool, "BIGINT": int, "DOUBLE": float, "VARCHAR": str}
    arrays = [
        pa.array([1], pa.uint64()), pa.array([1.5], pa.float32()), pa.array([True]), pa.array(["a"], pa.large_string()),
        pa.array([1], pa.date32()), pa.array([1], pa.timestamp("us")), pa.array([b"a"]),
        pa.array([1], pa.duration("s")),
        pa.array(["1.5"], pa.string()).cast(pa.decimal128(5, 2)), pa.array(["a"]).dictionary_encode(),
        pa.array([np.float16(1.5)], pa.float16()),
    ]  # fmt: skip
    for array in arrays:
        assert isinstance(json_ready(array[0].as_py()), types[sql_kind(array.type)]), array.type
    assert sql_kind(pa.list_(pa.int8())) == sql_kind(pa.struct([("a", pa.int8())])) == ""
