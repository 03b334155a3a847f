"""The trace: the finished, immutable, versioned record of an episode, key for key as it is stored.

Knows the schema and its order, which are a contract: every key in every line, strings never null, floats as floats.
Does not know how a line is encoded or where it lies (`asyncgen.store`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncgen.core.types import Json, Usage

TRACE_VERSION = 1
NOT_RUN = "not run: "
"""How the error of a call begins that was left alone, by the episode's rules: no tool has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecord:
    """A message as sent; `content` has `<image:N>` where picture N stands."""

    role: str
    content: str
    tool_call_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """One turn: the messages new in it, and the completion."""

    turn: int
    messages: tuple[MessageRecord, ...]
    response: str
    """The content exactly as received."""
    reasoning: str
    """What came in a field of its own."""
    finish_reason: str
    usage: Usage
    endpoint: str
    model: str
    request_id: str
    seconds: float
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """A picture as the model saw it, without its bytes."""

    image: int
    source: str
    column: str
    op: str
    arguments: str
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """`tool_call` of a `tool_calls` entry; `arguments` exactly as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallRecord:
    """One tool call and whether it worked."""

    turn: int
    tool_call: CallRecord
    success: bool
    error: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One finished episode. Field order is key order."""

    id: str
    """`<job>/<index>/<rollout>`."""
    version: int = TRACE_VERSION
    config_id: str
    rollout: int
    dataset_path: str
    sample_index: int
    sample_data: Mapping[str, Json]
    conversation_history: tuple[TurnRecord, ...] = ()
    images: tuple[ImageRecord, ...] = ()
    final_response: str = ""
    """Last visible text."""
    answer: str = ""
    """The parsed answer; `""` if there is none."""
    reward_score: Mapping[str, float | bool | str] = field(default_factory=dict[str, Any])
    tool_calls: tuple[ToolCallRecord, ...] = ()
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Any])

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from asyncgen.core.markup import trace_html

        return trace_html(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An episode that ended without a trace: the same record, and why."""

    trace: Trace
    """With `metadata.stop == "failed"` and the task's failure scores."""
    reason: str
    """A FailReason."""
    error: str
    """What happened, in words."""

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from asyncgen.core.markup import failure_html

        return failure_html(self)
