"""Reading a stored trace again gives what the episode gave, whatever ended it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.core.task import Task
from asyncgen.core.trace import Trace
from asyncgen.core.types import (
    CallResult,
    Completion,
    Message,
    Sample,
    StopReason,
    ToolCall,
    ToolMode,
    ToolResult,
    Turn,
)
from asyncgen.engine.episode import (
    Ask,
    EpisodeState,
    Exchange,
    Finish,
    Plan,
    RunCalls,
    begin,
    decide,
    on_break,
    on_completion,
    on_limit,
    on_results,
)
from asyncgen.engine.ledger import Account, Origin, build_trace
from asyncgen.engine.reread import reread

SAMPLE = Sample(index=1, data={})


class Look:
    """A tool that is only named."""

    name = "look"


@dataclass(frozen=True)
class Boxed(Task):
    """`=X` is an answer; in the last reading any capital letter is one."""

    asks_on: bool = True
    tools: ClassVar[Any] = (Look(),)

    def answer(self, text: str) -> str:
        return text.rpartition("=")[2].strip() if "=" in text else ""

    def final_answer(self, text: str) -> str:
        return self.answer(text) or next((letter for letter in text if letter.isupper()), "")

    def reply(self, sample: Sample, turns: Sequence[Turn]) -> Sequence[Message] | None:
        return [Message("user", "go on")] if self.asks_on else None


@dataclass(frozen=True)
class Plain(Boxed):
    """The same without tools."""

    tools: ClassVar[Any] = ()


TEXTS = st.sampled_from(
    [
        "", "hm", "It is B", "=C", "<think>=D</think>", "<think>x</think>E maybe", "<think>never closed =F",
        '<tool_call>{"name": "look", "arguments": {}}</tool_call>',
        'so =G <tool_call>{"name": "look", "arguments": {"a": 1}}</tool_call>',
        'H <tool_call>{"name": "nothing", "arguments": {}}</tool_call>',
        "<tool_call>broken =I</tool_call>",
    ]
)  # fmt: skip
CALLS = st.lists(
    st.builds(ToolCall, id=st.just(""), name=st.just("look"), arguments=st.sampled_from(["{}", "{"])), max_size=2
)
COMPLETIONS = st.builds(
    Completion,
    content=TEXTS,
    tool_calls=CALLS.map(tuple),
    finish_reason=st.sampled_from(["stop", "stop", "stop", "length"]),
)
LIMITS = st.sampled_from([None, None, "turn", "tool"])
"""Where the context or the deadline ends it: at a request, in a call, or nowhere."""


def play(plan: Plan, completions: Sequence[Completion], limits: Sequence[str | None]) -> tuple[EpisodeState, Finish]:
    """An episode as the live one drives it; when the completions are used up, the deadline is over."""
    state, action = begin(plan)
    script, ends = iter(completions), iter(limits)
    while not isinstance(action, Finish):
        end = next(ends, None)
        if isinstance(action, Ask):
            completion = next(script, None)
            if state.turns and (completion is None or end == "turn"):
                return state, on_limit(plan, state, StopReason.CONTEXT if end == "turn" else StopReason.DEADLINE)
            state = on_completion(state, completion or Completion(content=""), Exchange())
            state, action = decide(plan, state)
        elif isinstance(action, RunCalls) and end == "tool":
            state = on_break(state, action.calls, [], "broken off")
            return state, on_limit(plan, state, StopReason.DEADLINE)
        else:
            results = [CallResult(call=one.call, result=ToolResult(text="ok"), error=one.error) for one in action.calls]
            state, action = on_results(plan, state, results)
    return state, action


def traced(state: EpisodeState, finish: Finish, mode: ToolMode) -> Trace:
    return build_trace(
        Origin(job="job", config_id="c", dataset_path="d"), SAMPLE, 0,
        turns=state.turns, pictures=(), finish=finish, account=Account(mode=mode, seconds=0.0, attempts=1),
    )  # fmt: skip


def plan_of(task: Task, mode: ToolMode, *, max_turns: int, final_turn: bool) -> Plan:
    tools: Any = {tool.name: tool for tool in task.tools}
    return Plan(
        task=task, sample=SAMPLE, opening=(), mode=mode, tools=tools, max_turns=max_turns, final_turn=final_turn
    )


@settings(max_examples=100, deadline=None)
@given(
    completions=st.lists(COMPLETIONS, min_size=1, max_size=6),
    limits=st.lists(LIMITS, max_size=12),
    mode=st.sampled_from(ToolMode),
    max_turns=st.integers(1, 4),
    final_turn=st.booleans(),
    answer_first=st.booleans(),
    asks_on=st.booleans(),
)
def test_the_same_task_reads_the_answer_that_is_stored(
    completions, limits, mode, max_turns, final_turn, answer_first, asks_on
):
    kind = Plain if mode is ToolMode.NONE else Boxed
    task = kind(answer_first=answer_first, asks_on=asks_on)
    state, finish = play(plan_of(task, mode, max_turns=max_turns, final_turn=final_turn), completions, limits)
    trace = traced(state, finish, mode)
    assert reread(task, trace) == trace.answer == finish.answer


@pytest.mark.parametrize("stop", [one for one in StopReason if one is not StopReason.FAILED])
def test_every_stop_reason_can_be_made_and_is_read_alike(stop: StopReason):
    task = Boxed(asks_on=stop is not StopReason.NO_ANSWER)
    contents = {
        StopReason.ANSWERED: ["=A"],
        StopReason.NO_ANSWER: ["hm"],
        StopReason.MAX_TURNS: ["hm", "hm", "hm"],
        StopReason.LENGTH: ["=A and"],
        StopReason.DEADLINE: ["B it may be"],
        StopReason.CONTEXT: ["B it may be", "hm"],
    }
    completions = [
        Completion(content=text, finish_reason="length" if stop is StopReason.LENGTH else "stop")
        for text in contents[stop]
    ]
    limits = [None, "turn"] if stop is StopReason.CONTEXT else []
    plan = plan_of(task, ToolMode.TEXT, max_turns=2 if stop is StopReason.MAX_TURNS else 5, final_turn=True)
    state, finish = play(plan, completions, limits)
    assert finish.stop is stop
    assert reread(task, traced(state, finish, ToolMode.TEXT)) == finish.answer


def test_another_task_reads_another_answer():
    state, finish = play(plan_of(Boxed(), ToolMode.TEXT, max_turns=3, final_turn=True), [Completion(content="=A")], [])
    trace = traced(state, finish, ToolMode.TEXT)
    assert reread(Boxed(), trace) == "A"

    @dataclass(frozen=True)
    class Whole(Boxed):
        def answer(self, text: str) -> str:
            return text

    assert reread(Whole(), trace) == "=A"


def test_a_trace_without_turns_has_no_answer():
    trace = traced(EpisodeState(), Finish(stop=StopReason.DEADLINE, answer="", final_response=""), ToolMode.NONE)
    assert reread(Plain(), trace) == ""


def test_a_trace_of_another_program_is_read_as_one_that_ended_by_itself():
    state, finish = play(plan_of(Plain(), ToolMode.NONE, max_turns=3, final_turn=True), [Completion(content="=A")], [])
    trace = traced(state, finish, ToolMode.NONE)
    assert reread(Plain(), replace(trace, answer="", metadata={"stop": "", "tool_mode": ""})) == "A"
