"""Marks finished traces as accepted or not, a few at a time.

Knows how traces are gathered, so that one question in a thread does for all that have come meanwhile: one for each
would cost the loop more than the episode. Does not know what the condition is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from asyncgen.core.trace import Trace
from asyncgen.engine.workers import Workers

GATHER = 0.005
"""Seconds in which the first of several waits for others."""
BATCH = 256
"""Traces asked about at once, at most."""
ERRORS = 20
"""So many traces are told of for which the condition could not be computed."""

Verdict: TypeAlias = bool | str
"""Whether a trace is accepted, or why nobody can say: then it is not."""


class Acceptor:
    """`mark` from any coroutine."""

    def __init__(
        self,
        judge: Callable[[Sequence[Trace]], Sequence[Verdict]],
        workers: Workers,
        on_error: Callable[[str, str], None],
    ) -> None:
        """`judge` runs in a thread, one call at a time; `on_error` is told a trace's id and why it has no verdict."""
        self._judge = judge
        self._workers = workers
        self._on_error = on_error
        self._errors = 0
        self._waiting: deque[tuple[Trace, asyncio.Future[Verdict]]] = deque()
        self._turn = asyncio.Lock()

    async def mark(self, trace: Trace) -> Trace:
        """The trace with the verdict in `metadata.accepted`."""
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((trace, future))
        async with self._turn:
            while not future.done():
                await self._ask()
        verdict = future.result()
        if isinstance(verdict, str) and self._errors < ERRORS:
            self._errors += 1
            self._on_error(trace.id, verdict)
        return replace(trace, metadata={**trace.metadata, "accepted": verdict is True})

    async def _ask(self) -> None:
        """For those that wait longest; where the caller is cancelled, the next one asks for them again."""
        if len(self._waiting) < BATCH:
            await asyncio.sleep(GATHER)
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        try:
            verdicts = await self._workers.offload(self._judge, [trace for trace, _ in batch])
        except BaseException:
            self._waiting.extendleft(reversed(batch))
            raise
        for (_, future), verdict in zip(batch, verdicts, strict=True):
            if not future.done():
                future.set_result(verdict)
