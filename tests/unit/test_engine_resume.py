"""An episode that was interrupted goes on in its middle: wherever that was, with the same trace, and no turn twice."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from typing import Any, ClassVar

import orjson
import pytest
from support.context import file_of, photo, ref
from support.engine_fakes import FakeStore, FakeTool, FakeTransport, PlainTask, Rig, ToolTask, call, said, written

from asyncgen.core.task import Task
from asyncgen.core.trace import Trace
from asyncgen.core.types import Completion, Context, Json, Message, Sample, ToolResult, Turn, Usage
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.engine import turn_log
from asyncgen.engine.episode import Exchange
from asyncgen.engine.turn_log import PastTurn, Spent

PNG = file_of(photo(60, 40), "PNG")
BOX = {"image": 0, "box": [5, 5, 45, 35]}


class JournalingStore(FakeStore):
    """Keeps entries as the store does: JSON in, JSON out."""

    def __init__(self, past: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__()
        self.past = list(past)
        self.entries: list[dict[str, Any]] = []

    def past_turns(self, key: tuple[int, int]) -> list[dict[str, Any]]:
        past, self.past = self.past, []
        return past

    async def write_turn(
        self, trace_id: str, key: tuple[int, int], config_id: str, kind: str, fields: Mapping[str, Json]
    ) -> None:
        from asyncgen.store.line import dump

        assert (trace_id, key, config_id) == ("job/0/0", (0, 0), "cfg")
        self.entries.append({"kind": kind, **orjson.loads(dump(fields))})


@dataclass
class Once:
    """How an episode went."""

    trace: Trace
    entries: list[dict[str, Any]]
    sent: int

    @property
    def text(self) -> dict[str, Any]:
        """The trace but for what says how it was come by."""
        told = asdict(self.trace)
        told["metadata"] = {
            key: value for key, value in told["metadata"].items() if key not in {"seconds", "resumed_at_turn"}
        }
        for turn in told["conversation_history"]:
            del turn["seconds"]
        for one in told["tool_calls"]:
            del one["seconds"]
        return told


@dataclass
class Scene:
    """A task, a row, and what the server says turn by turn, whoever asks."""

    task: Task
    replies: Sequence[Completion | Fault]
    sample: Sample = field(default_factory=lambda: Sample(index=0, data={"question": "q0"}))

    async def play(self, past: Sequence[Mapping[str, Any]] = (), **options: Any) -> Once:
        store = JournalingStore(past)
        turns = [reply for reply in self.replies if isinstance(reply, Completion)]

        def answer(request: Any) -> Completion | Fault:
            own = sum(message["role"] == "assistant" for message in request.body["messages"])
            return turns[own]

        transport = FakeTransport(answer=answer)
        async with Rig(self.task, transport, store=store, read=lambda _: self.sample, **options) as rig:
            rig.setting.journal = store
            await rig.run()
        assert store.failures == []
        (trace,) = store.traces
        return Once(trace, store.entries, len(transport.sent))


async def zoom(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
    picture = await context.edit("zoom", BOX)
    return ToolResult(text=f"see {arguments['at']}", pictures=(picture,))


async def draw(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
    """A picture that only the tool itself can make again."""
    from asyncgen.core.types import Picture

    picture = Picture(
        image=0, source="tool", width=2, height=2, full_width=2, full_height=2, sha256="f" * 64, data=b"jpeg"
    )
    return ToolResult(text="drawn", pictures=(picture,))


def with_tools(look: Any = None, turn: Any = None) -> Task:
    @dataclass(frozen=True)
    class Looking(ToolTask):
        user: str = "<image>{question}"
        tools: ClassVar = (FakeTool("look", look), FakeTool("turn", turn))

    return Looking()


def look(at: str, call_id: str) -> Any:
    return call(arguments=f'{{"at": "{at}"}}', call_id=call_id)


ROW = Sample(index=0, data={"question": "q0"}, images=(ref(PNG),))
SCENES = {
    "native calls with pictures": Scene(
        with_tools(zoom),
        [said("<think>a</think>", look("a", "c1")), said("", look("b", "c2"), look("c", "c3")), said("ANSWER: 1")],
        ROW,
    ),
    "calls as text": Scene(
        replace(with_tools(zoom), tool_calls="text"),
        [said(written(arguments='{"at": "a"}')), said(written(arguments='{"at": "é"}')), said("ANSWER: 1")],
        ROW,
    ),
    "malformed, unknown and repeated calls": Scene(
        with_tools(),
        [said("", call(arguments="{", call_id="x")), *[said("", call("fly"), call())] * 2, said("maybe: 2")],
        ROW,
    ),
    "replies without tools": Scene(PlainTask(nudge="Go on."), [said("hm"), said("well"), said("ANSWER: 3")]),
    "the final turn": Scene(
        with_tools(), [*[said("", look(str(n), f"c{n}")) for n in range(5)], said("ANSWER: 4")], ROW
    ),
    "a tool's own picture": Scene(
        with_tools(draw, zoom), [said("", call()), said("", call("turn")), said("ANSWER: 5")], ROW
    ),
    "cut off at the end": Scene(with_tools(zoom), [said("", look("a", "c1")), said("ANSW", finish="length")], ROW),
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
async def test_cut_short_after_any_entry_the_trace_is_the_same_and_only_what_is_missing_is_asked_for(
    scene: Scene,
) -> None:
    whole = await scene.play()
    assert whole.trace.metadata["resumed_at_turn"] == 0
    turns = len(whole.trace.conversation_history)
    assert whole.sent == turns
    for cut in range(1, len(whole.entries) + 1):
        again = await scene.play(whole.entries[:cut])
        known = [entry["kind"] for entry in whole.entries[:cut]].count("completion")
        assert again.text == whole.text
        assert again.sent == turns - known
        assert [entry["kind"] for entry in again.entries] == [entry["kind"] for entry in whole.entries[cut:]]
        mid_turn = whole.entries[cut - 1]["kind"] == "completion"
        waits_for_results = mid_turn and cut < len(whole.entries) and whole.entries[cut]["kind"] == "results"
        goes_on = known if waits_for_results else min(known + 1, turns)
        assert again.trace.metadata["resumed_at_turn"] == goes_on


@pytest.mark.parametrize(
    "what", ["asked", "pictures", "kind", "results", "no mode", "another form", "a picture of another form", "a number"]
)
async def test_what_does_not_fit_any_more_starts_the_episode_over(what: str) -> None:
    scene = SCENES["native calls with pictures"]
    whole = await scene.play()
    first, second, *_ = whole.entries
    past: list[dict[str, Any]] = {
        "asked": [{**first, "asked": first["asked"] + 1}, second],
        "pictures": [first, {**second, "pictures": [{**second["pictures"][0], "sha256": "0" * 64}]}],
        "kind": [second, first],
        "results": [first, {**second, "results": []}],
        "no mode": [{key: value for key, value in first.items() if key != "mode"}],
        "another form": [{**first, "turn": {**first["turn"], "completion": {"text": "ANSWER: 1"}}}],
        "a picture of another form": [first, {**second, "pictures": [{"name": "zoom"}]}],
        "a number": [first, {**second, "results": [{**second["results"][0], "pictures": [9]}]}],
    }[what]
    if what == "kind":
        past = [first, first]
    again = await scene.play(past)
    assert again.text["conversation_history"] == whole.text["conversation_history"]
    assert again.text["images"] == whole.text["images"]
    assert again.sent == 3
    assert again.trace.metadata["resumed_at_turn"] == 0
    assert [entry["kind"] for entry in again.entries] == ["restart", *(entry["kind"] for entry in whole.entries)]
    third = await scene.play([*past, *again.entries[:3]])
    assert third.text == again.text
    assert (third.sent, third.trace.metadata["resumed_at_turn"]) == (2, 2)


async def test_a_rollout_whose_temperature_is_another_one_by_now_starts_over() -> None:
    scene = SCENES["replies without tools"]
    whole = await scene.play()
    store = JournalingStore(whole.entries[:1])
    transport = FakeTransport(script=deque(scene.replies))
    async with Rig(scene.task, transport, store=store, read=lambda _: scene.sample) as rig:
        rig.setting.journal = store
        rig.setting.sampling = lambda _index, _rollout: {"temperature": 1.0}
        await rig.run()
    assert [request.body["temperature"] for request in transport.sent] == [1.0] * 3
    assert store.entries[0]["kind"] == "restart"


async def test_an_episode_that_starts_over_has_its_whole_time_again() -> None:
    scene = SCENES["replies without tools"]
    first, second, *_ = (await scene.play()).entries
    spent = {**first["turn"], "spent": {"seconds": 899.0, "attempts": 7}}
    again = await scene.play([{**first, "turn": spent}, {**second, "asked": 0}], deadline=900.0)
    assert (again.sent, again.trace.metadata["attempts"]) == (3, 3)
    assert again.trace.metadata["seconds"] < 899.0


async def test_a_text_that_is_no_unicode_is_known_again() -> None:
    async def name(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        return ToolResult(text="b\udc80d")

    scene = Scene(with_tools(name), [said("", look("a", "c1")), said("ANSWER: 1")], ROW)
    whole = await scene.play()
    assert (await scene.play(whole.entries)).sent == 0


async def test_another_photo_in_the_row_starts_the_episode_over() -> None:
    scene = SCENES["native calls with pictures"]
    whole = await scene.play()
    other = replace(scene.sample, images=(ref(file_of(photo(61, 40), "PNG")),))
    again = await replace(scene, sample=other).play(whole.entries[:4])
    assert again.sent == 3
    assert again.trace.images[0].sha256 != whole.trace.images[0].sha256


async def test_a_photo_that_is_gone_is_the_rows_fault_and_not_the_journals() -> None:
    scene = SCENES["native calls with pictures"]
    whole = await scene.play()
    store = JournalingStore(whole.entries[:4])
    gone = replace(scene.sample, images=(ref(b"no picture"),))
    async with Rig(scene.task, FakeTransport(), store=store, read=lambda _: gone) as rig:
        rig.setting.journal = store
        await rig.run()
    assert [failure.reason for failure in store.failures] == ["bad_image"]


async def test_text_mode_after_refused_tools_is_gone_on_with_in_text_mode() -> None:
    task = with_tools()
    replies = [said(written(arguments='{"at": "a"}')), said("ANSWER: 1")]
    store = JournalingStore()
    script: deque[Any] = deque([Fault(FaultKind.TOOLS_REFUSED, "no tools", status=400), *replies])
    async with Rig(task, FakeTransport(script=script), store=store, read=lambda _: ROW) as rig:
        rig.setting.journal = store
        await rig.run()
    assert [entry["kind"] for entry in store.entries] == ["restart", "completion", "results", "completion"]
    again = await Scene(task, replies, ROW).play(store.entries[:3])
    assert again.trace.metadata["tool_mode"] == "text"
    assert (again.sent, again.trace.metadata["resumed_at_turn"]) == (1, 2)


async def test_attempts_and_seconds_carry_over() -> None:
    scene = SCENES["replies without tools"]
    whole = await scene.play()
    first = whole.entries[0]["turn"]
    exchange = {**first["exchange"], "attempts": 4}
    turn = {**first, "exchange": exchange, "spent": {"seconds": 12.5, "attempts": 4}}
    entry = {**whole.entries[0], "turn": turn}
    again = await scene.play([entry])
    assert again.trace.metadata["attempts"] == 6
    assert again.trace.metadata["seconds"] >= 12.5
    assert again.trace.conversation_history[0].attempts == 4


async def test_the_deadline_counts_what_was_spent_before() -> None:
    scene = SCENES["replies without tools"]
    whole = await scene.play()
    turn = {**whole.entries[0]["turn"], "spent": {"seconds": 1000.0, "attempts": 1}}
    entry = {**whole.entries[0], "turn": turn}
    again = await scene.play([entry], deadline=900.0)
    assert (again.sent, again.trace.metadata["stop"]) == (0, "deadline")


# drains


@dataclass(frozen=True)
class Chatting(PlainTask):
    """Three turns."""

    def reply(self, sample: Sample, turns: Sequence[Turn]) -> Sequence[Message] | None:
        return [Message("user", "Go on.")]


async def test_a_drain_stops_episodes_at_their_next_turn_and_keeps_what_they_have() -> None:
    store = JournalingStore()
    transport = FakeTransport()
    async with Rig(Chatting(), transport, store=store) as rig:
        rig.setting.journal = store

        async def drained(reply: Completion) -> Completion:
            rig.driver.drain()
            await asyncio.sleep(0)
            return reply

        transport.script = deque([said("hm"), partial(drained, said("well"))])
        await rig.run()
    assert (store.traces, store.failures) == ([], [])
    assert [entry["turn"]["completion"]["content"] for entry in store.entries] == ["hm", "well"]
    again = await Scene(Chatting(), [said("hm"), said("well"), said("ANSWER: 1")]).play(store.entries)
    assert (again.sent, again.trace.answer, again.trace.metadata["resumed_at_turn"]) == (1, "1", 3)


async def test_a_drain_lets_the_last_turn_become_a_trace_and_its_judge_be_asked() -> None:
    async def judged(context: Context, sample: Sample, trace: Trace) -> dict[str, float | bool]:
        verdict = await context.complete([Message("user", "Is it right?")])
        return {"score": float(verdict.content), "parse_success": True}

    @dataclass(frozen=True)
    class Judged(Chatting):
        rewards: ClassVar = (judged,)

    store = JournalingStore()
    transport = FakeTransport()
    async with Rig(Judged(), transport, store=store) as rig:
        rig.setting.journal = store

        async def drained(reply: Completion) -> Completion:
            rig.driver.drain()
            await asyncio.sleep(0)
            return reply

        transport.script = deque([said("hm"), partial(drained, said("ANSWER: 1")), said("0.5")])
        await rig.run()
    assert [trace.reward_score["score"] for trace in store.traces] == [0.5]


async def test_a_turn_that_keeps_failing_is_given_up_by_a_drain() -> None:
    store = JournalingStore()
    transport = FakeTransport(script=deque([said("hm")]), default=Fault(FaultKind.SERVER, "sick", status=500))
    async with Rig(Chatting(), transport, store=store) as rig:
        rig.setting.journal = store
        async with asyncio.TaskGroup() as group:
            group.create_task(rig.run())
            while len(transport.sent) < 4:  # noqa: ASYNC110  # the fake's requests are no events
                await asyncio.sleep(0)
            rig.driver.drain()
    assert (store.traces, store.failures) == ([], [])
    assert [entry["kind"] for entry in store.entries] == ["completion"]


async def test_episodes_that_go_on_in_their_middle_keep_no_first_turn_waiting() -> None:
    """They ask for no first turn, and others come after them in order."""

    class Resuming(JournalingStore):
        def past_turns(self, key: tuple[int, int]) -> list[dict[str, Any]]:
            return past if key == (0, 0) else []

        async def write_turn(self, *_given: Any) -> None:
            pass

    past = (await Scene(Chatting(), [said("hm"), said("ANSWER: 1")]).play()).entries[:1]
    store = Resuming()
    slow = asyncio.Event()

    async def wait(reply: Completion) -> Completion:
        await slow.wait()
        return reply

    def answer(request: Any) -> Any:
        return partial(wait, said("ANSWER: 1")) if request.question == "q0" else said("ANSWER: 2")

    transport = FakeTransport(answer=answer)
    async with Rig(Chatting(), transport, samples=6, concurrency=2, store=store) as rig:
        rig.setting.journal = store
        async with asyncio.TaskGroup() as group:
            group.create_task(rig.run())
            while len(store.traces) < 5:  # noqa: ASYNC110  # the fake's traces are no events
                await asyncio.sleep(0)
            assert rig.driver.running == 1
            slow.set()
    assert [trace.metadata["resumed_at_turn"] for trace in store.traces] == [0, 0, 0, 0, 0, 2]


def test_every_field_of_a_turn_is_journalled() -> None:
    calls = (call("look", "{}", "c1"), call("turn", "[", "c2"))
    completion = Completion(
        content="a",
        reasoning="b",
        tool_calls=calls,
        finish_reason="length",
        usage=Usage(1, 2, 3, 4),
        model="m",
        request_id="r",
    )
    turn = PastTurn(completion, Exchange(endpoint="e", seconds=1.5, attempts=2), Spent(2.5, 3))
    assert turn_log._turn(orjson.loads(orjson.dumps(turn_log._fields(turn)))) == turn
    kinds: list[tuple[Any, Any]] = [(completion, Completion), (completion.usage, Usage), (turn.exchange, Exchange)]
    for value, kind in kinds:  # nothing of it is left at what it is without a word
        left = {one.name for one in fields(kind) if getattr(value, one.name) == one.default}
        assert left == ({"choices"} if kind is Completion else set())  # that is of the request, and counted by then
