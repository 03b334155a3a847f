"""Scores of items: the engine's own, each for itself, within a deadline, and nobody waits long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from asyncgen.core.clock import SystemClock
from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.core.task import Task
from asyncgen.core.trace import Trace
from asyncgen.core.types import Completion, Message, Sample
from asyncgen.engine.workers import Workers
from asyncgen.rewards.geo import GeoReward
from asyncgen.runs.reward_context import Deadline
from asyncgen.runs.reward_requests import Item, Read
from asyncgen.runs.reward_scores import Failed, Scorer, Slices, is_number, names_of, numbers, reward_name
from asyncgen.tasks.geo import Geo
from asyncgen.tasks.maths import Math
from asyncgen.tasks.region import Region
from asyncgen.tasks.search import Search


class Verdicts:
    """A judge that says the same to all."""

    def __init__(self, said: str = "[1]") -> None:
        self.said = said
        self.asked: list[Sequence[Message]] = []

    async def complete(self, messages: Sequence[Message], sampling: Mapping[str, Any]) -> Completion:
        self.asked.append(messages)
        return Completion(content=self.said)


class NoModel:
    async def complete(self, messages: Sequence[Message], sampling: Mapping[str, Any]) -> Completion:
        raise InputError("no server answers; give another --base-url")


@asynccontextmanager
async def scorer(
    task: Task, model: Any = None, *, deadline: float = 30.0, concurrency: int = 8
) -> AsyncIterator[Scorer]:
    workers = Workers(threads=1, processes=1)
    try:
        yield Scorer(
            task,
            None,
            workers=workers,
            model=model or NoModel(),
            clock=SystemClock(),
            deadline=deadline,
            concurrency=concurrency,
        )
    finally:
        workers.close()


@dataclass(frozen=True)
class Odd(Task):
    """What its reward does is said by the row."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: list[str] = field(default_factory=list[str])
    ended: list[str] = field(default_factory=list[str])

    async def _do(self, context: Any, sample: Sample, trace: Trace) -> Mapping[str, Any]:
        what = sample.data["answer"]
        self.begun.append(what)
        try:
            if what == "hang":
                await self.gate.wait()
            if what == "crash":
                raise ValueError("boom")
            if what == "picture":
                await context.open(0)
            if what == "timeout":
                raise TimeoutError("its own")
            if what == "cancelled":
                raise asyncio.CancelledError
            if what == "wrong":
                return {"score": float("nan")}
            return {"score": 0.5 if what == "fine" else 1.0, "seen": trace.conversation_history[-1].response}
        finally:
            self.ended.append(what)

    rewards: ClassVar[Any] = (lambda context, sample, trace: context.task._do(context, sample, trace),)
    scores: ClassVar[Any] = {"score": 0.0, "seen": "", "parse_success": False}


def labelled(*labels: str) -> list[Read]:
    return [Item(response=f"so {one}", label=one) for one in labels]


async def test_scores_are_those_of_the_task_for_the_visible_answer():
    item = Item(response=r"<think>\boxed{9, 9}</think>So \boxed{48.85, 2.29}", label="48.86, 2.35")
    async with scorer(Geo()) as scoring:
        (scores,) = await scoring.batch([item])
    wanted = GeoReward()
    sample = Sample(index=0, data={"lat": 48.86, "lon": 2.35})
    trace = Trace(
        id="x", config_id="", rollout=0, dataset_path="", sample_index=0, sample_data={}, answer="48.85, 2.29"
    )
    assert scores == wanted(None, sample, trace)  # type: ignore[arg-type]  # it looks at no context


async def test_without_an_answer_the_scores_are_the_tasks_failure_values():
    async with scorer(Geo()) as scoring:
        assert await scoring.batch([Item(response="no idea", label="1, 2")]) == [Geo.scores]


async def test_the_last_lenient_reading_counts_as_at_the_end_of_an_episode():
    async with scorer(Search()) as scoring:
        first, second = await scoring.batch(
            [Item(response="Answer: Rome", label="rome"), Item(response="<search>Rome</search>", label="rome")]
        )
    assert isinstance(first, dict)
    assert (first["em"], first["parse_success"]) == (1.0, True)
    assert isinstance(second, dict)
    assert second["parse_success"] is False


async def test_a_decoded_sequence_is_scored_by_its_response():
    async with scorer(Odd()) as scoring:
        query = "<|im_start|>user\nhm<|im_end|>\n<|im_start|>assistant\nRome<|im_end|>"
        decoded, plain = await scoring.batch(
            [Item(response=query, label="fine", decoded=True), Item(response=query, label="fine")]
        )
    assert isinstance(decoded, dict)
    assert decoded["seen"] == "Rome"
    assert isinstance(plain, dict)
    assert plain["seen"] == query


async def test_what_is_wrong_with_an_item_costs_that_item_alone():
    items = [*labelled("fine", "crash", "picture", "timeout", "wrong", "cancelled"), "query is 5", *labelled("other")]
    async with scorer(Odd()) as scoring:
        outcomes = await scoring.batch(items)
        assert scoring.scored == 8
    assert [isinstance(one, Failed) for one in outcomes] == [False, True, True, True, True, True, True, False]
    errors = [one.error if isinstance(one, Failed) else "" for one in outcomes]
    assert errors[1].startswith("ValueError: boom")
    assert "a response comes without any" in errors[2]
    assert errors[3].startswith("TimeoutError: its own")
    assert "gave nan for 'score'" in errors[4]
    assert errors[5:7] == ["a reward raised CancelledError", "query is 5"]
    assert numbers(outcomes, "score") == [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]


async def test_an_item_that_hangs_is_given_up_at_its_deadline_and_the_others_are_not():
    async with scorer(Odd(), deadline=0.05) as scoring:
        fine, hung = await scoring.batch(labelled("fine", "hang"))
    assert isinstance(fine, dict)
    assert hung == Failed("scoring took longer than 0.05 s; raise --deadline")


async def test_a_batch_that_is_cancelled_takes_its_items_along_and_gives_its_slots_back():
    task = Odd()
    async with scorer(task, concurrency=3) as scoring, asyncio.TaskGroup() as group:
        batch = group.create_task(scoring.batch(labelled(*["hang"] * 5)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert task.begun == ["hang"] * 3
        batch.cancel()
        await asyncio.wait([batch])
        assert task.ended == ["hang"] * 3
        assert len(await scoring.batch(labelled(*["fine"] * 5))) == 5


async def test_no_more_items_than_there_are_slots_are_scored_at_once():
    task = Odd()
    async with scorer(task, concurrency=2) as scoring, asyncio.TaskGroup() as group:
        batches = [group.create_task(scoring.batch(labelled("hang", "hang"))) for _ in range(3)]
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(task.begun) == 2
        task.gate.set()
        await asyncio.wait(batches)
        assert len(task.ended) == 6


async def test_a_judge_is_asked_and_its_verdict_counts():
    judge = Verdicts()
    async with scorer(Search(judge=True), judge) as scoring:
        (scores,) = await scoring.batch(
            [Item(response="<answer>Rome</answer>", label="Roma", prompt="What is Italy's capital?")]
        )
    assert isinstance(scores, dict)
    assert (scores["em"], scores["judge"]) == (0.0, 1.0)
    assert "What is Italy's capital?" in judge.asked[0][-1].text


async def test_a_judge_that_cannot_be_asked_costs_its_own_part_and_says_so():
    async with scorer(Search(judge=True)) as scoring:
        (outcome,) = await scoring.batch([Item(response="<answer>Rome</answer>", label="Roma", prompt="?")])
    assert isinstance(outcome, Failed)
    assert outcome.error == "judge: no server answers; give another --base-url"
    assert outcome.scores is not None
    assert (outcome.scores["judge"], outcome.scores["parse_success"]) == (0.0, True)


async def test_a_judge_that_fails_leaves_format_and_accuracy_to_a_total():
    said = "<think>Roma</think><answer>$italy,lazio$</answer>"
    async with scorer(Region(total="judge")) as scoring:
        (outcome,) = outcomes = await scoring.batch([Item(response=said, label="$italy,lazio$")])
    assert isinstance(outcome, Failed)
    assert numbers(outcomes, "score") == [2.5]
    assert numbers(outcomes, "judge") == [0.0]


async def test_what_an_item_waits_for_a_process_is_not_of_its_seconds():
    deadline = Deadline(0.02)
    async with deadline.timeout:
        with deadline.paused(), deadline.paused():
            await asyncio.sleep(0.05)
        assert not deadline.timeout.expired()


async def test_answers_that_hang_cost_no_other_its_points_and_are_judged_once():
    judged: list[str] = []

    class Pairs(Workers):
        async def in_process(self, function: Any, *args: Any, seconds: float) -> Any:
            judged.append(args[0][0][0])
            await asyncio.sleep(0.02)
            if args[0][0][0] == "hang":
                raise TimeoutError
            return ["right"]

    workers = Pairs(threads=1, processes=1)
    try:
        scoring = Scorer(
            Math(), None, workers=workers, model=NoModel(), clock=SystemClock(), deadline=0.01, concurrency=8
        )
        answers = ["hang", "1.0", "hang", "2.0", "hang", "1.0"]
        outcomes = await scoring.batch([Item(response=rf"\boxed{{{one}}}", label="1") for one in answers])
    finally:
        workers.close()
    assert numbers(outcomes, "score") == [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    assert sorted(judged) == ["1.0", "2.0", "hang"]


async def test_a_long_response_is_looked_at_in_a_thread():
    @dataclass(frozen=True)
    class Threaded(Task):
        def answer(self, text: str) -> str:
            return threading.current_thread().name

        rewards: ClassVar[Any] = (lambda _c, _s, trace: {"seen": f"{trace.answer} {threading.current_thread().name}"},)
        scores: ClassVar[Any] = {"score": 0.0, "seen": "", "parse_success": False}

    async with scorer(Threaded()) as scoring:
        short, long = await scoring.batch([Item(response="a", label="x"), Item(response="a" * 30_000, label="x")])
    assert isinstance(short, dict)
    assert isinstance(long, dict)
    assert short["seen"].count("MainThread") == 2
    assert long["seen"].count("asyncgen-offload") == 2


class Counting:
    """A clock on which each look is a millisecond later."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.001
        return self.now

    def wall(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_after_a_slice_of_scoring_others_have_a_round():
    slices = Slices(Counting())
    rounds = 0

    async def others() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        beside = group.create_task(others())
        await asyncio.sleep(0)
        before = rounds
        for _ in range(100):
            await slices.turn()
        assert 15 <= rounds - before <= 35  # at four or five looks at the clock a slice
        beside.cancel()


@dataclass(frozen=True)
class Other(Task):
    rewards: ClassVar[Any] = (GeoReward(), print)
    scores: ClassVar[Any] = {"parse_success": False, "kind": "", "points": 0.0}


@dataclass(frozen=True)
class Worded(Task):
    scores: ClassVar[Any] = {"kind": ""}


def test_the_reward_is_the_score_or_the_first_number():
    assert reward_name(Geo()) == "score"
    assert reward_name(Other()) == "points"
    assert names_of(Other()) == ["GeoReward", "print"]
    assert not is_number(Other(), "kind")
    assert not is_number(Other(), "judge")
    with pytest.raises(InputError, match="Worded has no score that is a number"):
        reward_name(Worded())


async def test_an_error_that_a_reward_raises_is_told_in_its_own_words():
    @dataclass(frozen=True)
    class Strict(Task):
        def answer(self, text: str) -> str:
            raise EpisodeError(FailReason.BAD_SAMPLE, f"never {'x' * 9000}")

    async with scorer(Strict()) as scoring:
        (outcome,) = await scoring.batch(labelled("a"))
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("never xxx")
    assert len(outcome.error) <= 500
