"""One live episode: tools, rewards, pictures, and what a failed one keeps."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from support.context import file_of, photo, ref
from support.engine_fakes import FakeTool, FakeTransport, PlainTask, Rig, ToolTask, call, picture, said

from asyncgen.core.errors import EpisodeError, FailReason, ToolError
from asyncgen.core.task import Task
from asyncgen.core.types import Context, Json, Message, Picture, Sample, Tool, ToolResult, Turn
from asyncgen.endpoint.wire import encode_message
from asyncgen.engine.conversation import Conversation

DONE = said("ANSWER: 1")
PNG = file_of(photo(40, 30), "PNG")


def with_tool(work: Any) -> Task:
    @dataclass(frozen=True)
    class Working(ToolTask):
        tools: ClassVar = (FakeTool("look", work),)

    return Working()


def with_reward(reward: Any) -> Task:
    @dataclass(frozen=True)
    class Scored(PlainTask):
        rewards: ClassVar = (reward,)

    return Scored()


async def outcome(task: Task, *script: Any, **options: Any) -> Any:
    """The one trace or failure."""
    transport = FakeTransport(script=deque(script), default=script[-1])
    async with Rig(task, transport, **options) as rig:
        store = await rig.run()
    (one,) = [*store.traces, *store.failures]
    return one


# tools


async def test_what_a_tool_refuses_is_told_to_the_model() -> None:
    async def refuse(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        raise ToolError("the box is empty")

    trace = await outcome(with_tool(refuse), said("", call()), DONE)
    assert trace.conversation_history[1].messages[0].content == "Error: the box is empty"
    assert (trace.tool_calls[0].success, trace.tool_calls[0].error) == (False, "the box is empty")


async def test_a_tool_that_crashes_fails_the_episode_and_the_call_is_kept() -> None:
    async def crash(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        raise KeyError("box")

    failure = await outcome(with_tool(crash), said("", call(), call(arguments="{}", call_id="c2")))
    assert failure.reason == "tool_crash"
    assert failure.error.startswith("look: KeyError: 'box' (test_engine_live.py:")
    assert [one.tool_call.id for one in failure.trace.tool_calls] == ["c1", "c2"]
    assert failure.trace.metadata["total_turns"] == 1
    assert failure.trace.metadata["stop"] == "failed"


async def test_a_failed_episode_keeps_the_last_text_that_there_was() -> None:
    async def crash(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        raise KeyError("box")

    failure = await outcome(
        with_tool(crash), said("a house", call("nothing")), said("<think>look</think>", call(call_id="c2"))
    )
    assert failure.reason == "tool_crash"
    assert failure.trace.final_response == "a house"


async def test_a_tool_that_outlives_the_deadline_is_broken_off_and_the_trace_says_so() -> None:
    async def hang(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        await asyncio.Event().wait()
        raise AssertionError

    trace = await outcome(with_tool(hang), said("maybe: 4", call()), deadline=0.1)
    assert (trace.metadata["stop"], trace.answer) == ("deadline", "4")
    assert trace.tool_calls[0].error == "broken off: the episode's deadline of 0.1 s was over"


async def test_a_tools_own_timeout_is_a_crash_and_not_the_deadline() -> None:
    async def late(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        raise TimeoutError("no answer from the index")

    assert (await outcome(with_tool(late), said("", call()))).reason == "tool_crash"


async def test_pictures_asked_for_at_once_get_numbers_of_their_own() -> None:
    async def both(context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        made: list[Picture] = []

        async def rotate(angle: int) -> None:
            made.append(await context.edit("rotate", {"image": 0, "angle": angle}))

        async with asyncio.TaskGroup() as group:
            for angle in (90, 180):
                group.create_task(rotate(angle))
        return ToolResult(text="both", pictures=tuple(made))

    @dataclass(frozen=True)
    class Turning(ToolTask):
        user: str = "<image>"
        tools: ClassVar = (FakeTool("look", both),)

    sample = Sample(index=0, data={}, images=(ref(PNG),))
    trace = await outcome(Turning(), said("", call()), DONE, read=lambda _: sample)
    assert [image.image for image in trace.images] == [0, 1, 2]
    assert "<image:1>\n<image:2>" in trace.conversation_history[1].messages[1].content


# pictures and messages


async def test_a_picture_in_a_tasks_reply_is_numbered_in_the_trace() -> None:
    sample = Sample(index=0, data={}, images=(ref(PNG), ref(file_of(photo(20, 20), "PNG"))))

    @dataclass(frozen=True)
    class Second(PlainTask):
        user: str = "<image>"

        def reply(self, sample: Sample, turns: Sequence[Turn]) -> Sequence[Message] | None:
            return [Message("user", ["And this?", sample.images[1], sample.images[0]])]

    trace = await outcome(Second(), said("hm"), DONE, read=lambda _: sample)
    assert trace.conversation_history[1].messages[0].content == "And this?<image:1><image:0>"
    assert len(trace.images) == 2


async def test_a_picture_that_cannot_be_read_fails_the_episode() -> None:
    sample = Sample(index=0, data={}, images=(ref(b"no picture"),))

    @dataclass(frozen=True)
    class Looking(PlainTask):
        user: str = "<image>"

    assert (await outcome(Looking(), DONE, read=lambda _: sample)).reason == "bad_image"


def test_a_conversation_encodes_each_message_once() -> None:
    conversation = Conversation()
    one, two = Message("user", "a"), Message("assistant", "b")
    added = conversation.extend([one])
    first = conversation.messages[0]
    assert added == conversation.bytes == len(b"".join(encode_message(one)))
    conversation.extend([two])
    assert conversation.messages[0] is first
    assert [b"".join(chunks) for chunks in conversation.messages] == [
        b"".join(encode_message(message)) for message in (one, two)
    ]


# scores


def gives(value: Any) -> Any:
    def reward(context: Context, sample: Sample, trace: Any) -> Any:
        return value

    return reward


async def test_scores_keep_the_types_of_the_failure_values() -> None:
    trace = await outcome(with_reward(gives({"score": 1})), DONE)
    assert trace.reward_score == {"score": 1.0, "parse_success": True}
    assert type(trace.reward_score["score"]) is float
    assert trace.metadata["score"] == 1.0


async def test_a_reward_may_be_a_coroutine_function() -> None:
    async def reward(context: Context, sample: Sample, trace: Any) -> Mapping[str, float]:
        return {"score": await context.offload(float, "0.5")}

    assert (await outcome(with_reward(reward), DONE)).reward_score["score"] == 0.5


async def test_without_an_answer_no_reward_is_asked() -> None:
    def never(context: Context, sample: Sample, trace: Any) -> Mapping[str, float]:
        raise AssertionError

    trace = await outcome(with_reward(never), said("hm"))
    assert trace.reward_score == {"score": 0.0, "parse_success": False}
    assert trace.metadata["stop"] == "no_answer"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"score": float("nan")}, "reward reward gave nan for 'score'"),
        ({"score": float("inf")}, "reward reward gave inf for 'score'"),
        ({"score": "high"}, "reward reward gave 'high' for 'score'"),
        ({"score": None}, "reward reward gave None for 'score'"),
        ({"points": 1.0}, "reward reward gave 'points'; the task's scores are score, parse_success"),
        (0.5, "reward reward gave float; give a dict of scores"),
    ],
)
async def test_a_reward_that_gives_no_scores_fails_the_episode(value: Any, text: str) -> None:
    failure = await outcome(with_reward(gives(value)), DONE)
    assert (failure.reason, failure.error) == ("internal", text)
    assert failure.trace.reward_score == {"score": 0.0, "parse_success": False}
    assert failure.trace.final_response == "ANSWER: 1"


async def test_a_reward_with_a_bug_fails_the_episode_with_the_line() -> None:
    def buggy(context: Context, sample: Sample, trace: Any) -> Mapping[str, float]:
        return {"score": sample.data["no such column"]}

    failure = await outcome(with_reward(buggy), DONE)
    assert failure.reason == "internal"
    assert failure.error.startswith("KeyError: 'no such column' (test_engine_live.py:")


# bugs of a task


async def test_the_turn_that_a_task_stumbles_over_is_kept() -> None:
    @dataclass(frozen=True)
    class Stumbling(PlainTask):
        def answer(self, text: str) -> str:
            return str(1 / (len(text) - len(text)))

    failure = await outcome(Stumbling(), said("the text"))
    assert failure.reason == "internal"
    assert "ZeroDivisionError" in failure.error
    assert failure.trace.conversation_history[0].response == "the text"


async def test_a_filtered_answer_fails_with_the_turn_that_was_filtered() -> None:
    failure = await outcome(PlainTask(), said("ANS", finish="content_filter"))
    assert (failure.reason, failure.trace.final_response) == ("content_filter", "ANS")


async def test_a_prompt_that_needs_a_missing_column_is_a_bad_sample() -> None:
    failure = await outcome(PlainTask(user="{nothing}"), DONE)
    assert failure.reason == "bad_sample"
    assert failure.trace.conversation_history == ()


async def test_a_row_that_cannot_be_read_is_a_bad_sample() -> None:
    def read(index: int) -> Sample:
        raise EpisodeError(FailReason.BAD_SAMPLE, f"row {index}: broken")

    failure = await outcome(PlainTask(), DONE, read=read)
    assert (failure.reason, failure.error, failure.trace.id) == ("bad_sample", "row 0: broken", "job/0/0")


# what a trace says


async def test_a_trace_counts_the_final_turn_and_every_call() -> None:
    trace = await outcome(ToolTask(), said("", call()), said("", call(arguments="{}")), DONE, max_turns=2)
    assert trace.metadata["total_turns"] == 3
    assert trace.metadata["num_tool_calls"] == 2
    assert trace.metadata["stop"] == "answered"
    assert trace.metadata["tool_mode"] == "native"
    assert (trace.metadata["prompt_tokens"], trace.metadata["completion_tokens"]) == (30, 15)
    assert [[one.role for one in turn.messages] for turn in trace.conversation_history] == [
        ["system", "user"],
        ["tool"],
        ["tool", "user"],
    ]


async def test_a_picture_that_a_tool_made_itself_gets_the_next_number() -> None:
    async def made(_context: Context, _arguments: Mapping[str, Json]) -> ToolResult:
        return ToolResult(text="drawn", pictures=(picture(5), picture(9, data=b"other")))

    @dataclass(frozen=True)
    class Drawing(PlainTask):
        tools: ClassVar[Sequence[Tool]] = (FakeTool("look", made),)

    transport = FakeTransport(deque([said("", call()), said("ANSWER: 1")]))
    async with Rig(Drawing(), transport) as rig:
        store = await rig.run()
    (trace,) = store.traces
    assert [image.image for image in trace.images] == [0, 1]
    assert "<image:0>" in trace.conversation_history[1].messages[-1].content
    assert "<image:1>" in trace.conversation_history[1].messages[-1].content
