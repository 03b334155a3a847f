"""From a finished episode to its trace.

Knows which field of the trace comes from where. Does not know how it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from asyncgen.core.errors import EpisodeError
from asyncgen.core.task import Task
from asyncgen.core.trace import CallRecord, Failure, ImageRecord, MessageRecord, ToolCallRecord, Trace, TurnRecord
from asyncgen.core.types import Json, Message, Picture, Sample, StopReason, ToolMode, Turn
from asyncgen.engine.episode import Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a run's traces have in common."""

    job: str
    config_id: str
    dataset_path: str
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Members of each trace's metadata beside the usual ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What an episode has cost, and how it was held."""

    mode: ToolMode
    seconds: float
    attempts: int
    resumed_at_turn: int = 0
    """The turn in which it went on after an interrupted start; 0: it was never interrupted."""


def build_trace(
    origin: Origin,
    sample: Sample,
    rollout: int,
    *,
    turns: Sequence[Turn],
    pictures: Sequence[Picture],
    finish: Finish,
    account: Account,
) -> Trace:
    """The trace, not scored yet."""
    calls = _calls(turns)
    return Trace(
        id=f"{origin.job}/{sample.index}/{rollout}",
        config_id=origin.config_id,
        rollout=rollout,
        dataset_path=origin.dataset_path,
        sample_index=sample.index,
        sample_data=sample.data,
        conversation_history=tuple(_turn(turn) for turn in turns),
        images=tuple(_image(picture) for picture in pictures),
        final_response=finish.final_response,
        answer=finish.answer,
        tool_calls=calls,
        metadata={
            "total_turns": len(turns),
            "num_tool_calls": len(calls),
            "stop": str(finish.stop),
            "tool_mode": str(account.mode),
            "accepted": finish.stop is not StopReason.FAILED,
            "prompt_tokens": sum(turn.completion.usage.prompt_tokens for turn in turns),
            "completion_tokens": sum(turn.completion.usage.completion_tokens for turn in turns),
            "seconds": round(account.seconds, 4),
            "resumed_at_turn": account.resumed_at_turn,
            "attempts": account.attempts,
            **origin.metadata,
        },
    )


def with_scores(trace: Trace, task: Task, scores: Mapping[str, float | bool | str]) -> Trace:
    """Add `reward_score`, and the headline to `metadata`. Scores keep the types of the task's failure values."""
    fixed = {key: _like(failure, scores[key]) for key, failure in task.scores.items()}
    headline: dict[str, Json] = {name: fixed[key] for name, key in task.headline.items() if key in fixed}
    return replace(trace, reward_score=fixed, metadata={**trace.metadata, **headline})


def failure(trace: Trace, task: Task, error: EpisodeError) -> Failure:
    """The line for `failed/`."""
    return Failure(trace=with_scores(trace, task, task.scores), reason=str(error.reason), error=error.text)


def _like(failure_value: float | bool | str, value: float | bool | str) -> float | bool | str:  # a score
    if isinstance(failure_value, bool):
        return bool(value)
    return float(value) if isinstance(failure_value, float | int) else str(value)


def _turn(turn: Turn) -> TurnRecord:
    completion = turn.completion
    return TurnRecord(
        turn=turn.number,
        messages=tuple(_message(message) for message in turn.messages),
        response=completion.content,
        reasoning=completion.reasoning,
        finish_reason=completion.finish_reason,
        usage=completion.usage,
        endpoint=turn.endpoint,
        model=completion.model,
        request_id=completion.request_id,
        seconds=round(turn.seconds, 4),
        attempts=turn.attempts,
    )


def _message(message: Message) -> MessageRecord:
    return MessageRecord(role=message.role, content=message.text, tool_call_id=message.tool_call_id, name=message.name)


def _image(picture: Picture) -> ImageRecord:
    return ImageRecord(
        image=picture.image,
        source=picture.source,
        column=picture.column,
        op=picture.op,
        arguments=picture.arguments,
        width=picture.width,
        height=picture.height,
        sha256=picture.sha256,
    )


def _calls(turns: Sequence[Turn]) -> tuple[ToolCallRecord, ...]:
    return tuple(
        ToolCallRecord(
            turn=turn.number,
            tool_call=CallRecord(id=one.call.id, name=one.call.name, arguments=one.call.arguments),
            success=not one.error,
            error=one.error,
            seconds=round(one.seconds, 4),
        )
        for turn in turns
        for one in turn.results
    )
