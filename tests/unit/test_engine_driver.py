"""The driver: draining, cancelling, blocking, and what ends a run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
from support.engine_fakes import FakeTool, FakeTransport, PlainTask, Rig, ToolTask, call, questions, said

from asyncgen.core.errors import AsyncgenError, TemporaryError
from asyncgen.core.trace import Failure, Trace
from asyncgen.core.types import Completion, Context, Json, Sample, Tool, ToolResult
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.engine.driver import CRASH_LIMIT
from asyncgen.engine.feeder import Chain
from asyncgen.engine.quota import Quota

DONE = said("ANSWER: 1")


@dataclass(frozen=True)
class Odd(PlainTask):
    """Has a bug for some texts."""

    def answer(self, text: str) -> str:
        if "bug" in text:
            raise ValueError(text)
        return super().answer(text)


async def settle(rounds: int = 30) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


async def test_every_key_ends_as_one_trace_or_one_failure() -> None:
    bugs = {f"q{number}" for number in range(0, 30, 3)}
    transport = FakeTransport(answer=lambda request: said("bug") if request.question in bugs else DONE)
    async with Rig(Odd(), transport, samples=30) as rig:
        store = await rig.run()
    seen = [trace.sample_index for trace in store.traces] + [one.trace.sample_index for one in store.failures]
    assert sorted(seen) == list(range(30))
    assert (rig.progress.done, rig.progress.failed["internal"], rig.progress.left) == (20, 10, 0)


async def test_nothing_to_do_is_a_run_that_ends() -> None:
    transport = FakeTransport(default=DONE)
    async with Rig(PlainTask(), transport, samples=0) as rig:
        await rig.run()
    assert transport.sent == []


async def test_twenty_internal_failures_in_a_row_end_the_run() -> None:
    async with Rig(Odd(), FakeTransport(default=said("bug")), samples=100, concurrency=1) as rig:
        with pytest.raises(AsyncgenError, match="20 episodes in a row failed with internal: ValueError: bug") as caught:
            await rig.driver.run()
    assert caught.value.exit_code == 1
    assert len(rig.store.failures) == CRASH_LIMIT


async def test_a_tool_that_crashes_every_time_ends_the_run() -> None:
    async def crash(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        raise ZeroDivisionError("by zero")

    @dataclass(frozen=True)
    class Broken(ToolTask):
        tools: ClassVar[Sequence[Tool]] = (FakeTool("look", crash),)

    async with Rig(Broken(), FakeTransport(default=said("", call())), samples=100, concurrency=1) as rig:
        with pytest.raises(AsyncgenError, match=r"20 episodes in a row failed with tool_crash: look: .*--retry-failed"):
            await rig.driver.run()
    assert len(rig.store.failures) == CRASH_LIMIT


async def test_a_trace_among_internal_failures_starts_their_count_anew() -> None:
    transport = FakeTransport(answer=lambda _: DONE if len(transport.sent) % 19 == 0 else said("bug"))
    async with Rig(Odd(), transport, samples=60, concurrency=1) as rig:
        store = await rig.run()
    assert (len(store.traces), len(store.failures)) == (3, 57)


async def test_a_drain_lets_episodes_under_way_finish_and_starts_no_others() -> None:
    transport = FakeTransport()

    async def answer() -> Completion | Fault:
        if len(transport.sent) >= 3:
            rig.driver.drain()
        return said("", call()) if len(transport.sent) <= 3 else DONE

    transport.default = answer
    async with Rig(ToolTask(), transport, samples=50, concurrency=3) as rig:
        store = await rig.run()
    assert sorted(questions(transport)) == sorted(f"q{trace.sample_index}" for trace in store.traces)
    assert 1 <= len(store.traces) < 10
    assert (store.failures, rig.progress.left) == ([], 50 - len(store.traces))


async def test_after_the_grace_what_still_runs_is_cancelled_and_stays_to_be_done() -> None:
    transport = FakeTransport()
    hung = asyncio.Event()

    async def answer() -> Completion | Fault:
        rig.driver.drain()
        await hung.wait()
        return DONE

    transport.default = answer
    async with Rig(PlainTask(), transport, samples=20, grace=5.0) as rig:
        began = rig.clock.now
        store = await rig.run()
    assert (store.traces, store.failures) == ([], [])
    assert 4.5 <= rig.clock.now - began < 5.0  # the rest is for the last seal


@pytest.mark.parametrize("rounds", range(0, 60, 3))
async def test_a_cancel_at_any_moment_leaves_every_counter_at_zero(rounds: int) -> None:
    transport = FakeTransport(answer=lambda _: said("", call()) if len(transport.sent) % 2 else DONE)
    async with Rig(ToolTask(), transport, samples=500, concurrency=3) as rig, asyncio.TaskGroup() as group:
        running = group.create_task(rig.run())
        await settle(rounds)
        rig.driver.cancel()
        store = await running
    assert store.failures == []
    assert transport.open == 0


async def test_an_episode_cancelled_before_its_first_step_is_over_too() -> None:
    """A tick creates episodes, and the signal comes before any of them has run."""

    def chains() -> Iterator[Chain]:
        yield (0, Quota([0]))
        yield (1, Quota([0]))
        rig.driver.cancel()

    async with Rig(PlainTask(), FakeTransport(default=DONE), chains=chains()) as rig:
        async with asyncio.timeout(5):
            store = await rig.run()
    assert store.traces == []


async def test_a_probe_that_hangs_does_not_hold_up_the_end() -> None:

    async def hang() -> None:
        rig.driver.drain()
        await asyncio.Event().wait()

    transport = FakeTransport(default=Fault(FaultKind.TRANSPORT, "down"), before_probe=hang)
    async with Rig(PlainTask(), transport, samples=1, grace=1.0) as rig, asyncio.timeout(5):
        store = await rig.run()
    assert transport.probes
    assert (store.traces, store.failures) == ([], [])


async def test_while_the_store_cannot_write_nothing_is_started() -> None:
    transport = FakeTransport(default=DONE)
    async with Rig(PlainTask(), transport, samples=60, concurrency=2) as rig, asyncio.TaskGroup() as group:
        rig.store.notice = "disk full"
        running = group.create_task(rig.run())
        await settle(400)
        started = len(transport.sent)
        assert rig.progress.notice == "disk full"
        await settle(400)
        assert len(transport.sent) == started < 60
        rig.store.notice = ""
        store = await running
    assert len(store.traces) == 60
    assert rig.progress.notice == ""


async def test_a_store_that_gives_up_ends_the_run_with_its_error() -> None:
    class FullStore:
        notice = ""

        async def append(self, trace: Trace) -> None:
            raise TemporaryError("the disk is full")

        async def fail(self, failure: Failure) -> None:
            raise AssertionError

    async with Rig(PlainTask(), FakeTransport(default=DONE), samples=20, store=FullStore()) as rig:
        with pytest.raises(TemporaryError, match="the disk is full"):
            await rig.driver.run()
    assert (rig.scheduler.open, rig.progress.failed.total()) == (0, 0)


async def test_what_a_screen_raises_makes_no_failure_of_a_saved_trace() -> None:
    def broken(_trace: Trace) -> None:
        raise BrokenPipeError("head has gone")

    async with Rig(PlainTask(), FakeTransport(default=DONE), samples=5, concurrency=1) as rig:
        rig.progress.on_trace = broken
        with pytest.raises(BrokenPipeError):
            await rig.driver.run()
    assert (len(rig.store.traces), rig.store.failures) == (1, [])


async def test_an_error_of_the_source_that_concerns_every_row_ends_the_run() -> None:
    def read(index: int) -> Sample:
        raise TemporaryError("the file system is gone")

    async with Rig(PlainTask(), FakeTransport(default=DONE), samples=9, read=read) as rig:
        with pytest.raises(TemporaryError, match="the file system is gone"):
            await rig.driver.run()
    assert rig.store.failures == []
