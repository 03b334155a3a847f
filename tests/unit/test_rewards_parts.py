"""The parts of a reasoned answer's score: format, length, the judge of the thinking, and the total."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from support.region_traces import SharingJudge, answered, row

from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.core.types import Completion, Json, Message, Scores
from asyncgen.rewards.format import FormatReward, in_format
from asyncgen.rewards.length import LengthReward, counted
from asyncgen.rewards.process_judge import LONGEST, Limit, ProcessJudge, verdict_of
from asyncgen.rewards.total import TotalReward

CONTEXT: Any = None

# format


@pytest.mark.parametrize(
    ("response", "kept"),
    [
        ("<think>a</think><answer>b</answer>", True),
        ("\n<think>a</think>\n\n <answer>b</answer>\n", True),
        ("<think></think><answer></answer>", True),
        ("<think>a\nb</think><answer>c\nd</answer>", True),
        ("<think>a</answer></think><answer>b</answer>", True),
        ("<think>a</think><answer>b</think></answer>", True),
        ("<思考>甲</思考>\n<答案>乙</答案>", True),
        ("<思考>a <think> b</思考><答案>c</答案>", True),
        ("", False),
        ("a", False),
        ("<answer>b</answer>", False),
        ("<think>a</think>", False),
        ("so <think>a</think><answer>b</answer>", False),
        ("<think>a</think><answer>b</answer>.", False),
        ("<think>a</think> so <answer>b</answer>", False),
        ("<think>a</think><answer>b", False),
        ("<think>a<answer>b</answer>", False),
        ("<think>a</think><answer>b</answer></answer>", False),
        ("<think>a</think></think><answer>b</answer>", False),
        ("<think>a<think></think><answer>b</answer>", False),
        ("<think>a <answer></think><answer>b</answer>", False),
        ("<think>a</think><answer>b</answer><answer>c</answer>", False),
        ("<answer>b</answer><think>a</think>", False),
        ("<think>a</ think><answer>b</answer>", False),
        ("<THINK>a</THINK><answer>b</answer>", False),
        ("<think>a</think><答案>b</答案>", False),
        ("<思考>a</思考><answer>b</answer>", False),
        ("<思考>a</think><答案>b</答案>", False),
        ("<思考>甲</ 思考 >< 答案 >乙</ 答案>", False),
    ],
)
def test_the_format_is_one_thought_and_one_answer_and_nothing_else(response: str, kept: bool) -> None:
    assert in_format(response) == kept
    assert FormatReward()(CONTEXT, row(), answered(response)) == {"format": 0.5 if kept else 0.0}


def test_the_tags_may_have_to_be_of_one_language() -> None:
    english, chinese = "<think>a</think><answer>b</answer>", "<思考>甲</思考><答案>乙</答案>"
    assert [in_format(one, "en") for one in (english, chinese)] == [True, False]
    assert [in_format(one, "zh") for one in (english, chinese)] == [False, True]
    assert FormatReward(tags="en")(CONTEXT, row(), answered(chinese)) == {"format": 0.0}
    with pytest.raises(InputError, match="tags 'fr'"):
        FormatReward(tags="fr")  # type: ignore[arg-type]  # what a YAML file may say


@pytest.mark.parametrize(
    ("reasoning", "response", "score"),
    [
        ("a", "<answer>b</answer>", 0.5),
        ("a", "\n\n<答案>b</答案>", 0.5),
        ("a", "so <answer>b</answer>", 0.0),
        ("a <answer>", "<answer>b</answer>", 0.0),
        ("a </think>", "<answer>b</answer>", 0.0),
        (" ", "<answer>b</answer>", 0.0),
        ("a", "<think>c</think><answer>b</answer>", 0.5),
    ],
)
def test_thinking_in_a_field_of_its_own_counts_as_in_its_tags(reasoning: str, response: str, score: float) -> None:
    assert FormatReward()(CONTEXT, row(), answered(response, reasoning=reasoning)) == {"format": score}


def test_of_several_turns_the_last_has_the_format() -> None:
    whole = "<think>a</think><answer>b</answer>"
    assert FormatReward()(CONTEXT, row(), answered("x", whole)) == {"format": 0.5}
    assert FormatReward()(CONTEXT, row(), answered(whole, "x")) == {"format": 0.0}
    assert FormatReward()(CONTEXT, row(), answered()) == {"format": 0.0}
    assert FormatReward.without_answer


# length


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("abc", 3),
        ("a b\tc\n\u3000d", 4),
        ("Well, it's (so-called) [x]!?;:\"_", 16),
        ("中国，云南。", 4),
        ("「你好」——《书》…、！？；：（）【】", 3),
        ("a+b=c ~ $5 <x> ^|`", 5),
        ("１２，＋＝～", 2),
        ("é ñ ß", 3),
        ("🙂 °", 2),
    ],
)
def test_characters_count_that_are_neither_blank_nor_punctuation(text: str, count: int) -> None:
    assert counted(text, 1_000) == count
    assert counted(text, 2) == min(count, 2)


@pytest.mark.parametrize(
    ("responses", "reasoning", "length"),
    [
        (["<think>" + "a" * 250 + "</think><answer>" + "b" * 500 + "</answer>"], "", 0.25),
        (["<think>" + "a, " * 1000 + "</think>"], "", 1.0),
        (["<think>" + "a" * 5000 + "</think>"], "", 1.0),
        (["<思考>" + "甲，" * 100 + "</ 思考 >< 答案 >乙</ 答案>"], "", 0.1),
        (["<answer>b</answer>"], "a" * 100, 0.1),
        (["<think>" + "a" * 100 + "</think>", "<think>" + "b" * 50 + "</think><answer>c</answer>"], "", 0.15),
        (["no thinking at all"], "", 0.0),
        ([], "", 0.0),
    ],
)
def test_length_is_a_thousandth_a_character_of_all_thinking_and_at_most_1(
    responses: list[str], reasoning: str, length: float
) -> None:
    given = LengthReward()(CONTEXT, row(), answered(*responses, reasoning=reasoning))
    assert given == {"length": pytest.approx(length)}


def test_other_weights_and_caps_count_so_and_useless_ones_are_refused() -> None:
    trace = answered("<think>" + "a" * 100 + "</think>")
    assert LengthReward(per_char=0.01, cap=0.3)(CONTEXT, row(), trace) == {"length": 0.3}
    assert LengthReward(per_char=0.002, cap=5)(CONTEXT, row(), trace) == {"length": pytest.approx(0.2)}
    for wrong in ({"per_char": 0}, {"cap": -1}, {"cap": float("inf")}):
        with pytest.raises(InputError, match="give a number above 0"):
            LengthReward(**wrong)


# the judge of the thinking

THOUGHT = "<think>Signs in Italian.</think><answer>Italy, Lazio</answer>"


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("[1]", 1.0),
        ("[0] it guesses", 0.0),
        ("good: [1], not [0]", 1.0),
        ("[5]", 1.0),
        ("[00]", 0.0),
        ("[" + "9" * 10_000 + "]", 1.0),
        ("<think>maybe [1]</think>[0]", 0.0),
        ("[one] 1", 0.0),
        ("[-1]", 0.0),
        ("", 0.0),
    ],
)
async def test_the_first_number_in_square_brackets_is_the_verdict(said: str, verdict: float) -> None:
    assert verdict_of(said) == verdict
    assert await ProcessJudge()(SharingJudge(said), row(), answered(THOUGHT)) == {"judge": verdict}


async def test_the_judge_sees_thinking_and_answer_as_json_with_its_own_sampling() -> None:
    judge = SharingJudge("[1]")
    await ProcessJudge()(judge, row(answer="$italy,lazio$"), answered(THOUGHT))
    ((messages, sampling),) = judge.asked
    assert sampling == {"temperature": 0.7, "top_p": 0.8, "max_tokens": 2048}
    assert [one.role for one in messages] == ["system", "user"]
    assert json.loads(messages[1].text) == {"reasoning": "Signs in Italian.", "answer": "Italy, Lazio"}


async def test_long_thinking_is_shown_in_part() -> None:
    judge = SharingJudge("[1]")
    await ProcessJudge()(judge, row(), answered(f"<think>{'x' * 50_000}</think><answer>a, b</answer>"))
    assert len(json.loads(judge.asked[0][0][1].text)["reasoning"]) == LONGEST


@pytest.mark.parametrize("response", ["<answer>Italy, Lazio</answer>", "<think>x</think> Italy"])
async def test_without_thinking_or_answer_nobody_is_asked(response: str) -> None:
    judge = SharingJudge("[1]")
    assert await ProcessJudge()(judge, row(), answered(response)) == {"judge": 0.0}
    assert judge.asked == []


@pytest.mark.parametrize("reason", [FailReason.CONTENT_FILTER, FailReason.CONTEXT_OVERFLOW, FailReason.TIMEOUT])
async def test_a_refusal_is_no_verdict(reason: FailReason) -> None:
    judge = SharingJudge(EpisodeError(reason, "no"))
    assert await ProcessJudge()(judge, row(), answered(THOUGHT)) == {"judge": 0.0}


async def test_a_verdict_that_was_cut_off_is_none_and_a_server_that_fails_is_an_error() -> None:
    cut = SharingJudge("[1] since", finish_reason="length")
    assert await ProcessJudge()(cut, row(), answered(THOUGHT)) == {"judge": 0.0}
    with pytest.raises(EpisodeError, match="down"):
        await ProcessJudge()(SharingJudge(EpisodeError(FailReason.SERVER_ERROR, "down")), row(), answered(THOUGHT))


class SlowJudge(SharingJudge):
    """Answers when it is let go; counts who asks at a time."""

    def __init__(self) -> None:
        super().__init__("[1]")
        self.now = self.most = 0
        self.begun = asyncio.Semaphore(0)
        self.go = asyncio.Event()

    async def complete(self, messages: Sequence[Message], **sampling: Json) -> Completion:
        self.now += 1
        self.most = max(self.most, self.now)
        self.begun.release()
        try:
            await self.go.wait()
        finally:
            self.now -= 1
        return await super().complete(messages, **sampling)


async def test_a_judge_that_does_not_answer_in_time_gives_no_verdict() -> None:
    judge = SlowJudge()
    assert await ProcessJudge(seconds=0.01)(judge, row(), answered(THOUGHT)) == {"judge": 0.0}
    assert (judge.now, judge.most) == (0, 1)


async def test_so_many_questions_are_under_way_at_a_time_and_waiting_for_room_takes_no_time() -> None:
    judge = SlowJudge()
    reward = ProcessJudge(concurrency=2, seconds=60)
    given: list[Scores] = []

    async def ask() -> None:
        given.append(await reward(judge, row(), answered(THOUGHT)))

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(ask())
        await judge.begun.acquire()
        await judge.begun.acquire()
        judge.go.set()
    assert judge.most == 2
    assert given == [{"judge": 1.0}] * 5
    assert list(judge.made) == [(Limit, (2,))]


def test_options_with_which_no_verdict_comes_are_refused() -> None:
    for wrong in ({"seconds": 0}, {"concurrency": 0}, {"max_tokens": -1}):
        with pytest.raises(InputError, match="give a number above 0"):
            ProcessJudge(**wrong)  # type: ignore[arg-type]  # what a YAML file may say


# the total

PARTS = {"format": 0.5, "accuracy": 1.0, "length": 0.4, "judge": 1.0, "note": "x", "parse_success": True}


@pytest.mark.parametrize(
    ("total", "score"),
    [
        (TotalReward(), 1.0),
        (TotalReward(variant="length"), 1.9),
        (TotalReward(variant="judge"), 3.5),
        (TotalReward(weights={"format": 2, "length": 10}), 5.0),
        (TotalReward(weights={"note": 1, "nothing": 1, "parse_success": 3}), 3.0),
    ],
)
def test_a_total_is_the_weighted_sum_of_what_was_given_before(total: TotalReward, score: float) -> None:
    assert total(CONTEXT, row(), answered("x", scores=PARTS)) == {"score": pytest.approx(score)}
    assert total(CONTEXT, row(), answered("x")) == {"score": 0.0}
    assert total.without_answer


def test_a_total_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="variant 'all'"):
        TotalReward(variant="all")  # type: ignore[arg-type]  # what a YAML file may say
    with pytest.raises(InputError, match="weight of format is nan"):
        TotalReward(weights={"format": float("nan")})
