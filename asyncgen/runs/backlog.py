"""Traces on their way from the thread of a run to the loop of their reader.

Knows both sides and how many traces wait. Does not know how a run is held back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Backlog(Generic[T]):
    """Made in the reader's loop. `put` and `end` are for one other thread, `get` for one reader."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[T] = deque()
        self._news = asyncio.Event()
        self._over = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, one: T) -> None:
        """Add one, and wake the reader."""
        self._waiting.append(one)
        self._tell(self._news)

    def end(self) -> None:
        """Nothing more comes."""
        self._tell(self._over)
        self._tell(self._news)

    def _tell(self, event: asyncio.Event) -> None:
        with suppress(RuntimeError):  # the reader's loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(event.set)

    async def get(self) -> T | None:
        """The next one; None when there will be no more."""
        while not self._waiting:
            if self._over.is_set():
                return None
            self._news.clear()
            if not self._waiting:
                await self._news.wait()
        return self._waiting.popleft()

    async def ended(self) -> None:
        """Returns when nothing more comes; what waits is let be."""
        await self._over.wait()
