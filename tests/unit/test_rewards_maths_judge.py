"""Answers judged together: batches, one that hangs among others, a process that dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.maths_world import JudgingContext, solution

from asyncgen.core.types import Sample
from asyncgen.engine.workers import Workers
from asyncgen.rewards.maths import MathReward
from asyncgen.rewards.maths_judge import AT_ONCE, BATCH, Judge, judged


class Process:
    """An `in_process` that hangs, or dies, on some answers."""

    def __init__(self, *faulty: str, error: type[Exception] = TimeoutError) -> None:
        self.batches: list[list[str]] = []
        self.gate: asyncio.Event | None = None
        self._faulty = faulty
        self._error = error

    async def __call__(self, function: Any, *args: Any, seconds: float) -> Any:
        pairs: Sequence[tuple[str, str]] = args[0]
        self.batches.append([answer for answer, _ in pairs])
        await (self.gate.wait() if self.gate else asyncio.sleep(0))
        if any(answer in self._faulty for answer, _ in pairs):
            raise self._error
        return function(*args)


async def until_sent(process: Process) -> None:
    while not process.batches:  # noqa: ASYNC110  # whoever sends it
        await asyncio.sleep(0)


@asynccontextmanager
async def running() -> AsyncIterator[Judge]:
    judge = Judge()
    async with asyncio.TaskGroup() as group:
        run = group.create_task(judge.run())
        yield judge
        run.cancel()


@pytest.mark.parametrize("error", [TimeoutError, RuntimeError])
async def test_the_answer_that_hangs_is_found_by_halving_and_is_unknown(error: type[Exception]) -> None:
    process = Process("3", error=error)
    pairs = [(str(number), "5") for number in range(8)]
    verdicts = await judged(process, pairs)
    assert verdicts == ["wrong", "wrong", "wrong", "unknown", "wrong", "right", "wrong", "wrong"]
    assert max(len(batch) for batch in process.batches[1:]) == 4


async def test_nothing_to_judge_asks_nobody() -> None:
    process = Process()
    assert await judged(process, []) == []
    assert process.batches == []


async def test_answers_that_come_while_a_process_is_busy_travel_together_and_equal_ones_once() -> None:
    process = Process()
    process.gate = asyncio.Event()
    async with running() as judge, asyncio.TaskGroup() as group:
        first = [group.create_task(judge.verdict(process, f"-{number}", "5")) for number in range(AT_ONCE)]
        await until_sent(process)
        asked = [group.create_task(judge.verdict(process, str(number % 50), "7")) for number in range(300)]
        for _ in range(20):
            await asyncio.sleep(0)
        process.gate.set()
        verdicts = [await one for one in asked]
        assert [await one for one in first] == ["wrong"] * AT_ONCE
    assert verdicts == ["right" if number % 50 == 7 else "wrong" for number in range(300)]
    assert sum(map(len, process.batches)) == 50 + AT_ONCE
    assert len(process.batches) <= AT_ONCE
    assert max(map(len, process.batches)) <= BATCH


async def test_whoever_is_cancelled_leaves_the_answer_for_the_others() -> None:
    process = Process()
    process.gate = asyncio.Event()
    async with running() as judge, asyncio.TaskGroup() as group:
        lost = group.create_task(judge.verdict(process, "5", "5"))
        kept = group.create_task(judge.verdict(process, "5", "5"))
        await until_sent(process)
        lost.cancel()
        process.gate.set()
        assert await kept == "right"
    assert lost.cancelled()


async def test_a_run_s_reward_asks_the_shared_judge_and_only_where_the_texts_differ() -> None:
    async with running() as judge:
        context = JudgingContext({Judge: judge})
        for answer in ("7", "7.0", "8"):
            sample = Sample(index=0, data={"answer": "7"})
            await MathReward()(context.context, sample, solution("", answer))
        assert (context.hops, judge.batches) == (2, 2)


async def test_a_worker_process_judges_what_hangs_and_what_grows_and_lives_on() -> None:
    workers = Workers(threads=1, processes=1)
    try:
        verdicts = await judged(workers.in_process, [("x>2", r"(2,\infty)"), ("7^{10^8}-y", "2y"), ("1/2", "0.5")])
    finally:
        workers.close()
    assert verdicts == ["right", "unknown", "right"]


async def test_a_batch_that_is_killed_is_judged_in_halves_by_new_processes() -> None:
    """The deadline of the whole batch is over before an answer's own."""
    workers = Workers(threads=1, processes=1)
    try:
        verdicts = await judged(workers.in_process, [("(10^9)!", "x^2+1"), ("3", "3")], seconds=0.15)
    finally:
        workers.close()
    assert verdicts == ["unknown", "right"]
