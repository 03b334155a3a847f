"""Scores for responses that come from outside: many at a time, each by itself.

Knows items, deadlines, and how long the event loop may be kept from others. How a reward is called is
`engine.scoring`'s business, how an answer is read `engine.reread`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from asyncgen.core.clock import Clock
from asyncgen.core.errors import AsyncgenError, EpisodeError, FailReason, InputError
from asyncgen.core.task import Task
from asyncgen.core.text import repaired
from asyncgen.core.trace import MessageRecord, Trace, TurnRecord
from asyncgen.core.types import Json, Sample, Scores, ToolMode, Usage
from asyncgen.engine.reread import reread, turns_of
from asyncgen.engine.scoring import internal_error, scored
from asyncgen.engine.services import Services
from asyncgen.engine.workers import Workers
from asyncgen.runs.reward_chats import chat_of, text_of
from asyncgen.runs.reward_context import LONG, Deadline, RewardContext, served_task
from asyncgen.runs.reward_judge import Model
from asyncgen.runs.reward_requests import Item, Read
from asyncgen.runs.reward_rows import Rows, sample_of
from asyncgen.runs.reward_templates import response_of

SLICE = 0.004
"""Seconds of scoring after which the event loop is left to others."""
LONGEST_ERROR = 500
"""Characters of an error in an answer."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An item that has no scores, or not all of them, and why."""

    error: str
    scores: Scores | None = None
    """With 0 for what a judge should have said."""


Outcome: TypeAlias = Scores | Failed


class Slices:
    """Scoring, in turns: when a slice of time is used up, the event loop has a round for others first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._number = 0

    async def turn(self) -> None:
        """Returns when it is the caller's turn; what it does until it waits next belongs to the slice."""
        while self._clock.monotonic() - self._began > SLICE:
            number = self._number
            await asyncio.sleep(0)
            if number == self._number:  # the first one of all that wait
                self._number += 1
                self._began = self._clock.monotonic()


class Scorer:
    """One a service: all batches share its slots. `run` belongs to its TaskGroup."""

    def __init__(
        self,
        task: Task,
        rows: Rows | None,
        *,
        workers: Workers,
        model: Model,
        clock: Clock,
        deadline: float,
        concurrency: int,
    ) -> None:
        """`deadline`: seconds of an item, without those for processes and judges; `concurrency`: items at once."""
        self.task = task
        self._served = served_task(task)
        self.rows = rows
        self.services = Services()
        self.scored = 0
        """Items so far, with or without scores."""
        self._workers = workers
        self._model = model
        self._deadline = deadline
        self._slots = asyncio.Semaphore(concurrency)
        self.slices = Slices(clock)
        """To be asked before anything that takes long."""

    async def batch(self, items: Sequence[Read]) -> list[Outcome]:
        """The outcome of each, in order. Cancelled, it takes what is under way along."""
        outcomes: list[Outcome] = [Failed(one if isinstance(one, str) else "") for one in items]
        async with asyncio.TaskGroup() as group:
            for place, item in enumerate(items):
                if isinstance(item, Item):
                    await self._slots.acquire()
                    scoring = group.create_task(self._into(outcomes, place, item))
                    # not in its `finally`: cancelled before its first step, a coroutine never gets there
                    scoring.add_done_callback(self._release)
        self.scored += len(items)
        return outcomes

    def _release(self, _scoring: asyncio.Task[None]) -> None:
        self._slots.release()

    async def _into(self, outcomes: list[Outcome], place: int, item: Item) -> None:
        await self.slices.turn()
        outcomes[place] = await self.outcome(item)

    async def outcome(self, item: Item) -> Outcome:
        """The boundary: whatever is wrong with an item, or a reward makes of it, costs that item alone."""
        deadline = Deadline(self._deadline)
        try:
            async with deadline.timeout:
                return await self._scored(item, deadline)
        except EpisodeError as error:
            return _failed(error.text)
        except AsyncgenError as error:  # a judge that cannot be asked, a dataset that is gone: told to whoever asks
            return _failed(str(error))
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is None or current.cancelling():
                raise
            return _failed("a reward raised CancelledError")
        except Exception as error:  # noqa: BLE001  # the boundary
            if deadline.timeout.expired():
                return _failed(f"scoring took longer than {self._deadline:g} s; raise --deadline")
            return _failed(internal_error(error).text)

    async def _scored(self, item: Item, deadline: Deadline) -> Outcome:
        sample = await sample_of(item, self.task, self.rows, self._workers.offload)
        if len(item.response) > LONG:
            trace = await self._workers.offload(_read, self.task, sample, item)
        else:
            trace = _read(self.task, sample, item)
        context = RewardContext(self.task, sample, self._workers, self.services, self._model, deadline)
        scores = (await scored(self._served, context, sample, trace)).reward_score
        return Failed(_failed("; ".join(context.faults)).error, scores) if context.faults else scores


def _read(task: Task, sample: Sample, item: Item) -> Trace:
    response = response_of(item.response, item.prompt) if item.decoded else item.response
    if response is None:
        text = "the response was not found in query: its chat template is not known; send the response alone"
        raise EpisodeError(FailReason.BAD_SAMPLE, text)
    bare = _trace(task, sample, item, response)
    return replace(bare, answer=reread(task, bare))


def _failed(text: str) -> Failed:
    return Failed(repaired(text[:LONGEST_ERROR]))


def _trace(task: Task, sample: Sample, item: Item, response: str) -> Trace:
    """One turn, as if it had just come in; not read yet."""
    turn = TurnRecord(
        turn=1,
        messages=_messages(item.prompt),
        response=response,
        reasoning=item.reasoning,
        finish_reason="stop",
        usage=Usage(),
        endpoint="",
        model="",
        request_id="",
        seconds=0.0,
        attempts=1,
    )
    trace = Trace(
        id=f"reward/{sample.index}/0",
        config_id="",
        rollout=0,
        dataset_path="",
        sample_index=sample.index,
        sample_data=sample.data,
        conversation_history=(turn,),
        metadata={"tool_mode": str(ToolMode.TEXT if task.tools else ToolMode.NONE)},
    )
    return replace(trace, final_response=turns_of(trace)[0].visible)


def _messages(prompt: Json) -> tuple[MessageRecord, ...]:
    """For a judge that is shown what was asked; pictures are left out."""
    chat = chat_of(prompt)
    if chat is None:
        return (MessageRecord(role="user", content=prompt),) if isinstance(prompt, str) else ()
    return tuple(MessageRecord(role=str(one["role"]), content=text_of(one)) for one in chat)


def reward_name(task: Task) -> str:
    """The score that is the reward: `score`, or else the first that is a number. Raises InputError."""
    numbers = [key for key in task.scores if is_number(task, key)]
    name = "score" if "score" in numbers else next((one for one in numbers if one != "parse_success"), "")
    if not name:
        raise InputError(f"{type(task).__name__} has no score that is a number, so there is no reward to serve")
    return name


def is_number(task: Task, key: str) -> bool:
    """Whether the task has this score, and it is no text."""
    value = task.scores.get(key)
    return isinstance(value, float | int) and value is not True


def names_of(task: Task) -> list[str]:
    """Of its rewards."""
    return [getattr(one, "__name__", type(one).__name__) for one in task.rewards]


def numbers(outcomes: Sequence[Outcome], key: str) -> list[float]:
    """One score of each; 0.0 where there is none."""
    of_one = partial(_number, key)
    return [of_one(one) for one in outcomes]


def _number(key: str, outcome: Outcome) -> float:
    scores = outcome.scores if isinstance(outcome, Failed) else outcome
    return 0.0 if scores is None else float(scores[key])
