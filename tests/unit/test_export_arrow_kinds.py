"""One type for what stands at one place of many rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from asyncgen.export.arrow_kinds import MAX_DEPTH, MAX_NAMES, Kind, UnfitError


def kind_of(*values: Any) -> Kind:
    kind = Kind()
    for value in values:
        kind.note(value)
    return kind


def nested(levels: int) -> Any:
    return {"a": nested(levels - 1)} if levels else 1


@pytest.mark.parametrize(
    ("values", "arrow"),
    [
        ([], pa.null()),
        ([None, {}], pa.null()),
        ([1, None], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([1, 2**62], pa.int64()),
        ([True], pa.bool_()),
        (["a"], pa.string()),
        ([[], [1]], pa.list_(pa.int64())),
        ([{"a": 1}, {"b": ["x"]}], pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])),
    ],
)
def test_values_that_share_a_type_have_it(values: list[Any], arrow: Any):
    assert kind_of(*values).arrow() == arrow
    assert list(kind_of(*values).texts("x")) == []


@pytest.mark.parametrize(
    "values",
    [
        ["a", 1],
        [True, 1],
        [2.5, 2**60],
        [2**64],
        [{"a": 1}, [1]],
        [{}, "a"],
        [{str(number): 1 for number in range(MAX_NAMES + 1)}],
    ],
)
def test_values_that_share_none_are_json_text(values: list[Any]):
    kind = kind_of(*values)
    assert kind.arrow() == pa.string()
    assert list(kind.texts("x")) == ["x"]
    assert kind.fit(values[0]) != values[0]


def test_json_text_stands_only_where_it_must():
    kind = kind_of({"a": {"b": 1}, "c": [{"d": "x"}]}, {"a": {"b": "x"}, "c": [{"d": 1}, {"e": 1}]})
    assert list(kind.texts("row")) == ["row.a.b", "row.c[].d"]
    assert kind.fit({"a": {"b": "„x“"}, "c": []}) == {"a": {"b": '"„x“"'}, "c": []}


def test_what_is_nested_too_deeply_for_readers_of_parquet_is_json_text_from_there_on():
    kind = kind_of(nested(MAX_DEPTH))
    assert list(kind.texts("x")) == []
    deeper = kind_of(nested(MAX_DEPTH + 3))
    assert list(deeper.texts("x")) == ["x" + ".a" * MAX_DEPTH]


@pytest.mark.parametrize(("noted", "other"), [(1, 2.5), (1, "a"), ({"a": 1}, {"b": 1}), ("a", [1]), ([1], {"a": 1})])
def test_a_value_that_was_not_noted_and_has_no_place_is_refused(noted: Any, other: Any):
    with pytest.raises(UnfitError):
        kind_of(noted).fit(other)
