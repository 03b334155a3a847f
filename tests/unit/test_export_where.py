from __future__ import annotations

from typing import Any

import pytest

from asyncgen.core.errors import InputError
from asyncgen.export.where import BATCH, filtered


def trace(row: int, data: dict[str, Any] | None = None, **scores: Any) -> dict[str, Any]:
    return {
        "id": f"job/{row}/0",
        "rollout": 0,
        "sample_index": row,
        "answer": str(row),
        "final_response": "",
        "config_id": "c",
        "reward_score": {"score": row / 10, **scores},
        "metadata": {"total_turns": row, "score": -1.0},
        "sample_data": data or {},
    }


def kept(traces: list[dict[str, Any]], where: str) -> list[int]:
    return [one["sample_index"] for one in filtered(lambda: traces, where)]


def test_a_bare_name_is_the_score_before_the_metadata_before_the_row():
    traces = [trace(row, {"score": 99.0, "total_turns": 7, "city": f"c{row}"}) for row in range(5)]
    assert kept(traces, "score >= 0.3") == [3, 4]
    assert kept(traces, "total_turns = 2") == [2]
    assert kept(traces, "city = 'c1'") == [1]
    assert kept(traces, "meta.score = -1 and data.score = 99 and reward.score < 0.2") == [0, 1]


def test_a_column_of_two_types_is_compared_as_text():
    traces = [trace(0, {"year": 1999}), trace(1, {"year": "1999"}), trace(2, {"year": None}), trace(3)]
    assert kept(traces, "year = '1999'") == [0, 1]
    assert kept(traces, "year is null") == [2, 3]


def test_names_that_differ_by_case_alone_cannot_be_told_apart():
    traces = [trace(0, {"Lat": 1.0, "lat": 2.0})]
    with pytest.raises(InputError, match="Lat and lat differ only in case"):
        kept(traces, "lat = 1")
    with pytest.raises(InputError, match="Lat and lat differ only in case"):
        kept(traces, 'data."lat" = 1')
    for where in ("score = 0", "reward.score = 0 and 'lat' <> 'x'"):
        assert kept(traces, where) == [0]
    assert kept([trace(0, {"Lat": 1.0, "lat": 2.0}, lat=3.0)], "lat = 3 and reward.lat = 3") == [0]


def test_whole_numbers_are_compared_as_such():
    traces = [trace(row, {"big": 2**53 + row, "mixed": 2**60 + row if row else 0.5}) for row in range(3)]
    assert kept(traces, f"data.big = {2**53 + 1}") == [1]
    assert kept(traces, "mixed = 0.5") == [0]
    assert kept(traces, f"data.big * {10**18} > 1 and data.big % 2 = 1") == [1]


@pytest.mark.parametrize("where", ["true) union all select -1 where (true", "true) -- ", "score = 0, score = 1"])
def test_a_condition_is_one_expression(where: str):
    with pytest.raises(InputError, match="--where"):
        kept([trace(0, {})], where)


def test_a_column_without_a_value_in_any_trace_is_a_column() -> None:
    traces = [trace(row, {"day": None, "other": row or None}) for row in range(2)]
    assert kept(traces, "day is null and other is null") == [0]


def test_what_does_not_fit_any_more_when_it_is_read_again_is_null():
    reads = iter([[trace(0, {"v": 1})], [trace(0, {"v": 1}), trace(1, {"v": "text"}), trace(2, {"v": True})]])
    assert [one["sample_index"] for one in filtered(lambda: next(reads), "v > 0")] == [0]


@pytest.mark.parametrize("name", ["a b", 'a"b', "select", "__row", "data", "née"])
def test_a_row_may_have_any_column_name(name: str):
    quoted = '"' + name.replace('"', '""') + '"'
    assert kept([trace(0, {name: 1.0}), trace(1, {name: 2.0})], f"data.{quoted} > 1") == [1]


def test_nested_values_are_no_columns_and_do_no_harm():
    assert kept([trace(0, {"boxes": [1, 2], "meta": {"a": 1}})], "score = 0") == [0]


def test_order_and_batches_do_not_change_what_is_kept():
    traces = [trace(row) for row in range(2 * BATCH + 5)]
    assert kept(traces, "sample_index % 1000 = 7") == [row for row in range(len(traces)) if row % 1000 == 7]


def test_a_comment_at_the_end_does_not_eat_the_rest():
    assert kept([trace(0), trace(5)], "score > 0.2 -- the good ones") == [5]


@pytest.mark.parametrize(
    "where",
    [
        "scores > 1",
        "score >",
        "score > 1; DROP TABLE x",
        "score > 1); SELECT (1",
        "1 = (SELECT count(*) FROM read_csv('/etc/passwd'))",
        "1 = (SELECT count(*) FROM traces)",
        "CAST(id AS INTEGER) = 1",
    ],
)
def test_wrong_sql_is_the_users_mistake_and_reaches_nothing_outside(where: str):
    traces = [trace(0)]
    with pytest.raises(InputError, match="--where") as caught:
        list(filtered(lambda: traces, where))
    assert "\n" not in str(caught.value)


def said(where: str) -> str:
    traces = [trace(0, {"country": "france"}, **{"distance@km": 3.0})]
    with pytest.raises(InputError) as caught:
        list(filtered(lambda: traces, where))
    return str(caught.value).removeprefix(f"--where {where!r}: ")


def test_a_wrong_name_is_answered_with_every_name_there_is_and_the_prefixes():
    names = "score, distance@km, total_turns, country, id, rollout, sample_index, answer, final_response, config_id"
    prefixes = "; before a name reward., meta., data. say which is meant"
    assert said("xyz > 1") == f"no column 'xyz' (known: {names}){prefixes}"
    assert said("scor > 1") == f"no column 'scor': did you mean 'score'?{prefixes}"
    assert said("answr = 'x'") == f"no column 'answr': did you mean 'answer'?{prefixes}"


def test_slips_in_a_condition_are_answered_with_what_to_write():
    assert said("distance@km < 5") == 'write "distance@km" in double quotes'
    assert said("score >") == "the condition ends too early"
    assert "a text needs single quotes: 'france'" in said("country = france")


def test_without_traces_there_is_nothing_to_keep():
    assert kept([], "score > 0.5") == []
