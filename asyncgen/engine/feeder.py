"""Samples in the order in which they are to be done, read a few ahead and many at a time.

Knows chains (a row, and the quota that its rollouts come from) and how a row is read. A row's pictures are not read
here, and what is wrong with a row is told when its turn comes. A thread costs more to ask than a row costs to read:
hence batches.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from asyncgen.core.types import Sample
from asyncgen.engine.choices import Choices
from asyncgen.engine.quota import Quota, Rollouts
from asyncgen.engine.workers import Workers

BATCH = 64
"""Rows read at once, and so the most that are read before their turn."""

Chain: TypeAlias = tuple[int, Rollouts]
"""A row number, and where its next rollout comes from. Several chains may share a quota."""


@dataclass(frozen=True, slots=True)
class Fed:
    """A chain to be started."""

    index: int
    quota: Rollouts
    outcome: Sample | Exception
    choices: Choices | None = None
    """Where one request may bring several of its rollouts."""

    def sample(self) -> Sample:
        """The row. Raises what reading it raised."""
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Feeder:
    """`next` from any coroutine: first come, first served."""

    def __init__(
        self,
        chains: Iterator[Chain],
        read: Callable[[int], Sample],
        workers: Workers,
        *,
        choices: int = 1,
        refused: Callable[[], bool] = lambda: False,
        due: Callable[[], Chain | None] = lambda: None,
    ) -> None:
        """`choices`: rollouts of a sample that one request may ask for, unless the servers have `refused`; `due`: after
        the last of `chains` a chain that can go on, or None for now."""
        self._choices = choices
        self._refused = refused
        self._due = due
        self._chains = chains
        self._read = read
        self._workers = workers
        self._ready: deque[Fed] = deque()
        self._turn = asyncio.Lock()

    async def next(self) -> Fed | None:
        """The next one; None when there is none left, or for now: where a chain may still become due."""
        async with self._turn:  # fair: also those that need not wait come after those that do
            if not self._ready:
                waiting = iter(self._due, None)
                batch = list(itertools.islice(itertools.chain(self._chains, waiting), BATCH))
                if batch:
                    self._ready.extend(await self._workers.offload(self._read_all, batch))
            fed = self._ready.popleft() if self._ready else None
            if fed and fed.choices and self._refused():
                fed, *others = self._apart(fed)
                self._ready.extendleft(reversed(others))
            return fed

    def _apart(self, fed: Fed) -> list[Fed]:
        """Chains of one rollout each, where no request brings several: then nothing is gained by taking turns."""
        if not isinstance(fed.quota, Quota) or fed.quota.wanted < fed.quota.left:
            return [fed]
        return [Fed(fed.index, Quota((rollout,)), fed.outcome) for rollout in fed.quota.unused]

    def _read_all(self, batch: Sequence[Chain]) -> list[Fed]:
        """In a thread. The chains of a sample share what was read."""
        outcomes = {index: self._outcome(index) for index in dict.fromkeys(index for index, _ in batch)}
        return [Fed(index, quota, outcomes[index], self._shared(quota)) for index, quota in batch]

    def _shared(self, quota: Rollouts) -> Choices | None:
        return Choices(lambda: quota.unused, self._choices) if self._choices > 1 and quota.left > 1 else None

    def _outcome(self, index: int) -> Sample | Exception:
        try:
            return self._read(index)
        except Exception as error:  # noqa: BLE001  # raised again where the row's episode begins
            return error
