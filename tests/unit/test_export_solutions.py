"""What of rows and traces is a solution, and what it is known to be."""

import pytest
from support.maths_files import math_line, question, solved

from asyncgen.export.solutions import (
    chunk_row,
    merged_row,
    result_of_trace,
    row_index,
    solutions_of_row,
    solutions_of_traces,
    truth_of,
    with_index,
)
from asyncgen.store.line import parse_line


@pytest.mark.parametrize(
    ("row", "index"),
    [
        ({"extra_info": {"index": 5}}, 5),
        ({"extra_info": {"index": "17"}}, 17),
        ({"extra_info": {"index": 4.0}}, 4),
        ({"extra_info": {"index": 4.5}}, 99),
        ({"extra_info": {"index": True}}, 99),
        ({"extra_info": {"index": -1}}, 99),
        ({"extra_info": {"index": 10**30}}, 99),
        ({"extra_info": {"index": float("nan")}}, 99),
        ({"extra_info": "index"}, 99),
        ({}, 99),
    ],
)
def test_a_row_has_its_own_index_or_its_place(row: dict, index: int):
    assert row_index(row, 99) == index


def test_a_row_without_an_index_keeps_the_one_that_it_got():
    assert with_index({"problem": "p"}, 7) == {"problem": "p", "extra_info": {"index": 7}}
    assert with_index({"extra_info": {"split": "train"}}, 7) == {"extra_info": {"split": "train", "index": 7}}
    assert with_index(question(7), 7) == question(7)


@pytest.mark.parametrize("extra", ["keep me", ["a"], "", {"index": "train-3"}, {"index": 4.5, "split": "train"}])
def test_an_index_takes_the_place_of_nothing(extra: object):
    row = {"problem": "p", "extra_info": extra}
    assert with_index(row, 7) == {**row, "row_index": 7}
    assert row_index(with_index(row, 7), 99) == 7
    assert with_index(with_index(row, 7), 7) == with_index(row, 7)
    assert row_index({"problem": "p", "row_index": 7}, 99) == 99


def test_a_truth_that_is_blank_is_none():
    row = question(1, truth=" ")
    assert truth_of(row) == ""
    assert truth_of({**row, "target": 12}) == "12"


def traces(*texts: tuple[str, float, str]):
    return [
        parse_line(math_line(question(3), 3, number, text, score=score, finish=finish))
        for number, (text, score, finish) in enumerate(texts)
    ]


def test_a_trace_is_right_wrong_truncated_or_unknown():
    found = traces(("a", 1.0, "stop"), ("b", 0.0, "stop"), ("c", 1.0, "length"), ("", 0.0, "stop"))
    assert [result_of_trace(one) for one in found] == ["right", "wrong", "truncated", "unknown"]
    no_verdict = {**found[1], "reward_score": {"score": 0.0, "parse_success": False, "truncated": False}}
    assert result_of_trace(no_verdict) == "unknown"
    assert result_of_trace({**no_verdict, "answer": ""}) == "wrong"


def test_traces_of_one_question_become_a_merged_row_and_a_chunk_row():
    found = solutions_of_traces(
        traces(("a", 1.0, "stop"), ("b", 0.0, "stop")), index=3, model="lab/solver", file="traces.jsonl"
    )
    results = {"model_solutions": ["a", "b"], "model_name": "lab/solver", "model_results": ["right", "wrong"]}
    assert merged_row(found) == {**question(3), **results}
    assert chunk_row(found, 2, 1) == {**question(3), **results, "chunk_id": 2, "chunk_index": 1}


def test_a_row_of_an_old_script_has_no_results_and_loses_its_chunk():
    row = {**solved(question(3), 0, "m"), "chunk_id": 0, "chunk_index": 3}
    found = solutions_of_row(row, index=3, position=3, model="m", file="x.json")
    assert not found.is_judged
    assert merged_row(found) == solved(question(3), 0, "m")


@pytest.mark.parametrize(
    ("results", "known"),
    [
        (["right", "wrong"], ("right", "unknown")),
        (["right", "truncated"], ("right", "truncated")),
        (["right"], ()),
        (["right", "perhaps"], ()),
        ("right", ()),
    ],
)
def test_results_count_only_where_each_solution_has_one(results: object, known: tuple):
    row = {**question(0), "model_solutions": ["a", " \n"], "model_results": results}
    assert solutions_of_row(row, index=0, position=0, model="", file="").results == known


def test_solutions_that_are_no_texts_are_refused():
    with pytest.raises(ValueError, match="model_solutions"):
        solutions_of_row({"model_solutions": ["a", None]}, index=0, position=0, model="", file="")
