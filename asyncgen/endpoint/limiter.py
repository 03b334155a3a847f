"""How many requests may be open now.

Knows counts. Knows nothing of endpoints: which of them gets a request is the pool's.
"""

from __future__ import annotations

from typing import Protocol

from asyncgen.core.errors import InputError
from asyncgen.endpoint.faults import Fault

AUTO_START = 32
"""Open requests with `concurrency: auto`."""


class Limiter(Protocol):
    """A count of open requests and its limit; told of every outcome, so that a limiter may find its limit by itself."""

    @property
    def limit(self) -> int:
        """Most requests that may be open; settable, and lowering it cancels nothing."""

    @limit.setter
    def limit(self, value: int) -> None: ...

    @property
    def in_flight(self) -> int:
        """Requests that are open."""

    def acquire(self) -> bool:
        """Open one, if there is room."""

    def release(self) -> None:
        """One has ended."""

    def on_success(self, now: float, tokens: int) -> None:
        """A completion of so many tokens came in at `now` (monotonic seconds)."""

    def on_fault(self, fault: Fault, now: float) -> None:
        """A request failed at `now` (monotonic seconds)."""


class FixedLimiter:
    """As many as it was told."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._in_flight = 0

    @property
    def limit(self) -> int:
        return self._limit

    @limit.setter
    def limit(self, value: int) -> None:
        if value < 1:
            raise InputError(f"concurrency {value}: at least 1 request must be allowed")
        self._limit = value

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def acquire(self) -> bool:
        if self._in_flight >= self._limit:
            return False
        self._in_flight += 1
        return True

    def release(self) -> None:
        if self._in_flight == 0:
            raise ValueError("limiter: release without acquire")
        self._in_flight -= 1

    def on_success(self, now: float, tokens: int) -> None:
        """A fixed limit does not move."""

    def on_fault(self, fault: Fault, now: float) -> None:
        """A fixed limit does not move."""


def make_limiter(concurrency: int | str) -> Limiter:
    """The limiter for `schedule.concurrency`: a number, or `auto`."""
    if concurrency == "auto":
        return FixedLimiter(AUTO_START)
    if isinstance(concurrency, int):
        return FixedLimiter(concurrency)
    raise InputError(f"schedule.concurrency {concurrency!r}: give a number or auto")
