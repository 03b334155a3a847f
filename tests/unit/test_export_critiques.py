"""The critique set: what is drawn, the rows, and their training form."""

import json
import random
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.maths_files import question

from asyncgen.core.errors import InputError
from asyncgen.export.critique_figures import Figures, length_class, rounded
from asyncgen.export.critique_format import Level, NoCritiqueError, WiderError, formatted, whole_parquet
from asyncgen.export.critiques import Candidate, Drawing, candidates, critique_rows, drawn, labels_of, results_of
from asyncgen.export.json_array import whole_array

PROMPT = (
    "You are a mathematics expert. A student is trying to solve a question. Please explain briefly whether his answer "
    "is correct or not. Finally, conclude your judgement with 'Conclusion: right/wrong [END]'\n\nQuestion: What is "
    "$7 + 1$?\n\nStudent's solution:\nIt is 8\n\nCritique:"
)
RIGHT, WRONG = (Candidate("a", 0, "It is 8", "right"), Candidate("b", 2, "It is 9", "wrong"))


def filtered(**more: object) -> dict:
    return {
        **question(7),
        "a_solutions": ["It is 8", "", "cut", "same"],
        "b_solutions": ["same", "odd", "It is 9"],
        "reference_solutions": ["of the dataset itself"],
        "a_all_correct": False,
        "b_all_correct": False,
        "a_results": ["right", "wrong", "truncated", "wrong"],
        "b_results": ["right", "unknown", "wrong"],
        **more,
    }


def test_only_solutions_known_to_be_right_or_wrong_are_candidates():
    row, left_out = filtered(), Counter[str]()
    assert labels_of(row) == ["a", "b"]
    found = candidates(row, {label: results_of(row, label) for label in labels_of(row)}, left_out)
    assert [(one.label, one.number, one.result) for one in found] == [
        ("a", 0, "right"), ("a", 3, "wrong"), ("b", 0, "right"), ("b", 2, "wrong"),
    ]  # fmt: skip
    assert left_out == {"empty": 1, "truncated": 1, "unknown": 1}


def test_the_row_is_the_documents():
    (row,) = critique_rows(filtered(), 3, [RIGHT])
    assert row == {
        "prompt": PROMPT,
        "target": "right",
        "question": "What is $7 + 1$?",
        "solution": "It is 8",
        "gt_answer": "8",
        "subject": "subject 1",
        "level": 3,
        "data_source": "deepscaler_critique",
        "extra_info": {"original_index": 7, "solution_index": 0, "model_source": "a"},
    }


def test_the_plain_deepscaler_row_has_neither_subject_nor_level():
    (row,) = critique_rows({"problem": "p", "answer": "1", "solution": "s"}, 3, [WRONG])
    assert (row["question"], row["gt_answer"], row["subject"], row["level"]) == ("p", "1", "", "")
    assert row["extra_info"] == {"original_index": 3, "solution_index": 2, "model_source": "b"}


def many(rights: int, wrongs: int) -> list[Candidate]:
    found = [Candidate("a", number, f"r{number}", "right") for number in range(rights)]
    return found + [Candidate("b", number, f"w{number}", "wrong") for number in range(wrongs)]


def test_a_question_is_drawn_with_its_own_seed():
    found = many(8, 8)
    for index in range(20):
        places = sorted(random.Random(42 + index).sample(range(16), 4))
        assert drawn(found, index, Drawing()) == [found[place] for place in places]
    assert len({tuple(drawn(found, index, Drawing())) for index in range(20)}) > 15
    assert drawn(found, 3, Drawing(seed=1)) != drawn(found, 3, Drawing(seed=2))


@pytest.mark.parametrize(
    ("rights", "wrongs", "most", "expected"),
    [
        (8, 8, 4, {(2, 2)}),
        (15, 1, 4, {(1, 1)}),
        (1, 15, 4, {(1, 1)}),
        (4, 12, 100, {(4, 4)}),
        (16, 0, 4, {(4, 0)}),
        (0, 3, 4, {(0, 3)}),
        (8, 8, 3, {(1, 1)}),
        (2, 2, 4, {(2, 2)}),
        (1, 1, 4, {(1, 1)}),
        (0, 0, 4, {(0, 0)}),
    ],
)
def test_balanced_means_as_many_right_as_wrong_where_there_are_both(rights: int, wrongs: int, most: int, expected: set):
    shares = set()
    for index in range(40):
        chosen = drawn(many(rights, wrongs), index, Drawing(most=most, balance=True))
        assert len(set(chosen)) == len(chosen)
        count = Counter(one.result for one in chosen)
        shares.add((count["right"], count["wrong"]))
    assert shares == expected


@pytest.mark.parametrize(("most", "balance"), [(0, False), (1, True)])
def test_what_nothing_can_be_drawn_with_is_refused(most: int, balance: bool):
    with pytest.raises(InputError, match=f"max-samples-per-question {most}: give {1 + balance} or more"):
        Drawing(most=most, balance=balance)


def test_solutions_that_are_no_texts_leave_the_others_of_their_model():
    row, left_out = filtered(a_solutions=["It is 8", None, 3, "same"], b_solutions=None), Counter[str]()
    assert labels_of(row) == ["a", "b"]
    found = candidates(row, {"a": results_of(row, "a"), "b": results_of(row, "b")}, left_out)
    assert [(one.label, one.number) for one in found] == [("a", 0), ("a", 3)]
    assert left_out == {"no_text": 2}


def test_equal_texts_stay_unless_they_are_not_wanted():
    found = [Candidate(label, 0, "same", "wrong") for label in "abc"]
    assert drawn(found, 0, Drawing()) == found
    assert drawn(found, 0, Drawing(dedup=True)) == found[:1]


def test_the_training_form_is_the_documents():
    (row,) = critique_rows(filtered(), 3, [RIGHT])
    made = formatted(row, 11)
    assert list(made) == [
        "question", "gt_answer", "answer", "target", "subject", "level", "data_source", "prompt", "ability",
        "reward_model", "extra_info",
    ]  # fmt: skip
    assert made == {
        "question": "What is $7 + 1$?",
        "gt_answer": "right",
        "answer": "right",
        "target": "right",
        "subject": "subject 1",
        "level": 3,
        "data_source": "deepscaler_critique",
        "prompt": [{"content": PROMPT, "role": "user"}],
        "ability": "critique",
        "reward_model": {"ground_truth": "right", "style": "rule"},
        "extra_info": {
            "answer": "right",
            "index": 11,
            "level": 3,
            "split": "train",
            "original_index": 7,
            "solution_index": 0,
            "model_source": "a",
            "solution": "It is 8",
            "question_gt_answer": "8",
        },
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "maybe"}, "neither 'right' nor 'wrong'"),
        ({"prompt": [1]}, "no text 'prompt'"),
        ({"extra_info": None}, "'extra_info'"),
        ({"extra_info": {"original_index": "7"}}, "original_index is '7'"),
    ],
)
def test_what_is_no_critique_is_named(change: dict, words: str):
    (row,) = critique_rows(filtered(), 3, [RIGHT])
    with pytest.raises(NoCritiqueError, match=words):
        formatted({**row, **change}, 0)


def test_the_level_of_all_rows_has_one_type():
    level = Level()
    assert (level.fit(1), level.fit(2)) == (1, 2)
    with pytest.raises(WiderError):
        level.fit(2.5)
    assert [level.fit(value) for value in (1, 2.5)] == [1.0, 2.5]
    assert str(level.arrow) == "double"
    with pytest.raises(WiderError):
        level.fit("hard")
    assert [level.fit(value) for value in (1, 2.5, "hard")] == ["1", "2.5", "hard"]
    assert str(level.arrow) == "string"


def test_figures_count_both_forms_alike():
    one, other = Figures(), Figures()
    for place, candidate in enumerate([RIGHT, WRONG, RIGHT]):
        (row,) = critique_rows(filtered(), 3, [candidate])
        one.add(row)
        other.add(formatted(row, place))
    assert one.json() == other.json()
    assert (one.json()["rows"], one.json()["right"], one.json()["wrong"]) == (3, 2, 1)
    assert one.json()["by_model"] == [
        {"value": "a", "rows": 2, "right": 2, "wrong": 0},
        {"value": "b", "rows": 1, "right": 0, "wrong": 1},
    ]
    assert [one["value"] for one in one.json()["by_length"]] == ["0-499"]


def test_the_median_length_has_three_digits_and_takes_no_room_a_row():
    for lengths, median in (((), 0), ((3, 999, 12), 12), ((12_345, 12_399, 98_765, 98_799), 98_700)):
        figures = Figures()
        for length in lengths:
            figures.add({"target": "right", "solution": "x" * length, "extra_info": {}})
        assert figures.json()["characters"] == {"median": median, "longest": max(lengths, default=0)}
    assert len({rounded(length) for length in range(100_000)}) == 1000 + 900 + 900
    assert all(0.99 * length < rounded(length) <= length for length in range(1, 100_000, 7))


def test_halves_of_surrogate_pairs_are_repaired_in_both_files(tmp_path: Path):
    (row,) = critique_rows(filtered(), 3, [Candidate("a", 0, "It is \ud800 8", "right")])
    made = formatted({**row, "subject": "\udfff"}, 0)
    with whole_array(tmp_path / "x.json") as file, whole_parquet(tmp_path / "x.parquet", Level()) as table:
        file.add(made)
        table.add(made)
    (found,) = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert [found] == json.loads((tmp_path / "x.json").read_text())
    assert (found["subject"], found["extra_info"]["solution"]) == ("\ufffd", "It is \ufffd 8")
    assert "It is \ufffd 8" in found["prompt"][0]["content"]


def test_a_level_that_is_no_number_is_none_at_all():
    (row,) = critique_rows(filtered(level=float("nan")), 3, [RIGHT])
    assert formatted(row, 0)["level"] == ""


def test_lengths_fall_into_classes():
    assert [length_class(length) for length in (0, 499, 500, 8000)] == ["0-499", "0-499", "500-999", "8000+"]
