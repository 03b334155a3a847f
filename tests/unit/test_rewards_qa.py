"""Exact match, F1 and the recall of supporting passages, against values worked out by hand from the published rules."""

from __future__ import annotations

import pytest
from support.context import FakeContext
from support.qa_traces import searched

from asyncgen import rewards
from asyncgen.core.types import Sample
from asyncgen.rewards.qa import LONGEST, QaReward, exact_match, f1, normalised, qa_scores, support_recall
from asyncgen.tools.hits import Hit
from asyncgen.tools.search import _LAYOUTS


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The Eiffel Tower", "eiffel tower"),
        ("an apple a day", "apple day"),
        ("  two\n\tlines  ", "two lines"),
        ("Theatre of another", "theatre of another"),  # articles as whole words only
        ("U.S.A.", "usa"),
        ("well-known", "wellknown"),
        ("$1,000.50", "100050"),
        ("O'Neill", "oneill"),
        ("“Heroes” – a song…", "heroes song"),
        ("ＡＢＣ １２３", "abc 123"),
        ("Beyonce\u0301", "beyoncé"),
        ("東京 タワー", "東 京 タ ワ ー"),
        ("「東京」、日本。", "東 京 日 本"),
        ("서울 시", "서 울 시"),
        ("2008年8月", "2008 年 8 月"),
        ("A", "a"),
        ("The A.", "the a"),
        ("The The", "the the"),
        ("!!!", "!!!"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_a_text_is_normalised_as_squad_does_it(text: str, wanted: str) -> None:
    assert normalised(text) == wanted
    assert normalised(wanted) == wanted


@pytest.mark.parametrize(
    ("answer", "accepted", "wanted"),
    [
        ("the Złoty!", ["złoty"], 1.0),
        ("Paris", ["London", "paris."], 1.0),
        ("Paris, France", ["Paris"], 0.0),
        ("A.", ["A"], 1.0),
        ("the", ["A"], 0.0),
        ("北京 市", ["北京市"], 1.0),
        ("Yes.", ["yes"], 1.0),
        ("", [""], 0.0),
        ("Paris", [], 0.0),
    ],
)
def test_exact_match_is_against_any_accepted_answer(answer: str, accepted: list[str], wanted: float) -> None:
    assert exact_match(answer, accepted) == wanted


@pytest.mark.parametrize(
    ("answer", "accepted", "wanted"),
    [
        ("Marie Curie", ["Marie Curie"], 1.0),
        ("Marie Curie", ["Curie"], 2 / 3),  # P 1/2, R 1
        ("the great Marie Curie", ["Marie Skłodowska Curie"], 2 / 3),  # P 2/3, R 2/3
        ("new new york", ["new york new jersey"], 6 / 7),  # counted as often as it stands: 3 of 3, 3 of 4
        ("Curie", ["Einstein", "Pierre Curie"], 2 / 3),
        ("London", ["Paris"], 0.0),
        ("yes it is", ["yes"], 0.0),  # HotpotQA: no part of yes
        ("yes", ["yes it is"], 0.0),
        ("no", ["no"], 1.0),
        ("noanswer", ["no"], 0.0),
        ("北京大学", ["北京"], 2 / 3),  # by characters: P 2/4, R 1
        ("", ["x"], 0.0),
        ("x", [], 0.0),
    ],
)
def test_f1_is_the_best_over_the_accepted_answers(answer: str, accepted: list[str], wanted: float) -> None:
    assert f1(answer, accepted) == pytest.approx(wanted)


def test_an_endless_answer_costs_no_more_than_a_long_one() -> None:
    assert f1("x " * 10_000_000, ["x"]) == pytest.approx(2 / (LONGEST / 2 + 1))


RESULT = """Query: who
[1] Marie  Curie: she was
[2] Star Wars: Episode IV: a film
[3] no title here

Query: x
[no results]"""


@pytest.mark.parametrize(
    ("titles", "wanted"),
    [
        (["Marie Curie"], 1.0),
        (["marie curie", "Marie Curie", "MARIE  CURIE"], 1.0),  # one title
        (["Marie Curie", "Poland"], 0.5),
        (["Star Wars: Episode IV"], 1.0),
        (["Curie", "no title", "who", "Marie"], 0.0),
        (["Berlin"], 0.0),  # it stands in the question
        (["Rome"], 0.0),  # and this in what the model said
        ([], 0.0),
        (["", " "], 0.0),
    ],
)
def test_a_supporting_title_is_found_where_a_result_begins_with_it(titles: list[str], wanted: float) -> None:
    assert support_recall(titles, searched(RESULT)) == wanted


@pytest.mark.parametrize("layout", ["list", "search-r1"])
@pytest.mark.parametrize(
    "title", ["Marie Curie", '"Heroes" (album)', "A: B (C)", "東京", "I (Am) [1]", "Beyoncé", 'He said "x")']
)
@pytest.mark.parametrize("block", ["{}", "<tool_response>\n{}\n</tool_response>", "<information>\n{}\n</information>"])
def test_titles_are_read_back_from_what_the_search_tool_writes(layout: str, title: str, block: str) -> None:
    text = _LAYOUTS[layout]("query", [Hit(title="Other", text="x"), Hit(title=title, text="the text: and more")])
    trace = searched(block.format(text), role="user")
    assert support_recall([title, "Nowhere"], trace) == 0.5


def test_the_reward_gives_the_scores_of_the_search_job() -> None:
    sample = Sample(index=0, data={"answer": "Paris", "supporting_facts": {"title": ["Poland"], "sent_id": [0]}})
    trace = searched("Query: y\n[1] Poland: z", answer="Paris, France")
    assert qa_scores(FakeContext(), sample, trace) == {"score": 0.0, "em": 0.0, "f1": pytest.approx(2 / 3)}
    both = QaReward(support=True)
    assert both(FakeContext(), sample, trace) == {
        "score": 0.0,
        "em": 0.0,
        "f1": pytest.approx(2 / 3),
        "support_recall": 1.0,
    }
    assert list(both.failure) == ["score", "em", "f1", "parse_success", "support_recall"]
    assert QaReward().failure == {"score": 0.0, "em": 0.0, "f1": 0.0, "parse_success": False}


def test_a_row_without_an_accepted_answer_scores_nothing() -> None:
    trace = searched(answer="Paris")
    assert qa_scores(FakeContext(), Sample(index=0, data={}), trace) == {"score": 0.0, "em": 0.0, "f1": 0.0}


def test_a_dataset_without_answers_is_worth_a_remark() -> None:
    assert "em and f1 stay 0" in qa_scores.remark(["question", "level"])
    assert not qa_scores.remark(["question", "reward_model"])


def test_every_public_name_of_the_rewards_is_there() -> None:
    assert rewards.__all__ == sorted(rewards.__all__, key=lambda name: (not name.isupper(), name))
    assert set(rewards._HOME) == set(rewards.__all__)
    for name in rewards.__all__:
        assert getattr(rewards, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'em'"):
        _ = rewards.em
