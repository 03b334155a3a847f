"""The judge's servers: found once, asked behind a limit, and waited for while they are down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from support.engine_fakes import FakeClock, FakeTransport, said

from asyncgen.config.schema import EndpointSpec, Job, Sampling, Schedule
from asyncgen.core.errors import EpisodeError, InputError
from asyncgen.core.types import Completion, Message
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.pool import TRIP
from asyncgen.runs.reward_judge import JudgeServers

QUESTION = [Message("system", "Judge."), Message("user", "well?")]
DOWN = Fault(FaultKind.TRANSPORT, "no connection")


@asynccontextmanager
async def judging(
    transport: FakeTransport, *, concurrency: int = 4, deadline: float = 1e6, servers: int = 1
) -> AsyncIterator[JudgeServers]:
    urls = [f"http://127.0.0.1:{9000 + number}/v1" for number in range(servers)]
    job = Job(
        task="search",
        endpoints=tuple(EndpointSpec(base_url=url) for url in urls),
        schedule=Schedule(concurrency=concurrency),
        sampling=Sampling(temperature=0.7, max_tokens=99),
    )
    judge = JudgeServers(job, transport=transport, environ={}, clock=FakeClock(), deadline=deadline)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(judge.run(group.create_task))
        yield judge
        running.cancel()


async def test_a_question_is_asked_with_its_own_sampling_over_the_jobs():
    transport = FakeTransport(default=said("[1]"))
    async with judging(transport) as judge:
        assert transport.probes == []
        assert (await judge.complete(QUESTION, {"temperature": 0.0})).content == "[1]"
        assert (await judge.complete(QUESTION, {})).content == "[1]"
    first, second = (one.body for one in transport.sent)
    assert (first["model"], first["temperature"], first["max_tokens"]) == ("m", 0.0, 99)
    assert second["temperature"] == 0.7
    assert [one["content"] for one in first["messages"]] == ["Judge.", "well?"]
    assert len(transport.probes) == 1


async def test_no_more_questions_are_open_than_the_limit_allows():
    async def slow() -> Completion:
        for _ in range(20):
            await asyncio.sleep(0)
        return said("[0]")

    transport = FakeTransport(default=slow)
    async with judging(transport, concurrency=3) as judge, asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(judge.complete(QUESTION, {}))
    assert len(transport.sent) == 20
    assert transport.most_open == 3


async def test_a_server_that_is_down_is_probed_and_asked_again_when_it_is_back():
    transport = FakeTransport()
    transport.script.extend([*[DOWN] * TRIP, said("[1]")])
    async with judging(transport) as judge:
        assert (await judge.complete(QUESTION, {})).content == "[1]"
    assert len(transport.sent) == TRIP + 1
    assert len(transport.probes) == 2  # the list of models, then whether it is back


async def test_questions_go_to_all_servers():
    transport = FakeTransport(default=said("[1]"))
    async with judging(transport, servers=2) as judge, asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(judge.complete(QUESTION, {}))
    assert sorted({one.server for one in transport.sent}) == ["http://127.0.0.1:9000/v1", "http://127.0.0.1:9001/v1"]


async def test_a_question_that_takes_too_long_is_that_questions_error():
    clock = FakeClock()
    transport = FakeTransport(default=Fault(FaultKind.SERVER, "HTTP 500", 500), clock=clock)
    async with judging(transport, deadline=0.0) as judge:
        with pytest.raises(EpisodeError, match="the judge has not answered within 0 s; raise --deadline"):
            await judge.complete(QUESTION, {})


async def test_without_a_server_each_question_says_so_until_there_is_one():
    alive: list[str] = []
    transport = FakeTransport(default=said("[1]"), alive=lambda _server: bool(alive))
    async with judging(transport) as judge:
        for _ in range(2):
            with pytest.raises(InputError, match=r"no server answers at .*; start it, or give another --base-url"):
                await judge.complete(QUESTION, {})
        alive.append("now")
        assert (await judge.complete(QUESTION, {})).content == "[1]"


async def test_a_cancelled_question_gives_its_slot_back():
    never = asyncio.Event()

    async def hang() -> Fault:
        await never.wait()
        return DOWN

    transport = FakeTransport(default=said("[1]"))
    transport.script.append(hang)
    async with judging(transport, concurrency=1) as judge, asyncio.TaskGroup() as group:
        hung = group.create_task(judge.complete(QUESTION, {}))
        for _ in range(20):
            await asyncio.sleep(0)
        assert transport.open == 1
        hung.cancel()
        assert (await judge.complete(QUESTION, {})).content == "[1]"
