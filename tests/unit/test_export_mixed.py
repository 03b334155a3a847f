"""Classes of questions, who is kept, and the row of a filtered file."""

from itertools import product

import pytest
from support.maths_files import class_by_hand, kept_by_hand, question

from asyncgen.core.errors import InputError
from asyncgen.export.mixed import Class, Outcome, Tally, class_of, filtered_row, is_kept, outcome_of
from asyncgen.export.solutions import Solutions


def solutions(results: tuple[str, ...], index: int = 3) -> Solutions:
    texts = tuple(f"t{number}" for number in range(len(results)))
    return Solutions(
        index=index, position=index, row=question(index), truth="4", model="m", texts=texts, results=results, file="f"
    )


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (("right", "right"), "all_right"),
        (("right", "truncated", "unknown"), "all_right"),
        (("wrong", "truncated"), "all_wrong"),
        (("right", "wrong", "truncated"), "mixed"),
        (("truncated", "truncated"), "unknown"),
        (("unknown",), "unknown"),
        ((), "unknown"),
    ],
)
def test_truncated_and_unknown_solutions_count_neither_way(results: tuple[str, ...], expected: str):
    assert class_of(results) == expected


@pytest.mark.parametrize("classes", list(product(Class, repeat=2)) + list(product(Class, repeat=3)))
@pytest.mark.parametrize("strict", [False, True])
def test_a_question_is_kept_as_the_table_says(classes: tuple[Class, ...], *, strict: bool):
    assert is_kept(outcome_of(classes), strict=strict) == kept_by_hand([str(one) for one in classes], strict=strict)


def test_all_right_by_one_and_all_wrong_by_the_other_is_kept_unless_strict():
    outcome = outcome_of([Class.ALL_RIGHT, Class.ALL_WRONG])
    assert outcome is Outcome.DIFFER
    assert is_kept(outcome, strict=False)
    assert not is_kept(outcome, strict=True)


def test_a_filtered_row_has_all_fields_and_each_models_solutions_flags_and_results():
    found = {"qwen25": solutions(("right", "right")), "qwen3": solutions(("wrong", "truncated"))}
    row = filtered_row(question(3), found)
    assert {key: row[key] for key in question(3)} == question(3)
    assert list(row)[len(question(3)) :] == [
        "qwen25_solutions", "qwen3_solutions", "qwen25_all_correct", "qwen25_all_incorrect", "qwen3_all_correct",
        "qwen3_all_incorrect", "qwen25_results", "qwen3_results",
    ]  # fmt: skip
    assert (row["qwen25_all_correct"], row["qwen25_all_incorrect"]) == (True, False)
    assert (row["qwen3_all_correct"], row["qwen3_all_incorrect"]) == (False, True)
    assert row["qwen3_solutions"] == ["t0", "t1"]
    assert row["qwen3_results"] == ["wrong", "truncated"]


def test_a_label_that_hides_a_field_is_refused():
    with pytest.raises(InputError, match="'a_results' already"):
        filtered_row({**question(3), "a_results": 1}, {"a": solutions(("right",))})


def test_the_tally_adds_up():
    pairs = [
        (("right",), ("right",)),
        (("right",), ("wrong",)),
        (("wrong", "right"), ("truncated",)),
        ((), ("unknown",)),
    ]
    tally = Tally(labels=["a", "b"])
    for one, other in pairs:
        tally.note({"a": solutions(one), "b": solutions(other)})
    found = tally.json()
    assert (found["questions"], found["kept"], found["dropped"]) == (4, 2, 2)
    assert {name: count for name, count in found["outcomes"].items() if count} == {
        "mixed": 1, "differ": 1, "all_right": 1, "unknown": 1,
    }  # fmt: skip
    for label, place in (("a", 0), ("b", 1)):
        by_hand = [class_by_hand(pair[place]) for pair in pairs]
        assert found["models"][label]["classes"] == {
            kind: by_hand.count(kind) for kind in ("all_right", "all_wrong", "mixed", "unknown")
        }
        flat = [result for pair in pairs for result in pair[place]]
        assert found["models"][label]["solutions"] == {
            result: flat.count(result) for result in ("right", "wrong", "truncated", "unknown")
        }
    assert sum(one["questions"] for one in found["together"]) == 4
