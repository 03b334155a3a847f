"""Traces of a search job as a reward sees them, and a judge that says what it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.context import FakeContext

from asyncgen.core.trace import MessageRecord, Trace, TurnRecord
from asyncgen.core.types import Completion, Json, Message, Usage


def searched(*results: str, answer: str = "", role: str = "tool") -> Trace:
    """A first turn with a question that looks like a result, then a turn for each result, which came before it."""
    asked = MessageRecord(role="user", content="Question:\n[1] Berlin: is it big?")
    turns = [_turn(1, asked), *(_turn(at, MessageRecord(role=role, content=one)) for at, one in enumerate(results, 2))]
    return Trace(
        id="search/0/0",
        config_id="c",
        rollout=0,
        dataset_path="data",
        sample_index=0,
        sample_data={},
        conversation_history=tuple(turns),
        answer=answer,
    )


def _turn(number: int, message: MessageRecord) -> TurnRecord:
    return TurnRecord(
        turn=number,
        messages=(message,),
        response="[1] Rome: as the model says",
        reasoning="",
        finish_reason="stop",
        usage=Usage(),
        endpoint="",
        model="",
        request_id="",
        seconds=0.0,
        attempts=1,
    )


class Judge(FakeContext):
    """A context whose model gives this completion, or raises this error."""

    def __init__(self, said: str | Exception, *, finish_reason: str = "stop") -> None:
        super().__init__()
        self._said = said
        self._finish_reason = finish_reason
        self.asked: list[tuple[Sequence[Message], dict[str, Any]]] = []

    async def complete(self, messages: Sequence[Message], **sampling: Json) -> Completion:
        self.asked.append((messages, sampling))
        if isinstance(self._said, Exception):
            raise self._said
        return Completion(content=self._said, finish_reason=self._finish_reason)
