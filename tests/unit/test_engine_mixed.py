"""The driver with questions that stop when right and wrong are both there: parked ones, choices, drains."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.engine_fakes import FakeStore, FakeTransport, PlainTask, Rig, Sent, said
from support.mixed_world import check_asked, drawn, saved

from asyncgen.core.trace import Trace
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.engine.feeder import Chain
from asyncgen.engine.mixed import Bank, MixedQuota, most_rollouts

ROLLOUTS = 6
REFUSED = Fault(FaultKind.BAD_REQUEST, "no", status=400)


def world(seed: int, count: int = 40, kinds: str = "mixed right wrong cut gone") -> list[str]:
    letters = {"mixed": "rw", "right": "rrrrrrrrw", "wrong": "wwwwwwwwr", "cut": "twr", "gone": "f"}
    rng = random.Random(seed)
    return ["".join(rng.choices(letters[rng.choice(kinds.split())], k=2 * ROLLOUTS)) for _ in range(count)]


def answer(letter: str) -> Any:
    return REFUSED if letter == "f" else said(f"ANSWER: {letter}", finish="length" if letter == "t" else "stop")


async def mark(trace: Trace) -> Trace:
    await asyncio.sleep(0)
    return replace(trace, metadata={**trace.metadata, "accepted": trace.answer == "r"})


def rig(questions: list[str], *, choices: int = 1, reply: Any = None, **options: Any) -> Rig:
    bank = Bank()

    def chains() -> Iterator[Chain]:
        bank.open(0, len(questions) * ROLLOUTS)
        for index in range(len(questions)):
            yield index, MixedQuota(index, range(ROLLOUTS), range(ROLLOUTS, most_rollouts(ROLLOUTS)), bank)

    def answers(sent: Sent) -> Any:
        letters, first = questions[int(sent.question[1:])], sent.body["seed"]
        if "n" in sent.body:
            return [answer(letter) for letter in letters[first : first + sent.body["n"]]]
        return answer(letters[first])

    one = Rig(
        PlainTask(), FakeTransport(answer=reply or answers), chains=chains(), due=bank.due, choices=choices,
        mark=options.pop("mark", mark), **options,
    )  # fmt: skip
    one.progress.total = len(questions) * ROLLOUTS
    return one


def asked(store: FakeStore) -> list[tuple[int, int]]:
    outcomes = [*store.traces, *(failure.trace for failure in store.failures)]
    return [(trace.sample_index, trace.rollout) for trace in outcomes]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("concurrency", [1, 3, 200])
async def test_what_is_saved_goes_to_questions_that_are_undecided(seed: int, concurrency: int) -> None:
    questions = [*world(seed, kinds="right wrong cut"), *world(seed, 12)]
    async with rig(questions, concurrency=concurrency) as one:
        store = await one.run()
    check_asked(asked(store), questions, ROLLOUTS)
    assert one.progress.left == 0
    assert one.progress.skipped == one.progress.total - len(asked(store))
    assert len(one.transport.sent) == len(asked(store))


async def test_a_question_that_waits_gets_what_the_last_one_under_way_saves() -> None:
    """Nobody begins a chain any more when it comes."""
    questions = ["w" * 7 + "r" * 5, "rw" + "r" * 10]
    slow = asyncio.Event()

    async def late(trace: Trace) -> Trace:
        if (trace.sample_index, trace.rollout) == (1, 1):
            await slow.wait()
        if (trace.sample_index, trace.rollout) == (0, ROLLOUTS - 1):
            for _ in range(20):
                await asyncio.sleep(0)
            slow.set()
        return await mark(trace)

    async with rig(questions, mark=late, concurrency=4) as one:
        store = await one.run()
    assert sorted(asked(store)) == [*((0, k) for k in range(8)), (1, 0), (1, 1)]
    assert (one.progress.left, one.progress.skipped) == (0, 2)


async def test_a_request_asks_for_the_choices_of_one_wave_and_all_are_carried_out() -> None:
    questions = ["rwrwrwrwrwrw", "rrrrrrrrrrrr", "wwwwwwwrrrrr"]
    async with rig(questions, choices=8, concurrency=1) as one:
        store = await one.run()
    check_asked(asked(store), questions, ROLLOUTS)
    assert {sent.body["n"] for sent in one.transport.sent} == {2}
    assert len(one.transport.sent) * 2 == len(store.traces)


async def test_a_row_of_which_everything_fails_draws_nothing() -> None:
    questions = ["f" * 12, "rwrwrwrwrwrw", "w" * 12]
    async with rig(questions) as one:
        store = await one.run()
    assert {rollout for index, rollout in asked(store) if index == 0} == set(range(ROLLOUTS))
    assert sum(index == 2 for index, _ in asked(store)) == ROLLOUTS + 4
    assert sum(saved(question, ROLLOUTS) for question in questions) == 4
    assert drawn(questions[2], ROLLOUTS) == ROLLOUTS


@pytest.mark.parametrize("after", [1, 5, 23, 60])
async def test_a_drain_ends_it_and_skips_nothing_that_may_be_needed(after: int) -> None:
    questions = world(1)
    saved_traces = 0

    async def drained(trace: Trace) -> Trace:
        nonlocal saved_traces
        saved_traces += 1
        if saved_traces == after:
            one.driver.drain()
        return await mark(trace)

    async with rig(questions, mark=drained, concurrency=3) as one:
        store = await one.run()
    keys = asked(store)
    assert len(set(keys)) == len(keys)
    assert one.progress.left > 0
    assert one.progress.left + one.progress.skipped + len(keys) == one.progress.total
