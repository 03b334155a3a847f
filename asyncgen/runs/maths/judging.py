"""Results for solutions that have none: in worker processes, many at once, so that one that hangs costs only itself.

Knows batches and deadlines, and that equal answers to one question need one verdict. Does not know when two answers
are the same (`rewards.maths`).
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias

from asyncgen.engine.workers import Workers
from asyncgen.export.solutions import RESULTS, RIGHT, UNKNOWN, WRONG
from asyncgen.rewards.maths import Rule, answer_of, judge_answers

Pair: TypeAlias = tuple[str, str]
"""A solution's text, and the truth."""
JudgeMany: TypeAlias = Callable[[Sequence[Pair], Rule], Sequence[str | bool]]
"""A function of a module: worker processes find it by its name."""
BATCH = 256
"""Solutions that travel together."""
SECONDS = 10.0
"""For any call of the judge; what it loads at first is within."""
SECONDS_EACH = 0.05
"""For each solution on top."""


def judge_solutions(pairs: Sequence[Pair], rule: Rule) -> list[str]:
    """The verdict on each whole text. For a worker process."""
    answers = [(answer_of(text, rule), truth) for text, truth in pairs]
    different = list(dict.fromkeys(answers))
    verdicts = dict(zip(different, judge_answers(different, rule), strict=True))
    return [verdicts[answer] for answer in answers]


def judged(pairs: Iterable[Pair], judge: JudgeMany, rule: Rule, *, seconds: float = SECONDS) -> list[str]:
    """A result for each pair, in order. Those that the judge cannot do in time, or dies of, are unknown."""
    return asyncio.run(_judged(iter(pairs), judge, rule, seconds))


async def _judged(pairs: Iterator[Pair], judge: JudgeMany, rule: Rule, seconds: float) -> list[str]:
    processes = os.cpu_count() or 1
    workers = Workers(processes=processes)
    found: list[str] = []
    window: deque[asyncio.Task[list[str]]] = deque()
    try:
        async with asyncio.TaskGroup() as group:
            while batch := list(islice(pairs, BATCH)):
                window.append(group.create_task(_batch(workers, judge, batch, rule, seconds)))
                if len(window) > 2 * processes:
                    found += await window.popleft()
            while window:
                found += await window.popleft()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    finally:
        workers.close()
    return found


async def _batch(workers: Workers, judge: JudgeMany, pairs: Sequence[Pair], rule: Rule, seconds: float) -> list[str]:
    """Halves, and halves of those, where the whole does not come back."""
    try:
        most = seconds + SECONDS_EACH * len(pairs)
        results = await workers.in_process(judge, pairs, rule, seconds=most)
    except (TimeoutError, RuntimeError):  # it hangs, or its process died of the solution
        if len(pairs) == 1:
            return [UNKNOWN]
        half = len(pairs) // 2
        first = await _batch(workers, judge, pairs[:half], rule, seconds)
        return first + await _batch(workers, judge, pairs[half:], rule, seconds)
    return [_result(one) for one in results]


def _result(verdict: str | bool) -> str:
    if isinstance(verdict, str):
        return verdict if verdict in RESULTS else UNKNOWN
    return RIGHT if verdict else WRONG
