"""The answer of a stored trace, read again.

With the task that the trace was made with, the answer is the one that is stored, whatever ended the episode: the
reading here follows `episode.decide`. Knows stop reasons. Does not know scores.
"""

from __future__ import annotations

from collections.abc import Sequence

from asyncgen.core.task import Task
from asyncgen.core.thinking import split_thinking
from asyncgen.core.trace import ToolCallRecord, Trace, TurnRecord
from asyncgen.core.types import CallResult, Completion, StopReason, ToolCall, ToolMode, ToolResult, Turn
from asyncgen.endpoint.dialects import DIALECTS
from asyncgen.engine.episode import NOT_OFFERED, last_reading

_CUT = {StopReason.LENGTH, StopReason.DEADLINE, StopReason.CONTEXT}
"""What ends an episode without a look whether its last turn is an answer."""


def reread(task: Task, trace: Trace) -> str:
    """The answer that the task reads in the trace; `""` if none. Raises what the task raises.

    A trace that says no stop reason we know (of another program) is read as one that ended by itself.
    """
    turns = turns_of(trace)
    if not turns:
        return ""
    stop, tools = trace.metadata.get("stop"), trace.metadata.get("tool_mode") != ToolMode.NONE
    if stop in _CUT:
        return last_reading(task, turns, StopReason(stop), tools=tools).answer
    last = turns[-1]
    if stop != StopReason.MAX_TURNS or _was_read(task, last):
        answer = task.answer(DIALECTS[task.dialect].without(last.visible) if tools else last.visible)
        if answer:
            return answer
    return last_reading(task, turns, StopReason.NO_ANSWER, tools=tools).answer


def _was_read(task: Task, last: Turn) -> bool:
    """Whether the last turn could have been the answer. Beside calls it is one only where `answer_first` says so, or
    where no tools were offered."""
    return not last.results or task.answer_first or any(one.error == NOT_OFFERED for one in last.results)


def turns_of(trace: Trace) -> tuple[Turn, ...]:
    """The turns as the episode had them, but for the messages."""
    return tuple(
        _turn(turn, [call for call in trace.tool_calls if call.turn == turn.turn])
        for turn in trace.conversation_history
    )


def _turn(turn: TurnRecord, calls: Sequence[ToolCallRecord]) -> Turn:
    return Turn(
        number=turn.turn,
        messages=(),
        completion=Completion(
            content=turn.response, reasoning=turn.reasoning, finish_reason=turn.finish_reason, usage=turn.usage
        ),
        visible=split_thinking(turn.response)[1],
        results=tuple(
            CallResult(
                call=ToolCall(id=one.tool_call.id, name=one.tool_call.name, arguments=one.tool_call.arguments),
                result=ToolResult(text=""),
                error=one.error,
            )
            for one in calls
        ),
    )
