"""A run that its user has paused: in the scheduler, and in the driver over fakes."""

from __future__ import annotations

import asyncio

from support.engine_fakes import FakeTransport, PlainTask, Rig, said

from asyncgen.core.types import Completion
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.limiter import FixedLimiter
from asyncgen.endpoint.pool import EndpointSpec, Pool
from asyncgen.engine.driver import STALL, TICK
from asyncgen.engine.events import (
    BEGUN,
    Action,
    Admit,
    Draining,
    Ended,
    Event,
    Grant,
    Passed,
    Paused,
    Refuse,
    Tick,
    Wanted,
)
from asyncgen.engine.scheduler import Scheduler

WHY = "paused by ctl; asyncgen ctl runs/geo resume"


def begun(limit: int = 2) -> Scheduler:
    """Two episodes for each slot live."""
    scheduler = Scheduler(Pool([EndpointSpec("e0")]), FixedLimiter(limit))
    assert scheduler.handle(Tick(), 0.0) == [Admit(order) for order in range(2 * limit)]
    return scheduler


def wanted(number: int, order: int | None = None) -> Wanted:
    return Wanted(number, number if order is None else order, None)


def test_while_paused_no_request_is_granted_and_no_episode_admitted():
    scheduler = begun()
    assert scheduler.handle(wanted(0), 0.0) == [Grant(0, 0)]
    assert scheduler.handle(Paused(True), 0.0) == []
    told: list[Event] = [wanted(1), Passed(0, 1.0), wanted(9, BEGUN), Ended(0), Tick()]
    assert [scheduler.handle(event, 0.0) for event in told] == [[]] * len(told)
    assert (scheduler.open, scheduler.waiting) == (0, 2)


def test_going_on_grants_what_waited_those_under_way_first_and_fills_up():
    scheduler = begun(limit=1)
    for event in (Paused(True), wanted(0), wanted(7, BEGUN), Ended(1)):
        scheduler.handle(event, 0.0)
    assert scheduler.handle(Paused(False), 0.0) == [Grant(7, 0), Admit(2)]


def test_a_drain_of_a_paused_run_lets_what_is_under_way_finish():
    scheduler = begun(limit=1)
    for event in (Paused(True), wanted(0), wanted(7, BEGUN)):
        scheduler.handle(event, 0.0)
    assert scheduler.handle(Draining(), 0.0) == [Refuse(0), Grant(7, 0)]


def test_pausing_twice_is_pausing_once():
    scheduler = begun(limit=1)
    actions: list[Action] = []
    for event in (Paused(True), Paused(True), wanted(0), Paused(False), Paused(False)):
        actions += scheduler.handle(event, 0.0)
    assert actions == [Grant(0, 0)]


async def ticks(rig: Rig, seconds: float) -> None:
    """Let the rig's clock go on for so long."""
    end = rig.clock.now + seconds
    while rig.clock.now < end:  # noqa: ASYNC110  # the clock moves with the loop
        await asyncio.sleep(0)


async def test_a_paused_run_sends_nothing_says_why_and_goes_on_where_it_was():
    transport = FakeTransport(default=said("ANSWER: x"))
    async with Rig(PlainTask(), transport, samples=30, concurrency=2) as rig, asyncio.TaskGroup() as group:
        run = group.create_task(rig.run())
        while len(transport.sent) < 5:  # noqa: ASYNC110  # the clock moves with the loop
            await asyncio.sleep(0)
        rig.driver.pause(WHY)
        await ticks(rig, 2 * TICK)
        sent = len(transport.sent)
        await ticks(rig, 100.0)
        assert (len(transport.sent), transport.open, rig.scheduler.open) == (sent, 0, 0)
        assert (rig.progress.notice, rig.driver.hindrance) == (WHY, "")
        rig.driver.pause("")
        store = await run
    assert len(store.traces) == len(transport.sent) == 30
    assert rig.progress.notice == ""


async def test_a_pause_is_no_stall_and_its_time_counts_for_none():
    def answer(_sent: object) -> Completion | Fault:
        down = not rig.progress.done and len(transport.sent) < 4
        return Fault(FaultKind.TRANSPORT, "refused") if down else said("ANSWER: x")

    transport = FakeTransport(answer=answer)
    async with Rig(PlainTask(), transport, samples=1) as rig, asyncio.TaskGroup() as group:
        run = group.create_task(rig.run())
        while not transport.sent:  # noqa: ASYNC110  # the clock moves with the loop
            await asyncio.sleep(0)
        rig.driver.pause(WHY)
        await ticks(rig, 10 * STALL)
        assert rig.requests.failing == 1
        rig.driver.pause("")
        await ticks(rig, 2 * TICK)
        assert "no request has passed" not in rig.progress.notice
        store = await run
    assert len(store.traces) == 1


async def test_a_pause_lasts_until_all_who_wanted_it_are_done_with_it():
    transport = FakeTransport(default=said("ANSWER: x"))
    async with Rig(PlainTask(), transport, samples=1) as rig, asyncio.TaskGroup() as group:
        rig.driver.pause("the reader is behind")
        rig.driver.pause(WHY, by="ctl")
        run = group.create_task(rig.run())
        await ticks(rig, 1.0)
        assert rig.progress.notice == f"the reader is behind; {WHY}"
        rig.driver.pause("")
        await ticks(rig, 1.0)
        assert (rig.progress.notice, transport.sent) == (WHY, [])
        rig.driver.pause("", by="ctl")
        store = await run
    assert len(store.traces) == 1


async def test_a_drain_ends_a_paused_run_and_takes_back_its_notice():
    transport = FakeTransport(default=said("ANSWER: x"))
    async with Rig(PlainTask(), transport, samples=30, concurrency=2) as rig, asyncio.TaskGroup() as group:
        run = group.create_task(rig.run())
        while len(transport.sent) < 5:  # noqa: ASYNC110  # the clock moves with the loop
            await asyncio.sleep(0)
        rig.driver.pause(WHY)
        await ticks(rig, 1.0)
        rig.driver.drain()
        store = await run
    assert 0 < len(store.traces) < 30
    assert len(transport.sent) == len(store.traces)


async def test_a_lower_limit_cancels_nothing_and_a_higher_one_is_used_at_once():
    gate = asyncio.Event()

    async def wait() -> Completion | Fault:
        await gate.wait()
        return said("ANSWER: x")

    transport = FakeTransport(answer=lambda _sent: wait)
    async with Rig(PlainTask(), transport, samples=40, concurrency=4) as rig, asyncio.TaskGroup() as group:
        run = group.create_task(rig.run())
        await ticks(rig, 1.0)
        assert transport.open == 4
        rig.driver.limit(10)
        await ticks(rig, 1.0)
        assert transport.open == 10
        rig.driver.limit(1)
        await ticks(rig, 1.0)
        assert transport.open == 10
        gate.set()
        store = await run
    assert (len(store.traces), transport.most_open) == (40, 10)
