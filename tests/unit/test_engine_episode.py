"""The turn loop, as a pure machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from support.engine_fakes import FakeTool, PlainTask, ToolTask, call, plan_of, said, started, written

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.task import Task
from asyncgen.core.types import (
    CallResult,
    Completion,
    Message,
    Sample,
    StopReason,
    Tool,
    ToolMode,
    ToolResult,
    Turn,
)
from asyncgen.engine.episode import (
    MAX_CALLS,
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

EXCHANGE = Exchange(endpoint="e0", seconds=1.5, attempts=2)


def after(plan: Plan, state: EpisodeState, completion: Completion) -> tuple[EpisodeState, Any]:
    return decide(plan, on_completion(state, completion, EXCHANGE))


def first(plan: Plan, completion: Completion) -> tuple[EpisodeState, Any]:
    return after(plan, started(plan), completion)


def results(action: RunCalls, text: str = "seen") -> list[CallResult]:
    return [
        CallResult(call=one.call, result=ToolResult(text="" if one.error else text), error=one.error)
        for one in action.calls
    ]


def errors(action: RunCalls) -> list[str]:
    return [one.error for one in action.calls]


def play(plan: Plan, *completions: Completion) -> tuple[EpisodeState, Any]:
    """All of them in order, each call answered with `seen`."""
    state, action = begin(plan)
    for completion in completions:
        assert isinstance(action, Ask)
        state, action = after(plan, state, completion)
        if isinstance(action, RunCalls):
            state, action = on_results(plan, state, results(action))
    return state, action


def roles(messages: Sequence[Message]) -> list[str]:
    return [message.role for message in messages]


# how it begins


def test_the_opening_messages_are_the_first_request() -> None:
    plan = plan_of(ToolTask())
    state, action = begin(plan)
    assert action == Ask(messages=plan.opening, tools=True)
    assert state.asked == plan.opening


@pytest.mark.parametrize("mode", [ToolMode.TEXT, ToolMode.NONE])
def test_tools_are_offered_in_native_mode_only(mode: ToolMode) -> None:
    assert begin(plan_of(ToolTask(), mode=mode))[1].tools is False


def test_a_turn_keeps_what_was_sent_what_came_and_where_from() -> None:
    plan = plan_of(PlainTask())
    completion = said("<think>hm</think>ANSWER: 1", reasoning="deep")
    turn = first(plan, completion)[0].turns[0]
    assert turn == Turn(
        number=1,
        messages=plan.opening,
        completion=completion,
        visible="ANSWER: 1",
        endpoint="e0",
        seconds=1.5,
        attempts=2,
    )


# how it ends


def test_an_answer_ends_the_episode() -> None:
    finish = first(plan_of(ToolTask()), said("I think\nANSWER: Oslo"))[1]
    assert finish == Finish(stop=StopReason.ANSWERED, answer="Oslo", final_response="I think\nANSWER: Oslo")


def test_neither_call_nor_answer_ends_the_episode_where_the_task_has_nothing_to_say() -> None:
    finish = first(plan_of(PlainTask()), said("who knows"))[1]
    assert finish == Finish(stop=StopReason.NO_ANSWER, answer="", final_response="who knows")


def test_an_episode_that_ends_unanswered_is_read_once_more_leniently() -> None:
    finish = first(plan_of(PlainTask()), said("maybe: Rome"))[1]
    assert (finish.stop, finish.answer) == (StopReason.ANSWERED, "Rome")


def test_a_cut_off_turn_ends_the_episode_with_length_and_is_read_strictly() -> None:
    assert first(plan_of(PlainTask()), said("maybe: Ro", finish="length"))[1].answer == ""
    finish = first(plan_of(PlainTask()), said("ANSWER: Rome. And", finish="length"))[1]
    assert (finish.stop, finish.answer) == (StopReason.LENGTH, "Rome. And")


@pytest.mark.parametrize("completion", [said("", call(), finish="length"), said(written(), finish="length")])
def test_a_cut_off_turn_is_never_read_as_a_call(completion: Completion) -> None:
    state, finish = first(plan_of(ToolTask()), completion)
    assert isinstance(finish, Finish)
    assert (finish.stop, state.turns[0].results) == (StopReason.LENGTH, ())


def test_a_filtered_turn_is_kept_and_fails_the_episode() -> None:
    plan = plan_of(PlainTask())
    state = on_completion(started(plan), said("ANSW", finish="content_filter"), EXCHANGE)
    with pytest.raises(EpisodeError, match="turn 1: the server's content filter") as caught:
        decide(plan, state)
    assert caught.value.reason is FailReason.CONTENT_FILTER
    assert state.turns[0].completion.content == "ANSW"


@pytest.mark.parametrize("stop", [StopReason.DEADLINE, StopReason.CONTEXT])
def test_a_limit_makes_a_trace_of_what_there_is(stop: StopReason) -> None:
    plan = plan_of(ToolTask())
    state, action = first(plan, said("maybe: Rome", call()))
    assert isinstance(action, RunCalls)
    assert on_limit(plan, state, stop) == Finish(stop=stop, answer="Rome", final_response="maybe: Rome")


@pytest.mark.parametrize("last", [said("<think>hm"), said(""), said("<think>so</think>\n\n")])
def test_a_last_turn_of_thinking_alone_does_not_hide_the_text_before_it(last: Completion) -> None:
    plan = plan_of(ToolTask(), max_turns=1)
    state, action = first(plan, said("maybe: Rome", call()))
    assert isinstance(action, RunCalls)
    state, _ = on_results(plan, state, results(action))
    finish = after(plan, state, last)[1]
    assert finish == Finish(stop=StopReason.MAX_TURNS, answer="", final_response="maybe: Rome")


def test_a_turn_of_thinking_alone_after_a_nudge_leaves_the_answer_that_can_be_read() -> None:
    class Nudging(ToolTask):
        def reply(self, sample: Sample, turns: Sequence[Turn]) -> Sequence[Message]:
            return [Message("user", "Go on.")]

    plan = plan_of(Nudging(), max_turns=2, final_turn=False)
    state, action = first(plan, said("maybe: Rome"))
    assert isinstance(action, Ask)
    finish = after(plan, state, said("<think>hm"))[1]
    assert finish == Finish(stop=StopReason.ANSWERED, answer="Rome", final_response="maybe: Rome")


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_guess_beside_a_call_that_was_run_is_not_the_answer_of_a_turn_without_one(finish: str) -> None:
    plan = plan_of(ToolTask(), max_turns=1)
    state, action = first(plan, said("ANSWER Rome, let me look", call()))
    assert isinstance(action, RunCalls)
    state, _ = on_results(plan, state, results(action))
    last = after(plan, state, said("<think>no, surely not", finish=finish))[1]
    assert isinstance(last, Finish)
    assert (last.answer, last.stop) == ("", StopReason.LENGTH if finish == "length" else StopReason.MAX_TURNS)


def test_a_limit_before_any_turn_has_no_answer() -> None:
    plan = plan_of(PlainTask())
    assert on_limit(plan, started(plan), StopReason.DEADLINE).answer == ""


# calls


def test_calls_of_a_turn_run_in_order_native_ones_first() -> None:
    turn = said(written("turn") + written("look"), call("turn", call_id="n1"), call("look", call_id="n2"))
    action = first(plan_of(ToolTask()), turn)[1]
    assert [(one.call.name, one.call.native) for one in action.calls] == [
        ("turn", True),
        ("look", True),
        ("turn", False),
        ("look", False),
    ]
    assert len({one.call.id for one in action.calls}) == 4


def test_text_calls_are_read_in_text_mode() -> None:
    action = first(plan_of(ToolTask(), mode=ToolMode.TEXT), said(written("look", '{"at": "b"}')))[1]
    assert [(one.call.name, one.arguments, one.error) for one in action.calls] == [("look", {"at": "b"}, "")]


@pytest.mark.parametrize(
    "content", [f"<think>{written()}</think>ANSWER: 1", f"{written()}</think>ANSWER: 1", f"ANSWER: 1<think>{written()}"]
)
def test_calls_and_answers_inside_thinking_are_ignored(content: str) -> None:
    assert first(plan_of(ToolTask()), said(content))[1].answer == "1"
    assert first(plan_of(ToolTask()), said(f"<think>ANSWER: 2 {written()}</think>?"))[1].stop is StopReason.NO_ANSWER


def test_only_the_first_eight_calls_of_a_turn_run() -> None:
    calls = [call(arguments=f'{{"at": "{n}"}}', call_id=f"c{n}") for n in range(10)]
    action = first(plan_of(ToolTask()), said("", *calls))[1]
    assert [bool(error) for error in errors(action)] == [False] * MAX_CALLS + [True] * 2
    assert "only the first 8 calls" in errors(action)[-1]


def test_malformed_arguments_are_answered_with_an_error_and_go_back_as_an_empty_object() -> None:
    plan = plan_of(ToolTask())
    state, action = first(plan, said("", call(arguments='{"at": ')))
    assert "not a JSON object" in errors(action)[0]
    ask = on_results(plan, state, results(action))[1]
    assert ask.messages[0].tool_calls[0].arguments == "{}"
    assert ask.messages[1].text.startswith("Error: the arguments of look")


def test_arguments_go_back_in_canonical_form() -> None:
    plan = plan_of(ToolTask())
    state, action = first(plan, said("", call(arguments=' {"at" :  "a"}\n')))
    assert on_results(plan, state, results(action))[1].messages[0].tool_calls[0].arguments == '{"at":"a"}'
    assert action.calls[0].call.arguments == ' {"at" :  "a"}\n'


def test_an_unknown_tool_is_answered_with_the_list_of_tools() -> None:
    assert errors(first(plan_of(ToolTask()), said("", call("fly")))[1]) == [
        "there is no tool 'fly'. The tools are: look, turn."
    ]


def test_a_block_that_is_no_call_is_answered_with_how_to_write_one() -> None:
    error = errors(first(plan_of(ToolTask(), mode=ToolMode.TEXT), said("<tool_call>look there</tool_call>"))[1])[0]
    assert '{"name": "look", "arguments": {...}}' in error
    assert "The tools are: look, turn." in error


def test_the_same_call_three_times_in_a_row_is_told_so() -> None:
    plan = plan_of(ToolTask(), max_turns=9)
    state, action = begin(plan)
    told = []
    for arguments in ('{"at": "a"}', '{"at":"a"}', '{ "at": "a" }'):
        state, action = after(plan, state, said("", call(arguments=arguments)))
        told.append(errors(action)[0])
        state, action = on_results(plan, state, results(action))
    assert told[:2] == ["", ""]
    assert "the same call of look 3 times in a row" in told[2]


def test_another_call_starts_the_count_of_same_calls_anew() -> None:
    same, other = call(), call(arguments='{"at": "b"}')
    plan = plan_of(ToolTask(), max_turns=9)
    state, action = begin(plan)
    for one in (same, same, other, same, same):
        state, action = after(plan, state, said("", one))
        assert errors(action) == [""]
        state, action = on_results(plan, state, results(action))


def test_calls_over_the_limit_of_a_turn_do_not_count_as_repeated() -> None:
    plan = plan_of(ToolTask(), max_turns=9)
    calls = [call(arguments=f'{{"at": "{min(n, 8)}"}}', call_id=f"c{n}") for n in range(11)]
    state, action = first(plan, said("", *calls))
    state, _ = on_results(plan, state, results(action))
    assert errors(after(plan, state, said("", calls[-1]))[1]) == [""]


def test_the_call_runs_and_the_answer_of_the_same_turn_is_ignored() -> None:
    assert isinstance(first(plan_of(ToolTask()), said("ANSWER: 1", call()))[1], RunCalls)


@pytest.mark.parametrize("completion", [said("ANSWER: 1", call()), said(f"ANSWER: 1\n{written()}")])
def test_with_answer_first_the_answer_counts_and_the_call_is_kept_unrun(completion: Completion) -> None:
    state, finish = first(plan_of(ToolTask(answer_first=True)), completion)
    assert (finish.stop, finish.answer) == (StopReason.ANSWERED, "1")
    assert [one.error for one in state.turns[0].results] == ["not run: the answer came in the same turn"]


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        (["a", "b"], ["a", "b"]),
        (["", ""], ["call_1_1", "call_1_2"]),
        (["x", "x", "x"], ["x", "call_1_2", "call_1_3"]),
        (["call_1_2", ""], ["call_1_2", "call_1_2_"]),
    ],
)
def test_every_native_call_has_an_id_of_its_own(given: list[str], ids: list[str]) -> None:
    calls = [call(call_id=one, arguments=f'{{"at": {n}}}') for n, one in enumerate(given)]
    plan = plan_of(ToolTask())
    state, action = first(plan, said("", *calls))
    assert [one.call.id for one in action.calls] == ids
    ask = on_results(plan, state, results(action))[1]
    assert [one.id for one in ask.messages[0].tool_calls] == [one.tool_call_id for one in ask.messages[1:]] == ids


def test_stray_calls_of_a_task_without_tools_are_kept_and_never_sent_back() -> None:
    plan = plan_of(PlainTask(nudge="Go on."))
    state, ask = first(plan, said("hm", call()))
    assert isinstance(ask, Ask)
    assert ask.messages == (Message("assistant", "hm"), Message("user", "Go on."))
    assert [one.error for one in state.turns[0].results] == ["not run: no tools were offered in this turn"]


def test_a_task_without_tools_may_have_call_tags_in_its_answer() -> None:
    assert first(plan_of(PlainTask()), said(f"ANSWER: {written()}"))[1].answer == written()


def test_calls_that_were_broken_off_are_kept_with_the_reason() -> None:
    plan = plan_of(ToolTask())
    state, action = first(plan, said("", *[call(call_id=str(n), arguments=f'{{"at": {n}}}') for n in range(3)]))
    done = results(action)[:1]
    kept = on_break(state, action.calls, done, "look: crashed").turns[-1].results
    assert kept[0] == done[0]
    assert [(one.call.id, one.error.split(":")[0]) for one in kept[1:]] == [("1", "look"), ("2", "not run")]


# follow-ups and limits


def test_a_task_may_ask_to_go_on() -> None:
    state, ask = first(plan_of(ToolTask(nudge="Go on.")), said("hm"))
    assert ask == Ask(messages=(Message("assistant", "hm"), Message("user", "Go on.")), tools=True)
    assert state.asked == (Message("user", "Go on."),)


def test_an_empty_reply_is_none() -> None:
    @dataclass(frozen=True)
    class Silent(PlainTask):
        def reply(self, sample: Sample, turns: Sequence[Turn]) -> Sequence[Message] | None:
            return []

    assert first(plan_of(Silent()), said("hm"))[1].stop is StopReason.NO_ANSWER


def test_after_the_last_turn_one_more_without_tools_asks_for_the_answer() -> None:
    plan = plan_of(ToolTask(nudge="Go on."), max_turns=2)
    state, ask = play(plan, said("", call()), said("hm"))
    assert ask.tools is False
    assert ask.messages == (Message("assistant", "hm"), Message("user", "Answer now."))
    state, finish = after(plan, state, said("ANSWER: 1"))
    assert (finish.stop, finish.answer, len(state.turns)) == (StopReason.ANSWERED, "1", 3)


def test_the_final_question_joins_the_results_in_one_user_message() -> None:
    plan = plan_of(ToolTask(), mode=ToolMode.TEXT, max_turns=1)
    ask = play(plan, said(written()))[1]
    assert roles(ask.messages) == ["assistant", "user"]
    assert ask.messages[1].parts == ("<tool_response>\nseen\n</tool_response>\n\nAnswer now.",)


def test_the_final_question_follows_native_results_as_a_message_of_its_own() -> None:
    ask = play(plan_of(ToolTask(), max_turns=1), said("", call()))[1]
    assert roles(ask.messages) == ["assistant", "tool", "user"]


def test_a_final_turn_without_answer_stops_with_max_turns() -> None:
    state, finish = play(plan_of(ToolTask(), max_turns=1), said("", call()), said("hm", call()))
    assert (finish.stop, finish.answer) == (StopReason.MAX_TURNS, "")
    assert [one.error for one in state.turns[1].results] == ["not run: no tools were offered in this turn"]


def test_without_a_final_turn_the_last_calls_are_not_run() -> None:
    state, finish = play(plan_of(ToolTask(), max_turns=2, final_turn=False), said("", call()), said("maybe: 4", call()))
    assert (finish.stop, finish.answer) == (StopReason.MAX_TURNS, "4")
    assert [one.error for one in state.turns[1].results] == ["not run: the limit of 2 turns was reached"]


@pytest.mark.parametrize(("nudge", "stop"), [("", StopReason.NO_ANSWER), ("Go on.", StopReason.MAX_TURNS)])
def test_without_a_final_turn_it_is_the_limit_only_where_the_task_would_have_gone_on(
    nudge: str, stop: StopReason
) -> None:
    assert first(plan_of(PlainTask(nudge=nudge), max_turns=1, final_turn=False), said("hm"))[1].stop is stop


def test_one_turn_and_an_answer_needs_no_final_turn() -> None:
    state, finish = first(plan_of(PlainTask(), max_turns=1), said("ANSWER: 1"))
    assert (finish.stop, len(state.turns)) == (StopReason.ANSWERED, 1)


def test_a_text_call_goes_back_in_the_text_where_it_was_written() -> None:
    plan = plan_of(ToolTask())
    ask = play(plan, said(f"Let me see.{written()}"))[1]
    assert ask.messages[0] == Message("assistant", f"Let me see.{written()}")


def test_a_tool_less_subclass_of_task_answers_with_its_whole_text() -> None:
    @dataclass(frozen=True)
    class Whole(Task):
        user: str = "{question}"
        tools: ClassVar[Sequence[Tool]] = (FakeTool(),)

    assert first(plan_of(Whole()), said(" Paris "))[1].answer == "Paris"
