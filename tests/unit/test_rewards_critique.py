"""The conclusion of a critique, and the rows of the critique set."""

from __future__ import annotations

from typing import Any, cast

import pytest
from support.maths_world import solution

from asyncgen.core.errors import EpisodeError
from asyncgen.core.types import Context, Sample
from asyncgen.rewards.critique import CritiqueReward, conclusion, critique_messages, critique_target


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Conclusion: right [END]", "right"),
        ("Conclusion: wrong [END]", "wrong"),
        ("conclusion: WRONG", "wrong"),
        ("**Conclusion: right [END]**", "right"),
        ("**Conclusion:** **wrong** [END]", "wrong"),
        ("Conclusion: [wrong]", "wrong"),
        ("Conclusion:\n\nright", "right"),
        ("Conclusion: <b>right</b>", "right"),
        ("<conclusion>Conclusion: wrong</conclusion>", "wrong"),
        (r"Conclusion: \boxed{right}", "right"),
        (r"Conclusion: $\text{wrong}$", "wrong"),
        ("Conclusion：right", "right"),
        ("Conclusion: right. Wait.\nConclusion: wrong [END]", "wrong"),
        ("My final conclusion is: right", "right"),
        ("Conclusion: right/wrong [END]", ""),
        ("Conclusion: rightly so", ""),
        ("Conclusion: correct", ""),
        ("Conclusion: right or wrong", ""),
        ("Conclusion: right? No: wrong", "wrong"),
        ("Conclusion: right, not wrong", ""),
        ("Conclusion: right-angled triangle", ""),
        ("Conclusion: right triangle", ""),
        ("Conclusion: wrong, because 2 is not 3", "wrong"),
        ("Conclusion: right [END] What is wrong?", "right"),
        ("Conclusion: right" + "*" * 50_000 + "?", "right"),
        ("Conclusion: right\nConclusion: unclear", ""),
        ("In conclusion the answer is wrong", ""),
        ("right", ""),
        ("", ""),
        ("Conclusion:" + " *" * 50_000 + "?", ""),
        ("conclusion " * 10_000, ""),
    ],
    ids=lambda text: str(text)[:40],
)
def test_the_last_conclusion_counts(text: str, verdict: str) -> None:
    assert conclusion(text) == verdict


def test_the_target_is_looked_for_before_and_after_formatting() -> None:
    rows: list[dict[str, Any]] = [
        {"target": "Right", "answer": "5"},
        {"answer": "wrong", "reward_model": {"ground_truth": "right"}},
        {"answer": "5", "reward_model": {"ground_truth": "right", "style": "rule"}},
    ]
    assert [critique_target(row) for row in rows] == ["right", "wrong", "right"]
    with pytest.raises(EpisodeError, match="neither right nor wrong: looked in target, answer"):
        critique_target({"target": "maybe", "answer": 3, "reward_model": None})


def test_the_prompt_goes_out_as_the_row_has_it() -> None:
    assert [(one.role, one.content) for one in critique_messages({"prompt": "Q: {x}\n <image>"})] == [
        ("user", "Q: {x}\n <image>")
    ]
    listed = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert [(one.role, one.content) for one in critique_messages({"prompt": listed})] == [
        ("system", "s"),
        ("user", "u"),
    ]


@pytest.mark.parametrize("prompt", ["", " ", None, [], [{"role": "user"}], [{"role": "tool", "content": "x"}], [3], 5])
def test_a_prompt_that_is_none_is_a_bad_sample(prompt: object) -> None:
    with pytest.raises(EpisodeError, match="neither a text nor a list of messages"):
        critique_messages({"prompt": prompt})


@pytest.mark.parametrize(("answer", "scores"), [("right", (1.0, True)), ("wrong", (0.0, True)), ("", (0.0, False))])
def test_a_critique_scores_one_where_it_agrees(answer: str, scores: tuple[float, bool]) -> None:
    sample = Sample(index=0, data={"target": "right"})
    found = CritiqueReward()(cast("Context", None), sample, solution("", answer))
    assert found == dict(zip(("score", "parse_success"), scores, strict=True))
    assert list(found) == list(CritiqueReward.failure)


@pytest.mark.parametrize(
    ("text", "finish_reason", "scores"),
    [
        ("Conclusion: right. But wait, let me check the second", "length", (0.0, False)),
        ("Conclusion: right", "length", (0.0, False)),
        ("[END] Conclusion: right", "length", (0.0, False)),
        ("Conclusion: right [END] and", "length", (1.0, True)),
        ("Conclusion: right", "stop", (1.0, True)),
    ],
)
def test_a_critique_that_was_cut_off_counts_only_where_its_conclusion_was_closed(
    text: str, finish_reason: str, scores: tuple[float, bool]
) -> None:
    sample = Sample(index=0, data={"target": "right"})
    trace = solution(text, conclusion(text), finish_reason=finish_reason)
    assert tuple(CritiqueReward()(cast("Context", None), sample, trace).values()) == scores
