"""Rows that no server can answer, servers that answer nothing: who is at fault, and what it costs."""

from __future__ import annotations

import pytest
from support.engine_fakes import FakeTransport, PlainTask, Reply, Rig, Sent, questions, said

from asyncgen.core.errors import InputError, TemporaryError
from asyncgen.endpoint.faults import Fault, FaultKind

DONE = said("ANSWER: 1")
CRASH = Fault(FaultKind.SERVER, "HTTP 500: CUDA assert", 500)
EMPTY = Fault(FaultKind.EMPTY, "HTTP 200, but neither content nor a tool call", 200)
REFUSAL = Fault(FaultKind.BAD_REQUEST, "HTTP 400: no such field", 400)
HUNG = Fault(FaultKind.TIMEOUT, "no whole answer within 1 s")


def poisoned(fault: Fault, *rows: str):
    def answer(request: Sent) -> Reply:
        return fault if request.question in rows else DONE

    return answer


@pytest.mark.parametrize("fault", [CRASH, EMPTY], ids=["crash", "empty"])
@pytest.mark.parametrize("concurrency", [1, 2])
async def test_poisoned_rows_that_fill_every_place_do_not_stop_the_run(fault: Fault, concurrency: int) -> None:
    rows = [f"q{number}" for number in range(2 * concurrency)]
    transport = FakeTransport(answer=poisoned(fault, *rows))
    async with Rig(PlainTask(), transport, samples=40, concurrency=concurrency) as rig:
        store = await rig.run()
    assert len(store.traces) == 40 - len(rows)
    assert [failure.reason for failure in store.failures] == ["server_error"] * len(rows)
    assert all(questions(transport)[row] >= 12 for row in rows)


async def test_a_poisoned_last_row_is_no_outage() -> None:
    transport = FakeTransport(answer=poisoned(CRASH, "q7"))
    async with Rig(PlainTask(), transport, samples=8, concurrency=2, max_outage=20.0) as rig:
        store = await rig.run()
    assert (len(store.traces), [failure.reason for failure in store.failures]) == (7, ["server_error"])


async def test_a_server_that_fails_everything_burns_nothing_while_more_is_to_come() -> None:
    transport = FakeTransport(default=CRASH)
    async with Rig(PlainTask(), transport, samples=500, concurrency=2, max_outage=600.0) as rig:
        with pytest.raises(TemporaryError, match="all servers have been down"):
            await rig.run()
    assert rig.store.failures == []
    assert len(questions(transport)) <= 8  # 4 N: those that live, and those that might have told who is at fault


async def test_a_server_that_hangs_burns_few_rows() -> None:
    transport = FakeTransport(default=HUNG)
    async with Rig(PlainTask(), transport, samples=500, concurrency=16, max_outage=600.0) as rig:
        with pytest.raises(TemporaryError):
            await rig.run()
    assert len(rig.store.failures) <= 10


async def test_what_one_endpoint_refuses_is_put_to_another() -> None:
    transport = FakeTransport(answer=lambda request: REFUSAL if request.server == "e0" else DONE)
    async with Rig(PlainTask(), transport, samples=60, concurrency=4, servers=2) as rig:
        store = await rig.run()
    assert (len(store.traces), store.failures) == (60, [])
    refused = sum(request.server == "e0" for request in transport.sent)
    assert refused < 60  # blamed often enough, it is left alone


async def test_a_row_that_every_endpoint_refuses_is_asked_twice_and_fails() -> None:
    transport = FakeTransport(answer=poisoned(REFUSAL, "q3"))
    async with Rig(PlainTask(), transport, samples=8, servers=2) as rig:
        store = await rig.run()
    assert [failure.reason for failure in store.failures] == ["bad_request"]
    assert questions(transport)["q3"] == 2


async def test_a_job_that_is_refused_from_the_first_row_on_stops_early() -> None:
    transport = FakeTransport(default=REFUSAL)
    async with Rig(PlainTask(), transport, samples=1000, concurrency=2) as rig:
        with pytest.raises(InputError, match=r"first 20 episodes were all refused .*no such field.*--retry-failed"):
            await rig.run()
    assert len(rig.store.failures) < 30


async def test_the_user_is_told_why_nothing_passes() -> None:
    notices: list[str] = []

    def answer(_request: Sent) -> Reply:
        notices.append(rig.progress.notice)
        return EMPTY if len(transport.sent) < 40 else DONE

    transport = FakeTransport(answer=answer)
    async with Rig(PlainTask(), transport, samples=3) as rig:
        await rig.run()
    assert any(notice.startswith("no request has passed for") and "neither content" in notice for notice in notices)


async def test_a_retry_after_of_one_server_does_not_hold_a_turn_that_another_can_take() -> None:
    busy = Fault(FaultKind.THROTTLED, "HTTP 429", 429, retry_after=500.0)
    transport = FakeTransport(answer=lambda request: busy if request.server == "e0" else DONE)
    async with Rig(PlainTask(), transport, samples=6, concurrency=2, servers=2) as rig:
        began = rig.clock.now
        store = await rig.run()
    assert len(store.traces) == 6
    assert rig.clock.now - began < 100
