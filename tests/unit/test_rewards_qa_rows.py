"""Where question sets have their questions, their answers and what supports them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.rewards.qa_rows import check_question_columns, check_truth, question, support_titles, truths

USER = {"role": "user", "content": "last"}


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ({"question": " Who?\n"}, "Who?"),
        ({"question": "a", "extra_info": {"question": "b"}}, "a"),
        ({"question": " ", "extra_info": {"question": "b"}}, "b"),
        ({"question": None, "extra_info": {"question": "b"}, "prompt": [USER]}, "b"),
        ({"extra_info": {"index": 1}, "prompt": [{"role": "user", "content": "first"}, USER]}, "last"),
        ({"prompt": [{"role": "system", "content": "s"}, USER, {"role": "assistant", "content": "a"}]}, "last"),
        ({"prompt": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image"}]}]}, "x"),
        ({"prompt": "as a text"}, "as a text"),
    ],
)
def test_a_question_is_looked_for_in_three_places(data: dict[str, Any], wanted: str) -> None:
    assert question(data) == wanted


@pytest.mark.parametrize(
    "data",
    [
        {"question": ""},
        {"question": "  \n"},
        {"question": 3},
        {"extra_info": "text"},
        {"extra_info": {"question": None}},
        {"prompt": []},
        {"prompt": [{"role": "system", "content": "s"}]},
        {"prompt": [USER | {"content": None}]},
    ],
)
def test_a_row_without_a_question_is_a_bad_sample(data: dict[str, Any]) -> None:
    with pytest.raises(EpisodeError, match=r"looked in question, extra_info\.question, prompt") as caught:
        question(data)
    assert caught.value.reason is FailReason.BAD_SAMPLE


def test_a_dataset_without_a_place_for_questions_is_refused_with_its_columns() -> None:
    for columns in (["question"], ["extra_info", "x"], ["prompt"]):
        check_question_columns(columns)
    with pytest.raises(InputError, match=r"the columns are id, text; rename one of them to question"):
        check_question_columns(["id", "text"])


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ({"answer": " Paris "}, ("Paris",)),
        ({"answer": ["a", "b", "a", ""]}, ("a", "b")),
        ({"answer": 1998}, ("1998",)),
        ({"answer": True}, ()),
        ({"answer": "a", "golden_answers": ["a", "A."]}, ("a", "A.")),  # all places count
        ({"answers": {"text": ["x", "y"], "answer_start": [3, 9]}}, ("x", "y")),  # SQuAD
        ({"answers": [{"text": "x"}]}, ("x",)),
        ({"answer": {"value": "v", "aliases": ["w"], "type": "Entity"}}, ("v", "w")),  # TriviaQA
        ({"extra_info": {"answer": "a", "golden_answers": ["b"]}}, ("a", "b")),
        ({"reward_model": {"style": "rule", "ground_truth": "g"}}, ("g",)),
        ({"reward_model": {"ground_truth": {"target": ["g", "h"]}}}, ("g", "h")),  # Search-R1
        ({"reward_model": {"ground_truth": ["g"]}, "answer": None}, ("g",)),
        ({"answer": None, "reward_model": None, "extra_info": []}, ()),
        ({"solution": "a"}, ()),
    ],
)
def test_accepted_answers_are_all_that_the_row_has(data: dict[str, Any], wanted: tuple[str, ...]) -> None:
    assert truths(data) == wanted


def test_a_row_whose_answer_columns_are_empty_is_a_bad_sample_that_says_where_was_looked() -> None:
    with pytest.raises(EpisodeError, match=r"no accepted answer: looked in answer, extra_info\.answer$") as caught:
        check_truth({"question": "q", "answer": None, "extra_info": {"answer": " ", "index": 1}})
    assert caught.value.reason is FailReason.BAD_SAMPLE


def test_a_row_without_answer_columns_passes() -> None:
    check_truth({"question": "q", "extra_info": {"index": 1}, "reward_model": {"style": "rule"}})


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({"title": ["A", "A", "B"], "sent_id": [0, 1, 0]}, ("A", "B")),  # HotpotQA in datasets
        ([["A", 0], ["B", 2]], ("A", "B")),  # HotpotQA and 2Wiki in JSON
        ([{"title": "A", "sent_id": 0}], ("A",)),
        (["A", " B "], ("A", "B")),
        ({"title": None}, ()),
        ([None, 3, [], [4], {"title": 5}, ""], ()),
        ("A", ()),
        (None, ()),
    ],
)
def test_supporting_titles_are_read_in_each_shape(facts: Any, wanted: tuple[str, ...]) -> None:
    assert support_titles({"supporting_facts": facts}) == wanted
    assert support_titles({"extra_info": {"supporting_facts": facts}}) == wanted


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["question", "answer", "title", "text", "target", "role", "content", "ground_truth"]), inner
        )
    ),
    max_leaves=12,
)
PLACES = ["question", "prompt", "answer", "answers", "golden_answers", "extra_info", "reward_model", "supporting_facts"]


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(PLACES), JSON))
def test_no_row_is_a_crash(data: dict[str, Any]) -> None:
    assert all(isinstance(one, str) and one.strip() for one in (*truths(data), *support_titles(data)))
    assert all(_reason(look, data) in {None, FailReason.BAD_SAMPLE} for look in (question, check_truth))


def _reason(look: Callable[[dict[str, Any]], object], data: dict[str, Any]) -> FailReason | None:
    try:
        look(data)
    except EpisodeError as error:
        return error.reason
    return None
