"""Traces of a region job as a reward sees them, and a judge with what a run shares."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from support.qa_traces import Judge

from asyncgen.core.trace import Trace, TurnRecord
from asyncgen.core.types import Sample, Usage
from asyncgen.tasks.region import Region

T = TypeVar("T")


def answered(*responses: str, reasoning: str = "", scores: Mapping[str, Any] | None = None) -> Trace:
    """A trace of these responses, whose answer is what the task reads in the last; `reasoning` is that of the last."""
    last = len(responses)
    return Trace(
        id="region/0/0",
        config_id="c",
        rollout=0,
        dataset_path="data",
        sample_index=0,
        sample_data={},
        conversation_history=tuple(
            turn(number, one, reasoning if number == last else "") for number, one in enumerate(responses, 1)
        ),
        final_response=responses[-1] if responses else "",
        answer=Region().answer(responses[-1]) if responses else "",
        reward_score=scores or {},
    )


def turn(number: int, response: str, reasoning: str = "") -> TurnRecord:
    return TurnRecord(
        turn=number,
        messages=(),
        response=response,
        reasoning=reasoning,
        finish_reason="stop",
        usage=Usage(),
        endpoint="",
        model="",
        request_id="",
        seconds=0.0,
        attempts=1,
    )


def row(**data: Any) -> Sample:
    return Sample(index=0, data=data)


class SharingJudge(Judge):
    """A judge in a run: what is shared is made once."""

    def __init__(self, said: str | Exception, *, finish_reason: str = "stop") -> None:
        super().__init__(said, finish_reason=finish_reason)
        self.made: dict[Hashable, Any] = {}

    def shared(self, make: Callable[..., T], *args: Hashable) -> T:
        made: T = self.made.setdefault((make, args), make(*args))
        return made


@dataclass(frozen=True)
class Spot:
    """A place on the globe, as `Points.at` says it."""

    country: str
    division: str = ""
    approximate: bool = False
    near_border: bool = False
