"""Several rollouts of one sample from one request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from support.engine_fakes import FakeTransport, PlainTask, Rig, Sent, said

from asyncgen.core.types import Completion, Sample
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.engine.feeder import Feeder
from asyncgen.engine.quota import Quota
from asyncgen.engine.workers import Workers

EIGHT = range(8)


def rig(answer: Any, *, samples: int = 1, choices: int = 8, rollouts: int = 8, **options: Any) -> Rig:
    chains = iter([(index, Quota(range(rollouts), rollouts)) for index in range(samples)])
    return Rig(PlainTask(), FakeTransport(answer=answer), chains=chains, choices=choices, **options)


def answers(count: int) -> list[Completion]:
    return [replace(said(f"ANSWER: {number}"), request_id="r") for number in range(count)]


def asked(one: Rig) -> list[int]:
    """The `n` of each request."""
    return [sent.body.get("n", 1) for sent in one.transport.sent]


async def test_one_request_brings_all_rollouts_in_their_order() -> None:
    async with (one := rig(lambda sent: answers(sent.body["n"]))):
        store = await one.run()
    assert asked(one) == [8]
    assert [(trace.rollout, trace.answer) for trace in store.traces] == [(k, str(k)) for k in EIGHT]
    assert {trace.metadata["total_turns"] for trace in store.traces} == {1}
    assert {trace.metadata["resumed_at_turn"] for trace in store.traces} == {0}
    assert one.transport.sent[0].body["seed"] == 0


async def test_only_the_choices_that_are_missing_are_asked_for_again() -> None:
    given = [5, 2, 1]
    async with (one := rig(lambda _: answers(given[len(one.transport.sent) - 1]))):
        store = await one.run()
    assert asked(one) == [8, 3, 1]
    assert sorted(trace.rollout for trace in store.traces) == list(EIGHT)


async def test_a_server_that_gives_one_choice_is_asked_for_one_each_time() -> None:
    async with (one := rig(lambda _: answers(1))):
        store = await one.run()
    assert asked(one) == [8, 7, 1, 1, 1, 1, 1, 1]
    assert sorted(trace.rollout for trace in store.traces) == list(EIGHT)


async def test_a_server_that_refuses_several_choices_is_asked_for_one_each_time() -> None:
    def answer(sent: Sent) -> Any:
        if "n" in sent.body:
            return Fault(FaultKind.BAD_REQUEST, "n must be 1", 400)
        return answers(1)

    async with (one := rig(answer, samples=2, concurrency=1)):
        store = await one.run()
    assert asked(one).count(1) == 16
    assert len(store.traces) == 16
    assert not store.failures


async def test_a_prompt_that_is_refused_is_refused_with_one_choice_too() -> None:
    async with (one := rig(lambda _: Fault(FaultKind.BAD_REQUEST, "bad words", 400))):
        store = await one.run()
    assert len(store.failures) == 8
    assert asked(one)[0] == 8
    assert not one.requests.choices.refused


async def test_no_request_asks_for_more_choices_than_it_may() -> None:
    async with (one := rig(lambda sent: answers(sent.body.get("n", 1)), choices=3)):
        store = await one.run()
    assert asked(one) == [3, 3, 2]
    assert len(store.traces) == 8


async def test_rollouts_of_other_temperatures_do_not_share_a_request() -> None:
    async with (one := rig(lambda sent: answers(sent.body.get("n", 1)))):
        one.setting.sampling = lambda _index, rollout: {"temperature": float(rollout % 2), "seed": rollout}
        store = await one.run()
    assert sorted(asked(one)) == [4, 4]
    assert {sent.body["temperature"] for sent in one.transport.sent} == {0.0, 1.0}
    assert len(store.traces) == 8


async def test_no_more_choices_are_asked_for_than_are_needed() -> None:
    chains = iter([(index, Quota(range(8), 2)) for index in range(2)])
    answer = FakeTransport(answer=lambda sent: answers(sent.body.get("n", 1)))
    async with (one := Rig(PlainTask(), answer, chains=chains, choices=8)):
        store = await one.run()
    assert asked(one) == [2, 2]
    assert len(store.traces) == 4


async def test_a_server_whose_other_choices_are_empty_gives_several_all_the_same() -> None:
    def answer(sent: Sent) -> list[Completion]:
        count = sent.body.get("n", 1)
        return [replace(said("ANSWER: 1"), choices=count)] if len(one.transport.sent) <= 3 else answers(count)

    async with (one := rig(answer, samples=2, concurrency=1)):
        store = await one.run()
    assert not one.requests.choices.refused
    assert len(asked(one)) == 5
    assert len(store.traces) == 16


async def test_where_no_request_brings_several_the_rollouts_of_a_question_take_no_turns() -> None:
    workers = Workers(threads=1)
    chains = iter([(0, Quota(range(3), 3)), (1, Quota(range(3), 1))])
    feeder = Feeder(chains, lambda index: Sample(index=index, data={}), workers, choices=8, refused=lambda: True)
    try:
        fed = [one for _ in range(5) if (one := await feeder.next())]
    finally:
        workers.close()
    assert [(one.index, one.quota.left) for one in fed] == [(0, 1), (0, 1), (0, 1), (1, 3)]
