"""The episode as a pure state machine: completions and tool results in, what to do next out.

Knows the turn loop: calls, answers, limits, follow-ups, the final turn. No I/O, no clock, no encoding: the driver feeds
it live completions, a resume may feed it stored ones, a test feeds it what it likes.

    begin ──Ask──▶ on_completion, decide ──RunCalls──▶ on_results ──Ask──▶ …  ──Finish
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.task import Task, join_texts
from asyncgen.core.thinking import split_thinking
from asyncgen.core.trace import NOT_RUN
from asyncgen.core.types import (
    CallResult,
    Completion,
    Json,
    Message,
    Sample,
    StopReason,
    Tool,
    ToolCall,
    ToolMode,
    ToolResult,
    Turn,
)
from asyncgen.endpoint.arguments import canonical_arguments, parse_arguments
from asyncgen.endpoint.dialects import DIALECTS, Dialect
from asyncgen.engine.result_messages import result_messages

MAX_CALLS = 8
"""Calls of one turn that are run; the rest get an error text."""
SAME_CALL_LIMIT = 3
"""The call that makes it so many alike in a row is told so instead of being run."""
CHARACTERS_A_TOKEN = 3
"""A low guess: more of them are seen in English, fewer in Chinese."""
NOT_OFFERED = f"{NOT_RUN}no tools were offered in this turn"
"""The error of a call in a turn in which only an answer was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an episode may do; fixed for its life."""

    task: Task
    sample: Sample
    opening: tuple[Message, ...]
    """System and user messages, pictures resolved."""
    mode: ToolMode
    tools: Mapping[str, Tool]
    max_turns: int
    final_turn: bool
    max_context: int | None = None
    """Tokens of the conversation from which on the next turn is the final one."""

    @property
    def dialect(self) -> Dialect:
        """How calls stand in text."""
        return DIALECTS[self.task.dialect]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """A call as the machine sees it: to be run, or already answered with an error."""

    call: ToolCall
    arguments: Mapping[str, Json]
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeState:
    """All that has happened so far."""

    turns: tuple[Turn, ...] = ()
    asked: tuple[Message, ...] = ()
    """The messages of the turn that is under way."""
    final: bool = False
    """The turn under way is the final one, without tools."""
    last_call: tuple[str, str] = ("", "")
    repeats: int = 0
    """How often `last_call` has come in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Where a completion came from."""

    endpoint: str = ""
    seconds: float = 0.0
    attempts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Send these after what was sent before, and wait for a completion."""

    messages: tuple[Message, ...]
    """New ones, the model's own last message first."""
    tools: bool
    """Offer the tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCalls:
    """Run those without an error, in order; give back a result for each."""

    calls: tuple[PlannedCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The episode is over."""

    stop: StopReason
    answer: str
    final_response: str


Action: TypeAlias = Ask | RunCalls | Finish
Step: TypeAlias = tuple[EpisodeState, Action]


def begin(plan: Plan) -> Step:
    """The first request."""
    return EpisodeState(asked=plan.opening), Ask(messages=plan.opening, tools=plan.mode is ToolMode.NATIVE)


def on_completion(state: EpisodeState, completion: Completion, exchange: Exchange) -> EpisodeState:
    """The turn's completion is here. It is kept before anything is read out of it: whatever that raises, the turn is
    not lost."""
    turn = Turn(
        number=len(state.turns) + 1,
        messages=state.asked,
        completion=completion,
        visible=split_thinking(completion.content)[1],
        endpoint=exchange.endpoint,
        seconds=exchange.seconds,
        attempts=exchange.attempts,
    )
    return replace(state, turns=(*state.turns, turn), asked=())


def decide(plan: Plan, state: EpisodeState) -> Step:
    """What follows from the latest completion. Raises EpisodeError(content_filter), and what the task raises."""
    turn = state.turns[-1]
    if turn.completion.finish_reason == "content_filter":
        text = f"turn {turn.number}: the server's content filter cut the answer off"
        raise EpisodeError(FailReason.CONTENT_FILTER, text)
    if turn.completion.finish_reason == "length":
        return state, _finish(plan, state, StopReason.LENGTH)
    calls = _calls(plan, turn)
    if not plan.tools or state.final:
        return _without_tools(plan, state, calls)
    answer = plan.task.answer(plan.dialect.without(turn.visible))
    if answer and (not calls or plan.task.answer_first):
        state = _unanswered(state, calls, f"{NOT_RUN}the answer came in the same turn")
        return state, Finish(stop=StopReason.ANSWERED, answer=answer, final_response=turn.visible)
    if calls:
        return _plan_calls(plan, state, calls)
    return _follow_up(plan, state)


def on_results(plan: Plan, state: EpisodeState, results: Sequence[CallResult]) -> Step:
    """The calls of the latest turn are answered."""
    return _ask(plan, _with_results(state, results), result_messages(results, plan.dialect))


def on_break(
    state: EpisodeState, calls: Sequence[PlannedCall], results: Sequence[CallResult], error: str
) -> EpisodeState:
    """The next call after these results did not come to its end, and no later one is run: all of them are kept."""
    others = calls[len(results) :]
    errors = [error, *(one.error or f"{NOT_RUN}an earlier call was the last" for one in others[1:])]
    kept = [_unrun(one.call, text) for one, text in zip(others, errors, strict=True)]
    return _with_results(state, [*results, *kept])


def on_limit(plan: Plan, state: EpisodeState, stop: StopReason) -> Finish:
    """A deadline or the context's end: whatever there is, is the trace."""
    return _finish(plan, state, stop)


def _without_tools(plan: Plan, state: EpisodeState, calls: Sequence[ToolCall]) -> Step:
    """A turn in which nothing could be called: calls are kept in the trace, and not run."""
    state = _unanswered(state, calls, NOT_OFFERED)
    turn = state.turns[-1]
    if answer := plan.task.answer(turn.visible if not plan.tools else plan.dialect.without(turn.visible)):
        return state, Finish(stop=StopReason.ANSWERED, answer=answer, final_response=turn.visible)
    if state.final:
        return state, _finish(plan, state, StopReason.MAX_TURNS)
    return _follow_up(plan, state)


def _follow_up(plan: Plan, state: EpisodeState) -> Step:
    """Neither call nor answer."""
    used_up = len(state.turns) >= plan.max_turns
    if (used_up and plan.final_turn) or _context_used_up(plan, state, ()):
        return _ask(plan, state, ())
    reply = plan.task.reply(plan.sample, state.turns)
    if not reply:
        return state, _finish(plan, state, StopReason.NO_ANSWER)
    if used_up:
        return state, _finish(plan, state, StopReason.MAX_TURNS)
    return _ask(plan, state, tuple(reply))


def _ask(plan: Plan, state: EpisodeState, messages: tuple[Message, ...]) -> Step:
    """The next turn, or the final one when the turns, or the context, are used up."""
    final = len(state.turns) >= plan.max_turns or _context_used_up(plan, state, messages)
    if final:
        messages = _with_text(messages, plan.task.final_user)
    state = replace(state, asked=messages, final=final)
    tools = plan.mode is ToolMode.NATIVE and not final
    return state, Ask(messages=(_own_message(plan, state.turns[-1]), *messages), tools=tools)


def _context_used_up(plan: Plan, state: EpisodeState, messages: Sequence[Message]) -> bool:
    """Whether the conversation, with these messages, has `max_context` tokens: as the server counted the last turn's
    (of one that does not count, by its characters), and those that came since by their characters."""
    if plan.max_context is None:
        return False
    usage = state.turns[-1].completion.usage
    counted = usage.prompt_tokens + usage.completion_tokens
    texts = [message.text for message in messages]
    if not counted:
        texts += [message.text for turn in state.turns for message in turn.messages]
        texts += [turn.completion.content for turn in state.turns]
    return counted + sum(map(len, texts)) // CHARACTERS_A_TOKEN >= plan.max_context


def _finish(plan: Plan, state: EpisodeState, stop: StopReason) -> Finish:
    return last_reading(plan.task, state.turns, stop, tools=bool(plan.tools))


def last_reading(task: Task, turns: Sequence[Turn], stop: StopReason, *, tools: bool) -> Finish:
    """End without a clear answer: read the last visible text once more, leniently unless it was cut off.

    What stands beside a call is a guess that the model went on from, not its answer: it only counts in the last turn,
    after which nothing came.
    """
    if not turns:
        return Finish(stop=stop, answer="", final_response="")
    last = turns[-1]
    turn = _last_said(turns) or last
    text = "" if turn is not last and turn.results else turn.visible
    text = DIALECTS[task.dialect].without(text) if tools else text
    if stop is StopReason.LENGTH:
        answer = task.answer(text) if turn is last else ""
        return Finish(stop=stop, answer=answer, final_response=turn.visible)
    answer = task.final_answer(text)
    if answer and not turn.results and stop in {StopReason.NO_ANSWER, StopReason.MAX_TURNS}:
        stop = StopReason.ANSWERED
    return Finish(stop=stop, answer=answer, final_response=turn.visible)


def last_visible(turns: Sequence[Turn]) -> str:
    """The last visible text: a turn of thinking alone does not hide what was said before it."""
    turn = _last_said(turns)
    return turn.visible if turn else ""


def _last_said(turns: Sequence[Turn]) -> Turn | None:
    return next((turn for turn in reversed(turns) if turn.visible.strip()), None)


def _calls(plan: Plan, turn: Turn) -> tuple[ToolCall, ...]:
    """All calls of a turn: native ones, then those written in visible text. Ids are there, and each is its own."""
    native = turn.completion.tool_calls
    written = plan.dialect.scan(turn.visible, turn=turn.number, first=len(native) + 1) if plan.tools else ()
    if not native and not written:
        return ()
    given = {call.id for call in native}
    calls: list[ToolCall] = []
    taken = {""}
    for number, call in enumerate((*native, *written), 1):
        own = call.id
        if own in taken or (not call.native and own in given):
            own = f"call_{turn.number}_{number}"
            while own in given:  # a server's id that looks like one of ours
                own += "_"
        taken.add(own)
        calls.append(call if own == call.id else replace(call, id=own))
    return tuple(calls)


def _plan_calls(plan: Plan, state: EpisodeState, calls: Sequence[ToolCall]) -> Step:
    """Decide of each call whether it is run."""
    if len(state.turns) >= plan.max_turns and not plan.final_turn:
        state = _unanswered(state, calls, f"{NOT_RUN}the limit of {plan.max_turns} turns was reached")
        return state, _finish(plan, state, StopReason.MAX_TURNS)
    planned = []
    for call in calls[:MAX_CALLS]:
        state, one = _plan_call(plan, state, call)
        planned.append(one)
    error = f"{NOT_RUN}only the first {MAX_CALLS} calls of a turn are run"
    planned += [PlannedCall(call=call, arguments={}, error=error) for call in calls[MAX_CALLS:]]
    return state, RunCalls(calls=tuple(planned))


def _plan_call(plan: Plan, state: EpisodeState, call: ToolCall) -> tuple[EpisodeState, PlannedCall]:
    arguments = parse_arguments(call.arguments)
    key = (call.name, canonical_arguments(call.arguments) if arguments is not None else call.arguments)
    repeats = state.repeats + 1 if key == state.last_call else 1
    state = replace(state, last_call=key, repeats=repeats)
    return state, PlannedCall(call=call, arguments=arguments or {}, error=_call_error(plan, call, arguments, repeats))


def _call_error(plan: Plan, call: ToolCall, arguments: Mapping[str, Json] | None, repeats: int) -> str:
    names = ", ".join(plan.tools)
    if not call.name:
        return (
            "this is no valid tool call. Write one JSON object with the tool's name and its arguments: "
            f'{{"name": "{next(iter(plan.tools))}", "arguments": {{...}}}}. The tools are: {names}.'
        )
    if call.name not in plan.tools:
        return f"there is no tool {call.name[:80]!r}. The tools are: {names}."
    if arguments is None:
        return f"the arguments of {call.name} are not a JSON object. Send the call again with valid JSON."
    if repeats >= SAME_CALL_LIMIT:
        return (
            f"this is the same call of {call.name} {repeats} times in a row; it was not run. "
            "Make a different call or give your answer."
        )
    return ""


def _unanswered(state: EpisodeState, calls: Sequence[ToolCall], error: str) -> EpisodeState:
    """Keep calls that will get no answer."""
    return _with_results(state, [_unrun(call, error) for call in calls]) if calls else state


def _unrun(call: ToolCall, error: str) -> CallResult:
    return CallResult(call=call, result=ToolResult(text=""), error=error)


def _with_results(state: EpisodeState, results: Sequence[CallResult]) -> EpisodeState:
    turn = replace(state.turns[-1], results=tuple(results))
    return replace(state, turns=(*state.turns[:-1], turn))


def _own_message(plan: Plan, turn: Turn) -> Message:
    """The model's turn as it goes back: content as received, native calls with arguments that parse.

    A call without tools was never answered, so it does not go back: servers refuse calls without results.
    """
    results = turn.results if plan.tools else ()
    calls = tuple(_with_canonical_arguments(result.call) for result in results if result.call.native)
    return Message("assistant", turn.completion.content, tool_calls=calls)


def _with_canonical_arguments(call: ToolCall) -> ToolCall:
    arguments = canonical_arguments(call.arguments)
    return call if arguments == call.arguments else replace(call, arguments=arguments)


def _with_text(messages: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    """Add a user text; to the last message where that is the user's already: some templates want turns to alternate."""
    if not messages or messages[-1].role != "user":
        return (*messages, Message("user", text))
    last = messages[-1]
    return (*messages[:-1], replace(last, content=tuple(join_texts([*last.parts, f"\n\n{text}"]))))
