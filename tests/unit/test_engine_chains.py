"""Chains: several rollouts of one sample, as long as its quota has one; marks, goals and drains between them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.engine_fakes import FakeTransport, PlainTask, Rig, said

from asyncgen.core.trace import Trace
from asyncgen.core.types import Sample
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.engine.feeder import Chain
from asyncgen.engine.quota import Quota

DONE = said("ANSWER: 1")


def chains(samples: int, rollouts: int, wanted: int) -> Iterator[Chain]:
    for index in range(samples):
        quota = Quota(range(rollouts), wanted)
        for _ in range(quota.chains):
            yield index, quota


async def third(trace: Trace) -> Trace:
    """From rollout 2 on they are accepted."""
    await asyncio.sleep(0)
    return replace(trace, metadata={**trace.metadata, "accepted": trace.rollout >= 2})


def used(traces: list[Trace], index: int) -> list[int]:
    return sorted(trace.rollout for trace in traces if trace.sample_index == index)


@pytest.mark.parametrize("concurrency", [1, 3, 50])
@pytest.mark.parametrize(("wanted", "rollouts"), [(1, 3), (2, 4), (3, 5)])
async def test_a_sample_is_asked_until_enough_are_accepted(concurrency: int, wanted: int, rollouts: int) -> None:
    transport = FakeTransport(default=DONE)
    async with Rig(PlainTask(), transport, chains=chains(20, 9, wanted), concurrency=concurrency, mark=third) as rig:
        rig.progress.total = 20 * 9
        store = await rig.run()
    assert [used(store.traces, index) for index in range(20)] == [list(range(rollouts))] * 20
    assert len(transport.sent) == 20 * rollouts
    assert (rig.progress.accepted, rig.progress.skipped, rig.progress.left) == (20 * wanted, 20 * (9 - rollouts), 0)
    assert all(trace.metadata["accepted"] == (trace.rollout >= 2) for trace in store.traces)


async def test_where_none_is_accepted_every_rollout_is_used_once() -> None:
    async def never(trace: Trace) -> Trace:
        return replace(trace, metadata={**trace.metadata, "accepted": False})

    async with Rig(PlainTask(), FakeTransport(default=DONE), chains=chains(5, 4, 2), mark=never) as rig:
        rig.progress.total = 20
        store = await rig.run()
    assert [used(store.traces, index) for index in range(5)] == [[0, 1, 2, 3]] * 5
    assert (rig.progress.skipped, rig.progress.left) == (0, 0)


async def test_a_failed_rollout_is_used_up_and_another_one_takes_its_place() -> None:
    refused = Fault(FaultKind.BAD_REQUEST, "no", status=400)
    transport = FakeTransport(answer=lambda sent: refused if sent.body["seed"] == 0 else DONE)
    async with Rig(PlainTask(), transport, chains=chains(4, 5, 1)) as rig:
        rig.progress.total = 20
        store = await rig.run()
    assert [used(store.traces, index) for index in range(4)] == [[1]] * 4
    assert [one.trace.rollout for one in store.failures] == [0] * 4
    assert (rig.progress.skipped, rig.progress.left) == (12, 0)


async def test_a_row_that_cannot_be_read_fails_for_each_rollout() -> None:
    def read(index: int) -> Sample:
        raise ValueError("torn")

    async with Rig(PlainTask(), FakeTransport(default=DONE), chains=chains(1, 3, 2), read=read) as rig:
        store = await rig.run()
    assert [one.trace.rollout for one in store.failures] == [0, 1, 2]


async def test_a_drain_begins_no_other_rollout_and_skips_none() -> None:
    async def drained(trace: Trace) -> Trace:
        rig.driver.drain()
        return await third(trace)

    transport = FakeTransport(default=DONE)
    async with Rig(PlainTask(), transport, chains=chains(3, 9, 1), concurrency=1, mark=drained) as rig:
        rig.progress.total = 27
        store = await rig.run()
    assert {trace.rollout for trace in store.traces} == {0}
    assert len(transport.sent) == len(store.traces) < 3
    assert (rig.progress.skipped, rig.progress.left) == (0, 27 - len(store.traces))


@pytest.mark.parametrize("rounds", range(0, 60, 4))
async def test_a_cancel_in_a_chain_at_any_moment_leaves_every_counter_at_zero(rounds: int) -> None:
    transport = FakeTransport(default=DONE)
    async with (
        Rig(PlainTask(), transport, chains=chains(99, 9, 3), concurrency=3, mark=third) as rig,
        asyncio.TaskGroup() as group,
    ):
        running = group.create_task(rig.run())
        for _ in range(rounds):
            await asyncio.sleep(0)
        rig.driver.cancel()
        store = await running
    keys = [(trace.sample_index, trace.rollout) for trace in store.traces]
    assert len(set(keys)) == len(keys)


async def test_the_goal_counts_what_was_there_and_what_is_under_way_ends() -> None:
    told: list[int] = []
    transport = FakeTransport(default=DONE)
    async with Rig(
        PlainTask(), transport, samples=500, concurrency=4, goal=10, on_goal=lambda: told.append(len(rig.store.traces))
    ) as rig:
        rig.progress.accepted_before = 3
        store = await rig.run()
    assert told == [7]
    assert 7 <= len(store.traces) < 7 + 8
    assert len(transport.sent) == len(store.traces)


async def test_traces_that_are_not_accepted_do_not_count_for_the_goal() -> None:
    async with Rig(PlainTask(), FakeTransport(default=DONE), samples=30, goal=1, mark=third) as rig:
        store = await rig.run()
    assert len(store.traces) == 30
