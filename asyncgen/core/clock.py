"""The clock seam: timers use `monotonic`, labels use `wall`.

Knows the time. Tests put their own clock in its place, so that no test waits.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What asyncgen asks of time."""

    def monotonic(self) -> float:
        """Seconds, never going back."""

    def wall(self) -> float:
        """Seconds since 1970, for labels only."""

    async def sleep(self, seconds: float) -> None:
        """Let others run for so long."""


class SystemClock:
    """The real one."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()  # noqa: TID251  # this is the clock

    async def sleep(self, seconds: float) -> None:
        import asyncio  # here: what only reads the time need not load it

        await asyncio.sleep(seconds)
