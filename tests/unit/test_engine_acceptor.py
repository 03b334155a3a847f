"""The acceptor: many traces, few questions; and nobody waits for one who was cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from support.store_fakes import a_trace

from asyncgen.core.trace import Trace
from asyncgen.engine.acceptor import BATCH, ERRORS, Acceptor, Verdict
from asyncgen.engine.workers import Workers


class Judge:
    """Accepts even row numbers, and has nothing to say about those over 1000."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, traces: Sequence[Trace]) -> Sequence[Verdict]:
        self.go.wait(5)
        self.asked.append([trace.sample_index for trace in traces])
        return [
            f"odd value {trace.sample_index}" if trace.sample_index > 1000 else trace.sample_index % 2 == 0
            for trace in traces
        ]


class Case:
    def __init__(self) -> None:
        self.judge = Judge()
        self.errors: list[tuple[str, str]] = []
        self.workers = Workers(threads=2, processes=1)
        self.acceptor = Acceptor(self.judge, self.workers, lambda one, text: self.errors.append((one, text)))


@pytest.fixture
def case():
    made = Case()
    yield made
    made.workers.close()


async def marked(case: Case, indexes: Sequence[int]) -> list[Trace]:
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(case.acceptor.mark(a_trace(index))) for index in indexes]
    return [one.result() for one in running]


async def test_each_trace_gets_its_own_verdict_and_keeps_all_else(case: Case) -> None:
    traces = await marked(case, range(10))
    assert [trace.metadata["accepted"] for trace in traces] == [index % 2 == 0 for index in range(10)]
    plain = a_trace(4)
    assert {**traces[4].metadata, "accepted": True} == {**plain.metadata, "accepted": True}
    assert list(traces[4].metadata) == list(plain.metadata)
    assert traces[4].sample_data == plain.sample_data


async def test_what_comes_together_is_asked_about_together(case: Case) -> None:
    await marked(case, range(2 * BATCH + 10))
    assert [len(batch) for batch in case.judge.asked] == [BATCH, BATCH, 10]
    assert [index for batch in case.judge.asked for index in batch] == list(range(2 * BATCH + 10))


async def test_a_trace_without_a_verdict_is_not_accepted_and_only_the_first_are_told(case: Case) -> None:
    traces = await marked(case, range(2000, 2000 + ERRORS + 5))
    assert not any(trace.metadata["accepted"] for trace in traces)
    assert case.errors == [(a_trace(2000 + n).id, f"odd value {2000 + n}") for n in range(ERRORS)]


async def test_those_that_wait_are_asked_about_when_the_one_who_asked_is_cancelled(case: Case) -> None:
    case.judge.go.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(case.acceptor.mark(a_trace(1)))
        second = group.create_task(case.acceptor.mark(a_trace(2)))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0)
        case.judge.go.set()
        assert (await second).metadata["accepted"] is True
    assert first.cancelled()


async def test_what_the_judge_raises_reaches_the_trace_that_asked(case: Case) -> None:
    def broken(traces: Sequence[Trace]) -> Sequence[Verdict]:
        raise ZeroDivisionError

    acceptor = Acceptor(broken, case.workers, lambda one, text: None)
    with pytest.raises(ZeroDivisionError):
        await acceptor.mark(a_trace(1))
