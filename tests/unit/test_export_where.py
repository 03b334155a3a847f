from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.core.errors import InputError
from asyncgen.export.sheet import BATCH, INDEX, SheetWriter, Spot
from asyncgen.export.sql import rows_of, shut
from asyncgen.export.where import Clause, Judged, clause_texts


def trace(row: int, data: dict[str, Any] | None = None, **scores: Any) -> dict[str, Any]:
    return {
        "id": f"job/{row}/0",
        "rollout": 0,
        "sample_index": row,
        "answer": str(row),
        "final_response": "",
        "config_id": "c",
        "dataset_path": "",
        "reward_score": {"score": row / 10, **scores},
        "metadata": {"total_turns": row, "score": -1.0},
        "sample_data": data or {},
    }


@contextmanager
def judging(traces: list[dict[str, Any]], where: str) -> Iterator[tuple[Judged, list[int]]]:
    """The verdict, and the rows that it keeps."""
    with TemporaryDirectory() as folder, shut(Path(folder)) as connection:
        writer = SheetWriter(Path(folder), sql=where)
        for one in traces:
            writer.add(Spot(), (one["sample_index"], 0), one)
        found = Judged(connection, writer.finish(), where)
        yield found, [index for (index,) in rows_of(connection, found.select(INDEX))[1]]


def kept(traces: list[dict[str, Any]], where: str) -> list[int]:
    with judging(traces, where) as (_, rows):
        return rows


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
        kept(traces, where)
    assert "\n" not in str(caught.value)


def said(where: str) -> str:
    traces = [trace(0, {"country": "france"}, **{"distance@km": 3.0})]
    with pytest.raises(InputError) as caught:
        kept(traces, where)
    return str(caught.value).removeprefix(f"--where {where!r}: ")


def test_a_wrong_name_is_answered_with_every_name_there_is_and_the_prefixes():
    names = (
        "score, distance@km, total_turns, country, id, sample_index, rollout, answer, final_response, config_id, "
        "dataset_path"
    )
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
    assert kept([], "whatever = 'x' and stop = 'answered'") == []
    with pytest.raises(InputError, match="the condition ends too early"):
        kept([], "score >")


def clauses(where: str) -> list[str]:
    with duckdb.connect() as connection:
        return [text.strip() for text in clause_texts(connection, where)]


@pytest.mark.parametrize(
    ("where", "pieces"),
    [
        ("a", ["a"]),
        ("a AND b and c > 1", ["a", "b", "c > 1"]),
        ("a between 1 and 2 and b", ["a between 1 and 2", "b"]),
        ("a = 'x and y' and b", ["a = 'x and y'", "b"]),
        ('"x and y" > 1 and b', ['"x and y" > 1', "b"]),
        ("a = 'it''s and' and b", ["a = 'it''s and'", "b"]),
        ("a -- this and that\n and b /* and c */ and d", ["a -- this and that", "b /* and c */", "d"]),
        ("(a or b) and not (c and d)", ["(a or b)", "not (c and d)"]),
        ("(a and b) and c", ["(a and b)", "c"]),
        ("a and b or c", ["a and b or c"]),
        ("a or b and c", ["a or b and c"]),
        ("case when a and b then c end and d", ["case when a and b then c end", "d"]),
        ("a in (select x from t where y and z) and b", ["a in (select x from t where y and z)", "b"]),
        ("a = $$x and y$$ and b", ["a = $$x and y$$", "b"]),
        ("a = e'it\\' and b' and c", ["a = e'it\\' and b'", "c"]),
        ("a >", ["a >"]),
    ],
)
def test_a_condition_is_cut_where_duckdb_reads_an_and_at_its_top(where: str, pieces: list[str]):
    assert clauses(where) == pieces


def judged(traces: list[dict[str, Any]], where: str) -> tuple[int, list[Clause]]:
    with judging(traces, where) as (found, _):
        return found.kept, found.clauses()


def test_a_trace_is_dropped_by_the_first_clause_that_is_not_true_of_it():
    traces = [trace(row, parse_success=row != 4) for row in range(10)]
    assert judged(traces, "parse_success and score > 0.3 and total_turns between 5 and 8") == (
        4,
        [Clause("parse_success", 1, 1), Clause("score > 0.3", 4, 4), Clause("total_turns between 5 and 8", 1, 6)],
    )


def test_a_clause_is_not_looked_at_where_one_before_it_is_not_true():
    traces = [trace(row, {"text": str(row) if row % 2 else "none"}) for row in range(6)]
    where = "text <> 'none' and text::int > 2"
    assert judged(traces, where) == (2, [Clause("text <> 'none'", 3, 3), Clause("text::int > 2", 1, 4)])


def test_what_sql_cannot_try_is_still_counted():
    traces = [trace(row) for row in range(4)]
    assert judged(traces, "random() >= 0 and score > (select 0.1)") == (
        2,
        [Clause("random() >= 0", 0, 0), Clause("score > (select 0.1)", 2, 2)],
    )


@pytest.mark.parametrize("where", ["count(*) > 1", "row_number() over () > 1", "score in (select sum(score))"])
def test_a_condition_is_about_one_trace(where: str):
    with pytest.raises(InputError, match="--where"):
        kept([trace(0)], where)


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.tuples(st.none() | st.booleans(), st.none() | st.integers(0, 3)), max_size=20),
    third=st.sampled_from(["true", "null", "score < 0.5"]),
)
def test_the_counts_of_clauses_are_those_of_three_valued_logic(values: list[Any], third: str):
    traces = [trace(row, {"flag": flag, "number": number}) for row, (flag, number) in enumerate(values)]
    truths = [
        (flag is True, number is not None and number > 1, third == "true" or (third[0] == "s" and row < 5))
        for row, (flag, number) in enumerate(values)
    ]
    if all(flag is None for flag, _ in values):  # then it is a column of texts
        return
    count, found = judged(traces, f"flag and number > 1 and ({third})")
    assert count == sum(map(all, truths))
    assert [one.dropped for one in found] == [
        sum(not each[at] and all(each[:at]) for each in truths) for at in range(3)
    ]
    assert [one.false for one in found] == [sum(not each[at] for each in truths) for at in range(3)]
