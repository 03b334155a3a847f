"""What a fault gets: retries, slots, deadlines and outages, over a scripted transport and a clock that never waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from support.engine_fakes import (
    FakeTool,
    FakeTransport,
    PlainTask,
    Reply,
    Rig,
    Sent,
    ToolTask,
    call,
    questions,
    said,
    written,
)

from asyncgen.core.errors import AccountError, InputError, TemporaryError
from asyncgen.core.types import Completion, Context, Json, Message, ToolResult
from asyncgen.endpoint.faults import Fault, FaultKind

DONE = said("ANSWER: 1")
BROKEN = Fault(FaultKind.SERVER, "HTTP 500: boom", 500)
LOADING = Fault(FaultKind.SERVER, "HTTP 503: loading", 503)
REFUSED = Fault(FaultKind.TRANSPORT, "no connection")
BUSY = Fault(FaultKind.THROTTLED, "HTTP 429", 429)
NO_TOOLS = Fault(FaultKind.TOOLS_REFUSED, "HTTP 400: tools are not supported", 400)


def poison(*names: str, fault: Fault = BROKEN) -> Callable[[Sent], Reply]:
    return lambda request: fault if request.question in names else DONE


async def test_the_body_of_a_request_has_messages_model_and_sampling() -> None:
    transport = FakeTransport(default=DONE)
    async with Rig(PlainTask(), transport) as rig:
        await rig.run()
    assert transport.sent[0].body == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "q0"}],
        "model": "m",
        "temperature": 0.5,
        "seed": 0,
    }
    assert transport.sent[0].timeout == 100.0


@pytest.mark.parametrize(
    "fault", [BROKEN, LOADING, REFUSED, BUSY, Fault(FaultKind.STALE, "closed"), Fault(FaultKind.EMPTY, "empty", 200)]
)
async def test_a_fault_of_the_servers_is_asked_again_and_counted(fault: Fault) -> None:
    transport = FakeTransport(script=deque([fault, fault, DONE]))
    async with Rig(PlainTask(), transport) as rig:
        (trace,) = (await rig.run()).traces
    assert (trace.conversation_history[0].attempts, trace.metadata["attempts"]) == (3, 3)


async def test_a_slot_is_given_back_while_a_turn_waits() -> None:
    """The one slot is the waiting turn's until it gives it back: the other could not send."""
    transport = FakeTransport()
    transport.answer = lambda request: BUSY if "q1" not in questions(transport) else DONE
    async with Rig(PlainTask(), transport, samples=2, concurrency=1) as rig:
        store = await rig.run()
    assert (transport.sent[0].question, transport.sent[-1].question) == ("q0", "q0")
    assert (len(store.traces), transport.most_open) == (2, 1)


async def test_never_more_requests_are_open_than_allowed() -> None:
    async def slow() -> Completion:
        for _ in range(8):  # longer than the next episode needs to be there
            await asyncio.sleep(0)
        return DONE

    transport = FakeTransport(default=slow)
    async with Rig(PlainTask(), transport, samples=50, concurrency=3) as rig:
        store = await rig.run()
    assert (transport.most_open, len(store.traces)) == (3, 50)


async def test_a_poisoned_prompt_fails_after_twelve_faults_while_others_pass() -> None:
    transport = FakeTransport(answer=poison("q0"))
    async with Rig(PlainTask(), transport, samples=300, concurrency=2) as rig:
        store = await rig.run()
    (failure,) = store.failures
    assert (failure.reason, failure.trace.sample_index, len(store.traces)) == ("server_error", 0, 299)
    # a fault counts when others passed since the one before: how many do not, while a thread reads rows, is chance
    assert 12 <= questions(transport)["q0"] < 100


async def test_the_last_poisoned_prompts_fail_too_and_the_run_ends() -> None:
    transport = FakeTransport(answer=poison("q0", "q1"))
    async with Rig(PlainTask(), transport, samples=3) as rig:
        store = await rig.run()
    assert [failure.reason for failure in store.failures] == ["server_error", "server_error"]
    assert len(store.traces) == 1


@pytest.mark.parametrize("fault", [LOADING, REFUSED])
async def test_nothing_fails_while_the_servers_are_down_however_long(fault: Fault) -> None:
    """Others passed before the outage; that says nothing about it."""
    down = range(3, 80)
    transport = FakeTransport(answer=lambda _: fault if len(transport.sent) in down else DONE)
    async with Rig(PlainTask(), transport, samples=9, concurrency=2) as rig:
        store = await rig.run()
    assert (len(store.traces), store.failures) == (9, [])
    assert transport.probes


async def test_faults_of_an_outage_do_not_count_as_the_turns_own_while_more_is_to_come() -> None:
    down = range(6, 150)
    transport = FakeTransport(answer=lambda _: BROKEN if len(transport.sent) in down else DONE)
    async with Rig(PlainTask(), transport, samples=60, concurrency=4) as rig:
        store = await rig.run()
    assert (len(store.traces), store.failures) == (60, [])


async def test_all_servers_down_admits_nobody_and_a_probe_brings_them_back() -> None:
    transport = FakeTransport(alive=lambda _: len(transport.probes) > 6)
    transport.answer = lambda _: DONE if len(transport.probes) > 6 else REFUSED
    async with Rig(PlainTask(), transport, samples=40, concurrency=3, servers=2) as rig:
        store = await rig.run()
    assert len(store.traces) == 40
    assert len(questions(transport)) == 40


async def test_an_outage_longer_than_max_outage_is_temporary() -> None:
    transport = FakeTransport(default=REFUSED, alive=lambda _: False)
    async with Rig(PlainTask(), transport, samples=40, max_outage=60.0) as rig:
        with pytest.raises(
            TemporaryError, match=r"all servers have been down for 6\d s \(e0: no connection\)"
        ) as caught:
            await rig.driver.run()
    assert caught.value.exit_code == 75
    assert rig.store.failures == []


async def test_a_turn_that_times_out_twice_fails() -> None:
    transport = FakeTransport(default=Fault(FaultKind.TIMEOUT, "no whole answer within 100 s"))
    async with Rig(PlainTask(), transport) as rig:
        (failure,) = (await rig.run()).failures
    assert (failure.reason, len(transport.sent)) == ("timeout", 2)
    assert "raise endpoint.turn_timeout" in failure.error


async def test_a_request_gets_no_more_time_than_the_episode_has_left() -> None:
    transport = FakeTransport(default=said("", call()), seconds=40.0)
    async with Rig(ToolTask(), transport, deadline=100.0, turn_timeout=70.0, max_turns=9) as rig:
        (trace,) = (await rig.run()).traces
    assert [round(request.timeout) for request in transport.sent] == [70, 60, 20]
    assert (trace.metadata["stop"], trace.metadata["total_turns"]) == ("deadline", 3)


async def test_waiting_for_a_server_does_not_count_against_the_deadline() -> None:
    wait = replace(BUSY, retry_after=600.0)
    transport = FakeTransport(answer=lambda _: wait if len(transport.sent) < 4 else DONE, seconds=1.0)
    async with Rig(PlainTask(), transport, deadline=10.0) as rig:
        (trace,) = (await rig.run()).traces
    assert trace.metadata["stop"] == "answered"
    assert trace.metadata["seconds"] == pytest.approx(4.0, abs=1.0)


async def test_a_deadline_without_any_turn_is_a_timeout() -> None:
    transport = FakeTransport(default=BROKEN, seconds=30.0)
    async with Rig(PlainTask(), transport, deadline=50.0) as rig:
        (failure,) = (await rig.run()).failures
    assert (failure.reason, len(transport.sent)) == ("timeout", 2)
    assert "raise episode.deadline" in failure.error


async def test_an_overflow_that_names_its_numbers_is_refitted() -> None:
    overflow = Fault(FaultKind.OVERFLOW, "too long", 400, context_limit=1000, prompt_tokens=600)
    transport = FakeTransport(answer=lambda _: overflow if len(transport.sent) == 1 else DONE)
    async with Rig(PlainTask(), transport) as rig:
        assert len((await rig.run()).traces) == 1
    assert transport.sent[1].body["max_tokens"] == 1000 - 600 - 64


async def test_an_overflow_fails_the_first_turn_and_ends_a_later_one_as_a_trace() -> None:
    overflow = Fault(FaultKind.OVERFLOW, "too long", 400)
    transport = FakeTransport(default=overflow)
    async with Rig(ToolTask(), transport) as rig:
        (failure,) = (await rig.run()).failures
    assert failure.reason == "context_overflow"
    transport = FakeTransport(answer=lambda _: said("maybe: 3", call()) if len(transport.sent) == 1 else overflow)
    async with Rig(ToolTask(), transport) as rig:
        (trace,) = (await rig.run()).traces
    assert (trace.metadata["stop"], trace.answer) == ("context", "3")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (FaultKind.BAD_REQUEST, "bad_request"),
        (FaultKind.TOO_LARGE, "image_too_large"),
        (FaultKind.CONTENT_FILTER, "content_filter"),
    ],
)
async def test_a_request_that_is_refused_for_good_fails_at_once(kind: FaultKind, reason: str) -> None:
    transport = FakeTransport(default=Fault(kind, "HTTP 400: no", 400))
    async with Rig(PlainTask(), transport) as rig:
        (failure,) = (await rig.run()).failures
    assert (failure.reason, len(transport.sent)) == (reason, 1)


@pytest.mark.parametrize(
    ("kind", "error", "requests"),
    [(FaultKind.AUTH, AccountError, 2), (FaultKind.QUOTA, AccountError, 1), (FaultKind.NO_MODEL, InputError, 1)],
)
async def test_what_no_waiting_repairs_ends_the_run_with_the_error_itself(
    kind: FaultKind, error: type[Exception], requests: int
) -> None:
    transport = FakeTransport(answer=poison("q0", fault=Fault(kind, "HTTP 401: no", 401)))
    hung = asyncio.Event()

    async def hang() -> Completion | Fault:
        await hung.wait()
        return DONE

    transport.answer = lambda request: Fault(kind, "HTTP 401: no", 401) if request.question == "q0" else hang
    async with Rig(PlainTask(), transport, samples=20, concurrency=20) as rig:
        with pytest.raises(error):
            await rig.driver.run()
    assert questions(transport)["q0"] == requests
    assert (rig.store.traces, rig.store.failures, transport.open) == ([], [], 0)
    assert (rig.scheduler.open, rig.scheduler.alive) == (0, 0)


async def test_what_is_under_way_when_the_run_fails_is_still_saved() -> None:
    transport = FakeTransport()
    refused = Fault(FaultKind.QUOTA, "HTTP 429: no quota", 429)
    slow = asyncio.Event()

    async def answer() -> Completion | Fault:
        await slow.wait()
        return DONE

    async def refuse() -> Completion | Fault:
        asyncio.get_running_loop().call_later(0.01, slow.set)
        return refused

    transport.answer = lambda request: refuse if request.question == "q3" else answer
    async with Rig(PlainTask(), transport, samples=50, concurrency=4, grace=1e9) as rig:
        with pytest.raises(AccountError, match="e0: HTTP 429: no quota"):
            await rig.driver.run()
    assert {trace.sample_index for trace in rig.store.traces} >= {0, 1, 2}
    assert len(transport.sent) <= 5  # the slot that was free before the fault was looked at, and no more


async def test_a_first_turn_that_waits_for_its_next_attempt_does_not_hold_a_drain() -> None:
    transport = FakeTransport()

    async def busy() -> Completion | Fault:
        rig.driver.drain()
        return Fault(FaultKind.THROTTLED, "HTTP 429: later", 429, retry_after=300.0)

    transport.default = busy
    async with Rig(PlainTask(), transport, samples=50, concurrency=4, grace=1e9) as rig:
        before = rig.clock.now
        await rig.driver.run()
    assert rig.clock.now - before < 10
    assert (rig.store.traces, rig.store.failures) == ([], [])


async def test_a_server_that_does_not_say_its_model_has_the_one_that_was_asked() -> None:
    async with Rig(PlainTask(), FakeTransport(default=replace(DONE, model=""))) as rig:
        (trace,) = (await rig.run()).traces
    assert trace.conversation_history[0].model == "m"


# tools that the server does not take


def without_tools(request: Sent) -> Reply:
    if "tools" in request.body:
        return NO_TOOLS
    return DONE if len(request.body["messages"]) > 2 else said(written())


async def test_refused_tools_turn_the_run_to_text_once() -> None:
    transport = FakeTransport(answer=without_tools)
    async with Rig(ToolTask(), transport, samples=6, concurrency=1) as rig:
        store = await rig.run()
    assert {trace.metadata["tool_mode"] for trace in store.traces} == {"text"}
    assert all(trace.tool_calls[0].success for trace in store.traces)
    refused = [request for request in transport.sent if "tools" in request.body]
    assert len(refused) == 1
    assert "<tools>" in store.traces[0].conversation_history[0].messages[0].content


async def test_a_task_that_wants_native_calls_fails_where_they_are_refused() -> None:
    transport = FakeTransport(answer=without_tools)
    async with Rig(ToolTask(tool_calls="native"), transport) as rig:
        (failure,) = (await rig.run()).failures
    assert failure.reason == "bad_request"
    assert "task.tool_calls: auto or text" in failure.error


async def test_a_refusal_of_tools_that_were_not_sent_is_a_bad_request() -> None:
    transport = FakeTransport(default=NO_TOOLS)
    async with Rig(ToolTask(), transport) as rig:
        (failure,) = (await rig.run()).failures
    assert (failure.reason, len(transport.sent)) == ("bad_request", 2)


# several servers


async def test_an_episode_stays_with_its_server() -> None:
    transport = FakeTransport(answer=lambda request: said("", call()) if len(request.body["messages"]) < 8 else DONE)
    async with Rig(ToolTask(), transport, samples=10, servers=3, concurrency=6) as rig:
        store = await rig.run()
    used = [{turn.endpoint for turn in trace.conversation_history} for trace in store.traces]
    assert all(len(servers) == 1 for servers in used)
    assert set.union(*used) == {"e0", "e1", "e2"}


async def test_a_server_that_is_down_costs_nothing_but_retries() -> None:
    transport = FakeTransport(alive=lambda server: server == "e1")
    transport.answer = lambda request: REFUSED if request.server == "e0" else DONE
    async with Rig(PlainTask(), transport, samples=30, servers=2) as rig:
        store = await rig.run()
    assert (len(store.traces), store.failures) == (30, [])


# slots


async def test_a_request_that_cannot_be_written_gives_its_slot_back() -> None:
    transport = FakeTransport(default=DONE)
    async with Rig(PlainTask(), transport, samples=3, concurrency=1) as rig:
        rig.setting.sampling = lambda _index, _rollout: {"odd": object()}
        store = await rig.run()
    assert [failure.reason for failure in store.failures] == ["internal"] * 3


async def test_a_transport_with_a_bug_gives_its_slot_back() -> None:
    async def crash() -> Completion | Fault:
        raise RuntimeError("bug")

    async with Rig(PlainTask(), FakeTransport(default=crash), samples=3, concurrency=1) as rig:
        store = await rig.run()
    assert [failure.reason for failure in store.failures] == ["internal"] * 3


# a judge


def judged(request: Sent) -> Reply:
    return said("[1]") if request.question.startswith("Judge") else DONE


async def judge(context: Context, sample: Any, trace: Any) -> Mapping[str, float]:
    verdict = await context.complete([Message("user", f"Judge {trace.answer}")], temperature=0.0)
    return {"score": float(verdict.content == "[1]")}


@dataclass(frozen=True)
class JudgedTask(PlainTask):
    rewards: ClassVar = (judge,)


async def test_a_judges_call_goes_through_the_same_limits() -> None:
    transport = FakeTransport(answer=judged)
    async with Rig(JudgedTask(), transport, samples=8, concurrency=1) as rig:
        store = await rig.run()
    assert {trace.reward_score["score"] for trace in store.traces} == {1.0}
    assert (transport.most_open, len(transport.sent)) == (1, 16)
    assert {trace.metadata["attempts"] for trace in store.traces} == {1}
    assert transport.sent[-1].body["temperature"] == 0.0


async def test_a_judge_may_be_asked_when_the_episodes_time_is_over() -> None:
    transport = FakeTransport(seconds=30.0)
    transport.answer = lambda request: (
        judged(request) if request.question.startswith("Judge") else said("maybe: 1", call())
    )

    @dataclass(frozen=True)
    class Judged(ToolTask):
        rewards: ClassVar = (judge,)

    async with Rig(Judged(), transport, deadline=50.0) as rig:
        (trace,) = (await rig.run()).traces
    assert (trace.metadata["stop"], trace.reward_score["score"]) == ("deadline", 1.0)


async def test_what_ends_the_run_ends_it_from_within_a_tool_too() -> None:
    async def ask(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        return ToolResult(text=(await context.complete([Message("user", "Judge")])).content)

    @dataclass(frozen=True)
    class Asking(ToolTask):
        tools: ClassVar = (FakeTool("look", ask),)

    transport = FakeTransport()
    quota = Fault(FaultKind.QUOTA, "HTTP 429: no quota", 429)
    transport.answer = lambda request: quota if request.question == "Judge" else said("", call())
    async with Rig(Asking(), transport) as rig:
        with pytest.raises(AccountError):
            await rig.driver.run()
    assert rig.store.failures == []
