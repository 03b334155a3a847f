"""Results for solutions that have none: in worker processes, many at once.

Knows batches and how many are under way. Does not know when two answers are the same (`rewards.maths`), nor how the one
that hangs is found among others (`rewards.maths_judge`).
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from asyncgen.engine.workers import Workers
from asyncgen.rewards.maths import Rule, Verdict
from asyncgen.rewards.maths_judge import SECONDS, JudgeMany, Pair, judged

BATCH = 256
"""Solutions that travel together."""


def all_judged(pairs: Iterable[Pair], judge: JudgeMany, rule: Rule, *, seconds: float = SECONDS) -> list[Verdict]:
    """A result for each (solution's text, truth), in order. Those that the judge cannot do in `seconds`, or dies of,
    are unknown."""
    return asyncio.run(_all_judged(iter(pairs), judge, rule, seconds))


async def _all_judged(pairs: Iterator[Pair], judge: JudgeMany, rule: Rule, seconds: float) -> list[Verdict]:
    processes = os.cpu_count() or 1
    workers = Workers(processes=processes)
    found: list[Verdict] = []
    window: deque[asyncio.Task[list[Verdict]]] = deque()
    try:
        async with asyncio.TaskGroup() as group:
            while batch := list(islice(pairs, BATCH)):
                batched = judged(workers.in_process, batch, rule, seconds=seconds, judge=judge)
                window.append(group.create_task(batched))
                if len(window) > 2 * processes:
                    found += await window.popleft()
            while window:
                found += await window.popleft()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    finally:
        workers.close()
    return found
