"""Answers of many episodes, judged together in worker processes.

Knows batches, deadlines, and how the one answer that hangs is found among others. Does not know what makes an answer
right.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias

from asyncgen.rewards.maths import Rule, Verdict, judge_answers

BATCH = 64
"""Answers that travel together, at most."""
AT_ONCE = 4
"""Batches under way; how many processes there are is the run's to say."""
SECONDS = 30.0
"""For a batch. An answer alone has `maths_verify.SECONDS` of them before it is given up."""
ALONE = 12.0
"""For each answer of a small batch: twice `maths_verify.SECONDS`, and as much again for loading sympy."""
KEPT = 20_000
"""Verdicts that are remembered: solutions to one question often have the same answer."""

Pair: TypeAlias = tuple[str, str]
"""An answer and the true one."""


JudgeMany: TypeAlias = Callable[[Sequence[Pair], Rule], Sequence[Verdict]]
"""A function of a module: worker processes find it by its name."""


class InProcess(Protocol):
    """`Context.in_process`, or a run's `Workers.in_process`."""

    def __call__(self, function: Any, *args: Any, seconds: float) -> Awaitable[Any]:
        """Run in another process; TimeoutError after so many seconds, RuntimeError where the process dies."""


async def judged(
    in_process: InProcess,
    pairs: Sequence[Pair],
    rule: Rule = "verify",
    *,
    seconds: float | None = None,
    judge: JudgeMany = judge_answers,
) -> list[Verdict]:
    """The verdict on each (answer, truth), in one process. Where it hangs or dies, each half is tried alone: the one at
    fault is `unknown`. `judge`: of the module's functions, what is asked there."""
    if not pairs:
        return []
    bound = min(SECONDS, ALONE * len(pairs)) if seconds is None else seconds
    try:
        verdicts: list[Verdict] = await in_process(judge, list(pairs), rule, seconds=bound)
    except (TimeoutError, RuntimeError):
        if len(pairs) == 1:
            return ["unknown"]
        middle = len(pairs) // 2
        first = await judged(in_process, pairs[:middle], rule, seconds=seconds, judge=judge)
        return first + await judged(in_process, pairs[middle:], rule, seconds=seconds, judge=judge)
    return verdicts


class Judge:
    """One a run: `context.shared(Judge)`. Whoever asks while a batch is under way is in the next one."""

    def __init__(self) -> None:
        self.batches = 0
        """That were sent."""
        self._verdicts: OrderedDict[Pair, asyncio.Future[Verdict]] = OrderedDict()
        self._waiting: list[Pair] = []
        self._wake = asyncio.Event()
        self._in_process: InProcess | None = None

    async def verdict(self, in_process: InProcess, answer: str, truth: str) -> Verdict:
        """On one answer."""
        pair = (answer, truth)
        future = self._verdicts.get(pair)
        if future is None:
            self._in_process = in_process  # every episode's is the run's
            future = self._verdicts[pair] = asyncio.get_running_loop().create_future()
            self._waiting.append(pair)
            self._wake.set()
            self._forget()
        # Others may wait for the same one: who is cancelled here leaves it under way.
        return await asyncio.shield(future)

    async def run(self) -> None:
        """Send what waits, until cancelled."""
        slots = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wake.wait()
                await slots.acquire()
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                if not self._waiting:
                    self._wake.clear()
                if batch and self._in_process:
                    group.create_task(self._carry(self._in_process, batch, slots))
                else:
                    slots.release()

    async def _carry(self, in_process: InProcess, batch: Sequence[Pair], slots: asyncio.Semaphore) -> None:
        """Judge a batch, and tell who asked."""
        self.batches += 1
        try:
            for pair, verdict in zip(batch, await judged(in_process, batch), strict=True):
                self._verdicts[pair].set_result(verdict)
        finally:
            slots.release()

    def _forget(self) -> None:
        """The oldest verdicts, but none that somebody waits for."""
        while len(self._verdicts) > KEPT:
            pair, future = next(iter(self._verdicts.items()))
            if not future.done():
                return
            del self._verdicts[pair]
