"""What a reward of the service may use, and how the seconds of its item are counted.

Knows that an item waits for worker processes and judges, each with bounds of its own, and that this is not its fault.
Does not know what is scored.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from asyncgen.core.errors import AsyncgenError, EpisodeError, FailReason
from asyncgen.core.task import Task
from asyncgen.core.trace import Trace
from asyncgen.core.types import Completion, Json, Message, Picture, Reward, Sample, Scores
from asyncgen.engine.context import TaskContext
from asyncgen.engine.services import Services
from asyncgen.engine.workers import Workers
from asyncgen.rewards.judge import JUDGE_FAILURE, judge_scores
from asyncgen.rewards.maths_judge import InProcess, Judge, Pair, judged
from asyncgen.runs.reward_judge import Model

T = TypeVar("T")

KEPT = 20_000
"""Verdicts that are remembered."""
LONG = 20_000
"""Characters of a response from which on it is looked at in a thread."""


class Deadline:
    """Seconds that an item may take; those are not counted in which it is `paused`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.timeout = asyncio.timeout(seconds)
        """To be entered by whoever scores the item."""
        self._pauses = 0
        self._left = 0.0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What has a bound of its own; several at once are fine."""
        if self.timeout.expired():
            yield
            return
        now = asyncio.get_running_loop().time
        if not self._pauses:
            self._left = (self.timeout.when() or now()) - now()
            self.timeout.reschedule(None)
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                self.timeout.reschedule(now() + self._left)


class RewardContext(TaskContext):
    """Implements `core.types.Context`: a row, worker processes, a judge's model where there is one; no pictures."""

    def __init__(
        self, task: Task, sample: Sample, workers: Workers, services: Services, model: Model, deadline: Deadline
    ) -> None:
        super().__init__(task, sample, workers)
        self._services = services
        self._model = model
        self.deadline = deadline
        self.faults: list[str] = []
        """Why parts of the scores are 0."""

    @property
    def pictures(self) -> Sequence[Picture]:
        """None: a response comes without them."""
        return ()

    async def open(self, image: int) -> Any:
        """Raises EpisodeError(bad_image)."""
        raise EpisodeError(FailReason.BAD_IMAGE, f"a reward wants picture {image}, and a response comes without any")

    async def edit(self, op: str, arguments: Mapping[str, Json]) -> Picture:  # noqa: ARG002  # as in Context
        """Raises EpisodeError(bad_image)."""
        raise EpisodeError(FailReason.BAD_IMAGE, f"a reward wants to {op} a picture, and a response comes without any")

    async def in_process(self, function: Callable[..., T], *args: Any, seconds: float = 30.0) -> T:
        """Run in another process, which is killed after `seconds`, or the item's if these are fewer; waiting for a
        process counts nowhere."""
        with self.deadline.paused():
            seconds = min(seconds, self.deadline.seconds)
            return await self._workers.in_process(function, *args, seconds=seconds)

    async def complete(self, messages: Sequence[Message], **sampling: Json) -> Completion:
        """Ask the judge's servers, which have the item's seconds for it. Raises EpisodeError, AsyncgenError."""
        with self.deadline.paused():
            return await self._model.complete(messages, sampling)

    def shared(self, make: Callable[..., T], *args: Hashable) -> T:
        """The service's one `make(*args)`; in place of a run's batches of answers to problems, one at a time."""
        if make is Judge:
            alone: Any = AloneJudge(self._services.get(Verdicts), self.deadline)
            return alone  # type: ignore[no-any-return]  # it has `verdict`, as that has
        return self._services.get(make, *args)


class Verdicts:
    """On answers to problems, once each: all rollouts of a problem tend to have the same ones."""

    def __init__(self) -> None:
        self.known: OrderedDict[Pair, Any] = OrderedDict()
        self._locks: WeakValueDictionary[Pair, asyncio.Lock] = WeakValueDictionary()

    async def verdict(self, in_process: InProcess, pair: Pair) -> Any:
        """Whoever comes first has it judged; cancelled, it leaves that to the next."""
        async with self._locks.setdefault(pair, asyncio.Lock()):
            if pair not in self.known:
                (self.known[pair],) = await judged(in_process, [pair])
                if len(self.known) > KEPT:
                    self.known.popitem(last=False)
            return self.known[pair]


class AloneJudge:
    """`maths_judge.Judge` for an item. Answers of strangers do not travel together: one that hangs costs itself alone,
    and what nobody waits for any more is not judged."""

    def __init__(self, verdicts: Verdicts, deadline: Deadline) -> None:
        self._verdicts = verdicts
        self._deadline = deadline

    async def verdict(self, in_process: InProcess, answer: str, truth: str) -> Any:
        """On one answer."""
        with self._deadline.paused():
            return await self._verdicts.verdict(in_process, (answer, truth))


def served_task(task: Task) -> Task:
    """The task with its rewards as the service calls them: a judge that fails costs its own part of the score alone,
    and a long response is looked at in a thread."""

    class Served(type(task)):  # type: ignore[misc]  # a class of its own: rewards may be worked out by the task's
        rewards = tuple(_judged(one) if _is_judge(one) else _apart(one) for one in task.rewards)
        scores = task.scores

    served: Task = object.__new__(Served)
    vars(served).update(vars(task))
    Served.__name__ = type(task).__name__
    return served


def _is_judge(reward: object) -> bool:
    return reward is judge_scores or getattr(reward, "failure", None) == JUDGE_FAILURE


def _judged(reward: Reward) -> Reward:
    async def asked(context: RewardContext, sample: Sample, trace: Trace) -> Scores:
        try:
            with context.deadline.paused():  # it waits for its turn, and has bounds of its own
                given = reward(context, sample, trace)
                return await given if inspect.isawaitable(given) else given
        except (AsyncgenError, EpisodeError, TimeoutError) as error:
            context.faults.append(f"judge: {error.text if isinstance(error, EpisodeError) else error}")
            return JUDGE_FAILURE

    return _like(reward, asked)


def _apart(reward: Reward) -> Reward:
    function = reward if inspect.isfunction(reward) else getattr(type(reward), "__call__", reward)  # noqa: B004  # its function
    if inspect.iscoroutinefunction(function):
        return reward

    async def called(context: RewardContext, sample: Sample, trace: Trace) -> Scores:
        if len(trace.conversation_history[-1].response) > LONG:
            given = await context.offload(reward, context, sample, trace)
        else:
            given = reward(context, sample, trace)
        return await given if inspect.isawaitable(given) else given

    return _like(reward, called)


def _like(reward: Reward, wrapped: Any) -> Reward:
    wrapped.__name__ = getattr(reward, "__name__", type(reward).__name__)
    wrapped.without_answer = getattr(reward, "without_answer", False)
    made: Reward = wrapped
    return made
