"""What a task may ask of the engine beside prompts and answers: stop strings, fields of a turn, services, a limit of
the context, another dialect."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from support.engine_fakes import (
    FakeTool,
    FakeTransport,
    PlainTask,
    Rig,
    ToolTask,
    call,
    plan_of,
    said,
    started,
    written,
)

from asyncgen.core.errors import InputError, TemporaryError, ToolDownError
from asyncgen.core.task import Task
from asyncgen.core.trace import Trace
from asyncgen.core.types import (
    CallResult,
    Completion,
    Context,
    Json,
    Reward,
    Sample,
    ToolMode,
    ToolResult,
    Turn,
    Usage,
)
from asyncgen.engine.episode import Ask, Exchange, RunCalls, decide, on_completion, on_results
from asyncgen.engine.kit import make_kit
from asyncgen.engine.services import Services


def rig(task: Task, *script: Any, **options: Any) -> tuple[Rig, FakeTransport]:
    transport = FakeTransport(script=deque(script), default=script[-1])
    return Rig(task, transport, **options), transport


# stop strings


async def test_stop_strings_are_sent_and_cut_where_the_server_goes_on() -> None:
    task = replace(ToolTask(tool_calls="text"), stop=("\n<tool_response>", "<tool_response>"))
    invented = f"{written()}\n<tool_response>\ninvented\n</tool_response>\nANSWER: wrong"
    one, transport = rig(task, said(invented), said("ANSWER: right"))
    async with one:
        (trace,) = (await one.run()).traces
    assert transport.sent[0].body["stop"] == ["\n<tool_response>", "<tool_response>"]
    assert trace.conversation_history[0].response == written()
    assert transport.sent[1].body["messages"][-2]["content"] == written()
    assert (trace.answer, len(trace.tool_calls)) == ("right", 1)


async def test_a_task_without_stop_strings_sends_none() -> None:
    one, transport = rig(PlainTask(), said("ANSWER: 1"))
    async with one:
        await one.run()
    assert "stop" not in transport.sent[0].body


# fields of a turn


@dataclass(frozen=True)
class Grammars(ToolTask):
    """Another grammar for the turn that asks for the answer."""

    def request(self, sample: Sample, turns: Sequence[Turn], final: bool) -> Mapping[str, Json]:
        return {"grammar": "answer" if final else f"call {len(turns)}", "temperature": 0.1}


async def test_a_task_may_add_fields_to_the_request_of_each_turn() -> None:
    one, transport = rig(Grammars(), said("", call()), said("ANSWER: 1"), max_turns=1)
    async with one:
        await one.run()
    assert [(sent.body["grammar"], sent.body["temperature"]) for sent in transport.sent] == [
        ("call 0", 0.1),
        ("answer", 0.1),
    ]


# the context's limit


def counted(content: str, *calls: Any, tokens: int = 0) -> Completion:
    return replace(said(content, *calls), usage=Usage(prompt_tokens=tokens, completion_tokens=0, total_tokens=tokens))


def second_ask(first: Completion, *, max_context: int, result: str = "seen") -> Ask:
    """What is asked after a first turn with one call."""
    plan = replace(plan_of(ToolTask()), max_context=max_context)
    state, action = decide(plan, on_completion(started(plan), first, Exchange()))
    assert isinstance(action, RunCalls)
    results = [CallResult(call=one.call, result=ToolResult(text=result)) for one in action.calls]
    asked = on_results(plan, state, results)[1]
    assert isinstance(asked, Ask)
    return asked


@pytest.mark.parametrize(
    ("first", "result", "final"),
    [
        (counted("", call(), tokens=900), "seen", False),
        (counted("", call(), tokens=1000), "seen", True),
        (counted("", call(), tokens=900), "x" * 300, True),
        (counted("short", call()), "seen", False),  # the server does not count
        (counted("x" * 3000, call()), "seen", True),
    ],
)
def test_near_the_end_of_the_context_the_next_turn_asks_for_the_answer(
    first: Completion, result: str, *, final: bool
) -> None:
    asked = second_ask(first, max_context=1000, result=result)
    assert asked.tools is not final
    assert (asked.messages[-1].text == "Answer now.") is final


def test_a_turn_that_says_nothing_near_the_end_of_the_context_is_asked_for_its_answer() -> None:
    plan = replace(plan_of(PlainTask(), final_turn=False), max_context=10)
    _, action = decide(plan, on_completion(started(plan), counted("hm", tokens=11), Exchange()))
    assert isinstance(action, Ask)
    assert action.messages[-1].text == "Answer now."


# dialect


async def test_search_blocks_are_run_and_answered_as_information() -> None:
    async def look(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        return ToolResult(text=f"Doc 1 about {arguments['query_list'][0]}")

    @dataclass(frozen=True)
    class Searching(PlainTask):
        tools: ClassVar = (FakeTool("search", look),)

    task = Searching(dialect="search", tool_calls="text")
    one, transport = rig(task, said("<search>Paris"), said("ANSWER: 1"))
    async with one:
        (trace,) = (await one.run()).traces
    assert transport.sent[1].body["messages"][-1] == {
        "role": "user",
        "content": "<information>\nDoc 1 about Paris\n</information>",
    }
    assert "<search>" in transport.sent[0].body["messages"][0]["content"]
    assert trace.metadata["tool_mode"] == ToolMode.TEXT


# tools


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="two tools have the name 'look'"):
        make_kit(ToolTask(), [FakeTool("look")])


def test_a_job_s_tools_come_after_the_task_s() -> None:
    kit = make_kit(ToolTask(), [FakeTool("find")])
    assert list(kit.tools) == ["look", "turn", "find"]
    assert [schema["function"]["name"] for schema in kit.schemas] == ["look", "turn", "find"]


# services


class Counting:
    """Counts how often it was made, and whether its coroutine runs."""

    made = 0

    def __init__(self, name: str) -> None:
        type(self).made += 1
        self.name = name
        self.state = "made"

    async def run(self) -> None:
        self.state = "running"
        try:
            await asyncio.Event().wait()
        finally:
            self.state = "ended"


async def test_a_service_is_made_once_a_run_and_ends_with_it() -> None:
    found: list[Counting] = []

    async def use(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        found.append(context.shared(Counting, "a"))
        await asyncio.sleep(0)
        return ToolResult(text=found[-1].state)

    @dataclass(frozen=True)
    class Using(PlainTask):
        tools: ClassVar = (FakeTool("look", use),)

    Counting.made = 0

    def reply(sent: Any) -> Completion:
        return said("ANSWER: 1") if sent.body["messages"][-1]["role"] == "tool" else said("", call())

    one = Rig(Using(), FakeTransport(answer=reply), samples=3)
    async with one:
        store = await one.run()
    assert len(store.traces) == 3
    assert (len(found), Counting.made) == (3, 1)
    assert {trace.conversation_history[1].messages[0].content for trace in store.traces} == {"running"}
    assert found[0].state == "ended"


async def test_services_of_other_arguments_are_others() -> None:
    services = Services()
    assert services.get(Counting, "a") is services.get(Counting, "a")
    assert services.get(Counting, "a") is not services.get(Counting, "b")


# a tool that is down


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  # whatever makes it true
        await asyncio.sleep(0)


async def test_a_tool_that_is_down_pauses_the_run_until_a_call_passes() -> None:
    """Few traces say that it was down, the others have its result: their calls waited."""
    down = True
    tries = 0

    async def look(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        nonlocal tries
        tries += 1
        if down:
            raise ToolDownError("the service does not answer")
        return ToolResult(text="found")

    @dataclass(frozen=True)
    class Looking(PlainTask):
        tools: ClassVar = (FakeTool("look", look),)

    def reply(sent: Any) -> Completion:
        return said("ANSWER: 1") if sent.body["messages"][-1]["role"] == "tool" else said("", call())

    one = Rig(Looking(), FakeTransport(answer=reply), samples=40, concurrency=8, deadline=5.0)
    seen: list[str] = []

    async def mend() -> None:
        nonlocal down
        await until(lambda: bool(one.driver.hindrance))
        seen.append(one.driver.hindrance)
        await one.clock.sleep(60)
        before = len(one.transport.sent)
        await one.clock.sleep(10)
        seen.append(str(len(one.transport.sent) - before))
        down = False

    async with one, asyncio.TaskGroup() as group:
        group.create_task(mend())
        store = await one.run()
    assert seen == ["the tool look is down, its calls wait: the service does not answer", "0"]
    assert (len(store.traces), len(store.failures)) == (40, 0)
    texts = [trace.conversation_history[1].messages[0].content for trace in store.traces]
    assert texts.count("Error: the service does not answer") == 10
    assert texts.count("found") == 30
    assert tries < 80


async def test_a_tool_that_is_down_for_too_long_ends_the_run() -> None:
    async def look(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        raise ToolDownError("the service does not answer")

    @dataclass(frozen=True)
    class Looking(PlainTask):
        tools: ClassVar = (FakeTool("look", look),)

    def reply(sent: Any) -> Completion:
        return said("ANSWER: 1") if sent.body["messages"][-1]["role"] == "tool" else said("", call())

    one = Rig(Looking(), FakeTransport(answer=reply), samples=40, max_outage=30.0)
    async with one:
        with pytest.raises(TemporaryError, match=r"the tool look is down.*run the same command again"):
            await one.run()


# raw completion


async def test_a_raw_prompt_is_the_text_alone() -> None:
    task = PlainTask(system="", user='What is "2 + 2"?\nThink.', prompt_style="raw")
    one, transport = rig(task, said("ANSWER: 4"))
    async with one:
        (trace,) = (await one.run()).traces
    (sent,) = transport.sent
    assert (sent.path, sent.body["prompt"]) == ("/completions", 'What is "2 + 2"?\nThink.')
    assert "messages" not in sent.body
    assert [message.content for message in trace.conversation_history[0].messages] == ['What is "2 + 2"?\nThink.']
    assert trace.answer == "4"


async def test_raw_texts_of_one_conversation_have_a_blank_line_between_them() -> None:
    one, transport = rig(PlainTask(nudge="Go on.", prompt_style="raw"), said("hm"), said("ANSWER: 4"))
    async with one:
        await one.run()
    assert transport.sent[1].body["prompt"] == "Be brief.\n\nq0\n\nhm\n\nGo on."


# rewards that build on others, or need no answer


def part(_context: Context, _sample: Sample, trace: Trace) -> Mapping[str, float]:
    """Needs an answer."""
    return {"part": float(len(trace.answer))}


class Twice:
    """Needs none, and builds on what stands before it."""

    without_answer = True

    def __call__(self, _context: Context, _sample: Sample, trace: Trace) -> Mapping[str, float]:
        before = float(trace.reward_score["part"])
        return {"score": 2 * before + (not trace.answer) / 4}


@dataclass(frozen=True)
class SumTask(PlainTask):
    rewards: ClassVar[Sequence[Reward]] = (part, Twice())
    scores: ClassVar = {"score": 0.0, "part": 0.5, "parse_success": False}


async def test_a_reward_sees_what_those_before_it_gave_and_may_count_without_an_answer() -> None:
    for said_, wanted in (("ANSWER: abc", (6.0, 3.0, True)), ("nothing", (1.25, 0.5, False))):
        one, _ = rig(SumTask(), said(said_))
        async with one:
            (trace,) = (await one.run()).traces
        assert tuple(trace.reward_score.values()) == wanted
        assert trace.metadata["score"] == wanted[0]
