"""Rewards by name: what a job file may say, and what it is told where it says something else."""

from __future__ import annotations

from typing import Any

import pytest
from support.qa_traces import Judge
from support.region_traces import answered, row

from asyncgen.core.errors import InputError
from asyncgen.rewards.critique import CritiqueReward
from asyncgen.rewards.format import FormatReward
from asyncgen.rewards.geo import GeoReward
from asyncgen.rewards.length import LengthReward
from asyncgen.rewards.maths import MathReward
from asyncgen.rewards.named import REWARDS, AnswerJudge, failure_scores, named_rewards
from asyncgen.rewards.process_judge import ProcessJudge
from asyncgen.rewards.qa import QaReward
from asyncgen.rewards.region import RegionReward
from asyncgen.rewards.total import TotalReward


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (["region"], (RegionReward(),)),
        (["format", "region", {"length": {"per_char": 0.002, "cap": 2}}, "judge"],
         (FormatReward(), RegionReward(), LengthReward(per_char=0.002, cap=2), ProcessJudge())),
        ([{"region": {"rule": "seekworld", "polygons": "a.json"}}, {"format": None}],
         (RegionReward(rule="seekworld", polygons="a.json"), FormatReward())),
        (["format", "region", "length", {"total": {"variant": "length"}}],
         (FormatReward(), RegionReward(), LengthReward(), TotalReward(variant="length"))),
        (["format", {"total": {"weights": {"format": 2}}}], (FormatReward(), TotalReward(weights={"format": 2.0}))),
        (["qa", {"judge": {"of": "answer"}}], (QaReward(), AnswerJudge())),
        (["region", {"judge": {"of": "process", "seconds": 5}}], (RegionReward(), ProcessJudge(seconds=5))),
        ([{"geo": {"scale_km": 100}}, "format"], (GeoReward(scale_km=100), FormatReward())),
        (["math", "length"], (MathReward(), LengthReward())),
        ([{"qa": {"support": True}}], (QaReward(support=True),)),
        (["critique"], (CritiqueReward(),)),
    ],
)  # fmt: skip
def test_each_name_is_a_reward_with_its_options(spec: list[Any], wanted: tuple[Any, ...]) -> None:
    assert named_rewards(spec) == wanted


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ([], "give a list"),
        ("region", "give a list"),
        ({"region": {}}, "give a list"),
        (["regions"], r"rewards\[0\]: there is no reward 'regions': did you mean 'region'\?"),
        (["region", "xyz"], r"rewards\[1\]: there is no reward 'xyz' \(known: critique, format"),
        (["region", 7], r"rewards\[1\]: it is 7"),
        (["region", {"length": {}, "format": {}}], r"rewards\[1\]: it is .*give a name"),
        ([{"region": "strict"}], "give a name"),
        ([{"length": {"per_chr": 1}}], r"rewards\[0\].length: there is no option 'per_chr': did you mean 'per_char'\?"),
        ([{"length": {"cap": "much"}}], r"rewards\[0\].length: cap: "),
        ([{"length": {"cap": 0}}], "cap 0"),
        ([{"region": {"rule": "strikt"}}], "did you mean 'strict'"),
        ([{"judge": {"of": "life"}}], r"judge: of is 'life'; give process or answer"),
        ([{"judge": {"of": "answer", "seconds": 3}}], "there is no option 'seconds'"),
        (["format", "region", "format"], r"rewards\[2\]: an earlier reward gives format already"),
        (["region", "judge", {"judge": {"of": "answer"}}], "gives judge already"),
        (["region", {"total": {"variant": "length"}}], r"no reward before it gives 'format'"),
        ([{"total": {"variant": "accuracy"}}, "region"], r"rewards\[0\]: no reward before it gives 'accuracy'"),
        (["format", {"total": {"weights": {"formats": 1}}}], "gives 'formats': did you mean 'format'"),
        (["format", "length"], r"nobody gives the score; add {total: {weights: {…}}} of format, length"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(spec: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        named_rewards(spec)
    assert "\n" not in str(caught.value)


def test_the_text_says_where_the_list_stands() -> None:
    with pytest.raises(InputError, match=r"^job.yaml: rewards\[0\]: "):
        named_rewards(["x"], "job.yaml: rewards")


def test_the_failure_scores_are_those_of_all_and_what_every_trace_has() -> None:
    spec = ["format", "region", "length", "judge", {"total": {"variant": "judge"}}]
    assert failure_scores(named_rewards(spec)) == {
        "score": 0.0, "parse_success": False, "format": 0.0, "accuracy": 0.0, "country_match": 0.0, "region_match": 0.0,
        "length": 0.0, "judge": 0.0,
    }  # fmt: skip
    assert failure_scores(()) == {"score": 0.0, "parse_success": False}
    assert failure_scores([lambda context, sample, trace: {}]) == failure_scores(())


def test_every_name_can_be_listed_alone_or_after_a_region() -> None:
    for name in REWARDS:
        *_, reward = named_rewards([name] if name == "region" else ["region", name])
        assert reward.failure  # type: ignore[attr-defined]  # a Reward may be a plain function; these are none


async def test_the_judge_of_an_answer_is_that_of_questions() -> None:
    (_, judge) = named_rewards(["qa", {"judge": {"of": "answer"}}])
    sample, trace = row(question="Where?", answer="Italy"), answered("<answer>Italy, Lazio</answer>")
    given: Any = judge(Judge("[1]"), sample, trace)
    assert await given == {"judge": 1.0}
