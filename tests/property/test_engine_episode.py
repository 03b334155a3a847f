"""The turn loop under any sequence of completions."""

from __future__ import annotations

import copy
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from support.engine_fakes import PlainTask, ToolTask, plan_of, said, started

from asyncgen.core.errors import EpisodeError
from asyncgen.core.types import CallResult, Completion, Message, ToolCall, ToolMode, ToolResult
from asyncgen.engine.episode import Exchange, Finish, RunCalls, begin, decide, on_completion, on_results

ARGUMENTS = st.sampled_from(
    ['{"at": "a"}', '{"at":', "[1]", '"x"', "null", "", '"{\\"at\\": 1}"', "{} {}", '{"a": 1e999}']
)
CALLS = st.builds(
    ToolCall,
    id=st.sampled_from(["", "c", "call_1_1", "call_1_2", "call_2_1", "call_1_2_"]),
    name=st.sampled_from(["look", "turn", "fly", ""]),
    arguments=ARGUMENTS,
)
PIECES = st.sampled_from(
    [
        "text",
        "ANSWER: 1",
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        '<tool_call>{"name": "look", "arguments": {}}</tool_call>',
    ]
)
COMPLETIONS = st.builds(
    lambda pieces, calls, finish: said("".join(pieces), *calls, finish=finish),
    st.lists(PIECES, max_size=4),
    st.lists(CALLS, max_size=10),
    st.sampled_from(["stop", "tool_calls", "stop", "length", "content_filter", ""]),
)


def check_history(history: list[Message]) -> None:
    """What every server asks of a conversation."""
    waiting: list[str] = []
    for message in history:
        if message.role == "tool":
            assert message.tool_call_id == waiting.pop(0)
            assert all(isinstance(part, str) for part in message.parts)
            continue
        assert waiting == []
        waiting = [call.id for call in message.tool_calls]
        assert len(set(waiting)) == len(waiting)
        for call in message.tool_calls:
            assert isinstance(json.loads(call.arguments), dict)
    assert waiting == []
    assert history[-1].role in {"user", "tool"}


@settings(max_examples=100, deadline=None)
@given(
    completions=st.lists(COMPLETIONS, min_size=8, max_size=8),
    mode=st.sampled_from(ToolMode),
    max_turns=st.integers(1, 6),
    final_turn=st.booleans(),
    nudge=st.sampled_from(["", "Go on."]),
    answer_first=st.booleans(),
)
def test_any_conversation_ends_in_time_and_is_one_that_servers_take(
    completions: list[Completion], mode: ToolMode, max_turns: int, final_turn: bool, nudge: str, answer_first: bool
) -> None:
    task_class = PlainTask if mode is ToolMode.NONE else ToolTask
    task = task_class(nudge=nudge, answer_first=answer_first)
    plan = plan_of(task, mode=mode, max_turns=max_turns, final_turn=final_turn)
    state, action = begin(plan)
    history: list[Message] = []
    answers = iter(completions)
    while not isinstance(action, Finish):
        before, kept = state, copy.deepcopy(state)
        if isinstance(action, RunCalls):
            done = [
                CallResult(call=one.call, result=ToolResult(text="" if one.error else "seen"), error=one.error)
                for one in action.calls
            ]
            assert sum(not one.error for one in action.calls) <= 8
            state, action = on_results(plan, state, done)
        else:
            history += action.messages
            check_history(history)
            assert action.tools <= (mode is ToolMode.NATIVE)
            state = on_completion(state, next(answers), Exchange())
            try:
                state, action = decide(plan, state)
            except EpisodeError:
                assert state.turns[-1].completion.finish_reason == "content_filter"
                return
        assert before == kept
    assert len(state.turns) <= max_turns + final_turn
    assert [turn.number for turn in state.turns] == list(range(1, len(state.turns) + 1))
    ids = [(turn.number, one.call.id) for turn in state.turns for one in turn.results]
    assert len(set(ids)) == len(ids)


@settings(max_examples=50, deadline=None)
@given(completion=COMPLETIONS)
def test_a_turn_holds_its_completion_exactly_as_it_came(completion: Completion) -> None:
    state = on_completion(started(plan_of(ToolTask())), completion, Exchange())
    assert state.turns[-1].completion is completion
    assert state.asked == ()
